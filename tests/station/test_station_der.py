"""A station under DER control: what it keeps, follows, reports and raises alarms about (2.1 R)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from pilotwire.core.time import to_datetime
from pilotwire.domain.der.model import KINDS
from pilotwire.domain.schedules.model import Rates
from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL

DC = EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000, max_discharge_w=20_000)
D = Decimal


def ready(make_world, *, controls=KINDS, evses=(DC,), **more):
    world = make_world("2.1", evses=evses, der_controls=controls, **more)
    m = world.csms.messages
    world.csms.scripts["Authorize"] = lambda request: m.AuthorizeResponse(
        id_token_info=m.IdTokenInfoType(status="Accepted"), allowed_energy_transfer=["DC_BPT"]
    )
    world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(status="Accepted")
    world.station.power_on()
    world.run(5)
    return world


def ask(world, action, **fields):
    world.csms.command(action, world.csms.version.actions[action].request_type(**fields))
    world.run(1)
    assert world.csms.answers[-1][0] == action
    return world.csms.answers[-1][1]


def setting(world, kind, *, priority=1, start=None, duration=None, **more):
    """The field and value that belong to `kind`."""
    m = world.csms.messages
    when = {}
    if start is not None:
        when = {"start_time": to_datetime(world.scheduler.now() + start * 1000), "duration": D(duration)}
    if kind in ("FixedPFAbsorb", "FixedPFInject"):
        row = m.FixedPFType(priority=priority, displacement=D("0.9"), excitation=True, **when)
        return {"fixed_pf_absorb" if kind.endswith("Absorb") else "fixed_pf_inject": row}
    if kind == "FixedVar":
        return {"fixed_var": m.FixedVarType(priority=priority, setpoint=D(20), unit="PctMaxVar", **when)}
    if kind == "LimitMaxDischarge":
        fields = {"pct_max_discharge_power": D(50)} | more
        return {"limit_max_discharge": m.LimitMaxDischargeType(priority=priority, **fields, **when)}
    if kind == "FreqDroop":
        return {
            "freq_droop": m.FreqDroopType(
                priority=priority,
                over_freq=D("50.2"),
                under_freq=D("49.8"),
                over_droop=D("0.05"),
                under_droop=D("0.05"),
                response_time=D(1),
                **when,
            )
        }
    if kind == "EnterService":
        fields = {
            "high_voltage": D(110), "low_voltage": D(90), "high_freq": D("50.1"), "low_freq": D("49.9"),
            "delay": D(60), "ramp_rate": D(100),
        } | more  # fmt: skip
        return {"enter_service": m.EnterServiceType(priority=priority, **fields)}
    if kind == "Gradients":
        return {"gradient": m.GradientType(priority=priority, gradient=D(50), soft_gradient=D(100))}
    points = more.pop("points", ((D(106), D(100)), (D(110), D(0))))
    unit = "PctMaxW" if kind in ("FreqWatt", "VoltWatt") else "Not_Applicable"
    return {
        "curve": m.DERCurveType(
            priority=priority,
            y_unit=unit,
            curve_data=[m.DERCurvePointsType(x=D(str(x)), y=D(str(y))) for x, y in points],
            **when,
            **more,
        )
    }


def install(world, kind, id_="", *, default=True, **more):
    return ask(
        world,
        "SetDERControl",
        is_default=default,
        control_id=id_ or kind,
        control_type=kind,
        **setting(world, kind, **more),
    )


def discharging(world, watts=-16_000, *, soc=800, **more):
    car = Vehicle(BIDIRECTIONAL, soc, evccid="0001020304AB")
    world.station.plug(1, car)
    world.station.tap(1, "AA11")
    world.run(5)
    m = world.csms.messages
    answer = ask(
        world,
        "SetChargingProfile",
        evse_id=1,
        charging_profile=m.ChargingProfileType(
            id=1,
            stack_level=1,
            charging_profile_purpose="TxDefaultProfile",
            charging_profile_kind="Relative",
            charging_schedule=[
                m.ChargingScheduleType(
                    id=1,
                    charging_rate_unit="W",
                    charging_schedule_period=[
                        m.ChargingSchedulePeriodType(
                            start_period=0, operation_mode="CentralSetpoint", setpoint=D(watts), **more
                        )
                    ],
                )
            ],
        ),
    )
    assert answer.status == "Accepted"
    world.run(2)
    return car


def power(world):
    return world.station.evses[0].meter.power_mw / 1000


def alarms(world):
    return [(a.control_type, a.grid_event_fault, bool(a.alarm_ended)) for a in world.csms.heard("NotifyDERAlarm")]


def changes(world):
    return [(n.control_id, n.started, n.superseded_ids) for n in world.csms.heard("NotifyDERStartStop")]


# ── set, get, clear ──────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "R01.FR.03", "R04.FR.02", "R04.FR.31", "R04.FR.34", side="station")
@pytest.mark.parametrize("kind", KINDS)
def test_every_control_is_kept_over_a_restart_and_reported_as_it_came(make_world, kind):
    world = ready(make_world)
    given = setting(world, kind)
    answer = ask(world, "SetDERControl", is_default=True, control_id="x", control_type=kind, **given)
    assert answer.status == "Accepted"
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert ask(world, "GetDERControl", request_id=7, control_type=kind).status == "Accepted"
    world.run(1)
    (report,) = world.csms.heard("ReportDERControl")
    (field,) = given
    (row,) = getattr(report, field)
    inner = "fixed_pf" if field.startswith("fixed_pf") else field
    assert getattr(row, inner) == given[field]
    assert (report.request_id, report.tbc, row.id) == (7, None, "x")
    if kind not in ("EnterService", "Gradients"):
        assert (row.is_default, row.is_superseded) == (True, False)


@pytest.mark.requirement(
    "2.1", "R04.FR.01", "R04.FR.30", "R04.FR.36", "R04.FR.41", "R04.FR.42", "R04.FR.43", "R04.FR.44", side="station"
)
def test_what_it_cannot_do_it_says(make_world):
    world = ready(make_world, controls=("FreqDroop",))
    assert install(world, "VoltWatt").status == "NotSupported"
    assert ask(world, "GetDERControl", request_id=1, control_type="VoltWatt").status == "NotSupported"
    assert ask(world, "ClearDERControl", is_default=True, control_type="VoltWatt").status == "NotSupported"
    assert ask(world, "GetDERControl", request_id=1).status == "NotFound"
    assert ask(world, "ClearDERControl", is_default=True, control_type="FreqDroop").status == "NotFound"
    assert ask(world, "ClearDERControl", is_default=True, control_id="none").status == "NotFound"
    assert ask(world, "ClearDERControl", is_default=True).status == "Accepted"
    plain = make_world("2.1")
    plain.station.power_on()
    plain.run(5)
    assert install(plain, "FreqDroop").status == "NotSupported"


def test_what_is_wrong_is_refused(make_world):
    world = ready(make_world)
    m = world.csms.messages
    droop = setting(world, "FreqDroop")

    def refused(kind, default=True, **fields):
        answer = ask(world, "SetDERControl", is_default=default, control_id="x", control_type=kind, **fields)
        assert answer.status == "Rejected"
        return answer.status_info.reason_code

    assert refused("FreqWatt", **droop) == "InvalidValue"  # R04.FR.17
    assert refused("FreqDroop", **droop, **setting(world, "VoltWatt")) == "InvalidValue"
    assert refused("FreqDroop") == "MissingParam"
    assert refused("FreqDroop", **setting(world, "FreqDroop", start=5, duration=5)) == "InvalidValue"  # .13
    assert refused("Gradients", False, **setting(world, "Gradients")) == "InvalidValue"  # .15
    assert refused("EnterService", False, **setting(world, "EnterService")) == "InvalidValue"
    assert refused("FreqDroop", False, **droop) == "MissingParam"
    assert refused("FreqDroop", False, **setting(world, "FreqDroop", start=-50, duration=20)) == "InvalidValue"
    over = {"limit_max_discharge": m.LimitMaxDischargeType(priority=0, pct_max_discharge_power=D(101))}
    assert refused("LimitMaxDischarge", **over) == "InvalidValue"
    assert refused("VoltWatt", **setting(world, "VoltWatt", points=((110, 0), (106, 100)))) == "InvalidValue"
    assert len(world.station.der.controls) == 0


@pytest.mark.requirement("2.1", "R04.FR.32", "R04.FR.44", side="station")
def test_a_long_report_comes_in_parts(make_world):
    world = ready(make_world)
    for kind in KINDS:
        assert install(world, kind).status == "Accepted"
    assert ask(world, "GetDERControl", request_id=3, is_default=True).status == "Accepted"
    world.run(5)
    reports = world.csms.heard("ReportDERControl")
    assert [report.tbc for report in reports] == [True, True, None]
    ids = [
        row.id
        for report in reports
        for field in ("curve", "enter_service", "fixed_pf_absorb", "fixed_pf_inject", "fixed_var", "freq_droop",
                      "gradient", "limit_max_discharge")
        for row in getattr(report, field) or ()
    ]  # fmt: skip
    assert sorted(ids) == sorted(KINDS)
    assert ask(world, "GetDERControl", request_id=4, is_default=False).status == "NotFound"
    assert ask(world, "ClearDERControl", is_default=True, control_id="VoltVar").status == "Accepted"
    assert len(world.station.der.controls) == len(KINDS) - 1
    assert ask(world, "ClearDERControl", is_default=True).status == "Accepted"
    assert len(world.station.der.controls) == 0


@pytest.mark.requirement(
    "2.1",
    "R04.FR.05",
    "R04.FR.07",
    "R04.FR.08",
    "R04.FR.09",
    "R04.FR.10",
    "R04.FR.11",
    "R04.FR.20",
    "R04.FR.21",
    "R04.FR.22",
    side="station",
)
def test_scheduled_controls_begin_end_and_supersede(make_world):
    world = ready(make_world)
    assert install(world, "VoltWatt", "D", priority=5).superseded_ids is None
    install(world, "VoltWatt", "A", default=False, priority=4, start=60, duration=600)
    world.run(70)
    assert changes(world) == [("A", True, None)]
    install(world, "VoltWatt", "B", default=False, priority=2, start=60, duration=60)
    assert install(world, "VoltWatt", "C", default=False, priority=9, start=60, duration=60).superseded_ids == ["C"]
    world.run(65)
    assert changes(world)[1:] == [("B", True, ["A"])]
    world.run(60)
    assert changes(world)[2:] == [("B", False, None)]
    assert {row.id for row in world.station.der.controls} == {"A", "D"}
    assert world.station.der.controls.in_force(world.scheduler.now())["VoltWatt"].id == "D"
    world.run(600)
    assert len(changes(world)) == 3, "a superseded one ends in silence"


def test_what_begins_while_the_power_is_off_begins_when_it_is_back(make_world):
    world = ready(make_world)
    install(world, "VoltWatt", "A", default=False, start=60, duration=600)
    install(world, "FreqWatt", "B", default=False, start=60, duration=60)
    world.station.power_off()
    world.run(200)
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert changes(world) == [("A", True, None)]
    assert [row.id for row in world.station.der.controls] == ["A"]


# ── effects ──────────────────────────────────────────────────────────────────────────────────────────────────────────


@pytest.mark.requirement("2.1", "R04.FR.45", "R05.FR.01", "R05.FR.02", side="station")
def test_half_of_what_it_can_give_and_the_alarm_of_that(make_world):
    world = ready(make_world)
    discharging(world)
    assert power(world) == pytest.approx(-16_000, abs=20)
    install(world, "LimitMaxDischarge")
    assert power(world) == pytest.approx(-10_000, abs=20)
    assert alarms(world) == [("LimitMaxDischarge", None, False)]
    ask(world, "ClearDERControl", is_default=True, control_type="LimitMaxDischarge")
    assert power(world) == pytest.approx(-16_000, abs=20)
    world.run(2)
    assert alarms(world)[1:] == [("LimitMaxDischarge", None, True)]


@pytest.mark.requirement("2.1", "R05.FR.01", "R05.FR.02", "R05.FR.03", "R05.FR.04", side="station")
def test_over_voltage_lowers_the_discharge_and_another_fault_takes_the_alarm_over(make_world):
    world = ready(make_world)
    install(world, "VoltWatt")
    install(world, "FreqDroop")
    discharging(world)
    assert alarms(world) == []
    world.station.grid.set(volts=108_000)
    world.run(2)
    assert power(world) == pytest.approx(-10_000, abs=20)
    world.station.grid.set(volts=109_000)
    world.run(2)
    assert power(world) == pytest.approx(-5_000, abs=20)
    world.station.grid.set(volts=100_000, mhz=50_450)
    world.run(2)
    assert power(world) == pytest.approx(-14_000, abs=20)
    world.station.grid.set(mhz=50_000)
    world.run(2)
    assert power(world) == pytest.approx(-16_000, abs=20)
    assert alarms(world) == [
        ("VoltWatt", "OverVoltage", False),
        ("FreqDroop", "OverFrequency", False),
        ("FreqDroop", "OverFrequency", True),
    ]


def test_an_alarm_that_the_power_cut_short_is_ended(make_world):
    world = ready(make_world)
    install(world, "VoltWatt")
    discharging(world)
    world.station.grid.set(volts=108_000)
    world.run(2)
    world.station.power_off()
    world.station = world.build()
    world.station.power_on()
    world.run(30)
    assert alarms(world) == [("VoltWatt", "OverVoltage", False), ("VoltWatt", "OverVoltage", True)]


def test_under_frequency_lowers_charging_of_a_station_that_only_charges(make_world):
    world = ready(make_world, evses=(EvseConfig(dc=True, connector_type="cCCS2", max_w=50_000, max_ma=125_000),))
    install(world, "FreqDroop")
    world.station.plug(1, world.car("sedan three-phase 11 kW 400 V"))
    world.station.tap(1, "AA11")
    world.run(30)
    full = power(world)
    world.station.grid.set(mhz=48_550)
    world.run(2)
    assert full > 40_000
    assert power(world) == pytest.approx(25_000, rel=0.01)
    assert alarms(world) == [("FreqDroop", "UnderFrequency", False)]


def test_a_trip_waits_its_time_and_enter_service_waits_too(make_world):
    world = ready(make_world)
    install(world, "HFMustTrip", points=((51.5, 10), (52, 1)))
    install(world, "EnterService")
    discharging(world)
    world.station.grid.set(mhz=51_510)
    world.run(5)
    world.station.grid.set(mhz=51_000)
    world.run(20)
    assert power(world) < -15_000, "it did not last"
    world.station.grid.set(mhz=51_510)
    world.run(9)
    assert power(world) < -15_000
    world.run(2)
    assert power(world) == 0
    assert alarms(world) == [("HFMustTrip", "OverFrequency", False)]
    world.station.grid.set(mhz=50_200)
    world.run(120)
    assert power(world) == 0, "the band of enter service is narrower"
    world.station.grid.set(mhz=50_050)
    world.run(59)
    assert power(world) == 0
    world.run(12)
    assert -3_000 < power(world) < -1_500, "a tenth of 20 kW after ten of a hundred seconds"
    world.run(100)
    assert power(world) == pytest.approx(-16_000, abs=20)
    assert alarms(world)[1:] == [("HFMustTrip", "OverFrequency", True)]


def test_momentary_cessation_ends_with_its_cause(make_world):
    world = ready(make_world)
    install(world, "LVMomCess", points=((50, 0), (70, 0.16)))
    discharging(world)
    world.station.grid.set(volts=60_000)
    world.run(1)
    assert power(world) == 0
    world.station.grid.set(volts=95_000)
    world.run(1)
    assert power(world) < -15_000
    assert alarms(world) == [("LVMomCess", "UnderVoltage", False), ("LVMomCess", "UnderVoltage", True)]


def test_power_that_lasts_too_long_trips(make_world):
    world = ready(make_world)
    m = world.csms.messages
    monitor = m.DERCurveType(priority=0, y_unit="PctMaxW", curve_data=[m.DERCurvePointsType(x=D(30), y=D(70))])
    install(world, "LimitMaxDischarge", pct_max_discharge_power=D(60), power_monitoring_must_trip=monitor)
    discharging(world)
    world.run(20)
    assert power(world) < -15_000
    world.run(15)
    assert world.station.der.tripped is not None
    assert alarms(world)[0] == ("LimitMaxDischarge", None, False)


def test_gradients_slow_what_grows_and_not_what_shrinks(make_world):
    world = ready(make_world)
    install(world, "Gradients")
    discharging(world)
    world.run(8)
    assert -3_500 < power(world) < -1_000
    world.run(100)
    assert power(world) == pytest.approx(-16_000, abs=20)
    install(world, "LimitMaxDischarge")
    assert power(world) == pytest.approx(-10_000, abs=20)
    assert alarms(world) == [("LimitMaxDischarge", None, False)]


@pytest.mark.requirement("2.1", "R01.FR.01", "R01.FR.02", side="station")
def test_the_name_plate_of_the_inverter(make_world):
    world = ready(make_world)
    m = world.csms.messages
    wanted = (
        "MaxW", "OverExcitedW", "OverExcitedPF", "UnderExcitedW", "UnderExcitedPF", "MaxVA", "MaxVar", "MaxVarNeg",
        "MaxChargeRateW", "MaxChargeRateVA", "ModesSupported", "InverterManufacturer", "InverterModel",
        "InverterSwVersion", "InverterHwVersion", "ReactiveSusceptance",
    )  # fmt: skip
    answer = ask(
        world,
        "GetReport",
        request_id=1,
        component_variable=[
            m.ComponentVariableType(component=m.ComponentType(name="DCDERCtrlr", evse=m.EVSEType(id=1)))
        ],
    )
    assert answer.status == "Accepted"
    world.run(2)
    rows = {
        row.variable.name: row.variable_attribute[0].value
        for part in world.csms.heard("NotifyReport")
        for row in part.report_data
    }
    assert set(wanted) <= set(rows)
    assert rows["MaxW"] == "20000"
    assert rows["ModesSupported"].split(",") == list(KINDS)


def test_reactive_power_is_an_alarm_only_where_a_profile_asks_for_another(make_world):
    names = "Power.Reactive.Import,Power.Reactive.Export"
    world = ready(make_world, settings={"sample_interval": "10", "v2x_sampled.CentralSetpoint": names})
    install(world, "FixedVar")
    discharging(world, soc=900)
    world.run(20)
    rows = {
        row.measurand: (row.value, row.unit_of_measure.unit)
        for row in world.csms.heard("TransactionEvent")[-1].meter_value[0].sampled_value
    }
    assert rows["Power.Reactive.Export"] == (4000, "var"), "20 % of 20 kvar"
    assert rows["Power.Reactive.Import"] == (0, "var")
    assert alarms(world) == []
    other = ready(make_world)
    install(other, "FixedVar")
    discharging(other, setpoint_reactive=D(1000))
    assert alarms(other) == [("FixedVar", None, False)]
    ask(other, "ClearDERControl", is_default=True, control_id="FixedVar")
    other.run(2)
    assert alarms(other)[1:] == [("FixedVar", None, True)]
    assert other.station.der.reactive(other.station.evses[0]) == 1_000_000


# ── how fast, and how long ───────────────────────────────────────────────────────────────────────────────────────────


def test_nine_tenths_of_a_change_are_done_in_the_response_time(make_world):
    world = ready(make_world)
    install(world, "VoltWatt", response_time=D(10))
    discharging(world, -20_000)
    world.station.grid.set(volts=108_000)
    assert power(world) == pytest.approx(-20_000, abs=20), "nothing yet"
    world.run(5)
    assert power(world) == pytest.approx(-15_500, abs=500)
    world.run(5.1)
    assert power(world) == pytest.approx(-11_000, abs=300)
    world.run(2)
    assert power(world) == pytest.approx(-10_000, abs=20)
    assert alarms(world) == [("VoltWatt", "OverVoltage", False)]
    world.station.grid.set(volts=100_000)
    world.run(5)
    assert power(world) == pytest.approx(-14_500, abs=500), "and as slowly back"
    world.run(7)
    assert power(world) == pytest.approx(-20_000, abs=20)
    assert alarms(world)[1:] == [("VoltWatt", "OverVoltage", True)]
    # A droop of one second, and a cap that does not wait for it.
    install(world, "FreqDroop")
    world.station.grid.set(mhz=50_450)
    world.run(0.5)
    assert power(world) == pytest.approx(-19_100, abs=150)
    world.station.smart_charging.external.impose(Rates(limit=50_000_000, discharge=-12_000_000), "W")
    assert power(world) >= -12_000


def test_reactive_power_follows_in_its_response_time(make_world):
    world = ready(make_world)
    install(world, "VoltVar", points=((98, 44), (102, -44)), response_time=D(10))
    discharging(world, soc=900)
    station = world.station
    assert station.der.reactive(station.evses[0]) == 0
    station.grid.set(volts=102_000)
    world.run(10.1)
    assert station.der.reactive(station.evses[0]) == pytest.approx(0.9 * 8_800_000, rel=0.02)
    world.run(2)
    assert station.der.reactive(station.evses[0]) == 8_800_000


def test_with_a_hysteresis_it_comes_back_late_and_slowly(make_world):
    world = ready(make_world)
    m = world.csms.messages
    hysteresis = m.HysteresisType(
        hysteresis_low=D(95), hysteresis_high=D(103), hysteresis_delay=D(60), hysteresis_gradient=D(1)
    )
    install(world, "VoltWatt", hysteresis=hysteresis)
    discharging(world, -20_000)
    world.station.grid.set(volts=108_000)
    world.run(1)
    assert power(world) == pytest.approx(-10_000, abs=20)
    world.station.grid.set(volts=105_000)
    world.run(300)
    assert power(world) == pytest.approx(-10_000, abs=20), "not within its bounds yet"
    world.station.grid.set(volts=102_000)
    world.run(50)
    world.station.grid.set(volts=104_000)
    world.run(5)
    world.station.grid.set(volts=102_000)
    world.run(59)
    assert power(world) == pytest.approx(-10_000, abs=20), "the minute began anew"
    world.run(11)
    assert power(world) == pytest.approx(-12_000, abs=250), "a percent a second"
    assert alarms(world) == [("VoltWatt", "OverVoltage", False)]
    world.run(45)
    assert power(world) == pytest.approx(-20_000, abs=20)
    assert alarms(world)[1:] == [("VoltWatt", "OverVoltage", True)]


def test_after_a_trip_its_hysteresis_counts_where_nothing_else_is_said(make_world):
    world = ready(make_world)
    m = world.csms.messages
    back = m.HysteresisType(
        hysteresis_low=D("49.9"), hysteresis_high=D("50.1"), hysteresis_delay=D(30), hysteresis_gradient=D(2)
    )
    install(world, "HFMustTrip", points=((51.5, 1),), hysteresis=back)
    discharging(world)
    world.station.grid.set(mhz=51_600)
    world.run(2)
    assert power(world) == 0
    world.station.grid.set(mhz=50_500)
    world.run(60)
    assert power(world) == 0
    world.station.grid.set(mhz=50_050)
    world.run(29)
    assert power(world) == 0
    world.run(11)
    assert -5_000 < power(world) < -3_000, "two percent of 20 kW a second"
    world.run(60)
    assert power(world) == pytest.approx(-16_000, abs=20)


def test_a_mean_of_ten_minutes_that_is_too_high_trips(make_world):
    world = ready(make_world)
    m = world.csms.messages
    params = m.VoltageParamsType(hv10_min_mean_value=D(110), hv10_min_mean_trip_delay=D(6))
    install(world, "HVMustTrip", points=((120, 0.2),), voltage_params=params)
    discharging(world, soc=950)
    world.run(600)
    world.station.grid.set(volts=112_000)  # (100 x + 112 (600 - x)) / 600 is 110 after 500 s
    world.run(495)
    assert power(world) < -15_000
    world.run(15)
    assert power(world) == 0
    assert alarms(world) == [("HVMustTrip", "OverVoltage", False)]
    world.station.grid.set(volts=109_000)
    world.run(300)
    assert power(world) == 0, "the mean is still above it"
    world.run(200)
    assert power(world) < -15_000
    assert alarms(world)[1:] == [("HVMustTrip", "OverVoltage", True)]
    # A peak that the mean takes no notice of.
    world.station.grid.set(volts=115_000)
    world.run(20)
    world.station.grid.set(volts=100_000)
    world.run(700)
    assert power(world) < -15_000 and len(alarms(world)) == 2


def test_half_of_what_watches_the_mean_is_refused(make_world):
    world = ready(make_world)
    m = world.csms.messages
    for params in ({"hv10_min_mean_value": D(110)}, {"hv10_min_mean_trip_delay": D(6)}):
        answer = install(world, "HVMustTrip", points=((120, 0.2),), voltage_params=m.VoltageParamsType(**params))
        assert (answer.status, answer.status_info.reason_code) == ("Rejected", "MissingParam")
    wrong = m.HysteresisType(hysteresis_low=D(103), hysteresis_high=D(95))
    assert install(world, "VoltWatt", hysteresis=wrong).status == "Rejected"


# ── which of two ─────────────────────────────────────────────────────────────────────────────────────────────────────


def reported(world, **fields):
    """(id, default, superseded) of what GetDERControl makes the station report."""
    number = len(world.csms.said)
    answer = ask(world, "GetDERControl", request_id=number, **fields)
    if answer.status != "Accepted":
        return answer.status
    world.run(1)
    parts = [part for part in world.csms.heard("ReportDERControl") if part.request_id == number]
    return sorted((row.id, row.is_default, row.is_superseded) for part in parts for row in part.curve or ())


def test_what_is_superseded_says_so(make_world):
    world = ready(make_world)
    assert install(world, "VoltWatt", "D1", priority=5).superseded_ids is None
    assert install(world, "VoltWatt", "D2", priority=4).superseded_ids == ["D1"]
    assert reported(world, is_default=True) == [("D1", True, True), ("D2", True, False)]
    # A scheduled one that runs goes on whatever becomes of the default.
    install(world, "VoltWatt", "S1", default=False, priority=3, start=5, duration=1000)
    world.run(10)
    answer = install(world, "VoltWatt", "D3", priority=1)
    assert (answer.status, answer.superseded_ids) == ("Accepted", ["D2"])
    assert world.station.der.controls.in_force(world.scheduler.now())["VoltWatt"].id == "S1"
    # One that has not begun gives way at once, even to a later one.
    install(world, "VoltWatt", "S2", default=False, priority=2, start=2000, duration=60)
    assert install(world, "VoltWatt", "S3", default=False, priority=1, start=4000, duration=60).superseded_ids == ["S2"]
    assert reported(world, is_default=False) == [("S1", False, False), ("S2", False, True), ("S3", False, False)]
    install(world, "FreqWatt", "F")
    assert [row[0] for row in reported(world)] == ["D1", "D2", "D3", "F", "S1", "S2", "S3"], "all of them"
    assert reported(world, control_id="S2") == [("S2", False, True)]
    assert reported(world, control_id="S2", is_default=False) == [("S2", False, True)]
    assert reported(world, control_id="S2", is_default=True) == "NotFound"
    assert reported(world, control_type="FreqWatt") == [("F", True, False)]


def test_what_a_station_for_alternating_current_can_do_by_itself(make_world):
    world = ready(make_world, controls=("FreqDroop", "VoltWatt"), evses=(EvseConfig(max_discharge_w=11_000),))
    m = world.csms.messages
    wanted = m.GetVariableDataType(
        component=m.ComponentType(name="ACDERCtrlr", evse=m.EVSEType(id=1)),
        variable=m.VariableType(name="ModesSupported"),
    )
    [row] = ask(world, "GetVariables", get_variable_data=[wanted]).get_variable_result
    assert (row.attribute_status, row.attribute_value) == ("Accepted", "FreqDroop,VoltWatt")
