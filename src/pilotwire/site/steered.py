"""Between the loop's inputs and `domain.steering`: what has been measured in, what devices are told out."""

from __future__ import annotations

from collections.abc import Mapping

from pilotwire.domain.energy import Reading
from pilotwire.domain.steering import (
    Car,
    Cell,
    Measured,
    Meter,
    Power,
    Steering,
)
from pilotwire.domain.steering import Site as SteeredSite

from .inputs import DeviceInput, TickInputs
from .ports import Points, Value


def measured(
    site: SteeredSite,
    meters: Mapping[str, str],
    good: Mapping[str, Reading],
    draws: Mapping[str, Reading],
    offered: Mapping[str, int],
    inputs: TickInputs,
) -> Measured:
    """Good values only. `meters`: node to device; `good`: the readings of nodes that are believed; `offered`: mW."""
    devices = {device.id: device for device in inputs.devices}
    config = site.config
    found: dict[str, Meter] = {}
    for node, reading in good.items():
        device = devices.get(meters[node])
        points: Points = {} if device is None else device.points
        power, energy = _good(points, "power_mw"), _good(points, "energy_import_wh")
        together = power is not None and abs(power.at_ms - reading.at_ms) <= 1_500
        found[node] = Meter(
            power_mw=power.value if together and power else sum(reading.phases_ma) * site.voltage_mv // 1_000,
            at_ms=reading.at_ms,
            phases_ma=reading.phases_ma,
            energy_wh=None if energy is None else energy.value,
            energy_at_ms=None if energy is None else energy.at_ms,
            voltage_mv=_voltage(points),
        )
    return Measured(
        meters=found,
        cars={
            id: Car(
                power_mw=sum(reading.phases_ma) * site.voltage_mv // 1_000,
                at_ms=reading.at_ms,
                offered_mw=offered.get(id),
            )
            for id, reading in draws.items()
        },
        batteries={each.id: cell for each in config.batteries if (cell := _cell(devices.get(each.id))) is not None},
        inverters={each.id: power for each in config.inverters if (power := _power(devices.get(each.id))) is not None},
        loads={each.id: power for each in config.loads if (power := _power(devices.get(each.id))) is not None},
    )


def _good(points: Points, name: str) -> Value | None:
    value = points.get(name)
    return value if value is not None and value.quality == "good" else None


def _voltage(points: Points) -> int | None:
    """The mean of the phases; None unless all three are there and above zero."""
    found = [value.value for phase in (1, 2, 3) if (value := _good(points, f"voltage_l{phase}_mv")) is not None]
    return sum(found) // 3 if len(found) == 3 and min(found) > 0 else None


def _cell(device: DeviceInput | None) -> Cell | None:
    if device is None:
        return None
    power = _good(device.points, "battery_mw") or _good(device.points, "power_mw")
    soc = _good(device.points, "soc_permille")
    if power is None or soc is None:
        return None
    return Cell(power_mw=power.value, soc_permille=soc.value, at_ms=power.at_ms)


def _power(device: DeviceInput | None) -> Power | None:
    power = None if device is None else _good(device.points, "power_mw")
    return None if power is None else Power(power_mw=power.value, at_ms=power.at_ms)


def commands(site: SteeredSite, said: Steering) -> list[tuple[str, str, int]]:
    """(device, point, value). A limit that is lifted is the most that the device can."""
    found: list[tuple[str, str, int]] = []
    nominal = {each.id: each.nominal_mw for each in (*site.config.inverters, *site.config.loads)}
    controllable = {each.id for each in site.config.inverters if each.controllable}
    found += [(each.id, "setpoint_mw", each.power_mw) for each in said.batteries if each.power_mw is not None]
    for each in said.inverters:
        if each.id in controllable:
            value = nominal[each.id] if each.limit_mw is None else each.limit_mw
            found.append((each.id, "power_limit_mw", value))
    for load in said.loads:
        value = nominal[load.id] if load.limit_mw is None else load.limit_mw
        found.append((load.id, "limit_mw", value))
    return found
