"""What the EVSE drives, and no sooner than it may: changes of the duty cycle, the way out of X1, E and F."""

from __future__ import annotations

from . import timers
from .levels import X1, PilotLevel


class PilotDriver:
    """Wants become levels. Less is never put off by the times of coming back: +12 V, E and F are set at once."""

    __slots__ = ("_hold_ms", "_since", "_wanted", "level")

    def __init__(self) -> None:
        self.level = X1
        self._wanted = X1
        self._since: int | None = None
        """When the level was set; None: it has always been so."""
        self._hold_ms = 0

    @property
    def deadline(self) -> int | None:
        """When a level that is put off may be set."""
        return None if self._wanted == self.level else self._due(self._wanted)

    @property
    def since(self) -> int:
        """When the level was set; 0: it has always been so."""
        return self._since or 0

    @property
    def oscillates(self) -> bool:
        return self.level.drive == "pwm"

    @property
    def tells(self) -> bool:
        """What is measured now says something of the vehicle."""
        return self.level.drive in ("steady", "pwm")

    def _due(self, wanted: PilotLevel) -> int:
        if self._since is None:
            return 0
        here, there = self.level.drive, wanted.drive
        if here in ("off", "negative") and there != "negative":
            return self._since + self._hold_ms
        if here == "pwm" == there:
            return self._since + timers.CHANGE.ms
        if here == "steady" and there == "pwm":
            return self._since + timers.STEP_X1.ms
        return 0

    def want(self, level: PilotLevel, now: int, hold_ms: int = timers.STATE_F.ms) -> PilotLevel | None:
        """`level` is wanted; `hold_ms`: E and F stay at least so long. Returns the level to set now."""
        self._wanted = level
        if level.drive in ("off", "negative") and level != self.level:
            self._hold_ms = hold_ms
        elif level == self.level and level.drive in ("off", "negative"):
            self._hold_ms = max(self._hold_ms, hold_ms)
        if level == self.level or now < self._due(level):
            return None
        self.level, self._since = level, now
        return level
