"""Which control of a kind holds, and which give way (2.1 R 2.9, R04.FR.02 to .22).

Priority is settled when a control arrives: the lower value supersedes those that have not begun, at once and for good;
one that has begun goes on until the other begins. Of the same value the later one counts, as in IEEE 2030.5.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from msgspec import structs

from .model import Control

MOST = 24
"""Of a kind, default and scheduled each: as many as `supersededIds` and one report can name."""


class Began(NamedTuple):
    """A scheduled control has begun, and with that superseded others."""

    control: Control
    superseded: tuple[str, ...]


class Ended(NamedTuple):
    """A scheduled control that was in force is over."""

    control: Control


class Controls:
    """The controls of one station."""

    __slots__ = ("_rows",)

    def __init__(self, rows: Iterable[Control] = ()) -> None:
        self._rows: list[Control] = list(rows)

    def __iter__(self) -> Iterator[Control]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, control: Control, now: int) -> tuple[str, ...] | None:
        """Install; the ids that are superseded by that (its own when it gives way). None: there is no room.

        The same id again takes the place of what it was.
        """
        rows = [row for row in self._rows if row.id != control.id]
        alike = [row for row in rows if row.kind == control.kind and row.default == control.default]
        if len(alike) >= MOST:
            return None
        gone: list[str] = []
        for row in alike:
            if row.superseded or (row.end is not None and row.end <= now):
                continue
            active = not row.default and row.holds(now)
            if row.priority < control.priority:
                control = structs.replace(control, superseded=True)
            elif not active:
                rows[rows.index(row)] = structs.replace(row, superseded=True)
                gone.append(row.id)
        if control.superseded:
            # What it would have superseded is left in peace by one that is never carried out.
            kept = {row.id: row for row in alike}
            rows = [kept.get(row.id, row) for row in rows]
            gone = [control.id]
        self._rows = [*rows, control]
        return tuple(gone)

    def sweep(self, now: int) -> list[Began | Ended]:
        """What begins and ends by `now`, in order of time; what has ended is forgotten (R04.FR.10)."""
        news: list[tuple[int, Began | Ended]] = []
        for row in sorted(self._rows, key=lambda each: (each.start or 0, -each.priority)):
            if row.default or row.started or row.superseded or row.start is None or row.start > now:
                continue
            if row.end is not None and row.end <= now:
                continue  # it came and went while nobody was there
            gone = tuple(
                other.id
                for other in self._rows
                if other.id != row.id
                and other.kind == row.kind
                and not other.default
                and not other.superseded
                and other.started
                and other.holds(now)
                and other.priority >= row.priority
            )
            self._replace(lambda each, gone=gone: structs.replace(each, superseded=True) if each.id in gone else each)
            begun = structs.replace(row, started=True)
            self._replace(lambda each, begun=begun: begun if each.id == begun.id else each)
            news.append((row.start, Began(begun, gone)))
        news.extend(
            (row.end, Ended(row))
            for row in self._rows
            if row.end is not None and row.end <= now and row.started and not row.superseded
        )
        self._rows = [row for row in self._rows if row.end is None or row.end > now]
        return [each for _, each in sorted(news, key=lambda pair: pair[0])]

    def _replace(self, change: Callable[[Control], Control]) -> None:
        self._rows = [change(row) for row in self._rows]

    def in_force(self, now: int) -> dict[str, Control]:
        """By kind: the scheduled control that holds, else the default one (R04.FR.09, .11)."""
        found: dict[str, Control] = {}
        for row in self._rows:
            if row.superseded or not row.holds(now):
                continue
            before = found.get(row.kind)
            if (
                before is None
                or (before.default and not row.default)
                or (before.default == row.default and row.priority <= before.priority)
            ):
                found[row.kind] = row
        return found

    def next_change(self, now: int) -> int | None:
        """The next instant at which one begins or ends."""
        due = [at for row in self._rows for at in (row.start, row.end) if at is not None and at > now]
        late = [row.start for row in self._rows if row.start is not None and not row.started and not row.superseded]
        return min((*due, *late), default=None)

    def select(
        self, *, default: bool | None = None, kind: str | None = None, id_: str | None = None
    ) -> tuple[Control, ...]:
        """Those that fit; with `id_` the kind does not matter."""
        return tuple(
            row
            for row in self._rows
            if default in (None, row.default) and (row.id == id_ if id_ is not None else kind in (None, row.kind))
        )

    def clear(self, *, default: bool, kind: str | None = None, id_: str | None = None) -> tuple[Control, ...]:
        """Forget those that fit."""
        gone = self.select(default=default, kind=kind, id_=id_)
        self._rows = [row for row in self._rows if row not in gone]
        return gone
