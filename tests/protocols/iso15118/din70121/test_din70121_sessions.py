"""Whole sessions of DIN SPEC 70121, both ends ours."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.v2g_world import World, said

from pilotwire.core.ev_link import Ask, ContactsAsked, Halt, Linked, Offered, Rest
from pilotwire.core.evse_link import (
    Authorize,
    Connected,
    ContactorAsked,
    Ended,
    Fault,
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
from pilotwire.protocols.iso15118.din70121.secc import evse_id_bytes

SETUP = [
    "SessionSetup", "ServiceDiscovery", "ServicePaymentSelection", "ContractAuthentication",
    "ChargeParameterDiscovery",
]  # fmt: skip
CHARGE = ["CableCheck", "PreCharge", "PowerDelivery", "CurrentDemand"]
STEPS = [f"{pair}Re{end}" for pair in [*SETUP, *CHARGE] for end in "qs"]


def world(**more: Any) -> World:
    return World("din", **more)


def test_from_plug_to_stop() -> None:
    both = world().begin(10_000)
    both.evcc.command(Halt("enough"))
    both.run()
    assert both.names() == [*SETUP, *CHARGE, "PowerDelivery", "WeldingDetection", "SessionStop"]
    assert both.codes() == {"OK", "OK_NewSessionEstablished"}
    assert both.ended == Ended(reason="the vehicle ended the session in order (SessionStopReq)", by="ev")
    assert both.parted.reason == "enough" and both.parted.ok and both.outlet.register_wh > 0
    assert said(both.station, Connected)[0].protocol == "din70121"
    assert [one.closed for one in said(both.station, ContactorAsked)] == [True, False]
    assert [one.closed for one in said(both.car, ContactsAsked)] == [True, False]
    charged = {(one.mv, one.ma) for one in said(both.station, Requested) if one.phase == "charge" and one.ma}
    assert charged == {(400_000, 60_000)}


@pytest.mark.parametrize("name", STEPS)
def test_halt_at_any_time(name: str) -> None:
    both = world()
    both.evcc.start()
    both.until(name)
    both.evcc.command(Halt("the driver"))
    both.run(5_000)
    assert both.names()[-1] == "SessionStop" and both.parted.ok and both.ended.ok
    assert not both.outlet.closed and both.outlet.mv == 0


@pytest.mark.parametrize("name", STEPS)
def test_stop_at_any_time(name: str) -> None:
    both = world()
    both.evcc.start()
    both.until(name)
    both.secc.command(Stop(reason="the operator"))
    both.run(70_000)
    assert "the operator" in both.ended.reason and both.ended.by == "evse" and both.parted.by == "evse"
    assert not both.outlet.closed and both.outlet.mv == 0


@pytest.mark.parametrize("name", STEPS)
def test_loss_at_any_time(name: str) -> None:
    both = world()
    both.evcc.start()
    both.until(name)
    both.secc.lost()
    both.evcc.lost()
    both.run()
    assert not both.ended.ok and not both.parted.ok and not both.outlet.closed and both.outlet.mv == 0


def test_emergency() -> None:
    both = world().begin()
    both.station.clear()
    both.secc.command(Stop(reason="the red button", emergency=True))
    assert both.station[:2] == [Requested(), ContactorAsked(False)]
    both.run()
    assert both.bodies("CurrentDemandRes")[-1]["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_EmergencyShutdown"
    assert not both.ended.ok and not both.parted.ok


def test_fault_of_the_station() -> None:
    both = world().begin()
    both.secc.command(Fault(code="OverVoltage", by="evse", text="too many volts"))
    both.run()
    assert both.bodies("CurrentDemandRes")[-1]["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_Malfunction"
    assert not both.ended.ok and "too many volts" in both.ended.reason


def test_isolation_fault_and_no_monitor() -> None:
    both = world(hardware={"isolation": "fault"}).begin()
    assert both.bodies("CableCheckRes")[-1]["ResponseCode"] == "FAILED" and not said(both.station, Requested)
    both = world(hardware={"isolation": "no-monitor"}).begin()
    assert both.bodies("CableCheckRes")[-1]["DC_EVSEStatus"]["EVSEIsolationStatus"] == "Warning"


def test_contactor_that_does_not_close() -> None:
    both = world(hardware={"contactor_fails": True}).begin(12_000)
    assert "FAILED_PowerDeliveryNotApplied" in both.codes() and not both.ended.ok
    assert said(both.station, Fault)[0].code == "EVSEContactorFault"


def test_refused() -> None:
    both = world(authorize=False).begin(1_000)
    assert both.bodies("ContractAuthenticationRes")[-1]["EVSEProcessing"] == "Ongoing"
    both.secc.command(Authorize(accepted=False, reason="unknown"))
    both.run()
    assert both.bodies("ContractAuthenticationRes")[-1]["ResponseCode"] == "FAILED" and "unknown" in both.ended.reason


def test_limits_pause_and_resume() -> None:
    both = world().begin()
    both.outlet.offering(Offer(max_mv=500_000, max_ma=20_000, max_mw=6_000_000))
    both.run(1_000)
    assert said(both.car, Offered)[-1].offer.max_ma == 20_000
    assert said(both.station, Requested)[-1] == Requested(mv=400_000, ma=15_000)
    both.secc.command(Pause())
    both.run(1_000)
    assert said(both.station, Requested)[-1].ma == 0 and said(both.car, Offered)[-1].offer.max_ma == 0
    both.secc.command(Resume())
    both.run(1_000)
    assert said(both.station, Requested)[-1].ma == 15_000


def test_power_above_what_16_bits_hold() -> None:
    both = world(offer=Offer(max_mv=920_000, min_mv=150_000, max_ma=500_000, max_mw=350_000_000)).begin()
    entry = both.bodies("ChargeParameterDiscoveryRes")[-1]["SAScheduleList"]["SAScheduleTuple"][0]
    assert entry["PMaxSchedule"]["PMaxScheduleEntry"][0]["PMax"] == 32_767
    assert said(both.station, Requested)[-1].ma == 60_000, "the limits of the loop are what counts"


def test_schedule_is_followed() -> None:
    both = world()
    both.secc.command(Schedule(points=((0, 5_000_000), (600, 20_000_000)), duration_s=3_600, id=4))
    both.begin()
    assert said(both.station, ProfileChosen) == [ProfileChosen(schedule=4, points=((0, 5_000_000), (600, 20_000_000)))]
    assert said(both.car, Offered)[0].schedules[0].duration_s == 3_600


def test_what_din_does_not_know_is_passed_over() -> None:
    both = world().begin()
    both.evcc.command(Ask())
    both.secc.command(Renegotiate())
    both.run(2_000)
    assert both.names()[-1] == "CurrentDemand"
    both.evcc.command(Rest())
    both.run()
    assert both.names()[-1] == "SessionStop" and not both.parted.paused and not said(both.station, Paused)
    assert both.ev.kept is None and not both.paused


def test_session_ids_are_new_each_time() -> None:
    one, other = world().begin(), world(seed=8).begin()
    assert said(one.station, Connected)[0].session_id != said(other.station, Connected)[0].session_id


@pytest.mark.parametrize(
    ("text", "wire"),
    [
        ("ZZ*PWR*E00001", b"ZZ*PWR*E00001"),
        ("+49*810*000*438", bytes.fromhex("49A810A000A438")),
        ("49*81", bytes.fromhex("49A81A")),
        ("X" * 40, b"X" * 32),
        ("", b"\0"),
    ],
)
def test_evse_id(text: str, wire: bytes) -> None:
    assert evse_id_bytes(text) == wire
    both = world(secc={"evse_id": text}).begin(500)
    assert said(both.car, Linked)[0].evse_id == wire.hex().upper()
