"""What a plan says."""

from __future__ import annotations

from typing import Literal

import msgspec

Status = Literal["optimal", "fallback"]
Code = Literal["gone", "time", "limit", "quota", "pool", "window", "price", "shared"]


class Shortfall(msgspec.Struct, frozen=True):
    """Why a car will not get all that it needs: the one thing that keeps most of it back.

    gone           it has left, or its time is over
    time           it cannot take so much in the time that it has
    limit, quota   `what` (L1, L2, L3, power …) of `place`, by the limit of `source`
    pool           the shared budget `place` is used up
    window         a demand window's target or peak
    price          its energy is worth less than it costs
    shared         others came first where it was short (only in a fallback plan)
    """

    code: Code
    place: str = ""
    what: str = ""
    source: str = ""


class CarPlan(msgspec.Struct, frozen=True):
    """Of one need. `targets` by step: 0 or from the minimum to the maximum, in the EVSE's unit.

    `free` by step: 1 where taking more than the target costs nothing, so that the loop may give what is left over.
    `energy_wh` is what it gets by this plan, never more than it needs.
    """

    evse: str
    unit: Literal["mA", "mW"]
    phases: int
    targets: tuple[int, ...]
    free: tuple[int, ...]
    energy_wh: int
    unmet_wh: int
    shortfall: Shortfall | None = None


class BatteryPlan(msgspec.Struct, frozen=True):
    """`set_points_mw` by step, positive charges; `levels_wh` at the end of each step."""

    id: str
    set_points_mw: tuple[int, ...]
    levels_wh: tuple[int, ...]


class WindowPlan(msgspec.Struct, frozen=True):
    """One demand window as it is expected: what is imported in it, with what has been already."""

    window: int
    """Which of the problem's windows."""
    from_ms: int
    until_ms: int
    energy_wh: int
    average_mw: int
    """Of the whole window; weighted as its tariff weights it."""
    target_mw: int | None
    excess_wh: int


class Plan(msgspec.Struct, frozen=True):
    """Step `k` runs from `starts_ms + k × step_ms`; the first one has begun before `now_ms`, see `horizon`.

    `grid_mw` is the expected net power at the connection by step, `curtailed_mw` what generators are to be cut down
    by. `cost_micro` is energy and new peaks, without the wear of batteries. `status` "fallback": the optimiser gave no
    plan, `why` says so; then cars are planned by least laxity under the same limits, and batteries rest.
    """

    now_ms: int
    starts_ms: int
    step_ms: int
    steps: int
    cars: tuple[CarPlan, ...]
    batteries: tuple[BatteryPlan, ...]
    windows: tuple[WindowPlan, ...]
    grid_mw: tuple[int, ...]
    curtailed_mw: tuple[int, ...]
    peaks_mw: tuple[int, ...]
    """Of each of the problem's windows: the highest average, the incumbent's included."""
    cost_micro: int
    status: Status
    why: str = ""
    iterations: int = 0
