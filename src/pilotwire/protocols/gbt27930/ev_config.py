"""One vehicle of GB/T 27930, and its phases."""

from __future__ import annotations

from typing import Literal

import msgspec

from pilotwire.protocols.j1939 import Limits as TransportLimits

Phase = Literal[
    "unplugged", "unpowered", "handshake", "identify", "configure", "ready", "charging", "stopping", "statistics",
    "error", "opening", "ended",
]  # fmt: skip


class EvConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One vehicle."""

    vin: str = ""
    battery: int = 6
    """Kind of cells (SPN 2566): 3 lithium iron phosphate, 6 ternary, ..."""
    capacity_mah: int = 150_000
    rated_mv: int = 380_000
    maker: str = ""
    max_cell_mv: int = 4_200
    max_celsius: int = 55
    cells: tuple[tuple[int, int], ...] = ()
    """(mV, group) of cells, for BMV; empty: it is not sent."""
    temperatures: tuple[int, ...] = ()
    """Degrees, for BMT and BSM; empty: BMT is not sent."""
    reserved: bytes = b""
    """For BSP; empty: it is not sent."""
    pins: bool = True
    """Detection point 2 and the charger's supply are told by `Cc2` and `Supply`; False: they are taken as there."""
    edition: Literal["auto", "2011", "2015"] = "auto"
    """What it speaks: auto is 2015, and 2011 with chargers of 2011; "2011" does not know CHM."""
    transport: TransportLimits = TransportLimits()
