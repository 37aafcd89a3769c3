"""Charging profiles that a central system must not send, whatever the station would make of them. Pure.

`rules.check` is what a station takes; here is what we keep ourselves from asking. The reasons are for whoever asked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import pairwise
from typing import NamedTuple

from .model import (
    CHARGING_ONLY,
    EXTERNAL,
    LOCAL_GENERATION,
    PRIORITY,
    RATE_FIELDS,
    STATION_MAX,
    TX,
    Period,
    Profile,
    Schedule,
)
from .store import Criteria

_WITHOUT: Mapping[str, tuple[str, ...]] = {
    CHARGING_ONLY: tuple(name for name in RATE_FIELDS if not name.startswith("limit")),
    "CentralSetpoint": tuple(name for name in RATE_FIELDS if name.startswith(("limit", "discharge"))),
    "LocalFrequency": RATE_FIELDS,
    "Idle": RATE_FIELDS,
}
"""operationMode → the rates that have no place in it (Q02.FR.02, Q03.FR.02, Q08.FR.01, Q10.FR.01)."""


class Known(NamedTuple):
    """What is known of the station that a profile is for."""

    version: str
    now: int
    """ms, by the station's clock."""
    profiles: Iterable[Profile] = ()
    """Those that it has."""
    planning: Iterable[str] = ()
    """Transactions whose vehicle has told its needs (ISO 15118)."""
    phase_switching: bool = False
    """ACPhaseSwitchingSupported of the EVSE is true."""
    highest_external: int | None = None
    """MaxExternalConstraintsId."""


def objection(profile: Profile, known: Known) -> str:
    """Why `profile` must not be sent by SetChargingProfile; "" where it may."""
    return _place(profile) or ("" if known.version == "1.6" else _newer(profile, known))


def with_start(profile: Profile) -> str:
    """The same for one that goes with a remote start (K05.FR.02, F01.FR.09; 1.6 5.16.2)."""
    if profile.purpose != TX:
        return f"a profile that goes with a start is a {TX}"
    if profile.transaction is not None:
        return "the transaction that is to start has no id yet: the profile cannot name one"
    return ""


def clearing(criteria: Criteria, version: str) -> str:
    """Why profiles that fit `criteria` must not be cleared (K10.FR.06)."""
    if criteria.purpose == EXTERNAL or (criteria.purpose == LOCAL_GENERATION and version == "2.1"):
        return f"{criteria.purpose} is not ours to clear"
    return ""


def _place(profile: Profile) -> str:
    """1.6 3.13.1; K01.FR.16, .22, K02.FR.07, K04.FR.03."""
    if profile.purpose == EXTERNAL:
        return f"{EXTERNAL} is for systems other than this one"
    if profile.purpose == TX and not profile.evse:
        return f"a {TX} is for one EVSE, not for the whole station"
    if profile.purpose == STATION_MAX and profile.evse:
        return f"a {STATION_MAX} is for the whole station, EVSE 0"
    return ""


def _newer(profile: Profile, known: Known) -> str:
    return _kind(profile, known) or _schedules(profile, known) or _twin(profile, known)


def _kind(profile: Profile, known: Known) -> str:
    if known.highest_external is not None and profile.id <= known.highest_external:
        return f"ids up to {known.highest_external} are those that the station gives itself"  # K01.FR.80
    if profile.purpose == TX and not profile.transaction:
        return f"a {TX} needs the transactionId"  # K01.FR.03
    if profile.purpose == STATION_MAX and profile.kind == "Relative":
        return f"a {STATION_MAX} cannot be relative"  # K01.FR.38
    if len(profile.schedules) > 1 and (profile.transaction or "") not in known.planning:
        return "more than one schedule is for vehicles that have told their needs"  # K01.FR.34
    for schedule in profile.schedules:
        if profile.kind in ("Absolute", "Recurring") and schedule.start is None:
            return f"a schedule of kind {profile.kind} needs startSchedule"  # K01.FR.40
        if profile.kind == "Relative" and schedule.start is not None:
            return "a relative schedule has no startSchedule"  # K01.FR.41
        if profile.kind == "Dynamic" and len(profile.schedules) + len(schedule.periods) != 2:
            return "a dynamic profile has one schedule of one period"  # K28.FR.01, K29.FR.01
        if profile.purpose == PRIORITY and schedule.duration_ms is not None:
            return f"{PRIORITY} has no duration"  # K01.FR.70
    return ""


def _schedules(profile: Profile, known: Known) -> str:
    for schedule in profile.schedules:
        if schedule.periods and schedule.periods[0].start_ms:
            return "the first startPeriod is 0"  # K01.FR.31, K28.FR.02, K29.FR.02
        if any(after.start_ms <= before.start_ms for before, after in pairwise(schedule.periods)):
            return "the periods are not in the order of their startPeriod"  # K01.FR.35
        for period in schedule.periods:
            found = _period(schedule, period, known)
            if found:
                return f"period at {period.start_ms // 1000} s: {found}"
    return ""


def _period(schedule: Schedule, period: Period, known: Known) -> str:
    if period.phase_to_use is not None:
        if period.phases != 1:
            return "phaseToUse needs numberPhases 1"  # K01.FR.19
        if not known.phase_switching:
            return "the EVSE does not say that it can choose the phase (ACPhaseSwitchingSupported)"  # K01.FR.20
    mode = period.mode
    without = _WITHOUT.get(mode, ())
    if mode == "CentralSetpoint" and period.setpoint is None and period.reactive is None:
        return "CentralSetpoint needs a setpoint"
    if any(getattr(period, name) is not None for name in without):
        return f"{mode} has rates that have no place in it"
    if mode == "LocalFrequency":
        if period.baseline is None or len(period.freq_watt) < 2:
            return "LocalFrequency needs v2xBaseline and two points of v2xFreqWattCurve"  # Q08.FR.02
        if schedule.unit != "W":
            return "LocalFrequency is in W"  # Q08.FR.05
    return ""


def _twin(profile: Profile, known: Known) -> str:
    """No two of one level at the same time (K01.FR.06, .39)."""
    for other in known.profiles:
        if other.id == profile.id or (other.purpose, other.stack) != (profile.purpose, profile.stack):
            continue
        if profile.purpose == TX:
            same = other.transaction == profile.transaction
        else:
            gone = other.valid_to is not None and other.valid_to <= known.now
            same = other.evse == profile.evse and not gone and _overlap(profile, other)
        if same:
            return f"profile {other.id} has that stackLevel there: take its id, or another level"
    return ""


def _overlap(one: Profile, other: Profile) -> bool:
    return (one.valid_to is None or other.valid_from is None or other.valid_from < one.valid_to) and (
        other.valid_to is None or one.valid_from is None or one.valid_from < other.valid_to
    )
