"""Real MQTT brokers for tests: Debian's mosquitto, and NATS with its MQTT side. They listen on loopback alone.

with mosquitto(folder) as broker:      broker.url, broker.kill(), broker.start()
with nats(folder) as broker: ...
"""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from bench.ports import free_port

PATIENCE_S = 60.0


class Broker:
    """One broker's process, which can be killed and started again over the same port and memory."""

    def __init__(self, command: list[str], port: int, log: Path) -> None:
        self.port = port
        self.url = f"mqtt://127.0.0.1:{port}"
        self._command, self._log = command, log
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it takes connections."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=5):
                return
            if self._process.poll() is not None:
                break
            time.sleep(0.02)
        raise AssertionError(f"{self._command[0]} does not start:\n{self._log.read_text()[-2000:]}")

    def kill(self) -> None:
        """Without a word."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None


@contextlib.contextmanager
def mosquitto(folder: Path, *, more: str = "allow_anonymous true\n", ssl: str = "") -> Iterator[Broker]:
    """Debian's mosquitto; `more` is put into its configuration, `ssl` below its listener."""
    port = free_port()
    config = folder / "mosquitto.conf"
    config.write_text(f"listener {port} 127.0.0.1\n{ssl}user root\npersistence false\n{more}")
    program = shutil.which("mosquitto") or "/usr/sbin/mosquitto"
    broker = Broker([program, "-c", str(config)], port, folder / "mosquitto.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


@contextlib.contextmanager
def nats(folder: Path, *, more: str = "") -> Iterator[Broker]:
    """NATS with JetStream, which keeps what is retained, and its MQTT side; `more` is put into its configuration."""
    port, own = free_port(), free_port()
    config = folder / "nats.conf"
    config.write_text(
        f'server_name: tests\nlisten: "127.0.0.1:{own}"\njetstream: {{ store_dir: "{folder / "nats"}" }}\n'
        f'mqtt: {{ listen: "127.0.0.1:{port}" }}\n{more}'
    )
    program = shutil.which("nats-server") or str(Path(__file__).resolve().parents[1] / ".venv/bin/nats-server")
    broker = Broker([program, "-c", str(config)], port, folder / "nats.log")
    broker.start()
    try:
        yield broker
    finally:
        broker.kill()


Kind = Literal["mosquitto", "nats"]
KINDS: tuple[Kind, ...] = ("mosquitto", "nats")


def broker(kind: Kind, folder: Path) -> contextlib.AbstractContextManager[Broker]:
    """Either of them."""
    return mosquitto(folder) if kind == "mosquitto" else nats(folder)
