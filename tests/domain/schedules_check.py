"""What must hold for every set of charging profiles. Raises AssertionError with what was wrong."""

from __future__ import annotations

from math import floor

from pilotwire.domain.schedules.compare import differences, on_the_wire
from pilotwire.domain.schedules.engine import Engine
from pilotwire.domain.schedules.model import Place

from .schedules_oracle import caps, in_unit, moment, whole_station
from .schedules_worlds import NOW, WINDOW_S, Set


def _lookup(intervals, offset):
    found = None
    for each in intervals:
        if each.start_ms <= offset:
            found = each
    return found


def check_set(case: Set, name: str = "", *, step: int = 1) -> None:
    """Composite, control loop and wire form agree with the oracle in every second; no cap is exceeded.

    EVSE 0 is looked at every `step` seconds.
    """
    engine = Engine(case.profiles)
    around = case.around
    place = around.places.get(case.evse, Place())
    schedule = engine.composite(now=NOW, duration_ms=WINDOW_S * 1000, evse=case.evse, unit=case.unit, around=around)
    assert schedule.intervals[0].start_ms == 0, name
    for before, after in zip(schedule.intervals, schedule.intervals[1:], strict=False):
        assert before.start_ms < after.start_ms < WINDOW_S * 1000, name
        assert before[1:] != after[1:], name
    wire = on_the_wire(schedule)
    assert not differences(schedule, wire), name
    seen: object = None
    want = None
    limits = None
    for second in range(WINDOW_S):
        at = NOW + second * 1000
        got = _lookup(schedule.intervals, second * 1000)
        shown = _lookup(wire.intervals, second * 1000)
        found = caps(case.profiles, at, NOW, case.evse, around)
        if (found, shown) != seen:
            # What the same periods come to is the same: worked out once.
            seen = (found, shown)
            want = moment(case.profiles, at, NOW, case.evse, case.unit, around, found)
            _under_every_cap(shown, found, case.unit, place, (name, second))
        assert (got.limit, got.phases, got.discharge, got.setpoint, got.mode) == want, (name, second, got, want)
        if case.evse in around.transactions:
            # The control loop sees the same, and asks again no later than something changes.
            now = engine.limits_at(at, evse=case.evse, around=around)
            assert now.until is None or now.until > at, (name, second)
            if limits is None or (limits.until is not None and at >= limits.until):
                _what_the_loop_sees(now, want, generated=found[3] is not None, unit=case.unit, place=place, name=name)
                limits = now
            assert now[:3] == limits[:3], (name, second, now, limits)
    if 0 in around.places and not any(
        period.mode != "ChargingOnly" for each in case.profiles for row in each.schedules for period in row.periods
    ):
        station = engine.composite(now=NOW, duration_ms=WINDOW_S * 1000, evse=0, unit=case.unit, around=around)
        for second in range(0, WINDOW_S, step):
            got = _lookup(station.intervals, second * 1000)
            want = whole_station(case.profiles, NOW + second * 1000, NOW, case.unit, around)
            assert got.limit == want, (name, "station", second, got, want)


def _under_every_cap(shown, found, unit, place, name) -> None:
    """Never above any cap that is active, whatever the combination says (SC.01, K08.FR.04)."""
    chain, outside, others, generated = found
    phases = place.phases if shown.phases is None else shown.phases
    more = 0
    if generated is not None and generated.limit is not None:
        more = in_unit(generated.limit, generated.unit, unit, place, phases)
    for cap in (chain, *outside, *others):
        if cap is not None and cap.limit is not None:
            most = in_unit(cap.limit, cap.unit, unit, place, phases)
            assert shown.limit is not None and shown.limit <= most + more, (name, shown, cap)


def _what_the_loop_sees(limits, want, *, generated, unit, place, name) -> None:
    if limits.rich is not None:
        return
    count = 1 if place.dc else place.phases if limits.phases is None else min(limits.phases, place.phases)
    pairs = ((limits.ma, "A"), (limits.mw, "W"), (place.max_ma, "A"), (place.max_mw, "W"))
    least = min(
        (floor(in_unit(value, own, unit, place, count)) for value, own in pairs if value is not None), default=None
    )
    if not generated:
        assert least == want.limit, (name, limits, want)
    elif least is not None:
        # Local generation is added in both units, and rounded in each.
        assert abs(least - want.limit) <= 2000, (name, limits, want)


def check_split(case: Set, name: str = "") -> None:
    """With limits of single phases: each phase and their sum stay under every cap, plus local generation."""
    around = case.around
    place = around.places.get(case.evse, Place())
    schedule = Engine(case.profiles).composite(
        now=NOW, duration_ms=WINDOW_S * 1000, evse=case.evse, unit=case.unit, around=around
    )
    tx = around.transactions.get(case.evse)
    for second in range(WINDOW_S):
        at = NOW + second * 1000
        got = _lookup(schedule.intervals, second * 1000)
        if got.limit is None:
            continue
        chain, outside, others, generated = caps(case.profiles, at, NOW, case.evse, around)
        phases = 1 if place.dc else place.phases if got.phases is None else got.phases
        parts = [value or 0 for value in (got.limit, got.limit_l2, got.limit_l3)]
        assert all(part >= 0 for part in parts), (name, second, got)
        more = 0
        if generated is not None and generated.limit is not None:
            more = in_unit(generated.limit, generated.unit, case.unit, place, phases)
        single = tx is not None and any(
            period.limit_l2 is not None or period.limit_l3 is not None
            for each in case.profiles
            for row in each.schedules
            for period in row.periods
        )
        for cap in (each for each in (chain, *outside, *others) if each is not None and each.limit is not None):
            if single and cap is chain:
                continue  # the oracle knows no single phases
            most = in_unit(cap.limit, cap.unit, case.unit, place, phases)
            if case.unit == "A":
                assert max(parts) <= most + more, (name, second, got, cap)
            else:
                assert sum(parts) <= most + more, (name, second, got, cap)
        if got.setpoint is not None and got.setpoint_l2 is None and got.limit_l2 is None:
            assert got.setpoint <= got.limit, (name, second, got)
