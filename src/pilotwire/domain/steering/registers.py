"""How much energy has flowed into a node: by its register where it has one, by its power in between.

A register moves in steps. At the moment at which it is seen to step it is exact; from there on the power is integrated
until the next step, which sets it right. The first step after a start tells where the register stands between two of
its steps: it moves nothing. Where nothing is known, `lost_mw` is assumed to flow, and a register that comes back says
what it really was. A register that jumps or goes back (a new meter, swapped words) is begun anew.
"""

from typing import Any

import msgspec

from pilotwire.domain.energy import Moment

from .inputs import Meter
from .state import Tracker

UJ_PER_WH = 3_600_000_000
SLACK_WH = 10


def advance(old: Tracker, meter: Meter | None, now: Moment, *, stale_ms: int, lost_mw: int, worst_mw: int) -> Tracker:
    """`old` brought up to now. Only import counts: what is exported does not come off it."""
    fresh = meter is not None and 0 <= now.tick_ms - meter.at_ms <= stale_ms
    begins = old.utc_ms is None
    passed = 0 if begins else max(0, now.tick_ms - old.tick_ms)
    total, known = old.total_uj, old.known_uj
    power = max(0, meter.power_mw) if meter is not None and fresh else None
    if power is not None and (old.power_mw is not None or passed <= stale_ms):
        flowed = (power + (power if old.power_mw is None else old.power_mw)) * passed // 2
        total += flowed
        known += flowed
    else:
        total += max(lost_mw, power or 0) * passed
    new = msgspec.structs.replace(
        old, total_uj=total, known_uj=known, utc_ms=now.utc_ms, tick_ms=now.tick_ms, power_mw=power,
        power_at_ms=meter.at_ms if meter is not None and fresh else old.power_at_ms,
    )  # fmt: skip
    if meter is None or meter.energy_wh is None:
        return new
    at = meter.at_ms if meter.energy_at_ms is None else meter.energy_at_ms
    if not 0 <= now.tick_ms - at <= stale_ms or (new.register_wh is not None and at <= new.register_at_ms):
        return new
    since = max(0, power or 0) * (now.tick_ms - at)
    return _read(new, meter.energy_wh, at, since, worst_mw)


def _read(new: Tracker, wh: int, at: int, since_uj: int, worst_mw: int) -> Tracker:
    changes: dict[str, Any] = {"register_wh": wh, "register_at_ms": at, "away_ms": 0}
    edge, before = new.edge_wh, new.register_wh
    afresh = {"edge_wh": wh, "edge_uj": new.total_uj - since_uj, "edge_known_uj": new.known_uj - since_uj}
    if edge is None or before is None or wh < before or wh - before > _most_wh(new, at, worst_mw):
        changes |= afresh | {"anchored": False, "step_wh": None}
        return msgspec.structs.replace(new, **changes)
    guessed = new.total_uj - new.edge_uj > new.known_uj - new.edge_known_uj
    if wh > before:
        step = wh - before
        changes["step_wh"] = step if new.step_wh is None else min(step, new.step_wh)
        if not new.anchored and not guessed:
            return msgspec.structs.replace(new, **(changes | afresh | {"anchored": True}))
        flowed = (wh - edge) * UJ_PER_WH
        changes |= {"edge_wh": wh, "edge_uj": new.edge_uj + flowed, "edge_known_uj": new.edge_known_uj + flowed}
        changes |= {"total_uj": new.edge_uj + flowed + since_uj, "known_uj": new.edge_known_uj + flowed + since_uj}
        changes["anchored"] = True
    elif guessed and new.step_wh is not None:
        # It has not stepped while the meter was away: less than one more step has flowed.
        most = new.edge_uj + (wh - edge + new.step_wh) * UJ_PER_WH
        changes["total_uj"] = min(new.total_uj, max(most, new.known_uj))
    return msgspec.structs.replace(new, **changes)


def _most_wh(new: Tracker, at: int, worst_mw: int) -> int:
    """By how much the register can have moved since it was read last."""
    passed = max(0, at - new.register_at_ms) + new.away_ms
    return 2 * worst_mw * passed // UJ_PER_WH + SLACK_WH + 2 * (new.step_wh or 1_000)


def resumed(old: Tracker, now: Moment, lost_mw: int) -> Tracker:
    """`old` from before a restart: the tick's clock began anew, and what flowed meanwhile is assumed."""
    if old.utc_ms is None:
        return old
    away = max(0, now.utc_ms - old.utc_ms)
    return msgspec.structs.replace(
        old, total_uj=old.total_uj + lost_mw * away, utc_ms=now.utc_ms, tick_ms=now.tick_ms, power_mw=None,
        power_at_ms=None, register_at_ms=now.tick_ms - 1, away_ms=old.away_ms + away,
    )  # fmt: skip


def between(before: Tracker, after: Tracker, utc_ms: int) -> tuple[int, int]:
    """(total, known) at an instant between the two, in a straight line."""
    if before.utc_ms is None or after.utc_ms is None or utc_ms >= after.utc_ms:
        return after.total_uj, after.known_uj
    if utc_ms <= before.utc_ms:
        return before.total_uj, before.known_uj
    part, whole = utc_ms - before.utc_ms, after.utc_ms - before.utc_ms
    return (
        before.total_uj + (after.total_uj - before.total_uj) * part // whole,
        before.known_uj + (after.known_uj - before.known_uj) * part // whole,
    )
