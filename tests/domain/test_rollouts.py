"""Staged roll-outs and single updates: who is next, when it stops, when an update is over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pilotwire.domain import firmware, rollouts
from pilotwire.domain.rollouts import Member, Policy, Tally

NONE = Tally(0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


def members(count: int) -> list[Member]:
    return [Member(station=f"S{number}", number=number) for number in range(count)]


@pytest.mark.parametrize(
    ("total", "stages", "ends"),
    [
        (1000, (1, 10, 100), [10, 100, 1000]),
        (30, (1, 10, 100), [1, 3, 30]),
        (2, (1, 10, 100), [1, 2, 2]),
        (1, (1, 10, 100), [1, 1, 1]),
        (999, (100,), [999]),
        (150, (1, 2, 100), [2, 3, 150]),
    ],
)
def test_how_many_are_begun_in_each_stage(total: int, stages: tuple[int, ...], ends: list[int]) -> None:
    assert rollouts.targets(total, stages) == ends


@given(st.integers(1, 3000), st.sets(st.integers(1, 99), max_size=6))
def test_stages_never_shrink_and_end_with_all(total: int, some: set[int]) -> None:
    ends = rollouts.targets(total, (*sorted(some), 100))
    assert ends == sorted(ends) and ends[-1] == total and ends[0] >= 1


@pytest.mark.parametrize("stages", [(), (1, 10), (10, 1, 100), (1, 1, 100), (0, 100), (100, 100)])
def test_what_are_no_stages(stages: tuple[int, ...]) -> None:
    assert rollouts.check(Policy(stages=stages))
    assert not rollouts.check(Policy())


def test_who_can_be_updated_now_comes_first() -> None:
    every = members(10)
    first = rollouts.choose(every, 1, 2, ["S7", "S9"], 5, everybody=False)
    assert [one.station for one in first] == ["S7", "S9"]
    second = rollouts.choose(every, 2, 4, ["S3"], 6, everybody=False)
    assert [one.station for one in second] == ["S3", "S0"]
    last = rollouts.choose(every, 3, 10, [], 7, everybody=True)
    assert len(last) == 6 and all(one.stage for one in every)
    assert not rollouts.stage_over(every, 1)
    for one in first:
        rollouts.settle(one, "installed", "", 8)
    assert rollouts.stage_over(every, 1) and not rollouts.stage_over(every, 2)


@pytest.mark.parametrize(
    ("target", "found", "stops"),
    [
        (10, NONE._replace(begun=10, installed=9), False),
        (10, NONE._replace(begun=10, installed=9, failed=1), True),
        (10, NONE._replace(begun=10, silent=1), True),
        (100, NONE._replace(begun=100, installed=10, failed=1), False),
        (100, NONE._replace(begun=100, installed=10, failed=1, silent=1), True),
        (1000, NONE._replace(begun=1000, installed=40, failed=2), True),  # not only when ten have failed
        (1000, NONE._replace(begun=1000, installed=400, failed=4), False),
        (1000, NONE._replace(begun=1000, installed=400, lost=8), False),
        (1000, NONE._replace(begun=1000, installed=400, lost=9), True),
        (1000, NONE._replace(begun=1000, installed=400, session_failures=21), True),
        (1000, NONE._replace(begun=1000, installed=400, security_events=1), True),
        (1000, NONE._replace(begun=1000, installed=400, skipped=500), False),
    ],
)
def test_when_it_stops(target: int, found: Tally, stops: bool) -> None:
    assert bool(rollouts.judge(Policy(), target, found)) is stops
    if stops:
        assert rollouts.judge(Policy(), target, rollouts.forgive(found, found)) == ""


def update(**fields: object) -> firmware.Update:
    return firmware.Update(
        station="S", firmware="f", version="2", before="1", request_id=7, ordered_at=0, changed_at=0, **fields
    )  # type: ignore[arg-type]


def test_an_update_is_proven_by_a_boot() -> None:
    one = update()
    assert firmware.told(one, "Downloading", 7, 10) and not firmware.told(one, "Downloading", 7, 20)
    assert one.changed_at == 20 and not firmware.told(one, "Idle", None, 30)
    assert not firmware.told(one, "InstallationFailed", 8, 30), "about another one"
    assert not firmware.booted(one, "1", 30), "a power cut before the installing proves nothing"
    assert firmware.told(one, "Installed", None, 40) and not one.over
    assert firmware.booted(one, "2", 50) and one.outcome == "installed"
    assert not firmware.told(one, "InstallationFailed", 7, 60) and not firmware.booted(one, "1", 70)


@pytest.mark.parametrize("status", sorted(firmware.FAILED))
def test_an_update_fails_in_words(status: str) -> None:
    one = update()
    assert firmware.told(one, status, 7, 10) and (one.outcome, one.reason) == ("failed", status)


def test_silence_is_measured_from_the_time_that_was_given() -> None:
    one = update(wait_until=1_000)
    assert not firmware.overdue(one, 1_900, 1_000)
    assert firmware.overdue(one, 2_000, 1_000) and one.outcome == "silent"
    waits = update()
    firmware.told(waits, "InstallScheduled", 7, 0)
    assert not firmware.overdue(waits, 3_600_000, 1_000), "it waits for a session to end"
    assert firmware.overdue(waits, 25 * 3_600_000, 1_000)


def test_a_station_that_repeats_itself_fills_no_document() -> None:
    one = update()
    for number in range(200):
        firmware.told(one, "Downloading" if number % 2 else "DownloadPaused", 7, number)
    assert len(one.steps) == firmware.MOST_STEPS
