"""What a vehicle's end knows, what is agreed with the charger, and what it asks for."""

from __future__ import annotations

from typing import Final, Literal

from pilotwire.core.ev_link import (
    Drive,
    Flowing,
    Offered,
    Parted,
)
from pilotwire.core.evse_link import Offer

from . import ev_frames
from .config import ChademoEvConfig
from .engine import End
from .flow import SLEW_MA_PER_MS
from .frames import CHARGER_LIMITS, CHARGER_STATUS, OF_EVSE
from .timers import CYCLE_MS

EvPhase = Literal[
    "plugged",
    "greet",
    "waiting",
    "ready",
    "contactors",
    "output",
    "power",
    "current down",
    "open",
    "weld",
    "charger off",
    "over",
]
ENDING: Final = frozenset({"current down", "open", "weld", "charger off", "over"})
SAFE_MA: Final = 5_000
EMPTY_MV: Final = 10_000
DEVIATION_MA: Final = 10_000
"""More than requested by so much is a deviation."""
_BYTE_MA: Final = 254_000
_STEP_MA: Final = SLEW_MA_PER_MS * CYCLE_MS
FAULT_BITS: Final = {
    "OverVoltage": "battery_overvoltage",
    "UnderVoltage": "battery_undervoltage",
    "OverCurrentFailure": "battery_current_deviation",
    "EVBatteryTemperature": "high_battery_temperature",
    "EVVoltageDeviation": "battery_voltage_deviation",
}
"""Fault codes that have a bit of their own in 102.4; all others are 102.5.2."""


class EvState(End):
    """The state of one inlet."""

    side = "ev"
    theirs = OF_EVSE
    drives = frozenset({"k"})

    def __init__(self, config: ChademoEvConfig = ChademoEvConfig()) -> None:  # noqa: B008 - frozen
        super().__init__(config.babble_frames)
        self.config = config
        self.drive = Drive()
        self.closed = False
        self.not_in_park = False
        self._fresh()

    def _fresh(self) -> None:
        self.phase: EvPhase = "plugged"
        self.faults: set[str] = set()
        """Signals of 102.4 and 102.5 that are set."""
        self.enabled = False
        self.told_open = True
        self.wants_stop = False
        self.asked_ma = 0
        self.statuses = 0
        """So many 102 have been sent."""
        self.seen: set[int] = set()
        self.heard.clear()
        self.pins["k"] = False
        self._offer: Offer | None = None
        self._flowing: Flowing | None = None
        self._opened_mv = 0
        self._part_as: Parted | None = None
        self._ready_seen = False
        self.emergency = False

    @property
    def extended(self) -> bool:
        """The request is in 110.1-2, since it does not fit into 102.3."""
        return self._high_current and self.asked_ma > _BYTE_MA

    @property
    def _high_current(self) -> bool:
        return self.config.version >= 2 and bool(self.heard.get("charger_high_current_control"))

    @property
    def discharges(self) -> bool:
        """Both ends can turn the flow round."""
        return self.config.discharge and bool(self.heard.get("charger_discharge_compatible"))

    @property
    def given_ma(self) -> int:
        """What it would give at most now (200.0)."""
        drive = self.drive
        if drive.soc <= self.config.minimum_level * 10:
            return 0
        most = drive.max_discharge_ma
        return (
            min(most, drive.max_discharge_mw * 1_000 // max(1_000, drive.present_mv))
            if drive.max_discharge_mw
            else most
        )

    # ── flow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def _voltage(self) -> int:
        return self.heard.get("present_output_voltage") or 0

    @property
    def _present_ma(self) -> int:
        """What flows, as the charger says; negative: out of the battery."""
        given: int = self.heard.get("present_discharge_current") or 0
        if given:
            return -given
        byte: int = self.heard.get("present_output_current") or 0
        more: int = self.heard.get("extended_present_current") or 0
        return max(byte, more) if self._high_current else byte

    def _tick(self) -> None:
        self.statuses += 1
        if self.phase == "power":
            goal = self._wanted()
            step = max(-_STEP_MA, min(_STEP_MA, goal - self.asked_ma))
            self.asked_ma += step
        for frame in ev_frames.cycle(self):
            self._send(frame)

    def _wanted(self) -> int:
        drive = self.drive
        most = self.heard.get("available_output_current") or 0
        if self._high_current:
            most = max(most, self.heard.get("extended_available_current") or 0)
        wanted = min(drive.target_ma, drive.max_ma, most) if drive.ready else 0
        return max(0, wanted // 1_000 * 1_000)

    def _say(self) -> None:
        """102 outside of the cycle: what has changed is to be known at once."""
        if self._cycle is not None:
            self.statuses += 1
            self._send(ev_frames.status(self))

    def _tell(self) -> None:
        if not {CHARGER_LIMITS, CHARGER_STATUS} <= self.seen:
            return
        heard = self.heard
        most = heard["available_output_current"]
        if self._high_current:
            most = max(most, heard.get("extended_available_current") or 0)
        offer = Offer(
            max_mv=heard["available_output_voltage"],
            max_ma=most,
            max_discharge_ma=(heard.get("available_input_current") or 0) if self.discharges else 0,
        )
        if offer != self._offer:
            self._offer = offer
            self._event(Offered(offer=offer))
        flowing = Flowing(mv=self._voltage, ma=self._present_ma)
        if flowing != self._flowing:
            self._flowing = flowing
            self._event(flowing)

    # ── what the whole end does ──────────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        raise NotImplementedError

    def _enter(self, phase: EvPhase) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError
