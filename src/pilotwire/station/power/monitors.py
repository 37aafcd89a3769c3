"""Monitors and meters of an outlet, simulated: they are shown what is at the outlet, and say what real ones would."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .interfaces import MEASURE_MS, MeterReading, SupplyError
from .timers import EMERGENCY_VOLTAGE, ERROR_VOLTAGE

ISOLATION_FAULT_OHM = 100_000
"""IEC 61851-23:2023, CC.4.1: below this is a fault."""


def _nobody(_: Any) -> None:
    """Nobody listens yet."""


class SimOverVoltageMonitor:
    """Times how long the voltage is above its limits (`interfaces.OverVoltageMonitor`). `see` at every sample."""

    def __init__(self) -> None:
        self.told: Callable[[SupplyError], None] = _nobody
        self.emergency_mv = 550_000
        self.error_mv = 500_000
        self.running = False
        self.tripped = ""
        """`emergency` or `error`, until `reset`."""
        self._emergency_since: int | None = None
        self._error_since: int | None = None

    def set_limits(self, emergency_mv: int, error_mv: int) -> None:
        self.emergency_mv, self.error_mv = emergency_mv, error_mv

    def start(self) -> None:
        self.running = True
        self._emergency_since = self._error_since = None

    def stop(self) -> None:
        self.running = False

    def reset(self) -> None:
        self.stop()
        self.tripped = ""

    def see(self, mv: int, now: int) -> None:
        """The voltage at the outlet at `now`; it is taken to have been so since the last sample."""
        if not self.running or self.tripped == "emergency":
            return
        self._emergency_since = (self._emergency_since or now) if mv > self.emergency_mv else None
        self._error_since = (self._error_since or now) if mv > self.error_mv else None
        if self._emergency_since is not None and now - self._emergency_since > EMERGENCY_VOLTAGE.ms:
            self._trip("emergency", f"{mv} mV is above {self.emergency_mv} mV")
        elif self._error_since is not None and now - self._error_since > ERROR_VOLTAGE.ms and not self.tripped:
            self._trip("error", f"{mv} mV has been above {self.error_mv} mV for {now - self._error_since} ms")

    def _trip(self, severity: str, text: str) -> None:
        self.tripped = severity
        self.told(SupplyError("OverVoltage", f"{severity} shutdown: {text}"))


class SimIsolationMonitor:
    """Measures slowly: the first value `settle_ms` after start, the self test after `test_ms`.

    The cable's capacitance makes it slow, as it makes real ones: `settle_ms` grows with it.
    """

    def __init__(self, *, capacitance_uf: int = 2, test_ms: int = 8_000, works: bool = True) -> None:
        self.told: Callable[[int | bool], None] = _nobody
        self.resistance = 10_000_000
        self.works = works
        self.settle_ms = 1_000 + 1_000 * capacitance_uf
        self.test_ms = test_ms
        self._measure: int | None = None
        self._test: int | None = None
        self._test_mv = 0
        self._started = False

    def start(self) -> None:
        self._started = True
        self._measure = None

    def stop(self) -> None:
        self._started = False
        self._measure = None

    def start_self_test(self, mv: int) -> None:
        self._test_mv = mv
        self._test = -1

    def see(self, mv: int, now: int) -> None:
        """What is at the outlet at `now`."""
        if self._test is not None:
            if self._test < 0:
                self._test = now + self.test_ms
            elif now >= self._test:
                self._test = None
                # It must see the voltage that it was promised, or its own circuit is broken.
                self.told(self.works and abs(mv - self._test_mv) <= max(10_000, self._test_mv // 10))
        if self._started:
            if self._measure is None:
                self._measure = now + self.settle_ms
            elif now >= self._measure:
                self._measure = now + 1_000
                if self.works:
                    self.told(self.resistance)


class SimDcMeter:
    """Counts energy and tells its registers 4 times a second. `lie_ma` and `silent` make it a bad one."""

    def __init__(self, meter_id: str = "") -> None:
        self.told: Callable[[MeterReading], None] = _nobody
        self.meter_id = meter_id
        self.period_ms = MEASURE_MS
        self.silent = False
        self.lie_ma = 0
        self._mv = self._ma = 0
        self._last: int | None = None
        self._due = 0
        self._import_uj = 0

    def see(self, mv: int, ma: int, now: int) -> None:
        """What is at the outlet from `now` on."""
        if self._last is not None:
            self._import_uj += max(0, self._mv * self._ma) * (now - self._last) // 1000
        self._mv, self._ma, self._last = mv, ma, now
        if now >= self._due and not self.silent:
            self._due = now + self.period_ms
            self.told(self.read())

    def read(self) -> MeterReading:
        ma = max(0, self._ma + self.lie_ma)
        return MeterReading(self._mv, ma, self._mv * ma // 1000, self._import_uj // 3_600_000_000)
