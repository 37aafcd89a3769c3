"""Every timer of DIN SPEC 70121, just inside and just outside its limit."""

from __future__ import annotations

from typing import Any

from tests.protocols.iso15118.din70121.din_script import ANSWERS, REQUESTS, STOP, WAYS, at, car_asking
from tests.protocols.iso15118.v2g_world import ScriptedCar, ScriptedStation, said
from tests.timers import INSIDE, every_timer, just, shown

from pilotwire.core.ev_link import ContactsAsked, Parted
from pilotwire.core.evse_link import AuthorizationAsked, ContactorAsked, Ended, Fault, IsolationAsked, Stop
from pilotwire.core.machines import Close
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.iso15118.din70121.timers import TIMERS
from pilotwire.protocols.iso15118.physical import volts


@every_timer(TIMERS)
def test_din70121_timers(rule: TimerRule, edge: str) -> None:
    if rule.name.startswith("V2G_EVCC_Msg_Timeout_"):
        seen = _evcc_message(rule, edge)
    elif rule.name.startswith("V2G_SECC_Msg_Performance_Time_"):
        seen = _secc_message(rule, edge)
    else:
        seen = _CASES[rule.name](rule, edge)
    shown(rule, edge, seen)


def _evcc_message(rule: TimerRule, edge: str) -> str:
    pair = rule.name.removeprefix("V2G_EVCC_Msg_Timeout_")
    car = car_asking(pair)
    car.wait(just(rule, edge))
    if edge == INSIDE:
        assert not car.ev.over and car.ev.asked == pair
        return f"still waits for {pair}Res"
    _gave_up(car, rule.name)
    return f"no {pair}Res: session ended, connection closed"


def _gave_up(car: ScriptedCar, name: str) -> None:
    (parted,) = said(car.effects, Parted)
    assert car.ev.over and not parted.ok and said(car.effects, Fault)[0].code == name and said(car.effects, Close)
    asked = said(car.all, ContactsAsked)
    assert not asked or asked[-1] == ContactsAsked(False)


def _again(car: ScriptedCar, end: int, rule: TimerRule, edge: str, name: str, body: dict[str, Any]) -> str:
    count = 0
    while not car.ev.over and car.now < end:
        if car.ev.asked:
            car.answer(name, body)
            count += 1
        car.wait(min(car.ev.deadline or end, end) - car.now)
    if edge == INSIDE:
        assert not car.ev.over and count > 10
        return f"asks on after {count} answers that were not the last"
    _gave_up(car, rule.name)
    return f"session ended after {count} answers that were not the last"


def _ready(rule: TimerRule, edge: str) -> str:
    """From the begin of the session: nobody lets the vehicle in."""
    car = car_asking("ContractAuthentication")
    body = {"ResponseCode": "OK", "EVSEProcessing": "Ongoing"}
    return _again(car, car.now + just(rule, edge), rule, edge, "ContractAuthenticationRes", body)


def _cable(rule: TimerRule, edge: str) -> str:
    car = car_asking("CableCheck")
    body = ANSWERS["CableCheck"] | {"EVSEProcessing": "Ongoing"}
    return _again(car, car.now + just(rule, edge), rule, edge, "CableCheckRes", body)


def _pre_charge(rule: TimerRule, edge: str) -> str:
    car = car_asking("PreCharge")
    body = ANSWERS["PreCharge"] | {"EVSEPresentVoltage": volts(100_000)}
    return _again(car, car.now + just(rule, edge), rule, edge, "PreChargeRes", body)


def _inside(rule: TimerRule, edge: str) -> str:
    car = car_asking("PreCharge", mute=(ContactsAsked,))
    car.ev._due.pop("V2G_EVCC_PreCharge_Timeout")
    assert car.answer("PreChargeRes", ANSWERS["PreCharge"]) is None
    asked = car.wait(just(rule, edge))
    assert asked == (None if edge == INSIDE else "SessionStopReq")
    return "waits for its contacts" if edge == INSIDE else "SessionStopReq has been sent"


def _secc_message(rule: TimerRule, edge: str) -> str:
    pair = rule.name.removeprefix("V2G_SECC_Msg_Performance_Time_")
    if pair == "PowerDelivery":
        return _contactor_closes(rule, edge)
    state = next(state for state in WAYS if f"{pair}Req" in at(state).evse.ALLOWED[state])
    station = at(state)
    answer = station.ask(f"{pair}Req", REQUESTS[f"{pair}Req"])
    assert answer["name"] == f"{pair}Res" and answer["ResponseCode"].startswith("OK")
    assert station.wait(just(rule, edge)) is None
    return f"{pair}Res was given at once"


def _contactor_closes(rule: TimerRule, edge: str) -> str:
    station = at("PreCharge", mute=(ContactorAsked,))
    station.ask("PreChargeReq", REQUESTS["PreChargeReq"])
    assert station.ask("PowerDeliveryReq", REQUESTS["PowerDeliveryReq"]) is None
    answer = station.wait(just(rule, edge))
    if edge == INSIDE:
        assert answer is None
        return "PowerDeliveryRes waits for the contactor"
    assert answer["ResponseCode"] == "FAILED_PowerDeliveryNotApplied" and station.is_off()
    return "PowerDeliveryRes FAILED_PowerDeliveryNotApplied"


def _contactor(rule: TimerRule, edge: str) -> str:
    closing = _contactor_closes(rule, edge)
    station = at("ChargeLoop")
    station.mute = (ContactorAsked,)
    station.ask("PowerDeliveryReq", STOP)
    station.wait(just(rule, edge))
    faults = [one.code for one in said(station.effects, Fault)]
    assert faults == ([] if edge == INSIDE else ["EVSEContactorFault"])
    return f"{closing}; {'nothing is said of a weld' if edge == INSIDE else 'the weld is reported'}"


def _late(station: ScriptedStation, name: str, rule: TimerRule, edge: str) -> str:
    end = station.now + just(rule, edge)
    while station.now + 5_000 < end - 2:
        station.wait(5_000)
        assert station.ask(name, REQUESTS[name])["EVSEProcessing"] == "Ongoing"
    station.wait(end - station.now)
    answer = station.ask(name, REQUESTS[name])
    assert answer["ResponseCode"] == ("OK" if edge == INSIDE else "FAILED")
    assert station.evse.over == (edge != INSIDE) and (edge == INSIDE or station.is_off())
    return f"{answer['name']} says {answer['EVSEProcessing'] if edge == INSIDE else 'FAILED'}"


def _external(rule: TimerRule, edge: str) -> str:
    station = at("ContractAuthentication", mute=(AuthorizationAsked,))
    station.ask("ContractAuthenticationReq", {})
    return _late(station, "ContractAuthenticationReq", rule, edge)


def _offer(rule: TimerRule, edge: str) -> str:
    station = at("ChargeParameterDiscovery", offer=None)
    station.ask("ChargeParameterDiscoveryReq", REQUESTS["ChargeParameterDiscoveryReq"])
    return _late(station, "ChargeParameterDiscoveryReq", rule, edge)


def _secc_cable(rule: TimerRule, edge: str) -> str:
    station = at("CableCheck", mute=(IsolationAsked,))
    station.ask("CableCheckReq", REQUESTS["CableCheckReq"])
    return _late(station, "CableCheckReq", rule, edge)


def _busy(state: str, name: str, rule: TimerRule, edge: str) -> str:
    """The vehicle asks the same again and again."""
    station = at(state)
    station.ask(name, REQUESTS[name])
    end = station.now + just(rule, edge)
    while station.now + 250 < end - 2:
        station.wait(250)
        assert station.ask(name, REQUESTS[name])["ResponseCode"] == "OK"
    station.wait(end - station.now)
    assert station.evse.over == (edge != INSIDE)
    if edge == INSIDE:
        return f"{name} is still answered"
    assert station.is_off() and said(station.effects, Fault)[0].code == rule.name and said(station.effects, Close)
    return "output off, connection closed"


def _sequence(rule: TimerRule, edge: str) -> str:
    """In every state, those with a shorter limit of their own left out."""
    for state in WAYS:
        if state == "PowerDelivery":
            continue
        station = at(state)
        if state == "SessionSetup":
            station.evse.begin(station.now)
        station.wait(just(rule, edge))
        assert station.evse.over == (edge != INSIDE), state
        if edge != INSIDE:
            assert station.is_off() and said(station.effects, Fault)[0].code == rule.name
            assert not said(station.effects, Ended)[0].ok and said(station.effects, Close)[0].after_ms == 0
    return "the session goes on" if edge == INSIDE else "output off, connection closed, in every state"


def _max_delay(rule: TimerRule, edge: str) -> str:
    station = at("ChargeLoop")
    station.command(Stop(reason="the operator"))
    end = station.now + just(rule, edge)
    while station.now + 250 < end - 2:
        station.wait(250)
        assert station.ask("CurrentDemandReq", REQUESTS["CurrentDemandReq"])["ResponseCode"] == "OK"
    station.wait(end - station.now)
    assert station.evse.over == (edge != INSIDE) and (edge == INSIDE or station.is_off())
    return "the vehicle may still stop by itself" if edge == INSIDE else "output off, connection closed"


def _tcp_close(rule: TimerRule, edge: str) -> str:
    station = at("WeldingDetection")
    station.ask("SessionStopReq", {})
    (close,) = said(station.effects, Close)
    closed = close.after_ms <= just(rule, edge)
    assert closed == (edge != INSIDE)
    return "closed by the station" if closed else "still open for the vehicle to close it"


_CASES: dict[str, Any] = {
    "V2G_EVCC_ReadyToCharge_Timeout": _ready,
    "V2G_EVCC_CableCheck_Timeout": _cable,
    "V2G_EVCC_PreCharge_Timeout": _pre_charge,
    "V2G_EVCC_Sequence_Performance_Time": _inside,
    "V2G_SECC_CableCheck_Performance_Time": _secc_cable,
    "V2G_SECC_PowerDelivery_Timeout": lambda rule, edge: _busy("PreCharge", "PreChargeReq", rule, edge),
    "V2G_SECC_WeldingDetection_Timeout": lambda rule, edge: _busy(
        "WeldingDetection", "WeldingDetectionReq", rule, edge
    ),
    "V2G_SECC_Sequence_Timeout": _sequence,
    "EVSE_Authorization_External": _external,
    "EVSE_Offer": _offer,
    "EVSE_Contactor_Close": _contactor,
    "NotificationMaxDelay": _max_delay,
    "SECC_TCP_Close": _tcp_close,
}
