"""What an EVSE may be drawing that nobody hears.

As long as its watchdog may still be content it has any of the set-points that were sent since it was last heard, or
the one before. Then it has fallen back. One without a watchdog keeps what it has until somebody restarts it, and then
has its fail-safe; one without a fail-safe may do anything that it can.
"""

from typing import Any

import msgspec

from .demand import Lost
from .model import Member
from .scale import infeed, value_below
from .state import EvseState

HISTORY_MS = 300_000
"""So far back it is known what was told."""
_STEPS = 6


def remember(old: EvseState, infeed_ma: int, now_ms: int) -> tuple[tuple[int, int], ...]:
    """`told` when the set-point changes to `infeed_ma`: only what was higher than all that came later."""
    kept = [
        (ma, until)
        for ma, until in (*old.told, (old.infeed_ma, now_ms))
        if ma > infeed_ma and until > now_ms - HISTORY_MS
    ]
    steps: list[tuple[int, int]] = []
    for ma, until in kept:
        while steps and steps[-1][0] <= ma:
            steps.pop()
        steps.append((ma, until))
    while len(steps) > _STEPS:
        # Two become one that was as high as the higher and lasted as long as the later: never too little.
        steps[-2:] = [(steps[-2][0], steps[-1][1])]
    return tuple(steps)


def may_draw_ma(evse: Member, old: EvseState, lost: Lost, now_ms: int, voltage_mv: int) -> int:
    """mA on each phase, at the most, now."""
    if lost.possible is not None:
        return infeed(evse, lost.possible, voltage_mv)
    rating = infeed(evse, evse.maximum, voltage_mv)
    fallback = rating if evse.failsafe is None else infeed(evse, evse.failsafe, voltage_mv) + old.excess_ma
    since = lost.since_ms
    if since is None or old.changed_ms is None or since < old.changed_ms - HISTORY_MS:
        told = rating
        if since is not None and evse.watchdog_ms is not None:
            last = max(since, old.changed_ms or since)  # so long something that nobody knows may have been sent
            told = told if now_ms < last + evse.watchdog_ms + old.settle_ms else 0
    else:
        # What was in force until some time may have been sent, and heard, until then: its watchdog began then.
        still = 0 if evse.watchdog_ms is None else now_ms - evse.watchdog_ms - old.settle_ms
        told = max([old.infeed_ma, *(ma for ma, until in old.told if until > since and until > still)])
        told = max(told + old.excess_ma, old.burden_ma(now_ms))
    if evse.watchdog_ms is None or since is None or now_ms >= since + evse.watchdog_ms:
        return max(told, fallback)
    return told


def lost_value(evse: Member, old: EvseState) -> int:
    """What it is told all the same: what it had, but no more than what it falls back to."""
    if evse.failsafe is None or old.value <= evse.failsafe:
        return old.value
    return value_below(evse, evse.failsafe)


def come_back(old: EvseState, now_ms: int) -> EvseState:
    """It is heard again: until it has had time to follow it may still draw what was kept free for it."""
    changes: dict[str, Any] = {"before_ma": old.lost_ma, "changed_ms": now_ms, "followed": False, "sure": False}
    if old.lost_ma > old.infeed_ma:
        changes |= {"ceiling_ma": old.lost_ma, "ceiling_until_ms": now_ms + old.settle_ms}
    return msgspec.structs.replace(old, lost_ma=0, told=(), **changes)
