"""What a station answered, in plain words."""

from __future__ import annotations

from typing import NamedTuple

from pilotwire.api.problems import Problem
from pilotwire.api.types import CommandAnswer
from pilotwire.api.words import spaced


class Said(NamedTuple):
    """A sentence and whether it is good news."""

    level: str
    """good, warn or bad."""
    text: str


_DONE = {
    "start": "will start charging",
    "stop": "will stop charging",
    "reset": "will restart",
    "unlock": "has unlocked the connector",
}
_GOOD = frozenset({"Accepted", "Unlocked", "AcceptedCanceled"})
_LATER = frozenset({"Scheduled"})


def of_answer(verb: str, answer: CommandAnswer) -> Said:
    """The answer to one of the console's buttons."""
    name = answer.station_id
    if answer.outcome == "refused":
        code = spaced(str(answer.answer.get("code", ""))).lower()
        why = str(answer.answer.get("description") or "")
        return Said("bad", f"{name} refused: {code}" + (f" ({why})." if why else "."))
    status = str(answer.answer.get("status", ""))
    if status in _GOOD:
        return Said("good", f"{name} {_DONE.get(verb, 'accepted')}.")
    if status in _LATER:
        return Said("good", f"{name} {_DONE.get(verb, 'accepted')} as soon as it can.")
    info = answer.answer.get("statusInfo")
    reason = f" ({info['reasonCode']})" if isinstance(info, dict) and info.get("reasonCode") else ""
    if status:
        return Said("warn", f"{name} answered: {spaced(status).lower()}{reason}.")
    return Said("good", f"{name} answered.")


def of_problem(problem: Problem) -> Said:
    """Why there is no answer."""
    return Said("bad", problem.details.detail)
