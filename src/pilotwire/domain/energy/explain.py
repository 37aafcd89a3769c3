"""What keeps a car from one step more, found where the room is."""

from typing import Literal

from .cars import Car
from .demand import Policy
from .reasons import Code, Reason
from .room import Room
from .topology import ROWS, WHAT, Topology


def _tightest(car: Car, limits: Room) -> int | None:
    """The row that has no room for another step: of several the one with least, and of those the lowest node."""
    left = limits.left
    after = car.infeed(car.level + 1 if car.level else car.low)
    needs, pool_needs = after - car.infeed_ma, car.pooled(after) - car.pooled(car.infeed_ma)
    if not car.level:
        needs, pool_needs = needs + car.excess, pool_needs + car.excess
    full = [(left[row] // each, at, row) for at, (row, each) in enumerate(car.tree_terms) if left[row] < each * needs]
    if pool_needs:
        pool = enumerate(car.pool_terms, start=len(car.tree_terms))
        full += [(left[row] // each, at, row) for at, (row, each) in pool if left[row] < each * pool_needs]
    return min(full)[2] if full else None


def _limited(
    code: Literal["limit", "waiting", "under_way"],
    row: int | None,
    car: Car,
    topology: Topology,
    limits: Room,
    policy: Policy,
) -> Reason:
    if row is None:
        return Reason(code="unexplained", order=policy.order)
    kind: Code = code
    if code != "under_way" and limits.is_pool(row):
        kind = "pool"
    elif code == "limit" and topology.is_tenant(row):
        kind = "quota"
    return Reason(
        code=kind,
        place=limits.names[row // ROWS],
        what=WHAT[row % ROWS],
        source=limits.sources[row],
        order=policy.order,
        waits=code == "waiting",
        overdraws=car.excess > 0,
    )


def why(car: Car, topology: Topology, limits: Room, policy: Policy) -> Reason:
    """Of its share, when all have theirs."""
    if car.low > car.high:
        return Reason(code="impossible")
    if car.resting_ms:
        return Reason(code="resting", wait_ms=car.resting_ms)
    if car.level:
        if car.level < car.top:
            return _limited("limit", _tightest(car, limits), car, topology, limits, policy)
        if car.top < car.high:
            return Reason(code="asleep" if car.old.behaviour == "asleep" else "takes_less")
        return Reason(code="own_maximum", overdraws=car.excess > 0)
    return _limited("waiting", _tightest(car, limits), car, topology, limits, policy)


def held(car: Car, topology: Topology, limits: Room, policy: Policy, now_ms: int, settling: set[str]) -> Reason:
    """Why it is told less than its share for now."""
    if car.paused:
        return Reason(code="switching", phases=car.phasing.to or car.phasing.now)
    if car.id in settling:
        return Reason(code="settling", wait_ms=(car.old.changed_ms or 0) + car.old.settle_ms - now_ms)
    return _limited("under_way", _tightest(car, limits), car, topology, limits, policy)
