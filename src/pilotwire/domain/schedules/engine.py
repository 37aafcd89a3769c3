"""The composite schedule: which rate holds when, of all profiles that are installed (2.x K 3.5, 3.6, K08; 1.6 3.13).

- Of one purpose the profile of the highest stack level *that has a period then* leads; where it has none (before its
  start, after its duration, outside its validity) the next lower one does.
- What the transaction may: PriorityCharging while it is on, else TxProfile, else TxDefaultProfile; each steps in where
  the one before has no period (K02.FR.08).
- That, ChargingStationMaxProfile and external constraints are combined by the lowest. Constraints of the whole station
  bind beside those of an EVSE of its own: never one instead of the other.
- LocalGeneration is added on top; what the hardware can give closes it off.
- EVSE 0 is what the station takes from the grid: the sum of its EVSEs, under the caps of the whole.
- An EVSE without a transaction: as if one began now under the default profiles, undelayed (K08.FR.06).

Where a rule can be read in two ways, the lower result is taken. The station runs this to obey (`limits_at`), both sides
run it to know (`composite`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

from .combine import Voice
from .curve import Curve, Piece, Row
from .model import (
    EV_SCHEDULE,
    EXTERNAL,
    LOCAL_GENERATION,
    PRIORITY,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Circumstances,
    Composite,
    Interval,
    Limits,
    Period,
    Place,
    Profile,
    Transaction,
    Unit,
)

NOWHERE = Circumstances()
_PLACE = Place()
_T = TypeVar("_T")


class _Group(NamedTuple):
    """Curves of which one leads at a time, highest first."""

    curves: list[Curve]
    by_transaction: bool = False


class _Parts(NamedTuple):
    """What is combined for one EVSE."""

    chain: _Group
    outside: list[_Group]
    """External constraints: the EVSE's own, then the whole station's."""
    others: list[_Group]
    generated: _Group


class Engine:
    """The profiles of one station, prepared. Make a new one when they change."""

    __slots__ = ("_by_purpose", "_curves")

    def __init__(self, profiles: Iterable[Profile]) -> None:
        self._curves = sorted((Curve(profile) for profile in profiles), key=lambda curve: curve.rank, reverse=True)
        self._by_purpose: dict[str, list[Curve]] = {}
        for curve in self._curves:
            self._by_purpose.setdefault(curve.purpose, []).append(curve)

    def _of(self, purpose: str, *evses: int) -> list[Curve]:
        return [curve for curve in self._by_purpose.get(purpose, ()) if curve.evse in evses]

    def _parts(self, evse: int, tx: Transaction | None, *, whole: bool) -> _Parts:
        """What counts for `evse`; without `whole` leave out what binds the station together."""
        chain: list[Curve] = []
        if tx is not None:
            if tx.priority:
                chain += self._of(PRIORITY, 0, evse)
            chain += [curve for curve in self._of(TX, evse) if curve.profile.transaction == tx.key]
        chain += self._of(TX_DEFAULT, 0, evse)
        outside = [_Group(self._of(EXTERNAL, evse))]
        others = [_Group(self._of(EV_SCHEDULE, evse))] if tx is not None else []
        generated: list[Curve] = []
        if whole:
            outside.append(_Group(self._of(EXTERNAL, 0)))
            others.append(_Group(self._of(STATION_MAX, 0)))
            generated = self._of(LOCAL_GENERATION, 0, evse)
        return _Parts(
            _Group(chain, by_transaction=True),
            [group for group in outside if group.curves],
            [group for group in others if group.curves],
            _Group(generated),
        )

    # ── over time ────────────────────────────────────────────────────────────────────────────────────────────────

    def composite(
        self, *, now: int, duration_ms: int, evse: int, unit: Unit, around: Circumstances = NOWHERE
    ) -> Composite:
        """The composite schedule of `evse` (0: the whole station) from `now` on for `duration_ms` in `unit`."""
        end = now + max(1, duration_ms)
        if evse:
            intervals = self._of_evse(evse, now, end, unit, around, whole=True)
        else:
            intervals = self._of_station(now, end, unit, around)
        return Composite(evse, unit, now, duration_ms, tuple(intervals))

    def _of_evse(
        self, evse: int, now: int, end: int, unit: Unit, around: Circumstances, *, whole: bool
    ) -> list[Interval]:
        tx = around.transactions.get(evse)
        parts = self._parts(evse, tx, whole=whole)
        start = now if tx is None else tx.start
        groups = [parts.chain, *parts.outside, *parts.others, parts.generated]
        lanes = [self._lay(group, now, end, tx, start, around) for group in groups]
        voice = Voice(around.places.get(evse, _PLACE), unit)
        outside_to = 1 + len(parts.outside)
        last = len(groups) - 1
        external = around.external.get(evse, around.external.get(0))
        out: list[Interval] = []
        before: tuple[int | None, int | None] | None = None
        for at, rows in _sweep(lanes, now, end):
            ma = mw = said = None
            rich = False
            for row in rows[:last]:
                if row is None:
                    continue
                if row.rich is not None:
                    rich = True
                    break
                a, w, p, _, _ = row
                if a is not None and (ma is None or a < ma):
                    ma = a
                if w is not None and (mw is None or w < mw):
                    mw = w
                if p is not None and (said is None or p < said):
                    said = p
            generated = rows[last]
            if rich or (generated is not None and generated.rich is not None):
                before = None
                interval = voice.rich(
                    rows[0],
                    [row for row in rows[1:outside_to] if row is not None],
                    [row for row in rows[outside_to:last] if row is not None],
                    generated,
                    external,
                    csms_first=around.setpoint_by_csms,
                )
                if not out or out[-1][1:] != interval[1:]:
                    out.append(interval._replace(start_ms=at - now))
                continue
            value = voice.plain(ma, mw, said, generated)
            if value != before:
                before = value
                plain = Interval(at - now, *value)
                if not out or out[-1][1:] != plain[1:]:
                    out.append(plain)
        return out

    def _of_station(self, now: int, end: int, unit: Unit, around: Circumstances) -> list[Interval]:
        place = around.places.get(0, _PLACE)
        voice = Voice(place, unit)
        evses = sorted(evse for evse in around.places if evse > 0)
        lanes: list[list[tuple[int, int, Interval]]] = []
        for evse in evses:
            intervals = self._of_evse(evse, now, end, unit, around, whole=False)
            ends = [*(now + each.start_ms for each in intervals[1:]), end]
            lanes.append([(now + each.start_ms, until, each) for each, until in zip(intervals, ends, strict=True)])
        own: list[Piece] = []
        for at, rows in _sweep(lanes, now, end):
            if own:
                own[-1] = (own[-1][0], at, own[-1][2])
            own.append((at, end, _together([row for row in rows if row is not None], unit)))
        groups = [_Group(self._of(purpose, 0)) for purpose in (EXTERNAL, STATION_MAX, LOCAL_GENERATION)]
        caps = [self._lay(group, now, end, None, now, around) for group in groups]
        out: list[Interval] = []
        for at, (expected, outside, most, generated) in _sweep([own, *caps], now, end):
            rows = [row for row in (expected, outside, most) if row is not None]
            if any(row.rich is not None for row in rows) or (generated is not None and generated.rich is not None):
                interval = voice.rich(
                    None,
                    [] if outside is None else [outside],
                    [row for row in (expected, most) if row is not None],
                    generated,
                    around.external.get(0),
                    csms_first=False,
                )
            else:
                interval = Interval(0, *voice.plain(*_lowest(rows), generated))
            if not out or out[-1][1:] != interval[1:]:
                out.append(interval._replace(start_ms=at - now))
        return out

    @staticmethod
    def _lay(
        group: _Group, now: int, end: int, tx: Transaction | None, tx_start: int, around: Circumstances
    ) -> list[Piece]:
        """What leads in `group` over [now, end), in order; where nothing does there is a gap."""
        pieces: list[Piece] = []
        gaps = [(now, end)]
        anchor = tx_start if tx is not None or group.by_transaction else None
        for curve in group.curves:
            rest: list[tuple[int, int]] = []
            for lo, hi in gaps:
                before = len(pieces)
                curve.spans(lo, hi, tx, anchor, around, pieces)
                cursor = lo
                for index in range(before, len(pieces)):
                    piece = pieces[index]
                    if piece[0] > cursor:
                        rest.append((cursor, piece[0]))
                    cursor = piece[1]
                if cursor < hi:
                    rest.append((cursor, hi))
            gaps = rest
            if not gaps:
                break
        pieces.sort(key=_begin)
        return pieces

    # ── now ──────────────────────────────────────────────────────────────────────────────────────────────────────

    def limits_at(self, at: int, *, evse: int, around: Circumstances = NOWHERE, whole: bool = True) -> Limits:
        """What `evse` may draw at the instant `at`, in both units, and until when.

        Without `whole` what binds the station together is left out: whoever shares that out asks for EVSE 0, whose
        limits are those caps and local generation alone.
        """
        tx = around.transactions.get(evse) if evse else None
        if evse:
            parts = self._parts(evse, tx, whole=whole)
        else:
            parts = _Parts(
                _Group([]),
                [_Group(self._of(EXTERNAL, 0))],
                [_Group(self._of(STATION_MAX, 0))],
                _Group(self._of(LOCAL_GENERATION, 0)),
            )
        start = at if tx is None else tx.start
        until: int | None = None
        found: list[Row | None] = []
        for group in (parts.chain, *parts.outside, *parts.others, parts.generated):
            leading: Row | None = None
            anchor = start if tx is not None or group.by_transaction else None
            for curve in group.curves:
                leading, change = curve.at(at, tx, anchor, around)
                if change is not None and (until is None or change < until):
                    until = change
                if leading is not None:
                    break
            found.append(leading)
        generated = found.pop()
        said_rows = [row for row in found if row is not None]
        rich = any(row.rich is not None for row in said_rows)
        ma, mw, said = _lowest(said_rows)
        place = around.places.get(evse, _PLACE)
        if rich or (generated is not None and generated.rich is not None):
            outside_to = 1 + len(parts.outside)
            unbounded = place._replace(max_ma=None, max_mw=None)
            amperes, watts = (
                voice.rich(
                    found[0],
                    [row for row in found[1:outside_to] if row is not None],
                    [row for row in found[outside_to:] if row is not None],
                    generated,
                    around.external.get(evse, around.external.get(0)),
                    csms_first=around.setpoint_by_csms,
                )
                for voice in (Voice(unbounded, "A"), Voice(unbounded, "W"))
            )
            each = [value for value in (amperes.limit, amperes.limit_l2, amperes.limit_l3) if value is not None]
            every = [value for value in (watts.limit, watts.limit_l2, watts.limit_l3) if value is not None]
            return Limits(min(each) if each else None, sum(every) if every else None, watts.phases, until, watts)
        if generated is not None and (ma is not None or mw is not None):
            voice = Voice(place, "A")
            more = voice.lowest(generated.ma, generated.mw, voice.phases(said))
            ma = ma if ma is None else ma + max(0, more or 0)
            voice = Voice(place, "W")
            more = voice.lowest(generated.ma, generated.mw, voice.phases(said))
            mw = mw if mw is None else mw + max(0, more or 0)
        return Limits(ma, mw, said, until)


def composite(
    profiles: Iterable[Profile], *, now: int, duration_ms: int, evse: int, unit: Unit, around: Circumstances = NOWHERE
) -> Composite:
    """`Engine.composite` for profiles that are asked once."""
    return Engine(profiles).composite(now=now, duration_ms=duration_ms, evse=evse, unit=unit, around=around)


def limits_at(
    profiles: Iterable[Profile], at: int, *, evse: int, around: Circumstances = NOWHERE, whole: bool = True
) -> Limits:
    """`Engine.limits_at` for profiles that are asked once."""
    return Engine(profiles).limits_at(at, evse=evse, around=around, whole=whole)


def _begin(piece: Piece) -> int:
    return piece[0]


def _lowest(rows: Iterable[Row]) -> tuple[int | None, int | None, int | None]:
    """(mA, mW, numberPhases): of each the lowest that is said."""
    ma: int | None = None
    mw: int | None = None
    said: int | None = None
    for row in rows:
        if row.ma is not None and (ma is None or row.ma < ma):
            ma = row.ma
        if row.mw is not None and (mw is None or row.mw < mw):
            mw = row.mw
        if row.phases is not None and (said is None or row.phases < said):
            said = row.phases
    return ma, mw, said


def _sweep(lanes: Sequence[Sequence[tuple[int, int, _T]]], now: int, end: int) -> Iterator[tuple[int, list[_T | None]]]:
    """Every instant of [now, end) at which something changes, with what each lane says from then on."""
    bounds = {now}
    for lane in lanes:
        for begin, until, _ in lane:
            bounds.add(begin)
            bounds.add(until)
    bounds.discard(end)
    count = len(lanes)
    places = [0] * count
    for at in sorted(bounds):
        rows: list[_T | None] = [None] * count
        for index in range(count):
            lane = lanes[index]
            place = places[index]
            while place < len(lane) and lane[place][1] <= at:
                place += 1
            places[index] = place
            if place < len(lane) and lane[place][0] <= at:
                rows[index] = lane[place][2]
        yield at, rows


def _together(intervals: Sequence[Interval], unit: Unit) -> Row:
    """What several EVSEs may take together: no limit as soon as one of them has none."""
    limit: int | None = 0
    discharge = 0
    discharges = False
    for each in intervals:
        if limit is not None:
            if each.limit is None:
                limit = None
            elif unit == "W":
                limit += each.limit + (each.limit_l2 or 0) + (each.limit_l3 or 0)
            else:
                limit += max(each.limit, each.limit_l2 or 0, each.limit_l3 or 0)
        if each.discharge is not None:
            discharges = True
            discharge += each.discharge + ((each.discharge_l2 or 0) + (each.discharge_l3 or 0) if unit == "W" else 0)
    if not intervals:
        limit = None
    if discharges:
        return Row(None, None, None, Period(start_ms=0, limit=limit, discharge=discharge), unit)
    return Row(limit, None, None, None, unit) if unit == "A" else Row(None, limit, None, None, unit)
