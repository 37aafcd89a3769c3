"""Orders from outside become limits: of a node's import, of the controllable devices of § 14a EnWG, of the export."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from pilotwire.domain.energy import Limit, Moment

from .config import Steuve
from .flows import Flows
from .grid14a import left
from .inputs import Control, Measured
from .reasons import Reason
from .site import Site


class Order(NamedTuple):
    """A signal in force as it is carried out: `limit_mw` of what `subject_mw` is the measured power now."""

    control: Control
    limit_mw: int
    subject_mw: int | None


class Orders(NamedTuple):
    """`limits` by node, of real power; `caps` (mW from the grid) by device; `dimmed`: no charging of batteries."""

    limits: tuple[tuple[str, Limit], ...]
    caps: Mapping[str, int]
    dimmed: bool
    orders: tuple[Order, ...]
    reasons: tuple[Reason, ...]


def carry_out(site: Site, controls: Iterable[Control], flow: Flows, measured: Measured, now: Moment) -> Orders:
    """Everything in force but limits of the export, which `feed_in` heeds (they are in `orders` too)."""
    limits: list[tuple[str, Limit]] = []
    caps: dict[str, int] = {}
    orders: list[Order] = []
    reasons: list[Reason] = []
    dimmed = False
    for control in sorted(controls, key=lambda each: each.id):
        node = control.node
        if not control.in_force(now.utc_ms) or node not in site.path:
            continue
        if control.kind == "export_limit":
            power = flow.nodes[node].power_mw
            orders.append(Order(control, export_mw(site, control), None if power is None else max(0, -power)))
        elif control.kind == "import_limit":
            value = control.value_mw
            if value is None:
                continue
            limits.append((node, Limit(source=control.source, power_mw=value)))
            orders.append(Order(control, value, flow.nodes[node].power_mw))
            reasons.append(Reason(node, "import_limit", control.source, {"limit_mw": value}))
        else:
            for steuve in site.config.steuve:
                if steuve.node == node:
                    dimmed = True
                    order = _dim(site, steuve, control, flow, measured, limits, caps, reasons)
                    orders.append(order)
    return Orders(tuple(limits), caps, dimmed, tuple(orders), tuple(reasons))


def export_mw(site: Site, control: Control) -> int:
    """What an order leaves to be exported at its node."""
    installed = sum(each.nominal_mw for each in site.config.inverters if each.id in site.inverters_below[control.node])
    found: list[int] = []
    if control.value_mw is not None:
        found.append(max(0, control.value_mw))
    if control.permille is not None:
        found.append(installed * control.permille // 1_000)
    return min(found, default=0)


def _dim(
    site: Site, steuve: Steuve, control: Control, flow: Flows, measured: Measured,
    limits: list[tuple[str, Limit]], caps: dict[str, int], reasons: list[Reason],
) -> Order:  # fmt: skip
    drawn = _drawn(site, steuve, flow, measured)
    minimum = left(steuve, site.config.loads)
    if steuve.control == "direct":
        total = 0
        for id, own in minimum.each.items():
            cap = max(own, control.value_mw or 0)
            total += cap
            caps[id] = min(cap, caps.get(id, cap))
            reasons.append(Reason(id, "steuve_direct", control.source, {"limit_mw": cap}))
        return Order(control, total, sum(drawn.values()))
    floor = minimum.together
    base = max(floor, control.value_mw or 0)
    root = flow.nodes[site.root]
    # Own surplus is what would be exported if no controllable device took anything, a battery's discharge with it:
    # what is taken of that is not taken from the grid.
    surplus = 0 if root.power_mw is None else max(0, sum(drawn.values()) - root.power_mw)
    cars = base + surplus - sum(mw for id, mw in drawn.items() if id not in site.evses)
    node = flow.nodes[steuve.node]
    if node.power_mw is not None:
        side = node.power_mw - node.cars_mw
        limit = cars + side
    else:
        lost = next(each.side_lost_ma for each in site.config.tree.nodes if each.id == steuve.node)
        limit = cars + (0 if lost is None else sum(lost) * site.voltage_mv // 1_000)
    limits.append((steuve.node, Limit(source=control.source, power_mw=limit)))
    for load in site.config.loads:
        if load.id in steuve.devices:
            own = minimum.each[load.id]
            caps[load.id] = min(own, caps.get(load.id, own))
    figures = {"limit_mw": base + surplus, "floor_mw": floor, "surplus_mw": surplus}
    reasons.append(Reason(steuve.node, "steuve_limit", control.source, figures))
    return Order(control, base, sum(drawn.values()))


def _drawn(site: Site, steuve: Steuve, flow: Flows, measured: Measured) -> dict[str, int]:
    """What each controllable device takes; a battery only counts when it charges."""
    found: dict[str, int] = {}
    for id in steuve.devices:
        if id in site.evses:
            found[id] = flow.cars[id] or 0
        elif id in site.batteries:
            found[id] = max(0, flow.batteries[id] or 0)
        else:
            load = measured.loads.get(id)
            found[id] = 0 if load is None else max(0, load.power_mw)
    return found
