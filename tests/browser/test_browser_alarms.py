"""Alarms in Chromium: raised before our eyes, acknowledged, muted; rules, subscriptions, a test by e-mail."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
import pytest_asyncio
from aiosmtpd.smtp import SMTP
from playwright.async_api import expect
from tests.api import happenings_kit
from tests.browser import desk_kit as kit

from pilotwire.console.pages.alarms_text import BadLine, lines_of, matches_of
from pilotwire.domain import facts
from pilotwire.domain.alarms_builtin import BUILT_IN

PHONE = {"width": 390, "height": 844}


@pytest_asyncio.fixture(loop_scope="session")
async def running(locked_site) -> Any:
    """The dozen and the workers; AC-08 is faulted, DC-03 has lost its connection."""
    made = await happenings_kit.Running(locked_site).start()
    locked_site.clock.run_for(60_000)
    fault = facts.ConnectorStatusChanged(
        event_time=locked_site.clock.now(), evse=1, connector=1, status="Faulted", error_code="GroundFailure"
    )
    locked_site.commit("AC-08", fault)
    tampered = facts.SecurityEventNotified(event_time=locked_site.clock.now(), kind="TamperDetectionActivated")
    locked_site.commit("AC-01", tampered)
    await made.settle()
    yield made
    await made.stop()


async def test_an_alarm_is_seen_acknowledged_and_muted(running, log_in, walk) -> None:
    site = running.world
    watched = await log_in(site, "olga", "/alarms")
    page = watched.page
    found = (await kit.ask(page, "/api/v1/alarms?state=open"))["items"]
    counts = await kit.ask(page, "/api/v1/alarms/counts")
    rows = page.locator("tr[data-alarm]")
    assert await rows.evaluate_all("rows => rows.map(row => row.dataset.alarm)") == [one["id"] for one in found]
    for name in ("open", "unacknowledged", "critical", "major", "minor", "warning"):
        await expect(page.locator(f"[data-count={name}]")).to_have_text(str(counts[name]))
    fault = next(one for one in found if one["station_id"] == "AC-08")
    await expect(page.locator(f"tr[data-alarm='{fault['id']}']")).to_contain_text(fault["summary"])
    await walk.sound(watched)
    await walk.picture(page, "alarms")
    await page.locator(f"tr[data-alarm='{fault['id']}'] a").first.click()
    await page.fill("#note", "the electrician comes at ten")
    await page.get_by_role("button", name="Acknowledge").click()
    await expect(page.locator(".toast")).to_contain_text("Acknowledged.")
    now = await kit.ask(page, f"/api/v1/alarms/{fault['id']}")
    assert (now["acknowledged_by"], now["note"]) == ("olga", "the electrician comes at ten")
    await page.select_option("#target", "station")
    await page.fill("#mute_note", "is being mended")
    await page.get_by_role("button", name="Mute").click()
    await expect(page.locator(".muted-by")).to_contain_text("Every alarm of the station, by olga: is being mended")
    (mute,) = (await kit.ask(page, "/api/v1/alarm-mutes"))["items"]
    assert (mute["target"], mute["value"]) == ("station", "AC-08")
    await page.goto(site.url + "/alarms/mutes")
    await page.get_by_role("button", name="End it").click()
    await expect(page.locator(".empty h2")).to_have_text("Nothing is muted")
    # Over: it goes to the history.
    site.commit(
        "AC-08",
        facts.ConnectorStatusChanged(event_time=site.clock.now(), evse=1, connector=1, status="Available"),
    )
    await running.settle()
    await running.pass_time(120)
    await page.goto(site.url + "/alarms?show=cleared")
    await expect(page.locator(f"tr[data-alarm='{fault['id']}']")).to_contain_text("the electrician comes at ten")


async def test_chosen_alarms_are_acknowledged_together(running, log_in) -> None:
    page = (await log_in(running.world, "olga", "/alarms?show=new")).page
    count = await page.locator("tr[data-alarm]").count()
    assert count >= 2
    await page.locator("[data-select-all]").check()
    await expect(page.locator("[data-chosen]")).to_have_text(str(count))
    await page.locator(".chosen input[name=note]").fill("seen")
    await page.locator(".chosen button").click()
    await expect(page.locator(".toast")).to_contain_text("Acknowledged.")
    assert (await kit.ask(page, "/api/v1/alarms/counts"))["unacknowledged"] == 0


def test_rules_are_lines_that_can_be_read_and_typed() -> None:
    """Every condition of the built-in rules survives being written down and read."""
    import msgspec

    from pilotwire.api import types
    from pilotwire.api.resources.alarms import _fields
    from pilotwire.domain.alarms_rules import FACTS

    known = types.AlarmVocabulary(
        facts=[types.AlarmFact(name=name, fields=_fields(kind)) for name, kind in FACTS.items()], gauges=[]
    )
    tried = 0
    for rule in BUILT_IN:
        condition: Any = msgspec.convert(msgspec.to_builtins(rule.condition), types.AlarmCondition)
        for matches in (getattr(condition, "when", []), getattr(condition, "clear", [])):
            assert matches_of(lines_of(matches), known) == matches, rule.id
            tried += len(matches)
    assert tried > 15
    with pytest.raises(BadLine, match="Line 2: there is no fact nothing"):
        matches_of("station-connected\nnothing", known)
    with pytest.raises(BadLine, match="has no field colour"):
        matches_of("station-connected: colour = red", known)
    with pytest.raises(BadLine, match="is no whole number"):
        matches_of("event-notified: severity <= high", known)
    with pytest.raises(BadLine, match="write field = value"):
        matches_of("event-notified: severity", known)


async def test_a_rule_is_made_and_keeps_what_was_typed(running, log_in, walk) -> None:
    site = running.world
    watched = await log_in(site, "olga", "/alarms/rules/new")
    page = watched.page
    await page.fill("#id", "too-hot")
    await page.fill("#name", "Too hot")
    await page.fill("#when", "connector-status-changed: error_code = HighTemperature; colour = red")
    await page.fill("#clear", "connector-status-changed: error_code in NoError")
    await page.fill("#per", "evse")
    await page.get_by_role("button", name="Add the rule").click()
    await expect(page.locator("#when-error")).to_contain_text("has no field colour")
    await expect(page.locator("#clear")).to_have_value("connector-status-changed: error_code in NoError")
    await page.fill("#when", "connector-status-changed: error_code = HighTemperature")
    await page.fill("#count", "3")
    await page.get_by_role("button", name="Add the rule").click()
    await expect(page.locator("#within_s-error")).to_be_visible()
    await page.fill("#count", "1")
    await page.get_by_role("button", name="Add the rule").click()
    await expect(page.locator("tr[data-rule=too-hot]")).to_contain_text("Too hot")
    rule = await kit.ask(page, "/api/v1/alarm-rules/too-hot")
    assert rule["condition"]["when"][0]["where"][0]["value"] == "HighTemperature"
    hot = facts.ConnectorStatusChanged(
        event_time=site.clock.now(), evse=1, connector=1, status="Charging", error_code="HighTemperature"
    )
    site.commit("AC-02", hot)
    await running.settle()
    found = (await kit.ask(page, "/api/v1/alarms?rule=too-hot"))["items"]
    assert [one["station_id"] for one in found] == ["AC-02"]
    await page.get_by_role("button", name="Switch off: Too hot").click()
    await expect(page.locator("tr[data-rule=too-hot]")).to_contain_text("off")
    assert (await kit.ask(page, "/api/v1/alarm-rules/too-hot"))["enabled"] is False
    watched.wrong.clear()  # the browser notes the forms that were refused
    await walk(watched, site, ["/alarms/rules", "/alarms/rules/site-over-limit", "/alarms/rules/session-stuck"])


async def test_people_are_told_by_e_mail_and_a_test_shows_it(running, log_in, walk) -> None:
    site = running.world
    mails: list[tuple[list[str], bytes]] = []

    class Box:
        async def handle_DATA(self, server: Any, session: Any, envelope: Any) -> str:
            mails.append((list(envelope.rcpt_tos), envelope.content))
            return "250 taken"

    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: SMTP(Box(), hostname="mail", loop=loop), "127.0.0.1", 0)
    try:
        watched = await log_in(site, "ada", "/settings/mail")
        page = watched.page
        await page.fill("#host", "localhost")
        await page.fill("#port", str(server.sockets[0].getsockname()[1]))
        await page.select_option("#security", "none")
        await page.fill("#sender", "desk@example.com")
        await page.get_by_role("button", name="Save").click()
        await expect(page.locator(".toast")).to_contain_text("Saved.")
        await page.goto(site.url + "/alarms/notifications/new")
        await page.fill("#name", "Night shift")
        await page.fill("#to", "night@example.com\nnobody")
        await page.get_by_role("button", name="Add the subscription").click()
        await expect(page.locator("#to-error")).to_be_visible()
        await expect(page.locator("#to")).to_have_value("night@example.com\nnobody")
        await page.fill("#to", "night@example.com")
        await page.fill("#digest_min", "0")
        await page.get_by_role("button", name="Add the subscription").click()
        await page.get_by_role("button", name="Send a test").click()
        await expect(page.locator("#tested .note.good")).to_be_visible()
        assert mails[0][0] == ["night@example.com"]
        site.commit(
            "AC-05",
            facts.ConnectorStatusChanged(event_time=site.clock.now(), evse=1, connector=1, status="Faulted"),
        )
        await running.settle()
        await running.pass_time(6)
        running.wake()
        await happenings_kit.until(lambda: len(mails) > 1, "an e-mail of the alarm")
        assert b"AC-05" in mails[1][1]
        watched.wrong.clear()  # the browser notes the form that was refused
        await page.goto(site.url + "/alarms/notifications")
        log = (await kit.ask(page, "/api/v1/notifications"))["items"]
        await expect(page.locator("main section table tbody tr")).to_have_count(len(log))
        await expect(page.locator("main section")).to_contain_text(log[0]["subject"])
        await walk.sound(watched)
        await walk.picture(page, "notifications")
    finally:
        server.close()


async def test_site_owner_and_auditor(running, log_in) -> None:
    site = running.world
    page = (await log_in(site, "otto", "/alarms")).page
    stations = await page.locator("tr[data-alarm] td:nth-child(4) a").all_inner_texts()
    assert stations == ["AC-01"]
    await expect(page.locator(".tabs a")).to_have_text(["Alarms", "Muted", "Rules"])
    await page.goto(site.url + "/alarms/rules")
    await expect(page.get_by_role("link", name="New rule")).to_have_count(0)
    assert await kit.refused(page, "/alarms/rules/station-offline/off") == 403
    assert (await page.goto(site.url + "/alarms/notifications")).status == 403
    await page.context.clear_cookies()
    page = (await log_in(site, "aude", "/alarms")).page
    await expect(page.locator("tr[data-alarm] input")).to_have_count(0)
    alarm = (await kit.ask(page, "/api/v1/alarms"))["items"][0]["id"]
    await page.goto(f"{site.url}/alarms/{alarm}")
    for button in ("Acknowledge", "Mute"):
        await expect(page.get_by_role("button", name=button)).to_have_count(0)
    for path in (f"/alarms/{alarm}/acknowledge", f"/alarms/{alarm}/mute", "/ui/alarms", "/alarms/rules/new"):
        assert await kit.refused(page, path, id=alarm) == 403, path


async def test_on_a_phone_in_the_dark(running, log_in, walk) -> None:
    watched = await log_in(running.world, "olga", "/alarms", PHONE, dark=True)
    alarm = (await kit.ask(watched.page, "/api/v1/alarms"))["items"][0]["id"]
    paths = ["/alarms", f"/alarms/{alarm}", "/alarms/mutes", "/alarms/rules", "/alarms/rules/new"]
    await walk(watched, running.world, [*paths, "/alarms/notifications", "/alarms/notifications/new"])
