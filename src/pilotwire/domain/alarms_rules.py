"""The rules of alarms, as data: which facts, gauges and sessions they look at, and what is wrong with one."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from .facts import AnyFact, Fact

Severity = Literal["critical", "major", "minor", "warning"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "major", "minor", "warning")
"""Worst first (the words of ITU-T X.733)."""
_RANK: Final[dict[str, int]] = {name: rank for rank, name in enumerate(SEVERITIES)}


def at_least(severity: str, floor: str) -> bool:
    """Whether `severity` is as bad as `floor` or worse."""
    return _RANK[severity] <= _RANK[floor]


class HandshakeRefused(Fact, frozen=True, tag="handshake-refused.1"):
    """A connection attempt that was turned away. It is no fact of the journal, which a stranger must not fill."""

    status: int
    """HTTP status that was answered."""
    reason: str
    peer: str = ""


Cause = AnyFact | HandshakeRefused
FACTS: Final[dict[str, type[Fact]]] = {
    str(kind.__struct_config__.tag).rpartition(".")[0]: kind
    for kind in sorted(Cause.__args__, key=lambda one: str(one.__struct_config__.tag))
}
"""Name without version → class; of several versions the newest."""

Value = str | int | bool


class Test(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of a fact compared with a value, or with any of `values`."""

    __test__ = False

    field: str
    op: Literal["eq", "ne", "in", "not-in", "gt", "ge", "lt", "le", "contains", "prefix"] = "eq"
    value: Value = ""
    values: tuple[Value, ...] = ()


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fact by its name (e.g. connector-status-changed), all of whose tests hold."""

    fact: str
    where: tuple[Test, ...] = ()


class FactCondition(msgspec.Struct, frozen=True, omit_defaults=True, tag="facts", tag_field="kind"):
    """Raised by any of `when`, ended by any of `clear`; apart for every combination of the fields in `per`."""

    when: tuple[Match, ...]
    clear: tuple[Match, ...] = ()
    per: tuple[str, ...] = ()
    count: int = 1
    within_s: int = 0
    for_s: int = 0
    clear_after_s: int = 0


class StalledCondition(msgspec.Struct, frozen=True, omit_defaults=True, tag="stalled", tag_field="kind"):
    """A session that should be charging and whose energy register has not moved for `for_s`."""

    for_s: int = 1800


class GaugeCondition(msgspec.Struct, frozen=True, omit_defaults=True, tag="gauge", tag_field="kind"):
    """A measured value above `over`; over again only when it has come down to `back` (default: `over`)."""

    gauge: str
    """One of `GAUGES`."""
    over: int
    back: int | None = None
    for_s: int = 0


Condition = FactCondition | StalledCondition | GaugeCondition

GAUGES: Final = {
    "certificate-overdue-days": "days since the station's certificate should have been renewed, 30 before its end",
    "clock-skew-s": "the station's clock minus ours, without its sign, s",
    "site-power-percent": "power of all sessions at a site in percent of the site's power limit",
    "rollout-stopped": "1 while a roll-out stands that has stopped itself",
    "webhook-failing-min": "for how long a webhook has taken nothing, min",
}


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """When to raise an alarm. `sites` and `stations` (names, * and ? stand for anything) narrow it; empty: all."""

    id: str
    name: str
    severity: Severity
    condition: Condition
    description: str = ""
    enabled: bool = True
    sites: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    hold_s: int = 30


def check_rule(rule: Rule) -> list[tuple[str, str]]:
    """What is wrong with a rule: (field, why). Empty when it can be worked with."""
    wrong: list[tuple[str, str]] = []
    match rule.condition:
        case FactCondition() as condition:
            if not condition.when:
                wrong.append(("condition.when", "at least one fact is needed"))
            if condition.count > 1 and condition.within_s <= 0:
                wrong.append(("condition.within_s", "needed where `count` is more than 1"))
            if not condition.clear and condition.clear_after_s <= 0:
                wrong.append(("condition.clear_after_s", "needed where no fact clears the alarm"))
            for name, matches in (("when", condition.when), ("clear", condition.clear)):
                for place, one in enumerate(matches):
                    wrong += _wrong_match(f"condition.{name}[{place}]", one, condition.per)
        case GaugeCondition() as condition:
            if condition.gauge not in GAUGES:
                wrong.append(("condition.gauge", f"one of {', '.join(GAUGES)}"))
            if condition.back is not None and condition.back > condition.over:
                wrong.append(("condition.back", "may not be above `over`"))
        case StalledCondition():
            pass
    return wrong


def _wrong_match(where: str, match: Match, per: tuple[str, ...]) -> list[tuple[str, str]]:
    kind = FACTS.get(match.fact)
    if kind is None:
        return [(f"{where}.fact", f"one of {', '.join(FACTS)}")]
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    wrong = [
        (f"{where}.fact", f"{match.fact} has no field {name}, which `per` asks for")
        for name in per
        if name not in fields
    ]
    for place, test in enumerate(match.where):
        if test.field not in fields:
            wrong.append((f"{where}.where[{place}].field", f"{match.fact} has {', '.join(fields)}"))
        elif test.op in ("in", "not-in") and not test.values:
            wrong.append((f"{where}.where[{place}].values", f"needed with {test.op}"))
        elif test.op in ("gt", "ge", "lt", "le") and (isinstance(test.value, bool) or not isinstance(test.value, int)):
            wrong.append((f"{where}.where[{place}].value", f"a whole number is needed with {test.op}"))
    return wrong
