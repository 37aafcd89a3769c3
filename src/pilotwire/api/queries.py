"""Reading for the API and for the console: the one way from the store to the types of the API."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection
from datetime import datetime
from typing import cast

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.domain import records
from pilotwire.domain.periods import midnight
from pilotwire.storage.port import Store
from pilotwire.storage.session_list import EndedRow, SessionQuery

from . import mapping, types
from .access import Principal
from .context import ApiContext
from .curve import power_curve
from .fleet import fleet_of
from .fleet_query import StationQuery
from .listing import next_of, question, stored_cursor
from .problems import not_found
from .scope import sees_session, visible_stations

CURVE_SAMPLES = 250_000
"""Of one measurand: more than a week of three phases at one reading in ten seconds."""
_REGISTER = "Energy.Active.Import.Register"


class Queries:
    """Reads of one tenant, of what its principal sees there: all, some sites' stations, some tokens' sessions.

    What is not shown is as if it were not there. The permission is asked for by the caller.
    """

    def __init__(self, context: ApiContext, principal: Principal) -> None:
        self._context = context
        self._store: Store = context.store
        self.fleet = fleet_of(context, principal.tenant)
        self.principal = principal
        self.tenant = principal.tenant

    async def visible(self) -> frozenset[str] | None:
        """The ids of the stations that are shown; None: all."""
        return await visible_stations(self._context, self.principal)

    # -- stations -----------------------------------------------------------------------------------------------------
    async def stations(
        self,
        *,
        wanted: StationQuery | None = None,
        sort: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        count: bool = False,
        connected: bool | None = None,
        search: str | None = None,
    ) -> types.StationPage:
        """Stations, by id unless `sort` says otherwise: those that told something and those that only have an account.

        `connected` and `search` are short for a `wanted` of their own. Raises Problem 400 for a bad sort or cursor.
        """
        asked = wanted or StationQuery(connected=connected, q=search or "")
        found = await self.fleet.page(
            asked, visible=await self.visible(), sort=sort, cursor=cursor, limit=limit, count=count
        )
        total = msgspec.UNSET if found.total is None else found.total
        return types.StationPage(items=[one.shown for one in found.members], next=found.next, total=total)

    async def stations_encoded(
        self, wanted: StationQuery, *, sort: str | None, cursor: str | None, limit: int, count: bool
    ) -> tuple[bytes, str]:
        """The same as JSON that is made once for all who ask, and its ETag."""
        visible = await self.visible()
        return await self.fleet.encoded(wanted, visible=visible, sort=sort, cursor=cursor, limit=limit, count=count)

    async def station_facets(self) -> dict[str, dict[str, int]]:
        """What stations can be filtered by: field → value → how many have it."""
        return await self.fleet.facets(await self.visible())

    async def every_station(self) -> AsyncIterator[types.Station]:
        """All of them, by id."""
        for one in sorted(await self.fleet.members(await self.visible()), key=lambda one: one.id):
            yield one.shown

    async def find_station(self, station_id: str) -> types.Station | None:
        if not _name(station_id):
            return None
        visible = await self.visible()
        if visible is not None and station_id not in visible:
            return None
        found = await self.fleet.member(station_id)
        return found.shown if found else None

    async def station(self, station_id: str) -> types.Station:
        """Raises Problem 404."""
        found = await self.find_station(station_id)
        if found is None:
            raise not_found("station", station_id)
        return found

    # -- commands -----------------------------------------------------------------------------------------------------
    async def commands(self, station_id: str, *, limit: int = 50) -> list[types.Command]:
        await self.station(station_id)
        found = await self._store.commands(StationKey(self.tenant, station_id), limit=limit)
        return [mapping.command(one) for one in found]

    async def command(self, command_id: str) -> types.Command:
        """Raises Problem 404."""
        found = await self._store.command(self.tenant, command_id) if _name(command_id) else None
        visible = await self.visible()
        if found is None or (visible is not None and found.station_id not in visible):
            raise not_found("command", command_id)
        return mapping.command(found)

    # -- sessions -----------------------------------------------------------------------------------------------------
    async def sessions(
        self,
        *,
        wanted: SessionQuery | None = None,
        station: str | None = None,
        status: str | None = None,
        cursor: str | None = None,
        limit: int = 50,
        count: bool = False,
    ) -> types.SessionPage:
        """Sessions, newest started first unless `wanted` says otherwise. `station` and `status` are short for that.

        A page may hold fewer than `limit` and still have a next one, where few of many fit. Raises Problem 400.
        """
        asked = wanted or SessionQuery(stations=None if station is None else (station,), status=status)
        key = question("sessions", asked.sort, msgspec.to_builtins(asked)) if wanted else f"{station}/{status}"
        given = stored_cursor(cursor, key)
        seen = await self.seen(asked)
        page = await self._store.find_sessions(self.tenant, seen, cursor=given, limit=limit)
        items = [mapping.session(one) for one in cast("list[records.Session]", page.items)]
        total: int | msgspec.UnsetType | None = msgspec.UNSET
        if count:
            total = await self._store.count_sessions(self.tenant, seen)
        return types.SessionPage(items=items, next=next_of(page.next, key), total=total)

    async def sums(self, wanted: SessionQuery) -> types.SessionSums:
        """What the sessions come to that fit, running ones as far as they are."""
        seen = await self.seen(wanted)
        sums = await self._store.sum_sessions(self.tenant, seen)
        if sums is None:
            return types.SessionSums(sessions=None, energy_wh=None, duration_s=None)
        count, energy, lasted = sums
        running, now = msgspec.structs.replace(seen, status="active"), self._context.scheduler.now()
        more = wanted.status != "ended" and wanted.sort == "started_at"  # by end or energy, only ended ones are listed
        cursor: str | None = None
        while more:
            page = await self._store.find_sessions(self.tenant, running, cursor=cursor, limit=500)
            for one in cast("list[records.Session]", page.items):
                count += 1
                energy += one.energy_wh
                lasted += max(0, now - one.started_at)
            cursor = page.next
            more = cursor is not None
        return types.SessionSums(sessions=count, energy_wh=energy, duration_s=lasted // 1000)

    async def seen(self, wanted: SessionQuery) -> SessionQuery:
        """A question, narrowed to what may be seen."""
        return msgspec.structs.replace(wanted, within=await self.visible(), by=self.principal.tokens)

    async def active_sessions(self) -> AsyncIterator[types.Session]:
        cursor: str | None = None
        while True:
            page = await self.sessions(status="active", cursor=cursor, limit=500)
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    async def session_record(self, session_id: str) -> records.Session | None:
        """As it is kept; None also for one that may not be seen."""
        found = await self._store.session(self.tenant, session_id) if _name(session_id) else None
        return found if found is not None and sees_session(self.principal, await self.visible(), found) else None

    async def find_session(self, session_id: str) -> types.Session | None:
        found = await self.session_record(session_id)
        return None if found is None else mapping.session(found)

    async def session(self, session_id: str) -> types.Session:
        """Raises Problem 404."""
        found = await self.find_session(session_id)
        if found is None:
            raise not_found("session", session_id)
        return found

    async def samples(
        self, session_id: str, *, measurand: str | None = None, limit: int = 10_000
    ) -> list[types.Sample]:
        await self.session(session_id)
        found = await self._store.samples(self.tenant, session_id, measurand=measurand, limit=limit)
        return [mapping.sample(one) for one in found]

    async def curve(self, session_id: str, *, points: int = 240) -> types.Curve:
        """The session's power over time. Raises Problem 404."""
        await self.session(session_id)
        powers = await self._measured(session_id, "Power.Active.Import")
        registers: list[records.Sample] = []
        if not powers:
            registers = await self._measured(session_id, _REGISTER)
        return power_curve(session_id, powers, registers, points)

    async def _measured(self, session_id: str, measurand: str) -> list[records.Sample]:
        return await self._store.samples(self.tenant, session_id, measurand=measurand, limit=CURVE_SAMPLES)

    # -- today --------------------------------------------------------------------------------------------------------
    def midnight(self) -> int:
        """When today began, in ms, by the configured zone."""
        zone = self._context.config.zone
        return midnight(to_datetime(self._context.scheduler.now()).astimezone(zone).date(), zone)

    async def energy_before(self, session: types.Session, instant: int) -> int:
        """What a session that began before `instant` had delivered by then, Wh.

        From its register readings; where the station reports none, in proportion to the time.
        """
        readings = await self._measured(session.id, _REGISTER)
        whole = [one for one in readings if not one.phase and one.location in ("", "Outlet")]
        if not whole:
            return self.share_before(session, instant)
        start = session.meter_start_wh if session.meter_start_wh is not None else whole[0].value // 1000
        before = [one.value // 1000 for one in whole if one.time <= instant]
        return max(0, min(session.energy_wh, (before[-1] if before else start) - start))

    def share_before(self, session: types.Session, instant: int) -> int:
        """The same in proportion to the time."""
        began = _ms(session.started_at)
        lasted = (_ms(session.ended_at) if session.ended_at else self._context.scheduler.now()) - began
        return session.energy_wh * min(instant - began, lasted) // lasted if lasted > 0 else 0

    async def ended_since(self, instant: int) -> list[EndedRow]:
        """Those sessions that ended at this time (ms) or later, of those that are shown."""
        visible, tokens = await self.visible(), self.principal.tokens
        own = None if tokens is None else {one.lower() for one in tokens} - {""}
        return [
            one
            for one in await self._store.ended_since(self.tenant, instant)
            if (visible is None or one.station_id in visible) and (own is None or one.token in own)
        ]

    async def some_sessions(self, ids: Collection[str]) -> list[types.Session]:
        """These sessions, of those that are shown, in no order."""
        visible = await self.visible()
        return [
            mapping.session(one)
            for one in await self._store.some_sessions(self.tenant, ids)
            if sees_session(self.principal, visible, one)
        ]


def _ms(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text))


def _name(text: str) -> bool:
    """Whether this can be an id at all: a NUL would be an error in some databases."""
    return 0 < len(text) <= 255 and text.isprintable()
