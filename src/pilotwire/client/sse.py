"""Server-sent events (HTML Living Standard 9.2.6), without a connection: bytes in, events out."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple, TypeVar

import msgspec

from pilotwire.api import types

from .errors import StrangeAnswer

T = TypeVar("T")

SILENCE_S = 45.0
"""The server says something every 15 s; after three times that the connection is taken for dead."""


class Message(NamedTuple):
    """One event of a stream."""

    event: str
    data: str
    id: str
    """The newest id of the stream so far; "" before the first."""


class Parser:
    """Feed it bytes as they come. Only line feeds (with or without a carriage return) end a line."""

    def __init__(self, last_id: str = "") -> None:
        self._rest = b""
        self._event = ""
        self._data: list[str] = []
        self.last_id = last_id
        self.retry_s: float | None = None
        """The wait before a reconnection that the server asked for."""

    def feed(self, data: bytes) -> Iterator[Message]:
        """The events that this piece completes."""
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for raw in lines:
            message = self._line(raw.removesuffix(b"\r").decode("utf-8", "replace"))
            if message is not None:
                yield message

    def _line(self, line: str) -> Message | None:
        if not line:
            return self._dispatch()
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            self._event = value
        elif name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self.last_id = value
        elif name == "retry" and value.isascii() and value.isdigit():
            self.retry_s = int(value) / 1000
        return None

    def _dispatch(self) -> Message | None:
        event, data = self._event or "message", self._data
        self._event, self._data = "", []
        return Message(event, "\n".join(data), self.last_id) if data else None


class Lagged(msgspec.Struct, frozen=True):
    """This client was too slow: so many frames passed unseen."""

    frames: int


def live_of(message: Message) -> types.Overview | types.LiveUpdate | None:
    """A message of `/live`."""
    if message.event == "snapshot":
        return _decode(message, types.Overview)
    return _decode(message, types.LiveUpdate) if message.event == "update" else None


def event_of(message: Message) -> types.JournalEvent | None:
    """A message of `/events`. A `lagged` needs no care: the server replays from the journal what was missed."""
    return _decode(message, types.JournalEvent) if message.event == "facts" else None


def frame_of(message: Message) -> types.FrameShown | Lagged | None:
    """A message of `/frames`."""
    if message.event == "frame":
        return _decode(message, types.FrameShown)
    return _decode(message, Lagged) if message.event == "lagged" else None


def job_of(message: Message) -> types.Job | None:
    """A message of a job's stream."""
    return _decode(message, types.Job) if message.event == "job" else None


def controller_of(message: Message) -> types.SiteNow | None:
    """A message of a site's stream. After an `away` the server ends it, and it is opened again."""
    return _decode(message, types.SiteNow) if message.event == "now" else None


def job_ended(job: types.Job) -> bool:
    """Whether its stream ends with this."""
    return job.ended_at is not None


def _decode(message: Message, kind: type[T]) -> T:
    try:
        return msgspec.json.decode(message.data, type=kind)
    except msgspec.DecodeError as error:
        raise StrangeAnswer(f"the stream's {message.event} is not a {kind.__name__}: {error}") from error
