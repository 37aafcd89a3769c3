"""The live page in Chromium."""

from __future__ import annotations

import asyncio
import json
import re
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import expect

from pilotwire.domain import facts

PHONE = {"width": 390, "height": 844}


async def get(site: Any, path: str) -> Any:
    """The API's own answer."""

    def ask() -> Any:
        with urllib.request.urlopen(site.url + path, timeout=10) as answer:
            return json.load(answer)

    return await asyncio.to_thread(ask)


async def text(page: Any, selector: str) -> str:
    return (await page.locator(selector).inner_text()).strip()


async def test_the_page_shows_what_the_api_says(site, watch) -> None:
    watched = await watch(site.url)
    page = watched.page
    totals = await get(site, "/api/v1/totals")
    assert await text(page, "[data-total=power_w]") == f"{totals['power_w'] / 1000:.1f}"
    assert await text(page, "[data-total=charging_now]") == str(totals["charging_now"]) == "5"
    assert await text(page, "[data-total=energy_today_wh]") == "102.3"
    assert (await text(page, "[data-total=stations_online]"), await text(page, "[data-total=stations]")) == ("11", "12")
    stations = (await get(site, "/api/v1/stations"))["items"]
    assert await page.locator(".card").count() == len(stations) == 12
    for session in (await get(site, "/api/v1/sessions?status=active"))["items"]:
        box = f'[data-session="{session["id"]}"]'
        assert await text(page, f"{box} [data-energy]") == f"{session['energy_wh'] / 1000:.2f}"
        assert await text(page, f"{box} [data-power]") == f"{session['power_w'] / 1000:.1f}"
        assert session["token"] in await text(page, f"{box} .token")
        if session["soc_percent"] is not None:
            assert await text(page, f"{box} [data-soc]") == f"{session['soc_percent']:.0f}"
    assert "Faulted" in await text(page, '[data-station="AC-08"]')
    assert "Ground Failure" in await text(page, '[data-station="AC-08"]')
    assert watched.wrong == []


async def test_numbers_and_curve_move_without_reload(site, watch) -> None:
    watched = await watch(site.url)
    page = watched.page
    await page.evaluate("window.sameDocument = true")
    await page.wait_for_selector('[data-curve="dc-01-1"] canvas')
    picture = "document.querySelector('[data-curve=\"dc-01-1\"] canvas').toDataURL()"
    before = await page.evaluate(picture)
    site.clock.run_for(60_000)
    site.power("dc-01-1", 61_200, 33_120, 601)
    box = page.locator('[data-session="dc-01-1"]')
    await expect(box.locator("[data-power]")).to_have_text("61.2")
    await expect(box.locator("[data-energy]")).to_have_text("33.12")
    assert await text(page, '[data-session="dc-01-1"] [data-soc]') == "60"
    assert await page.evaluate(picture) != before
    totals = await get(site, "/api/v1/totals")
    assert await text(page, "[data-total=power_w]") == f"{totals['power_w'] / 1000:.1f}"
    assert await page.evaluate("window.sameDocument")
    assert watched.wrong == []


async def test_a_session_begins_and_ends_before_our_eyes(site, watch) -> None:
    watched = await watch(site.url)
    page = watched.page
    tile = '[data-station="AC-05"] .tile[data-evse="1"]'
    assert "Available" in await text(page, tile)
    now = site.clock.now()
    site.stations["AC-05"].connectors[0].status = "Occupied"
    site.begin("AC-05", 1, "Charging", 11_020, 40, None, 1)
    begun = facts.SessionStarted(
        event_time=now, session_id="ac-05-1", transaction="t", start_key="k", ocpp_version="2.0.1", evse=1, connector=1
    )
    site.commit("AC-05", begun)
    await page.wait_for_selector(f"{tile}.charging")
    assert await text(page, f"{tile} [data-power]") == "11.0"
    assert await text(page, "[data-total=charging_now]") == "6"
    assert "session started" in await text(page, "#news li:first-child")

    session = site.sessions["ac-05-1"]
    session.status, session.ended_at, session.power_w, session.energy_wh = "ended", now, 0, 90
    connector = site.stations["AC-05"].connectors[0]
    connector.session_id, connector.power_w, connector.status = "", 0, "Available"
    site.commit("AC-05", facts.SessionEnded(event_time=now, session_id="ac-05-1", reason="EVDisconnected"))
    await page.wait_for_selector(f"{tile}.free")
    assert await page.locator(f"{tile} [data-session]").count() == 0
    assert "session ended" in await text(page, "#news li:first-child")
    assert watched.wrong == []


async def test_a_new_station_appears_in_its_place(empty_site, watch) -> None:
    watched = await watch(empty_site.url)
    page = watched.page
    assert "No station yet" in await text(page, "#empty")
    assert "ws://localhost:9000/ocpp/CP-1" in await text(page, "#empty")
    empty_site.add("CP-2", "2.1", "Post 11", [("Available", "", 0, 0, None, 0)])
    await page.wait_for_selector('[data-station="CP-2"]')
    empty_site.add("CP-1", "1.6", "Wall 7", [("Available", "", 0, 0, None, 0)])
    await page.wait_for_selector('[data-station="CP-1"]')
    assert await page.eval_on_selector_all(".card", "cards => cards.map(card => card.dataset.station)") == [
        "CP-1",
        "CP-2",
    ]
    assert not await page.locator("#empty").is_visible()
    assert watched.wrong == []


async def test_the_panel_shows_a_station_and_commands_it(site, watch) -> None:
    watched = await watch(site.url)
    page = watched.page
    await page.get_by_role("button", name="DC-01").click()
    await page.wait_for_selector("#detail .facts")
    shown = await text(page, "#detail")
    for word in ("Nordlicht", "Rapid 150", "3.1.0", "OCPP 2.0.1", "Stop charging"):
        assert word in shown
    await page.wait_for_selector("#detail .curve canvas")
    await page.get_by_role("button", name="Stop charging").click()
    await page.wait_for_selector("#answer .answer.good")
    assert await text(page, "#answer .answer") == "DC-01 will stop charging."
    assert (site.commands[0].action, site.commands[0].payload) == ("stop", {"session": "dc-01-1"})
    session = site.sessions["dc-01-1"]
    session.status, session.ended_at, session.power_w = "ended", site.clock.now(), 0
    connector = site.stations["DC-01"].connectors[0]
    connector.session_id, connector.power_w = "", 0
    site.commit("DC-01", facts.SessionEnded(event_time=0, session_id="dc-01-1", reason="Remote"))
    await expect(page.get_by_role("button", name="Stop charging")).to_have_count(0)
    await expect(page.locator("#detail table")).to_contain_text("31.87 kWh")
    assert await text(page, "#answer .answer") == "DC-01 will stop charging.", "the answer stays"
    await page.keyboard.press("Escape")
    assert not await page.locator("#detail").is_visible()

    await page.get_by_role("button", name="AC-05").click()
    await page.fill("#detail [name=token]", "04A1B2C3")
    await page.select_option("#detail [name=evse]", "2")
    await page.get_by_role("button", name="Start charging").click()
    await page.wait_for_selector("#answer .answer.good")
    assert (site.commands[1].action, site.commands[1].payload) == ("start", {"token": "04A1B2C3", "evse": 2})
    assert watched.wrong == []


async def test_search_and_filters(site, watch) -> None:
    page = (await watch(site.url)).page
    visible = "cards => cards.filter(card => card.checkVisibility()).map(card => card.dataset.station)"
    await page.fill("#search", "rapid")
    assert await page.eval_on_selector_all(".card", visible) == ["DC-01", "DC-03", "DC-04"]
    await page.get_by_role("button", name="Trouble").click()
    assert await page.eval_on_selector_all(".card", visible) == ["DC-03", "DC-04"]
    await page.fill("#search", "nobody")
    assert await page.locator("#nothing").is_visible()


async def test_a_lost_server_is_said_and_found_again(site, watch) -> None:
    page = (await watch(site.url)).page
    port = site.server.port
    await site.server.stop()
    await page.wait_for_selector("#banner", state="visible")
    assert await text(page, "#link-text") == "not connected"
    site.context.closing.clear()
    await site.server.start("127.0.0.1", port)
    await page.wait_for_selector("#link[data-state=live]", timeout=15_000)
    assert not await page.locator("#banner").is_visible()


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("name", ["desk", "phone"])
async def test_looks(site, watch, take_screenshot, tmp_path: Path, name: str, dark: bool) -> None:
    """No sideways scrolling; a picture for people to look at."""
    viewport = PHONE if name == "phone" else {"width": 1440, "height": 900}
    page = (await watch(site.url, viewport, dark=dark)).page
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    await page.get_by_role("button", name="DC-01").click()
    await page.wait_for_selector("#detail .curve canvas")
    wide = await page.evaluate(
        "document.querySelector('#detail').scrollWidth - document.querySelector('#detail').clientWidth"
    )
    assert wide <= 0
    await page.screenshot(path=tmp_path / "panel.png")
    made = await take_screenshot(site.url, tmp_path / "page.png", viewport, dark=dark, whole=name == "phone")
    assert made.stat().st_size > 20_000


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
async def test_accessible(site, watch, dark: bool) -> None:
    """axe finds nothing: landmarks, names, contrast."""
    axe = Path(__file__).parents[2] / "node_modules" / "axe-core" / "axe.min.js"
    assert axe.is_file(), "axe-core is missing: npm ci"
    page = (await watch(site.url, dark=dark)).page
    # The page's own policy forbids foreign scripts; the debugger's evaluation is not bound by it.
    await page.evaluate(axe.read_text("utf-8"))
    for step in ("page", "panel"):
        if step == "panel":
            await page.get_by_role("button", name="DC-01").click()
            await page.wait_for_selector("#detail .curve canvas")
        found = await page.evaluate("axe.run(document, {runOnly: ['wcag2a', 'wcag2aa', 'wcag21aa', 'best-practice']})")
        said = [
            f"{one['id']}: {node['target']} {' '.join(node['failureSummary'].split())}"
            for one in found["violations"]
            for node in one["nodes"]
        ]
        assert said == []


async def test_login_and_reference(locked_site, watch) -> None:
    """A person logs in, looks at the reference, logs out."""
    watched = await watch(locked_site.url, live=False)
    page = watched.page
    assert page.url.endswith("/login?next=%2F")
    await page.fill("[name=name]", "ada")
    await page.fill("[name=password]", "not the password")
    await page.get_by_role("button", name="Log in").click()
    assert await text(page, "[role=alert]") == "Name or password is wrong."
    await page.fill("[name=name]", "ada")
    await page.fill("[name=password]", "a long password")
    await page.get_by_role("button", name="Log in").click()
    await page.wait_for_selector("#link[data-state=live]")
    await page.get_by_role("link", name="API").click()
    assert "POST /api/v1/stations/{station_id}/commands" in re.sub(r"\s+", " ", await text(page, "#sendCommand h3"))
    wide = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert wide == 0
    await page.get_by_role("button", name="Log out").click()
    await page.wait_for_url("**/login")
    await page.goto(locked_site.url + "/")
    assert "/login" in page.url
    assert watched.wrong == []
