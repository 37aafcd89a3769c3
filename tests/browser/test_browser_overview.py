"""The overview in Chromium: its numbers are the API's, they move, it knows sites, and people see their own part."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import pytest
from playwright.async_api import expect

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.resources import sites
from pilotwire.domain import facts

PHONE = {"width": 390, "height": 844}


async def api(site: Any, path: str) -> Any:
    """The API's own answer."""

    def ask() -> Any:
        with urllib.request.urlopen(site.url + "/api/v1" + path, timeout=30) as answer:
            return json.load(answer)

    return await asyncio.to_thread(ask)


async def test_numbers_are_those_of_the_api(site, watch, walk) -> None:
    watched = await watch(site.url)
    page = watched.page
    totals = await api(site, "/totals")
    assert await page.locator("[data-total=power_w]").inner_text() == f"{totals['power_w'] / 1000:.1f}"
    assert await page.locator("#energy-today").inner_text() == f"{totals['energy_today_wh'] / 1000:.1f}"
    for name in ("charging_now", "connectors", "stations", "stations_online", "connectors_faulted"):
        assert await page.locator(f"[data-total={name}]").inner_text() == str(totals[name]), name
    running = (await api(site, "/sessions?status=active"))["items"]
    assert await page.locator("tr[data-session]").count() == len(running) == 7
    for session in running:
        row = page.locator(f'[data-session="{session["id"]}"]')
        assert await row.locator("[data-power]").inner_text() == f"{session['power_w'] / 1000:.1f}"
        assert await row.locator("[data-energy]").inner_text() == f"{session['energy_wh'] / 1000:.2f}"
        if session["soc_percent"] is not None:
            assert await row.locator("[data-soc]").inner_text() == f"{session['soc_percent']:.0f}"
    assert await page.locator(".mark").count() == 12
    assert await page.locator(".mark.charging").count() == 5
    assert await page.locator(".mark.fault title").text_content() == "AC-08 · faulted"
    await walk.sound(watched)
    await walk.picture(page, "overview")


async def test_numbers_move_without_reload(site, watch) -> None:
    await sites.create(site.context, system("default"), types.NewSite(id="north", name="North"))
    watched = await watch(site.url)
    page = watched.page
    await page.evaluate("window.sameDocument = true")
    site.clock.run_for(60_000)
    site.power("dc-01-1", 61_200, 33_120, 601)
    row = page.locator('[data-session="dc-01-1"]')
    await expect(row.locator("[data-power]")).to_have_text("61.2")
    await expect(row.locator("[data-energy]")).to_have_text("33.12")
    await expect(row.locator("[data-soc]")).to_have_text("60")
    totals = await api(site, "/totals")
    await expect(page.locator("[data-total=power_w]")).to_have_text(f"{totals['power_w'] / 1000:.1f}")
    # The tile and the table of sites say the same energy, without any change of state.
    await expect(page.locator("#energy-today")).to_have_text(f"{totals['energy_today_wh'] / 1000:.1f}", timeout=15_000)
    table = page.locator("section:has(#sites-title) tbody td:last-child")
    parts = [float(text.removesuffix(" kWh").replace(",", "")) for text in await table.all_inner_texts()]
    assert sum(parts) == pytest.approx(totals["energy_today_wh"] / 1000, abs=0.051 * len(parts))
    # A session that ends goes from the list, and is news.
    session, connector = site.sessions["dc-01-1"], site.stations["DC-01"].connectors[0]
    session.status, session.ended_at, session.power_w = "ended", site.clock.now(), 0
    connector.status, connector.session_id, connector.power_w = "Available", "", 0
    site.commit("DC-01", facts.SessionEnded(event_time=site.clock.now(), session_id="dc-01-1", reason="EVDisconnected"))
    await expect(row).to_have_count(0)
    await expect(page.locator("#news")).to_contain_text("session ended (ev disconnected)")
    await expect(page.locator(".mark.charging")).to_have_count(4)
    assert await page.evaluate("window.sameDocument")
    assert watched.wrong == []


async def test_the_first_run_says_what_to_do_and_a_station_appears(empty_site, watch, walk) -> None:
    watched = await watch(empty_site.url)
    page = watched.page
    await expect(page.locator(".empty h2")).to_have_text("No station yet: connect one")
    await walk.sound(watched)
    empty_site.add("CP-1", "1.6", "Wall 7", [("Available", "", 0, 0, None, 0)])
    await expect(page.locator(".mark")).to_have_count(1)
    await expect(page.locator(".empty")).to_have_count(0)
    assert watched.wrong == []


@pytest.mark.parametrize("name", ["olga", "otto", "aude"])
async def test_people_see_their_part(locked_site, log_in, walk, name) -> None:
    watched = await log_in(locked_site, name)
    page = watched.page
    stations = "3" if name == "otto" else "12"
    await expect(page.locator("[data-total=stations]")).to_have_text(stations)
    marks = await page.locator(".mark").count()
    assert marks == (1 if name == "otto" else 2)
    await expect(page.locator("main")).to_contain_text("North depot")
    await expect(page.locator("tr", has_text="South park")).to_have_count(0 if name == "otto" else 1)
    if name == "otto":
        assert await page.locator("[data-total=charging_now]").inner_text() == "3"
    await walk.sound(watched)


async def test_power_stands_against_the_limit_of_the_sites(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "olga")).page
    load = page.locator("progress[data-load]")
    assert await load.get_attribute("max") == "1000000"
    assert await load.get_attribute("value") == "419820"
    north = page.locator("tr", has_text="North depot")
    await expect(north).to_contain_text("171.2 kW")
    await expect(north).to_contain_text("34 %")


async def test_a_site_has_its_plan(locked_site, log_in, walk) -> None:
    plan = types.SitePlan(
        width=100,
        height=60,
        shapes=[types.PlanShape(kind="building", label="Hall", points=[(10, 5), (60, 5), (60, 25), (10, 25)])],
        places=[types.PlanPlace(station_id="DC-01", x=20, y=45), types.PlanPlace(station_id="GONE", x=1, y=1)],
    )
    await sites.change(locked_site.context, system("default"), "north", types.SiteChange(plan=plan))
    watched = await log_in(locked_site, "olga", "/?site=north")
    page = watched.page
    await expect(page.locator("#map-title")).to_have_text("Site plan")
    await expect(page.locator(".shape.building")).to_have_count(1)
    await expect(page.locator(".drawing .label")).to_have_text("Hall")
    assert await page.locator(".mark").count() == 3  # the placed one, and two that stand below the plan
    at = page.locator('[data-mark="DC-01"] rect')
    side = float(await at.get_attribute("width"))
    assert (float(await at.get_attribute("x")) + side / 2, float(await at.get_attribute("y")) + side / 2) == (200, 450)
    await walk.sound(watched)
    await walk.picture(page, "site")
    await page.locator('[data-mark="DC-01"]').click()
    await page.wait_for_url("**/stations/DC-01")


async def test_the_map_zooms_by_mouse_and_keyboard(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga")
    page = watched.page
    drawing = page.locator("#drawing")

    async def width() -> float:
        return float((await drawing.get_attribute("viewBox")).split()[2])

    whole = await width()
    await page.get_by_role("button", name="Closer").click()
    near = await width()
    assert near < whole
    await drawing.focus()
    await page.keyboard.press("+")
    assert await width() < near
    left = (await drawing.get_attribute("viewBox")).split()[0]
    await page.keyboard.press("ArrowRight")
    assert float((await drawing.get_attribute("viewBox")).split()[0]) > float(left)
    await page.keyboard.press("0")
    assert await width() == whole
    await drawing.hover()
    await page.mouse.wheel(0, -200)
    await expect(drawing).not_to_have_attribute("viewBox", "0.00 0.00 1000.00 560.00")
    # What is drawn anew keeps the part that is looked at.
    before = await drawing.get_attribute("viewBox")
    locked_site.stations["AC-08"].connectors[0].status = "Available"
    told = facts.ConnectorStatusChanged(event_time=locked_site.clock.now(), evse=1, connector=1, status="Available")
    locked_site.commit("AC-08", told)
    await expect(page.locator("[data-total=connectors_faulted]")).to_have_text("0")
    assert await drawing.get_attribute("viewBox") == before
    assert watched.wrong == []


async def test_on_a_phone(site, watch, walk) -> None:
    watched = await watch(site.url, PHONE, dark=True)
    await walk.sound(watched)
    await walk.picture(watched.page, "overview-phone")


async def test_thousands_of_stations_are_not_drawn_one_by_one(empty_site, watch) -> None:
    for number in range(1_300):
        empty_site.add(f"CP-{number:04}", "1.6", "Wall 7", [("Available", "", 0, 0, None, 0)])
    page = (await watch(empty_site.url)).page
    await expect(page.locator("[data-total=stations]")).to_have_text("1,300")
    assert await page.locator(".mark").count() == 0
    await expect(page.locator("main .note")).to_contain_text("give them sites")
