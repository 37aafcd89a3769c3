"""The one place that lets energy flow, alone; and what rests on it: standby, easing out, pauses, receipts."""

from __future__ import annotations

import itertools
from decimal import Decimal
from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_pnc import CarKeys, StationKeys
from tests.protocols.iso15118.iso20.iso20_talk import Talk
from tests.protocols.iso15118.iso20.iso20_world import World

from pilotwire.core.ev_link import Rest
from pilotwire.core.evse_link import (
    Connected,
    Contactor,
    ContactorAsked,
    Ended,
    LockAsked,
    Measured,
    Paused,
    Price,
    ReceiptWanted,
    Requested,
    Schedule,
)
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.iso20.output import Output
from pilotwire.protocols.iso15118.iso20.rational import decimal, milli
from pilotwire.protocols.iso15118.iso20.receipts import Receipt

SOME = Requested(mv=400_000, ma=10_000)


def ready() -> tuple[Output, list[Any]]:
    said: list[Any] = []
    output = Output(said.append)
    output.authorised = output.locked = True
    output.isolation = "valid"
    output.close()
    output.contactor(True)
    return output, said


@pytest.mark.parametrize("allowed", list(itertools.product([False, True], repeat=4)))
@pytest.mark.parametrize("isolation", ["", "asked", "valid", "warning", "fault", "no-monitor", "not-wanted"])
def test_nothing_flows_unless_everything_allows_it(allowed: tuple[bool, ...], isolation: Any) -> None:
    said: list[Any] = []
    output = Output(said.append)
    authorised, locked, closed, wanted = allowed
    output.authorised, output.locked, output.isolation = authorised, locked, isolation
    if wanted:
        output.close()
    output.closed = closed
    output.request(SOME)
    good = authorised and locked and isolation in ("valid", "warning", "not-wanted")
    assert said.count(ContactorAsked(True)) == (wanted and good), "nor is the contactor asked for"
    assert (SOME in said) == (good and closed and wanted)
    said.clear()
    output.off()
    assert [one for one in said if one == Requested()] == ([Requested()] if good and closed and wanted else [])
    assert output.asked == Requested()


def test_off_is_said_once_and_in_order() -> None:
    output, said = ready()
    output.request(SOME)
    said.clear()
    output.off()
    output.off()
    assert said == [Requested(), ContactorAsked(False)]


def test_an_answer_to_an_earlier_question_is_no_fault() -> None:
    output, said = ready()
    output.off()
    output.close()
    assert said[-1] == ContactorAsked(True)
    assert output.contactor(False) == "", "this is the answer to the first"
    assert output.contactor(True) == ""
    assert output.may_flow
    assert output.contactor(False) == "lost"
    output.close()
    assert output.contactor(False) == "failed"


def test_a_lock_is_asked_for_once() -> None:
    said: list[Any] = []
    output = Output(said.append)
    output.lock()
    output.lock()
    output.unlock()
    output.unlock()
    assert said == [LockAsked(True), LockAsked(False)]


@pytest.mark.parametrize("dynamic", [False, True])
def test_the_current_goes_down_before_the_contactors_open(dynamic: bool) -> None:
    world = World("DC", dynamic=dynamic).begin(8_000)
    world.evcc.command(Rest())
    opened: list[int] = []
    switch = world._switch

    def watched(closed: bool) -> None:
        opened.append(world.outlet.flowing.ma)
        switch(closed)

    world._switch = watched  # type: ignore[method-assign]
    world.run(4_000)
    loops = world.bodies("DC_ChargeLoopReq")
    mode = "Dynamic_DC_CLReqControlMode" if dynamic else "Scheduled_DC_CLReqControlMode"
    assert milli(loops[-1][mode]["EVMaximumChargeCurrent" if dynamic else "EVTargetCurrent"]) == 0
    stops = [place for place, frame in enumerate(world.frames) if frame[3].get("ChargeProgress") == "Stop"]
    before = [frame[3] for frame in world.frames[: stops[0]] if frame[2] == "DC_ChargeLoopRes"][-1]
    assert milli(before["EVSEPresentCurrent"]) <= 1_000
    assert opened == [0]


def test_a_vehicle_asks_for_no_more_than_its_schedule() -> None:
    for service, name in (("DC", "EVTargetCurrent"), ("AC", "EVPresentActivePower")):
        world = World(service)
        world.secc.command(Schedule(points=((0, 4_000_000),)))
        world.begin(8_000)
        asked = max(milli(body[f"Scheduled_{service}_CLReqControlMode"][name])
                    for body in world.bodies(f"{service}_ChargeLoopReq"))  # fmt: skip
        assert asked == (10_000 if service == "DC" else 4_000_000)


@pytest.mark.parametrize("ms", [1, 20, 150, 400])
def test_a_pause_waits_for_a_schedule(ms: int) -> None:
    world = World("DC")
    world.evcc.start()
    world.run(ms)
    world.evcc.command(Rest())
    world.run(4_000)
    if ms == 1:
        assert world.parted.paused is (world.said(Paused) != [])
    else:
        assert world.parted.paused and len(world.said(Paused)) == 1
        assert world.said(ContactorAsked) == []


def test_a_session_that_comes_back_may_also_be_authorised_anew() -> None:
    first = Talk("DC").to("DC_WeldingDetection")
    first.say("SessionStopReq", ChargingSession="Pause")
    for request in ("AuthorizationSetupReq", "DC_ChargeParameterDiscoveryReq"):
        paused = dict(first.machine.paused)
        talk = Talk("DC", paused=paused)
        talk.session = first.session
        assert talk.say("SessionSetupReq")["ResponseCode"] == "OK_OldSessionJoined"
        assert talk.said(Connected)[0].resumed and talk.machine.state == "Resumed"
        assert talk.machine.allowed == {
            "AuthorizationSetupReq", "DC_ChargeParameterDiscoveryReq", "SessionStopReq",
        }  # fmt: skip
        assert talk.say(request)["ResponseCode"] == "OK"
    for request in (
        "ServiceDiscoveryReq",
        "PowerDeliveryReq",
        "DC_ChargeLoopReq",
        "SessionSetupReq",
        "DC_CableCheckReq",
    ):
        talk = Talk("DC", paused=dict(first.machine.paused))
        talk.session = first.session
        talk.say("SessionSetupReq")
        assert talk.say(request)["ResponseCode"] == "FAILED_SequenceError"
        assert talk.machine.paused == {} and talk.machine.state == "Over"


PRICES = (
    Price(start_s=0, amount=Decimal("0.40")),
    Price(start_s=0, amount=Decimal("0.50"), from_mw=11_000_000),
    Price(start_s=600, amount=Decimal("0.10")),
)


def test_what_a_session_costs() -> None:
    receipt = Receipt()
    assert receipt.element() == {}
    schedule = Schedule(points=((0, 1),), prices=PRICES, currency="EUR")
    for seconds, wh, mw in ((0, 1_000, 5_000_000), (60, 2_000, 5_000_000), (120, 3_000, 11_000_000), (660, 5_000, 1)):
        receipt.read(wh, mw, 1_000_000 + seconds * 1000, schedule, 1_000_000)
    found = receipt.element()["Receipt"]
    assert found["TimeAnchor"] == 1_000
    assert decimal(found["EnergyCosts"]["Amount"]) == Decimal("1.10")  # 1 kWh at 0.40, 1 at 0.50, 2 at 0.10
    assert decimal(found["EnergyCosts"]["CostPerUnit"]) == Decimal("0.10")


def test_the_receipt_goes_with_the_reading() -> None:
    keys: Any = {"secc_pnc": StationKeys(), "evcc_pnc": CarKeys()}
    world = World("DC", secc={"payments": ("contract",)}, evcc={"payments": ("contract",)}, **keys)
    world.secc.command(Schedule(points=((0, 20_000_000),), prices=PRICES, currency="EUR"))
    world.begin(20_000)
    world.secc.command(ReceiptWanted())
    world.run(2_000)
    (confirmed,) = world.bodies("MeteringConfirmationReq")
    receipt = confirmed["SignedMeteringData"]["Receipt"]
    assert decimal(receipt["EnergyCosts"]["Amount"]) > 0
    assert not world.said(Ended)


def test_meter_readings_that_are_signed() -> None:
    talk = Talk("DC").to("DC_ChargeLoop")
    talk.command(Measured(mv=400_000, energy_wh=1234, meter_id="M" * 40, signed=b"s" * 64))
    info = talk.say("DC_ChargeLoopReq", MeterInfoRequested=True)["MeterInfo"]
    assert info["ChargedEnergyReadingWh"] == 1234 and info["MeterSignature"] == b"s" * 64
    assert info["MeterID"] == "M" * 32


def test_streams_are_open_beside_each_other() -> None:
    talk = Talk("AC", config={"parking": True}).to("ServiceSelection")
    talk.say("ServiceDetailReq", ServiceID=66)
    parking = {"SelectedService": [{"ServiceID": 66, "ParameterSetID": 1}]}
    talk.say("ServiceSelectionReq", SelectedVASList=parking)
    for request in ("AC_ChargeParameterDiscoveryReq", "ScheduleExchangeReq", "ScheduleExchangeReq"):
        assert talk.say(request)["ResponseCode"] == "OK"
    talk.answers = False
    assert talk.say("PowerDeliveryReq") == {}, "it waits for the contactor"
    assert talk.say("VehicleCheckInReq", v2gtp.PARKING_STATUS)["ResponseCode"] == "OK"
    assert talk.say("VehicleCheckOutReq", v2gtp.PARKING_STATUS)["EVSECheckOutStatus"] == "Completed"
    talk.command(Contactor(True))
    assert talk.say("ScheduleExchangeReq", v2gtp.SCHEDULE_RENEGOTIATION)["EVSEProcessing"] == "Finished"
    assert talk.say("AC_ChargeLoopReq")["ResponseCode"] == "OK"
    assert not talk.said(Ended)


def test_a_session_is_not_joined_by_a_protocol_that_cannot_carry_it() -> None:
    first = Talk("DC").to("DC_WeldingDetection")
    first.say("SessionStopReq", ChargingSession="Pause")
    talk = Talk("AC", paused=first.machine.paused)
    talk.session = first.session
    assert talk.say("SessionSetupReq")["ResponseCode"] == "OK_NewSessionEstablished"
    assert list(first.machine.paused) == [first.session]


def test_good_news_of_the_isolation_counts_only_when_it_was_tested() -> None:
    output = Output(lambda effect: None)
    output.tested("valid")
    assert not output.isolated, "this was another cable"
    output.locked = True
    output.test()
    output.tested("valid")
    assert output.isolated
    output.tested("fault")
    assert not output.isolated
    output.tested("valid")
    assert not output.isolated, "and a fault is not talked away"


@pytest.mark.parametrize("lost", ["authorised", "locked", "closed"])
def test_what_is_taken_back_ends_the_flow(lost: str) -> None:
    output, said = ready()
    output.request(SOME)
    assert said[-1] == SOME
    setattr(output, lost, False)
    output.request(Requested(mv=400_000, ma=9_000))
    assert said[-1] == Requested()
