"""Why a CHAdeMO session ended, from its frames alone: the wires d1, d2 and k are in no log.

The rules by which our own ends stop (`chademo.evse_rules`, `chademo.ev_rules`) are the rules here; in front of them
stand silence, and a session that never began.
"""

from __future__ import annotations

from typing import Any, Final

from pilotwire.core.evse_link import Side
from pilotwire.protocols.chademo import ev_rules, evse_rules
from pilotwire.protocols.chademo.evse_rules import Stage
from pilotwire.protocols.chademo.timers import limit

from .talk import Explanation
from .timeline import Entry, Timeline

_PINS: Final = {"proximity": True, "d1": True, "d2": True, "k": True}
SILENCE_MS: Final = limit("evse", "vehicle frames")


class _State:
    """What has been heard of both, frame by frame."""

    def __init__(self) -> None:
        self.ev: dict[str, Any] = {}
        self.evse: dict[str, Any] = {}
        self.permitted = self.closed = self.targeted = self.powered = self.said_open = False

    def take(self, entry: Entry) -> None:
        (self.ev if entry.side == "ev" else self.evse).update(entry.body)
        if entry.side == "ev":
            self.permitted = self.permitted or bool(self.ev.get("vehicle_charging_enabled"))
            self.said_open = self.said_open or bool(self.ev.get("vehicle_contactor_open"))
            opened = self.ev.get("vehicle_contactor_open")
            self.closed = self.closed or (self.permitted and opened is False and self.said_open)
            self.targeted = self.targeted or bool(self.ev.get("target_battery_voltage"))
        else:
            charging = self.evse.get("charger_charging") and not self.evse.get("charging_stop_control")
            self.powered = self.powered or bool(charging)


def explain_chademo(timeline: Timeline) -> Explanation | None:
    """The first thing that ended it."""
    entries = [entry for entry in timeline.entries if entry.carrier == "chademo" and not entry.error]
    if not entries:
        return None
    state = _State()
    last: dict[str, Entry] = {}
    for entry in entries:
        silent = _silent(state, last, entry.at_us)
        if silent is not None:
            return silent
        state.take(entry)
        if entry.name.startswith(("102 ", "109 ")):
            last[entry.side or ""] = entry
        found = _of_ev(state, entry) if entry.side == "ev" else _of_evse(state, entry)
        if found is not None:
            return found
    silent = _silent(state, last, timeline.end_us)
    return silent if silent is not None else _never_began(state, entries)


def _of_ev(state: _State, entry: Entry) -> Explanation | None:
    if not state.permitted and not any(state.ev.get(name) for name in _FAULTS_BEFORE):
        return None
    found = evse_rules.stop_of(state.ev, _PINS, Stage(state.permitted, state.closed, state.targeted))
    if found is None:
        return None
    sentence = f"{_sentence(found.words)} (message {entry.index}, {found.rule})."
    kind = "chademo vehicle fault" if found.code else "chademo stopped by the vehicle"
    return Explanation(kind=kind, sentence=sentence, index=entry.index, rule=found.rule, side="ev", ok=not found.code)


_FAULTS_BEFORE: Final = (
    "battery_overvoltage", "battery_undervoltage", "battery_current_deviation", "high_battery_temperature",
    "battery_voltage_deviation", "charging_system_fault", "not_in_park", "normal_stop_request",
)  # fmt: skip


def _of_evse(state: _State, entry: Entry) -> Explanation | None:
    found = ev_rules.stop_of(state.evse, _PINS, ready=False, powered=state.powered)
    if found is None:
        return None
    sentence = f"{_sentence(found.words)} (message {entry.index}, {found.rule})."
    kind = "chademo charger fault" if found.code else "chademo stopped by the charger"
    return Explanation(kind=kind, sentence=sentence, index=entry.index, rule=found.rule, side="evse", ok=not found.code)


def _silent(state: _State, last: dict[str, Entry], now_us: int) -> Explanation | None:
    """One of the two has said nothing for too long, in a session that was under way."""
    if not state.permitted:
        return None
    for side, frame, who in (("ev", "102", "the car"), ("evse", "109", "the charger")):
        entry = last.get(side)
        if entry is not None and (now_us - entry.at_us) // 1000 > SILENCE_MS:
            sentence = f"No {frame} of {who} within {SILENCE_MS} ms of message {entry.index}."
            return Explanation(kind=f"chademo {frame} missing", sentence=sentence, index=entry.index,
                               rule=f"{frame}, {SILENCE_MS} ms", side="ev" if side == "ev" else "evse")  # fmt: skip
    return None


def _never_began(state: _State, entries: list[Entry]) -> Explanation:
    tail = entries[-1]

    for holds, kind, words, rule, side in (
        (not state.evse, "charger silent", "The charger sent no frame", "108 and 109", "evse"),
        (not state.ev, "vehicle silent", "The car sent no frame", "CAN start", "ev"),
        (not state.permitted, "no permission", "The car never permitted charging", "102.5.0", "ev"),
        (not state.evse.get("connector_locked"), "not locked", "The charger never locked the plug", "109.5.2", "evse"),
        (not state.closed, "contactors open", "The car never closed its contactors", "102.5.3", "ev"),
        (not state.powered, "never charged", "The charger never began", "109.5.0", "evse"),
    ):
        if holds and not state.powered:
            sentence = f"{words}, up to message {tail.index} ({rule})."
            who: Side = "ev" if side == "ev" else "evse"
            return Explanation(kind=f"chademo {kind}", sentence=sentence, index=tail.index, rule=rule, side=who)
    sentence = f"The log ends while the session goes on: the last is message {tail.index}."
    return Explanation(
        kind="chademo goes on", sentence=sentence, index=tail.index, rule="end of the log", side=None, ok=True
    )  # fmt: skip


def _sentence(words: str) -> str:
    text = words.replace("the vehicle's", "the car's").replace("the vehicle", "the car")
    return text[0].upper() + text[1:]
