"""Every rule of tolerance: what it takes, under its name, and what it leaves refused."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec
import pytest

from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.tolerance import MAX_FAULTS, RULES
from pilotwire.protocols.ocpp.version import load

BOOT = {"chargePointVendor": "Schneider Electric", "chargePointModel": "EVlink Smart Wallbox"}
STATUS = {"connectorId": 1, "errorCode": "NoError", "status": "Available"}
STOP = {"transactionId": 7, "meterStop": 100, "timestamp": "2026-01-31T12:00:00Z"}
NOON = datetime(2026, 1, 31, 12, tzinfo=UTC)
EVENT = {
    "eventType": "Updated",
    "timestamp": "2026-01-31T12:00:00Z",
    "triggerReason": "MeterValuePeriodic",
    "seqNo": 3,
    "transactionInfo": {"transactionId": "t"},
}
METER = {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": 1}]}


def samples(*values: dict[str, Any]) -> dict[str, Any]:
    return {"connectorId": 1, "meterValue": [{"timestamp": "2026-01-31T12:00:00Z", "sampledValue": list(values)}]}


def first(message: Any) -> list[Any]:
    return message.meter_value[0].sampled_value


class Seen(NamedTuple):
    """A message as a charger sends it, and what becomes of it."""

    rule: str
    version: str
    action: str
    payload: object
    """A dict, or the JSON text where its exact form matters."""
    result: Callable[[Any], bool]
    others: tuple[str, ...] = ()
    """Rules that it takes besides."""


SEEN = [
    Seen("null-payload", "1.6", "Heartbeat", None, lambda m: type(m).__name__ == "HeartbeatRequest"),
    Seen("null-payload", "2.1", "Heartbeat", None, lambda m: m.custom_data is None),
    Seen("null-for-absent", "1.6", "StatusNotification", {**STATUS, "info": None}, lambda m: m.info is None),
    Seen("null-for-absent", "2.1", "Heartbeat", {"customData": None}, lambda m: m.custom_data is None),
    Seen("unknown-field", "1.6", "BootNotification", {**BOOT, "color": "red"}, lambda m: not hasattr(m, "color")),
    Seen("unknown-field", "2.0.1", "TransactionEvent", {**EVENT, "x": {"y": [None]}}, lambda m: m.seq_no == 3),
    Seen(
        "empty-string-for-absent",
        "1.6",
        "StatusNotification",
        {**STATUS, "timestamp": ""},
        lambda m: m.timestamp is None,
    ),
    Seen(
        "empty-string-for-absent",
        "1.6",
        "MeterValues",
        samples({"value": "1", "phase": ""}),
        lambda m: first(m)[0].phase is None,
    ),
    Seen(
        "empty-list-for-absent",
        "2.0.1",
        "TransactionEvent",
        {**EVENT, "meterValue": []},
        lambda m: m.meter_value is None,
    ),
    Seen(
        "empty-sampled-value",
        "2.0.1",
        "TransactionEvent",
        {**EVENT, "meterValue": [METER, {**METER, "sampledValue": []}]},
        lambda m: len(m.meter_value) == 1,
    ),
    Seen(
        "empty-sampled-value",
        "2.1",
        "TransactionEvent",
        {**EVENT, "meterValue": [{**METER, "sampledValue": []}]},
        lambda m: m.meter_value is None,
        ("empty-list-for-absent",),
    ),
    *(
        Seen(
            rule,
            version,
            "StatusNotification",
            {**base, "timestamp": text},
            lambda m, moment=moment: m.timestamp == moment,
        )
        for version, base in (
            ("1.6", STATUS),
            ("2.0.1", {"connectorStatus": "Available", "evseId": 1, "connectorId": 1}),
        )
        for rule, text, moment in (
            ("date-time-with-space", "2026-01-31 12:00:00Z", NOON),
            ("date-time-with-space", "2026-01-31 12:00:00.500+00:00", NOON + timedelta(milliseconds=500)),
            ("date-time-short-offset", "2026-01-31T14:00:00+02", NOON),
            ("date-time-short-offset", "2026-01-31T14:00:00+0200", NOON),
            ("date-time-short-offset", "2026-01-31T10:00:00.000-0200", NOON),
            ("date-time-without-offset", "2026-01-31T12:00:00", NOON),
            ("date-time-without-offset", "2026-01-31T12:00:00.123456", NOON + timedelta(microseconds=123456)),
            ("date-time-leap-second", "2016-12-31T23:59:60Z", datetime(2016, 12, 31, 23, 59, 59, tzinfo=UTC)),
        )
    ),
    Seen(
        "date-time-with-space",
        "1.6",
        "StatusNotification",
        {**STATUS, "timestamp": "2026-01-31 12:00:00"},
        lambda m: m.timestamp == NOON,
        ("date-time-without-offset",),
    ),
    Seen(
        "number-as-string", "1.6", "StatusNotification", {**STATUS, "connectorId": "1"}, lambda m: m.connector_id == 1
    ),
    Seen(
        "number-as-string",
        "2.1",
        "MeterValues",
        {"evseId": 1, "meterValue": [{**METER, "sampledValue": [{"value": "1.50"}]}]},
        lambda m: str(first(m)[0].value) == "1.50",
    ),
    Seen(
        "integral-number",
        "1.6",
        "StopTransaction",
        '{"transactionId":7.0,"meterStop":1e2,"timestamp":"2026-01-31T12:00:00Z"}',
        lambda m: (m.transaction_id, m.meter_stop) == (7, 100),
    ),
    Seen(
        "fractional-meter-reading",
        "1.6",
        "StopTransaction",
        {**STOP, "meterStop": 26008.5},
        lambda m: m.meter_stop == 26008,
    ),
    Seen(
        "number-for-string",
        "1.6",
        "MeterValues",
        '{"connectorId":1,"meterValue":[{"timestamp":"2026-01-31T12:00:00Z","sampledValue":[{"value":604.2130},{"value":0}]}]}',
        lambda m: [sample.value for sample in first(m)] == ["604.2130", "0"],
    ),
    Seen(
        "data-not-text",
        "1.6",
        "DataTransfer",
        {"vendorId": "btc", "messageId": "stationMode", "data": {"StationMode": [1, None, "x"]}},
        lambda m: json.loads(m.data) == {"StationMode": [1, None, "x"]},
    ),
    Seen(
        "object-for-list",
        "1.6",
        "MeterValues",
        {"connectorId": 1, "meterValue": {"timestamp": "2026-01-31T12:00:00Z", "sampledValue": [{"value": "0.00"}]}},
        lambda m: first(m)[0].value == "0.00",
    ),
    Seen(
        "over-long-text",
        "1.6",
        "BootNotification",
        {**BOOT, "chargePointSerialNumber": "3N182720082F1S1B7551700016", "chargeBoxSerialNumber": "E" * 33},
        lambda m: (
            m.charge_point_serial_number == "3N182720082F1S1B7551700016" and m.charge_box_serial_number == "E" * 33
        ),
    ),
    Seen(
        "over-long-text",
        "2.0.1",
        "BootNotification",
        {"reason": "PowerUp", "chargingStation": {"model": "m" * 21, "vendorName": "v", "serialNumber": "s" * 26}},
        lambda m: m.charging_station.serial_number == "s" * 26 and m.charging_station.model == "m" * 21,
    ),
    Seen(
        "enum-case", "1.6", "MeterValues", samples({"value": "1", "unit": "KWH"}), lambda m: first(m)[0].unit == "kWh"
    ),
    Seen(
        "unit-spelling",
        "1.6",
        "MeterValues",
        samples({"value": "50", "unit": "Hz"}),
        lambda m: first(m)[0].unit == "Hertz",
    ),
    Seen(
        "unit-spelling",
        "1.6",
        "MeterValues",
        samples({"value": "50", "unit": "%"}),
        lambda m: first(m)[0].unit == "Percent",
    ),
    Seen(
        "unknown-context",
        "1.6",
        "MeterValues",
        samples({"value": "15.630", "unit": "A"}, {"value": "16.000", "context": "CurrentMax", "unit": "A"}),
        lambda m: [sample.context for sample in first(m)] == [None, "Other"],
    ),
    *(
        Seen(
            f"unknown-{field}",
            "1.6",
            "MeterValues",
            samples({"value": "1", field: "Nonsense"}, {"value": "2"}),
            lambda m: [sample.value for sample in first(m)] == ["2"],
        )
        for field in ("measurand", "unit", "phase", "location", "format")
    ),
    Seen(
        "unknown-measurand",
        "2.0.1",
        "TransactionEvent",
        {**EVENT, "meterValue": [{**METER, "sampledValue": [{"value": 1, "measurand": "Mood"}]}]},
        lambda m: m.meter_value is None,
        ("empty-sampled-value", "empty-list-for-absent"),
    ),
    Seen(
        "unknown-measurand",
        "1.6",
        "MeterValues",
        samples({"value": "1", "measurand": "Mood"}),
        lambda m: first(m) == [],
    ),
    Seen(
        "unknown-error-code",
        "1.6",
        "StatusNotification",
        {**STATUS, "errorCode": "Error"},
        lambda m: (m.error_code, m.vendor_error_code) == ("OtherError", "Error"),
    ),
    Seen("unknown-stop-reason", "1.6", "StopTransaction", {**STOP, "reason": "AppStop"}, lambda m: m.reason == "Other"),
    Seen(
        "unknown-stop-reason",
        "2.1",
        "TransactionEvent",
        {**EVENT, "transactionInfo": {"transactionId": "t", "stoppedReason": "AppStop"}},
        lambda m: m.transaction_info.stopped_reason == "Other",
    ),
]


def wire(payload: object) -> bytes:
    return payload.encode() if isinstance(payload, str) else json.dumps(payload).encode()


@pytest.mark.parametrize("seen", SEEN, ids=lambda seen: f"{seen.rule}-{seen.version}-{seen.action}")
def test_rule_takes_it_and_says_so(seen: Seen) -> None:
    action = load(seen.version).actions[seen.action]
    data = wire(seen.payload)
    with pytest.raises(RpcError):
        action.decode_request(data, tolerant=False)
    decoded = action.decode_request(data)
    assert set(decoded.deviations) == {seen.rule, *seen.others}
    assert seen.result(decoded.message), decoded.message
    # Spaces after colons and commas, and a payload that is part of a frame, make no difference.
    assert action.decode_request(msgspec.Raw(msgspec.json.format(data, indent=2))).deviations == decoded.deviations


def test_every_rule_has_a_case_and_a_name_of_its_own() -> None:
    names = [rule.name for rule in RULES]
    assert len(set(names)) == len(names)
    assert set(names) == {seen.rule for seen in SEEN}


@pytest.mark.parametrize("version", ["1.6", "2.0.1", "2.1"])
def test_rules_keep_to_their_versions(version: str) -> None:
    named = {rule.name for rule in RULES if version in rule.versions}
    assert {seen.rule for seen in SEEN if seen.version == version} <= named


@pytest.mark.parametrize(
    ("version", "action", "payload"),
    [
        ("1.6", "Authorize", {"idTag": "x" * 21}),
        ("1.6", "Authorize", {"idTag": 1234}),
        ("1.6", "Authorize", None),
        ("1.6", "Heartbeat", []),
        ("1.6", "Authorize", {"idTag": None}),
        ("1.6", "StopTransaction", {**STOP, "meterStop": "much"}),
        ("1.6", "StopTransaction", {**STOP, "transactionId": 7.5}),
        ("1.6", "StopTransaction", {**STOP, "timestamp": ""}),
        ("1.6", "StopTransaction", {**STOP, "timestamp": "31.01.2026 12:00"}),
        ("1.6", "StopTransaction", {**STOP, "timestamp": "2026-02-30 12:00:00"}),
        ("1.6", "StatusNotification", {**STATUS, "status": "Occupied"}),
        ("1.6", "BootNotification", {**BOOT, "chargePointSerialNumber": "x" * 256}),
        ("1.6", "BootNotification", {"chargePointVendor": "v"}),
        ("2.0.1", "MeterValues", {"evseId": 1, "meterValue": []}),
        ("2.0.1", "MeterValues", {"evseId": 1, "meterValue": [{**METER, "sampledValue": [{"value": "a lot"}]}]}),
        ("2.0.1", "TransactionEvent", {**EVENT, "customData": {"more": 1}}),
        ("2.0.1", "DeleteCertificate", {"certificateHashData": {"hashAlgorithm": "SHA256", "issuerKeyHash": "a",
         "issuerNameHash": "b", "serialNumber": "x" * 41}}),
    ],
)  # fmt: skip
def test_what_identifies_or_cannot_be_guessed_stays_refused(version: str, action: str, payload: object) -> None:
    with pytest.raises(RpcError):
        load(version).actions[action].decode_request(wire(payload))


def test_one_fault_beyond_the_rules_refuses_all() -> None:
    with pytest.raises(RpcError, match=r"\$\.meterValue\[0\]\.timestamp"):
        load("1.6").actions["MeterValues"].decode_request(
            wire({"connectorId": "1", "meterValue": [{"timestamp": "noon", "sampledValue": []}], "x": 1})
        )


def test_a_clean_message_has_no_deviations_even_where_the_bytes_look_suspicious() -> None:
    action = load("1.6").actions["StatusNotification"]
    clean = {**STATUS, "info": "null 12:00:00 +0200", "vendorId": "a-2000", "timestamp": "2026-01-31T12:00:00Z"}
    decoded = action.decode_request(wire(clean))
    assert decoded.deviations == ()
    assert decoded.message.info == "null 12:00:00 +0200"  # type: ignore[attr-defined]


def test_noise_is_not_repaired_for_ever() -> None:
    payload = {**STATUS, **{f"x{n}": None for n in range(MAX_FAULTS + 1)}}
    with pytest.raises(RpcError, match="FormatViolation"):
        load("1.6").actions["StatusNotification"].decode_request(wire(payload))


def test_responses_are_tolerated_too() -> None:
    """Some answer with an echo of the request (mobilityhouse/ocpp#424)."""
    decoded = load("1.6").actions["StatusNotification"].decode_response(wire(STATUS))
    assert decoded.deviations == ("unknown-field",)


def test_a_message_taken_by_tolerance_can_be_sent_on_unless_it_kept_a_long_text() -> None:
    for seen in SEEN:
        action = load(seen.version).actions[seen.action]
        message = action.decode_request(wire(seen.payload)).message
        if seen.rule != "over-long-text":
            again = action.decode_request(action.encode(message), tolerant=False)
            assert again.deviations == ()
