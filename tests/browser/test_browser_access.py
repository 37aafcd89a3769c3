"""Access in Chromium: tokens, groups, drivers, the import, and what who may do."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import msgspec
import pytest_asyncio
from playwright.async_api import expect
from tests.browser import desk_kit as kit

from pilotwire.storage.port import Entry

PHONE = {"width": 390, "height": 844}
SHEET = """Karte;Status;Gruppe;gültig bis;Notiz
04AAAA0001;aktiv;NEU;31.12.2027;erste
04AAAA0002;gesperrt;NEU;;
04AAAA0003;vielleicht;;;
04A1B2C3D4;aktiv;FLEET-8;;Van 12
;aktiv;;;
"""


@pytest_asyncio.fixture(loop_scope="session")
async def desk(locked_site) -> Any:
    await kit.people_with_tokens(locked_site)
    return locked_site


async def test_tokens_are_listed_as_the_api_has_them_and_found(desk, log_in, walk) -> None:
    watched = await log_in(desk, "olga", "/access")
    page = watched.page
    found = (await kit.ask(page, "/api/v1/tokens"))["items"]
    assert await page.locator("td a.token").all_inner_texts() == [one["token"] for one in found]
    await expect(page.locator("tr", has_text=kit.TOKEN)).to_contain_text("Noor Sample")
    await expect(page.locator("tr", has_text="04FF0012AB")).to_contain_text("Blocked")
    await page.fill("main input[name=q]", "june")
    await page.get_by_role("button", name="Search", exact=True).click()
    await expect(page.locator("td a.token")).to_have_text(["04FF0012AB"])
    await page.goto(desk.url + "/access?status=Expired")
    await expect(page.locator("td a.token")).to_have_text(["04C0FFEE02"])
    await walk.sound(watched)
    await page.goto(desk.url + "/access")
    await walk.picture(page, "access")


async def test_a_token_of_no_list_is_told_of_and_can_be_added(desk, log_in, walk) -> None:
    kit.past_session(desk)
    found = await desk.store.session("default", kit.SESSION)
    desk.store.append(
        Entry(tenant="default", station="DC-01", recv_time=desk.clock.now(), epoch=1, direction="in",
              touched=(msgspec.structs.replace(found, id="s-stranger", token="04 0DD"),))
    )  # fmt: skip
    watched = await log_in(desk, "olga", "/access/tokens/04%200DD")
    page = watched.page
    await expect(page.locator("main .badge").first).to_have_text("Not registered")
    await expect(page.locator("main td a").first).to_have_attribute("href", "/sessions/s-stranger")
    await walk.sound(watched)
    await page.get_by_role("link", name="Add the token").click()
    await expect(page.locator("#token")).to_have_value("04 0DD")


async def test_a_form_keeps_what_was_typed_and_says_what_is_wrong(desk, log_in) -> None:
    page = (await log_in(desk, "olga", "/access/tokens/new")).page
    await page.fill("#token", kit.TOKEN)
    await page.fill("#note", "typed once")
    await page.select_option("#status", "Blocked")
    await page.get_by_role("button", name="Add the token").click()
    await expect(page.locator("#token-error")).to_contain_text("is known here already")
    await expect(page.locator("#note")).to_have_value("typed once")
    await expect(page.locator("#status")).to_have_value("Blocked")
    await expect(page.locator("#token")).to_have_attribute("aria-invalid", "true")
    await page.fill("#token", "04BEEF0001")
    await page.fill("#expires_at", "2027-03-01T08:30")
    await page.get_by_role("button", name="Add the token").click()
    await expect(page.locator(".toast")).to_contain_text("04BEEF0001")
    made = await kit.ask(page, "/api/v1/tokens/04BEEF0001")
    assert (made["status"], made["note"]) == ("Blocked", "typed once")
    assert made["expires_at"] == "2027-03-01T08:30:00.000Z"
    # Somebody else is quicker: nothing is overwritten, and what was typed stays.
    await page.goto(desk.url + "/access/tokens/04BEEF0001")
    await expect(page.locator("#expires_at")).to_have_value("2027-03-01T08:30")
    await page.fill("#note", "mine")
    await page.request.patch(
        desk.url + "/api/v1/tokens/04BEEF0001", data={"note": "theirs"}, headers={"Origin": desk.url}
    )
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".note.bad")).to_be_visible()
    await expect(page.locator("#note")).to_have_value("mine")
    assert (await kit.ask(page, "/api/v1/tokens/04BEEF0001"))["note"] == "theirs"
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".toast")).to_contain_text("Saved.")
    assert (await kit.ask(page, "/api/v1/tokens/04BEEF0001"))["note"] == "mine"


async def test_chosen_tokens_are_blocked_and_forgotten(desk, log_in) -> None:
    page = (await log_in(desk, "olga", "/access")).page
    await expect(page.locator(".chosen")).to_be_hidden()
    for token in ("04C0FFEE01", "04C0FFEE02"):
        await page.get_by_role("checkbox", name=f"Choose {token}").check()
    await expect(page.locator("[data-chosen]")).to_have_text("2")
    await page.get_by_role("button", name="Block", exact=True).click()
    await expect(page.locator(".toast")).to_contain_text("2 tokens are blocked.")
    assert {one["status"] for one in (await kit.ask(page, "/api/v1/tokens?parent=FAMILY"))["items"]} == {"Blocked"}
    await page.get_by_role("checkbox", name="Choose 04C0FFEE02").check()
    await page.get_by_role("button", name="Delete", exact=True).click()
    await page.locator("#confirm button[value=yes]").click()
    await expect(page.locator(".toast")).to_contain_text("1 token is forgotten.")
    assert [one["token"] for one in (await kit.ask(page, "/api/v1/tokens?parent=FAMILY"))["items"]] == ["04C0FFEE01"]


async def test_an_import_shows_its_errors_before_it_does_anything(desk, log_in, walk, tmp_path: Path) -> None:
    watched = await log_in(desk, "olga", "/access/import")
    page = watched.page
    await page.get_by_role("button", name="Look what it would do").click()
    await expect(page.locator("#preview [role=alert]")).to_contain_text("choose a file")
    watched.wrong.clear()
    sheet = tmp_path / "karten.csv"
    sheet.write_text(SHEET, "cp1252")
    await page.set_input_files("#file", sheet)
    await page.get_by_role("button", name="Look what it would do").click()
    preview = page.locator("#preview")
    await expect(preview.locator(".totals b")).to_have_text(["5", "2", "1", "0", "2"])
    wrong = preview.locator("tr.bad")
    await expect(wrong).to_have_count(2)
    await expect(wrong.nth(0)).to_contain_text("vielleicht")
    assert await wrong.locator("td:first-child").all_inner_texts() == ["4", "6"]
    await expect(preview).to_contain_text("FLEET-7")
    assert (await page.request.get(desk.url + "/api/v1/tokens/04AAAA0001")).status == 404
    await walk.sound(watched)
    await walk.picture(page, "import", whole=True)
    await preview.get_by_role("button", name="Import 3 rows, leave the wrong ones out").click()
    await expect(page.locator(".toast")).to_contain_text("2 tokens added, 1 changed, 2 rows left out.")
    made = await kit.ask(page, "/api/v1/tokens/04AAAA0001")
    assert (made["parent"], made["note"], made["expires_at"]) == ("NEU", "erste", "2028-01-01T00:00:00.000Z")
    assert (await kit.ask(page, f"/api/v1/tokens/{kit.TOKEN}"))["parent"] == "FLEET-8"
    async with page.expect_download() as download:
        await page.get_by_role("link", name="Export CSV").click()
    await (await download.value).save_as(tmp_path / "out.csv")
    rows = list(csv.DictReader(io.StringIO((tmp_path / "out.csv").read_text("utf-8-sig"))))
    assert {row["token"] for row in rows} == {
        one["token"] for one in (await kit.ask(page, "/api/v1/tokens?limit=500"))["items"]
    }


async def test_drivers_carry_tokens_agree_and_are_forgotten(desk, log_in) -> None:
    page = (await log_in(desk, "ada", "/access/drivers/new")).page
    await page.fill("#name", "Sam Guest")
    await page.fill("#tokens", f"04C0FFEE02\n{kit.TOKEN}\n04NONE")
    await page.fill("#phone", "+49 30 1")
    await page.get_by_role("button", name="Add the driver").click()
    await expect(page.locator("#tokens-error")).to_contain_text("there is no token 04NONE")
    await expect(page.locator("#phone")).to_have_value("+49 30 1")
    await page.fill("#tokens", f"04C0FFEE02\n{kit.TOKEN}")
    await page.get_by_role("button", name="Add the driver").click()
    await expect(page.locator("#tokens-error")).to_contain_text("is carried by another driver")
    await page.fill("#tokens", "04C0FFEE02")
    await page.get_by_role("button", name="Add the driver").click()
    await expect(page.locator("h1")).to_have_text("Sam Guest")
    await page.fill("#purpose", "invoices by e-mail")
    await page.get_by_role("button", name="Note it").click()
    await page.get_by_role("button", name="Withdraw").click()
    await expect(page.locator(".consents")).to_contain_text("withdrawn")
    (driver,) = (await kit.ask(page, "/api/v1/drivers?q=Sam%20Guest"))["items"]
    assert driver["tokens"] == ["04C0FFEE02"]
    assert driver["consents"][0]["purpose"] == "invoices by e-mail"
    assert driver["consents"][0]["withdrawn_at"] is not None
    await page.locator(".head details.menu summary").click()
    await page.get_by_role("button", name="Forget for good …").click()
    await page.fill("#reason", "asked for it")
    await page.locator("#erase").get_by_role("button", name="Forget for good").click()
    await expect(page.locator(".toast")).to_contain_text("The person is forgotten.")
    assert (await kit.ask(page, "/api/v1/drivers?q=Sam%20Guest"))["items"] == []
    assert (await page.request.get(desk.url + "/api/v1/tokens/04C0FFEE02")).status == 404


async def test_an_auditor_sees_and_changes_nothing(desk, log_in, walk) -> None:
    watched = await log_in(desk, "aude", "/access")
    page = watched.page
    await expect(page.locator("td a.token")).to_have_count(len(kit.TOKENS))
    for offered in ("New token", "Import"):
        await expect(page.get_by_role("link", name=offered)).to_have_count(0)
    await expect(page.locator("input[type=checkbox]")).to_have_count(0)
    await page.goto(f"{desk.url}/access/tokens/{kit.TOKEN}")
    await expect(page.get_by_role("button", name="Save")).to_have_count(0)
    for path, form in (
        (f"/access/tokens/{kit.TOKEN}", {"status": "Blocked"}),
        ("/access/tokens/new", {"token": "X1"}),
        ("/ui/access/tokens", {"id": kit.TOKEN, "verb": "delete"}),
        (f"/access/tokens/{kit.TOKEN}/delete", {}),
        ("/access/drivers/new", {"name": "X"}),
        ("/access/groups", {"id": "X"}),
    ):
        assert await kit.refused(page, path, **form) == 403, path
    assert (await kit.ask(page, f"/api/v1/tokens/{kit.TOKEN}"))["status"] == "Accepted"
    assert (await page.goto(desk.url + "/access/import")).status == 403
    await page.context.clear_cookies()
    other = (await log_in(desk, "otto", "/access")).page
    await expect(other.locator("h1")).to_have_text("Your role does not allow that")


async def test_on_a_phone_in_the_dark(desk, log_in, walk) -> None:
    watched = await log_in(desk, "olga", "/access", PHONE, dark=True)
    (driver, *_) = (await kit.ask(watched.page, "/api/v1/drivers"))["items"]
    paths = ["/access", f"/access/tokens/{kit.TOKEN}", "/access/tokens/new", "/access/groups", "/access/groups/FLEET-7"]
    await walk(watched, desk, [*paths, "/access/drivers", f"/access/drivers/{driver['id']}", "/access/import"])
