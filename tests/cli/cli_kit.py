"""The `pilotwire` command as a person types it, and a station of raw frames."""

from __future__ import annotations

import base64
import io
import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

from websockets.sync.client import ClientConnection, connect

from pilotwire.cli.main import main


class Ended(NamedTuple):
    returncode: int
    stdout: str
    stderr: str


def process(*arguments: object, stdin: str | bytes = "", data: Path | None = None) -> Ended:
    """Run `pilotwire` as a process of its own, to its end. `data` is put behind as `--data`."""
    line = [sys.executable, "-m", "pilotwire", *_line(arguments, data)]
    given = stdin.encode() if isinstance(stdin, str) else stdin
    ended = subprocess.run(line, input=given, capture_output=True, timeout=60)
    assert b"Traceback" not in ended.stderr, ended.stderr.decode()
    return Ended(ended.returncode, ended.stdout.decode(), ended.stderr.decode())


def pilotwire(*arguments: object, stdin: str = "", data: Path | None = None) -> Ended:
    """The same through its entry point in this process: an interpreter's start costs more than all the rest."""
    out, err, before = io.StringIO(), io.StringIO(), sys.stdin
    sys.stdin = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
    try:
        with redirect_stdout(out), redirect_stderr(err):
            status = main(_line(arguments, data))
    except SystemExit as end:
        status = end.code if isinstance(end.code, int) else 1
    finally:
        sys.stdin = before
    return Ended(status, out.getvalue(), err.getvalue())


def _line(arguments: tuple[object, ...], data: Path | None) -> list[str]:
    return [*map(str, arguments), *(["--data", str(data)] if data is not None else [])]


def done(*arguments: object, **more: Any) -> str:
    """The output of `pilotwire`, which must end well."""
    ended = pilotwire(*arguments, **more)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


def basic(user: str, password: str) -> dict[str, str]:
    return {"Authorization": "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()}


class RawStation:
    """A station that says what it is told to."""

    def __init__(self, socket: ClientConnection) -> None:
        self.socket = socket
        self._count = 0

    def call(self, action: str, payload: dict[str, Any]) -> Any:
        """The payload of the CALLRESULT, or the whole CALLERROR."""
        self._count += 1
        self.socket.send(json.dumps([2, f"m{self._count}", action, payload]))
        while True:
            frame = json.loads(self.socket.recv(20))
            if frame[1] == f"m{self._count}":
                return frame[2] if frame[0] == 3 else frame

    def boot(self) -> None:
        answer = self.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        assert answer["status"] == "Accepted"

    def charge(self, token: str, wh: int = 2500, hour: int = 12) -> int:
        """A whole 1.6 session; its transactionId."""
        at = {"timestamp": f"2026-03-01T{hour}:00:00Z"}
        begun = self.call("StartTransaction", {"connectorId": 1, "idTag": token, "meterStart": 1000, **at})
        number = begun["transactionId"]
        at = {"timestamp": f"2026-03-01T{hour}:30:00Z"}
        self.call("StopTransaction", {"transactionId": number, "meterStop": 1000 + wh, "reason": "Local", **at})
        return number


@contextmanager
def raw_station(url: str, identity: str, password: str | None = None, **more: Any) -> Iterator[RawStation]:
    """Connected as OCPP 1.6. `url` ends before the identity."""
    headers = basic(identity, password) if password else None
    with connect(f"{url}/{identity}", subprotocols=["ocpp1.6"], additional_headers=headers, **more) as socket:  # type: ignore[list-item]
        yield RawStation(socket)


def loop_until(condition: Any, what: str, seconds: float = 30) -> Any:
    """What `condition()` returns as soon as it is true."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")
