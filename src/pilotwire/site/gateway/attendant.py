"""What a central system asks of a charger beside charging: to set its plug free, and to begin anew.

Both wait for the current to end. No lock is opened under current, and some chargers refuse it while they are enabled. A
charger that is stuck and goes on is restarted all the same: that is what a reset is for.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from pilotwire.site.ports import Attended, EvseDriver, EvseStatus, Told

__all__ = ["Attendant"]

_IDLE_MS = 15_000
"""So long the end of the current is waited for: less than a central system waits for an answer."""


class _Waiting(NamedTuple):
    until_ms: int
    act: Callable[[Callable[[Told], None]], None]
    words: str
    done: Callable[[bool], None] | None
    """Who wants to know whether it came about; None: nobody, and it is done at `until_ms` in any case."""


class Attendant:
    """Of one outlet. `told` hears in words what did not come about; `fixed_cable`: there is nothing to unlock."""

    def __init__(self, driver: EvseDriver, fixed_cable: bool, told: Callable[[str], None]) -> None:
        able = driver if isinstance(driver, Attended) else None
        self.unlocks = able is not None and able.unlocks and not fixed_cable
        self.restarts = able is not None and able.restarts
        self._able = able
        self._told = told
        self._now = 0
        self._waiting: list[_Waiting] = []

    def unlock(self, done: Callable[[bool], None]) -> None:
        """Set the plug free; `done` says, once, whether that has come about."""
        assert self._able is not None, "it cannot"
        self._waiting.append(_Waiting(self._now + _IDLE_MS, self._able.unlock, "unlocked", done))

    def restart(self) -> None:
        """Restart the charger."""
        assert self._able is not None, "it cannot"
        self._waiting.append(_Waiting(self._now + _IDLE_MS, self._able.restart, "restarted", None))

    def look(self, status: EvseStatus, flows: bool, now: int) -> None:
        """At each look at the charger. `flows`: energy goes into the car; `now`: UTC, ms."""
        self._now = now
        idle = status.online and not status.offered and not flows
        due = [each for each in self._waiting if idle or now >= each.until_ms]
        self._waiting = [each for each in self._waiting if each not in due]
        for each in due:
            if idle or each.done is None:
                each.act(partial(self._over, each))
            else:
                why = "it still gives current" if status.online else "the charger does not answer"
                self._over(each, Told(False, why))

    def _over(self, waiting: _Waiting, told: Told) -> None:
        if not told.ok:
            self._told(f"it was not {waiting.words}: {told.error}")
        if waiting.done is not None:
            waiting.done(told.ok)
