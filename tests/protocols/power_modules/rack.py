"""A driver and emulated modules of one family on one bus, in simulated time; every module has its own battery."""

from __future__ import annotations

from typing import Any

from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.power_modules import DRIVERS, EMULATORS, EmulatedBus, Family, ModuleDriver, ModuleEmulator

WIRE_MS = 2


class Rack:
    """`fixed`: addresses 1 to n are known to the driver; else it discovers them."""

    def __init__(self, family: Family, count: int = 3, *, fixed: bool = True, first: int = 1) -> None:
        self.sim = SimScheduler(1_000_000)
        addresses = range(first, first + count)
        options: dict[str, Any] = {} if family != "infy" else {"count": count, "group": 0}
        self.modules: dict[int, ModuleEmulator] = {}
        for address in addresses:
            extra = options if address == first else {}
            self.modules[address] = EMULATORS[family](address, **extra)
        self.driver: ModuleDriver = DRIVERS[family](addresses if fixed else ())
        self.events: list[Any] = []
        self.sent: list[Any] = []
        self.cut = False
        """Nothing passes any more."""
        self.batteries = dict.fromkeys(addresses, 300_000)
        self.bus = EmulatedBus(self.modules.values(), step_ms=10)
        self.charger = Runner(self.driver, self.sim, send=self._to_modules, event=self.events.append)
        self.far = Runner(self.bus, self.sim, send=self._to_charger, event=self.events.append)
        self.charger._rearm()
        self.far._rearm()
        self._settle()

    def run(self, ms: int) -> list[Any]:
        """Lets time go by; what the driver has said meanwhile."""
        del self.events[:]
        self.sim.run_for(ms)
        return list(self.events)

    def of(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def _to_modules(self, frame: Any) -> None:
        self.sent.append((int(self.sim.now()), frame))
        if not self.cut:
            self.sim.call_later(WIRE_MS, lambda: self.far.received(frame))

    def _to_charger(self, frame: Any) -> None:
        if not self.cut:
            self.sim.call_later(WIRE_MS, lambda: self.charger.received(frame))

    def _settle(self) -> None:
        for address, module in self.modules.items():
            stage, battery = module.rectifier, self.batteries[address]
            gives = stage.reference_mv > battery
            stage.settle(max(battery, 0) if gives else stage.reference_mv, stage.limit_ma if gives else 0)
        self.sim.call_later(10, self._settle)
