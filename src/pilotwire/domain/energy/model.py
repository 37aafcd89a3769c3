"""A site as its operator describes it: a tree of nodes with limits, and the EVSEs below them."""

from typing import Literal

import msgspec

Phases = tuple[int, int, int]
"""One figure for each of L1, L2, L3 of the grid, in mA."""

Unit = Literal["mA", "mW"]
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


class Switching(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How an EVSE goes from three phases to one and back.

    `pause_ms` without current before its relay may move, `relay_ms` until it surely has where nobody confirms it.
    It goes back to three phases when these have had room for its minimum and `up_ma` more on each, and for `up_mw`
    more than it has on one, for `up_ms`; never sooner than `up_ms` after the last change. It falls to one phase no
    sooner than `down_ms` after it. `most` changes in one session; the last of them is to one phase.
    """

    pause_ms: int = 5_000
    relay_ms: int = 5_000
    up_ma: int = 1_000
    up_mw: int = 200_000
    up_ms: int = 600_000
    down_ms: int = 60_000
    most: int = 10


class Evse(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An EVSE. AC: figures are mA per phase. DC: figures are mW at the vehicle, drawn from three phases.

    `failsafe`, in its unit, is what it falls back to by itself when it has not been told anything for `watchdog_ms`.
    Without one it may do anything up to `maximum` then; without a watchdog it keeps what it was told last.

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
    failsafe: int | None = None
    watchdog_ms: int | None = None
    switching: Switching | None = None
    """None: it always has `phases`."""

    @property
    def unit(self) -> Unit:
        """Of its set-points."""
        return "mW" if self.current == "DC" else "mA"


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A heat pump, an air conditioner, a boiler: something else that can be told how much it may take. In mW.

    Dimmable: 0 or multiples of `step` from `minimum` to `maximum`. With `levels`: 0 or one of these, ascending; one
    level is on and off, three are those of a heat pump with contacts. `floor` comes before every car and every share,
    as §14a EnWG wants it for 4.2 kW; only what carries the load comes before that. Once on it stays on for `min_on_ms`
    if there is any room for it, and once off it stays off for `min_off_ms`.

    `rotation` as of an EVSE. `failsafe`: the most that it takes when nobody tells it anything; None: `maximum`.
    """

    id: str
    node: str
    maximum: int
    minimum: int = 0
    step: int = 100_000
    levels: tuple[int, ...] = ()
    floor: int = 0
    min_on_ms: int = 0
    min_off_ms: int = 0
    phases: Literal[1, 2, 3] = 3
    rotation: Rotation | None = None
    tenant: str | None = None
    failsafe: int | None = None
    watchdog_ms: int | None = None

    @property
    def unit(self) -> Unit:
        """Of its set-points."""
        return "mW"


Member = Evse | Load
"""What the allocation gives a share to."""


class Resource(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A battery or a generator: nothing is shared out to it here, but what it draws flows through all nodes above it.

    What it really draws comes with `Signals.draws`, feeding in negative. Below a meter that is a part of what the meter
    shows; without a meter it counts by itself, with `lost_ma` where nothing says what it draws. `feeds_ma` is the most
    that it can feed in: a meter above that shows more than that coming back is not to be believed.
    """

    id: str
    node: str
    kind: Literal["battery", "generator"]
    lost_ma: Phases = (0, 0, 0)
    feeds_ma: Phases = (0, 0, 0)


class SiteTree(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole site. `voltage_mv` is from phase to neutral: power is counted with it."""

    nodes: tuple[Node, ...]
    evses: tuple[Evse, ...] = ()
    tenants: tuple[Tenant, ...] = ()
    loads: tuple[Load, ...] = ()
    resources: tuple[Resource, ...] = ()
    voltage_mv: int = 230_000
