"""Sessions, commands and frames: what only a running server with stations can show."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.cli.cli_kit import done, loop_until, pilotwire, raw_station
from tests.interop import csms_process

VERSIONS = ("1.6", "2.0.1", "2.1")


@pytest.fixture(scope="module")
def stations(csms: csms_process.Csms) -> Iterator[dict[str, str]]:
    """Our station in each version, idle: version → identity."""
    running = []
    names = {version: f"CP-{version}" for version in VERSIONS}
    try:
        for version, name in names.items():
            password = json.loads(done("stations", "add", name, "--json", data=csms.data))["password"]
            line = [sys.executable, "-m", "pilotwire", "station", "--url", csms.ocpp, "--id", name, "--no-cars"]
            line += ["--version", version, "--password", password, "--quiet"]
            running.append(subprocess.Popen(line))

        def online() -> bool:
            listed = done("stations", "list", "--json", data=csms.data).splitlines()
            return sum(json.loads(row)["boot_status"] == "Accepted" for row in listed) == len(names)

        loop_until(online, "three stations have booted")
        yield names
    finally:
        for each in running:
            each.terminate()
        for each in running:
            assert each.wait(20) == 0


@pytest.fixture(scope="module")
def charged(csms: csms_process.Csms) -> int:
    """Two sessions of a station that is away since; the transactionId of the first."""
    password = json.loads(done("stations", "add", "CP-AWAY", "--json", data=csms.data))["password"]
    done("tokens", "add", "T1", data=csms.data)
    with raw_station(csms.ocpp, "CP-AWAY", password) as station:
        station.boot()
        first = station.charge("T1")
        station.charge("T1", 12_345, hour=13)
    return first


def test_the_list_shows_who_is_online(csms, stations, charged):
    table = done("stations", "list", data=csms.data).splitlines()
    for version, name in stations.items():
        row = next(line for line in table if line.startswith(f"{name} "))
        assert row.split()[1:5] == ["yes", version, "Pilotwire", "Simulated"]
    assert next(line for line in table if line.startswith("CP-AWAY")).split()[1] == "no"


def test_sessions_as_a_table_and_as_json(csms, charged):
    head, newest, oldest = done("sessions", data=csms.data).splitlines()
    assert head.split()[:4] == ["SESSION", "STATION", "EVSE", "TOKEN"]
    assert "12.345 kWh" in newest and "2.500 kWh" in oldest and "Local" in oldest
    rows = [json.loads(line) for line in done("sessions", "--json", data=csms.data).splitlines()]
    assert [row["energy_wh"] for row in rows] == [12_345, 2500]
    wanted = "id station_id evse connector token status started_at ended_at energy_wh meter_start_wh meter_stop_wh"
    assert not {*wanted.split(), "stop_reason", "ocpp_version"} - set(rows[0])
    assert len(done("sessions", "--limit", "1", data=csms.data).splitlines()) == 2
    assert len(done("sessions", "--station", "CP-AWAY", "--status", "ended", data=csms.data).splitlines()) == 3
    for more in (("--status", "active"), ("--station", "CP-1.6")):
        none = pilotwire("sessions", *more, data=csms.data)
        assert (none.returncode, none.stdout, none.stderr) == (0, "", "no session yet\n")


def test_an_action_of_ocpp_by_its_name(csms, stations):
    told = json.loads(
        done("send", stations["1.6"], "GetConfiguration", '{"key":["HeartbeatInterval"]}', data=csms.data)
    )
    assert told["configurationKey"][0]["key"] == "HeartbeatInterval"
    wanted = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
    for version in ("2.0.1", "2.1"):
        payload = json.dumps({"getVariableData": [wanted]})
        told = json.loads(done("send", stations[version], "GetVariables", payload, data=csms.data))
        assert told["getVariableResult"][0]["attributeStatus"] == "Accepted"


@pytest.mark.parametrize("version", VERSIONS)
def test_a_verb_means_the_same_to_every_version(csms, stations, version):
    told = json.loads(done("send", stations[version], "trigger", '{"message": "heartbeat"}', data=csms.data))
    assert told["status"] == "Accepted"
    told = json.loads(
        done("send", stations[version], "unlock", '{"evse": 1, "connector": 1}', "--reason", "test", data=csms.data)
    )
    assert told["status"] in ("Unlocked", "NotSupported", "UnlockFailed")


def test_an_unknown_action_is_told_and_never_sent(csms, stations):
    for action in ("Explode", "GetVariables"):
        ended = pilotwire("send", stations["1.6"], action, data=csms.data)
        assert ended.returncode == 1 and not ended.stdout
        assert action in ended.stderr and "1.6" in ended.stderr


def test_a_wrong_payload_names_its_field(csms, stations):
    ended = pilotwire("send", stations["1.6"], "Reset", '{"type": "Gently"}', "--reason", "test", data=csms.data)
    assert ended.returncode == 1 and "type" in ended.stderr and not ended.stdout
    ended = pilotwire("send", stations["2.1"], "GetVariables", "{}", data=csms.data)
    assert ended.returncode == 1 and "getVariableData" in ended.stderr
    ended = pilotwire("send", stations["1.6"], "Reset", "{", data=csms.data)
    assert ended.returncode == 1 and "not JSON" in ended.stderr
    ended = pilotwire("send", stations["1.6"], "Reset", "[]", "--reason", "test", data=csms.data)
    assert ended.returncode == 1 and "payload" in ended.stderr


def test_who_is_away_or_unknown_answers_nothing(csms, charged):
    away = pilotwire("send", "CP-AWAY", "Reset", '{"type": "Soft"}', "--reason", "test", data=csms.data)
    assert away.returncode == 1 and "CP-AWAY is not connected" in away.stderr
    unknown = pilotwire("send", "CP-NOBODY", "Reset", '{"type": "Soft"}', data=csms.data)
    assert unknown.returncode == 1 and "CP-NOBODY" in unknown.stderr


def test_a_station_that_stays_silent_is_told_after_the_timeout(csms):
    password = json.loads(done("stations", "add", "CP-MUTE", "--json", data=csms.data))["password"]
    with raw_station(csms.ocpp, "CP-MUTE", password) as station:
        station.boot()
        ended = pilotwire("send", "CP-MUTE", "ClearCache", "--timeout", "0.3", "--reason", "test", data=csms.data)
    assert ended.returncode == 1 and "CP-MUTE" in ended.stderr and "answer" in ended.stderr


def test_a_refusal_is_the_stations_own_answer(csms):
    password = json.loads(done("stations", "add", "CP-NO", "--json", data=csms.data))["password"]
    line = [sys.executable, "-m", "pilotwire", "send", "CP-NO", "ClearCache", "--reason", "test"]
    line += ["--data", str(csms.data)]
    with raw_station(csms.ocpp, "CP-NO", password) as station:
        station.boot()
        asking = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        _, number, action, _ = json.loads(station.socket.recv(20))
        assert action == "ClearCache"
        station.socket.send(json.dumps([4, number, "NotSupported", "no cache here", {}]))
        out, err = asking.communicate(timeout=20)
    assert asking.returncode == 1
    assert "NotSupported" in out and "no cache here" in out and "refused" in err


def test_tail_shows_frames_as_they_pass_and_ends_after_a_count(csms, stations):
    line = [sys.executable, "-m", "pilotwire", "tail", stations["1.6"], "--action", "ChangeAvail", "--count", "1"]
    tails = [
        subprocess.Popen([*line, "--data", str(csms.data), *more], stdout=subprocess.PIPE, text=True)
        for more in ((), ("--json",))
    ]
    try:

        def both_ended() -> bool:
            done("send", stations["1.6"], "trigger", '{"message": "heartbeat"}', data=csms.data)
            done("send", stations["1.6"], "ChangeAvailability", '{"connectorId":1,"type":"Operative"}', data=csms.data)
            return all(tail.poll() is not None for tail in tails)

        loop_until(both_ended, "both tails saw a ChangeAvailability")
        plain, lines = (tail.communicate()[0] for tail in tails)
    finally:
        for tail in tails:
            tail.kill()
            tail.wait()
    time, station, arrow, text = plain.split(maxsplit=3)
    assert (len(time), station, arrow) == (12, stations["1.6"], ">")
    assert json.loads(text)[2:] == ["ChangeAvailability", {"connectorId": 1, "type": "Operative"}]
    frame = json.loads(lines)
    assert (frame["station_id"], frame["direction"]) == (stations["1.6"], "out")
    assert [tail.returncode for tail in tails] == [0, 0]


def test_what_needs_a_server_says_so(tmp_path: Path):
    for line in (("send", "CP-1", "Reset"), ("tail",)):
        ended = pilotwire(*line, data=tmp_path / "data")
        assert ended.returncode == 1 and "no server runs over this data directory" in ended.stderr
