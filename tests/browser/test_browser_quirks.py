"""Quirks in Chromium: those of a station with the frame, those of the fleet by model, a remedy set and taken back."""

from __future__ import annotations

from typing import Any

from playwright.async_api import expect
from tests.browser import desk_kit as kit

from pilotwire.domain import facts
from pilotwire.domain.quirks import quirks
from pilotwire.domain.records import QuirkRecord
from pilotwire.storage.port import Entry


def odd(world: Any, name: str, *found: str) -> None:
    """A station of the scene shows quirks."""
    station, now = world.stations[name], world.clock.now()
    station.quirks = {quirk: QuirkRecord(now - 86_400_000, now, station.firmware) for quirk in found}
    said = tuple(facts.QuirkSeen(event_time=now, quirk=quirk) for quirk in found)
    frame = b'[2,"7","StatusNotification",{"connectorId":1,"errorCode":"NoError","status":"Available","info":null}]'
    world.store.append(
        Entry(
            tenant="default",
            station=name,
            recv_time=now,
            epoch=1,
            direction="in",
            frame=frame,
            facts=said,
            touched=(station,),
        )
    )


async def test_the_quirks_of_a_station_and_of_all(locked_site, log_in, walk) -> None:
    odd(locked_site, "AC-01", "null-for-absent", "local-time-as-utc")
    odd(locked_site, "AC-05", "null-for-absent")
    watched = await log_in(locked_site, "olga", "/stations/AC-01/checks")
    page = watched.page
    rows = page.locator("[data-quirk]")
    await expect(rows).to_have_count(2)
    await expect(rows.nth(0)).to_contain_text("Local time called UTC")
    await rows.nth(1).locator("summary").click()
    await expect(rows.nth(1).locator("pre")).to_contain_text('"info":null')
    await page.get_by_role("link", name="Of all stations").click()
    await expect(page.locator("h1")).to_have_text("Quirks")
    await expect(page.locator("[data-quirk]")).to_have_count(2)
    await expect(page.locator("[data-quirk=null-for-absent]")).to_contain_text("2 stations")
    await page.get_by_role("link", name="All that have a name").click()
    await expect(page.locator("[data-quirk]")).to_have_count(len(quirks()))
    await walk(watched, locked_site, ["/quirks", "/quirks?show=all", "/stations/AC-01/checks"])


async def test_a_remedy_is_set_for_a_model_and_taken_back(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "olga", "/quirks")).page
    await page.get_by_role("button", name="Set a remedy for a model").click()
    dialog = page.get_by_role("dialog")
    await dialog.get_by_label("Remedy").select_option("keys-by-name")
    await dialog.get_by_label("Model").fill("Duo 22")
    await dialog.get_by_role("button", name="Set it").click()
    row = page.get_by_role("row", name="Ask for settings by name")
    await expect(row).to_contain_text("Duo 22")
    (kept,) = (await kit.ask(page, "/api/v1/quirk-settings"))["items"]
    assert (kept["remedy"], kept["model"], kept["on"]) == ("keys-by-name", "Duo 22", True)
    await row.get_by_role("button", name="Take back").click()
    await expect(page.get_by_text("None. A remedy is taken by itself")).to_be_visible()
    # Whoever may only read is not offered it, and is refused.
    page = (await log_in(locked_site, "aude", "/quirks")).page
    await expect(page.get_by_role("button", name="Set a remedy for a model")).to_have_count(0)
    assert await kit.refused(page, "/quirks/settings", remedy="keys-by-name", on="on") == 403
