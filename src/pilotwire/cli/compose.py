"""The composition root: which parts make a running node, and how they are started and stopped."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from pilotwire import __version__
from pilotwire.cli import https, ocpps, secret
from pilotwire.cli.addresses import Address, outward
from pilotwire.cli.https import HttpsOptions
from pilotwire.cli.options import data_dir
from pilotwire.storage.open import open_store
from pilotwire.transport.bus import LocalBus
from pilotwire.transport.runtime import LoopScheduler, SystemIds

if TYPE_CHECKING:
    from pilotwire.api.context import ApiContext
    from pilotwire.api.https import Https
    from pilotwire.storage.port import Store


class NodeOptions(msgspec.Struct, kw_only=True):
    """What `pilotwire run` and `pilotwire csms` were asked for."""

    data: Path
    http: Address
    ocpp: Address
    ocpps: Address | None = None
    https: HttpsOptions | None = None
    database: str | None = None
    demo: bool = True
    lab: bool = False
    message_rate: float = 20.0
    """Frames a second that a station may send for long; 0: no limit."""
    api_rate: float = 200.0
    """Requests a second that one principal may make of the API for long; 0: no limit."""
    demo_stations: int = 12
    """Of the car park."""
    demo_depot: bool = True
    """With the demo comes a depot behind a site controller."""
    private_webhooks: bool = False
    """Webhooks may go to loopback and private addresses, and without TLS."""
    private_ocsp: bool = False
    """The status of certificates may be asked at loopback and private addresses."""
    files: str = ""
    """Where stations fetch firmware and leave logs; empty: at `http`."""
    tiles: str = ""
    """Address of map tiles with {z}, {x} and {y}; empty: the map is drawn without."""
    tiles_attribution: str = ""
    """Whom they are owed to."""
    inventory: bool = True
    """Stations are asked for their configuration after a boot."""
    receipts: str = ""
    """Where drivers find receipts, with {reference}; empty: nowhere."""


def store_for(data: Path, database: str | None) -> Store:
    return open_store(database or data, data_dir=data) if database else open_store(data)


class Node:
    """One process: store, bus, central system, listeners, API, and the demo where it is wanted."""

    def __init__(self, options: NodeOptions) -> None:
        self.options = options
        self.password: str | None = None
        """Of the first user, when this start made it."""
        self.key = ""
        self.https: Https | None = None
        """What is shown where `options.https` says."""
        self.up = False
        """Everything has started and nothing is being stopped: what /readyz answers."""
        self._stops: list[Any] = []

    async def start(self) -> None:
        """Bring everything up, in the order in which one part needs another. Raises ConfigError."""
        try:
            await self._start()
        except BaseException:
            await self.stop()
            raise

    async def _start(self) -> None:
        from pilotwire.cli.care import Care
        from pilotwire.cli.lag import Lag
        from pilotwire.csms.service import CentralSystem, CsmsConfig
        from pilotwire.transport.ocpp.limits import EdgeLimits
        from pilotwire.transport.ocpp.picows_server import PicowsServer

        options = self.options
        scheduler, ids, self.bus = LoopScheduler(), SystemIds(), LocalBus()
        self._began_at = scheduler.now()
        self.store = store_for(options.data, options.database)
        await self.store.open()
        self._stops.append(self.store.close)
        passwords = secret.passwords(options.data)
        self.password = await first_user(self.store, passwords, scheduler.now()) if not options.lab else None
        self.csms = CentralSystem(
            store=self.store,
            bus=self.bus,
            scheduler=scheduler,
            ids=ids,
            config=CsmsConfig(lab=options.lab, read_inventory=options.inventory, receipts=options.receipts),
            verify=passwords.verify_station,
            hash_password=passwords.hash_station,
            secret=secret.installation(options.data),
        )
        if options.private_ocsp:
            self.csms.certificates.ask_privately()
        await self.csms.start()
        self._stops.append(self.csms.stop)
        limits = EdgeLimits(rate_per_s=options.message_rate)
        self.listeners, certificates = [], self.csms.certificates
        for address, tls in ((options.ocpp, None), (options.ocpps, secret.server_tls)):
            if address is None:
                continue
            server = PicowsServer()
            context = tls(options.data, address.host, certificates.client_anchors) if tls else None
            if context is not None:
                certificates.on_anchors = context.reload
                certificates.installed.serve_with(secret.server_chain(options.data))
            await listen(server, address, self.csms.endpoint, ssl=context, limits=limits)
            self.listeners.append(server)
            self._stops.append(server.stop)
            if context is not None:
                renewal = ocpps.renewal(context, options.data / "tls", address.host, _report)
                await renewal.start()
                self._stops.append(renewal.stop)
        self.lag = Lag(self.store)
        await self.lag.start()
        self._stops.append(self.lag.stop)
        await self._serve_api(scheduler, ids, passwords)
        care = Care(self.store, scheduler)
        await care.start()
        self._stops.append(care.stop)
        if options.demo:
            await self._start_demo(scheduler, ids, passwords)

    async def _serve_api(self, scheduler: LoopScheduler, ids: SystemIds, passwords: Any) -> None:
        from pilotwire.api.context import ApiConfig, ApiContext
        from pilotwire.api.server import ApiServer
        from pilotwire.api.workers import Workers
        from pilotwire.cli.metrics import collect
        from pilotwire.console.app import create_app

        options = self.options
        self.key = f"pw_{secrets.token_urlsafe(32)}"
        if options.https is not None:
            self.https = https.prepared(options.https, options.data)
        context = self.context = ApiContext(
            store=self.store,
            bus=self.bus,
            scheduler=scheduler,
            ids=ids,
            passwords=passwords,
            config=ApiConfig(
                lab=self.options.lab,
                ocpp_url=f"ws://{outward(self.options.ocpp)}/ocpp/",
                ocpps_url=f"wss://{outward(self.options.ocpps)}/ocpp/" if self.options.ocpps else "",
                zone=datetime.now().astimezone().tzinfo or UTC,
                rate_per_s=self.options.api_rate,
                version=__version__,
                private_targets=self.options.private_webhooks,
                files_url=self.options.files or f"http://{outward(self.options.http)}/files/",
                map_tiles=self.options.tiles,
                map_attribution=self.options.tiles_attribution,
                strict_transport=https.strict(self.https, options.http),
            ),
            began_at=self._began_at,
            metrics=lambda: [
                *collect(self.csms.counters, [server.counters for server in self.listeners]),
                *self.lag.metrics(),
                *https.metrics(self.https),
            ],
            process_key=self.key,
            secret=secret.installation(self.options.data),
            ready=self._readiness,
            files=self.options.data / "files",
            https=self.https,
        )
        app = create_app(context)
        self.api = ApiServer(app, warm=True)
        await self.api.start(*options.http)
        workers = Workers(context)
        self._stops.append(workers.stop)
        await workers.start()
        self._stops.append(self.api.stop)
        if options.https is not None and self.https is not None:
            renewal = https.renewal(self.https, options.https, options.data, _report)
            secure = ApiServer(app, https=self.https)
            await secure.start(*options.https.address)
            self._stops.append(secure.stop)
            await renewal.start()
            self._stops.append(renewal.stop)

    async def _start_demo(self, scheduler: LoopScheduler, ids: SystemIds, passwords: Any) -> None:
        from pilotwire.cli.demo import start_demo

        self._stops.append(await start_demo(self, scheduler, ids, passwords))

    def _readiness(self) -> bool | str:
        if not self.up:
            return "The server is starting or stopping."
        return True if self.store.ready else "The store does not commit."

    async def drain(self) -> None:
        """What SIGTERM asks for: stations are told to come back later, what they said is committed."""
        self.up = False
        await asyncio.gather(*(server.drain(3.0) for server in getattr(self, "listeners", [])))
        await self.stop()

    async def stop(self) -> None:
        """Stop what was started, last first. Safe to call twice."""
        while self._stops:
            await self._stops.pop()()


@asynccontextmanager
async def api_over_store(data: Path, database: str | None) -> AsyncIterator[tuple[Any, str]]:
    """The API without a server, for commands that run while none does: (ASGI application, key)."""
    from pilotwire.api.app import create_app
    from pilotwire.api.context import ApiConfig, ApiContext

    store = store_for(data_dir(data), database)
    await store.open()
    try:
        key = f"pw_{secrets.token_urlsafe(32)}"
        context: ApiContext = ApiContext(
            store=store,
            bus=LocalBus(),
            scheduler=LoopScheduler(),
            ids=SystemIds(),
            passwords=secret.passwords(data),
            config=ApiConfig(version=__version__),
            process_key=key,
            secret=secret.installation(data),
        )
        yield create_app(context), key
    finally:
        await store.close()


async def listen(server: Any, address: Address, endpoint: Any, **more: Any) -> None:
    """Start a listener; an address that cannot be had is a ConfigError that says so."""
    from pilotwire.core.errors import ConfigError

    try:
        await server.start(address.host, address.port, endpoint, **more)
    except OSError as error:
        raise ConfigError(f"cannot listen on {address}: {error.strerror or error}; choose another address") from error


def _report(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


async def first_user(store: Store, passwords: Any, now: int) -> str | None:
    """Make the user `admin` with a random password where there is nobody yet; returns the password."""
    from pilotwire.core.ids import DEFAULT_TENANT
    from pilotwire.domain.records import User

    if await store.users(DEFAULT_TENANT):
        return None
    password = secrets.token_urlsafe(12)
    verifier = await asyncio.to_thread(passwords.hash_human, password)
    await store.put_user(
        User(tenant=DEFAULT_TENANT, name="admin", password=verifier, role="platform-admin", created_at=now)
    )
    return password
