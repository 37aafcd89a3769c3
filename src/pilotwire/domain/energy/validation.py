"""What is wrong with the description of a site, all of it at once, in words."""

from collections import Counter
from collections.abc import Iterable, Iterator

import msgspec

from .model import Evse, Limit, Load, Node, SiteTree


class Fault(msgspec.Struct, frozen=True):
    """One mistake: where it is (`node feeder-1`) and what to mend."""

    where: str
    text: str

    def __str__(self) -> str:
        return f"{self.where}: {self.text}"


def faults_of(tree: SiteTree) -> tuple[Fault, ...]:
    """Every mistake in `tree`; empty if it can be prepared."""
    return tuple(_faults(tree))


def _faults(tree: SiteTree) -> Iterator[Fault]:
    if tree.voltage_mv <= 0:
        yield Fault("site", f"voltage_mv is {tree.voltage_mv}, it has to be positive")
    yield from _twice("node", (node.id for node in tree.nodes))
    yield from _twice("EVSE", (evse.id for evse in tree.evses))
    # One name space: `Signals.draws` names all of them.
    others = [*(load.id for load in tree.loads), *(resource.id for resource in tree.resources)]
    yield from _twice("member", [*others, *{evse.id for evse in tree.evses}])
    yield from _twice("tenant", (tenant.id for tenant in tree.tenants))
    nodes = {node.id: node for node in tree.nodes}
    roots = [node.id for node in tree.nodes if node.parent is None]
    if len(roots) != 1:
        named = ", ".join(roots) or "none"
        yield Fault("site", f"exactly one node has no parent, the connection; here: {named}")
    for node in tree.nodes:
        yield from _node(node, nodes)
    tenants = {tenant.id for tenant in tree.tenants}
    for tenant in tree.tenants:
        if not tenant.limits:
            yield Fault(f"tenant {tenant.id}", "has no limit: without a quota it needs no entry")
        for limit in tenant.limits:
            yield from _limit(f"tenant {tenant.id}", limit)
    for evse in tree.evses:
        yield from _evse(evse, nodes, tenants)
    for load in tree.loads:
        yield from _load(load, nodes, tenants)
    for resource in tree.resources:
        where = f"{resource.kind} {resource.id}"
        if resource.node not in nodes:
            yield Fault(where, f"its node {resource.node} does not exist")
        if min(resource.lost_ma) < 0 or min(resource.feeds_ma) < 0:
            yield Fault(where, "lost_ma and feeds_ma are amounts, they cannot be negative")


def _twice(what: str, ids: Iterable[str]) -> Iterator[Fault]:
    for id, count in Counter(ids).items():
        if count > 1:
            yield Fault(f"{what} {id}", f"is there {count} times")
        if not id:
            yield Fault(what, "has an empty id")


def _node(node: Node, nodes: dict[str, Node]) -> Iterator[Fault]:
    where = f"node {node.id}"
    if (node.kind == "connection") != (node.parent is None):
        yield Fault(where, f"is a {node.kind} with parent {node.parent}: the connection alone has none")
    if node.parent is not None and node.parent not in nodes:
        yield Fault(where, f"its parent {node.parent} does not exist")
    seen = [node.id]
    at = node
    while at.parent is not None and at.parent in nodes:
        if at.parent in seen:
            if at.parent == node.id:  # each node of the circle says so once, those that hang on it do not
                yield Fault(where, f"is its own ancestor: {' → '.join([*seen, at.parent])}")
            break
        seen.append(at.parent)
        at = nodes[at.parent]
    if node.metered and node.side_lost_ma is None:
        yield Fault(where, "is metered: side_lost_ma has to say what to assume when the meter is lost")
    if node.side_lost_ma is not None and min(node.side_lost_ma) < 0:
        yield Fault(where, f"side_lost_ma is {node.side_lost_ma}: a lost meter gives no room")
    if node.parent is None and not node.limits:
        yield Fault(where, "the connection has no limit")
    for limit in node.limits:
        yield from _limit(where, limit)


def _limit(where: str, limit: Limit) -> Iterator[Fault]:
    where = f"{where}, limit {limit.source}"
    if limit.phases_ma is None and limit.power_mw is None and limit.imbalance_ma is None:
        yield Fault(where, "limits nothing")
    for phase, ma in enumerate(limit.phases_ma or (), start=1):
        if ma <= 0:
            yield Fault(where, f"{ma} mA on L{phase}: nothing could ever charge; only a signal may say so")
    if limit.power_mw is not None and limit.power_mw <= 0:
        yield Fault(where, f"{limit.power_mw} mW: nothing could ever charge; only a signal may say so")
    if limit.imbalance_ma is not None and limit.imbalance_ma < 0:
        yield Fault(where, f"an imbalance of {limit.imbalance_ma} mA is negative")
    if limit.from_ms is not None and limit.until_ms is not None and limit.until_ms <= limit.from_ms:
        yield Fault(where, "ends before it begins")


def _load(load: Load, nodes: dict[str, Node], tenants: set[str]) -> Iterator[Fault]:
    where = f"load {load.id}"
    if load.node not in nodes:
        yield Fault(where, f"its node {load.node} does not exist")
    if load.tenant is not None and load.tenant not in tenants:
        yield Fault(where, f"its tenant {load.tenant} does not exist")
    if load.step <= 0:
        yield Fault(where, f"step is {load.step}, it has to be positive")
        return
    if load.levels:
        if load.levels[0] <= 0 or list(load.levels) != sorted(set(load.levels)):
            yield Fault(where, f"levels are {load.levels}: they have to be positive and ascending")
        if load.levels[-1] != load.maximum:
            yield Fault(where, f"its highest level {load.levels[-1]} is not its maximum {load.maximum}")
    elif max(1, -(-load.minimum // load.step)) > load.maximum // load.step:
        text = f"no multiple of its step {load.step} from its minimum {load.minimum} to its maximum {load.maximum}"
        yield Fault(where, text)
    if min(load.minimum, load.floor, load.min_on_ms, load.min_off_ms) < 0:
        yield Fault(where, "minimum, floor, min_on_ms and min_off_ms cannot be negative")
    if load.failsafe is not None and not 0 <= load.failsafe <= load.maximum:
        yield Fault(where, f"its fail-safe {load.failsafe} is not between 0 and its maximum {load.maximum}")


def _evse(evse: Evse, nodes: dict[str, Node], tenants: set[str]) -> Iterator[Fault]:
    where = f"EVSE {evse.id}"
    if evse.node not in nodes:
        yield Fault(where, f"its node {evse.node} does not exist")
    if evse.tenant is not None and evse.tenant not in tenants:
        yield Fault(where, f"its tenant {evse.tenant} does not exist")
    if evse.step <= 0:
        yield Fault(where, f"step is {evse.step}, it has to be positive")
        return
    if evse.minimum < 0:
        yield Fault(where, f"minimum is {evse.minimum}, it cannot be negative")
    least = max(1, -(-evse.minimum // evse.step))
    if least > evse.maximum // evse.step:
        text = f"no multiple of its step {evse.step} from its minimum {evse.minimum} to its maximum {evse.maximum}"
        yield Fault(where, text)
    if evse.current == "DC" and not 0 < evse.efficiency <= 1000:
        yield Fault(where, f"efficiency is {evse.efficiency} per mille")
    if evse.failsafe is not None and not 0 <= evse.failsafe <= evse.maximum:
        yield Fault(where, f"its fail-safe {evse.failsafe} is not between 0 and its maximum {evse.maximum}")
    if evse.watchdog_ms is not None and evse.watchdog_ms <= 0:
        yield Fault(where, f"watchdog_ms is {evse.watchdog_ms}, it has to be positive")
    if evse.switching is not None:
        if evse.current == "DC" or evse.phases != 3:
            yield Fault(where, "only an AC EVSE with three phases can be switched to one")
        if min(msgspec.structs.astuple(evse.switching)) < 0:
            yield Fault(where, f"a figure of its switching is negative: {evse.switching}")
    if evse.current == "DC" and evse.phases != 3:
        yield Fault(where, f"a DC EVSE is fed from three phases, not {evse.phases}")
