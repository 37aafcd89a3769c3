"""`pilotwire site run` as a process over Modbus devices of another one: a charger is lost, comes back, and the end."""

from __future__ import annotations

import contextlib
import json
import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from bench.site_plant import site_text

from pilotwire.cli.main import main

ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
PATIENCE_S = 90


class Process:
    """A process whose lines can be waited for."""

    def __init__(self, *command: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=ROOT, env=ENVIRONMENT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        self.lines: list[str] = []
        self._new: queue.Queue[str] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._new.put(line)

    def until(self, wanted: Callable[[dict[str, Any]], Any]) -> dict[str, Any]:
        """The first line of JSON from now on that is so."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                line = self._new.get(timeout=1)
                self.lines.append(line)
                if line.startswith("{") and wanted(found := json.loads(line)):
                    return found
        raise AssertionError("".join(self.lines[-2:]))

    def end(self) -> str:
        """SIGTERM, and all that it had to say."""
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(PATIENCE_S)
        return "".join(self.lines)


@contextlib.contextmanager
def running(*command: str) -> Iterator[Process]:
    made = Process(*command)
    try:
        yield made
    finally:
        if made.process.poll() is None:
            made.process.kill()
            made.process.wait()


def marks(line: dict[str, Any]) -> set[tuple[str, str]]:
    return {(mark["where"], mark["code"]) for mark in line["marks"]}


def silent(line: dict[str, Any]) -> set[tuple[str, str]]:
    """All four chargers, once each of them is lost in one way or the other; empty before."""
    found = {(where, code) for where, code in marks(line) if code in ("offline", "unanswered")}
    return found if {where for where, _ in found} == {f"bay-{at}" for at in range(1, 5)} else set()


def values(line: dict[str, Any]) -> dict[str, int]:
    return {id: each["value"] for id, each in line["evses"].items()}


def test_devices_go_and_come_back_and_the_end_is_in_order(tmp_path: Path) -> None:
    file = tmp_path / "site.yaml"
    with running("bench.site_plant", "4") as plant:
        ports = plant.until(lambda _: True)
        file.write_text(site_text(ports, id="four", log_s=1))
        with running("pilotwire", "site", "run", str(file), "--data", str(tmp_path), "--json") as site:
            full = site.until(lambda line: not line["marks"] and all(each > 6_000 for each in values(line).values()))
            assert set(full["evses"]) == {f"bay-{at}" for at in range(1, 5)}
            plant.process.kill()  # all of it at once: meter and chargers
            plant.process.wait()
            lost = site.until(lambda line: marks(line) >= {("grid", "meter_lost"), *silent(line)} and silent(line))
            assert set(values(lost).values()) == {6_000}, "what they fall back to is kept free, and no more"
            with running("bench.site_plant", "4", str(ports["meter"]), *map(str, ports["chargers"])) as again:
                again.until(lambda _: True)
                back = site.until(
                    lambda line: not line["marks"] and all(each > 6_000 for each in values(line).values())
                )
                assert back["counts"]["failures"] == 0
                said = site.end()
                assert site.process.returncode == 0, said
                assert "Traceback" not in said
    assert main(["site", "replay", str(tmp_path / "four")]) == 0, "each decision can be made again"
