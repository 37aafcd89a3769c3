"""`make soak`: the counts that are too large for every test run. Prints what it did; exit status 1 on any fault.

python -m tests.soak [--only sqlite,postgres,sessions,messages,schedules,cabinet,certificates,rollout,
                             watched-certificates,watched-rollout,exi,conversations,allocation,site-faults,site-day]
                     [--kills 100] [--sessions 10000] [--sets 1000000] [--faults 100000] [--stations 1000]
                     [--exi 2000] [--spoilt 20000] [--trees 1000000] [--first 0] [--failures 10000] [--evses 200]
                     [--seed 1]
"""

from __future__ import annotations

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from tests.durability.killing import Result, kill_again_and_again
from tests.durability.postgres import postgres
from tests.soak.allocation import allocation
from tests.soak.cabinet import cabinet
from tests.soak.schedules import schedules
from tests.soak.site_faults import site_faults

ROOT = Path(__file__).resolve().parents[2]


def report(store: str, result: Result) -> bool:
    print(
        f"{store}: {result.kills} kills, {result.answered:,} messages answered ({result.resent:,} sent again), "
        f"{result.sessions:,} sessions, {result.samples:,} meter values, {len(result.faults)} faults"
    )
    for fault in result.faults[:20]:
        print(f"  {fault}")
    return not result.faults


def sqlite(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="pilotwire-soak-") as folder:
        return report("SQLite", asyncio.run(kill_again_and_again(Path(folder), kills=options.kills, seed=options.seed)))


def over_postgres(options: argparse.Namespace) -> bool:
    with tempfile.TemporaryDirectory(prefix="pilotwire-soak-") as folder, postgres() as url:
        work = kill_again_and_again(Path(folder), "--database", url, kills=options.kills, seed=options.seed)
        return report("PostgreSQL", asyncio.run(work))


def sessions(options: argparse.Namespace) -> bool:
    from tests.simulation.world import World

    done = energy = kills = cuts = 0
    days = 0.0
    weather: dict[str, int] = {}
    faults: list[str] = []
    seed = options.seed
    while done < options.sessions:
        # Many seeds instead of one long one: each has stations with other oddities.
        run = World(seed, sessions=min(2500, options.sessions - done), stations=24).run()
        done, energy, days = done + run.sessions, energy + run.energy_wh, days + run.days
        kills, cuts = kills + run.kills, cuts + run.power_cuts
        weather = {key: weather.get(key, 0) + run.weather.get(key, 0) for key in weather | run.weather}
        faults += [f"seed {seed}: {fault}" for fault in run.faults]
        print(
            f"  seed {seed}: {run.sessions} sessions, {run.messages:,} messages, {len(run.faults)} faults", flush=True
        )
        seed += 1
    troubles = ", ".join(f"{count:,} {what}" for what, count in sorted(weather.items()))
    print(
        f"simulation: {done:,} sessions, {energy / 1000:,.3f} kWh, {days:.0f} days of 24 stations, {kills} kills of the"
    )
    print(f"  central system, {cuts} power cuts, {troubles}: {len(faults)} faults")
    for fault in faults[:20]:
        print(f"  {fault}")
    return not faults


def messages(options: argparse.Namespace) -> bool:
    environment = os.environ | {"PILOTWIRE_EXAMPLES": "200"}
    command = [sys.executable, "-m", "pytest", "-q", "tests/protocols/ocpp/messages"]
    return subprocess.run(command, cwd=ROOT, env=environment, check=False).returncode == 0


def certificates(options: argparse.Namespace) -> bool:
    from tests.simulation.rollover import Rollover

    run = Rollover(options.stations, seed=options.seed).run()
    ends = ", ".join(f"{count:,} {how}" for how, count in sorted(run.enrollments.items()))
    troubles = ", ".join(f"{count:,} {what}" for what, count in sorted(run.weather.items()))
    print(
        f"certificates: {run.renewed:,} of {run.stations:,} stations rolled over in {run.hours:.1f} h, each charging:"
    )
    print(
        f"  {run.sessions:,} sessions, {run.energy_wh / 1000:,.3f} kWh; requests: {ends}; {run.events} security events;"
    )
    print(f"  {troubles}: {len(run.faults)} faults")
    for fault in run.faults[:20]:
        print(f"  {fault}")
    return not run.faults


def rollout(options: argparse.Namespace) -> bool:
    from tests.simulation.firmware_rollout import Rollout

    run = Rollout(options.stations, seed=options.seed).run()
    print(f"rollout: {run.stations:,} stations, {run.bad} of them bad: {run.status} in stage {run.stage} ({run.why})")
    print(
        f"  {run.installed:,} installed, {run.failed} failed, {run.silent} silent, {run.pending:,} never touched; "
        f"{run.fetched:,} files fetched, {run.kills} kills, {run.hours:.1f} h: {len(run.faults)} faults"
    )
    for fault in run.faults[:20]:
        print(f"  {fault}")
    return not run.faults and run.status == "stopped"


def exi(options: argparse.Namespace) -> bool:
    from tests.soak.exi import messages

    return messages(options)


def conversations(options: argparse.Namespace) -> bool:
    from tests.soak.conversations import conversations

    return conversations(options)


def site_day(options: argparse.Namespace) -> bool:
    from tests.simulation.site_day.report import site_day

    return site_day(options.evses)


def watched(kind: str) -> Callable[[argparse.Namespace], bool]:
    """A roll-out over real sockets, watched in the console; its picture is the guides'."""

    def part(options: argparse.Namespace) -> bool:
        from tests.soak.watching import thousand

        run = asyncio.run(thousand(kind, options.stations, options.seed))
        said = ", ".join(f"{count:,} {what}" for what, count in run.counts.items())
        print(f"watched {kind}: {run.stations:,} stations, {run.bad} of them bad: {run.status} in stage {run.stage}")
        print(f"  {run.why or 'nothing went wrong'}; the page said: {said}, in {run.seen} steps over {run.seconds} s")
        energy = f", {run.energy_wh / 1000:,.3f} kWh" if kind == "certificates" else " went on meanwhile"
        print(f"  {run.sessions:,} sessions{energy}, {run.lost} lost: {len(run.faults)} faults")
        for fault in run.faults[:20]:
            print(f"  {fault}")
        return not run.faults and run.status == ("done" if kind == "certificates" else "stopped")

    return part


PARTS: dict[str, Callable[[argparse.Namespace], bool]] = {
    "sqlite": sqlite,
    "postgres": over_postgres,
    "sessions": sessions,
    "messages": messages,
    "schedules": schedules,
    "cabinet": cabinet,
    "certificates": certificates,
    "rollout": rollout,
    "watched-certificates": watched("certificates"),
    "watched-rollout": watched("rollout"),
    "exi": exi,
    "conversations": conversations,
    "allocation": allocation,
    "site-faults": site_faults,
    "site-day": site_day,
}


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--only", default=",".join(PARTS))
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--sessions", type=int, default=10_000)
    parser.add_argument("--sets", type=int, default=1_000_000, help="sets of charging profiles (%(default)s)")
    parser.add_argument("--faults", type=int, default=100_000, help="in the power cabinet (%(default)s)")
    parser.add_argument("--stations", type=int, default=1_000, help="that roll over or are updated (%(default)s)")
    parser.add_argument("--exi", type=int, default=2_000, help="EXI messages against the Java codec (%(default)s)")
    parser.add_argument("--spoilt", type=int, default=20_000, help="V2G sessions gone wrong (%(default)s)")
    parser.add_argument("--trees", type=int, default=1_000_000, help="random sites to share out (%(default)s)")
    parser.add_argument("--first", type=int, default=0, help="go on after so many of them (%(default)s)")
    parser.add_argument(
        "--failures", type=int, default=10_000, help="failures of each component of a site (%(default)s)"
    )
    parser.add_argument("--evses", type=int, default=200, help="of the simulated day of a site (%(default)s)")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    good = True
    for name in options.only.split(","):
        begun = time.perf_counter()
        print(f"… {name}", file=sys.stderr, flush=True)
        good &= PARTS[name](options)
        print(f"  ({time.perf_counter() - begun:.0f} s)", flush=True)
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
