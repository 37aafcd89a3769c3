"""What a plan is made of: needs, what is expected, forecasts, batteries, prices, demand windows. All of it integers.

Forecasts and prices are by step, see `horizon`; one that is shorter than the plan goes on with its last value, an empty
one is 0. Import is positive: what a load takes, what a battery charges; PV is negative. Money is in millionths of the
currency ("micro"): 0.30 € per kWh is 300_000.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.domain.energy import Limit, Topology
from pilotwire.domain.energy.model import Phases


class Need(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A car that is there or expected: `energy_wh` between `arrival_ms` (None: it is there) and `departure_ms`.

    Energy is counted at the EVSE's outlet. `minimum` and `maximum` are the car's, in the EVSE's unit (AC mA per phase,
    DC mW), and narrow the EVSE's own. `worth_micro` is what a kWh is worth that it gets in time; None is
    `Options.worth_micro`, times 1 + priority (at most 10). A worth below the import price lets it charge only when it
    is cheap. The energy that it needs is not exceeded. Without a departure it stays for the whole plan.
    """

    evse: str
    energy_wh: int
    departure_ms: int | None = None
    arrival_ms: int | None = None
    phases: Literal[1, 2, 3] = 3
    minimum: int = 0
    maximum: int | None = None
    priority: int = 0
    worth_micro: int | None = None
    pool: str | None = None


class Expected(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Charging that is likely though its car is not there yet: see `arrivals`, which learns it from days gone by.

    `energy_wh` at outlets below `node`, between `arrival_ms` and `departure_ms`, at no more than `power_mw` from the
    grid, evenly on three phases. It may be a part of a car, or a part of many: the plan keeps room for it, so that who
    is there now is charged before others come, and says nothing about it. `worth_micro` as in `Need`.
    """

    node: str
    energy_wh: int
    arrival_ms: int
    departure_ms: int
    power_mw: int
    worth_micro: int | None = None


class Load(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What flows at `node` beside EVSEs and planned batteries: mA on each phase by step, negative where it feeds in.

    `curtailable`: what it feeds in may be cut down (an inverter that takes set-points).
    """

    id: str
    node: str
    phases_ma: tuple[Phases, ...]
    curtailable: bool = False


class Battery(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A stationary battery on three phases. Powers are at its terminals; `efficiency` is per mille for each way.

    `wear_micro` for each kWh discharged. `end_worth_micro` is what a kWh left at the end is worth; None: the mean
    import price times the efficiency, so that it neither hoards nor empties itself at a flat price.
    """

    id: str
    node: str
    level_wh: int
    capacity_wh: int
    charge_mw: int
    discharge_mw: int
    reserve_wh: int = 0
    efficiency: int = 970
    wear_micro: int = 10_000
    end_worth_micro: int | None = None


class Window(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Demand windows of `minutes` at the connection, on the clock (UTC, moved by `offset_ms`): import only.

    `target_mw`: the average that is not to be exceeded; what goes above costs `excess_micro` per kWh, by default more
    than any car's energy is worth. `peak_micro` is the charge for each kW of the highest average of the period,
    `incumbent_mw` the highest until now, which is paid for already; from `resets_ms` on a new period counts from
    `floor_mw`. `so_far_wh` has been imported in the window that is running. `weights` (per mille, by step) are for
    tariffs in which the night counts less.
    """

    minutes: int = 15
    offset_ms: int = 0
    target_mw: int | None = None
    excess_micro: int = 50_000_000
    peak_micro: int = 0
    incumbent_mw: int = 0
    floor_mw: int = 0
    resets_ms: int | None = None
    so_far_wh: int = 0
    weights: tuple[int, ...] = ()


class Prices(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Per kWh at the connection, by step: what import costs and what export brings. Both may be negative."""

    import_micro: tuple[int, ...] = ()
    export_micro: tuple[int, ...] = ()


class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How it is planned. The order of what matters follows from the prices: limits are never for sale.

    `early_micro`: what an hour of delay of a kWh costs. A trifle, as here, makes equal steps be used from the first on,
    and lets cars wait for any price that is lower. What waits is at risk, though: others may come, a driver may leave
    sooner. A hundredth of `worth_micro` puts energy before its price, as a site wants it that is short of power.
    `change_micro`: what each kWh costs that is planned otherwise than before, so that plans do not jump.
    `iterations` and `seconds` end the search; the first does so the same way each time, the second is the last resort.
    """

    steps: int = 96
    step_ms: int = 900_000
    worth_micro: int = 5_000_000
    early_micro: int = 500
    change_micro: int = 2_000
    iterations: int = 200_000
    seconds: int = 20


_NO_LIMITS: Mapping[str, tuple[Limit, ...]] = {}
_NO_POOLS: Mapping[str, tuple[int, ...]] = {}


class Problem(msgspec.Struct, frozen=True):
    """All of it. `limits` by node are signalled ones beside the tree's own; `pools_mw` are shared budgets by step.

    `feed_in_mw`: the most that may be exported at the connection; None is no limit.
    """

    topology: Topology
    now_ms: int
    needs: tuple[Need, ...] = ()
    loads: tuple[Load, ...] = ()
    batteries: tuple[Battery, ...] = ()
    prices: Prices = Prices()
    windows: tuple[Window, ...] = ()
    limits: Mapping[str, tuple[Limit, ...]] = _NO_LIMITS
    pools_mw: Mapping[str, tuple[int, ...]] = _NO_POOLS
    feed_in_mw: int | None = None
    options: Options = Options()
    expected: tuple[Expected, ...] = ()
