"""Schedule files, and what counts when they say nothing."""

from __future__ import annotations

import itertools
import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pilotwire.core.time import from_rfc3339, to_rfc3339
from pilotwire.domain.steering import Control
from pilotwire.domain.telecontrol import (
    Figure,
    Schedule,
    ScheduleRules,
    gaps,
    read_schedule,
    replaces,
    rules_faults,
    scheduled,
)

HOUR = 3_600_000
T0 = int(from_rfc3339("2026-01-31T17:00:00+01:00"))
RULES = ScheduleRules(
    id="dso", source="DSO schedule", node="grid", gap=Figure(value_mw=1), stale=Figure(value_mw=2),
    missing=Figure(value_mw=3),
)  # fmt: skip


def made_csv(*rows: str, version: str = "7", header: str = "from,until,kw", count: int | None = None) -> bytes:
    about = (f"# version: {version}", "# valid_until: 2026-02-01T00:00:00+01:00")
    many = f"# entries: {len(rows) if count is None else count}"
    return ("\r\n".join((*about, many, header, *rows)) + "\r\n").encode()


def made_json(*entries: dict[str, Any], **about: Any) -> bytes:
    head: dict[str, Any] = {"version": 7, "valid_until": "2026-02-01T00:00:00+01:00"}
    return json.dumps({**head, **about, "entries": entries}, indent=1).encode()


ROWS = (
    "2026-01-31T17:00:00+01:00,2026-01-31T19:00:00+01:00,50.5",
    "2026-01-31T20:00:00+01:00,2026-01-31T21:00:00+01:00,",
)
ENTRIES: tuple[dict[str, Any], ...] = (
    {"from": "2026-01-31T17:00:00+01:00", "until": "2026-01-31T19:00:00+01:00", "kw": 50.5},
    {"from": "2026-01-31T20:00:00+01:00", "until": "2026-01-31T21:00:00+01:00"},
)


@pytest.mark.parametrize("data", [made_csv(*ROWS), made_json(*ENTRIES), b"\xef\xbb\xbf" + made_csv(*ROWS)])
def test_both_forms_say_the_same(data: bytes) -> None:
    schedule, faults = read_schedule(data)
    assert schedule is not None and not faults
    assert (schedule.version, [each.figure for each in schedule.entries]) == (7, [Figure(value_mw=50_500_000), None])
    assert gaps(schedule) == ((T0 + 2 * HOUR, T0 + 3 * HOUR), (T0 + 4 * HOUR, schedule.valid_until_ms))


@pytest.mark.parametrize(
    ("hours", "value", "why"),
    [(-1, 1, "gap"), (0, 50_500_000, "entry"), (1.999, 50_500_000, "entry"), (2, 1, "gap"), (3, None, "entry"),
     (4, 1, "gap"), (6.999, 1, "gap"), (7, 2, "stale")],
)  # fmt: skip
def test_what_counts_when(hours: float, value: int | None, why: str) -> None:
    schedule = read_schedule(made_csv(*ROWS)).schedule
    found = scheduled(RULES, schedule, T0 + int(hours * HOUR))
    wanted = None if value is None else Control("dso", "DSO schedule", "import_limit", "grid", value_mw=value)
    assert found == (wanted, why)


def test_a_missing_file_has_a_written_state() -> None:
    control, why = scheduled(RULES, None, T0)
    assert control is not None and (control.value_mw, why) == (3, "missing")


def test_percent_is_of_what_is_written() -> None:
    schedule = read_schedule(made_csv(ROWS[0], header="from,until,percent")).schedule
    rules = ScheduleRules(id="x", source="s", node="grid", reference_mw=1_000_000)
    control = scheduled(rules, schedule, T0).control
    assert control is not None and control.value_mw == 505_000
    export = scheduled(ScheduleRules(id="x", source="s", node="grid", kind="export_limit"), schedule, T0).control
    assert export is not None and (export.permille, export.value_mw) == (505, None)
    assert rules_faults(ScheduleRules(id="x", source="s", node="g"), schedule) and not rules_faults(rules, schedule)
    assert rules_faults(ScheduleRules(id="x", source="s", node="g", gap=Figure()))


@pytest.mark.parametrize(("day", "hours"), [("2026-03-29", 23), ("2026-10-25", 25), ("2026-06-01", 24)])
@pytest.mark.parametrize("form", ["csv", "json"])
def test_a_day_on_which_the_clock_is_moved(day: str, hours: int, form: str) -> None:
    from datetime import datetime, timedelta
    from zoneinfo import ZoneInfo

    zone = ZoneInfo("Europe/Berlin")
    here = datetime.fromisoformat(day).replace(tzinfo=zone)
    end = (here + timedelta(days=1)).astimezone(ZoneInfo("UTC"))
    instants = [here.astimezone(ZoneInfo("UTC"))]
    while instants[-1] < end:
        instants.append(instants[-1] + timedelta(hours=1))
    local = [each.astimezone(zone).isoformat() for each in instants]
    pairs = list(itertools.pairwise(local))
    if form == "csv":
        data = made_csv(*(f"{a},{b},{at}" for at, (a, b) in enumerate(pairs)))
    else:
        data = made_json(*({"from": a, "until": b, "kw": at} for at, (a, b) in enumerate(pairs)))
    schedule, faults = read_schedule(data)
    assert not faults and schedule is not None and len(schedule.entries) == hours
    assert [each.figure for each in schedule.entries] == [Figure(value_mw=at * 1_000_000) for at in range(hours)]
    assert all(a.until_ms == b.from_ms for a, b in zip(schedule.entries, schedule.entries[1:], strict=False))


GOOD = "2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,5"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (made_csv(GOOD, "2026-01-31T17:59:00Z,2026-01-31T19:00:00Z,5"), "line 6: overlaps line 5"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T23:00:00Z,5", GOOD, "2026-01-31T22:00:00Z,2026-02-01T00:00:00Z,"),
         "line 7: overlaps line 5"),
        (made_csv("2026-01-31T17:00:00,2026-01-31T18:00:00Z,5"), "line 5: from has to be a time with an offset"),
        (made_csv("2026-01-31T18:00:00Z,2026-01-31T18:00:00Z,5"), "line 5: until is not after from"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,-5"), "line 5: kw has to be a number"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,NaN"), "line 5: kw has to be a number"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,1e3"), "line 5: kw has to be a number"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,99999999999"), "line 5: kw is from 0"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,101", header="from,until,percent"), "percent is from 0"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z,1,2", header="from,until,kw,percent"), "not both"),
        (made_csv("2026-01-31T17:00:00Z,2026-01-31T18:00:00Z"), "line 5: has 2 values under 3 headings"),
        (made_csv(GOOD, header="from;until;kw"), "line 4: the header is"),
        (made_csv(GOOD, count=2), "there are 1 entries, not 2"),
        (made_csv(GOOD, version="x"), "version has to be a whole number"),
        (made_csv(GOOD)[:-2], "line 5: the file ends in the middle of a line"),
        (made_csv(GOOD).replace(b"# version", b"# sion"), "version has to be"),
        (b"", "the file is empty"),
        (b"\n\n\xff", "line 3: is not UTF-8"),
        (b"a" * 4_000_001, "bytes"),
        (made_json(ENTRIES[0], ENTRIES[0]), "line 10: overlaps line 5"),
        (made_json({**ENTRIES[0], "kw": True}), "line 5: kw has to be a number"),
        (made_json({**ENTRIES[0], "kw": float("nan")}), "line 5: kw has to be a number"),
        (made_json({**ENTRIES[0], "kwh": 1}), "line 5: 'kwh' is not known"),
        (made_json(**{"limit": 1}), "'limit' is not known"),
        (made_json(ENTRIES[0])[:-9], "is not JSON"),
        (b'{"version": 1}', "there are no entries"),
        (b'{"version": 1, "version": 2}', "there twice"),
        (b'{"a": ' + b"[" * 100_000, "nested too deeply"),
        (b'{"version": ' + b"9" * 5_000 + b', "entries": []}', "version has to be"),
        (b'{"entries": 5}', "has to be a list"),
        (b'{"entries": [5]}', "an entry is an object"),
        (b'{} x', "behind the end"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(data: bytes, said: str) -> None:
    schedule, faults = read_schedule(data)
    assert schedule is None
    assert any(said in str(fault) for fault in faults), [str(each) for each in faults]


@pytest.mark.parametrize("data", [made_csv(*ROWS), made_json(*ENTRIES)], ids=["csv", "json"])
def test_no_part_of_a_file_is_ever_read_as_a_file(data: bytes) -> None:
    for size in range(len(data)):
        assert read_schedule(data[:size]).schedule is None or not data[size:].strip(), size


@settings(max_examples=300, derandomize=True, deadline=None)
@given(st.binary(max_size=200) | st.builds(
    lambda data, at, byte: data[:at] + bytes([byte]) + data[at + 1 :],
    st.sampled_from((made_csv(*ROWS), made_json(*ENTRIES))), st.integers(0, 250), st.integers(0, 255),
))  # fmt: skip
def test_any_bytes_are_a_whole_schedule_or_are_refused_with_a_reason(data: bytes) -> None:
    schedule, faults = read_schedule(data)
    assert (schedule is None) is bool(faults)
    for a, b in zip(schedule.entries, schedule.entries[1:], strict=False) if schedule else ():
        assert a.from_ms < a.until_ms <= b.from_ms


def test_only_a_newer_version_takes_the_place() -> None:
    old = Schedule(7, 1, ())
    assert not replaces(None, old) and not replaces(old, old) and not replaces(old, Schedule(8, 1, ()))
    assert "older" in replaces(old, Schedule(6, 1, ())) and "without a new version" in replaces(old, Schedule(7, 2, ()))


def test_a_long_schedule_is_found_by_halving() -> None:
    rows = tuple(f"{to_rfc3339(T0 + i * HOUR)},{to_rfc3339(T0 + (i + 1) * HOUR)},{i}" for i in range(2_000))
    data = made_csv(*rows).replace(b"2026-02-01T00:00:00+01:00", b"2027-01-01T00:00:00+01:00", 1)
    schedule = read_schedule(data).schedule
    for hour in (0, 1, 999, 1_999):
        control = scheduled(RULES, schedule, T0 + hour * HOUR + 5).control
        assert control is not None and control.value_mw == hour * 1_000_000
