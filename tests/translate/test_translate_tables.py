"""Every served action of every version: there and back, and nothing served that the version does not have."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilotwire.domain import blocks, certificates, charging, inputs
from pilotwire.domain.inputs import TokenVerdict
from pilotwire.domain.schedules.model import Rates
from pilotwire.protocols.ocpp.version import load
from pilotwire.translate import tables

NOW = 1_769_860_800_123
AT = "2026-01-31T12:00:00Z"
AT_MS = 1_769_860_800_000
VERSIONS = ("1.6", "2.0.1", "2.1")
TOKEN = TokenVerdict(status="Accepted", parent="GROUP", expires_at=AT_MS)


def read(version: str, action: str, payload: dict[str, Any]) -> Any:
    request = load(version).actions[action].decode_request(msgspec.json.encode(payload), tolerant=False).message
    return tables.load(version)[action].read(request)


def answer(version: str, action: str, outcome: inputs.Outcome) -> Any:
    """As it goes out: encoded strictly, so that the peer's schema takes it."""
    response = tables.load(version)[action].answer(outcome, NOW)
    return msgspec.json.decode(load(version).actions[action].encode(response))


OUTCOMES: dict[str, inputs.Outcome] = {
    "BootNotification": inputs.BootVerdict(verdict="Pending", interval_s=60),
    "Authorize": TOKEN,
    "StartTransaction": inputs.Started(transaction_id=7, token=TOKEN),
    "StopTransaction": inputs.Stopped(token=TOKEN),
    "TransactionEvent": inputs.TransactionAnswered(token=TOKEN),
    "DataTransfer": inputs.DataTransferVerdict(status="UnknownVendorId"),
    "SignCertificate": certificates.Verdict(status="Rejected", reason_code="InvalidCSR", additional_info="x" * 2_000),
    "GetCertificateStatus": certificates.StatusTold(status="Accepted", ocsp_result="MIIB"),
    "GetCertificateChainStatus": certificates.ChainStatusTold(
        rows=(certificates.OneStatus(certificates.Asked("SHA256", "ab", "cd", "1", ("http://x",)), "Good", 1),)
    ),
    "OpenPeriodicEventStream": blocks.Verdict(status="Rejected", reason_code="TooMany", additional_info="too many"),
    "VatNumberValidation": blocks.VatVerdict(number="DE1", status="Rejected", evse=1, reason_code="InvalidValue"),
    "NotifyEVChargingNeeds": charging.Verdict(status="Processing"),
    "NotifyEVChargingSchedule": charging.Verdict(status="Rejected"),
    "PullDynamicScheduleUpdate": charging.RatesTold(rates=Rates(limit=7_500, discharge=-1_200)),
    "Get15118EVCertificate": certificates.EvCertificateTold(status="Accepted", exi_response="gA==", remaining=1),
}


@pytest.mark.parametrize("version", VERSIONS)
def test_every_served_action_is_the_stations_to_send_and_its_answer_is_valid(version: str) -> None:
    actions = load(version).actions
    for name in tables.load(version):
        assert actions[name].by_station
        if name == "NotifyPeriodicEventStream":  # SEND
            continue
        sent = answer(version, name, OUTCOMES.get(name, inputs.Done()))
        assert actions[name].decode_response(msgspec.json.encode(sent), tolerant=False).deviations == ()


def test_every_action_that_stations_send_is_served() -> None:
    for version, count in zip(VERSIONS, (14, 25, 37), strict=True):
        sent = {name for name, action in load(version).actions.items() if action.by_station}
        assert set(tables.load(version)) == sent and len(sent) == count


@pytest.mark.parametrize("version", VERSIONS)
def test_answers(version: str) -> None:
    boot = answer(version, "BootNotification", OUTCOMES["BootNotification"])
    assert (boot["status"], boot["interval"]) == ("Pending", 60)
    assert boot["currentTime"].startswith("2026-01-31T12:00:00") and boot["currentTime"].endswith("Z")
    assert len(boot["currentTime"]) <= len("2026-01-31T12:00:00.123Z"), "at most three decimals"
    assert answer(version, "Heartbeat", inputs.Done())["currentTime"] == boot["currentTime"]
    verdict = answer(version, "Authorize", TOKEN)
    if version == "1.6":
        assert verdict["idTagInfo"]["status"] == "Accepted" and verdict["idTagInfo"]["parentIdTag"] == "GROUP"
    else:
        assert verdict["idTokenInfo"]["groupIdToken"] == {"idToken": "GROUP", "type": "Central"}
        assert verdict["idTokenInfo"]["cacheExpiryDateTime"].startswith("2026-01-31T12:00:00")


def test_a_status_that_16_has_no_word_for_is_invalid() -> None:
    assert answer("1.6", "Authorize", TokenVerdict(status="NoCredit")) == {"idTagInfo": {"status": "Invalid"}}
    assert answer("2.0.1", "Authorize", TokenVerdict(status="NoCredit")) == {"idTokenInfo": {"status": "NoCredit"}}
    assert answer("2.0.1", "Authorize", TokenVerdict(status="Odd")) == {"idTokenInfo": {"status": "Invalid"}}


@pytest.mark.parametrize("version", VERSIONS)
def test_a_parent_that_is_too_long_for_the_version_is_left_out(version: str) -> None:
    answer(version, "Authorize", TokenVerdict(status="Accepted", parent="G" * 300))


def test_16_places() -> None:
    body = {"connectorId": 2, "errorCode": "GroundFailure", "status": "Faulted", "timestamp": AT, "info": "i"}
    given = read("1.6", "StatusNotification", body | {"vendorId": "v", "vendorErrorCode": "c"})
    assert given == inputs.Status(
        evse=2,
        connector=1,
        status="Faulted",
        time=AT_MS,
        error_code="GroundFailure",
        info="i",
        vendor_id="v",
        vendor_error_code="c",
    )
    whole = read("1.6", "StatusNotification", {"connectorId": 0, "errorCode": "NoError", "status": "Available"})
    assert (whole.evse, whole.connector, whole.time) == (0, 0, None)


def test_16_transactions() -> None:
    start = {"connectorId": 1, "idTag": "T", "meterStart": 5, "timestamp": AT, "reservationId": 9}
    assert read("1.6", "StartTransaction", start) == inputs.StartTransaction(
        connector=1, token="T", meter_start_wh=5, time=AT_MS, reservation_id=9
    )
    stop = {"transactionId": -1, "meterStop": 6, "timestamp": AT}
    given = read("1.6", "StopTransaction", stop)
    assert (given.transaction_id, given.reason, given.token, given.samples) == (-1, "Local", "", ())
    data = [{"timestamp": AT, "sampledValue": [{"value": "6", "context": "Transaction.End"}]}]
    given = read("1.6", "StopTransaction", stop | {"transactionData": data, "reason": "HardReset", "idTag": "T"})
    assert (given.reason, given.token, given.samples[0].value) == ("HardReset", "T", 6_000)


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
def test_2x_transactions(version: str) -> None:
    body: dict[str, Any] = {
        "eventType": "Ended",
        "timestamp": AT,
        "triggerReason": "StopAuthorized",
        "seqNo": 4,
        "offline": True,
        "transactionInfo": {"transactionId": "tx", "chargingState": "EVConnected", "remoteStartId": 8},
        "evse": {"id": 2, "connectorId": 1},
        "idToken": {"idToken": "T", "type": "eMAID"},
        "reservationId": 3,
    }
    assert read(version, "TransactionEvent", body) == inputs.TransactionEvent(
        kind="Ended",
        transaction="tx",
        seq_no=4,
        time=AT_MS,
        trigger="StopAuthorized",
        charging_state="EVConnected",
        stopped_reason="Local",
        remote_start_id=8,
        evse=2,
        connector=1,
        token="T",
        token_type="eMAID",
        reservation_id=3,
        offline=True,
    )
    bare = {name: body[name] for name in ("timestamp", "triggerReason", "seqNo", "transactionInfo")}
    given = read(version, "TransactionEvent", bare | {"eventType": "Updated"})
    assert (given.evse, given.connector, given.offline, given.stopped_reason, given.token) == (
        None,
        None,
        False,
        "",
        "",
    )


def test_boots() -> None:
    old = {"chargePointVendor": "V", "chargePointModel": "M", "chargeBoxSerialNumber": "B", "firmwareVersion": "1"}
    assert read("1.6", "BootNotification", old) == inputs.Boot(vendor="V", model="M", serial="B", firmware="1")
    assert read("1.6", "BootNotification", old | {"chargePointSerialNumber": "P"}).serial == "P"
    new = {"reason": "Watchdog", "chargingStation": {"vendorName": "V", "model": "M", "serialNumber": "S"}}
    for version in ("2.0.1", "2.1"):
        assert read(version, "BootNotification", new) == inputs.Boot(
            vendor="V", model="M", serial="S", reason="Watchdog"
        )


def test_reports_and_events() -> None:
    component = {"name": "EVSE", "instance": "i", "evse": {"id": 1, "connectorId": 2}}
    variable = {"name": "Power", "instance": "max"}
    report = {
        "requestId": 5,
        "generatedAt": AT,
        "seqNo": 2,
        "tbc": True,
        "reportData": [
            {
                "component": component,
                "variable": variable,
                "variableAttribute": [{"value": "1"}, {"type": "Target", "value": "2", "mutability": "ReadOnly"}],
                "variableCharacteristics": {"dataType": "decimal", "unit": "W", "supportsMonitoring": False},
            }
        ],
    }
    event = {
        "generatedAt": AT,
        "seqNo": 0,
        "eventData": [
            {
                "eventId": 1,
                "timestamp": AT,
                "trigger": "Delta",
                "actualValue": "5",
                "component": component,
                "variable": variable,
                "eventNotificationType": "HardWiredNotification",
                "techCode": "t",
            }
        ],
    }
    for version in ("2.0.1", "2.1"):
        given = read(version, "NotifyReport", report)
        assert (given.request_id, given.seq_no, given.more, given.time) == (5, 2, True, AT_MS)
        first, second = given.variables
        assert (first.component, first.component_instance, first.evse, first.connector) == ("EVSE", "i", 1, 2)
        assert (first.attribute, first.value, first.mutability, first.unit) == ("Actual", "1", "ReadWrite", "W")
        assert (second.attribute, second.mutability, second.data_type) == ("Target", "ReadOnly", "decimal")
        assert read(version, "NotifyReport", {"requestId": 1, "generatedAt": AT, "seqNo": 0}).variables == ()
        (notified,) = read(version, "NotifyEvent", event).events
        assert (notified.evse, notified.connector, notified.tech_code, notified.severity) == (1, 2, "t", None)
    event["eventData"][0]["severity"] = 3  # type: ignore[index]
    assert read("2.1", "NotifyEvent", event).events[0].severity == 3


@pytest.mark.parametrize("version", VERSIONS)
def test_notices(version: str) -> None:
    security = read(version, "SecurityEventNotification", {"type": "Odd", "timestamp": AT, "techInfo": "x"})
    assert security == inputs.SecurityEvent(kind="Odd", time=AT_MS, tech_info="x")
    log = read(version, "LogStatusNotification", {"status": "Uploading", "requestId": 4})
    assert log == inputs.LogStatus(status="Uploading", request_id=4)
    firmware = read(version, "FirmwareStatusNotification", {"status": "Installed"})
    assert firmware == inputs.FirmwareStatus(status="Installed")
    data = "text" if version == "1.6" else {"a": [1, 2.50]}
    transfer = read(version, "DataTransfer", {"vendorId": "v", "messageId": "m", "data": data})
    assert transfer.data == ("text" if version == "1.6" else '{"a":[1,2.5]}')
    assert read(version, "DataTransfer", {"vendorId": "v"}) == inputs.DataTransfer(vendor_id="v")


def test_notices_of_16_alone() -> None:
    signed = read("1.6", "SignedFirmwareStatusNotification", {"status": "InvalidSignature", "requestId": 3})
    assert signed == inputs.FirmwareStatus(status="InvalidSignature", request_id=3)
    diagnostics = read("1.6", "DiagnosticsStatusNotification", {"status": "Uploaded"})
    assert diagnostics == inputs.LogStatus(status="Uploaded", kind="diagnostics")
