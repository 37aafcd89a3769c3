"""One module as the cabinet sees it: where it is joined, what it was told, what it may be delivering at most."""

from __future__ import annotations

from typing import Literal, NamedTuple

from pilotwire.protocols.power_modules import Alarm

from .allocation import Candidate
from .limits import SAFE_MV, current_tolerance
from .timers import STALE

State = Literal["free", "closing", "joined", "leaving", "opening", "stuck"]
"""Of its switch in the matrix: open; told to close; closed; closed, the module going off; told to open; welded."""


class UnitId(NamedTuple):
    """A module: its bus and its address there."""

    bus: str
    address: int

    def __str__(self) -> str:
        return f"{self.bus}:{self.address}"


_HEARD_MS = 1_500
_SEEN_AFTER_MS = 60
"""A reading shows the effect of a command when it comes so much later: two frames and the module's own time."""


class Unit:
    """See the module's docstring. Currents in mA; a bound is never below what the module can be delivering."""

    def __init__(self, id: UnitId, reach: frozenset[int], *, max_ma: int, max_mw: int, min_ma: int = 0) -> None:
        self.id = id
        self.reach = reach
        self.max_ma = max_ma
        self.max_mw = max_mw
        self.min_ma = min_ma
        self.min_mv = 0
        self.max_mv = 1_000_000
        self.present = False
        self.running: bool | None = None
        self.temperature: int | None = None
        self.alarms: tuple[Alarm, ...] = ()
        self.read_mv = 0
        self.read_ma = 0
        self.read_at = -STALE.ms
        self.state: State = "free"
        self.output: int | None = None
        self.since = 0
        """In this state since."""
        self.sent_mv = 0
        self.sent_ma = 0
        self.sent_on = False
        self.sent_at = 0
        self.on_since: int | None = None
        self.obeyed = False
        """It has answered the last order to turn on or off."""
        self.off_at = 0
        """When it was told to be off, the last time that it was on."""
        self.unseen_ma = 0
        """A higher limit than the last, which it may still keep to: no reading has shown otherwise."""
        self.excess_since: int | None = None
        self.zero_since: int | None = None
        self.agreed_since: int | None = None
        """Since when the meter sees no more than what the others say that they deliver."""
        self.matched_since: int | None = None
        """The same while it says itself that nothing flows."""
        self.live_since: int | None = None
        """Since when there is voltage at an output that is off, while its switch does not open."""
        self.out = ""
        """Why it is out of service; empty: it serves."""
        self.out_until: int | None = None
        """Then it is tried again; None: when someone has looked at it."""
        self.told_at: int | None = None
        """Since when its output has been told that it will lose it."""
        self.why = ""

    def enter(self, state: State, now: int) -> None:
        """A new state of its switch."""
        self.state = state
        self.since = now
        if state == "free":
            self.output = None
            self.told_at = None

    @property
    def stopped(self) -> str:
        """The alarm that keeps it from delivering, in words; empty: none does."""
        return ", ".join(alarm.word for alarm in self.alarms if alarm.stops)

    def fresh(self, now: int) -> bool:
        """It has spoken within the last second."""
        return self.present and now - self.read_at <= STALE.ms

    def usable(self, now: int) -> bool:
        """It can be given current to deliver."""
        return self.fresh(now) and not self.out and not self.stopped and self.state != "stuck"

    @property
    def bound(self) -> int:
        """The most that it can be delivering, for all we know."""
        return max(self.sent_ma if self.sent_on else 0, self.unseen_ma)

    def surely_off(self, now: int) -> bool:
        """It has answered that it is off, or has been told so often that it must have heard."""
        return not self.sent_on and self.running is not True and (self.obeyed or now - self.off_at >= _HEARD_MS)

    def dark(self, now: int) -> bool:
        """It is off, and what it has said since it was disconnected shows no voltage at its terminals either."""
        return self.surely_off(now) and self.read_at > self.since and self.read_ma <= 500 and self.read_mv <= SAFE_MV

    def sent(self, mv: int, ma: int, on: bool, now: int) -> None:
        """It has been told so; what was higher before counts until a reading shows otherwise."""
        if self.bound > (ma if on else 0):
            self.unseen_ma = self.bound
        if on != self.sent_on:
            self.obeyed = False
            self.off_at = now
        self.sent_mv, self.sent_ma, self.sent_on, self.sent_at = mv, ma, on, now

    def read(self, mv: int, ma: int, now: int) -> None:
        """It has said what it delivers."""
        self.read_mv, self.read_ma, self.read_at = mv, ma, now
        limit = self.sent_ma if self.sent_on else 0
        if now - self.sent_at > _SEEN_AFTER_MS and ma <= limit + (current_tolerance(limit) if limit else 500):
            self.unseen_ma = 0
            self.excess_since = None
        elif ma > limit + current_tolerance(limit):
            self.excess_since = self.excess_since or now
        else:
            self.excess_since = None
        if ma > 500:
            self.zero_since = None
        elif self.zero_since is None:
            self.zero_since = now

    def candidate(self, now: int, *, factor: int, hold_ms: int) -> Candidate:
        """For `allocation`. `factor`: what altitude leaves of it, per mille."""
        factor = factor * self._heat_factor() // 1000
        place = self.output if self.state in ("closing", "joined") and self.told_at is None else None
        return Candidate(
            self.id,
            self.reach if self.state in ("free", "joined", "closing") else frozenset(),
            place,
            self.max_ma * factor // 1000,
            self.max_mw * factor // 1000,
            self.min_mv,
            self.max_mv,
            self.usable(now) and (self.state != "free" or self.surely_off(now) or now - self.since < 1_000),
            now - self.since >= hold_ms,
        )

    def most_ma(self, mv: int, factor: int) -> int:
        """What it can give at a voltage, derated."""
        if mv > self.max_mv or mv <= 0:
            return 0
        factor = factor * self._heat_factor() // 1000
        return min(self.max_ma, self.max_mw * 1000 // max(mv, self.min_mv, 1)) * factor // 1000

    def _heat_factor(self) -> int:
        """Spared before it must protect itself: from 70 °C on less, at 85 °C nothing."""
        heat = self.temperature
        if heat is None or heat <= 700:
            return 1000
        return max(0, (850 - heat) * 1000 // 150)
