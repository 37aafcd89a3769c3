"""The store of queues: memory and SQLite are the same, and what is told to be kept is kept."""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import SimScheduler
from pilotwire.storage.forwarding import EMPTY, Change, MemoryForwarding, SqliteForwarding


async def _written(store: Any, *changes: Change) -> Exception | None:
    done: asyncio.Future[Exception | None] = asyncio.get_running_loop().create_future()
    store.write(changes, done.set_result)
    return await done


async def _fetched(store: Any, box: str, after: int, limit: int) -> list[tuple[int, bytes]]:
    done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
    store.fetch(box, after, limit, done.set_result)
    return await done


def _changes(random: Random) -> list[Change]:
    return [
        Change(
            random.choice("ab"),
            notes={random.choice("xyz"): random.choice((None, b"1", b"2"))},
            push=[(random.randint(1, 9), bytes([random.randint(0, 9)]))] if random.random() < 0.7 else (),
            pop=[random.randint(1, 9)] if random.random() < 0.4 else (),
        )
        for _ in range(random.randint(1, 3))
    ]


async def test_both_do_the_same(tmp_path: Path) -> None:
    scheduler = SimScheduler()
    memory, sqlite = MemoryForwarding(scheduler), SqliteForwarding(tmp_path / "f.sqlite")
    random = Random(4)
    for _ in range(150):
        changes = _changes(random)
        memory.write(changes, lambda error: None)
        scheduler.run_for(10)
        assert await _written(sqlite, *changes) is None
        box, after = random.choice("abc"), random.randint(0, 9)
        found: list[Any] = []
        memory.fetch(box, after, 3, found.append)
        scheduler.run_for(10)
        assert await _fetched(sqlite, box, after, 3) == found[0]
    await sqlite.close()
    again = SqliteForwarding(tmp_path / "f.sqlite")
    boxes, expected = again.boxes(), memory.boxes()
    for name in "ab":
        assert boxes.get(name, EMPTY) == expected.get(name, EMPTY)
    await again.close()


async def test_many_writes_are_one_commit_and_told_in_order(tmp_path: Path) -> None:
    store = SqliteForwarding(tmp_path / "f.sqlite")
    told: list[int] = []
    last = asyncio.Event()
    for number in range(500):
        store.write([Change("a", push=[(number + 1, b"x")])], lambda error, n=number: told.append(n))
    store.write([], lambda error: last.set())
    await last.wait()
    assert told == list(range(500))
    assert store.commits < 250
    await store.close()


async def test_a_write_that_fails_is_told_and_harms_no_other(tmp_path: Path) -> None:
    store = SqliteForwarding(tmp_path / "f.sqlite")
    verdicts: list[Exception | None] = []
    store.write([Change("a", push=[(1, b"x")])], verdicts.append)
    store.write([Change("a", push=[(2**70, b"x")], notes={"n": b"1"})], verdicts.append)
    store.write([Change("a", push=[(3, b"x")])], verdicts.append)
    assert await _written(store) is None
    assert [verdict is None for verdict in verdicts] == [True, False, True]
    assert await _fetched(store, "a", 0, 9) == [(1, b"x"), (3, b"x")]
    await store.close()
    again = SqliteForwarding(tmp_path / "f.sqlite")
    assert again.boxes()["a"].notes == {}
    await again.close()


def test_a_file_that_is_no_store_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    path.write_bytes(b"this is not a database, whatever its name may say" * 50)
    with pytest.raises(ConfigError):
        SqliteForwarding(path)


_WRITER = """
import asyncio, sys
from pilotwire.storage.forwarding import Change, SqliteForwarding

async def main():
    store = SqliteForwarding(sys.argv[1])
    for number in range(1, 100_000):
        done = asyncio.get_running_loop().create_future()
        store.write([Change("a", push=[(number, b"x" * 200)])], done.set_result)
        assert await done is None
        print(number, flush=True)

asyncio.run(main())
"""


def test_what_was_told_survives_sigkill(tmp_path: Path) -> None:
    path = tmp_path / "f.sqlite"
    process = subprocess.Popen([sys.executable, "-c", _WRITER, str(path)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    told = 0
    for line in process.stdout:
        told = int(line)
        if told == 40:
            process.kill()
    process.wait()
    process.stdout.close()
    assert told >= 40
    db = sqlite3.connect(path)
    kept = [row[0] for row in db.execute("SELECT position FROM waiting ORDER BY position")]
    db.close()
    assert kept[:told] == list(range(1, told + 1))
