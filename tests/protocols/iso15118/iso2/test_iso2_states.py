"""The SECC of ISO 15118-2, explored: every request in every state, every bad message in every state, every code."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.iso2.iso2_script import AC, AC_DISCOVERY, DC, REQUESTS, STATUS, STOP, WAYS, at
from tests.protocols.iso15118.v2g_world import AC_OFFER, OFFER, ScriptedStation, said

from pilotwire.core.evse_link import (
    Contactor,
    ContactorAsked,
    Ended,
    Fault,
    IsolationAsked,
    LockAsked,
    Locked,
    Measured,
    Offer,
    ProfileChosen,
    Renegotiate,
    Requested,
    Schedule,
    Stop,
)
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.iso2.secc import Iso2Secc
from pilotwire.protocols.iso15118.iso2.states import ALLOWED, CLAUSES, CODES
from pilotwire.protocols.iso15118.physical import amperes, volts, watts

STATES = sorted(WAYS)
FLOWING = {"PowerDelivery", "FirstDemand", "ChargeLoop", "FirstStatus", "AcChargeLoop"}
"""States of WAYS in which the output was set to something."""


def refused(station: ScriptedStation, code: str, *, output: bool = False) -> None:
    """What every refusal looks like: output off, then the answer, then the fault, then the end, closed after 5 s."""
    kinds = [type(one) for one in station.effects]
    assert station.answer["ResponseCode"] == code, station.answer
    assert code in CODES[station.answer["name"]]
    assert kinds.count(Send) == 1 and kinds[-2:] == [Ended, Close]
    sent = kinds.index(Send)
    off = [one for one in station.effects if one == Requested() or one == ContactorAsked(False)]
    assert all(station.effects.index(one) < sent for one in off)
    assert bool(off) == output
    assert station.is_off()
    assert not station.effects[-2].ok and station.effects[-1].after_ms == 5_000
    assert station.evse.over and station.evse.deadline is None


def test_there_is_a_way_to_every_state() -> None:
    contract = {"Certificate", "PaymentDetails", "MeteringReceipt"}  # of test_iso2_contract
    assert set(WAYS) | contract == set(ALLOWED)
    assert set(REQUESTS) == set(Iso2Secc.HANDLERS)
    assert {name[:-3] for name in REQUESTS} == {name[:-3] for name in CODES}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("request_name", sorted(REQUESTS))
def test_every_request_in_every_state(state: str, request_name: str) -> None:
    station = at(state)
    station.ask(request_name, _fitting(state, request_name))
    answer = station.answer
    assert answer["name"] == request_name[:-3] + "Res"
    if request_name in ALLOWED[state]:
        assert answer["ResponseCode"].startswith("OK"), answer
        assert station.evse.over == (request_name == "SessionStopReq")
        return
    refused(station, "FAILED_SequenceError", output=state in FLOWING)
    (fault,) = said(station.effects, Fault)
    assert request_name in fault.text and ALLOWED[state][0] in fault.text
    assert CLAUSES["sequence"] in fault.rule
    assert request_name in said(station.effects, Ended)[0].reason
    assert station.ask("SessionStopReq", REQUESTS["SessionStopReq"]) is None, "nothing is answered behind the end"


def _fitting(state: str, name: str) -> dict[str, Any]:
    if name == "PowerDeliveryReq" and state in ("ChargeLoop", "AcChargeLoop"):
        return STOP
    if name == "ChargeParameterDiscoveryReq" and state.startswith(("Ac", "FirstStatus", "SessionStop")):
        return AC_DISCOVERY
    return REQUESTS[name]


@pytest.mark.parametrize("state", [one for one in STATES if one != "SessionSetup"])
def test_another_session_in_every_state(state: str) -> None:
    for name in ALLOWED[state]:
        station = at(state)
        station.ask(name, _fitting(state, name), session=b"\x07" * 8)
        refused(station, "FAILED_UnknownSession", output=state in FLOWING)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", ["noise", "truncated", "response", "empty", "element", "flipped"])
def test_what_cannot_be_read_in_every_state(state: str, what: str) -> None:
    station = at(state)
    head = {"SessionID": station.session}
    whole = exi.encode("iso2", {"V2G_Message": {"Header": head, "Body": {"CableCheckReq": REQUESTS["CableCheckReq"]}}})
    payload = {
        "noise": b"\x01\x02\x03",
        "truncated": whole[:-3],
        "response": exi.encode(
            "iso2", {"V2G_Message": {"Header": head, "Body": {"SessionStopRes": {"ResponseCode": "OK"}}}}
        ),
        "empty": exi.encode("iso2", {"V2G_Message": {"Header": head, "Body": {}}}),
        "element": exi.encode("iso2", {"CableCheckReq": REQUESTS["CableCheckReq"]}),
        "flipped": bytes([whole[0], whole[1] ^ 0x40]) + whole[2:],
    }[what]
    station.send(payload)
    assert station.answer["name"] == ALLOWED[state][0][:-3] + "Res"
    refused(station, "FAILED", output=state in FLOWING)
    assert station.header["Notification"]["FaultCode"] == "ParsingError"
    assert station.evse.bad == 1


def test_unknown_payload_types_are_passed_over() -> None:
    station = at("ChargeLoop")
    assert station.send(b"\x80", 0x8002) is None and not station.evse.over and station.evse.bad == 1
    assert station.ask("CurrentDemandReq", REQUESTS["CurrentDemandReq"])["ResponseCode"] == "OK"


def test_a_second_request_before_the_answer() -> None:
    station = at("AcPowerDelivery", mute=(ContactorAsked,))
    assert station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"]) is None
    station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    refused(station, "FAILED_SequenceError", output=True)


# ── every code ───────────────────────────────────────────────────────────────────────────────────────────────────────
def _selection(payment: str = "ExternalPayment", *services: Any) -> dict[str, Any]:
    chosen = [{"ServiceID": one} if type(one) is int else one for one in services]
    return {"SelectedPaymentOption": payment, "SelectedServiceList": {"SelectedService": chosen}}


def _discovery(mode: str = "DC_extended", **more: Any) -> dict[str, Any]:
    return {"RequestedEnergyTransferMode": mode, "DC_EVChargeParameter": {**DC, **more}}


def _power(progress: str = "Start", schedule: int = 1, profile: Any = None) -> dict[str, Any]:
    body: dict[str, Any] = {"ChargeProgress": progress, "SAScheduleTupleID": schedule}
    if profile is not None:
        body["ChargingProfile"] = {
            "ProfileEntry": [
                {"ChargingProfileEntryStart": start, "ChargingProfileEntryMaxPower": watts(mw)} for start, mw in profile
            ]
        }
    return body


CASES: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    # what: (state, request, body, code, a word of the reason)
    "service that is not there": ("Selection", "ServiceDetailReq", {"ServiceID": 9}, "FAILED_ServiceIDInvalid", "9"),
    "internet that is not offered": (
        "Selection", "ServiceDetailReq", {"ServiceID": 3}, "FAILED_ServiceIDInvalid", "service 3",
    ),
    "contract without TLS": (
        "Selection", "PaymentServiceSelectionReq", _selection("Contract", 1), "FAILED_PaymentSelectionInvalid",
        "Contract",
    ),
    "service that was not offered": (
        "Selection", "PaymentServiceSelectionReq", _selection("ExternalPayment", 1, 3),
        "FAILED_ServiceSelectionInvalid", "service 3",
    ),
    "no charging": (
        "Selection", "PaymentServiceSelectionReq", _selection("ExternalPayment", {"ServiceID": 3}),
        "FAILED_ServiceSelectionInvalid", "service 3",
    ),
    "mode that was not offered": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery("DC_unique"),
        "FAILED_WrongEnergyTransferMode", "DC_unique",
    ),
    "AC at a DC outlet": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", AC_DISCOVERY, "FAILED_WrongEnergyTransferMode",
        "AC_three",
    ),
    "parameters of AC for DC": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq",
        {"RequestedEnergyTransferMode": "DC_extended", "AC_EVChargeParameter": AC}, "FAILED_WrongChargeParameter",
        "DC_extended",
    ),
    "amperes for volts": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery(EVMaximumVoltageLimit=amperes(400_000)),
        "FAILED_WrongChargeParameter", "EVMaximumVoltageLimit is in A",
    ),
    "negative limit": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery(EVMaximumCurrentLimit=amperes(-1_000)),
        "FAILED_WrongChargeParameter", "negative",
    ),
    "too low a voltage": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery(EVMaximumVoltageLimit=volts(100_000)),
        "FAILED_WrongChargeParameter", "150000 mV",
    ),
    "schedule that was not offered": (
        "PowerDelivery", "PowerDeliveryReq", _power(schedule=7), "FAILED_TariffSelectionInvalid", "schedule 7",
    ),
    "profile above the schedule": (
        "PowerDelivery", "PowerDeliveryReq", _power(profile=[(0, 10_000_000), (60, 31_000_000)]),
        "FAILED_ChargingProfileInvalid", "schedule 1",
    ),
    "renegotiation before charging": (
        "PowerDelivery", "PowerDeliveryReq", _power("Renegotiate"), "FAILED_SequenceError", "Renegotiate",
    ),
    "start while charging": ("ChargeLoop", "PowerDeliveryReq", _power(), "FAILED_SequenceError", "Start"),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(CASES))
def test_what_is_refused_and_why(what: str) -> None:
    state, name, body, code, word = CASES[what]
    station = at(state)
    station.ask(name, body)
    refused(station, code, output=state in FLOWING)
    (fault,) = said(station.effects, Fault)
    assert word in fault.text and fault.rule.startswith(name) and "ISO 15118-2 8." in fault.rule


def test_no_charge_service_selected() -> None:
    station = at("Selection", config={"internet": True})
    station.ask("PaymentServiceSelectionReq", _selection("ExternalPayment", {"ServiceID": 3, "ParameterSetID": 3}))
    refused(station, "FAILED_NoChargeServiceSelected")


def test_minimum_above_maximum() -> None:
    station = at("ChargeParameterDiscovery", services=("AC",), offer=AC_OFFER)
    wrong = {**AC, "EVMinCurrent": amperes(40_000)}
    station.ask(
        "ChargeParameterDiscoveryReq",
        {"RequestedEnergyTransferMode": "AC_three_phase_core", "AC_EVChargeParameter": wrong},
    )
    refused(station, "FAILED_WrongChargeParameter")


def test_power_that_is_not_applied() -> None:
    station = at("PowerDelivery")
    station.command(Stop(reason="the grid"))
    station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    answer = station.answer
    assert answer["ResponseCode"] == "FAILED_PowerDeliveryNotApplied"
    assert answer["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_Shutdown"
    assert station.is_off() and "the grid" in said(station.effects, Ended)[0].reason


def test_start_is_held_until_the_contactor_says_so() -> None:
    station = at("AcPowerDelivery", mute=(ContactorAsked,))
    assert station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"]) is None
    assert said(station.effects, ContactorAsked) == [ContactorAsked(True)] and not said(station.all, Requested)
    station.effects = []
    station.command(Contactor(True))
    assert station.answer["ResponseCode"] == "OK"
    assert said(station.all, Requested) == [Requested(ma=16_000)]


def test_emergency_while_the_answer_is_held() -> None:
    station = at("AcPowerDelivery", mute=(ContactorAsked,))
    station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    station.effects = []
    station.command(Stop(reason="the red button", emergency=True))
    assert station.answer["ResponseCode"] == "FAILED_PowerDeliveryNotApplied" and station.is_off()


def test_a_plug_that_does_not_lock() -> None:
    station = at("CableCheck", mute=(LockAsked,))
    station.ask("CableCheckReq", REQUESTS["CableCheckReq"])
    station.command(Locked(False))
    assert said(station.all, Fault)[0].code == "ConnectorLockFailure"
    answer = station.ask("CableCheckReq", REQUESTS["CableCheckReq"])
    assert answer["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_Malfunction"


def test_no_cable_check_is_finished_without_the_monitor() -> None:
    station = at("CableCheck", mute=(IsolationAsked,))
    for _ in range(5):
        answer = station.ask("CableCheckReq", REQUESTS["CableCheckReq"])
        assert answer["EVSEProcessing"] == "Ongoing"
        assert answer["DC_EVSEStatus"]["EVSEStatusCode"] == "EVSE_IsolationMonitoringActive"
        assert answer["DC_EVSEStatus"]["EVSEIsolationStatus"] == "Invalid"
    assert len(said(station.all, IsolationAsked)) == 1


def test_error_of_the_vehicle_is_told_once_and_stops_the_output() -> None:
    station = at("ChargeLoop")
    body = {**REQUESTS["CurrentDemandReq"], "DC_EVStatus": {**STATUS, "EVErrorCode": "FAILED_RESSTemperatureInhibit"}}
    station.effects = []
    station.ask("CurrentDemandReq", body)
    assert said(station.effects, Requested) == [Requested()]
    assert [one.code for one in said(station.effects, Fault)] == ["FAILED_RESSTemperatureInhibit"]
    station.ask("CurrentDemandReq", body)
    assert not said(station.effects, Fault) and not said(station.effects, Requested)


def test_current_below_zero_is_not_given() -> None:
    station = at("ChargeLoop")
    station.ask("CurrentDemandReq", {**REQUESTS["CurrentDemandReq"], "EVTargetCurrent": amperes(-5_000)})
    assert said(station.effects, Requested) == [Requested(mv=400_000)]


def test_parameters_are_ongoing_until_there_is_an_offer() -> None:
    station = at("ChargeParameterDiscovery", offer=None)
    answer = station.ask("ChargeParameterDiscoveryReq", REQUESTS["ChargeParameterDiscoveryReq"])
    assert answer["EVSEProcessing"] == "Ongoing" and "SAScheduleList" not in answer
    station.command(OFFER)
    answer = station.ask("ChargeParameterDiscoveryReq", REQUESTS["ChargeParameterDiscoveryReq"])
    assert answer["EVSEProcessing"] == "Finished" and answer["SAScheduleList"]["SAScheduleTuple"]


def test_services_by_category() -> None:
    station = at("ServiceDiscovery", config={"internet": True})
    answer = station.ask("ServiceDiscoveryReq", {"ServiceCategory": "Internet"})
    assert [one["ServiceID"] for one in answer["ServiceList"]["Service"]] == [3]
    detail = station.ask("ServiceDetailReq", {"ServiceID": 3})
    assert [one["ParameterSetID"] for one in detail["ServiceParameterList"]["ParameterSet"]] == [3, 4]
    other = at("ServiceDiscovery", config={"internet": True})
    assert "ServiceList" not in other.ask("ServiceDiscoveryReq", {"ServiceCategory": "OtherCustom"})


def test_three_schedules_and_no_more() -> None:
    station = at("ChargeParameterDiscovery")
    for number in (1, 2, 3, 4):
        station.command(Schedule(points=((0, number * 1_000_000),), id=number))
    answer = station.ask("ChargeParameterDiscoveryReq", REQUESTS["ChargeParameterDiscoveryReq"])
    assert [one["SAScheduleTupleID"] for one in answer["SAScheduleList"]["SAScheduleTuple"]] == [2, 3, 4]


def test_meter_in_the_loop() -> None:
    station = at("ChargeLoop")
    station.command(Measured(mv=399_960, ma=59_940, energy_wh=4_711, meter_id="M7", signed=b"x" * 65))
    answer = station.ask("CurrentDemandReq", REQUESTS["CurrentDemandReq"])
    assert answer["MeterInfo"] == {"MeterID": "M7", "MeterReading": 4_711}  # too long a signature is left out
    assert (answer["EVSEPresentVoltage"]["Value"], answer["EVSEPresentCurrent"]["Value"]) == (3_999, 599)
    assert "ReceiptRequired" not in answer, "receipts are for contracts"


def test_an_outlet_of_both_takes_what_the_vehicle_wants() -> None:
    offer = Offer(max_mv=500_000, max_ma=32_000)
    for body, after in ((REQUESTS["ChargeParameterDiscoveryReq"], "CableCheck"), (AC_DISCOVERY, "AcPowerDelivery")):
        station = at("ChargeParameterDiscovery", services=("DC", "AC"), offer=offer)
        station.ask("ChargeParameterDiscoveryReq", body)
        assert station.evse.state == after


def test_precharge_is_within_two_amperes() -> None:
    station = at("PreCharge")
    station.ask("PreChargeReq", {**REQUESTS["PreChargeReq"], "EVTargetCurrent": amperes(60_000)})
    assert said(station.effects, Requested) == [Requested(mv=400_000, ma=2_000, phase="precharge")]


def test_energy_that_is_to_be_delivered() -> None:
    station = at("ChargeParameterDiscovery", offer=Offer(max_mv=500_000, max_ma=1_000, energy_wh=20_000))
    answer = station.ask("ChargeParameterDiscoveryReq", REQUESTS["ChargeParameterDiscoveryReq"])
    assert answer["DC_EVSEChargeParameter"]["EVSEEnergyToBeDelivered"]["Value"] == 20_000


def test_schedules_keep_the_stations_own_names() -> None:
    station = at("ChargeParameterDiscovery", services=("AC",), offer=AC_OFFER)
    station.command(Schedule(points=((0, 4_000_000),), id=4_711))
    station.ask("ChargeParameterDiscoveryReq", AC_DISCOVERY)
    station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    assert said(station.all, ProfileChosen) == [ProfileChosen(schedule=4_711)]


def test_no_more_sessions_sleep_than_have_room() -> None:
    paused: dict[bytes, Any] = {bytes([9, *range(6), number]): None for number in range(16)}
    station = at("SessionStop", paused=paused)
    station.ask("SessionStopReq", {"ChargingSession": "Pause"})
    assert len(paused) == 16 and station.session in paused and bytes([9, *range(6), 0]) not in paused


@pytest.mark.parametrize("state", ["ChargeLoop", "AcChargeLoop"])
def test_an_answer_that_cannot_be_written_is_off_and_over(state: str) -> None:
    """A meter that says what the schema cannot: our own fault, and the output does not stay on for it."""
    station = at(state)
    station.command(Measured(energy_wh=1 << 70, meter_id="M1"))
    assert station.ask(ALLOWED[state][0], REQUESTS[ALLOWED[state][0]]) is None
    assert station.is_off() and station.evse.over and station.evse.deadline is None
    (fault,) = said(station.effects, Fault)
    assert fault.code == "InternalError" and fault.by == "evse" and len(said(station.effects, Ended)) == 1


@pytest.mark.parametrize(("told", "wire"), [("ZZ*PWR*E1", "ZZ*PWR*E1"), ("E1", "ZZ00000"), ("E" * 38, "ZZ00000")])
def test_evse_id(told: str, wire: str) -> None:
    station = ScriptedStation(config={"evse_id": told})
    assert station.ask("SessionSetupReq", REQUESTS["SessionSetupReq"])["EVSEID"] == wire


def test_another_service_is_of_iso_20_alone() -> None:
    station = at("ChargeLoop")
    station.command(Renegotiate(service=True))
    answer = station.ask("CurrentDemandReq", REQUESTS["CurrentDemandReq"])
    assert answer["DC_EVSEStatus"]["EVSENotification"] == "None"
