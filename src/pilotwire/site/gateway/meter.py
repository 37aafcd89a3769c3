"""The meter of a real charger as the station reads it, and the car as far as the charger feels it."""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from random import Random

from pilotwire.site.ports import EvseStatus, shown

from .counter import CounterRules, CounterState, Noticed, look
from .ports import Shows

__all__ = ["MeasuredCar", "RegisterMeter"]

_UJ_PER_WH = 3_600_000_000
_FLOWS_MA = 500
_FLOWS_MW = 115_000
"""Below that a car draws nothing that counts: its electronics."""


class RegisterMeter:
    """Fits `pilotwire.station.ports.EnergyMeter`. `drawn` is called when the station has changed its offer."""

    measures = True

    def __init__(self, rules: CounterRules, register: str, drawn: Callable[[], None]) -> None:
        self.supply_mv = 230_000
        self.counter = CounterState()
        self.reachable = False
        self.withheld = False
        """Somebody else at the site holds the charger back."""
        self.preparing = True
        """The charger was not told until just now that it may give something."""
        self.power_mw = 0
        self.currents: tuple[int, ...] = ()
        self.volts: tuple[int, ...] = ()
        self.phases = 0
        self._rules = rules
        self._register = register
        self._drawn = drawn
        self._past: int | None = None
        self._told_uj = 0
        self._power_uj = 0
        self._power_ms: int | None = None

    @property
    def shows(self) -> Shows:
        if self._past is not None:
            return "energy"
        return "all" if self.reachable else "nothing"

    @property
    def register_wh(self) -> int:
        return self.counter.total_wh if self._past is None else self._past

    @property
    def export_wh(self) -> int:
        return 0

    @property
    def energy_uj(self) -> int:
        return self.register_wh * _UJ_PER_WH

    @property
    def export_uj(self) -> int:
        return 0

    @property
    def flows(self) -> bool:
        """Energy flows into the car."""
        return max(self.currents, default=0) > _FLOWS_MA or self.power_mw > _FLOWS_MW

    @contextmanager
    def looking_back(self, register_wh: int) -> Generator[None]:
        """It shows what it showed at an earlier moment."""
        self._past = register_wh
        try:
            yield
        finally:
            self._past = None

    def sample(self, status: EvseStatus, now: int) -> Noticed:
        """What the charger says now; what was noticed about its register."""
        self.reachable = status.online
        if not status.online:
            self._power_ms = None
            return ""
        amps = [shown(status.points, f"current_l{n}_ma") for n in (1, 2, 3)]
        volts = [shown(status.points, f"voltage_l{n}_mv") for n in (1, 2, 3)]
        power = shown(status.points, "power_mw")
        self.currents = tuple(each for each in amps if each is not None)
        self.volts = tuple(each for each in volts if each is not None)
        if power is None:
            power = sum((ma or 0) * (mv or self.supply_mv) for ma, mv in zip(amps, volts, strict=True)) // 1000
        if not self.currents and (one := shown(status.points, "current_ma")) is not None:
            self.currents = (one,)
        self.power_mw = power
        self.phases = sum(1 for each in self.currents if each > _FLOWS_MA)
        wh = self._reading(status, now)
        if wh is None:
            return ""
        self.counter, noticed = look(self._rules, self.counter, wh, now, power)
        return noticed

    def _reading(self, status: EvseStatus, now: int) -> int | None:
        if self._register in ("auto", "energy"):
            value = status.points.get("energy_import_wh")
            if value is not None or self._register == "energy":
                self._register = "energy"
                return value.value if value is not None and value.quality == "good" else None
        if self._register in ("auto", "session"):
            value = status.points.get("session_wh")
            if value is not None or self._register == "session":
                return value.value if value is not None and value.quality == "good" else None
        if self._power_ms is None:
            self._power_uj = self.counter.total_wh * _UJ_PER_WH
        else:
            self._power_uj += max(0, self.power_mw) * max(0, now - self._power_ms)
        self._power_ms = now
        return self._power_uj // _UJ_PER_WH - self.counter.offset_wh

    def advance(self, now: int) -> int:
        """Energy since the last call; the register has been read when the charger was polled."""
        energy, self._told_uj = self.energy_uj - self._told_uj, self.energy_uj
        return max(0, energy)

    def wander(self, random: Random) -> None:
        """The grid's voltage is measured."""

    def load_ac(self, currents: tuple[int, ...], phases: int) -> None:
        """The station has looked at its limits."""
        self._drawn()

    def load_dc(self, millivolts: int, milliamperes: int) -> None:
        """The station has looked at its limits."""
        self._drawn()


class MeasuredCar:
    """Fits `pilotwire.station.ports.Car`: it draws what the charger's meter says that it draws."""

    evccid = ""
    can_give = False

    def __init__(self, meter: RegisterMeter, phases: int) -> None:
        self._meter = meter
        self._phases = phases
        self.soc = 0
        self.soc_known = False

    @property
    def told(self) -> bool:
        """Whether it has said what it can take."""
        return self.soc_known

    @property
    def ac_phases(self) -> int:
        """Those that it uses now, as they are measured; before that all that the outlet has."""
        return self._meter.phases or self._phases

    def draw_ac(self, offered_ma: int, phases: int, *, least_ma: int = 6_000) -> tuple[int, ...]:
        """Current per phase that is measured, whatever is offered."""
        if not self._meter.flows:
            return ()
        return self._meter.currents or (self._meter.power_mw * 1000 // (self._meter.supply_mv * phases),) * phases

    def draw_dc(self, max_w: int, max_ma: int, max_mv: int) -> tuple[int, int] | None:
        """Voltage and current that are measured."""
        if not self._meter.flows:
            return None
        volts = self._meter.volts[0] if self._meter.volts else 400_000
        return volts, self._meter.currents[0] if self._meter.currents else self._meter.power_mw * 1000 // volts

    def take(self, energy_uj: int, *, dc: bool) -> None:
        """It has it already."""

    def most_given(self, *, dc: bool) -> int:
        """Nothing."""
        return 0

    def give_ac(self, asked_mw: int, phases: int) -> tuple[int, ...]:
        """Nothing."""
        return ()

    def give_dc(self, asked_mw: int, max_ma: int) -> tuple[int, int] | None:
        """Nothing."""
        return None

    def give(self, energy_uj: int, *, dc: bool) -> None:
        """It gives nothing."""

    def until_change(self, power_mw: int, *, dc: bool) -> int | None:
        """Nobody knows: the charger is polled."""
        return None
