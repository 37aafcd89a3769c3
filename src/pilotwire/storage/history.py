"""The cold half of the samples: Parquet files of whole UTC days, and DuckDB over hot rows and files together.

    history/tenant=<tenant>/day=YYYY-MM-DD/samples.parquet      zstd, sorted by (station, time, …)

A day's file is only ever replaced whole, by a rename after an fsync, and holds each sample once, whatever was rolled
off before. Hot rows are deleted after the file that holds them is durable, so at any moment a sample is in the file, in
the hot store or in both; who reads both drops what it sees twice (the file wins). A crash anywhere in between is mended
by rolling off again.

pyarrow and DuckDB are imported on first use. Rolling off and queries run in a child process
(`pilotwire.storage.history_child`), so that neither their memory nor their CPU time is the event loop's.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

import msgspec

from pilotwire.core.errors import ConfigError, LocalError
from pilotwire.domain.records import Sample

from .hot_samples import MovedSets

FILE_NAME = "samples.parquet"


class HistoryFailed(LocalError):
    """A roll-off or query in the child process failed; the text says why."""


class Source(msgspec.Struct, kw_only=True):
    """Where a child process finds the samples: `database` is a SQLite path or a postgresql:// URL."""

    database: str
    history: str


class RollOff(msgspec.Struct, kw_only=True, tag="roll-off"):
    """Write the Parquet files of the days that are over; nothing is deleted by the child. The answer is RolledOff."""

    source: Source
    before: int
    """ms; the start of a UTC day."""


class Query(msgspec.Struct, kw_only=True, tag="query"):
    """SQL over the view `samples`: hot rows and Parquet of one tenant."""

    source: Source
    tenant: str
    sql: str
    parameters: list[Any] = []


class Moved(msgspec.Struct, kw_only=True):
    """What the child has made durable in a file: `count` single rows of one station and day."""

    station: int
    day: int
    count: int


class RolledOff(msgspec.Struct, kw_only=True):
    """What may be deleted now."""

    rows: list[Moved]
    sets: list[MovedSets]


class Table(msgspec.Struct, kw_only=True):
    """A query's answer."""

    columns: list[str]
    rows: list[list[Any]]


def day_name(day: int) -> str:
    """The UTC day `day` days after 1970-01-01 as YYYY-MM-DD; years that a date cannot hold are written as a number."""
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(days=day)).strftime("%Y-%m-%d")
    except OverflowError:
        return str(day)


def day_file(history: Path, tenant: str, day: int) -> Path:
    """Where a tenant's samples of a UTC day are, or would be."""
    return history / f"tenant={quote(tenant, safe='')}" / f"day={day_name(day)}" / FILE_NAME


async def read_session(
    history: Path, tenant: str, session_id: str, days: Sequence[tuple[int, str]], measurand: str | None
) -> list[Sample]:
    """A session's samples in the files of these (UTC day, station)s; days that have no file cost one `stat` each."""
    files = [(path, station) for day, station in days if (path := day_file(history, tenant, day)).exists()]
    if not files:
        return []
    return await asyncio.to_thread(_read_files, files, session_id, measurand)


def _read_files(files: list[tuple[Path, str]], session_id: str, measurand: str | None) -> list[Sample]:
    import pyarrow.parquet as pq

    found: list[Sample] = []
    for path, station in files:
        # Sorted by station: the filter reads the row groups that hold it, not the day.
        filters = [("station", "=", station), ("session_id", "=", session_id)]
        if measurand is not None:
            filters.append(("measurand", "=", measurand))
        # None is documented, but pyarrow has no annotations and the default is a str.
        table = pq.read_table(path, filters=filters, partitioning=None, memory_map=False)  # pyright: ignore[reportArgumentType]
        names = ("evse", "connector", "time", "measurand", "value", "unit", "phase", "location", "context")
        columns = [table.column(name).to_pylist() for name in names]
        found += [Sample(*row, session_id=session_id) for row in zip(*columns, strict=True)]
    return found


async def in_child(job: RollOff | Query, answer: type) -> Any:
    """Run a job in a process of its own. Raises HistoryFailed with the child's words."""
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pilotwire.storage.history_child",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        out, err = await child.communicate(msgspec.json.encode(job))
    except BaseException:
        if child.returncode is None:
            child.kill()
            await child.wait()
        raise
    if child.returncode != 0:
        lines = err.decode(errors="replace").strip().splitlines()
        raise HistoryFailed(lines[-1] if lines else f"the history process ended with {child.returncode}")
    return msgspec.json.decode(out, type=answer)


class History:
    """Queries over a store's samples, hot and cold.

    `database` is the SQLite file or PostgreSQL URL, `folder` the Parquet days. The view `samples` has the columns
    tenant, station, evse, connector, time (ms), utc (TIMESTAMP), measurand, value (thousandths of the base unit),
    unit, phase, location, context, session_id.
    """

    def __init__(self, database: str | Path, folder: Path | None) -> None:
        if folder is None:
            raise ConfigError("there is no folder for the history: give the store a data folder (--data)")
        self._source = Source(database=str(database), history=str(folder))

    async def query(self, tenant: str, sql: str, parameters: Sequence[Any] = ()) -> Table:
        """Any SELECT of DuckDB over `samples`. It can reach neither files nor other tenants. Raises HistoryFailed."""
        job = Query(source=self._source, tenant=tenant, sql=sql, parameters=list(parameters))
        return await in_child(job, Table)

    async def energy_per_hour(self, tenant: str, start: int, end: int) -> Table:
        """(station, evse, hour, wh): energy imported in each UTC hour of [start, end) ms, by EVSE.

        From Energy.Active.Import.Register: the rise of the register between neighbouring samples counts to the hour in
        which it was noticed, the first one of the range reaching back a day at most; a register that goes back (meter
        changed or reset) counts nothing for that step.
        """
        return await self.query(tenant, ENERGY_PER_HOUR, [start, end])


ENERGY_PER_HOUR = """
WITH steps AS (
    SELECT station, evse, connector, time,
           value - lag(value) OVER (PARTITION BY station, evse, connector ORDER BY time, value) AS rise
    FROM (
        SELECT station, evse, connector, time, max(value) AS value FROM samples
        WHERE measurand = 'Energy.Active.Import.Register' AND phase = '' AND unit = 'Wh'
          AND time >= $1 - 86400000 AND time < $2
        GROUP BY ALL
    )
)
SELECT station, evse, (time // 3600000) * 3600000 AS hour, (sum(greatest(rise, 0)) // 1000)::BIGINT AS wh
FROM steps WHERE time >= $1 AND rise IS NOT NULL
GROUP BY station, evse, hour ORDER BY station, evse, hour
"""
