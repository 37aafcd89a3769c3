"""What a schedule orders at a moment, and what counts where it says nothing: in a gap, after its end, without one."""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.steering import Control

from .receivers import Figure, OrderKind
from .schedule import Schedule, at

Why = Literal["entry", "gap", "stale", "missing"]


class ScheduleRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a schedule is about. `gap`, `stale` (valid no more) and `missing` (never read) are the written states;
    None: no limit then."""

    id: str
    source: str
    node: str
    kind: OrderKind = "import_limit"
    reference_mw: int | None = None
    """What 100 % is, for limits of the import in percent; of the export it is the installed power."""
    gap: Figure | None = None
    stale: Figure | None = None
    missing: Figure | None = None


class Planned(NamedTuple):
    """The order of this moment, None for none, and by which rule."""

    control: Control | None
    why: Why


def scheduled(rules: ScheduleRules, schedule: Schedule | None, utc_ms: int) -> Planned:
    """What is ordered now."""
    figure, why = rules.missing, "missing"
    if schedule is not None:
        entry = at(schedule, utc_ms)
        if utc_ms >= schedule.valid_until_ms:
            figure, why = rules.stale, "stale"
        elif entry is None:
            figure, why = rules.gap, "gap"
        else:
            figure, why = entry.figure, "entry"
    return Planned(control_of(rules.id, rules.source, rules.node, rules.kind, rules.reference_mw, figure), why)


def control_of(
    id: str, source: str, node: str, kind: OrderKind, reference_mw: int | None, figure: Figure | None
) -> Control | None:
    """A figure as steering understands it: only an export limit knows a share, of others it becomes a power."""
    if figure is None:
        return None
    value, part = figure.value_mw, figure.permille
    if part is not None and kind != "export_limit":
        value, part = (reference_mw or 0) * part // 1_000, None
    return Control(id=id, source=source, kind=kind, node=node, value_mw=value, permille=part)


def rules_faults(rules: ScheduleRules, schedule: Schedule | None = None) -> tuple[str, ...]:
    """What does not fit: shares without anything that they are a share of."""
    figures = [rules.gap, rules.stale, rules.missing]
    if schedule is not None:
        figures += [entry.figure for entry in schedule.entries]
    found: list[str] = []
    shares = any(each is not None and each.permille is not None for each in figures)
    if shares and rules.kind != "export_limit" and rules.reference_mw is None:
        found.append(f"schedule {rules.id}: a share of the import needs reference_mw")
    if rules.kind != "steuve_limit" and Figure() in (rules.gap, rules.stale, rules.missing):
        found.append(f"schedule {rules.id}: a written state has a figure, or is none")
    return tuple(found)
