"""What the planner keeps in a small SQLite file: what it has learned, and the last plans with all that they rest on.

A file that is torn is put aside and begun anew: what is lost is habits, never a limit.
"""

from __future__ import annotations

import sqlite3
from hashlib import blake2b
from pathlib import Path

import msgspec

from ..small_file import open_whole
from .learned import FORMAT, Learned
from .record import answer_of

PLANS = 48
"""Four hours of plans can be made again."""
_ENCODER = msgspec.msgpack.Encoder()
_LEARNED = msgspec.msgpack.Decoder(Learned)
_TABLES = (
    "CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value BLOB, sum BLOB) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS plans (made_ms INTEGER PRIMARY KEY, record BLOB, answer BLOB)",
)


class Kept:
    """The file `planning.db` of a site's folder; `runner.Keep`. One process writes, others may read."""

    def __init__(self, path: Path) -> None:
        """Raises sqlite3.Error where no file can be made there."""
        self._db, self.set_aside = open_whole(path, *_TABLES)
        """`set_aside`: why an older file was put aside; "" where none was."""

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


def _sum(data: bytes) -> bytes:
    return blake2b(data, digest_size=16, person=b"learned").digest()
