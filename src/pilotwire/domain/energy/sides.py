"""What flows through a node beside the EVSEs: its meter's reading less what the EVSEs drew when it was read.

The meter is not filtered. Where it is not certain what an EVSE drew at that time, because a change is under way and
nothing measures it, the side load lies within two bounds; it is taken to be what it was, as far as these allow. So a
site does not take its own cars, which are just rising, for somebody else's load.
"""

from collections.abc import Iterable, Mapping

from .demand import Moment, Policy, Reading, Signals
from .model import Member, Phases, Resource
from .state import EvseState
from .topology import Topology

Cars = Mapping[str, tuple[Member, int, EvseState]]
"""EVSE, conductors in use, and what is known of it, by id."""

TOGETHER_MS = 1_000
"""Readings no further apart show the same moment."""


def side_loads(
    topology: Topology, policy: Policy, signals: Signals, cars: Cars, before: Mapping[str, Phases], now: Moment
) -> dict[str, Phases]:
    """Of all nodes that carry any. `before`: what this said in the tick before.

    A node without a meter carries what is known of those below it, but never less than nothing: what one branch feeds
    in may be used by something that nobody measures. A metered node whose reading is lost carries `side_lost_ma`.
    """
    nodes = topology.tree.nodes
    if not topology.tree.resources and not any(node.metered for node in nodes):
        return {}
    below = _below(topology, cars)
    sides: list[Phases] = [(0, 0, 0)] * len(nodes)
    for place in topology.upwards:
        node = nodes[place]
        reading = signals.meters.get(node.id)
        if not node.metered:
            known = [sides[child] for child in topology.children[place]]
            known += [_drawn(resource, policy, signals, now) for resource in topology.resources[place]]
            l1, l2, l3 = (max(0, sum(side[phase] for side in known)) for phase in range(3))
            sides[place] = (l1, l2, l3)
        elif reading is None or not 0 <= now.tick_ms - reading.at_ms <= policy.stale_ms:
            sides[place] = node.side_lost_ma or (0, 0, 0)
        else:
            sides[place] = _metered(topology, reading, (cars[id] for id in below[place]), before.get(node.id))
    return {node.id: side for node, side in zip(nodes, sides, strict=True) if node.metered or side != (0, 0, 0)}


def _drawn(resource: Resource, policy: Policy, signals: Signals, now: Moment) -> Phases:
    reading = signals.draws.get(resource.id)
    if reading is None or not 0 <= now.tick_ms - reading.at_ms <= policy.stale_ms:
        return resource.lost_ma
    return reading.phases_ma


def _below(topology: Topology, cars: Cars) -> list[list[str]]:
    below: list[list[str]] = [[] for _ in topology.tree.nodes]
    for id, (evse, _, state) in cars.items():
        if state.infeed_ma or state.before_ma or state.drawn_ma or state.lost_ma:
            for place in topology.above[evse.node]:
                below[place].append(id)
    return below


def _metered(
    topology: Topology, reading: Reading, cars: Iterable[tuple[Member, int, EvseState]], before: Phases | None
) -> Phases:
    least, most = [0, 0, 0], [0, 0, 0]
    guessed = False
    for evse, used, state in cars:
        if evse.rotation is None and topology.count(evse, used) < 3:
            continue  # nobody knows on which phase it is: it stays in the side load, which is the safe mistake
        guessed = guessed or state.drawn_ma is None
        low, high = drawn_between(state, reading.at_ms)
        for phase in topology.phases(evse, used):
            least[phase] += low
            most[phase] += high
    side = [0, 0, 0]
    for phase, measured in enumerate(reading.phases_ma):
        highest, lowest = measured - least[phase], measured - most[phase]
        side[phase] = highest if before is None else min(highest, max(lowest, before[phase]))
        if guessed:
            # Less than nothing would be an inverter's surplus, or our own mistake about an EVSE that is not measured.
            side[phase] = max(0, side[phase])
    return side[0], side[1], side[2]


def drawn_between(state: EvseState, at_ms: int) -> tuple[int, int]:
    """The least and the most that an EVSE may have drawn when a meter was read."""
    drawn = state.drawn_ma
    if state.lost_ma:
        return 0, state.lost_ma
    if drawn is not None and abs(state.drawn_ms - at_ms) <= TOGETHER_MS:
        return drawn, drawn
    known = [state.infeed_ma] if drawn is None else [state.infeed_ma, drawn]
    if not state.settled(at_ms):
        known.append(state.before_ma)
        if at_ms < state.ceiling_until_ms:
            known.append(state.ceiling_ma)
    return min(known), max(known)
