"""The demo site of `pilotwire run`: its stations and drivers are registered like any others, then connect by socket."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING
from urllib.parse import quote

from pilotwire.core.ids import DEFAULT_TENANT, Ids, StationKey
from pilotwire.core.time import Scheduler
from pilotwire.domain.records import StationAccount, Token

if TYPE_CHECKING:
    from pilotwire.cli.compose import Node
    from pilotwire.crypto.passwords import Passwords
    from pilotwire.storage.port import Store


async def installation_seed(store: Store) -> int:
    """Made once, so that the demo's drivers keep their cards over restarts."""
    text = await store.setting("demo.seed")
    if text is None:
        text = str(secrets.randbits(32))
        await store.put_setting("demo.seed", text)
    return int(text)


async def start_demo(node: Node, scheduler: Scheduler, ids: Ids, passwords: Passwords) -> Callable[[], Awaitable[None]]:
    """Start the demo world against the node's own listener; returns what stops it.

    Its state (registers, queues) is kept in the data directory, so that a restart of the process is a loss of power at
    the site and nothing else. Passwords are made anew at each start.
    """
    from pilotwire.cli.addresses import local
    from pilotwire.cli.demo_depot import start_depot
    from pilotwire.cli.demo_site import SITE, make_site
    from pilotwire.station.storage import SqliteShelf
    from pilotwire.transport.files import HttpFiles
    from pilotwire.transport.ocpp.client import LoopDialer
    from pilotwire.twin.bays import Traffic
    from pilotwire.twin.demo import DemoWorld

    base = f"ws://{local(node.options.ocpp)}/ocpp"
    shelf = SqliteShelf(node.options.data / "demo.db")

    def dialer(identity: str, password: str) -> LoopDialer:
        return LoopDialer(f"{base}/{quote(identity, safe='')}", user=identity, password=password.encode())

    files, seed = HttpFiles(), await installation_seed(node.store)
    world = DemoWorld(
        scheduler,
        dialer,
        ids,
        count=node.options.demo_stations,
        seed=seed,
        password=lambda identity: secrets.token_hex(10),
        storage=shelf.open,
        files=files,
        links=True,
        traffic=Traffic(gap_s=(45, 540), busy_at_start=65),
    )
    for account in world.accounts():
        key = StationKey(DEFAULT_TENANT, account.identity)
        known = await node.store.account(key) or StationAccount(
            tenant=key.tenant, id=key.station, created_at=scheduler.now(), site=SITE, note="demo"
        )
        known.security_profile, known.password = 1, passwords.hash_station(account.password.encode())
        await node.store.put_account(known)
    names = [account.identity for account in world.accounts()]
    await make_site(node.context, names, [name for name in names if name.startswith("DEMO-DC")])
    for token in world.tokens():
        note = f"demo, {token.holder}"
        await node.store.put_token(Token(tenant=DEFAULT_TENANT, token=token.id, note=note, created_at=scheduler.now()))
    await node.csms.refresh()
    world.start()
    stop_depot = None
    if node.options.demo_depot:
        cards = [token.id for token in world.tokens()]
        stop_depot = start_depot(node, scheduler, ids, passwords, tokens=cards, seed=seed)

    async def stop() -> None:
        if stop_depot is not None:
            await stop_depot()
        world.stop()
        await files.close()
        shelf.close()

    return stop
