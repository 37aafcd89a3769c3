"""The store in memory: the whole port, no durability. For simulations, tests and the measuring of handlers.

Two ways of committing:

- without a scheduler an entry is committed in `append` itself and `done` is called at once, or handed to `defer`;
- with a scheduler (`SimScheduler` in a simulation) appended entries gather into groups as in the real stores: a group
  is taken as soon as the one before it is committed, takes `delay_ms`, and `done` follows the commit. `crash()` loses
  what was not committed, as a power cut would; the store can then be opened again by "the next process".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from msgspec.structs import replace

from pilotwire.core.ids import StationKey
from pilotwire.core.time import Scheduler
from pilotwire.domain.records import Command, Session

from .codec import ENDED_SESSIONS_IN_IMAGE, SETTLED_OUTCOMES
from .memory_records import MemoryRecords, copied, newest_first
from .memory_settings import MemorySettings
from .port import Done, Entry, StationImage, StoreFailed


class MemoryStore(MemoryRecords, MemorySettings):
    """`Store` in memory.

    `defer(callback)` runs `done` callbacks later (for instance `loop.call_soon`) instead of inside `append`.
    `scheduler` and `delay_ms` simulate group commits that take time. `limit` keeps only the newest entries of the
    journal (and the samples in them), so that a long benchmark stays in bounds; None keeps all. `queue` bounds what
    may wait for a simulated commit.
    """

    shared = False

    def __init__(
        self,
        *,
        stream: str = "main",
        defer: Callable[[Callable[[], None]], None] | None = None,
        scheduler: Scheduler | None = None,
        delay_ms: int = 0,
        limit: int | None = None,
        queue: int = 100_000,
    ) -> None:
        MemoryRecords.__init__(self, stream, limit)
        MemorySettings.__init__(self)
        self.position = 0
        self._defer = defer
        self._scheduler = scheduler
        self._delay_ms = delay_ms
        self._queue_limit = queue
        self._ready = True
        self._waiting: list[tuple[Entry, Done | None]] = []
        self._committing: list[tuple[Entry, Done | None]] | None = None
        self._lookups: list[Callable[[], None]] = []
        self._generation = 0

    # -- life ---------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Ready again after `close`, `fail` or `crash`; what was committed is still there."""
        self._ready = True

    async def close(self) -> None:
        """Commit what is waiting now, without the simulated delay."""
        self._ready = False
        self._generation += 1
        for group in (self._committing or [], self._waiting):
            self._keep(group)
        settled = [*(self._committing or []), *self._waiting]
        self._committing, self._waiting = None, []
        for seq, (_, done) in enumerate(settled, self._seq - len(settled) + 1):
            if done is not None:
                self._tell(seq, done)
        self.position = 0
        self._run_lookups()

    @property
    def ready(self) -> bool:
        """False after `close` or `fail`."""
        return self._ready

    def fail(self) -> None:
        """Behave as a disk that has filled up: what waits is refused, later appends raise, until `open`."""
        self._ready = False
        self._generation += 1
        self.position = 0
        refused = [*(self._committing or []), *self._waiting]
        self._committing, self._waiting = None, []
        for _, done in refused:
            if done is not None:
                done(StoreFailed("the store was made to fail"))
        self._run_lookups()

    def crash(self) -> None:
        """Behave as a power cut: what is not committed is gone and no `done` is called. Open again to go on."""
        self._ready = False
        self._generation += 1
        self._committing, self._waiting, self._lookups = None, [], []

    # -- the hot path -------------------------------------------------------------------------------------------------
    def append(self, entry: Entry, done: Done | None = None) -> None:
        """Commit at once, or queue for the next simulated group. Raises StoreFailed when not ready or full."""
        if not self._ready:
            raise StoreFailed("the store is not ready")
        if self._scheduler is not None:
            if len(self._waiting) >= self._queue_limit:
                raise StoreFailed("the store's queue is full")
            self._waiting.append((entry, done))
            if self._committing is None:
                self._committing = []
                self._later(0, self._take)
            return
        self._seq += 1
        samples = entry.samples
        if samples and not isinstance(samples, tuple):
            samples.compact(entry.frame)
        self._entries.append(entry)
        if entry.touched:
            self._touch(entry.touched)
        if done is not None:
            if self._defer is None:
                self.position = self._seq
                done(None)
            else:
                self._defer(partial(self._tell, self._seq, done))

    def _tell(self, seq: int, done: Done) -> None:
        self.position = seq
        done(None)

    def _later(self, delay_ms: int, step: Callable[[], None]) -> None:
        generation = self._generation

        def unless_crashed() -> None:
            if self._generation == generation:
                step()

        assert self._scheduler is not None
        self._scheduler.call_later(delay_ms, unless_crashed)

    def _take(self) -> None:
        """Begin the next group: records are copied now, as the real stores encode them now."""
        self._committing = [
            (replace(entry, touched=tuple(copied(record) for record in entry.touched)), done)
            if entry.touched
            else (entry, done)
            for entry, done in self._waiting
        ]
        self._waiting = []
        self._later(self._delay_ms, self._commit)

    def _commit(self) -> None:
        group = self._committing or []
        seq = self._seq
        self._keep(group)
        self._committing = None
        if self._waiting:
            self._committing = []
            self._take()
        for _, done in group:
            seq += 1
            if done is not None:
                self._tell(seq, done)
        if self._committing is None:
            self._run_lookups()

    def _keep(self, group: Iterable[tuple[Entry, Done | None]]) -> None:
        for entry, _ in group:
            self._seq += 1
            self._entries.append(entry)
            self._touch(entry.touched)

    # -- lookups in the middle of a message ---------------------------------------------------------------------------
    def load_station(self, key: StationKey, done: Callable[[StationImage], None]) -> None:
        """As the port says; sees everything appended before the call."""

        def answer() -> None:
            self._settle()
            sessions = newest_first(self._by_station.get(key, {}).values())
            ended = [session for session in sessions if session.status != "active"]
            old = {session.id for session in ended[ENDED_SESSIONS_IN_IMAGE:]}
            station = self._stations.get(key)
            done(
                StationImage(
                    station=copied(station) if station else None,
                    sessions=[copied(session) for session in sessions if session.id not in old],
                    complete=not old,
                    commands=[copied(command) for command in self._pending(key)],
                )
            )

        self._look(answer)

    def find_session(
        self, key: StationKey, transaction: str, start_key: str, done: Callable[[Session | None], None]
    ) -> None:
        """As the port says; the newest one where several match."""

        def answer() -> None:
            self._settle()
            sessions = self._by_station.get(key, {}).values()
            found = [
                session
                for session in sessions
                if (session.transaction == transaction if transaction else session.start_key == start_key)
            ]
            done(copied(newest_first(found)[0]) if found else None)

        self._look(answer)

    def _look(self, answer: Callable[[], None]) -> None:
        if self._committing is not None:
            self._lookups.append(answer)
        elif self._scheduler is not None:
            self._later(0, answer)
        elif self._defer is not None:
            self._defer(answer)
        else:
            answer()

    def _run_lookups(self) -> None:
        lookups, self._lookups = self._lookups, []
        for answer in lookups:
            answer()

    def _pending(self, key: StationKey) -> list[Command]:
        return sorted(
            (
                command
                for command in self._commands.values()
                if (command.tenant, command.station_id) == key and command.outcome not in SETTLED_OUTCOMES
            ),
            key=lambda command: (command.requested_at, command.id),
        )
