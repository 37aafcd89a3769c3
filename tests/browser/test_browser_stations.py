"""The table of stations in Chromium: found, filtered, sorted, chosen, live; the same as the API says."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import pytest
from playwright.async_api import expect

from pilotwire.domain import facts

PHONE = {"width": 390, "height": 844}


async def api(site: Any, path: str) -> Any:
    def ask() -> Any:
        with urllib.request.urlopen(site.url + "/api/v1" + path, timeout=30) as answer:
            return json.load(answer)

    return await asyncio.to_thread(ask)


async def shown(page: Any) -> list[str]:
    return await page.eval_on_selector_all("tbody tr[data-station]", "rows => rows.map(row => row.dataset.station)")


async def test_the_table_is_the_list_of_the_api(site, watch, walk) -> None:
    watched = await watch(site.url + "/stations")
    page = watched.page
    items = (await api(site, "/stations?limit=100"))["items"]
    assert await shown(page) == [one["id"] for one in items]
    for one in items:
        if one["connected"]:
            power = page.locator(f'[data-station="{one["id"]}"] [data-station-power]')
            assert await power.inner_text() == f"{one['power_w'] / 1000:.1f}"
    await expect(page.locator('[data-station="AC-03"] .state').nth(1)).to_have_text("Paused by the car")
    await expect(page.locator('[data-station="AC-06"] .state')).to_have_text("Charging")
    await expect(page.locator('[data-station="DC-04"] .badge')).to_have_text("offline")
    await expect(page.locator(".pager")).to_contain_text("12 of 12")
    await walk.sound(watched)
    await walk.picture(page, "stations")


async def test_search_filter_and_sort_are_addresses(site, watch) -> None:
    watched = await watch(site.url + "/stations")
    page = watched.page
    await page.evaluate("window.sameDocument = true")
    await page.fill("main input[type=search]", "rapid")
    await expect(page.locator("tbody tr")).to_have_count(4 - 1)
    await page.wait_for_url("**/stations?q=rapid*")
    assert await shown(page) == [one["id"] for one in (await api(site, "/stations?q=rapid"))["items"]]
    await page.select_option("select[name=ocpp_version]", "2.1")
    await expect(page.locator("tbody tr")).to_have_count(1)
    await expect(page.locator("main input[type=search]")).to_have_value("rapid")
    assert await page.evaluate("window.sameDocument")
    await page.goto(site.url + "/stations")
    await page.get_by_role("link", name="Faulted").click()
    await expect(page.locator("tbody tr")).to_have_count(1)
    assert await shown(page) == ["AC-08"]
    await page.goto(site.url + "/stations")
    await page.get_by_role("link", name="Power").click()
    await expect(page.locator("th[aria-sort=ascending]")).to_contain_text("Power")
    await page.get_by_role("link", name="Power").click()
    await expect(page.locator("th[aria-sort=descending]")).to_contain_text("Power")
    ordered = [one["id"] for one in (await api(site, "/stations?sort=-power_w"))["items"]]
    assert (await shown(page))[:3] == ordered[:3] == ["DC-02", "DC-01", "AC-01"]
    await page.goto(site.url + "/stations?q=nothing")
    await expect(page.locator(".empty h2")).to_have_text("No station fits")
    assert watched.wrong == []


async def test_columns_are_chosen_and_kept(site, watch) -> None:
    page = (await watch(site.url + "/stations")).page
    await page.locator("summary[title=Columns]").click()
    await page.get_by_label("Serial number").check()
    await page.get_by_label("Site", exact=True).last.uncheck()
    await page.get_by_role("button", name="Show these").click()
    await expect(page.locator("thead")).to_contain_text("Serial number")
    await page.goto(site.url + "/stations")
    titles = await page.locator("thead th").all_inner_texts()
    assert "Serial number" in [one.strip() for one in titles]
    assert "Site" not in [one.strip() for one in titles]
    await expect(page.locator('[data-station="AC-01"]')).to_contain_text("NL-AC-01")


async def test_rows_change_by_themselves(site, watch) -> None:
    watched = await watch(site.url + "/stations")
    page = watched.page
    site.power("dc-01-1", 61_200, 33_120, 601)
    await expect(page.locator('[data-station="DC-01"] [data-station-power]')).to_have_text("61.2")
    row = page.locator('[data-station="DC-04"]')
    await page.locator('[data-station="AC-01"] input').check()
    site.stations["DC-04"].connected = True
    site.commit("DC-04", facts.StationConnected(event_time=site.clock.now(), ocpp_version="2.1", peer=""))
    await expect(row.locator(".state")).to_have_text("Available")
    await expect(page.locator('[data-station="AC-01"] input')).to_be_checked()
    assert watched.wrong == []


async def test_pages_of_many(empty_site, watch) -> None:
    for number in range(120):
        empty_site.add(f"CP-{number:04}", "1.6", "Wall 7", [("Available", "", 0, 0, None, 0)])
    page = (await watch(empty_site.url + "/stations")).page
    await expect(page.locator(".pager")).to_contain_text("50 of 120")
    seen = await shown(page)
    while await page.get_by_role("link", name="Next page").count():
        first = await page.locator("tbody tr").first.get_attribute("data-station")
        await page.get_by_role("link", name="Next page").click()
        await expect(page.locator("tbody tr").first).not_to_have_attribute("data-station", first)
        seen += await shown(page)
    assert seen == [f"CP-{number:04}" for number in range(120)]
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator("tbody tr").first).to_have_attribute("data-station", "CP-0000")


@pytest.mark.parametrize("name", ["olga", "otto", "aude"])
async def test_people_see_their_stations(locked_site, log_in, walk, name) -> None:
    watched = await log_in(locked_site, name, "/stations")
    page = watched.page
    assert len(await shown(page)) == (3 if name == "otto" else 12)
    assert await page.get_by_role("link", name="Connect a charger").count() == (2 if name == "olga" else 0)
    boxes = await page.locator("tbody input[type=checkbox]").count()
    assert boxes == {"olga": 12, "otto": 0, "aude": 0}[name]
    await walk.sound(watched)


async def test_on_a_phone_and_in_the_dark(site, watch, walk) -> None:
    watched = await watch(site.url + "/stations", PHONE, dark=True)
    await walk.sound(watched)
    await walk.picture(watched.page, "stations-phone")
