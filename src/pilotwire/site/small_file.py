"""Small SQLite files of a site's folder: opened, looked over, and begun anew where they are damaged."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from pathlib import Path


def open_whole(path: Path, *tables: str) -> tuple[sqlite3.Connection, str]:
    """The file with these tables (`CREATE TABLE IF NOT EXISTS`), and "" or in words why an older one was put aside as
    `.damaged`. Raises sqlite3.Error where no file can be made there.

    No fsync at each commit: after a power cut the file is whole, and a few seconds older. Chargers without a word from
    us have fallen back by then.
    """
    return opened_or_anew(path, lambda: _opened(path, tables))


def opened_or_anew(path: Path, opened: Callable[[], sqlite3.Connection]) -> tuple[sqlite3.Connection, str]:
    """As `open_whole`, by a way of its own to open and look over, which raises sqlite3.DatabaseError for a damaged one.
    An OperationalError (it is locked, the disk is full) says nothing of the file, and is raised."""
    try:
        return opened(), ""
    except sqlite3.DatabaseError as error:
        if not path.exists() or isinstance(error, sqlite3.OperationalError):
            raise
        why = put_aside(path, error)
        return opened(), why


def put_aside(path: Path, error: sqlite3.DatabaseError) -> str:
    """A damaged file, which nobody has open, becomes `.damaged`; in words why."""
    path.replace(path.with_name(path.name + ".damaged"))
    for ending in ("-wal", "-shm"):
        path.with_name(path.name + ending).unlink(missing_ok=True)
    return f"{path} is damaged ({error}) and was put aside"


def _opened(path: Path, tables: tuple[str, ...]) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        for table in tables:
            db.execute(table)
        if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages do not fit together")
    except BaseException:
        db.close()
        raise
    return db
