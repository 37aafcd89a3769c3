"""A site as a running program: its memory, its log, its loop, and whatever parts the composition root has started.

`parts.build` makes the drivers of a configuration; simulated ones come from `demo`. Servers and bridges (facades,
MQTT, a status page) are further `Part`s: they are started before the loop and stopped after it.
"""

from __future__ import annotations

import asyncio
import os
import socket
import sqlite3
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.domain.energy import Moment
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler

from .compiled import Site, compile_site
from .config import SiteConfig
from .decide import Decision, SiteState, resumed
from .elapsed import clocks
from .fallbacks import Fallbacks
from .inputs import TickInputs
from .keeping import Kept
from .log import SiteLog
from .loop import Loop
from .ports import Device, EvseDriver
from .redacted import redacted
from .store import SiteStore
from .watch import Watched
from .wiring import wiring

STOP_MS = 5_000
"""So long chargers have to confirm their safe value when we stop."""


class Part(Protocol):
    """Something that runs beside the loop."""

    async def start(self, loop: Loop) -> None:
        """Before the loop's first tick. May raise ConfigError or OSError, which ends the program."""
        ...

    async def stop(self) -> None:
        """After its last."""
        ...


class Drivers(Protocol):
    """What a site drives, made ready but not started."""

    @property
    def evses(self) -> Sequence[EvseDriver]: ...

    @property
    def devices(self) -> Sequence[Device]: ...

    async def start(self) -> None: ...

    async def stop(self) -> None: ...


Show = Callable[[Loop, TickInputs, Decision], None]


async def run_site(
    config: SiteConfig,
    text: str,
    folder: Path,
    make: Callable[[Scheduler], Drivers],
    *,
    stop: asyncio.Event,
    parts: Sequence[Part] = (),
    show: Show | None = None,
    watched: Watched | None = None,
    state: Callable[[Site, Moment], SiteState] | None = None,
    report: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    version: str = "",
) -> Loop:
    """Runs until `stop` is set; chargers are told their safe values then. Returns the loop, for its counts.

    `folder` holds `site.db` (what a restart needs), `history.db` and `log/`. Raises ConfigError for a configuration
    that may not run, and for a folder that cannot be used. `watched` is how others look at it while it runs.
    `state`: what it begins with instead of what is stored (`decide.untouched`), where the world around it begins anew.
    """
    seen = Watched(config) if watched is None else watched
    site = compile_site(config)
    scheduler, wall = SteadyScheduler(), LoopScheduler()
    try:
        folder.mkdir(parents=True, exist_ok=True)  # noqa: ASYNC240 - before anything runs
        store = SiteStore(folder / "site.db", clocks, wiring(config))
        log = SiteLog(
            folder / "log",
            redacted(text),
            version=version,
            limit_bytes=config.log.megabytes * 1_000_000,
            flush_ms=int(config.log.flush_s * 1_000),
        )
    except (OSError, sqlite3.Error) as error:
        raise ConfigError(f"cannot use {folder} for the site's data: {error}; choose another with --data") from error
    loop: Loop | None = None
    kept: Kept | None = None
    drivers: Drivers | None = None
    started: list[Part] = []
    try:
        if store.set_aside:
            report(f"{store.set_aside}; the site begins in the safe state")
        now = Moment(int(scheduler.now()), int(wall.now()))
        loaded = store.load(now)
        if loaded.why:
            report(f"{loaded.why}; the site begins in the safe state")
        for other in loaded.others:
            report(f"{other} is another one than before by the file: what was known of it is forgotten")
        if state is not None:
            begins = state(site, now)
        else:
            begins = SiteState() if loaded.state is None else resumed(site, loaded.state, now)
        kept = Kept(config, site, folder, log, seen, report)
        drivers = make(scheduler)
        log.begin(begins)

        def shown(inputs: TickInputs, decision: Decision) -> None:
            notify("WATCHDOG=1")  # first: the loop is alive, whatever becomes of those who watch it
            if loop is not None:
                seen.show(loop, inputs, decision)
                if show is not None:
                    show(loop, inputs, decision)

        loop = Loop(
            site,
            drivers.evses,
            drivers.devices,
            scheduler,
            utc=lambda: int(wall.now()),
            state=begins,
            record=log,
            memory=store,
            report=report,
            on_decision=shown,
        )
        await drivers.start()
        for part in (Fallbacks(), seen, *parts):
            await part.start(loop)
            started.append(part)
        loop.start()
        notify("READY=1")
        await stop.wait()
        notify("STOPPING=1")
        told = asyncio.Event()
        loop.stop(STOP_MS, told.set)
        await told.wait()
        return loop
    finally:
        for part in reversed(started):
            await part.stop()
        if drivers is not None:
            await drivers.stop()
        if kept is not None:
            kept.close()
        try:
            log.close()
        except OSError as error:
            report(f"the end of the log cannot be written: {error}")
        store.close()


def notify(text: str) -> None:
    """Tells systemd (`Type=notify`, `WatchdogSec=`); it restarts who says nothing for too long. Nothing without it."""
    address = os.environ.get("NOTIFY_SOCKET")
    if not address:
        return
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as sender:
            sender.setblocking(False)
            sender.sendto(text.encode(), "\0" + address[1:] if address.startswith("@") else address)
    except OSError:
        return  # it is not there, or full: it will notice by itself
