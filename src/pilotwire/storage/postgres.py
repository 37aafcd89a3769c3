"""The store that scales out: PostgreSQL by asyncpg, one writing connection per gateway, one statement per group.

A group is a single statement (data-modifying CTEs over unnested arrays): PostgreSQL commits it whole or not at all, in
one round trip, and answers after its log is flushed (synchronous_commit=on). `stream` is the gateway's name; an
advisory lock keeps a second writer out of it, and the key (stream, seq) would refuse what the lock let through.

When the server is lost in the middle of a commit nobody knows how it ended. The group is kept, the store is not ready,
and it reconnects with a back-off. Holding the advisory lock again proves that the old session is over; the highest seq
of the stream then says whether the group is in. If so its entries are told so; if not it is sent again. Nothing is
written twice and nothing that was kept is reported as failed.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

import asyncpg

from pilotwire.core.errors import ConfigError

from . import queries
from .codec import Record
from .group import Group
from .group_queue import QUEUE_BYTES, QUEUE_ENTRIES, Lookup, not_durable
from .port import StoreFailed
from .postgres_plans import DATA_FAULTS, LOST, Connection, arguments, dollar, migrate_schema, run
from .postgres_writer import PostgresWriter
from .queries import Plan
from .sqlstore import SqlStore, gather_records

T = TypeVar("T")

LOCK_STREAM: Final = 0x70690001
BACK_OFF_MS: Final = (50, 100, 200, 500, 1_000, 2_000, 5_000)
LOCK_PATIENCE_S: Final = 10.0
"""How long `open` waits for the stream: a server takes a moment to see that a killed gateway is gone."""
COMMAND_TIMEOUT_S: Final = 60.0


class StreamHeld(ConfigError):
    """Another session holds the stream: another gateway, or our own old one, which the server has not yet seen end."""


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
            await migrate_schema(connection)
            await connection.execute("INSERT INTO streams (name) VALUES ($1) ON CONFLICT DO NOTHING", self.stream)
            number = await connection.fetchval("SELECT n FROM streams WHERE name = $1", self.stream)
            deadline = self._loop.time() + patience
            while not await connection.fetchval("SELECT pg_try_advisory_lock($1, $2)", LOCK_STREAM, number):
                if self._loop.time() >= deadline:
                    raise StreamHeld(
                        f"another Pilotwire writes stream {self.stream!r} of this database; give every gateway a name "
                        "of its own or stop the other one"
                    )
                await asyncio.sleep(0.05)
            seq = await run(connection, queries.last_seq(number))
            if seq < self.seq:
                raise ConfigError(
                    f"the database has lost entries of stream {self.stream!r}: it ends at {seq}, {self.seq} were "
                    "committed (a fail-over to a replica that lagged behind, or a restore?)"
                )
            self.seq = seq
            self._rows = PostgresWriter(self.stream, number)
            connection.add_termination_listener(self._on_terminated)
        except BaseException:
            connection.terminate()
            raise
        return connection

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
            except (*LOST, StreamHeld, asyncpg.PostgresError) as error:
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
            await self._rows.write(connection, base, group.entries, group.records, alone=True)
        except DATA_FAULTS:
            self._rows.forget()
            return await self._write_apart(connection, base, group)
        except asyncpg.PostgresError:
            self._rows.forget()
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
                        await self._rows.write(connection, seq, entries, group.records.of_station(key), alone=False)
                    seq += len(entries)
                except DATA_FAULTS as error:
                    self._rows.forget()
                    for place in places:
                        verdicts[place] = error
            self._expected = (seq, verdicts)
        self.seq = seq
        return verdicts

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
                        rows = await connection.fetch(dollar(step[0]), *arguments(step[1]))
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

    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[Record]) -> None:
        """Replace every projection row by these, in one transaction."""
        self._check_writable()
        records = await gather_records(projections)
        async with self._change_lock:
            connection = self._writer
            if connection is None:
                raise StoreFailed("the server is lost; try again")
            try:
                await self._rows.replace(connection, records)
            except LOST as error:
                self._lost(error)
                self._spawn(self._recover())
                raise not_durable(error) from error
