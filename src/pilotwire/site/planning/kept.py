"""What the planner keeps in a small SQLite file: what it has learned, the last plans with all they rest on, and what
was planned of each quarter of an hour, for plan against outcome.

A file that is torn is put aside and begun anew: what is lost is habits, never a limit.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path
from typing import NamedTuple

import msgspec

from .learned import FORMAT, Learned
from .outlook import quarters_of
from .record import answer_of, record_of

PLANS = 48
"""Four hours of plans can be made again."""
QUARTERS_MS = 400 * 86_400_000
_ENCODER = msgspec.msgpack.Encoder()
_LEARNED = msgspec.msgpack.Decoder(Learned)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value BLOB, sum BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS plans (made_ms INTEGER PRIMARY KEY, record BLOB, answer BLOB)",
    "CREATE TABLE IF NOT EXISTS quarters (from_ms INTEGER PRIMARY KEY, until_ms INTEGER, grid_mw INTEGER, "
    "cars_mw INTEGER, battery_mw INTEGER)",
)


class Planned(NamedTuple):
    """What was planned of a step when it began, mW."""

    from_ms: int
    until_ms: int
    grid_mw: int
    cars_mw: int
    battery_mw: int


class Kept:
    """The file `planning.db` of a site's folder; `runner.Keep`. One process writes, others may read."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error where no file can be made there."""
        self.set_aside = ""
        """Why an older file was put aside."""
        try:
            self._db = _opened(path)
        except sqlite3.DatabaseError as error:
            if not path.exists() or isinstance(error, sqlite3.OperationalError):
                raise
            self.set_aside = f"{path} is damaged ({error}) and was put aside"
            path.replace(path.with_name(path.name + ".damaged"))
            for ending in ("-wal", "-shm"):
                path.with_name(path.name + ending).unlink(missing_ok=True)
            self._db = _opened(path)

    def close(self) -> None:
        self._db.close()

    def learned(self, learned: Learned) -> None:
        """See `runner.Keep`."""
        data = _ENCODER.encode(learned)
        self._db.execute("INSERT OR REPLACE INTO memory VALUES ('learned', ?, ?)", (data, _sum(data)))

    def load(self) -> tuple[Learned, str]:
        """What was learned, and why it is empty though there was something; "" else."""
        row = self._db.execute("SELECT value, sum FROM memory WHERE key = 'learned'").fetchone()
        if row is None:
            return Learned(), ""
        if not isinstance(row[0], bytes) or row[1] != _sum(row[0]):
            return Learned(), "what the planner has learned is damaged: it begins anew"
        try:
            found = _LEARNED.decode(row[0])
        except (msgspec.MsgspecError, RecursionError) as error:
            return Learned(), f"what the planner has learned is of another version ({error}): it begins anew"
        if found.format != FORMAT:
            return Learned(), f"what the planner has learned has format {found.format}: it begins anew"
        return found, ""

    def made(self, record: bytes, answer: bytes) -> None:
        """See `runner.Keep`."""
        plan = answer_of(answer).plan
        assert plan is not None  # only what has been checked comes here
        with self._db:
            self._db.execute("BEGIN")
            self._db.execute("INSERT OR REPLACE INTO plans VALUES (?, ?, ?)", (plan.now_ms, record, answer))
            self._db.execute(
                "DELETE FROM plans WHERE made_ms NOT IN (SELECT made_ms FROM plans ORDER BY made_ms DESC LIMIT ?)",
                (PLANS,),
            )
            rows = quarters_of(record_of(record), plan)
            # What lies in the past stays as it was planned when it began; what lies ahead is as the newest plan has it.
            ahead = [row for row in rows if row[0] >= plan.now_ms]
            begun = [row for row in rows if row[0] < plan.now_ms]
            self._db.executemany("INSERT OR IGNORE INTO quarters VALUES (?, ?, ?, ?, ?)", begun)
            self._db.execute("DELETE FROM quarters WHERE from_ms >= ?", (plan.now_ms,))
            self._db.executemany("INSERT OR REPLACE INTO quarters VALUES (?, ?, ?, ?, ?)", ahead)
            self._db.execute("DELETE FROM quarters WHERE from_ms < ?", (plan.now_ms - QUARTERS_MS,))

    def planned(self, from_ms: int, until_ms: int) -> list[Planned]:
        """Steps that overlap with that time, oldest first."""
        rows = self._db.execute(
            "SELECT * FROM quarters WHERE from_ms < ? AND until_ms > ? ORDER BY from_ms LIMIT 50000",
            (until_ms, from_ms),
        )
        return [Planned(*row) for row in rows]


def last_plan(path: Path, before_ms: int | None = None) -> tuple[bytes, bytes] | None:
    """Record and answer of the last plan (made no later than that); None where there is none. Reads only.

    Raises sqlite3.Error for a file that cannot be read.
    """
    if not path.exists():
        return None
    db = sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=5)
    try:
        row = db.execute(
            "SELECT record, answer FROM plans WHERE made_ms <= ? ORDER BY made_ms DESC LIMIT 1",
            (1 << 62 if before_ms is None else before_ms,),
        ).fetchone()
    finally:
        db.close()
    return None if row is None else (row[0], row[1])


def _opened(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path, isolation_level=None, timeout=5)
    try:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=NORMAL")
        for table in _TABLES:
            db.execute(table)
        if db.execute("PRAGMA quick_check").fetchone() != ("ok",):
            raise sqlite3.DatabaseError("its pages do not fit together")
    except BaseException:
        db.close()
        raise
    return db


def _sum(data: bytes) -> bytes:
    return blake2b(data, digest_size=16, person=b"learned").digest()
