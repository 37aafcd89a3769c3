"""Payloads of commands from forms that are drawn from `types.CommandField`, and back.

An input is named by the path to its field with dots between: `chargingProfile.chargingSchedule`. Lists of plain values
are typed one to a line, lists of objects as JSON. What is left empty is left out; an optional object is left out when
all of its fields are.
"""

from __future__ import annotations

import json
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pilotwire.api.language import _
from pilotwire.api.types import CommandField

from .forms import Form

_PLAIN = ("string", "integer", "number", "boolean", "date-time", "uri", "enum")
DEPTH = 3
"""Objects deeper than that are typed as JSON."""


def as_json(field: CommandField, depth: int) -> bool:
    """Whether a field is typed as JSON."""
    if field.kind == "any" or (field.kind == "object" and (depth >= DEPTH or not field.fields)):
        return True
    return field.kind == "array" and (field.items is None or field.items.kind not in _PLAIN)


def read(fields: list[CommandField], form: Form, prefix: str = "", depth: int = 0) -> dict[str, Any]:
    """The payload; what cannot be right is noted at its field."""
    made: dict[str, Any] = {}
    for field in fields:
        path = prefix + field.name
        if field.kind == "object" and not as_json(field, depth):
            inner = read(field.fields, form, path + ".", depth + 1)
            if inner or field.required:
                made[field.name] = inner
            continue
        text = form.get(path)
        if not text:
            if field.required and field.kind != "array":
                form.wrong(path, _("This is needed."))
            elif field.required:
                made[field.name] = []
            continue
        try:
            made[field.name] = _value(field, text, depth)
        except ValueError as error:
            form.wrong(path, str(error))
    return made


def _value(field: CommandField, text: str, depth: int) -> Any:
    if as_json(field, depth):
        try:
            return json.loads(text)
        except ValueError as error:
            raise ValueError(_("Not JSON: {error}", error=error)) from None
    if field.kind == "array" and field.items is not None:
        return [_plain(field.items, line.strip()) for line in text.splitlines() if line.strip()]
    return _plain(field, text)


def _plain(field: CommandField, text: str) -> Any:
    match field.kind:
        case "integer":
            if not text.removeprefix("-").isdecimal() or len(text) > 18:
                raise ValueError(_("A whole number is needed."))
            number = int(text)
            _bounds(field, number)
            return number
        case "number":
            try:
                exact = Decimal(text)
            except InvalidOperation:
                raise ValueError(_("A number is needed.")) from None
            if not exact.is_finite():
                raise ValueError(_("A number is needed."))
            _bounds(field, exact)
            return float(exact)
        case "boolean":
            return text == "true"
        case "date-time":
            return _time(text)
        case "enum":
            if field.values and text not in field.values:
                raise ValueError(_("One of the list is needed."))
            return text
        case _:
            if field.high is not None and len(text) > field.high:
                raise ValueError(_("At most {n} characters.", n=field.high))
            return text


def _bounds(field: CommandField, number: int | Decimal) -> None:
    if field.low is not None and number < field.low:
        raise ValueError(_("{n} or more.", n=field.low))
    if field.high is not None and number > field.high:
        raise ValueError(_("{n} or less.", n=field.high))


def _time(text: str) -> str:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError(_("A time is needed, as in 2026-03-14T09:26:00Z.")) from None
    return text if at.tzinfo else f"{text}{':00' if len(text) == 16 else ''}Z"


def prefill(
    fields: list[CommandField], payload: dict[str, Any], prefix: str = "", depth: int = 0
) -> dict[str, list[str]]:
    """A payload as what would have been typed."""
    made: dict[str, list[str]] = {}
    for field in fields:
        value = payload.get(field.name)
        path = prefix + field.name
        if value is None:
            continue
        if field.kind == "object" and isinstance(value, dict) and not as_json(field, depth):
            made |= prefill(field.fields, value, path + ".", depth + 1)
        elif as_json(field, depth):
            made[path] = [json.dumps(value, indent=2, ensure_ascii=False)]
        elif isinstance(value, list):
            made[path] = ["\n".join(str(one) for one in value)]
        else:
            made[path] = [str(value).lower() if isinstance(value, bool) else str(value)]
    return made
