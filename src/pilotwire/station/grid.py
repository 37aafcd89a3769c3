"""The grid at the station's terminals and the building's meter, as tests and simulations set them.

`station.grid.set(...)` is what the world does; the station measures it at once and acts on it (2.1 Q08, Q09, R).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.domain.der.model import Grid

if TYPE_CHECKING:
    from .program import Station

_NOMINAL_MV = 230_000


class GridConnection:
    """What the station measures of the world that feeds it."""

    __slots__ = ("_station", "load_mw", "now")

    def __init__(self, station: Station) -> None:
        self._station = station
        self.now = Grid()
        """Frequency and voltage."""
        self.load_mw = 0
        """What the building takes beside the station; negative: it gives (solar panels)."""

    def set(self, *, mhz: int | None = None, volts: int | None = None, load_mw: int | None = None) -> None:
        """Frequency in mHz, voltage in thousandths of a percent of the nominal one, load of the building in mW."""
        station = self._station
        before = self.now
        self.now = Grid(before.mhz if mhz is None else mhz, before.volts if volts is None else volts)
        self.load_mw = self.load_mw if load_mw is None else load_mw
        for evse in station.evses:
            evse.settle(int(station.scheduler.now()))
            evse.meter.supply_mv = _NOMINAL_MV * self.now.volts // 100_000
        if station.powered:
            station.der.measured()
            for evse in station.evses:
                if evse.session is not None and not evse.session.ending:
                    station.energy.refresh(evse)
            station.finish()

    def upstream_mw(self, without: int) -> int:
        """What the building's meter shows, but for EVSE `without`."""
        return self.load_mw + sum(evse.meter.power_mw for evse in self._station.evses if evse.id != without)
