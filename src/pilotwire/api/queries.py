"""Reading for the API and for the console: the one way from the store to the types of the API."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from typing import cast

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import from_datetime, to_datetime
from pilotwire.domain import records
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.port import Store

from . import cursors, mapping, types
from .access import Principal
from .context import ApiContext
from .curve import power_curve
from .problems import not_found
from .scope import sees_session, visible_stations

_SCANNED_AT_MOST = 5_000
"""How many stations one filtered page looks at before it hands out what it has, with the cursor to go on."""


class _StationCursor(msgspec.Struct, array_like=True):
    page: str | None
    """Cursor of the store's page that is being handed out."""
    after: str
    """The last id handed out of it."""


_STATIONS_MERGED = 64
"""Sessions of at most so many stations are merged; of more, the tenant's are gone through."""


class Queries:
    """Reads of one tenant, of what its principal sees there: all, some sites' stations, some tokens' sessions.

    What is not shown is as if it were not there. The permission is asked for by the caller.
    """

    def __init__(self, context: ApiContext, principal: Principal) -> None:
        self._context = context
        self._store: Store = context.store
        self.principal = principal
        self.tenant = principal.tenant

    async def visible(self) -> frozenset[str] | None:
        """The ids of the stations that are shown; None: all."""
        return await visible_stations(self._context, self.principal)

    # -- stations -----------------------------------------------------------------------------------------------------
    async def stations(
        self,
        *,
        cursor: str | None = None,
        limit: int = 50,
        connected: bool | None = None,
        search: str | None = None,
    ) -> types.StationPage:
        """Stations by id: those that have told something and those that only have an account.

        A page may hold fewer than `limit` items and still have a next one, where a filter leaves out many.
        """
        place = cursors.decode(cursor, _StationCursor) if cursor else _StationCursor(None, "")
        visible = await self.visible()
        accounts = {account.id: account for account in await self._store.accounts(self.tenant)}
        if visible is not None:
            return await self._some_stations(visible, accounts, place.after, limit, connected, search)
        ids = sorted(accounts)
        needle = search.casefold() if search else ""
        found: list[types.Station] = []
        scanned = 0
        while True:
            page = await self._store.stations(self.tenant, cursor=place.page, limit=max(limit, 50))
            told = {record.id: record for record in cast("list[records.Station]", page.items)}
            last = max(told) if page.next and told else None
            silent = ids[bisect_right(ids, place.after) : bisect_right(ids, last) if last is not None else None]
            names = sorted({*silent, *(name for name in told if name > place.after)})
            for name in names:
                if len(found) == limit or scanned == _SCANNED_AT_MOST:
                    return types.StationPage(items=found, next=cursors.encode(place))
                scanned += 1
                place = _StationCursor(place.page, name)
                shown = mapping.station(name, told.get(name), accounts.get(name))
                if _fits(shown, connected, needle):
                    found.append(shown)
            if page.next is None:
                return types.StationPage(items=found, next=None)
            place = _StationCursor(page.next, place.after)

    async def _some_stations(
        self,
        visible: frozenset[str],
        accounts: dict[str, records.StationAccount],
        after: str,
        limit: int,
        connected: bool | None,
        search: str | None,
    ) -> types.StationPage:
        """The same of the stations of some sites, each looked up by itself."""
        found: list[types.Station] = []
        last = after
        for scanned, name in enumerate(sorted(one for one in visible if one > after)):
            if len(found) == limit or scanned == _SCANNED_AT_MOST:
                return types.StationPage(items=found, next=cursors.encode(_StationCursor(None, last)))
            last = name
            record = await self._store.station(StationKey(self.tenant, name))
            shown = mapping.station(name, record, accounts.get(name))
            if _fits(shown, connected, search.casefold() if search else ""):
                found.append(shown)
        return types.StationPage(items=found, next=None)

    async def every_station(self) -> AsyncIterator[types.Station]:
        """All of them, page by page."""
        cursor: str | None = None
        while True:
            page = await self.stations(cursor=cursor, limit=500)
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    async def find_station(self, station_id: str) -> types.Station | None:
        key = StationKey(self.tenant, station_id)
        if not _name(station_id):
            return None
        visible = await self.visible()
        if visible is not None and station_id not in visible:
            return None
        record, account = await self._store.station(key), await self._store.account(key)
        return mapping.station(station_id, record, account) if record or account else None

    async def station(self, station_id: str) -> types.Station:
        """Raises Problem 404."""
        found = await self.find_station(station_id)
        if found is None:
            raise not_found("station", station_id)
        return found

    async def variables(self, station_id: str) -> list[types.Variable]:
        await self.station(station_id)
        return [mapping.variable(one) for one in await self._store.variables(StationKey(self.tenant, station_id))]

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
        self, *, station: str | None = None, status: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> types.SessionPage:
        """Sessions, newest started first. Raises Problem 400 for a bad cursor."""
        given = cursors.decode(cursor, str) if cursor else None
        visible = await self.visible()
        if visible is not None and station is not None and station not in visible:
            return types.SessionPage(items=[])
        if self.principal.tokens is not None or (
            visible is not None and station is None and len(visible) > _STATIONS_MERGED
        ):
            found, after = await self._some_sessions(visible, station, status, given, limit)
        elif visible is not None and station is None:
            found, after = await self._merged_sessions(visible, status, given, limit)
        else:
            page = await self._store.sessions(self.tenant, station=station, status=status, cursor=given, limit=limit)
            found, after = cast("list[records.Session]", page.items), page.next
        items = [mapping.session(one) for one in found]
        return types.SessionPage(items=items, next=cursors.encode(after) if after else None)

    async def _merged_sessions(
        self, visible: frozenset[str], status: str | None, cursor: str | None, limit: int
    ) -> tuple[list[records.Session], str | None]:
        """A page of the sessions of a few stations: each one's newest, put in order."""
        found: list[records.Session] = []
        more = False
        for name in visible:
            page = await self._store.sessions(self.tenant, station=name, status=status, cursor=cursor, limit=limit)
            found += cast("list[records.Session]", page.items)
            more = more or page.next is not None
        found.sort(key=lambda one: (one.started_at, one.id), reverse=True)
        more, found = more or len(found) > limit, found[:limit]
        return found, encode_cursor(found[-1].started_at, found[-1].id) if more and found else None

    async def _some_sessions(
        self, visible: frozenset[str] | None, station: str | None, status: str | None, cursor: str | None, limit: int
    ) -> tuple[list[records.Session], str | None]:
        """A page of the sessions that are shown, gone through; it may hold fewer than `limit` and still have a next."""
        found: list[records.Session] = []
        scanned = 0
        while True:
            page = await self._store.sessions(self.tenant, station=station, status=status, cursor=cursor, limit=500)
            for one in cast("list[records.Session]", page.items):
                scanned += 1
                if sees_session(self.principal, visible, one):
                    found.append(one)
                    if len(found) == limit:
                        return found, encode_cursor(one.started_at, one.id)
            cursor = page.next
            if cursor is None or scanned >= _SCANNED_AT_MOST:
                return found, cursor

    async def active_sessions(self) -> AsyncIterator[types.Session]:
        cursor: str | None = None
        while True:
            page = await self.sessions(status="active", cursor=cursor, limit=500)
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    async def find_session(self, session_id: str) -> types.Session | None:
        found = await self._store.session(self.tenant, session_id) if _name(session_id) else None
        if found is None or not sees_session(self.principal, await self.visible(), found):
            return None
        return mapping.session(found)

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
        powers = await self._store.samples(self.tenant, session_id, measurand="Power.Active.Import")
        registers: list[records.Sample] = []
        if not powers:
            registers = await self._store.samples(self.tenant, session_id, measurand="Energy.Active.Import.Register")
        return power_curve(session_id, powers, registers, points)

    # -- today --------------------------------------------------------------------------------------------------------
    def midnight(self) -> int:
        """When today began, in ms, by the configured zone."""
        local = to_datetime(self._context.scheduler.now()).astimezone(self._context.config.zone)
        return from_datetime(local.replace(hour=0, minute=0, second=0, microsecond=0))

    async def energy_before(self, session: types.Session, instant: int) -> int:
        """What a session that began before `instant` had delivered by then, Wh.

        From its register readings; where the station reports none, in proportion to the time.
        """
        readings = await self._store.samples(self.tenant, session.id, measurand="Energy.Active.Import.Register")
        whole = [one for one in readings if not one.phase and one.location in ("", "Outlet")]
        if not whole:
            began = _ms(session.started_at)
            lasted = (_ms(session.ended_at) if session.ended_at else self._context.scheduler.now()) - began
            return session.energy_wh * min(instant - began, lasted) // lasted if lasted > 0 else 0
        start = session.meter_start_wh if session.meter_start_wh is not None else whole[0].value // 1000
        before = [one.value // 1000 for one in whole if one.time <= instant]
        return max(0, min(session.energy_wh, (before[-1] if before else start) - start))

    async def sessions_since(self, instant: int, *, reach: timedelta = timedelta(days=2)) -> list[types.Session]:
        """Sessions that were running at some time since `instant`; of ended ones, those that began within `reach`."""
        horizon = from_datetime(to_datetime(instant) - reach)
        found: dict[str, types.Session] = {one.id: one async for one in self.active_sessions()}
        cursor: str | None = None
        while True:
            page = await self.sessions(cursor=cursor, limit=500)
            for one in page.items:
                if one.status == "ended" and one.ended_at and _ms(one.ended_at) >= instant:
                    found[one.id] = one
            cursor = page.next
            if cursor is None or not page.items or _ms(page.items[-1].started_at) < horizon:
                return list(found.values())


def _ms(text: str) -> int:
    return from_datetime(datetime.fromisoformat(text))


def _fits(shown: types.Station, connected: bool | None, needle: str) -> bool:
    """Whether a station is one of those that were asked for."""
    if connected is not None and shown.connected is not connected:
        return False
    return not needle or needle in f"{shown.id}\n{shown.vendor}\n{shown.model}\n{shown.note}".casefold()


def _name(text: str) -> bool:
    """Whether this can be an id at all: a NUL would be an error in some databases."""
    return 0 < len(text) <= 255 and text.isprintable()
