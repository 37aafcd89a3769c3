"""What a site comes to when nobody commands any more: refused before it runs, where that could be too much.

`check` adds up, for each node and each phase, what everything below may draw when all have fallen back at once: each
EVSE its fail-safe current, or its rating where it has no such current or no watchdog, or nobody has read back that it
stands in its registers; each load likewise; batteries what they may draw, and the side loads their bound. Of an EVSE
whose rotation is not known the worst counts on each phase. No state of the site draws more for longer than a watchdog
and the time that a car needs to follow it, so what passes here keeps every limit with the box switched off.

Not counted: quotas of tenants (nobody's cable), and what side loads do to the balance between phases (nobody here
can command it).
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import msgspec

from .model import Evse, Member, Node, Phases, SiteTree
from .scale import infeed, thousandth
from .topology import POWER, ROWS, WHAT, Topology, prepare


class Part(msgspec.Struct, frozen=True):
    """What one of them contributes: `amount` in the unit of its overload, and why it is so much."""

    id: str
    amount: int
    why: str


class Overload(msgspec.Struct, frozen=True):
    """A limit that the fail-safe sum could exceed. `unit` is mA, or mW for `what` "power"."""

    node: str
    what: str
    source: str
    total: int
    limit: int
    parts: tuple[Part, ...]
    change: str
    """What would mend it."""

    @property
    def unit(self) -> str:
        return "W" if self.what == "power" else "A"

    @property
    def words(self) -> str:
        """All of it, for people."""
        parts = ", ".join(f"{part.id} {thousandth(part.amount)} {self.unit} ({part.why})" for part in self.parts)
        return (
            f"{self.what} of {self.node}: {thousandth(self.total)} {self.unit} when all fall back, more than the "
            f"{thousandth(self.limit)} {self.unit} of {self.source}: {parts}. {self.change}"
        )


def check(tree: SiteTree, confirmed: Collection[str] | None = None) -> tuple[Overload, ...]:
    """Every limit that could be exceeded, by node as given; empty: the site may run.

    `confirmed`: the members whose fail-safe value has been set and read back; the others count with their rating. None
    takes the description for the truth, which is right while a site is being planned.

    Raises ConfigError for a tree that cannot be prepared.
    """
    topology = prepare(tree)
    sides = side_bounds(topology)
    found: list[Overload] = []
    drawn = {id: _falls_back(member, confirmed, tree.voltage_mv) for id, member in topology.members.items()}
    worst: dict[int, list[tuple[str, int]]] = {}
    for id, member in topology.members.items():
        for row, each in topology.worst(member):
            worst.setdefault(row, []).append((id, each * drawn[id][0]))
    for place, node in enumerate(tree.nodes):
        for kind, (limit, source) in _limits(node).items():
            scale = 1_000 if kind == POWER else 1
            parts = [
                Part(id, -(-amount // scale), drawn[id][1])
                for id, amount in sorted(worst.get(place * ROWS + kind, []))
                if amount
            ]
            total = sum(amount for _, amount in worst.get(place * ROWS + kind, []))
            side = _side(sides[place], kind, tree.voltage_mv)
            if side:
                total += side
                parts.append(Part("side loads", -(-side // scale), "at the most, by side_lost_ma and lost_ma"))
            if total > limit * scale and parts:
                over = -(-total // scale) - limit
                change = _change(parts, over, kind, lambda id: topology.members[id], set(drawn))
                found.append(Overload(node.id, WHAT[kind], source, -(-total // scale), limit, tuple(parts), change))
    return tuple(found)


def _falls_back(member: Member, confirmed: Collection[str] | None, voltage_mv: int) -> tuple[int, str]:
    """(mA per phase, why)."""
    rating = infeed(member, member.maximum, voltage_mv)
    if member.failsafe is None:
        return rating, "its rating: it has no fail-safe value"
    if member.watchdog_ms is None:
        return rating, "its rating: it has no watchdog"
    if confirmed is not None and member.id not in confirmed:
        return rating, "its rating: its fail-safe value has not been read back"
    return infeed(member, member.failsafe, voltage_mv), "its fail-safe value"


def side_bounds(topology: Topology) -> list[Phases]:
    """Of each node the most that may flow beside the members: `side_lost_ma`, or what those below it may come to.

    A branch that may carry something makes the node above carry no less.
    """
    nodes = topology.tree.nodes
    bounds: list[Phases] = [(0, 0, 0)] * len(nodes)
    for place in topology.upwards:
        below = [bounds[child] for child in topology.children[place]]
        below += [resource.lost_ma for resource in topology.resources[place]]
        declared = nodes[place].side_lost_ma
        if declared is None:
            l1, l2, l3 = (sum(each[phase] for each in below) for phase in range(3))
        else:
            l1, l2, l3 = (max([declared[phase], *(each[phase] for each in below)]) for phase in range(3))
        bounds[place] = (l1, l2, l3)
    return bounds


def _limits(node: Node) -> dict[int, tuple[int, str]]:
    """The lowest limit of each kind at any time, and whose it is; scheduled ones count as if they were in force."""
    lowest: dict[int, tuple[int, str]] = {}
    for limit in node.limits:
        figures = dict(enumerate(limit.phases_ma or ()))
        if limit.power_mw is not None:
            figures[POWER] = limit.power_mw
        if limit.imbalance_ma is not None:
            figures |= dict.fromkeys(range(POWER + 1, ROWS), limit.imbalance_ma)
        for kind, value in figures.items():
            lowest[kind] = min(lowest.get(kind, (value, limit.source)), (value, limit.source))
    return dict(sorted(lowest.items()))


def _side(side: Phases, kind: int, voltage_mv: int) -> int:
    if kind < POWER:
        return side[kind]
    return sum(side) * voltage_mv if kind == POWER else 0


def _change(parts: list[Part], over: int, kind: int, member: Callable[[str], Member], members: Collection[str]) -> str:
    unit = "W" if kind == POWER else "A"
    ours = [part for part in parts if part.id in members]
    ways: list[str] = []
    rated = [part.id for part in ours if "rating" in part.why]
    if rated:
        ways.append(f"give {', '.join(rated)} a fail-safe value and a watchdog and let them be read back")
    lower = [part.id for part in ours if part.id not in rated and member(part.id).failsafe]
    if lower:
        ways.append(f"lower the fail-safe values of {', '.join(lower)} by {thousandth(over)} {unit} in all")
    unknown = [part.id for part in ours if _turns(member(part.id))]
    if unknown and kind != POWER:
        ways.append(f"find out the rotation of {', '.join(unknown)}")
    if not ours or len(parts) > len(ours):
        ways.append("lower side_lost_ma and lost_ma if less than that can flow")
    return "To mend it: " + ", or ".join(ways) + "."


def _turns(member: Member) -> bool:
    """Whether it matters that nobody knows on which phases it is."""
    return member.rotation is None and member.phases < 3 and not (isinstance(member, Evse) and member.current == "DC")
