"""How a station carries out charging profiles: by the meter, in simulated time (K01 to K14; 1.6 3.13, 5.16)."""

from __future__ import annotations

import importlib.util
import sys
from decimal import Decimal
from pathlib import Path

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.domain.schedules.model import Period, Rates, Schedule
from pilotwire.station.config import EvseConfig
from pilotwire.station.settings import BY_NAME

_spec = importlib.util.spec_from_file_location("station_profiles", Path(__file__).with_name("test_station_profiles.py"))
profiles = sys.modules.setdefault("station_profiles", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(profiles)
wire, install, begin, currents = profiles.wire, profiles.install, profiles.begin, profiles.currents

V2 = ("2.0.1", "2.1")
ALL = ("1.6", "2.0.1", "2.1")
TX_DEFAULT, TX, STATION_MAX = "TxDefaultProfile", "TxProfile", "ChargingStationMaxProfile"


def ask(world, action, **fields):
    m = world.csms.messages
    world.csms.command(action, getattr(m, f"{action}Request")(**fields))
    world.run(2)
    return next(answer for name, answer in reversed(world.csms.answers) if name == action)


def put(world, name, value):
    """A setting as a person with the right to it sets it."""
    world.station.settings.change(BY_NAME[name], value)


def refused(world, evse, profile):
    """The reasonCode of a refused SetChargingProfile; "" in 1.6."""
    assert install(world, evse, profile) == "Rejected"
    answer = world.csms.answers[-1][1]
    return "" if world.config.version == "1.6" else answer.status_info.reason_code


def key_of(world, evse=1):
    truth = next(each for each in reversed(world.station.truth) if each.evse == evse)
    return int(truth.transaction) if world.config.version == "1.6" else truth.transaction


def amperes(world, times=1, every=600, evse=1):
    seen = []
    for at in range(times):
        if at:
            world.run(every)
        seen.append(currents(world, evse)[0] // 1000)
    return seen


def told(world, action="NotifyChargingLimit"):
    return world.csms.heard(action)


def rate_events(world):
    return [e for e in world.csms.heard("TransactionEvent") if e.trigger_reason == "ChargingRateChanged"]


# ── schedules over time ──────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ALL)
def test_a_schedule_from_its_start_to_its_end(make_world, version):
    """It begins when it says, its periods hold until the next, what lies behind its duration is not done, and without
    an end to its validity it stays."""
    world = make_world(version)
    begin(world)
    periods = [(0, 10), (600, 8), (1200, 7), (2400, 12)]
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=periods, start=590, duration=1800)) == "Accepted"
    assert amperes(world, 6) == [16, 10, 8, 7, 16, 16]
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=1)) == "Accepted"
    world.run(9000)
    assert amperes(world) == [9]
    assert len(world.station.energy.profiles) == 1


@pytest.mark.parametrize("version", ALL)
def test_the_highest_level_that_has_something_to_say_leads(make_world, version):
    """Of one purpose the highest stack level of those that are valid; what ends gives way to the one below."""
    world = make_world(version)
    begin(world)
    for id_, stack, limit, more in ((1, 0, 12, {}), (2, 1, 9, {"duration": 1200}), (3, 2, 7, {"duration": 600})):
        profile = wire(world, purpose=TX_DEFAULT, periods=[(0, limit)], id_=id_, stack=stack, start=0, **more)
        assert install(world, 0, profile) == "Accepted"
    seen = amperes(world, 3)
    assert seen == [7, 9, 12]
    later = wire(world, purpose=TX_DEFAULT, periods=[(0, 6)], id_=4, stack=5)
    later.valid_from = profiles.to_datetime(int(world.scheduler.now()) + 600_000)
    later.valid_to = profiles.to_datetime(int(world.scheduler.now()) + 1_200_000)
    assert install(world, 0, later) == "Accepted"
    assert amperes(world, 4, 595) == [12, 12, 6, 12]
    if version == "1.6":
        # 3.13.2: of the same level and purpose it takes the other's place.
        assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 8)], id_=9, stack=5)) == "Accepted"
        assert [each.id for each in world.station.energy.profiles] == [1, 2, 3, 9] and amperes(world) == [8]


@pytest.mark.parametrize("version", ALL)
def test_a_recurring_schedule_shorter_than_its_cycle_leaves_a_gap(make_world, version):
    world = make_world(version, settings={"sample_interval": "0"})
    begin(world)
    profile = wire(
        world, purpose=TX_DEFAULT, periods=[(0, 7)], kind="Recurring", duration=900, start=0, recurrency_kind="Daily"
    )
    assert install(world, 0, profile) == "Accepted"
    assert amperes(world, 3) == [7, 7, 16]


@pytest.mark.parametrize("start", ["PowerPathClosed", "EVConnected"])
@pytest.mark.parametrize("version", ALL)
def test_a_relative_schedule_runs_from_when_energy_could_first_flow(make_world, version, start):
    world = make_world(version, settings={"start_point": start})
    world.station.power_on()
    world.run(5)
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 10), (600, 7)], kind="Relative", start=None)
    assert install(world, 0, profile) == "Accepted"
    world.run(3600)
    world.station.plug(1, world.car())
    world.run(3600)
    world.station.tap(1, "TOKEN1")  # authorized and connected from here on
    world.run(5)
    assert amperes(world, 2, 590) == [10, 10]
    world.run(10)
    assert amperes(world) == [7]


@pytest.mark.parametrize("version", ALL)
def test_the_transactions_profile_comes_before_the_default_while_it_lasts(make_world, version):
    """It rules the default out, falls back to it and to the maximum of the station, and ends with its transaction."""
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world)
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 12)], id_=1)) == "Accepted"
    assert install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 11)], id_=2)) == "Accepted"
    assert amperes(world) == [11]  # the lowest of both
    profile = wire(world, purpose=TX, periods=[(0, 8)], id_=3, duration=600, transaction_id=key_of(world))
    assert install(world, 1, profile) == "Accepted"
    assert amperes(world) == [8]
    profile = wire(world, purpose=TX, periods=[(0, 9)], id_=3, duration=600, transaction_id=key_of(world))
    assert install(world, 1, profile) == "Accepted"
    assert len(world.station.energy.profiles) == 3 and amperes(world, 2, 610) == [9, 11]
    world.station.unplug(1)
    world.run(2)
    assert [each.id for each in world.station.energy.profiles] == [1, 2]
    begin(world)
    assert amperes(world) == [11]


@pytest.mark.parametrize("version", ALL)
def test_a_new_default_is_followed_in_the_running_transaction(make_world, version):
    """And once it is cleared, the transaction goes on as if it had never been."""
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world, 1)
    begin(world, 2)
    keys = [key_of(world, 1), key_of(world, 2)]
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 12)])) == "Accepted"
    assert amperes(world) == amperes(world, evse=2) == [12]
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 7)])) == "Accepted"
    assert amperes(world) == amperes(world, evse=2) == [7]
    m = world.csms.messages
    if version == "1.6":
        world.csms.command("ClearChargingProfile", m.ClearChargingProfileRequest(id=1))
    else:
        world.csms.command("ClearChargingProfile", m.ClearChargingProfileRequest(charging_profile_id=1))
    world.run(1)
    assert amperes(world) == amperes(world, evse=2) == [16]
    assert [key_of(world, 1), key_of(world, 2)] == keys
    assert all(evse.session is not None for evse in world.station.evses)


@pytest.mark.parametrize("version", ALL)
def test_without_a_connection_the_profiles_hold_that_are_there(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world)
    profile = wire(world, purpose=TX, periods=[(0, 8), (1200, 6)], id_=3, transaction_id=key_of(world))
    assert install(world, 1, profile) == "Accepted"
    world.offline()
    assert amperes(world, 3) == [8, 8, 6]  # the transaction's own, as long as it lasts
    world.station.unplug(1)
    world.run(60)
    world.station.plug(1, world.car())
    world.station.tap(1, "TOKEN1")
    world.run(60)
    assert amperes(world) == [16]  # none is left: no constraints
    world.online()
    world.run(900)
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=4)) == "Accepted"
    world.station.unplug(1)
    world.run(60)
    world.offline()
    world.station.plug(1, world.car())
    world.station.tap(1, "TOKEN1")
    world.run(60)
    assert amperes(world) == [9]


@pytest.mark.parametrize("version", V2)
def test_what_outlives_a_loss_of_power(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world)
    kept = [
        (0, wire(world, purpose=STATION_MAX, periods=[(0, 30)], id_=1)),
        (0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=2)),
        (2, wire(world, purpose=TX_DEFAULT, periods=[(0, 7)], id_=3, stack=1)),
    ]
    if version == "2.1":
        kept.append((0, wire(world, purpose="PriorityCharging", periods=[(0, 15)], id_=4)))
    for evse, profile in kept:
        assert install(world, evse, profile) == "Accepted"
    world.station.power_off()
    world.station = world.build()
    begin(world, 1)
    begin(world, 2)
    assert (amperes(world), amperes(world, evse=2)) == ([9], [7])
    m = world.csms.messages
    ask(world, "GetChargingProfiles", request_id=1, charging_profile=m.ChargingProfileCriterionType())
    rows = [row for part in told(world, "ReportChargingProfiles") for row in part.charging_profile]
    assert sorted(rows, key=lambda row: row.id) == [profile for _, profile in kept]


# ── phases and units ─────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", V2)
@pytest.mark.parametrize(
    ("unit", "limit", "phases", "flows"),
    [
        ("A", 10, None, (10, 10, 10)),  # three are meant where none is said, and A is for each
        ("W", 6900, None, (10, 10, 10)),
        ("W", 2760, 1, (12, 0, 0)),
        ("W", 4600, 2, (10, 10, 0)),
        ("A", 10, 1, (10, 0, 0)),
        ("A", 11, 3, (11, 11, 11)),
    ],
)
def test_a_limit_is_for_so_many_phases(make_world, version, unit, limit, phases, flows):
    world = make_world(version)
    begin(world)
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, limit)], unit=unit)
    profile.charging_schedule[0].charging_schedule_period[0].number_phases = phases
    assert install(world, 0, profile) == "Accepted"
    seen = [current / 1000 for current in (*currents(world), 0, 0)[:3]]
    # The grid is a little off its nominal voltage, by which W and A are converted.
    assert seen == pytest.approx(flows, rel=0.03)
    assert all(have <= most for have, most in zip(seen, flows, strict=True))


@pytest.mark.parametrize("version", V2)
def test_more_phases_than_there_are_mean_those_that_there_are(make_world, version):
    world = make_world(version, evses=(EvseConfig(phases=1), EvseConfig()))
    begin(world)
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 2760)], unit="W")
    profile.charging_schedule[0].charging_schedule_period[0].number_phases = 3
    assert install(world, 1, profile) == "Accepted"
    assert currents(world)[0] / 1000 == pytest.approx(12, rel=0.03)
    first = wire(world, purpose=TX_DEFAULT, periods=[(0, 8)], stack=1, id_=2)
    row = first.charging_schedule[0].charging_schedule_period[0]
    row.number_phases, row.phase_to_use = 1, 1
    assert install(world, 1, first) == "Accepted"  # it is the phase that is used anyway
    assert [bool(current) for current in currents(world)] == [True]
    row.phase_to_use = 2
    assert refused(world, 1, first) == "InvalidSchedule"
    begin(world, 2)
    row.phase_to_use, first.id = 1, 3
    assert install(world, 2, first) == "Accepted"
    assert [current > 0 for current in (*currents(world, 2), 0, 0)[:3]] == [True, False, False]


@pytest.mark.parametrize("version", V2)
def test_phases_are_no_matter_of_dc(make_world, version):
    """2.1 says so, 2.0.1 takes them without effect."""
    from pilotwire.twin.demo import DC_150

    world = make_world(version, evses=(DC_150,))
    begin(world, kind="sedan three-phase 11 kW 800 V", soc=200)
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 40_000)], unit="W")
    profile.charging_schedule[0].charging_schedule_period[0].number_phases = 1
    if version == "2.1":
        assert refused(world, 1, profile) == "NoPhaseForDC"
        return
    assert install(world, 1, profile) == "Accepted"
    assert world.station.evses[0].meter.power_mw / 1e6 == pytest.approx(40, rel=0.03)


@pytest.mark.parametrize("version", ALL)
def test_a_unit_that_the_station_does_not_know_is_refused(make_world, version):
    world = make_world(version, settings={"rate_units": "Current", "rate_units_2": "A"})
    world.station.power_on()
    world.run(5)
    why = "" if version == "1.6" else "UnsupportedRateUnit"
    assert refused(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9000)], unit="W")) == why
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)])) == "Accepted"
    name = "connector_id" if version == "1.6" else "evse_id"
    for unit, status in (("W", "Rejected"), ("A", "Accepted")):
        answer = ask(world, "GetCompositeSchedule", **{name: 1}, duration=60, charging_rate_unit=unit)
        assert answer.status == status


# ── without smart charging; with a remote start ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ALL)
def test_without_smart_charging_profiles_are_not_known_and_those_of_a_start_ignored(make_world, version):
    world = make_world(version, settings={"smart_enabled": "false"})
    world.station.power_on()
    world.run(5)
    m = world.csms.messages
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 9)])
    if version == "1.6":
        request = m.SetChargingProfileRequest(connector_id=1, cs_charging_profiles=profile)
    else:
        request = m.SetChargingProfileRequest(evse_id=1, charging_profile=profile)
    world.csms.command("SetChargingProfile", request)
    world.run(2)
    assert world.csms.answers[-1][1].code in ("NotSupported", "NotImplemented")
    world.station.plug(1, world.car())
    assert _start(world, wire(world, purpose=TX, periods=[(0, 7)], start=None, kind="Relative")).status == "Accepted"
    world.run(60)
    assert amperes(world) == [16]


def _start(world, profile):
    m = world.csms.messages
    if world.config.version == "1.6":
        fields = {"connector_id": 1, "id_tag": "R", "charging_profile": profile}
        return ask(world, "RemoteStartTransaction", **fields)
    token = m.IdTokenType(id_token="R", type="Central")
    return ask(world, "RequestStartTransaction", evse_id=1, remote_start_id=4, id_token=token, charging_profile=profile)


@pytest.mark.parametrize("version", ALL)
def test_a_start_with_a_profile_that_makes_no_sense_is_refused(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    good = {"periods": [(0, 7)], "start": None, "kind": "Relative"}
    for bad, why in (
        (wire(world, purpose=TX_DEFAULT, **good), "InvalidProfile"),
        (wire(world, purpose=TX, **good | {"periods": [(60, 7)]}), "InvalidSchedule"),
        (wire(world, purpose=TX, **good, transaction_id=7 if version == "1.6" else "7"), "InvalidProfile"),
    ):
        answer = _start(world, bad)
        assert answer.status == "Rejected"
        if version != "1.6":
            assert answer.status_info.reason_code == why
        assert world.station.evses[0].session is None
    assert _start(world, wire(world, purpose=TX, **good)).status == "Accepted"
    world.run(60)
    assert amperes(world) == [7]
    # Of the same level it takes the place of the one that came with the start, of another it stands beside it.
    number = 5 if version == "1.6" else 1
    other = wire(world, purpose=TX, periods=[(0, 9)], id_=number, transaction_id=key_of(world))
    assert install(world, 1, other) == "Accepted"
    above = wire(world, purpose=TX, periods=[(0, 6)], id_=8, stack=1, duration=600, transaction_id=key_of(world))
    assert install(world, 1, above) == "Accepted"
    assert amperes(world, 2, 610) == [6, 9]
    assert [each.id for each in world.station.energy.profiles] == [number, 8]


# ── the whole station ────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", ALL)
def test_the_schedule_of_the_whole_station_is_the_sum_under_its_maximum(make_world, version):
    world = make_world(version, evses=(EvseConfig(max_ma=16_000, max_w=11_040), EvseConfig(max_ma=32_000)))
    world.station.power_on()
    world.run(5)
    name = "connector_id" if version == "1.6" else "evse_id"

    def whole():
        answer = ask(world, "GetCompositeSchedule", **{name: 0}, duration=600, charging_rate_unit="A")
        schedule = answer.charging_schedule if version == "1.6" else answer.schedule
        return [row.limit for row in schedule.charging_schedule_period]

    assert install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 10)], id_=1)) == "Accepted"
    assert install(world, 2, wire(world, purpose=TX_DEFAULT, periods=[(0, 14)], id_=2)) == "Accepted"
    assert whole() == [24]
    assert install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 20)], id_=3)) == "Accepted"
    assert whole() == [20]


@pytest.mark.parametrize("version", V2)
def test_each_evse_has_its_own_schedule(make_world, version):
    """And what the hardware can give is the end of it, whatever a profile says."""
    world = make_world(version, evses=(EvseConfig(max_ma=13_000), EvseConfig()))
    begin(world, 1)
    begin(world, 2)
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 31)], id_=1)) == "Accepted"
    assert (amperes(world), amperes(world, evse=2)) == ([13], [16])
    assert install(world, 2, wire(world, purpose=TX_DEFAULT, periods=[(0, 8)], id_=2, stack=1)) == "Accepted"
    assert (amperes(world), amperes(world, evse=2)) == ([13], [8])


# ── other systems ────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", V2)
def test_an_external_limit_before_anybody_charges_binds_the_sum(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    world.station.power_on()
    world.run(5)
    outside = world.station.smart_charging.external
    with pytest.raises(LocalError):
        outside.impose(Rates(limit=9_000), source="CSO")
    assert outside.impose(Rates(limit=14_000), source="SO")
    world.run(2)
    [limit] = told(world)
    assert limit.charging_limit.charging_limit_source == "SO"
    assert limit.charging_schedule[0].charging_schedule_period[0].limit == 14
    begin(world, 1)
    assert amperes(world) == [14]
    begin(world, 2)
    assert amperes(world) == amperes(world, evse=2) == [7]
    m = world.csms.messages
    criteria = m.ChargingProfileCriterionType(charging_profile_purpose="ChargingStationExternalConstraints")
    assert ask(world, "GetChargingProfiles", request_id=1, charging_profile=criteria).status == "Accepted"
    [report] = told(world, "ReportChargingProfiles")
    assert (report.charging_limit_source, report.charging_profile[0].id < 0) == ("SO", True)
    assert outside.release()
    world.run(2)
    assert amperes(world) == amperes(world, evse=2) == [16]
    assert [each.charging_limit_source for each in told(world, "ClearedChargingLimit")] == ["SO"]


@pytest.mark.parametrize("version", V2)
def test_small_changes_of_a_limit_are_obeyed_and_not_told(make_world, version):
    world = make_world(version, settings={"limit_significance": "10"})
    begin(world)
    outside = world.station.smart_charging.external
    seen = []
    for limit in (12_000, 11_500, 10_000):  # less than a tenth less, then more
        assert outside.impose(Rates(limit=limit))
        world.run(2)
        seen.append((currents(world)[0], len(told(world)), len(rate_events(world))))
    assert seen == [(12_000, 1, 1), (11_500, 1, 1), (10_000, 2, 2)]
    put(world, "limit_schedules", "false")
    assert outside.impose(Rates(limit=7_000))
    world.run(2)
    assert [each.charging_schedule is None for each in told(world)] == [False, False, True]
    assert outside.release()
    world.run(2)
    assert (amperes(world), len(rate_events(world))) == ([16], 4)


def test_what_other_systems_say_is_a_profile_of_its_kind_in_21(make_world):
    """One value is Dynamic and updated where it is, a schedule Absolute; the mode says from whom it comes."""
    world = make_world("2.1", settings={"limit_significance": "5"})
    begin(world)
    outside = world.station.smart_charging.external
    m = world.csms.messages

    def reported(purpose):
        criteria = m.ChargingProfileCriterionType(charging_profile_purpose=purpose)
        answer = ask(world, "GetChargingProfiles", request_id=1, charging_profile=criteria)
        if answer.status != "Accepted":
            return None
        return told(world, "ReportChargingProfiles")[-1].charging_profile[0]

    def shown(purpose="ChargingStationExternalConstraints"):
        row = reported(purpose)
        [schedule] = row.charging_schedule
        periods = [
            (p.start_period, p.operation_mode, p.limit, p.discharge_limit, p.setpoint)
            for p in schedule.charging_schedule_period
        ]
        return row.charging_profile_kind, periods

    assert outside.impose(Rates(limit=10_000, discharge=-2_000))
    first = reported("ChargingStationExternalConstraints")
    assert shown() == ("Dynamic", [(0, "ExternalLimits", 10, -2, None)])
    assert amperes(world) == [10]
    world.run(30)
    assert outside.impose(Rates(limit=8_000, discharge=-2_000))
    again = reported("ChargingStationExternalConstraints")
    assert again.id == first.id and (again.dyn_update_time - first.dyn_update_time).total_seconds() >= 30
    assert again.charging_schedule[0].charging_schedule_period[0].limit == 8 and amperes(world) == [8]
    assert [each.charging_limit.charging_limit_source for each in told(world)] == ["EMS", "EMS"]
    assert outside.impose(Rates(setpoint=7_000))
    assert shown() == ("Dynamic", [(0, "ExternalSetpoint", None, None, 7)])
    schedule = Schedule(unit="A", periods=(Period(start_ms=0, limit=9_000), Period(start_ms=600_000, limit=6_000)))
    assert outside.impose(schedule)
    assert shown() == ("Absolute", [(0, "ExternalLimits", 9, None, None), (600, "ExternalLimits", 6, None, None)])
    assert amperes(world, 2, 610) == [9, 6]
    setpoints = Schedule(unit="A", periods=(Period(start_ms=0, setpoint=9_000),))
    assert outside.impose(setpoints)
    assert shown() == ("Absolute", [(0, "ExternalSetpoint", None, None, 9)])
    world.run(2)
    last = told(world)[-1]
    assert last.charging_limit.charging_limit_source == "EMS"
    assert last.charging_schedule[0].charging_schedule_period[0].setpoint == 9
    put(world, "external_disallowed", "true")
    assert not outside.impose(Rates(limit=6_000)) and len(told(world)) == 5
    assert shown() == ("Absolute", [(0, "ExternalSetpoint", None, None, 9)])


def test_local_generation_is_told_apart_from_limits(make_world):
    world = make_world("2.1", settings={"limit_significance": "5"})
    begin(world)
    outside = world.station.smart_charging.external
    assert outside.impose(Rates(limit=8_000), source="SO")
    assert outside.impose(Rates(limit=2_000), local_generation=True)
    world.run(2)
    assert amperes(world) == [10]
    assert outside.impose(Rates(limit=2_050), local_generation=True)  # too little to be told
    assert outside.impose(Rates(limit=4_000), local_generation=True)
    world.run(2)
    assert amperes(world) == [12]
    said = [
        (
            each.charging_limit.charging_limit_source,
            bool(each.charging_limit.is_local_generation),
            each.charging_schedule[0].charging_schedule_period[0].limit,
        )
        for each in told(world)
    ]
    assert said == [("SO", False, 8), ("EMS", True, 2), ("EMS", True, 4)]
    m = world.csms.messages
    assert ask(world, "GetChargingProfiles", request_id=1, charging_profile=m.ChargingProfileCriterionType())
    purposes = {row.charging_profile_purpose for part in told(world, "ReportChargingProfiles")
                for row in part.charging_profile}  # fmt: skip
    assert purposes == {"ChargingStationExternalConstraints", "LocalGeneration"}
    put(world, "limit_schedules", "false")
    assert outside.impose(Rates(limit=1_000), local_generation=True)
    world.run(2)
    assert told(world)[-1].charging_schedule is None and told(world)[-1].charging_limit.is_local_generation


def test_ids_of_the_stations_own_profiles(make_world):
    world = make_world("2.1")
    begin(world)
    m = world.csms.messages
    setting = m.SetVariableDataType(
        component=m.ComponentType(name="SmartChargingCtrlr"),
        variable=m.VariableType(name="MaxExternalConstraintsId"),
        attribute_value="100",
    )
    assert ask(world, "SetVariables", set_variable_data=[setting]).set_variable_result[0].attribute_status == "Accepted"
    assert refused(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=100)) == "InvalidProfileId"
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=101)) == "Accepted"
    for highest in ("100", "-3000000"):
        put(world, "max_external_id", highest)
        world.station.smart_charging.external.impose(Rates(limit=8_000))
        world.station.smart_charging.external.impose(Rates(limit=1_000), local_generation=True)
        own = [each.id for each in world.station.smart_charging.store if each.source == "EMS"]
        assert len(own) == 2 and all(each <= int(highest) for each in own)
        world.station.smart_charging.external.release()
        world.station.smart_charging.external.release(local_generation=True)


# ── 2.1: set-points, state of charge, dynamic profiles ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize(("priority", "flows"), [(None, 7), ("ExternalControl", 7), ("CSMS", 9)])
def test_whose_set_point_is_followed(make_world, priority, flows):
    world = make_world("2.1", settings={} if priority is None else {"setpoint_priority": priority})
    begin(world)
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 16)])
    row = profile.charging_schedule[0].charging_schedule_period[0]
    row.operation_mode, row.setpoint, row.limit = "CentralSetpoint", Decimal(9), None
    assert install(world, 0, profile) == "Accepted"
    assert currents(world)[0] / 1000 == pytest.approx(9, rel=0.01)
    world.station.smart_charging.external.impose(Rates(setpoint=7_000), evse_id=1)
    world.run(2)
    assert currents(world)[0] / 1000 == pytest.approx(flows, rel=0.01)


def test_a_limit_by_charge_needs_the_charge_to_be_known(make_world):
    for knows, flows in ((True, 7), (False, 14)):
        world = make_world("2.1", soc_over_ac=knows)
        begin(world, soc=495)
        profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 14)])
        m = world.csms.messages
        profile.charging_schedule[0].limit_at_soc = m.LimitAtSoCType(soc=50, limit=Decimal(7))
        assert install(world, 0, profile) == "Accepted"
        assert amperes(world) == [14]  # it is below yet
        world.run(1800)
        assert world.station.evses[0].car.soc >= 500 and amperes(world) == [flows]


def test_a_profile_without_a_longest_break_outlives_every_break(make_world):
    world = make_world("2.1")
    begin(world)
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)])) == "Accepted"
    world.offline()
    assert amperes(world, 3, 3600) == [9, 9, 9]
    world.online()
    world.run(900)
    assert amperes(world) == [9] and len(world.station.energy.profiles) == 1


def test_dynamic_profiles_know_when_they_were_updated(make_world):
    world = make_world("2.1")
    begin(world)
    m = world.csms.messages
    smart = world.station.smart_charging

    def profile(**more):
        made = wire(world, purpose=TX_DEFAULT, periods=[(0, 12)], kind="Dynamic", start=None)
        for name, value in more.items():
            setattr(made, name, value)
        return made

    late = profile()
    late.charging_schedule[0].charging_schedule_period[0].start_period = 60
    assert refused(world, 0, late) == "InvalidSchedule"
    double = profile()
    double.charging_schedule.append(double.charging_schedule[0])
    assert refused(world, 0, double) == "InvalidSchedule"
    assert install(world, 0, profile()) == "Accepted"
    first = smart.store.get(1).updated
    assert abs(first - world.station.clock.now()) <= 2_000
    world.run(100)
    answer = ask(world, "UpdateDynamicSchedule", charging_profile_id=1,
                 schedule_update=m.ChargingScheduleUpdateType(limit=Decimal(8)))  # fmt: skip
    assert answer.status == "Accepted" and amperes(world) == [8]
    assert smart.store.get(1).updated - first >= 100_000
    update = m.ChargingScheduleUpdateType(limit=Decimal(10))
    world.csms.scripts["PullDynamicScheduleUpdate"] = lambda request: m.PullDynamicScheduleUpdateResponse(
        status="Accepted", schedule_update=update
    )
    assert install(world, 0, profile(dyn_update_interval=60)) == "Accepted"
    assert amperes(world) == [12]
    world.run(65)
    [pull] = told(world, "PullDynamicScheduleUpdate")
    assert pull.charging_profile_id == 1 and amperes(world) == [10]
    assert world.station.clock.now() - smart.store.get(1).updated <= 10_000
    fixed = wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=2, stack=3)
    assert install(world, 0, fixed) == "Accepted"
    answer = ask(world, "UpdateDynamicSchedule", charging_profile_id=2, schedule_update=update)
    assert (answer.status, answer.status_info.reason_code, amperes(world)) == ("Rejected", "InvalidProfile", [9])


@pytest.mark.parametrize("evse", [0, 1])
def test_priority_charging_by_the_driver(make_world, evse):
    """On EVSE 0 a profile is for all; the maximum of the station stays above it."""
    world = make_world("2.1", evses=(EvseConfig(), EvseConfig()))
    begin(world)
    smart = world.station.smart_charging
    key = key_of(world)
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 7)], id_=1)) == "Accepted"
    assert install(world, 2, wire(world, purpose="PriorityCharging", periods=[(0, 15)], id_=2)) == "Accepted"
    answer = ask(world, "UsePriorityCharging", transaction_id=key, activate=True)
    assert (answer.status, amperes(world)) == ("NoProfile", [7])  # it is another EVSE's
    assert ask(world, "UsePriorityCharging", transaction_id=key, activate=False).status == "Accepted"
    assert install(world, evse, wire(world, purpose="PriorityCharging", periods=[(0, 14)], id_=3)) == "Accepted"
    assert smart.prioritize(1, on=True)
    world.run(2)
    assert amperes(world) == [14]
    assert install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 12)], id_=4)) == "Accepted"
    assert amperes(world) == [12]
    assert smart.prioritize(1, on=False)
    world.run(2)
    assert amperes(world) == [7]
    said = [(each.transaction_id, each.activated) for each in told(world, "NotifyPriorityCharging")]
    assert said == [(key, True), (key, False)]
    wrong = wire(world, purpose="PriorityCharging", periods=[(0, 9)], id_=9, stack=2)
    wrong.charging_schedule[0].charging_schedule_period[0].operation_mode = "Idle"
    wrong.charging_schedule[0].charging_schedule_period[0].limit = None
    assert refused(world, 1, wrong) == "InvalidSchedule"


def test_limits_of_others_in_a_profile_of_the_csms(make_world):
    """Q05: with ExternalLimits what the other system says holds, stands there, and counts as an update."""
    world = make_world("2.1")
    begin(world)
    m = world.csms.messages
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 12)], kind="Dynamic", start=None)
    profile.charging_schedule[0].charging_schedule_period[0].operation_mode = "ExternalLimits"
    assert install(world, 0, profile) == "Accepted"
    outside = world.station.smart_charging.external
    seen = []
    for limit in (9_000, 7_000):
        world.run(60)
        before = world.station.clock.now()
        assert outside.impose(Rates(limit=limit, discharge=-2_000), evse_id=1)
        ask(world, "GetChargingProfiles", request_id=1, charging_profile=m.ChargingProfileCriterionType())
        [row] = told(world, "ReportChargingProfiles")[-1].charging_profile
        period = row.charging_schedule[0].charging_schedule_period[0]
        at = row.dyn_update_time.timestamp() * 1000
        seen.append((currents(world)[0], period.limit, period.discharge_limit, abs(at - before) < 2_000))
    assert seen == [(9_000, 9, -2, True), (7_000, 7, -2, True)]


def test_a_schedule_in_local_time(make_world):
    """K01.FR.90: whatever offset its start has, it is the clock on the wall that counts."""
    world = make_world("2.1", settings={"time_zone": "Europe/Berlin", "sample_interval": "0"})
    begin(world)  # midnight of UTC, one o'clock in Berlin
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 9), (3600, 7)], start=3600)
    profile.charging_schedule[0].use_local_time = True
    assert install(world, 0, profile) == "Accepted"
    assert amperes(world) == [9]
    plain = wire(world, purpose=TX_DEFAULT, periods=[(0, 8)], start=600, stack=1, id_=2)
    assert install(world, 0, plain) == "Accepted"
    assert amperes(world, 2, 620) == [9, 8]


# ── what the CSMS asks ───────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", V2)
def test_profiles_are_reported_by_place(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    world.station.power_on()
    world.run(5)
    for id_, evse in ((1, 0), (2, 0), (3, 0), (4, 0), (5, 0), (6, 1), (7, 2)):
        profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=id_, stack=id_)
        assert install(world, evse, profile) == "Accepted"
    m = world.csms.messages
    for evse, ids in ((0, {1, 2, 3, 4, 5}), (1, {6}), (None, {1, 2, 3, 4, 5, 6, 7})):
        before = len(told(world, "ReportChargingProfiles"))
        criteria = m.ChargingProfileCriterionType(charging_profile_purpose=TX_DEFAULT)
        fields = {} if evse is None else {"evse_id": evse}
        assert ask(world, "GetChargingProfiles", request_id=9, charging_profile=criteria, **fields).status == "Accepted"
        parts = told(world, "ReportChargingProfiles")[before:]
        assert [bool(part.tbc) for part in parts] == [True] * (len(parts) - 1) + [False]
        assert {row.id for part in parts for row in part.charging_profile} == ids
    assert len(parts) > 2


# ── who comes first ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("version", V2)
def test_the_more_urgent_transaction_is_served_first(make_world, version):
    """K03: by its token, by the answer to its event and for it alone, and 0 where nothing is said."""
    world = make_world(version, evses=(EvseConfig(max_ma=16_000, max_w=11_040),) * 3)
    m = world.csms.messages
    said = {"TOKEN1": 0, "TOKEN2": 3}
    events = {}

    def authorize(request):
        priority = said.get(request.id_token.id_token)
        return m.AuthorizeResponse(id_token_info=m.IdTokenInfoType(status="Accepted", charging_priority=priority))

    world.csms.scripts["Authorize"] = authorize
    world.csms.scripts["TransactionEvent"] = lambda request: m.TransactionEventResponse(
        charging_priority=events.pop(request.evse.id, None) if request.evse is not None else None
    )
    world.station.power_on()
    world.run(5)
    assert install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 24)])) == "Accepted"
    begin(world, 1)
    assert amperes(world) == [16]
    begin(world, 2)
    assert (amperes(world), amperes(world, evse=2)) == ([8], [16])  # what the urgent one leaves
    begin(world, 3)  # nobody has said anything: it is as urgent as the first, and there is not enough for both
    assert [amperes(world, evse=number)[0] for number in (1, 2, 3)] == [8, 16, 0]
    world.station.unplug(3)
    world.run(5)
    events[3] = 9
    begin(world, 3)
    assert [amperes(world, evse=number)[0] for number in (1, 2, 3)] == [0, 8, 16]
    assert world.station.evses[0].session is not None  # it waits
    world.station.unplug(3)
    world.run(5)
    begin(world, 3)  # that was for the one transaction alone
    assert [amperes(world, evse=number)[0] for number in (1, 2, 3)] == [8, 16, 0]
