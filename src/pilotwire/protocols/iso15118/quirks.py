"""What known vehicles do that the standard does not foresee: data, each with where it was told of.

A quirk is recognised by what a vehicle says of itself: the maker's part of its MAC (EVCCID, SLAC), the run id of SLAC,
the protocols it offers, the messages it sends. Some are told of by model only; these cannot be recognised and stand
here for people. Nothing is in this table that was not read at the place named.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import msgspec


class Quirk(msgspec.Struct, frozen=True, kw_only=True):
    """One habit of one kind of vehicle."""

    name: str
    vehicle: str
    does: str
    override: str
    """What helps."""
    evidence: tuple[str, ...]
    """repository#number of the issue or pull request."""
    ouis: tuple[str, ...] = ()
    """First six hexadecimal digits of the EVCCID or MAC."""
    run_id: str = ""
    """Run id of CM_SLAC_PARM.REQ, as text."""
    offers: str = ""
    """A namespace of supportedAppProtocolReq."""
    evccid_bytes: tuple[int, ...] = ()
    """Lengths of the EVCCID in bytes."""

    @property
    def recognisable(self) -> bool:
        return bool(self.ouis or self.run_id or self.offers or self.evccid_bytes)

    def told(self) -> str:
        """For people."""
        return f"{self.vehicle}: {self.does}; {self.override} ({', '.join(self.evidence)})"


QUIRKS: Final = (
    Quirk(
        name="tesla-din",
        vehicle="Tesla",
        does="offers urn:tesla:din:2018:MsgDef beside DIN SPEC 70121, a protocol with no public schema",
        override="never choose it; choose DIN SPEC 70121 or ISO 15118-2",
        evidence=("uhi22/pyPLC#31",),
        offers="urn:tesla:din:2018:MsgDef",
    ),
    Quirk(
        name="tesla-run-id",
        vehicle="Tesla",
        does="has the text TESLA EV as its run id of SLAC",
        override="tell vehicles apart by MAC as well as by run id",
        evidence=("SmartEVSE/SmartEVSE-3#25",),
        ouis=("98ED5C",),
        run_id="TESLA EV",
    ),
    Quirk(
        name="tesla-renegotiation",
        vehicle="Tesla Model 3",
        does="does not follow EVSENotification ReNegotiation in CurrentDemandRes on its own",
        override="send the optional EVSEMaximumVoltageLimit, CurrentLimit and PowerLimit with it",
        evidence=("ecog-io/iso15118#193", "SmartEVSE/SmartEVSE-3#25 for the MAC"),
        ouis=("98ED5C",),
    ),
    Quirk(
        name="vw-renegotiation",
        vehicle="Volkswagen group",
        does="stays in state C and goes on charging during a renegotiation of a DC session",
        override="leave cable check and pre-charge out when it is renegotiated",
        evidence=("EVerest/EVerest#2749", "EVerest/EVerest#1691"),
    ),
    Quirk(
        name="meb-mac",
        vehicle="Volkswagen MEB with its first on-board charger",
        does="changes its MAC, since a software update",
        override="do not authorise by MAC",
        evidence=("Tinkerforge/esp32-firmware#523",),
    ),
    Quirk(
        name="id7-mac",
        vehicle="Volkswagen ID.7 and other MEB+ (Bosch on-board charger)",
        does="keeps its MAC, unlike MEB before it",
        override="authorisation by MAC works, until an update changes that",
        evidence=("Tinkerforge/esp32-firmware#523",),
        ouis=("10BD43",),
    ),
    Quirk(
        name="din-only",
        vehicle="BMW iX3",
        does="takes DIN SPEC 70121 only",
        override="offer DIN SPEC 70121",
        evidence=("Sevenstax/FreeV2G#207",),
    ),
    Quirk(
        name="long-evccid",
        vehicle="vehicles of DIN SPEC 70121 in its August 2014 edition",
        does="sends an EVCCID of 7 or 8 bytes, the MAC in the last six",
        override="take the last six bytes as the MAC",
        evidence=("Sevenstax/FreeV2G#164",),
        evccid_bytes=(7, 8),
    ),
    Quirk(
        name="precharge-at-once",
        vehicle="Mercedes-Benz EQE",
        does="ends the session within about 100 ms of the first PreChargeRes, back in state B",
        override="none is known",
        evidence=("Sevenstax/FreeV2G#216",),
    ),
    Quirk(
        name="no-cable-check",
        vehicle="Citroën ë-C3",
        does="sends no CableCheckReq after ChargeParameterDiscovery, now and then",
        override="end the session from the station's side after a while of its own",
        evidence=("Sevenstax/FreeV2G#340",),
    ),
    Quirk(
        name="every-other-session",
        vehicle="Hyundai Kona",
        does="fails in every second session with the same station",
        override="restart the modem between sessions",
        evidence=("Sevenstax/FreeV2G#256",),
    ),
)  # fmt: skip


def matching(mac: str, run_id: str = "", offered: Iterable[str] = ()) -> tuple[Quirk, ...]:
    """The quirks of a vehicle by what it said of itself.

    `mac`: EVCCID or MAC, hexadecimal; `run_id`: of SLAC, as text; `offered`: namespaces of supportedAppProtocolReq.
    """
    digits = mac.replace(":", "").replace("-", "").upper()
    bytes_ = len(digits) // 2
    oui = digits[-12:-6] if bytes_ in (6, 7, 8) else digits[:6]
    namespaces = set(offered)
    found: list[Quirk] = []
    for quirk in QUIRKS:
        marks = (
            bool(oui) and oui in quirk.ouis,
            bool(quirk.run_id) and run_id == quirk.run_id,
            bool(quirk.offers) and quirk.offers in namespaces,
            bytes_ in quirk.evccid_bytes,
        )
        if any(marks):
            found.append(quirk)
    return tuple(found)
