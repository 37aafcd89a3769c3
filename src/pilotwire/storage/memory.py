"""The store in memory: the whole port, no durability. For simulations, tests and the measuring of handlers.

Two ways of committing:

- without a scheduler an entry is committed in `append` itself and `done` is called at once, or handed to `defer`;
- with a scheduler (`SimScheduler` in a simulation) appended entries gather into groups as in the real stores: a group
  is taken as soon as the one before it is committed, takes `delay_ms`, and `done` follows the commit. `crash()` loses
  what was not committed, as a power cut would; the store can then be opened again by "the next process".
"""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from functools import partial
from typing import TypeVar

from pilotwire.core.ids import StationKey
from pilotwire.core.time import Scheduler
from pilotwire.domain.records import ApiKey, Command, Sample, Session, Station, StationAccount, Token, User, Variable

from .codec import (
    DAY_MS,
    ENDED_SESSIONS_IN_IMAGE,
    SETTLED_OUTCOMES,
    Record,
    decode_as,
    decode_cursor,
    encode,
    encode_cursor,
    record_key,
    sample_order,
    variable_order,
)
from .documents import Change, Counter, Document, DocumentPage, DocumentTable
from .port import Done, Entry, JournalRow, Page, StationImage, StoreFailed
from .session_list import EndedRow, SessionQuery, StationTotal, fits, sort_key

T = TypeVar("T")
_SampleKey = tuple[object, ...]


def _copy(record: T) -> T:
    """A record of the caller's own: what is kept here never changes under a reader, nor by one."""
    return decode_as(type(record), encode(record))


class MemoryStore:
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
        self.stream = stream
        self._defer = defer
        self._scheduler = scheduler
        self._delay_ms = delay_ms
        self._queue_limit = queue
        self._ready = True
        self._seq = 0
        self.position = 0
        self.account_changes = 0
        self._document_changes = Counter()
        self._entries: deque[Entry] = deque(maxlen=limit)
        self._dirty: dict[int, Record] = {}
        """Touched records by identity, not yet keyed: the cheapest thing that `append` can do with them."""
        self._stations: dict[tuple[str, str], Station] = {}
        self._sessions: dict[tuple[str, str], Session] = {}
        self._commands: dict[tuple[str, str], Command] = {}
        self._variables: dict[tuple[object, ...], Variable] = {}
        self._by_station: dict[tuple[str, str], dict[str, Session]] = {}
        self._samples: dict[_SampleKey, Sample] = {}
        self._session_samples: dict[tuple[str, str], dict[_SampleKey, Sample]] = {}
        self._rolled: set[_SampleKey] = set()
        self._sampled = 0
        """How many entries have given up their samples to the index; it is made when somebody reads."""
        self._waiting: list[tuple[Entry, Done | None]] = []
        self._committing: list[tuple[Entry, Done | None]] | None = None
        self._lookups: list[Callable[[], None]] = []
        self._generation = 0
        self._accounts: dict[tuple[str, str], StationAccount] = {}
        self._tokens: dict[tuple[str, str], Token] = {}
        self._users: dict[tuple[str, str], User] = {}
        self._api_keys: dict[tuple[str, str], ApiKey] = {}
        self._settings: dict[str, str] = {}
        self._documents = DocumentTable()

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
        for _, done in settled:
            if done is not None:
                done(None)
        self._run_lookups()

    @property
    def ready(self) -> bool:
        """False after `close` or `fail`."""
        return self._ready

    def fail(self) -> None:
        """Behave as a disk that has filled up: what waits is refused, later appends raise, until `open`."""
        self._ready = False
        self._generation += 1
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
            (Entry(**{**_fields(entry), "touched": tuple(_copy(record) for record in entry.touched)}), done)
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

    def _touch(self, records: tuple[Record, ...]) -> None:
        dirty = self._dirty
        for record in records:
            dirty.pop(id(record), None)  # the order of the dict is the order of the last touch
            dirty[id(record)] = record

    def _settle(self) -> None:
        """Key the touched records. The last object touched wins, and is kept as it is now."""
        for record in self._dirty.values():
            key = record_key(record)
            kept = _copy(record)
            if isinstance(kept, Session):
                self._sessions[kept.tenant, kept.id] = kept
                self._by_station.setdefault((kept.tenant, kept.station_id), {})[kept.id] = kept
            elif isinstance(kept, Station):
                self._stations[kept.tenant, kept.id] = kept
            elif isinstance(kept, Command):
                self._commands[kept.tenant, kept.id] = kept
            else:
                self._variables[key] = kept
        self._dirty.clear()

    def load_station(self, key: StationKey, done: Callable[[StationImage], None]) -> None:
        """As the port says; sees everything appended before the call."""

        def answer() -> None:
            self._settle()
            sessions = _newest_first(self._by_station.get(tuple(key), {}).values())  # type: ignore[arg-type]
            ended = [session for session in sessions if session.status != "active"]
            old = {session.id for session in ended[ENDED_SESSIONS_IN_IMAGE:]}
            station = self._stations.get(tuple(key))  # type: ignore[arg-type]
            done(
                StationImage(
                    station=_copy(station) if station else None,
                    sessions=[_copy(session) for session in sessions if session.id not in old],
                    complete=not old,
                    commands=[_copy(command) for command in self._pending(key)],
                )
            )

        self._look(answer)

    def find_session(
        self, key: StationKey, transaction: str, start_key: str, done: Callable[[Session | None], None]
    ) -> None:
        """As the port says; the newest one where several match."""

        def answer() -> None:
            self._settle()
            sessions = self._by_station.get(tuple(key), {}).values()  # type: ignore[arg-type]
            found = [
                session
                for session in sessions
                if (session.transaction == transaction if transaction else session.start_key == start_key)
            ]
            done(_copy(_newest_first(found)[0]) if found else None)

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
                if (command.tenant, command.station_id) == tuple(key) and command.outcome not in SETTLED_OUTCOMES
            ),
            key=lambda command: (command.requested_at, command.id),
        )

    # -- reading ------------------------------------------------------------------------------------------------------
    async def stations(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Station records by id."""
        self._settle()
        after = decode_cursor(cursor, tuple[str])[0] if cursor else ""
        ids = sorted(name for owner, name in self._stations if owner == tenant and name > after)
        items = [_copy(self._stations[tenant, name]) for name in ids[:limit]]
        return Page(items=list(items), next=encode_cursor(items[-1].id) if len(ids) > limit else None)

    async def some_stations(self, tenant: str, ids: Collection[str] | None) -> list[Station]:
        """The records of these stations, or of all, in no order."""
        self._settle()
        wanted = None if ids is None else frozenset(ids)
        return [
            _copy(station)
            for (owner, name), station in self._stations.items()
            if owner == tenant and (wanted is None or name in wanted)
        ]

    async def station(self, key: StationKey) -> Station | None:
        """One station's record."""
        self._settle()
        found = self._stations.get(tuple(key))  # type: ignore[arg-type]
        return _copy(found) if found else None

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
        return await self.find_sessions(tenant, wanted, cursor=cursor, limit=limit)

    async def find_sessions(
        self, tenant: str, wanted: SessionQuery, *, cursor: str | None = None, limit: int = 50
    ) -> Page:
        """A page of the sessions that are asked for; see `pilotwire.storage.session_list`."""
        found = self._found(tenant, wanted)
        if cursor:
            after = decode_cursor(cursor, tuple[int, int])
            found = [pair for pair in found if (pair[0] < after if wanted.descending else pair[0] > after)]
        more = len(found) > limit
        return Page(
            items=[_copy(session) for _, session in found[:limit]],
            next=encode_cursor(*found[limit - 1][0]) if more else None,
        )

    def _found(self, tenant: str, wanted: SessionQuery) -> list[tuple[tuple[int, int], Session]]:
        self._settle()
        fit = fits(wanted)
        found = [
            ((sort_key(wanted, session), number), session)
            for number, ((owner, _), session) in enumerate(self._sessions.items())
            if owner == tenant and fit(session)
        ]
        return sorted(found, key=lambda pair: pair[0], reverse=wanted.descending)

    async def count_sessions(self, tenant: str, wanted: SessionQuery) -> int | None:
        """How many there are of them."""
        return len(self._found(tenant, wanted))

    async def session_totals(
        self, tenant: str, ended_from: int, ended_before: int | None = None
    ) -> dict[str, StationTotal]:
        """Station → what its sessions come to that ended within a time."""
        totals: dict[str, StationTotal] = {}
        wanted = SessionQuery(status="ended", ended_from=ended_from, ended_before=ended_before)
        for _, session in self._found(tenant, wanted):
            before = totals.get(session.station_id, StationTotal(0, 0))
            totals[session.station_id] = StationTotal(before.sessions + 1, before.energy_wh + session.energy_wh)
        return totals

    async def ended_since(self, tenant: str, instant: int) -> list[EndedRow]:
        """Every session that ended at this time or later."""
        found: list[EndedRow] = []
        for (ended_at, _), one in self._found(tenant, SessionQuery(ended_from=instant, sort="ended_at")):
            token = one.token.lower()
            found.append(EndedRow(one.id, one.station_id, token, one.started_at, ended_at, one.energy_wh))
        return found

    async def some_sessions(self, tenant: str, ids: Collection[str]) -> list[Session]:
        """These sessions, in no order."""
        self._settle()
        return [_copy(found) for id in ids if (found := self._sessions.get((tenant, id))) is not None]

    async def session(self, tenant: str, session_id: str) -> Session | None:
        """One session."""
        self._settle()
        found = self._sessions.get((tenant, session_id))
        return _copy(found) if found else None

    async def samples(
        self, tenant: str, session_id: str, *, measurand: str | None = None, limit: int = 10_000
    ) -> list[Sample]:
        """A session's samples in order of time."""
        self._index_samples()
        found = self._session_samples.get((tenant, session_id), {}).values()
        return sorted((one for one in found if measurand is None or one.measurand == measurand), key=sample_order)[
            :limit
        ]

    def _index_samples(self) -> None:
        fresh = min(self._seq - self._sampled, len(self._entries))
        if fresh and len(self._entries) == self._entries.maxlen:
            # Entries may have been dropped, and their samples go with them.
            self._samples.clear()
            self._session_samples.clear()
            fresh = len(self._entries)
        if fresh:
            for index in range(len(self._entries) - fresh, len(self._entries)):
                entry = self._entries[index]
                for sample in entry.samples:
                    key = (entry.tenant, entry.station, *sample_order(sample))
                    if key not in self._samples:
                        self._samples[key] = sample
                        self._session_samples.setdefault((entry.tenant, sample.session_id), {})[key] = sample
        self._sampled = self._seq

    async def variables(self, key: StationKey) -> list[Variable]:
        """A station's variables by component and name."""
        self._settle()
        found = [one for one in self._variables.values() if (one.tenant, one.station_id) == tuple(key)]
        return [_copy(variable) for variable in sorted(found, key=variable_order)]

    async def command(self, tenant: str, command_id: str) -> Command | None:
        """One command."""
        self._settle()
        found = self._commands.get((tenant, command_id))
        return _copy(found) if found else None

    async def commands(self, key: StationKey, *, limit: int = 50) -> list[Command]:
        """A station's commands, newest first."""
        self._settle()
        found = [one for one in self._commands.values() if (one.tenant, one.station_id) == tuple(key)]
        found.sort(key=lambda one: (one.requested_at, one.id), reverse=True)
        return [_copy(command) for command in found[:limit]]

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
        """Entries by seq, those after `after`, before `before`."""
        end = (before or {}).get(self.stream)
        first = self._seq - len(self._entries) + 1
        numbered = list(enumerate(self._entries, first))
        given = 0
        for seq, entry in reversed(numbered) if newest_first else numbered:
            if limit is not None and given >= limit:
                return
            if seq <= after or (end is not None and seq >= end) or (tenant is not None and entry.tenant != tenant):
                continue
            if station is not None and entry.station != station:
                continue
            given += 1
            yield JournalRow(
                stream=self.stream,
                seq=seq,
                tenant=entry.tenant,
                station=entry.station,
                recv_time=entry.recv_time,
                epoch=entry.epoch,
                direction=entry.direction,
                frame=entry.frame,
                facts=entry.facts,
            )

    # -- settings -----------------------------------------------------------------------------------------------------
    async def put_account(self, account: StationAccount) -> None:
        """Insert or replace a station's account."""
        self._accounts[account.tenant, account.id] = _copy(account)
        self.account_changes += 1

    async def account(self, key: StationKey) -> StationAccount | None:
        """One account."""
        found = self._accounts.get(tuple(key))  # type: ignore[arg-type]
        return _copy(found) if found else None

    async def accounts(self, tenant: str | None = None) -> list[StationAccount]:
        """Accounts by tenant and id."""
        return _of(self._accounts, tenant)

    async def delete_account(self, key: StationKey) -> bool:
        """True when there was one."""
        self.account_changes += 1
        return self._accounts.pop(tuple(key), None) is not None  # type: ignore[arg-type]

    async def put_token(self, token: Token) -> None:
        """Insert or replace a token."""
        self._tokens[token.tenant, token.token] = _copy(token)

    async def put_tokens(self, tokens: Sequence[Token]) -> None:
        """As the port says."""
        self._tokens.update({(one.tenant, one.token): _copy(one) for one in tokens})

    async def token(self, tenant: str, token: str) -> Token | None:
        """One token."""
        found = self._tokens.get((tenant, token))
        return _copy(found) if found is not None else None

    async def tokens(self, tenant: str | None = None) -> list[Token]:
        """Tokens by tenant and token."""
        return _of(self._tokens, tenant)

    async def delete_token(self, tenant: str, token: str) -> bool:
        """True when there was one."""
        return self._tokens.pop((tenant, token), None) is not None

    async def put_user(self, user: User) -> None:
        """Insert or replace a user."""
        self._users[user.tenant, user.name] = _copy(user)

    async def user(self, tenant: str, name: str) -> User | None:
        """One user."""
        found = self._users.get((tenant, name))
        return _copy(found) if found else None

    async def users(self, tenant: str) -> list[User]:
        """Users by name."""
        return _of(self._users, tenant)

    async def delete_user(self, tenant: str, name: str) -> bool:
        """True when there was one."""
        return self._users.pop((tenant, name), None) is not None

    async def put_api_key(self, key: ApiKey) -> None:
        """Insert or replace an API key."""
        self._api_keys[key.tenant, key.id] = _copy(key)

    async def api_keys(self, tenant: str | None = None) -> list[ApiKey]:
        """API keys by tenant and id."""
        return _of(self._api_keys, tenant)

    async def delete_api_key(self, tenant: str, key_id: str) -> bool:
        """True when there was one."""
        return self._api_keys.pop((tenant, key_id), None) is not None

    async def setting(self, name: str) -> str | None:
        """One setting of the installation."""
        return self._settings.get(name)

    async def put_setting(self, name: str, value: str) -> None:
        """Insert or replace a setting."""
        self._settings[name] = value

    # -- documents ----------------------------------------------------------------------------------------------------
    async def write_documents(self, tenant: str, changes: Sequence[Change]) -> list[int]:
        """As the port says."""
        versions = self._documents.write(tenant, changes)
        self._document_changes.count(tenant, changes)
        return versions

    def document_changes(self, tenant: str, kind: str) -> int:
        """Rises when a document of a kind is written or deleted through this store."""
        return self._document_changes.of(tenant, kind)

    async def document(self, tenant: str, kind: str, id: str) -> Document | None:
        """One document."""
        return self._documents.one(tenant, kind, id)

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
        return self._documents.page(tenant, kind, low, high, cursor, limit, newest_first)

    # -- care ---------------------------------------------------------------------------------------------------------
    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[object]) -> None:
        """Replace every projection by these."""
        fresh = [record async for record in projections] if isinstance(projections, AsyncIterator) else projections
        for old in (self._stations, self._sessions, self._commands, self._variables, self._by_station, self._dirty):
            old.clear()
        self._touch(tuple(fresh))  # type: ignore[arg-type]
        self._settle()

    async def roll_off(self, before: int) -> int:
        """Count off the samples of whole UTC days before `before`. They stay readable: memory has no colder place."""
        self._index_samples()
        end = before - before % DAY_MS
        old = {key for key, sample in self._samples.items() if sample.time < end} - self._rolled
        self._rolled |= old
        return len(old)


def _fields(entry: Entry) -> dict[str, object]:
    return {name: getattr(entry, name) for name in entry.__struct_fields__}


def _newest_first(sessions: Iterable[Session]) -> list[Session]:
    return sorted(sessions, key=lambda session: (session.started_at, session.id), reverse=True)


def _of(table: dict[tuple[str, str], T], tenant: str | None) -> list[T]:
    return [_copy(table[key]) for key in sorted(table) if tenant is None or key[0] == tenant]
