"""The queue before a database: what is appended gathers while a commit is under way, and is then taken whole.

`append` puts entries on a list; when no commit is under way the list is taken whole as a `Group`; when its commit is
settled the next one is taken, and then every `done` of the first is called, in order. Questions asked in the middle of
a message wait for what was appended before them. All of it happens on the loop's thread.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, Final

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import Session

from . import queries
from .group import Group, take_records
from .port import Done, Entry, StationImage, StoreFailed
from .queries import Plan

Lookup = tuple[Plan[Any], Callable[[Any], None]]
"""A question asked in the middle of a message and who is told."""

QUEUE_ENTRIES: Final = 50_000
QUEUE_BYTES: Final = 128 * 1024 * 1024


class GroupQueue(ABC):
    """The writing half of a store: `append`, and the two look-ups that see everything appended before them."""

    def __init__(self, *, queue_entries: int, queue_bytes: int) -> None:
        self.position = 0
        self._queue_entries = queue_entries
        self._queue_bytes = queue_bytes
        self._open = self._ready = self._writing = False
        self._failure: BaseException | None = None
        self.groups = 0
        """Groups committed."""
        self.entries = 0
        """Entries committed."""

    @abstractmethod
    def _commit(self, group: Group) -> None:
        """Begin to make a group durable; `_on_group` is called on the loop's thread when that is settled."""

    @abstractmethod
    def _answer(self, due: list[Lookup]) -> None:
        """Answer lookups whose entries are settled."""

    # -- life ---------------------------------------------------------------------------------------------------------
    def _reset(self) -> None:
        """Begin empty, on the running loop."""
        self._loop = asyncio.get_running_loop()
        self._failure = None
        self._entries: list[Entry] = []
        self._dones: list[Done | None] = []
        self._bytes = 0
        self._taking = False
        self._busy = False
        self._appended = 0
        self._settled = 0
        self._lookups: list[tuple[int, Lookup]] = []
        self._idle: asyncio.Future[None] | None = None

    def _accept(self, *, writing: bool) -> None:
        self._open, self._ready, self._writing = True, True, writing

    def _fail(self, failure: BaseException) -> None:
        self._ready, self._writing, self._failure = False, False, failure

    def _pending(self) -> bool:
        return bool(self._busy or self._taking or self._entries)

    async def _drain(self) -> None:
        """Take nothing more and wait until all that was taken is settled."""
        self._ready = self._writing = False
        if self._pending():
            self._idle = self._loop.create_future()
            await self._idle
        self._open = False

    def _check_writable(self) -> None:
        if not self._writing:
            raise StoreFailed(f"the store is not ready: {self._failure or 'it is not open for writing'}")

    @property
    def ready(self) -> bool:
        """True while commits succeed."""
        return self._ready

    @property
    def appended(self) -> int:
        """Entries that were taken since it was opened."""
        return self._appended

    @property
    def settled(self) -> int:
        """Of these: those that are durable, or refused."""
        return self._settled

    # -- appending ----------------------------------------------------------------------------------------------------
    def append(self, entry: Entry, done: Done | None = None) -> None:
        """Queue one entry for the next group. Raises StoreFailed when the queue is full or the store not ready."""
        if not self._writing:
            self._check_writable()
        if len(self._entries) >= self._queue_entries or self._bytes >= self._queue_bytes:
            raise StoreFailed("the store's queue is full")
        self._entries.append(entry)
        self._dones.append(done)
        self._bytes += len(entry.frame)
        self._appended += 1
        if not self._busy and not self._taking:
            self._taking = True
            self._loop.call_soon(self._take)

    def _take(self) -> None:
        self._taking = False
        entries, dones = self._entries, self._dones
        if not entries:
            return
        self._entries, self._dones, self._bytes = [], [], 0
        self._busy = True
        try:
            group = Group(entries, dones)
        except Exception:  # a record that cannot be encoded: the fault of whoever made it, and of its station alone
            entries, dones = self._refuse_unencodable(entries, dones)
            if not entries:
                self._on_group([], [], None, None, 0)
                return
            group = Group(entries, dones)
        self._commit(group)

    def _refuse_unencodable(
        self, entries: list[Entry], dones: list[Done | None]
    ) -> tuple[list[Entry], list[Done | None]]:
        """Refuse the entries of stations whose records cannot be encoded; returns what is left."""
        stations: dict[tuple[str, str], list[Entry]] = {}
        for entry in entries:
            stations.setdefault((entry.tenant, entry.station), []).append(entry)
        faults: dict[tuple[str, str], Exception] = {}
        for key, members in stations.items():
            try:
                take_records(members)
            except Exception as error:
                faults[key] = error
        left: list[tuple[Entry, Done | None]] = []
        for entry, done in zip(entries, dones, strict=True):
            error = faults.get((entry.tenant, entry.station))
            if error is None:
                left.append((entry, done))
                continue
            self._settled += 1
            if done is not None:
                self._tell(done, not_durable(error))
        return [entry for entry, _ in left], [done for _, done in left]

    def _on_group(
        self,
        entries: list[Entry],
        dones: list[Done | None],
        verdicts: list[BaseException | None] | None,
        failure: BaseException | None,
        last: int,
    ) -> None:
        """The writer is through with a group: hand it the next one, then tell everybody of this one, in order.

        `last` is the journal seq of the last entry that was kept.
        """
        self._busy = False
        self._settled += len(entries)
        refused: list[Done | None] = []
        if failure is not None:
            self._fail(failure)
            refused, self._entries, self._dones, self._bytes = self._dones, [], [], 0
            self._settled += len(refused)
        else:
            self.groups += bool(entries)
            self.entries += len(entries)
            if self._entries:
                self._take()
        if failure is None and verdicts is None:
            seq = last - len(entries)
            for done in dones:
                seq += 1
                if done is not None:
                    self.position = seq
                    self._tell(done, None)
        else:
            seqs = {} if failure is not None or verdicts is None else _apart(entries, verdicts, last)
            for place, done in enumerate(dones + refused):
                error = failure or (verdicts[place] if verdicts and place < len(verdicts) else None)
                if done is not None:
                    self.position = seqs.get(place, 0)
                    self._tell(done, not_durable(error) if error is not None else None)
        self.position = 0
        self._flush_lookups()
        if self._idle is not None and not self._pending() and not self._idle.done():
            self._idle.set_result(None)

    def _tell(self, done: Callable[[Any], None], verdict: object) -> None:
        # One callback's fault must not keep the others of the group from hearing.
        try:
            done(verdict)
        except Exception as error:
            self._loop.call_exception_handler({"message": "a callback given to the store raised", "exception": error})

    # -- lookups in the middle of a message ---------------------------------------------------------------------------
    def load_station(self, key: StationKey, done: Callable[[StationImage], None]) -> None:
        """As the port says; sees everything appended before the call."""
        self._look(queries.image(key), done)

    def find_session(
        self, key: StationKey, transaction: str, start_key: str, done: Callable[[Session | None], None]
    ) -> None:
        """As the port says; sees everything appended before the call."""
        self._look(queries.find_session(key, transaction, start_key), done)

    def _look(self, plan: Plan[Any], done: Callable[[Any], None]) -> None:
        if not self._open:
            raise StoreFailed("the store is not open")
        self._lookups.append((self._appended, (plan, done)))
        if len(self._lookups) == 1 and self._settled >= self._appended:
            self._loop.call_soon(self._flush_lookups)

    def _flush_lookups(self) -> None:
        """Send off every question whose entries are settled."""
        if not self._lookups or not self._open:
            return
        due = [lookup for after, lookup in self._lookups if after <= self._settled]
        if due:
            self._lookups = [one for one in self._lookups if one[0] > self._settled]
            self._answer(due)


def _apart(entries: Sequence[Entry], verdicts: Sequence[BaseException | None], last: int) -> dict[int, int]:
    """Which seq each kept entry of a group has that was written station by station, by its place in the group."""
    stations: dict[tuple[str, str], list[int]] = {}
    for place, entry in enumerate(entries):
        stations.setdefault((entry.tenant, entry.station), []).append(place)
    kept = [place for places in stations.values() for place in places if verdicts[place] is None]
    return {place: seq for seq, place in enumerate(kept, last - len(kept) + 1)}


def not_durable(error: BaseException) -> StoreFailed:
    """What `done` is told when `error` kept an entry from being made durable."""
    failed = StoreFailed(f"the entry was not made durable: {error}")
    failed.__cause__ = error
    return failed
