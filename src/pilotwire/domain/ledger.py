"""Energy, use and uptime per station, EVSE and local day: a ledger that sessions and status facts are booked in. Pure.

What is booked where:

- *Energy* of a session goes to the days between two looks at it, by their share of the time; the parts add up to what
  the session's record says, also when that is corrected later. A session *counts* on the day on which it ended.
- *Occupied* is the time between the beginning and the end of sessions.
- *Charging* is the time in which the station said that it charges (1.6: connector status Charging; 2.x: chargingState
  Charging).
- *Watched* is the time in which somebody looked: from the first status of an EVSE on.
- *Outage* is the watched time in which an EVSE could not be used: its station without a connection, the EVSE or the
  whole station Faulted or Unavailable. *Offline* is the part of it without a connection.
- *Excluded* is the part of an outage within times that somebody excluded with a reason (maintenance, no power from the
  grid, vandalism …), however many of these overlap.

Uptime is (watched − (outage − excluded)) / watched, as 23 CFR 680.116(b) has it (the 97 % of NEVI); availability is the
same without exclusions. Days are those of the zone in which the station stands.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import msgspec

from . import facts
from .facts import Fact
from .outages import Cause, Outage, Window, overlap
from .periods import Days
from .records import Session, Station

ENERGY, SESSIONS, DURATION, OCCUPIED, CHARGING, WATCHED, OUTAGE, EXCLUDED, OFFLINE = range(9)
COLUMNS: Final = 9
"""Wh, number, then times in ms."""

DOWN: Final[Mapping[str, Cause]] = {"Faulted": "faulted", "Unavailable": "unavailable"}
"""Statuses of what cannot be used, and the outage they make."""
SHORTEST_OUTAGE_MS: Final = 60_000
"""Shorter ones count, but are not listed one by one."""
RECENT_MS: Final = 900_000
"""A session that told something so recently occupies its EVSE still."""
KEEP_ENDED_MS: Final = 3 * 86_400_000
"""How long a session is remembered after its end, so that what comes late is booked as a correction."""

Sums = list[int]


def zeros() -> Sums:
    """Nothing, in every column."""
    return [0] * COLUMNS


def percent(part: int, whole: int) -> float | None:
    """Rounded to hundredths; None of nothing."""
    return round(max(0, min(part, whole)) * 100 / whole, 2) if whole > 0 else None


def shares(total: int, weights: Sequence[int]) -> list[int]:
    """`total` in parts by weight that add up to it exactly; all in the last where there is no weight."""
    whole = sum(weights)
    if whole <= 0:
        return [0] * (len(weights) - 1) + [total] if weights else []
    parts: list[int] = []
    running = given = 0
    for weight in weights:
        running += weight
        part = total * running // whole - given
        given += part
        parts.append(part)
    return parts


def up(sums: Sums) -> int:
    """ms of the watched time that count as up."""
    return sums[WATCHED] - max(0, sums[OUTAGE] - sums[EXCLUDED])


class Booked(msgspec.Struct, array_like=True):
    """How much of a session is in the ledger already."""

    station: str
    evse: int
    until: int
    """Its time up to here has been booked."""
    wh: int = 0
    ended_at: int = 0
    duration: int = 0
    """The duration that was booked with its end, ms; 0 while it runs."""


class Evse(msgspec.Struct, array_like=True):
    """What is known of an EVSE."""

    at: int
    """Its time up to here has been booked, ms."""
    statuses: dict[int, str] = {}
    """Connector → status."""
    session: str = ""
    charging: bool = False
    down_since: int = 0
    cause: Cause | Literal[""] = ""
    detail: str = ""


class Track(msgspec.Struct, array_like=True):
    """What is known of a station."""

    connected: bool = False
    whole: str = ""
    """Status of the whole station (1.6 connector 0)."""
    evses: dict[int, Evse] = {}
    first: int = 0
    """When it was first heard of, ms."""


class Row(NamedTuple):
    """A line of the ledger."""

    station: str
    evse: int
    day: str


class Ledger:
    """The books of one tenant."""

    def __init__(self, days_of: Callable[[str], Days], site_of: Callable[[str], str]) -> None:
        """`days_of(station)`: the days of the zone in which it stands."""
        self.days_of, self.site_of = days_of, site_of
        self.tracks: dict[str, Track] = {}
        self.booked: dict[str, Booked] = {}
        self.pending: dict[Row, Sums] = {}
        """What has been booked since somebody last took it away to keep it."""
        self.outages: list[Outage] = []
        """Those that have ended since then."""
        self.changed: set[str] = set()
        """Stations whose track or sessions are to be kept again."""
        self.windows: list[Window] = []

    def row(self, station: str, evse: int, day: str) -> Sums:
        """What is pending of an EVSE's day, to be added to."""
        row = self.pending.get(key := Row(station, evse, day))
        if row is None:
            row = self.pending[key] = zeros()
        return row

    # -- what is seen -------------------------------------------------------------------------------------------------
    def meet(self, record: Station, at: int) -> None:
        """A station as it stands when watching begins."""
        track = self._track(record.id, at)
        track.connected = record.connected
        for one in record.connectors:
            if one.evse == 0:
                track.whole = one.status
            else:
                evse = self._evse(track, one.evse, at)
                evse.statuses[one.connector] = one.status
                evse.charging = one.status == "Charging"
        self._judge(record.id, track, at)

    def fact(self, at: int, station: str, fact: Fact) -> str:
        """A fact that arrived at `at`. Returns the session whose record is to be booked, "" for none."""
        kind = type(fact)
        if kind is facts.SessionUpdated:
            assert isinstance(fact, facts.SessionUpdated)
            if fact.charging_state:
                self._charging(station, fact.session_id, fact.charging_state == "Charging", at)
            return fact.session_id
        if kind not in _SEEN:
            return ""
        track = self._track(station, at)
        self.accrue(station, at)
        match fact:
            case facts.StationConnected():
                track.connected = True
            case facts.StationDisconnected():
                track.connected = False
            case facts.ConnectorStatusChanged():
                self._status(track, fact, at)
            case facts.SessionStarted():
                evse = self._evse(track, fact.evse, at)
                evse.session = fact.session_id
                evse.charging = fact.charging_state == "Charging" or "Charging" in evse.statuses.values()
                return fact.session_id
            case facts.SessionEnded():
                for evse in track.evses.values():
                    if evse.session == fact.session_id:
                        evse.session, evse.charging = "", False
                return fact.session_id
            case _:
                pass
        self._judge(station, track, at)
        return ""

    def accrue(self, station: str, at: int) -> None:
        """Book the time up to `at` for every EVSE of a station."""
        track = self.tracks.get(station)
        if track is None:
            return
        days: Days | None = None
        for number, evse in track.evses.items():
            if at <= evse.at:
                continue
            if days is None:
                days = self.days_of(station)
            for day, ms in days.split(evse.at, at):
                row = self.row(station, number, day)
                row[WATCHED] += ms
                if evse.down_since:
                    row[OUTAGE] += ms
                    if not track.connected:
                        row[OFFLINE] += ms
                elif evse.charging:
                    row[CHARGING] += ms
            evse.at = at
            self.changed.add(station)

    def accrue_all(self, at: int) -> None:
        """The same for every station."""
        for station in self.tracks:
            self.accrue(station, at)

    def _track(self, station: str, at: int) -> Track:
        track = self.tracks.get(station)
        if track is None:
            track = self.tracks[station] = Track(first=at)
        self.changed.add(station)
        return track

    def _evse(self, track: Track, number: int, at: int) -> Evse:
        evse = track.evses.get(number)
        if evse is None:
            evse = track.evses[number] = Evse(at)
        return evse

    def _status(self, track: Track, fact: facts.ConnectorStatusChanged, at: int) -> None:
        track.connected = True  # whoever tells a status has a connection
        if fact.evse == 0:
            track.whole = fact.status
            return
        evse = self._evse(track, fact.evse, at)
        evse.statuses[fact.connector] = fact.status
        if fact.error_code not in ("", "NoError") and fact.status in DOWN:
            evse.detail = fact.error_code
        if fact.status == "Charging":
            evse.charging = True
        elif fact.status != "Occupied":  # 2.x says Occupied throughout; its chargingState tells more
            evse.charging = False

    def _charging(self, station: str, session: str, charging: bool, at: int) -> None:
        track = self.tracks.get(station)
        if track is None:
            return
        for evse in track.evses.values():
            if evse.session == session and evse.charging is not charging:
                self.accrue(station, at)
                evse.charging = charging
                self.changed.add(station)

    def _judge(self, station: str, track: Track, at: int) -> None:
        """Whether each EVSE can be used now; an outage begins or ends."""
        for number, evse in track.evses.items():
            cause: Cause | None = None
            if not track.connected:
                cause = "offline"
            elif track.whole in DOWN:
                cause = DOWN[track.whole]
            elif evse.statuses and all(status in DOWN for status in evse.statuses.values()):
                cause = "faulted" if "Faulted" in evse.statuses.values() else "unavailable"
            if cause and not evse.down_since:
                evse.down_since, evse.cause = at, cause
            elif not cause and evse.down_since:
                self._over(station, number, evse, at)

    def _over(self, station: str, number: int, evse: Evse, at: int) -> None:
        outage = self._outage(station, number, evse, at)
        evse.down_since, evse.cause, evse.detail = 0, "", ""
        excluded = self.excluded(outage, self.windows)
        for day, ms in excluded.items():
            self.row(station, number, day)[EXCLUDED] += ms
        if at - outage.began >= SHORTEST_OUTAGE_MS:
            excluded_ms = sum(excluded.values())
            self.outages.append(msgspec.structs.replace(outage, excluded=excluded_ms, excluded_by=excluded))

    def _outage(self, station: str, number: int, evse: Evse, ended: int = 0) -> Outage:
        return Outage(
            station=station,
            evse=number,
            site=self.site_of(station),
            cause=evse.cause or "offline",
            detail=evse.detail,
            began=evse.down_since,
            ended=ended,
        )

    def excluded(self, outage: Outage, windows: Iterable[Window]) -> dict[str, int]:
        """How much of an outage (ms, by day) lies in windows that concern it."""
        concerned = [one for one in windows if one.concerns(outage.station, outage.site)]
        days, made = self.days_of(outage.station), dict[str, int]()
        for begin, end in overlap(outage.began, outage.ended, concerned):
            for day, ms in days.split(begin, end):
                made[day] = made.get(day, 0) + ms
        return made

    def lasting(self) -> list[Outage]:
        """Outages that have not ended."""
        return [
            self._outage(station, number, evse)
            for station, track in self.tracks.items()
            for number, evse in track.evses.items()
            if evse.down_since
        ]

    # -- sessions -----------------------------------------------------------------------------------------------------
    def book(self, session: Session, now: int, *, remember: bool = True) -> None:
        """Bring the ledger up to what a session's record says now."""
        done = self.booked.get(session.id)
        if done is None:
            done = Booked(session.station_id, session.evse, session.started_at)
        station, evse = session.station_id, session.evse
        end = session.ended_at if session.status == "ended" and session.ended_at is not None else 0
        told = session.updated_at or now
        seen = now if now - told < RECENT_MS else min(now, told)  # it goes on between two messages
        until = max(end, session.started_at) if end else max(done.until, seen)
        wh = session.energy_wh - done.wh
        days = self.days_of(station)
        if until > done.until:
            parts = days.split(done.until, until)
            for (day, ms), part in zip(parts, shares(wh, [ms for _, ms in parts]), strict=True):
                row = self.row(station, evse, day)
                row[OCCUPIED] += ms
                row[ENERGY] += part
        else:
            if wh:
                self.row(station, evse, days.day(until))[ENERGY] += wh
            for day, ms in days.split(until, done.until):  # it ended earlier than was thought
                self.row(station, evse, day)[OCCUPIED] -= ms
        if end:
            self._ended(session, done, end, days)
        done.until, done.wh, done.evse = until, session.energy_wh, evse
        if remember:
            self.booked[session.id] = done
            self.changed.add(station)

    def _ended(self, session: Session, done: Booked, end: int, days: Days) -> None:
        duration = max(0, end - session.started_at)
        if done.ended_at:
            before = self.row(session.station_id, session.evse, days.day(done.ended_at))
            before[SESSIONS] -= 1
            before[DURATION] -= done.duration
        row = self.row(session.station_id, session.evse, days.day(end))
        row[SESSIONS] += 1
        row[DURATION] += duration
        done.ended_at, done.duration = end, duration

    def forget(self, now: int) -> None:
        """Let go of sessions that ended long ago."""
        for name in [name for name, one in self.booked.items() if one.ended_at and now - one.ended_at > KEEP_ENDED_MS]:
            self.changed.add(self.booked.pop(name).station)


_SEEN: Final = frozenset(
    (
        facts.StationConnected,
        facts.StationDisconnected,
        facts.ConnectorStatusChanged,
        facts.SessionStarted,
        facts.SessionEnded,
    )
)
