"""What a car's current says about the car: that it follows, how soon, that it sleeps, takes less, or overdraws."""

import msgspec

from .demand import Reading
from .state import Behaviour, EvseState, tolerance

LESS_MS = 60_000
"""So long it may draw less than offered before the rest is given to others."""
NOTICEABLE_MA = 1_000
ASLEEP_MA = 500
HEADROOM_MA = 1_000
"""Above what a car takes, so that it can show that it wants more again."""
SETTLE_RANGE_MS = (1_000, 60_000)
MARGIN = 125
"""Per cent of the time that was observed: nobody follows always equally fast."""


def observe(old: EvseState, reading: Reading | None, now_ms: int, stale_ms: int) -> EvseState:
    """`old` with what the reading teaches; a missing, stale or future one teaches nothing."""
    if reading is None or not 0 <= now_ms - reading.at_ms <= stale_ms:
        return old if old.drawn_ma is None else msgspec.structs.replace(old, drawn_ma=None)
    drawn, at, offered = max(reading.phases_ma), reading.at_ms, old.infeed_ma
    settle, followed, ceiling = old.settle_ms, old.followed, old.ceiling_ma
    near = tolerance(offered)
    lowered = offered < old.before_ma
    # A change that is smaller than what a car may be off by cannot be seen: only time tells that it is over.
    visible = abs(offered - old.before_ma) > 2 * near
    arrived = drawn <= offered + near and (old.sure if lowered else drawn >= offered - near)
    if visible and arrived and not followed and old.changed_ms is not None and at > old.changed_ms:
        followed = True
        settle = _learned(settle, (at - old.changed_ms) * MARGIN // 100)
    if followed and old.sure and lowered:
        ceiling = min(ceiling, drawn)  # it is down there, or nearly
    behaviour, odd, excess = old.behaviour, old.odd_ms, old.excess_ma
    if offered and old.settled(at):
        behaviour, odd = _behaviour(old, drawn, at)
        excess = drawn - offered if behaviour == "overdraws" else 0
    return msgspec.structs.replace(
        old,
        settle_ms=settle,
        followed=followed,
        ceiling_ma=ceiling,
        drawn_ma=drawn,
        drawn_ms=at,
        behaviour=behaviour,
        odd_ms=odd,
        excess_ma=excess,
    )


def _learned(settle: int, observed: int) -> int:
    """Slower at once, faster little by little: too short a time would be paid for with an overshoot."""
    least, most = SETTLE_RANGE_MS
    learned = observed if observed > settle else settle - (settle - observed) // 8
    return min(max(learned, least), most)


def _behaviour(old: EvseState, drawn: int, at: int) -> tuple[Behaviour, int | None]:
    offered, near = old.infeed_ma, tolerance(old.infeed_ma)
    if drawn > offered + near:
        return "overdraws", None
    if drawn >= offered - near:
        return "follows", None
    if drawn >= offered - max(NOTICEABLE_MA, near):
        return ("follows" if old.behaviour == "overdraws" else old.behaviour), old.odd_ms
    since = at if old.odd_ms is None else old.odd_ms
    if at - since < LESS_MS:
        return ("follows" if old.behaviour == "overdraws" else old.behaviour), since
    return ("asleep" if drawn < ASLEEP_MA else "takes_less"), since
