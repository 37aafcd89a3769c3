"""The energy meter of one EVSE: exact integration of a piecewise constant power.

AC: power is the sum over the phases of voltage × current. DC: the meter sits at the outlet. Energy is counted in µJ
(mW × ms), and the registers show whole Wh of it, cut, as real meters do. What comes back from the car is negative
power, and counted in a register of its own.
"""

from __future__ import annotations

from random import Random
from typing import Literal

MICROJOULES_PER_WH = 3_600_000_000

NOMINAL_MV = 230_000
_LINE_MICROOHM = 120_000  # 0.12 Ω from transformer to station: 32 A sag by 3.8 V
_DRIFT_MV = 400
_DRIFT_LIMIT_MV = 4_000


class Meter:
    """`energy_uj` (to the car) and `export_uj` (from it) since the meter was made; neither ever goes back."""

    measures = withheld = preparing = False
    shows: Literal["all", "energy", "nothing"] = "all"
    """It is simulated: see `ports.EnergyMeter`."""
    __slots__ = ("_drift", "_since", "currents", "energy_uj", "export_uj", "power_mw", "supply_mv", "volts")

    def __init__(self, energy_uj: int, now: int, export_uj: int = 0) -> None:
        self.energy_uj = energy_uj
        self.export_uj = export_uj
        self.power_mw = 0
        self.supply_mv = NOMINAL_MV
        """What the grid gives where nothing is drawn."""
        self.currents: tuple[int, ...] = ()
        """mA per phase (AC), or the one of the outlet (DC); negative: from the car."""
        self.volts: tuple[int, ...] = ()
        """mV per phase or of the outlet, at the terminals."""
        self._drift = [0, 0, 0]
        self._since = now

    @property
    def register_wh(self) -> int:
        """Energy.Active.Import.Register."""
        return self.energy_uj // MICROJOULES_PER_WH

    @property
    def export_wh(self) -> int:
        """Energy.Active.Export.Register."""
        return self.export_uj // MICROJOULES_PER_WH

    def advance(self, now: int) -> int:
        """Integrate up to `now` (true time, ms); returns the energy since, in µJ, negative from the car."""
        elapsed = now - self._since
        if elapsed <= 0:
            return 0
        self._since = now
        energy = self.power_mw * elapsed
        if energy >= 0:
            self.energy_uj += energy
        else:
            self.export_uj -= energy
        return energy

    def wander(self, random: Random) -> None:
        """Let the grid's voltage move a little, within ±4 V of nominal."""
        self._drift = [
            max(-_DRIFT_LIMIT_MV, min(_DRIFT_LIMIT_MV, drift + random.randint(-_DRIFT_MV, _DRIFT_MV)))
            for drift in self._drift
        ]

    def load_ac(self, currents: tuple[int, ...], phases: int) -> None:
        """From now on these currents (mA) flow; advance first."""
        self.currents = currents + (0,) * (phases - len(currents))
        self.volts = tuple(
            self.supply_mv + drift - current * _LINE_MICROOHM // 1_000_000
            for current, drift in zip(self.currents, self._drift, strict=False)
        )
        self.power_mw = sum(v * i for v, i in zip(self.volts, self.currents, strict=True)) // 1000

    def load_dc(self, millivolts: int, milliamperes: int) -> None:
        """From now on this voltage and current; advance first."""
        self.volts = (millivolts,)
        self.currents = (milliamperes,)
        self.power_mw = millivolts * milliamperes // 1000
