"""The next day of a site: `plan(problem, previous) -> Plan`, which the one-second loop reads but never waits for.

    problem = Problem(topology=prepare(tree), now_ms=..., needs=(Need(...), ...), prices=Prices(...), ...)
    made = plan(problem, previous)          # heavy: beside the loop, in a thread or a process
    targets(made, topology, utc_ms, {...})  # light: each tick

What nobody has said yet is learned from the past: `expected` makes `Problem.expected` of visits gone by (`habits` keeps
them), `profile.forecast` makes `Problem.loads` of what a meter has seen.

HiGHS (`highspy`) and NumPy are loaded by the first plan, not by this import.
"""

from .arrivals import Visit, expected
from .courses import courses
from .horizon import Horizon, local_hours
from .model import Battery, Expected, Load, Need, Options, Prices, Problem, Window
from .planner import plan
from .reference import Target, battery_mw, step_at, targets
from .result import BatteryPlan, CarPlan, Plan, Shortfall, WindowPlan

__all__ = [
    "Battery",
    "BatteryPlan",
    "CarPlan",
    "Expected",
    "Horizon",
    "Load",
    "Need",
    "Options",
    "Plan",
    "Prices",
    "Problem",
    "Shortfall",
    "Target",
    "Visit",
    "Window",
    "WindowPlan",
    "battery_mw",
    "courses",
    "expected",
    "local_hours",
    "plan",
    "step_at",
    "targets",
]
