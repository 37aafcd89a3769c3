"""What each car is to do now by its mode, the prices and the plan."""

from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.energy import Demand, Evse, Moment

from .inputs import External, Plan, Wish, planned
from .prices import is_cheapest, needed_ms, price_at
from .reasons import Reason
from .site import Site

Follows = Literal["now", "min_pv", "pv", "wait"]


class Shaped(NamedTuple):
    """`demand` may have been capped by the plan; `reason` None where the mode alone decides."""

    wish: Wish
    evse: Evse
    follows: Follows
    demand: Demand
    reason: Reason | None


def least(evse: Evse, demand: Demand) -> int:
    """The lowest set-point but 0, in the EVSE's unit."""
    return max(1, -(-max(evse.minimum, demand.minimum) // evse.step)) * evse.step


def most(evse: Evse, demand: Demand) -> int:
    """The highest set-point of car and EVSE."""
    return (evse.maximum if demand.maximum is None else min(evse.maximum, demand.maximum)) // evse.step * evse.step


def shape(site: Site, wish: Wish, external: External, plan: Plan | None, now: Moment) -> Shaped:
    """The plan comes first, then the limit of price, then the cheapest hours, then the mode."""
    demand, id = wish.demand, wish.demand.evse
    evse = site.evses[id]
    if wish.mode == "off":
        return Shaped(wish, evse, "wait", demand, Reason(id, "mode_off", "mode"))
    otherwise: Follows = "wait" if wish.mode == "now" else wish.mode
    wanted = None if plan is None else planned(plan.cars, id, now.utc_ms)
    if wanted is not None:
        reason = Reason(id, "plan", "plan", {"limit_mw": wanted})
        if wanted <= 0:
            return Shaped(wish, evse, otherwise, demand, reason)
        over, under = site.unit_mw(evse, demand.phases)
        # Up to the next step: less than planned would have to be made good later.
        cap = max(least(evse, demand), -(-wanted * under // (over * evse.step)) * evse.step)
        capped = cap if demand.maximum is None else min(cap, demand.maximum)
        return Shaped(wish, evse, "now", msgspec.structs.replace(demand, maximum=capped), reason)
    if wish.cheap_below is None and not wish.cheapest:
        return Shaped(wish, evse, wish.mode, demand, None)
    price = price_at(site.config, external, now.utc_ms)
    source = "prices" if price is None else price[1]
    micro = 0 if price is None else price[0].import_micro
    reason = None
    if wish.cheap_below is not None and price is not None:
        figures = {"price_micro": micro, "limit_micro": wish.cheap_below}
        if micro <= wish.cheap_below:
            return Shaped(wish, evse, "now", demand, Reason(id, "price_cheap", source, figures))
        reason = Reason(id, "price_wait", source, figures)
    if wish.cheapest and demand.departure_ms is not None and demand.energy_wh is not None:
        power = site.draws_mw(evse, most(evse, demand), demand.phases)
        needs = needed_ms(demand.energy_wh, power)
        figures = {"price_micro": micro, "needs_ms": needs}
        if is_cheapest(site.config, external, needs, demand.departure_ms, now.utc_ms) is not False:
            return Shaped(wish, evse, "now", demand, Reason(id, "cheapest_now", source, figures))
        reason = Reason(id, "cheapest_wait", source, figures)
    if reason is None:  # no price is known, or not until when: nothing to wait for
        return Shaped(wish, evse, wish.mode, demand, None)
    return Shaped(wish, evse, otherwise, demand, reason)
