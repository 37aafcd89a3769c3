"""`pilotwire decode`: what a frame says, in which version, and what is wrong with it."""

from __future__ import annotations

import json

import pytest
from tests.cli.cli_kit import process

from pilotwire.cli.decode import main


@pytest.fixture
def decode(capsys: pytest.CaptureFixture[str]):
    def run(frame: str, *more: str) -> tuple[int, str]:
        status = main("decode", [frame, *more])
        return status, capsys.readouterr().out

    return run


BOOT_2 = '{"reason":"PowerUp","chargingStation":{"model":"M","vendorName":"V"}}'
STREAM = '{"id":1,"variableMonitoringId":1,"params":{}}'
VALID = [
    ("1.6", '[2,"19","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]', "station"),
    ("1.6", '[2,"19","Reset",{"type":"Soft"}]', "csms"),
    ("2.0.1", f'[2,"19","BootNotification",{BOOT_2}]', "station"),
    ("2.1", f'[2,"19","OpenPeriodicEventStream",{{"constantStreamData":{STREAM}}}]', "station"),
    ("2.1", '[2,"19","AFRRSignal",{"timestamp":"2026-01-31T12:00:00Z","signal":7}]', "csms"),
]  # fmt: skip


@pytest.mark.parametrize(("version", "frame", "sender"), VALID)
def test_a_valid_call_of_each_version(decode, version, frame, sender):
    status, text = decode(frame)
    assert status == 0
    head, who, *payload = text.splitlines()
    assert head == f"CALL {json.loads(frame)[2]} 19   OCPP {version}"
    assert who.startswith("  sent by: ") and sender in who
    assert json.loads("".join(payload)) == json.loads(frame)[3]


def test_the_version_can_be_demanded(decode):
    frame = '[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M"}]'
    status, text = decode(frame, "--version", "2.0.1")
    assert status == 1 and "OCPP 2.0.1" in text and "refused: OccurrenceConstraintViolation" in text


def test_an_invalid_payload_names_the_field_and_the_code_of_its_version(decode):
    status, text = decode('[2,"1","BootNotification",{"chargePointVendor":"V"}]')
    assert status == 1
    assert "refused: OccurenceConstraintViolation: $.chargePointModel" in text  # 1.6 spells it so
    status, text = decode('[2,"1","Reset",{"type":"Gently"}]', "--json")
    told = json.loads(text)
    assert status == 1 and not told["valid"]
    assert told["error"] == "PropertyConstraintViolation" and told["why"].startswith("$.type")


def test_the_fault_told_is_of_a_version_that_knows_the_action(decode):
    status, text = decode('[2,"1","GetVariables",{"getVariableData":[]}]')
    assert status == 1
    assert "OCPP 2.0.1" in text and "getVariableData" in text and "no such action" not in text


def test_an_unknown_action_suggests_the_right_case(decode):
    status, text = decode('[2,"1","bootnotification",{}]')
    assert status == 1 and "NotImplemented" in text and "BootNotification?" in text


def test_a_deviation_is_named(decode):
    status, text = decode('[2,"1","BootNotification",{"chargePointVendor":"V","chargePointModel":"M","iccid":null}]')
    assert status == 0
    assert "accepted by rule: null-for-absent" in text


def test_a_result_needs_its_action(decode):
    frame = '[3,"1",{"status":"Accepted"}]'
    status, text = decode(frame)
    assert status == 1 and "--action" in text
    status, text = decode(frame, "--action", "Reset")
    assert status == 0 and text.startswith("CALLRESULT Reset 1   OCPP 1.6\n  sent by: station\n")
    status, text = decode('[3,"1",{"status":"Perhaps"}]', "--action", "Reset")
    assert status == 1 and "$.status" in text


def test_errors_and_sends(decode):
    status, text = decode('[4,"1","NotSupported","not today",{"hint":1.10}]')
    assert status == 0 and text.startswith("CALLERROR NotSupported 1\n  because: not today\n") and "1.10" in text
    status, text = decode('[5,"1","FormatViolation","",{}]')
    assert status == 0 and text.startswith("CALLRESULTERROR FormatViolation 1")
    stream = '{"id":1,"pending":0,"basetime":"2026-01-31T12:00:00Z","data":[{"t":0,"v":"1"}]}'
    status, text = decode(f'[6,"1","NotifyPeriodicEventStream",{stream}]')
    assert status == 0 and text.startswith("SEND NotifyPeriodicEventStream 1   OCPP 2.1")
    status, text = decode(f'[2,"1","NotifyPeriodicEventStream",{stream}]')
    assert status == 1 and "SEND" in text


def test_numbers_stay_as_they_were_written(decode):
    status, text = decode(
        '[2,"1","DataTransfer",{"vendorId":"v","data":"1.10","customData":{"vendorId":"x","y":1.10}}]'
    )
    assert status == 0 and '"y": 1.10' in text


@pytest.mark.parametrize(
    "frame",
    [
        "", "x", "[", "[2", "{}", "[]", "[[]]", "[{}]", "[null]", "[true]", "[2.0]", "[7]", "[2]", "[3]", "[4]", "[5]",
        "[6]", '[2,"1"]', '[2,1,"Heartbeat",{}]', '[2,"1",2,{}]', '[2,"1","Heartbeat"]', '[2,"1","Heartbeat",{},1]',
        '[2,"1","Heartbeat",[]]', '[2,"1","Heartbeat",NaN]', '[4,"1","x"]', '[4,1,2,3,4]', '[2,"1","\\ud800",{}]',
        '"text"', "1", "[" * 100_000, '[2,"1","Heartbeat",' + "[" * 100_000, "\udcff",
    ],
)  # fmt: skip
def test_whatever_is_no_frame_is_explained(decode, frame):
    status, text = decode(frame)
    assert status == 1 and "refused: " in text
    assert json.loads(decode(frame, "--json")[1])["valid"] is False


def test_lines_from_standard_input_with_results_by_their_calls():
    call, result = '[2,"a","Heartbeat",{}]', '[3,"a",{"currentTime":"2026-01-31T12:00:00Z"}]'
    ended = process("decode", "--json", stdin=f"{call}\n\n{result}\n")
    assert ended.returncode == 0
    first, second = map(json.loads, ended.stdout.splitlines())
    assert (first["kind"], second["kind"], second["action"]) == ("CALL", "CALLRESULT", "Heartbeat")
    bad = process("decode", stdin=b'[2,"a","Heartbeat",{}]\n\xff\xfe\n[2,"b","Heartbeat",{}]\n')
    assert bad.returncode == 1
    assert bad.stdout.count("CALL Heartbeat") == 2 and bad.stdout.count("refused") == 1
