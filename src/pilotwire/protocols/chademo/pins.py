"""The wires of a CHAdeMO plug beside CAN, as units of the carrier: what each end sees of the other.

    proximity  pin 7   the plug is in; seen by both
    d1         pin 2   charge sequence signal 1: the charger begins, and wakes the vehicle
    d2         pin 10  charge sequence signal 2: the charger is ready, the vehicle may close its contactors
    k          pin 4   the vehicle's charge permission

A machine sends a `Pin` when it switches one and is given a `Pin` when the other end has.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

PinName = Literal["proximity", "d1", "d2", "k"]


class Pin(NamedTuple):
    """One wire, and how it is now."""

    name: PinName
    on: bool
