"""`run.json` in the data directory: how commands on this machine find the server that is running on it.

It holds the API's address and a key that is made at each start, and is readable by its owner alone. The server keeps
the file locked while it runs: a process id would be given to somebody else after a crash.
"""

from __future__ import annotations

import fcntl
import os
import ssl
from contextlib import suppress
from pathlib import Path

import msgspec

from pilotwire.core.errors import ConfigError, RemoteError

_held: dict[Path, int] = {}
"""Open descriptors of the files that this process keeps locked."""


class RunFile(msgspec.Struct):
    pid: int
    http: str
    """Base URL of the API."""
    key: str
    """An API key that is valid while this process runs."""
    certificate: str = ""
    """The file of the certificate that it shows there; empty where `http` is not encrypted."""

    def trust(self) -> ssl.SSLContext | bool:
        """Whom to believe at that address: that certificate alone, as it is now. Raises ConfigError."""
        if not self.certificate:
            return True
        from pilotwire.crypto import pem
        from pilotwire.crypto.trust import fingerprints, server_trust

        try:
            shown = pem.blocks(Path(self.certificate).read_text("ascii"))[0]
        except (OSError, ValueError, RemoteError) as error:
            raise ConfigError(f"cannot read the certificate of the running server: {error}") from error
        return server_trust(fingerprint=fingerprints(shown).public_key)


def write(data: Path, run: RunFile) -> None:
    """Say that this process serves `data`. It appears whole and locked."""
    path = data / "run.json"
    draft = data / f".run.json.{os.getpid()}"
    handle = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_TRUNC, 0o600)
    os.write(handle, msgspec.json.encode(run))
    fcntl.flock(handle, fcntl.LOCK_EX)
    draft.replace(path)
    _held[path] = handle


def read(data: Path) -> RunFile | None:
    """The server that is running over this data directory, or None. A file left by a crash is not believed."""
    try:
        with (data / "run.json").open("rb") as file:
            with suppress(BlockingIOError):
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
                return None
            return msgspec.json.decode(file.read(), type=RunFile)
    except (OSError, msgspec.DecodeError):
        return None


def remove(data: Path) -> None:
    """This process serves `data` no longer."""
    path = data / "run.json"
    path.unlink(missing_ok=True)
    handle = _held.pop(path, None)
    if handle is not None:
        os.close(handle)
