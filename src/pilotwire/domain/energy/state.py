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
    used: int = 0
    """How many conductors the car has, or had that has just gone; 0: nobody knows."""
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


class Seen(msgspec.Struct, frozen=True):
    """What an EVSE drew on each of `count` conductors, and what the meter above showed, at one moment."""

    at_ms: int
    ma: int
    phases_ma: Phases
    count: int


class Evidence(msgspec.Struct, frozen=True):
    """What speaks for an EVSE's rotation; see `rotation`. Phases are 0, 1, 2."""

    starts: int | None = None
    """The phase of its L1, by the changes of cars with one conductor,"""
    start_votes: int = 0
    """so many of them in a row."""
    ends: int | None = None
    """The phase of its L3, by the changes of cars with two conductors, which are not on it,"""
    end_votes: int = 0
    voted_ms: int | None = None
    sure: int = 3
    base: Seen | None = None
    """When its current was steady last, before a change."""
    last: Seen | None = None

    def learned(self, count: int) -> int | None:
        """What is certain for a car with one conductor (where it is) or two (where it is not)."""
        if count == 1:
            return self.starts if self.start_votes >= self.sure else None
        return self.ends if self.end_votes >= self.sure else None

    def vote(self, count: int, phase: int, at_ms: int, apart_ms: int, sure: int) -> "Evidence":
        """One more change that speaks for `phase`; one that contradicts takes back all that was learned."""
        held, votes = (self.starts, self.start_votes) if count == 1 else (self.ends, self.end_votes)
        other = self.ends if count == 1 else self.starts
        if (held is not None and held != phase) or other == phase:
            fresh = Evidence(voted_ms=at_ms, sure=sure, base=self.base, last=self.last)
            # What contradicts the other kind of evidence is doubtful itself.
            return fresh if other == phase else fresh._with(count, phase, 1)
        if self.voted_ms is not None and at_ms - self.voted_ms < apart_ms:
            return self
        return msgspec.structs.replace(self, voted_ms=at_ms, sure=sure)._with(count, phase, min(votes + 1, 2 * sure))

    def _with(self, count: int, phase: int, votes: int) -> "Evidence":
        if count == 1:
            return msgspec.structs.replace(self, starts=phase, start_votes=votes)
        return msgspec.structs.replace(self, ends=phase, end_votes=votes)


class Moves(msgspec.Struct, frozen=True):
    """Below a meter: who moved last, when, and when anybody else did."""

    by: str = ""
    at_ms: int = -1
    others_ms: int = -1

    def add(self, by: str, at_ms: int) -> "Moves":
        """One more has moved."""
        if by == self.by:
            return Moves(by, at_ms, self.others_ms)
        return Moves(by, at_ms, max(self.others_ms, self.at_ms))

    def by_others(self, than: str) -> int:
        """When anybody else moved last; -1: never."""
        return self.others_ms if self.by == than else self.at_ms


_NOBODY: Mapping[str, EvseState] = {}
_NOWHERE: Mapping[str, Phases] = {}
_NO_EVIDENCE: Mapping[str, Evidence] = {}
_STILL: Mapping[str, Moves] = {}


class State(msgspec.Struct, frozen=True):
    """All EVSEs, and the side loads of metered nodes as they were understood last, by id. Empty at the start.

    `rotations` by EVSE: what speaks for a rotation that is not written down. `moves` by metered node.
    """

    evses: Mapping[str, EvseState] = _NOBODY
    sides: Mapping[str, Phases] = _NOWHERE
    rotations: Mapping[str, Evidence] = _NO_EVIDENCE
    moves: Mapping[str, Moves] = _STILL
