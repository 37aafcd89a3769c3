"""The message log: frames decoded, explained, paired with their answers; nothing secret in it."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import pytest

from pilotwire.domain import facts, records
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import Frame

PATH = "/api/v1/stations/{}/messages"
NOW = 1_767_268_800_000


def came(world, station: str, frame: Any, *said: facts.AnyFact, at: int = NOW, touched: tuple = ()) -> None:
    """A frame of a station into the journal."""
    data = b"" if frame is None else frame if isinstance(frame, bytes) else msgspec.json.encode(frame)
    world.store.append(
        Entry(
            tenant="default",
            station=station,
            recv_time=at,
            epoch=3,
            direction="in" if data else "sys",
            frame=data,
            facts=said,
            touched=touched,
        )
    )


def passes(world, station: str, direction: str, frame: list, at: int = NOW) -> None:
    data = msgspec.json.encode(frame)
    world.bus.publish(
        f"live.default.{station}",
        Frame(tenant="default", station=station, time=at, direction=direction, data=data),
    )


async def log(api, station: str, **query: Any) -> list[dict[str, Any]]:
    answer = await api.get(PATH.format(station), params=query)
    assert answer.status_code == 200, answer.text
    return answer.json()["items"]


async def test_a_message_is_decoded_and_explained(world, api) -> None:
    status = {"connectorId": 1, "errorCode": "GroundFailure", "status": "Faulted"}
    fault = facts.ConnectorStatusChanged(
        event_time=NOW, evse=1, connector=1, status="Faulted", error_code="GroundFailure"
    )
    came(world, "CP-B", [2, "m-1", "StatusNotification", status], fault)
    one = (await log(api, "CP-B"))[0]
    assert (one["kind"], one["direction"], one["action"], one["message_id"]) == (
        "CALL",
        "in",
        "StatusNotification",
        "m-1",
    )
    assert one["payload"] == status and one["connection"] == 3 and one["level"] == "bad"
    assert one["summary"] == "Connector status: connector 1, Faulted, error GroundFailure"
    assert one["facts"] == ["EVSE 1: faulted (GroundFailure)"]
    assert (one["fault"], one["deviations"], one["answer"], one["latency_ms"]) == ("", [], None, None)


@pytest.mark.parametrize(
    ("station", "frame", "says"),
    [
        ("CP-B", [2, "1", "Heartbeat", {}], "Sign of life"),
        (
            "CP-B",
            [2, "1", "BootNotification", {"chargePointVendor": "Voltwerk", "chargePointModel": "Wall"}],
            "Station has started: Voltwerk Wall",
        ),
        (
            "CP-B",
            [2, "1", "MeterValues", {"connectorId": 1, "meterValue": [{"timestamp": "2026-01-01T00:00:00Z",
                "sampledValue": [{"value": "5500"}, {"value": "11.0", "measurand": "Power.Active.Import", "unit": "kW"},
                {"value": "230", "measurand": "Voltage", "phase": "L1"}]}]}],
            "Meter reading: connector 1, meter 5500 Wh, power 11.0 kW",
        ),
        (
            "CP-A",
            [2, "1", "TransactionEvent", {"eventType": "Ended", "timestamp": "2026-01-01T00:00:00Z", "seqNo": 3,
                "triggerReason": "EVDeparted", "transactionInfo": {"transactionId": "t"}, "idToken":
                {"idToken": "04A1", "type": "ISO14443"}}],
            "Session event: Ended, token 04A1, because of EVDeparted",
        ),
        ("CP-A", [4, "1", "NotSupported", "no such", {}], "The station refused with NotSupported: no such"),
        ("CP-A", b"nonsense", "This is no JSON."),
        ("CP-A", [2, "1", "Nope", {}], "Nope, but the message is wrong: OCPP 2.0.1 has no action Nope."),
    ],
)  # fmt: skip
async def test_sentences(world, api, station: str, frame: Any, says: str) -> None:
    came(world, station, frame)
    assert (await log(api, station))[0]["summary"] == says


async def test_tolerances_and_faults_are_named(world, api) -> None:
    came(world, "CP-B", [2, "1", "StatusNotification", {"connectorId": 1, "errorCode": "", "status": "Available"}])
    came(world, "CP-B", [2, "2", "Authorize", {"idTag": 7}])
    wrong, tolerated = (await log(api, "CP-B"))[:2]
    assert wrong["fault"] and wrong["error_code"] == "TypeConstraintViolation" and wrong["level"] == "bad"
    assert tolerated["fault"] == "" and tolerated["deviations"]
    assert all(one["rule"] and one["text"] for one in tolerated["deviations"])


async def test_a_command_stands_with_its_answer(world, api) -> None:
    command = records.Command(
        tenant="default", id="c-1", station_id="CP-B", action="Reset", payload='{"type":"Soft"}', by="ada",
        requested_at=NOW - 900, expires_at=NOW, outcome="answered", answer='{"status":"Accepted"}',
        settled_at=NOW - 100,
    )  # fmt: skip
    asked = facts.CommandRequested(
        event_time=NOW - 900, command_id="c-1", action="Reset", payload='{"type":"Soft"}', expires_at=NOW, by="ada"
    )
    came(world, "CP-B", None, asked, at=NOW - 900)
    settled = facts.CommandSettled(event_time=NOW - 100, command_id="c-1", outcome="answered")
    came(world, "CP-B", [3, "x", {"status": "Accepted"}], settled, at=NOW - 100, touched=(command,))
    answer, request = (await log(api, "CP-B"))[:2]
    assert (request["direction"], request["kind"], request["action"]) == ("out", "CALL", "Reset")
    assert request["payload"] == {"type": "Soft"} and request["latency_ms"] == 800
    assert request["answer"]["payload"] == {"status": "Accepted"} and "ada" in request["summary"]
    assert (answer["kind"], answer["action"], answer["command_id"]) == ("CALLRESULT", "Reset", "c-1")
    assert answer["request"] == {"type": "Soft"} and answer["summary"] == "The station answered Reset: Accepted"


async def test_what_only_passes_is_seen_from_the_first_look_on(world, api) -> None:
    passes(world, "CP-B", "in", [2, "h-0", "Heartbeat", {}])
    assert not [one for one in await log(api, "CP-B") if one["action"] == "Heartbeat"]
    came(world, "CP-B", [2, "a-1", "Authorize", {"idTag": "04A1"}], at=NOW)
    passes(world, "CP-B", "in", [2, "a-1", "Authorize", {"idTag": "04A1"}])
    passes(world, "CP-B", "out", [3, "a-1", {"idTagInfo": {"status": "Blocked"}}], at=NOW + 42)
    passes(world, "CP-B", "in", [2, "h-1", "Heartbeat", {}], at=NOW + 50)
    passes(world, "CP-B", "out", [3, "h-1", {"currentTime": "2026-01-01T12:00:00Z"}], at=NOW + 51)
    beat, authorize = (await log(api, "CP-B"))[:2]
    assert (authorize["seq"] is not None, authorize["latency_ms"]) == (True, 42)
    assert authorize["answer"]["summary"] == "We answered Authorize: Blocked"
    assert (beat["action"], beat["seq"], beat["latency_ms"]) == ("Heartbeat", None, 1)
    assert len([one for one in await log(api, "CP-B") if one["message_id"] in ("a-1", "h-1")]) == 2


async def test_the_log_is_filtered_and_paged(world, api) -> None:
    for number in range(12):
        action = "Heartbeat" if number % 2 else "Authorize"
        payload = {} if number % 2 else {"idTag": f"T{number}"}
        came(world, "CP-B", [2, str(number), action, payload], at=NOW + number)
    came(world, "CP-B", [4, "z", "InternalError", "", {}], at=NOW + 20)
    assert [one["message_id"] for one in await log(api, "CP-B", action="Authorize", limit=3)] == ["10", "8", "6"]
    assert [one["kind"] for one in await log(api, "CP-B", errors="true")] == ["CALLERROR"]
    ids: list[str] = []
    query: dict[str, Any] = {"limit": 5, "since": "2026-01-01T12:00:00Z"}
    for _ in range(10):
        page = (await api.get(PATH.format("CP-B"), params=query)).json()
        ids += [one["message_id"] for one in page["items"]]
        if page["next"] is None:
            break
        query["cursor"] = page["next"]
    assert ids == ["z", *(str(number) for number in range(11, -1, -1))]
    until = [one["message_id"] for one in await log(api, "CP-B", until="2026-01-01T12:00:00.004Z", limit=3)]
    assert until == ["4", "3", "2"]
    other = await api.get(PATH.format("CP-B"), params={"cursor": query["cursor"], "action": "Reset"})
    assert other.status_code == 400


async def test_no_secret_is_in_the_log(world, api) -> None:
    secret = "S3cret-Passw0rd"
    came(world, "CP-B", [2, "1", "DataTransfer", {"vendorId": "x", "data": "plain"}])
    came(
        world, "CP-B", [3, "2", {"configurationKey": [{"key": "AuthorizationKey", "readonly": False, "value": secret}]}]
    )
    came(world, "CP-A", [2, "3", "NotifyReport", {"requestId": 1, "generatedAt": "2026-01-01T00:00:00Z", "seqNo": 0,
        "reportData": [{"component": {"name": "SecurityCtrlr"}, "variable": {"name": "BasicAuthPassword"},
        "variableAttribute": [{"value": secret}]}]}])  # fmt: skip
    passes(world, "CP-A", "out", [2, "x", "Nothing", {}])
    await log(api, "CP-A")
    passes(world, "CP-A", "out", [2, "4", "SetNetworkProfile", {"configurationSlot": 1, "connectionData":
        {"apn": {"apnPassword": secret}, "basicAuthPassword": secret}}])  # fmt: skip
    for station in ("CP-A", "CP-B"):
        answer = await api.get(PATH.format(station))
        assert secret not in answer.text and "(hidden)" in answer.text


async def test_no_key_code_is_in_the_log(world, api) -> None:
    code, token = "4711", {"idToken": "4711", "type": "KeyCode"}
    presented = facts.TokenPresented(event_time=NOW, token=code, token_type="KeyCode", verdict="Accepted", evse=0)
    began = facts.SessionStarted(
        event_time=NOW, session_id="s", transaction="t", start_key="", ocpp_version="2.1", evse=1, connector=1,
        token=code, token_type="KeyCode", verdict="Accepted",
    )  # fmt: skip
    came(world, "CP-A", [2, "1", "Authorize", {"idToken": token}], presented)
    event = {"eventType": "Started", "timestamp": "2026-01-01T00:00:00Z", "triggerReason": "Authorized", "seqNo": 0,
        "transactionInfo": {"transactionId": "t"}, "idToken": token}  # fmt: skip
    came(world, "CP-A", [2, "2", "TransactionEvent", event], began)
    came(world, "CP-A", [2, "3", "Authorize", {"idToken": {"idToken": "CARD", "type": "ISO14443"}}])
    passes(world, "CP-A", "out", [2, "x", "Nothing", {}])
    await log(api, "CP-A")
    passes(world, "CP-A", "out", [2, "4", "RequestStartTransaction", {"remoteStartId": 1, "idToken": token}])
    answer = await api.get(PATH.format("CP-A"))
    assert code not in answer.text and answer.text.count("(hidden)") >= 4 and "CARD" in answer.text


async def test_who_may_not_read_messages_is_told(world) -> None:
    digest = hashlib.sha256(b"pw_o").hexdigest()
    await world.store.put_api_key(records.ApiKey(tenant="default", id="k", name="o", role="site-owner", digest=digest))
    async with world.client(headers={"Authorization": "Bearer pw_o"}) as owner:
        assert (await owner.get(PATH.format("CP-A"))).status_code == 403


async def test_what_a_message_says_in_german(world, api) -> None:
    status = {"timestamp": "2026-01-01T00:00:00Z", "evseId": 1, "connectorId": 2, "connectorStatus": "Faulted"}
    came(world, "CP-A", [2, "1", "StatusNotification", status])
    came(world, "CP-A", [4, "2", "NotSupported", "no such", {}])
    told = (await api.get(PATH.format("CP-A"), headers={"Accept-Language": "de"})).json()["items"]
    assert [one["summary"] for one in told[:2]] == [
        "Die Station lehnte ab: NotSupported: no such", "Zustand des Anschlusses: EVSE 1, Anschluss 2, gestört",
    ]  # fmt: skip
    forms = (await api.get("/api/v1/stations/CP-A/commands/available", headers={"Accept-Language": "de"})).json()[
        "items"
    ]
    assert "Ladevorgänge" in next(one["description"] for one in forms if one["action"] == "reset")
