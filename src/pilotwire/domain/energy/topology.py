"""A tree that has been checked, laid out so that a tick need not walk it."""

import msgspec

from pilotwire.core.errors import ConfigError

from .model import Evse, Load, Member, Resource, Rotation, SiteTree
from .validation import faults_of

ROWS = 10
"""Constraints of a node: current on L1, L2, L3, power, and L1 above L2, L1 above L3, L2 above L1 and so on."""
POWER = 3
PAIRS = ((0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1))
WHAT = ("L1", "L2", "L3", "power", *(f"L{a + 1} above L{b + 1}" for a, b in PAIRS))
_ON = {"R": 0, "S": 1, "T": 2}

Terms = tuple[tuple[int, int], ...]
"""(row, what one mA of infeed per phase takes of it): 1 mA of a current, n × voltage (µW) of a power."""


class Topology:
    """See `prepare`. Row `place × ROWS + kind`; places are the nodes as given, then the tenants."""

    def __init__(self, tree: SiteTree) -> None:
        self.tree = tree
        self.evses: dict[str, Evse] = {evse.id: evse for evse in tree.evses}
        self.loads: dict[str, Load] = {load.id: load for load in tree.loads}
        self.members: dict[str, Member] = {**self.evses, **self.loads}
        self.places: dict[str, int] = {node.id: at for at, node in enumerate(tree.nodes)}
        self.names: tuple[str, ...] = (*(node.id for node in tree.nodes), *(tenant.id for tenant in tree.tenants))
        self._tenants = {tenant.id: len(tree.nodes) + at for at, tenant in enumerate(tree.tenants)}
        parents = {node.id: node.parent for node in tree.nodes}
        self.above: dict[str, tuple[int, ...]] = {}
        """Of each node: itself and its ancestors, from below."""
        for node in tree.nodes:
            path: list[int] = []
            at: str | None = node.id
            while at is not None:
                path.append(self.places[at])
                at = parents[at]
            self.above[node.id] = tuple(path)
        self.children: tuple[tuple[int, ...], ...] = tuple(
            tuple(self.places[below.id] for below in tree.nodes if below.parent == node.id) for node in tree.nodes
        )
        self.upwards: tuple[int, ...] = tuple(
            sorted(range(len(tree.nodes)), key=lambda at: -len(self.above[tree.nodes[at].id]))
        )
        """All nodes, each after those below it."""
        self._terms: dict[tuple[str, int, str | None], Terms] = {}
        self._kinds: dict[tuple[str, int, str | None], Terms] = {}
        self._turned: dict[tuple[str, str], Evse] = {}
        self._worst: dict[str, Terms] = {}
        self.resources: tuple[tuple[Resource, ...], ...] = tuple(
            tuple(each for each in tree.resources if each.node == node.id) for node in tree.nodes
        )
        """At each node."""

        meters = {at for at, node in enumerate(tree.nodes) if node.metered}
        self.meter_above: dict[str, str | None] = {
            id: next((tree.nodes[at].id for at in self.above[member.node] if at in meters), None)
            for id, member in self.members.items()
        }
        """The lowest metered node above each member."""
        self.unknown: tuple[str, ...] = tuple(
            sorted(id for id, evse in self.evses.items() if evse.rotation is None and evse.current == "AC")
        )
        """EVSEs whose rotation is not written down."""
        watched = {self.places[node] for id in self.unknown if (node := self.meter_above[id]) is not None}
        nodes_above = (
            (id, tuple(tree.nodes[at].id for at in self.above[self.members[id].node] if at in watched))
            for id in sorted(self.members)
        )
        self.watched: tuple[tuple[str, tuple[str, ...]], ...] = tuple(each for each in nodes_above if each[1])
        """Members, by id, and the metered nodes above each by which some rotation can be learned."""

    def turned(self, evse: Evse, rotation: Rotation) -> Evse:
        """`evse` with this rotation."""
        key = (evse.id, rotation)
        known = self._turned.get(key)
        if known is None:
            known = self._turned[key] = msgspec.structs.replace(evse, rotation=rotation)
        return known

    def is_tenant(self, row: int) -> bool:
        """Whether the row is of a tenant's quota, not of a node."""
        return row // ROWS >= len(self.tree.nodes)

    def phases(self, evse: Member, used: int) -> tuple[int, ...]:
        """The phases of the grid (0, 1, 2) that a car with `used` conductors loads; all where that is not known."""
        count = self.count(evse, used)
        if count == 3 or evse.rotation is None:
            return (0, 1, 2)
        return tuple(sorted(_ON[letter] for letter in evse.rotation[:count]))

    def count(self, evse: Member, used: int) -> int:
        """How many phases it really loads."""
        if isinstance(evse, Load):
            return evse.phases
        return 3 if evse.current == "DC" else min(used, evse.phases)

    def terms(self, evse: Member, used: int) -> Terms:
        """What each mA of infeed per phase takes of which rows, from the EVSE's node upwards, the quota last."""
        key = (evse.id, used, evse.rotation)
        known = self._terms.get(key)
        if known is None:
            known = self._terms[key] = self._make_terms(evse, used)
        return known

    def worst(self, evse: Member) -> Terms:
        """As `terms`, the most of each row that any car there could take, with as many conductors as it likes."""
        known = self._worst.get(evse.id)
        if known is None:
            most: dict[int, int] = {}
            for used in range(1, evse.phases + 1):
                for row, each in self.terms(evse, used):
                    most[row] = max(each, most.get(row, 0))
            known = self._worst[evse.id] = tuple(most.items())
        return known

    def kinds(self, evse: Member, used: int) -> Terms:
        """What each mA of infeed per phase takes at one place: (kind of the constraint, how much)."""
        key = (evse.id, used, evse.rotation)
        known = self._kinds.get(key)
        if known is None:
            known = self._kinds[key] = self._make_kinds(evse, used)
        return known

    def _make_kinds(self, evse: Member, used: int) -> Terms:
        count, phases = self.count(evse, used), self.phases(evse, used)
        kinds = [(phase, 1) for phase in phases]
        kinds.append((POWER, count * self.tree.voltage_mv))
        if count < 3:
            # A balance that rests on another car is none, for that car may end at any moment: what a car puts on one
            # phase and not on the other counts, what others have on the other does not help. Where the rotation is
            # not known, each pair of phases may be the one.
            unknown = evse.rotation is None
            for at, (a, b) in enumerate(PAIRS, start=POWER + 1):
                if unknown or (a in phases and b not in phases):
                    kinds.append((at, 1))
        return tuple(kinds)

    def _make_terms(self, evse: Member, used: int) -> Terms:
        kinds = self.kinds(evse, used)
        places = list(self.above[evse.node])
        if evse.tenant is not None:
            places.append(self._tenants[evse.tenant])
        return tuple((place * ROWS + kind, each) for place in places for kind, each in kinds)


def prepare(tree: SiteTree) -> Topology:
    """`tree` ready for ticks. Raises ConfigError with every mistake in it."""
    faults = faults_of(tree)
    if faults:
        raise ConfigError("the site cannot be used: " + "; ".join(str(fault) for fault in faults))
    return Topology(tree)
