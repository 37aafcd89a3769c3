"""Roll-outs over many simulated stations, watched in the console.

    python -m tests.soak --only watched-rollout,watched-certificates

The real `pilotwire csms`, the stations in processes of their own over real sockets, and a person before Chromium who
begins the roll-out and watches its page. What the page says in the end is held against what the API says and against
what the stations really are.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
from playwright.async_api import Page, async_playwright
from tests.crypto.firmware_kit import Manufacturer, image
from tests.interop import csms_process
from tests.soak.stations_process import ORGANIZATION, TOKEN, One, Plan, Truth

VERSIONS = ("1.6", "2.0.1", "2.1")
FAULTS = ("install", "silent", "old-version", "gone", "download")
OLD, NEW = "1.0.0", "2.0.0"
PASSWORD = "0123456789abcdef0123"
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images" / "console"
CHROMIUM = os.environ.get("CHROMIUM", "/usr/bin/chromium-headless-shell")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
_read = msgspec.json.Decoder(dict[str, Truth]).decode
_COUNTS = re.compile(
    r"(\d[\d,]*) (installed|renewed|failed|skipped|under way|waiting|lost|with failed sessions|security events?)"
)
_WORDS = {"done": "done", "stopped": "stopped"}
"""Status in the API → its word on the page."""


class Report(msgspec.Struct, kw_only=True):
    """What a run came to."""

    stations: int
    bad: int = 0
    status: str
    why: str
    stage: int
    counts: dict[str, int]
    """What the page said at the end."""
    seen: int
    """How many different states of its progress the page has shown by itself."""
    sessions: int = 0
    energy_wh: int = 0
    lost: int = 0
    """Sessions that are not as the meter has them, or are not there at all."""
    seconds: int = 0
    faults: list[str]


class Fleet:
    """The processes of the stations."""

    def __init__(self, folder: Path, plans: Sequence[Plan]) -> None:
        self._folder, self._plans = folder, plans
        self._processes: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        """All of them; they are connected, and those that charge do, when this returns."""
        for number, plan in enumerate(self._plans):
            path = self._folder / f"plan-{number}.json"
            path.write_bytes(msgspec.json.encode(plan))
            process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "tests.soak.stations_process", str(path),
                stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, limit=1 << 26,
            )  # fmt: skip
            self._processes.append(process)
        for process in self._processes:
            assert process.stdout is not None
            assert await process.stdout.readline() == b"ready\n", "the stations did not come up"

    async def tell(self, word: str) -> None:
        """Every process gets this line."""
        for process in self._processes:
            assert process.stdin is not None
            process.stdin.write(f"{word}\n".encode())
            await process.stdin.drain()

    async def truth(self) -> dict[str, Truth]:
        """What every station really is."""
        await self.tell("truth")
        found: dict[str, Truth] = {}
        for process in self._processes:
            assert process.stdout is not None
            found |= _read(await process.stdout.readline())
        return found

    async def stop(self) -> None:
        """End them, by their own pids."""
        for process in self._processes:
            if process.returncode is None:
                assert process.stdin is not None
                process.stdin.close()
                try:
                    await asyncio.wait_for(process.wait(), 20)
                except TimeoutError:
                    process.kill()
                    await process.wait()


class Desk:
    """A central system with its stations, and a person at its console."""

    def __init__(self, csms: csms_process.Csms, secure: str, api: httpx.AsyncClient, page: Page) -> None:
        self.csms, self.secure, self.api, self.page = csms, secure, api, page
        self.maker = Manufacturer(datetime.now(UTC))
        self.fleet = Fleet(Path(), ())
        self.stations: list[One] = []
        self.wrong: list[str] = []
        page.on("pageerror", lambda error: self.wrong.append(f"page: {error}"))

    @classmethod
    @asynccontextmanager
    async def open(
        cls, folder: Path, stations: list[One], *, tls: bool, processes: int = 2, step_ms: int = 2_000
    ) -> AsyncIterator[Desk]:
        """Everything is up, every station is connected, `ada` is logged in."""
        port = csms_process.free_port()
        more = ["--message-rate", "0", "--api-rate", "0", "--no-inventory"]
        more += ["--ocpps", f"127.0.0.1:{port}"] if tls else []
        csms = await asyncio.to_thread(csms_process.start, folder / "data", *more)
        key = json.loads((csms.data / "run.json").read_text())["key"]
        try:
            async with (
                httpx.AsyncClient(
                    base_url=f"{csms.http}/api/v1", headers={"Authorization": f"Bearer {key}"}, timeout=60
                ) as api,
                async_playwright() as playwright,
            ):
                browser = await playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
                context = await browser.new_context(
                    viewport={"width": 1280, "height": 800}, locale="en-GB", timezone_id="UTC"
                )
                page = await context.new_page()
                page.set_default_timeout(60_000)
                desk = cls(csms, f"wss://127.0.0.1:{port}/ocpp", api, page)
                try:
                    await desk._furnish(stations, tls=tls)
                    await desk._people(folder, processes, step_ms, tls=tls)
                    await desk._log_in()
                    yield desk
                finally:
                    await desk.fleet.stop()
                    await browser.close()
        finally:
            csms.process.terminate()
            await asyncio.to_thread(csms.process.wait, 60)

    async def _furnish(self, stations: list[One], *, tls: bool) -> None:
        self.stations = stations
        await self._post("/users", {"name": "ada", "password": PASSWORD, "role": "platform-admin"})
        await self._post("/tokens", {"token": TOKEN})
        anchor = {"name": "Voltwerk", "use": "manufacturer", "certificate": self.maker.root, "reason": "their firmware"}
        await self._post("/trust-anchors", anchor)
        account = {"security_profile": 3, "organization": ORGANIZATION} if tls else {"password": PASSWORD}
        for one in stations:
            await self._post("/stations", {"id": one.identity, **account})

    async def _post(self, path: str, body: dict[str, Any]) -> Any:
        answer = await self.api.post(path, json=body)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    async def get(self, path: str, **params: Any) -> Any:
        """What the API says."""
        answer = await self.api.get(path, params=params)
        assert answer.is_success, f"{path}: {answer.text}"
        return answer.json()

    async def every(self, path: str, **params: Any) -> list[Any]:
        """All pages of a list."""
        found: list[Any] = []
        cursor: str | None = None
        while True:
            page = await self.get(path, limit=500, **params, **({"cursor": cursor} if cursor else {}))
            found += page["items"]
            if (cursor := page["next"]) is None:
                return found

    async def _people(self, folder: Path, processes: int, step_ms: int, *, tls: bool) -> None:
        plans = [
            Plan(
                url=self.secure if tls else self.csms.ocpp,
                stations=self.stations[number::processes],
                password="" if tls else PASSWORD,
                tls=str(self.csms.data / "tls") if tls else "",
                manufacturer=self.maker.root,
                firmware=OLD,
                step_ms=step_ms,
                seed=number,
            )
            for number in range(processes)
        ]
        self.fleet = Fleet(folder, plans)
        await self.fleet.start()

    async def _log_in(self) -> None:
        page = self.page
        await page.goto(f"{self.csms.http}/login")
        await page.fill("input[name=name]", "ada")
        await page.fill("input[name=password]", PASSWORD)
        await page.click("main button[type=submit]")
        await page.locator(".shell").wait_for()

    # -- what a person does -------------------------------------------------------------------------------------------
    async def add_image(self, version: str) -> None:
        """Add a signed image and send its file."""
        page, data = self.page, image(version)
        await page.goto(f"{self.csms.http}/firmware/new")
        await page.fill("[name=version]", version)
        await page.click("details.more summary")
        await page.fill("[name=signing_certificate]", self.maker.certificate)
        await page.fill("[name=signature]", self.maker.sign(data))
        await page.click("main form button.primary")
        await page.set_input_files("#file", {"name": "image.bin", "mimeType": "text/plain", "buffer": data})
        await page.click("main form button.primary")
        await page.get_by_role("link", name="Roll it out").click()

    async def begin(self, reason: str, *, at_once: int, silent_min: int = 2) -> str:
        """Fill in how carefully, and begin. Returns the id."""
        page = self.page
        await page.fill("[name=watch_min]", "0")
        await page.fill("[name=silent_min]", str(silent_min))
        await page.fill("[name=at_once]", str(at_once))
        await page.fill("[name=reason]", reason)
        await page.click("main form button.primary:not([name])")
        await page.wait_for_url("**/rollouts/*")
        await page.evaluate("window.neverLoadedAgain = true")
        return page.url.rpartition("/")[2]

    async def said(self) -> tuple[str, dict[str, int]]:
        """What the page says now: the word for its state, the counts."""
        word, text = await self.page.evaluate(
            "() => { const card = document.querySelector('section.card'); return "
            "[card.querySelector('.badge').innerText, [...card.querySelectorAll('p.soft')].at(-1).innerText]; }"
        )
        counts = {what.rstrip("s"): int(number.replace(",", "")) for number, what in _COUNTS.findall(text)}
        return word.strip().lower(), counts

    async def watch(self) -> tuple[str, int]:
        """Look at the page until it says that it is over. Returns its word, and how many different states it showed."""
        seen: list[tuple[str, dict[str, int]]] = []
        while True:
            now = await self.said()
            if not seen or seen[-1] != now:
                seen.append(now)
            if now[0] in _WORDS.values():
                return now[0], len(seen)
            await asyncio.sleep(0.25)

    async def agrees(self, id: str) -> dict[str, int]:
        """Wait until the page, which was never loaded again, says what the API says; its counts."""
        assert await self.page.evaluate("window.neverLoadedAgain === true"), "the page was loaded again"
        while True:
            told, (word, said) = await self.get(f"/rollouts/{id}"), await self.said()
            done = "renewed" if told["kind"] == "certificates" else "installed"
            wanted = {
                done: told["installed"],
                "failed": told["failed"] + told["silent"],
                "skipped": told["skipped"],
                "under way": told["under_way"],
                "waiting": told["waiting"],
            }
            if told["kind"] == "certificates":
                wanted["with failed session"] = told["session_failures"]
            if word == _WORDS.get(told["status"]) and all(said.get(name) == count for name, count in wanted.items()):
                return said
            await asyncio.sleep(0.5)

    async def picture(self, folder: Path | None, name: str) -> None:
        """Of the page as it is."""
        if folder is not None:
            await self.page.evaluate("scrollTo(0, 0)")
            await self.page.screenshot(path=folder / f"{name}.png", animations="disabled")


def fleet(count: int, *, seed: int = 1, share: float = 0.0, charging: int = 0) -> list[One]:
    """Stations of every version. `share`: how many of a hundred are bad; one in `charging` charges, 0: none does."""
    random = Random(seed)
    bad = set(random.sample(range(count), round(count * share / 100)))
    return [
        One(
            identity=f"WATCH-{number:04d}",
            version=VERSIONS[number % 3],
            fault=random.choice(FAULTS) if number in bad else "",
            charges=bool(charging) and number % charging == 0,
        )
        for number in range(count)
    ]


async def roll_out(desk: Desk, *, at_once: int = 50, pictures: Path | None = None) -> Report:
    """Bring firmware to the fleet, of which some are bad, and watch it stop."""
    begun = asyncio.get_running_loop().time()
    await desk.add_image(NEW)
    id = await desk.begin("a fault in the meter", at_once=at_once)
    word, seen = await desk.watch()
    bad = {one.identity for one in desk.stations if one.fault}
    while True:  # whoever was under way goes on; of the bad ones some never say what became of them
        states = {one["station_id"]: one["state"] for one in await desk.every(f"/rollouts/{id}/stations")}
        under_way = {name for name, state in states.items() if state in ("ordering", "updating")}
        if under_way <= bad:
            break
        await asyncio.sleep(0.5)
    counts = await desk.agrees(id)
    await desk.picture(pictures, "rollout-watched")
    told, truth = await desk.get(f"/rollouts/{id}"), await desk.fleet.truth()
    faults = [*desk.wrong] if word == "stopped" else [*desk.wrong, f"it is {word}, not stopped"]
    for name, one in truth.items():
        state = states[name]
        if (state == "installed") != (one.firmware == NEW):
            faults.append(f"{name}: {state}, and runs {one.firmware}")
        if state in ("failed", "refused", "silent") and name not in bad:
            faults.append(f"{name}: {state} without being a bad one")
        if not one.online and name not in bad:
            faults.append(f"{name}: not connected")
        if any(charge.reason not in ("", "EVDisconnected") for charge in one.sessions):
            faults.append(f"{name}: a session was cut off")
    runs = sum(one.firmware == NEW for one in truth.values())
    if counts["installed"] != runs:
        faults.append(f"the page says {counts['installed']} installed, and {runs} stations run it")
    charging = sum(len(one.sessions) for one in truth.values())
    return Report(
        stations=len(truth),
        bad=len(bad),
        status=told["status"],
        why=told["why"],
        stage=told["stage"],
        counts=counts | {"untouched": sum(state in ("pending", "waiting") for state in states.values())},
        seen=seen,
        sessions=charging,
        seconds=round(asyncio.get_running_loop().time() - begun),
        faults=faults,
    )


async def roll_over(desk: Desk, *, at_once: int = 50, pictures: Path | None = None) -> Report:
    """Give the whole fleet, which charges, new certificates, and watch it to its end."""
    begun = asyncio.get_running_loop().time()
    before = await desk.fleet.truth()
    await desk.page.goto(f"{desk.csms.http}/settings/certificates")
    await desk.page.get_by_role("link", name="Roll over").click()
    id = await desk.begin("our own authority signs from now on", at_once=at_once)
    word, seen = await desk.watch()
    counts = await desk.agrees(id)
    await desk.picture(pictures, "rollover-watched")
    told, truth = await desk.get(f"/rollouts/{id}"), await desk.fleet.truth()
    faults = [*desk.wrong] if word == "done" else [*desk.wrong, f"it is {word}, not done: {told['why']}"]
    shown = {one["station_id"]: one["serial_number"] for one in await desk.every("/certificates")}
    for name, one in truth.items():
        if one.serial == before[name].serial or one.issuer == before[name].issuer:
            faults.append(f"{name}: it has the old certificate")
        if shown.get(name) != one.serial:
            faults.append(f"{name}: it is said to come with {shown.get(name)}, and has {one.serial}")
        if not one.online:
            faults.append(f"{name}: not connected")
        if [charge.reason for charge in one.sessions] != [charge.reason for charge in before[name].sessions]:
            faults.append(f"{name}: its session did not go on")
    if counts["with failed session"]:
        faults.append(f"the page says {counts['with failed session']} with failed sessions")
    if counts["renewed"] != len(truth):
        faults.append(f"the page says {counts['renewed']} renewed of {len(truth)}")
    seconds = round(asyncio.get_running_loop().time() - begun)
    lost, energy = await _sessions(desk, faults)
    return Report(
        stations=len(truth),
        status=told["status"],
        why=told["why"],
        stage=told["stage"],
        counts=counts,
        seen=seen,
        sessions=sum(len(one.sessions) for one in truth.values()),
        energy_wh=energy,
        lost=lost,
        seconds=seconds,
        faults=faults,
    )


async def _sessions(desk: Desk, faults: list[str]) -> tuple[int, int]:
    """End every session and hold it against the meter; (how many are not right, Wh)."""
    await desk.fleet.tell("unplug")
    while True:
        truth = await desk.fleet.truth()
        if not any(one.queued or any(charge.energy_wh is None for charge in one.sessions) for one in truth.values()):
            break
        await asyncio.sleep(0.5)
    wanted = Counter(
        (name, charge.token, charge.register_start, charge.energy_wh)
        for name, one in truth.items()
        for charge in one.sessions
    )
    kept = Counter(
        (one["station_id"], one["token"], one["meter_start_wh"], one["energy_wh"])
        for one in await desk.every("/sessions", status="ended")
    )
    wrong = list((wanted - kept).elements())
    faults += [f"{one[0]}: its session is not kept as the meter has it: {one}" for one in wrong]
    faults += [f"{one[0]}: a session that never was: {one}" for one in (kept - wanted).elements()]
    if len(wanted) != sum(one.charges for one in desk.stations):
        faults.append(f"{len(wanted)} sessions, and {sum(one.charges for one in desk.stations)} stations charge")
    return len(wrong), sum(one[3] for one in kept.elements())


async def thousand(kind: str, stations: int, seed: int) -> Report:
    """The full count, with its picture for the guides."""
    with tempfile.TemporaryDirectory(prefix="pilotwire-watched-") as folder:
        tls = kind == "certificates"
        made = fleet(stations, seed=seed, charging=1) if tls else fleet(stations, seed=seed, share=2, charging=10)
        async with Desk.open(Path(folder), made, tls=tls) as desk:
            return await (roll_over if tls else roll_out)(desk, at_once=100, pictures=PICTURES)
