"""What a simulated site has beside its chargers: cars with batteries, sun on the roof, a battery, a building.

Behind the same seams as real devices (`ports`). Power is mW, import positive: what the sun gives is negative.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Literal

import msgspec

from pilotwire.core.time import Scheduler

from .ports import EvseStatus, Points, Told, Value
from .simulated import SimCharger

_HOUR_MS = 3_600_000


class CarCharger(SimCharger):
    """A charger whose cars say how full they are and when they leave: the scheduler's time is that of the day."""

    capacity_wh = 60_000
    first_permille = 300
    stay_ms = 4 * _HOUR_MS

    def come(self, draw: random.Random) -> None:
        """A car of some size, more or less empty, that can do one or three phases."""
        self.capacity_wh = draw.choice((28_000, 45_000, 60_000, 77_000))
        self.first_permille = draw.randint(150, 650)
        self.stay_ms = draw.randint(1, 8) * _HOUR_MS
        most = self.evse.maximum if draw.random() < 0.6 else max(self.evse.minimum, self.evse.maximum // 2)
        self.plug(most, draw.choice((1, 3, 3)))

    @property
    def soc(self) -> int:
        """In tenths of a percent."""
        return min(1_000, self.first_permille + self.energy_wh * 1_000 // self.capacity_wh)

    def status(self) -> EvseStatus:
        seen = super().status()
        if self.arrived_ms is None or not seen.online:
            return seen
        return msgspec.structs.replace(seen, soc=self.soc, departure_ms=self.arrived_ms + self.stay_ms)


class _Polled(ABC):
    """A device that is read once a second."""

    def __init__(self, id: str, scheduler: Scheduler) -> None:
        self.id = id
        self.link = True
        self._scheduler = scheduler
        self._points: dict[str, Value] = {}
        self._heard_ms: int | None = None
        scheduler.call_later(0, self._poll)

    @property
    def online(self) -> bool:
        return self._heard_ms is not None and int(self._scheduler.now()) - self._heard_ms <= 3_000

    def points(self) -> Points:
        return self._points

    def command(self, name: str, value: int, done: Callable[[Told], None]) -> None:
        """Carried out after a moment; what it does not know it refuses."""

        def arrive() -> None:
            if not self.link:
                self._scheduler.call_later(1_000, lambda: done(Told(False, "no answer within 1 s")))
            elif self.take(name, value):
                done(Told(True))
            else:
                done(Told(False, f"it has no point {name}"))

        self._scheduler.call_later(100, arrive)

    def _poll(self) -> None:
        self._scheduler.call_later(1_000, self._poll)
        now = int(self._scheduler.now())
        self.step(now)
        if self.link:
            self._heard_ms = now
            self._points = {name: Value(value, now) for name, value in self.read().items()}

    @abstractmethod
    def take(self, name: str, value: int) -> bool: ...

    @abstractmethod
    def step(self, now_ms: int) -> None: ...

    @abstractmethod
    def read(self) -> dict[str, int]: ...


class SimInverter(_Polled):
    """PV on the roof: clouds come and go, and it can be told to give less."""

    def __init__(self, id: str, scheduler: Scheduler, nominal_mw: int, draw: random.Random) -> None:
        self.nominal_mw, self.limit_mw, self._draw = nominal_mw, nominal_mw, draw
        self.sun_permille = self._to_permille = 550
        self._next_ms = 0
        super().__init__(id, scheduler)

    @property
    def power_mw(self) -> int:
        """Negative: it generates."""
        return -min(self.nominal_mw * self.sun_permille // 1_000, self.limit_mw)

    def take(self, name: str, value: int) -> bool:
        if name != "power_limit_mw":
            return False
        self.limit_mw = value
        return True

    def step(self, now_ms: int) -> None:
        if now_ms >= self._next_ms:
            self._to_permille = self._draw.randint(120, 920)
            self._next_ms = now_ms + self._draw.randint(20_000, 90_000)
        self.sun_permille += (self._to_permille - self.sun_permille) // 12 + self._draw.randint(-2, 2)
        self.sun_permille = max(0, min(1_000, self.sun_permille))

    def read(self) -> dict[str, int]:
        return {"power_mw": self.power_mw}


class SimBattery(_Polled):
    """A stationary battery that does what it is told, a little late, as far as it is neither full nor empty."""

    def __init__(
        self, id: str, scheduler: Scheduler, capacity_wh: int, most_mw: int, *, soc_permille: int = 620
    ) -> None:
        self.capacity_wh, self.most_mw = capacity_wh, most_mw
        self.setpoint_mw = self.power_mw = 0
        self._stored_mwms = soc_permille * capacity_wh * 3_600_000
        self._before_ms = int(scheduler.now())
        super().__init__(id, scheduler)

    @property
    def soc_permille(self) -> int:
        return max(0, min(1_000, self._stored_mwms // (self.capacity_wh * 3_600_000)))

    def take(self, name: str, value: int) -> bool:
        if name != "setpoint_mw":
            return False
        self.setpoint_mw = max(-self.most_mw, min(self.most_mw, value))
        return True

    def step(self, now_ms: int) -> None:
        self._stored_mwms += self.power_mw * (now_ms - self._before_ms)
        self._before_ms = now_ms
        stops = self.soc_permille >= 1_000 if self.setpoint_mw > 0 else self.soc_permille <= 0
        self.power_mw = 0 if stops else self.power_mw + (self.setpoint_mw - self.power_mw) // 2

    def read(self) -> dict[str, int]:
        return {"power_mw": self.power_mw, "soc_permille": self.soc_permille, "capacity_wh": self.capacity_wh}


Phase = Literal[0, 1, 2]


class Building:
    """What the house itself takes on each phase: never the same, never more than `most_ma`."""

    def __init__(self, most_ma: tuple[int, int, int], draw: random.Random) -> None:
        self.most_ma, self._draw = most_ma, draw
        self.phases_ma: tuple[int, int, int] = (most_ma[0] // 3, most_ma[1] // 3, most_ma[2] // 3)

    def step(self) -> None:
        """A second later."""
        self.phases_ma = (self._next(0), self._next(1), self._next(2))

    def _next(self, phase: Phase) -> int:
        most, now = self.most_ma[phase], self.phases_ma[phase]
        kick = self._draw.randint(-most // 4, most // 4) if self._draw.random() < 0.04 else 0
        drift = self._draw.randint(-most // 60 - 1, most // 60 + 1)
        return max(most // 10, min(most * 9 // 10, now + drift + kick))
