"""The process that does the heavy work on samples: reads one job as JSON on stdin, writes the answer as JSON on stdout.

It opens the database for reading only. What it makes durable are files, by write, fsync, rename, fsync of the folder.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

import os
import sqlite3
import sys
from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import duckdb
import msgspec
import pyarrow as pa
import pyarrow.parquet as pq

from .codec import DAY_MS
from .files import sync
from .history import FILE_NAME, Moved, Query, RolledOff, RollOff, Source, Table, day_file
from .hot_samples import SETS_OF_STATION, SLOT_MS, SLOTS_A_DAY, MovedSets, decode_set

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


SETS = """
SELECT n.id, s.time, coalesce(x.id, ''), s.body
FROM sample_sets s JOIN station_numbers n ON n.n = s.station LEFT JOIN session_numbers x ON x.n = s.session
WHERE n.tenant = ?1 ORDER BY s.n
"""
SETS_AT_ONCE = 1000
"""Deleted in one transaction; a slot is never divided."""


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

        from .postgres_plans import read_rows

        return asyncio.run(read_rows(self._address, sql, args))


def to_table(rows: Sequence[Sequence[object]]) -> pa.Table:
    """Rows in the order of COLUMNS as an Arrow table."""
    columns = list(zip(*rows, strict=True)) or [()] * len(COLUMNS)
    arrays = [pa.array(column, kind) for column, (_, kind) in zip(columns, COLUMNS, strict=True)]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


class Expanded:
    """Sets as rows in the order of COLUMNS."""

    def __init__(self, database: Database) -> None:
        names = database.rows("SELECT n, evse, connector, measurand, phase, location, context, unit FROM series")
        self._series = {row[0]: tuple(row[1:]) for row in names}

    def rows(self, station: str, time: int, session: str, body: bytes) -> Iterator[tuple[Any, ...]]:
        """A set's samples."""
        for series, value in decode_set(body):
            evse, connector, *names = self._series[series]
            yield (station, evse, connector, time, *names, value, session)


def roll_off(job: RollOff) -> RolledOff:
    """Make the files of every (tenant, day) that has hot samples before `job.before`."""
    database = Database(job.source.database)
    stations = database.rows("SELECT n, tenant, id FROM station_numbers")
    found: dict[tuple[str, int], set[tuple[str, int]]] = {}
    for number, tenant, name in stations:
        for day in _days(database, number, job.before):
            found.setdefault((tenant, day), set()).add((name, number))
    whose = {number: (tenant, name) for number, tenant, name in stations}
    for day in _days_of_sets(database, job.before):
        span = (day * SLOTS_A_DAY, (day + 1) * SLOTS_A_DAY)
        for row in database.rows("SELECT DISTINCT station FROM sample_sets WHERE slot >= ?1 AND slot < ?2", span):
            tenant, name = whose[row[0]]
            found.setdefault((tenant, day), set()).add((name, row[0]))
    taken = _Taken(database)
    for (tenant, day), members in sorted(found.items()):
        _write_day(taken, Path(job.source.history), tenant, day, sorted(members))
    return RolledOff(rows=taken.moved, sets=taken.sets())


def _days_of_sets(database: Database, before: int) -> Iterator[int]:
    """The UTC days before `before` with sets of anybody: one seek per day."""
    at = -(1 << 62)
    while True:
        span = (at, before // SLOT_MS)
        row = database.rows("SELECT min(slot) FROM sample_sets WHERE slot >= ?1 AND slot < ?2", span)
        if not row or row[0][0] is None:
            return
        day = row[0][0] // SLOTS_A_DAY
        yield day
        at = (day + 1) * SLOTS_A_DAY


class _Taken:
    """Reads what is hot of a station and day, and remembers how much that was."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._expanded = Expanded(database)
        self._slots: dict[int, tuple[int, int]] = {}
        self.moved: list[Moved] = []

    def read(self, name: str, number: int, day: int) -> list[tuple[Any, ...]]:
        """The samples, those that came first before others of the same key."""
        rows = self._database.rows(
            f"{HOT} WHERE n.n = ?1 AND s.time >= ?2 AND s.time < ?3", (number, day * DAY_MS, (day + 1) * DAY_MS)
        )
        if rows:
            self.moved.append(Moved(station=number, day=day, count=len(rows)))
        span = (number, day * SLOTS_A_DAY, (day + 1) * SLOTS_A_DAY)
        for slot, time, _, body, session in self._database.rows(SETS_OF_STATION, span):
            of_set = list(self._expanded.rows(name, time, session or "", body))
            rows += of_set
            sets, samples = self._slots.get(slot, (0, 0))
            self._slots[slot] = (sets + 1, samples + len(of_set))
        return rows

    def sets(self) -> list[MovedSets]:
        """The slots that were read, in pieces to be deleted at once."""
        pieces: list[MovedSets] = []
        for slot, (sets, samples) in sorted(self._slots.items()):
            last = pieces[-1] if pieces else None
            if last is not None and last.sets + sets <= SETS_AT_ONCE:
                pieces[-1] = MovedSets(last.first, slot + 1, last.sets + sets, last.samples + samples)
            else:
                pieces.append(MovedSets(slot, slot + 1, sets, samples))
        return pieces


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


def _write_day(taken: _Taken, history: Path, tenant: str, day: int, members: list[tuple[str, int]]) -> None:
    path = day_file(history, tenant, day)
    old = pq.ParquetFile(path) if path.exists() else None
    before = _by_station(old)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{FILE_NAME}.{os.getpid()}.tmp")
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
                rows = taken.read(*waiting, day)
                if kept is not None and kept[0] == waiting[0]:
                    rows = kept[1] + rows
                    kept = next(before, None)
                batch.add(_once(rows))
                waiting = next(fresh, None)
            batch.flush()
        sync(temporary)
        temporary.replace(path)
        for folder in (path.parent, path.parent.parent, history):
            sync(folder)
    finally:
        temporary.unlink(missing_ok=True)


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


def _once(rows: Iterable[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """In order, each sample once: of two the one that is named first."""
    found: dict[tuple[Any, ...], tuple[Any, ...]] = {}
    for row in rows:
        found.setdefault(_order(row), row)
    return [found[key] for key in sorted(found)]


def _order(row: tuple[Any, ...]) -> tuple[Any, ...]:
    station, evse, connector, time, *names = row
    return (station, time, evse, connector, *names[:5])


def query(job: Query) -> Table:
    """Run SQL over the view `samples` of one tenant.

    Hot rows are read before the files are listed: a roll-off in between shows rows twice, which the view drops, never
    not at all. Once the rows are in, DuckDB is closed off from files and network.
    """
    database = Database(job.source.database)
    rows = database.rows(f"{HOT} WHERE n.tenant = ?1", (job.tenant,))
    sets = database.rows(SETS, (job.tenant,))
    if sets:
        expanded = Expanded(database)
        rows = _once(chain(rows, *(expanded.rows(*one) for one in sets)))
    hot = to_table(rows)
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
