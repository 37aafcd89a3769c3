"""What flows at places without a meter, reckoned from what is measured below them: meters, else what EVSEs draw.

For people who look. The loop itself is more careful: it counts what may flow, not what did.
"""

from __future__ import annotations

from collections.abc import Mapping

from pilotwire.domain.energy import Evse
from pilotwire.domain.energy.scale import infeed

from .compiled import Site
from .inputs import DeviceInput, EvseInput, TickInputs
from .ports import Points, shown

Currents = tuple[int, int, int]


def reckoned(site: Site, inputs: TickInputs) -> Mapping[str, tuple[Currents, int]]:
    """By node that has no meter: (mA on each phase of the grid, mW). None of it where nothing below says anything."""
    seen = {device.id: device for device in inputs.devices}
    tree = site.topology.tree
    below: dict[str, list[tuple[Currents, int]]] = {node.id: [] for node in tree.nodes}
    for entry in inputs.evses:
        evse = site.topology.evses.get(entry.id)
        if evse is not None and (drawn := _drawn(evse, entry, tree.voltage_mv)) is not None:
            below[evse.node].append(drawn)
    found: dict[str, tuple[Currents, int]] = {}
    for node in sorted(tree.nodes, key=lambda node: -len(site.topology.above[node.id])):
        total = _metered(seen.get(site.meters.get(node.id, "")), tree.voltage_mv)
        if total is None and below[node.id]:
            l1, l2, l3 = (sum(phases[place] for phases, _ in below[node.id]) for place in range(3))
            total = (l1, l2, l3), sum(power for _, power in below[node.id])
        if total is None:
            continue
        if not node.metered:
            found[node.id] = total
        if node.parent is not None:
            below[node.parent].append(total)
    return found


def _metered(device: DeviceInput | None, voltage_mv: int) -> tuple[Currents, int] | None:
    if device is None or not device.online:
        return None
    phases = _currents(device.points)
    if phases is None:
        return None
    power = shown(device.points, "power_mw")
    return phases, sum(phases) * voltage_mv // 1_000 if power is None else power


def _currents(points: Points) -> Currents | None:
    l1, l2, l3 = (shown(points, f"current_l{phase}_ma") for phase in (1, 2, 3))
    return None if l1 is None or l2 is None or l3 is None else (l1, l2, l3)


def _drawn(evse: Evse, entry: EvseInput, voltage_mv: int) -> tuple[Currents, int] | None:
    """On the phases of the grid. One that is wired nobody knows how is counted with its highest on each of them."""
    status = entry.status
    if not status.online:
        return None
    power = shown(status.points, "power_mw")
    if evse.current == "DC":
        if power is None:
            return None
        each = infeed(evse, power, voltage_mv) if power >= 0 else -infeed(evse, -power, voltage_mv)
        return (each, each, each), power
    own = _currents(status.points)
    if own is None:
        return None
    power = sum(own) * voltage_mv // 1_000 if power is None else power
    if evse.rotation is None:
        balanced = min(own) > 0
        return (own if balanced else (max(own), max(own), max(own))), power
    l1, l2, l3 = (own[evse.rotation.index(letter)] for letter in "RST")
    return (l1, l2, l3), power
