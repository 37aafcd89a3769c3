"""What the station needs of the world outside: a car on the cable. The rest are `core.time`, `core.ids`, `transport`.

Apps never import one another, so the car is known here by what it can do; `pilotwire.vehicle.car.Vehicle` fits.
"""

from __future__ import annotations

from typing import Protocol


class Car(Protocol):
    """A car as the control pilot and the meter feel it."""

    @property
    def soc(self) -> int:
        """0.1 %."""
        ...

    @property
    def ac_phases(self) -> int: ...

    def draw_ac(self, offered_ma: int, phases: int) -> tuple[int, ...]:
        """Current per phase in mA out of the offer per phase; empty: none."""
        ...

    def draw_dc(self, max_w: int, max_ma: int, max_mv: int) -> tuple[int, int] | None:
        """(mV, mA), or None."""
        ...

    def take(self, energy_uj: int, *, dc: bool) -> None: ...

    def until_change(self, power_mw: int, *, dc: bool) -> int | None: ...
