"""The embedded store: one SQLite file, one writer thread, group commit.

The loop appends to a list. When no commit is under way the list is taken whole as a `Group` and handed to the writer,
which makes it durable with one transaction and one fsync (WAL, synchronous=FULL) and tells the loop once; while it
works, the next group gathers. Reads run on connections of their own in a small thread pool and never wait for writes.

One process writes. A lock file beside the database says so to a second one.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import queue
import sqlite3
import threading
from collections.abc import AsyncIterator, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, TypeVar

from pilotwire.core.errors import ConfigError

from .codec import Record
from .files import sync
from .group import Group
from .group_queue import QUEUE_BYTES, QUEUE_ENTRIES, Lookup, not_durable
from .migrate import outstanding
from .port import StoreFailed
from .queries import Plan, run_plan
from .sqlite_writer import DATA_FAULTS, STATEMENTS, Writer
from .sqlstore import SqlStore, gather_records

T = TypeVar("T")

CHECKPOINT_EVERY: Final = 8_000
"""Entries between two checkpoints of the write-ahead log, about 60 MB of it; rarer ones copy busy pages less often."""
READERS: Final = 2
SYNCHRONOUS: Final = ("FULL", "OFF")


class SqliteStore(SqlStore):
    """`Store` in the SQLite file `path`; Parquet days go to `history` (None: roll-off is refused).

    `synchronous="OFF"` gives up durability and exists for the control of the tests that prove it.
    `read_only` opens without lock and writer, beside a process that writes.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        stream: str = "main",
        history: Path | None = None,
        synchronous: str = "FULL",
        read_only: bool = False,
        queue_entries: int = QUEUE_ENTRIES,
        queue_bytes: int = QUEUE_BYTES,
    ) -> None:
        if synchronous not in SYNCHRONOUS:
            raise ConfigError(f"synchronous must be one of {', '.join(SYNCHRONOUS)}, not {synchronous!r}")
        super().__init__(stream, history, queue_entries=queue_entries, queue_bytes=queue_bytes)
        self.path = Path(path)
        self.synchronous = synchronous
        self.read_only = read_only
        self._reading: set[asyncio.Future[None]] = set()

    # -- life ---------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Lock, open, migrate, start the writer. Raises ConfigError when the file cannot be used, saying why."""
        if self._ready:
            return
        self._reset()
        self._lock: int | None = None
        if self.read_only:
            if not self.path.exists():
                raise ConfigError(f"there is no database at {self.path}")
        else:
            self._lock = _take_lock(self.path)
        try:
            await self._start()
        except BaseException:
            self._unlock()
            raise
        self._accept(writing=not self.read_only)

    async def _start(self) -> None:
        self._local = threading.local()
        self._connections: list[sqlite3.Connection] = []
        self._jobs: queue.SimpleQueue[Callable[[Writer], None] | None] = queue.SimpleQueue()
        self._writer_thread: threading.Thread | None = None
        self._readers = ThreadPoolExecutor(READERS, thread_name_prefix="pilotwire-read")
        if not self.read_only:
            started: asyncio.Future[None] = self._loop.create_future()
            self._checkpointer = ThreadPoolExecutor(1, thread_name_prefix="pilotwire-checkpoint")
            self._writer_thread = threading.Thread(
                target=self._run_writer, args=(started,), name="pilotwire-write", daemon=True
            )
            self._writer_thread.start()
            await started

    async def close(self) -> None:
        """Commit what is waiting, stop the threads, close, unlock. After a failure: refuse what is waiting."""
        if not hasattr(self, "_readers"):
            return
        await self._drain()
        while self._reading:
            await asyncio.wait(set(self._reading))
        if self._writer_thread is not None:
            self._jobs.put(None)
            await self._loop.run_in_executor(None, self._writer_thread.join)
            self._checkpointer.shutdown(wait=True)
        self._readers.shutdown(wait=True)
        for connection in self._connections:
            connection.close()
        del self._readers
        self._unlock()

    def _unlock(self) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    @property
    def database(self) -> str:
        """The file's path."""
        return str(self.path.absolute())

    def _commit(self, group: Group) -> None:
        self._jobs.put(lambda writer: self._write_group(writer, group))

    # -- the writer's thread ------------------------------------------------------------------------------------------
    def _run_writer(self, started: asyncio.Future[None]) -> None:
        try:
            connection = self._connect(write=True)
            try:
                _migrate(connection, self.path)
                if self.synchronous != "OFF":
                    # A new file, and the deletion of the journal it was made with, are in the folder: were the deletion
                    # undone by a power cut, SQLite would roll the new database back to nothing.
                    sync(self.path.parent)
                writer = Writer(connection, self.stream)
            except BaseException:
                connection.close()
                raise
        except sqlite3.Error as error:
            reason = ConfigError(f"the database {self.path} cannot be used: {error}")
            self._loop.call_soon_threadsafe(started.set_exception, reason)
            return
        except BaseException as error:
            self._loop.call_soon_threadsafe(started.set_exception, error)
            return
        self._since_checkpoint = 0
        self._checkpointing = False
        self._loop.call_soon_threadsafe(started.set_result, None)
        while (job := self._jobs.get()) is not None:
            job(writer)
        connection.close()

    def _write_group(self, writer: Writer, group: Group) -> None:
        failure: BaseException | None = None
        verdicts: list[BaseException | None] | None = None
        try:
            verdicts = writer.commit(group)
        except BaseException as error:
            failure = error
        self._loop.call_soon_threadsafe(self._on_group, group.entries, group.dones, verdicts, failure, writer.seq)
        self._since_checkpoint += len(group.entries)
        if self._since_checkpoint >= CHECKPOINT_EVERY and failure is None and not self._checkpointing:
            self._since_checkpoint = 0
            self._checkpointing = True  # one at a time: two would keep each other from the end of the log
            self._checkpointer.submit(self._checkpoint)

    def _checkpoint(self) -> None:
        """Copy the log into the database beside the running writer; what came meanwhile the writer itself copies in a
        moment between two groups, so that the log can begin anew."""
        connection = self._connect(write=True)
        try:
            for _ in range(2):  # the second copies what came during the first, so that little is left to the writer
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        except sqlite3.Error as error:  # commits say for themselves when the disk is full
            self._loop.call_soon_threadsafe(
                self._loop.call_exception_handler, {"message": "a checkpoint failed", "exception": error}
            )
        finally:
            connection.close()
        self._jobs.put(self._finish_checkpoint)

    def _finish_checkpoint(self, writer: Writer) -> None:
        self._checkpointing = False
        try:
            writer.fetch("PRAGMA wal_checkpoint(PASSIVE)")
        except sqlite3.Error:
            self._since_checkpoint = CHECKPOINT_EVERY  # try again soon; the log keeps everything meanwhile

    def _connect(self, *, write: bool) -> sqlite3.Connection:
        mode = "rwc" if write else "ro"
        connection = sqlite3.connect(
            f"file:{_quote(self.path)}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS if write else 128,
            timeout=10.0,
        )
        if write:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={self.synchronous}")
            connection.execute("PRAGMA wal_autocheckpoint=0")
            connection.execute("PRAGMA journal_size_limit=67108864")
        else:
            connection.execute("PRAGMA query_only=ON")
        # KiB, filled as they are used. The writer comes back to the same newest page of every station.
        connection.execute(f"PRAGMA cache_size=-{32_000 if write else 4_000}")
        connection.execute("PRAGMA temp_store=MEMORY")
        return connection

    # -- reading ------------------------------------------------------------------------------------------------------
    def _read_connection(self) -> sqlite3.Connection:
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = self._connect(write=False)
            self._connections.append(connection)
        return connection

    def _run_read(self, plan: Plan[T]) -> T:
        connection = self._read_connection()
        connection.execute("BEGIN")
        try:
            return run_plan(plan, lambda sql, args: connection.execute(sql, args).fetchall())
        finally:
            connection.execute("COMMIT")

    async def read(self, plan: Plan[T]) -> T:
        """Run a plan on a reading thread, on one snapshot."""
        if not hasattr(self, "_readers"):
            raise StoreFailed("the store is not open")
        return await self._loop.run_in_executor(self._readers, self._run_read, plan)

    def _answer(self, due: list[Lookup]) -> None:
        """All that is due in one job: one hop to a thread and back, however many ask."""
        job = self._loop.run_in_executor(self._readers, self._run_lookups, [plan for plan, _ in due])
        told = asyncio.ensure_future(self._tell_lookups(job, due))
        self._reading.add(told)
        told.add_done_callback(self._reading.discard)

    async def _tell_lookups(
        self, job: asyncio.Future[list[tuple[BaseException | None, Any]]], due: list[Lookup]
    ) -> None:
        answers = await job
        for (_, done), (error, answer) in zip(due, answers, strict=True):
            if error is not None:
                # No guess is given: the asker hears nothing, and its own deadline speaks.
                if isinstance(error, sqlite3.Error):
                    self._fail(error)
                self._loop.call_exception_handler({"message": "the store cannot be read", "exception": error})
                continue
            self._tell(done, answer)

    def _run_lookups(self, plans: list[Plan[Any]]) -> list[tuple[BaseException | None, Any]]:
        answers: list[tuple[BaseException | None, Any]] = []
        for plan in plans:
            try:
                answers.append((None, self._run_read(plan)))
            except Exception as error:
                answers.append((error, None))
        return answers

    # -- changes outside of groups ------------------------------------------------------------------------------------
    async def change(self, plan: Plan[T]) -> T:
        """Run a plan on the writer's thread in a transaction of its own."""
        return await self.on_writer(lambda writer: writer.change(plan))

    async def on_writer(self, work: Callable[[Writer], T]) -> T:
        """Run `work` on the writer's thread between two groups. Raises StoreFailed when the database failed."""
        self._check_writable()
        answer: asyncio.Future[T] = self._loop.create_future()

        def run(writer: Writer) -> None:
            try:
                value = work(writer)
            except BaseException as error:
                self._loop.call_soon_threadsafe(_settle, answer, None, error)
            else:
                self._loop.call_soon_threadsafe(_settle, answer, value, None)

        self._jobs.put(run)
        try:
            return await answer
        except DATA_FAULTS:
            raise
        except sqlite3.Error as error:
            raise not_durable(error) from error

    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[Record]) -> None:
        """Replace every projection row by these, in one transaction."""
        records = await gather_records(projections)
        await self.on_writer(lambda writer: writer.rebuild(records))


def _settle(future: asyncio.Future[Any], value: object, error: BaseException | None) -> None:
    if future.done():  # the asker has gone away
        return
    if error is not None:
        future.set_exception(error)
    else:
        future.set_result(value)


def _quote(path: Path) -> str:
    return str(path.absolute()).replace("%", "%25").replace("?", "%3f").replace("#", "%23")


def _take_lock(path: Path) -> int:
    """Lock `<path>.lock` for this process, or say who holds it. The lock goes with the process, however it ends."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        lock = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(lock, 32, 0).decode(errors="replace").strip() or "unknown"
            os.close(lock)
            raise ConfigError(
                f"{path} is being written by another Pilotwire (process {holder}). Stop it first, talk to it over its "
                "API, or give this one a folder of its own with --data; several at once need PostgreSQL (--database)"
            ) from None
        os.ftruncate(lock, 0)
        os.pwrite(lock, f"{os.getpid()}\n".encode(), 0)
        # The database holds verifiers of passwords: nobody else's to read. WAL and shm inherit this mode.
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
    except OSError as error:
        raise ConfigError(
            f"{path} cannot be written: {error.strerror or error}; choose another folder with --data"
        ) from error
    return lock


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    """Bring the database to our schema, each step in a transaction together with its number."""
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    for step in outstanding("sqlite", version):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in step.statements():
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {step.number}")
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            connection.execute("ROLLBACK")
            raise ConfigError(f"migration {step.name} of {path} failed: {error}") from error
