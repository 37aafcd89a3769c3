"""A barrage of bad input at a running server: each gets its protocol's answer, and a good station is served on."""

from __future__ import annotations

import base64
import json
import os
import re
import socket
import struct
import threading
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from tests.interop import csms_process
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import ClientConnection, connect

KEY = base64.b64encode(b"0123456789abcdef").decode()
HEAD = (
    "GET /ocpp/BAD HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    f"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Protocol: ocpp1.6\r\n"
)
HANDSHAKES: list[tuple[str, int]] = [
    ("GET / HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    ("GET /favicon.ico HTTP/1.1\r\nHost: x\r\n\r\n", 426),
    (HEAD.replace("GET", "POST") + "\r\n", 405),
    (HEAD.replace("GET", "G\x00T") + "\r\n", 405),
    (HEAD.replace("HTTP/1.1", "HTTP/1.0") + "\r\n", 400),
    (HEAD.replace("/ocpp/BAD", "/elsewhere/BAD") + "\r\n", 404),
    (HEAD.replace("/ocpp/BAD", "/ocpp/") + "\r\n", 404),
    (HEAD.replace("/ocpp/BAD", "/ocpp/a/b/c") + "\r\n", 404),
    (HEAD.replace("/ocpp/BAD", "/ocpp/%zz") + "\r\n", 404),
    (HEAD.replace("/ocpp/BAD", "/ocpp/%ff") + "\r\n", 404),
    (HEAD.replace("/ocpp/BAD", "/ocpp/" + "x" * 49) + "\r\n", 404),
    (HEAD.replace("/ocpp/BAD", "/ocpp/a%00b") + "\r\n", 404),
    (HEAD.replace("Version: 13", "Version: 8") + "\r\n", 426),
    (HEAD.replace(KEY, "short") + "\r\n", 400),
    (HEAD + "No colon here\r\n\r\n", 400),
    (HEAD + "X: a\x00b\r\n\r\n", 400),
    (HEAD + f"Sec-WebSocket-Key: {KEY}\r\n\r\n", 400),
    (HEAD + "Content-Length: 5\r\n\r\nhello", 400),
    (HEAD + "Transfer-Encoding: chunked\r\n\r\n", 400),
    (HEAD + "Authorization: Bearer x\r\n\r\n", 401),
    (HEAD + "Authorization: Basic %%%\r\n\r\n", 401),
    (HEAD + "Authorization: Basic bm9jb2xvbg==\r\n\r\n", 401),
    (HEAD + "X: y\r\n" * 70 + "\r\n", 431),
    (HEAD + "X: " + "y" * 20_000 + "\r\n\r\n", 431),
    ("\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + "\x00" * 64 + "\r\n\r\n", 400),
    ("nonsense\r\n\r\n", 400),
    ("\r\n\r\n", 400),
]


def frame(opcode: int, payload: bytes, *, fin: bool = True, masked: bool = True, reserved: int = 0) -> bytes:
    """A WebSocket frame as it should or should not be."""
    head = bytes([fin << 7 | reserved << 4 | opcode])
    length = len(payload)
    mask = 0x80 if masked else 0
    if length < 126:
        head += bytes([mask | length])
    elif length < 65_536:
        head += bytes([mask | 126]) + struct.pack(">H", length)
    else:
        head += bytes([mask | 127]) + struct.pack(">Q", length)
    return head + (b"\x00\x00\x00\x00" if masked else b"") + payload


FRAMES: list[tuple[bytes, int]] = [
    (frame(1, b"[]", masked=False), 1002),
    (frame(1, b"[]", reserved=2), 1002),
    (frame(3, b"x"), 1002),
    (frame(11, b"x"), 1002),
    (frame(0, b"x"), 1002),
    (frame(1, b"x", fin=False) + frame(1, b"y"), 1002),
    (frame(9, b"x" * 126), 1002),
    (frame(9, b"x", fin=False), 1002),
    (frame(8, b"x"), 1002),
    (frame(8, struct.pack(">H", 1005)), 1002),
    (frame(1, b"\xff\xfe"), 1007),
    (frame(1, b" " * 70_000), 1009),
    (bytes([0x81, 0xFF]) + b"\x7f" + b"\xff" * 7, 1009),
]
MESSAGES: list[str] = [
    "", "x", "{}", "[]", "null", "1", '"x"', "[2]", "[9]", "[true]", '[2,"1"]', '[2,1,"Heartbeat",{}]',
    '[2,"1","Heartbeat"]', '[2,"1","Heartbeat",[]]', '[2,"1","NoSuchAction",{}]', '[2,"1","BootNotification",{}]',
    f'[2,"{"x" * 99}","Heartbeat",{{}}]', '[3,"nobody asked",{}]', '[4,"nobody","X","",{}]',
    '[4]', '[5,"x"]', '[6,"x","Heartbeat",{}]', "[" * 5_000, '[2,"1","DataTransfer",' + '{"a":' * 5_000,
    '[2,"1","Heartbeat",{}],', '[2,"1","Heartbeat",NaN]', '[2,"\\ud800","Heartbeat",{}]',
    '[2,"1","StartTransaction",{"connectorId":1e400,"idTag":"x","meterStart":0,"timestamp":"2026-01-01T00:00:00Z"}]',
    '[2,"1","MeterValues",{"connectorId":1,"meterValue":{}}]',
]  # fmt: skip


@pytest.fixture(scope="module")
def csms(tmp_path_factory: pytest.TempPathFactory) -> Iterator[csms_process.Csms]:
    with csms_process.running(tmp_path_factory.mktemp("bad") / "data", "--lab", "--message-rate", "0") as server:
        yield server


def counts(csms: csms_process.Csms) -> dict[str, float]:
    rows = re.findall(r"^(\w+(?:\{[^}]*\})?) ([\d.e+]+)$", httpx.get(f"{csms.http}/metrics").text, re.M)
    return {name: float(value) for name, value in rows}


def knock(csms: csms_process.Csms, request: bytes) -> bytes:
    """All that the listener answers until it closes."""
    where = urlsplit(csms.ocpp)
    with socket.create_connection((where.hostname, where.port), timeout=20) as peer:
        answer = b""
        try:
            peer.sendall(request)
            while more := peer.recv(65_536):
                answer += more
        except ConnectionResetError:
            pass  # closed while we were still sending
        return answer


def upgraded(csms: csms_process.Csms, identity: str, version: str = "ocpp1.6") -> ClientConnection:
    return connect(f"{csms.ocpp}/{identity}", subprotocols=[version], compression=None, close_timeout=2)  # type: ignore[list-item]


def close_code(csms: csms_process.Csms, identity: str, raw: bytes) -> int:
    with upgraded(csms, identity) as station:
        station.socket.sendall(raw)
        with pytest.raises(ConnectionClosed) as closed:
            while True:
                station.recv(20)
        assert closed.value.rcvd is not None, f"no close frame for {raw[:40]!r}"
        return closed.value.rcvd.code


@pytest.mark.parametrize(("request_text", "status"), HANDSHAKES)
def test_a_handshake_that_is_none_gets_its_status(csms: csms_process.Csms, request_text: str, status: int):
    answer = knock(csms, request_text.encode("latin-1"))
    assert answer.startswith(f"HTTP/1.1 {status} ".encode()), answer[:80]


@pytest.mark.parametrize(("number", "raw", "code"), [(n, *row) for n, row in enumerate(FRAMES)])
def test_a_frame_against_the_rules_is_closed_with_its_code(csms: csms_process.Csms, number: int, raw: bytes, code: int):
    assert close_code(csms, f"FRAME-{number}", raw) == code


@pytest.mark.parametrize("version", ["ocpp1.6", "ocpp2.0.1", "ocpp2.1"])
def test_after_any_bad_message_the_connection_serves_on(csms: csms_process.Csms, version: str):
    boot = {"chargePointVendor": "V", "chargePointModel": "M"}
    if version != "ocpp1.6":
        boot = {"reason": "PowerUp", "chargingStation": {"model": "M", "vendorName": "V"}}
    with upgraded(csms, f"MSG-{version}", version) as station:
        station.send(json.dumps([2, "boot", "BootNotification", boot]))
        assert json.loads(station.recv(20))[2]["status"] == "Accepted"
        for text in MESSAGES:
            station.send(text)
        station.send('[2,"good","Heartbeat",{}]')
        told = []
        while True:
            answer = json.loads(station.recv(20))
            if answer[1] == "good":
                break
            if answer[0] != 2:  # a CALL of its own
                told.append(answer)
    assert answer[0] == 3 and "currentTime" in answer[2]
    odd = [each for each in told if each[0] not in (4, 5) or len(each) != 5 or not each[2]]
    assert len(told) > 10 and not odd, odd


class Good(threading.Thread):
    """A station that goes on charging until it is told to stop; every call must be answered."""

    def __init__(self, csms: csms_process.Csms) -> None:
        super().__init__()
        self.enough = threading.Event()
        self.answered = 0
        self.fault: BaseException | None = None
        self._csms = csms

    def run(self) -> None:
        try:
            with upgraded(self._csms, "GOOD") as station:
                self._call(station, "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
                at = "2026-03-01T12:00:00Z"
                begin = {"connectorId": 1, "idTag": "T", "meterStart": 0, "timestamp": at}
                number = self._call(station, "StartTransaction", begin)["transactionId"]
                wh = 0
                while not self.enough.is_set():
                    wh += 1
                    value = [{"timestamp": at, "sampledValue": [{"value": str(wh)}]}]
                    asked = {"connectorId": 1, "transactionId": number, "meterValue": value}
                    assert self._call(station, "MeterValues", asked) == {}
                end = {"transactionId": number, "meterStop": wh, "timestamp": "2026-03-01T13:00:00Z"}
                self._call(station, "StopTransaction", end)
                self.wh = wh
        except BaseException as fault:
            self.fault = fault

    def _call(self, station: ClientConnection, action: str, payload: dict[str, Any]) -> Any:
        self.answered += 1
        station.send(json.dumps([2, str(self.answered), action, payload]))
        kind, number, answer = json.loads(station.recv(20))
        assert (kind, number) == (3, str(self.answered))
        return answer


def test_a_barrage_leaves_a_good_station_served(csms: csms_process.Csms):
    before = counts(csms)
    good = Good(csms)
    good.start()

    def handshakes() -> None:
        for text, _ in HANDSHAKES:
            knock(csms, text.encode("latin-1"))
        where = urlsplit(csms.ocpp)
        for cut in (1, 40, 150):  # gone in the middle of the request
            with socket.create_connection((where.hostname, where.port)) as peer:
                peer.sendall(HEAD.encode()[:cut])

    def frames(who: int) -> None:
        for number, (raw, code) in enumerate(FRAMES):
            assert close_code(csms, f"B{who}-{number}", raw) == code

    def messages(who: int) -> None:
        with upgraded(csms, f"M{who}") as station:
            for text in MESSAGES * 3:
                station.send(text)
            station.send(os.urandom(500))  # binary
        with upgraded(csms, f"M{who}") as station:
            station.socket.shutdown(socket.SHUT_RDWR)  # without a close frame

    def api() -> None:
        with httpx.Client(base_url=csms.http) as client:
            assert client.post("/api/v1/stations", content=b"\xff{").status_code == 400
            assert client.post("/api/v1/stations", content=b"[]").status_code == 422
            assert client.post("/api/v1/stations", content=b"x" * 2_000_000).status_code == 413
            assert client.get("/api/v1/sessions?cursor=%00&limit=x").status_code == 400
            assert client.get("/api/v1/stations/%00%ff/variables").status_code in (400, 404)
            assert client.request("BREW", "/api/v1/stations").status_code == 405
            assert (
                client.post("/api/v1/stations/GOOD/commands", json={"action": "Reset", "reason": "x"}).status_code
                == 422
            )
        where = urlsplit(csms.http)
        for raw in (b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"\x00" * 5_000, b"GET /" + b"x" * 100_000):
            with socket.create_connection((where.hostname, where.port), timeout=20) as peer:
                peer.sendall(raw)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65_536):
                    pass

    faults: list[BaseException] = []

    def guarded(work: Any, *arguments: int) -> None:
        try:
            work(*arguments)
        except BaseException as fault:
            faults.append(fault)

    threads = [threading.Thread(target=guarded, args=(handshakes,)) for _ in range(2)]
    threads += [threading.Thread(target=guarded, args=(frames, who)) for who in range(2)]
    threads += [threading.Thread(target=guarded, args=(messages, who)) for who in range(3)]
    threads += [threading.Thread(target=guarded, args=(api,))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    good.enough.set()
    good.join(30)
    assert not faults, faults
    assert good.fault is None and not good.is_alive(), repr(good.fault)
    assert good.answered > 50

    (session,) = csms.get("/sessions", station="GOOD")["items"]  # type: ignore[index]
    assert (session["status"], session["energy_wh"]) == ("ended", good.wh)
    after = counts(csms)
    for name, least in (
        ('pilotwire_edge_refused_total{status="400"}', 10),
        ('pilotwire_edge_refused_total{status="404"}', 10),
        ('pilotwire_edge_refused_total{status="431"}', 2),
        ('pilotwire_edge_closed_total{code="1002"}', 10),
        ('pilotwire_edge_closed_total{code="1007"}', 2),
        ('pilotwire_edge_closed_total{code="1009"}', 2),
        ("pilotwire_edge_vanished_total", 6),
    ):
        assert after[name] - before.get(name, 0) >= least, (name, before.get(name, 0), after[name])
    errors = sum(value for name, value in after.items() if name.startswith("pilotwire_errors_total"))
    assert errors > sum(value for name, value in before.items() if name.startswith("pilotwire_errors_total"))
    assert after["pilotwire_faults_total"] == 0 and after["pilotwire_edge_receiver_failures_total"] == 0
    assert "Traceback" not in csms.log.read_text()
