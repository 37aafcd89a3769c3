"""A station's own clock: it runs with the world's, shows what it has been told, and may be wrong."""

from __future__ import annotations

from datetime import datetime

from pilotwire.core.time import Scheduler, to_datetime

from .config import Quirks

_TOLERANCE_MS = 1_000


class StationClock:
    """`offset_ms` is what the station shows minus what is true."""

    __slots__ = ("_deaf", "_scheduler", "looking_back", "offset_ms", "synchronized")

    def __init__(self, scheduler: Scheduler, quirks: Quirks) -> None:
        self._scheduler = scheduler
        self._deaf = quirks.clock_offset_ms != 0
        self.synchronized = False
        self.looking_back: int | None = None
        """True time (ms) of what is being told though it happened earlier."""
        self.offset_ms = quirks.clock_offset_ms
        if quirks.clock_at_epoch:
            self.offset_ms = -int(scheduler.now())

    def now(self) -> int:
        """What the station believes, ms since the epoch."""
        true = int(self._scheduler.now()) if self.looking_back is None else self.looking_back
        return true + self.offset_ms

    def wall(self) -> datetime:
        return to_datetime(self.now())

    def true(self, shown: int) -> int:
        """The true time at which the clock will show `shown`."""
        return shown - self.offset_ms

    def set(self, current_time: int) -> bool:
        """The CSMS says that it is `current_time`; True if the clock was moved (it was off by more than a second)."""
        self.synchronized = True
        if self._deaf or abs(current_time - self.now()) <= _TOLERANCE_MS:
            return False
        self.offset_ms = current_time - int(self._scheduler.now())
        return True
