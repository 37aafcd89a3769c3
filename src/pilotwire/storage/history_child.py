"""The process that does the heavy work on samples: reads one job as JSON on stdin, writes the answer as JSON on stdout.

It opens the database for reading only. What it makes durable are files, by write, fsync, rename, fsync of the folder.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterator, Sequence
from itertools import groupby
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from .codec import DAY_MS
from .files import sync
from .history import FILE_NAME, Moved, Query, RollOff, Source, Table, day_file

COLUMNS = (
    ("station", pa.string()),
    ("evse", pa.int64()),
    ("connector", pa.int64()),
    ("time", pa.int64()),
    ("measurand", pa.string()),
    ("phase", pa.string()),
    ("location", pa.string()),
    ("context", pa.string()),
    ("unit", pa.string()),
    ("value", pa.int64()),
    ("session_id", pa.string()),
)
SCHEMA = pa.schema(COLUMNS)
KEY = ("station", "time", "evse", "connector", "measurand", "phase", "location", "context", "unit")
ROW_GROUP = 65_536

HOT = """
SELECT n.id, k.evse, k.connector, s.time, k.measurand, k.phase, k.location, k.context, k.unit, s.value,
       coalesce(x.id, '')
FROM station_numbers n JOIN samples s ON s.station = n.n JOIN series k ON k.n = s.series
LEFT JOIN session_numbers x ON x.n = s.session
"""


class Database:
    """The hot rows of SQLite or PostgreSQL, read only."""

    def __init__(self, address: str) -> None:
        self._address = address
        self._sqlite: sqlite3.Connection | None = None
        if not address.startswith(("postgresql://", "postgres://")):
            path = address.replace("%", "%25").replace("?", "%3f").replace("#", "%23")
            self._sqlite = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None, timeout=30.0)
            self._sqlite.execute("PRAGMA query_only=ON")

    def rows(self, sql: str, args: Sequence[object] = ()) -> list[Any]:
        """All rows; placeholders are ?1 …"""
        if self._sqlite is not None:
            return self._sqlite.execute(sql, args).fetchall()
        import asyncio

        from .postgres import read_rows

        return asyncio.run(read_rows(self._address, sql, args))


def to_table(rows: Sequence[Sequence[object]]) -> pa.Table:
    """Rows in the order of COLUMNS as an Arrow table."""
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, COLUMNS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def roll_off(job: RollOff) -> list[Moved]:
    """Make the files of every (tenant, day) that has hot samples before `job.before`."""
    database = Database(job.source.database)
    stations = database.rows("SELECT n, tenant, id FROM station_numbers")
    found: dict[tuple[str, int], list[tuple[str, int]]] = {}
    for number, tenant, name in stations:
        for day in _days(database, number, job.before):
            found.setdefault((tenant, day), []).append((name, number))
    moved: list[Moved] = []
    for (tenant, day), members in sorted(found.items()):
        moved += _write_day(database, Path(job.source.history), tenant, day, sorted(members))
    return moved


def _days(database: Database, station: int, before: int) -> Iterator[int]:
    """The UTC days before `before` with hot samples of a station: one seek in the index per day."""
    at = -(1 << 62)
    while True:
        row = database.rows(
            "SELECT min(time) FROM samples WHERE station = ?1 AND time >= ?2 AND time < ?3", (station, at, before)
        )
        if not row or row[0][0] is None:
            return
        day = row[0][0] // DAY_MS
        yield day
        at = (day + 1) * DAY_MS


def _write_day(database: Database, history: Path, tenant: str, day: int, members: list[tuple[str, int]]) -> list[Moved]:
    path = day_file(history, tenant, day)
    old = pq.ParquetFile(path) if path.exists() else None
    before = _by_station(old)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{FILE_NAME}.{os.getpid()}.tmp")
    moved: list[Moved] = []
    try:
        with pq.ParquetWriter(temporary, SCHEMA, compression="zstd", sorting_columns=None) as writer:
            batch = _Batches(writer)
            fresh = iter(members)
            waiting = next(fresh, None)
            kept = next(before, None)
            while waiting is not None or kept is not None:  # merge by station: one of each is in memory at a time
                if kept is not None and (waiting is None or kept[0] < waiting[0]):
                    batch.add(kept[1])
                    kept = next(before, None)
                    continue
                assert waiting is not None
                rows = database.rows(
                    f"{HOT} WHERE n.n = ?1 AND s.time >= ?2 AND s.time < ?3",
                    (waiting[1], day * DAY_MS, (day + 1) * DAY_MS),
                )
                moved.append(Moved(station=waiting[1], day=day, count=len(rows)))
                if kept is not None and kept[0] == waiting[0]:
                    rows = _merged(kept[1], rows)
                    kept = next(before, None)
                batch.add(sorted(map(tuple, rows), key=_order))
                waiting = next(fresh, None)
            batch.flush()
        sync(temporary)
        temporary.replace(path)
        for folder in (path.parent, path.parent.parent, history):
            sync(folder)
    finally:
        temporary.unlink(missing_ok=True)
    return moved


class _Batches:
    """Row groups of a decent size, whatever the stations'."""

    def __init__(self, writer: pq.ParquetWriter) -> None:
        self._writer = writer
        self._rows: list[Sequence[object]] = []

    def add(self, rows: Sequence[Sequence[object]]) -> None:
        self._rows += rows
        if len(self._rows) >= ROW_GROUP:
            self.flush()

    def flush(self) -> None:
        if self._rows:
            self._writer.write_table(to_table(self._rows))
            self._rows = []


def _by_station(file: pq.ParquetFile | None) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """The rows of a file we wrote, station by station (it is sorted by station)."""
    if file is None:
        return

    def rows() -> Iterator[tuple[Any, ...]]:
        for batch in file.iter_batches(ROW_GROUP):
            yield from zip(*(column.to_pylist() for column in batch.columns), strict=True)

    for station, group in groupby(rows(), key=lambda row: row[0]):
        yield station, list(group)


def _merged(old: Sequence[tuple[Any, ...]], new: Sequence[Sequence[Any]]) -> list[tuple[Any, ...]]:
    """Each sample once; the one that came first stays."""
    found = {_order(tuple(row)): tuple(row) for row in new}
    found.update({_order(row): row for row in old})
    return list(found.values())


def _order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    station, evse, connector, time, *names = row
    return (station, time, evse, connector, *names[:5])


def query(job: Query) -> Table:
    """Run SQL over the view `samples` of one tenant.

    Hot rows are read before the files are listed: a roll-off in between shows rows twice, which the view drops, never
    not at all. Once the rows are in, DuckDB is closed off from files and network.
    """
    hot = to_table(Database(job.source.database).rows(f"{HOT} WHERE n.tenant = ?1", (job.tenant,)))
    files = sorted(
        str(path) for path in day_file(Path(job.source.history), job.tenant, 0).parents[1].glob(f"*/{FILE_NAME}")
    )
    engine = duckdb.connect(":memory:", config={"autoinstall_known_extensions": "false"})
    engine.register("hot", hot)
    key = ", ".join(KEY)
    if files:
        engine.execute("SET allowed_paths = $1", [files])
        listed = ", ".join("'" + name.replace("'", "''") + "'" for name in files)
        cold = f"SELECT * FROM read_parquet([{listed}], hive_partitioning = false)"
        union = f"{cold} UNION ALL SELECT * FROM hot ANTI JOIN ({cold}) USING ({key})"
    else:
        union = "SELECT * FROM hot"
    tenant = job.tenant.replace("'", "''")
    engine.execute(
        f"CREATE VIEW samples AS SELECT '{tenant}' AS tenant, *, make_timestamp(time * 1000) AS utc FROM ({union})"
    )
    engine.execute("SET enable_external_access = false")
    engine.execute("SET lock_configuration = true")
    answer = engine.execute(job.sql, job.parameters or None)
    columns = [column[0] for column in answer.description or ()]
    return Table(columns=columns, rows=[list(row) for row in answer.fetchall()])


def main() -> int:
    """One job."""
    job = msgspec.json.decode(sys.stdin.buffer.read(), type=RollOff | Query)
    try:
        answer: object = roll_off(job) if isinstance(job, RollOff) else query(job)
    except (duckdb.Error, sqlite3.Error, pa.ArrowException, OSError) as error:
        print(" ".join(str(error).split()), file=sys.stderr)
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(answer, enc_hook=str))
    return 0


if __name__ == "__main__":
    sys.exit(main())


__all__ = ["Source", "main", "query", "roll_off"]
