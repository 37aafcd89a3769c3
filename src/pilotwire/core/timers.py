"""The timers of standards as data: each one is exercised just inside and just outside of its limit by the tests.

Every protocol with timers has a module `timers` with a tuple `TIMERS`; its machines read their limits from there and
from nowhere else, so that the table in `docs/guide/timers.md` is the code.
"""

from __future__ import annotations

from typing import Literal

import msgspec


class TimerRule(msgspec.Struct, frozen=True, kw_only=True):
    """One timer."""

    name: str
    """As the standard calls it; unique within its protocol."""
    protocol: str
    """DIN 70121, ISO 15118-2, ISO 15118-3, ISO 15118-20, IEC 61851-1, CHAdeMO, GB/T 27930-2015, ..."""
    side: Literal["ev", "evse"]
    """Who watches it."""
    ms: int
    clause: str
    """Where the standard says so; empty: a figure of the field, and `then` says whose."""
    then: str
    """What happens when it runs out, in our words."""
    least: bool = False
    """Something must not happen sooner, rather than not later."""
