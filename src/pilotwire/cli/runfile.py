"""`run.json` in the data directory: how commands on this machine find the server that is running on it.

It holds the API's address and a key that is made at each start, and is readable by its owner alone.
"""

from __future__ import annotations

import os
from pathlib import Path

import msgspec


class RunFile(msgspec.Struct):
    pid: int
    http: str
    """Base URL of the API."""
    key: str
    """An API key that is valid while this process runs."""


def write(data: Path, run: RunFile) -> None:
    path = data / "run.json"
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as file:
        file.write(msgspec.json.encode(run))


def read(data: Path) -> RunFile | None:
    """The server that is running over this data directory, or None. A file left by a crash is not believed."""
    try:
        run = msgspec.json.decode((data / "run.json").read_bytes(), type=RunFile)
        os.kill(run.pid, 0)
    except (OSError, msgspec.DecodeError):
        return None
    return run


def remove(data: Path) -> None:
    (data / "run.json").unlink(missing_ok=True)
