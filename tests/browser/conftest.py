"""A site of a dozen stations behind a real server, and Chromium before it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright, expect

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.context import ApiConfig, ApiContext
from pilotwire.api.resources import sites as sites_service
from pilotwire.api.server import ApiServer
from pilotwire.console.app import create_app
from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler
from pilotwire.domain import facts, records
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import CommandReply, CommandRequest, Event, LocalBus, PowerNow

NOW = 1_767_268_800_000  # 2026-01-01T12:00:00Z
MINUTE = 60_000
DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
expect.set_options(timeout=30_000)
HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium-headless-shell")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]

# station, version, model, connectors as (status, charging state, W, Wh, SoC in 0.1 %, minutes)
_Connector = tuple[str, str, int, int, int | None, int]
_FREE: _Connector = ("Available", "", 0, 0, None, 0)
SITE: list[tuple[str, str, str, list[_Connector]]] = [
    ("AC-01", "1.6", "Duo 22", [("Charging", "Charging", 21_870, 12_430, None, 35), _FREE]),
    ("AC-02", "2.0.1", "Post 11", [("Occupied", "Charging", 10_960, 3_210, None, 18)]),
    ("AC-03", "2.1", "Post 11", [_FREE, ("Occupied", "SuspendedEV", 0, 18_200, 1000, 140)]),
    ("AC-04", "1.6", "Wall 7", [("SuspendedEVSE", "", 0, 4_020, None, 50)]),
    ("AC-05", "2.0.1", "Duo 22", [_FREE, ("Reserved", "", 0, 0, None, 0)]),
    ("AC-06", "2.1", "Wall 7", [("Occupied", "Charging", 7_290, 9_940, 384, 82)]),
    ("AC-07", "1.6", "Post 11", [("Preparing", "", 0, 0, None, 0)]),
    ("AC-08", "1.6", "Duo 22", [("Faulted", "", 0, 0, None, 0), _FREE]),
    ("DC-01", "2.0.1", "Rapid 150", [("Occupied", "Charging", 138_400, 31_870, 562, 16)]),
    ("DC-02", "2.1", "Hub 300", [("Occupied", "Charging", 241_300, 22_640, 331, 7), _FREE]),
    ("DC-03", "1.6", "Rapid 50", [("Unavailable", "", 0, 0, None, 0)]),
    ("DC-04", "2.1", "Rapid 150", [_FREE]),
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The tests here share one event loop, as they share one browser."""
    for item in items:
        if item.path.is_relative_to(HERE) and pytest_asyncio.is_async_test(item):
            item.add_marker(pytest.mark.asyncio(loop_scope="session"), append=False)


class PlainPasswords:
    def hash_human(self, password: str) -> str:
        return f"human:{password}"

    def verify_human(self, password: str, verifier: str) -> bool:
        return verifier == f"human:{password}"

    def hash_station(self, password: bytes) -> str:
        return f"station:{password.decode()}"


class Site:
    """Store, bus and server; stations are what the tests say they are."""

    def __init__(self, *, lab: bool = True) -> None:
        self.clock = SimScheduler(NOW)
        self.store = MemoryStore()
        self.bus = LocalBus()
        self.stations: dict[str, records.Station] = {}
        self.sessions: dict[str, records.Session] = {}
        self.context = ApiContext(
            store=self.store,
            bus=self.bus,
            scheduler=self.clock,
            ids=SeededIds(11, self.clock.now),
            passwords=PlainPasswords(),
            config=ApiConfig(lab=lab),
        )
        self.server = ApiServer(create_app(self.context))
        self.commands: list[CommandRequest] = []

    @property
    def url(self) -> str:
        return f"http://localhost:{self.server.port}"

    def commit(self, station: str, *said: facts.AnyFact, samples: tuple[records.Sample, ...] = ()) -> None:
        """Journal what was said with the station and its sessions as they are now; then tell the bus."""
        touched = [self.stations[station], *(one for one in self.sessions.values() if one.station_id == station)]
        entry = Entry(
            tenant="default",
            station=station,
            recv_time=self.clock.now(),
            epoch=1,
            direction="in",
            facts=said,
            samples=samples,
            touched=tuple(touched),
        )
        self.store.append(entry)
        self.bus.publish(
            f"facts.default.{station}",
            Event(
                stream="main",
                seq=self.store._seq,
                tenant="default",
                station=station,
                recv_time=self.clock.now(),
                facts=said,
            ),
        )

    def add(self, name: str, version: str, model: str, connectors: list[_Connector], *, online: bool = True) -> None:
        now = self.clock.now()
        self.stations[name] = records.Station(
            tenant="default",
            id=name,
            ocpp_version=version,
            vendor="Nordlicht",
            model=model,
            serial=f"NL-{name}",
            firmware="3.1.0",
            boot_status="Accepted",
            booted_at=now - 300 * MINUTE,
            connected=online,
            last_seen=now - 4_000,
            connectors=[
                records.Connector(
                    index, 1, status, "GroundFailure" if status == "Faulted" else "", since=now - 42 * MINUTE
                )
                for index, (status, *_) in enumerate(connectors, 1)
            ],
        )
        samples: list[records.Sample] = []
        for index, (_, charging, power, energy, soc, minutes) in enumerate(connectors, 1):
            if minutes:
                samples += self.begin(name, index, charging, power, energy, soc, minutes)
        self.commit(name, facts.StationConnected(event_time=now, ocpp_version=version, peer=""), samples=tuple(samples))

    def begin(
        self, name: str, evse: int, charging: str, power: int, energy: int, soc: int | None, minutes: int
    ) -> list[records.Sample]:
        """A session that has run for so long; returns the power samples behind it."""
        now = self.clock.now()
        station = self.stations[name]
        key = f"{name.lower()}-{evse}"
        self.sessions[key] = records.Session(
            tenant="default",
            id=key,
            station_id=name,
            transaction=key,
            ocpp_version=station.ocpp_version,
            evse=evse,
            connector=1,
            token=f"04{sum(map(ord, key)) * 7919:08X}"[:10],
            started_at=now - minutes * MINUTE,
            updated_at=now - 2_000,
            meter_start_wh=0,
            energy_wh=energy,
            power_w=power,
            soc=soc,
            charging_state=charging,
        )
        connector = station.connectors[evse - 1]
        connector.session_id, connector.power_w = key, power
        steps = max(2, minutes * 2)
        peak = power or 7_000

        def at(step: int) -> int:
            ramp = min(1.0, (step + 1) / 4)
            taper = 1.0 if station.model.startswith(("Post", "Wall", "Duo")) else 1.18 - 0.18 * step / steps
            wobble = 0.985 + 0.015 * ((step * 37) % 11) / 10
            rest = 0.0 if not power and step > steps * 0.7 else 1.0
            return round(peak * ramp * taper * wobble * rest)

        return [
            records.Sample(
                evse,
                1,
                now - minutes * MINUTE + step * 30_000,
                "Power.Active.Import",
                at(step) * 1000,
                "W",
                session_id=key,
            )
            for step in range(steps)
        ]

    def power(self, session_id: str, power_w: int, energy_wh: int, soc: int | None = None) -> None:
        """A meter value has come."""
        session = self.sessions[session_id]
        session.power_w, session.energy_wh, session.soc = power_w, energy_wh, soc
        session.updated_at = self.clock.now()
        self.stations[session.station_id].connectors[session.evse - 1].power_w = power_w
        self.commit(session.station_id)
        self.bus.publish(
            f"power.default.{session.station_id}",
            PowerNow(
                tenant="default",
                station=session.station_id,
                time=self.clock.now(),
                evse=session.evse,
                connector=session.connector,
                power_w=power_w,
                session_id=session_id,
                energy_wh=energy_wh,
                soc=soc,
            ),
        )

    async def answer(self, request: CommandRequest) -> CommandReply:
        """What the gateway would bring back."""
        self.commands.append(request)
        return CommandReply(
            command_id=f"c-{len(self.commands)}",
            outcome="answered",
            action=request.action,
            answer={"status": "Accepted"},
        )


@pytest_asyncio.fixture(loop_scope="session")
async def site() -> AsyncIterator[Site]:
    """The dozen, served without login (lab)."""
    made = Site()
    for name, version, model, connectors in SITE:
        made.add(name, version, model, connectors, online=name != "DC-04")
    await made.server.start("127.0.0.1", 0)
    end = made.bus.serve("command.default.>", made.answer)
    yield made
    end()
    await made.server.stop()


@pytest_asyncio.fixture(loop_scope="session")
async def empty_site() -> AsyncIterator[Site]:
    made = Site()
    await made.server.start("127.0.0.1", 0)
    yield made
    await made.server.stop()


PASSWORD = "a long password"
PEOPLE: dict[str, tuple[str, list[str] | None]] = {
    "ada": ("admin", None),
    "olga": ("operator", None),
    "otto": ("site-owner", ["north"]),
    "aude": ("auditor", None),
}
"""Name → (role, sites). All have the same password."""
NORTH = ("AC-01", "AC-02", "DC-01")
"""The stations of the site that otto owns."""


@pytest_asyncio.fixture(loop_scope="session")
async def locked_site() -> AsyncIterator[Site]:
    """Not a lab: people have to log in. The dozen, three of them at the site north, the others at south."""
    made = Site(lab=False)
    for name, (role, sites) in PEOPLE.items():
        await made.store.put_user(
            records.User(
                tenant="default", name=name, password=PlainPasswords().hash_human(PASSWORD), role=role, sites=sites
            )
        )
    for name, version, model, connectors in SITE:
        made.add(name, version, model, connectors, online=name != "DC-04")
        site = "north" if name in NORTH else "south"
        await made.store.put_account(records.StationAccount(tenant="default", id=name, site=site))
    await made.server.start("127.0.0.1", 0)
    desk = system("default")
    for site_id, title, at in (("north", "North depot", (52.541, 13.383)), ("south", "South park", (52.468, 13.441))):
        new = types.NewSite(id=site_id, name=title, latitude=at[0], longitude=at[1], power_limit_w=500_000)
        await sites_service.create(made.context, desk, new)
    end = made.bus.serve("command.default.>", made.answer)
    yield made
    end()
    await made.server.stop()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """One Chromium for all tests here; what one of them leaves in it goes with its contexts (see `watch`)."""
    async with async_playwright() as playwright:
        launched = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield launched
        await launched.close()


class Watched:
    """A page and everything that went wrong on it."""

    def __init__(self, page: Page) -> None:
        self.page = page
        self.wrong: list[str] = []
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.wrong.append(f"error: {error}"))
        page.on("requestfailed", self._failed)

    def _console(self, message: Any) -> None:
        if "status of 422" in message.text:  # the browser notes it; it is the answer to a form with a mistake in it
            return
        if message.type in ("error", "warning"):
            self.wrong.append(f"{message.type}: {message.text}")

    def _failed(self, request: Any) -> None:
        if request.failure != "net::ERR_ABORTED":  # whatever is still under way when the page goes is cut
            self.wrong.append(f"failed: {request.url}")


@pytest_asyncio.fixture(loop_scope="session")
async def watch(browser: Browser) -> AsyncIterator[Callable[..., Awaitable[Watched]]]:
    """`await watch(url, viewport)`: the page, live, in a context of its own: no cookie, store or cache is another's."""

    async def open_page(
        url: str,
        viewport: dict[str, int] = DESK,
        *,
        dark: bool = False,
        live: bool = True,
        locale: str = "en-GB",
        zone: str = "UTC",
    ) -> Watched:
        context = await browser.new_context(
            viewport=viewport, color_scheme="dark" if dark else "light", timezone_id=zone, locale=locale
        )
        watched = Watched(await context.new_page())
        await watched.page.goto(url)
        if live:
            await watched.page.wait_for_selector("#link[data-state=live]", state="attached")
        return watched

    yield open_page
    for context in browser.contexts:
        await context.close()


Logged = Callable[..., Awaitable[Watched]]


@pytest.fixture
def log_in(watch: Callable[..., Awaitable[Watched]]) -> Logged:
    """`await log_in(site, "olga", "/stations")`: that page as that person sees it, through the login form."""

    async def enter(
        site: Site, name: str, path: str = "/", viewport: dict[str, int] = DESK, *, dark: bool = False
    ) -> Watched:
        watched = await watch(site.url + path, viewport, dark=dark, live=False)
        await watched.page.fill("input[name=name]", name)
        await watched.page.fill("input[name=password]", PASSWORD)
        await watched.page.click("main button[type=submit]")
        await expect(watched.page.locator(".shell")).to_be_visible()
        return watched

    return enter


AXE = ROOT / "node_modules" / "axe-core" / "axe.min.js"
_FAULTS = """async () => {
  const rules = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"];
  const found = await axe.run(document, {runOnly: rules, resultTypes: ["violations"]});
  return found.violations.filter((one) => ["serious", "critical"].includes(one.impact)).map(
    (one) => `${one.id}: ${one.help}: ${one.nodes.slice(0, 3).map((node) => node.html.slice(0, 160)).join(" | ")}`);
}"""


async def axe(page: Page) -> list[str]:
    """What axe-core calls serious or critical on this page."""
    if not await page.evaluate("typeof window.axe !== 'undefined'"):
        await page.evaluate(AXE.read_text("utf-8"))
    return await page.evaluate(_FAULTS)


async def sound(watched: Watched, *, wide: bool = True) -> None:
    """No console error, no serious fault by axe, one heading of the first order, nothing wider than the screen."""
    page = watched.page
    await page.wait_for_load_state("load")
    assert watched.wrong == []
    assert await page.locator("h1").count() == 1, page.url
    assert await axe(page) == [], page.url
    if wide:
        over = await page.evaluate("document.documentElement.scrollWidth - window.innerWidth")
        assert over <= 0, f"{page.url} is {over} px too wide"


async def settled(page: Page) -> None:
    """Fonts, curves and pieces are there: what a picture shows does not depend on when it is taken."""
    await page.wait_for_load_state("load")
    await page.wait_for_function("!document.querySelector('.htmx-request')")
    for spark in await page.locator("[data-spark]:visible").all():
        await expect(spark.locator("polyline")).to_have_count(1)


async def picture(page: Page, name: str, *, whole: bool = False) -> None:
    """Take <name>.png into the folder that PILOTWIRE_LOOK names, to be looked at. The guides' pictures are those of
    `test_browser_pictures.py`."""
    folder = os.environ.get("PILOTWIRE_LOOK")
    if folder:
        await settled(page)
        Path(folder).mkdir(parents=True, exist_ok=True)
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=whole, animations="disabled")


@pytest.fixture
def walk() -> Any:
    """`await walk(watched, site, ["/", "/stations"])`: open each page and look whether it is sound.

    `walk.axe(page)`, `walk.sound(watched)`, `walk.picture(page, name)` are its parts.
    """

    class Walk:
        axe = staticmethod(axe)
        sound = staticmethod(sound)
        picture = staticmethod(picture)
        settled = staticmethod(settled)

        async def __call__(self, watched: Watched, site: Site, paths: list[str]) -> None:
            for path in paths:
                answer = await watched.page.goto(site.url + path)
                assert answer is not None and answer.status == 200, f"{path}: {answer and answer.status}"
                assert "script-src 'self'" in answer.headers["content-security-policy"]
                await sound(watched)

    return Walk()
