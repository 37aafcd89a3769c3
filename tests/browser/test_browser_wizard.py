"""Getting a charger connected, in Chromium: the account, what to enter, what arrives, what is wrong when it fails."""

from __future__ import annotations

from playwright.async_api import expect

from pilotwire.domain import facts
from pilotwire.transport.bus import HandshakesAsked, Refused

PHONE = {"width": 390, "height": 844}


async def test_a_charger_is_added_and_comes(locked_site, log_in, walk) -> None:
    tried: list[Refused] = []

    async def recent(asked: HandshakesAsked) -> list[Refused]:
        return [one for one in tried if one.station == asked.station]

    end = locked_site.bus.serve("handshakes.default.>", recent)
    watched = await log_in(locked_site, "olga", "/connect")
    page = watched.page
    await walk.sound(watched)
    await walk.picture(page, "connect")
    await page.fill("[name=id]", "NEW 1:2")
    await page.fill("[name=note]", "behind the hall")
    await page.locator("main form button[type=submit]").click()
    await expect(page.locator("#id-error")).to_be_visible()
    await expect(page.locator("[name=id]")).to_have_value("NEW 1:2")
    await expect(page.locator("[name=note]")).to_have_value("behind the hall")
    await expect(page.locator("[name=id]")).to_have_attribute("aria-invalid", "true")
    await page.fill("[name=id]", "DC-01")
    await page.locator("main form button[type=submit]").click()
    await expect(page.locator("#id-error")).to_contain_text("registered already")
    await page.fill("[name=id]", "NEW-1")
    await page.select_option("[name=site]", "north")
    await page.locator("main form button[type=submit]").click()
    await expect(page.locator("h1")).to_have_text("Connect NEW-1")
    account = await locked_site.store.account(("default", "NEW-1"))
    password = await page.locator("dt", has_text="Password").locator("+ dd code").inner_text()
    assert account.password == f"station:{password}"
    assert (account.site, account.note, account.security_profile) == ("north", "behind the hall", 1)
    await expect(page.locator("dd code").first).to_have_text("ws://localhost:9000/ocpp/NEW-1")
    await expect(page.locator("svg.qr path")).to_have_count(1)
    await walk.sound(watched)
    await walk.picture(page, "connect-guide")
    await expect(page.locator(".waiting")).to_contain_text("Waiting for NEW-1")
    # It comes with a wrong password: the page says so by itself.
    tried.append(
        Refused(
            tenant="default", station="NEW-1", time=locked_site.clock.now(), peer="203.0.113.9:50312", status=401,
            reason="wrong-credential", path="/ocpp/NEW-1", user="NEW-1", offered=("ocpp1.6",),
        )
    )  # fmt: skip
    await expect(page.locator("main [role=alert]")).to_contain_text("The password is wrong")
    await walk.picture(page, "connect-refused")
    # Then it is here.
    locked_site.add("NEW-1", "1.6", "Wall 7", [("Available", "", 0, 0, None, 0)])
    locked_site.commit("NEW-1", facts.StationBooted(event_time=locked_site.clock.now(), vendor="Nordlicht", model="W7"))
    await expect(page.locator("main .note.good")).to_have_text("It is here.")
    await expect(page.locator(".checks")).to_contain_text("First boot")
    assert await walk.axe(page) == []
    await walk.picture(page, "connect-here")
    await page.get_by_role("link", name="Open the station").click()
    await page.wait_for_url("**/stations/NEW-1")
    end()


async def test_the_password_is_shown_once_and_can_be_made_anew(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "olga", "/connect")).page
    await page.fill("[name=id]", "NEW-2")
    await page.locator("main form button[type=submit]").click()
    password = page.locator("dt", has_text="Password").locator("+ dd code")
    first = await password.inner_text()
    await page.goto(locked_site.url + "/connect/NEW-2")
    assert first not in await page.content()
    await page.get_by_role("button", name="Make a new one").click()
    second = await password.inner_text()
    assert second != first
    account = await locked_site.store.account(("default", "NEW-2"))
    assert account.password == f"station:{second}"


async def test_on_a_phone(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga", "/connect", PHONE, dark=True)
    await walk.sound(watched)
    await walk(watched, locked_site, ["/connect/DC-01"])


async def test_who_may_not_register_is_not_offered_it(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "aude", "/stations")).page
    assert await page.locator("[href='/connect']").count() == 0
    answer = await page.request.post(
        locked_site.url + "/connect", form={"id": "X"}, headers={"Origin": locked_site.url}, fail_on_status_code=False
    )
    assert answer.status == 403
