"""The rules of charging profiles, written as they are read, second by second and in fractions: slow and plain.

Shares no code with the engine but the form of its input.
"""

from __future__ import annotations

from datetime import UTC, datetime
from fractions import Fraction
from math import floor
from typing import NamedTuple

from pilotwire.domain.schedules.model import Circumstances, Place, Profile, Schedule

SECOND = 1000
CYCLE = {"Daily": 86_400_000, "Weekly": 604_800_000}


class Active(NamedTuple):
    """A period that holds."""

    unit: str
    limit: int | None
    phases: int | None
    discharge: int | None
    setpoint: int | None
    mode: str


class Moment(NamedTuple):
    """What a composite schedule should say for one second."""

    limit: int | None
    phases: int | None
    discharge: int | None
    setpoint: int | None
    mode: str


def starts(schedule: Schedule, delays) -> list[tuple[int, object]]:
    """The periods with their randomized starts; one that starts no sooner than the one after it is skipped."""
    rows = [
        (period.start_ms + (delays[at] if delays and 0 < at < len(delays) else 0), period)
        for at, period in enumerate(schedule.periods)
    ]
    if not delays:
        return rows
    kept: list[tuple[int, object]] = []
    for row in reversed(rows):
        after = kept[0][0] if kept else schedule.duration_ms
        if after is None or row[0] < after:
            kept.insert(0, row)
    return kept


def active(profile: Profile, at: int, tx, tx_start: int | None, around: Circumstances) -> Active | None:
    """The period of `profile` that holds at `at`."""
    if profile.valid_from is not None and at < profile.valid_from:
        return None
    if profile.valid_to is not None and not at < profile.valid_to:
        return None
    if (
        around.offline_since is not None
        and profile.max_offline_ms is not None
        and at - around.offline_since >= profile.max_offline_ms
    ):
        return None
    which = tx.schedule if tx is not None and tx.schedule < len(profile.schedules) else 0
    schedule = profile.schedules[which]
    rows = starts(schedule, tx.delays.get(profile.id) if tx is not None else None)
    if profile.kind == "Dynamic":
        begun = profile.installed if profile.updated is None else profile.updated
        if schedule.duration_ms is not None and at >= begun + schedule.duration_ms:
            return None
        elapsed = 0
    else:
        start = None if profile.kind == "Relative" else schedule.start
        clock = at
        if start is not None:
            if schedule.local and around.zone is not None:
                offset = datetime.fromtimestamp(at / 1000, UTC).astimezone(around.zone).utcoffset()
                clock = at + int(offset.total_seconds()) * 1000
        elif profile.purpose in ("TxProfile", "TxDefaultProfile", "PriorityCharging", "EVChargingSchedule"):
            start = tx_start
        elif profile.evse and tx is not None:
            start = tx.start
        else:
            start = profile.installed
        if start is None or clock < start:
            return None
        lasts = schedule.duration_ms
        if profile.kind == "Recurring":
            cycle = CYCLE[profile.recurrency]
            while start + cycle <= clock:
                start += cycle
            lasts = cycle if lasts is None else min(lasts, cycle)
        elapsed = clock - start
        if lasts is not None and elapsed >= lasts:
            return None
    found = None
    for begin, period in rows:
        if begin <= elapsed:
            found = period
    if found is None:
        return None
    limit = found.limit
    soc = schedule.limit_at_soc
    if soc is not None and tx is not None and tx.soc is not None and tx.soc >= soc.soc:
        limit = soc.limit if limit is None else min(limit, soc.limit)
    discharge, setpoint = found.discharge, found.setpoint
    if found.mode == "ChargingOnly":
        discharge = setpoint = None
    if found.mode == "Idle":
        limit, discharge, setpoint = 0, 0, None
    return Active(schedule.unit, limit, found.phases, discharge, setpoint, found.mode)


def leading(profiles, at: int, tx, tx_start, around) -> Active | None:
    """Of the profiles of one purpose the period of the highest level that has one."""
    for profile in sorted(profiles, key=lambda each: (-each.stack, -each.evse, -each.id)):
        found = active(profile, at, tx, tx_start, around)
        if found is not None:
            return found
    return None


def caps(profiles: list[Profile], at: int, now: int, evse: int, around: Circumstances):
    """(the transaction's period, external constraints, other caps, local generation) that hold for `evse`."""
    tx = around.transactions.get(evse)
    tx_start = now if tx is None else tx.start

    def of(purpose, *evses):
        return [each for each in profiles if each.purpose == purpose and each.evse in evses]

    chain = None
    if tx is not None and tx.priority:
        chain = leading(of("PriorityCharging", 0, evse), at, tx, tx_start, around)
    if chain is None and tx is not None:
        own = [each for each in of("TxProfile", evse) if each.transaction == tx.key]
        chain = leading(own, at, tx, tx_start, around)
    if chain is None:
        chain = leading(of("TxDefaultProfile", 0, evse), at, tx, tx_start, around)
    outside = [leading(of("ChargingStationExternalConstraints", each), at, tx, tx_start, around) for each in (evse, 0)]
    others = [leading(of("ChargingStationMaxProfile", 0), at, tx, tx_start, around)]
    if tx is not None:
        others.append(leading(of("EVChargingSchedule", evse), at, tx, tx_start, around))
    generated = leading(of("LocalGeneration", 0, evse), at, tx, tx_start, around)
    return chain, [each for each in outside if each], [each for each in others if each], generated


def in_unit(value: int, unit: str, wanted: str, place: Place, phases: int) -> Fraction:
    """A rate in another unit, exactly."""
    if unit == wanted:
        return Fraction(value)
    volts = Fraction(place.mv, 1000)
    count = 1 if place.dc else phases
    return Fraction(value) / (volts * count) if wanted == "A" else Fraction(value) * volts * count


def moment(
    profiles: list[Profile], at: int, now: int, evse: int, unit: str, around: Circumstances, found=None
) -> Moment:
    """What the composite schedule asked for at `now` should say for the second at `at`; no single phases.

    `found` is what `caps` has found, where that is known.
    """
    place = around.places.get(evse, Place())
    chain, outside, others, generated = found or caps(profiles, at, now, evse, around)
    every = [*([chain] if chain else []), *outside, *others]
    said = min((each.phases for each in every if each.phases is not None), default=None)
    hardware = 1 if place.dc else place.phases
    phases = hardware if said is None else min(said, hardware)
    limits = [in_unit(each.limit, each.unit, unit, place, phases) for each in every if each.limit is not None]
    limit = min(map(floor, limits), default=None)
    if limit is not None and generated is not None and generated.limit is not None:
        limit += max(0, floor(in_unit(generated.limit, generated.unit, unit, place, phases)))
    for value, own in ((place.max_ma, "A"), (place.max_mw, "W")):
        if value is not None:
            most = floor(in_unit(value, own, unit, place, phases))
            limit = most if limit is None else min(limit, most)
    discharge = max(
        (
            -floor(in_unit(-each.discharge, each.unit, unit, place, phases))
            for each in every
            if each.discharge is not None
        ),
        default=None,
    )
    source = chain if chain is not None and chain.setpoint is not None else None
    mode = "ChargingOnly"
    if chain is not None:
        mode = chain.mode
    else:
        mode = next((each.mode for each in outside if each.mode != "ChargingOnly"), "ChargingOnly")
    if source is None or not around.setpoint_by_csms:
        for each in outside:
            if each.mode == "ExternalSetpoint" and each.setpoint is not None:
                source, mode = each, "ExternalSetpoint"
                break
    setpoint = None
    if source is not None:
        size = floor(in_unit(abs(source.setpoint), source.unit, unit, place, phases))
        setpoint = size if source.setpoint >= 0 else -size
        if setpoint >= 0 and limit is not None:
            setpoint = min(setpoint, limit)
        if setpoint < 0 and discharge is not None:
            setpoint = max(setpoint, discharge)
    return Moment(limit, None if said is None or place.dc else phases, discharge, setpoint, mode)


def whole_station(profiles: list[Profile], at: int, now: int, unit: str, around: Circumstances) -> int | None:
    """The limit of EVSE 0."""
    place = around.places.get(0, Place())
    total: int | None = 0
    for evse in around.places:
        if evse == 0:
            continue
        alone = [
            each
            for each in profiles
            if each.purpose not in ("ChargingStationMaxProfile", "LocalGeneration")
            and not (each.purpose == "ChargingStationExternalConstraints" and each.evse == 0)
        ]
        own = moment(alone, at, now, evse, unit, around).limit
        total = None if total is None or own is None else total + own
    if not any(evse for evse in around.places):
        total = None
    bare = [
        each
        for each in profiles
        if each.evse == 0 and not each.purpose.startswith("Tx") and each.purpose != "PriorityCharging"
    ]
    caps_ = [
        leading([each for each in bare if each.purpose == purpose], at, None, None, around)
        for purpose in ("ChargingStationExternalConstraints", "ChargingStationMaxProfile")
    ]
    held = [each for each in caps_ if each is not None]
    said = min((each.phases for each in held if each.phases is not None), default=None)
    phases = place.phases if said is None else min(said, place.phases)
    limits = [floor(in_unit(each.limit, each.unit, unit, place, phases)) for each in held if each.limit is not None]
    if total is not None:
        limits.append(total)
    limit = min(limits, default=None)
    generated = leading([each for each in bare if each.purpose == "LocalGeneration"], at, None, None, around)
    if limit is not None and generated is not None and generated.limit is not None:
        limit += max(0, floor(in_unit(generated.limit, generated.unit, unit, place, phases)))
    for value, own in ((place.max_ma, "A"), (place.max_mw, "W")):
        if value is not None:
            most = floor(in_unit(value, own, unit, place, phases))
            limit = most if limit is None else min(limit, most)
    return limit
