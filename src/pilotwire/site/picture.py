"""The site at one moment, as people and programs outside want it: what flows where, against which limit, and why.

    picture(site, kinds, inputs, decision) -> SitePicture

Made from a tick's inputs and its decision alone, so a replay gives the pictures of the past. Figures are integers in
base units, import positive; None is not known.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Literal

from pilotwire.domain.energy import Limit, Node
from pilotwire.domain.seen import DeviceKind as DeviceKind
from pilotwire.domain.seen import DevicePicture as DevicePicture
from pilotwire.domain.seen import EvsePicture as EvsePicture
from pilotwire.domain.seen import Flows as Flows
from pilotwire.domain.seen import LimitPicture as LimitPicture
from pilotwire.domain.seen import NodePicture as NodePicture
from pilotwire.domain.seen import SitePicture as SitePicture

from .compiled import Site
from .decide import Decision, SetPoint
from .entered import wants
from .inputs import DeviceInput, EvseInput, TickInputs
from .ports import EvseStatus, Points, shown
from .reckoned import reckoned


def picture(
    site: Site, kinds: Mapping[str, DeviceKind], inputs: TickInputs, decision: Decision
) -> SitePicture:  # fmt: skip
    """`kinds` of the devices, by id. `decision` is the one that was made of `inputs`."""
    utc = inputs.now.utc_ms
    seen = {device.id: device for device in inputs.devices}
    unmetered = reckoned(site, inputs)
    nodes = tuple(_node(site, node, seen, decision, utc, unmetered) for node in site.topology.tree.nodes)
    points, cars = {point.evse: point for point in decision.set_points}, wants(inputs)
    evses = tuple(
        _evse(site, entry, points[entry.id], decision, cars[entry.id].departure_ms)
        for entry in inputs.evses if entry.id in points
    )  # fmt: skip
    at = _places(site)
    devices = tuple(
        DevicePicture(
            id=device.id, kind=kinds[device.id], online=device.online, node=at.get(device.id),
            points={name: value.value for name, value in sorted(device.points.items()) if value.quality != "bad"},
        )
        for device in inputs.devices if device.id in kinds
    )  # fmt: skip
    return SitePicture(
        site=site.id, seq=decision.seq, at_ms=utc, flows=flows_of(site, kinds, inputs), nodes=nodes, evses=evses,
        devices=devices, marks=decision.marks,
    )  # fmt: skip


def _places(site: Site) -> dict[str, str]:
    """The node of each device of which the configuration says it. What the cables see goes before what steers."""
    found = {meter: node for node, meter in site.meters.items()}
    if site.steering is not None:
        config = site.steering.config
        for group in (config.loads, config.inverters, config.batteries):
            found |= {one.id: one.node for one in group}
    tree = site.topology.tree
    return found | {one.id: one.node for one in (*tree.resources, *tree.loads)}


def _currents(points: Points) -> tuple[int | None, int | None, int | None]:
    return shown(points, "current_l1_ma"), shown(points, "current_l2_ma"), shown(points, "current_l3_ma")


def _power(points: Points, voltage_mv: int) -> int | None:
    """As measured, else from what the phases carry at the site's voltage."""
    power = shown(points, "power_mw")
    if power is not None:
        return power
    known = [ma for ma in _currents(points) if ma is not None]
    return sum(known) * voltage_mv // 1000 if known else None


def _node(
    site: Site, node: Node, seen: Mapping[str, DeviceInput], decision: Decision, utc: int,
    unmetered: Mapping[str, tuple[tuple[int, int, int], int]],
) -> NodePicture:  # fmt: skip
    device = seen.get(site.meters.get(node.id, ""))
    points: Points = {} if device is None else device.points
    reckoning = unmetered.get(node.id)
    return NodePicture(
        id=node.id, kind=node.kind, parent=node.parent, metered=node.metered,
        online=device is not None and device.online,
        phases_ma=_currents(points) if reckoning is None else reckoning[0],
        power_mw=_power(points, site.topology.tree.voltage_mv) if reckoning is None else reckoning[1],
        limits=_lowest((*node.limits, *decision.limits.get(node.id, ())), utc),
    )  # fmt: skip


_WHAT: tuple[Literal["L1", "L2", "L3"], ...] = ("L1", "L2", "L3")


def _lowest(limits: Iterable[Limit], utc: int) -> tuple[LimitPicture, ...]:
    """Of each figure the lowest in force."""
    found: dict[str, LimitPicture] = {}

    def one(what: Literal["L1", "L2", "L3", "power"], value: int, source: str) -> None:
        if what not in found or value < found[what].value:
            found[what] = LimitPicture(what, value, source)

    for limit in limits:
        if not limit.in_force(utc):
            continue
        for what, value in zip(_WHAT, limit.phases_ma or (), strict=False):
            one(what, value, limit.source)
        if limit.power_mw is not None:
            one("power", limit.power_mw, limit.source)
    return tuple(found[what] for what in ("L1", "L2", "L3", "power") if what in found)


def _flowing(status: EvseStatus, power: int | None) -> bool:
    return status.pilot in ("C", "D") and (power is None or abs(power) > 100_000)


def why_not_more(decision: Decision, evse: str) -> tuple[str, str]:
    """A code for programs, and a sentence for people."""
    reason = decision.reasons[evse]
    if reason.code in ("no_demand", "own_maximum"):  # what lowered its demand says more than that it got all of it
        why = next((each for each in reversed(decision.steered) if each.subject == evse), None)
        if why is not None:
            return reason.code, why.words.removeprefix(f"{evse}: ")
    return reason.code, reason.words


def _evse(site: Site, entry: EvseInput, point: SetPoint, decision: Decision, departure_ms: int | None) -> EvsePicture:
    status = entry.status
    code, words = why_not_more(decision, entry.id)
    power = _power(status.points, site.topology.tree.voltage_mv)
    soc = status.soc if status.soc is not None else shown(status.points, "soc_permille")
    return EvsePicture(
        id=entry.id, node=site.topology.evses[entry.id].node, online=status.online, pilot=status.pilot,
        charging=_flowing(status, power), power_mw=power, phases_ma=_currents(status.points), unit=point.unit,
        set_point=point.value, target=point.target, confirmed=status.offered, code=code, reason=words,
        session=status.session, session_wh=shown(status.points, "session_wh"),
        energy_wh=shown(status.points, "energy_import_wh"), soc=soc, departure_ms=departure_ms,
        fault=status.fault,
    )  # fmt: skip


def flows_of(site: Site, kinds: Mapping[str, DeviceKind], inputs: TickInputs) -> Flows:
    """The flows alone, for those who count them at each tick."""
    tree = site.topology.tree
    voltage = tree.voltage_mv
    root = next((site.meters.get(node.id) for node in tree.nodes if node.parent is None), None)
    grid = pv = battery = None
    for device in inputs.devices:
        if root is not None and device.id == root:
            grid = _power(device.points, voltage)
        kind = kinds.get(device.id)
        if kind == "inverter" and (power := shown(device.points, "power_mw")) is not None:
            pv = power if pv is None else pv + power
        elif kind == "battery":
            # Of a hybrid's own battery the point of that name tells more.
            power = shown(device.points, "battery_mw")
            power = shown(device.points, "power_mw") if power is None else power
            if power is not None:
                battery = power if battery is None else battery + power
    known = [power for entry in inputs.evses if (power := _power(entry.status.points, voltage)) is not None]
    cars = sum(known) if known or not inputs.evses else None
    building = None
    if grid is not None and cars is not None:
        building = grid - cars - (pv or 0) - (battery or 0)
    return Flows(grid=grid, pv=pv, battery=battery, cars=cars, building=building)
