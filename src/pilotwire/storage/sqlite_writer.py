"""The one connection that writes to a SQLite file. It lives on the writer's thread and knows nothing of asyncio.

Rows go in by statements of many VALUES at once: Python hands the interpreter's lock back and forth once per statement
that SQLite runs, and with the event loop busy on its own thread each handing over costs more than the row does.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

from pilotwire.core.ids import StationKey
from pilotwire.domain.metering import Samples, Series
from pilotwire.domain.metering import rows as sample_rows

from .codec import DIRECTION_NUMBERS, HOUR_MS, encode_facts, row_crc
from .group import Group, Records
from .hot_samples import SLOT_MS, encode_set
from .port import Entry
from .queries import SEQ_BITS, Plan, Row, last_seq, run_plan

T = TypeVar("T")

DATA_FAULTS = (
    OverflowError,
    TypeError,
    ValueError,
    LookupError,
    sqlite3.DataError,
    sqlite3.IntegrityError,
    sqlite3.InterfaceError,
    sqlite3.ProgrammingError,
)
"""What a value that cannot be stored raises (an integer beyond 64 bits, a lone surrogate): the entry's fault, where
everything else is the disk's or the database's."""

_CHUNKS = (512, 256, 128, 64, 32)
"""Rows per statement; what is left is one statement more, whatever its number. Each is prepared once and kept."""
STATEMENTS = 8 * (len(_CHUNKS) + _CHUNKS[-1] + 16)
"""Of ours that may be kept prepared: eight tables that messages fill, and some others."""
_CACHE_LIMIT = 100_000


class _Insert(NamedTuple):
    """A statement for n rows: head, one tuple of placeholders, tail; the SQL for each chunk size made once."""

    head: str
    width: int
    tail: str
    sql: dict[int, str]

    def run(self, connection: sqlite3.Connection, flat: list[object]) -> None:
        """Insert rows that lie one after the other in `flat`."""
        width = self.width
        at, end = 0, len(flat)
        for rows in _CHUNKS:
            size = rows * width
            if size > 32_000:  # SQLite binds at most 32,766 values
                continue
            while end - at >= size:
                connection.execute(self._for(rows), flat[at : at + size] if end > size else flat)
                at += size
        if at < end:
            connection.execute(self._for((end - at) // width), flat[at:] if at else flat)

    def _for(self, rows: int) -> str:
        sql = self.sql.get(rows)
        if sql is None:
            one = "(" + ",".join("?" * self.width) + ")"
            sql = self.sql[rows] = f"{self.head} VALUES {','.join([one] * rows)} {self.tail}"
        return sql


_JOURNAL = _Insert("INSERT INTO journal (id, station, recv_time, epoch, direction, frame, facts, crc)", 8, "", {})
_SETS = _Insert("INSERT INTO sample_sets (slot, station, time, n, session, body)", 6, "", {})
_HOURS = _Insert("INSERT OR IGNORE INTO session_hours (session, hour, station)", 3, "", {})
_STATIONS = _Insert(
    "INSERT INTO stations (station, body)", 2, "ON CONFLICT (station) DO UPDATE SET body = excluded.body", {}
)
_SESSIONS = _Insert(
    "INSERT INTO sessions (n, tenant, id, station, txn, start_key, status, started_at, body)",
    9,
    "ON CONFLICT (n) DO UPDATE SET station = excluded.station, txn = excluded.txn, start_key = excluded.start_key, "
    "status = excluded.status, started_at = excluded.started_at, body = excluded.body",
    {},
)
_SESSION_BODIES = _Insert(
    "WITH fresh (n, body) AS (", 2, ") UPDATE sessions SET body = fresh.body FROM fresh WHERE sessions.n = fresh.n", {}
)
_SESSION_LIST = _Insert(
    "INSERT INTO session_list (n, tenant, station, started_at, ended_at, energy_wh, token, reason, flags)",
    9,
    "ON CONFLICT (n) DO UPDATE SET station = excluded.station, started_at = excluded.started_at, "
    "ended_at = excluded.ended_at, energy_wh = excluded.energy_wh, token = excluded.token, reason = excluded.reason, "
    "flags = excluded.flags",
    {},
)
_COMMANDS = _Insert(
    "INSERT INTO commands (tenant, id, station, requested_at, pending, body)",
    6,
    "ON CONFLICT (tenant, id) DO UPDATE SET station = excluded.station, requested_at = excluded.requested_at, "
    "pending = excluded.pending, body = excluded.body",
    {},
)
_VARIABLES = _Insert(
    "INSERT INTO variables (station, name, body)",
    3,
    "ON CONFLICT (station, name) DO UPDATE SET body = excluded.body",
    {},
)


class Writer:
    """Writes groups. Not safe for several threads; `seq` is the last one given out in this stream."""

    def __init__(self, connection: sqlite3.Connection, stream: str) -> None:
        self._db = connection
        self.stream = stream
        self._stream_number = self._find_stream()
        self.seq = run_plan(last_seq(self._stream_number), self.fetch)
        self._station_numbers: dict[tuple[str, str], int] = {}
        self._session_numbers: dict[tuple[str, str], int] = {}
        self._series: dict[Series, int] = {}
        self._session_columns: dict[int, tuple[object, ...]] = {}
        """Session number → its indexed columns as they are in the table: an update that changes none of them need not
        touch the indexes, which are most of its cost."""
        self._hours: set[tuple[int, int]] = set()

    def fetch(self, sql: str, args: tuple[object, ...] = ()) -> list[Row]:
        """Run one statement."""
        return self._db.execute(sql, args).fetchall()

    def _find_stream(self) -> int:
        self._db.execute("INSERT OR IGNORE INTO streams (name) VALUES (?)", (self.stream,))
        return self._db.execute("SELECT n FROM streams WHERE name = ?", (self.stream,)).fetchone()[0]

    # -- groups -------------------------------------------------------------------------------------------------------
    def commit(self, group: Group) -> list[BaseException | None] | None:
        """Make a group durable in one transaction. None when all of it was, else one verdict per entry.

        An entry that holds a value SQLite cannot keep takes down its own station's part of the group and nothing
        else. Raises what SQLite raised when the database itself failed; nothing was kept then.
        """
        try:
            self._db.execute("BEGIN IMMEDIATE")
            seq = self._write(self.seq, group.entries, group.records)
            self._db.execute("COMMIT")
        except DATA_FAULTS:
            self._roll_back()
            return self._commit_apart(group)
        except BaseException:
            self._roll_back()
            raise
        self.seq = seq
        return None

    def _commit_apart(self, group: Group) -> list[BaseException | None]:
        verdicts: list[BaseException | None] = [None] * len(group.entries)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            seq = self.seq
            for key, places in group.stations().items():
                self._db.execute("SAVEPOINT one_station")
                try:
                    seq = self._write(seq, [group.entries[place] for place in places], group.records.of_station(key))
                except DATA_FAULTS as error:
                    self._db.execute("ROLLBACK TO one_station")
                    self._forget()
                    for place in places:
                        verdicts[place] = error
                self._db.execute("RELEASE one_station")
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        self.seq = seq
        return verdicts

    def change(self, plan: Plan[T]) -> T:
        """Run a plan in a transaction of its own."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            answer = run_plan(plan, self.fetch)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise
        return answer

    def rebuild(self, records: Records) -> None:
        """Replace every projection row by these, in one transaction. Numbers stay: journal and samples hold them."""
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for table in ("stations", "sessions", "session_list", "commands", "variables"):
                self._db.execute(f"DELETE FROM {table}")
            self._session_columns.clear()
            self._write_records(records)
            self._db.execute("COMMIT")
        except BaseException:
            self._roll_back()
            raise

    def _roll_back(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")
        self._forget()

    def _forget(self) -> None:
        """What was remembered of rows that are no longer there, or may not be."""
        self._station_numbers.clear()
        self._session_numbers.clear()
        self._series.clear()
        self._session_columns.clear()
        self._hours.clear()

    # -- rows ---------------------------------------------------------------------------------------------------------
    def _write(self, seq: int, entries: Sequence[Entry], records: Records) -> int:
        base = self._stream_number << SEQ_BITS
        stream = self.stream
        numbers = self._station_numbers
        journal: list[object] = []
        sets: list[object] = []
        hours: list[object] = []
        for entry in entries:
            seq += 1
            tenant, name, frame, direction = entry.tenant, entry.station, entry.frame, entry.direction
            station = numbers.get((tenant, name)) or self._station_number(tenant, name)
            facts = encode_facts(entry.facts)
            crc = row_crc(stream, seq, tenant, name, entry.recv_time, entry.epoch, direction, frame, facts)
            journal += (
                base | seq,
                station,
                entry.recv_time,
                entry.epoch,
                DIRECTION_NUMBERS[direction],
                frame,
                facts,
                crc,
            )
            if entry.samples:
                self._sample_sets(base | seq, tenant, station, entry.samples, sets, hours)
        _JOURNAL.run(self._db, journal)
        if sets:
            _SETS.run(self._db, sets)
        if hours:
            _HOURS.run(self._db, hours)
        self._write_records(records)
        return seq

    def _sample_sets(
        self, n: int, tenant: str, station: int, found: Samples, sets: list[object], hours: list[object]
    ) -> None:
        known = self._series
        for session_id, time, series, values in sample_rows(found):
            session = self._session_number(tenant, session_id) if session_id else 0
            try:
                numbers = [known[one] for one in series]
            except KeyError:
                numbers = [known.get(one) or self._series_number(one) for one in series]
            sets += (time // SLOT_MS, station, time, n, session, encode_set(numbers, values))
            if session:
                mark = (session, time // HOUR_MS)
                if mark not in self._hours:
                    if len(self._hours) >= _CACHE_LIMIT:
                        self._hours.clear()
                    self._hours.add(mark)
                    hours += (*mark, station)

    def _write_records(self, records: Records) -> None:
        if records.sessions:
            self._write_sessions(records)
        if records.stations:
            flat: list[object] = []
            for row in records.stations:
                flat += (self._station_number(row.tenant, row.station), row.body)
            _STATIONS.run(self._db, flat)
        if records.commands:
            flat = []
            for command in records.commands:
                station = self._station_number(command.tenant, command.station)
                flat += (command.tenant, command.id, station, command.requested_at, command.pending, command.body)
            _COMMANDS.run(self._db, flat)
        if records.variables:
            flat = []
            for variable in records.variables:
                flat += (self._station_number(variable.tenant, variable.station), variable.name, variable.body)
            _VARIABLES.run(self._db, flat)

    def _write_sessions(self, records: Records) -> None:
        whole: list[object] = []
        listed: list[object] = []
        bodies: list[object] = []
        known = self._session_columns
        for row in records.sessions:
            number = self._session_number(row.tenant, row.id)
            station = self._station_number(row.tenant, row.station)
            columns = (station, row.transaction, row.start_key, row.status, row.started_at, row.listed)
            if known.get(number) == columns:
                bodies += (number, row.body)
            else:
                if len(known) >= _CACHE_LIMIT:
                    known.clear()
                known[number] = columns
                whole += (number, row.tenant, row.id, *columns[:-1], row.body)
                listed += (number, row.tenant, station, row.started_at, *row.listed)
        if whole:
            _SESSIONS.run(self._db, whole)
            _SESSION_LIST.run(self._db, listed)
        if bodies:
            _SESSION_BODIES.run(self._db, bodies)

    # -- numbers ------------------------------------------------------------------------------------------------------
    def _station_number(self, tenant: str, name: str) -> int:
        return self._number(self._station_numbers, "station_numbers", StationKey(tenant, name))

    def _session_number(self, tenant: str, name: str) -> int:
        return self._number(self._session_numbers, "session_numbers", (tenant, name))

    def _number(self, cache: dict[tuple[str, str], int], table: str, key: tuple[str, str]) -> int:
        number = cache.get(key)
        if number is None:
            number = self._find_or_insert(
                f"SELECT n FROM {table} WHERE tenant = ? AND id = ?",
                f"INSERT INTO {table} (tenant, id) VALUES (?, ?)",
                key,
            )
            if len(cache) >= _CACHE_LIMIT:
                cache.clear()
            cache[key] = number
        return number

    def _find_or_insert(self, select: str, insert: str, key: tuple[object, ...]) -> int:
        row = self._db.execute(select, key).fetchone()
        if row is not None:
            return row[0]
        made = self._db.execute(insert, key).lastrowid
        assert made is not None  # an INSERT that raised nothing made a row
        return made

    def _series_number(self, key: Series) -> int:
        number = self._find_or_insert(
            "SELECT n FROM series WHERE evse = ? AND connector = ? AND measurand = ? AND phase = ? AND location = ? "
            "AND context = ? AND unit = ?",
            "INSERT INTO series (evse, connector, measurand, phase, location, context, unit) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            key,
        )
        if len(self._series) >= _CACHE_LIMIT:
            self._series.clear()
        self._series[key] = number
        return number
