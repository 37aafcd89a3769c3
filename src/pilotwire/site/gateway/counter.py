"""An energy register over the years: it stands still, jumps, begins anew, is exchanged. What comes out never goes back.

`look(state, sample)` is pure: it returns the next state, and what was noticed. A reading that cannot be is not believed
until it has been seen three times; one that fits is taken at once.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["CounterRules", "CounterState", "Noticed", "look"]

Noticed = Literal["", "odd", "rollover", "reset", "jump", "frozen", "moves again"]
_UJ_PER_WH = 3_600_000_000
_SLACK_WH = 100
"""Coarse registers move in steps of up to that."""
_CONFIRM = 3


class CounterRules(msgspec.Struct, frozen=True, kw_only=True):
    """What the charger can do."""

    max_power_mw: int
    rollover_wh: int | None = None
    frozen_wh: int = 500
    """So much has to flow by its own power without the register moving, until it is taken for frozen."""


class CounterState(msgspec.Struct, frozen=True, kw_only=True):
    """All that has to be remembered."""

    offset_wh: int = 0
    """What came before the register began anew."""
    seen_wh: int | None = None
    """The register."""
    seen_ms: int = 0
    still_uj: int = 0
    """What has flowed, by its power, since the register moved last."""
    frozen: bool = False
    odd_wh: int = 0
    odd_ms: int = 0
    odd_since_ms: int = 0
    odd_count: int = 0
    """A reading that does not fit, how often it has come."""

    @property
    def total_wh(self) -> int:
        """What has flowed in all. While the register is frozen it is an estimate by the power."""
        return self.offset_wh + (self.seen_wh or 0) + (self.still_uj // _UJ_PER_WH if self.frozen else 0)

    @property
    def settled(self) -> bool:
        """Nothing is in doubt."""
        return self.seen_wh is not None and self.odd_count == 0


def look(rules: CounterRules, state: CounterState, wh: int, now_ms: int, power_mw: int) -> tuple[CounterState, Noticed]:
    """The register shows `wh` at `now_ms`, while `power_mw` flows."""
    seen = state.seen_wh
    if seen is None:
        return msgspec.structs.replace(state, seen_wh=wh, seen_ms=now_ms), ""
    elapsed = max(0, now_ms - state.seen_ms)
    # What has flowed while it stood still may come all at once.
    if 0 <= wh - seen <= _most(rules, elapsed) + state.still_uj * 5 // (4 * _UJ_PER_WH):
        return _fits(rules, state, wh, now_ms, power_mw)
    goes_on = state.odd_count and 0 <= wh - state.odd_wh <= _most(rules, max(0, now_ms - state.odd_ms))
    state = msgspec.structs.replace(
        state,
        odd_wh=wh,
        odd_ms=now_ms,
        odd_since_ms=state.odd_since_ms if goes_on else now_ms,
        odd_count=state.odd_count + 1 if goes_on else 1,
    )
    if state.odd_count < _CONFIRM:
        return state, "odd"
    noticed: Noticed
    offset, estimate = state.offset_wh, state.still_uj // _UJ_PER_WH if state.frozen else 0
    if wh > seen:
        noticed, offset = "jump", offset + seen + estimate - wh
    elif rules.rollover_wh is not None and 0 <= wh + rules.rollover_wh - seen <= _most(rules, elapsed):
        noticed, offset = "rollover", offset + rules.rollover_wh
    elif wh <= _most(rules, elapsed):
        noticed, offset = "reset", offset + seen + estimate
    else:
        # Another meter, that did not begin at 0: what it counted before is not ours.
        noticed, offset = "reset", offset + seen + estimate - wh
    return CounterState(offset_wh=offset, seen_wh=wh, seen_ms=now_ms), noticed


def _most(rules: CounterRules, elapsed_ms: int) -> int:
    return rules.max_power_mw * elapsed_ms * 5 // (4 * _UJ_PER_WH) + _SLACK_WH


def _fits(
    rules: CounterRules, state: CounterState, wh: int, now_ms: int, power_mw: int
) -> tuple[CounterState, Noticed]:
    assert state.seen_wh is not None
    moved = wh - state.seen_wh
    # No more than a minute is made up of one sample: we may have been away.
    flowed = max(0, power_mw) * min(now_ms - state.seen_ms, 60_000) if now_ms > state.seen_ms else 0
    if not moved:
        still = state.still_uj + flowed
        frozen = still >= rules.frozen_wh * _UJ_PER_WH
        noticed: Noticed = "frozen" if frozen and not state.frozen else ""
        after = CounterState(
            offset_wh=state.offset_wh, seen_wh=wh, seen_ms=now_ms, still_uj=still, frozen=frozen
        )  # fmt: skip
        return after, noticed
    if not state.frozen:
        return CounterState(offset_wh=state.offset_wh, seen_wh=wh, seen_ms=now_ms), ""
    estimate = state.still_uj // _UJ_PER_WH
    # It has counted on and only did not show it, or it goes on where it stood: then what was estimated is added.
    offset = state.offset_wh + (max(0, estimate - moved) if 2 * moved >= estimate else estimate)
    return CounterState(offset_wh=offset, seen_wh=wh, seen_ms=now_ms), "moves again"
