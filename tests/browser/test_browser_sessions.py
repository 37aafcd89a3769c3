"""Sessions in Chromium: the list, one session's page, live numbers, stopping, exports, and what who may do."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest_asyncio
from playwright.async_api import expect
from tests.browser import desk_kit as kit

PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session")
async def desk(locked_site) -> Any:
    """The dozen, and a session of the past with everything in it."""
    kit.past_session(locked_site)
    await kit.people_with_tokens(locked_site)
    return locked_site


def kwh(wh: int) -> str:
    return f"{(wh + 5) // 10 / 100:.2f}"


async def test_the_list_is_what_the_api_says(desk, log_in, walk) -> None:
    watched = await log_in(desk, "olga", "/sessions")
    page = watched.page
    found = await kit.ask(page, "/api/v1/sessions?count=true")
    rows = page.locator("tbody tr[data-session]")
    await expect(rows).to_have_count(len(found["items"]))
    for number, one in enumerate(found["items"]):
        row = rows.nth(number)
        assert await row.get_attribute("data-session") == one["id"]
        await expect(row.locator("[data-energy]")).to_have_text(kwh(one["energy_wh"]))
        await expect(row).to_contain_text(one["station_id"])
        await expect(row).to_contain_text(one["token"])
        if one["status"] == "active":
            await expect(row.locator("[data-power]")).to_have_text(f"{one['power_w'] / 1000:.1f}")
    past = page.locator(f"tr[data-session='{kit.SESSION}']")
    await expect(past).to_contain_text("Charge level reached")
    await expect(past.locator(".odd")).to_contain_text("Messages missing, Started offline")
    await expect(page.locator("[data-sum-count]")).to_have_text(str(found["total"]))
    energy = sum(one["energy_wh"] for one in found["items"])
    await expect(page.locator("[data-sum-energy]")).to_have_text(f"{(energy + 50) // 100 / 10:.1f}")
    await walk.sound(watched)
    await walk.picture(page, "sessions")


async def test_filters_sort_and_search_stay_in_the_address(desk, log_in) -> None:
    page = (await log_in(desk, "olga", "/sessions")).page
    rows = page.locator("tbody tr[data-session]")
    await page.get_by_role("link", name="Running").click()
    await expect(page).to_have_url(f"{desk.url}/sessions?status=active")
    active = await kit.ask(page, "/api/v1/sessions?status=active")
    await expect(rows).to_have_count(len(active["items"]))
    await page.goto(desk.url + "/sessions")
    await page.fill("input[name=q]", "dc-01")
    await expect(rows).to_have_count(2)
    assert "q=dc-01" in page.url
    await page.locator(".more-filters summary").click()
    await page.select_option("select[name=stop_reason]", "SOCLimitReached")
    await expect(rows).to_have_count(1)
    await page.reload()
    await expect(rows).to_have_count(1)
    await expect(page.locator("select[name=stop_reason]")).to_have_value("SOCLimitReached")
    await page.goto(desk.url + "/sessions?sort=-energy_wh")
    energies = [one["energy_wh"] for one in (await kit.ask(page, "/api/v1/sessions?sort=-energy_wh"))["items"]]
    assert await rows.locator("[data-energy]").all_inner_texts() == [kwh(one) for one in energies]
    await page.goto(desk.url + "/sessions?q=nobody")
    await expect(page.locator(".empty h2")).to_have_text("No session fits")


async def test_a_view_is_kept_found_again_and_forgotten(desk, log_in) -> None:
    page = (await log_in(desk, "aude", "/sessions?status=ended&sort=-energy_wh")).page
    menu = page.locator(".views")
    await menu.locator("summary").click()
    await expect(menu.get_by_text("for all")).to_have_count(0)  # only who may change stations shares views
    await menu.locator("input[name=name]").fill("Ended, most first")
    await menu.get_by_role("button", name="Keep").click()
    await expect(menu.locator("summary")).to_have_text("Ended, most first")
    (view,) = (await kit.ask(page, "/api/v1/views?table=sessions"))["items"]
    assert (view["query"], view["owner"]) == ("status=ended&sort=-energy_wh", "aude")
    await page.goto(desk.url + "/sessions")
    await menu.locator("summary").click()
    await menu.get_by_role("link", name="Ended, most first").click()
    await expect(page).to_have_url(f"{desk.url}/sessions?status=ended&sort=-energy_wh")
    await menu.locator("summary").click()
    await menu.get_by_role("button", name="Forget Ended, most first").click()
    await expect(page.locator(".toast")).to_contain_text("The view is forgotten.")
    assert (await kit.ask(page, "/api/v1/views"))["items"] == []


async def test_a_session_tells_what_happened_and_why(desk, log_in, walk) -> None:
    watched = await log_in(desk, "olga", f"/sessions/{kit.SESSION}")
    page = watched.page
    one = await kit.ask(page, f"/api/v1/sessions/{kit.SESSION}")
    await expect(page.locator("[data-energy]")).to_have_text(kwh(one["energy_wh"]))
    await expect(page.locator("[data-soc]")).to_have_text(f"{one['soc_percent']:.0f}")
    why = page.locator(".why")
    await expect(why).to_contain_text("Cable plugged in")
    await expect(why).to_contain_text("The battery had reached the level that was asked for.")
    await expect(page.locator(".flags")).to_contain_text("Some messages of this session have not come")
    events = (await kit.ask(page, f"/api/v1/sessions/{kit.SESSION}/events"))["items"]
    lines = page.locator("#timeline li")
    await expect(lines).to_have_count(len(events))
    await expect(lines.filter(has_text="Paused by the station")).to_have_count(1)
    await expect(lines.filter(has_text="Too hot")).to_contain_text("the power is cut")
    # Every curve that the API has is drawn, and shows its newest value.
    series = (await kit.ask(page, f"/api/v1/sessions/{kit.SESSION}/curves"))["series"]
    await expect(page.locator("[data-plots=drawn]")).to_be_visible()
    assert await page.locator(".plot:visible canvas").count() == len({one["kind"].split("-")[0] for one in series}) == 5
    power = next(one for one in series if one["kind"] == "power")
    await expect(page.locator("[data-kinds^=power] [data-values]")).to_contain_text(
        f"{power['values'][-1] / 1000:.1f} kW"
    )
    label = await page.locator("[data-kinds^=power] .plot-body").get_attribute("aria-label")
    assert f"{max(power['values']) / 1000:.1f} kW" in label
    # The table of readings comes when it is scrolled to, and goes on.
    await page.locator("#samples").scroll_into_view_if_needed()
    samples = (await kit.ask(page, f"/api/v1/sessions/{kit.SESSION}/samples"))["items"]
    await expect(page.locator("#sample-rows tr")).to_have_count(len({one["time"] for one in samples}))
    first = [one for one in samples if one["time"] == samples[0]["time"]]
    register = next(one["value"] for one in first if one["measurand"] == "Energy.Active.Import.Register")
    await expect(page.locator("#sample-rows tr").first.locator("td").nth(1)).to_have_text(f"{register / 1000:,.3f}")
    await expect(page.locator("#sample-rows tr").first).to_contain_text("Session begins")
    await walk.sound(watched)
    await page.evaluate("scrollTo(0, 0)")
    await walk.picture(page, "session", whole=True)


async def test_a_running_session_moves_and_is_stopped(desk, log_in, walk) -> None:
    watched = await log_in(desk, "olga", "/sessions/dc-02-1")
    page = watched.page
    await page.wait_for_selector("#link[data-state=live]")
    await page.evaluate("window.sameDocument = true")
    desk.clock.run_for(30_000)
    desk.power("dc-02-1", 199_900, 24_110, 402)
    await expect(page.locator(".totals [data-power]")).to_have_text("199.9")
    await expect(page.locator(".totals [data-energy]")).to_have_text("24.11")
    await expect(page.locator(".totals [data-soc]")).to_have_text("40")
    assert await page.evaluate("window.sameDocument")
    now = await kit.ask(page, "/api/v1/sessions/dc-02-1")
    assert (now["power_w"], now["energy_wh"]) == (199_900, 24_110)
    await page.get_by_role("button", name="Stop charging").click()
    await page.locator("#confirm button[value=yes]").click()
    await expect(page.locator("#answer")).to_contain_text("DC-02 will stop charging.")
    assert (desk.commands[-1].action, desk.commands[-1].payload) == ("stop", {"session": "dc-02-1"})
    session = desk.sessions["dc-02-1"]
    session.status, session.ended_at, session.power_w, session.stop_reason = "ended", desk.clock.now(), 0, "Remote"
    from pilotwire.domain import facts

    ended = facts.SessionEnded(event_time=desk.clock.now(), session_id="dc-02-1", reason="Remote")
    desk.commit("DC-02", ended)
    await expect(page.locator(".why")).to_contain_text("Stopped remotely")
    await expect(page.get_by_role("button", name="Stop charging")).to_have_count(0)
    assert watched.wrong == []


async def test_exports_hold_what_the_list_holds(desk, log_in, tmp_path: Path) -> None:
    page = (await log_in(desk, "aude", "/sessions?status=ended")).page
    found = (await kit.ask(page, "/api/v1/sessions?status=ended"))["items"]
    files: dict[str, bytes] = {}
    for kind in ("CSV", "JSON Lines", "Parquet"):
        await page.locator(".head summary", has_text="Export").click()
        async with page.expect_download() as download:
            await page.get_by_role("link", name=kind).click()
        path = tmp_path / kind
        await (await download.value).save_as(path)
        files[kind] = path.read_bytes()
        await page.keyboard.press("Escape")
    rows = list(csv.DictReader(io.StringIO(files["CSV"].decode("utf-8-sig"))))
    assert [row["id"] for row in rows] == [one["id"] for one in found] == [kit.SESSION]
    assert rows[0]["energy_wh"] == str(found[0]["energy_wh"])
    assert json.loads(files["JSON Lines"].splitlines()[0])["id"] == kit.SESSION
    table = pyarrow.parquet.read_table(io.BytesIO(files["Parquet"]))
    assert table.column("id").to_pylist() == [kit.SESSION]
    await page.goto(f"{desk.url}/sessions/{kit.SESSION}")
    await page.locator(".head summary", has_text="Export").click()
    async with page.expect_download() as download:
        await page.get_by_role("link", name="CSV").click()
    await (await download.value).save_as(tmp_path / "samples.csv")
    samples = list(csv.DictReader(io.StringIO((tmp_path / "samples.csv").read_text("utf-8-sig"))))
    assert len(samples) == len((await kit.ask(page, f"/api/v1/sessions/{kit.SESSION}/samples?limit=100000"))["items"])


async def test_a_site_owner_sees_the_own_site_and_an_auditor_stops_nothing(desk, log_in) -> None:
    page = (await log_in(desk, "otto", "/sessions")).page
    shown = {text.split()[0] for text in await page.locator("tbody tr td:nth-child(2)").all_inner_texts()}
    assert shown == {"AC-01", "AC-02", "DC-01"}
    answer = await page.goto(desk.url + "/sessions/dc-02-1")
    assert answer.status == 404
    await page.goto(desk.url + "/sessions/ac-01-1")
    await expect(page.get_by_role("button", name="Stop charging")).to_be_visible()
    assert await kit.refused(page, "/ui/sessions/dc-02-1/stop") == 404
    assert desk.commands == []
    await page.context.clear_cookies()
    page = (await log_in(desk, "aude", "/sessions/ac-01-1")).page
    await expect(page.locator("h1")).to_have_text("Session at AC-01")
    await expect(page.get_by_role("button", name="Stop charging")).to_have_count(0)
    assert await kit.refused(page, "/ui/sessions/ac-01-1/stop") == 403
    assert desk.commands == []


async def test_on_a_phone_in_the_dark(desk, log_in, walk) -> None:
    watched = await log_in(desk, "otto", "/sessions", PHONE, dark=True)
    await walk(watched, desk, ["/sessions", "/sessions?odd=1", f"/sessions/{kit.SESSION}"])
    await expect(watched.page.locator("[data-plots=drawn]")).to_be_visible()
    await walk.picture(watched.page, "session-phone")
