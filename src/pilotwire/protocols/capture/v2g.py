"""From the bytes of a connection to the messages on it: V2GTP frames, read by the dialect that the two agreed on.

Which dialect it is, supportedAppProtocol says; when the capture began later, the payload type, and for DIN 70121 and
ISO 15118-2, which share one, whichever gives the same bytes back. TLS is seen and named, not read: there are no keys
in a capture, and decrypting with SSLKEYLOGFILE is not done here.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from pilotwire.core.evse_link import Side
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import v2gtp
from pilotwire.protocols.iso15118.sap import VERSIONS

from .tcp import Chunk

_BY_TYPE: Final = {
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
_NAMESPACES: Final = {version.namespace: dialect for dialect, version in VERSIONS.items()}
_TLS_RECORDS: Final = frozenset({0x14, 0x15, 0x16, 0x17})


class V2gMessage(msgspec.Struct, frozen=True, kw_only=True):
    """One message of a connection."""

    flow: int
    at_us: int
    packet: int
    """The packet that made it whole, from 1."""
    side: Side
    """Who sent it."""
    type: int
    schema: str
    """Which grammar read it; empty: none did."""
    name: str
    """SessionSetupReq, ...; empty when it could not be read."""
    session: str
    """The header's SessionID, hexadecimal."""
    body: dict[str, Any]
    error: str = ""
    """Why it could not be read."""
    exi: bytes = b""


class V2gEvent(msgspec.Struct, frozen=True, kw_only=True):
    """Something else that happened to a connection: opened, closed, encrypted, a gap, bytes that are no V2GTP."""

    flow: int
    at_us: int
    packet: int
    side: Side
    what: str
    """open, close, reset, tls, gap, garbage"""
    text: str = ""


class _Flow:
    __slots__ = ("client", "dead", "dialect", "kind", "offered", "readers", "schemas", "tls")

    def __init__(self) -> None:
        self.client: Any = None
        self.readers: dict[Any, v2gtp.FrameReader] = {}
        self.dialect = ""
        self.offered: dict[int, str] = {}
        self.tls = False
        self.dead: set[Any] = set()
        self.kind: str = ""
        """v2g, tls or other, once it is known."""
        self.schemas: tuple[str, ...] = ()


class V2gReader:
    """Reads every connection of a capture. `schema`: the one to use, whatever was agreed on."""

    def __init__(self, schema: str = "") -> None:
        self._schema = schema
        self._flows: dict[int, _Flow] = {}

    def feed(self, chunk: Chunk) -> list[V2gMessage | V2gEvent]:
        """What a piece of a stream completes. Connections that are neither V2GTP nor TLS give nothing."""
        flow = self._flows.setdefault(chunk.flow, _Flow())
        if flow.client is None:
            # The vehicle connects. Without its SYN: stations listen on what discovery said, and speak second.
            flow.client = chunk.source
        side: Side = "ev" if chunk.source == flow.client else "evse"
        if chunk.what != "data":
            return self._happened(flow, chunk, side)
        if not flow.kind:
            flow.kind = _kind_of(chunk.data)
            if flow.kind == "tls":
                return [_event(chunk, side, "tls", "the connection is encrypted")]
        if flow.kind != "v2g" or chunk.source in flow.dead:
            return []
        reader = flow.readers.setdefault(chunk.source, v2gtp.FrameReader())
        try:
            frames = reader.feed(chunk.data)
        except v2gtp.BadHeader as error:
            flow.dead.add(chunk.source)
            return [_event(chunk, side, "garbage", str(error))]
        return [self._message(flow, chunk, side, frame) for frame in frames]

    def left(self) -> int:
        """Bytes of messages that never became whole."""
        return sum(reader.waiting for flow in self._flows.values() for reader in flow.readers.values())

    def _happened(self, flow: _Flow, chunk: Chunk, side: Side) -> list[V2gMessage | V2gEvent]:
        what = {"syn": "open", "fin": "close", "rst": "reset", "gap": "gap"}[chunk.what]
        if what == "open" and side == "evse":
            return []
        if what == "gap":
            flow.dead.add(chunk.source)
        return [_event(chunk, side, what)]

    def _message(self, flow: _Flow, chunk: Chunk, side: Side, frame: v2gtp.Frame) -> V2gMessage:
        schema, message, error = self._decoded(flow, frame)
        name, session, body = _unwrapped(message)
        # Who asks is the vehicle, whoever opened the connection as far as the capture knows.
        if name.endswith("Req") and side == "evse":
            flow.client, side = chunk.source, "ev"
        elif name.endswith("Res") and side == "ev":
            flow.client, side = chunk.target, "evse"
        if schema == "sap" and message:
            self._negotiated(flow, name, body)
        return V2gMessage(
            flow=chunk.flow, at_us=chunk.at_us, packet=chunk.packet, side=side, type=frame.type, schema=schema,
            name=name, session=session, body=body, error=error, exi=frame.payload,
        )  # fmt: skip

    def _decoded(self, flow: _Flow, frame: v2gtp.Frame) -> tuple[str, dict[str, Any], str]:
        """Schema, message, and why there is none."""
        known = _BY_TYPE.get(frame.type)
        if self._schema and frame.type == v2gtp.SAP:
            candidates: tuple[str, ...] = (self._schema, "sap")
        elif known is not None:
            candidates = (known,)
        elif frame.type != v2gtp.SAP:
            return "", {}, f"payload type {frame.type:04X} is none of the standards'"
        elif flow.dialect in ("din", "iso2"):
            candidates = (flow.dialect,)
        elif flow.offered:
            candidates = ("sap",)
        else:
            candidates = ("sap", "din", "iso2")
        first = ""
        for schema in candidates:
            try:
                message = exi.decode(schema, frame.payload)
                if len(candidates) == 1 or frame.payload.startswith(exi.encode(schema, message)):
                    if schema in ("din", "iso2") and not flow.dialect and not self._schema:
                        flow.dialect = schema
                    return schema, message, ""
                first = first or f"as {schema} it can be read, but would be written otherwise"
            except (exi.DecodeError, exi.EncodeError) as error:
                first = first or f"as {schema}: {error}"
        return "", {}, first

    def _negotiated(self, flow: _Flow, name: str, body: dict[str, Any]) -> None:
        if name == "supportedAppProtocolReq":
            flow.offered = {
                each["SchemaID"]: _NAMESPACES.get(each["ProtocolNamespace"], "") for each in body["AppProtocol"]
            }
        elif body.get("SchemaID") is not None:
            flow.dialect = flow.offered.get(body["SchemaID"], "")


def _kind_of(data: bytes) -> str:
    if data[:2] == b"\x01\xfe"[: len(data)]:
        return "v2g"
    return "tls" if data[0] in _TLS_RECORDS and data[1:2] == b"\x03" else "other"


def _event(chunk: Chunk, side: Side, what: str, text: str = "") -> V2gEvent:
    return V2gEvent(flow=chunk.flow, at_us=chunk.at_us, packet=chunk.packet, side=side, what=what, text=text)


def _unwrapped(message: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """Name, session id and body of a message of any dialect."""
    if not message:
        return "", "", {}
    ((name, body),) = message.items()
    if name == "V2G_Message":
        number: bytes = body["Header"]["SessionID"]
        inner: dict[str, Any] = body["Body"]
        if not inner:
            return "", number.hex().upper(), {}
        ((name, body),) = inner.items()
        return name, number.hex().upper(), body
    fields: dict[str, Any] = body
    header: dict[str, Any] = fields.get("Header", {})
    session: bytes = header.get("SessionID", b"")
    return name, session.hex().upper(), {key: value for key, value in fields.items() if key != "Header"}
