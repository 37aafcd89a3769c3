"""What an alarm rule looks for, as lines that people can read and type.

    connector-status-changed: status = Faulted
    command-settled: outcome in refused | timed-out
    event-notified: trigger = Alerting; severity <= 4; cleared = no

A line is a fact; after a colon its tests, semicolons between. Any of the lines will do, all tests of a line must hold.
"""

from __future__ import annotations

import re
from typing import Any

from pilotwire.api import types
from pilotwire.api.language import _

_SIGNS = {
    "eq": "=", "ne": "!=", "ge": ">=", "le": "<=", "gt": ">", "lt": "<", "in": "in", "not-in": "not in",
    "contains": "contains", "prefix": "starts with",
}  # fmt: skip
_OPS = {sign: op for op, sign in _SIGNS.items()}
_TEST = re.compile(r"\s*([a-z][a-z0-9_]*)\s*(!=|>=|<=|=|>|<|not\s+in\b|in\b|contains\b|starts\s+with\b)\s*(.*?)\s*$")
_YES = {"yes": True, "true": True, "no": False, "false": False}


class BadLine(ValueError):
    """A line that cannot be read; the text says why."""


def lines_of(matches: list[types.AlarmMatch]) -> str:
    """Matches as lines."""
    return "\n".join(_line(one) for one in matches)


def _line(match: types.AlarmMatch) -> str:
    tests = "; ".join(_test(one) for one in match.where)
    return f"{match.fact}: {tests}" if tests else match.fact


def _test(test: types.AlarmTest) -> str:
    values = test.values if test.op in ("in", "not-in") else [test.value]
    return f"{test.field} {_SIGNS[test.op]} {' | '.join(_value(one) for one in values)}"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    text = str(value)
    return f'"{text}"' if not text or text != text.strip() or any(sign in text for sign in ';|"') else text


def matches_of(text: str, known: types.AlarmVocabulary) -> list[types.AlarmMatch]:
    """Lines as matches. Raises BadLine."""
    facts = {one.name: one.fields for one in known.facts}
    found: list[types.AlarmMatch] = []
    for number, line in enumerate(text.splitlines(), 1):
        if line.strip():
            try:
                found.append(_match(line.strip(), facts))
            except BadLine as bad:
                raise BadLine(_("Line {n}: {why}", n=number, why=bad)) from None
    return found


def _match(line: str, facts: dict[str, dict[str, str]]) -> types.AlarmMatch:
    name, _colon, rest = line.partition(":")
    name = name.strip()
    if name not in facts:
        raise BadLine(_("there is no fact {name}; the list below has them all", name=name[:60]))
    tests = [_read(part, name, facts[name]) for part in _split(rest, ";") if part.strip()]
    return types.AlarmMatch(fact=name, where=tests)


def _read(text: str, fact: str, fields: dict[str, str]) -> types.AlarmTest:
    found = _TEST.fullmatch(text)
    if found is None:
        raise BadLine(_("{given} is no test: write field = value", given=text.strip()[:60]))
    field, op, rest = found[1], _OPS[re.sub(r"\s+", " ", found[2])], found[3]
    if field not in fields:
        raise BadLine(
            _("{fact} has no field {field}; it has {fields}", fact=fact, field=field, fields=", ".join(fields))
        )
    if op in ("in", "not-in"):
        return types.AlarmTest(field=field, op=op, values=[_typed(one, fields[field]) for one in _split(rest, "|")])  # type: ignore[arg-type]
    return types.AlarmTest(field=field, op=op, value=_typed(rest, fields[field]))  # type: ignore[arg-type]


def _typed(text: str, kind: str) -> int | bool | str:
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if kind == "boolean" or text.lower() in ("true", "false"):
        if text.lower() not in _YES:
            raise BadLine(_("{given} is neither yes nor no", given=text[:40]))
        return _YES[text.lower()]
    if kind == "number":
        if not re.fullmatch(r"-?\d{1,15}", text):
            raise BadLine(_("{given} is no whole number", given=text[:40]))
        return int(text)
    return text


def _split(text: str, sign: str) -> list[str]:
    """Parts between `sign`, where it does not stand in quotes."""
    parts, quoted = [""], False
    for letter in text:
        if letter == '"':
            quoted = not quoted
        if letter == sign and not quoted:
            parts.append("")
        else:
            parts[-1] += letter
    return parts
