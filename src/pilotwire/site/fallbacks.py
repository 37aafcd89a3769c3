"""Fail-safes of loads while the site runs: set and read back whenever a load comes, as `telling` does it for chargers.

A load that does not take it is told again each half a minute, and a mark says so as long as that lasts: it may keep
what it was told last when nobody speaks to it.
"""

from __future__ import annotations

from pilotwire.domain.seen import Mark

from .decide import Decision
from .inputs import TickInputs
from .loop import Loop
from .ports import Fallible, Told
from .telling import FAILSAFE_RETRY_MS


class Fallbacks:
    """A `run.Part`. Loads without `failsafe_kw` have nothing to be set: they count with their maximum."""

    def __init__(self) -> None:
        self._watched: list[_Watched] = []

    async def start(self, loop: Loop) -> None:
        """See `Part`."""
        self.watch(loop)

    def watch(self, loop: Loop) -> None:
        """From the loop's next decision on."""
        for id, load in loop.site.topology.loads.items():
            device = loop.devices.get(id)
            if load.failsafe is not None and load.watchdog_ms is not None and isinstance(device, Fallible):
                self._watched.append(_Watched(loop, device, load.failsafe, load.watchdog_ms))
        loop.watchers.append(self._look)

    async def stop(self) -> None:
        """See `Part`: whatever stands in the loads stays there."""

    def _look(self, inputs: TickInputs, decision: Decision) -> None:
        for each in self._watched:
            each.look(inputs.now.tick_ms)


class _Watched:
    """One load."""

    def __init__(self, loop: Loop, device: Fallible, failsafe: int, watchdog_ms: int) -> None:
        self._loop, self._device = loop, device
        self._failsafe, self._watchdog_ms = failsafe, watchdog_ms
        self._visit = 0
        """Counts how often it has come."""
        self._there = False
        self._stands = False
        self._asked_ms: int | None = None

    def look(self, now: int) -> None:
        """Whoever comes (back) may have been without power: it is set and read back anew."""
        there = self._device.online
        if there and not self._there:
            self._visit += 1
            self._stands, self._asked_ms = False, None
        self._there = there
        if not there or self._stands or (self._asked_ms is not None and now - self._asked_ms < FAILSAFE_RETRY_MS):
            return
        self._asked_ms = now
        visit = self._visit
        self._device.failsafe(self._failsafe, self._watchdog_ms, lambda told: self._told(told, visit))

    def _told(self, told: Told, visit: int) -> None:
        if visit != self._visit:
            return  # it has been away since
        self._stands = told.ok
        id = self._device.id
        if told.ok:
            self._loop.notices.pop(f"fallback {id}", None)
            return
        words = f"its fail-safe has not been read back, so it may keep what it was told last: {told.error}"
        self._loop.notices[f"fallback {id}"] = Mark(id, "unverified", words)
