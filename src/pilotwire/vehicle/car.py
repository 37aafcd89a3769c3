"""A car at a station: what it draws of what it is offered, and what becomes of the energy.

The model is piecewise constant. Given an offer it draws a fixed current until its battery has moved to the next whole
percent (or to where it stops); `until_change` says when that is, so nobody needs to tick. Time is handed in as energy.
"""

from __future__ import annotations

from typing import NamedTuple

from .battery import Battery
from .catalogue import CarKind

MIN_AC_MA = 6_000
"""IEC 61851-1: below 6 A there is no duty cycle that offers current."""

_STEP = 10  # 1 % of SoC: how often a car asks for something else
_AC_TAPER_FROM = 970
_AC_TAPER_FLOOR = 150  # 0.1 % of the onboard charger's power at 100 %


class DcDraw(NamedTuple):
    """What the car asks of a DC outlet."""

    mv: int
    ma: int


class Vehicle:
    """One car. `taken_uj` = what the battery gained + `lost_uj`, to the µJ, always.

    `target_soc` (0.1 %): where it stops charging. `max_taken_wh`: stop after so much energy at the inlet (None: never).
    """

    __slots__ = (
        "_initial_uj",
        "_remainder",
        "battery",
        "kind",
        "lost_uj",
        "max_taken_uj",
        "paused",
        "taken_uj",
        "target_uj",
    )

    def __init__(self, kind: CarKind, soc: int, *, target_soc: int = 1000, max_taken_wh: int | None = None) -> None:
        self.kind = kind
        self.battery = Battery(kind.capacity_wh, soc)
        self.target_uj = self.battery.level_uj(target_soc)
        self.max_taken_uj = None if max_taken_wh is None else max_taken_wh * 3_600_000_000
        self.taken_uj = 0
        self.lost_uj = 0
        self.paused = False
        """The driver (or a timer in the car) has put charging off."""
        self._initial_uj = self.battery.stored_uj
        self._remainder = 0

    @property
    def soc(self) -> int:
        """0.1 %."""
        return self.battery.soc

    @property
    def ac_phases(self) -> int:
        """Of the onboard charger."""
        return self.kind.ac_phases

    @property
    def gained_uj(self) -> int:
        return self.battery.stored_uj - self._initial_uj

    @property
    def wants_energy(self) -> bool:
        return (
            not self.paused
            and self.battery.stored_uj < self.target_uj
            and (self.max_taken_uj is None or self.taken_uj < self.max_taken_uj)
        )

    def draw_ac(self, offered_ma: int, phases: int, volts_mv: int = 230_000) -> tuple[int, ...]:
        """Current per phase (mA) out of an offer per phase. Empty when it draws nothing.

        `phases` is what the station and cable connect; `volts_mv` to turn the battery's taper into a current.
        """
        if offered_ma < MIN_AC_MA or not self.wants_energy:
            return ()
        used = min(phases, self.kind.ac_phases)
        current = min(offered_ma, self.kind.ac_max_ma)
        soc = self._step_soc()
        if soc > _AC_TAPER_FROM:
            share = 1000 - (1000 - _AC_TAPER_FLOOR) * (soc - _AC_TAPER_FROM) // (1000 - _AC_TAPER_FROM)
            full_mw = self.kind.ac_max_ma * self.kind.ac_phases * 230
            current = min(current, max(MIN_AC_MA, full_mw * share // used // volts_mv))
        return (current,) * used

    def draw_dc(self, max_w: int, max_ma: int, max_mv: int) -> DcDraw | None:
        """Voltage and current out of what a DC outlet can give; None when it draws nothing."""
        if not self.kind.dc_curve or not self.wants_energy:
            return None
        soc = self._step_soc()
        pack_mv = self.kind.pack_empty_mv + (self.kind.pack_full_mv - self.kind.pack_empty_mv) * soc // 1000
        if pack_mv > max_mv:
            return None
        watts = min(max_w, curve_at(self.kind.dc_curve, soc))
        current = min(watts * 1_000_000 // pack_mv, max_ma, self.kind.dc_max_ma)
        return DcDraw(pack_mv, current) if current > 0 else None

    def take(self, energy_uj: int, *, dc: bool) -> None:
        """`energy_uj` has come through the inlet."""
        self.taken_uj += energy_uj
        efficiency = self.kind.dc_efficiency if dc else self.kind.ac_efficiency
        gain, self._remainder = divmod(energy_uj * efficiency + self._remainder, 1000)
        self.battery.store(gain)
        self.lost_uj = self.taken_uj - self.gained_uj

    def until_change(self, power_mw: int, *, dc: bool) -> int | None:
        """Milliseconds at `power_mw` until the car may draw something else; None if it draws nothing."""
        if power_mw <= 0 or not self.wants_energy:
            return None
        next_step = self.battery.level_uj(min(1000, (self.battery.soc // _STEP + 1) * _STEP))
        wanted = min(next_step, self.target_uj) - self.battery.stored_uj
        efficiency = self.kind.dc_efficiency if dc else self.kind.ac_efficiency
        at_inlet = -(-wanted * 1000 // efficiency)
        if self.max_taken_uj is not None:
            at_inlet = min(at_inlet, self.max_taken_uj - self.taken_uj)
        return max(1, -(-at_inlet // power_mw))

    def _step_soc(self) -> int:
        return self.battery.soc // _STEP * _STEP


def curve_at(curve: tuple[tuple[int, int], ...], soc: int) -> int:
    """The curve's W at `soc` (0.1 %), linear between its points, flat beyond its ends."""
    previous_soc, previous_w = curve[0]
    for point_soc, point_w in curve:
        if soc <= point_soc:
            if point_soc == previous_soc:
                return point_w
            return previous_w + (point_w - previous_w) * (soc - previous_soc) // (point_soc - previous_soc)
        previous_soc, previous_w = point_soc, point_w
    return previous_w
