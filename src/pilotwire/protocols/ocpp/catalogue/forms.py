"""What a payload is made of, as a tree of fields: forms are drawn from it, and examples made."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.protocols.ocpp.diagnosis import Shape, shape_of

from .actions import EXAMPLES, FIELDS


class Field(msgspec.Struct, kw_only=True, frozen=True):
    """One field of a payload."""

    name: str
    """As the wire has it; empty: the items of a list."""
    kind: str
    """object, array, string, integer, number, boolean, date-time, uri, enum or any."""
    required: bool
    text: str = ""
    values: tuple[str, ...] = ()
    low: int | None = None
    """Least value, or fewest items."""
    high: int | None = None
    """Greatest value, most items, or most characters."""
    fields: tuple[Field, ...] = ()
    """Of an object."""
    items: Field | None = None
    """Of an array."""


def of_message(message: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of a generated message, required ones first. customData is for machines and left out."""
    return _fields(shape_of(message))


def _fields(shape: Shape) -> tuple[Field, ...]:
    found = [
        _field(wire, inner, required) for wire, (inner, required, _) in shape.fields.items() if inner.kind != "custom"
    ]
    return tuple(sorted(found, key=lambda one: not one.required))


def _field(name: str, shape: Shape, required: bool) -> Field:
    low, high = shape.low, shape.high
    if shape.kind == "integer":  # 64 bits are no limit that anybody wants to read
        low = low if low is not None and low > -(2**62) else None
        high = high if high is not None and high < 2**62 else None
    if shape.kind == "number":
        low = int(shape.bounds.ge) if shape.bounds.ge is not None else None
        high = int(shape.bounds.le) if shape.bounds.le is not None else None
    return Field(
        name=name,
        kind=shape.kind,
        required=required,
        text=FIELDS.get(name, ""),
        values=tuple(sorted(shape.values)),
        low=low,
        high=high,
        fields=_fields(shape) if shape.kind == "object" else (),
        items=_field("", shape.items, required=True) if shape.kind == "array" else None,
    )


def of_struct(struct: type[msgspec.Struct]) -> tuple[Field, ...]:
    """The fields of a plain Struct (a verb's payload), required ones first."""
    info = msgspec.inspect.type_info(struct)
    assert isinstance(info, msgspec.inspect.StructType)
    found = [_plain(one.encode_name, one.type, one.required) for one in info.fields]
    return tuple(sorted(found, key=lambda one: not one.required))


_PLAIN: dict[type[msgspec.inspect.Type], str] = {
    msgspec.inspect.StrType: "string",
    msgspec.inspect.IntType: "integer",
    msgspec.inspect.FloatType: "number",
    msgspec.inspect.BoolType: "boolean",
}


def _plain(name: str, kind: msgspec.inspect.Type, required: bool) -> Field:
    text = FIELDS.get(name, "")
    if isinstance(kind, msgspec.inspect.UnionType):
        inner = [one for one in kind.types if not isinstance(one, msgspec.inspect.NoneType)]
        structs = [one for one in inner if isinstance(one, msgspec.inspect.StructType)]
        # Of several ways to say it the form offers the one that says most; a value may be any scalar as text.
        chosen = (
            structs[0] if structs else next((one for one in inner if type(one) is msgspec.inspect.StrType), inner[0])
        )
        return _plain(name, chosen, required)
    if isinstance(kind, msgspec.inspect.LiteralType):
        return Field(name=name, kind="enum", required=required, text=text, values=tuple(map(str, kind.values)))
    if isinstance(kind, msgspec.inspect.ListType):
        items = _plain("", kind.item_type, required=True)
        return Field(name=name, kind="array", required=required, text=text, items=items)
    if isinstance(kind, msgspec.inspect.StructType):
        return Field(name=name, kind="object", required=required, text=text, fields=of_struct(kind.cls))
    return Field(name=name, kind=_PLAIN.get(type(kind), "any"), required=required, text=text)


# -- examples ---------------------------------------------------------------------------------------------------------
_TEXTS = {
    "idTag": "04A1B2C3D4",
    "idToken": "04A1B2C3D4",
    "key": "HeartbeatInterval",
    "value": "300",
    "vendorId": "com.example",
    "certificate": "-----BEGIN CERTIFICATE-----\n...\n-----END CERTIFICATE-----",
    "language": "en",
    "content": "Welcome",
    "location": "https://files.example.com/firmware.bin",
    "remoteLocation": "https://logs.example.com/upload/",
    "ocppCsmsUrl": "wss://csms.example.com/ocpp/",
    "currency": "EUR",
    "signature": "MEUCIQ==",
    "checksum": "d41d8cd98f00b204e9800998ecf8427e",
    "transactionId": "4b1f7a52",
    "tariffId": "day",
    "type": "ISO14443",
}
_NUMBERS = {"connectorId": 1, "evseId": 1, "limit": 16, "duration": 3600, "messageTimeout": 30, "severity": 5}
_INSTEAD = {"chargingProfilePurpose": "TxDefaultProfile", "chargingProfileKind": "Absolute", "type": "ISO14443"}
_TIME = "2030-01-01T12:00:00Z"


def example(action: str, fields: tuple[Field, ...]) -> dict[str, Any]:
    """A payload that holds what is required, and something that makes sense."""
    known = EXAMPLES.get(action)
    return dict(known) if known is not None else _object(fields)


def _object(fields: tuple[Field, ...]) -> dict[str, Any]:
    return {one.name: _value(one) for one in fields if one.required}


def _value(one: Field) -> Any:
    match one.kind:
        case "object":
            return _object(one.fields)
        case "array":
            assert one.items is not None
            return [_value(one.items)] * max(1, one.low or 0)
        case "enum":
            preferred = _INSTEAD.get(one.name)
            return preferred if preferred in one.values else one.values[0]
        case "integer" | "number":
            number = max(_NUMBERS.get(one.name, 1), one.low or 0)
            return number if one.high is None else min(number, one.high)
        case "boolean":
            return True
        case "date-time":
            return _TIME
        case "uri":
            return "https://files.example.com/firmware.bin"
        case _:
            return _TEXTS.get(one.name, "text")[: one.high]
