"""The shape of a translator: a table by action name, and what a peer is told about one that is not served."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pilotwire.core.time import to_datetime
from pilotwire.domain.inputs import Input, Outcome

Read = Callable[[Any], Input]
"""A typed request of the action → what it says, in the words of no version."""
Answer = Callable[[Any, int], msgspec.Struct]
"""(outcome of the decision, now in ms) → the action's typed response."""


class Served(msgspec.Struct, frozen=True):
    """One action that a station sends and that is understood."""

    read: Read
    answer: Answer
    constant: msgspec.Struct | None = None
    """What `answer` always gives, where it does."""


Table = Mapping[str, Served]
"""Action name → how it is served. What is missing here but known to the version is answered NotSupported."""

instant = to_datetime
"""ms since the epoch → the aware date-time of a message."""


def told(read: Read) -> Served:
    """An action that comes as SEND (2.1), which has no answer."""

    def answer(outcome: Outcome, now: int) -> msgspec.Struct:
        raise TypeError("a SEND is not answered")

    return Served(read, answer)


def acknowledged(read: Read, response: msgspec.Struct) -> Served:
    """An action whose answer says nothing. The one object is only ever encoded, never changed."""

    def answer(outcome: Outcome, now: int) -> msgspec.Struct:
        return response

    return Served(read, answer, response)
