"""The tab of a station that shows what it keeps: nothing, and one of everything."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect
from tests.browser import desk_kit as kit

DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
SECTIONS = [
    "Reservations", "Display messages", "Monitors", "Streams of values", "Grid controls", "Payments", "Battery swaps",
    "Reports in parts", "Also known",
]  # fmt: skip


async def test_what_a_station_keeps(site: Any, watch: Any, walk: Any) -> None:
    kit.things_kept(site)
    watched = await watch(f"{site.url}/stations/AC-01/kept", DESK)
    page = watched.page
    await expect(page.get_by_text("Nothing yet")).to_be_visible()
    await page.goto(f"{site.url}/stations/DC-01/kept")
    await walk.settled(page)
    assert await page.locator("main h2").all_inner_texts() == SECTIONS
    rows = page.locator("section[aria-labelledby=kept-reservations] tbody tr")
    await expect(rows).to_have_count(3)
    await expect(rows.nth(0)).to_contain_text("Waiting")
    await expect(rows.nth(2)).to_contain_text("Nobody came")
    await expect(page.locator("[lang=de]", has_text="Gute Fahrt")).to_be_visible()
    await expect(page.get_by_text("Grid alarm: Freq Droop Under Frequency")).to_be_visible()
    await page.set_viewport_size(PHONE)
    await walk.settled(page)
    assert await page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), "it scrolls sideways"
    await page.set_viewport_size(DESK)
    await walk(watched, site, ["/stations/AC-01/kept", "/stations/DC-01/kept"])
