"""What days gone by say of the one that comes, and what a plan makes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from tests.domain.planning.planning_worlds import HOUR, flat, small

from pilotwire.core.errors import LocalError
from pilotwire.domain.energy import Evse, Limit, Node, prepare
from pilotwire.domain.planning import (
    Expected,
    Need,
    Options,
    Prices,
    Problem,
    Visit,
    expected,
    plan,
)

BERLIN = ZoneInfo("Europe/Berlin")
SITE = prepare(
    small(
        *(Evse(id=f"e{at}", node="a" if at < 3 else "b", maximum=32_000) for at in range(6)),
        limits=(Limit(source="fuse", phases_ma=flat(32_000)),),
        nodes=(Node(id="a", kind="group", parent="grid"), Node(id="b", kind="group", parent="grid")),
    )
)
KW_11 = 11_040_000


def local(day: int, hour: int, minute: int = 0, month: int = 6) -> int:
    """In 2026; 1 June is a Monday."""
    return int(datetime(2026, month, day, hour, minute, tzinfo=BERLIN).timestamp() * 1000)


def visit(day: int, hour: int, stays_h: int = 8, evse: str = "e0", wh: int = 20_000, month: int = 6) -> Visit:
    """On three phases."""
    begins = local(day, hour, month=month)
    return Visit(evse=evse, arrived_ms=begins, departed_ms=begins + stays_h * HOUR, energy_wh=wh, power_mw=KW_11)


def of(*visits: Visit, day: int = 5, hour: int = 6, hours: int = 24, **more: object) -> tuple[Expected, ...]:
    """At that hour, for that long."""
    now = local(day, hour)
    return expected(SITE, visits, BERLIN, now_ms=now, until_ms=now + hours * HOUR, **more)  # type: ignore[arg-type]


def test_nothing_is_expected_of_a_site_without_a_past() -> None:
    assert of() == ()
    assert of(visit(5, 3)) == ()  # today is no day gone by


def test_a_visit_on_each_working_day_is_expected_whole_and_one_in_two_as_half() -> None:
    every = of(visit(2, 8), visit(3, 8), visit(4, 8), hours=12)
    assert every == (Expected("a", 20_000, local(5, 8), local(5, 16), KW_11),)
    half = of(visit(1, 8), visit(3, 8), hours=12)  # Monday to Thursday: two of four days
    assert [(each.energy_wh, each.power_mw) for each in half] == [(10_000, KW_11 // 2)]


def test_days_are_alike_by_kind_and_holidays_are_sundays() -> None:
    past = (visit(1, 8), visit(6, 9, evse="e1"), visit(7, 10, evse="e2"))  # Monday, Saturday, Sunday
    assert [each.arrival_ms for each in of(*past, day=13, hours=12)] == [local(13, 9)]
    assert [each.arrival_ms for each in of(*past, day=14, hours=12)] == [local(14, 10)]
    holiday = frozenset({local(9, 12) // 86_400_000})
    assert [each.arrival_ms for each in of(*past, day=9, hours=12, holidays=holiday)] == [local(9, 10)]


def test_the_future_and_evses_that_are_no_more_are_not_looked_at() -> None:
    assert of(visit(4, 8), visit(8, 8), visit(4, 9, evse="gone"), hours=12) == of(visit(4, 8), hours=12)
    assert of(visit(3, 8), visit(4, 8), visit(5, 8), hour=10, hours=12) == ()  # who comes at 8 has come


def test_only_the_last_like_days_count() -> None:
    old = tuple(visit(day, 8, wh=40_000) for day in (1, 2))
    new = tuple(visit(day, 8, wh=10_000) for day in (3, 4))
    assert [each.energy_wh for each in of(*old, *new, hours=12)] == [25_000]
    assert [each.energy_wh for each in of(*old, *new, hours=12, days=2)] == [10_000]


def test_nobody_is_expected_where_somebody_still_stands() -> None:
    past = (visit(4, 8, stays_h=2),)
    assert of(*past, hours=12, busy={"e0": local(5, 10)}) == ()
    late = of(*past, hours=12, busy={"e0": local(5, 9)})
    assert [(each.arrival_ms, each.energy_wh) for each in late] == [(local(5, 9), 11_040)]
    assert of(*past, hours=12, busy={"e1": local(5, 10)}) == of(*past, hours=12)


def test_visits_of_one_node_and_time_are_one_row_at_their_mean() -> None:
    rows = of(visit(4, 8), visit(4, 8, evse="e1", wh=60_000), visit(4, 8, evse="e4"), hours=12)
    assert [(row.node, row.energy_wh, row.power_mw) for row in rows] == [
        ("a", 80_000, 2 * KW_11),
        ("b", 20_000, KW_11),
    ]
    visits = (visit(4, 8), visit(4, 8, evse="e1", wh=60_000), visit(4, 8, evse="e4"))
    rows = of(*visits, hours=12, depth=0)
    assert [(row.node, row.energy_wh, row.power_mw) for row in rows] == [("grid", 100_000, 3 * KW_11)]
    assert of(*visits, hours=12, depth=1) == of(*visits, hours=12, depth=9) == of(*visits, hours=12)


def test_the_clock_on_the_wall_counts_where_it_was_set_forward() -> None:
    # 29 March 2026: a day of 23 hours; the Sunday before had 24.
    now = local(29, 0, month=3)
    rows = expected(SITE, (visit(22, 8, month=3),), BERLIN, now_ms=now, until_ms=now + 12 * HOUR)
    assert [datetime.fromtimestamp(row.arrival_ms / 1000, UTC).hour for row in rows] == [6]
    assert rows[0].arrival_ms - now == 7 * HOUR


def test_a_plan_does_not_leave_for_the_cheap_night_what_the_night_has_no_room_for() -> None:
    # One car of 22 kW: alone it waits for the night; with another expected there is room for only one of them then.
    now = local(5, 18)
    prices = Prices(import_micro=(340_000,) * 8 + (190_000,) * 8)
    need = Need(evse="e0", energy_wh=40_000, departure_ms=now + 4 * HOUR)
    base = Problem(topology=SITE, now_ms=now, needs=(need,), prices=prices, options=Options(steps=16))
    alone = plan(base)
    assert sum(alone.cars[0].targets[:8]) == 0
    comes = (Expected("b", 44_000, now + 2 * HOUR, now + 4 * HOUR, 22_080_000),)
    problem = Problem(
        topology=SITE, now_ms=now, needs=(need,), prices=prices, options=Options(steps=16), expected=comes
    )  # fmt: skip
    made = plan(problem)
    assert len(made.cars) == 1
    assert made.cars[0].unmet_wh < 200
    assert sum(made.cars[0].targets[:8]) * 690 / 4_000 > 39_000
    assert min(made.grid_mw[9:15]) > 20_000_000  # what is expected is in the expected import


def test_what_is_expected_at_no_place_or_of_no_sense_is_refused() -> None:
    now = local(5, 18)
    for wrong in (Expected("nowhere", 1, now, now + HOUR, 1), Expected("a", -1, now, now + HOUR, 1)):
        with pytest.raises(LocalError, match="expected"):
            plan(Problem(topology=SITE, now_ms=now, expected=(wrong,), options=Options(steps=4)))
