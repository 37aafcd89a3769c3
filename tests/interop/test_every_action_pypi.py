"""Each action of OCPP 1.6, 2.0.1 and 2.1 between `pilotwire csms` and a client built on PyPI `ocpp`, over a socket.

What stations send is sent by the client and answered by us; what central systems send goes through our API to the
client, which answers. The package holds every frame of both directions against the standard's schemas: the requests and
answers here are made from those, and one that is not valid raises in the client.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from importlib import import_module
from pathlib import Path
from typing import Any

import httpx
import jsonschema_rs
import ocpp
import pytest
import websockets
from ocpp import messages
from ocpp.charge_point import camel_to_snake_case, remove_nones, serialize_as_dict, snake_to_camel_case
from ocpp.routing import on
from tests.interop import csms_process

from pilotwire.crypto.certificates import make_authority
from pilotwire.protocols.ocpp.version import load

MODULES = {"1.6": "v16", "2.0.1": "v201", "2.1": "v21"}
COUNTS = {"1.6": 39, "2.0.1": 64, "2.1": 91}
STREAM = "NotifyPeriodicEventStream"
"""A SEND, which the package's RPC layer does not know and its list of actions leaves out; it has its schema."""
AT = "2026-03-01T12:00:00Z"


@pytest.fixture(scope="module")
def csms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[csms_process.Csms]:
    with csms_process.running(tmp_path_factory.mktemp("every-action-pypi"), "--lab", "--no-inventory") as server:
        yield server


# ── payloads out of the package's own schemas ────────────────────────────────────────────────────────────────────────
def schema(version: str, action: str, kind: str) -> dict[str, Any]:
    name = action if kind == "Request" and (version == "1.6" or action == STREAM) else action + kind
    path = Path(ocpp.__file__).parent / MODULES[version] / "schemas" / f"{name}.json"
    found: dict[str, Any] = json.loads(path.read_text("utf-8-sig"))
    return found


def sample(part: dict[str, Any], root: dict[str, Any]) -> Any:
    """The least that is valid; of codes Accepted, where there is one."""
    if "$ref" in part:
        return sample(root["definitions"][part["$ref"].rpartition("/")[2]], root)
    if "enum" in part:
        return "Accepted" if "Accepted" in part["enum"] else part["enum"][0]
    match part.get("type", "string"):
        case "object":
            return {name: sample(part["properties"][name], root) for name in part.get("required", ())}
        case "array":
            return [sample(part["items"], root) for _ in range(part.get("minItems", 1))]
        case "integer" | "number":
            return max(1, int(part.get("minimum", 1)))
        case "boolean":
            return False
        case _:
            return {"date-time": AT, "uri": "http://example.com/x"}.get(part.get("format", ""), "x")


def payload(version: str, action: str, kind: str) -> dict[str, Any]:
    whole = schema(version, action, kind)
    made: dict[str, Any] = sample(whole, whole)
    if (kind, action) == ("Request", "SetChargingProfile"):
        if version == "1.6":
            made |= {"connectorId": 0}
            made["csChargingProfiles"]["chargingProfilePurpose"] = "ChargePointMaxProfile"
        else:
            made |= {"evseId": 0}
            made["chargingProfile"]["chargingProfilePurpose"] = "ChargingStationMaxProfile"
            schedule = made["chargingProfile"]["chargingSchedule"][0]
            schedule["startSchedule"], schedule["chargingSchedulePeriod"][0]["startPeriod"] = AT, 0
    return made | MORE.get((kind, action), {})


AUTHORITY = make_authority("Everybody's", now=datetime.now(UTC)).certificate_pem
MORE: dict[tuple[str, str], dict[str, Any]] = {
    ("Request", "InstallCertificate"): {"certificate": AUTHORITY},
    ("Request", "LogStatusNotification"): {"requestId": 1},
    ("Request", "SecurityEventNotification"): {"techInfo": "x"},
    ("Request", "SignedFirmwareStatusNotification"): {"requestId": 1},
    ("Request", "TransactionEvent"): {"eventType": "Started", "evse": {"id": 1}},
    ("Request", "SetDERControl"): {
        "controlType": "Gradients",
        "gradient": {"priority": 1, "gradient": 1, "softGradient": 1},
    },
}
"""What makes a request or an answer mean something, beyond being valid."""


# ── the client ───────────────────────────────────────────────────────────────────────────────────────────────────────
def client(version: str, name: str, socket: Any, asked: dict[str, dict[str, Any]]) -> Any:
    """A station that answers every request of ours by the least valid answer and notes it in `asked`."""
    module, results = MODULES[version], import_module(f"ocpp.{MODULES[version]}.call_result")

    def answering(action: str) -> Any:
        def answer(self: Any, **request: Any) -> Any:
            asked[action] = request
            return getattr(results, action)(**camel_to_snake_case(payload(version, action, "Response")))

        answer.__name__ = f"on_{action}"
        return on(action)(answer)

    names = [one.value for one in import_module(f"ocpp.{module}.enums").Action]
    base = import_module(f"ocpp.{module}").ChargePoint
    return type("Station", (base,), {f"on_{one}": answering(one) for one in names})(name, socket)


async def tell(station: Any, version: str, action: str, request: dict[str, Any]) -> Any:
    """A request of the station, and its answer; both are held against their schemas by the package."""
    calls = import_module(f"ocpp.{MODULES[version]}.call")
    kind, fields = getattr(calls, action), camel_to_snake_case(request)
    if set(fields) <= set(kind.__dataclass_fields__):
        made = kind(**fields)
        if snake_to_camel_case(remove_nones(serialize_as_dict(made))) == request:
            return await station.call(made, suppress=False)
    # The package cannot spell every name of the standard (soC, iso15118SchemaVersion …): the same, a layer below.
    call = messages.Call(unique_id=f"{action}-1", action=action, payload=request)
    await messages.validate_payload(call, version)
    async with station._call_lock:
        await station._send(call.to_json())
        answer = await station._get_specific_response(call.unique_id, 30)
    assert answer.message_type_id == messages.MessageType.CallResult, answer
    answer.action = action
    await messages.validate_payload(answer, version)
    return answer.payload


async def stream(station: Any, request: dict[str, Any]) -> None:
    jsonschema_rs.validator_for(schema("2.1", STREAM, "Request")).validate(request)
    await station._send(json.dumps([6, "stream-1", STREAM, request]))


@pytest.mark.parametrize("version", MODULES)
async def test_each_action(csms: csms_process.Csms, version: str) -> None:
    actions = {one.value for one in import_module(f"ocpp.{MODULES[version]}.enums").Action}
    if version == "2.1":
        actions.add(STREAM)
    assert len(actions) == COUNTS[version]
    ours = load(version).actions
    told, commanded = {one for one in actions if ours[one].by_station}, {one for one in actions if ours[one].by_csms}
    assert told | commanded == actions and told & commanded == {"DataTransfer"}
    name = f"EVERY-{version}"
    asked: dict[str, dict[str, Any]] = {}
    async with (
        websockets.connect(f"{csms.ocpp}/{name}", subprotocols=[f"ocpp{version}"]) as socket,
        httpx.AsyncClient(base_url=f"{csms.http}/api/v1/stations/{name}", timeout=60) as http,
        asyncio.timeout(60),
    ):
        station = client(version, name, socket, asked)
        loop = asyncio.create_task(station.start())
        try:
            answered: dict[str, Any] = {}
            for action in sorted(told, key=lambda one: (one != "BootNotification", one)):
                request = payload(version, action, "Request")
                if action == "StopTransaction":
                    request["transactionId"] = answered["StartTransaction"].transaction_id
                if action == STREAM:
                    await stream(station, request)
                else:
                    answered[action] = await tell(station, version, action, request)
            assert answered["BootNotification"].status == "Accepted"
            assert set(answered) == told - {STREAM}
            for action in sorted(commanded):
                body = {
                    "action": action,
                    "payload": payload(version, action, "Request"),
                    "reason": "a test of every action",
                }
                asked.pop(action, None)
                response = await http.post("/commands", json=body)
                reply = response.json()
                assert (response.status_code, reply.get("outcome")) == (200, "answered"), (action, reply)
                assert reply["answer"] == payload(version, action, "Response"), action
                assert asked[action] == camel_to_snake_case(body["payload"]), action
            known = (await http.get("/kept")).json()
        finally:
            loop.cancel()
            await asyncio.gather(loop, return_exceptions=True)
    # The least that is valid means what it says, and is remembered.
    (reservation,) = known["reservations"]
    assert (reservation["token"], reservation["status"]) == ("x", "no-show"), "it had ended before it was made"
    assert known["local_list"]["version"] == 1
    if version != "1.6":
        assert [one["id"] for one in known["display_messages"]] == [1]
        assert {one["kind"] for one in known["reports"]} >= {"variables", "monitors", "messages", "customer"}
    if version == "2.1":
        assert [(one["id"], one["kind"]) for one in known["grid_controls"]] == [("x", "Gradients")]
        assert [one["kind"] for one in known["battery_swaps"]] == ["requested", "BatteryIn"], "newest first"
        assert len(known["payments"]) == len(known["grid_alarms"]) == 1
