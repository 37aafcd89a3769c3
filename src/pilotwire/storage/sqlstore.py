"""What the SQLite and the PostgreSQL store have in common: everything but how a plan is run and a group committed."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import TypeVar

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import ApiKey, Command, Sample, Session, Station, StationAccount, Token, User, Variable

from . import queries
from .codec import DAY_MS, HOUR_MS, encode, sample_order
from .port import JournalRow, Page
from .queries import SEQ_MASK, Plan, RawRow

T = TypeVar("T")


class SqlStore(ABC):
    """Reading and settings of the `Store` port over plans. `history` is the folder of the Parquet days, or None."""

    def __init__(self, stream: str, history: Path | None) -> None:
        self.stream = stream
        self.history = history

    @abstractmethod
    async def read(self, plan: Plan[T]) -> T:
        """Run a plan that only reads, on one snapshot where the database can."""

    @abstractmethod
    async def change(self, plan: Plan[T]) -> T:
        """Run a plan in a transaction of its own and commit it. Raises StoreFailed when it cannot be committed."""

    # -- reading ------------------------------------------------------------------------------------------------------
    async def stations(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Station records by id."""
        return await self.read(queries.stations_page(tenant, cursor, limit))

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
        return await self.read(queries.sessions_page(tenant, station, status, cursor, limit))

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
        hot = await self.read(queries.session_samples(tenant, session_id, measurand, limit))
        found = {sample_order(sample): sample for sample in hot.samples}
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
    ) -> AsyncIterator[JournalRow]:
        """Entries by seq, those after `after`; of several streams, merged by time of arrival, each in its own order.

        Raises msgspec.DecodeError at a row whose facts cannot be read (`pilotwire.storage.verify` names all of them).
        """
        raw = self.raw_journal(tenant=tenant, station=station, after=after, limit=limit, newest_first=newest_first)
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
    ) -> AsyncIterator[RawRow]:
        """As `journal`, undecoded."""
        given = 0
        sign = -1 if newest_first else 1
        heap: list[tuple[int, int, int, RawRow, AsyncIterator[RawRow]]] = []
        for place, stream in enumerate(await self.read(queries.streams())):
            rows = self._stream_rows(stream, tenant, station, after, limit, newest_first)
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
        limit: int | None,
        newest_first: bool,
    ) -> AsyncIterator[RawRow]:
        low, high = after, SEQ_MASK
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

    # -- settings -----------------------------------------------------------------------------------------------------
    async def put_account(self, account: StationAccount) -> None:
        """Insert or replace a station's account."""
        await self.change(queries.put_body("accounts", account.tenant, account.id, encode(account)))

    async def account(self, key: StationKey) -> StationAccount | None:
        """One account."""
        return await self.read(queries.get_body("accounts", key.tenant, key.station, StationAccount))

    async def accounts(self, tenant: str | None = None) -> list[StationAccount]:
        """Accounts by tenant and id."""
        return await self.read(queries.list_bodies("accounts", tenant, StationAccount))

    async def delete_account(self, key: StationKey) -> bool:
        """True when there was one."""
        return await self.change(queries.delete_body("accounts", key.tenant, key.station))

    async def put_token(self, token: Token) -> None:
        """Insert or replace a token."""
        await self.change(queries.put_body("tokens", token.tenant, token.token, encode(token)))

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


Lookup = tuple[Plan[object], Callable[[object], None]]
"""A question asked in the middle of a message and who is told."""
