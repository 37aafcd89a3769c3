"""What can go wrong in a V2G session: one function for each way. Each finds the first time that it did."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from .limits import CABLE_CHECK_MS, ONGOING_MS, answer_ms, pre_charge_ms
from .talk import WHO, Explanation, Talk, find, said, told
from .timeline import Entry

Rule = Callable[[Talk], Explanation | None]


def failed_answer(talk: Talk) -> Explanation | None:
    """The first answer whose ResponseCode says that it failed."""
    for entry in talk.messages:
        code = str(entry.body.get("ResponseCode", ""))
        if not code.upper().startswith("FAILED"):
            continue
        request = talk.request_of(entry)
        if code == "Failed_NoNegotiation":
            wanted = ""
            if request is not None:
                wanted = ", ".join(str(each["ProtocolNamespace"]) for each in request.body["AppProtocol"])
            sentence = f"The EVSE speaks none of the car's protocols (message {entry.index}, {code}): {wanted}."
            return said("no protocol in common", sentence, entry, code, "evse")
        to = "a message that is not in the capture" if request is None else told(request)
        return said("failed answer", f"The EVSE answered {code} to {to}.", request or entry, code, "evse")
    return None


def warned(talk: Talk) -> Explanation | None:
    """The last answer before the vehicle's stop was a warning (-20): the session cannot go on as it was wanted."""
    stop = next((entry for entry in talk.messages if entry.name == "SessionStopReq"), None)
    if stop is None:
        return None
    before = [entry for entry in talk.messages if entry.index < stop.index and entry.side == "evse"]
    code = str(before[-1].body.get("ResponseCode", "")) if before else ""
    if not code.startswith("WARNING_"):
        return None
    request = talk.request_of(before[-1])
    to = "a message that is not in the capture" if request is None else told(request)
    sentence = f"The EVSE answered {code} to {to}, and the car ended the session (message {stop.index})."
    return said("warning", sentence, request or before[-1], code, "evse")


_NO_ERROR: Final = frozenset({"NO_ERROR", "OK_NoEVError"})


def ev_error(talk: Talk) -> Explanation | None:
    """The first message in which the vehicle reports an error of its own."""
    for entry in talk.messages:
        code = find(entry.body, "EVErrorCode") if entry.side == "ev" else None
        if code is not None and code not in _NO_ERROR:
            return said(
                "vehicle error", f"The car reported {code} in {told(entry)}.", entry, f"EVErrorCode {code}", "ev"
            )
    return None


_BAD_STATUS: Final = frozenset({"EVSE_EmergencyShutdown", "EVSE_Malfunction"})


def evse_status(talk: Talk) -> Explanation | None:
    """The first answer whose status says that the station is not fit to charge."""
    for entry in talk.messages:
        status = find(entry.body, "EVSEStatusCode") if entry.side == "evse" else None
        if status in _BAD_STATUS:
            return said("station status", f"The EVSE reported {status} in {told(entry)}.", entry,
                         f"EVSEStatusCode {status}", "evse")  # fmt: skip
    return None


def isolation(talk: Talk) -> Explanation | None:
    """The isolation monitor found a fault."""
    for entry in talk.messages:
        if entry.side == "evse" and find(entry.body, "EVSEIsolationStatus") == "Fault":
            return said("isolation fault", f"The EVSE found an isolation fault: {told(entry)}.", entry,
                         "EVSEIsolationStatus Fault", "evse")  # fmt: skip
    return None


def residual_current(talk: Talk) -> Explanation | None:
    """The residual current device has tripped (AC)."""
    for entry in talk.messages:
        if entry.side == "evse" and find(entry.body, "RCD") is True:
            return said("residual current", f"The EVSE's residual current device had tripped: {told(entry)}.", entry,
                         "RCD true", "evse")  # fmt: skip
    return None


def unreadable(talk: Talk) -> Explanation | None:
    """A message that no grammar reads, or bytes that are no V2GTP."""
    for entry in (*talk.messages, *talk.connection):
        if entry.error and entry.name == "garbage":
            sentence = f"{WHO[entry.side or 'ev']} sent bytes that are no V2GTP (message {entry.index}): {entry.error}."
            return said("no V2GTP", sentence, entry, "V2GTP header", entry.side)
        if entry.error:
            sentence = f"{WHO[entry.side or 'ev']} sent message {entry.index}, which cannot be read {entry.error}."
            return said("unreadable message", sentence, entry, "EXI", entry.side)
    return None


def other_answer(talk: Talk) -> Explanation | None:
    """An answer to something that was not asked."""
    for pair in talk.pairs:
        answer = pair.answer
        if answer is not None and answer.name.removesuffix("Res") != pair.request.name.removesuffix("Req"):
            sentence = f"The EVSE answered {answer.name} (message {answer.index}) to {told(pair.request)}."
            return said("another answer", sentence, answer, "message sequence", "evse")
    return None


def late_answer(talk: Talk) -> Explanation | None:
    """An answer that came too late, behind which the vehicle said nothing more but the end."""
    for pair in talk.pairs:
        if pair.answer is None:
            continue
        took = (pair.answer.at_us - pair.request.at_us) // 1000
        most = answer_ms(pair.request.name, pair.request.schema)
        later = [entry for entry in talk.messages if entry.index > pair.answer.index and entry.side == "ev"]
        if took > most and all(entry.name in ("SessionStopReq", "PowerDeliveryReq") for entry in later):
            sentence = (
                f"{pair.answer.name} came {took} ms after {told(pair.request)}; the car waits for {most} ms "
                f"({_timeout(pair.request)})."
            )
            return said("late answer", sentence, pair.request, _timeout(pair.request), "evse")
    return None


_SIDE_STREAMS: Final = frozenset({"ACDP_SystemStatusReq", "MeteringConfirmationReq"})
"""Requests that go beside the main stream (-20): they are sent while another waits for its answer."""


def no_answer(talk: Talk) -> Explanation | None:
    """The last request was not answered in time."""
    answered = max((entry.index for entry in talk.messages if entry.name.endswith("Res")), default=0)
    requests = [pair.request for pair in talk.pairs]
    open_ = [
        pair.request
        for pair in talk.pairs
        if pair.answer is None
        and (pair.request.index > answered or pair.request.name not in _SIDE_STREAMS)
        and all(later.name in _SIDE_STREAMS for later in requests if later.index > pair.request.index)
    ]
    if not open_:
        return None
    # Of side streams (-20) several may be open: the one whose time is over first.
    last = min(open_, key=lambda entry: entry.at_us + answer_ms(entry.name, entry.schema) * 1_000)
    most = answer_ms(last.name, last.schema)
    closing = talk.closing
    until = talk.end_us if closing is None else closing.at_us
    waited = (until - last.at_us) // 1000
    answer = last.name.removesuffix("Req") + "Res"
    if closing is not None and closing.at_us < last.at_us:
        return None
    if closing is not None and closing.side == "evse" and waited < most:
        how = "reset" if closing.name == "reset" else "closed"
        sentence = f"The EVSE {how} the connection {waited} ms after {told(last)} instead of answering."
        return said("closed instead of answered", sentence, last, "TCP", "evse")
    if closing is not None and closing.side == "ev" and waited < most:
        sentence = f"The car closed the connection {waited} ms after {told(last)}, without waiting for the answer."
        return said("closed while waiting", sentence, last, "TCP", "ev")
    if waited >= most:
        sentence = f"No {answer} within {most} ms of message {last.index} ({_timeout(last)})."
        return said("no answer", sentence, last, _timeout(last), "evse")
    return None


_TOO_LONG: Final = {
    "CableCheck": "V2G_EVCC_CableCheck_Timeout",
    "DC_CableCheck": "V2G_EVCC_CableCheck_Timeout",
    "PreCharge": "V2G_EVCC_PreCharge_Timeout",
    "DC_PreCharge": "V2G_EVCC_PreCharge_Timeout",
}


def took_too_long(talk: Talk) -> Explanation | None:
    """The vehicle asked the same again and again until a timer of its own ran out."""
    if not talk.pairs:
        return None
    last = talk.pairs[-1].request
    tail = list(reversed(talk.pairs))
    while tail and tail[0].request.name in ("SessionStopReq", "PowerDeliveryReq", "WeldingDetectionReq"):
        tail.pop(0)
    if not tail:
        return None
    name = tail[0].request.name
    pair = name.removesuffix("Req")
    run = [tail[0]]
    for each in tail[1:]:
        if each.request.name != name:
            break
        run.append(each)
    first, final = run[-1].request, run[0].answer or run[0].request
    until = max(final.at_us, last.at_us)
    closing = talk.closing
    if closing is not None and closing.side == "ev" and final is talk.last:
        until = max(until, closing.at_us)  # it waited for its own inlet, and gave up
    took = (until - first.at_us) // 1000
    ongoing = str(find(final.body, "EVSEProcessing") or "").startswith("Ongoing")
    if pair in _TOO_LONG:
        most = CABLE_CHECK_MS if "Cable" in pair else pre_charge_ms(first.schema)
        rule = _TOO_LONG[pair]
    elif ongoing:
        most, rule = ONGOING_MS, "V2G_EVCC_Ongoing_Timeout"
    else:
        return None
    if took < most - 1_000:
        return None
    sentence = (
        f"{pair} was not finished after {took} ms, from message {first.index} to {final.index}; "
        f"the car waits for {most} ms ({rule})."
    )
    return said("took too long", sentence, first, rule, "evse")


FAULTS: Final[tuple[Rule, ...]] = (
    unreadable, ev_error, failed_answer, warned, evse_status, isolation, residual_current, other_answer, took_too_long,
    late_answer, no_answer,
)  # fmt: skip


def _timeout(request: Entry) -> str:
    return f"V2G_EVCC_Msg_Timeout_{request.name}"
