"""Meters that sign what they read (2.x J01.FR.21, J02.FR.21; the format is OCMF 1.0).

Each EVSE's meter has a key of its own. This is a simulated meter: its key follows from its serial number, so that a run
can be repeated; nothing that is paid for should rest on it.
"""

from __future__ import annotations

import base64
import hashlib
from typing import TYPE_CHECKING, Any

import msgspec
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from pilotwire.core.time import to_datetime

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Reading, Sampled, Session

REGISTER = "Energy.Active.Import.Register"
METHOD = "ECDSA-secp256r1-SHA256"
_ORDER = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
"""Of secp256r1."""
_KIND = {"Transaction.Begin": "B", "Transaction.End": "E"}
_json = msgspec.json.encode


class MeterSigning:
    """The signing of one station's meters. Only the energy register is signed: it is what is billed."""

    __slots__ = ("_keys", "_mute", "_station", "_told")

    def __init__(self, station: Station) -> None:
        self._station = station
        self._keys: dict[int, ec.EllipticCurvePrivateKey] = {}
        self._mute: set[int] = set()
        """EVSEs whose meter has lost the ability."""
        self._told: set[str] = set()
        """Sessions whose public key has been told."""

    def able(self, evse: Evse) -> bool:
        """Signed values can be had of this EVSE's meter, and are wanted."""
        station = self._station
        return "signing" in station.features and evse.id not in self._mute and station.settings.flag("sign_readings")

    def fail(self, evse: Evse) -> None:
        """The meter signs no more."""
        self._mute.add(evse.id)

    def forget(self, session: Session) -> None:
        """It is over."""
        self._told.discard(session.key)

    def serial(self, evse: Evse) -> str:
        """Of the meter."""
        return f"{self._station.config.identity}-{evse.id}"

    def public_key(self, evse: Evse) -> str:
        """As it stands in a message: base64 of "oca:base16:asn1:" and the key."""
        der = (
            self._key(evse)
            .public_key()
            .public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
        )
        return base64.b64encode(b"oca:base16:asn1:" + der.hex().encode()).decode()

    def signed(self, evse: Evse, session: Session | None, kind: str, reading: Reading, row: Sampled) -> Any:
        """SignedMeterValueType of a value, None where it is not signed. `kind`: Started, Updated, Ended of the event it
        goes with; empty outside of transactions."""
        if row.measurand != REGISTER or row.phase is not None or not self._wanted(evse, kind, reading.context):
            return None
        payload = {
            "FV": "1.0",
            "GI": self._station.config.model,
            "GS": self._station.config.identity,
            "PG": f"T{evse.meter.energy_uj}",
            "MS": self.serial(evse),
            "IS": session is not None and session.authorized,
            "ID": "" if session is None else session.token,
            "RD": [
                {
                    "TM": to_datetime(reading.time).strftime("%Y-%m-%dT%H:%M:%S,%f")[:-3] + "+0000 S",
                    "TX": _KIND.get(reading.context, "C" if session is not None else ""),
                    "RV": row.value.scaleb(-3),
                    "RI": "1-0:1.8.0",
                    "RU": "kWh",
                    "ST": "G",
                }
            ],
        }
        body = msgspec.json.Encoder(decimal_format="number").encode(payload)
        signature = self._key(evse).sign(body, ec.ECDSA(hashes.SHA256(), deterministic_signing=True))
        data = b"OCMF|" + body + b"|" + _json({"SA": METHOD, "SD": signature.hex()})
        more: dict[str, Any] = {}
        if self._station.config.version == "2.0.1":
            more = {"signing_method": "", "public_key": ""}  # required there; the data says the method itself
        key = self._key_to_tell(evse, session)
        if key:
            more["public_key"] = key
        return self._station.messages.SignedMeterValueType(
            signed_meter_data=base64.b64encode(data).decode(), encoding_method="OCMF", **more
        )

    def _wanted(self, evse: Evse, kind: str, context: str) -> bool:
        settings = self._station.settings
        if "signing" not in self._station.features or evse.id in self._mute:
            return False
        if context == "Sample.Clock":
            return settings.flag("sign_aligned") and (kind != "Updated" or settings.flag("sign_aligned_updated"))
        if not settings.flag("sign_readings"):
            return False
        if context == "Transaction.Begin" and kind != "Ended":
            return settings.flag("sign_started")
        return kind != "Updated" or settings.flag("sign_updated")

    def _key_to_tell(self, evse: Evse, session: Session | None) -> str:
        wanted = self._station.settings.text("public_key")
        if wanted == "Never":
            return ""
        if wanted == "OncePerTransaction" and session is not None:
            if session.key in self._told:
                return ""
            self._told.add(session.key)
        return self.public_key(evse)

    def _key(self, evse: Evse) -> ec.EllipticCurvePrivateKey:
        key = self._keys.get(evse.id)
        if key is None:
            seed = hashlib.sha256(b"meter " + self.serial(evse).encode()).digest()
            key = ec.derive_private_key(int.from_bytes(seed, "big") % (_ORDER - 1) + 1, ec.SECP256R1())
            self._keys[evse.id] = key
        return key
