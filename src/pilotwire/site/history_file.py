"""The file of a site's history: minutes, what EVSEs were given, demand windows, monthly peaks. SQLite, bounded.

Minutes hold sums (energy in µJ, which is mW·ms, and for how many ms it is known), so that rows of the same minute add
up: after a restart, after a clock that was set back, and where minutes are made quarter hours. Bounds are numbers of
rows and bytes, never ages: a clock that is wrong for a moment deletes nothing.
"""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from pilotwire.domain.seen import Change, Course, Peak, Step
from pilotwire.domain.steering.state import WindowSummary

from .small_file import opened_or_anew, put_aside

FORMAT = 1
MINUTE_MS = 60_000
QUARTER = 15
"""Minutes of what minutes become."""
FLOWS = ("grid", "pv", "battery", "cars", "building")
PLANNED = ("planned_grid", "planned_cars", "planned_battery")
MOST_STEPS = 3_000
MOST_CHANGES = 1_000
MOST_WINDOWS = 3_000
DAY_MINUTES = 1_440

_ENCODER = msgspec.msgpack.Encoder()
_WINDOW = msgspec.msgpack.Decoder(WindowSummary)
_SUMS = tuple(f"{flow}_{what}" for flow in FLOWS for what in ("uj", "ms"))
_ROW = ("at", *_SUMS, "highest", "soc", *PLANNED)
_TABLES = f"""
CREATE TABLE IF NOT EXISTS minute (
  at INTEGER PRIMARY KEY, span INTEGER NOT NULL DEFAULT 1,
  {", ".join(f"{name} INTEGER NOT NULL" for name in _SUMS)},
  highest INTEGER, soc INTEGER, {", ".join(f"{name} INTEGER" for name in PLANNED)}
);
CREATE INDEX IF NOT EXISTS minute_span ON minute (span, at);
CREATE TABLE IF NOT EXISTS change (
  id INTEGER PRIMARY KEY, at INTEGER NOT NULL, evse TEXT NOT NULL, unit TEXT NOT NULL, value INTEGER NOT NULL,
  code TEXT NOT NULL, words TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS change_of ON change (evse, at, id);
CREATE TABLE IF NOT EXISTS window (
  id TEXT NOT NULL, begin INTEGER NOT NULL, until INTEGER NOT NULL, known INTEGER NOT NULL, summary BLOB NOT NULL,
  PRIMARY KEY (id, begin)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS window_until ON window (until);
CREATE TABLE IF NOT EXISTS peak (
  id TEXT NOT NULL, month INTEGER NOT NULL, node TEXT NOT NULL, peak INTEGER NOT NULL, at INTEGER,
  PRIMARY KEY (id, month)
) WITHOUT ROWID;
"""
_ADD = (
    f"INSERT INTO minute ({', '.join(_ROW)}) VALUES ({', '.join('?' * len(_ROW))}) ON CONFLICT (at) DO UPDATE SET "  # noqa: S608
    + ", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)
    + ", highest = max(ifnull(highest, excluded.highest), ifnull(excluded.highest, highest))"
    + ", soc = ifnull(excluded.soc, soc)"
    + "".join(f", {name} = ifnull({name}, excluded.{name})" for name in PLANNED)
)
_THIN = f"""
INSERT INTO minute (at, span, {", ".join(_SUMS)}, highest, soc, {", ".join(PLANNED)})
SELECT min(at) / {QUARTER} * {QUARTER}, {QUARTER}, {", ".join(f"sum({name})" for name in _SUMS)}, max(highest),
  (SELECT last.soc FROM gone last WHERE last.soc IS NOT NULL AND last.at / {QUARTER} = gone.at / {QUARTER}
   ORDER BY last.at DESC LIMIT 1),
  {", ".join(f"CAST(round(avg({name})) AS INTEGER)" for name in PLANNED)}
FROM gone WHERE true GROUP BY gone.at / {QUARTER}
ON CONFLICT (at) DO UPDATE SET {", ".join(f"{name} = {name} + excluded.{name}" for name in _SUMS)},
  highest = max(ifnull(highest, excluded.highest), ifnull(excluded.highest, highest)),
  soc = ifnull(excluded.soc, soc){"".join(f", {name} = ifnull({name}, excluded.{name})" for name in PLANNED)}
"""  # noqa: S608


class Minute(msgspec.Struct):
    """Added to a minute. `at`: minutes since 1970; `uj` and `ms` in the order of FLOWS, `planned` of PLANNED."""

    at: int
    uj: list[int]
    ms: list[int]
    highest: int | None = None
    soc: int | None = None
    planned: tuple[int | None, int | None, int | None] = (None, None, None)


class Batch(NamedTuple):
    """What is written together, wholly or not at all."""

    minutes: Sequence[Minute] = ()
    changes: Sequence[Change] = ()
    windows: Sequence[WindowSummary] = ()
    peaks: Sequence[Peak] = ()


class Bounds(NamedTuple):
    """How much is kept. `minutes`: rows of a minute, older ones become quarter hours; `quarters`: rows of those."""

    minutes: int = 35 * DAY_MINUTES
    quarters: int = 400 * DAY_MINUTES // QUARTER
    megabytes: int = 100


class HistoryFile:
    """The file; one process at a time, and of that one thread at a time."""

    def __init__(self, path: Path, bounds: Bounds = Bounds()) -> None:  # noqa: B008 - a tuple
        """Raises sqlite3.Error where no file can be made there; a damaged one is put aside as `.damaged`."""
        self._path, self._bounds = path, bounds
        self._db, self.set_aside = opened_or_anew(path, self._open)
        """`set_aside`: why an older file was put aside; "" where none was."""

    def begin_anew(self, error: sqlite3.DatabaseError) -> None:
        """It has turned out to be damaged while it was used: what was in it is put aside."""
        with contextlib.suppress(sqlite3.Error):
            self._db.close()
        self.set_aside = put_aside(self._path, error)
        self._db = self._open()

    def _open(self) -> sqlite3.Connection:
        # The thread that writes is not the one that opens; `History` lets one thread at a time in.
        wal = self._path.with_name(self._path.name + "-wal")
        torn = wal.exists() and wal.stat().st_size > 0
        db = sqlite3.connect(self._path, isolation_level=None, timeout=5, check_same_thread=False)
        try:
            db.execute("PRAGMA auto_vacuum=INCREMENTAL")
            db.execute("PRAGMA journal_mode=WAL")
            # As in `store`: after a power cut the file is whole, and a little older.
            db.execute("PRAGMA synchronous=NORMAL")
            db.execute("PRAGMA cache_size=-1000")
            # After a clean end nothing has to be looked through, which takes its time with a large file.
            if torn and db.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError("its pages do not fit together")
            version = db.execute("PRAGMA user_version").fetchone()[0]
            if version not in (0, FORMAT):
                raise sqlite3.DatabaseError(f"it has format {version}, this program writes {FORMAT}")
            db.executescript(_TABLES)
            db.execute(f"PRAGMA user_version={FORMAT}")
        except BaseException:
            db.close()
            raise
        return db

    def close(self) -> None:
        self._db.close()

    # --- writing ----------------------------------------------------------------------------------------------------

    def write(self, batch: Batch) -> None:
        """All of it or nothing. A window that is told twice is kept as the one of which more was measured."""
        db = self._db
        db.execute("BEGIN IMMEDIATE")
        try:
            db.executemany(_ADD, [_row(each) for each in batch.minutes])
            db.executemany(
                "INSERT INTO change (at, evse, unit, value, code, words) VALUES (?, ?, ?, ?, ?, ?)",
                [(one.at_ms, one.evse, one.unit, one.value, one.code, one.words) for one in batch.changes],
            )
            db.executemany(
                "INSERT INTO window VALUES (?, ?, ?, ?, ?) ON CONFLICT (id, begin) DO UPDATE SET "
                "until = excluded.until, known = excluded.known, summary = excluded.summary "
                "WHERE excluded.known > known",
                [(one.id, one.from_ms, one.until_ms, one.known_wh, _ENCODER.encode(one)) for one in batch.windows],
            )
            db.executemany(
                "INSERT INTO peak VALUES (?, ?, ?, ?, ?) ON CONFLICT (id, month) DO UPDATE SET "
                "peak = excluded.peak, at = excluded.at, node = excluded.node "
                "WHERE excluded.peak > peak OR (excluded.peak = peak AND at IS NULL)",
                [(one.window, one.month, one.node, one.peak_mw, one.at_ms) for one in batch.peaks],
            )
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")

    def prune(self) -> None:
        """Makes quarter hours of the oldest minutes, and lets go of what is too much. In small transactions."""
        while self._thin():
            pass
        self._limit("minute", "at", f"span = {QUARTER}", self._bounds.quarters)
        self._limit("window", "until", "true", self._bounds.quarters)
        # What is most and matters least goes first.
        while self._bytes() > self._bounds.megabytes * 1_000_000:
            if not (self._oldest("change") or self._oldest("window") or self._oldest("minute")):
                break
        self._db.execute("PRAGMA incremental_vacuum")

    def _thin(self) -> bool:
        """A day of minutes at most; True while there is more."""
        db = self._db
        too_many = db.execute("SELECT count(*) FROM minute WHERE span = 1").fetchone()[0] - self._bounds.minutes
        if too_many <= 0:
            return False
        rows = db.execute(
            "SELECT at FROM minute WHERE span = 1 ORDER BY at LIMIT ?", (min(too_many, DAY_MINUTES),)
        ).fetchall()
        last = (rows[-1][0] // QUARTER + 1) * QUARTER
        db.execute("BEGIN IMMEDIATE")
        try:
            db.execute("CREATE TEMP TABLE gone AS SELECT * FROM minute WHERE span = 1 AND at < ?", (last,))
            db.execute("DELETE FROM minute WHERE span = 1 AND at < ?", (last,))
            db.execute(_THIN)
            db.execute("DROP TABLE gone")
        except BaseException:
            db.execute("ROLLBACK")
            raise
        db.execute("COMMIT")
        return True

    def _limit(self, table: str, order: str, where: str, most: int) -> None:
        count = self._db.execute(f"SELECT count(*) FROM {table} WHERE {where}").fetchone()[0]  # noqa: S608
        if count > most:
            edge = self._db.execute(
                f"SELECT {order} FROM {table} WHERE {where} ORDER BY {order} LIMIT 1 OFFSET ?",  # noqa: S608
                (count - most,),
            ).fetchone()[0]
            self._db.execute(f"DELETE FROM {table} WHERE {where} AND {order} < ?", (edge,))  # noqa: S608

    def _oldest(self, table: str) -> bool:
        """Lets go of a tenth. False where there is nothing."""
        order = {"change": "id", "window": "until", "minute": "at"}[table]
        count = self._db.execute(f"SELECT count(*) FROM {table}").fetchone()[0]  # noqa: S608
        if count < 100:
            return False
        self._limit(table, order, "true", count - count // 10)
        return True

    def _bytes(self) -> int:
        pages, free, size = (
            self._db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    # --- reading ----------------------------------------------------------------------------------------------------

    def told(self) -> dict[str, tuple[int, str]]:
        """By EVSE: value and code of its last change."""
        rows = self._db.execute(
            "SELECT evse, value, code FROM change WHERE id IN (SELECT max(id) FROM change GROUP BY evse)"
        )
        return {evse: (value, code) for evse, value, code in rows}

    def course(self, from_ms: int, until_ms: int, step_ms: int) -> Course:
        """See `seen.Controller`; from the minute in which `from_ms` lies. Raises ValueError for what is no course."""
        if step_ms <= 0 or step_ms % MINUTE_MS or step_ms > DAY_MINUTES * MINUTE_MS:
            raise ValueError(f"a step of {step_ms} ms: whole minutes, at most a day")
        begin, wide = from_ms // MINUTE_MS, step_ms // MINUTE_MS
        count = -(-(until_ms - begin * MINUTE_MS) // step_ms)
        if not 0 < count <= MOST_STEPS:
            raise ValueError(f"a course of {count} steps; from 1 to {MOST_STEPS} can be had")
        sums = [_Sums() for _ in range(count)]
        for row in self._db.execute(_BY_STEP, {"begin": begin, "wide": wide, "end": begin + count * wide}):
            sums[row[0]].add(row[1:])
        for row in self._db.execute(_QUARTERS, {"begin": begin, "end": begin + count * wide}):
            for at, part in _minutes(row, begin, begin + count * wide):
                sums[(at - begin) // wide].add(part)
        steps = tuple(each.step((begin + at * wide) * MINUTE_MS) for at, each in enumerate(sums))
        return Course(from_ms=begin * MINUTE_MS, step_ms=step_ms, steps=steps)

    def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[Change, ...]:
        """See `seen.Controller`."""
        rows = self._db.execute(
            "SELECT at, unit, value, code, words FROM change WHERE evse = ? AND at >= ? AND at < ? "
            "ORDER BY at DESC, id DESC LIMIT ?",
            (evse, from_ms, until_ms, MOST_CHANGES),
        ).fetchall()
        if len(rows) < MOST_CHANGES:
            rows += self._db.execute(
                "SELECT at, unit, value, code, words FROM change WHERE evse = ? AND at < ? "
                "ORDER BY at DESC, id DESC LIMIT 1",
                (evse, from_ms),
            ).fetchall()
        return tuple(
            Change(at_ms=at, evse=evse, unit=unit, value=value, code=code, words=words)
            for at, unit, value, code, words in reversed(rows)
        )

    def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        """See `seen.Controller`; at most the last 3,000."""
        rows = self._db.execute(
            "SELECT summary FROM window WHERE until > ? AND until <= ? ORDER BY until DESC, id DESC LIMIT ?",
            (from_ms, until_ms, MOST_WINDOWS),
        ).fetchall()
        return tuple(_WINDOW.decode(data) for (data,) in reversed(rows))

    def peaks(self, first: int, last: int) -> tuple[Peak, ...]:
        """Of the months from `first` to `last` (202601)."""
        rows = self._db.execute(
            "SELECT id, month, node, peak, at FROM peak WHERE month BETWEEN ? AND ? ORDER BY month, id", (first, last)
        )
        return tuple(
            Peak(window=id, node=node, month=month, peak_mw=peak, at_ms=at) for id, month, node, peak, at in rows
        )

    def begins_ms(self) -> int | None:
        """The first minute of which anything is known."""
        row = self._db.execute("SELECT min(at) FROM minute").fetchone()
        return None if row[0] is None else row[0] * MINUTE_MS


_BY_STEP = f"""
SELECT (at - :begin) / :wide, {", ".join(f"sum({name})" for name in _SUMS)}, max(highest),
  max(CASE WHEN soc IS NOT NULL THEN at * 1001 + soc END),
  {", ".join(f"sum({name}), count({name})" for name in PLANNED)}
FROM minute WHERE span = 1 AND at >= :begin AND at < :end GROUP BY 1
"""  # noqa: S608
_QUARTERS = f"""
SELECT at, {", ".join(_SUMS)}, highest, soc, {", ".join(PLANNED)}
FROM minute WHERE span = {QUARTER} AND at > :begin - {QUARTER} AND at < :end ORDER BY at
"""  # noqa: S608


def _row(minute: Minute) -> tuple[int | None, ...]:
    sums = [value for pair in zip(minute.uj, minute.ms, strict=True) for value in pair]
    return (minute.at, *sums, minute.highest, minute.soc, *minute.planned)


def _minutes(row: Sequence[int | None], begin: int, end: int) -> Iterable[tuple[int, tuple[int | None, ...]]]:
    """A quarter hour as its minutes, which come to the same to the last µJ."""
    at, sums = row[0] or 0, [each or 0 for each in row[1 : 1 + len(_SUMS)]]
    highest, soc, planned = row[1 + len(_SUMS)], row[2 + len(_SUMS)], row[3 + len(_SUMS) :]
    for k in range(QUARTER):
        if begin <= at + k < end:
            share = [each * (k + 1) // QUARTER - each * k // QUARTER for each in sums]
            told = [value for each in planned for value in (each, 0 if each is None else 1)]
            yield at + k, (*share, highest, None if soc is None else (at + k) * 1_001 + soc, *told)


class _Sums:
    """One step of a course as it is added up."""

    __slots__ = ("highest", "planned", "soc", "sums")

    def __init__(self) -> None:
        self.sums = [0] * len(_SUMS)
        self.highest: int | None = None
        self.soc: int | None = None
        """With the minute in front, so that the last one is the greatest."""
        self.planned = [0] * (2 * len(PLANNED))

    def add(self, row: Sequence[int | None]) -> None:
        count = len(_SUMS)
        for at, value in enumerate(row[:count]):
            self.sums[at] += value or 0
        highest, soc = row[count], row[count + 1]
        if highest is not None:
            self.highest = highest if self.highest is None else max(self.highest, highest)
        if soc is not None:
            self.soc = soc if self.soc is None else max(self.soc, soc)
        for at, value in enumerate(row[count + 2 :]):
            self.planned[at] += value or 0

    def step(self, from_ms: int) -> Step:
        means = [_mean(self.sums[at], self.sums[at + 1]) for at in range(0, len(_SUMS), 2)]
        planned = [_mean(self.planned[at], self.planned[at + 1]) for at in range(0, len(self.planned), 2)]
        return Step(
            from_ms=from_ms,
            grid_mw=means[0],
            pv_mw=means[1],
            battery_mw=means[2],
            cars_mw=means[3],
            building_mw=means[4],
            highest_grid_mw=self.highest,
            soc_permille=None if self.soc is None else self.soc % 1_001,
            planned_grid_mw=planned[0],
            planned_cars_mw=planned[1],
            planned_battery_mw=planned[2],
        )


def _mean(total: int, count: int) -> int | None:
    """To the nearest; None of nothing."""
    return (2 * total + count) // (2 * count) if count else None
