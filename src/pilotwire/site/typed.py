"""Plain data (from YAML) to typed structs, with every mistake at once, each with its place and what to do about it.

msgspec stops at the first mistake. Who writes a configuration wants all of them, so structs and lists are walked here
and only what lies in a single field is left to msgspec.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Sequence
from decimal import Decimal
from difflib import get_close_matches
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import msgspec

T = TypeVar("T")


class Finding(msgspec.Struct, frozen=True):
    """One mistake, or one thing worth knowing: where, and what to do."""

    where: str
    text: str
    severity: typing.Literal["error", "warning"] = "error"

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def typed(data: Any, type_: type[T]) -> tuple[T | None, list[Finding]]:
    """`data` as `type_`; None, and why, where it is not one."""
    findings: list[Finding] = []
    _walk(data, type_, "", findings)
    if findings:
        return None, findings
    try:
        return msgspec.convert(data, type_), []
    except msgspec.ValidationError as error:  # what only the whole shows, e.g. a __post_init__
        return None, [Finding(*_said(error, ""))]


def _walk(data: Any, type_: Any, where: str, findings: list[Finding]) -> None:
    type_ = _without_none(type_, data)
    if isinstance(type_, type) and issubclass(type_, msgspec.Struct) and isinstance(data, dict):
        _struct(data, type_, where, findings)
        return
    if get_origin(type_) in (list, tuple, Sequence) and isinstance(data, list):
        inner = get_args(type_)
        if len(inner) == 1 or (len(inner) == 2 and inner[1] is Ellipsis):
            for at, each in enumerate(data):
                _walk(each, inner[0], f"{where}[{_name(each, at)}]", findings)
            return
    try:
        msgspec.convert(data, type_)
    except msgspec.ValidationError as error:
        findings.append(Finding(*_said(error, where)))
        return
    findings += [Finding(where, text) for text in _outside(data, type_)]


def _outside(data: Any, type_: Any) -> list[str]:
    """Which bounds of a decimal are broken: msgspec knows bounds of floats and ints alone, so they stand in `extra`."""
    if get_origin(type_) in (Union, types.UnionType):
        return next((found for each in get_args(type_) if (found := _outside(data, each))), [])
    if get_origin(type_) is tuple and isinstance(data, list):
        return [text for each, inner in zip(data, get_args(type_), strict=False) for text in _outside(each, inner)]
    if get_origin(type_) is not Annotated or isinstance(data, list | bool) or not isinstance(data, int | str | Decimal):
        return []
    bounds = next((meta.extra for meta in type_.__metadata__ if isinstance(meta, msgspec.Meta) and meta.extra), {})
    if not bounds:
        return []
    value = Decimal(data)
    if not value.is_finite() or ("above" in bounds and value <= bounds["above"]):
        return [f"{data} has to be above {bounds.get('above', 0)}"]
    if "least" in bounds and value < bounds["least"]:
        return [f"{data} has to be at least {bounds['least']}"]
    if "most" in bounds and value > bounds["most"]:
        return [f"{data} has to be at most {bounds['most']}"]
    return []


def _struct(data: dict[Any, Any], type_: type[msgspec.Struct], where: str, findings: list[Finding]) -> None:
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for key in data:
        if key not in fields:
            near = get_close_matches(str(key), fields, 1)
            hint = f"did you mean {near[0]}?" if near else f"known here: {', '.join(fields)}"
            findings.append(Finding(_join(where, str(key)), f"there is no such setting; {hint}"))
    for key, field in fields.items():
        if key in data:
            _walk(data[key], field.type, _join(where, key), findings)
        elif field.required:
            findings.append(Finding(_join(where, key), "is missing; it has to be given"))


def _without_none(type_: Any, data: Any) -> Any:
    """`X` of `X | None` where there is something, so that its fields can be walked; the struct of a union, for a
    mapping."""
    if get_origin(type_) not in (Union, types.UnionType) or data is None:
        return type_
    left = [each for each in get_args(type_) if each not in (type(None), msgspec.UnsetType)]
    structs = [each for each in left if isinstance(each, type) and issubclass(each, msgspec.Struct)]
    if isinstance(data, dict) and len(structs) == 1:
        return structs[0]
    return left[0] if len(left) == 1 else type_


def _name(data: Any, at: int) -> str:
    """Of an entry of a list: its id where it has one, for nobody counts entries."""
    if isinstance(data, dict) and isinstance(data.get("id"), str) and data["id"]:
        return data["id"]
    return str(at + 1)


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _said(error: msgspec.ValidationError, where: str) -> tuple[str, str]:
    """msgspec's text with its own path (`- at `$.a[0]``) joined to ours."""
    text, _, path = str(error).partition(" - at `$")
    return where + path.rstrip("`") or "the file", text[:1].lower() + text[1:]
