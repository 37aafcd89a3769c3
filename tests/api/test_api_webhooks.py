"""Webhooks against a real receiver: signed, in order, retried, never lost, never where they must not go."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api import happenings_kit as kit

from pilotwire.api.happenings.deliver import Deliverer
from pilotwire.api.happenings.outbound import Outbound, OutboundFailed, check_url, forbidden
from pilotwire.domain import facts, records, webhooks

HOUR = 3_600


@pytest.fixture
async def running(world_of) -> AsyncIterator[Any]:
    """A seeded world in which webhooks may go to this machine, workers running."""
    world = world_of(private_targets=True)
    for name in ("CP-A", "CP-B"):
        await world.store.put_account(records.StationAccount(tenant="default", id=name))
    made = await kit.Running(world).start()
    yield made
    await made.stop()


@pytest.fixture
async def api(running) -> AsyncIterator[httpx.AsyncClient]:
    async with running.world.client(headers={"Authorization": "Bearer pw_test-process-key"}) as client:
        yield client


@pytest.fixture
async def receiver() -> AsyncIterator[kit.Receiver]:
    made = await kit.Receiver().start()
    yield made
    await made.stop()


async def add(running: Any, api: httpx.AsyncClient, url: str, *events: str, **more: Any) -> dict[str, Any]:
    made = await api.post("/api/v1/webhooks", json={"name": "Test", "url": url, "events": list(events), **more})
    assert made.status_code == 201, made.text
    await running.settle()  # the books have it
    return made.json()


def boot(running: Any, number: int, station: str = "CP-A") -> None:
    fact = facts.StationBooted(event_time=running.world.clock.now(), vendor="Voltwerk", model=f"M{number}")
    running.world.commit(station, fact)


async def boots(running: Any, *numbers: int) -> None:
    for number in numbers:
        boot(running, number)
    await running.settle()


def models(receiver: kit.Receiver) -> list[str]:
    return [event["data"]["fact"]["model"] for event in receiver.events if event["type"] == "station-booted"]


async def test_an_event_arrives_signed(running, api, receiver) -> None:
    made = await add(running, api, receiver.url, "station-booted")
    assert made["secret"].startswith("whsec_") and made["webhook"]["secret_hint"] == made["secret"][-4:]
    boot(running, 1)
    running.world.commit("CP-A", facts.StationConnected(event_time=0, ocpp_version="1.6"))
    await running.settle()
    await kit.until(lambda: receiver.requests, "the event arrives")
    (headers, body), *rest = receiver.requests
    assert not rest
    event = json.loads(body)
    assert event == {
        "id": event["id"],
        "type": "station-booted",
        "version": 1,
        "time": "2026-01-01T12:00:00.000Z",
        "tenant": "default",
        "data": {
            "station_id": "CP-A",
            "site_id": None,
            "seq": event["data"]["seq"],
            "received_at": "2026-01-01T12:00:00.000Z",
            "summary": "booted (Voltwerk M1)",
            "fact": {"event_time": running.world.clock.now(), "vendor": "Voltwerk", "model": "M1"},
        },
    }
    now = running.world.clock.now() // 1000
    assert webhooks.verify(made["secret"], headers["pilotwire-signature"], body, now)
    assert not webhooks.verify(made["secret"] + "x", headers["pilotwire-signature"], body, now)
    assert headers["request-line"] == "POST /hook?x=1 HTTP/1.1"
    assert (headers["pilotwire-event"], headers["pilotwire-event-type"]) == (event["id"], "station-booted")
    assert headers["content-type"] == "application/json"
    stored = (await running.world.store.documents("default", "webhook")).items[0].body
    assert made["secret"].encode() not in stored


async def test_order_is_kept_while_the_receiver_is_down(running, api, receiver) -> None:
    made = await add(running, api, receiver.url, "station-booted")
    receiver.answers = [500, (302, {"Location": receiver.url}), "hang-up"]
    await boots(running, 1, 2, 3)
    for attempt in range(3):
        await kit.until(lambda attempt=attempt: receiver.accepted == attempt + 1, "one attempt")
        await kit.until(lambda attempt=attempt: failed(api, made, attempt + 1), "the failure is kept")
        assert receiver.accepted == attempt + 1  # nothing is sent before the delay has passed
        running.world.clock.run_for(60_000)
        running.wake()
    await kit.until(lambda: models(receiver)[-3:] == ["M1", "M2", "M3"], "all arrive in order")
    assert [headers["pilotwire-attempt"] for headers, _ in receiver.requests] == ["1", "2", "4", "1", "1"]
    shown = (await api.get(f"/api/v1/webhooks/{made['webhook']['id']}")).json()
    assert (shown["pending"], shown["failing_since"], shown["last_error"]) == (0, None, "")


async def failed(api: httpx.AsyncClient, made: dict[str, Any], attempts: int) -> bool:
    page = (await api.get(f"/api/v1/webhooks/{made['webhook']['id']}/deliveries")).json()["items"]
    return bool(page) and page[-1]["attempts"] == attempts and bool(page[-1]["error"])


async def test_an_event_that_is_refused_for_its_own_sake_holds_up_no_other(running, api, receiver) -> None:
    made = await add(running, api, receiver.url, "station-booted")
    receiver.answers = [422]
    await boots(running, 1, 2)
    await kit.until(lambda: models(receiver) == ["M1", "M2"], "the second comes after the first was refused")
    path = f"/api/v1/webhooks/{made['webhook']['id']}/deliveries"

    async def states() -> list[tuple[str, int | None, str]]:
        return [(one["state"], one["status"], one["response"]) for one in (await api.get(path)).json()["items"]]

    await kit.until(lambda: _equals(states, [("retrying", 422, "thank you"), ("delivered", 204, "")]), "both are kept")
    running.world.clock.run_for(60_000)
    running.wake()
    await kit.until(lambda: models(receiver) == ["M1", "M2", "M1"], "it is tried again")
    await kit.until(lambda: _equals(states, [("delivered", 204, "")] * 2), "both are delivered")


async def _equals(get: Any, wanted: Any) -> bool:
    return await get() == wanted


async def test_a_receiver_that_does_not_answer_in_time(running, api, receiver, monkeypatch) -> None:
    deliverer = running.world.context.parts[Deliverer]
    monkeypatch.setattr(deliverer, "_outbound", Outbound(private=True, total_s=0.2))
    made = await add(running, api, receiver.url, "*")
    receiver.answers = ["slow"]
    await boots(running, 1)
    await kit.until(lambda: failed(api, made, 1), "the attempt is given up")
    (one,) = (await api.get(f"/api/v1/webhooks/{made['webhook']['id']}/deliveries")).json()["items"]
    assert (one["state"], one["error"]) == ("pending", "no answer within 0.2 s")


async def test_nothing_is_lost_or_changes_places_over_a_restart(running, api, receiver) -> None:
    await add(running, api, receiver.url, "station-booted")
    receiver.answers = [503]
    await boots(running, 1, 2)
    await kit.until(lambda: receiver.accepted == 1, "the receiver is down")
    await running.stop()
    boot(running, 3)  # committed while no worker runs
    boot(running, 4, "CP-B")
    running.world.clock.run_for(60_000)
    await running.start()
    await kit.until(lambda: models(receiver)[1:] == ["M1", "M2", "M3", "M4"], "all arrive, in order")
    await running.stop()
    await running.start()
    await running.settle()
    boot(running, 5)
    await running.settle()
    await kit.until(lambda: models(receiver)[1:] == ["M1", "M2", "M3", "M4", "M5"], "and none twice")
    ids = [event["id"] for event in receiver.events[1:]]
    assert len(set(ids)) == len(ids)


async def test_a_webhook_that_takes_nothing_is_an_alarm_and_is_switched_off_after_three_days(
    running, api, receiver
) -> None:
    made = await add(running, api, receiver.url, "station-booted")
    hook = f"/api/v1/webhooks/{made['webhook']['id']}"
    receiver.answers = [500] * 10_000
    await boots(running, 1)
    attempts = 0
    while (await api.get(hook)).json()["enabled"]:
        await kit.until(lambda attempts=attempts: receiver.accepted > attempts, "it is tried again")
        await kit.until(lambda: _kept(api, hook, receiver), "what came of it is kept")
        attempts = receiver.accepted
        if not (await api.get(hook)).json()["enabled"]:
            break
        running.world.clock.run_for(75 * 60_000)
        await running.settle()
        running.wake()
    assert 50 <= attempts <= 75
    shown = (await api.get(hook)).json()
    assert shown["disabled_why"] == "it has taken nothing for three days"
    await running.settle()
    (alarm,) = (await api.get("/api/v1/alarms", params={"rule": "webhook-failing"})).json()["items"]
    assert (alarm["state"], alarm["part"], alarm["station_id"]) == ("open", made["webhook"]["id"], None)
    states = [one["state"] for one in (await api.get(f"{hook}/deliveries")).json()["items"]]
    assert states == ["failed"]
    audit = [one.body for one in (await running.world.store.documents("default", "audit", limit=500)).items]
    assert any(b"webhooks.disable" in row for row in audit)
    # Switched on again it begins anew, and a success ends the alarm.
    receiver.answers = []
    assert (await api.patch(hook, json={"enabled": True})).json()["disabled_why"] == ""
    await running.settle()
    await boots(running, 2)
    await kit.until(lambda: models(receiver)[-1] == "M2", "it is sent to again")


async def _kept(api: httpx.AsyncClient, hook: str, receiver: kit.Receiver) -> bool:
    shown = (await api.get(hook)).json()
    page = (await api.get(f"{hook}/deliveries")).json()["items"]
    return not shown["enabled"] or page[-1]["attempts"] == receiver.accepted


async def test_a_webhook_that_is_gone_is_switched_off(running, api, receiver) -> None:
    made = await add(running, api, receiver.url, "*")
    receiver.answers = [410]
    await boots(running, 1)
    path = f"/api/v1/webhooks/{made['webhook']['id']}"
    await kit.until(lambda: _disabled(api, path), "410 ends it")
    assert (await api.get(path)).json()["disabled_why"] == "it answered 410 Gone"


async def _disabled(api: httpx.AsyncClient, path: str) -> bool:
    return not (await api.get(path)).json()["enabled"]


async def test_ping_resend_new_secret_and_delete(running, api, receiver) -> None:
    made = await add(running, api, receiver.url, "station-booted")
    path = f"/api/v1/webhooks/{made['webhook']['id']}"
    ping = (await api.post(f"{path}/ping")).json()
    assert (ping["state"], ping["status"], ping["event_type"]) == ("delivered", 204, "ping")
    assert receiver.events[0]["data"] == {"webhook_id": made["webhook"]["id"], "by": "this machine"}
    receiver.answers = [500]
    ping = (await api.post(f"{path}/ping")).json()
    assert (ping["state"], ping["error"], ping["response"]) == ("failed", "it answered 500", "thank you")
    await boots(running, 1)
    await kit.until(lambda: models(receiver) == ["M1"], "the event arrives")
    await kit.until(lambda: _states(api, path, ["delivered", "failed", "delivered"]), "the log has all three")
    log = (await api.get(f"{path}/deliveries", params={"state": "delivered"})).json()["items"]
    booted = next(one for one in log if one["event_type"] == "station-booted")
    secret = (await api.post(f"{path}/secret")).json()["secret"]
    assert secret != made["secret"]
    again = await api.post(f"{path}/deliveries/{booted['id']}/resend")
    assert (again.status_code, again.json()["state"]) == (202, "pending")
    await kit.until(lambda: models(receiver) == ["M1", "M1"], "it is sent once more")
    headers, body = receiver.requests[-1]
    assert webhooks.verify(secret, headers["pilotwire-signature"], body, running.world.clock.now() // 1000)
    assert headers["pilotwire-event"] == booted["event_id"]
    one = (await api.get(f"{path}/deliveries/{booted['id']}")).json()
    assert json.loads(one["request"])["type"] == "station-booted"
    assert (await api.get(f"{path}/deliveries/none")).status_code == 404
    assert (await api.delete(path)).status_code == 204
    await kit.until(lambda: _forgotten(running), "its log goes with it")
    assert (await api.get(f"{path}/deliveries")).status_code == 404


async def _states(api: httpx.AsyncClient, path: str, wanted: list[str]) -> bool:
    found = [one["state"] for one in (await api.get(f"{path}/deliveries")).json()["items"]]
    return sorted(found) == sorted(wanted)


async def _forgotten(running: Any) -> bool:
    return not (await running.world.store.documents("default", "delivery")).items


async def test_alarms_are_events_too(running, api, receiver) -> None:
    await add(running, api, receiver.url, "alarm-raised", "alarm-cleared", "alarm-acknowledged")
    fault = facts.ConnectorStatusChanged(event_time=0, evse=1, connector=1, status="Faulted", error_code="HighTemp")
    running.world.commit("CP-A", fault)
    await running.settle()
    await kit.until(lambda: receiver.requests, "the alarm arrives")
    alarm = receiver.events[0]["data"]
    assert (alarm["rule_id"], alarm["station_id"], alarm["severity"]) == ("connector-faulted", "CP-A", "major")
    await api.post(f"/api/v1/alarms/{alarm['id']}/acknowledge", json={"note": "seen"})
    running.world.commit("CP-A", facts.ConnectorStatusChanged(event_time=0, evse=1, connector=1, status="Available"))
    await running.settle()
    await running.pass_time(31)
    running.wake()
    await kit.until(lambda: len(receiver.events) == 3, "and what becomes of it")
    assert [one["type"] for one in receiver.events] == ["alarm-raised", "alarm-acknowledged", "alarm-cleared"]
    assert receiver.events[2]["data"]["acknowledged_by"] == "this machine"


async def test_only_what_happens_at_its_sites(running, api, receiver) -> None:
    await api.post("/api/v1/sites", json={"id": "north", "name": "North"})
    for name, site in (("CP-A", "north"), ("CP-B", "")):
        await running.world.store.put_account(records.StationAccount(tenant="default", id=name, site=site))
    running.world.bus.publish("changed.settings", None)
    await add(running, api, receiver.url, "station-booted", sites=["north"])
    boot(running, 1, "CP-B")
    boot(running, 2, "CP-A")
    await running.settle()
    await kit.until(lambda: receiver.events, "one arrives")
    assert models(receiver) == ["M2"] and receiver.events[0]["data"]["site_id"] == "north"
    wrong = {"name": "x", "url": receiver.url, "sites": ["nowhere"]}
    refused = await api.post("/api/v1/webhooks", json=wrong)
    assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, "sites[0]")


# -- where they must not go -------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1", "10.1.2.3", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
        "255.255.255.255", "192.0.2.1", "::1", "::", "fe80::1", "fc00::1", "ff02::1", "::ffff:127.0.0.1",
        "::ffff:10.0.0.1", "64:ff9b::a00:1", "2002:7f00:1::", "2001:db8::1", "not an address",
    ],
)  # fmt: skip
def test_private_addresses_are_forbidden(address: str) -> None:
    assert forbidden(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_addresses_are_not(address: str) -> None:
    assert not forbidden(address)


@pytest.mark.parametrize(
    "url",
    [
        "http://hooks.example.com/", "https://localhost/", "https://127.0.0.1/", "https://[::1]/", "https://a:b@example.com/",
        "https://metadata.google.internal/", "https://printer.local/", "ftp://example.com/", "https://", "https:///x",
        "https://example.com:0/", "https://example.com:99999/", "https://example.com/#x", "https://exa mple.com/",
        "https://[::ffff:10.0.0.1]/", "https://10.0.0.1:8443/x",
    ],
)  # fmt: skip
async def test_urls_that_are_refused_when_they_are_typed_in(world, url: str) -> None:
    async with world.client(headers={"Authorization": "Bearer pw_test-process-key"}) as api:
        refused = await api.post("/api/v1/webhooks", json={"name": "x", "url": url})
    assert refused.status_code == 422
    assert refused.json()["errors"][0]["field"] == "url"


def test_urls_that_are_taken() -> None:
    assert check_url("https://hooks.example.com:8443/a?b=c", private=False) == ""
    assert check_url("http://127.0.0.1:1/", private=True) == ""


async def test_a_name_that_leads_home_is_refused_when_it_is_used(receiver) -> None:
    """The check is made of the address that is connected to, whatever the name was when it was typed in."""
    outbound = Outbound(private=False)
    try:
        with pytest.raises(OutboundFailed, match="private network"):
            await outbound.post(f"http://localhost:{receiver.port}/", [], b"{}")
        with pytest.raises(OutboundFailed, match="private network"):
            await outbound.post(f"http://127.0.0.1:{receiver.port}/", [], b"{}")
    finally:
        await outbound.close()
    assert receiver.accepted == 0


async def test_what_is_not_known_or_not_listening(receiver) -> None:
    port = receiver.port
    await receiver.stop()
    outbound = Outbound(private=True, total_s=5)
    try:
        with pytest.raises(OutboundFailed, match="not known"):
            await outbound.post("http://name.invalid/", [], b"{}")
        with pytest.raises(OutboundFailed, match="no answer"):
            await outbound.post(f"http://127.0.0.1:{port}/", [], b"{}")
    finally:
        await outbound.close()


async def test_an_endless_answer_is_cut_off() -> None:
    async def flood(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000000\r\n\r\n")
        try:
            while True:
                writer.write(b"x" * 65_536)
                await writer.drain()
        except ConnectionError:
            writer.close()

    server = await asyncio.start_server(flood, "127.0.0.1", 0)
    outbound = Outbound(private=True)
    try:
        answer = await outbound.post(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", [], b"{}")
    finally:
        await outbound.close()
        server.close()
    assert (answer.status, answer.excerpt) == (200, "x" * 2_000)


# -- who may ----------------------------------------------------------------------------------------------------------
async def test_an_etag_guards_changes(running, api, receiver) -> None:
    made = await add(running, api, receiver.url, "*")
    path = f"/api/v1/webhooks/{made['webhook']['id']}"
    first = (await api.get(path)).headers["etag"]
    changed = await api.patch(path, json={"name": "Other"}, headers={"If-Match": first})
    assert changed.json()["name"] == "Other" and changed.headers["etag"] != first
    assert (await api.patch(path, json={"name": "Third"}, headers={"If-Match": first})).status_code == 412
    refused = await api.patch(path, json={"events": ["no-such-event"]})
    assert [one["field"] for one in refused.json()["errors"]] == ["events[0]"]


async def test_event_types_are_listed(api) -> None:
    found = (await api.get("/api/v1/webhooks/event-types")).json()["items"]
    names = [one["type"] for one in found]
    assert names == sorted(names) and {"session-ended", "alarm-raised", "ping"} <= set(names)
    assert all(one["description"] for one in found)


# -- a process that is killed -----------------------------------------------------------------------------------------
@pytest.mark.parametrize("round_", range(2))
async def test_a_killed_process_loses_no_event(tmp_path: Path, receiver, round_: int) -> None:
    """A process commits facts and delivers them; it is killed in the middle, twice, and started again."""
    receiver.answers = [500, 204, 503, 204, 204, (302, {"Location": "/"})] * 3
    told: list[int] = []
    for life in range(3):
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            str(Path(__file__).with_name("webhook_process.py")),
            str(tmp_path / "data"),
            receiver.url,
            str(life * 1_000),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": "src"},
        )
        assert process.stdout is not None
        limit = 15 + 10 * round_
        while True:
            line = await asyncio.wait_for(process.stdout.readline(), kit.LIMIT_S)
            assert line, "the process goes on until it is killed"
            told.append(int(line))
            if len(told) % limit == 0:
                break
        if life < 2:
            process.send_signal(signal.SIGKILL)
            await process.wait()
    wanted = [f"M{number}" for number in told]
    try:
        await kit.until(lambda: set(wanted) <= set(models(receiver)), "all that was committed arrives")
    finally:
        process.kill()
        await process.wait()
    taken = list(dict.fromkeys(models(receiver)))
    order = [int(name[1:]) for name in taken]
    assert order == sorted(order)
