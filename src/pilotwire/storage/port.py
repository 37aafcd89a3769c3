"""What a store does for the rest of the house. SQLite, PostgreSQL and memory implement it; one test-suite runs on all.

One writer per store gathers what is appended and commits it as a group; `done` is called on the event loop's thread
after the commit that made the entry durable, in the order of appending. An answer to a peer is sent from `done`, never
before. Calls that read are coroutines, except the two `load`/`find` calls that an actor makes in the middle of a
message: those take callbacks so that actors run unchanged in simulated time.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

import msgspec

from pilotwire.core.errors import TransientError
from pilotwire.core.ids import StationKey
from pilotwire.domain.facts import AnyFact
from pilotwire.domain.metering import Samples
from pilotwire.domain.records import (
    ApiKey,
    Command,
    Sample,
    Session,
    Station,
    StationAccount,
    Token,
    User,
    Variable,
)

if TYPE_CHECKING:
    from .documents import Change, Document, DocumentPage
    from .session_list import EndedRow, SessionQuery, SessionSums, StationTotal


class StoreFailed(TransientError):
    """The store could not commit (disk full, server gone). Nothing of the failed group was made durable."""


class Entry(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One message and what became of it: the unit of the journal."""

    tenant: str
    station: str
    recv_time: int
    """ms, our clock."""
    epoch: int
    """The station's connection that it came by."""
    direction: str
    """"in" (from the station), "out" (a CALL of ours or our answer where it is worth keeping), "sys" (no frame)."""
    frame: bytes = b""
    """The raw frame, untouched."""
    facts: tuple[AnyFact, ...] = ()
    samples: Samples = ()
    """May be made only when the store iterates, on whichever thread that is: nothing else touches them by then."""
    touched: tuple[Session | Station | Command | Variable, ...] = ()
    """Folded records to upsert in the same commit. The store encodes them when the group is written and coalesces
    repeats, so the object handed over may go on changing: the newest state of a group is what is kept."""


class JournalRow(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """An entry as it is read back."""

    stream: str
    """The writer that made it; `seq` orders entries within a stream."""
    seq: int
    tenant: str
    station: str
    recv_time: int
    epoch: int
    direction: str
    frame: bytes
    facts: tuple[AnyFact, ...]


class StationImage(msgspec.Struct, kw_only=True):
    """All that an actor needs to go on where the last process stopped."""

    station: Station | None
    sessions: list[Session]
    """Every active session and the newest ended ones, newest first."""
    complete: bool
    """False when the store holds older sessions of this station that are not in `sessions`."""
    commands: list[Command]
    """Durable intents that are still pending."""


class Page(msgspec.Struct, kw_only=True):
    """A page of a list and the cursor of the next (None at the end)."""

    items: list[object]
    next: str | None = None


Done = Callable[[BaseException | None], None]


class Store(Protocol):
    """See the module. Every method names its tenant; none reads across tenants."""

    # -- life ---------------------------------------------------------------------------------------------------------
    async def open(self) -> None:
        """Open, migrate, start the writer. Raises ConfigError where the database cannot be used, saying why."""
        ...

    async def close(self) -> None:
        """Commit what is waiting, stop the writer, close."""
        ...

    @property
    def ready(self) -> bool:
        """True while commits succeed."""
        ...

    @property
    def stream(self) -> str:
        """The name under which this writer's entries stand in the journal."""
        ...

    @property
    def position(self) -> int:
        """While a `done` is called: the journal seq that its entry was given; 0 when it was not made durable."""
        ...

    @property
    def account_changes(self) -> int:
        """Rises when an account is written or deleted through this store, for those who keep them in memory."""
        ...

    @property
    def shared(self) -> bool:
        """Whether other processes may write to the same database."""
        ...

    # -- the hot path -------------------------------------------------------------------------------------------------
    def append(self, entry: Entry, done: Done | None = None) -> None:
        """Queue one entry for the next group commit. Bounded: raises StoreFailed at once when the queue is full."""
        ...

    def load_station(self, key: StationKey, done: Callable[[StationImage], None]) -> None: ...

    def find_session(
        self, key: StationKey, transaction: str, start_key: str, done: Callable[[Session | None], None]
    ) -> None:
        """The session with this transactionId, or (where `transaction` is empty) this start_key."""
        ...

    # -- reading ------------------------------------------------------------------------------------------------------
    async def stations(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Station records by id."""
        ...

    async def some_stations(self, tenant: str, ids: Collection[str] | None) -> list[Station]:
        """The records of these stations, or of all (None), in no order."""
        ...

    async def station(self, key: StationKey) -> Station | None: ...

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
        ...

    async def find_sessions(
        self, tenant: str, wanted: SessionQuery, *, cursor: str | None = None, limit: int = 50
    ) -> Page:
        """A page of the sessions that are asked for (`pilotwire.storage.session_list`); it may hold fewer than `limit`
        and still have a next one. Raises BadCursor."""
        ...

    async def count_sessions(self, tenant: str, wanted: SessionQuery) -> int | None:
        """How many there are of them; None: too many to count."""
        ...

    async def sum_sessions(self, tenant: str, wanted: SessionQuery) -> SessionSums | None:
        """What those of them come to that have ended; None: too many to sum up."""
        ...

    async def session_totals(
        self, tenant: str, ended_from: int, ended_before: int | None = None
    ) -> dict[str, StationTotal]:
        """Station → (sessions, Wh) of those that ended within a time (ms)."""
        ...

    async def ended_since(self, tenant: str, instant: int) -> list[EndedRow]:
        """Every session that ended at this time (ms) or later."""
        ...

    async def some_sessions(self, tenant: str, ids: Collection[str]) -> list[Session]:
        """These sessions, in no order; a few hundred at most."""
        ...

    async def session(self, tenant: str, session_id: str) -> Session | None: ...

    async def samples(
        self, tenant: str, session_id: str, *, measurand: str | None = None, limit: int = 10_000
    ) -> list[Sample]:
        """A session's samples in order of time, from the hot store and the Parquet history alike."""
        ...

    async def variables(self, key: StationKey) -> list[Variable]: ...

    async def command(self, tenant: str, command_id: str) -> Command | None: ...

    async def commands(self, key: StationKey, *, limit: int = 50) -> list[Command]: ...

    def journal(
        self,
        *,
        tenant: str | None = None,
        station: str | None = None,
        after: int = 0,
        limit: int | None = None,
        newest_first: bool = False,
        before: Mapping[str, int] | None = None,
        lenient: bool = False,
    ) -> AsyncIterator[JournalRow]:
        """Entries by seq, of each stream those after `after` and, where it is named in `before`, before that seq: so a
        page newest first is followed by the next. `tenant` None is for maintenance (verify, replay, backup) alone.

        Raises msgspec.DecodeError at a row whose facts cannot be read; `lenient`, it comes without them.
        """
        ...

    # -- settings (made by people, committed at once) -----------------------------------------------------------------
    async def put_account(self, account: StationAccount) -> None: ...
    async def account(self, key: StationKey) -> StationAccount | None: ...
    async def accounts(self, tenant: str | None = None) -> list[StationAccount]: ...
    async def delete_account(self, key: StationKey) -> bool: ...
    async def put_token(self, token: Token) -> None: ...
    async def put_tokens(self, tokens: Sequence[Token]) -> None:
        """Insert or replace many at once: all of them or, when that fails, none."""
        ...

    async def token(self, tenant: str, token: str) -> Token | None: ...
    async def tokens(self, tenant: str | None = None) -> list[Token]: ...
    async def delete_token(self, tenant: str, token: str) -> bool: ...
    async def put_user(self, user: User) -> None: ...
    async def user(self, tenant: str, name: str) -> User | None: ...
    async def users(self, tenant: str) -> list[User]: ...
    async def delete_user(self, tenant: str, name: str) -> bool: ...
    async def put_api_key(self, key: ApiKey) -> None: ...
    async def api_keys(self, tenant: str | None = None) -> list[ApiKey]: ...
    async def delete_api_key(self, tenant: str, key_id: str) -> bool: ...

    # -- settings of the installation itself ---------------------------------------------------------------------------
    async def setting(self, name: str) -> str | None: ...
    async def put_setting(self, name: str, value: str) -> None: ...

    # -- documents (see `pilotwire.storage.documents`) -----------------------------------------------------------------
    async def write_documents(self, tenant: str, changes: Sequence[Change]) -> list[int]:
        """Make all changes or none; returns the new versions, 0 for what was deleted. Raises `Conflict`."""
        ...

    def document_changes(self, tenant: str, kind: str) -> int:
        """Rises when a document of a kind is written or deleted through this store, for those who keep sums."""
        ...

    async def document(self, tenant: str, kind: str, id: str) -> Document | None: ...

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
        """Documents of a kind by (sort, id), of those with low <= sort < high. Raises BadCursor."""
        ...

    # -- care ---------------------------------------------------------------------------------------------------------
    async def rebuild(
        self,
        projections: Sequence[Station | Session | Command | Variable]
        | AsyncIterator[Station | Session | Command | Variable],
    ) -> None:
        """Replace every projection row by these, in one transaction."""
        ...

    async def roll_off(self, before: int) -> int:
        """Move samples older than `before` (ms) into day-partitioned Parquet; returns how many. Safe to repeat."""
        ...
