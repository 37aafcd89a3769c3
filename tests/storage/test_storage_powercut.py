"""The power goes: every answered entry must be on the disk, exactly once.

On SQLite the whole disk is modelled from the system calls of a real run; on PostgreSQL the server's own calls show that
it synced its log before it told us of the commit. Each has a control with syncing off, which must be seen to fail:
a proof that cannot fail proves nothing.
"""

from __future__ import annotations

import asyncio
import re
import signal
import subprocess
from pathlib import Path

import powercut
import pytest
from storage_kit import appended, entry, session

from pilotwire.storage.postgres import PostgresStore
from pilotwire.storage.sqlite import SqliteStore
from pilotwire.storage.verify import verify


@pytest.fixture(autouse=True, scope="module")
def traceable() -> None:
    assert powercut.available(), "these tests need strace (apt-get install strace) and the right to trace"


PROGRAM = """
import asyncio, os, sys
sys.path.insert(0, sys.argv[3])
from storage_kit import entry, sample, session
from pilotwire.storage import sqlite
sqlite.CHECKPOINT_EVERY = 60

async def main():
    store = sqlite.SqliteStore(sys.argv[1], synchronous=sys.argv[2])
    await store.open()
    records = [session(f"s{n}") for n in range(5)]
    finished = asyncio.Event()
    sent = 0
    def send():
        nonlocal sent
        sent += 1
        number = sent
        record = records[number % 5]
        record.energy_wh = number
        def done(error):
            assert error is None, error
            os.write(1, f"{number}\\n".encode())
            if sent < 250:
                send()
            elif number == 250:
                finished.set()
        store.append(entry(number, touched=(record,), samples=(sample(number),)), done)
    for _ in range(5):
        send()
    await finished.wait()
    os._exit(0)  # the power goes; nothing is closed
asyncio.run(main())
"""


def run(tmp_path: Path, synchronous: str) -> powercut.Trace:
    folder = tmp_path / "live"
    folder.mkdir()
    arguments = [str(folder / "pilotwire.db"), synchronous, str(Path(__file__).parent)]
    return powercut.trace(PROGRAM, arguments, folder, tmp_path / "strace.log")


async def lost_after(trace: powercut.Trace, place: int, folder: Path, seed: int) -> set[int]:
    """Which answered entries are not on the disk when the power goes after step `place`."""
    trace.disk_at(place, folder, seed)
    answered = {int(line) for line in trace.answered(place)}
    store = SqliteStore(folder / "pilotwire.db")
    await store.open()
    try:
        kept = [row.recv_time - 1_700_000_000_000 async for row in store.journal()]
        assert len(kept) == len(set(kept)), "an entry is there twice"
        verdict = await verify(store, None)
        assert verdict.sound, verdict.findings
        for one in (await store.sessions("default", limit=10)).items:
            of_it = [number for number in kept if f"s{number % 5}" == one.id]  # type: ignore[attr-defined]
            assert one.energy_wh == max(of_it), "a projection is exactly as far as the journal"  # type: ignore[attr-defined]
        assert [one.time for one in await store.samples("default", "s1")] == sorted(kept)
        return answered - set(kept)
    finally:
        await store.close()


async def test_what_sqlite_answered_outlives_the_power(tmp_path: Path) -> None:
    trace = run(tmp_path, "FULL")
    places = trace.answers
    assert len(places) == 250
    assert any(step.kind == "write" and step.path.endswith(".db") for step in trace.steps), "a checkpoint took place"
    cuts = places[:: len(places) // 12] + places[-1:]
    for number, place in enumerate(cuts):
        for seed in (0, number + 1):
            assert await lost_after(trace, place, tmp_path / f"cut-{number}-{seed}", seed) == set()


async def test_with_syncing_off_the_same_check_fails(tmp_path: Path) -> None:
    trace = run(tmp_path, "OFF")
    places = trace.answers
    lost = [await lost_after(trace, place, tmp_path / f"cut-{place}", 0) for place in places[49::100]]
    assert any(lost), "the control lost nothing: the check cannot tell"


# -- PostgreSQL -------------------------------------------------------------------------------------------------------
async def commits_of(url: str, tmp_path: Path, synchronous_commit: str) -> tuple[int, int]:
    """(groups committed, of those told to us only after the log was synced), from the backend's system calls."""
    store = PostgresStore(url, synchronous_commit=synchronous_commit)
    await store.open()
    one = session()
    await appended(store, entry(0, touched=(one,)))  # numbers are given, the session is there

    def plan():
        rows = yield "SELECT pg_backend_pid()", ()
        return rows[0][0]

    backend = await store.change(plan())
    log = tmp_path / "strace.log"
    tracer = subprocess.Popen(
        [
            *("strace", "-y", "-e", "trace=fdatasync,fsync,pwrite64,pwritev,recvfrom,sendto"),
            *("-o", str(log), "-p", str(backend)),
        ],
        stderr=subprocess.PIPE,
    )
    try:
        assert tracer.stderr is not None
        said = await asyncio.to_thread(tracer.stderr.readline)
        assert b"attached" in said, said
        before = store.groups
        for number in range(1, 21):
            await appended(store, entry(number, touched=(one,)))
        groups = store.groups - before
    finally:
        tracer.send_signal(signal.SIGINT)
        tracer.wait(10)
    await store.close()
    synced = 0
    written = flushed = False
    for line in log.read_text().splitlines():
        if line.startswith("recvfrom"):
            written = flushed = False
        elif re.match(r"(pwrite64|pwritev)\(\d+<[^>]*pg_wal", line):
            written, flushed = True, False
        elif re.match(r"(fdatasync|fsync)\(\d+<[^>]*pg_wal", line):
            flushed = True
        elif line.startswith("sendto") and written and flushed:
            synced += 1
    return groups, synced


async def test_postgres_syncs_its_log_before_we_are_told(databases, tmp_path: Path) -> None:
    url = await asyncio.to_thread(databases.new)
    groups, synced = await commits_of(url, tmp_path, "on")
    assert groups == 20
    assert synced >= groups


async def test_postgres_without_synchronous_commit_fails_the_same_check(databases, tmp_path: Path) -> None:
    url = await asyncio.to_thread(databases.new)
    groups, synced = await commits_of(url, tmp_path, "off")
    assert groups == 20
    assert synced < groups
