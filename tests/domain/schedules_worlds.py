"""Sets of charging profiles, drawn from whatever gives numbers: a seeded generator or hypothesis.

All times are whole seconds close to `NOW`, so that a short window sees starts, ends, cycles and gaps.
"""

from __future__ import annotations

from random import Random
from typing import NamedTuple
from zoneinfo import ZoneInfo

from pilotwire.domain.schedules.model import (
    Circumstances,
    LimitAtSoc,
    Period,
    Place,
    Profile,
    Schedule,
    Transaction,
)

NOW = 1_792_893_600_000 - 12_000
"""12 s before Central Europe's clocks go back, on 2026-10-25T01:00Z."""
DAY = 86_400_000
WINDOW_S = 24
ZONE = ZoneInfo("Europe/Berlin")

PURPOSES = (
    "TxDefaultProfile",
    "TxDefaultProfile",
    "TxProfile",
    "TxProfile",
    "ChargingStationMaxProfile",
    "ChargingStationExternalConstraints",
    "PriorityCharging",
    "LocalGeneration",
    "EVChargingSchedule",
)


class Set(NamedTuple):
    """One case."""

    profiles: list[Profile]
    around: Circumstances
    unit: str
    evse: int


class Seeded:
    """Numbers from a seed: fast."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)

    def whole(self, low: int, high: int) -> int:
        return low + int(self.random.random() * (high - low + 1))

    def one(self, choices):
        return choices[int(self.random.random() * len(choices))]

    def chance(self, percent: int) -> bool:
        return self.random.random() * 100 < percent


class Drawn:
    """Numbers from hypothesis: shrinks."""

    def __init__(self, draw, strategies) -> None:
        self.draw, self.st = draw, strategies

    def whole(self, low: int, high: int) -> int:
        return self.draw(self.st.integers(low, high))

    def one(self, choices):
        return self.draw(self.st.sampled_from(choices))

    def chance(self, percent: int) -> bool:
        return self.draw(self.st.integers(0, 99)) >= 100 - percent


def _near(source, before: int = 20) -> int:
    return NOW + source.whole(-before, WINDOW_S + 5) * 1000


def _period(source, start: int, unit: str, purpose: str, *, rich: bool, split: bool) -> Period:
    top = 63_000 if unit == "A" else 22_000_000
    limit = (
        0
        if source.chance(10)
        else source.whole(0, top // 100) * 100 + (source.whole(0, 99) if source.chance(10) else 0)
    )
    phases = source.one((None, None, None, 1, 2, 3))
    if not rich:
        return Period(start_ms=start, limit=limit, phases=phases)
    if purpose == "ChargingStationExternalConstraints":
        mode = source.one(("ChargingOnly", "ExternalSetpoint", "ExternalLimits"))
    elif purpose in ("TxProfile", "TxDefaultProfile"):
        mode = source.one(("ChargingOnly", "CentralSetpoint", "Idle", "ExternalLimits"))
    else:
        mode = "ChargingOnly"
    fields: dict[str, object] = {}
    if source.chance(60):
        fields["discharge"] = -source.whole(0, top)
    if source.chance(60):
        fields["setpoint"] = source.whole(fields.get("discharge", -top), limit)
    if split and purpose == "TxProfile":
        for name in ("limit_l2", "limit_l3"):
            if source.chance(60):
                fields[name] = source.whole(0, top)
    return Period(start_ms=start, limit=limit, phases=phases, mode=mode, **fields)


def _schedule(source, purpose: str, kind: str, *, rich: bool, split: bool) -> Schedule:
    unit = source.one(("A", "W"))
    count = 1 if kind == "Dynamic" else source.whole(1, 4)
    begins = [0]
    for _ in range(count - 1):
        begins.append(begins[-1] + source.whole(1, 12) * 1000)
    start = None
    local = False
    if kind in ("Absolute", "Recurring") and not source.chance(10):
        local = source.chance(15)
        start = _near(source) + (source.one((3_600_000, 7_200_000)) if local else 0)
        if kind == "Recurring":
            start -= source.whole(0, 9) * DAY
            if source.chance(40):
                # So long ago that the tail of the day before is seen.
                start += DAY - source.whole(0, 20) * 1000
    return Schedule(
        unit=unit,
        periods=tuple(_period(source, begin, unit, purpose, rich=rich, split=split) for begin in begins),
        start=start,
        local=local,
        duration_ms=source.whole(1, 40) * 1000 if source.chance(45) else None,
        limit_at_soc=LimitAtSoc(800, source.whole(0, 30) * 1000) if source.chance(8) else None,
        random_delay_ms=10_000 if source.chance(10) else 0,
    )


def _profile(source, id_: int, *, rich: bool, split: bool) -> Profile:
    purpose = source.one(PURPOSES)
    kind = source.one(("Absolute", "Absolute", "Recurring", "Recurring", "Relative", "Dynamic"))
    evse = 1 if purpose in ("TxProfile", "EVChargingSchedule") else source.whole(0, 1)
    if purpose == "ChargingStationMaxProfile":
        evse = 0
    count = source.whole(1, 3) if purpose == "TxProfile" and source.chance(10) else 1
    return Profile(
        id=id_,
        evse=evse,
        stack=source.whole(0, 3),
        purpose=purpose,
        kind=kind,
        recurrency=source.one(("Daily", "Weekly")) if kind == "Recurring" else None,
        valid_from=_near(source) if source.chance(20) else None,
        valid_to=_near(source, 0) if source.chance(25) else None,
        transaction=("tx" if source.chance(90) else "other") if purpose == "TxProfile" else None,
        installed=_near(source, 30),
        updated=_near(source, 30) if kind == "Dynamic" and source.chance(70) else None,
        max_offline_ms=source.whole(0, 30) * 1000 if source.chance(10) else None,
        schedules=tuple(_schedule(source, purpose, kind, rich=rich, split=split) for _ in range(count)),
    )


def draw_set(source, *, split: bool = False) -> Set:
    """A set of up to eight profiles with what is around them."""
    rich = split or source.chance(30)
    profiles = [_profile(source, at, rich=rich, split=split) for at in range(source.whole(0, 8))]
    place = Place(
        mv=source.one((230_000, 230_000, 120_000, 400_000, 229_999)),
        phases=source.whole(1, 3),
        dc=source.chance(20),
        max_ma=source.whole(0, 80) * 1000 if source.chance(50) else None,
        max_mw=source.whole(0, 50_000_000) if source.chance(50) else None,
    )
    transaction = None
    if source.chance(75):
        delays = {
            profile.id: (0, *(source.whole(0, 10) * 1000 for _ in range(3)))
            for profile in profiles
            if profile.schedules[0].random_delay_ms
        }
        transaction = Transaction(
            key="tx",
            start=_near(source, 30) - 30_000,
            priority=source.chance(40),
            schedule=source.whole(0, 2) if source.chance(10) else 0,
            soc=source.whole(700, 900) if source.chance(50) else None,
            delays=delays,
        )
    around = Circumstances(
        places={0: Place(), 1: place, 2: Place(phases=1)} if source.chance(50) else {1: place},
        transactions={} if transaction is None else {1: transaction},
        zone=ZONE if source.chance(70) else None,
        offline_since=_near(source) if source.chance(15) else None,
        setpoint_by_csms=source.chance(30),
    )
    return Set(profiles, around, source.one(("A", "W")), 1)
