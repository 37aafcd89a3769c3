"""A car at a station: what it draws of what it is offered, what it gives back, and what becomes of the energy.

The model is piecewise constant. Given an offer it draws a fixed current until its battery has moved to the next whole
percent (or to where it stops); `until_change` says when that is, so nobody needs to tick. Time is handed in as energy.
"""

from __future__ import annotations

from typing import NamedTuple

from pilotwire.domain.interpolation import interpolate

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
    """One car. `taken_uj` - `given_uj` = what the battery gained + `lost_uj`, to the µJ, always.

    `target_soc` (0.1 %): where it stops charging. `max_taken_wh`: stop after so much energy at the inlet (None: never).
    `reserve_soc` (0.1 %): below that it gives nothing back.
    """

    __slots__ = (
        "_initial_uj",
        "_owed",
        "_remainder",
        "battery",
        "evccid",
        "given_uj",
        "kind",
        "lost_uj",
        "max_taken_uj",
        "paused",
        "reserve_uj",
        "taken_uj",
        "target_uj",
    )

    def __init__(
        self,
        kind: CarKind,
        soc: int,
        *,
        target_soc: int = 1000,
        max_taken_wh: int | None = None,
        reserve_soc: int = 200,
        evccid: str = "",
    ) -> None:
        self.kind = kind
        self.evccid = evccid
        """Its name by ISO 15118-20; empty: it does not speak it."""
        self.battery = Battery(kind.capacity_wh, soc)
        self.target_uj = self.battery.level_uj(target_soc)
        self.max_taken_uj = None if max_taken_wh is None else max_taken_wh * 3_600_000_000
        self.reserve_uj = self.battery.level_uj(reserve_soc)
        self.taken_uj = 0
        self.given_uj = 0
        self.lost_uj = 0
        self.paused = False
        """The driver (or a timer in the car) has put charging off."""
        self._initial_uj = self.battery.stored_uj
        self._remainder = 0
        self._owed = 0

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

    def draw_ac(
        self, offered_ma: int, phases: int, volts_mv: int = 230_000, *, least_ma: int = MIN_AC_MA
    ) -> tuple[int, ...]:
        """Current per phase (mA) out of an offer per phase. Empty when it draws nothing.

        `phases` is what the station and cable connect; `volts_mv` to turn the battery's taper into a current;
        `least_ma` is lower where the two talk (ISO 15118-20) and need no duty cycle.
        """
        if offered_ma < least_ma or not self.wants_energy:
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
        pack_mv = self.pack_mv
        if pack_mv > max_mv:
            return None
        watts = min(max_w, interpolate(self.kind.dc_curve, soc))
        current = min(watts * 1_000_000 // pack_mv, max_ma, self.kind.dc_max_ma)
        return DcDraw(pack_mv, current) if current > 0 else None

    def take(self, energy_uj: int, *, dc: bool) -> None:
        """`energy_uj` has come through the inlet."""
        self.taken_uj += energy_uj
        efficiency = self.kind.dc_efficiency if dc else self.kind.ac_efficiency
        gain, self._remainder = divmod(energy_uj * efficiency + self._remainder, 1000)
        self.battery.store(gain)
        self.lost_uj = self.taken_uj - self.given_uj - self.gained_uj

    # ── back to the grid ─────────────────────────────────────────────────────────────────────────────────────────

    @property
    def told(self) -> bool:
        """Nothing about it is to be waited for."""
        return True

    @property
    def can_give(self) -> bool:
        """There is more in it than it keeps for itself."""
        return not self.paused and self.battery.stored_uj > self.reserve_uj

    def most_given(self, *, dc: bool) -> int:
        """mW that it can give back; 0: it is not built for that."""
        return (self.kind.dc_discharge_w if dc else self.kind.ac_discharge_w) * 1000

    def give_ac(self, asked_mw: int, phases: int, volts_mv: int = 230_000) -> tuple[int, ...]:
        """Current per phase (mA) that it gives back when so much is asked. Empty when it gives nothing."""
        power = min(asked_mw, self.most_given(dc=False))
        used = min(phases, self.kind.ac_phases)
        current = min(power * 1000 // (used * volts_mv), self.kind.ac_max_ma)
        return (current,) * used if current > 0 and self.can_give else ()

    def give_dc(self, asked_mw: int, max_ma: int) -> DcDraw | None:
        """Voltage and current that it gives back when so much is asked."""
        power = min(asked_mw, self.most_given(dc=True))
        pack_mv = self.pack_mv
        current = min(power * 1000 // pack_mv, max_ma, self.kind.dc_max_ma)
        return DcDraw(pack_mv, current) if current > 0 and self.can_give else None

    def give(self, energy_uj: int, *, dc: bool) -> None:
        """`energy_uj` has gone out through the inlet; the battery lost more than that."""
        self.given_uj += energy_uj
        efficiency = self.kind.dc_efficiency if dc else self.kind.ac_efficiency
        loss, self._owed = divmod(energy_uj * 1000 + self._owed, efficiency)
        self.battery.release(loss)
        self.lost_uj = self.taken_uj - self.given_uj - self.gained_uj

    def until_change(self, power_mw: int, *, dc: bool) -> int | None:
        """Milliseconds at `power_mw` until the car may draw (or give) something else; None if it does nothing."""
        if power_mw < 0:
            return self._until_lower(-power_mw, dc=dc)
        if power_mw <= 0 or not self.wants_energy:
            return None
        next_step = self.battery.level_uj(min(1000, (self.battery.soc // _STEP + 1) * _STEP))
        wanted = min(next_step, self.target_uj) - self.battery.stored_uj
        efficiency = self.kind.dc_efficiency if dc else self.kind.ac_efficiency
        at_inlet = -(-wanted * 1000 // efficiency)
        if self.max_taken_uj is not None:
            at_inlet = min(at_inlet, self.max_taken_uj - self.taken_uj)
        return max(1, -(-at_inlet // power_mw))

    def _until_lower(self, power_mw: int, *, dc: bool) -> int | None:
        if not self.can_give:
            return None
        step = self.battery.level_uj((self.battery.soc - 1) // _STEP * _STEP)
        left = self.battery.stored_uj - max(step, self.reserve_uj)
        efficiency = self.kind.dc_efficiency if dc else self.kind.ac_efficiency
        return max(1, -(-(left * efficiency // 1000) // power_mw))

    @property
    def pack_mv(self) -> int:
        """Voltage of the battery, mV."""
        return self.kind.pack_empty_mv + (self.kind.pack_full_mv - self.kind.pack_empty_mv) * self._step_soc() // 1000

    def _step_soc(self) -> int:
        return self.battery.soc // _STEP * _STEP
