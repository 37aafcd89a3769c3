"""Whole sessions over a network, our vehicle at our station and PyPI `iso15118`'s vehicle at its own, in the same run.

    python -m bench.v2g_peer [--rounds 3]

Two processes in two network namespaces, found by SDP; plain TCP, external payment, ISO 15118-2 DC, a short charge.
Counted are the CPU time of both processes with all their children (theirs have a Java machine each, its codec warm) and
their resident memory after the last session. Needs root, as the tests over namespaces do.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import psutil
from tests.interop.v2g.recorded import warmers
from tests.netns import Talker, cable

OURS, THEIRS = "tests/transport/v2g/ends.py", "tests/interop/v2g/peer.py"
PEER = str(Path(sys.prefix) / "iso15118" / "bin" / "python")


class Measured(NamedTuple):
    """A session: s of CPU of both ends, s from beginning to end. MB of both ends, and s until they were ready."""

    cpu_s: float
    wall_s: float
    rss_mb: float
    ready_s: float


def _family(end: Talker) -> list[psutil.Process]:
    process = psutil.Process(end._process.pid)
    return [process, *process.children(recursive=True)]


def _cpu(*ends: Talker) -> float:
    return sum(sum(one.cpu_times()[:2]) for end in ends for one in _family(end))


def _rss(*ends: Talker) -> float:
    return sum(one.memory_info().rss for end in ends for one in _family(end)) / 1e6


def _run(rounds: int, station: Talker, vehicle: Talker, orders: tuple[Any, Any], begun: float) -> Measured:
    for end in (station, vehicle):
        end.until(lambda said: "ready" in said, 180)
    ready = time.monotonic() - begun
    spent: list[tuple[float, float]] = []
    for _ in range(rounds):
        station.say(orders[0])
        station.until(lambda said: "listens" in said)
        cpu, wall = _cpu(station, vehicle), time.monotonic()
        vehicle.say(orders[1])
        done = vehicle.until(lambda said: "done" in said, 100)
        if done["done"] is not True and "dialect" not in done:
            raise RuntimeError(f"the session failed: {done}\n{vehicle.account()}")
        spent.append((_cpu(station, vehicle) - cpu, time.monotonic() - wall))
    return Measured(median(cpu for cpu, _ in spent), median(wall for _, wall in spent), _rss(station, vehicle), ready)


def ours(rounds: int) -> Measured:
    begun = time.monotonic()
    config = {"dialects": ["iso2"], "services": ["DC"]}
    with (
        cable() as (evse, ev),
        evse.python(OURS, "station", evse.interface) as station,
        ev.python(OURS, "vehicle", ev.interface) as vehicle,
    ):
        return _run(rounds, station, vehicle, ({"config": config}, {"config": config}), begun)


def theirs(rounds: int) -> Measured:
    with tempfile.TemporaryDirectory() as folder:
        warm = Path(folder) / "warm.json"
        warm.write_text(json.dumps(warmers([("iso2", "DC")], times=3)))
        begun = time.monotonic()
        config = {
            "supportedProtocols": ["ISO_15118_2"], "supportedEnergyServices": ["DC"], "useTls": False,
            "energyTransferMode": "DC_extended", "isCertInstallNeeded": False, "chargeLoopCycle": 5,
            "sdpRetryCycles": 1,
        }  # fmt: skip
        with (
            cable() as (evse, ev),
            evse.python(THEIRS, evse.interface, str(warm), python=PEER) as station,
            ev.python(THEIRS, ev.interface, str(warm), python=PEER) as vehicle,
        ):
            orders = {"be": "secc", "protocols": ["ISO_15118_2"], "auth": ["EIM"]}, {"be": "evcc", "config": config}
            return _run(rounds, station, vehicle, orders, begun)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m bench.v2g_peer", description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    chosen = parser.parse_args()
    for name, measured in (("ours", ours(chosen.rounds)), ("PyPI iso15118", theirs(chosen.rounds))):
        print(
            f"{name}: a session {measured.cpu_s * 1000:.0f} ms of CPU (both ends), {measured.wall_s:.1f} s; "
            f"{measured.rss_mb:.0f} MB resident (both ends); ready after {measured.ready_s:.1f} s"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
