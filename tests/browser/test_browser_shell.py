"""The frame of every page in Chromium: navigation, palette, shortcuts, theme, language, errors, offline."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import expect

STATIC = Path(__file__).resolve().parents[2] / "src/pilotwire/console/static"
PHONE = {"width": 390, "height": 844}
WALL = {"width": 2560, "height": 1440}


def test_own_script_is_small() -> None:
    own = sum(path.stat().st_size for path in STATIC.glob("*.js"))
    whole = own + sum(path.stat().st_size for path in STATIC.glob("vendor/*.js"))
    assert own < 30_000
    assert whole < 120_000


@pytest.mark.parametrize(
    ("name", "offered", "missing"),
    [
        ("olga", {"Overview", "Stations", "Sessions", "Access", "Settings", "Connect a charger"}, set()),
        ("otto", {"Overview", "Stations", "Sessions", "Alarms"}, {"Access", "Connect a charger", "Settings"}),
        ("aude", {"Overview", "Stations", "Access", "Settings"}, {"Connect a charger"}),
    ],
)
async def test_people_are_offered_what_they_may_open(locked_site, log_in, name, offered, missing) -> None:
    page = (await log_in(locked_site, name)).page
    texts = {text.strip() for text in await page.locator(".side nav a span").all_inner_texts()}
    assert offered <= texts
    assert not missing & texts


async def test_what_may_not_be_opened_is_refused_readably(locked_site, log_in) -> None:
    watched = await log_in(locked_site, "aude")
    page = watched.page
    answer = await page.goto(locked_site.url + "/connect")
    assert answer.status == 403
    await expect(page.locator("h1")).to_have_text("Your role does not allow that")
    await expect(page.locator("main")).to_contain_text("stations:write")
    await expect(page.get_by_role("link", name="To the overview")).to_be_visible()


async def test_the_login_leads_back_to_the_page(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "olga", "/stations/DC-01/network")).page
    assert page.url.endswith("/stations/DC-01/network")
    await expect(page.locator("h1")).to_contain_text("DC-01")


async def test_palette_goes_anywhere_by_keyboard(site, watch, walk) -> None:
    watched = await watch(site.url)
    page = watched.page
    await page.keyboard.press("Control+k")
    await expect(page.locator("#palette")).to_be_visible()
    await expect(page.locator("#palette-list [role=option]").first).to_contain_text("Overview")
    await page.keyboard.type("dc-02")
    await expect(page.locator("#palette-list [role=option]").first).to_contain_text("DC-02")
    assert await walk.axe(page) == []
    await expect(page.locator("#palette-list")).to_contain_text("Restart the station: DC-02")
    await page.keyboard.press("ArrowDown")
    await page.keyboard.press("ArrowUp")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/stations/DC-02")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("no such thing")
    await expect(page.locator("#palette-list")).to_contain_text("Nothing fits")
    await page.keyboard.press("Escape")
    await expect(page.locator("#palette")).to_be_hidden()
    assert watched.wrong == []


async def test_a_command_from_the_palette_opens_its_dialog(site, watch) -> None:
    page = (await watch(site.url)).page
    await page.keyboard.press("Control+k")
    await page.keyboard.type("restart dc-01")
    await page.locator("#palette-list").get_by_text("Restart the station: DC-01").click()
    await expect(page.locator("#command h2")).to_contain_text("Restart the station")


async def test_a_command_alone_is_meant_for_the_station_that_is_looked_at(site, watch) -> None:
    page = (await watch(site.url)).page
    await page.keyboard.press("Control+k")
    await page.keyboard.type("reset")
    await expect(page.locator("#palette-list")).to_contain_text("Restart the station: AC-01")
    await page.goto(f"{site.url}/stations/DC-01/network")
    await page.keyboard.press("Control+k")
    await page.keyboard.type("rest")
    await expect(page.locator("#palette-list [role=option]")).to_have_text(["Restart the station: DC-01"])


async def test_shortcuts_and_skip_link(site, watch) -> None:
    page = (await watch(site.url)).page
    await page.keyboard.press("Tab")
    await expect(page.locator(".skip")).to_be_focused()
    await page.keyboard.press("Enter")
    await expect(page.locator("#main")).to_be_focused()
    await page.keyboard.press("?")
    await expect(page.locator("#help")).to_be_visible()
    await page.keyboard.press("Escape")
    await page.keyboard.press("g")
    await page.keyboard.press("s")
    await page.wait_for_url("**/stations")
    await page.keyboard.press("j")
    await page.keyboard.press("j")
    row = page.locator("main tr[data-href]").nth(1)
    await expect(row).to_be_focused()
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/stations/*")


async def test_theme_and_language_are_kept(site, watch, walk) -> None:
    watched = await watch(site.url)
    page = watched.page
    ground = "getComputedStyle(document.body).backgroundColor"
    light = await page.evaluate(ground)
    await page.locator(".bar .menu summary").click()
    await page.get_by_role("button", name="Dark").click()
    await page.wait_for_selector("#link[data-state=live]", state="attached")
    assert await page.evaluate(ground) != light
    assert await page.locator("html").get_attribute("data-theme") == "dark"
    assert await walk.axe(page) == []
    await page.locator(".bar .menu summary").click()
    await page.get_by_role("button", name="Deutsch").click()
    await expect(page.locator(".side nav a").nth(1)).to_have_text("Ladestationen")
    assert await page.locator("html").get_attribute("lang") == "de"
    await expect(page.locator("[data-total=power_w]")).to_have_text("419,8")
    await page.goto(site.url + "/api")
    assert await page.locator("html").get_attribute("data-theme") == "dark"
    assert watched.wrong == []


async def test_the_browser_says_the_language_and_the_zone(site, watch) -> None:
    page = (await watch(site.url + "/stations/DC-01", locale="de-DE", zone="Europe/Berlin")).page
    await expect(page.locator(".tabs a").first).to_have_text("Jetzt")
    booted = page.locator("dt:text-is('Gestartet') + dd time")
    await expect(booted).to_have_text("1. Jan., 08:00")  # 07:00 in UTC


async def test_errors_are_pages_for_people_and_problems_for_programs(site, watch, walk) -> None:
    watched = await watch(site.url)
    page = watched.page
    answer = await page.goto(site.url + "/no/such/page")
    assert answer.status == 404
    await expect(page.locator("h1")).to_have_text("There is no such thing")
    assert await walk.axe(page) == []
    answer = await page.goto(site.url + "/stations/NOBODY")
    assert answer.status == 404
    await expect(page.locator("main")).to_contain_text("NOBODY")
    plain = await page.request.get(site.url + "/api/v1/stations/NOBODY")
    assert plain.status == 404
    assert plain.headers["content-type"].startswith("application/problem+json")
    plain = await page.request.get(site.url + "/no/such/page", headers={"Accept": "application/json"})
    assert (await plain.json())["status"] == 404


async def test_a_lost_server_is_told_and_found_again(site, watch) -> None:
    page = (await watch(site.url)).page
    port = site.server.port
    await site.server.stop()
    await expect(page.locator("#banner")).to_be_visible()
    await expect(page.locator("#link-text")).to_have_text("not connected")
    site.context.closing.clear()
    await site.server.start("127.0.0.1", port)
    await expect(page.locator("#banner")).to_be_hidden()
    await page.wait_for_selector("#link[data-state=live]", state="attached")


async def test_on_a_phone_the_menu_is_a_drawer(site, watch, walk) -> None:
    watched = await watch(site.url, PHONE)
    page = watched.page
    await expect(page.locator(".side")).not_to_be_visible()
    await page.get_by_role("button", name="Menu").click()
    await expect(page.locator(".side nav a").first).to_be_focused()
    await page.keyboard.press("Escape")
    await expect(page.locator(".side")).not_to_be_visible()
    await page.get_by_role("button", name="Menu").click()
    await page.get_by_role("link", name="Stations").click()
    await page.wait_for_url("**/stations")
    await walk.sound(watched)


async def test_on_a_wall_the_frame_is_gone_and_letters_are_large(site, watch, walk) -> None:
    watched = await watch(site.url + "/?wall", WALL)
    page = watched.page
    await expect(page.locator(".side")).to_be_hidden()
    size = await page.evaluate("parseFloat(getComputedStyle(document.documentElement).fontSize)")
    assert size > 22
    await walk.sound(watched)


async def test_preferences_lead_nowhere_else(site, watch) -> None:
    page = (await watch(site.url)).page
    answer = await page.request.post(
        site.url + "/ui/preferences",
        form={"theme": "dark", "next": "https://elsewhere.example/"},
        headers={"Origin": site.url},
        max_redirects=0,
    )
    assert (answer.status, answer.headers["location"]) == (303, "/")
