"""One register that a grid operator's remote terminal unit may write: what it means, and what counts when it is silent.

A count is 1 %, 1 kW or 1 W; 0xFFFF is "no limit". Each write feeds the watchdog; when it has run out, what is written
for the loss counts until the next write.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import msgspec

from pilotwire.domain.steering import Control

from .plan import control_of
from .receivers import Figure, OrderKind

NO_LIMIT = 0xFFFF
_COUNT_MW = {"kw": 1_000_000, "w": 1_000}


class RegisterRules(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The register's meaning. `percent` is of the installed generation, or of `reference_mw` for other kinds."""

    id: str
    source: str
    node: str
    kind: OrderKind = "export_limit"
    meaning: Literal["percent", "kw", "w"] = "percent"
    maximum: int = 100
    """In counts; what is beyond it is refused."""
    reference_mw: int | None = None
    watchdog_ms: int | None = None
    """None: what was written holds until it is written again."""
    lost: Literal["hold", "figure"] = "hold"
    """When the watchdog has run out: the last order, or `lost_figure` (None: no limit)."""
    lost_figure: Figure | None = None


class RegisterState(msgspec.Struct, frozen=True):
    """What was written last (None: nothing yet), by whom, at `written_ms` of the steady clock."""

    written_ms: int
    raw: int | None = None
    client: str = ""


class InForce(NamedTuple):
    """What counts now. `left_ms` None: without end; 0: the watchdog has run out."""

    control: Control | None
    raw: int | None
    lost: bool
    left_ms: int | None


def meant(rules: RegisterRules, raw: int) -> Figure | None:
    """What a count says; None: no limit. Raises ValueError for one that is out of range."""
    if raw == NO_LIMIT:
        return None
    if not 0 <= raw <= rules.maximum:
        raise ValueError(f"{raw} is not from 0 to {rules.maximum}, nor {NO_LIMIT} (no limit)")
    if rules.meaning == "percent":
        return Figure(permille=10 * raw)
    return Figure(value_mw=_COUNT_MW[rules.meaning] * raw)


def written(rules: RegisterRules, raw: int, client: str, now: int) -> RegisterState:
    """A client has written. Raises ValueError for a count that is out of range; nothing has happened then."""
    meant(rules, raw)
    return RegisterState(raw=raw, client=client, written_ms=now)


def in_force(rules: RegisterRules, state: RegisterState, now: int) -> InForce:
    """What counts at `now` of the steady clock."""
    left = None if rules.watchdog_ms is None else max(0, state.written_ms + rules.watchdog_ms - now)
    lost = left == 0
    figure = None if state.raw is None else meant(rules, state.raw)
    raw = state.raw
    if lost and rules.lost == "figure":
        figure, raw = rules.lost_figure, _count(rules, rules.lost_figure)
    source = f"{rules.source}, silent" if lost else rules.source
    control = control_of(rules.id, source, rules.node, rules.kind, rules.reference_mw, figure)
    return InForce(control, raw, lost, left)


def register_faults(rules: RegisterRules) -> tuple[str, ...]:
    """What is wrong with its configuration."""
    found: list[str] = []
    where = f"register {rules.id}"
    if not 0 < rules.maximum < NO_LIMIT:
        found.append(f"{where}: maximum is 1 to {NO_LIMIT - 1}")
    elif rules.meaning == "percent" and rules.maximum > 100:
        found.append(f"{where}: maximum is at most 100 percent")
    shares = rules.meaning == "percent" or (rules.lost_figure is not None and rules.lost_figure.permille is not None)
    if shares and rules.kind != "export_limit" and rules.reference_mw is None:
        found.append(f"{where}: a share of the import needs reference_mw")
    if rules.watchdog_ms is not None and rules.watchdog_ms <= 0:
        found.append(f"{where}: watchdog_ms is above 0")
    if rules.lost_figure is not None:
        if rules.lost == "hold":
            found.append(f"{where}: lost_figure counts only with lost: figure")
        elif rules.lost_figure == Figure() and rules.kind != "steuve_limit":
            found.append(f"{where}: lost_figure needs a power or a share")
        elif rules.lost_figure != Figure() and _count(rules, rules.lost_figure) is None:
            found.append(f"{where}: lost_figure has the unit of the register, or it could not be read back")
    return tuple(found)


def _count(rules: RegisterRules, figure: Figure | None) -> int | None:
    """A figure in counts, rounded down; None where it has none in this unit."""
    if figure is None:
        return NO_LIMIT
    if figure == Figure():
        return 0
    if rules.meaning == "percent":
        return None if figure.permille is None else figure.permille // 10
    return None if figure.value_mw is None else min(NO_LIMIT - 1, figure.value_mw // _COUNT_MW[rules.meaning])
