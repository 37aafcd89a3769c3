"""From a meter's answer to the last set-point at 100 chargers: `pilotwire site run` as a process, with all its parts.

50 Modbus chargers of several products and 50 OCPP stations stand in another process (`site_loop_plant`), which steps
the building's load and measures; a third, `pilotwire csms --lab`, is the central system behind the box. The site is
pinned to one core, everybody else to the other.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any, NamedTuple

import psutil

from .harness import ENVIRONMENT, ROOT, _pin, cpu_seconds, rss, wait_for_port
from .plant_lines import answer, tell
from .ports import free_port
from .site_loop_plant import CAR_MA, FUSE_MA, HIGH_MA, SPARE_MA


class Found(NamedTuple):
    """Of all steps. Milliseconds."""

    lower: tuple[int, ...]
    """Sorted: until the last charger was told less."""
    higher: tuple[int, ...]
    modbus: tuple[int, ...]
    """Sorted, both directions: until the last of the Modbus chargers."""
    ocpp: tuple[int, ...]
    missed: int
    """Chargers that heard nothing of a step, all steps together."""
    held: int
    """Chargers that a raise left out, since their last change was not over; all steps together."""
    idle_permille: int
    """CPU of the site's process between the steps, of one core."""
    stepping_permille: int
    bytes: int


def share(found: tuple[int, ...], of: float) -> int:
    """A quantile of sorted figures: the lowest that so many are not above."""
    return found[min(len(found) - 1, int(len(found) * of))]


def site_text(plant: dict[str, Any], stations: int, ocpp: int, upstream: str) -> str:
    """The configuration of a site of that plant: three nodes, fuse at the connection."""
    chargers: list[tuple[str, int, int]] = plant["chargers"]
    count = len(chargers) + stations
    rows = [
        (f"modbus-{at}", f"file: {file}, endpoint: 'tcp://127.0.0.1:{port}', unit: {unit}")
        for at, (file, port, unit) in enumerate(chargers, 1)
    ]
    rows += [(f"ocpp-{at}", f"ocpp: ocpp-{at}") for at in range(1, stations + 1)]
    evses = "".join(
        f"  - {{id: {name}, node: {('west', 'east')[at % 2]}, rotation: {('RST', 'STR', 'TRS')[at % 3]}, "
        f"maximum_a: {CAR_MA // 1_000}, charger: {{{reached}}}}}\n"
        for at, (name, reached) in enumerate(rows)
    )
    known = "".join(f"    - {{identity: ocpp-{at}, security_profile: 0}}\n" for at in range(1, stations + 1))
    fuse, side = (FUSE_MA * count + SPARE_MA) / 1_000, HIGH_MA * count / 1_000
    return (
        "site: {id: bench}\n"
        f"nodes:\n  - {{id: grid, kind: connection, meter: main, side_lost_a: {side:g}, "
        f"limits: [{{source: fuse, current_a: {fuse:g}}}]}}\n"
        "  - {id: west, kind: feeder, parent: grid}\n  - {id: east, kind: feeder, parent: grid}\n"
        f"devices: [{{id: main, kind: meter, file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:{plant['meter']}'}}]\n"
        f"ocpp:\n  listen: 127.0.0.1:{ocpp}\n  upstreams: [{{name: csms, url: '{upstream}'}}]\n  stations:\n{known}"
        f"evses:\n{evses}"
    )


def measure(modbus: int, stations: int, steps: int, idle_s: float) -> Found:
    """Raises RuntimeError where a process ends or nobody charges."""
    environment = ENVIRONMENT | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
    csms, http, ocpp = free_port(), free_port(), free_port()
    begun: list[subprocess.Popen[str]] = []

    def start(core: int, *command: str, out: Any = subprocess.DEVNULL) -> subprocess.Popen[str]:
        made = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=environment, text=True, stdin=subprocess.PIPE,
            stdout=out, stderr=subprocess.DEVNULL if out is subprocess.DEVNULL else None, preexec_fn=lambda: _pin(core),
        )  # fmt: skip
        begun.append(made)
        return made

    with tempfile.TemporaryDirectory(prefix="pilotwire-bench-") as name:
        folder = Path(name)
        try:
            upstream = start(
                1, "pilotwire", "csms", "--lab", "--no-inventory", "--data", str(folder / "csms"),
                "--ocpp", f"127.0.0.1:{csms}", "--http", f"127.0.0.1:{http}",
            )  # fmt: skip
            wait_for_port(csms, 60, upstream)  # type: ignore[arg-type]
            plant = start(
                1, "bench.site_loop_plant", str(modbus), str(stations), f"ws://127.0.0.1:{ocpp}/ocpp",
                out=subprocess.PIPE,
            )  # fmt: skip
            file, said = folder / "site.yaml", folder / "said"
            file.write_text(site_text(answer(plant), stations, ocpp, f"ws://127.0.0.1:{csms}/ocpp"))
            with said.open("w") as out:
                site = start(0, "pilotwire", "site", "run", str(file), "--data", name, "--json", out=out)
            wait_for_port(ocpp, 60, site)  # type: ignore[arg-type]
            tell(plant, "connect")
            answer(plant)
            process = psutil.Process(site.pid)
            idle = _permille(process, lambda: time.sleep(idle_s))
            tell(plant, f"steps {steps}")
            rows: list[dict[str, Any]] = []
            busy = _permille(process, lambda: rows.extend(answer(plant) for _ in range(steps)))
            held = rss(process)
            if os.environ.get("PILOTWIRE_BENCH_ROWS"):
                print(*(json.dumps(row) for row in rows), sep="\n", file=sys.stderr)
        except RuntimeError as error:
            text = (folder / "said").read_text()[-3_000:] if (folder / "said").exists() else ""
            raise RuntimeError(f"{error}; the site says: {text}") from error
        finally:
            for each in reversed(begun):
                each.terminate()
            for each in begun:
                each.wait(60)
        if keep := os.environ.get("PILOTWIRE_BENCH_KEEP"):
            Path(keep).write_text(said.read_text())
    return Found(
        lower=tuple(sorted(row["ms"] for row in rows[::2])),
        higher=tuple(sorted(row["ms"] for row in rows[1::2])),
        modbus=tuple(sorted(row["modbus_ms"] for row in rows)),
        ocpp=tuple(sorted(row["ocpp_ms"] for row in rows)),
        missed=sum(len(row["late"]) for row in rows),
        held=sum(row["held"] for row in rows),
        idle_permille=idle,
        stepping_permille=busy,
        bytes=held,
    )


def _permille(process: psutil.Process, work: Any) -> int:
    begun, before = time.monotonic(), cpu_seconds(process)
    work()
    return round(1_000 * (cpu_seconds(process) - before) / (time.monotonic() - begun))


if __name__ == "__main__":
    given = [int(each) for each in sys.argv[1:]]
    print(measure(*(given + [50, 50, 50, 20][len(given) :])))
