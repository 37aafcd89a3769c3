"""Alarms through the API: raised by the journal, shown, acknowledged, muted, cleared, and the same after a restart."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from tests.api import happenings_kit as kit

from pilotwire.core.ids import StationKey
from pilotwire.domain import facts, records
from pilotwire.transport.bus import AlarmNews, Refused

MINUTE = 60


@pytest.fixture
async def running(world) -> AsyncIterator[Any]:
    """The seeded world, all accounts made, workers running."""
    for name in ("CP-A", "CP-B", "CP-C"):
        await world.store.put_account(records.StationAccount(tenant="default", id=name))
    away = await world.store.station(StationKey("default", "CP-C"))
    away.disconnected_at = world.clock.now() - 20 * MINUTE * 1_000
    world.commit("CP-C", touched=(away,))
    made = await kit.Running(world).start()
    yield made
    await made.stop()


async def rules_open(api: httpx.AsyncClient, **filters: Any) -> list[tuple[str, str | None]]:
    found = (await api.get("/api/v1/alarms", params={"state": "open", **filters})).json()["items"]
    return sorted((one["rule_id"], one["station_id"]) for one in found)


def lose(world: Any, name: str) -> None:
    """The station's connection breaks, as the gateway tells it."""
    now = world.clock.now()
    station = records.Station(tenant="default", id=name, connected=False, disconnected_at=now)
    world.commit(name, facts.StationDisconnected(event_time=now, code=1006), touched=(station,))


async def test_what_was_wrong_before_the_first_start_is_an_alarm(running, api) -> None:
    """CP-B has a connector Faulted, CP-C has been away for 20 minutes; CP-A and CP-B were connected to a process that
    is gone, and have five minutes to come back."""
    assert await rules_open(api) == [("connector-faulted", "CP-B"), ("station-offline", "CP-C")]
    (offline,) = (await api.get("/api/v1/alarms", params={"rule": "station-offline"})).json()["items"]
    assert offline["raised_at"] == "2026-01-01T11:45:00.000Z"
    await running.pass_time(5 * MINUTE + 1)
    assert ("station-offline", "CP-A") in await rules_open(api)


async def test_a_station_that_comes_back_is_no_alarm(running, api) -> None:
    now = running.world.clock.now()
    running.world.commit("CP-A", facts.StationConnected(event_time=now, ocpp_version="2.0.1"))
    await running.pass_time(10 * MINUTE)
    assert ("station-offline", "CP-A") not in await rules_open(api)
    assert ("station-offline", "CP-B") in await rules_open(api)


async def test_the_life_of_an_alarm(running, api) -> None:
    world = running.world
    news = world.bus.subscribe("alarms.default.>", limit=100)
    fault = facts.ConnectorStatusChanged(
        event_time=world.clock.now(), evse=2, connector=1, status="Faulted", error_code="GroundFailure"
    )
    event = world.commit("CP-A", fault)
    await running.settle()
    (alarm,) = (await api.get("/api/v1/alarms", params={"station": "CP-A"})).json()["items"]
    assert alarm | {"id": ""} == {
        "id": "",
        "rule_id": "connector-faulted",
        "rule_name": "Connector faulted",
        "severity": "major",
        "state": "open",
        "station_id": "CP-A",
        "site": None,
        "part": "2/1",
        "evse": 2,
        "connector": 1,
        "summary": "EVSE 2: faulted (GroundFailure)",
        "raised_at": "2026-01-01T12:00:00.000Z",
        "last_at": "2026-01-01T12:00:00.000Z",
        "cleared_at": None,
        "cleared_why": None,
        "count": 1,
        "flapping": False,
        "value": None,
        "acknowledged_at": None,
        "acknowledged_by": None,
        "note": "",
        "muted": False,
        "event_seq": event.seq,
    }
    path = f"/api/v1/alarms/{alarm['id']}"
    tag = (await api.get(path)).headers["etag"]
    seen = await api.post(f"{path}/acknowledge", json={"note": "on my way"}, headers={"If-Match": tag})
    assert (seen.status_code, seen.json()["acknowledged_by"], seen.json()["note"]) == (200, "this machine", "on my way")
    late = await api.post(f"{path}/acknowledge", json={}, headers={"If-Match": tag})
    assert (late.status_code, late.json()["type"]) == (412, "/api#problem-stale")
    counts = (await api.get("/api/v1/alarms/counts")).json()
    assert counts == {"open": 3, "unacknowledged": 2, "critical": 0, "major": 3, "minor": 0, "warning": 0}
    world.commit(
        "CP-A", facts.ConnectorStatusChanged(event_time=world.clock.now(), evse=2, connector=1, status="Available")
    )
    await running.settle()
    assert (await api.get(path)).json()["state"] == "open"
    await running.pass_time(31)
    over = (await api.get(path)).json()
    assert (over["state"], over["cleared_why"], over["acknowledged_by"]) == ("cleared", "over", "this machine")
    assert over["cleared_at"] == "2026-01-01T12:00:30.000Z"
    told = [one.what for _, one in news.drain(100) if isinstance(one, AlarmNews) and one.station == "CP-A"]
    assert told == ["raised", "acknowledged", "cleared"]
    audit = [document.body async for document in _audit(world)]
    assert sum(b"alarms.acknowledge" in row for row in audit) == 1


async def _audit(world: Any) -> AsyncIterator[Any]:
    for one in (await world.store.documents("default", "audit", limit=500)).items:
        yield one


async def test_an_alarm_is_neither_doubled_nor_lost_by_a_restart(running, api) -> None:
    world = running.world
    for name in ("CP-A", "CP-B"):
        world.commit(name, facts.StationConnected(event_time=world.clock.now(), ocpp_version="2.0.1"))
    await running.settle()
    lose(world, "CP-A")
    await running.pass_time(2 * MINUTE)
    await running.stop()
    world.clock.run_for(60_000)
    # While nobody watches, a second station is lost and a connector fails: the journal has it.
    lose(world, "CP-B")
    world.commit("CP-A", facts.ConnectorStatusChanged(event_time=0, evse=1, connector=1, status="Faulted"))
    await running.start()
    before = await rules_open(api)
    assert before == [("connector-faulted", "CP-A"), ("connector-faulted", "CP-B"), ("station-offline", "CP-C")]
    await running.pass_time(2 * MINUTE + 1)
    (late,) = (await api.get("/api/v1/alarms", params={"station": "CP-A", "rule": "station-offline"})).json()["items"]
    assert late["raised_at"] == "2026-01-01T12:05:00.000Z"  # five minutes after it was lost, not after the restart
    for _ in range(3):
        await running.stop()
        await running.start()
        await running.settle()
    assert len(await rules_open(api)) == 4
    await running.pass_time(3 * MINUTE)
    assert len(await rules_open(api)) == 5
    assert ("station-offline", "CP-B") in await rules_open(api)


async def test_an_older_connection_that_ends_late_is_no_loss(running, api) -> None:
    world = running.world
    world.commit("CP-A", facts.StationConnected(event_time=world.clock.now(), ocpp_version="2.0.1"))
    world.commit("CP-A", facts.StationDisconnected(event_time=world.clock.now(), code=1006))  # record: connected
    await running.pass_time(10 * MINUTE)
    assert ("station-offline", "CP-A") not in await rules_open(api)


async def test_a_rule_of_ones_own(running, api) -> None:
    rule = {
        "id": "low-battery",
        "name": "Card presented that is blocked",
        "severity": "warning",
        "condition": {
            "kind": "facts",
            "when": [{"fact": "token-presented", "where": [{"field": "verdict", "value": "Blocked"}]}],
            "per": ["token"],
            "clear_after_s": 600,
        },
        "stations": ["CP-*"],
    }
    made = await api.post("/api/v1/alarm-rules", json=rule)
    assert made.status_code == 201, made.text
    assert (await api.post("/api/v1/alarm-rules", json=rule)).json()["type"] == "/api#problem-exists"
    assert (await api.post("/api/v1/alarm-rules", json={**rule, "id": "station-offline"})).status_code == 409
    await running.settle()
    token = facts.TokenPresented(event_time=0, token="04A1", token_type="ISO14443", verdict="Blocked")
    running.world.commit("CP-A", token)
    await running.settle()
    assert ("low-battery", "CP-A") in await rules_open(api)
    shown = (await api.get("/api/v1/alarm-rules/low-battery")).json()
    assert (shown["built_in"], shown["open"], shown["condition"]["kind"]) == (False, 1, "facts")
    path = "/api/v1/alarm-rules/low-battery"
    changed = await api.patch(path, json={"enabled": False}, headers={"If-Match": made.headers["etag"]})
    assert changed.status_code == 200
    await running.settle()
    assert ("low-battery", "CP-A") not in await rules_open(api)
    assert (await api.delete(path, headers={"If-Match": made.headers["etag"]})).status_code == 412
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).status_code == 404


async def test_a_built_in_rule_is_changed_and_brought_back(running, api) -> None:
    path = "/api/v1/alarm-rules/station-offline"
    first = await api.get(path)
    assert (first.json()["built_in"], first.json()["changed"]) == (True, False)
    condition = {**first.json()["condition"], "for_s": 30}
    changed = await api.patch(path, json={"condition": condition}, headers={"If-Match": first.headers["etag"]})
    assert changed.json()["changed"] is True, changed.text
    await running.settle()
    lose(running.world, "CP-A")
    await running.pass_time(31)
    assert ("station-offline", "CP-A") in await rules_open(api)
    assert (await api.delete(path)).status_code == 204
    assert (await api.get(path)).json()["condition"]["for_s"] == 300


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"condition": {"kind": "facts", "when": []}}, "condition.when"),
        ({"condition": {"kind": "facts", "when": [{"fact": "x"}], "clear_after_s": 1}}, "condition.when[0].fact"),
        ({"condition": {"kind": "gauge", "gauge": "heat", "over": 1}}, "condition.gauge"),
        ({"severity": "bad"}, "severity"),
        ({"colour": "red"}, "colour"),
    ],
)
async def test_a_rule_that_cannot_work_says_what_to_mend(running, api, change: dict[str, Any], field: str) -> None:
    refused = await api.patch("/api/v1/alarm-rules/station-offline", json=change)
    assert refused.status_code == 422
    assert [one["field"] for one in refused.json()["errors"]] == [field]


async def test_the_vocabulary_names_what_rules_can_look_at(running, api) -> None:
    found = (await api.get("/api/v1/alarm-rules/vocabulary")).json()
    fields = {one["name"]: one["fields"] for one in found["facts"]}
    assert fields["connector-status-changed"]["status"] == "text"
    assert fields["session-updated"]["power_w"] == "number"
    assert {one["name"] for one in found["gauges"]} >= {"clock-skew-s", "site-power-percent"}


async def test_refused_handshakes_of_a_known_station(running, api) -> None:
    world = running.world
    for name in ("CP-A", "CP-unheard-of"):
        for _ in range(6):
            refused = Refused(
                tenant="default",
                station=name,
                time=world.clock.now(),
                peer="203.0.113.7:5",
                status=401,
                reason="wrong-credential",
            )
            world.bus.publish(f"refused.default.{name}", refused)
    await kit.until(
        lambda: _is_open(running, api, ("handshakes-refused", "CP-A")), "five refusals within ten minutes are an alarm"
    )
    assert not [one for one in await rules_open(api) if one[1] == "CP-unheard-of"]


async def _is_open(running: Any, api: httpx.AsyncClient, wanted: tuple[str, str]) -> bool:
    await running.settle()
    return wanted in await rules_open(api)


async def test_a_clock_that_is_wrong(running, api) -> None:
    world = running.world
    now = world.clock.now()
    record = records.Station(tenant="default", id="CP-B", connected=True, connected_at=now, skew_ms=-3_600_000)
    late = facts.ConnectorStatusChanged(event_time=now - 3_600_000, evse=1, connector=1, status="Available")
    world.commit("CP-B", late, touched=(record,))
    await running.settle()
    await running.pass_time(61)
    (alarm,) = (await api.get("/api/v1/alarms", params={"rule": "clock-skew"})).json()["items"]
    assert (alarm["station_id"], alarm["value"], alarm["summary"]) == ("CP-B", 3600, "clock differs by 3600 s")


async def test_a_site_that_draws_too_much(running, api) -> None:
    world = running.world
    await api.post("/api/v1/sites", json={"id": "north", "name": "North", "power_limit_w": 10_000})
    account = await world.store.account(StationKey("default", "CP-A"))
    account.site = "north"
    await world.store.put_account(account)
    world.bus.publish("changed.settings", None)
    await kit.until(lambda: _reads_books(running), "the books are read again")
    update = facts.SessionUpdated(event_time=world.clock.now(), session_id="s-1", power_w=12_000)
    world.commit("CP-A", update)
    await running.settle()
    await running.pass_time(11)
    (alarm,) = (await api.get("/api/v1/alarms", params={"severity": "critical"})).json()["items"]
    assert (alarm["site"], alarm["station_id"], alarm["value"]) == ("north", None, 120)
    world.commit("CP-A", facts.SessionUpdated(event_time=world.clock.now(), session_id="s-1", power_w=9_000))
    await running.settle()
    await running.pass_time(31)
    assert await rules_open(api, severity="critical") == []


async def _reads_books(running: Any) -> bool:
    from pilotwire.api.happenings.worker import Happenings

    await running.settle()
    desk = running.world.context.parts[Happenings]._desks["default"]
    return "north" in desk.books.sites and desk.books.site_of("CP-A") == "north"


async def test_mutes(running, api) -> None:
    muted = await api.post("/api/v1/alarm-mutes", json={"target": "station", "value": "CP-B", "note": "being mended"})
    assert muted.status_code == 201, muted.text
    found = (await api.get("/api/v1/alarms", params={"state": "open"})).json()["items"]
    assert {one["station_id"]: one["muted"] for one in found} == {"CP-B": True, "CP-C": False}
    again = await api.post(
        "/api/v1/alarm-mutes", json={"target": "station", "value": "CP-B", "until": "2026-01-01T13:00:00Z"}
    )
    assert again.json()["until"] == "2026-01-01T13:00:00.000Z"
    assert [one["id"] for one in (await api.get("/api/v1/alarm-mutes")).json()["items"]] == [again.json()["id"]]
    running.world.clock.run_for(3_600_001)
    assert (await api.get("/api/v1/alarm-mutes")).json()["items"] == []
    past = {"target": "rule", "value": "clock-skew", "until": "2025-01-01T00:00:00Z"}
    assert (await api.post("/api/v1/alarm-mutes", json=past)).status_code == 422
    unknown = {"target": "station", "value": "CP-nobody"}
    assert (await api.post("/api/v1/alarm-mutes", json=unknown)).status_code == 404
    for target, value in (("rule", "clock-skew"), ("alarm", found[0]["id"])):
        made = await api.post("/api/v1/alarm-mutes", json={"target": target, "value": value})
        assert (await api.delete(f"/api/v1/alarm-mutes/{made.json()['id']}")).status_code == 204
    assert (await api.delete("/api/v1/alarm-mutes/none")).status_code == 404


async def test_lists_page_and_filter(running, api) -> None:
    world = running.world
    for evse in range(1, 8):
        world.commit("CP-A", facts.ConnectorStatusChanged(event_time=0, evse=evse, connector=1, status="Faulted"))
        world.clock.run_for(1_000)
        await running.settle()
    for evse in (1, 2, 3):
        world.commit("CP-A", facts.ConnectorStatusChanged(event_time=0, evse=evse, connector=1, status="Available"))
    await running.settle()
    await running.pass_time(31)
    found: list[dict[str, Any]] = []
    cursor: str | None = None
    while True:
        params = {"limit": 2, "station": "CP-A"} | ({"cursor": cursor} if cursor else {})
        page = (await api.get("/api/v1/alarms", params=params)).json()
        assert len(page["items"]) <= 2
        found += page["items"]
        cursor = page["next"]
        if cursor is None:
            break
    assert [(one["state"], one["evse"]) for one in found] == [
        ("open", 7), ("open", 6), ("open", 5), ("open", 4), ("cleared", 3), ("cleared", 2), ("cleared", 1),
    ]  # fmt: skip
    assert len(await rules_open(api, station="CP-A", severity="major", acknowledged="false")) == 4
    assert await rules_open(api, station="CP-A", acknowledged="true") == []
    page = (await api.get("/api/v1/alarms", params={"limit": 2})).json()
    other = await api.get("/api/v1/alarms", params={"limit": 2, "state": "open", "cursor": page["next"]})
    assert (other.status_code, other.json()["type"]) == (400, "/api#problem-bad-cursor")


async def test_metrics_tell_what_is_open(running, api) -> None:
    text = (await api.get("/metrics")).text
    assert 'pilotwire_alarms_open{severity="major"} 2.0' in text
    assert "pilotwire_alarms_raised_total 2.0" in text and "pilotwire_webhook_attempts_total 0.0" in text


async def test_alarms_of_a_station_that_is_taken_away_are_over(running, api) -> None:
    await running.world.store.delete_account(StationKey("default", "CP-B"))
    running.world.bus.publish("changed.settings", None)
    await kit.until(lambda: _is_closed(running, api), "its alarms are cleared")
    found = (await api.get("/api/v1/alarms", params={"station": "CP-B"})).json()["items"]
    assert [(one["state"], one["cleared_why"]) for one in found] == [("cleared", "station-gone")]


async def _is_closed(running: Any, api: httpx.AsyncClient) -> bool:
    await running.settle()
    return ("connector-faulted", "CP-B") not in await rules_open(api)


async def test_the_live_picture_counts_alarms_and_names_those_that_change(running, api) -> None:
    from pilotwire.api.live import hub_of

    hub = hub_of(running.world.context, "default")
    stream = hub.watch()
    try:
        first = (await anext(stream)).decode()
        assert '"alarms_open":2' in first and '"alarms_critical":0' in first
        fault = facts.ConnectorStatusChanged(event_time=0, evse=9, connector=1, status="Faulted")
        running.world.commit("CP-A", fault)
        await running.settle()
        alarm = (await api.get("/api/v1/alarms", params={"station": "CP-A"})).json()["items"][0]
        async with asyncio.timeout(kit.LIMIT_S):
            while alarm["id"] not in (message := (await anext(stream)).decode()):
                assert message
        assert '"alarms_open":3' in message
    finally:
        await stream.aclose()
    totals = (await api.get("/api/v1/totals")).json()
    assert totals["alarms_open"] == 3


async def test_the_first_alarm_of_a_new_station_belongs_to_its_site(api, world, running) -> None:
    """Between its making and its first fault nothing but a moment may have passed."""
    await api.post("/api/v1/sites", json={"id": "yard", "name": "Yard"})
    await running.settle()
    made = await api.post("/api/v1/stations", json={"id": "CP-NEW", "site": "yard"})
    assert made.status_code == 201
    fault = facts.ConnectorStatusChanged(
        event_time=world.clock.now(), evse=1, connector=1, status="Faulted", error_code="GroundFailure"
    )
    world.commit("CP-NEW", fault)
    await running.settle()
    (alarm,) = (await api.get("/api/v1/alarms?station=CP-NEW")).json()["items"]
    assert alarm["site"] == "yard"
