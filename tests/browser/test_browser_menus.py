"""Menus of the frame and of tables: the tenant that one works in, views of alarms, news in the reader's language."""

from __future__ import annotations

import msgspec
from playwright.async_api import expect
from tests.browser import desk_kit as kit

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.resources import tenants
from pilotwire.domain import facts


async def test_a_platform_admin_changes_the_tenant_in_the_menu(locked_site, log_in, walk) -> None:
    ada = await locked_site.store.user("default", "ada")
    await locked_site.store.put_user(msgspec.structs.replace(ada, role="platform-admin"))
    desk = msgspec.structs.replace(system("default"), role="platform-admin")
    await tenants.create(locked_site.context, desk, types.NewTenant(id="south", name="South grid"))
    await tenants.create(locked_site.context, desk, types.NewTenant(id="gone", name="Gone"))
    await tenants.change(locked_site.context, desk, "gone", types.TenantChange(suspended=True))
    watched = await log_in(locked_site, "ada")
    page = watched.page
    menu = page.locator("details.menu", has_text="You and this browser")
    await menu.locator("summary").click()
    offered = menu.locator(".tenants button")
    await expect(offered).to_have_count(2)
    await expect(offered.first).to_be_disabled()
    await walk.sound(watched)
    await menu.get_by_role("button", name="South grid").click()
    await expect(page.locator(".toast")).to_have_text("You work in south now.")
    await expect(page.locator(".empty h2")).to_contain_text("No station yet")
    await menu.locator("summary").click()
    await expect(menu.locator(".whoami")).to_contain_text("south")
    await offered.nth(1).click()
    await expect(page.locator("[data-total=stations]").first).to_have_text("12")


async def test_others_are_offered_no_tenant(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "olga")).page
    await page.locator("details.menu summary", has_text="olga").click()
    await expect(page.locator(".whoami")).to_be_visible()
    await expect(page.locator(".tenants")).to_have_count(0)


async def test_a_view_of_alarms_is_kept(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "olga", "/alarms?severity=major&site=north")).page
    menu = page.locator("details.views")
    await menu.locator("summary").click()
    await menu.locator("input[name=name]").fill("Major in the north")
    await menu.get_by_role("button", name="Keep").click()
    await expect(menu.locator("summary")).to_have_text("Major in the north")
    (view,) = (await kit.ask(page, "/api/v1/views?table=alarms"))["items"]
    assert view["query"] == "severity=major&site=north"
    await page.goto(locked_site.url + "/alarms")
    await menu.locator("summary").click()
    await menu.get_by_role("link", name="Major in the north").click()
    await expect(page.locator("select[name=severity]")).to_have_value("major")


async def test_news_and_checks_are_german_on_a_german_page(site, watch) -> None:
    page = (await watch(site.url, locale="de-DE")).page
    await expect(page.locator("#news")).to_contain_text("verbunden mit OCPP 2.0.1")
    said = facts.StationDisconnected(event_time=site.clock.now(), code=1006)
    site.stations["AC-05"].connected = False
    site.commit("AC-05", said)
    await expect(page.locator("#news li").first).to_contain_text("Verbindung verloren (1006)")
    await page.goto(site.url + "/stations/AC-05/checks")
    await expect(page.locator(".checks")).to_contain_text("Sie ist nicht verbunden.")
    await page.goto(site.url + "/stations/NOWHERE")
    await expect(page.locator("h1")).to_have_text("Gibt es nicht: Station")
    # English beside it, of the same moment.
    other = (await watch(site.url)).page
    await expect(other.locator("#news li").first).to_contain_text("connection lost (1006)")
