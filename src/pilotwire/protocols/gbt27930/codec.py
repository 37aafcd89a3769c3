"""Any message of GB/T 27930 by its parameter group or its name, in either edition."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pilotwire.protocols.can.signals import Message, SignalError
from pilotwire.protocols.j1939 import parse

from .messages import EDITION_2011, EDITION_2015, Edition
from .variable import BY_NAME, BY_PGN

MESSAGES: dict[Edition, dict[str, Message]] = {
    "2011": {each.name: each for each in EDITION_2011},
    "2015": {each.name: each for each in EDITION_2015},
}
_GROUPS: dict[Edition, dict[int, Message]] = {
    edition: {parse(each.id).pgn: each for each in messages.values()} for edition, messages in MESSAGES.items()
}


def find(pgn: int, edition: Edition) -> Message | None:
    """The message of fixed layout of this group, if it is one."""
    return _GROUPS[edition].get(pgn)


def decode(pgn: int, data: bytes, edition: Edition = "2015") -> tuple[str, dict[str, Any]] | None:
    """Name and values; None: no group of the standard. Raises SignalError when it cannot be such a message."""
    message = _GROUPS[edition].get(pgn)
    if message is not None:
        return message.name, message.decode(data)
    variable = BY_PGN.get(pgn)
    return None if variable is None else (variable.name, variable.decode(data))


def encode(name: str, values: Mapping[str, Any], edition: Edition = "2015") -> bytes:
    """The data of a message, as it is sent. Raises KeyError for what the edition does not have."""
    variable = BY_NAME.get(name)
    return variable.encode(values) if variable is not None else MESSAGES[edition][name].encode(values)


def group(name: str, edition: Edition = "2015") -> tuple[int, int]:
    """Parameter group and priority of a message."""
    variable = BY_NAME.get(name)
    if variable is not None:
        return variable.pgn, variable.priority
    identifier = parse(MESSAGES[edition][name].id)
    return identifier.pgn, identifier.priority


def said(name: str, values: Mapping[str, Any]) -> str:
    """What the two-bit fields of BST, CST, BEM, CEM or BSM say that is not as it should be, in words."""
    message = MESSAGES["2015"].get(name)
    if message is None:
        raise SignalError(f"{name} has no such fields")
    words: list[str] = []
    for signal in message.signals:
        value = values.get(signal.name)
        if signal.kind != "choice" or signal.length != 2 or signal.name == "permitted":
            continue
        if value == 1:
            words.append(signal.about)
        elif value == 2 and signal.choices[2] == "too low":
            words.append(signal.about.replace("high", "low"))
    return "; ".join(words)


def faults(name: str, values: Mapping[str, Any], edition: Edition = "2015") -> list[str]:
    """Fields whose values the standard does not allow."""
    message = MESSAGES[edition].get(name)
    return [] if message is None else message.faults(values)
