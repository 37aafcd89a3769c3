"""The NetworkConfiguration components of 2.1 (B09.FR.08 to .25): a station's network connection profiles, one component
instance per slot, variable by variable.

Where the profiles can be set at all they can be set here too, but for those that NetworkConfigurationPriority names:
the station may need these at any moment. What is set takes effect once that variable names the slot, and a restart.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

import msgspec

from .attributes import Attribute, Place
from .networks import BUILT_IN, SLOTS, NetworkProfile

if TYPE_CHECKING:
    from .program import Station

COMPONENT = "NetworkConfiguration"
_INTERFACES = ("Any", *(f"{kind}{n}" for kind in ("Wired", "Wireless") for n in range(4)))
_VERSIONS = ("OCPP12", "OCPP15", "OCPP16", "OCPP20", "OCPP201", "OCPP21")

Refusal = tuple[str, str]
"""reasonCode, words."""


class _Row(NamedTuple):
    """One variable: how it is read from a profile, and its field in there when it can be set."""

    variable: str
    read: Callable[[NetworkProfile], str]
    field: str = ""
    data_type: str = "string"
    members: tuple[str, ...] = ()
    unit: str = ""


_ROWS = (
    _Row("OcppCsmsUrl", lambda profile: profile.url, "url"),
    _Row("OcppInterface", lambda profile: profile.interface, "interface", "OptionList", _INTERFACES),
    _Row("OcppTransport", lambda profile: profile.transport, "transport", "OptionList", ("JSON",)),
    _Row("OcppVersion", lambda profile: profile.version, "version", "OptionList", _VERSIONS),
    _Row("MessageTimeout", lambda profile: str(profile.timeout_s), "timeout_s", "integer", unit="s"),
    _Row("SecurityProfile", lambda profile: str(profile.security_profile), "security_profile", "integer"),
    _Row("Identity", lambda profile: profile.identity, "identity"),
    _Row("BasicAuthPassword", lambda profile: profile.password, "password"),
    _Row("ApnEnabled", lambda profile: "true" if profile.apn else "false", data_type="boolean"),
    _Row("VpnEnabled", lambda profile: "true" if profile.vpn else "false", data_type="boolean"),
)
_BY_NAME = {row.variable.lower(): row for row in _ROWS}


def _rows(station: Station) -> tuple[_Row, ...]:
    """Without the password where none can be set: it is never shown."""
    return _ROWS if station.networks.can_be_set else tuple(row for row in _ROWS if row.field != "password")


def inventory(station: Station) -> Iterator[Attribute]:
    """Every variable of every slot."""
    for slot in SLOTS:
        profile = _profile(station, slot)
        for row in _rows(station):
            yield _attribute(station, slot, row, profile)


def find(station: Station, place: Place) -> Attribute | str:
    """The variable, or UnknownComponent / UnknownVariable."""
    slot = place.component_instance or ""
    if not slot.isdecimal() or int(slot) not in SLOTS or place.evse is not None:
        return "UnknownComponent"
    row = _BY_NAME.get(place.variable.lower())
    if row not in _rows(station) or row is None or place.instance:
        return "UnknownVariable"
    return _attribute(station, int(slot), row, _profile(station, int(slot)))


def change(station: Station, found: Attribute, value: str) -> Refusal | None:
    """Set one of them; the reason where it is not taken."""
    slot = int(found.place.component_instance or 0)
    row = _BY_NAME[found.place.variable.lower()]
    if found.mutability == "ReadOnly":
        return "ReadOnly", "it cannot be set"
    if str(slot) in station.settings.members("network_priority"):
        return "ActiveNetworkConf", f"NetworkConfigurationPriority names slot {slot}"  # B09.FR.22
    refusal = _refusal(station, row, value)
    if refusal is not None:
        return refusal
    taken = int(value) if row.data_type == "integer" else value
    station.networks.put(msgspec.structs.replace(_profile(station, slot), **{row.field: taken}))
    return None


def _refusal(station: Station, row: _Row, value: str) -> Refusal | None:
    """B09.FR.23, .25: what is wrong with a value of that variable."""
    wrong = "InvalidNetworkConf", f"no value of {row.variable}"
    if row.members:
        return None if value in row.members else wrong
    if row.data_type == "integer" and not (value.isdecimal() and 0 < int(value) < 2**31):
        return wrong
    match row.variable:
        case "SecurityProfile":
            if int(value) > 3:
                return wrong
            return None if station.networks.secure_enough(int(value)) else ("NoSecurityDowngrade", "lower than now")
        case "OcppCsmsUrl":
            return None if _is_url(value) else wrong
        case "Identity":
            return None if len(value) <= 48 else wrong
        case "BasicAuthPassword":
            return None if 16 <= len(value) <= 64 else wrong
        case _:
            return None


def _is_url(value: str) -> bool:
    try:
        url = urlsplit(value)
        return url.scheme in ("ws", "wss") and bool(url.hostname) and url.port != 0 and len(value) <= 2000
    except ValueError:
        return False


def _profile(station: Station, slot: int) -> NetworkProfile:
    """What stands in the slot, or what a profile begins with."""
    profile = station.networks.profiles.get(slot)
    if profile is not None:
        return profile
    return NetworkProfile(
        slot=slot,
        url="",
        security_profile=station.certificates.profile,
        interface="Any",
        transport="JSON",
        timeout_s=station.settings.number("message_timeout"),
        identity=station.config.identity if slot == BUILT_IN else "",
    )


def _attribute(station: Station, slot: int, row: _Row, profile: NetworkProfile) -> Attribute:
    secret = row.field == "password"
    settable = bool(row.field) and station.networks.can_be_set
    return Attribute(
        place=Place(component=COMPONENT, component_instance=str(slot), variable=row.variable),
        value=None if secret else row.read(profile),
        mutability="WriteOnly" if secret else "ReadWrite" if settable else "ReadOnly",
        data_type=row.data_type,
        unit=row.unit,
        members=row.members,
    )
