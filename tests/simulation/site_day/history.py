"""What the site has seen before the day: four weeks of visits, each day made from a seed of its own.

They come from the same kinds of drivers as the day's (`scenario`), and from nothing of the day itself: who comes when,
where, with what car and for how much is drawn anew for each of them. Weekends are empty: the day is a Wednesday.
"""

from __future__ import annotations

import random
from zoneinfo import ZoneInfo

from tests.simulation.site_day.scenario import BEGINS_MS, DAY, Scenario, Session, V, sessions

from pilotwire.domain.planning import Visit

ZONE = ZoneInfo("Europe/Berlin")
DAYS = 28


def visits(day: Scenario, days: int = DAYS, seed: int = 1_000) -> tuple[Visit, ...]:
    """Of the `days` before, as a site's store would have them: what each car said that it wants, and until when."""
    return tuple(
        _visit(day, car, BEGINS_MS - ago * DAY * 1000)
        for ago in range(1, days + 1)
        if ago % 7 not in (3, 4)  # Sunday and Saturday
        for car in sessions(day.tree, random.Random(seed + ago))
    )


def _visit(day: Scenario, car: Session, begins_ms: int) -> Visit:
    return Visit(
        evse=day.tree.evses[car.evse].id,
        arrived_ms=begins_ms + car.arrives * 1000,
        departed_ms=begins_ms + car.declared * 1000,
        energy_wh=int(car.need_wh),
        power_mw=int(car.max_ma * car.phases * V),
    )
