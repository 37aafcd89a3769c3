"""A car in the middle of a tick."""

from .behaviour import HEADROOM_MA
from .demand import Demand, Policy
from .model import Evse
from .state import EvseState
from .topology import Terms

Rank = tuple[int, ...]
_LAST = 1 << 62


class Car:
    """Set-points are whole levels of the EVSE's step; `infeed` is what a level loads each phase of the grid with."""

    __slots__ = (
        "demand", "evse", "excess", "fair", "guaranteed", "high", "id", "infeed_ma", "level", "low", "old", "over",
        "rank", "terms", "top", "under",
    )  # fmt: skip

    def __init__(self, evse: Evse, demand: Demand, old: EvseState, terms: Terms, voltage_mv: int) -> None:
        self.id, self.evse, self.demand, self.old, self.terms = evse.id, evse, demand, old, terms
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
