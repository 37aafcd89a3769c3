"""What is known now of a tenant, or of the part of it that somebody sees: stations, running sessions, totals, news.

Made of the index of stations (`pilotwire.api.fleet`), the running sessions and today's sums, none of which grows with
the sessions of other days; so it opens fast however many there are.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Collection
from typing import Any, Final

from pilotwire.core.time import to_rfc3339
from pilotwire.transport.bus import PowerNow

from . import types
from .context import ApiContext
from .fleet_member import Member
from .happenings.worker import open_alarms
from .queries import Queries
from .words import News

NEWS: Final = 40
"""How many lines of news are kept."""
EXACT: Final = 10
"""What a session delivered before midnight is read from its meter for so many at once; of the others it is reckoned by
the time until `refine` has read it."""
_DAYS: Final = 64
_NOTHING: Final = (0, 0, 0)


class Picture:
    """What is known now, in the types of the API."""

    def __init__(self, context: ApiContext, queries: Queries) -> None:
        self._context = context
        self._queries = queries
        self._now = context.scheduler.now
        self._known = _known_before(context, queries.tenant, queries.midnight())
        self.stations: dict[str, types.Station] = {}
        """Not to be changed: others see the same."""
        self.sessions: dict[str, types.Session] = {}
        """The running ones."""
        self.news: deque[News] = deque(maxlen=NEWS)
        self._shares: dict[str, tuple[int, int, int]] = {}
        """Station → what it adds to the totals: online, connectors, faulted ones."""
        self._online = self._connectors = self._faulted = 0
        self._midnight = 0
        self._today: dict[str, int] = {}
        """Session → Wh, of those that have ended since midnight."""
        self._where: dict[str, str] = {}
        """Session → its station, of the same."""
        self._before: dict[str, int] = {}
        """Session → Wh delivered before midnight, of those that began before it."""
        self.reckoned: list[str] = []
        """Sessions of which that is not known exactly yet."""

    async def load(self) -> None:
        """Everything from the store."""
        self.stations.clear()
        self._shares.clear()
        self._online = self._connectors = self._faulted = 0
        for member in await self._queries.fleet.members(await self._queries.visible()):
            self._put(member.id, member)
        self._midnight = midnight = self._queries.midnight()
        self._today.clear()
        self._where.clear()
        self._before.clear()
        self.sessions = {one.id: one async for one in self._queries.active_sessions()}
        overnight = [one.id for one in self.sessions.values() if one.started_at < to_rfc3339(midnight)]
        for row in await self._queries.ended_since(midnight):
            self._where[row.id] = row.station_id
            self._today[row.id] = row.energy_wh
            if row.started_at < midnight:
                overnight.append(row.id)
                lasted = row.ended_at - row.started_at
                self._before[row.id] = row.energy_wh * (midnight - row.started_at) // lasted if lasted else 0
        for one in overnight:
            if one in self._known:
                self._before[one] = self._known[one]
        self.reckoned = [one for one in overnight if one not in self._known]
        await self.refine(EXACT)
        for one in self.reckoned:
            if (session := self.sessions.get(one)) is not None:
                self._before.setdefault(one, self._queries.share_before(session, midnight))

    async def refine(self, count: int) -> None:
        """Read from their meters what some of those delivered before midnight of which it is only reckoned."""
        part, self.reckoned = self.reckoned[:count], self.reckoned[count:]
        for session in await self._queries.some_sessions(part):
            exact = await self._queries.energy_before(session, self._midnight)
            self._known[session.id] = self._before[session.id] = exact

    @property
    def outdated(self) -> bool:
        """A new day has begun."""
        return self._queries.midnight() != self._midnight

    def _put(self, id: str, member: Member | None) -> None:
        old = self._shares.pop(id, _NOTHING)
        new = _NOTHING
        if member is None:
            self.stations.pop(id, None)
        else:
            self.stations[id] = member.shown
            new = self._shares[id] = member.share
        if old != new:
            self._online += new[0] - old[0]
            self._connectors += new[1] - old[1]
            self._faulted += new[2] - old[2]

    def _count(self, session: types.Session) -> None:
        if session.ended_at and session.ended_at >= to_rfc3339(self._midnight):
            self._today[session.id] = session.energy_wh
            self._where[session.id] = session.station_id

    async def refresh(
        self, stations: Collection[str], sessions: Collection[str]
    ) -> tuple[list[types.Station], list[str], list[types.Session]]:
        """Read these again. Returns the stations as they are now, those that are gone, the sessions that changed."""
        visible = await self._queries.visible()
        await self._queries.fleet.fresh()
        there: list[types.Station] = []
        gone: list[str] = []
        for id in stations:
            member = self._queries.fleet.known(id) if visible is None or id in visible else None
            if member is not None:
                there.append(member.shown)
            elif id in self.stations:
                gone.append(id)
            self._put(id, member)
        # Whose station was put elsewhere may show it no longer, or again.
        touched = {*sessions, *(one.id for one in self.sessions.values() if one.station_id in gone)}
        found = {one.id: one for one in await self._queries.some_sessions(touched)} if touched else {}
        for id in touched - found.keys():
            self.sessions.pop(id, None)
        return there, gone, [one for one in found.values() if self._take(one)]

    def _take(self, session: types.Session) -> bool:
        known = self.sessions.get(session.id)
        if session.status == "active":
            self.sessions[session.id] = session
            return known != session
        self._count(session)
        self.sessions.pop(session.id, None)
        return known is not None

    def power(self, news: PowerNow) -> tuple[types.Station | None, types.Session | None]:
        """Take in a present power; returns what it changed."""
        changed = None
        if news.station in self.stations:
            self._queries.fleet.hear()
            member = self._queries.fleet.known(news.station)
            if member is not None and member.shown is not self.stations[news.station]:
                changed = member.shown
                self._put(news.station, member)
        session = self.sessions.get(news.session_id)
        if session is not None:
            session.power_w = news.power_w
            session.energy_wh = max(session.energy_wh, news.energy_wh)
            if news.soc is not None:
                session.soc_percent = news.soc / 10
            session.updated_at = to_rfc3339(news.time)
        return changed, session

    def energy_today(self) -> dict[str, int]:
        """Station → Wh delivered since midnight."""
        energy: dict[str, int] = {}
        for session_id, wh in self._today.items():
            station = self._where[session_id]
            energy[station] = energy.get(station, 0) + max(0, wh - self._before.get(session_id, 0))
        for one in self.sessions.values():
            wh = max(0, one.energy_wh - self._before.get(one.id, 0))
            energy[one.station_id] = energy.get(one.station_id, 0) + wh
        return energy

    def totals(self) -> types.Totals:
        """Sums of all that is shown."""
        sessions = self.sessions.values()
        alarms = open_alarms(self._context, self._queries.principal)
        running = sum(max(0, one.energy_wh - self._before.get(one.id, 0)) for one in sessions)
        return types.Totals(
            time=to_rfc3339(self._now()),
            stations=len(self.stations),
            stations_online=self._online,
            connectors=self._connectors,
            connectors_faulted=self._faulted,
            charging_now=sum(1 for one in sessions if one.power_w > 0),
            sessions_active=len(self.sessions),
            power_w=sum(one.power_w for one in sessions),
            energy_today_wh=running + sum(max(0, wh - self._before.get(id, 0)) for id, wh in self._today.items()),
            sessions_today=len(self.sessions) + len(self._today),
            alarms_open=alarms.total(),
            alarms_critical=alarms["critical"],
        )

    def overview(self) -> types.Overview:
        """Everything, laid out."""
        return types.Overview(
            totals=self.totals(),
            stations=sorted(self.stations.values(), key=lambda one: one.id),
            sessions=sorted(self.sessions.values(), key=lambda one: one.started_at, reverse=True),
            events=[one.line() for one in self.news],
        )


def _known_before(context: ApiContext, tenant: str, midnight: int) -> dict[str, int]:
    """Session → Wh before this midnight, as far as any picture of the tenant has read it."""
    days: dict[tuple[str, int], dict[str, int]] = context.parts.setdefault(Picture, {})
    found: Any = days.get((tenant, midnight))
    if found is None:
        for old in [key for key in days if key[1] != midnight][:-_DAYS]:
            del days[old]
        found = days[tenant, midnight] = {}
    return found
