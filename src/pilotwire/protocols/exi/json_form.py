"""Messages as JSON has them: hexBinary as hexadecimal digits, base64Binary as Base64, everything else as it is."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable
from typing import Any, cast

from .codec import Message
from .errors import EncodeError
from .grammar import Grammar, grammar_of

Leaf = Callable[[str, Any], Any]
"""(kind of a simple type, value) → value"""


def to_json(schema: str, message: Message) -> dict[str, Any]:
    """What `decode` gave, without bytes."""
    return _walk(schema, message, _shown)


def from_json(schema: str, shown: dict[str, Any]) -> Message:
    """What `encode` takes. Raises EncodeError for digits that are none and for elements that the schema has not."""
    return _walk(schema, shown, _meant)


def _shown(kind: str, value: Any) -> Any:
    if kind == "hex":
        return value.hex().upper()
    return base64.b64encode(value).decode() if kind == "base64" else value


def _meant(kind: str, value: Any) -> Any:
    if kind not in ("hex", "base64"):
        return value
    try:
        return bytes.fromhex(value) if kind == "hex" else base64.b64decode(value, validate=True)
    except (TypeError, ValueError, binascii.Error):
        raise EncodeError(f"{value!r} is no text in {'hexadecimal digits' if kind == 'hex' else 'Base64'}") from None


def _walk(schema: str, message: Any, leaf: Leaf) -> dict[str, Any]:
    grammar = grammar_of(schema)
    roots = dict(grammar.fragment) | dict(grammar.document)
    return _fields(grammar, roots, message, leaf, "message")


def _fields(grammar: Grammar, types: dict[str, int], found: Any, leaf: Leaf, what: str) -> dict[str, Any]:
    if not isinstance(found, dict):
        raise EncodeError(f"{found!r} is no {what} with others within")
    made: dict[str, Any] = {}
    for name, value in cast(dict[str, Any], found).items():
        if name not in types:
            raise EncodeError(f"it may have no {name} here")
        try:
            if isinstance(value, list):
                made[name] = [_value(grammar, types[name], one, leaf) for one in cast(list[Any], value)]
            else:
                made[name] = _value(grammar, types[name], value, leaf)
        except EncodeError as error:
            error.within(name)
            raise
    return made


def _value(grammar: Grammar, index: int, value: Any, leaf: Leaf) -> Any:
    kind = grammar.types[index]["kind"]
    if kind != "complex":
        return leaf(kind, value)
    types = {name: field.type for name, field in grammar.fields(index).items()}
    return _fields(grammar, types, value, leaf, "element")
