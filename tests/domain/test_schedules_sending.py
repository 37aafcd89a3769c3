"""Charging profiles that a central system keeps itself from sending."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec import structs

from pilotwire.domain.schedules.model import (
    EXTERNAL,
    LOCAL_GENERATION,
    PRIORITY,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Period,
    Profile,
    Schedule,
)
from pilotwire.domain.schedules.sending import Known, clearing, objection, with_start
from pilotwire.domain.schedules.store import Criteria

NOW = 1_800_000_000_000
HOUR = 3_600_000
TEN = Period(start_ms=0, limit=10_000)
CURVE = ((49_000, -1_000), (51_000, 1_000))


def made(*periods: Period, unit: Any = "A", duration: int | None = None, **more: Any) -> Profile:
    fields: dict[str, Any] = {"id": 1, "evse": 1, "stack": 0, "purpose": TX_DEFAULT, "kind": "Absolute"} | more
    start = NOW if fields["kind"] in ("Absolute", "Recurring") else None
    schedule = Schedule(unit=unit, start=start, periods=periods or (TEN,), duration_ms=duration)
    return Profile(schedules=fields.pop("schedules", None) or (schedule,), **fields)


def known(*profiles: Profile, **more: Any) -> Known:
    return Known(**{"version": "2.1", "now": NOW, "profiles": profiles} | more)


def mode(name: str, **rates: Any) -> Period:
    return Period(start_ms=0, mode=name, **rates)


BARE = Schedule(unit="A", periods=(TEN,))
DATED = Schedule(unit="A", start=NOW, periods=(TEN,))
PHASE = Period(start_ms=0, limit=9_000, phases=1, phase_to_use=2)


@pytest.mark.parametrize(
    ("profile", "words"),
    [
        (made(purpose=EXTERNAL), "systems other than this one"),  # K01.FR.22, K02.FR.07
        (made(purpose=TX, transaction="t", evse=0), "for one EVSE"),  # K01.FR.16
        (made(purpose=STATION_MAX), "for the whole station"),  # K04.FR.03
        (made(purpose=TX), "transactionId"),  # K01.FR.03
        (made(purpose=STATION_MAX, evse=0, kind="Relative"), "cannot be relative"),  # K01.FR.38
        (made(schedules=(DATED, DATED), purpose=TX, transaction="t"), "more than one schedule"),  # K01.FR.34
        (made(schedules=(BARE,)), "needs startSchedule"),  # K01.FR.40
        (made(schedules=(BARE,), kind="Recurring"), "needs startSchedule"),
        (made(schedules=(DATED,), kind="Relative"), "no startSchedule"),  # K01.FR.41
        (made(TEN, Period(start_ms=5_000, limit=1), kind="Dynamic"), "one schedule of one period"),  # K28.FR.01
        (made(Period(start_ms=5_000, limit=1), kind="Dynamic"), "first startPeriod"),  # K28.FR.02
        (made(Period(start_ms=5_000, limit=1)), "first startPeriod"),  # K01.FR.31
        (made(TEN, Period(start_ms=9_000, limit=1), Period(start_ms=8_000, limit=1)), "order"),  # K01.FR.35
        (made(purpose=PRIORITY, duration=HOUR), "no duration"),  # K01.FR.70
        (made(structs.replace(PHASE, phases=3)), "numberPhases 1"),  # K01.FR.19
        (made(structs.replace(PHASE, phases=None)), "numberPhases 1"),
        (made(PHASE), "ACPhaseSwitchingSupported"),  # K01.FR.20
        (made(mode("ChargingOnly", limit=9, discharge=-1)), "no place in it"),  # Q02.FR.02
        (made(mode("ChargingOnly", limit=9, setpoint=1)), "no place in it"),
        (made(mode("ChargingOnly", limit=9, reactive_l2=1)), "no place in it"),
        (made(mode("CentralSetpoint", setpoint=5, limit=9)), "no place in it"),  # Q03.FR.02
        (made(mode("CentralSetpoint", setpoint=5, discharge_l3=-9)), "no place in it"),
        (made(mode("CentralSetpoint")), "needs a setpoint"),  # Q03.FR.01
        (made(mode("LocalFrequency", baseline=0, freq_watt=CURVE, limit=9), unit="W"), "no place in it"),  # Q08.FR.01
        (made(mode("LocalFrequency", baseline=0, freq_watt=CURVE, setpoint_l2=9), unit="W"), "no place in it"),
        (made(mode("LocalFrequency", freq_watt=CURVE), unit="W"), "v2xBaseline"),  # Q08.FR.02
        (made(mode("LocalFrequency", baseline=0, freq_watt=CURVE[:1]), unit="W"), "two points"),
        (made(mode("LocalFrequency", baseline=0, freq_watt=CURVE)), "in W"),  # Q08.FR.05
        (made(mode("Idle", limit=0)), "no place in it"),  # Q10.FR.01
        (made(mode("Idle", setpoint=0)), "no place in it"),
    ],
)
def test_what_is_not_sent(profile: Profile, words: str) -> None:
    assert words in objection(profile, known())


@pytest.mark.parametrize(
    "profile",
    [
        made(),
        made(schedules=(BARE,), kind="Relative"),
        made(kind="Dynamic"),
        made(purpose=TX, transaction="t"),
        made(purpose=STATION_MAX, evse=0),
        made(purpose=PRIORITY, evse=0),
        made(TEN, Period(start_ms=5_000, limit=1)),
        made(mode("CentralSetpoint", setpoint=-5, reactive=1)),
        made(mode("LocalFrequency", baseline=0, freq_watt=CURVE), unit="W"),
        made(mode("Idle", sleep=True)),
        made(mode("ExternalLimits")),
    ],
)
def test_what_is_sent(profile: Profile) -> None:
    assert objection(profile, known()) == ""


def test_what_the_station_and_its_vehicle_can_do_counts() -> None:
    assert objection(made(PHASE), known(phase_switching=True)) == ""
    three = made(schedules=(DATED,) * 3, purpose=TX, transaction="t")
    assert objection(three, known(planning=["t"])) == "" != objection(three, known(planning=["u"]))
    assert "gives itself" in objection(made(id=100), known(highest_external=100))  # K01.FR.80
    assert objection(made(id=101), known(highest_external=100)) == ""


def test_no_two_of_a_level_lead_at_the_same_time() -> None:
    """K01.FR.06 by validity, K01.FR.39 by transaction."""
    there = made(id=5, valid_from=NOW, valid_to=NOW + HOUR)
    assert "profile 5" in objection(made(), known(there))
    for other in (
        made(id=5),
        made(stack=1),
        made(evse=2),
        made(purpose=PRIORITY),
        made(valid_from=NOW + HOUR),
        made(valid_to=NOW),
    ):
        assert objection(other, known(there)) == ""
    assert objection(made(), known(there, now=NOW + HOUR)) == ""  # it is over
    running = made(id=5, purpose=TX, transaction="t", valid_to=NOW + HOUR)
    assert "profile 5" in objection(made(purpose=TX, transaction="t", valid_from=NOW + 2 * HOUR), known(running))
    assert objection(made(purpose=TX, transaction="u"), known(running)) == ""
    assert objection(made(), known(there, version="1.6")) == ""  # there it is replaced


def test_with_a_start_and_when_clearing() -> None:
    assert with_start(made(purpose=TX)) == ""
    assert with_start(made()) and with_start(made(purpose=TX, transaction="t"))
    assert clearing(Criteria(purpose=EXTERNAL), "2.0.1") and clearing(Criteria(purpose=LOCAL_GENERATION), "2.1")
    assert clearing(Criteria(purpose=TX_DEFAULT), "2.1") == clearing(Criteria(evse=0), "2.0.1") == ""
