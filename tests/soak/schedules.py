"""A million sets of charging profiles: the engine equals the oracle in every second and is above no cap."""

from __future__ import annotations

import argparse
import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

from tests.domain.schedules_check import check_set, check_split
from tests.domain.schedules_worlds import WINDOW_S, Seeded, draw_set

_PART = 2_000


class Part(NamedTuple):
    """What one batch of seeds came to."""

    sets: int
    profiles: int
    faults: list[str]


def run_part(first: int, count: int) -> Part:
    """Check the sets of the seeds from `first` on; every tenth with limits of single phases."""
    profiles = 0
    faults: list[str] = []
    for seed in range(first, first + count):
        split = seed % 10 == 0
        case = draw_set(Seeded(seed), split=split)
        profiles += len(case.profiles)
        try:
            if split:
                check_split(case, f"seed {seed}")
            else:
                check_set(case, f"seed {seed}", step=4)
        except AssertionError as fault:
            faults.append(str(fault)[:300])
    return Part(count, profiles, faults)


def schedules(options: argparse.Namespace) -> bool:
    """`--sets` sets from `--seed` on, on every core."""
    done = profiles = 0
    faults: list[str] = []
    first = options.seed * 1_000_000_000
    starts = range(first, first + options.sets, _PART)
    sizes = [min(_PART, first + options.sets - start) for start in starts]
    with ProcessPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for part in pool.map(run_part, starts, sizes):
            done, profiles = done + part.sets, profiles + part.profiles
            faults += part.faults
            if done % 100_000 == 0:
                print(f"  {done:,} sets, {len(faults)} faults", flush=True)
    print(
        f"schedules: {done:,} sets of {profiles:,} charging profiles, {done * WINDOW_S:,} seconds compared with the "
        f"oracle and with every active cap: {len(faults)} faults"
    )
    for fault in faults[:20]:
        print(f"  {fault}")
    return not faults
