"""A million random sites: no limit violated on any phase of any node, no step left over, order means nothing.

Every tenth is also run in time, with cars that follow late and come and go, every tenth with limits that are cut and
side loads that jump, and every tenth has a limit raised. Every tenth has everything else too: pools, loads, batteries,
cars that get one phase of three, and EVSEs that nobody hears; every hundredth is a site whose relays are switched for
400 seconds, in which nothing may move under current.
"""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.domain.energy.energy_plant import faults_in_time, faults_when_lowered
from tests.domain.energy.energy_switches import faults_when_switching
from tests.domain.energy.energy_wide import faults_wide
from tests.domain.energy.energy_worlds import faults_of_seed, faults_when_raised

_PART = 1_000
SWITCHED_S = 400


class Part(NamedTuple):
    """What one batch of seeds came to."""

    worlds: int
    seconds: int
    faults: list[str]


def run_part(first: int, count: int) -> Part:
    """Checks the worlds of the seeds from `first` on."""
    faults: list[str] = []
    seconds = 0
    for seed in range(first, first + count):
        found = faults_of_seed(seed)
        if seed % 10 == 0:
            lasted, late = faults_in_time(seed)
            seconds += lasted
            found += late
        if seed % 10 == 1:
            found += faults_when_raised(seed)
        if seed % 10 == 2:
            found += faults_when_lowered(seed)
        if seed % 10 == 3:
            found += faults_wide(seed)
        if seed % 100 == 4:
            found += faults_when_switching(seed, SWITCHED_S)
            seconds += SWITCHED_S
        faults += [f"seed {seed}: {fault}" for fault in found[:3]]
    return Part(count, seconds, faults)


def allocation(options: argparse.Namespace) -> bool:
    """`--trees` worlds of `--seed`, from its `--first` on, on every core."""
    worlds = seconds = 0
    faults: list[str] = []
    first = options.seed * 1_000_000_000 + options.first
    starts = range(first, first + options.trees, _PART)
    sizes = [min(_PART, first + options.trees - start) for start in starts]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for part in pool.map(run_part, starts, sizes):
            worlds, seconds = worlds + part.worlds, seconds + part.seconds
            faults += part.faults
            if worlds % 10_000 == 0:
                print(f"  {worlds:,} trees, {len(faults)} faults", flush=True)
    print(
        f"allocation: {worlds:,} random trees and demands, each in two orders; a tenth of them for {seconds:,} seconds "
        f"in all with cars that follow late, a tenth with limits cut, a tenth with a limit raised, a tenth with pools, "
        f"loads, batteries and lost EVSEs, a hundredth with relays: {len(faults)} faults"
    )
    for fault in faults[:20]:
        print(f"  {fault}")
    return not faults
