"""The 2.x device model of a station: the settings table and what the hardware adds to it, generated on demand.

A thousand stations share one table; nothing here is kept per station.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import Decimal
from typing import TYPE_CHECKING

import msgspec

from pilotwire.core.time import to_rfc3339

from . import network_variables, streams
from .attributes import Attribute, Place
from .displays import MOST
from .settings import BY_VARIABLE, TABLE, Setting

if TYPE_CHECKING:
    from .config import EvseConfig
    from .evse import Evse
    from .program import Station
    from .v2x import Connected

PASSWORD_LENGTH = {"1.6": 40, "2.0.1": 40, "2.1": 64}
"""Characters of the password at most (A00.FR.205), in 1.6 hexadecimal digits."""
Value = Callable[["Station", "Evse | None"], str]


class _Fixed(msgspec.Struct, frozen=True):
    """A variable that the hardware or the program's state gives; read-only."""

    component: str
    variable: str
    value: Value
    data_type: str = "string"
    unit: str = ""
    instance: str | None = None
    most: int | None = None
    """maxLimit."""
    monitored: bool = False
    feature: str = ""
    """Only a station with this feature has it."""
    kind: str = ""
    """`AC` or `DC`: only such an EVSE has it; `V2X`: only a bidirectional one; `outlet`: one without a fixed cable."""


def _availability(station: Station, evse: Evse | None) -> str:
    evses = station.evses if evse is None else (evse,)
    states = {station.dialect.status(e) for e in evses}
    if states == {"Unavailable"} or states == {"Faulted"}:
        return states.pop()
    if evse is None:
        return "Available" if "Available" in states else "Occupied"
    return states.pop()


def _problem(station: Station, evse: Evse | None) -> str:
    evses = station.evses if evse is None else (evse,)
    return "true" if any(e.fault for e in evses) else "false"


_STATION: tuple[_Fixed, ...] = (
    _Fixed("ChargingStation", "Available", lambda s, e: "true", "boolean"),
    _Fixed("ChargingStation", "AvailabilityState", _availability, "OptionList", monitored=True),
    _Fixed("ChargingStation", "Problem", _problem, "boolean", monitored=True),
    _Fixed("ChargingStation", "Model", lambda s, e: s.config.model),
    _Fixed("ChargingStation", "VendorName", lambda s, e: s.config.vendor),
    _Fixed("ChargingStation", "SerialNumber", lambda s, e: s.config.serial),
    _Fixed("ChargingStation", "FirmwareVersion", lambda s, e: s.maintenance.version),
    _Fixed("ChargingStation", "SupplyPhases", lambda s, e: "3", "integer"),
    _Fixed("ClockCtrlr", "DateTime", lambda s, e: to_rfc3339(s.clock.now()), "dateTime"),
    _Fixed("LocalAuthListCtrlr", "Entries", lambda s, e: str(s.authorizer.entries), "integer"),
    _Fixed("DisplayMessageCtrlr", "DisplayMessages", lambda s, e: str(len(s.displays)), "integer", most=MOST),
    _Fixed("MonitoringCtrlr", "ActiveMonitoringBase", lambda s, e: s.monitors.base, "OptionList"),
    _Fixed("MonitoringCtrlr", "MaxPeriodicEventStreams", lambda s, e: str(streams.MOST), "integer"),
    _Fixed("MonitoringCtrlr", "ActiveMonitoringLevel", lambda s, e: str(s.monitors.level), "integer"),
    _Fixed(
        "V2XChargingCtrlr",
        "SupportedEnergyTransferModes",
        lambda s, e: ",".join(s.v2x.transfers()),
        "MemberList",
        feature="v2x",
    ),
    _Fixed(
        "V2XChargingCtrlr",
        "SupportedOperationModes",
        lambda s, e: ",".join(("ChargingOnly", *sorted(s.smart_charging.abilities.modes))),
        "MemberList",
        feature="v2x",
    ),
    _Fixed("SecurityCtrlr", "Identity", lambda s, e: s.config.identity),
    _Fixed("SecurityCtrlr", "SecurityProfile", lambda s, e: str(s.certificates.profile), "integer"),
    _Fixed("SecurityCtrlr", "CertificateEntries", lambda s, e: str(s.certificates.entries), "integer"),
    _Fixed(
        "SmartChargingCtrlr", "Entries", lambda s, e: str(len(s.energy.profiles)), "integer", "", "ChargingProfiles"
    ),
)


def _power(station: Station, evse: Evse | None) -> str:
    if evse is None:
        return "0"
    evse.settle(int(station.scheduler.now()))
    return str(max(0, evse.meter.power_mw) // 1000)


def _discharge_power(station: Station, evse: Evse | None) -> str:
    if evse is None:
        return "0"
    evse.settle(int(station.scheduler.now()))
    return str(max(0, -evse.meter.power_mw) // 1000)


def _fixed_evse(value: Callable[[EvseConfig], object]) -> Value:
    return lambda station, evse: "" if evse is None else str(value(evse.config))


def _ev(value: Callable[[Connected], str]) -> Value:
    return lambda station, evse: "" if evse is None else value(station.v2x.connected(evse))


def _temperature(station: Station, evse: Evse | None) -> str:
    return "25" if evse is None else str(evse.celsius)


_EVSE: tuple[_Fixed, ...] = (
    _Fixed("EVSE", "Available", lambda s, e: "true", "boolean"),
    _Fixed("EVSE", "AvailabilityState", _availability, "OptionList", monitored=True),
    _Fixed("EVSE", "Problem", _problem, "boolean", monitored=True),
    _Fixed("EVSE", "Temperature", _temperature, "decimal", "Celsius", monitored=True),
    _Fixed("EVSE", "AllowReset", lambda s, e: "true", "boolean"),
    _Fixed("EVSE", "Power", _power, "decimal", "W", monitored=True),
    _Fixed("EVSE", "SupplyPhases", lambda s, e: "0" if e is None or e.config.dc else str(e.config.phases), "integer"),
)
_EVSE += (
    _Fixed("EVSE", "DischargePower", _discharge_power, "decimal", "W", monitored=True, feature="v2x", kind="V2X"),
    _Fixed("ConnectedEV", "Available", _ev(lambda ev: "true" if ev.available else "false"), "boolean", feature="v2x"),
    _Fixed("ConnectedEV", "VehicleId", _ev(lambda ev: ev.vehicle), feature="v2x"),
    _Fixed("ConnectedEV", "ProtocolAgreed", _ev(lambda ev: ev.protocol), feature="v2x"),
    _Fixed("ConnectedEV", "ProtocolSupportedByEV", _ev(lambda ev: ev.protocol), instance="1", feature="v2x"),
    _Fixed("ConnectedEV", "VehicleCertificate", _ev(lambda ev: ""), instance="Leaf", feature="v2x"),
    *(
        _Fixed("DCDERCtrlr", variable, value, kind_of, unit, feature="der", kind="DC")
        for variable, value, kind_of, unit in (
            ("Enabled", lambda s, e: "true", "boolean", ""),
            ("MaxW", _fixed_evse(lambda e: e.max_discharge_w or e.max_w), "decimal", "W"),
            ("OverExcitedW", _fixed_evse(lambda e: e.max_discharge_w or e.max_w), "decimal", "W"),
            ("OverExcitedPF", lambda s, e: "0.9", "decimal", ""),
            ("UnderExcitedW", _fixed_evse(lambda e: e.max_discharge_w or e.max_w), "decimal", "W"),
            ("UnderExcitedPF", lambda s, e: "0.9", "decimal", ""),
            ("MaxVA", _fixed_evse(lambda e: e.max_w), "decimal", "VA"),
            ("MaxVar", _fixed_evse(lambda e: (e.max_discharge_w or e.max_w) * 436 // 1000), "decimal", "Var"),
            ("MaxVarNeg", _fixed_evse(lambda e: (e.max_discharge_w or e.max_w) * 436 // 1000), "decimal", "Var"),
            ("MaxChargeRateW", _fixed_evse(lambda e: e.max_w), "decimal", "W"),
            ("MaxChargeRateVA", _fixed_evse(lambda e: e.max_w), "decimal", "VA"),
            ("VNom", lambda s, e: "230", "decimal", "V"),
            ("ModesSupported", lambda s, e: ",".join(s.config.der_controls), "MemberList", ""),
            ("InverterManufacturer", lambda s, e: s.config.vendor, "string", ""),
            ("InverterModel", lambda s, e: s.config.model, "string", ""),
            ("InverterSwVersion", lambda s, e: s.config.firmware, "string", ""),
            ("InverterHwVersion", lambda s, e: "1", "string", ""),
            ("ReactiveSusceptance", lambda s, e: "0", "decimal", ""),
        )
    ),
    _Fixed(
        "ACDERCtrlr",
        "ModesSupported",
        lambda s, e: ",".join(s.config.der_controls),
        "MemberList",
        feature="der",
        kind="AC",
    ),
)


def _lock(station: Station, evse: Evse | None) -> str:
    return "true" if evse is not None and evse.session is not None and evse.unlocked else "false"


_CONNECTOR: tuple[_Fixed, ...] = (
    _Fixed("ConnectorPlugRetentionLock", "Problem", _lock, "boolean", monitored=True, kind="outlet"),
    _Fixed("Connector", "Available", lambda s, e: "true", "boolean"),
    _Fixed("Connector", "AvailabilityState", _availability, "OptionList", monitored=True),
    _Fixed("Connector", "ConnectorType", lambda s, e: "" if e is None else e.config.connector_type),
    _Fixed(
        "Connector", "SupplyPhases", lambda s, e: "0" if e is None or e.config.dc else str(e.config.phases), "integer"
    ),
)


def _of_setting(station: Station, setting: Setting) -> Attribute:
    place = setting.variable
    assert place is not None
    return Attribute(
        place=Place(component=place.component, variable=place.variable, instance=place.instance),
        value=None if setting.secret else station.settings.text(setting.name),
        mutability="WriteOnly" if setting.secret else "ReadWrite" if setting.writable else "ReadOnly",
        data_type="string" if setting.kind == "password" else setting.kind,
        unit=setting.unit,
        members=setting.members,
        low=setting.low if setting.kind == "integer" else None,
        high=setting.high if setting.kind == "integer" else None,
        max_limit=Decimal(PASSWORD_LENGTH[station.config.version]) if setting.kind == "password" else None,
        setting=setting,
        monitored=not setting.secret,
    )


def _of_fixed(station: Station, fixed: _Fixed, evse: Evse | None, connector: int | None) -> Attribute:
    return Attribute(
        place=Place(
            component=fixed.component,
            variable=fixed.variable,
            instance=fixed.instance,
            evse=None if evse is None else evse.id,
            connector=connector,
        ),
        value=fixed.value(station, evse),
        data_type=fixed.data_type,
        unit=fixed.unit,
        max_limit=_most(station, fixed, evse),
        monitored=fixed.monitored,
    )


def _most(station: Station, fixed: _Fixed, evse: Evse | None) -> Decimal | None:
    if (fixed.component, fixed.variable) == ("LocalAuthListCtrlr", "Entries"):
        return Decimal(station.settings.number("list_max"))  # D01.FR.12
    if fixed.variable == "CertificateEntries":
        return Decimal(station.settings.number("certificates_max"))  # M05.FR.06
    if evse is not None and fixed.variable == "Power":
        return Decimal(evse.max_mw // 1000)
    if evse is not None and fixed.variable == "DischargePower":
        return Decimal(evse.config.max_discharge_w)
    return None if fixed.most is None else Decimal(fixed.most)


def inventory(station: Station, *, configuration: bool = False) -> Iterator[Attribute]:
    """Every variable; with `configuration` only those that can be set (ConfigurationInventory)."""
    features = ("", *station.features)
    for setting in TABLE:
        if setting.variable is not None and setting.feature in features and (setting.writable or not configuration):
            yield _of_setting(station, setting)
    if station.config.version == "2.1":
        for row in network_variables.inventory(station):
            if row.mutability != "ReadOnly" or not configuration:
                yield row
    if configuration:
        return
    for fixed in _STATION:
        if fixed.feature in features:
            yield _of_fixed(station, fixed, None, None)
    for evse in station.evses:
        for fixed in _EVSE:
            if fixed.feature in features and _has(evse, fixed):
                yield _of_fixed(station, fixed, evse, None)
        for fixed in _CONNECTOR:
            if not _has(evse, fixed):
                continue
            yield _of_fixed(station, fixed, evse, 1)


def find(station: Station, place: Place) -> Attribute | str:
    """The variable, or UnknownComponent / UnknownVariable. Names are case-insensitive (part 2, 2.1.7)."""
    if station.config.version == "2.1" and place.component.lower() == network_variables.COMPONENT.lower():
        return network_variables.find(station, place)
    found = _source(station, place)
    if isinstance(found, str):
        return found
    if isinstance(found, Setting):
        return _of_setting(station, found)
    fixed, evse = found
    return _of_fixed(station, fixed, evse, place.connector)


def reader(station: Station, place: Place) -> tuple[Callable[[], str], bool] | None:
    """(what gives the variable's value from now on, whether it is a number), or None where there is no such one."""
    found = _source(station, place)
    if isinstance(found, str):
        return None
    if isinstance(found, Setting):
        name = found.name
        return (lambda: station.settings.text(name)), found.kind in ("integer", "decimal")
    fixed, evse = found
    return (lambda: fixed.value(station, evse)), fixed.data_type in ("integer", "decimal")


def _source(station: Station, place: Place) -> Setting | tuple[_Fixed, Evse | None] | str:
    name, wanted, instance = place.component.lower(), place.variable.lower(), (place.instance or "").lower()
    if place.component_instance is not None:
        return "UnknownComponent"
    features = ("", *station.features)
    if place.evse is None:
        setting = BY_VARIABLE.get((name, wanted, instance or None))
        if setting is not None and setting.feature in features:
            return setting
        pool, evse = [fixed for fixed in _STATION if fixed.feature in features], None
        known = any(feature in features for feature in _COMPONENTS.get(name, ()))
    else:
        if not 1 <= place.evse <= len(station.evses) or place.connector not in (None, 1):
            return "UnknownComponent"
        evse = station.evses[place.evse - 1]
        pool = [
            fixed
            for fixed in (_EVSE if place.connector is None else _CONNECTOR)
            if fixed.feature in features and _has(evse, fixed)
        ]
        known = any(fixed.component.lower() == name for fixed in pool)
    for fixed in pool:
        if (fixed.component.lower(), fixed.variable.lower(), (fixed.instance or "").lower()) == (
            name,
            wanted,
            instance,
        ):
            return fixed, evse
    return "UnknownVariable" if known else "UnknownComponent"


def _has(evse: Evse, fixed: _Fixed) -> bool:
    """Whether an EVSE of this build has it."""
    if fixed.kind == "V2X":
        return evse.config.bidirectional
    if fixed.kind == "outlet":
        return not evse.config.fixed_cable
    return not fixed.kind or (fixed.kind == "DC") == evse.config.dc


def _components() -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for setting in TABLE:
        if setting.variable is not None:
            found.setdefault(setting.variable.component.lower(), set()).add(setting.feature)
    for fixed in _STATION:
        found.setdefault(fixed.component.lower(), set()).add(fixed.feature)
    return found


_COMPONENTS = _components()
"""Every component of a station as a whole, with the features that bring it."""
