"""Every request in every state of the station: explored, not sampled."""

from __future__ import annotations

from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_talk import Talk, other_requests

from pilotwire.core.evse_link import ContactorAsked, Ended, Fault, Requested
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.iso20.modes import EMPTY
from pilotwire.protocols.iso15118.iso20.wire import SCHEMAS

COMMON = [
    "SessionSetupReq",
    "AuthorizationSetupReq",
    "AuthorizationReq",
    "CertificateInstallationReq",
    "ServiceDiscoveryReq",
    "ServiceDetailReq",
    "ServiceSelectionReq",
    "ScheduleExchangeReq",
    "PowerDeliveryReq",
    "MeteringConfirmationReq",
    "SessionStopReq",
    "VehicleCheckInReq",
    "VehicleCheckOutReq",
]
AC = ["AC_ChargeParameterDiscoveryReq", "AC_ChargeLoopReq"]
DC = [
    "DC_ChargeParameterDiscoveryReq",
    "DC_CableCheckReq",
    "DC_PreChargeReq",
    "DC_ChargeLoopReq",
    "DC_WeldingDetectionReq",
]
STOP = {"SessionStopReq"}
# Written down from the standard's figures once more, apart from the tables of the machine.
LEGAL: dict[str, set[str]] = {
    "SessionSetup": {"SessionSetupReq"},
    "AuthorizationSetup": {"AuthorizationSetupReq"} | STOP,
    "Authorization": {"AuthorizationReq", "CertificateInstallationReq"} | STOP,
    "ServiceDiscovery": {"ServiceDiscoveryReq"} | STOP,
    "ServiceDetail": {"ServiceDetailReq"} | STOP,
    "ServiceSelection": {"ServiceDetailReq", "ServiceSelectionReq"} | STOP,
    "AC_ChargeParameterDiscovery": {"AC_ChargeParameterDiscoveryReq"} | STOP,
    "DC_ChargeParameterDiscovery": {"DC_ChargeParameterDiscoveryReq"} | STOP,
    "ScheduleExchange": {"ScheduleExchangeReq"} | STOP,
    "DC_CableCheck": {"DC_CableCheckReq"} | STOP,
    "DC_PreCharge": {"DC_PreChargeReq"} | STOP,
    "DC_PowerDelivery": {"DC_PreChargeReq", "PowerDeliveryReq"} | STOP,
    "PowerDelivery": {"PowerDeliveryReq"} | STOP,
    "AC_ChargeLoop": {"AC_ChargeLoopReq", "PowerDeliveryReq"},
    "DC_ChargeLoop": {"DC_ChargeLoopReq", "PowerDeliveryReq"},
    "DC_WeldingDetection": {"DC_WeldingDetectionReq"} | STOP,
    "SessionStop": STOP,
}
AC_STATES = [one for one in LEGAL if not one.startswith("DC_")]
DC_STATES = [one for one in LEGAL if not one.startswith("AC_") and one != "PowerDelivery"]
PLACES = [("AC", False, one) for one in AC_STATES] + [("DC", False, one) for one in DC_STATES]
PLACES += [("AC_BPT", True, one) for one in AC_STATES[6:]] + [("DC_BPT", True, one) for one in DC_STATES[6:]]
REQUESTS = [(name, None) for name in COMMON + AC + DC]
SIDES = [
    ("ScheduleExchangeReq", v2gtp.SCHEDULE_RENEGOTIATION),
    ("MeteringConfirmationReq", v2gtp.METERING_CONFIRMATION),
    ("VehicleCheckInReq", v2gtp.PARKING_STATUS),
    ("SessionStopReq", v2gtp.PARKING_STATUS),
]


def over(talk: Talk, at: int) -> None:
    """What happened since `at` is a clean end: off first, then an answer, then the fault, the end and the close."""
    kinds = [type(one) for one in talk.out[at:]]
    assert kinds.count(Ended) == 1 and kinds.count(Close) == 1 and kinds.count(Fault) == 1, kinds
    assert not talk.said(Ended)[-1].ok
    sent = kinds.index(Send)
    assert kinds.index(Fault) > sent and kinds.index(Ended) > sent
    for off in (Requested, ContactorAsked):
        assert all(place < sent for place, kind in enumerate(kinds) if kind is off), "the output goes off first"
    assert talk.machine.output.asked == Requested()
    assert talk.machine.state == "Over" and talk.machine.deadline is None
    before = len(talk.out)
    talk.frame(talk.frame_of("SessionStopReq"))
    talk.elapse(100_000)
    assert len(talk.out) == before, "nothing is said behind the end"


@pytest.mark.parametrize(("service", "dynamic", "state"), PLACES)
def test_every_request_in_every_state(service: Any, dynamic: bool, state: str) -> None:
    assert Talk(service, dynamic=dynamic).to(state).machine.allowed == LEGAL[state]
    for name, payload in REQUESTS + SIDES:
        talk = Talk(service, dynamic=dynamic).to(state)
        at = len(talk.out)
        answer = talk.say(name, payload)
        legal = payload is None and name in LEGAL[state]
        legal |= payload == v2gtp.SCHEDULE_RENEGOTIATION and state.endswith("ChargeLoop")
        if not legal:
            assert answer["ResponseCode"] == "FAILED_SequenceError", (name, state)
            over(talk, at)
        elif answer:
            refused = state.endswith("ChargeLoop") and name == "PowerDeliveryReq"  # it starts what has started
            assert answer["ResponseCode"].startswith("FAILED") is refused, (name, answer)


@pytest.mark.parametrize("state", ["SessionSetup", "ServiceSelection", "DC_ChargeLoop"])
def test_what_other_services_ask_is_no_part_of_this_one(state: str) -> None:
    for name, payload in other_requests():
        talk = Talk("DC").to(state)
        at = len(talk.out)
        frame = talk.frame_of(name, payload)
        talk.frame(frame)
        (sent,) = [one.data for one in talk.out[at:] if type(one) is Send]
        ((_, answer),) = exi.decode(SCHEMAS[sent.type], sent.payload).items()
        assert answer["ResponseCode"].startswith("FAILED")
        over(talk, at)


@pytest.mark.parametrize(("service", "dynamic", "state"), PLACES)
def test_another_session(service: Any, dynamic: bool, state: str) -> None:
    for name in LEGAL[state] - {"SessionSetupReq"}:
        talk = Talk(service, dynamic=dynamic).to(state)
        at = len(talk.out)
        assert talk.say(name, SessionID=b"stranger")["ResponseCode"] == "FAILED_UnknownSession"
        over(talk, at)


@pytest.mark.parametrize(("service", "dynamic", "state"), PLACES)
def test_what_cannot_be_read_is_answered(service: Any, dynamic: bool, state: str) -> None:
    for name in sorted(LEGAL[state]):
        whole = Talk(service, dynamic=dynamic).to(state).frame_of(name).payload
        for broken in (whole[:1], whole[: len(whole) // 2], whole[:-1] + b"\xff\xff\xff", b"", b"\x80\xff\xff"):
            talk = Talk(service, dynamic=dynamic).to(state)
            at = len(talk.out)
            frame = v2gtp.Frame(talk.frame_of(name).type, broken)
            try:
                exi.decode(SCHEMAS[frame.type], broken)
            except exi.DecodeError:
                pass
            else:
                continue
            talk.frame(frame)
            (sent,) = [one.data for one in talk.out[at:] if type(one) is Send]
            ((_, answer),) = exi.decode(SCHEMAS[sent.type], sent.payload).items()
            assert answer["ResponseCode"] == "FAILED"
            over(talk, at)


def test_frames_of_no_conversation_are_counted_and_ignored() -> None:
    talk = Talk("DC").to("DC_ChargeLoop")
    for payload in (v2gtp.SAP, 0x8007, 0x9000, 0xA000, 0xFFFF):
        talk.frame(v2gtp.Frame(payload, b"\x80\x00"))
    assert talk.machine.ignored == 5
    assert talk.machine.state == "DC_ChargeLoop"
    talk.elapse(501)
    assert talk.machine.state == "Over", "and they hold no timer up"


def test_a_response_is_nothing_that_a_vehicle_says() -> None:
    talk = Talk("DC").to("ServiceDiscovery")
    body = {"Header": {"SessionID": talk.session, "TimeStamp": 0}, "ResponseCode": "OK", "EVSEProcessing": "Finished"}
    at = len(talk.out)
    talk.frame(v2gtp.Frame(v2gtp.MAIN, exi.encode("iso20-common", {"AuthorizationRes": body})))
    over(talk, at)


@pytest.mark.parametrize("name", sorted(EMPTY))
def test_every_answer_that_fails_is_one_that_the_schema_takes(name: str) -> None:
    prefix = name.partition("_")[0]
    schemas = {"AC": "iso20-ac", "DC": "iso20-dc", "WPT": "iso20-wpt", "ACDP": "iso20-acdp"}
    body = {"Header": {"SessionID": bytes(8), "TimeStamp": 0}, "ResponseCode": "FAILED"} | EMPTY[name]
    schema = schemas.get(prefix, "iso20-common")
    assert exi.decode(schema, exi.encode(schema, {name: body})) == {name: body}


def test_a_second_request_while_the_first_waits_for_the_contactor() -> None:
    talk = Talk("AC").to("PowerDelivery")
    talk.answers = False
    assert talk.say("PowerDeliveryReq") == {}
    at = len(talk.out)
    assert talk.say("PowerDeliveryReq")["ResponseCode"] == "FAILED_SequenceError"
    over(talk, at)
