"""What exactly is wrong with a payload that did not decode: every fault, where, and the error code it deserves.

Runs only after the strict decode has failed, over the parsed JSON and the message's own type, so that rules of
tolerance (`pilotwire.protocols.ocpp.tolerance`) can mend a fault in place, and an error names the exact field.

The code for each kind of fault, by the tables of codes in OCPP-J (1.6: 4.2.3, table 7; 2.0.1 part 4: 4.3, table 8):

    not an object, unknown field                     FormatViolation
    missing field, too few or too many items         OccurrenceConstraintViolation
    wrong JSON type, null, text that is no dateTime  TypeConstraintViolation: a field violates its data type
    enumeration, length, range, step, size, URI      PropertyConstraintViolation: a field has an invalid value

What does not conform to the structure of the message is FormationViolation in 1.6 and, read to the letter, a
ProtocolError in 2.x; here it is FormatViolation in both, as the peers that we know answer. 1.6 has ProtocolError for an
incomplete payload, but for a missing field the occurrence code says more. The description is the JSON path, then the
reason. The value itself is left out: it may be a token or a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import datetime
from decimal import Decimal
from functools import cache
from typing import Annotated, Any, Literal, NamedTuple, get_args, get_origin

import msgspec

from pilotwire.protocols.ocpp.checks import is_uri
from pilotwire.protocols.ocpp.model import Bounds, CustomDataType, DateTime, custom_data_fault, is_multiple, sound
from pilotwire.protocols.ocpp.rpc import errors

Kind = Literal[
    "not-an-object", "unknown", "missing", "few", "many", "type", "null", "date-time",
    "enum", "long", "range", "multiple", "magnitude", "uri", "custom",
]  # fmt: skip

CODES: dict[Kind, str] = {
    "not-an-object": errors.FORMAT_VIOLATION,
    "unknown": errors.FORMAT_VIOLATION,
    "missing": errors.OCCURRENCE_CONSTRAINT,
    "few": errors.OCCURRENCE_CONSTRAINT,
    "many": errors.OCCURRENCE_CONSTRAINT,
    "type": errors.TYPE_CONSTRAINT,
    "null": errors.TYPE_CONSTRAINT,
    "date-time": errors.TYPE_CONSTRAINT,
    "enum": errors.PROPERTY_CONSTRAINT,
    "long": errors.PROPERTY_CONSTRAINT,
    "range": errors.PROPERTY_CONSTRAINT,
    "multiple": errors.PROPERTY_CONSTRAINT,
    "magnitude": errors.PROPERTY_CONSTRAINT,
    "uri": errors.PROPERTY_CONSTRAINT,
    "custom": errors.PROPERTY_CONSTRAINT,
}

ShapeKind = Literal[
    "object", "array", "string", "integer", "number", "boolean", "date-time", "uri", "enum", "custom", "any"
]


class Shape(NamedTuple):
    """One type of the schema, read back from the generated annotations."""

    kind: ShapeKind
    name: str = ""
    """The generated class of an object."""
    fields: dict[str, tuple[Shape, bool, str]] = {}  # noqa: RUF012
    """wire name → (shape, required, Python name)"""
    items: Any = None
    """The Shape of an array's items."""
    values: frozenset[str] = frozenset()
    low: int | None = None
    """Least value of an integer, or fewest items."""
    high: int | None = None
    """Greatest value of an integer, most items, or most characters."""
    bounds: Bounds = Bounds()


@cache
def shape_of(annotation: Any) -> Shape:
    """The Shape of a generated class, or of the annotation of a field."""
    if _is_struct(annotation):
        fields = {
            field.encode_name: (shape_of(field.type), field.required, field.name)
            for field in msgspec.structs.fields(annotation)
        }
        return Shape("object", annotation.__name__, fields)
    base: Any = annotation
    meta = msgspec.Meta()
    extra: dict[str, Any] = {}
    bounds = Bounds()
    if get_origin(annotation) is Annotated:
        base, *parts = get_args(annotation)
        for part in parts:
            if isinstance(part, msgspec.Meta):
                meta = part
                extra |= part.extra or {}
            elif isinstance(part, Bounds):
                bounds = part
    if get_origin(base) is Literal:
        return Shape("enum", values=frozenset(get_args(base)))
    if get_origin(base) is list:
        return Shape("array", items=shape_of(get_args(base)[0]), low=meta.min_length, high=meta.max_length)
    if base is str:
        return Shape("uri") if extra.get("kind") == "uri" else Shape("string", high=meta.max_length)
    if base is int:
        return Shape("integer", low=_whole(meta.ge), high=_whole(meta.le))
    if base is Any:
        return Shape("number", bounds=bounds) if extra.get("kind") == "number" else Shape("any")
    simple: dict[Any, ShapeKind] = {bool: "boolean", datetime: "date-time", CustomDataType: "custom"}
    return Shape(simple[base])


def _is_struct(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, msgspec.Struct)


def _whole(limit: float | None) -> int | None:
    return None if limit is None else int(limit)


class Fault(NamedTuple):
    """One thing that is wrong. `chain` leads from the root to it as (container, key) pairs, the last one its own."""

    kind: Kind
    reason: str
    owner: str
    """The type whose field it is."""
    field: str
    """The wire name of that field; for an item of a list, the list's."""
    optional: bool
    shape: Shape | None
    value: Any
    chain: tuple[tuple[Any, Any], ...]

    @property
    def code(self) -> str:
        return CODES[self.kind]

    def path(self) -> str:
        """`$.meterValue[0].timestamp`"""
        steps = (f"[{key}]" if isinstance(key, int) else f".{key}" for _, key in self.chain[1:])
        return "$" + "".join(steps)

    def describe(self) -> str:
        return f"{self.path()}: {self.reason}"


def faults(type_: type[msgspec.Struct], root: list[Any]) -> Iterator[Fault]:
    """Every fault of `root[0]` as a message of `type_`, in the order of the document. `root` is a list of one."""
    shape = shape_of(type_)
    chain = ((root, 0),)
    if not isinstance(root[0], dict):
        yield Fault("not-an-object", "the payload is not an object", type_.__name__, "", False, shape, root[0], chain)
        return
    yield from _walk(shape, root[0], type_.__name__, "", False, chain)


def _walk(
    shape: Shape, value: Any, owner: str, field: str, optional: bool, chain: tuple[tuple[Any, Any], ...]
) -> Iterator[Fault]:
    found = _own_fault(shape, value)
    if found is not None:
        yield Fault(found[0], found[1], owner, field, optional, shape, value, chain)
        if found[0] in ("type", "null"):
            return
    if shape.kind == "object":
        for wire, (inner, required, _) in shape.fields.items():
            if wire in value:
                yield from _walk(inner, value[wire], shape.name, wire, not required, (*chain, (value, wire)))
            elif required:
                at = (*chain, (value, wire))
                yield Fault("missing", "required and not there", shape.name, wire, False, inner, None, at)
        for wire in value:
            if wire not in shape.fields:
                at = (*chain, (value, wire))
                yield Fault("unknown", "not a field of this message", shape.name, wire, True, None, value[wire], at)
    elif shape.kind == "array":
        for index, item in enumerate(value):
            yield from _walk(shape.items, item, owner, field, False, (*chain, (value, index)))


_EXPECTED: dict[ShapeKind, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, Decimal),
    "boolean": (bool,),
    "date-time": (str,),
    "uri": (str,),
    "enum": (str,),
    "custom": (dict,),
}


def _own_fault(shape: Shape, value: Any) -> tuple[Kind, str] | None:
    """What is wrong with the value itself, apart from what is inside it."""
    if shape.kind == "any":
        return None
    if type(value) not in _EXPECTED[shape.kind]:
        return ("null", "null, where nothing should be") if value is None else ("type", f"not of type {shape.kind}")
    match shape.kind:
        case "enum" if value not in shape.values:
            return "enum", "not one of the values allowed"
        case "string" if shape.high is not None and len(value) > shape.high:
            return "long", f"longer than {shape.high} characters"
        case "date-time" if not is_date_time(value):
            return "date-time", "not a date-time by RFC 3339 with an offset"
        case "uri" if not is_uri(value):
            return "uri", "not a URI by RFC 3986"
        case "array" if shape.low is not None and len(value) < shape.low:
            return "few", f"fewer than {shape.low} items"
        case "array" if shape.high is not None and len(value) > shape.high:
            return "many", f"more than {shape.high} items"
        case "integer" if (shape.low is not None and value < shape.low) or (
            shape.high is not None and value > shape.high
        ):
            return "range", "out of range"
        case "number":
            return _number_fault(Decimal(value), shape.bounds)
        case "custom":
            reason = custom_data_fault(value)
            return None if reason is None else ("custom", reason)
        case _:
            return None


def _number_fault(value: Decimal, bounds: Bounds) -> tuple[Kind, str] | None:
    if not sound(value):
        return "magnitude", "too large or too small a number"
    if (bounds.ge is not None and value < bounds.ge) or (bounds.le is not None and value > bounds.le):
        return "range", "out of range"
    if bounds.multiple_of is not None and not is_multiple(value, bounds.multiple_of):
        return "multiple", f"not a multiple of {bounds.multiple_of}"
    return None


_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(?:\.\d+)?(?:[Zz]|[+-]\d\d:\d\d)", re.ASCII)


def is_date_time(text: str) -> bool:
    """RFC 3339 as the strict decode takes it: with seconds and an offset, years 1 to 9999, no leap second."""
    if _RFC3339.fullmatch(text) is None:
        return False
    try:
        msgspec.convert(text, DateTime)
    except msgspec.ValidationError:
        return False
    return True


_MICROSECONDS = re.compile(r"(\.\d{3})\d+")


def cut_date_times(shape: Shape, value: Any) -> None:
    """Cuts every date-time field inside `value`, a valid message of `shape`, to three decimals, in place."""
    if shape.kind == "array":
        for item in value:
            cut_date_times(shape.items, item)
    elif shape.kind == "object":
        for wire in value:
            inner = shape.fields[wire][0]
            if inner.kind == "date-time":
                value[wire] = _MICROSECONDS.sub(r"\1", value[wire])
            else:
                cut_date_times(inner, value[wire])


def long_decimal(shape: Shape, value: Any, path: str = "$") -> str | None:
    """The path of a number inside `value`, a valid message of `shape`, with more than six decimal places, or None."""
    inner: Iterator[tuple[Shape, Any, str]]
    if shape.kind == "number":
        exponent = Decimal(value).as_tuple().exponent
        return path if isinstance(exponent, int) and exponent < -6 else None
    if shape.kind == "array":
        inner = ((shape.items, item, f"{path}[{index}]") for index, item in enumerate(value))
    elif shape.kind == "object":
        inner = ((shape.fields[wire][0], item, f"{path}.{wire}") for wire, item in value.items())
    else:
        return None
    return next(filter(None, (long_decimal(*entry) for entry in inner)), None)
