"""What a tick of `steer` leaves to the next. All of it can be stored and taken up again after a restart (`resumed`)."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.domain.energy import Moment

EnergyQuality = Literal["register", "integrated", "assumed"]


class Tracker(msgspec.Struct, frozen=True):
    """Energy that flowed into a node, in mW·ms (µJ) since some beginning: see `registers`."""

    total_uj: int = 0
    known_uj: int = 0
    """Of that, what has been measured: `total_uj` also has what was assumed."""
    utc_ms: int | None = None
    """Up to when it has been counted."""
    tick_ms: int = 0
    power_mw: int | None = None
    power_at_ms: int | None = None
    register_wh: int | None = None
    register_at_ms: int = 0
    edge_wh: int | None = None
    """The register when it was last seen to step (or first read); at that moment the total was `edge_uj`."""
    edge_uj: int = 0
    edge_known_uj: int = 0
    anchored: bool = False
    """Whether it has been seen to step."""
    step_wh: int | None = None
    """The smallest step that has been seen."""
    away_ms: int = 0
    """For how long we were away since the register was read."""


class WindowSummary(msgspec.Struct, frozen=True):
    """A window that is over. Times are UTC, `peak_mw` is its mean power; `billed_mw` that with the hours' weight.

    `causes`: mean power by EVSE, `side` for what flows beside, and by battery, so that one can see who did it.
    `known_wh`: what of `energy_wh` was measured, not assumed.
    """

    id: str
    node: str
    from_ms: int
    until_ms: int
    energy_wh: int
    known_wh: int
    peak_mw: int
    billed_mw: int
    target_mw: int
    overshoot_mw: int
    quality: EnergyQuality
    causes: Mapping[str, int]


_CAUSES: Mapping[str, int] = {}


class WindowState(msgspec.Struct, frozen=True):
    """A running window: where the tracker stood when it began, and what has been told."""

    from_ms: int
    until_ms: int
    start_uj: int
    start_known_uj: int
    target_mw: int
    quality: EnergyQuality = "register"
    limit_mw: int | None = None
    causes: Mapping[str, int] = _CAUSES
    """mW·ms by who took them."""


class Month(msgspec.Struct, frozen=True):
    """The highest billed window of a month of the local calendar (`key` 202601), and of each of its days."""

    key: int
    peak_mw: int = 0
    days: tuple[tuple[int, int], ...] = ()


class DemandState(msgspec.Struct, frozen=True):
    """Of one demand window contract; `months` are the last thirteen, the running one last."""

    tracker: Tracker = Tracker()
    window: WindowState | None = None
    months: tuple[Month, ...] = ()


class SurplusCar(msgspec.Struct, frozen=True):
    """Of a car that follows the surplus. `phases_since_ms`: since when other conductors have been called for.

    `idle_ms`: since when it has drawn nothing though it is on.
    """

    on: bool = False
    phases: Literal[1, 3] | None = None
    phases_since_ms: int | None = None
    idle_ms: int | None = None


_CARS: Mapping[str, SurplusCar] = {}


class SurplusState(msgspec.Struct, frozen=True):
    """`given_mw` is what the pool was told; it rises to `low_mw`, the least seen since `low_since_ms`.

    `short_ms`: since when the minimum of those that are on has not been there; `enough_ms`: since when there has been
    the minimum of one more. `changed_ms`: the last decision.
    """

    cars: Mapping[str, SurplusCar] = _CARS
    changed_ms: int | None = None
    short_ms: int | None = None
    enough_ms: int | None = None
    given_mw: int = 0
    low_mw: int | None = None
    low_since_ms: int = 0
    tried_ms: int | None = None
    """When a car was last started to see whether a throttled inverter has more."""


class BatteryState(msgspec.Struct, frozen=True):
    """`told_mw` at `told_ms`. `astray_ms`: since when it gives less than it was told; None while it follows."""

    told_mw: int = 0
    told_ms: int | None = None
    astray_ms: int | None = None
    turned_ms: int | None = None
    """When it last stopped charging or discharging."""
    before: Literal[-1, 0, 1] = 0
    """What it did before that."""


class InverterState(msgspec.Struct, frozen=True):
    """What limit it was told; None is none."""

    limit_mw: int | None = None
    free_since_ms: int | None = None


class Intervention(msgspec.Struct, frozen=True):
    """An order of telecontrol that was carried out: from when to when (UTC), by whom, and what it did.

    `before_mw` is what the controllable devices (or the node) drew when it came, `after_mw` what they drew last under
    it, `highest_mw` the most since they have had `SETTLE_MS` to follow.
    """

    id: str
    source: str
    kind: str
    node: str
    limit_mw: int
    from_ms: int
    until_ms: int | None
    before_mw: int | None
    after_mw: int | None = None
    highest_mw: int | None = None


_LESS: Mapping[str, int] = {}
_DEMANDS: Mapping[str, DemandState] = {}
_BATTERIES: Mapping[str, BatteryState] = {}
_INVERTERS: Mapping[str, InverterState] = {}
_INTERVENTIONS: Mapping[str, Intervention] = {}


class SteeringState(msgspec.Struct, frozen=True):
    """By id of the configuration. Empty at the first start.

    `less_ms` by EVSE: since when its car has drawn noticeably less than it was offered.
    """

    demands: Mapping[str, DemandState] = _DEMANDS
    surplus: SurplusState = SurplusState()
    batteries: Mapping[str, BatteryState] = _BATTERIES
    inverters: Mapping[str, InverterState] = _INVERTERS
    interventions: Mapping[str, Intervention] = _INTERVENTIONS
    less_ms: Mapping[str, int] = _LESS
    at: Moment | None = None
