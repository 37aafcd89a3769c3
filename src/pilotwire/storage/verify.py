"""Whether a store still says what was written, and how to make its projections anew.

`verify` reads the whole journal: every row's checksum, every stream's seq without a gap, every fact readable; it then
compares each projection with what the journal folds to. `replay` replaces the projections by that fold. Both are meant
for a store that nobody writes to meanwhile: a projection may otherwise be ahead of the rows just read.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import msgspec

from pilotwire.domain.fold import fold_stream
from pilotwire.domain.records import Command, Session, Station, Variable

from . import queries
from .codec import Record, encode, record_key
from .port import JournalRow
from .sqlstore import SqlStore

Refold = Callable[[AsyncIterator[JournalRow]], Awaitable[Iterable[Any]]]
"""Turns the journal into the records that the projections must hold, each once: `pilotwire.domain.fold.fold_stream`."""

MAX_FINDINGS = 100


class Finding(msgspec.Struct, frozen=True):
    """Something that is not as it was written."""

    kind: str
    """checksum, gap, facts, missing, surplus or differs (the last three are of projections)."""
    where: str
    """The row as stream/seq, or the record."""
    text: str


class Verdict(msgspec.Struct, kw_only=True):
    """What `verify` found."""

    streams: dict[str, int] = {}
    """Stream → rows read."""
    rows: int = 0
    records: int = 0
    """Projections compared."""
    findings: list[Finding] = []
    """The first of them."""
    faults: int = 0
    """How many there are in all."""

    @property
    def sound(self) -> bool:
        """True when nothing was found."""
        return self.faults == 0

    def add(self, kind: str, where: str, text: str) -> None:
        """Note a fault."""
        self.faults += 1
        if len(self.findings) < MAX_FINDINGS:
            self.findings.append(Finding(kind, where, text))


async def verify(
    store: SqlStore, refold: Refold | None = fold_stream, *, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Check the journal and, with `refold`, the projections. `progress` is told the number of rows now and then."""
    verdict = Verdict()
    rows = _checked(store, verdict, progress)
    if refold is None:
        async for _ in rows:
            pass  # the checking is in the reading
        return verdict
    expected: dict[tuple[object, ...], bytes] = {}
    for record in await refold(rows):
        expected[record_key(record)] = encode(record)
    async for record in projections(store):
        verdict.records += 1
        key = record_key(record)
        wanted = expected.pop(key, None)
        if wanted is None:
            verdict.add("surplus", _name(key), "is in the store; the journal folds to no such record")
        elif wanted != encode(record):
            verdict.add(
                "differs", _name(key), f"the journal folds to {_short(wanted)}, kept is {_short(encode(record))}"
            )
    for key in expected:
        verdict.add("missing", _name(key), "the journal folds to it; the store does not have it")
    return verdict


async def replay(
    store: SqlStore, refold: Refold = fold_stream, *, progress: Callable[[int], None] | None = None
) -> Verdict:
    """Rebuild every projection from the journal, in one transaction. Rows that cannot be trusted are in the verdict,
    and are left out of the fold only where their facts cannot be read."""
    verdict = Verdict()
    records = list(await refold(_checked(store, verdict, progress)))
    verdict.records = len(records)
    await store.rebuild(records)
    return verdict


async def _checked(
    store: SqlStore, verdict: Verdict, progress: Callable[[int], None] | None
) -> AsyncIterator[JournalRow]:
    last: dict[str, int] = {}
    async for row in store.raw_journal():
        where = f"{row.stream}/{row.seq}"
        verdict.rows += 1
        verdict.streams[row.stream] = verdict.streams.get(row.stream, 0) + 1
        if progress is not None and verdict.rows % 1000 == 0:
            progress(verdict.rows)
        before = last.get(row.stream, 0)
        if row.seq != before + 1:
            missing = f"{before + 1}" if row.seq == before + 2 else f"{before + 1} to {row.seq - 1}"
            verdict.add("gap", where, f"seq {missing} of this stream is missing before it")
        last[row.stream] = row.seq
        if not row.sound():
            verdict.add("checksum", where, "the row is not what was written")
        try:
            decoded = row.decoded()
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            verdict.add("facts", where, f"the facts cannot be read: {error}")
            continue
        yield decoded


async def projections(store: SqlStore) -> AsyncIterator[Record]:
    """Every projection in the store."""
    for table, kind in (("stations", Station), ("sessions", Session), ("commands", Command), ("variables", Variable)):
        cursor: tuple[object, ...] | None = None
        while True:
            rows = await store.read(queries.bodies_after(table, cursor))
            for row in rows:
                yield msgspec.json.decode(row[-1], type=kind)
            if len(rows) < queries.JOURNAL_CHUNK:
                break
            cursor = tuple(rows[-1][:-1])


def _name(key: tuple[object, ...]) -> str:
    kind, *names = key
    return f"{(kind.__name__ if isinstance(kind, type) else str(kind)).lower()} {'/'.join(map(str, names))}"


def _short(data: bytes) -> str:
    text = data.decode()
    return text if len(text) <= 500 else f"{text[:500]}…"
