"""What a station remembers across restarts: a small key-value shelf, written in atomic batches.

The keys are the station's own business (`pilotwire.station.program`). A write has returned only when a killed process
would find it again; surviving a power cut of the host is not promised (the station is simulated, its CSMS is not).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class StationStorage(Protocol):
    """One station's non-volatile memory."""

    def load(self) -> dict[str, bytes]:
        """Everything, as the last complete write left it."""
        ...

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        """All of `changes` or nothing; None deletes a key."""
        ...


class MemoryStorage:
    """Survives a restart of the station program, not of the process."""

    __slots__ = ("_data",)

    def __init__(self) -> None:
        self._data: dict[str, bytes] = {}

    def load(self) -> dict[str, bytes]:
        return dict(self._data)

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        for key, value in changes.items():
            if value is None:
                self._data.pop(key, None)
            else:
                self._data[key] = value


class SqliteShelf:
    """One file for a whole fleet. A write costs one small transaction in WAL mode without an fsync."""

    def __init__(self, path: Path | str, *, durable: bool = False) -> None:
        """`durable`: a power cut leaves the file whole, and a few writes older; and a file whose pages do not fit
        together is refused. Raises sqlite3.Error."""
        self._db = sqlite3.connect(path, isolation_level=None)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute(f"PRAGMA synchronous={'NORMAL' if durable else 'OFF'}")
            self._db.execute(
                "CREATE TABLE IF NOT EXISTS memory"
                " (station TEXT, key TEXT, value BLOB, PRIMARY KEY (station, key)) WITHOUT ROWID"
            )
            if durable and self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its pages do not fit together")
        except BaseException:
            self._db.close()
            raise

    def open(self, station: str) -> SqliteStorage:
        return SqliteStorage(self._db, station)

    def close(self) -> None:
        self._db.close()


class SqliteStorage:
    """One station's part of a `SqliteShelf`."""

    __slots__ = ("_db", "_station")

    def __init__(self, db: sqlite3.Connection, station: str) -> None:
        self._db = db
        self._station = station

    def load(self) -> dict[str, bytes]:
        return dict(self._db.execute("SELECT key, value FROM memory WHERE station = ?", (self._station,)))

    def write(self, changes: Mapping[str, bytes | None]) -> None:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            for key, value in changes.items():
                if value is None:
                    self._db.execute("DELETE FROM memory WHERE station = ? AND key = ?", (self._station, key))
                else:
                    self._db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?, ?)", (self._station, key, value))
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")
