"""Which cars of the pool start, stop, and with how many conductors: the decisions of one tick.

A car starts when its minimum has been there for `enable_ms` and all that fit start together; when the surplus has not
carried the minimum of all that are on for `disable_ms`, as many drop conductors, then stop, as it takes, the last of
the order first. So nothing is imported for longer than that delay, however many cars there are.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from pilotwire.domain.energy import Moment

from .config import Surplus
from .site import Site
from .state import SurplusCar, SurplusState
from .surplus import Sun
from .wishes import Shaped, least

TRIAL_MS = 900_000
"""How often a car is started to see whether a throttled inverter has more."""
IDLE_MS = 60_000
IDLE_MW = 500_000
"""A car that is on and draws less than this for so long (it is full, or asleep) keeps nobody else waiting."""


class Member:
    """A car of the pool in the middle of a tick."""

    def __init__(self, site: Site, shaped: Shaped, old: SurplusCar, drawn_mw: int | None, now: Moment) -> None:
        self.id, self.shaped, self.old, self.site = shaped.evse.id, shaped, old, site
        self.always = shaped.follows == "min_pv"
        demand, evse = shaped.demand, shaped.evse
        three = min(demand.phases, evse.phases) == 3
        can = shaped.wish.switchable or evse.switching is not None
        self.switchable = can and evse.current == "AC" and three
        self.phases: Literal[1, 3] | None = old.phases if self.switchable else None
        self.on = self.always or old.on
        self.was_on = old.on
        self.phases_since_ms: int | None = None
        idle = old.on and drawn_mw is not None and drawn_mw < IDLE_MW
        self.idle_ms = (now.tick_ms if old.idle_ms is None else old.idle_ms) if idle else None
        self.idle = self.idle_ms is not None and now.tick_ms - self.idle_ms >= IDLE_MS
        self.priority = demand.priority
        self._least: dict[int, int] = {}

    def least_mw(self, phases: int | None) -> int:
        """Its minimum with so many conductors; None: as many as it has."""
        demand = self.shaped.demand
        used = demand.phases if phases is None else phases
        known = self._least.get(used)
        if known is None:
            known = self._least[used] = self.site.draws_mw(self.shaped.evse, least(self.shaped.evse, demand), used)
        return known

    @property
    def smallest_mw(self) -> int:
        """With as few conductors as it can use."""
        return self.least_mw(1 if self.switchable else None)

    @property
    def reserved_mw(self) -> int:
        """What is set aside for it."""
        return 0 if not self.on or self.idle else self.least_mw(self.phases)

    def kept(self) -> SurplusCar:
        """What the next tick has to know."""
        return SurplusCar(self.on, self.phases, self.phases_since_ms, self.idle_ms)


class Round:
    """All cars of the pool through one tick, in order; the decisions are in `state`."""

    def __init__(
        self, site: Site, config: Surplus, members: Sequence[Shaped], drawn: Mapping[str, int | None], found: Sun,
        old: SurplusState, now: Moment,
    ) -> None:  # fmt: skip
        self.config, self.now, self.old, self.found = config, now, old, found
        self.cars = [
            Member(site, each, old.cars.get(each.evse.id, SurplusCar()), drawn.get(each.evse.id), now)
            for each in sorted(members, key=_order)
        ]
        self.lowest = min((car.priority for car in self.cars), default=0)
        self.boost = any(car.shaped.wish.boost for car in self.cars) and found.boost_mw > 0
        extra = found.boost_mw if self.boost else 0
        self.free = (found.free_mw or 0) + extra
        # Calmed, the surplus is the least of some time; a car stops only while it is really missing.
        self.here = max(self.free, (found.raw_mw or 0) + extra)
        self.lost = found.free_mw is None and not self.boost
        soc = found.soc_permille
        self.keeps = self.boost or (soc is not None and soc >= config.buffer_permille < 1_000)
        self.starts = self.boost or (soc is not None and soc >= config.buffer_start_permille < 1_000)
        for car in self.cars:
            if car.switchable and car.phases is None:
                car.phases = 3 if self.free >= car.least_mw(3) else 1
        self.taken = sum(car.reserved_mw for car in self.cars)
        self.changed, self.tried = old.changed_ms, old.tried_ms
        self.short_ms: int | None = None
        self.enough_ms: int | None = None

    def run(self) -> None:
        """Stop, start, widen."""
        self._stop()
        self._start()
        self._widen()

    @property
    def state(self) -> SurplusState:
        """For the next tick."""
        return msgspec.structs.replace(
            self.old,
            cars={car.id: car.kept() for car in self.cars},
            changed_ms=self.changed,
            tried_ms=self.tried,
            short_ms=self.short_ms,
            enough_ms=self.enough_ms,
        )

    @property
    def calm(self) -> bool:
        """Whether the last decision is long enough ago."""
        return self.changed is None or self.now.tick_ms - self.changed >= self.config.grace_ms

    def _set(self, car: Member, on: bool, phases: Literal[1, 3] | None) -> None:
        self.taken -= car.reserved_mw
        car.on, car.phases = on, phases
        self.taken += car.reserved_mw
        self.changed = self.now.tick_ms

    def _stop(self) -> None:
        if self.keeps or self.here >= self.taken or not any(car.reserved_mw and not car.always for car in self.cars):
            return
        self.short_ms = self.now.tick_ms if self.old.short_ms is None else self.old.short_ms
        if self.now.tick_ms - self.short_ms < self.config.disable_ms:
            return
        self.short_ms = None
        for car in reversed(self.cars):
            if self.here < self.taken and car.on and car.phases == 3:
                self._set(car, True, 1)
        for car in reversed(self.cars):
            if self.here < self.taken and car.reserved_mw and not car.always:
                self._set(car, False, None)

    def _start(self) -> None:
        waiting = [car for car in self.cars if not car.on]
        tried = self.old.tried_ms
        trial = self.found.curtailed and (tried is None or self.now.tick_ms - tried >= TRIAL_MS)
        carried = any(self._carries(car) for car in waiting)
        if not waiting or not (carried or trial):
            return
        self.enough_ms = self.now.tick_ms if self.old.enough_ms is None else self.old.enough_ms
        if not self.calm or self.now.tick_ms - self.enough_ms < self.config.enable_ms:
            return
        self.enough_ms = None
        if not carried:
            self.tried = self.now.tick_ms
            first = waiting[0]
            self._set(first, True, 1 if first.switchable else None)
            return
        for car in waiting:
            if not self._carries(car):
                continue
            wide = car.switchable and self.free - self.taken >= car.least_mw(3)
            self._set(car, True, (3 if wide else 1) if car.switchable else None)
            for other in reversed(self.cars):
                if self.free < self.taken and other.reserved_mw and not other.always and other.priority < car.priority:
                    self._set(other, False, None)

    def _carries(self, car: Member) -> bool:
        """Whether there is its minimum, beside all that are on and do not have to give way to it."""
        if self.starts or self.free - self.taken >= car.smallest_mw:
            return True
        if car.priority == self.lowest:
            return False
        lower = sum(each.reserved_mw for each in self.cars if not each.always and each.priority < car.priority)
        return bool(lower) and self.free - self.taken + lower >= car.smallest_mw

    def _widen(self) -> None:
        """One conductor becomes three when the surplus has carried three for long enough; `min_pv` also goes back."""
        for car in self.cars:
            if not car.on or car.phases is None:
                continue
            left = self.free - self.taken + car.reserved_mw
            wide = left >= car.least_mw(3)
            if car.phases == 1 and wide:
                goal, delay = 3, self.config.enable_ms
            elif car.phases == 3 and not wide and car.always:
                goal, delay = 1, self.config.disable_ms
            else:
                continue
            since = self.now.tick_ms if car.old.phases_since_ms is None else car.old.phases_since_ms
            if self.calm and self.now.tick_ms - since >= delay:
                self._set(car, True, 3 if goal == 3 else 1)
            else:
                car.phases_since_ms = since


def _order(shaped: Shaped) -> tuple[int, int, int, str]:
    demand = shaped.demand
    return (0 if shaped.follows == "min_pv" else 1, -demand.priority, demand.arrived_ms, demand.evse)
