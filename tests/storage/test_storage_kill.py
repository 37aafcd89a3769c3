"""SIGKILL in the middle of traffic, again and again over one database: what was answered is there, once."""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

import pytest

from pilotwire.storage.open import open_store
from pilotwire.storage.sqlstore import SqlStore
from pilotwire.storage.verify import verify

PROGRAM = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[3])
from storage_kit import entry, sample, session
from pilotwire.storage.open import open_store

async def main():
    store = open_store(sys.argv[1])
    await store.open()
    first = int(sys.argv[2])
    records = [session(f"s{n}") for n in range(7)]
    number = first
    def send():
        nonlocal number
        mine = number = number + 1
        record = records[mine % 7]
        record.energy_wh = mine
        def done(error):
            assert error is None, error
            os.write(1, f"{mine}\\n".encode())
            send()
        store.append(entry(mine, touched=(record,), samples=(sample(mine),)), done)
    for _ in range(20):
        send()
    await asyncio.Event().wait()
asyncio.run(main())
"""


@pytest.mark.parametrize("database", ["sqlite", "postgres"])
async def test_five_kills(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    chance = random.Random(5)
    address = str(tmp_path / "data")
    if database == "postgres":
        address = await asyncio.to_thread(request.getfixturevalue("databases").new)
    answered: set[int] = set()
    for round_ in range(5):
        first = round_ * 1_000_000
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            PROGRAM,
            address,
            str(first),
            str(Path(__file__).parent),
            stdout=asyncio.subprocess.PIPE,
        )
        assert child.stdout is not None
        fresh: set[int] = set()
        for _ in range(chance.randrange(30, 300)):
            line = await asyncio.wait_for(child.stdout.readline(), 30)
            assert line, "the program has ended by itself"
            fresh.add(int(line))
        child.kill()
        rest = await child.stdout.read()
        await child.wait()
        whole = rest[: rest.rfind(b"\n") + 1]
        fresh.update(map(int, whole.split()))
        answered |= fresh

        store = open_store(address)
        await store.open()
        assert isinstance(store, SqlStore)
        kept = [row.recv_time - 1_700_000_000_000 async for row in store.journal()]
        assert len(kept) == len(set(kept))
        assert answered <= set(kept)
        assert len(set(kept) - answered) <= 20 * (round_ + 1), "only what was under way may be there unanswered"
        assert (await verify(store, None)).sound
        for one in (await store.sessions("default", limit=10)).items:
            newest = max(number for number in kept if f"s{number % 7}" == one.id and number > first)  # type: ignore[attr-defined]
            assert one.energy_wh == newest  # type: ignore[attr-defined]
        assert len(await store.samples("default", "s1", limit=100_000)) == len(kept)
        await store.close()
