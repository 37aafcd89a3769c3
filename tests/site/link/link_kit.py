"""A central system over a store in memory, and a site that is nowhere."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx

from pilotwire.api import controller_links, types
from pilotwire.api.access import digest, system
from pilotwire.api.app import create_app
from pilotwire.api.context import ApiConfig, ApiContext
from pilotwire.api.resources import sites
from pilotwire.api.resources.controllers import Controllers
from pilotwire.api.server import ApiServer
from pilotwire.domain.records import ApiKey
from pilotwire.domain.seen import Change, Course, Flows, Mark, NotKnown, Now, Outlook, Past, Peak, SitePicture, Step
from pilotwire.domain.steering.state import WindowSummary
from pilotwire.site.link.dial import CentralLink
from pilotwire.site.link.entry import CentralEntry
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus
from pilotwire.transport.runtime import LoopScheduler, SystemIds

PATIENCE_S = 60
AT = 1_767_268_800_000


class Nobody:
    """No password is asked for."""

    def hash_human(self, password: str) -> str:
        return password

    def verify_human(self, password: str, verifier: str) -> bool:
        return False

    def hash_station(self, password: bytes) -> str:
        return ""


class Yard:
    """A `Controller` whose every answer is known. `seq` is its last tick."""

    def __init__(self, id: str = "yard", *, evses: int = 0) -> None:
        self.id, self.name, self.time_zone = id, f"The {id}", "Europe/Berlin"
        self.seq = 1
        self.heard_ms: int | None = AT
        self.asked: list[tuple[Any, ...]] = []
        self.slow: asyncio.Event | None = None
        """Answers wait for it."""
        self.made = 0

    async def now(self) -> Now:
        self.made += 1
        return self._now()

    def _now(self) -> Now:
        return Now(
            picture=SitePicture(
                site=self.id, seq=self.seq, at_ms=AT + self.seq, flows=Flows(grid=self.seq), nodes=(), evses=(),
                devices=(), marks=(Mark("grid", "meter_lost", "no meter: das Zählwerk fehlt"),),
            ),
            why={"bay-1": ("it may give 6 A", "since it is so")}, limits=(), windows=(),
        )  # fmt: skip

    async def ticks(self) -> AsyncIterator[Now]:
        yield self._now()

    async def at(self, utc_ms: int) -> Past:
        self.asked.append(("at", utc_ms))
        if utc_ms < AT:
            raise NotKnown("the record begins later")
        return Past(now=self._now(), same=True)

    async def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[Change, ...]:
        if self.slow is not None:
            await self.slow.wait()
        if evse == "broken":
            raise ZeroDivisionError("a fault of ours")
        return (Change(at_ms=from_ms, evse=evse, unit="mA", value=6_000, code="limit", words="so"),)

    async def course(self, from_ms: int, until_ms: int, step_ms: int) -> Course:
        return Course(from_ms=from_ms, step_ms=step_ms, steps=(Step(from_ms=from_ms, grid_mw=7), Step(from_ms=1)))

    async def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        return ()

    async def peaks(self, from_ms: int, until_ms: int) -> tuple[Peak, ...]:
        return (Peak(window="w", node="grid", month=202601, peak_mw=5),)

    async def outlook(self) -> Outlook | None:
        return None


class Central:
    """A central system that listens; `reports` of boxes."""

    def __init__(self, **config: Any) -> None:
        self.store = MemoryStore()
        scheduler = LoopScheduler()
        self.context = ApiContext(
            store=self.store, bus=LocalBus(), scheduler=scheduler, ids=SystemIds(), passwords=Nobody(),
            config=ApiConfig(**config), process_key="pw_all",
        )  # fmt: skip
        self.server = ApiServer(create_app(self.context))
        self.reports: list[str] = []
        self.boxes: list[CentralLink] = []
        self.port = 0

    async def start(self, port: int = 0) -> None:
        await self.server.start(port=port)
        self.port = self.server.port

    async def stop(self) -> None:
        await self.server.stop()

    async def site(self, id: str = "yard", tenant: str = "default") -> None:
        await sites.create(self.context, system(tenant), types.NewSite(id=id, name=id))

    async def key(
        self, secret: str = "pw_yard", role: str = "site-controller", sites: tuple[str, ...] | None = ("yard",),
        tenant: str = "default",
    ) -> str:  # fmt: skip
        named = None if sites is None else list(sites)
        record = ApiKey(
            tenant=tenant, id=f"k-{secret[3:]}", name=secret[3:], digest=digest(secret), role=role, sites=named
        )
        await self.store.put_api_key(record)
        controller_links.access_of(self.context).forget_keys()
        return secret

    @property
    def links(self) -> controller_links.Links:
        return controller_links.Links.of(self.context)

    @property
    def controllers(self) -> Controllers:
        return Controllers.of(self.context)

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=f"http://127.0.0.1:{self.port}", headers={"Authorization": "Bearer pw_all"}, timeout=PATIENCE_S
        )

    async def box(
        self, controller: Any, folder: Path, key: str = "pw_yard", own: str = "", **entry: Any
    ) -> CentralLink:
        """A box that is connecting."""
        (folder / "key").write_text(key + "\n")
        link = CentralLink(
            CentralEntry(url=f"http://127.0.0.1:{self.port}", key_file="key", **entry), controller, folder, folder,
            self.reports.append, program="0.1.0", own=own, draw=lambda: 0.5,
        )  # fmt: skip
        await link.start()
        self.boxes.append(link)
        return link


async def until(so: Callable[[], Any], what: str = "it did not come to it") -> Any:
    """What is true at last. A busy machine is given time."""
    for _ in range(PATIENCE_S * 100):
        if found := so():
            return found
        await asyncio.sleep(0.01)
    raise AssertionError(what)
