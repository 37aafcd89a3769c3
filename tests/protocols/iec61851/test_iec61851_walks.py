"""Random walks with real time between the steps and a contactor that takes 80 ms: energy is off when it has to be.

100 ms after the vehicle last showed C        at most 100 ms after a fault or an emergency stop
6 s after the oscillation stopped             never above the offer, never with a duty cycle changed twice in 5 s
"""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from tests.protocols.iec61851.pilot_world import PilotWorld

from pilotwire.core import evse_link as link
from pilotwire.protocols.iec61851.duty import current
from pilotwire.protocols.iec61851.evse import PilotEvse, PilotEvseConfig
from pilotwire.protocols.iec61851.levels import LOADS, PilotLoad

SHOWN = [*(LOADS[state] for state in "ABBCCCCE"), PilotLoad(LOADS["C"].ohm, diode=False), PilotLoad(1_900)]
COMMANDS: list[Any] = [
    *[link.Authorize(accepted=True)] * 3,
    *[link.Offer(max_ma=ma, phases=phases) for ma in (0, 7_000, 16_000, 32_000) for phases in (1, 3, 3)],
    link.Pause(),
    *[link.Resume()] * 3,
    link.Stop(),
    link.Stop(emergency=True),
    link.Fault(code="MREC2GroundFailure", by="evse"),
]
WAITS = (5, 20, 60, 150, 1_000, 4_000, 12_000, 40_000)


class Watched(PilotWorld):
    """Looks at every millisecond that matters: at each step, and shortly behind it."""

    def __init__(self, config: PilotEvseConfig) -> None:
        self.off_since: int | None = 0
        super().__init__(PilotEvse(config))
        self.contactor_ms = 80

    def ready(self) -> bool:
        """Without oscillation nobody can tell that a diode is missing."""
        return (self.load == LOADS["C"] and self.level.drive == "pwm") or (
            self.load.ohm == LOADS["C"].ohm and self.level.drive == "steady"
        )

    def _sample(self) -> None:
        super()._sample()
        if not self.ready():
            self.off_since = self.now if self.off_since is None else self.off_since
        else:
            self.off_since = None

    def check(self) -> None:
        if self.closed and self.off_since is not None:
            assert self.now - self.off_since <= 100, self.said[-6:]
        if self.closed and self.level.drive == "steady":
            at = next(t for t, level in reversed(self.levels) if level.drive == "steady")
            assert self.now - at <= 6_100, "6 s, and the time that the contactor takes"


@pytest.mark.parametrize("seed", range(60))
def test_a_walk(seed: int):
    chance = Random(seed)
    world = Watched(PilotEvseConfig(cable_ma=32_000, lock=chance.random() < 0.3))
    offered = [(0, link.Offer().max_ma)]
    for _ in range(60):
        if chance.random() < 0.5:
            world.show(chance.choice(SHOWN))
        else:
            command = chance.choice(COMMANDS)
            if isinstance(command, link.Offer):
                offered.append((world.now, command.max_ma))
            world.evse.command(command)
        for _ in range(chance.randint(1, 3)):
            for ms in (chance.choice(WAITS), 101):
                world.run(ms)
                world.check()
    pulses = [(at, level) for at, level in world.levels if level.drive == "pwm"]
    for at, level in pulses:
        assert current(level.duty) <= next(ma for since, ma in reversed(offered) if since <= at)
    for (first, a), (second, b) in zip(world.levels, world.levels[1:], strict=False):
        if a.drive == b.drive == "pwm":
            assert second - first >= 5_000
        if (a.drive, b.drive) == ("negative", "steady"):
            assert second - first >= 300


def test_the_walks_go_somewhere():
    """They close the contactor, are cut, and see every state."""
    closed, seen, drives, faults = 0, set[Any](), set[str](), set[str]()
    for seed in range(20):
        chance = Random(seed)
        world = Watched(PilotEvseConfig(cable_ma=32_000, auto=True))
        for _ in range(40):
            world.show(chance.choice(SHOWN))
            world.evse.command(chance.choice(COMMANDS))
            world.run(chance.choice(WAITS))
            closed += world.closed
            seen.add(world.machine.seen)
            drives.add(world.level.drive)
        faults |= {fault.text for fault in world.events(link.Fault)}
    assert closed > 20 and seen >= {"A", "B", "C", "E"} and drives >= {"pwm", "steady", "negative"}
    assert {"the vehicle's diode is missing", "the pilot is shorted"} <= faults
