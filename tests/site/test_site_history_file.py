"""The file of a site's history: sums that stay sums, whatever is merged, thinned, torn or killed."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.domain.seen import Change, Peak
from pilotwire.domain.steering import WindowSummary
from pilotwire.site.history_file import DAY_MINUTES, Batch, Bounds, HistoryFile, Minute

MINUTE_MS = 60_000
T0 = 29_999_985
"""Minutes since 1970, a multiple of 15."""


def minute(at: int, mw: int = 1_000_000, ms: int = MINUTE_MS, **more: Any) -> Minute:
    return Minute(at, [mw * ms] * 5, [ms] * 5, **more)


def change(at_ms: int, value: int, evse: str = "a") -> Change:
    return Change(at_ms=at_ms, evse=evse, unit="mA", value=value, code="limit", words="L1 of grid (fuse) has no room")


def window(begin: int, known_wh: int, **more: Any) -> WindowSummary:
    fields: dict[str, Any] = {
        "id": "quarters", "node": "grid", "from_ms": begin, "until_ms": begin + 900_000, "energy_wh": 5_000,
        "known_wh": known_wh, "peak_mw": 20_000_000, "billed_mw": 20_000_000, "target_mw": 30_000_000,
        "overshoot_mw": 0, "quality": "register", "causes": {"a": 11_000_000},
    }  # fmt: skip
    return WindowSummary(**{**fields, **more})


power = st.integers(min_value=-50_000_000, max_value=900_000_000)
rows = st.lists(
    st.tuples(st.integers(0, 59), power, st.sampled_from((MINUTE_MS, MINUTE_MS, 30_000, 1, 0))), min_size=1, max_size=40
)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(rows, st.sampled_from((1, 5, 15, 30)))
def test_a_step_is_the_sum_of_its_minutes(tmp_path_factory: pytest.TempPathFactory, told: Any, wide: int) -> None:
    """By reckoning anew from what was written, also after all of it has become quarter hours."""
    file = HistoryFile(tmp_path_factory.mktemp("course") / "history.db", Bounds(minutes=0))
    uj, ms = [0] * 60, [0] * 60
    for at, mw, known in told:
        file.write(Batch(minutes=[minute(T0 + at, mw, known)]))
        uj[at], ms[at] = uj[at] + mw * known, ms[at] + known

    def right(count: int) -> list[int | None]:
        sums = [(sum(uj[k : k + count]), sum(ms[k : k + count])) for k in range(0, 60, count)]
        return [(2 * total + known) // (2 * known) if known else None for total, known in sums]

    def course(count: int) -> list[int | None]:
        found = file.course(T0 * MINUTE_MS, (T0 + 60) * MINUTE_MS, count * MINUTE_MS)
        assert [each.from_ms for each in found.steps] == [(T0 + k) * MINUTE_MS for k in range(0, 60, count)]
        assert all(each.pv_mw == each.grid_mw == each.cars_mw for each in found.steps)
        return [each.grid_mw for each in found.steps]

    assert course(wide) == right(wide)
    file.prune()
    assert course(15) == right(15) and course(60) == right(60)
    # In shorter steps a quarter is spread evenly; where all is known, no energy comes or goes.
    if all(each == MINUTE_MS for each in ms):
        fine = [each or 0 for each in course(5)]
        assert abs(sum(fine) * 5 * MINUTE_MS - sum(uj)) <= 12 * 5 * MINUTE_MS // 2
    file.close()


def test_quarters_that_are_spread_over_their_minutes_keep_their_energy(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db", Bounds(minutes=0))
    file.write(Batch(minutes=[minute(T0 + k, 1_000_000 * k + 1) for k in range(30)]))
    file.prune()
    found = [each.grid_mw or 0 for each in file.course(T0 * MINUTE_MS, (T0 + 30) * MINUTE_MS, MINUTE_MS).steps]
    assert found == [7_000_001] * 15 + [22_000_001] * 15
    shifted = file.course((T0 + 10) * MINUTE_MS, (T0 + 20) * MINUTE_MS, 10 * MINUTE_MS).steps
    assert [each.grid_mw for each in shifted] == [(7_000_001 + 22_000_001) // 2]


def test_what_is_planned_and_stored_and_highest_of_a_step(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db")
    file.write(
        Batch(
            minutes=[
                minute(T0, highest=9_000_000, soc=500, planned=(1_000, None, 10)),
                minute(T0 + 1, highest=12_000_000, planned=(3_000, None, None)),
                minute(T0 + 2, soc=420, highest=7_000_000),
            ]
        )
    )
    (step,) = file.course(T0 * MINUTE_MS, (T0 + 3) * MINUTE_MS, 3 * MINUTE_MS).steps
    assert (step.highest_grid_mw, step.soc_permille) == (12_000_000, 420)
    assert (step.planned_grid_mw, step.planned_cars_mw, step.planned_battery_mw) == (2_000, None, 10)


def test_a_batch_is_written_wholly_or_not_at_all(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db")
    wrong: Any = change(1, 6_000)
    with pytest.raises(sqlite3.Error):
        file.write(Batch(minutes=[minute(T0)], changes=[wrong, Change(**{**_fields(wrong), "words": None})]))  # type: ignore[arg-type]
    assert file.begins_ms() is None and file.changes("a", 0, 10) == ()
    file.write(Batch(minutes=[minute(T0)]))
    (step,) = file.course(T0 * MINUTE_MS, (T0 + 1) * MINUTE_MS, MINUTE_MS).steps
    assert step.grid_mw == 1_000_000


def _fields(one: Change) -> dict[str, Any]:
    return {name: getattr(one, name) for name in one.__struct_fields__}


def test_changes_begin_with_the_one_in_force_and_end_with_the_last_thousand(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db")
    file.write(Batch(changes=[change(k * 10, k) for k in range(1_500)] + [change(5, 77, evse="b")]))
    assert [each.value for each in file.changes("a", 95, 130)] == [9, 10, 11, 12]
    assert [each.at_ms for each in file.changes("a", 100, 110)] == [90, 100]
    assert [each.value for each in file.changes("a", 0, 10**9)] == list(range(500, 1_500))
    assert file.changes("a", -5, 0) == () and file.told() == {"a": (1_499, "limit"), "b": (77, "limit")}


def test_a_window_that_is_told_twice_is_the_better_measured_one(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db")
    for known in (4_000, 1_000, 4_500):
        file.write(Batch(windows=[window(900_000, known)]))
    file.write(Batch(windows=[window(0, 1)]))
    assert [(each.from_ms, each.known_wh) for each in file.windows(0, 1_800_000)] == [(0, 1), (900_000, 4_500)]
    assert [each.from_ms for each in file.windows(900_000, 1_800_000)] == [900_000]
    assert file.windows(0, 1_799_999)[-1].from_ms == 0


def test_a_peak_only_grows_and_learns_when_it_was(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db")
    for peak, at in ((20, None), (20, 7), (19, 9), (20, None), (21, 11)):
        file.write(Batch(peaks=[Peak(window="q", node="grid", month=202601, peak_mw=peak, at_ms=at)]))
        (found,) = file.peaks(202601, 202601)
        assert found.peak_mw == max(peak, 20)
        assert found.at_ms == (None if at is None and peak == 20 and not found.at_ms else 11 if peak == 21 else 7)
    assert file.peaks(202602, 202612) == ()


def test_it_is_bounded_and_no_wrong_clock_empties_it(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db", Bounds(minutes=60, quarters=20, megabytes=1))
    file.write(Batch(minutes=[minute(T0 + k) for k in range(900)]))
    file.write(Batch(minutes=[minute(T0 + 5_000_000)]))  # for a moment it was ten years later
    file.prune()
    course = file.course(T0 * MINUTE_MS, (T0 + 900) * MINUTE_MS, 15 * MINUTE_MS)
    assert sum(each.grid_mw is not None for each in course.steps) == 23  # 20 quarters, and minutes from a whole one on
    for k in range(40):
        file.write(Batch(changes=[change(k * 1_000 + n, n) for n in range(500)]))
    file.prune()
    size = (tmp_path / "history.db").stat().st_size
    assert size < 1_300_000, size
    left = file.changes("a", 0, 10**12)
    assert left[-1].at_ms == 39_499 and len(left) == 1_000  # the newest stay
    file.close()


def test_a_damaged_file_is_put_aside(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    file = HistoryFile(path)
    file.write(Batch(minutes=[minute(T0)]))
    file.close()
    path.write_bytes(b"nothing of a database" * 500)
    anew = HistoryFile(path)
    assert "is damaged" in anew.set_aside and (tmp_path / "history.db.damaged").exists()
    anew.write(Batch(minutes=[minute(T0)]))
    assert anew.begins_ms() == T0 * MINUTE_MS
    anew.close()
    other = sqlite3.connect(path)
    other.execute("PRAGMA user_version=9")
    other.close()
    assert "format 9" in HistoryFile(path).set_aside


def test_what_is_no_course_is_refused(tmp_path: Path) -> None:
    file = HistoryFile(tmp_path / "history.db")
    for begin, end, step in ((0, 10, 0), (0, 10, 1_000), (0, 10**9, MINUTE_MS), (10, 10 - MINUTE_MS, MINUTE_MS)):
        with pytest.raises(ValueError, match=r"course|step"):
            file.course(begin, end, step)
    with pytest.raises(ValueError, match="at most a day"):
        file.course(0, 10**9, 2 * DAY_MINUTES * MINUTE_MS)


_WRITER = """
import sys
from pathlib import Path
from pilotwire.site.history_file import Batch, HistoryFile, Minute
file = HistoryFile(Path(sys.argv[1]))
for k in range(1_000_000):
    # Each batch is two minutes that belong together; a minute in the middle gets of two batches.
    row = lambda at: Minute(at, [k + 1] * 5, [1] * 5)
    file.write(Batch(minutes=[row(2 * k), row(2 * k + 1)]))
    print(k, flush=True)
"""


def test_killed_while_writing_it_lost_nothing_that_was_written_and_has_nothing_by_half(tmp_path: Path) -> None:
    path = tmp_path / "history.db"
    child = subprocess.Popen(
        [sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(os.environ)
    )
    assert child.stdout is not None and child.stderr is not None
    last = -1
    while last < 200:
        line = child.stdout.readline()
        assert line, child.stderr.read().decode()
        last = int(line)
    child.send_signal(signal.SIGKILL)
    said = [int(each) for each in child.stdout.read().split()]
    child.wait(60)
    child.stderr.close()
    last = max([last, *said])
    file = HistoryFile(path)
    assert file.set_aside == ""
    steps = file.course(0, (2 * last + 8) * MINUTE_MS, 2 * MINUTE_MS).steps if last < 2_900 else ()
    for k, step in enumerate(steps):
        # Whole where it was told to be written; what came after that is whole or not there.
        assert step.grid_mw == k + 1 or (k > last and step.grid_mw is None)
    assert steps
    file.close()
