"""How values of simple types are read and written (W3C EXI 1.0, 7.1).

An element of a simple type is a start, its characters, an end: in the non-strict grammar that V2G uses, the characters
and the end cost one bit each, always 0, which are read and written together with the value where its width is fixed.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from .bits import Reader, Writer
from .errors import DecodeError, EncodeError

Read = Callable[[Reader], Any]
Write = Callable[[Writer, Any], None]
Pair = tuple[Read, Write]

SMALL_RANGE = 4096
"""Integers of so many values or fewer are written as an offset from the smallest one (7.1.9)."""
_DEVIATES = "this is not what the schema has here"


def bits_for(count: int) -> int:
    """Bits that tell `count` things apart."""
    return (count - 1).bit_length()


def pair_for(name: str, kind: dict[str, Any], *, element: bool) -> Pair:
    """Reader and writer of a simple type; `element`: with the bits of an element around it. `name` is whose value it
    is: strings that are sent again may be referred to within the same name."""
    match kind["kind"]:
        case "boolean":
            return _fixed(1, _index_of_boolean, (False, True), element)
        case "enumeration":
            values = tuple(kind["values"])
            return _fixed(bits_for(len(values)), _index_in(values), values, element)
        case "integer":
            return _integer(kind["min"], kind["max"], element)
        case "string":
            return _framed(_string(name, kind), element)
        case _:
            return _framed(_octets(kind), element)


# -- values of a fixed width ------------------------------------------------------------------------------------------
def _index_of_boolean(value: Any) -> int:
    if value is True or value is False:
        return int(value)
    raise EncodeError(f"{value!r} is neither true nor false")


def _index_in(values: tuple[str, ...]) -> Callable[[Any], int]:
    places = {value: index for index, value in enumerate(values)}

    def index(value: Any) -> int:
        found = places.get(value)
        if found is None:
            raise EncodeError(f"{value!r} is none of {', '.join(values)}")
        return found

    return index


def _fixed(width: int, index: Callable[[Any], int], values: Sequence[Any], element: bool) -> Pair:
    total = width + 2 if element else width
    shift = 1 if element else 0
    mask, edges = (1 << total) - 1, (1 << (total - 1) | 1) if element else 0

    def read(reader: Reader) -> Any:
        pos = reader.pos + total
        found = (reader.big >> (reader.end - pos)) & mask
        if found & edges:
            raise DecodeError(_DEVIATES)
        reader.pos = pos
        try:
            return values[found >> shift]
        except IndexError:
            raise DecodeError(f"there is no value number {found >> shift}, only {len(values)}") from None

    def write(writer: Writer, value: Any) -> None:
        writer.big = (writer.big << total) | (index(value) << shift)
        writer.count += total

    return read, write


def _integer(low: int | None, high: int | None, element: bool) -> Pair:
    if low is not None and high is not None and high - low < SMALL_RANGE:
        values = range(low, high + 1)
        return _fixed(bits_for(len(values)), lambda value: _checked(value, low, high) - low, values, element)
    return _framed(_unsigned(low, high) if low is not None and low >= 0 else _signed(low, high), element)


def _checked(value: Any, low: int | None, high: int | None) -> int:
    if type(value) is not int:
        raise EncodeError(f"{value!r} is no whole number")
    if (low is not None and value < low) or (high is not None and value > high):
        raise EncodeError(f"{value} is not between {low} and {high}")
    return value


# -- values of their own width ----------------------------------------------------------------------------------------
def _framed(bare: Pair, element: bool) -> Pair:
    if not element:
        return bare
    read_bare, write_bare = bare

    def read(reader: Reader) -> Any:
        pos = reader.pos = reader.pos + 1
        if (reader.big >> (reader.end - pos)) & 1:
            raise DecodeError(_DEVIATES)
        value = read_bare(reader)
        pos = reader.pos = reader.pos + 1
        if (reader.big >> (reader.end - pos)) & 1:
            raise DecodeError(_DEVIATES)
        return value

    def write(writer: Writer, value: Any) -> None:
        writer.big <<= 1
        writer.count += 2
        write_bare(writer, value)
        writer.big <<= 1

    return read, write


def _unsigned(low: int, high: int | None) -> Pair:
    def read(reader: Reader) -> int:
        value = reader.unsigned()
        if value < low or (high is not None and value > high):
            raise DecodeError(f"{value} is not between {low} and {high}")
        return value

    def write(writer: Writer, value: Any) -> None:
        writer.unsigned(_checked(value, low, high))

    return read, write


def _signed(low: int | None, high: int | None) -> Pair:
    def read(reader: Reader) -> int:
        negative = reader.bits(1)
        value = reader.unsigned()
        if negative:
            value = -value - 1
        if (low is not None and value < low) or (high is not None and value > high):
            raise DecodeError(f"{value} is not between {low} and {high}")
        return value

    def write(writer: Writer, value: Any) -> None:
        _checked(value, low, high)
        writer.bits(value < 0, 1)
        writer.unsigned(-value - 1 if value < 0 else value)

    return read, write


def _length(kind: dict[str, Any]) -> Callable[[int, type[DecodeError | EncodeError]], None]:
    low, high = kind.get("minLength", 0), kind.get("maxLength")

    def check(length: int, error: type[DecodeError | EncodeError]) -> None:
        if length < low or (high is not None and length > high):
            raise error(f"it is {length} long, not {low} to {high if high is not None else 'any number'}")

    return check


def _octets(kind: dict[str, Any]) -> Pair:
    check = _length(kind)

    def read(reader: Reader) -> bytes:
        length = reader.unsigned()
        check(length, DecodeError)
        return reader.octets(length)

    def write(writer: Writer, value: Any) -> None:
        if type(value) is not bytes:
            raise EncodeError(f"{value!r} is no bytes")
        check(len(value), EncodeError)
        writer.unsigned(len(value))
        writer.octets(value)

    return read, write


def _string(name: str, kind: dict[str, Any]) -> Pair:
    check = _length(kind)

    def read(reader: Reader) -> str:
        length = reader.unsigned()
        if length < 2:
            known = reader.local_values.get(name, []) if length == 0 else reader.global_values
            place = reader.bits(bits_for(len(known))) if known else 0
            if place >= len(known):
                raise DecodeError("it refers to a string that was not sent")
            return known[place]
        length -= 2
        check(length, DecodeError)
        value = _characters(reader, length)
        if value:
            reader.global_values.append(value)
            reader.local_values.setdefault(name, []).append(value)
        return value

    def write(writer: Writer, value: Any) -> None:
        if type(value) is not str:
            raise EncodeError(f"{value!r} is no text")
        check(len(value), EncodeError)
        # Always in full: senders in the field never refer to a string that was sent before, and not all receivers can.
        writer.unsigned(len(value) + 2)
        if value.isascii():
            writer.octets(value.encode())
        else:
            for character in value:
                writer.unsigned(ord(character))

    return read, write


def _characters(reader: Reader, length: int) -> str:
    start = reader.pos
    text = reader.octets(length)  # every character takes a byte or more
    if text.isascii():
        return text.decode()
    reader.pos = start
    try:
        return "".join([chr(reader.unsigned()) for _ in range(length)])
    except (ValueError, OverflowError) as error:
        raise DecodeError(f"this is no character, or the stream ends within the text: {error}") from None
