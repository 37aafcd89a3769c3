"""`pilotwire site run` while others die: a charger, the meter and the box itself are killed with SIGKILL.

Every device is a process of its own. This one is the wire: it hears what each car draws, adds the building, and says to
the meter what flows. A charger that is dead goes on with what it had, as one whose electronics hang would, until its
watchdog is over.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bench.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
PATIENCE_S = 90
PRODUCTS = {
    "bay-1": ("keba-p30", 255),
    "bay-2": ("phoenix-charx-sec", 1),
    "bay-3": ("webasto-unite", 255),
    "bay-4": ("heidelberg-energy-control", 1),
    "bay-5": ("abb-terra-ac", 1),
}
"""Device file and unit."""
STATION = "bay-6"
FUSE_MA, WATCHDOG_S, SIDE_LOST_MA = 70_000, 10, 25_000
FAILSAFE_MA = 6_000
REACTION_S = WATCHDOG_S + 5
"""The most that the wire may be overloaded at a stretch: watchdog, and the car's own time."""


class Wire(threading.Thread):
    """What flows."""

    def __init__(self, meter: int) -> None:
        super().__init__(daemon=True)
        self.building_ma = 10_000
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.bind(("127.0.0.1", 0))
        self.socket.settimeout(0.05)
        self.port: int = self.socket.getsockname()[1]
        self._meter = meter
        self._drawn: dict[str, tuple[int, float]] = {}
        self._ended = False
        self._over_since: float | None = None
        self.longest_over_s = 0.0
        self.highest_ma = 0

    def cars(self) -> int:
        now = time.monotonic()
        return sum(ma if now - at < WATCHDOG_S + 2 else min(ma, FAILSAFE_MA) for ma, at in list(self._drawn.values()))

    def run(self) -> None:
        sent = 0.0
        while not self._ended:
            with contextlib.suppress(TimeoutError):
                for name, ma in json.loads(self.socket.recv(1_000)).items():
                    self._drawn[name] = (ma, time.monotonic())
            now, total = time.monotonic(), self.cars() + self.building_ma
            self.highest_ma = max(self.highest_ma, total)
            self._over_since = (self._over_since or now) if total > FUSE_MA * 102 // 100 else None
            if self._over_since is not None:
                self.longest_over_s = max(self.longest_over_s, now - self._over_since)
            if now - sent > 0.1:
                sent, odd = now, int(now * 1_000) % 40  # a meter never says the same twice
                text = json.dumps([total + odd, total - odd, total]).encode()
                self.socket.sendto(text, ("127.0.0.1", self._meter))

    def end(self) -> None:
        self._ended = True
        self.join()
        self.socket.close()


class Process:
    """A process that can be killed and begun again."""

    def __init__(self, *command: str) -> None:
        self.command = command
        self.said: list[str] = []
        self.begin()

    def begin(self) -> None:
        self.lines: queue.Queue[str] = queue.Queue()
        self.child = subprocess.Popen(
            [sys.executable, "-m", *self.command], cwd=ROOT, env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        threading.Thread(target=self._read, args=(self.child, self.lines), daemon=True).start()

    def _read(self, child: subprocess.Popen[str], lines: queue.Queue[str]) -> None:
        assert child.stdout is not None
        for line in child.stdout:
            self.said.append(line)
            lines.put(line)

    def kill(self) -> None:
        self.child.kill()
        self.child.wait()

    def until(self, what: str, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first line of JSON from now on that is so."""
        while not self.lines.empty():
            self.lines.get_nowait()
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                line = self.lines.get(timeout=1)
                if line.startswith("{") and wanted(found := json.loads(line)):
                    return found
        raise AssertionError(f"{what}: " + "".join(self.said[-3:]))


@pytest.fixture
def began() -> Iterator[Callable[..., Process]]:
    made: list[Process] = []

    def begin(*command: str) -> Process:
        made.append(Process(*command))
        return made[-1]

    yield begin
    for each in made:
        each.kill()


def site_text(meter: int, chargers: dict[str, int], ocpp: int) -> str:
    evses = "".join(
        f"  - {{id: {name}, node: grid, rotation: RST, maximum_a: 16, charger: {{file: {PRODUCTS[name][0]}, "
        f"endpoint: 'tcp://127.0.0.1:{port}', unit: {PRODUCTS[name][1]}}}}}\n"
        for name, port in chargers.items()
    )
    return (
        "site: {id: killed}\n"
        f"nodes: [{{id: grid, kind: connection, meter: main, side_lost_a: {SIDE_LOST_MA // 1_000}, "
        f"limits: [{{source: fuse, current_a: {FUSE_MA // 1_000}}}]}}]\n"
        f"devices: [{{id: main, kind: meter, file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:{meter}'}}]\n"
        f"failsafe: {{current_a: {FAILSAFE_MA // 1_000}, watchdog_s: {WATCHDOG_S}, meter_s: 3}}\n"
        f"ocpp: {{listen: '127.0.0.1:{ocpp}', upstreams: [{{name: away, url: 'ws://127.0.0.1:9/ocpp'}}],\n"
        f"       stations: [{{identity: {STATION}, security_profile: 0}}]}}\n"
        f"evses:\n{evses}"
        f"  - {{id: {STATION}, node: grid, rotation: RST, maximum_a: 16, charger: {{ocpp: {STATION}}}}}\n"
    )


def marks(line: dict[str, Any]) -> set[tuple[str, str]]:
    return {(mark["where"], mark["code"]) for mark in line["marks"]}


def lost(line: dict[str, Any]) -> set[str]:
    """Who is lost, in one way or the other."""
    return {where for where, code in marks(line) if code in ("offline", "unanswered", "meter_lost")}


def all_charge(line: dict[str, Any]) -> bool:
    """Everybody is there and has something."""
    return all(each["value"] >= FAILSAFE_MA for each in line["evses"].values()) and not lost(line)


def given(line: dict[str, Any]) -> int:
    return sum(each["value"] for each in line["evses"].values())


def test_whoever_dies_the_fuse_holds_and_all_come_back(tmp_path: Path, began: Callable[..., Process]) -> None:
    hear, meter_port, ocpp = free_port(), free_port(), free_port()
    wire = Wire(hear)
    meter = began("tests.site.lone_device", "meter", str(meter_port), str(hear))
    ports = {name: free_port() for name in PRODUCTS}
    chargers = {
        name: began("tests.site.lone_device", "charger", PRODUCTS[name][0], str(port), str(wire.port), name)
        for name, port in ports.items()
    }
    began("tests.site.lone_device", "station", f"ws://127.0.0.1:{ocpp}/ocpp", str(wire.port), STATION)
    file = tmp_path / "site.yaml"
    file.write_text(site_text(meter_port, ports, ocpp))
    wire.start()
    try:
        box = began("pilotwire", "site", "run", str(file), "--data", str(tmp_path), "--json")
        line = box.until("all six charge", all_charge)
        assert wire.cars() > 0
        wire.longest_over_s = 0.0  # before anybody was told anything each had what it was delivered with

        chargers["bay-2"].kill()
        meter.kill()
        wire.building_ma = SIDE_LOST_MA - 500
        line = box.until("a dead meter is seen", lambda line: ("grid", "meter_lost") in marks(line))
        # All are lowered at once: what is commanded now leaves room for the most that the building takes.
        assert given(line) <= FUSE_MA - SIDE_LOST_MA
        meter.begin()
        wire.building_ma = 10_000
        line = box.until("a dead charger is seen", lambda line: lost(line) == {"bay-2"})
        assert all(each["value"] >= FAILSAFE_MA for name, each in line["evses"].items() if name != "bay-2")

        box.kill()
        chargers["bay-2"].begin()
        box.begin()
        line = box.until("the box is back, and all with it", all_charge)
        assert given(line) <= FUSE_MA - wire.building_ma + 1_000

        box.child.terminate()
        assert box.child.wait(PATIENCE_S) == 0, "".join(box.said[-5:])
    finally:
        wire.end()
    assert wire.longest_over_s < REACTION_S
