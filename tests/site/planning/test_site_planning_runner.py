"""When plans are made, what becomes of them, and that nothing that a plan says or does not say harms the site."""

from __future__ import annotations

from tests.site.planning.site_planning_kit import EVENING, HOUR, Planned


def test_a_plan_is_made_and_followed() -> None:
    small = Planned()
    small.run(5)
    small.chargers["a"].ask(20_000, EVENING + 8 * HOUR)
    small.run(60)
    assert small.loop.counts.failures == 0, small.said
    assert small.runner.counts.failures == 0, small.runner.failure
    assert small.loop.plan is not None
    assert small.drawn()["a"] == 0, "it waits for the cheap night"
    assert small.marks() == set()
    print(small.runner.words, small.loop.plan)
