"""A battery that is swapped, not driven up to a cable: what a slot of a swap station charges."""

from __future__ import annotations

from datetime import datetime

from .car import Vehicle
from .catalogue import CarKind

LIGHT = CarKind(
    name="battery cartridge 1.5 kWh",
    capacity_wh=1_500,
    ac_phases=1,
    ac_max_ma=6_000,
    dc_curve=((0, 1_500), (800, 1_500), (1000, 1_000)),
    dc_max_ma=40_000,
    pack_empty_mv=42_000,
    pack_full_mv=54_000,
    dc_discharge_w=1_000,
)
"""Of a scooter or a small delivery vehicle."""


class Cartridge(Vehicle):
    """One battery. `soh` in 0.1 %."""

    __slots__ = ("made", "serial", "soh", "vendor_info")

    def __init__(
        self,
        serial: str,
        soc: int,
        *,
        soh: int = 1000,
        kind: CarKind = LIGHT,
        made: datetime | None = None,
        vendor_info: str = "",
    ) -> None:
        super().__init__(kind, soc)
        self.serial = serial
        self.soh = soh
        self.made = made
        self.vendor_info = vendor_info
