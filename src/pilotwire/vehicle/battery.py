"""A traction battery, as far as a charging station can feel it.

Energy is counted in µJ (power in mW × time in ms), so that integration over whole milliseconds is exact; 1 Wh is
3.6 × 10⁹ µJ. Nothing is ever rounded away: what does not become charge is counted as loss.
"""

from __future__ import annotations

from pilotwire.core.errors import LocalError

MICROJOULES_PER_WH = 3_600_000_000
"""mW · ms in one Wh."""


class Battery:
    """`capacity_uj` and `stored_uj`, both µJ; SoC is derived, in 0.1 %."""

    __slots__ = ("capacity_uj", "stored_uj")

    def __init__(self, capacity_wh: int, soc: int) -> None:
        """`soc` in 0.1 %, 0 to 1000. Raises LocalError outside."""
        if capacity_wh <= 0 or not 0 <= soc <= 1000:
            raise LocalError(f"a battery of {capacity_wh} Wh at {soc} ‰ cannot be")
        self.capacity_uj = capacity_wh * MICROJOULES_PER_WH
        self.stored_uj = self.level_uj(soc)

    @property
    def soc(self) -> int:
        """State of charge in 0.1 %, cut."""
        return self.stored_uj * 1000 // self.capacity_uj

    def level_uj(self, soc: int) -> int:
        """The smallest stored energy at which `soc` (0.1 %) is shown."""
        return -(-self.capacity_uj * soc // 1000)

    def store(self, energy_uj: int) -> int:
        """Store as much of `energy_uj` as still fits; returns what was stored."""
        stored = min(energy_uj, self.capacity_uj - self.stored_uj)
        self.stored_uj += stored
        return stored

    def release(self, energy_uj: int) -> int:
        """Give up as much of `energy_uj` as there is; returns what was given up."""
        released = min(energy_uj, self.stored_uj)
        self.stored_uj -= released
        return released
