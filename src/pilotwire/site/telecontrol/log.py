"""The intervention log: SQLite, rows that are only ever added, on the disk before the next thing happens."""

from __future__ import annotations

import csv
import io
import sqlite3
from collections.abc import Iterable, Mapping
from pathlib import Path

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.steering import Intervention
from pilotwire.domain.telecontrol import Opened, Record, Step, merged, reconcile

__all__ = ["COLUMNS", "InterventionLog"]

_SCHEMA = """
CREATE TABLE IF NOT EXISTS rows (
    seq INTEGER PRIMARY KEY, number INTEGER NOT NULL, what TEXT NOT NULL, id TEXT NOT NULL, steered_ms INTEGER NOT NULL,
    at_ms INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE UNIQUE INDEX IF NOT EXISTS once ON rows (number, what) WHERE what != 'resumed';
CREATE INDEX IF NOT EXISTS told ON rows (id, steered_ms);
CREATE TRIGGER IF NOT EXISTS unchanged BEFORE UPDATE ON rows BEGIN SELECT RAISE(ABORT, 'rows are only added'); END;
CREATE TRIGGER IF NOT EXISTS kept BEFORE DELETE ON rows BEGIN SELECT RAISE(ABORT, 'rows are only added'); END;
CREATE TABLE IF NOT EXISTS memory (key TEXT PRIMARY KEY, value BLOB NOT NULL) WITHOUT ROWID;
"""
_ENCODER = msgspec.json.Encoder()
_STEP = msgspec.json.Decoder(Step)
COLUMNS = (
    "number", "order", "source", "kind", "node", "limit_w", "from", "until", "before_w", "after_w", "highest_w",
    "end_seen",
)  # fmt: skip


class InterventionLog:
    """The file. One process writes. Also keeps what telecontrol has to know after a restart, see `remember`."""

    @classmethod
    def reading(cls, path: Path) -> InterventionLog:
        """Of a site that may be running, to read `records` alone. Raises sqlite3.Error."""
        return cls(path, _read_only=True)

    def __init__(self, path: Path | str, *, _read_only: bool = False) -> None:
        """Raises sqlite3.Error where it cannot be opened: a log that the law asks for is never put aside in silence."""
        if _read_only:
            self._db = sqlite3.connect(f"{Path(path).absolute().as_uri()}?mode=ro", uri=True, timeout=5)
            return
        self._db = sqlite3.connect(path, isolation_level=None, timeout=5)
        try:
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_SCHEMA)
            if self._db.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its pages do not fit together")
            self._opened: Mapping[str, Opened] = self._open_records()
            (self._number,) = self._db.execute("SELECT coalesce(max(number), 0) + 1 FROM rows").fetchone()
        except BaseException:
            self._db.close()
            raise
        self._first = True

    def note(self, going: Mapping[str, Intervention], ended: Iterable[Intervention], utc_ms: int) -> int:
        """What steering says after a tick: `SteeringState.interventions` and `Steering.ended`. Cheap when nothing is
        new. How many rows were added; they are on the disk then. Raises sqlite3.Error, and can be called again."""
        found = reconcile(self._opened, going, ended, self._told, self._number, utc_ms, first=self._first)
        if found.steps:
            self._db.execute("BEGIN IMMEDIATE")
            try:
                for step in found.steps:
                    each = step.intervention
                    self._db.execute(
                        "INSERT INTO rows (number, what, id, steered_ms, at_ms, body) VALUES (?, ?, ?, ?, ?, ?)",
                        (step.number, step.what, each.id, each.from_ms, step.at_ms, _ENCODER.encode(step)),
                    )
                self._db.execute("COMMIT")
            except BaseException:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")
                raise
            self._number = max(self._number, 1 + max(step.number for step in found.steps))
        self._opened, self._first = found.opened, False
        return len(found.steps)

    def records(self, from_ms: int | None = None, until_ms: int | None = None) -> list[Record]:
        """Those that were going on at any time from `from_ms` until before `until_ms` (UTC), oldest first."""
        rows: dict[int, list[Step]] = {}
        for (body,) in self._db.execute("SELECT body FROM rows ORDER BY seq"):
            step = _STEP.decode(body)
            rows.setdefault(step.number, []).append(step)
        found = [record for steps in rows.values() if (record := merged(steps)) is not None]
        return sorted(
            (
                each
                for each in found
                if (until_ms is None or each.from_ms < until_ms)
                and (from_ms is None or each.until_ms is None or each.until_ms > from_ms)
            ),
            key=lambda each: (each.from_ms, each.number),
        )

    def export(self, from_ms: int | None = None, until_ms: int | None = None) -> str:
        """The same as CSV with `COLUMNS`: times in UTC, powers in whole W, nothing where nothing is known; `end_seen`
        0: it was over when we came back."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for each in self.records(from_ms, until_ms):
            until = "" if each.until_ms is None else to_rfc3339(each.until_ms)
            powers = (each.before_mw, each.after_mw, each.highest_mw)
            writer.writerow(
                (each.number, _text(each.id), _text(each.source), each.kind, _text(each.node), _watts(each.limit_mw),
                 to_rfc3339(each.from_ms), until, *map(_watts, powers), "" if not until else int(not each.uncertain))
            )  # fmt: skip
        return out.getvalue()

    def remember(self, key: str, value: bytes) -> None:
        """Something for after a restart, on the disk when this returns. Raises sqlite3.Error."""
        self._db.execute("INSERT OR REPLACE INTO memory VALUES (?, ?)", (key, value))

    def remembered(self, key: str) -> bytes | None:
        """What was remembered last."""
        found = self._db.execute("SELECT value FROM memory WHERE key = ?", (key,)).fetchone()
        return None if found is None else bytes(found[0])

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def _told(self, id: str, steered_ms: int) -> bool:
        row = self._db.execute("SELECT 1 FROM rows WHERE id = ? AND steered_ms = ?", (id, steered_ms)).fetchone()
        return row is not None

    def _open_records(self) -> dict[str, Opened]:
        found: dict[str, Opened] = {}
        query = "SELECT body FROM rows WHERE number NOT IN (SELECT number FROM rows WHERE what = 'end') ORDER BY seq"
        for (body,) in self._db.execute(query):
            step = _STEP.decode(body)
            each = step.intervention
            if step.what == "begin":
                found[each.id] = Opened(
                    step.number, each.id, each.source, each.kind, each.node, each.limit_mw, each.from_ms
                )
            elif each.id in found:
                followed = found[each.id].followed or step.what == "followed"
                found[each.id] = msgspec.structs.replace(found[each.id], steered_ms=each.from_ms, followed=followed)
        return found


def _watts(mw: int | None) -> int | str:
    return "" if mw is None else (mw + 500) // 1_000


def _text(value: str) -> str:
    """A spreadsheet must not take a name for a formula."""
    return f"'{value}" if value.startswith(("=", "+", "-", "@", "\t", "\r")) else value
