"""One connection of a capture, laid out for the rules that say why it ended."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from pilotwire.core.evse_link import Side

from .timeline import Entry, Timeline


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Why a session ended."""

    kind: str
    """The name of the rule of ours that found it."""
    sentence: str
    index: int | None
    """The message it hangs on."""
    rule: str
    """State, timeout, limit or bit, as the standard calls it."""
    side: Side | None
    """Who ended it, or failed."""
    ok: bool = False
    """In order."""
    quirks: tuple[str, ...] = ()
    """What is known of this vehicle and may matter, each with where it was told of."""


Names = Literal["ev", "evse"]
WHO = {"ev": "The car", "evse": "The EVSE"}


class Pair(msgspec.Struct, frozen=True):
    """A request and its answer."""

    request: Entry
    answer: Entry | None


class Talk:
    """The messages of the last connection of a capture that has any, and what lies around them."""

    def __init__(self, timeline: Timeline) -> None:
        self.timeline = timeline
        entries = timeline.entries
        flows = [entry.flow for entry in entries if entry.carrier == "v2g"]
        self.flow = flows[-1] if flows else max((entry.flow for entry in entries if entry.carrier == "tcp"), default=-1)
        self.messages = [entry for entry in entries if entry.carrier == "v2g" and entry.flow == self.flow]
        self.connection = [entry for entry in entries if entry.carrier == "tcp" and entry.flow == self.flow]
        self.sdp = [entry for entry in entries if entry.carrier == "sdp"]
        self.slac = [entry for entry in entries if entry.carrier == "slac"]
        self.end_us = timeline.end_us
        self.pairs = self._pairs()

    @property
    def last(self) -> Entry | None:
        """The last message."""
        return self.messages[-1] if self.messages else None

    @property
    def closing(self) -> Entry | None:
        """How the connection was closed first, and by whom."""
        return next((entry for entry in self.connection if entry.name in ("close", "reset")), None)

    @property
    def schema(self) -> str:
        """The dialect that was spoken."""
        return next((entry.schema for entry in reversed(self.messages) if entry.schema not in ("", "sap")), "sap")

    def named(self, *names: str) -> list[Entry]:
        """Messages of these names."""
        return [entry for entry in self.messages if entry.name in names]

    def request_of(self, answer: Entry) -> Entry | None:
        """What an answer answers."""
        return next((pair.request for pair in self.pairs if pair.answer is answer), None)

    def _pairs(self) -> list[Pair]:
        """Requests with their answers, in order; an answer belongs to the oldest open request of its own name."""
        open_: list[Entry] = []
        answers: dict[int, Entry] = {}
        requests: list[Entry] = []
        for entry in self.messages:
            if entry.name.endswith("Req"):
                open_.append(entry)
                requests.append(entry)
            elif entry.name.endswith("Res") and open_:
                wanted = entry.name.removesuffix("Res")
                request = next((each for each in open_ if each.name.removesuffix("Req") == wanted), open_[-1])
                answers[request.index] = entry
                open_.remove(request)
        return [Pair(request, answers.get(request.index)) for request in requests]


def find(body: Mapping[str, Any], name: str) -> Any:
    """The first value of this name anywhere in a message; None: there is none."""
    if name in body:
        return body[name]
    for value in body.values():
        if isinstance(value, dict):
            inner: dict[str, Any] = value  # pyright: ignore[reportUnknownVariableType]
            found = find(inner, name)
            if found is not None:
                return found
    return None


def told(entry: Entry) -> str:
    """`message 41 (CurrentDemandReq)`."""
    return f"message {entry.index} ({entry.name})"


def said(
    kind: str, sentence: str, entry: Entry | None, rule: str, side: Side | None, *, ok: bool = False
) -> Explanation:
    """An explanation that hangs on a message."""
    index = None if entry is None else entry.index
    return Explanation(kind=kind, sentence=sentence, index=index, rule=rule, side=side, ok=ok)
