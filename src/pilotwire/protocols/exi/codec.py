"""Messages to streams and back: `decode`, `encode`, and fragments as they are signed (W3C EXI 1.0, 8.4 and 8.5).

A message is a dict with one key, the name of its root element; an element with others or attributes within is a dict of
its own, one that may come several times is a list, text is a str, hexBinary and base64Binary are bytes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, cast

from .bits import Reader, Writer
from .errors import DecodeError, EncodeError
from .grammar import State, grammar_of
from .values import bits_for

HEADER: Final = 0x80
"""The mark of EXI, no options, version 1 (W3C EXI 1.0, 5)."""
Message = dict[str, Any]


def decode(schema: str, data: bytes) -> Message:
    """The message of a stream.

    `schema` is a name of `grammar.SCHEMAS`. Zero bytes behind the message are accepted: some vehicles pad. Raises
    DecodeError for what the schema does not allow, UnknownSchema.
    """
    grammar = grammar_of(schema)
    reader = _opened(data)
    message = _read_root(reader, bits_for(len(grammar.document) + 1), grammar.document, grammar.pair)
    _nothing_left(reader)
    return message


def encode(schema: str, message: Message) -> bytes:
    """The stream of a message. Raises EncodeError where the schema cannot express it, UnknownSchema."""
    grammar = grammar_of(schema)
    writer = Writer()
    writer.bits(HEADER, 8)
    _write_root(writer, bits_for(len(grammar.document) + 1), grammar.document, grammar.pair, message)
    return writer.finish()


def decode_fragment(schema: str, data: bytes) -> Message:
    """The element of a fragment, as digests of signatures are made of one. Raises like `decode`."""
    grammar = grammar_of(schema)
    reader = _opened(data)
    width = bits_for(len(grammar.fragment) + 2)
    message = _read_root(reader, width, grammar.fragment, grammar.pair)
    try:
        ended = reader.bits(width) == len(grammar.fragment) + 1
    except ValueError:
        ended = False
    if not ended:
        raise DecodeError("the fragment does not end behind its element")
    _nothing_left(reader)
    return message


def encode_fragment(schema: str, message: Message) -> bytes:
    """An element as a fragment. Raises like `encode`."""
    grammar = grammar_of(schema)
    writer = Writer()
    writer.bits(HEADER, 8)
    width = bits_for(len(grammar.fragment) + 2)
    _write_root(writer, width, grammar.fragment, grammar.pair, message)
    writer.bits(len(grammar.fragment) + 1, width)
    return writer.finish()


# -- the root ---------------------------------------------------------------------------------------------------------
def _opened(data: bytes) -> Reader:
    if not data or data[0] != HEADER:
        raise DecodeError("this is no EXI stream without options: it does not begin with the byte 80")
    reader = Reader(data)
    reader.pos = 8
    return reader


def _read_root(reader: Reader, width: int, elements: list[tuple[str, int]], pair: Any) -> Message:
    try:
        place = reader.bits(width)
        if place >= len(elements):
            raise DecodeError(f"the schema has no element number {place}, only {len(elements)}")
        local, index = elements[place]
        try:
            return {local: pair(local, index)[0](reader)}
        except DecodeError as error:
            error.within(local)
            raise
    except ValueError:  # a negative shift: see Reader
        raise DecodeError("the stream ends within the message") from None


def _write_root(writer: Writer, width: int, elements: list[tuple[str, int]], pair: Any, message: Message) -> None:
    if len(message) != 1:
        raise EncodeError("a message has one root element")
    ((name, value),) = message.items()
    place = next((place for place, (local, _) in enumerate(elements) if local == name), None)
    if place is None:
        raise EncodeError(f"the schema has no element {name}")
    writer.bits(place, width)
    try:
        pair(*elements[place])[1](writer, value)
    except EncodeError as error:
        error.within(name)
        raise


def _nothing_left(reader: Reader) -> None:
    left = reader.end - reader.pos
    if reader.big & ((1 << left) - 1):
        raise DecodeError(f"{left} bits follow the message and are not zero")


# -- elements with others within --------------------------------------------------------------------------------------
def reader_of(start: Callable[[], State]) -> Callable[[Reader], Message]:
    """Reads an element from its first state to its end."""

    def read(reader: Reader) -> Message:
        found: Message = {}
        state = start()
        while True:
            pos = reader.pos + state.bits
            code = (reader.big >> (reader.end - pos)) & state.mask
            reader.pos = pos
            try:
                production = state.productions[code]
            except IndexError:
                raise DecodeError("this is not what the schema has here") from None
            name = production.name
            if name is None:
                return found
            try:
                value = production.read(reader)
            except DecodeError as error:
                error.within(name)
                raise
            if not production.many:
                found[name] = value
            elif name in found:
                found[name].append(value)
            else:
                found[name] = [value]
            state = production.after

    return read


def writer_of(start: Callable[[], State]) -> Callable[[Writer, Any], None]:
    """Writes an element from its first state to its end."""

    def write(writer: Writer, element: Any) -> None:
        if type(element) is not dict:
            raise EncodeError(f"{element!r} is no element with others within")
        fields = cast(Message, element)
        state = start()
        value: Any = None
        written: list[str] = []
        several: dict[str, int] = {}
        while True:
            for production in state.productions:
                name = production.name
                if name is None:
                    break
                value = fields.get(name)
                if value is None:
                    continue
                if not production.many:
                    written.append(name)
                    break
                if type(value) is not list:
                    raise EncodeError(f"{name} may come several times: a list is wanted")
                items = cast(list[Any], value)
                place = several.get(name, 0)
                if place < len(items):
                    if not place:
                        written.append(name)
                    several[name] = place + 1
                    value = items[place]
                    break
            else:
                raise EncodeError(f"it lacks {' or '.join(str(one.name) for one in state.productions)}")
            writer.big = (writer.big << state.bits) | production.code
            writer.count += state.bits
            if name is None:
                if several or len(written) != len(fields):
                    _check_all_written(fields, written, several)
                return
            try:
                production.write(writer, value)
            except EncodeError as error:
                error.within(name)
                raise
            state = production.after

    return write


def _check_all_written(fields: Message, written: list[str], several: dict[str, int]) -> None:
    for name, place in several.items():
        if place < len(fields[name]):
            raise EncodeError(f"{name} may come {place} times here, not {len(fields[name])}")
    for name, value in fields.items():
        if value is not None and value != [] and name not in written:
            raise EncodeError(f"it may have no {name} here")
