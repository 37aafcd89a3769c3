"""The physics of one power module, without its protocol: what its output would give, and what happens to it.

Integers, driven by time: `step(now)` moves ramps, heat and derating on, `reference_mv` and `limit_ma` say what the
output regulates to, and the circuit around it answers with `settle(mv, ma)`: what really is at its terminals.
"""

from __future__ import annotations

import msgspec


class Rating(msgspec.Struct, frozen=True, kw_only=True):
    """A name plate. Ramps in mV/s and mA/s."""

    max_mv: int = 1_000_000
    min_mv: int = 150_000
    max_ma: int = 100_000
    min_ma: int = 1_000
    max_mw: int = 30_000_000
    start_ms: int = 800
    """From `on` to the first volt."""
    volts_ramp: int = 1_500_000
    amperes_ramp: int = 200_000
    """Down; up is half of it."""
    derate_from: int = 650
    """Tenths of a degree, from here on it gives less ..."""
    hot: int = 850
    """... and from here on nothing."""


AMBIENT = 250
_MINUTE_MS = 60_000


class Rectifier:
    """One module's power stage."""

    __slots__ = (
        "_last",
        "_started",
        "_store",
        "alive",
        "ambient",
        "fan",
        "fan_broken",
        "faults",
        "held",
        "limit_ma",
        "ma",
        "mv",
        "offset_mv",
        "on",
        "rating",
        "reference_mv",
        "set_ma",
        "set_mv",
        "stuck",
        "temperature",
    )

    def __init__(self, rating: Rating = Rating()) -> None:  # noqa: B008 - frozen
        self.rating = rating
        self.on = False
        self.set_mv = 0
        self.set_ma = 0
        self.reference_mv = 0
        """What it regulates to now; 0: its output is off."""
        self.limit_ma = 0
        self.mv = 0
        self.ma = 0
        self.temperature = AMBIENT
        self.ambient = AMBIENT
        self.fan = 0
        """Per cent."""
        self.fan_broken = False
        self.alive = True
        """It has its input; else it is dark: no output, no word."""
        self.faults: set[str] = set()
        """Words of `messages`: `module fault`, ..."""
        self.stuck = False
        """Its output no longer follows what it is told."""
        self.held = 0
        """The most that it may give in a voltage mode, mV; 0: no such mode."""
        self.offset_mv = 0
        """Regulates wrong by so much."""
        self._started = 0
        self._store = AMBIENT * _MINUTE_MS
        self._last: int | None = None

    @property
    def running(self) -> bool:
        """The output is on, as the module itself says."""
        return self.on and not self.faults and self.alive

    def set(self, *, mv: int | None = None, ma: int | None = None) -> None:
        """What it is told by its protocol; bounded by the name plate."""
        if mv is not None:
            self.set_mv = max(0, min(mv, self.held or self.rating.max_mv, self.rating.max_mv))
        if ma is not None:
            self.set_ma = max(0, min(ma, self.rating.max_ma))

    def switch(self, on: bool, now: int) -> None:
        """On or off, as its protocol says."""
        if on and not self.on:
            self._started = now
        self.on = on

    def cut(self) -> None:
        """Its input is gone (tripped)."""
        self.alive = False
        self.on = False
        self.stuck = False
        self.reference_mv = self.limit_ma = self.mv = self.ma = 0

    def step(self, now: int) -> None:
        """Time has gone by."""
        passed = 0 if self._last is None else now - self._last
        self._last = now
        rating = self.rating
        self._heat(passed)
        if self.stuck and self.alive:
            return
        if not (self.on and self.alive) or self.faults or now - self._started < rating.start_ms:
            self.reference_mv = self.limit_ma = 0
            return
        goal = max(0, self.set_mv + self.offset_mv)
        most = rating.volts_ramp * passed // 1000
        # Regulation starts from what is at the terminals already.
        at = self.reference_mv or min(self.mv, goal)
        self.reference_mv = min(goal, at + most) if goal > at else max(goal, at - most)
        limit = min(self.set_ma, self.capability_ma)
        if limit > self.limit_ma:
            self.limit_ma = min(limit, self.limit_ma + rating.amperes_ramp * passed // 2000)
        else:
            self.limit_ma = max(limit, self.limit_ma - rating.amperes_ramp * passed // 1000)

    @property
    def capability_ma(self) -> int:
        """The most it can give now: by current, by power at this voltage, by temperature."""
        rating = self.rating
        most = min(rating.max_ma, rating.max_mw * 1000 // max(self.mv, self.set_mv, rating.min_mv))
        if self.temperature <= rating.derate_from:
            return most
        return most * max(0, rating.hot - self.temperature) // (rating.hot - rating.derate_from)

    def settle(self, mv: int, ma: int) -> None:
        """What is at its terminals, as the circuit has it."""
        self.mv = mv
        self.ma = ma

    def _heat(self, passed: int) -> None:
        # A thermal time constant of about a minute; a broken fan makes the same loss five times as hot.
        loss = self.mv * self.ma // 1000 // 20
        rise = loss * 300 // max(1, self.rating.max_mw // 20)
        goal = self.ambient + (rise * 5 if self.fan_broken else rise)
        # Kept in parts of a tenth of a degree: steps of 10 ms would be rounded away.
        if self._store // _MINUTE_MS != self.temperature:
            self._store = self.temperature * _MINUTE_MS  # someone has set it
        self._store += (goal - self.temperature) * passed
        self.temperature = self._store // _MINUTE_MS
        self.fan = 0 if self.fan_broken else max(0, min(100, (self.temperature - 250) // 4))
        if self.temperature >= self.rating.hot:
            self.faults.add("over temperature")
        elif self.temperature < self.rating.derate_from:
            self.faults.discard("over temperature")
