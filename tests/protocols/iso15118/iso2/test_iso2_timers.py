"""Every timer of ISO 15118-2, just inside and just outside its limit."""

from __future__ import annotations

from typing import Any

from tests.protocols.iso15118.iso2 import iso2_contract as contract
from tests.protocols.iso15118.iso2.iso2_script import REQUESTS, WAYS, at
from tests.protocols.iso15118.v2g_world import ScriptedCar, ScriptedStation, said
from tests.timers import INSIDE, every_timer, just, shown

from pilotwire.core.ev_link import ContactsAsked, Parted
from pilotwire.core.evse_link import (
    AuthorizationAsked,
    CertificateAsked,
    ContactorAsked,
    Ended,
    Fault,
    IsolationAsked,
    Stop,
)
from pilotwire.core.machines import Close
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.iso15118.iso2.timers import MESSAGES, TIMERS
from pilotwire.protocols.iso15118.physical import volts


@every_timer(TIMERS)
def test_iso2_timers(rule: TimerRule, edge: str) -> None:
    if rule.name.startswith("V2G_EVCC_Msg_Timeout_"):
        seen = _evcc_message(rule, edge)
    elif rule.name.startswith("V2G_SECC_Msg_Performance_Time_"):
        seen = _secc_message(rule, edge)
    else:
        seen = _CASES[rule.name](rule, edge)
    shown(rule, edge, seen)


# ── the vehicle ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _evcc_message(rule: TimerRule, edge: str) -> str:
    pair = rule.name.removeprefix("V2G_EVCC_Msg_Timeout_")
    car = contract.car_asking(pair)
    assert car.ev.asked == pair
    car.wait(just(rule, edge))
    if edge == INSIDE:
        assert not car.ev.over and car.ev.asked == pair
        return f"still waits for {pair}Res"
    _gave_up(car, rule.name)
    return f"no {pair}Res: session ended, connection closed"


def _gave_up(car: ScriptedCar, name: str) -> None:
    (parted,) = said(car.effects, Parted)
    assert car.ev.over and not parted.ok
    assert said(car.effects, Fault)[0].code == name
    assert said(car.effects, Close)
    asked = said(car.all, ContactsAsked)
    assert not asked or asked[-1] == ContactsAsked(False)


def _ongoing(rule: TimerRule, edge: str) -> str:
    """With answers that never end, at the pace of the vehicle."""
    car = contract.car_asking("ChargeParameterDiscovery")
    body = contract.ANSWERS["ChargeParameterDiscovery"] | {"EVSEProcessing": "Ongoing"}
    return _again_and_again(car, rule, edge, "ChargeParameterDiscoveryRes", body)


def _cable_check(rule: TimerRule, edge: str) -> str:
    car = contract.car_asking("CableCheck")
    body = contract.ANSWERS["CableCheck"] | {"EVSEProcessing": "Ongoing"}
    return _again_and_again(car, rule, edge, "CableCheckRes", body)


def _pre_charge(rule: TimerRule, edge: str) -> str:
    car = contract.car_asking("PreCharge")
    body = contract.ANSWERS["PreCharge"] | {"EVSEPresentVoltage": volts(100_000)}
    return _again_and_again(car, rule, edge, "PreChargeRes", body)


def _again_and_again(car: ScriptedCar, rule: TimerRule, edge: str, name: str, body: dict[str, Any]) -> str:
    # Ongoing counts from the first answer that says so, the others from the first request: both are now.
    end, count = car.now + just(rule, edge), 0
    while not car.ev.over and car.now < end:
        if car.ev.asked:
            car.answer(name, body)
            count += 1
        due = car.ev.deadline
        assert due is not None
        car.wait(min(due, end) - car.now)
    if edge == INSIDE:
        assert not car.ev.over and count > 10
        return f"asks on after {count} answers that were not the last"
    _gave_up(car, rule.name)
    return f"session ended after {count} answers that were not the last"


def _inside(rule: TimerRule, edge: str) -> str:
    """The inside of the vehicle does not close its contacts."""
    car = contract.car_asking("PreCharge", mute=(ContactsAsked,))
    car.ev._due.pop("V2G_EVCC_PreCharge_Timeout")
    assert car.answer("PreChargeRes", contract.ANSWERS["PreCharge"]) is None
    asked = car.wait(just(rule, edge))
    if edge == INSIDE:
        assert asked is None and not car.ev.over
        return "waits for its contacts"
    assert asked == "SessionStopReq"
    return "SessionStopReq has been sent"


# ── the station ──────────────────────────────────────────────────────────────────────────────────────────────────────
def _secc_message(rule: TimerRule, edge: str) -> str:
    """Most answers are given at once; three wait for the station, and refuse when it does not do its part."""
    pair = rule.name.removeprefix("V2G_SECC_Msg_Performance_Time_")
    if pair in ("CertificateInstallation", "CertificateUpdate"):
        station = contract.station_at("Certificate", mute=(CertificateAsked,), update=pair == "CertificateUpdate")
        contract.ask(station, f"{pair}Req")
        assert said(station.effects, CertificateAsked)
    elif pair == "PowerDelivery":
        station = at("AcPowerDelivery", mute=(ContactorAsked,))
        station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    else:
        station = contract.station_for(pair)
        answer = contract.ask(station, f"{pair}Req")
        assert answer is not None and answer["name"] == f"{pair}Res" and answer["ResponseCode"].startswith("OK")
        station.effects = []
        later = station.wait(just(rule, edge))
        assert later is None
        return f"{pair}Res was given at once"
    assert station.answer is None
    answer = station.wait(just(rule, edge))
    if pair == "PowerDelivery":  # the contactor's own limit is shorter
        assert answer is not None and answer["ResponseCode"] == "FAILED_ContactorError"
        return "PowerDeliveryRes FAILED_ContactorError was given before"
    if edge == INSIDE:
        assert answer is None and not station.evse.over
        return "waits for the contract certificate"
    assert answer["ResponseCode"] == "FAILED_NoCertificateAvailable" and station.evse.over
    return f"{pair}Res FAILED_NoCertificateAvailable"


def _late_answer(station: ScriptedStation, name: str, body: dict[str, Any], rule: TimerRule, edge: str) -> str:
    """Asked again and again with a sequence that is kept; refused once the time is over."""
    end = station.now + just(rule, edge)
    while station.now + 5_000 < end - 2:
        station.wait(5_000)
        answer = station.ask(name, body)
        assert answer["EVSEProcessing"].startswith("Ongoing"), answer
    station.wait(end - station.now)
    answer = station.ask(name, body)
    if edge == INSIDE:
        assert answer["ResponseCode"] == "OK" and answer["EVSEProcessing"].startswith("Ongoing")
        return f"{answer['name']} says {answer['EVSEProcessing']}"
    assert answer["ResponseCode"] == "FAILED" and station.evse.over and station.is_off()
    return f"{answer['name']} says FAILED"


def _secc_ongoing(rule: TimerRule, edge: str) -> str:
    station = at("ChargeParameterDiscovery", offer=None)
    body = REQUESTS["ChargeParameterDiscoveryReq"]
    station.ask("ChargeParameterDiscoveryReq", body)
    return _late_answer(station, "ChargeParameterDiscoveryReq", body, rule, edge)


def _external(rule: TimerRule, edge: str) -> str:
    station = at("Authorization", mute=(AuthorizationAsked,))
    station.ask("AuthorizationReq", {})
    return _late_answer(station, "AuthorizationReq", {}, rule, edge)


def _secc_cable_check(rule: TimerRule, edge: str) -> str:
    station = at("CableCheck", mute=(IsolationAsked,))
    station.ask("CableCheckReq", REQUESTS["CableCheckReq"])
    return _late_answer(station, "CableCheckReq", REQUESTS["CableCheckReq"], rule, edge)


def _sequence(rule: TimerRule, edge: str) -> str:
    """In every state."""
    for state in WAYS:
        station = at(state)
        if state == "SessionSetup":
            station.evse.begin(station.now)
        station.wait(just(rule, edge))
        assert station.evse.over == (edge != INSIDE), state
        if edge != INSIDE:
            assert station.is_off() and said(station.effects, Close)[0].after_ms == 0
            assert said(station.effects, Fault)[0].code == rule.name
            assert not said(station.effects, Ended)[0].ok
        elif state == "ChargeLoop":
            assert station.ask("CurrentDemandReq", REQUESTS["CurrentDemandReq"])["ResponseCode"] == "OK"
    return "the session goes on" if edge == INSIDE else "output off, connection closed, in every state"


def _contactor(rule: TimerRule, edge: str) -> str:
    closing = at("AcPowerDelivery", mute=(ContactorAsked,))
    closing.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"])
    answer = closing.wait(just(rule, edge))
    opening = at("AcChargeLoop")
    opening.mute = (ContactorAsked,)
    opening.ask("PowerDeliveryReq", {"ChargeProgress": "Stop", "SAScheduleTupleID": 1})
    opening.wait(just(rule, edge))
    if edge == INSIDE:
        assert answer is None and not closing.evse.over and not said(opening.effects, Fault)
        return "PowerDeliveryRes waits; nothing is said of a weld"
    assert answer["ResponseCode"] == "FAILED_ContactorError" and closing.is_off()
    assert said(opening.effects, Fault)[0].code == "EVSEContactorFault"
    return "PowerDeliveryRes FAILED_ContactorError; the weld is reported"


def _max_delay(rule: TimerRule, edge: str) -> str:
    station = at("ChargeLoop")
    station.command(Stop(reason="the operator"))
    end = station.now + just(rule, edge)
    while station.now + 250 < end - 2:
        station.wait(250)
        assert station.ask("CurrentDemandReq", REQUESTS["CurrentDemandReq"])["ResponseCode"] == "OK"
    station.wait(end - station.now)
    assert station.evse.over == (edge != INSIDE)
    if edge == INSIDE:
        return "the vehicle may still stop by itself"
    assert station.is_off() and "did not stop" in said(station.effects, Ended)[0].reason
    return "output off, connection closed"


def _tcp_close(rule: TimerRule, edge: str) -> str:
    station = at("SessionStop")
    station.ask("SessionStopReq", REQUESTS["SessionStopReq"])
    (close,) = said(station.effects, Close)
    closed = close.after_ms <= just(rule, edge)
    assert closed == (edge != INSIDE)
    return "closed by the station" if closed else "still open for the vehicle to close it"


_CASES: dict[str, Any] = {
    "V2G_EVCC_Ongoing_Timeout": _ongoing,
    "V2G_EVCC_CableCheck_Timeout": _cable_check,
    "V2G_EVCC_PreCharge_Timeout": _pre_charge,
    "V2G_EVCC_Sequence_Performance_Time": _inside,
    "V2G_SECC_Ongoing_Performance_Time": _secc_ongoing,
    "V2G_SECC_CableCheck_Performance_Time": _secc_cable_check,
    "V2G_SECC_Sequence_Timeout": _sequence,
    "EVSE_Authorization_External": _external,
    "EVSE_Contactor_Close": _contactor,
    "NotificationMaxDelay": _max_delay,
    "SECC_TCP_Close": _tcp_close,
}


def test_every_message_has_its_timer() -> None:
    assert set(MESSAGES) == {name[:-3] for name in REQUESTS}


def test_who_waits_for_a_person_waits_on() -> None:
    car = contract.car_asking("Authorization")
    for _ in range(1_000):
        car.answer(
            "AuthorizationRes", {"ResponseCode": "OK", "EVSEProcessing": "Ongoing_WaitingForCustomerInteraction"}
        )
        assert car.wait(250) == "AuthorizationReq"
