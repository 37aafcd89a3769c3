"""The record of interventions: what has to be appended so that there is exactly one for each, through restarts.

Steering says which interventions go on and which have ended; the log says which of its records are open. After a
restart steering's memory may be gone, or older than the log: an order that is still in force goes on in its record, one
that is not any more ends, and what the log has seen end already is not told again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.steering import Intervention

What = Literal["begin", "resumed", "followed", "end"]


class Opened(msgspec.Struct, frozen=True):
    """A record without an end. `steered_ms`: since when steering knows it; `followed`: its effect is written down."""

    number: int
    id: str
    source: str
    kind: str
    node: str
    limit_mw: int
    steered_ms: int
    followed: bool = False


class Step(msgspec.Struct, frozen=True):
    """One row to append. `what`: `begin`, `resumed` (after a restart, known since another moment), `followed` (the
    devices have had their time), `end`. `uncertain`: nobody saw it end, it was over when we looked again."""

    number: int
    what: What
    at_ms: int
    intervention: Intervention
    uncertain: bool = False


class Record(msgspec.Struct, frozen=True):
    """One intervention: an `Intervention`'s figures; `until_ms` None while it lasts."""

    number: int
    id: str
    source: str
    kind: str
    node: str
    limit_mw: int
    from_ms: int
    until_ms: int | None
    before_mw: int | None
    after_mw: int | None
    highest_mw: int | None
    uncertain: bool = False


class Reconciled(NamedTuple):
    """Rows to append, in order, and the records that are open then."""

    steps: tuple[Step, ...]
    opened: Mapping[str, Opened]


def reconcile(
    opened: Mapping[str, Opened],
    going: Mapping[str, Intervention],
    ended: Iterable[Intervention],
    told: Callable[[str, int], bool],
    number: int,
    utc_ms: int,
    *,
    first: bool,
) -> Reconciled:
    """`opened` by id of the order, `going` and `ended` as steering says, `told(id, from_ms)`: whether the log has
    that intervention, `number` the next free one, `first`: the first look since a start."""
    left = dict(opened)
    steps: list[Step] = []

    def begin(each: Intervention, from_ms: int) -> Opened:
        nonlocal number
        now = msgspec.structs.replace(each, from_ms=from_ms, until_ms=None, after_mw=None, highest_mw=None)
        steps.append(Step(number, "begin", from_ms, now))
        if from_ms != each.from_ms:
            steps.append(Step(number, "resumed", utc_ms, each))
        made = _opened(number, each)
        number += 1
        return made

    def end(record: Opened, each: Intervention, at_ms: int, uncertain: bool = False) -> None:
        steps.append(Step(record.number, "end", at_ms, each, uncertain))

    for each in ended:
        until = utc_ms if each.until_ms is None else each.until_ms
        record = left.get(each.id)
        if record is not None and _same(record, each, first):
            end(left.pop(each.id), each, until)
        elif not told(each.id, each.from_ms):
            end(begin(each, each.from_ms), each, until)
    after: dict[str, Opened] = {}
    for id, each in sorted(going.items()):
        record = left.pop(id, None)
        if record is not None and not _same(record, each, first):
            end(record, _unseen(record), max(record.steered_ms, each.from_ms), uncertain=True)
            record = None
        if record is None:
            # An intervention that the log saw end: steering's memory is older, so this is another one, from now on.
            record = begin(each, utc_ms if told(id, each.from_ms) else each.from_ms)
        elif record.steered_ms != each.from_ms:
            steps.append(Step(record.number, "resumed", utc_ms, each))
            record = msgspec.structs.replace(record, steered_ms=each.from_ms)
        if each.highest_mw is not None and not record.followed:
            steps.append(Step(record.number, "followed", utc_ms, each))
            record = msgspec.structs.replace(record, followed=True)
        after[id] = record
    for record in left.values():
        end(record, _unseen(record), utc_ms, uncertain=True)
    return Reconciled(tuple(steps), after)


def merged(rows: Iterable[Step]) -> Record | None:
    """The rows of one record, in order, as a record; None without a beginning."""
    found: Record | None = None
    for row in rows:
        each = row.intervention
        if row.what == "begin":
            found = Record(
                number=row.number, id=each.id, source=each.source, kind=each.kind, node=each.node,
                limit_mw=each.limit_mw, from_ms=each.from_ms, until_ms=None, before_mw=each.before_mw, after_mw=None,
                highest_mw=None,
            )  # fmt: skip
        elif found is not None and row.what != "resumed":
            after = each.after_mw if each.after_mw is not None else found.after_mw
            highs = [high for high in (found.highest_mw, each.highest_mw) if high is not None]
            found = msgspec.structs.replace(found, after_mw=after, highest_mw=max(highs, default=None))
            if row.what == "end":
                found = msgspec.structs.replace(found, until_ms=row.at_ms, uncertain=row.uncertain)
    return found


def _opened(number: int, each: Intervention) -> Opened:
    return Opened(number, each.id, each.source, each.kind, each.node, each.limit_mw, each.from_ms)


def _unseen(record: Opened) -> Intervention:
    return Intervention(
        id=record.id, source=record.source, kind=record.kind, node=record.node, limit_mw=record.limit_mw,
        from_ms=record.steered_ms, until_ms=None, before_mw=None,
    )  # fmt: skip


def _same(record: Opened, each: Intervention, first: bool) -> bool:
    ours = record.source, record.kind, record.node, record.limit_mw
    return ours == (each.source, each.kind, each.node, each.limit_mw) and (first or record.steered_ms == each.from_ms)
