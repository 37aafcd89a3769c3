"""A simulated cabinet that runs by itself, below the outlets of a simulated station.

    cabinet = SimCabinet(scheduler, {"infy": 4, "huawei": 4}, outputs=2)
    outlet = Outlet(scheduler, command, flow=cabinet.flow(1))
    cabinet.serve(1, outlet, limit_mv=450_000, want_ma=200_000, battery=lambda: Battery(380_000))

What the outlet is set to becomes the output's demand; what really flows comes back through `flow`; what the cabinet
can give becomes the outlet's offer. The plant moves in steps of 10 ms while anything is asked for, else of 100 ms.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pilotwire.core.evse_link import Offer
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.power_modules import DRIVERS, EMULATORS, Family, ModuleEmulator
from pilotwire.station.outlet import Flow, Outlet

from .cabinet import Cabinet
from .circuit import Battery
from .messages import Demand, Halt, OutputFault, OutputMeasured, OutputOffer, Release
from .plant import STEP_MS, Plant
from .stage import CabinetConfig, UnitPlan
from .supply import for_link
from .unit import UnitId

_IDLE_MS = 100
PRECHARGE_MA = 2_000
"""What may flow before the vehicle's contactors are closed (ISO 17409)."""


class _Served:
    """One outlet that an output serves."""

    def __init__(
        self, outlet: Outlet, limit_mv: int, want_ma: int, battery: Callable[[], Battery | None], priority: int
    ) -> None:
        self.outlet = outlet
        self.limit_mv = limit_mv
        self.want_ma = want_ma
        self.battery = battery
        self.priority = priority


class SimCabinet:
    """See the module's docstring. `modules`: how many of each family; each can be joined to each output."""

    def __init__(
        self,
        scheduler: Scheduler,
        modules: Mapping[Family, int],
        outputs: int,
        *,
        cable_ma: int = 500_000,
        config: CabinetConfig = CabinetConfig(),  # noqa: B008 - frozen
    ) -> None:
        numbers = range(1, outputs + 1)
        reach = frozenset(numbers)
        emulators: dict[str, list[ModuleEmulator]] = {}
        plans: list[UnitPlan] = []
        for family, count in modules.items():
            emulators[family] = [EMULATORS[family](address) for address in range(1, count + 1)]
            rating = emulators[family][0].rating
            plans += [
                UnitPlan(bus=family, address=m.address, reach=reach, max_ma=rating.max_ma, max_mw=rating.max_mw)
                for m in emulators[family]
            ]
        where = {UnitId(plan.bus, plan.address): reach for plan in plans}
        self.plant = Plant(emulators, where, numbers)
        drivers = {family: DRIVERS[family](range(1, count + 1)) for family, count in modules.items()}
        self.cabinet = Cabinet(drivers, plans, dict.fromkeys(numbers, cable_ma), config)
        self.told: Callable[[Any], None] = lambda event: None
        """Hears every event of the cabinet."""
        self._scheduler = scheduler
        self._served: dict[int, _Served] = {}
        self._asked: dict[int, tuple[int, int]] = {}
        self._timer: Timer | None = scheduler.call_later(0, self._step)

    def flow(self, output: int) -> Callable[[int, int], Flow]:
        """What really is at an output, for `Outlet`."""
        outlet = self.plant.outlets[output]
        return lambda mv, ma: Flow(outlet.mv, outlet.ma, outlet.mv * outlet.ma // 1000)

    def serve(
        self,
        output: int,
        outlet: Outlet,
        *,
        limit_mv: int,
        want_ma: int,
        battery: Callable[[], Battery | None],
        priority: int = 0,
    ) -> None:
        """A vehicle is at an outlet. `battery`: how it is now; it is connected while the outlet's contactor is."""
        self._served[output] = _Served(outlet, limit_mv, want_ma, battery, priority)
        outlet.changed = lambda: self._changed(output)
        monitor = self.plant.outlets[output].monitor
        monitor.reset()
        monitor.set_limits(*self.cabinet.limits(output, limit_mv))
        self._tell(Release(output))

    def leave(self, output: int) -> None:
        """The vehicle has gone."""
        self._served.pop(output, None)
        self._asked.pop(output, None)
        self.plant.outlets[output].battery = None
        self.plant.outlets[output].monitor.stop()
        self._tell(Halt(output, reason="the vehicle has gone"))

    def stop(self) -> None:
        """The simulation is over."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _changed(self, output: int) -> None:
        served = self._served.get(output)
        if served is None:
            return
        outlet = served.outlet
        there = self.plant.outlets[output]
        there.battery = served.battery() if outlet.closed else None
        if outlet.mv > 0 and not there.monitor.running:
            there.monitor.start()
        # Before the contactor is closed no current is asked for, but a voltage is.
        asked = (outlet.mv, outlet.ma if outlet.closed else PRECHARGE_MA if outlet.mv else 0)
        if asked == self._asked.get(output):
            return
        self._asked[output] = asked
        if not asked[0]:
            self._tell(Halt(output, reason="the outlet is set to nothing"))
            return
        self._tell(
            Demand(
                output=output,
                mv=asked[0],
                ma=asked[1],
                want_ma=served.want_ma,
                limit_mv=served.limit_mv,
                priority=served.priority,
            )
        )

    def _step(self) -> None:
        now = int(self._scheduler.now())
        for output, served in self._served.items():
            if served.outlet.closed:
                self.plant.outlets[output].battery = served.battery()
        for heard in self.plant.step(now):
            effects = self.cabinet.receive(heard, now) if type(heard) is tuple else self.cabinet.command(heard, now)
            self._carry_out(effects, now)
        if (self.cabinet.deadline or 0) <= now:
            self._carry_out(self.cabinet.elapse(now), now)
        busy = any(outlet.mv or outlet.ma for outlet in self.plant.outlets.values()) or bool(self._served)
        self._timer = self._scheduler.call_later(STEP_MS if busy else _IDLE_MS, self._step)

    def _tell(self, command: Any) -> None:
        now = int(self._scheduler.now())
        self._carry_out(self.cabinet.command(command, now), now)

    def _carry_out(self, effects: Any, now: int) -> None:
        for event in self.plant.carry_out(effects, now):
            served = self._served.get(getattr(event, "output", 0))
            if served is not None:
                if type(event) is OutputOffer:
                    offer = for_link(event)
                    assert isinstance(offer, Offer)
                    served.outlet.offering(offer)
                elif type(event) is OutputMeasured:
                    served.outlet.report()
                elif type(event) is OutputFault:
                    served.outlet.offering(Offer(max_mv=0, max_ma=0, max_mw=0))
            self.told(event)
