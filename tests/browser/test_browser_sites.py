"""Sites in Chromium: added, drawn by mouse and keyboard, imported, mapped with and without a server of tiles."""

from __future__ import annotations

import asyncio
import json
import re
import struct
import zlib
from dataclasses import replace
from typing import Any

import pytest
from playwright.async_api import expect

from pilotwire.api.server import ApiServer
from pilotwire.console.app import create_app

PHONE = {"width": 390, "height": 844}
SVG = (
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 200 100" onload="document.title=1"><script>alert(1)</script>'
    '<rect width="200" height="100" fill="#dfe8d8"/><rect x="20" y="20" width="60" height="30" fill="#999"/></svg>'
)
HALL = [[13.38, 52.54], [13.382, 52.54], [13.382, 52.541], [13.38, 52.541], [13.38, 52.54]]


async def test_a_site_is_added_changed_and_deleted(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga", "/sites")
    page = watched.page
    await expect(page.locator("main tbody tr")).to_have_count(2)
    await walk.sound(watched)
    await page.get_by_role("link", name="New site").click()
    await page.fill("#name", "Harbour")
    await page.fill("#city", "Hamburg")
    await page.fill("#latitude", "53,54")
    await page.fill("#time_zone", "Nowhere/Town")
    await page.fill("#power_limit_kw", "lots")
    await page.get_by_role("button", name="Add the site").click()
    await expect(page.locator("#power_limit_kw-error")).to_contain_text("number")
    await expect(page.locator("#city")).to_have_value("Hamburg")
    await page.fill("#power_limit_kw", "172,5")
    await page.get_by_role("button", name="Add the site").click()
    await expect(page.locator("#longitude-error")).to_contain_text("both")
    await expect(page.locator("#time_zone-error")).to_contain_text("IANA")
    await walk.sound(watched)
    await page.fill("#longitude", "9.98")
    await page.fill("#time_zone", "Europe/Berlin")
    await page.fill("#outline", json.dumps({"type": "Polygon", "coordinates": [HALL]}))
    await page.fill("[name='contacts[0].name']", "Ada")
    await page.fill("[name='contacts[0].email']", "no address")
    await page.locator("main form.stack").evaluate("form => { form.noValidate = true; }")
    await page.get_by_role("button", name="Add the site").click()
    await expect(page.locator("[id='contacts[0].email-error']")).to_be_visible()
    await page.fill("[name='contacts[0].email']", "ada@example.com")
    await page.get_by_role("button", name="Add the site").click()
    await page.wait_for_url("**/sites/harbour")
    kept = await (await page.request.get(locked_site.url + "/api/v1/sites/harbour")).json()
    assert (kept["latitude"], kept["power_limit_w"], kept["time_zone"]) == (53.54, 172_500, "Europe/Berlin")
    assert (kept["contacts"][0]["email"], len(kept["outline"][0])) == ("ada@example.com", 4)
    await page.fill("#note", "behind the crane")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".toast")).to_have_text("Saved.")
    await expect(page.locator("#outline")).to_have_value(re.compile("MultiPolygon"))
    await walk.sound(watched)
    await page.goto(locked_site.url + "/sites/north")
    await page.get_by_role("button", name="Delete").click()
    await page.locator("#confirm").get_by_role("button", name="Go ahead").click()
    await expect(page.locator(".toast")).to_contain_text("stations stand at north")
    await page.goto(locked_site.url + "/sites/harbour")
    await page.get_by_role("button", name="Delete").click()
    await page.locator("#confirm").get_by_role("button", name="Go ahead").click()
    await page.wait_for_url("**/sites")
    await expect(page.locator("main tbody tr")).to_have_count(2)


async def test_a_plan_is_drawn_by_mouse_and_by_keyboard(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga", "/sites/north/plan")
    page = watched.page
    await walk.sound(watched)
    first = page.locator("tr", has_text="AC-01")
    await first.get_by_role("button", name="Put on the plan").click()
    await expect(first.locator("[name=x]")).to_have_value("50")
    # By keyboard: the mark has the focus, the arrows move it.
    await page.keyboard.press("ArrowRight")
    await page.keyboard.press("Shift+ArrowUp")
    await expect(first.locator("[name=x]")).to_have_value("50.5")
    await expect(first.locator("[name=y]")).to_have_value("25")
    # By mouse: dragged across a tenth of the width.
    mark = page.get_by_role("img", name="AC-01")
    box, frame = await mark.locator("rect").bounding_box(), await page.locator("#drawing .sheet").bounding_box()
    assert box is not None and frame is not None
    await page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    await page.mouse.down()
    await page.mouse.move(frame["x"] + frame["width"] * 0.6, frame["y"] + frame["height"] * 0.5, steps=4)
    await page.mouse.up()
    assert float(await first.locator("[name=x]").input_value()) == pytest.approx(60, abs=0.6)
    assert float(await first.locator("[name=y]").input_value()) == pytest.approx(30, abs=0.6)
    # By typing.
    second = page.locator("tr", has_text="AC-02")
    await second.locator("[name=x]").fill("10")
    await second.locator("[name=y]").fill("12.5")
    await expect(page.get_by_role("img", name="AC-02")).to_have_attribute("transform", "translate(100 125)")
    # A building, by clicks.
    row = page.locator("#shape-new")
    await row.locator("[name=kind]").select_option("building")
    await row.locator("[name=label]").fill("Hall")
    await row.get_by_role("button", name="Draw").click()
    await page.locator("#drawing").scroll_into_view_if_needed()
    frame = await page.locator("#drawing .sheet").bounding_box()
    assert frame is not None
    for x, y in ((0.1, 0.5), (0.4, 0.5), (0.4, 0.7)):
        await page.mouse.click(frame["x"] + frame["width"] * x, frame["y"] + frame["height"] * y)
    assert len((await row.locator("[name=points]").input_value()).split()) == 3
    await page.get_by_role("button", name="Keep the plan").click()
    await expect(page.locator(".toast")).to_have_text("The plan is kept.")
    await walk.sound(watched)
    plan = (await (await page.request.get(locked_site.url + "/api/v1/sites/north")).json())["plan"]
    assert {one["station_id"] for one in plan["places"]} == {"AC-01", "AC-02"}
    assert [(one["kind"], one["label"], len(one["points"])) for one in plan["shapes"]] == [("building", "Hall", 3)]
    # What cannot be read is told, and what was drawn is not lost.
    await page.locator("#shape-1 [name=points]").fill("1,2 3")
    await page.get_by_role("button", name="Keep the plan").click()
    await expect(page.locator(".note.bad")).to_contain_text("points are written")
    # The overview draws it.
    await page.goto(locked_site.url + "/?site=north")
    await expect(page.locator("#map-title")).to_have_text("Site plan")
    await expect(page.locator("#drawing [data-mark]")).to_have_count(3)


async def test_a_drawing_and_a_plan_come_from_files(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga", "/sites/north/plan")
    page = watched.page

    async def take(name: str, text: str) -> None:
        await page.set_input_files("#file", {"name": name, "mimeType": "text/plain", "buffer": text.encode()})
        await page.get_by_role("button", name="Take the file").click()

    await take("plan.svg", SVG)
    await expect(page.locator(".toast")).to_contain_text("lies below the plan")
    image = page.locator("#drawing image")
    await expect(image).to_have_attribute("href", re.compile(r"/api/v1/sites/north/background\.svg\?v="))
    drawn = await page.request.get(locked_site.url + str(await image.get_attribute("href")))
    assert "script" not in await drawn.text() and "onload" not in await drawn.text()
    assert (await page.locator("#drawing").get_attribute("viewBox")) == "0 0 1000 500.0"
    await walk.sound(watched)
    await take("plan.geojson", json.dumps({"type": "Polygon", "coordinates": [HALL]}))
    await expect(page.locator(".toast")).to_contain_text("made of the file")
    await expect(page.locator("#shape-1 [name=kind]")).to_have_value("area")
    await take("plan.txt", "neither")
    await expect(page.locator(".toast")).to_contain_text("cannot be read")
    await page.get_by_role("button", name="Take the drawing below away").click()
    await expect(page.locator(".toast")).to_contain_text("is gone")
    await expect(image).to_have_count(0)


async def test_on_a_phone_and_for_those_who_only_look(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga", "/sites/north/plan", PHONE)
    await walk.sound(watched)
    for path in ("/sites", "/sites/north", "/sites/new"):
        await watched.page.goto(locked_site.url + path)
        await walk.sound(watched)
    watched = await log_in(locked_site, "otto", "/sites")
    await expect(watched.page.locator("main tbody tr")).to_have_count(1)
    await expect(watched.page.get_by_role("link", name="New site")).to_have_count(0)
    await watched.page.goto(locked_site.url + "/sites/north")
    await expect(watched.page.locator(".facts").first).to_contain_text("500.0 kW")
    assert (await watched.page.goto(locked_site.url + "/sites/north/plan")).status == 403  # type: ignore[union-attr]
    assert (await watched.page.goto(locked_site.url + "/sites/south")).status == 404  # type: ignore[union-attr]


def picture() -> bytes:
    """A PNG of one grey pixel."""

    def chunk(name: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))

    head = struct.pack(">IIBBBBB", 1, 1, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"\0\xc0")) + chunk(b"IEND", b"")


async def test_tiles_of_a_server_lie_below_the_map(locked_site, log_in, walk) -> None:
    asked: list[str] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        asked.append(head.split(b" ")[1].decode())
        body = picture()
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: image/png\r\nConnection: close\r\n")
        writer.write(b"Cross-Origin-Resource-Policy: cross-origin\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    plain: Any = locked_site.context.config
    locked_site.context.config = replace(
        plain, map_tiles=f"http://127.0.0.1:{port}/{{z}}/{{x}}/{{y}}.png", map_attribution="© the people who map"
    )
    console = ApiServer(create_app(locked_site.context))
    await console.start("127.0.0.1", 0)
    was, locked_site.server = locked_site.server, console
    try:
        watched = await log_in(locked_site, "olga", "/sites")
        page = watched.page
        await expect(page.locator(".attribution")).to_have_text("© the people who map")
        tiles = page.locator("#drawing .tiles image")
        await expect(tiles.first).to_have_attribute(
            "href", re.compile(rf"^http://127\.0\.0\.1:{port}/\d+/\d+/\d+\.png$")
        )
        await walk.settled(page)
        assert asked and all(re.fullmatch(r"/\d+/\d+/\d+\.png", one) for one in asked)
        before = len(asked)
        await page.get_by_role("button", name="Closer").click()
        async with asyncio.timeout(30):
            while len(asked) == before:
                await asyncio.sleep(0.02)
        answer_of = await page.request.get(locked_site.url + "/sites")
        assert f"img-src 'self' http://127.0.0.1:{port} data:" in answer_of.headers["content-security-policy"]
        await walk.sound(watched)
    finally:
        locked_site.server = was
        await console.stop()
        server.close()
        locked_site.context.config = plain


async def test_without_one_nothing_is_loaded_from_elsewhere(locked_site, log_in) -> None:
    watched = await log_in(locked_site, "olga", "/sites")
    page = watched.page
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    await page.reload()
    await expect(page.locator("#drawing circle")).to_have_count(2)
    await expect(page.locator("#drawing .tiles image")).to_have_count(0)
    assert all(url.startswith((locked_site.url, "data:")) for url in requests)
    # Zoomed and moved by keys.
    await page.locator("#drawing").focus()
    whole = await page.locator("#drawing").get_attribute("viewBox")
    await page.keyboard.press("+")
    await page.keyboard.press("ArrowLeft")
    assert await page.locator("#drawing").get_attribute("viewBox") != whole
    await page.keyboard.press("0")
    assert [float(one) for one in str(await page.locator("#drawing").get_attribute("viewBox")).split()] == [
        float(one) for one in str(whole).split()
    ]
