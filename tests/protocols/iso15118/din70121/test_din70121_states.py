"""The SECC of DIN SPEC 70121, explored: every request in every state, every bad message, every code."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.din70121.din_script import DC, REQUESTS, STOP, WAYS, at
from tests.protocols.iso15118.v2g_world import ScriptedStation, said

from pilotwire.core.evse_link import ContactorAsked, Ended, Fault, Measured, Requested, Stop
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.din70121.secc import DinSecc
from pilotwire.protocols.iso15118.din70121.states import ALLOWED, CODES
from pilotwire.protocols.iso15118.physical import amperes, volts

STATES = sorted(WAYS)
FLOWING = {"PowerDelivery", "FirstDemand", "ChargeLoop"}


def refused(station: ScriptedStation, code: str, *, output: bool) -> None:
    """Output off, then the answer, then the fault, then the end, closed after 5 s."""
    kinds = [type(one) for one in station.effects]
    assert station.answer["ResponseCode"] == code and code in CODES[station.answer["name"]], station.answer
    assert kinds.count(Send) == 1 and kinds[-2:] == [Ended, Close]
    off = [one for one in station.effects if one in (Requested(), ContactorAsked(False))]
    assert all(station.effects.index(one) < kinds.index(Send) for one in off) and bool(off) == output
    assert station.is_off() and not station.effects[-2].ok and station.effects[-1].after_ms == 5_000
    assert station.evse.over and station.evse.deadline is None


def fitting(state: str, name: str) -> dict[str, Any]:
    return STOP if name == "PowerDeliveryReq" and state == "ChargeLoop" else REQUESTS[name]


def test_the_tables_are_whole() -> None:
    assert set(WAYS) == set(ALLOWED)
    assert set(REQUESTS) == set(DinSecc.HANDLERS)
    assert {name[:-3] for name in REQUESTS} == {name[:-3] for name in CODES}


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("name", sorted(REQUESTS))
def test_every_request_in_every_state(state: str, name: str) -> None:
    station = at(state)
    answer = station.ask(name, fitting(state, name))
    assert answer["name"] == name[:-3] + "Res"
    if name in ALLOWED[state]:
        assert answer["ResponseCode"].startswith("OK") and station.evse.over == (name == "SessionStopReq")
        return
    refused(station, "FAILED_SequenceError", output=state in FLOWING)
    (fault,) = said(station.effects, Fault)
    assert name in fault.text and ALLOWED[state][0] in fault.text and "9.7.4.2" in fault.rule
    assert station.ask("SessionStopReq", {}) is None


@pytest.mark.parametrize("state", [one for one in STATES if one != "SessionSetup"])
def test_another_session_in_every_state(state: str) -> None:
    for name in ALLOWED[state]:
        station = at(state)
        station.ask(name, fitting(state, name), session=b"\x07" * 8)
        refused(station, "FAILED_UnknownSession", output=state in FLOWING)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("what", ["noise", "truncated", "response", "empty"])
def test_what_cannot_be_read_in_every_state(state: str, what: str) -> None:
    station = at(state)

    def of(body: dict[str, Any]) -> bytes:
        return exi.encode("din", {"V2G_Message": {"Header": {"SessionID": station.session}, "Body": body}})

    payload = {
        "noise": b"\x80\xff\xff",
        "truncated": of({"CableCheckReq": REQUESTS["CableCheckReq"]})[:-3],
        "response": of({"SessionStopRes": {"ResponseCode": "OK"}}),
        "empty": of({}),
    }[what]
    station.send(payload)
    assert station.answer["name"] == ALLOWED[state][0][:-3] + "Res"
    refused(station, "FAILED", output=state in FLOWING)
    assert station.header["Notification"]["FaultCode"] == "ParsingError"


def _selection(payment: str, *services: int) -> dict[str, Any]:
    return {
        "SelectedPaymentOption": payment,
        "SelectedServiceList": {"SelectedService": [{"ServiceID": one} for one in services]},
    }


def _discovery(mode: str = "DC_extended", **more: Any) -> dict[str, Any]:
    return {"EVRequestedEnergyTransferType": mode, "DC_EVChargeParameter": {**DC, **more}}


def _profile(schedule: int, *entries: tuple[int, int]) -> dict[str, Any]:
    return {
        "ReadyToChargeState": True,
        "ChargingProfile": {
            "SAScheduleTupleID": schedule,
            "ProfileEntry": [
                {"ChargingProfileEntryStart": start, "ChargingProfileEntryMaxPower": power} for start, power in entries
            ],
        },
    }


CASES: dict[str, tuple[str, str, dict[str, Any], str, str]] = {
    "contract": (
        "Selection", "ServicePaymentSelectionReq", _selection("Contract", 1), "FAILED_PaymentSelectionInvalid",
        "Contract",
    ),
    "service": (
        "Selection", "ServicePaymentSelectionReq", _selection("ExternalPayment", 1, 2),
        "FAILED_ServiceSelectionInvalid", "[1, 2]",
    ),
    "mode": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery("AC_three_phase_core"),
        "FAILED_WrongEnergyTransferType", "AC_three",
    ),
    "unit": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery(EVMaximumVoltageLimit=amperes(1)),
        "FAILED_WrongChargeParameter", "in A",
    ),
    "negative": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery(EVMaximumCurrentLimit=amperes(-1_000)),
        "FAILED_WrongChargeParameter", "negative",
    ),
    "voltage": (
        "ChargeParameterDiscovery", "ChargeParameterDiscoveryReq", _discovery(EVMaximumVoltageLimit=volts(100_000)),
        "FAILED_WrongChargeParameter", "150000 mV",
    ),
    "schedule": (
        "PowerDelivery", "PowerDeliveryReq", _profile(9, (0, 1_000)), "FAILED_TariffSelectionInvalid", "schedule 9",
    ),
    "profile": (
        "PowerDelivery", "PowerDeliveryReq", _profile(1, (0, 1_000), (60, 31_000)), "FAILED_ChargingProfileInvalid",
        "schedule 1",
    ),
    "start while charging": (
        "ChargeLoop", "PowerDeliveryReq", {"ReadyToChargeState": True}, "FAILED_SequenceError", "ready to charge",
    ),
}  # fmt: skip


@pytest.mark.parametrize("what", sorted(CASES))
def test_what_is_refused_and_why(what: str) -> None:
    state, name, body, code, word = CASES[what]
    station = at(state)
    station.ask(name, body)
    refused(station, code, output=state in FLOWING)
    (fault,) = said(station.effects, Fault)
    assert word in fault.text and fault.rule.startswith(f"{name}: DIN SPEC 70121 9.")


def test_too_low_a_voltage_at_the_outlet() -> None:
    station = at("PowerDelivery")
    station.command(Measured(mv=300_000))
    station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    refused(station, "FAILED_EVSEPresentVoltageToLow", output=True)


def test_power_that_is_not_applied() -> None:
    station = at("PowerDelivery")
    station.command(Stop(reason="the grid"))
    answer = station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    assert answer["ResponseCode"] == "FAILED_PowerDeliveryNotApplied" and station.is_off()


def test_units_may_be_left_out() -> None:
    station = at("ChargeParameterDiscovery")
    bare = {"Multiplier": -1, "Value": 4_500}
    answer = station.ask("ChargeParameterDiscoveryReq", _discovery(EVMaximumVoltageLimit=bare))
    assert answer["ResponseCode"] == "OK"


def test_eight_bytes_of_evccid() -> None:
    from pilotwire.core.evse_link import Identified

    station = ScriptedStation("din")
    station.ask("SessionSetupReq", {"EVCCID": bytes(range(8))})
    who = said(station.effects, Identified)[0]
    assert who.evccid == "0001020304050607" and who.mac == ""
