"""What a local controller must not lose: messages that wait for a central system, and small notes beside them.

`SqliteForwarding` is one SQLite file in WAL mode with one writer thread. What is written while a commit is under way is
committed together afterwards (group commit); `done` is called on the loop after the fsync, so whoever answers a station
there answers only what a killed box finds again. `MemoryForwarding` is its twin for simulated time.

A *box* is the name of one queue and its notes; a controller has one for each station and upstream. Positions in a queue
are the caller's, growing. Bodies are bytes that nothing here reads.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, Protocol

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler

Done = Callable[[Exception | None], None]
"""Called once, on the loop: None after the commit, else why nothing of it was kept."""

Row = tuple[int, bytes]
"""Position and body."""


class Box(NamedTuple):
    """What a box holds at the start, without the bodies of its queue."""

    notes: Mapping[str, bytes]
    depth: int
    last: int
    """The highest position that still waits; 0: none does."""


EMPTY = Box({}, 0, 0)


class Change(NamedTuple):
    """One atomic change of one box."""

    box: str
    notes: Mapping[str, bytes | None] = {}
    """None forgets the note."""
    push: Sequence[Row] = ()
    """A position that is there already gets the new body."""
    pop: Sequence[int] = ()


class Forwarding(Protocol):
    """A durable store of queues."""

    def boxes(self) -> Mapping[str, Box]:
        """Everything that is there; at the start, before anything is written."""
        ...

    def write(self, changes: Sequence[Change], done: Done) -> None:
        """All of `changes` or nothing. In the order of the calls."""
        ...

    def fetch(self, box: str, after: int, limit: int, done: Callable[[list[Row]], None]) -> None:
        """The next rows behind position `after`; sees every earlier `write`. `done` is called once, later."""
        ...


# ── simulated time ───────────────────────────────────────────────────────────────────────────────────────────────────


class MemoryForwarding:
    """The store in memory: a commit takes `commit_ms`, and `crash` loses what has not been committed."""

    def __init__(self, scheduler: Scheduler, *, commit_ms: int = 3) -> None:
        self._scheduler = scheduler
        self._commit_ms = commit_ms
        self._notes: dict[str, dict[str, bytes]] = {}
        self._queues: dict[str, dict[int, bytes]] = {}
        self._life = 0
        self.fails: Exception | None = None
        """While it is set, nothing can be written."""
        self.commits = 0

    def boxes(self) -> Mapping[str, Box]:
        names = self._notes.keys() | self._queues.keys()
        return {
            name: Box(
                dict(self._notes.get(name, {})),
                len(self._queues.get(name, {})),
                max(self._queues.get(name, {}), default=0),
            )
            for name in names
        }

    def write(self, changes: Sequence[Change], done: Done) -> None:
        life = self._life

        def commit() -> None:
            if life != self._life:
                return
            if self.fails is None:
                self._apply(changes)
            done(self.fails)

        self._scheduler.call_later(self._commit_ms, commit)

    def _apply(self, changes: Sequence[Change]) -> None:
        self.commits += 1
        for change in changes:
            notes = self._notes.setdefault(change.box, {})
            for key, value in change.notes.items():
                if value is None:
                    notes.pop(key, None)
                else:
                    notes[key] = value
            rows = self._queues.setdefault(change.box, {})
            rows.update(change.push)
            for position in change.pop:
                rows.pop(position, None)

    def fetch(self, box: str, after: int, limit: int, done: Callable[[list[Row]], None]) -> None:
        life = self._life

        def look() -> None:
            if life == self._life:
                rows = self._queues.get(box, {})
                done([(n, rows[n]) for n in sorted(n for n in rows if n > after)[:limit]])

        self._scheduler.call_later(self._commit_ms, look)

    def crash(self) -> None:
        """The process is killed: nothing that is under way happens any more, nobody is told."""
        self._life += 1


# ── SQLite ───────────────────────────────────────────────────────────────────────────────────────────────────────────

_TABLES = (
    "CREATE TABLE IF NOT EXISTS note (box TEXT, key TEXT, value BLOB NOT NULL, PRIMARY KEY (box, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS waiting"
    " (box TEXT, position INTEGER, body BLOB NOT NULL, PRIMARY KEY (box, position)) WITHOUT ROWID",
)


class _Fetch(NamedTuple):
    box: str
    after: int
    limit: int
    done: Callable[[list[Row]], None]


class _Write(NamedTuple):
    changes: Sequence[Change]
    done: Done


_Job = _Write | _Fetch | None


class SqliteForwarding:
    """The store in the SQLite file `path`. Made, used and closed on one event loop; one process alone may write it."""

    def __init__(self, path: Path | str, *, synchronous: str = "FULL") -> None:
        """Raises ConfigError when the file cannot be opened as such a store. `synchronous="OFF"` is for tests."""
        try:
            self._db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={synchronous}")
            for statement in _TABLES:
                self._db.execute(statement)
        except sqlite3.Error as error:
            raise ConfigError(f"{path} is no store for messages: {error}") from error
        self._loop: asyncio.AbstractEventLoop | None = None
        self._jobs: queue.SimpleQueue[_Job] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self.commits = 0
        """Transactions so far: fewer than writes, when many come together."""

    def boxes(self) -> Mapping[str, Box]:
        notes: dict[str, dict[str, bytes]] = {}
        for box, key, value in self._db.execute("SELECT box, key, value FROM note"):
            notes.setdefault(box, {})[key] = value
        depths = {
            box: (depth, last)
            for box, depth, last in self._db.execute("SELECT box, count(*), max(position) FROM waiting GROUP BY box")
        }
        return {name: Box(notes.get(name, {}), *depths.get(name, (0, 0))) for name in notes.keys() | depths.keys()}

    def write(self, changes: Sequence[Change], done: Done) -> None:
        self._give(_Write(changes, done))

    def fetch(self, box: str, after: int, limit: int, done: Callable[[list[Row]], None]) -> None:
        self._give(_Fetch(box, after, limit, done))

    def _give(self, job: _Job) -> None:
        if self._thread is None:
            self._loop = asyncio.get_running_loop()
            self._thread = threading.Thread(target=self._work, name="forwarding", daemon=True)
            self._thread.start()
        self._jobs.put(job)

    async def close(self) -> None:
        """Everything that was given is committed and told, then the file is closed."""
        thread, self._thread = self._thread, None
        if thread is not None:
            self._jobs.put(None)
            await asyncio.get_running_loop().run_in_executor(None, thread.join)
        self._db.close()

    # ── on the writer's thread: bytes only, nothing is decoded there ─────────────────────────────────────────────

    def _work(self) -> None:
        over = False
        while not over:
            jobs = [self._jobs.get()]
            while True:
                try:
                    jobs.append(self._jobs.get_nowait())
                except queue.Empty:
                    break
            group: list[_Write] = []
            for job in jobs:
                if isinstance(job, _Write):
                    group.append(job)
                    continue
                self._commit(group)
                group = []
                if job is None:
                    over = True
                    break
                self._read(job)
            self._commit(group)

    def _commit(self, group: Sequence[_Write]) -> None:
        if not group:
            return
        failure = self._try(group)
        if failure is None:
            self._tell([(each.done, None) for each in group])
        elif len(group) == 1:
            self._tell([(group[0].done, failure)])
        else:
            # One of them may be what cannot be written (too large, a full disk takes the small ones still).
            for each in group:
                self._tell([(each.done, self._try((each,)))])

    def _try(self, group: Sequence[_Write]) -> Exception | None:
        db = self._db
        try:
            db.execute("BEGIN IMMEDIATE")
            for write in group:
                for change in write.changes:
                    self._apply(db, change)
            db.execute("COMMIT")
        except (sqlite3.Error, OverflowError) as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            return error
        self.commits += 1
        return None

    @staticmethod
    def _apply(db: sqlite3.Connection, change: Change) -> None:
        box = change.box
        for key, value in change.notes.items():
            if value is None:
                db.execute("DELETE FROM note WHERE box = ? AND key = ?", (box, key))
            else:
                db.execute("INSERT OR REPLACE INTO note VALUES (?, ?, ?)", (box, key, value))
        if change.push:
            db.executemany(
                "INSERT OR REPLACE INTO waiting VALUES (?, ?, ?)", [(box, n, body) for n, body in change.push]
            )
        if change.pop:
            db.executemany("DELETE FROM waiting WHERE box = ? AND position = ?", [(box, n) for n in change.pop])

    def _read(self, job: _Fetch) -> None:
        try:
            rows: list[Row] = self._db.execute(
                "SELECT position, body FROM waiting WHERE box = ? AND position > ? ORDER BY position LIMIT ?",
                (job.box, job.after, job.limit),
            ).fetchall()
        except sqlite3.Error:
            rows = []  # the caller asks again: it knows how many wait
        loop = self._loop
        assert loop is not None
        _call(loop, lambda: job.done(rows))

    def _tell(self, verdicts: Sequence[tuple[Done, Exception | None]]) -> None:
        loop = self._loop
        assert loop is not None

        def tell() -> None:
            for done, verdict in verdicts:
                done(verdict)

        _call(loop, tell)


def _call(loop: asyncio.AbstractEventLoop, callback: Callable[[], None]) -> None:
    if not loop.is_closed():
        loop.call_soon_threadsafe(callback)
