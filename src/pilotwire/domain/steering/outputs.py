"""What comes out of a tick of `steer`."""

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.domain.energy import Demand, Limit

from .reasons import Reason
from .state import Intervention, SteeringState, WindowSummary


class BatterySetPoint(msgspec.Struct, frozen=True):
    """Charging positive; 0 for one that has not been heard of."""

    id: str
    power_mw: int


class InverterLimit(msgspec.Struct, frozen=True):
    """The most that it may generate (positive), to be told again within `valid_ms`; None: no limit, released."""

    id: str
    limit_mw: int | None
    valid_ms: int


class LoadLimit(msgspec.Struct, frozen=True):
    """`limit_mw` at most (None: no limit); `surplus_mw` is what it may take beyond its need."""

    id: str
    limit_mw: int | None
    surplus_mw: int = 0


class WindowView(msgspec.Struct, frozen=True):
    """A running demand window as people want to see it."""

    id: str
    node: str
    from_ms: int
    until_ms: int
    energy_wh: int
    target_mw: int
    limit_mw: int
    forecast_mw: int
    """The mean that the window will end with if nothing changes."""
    peak_mw: int
    quality: Literal["register", "integrated", "assumed"]


class Steering(msgspec.Struct, frozen=True):
    """`limits` by node and `pools` by pool, for `Signals`; `demands` for `allocate`; the rest for the devices.

    `phases` by EVSE: how many conductors a car that can be switched had better use now; where the tree's EVSE has a
    `switching`, the demand `prefers` that and the allocation does it. `closed` are windows, `ended`
    interventions that are over since the last tick.
    """

    demands: tuple[Demand, ...]
    limits: Mapping[str, tuple[Limit, ...]]
    pools: Mapping[str, tuple[Limit, ...]]
    phases: Mapping[str, Literal[1, 3]]
    batteries: tuple[BatterySetPoint, ...]
    inverters: tuple[InverterLimit, ...]
    loads: tuple[LoadLimit, ...]
    windows: tuple[WindowView, ...]
    closed: tuple[WindowSummary, ...]
    ended: tuple[Intervention, ...]
    reasons: tuple[Reason, ...]
    state: SteeringState
