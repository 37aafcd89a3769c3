"""Data of vendors in both directions, and how remote starts and stops go out."""

from __future__ import annotations

import json
from typing import Any

import pytest
from csms_kit import Client, World

from pilotwire.domain.facts import DataTransferred
from pilotwire.domain.notices import COST_MESSAGES

VERSIONS = ("1.6", "2.0.1", "2.1")
LONG = "long " * 20_000


def ready(version: str) -> tuple[World, Client]:
    world = World()
    station = world.station(version=version)
    station.boot()
    return world, station


@pytest.mark.parametrize("version", VERSIONS)
def test_data_of_vendors_comes_in(version: str) -> None:
    """Whoever knows neither the vendor nor the message says so; what has come is kept as it was."""
    world, station = ready(version)
    told = [
        ({"vendorId": "com.example"}, "UnknownVendorId"),
        ({"vendorId": "com.example", "messageId": "Sing", "data": LONG}, "UnknownVendorId"),
        ({"vendorId": COST_MESSAGES, "messageId": "Sing"}, "UnknownMessageId"),
        ({"vendorId": COST_MESSAGES, "messageId": "ConnectorUnplugged", "data": "{}"}, "Accepted"),
    ]
    for payload, status in told:
        assert station.call("DataTransfer", payload) == {"status": status}
    kept = world.facts(DataTransferred)
    assert [(one.vendor_id, one.message_id, one.verdict) for one in kept] == [
        (payload["vendorId"], payload.get("messageId", ""), status) for payload, status in told
    ]
    assert LONG in kept[1].data


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("status", ["Accepted", "Rejected", "UnknownMessageId", "UnknownVendorId"])
def test_data_of_vendors_goes_out(version: str, status: str) -> None:
    """What the answer means is for whoever asked: it comes back whole."""
    world, station = ready(version)
    data: Any = {"a": [1, LONG]}
    back: dict[str, Any] = {"status": status, "data": json.dumps({"b": LONG}) if version == "1.6" else {"b": LONG}}
    station.on["DataTransfer"] = lambda payload: back
    replies = world.command("data-transfer", {"vendor": "com.example", "message": "Sing", "data": data})
    world.run()
    sent = station.calls[-1][3]
    assert (sent["vendorId"], sent["messageId"]) == ("com.example", "Sing")
    assert (json.loads(sent["data"]) if version == "1.6" else sent["data"]) == data
    assert (replies[0].outcome, replies[0].answer) == ("answered", back)


@pytest.mark.parametrize("version", VERSIONS[1:])
def test_a_remote_start_and_stop_are_sent_as_they_are_asked_for(version: str) -> None:
    world, station = ready(version)
    world.token()
    for action in ("RequestStartTransaction", "RequestStopTransaction"):
        station.on[action] = lambda payload: {"status": "Accepted"}
    world.command("start", {"token": "TAG", "evse": 2})
    world.command("start", {"token": "TAG"})
    world.run()
    first, second = (call[3] for call in station.calls if call[2] == "RequestStartTransaction")
    assert first["evseId"] == 2 and "evseId" not in second
    assert first["idToken"] == second["idToken"] == {"idToken": "TAG", "type": "ISO14443"}
    assert first["remoteStartId"] != second["remoteStartId"]
    station.call("TransactionEvent", station.event("Started", 0, 5))
    (session,) = world.sessions()
    world.command("stop", {"session": session.id})
    world.run()
    assert station.calls[-1][2:] == ["RequestStopTransaction", {"transactionId": "tx-1"}]


def started(station: Client, start_id: int | None, transaction: str = "tx-1", **info: Any) -> dict[str, Any]:
    """What the first event of a transaction is answered."""
    event = station.event("Started", 0, 5, transaction)
    event["transactionInfo"] |= {"remoteStartId": start_id, **info} if start_id is not None else info
    answer: dict[str, Any] = station.call("TransactionEvent", event)
    return answer


def test_a_start_with_a_limit_is_answered_with_it() -> None:
    """Whatever happens in between: the event that names the start gets the limit, no other does."""
    world, station = ready("2.1")
    world.token()
    station.on["RequestStartTransaction"] = lambda payload: {"status": "Accepted"}
    wanted = {"max_cost": 12.5, "max_energy_wh": 20000, "max_time_s": 3600, "max_soc": 80}
    assert world.command("start", {"token": "TAG", "evse": 1, **wanted}) == []
    world.run()
    request = station.calls[-1][3]
    assert set(request) == {"evseId", "idToken", "remoteStartId"}
    world.boot()
    station.dial()
    station.boot()
    limit = {"maxCost": 12.5, "maxEnergy": 20000, "maxTime": 3600, "maxSoC": 80}
    assert started(station, request["remoteStartId"])["transactionLimit"] == limit
    assert started(station, request["remoteStartId"])["transactionLimit"] == limit, "the answer was lost"
    assert "transactionLimit" not in station.call("TransactionEvent", station.event("Updated", 1, 6))
    assert "transactionLimit" not in started(station, None, "tx-2")
    assert "transactionLimit" not in started(station, 4711, "tx-3")


@pytest.mark.parametrize(
    ("own", "left"),
    [
        ({"maxTime": 600}, {"maxEnergy": 20000}),
        ({"maxEnergy": 20000, "maxTime": 60}, None),
        ({"maxEnergy": 30000, "maxTime": 7200}, {"maxEnergy": 20000, "maxTime": 3600}),
    ],
)
def test_a_drivers_own_limit_that_is_lower_stays(own: dict[str, Any], left: dict[str, Any] | None) -> None:
    world, station = ready("2.1")
    world.token()
    station.on["RequestStartTransaction"] = lambda payload: {"status": "Accepted"}
    world.command("start", {"token": "TAG", "evse": 1, "max_energy_wh": 20000, "max_time_s": 3600})
    world.run()
    answer = started(station, station.calls[-1][3]["remoteStartId"], transactionLimit=own)
    assert answer.get("transactionLimit") == left


@pytest.mark.parametrize(("able", "goes"), [("maxTime, maxEnergy", True), ("maxEnergy", False), ("", False)])
def test_limits_that_the_station_does_not_follow_are_not_set(able: str, goes: bool) -> None:
    world, station = ready("2.1")
    world.token()
    station.on["RequestStartTransaction"] = lambda payload: {"status": "Accepted"}
    row = {
        "component": {"name": "TxCtrlr"},
        "variable": {"name": "SupportedLimits"},
        "variableAttribute": [{"value": able}],
    }
    station.call("NotifyReport", {"requestId": 1, "generatedAt": station.at(), "seqNo": 0, "reportData": [row]})
    replies = world.command("start", {"token": "TAG", "max_time_s": 60})
    world.run()
    assert [one.outcome for one in replies] == ["answered" if goes else "invalid"]
    if not goes:
        assert "maxTime" in replies[0].answer["description"]


@pytest.mark.parametrize("version", VERSIONS)
def test_limits_that_cannot_be_said_or_make_no_sense_start_nothing(version: str) -> None:
    world, station = ready(version)
    wrong: list[dict[str, Any]] = [{"max_cost": 0}, {"max_soc": 101}, {"max_time_s": 1.5}]
    if version != "2.1":
        wrong.append({"max_time_s": 60})
    for limit in wrong:
        assert [one.outcome for one in world.command("start", {"token": "TAG", **limit})] == ["invalid"], limit
    world.run()
    assert not [call for call in station.calls if call[2].endswith("StartTransaction")]
