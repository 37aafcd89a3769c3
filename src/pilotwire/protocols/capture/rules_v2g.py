"""Why a V2G session ended: one function for each way, in two tables.

`FAULTS` look for something that went wrong; of all that is found the earliest counts, for what comes later follows from
it. `ENDS` are asked in turn when nothing went wrong: the first that fits has it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pilotwire.core.evse_link import Side

from .limits import CABLE_CHECK_MS, ONGOING_MS, SEQUENCE_MS, answer_ms, pre_charge_ms, sequence_timer
from .talk import WHO, Explanation, Talk, find, told
from .timeline import Entry

Rule = Callable[[Talk], Explanation | None]


def _said(
    kind: str, sentence: str, entry: Entry | None, rule: str, side: Side | None, *, ok: bool = False
) -> Explanation:
    index = None if entry is None else entry.index
    return Explanation(kind=kind, sentence=sentence, index=index, rule=rule, side=side, ok=ok)


# ── something went wrong ─────────────────────────────────────────────────────────────────────────────────────────────
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
            return _said("no protocol in common", sentence, entry, code, "evse")
        to = "a message that is not in the capture" if request is None else told(request)
        return _said("failed answer", f"The EVSE answered {code} to {to}.", request or entry, code, "evse")
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
    return _said("warning", sentence, request or before[-1], code, "evse")


def ev_error(talk: Talk) -> Explanation | None:
    """The first message in which the vehicle reports an error of its own."""
    for entry in talk.messages:
        code = find(entry.body, "EVErrorCode") if entry.side == "ev" else None
        if code is not None and code != "NO_ERROR":
            return _said(
                "vehicle error", f"The car reported {code} in {told(entry)}.", entry, f"EVErrorCode {code}", "ev"
            )
    return None


_BAD_STATUS: Final = frozenset({"EVSE_EmergencyShutdown", "EVSE_Malfunction"})


def evse_status(talk: Talk) -> Explanation | None:
    """The first answer whose status says that the station is not fit to charge."""
    for entry in talk.messages:
        status = find(entry.body, "EVSEStatusCode") if entry.side == "evse" else None
        if status in _BAD_STATUS:
            return _said("station status", f"The EVSE reported {status} in {told(entry)}.", entry,
                         f"EVSEStatusCode {status}", "evse")  # fmt: skip
    return None


def isolation(talk: Talk) -> Explanation | None:
    """The isolation monitor found a fault."""
    for entry in talk.messages:
        if entry.side == "evse" and find(entry.body, "EVSEIsolationStatus") == "Fault":
            return _said("isolation fault", f"The EVSE found an isolation fault: {told(entry)}.", entry,
                         "EVSEIsolationStatus Fault", "evse")  # fmt: skip
    return None


def residual_current(talk: Talk) -> Explanation | None:
    """The residual current device has tripped (AC)."""
    for entry in talk.messages:
        if entry.side == "evse" and find(entry.body, "RCD") is True:
            return _said("residual current", f"The EVSE's residual current device had tripped: {told(entry)}.", entry,
                         "RCD true", "evse")  # fmt: skip
    return None


def unreadable(talk: Talk) -> Explanation | None:
    """A message that no grammar reads, or bytes that are no V2GTP."""
    for entry in (*talk.messages, *talk.connection):
        if entry.error and entry.name == "garbage":
            sentence = f"{WHO[entry.side or 'ev']} sent bytes that are no V2GTP (message {entry.index}): {entry.error}."
            return _said("no V2GTP", sentence, entry, "V2GTP header", entry.side)
        if entry.error:
            sentence = f"{WHO[entry.side or 'ev']} sent message {entry.index}, which cannot be read {entry.error}."
            return _said("unreadable message", sentence, entry, "EXI", entry.side)
    return None


def other_answer(talk: Talk) -> Explanation | None:
    """An answer to something that was not asked."""
    for pair in talk.pairs:
        answer = pair.answer
        if answer is not None and answer.name.removesuffix("Res") != pair.request.name.removesuffix("Req"):
            sentence = f"The EVSE answered {answer.name} (message {answer.index}) to {told(pair.request)}."
            return _said("another answer", sentence, answer, "message sequence", "evse")
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
            return _said("late answer", sentence, pair.request, _timeout(pair.request), "evse")
    return None


def no_answer(talk: Talk) -> Explanation | None:
    """The last request was not answered in time."""
    last = talk.last
    if last is None or not last.name.endswith("Req"):
        return None
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
        return _said("closed instead of answered", sentence, last, "TCP", "evse")
    if closing is not None and closing.side == "ev" and waited < most:
        sentence = f"The car closed the connection {waited} ms after {told(last)}, without waiting for the answer."
        return _said("closed while waiting", sentence, last, "TCP", "ev")
    if waited >= most:
        sentence = f"No {answer} within {most} ms of message {last.index} ({_timeout(last)})."
        return _said("no answer", sentence, last, _timeout(last), "evse")
    return None


_TOLERANCE_MS: Final = 10
"""Clocks of captures."""
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
    return _said("took too long", sentence, first, rule, "evse")


FAULTS: Final[tuple[Rule, ...]] = (
    unreadable, ev_error, failed_answer, warned, evse_status, isolation, residual_current, other_answer, took_too_long,
    late_answer, no_answer,
)  # fmt: skip


# ── nothing went wrong, as far as can be seen ────────────────────────────────────────────────────────────────────────
def stopped_in_order(talk: Talk) -> Explanation | None:
    """SessionStopReq and its answer; who wanted it, where that was said."""
    stops = [pair for pair in talk.pairs if pair.request.name == "SessionStopReq"]
    if not stops:
        return None
    request, answer = stops[-1].request, stops[-1].answer
    how = str(request.body.get("ChargingSession", "Terminate"))
    end = f"message {request.index}, SessionStopReq {how}".rstrip()
    if answer is None:
        return None
    notice = next((note for entry in talk.messages if (note := _notice(entry))), None)
    if how == "Pause":
        return _said("paused", f"The car paused the session ({end}).", request, "ChargingSession Pause", "ev", ok=True)
    if notice is not None:
        entry, words = notice
        sentence = (
            f"The EVSE asked to stop (message {entry.index}, {words}), and the car ended the session in order ({end})."
        )
        return _said("stopped by the station", sentence, entry, words, "evse", ok=True)
    explained = request.body.get("EVTerminationExplanation")
    because = f": {explained}" if explained else ""
    return _said("stopped by the car", f"The car ended the session in order ({end}){because}.", request,
                 f"SessionStopReq {how}", "ev", ok=True)  # fmt: skip


def _notice(entry: Entry) -> tuple[Entry, str] | None:
    if entry.side != "evse":
        return None
    notification = find(entry.body, "EVSENotification")
    if notification in ("StopCharging", "Terminate", "Pause"):
        return entry, f"EVSENotification {notification}"
    if find(entry.body, "EVSEStatusCode") == "EVSE_Shutdown":
        return entry, "EVSEStatusCode EVSE_Shutdown"
    return None


def left_without_stop(talk: Talk) -> Explanation | None:
    """The connection was closed behind an answer, without SessionStop."""
    last, closing = talk.last, talk.closing
    if last is None or closing is None or last.name.endswith("Req") or closing.at_us < last.at_us:
        return None
    waited = (closing.at_us - last.at_us) // 1000
    how = "reset" if closing.name == "reset" else "closed"
    most, timer = sequence_timer(last.name)
    if closing.side == "evse" and closing.name == "close" and waited >= most - _TOLERANCE_MS:
        sentence = (
            f"The car sent nothing for {waited} ms after {told(last)}, and the EVSE {how} the connection ({timer})."
        )
        return _said("no next request", sentence, last, timer, "ev")
    notice = next((note for entry in reversed(talk.messages) if (note := _notice(entry))), None)
    because = "" if notice is None else f"; the EVSE had asked to stop (message {notice[0].index}, {notice[1]})"
    who = WHO[closing.side or "ev"]
    sentence = f"{who} {how} the connection {waited} ms after {told(last)}, without SessionStop{because}."
    return _said("left without stop", sentence, last, "TCP", closing.side)


def fell_silent(talk: Talk) -> Explanation | None:
    """Nothing more of the vehicle, and nobody closed."""
    last = talk.last
    if last is None or talk.closing is not None:
        return None
    waited = (talk.end_us - last.at_us) // 1000
    if waited >= SEQUENCE_MS and last.name.endswith("Res"):
        sentence = f"The car sent nothing more after {told(last)} (V2G_SECC_Sequence_Timeout, 60 s)."
        return _said("no next request", sentence, last, "V2G_SECC_Sequence_Timeout", "ev")
    return None


def goes_on(talk: Talk) -> Explanation | None:
    """The capture ends before the session."""
    last = talk.last
    if last is None:
        return None
    sentence = f"The capture ends while the session goes on: the last is {told(last)}."
    return _said("goes on", sentence, last, "end of the capture", None, ok=True)


def encrypted(talk: Talk) -> Explanation | None:
    """Only TLS was seen."""
    tls = next((entry for entry in talk.timeline.entries if entry.name == "tls"), None)
    if tls is None:
        return None
    closing = talk.closing
    end = (
        "" if closing is None else f"; {WHO[closing.side or 'ev'].lower()} {closing.name}s it (message {closing.index})"
    )
    sentence = (
        f"The connection is encrypted with TLS from message {tls.index} on, and what was said cannot be seen{end}."
    )
    return _said("encrypted", sentence, tls, "TLS", None, ok=True)


def no_connection(talk: Talk) -> Explanation | None:
    """Discovery without a connection behind it."""
    if not talk.sdp or talk.messages:
        return None
    asked = [entry for entry in talk.sdp if entry.name == "SDPRequest"]
    answered = [entry for entry in talk.sdp if entry.name == "SDPResponse"]
    if not answered:
        sentence = f"The EVSE answered none of {len(asked)} SDP requests (from message {asked[0].index})."
        return _said("no SDP response", sentence, asked[0], "SDP", "evse")
    answer = answered[-1]
    where = f"[{answer.values.get('address', '')}]:{answer.values.get('port', '')}"
    wanted, given = asked[-1].values.get("security") if asked else None, answer.values.get("security")
    if not talk.connection:
        other = f" The car asked for {wanted}, the EVSE offers {given}." if asked and wanted != given else ""
        sentence = f"The car did not connect to {where} after message {answer.index} (SDPResponse).{other}"
        return _said("no connection", sentence, answer, "SDP", "ev")
    return None


def empty_connection(talk: Talk) -> Explanation | None:
    """A connection on which nothing was said."""
    if talk.messages or not talk.connection:
        return None
    closing = talk.closing
    opened = talk.connection[0]
    if closing is not None and closing.name == "reset" and closing.side == "evse":
        sentence = f"The EVSE refused the connection (message {closing.index})."
        return _said("refused connection", sentence, closing, "TCP", "evse")
    sentence = f"The car connected (message {opened.index}) and said nothing."
    return _said("empty connection", sentence, opened, "supportedAppProtocol", "ev")


_STEPS: Final = (
    ("SlacParmReq", "SlacParmCnf", "No CM_SLAC_PARM.CNF", "TT_match_response", "evse"),
    ("MnbcSoundInd", "AttenCharInd", "No CM_ATTEN_CHAR.IND after the sounds", "TT_EV_atten_results", "evse"),
    ("AttenCharInd", "AttenCharRsp", "No CM_ATTEN_CHAR.RSP", "TT_match_response", "ev"),
    ("AttenCharRsp", "SlacMatchReq", "No CM_SLAC_MATCH.REQ", "TT_EVSE_match_session", "ev"),
    ("SlacMatchReq", "SlacMatchCnf", "No CM_SLAC_MATCH.CNF", "TT_match_response", "evse"),
)


def slac_failed(talk: Talk) -> Explanation | None:
    """SLAC did not come to its end."""
    if not talk.slac or talk.messages or talk.sdp:
        return None
    names = [entry.name for entry in talk.slac]
    if "SlacMatchCnf" in names:
        matched = talk.slac[names.index("SlacMatchCnf")]
        sentence = f"SLAC matched (message {matched.index}), and the car never looked for the EVSE by SDP."
        return _said("no SDP request", sentence, matched, "SDP", "ev")
    for asked, answered, words, rule, side in reversed(_STEPS):
        if asked in names and answered not in names:
            entry = next(each for each in reversed(talk.slac) if each.name == asked)
            who: Side = "ev" if side == "ev" else "evse"
            return _said("SLAC", f"{words} after message {entry.index} ({rule}).", entry, rule, who)
    return None


ENDS: Final[tuple[Rule, ...]] = (
    stopped_in_order, left_without_stop, fell_silent, goes_on, encrypted, no_connection, empty_connection, slac_failed,
)  # fmt: skip


def explain_v2g(talk: Talk) -> Explanation | None:
    """The earliest fault, else how it ended."""
    found = [each for rule in FAULTS if (each := rule(talk)) is not None]
    if found:
        return min(found, key=lambda each: each.index or 0)
    return next((each for rule in ENDS if (each := rule(talk)) is not None), None)


def _timeout(request: Entry) -> str:
    return f"V2G_EVCC_Msg_Timeout_{request.name}"
