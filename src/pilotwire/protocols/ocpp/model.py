"""What the generated messages are made of: their base, and the few types that msgspec alone cannot say.

A field that may be absent is written `Opt[T] = None`. For a type checker that is `T | None`; at run time it is `T`, so
that `null` on the wire is refused: an absent field is left out (OCPP-J 2.x part 4, 4.1.5), and the schemas agree.

Numbers (`"type": "number"`) are `Decimal`, taken from the digits on the wire without passing through float. At run time
`Number` is an open type, because msgspec takes a string for a Decimal and the schemas do not; the generated check that
follows the decode lets only numbers through and turns integers into Decimal.
"""

from __future__ import annotations

from datetime import datetime
from decimal import Context, Decimal
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast

import msgspec

MAX_MAGNITUDE = 64
"""Numbers of 1E+64 and more, or closer to zero than 1E-64, are refused: no quantity of OCPP is such, and a few bytes
of exponent would otherwise turn into megabytes of digits as soon as somebody computes with them."""

MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**63 - 1
"""Integers have 64 bits. The standard's have 32 (2.x part 2, 2.1.4); Alfen's transactionId of 2**63-1 has to pass."""

MAX_VENDOR_ID = 255


class Bounds(NamedTuple):
    """Limits of a `Number` that the generated check holds, as the schema has them."""

    ge: Decimal | None = None
    le: Decimal | None = None
    multiple_of: Decimal | None = None


NUMBER = "number"
URI = "uri"

if TYPE_CHECKING:
    from typing import TypeVar

    _T = TypeVar("_T")
    Opt = _T | None
    Integer = int
    Number = Decimal
    Uri = str
    DateTime = datetime
else:

    class Opt:
        """`Opt[T]` is `T`, see the head of this file."""

        def __class_getitem__(cls, item: Any) -> Any:
            return item

    Integer = Annotated[int, msgspec.Meta(ge=MIN_INTEGER, le=MAX_INTEGER)]
    Number = Annotated[Any, msgspec.Meta(extra={"kind": NUMBER})]
    Uri = Annotated[str, msgspec.Meta(extra={"kind": URI})]
    DateTime = Annotated[datetime, msgspec.Meta(tz=True)]


class Message(msgspec.Struct, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, rename="camel", gc=False):
    """Base of every generated message and of the types inside it.

    Fields are the wire's names in snake_case (`idTag` is `id_tag`, `iso15118SchemaVersion` is
    `iso15118_schema_version`); one that would be a Python keyword, or would hide something of Struct's own, ends in an
    underscore. gc is off because messages are trees: without cycles reference counting is enough.
    """


class CustomDataType(dict[str, Any]):
    """2.x customData: `vendorId` (a string of at most 255 characters) and any other properties, all kept.

    Keys are the wire's. Numbers inside are int or Decimal.
    """

    __slots__ = ()

    @property
    def vendor_id(self) -> str:
        return self["vendorId"]


def custom_data_fault(value: Any) -> str | None:
    """Why `value` is no customData, or None when it is."""
    if type(value) is not dict:
        return "not of type object"
    properties = cast("dict[str, Any]", value)
    if "vendorId" not in properties:
        return "vendorId is required and not there"
    vendor = properties["vendorId"]
    if not isinstance(vendor, str):
        return "vendorId is not of type string"
    if len(vendor) > MAX_VENDOR_ID:
        return f"vendorId is longer than {MAX_VENDOR_ID} characters"
    return None


def dec_hook(type_: type, value: Any) -> Any:
    """msgspec's hook for CustomDataType, the one type here that it does not know."""
    if type_ is not CustomDataType:
        raise NotImplementedError(type_)
    fault = custom_data_fault(value)
    if fault is not None:
        raise ValueError(fault)
    return CustomDataType(value)


def sound(value: Any) -> bool:
    """Is a decoded Decimal of a magnitude that can be computed with? (`MAX_MAGNITUDE`)"""
    return -MAX_MAGNITUDE < value.adjusted() < MAX_MAGNITUDE


_EXACT = Context(prec=2 * MAX_MAGNITUDE)


def is_multiple(value: Decimal, step: Decimal) -> bool:
    """Exactly, in decimal: 0.3 is a multiple of 0.1. `value` must be `sound`; it may have any number of digits.

    The remainder is exact before it is rounded, and rounding to a fixed number of digits makes nothing zero.
    """
    return not _EXACT.remainder(value, step)
