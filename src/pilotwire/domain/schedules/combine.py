"""What several profiles say at one moment, made into one: the lowest cap, local generation on top.

A is per phase, W is all phases together, so that the two are compared over the set voltage and the phases in use:
the fewest that any of the profiles and the hardware allow (K01.FR.50, .140). All is integer arithmetic rounded towards
zero, which never states a limit higher than it is; as rounding down keeps order, the lowest of the rounded is the
rounded lowest.
"""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import structs

from .curve import Row
from .model import CHARGING_ONLY, EXTERNAL_LIMITS, EXTERNAL_SETPOINT, Interval, Period, Place, Rates, Unit

_Triple = tuple[int, int, int]


class Voice:
    """Combines rows for one EVSE in one unit."""

    __slots__ = ("_ceilings", "_dc", "_mv", "_phases", "unit")

    def __init__(self, place: Place, unit: Unit) -> None:
        self.unit = unit
        self._mv = place.mv
        self._phases = 1 if place.dc else place.phases
        self._dc = place.dc
        self._ceilings = [
            None if phases == 0 else self.lowest(place.max_ma, place.max_mw, phases)
            for phases in range(self._phases + 1)
        ]
        """What the hardware can give in `unit`, by the number of phases."""

    def lowest(self, ma: int | None, mw: int | None, phases: int) -> int | None:
        """The lower of a current per phase and a power, in `unit`."""
        if self.unit == "A":
            if mw is None:
                return ma
            other = mw * 1000 // (self._mv * phases)
            return other if ma is None or other < ma else ma
        if ma is None:
            return mw
        other = ma * self._mv * phases // 1000
        return other if mw is None or other < mw else mw

    def phases(self, said: int | None) -> int:
        """The number of phases in use."""
        return self._phases if said is None or said > self._phases or said < 1 else said

    def plain(
        self, ma: int | None, mw: int | None, said: int | None, generated: Row | None
    ) -> tuple[int | None, int | None]:
        """(limit, numberPhases) of caps that are limits alone."""
        phases = self._phases if said is None or said > self._phases or said < 1 else said
        limit = self.lowest(ma, mw, phases)
        if generated is not None and limit is not None:
            more = self.lowest(generated.ma, generated.mw, phases)
            if more is not None and more > 0:
                limit += more
        ceiling = self._ceilings[phases]
        if ceiling is not None and (limit is None or ceiling < limit):
            limit = ceiling
        return limit, None if said is None or self._dc else phases

    # ── more than a limit ────────────────────────────────────────────────────────────────────────────────────────

    def rich(
        self,
        chain: Row | None,
        outside: Sequence[Row],
        others: Sequence[Row],
        generated: Row | None,
        external: Rates | None,
        *,
        csms_first: bool,
    ) -> Interval:
        """The same with set-points, discharging and single phases. `start_ms` of the result is 0.

        `chain` is the transaction's leading period, `outside` those of external constraints (the EVSE's own first),
        `others` the remaining caps.
        """
        led = None if chain is None else _period(chain, external)
        beyond = [_period(row) for row in outside]
        rows: list[tuple[Rates, str]] = []
        said: int | None = None
        wanted: int | None = None
        for row, period in [
            *(((chain, led),) if chain is not None and led is not None else ()),
            *zip(outside, beyond, strict=True),
            *((row, _period(row)) for row in others),
        ]:
            rows.append((period, row.unit))
            if period.phases is not None and (said is None or period.phases < said):
                said = period.phases
            if wanted is None:
                wanted = period.phase_to_use
        phases = self.phases(said)
        if phases != 1:
            wanted = None
        limits = [
            ((period.limit, period.limit_l2, period.limit_l3), unit)
            for period, unit in rows
            if period.limit is not None
        ]
        limit, limit_split = self._cap(limits, phases, wanted)
        if limit is not None and generated is not None:
            period = _period(generated)
            more = self._convert(period.limit, generated.unit, phases)
            if more is not None and more > 0:
                each = more // phases if limit_split is not None and self.unit == "W" else more
                limit += more
                if limit_split is not None:
                    limit_split = (limit_split[0] + each, limit_split[1] + each, limit_split[2] + each)
        limit, limit_split = self._under_ceiling(limit, limit_split, phases)
        discharges = [
            ((-period.discharge, _minus(period.discharge_l2), _minus(period.discharge_l3)), unit)
            for period, unit in rows
            if period.discharge is not None
        ]
        discharge, discharge_split = self._cap(discharges, phases, wanted)
        source, mode = self._source(led, chain, beyond, outside, csms_first=csms_first)
        setpoint = setpoint_split = reactive = reactive_split = None
        if source is not None:
            period, unit = source
            setpoint, setpoint_split = self._signed(
                (period.setpoint, period.setpoint_l2, period.setpoint_l3), unit, phases
            )
            reactive, reactive_split = self._signed(
                (period.reactive, period.reactive_l2, period.reactive_l3), unit, phases
            )
        if setpoint is not None:
            if (sum(setpoint_split) if setpoint_split is not None and self.unit == "W" else setpoint) >= 0:
                setpoint, setpoint_split = self._within(setpoint, setpoint_split, limit, limit_split, phases)
            else:
                less, less_split = self._within(
                    -setpoint,
                    None if setpoint_split is None else _negated(setpoint_split),
                    discharge,
                    discharge_split,
                    phases,
                )
                setpoint, setpoint_split = -less, None if less_split is None else _negated(less_split)
        l1, l2, l3 = _shown(limit, limit_split, phases)
        d1, d2, d3 = _shown(discharge, discharge_split, phases)
        s1, s2, s3 = _shown(setpoint, setpoint_split, phases)
        r1, r2, r3 = _shown(reactive, reactive_split, phases)
        return Interval(
            0,
            l1,
            None if said is None or self._dc else phases,
            l2,
            l3,
            _minus(d1),
            _minus(d2),
            _minus(d3),
            s1,
            s2,
            s3,
            r1,
            r2,
            r3,
            wanted,
            mode,
            led.sleep if led is not None else False,
            led.precondition if led is not None else False,
            led.baseline if led is not None else None,
            led.freq_watt if led is not None else (),
            led.signal_watt if led is not None else (),
        )

    def _source(
        self,
        led: Period | None,
        chain: Row | None,
        beyond: list[Period],
        outside: Sequence[Row],
        *,
        csms_first: bool,
    ) -> tuple[tuple[Rates, str] | None, str]:
        """Whose set-point is followed (Q06.FR.20 to .22), and the operation mode that is shown."""
        own = (led, chain.unit) if led is not None and chain is not None and _asks(led) else None
        for period, row in zip(beyond, outside, strict=True):
            if period.mode == EXTERNAL_SETPOINT and _asks(period) and not (own is not None and csms_first):
                return (period, row.unit), EXTERNAL_SETPOINT
        mode = led.mode if led is not None else next((p.mode for p in beyond if p.mode != CHARGING_ONLY), CHARGING_ONLY)
        return own, mode

    def _convert(self, value: int | None, unit: str, phases: int) -> int | None:
        if value is None or unit == self.unit:
            return value
        return value * 1000 // (self._mv * phases) if unit == "W" else value * self._mv * phases // 1000

    def _each(self, values: tuple[int, int | None, int | None], unit: str, phases: int) -> _Triple:
        """A row as three rates of one phase each, in `unit`."""
        first, second, third = values
        if unit == "A":
            each = (first, first if second is None else second, first if third is None else third)
        elif second is None and third is None:
            share = first // phases
            each = (share, share, share)
        else:
            each = (first, second or 0, third or 0)
        if unit == self.unit:
            return each
        if unit == "W":
            return each[0] * 1000 // self._mv, each[1] * 1000 // self._mv, each[2] * 1000 // self._mv
        return each[0] * self._mv // 1000, each[1] * self._mv // 1000, each[2] * self._mv // 1000

    def _cap(
        self, rows: list[tuple[tuple[int, int | None, int | None], str]], phases: int, wanted: int | None
    ) -> tuple[int | None, _Triple | None]:
        """The lowest of magnitudes: (all together or per phase as the unit is, by phase where one names phases)."""
        if not rows:
            return None, None
        whole: int | None = None
        split = any(values[1] is not None or values[2] is not None for values, _ in rows)
        for values, unit in rows:
            if values[1] is None and values[2] is None:
                converted = self._convert(values[0], unit, phases)
                if converted is not None and (whole is None or converted < whole):
                    whole = converted
        if not split:
            return whole, None
        lowest: _Triple | None = None
        for values, unit in rows:
            named = values[1] is not None or values[2] is not None
            if unit == "W" and self.unit == "W" and not named:
                continue  # a total binds the sum, not a phase
            each = self._each(values, unit, phases)
            if unit == "W" and not named:
                share = self._convert(values[0], unit, phases) or 0
                each = (share, share, share)
            lowest = (
                each
                if lowest is None
                else (
                    min(lowest[0], each[0]),
                    min(lowest[1], each[1]),
                    min(lowest[2], each[2]),
                )
            )
        assert lowest is not None
        used = _used(lowest, phases, wanted)
        if self.unit == "W":
            total = sum(used)
            if whole is not None and total > whole:
                used = used[0] * whole // total, used[1] * whole // total, used[2] * whole // total
                total = sum(used)
            return (total, used) if phases > 1 else (total, None)
        if phases == 1:
            return max(used), None
        return min(used[:phases]), used

    def _under_ceiling(
        self, limit: int | None, split: _Triple | None, phases: int
    ) -> tuple[int | None, _Triple | None]:
        ceiling = self._ceilings[phases]
        if ceiling is None:
            return limit, split
        if limit is None:
            return ceiling, None
        if split is None:
            return min(limit, ceiling), None
        if self.unit == "A":
            split = min(split[0], ceiling), min(split[1], ceiling), min(split[2], ceiling)
            return min(split[:phases]), split
        share = ceiling // phases
        split = min(split[0], share), min(split[1], share), min(split[2], share)
        return sum(split[:phases]), split

    def _signed(
        self, values: tuple[int | None, int | None, int | None], unit: str, phases: int
    ) -> tuple[int | None, _Triple | None]:
        """A set-point in `unit`, rounded towards zero."""
        first, second, third = values
        if first is None:
            return None, None
        if second is None and third is None:
            size = self._convert(abs(first), unit, phases)
            return (size if first >= 0 else -(size or 0)), None
        signs = [1 if (value or 0) >= 0 else -1 for value in values]
        each = self._each((abs(first), _size(second), _size(third)), unit, phases)
        split = signs[0] * each[0], signs[1] * each[1], signs[2] * each[2]
        used = _used(split, phases, None)
        return (sum(used) if self.unit == "W" else used[0]), used

    def _within(
        self, size: int, split: _Triple | None, cap: int | None, cap_split: _Triple | None, phases: int
    ) -> tuple[int, _Triple | None]:
        """A set-point no further out than the limit (V2X.03, .04)."""
        if cap is None:
            return size, split
        if split is not None and (cap_split is not None or self.unit == "A"):
            caps = cap_split if cap_split is not None else (cap, cap, cap)
            split = min(split[0], caps[0]), min(split[1], caps[1]), min(split[2], caps[2])
            size = sum(split) if self.unit == "W" else split[0]
        if self.unit == "W" and split is not None:
            if size > cap:
                kept = [max(0, value) for value in split]
                total = sum(kept)
                split = kept[0] * cap // total, kept[1] * cap // total, kept[2] * cap // total
                size = sum(split)
            return size, split
        return (size if split is not None else min(size, cap)), split


def _period(row: Row, external: Rates | None = None) -> Period:
    """The row's period; where an external system rules (Q05.FR.01, .02), with what it says."""
    period = row.rich
    if period is None:
        return Period(start_ms=0, limit=row.ma if row.unit == "A" else row.mw, phases=row.phases)
    if external is not None:
        if period.mode == EXTERNAL_SETPOINT:
            return structs.replace(
                period,
                setpoint=external.setpoint,
                setpoint_l2=external.setpoint_l2,
                setpoint_l3=external.setpoint_l3,
                reactive=external.reactive,
                reactive_l2=external.reactive_l2,
                reactive_l3=external.reactive_l3,
            )
        if period.mode == EXTERNAL_LIMITS:
            return structs.replace(
                period,
                limit=external.limit,
                limit_l2=external.limit_l2,
                limit_l3=external.limit_l3,
                discharge=external.discharge,
                discharge_l2=external.discharge_l2,
                discharge_l3=external.discharge_l3,
            )
    return period


def _asks(period: Period) -> bool:
    return period.setpoint is not None or period.reactive is not None


def _minus(value: int | None) -> int | None:
    return None if value is None else -value


def _size(value: int | None) -> int | None:
    return None if value is None else abs(value)


def _negated(split: _Triple) -> _Triple:
    return -split[0], -split[1], -split[2]


def _used(split: _Triple, phases: int, wanted: int | None) -> _Triple:
    """Phases that are not in use carry nothing."""
    if phases == 1 and wanted in (2, 3):
        return (0, split[1], 0) if wanted == 2 else (0, 0, split[2])
    return split[0], split[1] if phases > 1 else 0, split[2] if phases > 2 else 0


def _shown(whole: int | None, split: _Triple | None, phases: int) -> tuple[int | None, int | None, int | None]:
    """As the wire has it: the first field is L1 where phases are named."""
    if whole is None or split is None:
        return whole, None, None
    return split[0], split[1], split[2] if phases > 2 else None
