"""A cabinet above a plant, in simulated time: helpers of the tests and of the soak."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pilotwire.protocols.power_modules import DRIVERS, EMULATORS, Family, ModuleDriver, ModuleEmulator
from pilotwire.station.power.cabinet import Cabinet
from pilotwire.station.power.circuit import Battery
from pilotwire.station.power.messages import Demand, OutputFault, OutputOff, OutputOffer
from pilotwire.station.power.plant import STEP_MS, Plant, Wire, clean
from pilotwire.station.power.stage import CabinetConfig, UnitPlan
from pilotwire.station.power.unit import UnitId

FOUR: tuple[Family, ...] = ("infy", "uugreen", "winline", "huawei")


class World:
    """`count` modules of each of `families`; every module can go to every output unless `reach` says otherwise."""

    def __init__(
        self,
        families: Sequence[Family] = FOUR,
        count: int = 2,
        outputs: int = 2,
        *,
        cable_ma: int = 500_000,
        config: CabinetConfig = CabinetConfig(),  # noqa: B008 - frozen
        reach: Mapping[UnitId, frozenset[int]] | None = None,
        wire: Wire = clean,
        bitrate: int = 125_000,
    ) -> None:
        self.now = 1_000_000
        numbers = range(1, outputs + 1)
        everywhere = frozenset(numbers)
        drivers: dict[str, ModuleDriver] = {}
        emulators: dict[str, list[ModuleEmulator]] = {}
        plans: list[UnitPlan] = []
        where: dict[UnitId, frozenset[int]] = {}
        for family in families:
            addresses = range(1, count + 1)
            drivers[family] = DRIVERS[family](addresses)
            emulators[family] = [EMULATORS[family](address) for address in addresses]
            for module in emulators[family]:
                id = UnitId(family, module.address)
                where[id] = (reach or {}).get(id, everywhere)
                rating = module.rating
                plans.append(
                    UnitPlan(
                        bus=family,
                        address=module.address,
                        reach=where[id],
                        max_ma=rating.max_ma,
                        max_mw=rating.max_mw,
                        min_ma=rating.min_ma,
                    )
                )
        self.plant = Plant(emulators, where, numbers, wire=wire, bitrate=bitrate)
        self.cabinet = Cabinet(drivers, plans, dict.fromkeys(numbers, cable_ma), config)
        self.said: list[Any] = []
        self.offers: dict[int, OutputOffer] = {}
        self.off: dict[int, str] = {}
        self.faults: dict[int, OutputFault] = {}

    def step(self) -> None:
        """10 ms."""
        self.now += STEP_MS
        cabinet, now = self.cabinet, self.now
        for heard in self.plant.step(now):
            self.take(cabinet.receive(heard, now) if type(heard) is tuple else cabinet.command(heard, now))
        if (cabinet.deadline or 0) <= now:
            self.take(cabinet.elapse(now))

    def run(self, ms: int) -> list[Any]:
        """What the cabinet has said meanwhile."""
        begun = len(self.said)
        for _ in range(ms // STEP_MS):
            self.step()
        return self.said[begun:]

    def take(self, effects: Sequence[Any]) -> None:
        for event in self.plant.carry_out(effects, self.now):
            self.said.append(event)
            if type(event) is OutputOffer:
                self.offers[event.output] = event
            elif type(event) is OutputOff:
                self.off[event.output] = event.reason
            elif type(event) is OutputFault:
                self.faults[event.output] = event

    def tell(self, command: Any) -> None:
        self.take(self.cabinet.command(command, self.now))

    def charge(
        self, output: int, mv: int = 400_000, ma: int = 100_000, *, want_ma: int | None = None, priority: int = 0
    ) -> None:
        """A vehicle with a battery at `mv` less 20 V, its contactors closed."""
        outlet = self.plant.outlets[output]
        if outlet.battery is None:
            outlet.battery = Battery(mv - 20_000, 30)
            emergency, error = self.cabinet.limits(output, mv + 50_000)
            outlet.monitor.reset()
            outlet.monitor.set_limits(emergency, error)
            outlet.monitor.start()
        self.tell(
            Demand(
                output=output,
                mv=mv,
                ma=ma,
                want_ma=ma if want_ma is None else want_ma,
                limit_mv=mv + 50_000,
                priority=priority,
            )
        )

    def ma(self, output: int) -> int:
        """What really flows."""
        return self.plant.outlets[output].ma
