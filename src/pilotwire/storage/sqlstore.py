"""What the SQLite and the PostgreSQL store have in common: everything but how a plan is run and a group committed.

The queue: `append` puts entries on a list; when no commit is under way the list is taken whole as a `Group`; when its
commit is settled the next one is taken, and then every `done` of the first is called, in order.
"""

from __future__ import annotations

import asyncio
import heapq
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, TypeVar

from pilotwire.core.errors import ConfigError
from pilotwire.core.ids import StationKey
from pilotwire.domain.records import ApiKey, Command, Sample, Session, Station, StationAccount, Token, User, Variable

from . import documents, hot_samples, queries, session_list
from .codec import DAY_MS, HOUR_MS, Record, encode, sample_order
from .documents import Change, Document, DocumentPage
from .group import Group, Records, take_records
from .port import Done, Entry, JournalRow, Page, StationImage, StoreFailed
from .queries import SEQ_MASK, Plan, RawRow
from .session_list import EndedRow, SessionQuery, StationTotal

T = TypeVar("T")


Lookup = tuple[Plan[Any], Callable[[Any], None]]
"""A question asked in the middle of a message and who is told."""

QUEUE_ENTRIES: Final = 50_000
QUEUE_BYTES: Final = 128 * 1024 * 1024
ROLL_OFF_ROWS: Final = 5_000


class SqlStore(ABC):
    """Reading and settings of the `Store` port over plans. `history` is the folder of the Parquet days, or None."""

    shared = False

    def __init__(self, stream: str, history: Path | None, *, queue_entries: int, queue_bytes: int) -> None:
        self.stream = stream
        self.position = 0
        self.history = history
        self._queue_entries = queue_entries
        self._queue_bytes = queue_bytes
        self._open = self._ready = self._writing = False
        self._failure: BaseException | None = None
        self._rolling = asyncio.Lock()
        self._document_changes = documents.Counter()
        self.account_changes = 0
        """Rises when an account is written or deleted through this store."""
        self.groups = 0
        """Groups committed."""
        self.entries = 0
        """Entries committed."""

    @abstractmethod
    async def read(self, plan: Plan[T]) -> T:
        """Run a plan that only reads, on one snapshot where the database can."""

    @abstractmethod
    async def change(self, plan: Plan[T]) -> T:
        """Run a plan in a transaction of its own and commit it. Raises StoreFailed when it cannot be committed."""

    @abstractmethod
    def _commit(self, group: Group) -> None:
        """Begin to make a group durable; `_on_group` is called on the loop's thread when that is settled."""

    @abstractmethod
    def _answer(self, due: list[Lookup]) -> None:
        """Answer lookups whose entries are settled."""

    @abstractmethod
    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[object]) -> None:
        """Replace every projection row by these, in one transaction."""

    # -- the queue (loop's thread) ------------------------------------------------------------------------------------
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

    # -- appending (loop's thread) ------------------------------------------------------------------------------------
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

    # -- reading ------------------------------------------------------------------------------------------------------
    async def stations(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Station records by id."""
        return await self.read(queries.stations_page(tenant, cursor, limit))

    async def some_stations(self, tenant: str, ids: Collection[str] | None) -> list[Station]:
        """The records of these stations, or of all, in no order."""
        return await self.read(queries.some_stations(tenant, ids))

    async def station(self, key: StationKey) -> Station | None:
        """One station's record."""
        return await self.read(queries.one_station(key))

    async def sessions(
        self,
        tenant: str,
        *,
        station: str | None = None,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
    ) -> Page:
        """Sessions, newest started first."""
        wanted = SessionQuery(stations=None if station is None else (station,), status=status)
        return await self.read(session_list.page_plan(tenant, wanted, cursor, limit))

    async def find_sessions(
        self, tenant: str, wanted: SessionQuery, *, cursor: str | None = None, limit: int = 50
    ) -> Page:
        """A page of the sessions that are asked for; see `pilotwire.storage.session_list`."""
        return await self.read(session_list.page_plan(tenant, wanted, cursor, limit))

    async def count_sessions(self, tenant: str, wanted: SessionQuery) -> int | None:
        """How many there are of them; None: too many to count."""
        return await self.read(session_list.count_plan(tenant, wanted))

    async def session_totals(
        self, tenant: str, ended_from: int, ended_before: int | None = None
    ) -> dict[str, StationTotal]:
        """Station → what its sessions come to that ended within a time."""
        return await self.read(session_list.totals_plan(tenant, ended_from, ended_before))

    async def ended_since(self, tenant: str, instant: int) -> list[EndedRow]:
        """Every session that ended at this time or later."""
        return await self.read(session_list.ended_plan(tenant, instant))

    async def some_sessions(self, tenant: str, ids: Collection[str]) -> list[Session]:
        """These sessions, in no order; a few hundred at most."""
        return await self.read(session_list.some_plan(tenant, ids))

    async def session(self, tenant: str, session_id: str) -> Session | None:
        """One session."""
        return await self.read(queries.one_session(tenant, session_id))

    async def samples(
        self, tenant: str, session_id: str, *, measurand: str | None = None, limit: int = 10_000
    ) -> list[Sample]:
        """A session's samples in order of time, hot and from the Parquet history.

        The hot rows are read first: a roll-off in between then shows samples twice, which is seen and mended here,
        never not at all.
        """
        hot = await self.read(hot_samples.session_samples(tenant, session_id, measurand, limit))
        found: dict[tuple[object, ...], Sample] = {}
        for sample in hot.samples:
            found.setdefault(sample_order(sample), sample)
        if self.history is not None and hot.hours:
            from .history import read_session  # pyarrow is imported by it, on first use

            days = sorted({(hour * HOUR_MS // DAY_MS, station) for hour, station in hot.hours})
            for sample in await read_session(self.history, tenant, session_id, days, measurand):
                found[sample_order(sample)] = sample
        return [found[key] for key in sorted(found)][:limit]

    async def variables(self, key: StationKey) -> list[Variable]:
        """A station's variables by component and name."""
        return await self.read(queries.variables(key))

    async def command(self, tenant: str, command_id: str) -> Command | None:
        """One command."""
        return await self.read(queries.one_command(tenant, command_id))

    async def commands(self, key: StationKey, *, limit: int = 50) -> list[Command]:
        """A station's commands, newest first."""
        return await self.read(queries.commands(key, limit))

    async def journal(
        self,
        *,
        tenant: str | None = None,
        station: str | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
        before: Mapping[str, int] | None = None,
    ) -> AsyncIterator[JournalRow]:
        """Entries by seq, those after `after`; of several streams, merged by time of arrival, each in its own order.

        Raises msgspec.DecodeError at a row whose facts cannot be read (`pilotwire.storage.verify` names all of them).
        """
        raw = self.raw_journal(
            tenant=tenant, station=station, after=after, limit=limit, newest_first=newest_first, before=before
        )
        async for row in raw:
            yield row.decoded()

    async def raw_journal(
        self,
        *,
        tenant: str | None = None,
        station: str | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
        before: Mapping[str, int] | None = None,
    ) -> AsyncIterator[RawRow]:
        """As `journal`, undecoded."""
        given = 0
        sign = -1 if newest_first else 1
        heap: list[tuple[int, int, int, RawRow, AsyncIterator[RawRow]]] = []
        for place, stream in enumerate(await self.read(queries.streams())):
            end = (before or {}).get(stream[1], SEQ_MASK)
            rows = self._stream_rows(stream, tenant, station, after, end, limit, newest_first)
            async for row in rows:
                heapq.heappush(heap, (sign * row.recv_time, place, sign * row.seq, row, rows))
                break
        while heap and (limit is None or given < limit):
            _, place, _, row, rows = heapq.heappop(heap)
            given += 1
            yield row
            async for following in rows:
                heapq.heappush(heap, (sign * following.recv_time, place, sign * following.seq, following, rows))
                break

    async def _stream_rows(
        self,
        stream: tuple[int, str],
        tenant: str | None,
        station: str | None,
        after: int,
        before: int,
        limit: int | None,
        newest_first: bool,
    ) -> AsyncIterator[RawRow]:
        low, high = after, before
        size = queries.JOURNAL_CHUNK if limit is None else min(queries.JOURNAL_CHUNK, max(1, limit))
        while True:
            chunk = await self.read(
                queries.journal_chunk(
                    stream, low, high, tenant=tenant, station=station, descending=newest_first, limit=size
                )
            )
            for row in chunk:
                yield row
            if len(chunk) < size:
                return
            if newest_first:
                high = chunk[-1].seq
            else:
                low = chunk[-1].seq

    # -- care ---------------------------------------------------------------------------------------------------------
    @property
    @abstractmethod
    def database(self) -> str:
        """Where a child process finds the hot rows: a path or a postgresql:// URL."""

    async def roll_off(self, before: int) -> int:
        """Move the samples of whole UTC days before `before` (ms) into Parquet; returns how many were moved.

        The files are durable before anything is deleted, and rows that came while they were written stay hot for the
        next time. Rows go in transactions of some thousands, not in one: deleting a day of a large fleet takes
        seconds, during which no message could be answered, and a crash between two of them costs nothing (see
        `pilotwire.storage.history`). Raises ConfigError without a history folder, HistoryFailed.
        """
        from .history import RolledOff, RollOff, Source, in_child

        if self.history is None:
            raise ConfigError("samples cannot be rolled off: give the store a data folder for the history (--data)")
        async with self._rolling:
            source = Source(database=self.database, history=str(self.history))
            job = RollOff(source=source, before=before - before % DAY_MS)
            rolled: RolledOff = await in_child(job, RolledOff)
            gone, batch, size = 0, [], 0
            for place, one in enumerate(rolled.rows):
                batch.append((one.station, one.day, one.count))
                size += one.count
                if size >= ROLL_OFF_ROWS or place == len(rolled.rows) - 1:
                    gone += await self.change(hot_samples.delete_rows(batch))
                    batch, size = [], 0
            for slots in rolled.sets:
                gone += await self.change(hot_samples.delete_sets(slots))
            return gone

    # -- settings -----------------------------------------------------------------------------------------------------
    async def put_account(self, account: StationAccount) -> None:
        """Insert or replace a station's account."""
        await self.change(queries.put_body("accounts", account.tenant, account.id, encode(account)))
        self.account_changes += 1

    async def account(self, key: StationKey) -> StationAccount | None:
        """One account."""
        return await self.read(queries.get_body("accounts", key.tenant, key.station, StationAccount))

    async def accounts(self, tenant: str | None = None) -> list[StationAccount]:
        """Accounts by tenant and id."""
        return await self.read(queries.list_bodies("accounts", tenant, StationAccount))

    async def delete_account(self, key: StationKey) -> bool:
        """True when there was one."""
        found = await self.change(queries.delete_body("accounts", key.tenant, key.station))
        self.account_changes += 1
        return found

    async def put_token(self, token: Token) -> None:
        """Insert or replace a token."""
        await self.change(queries.put_body("tokens", token.tenant, token.token, encode(token)))

    async def put_tokens(self, tokens: Sequence[Token]) -> None:
        """As the port says."""
        await self.change(queries.put_bodies("tokens", [(one.tenant, one.token, encode(one)) for one in tokens]))

    async def token(self, tenant: str, token: str) -> Token | None:
        """One token."""
        return await self.read(queries.get_body("tokens", tenant, token, Token))

    async def tokens(self, tenant: str | None = None) -> list[Token]:
        """Tokens by tenant and token."""
        return await self.read(queries.list_bodies("tokens", tenant, Token))

    async def delete_token(self, tenant: str, token: str) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("tokens", tenant, token))

    async def put_user(self, user: User) -> None:
        """Insert or replace a user."""
        await self.change(queries.put_body("users", user.tenant, user.name, encode(user)))

    async def user(self, tenant: str, name: str) -> User | None:
        """One user."""
        return await self.read(queries.get_body("users", tenant, name, User))

    async def users(self, tenant: str) -> list[User]:
        """Users by name."""
        return await self.read(queries.list_bodies("users", tenant, User))

    async def delete_user(self, tenant: str, name: str) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("users", tenant, name))

    async def put_api_key(self, key: ApiKey) -> None:
        """Insert or replace an API key."""
        await self.change(queries.put_body("api_keys", key.tenant, key.id, encode(key)))

    async def api_keys(self, tenant: str | None = None) -> list[ApiKey]:
        """API keys by tenant and id."""
        return await self.read(queries.list_bodies("api_keys", tenant, ApiKey))

    async def delete_api_key(self, tenant: str, key_id: str) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("api_keys", tenant, key_id))

    async def setting(self, name: str) -> str | None:
        """One setting of the installation."""
        return await self.read(queries.get_setting(name))

    async def put_setting(self, name: str, value: str) -> None:
        """Insert or replace a setting."""
        await self.change(queries.put_setting(name, value))

    # -- documents ----------------------------------------------------------------------------------------------------
    async def write_documents(self, tenant: str, changes: Sequence[Change]) -> list[int]:
        """As the port says."""
        versions = await self.change(documents.write_plan(tenant, changes))
        self._document_changes.count(tenant, changes)
        return versions

    def document_changes(self, tenant: str, kind: str) -> int:
        """Rises when a document of a kind is written or deleted through this store."""
        return self._document_changes.of(tenant, kind)

    async def document(self, tenant: str, kind: str, id: str) -> Document | None:
        """One document."""
        return await self.read(documents.one_plan(tenant, kind, id))

    async def documents(
        self,
        tenant: str,
        kind: str,
        *,
        low: str = "",
        high: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        newest_first: bool = False,
    ) -> DocumentPage:
        """As the port says."""
        return await self.read(documents.page_plan(tenant, kind, low, high, cursor, limit, newest_first))


async def gather_records(projections: Sequence[Record] | AsyncIterator[object]) -> Records:
    """Encode records as they come. Raises TypeError for what is no projection."""
    records = Records()
    if isinstance(projections, AsyncIterator):
        async for record in projections:
            records.add(record)  # type: ignore[arg-type]
    else:
        for record in projections:
            records.add(record)
    return records


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
