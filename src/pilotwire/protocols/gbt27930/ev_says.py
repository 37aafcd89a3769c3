"""What a vehicle of GB/T 27930 says: the values of its messages, as the battery is at the moment."""

from __future__ import annotations

from typing import Any, Literal

from pilotwire.core.ev_link import (
    Drive,
    Flowing,
)
from pilotwire.core.evse_link import Offer

from .ev_config import EvConfig, Phase
from .fields import BMS, CHARGER, MOST_MA
from .line import Line
from .messages import V1_0, V1_1

MIN_MS = 60_000


class EvSays:
    """State, and what is told of it."""

    def __init__(self, config: EvConfig = EvConfig()) -> None:  # noqa: B008 - frozen
        self.config = config
        self.phase: Phase = "unplugged"
        self.line = Line(BMS, CHARGER, "evse", "2015" if config.edition != "2011" else "2011", config.transport)
        self.drive = Drive()
        self.closed = False
        """The inlet's contactors."""
        self._connected = self._powered = not config.pins
        self._started = False
        self._now = 0
        self._fresh()

    def _fresh(self) -> None:
        self._linked = self._asked = self._resting = False
        self._offer: Offer | None = None
        self._flowing: Flowing | None = None
        self._end: tuple[str, Literal["ev", "evse"], bool] | None = None

    def _brm(self) -> dict[str, Any]:
        config = self.config
        return {
            "version": V1_0 if self.line.edition == "2011" else V1_1,
            "battery": config.battery,
            "capacity": config.capacity_mah,
            "rated_voltage": config.rated_mv,
            "maker": config.maker or None,
            "vin": config.vin or None,
        }

    def _bcp(self) -> dict[str, Any]:
        drive = self.drive
        return {
            "max_cell_voltage": self.config.max_cell_mv,
            "max_current": min(MOST_MA, drive.max_ma),
            "capacity": drive.capacity_wh,
            "max_voltage": drive.max_mv,
            "max_temperature": self.config.max_celsius,
            "soc": max(0, min(1000, drive.soc)),
            "voltage": drive.present_mv,
        }

    def _bcl(self) -> dict[str, Any]:
        drive, offer = self.drive, self._offer or Offer()
        current = min(drive.target_ma, drive.max_ma, offer.max_ma) if self._wants else 0
        voltage = min(drive.target_mv, drive.max_mv, offer.max_mv or drive.max_mv)
        full = drive.target_mv >= drive.max_mv
        return {"voltage": voltage, "current": max(0, current), "mode": 1 if full else 2}

    @property
    def _wants(self) -> bool:
        return self.drive.ready and not self._resting

    def _bcs(self) -> dict[str, Any]:
        drive, flowing = self.drive, self._flowing or Flowing()
        remaining = drive.remaining_ms
        return {
            "voltage": drive.present_mv,
            "current": flowing.ma,
            "max_cell_voltage": max((mv for mv, _ in self.config.cells), default=None),
            "max_cell_group": 0,
            "soc": max(0, min(1000, drive.soc // 10 * 10)),
            "remaining": None if remaining is None else min(600, -(-remaining // MIN_MS)) * MIN_MS,
        }

    def _bsm(self) -> dict[str, Any]:
        temperatures = self.config.temperatures or (25,)
        hottest, coldest = max(temperatures), min(temperatures)
        cells = [mv for mv, _ in self.config.cells]
        return {
            "max_cell": cells.index(max(cells)) + 1 if cells else 1,
            "max_temperature": hottest,
            "max_temperature_point": temperatures.index(hottest) + 1,
            "min_temperature": coldest,
            "min_temperature_point": temperatures.index(coldest) + 1,
            "cell_voltage": 0,
            "soc": 0,
            "over_current": 0,
            "over_temperature": int(hottest > self.config.max_celsius),
            "insulation": 0,
            "connector": 0,
            "permitted": int(self._wants),
        }

    def _bsd(self) -> dict[str, Any]:
        temperatures = self.config.temperatures or (25,)
        cells = [mv for mv, _ in self.config.cells]
        return {
            "soc": max(0, min(1000, self.drive.soc // 10 * 10)),
            "min_cell_voltage": min(cells, default=None),
            "max_cell_voltage": max(cells, default=None),
            "min_temperature": min(temperatures),
            "max_temperature": max(temperatures),
        }
