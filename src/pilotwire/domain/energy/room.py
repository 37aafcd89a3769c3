"""How much each node can carry now beside what flows there anyway."""

from collections.abc import Mapping

from .demand import Moment, Policy, Signals
from .model import Evse, Limit, Phases
from .state import EvseState
from .topology import PAIRS, POWER, ROWS, Terms, Topology


class Room:
    """What is left in each row that has a limit (mA; µW for power), and who set that limit."""

    def __init__(self, rows: int) -> None:
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
    topology: Topology,
    policy: Policy,
    signals: Signals,
    cars: Mapping[str, tuple[Evse, int, EvseState]],
    now: Moment,
) -> Room:
    """The limits in force less the side loads. `cars`: EVSE, conductors in use and what is known of it, by id."""
    found = Room(len(topology.names) * ROWS)
    tree = topology.tree
    for place, node in enumerate(tree.nodes):
        for limit in (*node.limits, *signals.limits.get(node.id, ())):
            _lower(found, place, limit, now.utc_ms)
    for place, tenant in enumerate(tree.tenants, start=len(tree.nodes)):
        for limit in tenant.limits:
            _lower(found, place, limit, now.utc_ms)
    for place, side in enumerate(_sides(topology, policy, signals, cars, now)):
        if side == (0, 0, 0):
            continue
        base = place * ROWS
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


def _sides(
    topology: Topology,
    policy: Policy,
    signals: Signals,
    cars: Mapping[str, tuple[Evse, int, EvseState]],
    now: Moment,
) -> list[Phases]:
    """What flows through each node beside the EVSEs.

    A metered node: its reading less what the EVSEs below drew at that time. Others: what is known of those below, but
    never less than nothing, since what one branch feeds in may be used by something else that nobody measures.
    """
    nodes = topology.tree.nodes
    sides: list[Phases] = [(0, 0, 0)] * len(nodes)
    below: list[list[str]] = [[] for _ in nodes]
    if any(node.metered for node in nodes):
        for id, (evse, _, state) in cars.items():
            if state.infeed_ma or state.before_ma or state.drawn_ma:
                for place in topology.above[evse.node]:
                    below[place].append(id)
    for place in topology.upwards:
        node = nodes[place]
        if not node.metered:
            known = [sides[child] for child in topology.children[place]]
            sides[place] = (
                max(0, sum(side[0] for side in known)),
                max(0, sum(side[1] for side in known)),
                max(0, sum(side[2] for side in known)),
            )
            continue
        reading = signals.meters.get(node.id)
        if reading is None or not 0 <= now.tick_ms - reading.at_ms <= policy.stale_ms:
            sides[place] = node.side_lost_ma or (0, 0, 0)
            continue
        own = [0, 0, 0]
        guessed = False
        for id in below[place]:
            evse, used, state = cars[id]
            if evse.rotation is None and topology.count(evse, used) < 3:
                continue  # nobody knows on which phase it is: it stays in the side load, which is the safe mistake
            guessed = guessed or state.drawn_ma is None
            ma = _drawn_at(state, reading.at_ms)
            for phase in topology.phases(evse, used):
                own[phase] += ma
        l1, l2, l3 = (measured - ours for measured, ours in zip(reading.phases_ma, own, strict=True))
        # Less than nothing is an inverter's surplus, unless it is our own mistake about an EVSE that measures nothing.
        sides[place] = (max(0, l1), max(0, l2), max(0, l3)) if guessed else (l1, l2, l3)
    return sides


def _drawn_at(state: EvseState, at_ms: int) -> int:
    """What an EVSE drew at least when the meter was read: while a change is under way, the lower of all that it may be.

    The meter is not filtered: what is not yet the car's in its reading is modelled as side load, which is safe.
    """
    if state.settled(at_ms):
        return state.infeed_ma if state.drawn_ma is None else state.drawn_ma
    known = min(state.infeed_ma, state.before_ma)
    return known if state.drawn_ma is None else min(known, state.drawn_ma)
