"""Dynamic charging profiles whose rates a station is to ask for again and again (2.1 K28)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.time import Timer
from pilotwire.domain.schedules.model import EV_SCHEDULE, EXTERNAL
from pilotwire.translate import schedules as wire

if TYPE_CHECKING:
    from .program import Station
    from .smart_charging import SmartCharging


class DynamicRates:
    """One timer, for the first profile whose time comes."""

    __slots__ = ("_asked", "_smart", "_station", "_timer")

    def __init__(self, station: Station, smart: SmartCharging) -> None:
        self._station = station
        self._smart = smart
        self._asked: dict[int, int] = {}
        """Profile → when its update was asked for last."""
        self._timer: Timer | None = None

    def clear(self) -> None:
        """Nothing of an earlier run is left."""
        self._asked.clear()

    def replaced(self, profile_id: int) -> None:
        """That profile was set anew."""
        self._asked.pop(profile_id, None)

    def stop(self) -> None:
        """Wait no longer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def rearm(self) -> None:
        """Wait for the first dynamic profile that is to be updated."""
        self.stop()
        station = self._station
        due = [max(at, self._asked.get(each, at - interval) + interval) for at, each, interval in self._due()]
        if due and station.powered:
            wait = station.clock.true(min(due)) - int(station.scheduler.now())
            self._timer = station.scheduler.call_later(max(0, wait), self._pull)

    def _due(self) -> list[tuple[int, int, int]]:
        rows: list[tuple[int, int, int]] = []
        for at, each in self._smart.store.due():
            profile = self._smart.store.get(each)
            if profile is not None and profile.purpose not in (EXTERNAL, EV_SCHEDULE):
                rows.append((at, each, profile.update_interval_ms))
        return rows

    def _pull(self) -> None:
        """Ask the CSMS for the rates of those whose time has come (K28.FR.10)."""
        self._timer = None
        station = self._station
        m = station.messages
        now = station.clock.now()
        for at, each, interval in self._due():
            if max(at, self._asked.get(each, at - interval) + interval) <= now:
                self._asked[each] = now
                station.conversation.call(
                    "PullDynamicScheduleUpdate",
                    m.PullDynamicScheduleUpdateRequest(charging_profile_id=each),
                    lambda response, error, id_=each: self._pulled(id_, response),
                )
        self.rearm()
        station.finish()

    def _pulled(self, profile_id: int, response: Any) -> None:
        if response is not None and response.status == "Accepted" and response.schedule_update is not None:
            self._smart.update(profile_id, wire.rates(response.schedule_update))
