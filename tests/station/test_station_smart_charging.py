"""Smart charging beyond limits that are set: reports, priority, dynamic rates, external systems, vehicles that plan."""

from __future__ import annotations

import importlib.util
import sys
from datetime import timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from pilotwire.core.errors import LocalError
from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.model import Period, Rates, Schedule
from pilotwire.station.config import EvseConfig

_spec = importlib.util.spec_from_file_location("station_profiles", Path(__file__).with_name("test_station_profiles.py"))
profiles = sys.modules.setdefault("station_profiles", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(profiles)
wire, install, begin, currents = profiles.wire, profiles.install, profiles.begin, profiles.currents

V2 = ("2.0.1", "2.1")


def ask(world, action, **fields):
    """Send a CALL of the world's version; its answer."""
    m = world.csms.messages
    world.csms.command(action, getattr(m, f"{action}Request")(**fields))
    world.run(2)
    return next(answer for name, answer in reversed(world.csms.answers) if name == action)


def refusal(world, evse, profile):
    """The reasonCode of a refused SetChargingProfile."""
    assert install(world, evse, profile) == "Rejected"
    return world.csms.answers[-1][1].status_info.reason_code


def test_an_unknown_connector_is_a_call_error_in_16(make_world):
    world = make_world("1.6")
    world.station.power_on()
    world.run(5)
    m = world.csms.messages
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 9)])
    world.csms.command("SetChargingProfile", m.SetChargingProfileRequest(connector_id=7, cs_charging_profiles=profile))
    world.run(1)
    assert world.csms.answers[-1][1].code == "PropertyConstraintViolation"


def test_a_station_maximum_without_a_start_holds_from_when_it_is_set(make_world):
    world = make_world("1.6")
    begin(world)
    profile = wire(world, purpose="ChargingStationMaxProfile", periods=[(0, 9)], start=None)
    assert install(world, 0, profile) == "Accepted" and currents(world)[0] == 9_000


@pytest.mark.parametrize("version", V2)
def test_reasons_of_refusals(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world)
    key = world.station.truth[0].transaction
    default = {"purpose": "TxDefaultProfile", "periods": [(0, 9)]}
    assert refusal(world, 3, wire(world, **default)) == "UnknownEvse"
    assert refusal(world, 1, wire(world, **default, stack=21)) == "InvalidStackLevel"
    assert refusal(world, 1, wire(world, **default, start=None)) == "InvalidSchedule"  # K01.FR.40
    assert refusal(world, 1, wire(world, **default, kind="Relative")) == "InvalidSchedule"  # K01.FR.41
    assert refusal(world, 1, wire(world, **default | {"purpose": "ChargingStationExternalConstraints"})) == (
        "InvalidProfile"
    )
    tx = {"purpose": "TxProfile", "periods": [(0, 9)], "transaction_id": key}
    assert refusal(world, 2, wire(world, **tx)) == "TxNotFound"
    assert refusal(world, 1, wire(world, **tx | {"transaction_id": "other"})) == "TxNotFound"
    maximum = {"purpose": "ChargingStationMaxProfile", "periods": [(0, 9)]}
    assert refusal(world, 0, wire(world, **maximum, kind="Relative", start=None)) == "InvalidProfile"  # K01.FR.38
    assert refusal(world, 1, wire(world, **maximum)) == "InvalidProfile"
    # K01.FR.06, .52, .53: no two of one stack level; the same id replaces (K01.FR.05).
    assert install(world, 0, wire(world, **default, id_=1)) == "Accepted"
    assert install(world, 0, wire(world, **default, id_=1)) == "Accepted"
    assert refusal(world, 0, wire(world, **default, id_=2)) == "DuplicateProfile"
    assert refusal(world, 1, wire(world, **default, id_=2)) == "DuplicateProfile"
    assert install(world, 1, wire(world, **default, id_=2, stack=1)) == "Accepted"
    assert refusal(world, 0, wire(world, **default, id_=6, stack=1)) == "DuplicateProfile"  # K01.FR.52
    double = wire(world, **tx, id_=3)
    double.charging_schedule.append(double.charging_schedule[0])
    assert refusal(world, 1, double) == "InvalidProfile"  # K01.FR.34: the vehicle has not told its needs
    assert install(world, 1, wire(world, **tx, id_=3)) == "Accepted"
    assert refusal(world, 1, wire(world, **tx, id_=4)) == "DuplicateProfile"  # K01.FR.39
    if version == "2.0.1":
        return
    m = world.csms.messages

    def changed(change, **fields):
        profile = wire(world, **default | {"stack": 5, "id_": 9} | fields)
        change(profile, profile.charging_schedule[0])
        return profile

    def delayed(profile, schedule):
        schedule.randomized_delay = 60

    assert refusal(world, 0, changed(delayed, **maximum)) == "InvalidSchedule"  # K01.FR.95
    assert install(world, 0, changed(delayed)) == "Accepted"

    def updated(profile, schedule):
        profile.dyn_update_interval = 60

    assert refusal(world, 0, changed(updated)) == "InvalidProfile"  # K01.FR.122

    def central(profile, schedule):
        schedule.charging_schedule_period[0].operation_mode = "CentralSetpoint"
        schedule.charging_schedule_period[0].setpoint = Decimal(20)

    assert refusal(world, 0, changed(central)) == "InvalidSchedule"  # V2X.05: 20 A with a limit of 9 A

    def frequency(profile, schedule):
        schedule.charging_schedule_period[0].operation_mode = "LocalFrequency"

    assert refusal(world, 0, changed(frequency)) == "InvalidOperationMode"  # K01.FR.115

    def phase(profile, schedule):
        schedule.charging_schedule_period[0].number_phases = 1
        schedule.charging_schedule_period[0].phase_to_use = 2

    assert refusal(world, 0, changed(phase)) == "InvalidSchedule"  # K01.FR.48

    def single(profile, schedule):
        schedule.charging_schedule_period[0].limit_l2 = Decimal(3)

    assert refusal(world, 1, changed(single)) == "PhaseConflict"  # K01.FR.144
    priority = wire(world, purpose="PriorityCharging", periods=[(0, 9)], duration=60, stack=1, id_=20)
    assert refusal(world, 0, priority) == "InvalidSchedule"  # K01.FR.70
    dynamic = wire(world, purpose="TxDefaultProfile", periods=[(0, 9), (60, 8)], kind="Dynamic", start=None, id_=21)
    assert refusal(world, 0, dynamic) == "InvalidSchedule"  # K28.FR.03
    assert m is world.csms.messages


@pytest.mark.parametrize("version", V2)
def test_profiles_are_reported_as_they_came(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig()))
    begin(world)
    m = world.csms.messages
    criteria = m.ChargingProfileCriterionType
    assert ask(world, "GetChargingProfiles", request_id=1, charging_profile=criteria()).status == "NoProfiles"
    sent = []
    for number in range(6):
        profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 9.5), (60, 7)], id_=number, stack=number)
        sent.append(profile)
        assert install(world, number % 2, profile) == "Accepted"
    world.station.smart_charging.external.impose(Rates(limit=10_000), source="SO")
    assert ask(world, "GetChargingProfiles", request_id=2, charging_profile=criteria()).status == "Accepted"
    heard = world.csms.heard("ReportChargingProfiles")
    assert [part.tbc for part in heard] == [True] * (len(heard) - 1) + [None]
    assert {part.request_id for part in heard} == {2}
    found = {each.id: each for part in heard for each in part.charging_profile}
    assert [found[profile.id] for profile in sent] == sent
    outside = [part for part in heard if part.charging_limit_source == "SO"]
    assert outside[0].charging_profile[0].charging_profile_purpose == "ChargingStationExternalConstraints"
    assert outside[0].charging_profile[0].id < 0
    for fields, ids in (
        ({"charging_profile": criteria(charging_profile_id=[1, 3])}, {1, 3}),
        ({"charging_profile": criteria(stack_level=4)}, {4}),
        ({"charging_profile": criteria(charging_profile_purpose="TxDefaultProfile"), "evse_id": 1}, {1, 3, 5}),
        ({"charging_profile": criteria(charging_limit_source=["CSO"]), "evse_id": 0}, {0, 2, 4}),
    ):
        before = len(world.csms.heard("ReportChargingProfiles"))
        assert ask(world, "GetChargingProfiles", request_id=3, **fields).status == "Accepted"
        parts = world.csms.heard("ReportChargingProfiles")[before:]
        assert {each.id for part in parts for each in part.charging_profile} == ids
    nothing = criteria(charging_profile_id=[99])
    assert ask(world, "GetChargingProfiles", request_id=4, charging_profile=nothing).status == "NoProfiles"


@pytest.mark.parametrize("version", V2)
def test_composite_schedules_that_cannot_be_told(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    for fields, why in (
        ({"evse_id": 4, "duration": 60}, "UnknownEvse"),
        ({"evse_id": 1, "duration": 0}, "ValuePositiveOnly"),
    ):
        answer = ask(world, "GetCompositeSchedule", **fields)
        assert (answer.status, answer.status_info.reason_code) == ("Rejected", why)
    whole = ask(world, "GetCompositeSchedule", evse_id=0, duration=60).schedule
    assert [row.limit for row in whole.charging_schedule_period] == [32]


@pytest.mark.parametrize("version", V2)
def test_the_csms_clears_neither_external_constraints_nor_local_generation(make_world, version):
    world = make_world(version)
    begin(world)
    world.station.smart_charging.external.impose(Rates(limit=8_000))
    assert currents(world)[0] == 8_000
    m = world.csms.messages
    outside = next(iter(world.station.smart_charging.store)).id
    assert ask(world, "ClearChargingProfile", charging_profile_id=outside).status == "Unknown"  # K10.FR.09
    fields = m.ClearChargingProfileType(evse_id=0)
    assert ask(world, "ClearChargingProfile", charging_profile_criteria=fields).status == "Unknown"  # K10.FR.08
    assert currents(world)[0] == 8_000
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 7)], id_=outside)
    assert refusal(world, 0, profile) == "InvalidProfileId"  # K01.FR.05


@pytest.mark.parametrize("version", ("1.6", "2.0.1", "2.1"))
def test_an_external_limit_is_obeyed_told_and_released(make_world, version):
    world = make_world(version)
    begin(world)
    smart = world.station.smart_charging
    assert smart.external.impose(Rates(limit=10_000), source="EMS", critical=True)
    world.run(2)
    assert currents(world)[0] == 10_000
    assert smart.external.impose(Rates(limit=10_050))
    world.run(2)
    assert currents(world)[0] == 10_050
    assert smart.external.release() and not smart.external.release()
    world.run(2)
    assert currents(world)[0] == 16_000
    told = world.csms.heard("NotifyChargingLimit")
    cleared = world.csms.heard("ClearedChargingLimit")
    if version == "1.6":
        assert not told and not cleared
        return
    # The second change was of half a percent: less than LimitChangeSignificance.
    assert [(each.charging_limit.charging_limit_source, each.evse_id) for each in told] == [("EMS", 0)]
    assert told[0].charging_limit.is_grid_critical is True
    assert told[0].charging_schedule[0].charging_schedule_period[0].limit == 10
    assert [(each.charging_limit_source, each.evse_id) for each in cleared] == [("EMS", 0)]
    events = [e for e in world.csms.heard("TransactionEvent") if e.trigger_reason == "ChargingRateChanged"]
    assert len(events) == 2
    if version == "2.1":
        assert ask(world, "SetVariables", set_variable_data=[_variable(world, "true")]).set_variable_result[0]
        assert not smart.external.impose(Rates(limit=9_000)) and currents(world)[0] == 16_000  # K11.FR.07


def _variable(world, value):
    m = world.csms.messages
    return m.SetVariableDataType(
        component=m.ComponentType(name="SmartChargingCtrlr"),
        variable=m.VariableType(name="ExternalConstraintsProfileDisallowed"),
        attribute_value=value,
    )


def test_an_external_schedule_and_local_generation(make_world):
    world = make_world("2.1")
    begin(world)
    smart = world.station.smart_charging
    smart.external.impose(
        Schedule(unit="A", periods=(Period(start_ms=0, limit=9_000), Period(start_ms=600_000, limit=7_000))),
        source="SO",
    )
    assert currents(world)[0] == 9_000
    smart.external.impose(Rates(limit=2_000), local_generation=True)
    assert currents(world)[0] == 11_000
    world.run(600)
    assert currents(world)[0] == 9_000
    told = world.csms.heard("NotifyChargingLimit")
    assert [each.charging_limit.is_local_generation for each in told] == [None, True]
    assert smart.external.release(local_generation=True) and currents(world)[0] == 7_000


def test_priority_charging(make_world):
    world = make_world("2.1")
    begin(world)
    key = world.station.truth[0].transaction
    assert install(world, 0, wire(world, purpose="TxDefaultProfile", periods=[(0, 7)])) == "Accepted"
    answer = ask(world, "UsePriorityCharging", transaction_id=key, activate=True)
    assert (answer.status, answer.status_info.reason_code) == ("NoProfile", "NotFound")
    assert not world.station.smart_charging.prioritize(1, on=True)  # K22.FR.01
    priority = wire(world, purpose="PriorityCharging", periods=[(0, 14)], id_=5)
    assert install(world, 0, priority) == "Accepted" and currents(world)[0] == 7_000
    answer = ask(world, "UsePriorityCharging", transaction_id="nobody", activate=True)
    assert (answer.status, answer.status_info.reason_code) == ("Rejected", "TxNotFound")
    assert ask(world, "UsePriorityCharging", transaction_id=key, activate=True).status == "Accepted"
    assert currents(world)[0] == 14_000
    assert install(world, 0, wire(world, purpose="ChargingStationMaxProfile", periods=[(0, 11)], id_=6)) == "Accepted"
    assert currents(world)[0] == 11_000  # K21.FR.04
    assert ask(world, "UsePriorityCharging", transaction_id=key, activate=False).status == "Accepted"
    assert currents(world)[0] == 7_000
    # The driver asks for it while there is no connection: told afterwards (K22).
    world.csms.link.close(1001)
    assert world.station.smart_charging.prioritize(1, on=True) and currents(world)[0] == 11_000
    world.run(300)
    said = [(each.transaction_id, each.activated) for each in world.csms.heard("NotifyPriorityCharging")]
    assert said == [(key, True), (key, False), (key, True)]
    with pytest.raises(LocalError):
        world.station.evses[0].session and world.station.smart_charging.prioritize(2, on=True)


def test_dynamic_rates_are_sent_and_asked_for(make_world):
    world = make_world("2.1")
    begin(world)
    m = world.csms.messages
    update = m.ChargingScheduleUpdateType
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 12)], kind="Dynamic", start=None, duration=120)
    assert install(world, 0, profile) == "Accepted" and currents(world)[0] == 12_000
    answer = ask(world, "UpdateDynamicSchedule", charging_profile_id=1, schedule_update=update(limit=Decimal("8.5")))
    assert answer.status == "Accepted" and currents(world)[0] == 8_500
    answer = ask(world, "UpdateDynamicSchedule", charging_profile_id=9, schedule_update=update(limit=Decimal(8)))
    assert (answer.status, answer.status_info.reason_code) == ("Rejected", "InvalidProfile")
    answer = ask(world, "UpdateDynamicSchedule", charging_profile_id=1, schedule_update=update(limit=Decimal(-8)))
    assert (answer.status, answer.status_info.reason_code) == ("Rejected", "InvalidSchedule")
    world.run(130)
    assert currents(world)[0] == 16_000  # K28.FR.13: nobody has updated it
    ask(world, "UpdateDynamicSchedule", charging_profile_id=1, schedule_update=update(limit=Decimal(9)))
    assert currents(world)[0] == 9_000  # K28.FR.14
    limits = iter((10, 11, None, 13))

    def pulled(request):
        limit = next(limits, 13)
        if limit is None:
            return m.PullDynamicScheduleUpdateResponse(status="Rejected")
        return m.PullDynamicScheduleUpdateResponse(status="Accepted", schedule_update=update(limit=Decimal(limit)))

    world.csms.scripts["PullDynamicScheduleUpdate"] = pulled
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 12)], kind="Dynamic", start=None)
    profile.dyn_update_interval = 60
    assert install(world, 0, profile) == "Accepted"
    seen = []
    for _ in range(4):
        world.run(60)
        seen.append(currents(world)[0])
    assert seen == [10_000, 11_000, 11_000, 13_000]
    assert {each.charging_profile_id for each in world.csms.heard("PullDynamicScheduleUpdate")} == {1}
    ask(world, "GetChargingProfiles", request_id=1, charging_profile=m.ChargingProfileCriterionType())
    reported = world.csms.heard("ReportChargingProfiles")[-1].charging_profile[0]
    assert reported.charging_schedule[0].charging_schedule_period[0].limit == 13
    assert reported.dyn_update_time is not None
    world.station.power_off()
    world.run(120)
    world.station = world.build()
    begin(world)
    assert currents(world)[0] == 13_000  # kept across a loss of power with its last rates


def test_external_values_go_where_the_csms_has_asked_for_them(make_world):
    world = make_world("2.1")
    begin(world)
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 12)], kind="Dynamic", start=None)
    profile.charging_schedule[0].charging_schedule_period[0].operation_mode = "ExternalLimits"
    assert install(world, 0, profile) == "Accepted"
    smart = world.station.smart_charging
    assert smart.external.impose(Rates(limit=7_500)) and currents(world)[0] == 7_500
    assert len(smart.store) == 1  # no profile of its own (K29.FR.03)
    # Nobody says anything any more: what the CSMS has set is left.
    assert smart.external.release() and currents(world)[0] == 12_000


def test_set_points_limits_by_charge_and_offline_profiles(make_world):
    world = make_world("2.1", soc_over_ac=True)
    begin(world, soc=500)
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 14)], stack=1)
    row = profile.charging_schedule[0].charging_schedule_period[0]
    row.operation_mode, row.setpoint = "CentralSetpoint", Decimal(9)
    assert install(world, 0, profile) == "Accepted"
    assert 8_900 < currents(world)[0] <= 9_000
    m = world.csms.messages
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 14)], stack=2, id_=2)
    profile.charging_schedule[0].limit_at_soc = m.LimitAtSoCType(soc=50, limit=Decimal(7))
    assert install(world, 0, profile) == "Accepted" and currents(world)[0] == 7_000
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 11)], stack=3, id_=3)
    profile.max_offline_duration, profile.invalid_after_offline_duration = 60, True
    assert install(world, 0, profile) == "Accepted" and currents(world)[0] == 11_000
    world.offline()
    world.run(30)
    assert currents(world)[0] == 11_000
    world.run(60)
    assert currents(world)[0] == 7_000  # K01.FR.101
    world.online()
    world.run(600)
    assert world.station.online and currents(world)[0] == 7_000
    assert [each.id for each in world.station.smart_charging.store] == [1, 2]  # K01.FR.102


@pytest.mark.parametrize("version", V2)
def test_a_vehicle_that_plans(make_world, version):
    world = make_world(version)
    begin(world)
    m = world.csms.messages
    key = world.station.truth[0].transaction
    world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(status="Accepted")
    world.csms.scripts["NotifyEVChargingSchedule"] = lambda request: m.NotifyEVChargingScheduleResponse(
        status="Accepted"
    )
    smart = world.station.smart_charging
    departure = world.station.clock.now() + 3_600_000
    smart.planning.needs(1, energy_wh=20_000, departure=departure, tuples=10)
    world.run(2)
    needs = world.csms.heard("NotifyEVChargingNeeds")[0]
    assert needs.charging_needs.requested_energy_transfer == "AC_three_phase"
    assert needs.charging_needs.departure_time - to_datetime(departure) < timedelta(seconds=1)
    assert needs.max_schedule_tuples == 10
    profile = wire(world, purpose="TxProfile", periods=[(0, 10), (600, 6)], transaction_id=key, duration=3600)
    second = wire(world, purpose="TxProfile", periods=[(0, 8)], transaction_id=key).charging_schedule[0]
    second.id = 2
    profile.charging_schedule.append(second)
    assert install(world, 1, profile) == "Accepted" and currents(world)[0] == 10_000
    world.run(2)
    chosen = world.csms.heard("NotifyEVChargingSchedule")[0]
    assert [row.limit for row in chosen.charging_schedule.charging_schedule_period][:2] == [6900, 4140]
    assert chosen.charging_schedule.charging_rate_unit == "W"
    if version == "2.1":
        assert chosen.selected_charging_schedule_id == 1
        world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(status="Rejected")
        smart.planning.needs(1, energy_wh=1)
        world.run(2)
    assert world.station.evses[0].session is not None  # nobody plans for it: it charges on


def test_random_delays_are_drawn_once(make_world):
    world = make_world("2.1", seed=5)
    world.station.power_on()
    world.run(5)
    profile = wire(world, purpose="TxDefaultProfile", periods=[(0, 12), (600, 8)], start=0)
    profile.charging_schedule[0].randomized_delay = 300
    assert install(world, 0, profile) == "Accepted"
    idle = ask(world, "GetCompositeSchedule", evse_id=1, duration=1200).schedule.charging_schedule_period
    assert 590 <= idle[1].start_period <= 600  # K08.FR.06: no delay without a transaction
    begin(world)
    told = ask(world, "GetCompositeSchedule", evse_id=1, duration=1200).schedule.charging_schedule_period
    again = ask(world, "GetCompositeSchedule", evse_id=1, duration=1200).schedule.charging_schedule_period
    assert told[1].start_period > 540 and told[1].start_period - again[1].start_period == 2
    assert currents(world)[0] == 12_000
    world.run(again[1].start_period)
    assert currents(world)[0] == 8_000
