"""Settings in Chromium: people, roles, keys, webhooks, e-mail, the audit log, retention, and what who may do."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest_asyncio
from playwright.async_api import expect
from tests.api import happenings_kit
from tests.browser import desk_kit as kit

PHONE = {"width": 390, "height": 844}
PARTS = [
    "people", "roles", "keys", "webhooks", "mail", "sign-on", "security", "certificates", "retention", "audit", "about",
]  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def running(locked_site) -> Any:
    """With the workers that send webhooks, also to this machine."""
    locked_site.context.config = replace(locked_site.context.config, private_targets=True)
    made = await happenings_kit.Running(locked_site).start()
    yield made
    await made.stop()


async def test_people_are_let_in_and_changed(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "ada", "/settings/people")
    page = watched.page
    people = (await kit.ask(page, "/api/v1/users"))["items"]
    assert await page.locator("tbody td:first-child a").all_inner_texts() == [one["name"] for one in people]
    await expect(page.locator("tr", has_text="otto")).to_contain_text("North depot")
    await page.get_by_role("link", name="New person").click()
    await page.fill("#name", "nia")
    await page.fill("#password", "short")
    await page.fill("#email", "nia@example.com")
    await page.select_option("#role", "site-owner")
    await page.get_by_role("radio", name="only these:").check()
    await page.get_by_role("checkbox", name="South park").check()
    await page.get_by_role("button", name="Let them in").click()
    await expect(page.locator("#password-error")).to_contain_text("needs 12 characters at least")
    await expect(page.locator("#email")).to_have_value("nia@example.com")
    await expect(page.locator("#password")).to_have_value("")
    await expect(page.get_by_role("checkbox", name="South park")).to_be_checked()
    await page.fill("#password", "a passphrase of hers")
    await page.get_by_role("button", name="Let them in").click()
    await expect(page.locator(".toast")).to_contain_text("nia may log in now.")
    made = await kit.ask(page, "/api/v1/users/nia")
    assert (made["role"], made["sites"], made["email"]) == ("site-owner", ["south"], "nia@example.com")
    await page.goto(locked_site.url + "/settings/people/nia")
    await page.get_by_role("checkbox", name="May log in").uncheck()
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("tr", has_text="nia")).to_contain_text("switched off")
    await page.goto(locked_site.url + "/settings/people/ada")
    await page.locator(".head details.menu summary").click()
    await page.get_by_role("button", name="Remove").click()
    await page.locator("#confirm button[value=yes]").click()
    await expect(page.locator(".toast.bad")).to_contain_text("ada is the last admin")


async def test_the_table_of_roles_is_the_api_s(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "aude", "/settings/roles")
    page = watched.page
    roles = (await kit.ask(page, "/api/v1/roles"))["items"]
    names = await page.locator(".matrix tbody th .mono").all_inner_texts()
    assert set(names) == {permission for one in roles for permission in one["permissions"]}
    for number, name in enumerate(names):
        cells = await page.locator(".matrix tbody tr").nth(number).locator("td .unseen").all_text_contents()
        assert [cell == "yes" for cell in cells] == [name in one["permissions"] for one in roles], name
    await walk.sound(watched)
    await walk.picture(page, "roles", whole=True)


async def test_a_key_is_shown_once(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "ada", "/settings/keys")).page
    await page.get_by_role("button", name="New key").click()
    dialog = page.locator("#new-key")
    await dialog.locator("#name").fill("billing")
    await dialog.get_by_role("button", name="Make the key").click()
    secret = await page.locator(".secret .copy code").inner_text()
    assert secret.startswith("pw_")
    login = await page.request.get(locked_site.url + "/api/v1/me", headers={"Authorization": f"Bearer {secret}"})
    assert (await login.json())["role"] == "service"
    await page.goto(locked_site.url + "/settings/keys")
    assert secret not in await page.content()
    await page.get_by_role("link", name="billing").click()
    await page.get_by_role("button", name="Replace the secret").click()
    other = await page.locator(".secret .copy code").inner_text()
    assert other != secret
    await page.goto(locked_site.url + "/settings/audit")
    content = await page.content()
    assert "keys.create" in content
    assert secret not in content
    assert other not in content


async def test_the_audit_log_is_read_filtered_and_checked(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "ada", "/settings/retention")
    page = watched.page
    await expect(page.locator("#hot_days")).to_have_count(0)  # the platform's admin alone sets it
    for name in ("one", "two"):
        await page.request.post(
            locked_site.url + "/api/v1/groups", data={"id": name}, headers={"Origin": locked_site.url}
        )
    await page.goto(locked_site.url + "/settings/audit")
    rows = (await kit.ask(page, "/api/v1/audit"))["items"]
    shown = await page.locator("table.audit tbody > tr > td:first-child").all_inner_texts()
    assert shown == [str(one["seq"]) for one in rows]
    await page.get_by_role("button", name="Check the chain").click()
    await expect(page.locator("#verdict")).to_contain_text("The chain is sound")
    assert f"{(await kit.ask(page, '/api/v1/audit/verify'))['head']}" in await page.locator("#verdict").inner_text()
    await page.goto(locked_site.url + "/settings/audit?action=groups&target=two")
    await expect(page.locator("table.audit tbody > tr")).to_have_count(1)
    await walk.sound(watched)
    # One byte of a row is changed behind its back.
    store = locked_site.store
    from pilotwire.storage.documents import Put

    document = (await store.documents("default", "audit", limit=1)).items[0]
    bad = document.body.replace(b'"actor":"', b'"actor":"x', 1)
    assert bad != document.body
    await store.write_documents("default", [Put(kind="audit", id=document.id, body=bad, sort=document.sort)])
    await page.get_by_role("button", name="Check the chain").click()
    await expect(page.locator("#verdict .note.bad")).to_contain_text("The chain is broken.")


async def test_a_webhook_is_added_tried_and_sent_again(running, log_in, walk) -> None:
    site = running.world
    receiver = await happenings_kit.Receiver().start()
    receiver.answers = [500]
    try:
        watched = await log_in(site, "ada", "/settings/webhooks/new")
        page = watched.page
        await page.fill("#name", "Billing")
        await page.fill("#url", "http://")
        await page.get_by_role("button", name="Add the webhook").click()
        await page.evaluate("document.querySelector('form.fields').noValidate = true")
        await page.get_by_role("button", name="Add the webhook").click()
        await expect(page.locator("#url-error")).to_be_visible()
        await expect(page.locator("#name")).to_have_value("Billing")
        await page.fill("#url", receiver.url)
        await page.get_by_role("radio", name="only these:").first.check()
        await page.get_by_role("checkbox", name="session-ended").check()
        await page.get_by_role("button", name="Add the webhook").click()
        secret = await page.locator(".secret .copy code").inner_text()
        assert secret.startswith("whsec_")
        (hook,) = (await kit.ask(page, "/api/v1/webhooks"))["items"]
        assert (hook["events"], hook["url"]) == (["session-ended"], receiver.url)
        await page.goto(f"{site.url}/settings/webhooks/{hook['id']}")
        assert secret not in await page.content()
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.locator("#pinged .note.bad")).to_contain_text("500")
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.locator("#pinged .note.good")).to_contain_text("204")
        assert receiver.events[-1]["type"] == "ping"
        await page.reload()
        log = (await kit.ask(page, f"/api/v1/webhooks/{hook['id']}/deliveries"))["items"]
        await expect(page.locator("tr[data-delivery]")).to_have_count(len(log))
        before = receiver.accepted
        await page.locator("tr[data-delivery]").first.get_by_role("button", name="Send again").click()
        await expect(page.locator(".toast")).to_contain_text("It is sent once more.")
        running.wake()
        await happenings_kit.until(lambda: receiver.accepted > before, "sent once more")
        await page.locator("tr[data-delivery]").first.get_by_role("button", name="Show").click()
        await expect(page.locator("#delivery-body")).to_contain_text("webhook_id")
    finally:
        await receiver.stop()


async def test_what_may_not_be_done_is_neither_offered_nor_possible(locked_site, log_in) -> None:
    page = (await log_in(locked_site, "aude", "/settings/people")).page
    await expect(page.get_by_role("link", name="New person")).to_have_count(0)
    for path in ("/settings/keys", "/settings/webhooks", "/settings/mail", "/settings/sign-on"):
        await page.goto(locked_site.url + path)
        for button in ("New key", "New webhook", "Save"):
            await expect(page.get_by_role("button", name=button)).to_have_count(0)
    forms: list[tuple[str, dict[str, str]]] = [
        ("/settings/people/new", {"name": "eve", "password": "a long enough one", "role": "admin"}),
        ("/settings/people/aude", {"role": "admin"}),
        ("/settings/people/olga/delete", {}),
        ("/settings/keys", {"name": "x", "role": "service"}),
        ("/settings/webhooks/new", {"name": "x", "url": "https://example.com/"}),
        ("/settings/mail", {"host": "x"}),
        ("/settings/sign-on", {"issuer": "https://example.com"}),
        ("/settings/retention", {"hot_days": "1"}),
        ("/settings/tenants", {"id": "x"}),
    ]
    for path, form in forms:
        assert await kit.refused(page, path, **form) == 403, path
    assert {one["name"] for one in (await kit.ask(page, "/api/v1/users"))["items"]} == {"ada", "aude", "olga", "otto"}
    await page.context.clear_cookies()
    page = (await log_in(locked_site, "olga", "/settings")).page
    offered = await page.locator(".tabs a").all_inner_texts()
    assert "People" not in offered
    assert "Audit log" not in offered
    for path in ("/settings/people", "/settings/audit", "/settings/tenants", "/settings/keys"):
        assert (await page.goto(locked_site.url + path)).status == 403


async def test_every_part_on_a_phone_in_the_dark(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "ada", "/settings", PHONE, dark=True)
    await walk(watched, locked_site, [f"/settings/{part}" for part in PARTS])


async def test_the_platform_s_admin_has_tenants_and_sets_what_is_kept(site, watch, walk) -> None:
    watched = await watch(site.url + "/settings/tenants", live=False)
    page = watched.page
    await page.get_by_role("button", name="New tenant").click()
    dialog = page.locator("#new-tenant")
    await dialog.locator("#id").fill("Not Good")
    await dialog.get_by_role("button", name="Add the tenant").click()
    await expect(page.locator("#id-error")).to_be_visible()
    await expect(page.locator("#id")).to_have_value("Not Good")
    await page.fill("#id", "south")
    await page.get_by_role("button", name="Add the tenant").click()
    await expect(page.locator("tbody tr", has_text="south")).to_contain_text("active")
    assert {one["id"] for one in (await kit.ask(page, "/api/v1/tenants"))["items"]} == {"default", "south"}
    await page.goto(site.url + "/settings/retention")
    await page.fill("#hot_days", "30")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".toast")).to_contain_text("Saved.")
    assert (await kit.ask(page, "/api/v1/retention"))["hot_days"] == 30
