"""One OCPP-J connection as the kit sees it: every frame is kept, every frame of the peer is judged strictly.

Not our RPC machine: that one tolerates, and hides what it tolerates. This one only reads, notes what is wrong, and goes
on as well as it can, so that a case can tell what came.
"""

from __future__ import annotations

import asyncio
import json
import time
from decimal import Decimal
from typing import Any, Protocol
from uuid import uuid4

import msgspec
from websockets.asyncio.connection import Connection
from websockets.exceptions import ConnectionClosed

from pilotwire.core.errors import LocalError
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.protocols.ocpp.rpc import errors
from pilotwire.protocols.ocpp.rpc.errors import RpcError, wire_code

_COMMON = (
    errors.NOT_IMPLEMENTED,
    errors.NOT_SUPPORTED,
    errors.INTERNAL_ERROR,
    errors.PROTOCOL_ERROR,
    errors.SECURITY_ERROR,
    errors.PROPERTY_CONSTRAINT,
    errors.TYPE_CONSTRAINT,
    errors.GENERIC_ERROR,
)
CODES = {
    "1.6": frozenset({*_COMMON, "FormationViolation", "OccurenceConstraintViolation"}),
    "2.0.1": frozenset(
        {
            *_COMMON,
            errors.FORMAT_VIOLATION,
            errors.OCCURRENCE_CONSTRAINT,
            errors.MESSAGE_TYPE_NOT_SUPPORTED,
            errors.RPC_FRAMEWORK_ERROR,
        }
    ),
}
CODES["2.1"] = CODES["2.0.1"]
"""The error codes of each version, in its own spelling (1.6-J errata ch. 5; 2.x part 4 table 7)."""

MAX_ID = 36
_ERRORS = {4: "CALLERROR", 5: "CALLRESULTERROR"}


class KitError(LocalError):
    """A case of the kit itself is wrong: it would send what the schema refuses."""


class Frame(msgspec.Struct, kw_only=True):
    """One text frame, or an event of the connection."""

    at: float
    """Seconds since the connection was opened."""
    ours: bool
    text: str
    fault: str = ""
    """What is wrong with it, if it is the peer's."""


class Incoming(msgspec.Struct, kw_only=True):
    """A CALL or SEND of the peer."""

    id: str
    action: str
    payload: Any
    fault: str = ""
    is_send: bool = False


class Answer(msgspec.Struct, kw_only=True):
    """What came back for a CALL of ours."""

    payload: Any = None
    code: str = ""
    """Of a CALLERROR; empty for a CALLRESULT."""
    description: str = ""
    fault: str = ""


class Sink(Protocol):
    """Who plays on a wire."""

    def frame(self, frame: Frame) -> None: ...

    def called(self, wire: Wire, call: Incoming) -> None: ...

    def lost(self, wire: Wire, code: int) -> None: ...


class Wire:
    """See the module. `run` reads until the connection ends."""

    def __init__(self, connection: Connection, version: str, sink: Sink) -> None:
        self.connection = connection
        self.version = ocpp.load(version)
        self.sink = sink
        self.closed = asyncio.Event()
        self.close_code = 0
        self._codes = CODES[version]
        self._begin = time.monotonic()
        self._waiting: dict[str, tuple[str, asyncio.Future[Answer]]] = {}
        self._raw: dict[str, asyncio.Future[Answer]] = {}
        self._over: set[str] = set()
        self._open: set[str] = set()
        self._seen: dict[str, str] = {}

    # -- out ----------------------------------------------------------------------------------------------------------
    async def call(self, action: str, payload: Any, timeout_s: float) -> Answer | None:
        """Send a CALL; None when nothing comes back in time. Raises KitError where the schema would refuse it."""
        message_id = uuid4().hex
        text = json.dumps([2, message_id, action, payload], default=_number, separators=(",", ":"))
        self._check_own(action, payload)
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[message_id] = action, future
        await self.write(text)
        try:
            async with asyncio.timeout(timeout_s):
                return await future
        except TimeoutError:
            self._over.add(message_id)
            return None
        finally:
            self._waiting.pop(message_id, None)

    def await_raw(self, message_id: str) -> asyncio.Future[Answer]:
        """The answer that will bear this id, to a frame that is sent as it is."""
        future: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._raw[message_id] = future
        return future

    async def result(self, call: Incoming, payload: Any) -> None:
        """Answer a CALL. Raises KitError where the schema would refuse the answer."""
        action = self.version.actions[call.action]
        try:
            action.decode_response(_bytes(payload), tolerant=False)
        except RpcError as error:
            raise KitError(f"the kit's answer to {call.action} is not valid: {error}") from error
        self._open.discard(call.id)
        await self.write(json.dumps([3, call.id, payload], default=_number, separators=(",", ":")))

    async def empty(self, call: Incoming) -> asyncio.Future[Answer]:
        """Answer a CALL with an empty payload, whatever its schema demands; gives what comes back to that."""
        self._open.discard(call.id)
        complaint = self.await_raw(call.id)
        await self.write(json.dumps([3, call.id, {}], separators=(",", ":")))
        return complaint

    async def refuse(self, call: Incoming, code: str, description: str = "") -> None:
        self._open.discard(call.id)
        code = wire_code(code, self.version.name)
        await self.write(json.dumps([4, call.id, code, description[:255], {}], separators=(",", ":")))

    async def write(self, text: str) -> None:
        """Send a text frame as it is; nothing when the connection is gone."""
        self._note(text, ours=True)
        try:
            await self.connection.send(text)
        except ConnectionClosed:
            self.closed.set()

    async def close(self) -> None:
        await self.connection.close()

    # -- in -----------------------------------------------------------------------------------------------------------
    async def run(self) -> None:
        """Read until the connection ends."""
        try:
            async for message in self.connection:
                if isinstance(message, bytes):
                    self._note(repr(message[:200]), fault="a binary frame; OCPP-J sends text")
                    continue
                await self._receive(message)
        except ConnectionClosed:
            pass
        finally:
            self.close_code = self.connection.close_code or 1006
            self.closed.set()
            for _, future in list(self._waiting.values()):
                if not future.done():
                    future.cancel()
            for future in self._raw.values():
                if not future.done():
                    future.cancel()
            self.sink.lost(self, self.close_code)

    async def _receive(self, text: str) -> None:
        try:
            message = json.loads(text, parse_float=Decimal)
        except ValueError:
            self._note(text, fault="not JSON")
            return
        if not isinstance(message, list) or not message or type(message[0]) is not int:
            self._note(text, fault="no OCPP-J message: a JSON array that begins with its type's number")
            return
        kind = message[0]
        if kind == 2 or (kind == 6 and self.version.name == "2.1"):
            await self._on_call(text, message)
        elif kind == 3:
            self._on_result(text, message)
        elif kind == 4 or (kind == 5 and self.version.name == "2.1" and self._complains(message)):
            self._on_error(text, message)
        elif kind == 5 and self.version.name == "2.1":
            self._note(text, fault="the peer could not read an answer of the kit")
        else:
            self._note(text, fault=f"message type {kind} is none of OCPP {self.version.name}")

    async def _on_call(self, text: str, message: list[Any]) -> None:
        if len(message) != 4 or not isinstance(message[1], str) or not isinstance(message[2], str):
            self._note(text, fault='a CALL is [2, "id", "Action", {…}]')
            return
        _, message_id, name, payload = message
        is_send = message[0] == 6
        fault = ""
        if len(message_id) > MAX_ID:
            fault = f"the messageId has more than {MAX_ID} characters"
        elif self._seen.get(message_id, text) != text:  # the same CALL once more is a retry, which may bear its id
            fault = "the messageId was used before on this connection, for another CALL"
        elif self._open and not is_send and self.version.name != "1.6":
            fault = "a second CALL while the first still waits for its answer (part 4, 4.1.1)"
        self._seen[message_id] = text
        action = self.version.actions.get(name)
        code = ""
        if action is None:
            fault, code = f"OCPP {self.version.name} has no action {name}", errors.NOT_IMPLEMENTED
        else:
            try:
                action.decode_request(_bytes(payload), tolerant=False)
            except RpcError as error:
                fault, code = f"{name} is not valid: {error.description or error.code}", error.code
        self._note(text, fault=fault)
        call = Incoming(id=message_id, action=name, payload=payload, fault=fault, is_send=is_send)
        if code:
            if not is_send:
                await self.refuse(call, code, fault)
            self.sink.called(self, call)
            return
        if not is_send:
            self._open.add(message_id)
        self.sink.called(self, call)

    def _on_result(self, text: str, message: list[Any]) -> None:
        if len(message) != 3 or not isinstance(message[1], str):
            self._note(text, fault='a CALLRESULT is [3, "id", {…}]')
            return
        _, message_id, payload = message
        if message_id in self._raw:
            self._note(text)
            self._settle(self._raw.pop(message_id), Answer(payload=payload))
            return
        found = self._waiting.get(message_id)
        if found is None:
            late = message_id in self._over
            self._note(text, fault="an answer after its time" if late else "an answer to a CALL that nobody sent")
            return
        name, future = found
        fault = ""
        try:
            self.version.actions[name].decode_response(_bytes(payload), tolerant=False)
        except RpcError as error:
            fault = f"the answer to {name} is not valid: {error.description or error.code}"
        self._note(text, fault=fault)
        self._settle(future, Answer(payload=payload, fault=fault))

    def _complains(self, message: list[Any]) -> bool:
        """Somebody waits for this CALLRESULTERROR."""
        return len(message) > 1 and isinstance(message[1], str) and message[1] in self._raw

    def _on_error(self, text: str, message: list[Any]) -> None:
        fault = ""
        if (
            len(message) != 5
            or not isinstance(message[1], str)
            or not isinstance(message[2], str)
            or not isinstance(message[3], str)
            or not isinstance(message[4], dict)
        ):
            fault = f'a {_ERRORS[message[0]]} is [{message[0]}, "id", "Code", "description", {{…}}]'
        elif message[2] not in self._codes:
            fault = f"OCPP {self.version.name} has no error code {message[2]}"
        elif len(message[3]) > 255:
            fault = "the errorDescription has more than 255 characters"
        code = message[2] if len(message) > 2 and isinstance(message[2], str) else ""
        description = message[3] if len(message) > 3 and isinstance(message[3], str) else ""
        answer = Answer(code=code or "(none)", description=description, fault=fault)
        message_id = message[1] if len(message) > 1 and isinstance(message[1], str) else ""
        waiting = self._waiting.get(message_id)
        if message_id in self._raw:
            self._settle(self._raw.pop(message_id), answer)
        elif waiting is not None:
            self._settle(waiting[1], answer)
        elif message_id not in self._over:
            fault = fault or "a CALLERROR for a CALL that nobody sent"
        self._note(text, fault=fault)

    @staticmethod
    def _settle(future: asyncio.Future[Answer], answer: Answer) -> None:
        if not future.done():
            future.set_result(answer)

    def _note(self, text: str, *, ours: bool = False, fault: str = "") -> None:
        self.sink.frame(Frame(at=round(time.monotonic() - self._begin, 3), ours=ours, text=text, fault=fault))

    def _check_own(self, name: str, payload: Any) -> None:
        try:
            self.version.actions[name].decode_request(_bytes(payload), tolerant=False)
        except RpcError as error:
            raise KitError(f"the kit's {name} is not valid: {error.description or error.code}") from error


def _number(value: Any) -> Any:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{type(value).__name__} is no JSON")


def _bytes(payload: Any) -> bytes:
    return msgspec.json.Encoder(decimal_format="number").encode(payload)
