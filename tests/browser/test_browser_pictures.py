"""The pictures of the guides: every page of the console over the same dozen stations.

With PILOTWIRE_SCREENSHOTS=1 they are taken into docs/images/console, otherwise into a folder that goes away.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

import msgspec
from playwright.async_api import expect
from tests.browser import controller_kit, scene
from tests.browser import desk_kit as kit

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.resources import sites

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images" / "console"
GUIDES = ROOT / "docs" / "guide"
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}

PAGES = {
    "overview": "/", "stations": "/stations", "station": "/stations/DC-01",
    "station-sessions": "/stations/DC-01/sessions",
    "station-alarms": "/stations/AC-08/alarms", "configuration": "/stations/DC-01/configuration",
    "commands": "/stations/DC-01/commands", "kept": "/stations/DC-01/kept", "messages": "/stations/DC-01/messages",
    "firmware": "/stations/DC-01/firmware", "station-security": "/stations/DC-01/security",
    "station-certificates": "/stations/DC-01/certificates", "certificates": "/settings/certificates",
    "network": "/stations/DC-01/network", "account": "/stations/DC-01/account", "checks": "/stations/DC-04/checks",
    "limits": "/stations/DC-01/charging", "tariffs": "/access/tariffs", "tariff": "/access/tariffs/night",
    "quirks": "/quirks?show=all", "jobs": "/jobs", "sites": "/sites", "site": "/sites/north",
    "site-plan": "/sites/north/plan",
    "site-live": "/sites/north/live", "site-why": "/sites/north/why?evse=bay-4&hours=1",
    "site-energy": "/sites/north/energy",
    "site-outlook": "/sites/north/outlook", "site-limits": "/sites/north/limits",
    "images": "/firmware", "image": f"/firmware/{kit.IMAGE}", "image-new": "/firmware/new",
    "rollout-new": f"/firmware/{kit.IMAGE}/rollout", "rollout": f"/rollouts/{kit.ROLLOUT}",
    "rollover-new": "/settings/certificates/rollover", "rollover": f"/rollouts/{kit.ROLLOVER}",
    "connect": "/connect", "connect-guide": "/connect/DC-04", "sessions": "/sessions",
    "session": f"/sessions/{kit.SESSION}", "access": "/access", "token": f"/access/tokens/{kit.TOKEN}",
    "groups": "/access/groups", "drivers": "/access/drivers", "import": "/access/import", "alarms": "/alarms",
    "alarm-rules": "/alarms/rules", "alarm-rule": "/alarms/rules/station-offline", "mutes": "/alarms/mutes",
    "notifications": "/alarms/notifications", "reports": "/reports", "outages": "/reports/outages",
    "people": "/settings/people", "roles": "/settings/roles", "keys": "/settings/keys",
    "webhooks": "/settings/webhooks",
    "mail": "/settings/mail", "sign-on": "/settings/sign-on", "security": "/settings/security",
    "retention": "/settings/retention", "audit": "/settings/audit", "tenants": "/settings/tenants",
    "about": "/settings/about", "profile": "/profile", "api": "/api",
}  # fmt: skip
MORE = {"login", "overview-phone", "site-live-phone"}
WATCHED = {"rollout-watched", "rollover-watched", "commissioning"}
"""Those that `python -m tests.soak` takes of a thousand stations, and `test_browser_commissioning`."""


def shown_in_guides() -> set[str]:
    """The names of every picture that a guide shows."""
    return {
        name for guide in GUIDES.glob("*.md") for name in re.findall(r"images/console/([\w-]+)\.png", guide.read_text())
    }


def test_the_guides_show_every_page_and_no_other() -> None:
    assert shown_in_guides() == {*PAGES, *MORE, *WATCHED}
    assert {path.stem for path in PICTURES.glob("*.png")} >= shown_in_guides(), "take them: PILOTWIRE_SCREENSHOTS=1"


async def test_every_page_has_its_picture(locked_site, log_in, watch, walk, tmp_path: Path) -> None:
    folder = PICTURES if os.environ.get("PILOTWIRE_SCREENSHOTS") == "1" else tmp_path
    folder.mkdir(parents=True, exist_ok=True)
    kit.past_session(locked_site)
    kit.things_kept(locked_site)
    kit.limits(locked_site)
    await kit.prices(locked_site)
    await kit.firmware(locked_site)
    await kit.rollover(locked_site)
    await kit.people_with_tokens(locked_site)
    ada = await locked_site.store.user("default", "ada")
    await locked_site.store.put_user(msgspec.structs.replace(ada, role="platform-admin"))

    plan = types.SitePlan(
        width=100,
        height=45,
        shapes=[
            types.PlanShape(kind="road", closed=False, points=[(0, 38), (100, 38)]),
            types.PlanShape(kind="building", label="Hall", points=[(6, 5), (40, 5), (40, 24), (6, 24)]),
            types.PlanShape(kind="parking", label="Rapid chargers", points=[(50, 8), (94, 8), (94, 28), (50, 28)]),
        ],
        places=[
            types.PlanPlace(station_id=name, x=x, y=18) for name, x in (("AC-01", 58), ("AC-02", 70), ("DC-01", 84))
        ],
    )
    await sites.change(locked_site.context, system("default"), "north", types.SiteChange(plan=plan))

    async def take(page: Any, name: str) -> None:
        await walk.settled(page)
        await page.screenshot(path=folder / f"{name}.png", animations="disabled", full_page=name == "site-live")
        assert (folder / f"{name}.png").stat().st_size > 5_000

    async with scene.a_month(locked_site):
        park = await controller_kit.CarPark(locked_site.clock.now() + 420_000, seconds=1_500).start()
        controller_kit.register(locked_site.context, "north", park)
        watched = await watch(locked_site.url + "/login", DESK, live=False)
        await take(watched.page, "login")
        watched = await log_in(locked_site, "ada", "/", DESK)
        page = watched.page
        for name, path in PAGES.items():
            answer = await page.goto(locked_site.url + path)
            assert answer is not None and answer.status == 200, f"{path}: {answer and answer.status}"
            await expect(page.locator("h1")).to_have_count(1)
            if name == "site-why":  # with a moment of the past beside the present
                await page.locator("tbody a").nth(3).click()
            await take(page, name)
        await page.set_viewport_size(PHONE)
        await page.goto(locked_site.url + "/")
        await take(page, "overview-phone")
        await page.goto(locked_site.url + "/sites/north/live")
        await take(page, "site-live-phone")
    assert watched.wrong == []
    assert {path.stem for path in folder.glob("*.png")} >= {*PAGES, *MORE}
