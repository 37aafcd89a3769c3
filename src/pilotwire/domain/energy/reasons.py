"""Why a car gets what it gets: data for programs, words for people."""

from typing import Literal

import msgspec

Code = Literal[
    "no_demand",
    "own_maximum",
    "takes_less",
    "asleep",
    "impossible",
    "limit",
    "quota",
    "pool",
    "waiting",
    "settling",
    "under_way",
    "resting",
    "switching",
    "lost",
    "unexplained",
]


class Reason(msgspec.Struct, frozen=True):
    """What keeps a car from one step more.

    no_demand     there is no car, or it does not want energy
    own_maximum   the car, its cable or the EVSE takes no more
    takes_less    it draws less than it was offered; the rest is given to others
    asleep        it draws nothing; it keeps its minimum, for many cars do not wake up from 0
    impossible    no set-point lies between the car's minimum and maximum
    limit, quota  `what` (L1, L2, L3, power, L1 above L2 …) of `place`, by the limit of `source`; `order` shared it out
    pool          as limit, by the budget of the pool `place`; `waits` if not even its minimum is in it
    waiting       as limit, and not even the minimum fits; others come first by `order`
    settling      its last change is not over; it is raised `wait_ms` from now
    under_way     as limit: others have been lowered and may not have followed yet
    resting       a load that has been switched off lately; it may be switched on again in `wait_ms`
    switching     it is paused to be switched to `phases` phases
    lost          it is not heard; `kept_ma` per phase is kept free for what it may be drawing
    unexplained   none of these: the allocation has a fault, which belongs into a report
    """

    code: Code
    place: str = ""
    what: str = ""
    source: str = ""
    order: str = ""
    wait_ms: int = 0
    kept_ma: int = 0
    phases: int = 0
    """How many it is on, or is being switched to, where that can be chosen."""
    waits: bool = False
    overdraws: bool = False
    """Whether it is counted with more than its set-point because it draws more."""

    @property
    def words(self) -> str:
        """A sentence in plain English."""
        words = _POOL_WAITS if self.code == "pool" and self.waits else _WORDS[self.code]
        one = _ONE if self.phases == 1 and self.code not in ("switching", "no_demand", "lost") else ""
        return words.format(self=self) + one + (_OVER if self.overdraws else "")


_OVER = "; it draws more than it is given and is counted with what it draws"
_ONE = "; it is on one phase, because three have not had room for long enough"
_WHERE = "{self.what} of {self.place} ({self.source})"
_POOL = "its pool {self.place} ({self.what}, {self.source})"
_POOL_WAITS = f"it waits: {_POOL} has no room for its minimum"
_WORDS: dict[Code, str] = {
    "no_demand": "no car wants energy here",
    "own_maximum": "it gets all that the car, its cable and the EVSE can take",
    "takes_less": "it draws less than it was offered, so the rest goes to others",
    "asleep": "it draws nothing; it keeps its minimum so that it can wake up",
    "impossible": "no set-point lies between the minimum and the maximum of car and EVSE",
    "limit": f"{_WHERE} has no room for another step, shared by {{self.order}}",
    "quota": "the quota of {self.place} ({self.what}, {self.source}) is used up, shared by {self.order}",
    "pool": f"{_POOL} has no room for another step, shared by {{self.order}}",
    "waiting": f"it waits: {_WHERE} has no room for its minimum, and others come first by {{self.order}}",
    "settling": "it is raised when its last change is over, in {self.wait_ms} ms",
    "under_way": f"it is raised when others have let go: {_WHERE} is still loaded",
    "resting": "it has been switched off lately and stays off for another {self.wait_ms} ms",
    "switching": "it is paused for a moment to be switched to {self.phases} phase(s)",
    "lost": "it is not heard: {self.kept_ma} mA on each of its phases are kept free for what it may be drawing",
    "unexplained": "nothing explains it; please report this",
}
