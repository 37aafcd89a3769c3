"""What a station takes as a charging profile, and with which reasonCode it refuses the rest (K01, K28; 1.6 5.16).

`check` looks at the profile alone and at what the station can do; what depends on the profiles that are installed is
`store.ProfileStore.check`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from .model import (
    CHARGING_ONLY,
    CYCLES,
    EXTERNAL,
    EXTERNAL_LIMITS,
    EXTERNAL_SETPOINT,
    LOCAL_GENERATION,
    PRIORITY,
    RATE_FIELDS,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Period,
    Place,
    Profile,
    Schedule,
)


class Refusal(NamedTuple):
    """Why a profile is not taken: `reason` is a reasonCode of the standard's list, `text` says it in words."""

    reason: str
    text: str


class Abilities(msgspec.Struct, frozen=True, kw_only=True):
    """What a station can do, as its device model (1.6: its configuration keys) says."""

    version: str = "2.1"
    places: Mapping[int, Place] = MappingProxyType({})
    """By EVSE id, without 0."""
    purposes: frozenset[str] = frozenset((STATION_MAX, TX_DEFAULT, TX))
    """The three of 1.6 and 2.0.1, and of SupportedAdditionalPurposes."""
    units: frozenset[str] = frozenset("AW")
    """ChargingScheduleChargingRateUnit (1.6 ChargingScheduleAllowedChargingRateUnit)."""
    max_stack: int = 20
    """ProfileStackLevel."""
    max_periods: int = 1024
    """PeriodsPerSchedule."""
    max_profiles: int | None = None
    """1.6 MaxChargingProfilesInstalled."""
    dynamic: bool = False
    max_offline: bool = False
    local_time: bool = False
    random_delay: bool = False
    limit_at_soc: bool = False
    sleep: bool = False
    modes: frozenset[str] = frozenset()
    """V2XSupportedOperationModes beside ChargingOnly."""
    balancing: bool = True
    """The thresholds of V2XLocalLoadBalancing are set, the upper above the lower."""
    phase_switching: bool = False
    """ACPhaseSwitchingSupported."""
    dc_phase_control: bool = False
    """DCInputPhaseControl."""
    max_external_id: int | None = None
    """MaxExternalConstraintsId."""
    rate_limit_ms: int = 0
    """UpdateRateLimit; 0: none."""


_MODES = {
    PRIORITY: frozenset((CHARGING_ONLY,)),
    STATION_MAX: frozenset((CHARGING_ONLY,)),
    EXTERNAL: frozenset((CHARGING_ONLY, EXTERNAL_LIMITS, EXTERNAL_SETPOINT)),
    LOCAL_GENERATION: frozenset((CHARGING_ONLY, EXTERNAL_LIMITS)),
}
"""Which operation modes a purpose may have (K01.FR.111 to .113); the others may have all."""

_SINGLE = tuple(name for name in RATE_FIELDS if name.endswith(("_l2", "_l3")))


def check(profile: Profile, can: Abilities, *, iso15118: bool = False) -> Refusal | None:
    """Why the station does not take `profile`; None: as far as it alone goes it does.

    `iso15118`: the vehicle told its needs (NotifyEVChargingNeeds): up to three schedules, and single phases, are for
    such a transaction alone (K01.FR.34, .142).
    """
    return _purpose(profile, can) or _kind(profile, can) or _schedules(profile, can, iso15118=iso15118)


def _purpose(profile: Profile, can: Abilities) -> Refusal | None:
    purpose = profile.purpose
    if profile.evse and profile.evse not in can.places:
        return Refusal("UnknownEvse", f"there is no EVSE {profile.evse}")
    if purpose == EXTERNAL:
        return Refusal("InvalidProfile", "external constraints are not set by a CSMS")  # K01.FR.22
    if purpose not in can.purposes:
        return Refusal("UnsupportedPurpose", purpose)  # K01.FR.120
    if purpose == STATION_MAX and profile.evse:
        return Refusal("InvalidProfile", f"{purpose} is for the whole station")  # K04.FR.03
    if purpose == TX and not profile.evse:
        return Refusal("InvalidProfile", f"{purpose} is for one EVSE")  # K01.FR.16
    if not 0 <= profile.stack <= can.max_stack:
        return Refusal("InvalidStackLevel", f"stack levels go from 0 to {can.max_stack}")
    if can.max_external_id is not None and profile.id <= can.max_external_id:
        return Refusal("InvalidProfileId", f"ids up to {can.max_external_id} are the station's own")  # K01.FR.81
    if profile.max_offline_ms is not None and not can.max_offline:
        return Refusal("UnsupportedParam", "maxOfflineDuration")
    if profile.valid_from is not None and profile.valid_to is not None and profile.valid_to <= profile.valid_from:
        return Refusal("InvalidProfile", "validTo is not after validFrom")
    return None


def _kind(profile: Profile, can: Abilities) -> Refusal | None:
    kind = profile.kind
    if kind == "Dynamic":
        if not can.dynamic:
            return Refusal("UnsupportedKind", kind)  # K01.FR.121
        if len(profile.schedules) != 1 or len(profile.schedules[0].periods) != 1:
            return Refusal("InvalidSchedule", "a dynamic profile has one schedule of one period")  # K28.FR.01, .03
    elif profile.update_interval_ms or profile.updated is not None:
        return Refusal("InvalidProfile", f"a profile of kind {kind} is not updated")  # K01.FR.122, K28.FR.04
    if kind == "Recurring" and profile.recurrency not in CYCLES:
        return Refusal("InvalidProfile", "a recurring profile needs its recurrencyKind")
    if kind == "Relative" and profile.purpose == STATION_MAX:
        return Refusal("InvalidProfile", f"{profile.purpose} cannot be relative")  # K01.FR.38
    if can.version == "1.6":
        return None  # a start is optional there: without one the schedule is relative (7.13)
    for schedule in profile.schedules:
        if kind in ("Absolute", "Recurring") and schedule.start is None:
            return Refusal("InvalidSchedule", f"a schedule of kind {kind} needs startSchedule")  # K01.FR.40
        if kind == "Relative" and schedule.start is not None:
            return Refusal("InvalidSchedule", "a relative schedule has no startSchedule")  # K01.FR.41
    return None


def _schedules(profile: Profile, can: Abilities, *, iso15118: bool) -> Refusal | None:
    if not profile.schedules:
        return Refusal("InvalidProfile", "no schedule")
    if len(profile.schedules) > 1 and not (profile.purpose == TX and iso15118):
        return Refusal("InvalidProfile", "more than one schedule is for ISO 15118 transactions")  # K01.FR.34
    if len(profile.schedules) > 3:
        return Refusal("TooManyElements", "more than three schedules")
    for schedule in profile.schedules:
        found = _schedule(profile, schedule, can)
        if found is not None:
            return found
        for period in schedule.periods:
            found = _period(profile, schedule, period, can, iso15118=iso15118)
            if found is not None:
                return found
    return None


def _schedule(profile: Profile, schedule: Schedule, can: Abilities) -> Refusal | None:
    periods = schedule.periods
    if schedule.unit not in can.units:
        return Refusal("UnsupportedRateUnit", schedule.unit)  # K01.FR.26
    if not periods:
        return Refusal("InvalidSchedule", "no period")
    if len(periods) > can.max_periods:
        return Refusal("TooManyElements", f"more than {can.max_periods} periods")
    if periods[0].start_ms != 0:
        return Refusal("InvalidSchedule", "the first period starts at 0")  # K01.FR.31, K28.FR.02
    if any(after.start_ms <= before.start_ms for before, after in pairwise(periods)):
        return Refusal("InvalidSchedule", "periods are in order of their start")  # K01.FR.35
    if schedule.duration_ms is not None and schedule.duration_ms <= 0:
        return Refusal("InvalidSchedule", "a duration is longer than nothing")
    if profile.purpose == PRIORITY and schedule.duration_ms is not None:
        return Refusal("InvalidSchedule", "priority charging has no duration")  # K01.FR.70
    if schedule.local and not can.local_time:
        return Refusal("InvalidSchedule", "useLocalTime is not supported")  # K01.FR.123
    if schedule.random_delay_ms > 0:
        if profile.purpose not in (TX, TX_DEFAULT):
            return Refusal("InvalidSchedule", f"{profile.purpose} cannot be delayed")  # K01.FR.95
        if not can.random_delay:
            return Refusal("InvalidSchedule", "randomizedDelay is not supported")  # K01.FR.124
    if schedule.limit_at_soc is not None and not can.limit_at_soc:
        return Refusal("InvalidSchedule", "limitAtSoC is not supported")  # K01.FR.125
    return None


def _period(profile: Profile, schedule: Schedule, period: Period, can: Abilities, *, iso15118: bool) -> Refusal | None:
    place = f"schedule {schedule.id}, period at {period.start_ms // 1000} s: "
    mode = period.mode
    allowed = _MODES.get(profile.purpose)
    if (allowed is not None and mode not in allowed) or (mode != CHARGING_ONLY and mode not in can.modes):
        # K01.FR.71 names another reason for one of these cases than K01.FR.114 and .115 do.
        reason = "InvalidSchedule" if profile.purpose == PRIORITY else "InvalidOperationMode"
        if mode == "LocalLoadBalancing" and mode not in can.modes:
            reason = "UnsupportedParam"  # Q09.FR.01
        return Refusal(reason, place + mode)
    if mode == "LocalLoadBalancing" and not can.balancing:
        return Refusal("MissingDevModelInfo", place + "the thresholds of V2XLocalLoadBalancing")  # Q09.FR.02
    if period.limit is None and mode == CHARGING_ONLY:
        return Refusal("InvalidSchedule", place + "a limit is needed")
    for value in (period.limit, period.limit_l2, period.limit_l3):
        if value is not None and value < 0:
            return Refusal("InvalidSchedule", place + "a limit is not negative")
    if mode in ("LocalFrequency", "Idle") and any(
        value is not None for value in (period.limit, period.discharge, period.setpoint, period.reactive)
    ):
        return Refusal("InvalidSchedule", place + f"{mode} has no limits and set-points")  # Q08.FR.04, Q10.FR.02
    if mode == "LocalFrequency":
        if period.baseline is None or len(period.freq_watt) < 2:
            return Refusal("NoFreqWattCurve", place + "v2xBaseline and two points of v2xFreqWattCurve")  # Q08.FR.03
        if schedule.unit != "W":
            return Refusal("InvalidSchedule", place + "LocalFrequency is in W")  # Q08.FR.05
    if period.setpoint is not None and (
        (period.limit is not None and period.setpoint > period.limit)
        or (period.discharge is not None and period.setpoint < period.discharge)
    ):
        return Refusal("InvalidSchedule", place + "the setpoint is outside the limits")  # V2X.05
    if period.sleep and mode != "Idle" and not can.sleep:
        return Refusal("InvalidSchedule", place + "evseSleep is not supported")  # K01.FR.126
    if any(getattr(period, name) is not None for name in _SINGLE) and not (profile.purpose == TX and iso15118):
        return Refusal("PhaseConflict", place + "single phases are for ISO 15118-20 transactions")  # K01.FR.144, V2X.10
    return _phases(profile, period, can, place)


def _phases(profile: Profile, period: Period, can: Abilities, place: str) -> Refusal | None:
    if period.phases is None and period.phase_to_use is None:
        return None
    if period.phases is not None and not 1 <= period.phases <= 3:
        return Refusal("InvalidSchedule", place + "numberPhases is 1, 2 or 3")
    if period.phase_to_use is not None and (period.phases != 1 or not 1 <= period.phase_to_use <= 3):
        return Refusal("InvalidSchedule", place + "phaseToUse needs numberPhases 1")  # K01.FR.19
    places = [can.places[profile.evse]] if profile.evse else list(can.places.values())
    if places and all(each.dc for each in places):
        if can.dc_phase_control or can.version != "2.1":
            return None  # 2.0.1 K01.FR.44: taken, and of no effect
        return Refusal("NoPhaseForDC", place + "a DC EVSE has no phases to choose")  # K01.FR.44
    if period.phase_to_use is not None and not can.phase_switching and period.phase_to_use != 1:
        return Refusal("InvalidSchedule", place + "the phase cannot be switched")  # K01.FR.48
    return None
