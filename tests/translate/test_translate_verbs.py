"""Verbs: one payload, three versions; what may not be sent is refused with the field that is wrong."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from pilotwire.protocols.ocpp.version import load
from pilotwire.translate import answers, verbs
from pilotwire.translate.verbs import Asking, Invalid, prepare

VERSIONS = ("1.6", "2.0.1", "2.1")


def said(version: str, action: str, payload: dict[str, Any]) -> tuple[str, Any]:
    ask = Asking(version, {"s-1": "42"}.get, lambda: 99)
    made = prepare(load(version), action, payload, ask)
    assert load(version).actions[made.action].encode(made.request)
    return made.action, msgspec.json.decode(made.payload)


VARIABLE = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}

CASES: list[tuple[str, dict[str, Any], tuple[str, Any], tuple[str, Any]]] = [
    (
        "start",
        {"token": "T", "evse": 2},
        ("RemoteStartTransaction", {"idTag": "T", "connectorId": 2}),
        (
            "RequestStartTransaction",
            {"idToken": {"idToken": "T", "type": "ISO14443"}, "remoteStartId": 99, "evseId": 2},
        ),
    ),
    (
        "stop",
        {"session": "s-1"},
        ("RemoteStopTransaction", {"transactionId": 42}),
        ("RequestStopTransaction", {"transactionId": "42"}),
    ),
    (
        "stop",
        {"transaction": 7},
        ("RemoteStopTransaction", {"transactionId": 7}),
        ("RequestStopTransaction", {"transactionId": "7"}),
    ),
    (
        "update-firmware",
        {"location": "https://x/2.bin", "retrieve_at": "2026-03-01T00:00:00Z", "retries": 3},
        (
            "UpdateFirmware",
            {"location": "https://x/2.bin", "retrieveDate": "2026-03-01T00:00:00Z", "retries": 3},
        ),
        (
            "UpdateFirmware",
            {
                "requestId": 99,
                "firmware": {"location": "https://x/2.bin", "retrieveDateTime": "2026-03-01T00:00:00Z"},
                "retries": 3,
            },
        ),
    ),
    (
        "update-firmware",
        {
            "location": "https://x/2.bin",
            "retrieve_at": "2026-03-01T00:00:00Z",
            "install_at": "2026-03-01T02:00:00Z",
            "signing_certificate": "PEM",
            "signature": "c2lnbmVk",
            "request_id": 7,
        },
        (
            "SignedUpdateFirmware",
            {
                "requestId": 7,
                "firmware": {
                    "location": "https://x/2.bin",
                    "retrieveDateTime": "2026-03-01T00:00:00Z",
                    "installDateTime": "2026-03-01T02:00:00Z",
                    "signingCertificate": "PEM",
                    "signature": "c2lnbmVk",
                },
            },
        ),
        (
            "UpdateFirmware",
            {
                "requestId": 7,
                "firmware": {
                    "location": "https://x/2.bin",
                    "retrieveDateTime": "2026-03-01T00:00:00Z",
                    "installDateTime": "2026-03-01T02:00:00Z",
                    "signingCertificate": "PEM",
                    "signature": "c2lnbmVk",
                },
            },
        ),
    ),
    ("reset", {}, ("Reset", {"type": "Soft"}), ("Reset", {"type": "OnIdle"})),
    ("reset", {"type": "immediate"}, ("Reset", {"type": "Hard"}), ("Reset", {"type": "Immediate"})),
    (
        "unlock",
        {"evse": 2},
        ("UnlockConnector", {"connectorId": 2}),
        ("UnlockConnector", {"evseId": 2, "connectorId": 1}),
    ),
    (
        "availability",
        {"operative": False},
        ("ChangeAvailability", {"connectorId": 0, "type": "Inoperative"}),
        ("ChangeAvailability", {"operationalStatus": "Inoperative"}),
    ),
    (
        "availability",
        {"operative": True, "evse": 1, "connector": 2},
        ("ChangeAvailability", {"connectorId": 1, "type": "Operative"}),
        ("ChangeAvailability", {"operationalStatus": "Operative", "evse": {"id": 1, "connectorId": 2}}),
    ),
    (
        "trigger",
        {"message": "status", "evse": 1, "connector": 1},
        ("TriggerMessage", {"requestedMessage": "StatusNotification", "connectorId": 1}),
        ("TriggerMessage", {"requestedMessage": "StatusNotification", "evse": {"id": 1, "connectorId": 1}}),
    ),
    (
        "trigger",
        {"message": "certificate"},
        ("ExtendedTriggerMessage", {"requestedMessage": "SignChargePointCertificate"}),
        ("TriggerMessage", {"requestedMessage": "SignChargingStationCertificate"}),
    ),
    (
        "trigger",
        {"message": "log"},
        ("ExtendedTriggerMessage", {"requestedMessage": "LogStatusNotification"}),
        ("TriggerMessage", {"requestedMessage": "LogStatusNotification"}),
    ),
    (
        "get-variables",
        {"variables": ["OCPPCommCtrlr.HeartbeatInterval"]},
        ("GetConfiguration", {"key": ["OCPPCommCtrlr.HeartbeatInterval"]}),
        ("GetVariables", {"getVariableData": [VARIABLE]}),
    ),
    (
        "set-variables",
        {"variables": [{"component": "OCPPCommCtrlr", "variable": "HeartbeatInterval", "value": 60}]},
        ("ChangeConfiguration", {"key": "HeartbeatInterval", "value": "60"}),
        ("SetVariables", {"setVariableData": [{**VARIABLE, "attributeValue": "60"}]}),
    ),
    (
        "base-report",
        {"report": "summary"},
        ("GetConfiguration", {}),
        ("GetBaseReport", {"requestId": 99, "reportBase": "SummaryInventory"}),
    ),
    ("clear-cache", {}, ("ClearCache", {}), ("ClearCache", {})),
    (
        "get-log",
        {"location": "https://x.example/up", "retries": 2},
        ("GetDiagnostics", {"location": "https://x.example/up", "retries": 2}),
        (
            "GetLog",
            {
                "log": {"remoteLocation": "https://x.example/up"},
                "logType": "DiagnosticsLog",
                "requestId": 99,
                "retries": 2,
            },
        ),
    ),
    (
        "data-transfer",
        {"vendor": "v", "message": "m", "data": {"a": 1}},
        ("DataTransfer", {"vendorId": "v", "messageId": "m", "data": '{"a":1}'}),
        ("DataTransfer", {"vendorId": "v", "messageId": "m", "data": {"a": 1}}),
    ),
]


@pytest.mark.parametrize(("verb", "payload", "old", "new"), CASES)
def test_a_verb_in_each_version(verb: str, payload: dict[str, Any], old: Any, new: Any) -> None:
    assert said("1.6", verb, payload) == old
    assert said("2.0.1", verb, payload) == new
    assert said("2.1", verb, payload) == new


def test_every_verb_has_a_case() -> None:
    assert {case[0] for case in CASES} == set(verbs.VERBS)


def test_a_security_log_of_16() -> None:
    action, payload = said("1.6", "get-log", {"location": "https://x.example/up", "type": "security"})
    assert (action, payload["logType"]) == ("GetLog", "SecurityLog")


def test_resume_is_of_21_alone() -> None:
    assert said("2.1", "reset", {"type": "resume"}) == ("Reset", {"type": "ImmediateAndResume"})
    for version in ("1.6", "2.0.1"):
        with pytest.raises(Invalid):
            said(version, "reset", {"type": "resume"})


def test_an_action_goes_as_it_is() -> None:
    assert said("1.6", "Reset", {"type": "Hard"}) == ("Reset", {"type": "Hard"})
    profile = {
        "chargingProfileId": 1,
        "stackLevel": 0,
        "chargingProfilePurpose": "TxDefaultProfile",
        "chargingProfileKind": "Relative",
        "chargingSchedule": {"chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 16.1}]},
    }
    body = {"connectorId": 1, "csChargingProfiles": profile}
    assert said("1.6", "SetChargingProfile", body) == ("SetChargingProfile", body)


@pytest.mark.parametrize(
    ("version", "action", "payload", "field"),
    [
        ("1.6", "start", {}, "token"),
        ("1.6", "start", {"token": 5}, "token"),
        ("1.6", "start", {"token": "T", "what": 1}, "what"),
        ("2.0.1", "get-variables", {"variables": [{"component": "A"}]}, "variables[0].variable"),
        ("1.6", "start", {"token": "T" * 21}, "idTag"),
        ("2.0.1", "start", {"token": "T" * 37}, "idToken.idToken"),
        ("2.0.1", "start", {"token": "T", "token_type": "Rune"}, "idToken.type"),
        ("1.6", "stop", {}, "session"),
        ("1.6", "stop", {"session": "s-1", "transaction": 1}, "session"),
        ("1.6", "stop", {"session": "s-2"}, "session"),
        ("1.6", "stop", {"transaction": "abc"}, "transaction"),
        ("1.6", "reset", {"evse": 1}, "evse"),
        ("1.6", "trigger", {"message": "transaction"}, "requestedMessage"),
        ("1.6", "set-variables", {"variables": []}, "variables"),
        ("2.0.1", "get-variables", {"variables": []}, "variables"),
        ("2.0.1", "get-variables", {"variables": ["HeartbeatInterval"]}, "variables"),
        ("1.6", "get-log", {"location": "https://x.example/up", "oldest": "yesterday"}, "startTime"),
        ("2.1", "BootNotification", {}, "action"),
        ("2.1", "Teleport", {}, "action"),
        ("1.6", "ChangeConfiguration", {"key": "k", "value": "v" * 501}, "value"),
    ],
)
def test_what_is_wrong_is_named(version: str, action: str, payload: dict[str, Any], field: str) -> None:
    with pytest.raises(Invalid) as caught:
        said(version, action, payload)
    assert caught.value.field == field, caught.value
    assert caught.value.description


def reported(version: str, action: str, request: dict[str, Any], response: dict[str, Any]) -> dict[str, str | None]:
    codec = load(version).actions[action]
    found = answers.report(
        action,
        codec.decode_request(msgspec.json.encode(request)).message,
        codec.decode_response(msgspec.json.encode(response)).message,
    )
    return {} if found is None else {f"{one.component}.{one.variable}": one.value for one in found.variables}


def test_answers_that_tell_of_variables() -> None:
    keys = [{"key": "A", "readonly": True, "value": "1"}, {"key": "AuthorizationKey", "readonly": False, "value": "x"}]
    assert reported("1.6", "GetConfiguration", {}, {"configurationKey": keys}) == {".A": "1", ".AuthorizationKey": None}
    change = {"key": "A", "value": "2"}
    assert reported("1.6", "ChangeConfiguration", change, {"status": "Accepted"}) == {".A": "2"}
    assert reported("1.6", "ChangeConfiguration", change, {"status": "Rejected"}) == {}
    assert reported("1.6", "Reset", {"type": "Soft"}, {"status": "Accepted"}) == {}
    for version in ("2.0.1", "2.1"):
        results = [
            {**VARIABLE, "attributeStatus": "Accepted", "attributeValue": "60"},
            {**VARIABLE, "attributeStatus": "UnknownVariable"},
        ]
        got = reported(version, "GetVariables", {"getVariableData": [VARIABLE]}, {"getVariableResult": results})
        assert got == {"OCPPCommCtrlr.HeartbeatInterval": "60"}
        asked = {"setVariableData": [{**VARIABLE, "attributeValue": "90"}]}
        done = {"setVariableResult": [{**VARIABLE, "attributeStatus": "RebootRequired"}]}
        assert reported(version, "SetVariables", asked, done) == {"OCPPCommCtrlr.HeartbeatInterval": "90"}


@pytest.mark.parametrize("version", VERSIONS)
def test_which_requests_hold_a_secret(version: str) -> None:
    for name, secret in (("AuthorizationKey", True), ("BasicAuthPassword", True), ("HeartbeatInterval", False)):
        variable = {"component": "SecurityCtrlr", "variable": name, "value": "abcdefghijklmnop"}
        ask = Asking(version, {}.get, lambda: 1)
        made = prepare(load(version), "set-variables", {"variables": [variable]}, ask)
        assert answers.holds_secret(made.action, made.request) is secret
