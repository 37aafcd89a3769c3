"""How much each node can carry now beside what flows there anyway."""

from collections.abc import Mapping, Sequence

from .demand import Moment, Signals
from .model import Limit, Phases
from .topology import PAIRS, POWER, ROWS, Terms, Topology


class Room:
    """What is left in each row that has a limit (mA; µW for power), and who set that limit.

    The rows are those of the topology's places, then those of the pools by name.
    """

    def __init__(self, topology: Topology, pools: Sequence[str]) -> None:
        self.names: tuple[str, ...] = (*topology.names, *pools)
        self._pools = {pool: at for at, pool in enumerate(pools, start=len(topology.names))}
        rows = len(self.names) * ROWS
        self.left: list[int] = [0] * rows
        self.limited: list[bool] = [False] * rows
        self.sources: dict[int, str] = {}
        self._known: dict[int, tuple[Terms, Terms]] = {}

    def lower(self, row: int, value: int, source: str) -> None:
        """One more limit: it counts if it is lower than all before."""
        if not self.limited[row] or value < self.left[row] or (value == self.left[row] and source < self.sources[row]):
            self.left[row], self.sources[row] = value, source
            self.limited[row] = True

    def limited_terms(self, terms: Terms) -> Terms:
        """Only the rows that have a limit."""
        known = self._known.get(id(terms))
        if known is None:
            limited = self.limited
            # The terms themselves are kept beside, so that their id stays theirs.
            known = self._known[id(terms)] = (terms, tuple(term for term in terms if limited[term[0]]))
        return known[1]

    def pool_terms(self, pool: str, kinds: Terms) -> Terms:
        """The rows of a pool that have a limit; `kinds` says what each mA takes at a place."""
        base = self._pools[pool] * ROWS
        return tuple((base + kind, each) for kind, each in kinds if self.limited[base + kind])

    def is_pool(self, row: int) -> bool:
        """Whether the row is of a pool."""
        return row // ROWS >= len(self.names) - len(self._pools)

    def take(self, terms: Terms, ma: int) -> None:
        """`ma` of infeed per phase are used up, or given back."""
        if ma:
            left = self.left
            for row, each in terms:
                left[row] -= each * ma

    def fits(self, terms: Terms, ma: int) -> bool:
        """Whether another `ma` has room everywhere."""
        left = self.left
        return all(left[row] >= each * ma for row, each in terms)

    def most(self, terms: Terms) -> int | None:
        """How many mA have room; None if nothing limits them."""
        left = self.left
        return min((left[row] // each for row, each in terms), default=None)


def room(
    topology: Topology, signals: Signals, sides: Mapping[str, Phases], now: Moment, pools: Sequence[str] = ()
) -> Room:
    """The limits in force less the side loads of the nodes. `pools`: those that are asked for, sorted."""
    found = Room(topology, pools)
    tree = topology.tree
    for place, node in enumerate(tree.nodes):
        for limit in (*node.limits, *signals.limits.get(node.id, ())):
            _lower(found, place, limit, now.utc_ms)
    for place, tenant in enumerate(tree.tenants, start=len(tree.nodes)):
        for limit in tenant.limits:
            _lower(found, place, limit, now.utc_ms)
    for place, pool in enumerate(pools, start=len(topology.names)):
        for limit in signals.pools.get(pool, ()):
            _lower(found, place, limit, now.utc_ms)
        if not any(found.limited[place * ROWS : place * ROWS + POWER + 1]):
            found.lower(place * ROWS + POWER, 0, "nothing is known of it")
    for id, side in sides.items():
        base = topology.places[id] * ROWS
        for phase, ma in enumerate(side):
            found.left[base + phase] -= ma
        found.left[base + POWER] -= sum(side) * tree.voltage_mv
        for at, (a, b) in enumerate(PAIRS, start=base + POWER + 1):
            found.left[at] -= side[a] - side[b]
    return found


def _lower(room: Room, place: int, limit: Limit, utc_ms: int) -> None:
    if not limit.in_force(utc_ms):
        return
    base = place * ROWS
    if limit.phases_ma is not None:
        for phase, ma in enumerate(limit.phases_ma):
            room.lower(base + phase, ma, limit.source)
    if limit.power_mw is not None:
        room.lower(base + POWER, limit.power_mw * 1_000, limit.source)
    if limit.imbalance_ma is not None:
        for at in range(base + POWER + 1, base + ROWS):
            room.lower(at, limit.imbalance_ma, limit.source)
