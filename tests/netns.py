"""Two network namespaces joined by a cable, with real processes in them.

    with cable() as (evse, ev):                                 "evse0" with fe80::1 and "ev0" with fe80::2, up
        with evse.python("tests/…/end.py", "evse0") as station, ev.python("tests/…/end.py", "ev0") as vehicle:
            vehicle.until(lambda said: said.get("event") == "Parted")
            station.say({"stop": True})

A namespace lives as long as the process that holds it, which ends when this one does: nothing is left behind. What runs
within speaks in lines of JSON, both ways. Needs root, `ip`, `unshare` and `nsenter`; where they lack, tests fail and
say so, they are not skipped.
"""

from __future__ import annotations

import contextlib
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
TOOLS = ("ip", "unshare", "nsenter")
PATIENCE_S = 90.0
URGENT = -10
"""Niceness of what speaks in real time: its timers are the standards' own, and the machine may be busy."""


class NoNamespaces(RuntimeError):
    """Network namespaces cannot be made here."""


def check() -> None:
    """Raises NoNamespaces with what to do about it."""
    missing = [tool for tool in TOOLS if shutil.which(tool) is None]
    if missing:
        raise NoNamespaces(f"tests over network namespaces need {', '.join(missing)} (iproute2, util-linux)")
    if os.geteuid() != 0:
        raise NoNamespaces("tests over network namespaces need root: run them as root, or in a container")


class Talker:
    """A process that says JSON lines; others of its words are kept for when something goes wrong."""

    def __init__(self, command: list[str], name: str) -> None:
        environment = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "PYTHONUNBUFFERED": "1"}
        self.name = name
        self.said: list[Any] = []
        self.words: list[str] = []
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            command, cwd=ROOT, env=environment, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )  # fmt: skip
        with contextlib.suppress(OSError):  # it may have ended already, or the right may lack
            os.setpriority(os.PRIO_PROCESS, self._process.pid, URGENT)
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.put(line)
        self._lines.put(None)

    def say(self, message: Any) -> None:
        """One line to its standard input."""
        assert self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except OSError:
            raise AssertionError(f"{self.name} is told nothing any more\n{self.account()}") from None

    def until(self, wanted: Callable[[Any], bool], patience_s: float = PATIENCE_S) -> Any:
        """The first thing said from now on that is `wanted`. Raises AssertionError when it does not come."""
        end = time.monotonic() + patience_s
        while True:
            try:
                line = self._lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise AssertionError(f"{self.name} did not say it in {patience_s:g} s\n{self.account()}") from None
            if line is None:
                raise AssertionError(f"{self.name} ended with {self._process.wait()}\n{self.account()}")
            if not line.startswith(("{", "[")):
                self.words.append(line.rstrip())
                continue
            said = json.loads(line)
            self.said.append(said)
            if wanted(said):
                return said

    def account(self) -> str:
        """What it has said, to be shown when a test fails."""
        return "\n".join([f"-- {self.name}", *(json.dumps(one)[:300] for one in self.said[-40:]), *self.words[-40:]])

    def __enter__(self) -> Talker:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(OSError):
            self._process.stdin.close()
        try:
            self._process.wait(5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._thread.join(5)
        assert self._process.stdout is not None
        self._process.stdout.close()


class Namespace:
    """One end of the cable."""

    def __init__(self, name: str) -> None:
        self.interface = f"{name}0"
        self.name = name
        # `cat` ends when this process does, and the namespace with it.
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sh", "-c", "echo in; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert self._holder.stdout is not None
        if self._holder.stdout.readline() != b"in\n":
            raise NoNamespaces("unshare --net does not work here: the tests need the right to make namespaces")
        self._enter = ["nsenter", f"--net=/proc/{self._holder.pid}/ns/net", "--"]

    @property
    def pid(self) -> int:
        """Of the process that holds it, as `ip link set … netns` wants it."""
        return self._holder.pid

    def run(self, *command: str) -> str:
        """A command within, to its end; its output. Raises subprocess.CalledProcessError."""
        return subprocess.run([*self._enter, *command], check=True, capture_output=True, text=True).stdout

    def python(self, script: str | Path, *arguments: str, python: str = sys.executable) -> Talker:
        """A Python program within: a path of this repository, and its arguments."""
        return Talker([*self._enter, python, str(ROOT / script), *arguments], self.name)

    def close(self) -> None:
        assert self._holder.stdin is not None and self._holder.stdout is not None
        self._holder.stdin.close()
        self._holder.wait(5)
        self._holder.stdout.close()


@contextlib.contextmanager
def cable(first: str = "evse", second: str = "ev") -> Iterator[tuple[Namespace, Namespace]]:
    """Two namespaces and a cable between them, both ends up. Raises NoNamespaces."""
    check()
    with contextlib.ExitStack() as stack:
        ends = []
        for name in (first, second):
            end = Namespace(name)
            stack.callback(end.close)
            ends.append(end)
        one, other = ends
        one.run(
            "ip", "link", "add", one.interface, "type", "veth",
            "peer", "name", other.interface, "netns", str(other.pid),
        )  # fmt: skip
        for place, end in enumerate(ends, 1):
            end.run("ip", "link", "set", "lo", "up")
            end.run("ip", "link", "set", end.interface, "addrgenmode", "none", "up")
            # Nobody else is on the cable: to look whether the address is taken would cost two seconds.
            end.run("ip", "address", "add", f"fe80::{place}/64", "dev", end.interface, "nodad")
        yield one, other
