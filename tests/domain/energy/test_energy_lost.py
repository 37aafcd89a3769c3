"""An EVSE that nobody hears: what it may be drawing is kept free, at each moment, and nothing is given twice."""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.energy import (
    Allocation,
    Demand,
    Evse,
    Limit,
    Lost,
    Moment,
    Node,
    Policy,
    Reading,
    Signals,
    SiteTree,
    State,
    allocate,
    prepare,
)

START = 50_000_000


class Site:
    """Second by second; `a` is the EVSE that is lost."""

    def __init__(self, fuse: int = 40, *, evses: int = 2, **lost: Any) -> None:
        first = Evse(id="a", node="grid", maximum=32_000, **lost)
        others = tuple(Evse(id=f"b{at}", node="grid", maximum=32_000) for at in range(evses - 1))
        limit = Limit(source="fuse", phases_ma=(fuse * 1_000,) * 3)
        tree = SiteTree(nodes=(Node(id="grid", kind="connection", limits=(limit,)),), evses=(first, *others))
        self.topology = prepare(tree)
        self.state, self.second = State(), -1
        self.here = [evse.id for evse in tree.evses]

    def tick(self, **signals: Any) -> Allocation:
        self.second += 1
        now = Moment(tick_ms=START + self.second * 1_000, utc_ms=1_800_000_000_000)
        demands = [Demand(evse=id) for id in self.here]
        result = allocate(self.topology, Policy(), demands, Signals(**signals), self.state, now)
        self.state = result.state
        return result

    def run(self, seconds: int, **signals: Any) -> Allocation:
        for _ in range(seconds - 1):
            self.tick(**signals)
        return self.tick(**signals)

    @property
    def now(self) -> int:
        return START + self.second * 1_000


def value(result: Allocation, id: str) -> int:
    return next(point.value for point in result.set_points if point.evse == id)


def kept(result: Allocation) -> int:
    return result.reasons["a"].kept_ma


def test_what_it_was_told_is_kept_until_its_watchdog_then_its_failsafe():
    site = Site(failsafe=6_000, watchdog_ms=60_000)
    site.run(30)
    lost = {"a": Lost(since_ms=site.now)}
    result = site.tick(lost=lost)
    assert (kept(result), value(result, "a"), value(result, "b0")) == (20_000, 6_000, 20_000)
    assert result.reasons["a"].words == (
        "it is not heard: 20000 mA on each of its phases are kept free for what it may be drawing"
    )
    assert kept(site.run(58, lost=lost)) == 20_000
    # It was lowered to 6 A a second after it was heard: until then 20 A may have been taken, or followed.
    assert kept(site.run(11, lost=lost)) == 20_000, "a watchdog that has just fired has to be followed"
    result = site.run(1, lost=lost)
    assert (kept(result), value(result, "b0")) == (6_000, 32_000)


def test_a_failsafe_above_what_it_was_told_is_kept_when_its_watchdog_may_have_fired():
    site = Site(failsafe=16_000, watchdog_ms=60_000, evses=4)
    site.run(30)
    lost = {"a": Lost(since_ms=site.now)}
    assert kept(site.tick(lost=lost)) == 10_000
    assert kept(site.run(58, lost=lost)) == 10_000
    result = site.tick(lost=lost)
    assert kept(result) == 16_000
    assert sum(value(result, f"b{at}") for at in range(3)) <= 24_000


def test_without_a_failsafe_it_may_be_anything():
    for description in ({}, {"watchdog_ms": 60_000}):
        site = Site(**description)
        site.run(30)
        lost = {"a": Lost(since_ms=site.now)}
        result = site.run(80, lost=lost)
        assert (kept(result), value(result, "b0")) == (32_000, 8_000)


def test_without_a_watchdog_it_keeps_what_it_has_or_restarts_to_its_failsafe():
    site = Site(failsafe=6_000)
    site.run(30)
    lost = {"a": Lost(since_ms=site.now)}
    assert kept(site.run(600, lost=lost)) == 20_000


def test_what_was_told_after_it_was_last_heard_may_not_have_arrived():
    """It is lowered, and only then it is found that it had not been heard for 20 s."""
    site = Site(failsafe=6_000, watchdog_ms=60_000)
    site.run(30)
    heard = site.now
    cut = {"grid": (Limit(source="DSO", phases_ma=(14_000,) * 3),)}
    site.run(20, limits=cut)
    result = site.tick(lost={"a": Lost(since_ms=heard)})
    assert kept(result) == 20_000, "not the 7 A that it has been told since"
    assert value(site.run(1, lost={"a": Lost(since_ms=heard)}), "b0") <= 20_000


def test_one_that_has_never_been_heard_may_be_anything():
    site = Site(failsafe=6_000, watchdog_ms=60_000)
    result = site.tick(lost={"a": Lost()})
    assert (kept(result), value(result, "b0")) == (32_000, 8_000)
    assert kept(site.tick(lost={"a": Lost(since_ms=site.now)})) == 32_000, "and until its watchdog is over"
    assert kept(site.run(75, lost={"a": Lost(since_ms=START)})) == 6_000


def test_who_knows_better_says_so():
    site = Site()
    site.run(30)
    assert kept(site.tick(lost={"a": Lost(possible=13_000)})) == 13_000


def test_one_that_comes_back_may_still_draw_what_was_kept_for_it():
    site = Site(failsafe=16_000, watchdog_ms=10_000)
    site.here.remove("b0")
    site.run(5)
    lost = {"a": Lost(since_ms=site.now)}
    site.run(60, lost=lost)
    site.here = ["b0"]
    values = [value(site.tick(), "b0") for _ in range(12)]
    assert values[0] <= 24_000, "16 A may still flow at a, though no car is announced there"
    assert values[-1] == 32_000


def test_a_lost_one_is_no_side_load_as_well():
    """The meter sees what it draws: that is not taken out of the room twice."""
    limit = Limit(source="fuse", phases_ma=(40_000,) * 3)
    grid = Node(id="grid", kind="connection", limits=(limit,), metered=True, side_lost_ma=(0, 0, 0))
    evses = (Evse(id="a", node="grid", maximum=32_000, failsafe=6_000), Evse(id="b", node="grid", maximum=32_000))
    topology, state, result = prepare(SiteTree(nodes=(grid,), evses=evses)), State(), None
    demands = [Demand(evse="a"), Demand(evse="b")]
    for second in range(60):
        now = Moment(tick_ms=START + second * 1_000, utc_ms=0)
        meters = {"grid": Reading(phases_ma=(40_000 if second > 1 else 0,) * 3, at_ms=now.tick_ms)}
        lost = {"a": Lost(since_ms=START + 30_000)} if second >= 30 else {}
        result = allocate(topology, Policy(), demands, Signals(meters=meters, lost=lost), state, now)
        state = result.state
    assert result is not None
    assert value(result, "b") == 20_000


@pytest.mark.parametrize("seeds", [range(0, 40)])
def test_what_was_told_is_never_forgotten_too_soon(seeds: range):
    """Against the whole history: kept is never less than the most that was in force since it was last heard."""
    for seed in seeds:
        draw = random.Random(seed)
        site = Site(failsafe=6_000)
        history: list[int] = []
        heard = START
        for _ in range(draw.randint(5, 60)):
            cut = {"grid": (Limit(source="DSO", phases_ma=(draw.randint(13_000, 64_000),) * 3),)}
            history.append(value(site.run(draw.choice((1, 1, 12)), limits=cut), "a"))
            if draw.random() < 0.3:
                history, heard = history[-1:], site.now
            else:
                heard = site.now if len(history) == 1 else heard  # else it is still out of reach
        assert kept(site.tick(lost={"a": Lost(since_ms=heard)})) >= max(history), seed


@settings(max_examples=40, derandomize=True, deadline=None)
@given(st.integers(0, 2**48))
def test_the_sum_holds_whatever_lost_ones_do(seed: int):
    """A charger that obeys its own rules (set-points that arrive, a watchdog, a fail-safe) beside the allocation."""
    draw = random.Random(seed)
    failsafe, watchdog = draw.choice((6_000, 16_000)), draw.choice((20_000, 60_000))
    count = draw.randint(2, 4)
    site = Site(draw.randint(40, 70), evses=count, failsafe=failsafe, watchdog_ms=watchdog)
    limit = site.topology.tree.nodes[0].limits[0].phases_ma
    assert limit is not None
    dead_from, dead_until = draw.randint(15, 40), draw.randint(60, 150)
    mute = draw.choice((0, 3, 8))  # so long it goes unnoticed
    has, fed, following = 0, START, list[int]()
    for second in range(200):
        dead = dead_from <= second < dead_until
        lost = {}
        if dead_from + mute <= second < dead_until:
            lost = {"a": Lost(since_ms=START + (dead_from - 1) * 1_000)}
        result = site.tick(lost=lost)
        if not dead or draw.random() < 0.1:  # a command may come through though no answer does
            has, fed = value(result, "a"), site.now
        if site.now - fed >= watchdog:
            has = failsafe
        following.append(has)
        car = following[-1 - draw.choice((0, 4))] if len(following) > 4 else 0
        others = sum(point.infeed_ma for point in result.set_points if point.evse != "a")
        assert others + car <= limit[0], (second, others, car)
