"""Care of a store: verify, replay, backup, restore."""

from __future__ import annotations

import asyncio
import gzip
import re
import sqlite3
from pathlib import Path

import msgspec
import pytest
from storage_kit import KEY, appended, entry, sample

from pilotwire.core.errors import ConfigError
from pilotwire.domain.facts import CommandRequested, ConnectorStatusChanged, StationBooted, StationConnected
from pilotwire.domain.records import StationAccount, Token
from pilotwire.domain.state import StationState
from pilotwire.storage import backup as backup_module
from pilotwire.storage.backup import TABLES, backup, restore
from pilotwire.storage.migrate import migrations
from pilotwire.storage.open import open_store
from pilotwire.storage.sqlite import SqliteStore
from pilotwire.storage.sqlstore import SqlStore
from pilotwire.storage.verify import projections, replay, verify

DAY = 86_400_000
START = 1_700_006_400_000


@pytest.fixture
async def sqlstore(store) -> SqlStore:
    return store


async def live(store: SqlStore) -> None:
    """What an actor would leave: facts folded by the domain, records touched by them, samples, settings."""
    state = StationState.fresh(KEY)
    facts = (
        StationConnected(event_time=START, ocpp_version="1.6"),
        StationBooted(event_time=START, vendor="V", model="M\0é"),
        ConnectorStatusChanged(event_time=START + 1, evse=1, connector=1, status="Available"),
        CommandRequested(event_time=START + 2, command_id="c1", action="Reset", payload="{}", expires_at=START + 9),
        ConnectorStatusChanged(event_time=START + 3, evse=1, connector=1, status="Preparing"),
    )
    for number, fact in enumerate(facts):
        state.apply(fact, START + number, 1)
        touched = state.touched()
        await appended(store, entry(facts=(fact,), recv_time=START + number, epoch=1, touched=touched))
    await appended(store, entry(frame=bytes(range(256)), facts=(), samples=(sample(START), sample(START + DAY))))
    await store.put_account(StationAccount(tenant="default", id="CP1", password="v"))
    await store.put_token(Token(tenant="default", token="T"))
    await store.put_setting("secret", "x")


async def contents(store: SqlStore) -> dict[str, object]:
    return {
        "journal": [row async for row in store.raw_journal()],
        "records": sorted([repr(record) async for record in projections(store)]),
        "samples": await store.samples("default", "s1"),
        "accounts": await store.accounts(),
        "tokens": await store.tokens(),
        "setting": await store.setting("secret"),
    }


# -- verify and replay ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_store_as_written_is_sound(sqlstore: SqlStore) -> None:
    await live(sqlstore)
    verdict = await verify(sqlstore)
    assert verdict.findings == []
    assert verdict.sound
    assert verdict.streams == {"main": 6}
    assert verdict.records == 2


@pytest.mark.parametrize(
    ("damage", "kinds"),
    [
        ("UPDATE journal SET frame = 'x' WHERE id & 255 = 6", {"checksum"}),
        ("UPDATE journal SET recv_time = recv_time + 1 WHERE id & 255 = 6", {"checksum"}),
        ("UPDATE journal SET facts = '[{' WHERE id & 255 = 6", {"checksum", "facts"}),
        ("UPDATE journal SET direction = 9 WHERE id & 255 = 6", {"checksum"}),
        ("DELETE FROM journal WHERE id & 255 = 6", set()),
        ("DELETE FROM journal WHERE id & 255 = 5", {"gap", "differs"}),
        ("DELETE FROM stations", {"missing"}),
        ("UPDATE commands SET id = 'c2', body = replace(body, 'c1', 'c2')", {"missing", "surplus"}),
        ("UPDATE stations SET body = replace(body, '\"V\"', '\"W\"')", {"differs"}),
    ],
)
async def test_damage_is_found_and_named(tmp_path: Path, damage: str, kinds: set[str]) -> None:
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await live(store)
    blobs = damage.replace("replace(body,", "replace(CAST(body AS TEXT),")
    await store.on_writer(lambda writer: writer.fetch(blobs))
    await store.on_writer(
        lambda writer: [
            writer.fetch(f"UPDATE {table} SET {column} = CAST({column} AS BLOB)")
            for table, column in (
                ("journal", "frame"),
                ("journal", "facts"),
                ("stations", "body"),
                ("commands", "body"),
            )
        ]
    )
    verdict = await verify(store)
    assert {one.kind for one in verdict.findings} == kinds
    assert verdict.sound == (not kinds), "a journal that ends early cannot be told from one that was never longer"
    await store.close()


async def test_readers_may_pass_over_facts_that_cannot_be_read(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "a.db")
    await store.open()
    await live(store)
    whole = [row async for row in store.journal()]
    await store.on_writer(
        lambda writer: writer.fetch("UPDATE journal SET facts = CAST('[{' AS BLOB) WHERE id & 255 = 3")
    )
    with pytest.raises(msgspec.DecodeError):
        _ = [row async for row in store.journal()]
    seen = [row async for row in store.journal(lenient=True)]
    assert seen == [msgspec.structs.replace(row, facts=()) if row.seq == 3 else row for row in whole]
    assert whole[2].facts
    await store.close()


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_replay_makes_projections_anew(sqlstore: SqlStore) -> None:
    await live(sqlstore)
    before = await contents(sqlstore)
    await sqlstore.rebuild([])
    assert not (await verify(sqlstore)).sound
    verdict = await replay(sqlstore)
    assert verdict.records == 2
    assert (await verify(sqlstore)).sound
    assert await contents(sqlstore) == before


@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_several_streams_are_verified_each_for_itself(kind) -> None:
    for stream in ("a", "b"):
        store = kind.new(stream=stream)
        await store.open()
        await appended(store, *(entry(number, recv_time=number * 2 + (stream == "b")) for number in range(5)))
        await store.close()
    store = kind.new(stream="a")
    await store.open()
    rows = [(row.stream, row.seq) async for row in store.journal()]
    assert rows == [(stream, number) for number in range(1, 6) for stream in ("a", "b")], "merged by time of arrival"
    assert [(row.stream, row.seq) async for row in store.journal(newest_first=True, limit=3)] == [
        ("b", 5),
        ("a", 5),
        ("b", 4),
    ]
    assert (await verify(store, None)).streams == {"a": 5, "b": 5}
    await store.close()


# -- backup and restore -----------------------------------------------------------------------------------------------
@pytest.mark.parametrize("into", ["sqlite", "postgres"])
@pytest.mark.parametrize("kind", ["sqlite", "postgres"], indirect=True)
async def test_a_backup_restores_into_either_database(kind, tmp_path: Path, databases, into: str) -> None:
    store = kind.new()
    await store.open()
    await live(store)
    assert await store.roll_off(START + DAY) == 1
    before = await contents(store)
    image = tmp_path / "data" / "files" / "default" / "firmware-1"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    image.with_name("firmware-2.part-0a").write_bytes(b"half of one")
    address = store.database if kind.name == "postgres" else str(tmp_path / "data")
    manifest = await backup(address, tmp_path / "kept", data_dir=tmp_path / "data")
    assert manifest.rows["journal"] == 6
    assert (manifest.history_files, manifest.files) == (1, 1)
    await appended(store, entry(99))  # goes on; is not in the backup
    with pytest.raises(ConfigError, match="already"):
        await backup(address, tmp_path / "kept", data_dir=tmp_path / "data")
    await store.close()

    place = await asyncio.to_thread(databases.new) if into == "postgres" else str(tmp_path / "restored")
    assert await restore(tmp_path / "kept", place, data_dir=tmp_path / "restored") == manifest
    again = open_store(place, data_dir=tmp_path / "restored")
    await again.open()
    assert isinstance(again, SqlStore)
    assert await contents(again) == before
    back = tmp_path / "restored" / "files"
    assert {path.relative_to(back): path.read_bytes() for path in back.rglob("*") if path.is_file()} == {
        Path("default/firmware-1"): b"an image"
    }
    assert (back / "default" / "firmware-1").stat().st_mode & 0o077 == 0
    assert (await verify(again)).sound
    await appended(again, entry(7, station="new", samples=(sample(5, measurand="new"),)))
    assert [row.seq async for row in again.journal(newest_first=True, limit=1)] == [7]
    await again.close()
    with pytest.raises(ConfigError):
        await restore(tmp_path / "kept", place, data_dir=tmp_path / "restored")


async def test_a_backup_beside_a_busy_writer_is_one_moment(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    await store.open()
    from storage_kit import session

    one = session()
    stop = False

    async def busy() -> int:
        number = 0
        while not stop:
            number += 1
            one.energy_wh = number
            await appended(store, entry(number, touched=(one,), samples=(sample(number),)))
        return number

    writing = asyncio.ensure_future(busy())
    while one.energy_wh < 20:
        await asyncio.sleep(0.001)
    await backup(tmp_path / "data", tmp_path / "kept")
    reached = one.energy_wh
    while one.energy_wh < reached + 20:
        await asyncio.sleep(0.001)
    stop = True
    await writing
    await store.close()
    await restore(tmp_path / "kept", tmp_path / "again")
    again = open_store(tmp_path / "again")
    await again.open()
    count = len([row async for row in again.journal()])
    assert 19 <= count <= reached
    assert (await again.session("default", "s1")).energy_wh == count  # type: ignore[union-attr]
    assert len(await again.samples("default", "s1")) == count
    assert isinstance(again, SqlStore)
    assert (await verify(again, None)).sound
    await again.close()


async def test_a_damaged_or_foreign_backup_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    await store.open()
    assert isinstance(store, SqlStore)
    await live(store)
    await store.close()
    await backup(tmp_path / "data", tmp_path / "kept")
    with sqlite3.connect(tmp_path / "kept" / "pilotwire.db") as copy:
        copy.execute("DELETE FROM journal WHERE id & 255 = 1")
    copy.close()
    with pytest.raises(ConfigError, match="journal has 5 of 6 rows"):
        await restore(tmp_path / "kept", tmp_path / "again")
    assert not (tmp_path / "again" / "pilotwire.db").exists()
    manifest = tmp_path / "kept" / "backup.json"
    manifest.write_text(manifest.read_text().replace('"format": 1', '"format": 2'))
    with pytest.raises(ConfigError, match="newer"):
        await restore(tmp_path / "kept", tmp_path / "again")
    with pytest.raises(ConfigError, match="no backup"):
        await restore(tmp_path, tmp_path / "again")
    with pytest.raises(ConfigError, match="no database"):
        await backup(tmp_path / "nowhere", tmp_path / "kept2")
    assert not list(tmp_path.glob(".kept2*"))
    with pytest.raises(ConfigError, match="memory"):
        await backup("memory:", tmp_path / "kept3")


async def test_files_that_are_missing_in_a_backup_or_there_already_stop_a_restore(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    await store.open()
    await store.close()
    image = tmp_path / "data" / "files" / "default" / "firmware-1"
    image.parent.mkdir(parents=True)
    image.write_bytes(b"an image")
    assert (await backup(tmp_path / "data", tmp_path / "kept")).files == 1
    there = tmp_path / "again" / "files" / "default" / "firmware-1"
    there.parent.mkdir(parents=True)
    there.write_bytes(b"another")
    with pytest.raises(ConfigError, match="not empty"):
        await restore(tmp_path / "kept", tmp_path / "again")
    assert there.read_bytes() == b"another" and not (tmp_path / "again" / "pilotwire.db").exists()
    (tmp_path / "kept" / "files" / "default" / "firmware-1").unlink()
    with pytest.raises(ConfigError, match="0 of 1"):
        await restore(tmp_path / "kept", tmp_path / "new")
    assert not (tmp_path / "new" / "pilotwire.db").exists()


async def test_a_backup_that_fails_midway_is_not_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "data")
    await store.open()
    await store.close()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(backup_module, "_sync_tree", full)
    with pytest.raises(OSError, match="No space"):
        await backup(tmp_path / "data", tmp_path / "kept")
    assert [path.name for path in tmp_path.iterdir()] == ["data"]


def test_a_backup_knows_every_table_and_column() -> None:
    connection = sqlite3.connect(":memory:")
    for step in migrations("sqlite"):
        for statement in step.statements():
            connection.execute(statement)
    names = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    found = {
        name: tuple(row[1] for row in connection.execute(f"PRAGMA table_info({name})"))
        for name in names
        if not name.startswith("sqlite_")
    }
    connection.close()
    assert found == TABLES


def test_the_dialects_have_the_same_tables_and_columns() -> None:
    def shape(dialect: str) -> list[tuple[str, list[str]]]:
        text = "\n".join(statement for step in migrations(dialect) for statement in step.statements())
        tables = re.findall(r"CREATE TABLE (\w+) \((.*?)\)(?: WITHOUT ROWID)?$", text, re.S | re.M)
        column = r"(?:^|[,(])\s*([a-z_]+) +(?:bigint|text|bytea|INTEGER|TEXT|BLOB)"
        return [(name, re.findall(column, body)) for name, body in tables]

    assert shape("sqlite") == shape("postgres")
    assert len(shape("sqlite")) == len(TABLES)


def test_dumps_are_plain_json_lines(tmp_path: Path) -> None:
    """What a PostgreSQL backup holds can be read without Pilotwire."""
    folder = tmp_path / "tables"
    folder.mkdir()
    with gzip.open(folder / "settings.jsonl.gz", "wb") as file:
        file.write(b'["a","b"]\n["c","d"]\n')
    assert list(backup_module._dumped(tmp_path, "settings")) == [[("a", "b"), ("c", "d")]]
