"""The pages of a site that runs, in Chromium: what they show is what the API says, each second, and when it is away."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest_asyncio
from playwright.async_api import expect
from tests.browser import controller_kit as kit

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.resources import controllers, sites

DESK = {"width": 1440, "height": 900}
PHONE = {"width": 390, "height": 844}
TABS = ("live", "why", "energy", "outlook", "limits")
NORTH = "/sites/north"


@pytest_asyncio.fixture(loop_scope="session")
async def park(site: Any) -> kit.CarPark:
    """The car park as the site north, and a site without a controller."""
    for id in ("north", "bare"):
        await sites.create(site.context, system("default"), types.NewSite(id=id, name=f"Site {id}"))
    made = await kit.CarPark(site.clock.now()).start()
    kit.register(site.context, "north", made)
    return made


async def _now(site: Any) -> types.SiteNow:
    return await controllers.now(site.context, system("default"), "north")


def kw(watts: int) -> str:
    return f"{(watts + 50) // 100 / 10:,.1f}"


async def _until(page: Any, expression: str) -> None:
    """`wait_for_function` evaluates in the page, which the page's policy forbids from its second try on."""
    for _ in range(200):
        if await page.evaluate(expression):
            return
        await page.wait_for_timeout(50)
    raise AssertionError(f"never: {expression}")


async def test_every_tab_is_sound_on_desk_and_phone(site, park, watch, walk) -> None:
    for viewport, dark in ((DESK, False), (PHONE, True)):
        watched = await watch(f"{site.url}{NORTH}/live", viewport, dark=dark)
        await walk(watched, site, [f"{NORTH}/{tab}" for tab in TABS])
        for tab in TABS:
            await watched.page.goto(f"{site.url}{NORTH}/{tab}")
            wide = await watched.page.evaluate("document.documentElement.scrollWidth - innerWidth")
            assert wide <= 0, f"{tab} is wider than {viewport['width']} px"
            await walk.picture(watched.page, f"controller-{tab}-{viewport['width']}", whole=True)


async def test_no_text_of_the_drawings_runs_into_another(site, park, watch) -> None:
    """German words are the longest."""
    watched = await watch(f"{site.url}{NORTH}/live", DESK, locale="de-DE")
    found = await watched.page.evaluate("""[...document.querySelectorAll(".flow, a.evse, .single-line g[id^=x]")]
        .flatMap((group) => {
          const texts = [...group.querySelectorAll("text")].filter((one) => one.textContent.trim());
          const boxes = texts.map((one) => one.getBBox());
          return texts
            .flatMap((one, i) => texts.slice(i + 1).map((other, k) => [one, other, boxes[i], boxes[i + 1 + k]]))
            .filter(([, , a, b]) => a.x < b.x + b.width - 1 && b.x < a.x + a.width - 1
              && a.y < b.y + b.height - 5 && b.y < a.y + a.height - 5)
            .map(([one, other]) => `${one.textContent} / ${other.textContent}`);
        })""")
    assert found == []


async def test_live_shows_what_the_api_says_and_follows_it(site, park, watch) -> None:
    watched = await watch(f"{site.url}{NORTH}/live", DESK)
    page = watched.page
    for _ in range(3):
        park.run_for(20_000)
        now = await _now(site)
        await expect(page.locator("#heard")).to_contain_text("decides each second")
        for key, watts in (("grid", now.flows.grid_w), ("cars", now.flows.cars_w), ("pv", now.flows.pv_w)):
            assert watts is not None
            await expect(page.locator(f"#flows .{key}")).to_contain_text(f"{kw(abs(watts))} kW")
        for place, one in enumerate(now.evses):
            box = page.locator(f"#e{place}")
            await expect(box).to_contain_text(one.id)
            assert one.power_w is not None
            await expect(box).to_contain_text(f"{kw(one.power_w)} kW")
            if one.unit == "mA" and one.set_point:
                await expect(box).to_contain_text(f"may {one.set_point // 1000} A")
        for place, node in enumerate(now.nodes):
            if node.metered:
                shown = await page.locator(f"#n{place}").text_content()
                for limit in node.limits:
                    if limit.what != "power":
                        digits = 0 if limit.value >= 100_000 or limit.value % 1_000 == 0 else 1
                        assert f"of {limit.value / 1000:.{digits}f} A" in shown and limit.source[:20] in shown
        window = now.windows[0]
        await expect(page.locator("#w0")).to_contain_text(f"{kw(window.forecast_w)} kW expected")
        await expect(page.locator("#w0")).to_contain_text(f"{kw(window.target_w)} kW target")
    assert watched.wrong == []


async def test_the_list_is_for_small_screens_and_for_who_wants_it(site, park, watch) -> None:
    page = (await watch(f"{site.url}{NORTH}/live", PHONE)).page
    await expect(page.locator(".single-line")).to_be_hidden()
    await expect(page.locator("#le0")).to_be_visible()
    await page.set_viewport_size(DESK)  # type: ignore[arg-type]
    await expect(page.locator(".tree")).to_be_hidden()
    await page.get_by_role("link", name="List", exact=True).click()
    await expect(page.locator(".single-line")).to_have_count(0)
    await expect(page.locator("#le0")).to_be_visible()


async def test_a_depot_of_200_folds_and_unfolds(site, park, watch, walk) -> None:
    depot = await kit.CarPark(site.clock.now(), text=kit.large(), seconds=15).start()
    kit.register(site.context, "north", depot)
    watched = await watch(f"{site.url}{NORTH}/live", DESK)
    page = watched.page
    await expect(page.locator(".fold")).to_have_count(8)
    assert await page.locator(".single-line .dot-box").count() == 200
    assert await page.locator(".single-line .evse").count() == 0
    depot.run_for(5_000)
    now = await _now(site)
    charging = sum(one.charging for one in now.evses if one.node == "row-1")
    await expect(page.locator(".fold").first).to_contain_text(f"{charging} Charging" if charging else "Unfold")
    await page.locator(".fold").first.focus()
    await page.keyboard.press("Enter")
    await expect(page.locator(".single-line .evse")).to_have_count(25)
    await walk.sound(watched)
    await walk.picture(page, "controller-depot", whole=True)


async def test_who_clicks_an_evse_hears_why_now_and_at_any_moment_of_the_past(site, park, watch) -> None:
    watched = await watch(f"{site.url}{NORTH}/live", DESK)
    page = watched.page
    await page.locator(".evse", has_text="bay-4").click()
    await expect(page).to_have_url(re.compile(r"/why\?evse=bay-4$"))
    now = await _now(site)
    one = next(each for each in now.evses if each.id == "bay-4")
    await expect(page.locator("#why .answer")).to_have_text(re.compile(r"^bay-4: it (may give|is paused)"))
    await expect(page.locator("#why li")).to_have_count(len(one.why) - 1)
    shown = page.locator("table.data tbody tr")
    changes = await park.changes("bay-4", site.clock.now() - 6 * kit.HOUR, site.clock.now())
    await expect(shown).to_have_count(min(len(changes), 100))
    at = park.said[150][0].now.utc_ms
    then = next(each for each in (await park.at(at)).now.picture.evses if each.id == "bay-4")
    from pilotwire.core.time import to_rfc3339

    await page.goto(f"{site.url}{NORTH}/why?evse=bay-4&at={to_rfc3339(at).replace('+', '%2B')}")
    await expect(page.locator("#past")).to_contain_text("the same as recorded")
    value = f"{then.set_point // 1000} A" if then.set_point else "paused"
    await expect(page.locator("#past .figures b").first).to_have_text(value)
    await page.goto(f"{site.url}{NORTH}/why?evse=bay-4&at=2020-01-01T00:00")
    await expect(page.locator(".note")).to_contain_text("the record begins later")
    await page.goto(f"{site.url}{NORTH}/why?evse=bay-4&at=never")
    await expect(page.locator(".note")).to_contain_text("That is no time")


async def test_a_day_in_figures_is_that_of_the_api(site, park, watch) -> None:
    begin = site.clock.now() - 13 * kit.HOUR  # midnight in Berlin
    park.run_for(130_000)
    watched = await watch(f"{site.url}{NORTH}/energy", DESK)
    page = watched.page
    span = (site.context, system("default"), "north", begin, begin + 24 * kit.HOUR)
    course = await controllers.course(*span, 900)
    minutes = await controllers.course(*span, 60)  # a quarter that is known in part is no whole one
    drawn = sum(max(0, step.grid_w) for step in minutes.steps if step.grid_w is not None) * 60 // 3600
    await expect(page.locator("[data-figure=drawn]")).to_have_text(f"{(drawn + 50) // 100 / 10:.1f}")
    known = [step for step in course.steps if step.grid_w is not None]
    assert await page.locator("[data-step]").count() == len(known) == 53
    peaks = await controllers.peaks(site.context, system("default"), "north", begin, begin + 24 * kit.HOUR)
    await expect(page.locator("[data-peak]")).to_have_text(kw(peaks[0].peak_w))
    await expect(page.locator(".causes li")).to_have_count(3)
    async with page.expect_download() as got:
        await page.locator("summary", has_text="CSV").click()
        await page.get_by_role("link", name="Power of this day").click()
    file = await (await got.value).path()
    assert len(file.read_text().splitlines()) == len(course.steps) + 1
    await page.get_by_label("The day before").click()
    await expect(page).to_have_url(re.compile("day=2025-12-31"))
    await expect(page.locator("[data-step]")).to_have_count(96)
    for odd in ("9999-99-99", "<b>", "2030-01-01", "0001-01-01"):
        answer = await page.goto(f"{site.url}{NORTH}/energy?day={odd}")
        assert answer.status == 200


async def test_plan_and_outcome_name_every_car(site, park, watch) -> None:
    page = (await watch(f"{site.url}{NORTH}/outlook", DESK, live=False)).page
    await expect(page.locator("[data-car]")).to_have_count(2)
    await expect(page.locator("[data-car=bay-7]")).to_contain_text("4.30 kWh")
    await expect(page.locator("[data-car=bay-7]")).to_contain_text("it leaves before there is room on deck-2")
    await expect(page.locator(".site-course figure")).to_have_count(5)


async def test_limits_say_who_set_them(site, park, watch) -> None:
    page = (await watch(f"{site.url}{NORTH}/limits", DESK)).page
    now = await _now(site)
    await expect(page.locator("#limits tr")).to_have_count(len(now.limits))
    text = await page.locator("#limits").inner_text()
    assert {"fuse", "grid code", "quiet hours", "lease of the shop"} <= set(re.split(r"[\n\t]", text))
    await page.get_by_role("link", name="Binding now").click()
    await expect(page.locator("#limits tr.binding")).to_have_count(sum(one.binding for one in now.limits) or 0)


async def test_a_site_that_goes_away_says_when_it_was_last_heard_and_comes_back(site, park, watch) -> None:
    watched = await watch(f"{site.url}{NORTH}/live", DESK)
    page = watched.page
    park.leave()
    await expect(page.locator("#heard")).to_contain_text("The site was last heard at")
    await expect(page.locator("#heard")).to_contain_text("cannot be reached")
    other = await watch(f"{site.url}{NORTH}/energy", DESK, live=False)
    await expect(other.page.locator("#away")).to_contain_text("The site was last heard at")
    for tab in TABS:
        answer = await other.page.goto(f"{site.url}{NORTH}/{tab}")
        assert answer.status == 200
        await expect(other.page.locator("#away")).to_contain_text("cannot be reached")
    park.leave(gone=False)
    await expect(page.locator("#heard")).to_contain_text("decides each second")
    assert watched.wrong == [] and other.wrong == []


async def test_times_are_those_of_the_site_wherever_one_looks_from(site, park, watch) -> None:
    """The browser is in another zone than the site."""
    watched = await watch(f"{site.url}{NORTH}/why?evse=bay-4", DESK, zone="America/New_York")
    page = watched.page
    assert await page.evaluate("Intl.DateTimeFormat().resolvedOptions().timeZone") == "America/New_York"
    park.run_for(2_000)
    now = await _now(site)
    at = datetime.fromisoformat(now.time).astimezone(ZoneInfo("Europe/Berlin"))
    await expect(page.locator("#heard")).to_contain_text(f"last heard {at:%H:%M:%S}")
    await expect(page.locator("#zone")).to_have_text("Times of Europe/Berlin")
    since = await page.locator("table.data tbody tr time").first.text_content()
    assert re.fullmatch(r"Jan 1, 1[23]:\d\d:\d\d", since or ""), since
    assert (await page.locator("[name=at]").input_value()).startswith("2026-01-01T13:")
    await page.goto(f"{site.url}{NORTH}/live")
    end = datetime.fromisoformat(now.windows[0].end).astimezone(ZoneInfo("Europe/Berlin"))
    await expect(page.locator("#w0")).to_contain_text(f"ends at {end:%H:%M:%S}")


async def test_the_palette_and_the_list_of_sites_lead_to_it(site, park, watch) -> None:
    page = (await watch(f"{site.url}/sites", DESK)).page
    await expect(page.locator("tr", has_text="Site bare").locator("td").nth(1)).to_have_text("none")
    link = page.locator("tr", has_text="Site north").get_by_role("link", name="running")
    await expect(link).to_have_attribute("href", f"{NORTH}/live")
    park.leave()
    await page.reload()
    await expect(page.locator("tr", has_text="Site north").locator("td").nth(1)).to_have_text("cannot be reached")
    park.leave(gone=False)
    for typed, found in (("north why", ["why"]), ("site north", list(TABS)), ("site bare", [])):
        answer = await page.request.get(f"{site.url}/ui/palette?q={typed}")
        assert re.findall(r'href="/sites/(\w+/\w+)"', await answer.text()) == [f"north/{tab}" for tab in found]


async def test_nothing_is_sent_while_nobody_looks(site, park, watch) -> None:
    registry = controllers.Controllers.of(site.context)
    page = (await watch(f"{site.url}{NORTH}/live", DESK)).page
    await expect(page.locator("#heard")).to_contain_text("decides each second")
    assert registry.watching == 1
    hide = """yes => { Object.defineProperty(document, "hidden", { value: yes, configurable: true });
        document.dispatchEvent(new Event("visibilitychange", { bubbles: true })); }"""
    await page.evaluate(hide, True)
    await _until(page, "live.stream.readyState === 2")
    await page.evaluate(hide, False)
    await _until(page, "live.stream.readyState === 1")
    park.run_for(30_000)
    grid = (await _now(site)).flows.grid_w
    await expect(page.locator("#flows .grid")).to_contain_text(f"{kw(abs(grid or 0))} kW")


async def test_a_site_without_a_controller_says_how_to_get_one(site, park, watch, walk) -> None:
    watched = await watch(f"{site.url}/sites/bare/live", DESK, live=False)
    await expect(watched.page.locator("h2").first).to_have_text("No controller shows this site")
    await expect(watched.page.locator("main")).to_contain_text("pilotwire site check site.yaml")
    await walk.sound(watched)
    answer = await watched.page.goto(f"{site.url}/sites/bare/limits")
    assert answer.status == 200
    await watched.page.goto(f"{site.url}/sites/bare")
    await expect(watched.page.locator(".tabs [aria-current]")).to_have_text("The place")
    await watched.page.goto(f"{site.url}/sites/nowhere/live")
    assert await watched.page.locator("h1").inner_text()


async def test_it_speaks_german(site, park, watch) -> None:
    page = (await watch(f"{site.url}{NORTH}/why?evse=bay-4", DESK, locale="de-DE")).page
    await expect(page.locator("#heard")).to_contain_text("entscheidet jede Sekunde")
    await expect(page.locator("#why .answer")).to_have_text(re.compile(r"^bay-4: (darf|ist angehalten)"))
    park.run_for(3_000)
    await expect(page.locator("#why")).to_contain_text("die Ladestation sagt")
    said = await page.locator("#why").inner_text()
    assert not re.search(r"\b(because|above it|allowed|the charger)\b", said), said


async def test_who_owns_another_site_does_not_see_this_one(locked_site, log_in) -> None:
    made = await kit.CarPark(locked_site.clock.now(), seconds=10).start()
    kit.register(locked_site.context, "south", made)
    page = (await log_in(locked_site, "otto", "/sites")).page
    for tab in TABS:
        answer = await page.goto(f"{locked_site.url}/sites/south/{tab}")
        assert answer.status == 404
        answer = await page.request.get(f"{locked_site.url}/ui/sites/south/{tab}")
        assert answer.status == 404
