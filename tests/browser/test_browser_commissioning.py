"""A site is commissioned in Chromium over simulated devices on real sockets: five steps, on a desk and on a phone."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

from playwright.async_api import expect
from tests.site.commissioning.real_site import RealSite

from pilotwire.api.resources.commissioning import Commissionings
from pilotwire.site.commissioning.wizard import Wizard

PHONE = {"width": 390, "height": 844}
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images" / "console"
PATIENCE_MS = 60_000


async def test_a_site_is_commissioned_step_by_step(locked_site, log_in, walk, tmp_path) -> None:
    real = RealSite("ST")
    await real.start()
    wizard = Wizard(tmp_path / "data", tmp_path / "site.yaml", report=lambda text: None)
    Commissionings.of(locked_site.context).add("north", wizard)
    try:
        watched = await log_in(locked_site, "olga", "/sites/north/commissioning")
        page = watched.page
        await expect(page.get_by_role("link", name="1. Find devices")).to_have_attribute("aria-current", "step")
        await walk.sound(watched)
        # --- an address that may not be looked at is told, with what to do; then the devices
        await page.fill("#hosts", "8.8.8.8")
        await page.get_by_role("button", name="Look for devices").click()
        await expect(page.locator("#progress")).to_contain_text("no private address", timeout=PATIENCE_MS)
        await page.fill("#hosts", " ".join(f"127.0.0.1:{port}" for port in (real.meter_port, *real.ports)))
        await page.get_by_role("button", name="Look for devices").click()
        await expect(page.locator("#progress")).to_contain_text("3 Modbus units at 3", timeout=PATIENCE_MS)
        await expect(page.locator("main tbody tr")).to_have_count(3)
        meter = page.locator("main tbody select", has=page.locator("option[value='eastron-sdm630']"))
        await meter.select_option("eastron-sdm630")
        await walk.sound(watched)
        await page.get_by_role("button", name="Enter what is ticked").click()
        # --- laid out: what is missing is said, then it is sound
        await expect(page.get_by_text("enter the main fuse")).to_be_visible()
        await expect(page.locator("[name='nodes[0].meter']")).to_have_value("main")
        await page.fill("[name='site.id']", "north")
        await page.fill("[name='nodes[0].fuse']", "lots")
        await page.fill("[name='nodes[0].side']", "10")
        await page.get_by_role("button", name="Save").first.click()
        await expect(page.locator(".note.bad").first).to_contain_text("to mend")
        await walk.sound(watched)
        await page.fill("[name='nodes[0].fuse']", "50")
        await page.get_by_role("button", name="Save").first.click()
        await expect(page.get_by_text("The draft can run")).to_be_visible()
        await walk.sound(watched)
        # --- phases: stopped in the middle, then one is found and accepted
        for charger in real.chargers:
            charger.plugged = True
        await page.get_by_role("link", name="3. Find phases").click()
        await page.fill("#settle_s", "1")
        await page.fill("#pulses", "1")
        await page.get_by_label("bay-1").check()
        await page.get_by_role("button", name="Begin pulses").click()
        await expect(page.locator("#progress")).to_contain_text("under way")
        await walk.sound(watched)
        await page.get_by_role("button", name="Stop it").click()
        await expect(page.locator("#progress")).to_contain_text("cancelled")
        await page.fill("#settle_s", "1")
        await page.fill("#pulses", "1")
        await page.get_by_label("bay-1").check()
        await page.get_by_role("button", name="Begin pulses").click()
        await expect(page.locator("#progress")).to_contain_text("1 of 1 found", timeout=PATIENCE_MS)
        await walk.sound(watched)
        await page.get_by_role("button", name="Write all that were found").click()
        if os.environ.get("PILOTWIRE_SCREENSHOTS") == "1":
            await page.screenshot(path=PICTURES / "commissioning.png")
        # --- fail-safes and a short dry run; nobody hears a word of the latter
        await page.get_by_role("link", name="4. Check fail-safes").click()
        await page.get_by_role("button", name="Set and read back").click()
        await expect(page.locator("#progress")).to_contain_text("2 of 2 read back", timeout=PATIENCE_MS)
        await walk.sound(watched)
        heard = len(real.heard())
        await page.get_by_role("link", name="5. Dry run").click()
        await expect(page.get_by_role("button", name="Write it and go live")).to_be_disabled()
        await page.fill("#hours", "0,001")
        await page.get_by_role("button", name="Begin the dry run").click()
        await expect(page.get_by_text("Commands not given", exact=True)).to_be_visible(timeout=PATIENCE_MS)
        await expect(page.locator("#progress")).to_contain_text("watched", timeout=PATIENCE_MS)
        assert len(real.heard()) == heard
        await walk.sound(watched)
        await page.get_by_role("button", name="Write the file").click()
        await expect(page.get_by_text("Written:", exact=False).first).to_be_visible()
        assert (tmp_path / "site.yaml").is_file()
        await page.set_viewport_size(PHONE)
        for step in ("scan", "map", "phases", "failsafe", "dry_run"):
            await page.goto(locked_site.url + f"/sites/north/commissioning?step={step}")
            await walk.sound(watched)
            if folder := os.environ.get("PILOTWIRE_LOOK"):
                await page.screenshot(path=f"{folder}/phone-{step}.png", full_page=True)
        await page.set_viewport_size({"width": 1440, "height": 900})
        for step in ("scan", "map", "phases", "failsafe", "dry_run") if os.environ.get("PILOTWIRE_LOOK") else ():
            await page.goto(locked_site.url + f"/sites/north/commissioning?step={step}")
            await page.screenshot(path=f"{os.environ['PILOTWIRE_LOOK']}/desk-{step}.png", full_page=True)
    finally:
        await wizard.close()
        await real.close()
        await asyncio.sleep(0)


async def test_nobody_without_the_right_is_shown_it(locked_site, log_in, tmp_path) -> None:
    wizard = Wizard(tmp_path / "data", tmp_path / "site.yaml", report=lambda text: None)
    Commissionings.of(locked_site.context).add("north", wizard)
    watched = await log_in(locked_site, "aude", "/sites/north")
    await expect(watched.page.get_by_role("link", name="Commissioning")).to_have_count(0)
    answer = await watched.page.goto(locked_site.url + "/sites/north/commissioning")
    assert answer is not None and answer.status == 403
