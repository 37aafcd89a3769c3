"""What is agreed and installed at a site: contracts, batteries, inverters, loads, and the rules to steer them by.

Power is mW, energy Wh, time ms, states of charge and shares per mille, prices millionths of the currency per kWh; all
integers. Import into the site is positive, a battery that charges is positive.
"""

from typing import Literal

import msgspec

from pilotwire.domain.energy import Limit, SiteTree


class Span(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Hours of the local day. `weekdays` 0 is Monday, none means every day; `months` 1 to 12, none means all.

    `until_minute` at or before `from_minute` goes past midnight; the day is the one on which the span begins.
    """

    from_minute: int = 0
    until_minute: int = 1_440
    weekdays: tuple[int, ...] = ()
    months: tuple[int, ...] = ()


class Weight(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """In these hours only a part of the power is billed (Swedish night: 500 per mille)."""

    span: Span
    permille: int


class DemandWindow(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A contract that bills the mean power of windows of `minutes`, aligned to the local clock of `zone`.

    `billing`: the month's highest window; the mean of twelve monthly peaks (Flanders); the mean of the three highest
    windows of the month on different days (Norway), with `steps_mw` if the price goes by steps of that mean.
    `hard`: never above `contracted_mw`; otherwise the month's peak so far may be used again (`ratchet`), and what the
    plan says is worth its price. `reserve_mw` is by how much side loads may rise in the time that cars need to give
    way, `react_ms`. `worst_mw` is the most that can flow at all and is assumed where nothing else is known;
    `side_lost_mw` is taken for the side loads while the meter is lost.
    """

    id: str
    node: str
    worst_mw: int
    side_lost_mw: int
    minutes: Literal[15, 30, 60] = 15
    zone: str = "Europe/Brussels"
    contracted_mw: int = 0
    floor_mw: int = 0
    hard: bool = False
    ratchet: bool = True
    billing: Literal["month_peak", "mean_12", "top_3_days"] = "month_peak"
    weights: tuple[Weight, ...] = ()
    steps_mw: tuple[int, ...] = ()
    reserve_mw: int = 0
    react_ms: int = 10_000
    burst_permille: int = 1_500


class ScheduledLimit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Static load management by the local clock: `limit` at `node` within `span`."""

    node: str
    limit: Limit
    span: Span = Span()
    zone: str = "Europe/Brussels"


class Contracted(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Power that has been bought at a node. Hard: never more. Otherwise more only where the plan says it pays."""

    node: str
    power_mw: int
    hard: bool = True


class Rate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A price of a time-of-use table; the first whose span holds counts."""

    import_micro: int
    span: Span = Span()
    export_micro: int = 0


class Surplus(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How cars share what would be exported at `node`, as the pool `pool`.

    A car starts when its minimum has been there for `enable_ms`, and stops when it has been missing for `disable_ms`;
    no other decision is made within `grace_ms` of one, nor conductors switched. `residual_mw` is what is to be
    exported still. `balance` "phase": the meter does not balance over phases, so each phase has a surplus of its own.

    Batteries, by their state of charge: below `priority_permille` they come before cars, from there on cars come
    first; from `buffer_permille` they keep a car going when the sun is away, from `buffer_start_permille` they start
    one. A car with battery boost takes what they give, down to `boost_permille`. `lock`: they do not discharge into
    cars that charge at full power.
    """

    node: str
    pool: str = "pv"
    residual_mw: int = 0
    enable_ms: int = 60_000
    disable_ms: int = 180_000
    grace_ms: int = 60_000
    rise_ms: int = 10_000
    balance: Literal["sum", "phase"] = "sum"
    priority_permille: int = 0
    buffer_permille: int = 1_000
    buffer_start_permille: int = 1_000
    boost_permille: int = 200
    lock: bool = True
    probe_mw: int = 1_500_000


class Battery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stationary battery. `discharge_mw` is positive.

    It is never discharged below `backup_permille`; between that and `peak_permille` only to keep a limit. `efficiency`
    is one way. `base`: what it does when no limit needs it: keep the exchange with the grid at zero, or nothing.
    `follow_ms` is how long it may take to follow; a battery that has not is not counted on. `grid_charge`: whether it
    may refill its reserve from the grid.
    """

    id: str
    node: str
    capacity_wh: int
    charge_mw: int
    discharge_mw: int
    backup_permille: int = 0
    peak_permille: int = 0
    full_permille: int = 1_000
    efficiency: int = 950
    ramp_mw_s: int = 1_000_000_000
    follow_ms: int = 5_000
    base: Literal["self", "idle"] = "self"
    grid_charge: bool = False
    dead_mw: int = 100_000
    dwell_ms: int = 20_000


class Inverter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A generator. A limit that it is given lapses after `revert_ms` and is told again before that."""

    id: str
    node: str
    nominal_mw: int
    controllable: bool = True
    revert_ms: int = 60_000


class FeedIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be exported at a node: `share_permille` of the installed power below it, or `limit_mw`; 0 is none.

    Below `curtail_below` (of the export price) nothing is exported.
    """

    node: str
    share_permille: int | None = None
    limit_mw: int | None = None
    curtail_below: int | None = None


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Another load that can be told: `nominal_mw` at most, dimmed to `dimmed_mw`, in whole steps of `step_mw`.

    `surplus`: it may use what is left of the surplus after cars and batteries, from `minimum_mw`.
    """

    id: str
    node: str
    nominal_mw: int
    kind: Literal["heat_pump", "hvac", "other"] = "other"
    minimum_mw: int = 0
    step_mw: int = 1_000
    surplus: bool = False


class Steuve(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The controllable devices of § 14a EnWG behind one connection: ids of EVSEs, batteries and loads.

    `control` "ems": the operator's minimum for all of them together, which we share out. "direct": each by itself.
    """

    node: str
    devices: tuple[str, ...]
    control: Literal["ems", "direct"] = "ems"


class Config(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Everything about the site that does not change from tick to tick. `zone` is that of the time-of-use table."""

    tree: SiteTree
    windows: tuple[DemandWindow, ...] = ()
    schedules: tuple[ScheduledLimit, ...] = ()
    contracts: tuple[Contracted, ...] = ()
    rates: tuple[Rate, ...] = ()
    zone: str = "Europe/Brussels"
    surplus: Surplus | None = None
    batteries: tuple[Battery, ...] = ()
    inverters: tuple[Inverter, ...] = ()
    feed_in: tuple[FeedIn, ...] = ()
    loads: tuple[Load, ...] = ()
    steuve: tuple[Steuve, ...] = ()
    stale_ms: int = 11_000
    """A reading older than this is lost."""
