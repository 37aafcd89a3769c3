"""Energy in both directions: agreement, set-points, frequency, load, and the books (2.1 Q)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.model import Rates
from pilotwire.station.config import EvseConfig
from pilotwire.station.settings import BY_NAME
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL

AC = EvseConfig(max_discharge_w=11_000)
DC = EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000, max_discharge_w=20_000)
FCR = [(47, -10_000), (49.80, -10_000), (49.99, -500), (49.991, 0), (50.009, 0), (50.01, 500), (50.20, 10_000)]


def ready(make_world, *, evses=(AC, DC), allowed=("AC_BPT", "DC_BPT"), **more):
    world = make_world("2.1", evses=evses, **more)
    m = world.csms.messages
    world.csms.scripts["Authorize"] = lambda request: m.AuthorizeResponse(
        id_token_info=m.IdTokenInfoType(status="Accepted"), allowed_energy_transfer=list(allowed) or None
    )
    world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(status="Accepted")
    world.station.power_on()
    world.run(5)
    return world


def plug(world, evse=1, *, soc=600, token="AA11", **more):
    car = Vehicle(BIDIRECTIONAL, soc, evccid="0001020304AB", **more)
    world.station.plug(evse, car)
    world.station.tap(evse, token)
    world.run(5)
    return car


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(2)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def profile(
    world, mode, evse=1, *, id_=1, stack=1, kind="Absolute", duration=None, purpose="TxDefaultProfile", **period
):
    m = world.csms.messages
    row = m.ChargingSchedulePeriodType(start_period=0, operation_mode=mode, **period)
    return ask(
        world,
        "SetChargingProfile",
        evse_id=evse,
        charging_profile=m.ChargingProfileType(
            id=id_,
            stack_level=stack,
            charging_profile_purpose=purpose,
            charging_profile_kind=kind,
            charging_schedule=[
                m.ChargingScheduleType(
                    id=1,
                    charging_rate_unit="W",
                    charging_schedule_period=[row],
                    duration=duration,
                    start_schedule=to_datetime(world.scheduler.now()) if kind == "Absolute" else None,
                )
            ],
        ),
    )


def power(world, evse=1):
    """W towards the vehicle."""
    return world.station.evses[evse - 1].meter.power_mw / 1000


def events(world, kind=None):
    return [e for e in world.csms.heard("TransactionEvent") if kind in (None, e.event_type)]


def curve(world, points=FCR):
    m = world.csms.messages
    return [m.V2XFreqWattPointType(frequency=Decimal(str(x)), power=Decimal(y)) for x, y in points]


# ── agreement ────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "Q01.FR.02", "Q01.FR.03", side="station")
def test_the_needs_are_told_with_what_can_be_done(make_world):
    world = ready(make_world)
    plug(world)
    (told,) = world.csms.heard("NotifyEVChargingNeeds")
    needs = told.charging_needs
    assert (told.evse_id, needs.requested_energy_transfer) == (1, "AC_BPT")
    assert needs.available_energy_transfer == ["AC_three_phase", "AC_BPT"]
    assert needs.v2x_charging_parameters.max_discharge_power == 11_000
    assert needs.control_mode == "DynamicControl"
    started = events(world, "Started")[0]
    assert [(row.type, row.additional_id_token) for row in started.id_token.additional_info] == [
        ("EVCCID", "0001020304AB")
    ]


@pytest.mark.requirement("2.1", "Q01.FR.09", "Q02.FR.04", "Q02.FR.06", "Q02.FR.07", side="station")
def test_without_leave_it_begins_with_charging_and_asks_again_when_it_is_given(make_world):
    world = ready(make_world, allowed=())
    plug(world)
    profile(world, "CentralSetpoint", setpoint=Decimal(-3000))
    assert world.csms.heard("NotifyEVChargingNeeds")[0].charging_needs.requested_energy_transfer == "AC_three_phase"
    world.run(60)
    assert power(world) == 0
    key = events(world, "Started")[0].transaction_info.transaction_id
    answer = ask(world, "NotifyAllowedEnergyTransfer", transaction_id=key, allowed_energy_transfer=["AC_BPT"])
    assert answer.status == "Accepted"
    world.run(5)
    assert world.csms.heard("NotifyEVChargingNeeds")[1].charging_needs.requested_energy_transfer == "AC_BPT"
    assert power(world) == pytest.approx(-3000, abs=2)
    # The leave is taken back.
    ask(world, "NotifyAllowedEnergyTransfer", transaction_id=key, allowed_energy_transfer=["AC_three_phase"])
    world.run(5)
    assert power(world) == 0


def test_leave_for_what_does_not_run_is_refused(make_world):
    world = ready(make_world)
    answer = ask(world, "NotifyAllowedEnergyTransfer", transaction_id="none", allowed_energy_transfer=["AC_BPT"])
    assert (answer.status, answer.status_info.reason_code) == ("Rejected", "TxNotFound")
    world.station.plug(1, world.car())
    world.station.tap(1, "BB22")
    world.run(5)
    key = events(world, "Started")[0].transaction_info.transaction_id
    answer = ask(world, "NotifyAllowedEnergyTransfer", transaction_id=key, allowed_energy_transfer=["AC_BPT"])
    assert (answer.status, answer.status_info.reason_code) == ("Rejected", "UnsupportedRequest")


@pytest.mark.requirement("2.1", "Q01.FR.05", "Q01.FR.06", side="station")
def test_a_refused_transfer_is_negotiated_down_and_at_last_ends_the_session(make_world):
    world = ready(make_world)
    m = world.csms.messages
    world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(status="Rejected")
    plug(world)
    asked = [told.charging_needs.requested_energy_transfer for told in world.csms.heard("NotifyEVChargingNeeds")]
    assert asked == ["AC_BPT", "AC_three_phase"]
    ended = events(world, "Ended")[0]
    assert ended.transaction_info.stopped_reason == "ReqEnergyTransferRejected"
    assert ended.trigger_reason == "AbnormalCondition"


@pytest.mark.requirement("2.1", "Q09.FR.01", side="station")
def test_a_station_that_takes_nothing_back_refuses(make_world):
    world = ready(make_world, evses=(EvseConfig(),))
    plug(world)
    assert world.csms.heard("NotifyEVChargingNeeds") == []
    key = events(world, "Started")[0].transaction_info.transaction_id
    answer = ask(world, "NotifyAllowedEnergyTransfer", transaction_id=key, allowed_energy_transfer=["AC_BPT"])
    assert answer.status_info.reason_code == "NotEnabled"
    answer = profile(world, "LocalFrequency", v2x_baseline=Decimal(0), v2x_freq_watt_curve=curve(world))
    assert answer.status_info.reason_code == "InvalidOperationMode"
    answer = profile(world, "LocalLoadBalancing")
    assert answer.status_info.reason_code == "UnsupportedParam"


# ── set-points ───────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "K01.FR.110", side="station")
@pytest.mark.parametrize("evse", [1, 2])
@pytest.mark.parametrize("watts", [-8000, -700, 700, 7000])
def test_a_set_point_is_followed_in_both_directions(make_world, evse, watts):
    world = ready(make_world)
    plug(world, evse)
    assert profile(world, "CentralSetpoint", evse, setpoint=Decimal(watts)).status == "Accepted"
    world.run(30)
    assert power(world, evse) == pytest.approx(watts, rel=0.01, abs=2)
    assert abs(power(world, evse)) <= abs(watts)
    changed = next(e for e in events(world) if e.trigger_reason == "OperationModeChanged")
    assert changed.transaction_info.operation_mode == "CentralSetpoint"


def test_what_the_car_gives_is_counted_to_the_microjoule(make_world):
    world = ready(make_world, settings={"ended": "Energy.Active.Import.Register,Energy.Active.Export.Register"})
    car = plug(world)
    before = car.battery.stored_uj
    taken = car.taken_uj
    profile(world, "CentralSetpoint", setpoint=Decimal(-6000))
    world.run(3600)
    world.station.tap(1, "AA11")
    world.run(5)
    meter = world.station.evses[0].meter
    assert meter.export_uj == car.given_uj
    assert meter.energy_uj == car.taken_uj
    assert meter.export_wh == pytest.approx(6000, rel=0.005)
    assert car.battery.stored_uj < before + (car.taken_uj - taken) - car.given_uj, "some was lost on the way"
    rows = {row.measurand: row.value for row in events(world, "Ended")[0].meter_value[-1].sampled_value}
    assert rows["Energy.Active.Export.Register"] == meter.export_wh
    assert rows["Energy.Active.Import.Register"] == meter.register_wh


def test_the_export_register_outlives_a_loss_of_power(make_world):
    world = ready(make_world)
    plug(world)
    profile(world, "CentralSetpoint", setpoint=Decimal(-6000))
    world.run(600)
    world.station.power_off()
    before = world.station.evses[0].meter.export_uj
    world.station = world.build()
    world.station.power_on()
    assert world.station.evses[0].meter.export_uj == before > 0


def test_a_car_keeps_its_reserve(make_world):
    world = ready(make_world)
    car = plug(world, soc=310, reserve_soc=300)
    profile(world, "CentralSetpoint", setpoint=Decimal(-11_000))
    world.run(3600)
    assert car.soc in (299, 300)
    assert power(world) == 0
    assert events(world)[-1].transaction_info.charging_state in ("SuspendedEV", None)


@pytest.mark.requirement("2.1", "Q05.FR.01", "Q05.FR.03", side="station")
def test_a_set_point_stays_within_its_limits_and_a_wrong_one_is_refused(make_world):
    world = ready(make_world)
    plug(world)
    refused = profile(
        world, "CentralSetpoint", setpoint=Decimal(-750), limit=Decimal(1000), discharge_limit=Decimal(-500)
    )
    assert (refused.status, refused.status_info.reason_code) == ("Rejected", "InvalidSchedule")
    profile(world, "ExternalSetpoint", kind="Dynamic", limit=Decimal(4000), discharge_limit=Decimal(-2000))
    for asked, flows in ((-9_000_000, -2000), (9_000_000, 4000), (-1_000_000, -1000)):
        world.station.smart_charging.external.impose(Rates(setpoint=asked), "W", evse_id=1)
        world.run(5)
        assert power(world) == pytest.approx(flows, rel=0.01, abs=3)


@pytest.mark.requirement("2.1", "Q05.FR.05", "Q05.FR.07", side="station")
def test_what_an_external_system_says_stands_in_the_profile_and_ages_with_it(make_world):
    world = ready(make_world)
    plug(world)
    profile(world, "CentralSetpoint", id_=1, stack=1, setpoint=Decimal(1000))
    profile(world, "ExternalSetpoint", id_=2, stack=2, kind="Dynamic", duration=60)
    world.station.smart_charging.external.impose(Rates(setpoint=-5_000_000), "W", evse_id=1)
    world.run(50)
    assert power(world) == pytest.approx(-5000, rel=0.01)
    m = world.csms.messages
    ask(
        world,
        "GetChargingProfiles",
        request_id=1,
        evse_id=1,
        charging_profile=m.ChargingProfileCriterionType(charging_profile_id=[2]),
    )
    world.run(1)
    (row,) = world.csms.heard("ReportChargingProfiles")[0].charging_profile
    assert row.charging_schedule[0].charging_schedule_period[0].setpoint == -5000
    assert row.dyn_update_time is not None
    world.run(20)
    assert power(world) == pytest.approx(1000, rel=0.01), "nothing was heard for a minute (Q05.FR.07)"
    world.station.smart_charging.external.impose(Rates(setpoint=4_000_000), "W", evse_id=1)
    world.run(1)
    assert power(world) == pytest.approx(4000, rel=0.01), "it is eligible again (Q05.FR.08)"


@pytest.mark.requirement("2.1", "Q06.FR.30", "Q06.FR.31", side="station")
def test_what_an_external_system_says_to_the_whole_station_is_shared(make_world):
    world = ready(make_world, evses=(AC, AC, AC))
    for evse in (1, 2):
        plug(world, evse, token=f"AA1{evse}")
        profile(world, "CentralSetpoint", evse, id_=evse, setpoint=Decimal(-9000))
    world.run(5)
    assert power(world, 1) + power(world, 2) == pytest.approx(-18_000, rel=0.01)
    world.station.smart_charging.external.impose(Rates(limit=20_000_000, discharge=-6_000_000), "W")
    world.run(5)
    assert power(world, 1) == pytest.approx(-3000, rel=0.01)
    assert power(world, 1) + power(world, 2) == pytest.approx(-6000, rel=0.01)
    world.station.smart_charging.external.release()
    for asked in (-8_000_000, 8_000_000):
        world.station.smart_charging.external.impose(Rates(setpoint=asked), "W")
        world.run(5)
        assert power(world, 1) + power(world, 2) == pytest.approx(asked / 1000, rel=0.02)
    world.station.unplug(2)
    world.run(5)
    assert power(world, 1) == pytest.approx(8000, rel=0.02), "what the other leaves is its own"


@pytest.mark.requirement("2.1", "R02.FR.01", side="station")
def test_an_inverter_in_the_car_shows_its_name_plate(make_world):
    world = ready(make_world, allowed=("AC_BPT", "AC_BPT_DER"), der_controls=("FreqDroop", "VoltWatt"))
    plug(world)
    needs = world.csms.heard("NotifyEVChargingNeeds")[0].charging_needs
    assert needs.requested_energy_transfer == "AC_BPT_DER"
    assert needs.der_charging_parameters.ev_supported_der_control == ["FreqDroop", "VoltWatt"]
    assert needs.der_charging_parameters.max_discharge_apparent_power == 11_000
    profile(world, "CentralSetpoint", setpoint=Decimal(-3000))
    world.run(5)
    assert power(world) == pytest.approx(-3000, rel=0.01)


@pytest.mark.requirement("2.1", "K01.FR.101", "K01.FR.102", side="station")
@pytest.mark.parametrize(("invalid", "after"), [(False, -3000), (True, 2000)])
def test_how_long_a_set_point_outlives_the_connection(make_world, invalid, after):
    world = ready(make_world)
    plug(world)
    m = world.csms.messages
    profile(world, "ChargingOnly", id_=1, stack=1, limit=Decimal(2000))
    answer = ask(
        world,
        "SetChargingProfile",
        evse_id=1,
        charging_profile=m.ChargingProfileType(
            id=2,
            stack_level=2,
            charging_profile_purpose="TxDefaultProfile",
            charging_profile_kind="Relative",
            max_offline_duration=60,
            invalid_after_offline_duration=invalid,
            charging_schedule=[
                m.ChargingScheduleType(
                    id=1,
                    charging_rate_unit="W",
                    charging_schedule_period=[
                        m.ChargingSchedulePeriodType(
                            start_period=0, operation_mode="CentralSetpoint", setpoint=Decimal(-3000)
                        )
                    ],
                )
            ],
        ),
    )
    assert answer.status == "Accepted"
    world.run(5)
    assert power(world) == pytest.approx(-3000, rel=0.01)
    world.offline()
    world.run(55)
    assert power(world) == pytest.approx(-3000, rel=0.01)
    world.run(10)
    assert power(world) == pytest.approx(2000, rel=0.02)
    world.online()
    world.run(120)
    assert power(world) == pytest.approx(after, rel=0.02)


def test_a_dynamic_set_point_is_updated(make_world):
    world = ready(make_world)
    plug(world)
    profile(world, "CentralFrequency", kind="Dynamic", setpoint=Decimal(1000))
    for watts in (-5000, 5000, 0):
        m = world.csms.messages
        answer = ask(
            world,
            "UpdateDynamicSchedule",
            charging_profile_id=1,
            schedule_update=m.ChargingScheduleUpdateType(setpoint=Decimal(watts)),
        )
        assert answer.status == "Accepted"
        assert power(world) == pytest.approx(watts, rel=0.01, abs=3)


@pytest.mark.requirement("2.1", "Q10.FR.02", "Q10.FR.03", "Q10.FR.04", side="station")
def test_idle_is_idle_and_sleep_is_told(make_world):
    world = ready(make_world, settings={"sample_interval": "60"})
    plug(world)
    bad = profile(world, "Idle", limit=Decimal(0))
    assert bad.status_info.reason_code == "InvalidSchedule"
    profile(world, "Idle", evse_sleep=True)
    world.run(130)
    assert power(world) == 0
    later = [e for e in events(world) if e.trigger_reason == "MeterValuePeriodic"]
    assert later
    assert later[-1].evse_sleep is True
    profile(world, "CentralSetpoint", setpoint=Decimal(5000))
    world.run(70)
    assert power(world) > 0
    assert events(world)[-1].evse_sleep is None


# ── frequency and signal ─────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "Q08.FR.03", "Q08.FR.04", side="station")
def test_a_period_of_local_frequency_needs_its_curve(make_world):
    world = ready(make_world)
    for more in (
        {},
        {"v2x_baseline": Decimal(0)},
        {"v2x_baseline": Decimal(0), "v2x_freq_watt_curve": curve(world)[:1]},
    ):
        answer = profile(world, "LocalFrequency", **more)
        assert (answer.status, answer.status_info.reason_code) == ("Rejected", "NoFreqWattCurve")
    answer = profile(
        world, "LocalFrequency", v2x_baseline=Decimal(0), v2x_freq_watt_curve=curve(world), limit=Decimal(1)
    )
    assert answer.status_info.reason_code == "InvalidSchedule"


@pytest.mark.requirement("2.1", "Q08.FR.06", "Q08.FR.07", side="station")
def test_the_frequency_is_followed_in_steps_of_its_threshold(make_world):
    world = ready(make_world)
    plug(world)
    profile(world, "LocalFrequency", v2x_baseline=Decimal(1000), v2x_freq_watt_curve=curve(world))
    assert power(world) == pytest.approx(1000, rel=0.01, abs=3)
    for mhz, watts in ((49_895, -4250), (49_890, -4250), (49_500, -9000), (50_200, 11_000)):
        world.station.grid.set(mhz=mhz)
        world.run(1)
        assert power(world) == pytest.approx(watts, rel=0.02), mhz
    shown = ask(world, "GetCompositeSchedule", duration=60, evse_id=1, charging_rate_unit="W").schedule
    row = shown.charging_schedule_period[0]
    assert row.operation_mode == "LocalFrequency"
    assert len(row.v2x_freq_watt_curve) == len(FCR)
    assert row.v2x_baseline == 1000


@pytest.mark.requirement("2.1", "Q08.FR.10", "Q08.FR.11", side="station")
def test_a_signal_is_added_at_its_time_and_another_follows_at_its_own(make_world):
    world = ready(make_world)
    plug(world)
    now = to_datetime(world.scheduler.now())
    refused = ask(world, "AFRRSignal", timestamp=now, signal=1)
    assert (refused.status, refused.status_info.reason_code) == ("Rejected", "NoSignalWattCurve")
    m = world.csms.messages
    signals = [m.V2XSignalWattPointType(signal=s, power=Decimal(p)) for s, p in ((1, 2000), (-1, -2000), (0, 0))]
    profile(
        world,
        "LocalFrequency",
        v2x_baseline=Decimal(3000),
        v2x_freq_watt_curve=curve(world),
        v2x_signal_watt_curve=signals,
    )
    world.run(1)
    later = to_datetime(world.scheduler.now() + 60_000)
    assert ask(world, "AFRRSignal", timestamp=to_datetime(world.scheduler.now()), signal=1).status == "Accepted"
    assert ask(world, "AFRRSignal", timestamp=later, signal=-1).status == "Accepted"
    assert power(world) == pytest.approx(5000, rel=0.01, abs=3)
    world.run(60)
    assert power(world) == pytest.approx(1000, rel=0.01, abs=3)


# ── load of the building ─────────────────────────────────────────────────────────────────────────────────────────────


def balance(world, upper=10_000, lower=-5000, upper_offset=0, lower_offset=0):
    for name, value in (
        ("upper", upper), ("lower", lower), ("upper_offset", upper_offset), ("lower_offset", lower_offset),
    ):  # fmt: skip
        world.station.settings.change(BY_NAME[f"balance_{name}"], str(value))


@pytest.mark.requirement("2.1", "Q09.FR.02", side="station")
def test_load_balancing_needs_its_thresholds(make_world):
    world = ready(make_world)
    for upper, lower in ((None, None), (1000, 1000), (1000, 2000)):
        if upper is not None:
            balance(world, upper, lower)
        answer = profile(world, "LocalLoadBalancing")
        assert (answer.status, answer.status_info.reason_code) == ("Rejected", "MissingDevModelInfo")


@pytest.mark.requirement("2.1", "Q09.FR.03", "Q09.FR.04", side="station")
def test_the_building_is_kept_between_its_thresholds(make_world):
    world = ready(make_world)
    balance(world, upper_offset=500)
    plug(world)
    assert profile(world, "LocalLoadBalancing").status == "Accepted"
    for load, watts in ((15_000, -4500), (13_000, -4500), (-9000, 4000), (-30_000, 11_040)):
        world.station.grid.set(load_mw=load * 1000)
        world.run(1)
        assert power(world) == pytest.approx(watts, rel=0.02, abs=10), load


@pytest.mark.requirement("2.1", "Q01.FR.35", side="station")
def test_measurands_of_a_mode_are_sampled_in_it(make_world):
    names = "Energy.Active.Net,Power.Active.Export,Power.Active.Setpoint,Power.Active.Residual,SoC"
    world = ready(make_world, settings={"sample_interval": "60", "v2x_sampled.CentralSetpoint": names})
    plug(world)
    profile(world, "CentralSetpoint", setpoint=Decimal(-4000))
    world.run(70)
    rows = {row.measurand: row.value for row in events(world)[-1].meter_value[0].sampled_value}
    assert rows["Power.Active.Setpoint"] == -4000
    assert rows["Power.Active.Export"] == pytest.approx(4000, rel=0.01, abs=3)
    assert abs(rows["Power.Active.Residual"]) < 3
    assert "SoC" in rows


@pytest.mark.requirement("2.1", "Q01.FR.30", "Q01.FR.31", "Q01.FR.32", "Q01.FR.36", side="station")
def test_the_device_model_names_modes_transfers_and_the_car(make_world):
    world = ready(make_world)
    plug(world)
    m = world.csms.messages

    def value(component, variable, evse=None, instance=None):
        answer = ask(
            world,
            "GetVariables",
            get_variable_data=[
                m.GetVariableDataType(
                    component=m.ComponentType(name=component, evse=evse and m.EVSEType(id=evse)),
                    variable=m.VariableType(name=variable, instance=instance),
                )
            ],
        )
        row = answer.get_variable_result[0]
        return row.attribute_value if row.attribute_status == "Accepted" else row.attribute_status

    modes = value("V2XChargingCtrlr", "SupportedOperationModes").split(",")
    assert {"ChargingOnly", "CentralSetpoint", "CentralFrequency", "LocalFrequency"} <= set(modes)
    assert value("V2XChargingCtrlr", "SupportedEnergyTransferModes") == "AC_three_phase,AC_BPT,DC,DC_BPT"
    assert value("ConnectedEV", "VehicleId", 1) == "0001020304AB"
    assert value("ConnectedEV", "Available", 2) == "false"
    assert value("EVSE", "DischargePower", 1) == "0"
    assert value("DCDERCtrlr", "MaxW", 2) == "UnknownComponent"
    plain = make_world("2.1")
    plain.station.power_on()
    plain.run(5)
    world = plain
    m = world.csms.messages
    assert value("V2XChargingCtrlr", "Enabled") == "UnknownComponent"


def test_load_balancing_stays_within_limits(make_world):
    world = ready(make_world)
    balance(world)
    plug(world)
    answer = profile(world, "LocalLoadBalancing", limit=Decimal(3000), discharge_limit=Decimal(-2000))
    assert answer.status == "Accepted"
    for load, watts in ((20_000, -2000), (-30_000, 3000)):
        world.station.grid.set(load_mw=load * 1000)
        world.run(1)
        assert power(world) == pytest.approx(watts, rel=0.02, abs=10), load


@pytest.mark.parametrize("measured", [True, False])
def test_measurands_of_a_mode_at_begin_and_end(make_world, measured):
    names = "Power.Active.Export,Current.Offered" if measured else ""
    world = ready(
        make_world,
        settings={
            "v2x_started.ChargingOnly": names,
            "v2x_ended.CentralSetpoint": names,
            "ended": "Frequency",
            "started": "Frequency",
        },
    )
    plug(world)
    profile(world, "CentralSetpoint", setpoint=Decimal(-4000))
    world.run(70)
    world.station.tap(1, "AA11")
    world.run(5)
    for kind, which in (("Started", 0), ("Ended", -1)):
        found = {row.measurand for row in events(world, kind)[0].meter_value[which].sampled_value}
        assert ({"Power.Active.Export", "Current.Offered"} <= found) is measured and "Frequency" in found, kind


def test_a_station_that_cannot_sleep_does_not_say_that_it_sleeps(make_world):
    world = ready(make_world, settings={"sample_interval": "60", "sleep_supported": "false"})
    plug(world)
    assert profile(world, "Idle", evse_sleep=True).status == "Accepted"
    world.run(130)
    assert power(world) == 0
    later = [e for e in events(world) if e.trigger_reason == "MeterValuePeriodic"]
    assert later and all(not e.evse_sleep for e in events(world))
    asleep = profile(world, "ChargingOnly", limit=Decimal(3000), evse_sleep=True, id_=2, stack=2)
    assert (asleep.status, asleep.status_info.reason_code) == ("Rejected", "InvalidSchedule")
