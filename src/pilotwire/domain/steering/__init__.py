"""Steering a site: contracts, sun, batteries, prices and telecontrol become limits, pools, shaped demands and orders.

Pure functions of integers: what comes in says all, what comes out can be replayed. `pilotwire.domain.energy.allocate`
always comes afterwards and holds the hard limits on every phase, so nothing here can overload anything.

    site = prepare(Config(tree=tree, windows=(...), surplus=Surplus(node="grid"), batteries=(...)))
    found = steer(site, wishes, measured, External(), plan, SteeringState(), Moment(tick_ms=0, utc_ms=...))
    allocate(site.topology, policy, found.demands, Signals(meters, draws, found.limits, found.pools), state, now)
"""

from .config import (
    Battery,
    Config,
    Contracted,
    DemandWindow,
    FeedIn,
    Inverter,
    Load,
    Rate,
    ScheduledLimit,
    Span,
    Steuve,
    Surplus,
    Weight,
)
from .inputs import (
    Car,
    Cell,
    Control,
    Course,
    Entered,
    External,
    Measured,
    Meter,
    Mode,
    Ordered,
    Plan,
    Power,
    Price,
    Slot,
    Wish,
)
from .outputs import BatterySetPoint, InverterLimit, LoadLimit, Steering, WindowView
from .reasons import Reason
from .site import Site, prepare, steering_faults
from .state import Intervention, Month, SteeringState, WindowSummary
from .steer import resumed, steer, untouched

__all__ = [
    "Battery",
    "BatterySetPoint",
    "Car",
    "Cell",
    "Config",
    "Contracted",
    "Control",
    "Course",
    "DemandWindow",
    "Entered",
    "External",
    "FeedIn",
    "Intervention",
    "Inverter",
    "InverterLimit",
    "Load",
    "LoadLimit",
    "Measured",
    "Meter",
    "Mode",
    "Month",
    "Ordered",
    "Plan",
    "Power",
    "Price",
    "Rate",
    "Reason",
    "ScheduledLimit",
    "Site",
    "Slot",
    "Span",
    "Steering",
    "SteeringState",
    "Steuve",
    "Surplus",
    "Weight",
    "WindowSummary",
    "WindowView",
    "Wish",
    "prepare",
    "resumed",
    "steer",
    "steering_faults",
    "untouched",
]
