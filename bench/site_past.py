"""What it costs a site to be watched, remembered and recorded, and how long a moment of its past takes."""

from __future__ import annotations

import asyncio
import random
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from pilotwire.core.time import SimScheduler
from pilotwire.site.compiled import compile_site
from pilotwire.site.config import read
from pilotwire.site.decide import Decision
from pilotwire.site.history import History
from pilotwire.site.inputs import TickInputs
from pilotwire.site.log import SiteLog
from pilotwire.site.loop import Loop
from pilotwire.site.past import Record
from pilotwire.site.simulated import SimCharger, SimSite
from pilotwire.site.watch import Watched


class Cost(NamedTuple):
    """Of one site."""

    shown_us: float
    """CPU of a tick for being watched and remembered, nobody looking."""
    look_ms: float
    """CPU of laying one state out, once for all who look."""
    past_ms: float
    """The slowest of the asked moments, child process and all."""
    moments: int
    log_bytes_s: float
    history_bytes_s: float


def measure(evses: int, seconds: int) -> Cost:
    """A site in simulated time whose building changes each ten seconds. Raises RuntimeError where the past differs."""
    with tempfile.TemporaryDirectory(prefix="pilotwire-bench-") as made:
        return _measure(Path(made), evses, seconds)


def _measure(folder: Path, evses: int, seconds: int) -> Cost:
    text = _text(evses)
    config, wrong = read(text)
    if config is None:
        raise RuntimeError(f"{wrong}")
    site, scheduler, draw = compile_site(config), SimScheduler(1_800_000_000_000), random.Random(1)
    tree = site.topology.tree
    chargers = {evse.id: SimCharger(evse, scheduler) for evse in tree.evses}
    plant = SimSite(tree, site.topology, scheduler, chargers)
    meters = [plant.meter(device, node) for node, device in site.meters.items()]
    log, ticks = SiteLog(folder / "log", text, version="bench"), list[tuple[TickInputs, Decision]]()
    loop = Loop(
        site, list(chargers.values()), meters, scheduler, utc=lambda: int(scheduler.now()), record=log,
        on_decision=lambda inputs, decision: ticks.append((inputs, decision)),
    )  # fmt: skip
    log.begin(loop.state)
    for number, charger in enumerate(chargers.values()):
        if number % 5:
            charger.plug(32_000, draw.choice((1, 3)))
    loop.start()
    for _ in range(0, seconds, 10):
        plant.side["grid"] = (draw.randint(0, 20_000), draw.randint(0, 20_000), draw.randint(0, 20_000))
        scheduler.run_for(10_000)
    log.close()
    watched, history = Watched(config), History(site, {"main": "meter"}, {}, folder / "history.db")
    watched.join(history=history, record=Record(folder / "log"))
    begun = time.process_time()
    for inputs, decision in ticks:
        watched.show(loop, inputs, decision)
    shown = time.process_time() - begun
    history.close()
    watched.join(record=Record(folder / "log"))
    begun = time.process_time()
    for inputs, decision in ticks[-20:]:
        watched.show(loop, inputs, decision)
        asyncio.run(watched.now())
    look = (time.process_time() - begun) / len(ticks[-20:])
    asked = [ticks[at][0].now.utc_ms for at in range(0, len(ticks) - 1, max(1, len(ticks) // 4))]
    return Cost(
        shown_us=shown / len(ticks) * 1e6,
        look_ms=look * 1e3,
        past_ms=asyncio.run(_past(watched, asked)) * 1e3,
        moments=len(asked),
        log_bytes_s=sum(path.stat().st_size for path in (folder / "log").glob("*.pwlog")) / seconds,
        history_bytes_s=(folder / "history.db").stat().st_size / seconds,
    )


async def _past(watched: Watched, asked: list[int]) -> float:
    slowest = 0.0
    for at in asked:
        begun = time.monotonic()
        found = await watched.at(at)
        slowest = max(slowest, time.monotonic() - begun)
        if not found.same or found.now.picture.at_ms != at:
            raise RuntimeError("the past is not what was decided")
    return slowest


def _text(evses: int) -> str:
    feeders = [
        f"  - {{id: f{k}, kind: feeder, parent: grid, limits: [{{source: fuse, current_a: 100}}]}}" for k in range(5)
    ]
    outlets = [
        f"  - {{id: e{k:03}, node: f{k % 5}, rotation: {('RST', 'STR', 'TRS')[k % 3]}, charger: {{ocpp: e{k:03}}}}}"
        for k in range(evses)
    ]
    return "\n".join(
        [
            "site: {id: bench}",
            "nodes:",
            "  - {id: grid, kind: connection, meter: main, side_lost_a: 20, limits: [{source: fuse, current_a: 400}]}",
            *feeders,
            "devices: [{id: main, kind: meter, file: none, endpoint: none}]",
            "failsafe: {current_a: 6, watchdog_s: 30}",
            "evses:",
            *outlets,
        ]
    )
