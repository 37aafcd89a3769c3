"""Which module goes to which output: a pure function of what is wanted, what there is, and how it is now.

Priorities first; within one, whoever has the smallest part of what it wants. What is joined stays joined unless someone
gains more by it than its owner loses; every move has its reason, and there are only so many of them at once.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from typing import NamedTuple


class Wanted(NamedTuple):
    """What an output wants."""

    output: int
    mv: int
    ma: int
    priority: int = 0
    """Higher is served first."""


class Candidate(NamedTuple):
    """A module as allocation sees it."""

    id: Hashable
    reach: frozenset[int]
    """Outputs that it can be joined to."""
    output: int | None
    """Where it is, or is on its way to."""
    max_ma: int
    max_mw: int
    min_mv: int
    max_mv: int
    usable: bool = True
    movable: bool = True
    """It has been where it is for long enough."""

    def capacity(self, mv: int) -> int:
        """What it can give at a voltage, mA."""
        if not self.usable or mv > self.max_mv or mv <= 0:
            return 0
        return min(self.max_ma, self.max_mw * 1000 // max(mv, self.min_mv))


class Allocation(NamedTuple):
    """Where every module belongs; `moves` are those that leave an output that would still like to keep them."""

    assigned: Mapping[Hashable, int | None]
    reasons: Mapping[Hashable, str]
    """Why, for every module whose place changes."""
    moves: int


def allocate(
    wanted: Sequence[Wanted],
    candidates: Iterable[Candidate],
    *,
    idle: Iterable[int] = (),
    reserve: int = 0,
    most_moves: int = 2,
) -> Allocation:
    """Assign modules to outputs. `idle`: outputs without a vehicle, for which `reserve` modules are kept free."""
    work = _Work(wanted, list(candidates), frozenset(idle), reserve)
    work.fill()
    while work.moves < most_moves and work.move():
        work.moves += 1
        work.fill()
    return Allocation(work.assigned, work.reasons, work.moves)


class _Work:
    def __init__(
        self, wanted: Sequence[Wanted], candidates: list[Candidate], idle: frozenset[int], reserve: int
    ) -> None:
        self.wanted = {want.output: want for want in wanted if want.ma > 0 and want.mv > 0}
        self.candidates = candidates
        self.idle = idle
        self.reserve = reserve
        self.reasons: dict[Hashable, str] = {}
        self.moves = 0
        self.assigned: dict[Hashable, int | None] = {}
        self.have = dict.fromkeys(self.wanted, 0)
        self.count = dict.fromkeys(self.wanted, 0)
        self.moved: set[Hashable] = set()
        for unit in candidates:
            place = unit.output
            if place is not None and not unit.usable:
                self.reasons[unit.id] = "cannot be used"
                place = None
            elif place is not None and place not in self.wanted:
                self.reasons[unit.id] = f"output {place} wants nothing"
                place = None
            elif place is not None and not unit.capacity(self.wanted[place].mv):
                self.reasons[unit.id] = f"cannot give {self.wanted[place].mv // 1000} V"
                place = None
            self.assigned[unit.id] = place
            if place is not None:
                self._take(unit, place)

    def _take(self, unit: Candidate, output: int, sign: int = 1) -> None:
        self.have[output] += sign * unit.capacity(self.wanted[output].mv)
        self.count[output] += sign

    def _needy(self) -> list[Wanted]:
        """Those who want more: who has nothing first, then by priority, then the neediest."""
        short = [want for want in self.wanted.values() if self.have[want.output] < want.ma]
        return sorted(short, key=self._rank)

    def _rank(self, want: Wanted) -> tuple[bool, int, int, int]:
        have = self.have[want.output]
        return have > 0, -want.priority, have * 1000 // want.ma, want.output

    def _free(self, output: int) -> list[Candidate]:
        mv = self.wanted[output].mv
        return [
            unit
            for unit in self.candidates
            if self.assigned[unit.id] is None and output in unit.reach and unit.capacity(mv)
        ]

    def fill(self) -> None:
        """Give what is free."""
        while True:
            for want in self._needy():
                free = self._free(want.output)
                if self.count[want.output] and self.reserve and self.idle:
                    kept = sum(
                        1
                        for unit in self.candidates
                        if unit.usable and self.assigned[unit.id] is None and unit.reach & self.idle
                    )
                    if kept <= self.reserve:
                        free = [unit for unit in free if not unit.reach & self.idle]
                if free:
                    # The one that can go to the fewest other places; where it is already, if it was there.
                    best = min(free, key=lambda u: (u.output != want.output, len(u.reach), -u.capacity(want.mv)))
                    self.assigned[best.id] = want.output
                    self._take(best, want.output)
                    if best.output == want.output:
                        self.reasons.pop(best.id, None)
                    else:
                        self.reasons[best.id] = f"output {want.output} wants {want.ma // 1000} A"
                    break
            else:
                return

    def move(self) -> bool:
        """Take one module from who has more, for who has less; False: no one gains by it."""
        for needy in self._needy():
            best: tuple[int, Candidate] | None = None
            for unit in self.candidates:
                place = self.assigned[unit.id]
                if place is None or place == needy.output or unit.id in self.moved or not unit.movable:
                    continue
                gain = unit.capacity(needy.mv)
                if needy.output not in unit.reach or not gain:
                    continue
                owner = self.wanted[place]
                loss = unit.capacity(owner.mv)
                left = (self.have[place] - loss) * 1000 // owner.ma
                then = (self.have[needy.output] + gain) * 1000 // needy.ma
                surplus = left >= 1000
                last = self.count[place] == 1
                if last and not surplus and (self.count[needy.output] or owner.priority >= needy.priority):
                    continue  # no one is left with nothing, unless another has nothing and comes first
                fair = needy.priority == owner.priority and left >= min(then, 1000)
                first = needy.priority > owner.priority
                nothing = not self.count[needy.output] and not last
                if surplus or fair or first or nothing:
                    score = left + (1000 if surplus else 0)
                    if best is None or score > best[0]:
                        best = (score, unit)
            if best is not None:
                unit = best[1]
                old = self.assigned[unit.id]
                assert old is not None
                self._take(unit, old, -1)
                self.assigned[unit.id] = needy.output
                self._take(unit, needy.output)
                self.moved.add(unit.id)
                self.reasons[unit.id] = f"output {needy.output} has less of what it wants than output {old}"
                return True
        return False
