"""A car in the middle of a tick."""

from bisect import bisect_left, bisect_right
from typing import NamedTuple

from .behaviour import HEADROOM_MA
from .demand import Demand, Policy
from .model import Load, Member
from .room import Room
from .scale import ratio
from .state import EvseState
from .topology import Terms

Rank = tuple[int, ...]


class Lines(NamedTuple):
    """What a car loads with a number of phases: rows of the tree, and of its pool."""

    phases: int
    tree: Terms
    pool: Terms


_LAST = 1 << 62


class Car:
    """A car at its EVSE, or a load.

    Set-points are whole levels: of the step, or one by one those that a load has. `infeed` is what a level loads each
    phase of the grid with.
    """

    __slots__ = (
        "aim", "all_terms", "demand", "evse", "excess", "fair", "free_ma", "guaranteed", "high", "id", "infeed_ma",
        "instead", "level", "low", "old", "on", "over", "phasing", "pool_terms", "rank", "resting_ms", "stays", "table",
        "terms", "top", "tree_terms", "under", "voltage_mv",
    )  # fmt: skip

    def __init__(
        self,
        evse: Member,
        demand: Demand,
        old: EvseState,
        lines: Lines,
        voltage_mv: int,
        now_ms: int,
    ) -> None:
        self.id, self.evse, self.demand, self.old = evse.id, evse, demand, old
        self.on = lines
        """What it is on now, whatever it is to be on."""
        self.aim = lines
        """What it has its share on."""
        self.instead: Lines | None = None
        """What its minimum may be tried on where `aim` has no room for it."""
        self.phasing = old.phasing
        self.voltage_mv = voltage_mv
        self.use(lines)
        over, self.under = ratio(evse, voltage_mv)
        self.over = over * evse.step
        self.table: tuple[int, ...] = ()
        """What each level from 0 on loads a phase with, where the levels are no multiples of a step."""
        least, most = max(evse.minimum, demand.minimum), evse.maximum
        if demand.maximum is not None:
            most = min(most, demand.maximum)
        guaranteed = demand.guaranteed
        if isinstance(evse, Load):
            guaranteed = max(guaranteed, evse.floor)
            if evse.levels:
                self.table = (0, *(-(-level * over // self.under) for level in evse.levels))
        self.low = max(1, self._level(least, up=True))
        self.high = self._level(most)
        """The highest level that it can use at all; below `low` it cannot charge."""
        self.top = self.high
        """The highest level that it is to have in this tick."""
        if old.behaviour == "asleep":
            self.top = min(self.top, self.low)
        elif old.behaviour == "takes_less" and old.drawn_ma is not None:
            wanted = self.level_at(old.drawn_ma + HEADROOM_MA)
            if self.infeed(wanted) < old.drawn_ma + HEADROOM_MA:
                wanted += 1
            self.top = min(self.top, max(self.low, wanted))
        self.guaranteed = min(self._level(guaranteed), self.top)
        self.free_ma = self.infeed(self._level(guaranteed)) if lines.pool else 0
        """So much of its infeed does not count against its pool."""
        self.excess = old.excess_ma
        self.level = 0
        self.infeed_ma = 0
        self.fair = 0
        self.rank: Rank = ()
        self.stays = False
        """Whether it may not be switched off yet."""
        self.resting_ms = 0
        """For so long it may not be switched on yet."""
        if isinstance(evse, Load) and old.switched_ms is not None:
            since = now_ms - old.switched_ms
            if old.value:
                self.stays = since < evse.min_on_ms
            elif since < evse.min_off_ms:
                self.resting_ms = evse.min_off_ms - since
                self.top = 0

    def use(self, lines: Lines) -> None:
        """Has its share on these from now on; it has none yet."""
        self.aim = lines
        self.tree_terms, self.pool_terms = lines.tree, lines.pool
        self.all_terms = lines.tree + lines.pool if lines.pool else lines.tree
        self.terms = self.all_terms
        """The rows that it rises in now."""

    @property
    def paused(self) -> bool:
        """Whether it is being switched from one phase to three or back."""
        return self.phasing.stage != ""

    def _level(self, value: int, *, up: bool = False) -> int:
        """The highest level of no more than `value`, or the lowest of no less."""
        if self.table and isinstance(self.evse, Load):
            levels = self.evse.levels
            return bisect_left(levels, value) + 1 if up else bisect_right(levels, value)
        return -(-value // self.evse.step) if up else value // self.evse.step

    def value(self, level: int) -> int:
        """The set-point of a level, in its unit."""
        if self.table and isinstance(self.evse, Load):
            return self.evse.levels[level - 1] if level else 0
        return level * self.evse.step

    def told(self) -> int:
        """The level that it has been given last."""
        return self._level(self.old.value)

    def infeed(self, level: int) -> int:
        """mA on each phase at a level."""
        if self.table:
            return self.table[level]
        return -(-level * self.over // self.under)

    def level_at(self, ma: int) -> int:
        """The highest level that loads each phase with no more than `ma`."""
        if self.table:
            return bisect_right(self.table, ma) - 1
        return ma * self.under // self.over

    def pooled(self, infeed_ma: int) -> int:
        """What of an infeed counts against its pool."""
        return max(0, infeed_ma - self.free_ma)

    def fits(self, room: Room, infeed_ma: int) -> bool:
        """Whether there is room for it to begin with this infeed, and for what it takes beyond."""
        pooled = self.pooled(infeed_ma) + self.excess
        # A pool may be less than empty: that keeps nobody from what does not count against it.
        return room.fits(self.tree_terms, infeed_ma + self.excess) and (
            not pooled or room.fits(self.pool_terms, pooled)
        )

    def give_back(self, room: Room) -> None:
        """All that it has taken with its level."""
        if self.infeed_ma:
            room.take(self.tree_terms, -(self.infeed_ma + self.excess))
            room.take(self.pool_terms, -(self.pooled(self.infeed_ma) + self.excess))

    def still_draws(self, room: Room, ma: int) -> None:
        """Uses the room of what it may draw without being told to, on what it is on now."""
        room.take(self.on.tree, ma)
        room.take(self.on.pool, max(0, ma - self.free_ma))

    def take(self, room: Room, infeed_ma: int, least_ma: int = 0) -> None:
        """Uses the room of this infeed and of what it takes beyond, and of no less than `least_ma` in all."""
        extra = self.excess if infeed_ma else 0
        room.take(self.tree_terms, max(infeed_ma + extra, least_ma))
        if self.pool_terms:
            room.take(self.pool_terms, max(self.pooled(infeed_ma) + extra, least_ma - self.free_ma))

    def set(self, level: int) -> None:
        """Has this level; whoever calls has taken the room for it."""
        self.level = level
        self.infeed_ma = self.infeed(level)


def rank(car: Car, policy: Policy, voltage_mv: int, count: int, utc_ms: int) -> Rank:
    """Lower comes first; equal share. All of integers, and nothing of the order in which cars were named."""
    if policy.order == "equal":
        return ()
    demand, grain = car.demand, policy.time_grain_ms
    first = -demand.priority
    if policy.order == "priority":
        return (first,)
    if policy.order == "first_come":
        return (first, demand.arrived_ms)
    if policy.order == "lowest_soc":
        return (first, _LAST if demand.soc is None else demand.soc // policy.soc_grain)
    if demand.departure_ms is None:
        return (first, _LAST)
    if policy.order == "earliest_departure":
        return (first, demand.departure_ms // grain)
    power_uw = car.infeed(max(car.high, 1)) * voltage_mv * count
    # 1 Wh is 3.6e12 µW·ms: how long the rest takes at full power.
    needs_ms = (demand.energy_wh or 0) * 3_600_000_000_000 // power_uw
    return (first, (demand.departure_ms - utc_ms - needs_ms) // grain)
