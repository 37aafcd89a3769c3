"""Whether a meter's sample can be believed: a table of rules, what it remembers, and the currents that may be used.

    judged = judge(sample, Bounds(carries_ma=63_000), memory, now)
    judged.currents          # on L1, L2, L3, export negative; None: as if the sample had not come
    judged.marks             # which rule, of which points, in words
    judged.memory            # for the next sample

Names of points are those that drivers, device files and the loop share (`current_l1_ma`, `power_mw` and so on); any may
be missing, and a rule that lacks one says nothing. A sample in doubt is never used for a set-point: the last good one
counts on until its deadline, then `side_lost_ma` of the node. So what is corrupted in one of these ways gives the same
set-points as what is lost.

A phase counts as feeding in only where the sign of its power says so and all powers add up; a sign of its own that
nothing confirms is taken for a load. What lies within the bounds of a power factor (a current that is 20 % too low with
its power as it should be) cannot be recognised by anything that a meter says.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, NamedTuple

import msgspec

from .demand import Moment
from .model import Phases
from .scale import thousandth

Quality = Literal["good", "suspect", "bad"]
"""As `site.ports.Quality`, which this cannot import: `suspect` is implausible, `bad` is no value at all."""

Code = Literal[
    "sentinel", "swapped", "sign", "frozen", "frozen_energy", "jump", "voltage", "contradicts_power", "sum", "time"
]

CURRENTS = ("current_l1_ma", "current_l2_ma", "current_l3_ma")
POWERS = ("power_l1_mw", "power_l2_mw", "power_l3_mw")
VOLTAGES = ("voltage_l1_mv", "voltage_l2_mv", "voltage_l3_mv")
ELECTRIC = (*CURRENTS, *POWERS, *VOLTAGES, "current_n_ma", "power_mw", "frequency_mhz")
_SENTINELS = (0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
_WORDS32 = 1 << 32


class Bounds(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What can be at this meter. `carries_ma`: its fuse. Times in ms; None switches a rule off."""

    carries_ma: int
    voltage_mv: int = 230_000
    same_ms: int | None = 60_000
    """For so long no figure of a living meter that shows a voltage or a frequency stays the same."""
    energy_wh: int = 500
    """So much may flow until the energy register moves: at least two of its units."""


class Sample(msgspec.Struct, frozen=True):
    """What a meter says; `at_ms` of the tick's clock."""

    points: Mapping[str, int]
    at_ms: int
    energy_at_ms: int | None = None
    """When the energy register was read, where that is more seldom than the rest; None: with the rest."""


class Mark(msgspec.Struct, frozen=True):
    """Something that cannot be, at these points."""

    code: Code
    quality: Quality
    points: tuple[str, ...]
    words: str


class Memory(msgspec.Struct, frozen=True):
    """What is remembered of a meter. Empty at the start."""

    good: Sample | None = None
    """The last sample without a mark."""
    last: Sample | None = None
    same_since_ms: int = 0
    """Since when all figures have been what they are."""
    register_wh: int | None = None
    flowed_mwms: int = 0
    """mW × ms that have flowed since the register moved,"""
    missing_mwms: int = 0
    """and of them what had flowed when the register was read last: what it should have counted."""


class Judgement(msgspec.Struct, frozen=True):
    """See the module."""

    quality: Quality
    marks: tuple[Mark, ...]
    currents: Phases | None
    memory: Memory

    def of(self, point: str) -> Quality:
        """How good one point is."""
        found = {mark.quality for mark in self.marks if point in mark.points}
        return "bad" if "bad" in found else "suspect" if found else "good"


class _Case(NamedTuple):
    points: Mapping[str, int]
    sample: Sample
    bounds: Bounds
    memory: Memory
    now: Moment


Finding = tuple[tuple[str, ...], str]


def _time(case: _Case) -> Iterator[Finding]:
    last = case.memory.last
    if case.sample.at_ms > case.now.tick_ms:
        yield tuple(case.points), f"is from {case.sample.at_ms - case.now.tick_ms} ms in the future"
    elif last is not None and case.sample.at_ms < last.at_ms:
        yield tuple(case.points), f"is {last.at_ms - case.sample.at_ms} ms older than the one before"


def _possible(point: str, bounds: Bounds) -> int | None:
    """Far above what can be there; a short circuit of five times the fuse is over before it can be read twice."""
    if point.endswith("_ma"):
        return 5 * bounds.carries_ma
    if point.endswith("_mv") and not point.startswith("dc"):
        return 5 * bounds.voltage_mv
    if point.startswith("power_l"):
        return 5 * bounds.carries_ma * bounds.voltage_mv // 1_000
    return 15 * bounds.carries_ma * bounds.voltage_mv // 1_000 if point == "power_mw" else None


def _impossible(case: _Case) -> Iterator[tuple[str, int]]:
    for point, value in case.points.items():
        most = _possible(point, case.bounds)
        if most is not None and abs(value) > most:
            yield point, value


def is_sentinel(value: int) -> bool:
    """Whether it is what a register says that has nothing to say, in any decimal scale."""
    value = abs(value)
    for _ in range(7):
        if value in _SENTINELS:
            return True
        if value % 10:
            return False
        value //= 10
    return False


def swapped(value: int) -> set[int]:
    """What it would be with the words of its register the other way round, in the scales that registers have."""
    found: set[int] = set()
    for scale in (1, 10, 100, 1_000):
        if value % scale == 0 and -(_WORDS32 // 2) <= value // scale < _WORDS32:
            raw = value // scale % _WORDS32
            turned = (raw & 0xFFFF) << 16 | raw >> 16
            found |= {turned * scale, (turned - _WORDS32) * scale}
    return found


def _sentinel(case: _Case) -> Iterator[Finding]:
    for point, value in _impossible(case):
        if is_sentinel(value):
            yield (point,), f"is {value}, which says that there is no value"


def _swap(case: _Case) -> Iterator[Finding]:
    for point, value in _impossible(case):
        most = _possible(point, case.bounds) or 0
        if not is_sentinel(value) and any(abs(other) <= most // 5 for other in swapped(value)):
            yield (point,), f"is {value}: its words seem to be the wrong way round"


def _jump(case: _Case) -> Iterator[Finding]:
    for point, value in _impossible(case):
        turned = any(abs(other) <= (_possible(point, case.bounds) or 0) // 5 for other in swapped(value))
        if not is_sentinel(value) and not turned:
            yield (point,), f"is {thousandth(value)}, five times what a fuse of its size lets through"


def _voltage(case: _Case) -> Iterator[Finding]:
    for at, point in enumerate(VOLTAGES):
        value = case.points.get(point)
        if value is None or case.bounds.voltage_mv // 2 <= value <= case.bounds.voltage_mv * 3 // 2:
            continue
        yield (point, CURRENTS[at], POWERS[at], "power_mw"), f"is {thousandth(value)} V; nothing measured there is true"


def _sign(case: _Case) -> Iterator[Finding]:
    for current, power in zip(CURRENTS, POWERS, strict=True):
        ma, mw = case.points.get(current), case.points.get(power)
        if ma is None or mw is None:
            continue
        if ma <= -500 and mw >= 50_000:
            yield (current, power), f"flows back with {thousandth(ma)} A while {thousandth(mw)} W are used"


def _contradicts_power(case: _Case) -> Iterator[Finding]:
    """Active power is never more than voltage by current."""
    for at, (current, power) in enumerate(zip(CURRENTS, POWERS, strict=True)):
        ma, mw = case.points.get(current), case.points.get(power)
        if ma is None or mw is None:
            continue
        mv = case.points.get(VOLTAGES[at], case.bounds.voltage_mv * 11 // 10)
        if abs(mw) * 10 > abs(ma) * mv // 1_000 * 11 + 2_000_000:
            yield (current, power), f"is {thousandth(ma)} A, too little for the {thousandth(mw)} W of its phase"


def _sum(case: _Case) -> Iterator[Finding]:
    total = case.points.get("power_mw")
    if total is None or not all(point in case.points for point in POWERS):
        return
    added = sum(case.points[point] for point in POWERS)
    if abs(added - total) > _tolerance(total):
        yield (*POWERS, "power_mw"), f"is {thousandth(total)} W, but its phases add up to {thousandth(added)} W"


def _alive(points: Mapping[str, int]) -> bool:
    return any(point in points for point in (*VOLTAGES, "frequency_mhz"))


def _frozen(case: _Case) -> Iterator[Finding]:
    last = case.memory.last
    if case.bounds.same_ms is None or last is None or not _alive(case.points) or last.points != case.points:
        return
    since = case.sample.at_ms - case.memory.same_since_ms
    if since >= case.bounds.same_ms:
        yield tuple(case.points), f"has not changed in any figure for {since} ms"


def _frozen_energy(case: _Case) -> Iterator[Finding]:
    wh = case.points.get("energy_import_wh")
    flowed = _missing(case.memory, case.sample)
    if wh is not None and wh == case.memory.register_wh and flowed // 3_600_000_000 >= case.bounds.energy_wh:
        # Which of the two is wrong nobody can say: a power that stands still gives no room either.
        points = tuple(point for point in (*ELECTRIC, "energy_import_wh") if point in case.points)
        yield points, f"stands at {wh} Wh though {flowed // 3_600_000_000} Wh have flowed"


class Rule(NamedTuple):
    """One row of the table: what is wrong, how bad that is, and how it is found."""

    code: Code
    quality: Quality
    find: Callable[[_Case], Iterator[Finding]]


RULES: tuple[Rule, ...] = (
    Rule("time", "bad", _time),
    Rule("sentinel", "bad", _sentinel),
    Rule("swapped", "bad", _swap),
    Rule("jump", "suspect", _jump),
    Rule("voltage", "suspect", _voltage),
    Rule("sign", "suspect", _sign),
    Rule("contradicts_power", "suspect", _contradicts_power),
    Rule("sum", "suspect", _sum),
    Rule("frozen", "suspect", _frozen),
    Rule("frozen_energy", "suspect", _frozen_energy),
)


def judge(sample: Sample, bounds: Bounds, memory: Memory, now: Moment) -> Judgement:
    """What is wrong with `sample`, and what of it may be used. Pure; raises nothing, whatever the figures are."""
    case = _Case(sample.points, sample, bounds, memory, now)
    marks = tuple(
        Mark(
            rule.code, rule.quality, points, f"{points[0] if len(points) < len(case.points) else 'the sample'} {words}"
        )
        for rule in RULES
        for points, words in rule.find(case)
        if points
    )
    found = {mark.quality for mark in marks}
    quality: Quality = "bad" if "bad" in found else "suspect" if found else "good"
    # One figure that cannot be makes the others doubtful too: they came in the same words.
    currents = None if marks else _currents(sample.points)
    if any(mark.code == "time" for mark in marks):
        return Judgement(quality, marks, None, memory)
    return Judgement(quality, marks, currents, _remember(memory, sample, good=not marks))


def _currents(points: Mapping[str, int]) -> Phases | None:
    if not all(point in points for point in CURRENTS):
        return None
    signed = [abs(points[current]) for current in CURRENTS]
    total = points.get("power_mw")
    if total is not None and all(point in points for point in POWERS):
        powers = [points[power] for power in POWERS]
        for phase, mw in enumerate(powers):
            # Were it used instead of fed in, the sum would have to show it.
            if mw < 0 and abs(sum(powers) - 2 * mw - total) > _tolerance(total):
                signed[phase] = -signed[phase]
    return signed[0], signed[1], signed[2]


def _tolerance(total_mw: int) -> int:
    """By how much a sum of powers may be off."""
    return max(100_000, abs(total_mw) // 50)


def _flowed(memory: Memory, sample: Sample) -> int:
    """mW × ms of import since the register moved."""
    last, mw = memory.last, sample.points.get("power_mw")
    if last is None or mw is None or sample.points.get("energy_import_wh") != memory.register_wh:
        return 0
    before = last.points.get("power_mw", 0)
    return memory.flowed_mwms + max(0, min(mw, before)) * max(0, sample.at_ms - last.at_ms)


def _missing(memory: Memory, sample: Sample) -> int:
    """What the register should have counted by when it was read last."""
    flowed, last = _flowed(memory, sample), memory.last
    read = sample.energy_at_ms is None or last is None or sample.energy_at_ms != last.energy_at_ms
    return flowed if read else min(flowed, memory.missing_mwms)


def _remember(memory: Memory, sample: Sample, *, good: bool) -> Memory:
    last = memory.last
    same = last is not None and last.points == sample.points
    return Memory(
        good=sample if good else memory.good,
        last=sample,
        same_since_ms=memory.same_since_ms if same else sample.at_ms,
        register_wh=sample.points.get("energy_import_wh"),
        flowed_mwms=_flowed(memory, sample),
        missing_mwms=_missing(memory, sample),
    )
