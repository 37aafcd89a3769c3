"""What the SQLite and the PostgreSQL store have in common: everything but how a plan is run and a group committed.

Reading and care are here, `group_queue` has the hot path, `sql_settings` what people set.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from abc import abstractmethod
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from pathlib import Path
from typing import Final

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.ids import StationKey
from pilotwire.domain.records import Command, Sample, Session, Station, Variable

from . import hot_samples, queries, session_list
from .codec import DAY_MS, HOUR_MS, Record, sample_order
from .group import Records
from .group_queue import GroupQueue
from .port import JournalRow, Page
from .queries import SEQ_MASK, RawRow
from .session_list import EndedRow, SessionQuery, SessionSums, StationTotal
from .sql_settings import SqlSettings

log = logging.getLogger(__name__)

ROLL_OFF_ROWS: Final = 5_000


class SqlStore(GroupQueue, SqlSettings):
    """Reading and settings of the `Store` port over plans. `history` is the folder of the Parquet days, or None."""

    shared = False

    def __init__(self, stream: str, history: Path | None, *, queue_entries: int, queue_bytes: int) -> None:
        GroupQueue.__init__(self, queue_entries=queue_entries, queue_bytes=queue_bytes)
        SqlSettings.__init__(self)
        self.stream = stream
        self.history = history
        self._rolling = asyncio.Lock()

    @abstractmethod
    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[Record]) -> None:
        """Replace every projection row by these, in one transaction."""

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

    async def sum_sessions(self, tenant: str, wanted: SessionQuery) -> SessionSums | None:
        """What those of them come to that have ended; None: too many to sum up."""
        return await self.read(session_list.sums_plan(tenant, wanted))

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
        lenient: bool = False,
    ) -> AsyncIterator[JournalRow]:
        """Entries by seq, those after `after`; of several streams, merged by time of arrival, each in its own order.

        Raises msgspec.DecodeError at a row whose facts cannot be read (`pilotwire.storage.verify` names all of them);
        `lenient`, it comes without them.
        """
        raw = self.raw_journal(
            tenant=tenant, station=station, after=after, limit=limit, newest_first=newest_first, before=before
        )
        async for row in raw:
            try:
                decoded = row.decoded()
            except msgspec.DecodeError:
                if not lenient:
                    raise
                log.error("entry %d of %s cannot be read; it is taken without its facts", row.seq, row.stream)
                decoded = row._replace(facts=b"").decoded()
            yield decoded

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
        before -= before % DAY_MS
        async with self._rolling:
            if not await self.read(hot_samples.any_before(before)):
                return 0  # on most days of a small site: the process would take a second to find that out
            source = Source(database=self.database, history=str(self.history))
            job = RollOff(source=source, before=before)
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


async def gather_records(projections: Sequence[Record] | AsyncIterator[Record]) -> Records:
    """Encode records as they come. Raises TypeError for what is no projection."""
    records = Records()
    if isinstance(projections, AsyncIterator):
        async for record in projections:
            records.add(record)
    else:
        for record in projections:
            records.add(record)
    return records
