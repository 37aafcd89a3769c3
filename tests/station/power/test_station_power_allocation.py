"""Allocation and sharing as pure functions: what must always hold, for any cabinet."""

from __future__ import annotations

from collections import Counter

from hypothesis import example, given, settings
from hypothesis import strategies as st

from pilotwire.station.power.allocation import Allocation, Candidate, Wanted, allocate
from pilotwire.station.power.sharing import Part, share

OUTPUTS = (1, 2, 3, 4)


def candidate(id: int, output: int | None = None, **changes) -> Candidate:
    given = {
        "reach": frozenset(OUTPUTS),
        "max_ma": 100_000,
        "max_mw": 30_000_000,
        "min_mv": 150_000,
        "max_mv": 1_000_000,
    }
    return Candidate(id, output=output, **(given | changes))


wants = st.lists(
    st.builds(Wanted, st.sampled_from(OUTPUTS), st.sampled_from([300_000, 400_000, 800_000, 950_000]),
              st.integers(0, 500_000), st.integers(0, 2)),
    unique_by=lambda w: w.output, max_size=4,
)  # fmt: skip
cabinets = st.lists(
    st.tuples(st.sets(st.sampled_from(OUTPUTS), min_size=1), st.sampled_from([None, *OUTPUTS]), st.booleans(),
              st.booleans(), st.sampled_from([500_000, 1_000_000])),
    max_size=16,
).map(
    lambda rows: [
        candidate(i, at if at in reach else None, reach=frozenset(reach), usable=usable, movable=movable, max_mv=most)
        for i, (reach, at, usable, movable, most) in enumerate(rows)
    ]
)  # fmt: skip


def apply(plan: Allocation, candidates: list[Candidate]) -> list[Candidate]:
    return [unit._replace(output=plan.assigned[unit.id]) for unit in candidates]


@settings(max_examples=120, derandomize=True, deadline=None)
@given(wants, cabinets, st.integers(0, 3), st.integers(0, 2))
@example([Wanted(1, 400_000, 200_000, 1), Wanted(2, 400_000, 200_000)], [candidate(i, 1) for i in range(2)], 1, 0)
@example([Wanted(1, 400_000, 0), Wanted(2, 400_000, 9_000)], [candidate(0, 1, movable=False)], 0, 0)
def test_what_always_holds(wanted: list[Wanted], candidates: list[Candidate], moves: int, reserve: int):
    idle = [output for output in OUTPUTS if output not in {want.output for want in wanted}]
    asked = {want.output: want for want in wanted if want.ma}  # who wants nothing keeps nothing, however short it was
    plan = allocate(wanted, candidates, idle=idle, reserve=reserve, most_moves=moves)
    assert set(plan.assigned) == {unit.id for unit in candidates}
    assert plan.moves <= moves
    moved: set[int] = set()
    for unit in candidates:
        place = plan.assigned[unit.id]
        if place is None:
            assert unit.output is None or plan.reasons[unit.id]
            continue
        assert place in unit.reach and unit.usable
        assert unit.capacity(asked[place].mv) > 0
        if place != unit.output:
            assert plan.reasons[unit.id], "every change has a reason"
            if unit.output in asked and unit.usable and unit.capacity(asked[unit.output].mv):
                assert unit.movable
                moved.add(unit.id)
    assert len(moved) <= moves
    have = Counter(place for place in plan.assigned.values() if place is not None)
    for want in wanted:
        if want.ma and not have[want.output]:
            free = [u for u in candidates if plan.assigned[u.id] is None and want.output in u.reach]
            assert not [unit for unit in free if unit.capacity(want.mv)], "nothing, while one is free"
            # Or at most as long as moves are left, and no other module may or can come: one that has not been long
            # enough where it is, that does not reach it or not its voltage, or that has just been moved.
            others = [u for u in candidates if plan.assigned[u.id] is not None and want.output in u.reach and u.movable]
            able = [u for u in others if u.capacity(want.mv) and have[plan.assigned[u.id]] >= 2]
            assert plan.moves == moves or {u.id for u in able} <= moved, "nothing, while another has two"


@settings(max_examples=80, derandomize=True, deadline=None)
@given(wants, cabinets)
def test_it_comes_to_rest(wanted: list[Wanted], candidates: list[Candidate]):
    """Applied again and again it ends: modules do not wander between outputs for ever."""
    for _ in range(40):
        plan = allocate(wanted, candidates, most_moves=2)
        after = apply(plan, candidates)
        if after == candidates:
            break
        candidates = after
    else:
        raise AssertionError("modules wander")
    assert not allocate(wanted, candidates, most_moves=2).moves


def places(plan: Allocation) -> Counter[int | None]:
    return Counter(plan.assigned.values())


def test_fair_among_equals():
    units = [candidate(i, 1) for i in range(12)]
    wanted = [Wanted(output, 400_000, 500_000) for output in OUTPUTS]
    for _ in range(10):
        units = apply(allocate(wanted, units, most_moves=2), units)
    assert places(allocate(wanted, units)) == {1: 3, 2: 3, 3: 3, 4: 3}


def test_a_reserve_is_kept_for_who_may_come():
    units = [candidate(i) for i in range(4)]
    plan = allocate([Wanted(1, 400_000, 500_000)], units, idle=[2], reserve=1)
    assert places(plan) == {1: 3, None: 1}
    plan = allocate([Wanted(1, 400_000, 500_000), Wanted(2, 400_000, 500_000)], apply(plan, units), reserve=1)
    assert plan.assigned[3] == 2


def test_a_module_goes_where_only_it_can_go():
    units = [candidate(1, reach=frozenset({1, 2})), candidate(2, reach=frozenset({1}))]
    plan = allocate([Wanted(1, 400_000, 75_000), Wanted(2, 400_000, 75_000)], units)
    assert dict(plan.assigned) == {1: 2, 2: 1}


def test_voltage_decides_what_a_module_can_do():
    units = [candidate(1, max_mv=500_000), candidate(2)]
    plan = allocate([Wanted(1, 800_000, 100_000)], units)
    assert dict(plan.assigned) == {1: None, 2: 1}
    assert candidate(1).capacity(800_000) == 37_500 and candidate(1).capacity(200_000) == 100_000


parts = st.lists(st.builds(Part, st.integers(0, 130_000), st.integers(0, 5_000)), max_size=20)


@settings(max_examples=120, derandomize=True, deadline=None)
@given(st.integers(-10, 1_000_000), parts)
def test_shares(total: int, modules: list[Part]):
    shares = share(total, modules)
    assert len(shares) == len(modules)
    assert sum(shares) <= max(0, total)
    assert all(0 <= ma <= part.most for ma, part in zip(shares, modules, strict=True))
    if all(part.most >= part.least for part in modules) and total >= max(
        sum(part.most for part in modules), len(modules) * 5_000
    ):
        assert shares == [part.most for part in modules]
    elif modules and total > len(modules) * 6_000 and all(part.most >= 6_000 for part in modules):
        assert sum(shares) == total
        assert all(ma >= 5_000 for ma in shares)


def test_shares_are_equal_and_none_is_below_its_least():
    assert share(90_000, [Part(100_000)] * 3) == [30_000] * 3
    assert share(90_000, [Part(10_000), Part(100_000), Part(100_000)]) == [10_000, 40_000, 40_000]
    assert share(5_000, [Part(100_000, 2_000)] * 4) == [2_500, 2_500, 0, 0]
    assert share(1_000, [Part(100_000, 2_000)] * 4) == [1_000, 0, 0, 0], "the request is a limit"
