"""Orders of energy managers and brokers: limits of nodes, what single EVSEs may give, and by which mode.

No order lets anything take more than the limits of the site leave it.
"""

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from pilotwire.domain.energy import Evse, Limit

from .inputs import External, Ordered, Wish
from .reasons import Reason
from .site import Site
from .wishes import Shaped, least, most


def ordered_limits(site: Site, external: External, utc_ms: int) -> Iterator[tuple[str, Limit, Reason]]:
    """(node, limit, why) of all that are in force."""
    for node, limits in sorted(external.limits.items()):
        for limit in limits:
            if node in site.path and limit.in_force(utc_ms):
                yield node, limit, Reason(node, "ordered_limit", limit.source)


def in_mode(wish: Wish, order: Ordered | None) -> Wish:
    """As ordered: by that mode alone, whatever prices say."""
    if order is None or order.mode is None:
        return wish
    return msgspec.structs.replace(wish, mode=order.mode, cheap_below=None, cheapest=False)


def ordered(site: Site, shaped: Shaped, order: Ordered | None) -> tuple[Shaped, Reason | None]:
    """What an order leaves of a demand; below its minimum it waits."""
    if order is None:
        return shaped, None
    demand, evse = shaped.demand, shaped.evse
    if order.priority is not None:
        demand = msgspec.structs.replace(demand, priority=order.priority)
    cap = 0 if order.pause else _units(site, evse, demand.phases, order)
    if cap is None:
        return shaped._replace(demand=demand), None
    if demand.maximum is not None and demand.maximum < cap:
        cap = demand.maximum
    demand = msgspec.structs.replace(demand, maximum=cap, guaranteed=min(demand.guaranteed, cap))
    if most(evse, demand) < least(evse, demand):
        return shaped._replace(demand=demand, follows="wait"), Reason(evse.id, "ordered_pause", order.source)
    return shaped._replace(demand=demand), Reason(evse.id, "ordered_maximum", order.source)


def ordered_phases(site: Site, evses: Mapping[str, Ordered]) -> dict[str, Literal[1, 3]]:
    """Of those EVSEs that can change them."""
    return {
        id: order.phases
        for id, order in sorted(evses.items())
        if order.phases is not None and id in site.evses and site.evses[id].switching is not None
    }


def _units(site: Site, evse: Evse, phases: int, order: Ordered) -> int | None:
    """The lower of both figures in the EVSE's unit; None where there is none."""
    found: list[int] = []
    if evse.current == "AC":
        if order.maximum_ma is not None:
            found.append(order.maximum_ma)
        if order.maximum_mw is not None:
            over, under = site.unit_mw(evse, phases)
            found.append(order.maximum_mw * under // over)
    else:
        if order.maximum_mw is not None:
            found.append(order.maximum_mw)
        if order.maximum_ma is not None:
            over, under = site.unit_mw(evse, phases)
            found.append(order.maximum_ma * 3 * site.voltage_mv // 1_000 * under // over)
    return min(found, default=None)
