"""Failures of each component of a site by the ten thousand, and the fail-safe checker beside what really happens.

On every core. Sites that the checker refuses are shown to be above the limit that it names, in the fault that it
names; those that it accepts are never above one for too long, whatever fails. Beside them the directed scenes, each of
which only one rule keeps green.
"""

from __future__ import annotations

import argparse
import os
import time
from collections import Counter
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.simulation.site_faults.directed import SCENES, Directed
from tests.simulation.site_faults.world import COMPONENTS, World, box_switched_off
from tests.simulation.site_faults.worlds import configuration

from pilotwire.site.compiled import overloads

FAULTS = 100
"""In each world; a fifth of them of each component."""
CHECKED = 5
"""Of so many sites one is also switched off in the worst way."""


class Part(NamedTuple):
    seed: int
    accepted: bool
    injected: Counter[str]
    kinds: Counter[str]
    seconds: int
    worst: float
    """The longest time above a limit, of what is allowed."""
    agreed: int | None
    """Whether the checker and the simulation say the same; None: not tried."""
    played: int
    """Directed scenes."""
    faults: list[str]


def run_part(seed: int) -> Part:
    config, accepted = configuration(seed)
    faults: list[str] = []
    agreed: int | None = None
    if seed % CHECKED == 0:
        _, found = box_switched_off(seed)
        said = {(each.node, "imbalance" if " " in each.what else each.what) for each in overloads(config)}
        agreed = int(found == said)
        if not agreed:
            faults.append(f"seed {seed}: the checker says {sorted(said)}, the simulation {sorted(found)}")
    played = 0
    if seed % CHECKED == 1:
        for name, scene in SCENES.items():
            faults += [f"{name}: {fault}" for fault in Directed(scene, seed).played().faults]
            played += 1
    if not accepted:
        return Part(seed, False, Counter(), Counter(), 0, 0.0, agreed, played, faults)
    world = World(seed)
    begun = int(world.time.now())
    world.run(FAULTS)
    seconds = (int(world.time.now()) - begun) // 1_000
    return Part(
        seed,
        True,
        world.injected,
        world.kinds,
        seconds,
        world.worst_ms / world.bound_ms,
        agreed,
        played,
        faults + world.faults,
    )


def site_faults(options: argparse.Namespace) -> bool:
    """`--failures` of each component, from `--seed` on."""
    begun = time.monotonic()
    injected: Counter[str] = Counter()
    kinds: Counter[str] = Counter()
    faults: list[str] = []
    accepted = refused = checked = agreed = played = seconds = 0
    worst = 0.0
    seed = options.seed * 1_000_000
    batch = 20
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        while min(injected[each] for each in COMPONENTS) < options.failures:
            for part in pool.map(run_part, range(seed, seed + batch)):
                injected += part.injected
                kinds += part.kinds
                accepted, refused = accepted + part.accepted, refused + (not part.accepted)
                checked, agreed = checked + (part.agreed is not None), agreed + (part.agreed or 0)
                played += part.played
                seconds, worst = seconds + part.seconds, max(worst, part.worst)
                faults += part.faults
                for fault in part.faults[:3]:
                    print(f"  {fault}", flush=True)
            seed += batch
            least = min(injected[each] for each in COMPONENTS)
            print(f"  {least:,} of each component in {accepted:,} sites, {len(faults)} faults", flush=True)
    print(
        f"site-faults: {', '.join(f'{injected[each]:,} of {each}' for each in COMPONENTS)}; {accepted:,} sites for "
        f"{seconds / 3600:,.0f} h in all: {len(faults)} faults; the longest time above a limit was {worst:.0%} of a "
        f"watchdog and a car's reaction ({time.monotonic() - begun:.0f} s)"
    )
    print(f"  {', '.join(f'{count:,} {kind}' for kind, count in sorted(kinds.items()))}")
    print(
        f"  the checker refused {refused:,}; of {checked:,} sites that were switched off it was right about {agreed:,}"
    )
    print(f"  {played:,} directed scenes")
    for fault in faults[:20]:
        print(f"  {fault}")
    return not faults and agreed == checked
