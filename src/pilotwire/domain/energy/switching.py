"""One phase or three: chosen by the allocation, walked through step by step.

    ""         charges, or waits, on `now`
    pausing    told 0; its current has to go (IEC 61851-1: C to B) and to stay away for `pause_ms`
    switching  told 0 and the other number of phases; until it confirms them, or `relay_ms` are over

While it pauses what it may still draw counts on the phases it is on, and nothing moves under current: a car that goes
on drawing is never switched. It falls to one phase where its minimum on three has no room and its minimum on one has;
it goes back when three have had room for more than it has on one, without a break, for `up_ms`.
"""

from typing import Literal

import msgspec

from .behaviour import ASLEEP_MA
from .demand import Demand
from .model import Switching
from .state import EvseState, Phasing

Count = Literal[1, 3]
GIVE_UP_MS = 60_000
"""After which an EVSE that confirms something else has not switched."""


def advance(old: EvseState, config: Switching, demand: Demand | None, now_ms: int) -> Phasing:
    """Where the EVSE is now. `demand`: what it confirms comes with it."""
    phasing = old.phasing
    confirmed = None if demand is None or demand.connected is None else 1 if demand.connected == 1 else 3
    replace = msgspec.structs.replace
    if phasing.stage == "switching" and phasing.to is not None:
        if confirmed == phasing.to or (confirmed is None and now_ms - phasing.since_ms >= config.relay_ms):
            return replace(phasing, now=phasing.to, to=None, stage="", room_ms=None)
        if confirmed is not None and now_ms - phasing.since_ms >= GIVE_UP_MS:
            return replace(phasing, now=confirmed, to=None, stage="", room_ms=None)
        return phasing
    if confirmed is not None and confirmed != phasing.now:
        phasing = replace(phasing, now=confirmed, room_ms=None)  # somebody else has switched it, or it started so
    if phasing.stage != "pausing":
        return phasing
    if demand is None or phasing.to == phasing.now:
        return replace(phasing, to=None, stage="")
    if not _quiet(old, now_ms):
        return replace(phasing, quiet_ms=None)
    if phasing.quiet_ms is None:
        return replace(phasing, quiet_ms=now_ms)
    if now_ms - phasing.quiet_ms < config.pause_ms:
        return phasing
    return replace(phasing, stage="switching", since_ms=now_ms, last_ms=now_ms, count=phasing.count + 1)


def _quiet(old: EvseState, now_ms: int) -> bool:
    """Whether nothing flows any more: measured since it was told so, or else by the time that it needs."""
    if old.value:
        return False
    if old.drawn_ma is None:
        return old.settled(now_ms)
    if old.changed_ms is not None and old.drawn_ms <= old.changed_ms:
        return False
    # A current that had not got up to where it was told to go may still come, though it is low now.
    return old.drawn_ma <= ASLEEP_MA and (old.sure or old.settled(now_ms))


def aims(old: EvseState, config: Switching, demand: Demand, now_ms: int) -> tuple[Count, Count | None]:
    """(on how many phases it is to get its share, on how many instead where these have no room for its minimum)."""
    phasing = old.phasing
    if demand.phases == 1 and phasing.stage == "":
        return phasing.now, None  # it makes no difference to this car
    if phasing.stage == "switching":
        return phasing.to or phasing.now, None
    if phasing.stage == "pausing":
        return phasing.to or phasing.now, 1 if phasing.to == 3 else None
    rested = phasing.last_ms is None or now_ms - phasing.last_ms >= config.down_ms
    may = phasing.count < config.most and rested
    if phasing.now == 3:
        if not may:
            return 3, None
        return (1, None) if demand.prefers == 1 else (3, 1)
    if old.since_ms is None and demand.prefers != 1 and may:
        return 3, 1  # a car that has just come: nothing is interrupted by switching now
    return 1, None


def may_go_up(old: EvseState, config: Switching, demand: Demand, now_ms: int) -> bool:
    """Whether it could be switched back to three phases at all if there were room; one way back is always kept."""
    phasing = old.phasing
    return (
        phasing.stage == ""
        and phasing.now == 1
        and demand.phases > 1
        and demand.prefers != 1
        and old.since_ms is not None
        and phasing.count + 2 <= config.most
        and (phasing.last_ms is None or now_ms - phasing.last_ms >= config.up_ms)
    )


def has_waited(phasing: Phasing, config: Switching, demand: Demand, now_ms: int) -> bool:
    """Whether three phases have had room for long enough; who prefers them has seen to that himself."""
    return demand.prefers == 3 or (phasing.room_ms is not None and now_ms - phasing.room_ms >= config.up_ms)


def begin(phasing: Phasing, to: Count, now_ms: int) -> Phasing:
    """It is paused to be switched; or what had begun is called off."""
    if to == phasing.now:
        return msgspec.structs.replace(phasing, to=None, stage="", room_ms=None)
    return msgspec.structs.replace(phasing, to=to, stage="pausing", since_ms=now_ms, quiet_ms=None, room_ms=None)
