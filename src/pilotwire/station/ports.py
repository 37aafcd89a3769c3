"""What the station needs of the world outside: a car on the cable, files to fetch and to offer.

The rest are `core.time`, `core.ids` and `transport`.

Apps never import one another, so the car is known here by what it can do; `pilotwire.vehicle.car.Vehicle` fits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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


class Files(Protocol):
    """The way to files elsewhere, and to the ones that the station offers itself."""

    def fetch(self, url: str, done: Callable[[bytes | None], None]) -> None:
        """Get a whole file; `done` is called once, later, with None when it cannot be had."""
        ...

    def publish(self, name: str, data: bytes) -> Sequence[str]:
        """Offer a file; where it can be had, by every protocol there is (L03.FR.03, .04). Empty: it cannot."""
        ...

    def withdraw(self, name: str) -> bool:
        """Offer it no longer; False while somebody is fetching it."""
        ...
