"""Whole sessions, both ends: every energy service, scheduled and dynamic, from SessionSetup to SessionStop."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_world import World

from pilotwire.core.ev_link import Allowed, Ask, Flowing, Halt, Linked, Offered, Parted, Rest
from pilotwire.core.evse_link import (
    Connected,
    ContactorAsked,
    Ended,
    Fault,
    Identified,
    Limits,
    LockAsked,
    Needs,
    Pause,
    Paused,
    Price,
    ProfileChosen,
    Renegotiate,
    Requested,
    Resume,
    Schedule,
    Stop,
)
from pilotwire.protocols.iso15118 import v2gtp

SERVICES = ("DC", "DC_BPT", "AC", "AC_BPT")
BEFORE = [
    "SessionSetupReq",
    "AuthorizationSetupReq",
    "AuthorizationReq",
    "ServiceDiscoveryReq",
    "ServiceDetailReq",
    "ServiceSelectionReq",
]
AROUND = {
    "DC": (
        [
            "DC_ChargeParameterDiscoveryReq",
            "ScheduleExchangeReq",
            "DC_CableCheckReq",
            "DC_PreChargeReq",
            "PowerDeliveryReq",
            "DC_ChargeLoopReq",
        ],
        ["PowerDeliveryReq", "DC_WeldingDetectionReq", "SessionStopReq"],
    ),
    "AC": (
        ["AC_ChargeParameterDiscoveryReq", "ScheduleExchangeReq", "PowerDeliveryReq", "AC_ChargeLoopReq"],
        ["PowerDeliveryReq", "SessionStopReq"],
    ),
}


def quiet(world: World) -> None:
    """Nothing went wrong, and nothing is left on."""
    assert world.said(Fault) == world.said(Fault, "car") == []
    assert not world.outlet.closed
    assert world.outlet.flowing.ma == 0
    assert not any(code.startswith("FAILED") for code in world.codes())


@pytest.mark.parametrize("dynamic", [False, True], ids=["scheduled", "dynamic"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_session(service: Any, dynamic: bool) -> None:
    before, after = AROUND[service[:2]]
    world = World(service, dynamic=dynamic).begin(8_000)
    assert world.names() == BEFORE + before
    assert world.outlet.flowing.mw > 10_000_000
    assert world.said(Connected)[0].protocol == "iso15118-20"
    assert world.said(Identified)[-1].evccid == "ZZPWRV00000001X"
    assert world.said(Limits)[0].service == service
    needs = world.said(Needs)
    assert needs[-1].soc == 300 and needs[-1].target_soc == 800 and needs[-1].dynamic is dynamic
    assert [one.service for one in world.said(Linked, "car")] == [None, service]
    assert world.said(Allowed, "car") and world.said(Offered, "car")
    assert world.said(Flowing, "car")[-1].mw > 10_000_000
    assert bool(world.said(ProfileChosen)[0].schedule) is not dynamic
    world.evcc.command(Halt("it has enough"))
    world.run(4_000)
    assert world.names() == BEFORE + before + after
    assert world.parted == Parted(reason="it has enough", by="ev", ok=True)
    assert world.ended.ok and "it has enough" in world.ended.reason
    assert world.said(LockAsked) == [LockAsked(True), LockAsked(False)]
    quiet(world)


@pytest.mark.parametrize("service", SERVICES)
def test_dynamic_control_follows_the_setpoint(service: Any) -> None:
    world = World(service, dynamic=True).begin(8_000)
    world.offers(setpoint_mw=4_000_000)
    world.run(2_000)
    assert 3_900_000 <= world.outlet.flowing.mw <= 4_000_000
    world.offers(setpoint_mw=-3_000_000)
    world.run(2_000)
    if service.endswith("BPT"):
        assert -3_001_000 <= world.outlet.flowing.mw <= -2_900_000
        assert world.said(Flowing, "car")[-1].mw < 0
    else:
        assert world.outlet.flowing.mw == 0
    world.evcc.command(Halt())
    world.run(4_000)
    assert world.parted.ok
    quiet(world)


@pytest.mark.parametrize("service", ["DC_BPT", "AC_BPT"])
def test_a_vehicle_gives_back_by_its_schedule(service: Any) -> None:
    world = World(service)
    world.secc.command(Schedule(points=((0, 8_000_000), (12, -5_000_000), (30, 0)), duration_s=3_600))
    world.begin(9_000)
    assert 7_900_000 <= world.outlet.flowing.mw <= 8_000_000
    world.drives(target_ma=-40_000)
    world.run(8_000)
    assert -5_001_000 <= world.outlet.flowing.mw <= -4_900_000
    world.run(16_000)
    assert world.outlet.flowing.mw == 0
    tuples = world.bodies("ScheduleExchangeRes")[-1]["Scheduled_SEResControlMode"]["ScheduleTuple"][0]
    back = tuples["DischargingSchedule"]["PowerSchedule"]["PowerScheduleEntries"]["PowerScheduleEntry"]
    assert [one["Power"]["Value"] for one in back] == [0, 5000, 0], (
        "what may be given back is sent as a positive figure"
    )
    world.evcc.command(Halt())
    world.run(4_000)
    quiet(world)


@pytest.mark.parametrize("service", SERVICES)
def test_an_offer_that_shrinks_is_obeyed_at_once(service: Any) -> None:
    world = World(service).begin(8_000)
    world.offers(max_mw=3_000_000)
    assert 2_900_000 <= world.outlet.flowing.mw <= 3_000_000, "before the vehicle says anything"
    world.run(1_000)
    assert 2_900_000 <= world.outlet.flowing.mw <= 3_000_000
    assert not world.said(Fault)


@pytest.mark.parametrize("dynamic", [False, True])
@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("by", ["ev", "evse"])
def test_pause_and_resume(service: Any, dynamic: bool, by: str) -> None:
    world = World(service, dynamic=dynamic).begin(6_000)
    if by == "ev":
        world.evcc.command(Rest())
    else:
        world.secc.command(Pause())
    world.run(5_000)
    assert world.said(Paused) == [Paused(by)]  # type: ignore[arg-type]
    assert world.said(Ended) == []
    assert world.parted.paused and world.parted.ok
    quiet(world)
    again = World(
        service, dynamic=dynamic, paused=world.paused, resume=world.ev.kept, scheduler=world.scheduler, authorize=False
    ).begin(6_000)
    assert "OK_OldSessionJoined" in again.codes()
    assert again.said(Connected)[0].resumed and again.said(Linked, "car")[0].resumed
    assert again.said(Connected)[0].session_id == world.said(Connected)[0].session_id
    assert again.names()[1] == AROUND[service[:2]][0][0], "nothing is asked twice"
    assert again.outlet.flowing.mw > 10_000_000
    assert again.paused == {}
    again.evcc.command(Halt())
    again.run(4_000)
    assert again.ended.ok
    quiet(again)


def test_another_vehicle_does_not_get_a_session_that_sleeps() -> None:
    world = World("DC").begin(6_000)
    world.evcc.command(Rest())
    world.run(4_000)
    other = World(
        "DC", paused=world.paused, resume=world.ev.kept, scheduler=world.scheduler, evcc={"evccid": "ZZXYZ12345678X"}
    ).begin(6_000)
    assert "OK_NewSessionEstablished" in other.codes()
    assert list(world.paused) == [world.ev.session], "it is still there for the one it belongs to"


@pytest.mark.parametrize("service", SERVICES)
@pytest.mark.parametrize("by", ["ev", "evse"])
def test_schedules_are_negotiated_anew_while_energy_flows(service: Any, by: str) -> None:
    world = World(service)
    world.secc.command(Schedule(points=((0, 9_000_000),), id=1))
    world.begin(8_000)
    loops = len(world.bodies(f"{service[:2]}_ChargeLoopRes"))
    assert 8_900_000 <= world.outlet.flowing.mw <= 9_000_000
    world.secc.command(Schedule(points=((0, 4_000_000),), id=2))
    world.secc.command(Schedule(points=((0, 4_000_000),), id=1))
    if by == "ev":
        world.evcc.command(Ask())
    else:
        world.secc.command(Renegotiate())
    world.run(2_000)
    assert 3_900_000 <= world.outlet.flowing.mw <= 4_000_000
    side = [name for _, type_, name, _ in world.frames if type_ == v2gtp.SCHEDULE_RENEGOTIATION]
    assert side == ["ScheduleExchangeReq", "ScheduleExchangeRes"]
    progress = [body["ChargeProgress"] for body in world.bodies("PowerDeliveryReq")]
    assert progress == ["Start", "ScheduleRenegotiation"]
    assert len(world.bodies(f"{service[:2]}_ChargeLoopRes")) >= loops + 8, "the loop goes on meanwhile"
    assert [one for one in world.said(ContactorAsked)] == [ContactorAsked(True)]
    assert len(world.said(ProfileChosen)) == 2
    world.evcc.command(Halt())
    world.run(4_000)
    quiet(world)


@pytest.mark.parametrize("service", SERVICES)
def test_standby(service: Any) -> None:
    world = World(service).begin(8_000)
    world.drives(ready=False)
    world.run(2_000)
    assert world.outlet.flowing.ma == 0
    assert world.outlet.closed, "contactors stay closed in standby"
    assert world.said(Ended) == []
    world.drives(ready=True)
    world.run(4_000)
    assert world.outlet.flowing.mw > 10_000_000
    assert [one["ChargeProgress"] for one in world.bodies("PowerDeliveryReq")] == ["Start", "Standby", "Start"]
    assert world.said(ContactorAsked) == [ContactorAsked(True)]
    asked = next(place for place, frame in enumerate(world.frames) if frame[3].get("ChargeProgress") == "Standby")
    before = [frame[3] for frame in world.frames[:asked] if frame[2] == "DC_ChargeLoopRes"][-1:]
    assert all(one["EVSEPresentCurrent"]["Value"] == 0 for one in before), "nothing flows when it asks ([V2G20-2116])"
    world.drives(ready=False)
    world.run(1_000)
    world.secc.command(Resume())
    world.run(600)
    notices = [body["EVSEStatus"]["EVSENotification"] for body in world.bodies(f"{service[:2]}_ChargeLoopRes")
               if "EVSEStatus" in body]  # fmt: skip
    assert set(notices) == {"ExitStandby"}
    world.evcc.command(Halt())
    world.run(4_000)
    quiet(world)


@pytest.mark.parametrize("by", ["ev", "evse"])
def test_services_are_negotiated_anew(by: str) -> None:
    services: Any = {"services": ("DC", "DC_BPT")}
    world = World("DC", secc=services, evcc=services).begin(8_000)
    if by == "ev":
        world.evcc.command(Ask(service=True))
    else:
        world.secc.command(Renegotiate(service=True))
    world.run(8_000)
    assert [one.service for one in world.said(Limits)] == ["DC", "DC_BPT"]
    assert [one.service for one in world.said(Linked, "car")] == [None, "DC", "DC_BPT"]
    assert world.outlet.flowing.mw > 10_000_000
    assert world.said(Ended) == []
    assert len(world.bodies("AuthorizationRes")) == len(world.bodies("AuthorizationReq"))
    world.evcc.command(Halt())
    world.run(4_000)
    assert world.ended.ok
    quiet(world)


@pytest.mark.parametrize("service", SERVICES)
def test_the_station_ends_it(service: Any) -> None:
    world = World(service).begin(8_000)
    world.secc.command(Stop("the shop closes"))
    world.run(4_000)
    assert world.parted.ok and world.ended.ok
    assert "Terminate" in world.parted.reason
    quiet(world)


@pytest.mark.parametrize("service", SERVICES)
def test_an_emergency_stop_waits_for_nobody(service: Any) -> None:
    world = World(service).begin(8_000)
    at = len(world.station)
    world.secc.command(Stop("the button", emergency=True))
    assert [type(one) for one in world.station[at:]][:2] == [Requested, ContactorAsked]
    assert world.outlet.flowing.ma == 0 or service.startswith("AC")
    world.run(2_000)
    assert world.outlet.flowing.ma == 0 and not world.outlet.closed
    assert not world.ended.ok and not world.parted.ok
    assert "the button" in world.said(Fault)[0].text


def test_go_to_pause() -> None:
    world = World("DC", authorize=True)
    world.secc.command(Pause())
    world.begin(6_000)
    assert world.bodies("ScheduleExchangeRes")[-1]["GoToPause"] is True
    assert world.parted.paused
    assert world.said(ContactorAsked) == []


PRICES = (
    Price(start_s=0, amount=Decimal("0.25")),
    Price(start_s=0, amount=Decimal("0.31"), from_mw=11_000_000),
    Price(start_s=7_200, amount=Decimal("0.19")),
)


@pytest.mark.parametrize("dynamic", [False, True])
def test_prices_reach_the_vehicle(dynamic: bool) -> None:
    world = World("DC", dynamic=dynamic)
    world.secc.command(Schedule(points=((0, 9_000_000),), duration_s=10_800, prices=PRICES, currency="EUR"))
    world.begin(6_000)
    (answer,) = world.bodies("ScheduleExchangeRes")
    if dynamic:
        assert answer["Dynamic_SEResControlMode"]["AbsolutePriceSchedule"]["Currency"] == "EUR"
    else:
        (schedule,) = world.said(Offered, "car")[-1].schedules
        assert schedule.prices == PRICES and schedule.currency == "EUR"
        assert schedule.points == ((0, 9_000_000),) and schedule.duration_s == 10_800


def test_parking_is_told_beside_all_else() -> None:
    world = World("AC", secc={"parking": True, "internet": True}).begin(6_000)
    world.evcc.command(Halt())
    world.run(4_000)
    side = [(who, name) for who, type_, name, _ in world.frames if type_ == v2gtp.PARKING_STATUS]
    assert side == [("ev", "VehicleCheckInReq"), ("evse", "VehicleCheckInRes"), ("ev", "VehicleCheckOutReq"),
                    ("evse", "VehicleCheckOutRes")]  # fmt: skip
    assert world.ended.ok
    quiet(world)
