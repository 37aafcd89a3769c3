"""The test of an outlet's isolation (cable check, IEC 61851-23:2023, CC.4.1.2), with any `IsolationMonitor`.

    test = IsolationTest(monitor)
    test.start(450_000, now)             # the output is to be brought to this voltage meanwhile
    test.measured(mv, now)               # at the outlet, as often as it is measured
    test.step(now)                       # → None, or how it ended: core.evse_link.Isolation

The voltage first, then the monitor's self test, then its measurement: below 100 kΩ is a fault. No monitor: it is said.
"""

from __future__ import annotations

from typing import Literal

from pilotwire.core.evse_link import Isolation

from .interfaces import IsolationMonitor
from .limits import voltage_tolerance
from .monitors import ISOLATION_FAULT_OHM
from .timers import SELF_TEST


class IsolationTest:
    """See the module's docstring. `reason` says why it failed."""

    def __init__(self, monitor: IsolationMonitor | None) -> None:
        self.monitor = monitor
        self.phase: Literal["idle", "voltage", "self test", "measurement", "over"] = "idle"
        self.reason = ""
        self._wanted_mv = 0
        self._mv = 0
        self._began = 0
        self._passed: bool | None = None
        self._ohm: int | None = None
        if monitor is not None:
            monitor.told = self._told

    def start(self, mv: int, now: int) -> None:
        """Begin, with `mv` wanted at the outlet."""
        self.phase = "voltage"
        self.reason = ""
        self._wanted_mv = mv
        self._began = now
        self._passed = self._ohm = None

    def measured(self, mv: int, now: int) -> None:
        """The voltage at the outlet."""
        self._mv = mv

    def step(self, now: int) -> Isolation | None:
        """Goes on; the result is returned once."""
        if self.phase in ("idle", "over"):
            return None
        if self.monitor is None:
            self.phase = "over"
            return Isolation("no-monitor")
        if now - self._began >= SELF_TEST.ms:
            return self._end(f"no result after {SELF_TEST.ms // 1000} s, waiting for the {self.phase}")
        if self.phase == "voltage" and abs(self._mv - self._wanted_mv) <= voltage_tolerance():
            self.phase = "self test"
            self.monitor.start_self_test(self._wanted_mv)
        elif self.phase == "self test" and self._passed is not None:
            if not self._passed:
                return self._end("the isolation monitor has failed its self test")
            self.phase = "measurement"
            self.monitor.start()
        elif self.phase == "measurement" and self._ohm is not None:
            if self._ohm < ISOLATION_FAULT_OHM:
                return self._end(f"isolation {self._ohm} ohm")
            self.phase = "over"
            return Isolation("valid")
        return None

    def _end(self, reason: str) -> Isolation:
        self.phase = "over"
        self.reason = reason
        if self.monitor is not None:
            self.monitor.stop()
        return Isolation("fault")

    def _told(self, value: int | bool) -> None:
        if isinstance(value, bool):
            self._passed = value
        elif self.phase == "measurement":
            self._ohm = value
