"""Drivers: who comes to an EVSE, when, with which car, and when they leave.

One `Bay` per EVSE. Cars are honest (their batteries take what they take); what makes a demo lively is only how much
energy the drivers ask for and how full the batteries are when they arrive. All randomness is the injected generator's.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import msgspec

from pilotwire.core.time import Scheduler, Timer
from pilotwire.station.ports import Car
from pilotwire.station.program import Station
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE, CarKind

from .links import LinkedCarAtEvse

_LOOK_MS = 5_000
_PATIENCE = 4
"""How often a driver tries a card before driving away."""


class Traffic(msgspec.Struct, frozen=True, kw_only=True):
    """How busy the bays are. Pairs are (least, most); times in seconds, energies in Wh, SoC in 0.1 %."""

    gap_s: tuple[int, int] = (20, 150)
    """From one car's leaving to the next one's coming."""
    linger_s: tuple[int, int] = (5, 60)
    """From the end of charging to unplugging."""
    stay_s: tuple[int, int] = (300, 900)
    """A driver who has charged for so long leaves, whatever the battery says."""
    ac_ask_wh: tuple[int, int] = (600, 3_000)
    dc_ask_wh: tuple[int, int] = (5_000, 22_000)
    soc: tuple[int, int] = (150, 780)
    nearly_full: int = 15
    """Of 100 cars so many come nearly full, so that their taper is seen."""
    busy_at_start: int = 70
    """Of 100 bays so many have a car when the world begins."""


class Bay:
    """One EVSE and its drivers."""

    __slots__ = (
        "_dc",
        "_evse",
        "_kinds",
        "_link",
        "_links",
        "_random",
        "_scheduler",
        "_station",
        "_timer",
        "_tokens",
        "_traffic",
        "_until",
        "_vehicle",
        "cars",
    )

    def __init__(
        self,
        station: Station,
        evse: int,
        scheduler: Scheduler,
        random: Random,
        tokens: Sequence[str],
        traffic: Traffic,
        links: Sequence[str] = (),
    ) -> None:
        """`links`: by which of them the cars talk (names of `links.LINKS`); empty: they and the station just know."""
        self._station = station
        self._evse = evse
        self._scheduler = scheduler
        self._random = random
        self._tokens = tokens
        self._traffic = traffic
        config = station.config.evses[evse - 1]
        self._dc = config.dc
        self._kinds = [kind for kind in CATALOGUE.values() if _fits(kind, dc=config.dc, max_mv=config.max_mv)]
        self._links = links
        self._link: LinkedCarAtEvse | None = None
        self._vehicle: Vehicle | None = None
        self._timer: Timer | None = None
        self._until = 0
        self.cars = 0
        """How many have come."""

    def open(self) -> None:
        """The first car comes at once, or after a gap."""
        if self._random.randrange(100) < self._traffic.busy_at_start:
            self._later(self._random.randint(50, 900), self._arrive)
        else:
            self._later(self._random.randint(0, self._traffic.gap_s[1] * 1000), self._arrive)

    def close(self) -> None:
        """Nobody comes any more; who is here stays."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _later(self, delay_ms: int, then: object) -> None:
        def due() -> None:
            self._timer = None
            then()  # type: ignore[operator]

        self._timer = self._scheduler.call_later(delay_ms, due)

    def _arrive(self) -> None:
        random, traffic = self._random, self._traffic
        evse = self._station.evse(self._evse)
        if evse.car is not None or evse.fault or not evse.available or not self._station.powered:
            self._later(_LOOK_MS, self._arrive)
            return
        kind = random.choice(self._kinds)
        ask = random.randint(*(traffic.dc_ask_wh if self._dc else traffic.ac_ask_wh))
        if random.randrange(100) < traffic.nearly_full:
            soc = random.randint(820, 930) if self._dc else random.randint(955, 985)
        else:
            soc = random.randint(*traffic.soc)
        vehicle = Vehicle(kind, soc, max_taken_wh=ask)
        self.cars += 1
        self._vehicle = vehicle
        car = self._plug(vehicle)
        token = random.choice(self._tokens) if self._tokens else ""
        self._later(random.randint(300, 1_500), lambda: self._authorize(car, token, _PATIENCE))

    def _plug(self, vehicle: Vehicle) -> Car:
        """The plug goes in; returns what the station feels there."""
        if not self._links:
            self._station.plug(self._evse, vehicle)
            return vehicle
        name = self._random.choice(self._links)
        if name.startswith("iso20"):
            vehicle.evccid = f"ZZPWR{self._random.randrange(10**9):09d}X"
        link = LinkedCarAtEvse(self._station, self._evse, vehicle, name, self._scheduler, random=self._random.randbytes)
        link.plug()
        self._link = link
        assert link.plugged is not None
        return link.plugged.car

    def _authorize(self, car: Car, token: str, tries: int) -> None:
        """Show the card once the station is ready; try again, or go. Without one, wait to be started from elsewhere."""
        evse = self._station.evse(self._evse)
        if evse.car is not car:
            self._later(self._gap(), self._arrive)
        elif evse.session is not None and evse.session.authorized:
            self._until = int(self._scheduler.now()) + self._random.randint(*self._traffic.stay_s) * 1000
            self._watch(car, token)
        elif not token:
            self._later(_LOOK_MS // 5, lambda: self._authorize(car, token, tries))
        elif not tries:
            self._leave(car)
        elif not self._station.online and tries == _PATIENCE:
            # The display says that the station is starting up: wait a moment before the first try.
            self._later(400, lambda: self._authorize(car, token, tries - 1 if self._random.random() < 0.02 else tries))
        else:
            self._station.tap(self._evse, token)
            self._later(2_500, lambda: self._authorize(car, token, tries - 1))

    def _watch(self, car: Car, token: str) -> None:
        evse = self._station.evse(self._evse)
        if evse.car is not car:
            self._later(self._gap(), self._arrive)
        elif evse.session is None or not evse.session.authorized:
            # Stopped by the central system or by a fault: the driver comes back for the car.
            self._later(self._linger(), lambda: self._leave(car))
        elif self._scheduler.now() >= self._until:
            self._finish(car, token)
        elif self._vehicle is None or not self._vehicle.wants_energy:
            self._later(self._linger(), lambda: self._finish(car, token))
        else:
            self._later(_LOOK_MS, lambda: self._watch(car, token))

    def _finish(self, car: Car, token: str) -> None:
        """Most drivers stop with their card, some just pull the cable."""
        evse = self._station.evse(self._evse)
        if token and evse.session is not None and self._random.randrange(100) < 65:
            self._station.tap(self._evse, token)
            self._later(self._random.randint(1_500, 6_000), lambda: self._leave(car))
        else:
            self._leave(car)

    def _leave(self, car: Car) -> None:
        link, self._link = self._link, None
        if link is not None:
            link.pull()
        elif self._station.evse(self._evse).car is car:
            self._station.leave(self._evse)
        self._later(self._gap(), self._arrive)

    def _gap(self) -> int:
        return self._random.randint(self._traffic.gap_s[0] * 1000, self._traffic.gap_s[1] * 1000)

    def _linger(self) -> int:
        return self._random.randint(self._traffic.linger_s[0] * 1000, self._traffic.linger_s[1] * 1000)


def _fits(kind: CarKind, *, dc: bool, max_mv: int) -> bool:
    return kind.dc_max_ma > 0 and kind.pack_full_mv <= max_mv if dc else kind.capacity_wh < 200_000
