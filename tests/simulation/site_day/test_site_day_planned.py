"""A morning and a night of the day by its plans alone: what a broken planner or forecast costs is seen here."""

from __future__ import annotations

import msgspec
import pytest
from tests.simulation.site_day import foresight, planned
from tests.simulation.site_day.foresight import Seen
from tests.simulation.site_day.history import visits
from tests.simulation.site_day.report import best
from tests.simulation.site_day.scenario import BEGINS_MS, Scenario, scenario

from pilotwire.domain.energy import Topology
from pilotwire.domain.planning import Problem, Visit

EVSES = 40


def share(day: Scenario, past: tuple[Visit, ...], best_wh: float) -> float:
    """Per cent of what the optimum delivers."""
    return 100 * sum(planned.delivered(day, past)) / best_wh


def test_the_past_is_past_and_another_one_with_each_seed() -> None:
    day = scenario(EVSES, begins_h=12, hours=1)
    past = visits(day)
    assert max(each.arrived_ms for each in past) < BEGINS_MS
    assert len(past) > 1_000
    assert {each.evse for each in past} == {each.id for each in day.tree.evses}
    assert visits(day) == past != visits(day, seed=2_000)
    # Nothing of the day itself is in it.
    known = {(each.evse, each.energy_wh, each.departed_ms - each.arrived_ms) for each in past}
    cars = [(day.tree.evses[car.evse].id, int(car.need_wh), car.declared - car.arrives) for car in day.sessions]
    assert not known & {(evse, wh, stays * 1000) for evse, wh, stays in cars}


def test_in_the_morning_room_is_kept_for_those_who_usually_come() -> None:
    # Who has come in a quarter waits for the next one here: on a morning that costs most of what is missing.
    day = scenario(EVSES, hours=5)
    most = best(day)["wh"]
    learned, blind = share(day, visits(day), most), share(day, (), most)
    assert learned > 88
    assert learned > blind + 3


def test_in_the_evening_nobody_waits_for_a_night_that_has_no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    day = scenario(EVSES, begins_h=12, hours=12)
    past, most = visits(day), best(day)["wh"]
    first = share(day, past, most)
    assert first > 98

    real = foresight.problem

    def cheap(day: Scenario, topology: Topology, seen: Seen, past: tuple[Visit, ...]) -> Problem:
        asked = real(day, topology, seen, past)
        return msgspec.structs.replace(asked, options=msgspec.structs.replace(asked.options, early_micro=500))

    monkeypatch.setattr(planned, "problem", cheap)
    assert share(day, past, most) < first - 2
