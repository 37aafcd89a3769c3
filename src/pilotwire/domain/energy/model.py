"""A site as its operator describes it: a tree of nodes with limits, and the EVSEs below them."""

from typing import Literal

import msgspec

Phases = tuple[int, int, int]
"""One figure for each of L1, L2, L3 of the grid, in mA."""

Kind = Literal["connection", "transformer", "feeder", "group"]
Rotation = Literal["RST", "RTS", "SRT", "STR", "TRS", "TSR"]
"""Which phase of the grid (R = L1, S = L2, T = L3) is wired to the EVSE's terminals L1, L2, L3, as OCPP writes it."""


class Limit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a node or a tenant may take. Of all limits in force the lowest counts, for each figure by itself.

    A limit without times is static; one with times is scheduled and in force from `from_ms` until before `until_ms`
    (UTC). What a signal says comes with `Signals.limits`. `imbalance_ma` is the most by which one phase may be above
    another.
    """

    source: str
    phases_ma: Phases | None = None
    power_mw: int | None = None
    imbalance_ma: int | None = None
    from_ms: int | None = None
    until_ms: int | None = None

    def in_force(self, utc_ms: int) -> bool:
        """Whether it counts at this time."""
        return (self.from_ms is None or self.from_ms <= utc_ms) and (self.until_ms is None or utc_ms < self.until_ms)


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A place in the tree that carries all that is below it; the connection is the one without a parent.

    `metered`: a meter at this node measures all that flows through it. When its reading is missing or too old,
    `side_lost_ma` is taken for what flows through it beside the EVSEs.
    """

    id: str
    kind: Kind
    parent: str | None = None
    limits: tuple[Limit, ...] = ()
    metered: bool = False
    side_lost_ma: Phases | None = None


class Tenant(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Whoever may take no more than a quota at all the EVSEs of his, wherever they are in the tree."""

    id: str
    limits: tuple[Limit, ...]


class Evse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An EVSE. AC: figures are mA per phase. DC: figures are mW at the vehicle, drawn from three phases.

    `rotation` None is unknown: whatever loads fewer than three phases then counts on each of the three.
    `efficiency` is per mille from the grid to the vehicle (DC). Set-points are 0 or multiples of `step` from `minimum`
    to `maximum`.
    """

    id: str
    node: str
    maximum: int
    minimum: int = 6_000
    step: int = 1_000
    phases: Literal[1, 2, 3] = 3
    rotation: Rotation | None = None
    current: Literal["AC", "DC"] = "AC"
    efficiency: int = 950
    tenant: str | None = None


class SiteTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole site. `voltage_mv` is from phase to neutral: power is counted with it."""

    nodes: tuple[Node, ...]
    evses: tuple[Evse, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    voltage_mv: int = 230_000
