"""Certificates in Chromium: both pages, their dialogs, on a desk and on a phone."""

from __future__ import annotations

from typing import Any

import msgspec
from playwright.async_api import expect
from tests.browser import scene

from pilotwire.core.time import to_datetime
from pilotwire.crypto.certificates import make_authority

PHONE = {"width": 390, "height": 844}


async def test_the_ends_of_a_fleet_and_an_authority_that_is_trusted(locked_site, log_in, walk) -> None:
    ada = await locked_site.store.user("default", "ada")
    await locked_site.store.put_user(msgspec.structs.replace(ada, role="platform-admin"))
    await scene.certificates_of(locked_site)
    watched = await log_in(locked_site, "ada", "/settings/certificates")
    page: Any = watched.page
    ends = page.locator("section", has=page.get_by_role("heading", name="Stations whose certificates end first"))
    await expect(ends.locator("tbody a")).to_have_text(["DC-02", "AC-05", "DC-01", "AC-01"])
    await expect(ends.locator("tbody tr").first).to_contain_text("5 days left")
    await walk.sound(watched)
    await page.get_by_role("button", name="Trust an authority").click()
    await walk.sound(watched)
    await page.fill("#name", "Second root")
    await page.fill("#certificate", make_authority("Second", now=to_datetime(locked_site.clock.now())).certificate_pem)
    await page.fill("#trust-reason", "contracts of a second provider")
    await page.get_by_role("button", name="Trust it").click()
    await expect(page.locator(".toast")).to_contain_text("Second root is trusted.")
    await page.get_by_role("button", name="Trust no longer: Second root").click()
    await page.locator("#confirm button[value=yes]").click()
    await expect(page.locator(".toast")).to_contain_text("It is trusted no longer.")
    await page.set_viewport_size(PHONE)
    await walk.sound(watched)


async def test_a_station(locked_site, log_in, walk) -> None:
    await scene.certificates_of(locked_site)
    watched = await log_in(locked_site, "ada", "/stations/DC-01/certificates")
    page: Any = watched.page
    await expect(page.locator("main")).to_contain_text("64 days left")
    await expect(page.locator("main")).to_contain_text("Example V2G Root")
    for name in ("Have it renewed", "Install one", "Delete: Example V2G Root"):
        await page.get_by_role("button", name=name).click()
        await expect(page.locator("dialog[open]")).to_have_count(1)
        await walk.sound(watched)
        await page.keyboard.press("Escape")
    await page.set_viewport_size(PHONE)
    await walk.sound(watched)
