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
from pilotwire.storage.port import Store

from . import cursors, mapping, types
from .context import ApiContext
from .curve import power_curve
from .problems import not_found

_SCANNED_AT_MOST = 5_000
"""How many stations one filtered page looks at before it hands out what it has, with the cursor to go on."""


class _StationCursor(msgspec.Struct, array_like=True):
    page: str | None
    """Cursor of the store's page that is being handed out."""
    after: str
    """The last id handed out of it."""


class Queries:
    """Reads of one tenant."""

    def __init__(self, context: ApiContext, tenant: str) -> None:
        self._context = context
        self._store: Store = context.store
        self.tenant = tenant

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
        accounts = {account.id: account for account in await self._store.accounts(self.tenant)}
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
                if connected is not None and shown.connected is not connected:
                    continue
                if needle and needle not in f"{shown.id}\n{shown.vendor}\n{shown.model}\n{shown.note}".casefold():
                    continue
                found.append(shown)
            if page.next is None:
                return types.StationPage(items=found, next=None)
            place = _StationCursor(page.next, place.after)

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
        if found is None:
            raise not_found("command", command_id)
        return mapping.command(found)

    # -- sessions -----------------------------------------------------------------------------------------------------
    async def sessions(
        self, *, station: str | None = None, status: str | None = None, cursor: str | None = None, limit: int = 50
    ) -> types.SessionPage:
        """Sessions, newest started first. Raises Problem 400 for a bad cursor."""
        given = cursors.decode(cursor, str) if cursor else None
        page = await self._store.sessions(self.tenant, station=station, status=status, cursor=given, limit=limit)
        items = [mapping.session(one) for one in cast("list[records.Session]", page.items)]
        return types.SessionPage(items=items, next=cursors.encode(page.next) if page.next else None)

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
        return mapping.session(found) if found else None

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


def _name(text: str) -> bool:
    """Whether this can be an id at all: a NUL would be an error in some databases."""
    return 0 < len(text) <= 255 and text.isprintable()
