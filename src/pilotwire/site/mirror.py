"""Structs in base units as people write them: kW for mW, seconds for ms, per cent, prices, `HH:MM`.

`mirror(Battery)` is a struct whose `charge_kw` is the other's `charge_mw`; `unmirrored` goes back. So each contract,
battery and schedule of `domain.steering` is a section of the file without being written down a second time.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Union, get_args, get_origin, get_type_hints

import msgspec
from msgspec import UNSET, UnsetType

_UNITS: tuple[tuple[str, str, int], ...] = (
    ("_mw", "_kw", 1_000_000),
    ("_wh", "_kwh", 1_000),
    ("_ms", "_s", 1_000),
    ("permille", "percent", 10),
    ("efficiency", "efficiency_percent", 10),
    ("_micro", "_price", 1_000_000),
    ("curtail_below", "curtail_below_price", 1_000_000),
)
_MADE: dict[type, type] = {}


def outer(name: str) -> tuple[str, int | None]:
    """What a field is called in the file, and by what its figure is multiplied; None: it is taken as it is."""
    if name in ("from_minute", "until_minute"):
        return name.removesuffix("_minute"), None
    for ours, theirs, factor in _UNITS:
        if name.endswith(ours) or (ours == "_mw" and name.endswith("_mw_s")):
            return name.replace(ours, theirs), factor
    return name, None


def mirror(type_: Any, replaced: Mapping[type, type], *, without: tuple[str, ...] = ()) -> Any:
    """The struct of the file for a struct of ours. `replaced`: those that have one already."""
    if type_ in replaced:
        return replaced[type_]
    if type_ in _MADE:
        return _MADE[type_]
    fields: list[Any] = []
    hints = get_type_hints(type_)
    for field in msgspec.structs.fields(type_):
        if field.name in without:
            continue
        name, factor = outer(field.name)
        minute = field.name.endswith("_minute")
        kind = str if minute else _kind(hints[field.name], factor, replaced)
        python = f"{name}_" if name == "from" else name
        encoded = {"name": name} if python != name else {}
        if field.required:
            fields.append((python, kind, msgspec.field(**encoded)))
        else:
            fields.append((python, kind | UnsetType, msgspec.field(default=UNSET, **encoded)))
    made = msgspec.defstruct(
        f"{type_.__name__}Entry", fields, frozen=True, kw_only=True, forbid_unknown_fields=True, module=__name__
    )
    _MADE[type_] = made
    return made


def _kind(hint: Any, factor: int | None, replaced: Mapping[type, type]) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is tuple and len(arguments) == 2 and arguments[1] is Ellipsis:
        return tuple[_kind(arguments[0], factor, replaced), ...]  # type: ignore[misc]
    if origin in (Union, types.UnionType):
        kinds = [each if each is type(None) else _kind(each, factor, replaced) for each in arguments]
        found = kinds[0]
        for kind in kinds[1:]:
            found = found | kind
        return found
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return mirror(hint, replaced)
    if hint is int and factor is not None:
        return Decimal
    return hint


def unmirrored(
    entry: Any, type_: Any, restore: Mapping[type, Callable[[Any], Any]], defaults: Mapping[str, Any], **more: Any
) -> Any:
    """Ours again. `restore`: of those that were replaced. `defaults`: of fields that are not given. Raises ValueError
    for a time of the day that is none."""
    hints = get_type_hints(type_)
    values: dict[str, Any] = dict(more)
    for field in msgspec.structs.fields(type_):
        name, factor = outer(field.name)
        given = getattr(entry, f"{name}_" if name == "from" else name, UNSET)
        if given is UNSET:
            if field.name in defaults and field.name not in values:
                values[field.name] = defaults[field.name]
            continue
        minute = field.name.endswith("_minute")
        values[field.name] = _minute(given) if minute else _value(given, hints[field.name], factor, restore, defaults)
    return type_(**values)


def _value(
    given: Any, hint: Any, factor: int | None, restore: Mapping[type, Callable[[Any], Any]], defaults: Mapping[str, Any]
) -> Any:
    if isinstance(given, tuple):
        inner = next((each for each in _alternatives(hint) if get_origin(each) is tuple), hint)
        return tuple(_value(each, get_args(inner)[0], factor, restore, defaults) for each in given)
    if isinstance(given, Decimal) and factor is not None:
        return int(given * factor)
    for each in _alternatives(hint):
        if isinstance(given, msgspec.Struct) and isinstance(each, type) and issubclass(each, msgspec.Struct):
            return restore[each](given) if each in restore else unmirrored(given, each, restore, defaults)
    return given


def _alternatives(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _minute(text: str) -> int:
    hour, colon, minute = text.partition(":")
    if (
        not colon
        or not (hour.isdigit() and minute.isdigit())
        or int(minute) > 59
        or int(hour) * 60 + int(minute) > 1_440
    ):
        raise ValueError(f"{text!r} is no time of the day; e.g. '22:00' in quotes")
    return int(hour) * 60 + int(minute)
