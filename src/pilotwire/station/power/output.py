"""One output as the cabinet sees it: what is asked, what is measured, how far it is turned up."""

from __future__ import annotations

from typing import Literal

from .limits import FALL_MA_S, current_tolerance, voltage_tolerance
from .messages import Demand
from .timers import ERROR_VOLTAGE, EXCESS, METER, PLAUSIBLE

Phase = Literal["idle", "active", "stopping", "emergency", "blocked"]
"""Nothing asked; delivering; being turned off in order; at once; off after a fault, until it has been looked at."""


class Output:
    """See the module's docstring."""

    def __init__(self, number: int, *, max_ma: int) -> None:
        self.number = number
        self.max_ma = max_ma
        """Of the cable."""
        self.demand: Demand | None = None
        self.phase: Phase = "idle"
        self.since = 0
        self.reason = ""
        self.fault = False
        self.over_voltage = False
        """The fault is of voltage: contactors are not to wait for a current that no one measures."""
        self.ramp_ma = 0
        self.stop_ma = 0
        """What flowed when it was told to stop."""
        self.trim_ma = 0
        """Taken off because more is measured than was asked for."""
        self.ceiling_ma = 0
        """What may be measured: falls no faster than modules must."""
        self.fallen_at = 0
        self.mv = 0
        self.ma = 0
        self.measured_at = 0
        self.told_at = 0
        self.opened = False
        """Its switches have been told to open under load."""
        self.excess_since: int | None = None
        self.voltage_since: int | None = None
        self.apart_since: int | None = None
        self.hidden_since: int | None = None
        self.quiet_since: int | None = None
        self.offered: tuple[int, int, int] | None = None
        self.reduced = ""
        """Why the offer will be less."""
        self.busy_until = 0

    def enter(self, phase: Phase, now: int, reason: str = "") -> None:
        """A new phase."""
        self.phase = phase
        self.since = now
        self.opened = False
        self.stop_ma = self.ma
        if reason:
            self.reason = reason
        if phase != "active":
            self.ramp_ma = 0
            self.trim_ma = 0
            self.excess_since = self.voltage_since = self.apart_since = self.hidden_since = None

    def raise_to(self, goal: int, rise: int, passed: int, now: int) -> None:
        """Down at once, up slowly; and the ceiling of what may be measured after it."""
        if goal < self.ramp_ma:
            self.ramp_ma = goal
            self.fallen_at = now
        else:
            self.ramp_ma = min(goal, self.ramp_ma + rise * passed // 1000)
        if self.ramp_ma >= self.ceiling_ma:
            self.ceiling_ma = self.ramp_ma
        elif now - self.fallen_at > EXCESS.ms // 2:
            self.ceiling_ma = max(self.ramp_ma, self.ceiling_ma - FALL_MA_S * passed // 1000)

    def trouble(self, now: int, module_mv: int | None) -> tuple[str, str] | None:
        """(code, text) of what is measured and must not be; None: all is well. `module_mv`: as its modules say."""
        demand = self.demand
        assert demand is not None
        if now - max(self.measured_at, self.since) > METER.ms:
            return "", f"nothing measured for {now - self.measured_at} ms"
        most = self.ceiling_ma + current_tolerance(self.ceiling_ma)
        self.excess_since = (self.excess_since or now) if self.ma > most else None
        if self.excess_since is not None and now - self.excess_since >= EXCESS.ms:
            return "OverCurrentFailure", f"{self.ma} mA measured, no more than {most} mA wanted"
        # A battery may be above what its vehicle asks for; then nothing flows.
        high = demand.mv + voltage_tolerance()
        self.voltage_since = (self.voltage_since or now) if self.mv > high and self.ma > 1_000 else None
        if self.voltage_since is not None and now - self.voltage_since >= ERROR_VOLTAGE.ms:
            return "OverVoltage", f"{self.mv} mV measured, {demand.mv} mV wanted"
        apart = module_mv is not None and abs(module_mv - self.mv) > 50_000
        self.apart_since = (self.apart_since or now) if apart else None
        if self.apart_since is not None and now - self.apart_since >= PLAUSIBLE.ms:
            return "", f"modules say {module_mv} mV, the meter {self.mv} mV, for 30 s"
        return None

    def trim(self, now: int, passed: int) -> None:
        """More is measured than is asked for: less is set, until it fits; slowly back."""
        if now - self.fallen_at < 300:
            return
        over = self.ma - self.ramp_ma
        if over > 500 + self.ramp_ma // 100:
            self.trim_ma = min(self.ramp_ma, self.trim_ma + over * passed // 500 + 1)
        elif self.trim_ma and over < -current_tolerance(self.ramp_ma) // 2:
            self.trim_ma = max(0, self.trim_ma - 2 * passed)
