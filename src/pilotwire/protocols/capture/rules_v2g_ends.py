"""How a V2G session ended in which nothing went wrong, as far as can be seen: asked in turn, the first that fits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from pilotwire.core.evse_link import Side

from .limits import SEQUENCE_MS, sequence_timer
from .talk import WHO, Explanation, Talk, find, said, told
from .timeline import Entry

Rule = Callable[[Talk], Explanation | None]
_TOLERANCE_MS: Final = 10
"""Clocks of captures."""


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
        return said("paused", f"The car paused the session ({end}).", request, "ChargingSession Pause", "ev", ok=True)
    if notice is not None:
        entry, words = notice
        sentence = (
            f"The EVSE asked to stop (message {entry.index}, {words}), and the car ended the session in order ({end})."
        )
        return said("stopped by the station", sentence, entry, words, "evse", ok=True)
    explained = request.body.get("EVTerminationExplanation")
    because = f": {explained}" if explained else ""
    return said("stopped by the car", f"The car ended the session in order ({end}){because}.", request,
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
        return said("no next request", sentence, last, timer, "ev")
    notice = next((note for entry in reversed(talk.messages) if (note := _notice(entry))), None)
    because = "" if notice is None else f"; the EVSE had asked to stop (message {notice[0].index}, {notice[1]})"
    who = WHO[closing.side or "ev"]
    sentence = f"{who} {how} the connection {waited} ms after {told(last)}, without SessionStop{because}."
    return said("left without stop", sentence, last, "TCP", closing.side)


def fell_silent(talk: Talk) -> Explanation | None:
    """Nothing more of the vehicle, and nobody closed."""
    last = talk.last
    if last is None or talk.closing is not None:
        return None
    waited = (talk.end_us - last.at_us) // 1000
    if waited >= SEQUENCE_MS and last.name.endswith("Res"):
        sentence = f"The car sent nothing more after {told(last)} (V2G_SECC_Sequence_Timeout, 60 s)."
        return said("no next request", sentence, last, "V2G_SECC_Sequence_Timeout", "ev")
    return None


def goes_on(talk: Talk) -> Explanation | None:
    """The capture ends before the session."""
    last = talk.last
    if last is None:
        return None
    sentence = f"The capture ends while the session goes on: the last is {told(last)}."
    return said("goes on", sentence, last, "end of the capture", None, ok=True)


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
    return said("encrypted", sentence, tls, "TLS", None, ok=True)


def no_connection(talk: Talk) -> Explanation | None:
    """Discovery without a connection behind it."""
    if not talk.sdp or talk.messages:
        return None
    asked = [entry for entry in talk.sdp if entry.name == "SDPRequest"]
    answered = [entry for entry in talk.sdp if entry.name == "SDPResponse"]
    if not answered:
        sentence = f"The EVSE answered none of {len(asked)} SDP requests (from message {asked[0].index})."
        return said("no SDP response", sentence, asked[0], "SDP", "evse")
    answer = answered[-1]
    where = f"[{answer.values.get('address', '')}]:{answer.values.get('port', '')}"
    wanted, given = asked[-1].values.get("security") if asked else None, answer.values.get("security")
    if not talk.connection:
        other = f" The car asked for {wanted}, the EVSE offers {given}." if asked and wanted != given else ""
        sentence = f"The car did not connect to {where} after message {answer.index} (SDPResponse).{other}"
        return said("no connection", sentence, answer, "SDP", "ev")
    return None


def empty_connection(talk: Talk) -> Explanation | None:
    """A connection on which nothing was said."""
    if talk.messages or not talk.connection:
        return None
    closing = talk.closing
    opened = talk.connection[0]
    if closing is not None and closing.name == "reset" and closing.side == "evse":
        sentence = f"The EVSE refused the connection (message {closing.index})."
        return said("refused connection", sentence, closing, "TCP", "evse")
    sentence = f"The car connected (message {opened.index}) and said nothing."
    return said("empty connection", sentence, opened, "supportedAppProtocol", "ev")


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
        return said("no SDP request", sentence, matched, "SDP", "ev")
    for asked, answered, words, rule, side in reversed(_STEPS):
        if asked in names and answered not in names:
            entry = next(each for each in reversed(talk.slac) if each.name == asked)
            who: Side = "ev" if side == "ev" else "evse"
            return said("SLAC", f"{words} after message {entry.index} ({rule}).", entry, rule, who)
    return None


ENDS: Final[tuple[Rule, ...]] = (
    stopped_in_order, left_without_stop, fell_silent, goes_on, encrypted, no_connection, empty_connection, slac_failed,
)  # fmt: skip
