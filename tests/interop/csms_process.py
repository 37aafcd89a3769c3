"""`pilotwire csms` as a process of its own, for tests that need the real thing from outside."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import httpx
import msgspec
from bench.ports import free_port


class Csms(msgspec.Struct):
    process: subprocess.Popen[bytes]
    data: Path
    http: str
    ocpp: str
    log: Path

    def get(self, path: str, **params: object) -> object:
        answer = httpx.get(f"{self.http}/api/v1{path}", params=params, timeout=10, verify=False)
        answer.raise_for_status()
        return answer.json()

    def kill(self) -> None:
        """SIGKILL, and wait until it is gone."""
        self.process.kill()
        self.process.wait()


def start(
    data: Path,
    *extra: str,
    http: int | None = None,
    ocpp: int | None = None,
    command: str = "csms",
    env: dict[str, str] | None = None,
) -> Csms:
    """Start it and wait until it is ready; raises with its output when it ends before."""
    http, ocpp = http or free_port(), ocpp or free_port()
    data.mkdir(parents=True, exist_ok=True)
    log = data / "server.log"
    arguments: Sequence[str] = [
        sys.executable, "-m", "pilotwire", command, "--data", str(data),
        "--http", f"127.0.0.1:{http}", "--ocpp", f"127.0.0.1:{ocpp}", *extra,
    ]  # fmt: skip
    with log.open("ab") as output:
        process = subprocess.Popen(arguments, stdout=output, stderr=output, env=os.environ | (env or {}))
    csms = Csms(process, data, f"http://127.0.0.1:{http}", f"ws://127.0.0.1:{ocpp}/ocpp", log)
    end = time.monotonic() + 60
    with httpx.Client(timeout=30, verify=False, trust_env=False) as client:  # authorities are read anew for each
        while time.monotonic() < end:
            if process.poll() is not None:
                raise RuntimeError(f"pilotwire {command} ended with {process.returncode}:\n{log.read_text()[-4000:]}")
            try:
                if client.get(f"{csms.http}/readyz").status_code == 200:
                    return csms
            except httpx.TransportError:
                pass
            time.sleep(0.03)
    process.kill()
    raise RuntimeError(f"pilotwire {command} is not ready after 60 s:\n{log.read_text()[-4000:]}")


@contextmanager
def running(data: Path, *extra: str, command: str = "csms", **more: object) -> Iterator[Csms]:
    """A server that ends, by its own pid, with the block."""
    csms = start(data, *extra, command=command, **more)  # type: ignore[arg-type]
    try:
        yield csms
    finally:
        csms.process.terminate()
        try:
            csms.process.wait(20)
        except subprocess.TimeoutExpired:
            csms.kill()
            raise AssertionError("the server did not end within 20 s of SIGTERM") from None
