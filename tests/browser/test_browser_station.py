"""The page of a station in Chromium: every tab, by those who may and those who may not; what comes of commands."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from typing import Any

import pytest
from playwright.async_api import expect

from pilotwire.domain import facts, records
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import CommandReply, CommandRequest

PHONE = {"width": 390, "height": 844}
TABS = ["", "/sessions", "/alarms", "/checks", "/messages", "/configuration", "/commands", "/firmware", "/security"]
TABS += ["/certificates", "/kept", "/network", "/account"]


async def api(site: Any, path: str) -> Any:
    def ask() -> Any:
        with urllib.request.urlopen(site.url + "/api/v1" + path, timeout=30) as answer:
            return json.load(answer)

    return await asyncio.to_thread(ask)


def report(site: Any, station: str, *variables: tuple[str, str, str | None, str, str]) -> None:
    """Let a station have reported (component, variable, value, type, mutability)."""
    touched = tuple(
        records.Variable(
            tenant="default", station_id=station, component=component, variable=name, value=value, data_type=kind,
            mutability=mutability, reported_at=site.clock.now(),
        )
        for component, name, value, kind, mutability in variables
    )  # fmt: skip
    site.store.append(
        Entry(
            tenant="default", station=station, recv_time=site.clock.now(), epoch=1, direction="in", facts=(),
            samples=(), touched=touched,
        )
    )  # fmt: skip


def model(site: Any) -> None:
    report(
        site,
        "DC-02",
        ("OCPPCommCtrlr", "HeartbeatInterval", "300", "integer", "ReadWrite"),
        ("OCPPCommCtrlr", "ActiveNetworkProfile", "1", "integer", "ReadOnly"),
        ("AuthCtrlr", "AuthorizeRemoteStart", "true", "boolean", "ReadWrite"),
        ("SecurityCtrlr", "BasicAuthPassword", "never seen", "string", "WriteOnly"),
    )


async def test_every_tab_is_sound(site, watch, walk) -> None:
    model(site)
    watched = await watch(site.url)
    for tab in TABS:
        await walk(watched, site, [f"/stations/DC-02{tab}"])
        await walk.picture(watched.page, f"station{tab.replace('/', '-')}")


async def test_every_tab_on_a_phone_in_the_dark(site, watch, walk) -> None:
    model(site)
    watched = await watch(site.url, PHONE, dark=True)
    await walk(watched, site, [f"/stations/DC-02{tab}" for tab in TABS])
    await watched.page.goto(site.url + "/stations/DC-02")
    await walk.picture(watched.page, "station-phone", whole=True)


async def test_now_is_what_the_api_says_and_moves(site, watch) -> None:
    watched = await watch(site.url + "/stations/DC-01")
    page = watched.page
    session = (await api(site, "/sessions?station=DC-01"))["items"][0]
    box = page.locator('[data-session="dc-01-1"]')
    assert await box.locator("[data-power]").inner_text() == f"{session['power_w'] / 1000:.1f}"
    assert await box.locator("[data-energy]").inner_text() == f"{session['energy_wh'] / 1000:.2f}"
    assert await box.locator("[data-soc]").inner_text() == f"{session['soc_percent']:.0f}"
    await expect(box.locator("svg polyline")).to_have_count(1)
    before = await box.locator("svg polyline").get_attribute("points")
    site.clock.run_for(60_000)
    site.power("dc-01-1", 61_200, 33_120, 601)
    await expect(box.locator("[data-power]")).to_have_text("61.2")
    await expect(box.locator("svg polyline")).not_to_have_attribute("points", before)
    station, connector = site.stations["DC-01"], site.stations["DC-01"].connectors[0]
    connector.status, connector.error_code = "Faulted", "GroundFailure"
    station.connectors[0] = connector
    site.commit(
        "DC-01",
        facts.ConnectorStatusChanged(
            event_time=site.clock.now(), evse=1, connector=1, status="Faulted", error_code="GroundFailure"
        ),
    )
    await expect(page.locator(".connector .state")).to_have_text("Faulted")
    assert watched.wrong == []


async def test_start_stop_and_restart(site, watch, walk) -> None:
    watched = await watch(site.url + "/stations/AC-01")
    page = watched.page
    await page.locator("[data-at='2.1']").get_by_role("button", name="Start").click()
    await expect(page.locator("#command h2")).to_contain_text("Start charging")
    assert await walk.axe(page) == []
    await expect(page.locator("#command [name=token]")).to_be_focused()
    await page.fill("#command [name=token]", "04AABBCC")
    await page.keyboard.press("Enter")
    await expect(page.locator("#command .note")).to_have_text("AC-01 will start charging.")
    assert (site.commands[-1].action, site.commands[-1].payload) == ("start", {"token": "04AABBCC", "evse": 2})
    await page.locator("#command").get_by_role("button", name="Close").last.click()
    await expect(page.locator("#command")).to_be_hidden()
    await page.get_by_role("button", name="Stop", exact=True).click()
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .note")).to_contain_text("will stop charging")
    assert site.commands[-1].payload == {"session": "ac-01-1"}
    await page.locator("#command").get_by_role("button", name="Close").last.click()
    # Without a reason nothing is sent.
    await page.locator(".tools").get_by_role("button", name="Restart").click()
    sent = len(site.commands)
    await page.locator("#command [name=reason]").wait_for()
    await page.evaluate("document.querySelector('#command form[hx-post]').noValidate = true")
    await page.select_option("#command [name=type]", "hard")
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .error")).to_contain_text("Say why")
    assert len(site.commands) == sent
    assert await page.locator("#command [name=type]").input_value() == "hard"
    await page.fill("#command [name=reason]", "display frozen")
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .note")).to_contain_text("will restart")
    assert site.commands[-1].payload == {"type": "hard"}
    assert watched.wrong == []


async def test_a_refusal_is_told_in_plain_words(site, watch) -> None:
    async def refuse(request: CommandRequest) -> CommandReply:
        said = {"code": "InternalError", "description": "stuck", "details": {}}
        return CommandReply(command_id="c", outcome="refused", action=request.action, answer=said)

    end = site.bus.serve("command.default.AC-05", refuse)
    page = (await watch(site.url + "/stations/AC-05?do=availability")).page
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .note")).to_contain_text("stuck")
    end()


async def test_configuration_is_browsed_searched_and_set(site, watch, walk) -> None:
    model(site)
    asked: list[CommandRequest] = []

    async def answer(request: CommandRequest) -> CommandReply:
        asked.append(request)
        wire = [
            {
                "attributeStatus": "RebootRequired",
                "component": {"name": one["component"]},
                "variable": {"name": one["variable"]},
            }
            for one in request.payload["variables"]
        ]
        return CommandReply(
            command_id="c", outcome="answered", action="SetVariables", answer={"setVariableResult": wire}
        )

    end = site.bus.serve("command.default.DC-02", answer)
    watched = await watch(site.url + "/stations/DC-02/configuration")
    page = watched.page
    items = (await api(site, "/stations/DC-02/variables"))["items"]
    assert {await one.get_attribute("href") for one in await page.locator(".picks a").all()} == {
        f"/stations/DC-02/configuration?component={name}" for name in {one["component"] for one in items}
    }
    await page.locator(".picks").get_by_text("OCPP Comm Ctrlr").click()
    await expect(page.locator(".variables tbody tr")).to_have_count(2)
    interval = page.locator("tr", has_text="HeartbeatInterval")
    told = next(one for one in items if one["variable"] == "HeartbeatInterval")
    await expect(interval.locator("code")).to_have_text(told["value"])
    await expect(interval).to_contain_text(told["description"])
    assert await page.locator("tr", has_text="ActiveNetworkProfile").get_by_role("button").count() == 0
    await interval.get_by_role("button").click()
    assert await page.locator("#command [name=value]").get_attribute("type") == "number"
    await page.evaluate("document.querySelector('#command form[hx-post]').noValidate = true")
    await page.fill("#command [name=value]", "-5")
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .error")).to_contain_text("must be")
    assert asked == []
    assert await page.locator("#command [name=value]").input_value() == "-5"
    await page.fill("#command [name=value]", "60")
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .note.warn")).to_contain_text("restart")
    assert asked[0].payload["variables"][0]["value"] == "60"
    await page.locator("#command").get_by_role("button", name="Close").last.click()
    await page.fill("main input[type=search]", "remote")
    await expect(page.locator(".variables tbody tr")).to_have_count(1)
    await page.goto(site.url + "/stations/DC-02/configuration?component=SecurityCtrlr")
    await expect(page.locator(".value")).to_have_text("never shown")
    assert "never seen" not in await page.content()
    assert watched.wrong == []
    end()


async def test_forms_are_made_of_the_messages(site, watch, walk) -> None:
    watched = await watch(site.url + "/stations/DC-02/commands")
    page = watched.page
    forms = (await api(site, "/stations/DC-02/commands/available"))["items"]
    assert await page.locator("button.row").count() == len(forms)
    await page.fill("main input[type=search]", "charging profile")
    await page.locator("button.row", has_text="SetChargingProfile").click()
    await expect(page.locator("#command h2")).to_contain_text("charging profile")
    assert await walk.axe(page) == []
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .note")).to_be_visible()
    sent = site.commands[-1]
    assert sent.action == "SetChargingProfile"
    assert sent.payload["chargingProfile"]["chargingProfilePurpose"]
    await page.locator("#command").get_by_role("button", name="Send again").click()
    await page.locator("#command summary", has_text="JSON").click()
    await page.fill("#command [name=_json]", "{nonsense")
    await page.locator("#command button[type=submit]").click()
    await expect(page.locator("#command .error")).to_contain_text("Not JSON")
    assert await page.locator("#command [name=_json]").input_value() == "{nonsense"
    assert watched.wrong == []


@pytest.mark.parametrize("name", ["olga", "otto", "aude"])
async def test_people_may_do_what_they_may(locked_site, log_in, walk, name) -> None:
    watched = await log_in(locked_site, name, "/stations/DC-01")
    page = watched.page
    offered = {
        "start": await page.locator("[hx-get*='do/start']").count() > 0,
        "restart": await page.locator("[hx-get*='do/reset']").count() > 0,
        "account": await page.locator(".tabs [href$='/account']").count() > 0,
    }
    assert (
        offered
        == {
            "olga": {"start": True, "restart": True, "account": True},
            "otto": {"start": True, "restart": False, "account": False},
            "aude": {"start": False, "restart": False, "account": False},
        }[name]
    )
    await walk.sound(watched)
    headers = {"Origin": locked_site.url}
    form = {"token": "04AA", "evse": "1", "reason": "x"}
    start = await page.request.post(
        locked_site.url + "/ui/stations/DC-01/do/start", form=form, headers=headers, fail_on_status_code=False
    )
    reset = await page.request.post(
        locked_site.url + "/ui/stations/DC-01/do/reset", form=form, headers=headers, fail_on_status_code=False
    )
    assert (start.status, reset.status) == {"olga": (200, 200), "otto": (200, 403), "aude": (403, 403)}[name]
    elsewhere = await page.request.get(locked_site.url + "/stations/DC-02", fail_on_status_code=False)
    assert elsewhere.status == (404 if name == "otto" else 200)


async def test_the_account_is_changed_and_nobody_is_overrun(locked_site, log_in, walk) -> None:
    watched = await log_in(locked_site, "olga", "/stations/DC-01/account")
    page = watched.page
    await page.fill("[name=note]", "north gate")
    await page.uncheck("[name=enabled]")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator(".toast")).to_have_text("Saved.")
    await expect(page.locator("h1")).to_contain_text("switched off")
    await expect(page.locator("[name=note]")).to_have_value("north gate")
    account = await locked_site.store.account(("default", "DC-01"))
    account.note = "somebody else was here"
    await locked_site.store.put_account(account)
    await page.fill("[name=note]", "mine")
    await page.get_by_role("button", name="Save").click()
    await expect(page.locator("main .note.bad")).to_contain_text("changed since you read it")
    await expect(page.locator("[name=note]")).to_have_value("mine")
    assert watched.wrong == []


async def test_a_job_over_chosen_stations(site, watch, walk) -> None:
    from pilotwire.api.workers import Workers

    workers = Workers(site.context)
    await workers.start()
    watched = await watch(site.url + "/stations?show=online")
    page = watched.page
    await page.locator('[data-station="AC-01"] input').check()
    await page.locator('[data-station="AC-02"] input').check()
    await expect(page.locator("[data-chosen]")).to_have_text("2")
    await page.select_option(".chosen select", "reset")
    await page.locator(".chosen button").click()
    await expect(page.locator("main form")).to_contain_text("2 stations")
    await walk.sound(watched)
    await page.fill("[name=reason]", "new settings")
    await page.get_by_role("button", name="Do it at 2 stations").click()
    await page.wait_for_url("**/jobs/*")
    await expect(page.locator("main .badge").first).to_have_text("done")
    await expect(page.locator("tbody tr")).to_have_count(2)
    await walk.sound(watched)
    await walk.picture(page, "job")
    assert sorted(one.station for one in site.commands) == ["AC-01", "AC-02"]
    await walk(watched, site, ["/jobs"])
    await workers.stop()


async def test_views_are_saved(site, watch) -> None:
    page = (await watch(site.url + "/stations?q=rapid&sort=-power_w")).page
    await page.locator("summary", has_text="Views").click()
    await page.fill("#view-name", "Rapid ones")
    await page.locator("details.views").get_by_role("button", name="Keep").click()
    await expect(page.locator(".toast")).to_have_text("The view Rapid ones is kept.")
    await page.goto(site.url + "/stations")
    await page.locator("summary", has_text="Views").click()
    await page.get_by_role("link", name="Rapid ones").click()
    await page.wait_for_url("**/stations?*q=rapid*")
    await expect(page.locator("tbody tr")).to_have_count(3)
