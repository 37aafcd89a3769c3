"""Logging in as people do it: name kept, second step, provider, one's own account, a phone too."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyotp
import pytest
from playwright.async_api import Error, expect
from tests.api.test_api_oidc import RealProvider
from tests.crypto.tls_kit import kept

from pilotwire.api.https import Https
from pilotwire.api.server import ApiServer
from pilotwire.console.app import create_app
from pilotwire.crypto.certificates import make_own

PASSWORD = "a long password"
PHONE = {"width": 390, "height": 844}


async def test_the_name_is_kept_and_the_page_comes_back(locked_site: Any, watch: Any, walk: Any) -> None:
    watched = await watch(f"{locked_site.url}/stations?q=AC", live=False)
    page = watched.page
    assert page.url.endswith("/login?next=%2Fstations%3Fq%3DAC")
    await walk.sound(watched)
    await page.fill("[name=name]", "olga")
    await page.fill("[name=password]", "not hers")
    await page.click("button.primary")
    await expect(page.get_by_role("alert")).to_contain_text("Name or password is wrong")
    assert await page.input_value("[name=name]") == "olga" and "olga" not in page.url
    await expect(page.locator("[name=password]")).to_be_focused()
    await walk.sound(watched)
    await walk.picture(page, "login")
    await page.fill("[name=password]", PASSWORD)
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/stations?q=AC")


async def test_over_https_with_a_certificate_of_ones_own(locked_site: Any, browser: Any, tmp_path: Path) -> None:
    files = kept(tmp_path, make_own(["localhost"], now=datetime.now(UTC)))
    https = locked_site.context.https = Https(*files)
    server = ApiServer(create_app(locked_site.context), https=https)
    await server.start("127.0.0.1", 0)
    url = f"https://localhost:{server.port}"
    careful, trusting = await browser.new_context(), await browser.new_context(ignore_https_errors=True)
    try:
        with pytest.raises(Error, match="ERR_CERT_AUTHORITY_INVALID"):
            await (await careful.new_page()).goto(url)
        page = await trusting.new_page()
        await page.goto(f"{url}/stations")
        await page.fill("[name=name]", "ada")
        await page.fill("[name=password]", PASSWORD)
        await page.click("button.primary")
        await page.wait_for_selector("#link[data-state=live]", state="attached")  # what is streamed comes, too
        (cookie,) = [one for one in await trusting.cookies() if one["name"].startswith("__Host-")]
        assert cookie["secure"] and cookie["httpOnly"]
        await page.goto(f"{url}/settings/about")
        for fingerprint in https.shown.fingerprints:
            shown = page.get_by_text(re.compile(":?".join(re.findall("..", fingerprint)), re.IGNORECASE))
            await expect(shown).to_be_visible()
        await page.set_viewport_size(PHONE)
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    finally:
        await careful.close()
        await trusting.close()
        await server.stop()


async def test_an_account_of_ones_own(locked_site: Any, log_in: Any, watch: Any, walk: Any) -> None:
    watched = await log_in(locked_site, "ada", "/profile", PHONE)
    page = watched.page
    await walk.sound(watched)
    await page.select_option("select[name=language]", "de")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("h1")).to_have_text("Ihre Anmeldung")
    await page.select_option("select[name=language]", "")
    await page.get_by_role("button", name="Speichern").click()
    await expect(page.locator("h1")).to_have_text("Your login")

    # An authenticator: scanned, mistyped, confirmed.
    factor = page.locator("#second-factor")
    await factor.locator("[name=password]").fill(PASSWORD)
    await factor.get_by_role("button", name="Set up").click()
    await expect(factor.locator("svg.qr")).to_be_visible()
    await walk.sound(watched)
    await walk.picture(page, "profile", whole=True)
    await factor.get_by_text("It cannot be scanned").click()
    totp = pyotp.TOTP(await factor.locator("details code").inner_text())
    await factor.locator("[name=code]").fill("000000")
    await factor.get_by_role("button", name="Confirm").click()
    await expect(factor.locator(".error")).to_contain_text("not the code")
    watched.wrong.clear()  # the browser notes the 422
    await factor.locator("[name=code]").fill(totp.at(locked_site.clock.now() // 1000))
    await factor.get_by_role("button", name="Confirm").click()
    codes = await page.locator("#codes code").all_inner_texts()
    assert len(set(codes)) == 10
    await walk.sound(watched)

    # In another browser: two steps, and it is seen and ended from here.
    locked_site.clock.run_for(60_000)
    other = await watch(f"{locked_site.url}/stations", live=False)
    await other.page.fill("[name=name]", "ada")
    await other.page.fill("[name=password]", PASSWORD)
    await other.page.click("button.primary")
    await other.page.wait_for_url("**/login/code?next=%2Fstations")
    await walk.sound(other)
    await other.page.fill("[name=code]", "111111")
    await other.page.click("button.primary")
    await expect(other.page.get_by_role("alert")).to_contain_text("The code is wrong")
    await other.page.fill("[name=code]", totp.at(locked_site.clock.now() // 1000))
    await other.page.click("button.primary")
    await other.page.wait_for_url("**/stations")
    await page.goto(f"{locked_site.url}/profile")
    await expect(page.get_by_text("this one")).to_have_count(1)
    await page.get_by_role("button", name="Log out there").click()
    await expect(page.get_by_role("button", name="Log out there")).to_have_count(0)
    await other.page.goto(f"{locked_site.url}/stations")
    assert "/login?next=%2Fstations" in other.page.url

    # A new password, first typed wrongly.
    for field, text in (("current", PASSWORD), ("new", "a much longer one"), ("again", "another")):
        await page.fill(f"[name={field}]", text)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.locator("#again-error")).to_contain_text("not the same")
    watched.wrong.clear()
    for field, text in (("current", PASSWORD), ("new", "a much longer one"), ("again", "a much longer one")):
        await page.fill(f"[name={field}]", text)
    await page.get_by_role("button", name="Change the password").click()
    await expect(page.locator("#toasts")).to_contain_text("The password is changed")
    assert (await locked_site.store.user("default", "ada")).password == "human:a much longer one"
    await walk.sound(watched)


async def test_through_a_real_provider_and_out_again(locked_site: Any, watch: Any, walk: Any) -> None:
    locked_site.clock._now = round(time.time() * 1000)
    client = {
        "client_id": "pilotwire",
        "client_secret": "a-client-secret-of-the-test",
        "redirect_uris": [f"{locked_site.url}/login/oidc/callback"],
        "post_logout_redirect_uris": [f"{locked_site.url}/login"],
    }
    provider = RealProvider(clients=[client])
    try:
        from pilotwire.api import types
        from pilotwire.api.access import Principal
        from pilotwire.api.resources import oidc

        desk = Principal(tenant="default", name="desk", role="platform-admin", by="system")
        settings = types.OidcSettings(
            issuer=provider.issuer, client_id="pilotwire", client_secret=client["client_secret"], label="Voltwerk",
            roles={"ops": "operator"}, create_users=True,
        )  # fmt: skip
        await oidc.save(locked_site.context, desk, settings, locked_site.url)
        watched = await watch(f"{locked_site.url}/sessions", live=False)
        page = watched.page
        await walk.sound(watched)
        await page.get_by_role("link", name="Log in through Voltwerk").click()
        await page.fill("[name=login]", "liar")
        await page.fill("[name=password]", "x")
        await page.click("button[type=submit]")
        await page.click("button[type=submit]")  # agree
        await page.wait_for_url("**/sessions")
        watched.wrong.clear()  # of the provider's own pages
        await page.goto(f"{locked_site.url}/profile")
        await expect(page.locator("h1")).to_have_text("Your login")
        await expect(page.locator("#second-factor")).to_have_count(0)
        await walk.sound(watched)
        await page.locator("details.menu summary").click()
        await page.get_by_role("button", name="Log out", exact=True).click()
        await page.wait_for_url("**/login/out")
        await page.wait_for_url(f"{provider.issuer}/session/end**")
        await page.goto(f"{locked_site.url}/sessions")
        assert "/login?next=%2Fsessions" in page.url
    finally:
        provider.stop()
