"""A disk that loses what was not synced, from the system calls of a real run.

A program is run under strace. Its writes to files are replayed into a model of the disk in which a write counts only
once an fsync or fdatasync of that file, begun after the write, has returned, and a deletion once the folder is synced.
The lines that the program writes to its standard output are its answers: at any of them the power may go, and
`Trace.disk_at` says what the disk then holds. Writes that were not yet synced may have reached the disk or not, each by
itself; a seed decides.
"""

from __future__ import annotations

import random
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

CALLS = "pwrite64,write,fdatasync,fsync,ftruncate,unlink"

_LINE = re.compile(r"^(\d+) +(.*)$")
_CALL = re.compile(r"^(\w+)\((\d+)<((?:[^>\\]|\\.)*)>(.*)$", re.S)
_UNLINK = re.compile(r'^unlink\("((?:\\x[0-9a-f]{2})*)"\) += 0')
_RESUMED = re.compile(r"^<\.\.\. (\w+) resumed>.*\) += (-?\d+)")
_DONE = re.compile(r"\) += (-?\d+)")
_BUFFER = re.compile(r'^, "((?:\\x[0-9a-f]{2})*)"(\.\.\.)?, \d+(?:, (\d+))?')


def available() -> bool:
    """True when programs can be traced here."""
    if shutil.which("strace") is None:
        return False
    return subprocess.run(["strace", "-o", "/dev/null", "true"], capture_output=True, check=False).returncode == 0


class Step(NamedTuple):
    """What happened, in order of its end: write (path, offset, data), truncate, unlink, sync, answer (text)."""

    kind: str
    path: str
    offset: int
    data: bytes
    begun: int
    """The number of the step before which it began (for a sync: what was written later is not covered)."""


class Trace:
    """What a program did to the disk and what it answered."""

    def __init__(self, text: str, folder: Path) -> None:
        self.steps: list[Step] = []
        self._folder = str(folder)
        open_calls: dict[str, tuple[str, str, int, bytes, int]] = {}
        for line in text.splitlines():
            if (match := _LINE.match(line)) is None:
                continue
            thread, rest = match.groups()
            if (resumed := _RESUMED.match(rest)) is not None:
                call = open_calls.pop(thread, None)
                if call is not None and int(resumed[2]) >= 0:
                    self._add(call)
                continue
            if (unlinked := _UNLINK.match(rest)) is not None:
                path = _unhex(unlinked[1]).decode()
                if path.startswith(self._folder):
                    self._add(("unlink", path, 0, b"", len(self.steps)))
                continue
            if (call_match := _CALL.match(rest)) is None:
                continue
            call = self._parse(*call_match.groups())
            if call is None:
                continue
            if rest.endswith("<unfinished ...>"):
                open_calls[thread] = call
            elif (done := _DONE.search(rest)) is not None and int(done[1]) >= 0:
                self._add(call)

    def _parse(self, name: str, descriptor: str, path: str, rest: str) -> tuple[str, str, int, bytes, int] | None:
        path = _unhex(path).decode()
        begun = len(self.steps)
        if name in ("write", "pwrite64"):
            buffer = _BUFFER.match(rest)
            assert buffer is not None, rest[:200]
            assert not buffer[2], "strace cut a buffer short"
            data = _unhex(buffer[1])
            if name == "write":
                return ("answer", "", 0, data, begun) if descriptor == "1" else None
            return ("write", path, int(buffer[3]), data, begun) if path.startswith(self._folder) else None
        if not path.startswith(self._folder):
            return None
        if name == "ftruncate":
            size = re.match(r", (\d+)", rest)
            assert size is not None
            return ("truncate", path, int(size[1]), b"", begun)
        return ("sync", path, 0, b"", begun)

    def _add(self, call: tuple[str, str, int, bytes, int]) -> None:
        self.steps.append(Step(*call))

    @property
    def answers(self) -> list[int]:
        """The places of the answers among the steps."""
        return [place for place, step in enumerate(self.steps) if step.kind == "answer"]

    def answered(self, upto: int) -> list[str]:
        """The lines answered up to and including step `upto`."""
        text = b"".join(step.data for step in self.steps[: upto + 1] if step.kind == "answer")
        return text.decode().splitlines()

    def disk_at(self, upto: int, target: Path, seed: int) -> None:
        """Write into `target` what the disk holds if the power goes right after step `upto`."""
        chance = random.Random(seed)
        files: dict[str, bytearray] = {}
        waiting: dict[str, list[tuple[int, Step]]] = {}
        gone: set[str] = set()
        for place, step in enumerate(self.steps[: upto + 1]):
            if step.kind in ("write", "truncate"):
                gone.discard(step.path)
                waiting.setdefault(step.path, []).append((place, step))
            elif step.kind == "unlink":
                gone.add(step.path)
            elif step.path == self._folder:  # a deletion counts once the folder is synced
                for path in gone:
                    files.pop(path, None)
                    waiting.pop(path, None)
                gone.clear()
            elif step.kind == "sync":
                kept = []
                for written, one in waiting.get(step.path, []):
                    if written < step.begun:
                        _apply(files.setdefault(step.path, bytearray()), one)
                    else:
                        kept.append((written, one))
                waiting[step.path] = kept
        for path, rest in waiting.items():
            for _, one in rest:
                if seed and chance.random() < 0.5:
                    _apply(files.setdefault(path, bytearray()), one)
        target.mkdir(parents=True)
        for path, content in files.items():
            (target / Path(path).name).write_bytes(content)


def _unhex(text: str) -> bytes:
    if "\\x" not in text:
        return text.encode()
    return bytes.fromhex(text.replace("\\x", ""))


def _apply(content: bytearray, step: Step) -> None:
    if step.kind == "truncate":
        del content[step.offset :]
        content.extend(bytes(step.offset - len(content)))
        return
    end = step.offset + len(step.data)
    if len(content) < end:
        content.extend(bytes(end - len(content)))
    content[step.offset : end] = step.data


def trace(program: str, arguments: list[str], folder: Path, log: Path) -> Trace:
    """Run a Python program under strace and read what it did to the files in `folder`."""
    subprocess.run(
        [
            *("strace", "-f", "-y", "-xx", "-s", "2000000", "-e", f"trace={CALLS}", "-o", str(log)),
            *(sys.executable, "-c", program, *arguments),
        ],
        check=True,
        timeout=120,
        stdout=subprocess.DEVNULL,
    )
    return Trace(log.read_text(), folder)
