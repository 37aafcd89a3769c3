"""What is memory's own: simulated commits, crashes, deferred callbacks, a bounded journal."""

from __future__ import annotations

import pytest
from storage_kit import KEY, entry, sample, session

from pilotwire.core.time import SimScheduler
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import StoreFailed


async def test_done_is_called_at_once_or_deferred() -> None:
    told: list[object] = []
    MemoryStore().append(entry(), told.append)
    assert told == [None]
    later: list[object] = []
    store = MemoryStore(defer=later.append)
    store.append(entry(), told.append)
    store.load_station(KEY, lambda image: told.append(image.complete))
    assert told == [None]
    for call in later:
        call()  # type: ignore[operator]
    assert told == [None, None, True]


async def test_simulated_commits_take_their_time_in_groups() -> None:
    clock = SimScheduler(0)
    store = MemoryStore(scheduler=clock, delay_ms=5)
    told: list[tuple[int, int]] = []

    def note(number: int):
        return lambda error: told.append((number, clock.now()))

    store.append(entry(1), note(1))
    store.append(entry(2), note(2))
    clock.run_until(2)
    store.append(entry(3), note(3))
    assert [row async for row in store.journal()] == []
    clock.run_until(20)
    assert told == [(1, 5), (2, 5), (3, 10)]
    assert [row.seq async for row in store.journal()] == [1, 2, 3]


async def test_records_are_kept_as_they_were_when_the_group_was_taken() -> None:
    clock = SimScheduler(0)
    store = MemoryStore(scheduler=clock, delay_ms=5)
    one = session(energy_wh=1)
    store.append(entry(1, touched=(one,)))
    clock.run_until(1)
    one.energy_wh = 2
    store.append(entry(2, touched=(one,)))
    clock.run_until(5)
    assert (await store.session("default", "s1")).energy_wh == 1  # type: ignore[union-attr]
    clock.run_until(10)
    assert (await store.session("default", "s1")).energy_wh == 2  # type: ignore[union-attr]


async def test_a_crash_loses_what_was_not_committed_and_tells_nobody() -> None:
    clock = SimScheduler(0)
    store = MemoryStore(scheduler=clock, delay_ms=5)
    told: list[object] = []
    store.append(entry(1, touched=(session(energy_wh=1),)), told.append)
    clock.run_until(5)
    store.append(entry(2, touched=(session(energy_wh=2),)), told.append)
    store.load_station(KEY, told.append)
    clock.run_until(7)
    store.append(entry(3), told.append)
    store.crash()
    with pytest.raises(StoreFailed):
        store.append(entry(4))
    clock.run_until(100)
    assert told == [None]
    await store.open()
    assert [row.seq async for row in store.journal()] == [1]
    assert (await store.session("default", "s1")).energy_wh == 1  # type: ignore[union-attr]
    store.append(entry(5), told.append)
    clock.run_until(200)
    assert told == [None, None]
    assert [row.frame async for row in store.journal()] == [entry(1).frame, entry(5).frame]


async def test_lookups_wait_for_what_was_appended_before_them() -> None:
    clock = SimScheduler(0)
    store = MemoryStore(scheduler=clock, delay_ms=5)
    store.append(entry(1, touched=(session(),)))
    found: list[object] = []
    store.find_session(KEY, "t-s1", "", found.append)
    clock.run_until(4)
    assert found == []
    clock.run_until(5)
    assert found == [session()]


async def test_position_is_the_entry_that_is_told_of_also_when_the_store_closes_or_fails() -> None:
    clock = SimScheduler(0)
    store = MemoryStore(scheduler=clock, delay_ms=5)
    told: list[int] = []

    def append(*numbers: int) -> None:
        for number in numbers:
            store.append(entry(number), lambda error: told.append(store.position))

    append(1, 2)
    clock.run_until(10)
    append(3, 4)
    await store.close()
    assert told == [1, 2, 3, 4]
    await store.open()
    append(5)
    store.fail()
    assert told == [1, 2, 3, 4, 0]


async def test_failure_refuses_what_waits_until_opened_again() -> None:
    clock = SimScheduler(0)
    store = MemoryStore(scheduler=clock, delay_ms=5, queue=2)
    told: list[object] = []
    store.append(entry(1), told.append)
    store.append(entry(2), told.append)
    with pytest.raises(StoreFailed, match="full"):
        store.append(entry(3), told.append)
    store.fail()
    assert [type(one) for one in told] == [StoreFailed, StoreFailed]
    assert not store.ready
    await store.open()
    store.append(entry(4), told.append)
    clock.run_until(50)
    assert told[2:] == [None]
    assert len([row async for row in store.journal()]) == 1


async def test_a_bounded_journal_keeps_the_newest_and_every_projection() -> None:
    store = MemoryStore(limit=10)
    for number in range(100):
        store.append(entry(number, touched=(session(f"s{number}"),), samples=(sample(number),)))
    assert [row.seq async for row in store.journal()] == list(range(91, 101))
    assert len((await store.sessions("default", limit=1000)).items) == 100
    assert [one.time for one in await store.samples("default", "s1")] == list(range(90, 100))
