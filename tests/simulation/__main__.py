"""`python -m tests.simulation --seed N [--sessions N]`: run, or replay, one seed."""

from __future__ import annotations

import argparse
import sys
import time

import msgspec

from .world import World


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--sessions", type=int, default=500)
    parser.add_argument("--stations", type=int, default=24)
    parser.add_argument("--trouble", type=float, default=1.0, help="how bad the weather is (%(default)s)")
    options = parser.parse_args()
    begun = time.perf_counter()
    world = World(options.seed, sessions=options.sessions, stations=options.stations, trouble=options.trouble)
    report = world.run()
    print(msgspec.json.format(msgspec.json.encode(report)).decode())
    print(f"{report.days:.1f} simulated days in {time.perf_counter() - begun:.1f} s", file=sys.stderr)
    return 1 if report.faults else 0


if __name__ == "__main__":
    sys.exit(main())
