"""Messages of ISO 15118-20 ⇄ V2GTP frames: which schema a payload type has, and which response a request."""

from __future__ import annotations

from typing import Any, Final, NamedTuple

from pilotwire.core.errors import RemoteError
from pilotwire.protocols import exi
from pilotwire.protocols.exi.grammar import grammar_of
from pilotwire.protocols.exi.values import bits_for

from .. import v2gtp

Message = dict[str, Any]

SCHEMAS: Final = {
    v2gtp.MAIN: "iso20-common",
    v2gtp.AC: "iso20-ac",
    v2gtp.DC: "iso20-dc",
    v2gtp.ACDP: "iso20-acdp",
    v2gtp.WPT: "iso20-wpt",
    v2gtp.SCHEDULE_RENEGOTIATION: "iso20-common",
    v2gtp.METERING_CONFIRMATION: "iso20-common",
    v2gtp.ACDP_SYSTEM_STATUS: "iso20-acdp",
    v2gtp.PARKING_STATUS: "iso20-common",
}
SIDE_STREAMS: Final = frozenset(
    {v2gtp.SCHEDULE_RENEGOTIATION, v2gtp.METERING_CONFIRMATION, v2gtp.ACDP_SYSTEM_STATUS, v2gtp.PARKING_STATUS}
)
"""Payload types that run beside the main stream, each with requests and responses of its own."""
MAIN_STREAM: Final = 0
"""The name of the main stream, whichever payload type a message on it has."""
COMMON_NAMESPACE: Final = "urn:iso:std:iso:15118:-20:CommonMessages"


class Came(NamedTuple):
    """A message as it came."""

    type: int
    stream: int
    name: str
    body: Message
    exi: bytes


class Unreadable(RemoteError):
    """A payload that its schema does not allow. `name` is its root element, as far as that could be read."""

    def __init__(self, reason: str, name: str) -> None:
        super().__init__(reason)
        self.name = name


def stream_of(payload_type: int) -> int:
    """The stream that a payload type belongs to."""
    return payload_type if payload_type in SIDE_STREAMS else MAIN_STREAM


def payload_of(request: str) -> int:
    """The payload type of a message on the main stream."""
    own = {"AC": v2gtp.AC, "DC": v2gtp.DC, "ACDP": v2gtp.ACDP, "WPT": v2gtp.WPT}
    return own.get(request.partition("_")[0], v2gtp.MAIN)


def response_to(request: str) -> str:
    """SessionSetupReq → SessionSetupRes."""
    return request.removesuffix("Req") + "Res"


def read(frame: v2gtp.Frame) -> Came:
    """The message of a frame whose payload type is in SCHEMAS. Raises Unreadable."""
    schema = SCHEMAS[frame.type]
    try:
        message = exi.decode(schema, frame.payload)
    except exi.DecodeError as error:
        raise Unreadable(str(error), _root(schema, frame.payload)) from None
    ((name, body),) = message.items()
    if not isinstance(body, dict) or "Header" not in body:
        raise Unreadable(f"{name} is no message of its own", "")
    return Came(frame.type, stream_of(frame.type), name, body, frame.payload)


def write(payload_type: int, name: str, body: Message) -> v2gtp.Frame:
    """The frame of a message. Raises EncodeError: then we are wrong, not the peer."""
    return v2gtp.Frame(payload_type, exi.encode(SCHEMAS[payload_type], {name: body}))


def sub(message: Message, name: str) -> Message:
    """An element within that may be left out; empty then."""
    found: Message | None = message.get(name)
    return {} if found is None else found


def header(session: bytes, now: int, signature: Message | None = None) -> Message:
    """MessageHeader; `now` in ms, the stamp in s."""
    made: Message = {"SessionID": session, "TimeStamp": now // 1000}
    if signature is not None:
        made["Signature"] = signature
    return made


def _root(schema: str, payload: bytes) -> str:
    """The root element of a stream that cannot be read further, so that its sender gets the answer to its question."""
    elements = grammar_of(schema).document
    width = bits_for(len(elements) + 1)
    place = int.from_bytes(payload[1:3].ljust(2, b"\0"), "big") >> (16 - width)
    if len(payload) < 2 or payload[0] != 0x80 or place >= len(elements):
        return ""
    return elements[place][0]
