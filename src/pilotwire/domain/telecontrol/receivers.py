"""What contacts order together: the single contact of § 14a EnWG, FNN's box with four relays, ripple-control receivers.

Each row of a receiver's table is a set of contacts and what it orders. Curtailing generation (`export_limit`), dimming
controllable devices (`steuve_limit`) and limiting a node's import (`import_limit`) are kept apart: each kind has its
own order, the strictest of what is active. A stricter order counts at once. A looser one counts only when it has been
asked for during `release_ms` (relays break before they make), the one before has held for `minimum_ms`, and every
contact of that kind can be believed: a broken wire never raises anything.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.domain.steering import Control

from .contacts import Contact, ContactState, active, sure

OrderKind = Literal["import_limit", "steuve_limit", "export_limit"]


class Figure(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`value_mw` or `permille`; neither: a dimming to the legal minimum."""

    value_mw: int | None = None
    permille: int | None = None

    @property
    def strictness(self) -> int:
        """Less is stricter, among figures of the same unit."""
        value = self.permille if self.value_mw is None else self.value_mw
        return -1 if value is None else value


class Row(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """While these contacts are active, that is ordered; `figure` None: nothing is (a pattern that says "no limit")."""

    contacts: tuple[str, ...]
    kind: OrderKind
    figure: Figure | None = Figure()


class Receiver(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A box and its table. `each`: every row whose contacts are active counts, the strictest wins. `coded`: for each
    kind, the row that names exactly the active ones of the kind's contacts; a pattern that is not in the table is an
    impossible one and orders the strictest row of the table, and no active contact orders nothing unless a row says
    so."""

    id: str
    source: str
    node: str
    rows: tuple[Row, ...]
    coding: Literal["each", "coded"] = "each"
    minimum_ms: int = 0
    release_ms: int = 0

    def contacts_of(self, kind: OrderKind) -> tuple[str, ...]:
        """All that the rows of a kind name, in order."""
        return tuple(sorted({id for row in self.rows if row.kind == kind for id in row.contacts}))


class Held(msgspec.Struct, frozen=True):
    """The order of one kind: in force since `since_ms` (steady), and since when something looser is asked for."""

    figure: Figure | None = None
    since_ms: int = 0
    looser_ms: int | None = None


class ReceiverState(msgspec.Struct, frozen=True):
    """By kind."""

    held: Mapping[str, Held] = msgspec.field(default_factory=dict[str, Held])


class OrderEvent(msgspec.Struct, frozen=True):
    """An order has changed. None: nothing is ordered."""

    receiver: str
    kind: OrderKind
    before: Figure | None
    after: Figure | None
    at_ms: int


KINDS: tuple[OrderKind, ...] = ("export_limit", "import_limit", "steuve_limit")


def dimming_contact(id: str, node: str, contact: str, *, source: str = "§ 14a contact") -> Receiver:
    """One contact that dims all controllable devices at a node to their legal minimum."""
    return Receiver(id=id, source=source, node=node, rows=(Row(contacts=(contact,), kind="steuve_limit"),))


def fnn_box(
    id: str, node: str, *, w3: str, s2: str, s1: str, w4: str | None = None, source: str = "FNN control box",
    release_ms: int = 0,
) -> Receiver:  # fmt: skip
    """FNN's box: W3 leaves 0 % of the installed generation, S2 30 %, S1 60 %; W4 dims § 14a EnWG's devices."""
    table = ((w3, 0), (s2, 300), (s1, 600))
    rows = [Row(contacts=(on,), kind="export_limit", figure=Figure(permille=part)) for on, part in table]
    if w4 is not None:
        rows.append(Row(contacts=(w4,), kind="steuve_limit"))
    return Receiver(id=id, source=source, node=node, rows=tuple(rows), release_ms=release_ms)


def ripple_receiver(
    id: str, node: str, table: Mapping[tuple[str, ...], int | None], *, coded: bool = False,
    source: str = "ripple control", minimum_ms: int = 0, release_ms: int = 0,
) -> Receiver:  # fmt: skip
    """A receiver whose contacts stand for what generation may feed in, in per mille of the installed power.

    One contact for each step (100 / 60 / 30 / 0 %: the strictest of several wins), or `coded`: patterns of all of
    them. None: the pattern says "no limit"."""
    rows = tuple(
        Row(contacts=on, kind="export_limit", figure=None if part is None else Figure(permille=part))
        for on, part in table.items()
    )
    return Receiver(
        id=id, source=source, node=node, rows=rows, coding="coded" if coded else "each", minimum_ms=minimum_ms,
        release_ms=release_ms,
    )  # fmt: skip


def pattern(receiver: Receiver, kind: OrderKind, on: frozenset[str]) -> Figure | None:
    """What a set of active contacts orders of a kind, by the table alone."""
    rows = [row for row in receiver.rows if row.kind == kind]
    if receiver.coding == "each":
        return _strictest([row.figure for row in rows if on.issuperset(row.contacts)])
    here = on.intersection(receiver.contacts_of(kind))
    exact = [row.figure for row in rows if frozenset(row.contacts) == here]
    if exact:
        return _strictest(exact)
    return _strictest([row.figure for row in rows]) if here else None


def decode(
    receiver: Receiver,
    contacts: Mapping[str, tuple[Contact, ContactState]],
    state: ReceiverState,
    now: int,
) -> tuple[ReceiverState, tuple[Control, ...], tuple[OrderEvent, ...]]:
    """One look at the contacts at `now` of the steady clock: what is ordered, as steering understands it."""
    on = frozenset(id for id, (contact, known) in contacts.items() if active(contact, known))
    held: dict[str, Held] = {}
    controls: list[Control] = []
    events: list[OrderEvent] = []
    for kind in KINDS:
        names = receiver.contacts_of(kind)
        if not names:
            continue
        before = state.held.get(kind, Held(since_ms=now))
        believed = all(id in contacts and sure(*contacts[id]) for id in names)
        after = _follow(receiver, before, pattern(receiver, kind, on), believed, now)
        held[kind] = after
        if after.figure != before.figure:
            events.append(OrderEvent(receiver.id, kind, before.figure, after.figure, now))
        if after.figure is not None:
            controls.append(
                Control(
                    id=f"{receiver.id}/{kind}", source=receiver.source, kind=kind, node=receiver.node,
                    value_mw=after.figure.value_mw, permille=after.figure.permille,
                )
            )  # fmt: skip
    return ReceiverState(held), tuple(controls), tuple(events)


def resumed_receiver(state: ReceiverState, now: int) -> ReceiverState:
    """After a restart, with another steady clock: the same orders, held from now on."""
    return ReceiverState({kind: Held(figure=held.figure, since_ms=now) for kind, held in state.held.items()})


def receiver_faults(receiver: Receiver, contacts: frozenset[str]) -> tuple[str, ...]:
    """What is wrong with its table."""
    found: list[str] = []
    if not receiver.rows:
        found.append(f"receiver {receiver.id}: its table is empty")
    units: dict[OrderKind, set[str]] = {}
    seen: set[tuple[OrderKind, frozenset[str]]] = set()
    for row in receiver.rows:
        where = f"receiver {receiver.id}, {' + '.join(row.contacts) or 'no contact'}"
        found += [f"{where}: there is no contact {id!r}" for id in row.contacts if id not in contacts]
        if not row.contacts and receiver.coding == "each":
            found.append(f"{where}: a row names a contact, or the receiver is coded")
        if (key := (row.kind, frozenset(row.contacts))) in seen:
            found.append(f"{where}: is there twice")
        seen.add(key)
        figure = row.figure
        if figure is None:
            continue
        value, part = figure.value_mw, figure.permille
        if value is not None and part is not None:
            found.append(f"{where}: a power or a share, not both")
        elif value is None and part is None and row.kind != "steuve_limit":
            found.append(f"{where}: only steuve_limit has a figure of its own, the legal minimum")
        elif part is not None and row.kind != "export_limit":
            found.append(f"{where}: a share is only meant of the installed generation")
        if (value is not None and value < 0) or (part is not None and not 0 <= part <= 1_000):
            found.append(f"{where}: the figure is out of range")
        if row.kind == "export_limit":
            units.setdefault(row.kind, set()).add("power" if part is None else "share")
    found += [f"receiver {receiver.id}: {kind} has powers and shares" for kind, had in units.items() if len(had) > 1]
    if receiver.minimum_ms < 0 or receiver.release_ms < 0:
        found.append(f"receiver {receiver.id}: times are 0 or more")
    return tuple(found)


def _follow(receiver: Receiver, held: Held, asked: Figure | None, believed: bool, now: int) -> Held:
    if asked == held.figure:
        return msgspec.structs.replace(held, looser_ms=None)
    if _rank(asked) < _rank(held.figure):
        return Held(figure=asked, since_ms=now)
    if not believed:
        return msgspec.structs.replace(held, looser_ms=None)
    looser = now if held.looser_ms is None else held.looser_ms
    if now - looser < receiver.release_ms or now - held.since_ms < receiver.minimum_ms:
        return msgspec.structs.replace(held, looser_ms=looser)
    return Held(figure=asked, since_ms=now)


def _rank(figure: Figure | None) -> tuple[int, int]:
    """Less is stricter; no order is the loosest of all."""
    return (1, 0) if figure is None else (0, figure.strictness)


def _strictest(figures: list[Figure | None]) -> Figure | None:
    return min(figures, key=_rank, default=None)
