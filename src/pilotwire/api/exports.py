"""Sessions and samples as CSV, JSON Lines and Parquet: read page by page and sent as they are read.

Memory does not grow with what is exported. Every column carries its unit in its name; times are RFC 3339, UTC (Parquet:
timestamps). Text that a spreadsheet would take for a formula gets an apostrophe in front in CSV.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from typing import Any, Final, Literal, NamedTuple, cast

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import records
from pilotwire.storage.port import StoreFailed
from pilotwire.storage.session_list import SessionQuery

from .context import ApiContext
from .language import _
from .problems import problem
from .queries import Queries

Format = Literal["csv", "jsonl", "parquet"]
MEDIA_TYPES: Final[dict[str, str]] = {
    "csv": "text/csv",
    "jsonl": "application/jsonl",
    "parquet": "application/vnd.apache.parquet",
}
AT_ONCE: Final = 4
"""Exports of sessions that run at the same time."""
_PAGE: Final = 1_000
_ROW_GROUP: Final = 20_000
_FORMULA: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
Kind = Literal["text", "int", "float", "time", "texts"]


class Column(NamedTuple):
    """A column, what it holds and where it comes from."""

    name: str
    kind: Kind
    of: Callable[[Any], Any]


def _ended(one: records.Session) -> int | None:
    return one.ended_at


def _duration(one: records.Session) -> int | None:
    return None if one.ended_at is None else max(0, one.ended_at - one.started_at) // 1000


SESSION_COLUMNS: Final = (
    Column("id", "text", lambda one: one.id),
    Column("station_id", "text", lambda one: one.station_id),
    Column("evse", "int", lambda one: one.evse),
    Column("connector", "int", lambda one: one.connector),
    Column("transaction", "text", lambda one: one.transaction),
    Column("token", "text", lambda one: one.token),
    Column("token_type", "text", lambda one: one.token_type),
    Column("status", "text", lambda one: "active" if one.status == "active" else "ended"),
    Column("started_at", "time", lambda one: one.started_at),
    Column("ended_at", "time", _ended),
    Column("duration_s", "int", _duration),
    Column("energy_wh", "int", lambda one: one.energy_wh),
    Column("meter_start_wh", "int", lambda one: one.meter_start_wh),
    Column("meter_stop_wh", "int", lambda one: one.meter_stop_wh),
    Column("soc_percent", "float", lambda one: None if one.soc is None else one.soc / 10),
    Column("stop_reason", "text", lambda one: one.stop_reason or None),
    Column("ocpp_version", "text", lambda one: one.ocpp_version),
    Column("flags", "texts", lambda one: one.flags),
)
"""Of `pilotwire.domain.records.Session`."""
SAMPLE_COLUMNS: Final = (
    Column("time", "time", lambda one: one.time),
    Column("evse", "int", lambda one: one.evse),
    Column("connector", "int", lambda one: one.connector),
    Column("measurand", "text", lambda one: one.measurand),
    Column("value", "float", lambda one: one.value / 1000),
    Column("unit", "text", lambda one: one.unit),
    Column("phase", "text", lambda one: one.phase or None),
    Column("location", "text", lambda one: one.location or None),
    Column("context", "text", lambda one: one.context or None),
)
"""Of `pilotwire.domain.records.Sample`; the unit of a value stands in its row."""


class _Writer:
    """Rows in, bytes out."""

    def head(self) -> bytes:
        """What comes before all rows."""
        return b""

    def rows(self, found: Sequence[Any]) -> bytes:
        """Some rows."""
        raise NotImplementedError

    def foot(self) -> bytes:
        """What comes after all rows."""
        return b""


def _instant(value: int | None) -> str | None:
    try:
        return None if value is None else to_rfc3339(value)
    except (OverflowError, ValueError):
        return None


def plain(text: str) -> str:
    """Text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.startswith(_FORMULA) else text


_CSV_CELLS: Final[dict[Kind, Callable[[Any], Any]]] = {
    "text": plain,
    "int": str,
    "float": lambda value: f"{value:.15g}",
    "time": lambda value: _instant(value) or "",
    "texts": lambda value: plain(" ".join(value)),
}


class _Csv(_Writer):
    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = [(one.of, _CSV_CELLS[one.kind]) for one in columns]
        self._names = [one.name for one in columns]

    def head(self) -> bytes:
        return self._written([self._names])

    def rows(self, found: Sequence[Any]) -> bytes:
        columns = self._columns
        return self._written(
            ["" if (value := of(one)) is None else cell(value) for of, cell in columns] for one in found
        )

    def _written(self, rows: Iterable[Sequence[str]]) -> bytes:
        out = io.StringIO()
        csv.writer(out, lineterminator="\r\n").writerows(rows)
        return out.getvalue().encode("utf-8", "replace")


class _Lines(_Writer):
    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = [(one.name, one.of, one.kind == "time") for one in columns]
        self._encoder = msgspec.json.Encoder()

    def rows(self, found: Sequence[Any]) -> bytes:
        columns = self._columns
        return self._encoder.encode_lines(
            [{name: _instant(of(one)) if time else of(one) for name, of, time in columns} for one in found]
        )


class _Parquet(_Writer):
    """Row groups by pyarrow. Used from one thread at a time, never the loop's."""

    def __init__(self, columns: Sequence[Column]) -> None:
        import pyarrow
        import pyarrow.parquet

        kinds: dict[Kind, Any] = {
            "text": pyarrow.string(),
            "int": pyarrow.int64(),
            "float": pyarrow.float64(),
            "time": pyarrow.timestamp("ms", tz="UTC"),
            "texts": pyarrow.list_(pyarrow.string()),
        }
        self._pyarrow = pyarrow
        self._columns = columns
        self._schema = pyarrow.schema([(one.name, kinds[one.kind]) for one in columns])
        self._sink = _Sink()
        self._writer = pyarrow.parquet.ParquetWriter(
            pyarrow.PythonFile(self._sink, mode="w"), self._schema, compression="zstd"
        )
        self._held: list[Any] = []

    def rows(self, found: Sequence[Any]) -> bytes:
        self._held += found
        return self._group() if len(self._held) >= _ROW_GROUP else b""

    def _group(self) -> bytes:
        held, self._held = self._held, []
        arrays = [
            self._pyarrow.array([one.of(row) for row in held], type=field.type)
            for one, field in zip(self._columns, self._schema, strict=True)
        ]
        self._writer.write_table(
            self._pyarrow.Table.from_arrays(arrays, schema=self._schema), row_group_size=_ROW_GROUP
        )
        return self._sink.taken()

    def foot(self) -> bytes:
        rest = self._group() if self._held else b""
        self._writer.close()
        return rest + self._sink.taken()


class _Sink(io.RawIOBase):
    """What has been written and not been taken yet."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._parts.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        data, self._parts = b"".join(self._parts), []
        return data


_WRITERS: Final[dict[str, Callable[[Sequence[Column]], _Writer]]] = {"csv": _Csv, "jsonl": _Lines, "parquet": _Parquet}


async def written(columns: Sequence[Column], pages: AsyncIterator[Sequence[Any]], form: Format) -> AsyncIterator[bytes]:
    """The pieces of a file. Rows are laid out off the loop, so that others are served meanwhile."""
    writer = await asyncio.to_thread(_WRITERS[form], columns)
    if head := writer.head():
        yield head
    async for page in pages:
        if piece := await asyncio.to_thread(writer.rows, page):
            yield piece
    if foot := await asyncio.to_thread(writer.foot):
        yield foot


class Exports:
    """Counts those that run."""

    def __init__(self) -> None:
        self.running = 0


class _Place:
    """One of the exports that may run at the same time. It is free again when nothing holds it any more, also where a
    stream was never begun because its reader had gone."""

    def __init__(self, running: Exports) -> None:
        self._running: Exports | None = None
        if running.running >= AT_ONCE:
            raise problem("busy", _("Several exports are under way."), headers={"Retry-After": "30"})
        self._running = running
        running.running += 1

    def leave(self) -> None:
        """Let the next one in; once."""
        running, self._running = self._running, None
        if running is not None:
            running.running -= 1

    __del__ = leave


async def sessions(context: ApiContext, queries: Queries, wanted: SessionQuery, form: Format) -> AsyncIterator[bytes]:
    """Every session that is asked for and may be seen, as a file. Raises Problem 503 when too many are under way."""
    running: Exports = context.parts.setdefault(Exports, Exports())
    place = _Place(running)
    seen = await queries.seen(wanted)

    async def pages() -> AsyncIterator[Sequence[Any]]:
        cursor: str | None = None
        while True:
            page = await context.store.find_sessions(queries.tenant, seen, cursor=cursor, limit=_PAGE)
            if page.items:
                yield cast("list[records.Session]", page.items)
            cursor = page.next
            if cursor is None:
                return
            if context.closing.is_set():  # the connection is cut, so that nobody takes a part for the whole
                raise StoreFailed("the server is stopping")

    return _placed(place, written(SESSION_COLUMNS, pages(), form))


async def _placed(place: _Place, pieces: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    try:
        async for piece in pieces:
            yield piece
    finally:
        place.leave()


async def samples(
    context: ApiContext, queries: Queries, session_id: str, measurand: str | None, limit: int, form: Format
) -> AsyncIterator[bytes]:
    """A session's samples as a file. Raises Problem 404."""
    await queries.session(session_id)
    found = await context.store.samples(queries.tenant, session_id, measurand=measurand, limit=limit)

    async def pages() -> AsyncIterator[Sequence[Any]]:
        for start in range(0, len(found), _PAGE):
            yield found[start : start + _PAGE]

    return written(SAMPLE_COLUMNS, pages(), form)


def file_name(what: str, form: Format, now: int) -> str:
    """How a browser is to call it."""
    return f"{what}-{to_rfc3339(now)[:10]}.{form}"
