"""What a site remembers: no energy made or lost, whatever clocks, gaps, restarts and flapping set-points do."""

from __future__ import annotations

import sqlite3
from itertools import pairwise
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.site.watch_kit import START, Seen

from pilotwire.domain.energy import Moment
from pilotwire.domain.seen import Course, NotKnown
from pilotwire.domain.steering import Plan, Slot
from pilotwire.site.history import BURST, HOLD_MS, RESERVE
from pilotwire.site.picture import picture

MINUTE_MS = 60_000
FLOWS = ("grid", "pv", "battery", "cars", "building")


def flowed(seen: Seen) -> dict[str, int]:
    """What flowed between the ticks, in µJ: reckoned from the pictures, not from the history."""
    found = dict.fromkeys(FLOWS, 0)
    for (inputs, decision), (after, _) in pairwise(seen.shown):
        flows = picture(seen.site, {"roof": "inverter", "cellar": "battery"}, inputs, decision).flows
        held = min(after.now.tick_ms - inputs.now.tick_ms, HOLD_MS)
        for name in FLOWS:
            found[name] += (getattr(flows, name) or 0) * held
    return found


def energy(course: Course, name: str) -> int:
    return sum((getattr(step, f"{name}_mw") or 0) * course.step_ms for step in course.steps)


def course_of(seen: Seen, step_ms: int = MINUTE_MS, begin: int = START, end: int | None = None) -> Course:
    seen.history.flush()
    return seen.history.course(begin, seen.utc if end is None else end, step_ms)


def test_the_course_is_what_flowed(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.chargers["a"].plug(32_000, 3)
    seen.run(65)
    seen.roof.said["power_mw"] = -9_000_000
    seen.cellar.said |= {"power_mw": 2_500_000, "soc_permille": 610}
    seen.chargers["b"].plug(16_000, 1)
    seen.side("grid", (4_000, 2_000, 0))
    seen.run(19 * 60 - 65)
    course, right = course_of(seen), flowed(seen)
    assert len(course.steps) == 19 and right["cars"] > 10**12 and right["pv"] < 0
    db = sqlite3.connect(tmp_path / "history.db")
    for name in FLOWS:
        uj, ms = db.execute(f"SELECT sum({name}_uj), sum({name}_ms) FROM minute").fetchone()
        assert uj == right[name]
        # All is known but the first 200 ms and what comes after the last tick; means are whole mW.
        assert 19 * MINUTE_MS - 1_500 < ms < 19 * MINUTE_MS
        highest = max(abs(getattr(step, f"{name}_mw")) for step in course.steps)
        assert abs(energy(course, name) - uj) <= 19 * MINUTE_MS // 2 + highest * (19 * MINUTE_MS - ms)
    db.close()
    quarter = course_of(seen, 15 * MINUTE_MS, begin=START + MINUTE_MS, end=START + 16 * MINUTE_MS)
    fine = Course(from_ms=START, step_ms=MINUTE_MS, steps=course.steps[1:16])
    assert all(abs(energy(quarter, name) - energy(fine, name)) <= 16 * 15 * MINUTE_MS // 2 for name in FLOWS)
    quarter = course_of(seen, 15 * MINUTE_MS, end=START + 15 * MINUTE_MS)
    grids = [
        picture(seen.site, {}, *each).flows.grid or 0 for each in seen.shown if each[0].now.utc_ms < START + 900_000
    ]
    assert quarter.steps[0].highest_grid_mw == max(grids)
    assert course.steps[-1].soc_permille == 610 and course.steps[0].soc_permille == 500


@settings(max_examples=12, deadline=None, derandomize=True)
@given(
    st.lists(
        st.tuples(st.integers(1, 9_000), st.integers(-80_000, 80_000), st.integers(-20, 60)), min_size=2, max_size=30
    )
)
def test_no_clock_makes_energy_or_loses_any(tmp_path_factory: pytest.TempPathFactory, ticks: Any) -> None:
    """Ticks at any distance, with a UTC that is set at will: what is known adds up to the steady time."""
    seen = Seen(tmp_path_factory.mktemp("clock"))
    seen.run(2)
    inputs, decision = seen.shown[-1]
    history = seen.remember()
    tick, utc = 1_000, START + 10**9
    for passed, set_by, kw in ticks:
        tick, utc = tick + passed, utc + passed + set_by
        seen.roof.said["power_mw"] = kw * 1_000_000
        devices = tuple(
            msgspec.structs.replace(each, points=seen.roof.points()) if each.id == "roof" else each
            for each in inputs.devices
        )
        history.add(msgspec.structs.replace(inputs, now=Moment(tick, utc), devices=devices), decision)
    history.flush()
    db = sqlite3.connect(seen.folder / "history.db")
    uj, ms = db.execute(
        "SELECT sum(pv_uj), sum(pv_ms) FROM minute WHERE at >= ?", ((START + 10**9) // 60_000 - 60,)
    ).fetchone()
    db.close()
    assert ms == sum(min(passed, HOLD_MS) for passed, _, _ in ticks[1:])
    assert uj == sum(before[2] * 1_000_000 * min(after[0], HOLD_MS) for before, after in pairwise(ticks))
    history.close()


def test_what_nobody_has_seen_is_not_known(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.run(59)
    seen.history.close()
    seen.time.run_for(5 * MINUTE_MS)  # the loop goes on, but this process's history is gone: nothing is counted
    course = Seen.remember(seen).course(START, START + 6 * MINUTE_MS, MINUTE_MS)
    assert [step.grid_mw is not None for step in course.steps] == [True, False, False, False, False, False]


def test_a_restart_goes_on_in_the_same_minute(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.run(20.05)
    before = course_of(seen, end=START + MINUTE_MS).steps[0].pv_mw
    seen.history.close()
    seen.remember()
    seen.roof.said["power_mw"] = -12_000_000
    seen.run(20)
    (step,) = course_of(seen, end=START + MINUTE_MS).steps
    assert before == -6_000_000 and step.pv_mw is not None and -9_300_000 < step.pv_mw < -8_700_000
    # Nobody was given anything else meanwhile: the new process has nothing to tell.
    codes = [(each.value, each.code) for each in seen.history.changes("a", 0, seen.utc)]
    assert all(one != other for one, other in pairwise(codes))


def flapping(seen: Seen, seconds: int, every: int) -> None:
    inputs, decision = seen.shown[-1]
    now, points = inputs.now, decision.set_points
    for k in range(0, seconds, every):
        value = 0 if every == 1 and k % 2 else 6_000 + k * 10
        first = msgspec.structs.replace(points[0], value=value)
        later = Moment(now.tick_ms + k * 1_000, now.utc_ms + k * 1_000)
        changed = msgspec.structs.replace(decision, set_points=(first, *points[1:]))
        seen.history.add(msgspec.structs.replace(inputs, now=later), changed)


@pytest.mark.parametrize(("every", "most"), [(2, BURST + 61), (1, BURST + RESERVE + 61)])
def test_a_set_point_that_never_rests_fills_no_disk(tmp_path: Path, every: int, most: int) -> None:
    """Of one that follows the sun, and of one that pauses each other second: an hour long."""
    seen = Seen(tmp_path)
    seen.run(2)
    flapping(seen, 3_600, every)
    seen.history.flush()
    found = seen.history.changes("a", START, START + 7_200_000)
    assert 60 <= len(found) <= most
    # What it has at last is told as soon as there is room: a minute later at most.
    inputs, decision = seen.shown[-1]
    for minute in range(1, 40):
        later = Moment(
            inputs.now.tick_ms + 3_600_000 + minute * 60_000, inputs.now.utc_ms + 3_600_000 + minute * 60_000
        )
        seen.history.add(msgspec.structs.replace(inputs, now=later), decision)
    seen.history.flush()
    assert seen.history.changes("a", START, START + 10**8)[-1].value == decision.set_points[0].value


def test_each_change_has_its_words(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.run(30)
    seen.chargers["a"].plug(32_000, 3)
    seen.run(30)
    seen.history.flush()
    found = seen.history.changes("a", START, seen.utc)
    assert (found[-1].value, found[-1].unit) == (seen.set_points()["a"], "mA") and found[-1].value > 0
    shown = picture(seen.site, {}, *seen.shown[-1])
    assert found[-1].code == shown.evses[0].code
    assert next(each for each in found if each.code == "no_demand").words == "no car wants energy here"
    with pytest.raises(NotKnown, match="there is no EVSE 'x'; there are a, b, c, d"):
        seen.history.changes("x", 0, 1)


def test_windows_and_the_peaks_of_months(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    seen.chargers["a"].plug(32_000, 3)
    seen.run(14 * 60)
    seen.side("grid", (1_000, 1_000, 1_000))
    seen.run(17 * 60)
    found = seen.history.windows(START, seen.utc)
    assert [each.from_ms for each in found] == [START, START + 900_000]
    assert found == tuple(window for _, decision in seen.shown for window in decision.closed)
    (peak,) = seen.history.peaks(START, seen.utc)
    highest = max(found, key=lambda each: each.known_wh)
    # What is billed is what was measured, which the contract counts in whole Wh.
    assert (peak.month, peak.peak_mw, peak.at_ms) == (202701, highest.known_wh * 4_000, highest.from_ms)
    assert peak.peak_mw == seen.loop.state.steering.demands["quarters"].months[-1].peak_mw
    # Written when they ended, not a minute later: a process that dies then has them.
    other = sqlite3.connect(tmp_path / "history.db")
    assert other.execute("SELECT count(*) FROM window").fetchone() == (2,)
    other.close()


def test_what_was_planned_stands_beside_what_came(tmp_path: Path) -> None:
    seen = Seen(tmp_path)
    half = START + 450_000

    def course(first: int, then: int) -> tuple[Slot, ...]:
        return Slot(START, half, first), Slot(half, START + 900_000, then)

    seen.loop.plan = Plan(
        made_ms=START, until_ms=START + 900_000, cars={"a": course(1_000, 3_000), "b": course(10, 10)},
        batteries={"cellar": course(-500, -500)}, sides={"grid": course(7_000, 7_000)},
    )  # fmt: skip
    seen.run(18 * 60)
    one, other = course_of(seen, 15 * MINUTE_MS, end=START + 30 * MINUTE_MS).steps
    assert (one.planned_cars_mw, one.planned_battery_mw) == ((8 * 1_010 + 7 * 3_010) // 15, -500)
    assert one.planned_grid_mw == (one.planned_cars_mw or 0) + 6_500
    assert (other.planned_grid_mw, other.planned_cars_mw) == (None, None)


def test_what_cannot_be_written_is_written_later_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(tmp_path)
    write, fails = seen.history._file.write, [3]

    def full(batch: Any) -> None:
        if fails[0]:
            fails[0] -= 1
            raise sqlite3.OperationalError("database or disk is full")
        write(batch)

    monkeypatch.setattr(seen.history._file, "write", full)
    seen.run(6 * 60)
    assert seen.history.failures == 3 and "disk is full" in seen.reported[0] and len(seen.reported) == 1
    course = course_of(seen)
    assert [step.pv_mw for step in course.steps] == [-6_000_000] * 6
    db = sqlite3.connect(tmp_path / "history.db")
    assert db.execute("SELECT max(pv_ms) FROM minute").fetchone()[0] == MINUTE_MS
    db.close()


def test_a_file_that_breaks_while_it_is_used_is_put_aside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = Seen(tmp_path)
    broken = [True]
    write = seen.history._file.write

    def torn(batch: Any) -> None:
        if broken.pop() if broken else False:
            raise sqlite3.DatabaseError("database disk image is malformed")
        write(batch)

    monkeypatch.setattr(seen.history._file, "write", torn)
    seen.run(3 * 60)
    assert any("was put aside" in each for each in seen.reported)
    assert (tmp_path / "history.db.damaged").exists()
    assert [step.pv_mw for step in course_of(seen).steps] == [-6_000_000] * 3  # the batch that failed was kept
