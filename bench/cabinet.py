"""What a power cabinet of 60 modules and 4 outputs costs, driven by the plant that is simulated for its tests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, NamedTuple

from tests.station.power.cabinet_world import World

from pilotwire.station.power.stage import CabinetConfig


class Cost(NamedTuple):
    """CPU, µs."""

    tick: float
    """Each time it wakes: a control step of 50 ms, allocation when it is due, polls of the drivers."""
    frame: float
    """One frame of a module taken in."""
    second: float
    """A second of the cabinet, everything of ours together."""
    plant: float
    """A second of the simulated hardware, for comparison."""


def cabinet(seconds: int) -> Cost:
    """Four vehicles at 500 A each, on four buses of 15 modules."""
    world = World(count=15, outputs=4, config=CabinetConfig(rise_ma_s=200_000))
    world.run(4_000)
    for output, mv in enumerate((400_000, 800_000, 350_000, 920_000), 1):
        world.charge(output, mv, 500_000)
    world.run(8_000)
    spent = {"frame": 0.0, "tick": 0.0, "command": 0.0}
    counts = dict.fromkeys(spent, 0)

    def timed(name: str, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any) -> Any:
            begun = time.process_time()
            result = call(*arguments)
            spent[name] += time.process_time() - begun
            counts[name] += 1
            return result

        return wrapped

    inner: Any = world.cabinet
    inner.receive = timed("frame", inner.receive)
    inner.elapse = timed("tick", inner.elapse)
    inner.command = timed("command", inner.command)
    begun = time.process_time()
    world.run(seconds * 1_000)
    whole = time.process_time() - begun
    ours = sum(spent.values())
    return Cost(
        spent["tick"] / counts["tick"] * 1e6,
        spent["frame"] / counts["frame"] * 1e6,
        ours / seconds * 1e6,
        (whole - ours) / seconds * 1e6,
    )
