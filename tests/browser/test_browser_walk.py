"""The whole day of an operator in Chromium, before a real `pilotwire run`; then every page as every role.

A station is added by the wizard, a simulated charger (a process of its own) connects and is seen, a variable of it is
changed, a session is started and stopped from the console, an alarm comes by webhook and by e-mail, sessions are
exported. Then operator, site owner and auditor open every page that they may, on a desk and on a phone.
"""

from __future__ import annotations

import asyncio
import email
import os
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from email import policy
from pathlib import Path
from typing import Any, NamedTuple

import pytest_asyncio
from aiosmtpd.controller import Controller
from playwright.async_api import Page, expect
from tests.api.happenings_kit import Receiver
from tests.cli.cli_kit import raw_station
from tests.interop import csms_process

from pilotwire.cli import runfile
from pilotwire.client import AsyncClient, types

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
PASSWORD = "a long password"
CARD = "04A1B2C3D4"
PEOPLE = {"olga": "operator", "otto": "site-owner", "aude": "auditor"}
STATION, FAULTY, ELSEWHERE = "GATE-1", "GATE-2", "YARD-1"


class Mailbox:
    """What a real SMTP server took."""

    def __init__(self) -> None:
        self.messages: list[Any] = []

    async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
        self.messages.append(email.message_from_bytes(envelope.content, policy=policy.default))
        return "250 OK"


class World(NamedTuple):
    server: csms_process.Csms
    client: AsyncClient
    hook: Receiver
    mailbox: Mailbox

    @property
    def url(self) -> str:
        return self.server.http


@pytest_asyncio.fixture(loop_scope="session")
async def world(tmp_path: Path) -> AsyncIterator[World]:
    server = await asyncio.to_thread(
        csms_process.start, tmp_path / "data", "--no-demo", "--allow-private-webhooks", command="run"
    )
    hook = await Receiver().start()
    mailbox = Mailbox()
    smtp = Controller(mailbox, hostname="127.0.0.1", port=csms_process.free_port())
    smtp.start()
    run = runfile.read(server.data)
    assert run is not None
    try:
        async with AsyncClient(server.http, run.key) as client:
            made = World(server, client, hook, mailbox)
            await furnish(made, smtp.port)
            yield made
    finally:
        smtp.stop()
        await hook.stop()
        server.process.terminate()
        await asyncio.to_thread(server.process.wait, 30)


async def furnish(world: World, smtp: int) -> None:
    """People, a site, a card, where alarms go: what an admin has set up before."""
    c = world.client
    await c.create_site(types.NewSite(id="gate", name="Gate", latitude=52.54, longitude=13.38, power_limit_w=60_000))
    await c.create_site(types.NewSite(id="yard", name="Yard", latitude=52.47, longitude=13.44))
    for name, role in PEOPLE.items():
        sites = ["gate"] if role == "site-owner" else types.NewUser(name="x", password=PASSWORD).sites
        await c.put_user(types.NewUser(name=name, password=PASSWORD, role=role, sites=sites))  # type: ignore[arg-type]
    await c.put_token(types.NewToken(token=CARD, note="van 12"))
    await c.create_station(types.NewStation(id=ELSEWHERE, site="yard"))
    mail = types.NewMailServer(host="127.0.0.1", port=smtp, security="none", sender="pilotwire@example.com")
    await c.set_mail_server(mail)
    hook = await c.create_webhook(types.NewWebhook(name="Dispatch", url=world.hook.url, events=["notification"]))
    for name, channel in (("Desk", "email"), ("Dispatch", "webhook")):
        await c.create_subscription(
            types.NewSubscription(
                name=name,
                channel=channel,  # type: ignore[arg-type]
                to=["desk@example.com"] if channel == "email" else [],
                webhook_id=hook.webhook.id if channel == "webhook" else None,
                min_severity="warning",
                digest_min=0,
            )
        )


Watch = Callable[..., Awaitable[Any]]


async def enter(watch: Watch, world: World, name: str, path: str = "/") -> Any:
    """That page, through the login form."""
    watched = await watch(world.url + path, DESK, live=False)
    await watched.page.fill("input[name=name]", name)
    await watched.page.fill("input[name=password]", PASSWORD)
    await watched.page.click("main button[type=submit]")
    await expect(watched.page.locator(".shell")).to_be_visible()
    return watched


async def until(holds: Callable[[], Any], what: str) -> Any:
    end = asyncio.get_running_loop().time() + 90
    while asyncio.get_running_loop().time() < end:
        found = holds()
        if isinstance(found, Awaitable):
            found = await found
        if found:
            return found
        await asyncio.sleep(0.1)
    raise AssertionError(f"not within 90 s: {what}")


async def test_a_day_of_an_operator_and_every_page_of_everybody(world: World, watch: Watch, walk: Any, tmp_path: Path):
    watched = await enter(watch, world, "olga")
    page: Page = watched.page
    password = await add_by_wizard(page, world)
    charger = subprocess.Popen(
        [
            sys.executable, "-m", "pilotwire", "station", "--url", world.server.ocpp, "--id", STATION, "--no-card",
            "--version", "2.0.1", "--password", password, "--quiet",
        ],
        env=os.environ,
    )  # fmt: skip
    try:
        await see_it_connect(page)
        await change_a_variable(page, world)
        session = await start_and_stop(page, world)
        await hear_of_an_alarm(page, world)
        await export(page, world, session, tmp_path)
        assert [one for one in watched.wrong if "status of 422" not in one] == []  # the wizard's first try
        await watched.page.context.close()
        await asyncio.gather(*(every_page(watch, walk, world, name, session) for name in PEOPLE))
    finally:
        charger.terminate()
        await asyncio.to_thread(charger.wait, 20)


async def add_by_wizard(page: Page, world: World) -> str:
    """Its password, as the wizard shows it this once."""
    await page.goto(world.url + "/connect")
    await page.fill("#id", "GATE:1")
    await page.select_option("#site", "gate")
    await page.click("main form button.primary")
    await expect(page.locator("#id-error")).to_be_visible()
    await expect(page.locator("#site")).to_have_value("gate")
    await page.fill("#id", STATION)
    await page.click("main form button.primary")
    await expect(page.locator("main h1")).to_contain_text(STATION)
    await expect(page.locator(".enter figure svg")).to_be_visible()
    shown = page.locator(".entries div", has_text="AuthorizationKey").locator("code").first
    password = (await shown.inner_text()).strip()
    details = await world.client.get_station_details(STATION)
    await expect(page.locator(".entries")).to_contain_text(details.url)
    assert len(password) >= 16
    return password


async def see_it_connect(page: Page) -> None:
    """The wizard sees the first handshake, boot and connectors by itself."""
    arrived = page.locator("[aria-labelledby=live-title]")
    await expect(arrived).to_contain_text("It is here.", timeout=90_000)
    for step in ("Connected", "First boot", "Connectors"):
        await expect(arrived.locator(".checks li.good", has_text=step)).to_be_visible(timeout=90_000)
    await page.get_by_role("link", name="Open the station").click()
    await expect(page.locator("main h1")).to_contain_text(STATION)


async def change_a_variable(page: Page, world: World) -> None:
    """Found by its name, described, changed; the API has the new value."""
    await page.goto(f"{world.url}/stations/{STATION}/configuration")
    if not await page.locator("table.variables").count():
        await page.get_by_role("button", name="Read anew").click()

    async def reported() -> bool:
        page_of = await world.client.list_variables(STATION, q="HeartbeatInterval")
        return any(one.value for one in page_of.items)

    await until(reported, "the report of its variables")
    await page.goto(f"{world.url}/stations/{STATION}/configuration?q=HeartbeatInterval")
    await page.get_by_role("button", name="Change HeartbeatInterval").click()
    await expect(page.locator("#command-body h2")).to_contain_text("HeartbeatInterval")
    await page.fill("#command-body [name=value]", "432")
    await page.locator("#command-body button.primary").click()
    await expect(page.locator("table.variables")).to_contain_text("432")
    found = (await world.client.list_variables(STATION, q="HeartbeatInterval")).items
    assert [one.value for one in found if one.variable == "HeartbeatInterval"] == ["432"]


async def start_and_stop(page: Page, world: World) -> str:
    """A session from the console; what is shown is what the API says. Its id."""
    await page.goto(f"{world.url}/stations/{STATION}")
    await page.locator(".connector").get_by_role("button", name="Start").click()
    await page.fill("#command-body [name=token]", CARD)
    await page.locator("#command-body button.primary").click()
    shown = page.locator(".connector [data-session]")
    await expect(shown).to_be_visible(timeout=90_000)
    session = str(await shown.get_attribute("data-session"))

    async def draws() -> bool:
        return (await world.client.get_session(session)).power_w > 1000

    await until(draws, "the car draws power")
    running = await world.client.get_session(session)
    assert (running.token, running.station_id, running.status) == (CARD, STATION, "active")
    await same(lambda: shown.locator("[data-power]").inner_text(), lambda: power_of(world, session))
    await page.goto(world.url + "/")
    await page.wait_for_selector("#link[data-state=live]")
    await same(lambda: page.locator("[data-total=power_w]").first.inner_text(), lambda: total_power(world))

    await page.goto(f"{world.url}/stations/{STATION}")
    await page.locator(".connector").get_by_role("button", name="Stop").click()
    await page.locator("#command-body button.primary").click()

    async def ended() -> bool:
        return (await world.client.get_session(session)).status == "ended"

    await until(ended, "the end of the session")
    await page.goto(f"{world.url}/sessions/{session}")
    told = await world.client.get_session(session)
    await expect(page.locator(".under-head")).to_contain_text("Ended")
    shown_energy = await page.locator("[data-energy]").first.inner_text()
    assert shown_energy == f"{(told.energy_wh + 5) // 10 / 100:.2f}"
    return session


async def same(shown: Callable[[], Awaitable[str]], told: Callable[[], Awaitable[str]]) -> None:
    """The page and the API say the same, at a moment at which the API says it before and after."""
    async with asyncio.timeout(90):
        while True:
            before = await told()
            here = await shown()
            if before == await told() == here.replace(",", "").strip():
                return
            await asyncio.sleep(0.1)


async def power_of(world: World, session: str) -> str:
    return f"{((await world.client.get_session(session)).power_w + 50) // 100 / 10:.1f}"


async def total_power(world: World) -> str:
    return f"{((await world.client.get_totals()).power_w + 50) // 100 / 10:.1f}"


async def hear_of_an_alarm(page: Page, world: World) -> None:
    """A connector fails: an e-mail, a webhook, a line under Alarms, which is acknowledged."""
    made = await world.client.create_station(types.NewStation(id=FAULTY, site="gate"))

    def fail() -> None:
        with raw_station(world.server.ocpp, FAULTY, made.password) as station:
            station.boot()
            status = {"connectorId": 1, "status": "Faulted", "errorCode": "GroundFailure"}
            station.call("StatusNotification", status)

    await asyncio.to_thread(fail)
    mail = await until(lambda: [one for one in world.mailbox.messages if FAULTY in str(one)], "the e-mail")
    assert mail[0]["To"] == "desk@example.com" and mail[0]["Subject"]
    await until(lambda: [one for one in world.hook.events if FAULTY in str(one)], "the webhook")
    headers, _ = world.hook.requests[0]
    assert any("signature" in name for name in headers), headers

    alarm = (await world.client.list_alarms(station=FAULTY, state="open")).items[0]
    await page.goto(world.url + "/alarms")
    await expect(page.locator("main")).to_contain_text(FAULTY)
    await page.goto(f"{world.url}/alarms/{alarm.id}")
    await page.locator("form[action$=acknowledge] button").click()
    await expect(page.locator(".toast")).to_be_visible()
    seen = await world.client.get_alarm(alarm.id)
    assert seen.acknowledged_by == "olga"


async def export(page: Page, world: World, session: str, folder: Path) -> None:
    """The file is what the API gives."""
    await page.goto(world.url + "/sessions")
    await page.locator("details.export summary, details.menu summary", has_text="Export").first.click()
    async with page.expect_download() as coming:
        await page.get_by_role("link", name="CSV").first.click()
    file = folder / "sessions.csv"
    await (await coming.value).save_as(file)
    lines = file.read_text("utf-8").splitlines()
    assert lines[0].startswith("id,") and any(session in line for line in lines[1:])
    assert lines == (await world.client.export_sessions(format="csv").read()).decode().splitlines()


async def fits(page: Page) -> bool:
    """Curves are drawn anew a moment after the width has changed."""
    return await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


def places(session: str, alarm: str) -> list[str]:
    """Every page of the console."""
    station = f"/stations/{STATION}"
    return [
        "/", "/stations", station,
        *(f"{station}/{part}" for part in (
            "sessions", "alarms", "configuration", "commands", "messages", "firmware", "security", "network", "account",
            "certificates", "checks", "kept", "charging",
        )),
        "/sites", "/sites/new", "/sites/gate", "/sites/gate/plan",
        *(f"/sites/gate/{part}" for part in ("live", "why", "energy", "outlook", "limits")),
        "/connect", f"/connect/{STATION}", "/jobs", "/sessions", f"/sessions/{session}",
        "/access", "/access/tokens/new", f"/access/tokens/{CARD}", "/access/groups", "/access/tariffs",
        "/access/drivers",
        "/access/drivers/new", "/access/import", "/alarms", f"/alarms/{alarm}", "/alarms/rules", "/alarms/rules/new",
        "/alarms/rules/station-offline", "/alarms/mutes", "/alarms/notifications", "/alarms/notifications/new",
        "/firmware", "/firmware/new", "/reports", "/reports/outages", "/quirks", "/settings", "/settings/people",
        "/settings/people/new", "/settings/people/olga",
        "/settings/roles", "/settings/keys", "/settings/webhooks", "/settings/webhooks/new", "/settings/mail",
        "/settings/sign-on", "/settings/security", "/settings/certificates", "/settings/certificates/rollover",
        "/settings/retention",
        "/settings/audit", "/settings/tenants",
        "/settings/about", "/profile", "/api",
    ]  # fmt: skip


async def every_page(watch: Watch, walk: Any, world: World, name: str, session: str) -> None:
    """Each page answers 200, or 403 in plain words to whoever may not see it; none has an error or a serious fault."""
    alarm = (await world.client.list_alarms(station=FAULTY)).items[0].id
    watched = await enter(watch, world, name)
    page: Page = watched.page
    may: set[str] = set()
    faults: list[str] = []
    """All of them, so that one run tells everything."""
    for path in places(session, alarm):
        if path == "/api" and name != "olga":
            continue  # long, and the same for everybody
        await page.set_viewport_size(DESK)  # type: ignore[arg-type]
        answer = await page.goto(world.url + path)
        assert answer is not None and answer.status in (200, 403), f"{name} {path}: {answer and answer.status}"
        assert "script-src 'self'" in answer.headers["content-security-policy"]
        if answer.status == 403:
            watched.wrong.clear()  # Chromium itself notes the status
        else:
            may.add(path)
            assert ELSEWHERE not in await page.content() or name != "otto", f"{name} sees {ELSEWHERE} on {path}"
        await expect(page.locator("h1")).to_have_count(1)
        try:
            if name == "olga":
                await walk.sound(watched)
            await page.set_viewport_size(PHONE)  # type: ignore[arg-type]
            await until(lambda: fits(page), f"{path} fits a phone")
            await walk.sound(watched)
        except AssertionError as fault:
            faults.append(f"{name} {path}: {fault}")
            watched.wrong.clear()
    assert faults == []
    linked = await page.eval_on_selector_all(".side nav a", "links => links.map(one => new URL(one.href).pathname)")
    assert set(linked) - {"/api"} <= may, "the navigation offers only what may be opened"
    everybody = {"/", "/stations", "/sessions", f"/sessions/{session}", f"/stations/{STATION}", "/alarms", "/reports"}
    assert everybody <= may, f"{name} may not see {everybody - may}"
    if name != "olga":
        assert "/connect" not in may and "/access/tokens/new" not in may
    shown = await page.evaluate("fetch('/api/v1/stations').then(answer => answer.json())")
    assert (ELSEWHERE in [one["id"] for one in shown["items"]]) == (name != "otto")
    await page.context.close()
