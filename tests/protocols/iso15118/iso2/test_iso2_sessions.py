"""Whole sessions of ISO 15118-2, both ends ours: what goes over the wire, and what is told at either end."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.protocols.iso15118.v2g_world import DRIVE, World, said

from pilotwire.core.ev_link import Allowed, Ask, ContactsAsked, Flowing, Halt, Linked, Offered, Rest
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Connected,
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    Identified,
    Limits,
    LockAsked,
    Needs,
    Offer,
    Pause,
    Paused,
    ProfileChosen,
    Renegotiate,
    Requested,
    Resume,
    Schedule,
    Stop,
)
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE
from pilotwire.vehicle.inside import Inside

SETUP = ["SessionSetup", "ServiceDiscovery", "PaymentServiceSelection", "Authorization", "ChargeParameterDiscovery"]
CHARGE = ["CableCheck", "PreCharge", "PowerDelivery", "CurrentDemand"]
END = ["PowerDelivery", "WeldingDetection", "SessionStop"]


def test_dc_from_plug_to_stop() -> None:
    world = World().begin(10_000)
    world.evcc.command(Halt("enough"))
    world.run()
    assert world.names() == [*SETUP, *CHARGE, *END]
    assert world.codes() == {"OK", "OK_NewSessionEstablished"}
    assert world.ended == Ended(reason="the vehicle ended the session in order (SessionStopReq)", by="ev")
    assert (world.parted.reason, world.parted.by, world.parted.ok) == ("enough", "ev", True)
    (connected,) = said(world.station, Connected)
    assert connected.protocol == "iso15118-2" and not connected.resumed and len(connected.session_id) == 16
    assert said(world.station, Identified)[0].mac == "020000000001"
    (limits,) = said(world.station, Limits)[:1]
    assert (limits.service, limits.max_mv, limits.max_ma, limits.max_mw) == ("DC", 450_000, 120_000, 50_000_000)
    assert limits.capacity_wh == 60_000
    needs = said(world.station, Needs)[0]
    assert (needs.soc, needs.energy_wh, needs.dynamic) == (300, 30_000, False)
    assert world.outlet.register_wh > 0 and not world.outlet.closed and world.outlet.mv == 0
    assert [one.closed for one in said(world.station, ContactorAsked)] == [True, False]
    assert [one.locked for one in said(world.station, LockAsked)] == [True, False]
    assert [one.closed for one in said(world.car, ContactsAsked)] == [True, False]
    assert said(world.car, Linked)[-1].service == "DC" and said(world.car, Allowed)
    charged = [one for one in said(world.station, Requested) if one.phase == "charge" and one.ma]
    assert {(one.mv, one.ma) for one in charged} == {(400_000, 60_000)}


def test_nothing_flows_before_isolation_and_contactor() -> None:
    world = World().begin()
    order = [type(one).__name__ for one in world.station]
    first = next(i for i, one in enumerate(world.station) if type(one) is Requested)
    assert order.index("IsolationAsked") < first
    assert world.station[first].phase == "precharge" and world.station[first].ma <= 2_000


def test_ac_from_plug_to_stop() -> None:
    world = World(service="AC").begin(10_000)
    world.evcc.command(Halt("enough"))
    world.run()
    assert world.names() == [*SETUP, "PowerDelivery", "ChargingStatus", "PowerDelivery", "SessionStop"]
    assert world.ended.ok and world.parted.ok
    limits = said(world.station, Limits)[0]
    assert (limits.service, limits.max_ma, limits.min_ma, limits.phases) == ("AC", 32_000, 6_000, 3)
    assert said(world.station, Requested)[0] == Requested(ma=16_000)
    assert said(world.station, Requested)[-1] == Requested()
    assert world.outlet.register_wh > 0 and not world.outlet.closed


@pytest.mark.parametrize(("phases", "mode"), [(3, "AC_three_phase_core"), (1, "AC_single_phase_core")])
def test_ac_phases_are_those_of_both(phases: int, mode: str) -> None:
    world = World(service="AC", offer=Offer(max_ma=16_000, phases=phases)).begin()
    assert world.bodies("ChargeParameterDiscoveryReq")[0]["RequestedEnergyTransferMode"] == mode
    pmax = world.bodies("ChargeParameterDiscoveryRes")[0]["SAScheduleList"]["SAScheduleTuple"][0]
    assert pmax["PMaxSchedule"]["PMaxScheduleEntry"][0]["PMax"]["Value"] == 3_680 * phases


def test_limits_that_change_reach_the_car_and_bound_what_is_requested() -> None:
    world = World().begin()
    world.outlet.offering(Offer(max_mv=500_000, max_ma=20_000, max_mw=6_000_000))
    world.run(1_000)
    assert said(world.car, Offered)[-1].offer.max_ma == 20_000
    assert said(world.station, Requested)[-1] == Requested(mv=400_000, ma=15_000)  # 6 kW at 400 V
    last = world.bodies("CurrentDemandRes")[-1]
    assert last["EVSECurrentLimitAchieved"] and last["EVSEPowerLimitAchieved"]
    assert not last["EVSEVoltageLimitAchieved"]


def test_ac_limits_follow_the_offer_at_once() -> None:
    world = World(service="AC").begin()
    world.outlet.offering(Offer(max_ma=8_000))
    assert said(world.station, Requested)[-1] == Requested(ma=8_000)
    world.run(1_500)
    assert said(world.car, Offered)[-1].offer.max_ma == 8_000


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_pause_is_zero_limits_until_resume(service: Any) -> None:
    world = World(service=service).begin()
    world.secc.command(Pause())
    world.run(1_500)
    assert said(world.car, Offered)[-1].offer.max_ma == 0
    assert said(world.station, Requested)[-1].ma == 0
    world.secc.command(Resume())
    world.run(1_500)
    assert said(world.station, Requested)[-1].ma > 0
    assert not said(world.station, Ended)


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_stop_by_the_station_is_in_order(service: Any) -> None:
    world = World(service=service).begin()
    world.secc.command(Stop(reason="the driver's card"))
    world.run()
    assert world.names()[-1] == "SessionStop"
    assert world.ended.ok and world.ended.by == "evse" and "the driver's card" in world.ended.reason
    assert world.parted.by == "evse" and world.parted.ok
    name = "DC_EVSEStatus" if service == "DC" else "AC_EVSEStatus"
    loop = "CurrentDemandRes" if service == "DC" else "ChargingStatusRes"
    status = world.bodies(loop)[-1][name]
    assert status["EVSENotification"] == "StopCharging" and status["NotificationMaxDelay"] > 0
    if service == "DC":
        assert status["EVSEStatusCode"] == "EVSE_Shutdown"


def test_emergency_cuts_the_output_before_the_car_knows() -> None:
    world = World().begin()
    world.station.clear()
    world.secc.command(Stop(reason="the red button", emergency=True))
    assert world.station[:2] == [Requested(), ContactorAsked(False)]
    world.run()
    assert world.bodies("CurrentDemandRes")[-1]["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_EmergencyShutdown"
    assert not [one for one in said(world.station, Requested) if one.mv or one.ma]
    assert not world.ended.ok and not world.parted.ok


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_fault_of_the_station(service: Any) -> None:
    world = World(service=service).begin()
    world.station.clear()
    world.secc.command(Fault(code="GroundFailure", by="evse", text="the residual current is too high"))
    assert world.station[:2] == [Requested(), ContactorAsked(False)]
    world.run()
    if service == "AC":
        assert world.bodies("ChargingStatusRes")[-1]["AC_EVSEStatus"]["RCD"]
    else:
        assert world.bodies("CurrentDemandRes")[-1]["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_Malfunction"
    assert not world.ended.ok and "residual" in world.ended.reason and world.names()[-1] == "SessionStop"


def test_contactor_that_opens_by_itself() -> None:
    world = World().begin()
    world.secc.command(Contactor(False))
    world.run()
    assert said(world.station, Fault)[0].code == "EVSEContactorFault"
    assert not world.ended.ok


@pytest.mark.parametrize("service", ["AC", "DC"])
def test_contactor_that_does_not_close(service: Any) -> None:
    world = World(service=service, hardware={"contactor_fails": True}).begin(12_000)
    assert "FAILED_ContactorError" in world.codes()
    assert said(world.station, Fault)[0].code == "EVSEContactorFault"
    assert not world.ended.ok and not world.parted.ok and not world.outlet.closed


@pytest.mark.parametrize("status", ["warning", "no-monitor"])
def test_isolation_that_is_good_enough(status: str) -> None:
    world = World(hardware={"isolation": status}).begin()
    word = {"warning": "Warning", "no-monitor": "No_IMD"}[status]
    assert world.bodies("CableCheckRes")[-1]["DC_EVSEStatus"]["EVSEIsolationStatus"] == word
    assert world.names()[-1] == "CurrentDemand"


def test_isolation_fault() -> None:
    world = World(hardware={"isolation": "fault"}).begin()
    last = world.bodies("CableCheckRes")[-1]
    assert last["ResponseCode"] == "FAILED" and last["DC_EVSEStatus"]["EVSEIsolationStatus"] == "Fault"
    assert said(world.station, Fault)[0].code == "CableCheckFault"
    assert not said(world.station, Requested)


def test_refused_by_the_station() -> None:
    world = World(authorize=False).begin(1_000)
    assert world.bodies("AuthorizationRes")[-1]["EVSEProcessing"] == "Ongoing_WaitingForCustomerInteraction"
    world.secc.command(Authorize(accepted=False, reason="unknown"))
    world.run()
    assert world.bodies("AuthorizationRes")[-1]["ResponseCode"] == "FAILED"
    assert "unknown" in world.ended.reason and not world.ended.ok and not world.parted.ok


def test_authorisation_that_comes_before_the_car() -> None:
    world = World(authorize=False)
    world.secc.command(Authorize(accepted=True))
    world.begin()
    assert len(world.bodies("AuthorizationReq")) == 1 and world.names()[-1] == "CurrentDemand"


# ── schedules ────────────────────────────────────────────────────────────────────────────────────────────────────────
def test_the_profile_is_within_the_schedule() -> None:
    world = World(service="AC")
    world.secc.command(Schedule(points=((0, 4_000_000), (600, 11_000_000)), duration_s=3_600, id=3))
    world.begin()
    (chosen,) = said(world.station, ProfileChosen)
    assert chosen == ProfileChosen(schedule=3, points=((0, 4_000_000), (600, 11_000_000)))
    assert said(world.car, Offered)[0].schedules[0].points == ((0, 4_000_000), (600, 11_000_000))
    assert world.bodies("ChargingStatusRes")[0]["SAScheduleTupleID"] == 3


@pytest.mark.parametrize("by", ["evse", "ev"])
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_renegotiation(service: Any, by: str) -> None:
    world = World(service=service).begin()
    world.wire.clear()
    world.station.clear()
    world.secc.command(Schedule(points=((0, 3_000_000),)))
    if by == "evse":
        world.secc.command(Renegotiate())
    else:
        world.evcc.command(Ask())
    world.run(5_000)
    again = ["CableCheck", "PreCharge", "PowerDelivery", "CurrentDemand"]
    looped = ["ChargingStatus"] if service == "AC" else ["CurrentDemand"]
    rest = ["PowerDelivery", "ChargingStatus"] if service == "AC" else again
    names = world.names()
    start = names.index("PowerDelivery")
    assert names[:start] in (looped, [])
    assert names[start:] == ["PowerDelivery", "ChargeParameterDiscovery", *rest]
    assert world.bodies("PowerDeliveryReq")[0]["ChargeProgress"] == "Renegotiate"
    assert said(world.station, ProfileChosen)[-1].points == ((0, 3_000_000),)
    assert not said(world.station, Ended)
    opened = [one for one in said(world.station, ContactorAsked) if not one.closed]
    assert bool(opened) == (service == "DC"), "the cable is checked with the contactor open; AC keeps it closed"
    if by == "evse":
        loop = "CurrentDemandRes" if service == "DC" else "ChargingStatusRes"
        status = "DC_EVSEStatus" if service == "DC" else "AC_EVSEStatus"
        assert any(one[status]["EVSENotification"] == "ReNegotiation" for one in world.bodies(loop))
        assert world.bodies(loop)[-1][status]["EVSENotification"] == "None"


# ── the vehicle sleeps ───────────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("service", ["AC", "DC"])
def test_pause_and_join_again(service: Any) -> None:
    world = World(service=service).begin()
    world.evcc.command(Rest())
    world.run()
    assert world.bodies("SessionStopReq") == [{"ChargingSession": "Pause"}]
    assert said(world.station, Paused) == [Paused(by="ev")] and not said(world.station, Ended)
    assert world.parted.paused and world.parted.ok and not world.outlet.closed
    assert list(world.paused) == [world.evse.session_id]
    again = World(service=service, paused=world.paused, resume=world.ev.kept, seed=9).begin()
    assert said(again.station, Connected)[0].resumed
    assert said(again.station, Connected)[0].session_id == said(world.station, Connected)[0].session_id
    assert again.bodies("SessionSetupRes")[0]["ResponseCode"] == "OK_OldSessionJoined"
    assert said(again.car, Linked)[0].resumed
    assert len(said(again.station, AuthorizationAsked)) == 1, "the station says whether its session still stands"
    assert again.names()[-1] in ("CurrentDemand", "ChargingStatus")
    assert not again.paused


def test_a_session_that_another_car_paused_is_not_joined() -> None:
    world = World().begin()
    world.evcc.command(Rest())
    world.run()
    other = World(paused=world.paused, resume=world.ev.kept, evcc={"mac": b"\x02\0\0\0\0\x99"}, seed=9).begin()
    assert other.bodies("SessionSetupRes")[0]["ResponseCode"] == "OK_NewSessionEstablished"
    assert not said(other.car, Linked)[0].resumed and len(other.paused) == 1


# ── the vehicle's own will ───────────────────────────────────────────────────────────────────────────────────────────
@pytest.mark.parametrize("name", [f"{pair}Re{end}" for pair in [*SETUP, *CHARGE] for end in "qs"])
def test_halt_at_any_time_ends_in_order(name: str) -> None:
    world = World()
    world.evcc.start()
    world.until(name)
    world.evcc.command(Halt("the driver"))
    world.run(5_000)
    assert world.names()[-1] == "SessionStop", world.names()
    assert world.codes() <= {"OK", "OK_NewSessionEstablished"}
    assert world.parted.reason == "the driver" and world.parted.ok
    assert world.ended.by == "ev" and world.ended.ok
    assert not world.outlet.closed and world.outlet.mv == 0


@pytest.mark.parametrize("name", [f"{pair}Re{end}" for pair in [*SETUP, *CHARGE] for end in "qs"])
def test_stop_at_any_time_ends(name: str) -> None:
    world = World()
    world.evcc.start()
    world.until(name)
    world.secc.command(Stop(reason="the operator"))
    world.run(70_000)
    assert "the operator" in world.ended.reason and world.ended.by == "evse"
    assert world.parted.by == "evse"
    assert not world.outlet.closed and world.outlet.mv == 0


@pytest.mark.parametrize("name", [f"{pair}Re{end}" for pair in [*SETUP, *CHARGE] for end in "qs"])
def test_loss_at_any_time_is_off(name: str) -> None:
    world = World()
    world.evcc.start()
    world.until(name)
    world.secc.lost()
    world.evcc.lost()
    world.run()
    assert not world.ended.ok and not world.parted.ok
    assert not world.outlet.closed and world.outlet.mv == 0 and not world._contacts


def test_emergency_of_the_car() -> None:
    world = World().begin()
    world.evcc.command(Halt("crash", emergency=True))
    world.run()
    assert said(world.car, ContactsAsked)[-1] == ContactsAsked(False)
    assert said(world.station, Fault)[0].code == "FAILED_EVRESSMalfunction"
    assert not world.parted.ok and not world.ended.ok


def test_car_that_does_not_want_now() -> None:
    world = World().begin()
    world.evcc.command(replace(DRIVE, ready=False))
    world.run(1_000)
    assert said(world.station, Requested)[-1] == Requested(mv=400_000)
    world.evcc.command(DRIVE)
    world.run(1_000)
    assert said(world.station, Requested)[-1].ma == 60_000


def test_contacts_that_do_not_close_end_the_session() -> None:
    world = World()
    world.contacts_fail = True
    world.begin(60_000)
    assert not world.parted.ok and not [
        one for one in said(world.station, Requested) if one.phase == "charge" and one.ma
    ]


def test_car_and_station_with_nothing_in_common() -> None:
    world = World(evcc={"services": ("AC",)}).begin()
    assert world.names() == ["SessionSetup", "ServiceDiscovery", "SessionStop"]
    assert "no energy transfer" in world.parted.reason and not world.parted.ok


def test_a_car_of_too_low_a_voltage_is_refused() -> None:
    world = World(drive=replace(DRIVE, max_mv=100_000)).begin()
    assert "FAILED_WrongChargeParameter" in world.codes()
    assert "100000 mV" in world.ended.reason


def test_figures_on_the_wire() -> None:
    world = World(offer=Offer(max_mv=920_000, min_mv=150_000, max_ma=500_000, max_mw=350_000_000)).begin()
    found = world.bodies("ChargeParameterDiscoveryRes")[-1]["DC_EVSEChargeParameter"]
    assert found["EVSEMaximumVoltageLimit"] == {"Multiplier": -1, "Unit": "V", "Value": 9_200}
    assert found["EVSEMaximumCurrentLimit"] == {"Multiplier": -1, "Unit": "A", "Value": 5_000}
    assert found["EVSEMaximumPowerLimit"] == {"Multiplier": 2, "Unit": "W", "Value": 3_500}
    assert world.bodies("ServiceDiscoveryRes")[0]["PaymentOptionList"] == {"PaymentOption": ["ExternalPayment"]}


def test_what_another_dialect_keeps_is_not_joined() -> None:
    kept = {b"\x07" * 8: object()}
    world = World(paused=kept)
    world.ev.session_id = b"\x07" * 8
    world.ev._resume = None
    world.begin()
    assert world.bodies("SessionSetupRes")[0]["ResponseCode"] == "OK_NewSessionEstablished"
    assert len(kept) == 1 and world.names()[-1] == "CurrentDemand"


def test_an_ac_car_knows_what_it_draws() -> None:
    world = World(service="AC").begin()
    flowing = said(world.car, Flowing)[-1]
    assert (flowing.mv, flowing.ma, flowing.mw) == (230_000, 16_000, 11_040_000)
    world.outlet.offering(Offer(max_ma=6_000))
    world.run(2_500)
    assert said(world.car, Flowing)[-1].mw == 4_140_000
    assert (said(world.car, Flowing)[-1].energy_wh or 0) > 0


@pytest.mark.parametrize(("dialect", "service"), [("iso2", "AC"), ("iso2", "DC"), ("din", "DC")])
def test_a_battery_is_filled_and_ends_the_session_itself(dialect: str, service: str) -> None:
    world = World(dialect, service)
    vehicle = Vehicle(CATALOGUE["compact three-phase 11 kW"], 500, max_taken_wh=1_500)
    inside = Inside(vehicle, world.scheduler, world.evcc.command, dc=service == "DC")

    def of_car(event: Any) -> None:
        world.car.append(event)
        inside.event(event)
        world._contacts = inside.closed

    world.evcc._event = of_car
    inside.begin()
    world.begin(1_200_000)
    assert world.parted.ok and world.parted.reason == "the battery has what it wants"
    assert world.ended.ok and world.ended.by == "ev"
    assert 1_450 <= vehicle.taken_uj // 3_600_000_000 <= 1_550
    if service == "AC":
        assert 1_400 <= world.outlet.register_wh <= 1_600, "both meters agree"
