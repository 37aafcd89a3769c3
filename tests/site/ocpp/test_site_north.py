"""A 1.6 station shown upstream as one of 2.0.1: every message there is judged by the strict decoders of 2.0.1."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from pilotwire.core.time import to_rfc3339
from pilotwire.protocols.ocpp.version import load
from pilotwire.site.ocpp import north_words as words

V201 = load("2.0.1")


@pytest.fixture
def site(make_site: Any) -> Any:
    found = make_site("1.6", known={"present_as": "2.0.1"}, tokens=("CARD1",))
    yield found
    central = found.central
    for _, _, action, payload in central.calls:
        V201.actions[action].decode_request(json.dumps(payload).encode(), tolerant=False)
    asked = {message_id: action for message_id, action in found.asked}
    for parts in central.answers:
        if parts[0] == 3:
            V201.actions[asked[parts[1]]].decode_response(json.dumps(parts[2]).encode(), tolerant=False)


@pytest.fixture(autouse=True)
def _asking(site: Any) -> None:
    site.asked = []

    def ask(action: str, payload: dict[str, Any], seconds: float = 5) -> Any:
        message_id = f"q{len(site.asked)}"
        site.asked.append((message_id, action))
        site.central.ask(action, payload, message_id)
        site.run(seconds)
        return site.central.answered(message_id)

    site.ask = ask


def _start(site: Any, card: str = "CARD1", *, away: bool = False) -> Any:
    station = site.power_on()
    site.run(5)
    if away:
        site.wan_down()
        site.run(20)
    station.plug(1, site.car())
    station.tap(1, card)
    site.run(150)
    return station


def test_a_session_in_the_words_of_201(site) -> None:
    station = _start(site)
    station.tap(1, "CARD1")
    site.run(10)
    station.unplug(1)
    site.run(10)
    central = site.central
    assert central.of("BootNotification")[0]["chargingStation"]["vendorName"] == "Pilotwire demo"
    assert central.of("Authorize")[0]["idToken"] == {"idToken": "CARD1", "type": "ISO14443"}
    events = central.of("TransactionEvent")
    assert [row["seqNo"] for row in events] == list(range(len(events)))
    assert events[0]["eventType"] == "Started"
    assert [row["eventType"] for row in events].count("Ended") == 1
    ended = next(row for row in events if row["eventType"] == "Ended")
    assert (ended["triggerReason"], ended["transactionInfo"]["stoppedReason"]) == ("StopAuthorized", "Local")
    assert len({row["transactionInfo"]["transactionId"] for row in events}) == 1
    assert ended["meterValue"][-1]["sampledValue"][0]["value"] == station.truth[0].register_end
    assert "Charging" in [row["transactionInfo"].get("chargingState") for row in events]
    assert any(row["triggerReason"] == "MeterValuePeriodic" and row["meterValue"] for row in events)
    assert not any(row.get("offline") for row in events)
    statuses = [row["connectorStatus"] for row in central.of("StatusNotification")]
    assert statuses[0] == "Available" and "Occupied" in statuses and statuses[-1] == "Available"
    assert {row["evseId"] for row in central.of("StatusNotification")} == {1}


def test_an_offline_session_with_restarts_keeps_its_id_and_its_numbers(site) -> None:
    station = _start(site, away=True)
    for _ in range(4):
        site.kill_box()
        site.run(3)
        site.start_box()
        site.run(130)
    site.wan_up()
    site.run(200)
    station.tap(1, "CARD1")
    site.run(30)
    heard: dict[str, Any] = {}
    for _, message_id, action, payload in site.central.calls:
        if action == "TransactionEvent":
            heard.setdefault(message_id, payload)
    events = list(heard.values())
    assert [row["seqNo"] for row in events] == list(range(len(events)))
    assert len({row["transactionInfo"]["transactionId"] for row in events}) == 1
    assert events[0].get("offline") and events[0]["eventType"] == "Started"
    assert events[-1]["eventType"] == "Ended" or events[-2]["eventType"] == "Ended"
    stamps = [row["timestamp"] for row in events]
    assert stamps == sorted(stamps)


def test_what_happened_while_the_box_was_off_is_told_as_offline(site) -> None:
    station = _start(site)
    site.kill_box()
    site.run(200)
    site.start_box()
    site.central.calls.clear()
    site.run(200)
    station.tap(1, "CARD1")
    site.run(10)
    back = next(at for at, _, action, _ in site.central.calls if action == "TransactionEvent")
    events = site.central.of("TransactionEvent")
    late = [to_rfc3339(back - 10_000) > row["timestamp"] for row in events]
    assert late[0] and not late[-1] and events[-1]["eventType"] == "Ended"
    assert [row.get("offline", False) for row in events] == late


def test_remote_start_and_stop(site) -> None:
    station = site.power_on()
    site.run(5)
    station.plug(1, site.car())
    site.run(2)
    profile = {
        "id": 4, "stackLevel": 2, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative",
        "chargingSchedule": [
            {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.96}]}
        ],
    }  # fmt: skip
    request = {
        "idToken": {"idToken": "REMOTE", "type": "Central"}, "remoteStartId": 77, "evseId": 1,
        "chargingProfile": profile,
    }  # fmt: skip
    assert site.ask("RequestStartTransaction", request)[2]["status"] == "Accepted"
    site.run(20)
    started = site.central.of("TransactionEvent")[0]
    assert started["transactionInfo"]["remoteStartId"] == 77
    assert started["triggerReason"] == "RemoteStart"
    assert started["idToken"] == {"idToken": "REMOTE", "type": "Central"}
    assert station.evses[0].meter.currents[0] == 9_900
    name = started["transactionInfo"]["transactionId"]
    assert site.ask("GetTransactionStatus", {"transactionId": name})[2] == {
        "messagesInQueue": False, "ongoingIndicator": True,
    }  # fmt: skip
    assert site.ask("RequestStopTransaction", {"transactionId": "another"})[2]["status"] == "Rejected"
    assert site.ask("RequestStopTransaction", {"transactionId": name})[2]["status"] == "Accepted"
    ended = site.central.of("TransactionEvent")[-1]
    assert ended["transactionInfo"]["stoppedReason"] == "Remote"


def test_profiles(site) -> None:
    station = _start(site)
    name = site.central.of("TransactionEvent")[0]["transactionInfo"]["transactionId"]
    schedule = {"id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 8.55}]}
    profile = {
        "id": 1, "stackLevel": 1, "chargingProfilePurpose": "TxProfile", "chargingProfileKind": "Relative",
        "transactionId": name, "chargingSchedule": [schedule],
    }  # fmt: skip
    assert site.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": profile})[2]["status"] == "Accepted"
    assert station.evses[0].meter.currents[0] == 8_500
    composite = site.ask("GetCompositeSchedule", {"evseId": 1, "duration": 600})[2]
    assert composite["schedule"]["chargingSchedulePeriod"][0]["limit"] == 8.5
    assert site.ask("ClearChargingProfile", {"chargingProfileId": 1})[2]["status"] == "Accepted"
    assert station.evses[0].meter.currents[0] > 8_500
    assert site.ask("ClearChargingProfile", {"chargingProfileId": 1})[2]["status"] == "Unknown"
    foreign = profile | {"chargingProfilePurpose": "ChargingStationExternalConstraints"}
    foreign.pop("transactionId")
    assert site.ask("SetChargingProfile", {"evseId": 1, "chargingProfile": foreign})[2]["status"] == "Rejected"


def test_variables_and_reports(site) -> None:
    station = site.power_on()
    site.run(5)
    interval = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
    odd = {"component": {"name": "Nonsense"}, "variable": {"name": "X"}}
    none = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "X"}}
    key = {"component": {"name": "ConfigurationKeys"}, "variable": {"name": "NumberOfConnectors"}}
    setting = {
        "setVariableData": [
            interval | {"attributeValue": "17"},
            odd | {"attributeValue": "1"},
            none | {"attributeValue": "1"},
        ]
    }
    rows = site.ask("SetVariables", setting)[2]["setVariableResult"]
    assert [row["attributeStatus"] for row in rows] == ["Accepted", "UnknownComponent", "UnknownVariable"]
    assert station.settings.number("sample_interval") == 17
    target = {"attributeType": "Target"}
    asked = {"getVariableData": [interval, odd, none, key, interval | target, odd | target]}
    rows = site.ask("GetVariables", asked)[2]["getVariableResult"]
    assert [(row["attributeStatus"], row.get("attributeValue")) for row in rows] == [
        ("Accepted", "17"), ("UnknownComponent", None), ("UnknownVariable", None), ("Accepted", "1"),
        ("NotSupportedAttributeType", None), ("UnknownComponent", None),
    ]  # fmt: skip
    assert site.ask("GetBaseReport", {"requestId": 5, "reportBase": "FullInventory"}, 20)[2]["status"] == "Accepted"
    reports = site.central.of("NotifyReport")
    assert [row["seqNo"] for row in reports] == list(range(len(reports)))
    assert [row.get("tbc", False) for row in reports] == [True] * (len(reports) - 1) + [False]
    names = {row["variable"]["name"] for report in reports for row in report["reportData"]}
    assert {"TxUpdatedInterval", "NumberOfConnectors", "HeartbeatInterval"} <= names


@pytest.mark.parametrize(
    ("action", "payload", "expected"),
    [
        ("Reset", {"type": "Immediate"}, "Accepted"),
        ("Reset", {"type": "OnIdle", "evseId": 1}, "Rejected"),
        ("ChangeAvailability", {"operationalStatus": "Inoperative", "evse": {"id": 1}}, "Accepted"),
        ("UnlockConnector", {"evseId": 1, "connectorId": 1}, "Unlocked"),
        ("TriggerMessage", {"requestedMessage": "StatusNotification", "evse": {"id": 1}}, "Accepted"),
        ("TriggerMessage", {"requestedMessage": "SignV2GCertificate"}, "NotImplemented"),
        ("DataTransfer", {"vendorId": "X", "data": {"a": 1.5}}, "UnknownVendorId"),
        ("ClearCache", {}, "Accepted"),
        ("CancelReservation", {"reservationId": 3}, "Rejected"),
        ("ReserveNow", {"id": 3, "expiryDateTime": "2026-01-06T00:00:00Z", "evseId": 1,
                        "idToken": {"idToken": "R", "type": "Central"}}, "Accepted"),
        ("GetLog", {"logType": "DiagnosticsLog", "requestId": 9, "log": {"remoteLocation": "ftp://x/y"}}, "Accepted"),
        ("UpdateFirmware", {"requestId": 8, "firmware": {"location": "ftp://x/f",
                            "retrieveDateTime": "2026-01-05T00:00:30Z"}}, "Accepted"),
        ("SendLocalList", {"versionNumber": 2, "updateType": "Full", "localAuthorizationList": [
            {"idToken": {"idToken": "LISTED", "type": "ISO14443"}, "idTokenInfo": {"status": "Accepted"}}]},
         "Accepted"),
    ],
)  # fmt: skip
def test_commands(site, action, payload, expected) -> None:
    site.power_on()
    site.run(5)
    assert site.ask(action, payload, 25)[2]["status"] == expected
    if action == "SendLocalList":
        assert site.ask("GetLocalListVersion", {})[2] == {"versionNumber": 2}
        assert site.box.book.known(site.seat.box, "listed", 0) == "Accepted"
    if action == "GetLog":
        assert site.central.of("LogStatusNotification")[0]["requestId"] == 9


def test_what_waits_for_a_session_in_201_does_not_end_it_in_16(site) -> None:
    station = _start(site)
    unlock, reset = ("UnlockConnector", {"evseId": 1, "connectorId": 1}), ("Reset", {"type": "OnIdle"})
    assert site.ask(*unlock)[2]["status"] == "OngoingAuthorizedTransaction"
    refused = site.ask(*reset)[2]
    assert (refused["status"], refused["statusInfo"]["reasonCode"]) == ("Rejected", "TxInProgress")
    assert "Ended" not in [each["eventType"] for each in site.central.of("TransactionEvent")]
    station.tap(1, "CARD1")
    site.run(10)
    assert site.ask(*unlock)[2]["status"] == "Unlocked" and site.ask(*reset)[2]["status"] == "Accepted"


@pytest.mark.parametrize(
    ("action", "code"),
    [("Invented", "NotImplemented"), ("GetChargingProfiles", "NotSupported"), ("SetDisplayMessage", "NotSupported")],
)
def test_what_16_cannot_do_is_refused(site, action, code) -> None:
    site.power_on()
    site.run(5)
    site.asked.clear()
    site.central.ask(action, {}, "odd")
    site.run(2)
    assert site.central.answered("odd")[:3] == [4, "odd", code]


def test_a_question_that_cannot_be_read_is_refused(site) -> None:
    site.power_on()
    site.run(5)
    site.central.ask("Reset", {"type": "Sideways"}, "odd")
    site.run(2)
    assert site.central.answered("odd")[0] == 4


def test_readings_that_are_none_are_left_out() -> None:
    rows = [
        {"timestamp": "2026-01-05T00:00:00Z", "sampledValue": [
            {"value": "1.50", "unit": "kWh"}, {"value": "NaN"}, {"value": "abc"}, {"value": "1E999"},
            {"value": "20", "measurand": "Temperature", "unit": "Celcius"}, {"value": "00", "format": "SignedData"}]},
        {"timestamp": "2026-01-05T00:00:00Z", "sampledValue": [{"value": ""}]},
    ]  # fmt: skip
    assert words.meter_values(rows) == [
        {"timestamp": "2026-01-05T00:00:00Z",
         "sampledValue": [{"value": Decimal("1.50"), "unitOfMeasure": {"unit": "kWh"}}]},
    ]  # fmt: skip


def test_the_second_upstream_hears_the_same_words(make_site) -> None:
    from pilotwire.site.ocpp.config import Upstream

    here = make_site("1.6", known={"present_as": "2.0.1"}, upstreams=(Upstream(name="main"), Upstream(name="second")))
    station = here.power_on()
    here.run(5)
    station.plug(1, here.car())
    station.tap(1, "CARD1")
    here.run(100)
    assert here.centrals["second"].of("TransactionEvent") == here.central.of("TransactionEvent") != []
