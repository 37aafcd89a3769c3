"""The tests of a rule, made into one function that a fact of their kind either passes or not."""

from __future__ import annotations

from collections.abc import Callable

from .alarms_rules import Match, Test
from .facts import Fact

Check = Callable[[Fact], bool]


def any_of(name: str, matches: tuple[Match, ...]) -> Check | None:
    """One function for all matches of a fact; None when there is none."""
    checks = [_all_of(one.where) for one in matches if one.fact == name]
    if not checks:
        return None
    return checks[0] if len(checks) == 1 else lambda fact: any(check(fact) for check in checks)


def _all_of(tests: tuple[Test, ...]) -> Check:
    checks = [_check(test) for test in tests]
    if not checks:
        return lambda fact: True
    return checks[0] if len(checks) == 1 else lambda fact: all(check(fact) for check in checks)


def _check(test: Test) -> Check:
    name, value, values = test.field, test.value, frozenset(test.values)
    match test.op:
        case "eq":
            return lambda fact: getattr(fact, name) == value
        case "ne":
            return lambda fact: getattr(fact, name) != value
        case "in":
            return lambda fact: getattr(fact, name) in values
        case "not-in":
            return lambda fact: getattr(fact, name) not in values
        case "contains":
            return lambda fact: str(value).casefold() in str(getattr(fact, name)).casefold()
        case "prefix":
            return lambda fact: str(getattr(fact, name)).startswith(str(value))
        case op:
            return _ordered(name, op, int(value))


def _ordered(name: str, op: str, limit: int) -> Check:
    def check(fact: Fact) -> bool:
        given: object = getattr(fact, name)
        if not isinstance(given, int):
            return False
        match op:
            case "gt":
                return given > limit
            case "ge":
                return given >= limit
            case "lt":
                return given < limit
            case _:
                return given <= limit

    return check
