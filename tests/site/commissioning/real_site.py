"""Simulated devices on real sockets whose meter really measures their cars: what a wizard meets, without hardware."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from pilotwire.site.devices.behaviour import ChargerBehaviour, phase_points
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.runtime import SteadyScheduler

CHARGER = "heidelberg-connect"
METER = "eastron-sdm630"
PATIENCE_S = 60


class _Meter:
    """Measures whatever flows."""

    def __init__(self, flows: Callable[[], tuple[int, int, int]]) -> None:
        self._flows = flows
        self._energy = 1_000_000

    def told(self, name: str, value: int, now: int) -> None: ...

    def asked(self, now: int) -> None: ...

    def step(self, now: int) -> dict[str, int | str]:
        self._energy += 1
        volts = [230_000 + (now // 200 * (7 + phase)) % 97 for phase in range(3)]
        found = phase_points([ma * volt // 1_000 for ma, volt in zip(self._flows(), volts, strict=True)], volts)
        return found | {"energy_import_wh": self._energy, "energy_export_wh": 0}


class RealSite:
    """`count` chargers and a meter, each a server of its own. `rotations`: on which phase a car with one is."""

    def __init__(self, rotations: str = "RST") -> None:
        self.rotations = rotations
        self.chargers: list[ChargerBehaviour] = []
        self.simulators: list[Simulator] = []
        self.ports: list[int] = []
        self.meter_port = 0

    async def start(self) -> None:
        for _ in self.rotations:
            simulator = Simulator(SteadyScheduler())
            made = simulator.add(find_device(CHARGER))
            assert isinstance(made, ChargerBehaviour)
            made.car_phases, made.car_ma = 1, 16_000
            made.LAG_MS = 200  # type: ignore[misc]
            self.chargers.append(made)
            self.simulators.append(simulator)
            self.ports.append(await simulator.listen())
        meter = Simulator(SteadyScheduler())
        behaviour = meter.add(find_device(METER))
        inside: Any = next(each for each in meter._insides if each.behaviour is behaviour)
        inside.behaviour = _Meter(self.flows)
        self.simulators.append(meter)
        self.meter_port = await meter.listen()

    def flows(self) -> tuple[int, int, int]:
        total = [1_200, 2_100, 800]
        for charger, start in zip(self.chargers, self.rotations, strict=True):
            total["RST".index(start)] += charger._current
        return total[0], total[1], total[2]

    def heard(self) -> list[tuple[str, int]]:
        """All that any of them has been told."""
        return [(name, value) for each in self.simulators for _, name, value in each.heard]

    async def close(self) -> None:
        for each in self.simulators:
            await each.close()


async def until(wanted: Callable[[], Any], what: str = "") -> Any:
    try:
        async with asyncio.timeout(PATIENCE_S):
            while not (found := wanted()):
                await asyncio.sleep(0.05)
            return found
    except TimeoutError:
        raise AssertionError(f"waited {PATIENCE_S} s for {what}") from None
