"""The times that conversations with power modules keep."""

from __future__ import annotations

from pilotwire.core.timers import TimerRule

_INFY = "InfyPower V1.13"
_UUGREEN = "UUGreenPower UR1000X0"
_ALL = "Power modules"

SILENCE = TimerRule(
    name="module silence",
    protocol=_INFY,
    side="evse",
    ms=10_000,
    clause="V1.13: a module that hears nothing from the controller turns off",
    then="the module turns its output off by itself",
)
OFFLINE = TimerRule(
    name="module offline",
    protocol=_ALL,
    side="evse",
    ms=15_000,
    clause="longer than the module's own 10 s, or current would flow that no one counts with",
    then="the module is given up: it has turned itself off by now, and others may take its share",
)
MODE_LEAVE = TimerRule(
    name="off before the voltage mode changes",
    protocol=_UUGREEN,
    side="evse",
    ms=2_000,
    clause="EVerest, UUGreenPower_UR1000X0: modes change only while off",
    then="the new mode is set",
    least=True,
)
MODE_ENTER = TimerRule(
    name="off after the voltage mode has changed",
    protocol=_UUGREEN,
    side="evse",
    ms=2_000,
    clause="EVerest, UUGreenPower_UR1000X0",
    then="the module may be turned on again",
    least=True,
)
REPEAT = TimerRule(
    name="commands repeated",
    protocol=_ALL,
    side="evse",
    ms=500,
    clause="ours: a lost frame is made good before anyone suffers from it",
    then="voltage, current and on/off are sent again",
)

TIMERS = (SILENCE, OFFLINE, MODE_LEAVE, MODE_ENTER, REPEAT)

POLL_MS = 250
"""Voltage and current of every module: 4 Hz, as EVerest's power_supply_DC recommends."""
SLICES = 5
"""A poll of all modules of a bus is spread over so many steps, that no burst blocks commands."""
SLOW_POLLS = 4
"""Alarms and the rest are asked for with every fourth poll of a module."""
