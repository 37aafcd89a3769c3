"""What the cars would draw if nothing limited them: a battery gives before they are throttled.

A car that has taken less than it was offered for `LESS_MS` wants that and a little more; one that takes all of it, or
of which nothing is known, wants all it can. (Shorter than that it may just be on its way to a new set-point.) Cars
that follow the surplus want their minimum and what they draw.
"""

from collections.abc import Iterable, Mapping

from pilotwire.domain.energy import Moment

from .flows import Flows
from .inputs import Measured
from .site import Site
from .wishes import Shaped, least, most

HEADROOM_MW = 1_000_000
FOLLOWS_PERMILLE = 900
IDLE_MW = 500_000
"""Less than this is nothing, where it is not known what the car was offered."""
LESS_MS = 30_000


def wants(
    site: Site, now_cars: Iterable[Shaped], pool_on: Mapping[str, int], flow: Flows, measured: Measured,
    less_ms: Mapping[str, int], now: Moment,
) -> tuple[dict[str, int], dict[str, int]]:  # fmt: skip
    """(mW by EVSE, since when each that takes less than offered has done so).

    `pool_on`: conductors of the cars of the pool that charge. `less_ms` is the second result of the tick before.
    """
    found: dict[str, int] = {}
    less: dict[str, int] = {}
    for shaped in now_cars:
        evse, demand = shaped.evse, shaped.demand
        cap = site.draws_mw(evse, most(evse, demand), demand.phases)
        drawn = flow.cars[evse.id]
        car = measured.cars.get(evse.id)
        offered = None if car is None else car.offered_mw
        enough = IDLE_MW if offered is None else offered * FOLLOWS_PERMILLE // 1_000
        if drawn is not None and drawn < enough:
            less[evse.id] = less_ms.get(evse.id, now.tick_ms)
            if now.tick_ms - less[evse.id] >= LESS_MS:
                cap = min(cap, drawn + HEADROOM_MW)
        found[evse.id] = cap
    for id, phases in pool_on.items():
        evse, wish = site.evses[id], flow.wishes[id]
        found[id] = max(site.draws_mw(evse, least(evse, wish.demand), phases), flow.cars[id] or 0)
    return found, less
