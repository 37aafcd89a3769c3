"""Is what came what was wanted? Misfits are told in words.

What may be wanted at a path: a value (numbers by amount, date-times to the second), a list of values of which any will
do, and texts with a meaning: "?" anything, "!" nothing, ">0" and the like for numbers, "~pattern" for a text that holds
the pattern, "=text" for a text that would otherwise mean something.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

_PART = re.compile(r"[^.\[\]]+|\[(?:\d+|\*)\]")
_COMPARE = re.compile(r"(>=|<=|>|<)(-?\d+(?:\.\d+)?)$")


def find(data: Any, path: str) -> list[Any]:
    """Everything that `path` leads to."""
    found = [data]
    for part in _PART.findall(path):
        step: list[Any] = []
        for each in found:
            if part == "[*]":
                step.extend(each if isinstance(each, list) else ())
            elif part[0] == "[":
                index = int(part[1:-1])
                if isinstance(each, list) and index < len(each):
                    step.append(each[index])
            elif isinstance(each, dict) and part in each:
                step.append(each[part])
        found = step
    return found


def misfits(data: Any, wanted: Mapping[str, Any]) -> list[str]:
    """What is not as wanted, one sentence each; empty when all is."""
    return [words for path, want in wanted.items() if (words := _misfit(data, path, want))]


def fits(data: Any, wanted: Mapping[str, Any]) -> bool:
    return not misfits(data, wanted)


def flat(payload: Any, path: str = "") -> dict[str, Any]:
    """The matchers that `payload` itself is: every leaf, at any place of a list."""
    if isinstance(payload, dict):
        found: dict[str, Any] = {}
        for name, value in payload.items():
            found |= flat(value, f"{path}.{name}" if path else name)
        return found
    if isinstance(payload, list):
        found = {} if payload else {path: "!"}
        for value in payload:
            for key, leaf in flat(value, f"{path}[*]").items():
                found[key] = [*found[key], leaf] if isinstance(found.get(key), list) else leaf
        return found
    return {path: f"={payload}" if isinstance(payload, str) else payload}


def _misfit(data: Any, path: str, want: Any) -> str:
    found = find(data, path)
    if want == "!":
        return f"{path} must be absent, and is {_show(found[0])}" if found and found != [[]] else ""
    if not found:
        if isinstance(want, list) and "!" in want:
            return ""
        return f"{path} is missing; wanted {_words(want)}"
    if any(_is(each, want) for each in found):
        return ""
    return f"{path} is {', '.join(_show(each) for each in found[:5])}; wanted {_words(want)}"


def _is(value: Any, want: Any) -> bool:
    if isinstance(want, list):
        return any(_is(value, each) for each in want)
    if not isinstance(want, str):
        return _same(value, want)
    if want == "?":
        return True
    if want.startswith("="):
        return _same(value, want[1:])
    compare = _COMPARE.match(want)
    if compare:
        number = _number(value)
        if number is None:
            return False
        limit = Decimal(compare[2])
        return {">": number > limit, ">=": number >= limit, "<": number < limit, "<=": number <= limit}[compare[1]]
    if want.startswith("~"):
        return isinstance(value, str) and re.search(want[1:], value) is not None
    return _same(value, want)


def _same(value: Any, want: Any) -> bool:
    if isinstance(want, bool) or isinstance(value, bool):
        return value is want
    if isinstance(want, int | float | Decimal):
        number = _number(value)
        return number is not None and not isinstance(value, str) and number == Decimal(str(want))
    if isinstance(want, str) and isinstance(value, str) and value != want:
        one, other = _moment(value), _moment(want)
        return one is not None and other is not None and abs((one - other).total_seconds()) < 1
    return value == want


def _number(value: Any) -> Decimal | None:
    if isinstance(value, bool):
        return None
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _moment(text: str) -> datetime | None:
    if len(text) < 20 or text[4:5] != "-":
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _words(want: Any) -> str:
    if isinstance(want, list):
        return " or ".join(_words(each) for each in want)
    if not isinstance(want, str):
        return _show(want)
    if want == "?":
        return "any value"
    if want == "!":
        return "none"
    if _COMPARE.match(want):
        return want
    if want.startswith("~"):
        return f"a text that holds {want[1:]}"
    return _show(want.removeprefix("="))


def _show(value: Any) -> str:
    text = f'"{value}"' if isinstance(value, str) else str(value)
    return text if len(text) <= 120 else text[:117] + "..."
