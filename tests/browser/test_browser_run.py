"""`pilotwire run` as a newcomer sees it: the real process, its demo site, a login, and numbers that move.

With PILOTWIRE_SCREENSHOTS=1 the pictures of the README are taken anew (two minutes of charging, for the curves).
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.async_api import expect
from tests.interop import csms_process

from pilotwire.cli import runfile

ROOT = Path(__file__).resolve().parents[2]
PICTURES = ROOT / "docs" / "images"
DESK = {"width": 1440, "height": 900}


@pytest.fixture
def running(tmp_path: Path) -> Iterator[csms_process.Csms]:
    with csms_process.running(tmp_path / "data", command="run") as server:
        yield server


def api(server: csms_process.Csms) -> httpx.Client:
    """The API as a command on this machine calls it."""
    run = runfile.read(server.data)
    assert run is not None
    return httpx.Client(base_url=f"{server.http}/api/v1", headers={"Authorization": f"Bearer {run.key}"})


async def total(page: Any, name: str) -> float:
    return float((await page.locator(f"[data-total={name}]").inner_text()).replace(",", ""))


async def until(page: Any, name: str, holds: Callable[[float], bool]) -> None:
    """Wait for a number on the page; read from here, since the page forbids evaluating scripts in it."""
    async with asyncio.timeout(60):
        while not holds(await total(page, name)):
            await page.wait_for_timeout(200)


async def test_a_newcomer_sees_cars_charge(
    running: csms_process.Csms, watch: Callable[..., Awaitable[Any]], tmp_path: Path
) -> None:
    said = running.log.read_text()
    login = re.search(r"Login\s+admin / (\S+)", said)
    assert login, said
    assert "Add one: pilotwire stations add" in said

    watched = await watch(running.http + "/", DESK, live=False)
    page = watched.page
    await page.fill("input[name=name]", "admin")
    await page.fill("input[name=password]", login[1])
    await page.click("button[type=submit]")
    await page.wait_for_selector("#link[data-state=live]")

    # Every station of the demo is online, in all three versions, and cars draw power, without a reload: a dozen at the
    # car park, and six behind the depot's controller.
    await until(page, "stations_online", lambda count: count == 18)
    await until(page, "power_w", lambda kw: kw > 5)
    energy = page.locator("#energy-today")
    before = await energy.inner_text()
    await expect(energy).not_to_have_text(before, timeout=60_000)
    with api(running) as client:
        stations = client.get("/stations").json()["items"]
        active = client.get("/sessions", params={"status": "active"}).json()["items"]
    assert {each["ocpp_version"] for each in stations} == {"1.6", "2.0.1", "2.1"}
    assert {each["station_id"] for each in active} <= {each["id"] for each in stations}
    assert len(active) >= 3
    # Each has its place on the plan of its site; both sites together are a map.
    for site, prefix in (("depot", "DEPOT-"), ("demo", "DEMO-")):
        await page.goto(f"{running.http}/?site={site}")
        for station in stations:
            places = await page.locator(f'[data-mark="{station["id"]}"]').count()
            assert places == station["id"].startswith(prefix)
    folder = tmp_path
    if os.environ.get("PILOTWIRE_SCREENSHOTS"):
        await page.wait_for_timeout(120_000)
        folder = PICTURES
    await page.screenshot(path=folder / "console.png")
    # The depot's controller shows what flows, which is never nothing: its building always draws.
    await page.set_viewport_size({"width": 1440, "height": 1340})
    await page.goto(f"{running.http}/sites/depot/live")
    await page.wait_for_selector("h1:has-text('Depot with a roof')")
    await page.wait_for_selector("text=What flows now")
    await page.screenshot(path=folder / "depot.png", animations="disabled")
    for name in ("console", "depot"):
        assert (folder / f"{name}.png").stat().st_size > 20_000
    assert watched.wrong == []


def test_state_survives_a_restart(tmp_path: Path) -> None:
    data = tmp_path / "data"
    with csms_process.running(data, command="run") as first, api(first) as client:
        client.post("/stations", json={"id": "MINE"}).raise_for_status()
        while not (seen := client.get("/sessions").json()["items"]):
            pass
    with csms_process.running(data, "--no-demo", command="run") as second, api(second) as client:
        kept = {each["id"] for each in client.get("/sessions", params={"limit": 200}).json()["items"]}
        assert {each["id"] for each in seen} <= kept
        assert client.get("/stations/MINE").status_code == 200
        assert second.log.read_text().count("Login") == 1  # a password is shown once
