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

    def draw_ac(self, offered_ma: int, phases: int, *, least_ma: int = ...) -> tuple[int, ...]:
        """Current per phase in mA out of the offer per phase; empty: none."""
        ...

    def draw_dc(self, max_w: int, max_ma: int, max_mv: int) -> tuple[int, int] | None:
        """(mV, mA), or None."""
        ...

    def take(self, energy_uj: int, *, dc: bool) -> None: ...

    @property
    def evccid(self) -> str:
        """How it names itself by ISO 15118-20; empty: it does not speak it."""
        ...

    @property
    def can_give(self) -> bool:
        """There is energy in it that it would give back."""
        ...

    def most_given(self, *, dc: bool) -> int:
        """mW that it can give back; 0: none, it is no bidirectional car."""
        ...

    def give_ac(self, asked_mw: int, phases: int) -> tuple[int, ...]:
        """Current per phase in mA that it gives back; empty: none."""
        ...

    def give_dc(self, asked_mw: int, max_ma: int) -> tuple[int, int] | None:
        """(mV, mA) that it gives back, or None."""
        ...

    def give(self, energy_uj: int, *, dc: bool) -> None: ...

    def until_change(self, power_mw: int, *, dc: bool) -> int | None: ...


class Files(Protocol):
    """The way to files elsewhere, and to the ones that the station offers itself."""

    def fetch(self, url: str, done: Callable[[bytes | None], None]) -> None:
        """Get a whole file; `done` is called once, later, with None when it cannot be had."""
        ...

    def leave(self, url: str, name: str, data: bytes, done: Callable[[bool], None]) -> None:
        """Leave a whole file there; `done` is called once, later, with whether it was taken."""
        ...

    def publish(self, name: str, data: bytes) -> Sequence[str]:
        """Offer a file; where it can be had, by every protocol there is (L03.FR.03, .04). Empty: it cannot."""
        ...

    def withdraw(self, name: str) -> bool:
        """Offer it no longer; False while somebody is fetching it."""
        ...
