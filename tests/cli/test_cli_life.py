"""How a server starts, greets, is refused, stops and comes back."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from tests.cli.cli_kit import done, pilotwire, process, raw_station
from tests.interop import csms_process
from websockets.exceptions import ConnectionClosed


def line(data: Path, *, http: int = 0, ocpp: int = 0) -> list[str]:
    http, ocpp = http or csms_process.free_port(), ocpp or csms_process.free_port()
    return ["csms", "--data", str(data), "--http", f"127.0.0.1:{http}", "--ocpp", f"127.0.0.1:{ocpp}"]


def taken() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as holder:
        yield holder.getsockname()[1]


taken_port = pytest.fixture(taken)


def test_the_first_start_tells_all_a_newcomer_needs_and_state_survives(tmp_path: Path):
    data = tmp_path / "data"
    with csms_process.running(data) as csms:
        first = csms.log.read_text()
        assert f"Console  {csms.http}/" in first
        assert f"pilotwire stations add IDENTITY --data {data}" in first
        assert csms.ocpp.removesuffix("/ocpp") in first
        login = first.split("admin / ")[1].split()[0]
        said = {"name": "admin", "password": login}
        assert httpx.post(f"{csms.http}/login", json=said).status_code == 200
        assert httpx.post(f"{csms.http}/login", json=said | {"password": "wrong wrong wrong"}).status_code == 401
        assert csms.log.read_text().count(login) == 1

        key = done("users", "key", "test", data=data).strip()
        done("stations", "add", "CP-1", "--password", "a-password-of-16+", data=data)
        done("tokens", "add", "T1", data=data)
        with raw_station(csms.ocpp, "CP-1", "a-password-of-16+") as station:
            station.boot()
            begun = {"connectorId": 1, "idTag": "T1", "meterStart": 1000, "timestamp": "2026-03-01T12:00:00Z"}
            number = station.call("StartTransaction", begun)["transactionId"]
    csms.log.unlink()
    with csms_process.running(data) as csms:
        second = csms.log.read_text()
        assert "Pilotwire is running" in second and "Login" not in second and login not in second
        assert httpx.post(f"{csms.http}/login", json=said).status_code == 200
        header = {"Authorization": f"Bearer {key}"}
        (session,) = httpx.get(f"{csms.http}/api/v1/sessions", headers=header).json()["items"]
        assert session["status"] == "active"
        with raw_station(csms.ocpp, "CP-1", "a-password-of-16+") as station:
            station.boot()
            ended = {"transactionId": number, "meterStop": 3500, "timestamp": "2026-03-01T13:00:00Z"}
            station.call("StopTransaction", ended)
        (session,) = httpx.get(f"{csms.http}/api/v1/sessions", headers=header).json()["items"]
        assert (session["status"], session["energy_wh"]) == ("ended", 2500)
        # `users add admin` sets another password, as the greeting says, and admin stays one.
        assert "as platform-admin" in done("users", "add", "admin", stdin="another password\n", data=data)
        said["password"] = "another password"
        assert httpx.post(f"{csms.http}/login", json=said).status_code == 200


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_order_and_stations_are_told_to_come_back(tmp_path: Path, how: signal.Signals):
    data = tmp_path / "data"
    csms = csms_process.start(data, "--lab")
    try:
        assert (data / "run.json").stat().st_mode & 0o077 == 0
        with raw_station(csms.ocpp, "CP-1") as station:
            station.boot()
            csms.process.send_signal(how)
            with pytest.raises(ConnectionClosed) as closed:
                station.socket.recv(20)
        assert closed.value.rcvd is not None and closed.value.rcvd.code == 1012
        assert csms.process.wait(20) == 0
    finally:
        csms.kill()
    assert not (data / "run.json").exists()
    log = csms.log.read_text()
    assert "Traceback" not in log and "stopping" in log


def test_a_second_server_over_the_same_data_is_refused(csms):
    ended = process(*line(csms.data))
    assert ended.returncode == 1
    assert str(csms.data) in ended.stderr and len(ended.stderr.splitlines()) == 1
    assert httpx.get(f"{csms.http}/readyz").status_code == 200
    assert done("stations", "list", "--json", data=csms.data) == ""


@pytest.mark.parametrize("option", ["http", "ocpp"])
def test_a_port_in_use_is_told_and_nothing_is_left_behind(tmp_path: Path, taken_port: int, option: str):
    ended = process(*line(tmp_path / "data", **{option: taken_port}))
    assert ended.returncode == 1 and len(ended.stderr.splitlines()) == 1
    assert f"cannot listen on 127.0.0.1:{taken_port}: Address already in use" in ended.stderr
    assert not (tmp_path / "data" / "run.json").exists()


@pytest.mark.parametrize("where", ["--http", "--ocpp", "--ocpps"])
def test_the_lab_is_for_this_machine_alone(tmp_path: Path, where: str):
    ended = pilotwire(*line(tmp_path / "data"), "--lab", where, "0.0.0.0:0")
    assert ended.returncode == 1 and "loopback" in ended.stderr and "0.0.0.0:0" in ended.stderr


def test_the_lab_says_loudly_what_it_is(tmp_path: Path):
    with csms_process.running(tmp_path / "data", "--lab") as csms:
        text = csms.log.read_text()
        assert "LAB MODE" in text and "Login" not in text
        with raw_station(csms.ocpp, "NEVER-SEEN") as station:
            station.boot()
            assert station.call("Authorize", {"idTag": "ANY"})["idTagInfo"]["status"] == "Accepted"
        assert csms.get("/stations")["items"][0]["id"] == "NEVER-SEEN"
        rebound = httpx.get(f"{csms.http}/api/v1/stations", headers={"Host": "evil.example"})
        assert rebound.status_code == 403
        foreign = httpx.get(f"{csms.http}/api/v1/stations", headers={"Origin": "https://evil.example"})
        assert foreign.status_code == 403


def test_without_the_lab_nobody_is_let_in(csms):
    assert httpx.get(f"{csms.http}/api/v1/stations").status_code == 401
    assert httpx.get(f"{csms.http}/healthz").status_code == 200


def test_a_server_that_was_killed_starts_again(tmp_path: Path):
    data = tmp_path / "data"
    csms = csms_process.start(data)
    csms.kill()
    assert (data / "run.json").exists()
    assert pilotwire("tail", data=data).returncode == 1  # not believed
    with csms_process.running(data):
        assert done("stations", "list", "--json", data=data) == ""


def test_what_keeps_a_server_from_starting_is_told_in_one_line(tmp_path: Path):
    (tmp_path / "file").write_text("")
    (tmp_path / "peppered").mkdir()
    (tmp_path / "peppered" / "pepper").write_text("short")
    (tmp_path / "tls" / "tls").mkdir(parents=True)
    (tmp_path / "tls" / "tls" / "ec.pem").write_text("no certificate")
    for ended, told in (
        (process(*line(tmp_path / "file")), "--data"),
        (process(*line(tmp_path / "peppered")), "pepper"),
        (process(*line(tmp_path / "tls"), "--ocpps", "127.0.0.1:0"), "certificate"),
        (process(*line(tmp_path / "url"), "--database", "mysql://host/x"), "mysql"),
    ):
        assert ended.returncode == 1, ended.stderr
        assert told in ended.stderr and len(ended.stderr.splitlines()) == 1


def test_the_data_directory_is_the_owners_alone(csms):
    for name in ("pepper", "pilotwire.db", "run.json"):
        assert (csms.data / name).stat().st_mode & 0o077 == 0
    made = csms.data.parent / "made"
    done("stations", "list", data=made)
    assert os.stat(made).st_mode & 0o077 == 0
