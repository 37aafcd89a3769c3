"""One charger of GB/T 27930, and its phases."""

from __future__ import annotations

from typing import Literal

import msgspec

from pilotwire.protocols.j1939 import Limits as TransportLimits

from . import timers as t

Phase = Literal[
    "unplugged", "locking", "handshake", "insulation", "identify", "recognised", "configure", "prepare", "ready",
    "charging", "stopping", "statistics", "error", "closing", "ended",
]  # fmt: skip
TALKING = ("recognised", "configure", "prepare", "ready", "charging")
"""Phases in which the vehicle listens to CST."""
OFF_RULES = (t.CURRENT, t.UNPLUGGED, t.OPENED, t.VOLTAGE)
"""Timers of the output going off, which run on whatever happens."""


class EvseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One charger."""

    charger: int = 1
    """Its number (CRM, CSD)."""
    region: str = ""
    """Of the station, in ASCII (CRM)."""
    edition: Literal["auto", "2011", "2015"] = "auto"
    max_mv: int | None = None
    """What it can do at most (CML); None: the offer of the moment. What is offered later bounds the output all the
    same, but CML is told only once."""
    min_mv: int = 200_000
    max_ma: int | None = None
    min_ma: int = 0
    clip_current: bool = False
    """A vehicle that asks for more current than CML allows gets what is allowed; else it is an error and charging
    stops. More voltage is always one."""
    authorize_first: bool = False
    """The vehicle's supply is switched on only when charging is authorised; else the vehicle is asked for its VIN
    before, and has to be authorised within 55 s."""
    utc_offset_ms: int = 8 * 3_600_000
    """Of the local time that CTS tells."""
    transport: TransportLimits = TransportLimits()
