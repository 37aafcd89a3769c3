"""The second demo site of `pilotwire run`: a depot whose chargers stand behind a real site controller, in this process.

It begins a moment after everything else, a little at a time, so that the console's first page does not wait for it.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import traceback
from collections.abc import Awaitable, Callable, Sequence
from importlib import import_module
from typing import TYPE_CHECKING

from pilotwire.core.ids import DEFAULT_TENANT, Ids, StationKey
from pilotwire.core.time import Scheduler
from pilotwire.domain.records import StationAccount

if TYPE_CHECKING:
    from pilotwire.cli.compose import Node
    from pilotwire.crypto.passwords import Passwords
    from pilotwire.twin.depot import Crew

BEGIN_S = 2.0
"""After the rest of the demo."""
_HEAVY = (
    "pilotwire.domain.energy",
    "pilotwire.domain.steering",
    "yaml",
    "pilotwire.site.config",
    "pilotwire.site.decide",
    "pilotwire.site.devices.evse",
    "pilotwire.site.ocpp.live",
    "pilotwire.site.parts",
    "pilotwire.site.run",
    "pilotwire.site.watch",
    "pilotwire.twin.depot",
)
"""One after the other, with the loop's other work between them: not in a thread, since structs are prepared."""


def start_depot(
    node: Node, scheduler: Scheduler, ids: Ids, passwords: Passwords, *, tokens: Sequence[str], seed: int
) -> Callable[[], Awaitable[None]]:
    """Begin soon; returns what stops it: chargers are told their safe values, then everybody goes."""
    stop = asyncio.Event()
    task = asyncio.create_task(_run(node, scheduler, ids, passwords, tokens, seed, stop))

    async def end() -> None:
        stop.set()
        await task

    return end


async def _run(
    node: Node,
    scheduler: Scheduler,
    ids: Ids,
    passwords: Passwords,
    tokens: Sequence[str],
    seed: int,
    stop: asyncio.Event,
) -> None:
    try:
        if await _stopped(stop, BEGIN_S):
            return
        for name in _HEAVY:
            import_module(name)
            if await _stopped(stop, 0.02):
                return
        await _site(node, scheduler, ids, passwords, tokens, seed, stop)
    except Exception:  # the rest of the demo goes on without it
        print(f"the demo's depot has ended: {traceback.format_exc()}", file=sys.stderr)


async def _stopped(stop: asyncio.Event, within_s: float) -> bool:
    try:
        async with asyncio.timeout(within_s):
            await stop.wait()
    except TimeoutError:
        return False
    return True


async def _site(
    node: Node,
    scheduler: Scheduler,
    ids: Ids,
    passwords: Passwords,
    tokens: Sequence[str],
    seed: int,
    stop: asyncio.Event,
) -> None:
    from pilotwire import __version__
    from pilotwire.api.resources.controllers import Controllers
    from pilotwire.cli.addresses import local
    from pilotwire.site.config import read
    from pilotwire.site.decide import untouched
    from pilotwire.site.run import run_site
    from pilotwire.site.watch import Watched
    from pilotwire.station.storage import SqliteShelf
    from pilotwire.transport.files import HttpFiles
    from pilotwire.twin.depot import Crew, Depot
    from pilotwire.twin.depot_site import ID

    folder = node.options.data / "depot"
    folder.mkdir(parents=True, exist_ok=True)
    shelf, files = SqliteShelf(folder / "stations.db"), HttpFiles()
    try:
        crew = Crew(
            scheduler,
            ids,
            tokens=tokens,
            seed=seed,
            password=lambda identity: secrets.token_hex(10),
            storage=shelf.open,
            files=files,
        )
        await _register(node, scheduler, passwords, crew)
        text = crew.text(f"ws://{local(node.options.ocpp)}/ocpp")
        config, findings = read(text)
        if config is None:
            raise RuntimeError("; ".join(str(each) for each in findings))
        watched, known = Watched(config), Controllers.of(node.context)
        known.add(ID, watched)
        await run_site(
            config,
            text,
            folder,
            lambda steady: Depot(config, folder, steady, crew, seed),
            stop=stop,
            watched=watched,
            state=untouched,
            version=__version__,
        )
    finally:
        Controllers.of(node.context).remove(ID)
        await files.close()
        shelf.close()


async def _register(node: Node, scheduler: Scheduler, passwords: Passwords, crew: Crew) -> None:
    """The central system knows the stations, and where they stand."""
    from pilotwire.cli.demo_site import make_depot
    from pilotwire.twin.depot_site import ID, NAME, POWER_LIMIT_W, ZONE

    for account in crew.accounts:
        key = StationKey(DEFAULT_TENANT, account.identity)
        known = await node.store.account(key) or StationAccount(
            tenant=key.tenant, id=key.station, created_at=scheduler.now(), site=ID, note="demo"
        )
        known.security_profile, known.password = 1, passwords.hash_station(account.password.encode())
        await node.store.put_account(known)
    await make_depot(node.context, ID, NAME, ZONE, POWER_LIMIT_W, [account.identity for account in crew.accounts])
    await node.csms.refresh()
