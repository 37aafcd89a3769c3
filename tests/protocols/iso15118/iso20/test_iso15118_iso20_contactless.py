"""Whole sessions without a plug: over a pad (WPT) and below a pantograph (ACDP), both ends."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_world import DRIVE, OFFER, World

from pilotwire.core.ev_link import Allowed, Halt, Linked, Parted, Rest
from pilotwire.core.evse_link import ContactorAsked, Fault, IsolationAsked, Limits, LockAsked, Positioned, Stop
from pilotwire.protocols.iso15118 import v2gtp

ACCESS = [
    "AuthorizationSetupReq",
    "AuthorizationReq",
    "ServiceDiscoveryReq",
    "ServiceDetailReq",
    "ServiceSelectionReq",
]
WPT = [
    "SessionSetupReq", "WPT_FinePositioningSetupReq", "WPT_FinePositioningReq", "WPT_PairingReq",
    *ACCESS,
    "WPT_ChargeParameterDiscoveryReq", "ScheduleExchangeReq", "WPT_AlignmentCheckReq", "PowerDeliveryReq",
    "WPT_ChargeLoopReq",
]  # fmt: skip
ACDP = [
    "SessionSetupReq", "ACDP_VehiclePositioningReq",
    *ACCESS,
    "DC_ChargeParameterDiscoveryReq", "ScheduleExchangeReq", "ACDP_ConnectReq", "DC_CableCheckReq", "DC_PreChargeReq",
    "PowerDeliveryReq", "DC_ChargeLoopReq",
]  # fmt: skip
SERVICES = ("WPT", "DC_ACDP", "DC_ACDP_BPT")


def main_names(world: World) -> list[str]:
    """The vehicle's messages on the main stream, repeats left out."""
    found: list[str] = []
    for who, type_, name, _ in world.frames:
        if who == "ev" and type_ != v2gtp.ACDP_SYSTEM_STATUS and (not found or found[-1] != name):
            found.append(name)
    return found


def world_of(service: Any, **options: Any) -> World:
    return World(service, **({"drive": DRIVE} if service == "WPT" else {}), **options)


def quiet(world: World) -> None:
    """Nothing went wrong, and nothing is left on."""
    assert world.said(Fault) == world.said(Fault, "car") == []
    assert not world.outlet.closed
    assert world.outlet.flowing.ma == 0
    assert not any(code.startswith("FAILED") for code in world.codes())


def places(world: World, *right: bool) -> None:
    """What the station sees of the vehicle, from now on."""
    for one in right:
        world.secc.command(Positioned(in_place=one, x_mm=0 if one else 400, y_mm=0 if one else -120))


@pytest.mark.parametrize("dynamic", [False, True], ids=["scheduled", "dynamic"])
@pytest.mark.parametrize("service", SERVICES)
def test_a_session(service: Any, dynamic: bool) -> None:
    world = world_of(service, dynamic=dynamic).begin(8_000)
    assert main_names(world) == (WPT if service == "WPT" else ACDP)
    assert world.outlet.flowing.mw > 9_000_000
    assert world.said(Limits)[0].service == service
    assert world.said(Linked, "car")[-1].service == service
    assert world.said(Allowed, "car")
    world.evcc.command(Halt("enough"))
    world.run(5_000)
    after = ["SessionStopReq"] if service == "WPT" else ["ACDP_DisconnectReq", "SessionStopReq"]
    assert main_names(world)[-len(after) - 1 :] == ["PowerDeliveryReq", *after]
    assert world.parted.ok and world.ended.ok
    quiet(world)
    assert not world.outlet.locked


@pytest.mark.parametrize("service", SERVICES)
def test_messages_go_by_their_own_payload_types(service: Any) -> None:
    world = world_of(service).begin(6_000)
    own = {"WPT": v2gtp.WPT, "ACDP": v2gtp.ACDP, "DC": v2gtp.DC}
    for _, type_, name, _ in world.frames:
        wanted = own.get(name.partition("_")[0], v2gtp.MAIN)
        assert type_ == (v2gtp.ACDP_SYSTEM_STATUS if name.startswith("ACDP_SystemStatus") else wanted), name


def test_the_station_waits_for_the_vehicle_to_stand_over_its_pad() -> None:
    world = world_of("WPT")
    places(world, False)
    world.begin(20_000)
    assert main_names(world) == WPT[:3]
    assert {one["EVSEProcessing"] for one in world.bodies("WPT_FinePositioningRes")} == {"Ongoing"}
    places(world, True)
    world.run(6_000)
    assert main_names(world) == WPT
    assert world.outlet.flowing.mw > 9_000_000


def test_a_pad_gives_nothing_from_the_moment_the_vehicle_moves_and_goes_on_when_it_is_back() -> None:
    world = world_of("WPT").begin(6_000)
    assert world.outlet.flowing.mw > 9_000_000
    places(world, False)
    assert world.said(ContactorAsked)[-1] == ContactorAsked(False), "at once, not with the next request"
    world.run(2_000)
    assert world.outlet.flowing.mw == 0
    assert "WARNING_WPT" in world.codes()
    assert world.names()[-1] == "WPT_AlignmentCheckReq"
    places(world, True)
    world.run(4_000)
    assert world.names()[-1] == "WPT_ChargeLoopReq"
    assert world.outlet.flowing.mw > 9_000_000
    world.evcc.command(Halt())
    world.run(3_000)
    quiet(world)


def test_a_vehicle_that_moves_between_positioning_and_pairing_begins_anew() -> None:
    world = world_of("WPT")
    world.begin(0)
    while "WPT_FinePositioningRes" not in world.names("evse"):
        world.run(1)
    places(world, False)
    world.run(500)
    assert world.bodies("WPT_PairingRes")[0]["ResponseCode"] == "WARNING_WPT"
    assert len(world.bodies("WPT_FinePositioningSetupReq")) == 2
    places(world, True)
    world.run(6_000)
    assert main_names(world)[-1] == "WPT_ChargeLoopReq"


def test_a_vehicle_that_never_stands_still_gives_up() -> None:
    world = world_of("WPT").begin(0)
    for _ in range(20_000):
        world.run(1)
        last = world.frames[-1][2]
        places(world, last != "WPT_PairingReq")
        if world.said(Parted, "car"):
            break
    assert [one["ResponseCode"] for one in world.bodies("WPT_PairingRes")] == ["WARNING_WPT"] * 4
    assert "does not find its place" in world.parted.reason
    assert world.names()[-1] == "SessionStopReq"


def test_a_vehicle_that_moves_while_the_coil_is_switched_on_gets_nothing() -> None:
    world = world_of("WPT").begin(0)
    while ContactorAsked(True) not in world.station:
        world.run(1)
    places(world, False)
    world.run(3_000)
    assert not world.outlet.closed
    assert world.ended.ok is False
    assert "moved" in world.ended.reason


def test_a_pantograph_comes_down_only_when_it_is_asked_to_and_goes_up_again() -> None:
    world = world_of("DC_ACDP").begin(8_000)
    order = [one for one in world.station if type(one) in (LockAsked, IsolationAsked, ContactorAsked)]
    assert order[:3] == [LockAsked(True), IsolationAsked(), ContactorAsked(True)]
    names = world.names("evse")
    assert names.index("DC_ChargeParameterDiscoveryRes") < names.index("ACDP_ConnectRes")
    first, *_, last = world.bodies("ACDP_ConnectRes")
    assert (first["EVSEProcessing"], first["EVSEMechanicalChargingDeviceStatus"]) == ("Ongoing", "Moving")
    assert (last["EVSEProcessing"], last["EVSEMechanicalChargingDeviceStatus"]) == ("Finished", "EndPosition")
    world.evcc.command(Halt())
    world.run(5_000)
    last = world.bodies("ACDP_DisconnectRes")[-1]
    assert (last["EVSEProcessing"], last["EVSEMechanicalChargingDeviceStatus"]) == ("Finished", "Home")
    assert world.said(LockAsked)[-1] == LockAsked(False)
    off, up = world.station.index(ContactorAsked(False)), world.station.index(LockAsked(False))
    assert off < up, "nothing is closed any more when it moves"
    quiet(world)


def test_system_status_runs_beside_everything_from_the_beginning_to_the_end() -> None:
    world = world_of("DC_ACDP").begin(8_000)
    told = world.bodies("ACDP_SystemStatusRes")
    assert len(told) >= 7
    assert [one["EVSEMechanicalChargingDeviceStatus"] for one in (told[0], told[-1])] == ["Home", "EndPosition"]
    assert told[-1]["EVSEIsolationStatus"] == "Safe"
    names = world.names()
    assert names.index("ACDP_SystemStatusReq") < names.index("AuthorizationSetupReq")
    asked = world.bodies("ACDP_SystemStatusReq")[-1]["EVTechnicalStatus"]
    assert (asked["EVCPStatus"], asked["EVSOC"], asked["EVImmobilized"]) == ("StateC", 30, True)
    world.evcc.command(Halt())
    world.run(5_000)
    count = len(world.bodies("ACDP_SystemStatusReq"))
    world.run(5_000)
    assert len(world.bodies("ACDP_SystemStatusReq")) == count


def test_the_driver_is_told_how_far_off_the_vehicle_stands() -> None:
    world = world_of("DC_ACDP")
    places(world, False)
    world.begin(3_000)
    told = world.bodies("ACDP_VehiclePositioningRes")[-1]
    assert (told["EVRelativeXDeviation"], told["EVRelativeYDeviation"]) == (400, -120)
    assert (told["EVSEProcessing"], told["EVInChargePosition"]) == ("Ongoing", False)
    assert world.bodies("ACDP_VehiclePositioningReq")[-1]["EVMobilityStatus"] is False
    places(world, True)
    world.run(6_000)
    assert world.bodies("ACDP_VehiclePositioningReq")[-1]["EVMobilityStatus"] is True
    assert main_names(world) == ACDP


def test_a_bus_that_drives_off_below_the_pantograph_gets_nothing() -> None:
    world = world_of("DC_ACDP").begin(8_000)
    places(world, False)
    assert world.said(ContactorAsked)[-1] == ContactorAsked(False), "at once"
    world.run(3_000)
    assert world.ended.ok is False
    assert world.outlet.flowing.ma == 0
    assert not world.outlet.closed


def test_a_fault_that_the_vehicle_tells_by_its_status_stops_the_output() -> None:
    world = world_of("DC_ACDP").begin(8_000)
    world.ev.why = ("Breaker", "tripped")
    world.run(2_000)
    assert world.ended.ok is False
    assert "FAILED" in world.ended.reason
    assert not world.outlet.closed


def test_a_pantograph_that_does_not_come_down() -> None:
    world = world_of("DC_ACDP", hardware={"lock_fails": True}).begin(60_000)
    assert ContactorAsked(True) not in world.station
    assert world.ended.ok is False


def test_both_ways_below_a_pantograph() -> None:
    world = world_of("DC_ACDP_BPT").begin(8_000)
    world.drives(target_ma=-30_000)
    world.run(6_000)
    assert world.outlet.flowing.ma < 0
    world.drives(target_ma=30_000)
    world.run(6_000)
    assert world.outlet.flowing.ma > 0


@pytest.mark.parametrize("how", ["lost", "emergency", "silence", "fault"])
def test_the_pantograph_goes_up_however_it_ends(how: str) -> None:
    world = world_of("DC_ACDP").begin(8_000)
    if how == "lost":
        world.secc._do(lambda: world.evse.lost(world.secc.now))
    elif how == "emergency":
        world.secc.command(Stop(reason="button", emergency=True))
    elif how == "silence":
        world.link = False
    else:
        world.ev.why = ("Breaker", "tripped")
    world.run(3_000)
    assert world.ended.ok is False
    order = [one for one in world.station if one in (ContactorAsked(False), LockAsked(False))]
    assert order == [ContactorAsked(False), LockAsked(False)]
    assert not world.outlet.locked and not world.outlet.closed


@pytest.mark.parametrize("service", SERVICES)
def test_the_station_ends_it(service: Any) -> None:
    world = world_of(service).begin(8_000)
    world.secc.command(Stop(reason="closing time"))
    world.run(6_000)
    assert world.parted.ok
    quiet(world)


@pytest.mark.parametrize("service", SERVICES)
def test_pause_and_resume_without_positioning_anew(service: Any) -> None:
    world = world_of(service).begin(8_000)
    world.evcc.command(Rest())
    world.run(6_000)
    assert world.parted.paused
    again = world_of(service, paused=world.paused, resume=world.ev.kept, scheduler=world.scheduler).begin(8_000)
    assert main_names(again)[:2] == ["SessionSetupReq", "WPT_ChargeParameterDiscoveryReq" if service == "WPT" else
                                     "DC_ChargeParameterDiscoveryReq"]  # fmt: skip
    assert again.outlet.flowing.mw > 9_000_000


def test_less_is_offered_and_less_flows() -> None:
    world = world_of("WPT").begin(8_000)
    world.offers(max_mw=3_000_000)
    world.run(4_000)
    assert 2_000_000 < world.outlet.flowing.mw <= 3_100_000
    assert OFFER.max_mw is not None
