"""What the station needs of the world outside: a car on the cable, files to fetch and to offer.

The rest are `core.time`, `core.ids` and `transport`.

Apps never import one another, so the car is known here by what it can do; `pilotwire.vehicle.car.Vehicle` fits.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from random import Random
from typing import Literal, NamedTuple, Protocol, runtime_checkable

from pilotwire.domain.schedules.model import Composite


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
    def told(self) -> bool:
        """It has said what it can take and give, as far as it ever does."""
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


class EnergyMeter(Protocol):
    """The energy meter of one EVSE. `station.meter.Meter` is simulated: what is loaded on it, it shows. A real one
    shows what it measures, whatever is loaded on it; `pilotwire.site.gateway.meter.RegisterMeter` fits."""

    supply_mv: int

    @property
    def measures(self) -> bool:
        """It is a real one."""
        ...

    @property
    def shows(self) -> Literal["all", "energy", "nothing"]:
        """What of it is a reading now: "energy" of a moment of which nothing else is known, "nothing" while it is out
        of reach and what it shows is old."""
        ...

    @property
    def withheld(self) -> bool:
        """Nothing flows because somebody else at the site wants it so."""
        ...

    @property
    def preparing(self) -> bool:
        """Nothing flows because it has been offered only just now."""
        ...

    @property
    def energy_uj(self) -> int: ...

    @property
    def export_uj(self) -> int: ...

    @property
    def power_mw(self) -> int: ...

    @property
    def currents(self) -> tuple[int, ...]:
        """mA per phase (AC), or the one of the outlet (DC); negative: from the car."""
        ...

    @property
    def volts(self) -> tuple[int, ...]: ...

    @property
    def register_wh(self) -> int: ...

    @property
    def export_wh(self) -> int: ...

    def advance(self, now: int) -> int:
        """Up to `now`; returns the energy since, in µJ, negative from the car."""
        ...

    def wander(self, random: Random) -> None: ...

    def load_ac(self, currents: tuple[int, ...], phases: int) -> None: ...

    def load_dc(self, millivolts: int, milliamperes: int) -> None: ...


class Outlets(Protocol):
    """The outlets of a real charger, that the station stands for."""

    def meter(self, evse_id: int) -> EnergyMeter: ...

    def unlock(self, evse_id: int, done: Callable[[bool], None]) -> None:
        """Open the lock of a connector whose cable is not fixed; `done` says, once, whether that has come about."""
        ...

    @property
    def restarts(self) -> bool:
        """The charger can be restarted from afar."""
        ...

    def reset(self) -> None:
        """The station is about to restart: so does the charger, if it can."""
        ...


@runtime_checkable
class Planner(Car, Protocol):
    """A car that plans how it charges (ISO 15118); `pilotwire.vehicle.planner.PlanningVehicle` fits."""

    @property
    def energy_wh(self) -> int:
        """What it still needs."""
        ...

    @property
    def departure(self) -> int | None:
        """When it leaves, ms since the epoch; None: it does not say."""
        ...

    @property
    def tuples(self) -> int | None:
        """How many periods it can take in a schedule; None: it does not say."""
        ...

    @property
    def scheduled(self) -> bool:
        """It chooses and says how it will draw; else it leaves both to the station (ISO 15118-20, dynamic control)."""
        ...

    def plan(self, offers: Sequence[Composite]) -> tuple[int, Composite | None]:
        """Which of `offers` (in W) it takes, counted from 0, and how it will draw within that; None: as offered."""
        ...


@runtime_checkable
class Cartridge(Car, Protocol):
    """A battery in a slot of a swap station; `pilotwire.vehicle.cartridge.Cartridge` fits."""

    @property
    def serial(self) -> str: ...

    @property
    def soh(self) -> int:
        """State of health, 0.1 %."""
        ...

    @property
    def made(self) -> datetime | None:
        """When it was produced."""
        ...

    @property
    def vendor_info(self) -> str: ...


class Receipt(NamedTuple):
    """What became of a settlement."""

    status: str
    """Settled, Rejected or Failed (PaymentStatusEnumType)."""
    id: str = ""
    url: str = ""
    words: str = ""


class Terminal(Protocol):
    """A payment terminal with its own way to its payment service provider. What is handed in is called once, later."""

    def reserve(self, card: str, amount: Decimal, done: Callable[[str | None, Mapping[str, str]], None]) -> None:
        """Reserve `amount`: (pspRef, details by their additionalInfo type), or (None, {}) when the card is refused."""
        ...

    def increase(self, ref: str, more: Decimal, done: Callable[[bool], None]) -> None: ...

    def release(self, ref: str) -> None:
        """Nothing is taken."""
        ...

    def settle(self, ref: str, amount: Decimal, done: Callable[[Receipt], None]) -> None:
        """Take `amount`. After a loss of power it may be asked once more for the same `ref`: it is taken once."""
        ...


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


@runtime_checkable
class Trusting(Files, Protocol):
    """A way to files elsewhere that can be told whom to trust besides those that the system trusts."""

    def trust(self, roots: str) -> Files:
        """The same way, with these roots (PEM) too."""
        ...
