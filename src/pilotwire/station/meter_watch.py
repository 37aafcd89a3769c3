"""1.6, California: the central system says when it wants a reading of a running session (triggerMeterValue)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from pilotwire.core.time import Timer

from .parts import Part

if TYPE_CHECKING:
    from .evse import Evse
    from .program import Station
    from .sessions import Session

_HOUR_MS = 3_600_000
_LEAST_MS = 250


class Wanted(NamedTuple):
    """When to read: by the station's clock (ms), at a register (Wh), where the power passes this (W), in a status."""

    at: int | None = None
    wh: int | None = None
    watts: int | None = None
    statuses: frozenset[str] = frozenset()


class _Seen(NamedTuple):
    """How it stood when it was looked at last."""

    watts: int
    status: str


class MeterWatch(Part):
    """What is asked for at each EVSE. A new wish takes the place of the one before."""

    __slots__ = ("_seen", "_timers", "_wanted")

    def __init__(self, station: Station) -> None:
        super().__init__(station)
        self._wanted: dict[int, Wanted] = {}
        self._seen: dict[int, _Seen] = {}
        self._timers: dict[int, Timer] = {}

    def stop(self) -> None:
        for timer in self._timers.values():
            timer.cancel()
        for known in (self._timers, self._wanted, self._seen):
            known.clear()

    def session_ended(self, session: Session) -> None:
        self._wanted.pop(session.evse, None)
        self._seen.pop(session.evse, None)
        self._cancel(session.evse)

    def ask(self, evse_id: int, wanted: Wanted) -> None:
        """Read when it is time for it."""
        evse = self._station.evse(evse_id)
        self._wanted[evse_id] = wanted
        self._seen[evse_id] = self._now(evse)
        self._plan(evse)

    def look(self, evse: Evse) -> None:
        """The flow at an EVSE has been set, or time has passed."""
        wanted, session = self._wanted.get(evse.id), evse.session
        if wanted is None or session is None or session.ending:
            return
        station = self._station
        evse.settle(int(station.scheduler.now()))
        before, now = self._seen[evse.id], self._now(evse)
        self._seen[evse.id] = now
        due = wanted.watts is not None and (before.watts < wanted.watts) != (now.watts < wanted.watts)
        due = due or (now.status != before.status and now.status in wanted.statuses)
        if wanted.at is not None and wanted.at <= station.clock.now():
            due, wanted = True, wanted._replace(at=None)
        if wanted.wh is not None and wanted.wh <= evse.meter.register_wh:
            due, wanted = True, wanted._replace(wh=None)
        self._wanted[evse.id] = wanted
        if due:
            reading = station.energy.read(evse, "sampled", "Trigger")
            if reading.values:
                station.dialect.sampled(evse, session, reading, "Trigger")
        self._plan(evse)

    def _now(self, evse: Evse) -> _Seen:
        return _Seen(evse.meter.power_mw // 1000, self._station.dialect.status(evse))

    def _plan(self, evse: Evse) -> None:
        self._cancel(evse.id)
        station, wanted = self._station, self._wanted[evse.id]
        waits: list[int] = []
        if wanted.at is not None:
            waits.append(wanted.at - station.clock.now())
        if wanted.wh is not None and evse.meter.power_mw > 0:
            left_mwh = wanted.wh * 1000 - evse.meter.energy_uj // 3_600_000
            waits.append(left_mwh * _HOUR_MS // evse.meter.power_mw + 1)
        if waits:
            wait = min(_HOUR_MS, max(_LEAST_MS, min(waits)))
            self._timers[evse.id] = station.scheduler.call_later(wait, lambda: self._wake(evse))

    def _wake(self, evse: Evse) -> None:
        self._timers.pop(evse.id, None)
        if self._station.powered:
            self.look(evse)
            self._station.finish()

    def _cancel(self, evse_id: int) -> None:
        timer = self._timers.pop(evse_id, None)
        if timer is not None:
            timer.cancel()
