"""Fragments of an element whose name the schema gives to several types: then nobody can know which is meant, and the
general grammar for elements in fragments is used (W3C EXI 1.0, 8.5.3). Of all that is signed in V2G this is so for the
eMAID of ISO 15118-2 alone: a text with an Id. Only that shape is written here.
"""

from __future__ import annotations

from typing import Any

from .bits import Writer
from .codec import HEADER, Message
from .errors import EncodeError
from .grammar import Grammar, grammar_of
from .values import bits_for


def encode_relaxed(schema: str, message: Message) -> bytes:
    """A text with an Id, `{name: {"Id": ..., "value": ...}}`, as a fragment. Raises EncodeError, UnknownSchema."""
    grammar = grammar_of(schema)
    try:
        ((name, element),) = message.items()
        place, index = next((at, index) for at, (local, index) in enumerate(grammar.fragment) if local == name)
        id_, value = str(element["Id"]), str(element["value"])
    except (ValueError, KeyError, TypeError, StopIteration):
        raise EncodeError("a text with an Id is wanted") from None
    attributes = _attributes(grammar)
    uri = next(uri for local, uri, *_ in grammar.types[index]["attributes"] if local == "Id")
    elements = len(grammar.fragment)
    # At first: each attribute, any attribute, each element, any element, the end, text; then the same without
    # attributes. One number more than that is kept for what no schema foresees.
    first = len(attributes) + 1 + elements + 3
    then = elements + 3
    writer = Writer()
    writer.bits(HEADER, 8)
    writer.bits(place, bits_for(elements + 2))
    writer.bits(attributes.index(("Id", uri)), bits_for(first + 1))
    _text(writer, id_)
    writer.bits(first - 1, bits_for(first + 1))
    _text(writer, value)
    writer.bits(then - 2, bits_for(then + 1))
    writer.bits(elements + 1, bits_for(elements + 2))
    return writer.finish()


def _attributes(grammar: Grammar) -> list[tuple[str, str]]:
    """All names of attributes in the schema, in the order of local name and namespace."""
    listed: list[list[Any]] = [one for kind in grammar.types for one in kind.get("attributes", ())]
    return sorted({(str(local), str(uri)) for local, uri, *_ in listed})


def _text(writer: Writer, value: str) -> None:
    writer.unsigned(len(value) + 2)
    for character in value:
        writer.unsigned(ord(character))
