"""Starting a server, loading it from another process, and reading what it cost from /proc.

The server is pinned to core 0 and the load to core 1, so that what is measured is one core's work; rates are per
CPU-second (user + system, all threads and children of the server), which shared cores disturb least.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

ROOT = Path(__file__).resolve().parent.parent
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
"""Of servers and loads: modules are compiled once, as pip leaves them, not at each start."""


def _pin(core: int) -> None:
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {cores[core % len(cores)]})


def cpu_seconds(process: psutil.Process) -> float:
    """User and system time of the process and its children, in seconds."""
    total = 0.0
    for each in [process, *process.children(recursive=True)]:
        times = each.cpu_times()
        total += times.user + times.system
    return total


def wait_for_rest(process: psutil.Process, limit_s: float = 120) -> None:
    """Until what the server does by itself after its start (templates, alarms, reports) is done."""
    end = time.monotonic() + limit_s
    quiet = 0  # some of it begins seconds after the start, so one quiet moment is not the end
    while time.monotonic() < end:
        before = cpu_seconds(process)
        time.sleep(1.5)
        quiet = quiet + 1 if cpu_seconds(process) - before < 0.1 else 0
        if quiet == 2:
            return
    raise RuntimeError(f"the server is still at work by itself {limit_s:.0f} s after its start")


def rss(process: psutil.Process) -> int:
    """Resident memory in bytes, children included."""
    return sum(each.memory_info().rss for each in [process, *process.children(recursive=True)])


@contextmanager
def server(command: Sequence[str], *ports: int, timeout: float = 30.0, quiet: bool = False) -> Iterator[psutil.Process]:
    """A server process, up when all `ports` answer, pinned to core 0, ended by its own pid.

    All of them, so that nothing of its start is counted as serving.
    """
    child = subprocess.Popen(
        [sys.executable, *command],
        cwd=ROOT,
        env=ENVIRONMENT,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL if quiet else None,
        preexec_fn=lambda: _pin(0),
    )
    try:
        for each in ports:
            wait_for_port(each, timeout, child)
        yield psutil.Process(child.pid)
    finally:
        child.send_signal(signal.SIGTERM)
        try:
            child.wait(15)
        except subprocess.TimeoutExpired:
            child.kill()
            child.wait()


def wait_for_port(port: int, timeout: float, child: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + timeout
    while time.monotonic() < end:
        if child.poll() is not None:
            raise RuntimeError(f"the server ended with status {child.returncode} before it listened")
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.05)
        else:
            return
    raise RuntimeError(f"nothing listens on port {port} after {timeout} s")


class Load:
    """The load process (see `bench.load`): read its lines as they come."""

    def __init__(self, *arguments: str | int | float) -> None:
        self._child = subprocess.Popen(
            [sys.executable, "-m", "bench.load", *map(str, arguments)],
            cwd=ROOT,
            env=ENVIRONMENT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            preexec_fn=lambda: _pin(1),
        )

    def line(self) -> dict[str, Any]:
        assert self._child.stdout is not None
        text = self._child.stdout.readline()
        if not text:
            raise RuntimeError(f"the load ended with status {self._child.wait()}")
        return json.loads(text)

    def finish(self) -> dict[str, Any]:
        """Let an idle load go and return the last line of any load."""
        assert self._child.stdin is not None and self._child.stdout is not None
        if not self._child.stdin.closed:
            try:
                self._child.stdin.write("\n")
                self._child.stdin.close()
            except BrokenPipeError:
                pass
        last = [line for line in self._child.stdout.read().splitlines() if line]
        self._child.wait(30)
        return json.loads(last[-1])


def closed_loop(process: psutil.Process, url: str, *more: str, stations: int, seconds: float) -> dict[str, Any]:
    """Capacity under a closed loop: the load's report with `per_cpu_s`, answered messages per CPU-second."""
    wait_for_rest(process)
    load = Load(url, "closed", "--stations", stations, "--seconds", seconds, *more)
    load.line()
    load.line()
    before = cpu_seconds(process)
    report = load.line()
    spent = cpu_seconds(process) - before
    load.finish()
    if report["errors"] or report["lost"]:
        raise RuntimeError(f"not every message was answered: {report}")
    report["per_cpu_s"] = report["answered"] / spent
    report["per_wall_s"] = report["answered"] / seconds
    return report
