"""A clock of the day that jumps is marked and told; the cars do not notice."""

from __future__ import annotations

import pytest
from tests.site.site_kit import Small

from pilotwire.domain.energy import Moment
from pilotwire.site.clock import ClockWatch, clock_step


@pytest.mark.parametrize(("by_ms", "way"), [(-5_000, "back by 5000 ms"), (3_600_000, "forward by 3600000 ms")])
async def test_a_step_is_marked_for_an_hour(by_ms: int, way: str) -> None:
    small = Small()
    small.chargers["a"].plug(32_000)
    said, noted = list[str](), list[str]()
    part = ClockWatch(said.append, lambda by, what, refused: noted.append(f"{by}: {what}"))
    await part.start(small.loop)
    small.run(30)
    before = small.set_points()
    small.utc_offset += 1_500
    small.run(5)
    assert not said and ("site", "clock_step") not in small.marks(), "that much is not worth a word"
    small.utc_offset += by_ms
    small.run(5)
    assert ("site", "clock_step") in small.marks()
    assert noted == [f"the clock: the clock has been set {way}"] and way in said[0]
    assert small.set_points() == before
    small.run(3_600)
    assert ("site", "clock_step") not in small.marks() and len(said) == 1
    await part.stop()


def test_a_clock_that_is_set_is_said() -> None:
    before = Moment(tick_ms=5_000, utc_ms=1_000_000)
    assert clock_step(None, before) == ""
    assert clock_step(before, Moment(6_000, 1_003_000)) == ""
    assert clock_step(before, Moment(6_000, 1_003_001)) == "the clock has been set forward by 2001 ms"
    assert clock_step(before, Moment(6_000, 0)) == "the clock has been set back by 1001000 ms"
