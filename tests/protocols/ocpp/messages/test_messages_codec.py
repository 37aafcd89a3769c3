"""What the oracles cannot say: error codes and paths, strict sending, customData, date-times, the SEND of 2.1."""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.protocols.ocpp import v16, v21, v201
from pilotwire.protocols.ocpp.model import CustomDataType, is_multiple
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.v16 import messages as m16
from pilotwire.protocols.ocpp.v21 import messages as m21
from pilotwire.protocols.ocpp.v201 import messages as m201
from pilotwire.protocols.ocpp.version import load

ROOT = Path(__file__).resolve().parents[4]
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)

SAMPLE = {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": "1"}, {"value": "2"}]}


def refused(version: str, action: str, payload: object, *, tolerant: bool = False) -> tuple[str, str]:
    data = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    with pytest.raises(RpcError) as caught:
        load(version).actions[action].decode_request(data, tolerant=tolerant)
    return caught.value.code, caught.value.description


@pytest.mark.parametrize("tolerant", [False, True])
@pytest.mark.parametrize(
    ("payload", "code", "description"),
    [
        ([], "FormatViolation", "$: the payload is not an object"),
        (b'{"connectorId":1,', "FormatViolation", None),
        ({"meterValue": []}, "OccurrenceConstraintViolation", "$.connectorId: required and not there"),
        ({"connectorId": [], "meterValue": []}, "TypeConstraintViolation", "$.connectorId: not of type integer"),
        ({"connectorId": True, "meterValue": []}, "TypeConstraintViolation", "$.connectorId: not of type integer"),
        (
            {"connectorId": 1, "meterValue": [SAMPLE, {**SAMPLE, "timestamp": "noon"}]},
            "TypeConstraintViolation",
            "$.meterValue[1].timestamp: not a date-time by RFC 3339 with an offset",
        ),
        (
            {"connectorId": 1, "meterValue": [{**SAMPLE, "sampledValue": [{"value": "1"}, {}]}]},
            "OccurrenceConstraintViolation",
            "$.meterValue[0].sampledValue[1].value: required and not there",
        ),
    ],
)
def test_error_names_code_and_field(tolerant: bool, payload: object, code: str, description: str | None) -> None:
    found = refused("1.6", "MeterValues", payload, tolerant=tolerant)
    assert found[0] == code
    assert description is None or found[1] == description


@pytest.mark.parametrize(
    ("version", "action", "payload", "code", "path"),
    [
        ("1.6", "Authorize", {"idTag": "x" * 21}, "PropertyConstraintViolation", "$.idTag"),
        ("1.6", "Authorize", {"idTag": "x", "more": 1}, "FormatViolation", "$.more"),
        ("1.6", "Authorize", {"idTag": None}, "TypeConstraintViolation", "$.idTag"),
        ("1.6", "Reset", {"type": "Warm"}, "PropertyConstraintViolation", "$.type"),
        ("1.6", "GetDiagnostics", {"location": "nowhere"}, "PropertyConstraintViolation", "$.location"),
        ("2.0.1", "ClearDisplayMessage", {"id": 1, "customData": {}}, "PropertyConstraintViolation", "$.customData"),
        ("2.0.1", "GetVariables", {"getVariableData": []}, "OccurrenceConstraintViolation", "$.getVariableData"),
        (
            "2.0.1",
            "GetMonitoringReport",
            {"requestId": 1, "monitoringCriteria": ["DeltaMonitoring"] * 4},
            "OccurrenceConstraintViolation",
            "$.monitoringCriteria",
        ),
        ("2.0.1", "SetMonitoringLevel", {"severity": "high"}, "TypeConstraintViolation", "$.severity"),
        ("2.1", "AdjustPeriodicEventStream", {"id": -1, "params": {}}, "PropertyConstraintViolation", "$.id"),
    ],
)
def test_each_kind_of_fault_has_its_code(version: str, action: str, payload: object, code: str, path: str) -> None:
    found = refused(version, action, payload)
    assert found[0] == code
    assert found[1].startswith(f"{path}: ")


def test_the_value_is_not_in_the_description() -> None:
    """It may be a token: descriptions end up in logs at both ends."""
    assert "DEADBEEF" not in refused("1.6", "Authorize", {"idTag": "DEADBEEF" * 5})[1]


@pytest.mark.parametrize("digits", ["0.35", "16.05", "0.1000000000000000000001", "1E-2"])
def test_limit_is_a_multiple_of_a_tenth_exactly(digits: str) -> None:
    period = '{"connectorId":1,"duration":1,"chargingRateUnit":"A"}'
    assert v16.VERSION.actions["GetCompositeSchedule"].decode_request(period.encode())
    response = (
        '{"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":'
        f'[{{"startPeriod":0,"limit":{digits}}}]}}}}'
    )
    with pytest.raises(RpcError, match=r"multiple of 0\.1"):
        v16.VERSION.actions["GetCompositeSchedule"].decode_response(response.encode())


def test_every_tenth_is_a_multiple_of_a_tenth() -> None:
    assert all(is_multiple(Decimal(tenths) / 10, Decimal("0.1")) for tenths in range(-5000, 5000))
    assert not any(is_multiple(Decimal(tenths) / 10 + Decimal("0.05"), Decimal("0.1")) for tenths in range(100))
    assert is_multiple(Decimal("1E+60"), Decimal("0.1"))


@pytest.mark.parametrize("digits", ["1E+64", "1e999999999", "-1E+64", "1E-64", "1e-999999999", "0E+999999999"])
def test_a_number_of_absurd_size_is_refused_and_not_expanded(digits: str) -> None:
    data = f'{{"totalCost":{digits},"transactionId":"t"}}'.encode()
    for tolerant in (False, True):
        code, description = refused("2.0.1", "CostUpdated", data, tolerant=tolerant)
        assert (code, description) == ("PropertyConstraintViolation", "$.totalCost: too large or too small a number")


@pytest.mark.parametrize("text", ['"12.5"', "null", "true", "[1]", '"NaN"'])
def test_what_is_no_number_is_refused_strictly(text: str) -> None:
    data = f'{{"totalCost":{text},"transactionId":"t"}}'.encode()
    assert refused("2.0.1", "CostUpdated", data)[0] == "TypeConstraintViolation"


def test_integers_become_decimals() -> None:
    message = v201.VERSION.actions["CostUpdated"].decode_request(b'{"totalCost":5,"transactionId":"t"}').message
    assert type(message.total_cost) is Decimal  # type: ignore[attr-defined]


def test_custom_data_survives_whole() -> None:
    text = (
        b'{"customData":{"vendorId":"org.example","deep":{"x":[1.10,null,"null"]},'
        b'"timestamp":"2026-01-01T00:00:00.123456Z"}}'
    )
    action = v201.VERSION.actions["Heartbeat"]
    message = action.decode_request(text).message
    assert isinstance(message, m201.HeartbeatRequest)
    assert message.custom_data is not None
    assert message.custom_data.vendor_id == "org.example"
    assert message.custom_data["deep"]["x"][0] == Decimal("1.10")
    assert action.encode(message) == text


def test_custom_data_can_be_made() -> None:
    action = v21.VERSION.actions["Heartbeat"]
    request = m21.HeartbeatRequest(custom_data=CustomDataType(vendorId="org.example", n=Decimal("1.50")))
    assert action.encode(request) == b'{"customData":{"vendorId":"org.example","n":1.50}}'
    with pytest.raises(LocalError, match="vendorId is required"):
        action.encode(m21.HeartbeatRequest(custom_data=CustomDataType(n=1)))


def test_null_in_data_transfer_reads_as_absent() -> None:
    action = v201.VERSION.actions["DataTransfer"]
    decoded = action.decode_request(b'{"vendorId":"v","data":null}', tolerant=False)
    assert decoded == action.decode_request(b'{"vendorId":"v"}')
    deep = b'{"vendorId":"v","data":{"a":null,"b":[1.10]}}'
    assert action.encode(action.decode_request(deep, tolerant=False).message) == deep


@pytest.mark.parametrize(
    ("moment", "text"),
    [
        (NOON, "2026-01-31T12:00:00Z"),
        (NOON + timedelta(microseconds=123456), "2026-01-31T12:00:00.123Z"),
        (NOON + timedelta(microseconds=999), "2026-01-31T12:00:00.000Z"),
        (NOON.astimezone(timezone(timedelta(hours=2))) + timedelta(milliseconds=5), "2026-01-31T14:00:00.005+02:00"),
    ],
)
def test_date_times_are_sent_with_at_most_three_decimals(moment: datetime, text: str) -> None:
    assert v16.VERSION.actions["Heartbeat"].encode(m16.HeartbeatResponse(current_time=moment)) == (
        f'{{"currentTime":"{text}"}}'.encode()
    )
    with_custom = m201.HeartbeatResponse(
        current_time=moment, custom_data=CustomDataType(vendorId="v", currentTime=text)
    )
    written = json.loads(v201.VERSION.actions["Heartbeat"].encode(with_custom))
    assert written == {"currentTime": text, "customData": {"vendorId": "v", "currentTime": text}}


def test_a_text_that_looks_like_a_date_time_is_left_alone() -> None:
    info = '"timestamp":"2026-01-31T12:00:00.123456Z"'
    request = m16.StatusNotificationRequest(
        connector_id=1, error_code="NoError", status="Available", info=info, timestamp=NOON + timedelta(microseconds=1)
    )
    written = json.loads(v16.VERSION.actions["StatusNotification"].encode(request))
    assert (written["info"], written["timestamp"]) == (info, "2026-01-31T12:00:00.000Z")


@pytest.mark.parametrize(
    ("action", "message", "reason"),
    [
        ("Authorize", m16.AuthorizeRequest(id_tag="x" * 21), r"\$\.idTag: longer than 20"),
        ("Authorize", m16.AuthorizeRequest(id_tag=None), r"\$\.idTag: null"),  # type: ignore[arg-type]
        (
            "Heartbeat",
            m16.HeartbeatResponse(current_time=NOON.replace(tzinfo=None)),
            r"\$\.currentTime: not a date-time",
        ),
        ("Reset", m16.ResetRequest(type="Warm"), r"\$\.type: not one of"),  # type: ignore[arg-type]
        ("Authorize", m16.AuthorizeRequest(id_tag=object()), "cannot be written"),  # type: ignore[arg-type]
        ("Authorize", m16.HeartbeatRequest(), "is no message of Authorize"),
        ("Authorize", {"idTag": "x"}, "is no message of Authorize"),
    ],
)
def test_sending_is_strict(action: str, message: object, reason: str) -> None:
    with pytest.raises(LocalError, match=reason):
        v16.VERSION.actions[action].encode(message)


@pytest.mark.parametrize("number", [Decimal("NaN"), Decimal("Infinity"), Decimal("1E+70"), float("nan")])
def test_no_number_that_json_has_not_is_sent(number: Decimal) -> None:
    with pytest.raises(LocalError):
        v201.VERSION.actions["CostUpdated"].encode(m201.CostUpdatedRequest(total_cost=number, transaction_id="t"))


@pytest.mark.parametrize("number", ["0.1234567", "1E-7", "1.0000000"])
def test_no_decimal_with_seven_places_is_sent_to_a_station(number: str) -> None:
    """2.x part 2, 2.1.4; the schema does not say it. What a station reports keeps its full resolution."""
    price = Decimal(number)
    cost = m201.CostUpdatedRequest(total_cost=price, transaction_id="t")
    with pytest.raises(LocalError, match=r"\$\.totalCost has more than six decimal places"):
        v201.VERSION.actions["CostUpdated"].encode(cost)
    with pytest.raises(LocalError, match="six decimal places"):
        v21.VERSION.actions["TransactionEvent"].encode(m21.TransactionEventResponse(total_cost=price))
    rounded = m201.CostUpdatedRequest(
        total_cost=Decimal("0.123456"), transaction_id="0.1234567", custom_data=CustomDataType(vendorId="v", n=price)
    )
    assert b'"totalCost":0.123456,' in v201.VERSION.actions["CostUpdated"].encode(rounded)
    sample = m201.MeterValueType(timestamp=NOON, sampled_value=[m201.SampledValueType(value=price)])
    assert number.encode() in v201.VERSION.actions["MeterValues"].encode(
        m201.MeterValuesRequest(evse_id=1, meter_value=[sample])
    )


def test_send_has_no_response() -> None:
    sends = {name for name, action in v21.VERSION.actions.items() if action.is_send}
    assert sends == {"NotifyPeriodicEventStream"}
    action = v21.VERSION.actions["NotifyPeriodicEventStream"]
    assert action.response_type is None and action.by_station and not action.by_csms
    with pytest.raises(LocalError, match="no response"):
        action.decode_response(b"{}")
    assert not any(action.is_send for version in (v16, v201) for action in version.VERSION.actions.values())


def test_who_may_send_what() -> None:
    """Counts of the tables in part 2: every action has a sender, DataTransfer alone has two."""
    for version, station, csms in ((v16, 14, 26), (v201, 25, 40), (v21, 37, 55)):
        actions = version.VERSION.actions.values()
        assert sum(action.by_station for action in actions) == station
        assert sum(action.by_csms for action in actions) == csms
        assert [action.name for action in actions if action.by_station and action.by_csms] == ["DataTransfer"]


def test_payload_of_many_forms() -> None:
    import msgspec

    action = v16.VERSION.actions["Heartbeat"]
    for payload in (b"{}", msgspec.Raw(b"{}"), b" { } "):
        assert action.decode_request(payload).message == m16.HeartbeatRequest()
    for payload in (b"", b"{", b"{}{}", b"\xff", b'{"a":"\xff"}', b"[" * 100_000, b'{"a":' * 100_000):
        with pytest.raises(RpcError, match="FormatViolation"):
            action.decode_request(payload)


def test_generated_files_are_what_the_generator_writes() -> None:
    run = subprocess.run(
        [sys.executable, "tools/generate_ocpp.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stdout + run.stderr


def test_generator_check_sees_a_difference(tmp_path: Path) -> None:
    """A copy of the tree with one limit changed by hand fails the check."""
    import shutil

    target = tmp_path / "src" / "pilotwire" / "protocols" / "ocpp"
    shutil.copytree(ROOT / "src" / "pilotwire" / "protocols" / "ocpp", target)
    shutil.copytree(ROOT / "tools", tmp_path / "tools")
    path = target / "v16" / "messages.py"
    text = path.read_text()
    path.write_text(text.replace("max_length=20)", "max_length=21)", 1))
    run = subprocess.run(
        [sys.executable, "tools/generate_ocpp.py", "--check"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert run.returncode == 1
    assert "v16/messages.py differs" in run.stdout


def test_import_is_lazy() -> None:
    """Importing one version imports no other, no schema library, and nothing of the slow path."""
    code = (
        "import sys, pilotwire.protocols.ocpp.v16 as v; names = set(sys.modules);"
        "slow = ('.v201', '.v21', '.tolerance', '.diagnosis');"
        "bad = [name for name in names if name.endswith(slow) or name.startswith('jsonschema')];"
        "assert not bad, bad; assert v.VERSION.actions['Heartbeat']._request._decode is None"
    )
    run = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env={"PYTHONPATH": "src"}, check=False)
    assert run.returncode == 0


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
@pytest.mark.parametrize(
    "digits", ["1" * 5000, "0." + "1" * 5000, "1." + "0" * 5000, "-" + "9" * 60 + "." + "9" * 5000]
)
def test_numbers_of_thousands_of_digits_do_no_harm(version: str, digits: str) -> None:
    """Python refuses to convert such texts to int: no ValueError may escape, from any place that takes a number."""
    action = load(version).actions["SetChargingProfile"]
    fields = ("connectorId", "evseId", "limit", "minChargingRate", "stackLevel", "startPeriod", "value")
    payload = "{" + ",".join(f'"{name}":{digits}' for name in fields) + "}"
    for tolerant in (False, True):
        with pytest.raises(RpcError):
            action.decode_request(payload.encode(), tolerant=tolerant)
    limits = load("1.6").actions["GetCompositeSchedule"]
    response = (
        '{"status":"Accepted","chargingSchedule":{"chargingRateUnit":"A","chargingSchedulePeriod":'
        f'[{{"startPeriod":0,"limit":{digits}}}]}}}}'
    ).encode()
    if digits.startswith("1."):
        assert limits.encode(limits.decode_response(response).message)
    else:
        with pytest.raises(RpcError):
            limits.decode_response(response)
    meter = f'{{"connectorId":{digits},"meterValue":[{{"timestamp":"","sampledValue":[{{"value":{digits}}}]}}]}}'
    with pytest.raises(RpcError):
        load("1.6").actions["MeterValues"].decode_request(meter.encode())
    stop = f'{{"transactionId":{digits},"meterStop":{digits},"timestamp":"2026-01-31T12:00:00Z"}}'.encode()
    try:
        decoded = load("1.6").actions["StopTransaction"].decode_request(stop)
    except RpcError:
        return
    assert set(decoded.deviations) <= {"integral-number"}
