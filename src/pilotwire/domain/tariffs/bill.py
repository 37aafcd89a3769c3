"""What is kept of a session's cost: the course priced so far, what waits for messages that are missing, and what the
station itself has said of it. Part of the session's record, so that a restart loses nothing.

2.x numbers its messages: they are priced in that order, and what comes before its turn waits. So every order of arrival
ends in the same cost. 1.6 has no numbers: messages are priced as they come.
"""

from __future__ import annotations

from decimal import Decimal

import msgspec

from . import course, details
from .costing import Costing, Mark, begin
from .details import CostDetails
from .model import Tariff

MOST_HELD = 1_000
"""Messages that wait for a missing one; beyond, it is given up."""
MOST_OFFERED = 8
MESSAGES_MS = 10_000
"""How far the two clocks may be apart about the length of a reservation."""


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """What one message says: its seqNo (None in 1.6), time, charging state, registers (ms, Wh), power (W)."""

    seq: int | None
    time: int
    state: str = ""
    registers: tuple[tuple[int, int], ...] = ()
    power_w: int | None = None
    ended: bool = False
    tariff: Tariff | None = None
    """Another one from this message on."""


class Told(msgspec.Struct, frozen=True, omit_defaults=True, gc=False):
    """What the station says that it costs."""

    currency: str
    excl_tax: Decimal | None = None
    incl_tax: Decimal | None = None
    final: bool = False
    failed: str = ""
    """Why it could not work it out."""
    reserved_s: int | None = None
    """How long its place was reserved, by its own clock."""

    @property
    def amount(self) -> Decimal:
        """What the driver pays: with tax, where that is known."""
        return self.incl_tax if self.incl_tax is not None else self.excl_tax or Decimal(0)


class Bill(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False):
    """See the module."""

    tariff_id: str = ""
    """Of the tariff in force."""
    currency: str = ""
    why: str = ""
    """driver, default, station (it has named one) or changed."""
    local: bool = False
    """The station works it out, too, and says so."""
    costing: Costing | None = None
    """None: no tariff of ours; or the beginning is still missing."""
    zone: str = ""
    evse_kind: str = "AC"
    reserved_ms: int | None = None
    """How long its place was reserved for it before."""
    first: Tariff | None = None
    """What it begins with, while its beginning is missing."""
    more: bool = False
    """The first message says more than how it begins: what waits, waits for that too."""
    next_seq: int = -1
    held: list[Step] = []
    offered: list[Tariff] = []
    """Sent for this session, and accepted: the station names one of them by its id when it uses it."""
    amount: Decimal | None = None
    """So far, or in all: what the driver pays, rounded."""
    told: Told | None = None
    ended: bool = False

    @property
    def complete(self) -> bool:
        """Nothing that would change the cost is missing."""
        return self.costing is not None and not self.held

    def copy(self) -> Bill:
        """One that goes on by itself."""
        return msgspec.structs.replace(
            self,
            costing=None if self.costing is None else self.costing.copy(),
            held=self.held[:],
            offered=self.offered[:],
        )


def begin_at(bill: Bill, tariff: Tariff, first: Mark, seq: int | None, state: str = "") -> None:
    """The session begins with `tariff`, at its first reading, in this charging state."""
    bill.first = None
    bill.tariff_id, bill.currency = tariff.tariff_id, tariff.currency
    bill.costing = begin(tariff, first, zone=bill.zone, evse_kind=bill.evse_kind, reserved_ms=bill.reserved_ms)
    if state:
        _take(bill.costing, bill, Step(seq, first.time, state))
    if seq is not None:
        bill.next_seq = seq + 1
    if bill.more:
        bill.more = False
        _settle(bill)
    else:
        _catch_up(bill)


def change(bill: Bill, tariff: Tariff, time: int) -> None:
    """Another tariff from `time` on."""
    bill.tariff_id = tariff.tariff_id
    if bill.costing is None:
        bill.first, bill.currency = tariff, tariff.currency
    else:
        bill.costing.change(tariff, time)
        _settle(bill)


def reserved(bill: Bill, seconds: int) -> None:
    """The station says how long the place was reserved. It knows that better by the time that messages take, and no
    more than that is believed."""
    costing = bill.costing
    if costing is None or costing.reserved_ms is None or abs(seconds * 1000 - costing.reserved_ms) > MESSAGES_MS:
        return
    if seconds * 1000 != costing.reserved_ms:
        bill.reserved_ms = costing.reserved_ms = seconds * 1000
        _settle(bill)


def feed(bill: Bill, step: Step) -> None:
    """The next message, or one that comes before its turn."""
    if step.ended:
        bill.ended = True
    if bill.costing is None or (step.seq is not None and step.seq > bill.next_seq):
        if bill.costing is not None or bill.first is not None:
            bill.held.append(step)
            bill.held.sort(key=lambda one: -1 if one.seq is None else one.seq)
            if len(bill.held) > MOST_HELD and bill.costing is not None:
                _take(bill.costing, bill, bill.held.pop(0))
                _catch_up(bill)
            elif len(bill.held) > MOST_HELD:
                del bill.held[0]
        _settle(bill)
        return
    _take(bill.costing, bill, step)
    _catch_up(bill)


def _catch_up(bill: Bill) -> None:
    costing, held = bill.costing, bill.held
    assert costing is not None
    while held and (held[0].seq is None or held[0].seq <= bill.next_seq):
        _take(costing, bill, held.pop(0))
    _settle(bill)


def _take(costing: Costing, bill: Bill, step: Step) -> None:
    if step.tariff is not None:
        costing.change(step.tariff, step.time)
    course.step(costing, step.time, step.state, step.registers, step.power_w)
    if step.ended:
        costing.finish(step.time)
    if step.seq is not None:
        bill.next_seq = max(bill.next_seq, step.seq + 1)


def view(bill: Bill) -> Costing | None:
    """The course with what waits, as if nothing were missing; None where there is no tariff."""
    if not bill.held:
        return bill.costing
    costing = bill.costing
    if costing is None:
        if bill.first is None:
            return None
        earliest = bill.held[0]
        wh = earliest.registers[0][1] if earliest.registers else None
        costing = begin(
            bill.first,
            Mark(earliest.time, wh),
            zone=bill.zone,
            evse_kind=bill.evse_kind,
            reserved_ms=bill.reserved_ms,
        )
    else:
        costing = costing.copy()
    shown = Bill(costing=costing, next_seq=bill.next_seq)
    for step in bill.held:
        _take(costing, shown, step)
    return costing


def cost(bill: Bill, *, periods: bool = True) -> CostDetails | None:
    """What it costs so far, or in all."""
    costing = view(bill)
    return None if costing is None else details.of(costing, ended=bill.ended, periods=periods)


def _settle(bill: Bill) -> None:
    found = cost(bill, periods=False)
    if found is not None:
        bill.amount = found.amount


def agrees(bill: Bill) -> bool | None:
    """Whether the station's own final cost is ours, to the cent; None where that cannot be said."""
    told = bill.told
    if told is None or not told.final or told.failed or not bill.complete or not bill.ended:
        return None
    ours = cost(bill, periods=False)
    assert ours is not None
    total = ours.total_cost.total
    return (
        told.currency == ours.total_cost.currency
        and told.excl_tax in (None, total.excl_tax)
        and told.incl_tax in (None, total.incl_tax)
        and (told.excl_tax is not None or told.incl_tax is not None)
    )
