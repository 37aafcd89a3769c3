"""What is taken as a charging profile, what replaces what, what is cleared; the wire's grain; judging a station."""

from __future__ import annotations

from decimal import Decimal
from zoneinfo import ZoneInfo

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec import structs

from pilotwire.domain.schedules.compare import differences, on_the_wire
from pilotwire.domain.schedules.curve import draw_delays
from pilotwire.domain.schedules.engine import Engine, composite, limits_at
from pilotwire.domain.schedules.judging import judge
from pilotwire.domain.schedules.model import (
    DAY_MS,
    EXTERNAL,
    LOCAL_GENERATION,
    PRIORITY,
    STATION_MAX,
    TX,
    TX_DEFAULT,
    Circumstances,
    Composite,
    Interval,
    LimitAtSoc,
    Period,
    Place,
    Profile,
    Rates,
    Schedule,
    Transaction,
    Unit,
)
from pilotwire.domain.schedules.rules import Abilities, check
from pilotwire.domain.schedules.store import Criteria, ProfileStore
from pilotwire.protocols.ocpp.v16 import messages as v16
from pilotwire.protocols.ocpp.v21 import messages as v21
from pilotwire.protocols.ocpp.v201 import messages as v201
from pilotwire.translate import schedules as wire

NOW = 20_700 * DAY_MS
MINUTE = 60_000
ALL = Abilities(
    version="2.1",
    places={1: Place(), 2: Place(mv=400_000, phases=1, dc=True)},
    purposes=frozenset((STATION_MAX, TX_DEFAULT, TX, PRIORITY, LOCAL_GENERATION)),
    dynamic=True,
    max_offline=True,
    local_time=True,
    random_delay=True,
    limit_at_soc=True,
    sleep=True,
    modes=frozenset(("CentralSetpoint", "ExternalLimits", "Idle")),
)


def made(limit: int = 10_000, **fields) -> Profile:
    """A TxDefaultProfile in A from NOW on."""
    unit = fields.pop("unit", "A")
    schedule = fields.pop("schedule", None) or Schedule(
        unit=unit,
        start=None if fields.get("kind") in ("Relative", "Dynamic") else NOW,
        periods=fields.pop("periods", (Period(start_ms=0, limit=limit),)),
        duration_ms=fields.pop("duration_ms", None),
    )
    base = {"id": 1, "evse": 1, "stack": 0, "purpose": TX_DEFAULT, "kind": "Absolute", "installed": NOW}
    return Profile(**(base | fields), schedules=(schedule,))


# ── refusals ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("profile", "can", "reason"),
    [
        (made(evse=7), ALL, "UnknownEvse"),
        (made(purpose=PRIORITY), Abilities(places={1: Place()}), "UnsupportedPurpose"),
        (made(kind="Dynamic"), structs.replace(ALL, dynamic=False), "UnsupportedKind"),
        (made(stack=-1), ALL, "InvalidStackLevel"),
        (made(unit="W"), structs.replace(ALL, units=frozenset("A")), "UnsupportedRateUnit"),
        (made(id=3), structs.replace(ALL, max_external_id=3), "InvalidProfileId"),
        (made(periods=(Period(start_ms=0, limit=1), Period(start_ms=1, limit=1))), structs.replace(ALL, max_periods=1),
         "TooManyElements"),
        (made(max_offline_ms=1), structs.replace(ALL, max_offline=False), "UnsupportedParam"),
        (made(valid_from=5, valid_to=5), ALL, "InvalidProfile"),
        (made(evse=2, periods=(Period(start_ms=0, limit=1, phases=1),)), ALL, "NoPhaseForDC"),
        (made(periods=(Period(start_ms=0, limit=1, phases=0),)), ALL, "InvalidSchedule"),
        (made(periods=(Period(start_ms=0, limit=1, phases=3, phase_to_use=1),)), ALL, "InvalidSchedule"),
        (made(periods=(Period(start_ms=0, mode="LocalFrequency", limit=1),)),
         structs.replace(ALL, modes=frozenset(("LocalFrequency",))), "InvalidSchedule"),
        (made(purpose=STATION_MAX, evse=0, periods=(Period(start_ms=0, limit=1, mode="Idle"),)), ALL,
         "InvalidOperationMode"),
        (made(purpose=PRIORITY, periods=(Period(start_ms=0, limit=1, mode="Idle"),)), ALL, "InvalidSchedule"),
        (made(schedule=Schedule(unit="A", start=NOW, local=True, periods=(Period(start_ms=0, limit=1),))),
         structs.replace(ALL, local_time=False), "InvalidSchedule"),
        (made(schedule=Schedule(unit="A", start=NOW, random_delay_ms=1, periods=(Period(start_ms=0, limit=1),))),
         structs.replace(ALL, random_delay=False), "InvalidSchedule"),
        (made(schedule=Schedule(unit="A", start=NOW, limit_at_soc=LimitAtSoc(500, 1),
                                periods=(Period(start_ms=0, limit=1),))),
         structs.replace(ALL, limit_at_soc=False), "InvalidSchedule"),
        (made(periods=(Period(start_ms=0, limit=1, sleep=True),)), structs.replace(ALL, sleep=False),
         "InvalidSchedule"),
        (made(purpose=LOCAL_GENERATION), structs.replace(ALL, purposes=frozenset((TX, PRIORITY))),
         "UnsupportedPurpose"),
        (made(update_interval_ms=60_000), ALL, "InvalidProfile"),
        (made(updated=NOW), ALL, "InvalidProfile"),
        (made(periods=(Period(start_ms=0, mode="LocalFrequency", baseline=0, freq_watt=((0, 0), (1, 1))),)),
         structs.replace(ALL, modes=frozenset(("LocalFrequency",))), "InvalidSchedule"),
        (made(unit="W", periods=(Period(start_ms=0, mode="LocalFrequency", baseline=0, freq_watt=((0, 0), (1, 1)),
                                        discharge=-1),)),
         structs.replace(ALL, modes=frozenset(("LocalFrequency",))), "InvalidSchedule"),
        (made(unit="W", periods=(Period(start_ms=0, mode="LocalFrequency", baseline=0, freq_watt=((0, 0), (1, 1)),
                                        setpoint=1),)),
         structs.replace(ALL, modes=frozenset(("LocalFrequency",))), "InvalidSchedule"),
        (made(periods=(Period(start_ms=0, mode="Idle", setpoint=0),)), ALL, "InvalidSchedule"),
        (made(duration_ms=0), ALL, "InvalidSchedule"),
        (made(schedule=Schedule(unit="A", start=NOW, periods=())), ALL, "InvalidSchedule"),
    ],
)  # fmt: skip
def test_refusals(profile: Profile, can: Abilities, reason: str) -> None:
    found = check(profile, can)
    assert found is not None and found.reason == reason and found.text


def test_what_is_refused_for_what_a_station_cannot_is_taken_where_it_can() -> None:
    row = (Period(start_ms=0, limit=1),)
    for good in (
        made(schedule=Schedule(unit="A", start=NOW, random_delay_ms=1, periods=row)),
        made(schedule=Schedule(unit="A", start=NOW, limit_at_soc=LimitAtSoc(500, 1), periods=row)),
        made(schedule=Schedule(unit="A", start=NOW, local=True, periods=row)),
        made(periods=(Period(start_ms=0, limit=1, sleep=True),)),
        made(purpose=LOCAL_GENERATION),
        made(purpose=PRIORITY),
        made(kind="Dynamic", update_interval_ms=60_000, updated=NOW),
    ):
        assert check(good, ALL) is None


def test_delays_move_periods_and_nothing_else() -> None:
    """K01.FR.92, .94: not the first one, not the begin of the schedule, not its end."""
    periods = (
        Period(start_ms=0, limit=9_000),
        Period(start_ms=600_000, limit=8_000),
        Period(start_ms=900_000, limit=7),
    )
    schedule = Schedule(unit="A", start=NOW + MINUTE, random_delay_ms=400_000, duration_ms=1_200_000, periods=periods)
    profile = made(schedule=schedule)
    drawn = draw_delays(profile, lambda most: most)
    assert drawn == (0, 400_000, 400_000)
    around = Circumstances(transactions={1: Transaction(key="t", start=NOW, delays={1: drawn})})
    found = composite([profile], now=NOW, duration_ms=1_800_000, evse=1, unit="A", around=around)
    assert [(each.start_ms, each.limit) for each in found.intervals] == [
        (0, None),
        (60_000, 9_000),
        (1_060_000, 8_000),
        (1_260_000, None),
    ]  # what would begin after the end is left out (K01.FR.97)


def test_sixteen_needs_no_start_and_several_schedules_are_for_vehicles_that_plan() -> None:
    old = structs.replace(ALL, version="1.6")
    without = made(schedule=Schedule(unit="A", periods=(Period(start_ms=0, limit=1),)))
    assert check(without, old) is None and check(without, ALL) is not None
    several = structs.replace(made(purpose=TX), schedules=made().schedules * 3)
    assert check(several, ALL) is not None and check(several, ALL, iso15118=True) is None


# ── the store ────────────────────────────────────────────────────────────────────────────────────────────────────────


def test_what_replaces_what() -> None:
    store = ProfileStore()
    for profile in (made(id=1), made(id=2, evse=0), made(id=3, stack=1)):
        store.install(profile, "2.0.1")
    store.install(made(id=3, evse=0, stack=4), "2.0.1")
    assert [(each.id, each.evse, each.stack) for each in store] == [(1, 1, 0), (2, 0, 0), (3, 0, 4)]
    store.install(made(id=9), "1.6")
    assert [each.id for each in store] == [2, 3, 9]  # 1.6: the same stack level and purpose on that connector


def test_no_two_lead_at_the_same_time() -> None:
    store = ProfileStore((made(id=1, evse=0, valid_to=NOW + MINUTE), made(id=5, purpose=TX, transaction="t")))
    running = {1: Transaction(key="t", start=NOW)}

    def reason(profile: Profile) -> str | None:
        found = store.check(profile, ALL, running, now=NOW)
        return None if found is None else found.reason

    assert reason(made(id=2, evse=0)) == "DuplicateProfile"
    assert reason(made(id=2, evse=1, valid_from=NOW + MINUTE)) == "DuplicateProfile"  # K01.FR.53 asks for no validity
    assert reason(made(id=2, evse=0, valid_from=NOW + MINUTE)) is None
    assert reason(made(id=2, evse=0, stack=1)) is None
    assert reason(made(id=6, purpose=TX, transaction="t")) == "DuplicateProfile"
    assert reason(made(id=5, purpose=TX, transaction="t")) is None
    assert reason(made(id=6, purpose=TX, transaction="u")) == "TxNotFound"
    assert reason(made(id=6, purpose=TX, evse=2, transaction="t")) == "TxNotFound"


def test_rates_of_change_and_room() -> None:
    store = ProfileStore()
    store.install(made(id=1), "2.1")
    slow = structs.replace(ALL, rate_limit_ms=10_000)
    found = store.check(made(id=1), slow, {}, now=NOW + 4_000)
    assert found is not None and found == ("RateLimitExceeded", "6 seconds before retry")
    assert store.check(made(id=1), slow, {}, now=NOW + 10_000) is None
    assert store.check(made(id=2, stack=1), structs.replace(ALL, max_profiles=1), {}, now=NOW) is not None
    assert store.check(made(id=1), structs.replace(ALL, max_profiles=1), {}, now=NOW) is None


def test_phases_must_agree() -> None:
    one = (Period(start_ms=0, limit=1, phases=1, phase_to_use=1),)
    two = (Period(start_ms=0, limit=1, phases=1, phase_to_use=2),)
    can = structs.replace(ALL, phase_switching=True)
    store = ProfileStore((made(id=1, evse=0, purpose=STATION_MAX, periods=one),))
    found = store.check(made(id=2, periods=two), can, {}, now=NOW)
    assert found is not None and found.reason == "PhaseConflict"
    assert store.check(made(id=2, periods=one), can, {}, now=NOW) is None


def test_clearing_selecting_ending_updating() -> None:
    store = ProfileStore(
        (
            made(id=1),
            made(id=-5, purpose=EXTERNAL, evse=0, source="SO"),
            made(id=-6, purpose=LOCAL_GENERATION, evse=0, source="EMS"),
            made(id=4, purpose=TX, transaction="t"),
            made(id=5, kind="Dynamic", stack=3, update_interval_ms=60_000, updated=NOW),
        )
    )
    assert [each.id for each in store.select(Criteria(sources=frozenset(("SO", "EMS"))))] == [-5, -6]
    assert store.clear(Criteria(evse=0)) == [] and store.clear(Criteria(ids=frozenset((-5,)))) == []
    assert store.due() == [(NOW + 60_000, 5)]
    assert store.update(5, Rates(limit=7_000), NOW + 5) is None
    assert store.due() == [(NOW + 60_005, 5)]
    refused = store.update(1, Rates(limit=7_000), NOW)
    assert refused is not None and refused.reason == "InvalidProfile"
    assert [each.id for each in store.end("t")] == [4]
    again = ProfileStore.decode(store.encode())
    assert again.profiles == store.profiles
    assert [each.id for each in ProfileStore.decode(store.encode(everything=False))] == [1, 5]
    assert [each.id for each in store.clear(Criteria())] == [1, 5]
    with pytest.raises(msgspec.ValidationError):
        ProfileStore.decode(b'[{"id": "x"}]')


def test_what_does_not_outlive_a_break() -> None:
    store = ProfileStore((made(id=1, max_offline_ms=MINUTE, invalid_after_offline=True), made(id=2, max_offline_ms=0)))
    assert store.back_online(NOW, NOW + MINUTE) == []
    assert [each.id for each in store.back_online(NOW, NOW + MINUTE + 1)] == [1]


# ── worked examples of the standard ──────────────────────────────────────────────────────────────────────────────────


def test_the_stacked_example_of_the_standard() -> None:
    """3.7.1: 2 kW from 17 to 20 h daily, not on Sundays."""
    hour = 3_600_000
    monday = 20_703 * DAY_MS  # 2026-09-07
    daily = structs.replace(
        made(purpose=TX_DEFAULT, evse=0, stack=1, kind="Recurring", recurrency="Daily"),
        schedules=(
            Schedule(
                unit="W",
                start=monday - 300 * DAY_MS + 17 * hour,
                duration_ms=3 * hour,
                periods=(Period(start_ms=0, limit=2_000_000),),
            ),
        ),
    )
    sunday = structs.replace(
        made(id=2, purpose=TX_DEFAULT, evse=0, stack=2, kind="Recurring", recurrency="Weekly"),
        schedules=(
            Schedule(
                unit="W",
                start=monday - 71 * 7 * DAY_MS - DAY_MS,
                duration_ms=DAY_MS,
                periods=(Period(start_ms=0, limit=999_999_000),),
            ),
        ),
    )
    found = composite([daily, sunday], now=monday - 2 * DAY_MS, duration_ms=3 * DAY_MS, evse=1, unit="W")
    assert [(each.start_ms // hour, each.limit) for each in found.intervals] == [
        (0, None),
        (17, 2_000_000),
        (20, None),
        (24, 999_999_000),
        (48, None),
        (65, 2_000_000),
        (68, None),
    ]


def test_local_time_when_the_clocks_change() -> None:
    """K01.FR.90, .91: 22 to 6 h stays 22 to 6 h on the wall, whatever UTC does."""
    berlin = ZoneInfo("Europe/Berlin")
    hour = 3_600_000
    sunday = 1_792_886_400_000 - 1_792_886_400_000 % DAY_MS  # 2026-10-25, 00:00Z
    profile = structs.replace(
        made(kind="Recurring", recurrency="Daily"),
        schedules=(
            Schedule(
                unit="A",
                start=sunday - 10 * DAY_MS + 22 * hour,
                duration_ms=8 * hour,
                local=True,
                periods=(Period(start_ms=0, limit=6_000),),
            ),
        ),
    )
    around = Circumstances(zone=berlin)
    found = composite([profile], now=sunday - DAY_MS, duration_ms=3 * DAY_MS, evse=1, unit="A", around=around)
    ends = [each.start_ms / hour - 24 for each in found.intervals if each.limit is None]
    begins = [each.start_ms / hour - 24 for each in found.intervals if each.limit is not None]
    assert begins == [-24, -4, 21, 45] and ends == [-20, 5, 29]  # 20:00Z until the 25th, then 21:00Z
    moment = limits_at([profile], sunday - hour, evse=1, around=around)
    assert moment.ma == 6_000 and moment.until == sunday + hour  # the clock goes back: look again


def test_the_hardware_generation_and_single_phases() -> None:
    place = Circumstances(
        places={1: Place(max_ma=32_000, max_mw=22_080_000)}, transactions={1: Transaction(key="t", start=NOW)}
    )
    found = composite([], now=NOW, duration_ms=MINUTE, evse=1, unit="A", around=place)
    assert [each.limit for each in found.intervals] == [32_000]
    base = made(10_000, purpose=STATION_MAX, evse=0)
    extra = made(3_450_000, id=2, purpose=LOCAL_GENERATION, evse=0, unit="W")
    found = composite([base, extra], now=NOW, duration_ms=MINUTE, evse=1, unit="A", around=place)
    assert [each.limit for each in found.intervals] == [15_000]
    single = made(
        purpose=TX,
        transaction="t",
        unit="W",
        periods=(Period(start_ms=0, limit=2_000_000, limit_l2=1_000_000, limit_l3=500_000),),
    )
    found = composite(
        [single, structs.replace(base, id=3)], now=NOW, duration_ms=MINUTE, evse=1, unit="W", around=place
    )
    assert found.intervals[0][1:5] == (2_000_000, None, 1_000_000, 500_000)
    cap = made(1_750_000, id=4, purpose=STATION_MAX, evse=0, unit="W")
    found = composite([single, cap], now=NOW, duration_ms=MINUTE, evse=1, unit="W", around=place)
    one = found.intervals[0]
    assert (one.limit, one.limit_l2, one.limit_l3) == (1_000_000, 500_000, 250_000)  # the sum under the cap


# ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────────────


@given(st.integers(0, 10**9), st.sampled_from(["A", "W"]))
def test_rates_there_and_back(value: int, unit: str) -> None:
    there = wire.number(value)
    assert there is not None and wire.milli(there) == value
    assert wire.milli(Decimal("-0.0005")) == 0 and wire.milli(Decimal("0.0009")) == 0


def test_seconds_and_tenths_never_state_more() -> None:
    exact = Composite(
        1,
        "A",
        NOW,
        10_000,
        (Interval(0, 10_050), Interval(1_500, 6_049), Interval(1_900, 20_000), Interval(4_001, 8_000)),
    )
    shown = on_the_wire(exact)
    assert [(each.start_ms, each.limit) for each in shown.intervals] == [
        (0, 10_000),
        (1_000, 6_000),
        (2_000, 20_000),
        (4_000, 8_000),
    ]


@given(
    st.lists(st.tuples(st.integers(1, 3_000), st.integers(0, 40_000)), min_size=1, max_size=12).map(
        lambda rows: (
            [(0, rows[0][1])] + [(sum(step for step, _ in rows[: at + 1]), rows[at][1]) for at in range(len(rows))]
        )
    )
)
def test_no_second_states_more_than_any_moment_of_it(rows: list[tuple[int, int]]) -> None:
    exact = Composite(1, "A", NOW, 60_000, tuple(Interval(at, limit) for at, limit in rows))
    shown = on_the_wire(exact)
    assert all(each.start_ms % 1000 == 0 and (each.limit or 0) % 100 == 0 for each in shown.intervals)

    begins = [each.start_ms for each in exact.intervals]
    for second in range(0, 40_000, 1000):
        # What holds within this second: what held when it began, and what began in it.
        first = max(place for place, at in enumerate(begins) if at <= second)
        held = [each.limit or 0 for each in exact.intervals[first:] if each.start_ms < second + 1000]
        said = [each.limit or 0 for each in shown.intervals if each.start_ms <= second][-1]
        assert said == min(held) - min(held) % 100


def test_a_profile_of_21_is_reported_as_it_came() -> None:
    sent = v21.ChargingProfileType(
        id=5,
        stack_level=2,
        charging_profile_purpose="TxDefaultProfile",
        charging_profile_kind="Dynamic",
        dyn_update_interval=60,
        price_schedule_signature="c2ln",
        charging_schedule=[
            v21.ChargingScheduleType(
                id=1,
                charging_rate_unit="W",
                limit_at_soc=v21.LimitAtSoCType(soc=80, limit=Decimal("3000.5")),
                charging_schedule_period=[
                    v21.ChargingSchedulePeriodType(
                        start_period=0,
                        limit=Decimal("11000.5"),
                        discharge_limit=Decimal(-500),
                        operation_mode="CentralSetpoint",
                        setpoint=Decimal(7000),
                        number_phases=3,
                    )
                ],
            )
        ],
    )
    profile = wire.profile_2(sent, 1, None, NOW)
    assert profile.update_interval_ms == 60_000 and profile.schedules[0].limit_at_soc == (800, 3_000_500)
    period = profile.schedules[0].periods[0]
    assert (period.limit, period.discharge, period.setpoint, period.mode) == (
        11_000_500,
        -500_000,
        7_000_000,
        "CentralSetpoint",
    )
    assert wire.profile_wire(v21, profile) == sent
    bare = structs.replace(profile, wire="", kind="Absolute")
    again = wire.profile_wire(v21, bare)
    assert wire.profile_2(again, 1, None, NOW).schedules[0].periods == profile.schedules[0].periods
    old = wire.profile_wire(v201, structs.replace(made(), id=4))
    assert old.charging_schedule[0].charging_schedule_period[0].limit == 10


def test_composite_schedules_of_every_version() -> None:
    schedule = composite([made(10_050, unit="A")], now=NOW, duration_ms=3_600_000, evse=1, unit="A")
    old = wire.composite_16(schedule)
    answer = v16.GetCompositeScheduleResponse(
        status="Accepted", connector_id=1, schedule_start=wire.to_datetime(NOW), charging_schedule=old
    )
    back = wire.answered_16(answer, 1, 3_600)
    assert back is not None and differences(back, schedule) == [] and back.intervals[0].limit == 10_000
    for m in (v201, v21):
        new = m.GetCompositeScheduleResponse(status="Accepted", schedule=wire.composite_2(m, schedule))
        back = wire.answered_2(new, 3_600)
        assert back is not None and differences(back, schedule) == []
        assert wire.answered_2(m.GetCompositeScheduleResponse(status="Rejected"), 3_600) is None


# ── judging ──────────────────────────────────────────────────────────────────────────────────────────────────────────


def answered(*rows: tuple[int, int], unit: Unit = "A", evse: int = 1, duration_ms: int = 3_600_000) -> Composite:
    return Composite(evse, unit, NOW, duration_ms, tuple(Interval(at * 1000, limit) for at, limit in rows))


def verdict(profiles: list[Profile], said: Composite, **more) -> str | None:
    found = judge(profiles, said, 3_600_000, more.pop("transactions", {}), **more)
    return None if found is None else found.why


def test_a_station_is_judged_by_what_must_hold() -> None:
    rows = [made(10_000, periods=(Period(start_ms=0, limit=10_000), Period(start_ms=600_000, limit=6_000)))]
    assert verdict(rows, answered((0, 10_000), (600, 6_000))) is None
    assert verdict(rows, answered((0, 8_000), (600, 6_000))) is None  # the hardware gives 8 A
    assert verdict(rows, answered((0, 10_000), (600, 5_000))) == "below"
    assert verdict(rows, answered((0, 10_000), (700, 6_000))) == "above"
    assert verdict(rows, answered((0, 10_000), (601, 6_000))) is None
    assert verdict(rows, answered((0, 10_000), (600, 6_050))) is None  # a tenth
    assert verdict(rows, answered()) == "empty"
    assert verdict(rows, answered((0, 6_000), duration_ms=3_600_001)) == "longer"
    assert verdict(rows, answered((0, 10_000), (600, 5_000)), unknown_caps=True) is None
    assert verdict([], answered((0, 32_000))) is None


def test_what_depends_on_phases_and_volts_is_not_called_wrong() -> None:
    watts = [made(6_900_000, unit="W")]
    for fair in (10_000, 15_000, 30_000):  # three, two, one phase
        assert verdict(watts, answered((0, fair))) is None
    assert verdict(watts, answered((0, 30_200))) == "above"
    assert verdict([made(10_000)], answered((0, 6_900_000), unit="W")) is None
    assert verdict([made(10_000)], answered((0, 12_100_000), unit="W")) == "above"


def test_what_the_hardware_gives_on_one_phase_is_a_third_of_what_it_gives_on_three() -> None:
    periods = (Period(start_ms=0, limit=8_628_000, phases=1), Period(start_ms=600_000, limit=12_214_000, phases=3))
    rows = [made(unit="W", periods=periods)]

    def said(first: int, second: int) -> Composite:
        schedule = answered((0, first), (600, second), unit="W")
        one, three = schedule.intervals
        return schedule._replace(intervals=(one._replace(phases=1), three._replace(phases=3)))

    assert verdict(rows, said(7_360_000, 12_214_000)) is None  # 32 A
    assert verdict(rows, said(4_000_000, 12_214_000)) == "below"
    assert verdict(rows, said(8_700_000, 12_214_000)) == "above"


def test_relative_schedules_have_slack_and_delays_are_the_stations_own() -> None:
    periods = (Period(start_ms=0, limit=10_000), Period(start_ms=600_000, limit=6_000))
    relative = [made(kind="Relative", periods=periods)]
    transactions = {1: Transaction(key="t", start=NOW)}
    assert verdict(relative, answered((0, 10_000), (840, 6_000)), transactions=transactions) is None
    assert verdict(relative, answered((0, 10_000), (960, 6_000)), transactions=transactions) == "above"
    delayed = [
        made(schedule=Schedule(unit="A", start=NOW, random_delay_ms=60_000, periods=periods)),
    ]
    assert verdict(delayed, answered((0, 10_000), (700, 6_000)), transactions=transactions) is None


def test_the_whole_station_is_held_to_its_caps_alone() -> None:
    cap = [made(30_000, purpose=STATION_MAX, evse=0), made(10_000, id=2)]
    assert verdict(cap, answered((0, 20_000), evse=0)) is None
    assert verdict(cap, answered((0, 32_000), evse=0)) == "above"


def test_an_engine_is_asked_twice_alike() -> None:
    engine = Engine([made(10_000), made(8_000, id=2, stack=1, duration_ms=MINUTE)])
    first = engine.composite(now=NOW, duration_ms=3_600_000, evse=1, unit="A")
    assert first == engine.composite(now=NOW, duration_ms=3_600_000, evse=1, unit="A")
    assert [each.limit for each in first.intervals] == [8_000, 10_000]
