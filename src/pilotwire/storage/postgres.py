"""The store that scales out: PostgreSQL by asyncpg, one writing connection per gateway, one statement per group.

A group is a single statement (data-modifying CTEs over unnested arrays): PostgreSQL commits it whole or not at all, in
one round trip, and answers after its log is flushed (synchronous_commit=on). `stream` is the gateway's name; an
advisory lock keeps a second writer out of it, and the key (stream, seq) would refuse what the lock let through.

When the server is lost in the middle of a commit nobody knows how it ended. The group is kept, the store is not ready,
and it reconnects with a back-off. Holding the advisory lock again proves that the old session is over; the highest seq
of the stream then says whether the group is in. If so its entries are told so; if not it is sent again. Nothing is
written twice and nothing that was kept is reported as failed.
"""

# ruff: noqa: S608 - the only texts put into SQL here are names from this file; every value is bound.
from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Final, TypeVar, cast

import asyncpg

from pilotwire.core.errors import ConfigError
from pilotwire.core.ids import StationKey

from . import queries
from .codec import DIRECTION_NUMBERS, HOUR_MS, Record, encode_facts, row_crc
from .group import Group, Records, SessionRow
from .migrate import outstanding
from .port import Entry, StoreFailed
from .queries import SEQ_BITS, Plan
from .sqlstore import QUEUE_BYTES, QUEUE_ENTRIES, Lookup, SqlStore, gather_records, not_durable

T = TypeVar("T")
Connection = Any
"""asyncpg's connection, or a pool's stand-in for one; asyncpg ships no types for both at once."""

LOCK_STREAM: Final = 0x70690001
LOCK_MIGRATE: Final = 0x70690002
BACK_OFF_MS: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000)
LOCK_PATIENCE_S: Final = 10.0
"""How long `open` waits for the stream: a server takes a moment to see that a killed gateway is gone."""
COMMAND_TIMEOUT_S: Final = 60.0
_CACHE_LIMIT: Final = 100_000

DATA_FAULTS = (
    OverflowError,
    TypeError,
    ValueError,
    LookupError,
    asyncpg.DataError,
    asyncpg.NotNullViolationError,
    asyncpg.CharacterNotInRepertoireError,
    asyncpg.ProgramLimitExceededError,
)
"""An entry's own fault: a value that PostgreSQL cannot keep."""

LOST = (
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.OperatorInterventionError,
    asyncpg.ReadOnlySQLTransactionError,
)
"""The server is gone, going, or no longer the one that takes writes. How a commit under way ended is not known."""

_WRITE = """
WITH journal_rows AS (
    INSERT INTO journal (id, station, recv_time, epoch, direction, frame, facts, crc)
    SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[], $7::bytea[],
                         $8::bigint[])
), sample_rows AS (
    INSERT INTO samples (station, time, series, value, session)
    SELECT * FROM unnest($9::bigint[], $10::bigint[], $11::bigint[], $12::bigint[], $13::bigint[])
    ON CONFLICT DO NOTHING
), hour_rows AS (
    INSERT INTO session_hours (session, hour, station) SELECT * FROM unnest($14::bigint[], $15::bigint[], $16::bigint[])
    ON CONFLICT DO NOTHING
), session_bodies AS (
    UPDATE sessions SET body = fresh.body FROM unnest($17::bigint[], $18::bytea[]) AS fresh (n, body)
    WHERE sessions.n = fresh.n
) SELECT 1
"""
"""What nearly every group needs. Rarer rows follow in statements of their own, then within one transaction."""

_SESSIONS = """
INSERT INTO sessions (n, tenant, id, station, txn, start_key, status, started_at, body)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::text[], $4::bigint[], $5::text[], $6::text[], $7::text[],
                     $8::bigint[], $9::bytea[])
ON CONFLICT (n) DO UPDATE SET station = excluded.station, txn = excluded.txn, start_key = excluded.start_key,
    status = excluded.status, started_at = excluded.started_at, body = excluded.body
"""
_SESSION_LIST = """
INSERT INTO session_list (n, tenant, station, started_at, ended_at, energy_wh, token, reason, flags)
SELECT * FROM unnest($1::bigint[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[], $7::text[],
                     $8::text[], $9::text[])
ON CONFLICT (n) DO UPDATE SET station = excluded.station, started_at = excluded.started_at,
    ended_at = excluded.ended_at, energy_wh = excluded.energy_wh, token = excluded.token, reason = excluded.reason,
    flags = excluded.flags
"""
_STATIONS = """
INSERT INTO stations (station, body) SELECT * FROM unnest($1::bigint[], $2::bytea[])
ON CONFLICT (station) DO UPDATE SET body = excluded.body
"""
_COMMANDS = """
INSERT INTO commands (tenant, id, station, requested_at, pending, body)
SELECT * FROM unnest($1::text[], $2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bytea[])
ON CONFLICT (tenant, id) DO UPDATE SET station = excluded.station, requested_at = excluded.requested_at,
    pending = excluded.pending, body = excluded.body
"""
_VARIABLES = """
INSERT INTO variables (station, name, body) SELECT * FROM unnest($1::bigint[], $2::text[], $3::bytea[])
ON CONFLICT (station, name) DO UPDATE SET body = excluded.body
"""


@cache
def dollar(sql: str) -> str:
    """A plan's SQL with PostgreSQL's placeholders."""
    return re.sub(r"\?(\d+)", r"$\1", sql)


def text(value: str) -> str:
    """A string as a text column can hold it: PostgreSQL has no NUL in text, so keys show its picture instead.

    Bodies, facts and frames are bytes and keep everything.
    """
    return value.replace("\0", "\u2400") if "\0" in value else value


def _args(args: Sequence[object]) -> list[object]:
    return [text(one) if isinstance(one, str) else one for one in args]


async def run(connection: Connection, plan: Plan[T]) -> T:
    """Drive a plan over a connection or pool."""
    try:
        sql, args = next(plan)
        while True:
            sql, args = plan.send(await connection.fetch(dollar(sql), *_args(args)))
    except StopIteration as end:
        return end.value


async def read_rows(url: str, sql: str, args: Sequence[object] = ()) -> list[tuple[Any, ...]]:
    """One query over a connection of its own, for child processes."""
    connection = await asyncpg.connect(url)
    try:
        return [tuple(row) for row in await connection.fetch(dollar(sql), *_args(args))]
    finally:
        await connection.close()


class PostgresStore(SqlStore):
    """`Store` in the PostgreSQL database `url`.

    `synchronous_commit="off"` gives up durability and exists for the control of the tests that prove it.
    """

    shared = True

    def __init__(
        self,
        url: str,
        *,
        stream: str = "main",
        history: Path | None = None,
        synchronous_commit: str = "on",
        readers: int = 4,
        queue_entries: int = QUEUE_ENTRIES,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        super().__init__(stream, history, queue_entries=queue_entries, queue_bytes=queue_bytes)
        self.url = url
        self._settings = {"synchronous_commit": synchronous_commit, "application_name": f"pilotwire {stream}"}
        self._reader_count = readers
        self._writer: Connection | None = None
        self._pool: Any = None
        self._tasks: set[asyncio.Task[None]] = set()
        self.reconnects = 0
        """How often the writing connection was made anew after a loss."""

    @property
    def database(self) -> str:
        """The URL."""
        return self.url

    # -- life ---------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Connect, migrate, take the stream. Raises ConfigError when the database cannot be used, saying why."""
        if self._open:
            return
        self._reset()
        self._closing = asyncio.Event()
        self._change_lock = asyncio.Lock()
        self._expected: tuple[int, list[BaseException | None] | None] | None = None
        self.seq = 0
        try:
            self._writer = await self._connect(LOCK_PATIENCE_S)
            self._pool = await asyncpg.create_pool(
                self.url, min_size=1, max_size=self._reader_count, command_timeout=COMMAND_TIMEOUT_S
            )
        except ConfigError:
            raise
        except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, ValueError) as error:
            await self._drop_writer()
            raise ConfigError(f"the PostgreSQL database (--database) cannot be used: {error}") from error
        self._accept(writing=True)

    async def _connect(self, patience: float) -> Connection:
        """A writing connection that holds the stream, its schema up to date, `self.seq` read."""
        connection = await asyncpg.connect(
            self.url, server_settings=self._settings, command_timeout=COMMAND_TIMEOUT_S, timeout=10
        )
        try:
            if await connection.fetchval("SHOW fsync") != "on":
                raise ConfigError(
                    "the PostgreSQL server runs with fsync=off: an answer would promise what it cannot keep"
                )
            await _migrate(connection)
            await connection.execute("INSERT INTO streams (name) VALUES ($1) ON CONFLICT DO NOTHING", self.stream)
            self._stream_number = await connection.fetchval("SELECT n FROM streams WHERE name = $1", self.stream)
            deadline = self._loop.time() + patience
            while not await connection.fetchval(
                "SELECT pg_try_advisory_lock($1, $2)", LOCK_STREAM, self._stream_number
            ):
                if self._loop.time() >= deadline:
                    raise ConfigError(
                        f"another Pilotwire writes stream {self.stream!r} of this database; give every gateway a name "
                        "of its own or stop the other one"
                    )
                await asyncio.sleep(0.05)
            seq = await run(connection, queries.last_seq(self._stream_number))
            if seq < self.seq:
                raise ConfigError(
                    f"the database has lost entries of stream {self.stream!r}: it ends at {seq}, {self.seq} were "
                    "committed (a fail-over to a replica that lagged behind, or a restore?)"
                )
            self.seq = seq
            self._forget()
            connection.add_termination_listener(self._on_terminated)
        except BaseException:
            connection.terminate()
            raise
        return connection

    def _forget(self) -> None:
        self._station_numbers: dict[tuple[str, ...], int] = {}
        self._session_numbers: dict[tuple[str, ...], int] = {}
        self._series: dict[tuple[object, ...], int] = {}
        self._session_columns: dict[int, tuple[object, ...]] = {}
        self._hours: set[tuple[int, int]] = set()

    async def close(self) -> None:
        """Commit what is waiting, close. While the server is lost: refuse what is waiting."""
        if not self._open:
            return
        self._ready = self._writing = False
        self._closing.set()
        await self._drain()
        while self._tasks:
            await asyncio.wait(set(self._tasks))
        await self._drop_writer()
        if self._pool is not None:
            try:
                await asyncio.wait_for(self._pool.close(), 5)
            except TimeoutError:
                self._pool.terminate()
            self._pool = None

    async def _drop_writer(self) -> None:
        connection, self._writer = self._writer, None
        if connection is not None:
            try:
                await connection.close(timeout=5)
            except LOST:
                connection.terminate()

    def _spawn(self, work: Any) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # -- committing ---------------------------------------------------------------------------------------------------
    def _commit(self, group: Group) -> None:
        self._spawn(self._commit_group(group))

    async def _commit_group(self, group: Group) -> None:
        verdicts: list[BaseException | None] | None = None
        failure: BaseException | None = None
        try:
            verdicts = await self._until_settled(group)
        except Exception as error:
            failure = error
        self._on_group(group.entries, group.dones, verdicts, failure, self.seq)

    async def _until_settled(self, group: Group) -> list[BaseException | None] | None:
        """Write a group, over as many connections as it takes. Raises what makes the store fail."""
        base = self.seq
        while True:
            try:
                async with self._change_lock:
                    if self._writer is None:
                        await self._reconnect()
                    if self.seq > base:  # the commit that nobody answered had been made
                        if self._expected is None or self._expected[0] != self.seq:
                            raise StoreFailed(f"somebody else has written stream {self.stream!r}")
                        return self._expected[1]
                    return await self._write_group(base, group)
            except asyncpg.UniqueViolationError as error:
                raise StoreFailed(f"somebody else has written stream {self.stream!r}: {error}") from error
            except LOST as error:
                self._lost(error)

    def _on_terminated(self, connection: Connection) -> None:
        """The writing connection ended, perhaps while nothing was being written."""
        if connection is self._writer and not self._closing.is_set():
            self._lost(ConnectionResetError("the server closed the connection"))
            self._spawn(self._recover())

    def _lost(self, error: BaseException) -> None:
        self._ready, self._failure = False, error
        connection, self._writer = self._writer, None
        if connection is not None:
            connection.terminate()

    async def _reconnect(self) -> None:
        """Try until it works; StoreFailed when the store is closed meanwhile, ConfigError when it never can."""
        attempt = 0
        while True:
            try:
                self._writer = await self._connect(0.0 if attempt < 3 else 1.0)
            except (*LOST, ConfigError, asyncpg.PostgresError) as error:
                if isinstance(error, ConfigError) and "another Pilotwire writes" not in str(error):
                    raise
                # Held still: by our own old session, which the server has not yet seen end.
                pause = BACK_OFF_MS[min(attempt, len(BACK_OFF_MS) - 1)] / 1000
                attempt += 1
                try:
                    await asyncio.wait_for(self._closing.wait(), pause)
                except TimeoutError:
                    continue
                raise StoreFailed(f"closed while the server was lost; the outcome is not known: {error}") from error
            self.reconnects += 1
            if not self._closing.is_set():
                self._ready, self._failure = True, None
            return

    async def _write_group(self, base: int, group: Group) -> list[BaseException | None] | None:
        connection = self._writer
        self._expected = (base + len(group.entries), None)
        try:
            await self._write(connection, base, group.entries, group.records, alone=True)
        except DATA_FAULTS:
            self._forget()
            return await self._write_apart(connection, base, group)
        except asyncpg.PostgresError:
            self._forget()
            raise
        self.seq = base + len(group.entries)
        return None

    async def _write_apart(self, connection: Connection, base: int, group: Group) -> list[BaseException | None]:
        """Station by station: what cannot be kept takes down its own station's part alone."""
        verdicts: list[BaseException | None] = [None] * len(group.entries)
        seq = base
        async with connection.transaction():
            for key, places in group.stations().items():
                entries = [group.entries[place] for place in places]
                try:
                    async with connection.transaction():
                        await self._write(connection, seq, entries, group.records.of_station(key), alone=False)
                    seq += len(entries)
                except DATA_FAULTS as error:
                    self._forget()
                    for place in places:
                        verdicts[place] = error
            self._expected = (seq, verdicts)
        self.seq = seq
        return verdicts

    async def _write(
        self, connection: Connection, seq: int, entries: Sequence[Entry], records: Records, *, alone: bool
    ) -> None:
        """Write entries and records: in one statement where that is all, else in one transaction."""
        await self._find_numbers(connection, entries, records)
        journal: list[tuple[object, ...]] = []
        samples: list[tuple[int, ...]] = []
        hours: list[tuple[int, ...]] = []
        base = self._stream_number << SEQ_BITS
        for entry in entries:
            seq += 1
            tenant, name, frame, direction = entry.tenant, entry.station, entry.frame, entry.direction
            station = self._station_numbers[tenant, name]
            facts = encode_facts(entry.facts)
            crc = row_crc(self.stream, seq, tenant, name, entry.recv_time, entry.epoch, direction, frame, facts)
            number = DIRECTION_NUMBERS[direction]
            journal.append((base | seq, station, entry.recv_time, entry.epoch, number, frame, facts, crc))
            if entry.samples:
                self._sample_rows(entry, station, samples, hours)
        bodies: list[tuple[int, bytes]] = []
        whole: list[SessionRow] = []
        for row in records.sessions:
            number = self._session_numbers[row.tenant, row.id]
            station = self._station_numbers[row.tenant, row.station]
            columns = (station, row.transaction, row.start_key, row.status, row.started_at, row.listed)
            if self._session_columns.get(number) == columns:
                bodies.append((number, row.body))
            else:
                if len(self._session_columns) >= _CACHE_LIMIT:
                    self._session_columns.clear()
                self._session_columns[number] = columns
                whole.append(row)
        main = (
            *_columns(journal, 8),
            *_columns(samples, 5),
            *_columns(hours, 3),
            *_columns(bodies, 2),
        )
        if alone and not (whole or records.stations or records.commands or records.variables):
            await connection.execute(_WRITE, *main)
            return
        async with connection.transaction():
            await connection.execute(_WRITE, *main)
            await self._write_others(connection, whole, records)

    async def _write_others(self, connection: Connection, sessions: list[SessionRow], records: Records) -> None:
        numbers = self._station_numbers
        if sessions:
            whole: list[tuple[object, ...]] = []
            listed: list[tuple[object, ...]] = []
            for row in sessions:
                number, station = self._session_numbers[row.tenant, row.id], numbers[row.tenant, row.station]
                named = (text(row.transaction), text(row.start_key), row.status, row.started_at)
                whole.append((number, row.tenant, row.id, station, *named, row.body))
                ended_at, energy, token, reason, flags = row.listed
                found = (ended_at, energy, text(token), text(reason), text(flags))
                listed.append((number, row.tenant, station, row.started_at, *found))
            await connection.execute(_SESSIONS, *_columns(whole, 9))
            await connection.execute(_SESSION_LIST, *_columns(listed, 9))
        if records.stations:
            rows = [(numbers[row.tenant, row.station], row.body) for row in records.stations]
            await connection.execute(_STATIONS, *_columns(rows, 2))
        if records.commands:
            kept = [
                (one.tenant, one.id, numbers[one.tenant, one.station], one.requested_at, one.pending, one.body)
                for one in records.commands
            ]
            await connection.execute(_COMMANDS, *_columns(kept, 6))
        if records.variables:
            named = [(numbers[one.tenant, one.station], text(one.name), one.body) for one in records.variables]
            await connection.execute(_VARIABLES, *_columns(named, 3))

    def _sample_rows(
        self, entry: Entry, station: int, rows: list[tuple[int, ...]], hours: list[tuple[int, ...]]
    ) -> None:
        for sample in entry.samples:
            session = self._session_numbers[entry.tenant, sample.session_id] if sample.session_id else 0
            series = self._series[_series_key(sample)]
            rows.append((station, sample.time, series, sample.value, session))
            if session:
                mark = (session, sample.time // HOUR_MS)
                if mark not in self._hours:
                    if len(self._hours) >= _CACHE_LIMIT:
                        self._hours.clear()
                    self._hours.add(mark)
                    hours.append((*mark, station))

    async def _find_numbers(self, connection: Connection, entries: Sequence[Entry], records: Records) -> None:
        """Make sure that every name in a group has its number: known ones from memory, others in a commit before.

        A number that then stays unused does no harm, and no two gateways wait for one another in the middle of a group.
        """
        stations = {(entry.tenant, entry.station) for entry in entries}
        sessions = {(row.tenant, row.id) for row in records.sessions}
        stations.update((row.tenant, row.station) for row in records.sessions)
        stations.update((row.tenant, row.station) for row in records.stations)
        stations.update((row.tenant, row.station) for row in records.commands)
        stations.update((row.tenant, row.station) for row in records.variables)
        series: set[tuple[object, ...]] = set()
        known = self._series
        for entry in entries:
            for sample in entry.samples:
                if sample.session_id:
                    sessions.add((entry.tenant, sample.session_id))
                if (key := _series_key(sample)) not in known:
                    series.add(key)
        await _number(
            connection, "station_numbers", ("tenant", "id"), ("text", "text"), stations, self._station_numbers
        )
        await _number(
            connection, "session_numbers", ("tenant", "id"), ("text", "text"), sessions, self._session_numbers
        )
        if series:
            kinds = ("bigint", "bigint", "text", "text", "text", "text", "text")
            names = ("evse", "connector", "measurand", "phase", "location", "context", "unit")
            await _number(connection, "series", names, kinds, series, known)

    # -- reading ------------------------------------------------------------------------------------------------------
    async def read(self, plan: Plan[T]) -> T:
        """Run a plan on a reading connection. Raises StoreFailed while the server is lost."""
        if self._pool is None:
            raise StoreFailed("the store is not open")
        try:
            async with self._pool.acquire() as connection:
                return await run(connection, plan)
        except DATA_FAULTS:
            raise
        except LOST as error:
            raise StoreFailed(f"the database cannot be read: {error}") from error

    def _answer(self, due: list[Lookup]) -> None:
        for plan, done in due:
            self._spawn(self._answer_one(plan, done))

    async def _answer_one(self, plan: Plan[Any], done: Any) -> None:
        # A plan cannot be begun again, so its steps are: the lost one is asked once more.
        step = next(plan)
        attempt = 0
        while True:
            try:
                async with self._pool.acquire() as connection:
                    while True:
                        rows = await connection.fetch(dollar(step[0]), *_args(step[1]))
                        try:
                            step = plan.send(rows)
                        except StopIteration as end:
                            self._tell(done, end.value)
                            return
            except DATA_FAULTS as error:
                self._loop.call_exception_handler({"message": "a lookup that cannot be asked", "exception": error})
                return
            except LOST:
                pause = BACK_OFF_MS[min(attempt, len(BACK_OFF_MS) - 1)] / 1000
                attempt += 1
                try:
                    await asyncio.wait_for(self._closing.wait(), pause)
                    return
                except TimeoutError:
                    continue
            except Exception as error:
                self._loop.call_exception_handler({"message": "the store cannot be read", "exception": error})
                return

    # -- changes outside of groups ------------------------------------------------------------------------------------
    async def change(self, plan: Plan[T]) -> T:
        """Run a plan in a transaction of its own, on a connection with the writer's settings."""
        self._check_writable()
        try:
            async with self._change_lock:
                if self._writer is None:
                    raise StoreFailed("the server is lost; try again")
                async with self._writer.transaction():
                    return await run(self._writer, plan)
        except DATA_FAULTS:
            raise
        except LOST as error:
            self._lost(error)
            self._spawn(self._recover())
            raise not_durable(error) from error

    async def _recover(self) -> None:
        """Reconnect when nobody waits who would."""
        async with self._change_lock:
            if self._writer is None and not self._closing.is_set():
                try:
                    await self._reconnect()
                except (StoreFailed, ConfigError) as error:
                    self._fail(error)

    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[object]) -> None:
        """Replace every projection row by these, in one transaction."""
        self._check_writable()
        records = await gather_records(projections)
        async with self._change_lock:
            connection = self._writer
            if connection is None:
                raise StoreFailed("the server is lost; try again")
            await self._find_numbers(connection, (), records)
            self._session_columns.clear()
            sessions = {(row.tenant, row.id): row for row in records.sessions}
            try:
                async with connection.transaction():
                    for table in ("stations", "sessions", "session_list", "commands", "variables"):
                        await connection.execute(f"DELETE FROM {table}")
                    await self._write_others(connection, list(sessions.values()), records)
            except LOST as error:
                self._lost(error)
                self._spawn(self._recover())
                raise not_durable(error) from error


def _series_key(sample: Any) -> tuple[object, ...]:
    return (
        sample.evse,
        sample.connector,
        sample.measurand,
        sample.phase,
        sample.location,
        sample.context,
        sample.unit,
    )


def _columns(rows: Sequence[Sequence[object]], width: int) -> list[list[object]]:
    """Rows turned into the arrays that unnest takes."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


async def _number(
    connection: Connection,
    table: str,
    names: tuple[str, ...],
    kinds: tuple[str, ...],
    keys: set[Any],
    known: dict[Any, int],
) -> None:
    """Give numbers to the keys that have none yet, and remember them."""
    missing = [key for key in keys if key not in known]
    if not missing:
        return
    if len(known) + len(missing) > _CACHE_LIMIT:
        # Only what this group needs is asked for again.
        known.clear()
        missing = list(keys)
    clean = {tuple(text(one) if isinstance(one, str) else one for one in key) for key in missing}
    arrays = _columns(sorted(clean), len(names))
    listed = ", ".join(names)
    unnested = ", ".join(f"${place}::{kind}[]" for place, kind in enumerate(kinds, 1))
    await connection.execute(
        f"INSERT INTO {table} ({listed}) SELECT * FROM unnest({unnested}) ON CONFLICT DO NOTHING", *arrays
    )
    rows = await connection.fetch(
        f"SELECT n, {listed} FROM {table} JOIN unnest({unnested}) AS wanted ({listed}) USING ({listed})", *arrays
    )
    numbers = {tuple(row)[1:]: row[0] for row in rows}
    for key in missing:
        known[key] = numbers[tuple(text(one) if isinstance(one, str) else one for one in key)]


async def _migrate(connection: Connection) -> None:
    """Bring the database to our schema, each step in a transaction together with its number; one process at a time."""
    await connection.execute("SELECT pg_advisory_lock($1, 0)", LOCK_MIGRATE)
    try:
        await connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version bigint NOT NULL)")
        version = cast("int | None", await connection.fetchval("SELECT max(version) FROM schema_version")) or 0
        for step in outstanding("postgres", version):
            async with connection.transaction():
                for statement in step.statements():
                    await connection.execute(statement)
                await connection.execute("INSERT INTO schema_version VALUES ($1)", step.number)
    finally:
        await connection.execute("SELECT pg_advisory_unlock($1, 0)", LOCK_MIGRATE)


__all__ = ["PostgresStore", "StationKey", "dollar", "read_rows", "run", "text"]
