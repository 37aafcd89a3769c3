"""supportedAppProtocol: which of the protocols that a vehicle speaks the two will use (ISO 15118-2 8.2, -20 8.2).

The vehicle lists up to 20 protocols, each with a priority (1 is the highest) and a number of its own (SchemaID); the
station takes the one of the highest priority whose namespace and major version it knows, and names its number. Another
minor version is no obstacle, but is told. DIN SPEC 70121 9.2 says the same.
"""

from __future__ import annotations

from typing import Final, NamedTuple, cast

from pilotwire.core.evse_link import Service
from pilotwire.protocols import exi

from .config import Dialect
from .sap_messages import AppProtocolType, Message, ResponseCodeType, SupportedAppProtocolResType

MOST: Final = 20


class Version(NamedTuple):
    """What a dialect calls itself, and the energy services that it can carry."""

    namespace: str
    major: int
    minor: int
    services: tuple[Service, ...]


VERSIONS: Final[dict[Dialect, Version]] = {
    "din": Version("urn:din:70121:2012:MsgDef", 2, 0, ("DC",)),
    "iso2": Version("urn:iso:15118:2:2013:MsgDef", 2, 0, ("AC", "DC")),
    "iso20-ac": Version("urn:iso:std:iso:15118:-20:AC", 1, 0, ("AC", "AC_BPT")),
    "iso20-dc": Version("urn:iso:std:iso:15118:-20:DC", 1, 0, ("DC", "DC_BPT")),
    "iso20-wpt": Version("urn:iso:std:iso:15118:-20:WPT", 1, 0, ("WPT",)),
    "iso20-acdp": Version("urn:iso:std:iso:15118:-20:ACDP", 1, 0, ("DC_ACDP", "DC_ACDP_BPT")),
}


class Choice(NamedTuple):
    """What came of a negotiation."""

    dialect: Dialect | None
    code: ResponseCodeType
    schema_id: int | None = None


def usable(dialects: tuple[Dialect, ...], services: tuple[Service, ...], *, tls: bool) -> tuple[Dialect, ...]:
    """Those of `dialects` that can carry one of `services` on this connection: ISO 15118-20 wants TLS, always."""
    return tuple(
        dialect
        for dialect in dialects
        if (tls or not dialect.startswith("iso20")) and not set(services).isdisjoint(VERSIONS[dialect].services)
    )


def choose(offered: list[AppProtocolType], known: tuple[Dialect, ...]) -> Choice:
    """The station's choice: the vehicle's priorities decide, the order of `known` does not."""
    names: dict[str, Dialect] = {VERSIONS[dialect].namespace: dialect for dialect in known}
    for one in sorted(offered, key=lambda entry: entry["Priority"]):
        dialect = names.get(one["ProtocolNamespace"])
        if dialect is None or one["VersionNumberMajor"] != VERSIONS[dialect].major:
            continue
        code: ResponseCodeType = "OK_SuccessfulNegotiation"
        if one["VersionNumberMinor"] != VERSIONS[dialect].minor:
            code = "OK_SuccessfulNegotiationWithMinorDeviation"
        return Choice(dialect, code, one["SchemaID"])
    return Choice(None, "Failed_NoNegotiation")


def request(dialects: tuple[Dialect, ...]) -> bytes:
    """supportedAppProtocolReq of a vehicle that prefers the first; the SchemaID is the place in the list, from 1."""
    entries: list[AppProtocolType] = [
        {
            "ProtocolNamespace": VERSIONS[dialect].namespace,
            "VersionNumberMajor": VERSIONS[dialect].major,
            "VersionNumberMinor": VERSIONS[dialect].minor,
            "SchemaID": place,
            "Priority": place,
        }
        for place, dialect in enumerate(dialects[:MOST], 1)
    ]
    return exi.encode("sap", {"supportedAppProtocolReq": {"AppProtocol": entries}})


def response(choice: Choice) -> bytes:
    """supportedAppProtocolRes."""
    message: SupportedAppProtocolResType = {"ResponseCode": choice.code}
    if choice.schema_id is not None:
        message["SchemaID"] = choice.schema_id
    return exi.encode("sap", {"supportedAppProtocolRes": message})


def read(payload: bytes) -> Message:
    """A message of supportedAppProtocol. Raises exi.DecodeError."""
    return cast(Message, exi.decode("sap", payload))
