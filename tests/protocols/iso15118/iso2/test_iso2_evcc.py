"""The EVCC of ISO 15118-2 and DIN 70121 against a station that is wrong in every way, at every message."""

from __future__ import annotations

from typing import Any

import pytest
from msgspec.structs import replace
from tests.protocols.iso15118.din70121 import din_script
from tests.protocols.iso15118.iso2 import iso2_contract
from tests.protocols.iso15118.v2g_world import DRIVE, ScriptedCar, said

from pilotwire.core.ev_link import Ask, Contacts, ContactsAsked, Flowing, Halt, Offered, Parted
from pilotwire.core.evse_link import Fault
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118.din70121.timers import MESSAGES as DIN_MESSAGES
from pilotwire.protocols.iso15118.iso2.states import CODES
from pilotwire.protocols.iso15118.iso2.timers import MESSAGES
from pilotwire.protocols.iso15118.physical import amperes, milli, volts

PAIRS = [("iso2", pair) for pair in sorted(MESSAGES)] + [("din", pair) for pair in sorted(DIN_MESSAGES)]


def car_asking(dialect: str, pair: str) -> ScriptedCar:
    return (iso2_contract if dialect == "iso2" else din_script).car_asking(pair)


def answers(dialect: str, pair: str) -> dict[str, Any]:
    table = iso2_contract.ANSWERS if dialect == "iso2" else din_script.ANSWERS
    return table.get(pair, {"ResponseCode": "OK"})


def gave_up(car: ScriptedCar, *words: str) -> None:
    """Contacts open before anything is told, then the end, and the connection is closed at once."""
    kinds = [type(one) for one in car.effects]
    assert car.ev.over and Send not in kinds and kinds[-3:] == [Fault, Parted, Close], car.effects
    (parted,) = said(car.effects, Parted)
    assert not parted.ok and parted.by == "evse" and all(word in parted.reason for word in words), parted
    asked = said(car.all, ContactsAsked)
    assert not asked or not asked[-1].closed
    assert "ISO 15118-2" in said(car.effects, Fault)[0].rule or "DIN SPEC" in said(car.effects, Fault)[0].rule
    assert car.ev.deadline is None and car.wait(100_000) is None and not car.effects


@pytest.mark.parametrize(("dialect", "pair"), PAIRS)
def test_a_refusal_at_every_message(dialect: str, pair: str) -> None:
    car = car_asking(dialect, pair)
    car.answer(f"{pair}Res", _whole(dialect, pair) | {"ResponseCode": "FAILED_SequenceError"})
    gave_up(car, f"{pair}Res", "FAILED_SequenceError")


def _whole(dialect: str, pair: str) -> dict[str, Any]:
    """An answer in which every element is that the schema wants."""
    if pair.startswith("Certificate"):
        from pilotwire.protocols.iso15118.iso2.answers import refusal

        return refusal(f"{pair}Req", "OK", evse_id="ZZ*PWR*E1", dc=True)
    return answers(dialect, pair)


@pytest.mark.parametrize("code", sorted({code for codes in CODES.values() for code in codes if code[0] == "F"}))
def test_every_failed_code_ends_the_session(code: str) -> None:
    car = iso2_contract.car_asking("PowerDelivery")
    car.answer("PowerDeliveryRes", iso2_contract.ANSWERS["PowerDelivery"] | {"ResponseCode": code})
    gave_up(car, code)
    assert said(car.all, ContactsAsked) == [ContactsAsked(True), ContactsAsked(False)]


@pytest.mark.parametrize(("dialect", "pair"), PAIRS)
def test_another_answer_than_was_waited_for(dialect: str, pair: str) -> None:
    other = "SessionStop" if pair != "SessionStop" else "SessionSetup"
    car = car_asking(dialect, pair)
    car.answer(f"{other}Res", answers(dialect, other))
    gave_up(car, f"{other}Res", f"{pair}Res was waited for")


@pytest.mark.parametrize(("dialect", "pair"), [one for one in PAIRS if one[1] != "SessionSetup"])
def test_an_answer_of_another_session(dialect: str, pair: str) -> None:
    car = car_asking(dialect, pair)
    car.answer(f"{pair}Res", _whole(dialect, pair), session=b"\x99" * 8)
    gave_up(car, "another session")


@pytest.mark.parametrize(("dialect", "pair"), PAIRS)
@pytest.mark.parametrize("what", ["noise", "truncated", "request"])
def test_an_answer_that_cannot_be_read(dialect: str, pair: str, what: str) -> None:
    car = car_asking(dialect, pair)
    head = {"SessionID": car.session}
    whole = exi.encode(dialect, {"V2G_Message": {"Header": head, "Body": {f"{pair}Res": _whole(dialect, pair)}}})
    request = exi.encode(dialect, {"V2G_Message": {"Header": head, "Body": {"ServiceDiscoveryReq": {}}}})
    car.send({"noise": b"\x80\xfe", "truncated": whole[:-2], "request": request}[what])
    gave_up(car)
    assert car.ev.bad == 1


@pytest.mark.parametrize("dialect", ["iso2", "din"])
def test_an_answer_that_nobody_asked_for(dialect: str) -> None:
    car = car_asking(dialect, "CableCheck")
    ongoing = answers(dialect, "CableCheck") | {"EVSEProcessing": "Ongoing"}
    assert car.answer("CableCheckRes", ongoing) is None
    car.answer("CableCheckRes", ongoing)
    gave_up(car, "nothing was asked")


def test_other_payload_types_are_passed_over() -> None:
    car = iso2_contract.car_asking("CableCheck")
    assert car.send(b"\x80", 0x8002) is None and not car.ev.over and car.ev.bad == 1


# ── what the station says of itself ──────────────────────────────────────────────────────────────────────────────────
def looping(dialect: str) -> tuple[ScriptedCar, dict[str, Any]]:
    """A vehicle in the loop, waiting for its second CurrentDemandRes."""
    car = ScriptedCar(dialect)
    table = iso2_contract.ANSWERS if dialect == "iso2" else din_script.ANSWERS
    asked, seen = car.start(), 0
    while seen < 2:
        if asked is None:
            asked = car.wait(car.ev.deadline - car.now)
            continue
        if asked == "CurrentDemandReq":
            seen += 1
            if seen == 2:
                break
        asked = car.answer(f"{asked[:-3]}Res", table[asked[:-3]])
    return car, table["CurrentDemand"]


STATUSES: dict[str, tuple[dict[str, Any], bool]] = {
    "shutdown": ({"EVSEStatusCode": "EVSE_Shutdown"}, True),
    "stop charging": ({"EVSENotification": "StopCharging"}, True),
    "emergency": ({"EVSEStatusCode": "EVSE_EmergencyShutdown"}, False),
    "malfunction": ({"EVSEStatusCode": "EVSE_Malfunction"}, False),
    "utility": ({"EVSEStatusCode": "EVSE_UtilityInterruptEvent"}, False),
    "isolation": ({"EVSEIsolationStatus": "Fault"}, False),
}


@pytest.mark.parametrize("dialect", ["iso2", "din"])
@pytest.mark.parametrize("what", sorted(STATUSES))
def test_what_the_station_wants_is_done_in_order(dialect: str, what: str) -> None:
    change, ok = STATUSES[what]
    car, body = looping(dialect)
    assert (
        car.answer("CurrentDemandRes", body | {"DC_EVSEStatus": body["DC_EVSEStatus"] | change}) == "PowerDeliveryReq"
    )
    stop = {"ChargeProgress": "Stop"} if dialect == "iso2" else {"ReadyToChargeState": False}
    assert car.request is not None and stop.items() <= car.request[1].items()
    assert car.answer("PowerDeliveryRes", answers(dialect, "PowerDelivery")) == "WeldingDetectionReq"
    assert said(car.all, ContactsAsked) == [ContactsAsked(True), ContactsAsked(False)]
    assert car.answer("WeldingDetectionRes", answers(dialect, "WeldingDetection")) == "SessionStopReq"
    car.answer("SessionStopRes", {"ResponseCode": "OK"})
    (parted,) = said(car.effects, Parted)
    assert parted.by == "evse" and parted.ok == ok


@pytest.mark.parametrize("dialect", ["iso2", "din"])
def test_too_many_volts_at_the_inlet(dialect: str) -> None:
    car, body = looping(dialect)
    assert car.answer("CurrentDemandRes", body | {"EVSEPresentVoltage": volts(600_000)}) == "PowerDeliveryReq"
    assert car.request is not None
    status = car.request[1]["DC_EVPowerDeliveryParameter"]["DC_EVStatus"]
    assert status == {"EVReady": False, "EVErrorCode": "FAILED_ChargingVoltageOutOfRange", "EVRESSSOC": 30}


@pytest.mark.parametrize("dialect", ["iso2", "din"])
def test_contacts_that_open_by_themselves(dialect: str) -> None:
    car, body = looping(dialect)
    car.command(Contacts(False))
    assert car.answer("CurrentDemandRes", body) == "PowerDeliveryReq"


@pytest.mark.parametrize("dialect", ["iso2", "din"])
def test_welds_are_looked_for_until_the_voltage_is_gone(dialect: str) -> None:
    car = car_asking(dialect, "WeldingDetection")
    live = answers(dialect, "WeldingDetection") | {"EVSEPresentVoltage": volts(400_000)}
    for _ in range(19):
        assert car.answer("WeldingDetectionRes", live) is None
        assert car.wait(100) == "WeldingDetectionReq"
    assert car.answer("WeldingDetectionRes", live) == "SessionStopReq", "twenty times are enough"


@pytest.mark.parametrize("dialect", ["iso2", "din"])
def test_the_contacts_close_at_the_batterys_voltage_only(dialect: str) -> None:
    car = car_asking(dialect, "PreCharge")
    for mv in (0, 379_900, 420_100):
        assert car.answer("PreChargeRes", answers(dialect, "PreCharge") | {"EVSEPresentVoltage": volts(mv)}) is None
        assert not said(car.all, ContactsAsked) and said(car.effects, Flowing)[0].mv == mv
        assert car.wait(100) == "PreChargeReq"
    assert car.answer("PreChargeRes", answers(dialect, "PreCharge") | {"EVSEPresentVoltage": volts(380_100)})
    assert said(car.all, ContactsAsked) == [ContactsAsked(True)]


def test_limits_are_told_when_they_change_only() -> None:
    car, body = looping("iso2")
    limits = {
        "EVSEMaximumCurrentLimit": amperes(50_000),
        "EVSEMaximumPowerLimit": {"Multiplier": 1, "Unit": "W", "Value": 100},
    }
    car.answer("CurrentDemandRes", body | limits)
    (offered,) = said(car.effects, Offered)
    assert (offered.offer.max_ma, offered.offer.max_mw) == (50_000, 1_000_000)
    car.wait(250)
    car.answer("CurrentDemandRes", body | limits)
    assert not said(car.effects, Offered)


def test_the_loop_keeps_its_pace_and_what_is_wanted_is_asked_for() -> None:
    car, body = looping("iso2")
    car.answer("CurrentDemandRes", body)
    assert car.wait(249) is None
    car.command(replace(DRIVE, target_ma=33_300, remaining_ms=1_200_000, soc=555))
    assert car.wait(1) == "CurrentDemandReq"
    assert car.request is not None
    asked = car.request[1]
    assert milli(asked["EVTargetCurrent"]) == 33_300 and milli(asked["RemainingTimeToFullSoC"]) == 1_200_000
    assert asked["DC_EVStatus"]["EVRESSSOC"] == 55 and not asked["ChargingComplete"]


def test_a_halt_does_not_wait_for_the_pace() -> None:
    car, body = looping("iso2")
    car.answer("CurrentDemandRes", body)
    assert car.command(Halt("now")) == "PowerDeliveryReq"


def test_a_vehicle_that_does_not_know_its_battery_yet() -> None:
    car = ScriptedCar("iso2", drive=None)
    asked = car.start()
    while asked is not None:
        asked = car.answer(f"{asked[:-3]}Res", iso2_contract.ANSWERS[asked[:-3]])
    assert not car.ev.over, "it waits for the inside"
    assert car.command(DRIVE) == "ChargeParameterDiscoveryReq"


def test_ac_parameters_for_a_dc_car() -> None:
    car = iso2_contract.car_asking("ChargeParameterDiscovery")
    car.answer("ChargeParameterDiscoveryRes", iso2_contract.AC_ANSWERS["ChargeParameterDiscovery"])
    gave_up(car, "another kind of energy")


def test_rcd_of_an_ac_station() -> None:
    car = iso2_contract.car_asking("ChargingStatus")
    body = iso2_contract.ANSWERS["ChargingStatus"]
    asked = car.answer("ChargingStatusRes", body | {"AC_EVSEStatus": iso2_contract.AC_STATUS | {"RCD": True}})
    assert asked == "PowerDeliveryReq" and said(car.all, ContactsAsked)[-1] == ContactsAsked(False)


def test_a_profile_of_more_points_than_fit_is_as_low_as_what_follows() -> None:
    from tests.protocols.iso15118.v2g_world import World

    from pilotwire.core.evse_link import ProfileChosen, Schedule

    world = World(evcc={"tuples": 40})
    points = tuple((60 * n, (40 - n) * 1_000_000) for n in range(40))
    world.secc.command(Schedule(points=points))
    world.begin()
    (chosen,) = said(world.station, ProfileChosen)
    assert chosen.points == (*points[:23], (23 * 60, 1_000_000))


def test_a_receipt_answer_without_a_status() -> None:
    car = iso2_contract.car_asking("MeteringReceipt")
    status = {"NotificationMaxDelay": 0, "EVSENotification": "None"}
    car.answer("MeteringReceiptRes", {"ResponseCode": "OK", "EVSEStatus": status})
    assert not car.ev.over and car.wait(1_000) == "ChargingStatusReq"


def test_a_request_that_cannot_be_written_ends_the_session() -> None:
    car, body = looping("iso2")
    car.command(Ask(service=True))  # of ISO 15118-20 alone
    car.answer("CurrentDemandRes", body)
    car.ev._error = "no such word"
    car.wait(250)
    assert car.ev.over and said(car.all, ContactsAsked)[-1] == ContactsAsked(False)
    (parted,) = said(car.effects, Parted)
    assert "cannot be written" in parted.reason and parted.by == "ev" and not parted.ok


def test_an_ac_car_shows_state_c_with_the_request_and_b_with_the_stop() -> None:
    car = iso2_contract.car_asking("ChargingStatus")
    order = [one for one in car.all if isinstance(one, Send | ContactsAsked)]
    place = order.index(ContactsAsked(True))
    assert "PowerDeliveryReq" in _body(order[place + 1]) and "ChargingStatusReq" in _body(order[place + 2])
    car.command(Halt("enough"))
    assert car.answer("ChargingStatusRes", iso2_contract.ANSWERS["ChargingStatus"]) == "PowerDeliveryReq"
    assert isinstance(car.effects[-2], ContactsAsked) and not car.effects[-2].closed


def _body(send: Any) -> dict[str, Any]:
    return exi.decode("iso2", send.data.payload)["V2G_Message"]["Body"]
