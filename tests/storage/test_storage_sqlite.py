"""What is SQLite's own: the lock, migrations, failure of the disk, other processes."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from storage_kit import KEY, appended, entry, looked_up, sample, session

from pilotwire.core.errors import ConfigError
from pilotwire.storage import migrate
from pilotwire.storage.migrate import Migration, migrations, outstanding
from pilotwire.storage.open import open_store
from pilotwire.storage.port import StoreFailed
from pilotwire.storage.sqlite import SqliteStore


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "pilotwire.db"


async def test_a_second_writer_is_told_who_holds_the_database_and_what_to_do(path: Path) -> None:
    first = SqliteStore(path)
    await first.open()
    program = textwrap.dedent("""
        import asyncio, sys
        from pilotwire.storage.sqlite import SqliteStore
        asyncio.run(SqliteStore(sys.argv[1]).open())
    """)
    run = await asyncio.to_thread(
        subprocess.run, [sys.executable, "-c", program, str(path)], capture_output=True, text=True, timeout=60
    )
    assert run.returncode != 0
    said = run.stderr.splitlines()[-1]
    assert "ConfigError" in said
    assert str(os.getpid()) in said
    assert "--data" in said
    assert "PostgreSQL" in said
    with pytest.raises(ConfigError):
        await SqliteStore(path).open()
    await appended(first, entry())  # the holder is not disturbed
    await first.close()
    second = SqliteStore(path)
    await second.open()
    await second.close()


async def test_a_reader_may_look_on_beside_the_writer(path: Path) -> None:
    writer, reader = SqliteStore(path), SqliteStore(path, read_only=True)
    with pytest.raises(ConfigError, match="no database"):
        await reader.open()
    await writer.open()
    await reader.open()
    await appended(writer, entry(touched=(session(),)))
    assert await reader.session("default", "s1") == session()
    with pytest.raises(StoreFailed):
        reader.append(entry())
    with pytest.raises(StoreFailed):
        await reader.put_setting("a", "b")
    await reader.close()
    await writer.close()


async def test_the_database_is_its_owners_alone_to_read(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await appended(store, entry())
    modes = {name.name: name.stat().st_mode & 0o077 for name in path.parent.iterdir()}
    assert set(modes.values()) == {0}, modes
    await store.close()


async def test_a_file_that_is_no_database_is_refused_with_its_name(path: Path) -> None:
    path.write_bytes(b"no database at all, " * 400)
    with pytest.raises(ConfigError, match=r"pilotwire\.db"):
        await SqliteStore(path).open()
    with pytest.raises(ConfigError, match="--data"):
        await SqliteStore("/proc/nowhere/pilotwire.db").open()


@pytest.mark.parametrize("address", ["mysql://host/db", "sqlite://relative", "sqlite:///"])
def test_an_address_no_store_speaks_is_refused(address: str) -> None:
    with pytest.raises(ConfigError):
        open_store(address)


# -- the disk fails ---------------------------------------------------------------------------------------------------
async def test_a_full_disk_refuses_the_group_and_all_after_it(path: Path) -> None:
    """SQLite itself says SQLITE_FULL: the database may not grow beyond its present pages."""
    store = SqliteStore(path)
    await store.open()
    await appended(store, entry(1, touched=(session(energy_wh=1),)))
    await store.on_writer(lambda writer: writer.fetch("PRAGMA max_page_count = 1"))
    told: list[BaseException | None] = []
    big = os.urandom(200_000)
    store.append(entry(2, frame=big, touched=(session(energy_wh=2),)), told.append)
    store.append(entry(3), told.append)
    with pytest.raises(StoreFailed, match="full"):
        await appended(store, entry(4))
    assert [type(one) for one in told] == [StoreFailed, StoreFailed]
    assert not store.ready
    with pytest.raises(StoreFailed):
        store.append(entry(5))
    assert (await store.session("default", "s1")).energy_wh == 1  # type: ignore[union-attr]
    await store.close()

    await store.open()  # there is room again
    assert store.ready
    assert [row.seq async for row in store.journal()] == [1]
    await appended(store, entry(6, touched=(session(energy_wh=6),), samples=(sample(1),)))
    assert [row.seq async for row in store.journal()] == [1, 2]
    assert (await store.session("default", "s1")).energy_wh == 6  # type: ignore[union-attr]
    await store.close()


async def test_entries_that_wait_behind_a_failed_group_are_refused_too(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await store.on_writer(lambda writer: writer.fetch("PRAGMA max_page_count = 1"))
    told: list[BaseException | None] = []
    store.append(entry(1, frame=os.urandom(300_000)), told.append)
    await asyncio.sleep(0)  # the group is taken; what follows waits for the next
    store.append(entry(2), told.append)
    while len(told) < 2:
        await asyncio.sleep(0.001)
    assert [type(one) for one in told] == [StoreFailed, StoreFailed]
    await store.close()


async def test_the_queue_is_bounded_in_entries_and_bytes(path: Path) -> None:
    store = SqliteStore(path, queue_entries=3, queue_bytes=10_000)
    await store.open()
    told: list[BaseException | None] = []
    for number in range(3):
        store.append(entry(number), told.append)
    with pytest.raises(StoreFailed, match="full"):
        store.append(entry(4), told.append)
    while len(told) < 3:
        await asyncio.sleep(0.001)
    store.append(entry(5, frame=bytes(10_000)), told.append)
    with pytest.raises(StoreFailed, match="full"):
        store.append(entry(6), told.append)
    await store.close()
    assert told == [None] * 4


async def test_lookups_are_still_answered_when_commits_fail(path: Path) -> None:
    store = SqliteStore(path)
    await store.open()
    await appended(store, entry(1, touched=(session(),)))
    await store.on_writer(lambda writer: writer.fetch("PRAGMA max_page_count = 1"))
    store.append(entry(2, frame=os.urandom(300_000)), None)
    found = await looked_up(lambda done: store.find_session(KEY, "t-s1", "", done))
    assert found == session()
    await store.close()


# -- migrations -------------------------------------------------------------------------------------------------------
def _schema(path: Path) -> list[str]:
    with sqlite3.connect(path) as connection:
        rows = connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY name").fetchall()
    connection.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize("dialect", ["sqlite", "postgres"])
def test_migrations_are_numbered_without_a_gap(dialect: str) -> None:
    assert [one.number for one in migrations(dialect)] == list(range(1, len(migrations(dialect)) + 1))
    assert all(one.statements() for one in migrations(dialect))


def test_both_dialects_take_the_same_steps() -> None:
    assert [one.name for one in migrations("sqlite")] == [one.name for one in migrations("postgres")]


async def test_a_kept_database_of_version_1_opens_with_all_its_data(path: Path) -> None:
    """Made as version 1 made it, by its SQL alone, with rows in every table that a message fills."""
    first = migrations("sqlite")[0]
    with sqlite3.connect(path) as connection:
        for statement in first.statements():
            connection.execute(statement)
        connection.execute("PRAGMA user_version = 1")
        connection.execute("INSERT INTO streams VALUES (1, 'main')")
        connection.execute("INSERT INTO station_numbers VALUES (4, 'default', 'CP1')")
        connection.execute("INSERT INTO session_numbers VALUES (9, 'default', 's1')")
        connection.execute(
            "INSERT INTO journal VALUES (?, 4, 5, 1, 1, ?, ?, 0)",
            (1 << 40 | 1, b"[2]", b'[{"type":"session-updated.1","event_time":1,"session_id":"s1"}]'),
        )
        body = (
            b'{"tenant":"default","id":"s1","station_id":"CP1","transaction":"t","ocpp_version":"1.6","evse":1,'
            b'"connector":1,"started_at":7}'
        )
        connection.execute("INSERT INTO sessions VALUES (9, 'default', 's1', 4, 't', '', 'active', 7, ?)", (body,))
        connection.execute("INSERT INTO series VALUES (2, 1, 1, 'SoC', '', '', '', 'Percent')")
        connection.execute("INSERT INTO samples VALUES (4, 3600000, 2, 50, 9)")
        connection.execute("INSERT INTO session_hours VALUES (9, 1, 4)")
    connection.close()
    store = SqliteStore(path)
    await store.open()
    assert [row.seq async for row in store.journal(tenant="default", station="CP1")] == [1]
    assert (await store.session("default", "s1")).started_at == 7  # type: ignore[union-attr]
    assert [one.value for one in await store.samples("default", "s1")] == [50]
    await appended(store, entry(2, samples=(sample(3_600_001),)))
    assert [row.seq async for row in store.journal()] == [1, 2]
    assert len(await store.samples("default", "s1")) == 2
    await store.close()
    fresh = SqliteStore(path.with_name("fresh.db"))
    await fresh.open()
    await fresh.close()
    assert _schema(path) == _schema(fresh.path)


async def test_a_later_step_is_applied_once_and_whole(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(path)
    await store.open()
    await appended(store, entry())
    await store.close()
    known = migrations("sqlite")
    number = len(known) + 1
    good = Migration(number, "next", "CREATE TABLE extra (a INTEGER); -- a; b\nINSERT INTO extra VALUES (1);")
    broken = Migration(number, "next", "CREATE TABLE extra (a INTEGER); INSERT INTO nowhere VALUES (1);")

    def with_step(step: Migration) -> None:
        monkeypatch.setattr(migrate, "migrations", lambda _: (*known, step))

    with_step(broken)
    with pytest.raises(ConfigError, match="next"):
        await SqliteStore(path).open()
    assert not any("extra" in sql for sql in _schema(path)), "a step that fails leaves nothing behind"
    with_step(good)
    for _ in range(2):
        await store.open()
        assert await store.on_writer(lambda writer: writer.fetch("SELECT a FROM extra")) == [(1,)]
        await store.close()
    monkeypatch.undo()
    with pytest.raises(ConfigError, match="newer"):
        await store.open()


def test_a_database_ahead_of_us_is_refused() -> None:
    with pytest.raises(ConfigError, match="newer"):
        outstanding("postgres", 99)


async def test_the_write_ahead_log_does_not_grow_for_ever(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pilotwire.storage.sqlite.CHECKPOINT_EVERY", 50)
    store = SqliteStore(path)
    await store.open()
    begun_anew, head = 0, b""
    for round_ in range(500):
        await appended(store, *(entry(round_ * 50 + n, frame=os.urandom(2_000)) for n in range(50)))
        with path.with_name("pilotwire.db-wal").open("rb") as log:
            now = log.read(32)  # its header carries a new salt each time it is begun
        begun_anew += bool(head) and now != head
        head = now
        if begun_anew >= 3:
            break
        await asyncio.sleep(0.005)  # checkpoints are made beside the writing
    await store.close()
    assert begun_anew >= 3
