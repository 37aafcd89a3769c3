"""A car in the middle of a tick."""

from .behaviour import HEADROOM_MA
from .demand import Demand, Policy
from .model import Evse
from .room import Room
from .state import EvseState
from .topology import Terms

Rank = tuple[int, ...]
_LAST = 1 << 62


class Car:
    """Set-points are whole levels of the EVSE's step; `infeed` is what a level loads each phase of the grid with."""

    __slots__ = (
        "all_terms", "demand", "evse", "excess", "fair", "free_ma", "guaranteed", "high", "id", "infeed_ma", "level",
        "low", "old", "over", "pool_terms", "rank", "terms", "top", "tree_terms", "under",
    )  # fmt: skip

    def __init__(
        self, evse: Evse, demand: Demand, old: EvseState, terms: Terms, pool_terms: Terms, voltage_mv: int
    ) -> None:
        self.id, self.evse, self.demand, self.old = evse.id, evse, demand, old
        self.tree_terms, self.pool_terms = terms, pool_terms
        self.all_terms = terms + pool_terms if pool_terms else terms
        self.terms = self.all_terms
        """The rows that it rises in now."""
        # infeed = ⌈level × over / under⌉: mA are mA, and mW at the vehicle are µW / mV of three phases, with losses.
        self.over, self.under = evse.step, 1
        if evse.current == "DC":
            self.over, self.under = evse.step * 1_000_000, 3 * voltage_mv * evse.efficiency
        least, most = max(evse.minimum, demand.minimum), evse.maximum
        if demand.maximum is not None:
            most = min(most, demand.maximum)
        self.low = max(1, -(-least // evse.step))
        self.high = most // evse.step
        """The highest level that it can use at all; below `low` it cannot charge."""
        self.top = self.high
        """The highest level that it is to have in this tick."""
        if old.behaviour == "asleep":
            self.top = min(self.top, self.low)
        elif old.behaviour == "takes_less" and old.drawn_ma is not None:
            wanted = -(-(old.drawn_ma + HEADROOM_MA) * self.under // self.over)
            self.top = min(self.top, max(self.low, wanted))
        self.guaranteed = min(demand.guaranteed // evse.step, self.top)
        self.free_ma = self.infeed(demand.guaranteed // evse.step) if pool_terms else 0
        """So much of its infeed does not count against its pool."""
        self.excess = old.excess_ma
        self.level = 0
        self.infeed_ma = 0
        self.fair = 0
        self.rank: Rank = ()

    def infeed(self, level: int) -> int:
        """mA on each phase at a level."""
        return -(-level * self.over // self.under)

    def level_at(self, ma: int) -> int:
        """The highest level that loads each phase with no more than `ma`."""
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
