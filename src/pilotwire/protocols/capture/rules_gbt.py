"""Why a GB/T 27930 session ended: the reasons of BST and CST, the timeouts of BEM and CEM, silence, or nothing."""

from __future__ import annotations

from typing import Final

from pilotwire.protocols.gbt27930 import said

from .talk import Explanation
from .timeline import Entry, Timeline

_ECHOES: Final = frozenset({"the charger has stopped", "the BMS has stopped"})
"""What BST and CST say when the other one was first."""
_ORDERLY: Final = frozenset(
    {
        "the wanted state of charge is reached", "the total voltage that was set is reached",
        "the cell voltage that was set is reached", "what was set at the charger is reached", "stopped by hand",
        *_ECHOES,
    }
)  # fmt: skip
_WHO: Final = {"ev": "The car", "evse": "The charger"}
_LIMITS: Final = {"BCL": 1_000, "CCS": 1_000, "BCS": 5_000}
"""How long each may be missing while power flows, ms (table 6)."""
_STAGES: Final = (
    (("CHM",), ("BHM",), "No BHM of the car", "handshake"),
    (("BHM",), ("CRM",), "No CRM of the charger", "CRM, which follows the charger's insulation test"),
    (("CRM",), ("BRM",), "No BRM of the car", "BRM, 5 s"),
    (("BRM",), ("BCP",), "No BCP of the car", "BCP, 5 s"),
    (("BCP",), ("CML",), "No CML of the charger", "CTS and CML, 5 s"),
    (("CML",), ("BRO",), "No BRO of the car", "BRO, 5 s"),
    (("BRO",), ("CRO",), "No CRO of the charger", "CRO, 5 s"),
    (("CRO",), ("BCL",), "No BCL of the car", "BCL, 1 s"),
    (("BCL",), ("CCS",), "No CCS of the charger", "CCS, 1 s"),
)


def explain_gbt(timeline: Timeline) -> Explanation | None:
    """The first thing that ended it."""
    entries = [entry for entry in timeline.entries if entry.carrier == "gbt27930"]
    if not entries:
        return None
    for entry in entries:
        found = _reason(entry)
        if found is not None:
            return found
    return _silent(timeline, entries) or _stage(timeline, entries) or _goes_on(entries)


def _reason(entry: Entry) -> Explanation | None:
    if entry.error or entry.name not in ("BEM", "CEM", "BST", "CST"):
        return None
    words = said(entry.name, entry.body)
    who = _WHO[entry.side or "ev"]
    if entry.name in ("BEM", "CEM"):
        sentence = f"{who} reported a timeout: {words or 'no reason given'} (message {entry.index}, {entry.name})."
        rule = f"{entry.name}: {words}"
        return Explanation(kind=f"gbt {entry.name}", sentence=sentence, index=entry.index, rule=rule, side=entry.side)
    reasons = set(words.split("; ")) if words else set[str]()
    ok = reasons <= _ORDERLY
    sentence = f"{who} ended charging: {words or 'no reason given'} (message {entry.index}, {entry.name})."
    return Explanation(kind=f"gbt {entry.name}", sentence=sentence, index=entry.index, rule=f"{entry.name}: {words}",
                       side=entry.side, ok=ok)  # fmt: skip


def _silent(timeline: Timeline, entries: list[Entry]) -> Explanation | None:
    """A message that must come again and again has stopped coming."""
    last = {entry.name: entry for entry in entries if entry.name in _LIMITS}
    if not {"BCL", "CCS"} <= set(last):
        return None
    for name, entry in sorted(last.items(), key=lambda item: item[1].at_us):
        missing = (timeline.end_us - entry.at_us) // 1000
        if missing > _LIMITS[name]:
            who = "the car" if entry.side == "ev" else "the charger"
            sentence = f"No {name} of {who} within {_LIMITS[name]} ms of message {entry.index}."
            return Explanation(kind=f"gbt {name} missing", sentence=sentence, index=entry.index,
                               rule=f"{name}, {_LIMITS[name]} ms", side=entry.side)  # fmt: skip
    return None


def _stage(timeline: Timeline, entries: list[Entry]) -> Explanation | None:
    """The step of the sequence that was never answered."""
    names = {entry.name for entry in entries}
    for before, after, words, rule in reversed(_STAGES):
        if set(before) & names and not set(after) & names:
            entry = next(each for each in entries if each.name in before)
            if (timeline.end_us - entry.at_us) // 1000 < 1_000:
                return None
            side = "ev" if "car" in words else "evse"
            sentence = f"{words} after {entry.name} (message {entry.index}; {rule})."
            return Explanation(kind=f"gbt no {after[0]}", sentence=sentence, index=entry.index, rule=rule, side=side)
    return None


def _goes_on(entries: list[Entry]) -> Explanation:
    last = entries[-1]
    sentence = f"The log ends while the session goes on: the last is message {last.index} ({last.name})."
    return Explanation(
        kind="gbt goes on", sentence=sentence, index=last.index, rule="end of the log", side=None, ok=True
    )
