"""What a charger's end knows, what is agreed with the vehicle, and the flow that follows from it."""

from __future__ import annotations

from typing import Final, Literal

from pilotwire.core.evse_link import (
    Ended,
    Isolation,
    Limits,
    Measured,
    Needs,
    Offer,
    Requested,
)

from . import evse_frames
from .config import ChademoEvseConfig
from .engine import End
from .evse_rules import Stage
from .flow import goal_ma, levels_of, slewed, soc_of
from .frames import LIMITS, OF_EV, STATUS, TIMES
from .versions import words_of

Phase = Literal[
    "unplugged", "authorize", "wake", "negotiate", "lock", "insulation", "discharged", "vehicle contactors",
    "output contactor", "power", "current down", "contactors open", "voltage down", "unlock", "over",
]  # fmt: skip
ENDING: Final = frozenset({"current down", "contactors open", "voltage down", "unlock", "over"})
SAFE_MA: Final = 5_000
"""What contactors may cut."""
EMPTY_MV: Final = 10_000
"""Below it the plug may be unlocked; and before the insulation test nothing may be there."""
TESTED_MV: Final = 20_000
"""The output must have fallen below this after the insulation test."""


class EvseState(End):
    """The state of one plug."""

    side = "evse"
    theirs = OF_EV
    drives = frozenset({"d1", "d2"})

    def __init__(self, config: ChademoEvseConfig = ChademoEvseConfig()) -> None:  # noqa: B008 - frozen
        super().__init__(config.babble_frames)
        self.config = config
        self.offer: Offer | None = None
        self.measured = Measured()
        self.locked = False
        self.closed = False
        self._paused = False
        self._fresh()

    def _fresh(self) -> None:
        """No session: the next vehicle is authorised anew."""
        self.phase: Phase = "unplugged"
        self.accepted = False
        self.isolation: Isolation | None = None
        self.v2h_sequence: int | None = None
        """The agreed charge and discharge sequence number; None: the vehicle has sent no 201, V2H 1.0 is assumed."""
        self.asked_ma = 0
        self.malfunction = False
        self.system_malfunction = False
        self.incompatible = False
        self.charging = False
        self.emergency = False
        self.stopping = False
        self.until: int | None = None
        """When the vehicle's longest charging time is over."""
        self.frozen_ma: int | None = None
        """108.3 of a vehicle that does not know dynamic control: it stays what it was when power began."""
        self.seen: set[int] = set()
        """Frames that have come."""
        self.heard.clear()
        self.pins["k"] = False
        self._status_frames = 0
        self._stage = Stage(False, False, False)
        self._asked_at = 0
        self._told: Requested | None = None
        self._limits: Limits | None = None
        self._needs: Needs | None = None
        self._end_as: Ended | None = None

    # ── what is agreed ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def dynamic(self) -> bool:
        """Both ends know dynamic control: the available current may change while power flows."""
        return self.config.version >= 2 and bool(self.heard.get("dynamic_control"))

    @property
    def their_protocol(self) -> str:
        """What the vehicle's protocol number means, by everybody who has said so; empty: it has not come."""
        number = self.heard.get("protocol_number")
        return "" if number is None else words_of(number)

    @property
    def high_current(self) -> bool:
        """Both ends know extended current (more than 254 A)."""
        return self.config.version >= 2 and bool(self.heard.get("high_current_control"))

    @property
    def discharges(self) -> bool:
        """Both ends can turn the flow round (102.5.7 and 109.4.0)."""
        return self.config.discharge and bool(self.heard.get("vehicle_discharge_compatible"))

    # ── flow ─────────────────────────────────────────────────────────────────────────────────────────────────────────

    def _tick(self) -> None:
        if self.phase == "power":
            self._follow(rising=True)
        for frame in evse_frames.cycle(self, self._now):
            self._send(frame)

    def _say(self) -> None:
        """109 outside of the cycle: what has changed is to be known at once."""
        if self._cycle is not None:
            self._send(evse_frames.status(self, self._now))

    def _follow(self, *, rising: bool = False) -> None:
        """Sets the output: less at once, more by the slew rate."""
        if self.phase != "power" or self.offer is None:
            return
        goal = 0 if self._paused else goal_ma(
            self.heard, self.offer, self.measured.mv, extended=self.high_current, discharge=self.discharges
        )  # fmt: skip
        passed = self._now - self._asked_at if rising else 0
        self.asked_ma = slewed(self.asked_ma, goal, passed)
        if rising:
            self._asked_at = self._now
        target = self.heard.get("target_battery_voltage") or 0
        mv = target if self.offer.max_mv is None else min(target, self.offer.max_mv)
        self._set(Requested(mv=mv, ma=self.asked_ma))

    def _set(self, requested: Requested) -> None:
        self.asked_ma = requested.ma
        if requested != self._told and (self._told is not None or requested.mv):
            self._told = requested
            self._event(requested)

    def _tell(self) -> None:
        """Limits and needs, when they are new."""
        if not {LIMITS, TIMES, STATUS} <= self.seen:
            return
        heard, gives = self.heard, self.discharges
        limits = Limits(
            service="DC_BPT" if gives else "DC",
            max_mv=heard["maximum_battery_voltage"] or None,
            min_mv=heard["minimum_battery_voltage"] or None,
            min_ma=heard["minimum_charge_current"] or None,
            max_discharge_ma=heard.get("maximum_discharge_current") if gives else None,
            capacity_wh=heard["battery_capacity"] or None,
            min_soc=levels_of(heard)[0] if gives else None,
        )
        if limits != self._limits:
            self._limits = limits
            self._event(limits)
        believed = self._status_frames > self.config.ignored_soc_frames
        needs = Needs(
            soc=soc_of(heard) if believed else None,
            remaining_ms=heard["estimated_time"] or None,
        )
        if needs != self._needs:
            self._needs = needs
            self._event(needs)

    # ── what the whole end does ──────────────────────────────────────────────────────────────────────────────────────

    def _advance(self) -> None:
        raise NotImplementedError

    def _enter(self, phase: Phase) -> None:
        raise NotImplementedError

    def _finish(self) -> None:
        raise NotImplementedError
