"""Online backup and restore, from either database into either.

A backup is a folder, complete or not there (it is written beside its place and renamed):

    backup.json                   what it is: format, schema version, rows per table
    pilotwire.db                  from SQLite: the database, copied page by page by SQLite's own backup
    tables/<table>.jsonl.gz       from PostgreSQL: each table's rows as JSON arrays, all of one snapshot
    history/…                     the Parquet days
    files/…                       firmware and logs, as they lie in the data folder

The store may be in use while a backup is made. The hot rows are taken first, then the history: a roll-off in between
leaves a sample in both, which reading mends, never in neither. Files come last: one that a row names is there before
the row is, and never changes. A backup of SQLite restored into PostgreSQL is the way
from the one to the other.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

import asyncio
import base64
import gzip
import os
import shutil
import sqlite3
from collections.abc import AsyncIterator, Generator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from pilotwire.core.errors import ConfigError

from .files import sync
from .history import FILE_NAME
from .migrate import migrations
from .open import DATABASE_NAME, HISTORY_NAME, open_store
from .sqlite import SqliteStore
from .sqlstore import SqlStore

FORMAT = 1
MANIFEST = "backup.json"
FILES = "files"
"""In the data folder: what the file server keeps."""
_PART = ".part-"
"""In the name of a file that is still on its way in."""
CHUNK = 2_000

TABLES: dict[str, tuple[str, ...]] = {
    "streams": ("n", "name"),
    "station_numbers": ("n", "tenant", "id"),
    "session_numbers": ("n", "tenant", "id"),
    "series": ("n", "evse", "connector", "measurand", "phase", "location", "context", "unit"),
    "journal": ("id", "station", "recv_time", "epoch", "direction", "frame", "facts", "crc"),
    "stations": ("station", "body"),
    "sessions": ("n", "tenant", "id", "station", "txn", "start_key", "status", "started_at", "body"),
    "session_list": (
        "n",
        "tenant",
        "station",
        "started_at",
        "ended_at",
        "energy_wh",
        "token",
        "reason",
        "flags",
    ),
    "commands": ("tenant", "id", "station", "requested_at", "pending", "body"),
    "variables": ("station", "name", "body"),
    "samples": ("station", "time", "series", "value", "session"),
    "sample_sets": ("slot", "station", "time", "n", "session", "body"),
    "session_hours": ("session", "hour", "station"),
    "accounts": ("tenant", "id", "body"),
    "tokens": ("tenant", "id", "body"),
    "users": ("tenant", "id", "body"),
    "api_keys": ("tenant", "id", "body"),
    "settings": ("name", "value"),
    "documents": ("tenant", "kind", "id", "version", "sort", "body"),
}
"""Every table of ours with its columns; a test holds this against the migrations."""
_BYTES = frozenset({"frame", "facts", "body"})
_NUMBERED = ("streams", "station_numbers", "session_numbers", "series")


class Manifest(msgspec.Struct, kw_only=True):
    """What a backup is."""

    format: int = FORMAT
    kind: str
    """sqlite or tables."""
    schema: int
    """The number of the last migration."""
    rows: dict[str, int]
    """Table → rows."""
    history_files: int = 0
    files: int = 0
    """Firmware and logs."""


async def backup(url_or_dir: str | Path, target: Path, *, data_dir: Path | str | None = None) -> Manifest:
    """Back up the database at `url_or_dir` (as `open_store` takes it) and the files in `data_dir` (else beside the
    database) into the new folder `target`.

    Works beside a running Pilotwire. Raises ConfigError when there is nothing to back up or `target` is there already.
    """
    store = _sql_store(url_or_dir, data_dir)
    partial = _begin(target)
    try:
        if isinstance(store, SqliteStore):
            (partial / "tables").rmdir()
            manifest = await asyncio.to_thread(_copy_sqlite, store.path, partial / DATABASE_NAME)
        else:
            manifest = await _dump_postgres(store.database, partial / "tables")
        if store.history is not None:
            manifest.history_files = await asyncio.to_thread(_copy_history, store.history, partial / HISTORY_NAME)
        if (files := _files_of(store, data_dir)) is not None:
            manifest.files = await asyncio.to_thread(_copy_files, files, partial / FILES)
        (partial / MANIFEST).write_bytes(msgspec.json.format(msgspec.json.encode(manifest), indent=2))
        await asyncio.to_thread(_sync_tree, partial)
        partial.rename(target)
        sync(target.parent)
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return manifest


async def restore(source: Path, url_or_dir: str | Path, *, data_dir: Path | str | None = None) -> Manifest:
    """Make the empty database at `url_or_dir` what was backed up. Raises ConfigError when it is not empty.

    Rows go in in one transaction and are counted against the manifest before it is committed.
    """
    try:
        manifest = msgspec.json.decode((source / MANIFEST).read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise ConfigError(f"{source} is no backup of Pilotwire: {error}") from error
    if manifest.format != FORMAT or manifest.schema > len(migrations("sqlite")):
        raise ConfigError(f"{source} was made by a newer Pilotwire; restore it with that one")
    store = _sql_store(url_or_dir, data_dir)
    if (source / HISTORY_NAME).exists() and store.history is None:
        raise ConfigError("the backup holds a history of samples: give a data folder for it (--data)")
    files = _files_of(store, data_dir)
    if manifest.files:
        _check_files(source, manifest, files)
    if isinstance(store, SqliteStore):
        if store.path.exists():
            raise ConfigError(f"{store.path} is there already; restore into an empty folder")
        store.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        await asyncio.to_thread(_restore_sqlite, source, manifest, store.path)
    else:
        await _restore_postgres(source, manifest, store.database)
    if store.history is not None and (source / HISTORY_NAME).exists():
        await asyncio.to_thread(_copy_history, source / HISTORY_NAME, store.history)
        await asyncio.to_thread(_sync_tree, store.history)
    if files is not None and manifest.files:
        await asyncio.to_thread(_copy_files, source / FILES, files)
        await asyncio.to_thread(_sync_tree, files)
    return manifest


def _begin(target: Path) -> Path:
    """The folder in which the backup grows until it is whole."""
    if target.exists():
        raise ConfigError(f"{target} is there already; a backup goes into a new folder")
    partial = target.with_name(f".{target.name}.partial")
    if partial.exists():
        shutil.rmtree(partial)
    partial.mkdir(parents=True, mode=0o700)
    (partial / "tables").mkdir()
    return partial


def _sql_store(url_or_dir: str | Path, data_dir: Path | str | None) -> SqlStore:
    store = open_store(url_or_dir, data_dir=data_dir)
    if not isinstance(store, SqlStore):
        raise ConfigError("a store in memory has nothing to back up")
    return store


# -- SQLite -----------------------------------------------------------------------------------------------------------
def _copy_sqlite(path: Path, target: Path) -> Manifest:
    if not path.exists():
        raise ConfigError(f"there is no database at {path}")
    os.close(os.open(target, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    source, copy = _read_only(path), sqlite3.connect(target, isolation_level=None)
    try:
        source.backup(copy)  # in one step: one snapshot, and in WAL mode the writer goes on
        return Manifest(
            kind="sqlite",
            schema=copy.execute("PRAGMA user_version").fetchone()[0],
            rows={table: copy.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in _tables_in(copy)},
        )
    except sqlite3.Error as error:
        raise ConfigError(f"{path} cannot be backed up: {error}") from error
    finally:
        source.close()
        copy.close()


def _tables_in(database: sqlite3.Connection) -> list[str]:
    """Which of TABLES there are: a database that no newer Pilotwire has opened yet has fewer."""
    there = {row[0] for row in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    return [table for table in TABLES if table in there]


def _read_only(path: Path) -> sqlite3.Connection:
    quoted = str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    return sqlite3.connect(f"file:{quoted}?mode=ro", uri=True, isolation_level=None, timeout=30.0)


def _restore_sqlite(source: Path, manifest: Manifest, path: Path) -> None:
    partial = path.with_name(f".{path.name}.partial")
    for leftover in path.parent.glob(f"{partial.name}*"):
        leftover.unlink()
    os.close(os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    database = sqlite3.connect(partial, isolation_level=None)
    try:
        if manifest.kind == "sqlite":
            copy = _read_only(source / DATABASE_NAME)
            try:
                copy.backup(database)
            finally:
                copy.close()
        else:
            database.execute("BEGIN")
            for step in migrations("sqlite")[: manifest.schema]:
                for statement in step.statements():
                    database.execute(statement)
            for table, columns in _tables_of(manifest):
                marks = ", ".join("?" * len(columns))
                for rows in _dumped(source, table):
                    database.executemany(f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({marks})", rows)
            database.execute(f"PRAGMA user_version = {manifest.schema}")
            database.execute("COMMIT")
        tables = [table for table, _ in _tables_of(manifest)]
        counts = {table: database.execute(f"SELECT count(*) FROM {table}").fetchone()[0] for table in tables}
        _check_counts(source, manifest, counts)
    except sqlite3.Error as error:
        raise ConfigError(f"{source} cannot be restored: {error}") from error
    finally:
        database.close()
    sync(partial)
    partial.rename(path)
    sync(path.parent)


def _tables_of(manifest: Manifest) -> list[tuple[str, tuple[str, ...]]]:
    """The tables that a backup holds, with their columns: one made before there was a table has none of it."""
    return [(table, columns) for table, columns in TABLES.items() if table in manifest.rows]


def _check_counts(source: Path, manifest: Manifest, counts: dict[str, int]) -> None:
    wrong = {table: (counts[table], rows) for table, rows in manifest.rows.items() if counts.get(table) != rows}
    if wrong:
        said = ", ".join(f"{table} has {found} of {rows} rows" for table, (found, rows) in wrong.items())
        raise ConfigError(f"the backup {source} is damaged: {said}")


# -- PostgreSQL -------------------------------------------------------------------------------------------------------
async def _dump_postgres(url: str, folder: Path) -> Manifest:
    import asyncpg

    connection = await asyncpg.connect(url)
    rows: dict[str, int] = {}
    try:
        async with connection.transaction(isolation="repeatable_read", readonly=True):
            schema = await connection.fetchval("SELECT max(version) FROM schema_version")
            there = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = current_schema()")
            names = {row[0] for row in there}
            for table, columns in TABLES.items():
                if table not in names:  # no newer Pilotwire has opened this database yet
                    continue
                rows[table] = 0
                with gzip.open(folder / f"{table}.jsonl.gz", "wb", compresslevel=3) as file:
                    listed = ", ".join(columns)
                    cursor = connection.cursor(f"SELECT {listed} FROM {table} ORDER BY 1", prefetch=CHUNK)
                    async for row in cursor:
                        rows[table] += 1
                        file.write(msgspec.json.encode(list(row)) + b"\n")
    except asyncpg.UndefinedTableError as error:
        raise ConfigError(f"this database is not Pilotwire's: {error}") from error
    finally:
        await connection.close()
    return Manifest(kind="tables", schema=schema, rows=rows)


async def _restore_postgres(source: Path, manifest: Manifest, url: str) -> None:
    import asyncpg

    connection = await asyncpg.connect(url)
    try:
        if await connection.fetchval("SELECT to_regclass('schema_version')") is not None:
            raise ConfigError("the PostgreSQL database is not empty; restore into a new one (CREATE DATABASE)")
        async with connection.transaction():
            await connection.execute("CREATE TABLE schema_version (version bigint NOT NULL)")
            for step in migrations("postgres")[: manifest.schema]:
                for statement in step.statements():
                    await connection.execute(statement)
                await connection.execute("INSERT INTO schema_version VALUES ($1)", step.number)
            counts: dict[str, int] = {}
            for table, columns in _tables_of(manifest):
                counts[table] = 0
                async for rows in _rows_of(source, manifest, table, columns):
                    await connection.copy_records_to_table(table, records=rows, columns=list(columns))
                    counts[table] += len(rows)
            for table in _NUMBERED:
                await connection.execute(
                    f"SELECT setval(pg_get_serial_sequence('{table}', 'n'), (SELECT coalesce(max(n), 1) FROM {table}))"
                )
            _check_counts(source, manifest, counts)
    finally:
        await connection.close()


async def _rows_of(
    source: Path, manifest: Manifest, table: str, columns: Sequence[str]
) -> AsyncIterator[list[tuple[Any, ...]]]:
    from .postgres_plans import text

    chunks = _dumped(source, table) if manifest.kind == "tables" else _kept(source / DATABASE_NAME, table, columns)
    try:
        while (rows := await asyncio.to_thread(next, chunks, None)) is not None:
            yield [tuple(text(one) if isinstance(one, str) else one for one in row) for row in rows]
    finally:
        chunks.close()


def _kept(path: Path, table: str, columns: Sequence[str]) -> Generator[list[tuple[Any, ...]], None, None]:
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        cursor = connection.execute(f"SELECT {', '.join(columns)} FROM {table}")
        while rows := cursor.fetchmany(CHUNK):
            yield rows
    finally:
        connection.close()


def _dumped(source: Path, table: str) -> Generator[list[tuple[Any, ...]], None, None]:
    columns = TABLES[table]
    binary = [place for place, name in enumerate(columns) if name in _BYTES]
    with gzip.open(source / "tables" / f"{table}.jsonl.gz", "rb") as file:
        rows: list[tuple[Any, ...]] = []
        for line in file:
            row = msgspec.json.decode(line)
            for place in binary:
                row[place] = base64.b64decode(row[place])
            rows.append(tuple(row))
            if len(rows) == CHUNK:
                yield rows
                rows = []
        if rows:
            yield rows


# -- files ------------------------------------------------------------------------------------------------------------
def _copy_history(source: Path, target: Path) -> int:
    count = 0
    for path in sorted(source.rglob(FILE_NAME)):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, place)
        count += 1
    return count


def _files_of(store: SqlStore, data_dir: Path | str | None) -> Path | None:
    """Where firmware and logs lie; None where no data folder is known."""
    if data_dir is not None:
        return Path(data_dir) / FILES
    return store.path.parent / FILES if isinstance(store, SqliteStore) else None


def _whole_files(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file() and _PART not in path.name)


def _copy_files(source: Path, target: Path) -> int:
    count = 0
    for path in _whole_files(source):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        partial = place.with_name(f"{place.name}{_PART}copy")
        try:
            shutil.copyfile(path, partial)
        except FileNotFoundError:  # deleted meanwhile
            partial.unlink(missing_ok=True)
            continue
        partial.chmod(0o600)
        partial.rename(place)
        count += 1
    return count


def _check_files(source: Path, manifest: Manifest, files: Path | None) -> None:
    """Before anything is restored. Raises ConfigError."""
    found = _whole_files(source / FILES)
    if len(found) != manifest.files:
        raise ConfigError(f"the backup {source} is damaged: files has {len(found)} of {manifest.files}")
    if files is None:
        raise ConfigError("the backup holds firmware and logs: give a data folder for them (--data)")
    for path in found:
        if (files / path.relative_to(source / FILES)).exists():
            raise ConfigError(f"{files} is not empty; restore into an empty folder")


def _sync_tree(folder: Path) -> None:
    for path in [*folder.rglob("*"), folder]:
        sync(path)
