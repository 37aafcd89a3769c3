"""What a running node does by itself: a store that failed is opened again, old samples go to history once a day."""

from __future__ import annotations

import asyncio

import pytest

from pilotwire.api.resources.retention import HOT_DAYS
from pilotwire.cli import care
from pilotwire.cli.care import DAY_MS, Care
from pilotwire.core.time import SimScheduler
from pilotwire.domain.records import Sample
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import Entry, StoreFailed


class Watched(MemoryStore):
    """Notes what it was asked to roll off, and can refuse to be opened."""

    def __init__(self) -> None:
        super().__init__()
        self.rolled: list[int] = []
        self.refuse = 0
        self.tried = 0

    async def roll_off(self, before: int) -> int:
        self.rolled.append(before)
        return await super().roll_off(before)

    async def open(self) -> None:
        self.tried += 1
        if self.refuse:
            self.refuse -= 1
            raise StoreFailed("no space left on the disk")
        await super().open()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(care, "LOOK_S", 0.001)


async def until(holds: object) -> None:
    async with asyncio.timeout(90):
        while not holds():  # type: ignore[operator]
            await asyncio.sleep(0.001)


async def test_a_store_that_failed_is_opened_again_when_it_can_be() -> None:
    store = Watched()
    await store.open()
    node = Care(store, SimScheduler())
    await node.start()
    try:
        store.fail()
        store.refuse = 2
        assert not store.ready
        await until(lambda: store.ready)
        assert store.tried == 4  # at first, twice in vain, then well
    finally:
        await node.stop()


async def test_samples_go_to_history_once_a_day() -> None:
    clock = SimScheduler(20_000 * DAY_MS)
    store = Watched()
    await store.open()
    old = Sample(evse=1, connector=1, time=19_990 * DAY_MS, measurand="SoC", value=1, unit="Percent")
    store.append(Entry(tenant="t", station="s", recv_time=0, epoch=1, direction="in", samples=(old,)))
    node = Care(store, clock)
    await node.start()
    try:
        await until(lambda: store.rolled)
        await asyncio.sleep(0.02)
        assert store.rolled == [(20_000 - HOT_DAYS) * DAY_MS]
        clock.run_for(DAY_MS)
        await until(lambda: len(store.rolled) == 2)
        assert store.rolled[1] == store.rolled[0] + DAY_MS
    finally:
        await node.stop()
