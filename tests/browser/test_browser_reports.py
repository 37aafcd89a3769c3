"""Reports in Chromium: figures and plots as the API has them, CSV, outages and what excuses them."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest_asyncio
from playwright.async_api import expect
from tests.api import happenings_kit
from tests.browser import desk_kit as kit
from tests.browser import scene

from pilotwire.console.pages.reports_plot import bars, top_of
from pilotwire.domain import facts

PHONE = {"width": 390, "height": 844}
DAY = 86_400_000


@pytest_asyncio.fixture(loop_scope="session")
async def running(locked_site) -> Any:
    from pilotwire.api.happenings.reporting import Reporting
    from pilotwire.api.workers import Workers

    scene.past_weeks(locked_site, 20, ("AC-01", "DC-01", "AC-05", "DC-02"))
    made = Workers(locked_site.context, [Reporting])
    await made.start()
    reporting = locked_site.context.parts[Reporting]
    await reporting.settle()
    lost = facts.StationDisconnected(event_time=locked_site.clock.now(), code=1006)
    locked_site.stations["DC-01"].connected = False
    locked_site.commit("DC-01", lost)
    await reporting.settle()
    locked_site.clock.run_for(30 * kit.MINUTE)
    locked_site.stations["DC-01"].connected = True
    back = facts.StationConnected(event_time=locked_site.clock.now(), ocpp_version="2.0.1")
    locked_site.commit("DC-01", back)
    await reporting.settle()
    locked_site.clock.run_for(30 * kit.MINUTE)
    await reporting.settle()
    yield locked_site
    await made.stop()


def test_axes_end_at_round_numbers() -> None:
    assert [top_of(value) for value in (0, 0.3, 1, 7, 11, 99, 820, 1001)] == [1, 0.4, 1, 8, 20, 100, 1000, 2000]
    drawn = bars(["a", "b"], [("x", [1, 3]), ("y", [1, 0])], [["", ""], ["", ""]])
    assert [(one.series, one.height) for one in drawn.rects] == [(0, 50), (1, 50), (0, 150)]
    assert drawn.ticks == [4, 3, 2, 1, 0]
    assert bars([], [("x", [])], [[]]).rects == []


def share(value: float | None) -> str:
    return "–" if value is None else "100 %" if value >= 100 else f"{min(round(value, 1), 99.9):.1f} %"


def kwh(wh: int) -> str:
    return f"{(wh + 5) // 10 / 100:.2f}" if wh < 100_000 else f"{(wh + 50) // 100 / 10:,.1f}"


async def test_figures_and_plots_are_the_api_s(running, log_in, walk, tmp_path: Path) -> None:
    watched = await log_in(running, "olga", "/reports")
    page = watched.page

    async def settled() -> Any:
        return (await kit.ask(page, "/api/v1/reports?group=total"))["totals"]["sessions"] >= 80

    await happenings_kit.until(settled, "all sessions are counted")
    await page.reload()
    found = await kit.ask(page, "/api/v1/reports?group=day&limit=400")
    totals = found["totals"]
    await expect(page.locator("[data-figure=energy]")).to_have_text(kwh(totals["energy_wh"]))
    await expect(page.locator("[data-figure=sessions]")).to_have_text(str(totals["sessions"]))
    for name, field in (("use", "utilisation"), ("available", "availability"), ("uptime", "uptime")):
        await expect(page.locator(f"[data-figure={name}]")).to_have_text(share(totals[f"{field}_percent"]))
    by_site = (await kit.ask(page, "/api/v1/reports?group=day&by=site&limit=500"))["items"]
    bars_drawn = page.locator("figure.bars").first.locator("rect")
    assert await bars_drawn.count() == sum(1 for one in by_site if one["energy_wh"] > 0)
    texts = await bars_drawn.locator("title").all_text_contents()
    some = next(one for one in by_site if one["energy_wh"] > 0)
    assert any(f"{kwh(some['energy_wh'])} kWh" in text for text in texts)
    await page.locator("details.card summary").click()
    for one in found["items"][-3:]:
        row = page.locator(f"tr[data-period='{one['begin']}']")
        await expect(row).to_contain_text(f"{kwh(one['energy_wh'])} kWh")
        await expect(row).to_contain_text(share(one["utilisation_percent"]))
    rows = (await kit.ask(page, "/api/v1/reports?group=total&by=site&sort=-energy_wh"))["items"]
    shown = page.locator("tr[data-row]")
    await expect(shown).to_have_count(len(rows))
    await expect(shown.first).to_contain_text(f"{kwh(rows[0]['energy_wh'])} kWh")
    await walk.sound(watched)
    await walk.picture(page, "reports", whole=True)
    await page.locator(".head details.menu summary").click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="By site").click()
    await (await download.value).save_as(tmp_path / "sites.csv")
    sheet = list(csv.DictReader(io.StringIO((tmp_path / "sites.csv").read_text("utf-8-sig"))))
    assert {one["site_id"]: one["energy_wh"] for one in sheet} == {
        one["site_id"]: str(one["energy_wh"]) for one in rows
    }
    await page.goto(running.url + "/reports?begin=2026-01-05&end=2025-12-01")
    await expect(page.locator(".note.bad")).to_contain_text("The first day has to come before the last.")


async def test_outages_are_listed_and_excused(running, log_in) -> None:
    page = (await log_in(running, "olga", "/reports/outages")).page

    async def listed() -> Any:
        return any(one["station_id"] == "DC-01" for one in (await kit.ask(page, "/api/v1/reports/outages"))["items"])

    await happenings_kit.until(listed, "the outage is known")
    await page.reload()
    found = (await kit.ask(page, "/api/v1/reports/outages"))["items"]
    await expect(page.locator("tr[data-outage]")).to_have_count(len(found))
    outage = next(one for one in found if one["station_id"] == "DC-01")
    assert outage["duration_s"] == 1800
    await expect(page.locator(f"tr[data-outage='{outage['id']}']")).to_contain_text("30 min")
    await page.get_by_role("button", name="Excuse a time").click()
    dialog = page.locator("#excuse")
    await dialog.locator("#station_id").fill("DC-99")
    await dialog.locator("#begin").fill("2026-01-01T00:00")
    await dialog.locator("#end").fill("2026-01-03T00:00")
    await dialog.locator("#note").fill("announced")
    await dialog.get_by_role("button", name="Excuse it").click()
    await expect(page.locator("#station_id-error")).to_be_visible()
    await expect(page.locator("#note")).to_have_value("announced")
    await page.fill("#station_id", "DC-01")
    await page.get_by_role("button", name="Excuse it").click()
    await expect(page.locator(".toast")).to_contain_text("do not count any more")
    (made,) = (await kit.ask(page, "/api/v1/reports/exclusions"))["items"]
    assert (made["station_id"], made["reason"], made["by"]) == ("DC-01", "maintenance", "olga")
    again = (await kit.ask(page, "/api/v1/reports/outages"))["items"]
    assert next(one for one in again if one["id"] == outage["id"])["excluded_s"] == 1800
    await page.get_by_role("button", name="Count again").click()
    assert (await kit.ask(page, "/api/v1/reports/exclusions"))["items"] == []


async def test_site_owner_auditor_and_a_phone(running, log_in, walk) -> None:
    watched = await log_in(running, "otto", "/reports?by=station", PHONE, dark=True)
    page = watched.page
    await expect(page.locator("tr[data-row]").first).to_be_visible()
    stations = {
        one for one in await page.locator("tr[data-row]").evaluate_all("all => all.map(one => one.dataset.row)")
    }
    assert stations <= {"AC-01", "AC-02", "DC-01"}
    await walk(watched, running, ["/reports", "/reports?by=station&period=year&group=month", "/reports/outages"])
    await expect(page.get_by_role("button", name="Excuse a time")).to_have_count(0)
    assert await kit.refused(page, "/reports/outages", station_id="AC-01") == 403
    await page.context.clear_cookies()
    page = (await log_in(running, "aude", "/reports/outages")).page
    await expect(page.get_by_role("button", name="Excuse a time")).to_have_count(0)
    assert await kit.refused(page, "/reports/outages", station_id="AC-01") == 403
