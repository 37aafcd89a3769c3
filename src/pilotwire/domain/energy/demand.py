"""What comes into a tick: who wants to charge, what has been measured, what has been signalled, and the house rules."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from .model import Limit, Phases

Order = Literal["equal", "priority", "first_come", "lowest_soc", "earliest_departure", "least_laxity"]


class Moment(msgspec.Struct, frozen=True):
    """Now: `tick_ms` of a clock that never jumps, for everything that lasts; `utc_ms` for what the calendar says."""

    tick_ms: int
    utc_ms: int


class Demand(msgspec.Struct, frozen=True):
    """A car that would charge, or a load that would run: `evse` is its id then. Who has none gets 0.

    `phases`: how many conductors the car uses (AC); it starts at the EVSE's L1. `maximum` and `minimum` are of the car
    or its cable, in the EVSE's unit (AC mA, DC mW), and narrow the EVSE's own. `guaranteed` in the same unit comes
    before anybody gets more than that. `energy_wh` is what it still needs until `departure_ms` (UTC).

    Where the EVSE can be switched to one phase `phases` stays what the car uses on three; `connected` is how many the
    EVSE confirms now, and `prefers` what whoever plans would rather have: 1 keeps it there, 3 need not wait for room to
    last.

    `pool` names a budget that several cars share wherever they are, such as a surplus of PV; how much is in it comes
    with `Signals.pools`. What is guaranteed does not count against it.
    """

    evse: str
    phases: Literal[1, 2, 3] = 3
    maximum: int | None = None
    minimum: int = 0
    guaranteed: int = 0
    priority: int = 0
    arrived_ms: int = 0
    soc: int | None = None
    energy_wh: int | None = None
    departure_ms: int | None = None
    pool: str | None = None
    connected: Literal[1, 2, 3] | None = None
    prefers: Literal[1, 3] | None = None


class Reading(msgspec.Struct, frozen=True):
    """Currents measured on the grid's L1, L2, L3 at `at_ms` (of the tick's clock)."""

    phases_ma: Phases
    at_ms: int
    grid: bool = False
    """Of an EVSE: whether its currents are known to be in this order, whatever its rotation is."""


class Lost(msgspec.Struct, frozen=True):
    """An EVSE that is not heard, or does not answer.

    `since_ms`: when it was last certain to have taken a command or a keep-alive; None: never. `possible`: what it may
    be drawing, in its unit, where whoever commands it knows that better than the allocation.
    """

    since_ms: int | None = None
    possible: int | None = None


_NONE: Mapping[str, Reading] = {}
_HEARD: Mapping[str, Lost] = {}
_NO_LIMITS: Mapping[str, tuple[Limit, ...]] = {}


class Signals(msgspec.Struct, frozen=True):
    """`meters` by node: all that flows through it. `limits` by node. `draws` by EVSE, load or
    resource: what it draws from the grid; of the first two only the highest of the three figures counts.

    `pools` by name: what the cars of a pool may take together beyond what is guaranteed to each. A pool that has no
    limit of current or power in force gives nothing.

    `lost` by EVSE: it gets no share; what it may be drawing is kept free for it at every node above.
    """

    meters: Mapping[str, Reading] = _NONE
    draws: Mapping[str, Reading] = _NONE
    limits: Mapping[str, tuple[Limit, ...]] = _NO_LIMITS
    pools: Mapping[str, tuple[Limit, ...]] = _NO_LIMITS
    lost: Mapping[str, Lost] = _HEARD


class Policy(msgspec.Struct, frozen=True):
    """The house rules.

    `order` says who comes first. "equal": nobody, all share max-min fair. "priority": higher `Demand.priority` first,
    fair among equals. The others: by priority, and among equals who came first, who has the lowest state of charge,
    who leaves first, who has the least time to spare. States of charge and times are compared in grains, so that two
    cars that are nearly equal share instead of taking turns each second.

    Where not everybody's minimum fits, a car that was let in keeps its place for `hold_ms` and gives way to those who
    wait after `rotate_ms`.
    """

    order: Order = "equal"
    rotate_ms: int = 900_000
    hold_ms: int = 120_000
    soc_grain: int = 50
    time_grain_ms: int = 900_000
    stale_ms: int = 11_000
    """A reading older than this is lost."""
    noise_ma: int = 2_000
    """By so much the side loads of a phase may change while a car's current does (see `rotation`)."""
