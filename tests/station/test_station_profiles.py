"""Charging profiles: the meter shows that the station obeys. The rules themselves are in `tests/domain`."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal

import pytest
from msgspec import structs

from pilotwire.core.time import to_datetime
from pilotwire.domain.schedules.model import STATION_MAX, TX, TX_DEFAULT
from pilotwire.station.config import EvseConfig
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

VERSIONS = ("1.6", "2.0.1", "2.1")

# ── the station obeys ────────────────────────────────────────────────────────────────────────────────────────────────


def wire(world, *, purpose, periods, unit="A", kind="Absolute", id_=1, stack=0, start=0, duration=None, **more):
    """A ChargingProfile of the world's version; `start` in seconds from now."""
    m = world.csms.messages
    begins = None if start is None else to_datetime(int(world.scheduler.now())) + timedelta(seconds=start)
    if world.config.version == "1.6":
        return m.ChargingProfile(
            charging_profile_id=id_,
            stack_level=stack,
            charging_profile_purpose="ChargePointMaxProfile" if purpose == STATION_MAX else purpose,
            charging_profile_kind=kind,
            charging_schedule=m.ChargingSchedule(
                charging_rate_unit=unit,
                start_schedule=begins,
                duration=duration,
                charging_schedule_period=[
                    m.ChargingSchedulePeriod(start_period=at, limit=Decimal(str(limit))) for at, limit in periods
                ],
            ),
            **more,
        )
    return m.ChargingProfileType(
        id=id_,
        stack_level=stack,
        charging_profile_purpose=purpose,
        charging_profile_kind=kind,
        charging_schedule=[
            m.ChargingScheduleType(
                id=1,
                charging_rate_unit=unit,
                start_schedule=begins,
                duration=duration,
                charging_schedule_period=[
                    m.ChargingSchedulePeriodType(start_period=at, limit=Decimal(str(limit))) for at, limit in periods
                ],
            )
        ],
        **more,
    )


def install(world, evse, profile):
    m = world.csms.messages
    if world.config.version == "1.6":
        request = m.SetChargingProfileRequest(connector_id=evse, cs_charging_profiles=profile)
    else:
        request = m.SetChargingProfileRequest(evse_id=evse, charging_profile=profile)
    world.csms.command("SetChargingProfile", request)
    world.run(1)
    return world.csms.answers[-1][1].status


def begin(world, evse=1, **more):
    """A car is plugged in and charges."""
    world.station.power_on()
    world.run(5)
    world.station.plug(evse, world.car(**more))
    world.station.tap(evse, f"TOKEN{evse}")
    world.run(60)


def currents(world, evse=1):
    return world.station.evses[evse - 1].meter.currents


@pytest.mark.parametrize("version", VERSIONS)
def test_a_default_profile_step_by_step(make_world, version):
    world = make_world(version)
    begin(world)
    assert currents(world) == (16_000,) * 3
    profile = wire(world, purpose=TX_DEFAULT, periods=[(0, 10), (600, 6), (1200, 5.9), (1800, 13.5)], duration=2400)
    assert install(world, 0, profile) == "Accepted"
    seen = []
    for _ in range(5):
        seen.append(currents(world)[0])
        world.run(600)
    assert seen == [10_000, 6_000, 0, 13_500, 16_000]
    if version == "1.6":
        states = [r.status for r in world.csms.heard("StatusNotification")]
        assert states[-3:] == ["Charging", "SuspendedEVSE", "Charging"]
    else:
        events = world.csms.heard("TransactionEvent")
        states = [e.transaction_info.charging_state for e in events if e.transaction_info.charging_state]
        assert states[-3:] == ["Charging", "SuspendedEVSE", "Charging"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_power_limit_is_held_on_the_meter(make_world, version):
    world = make_world(version)
    begin(world)
    assert install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 5000)], unit="W")) == "Accepted"
    for _ in range(30):
        world.run(60)
        assert 4_500_000 < world.station.evses[0].meter.power_mw <= 5_000_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_transaction_profile_is_for_its_transaction_alone(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    key = {} if version == "1.6" else {"transaction_id": "none"}
    assert (
        install(world, 1, wire(world, purpose=TX, periods=[(0, 8)], start=None, kind="Relative", **key)) == "Rejected"
    )
    begin(world)
    truth = world.station.truth[0]
    assert install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 12)])) == "Accepted"
    assert currents(world)[0] == 12_000
    transaction = int(truth.transaction) if version == "1.6" else truth.transaction
    profile = wire(world, purpose=TX, periods=[(0, 8)], start=None, kind="Relative", id_=2, transaction_id=transaction)
    assert install(world, 0, profile) == "Rejected"
    assert install(world, 1, profile) == "Accepted"
    assert currents(world)[0] == 8_000
    world.station.unplug(1)
    world.run(5)
    world.station.plug(1, world.car())
    world.station.tap(1, "TOKEN1")
    world.run(5)
    assert currents(world)[0] == 12_000
    assert len(world.station.energy.profiles) == 1


@pytest.mark.parametrize("version", VERSIONS)
def test_the_station_maximum_caps_the_sum(make_world, version):
    world = make_world(version, evses=(EvseConfig(), EvseConfig(), EvseConfig()))
    begin(world, 1)
    assert install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 15)])) == "Accepted"
    assert currents(world, 1)[0] == 15_000
    begin(world, 2)
    assert currents(world, 1)[0] == currents(world, 2)[0] == 7_500
    begin(world, 3)
    # 15 A are too little for three cars: two are served, the third waits.
    assert sorted(currents(world, n)[0] for n in (1, 2, 3)) == [0, 7_500, 7_500]
    world.station.unplug(1)
    world.run(2)
    assert sorted(currents(world, n)[0] for n in (2, 3)) == [7_500, 7_500]
    assert install(world, 1, wire(world, purpose=STATION_MAX, periods=[(0, 15)], id_=9)) == "Rejected"


def test_what_a_full_car_leaves_goes_to_the_others(make_world):
    world = make_world("2.0.1", evses=(EvseConfig(), EvseConfig()))
    begin(world, 1, soc=985)
    begin(world, 2)
    assert install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 14)])) == "Accepted"
    assert currents(world, 2)[0] == 7_000
    world.run(3600)
    assert world.station.evses[0].phase == "SuspendedEV" and currents(world, 2)[0] == 14_000


@pytest.mark.parametrize("version", VERSIONS)
def test_a_daily_profile_comes_back_every_day(make_world, version):
    world = make_world(version, settings={"sample_interval": "0"})
    world.station.power_on()
    world.run(5)
    profile = wire(
        world,
        purpose=TX_DEFAULT,
        periods=[(0, 7)],
        kind="Recurring",
        duration=3600,
        start=3600,
        recurrency_kind="Daily",
    )
    assert install(world, 0, profile) == "Accepted"
    # A battery for days.
    world.station.plug(1, Vehicle(structs.replace(CATALOGUE["truck 400 kW 800 V"], capacity_wh=20_000_000), 0))
    world.station.tap(1, "TOKEN1")
    world.run(60)
    for _ in range(3):
        assert currents(world)[0] == 32_000
        world.run(3600)
        assert currents(world)[0] == 7_000
        world.run(3600)
        assert currents(world)[0] == 32_000
        world.run(86_400 - 7200)


@pytest.mark.parametrize("version", VERSIONS)
def test_profiles_survive_a_restart_and_can_be_cleared(make_world, version):
    world = make_world(version)
    begin(world)
    assert install(world, 0, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)], id_=77)) == "Accepted"
    world.station.power_off()
    world.station = world.build()
    begin(world)
    assert currents(world)[0] == 9_000
    m = world.csms.messages
    if version == "1.6":
        requests = [
            m.ClearChargingProfileRequest(id=1),
            m.ClearChargingProfileRequest(charging_profile_purpose=TX_DEFAULT),
        ]
    else:
        requests = [
            m.ClearChargingProfileRequest(charging_profile_id=1),
            m.ClearChargingProfileRequest(
                charging_profile_criteria=m.ClearChargingProfileType(charging_profile_purpose=TX_DEFAULT)
            ),
        ]
    for request in requests:
        world.csms.command("ClearChargingProfile", request)
    world.run(2)
    assert [a.status for _, a in world.csms.answers[-2:]] == ["Unknown", "Accepted"]
    assert currents(world)[0] == 16_000


@pytest.mark.parametrize("version", VERSIONS)
def test_profiles_that_make_no_sense_are_rejected(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    for bad in (
        {"periods": [(60, 9)]},
        {"periods": [(0, 9), (60, 8), (60, 7)]},
        {"periods": [(0, -1)]},
        {"periods": [(0, 9)], "stack": 21},
        {"periods": [(n, 9) for n in range(101)]},
        {"periods": [(0, 9)], "kind": "Recurring"},
    ):
        assert install(world, 1, wire(world, purpose=TX_DEFAULT, **bad)) == "Rejected"
    if version != "1.6":
        assert install(world, 7, wire(world, purpose=TX_DEFAULT, periods=[(0, 9)])) == "Rejected"
    assert len(world.station.energy.profiles) == 0


@pytest.mark.parametrize("version", VERSIONS)
def test_the_composite_schedule_as_told(make_world, version):
    world = make_world(version)
    begin(world)
    install(world, 0, wire(world, purpose=STATION_MAX, periods=[(0, 20), (1800, 11)], id_=1, start=0))
    install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 14), (900, 25)], id_=2, start=0))
    m = world.csms.messages
    for unit in ("A", "W"):
        if version == "1.6":
            request = m.GetCompositeScheduleRequest(connector_id=1, duration=3600, charging_rate_unit=unit)
        else:
            request = m.GetCompositeScheduleRequest(evse_id=1, duration=3600, charging_rate_unit=unit)
        world.csms.command("GetCompositeSchedule", request)
        world.run(1)
    in_a, in_w = (answer for name, answer in world.csms.answers if name == "GetCompositeSchedule")
    if version == "1.6":
        in_a, in_w = in_a.charging_schedule, in_w.charging_schedule
    else:
        in_a, in_w = in_a.schedule, in_w.schedule
    rows = [(p.start_period, p.limit) for p in in_a.charging_schedule_period]
    assert [limit for _, limit in rows] == [14, 20, 11]
    assert rows[0][0] == 0 and 890 <= rows[1][0] <= 900 and 1790 <= rows[2][0] <= 1800
    assert [p.limit for p in in_w.charging_schedule_period] == [14 * 690, 20 * 690, 11 * 690]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_that_comes_with_the_remote_start(make_world, version):
    world = make_world(version)
    world.station.power_on()
    world.run(5)
    world.station.plug(1, world.car())
    m = world.csms.messages
    profile = wire(world, purpose=TX, periods=[(0, 7)], start=None, kind="Relative")
    if version == "1.6":
        name = "RemoteStartTransaction"
        request = m.RemoteStartTransactionRequest(connector_id=1, id_tag="R", charging_profile=profile)
    else:
        name = "RequestStartTransaction"
        request = m.RequestStartTransactionRequest(
            evse_id=1, remote_start_id=4, id_token=m.IdTokenType(id_token="R", type="Central"), charging_profile=profile
        )
    world.csms.command(name, request)
    world.run(30)
    assert world.csms.answers[-1][1].status == "Accepted" and currents(world)[0] == 7_000


def test_dc_limits(make_world):
    from pilotwire.twin.demo import DC_150

    world = make_world("2.0.1", evses=(DC_150,))
    begin(world, kind="sedan three-phase 11 kW 800 V", soc=200)
    assert world.station.evses[0].meter.power_mw > 140_000_000
    install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 40_000)], unit="W"))
    assert 39_000_000 < world.station.evses[0].meter.power_mw <= 40_000_000
    install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 50)], unit="A"))
    assert world.station.evses[0].meter.currents == (50_000,)
    install(world, 1, wire(world, purpose=TX_DEFAULT, periods=[(0, 0)], unit="W"))
    assert world.station.evses[0].meter.power_mw == 0 and world.station.evses[0].phase == "SuspendedEVSE"
