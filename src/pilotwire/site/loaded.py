"""Controllable loads, batteries and inverters of the tree in a tick: what they want and draw, what they are told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

import msgspec

from pilotwire.domain import steering
from pilotwire.domain.energy import Demand, Load, Lost, Reading, Resource
from pilotwire.domain.energy.outcome import SetPoint
from pilotwire.domain.energy.scale import infeed
from pilotwire.domain.seen import Mark

from .compiled import Site
from .inputs import DeviceInput, TickInputs
from .metered import figure
from .ports import trusted


class Wanted(msgspec.Struct, frozen=True):
    """What loads and resources bring into a tick."""

    demands: tuple[Demand, ...]
    draws: Mapping[str, Reading]
    lost: Mapping[str, Lost]
    marks: tuple[Mark, ...]


def wanted(site: Site, inputs: TickInputs, steered: steering.Steering | None) -> Wanted:
    """Each load wants all it can, as far as orders let it; one that is not heard has no share."""
    devices = {device.id: device for device in inputs.devices}
    topology = site.topology
    voltage = topology.tree.voltage_mv
    caps = {} if steered is None else {each.id: each.limit_mw for each in steered.loads}
    demands: list[Demand] = []
    draws: dict[str, Reading] = {}
    lost: dict[str, Lost] = {}
    marks: list[Mark] = []
    for id, load in topology.loads.items():
        device = devices.get(id)
        if device is None or not device.online:
            sure = _falls_back(load, device)
            lost[id] = Lost(since_ms=_heard(device, inputs.now.tick_ms), possible=None if sure else load.maximum)
            marks.append(Mark(id, "offline", f"is not heard: up to {figure(load.maximum, 'DC')} are kept free for it"))
            continue
        power = device.points.get("power_mw")
        if power is not None and power.quality == "good":
            ma = infeed(load, max(0, power.value), voltage)
            draws[id] = Reading((ma, ma, ma), power.at_ms)
        # By order it may have to be off, but never below what comes before every car.
        cap = caps.get(id)
        demands.append(
            Demand(
                evse=id,
                phases=load.phases,
                maximum=None if cap is None else max(cap, load.floor),
                priority=site.loads[id].priority,
            )
        )
    for resource in topology.tree.resources:
        reading = _resource(resource, devices.get(resource.id), voltage)
        if reading is not None:
            draws[resource.id] = reading
    return Wanted(tuple(demands), draws, lost, tuple(marks))


def _heard(device: DeviceInput | None, now_ms: int) -> int | None:
    """When it last said anything; None: never."""
    if device is None:
        return None
    return max((value.at_ms for value in device.points.values() if value.at_ms <= now_ms), default=None)


def _falls_back(load: Load, device: DeviceInput | None) -> bool:
    """Whether nothing else than what the site says stood in its fail-safe registers when they were read last."""
    if device is None or load.failsafe is None or load.watchdog_ms is None:
        return True
    value, watchdog = device.points.get("failsafe_mw"), device.points.get("watchdog_ms")
    return (value is None or value.value <= load.failsafe) and (
        watchdog is None or 0 < watchdog.value <= load.watchdog_ms
    )


def _resource(resource: Resource, device: DeviceInput | None, voltage_mv: int) -> Reading | None:
    """By its phases where it says them with the power's sign, else evenly: feeding in is negative."""
    if device is None or not device.online:
        return None
    name = "battery_mw" if resource.kind == "battery" and trusted(device.points, "battery_mw") is not None else ""
    power = device.points.get(name or "power_mw")
    if power is None or power.quality != "good":
        return None
    ma = power.value * 1_000 // (3 * voltage_mv)
    return Reading((ma, ma, ma), power.at_ms)


def commands(site: Site, points: Iterable[SetPoint]) -> Iterator[tuple[str, str, int]]:
    """(device, point, value) of each load of the tree."""
    for point in points:
        load, told = site.topology.loads[point.evse], site.loads[point.evse]
        if told.modes:
            level = load.levels.index(point.value) + 1 if point.value in load.levels else 0
            yield point.evse, "mode", told.modes[level]
        else:
            yield point.evse, "limit_mw", point.value
