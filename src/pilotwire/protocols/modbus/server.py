"""The server's end of one connection or bus: requests come out as events, answers go in as commands.

What is no request is answered with the standard's exception without anybody being asked. On a bus a server is silent
for units that are not its own, and never answers a request after the next has come: somebody else may be speaking.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from pilotwire.core.machines import Close, Send

from .adu import Adu, RtuDecoder, TcpDecoder, encode_rtu, encode_tcp
from .errors import FrameError, ModbusException, RequestError
from .pdu import Request, Response, decode_request, encode_exception, encode_response, function_of, writes


class ServerConfig(msgspec.Struct, frozen=True, kw_only=True):
    """How a server behaves on one connection."""

    framing: Literal["tcp", "rtu"] = "tcp"
    units: frozenset[int] | None = None
    """The units that there are; None: all. On a bus they have to be named."""
    window: int = 16
    """TCP: requests of one client that the application has at once; RTU has 1 always."""
    queue: int = 64
    """TCP: requests of one client that wait behind those; what is beyond is answered with "busy" (6)."""
    idle_ms: int = 300_000
    """TCP: a client that says nothing for so long is hung up on. 0: never."""
    partial_ms: int = 2000
    """TCP: how long the rest of a frame may take."""
    silence_ms: int = 20
    """RTU: what is left over after so long without a byte is thrown away. A frame never waits for it."""


class Requested(msgspec.Struct, frozen=True):
    """Event: a request. It wants one `Reply` with the same number; a broadcast too, though nothing is sent then."""

    number: int
    unit: int
    request: Request
    broadcast: bool = False


class Reply(msgspec.Struct, frozen=True):
    """Command: the answer to a request."""

    number: int
    outcome: Response | ModbusException


class ServerCounts(msgspec.Struct):
    """What has happened on one connection."""

    requests: int = 0
    answered: int = 0
    exceptions: int = 0
    """Of the answers: exception responses."""
    malformed: int = 0
    """Requests that were none, and headers that were none."""
    foreign: int = 0
    """Requests to units that are not ours."""
    busy: int = 0
    stale: int = 0
    """Answers that came too late to be sent."""
    broken: int = 0
    """Answers of the application that were no answer to their request; the client was told exception 4."""


class ModbusServer:
    """A `Machine`; its carrier's unit is a chunk of bytes."""

    def __init__(self, config: ServerConfig, now: int = 0) -> None:
        if config.framing == "rtu" and config.units is None:
            raise RequestError("a server on a bus has to know which units are its own")
        self.config = config
        self.counts = ServerCounts()
        self._rtu = config.framing == "rtu"
        self._decoder: TcpDecoder | RtuDecoder = RtuDecoder("server") if self._rtu else TcpDecoder()
        self._open: dict[int, tuple[Adu, Request]] = {}
        self._behind: deque[tuple[Adu, Request]] = deque()
        self._number = 0
        self._heard = now
        self._part_since = now
        self._over = False

    @property
    def deadline(self) -> int | None:
        if self._over:
            return None
        if self._decoder.pending:
            return self._heard + self.config.silence_ms if self._rtu else self._part_since + self.config.partial_ms
        if self._rtu or not self.config.idle_ms:
            return None
        return self._heard + self.config.idle_ms

    def receive(self, data: bytes, now: int) -> Sequence[Any]:
        if self._over:
            return ()
        effects: list[Any] = []
        if self._rtu and self._decoder.pending and now >= self._heard + self.config.silence_ms:
            effects += self._frames(self._decoder.silence())
        self._heard = now
        if not self._decoder.pending:
            self._part_since = now
        try:
            frames = self._decoder.feed(data)
        except FrameError as error:
            self.counts.malformed += 1
            return self._close(str(error))
        if frames:
            self._part_since = now
        effects += self._frames(frames)
        return effects

    def elapse(self, now: int) -> Sequence[Any]:
        due = self.deadline
        if due is None or now < due:
            return ()
        if self._rtu:
            return self._frames(self._decoder.silence())
        return self._close("a frame that did not go on" if self._decoder.pending else "nothing was asked for long")

    def lost(self, now: int) -> Sequence[Any]:
        self._over = True
        self._open.clear()
        self._behind.clear()
        return ()

    def command(self, command: Reply, now: int) -> Sequence[Any]:
        """Answer a request."""
        found = self._open.pop(command.number, None)
        if found is None:
            self.counts.stale += 1
            return ()
        frame, request = found
        if self._rtu and frame.unit == 0:
            return ()
        return [self._answer(frame, request, command.outcome), *self._go_on()]

    def _answer(self, frame: Adu, request: Request, outcome: Response | ModbusException) -> Send:
        if isinstance(outcome, ModbusException):
            return self._refuse(frame, outcome.code)
        try:
            pdu = encode_response(request, outcome)
        except RequestError:
            self.counts.broken += 1
            return self._refuse(frame, 4)
        self.counts.answered += 1
        return Send(self._wrap(frame, pdu))

    def _close(self, reason: str) -> Sequence[Any]:
        self._over = True
        self._open.clear()
        self._behind.clear()
        return [Close(reason=reason)]

    def _wrap(self, frame: Adu, pdu: bytes) -> bytes:
        return encode_rtu(frame.unit, pdu) if self._rtu else encode_tcp(frame.transaction, frame.unit, pdu)

    def _refuse(self, frame: Adu, code: int) -> Send:
        self.counts.answered += 1
        self.counts.exceptions += 1
        return Send(self._wrap(frame, encode_exception(frame.pdu[0], code)))

    def _frames(self, frames: Sequence[Adu]) -> list[Any]:
        effects: list[Any] = []
        units = self.config.units
        for frame in frames:
            broadcast = self._rtu and frame.unit == 0
            if units is not None and frame.unit not in units and not broadcast:
                self.counts.foreign += 1
                if not self._rtu:
                    effects.append(self._refuse(frame, 11))
                continue
            self.counts.requests += 1
            try:
                request = decode_request(frame.pdu)
            except ModbusException as error:
                self.counts.malformed += 1
                if not broadcast:
                    effects.append(self._refuse(frame, error.code))
                continue
            if broadcast and not (writes(request) and function_of(request) != 23):
                self.counts.malformed += 1
                continue
            if self._rtu:
                self._open.clear()
                self._behind.clear()
            elif len(self._behind) >= self.config.queue:
                self.counts.busy += 1
                effects.append(self._refuse(frame, 6))
                continue
            self._behind.append((frame, request))
            effects += self._go_on()
        return effects

    def _go_on(self) -> list[Any]:
        """Hand out what may be handed out now."""
        effects: list[Any] = []
        window = 1 if self._rtu else self.config.window
        while self._behind and len(self._open) < window:
            frame, request = self._behind.popleft()
            self._number += 1
            self._open[self._number] = (frame, request)
            effects.append(Requested(self._number, frame.unit, request, self._rtu and frame.unit == 0))
        return effects
