"""A site is commissioned in Chromium over simulated devices on real sockets: five steps, on a desk and on a phone."""

from __future__ import annotations

import asyncio
import contextlib
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
from bench.ports import free_port
from playwright.async_api import expect
from tests.site.commissioning.real_site import RealSite

from pilotwire.api.resources.commissioning import Commissionings
from pilotwire.cli.site_commission import folder_of
from pilotwire.site.commissioning.wizard import Wizard

PHONE = {"width": 390, "height": 844}
PICTURES = Path(__file__).resolve().parents[2] / "docs" / "images" / "console"
PATIENCE_MS = 60_000


async def test_a_site_is_commissioned_step_by_step(locked_site, log_in, watch, walk, tmp_path) -> None:
    real = RealSite("ST")
    await real.start()
    box = tmp_path / ("a_box_whose_folder_has_a_long_name_" * 3)  # a phone shows its path whole, too
    box.mkdir()
    file, data = box / "site.yaml", tmp_path / "data"
    wizard = Wizard(folder_of(data, file), file, report=lambda text: None)
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
        assert file.is_file()
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
        # --- live: the program itself goes on where this wizard ended, and runs the site at the same address
        await wizard.close()
        file.unlink()
        await _goes_live(watch, walk, file, data, real)
    finally:
        await wizard.close()
        await real.close()
        await asyncio.sleep(0)


async def _goes_live(watch: Any, walk: Any, file: Path, data: Path, real: RealSite) -> None:
    """`pilotwire site commission --http`: the button writes the file and runs it, and a later `site run` does, too."""
    address = f"127.0.0.1:{free_port()}"
    serve = ("--data", str(data), "--http", address, "--lab")
    heard = len(real.heard())
    with _program("commission", file, *serve):
        wizard = f"http://{address}/sites/north/commissioning?step=dry_run"
        await _answers(wizard)
        watched = await watch(wizard, live=False)
        page = watched.page
        await walk.sound(watched)
        await page.get_by_role("button", name="Write it and go live").click()
        await expect(page.get_by_role("heading", name="The site starts")).to_be_visible()
        assert file.is_file()
        await page.wait_for_url(f"http://{address}/sites/north/live", timeout=PATIENCE_MS)
        await _is_live(page, address)
        assert len(real.heard()) > heard, "its chargers are commanded now"
        pepper = (folder_of(data, file) / "pepper").read_text()
        assert (data / "north" / "pepper").read_text() == pepper, "who may log in is as in the wizard"
    with _program("run", file, *serve):
        await _is_live(page, address)


@contextlib.contextmanager
def _program(command: str, file: Path, *more: str) -> Iterator[None]:
    """`pilotwire site …` as a process, which ends with the block."""
    log = (file.parent / f"{command}.log").open("wb")
    line = [sys.executable, "-m", "pilotwire", "site", command, str(file), *more]
    process = subprocess.Popen(line, stdout=log, stderr=log)
    try:
        yield
        assert process.poll() is None, (file.parent / f"{command}.log").read_text()
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        log.close()


async def _answers(url: str) -> httpx.Response:
    """Its answer, once there is a good one."""
    async with asyncio.timeout(PATIENCE_MS / 1_000), httpx.AsyncClient(trust_env=False) as client:
        while True:
            with contextlib.suppress(httpx.TransportError):
                answer = await client.get(url)
                if answer.status_code == 200:
                    return answer
            await asyncio.sleep(0.05)


async def _is_live(page: Any, address: str) -> None:
    """It decides each second, and its page shows what the meter measures."""
    await _answers(f"http://{address}/readyz")
    now = (await _answers(f"http://{address}/api/v1/sites/north/controller")).json()
    assert {one["id"] for one in now["evses"]} == {"bay-1", "bay-2"}
    await page.goto(f"http://{address}/sites/north/live")
    await expect(page.locator("#heard")).to_contain_text("decides each second")
    await expect(page.locator("#n0 .big")).to_contain_text("kW")
    await expect(page.locator("a.evse")).to_have_count(2)


async def test_nobody_without_the_right_is_shown_it(locked_site, log_in, tmp_path) -> None:
    wizard = Wizard(tmp_path / "data", tmp_path / "site.yaml", report=lambda text: None)
    Commissionings.of(locked_site.context).add("north", wizard)
    watched = await log_in(locked_site, "aude", "/sites/north")
    await expect(watched.page.get_by_role("link", name="Commissioning")).to_have_count(0)
    answer = await watched.page.goto(locked_site.url + "/sites/north/commissioning")
    assert answer is not None and answer.status == 403
