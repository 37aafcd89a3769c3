"""The payload of Sparkplug B: a protocol buffer with a time, a sequence number and metrics.

Sparkplug 3.0.0, clause 6.4.

Only what an edge node says and hears is typed: numbers, booleans, text and bytes. Data sets, templates and property
sets of others are passed over. A double is Sparkplug's own way of writing a figure with a fraction; inside Pilotwire
the figures are integers, and whoever fills a metric divides.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Literal

import msgspec

from pilotwire.core.errors import LocalError, RemoteError

Kind = Literal[
    "Int8", "Int16", "Int32", "Int64", "UInt8", "UInt16", "UInt32", "UInt64", "Float", "Double", "Boolean", "String",
    "DateTime", "Text", "UUID", "Bytes",
]  # fmt: skip
Scalar = int | float | bool | str | bytes

NUMBERS: dict[Kind, int] = {
    "Int8": 1, "Int16": 2, "Int32": 3, "Int64": 4, "UInt8": 5, "UInt16": 6, "UInt32": 7, "UInt64": 8, "Float": 9,
    "Double": 10, "Boolean": 11, "String": 12, "DateTime": 13, "Text": 14, "UUID": 15, "Bytes": 17,
}  # fmt: skip
_KINDS: dict[int, Kind] = {number: kind for kind, number in NUMBERS.items()}
_BITS = {"Int8": 8, "Int16": 16, "Int32": 32, "Int64": 64, "UInt8": 8, "UInt16": 16, "UInt32": 32, "UInt64": 64}
_TEXTS = ("String", "Text", "UUID")

MOST_BYTES = 1_048_576
MOST_METRICS = 20_000


class BadPayload(RemoteError):
    """Bytes that are no payload; the text says where they stop being one."""


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One figure. `name` in births (and by those who use no aliases), `alias` in data. `value` None is null.

    `kind` None: of a type that is not one of ours, or left out as data by alias may; the value is as it came.
    """

    name: str | None = None
    alias: int | None = None
    timestamp_ms: int | None = None
    kind: Kind | None = None
    value: Scalar | None = None
    historical: bool = False


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """`timestamp_ms` is UTC; `seq` 0 to 255, None in deaths and commands."""

    timestamp_ms: int | None = None
    metrics: tuple[Metric, ...] = ()
    seq: int | None = None


# ── writing ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _varint(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _block(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(data)) + data


def _value(kind: Kind, value: Scalar) -> bytes:
    if kind in _BITS:
        if not isinstance(value, int) or isinstance(value, bool):
            raise LocalError(f"a metric of type {kind} is an integer, not {value!r}")
        bits = _BITS[kind]
        low, high = (0, 1 << bits) if kind[0] == "U" else (-1 << bits - 1, 1 << bits - 1)
        if not low <= value < high:
            raise LocalError(f"{value} is out of the range of {kind}")
        # Two's complement in the type's own width: readers that cut and readers that check both understand it.
        return _number(10 if bits <= 32 else 11, value % (1 << bits))
    if kind == "DateTime" and isinstance(value, int) and 0 <= value < 1 << 64:
        return _number(11, value)
    if kind == "Float" and isinstance(value, int | float):
        return b"\x65" + struct.pack("<f", value)
    if kind == "Double" and isinstance(value, int | float):
        return b"\x69" + struct.pack("<d", value)
    if kind == "Boolean" and isinstance(value, bool):
        return _number(14, value)
    if kind in _TEXTS and isinstance(value, str):
        return _block(15, value.encode())
    if kind == "Bytes" and isinstance(value, bytes):
        return _block(16, value)
    raise LocalError(f"a metric of type {kind} cannot hold {value!r}")


def _metric(metric: Metric) -> bytes:
    if metric.kind is None:
        raise LocalError("a metric is written with its type")
    parts: list[bytes] = []
    if metric.name is not None:
        parts.append(_block(1, metric.name.encode()))
    if metric.alias is not None:
        parts.append(_number(2, metric.alias))
    if metric.timestamp_ms is not None:
        parts.append(_number(3, metric.timestamp_ms))
    parts.append(_number(4, NUMBERS[metric.kind]))
    if metric.historical:
        parts.append(_number(5, 1))
    parts.append(_number(7, 1) if metric.value is None else _value(metric.kind, metric.value))
    return b"".join(parts)


def encode(payload: Payload) -> bytes:
    """Raises LocalError for a value that its type cannot hold."""
    parts: list[bytes] = []
    if payload.timestamp_ms is not None:
        parts.append(_number(1, payload.timestamp_ms))
    parts += [_block(2, _metric(metric)) for metric in payload.metrics]
    if payload.seq is not None:
        parts.append(_number(3, payload.seq))
    return b"".join(parts)


# ── reading ──────────────────────────────────────────────────────────────────────────────────────────────────────────
def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data):
            raise BadPayload(f"it ends in the middle of a number, at byte {at}")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, at
        shift += 7
        if shift > 63:
            raise BadPayload(f"a number of more than 64 bits, at byte {at}")


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Number and content of each field: a number for the wire types of numbers, bytes for the others."""
    at = 0
    while at < len(data):
        tag, at = _read_varint(data, at)
        field, wire = tag >> 3, tag & 7
        if field == 0:
            raise BadPayload(f"a field of number 0, at byte {at}")
        if wire == 0:
            content, at = _read_varint(data, at)
            yield field, content
            continue
        size = {1: 8, 5: 4}.get(wire)
        if wire == 2:
            size, at = _read_varint(data, at)
        if size is None:
            raise BadPayload(f"wire type {wire}, at byte {at}")
        if at + size > len(data):
            raise BadPayload(f"field {field} says {size} bytes, {len(data) - at} are left")
        yield field, data[at : at + size]
        at += size


def _text(content: bytes) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadPayload(f"a text that is no UTF-8: {error}") from None


def _signed(value: int, bits: int) -> int:
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> bits - 1 else value


def _scalar(kind: Kind | None, raw: int | bytes, field: int) -> Scalar:
    if isinstance(raw, int):
        if field == 14:
            return bool(raw)
        if kind in _BITS:
            bits = _BITS[kind]
            return raw & (1 << bits) - 1 if kind[0] == "U" else _signed(raw, bits)
        return raw
    if field == 12 and len(raw) == 4:
        return struct.unpack("<f", raw)[0]
    if field == 13 and len(raw) == 8:
        return struct.unpack("<d", raw)[0]
    if field == 15:
        return _text(raw)
    return raw


_INTEGERS = (10, 11, 14)


def _read_metric(data: bytes) -> Metric:
    name: str | None = None
    alias = timestamp = number = None
    historical = null = False
    held: tuple[int, int | bytes] | None = None
    for field, content in _fields(data):
        if field == 1 and isinstance(content, bytes):
            name = _text(content)
        elif field == 2 and isinstance(content, int):
            alias = content
        elif field == 3 and isinstance(content, int):
            timestamp = content
        elif field == 4 and isinstance(content, int):
            number = content
        elif field == 5 and isinstance(content, int):
            historical = bool(content)
        elif field == 7 and isinstance(content, int):
            null = bool(content)
        elif 10 <= field <= 16:
            if isinstance(content, int) != (field in _INTEGERS):
                raise BadPayload(f"the value of a metric comes with a wire type that is not its own (field {field})")
            held = field, content
    kind = None if number is None else _KINDS.get(number)
    value = None if null or held is None else _scalar(kind, held[1], held[0])
    return Metric(
        name=name, alias=alias, timestamp_ms=timestamp, kind=kind, value=value, historical=historical
    )  # fmt: skip


def decode(data: bytes) -> Payload:
    """Raises BadPayload. Fields that are not known are passed over, as protocol buffers demand."""
    if len(data) > MOST_BYTES:
        raise BadPayload(f"{len(data)} bytes; the most that is read is {MOST_BYTES}")
    timestamp = seq = None
    metrics: list[Metric] = []
    for field, content in _fields(data):
        if field == 1 and isinstance(content, int):
            timestamp = content
        elif field == 2 and isinstance(content, bytes):
            if len(metrics) == MOST_METRICS:
                raise BadPayload(f"more than {MOST_METRICS} metrics")
            metrics.append(_read_metric(content))
        elif field == 3 and isinstance(content, int):
            seq = content
    return Payload(timestamp_ms=timestamp, metrics=tuple(metrics), seq=seq)
