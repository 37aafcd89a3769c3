"""What the store in memory keeps of the hot path, and the reading of it: journal, projections, samples."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Collection, Iterable, Mapping, Sequence
from typing import TypeVar

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.domain.records import Command, Sample, Session, Station, Variable

from .codec import (
    DAY_MS,
    Record,
    decode_as,
    decode_cursor,
    encode,
    encode_cursor,
    record_key,
    sample_order,
    variable_order,
)
from .port import Entry, JournalRow, Page
from .session_list import EndedRow, SessionQuery, SessionSums, StationTotal, columns_of, fits, sort_key

T = TypeVar("T")
_SampleKey = tuple[object, ...]


def copied(record: T) -> T:
    """A record of the caller's own: what is kept here never changes under a reader, nor by one."""
    return decode_as(type(record), encode(record))


def newest_first(sessions: Iterable[Session]) -> list[Session]:
    """By start, then id."""
    return sorted(sessions, key=lambda session: (session.started_at, session.id), reverse=True)


class MemoryRecords:
    """Entries and the records folded out of them; `limit` as in `MemoryStore`."""

    def __init__(self, stream: str, limit: int | None) -> None:
        self.stream = stream
        self._seq = 0
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

    # -- writing ------------------------------------------------------------------------------------------------------
    def _touch(self, records: Iterable[Record]) -> None:
        dirty = self._dirty
        for record in records:
            dirty.pop(id(record), None)  # the order of the dict is the order of the last touch
            dirty[id(record)] = record

    def _settle(self) -> None:
        """Key the touched records. The last object touched wins, and is kept as it is now."""
        for record in self._dirty.values():
            key = record_key(record)
            kept = copied(record)
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

    # -- reading ------------------------------------------------------------------------------------------------------
    async def stations(self, tenant: str, *, cursor: str | None = None, limit: int = 50) -> Page:
        """Station records by id."""
        self._settle()
        after = decode_cursor(cursor, tuple[str])[0] if cursor else ""
        ids = sorted(name for owner, name in self._stations if owner == tenant and name > after)
        items = [copied(self._stations[tenant, name]) for name in ids[:limit]]
        return Page(items=list(items), next=encode_cursor(items[-1].id) if len(ids) > limit else None)

    async def some_stations(self, tenant: str, ids: Collection[str] | None) -> list[Station]:
        """The records of these stations, or of all, in no order."""
        self._settle()
        wanted = None if ids is None else frozenset(ids)
        return [
            copied(station)
            for (owner, name), station in self._stations.items()
            if owner == tenant and (wanted is None or name in wanted)
        ]

    async def station(self, key: StationKey) -> Station | None:
        """One station's record."""
        self._settle()
        found = self._stations.get(key)
        return copied(found) if found else None

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
            items=[copied(session) for _, session in found[:limit]],
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

    async def sum_sessions(self, tenant: str, wanted: SessionQuery) -> SessionSums | None:
        """What those of them come to that have ended."""
        if wanted.status == "active":
            return SessionSums(0, 0, 0)
        ended = msgspec.structs.replace(wanted, status="ended", sort="started_at")
        found = [one for _, one in self._found(tenant, ended)]
        lasted = sum(max(0, (columns_of(one).ended_at or 0) - one.started_at) for one in found)
        return SessionSums(len(found), sum(one.energy_wh for one in found), lasted)

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
        return [copied(found) for id in ids if (found := self._sessions.get((tenant, id))) is not None]

    async def session(self, tenant: str, session_id: str) -> Session | None:
        """One session."""
        self._settle()
        found = self._sessions.get((tenant, session_id))
        return copied(found) if found else None

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
        found = [one for one in self._variables.values() if (one.tenant, one.station_id) == key]
        return [copied(variable) for variable in sorted(found, key=variable_order)]

    async def command(self, tenant: str, command_id: str) -> Command | None:
        """One command."""
        self._settle()
        found = self._commands.get((tenant, command_id))
        return copied(found) if found else None

    async def commands(self, key: StationKey, *, limit: int = 50) -> list[Command]:
        """A station's commands, newest first."""
        self._settle()
        found = [one for one in self._commands.values() if (one.tenant, one.station_id) == key]
        found.sort(key=lambda one: (one.requested_at, one.id), reverse=True)
        return [copied(command) for command in found[:limit]]

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

    # -- care ---------------------------------------------------------------------------------------------------------
    async def rebuild(self, projections: Sequence[Record] | AsyncIterator[Record]) -> None:
        """Replace every projection by these."""
        fresh = [record async for record in projections] if isinstance(projections, AsyncIterator) else projections
        for old in (self._stations, self._sessions, self._commands, self._variables, self._by_station, self._dirty):
            old.clear()
        self._touch(fresh)
        self._settle()

    async def roll_off(self, before: int) -> int:
        """Count off the samples of whole UTC days before `before`. They stay readable: memory has no colder place."""
        self._index_samples()
        end = before - before % DAY_MS
        old = {key for key, sample in self._samples.items() if sample.time < end} - self._rolled
        self._rolled |= old
        return len(old)
