"""What a tick leaves to the next."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from .model import Phases

Behaviour = Literal["follows", "takes_less", "asleep", "overdraws"]

SETTLE_MS = 10_000
"""Until it has been learned: a charger needs 3 to 5 s and a car about 5 s to follow."""


def tolerance(ma: int) -> int:
    """How far a car may be from `ma` and still follow it: 5 %, at least 0.5 A."""
    return max(500, ma // 20)


class Phasing(msgspec.Struct, frozen=True):
    """Of an EVSE that can be switched between one phase and three; see `switching`."""

    now: Literal[1, 3] = 3
    to: Literal[1, 3] | None = None
    stage: Literal["", "pausing", "switching"] = ""
    since_ms: int = 0
    """Of the stage."""
    quiet_ms: int | None = None
    """Since when nothing flows, while it pauses."""
    last_ms: int | None = None
    """When it was switched last."""
    count: int = 0
    """How often in this session."""
    room_ms: int | None = None
    """Since when three phases have had room."""


THREE = Phasing()


class EvseState(msgspec.Struct, frozen=True):
    """Of one EVSE. Currents are of the grid side, mA per phase; times are of the tick's clock."""

    value: int = 0
    """The set-point that it has been given last, in its unit."""
    infeed_ma: int = 0
    before_ma: int = 0
    """What it had been given before the last change."""
    changed_ms: int | None = None
    ceiling_ma: int = 0
    """What it may still draw while a lowered set-point is under way, until `ceiling_until_ms`."""
    ceiling_until_ms: int = 0
    settle_ms: int = SETTLE_MS
    followed: bool = True
    """Whether the last change has been seen in its current."""
    sure: bool = True
    """Whether the change before that had been seen when the last one came. If not, a current that is low now may
    still be on its way up to what had been given before, and says nothing about the last change."""
    since_ms: int | None = None
    """Since when it has been let in, or has been waiting."""
    turn_ms: int = 0
    """Since when it has its turn; it begins anew for those who keep their place when a turn is over."""
    admitted: bool = False
    behaviour: Behaviour = "follows"
    odd_ms: int | None = None
    """Since when it has drawn noticeably less than it was offered."""
    drawn_ma: int | None = None
    """What it drew at `drawn_ms`; None where nothing fresh says so."""
    drawn_ms: int = 0
    switched_ms: int | None = None
    """When it last began or ended to have anything at all."""
    told: tuple[tuple[int, int], ...] = ()
    """Higher set-points before this one: (mA, until when it was the last word), the highest and oldest first."""
    lost_ma: int = 0
    """What has been kept free for it while it was not heard; 0 while it is."""
    phasing: Phasing = THREE
    excess_ma: int = 0
    """What it has been seen to draw above its set-point; remembered while it is paused."""

    def settled(self, at_ms: int) -> bool:
        """Whether the last change is over at that time, as far as has been learned."""
        return self.changed_ms is None or at_ms >= self.changed_ms + self.settle_ms

    def burden_ma(self, at_ms: int) -> int:
        """What it may draw for a while whatever it is told now: what it has been told, a set-point before that which
        it may not have left yet, or what it takes by itself."""
        under_way = self.ceiling_ma if at_ms < self.ceiling_until_ms else 0
        drawn = self.drawn_ma or 0
        return max(self.infeed_ma, under_way, drawn if drawn > self.infeed_ma + tolerance(self.infeed_ma) else 0)


_NOBODY: Mapping[str, EvseState] = {}
_NOWHERE: Mapping[str, Phases] = {}


class State(msgspec.Struct, frozen=True):
    """All EVSEs, and the side loads of metered nodes as they were understood last, by id. Empty at the start."""

    evses: Mapping[str, EvseState] = _NOBODY
    sides: Mapping[str, Phases] = _NOWHERE
