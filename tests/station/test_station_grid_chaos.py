"""A bidirectional station in a grid gone mad: whatever comes, no cap is passed and no energy is lost."""

from __future__ import annotations

from decimal import Decimal
from itertools import pairwise
from random import Random

import pytest

from pilotwire.domain.schedules.model import Rates
from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import BIDIRECTIONAL

AC = EvseConfig(max_discharge_w=11_000)
DC = EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=50_000, max_ma=125_000, max_discharge_w=20_000)
KINDS = ("FreqDroop", "VoltWatt", "LimitMaxDischarge", "HFMustTrip", "LVMomCess", "EnterService", "Gradients")


def curve(m, **more):
    points = more.pop("points")
    return m.DERCurveType(
        curve_data=[m.DERCurvePointsType(x=Decimal(str(x)), y=Decimal(str(y))) for x, y in points], **more
    )


def control(m, kind, random):
    low = random.randint(0, 3)
    return {
        "FreqDroop": lambda: {
            "freq_droop": m.FreqDroopType(
                priority=low,
                over_freq=Decimal("50.2"),
                under_freq=Decimal("49.8"),
                over_droop=Decimal("0.05"),
                under_droop=Decimal("0.05"),
                response_time=Decimal(1),
            )
        },
        "VoltWatt": lambda: {
            "curve": curve(
                m,
                priority=low,
                y_unit="PctMaxW",
                points=((104, 100), (110, random.randint(-20, 50))),
                response_time=Decimal(8),
                hysteresis=m.HysteresisType(
                    hysteresis_low=Decimal(97),
                    hysteresis_high=Decimal(103),
                    hysteresis_delay=Decimal(20),
                    hysteresis_gradient=Decimal(5),
                ),
            )
        },
        "LimitMaxDischarge": lambda: {
            "limit_max_discharge": m.LimitMaxDischargeType(
                priority=low, pct_max_discharge_power=Decimal(random.randint(0, 100))
            )
        },
        "HFMustTrip": lambda: {
            "curve": curve(m, priority=low, y_unit="Not_Applicable", points=((51, random.randint(0, 20)), (52, 0)))
        },
        "LVMomCess": lambda: {"curve": curve(m, priority=low, y_unit="Not_Applicable", points=((50, 0), (80, 1)))},
        "EnterService": lambda: {
            "enter_service": m.EnterServiceType(
                priority=low,
                high_voltage=Decimal(110),
                low_voltage=Decimal(90),
                high_freq=Decimal("50.5"),
                low_freq=Decimal("49.5"),
                delay=Decimal(random.randint(0, 60)),
                random_delay=Decimal(random.randint(0, 60)),
                ramp_rate=Decimal(random.randint(0, 60)),
            )
        },
        "Gradients": lambda: {
            "gradient": m.GradientType(
                priority=low, gradient=Decimal(random.randint(0, 60)), soft_gradient=Decimal(random.randint(0, 60))
            )
        },
    }[kind]()


class Run:
    """One world and what happens in it."""

    def __init__(self, make_world, seed):
        self.random = Random(seed)
        self.world = make_world("2.1", seed=seed, evses=(AC, DC), der_controls=KINDS)
        m = self.m = self.world.csms.messages
        self.world.csms.scripts["Authorize"] = lambda request: m.AuthorizeResponse(
            id_token_info=m.IdTokenInfoType(status="Accepted"), allowed_energy_transfer=["AC_BPT", "DC_BPT"]
        )
        self.world.csms.scripts["NotifyEVChargingNeeds"] = lambda request: m.NotifyEVChargingNeedsResponse(
            status="Accepted"
        )
        self.world.station.power_on()
        self.world.run(5)
        self.cars = []
        self.low = self.high = None
        for evse in (1, 2):
            self.plug(evse)

    def plug(self, evse):
        car = Vehicle(BIDIRECTIONAL, self.random.randint(250, 950), evccid=f"0001020304A{evse}")
        self.cars.append((evse, car))
        self.world.station.plug(evse, car)
        self.world.station.tap(evse, f"AA1{evse}")
        self.world.run(5)

    def step(self):
        random, station = self.random, self.world.station
        what = random.randrange(9)
        if what == 0:
            station.grid.set(mhz=random.choice((50_000, 50_000, random.randint(46_000, 54_000))))
        elif what == 1:
            station.grid.set(volts=random.choice((100_000, 100_000, random.randint(30_000, 125_000))))
        elif what == 2:
            self.set_point(random.choice((1, 2)), random.randint(-25_000, 25_000))
        elif what == 3:
            kind = random.choice(KINDS)
            self.send(
                "SetDERControl",
                is_default=True,
                control_id=f"{kind}{random.randint(0, 3)}",
                control_type=kind,
                **control(self.m, kind, random),
            )
        elif what == 4:
            self.send("ClearDERControl", is_default=True, control_type=random.choice((None, *KINDS)))
        elif what == 5:
            self.low = -random.randint(0, 15_000_000)
            self.high = random.randint(0, 30_000_000)
            station.smart_charging.external.impose(Rates(limit=self.high, discharge=self.low), "W")
        elif what == 6:
            station.smart_charging.external.release()
            self.low = self.high = None
        elif what == 7:
            evse = random.choice((1, 2))
            if station.evses[evse - 1].car is not None:
                station.unplug(evse)
            else:
                self.plug(evse)
        else:
            (self.world.offline if random.random() < 0.4 else self.world.online)()
        self.world.run(random.choice((0.2, 1, 7, 45, 200)))

    def send(self, action, **fields):
        if self.world.station.online:
            self.world.csms.command(action, self.world.csms.version.actions[action].request_type(**fields))
            self.world.run(0.1)

    def set_point(self, evse, watts):
        m = self.m
        row = m.ChargingSchedulePeriodType(start_period=0, operation_mode="CentralSetpoint", setpoint=Decimal(watts))
        self.send(
            "SetChargingProfile",
            evse_id=evse,
            charging_profile=m.ChargingProfileType(
                id=evse,
                stack_level=1,
                charging_profile_purpose="TxDefaultProfile",
                charging_profile_kind="Relative",
                charging_schedule=[
                    m.ChargingScheduleType(id=1, charging_rate_unit="W", charging_schedule_period=[row])
                ],
            ),
        )

    def check(self):
        station = self.world.station
        powers = [evse.meter.power_mw for evse in station.evses]
        for evse, power in zip(station.evses, powers, strict=True):
            assert -evse.config.max_discharge_w * 1000 <= power <= evse.max_mw * 1.03
            assert power == 0 or evse.session is not None
            if evse.car is not None and power < 0:
                assert evse.car.can_give
        if self.low is not None:
            assert sum(power for power in powers if power < 0) >= self.low
            assert sum(power for power in powers if power > 0) <= self.high
        if station.der.tripped is not None:
            assert powers == [0, 0]


@pytest.mark.parametrize("seed", range(12))
def test_no_cap_is_passed_and_no_energy_is_lost(make_world, seed):
    run = Run(make_world, seed)
    for _ in range(120):
        run.step()
        run.check()
    run.world.online()
    run.world.station.grid.set(mhz=50_000, volts=100_000)
    for evse in (1, 2):
        run.world.station.unplug(evse)
    run.world.run(300)
    for number in (1, 2):
        meter = run.world.station.evses[number - 1].meter
        assert meter.energy_uj == sum(car.taken_uj for evse, car in run.cars if evse == number)
        assert meter.export_uj == sum(car.given_uj for evse, car in run.cars if evse == number)
    for _, car in run.cars:
        assert car.taken_uj - car.given_uj == car.gained_uj + car.lost_uj
        assert car.soc >= 199
    told = [bool(each.alarm_ended) for each in run.world.csms.heard("NotifyDERAlarm")]
    assert not told or told[-1], "nobody is left, so nothing deviates"
    assert [a for a, b in pairwise(told) if a and b] == [], "an alarm ends once"
