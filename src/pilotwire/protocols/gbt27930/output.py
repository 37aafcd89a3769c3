"""What a charger does with its output: what the power stage is asked for, and how it goes off, the lock last."""

from __future__ import annotations

from typing import Any

from pilotwire.core.evse_link import ContactorAsked, Fault, LockAsked, Measured, Offer, Requested

from .line import Line
from .timers import CURRENT, OPENED, UNPLUGGED, VOLTAGE

SAFE_MA, SAFE_MV = 5_000, 60_000
"""What a contactor may cut, and what may be touched."""


class Output:
    """The output of one charger. Off comes first: nothing is asked for again before `on` is said."""

    __slots__ = (
        "_asked_closed",
        "_line",
        "_locked_by_us",
        "closed",
        "live",
        "locked",
        "measured",
        "offer",
        "told",
        "unlocking",
    )

    def __init__(self, line: Line) -> None:
        self._line = line
        self._asked_closed = False
        self._locked_by_us = False
        self.closed = False
        """The contactor."""
        self.locked = False
        self.unlocking = False
        """It was asked to, and the answer has not come."""
        self.live = False
        """It did not go off as it should: the plug stays locked."""
        self.measured = Measured()
        self.offer = Offer()
        self.told = Requested()

    # ── on ───────────────────────────────────────────────────────────────────────────────────────────────────────────
    def lock(self) -> list[Any]:
        self._locked_by_us = True
        return [LockAsked(True)]

    def close(self) -> list[Any]:
        self._asked_closed = True
        return [ContactorAsked(True)]

    def ask(self, mv: int, ma: int, *, precharge: bool = False) -> list[Any]:
        """Within what is offered; told when it has changed."""
        offer = self.offer
        if offer.max_mv is not None:
            mv = min(mv, offer.max_mv)
        ma = max(0, min(ma, offer.max_ma))
        if offer.max_mw is not None and mv:
            ma = min(ma, max(0, offer.max_mw) * 1000 // mv)
        wanted = Requested(mv=mv, ma=0 if precharge else ma, phase="precharge" if precharge else "charge")
        if wanted == self.told:
            return []
        self.told = wanted
        return [wanted]

    def rest(self) -> list[Any]:
        """Nothing for now; the contactor stays."""
        if self.told == Requested():
            return []
        self.told = Requested()
        return [self.told]

    # ── off ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    def off(self, now: int, *, at_once: bool = False, unplugged: bool = False) -> list[Any]:
        """Nothing any more, and the contactor opened as soon as it may be, or `at_once`."""
        self.told = Requested()
        effects: list[Any] = [self.told]
        if not self._asked_closed and not self.closed:
            return effects
        if at_once or abs(self.measured.ma) <= SAFE_MA:
            return effects + self._open(now)
        self._line.wait_on(UNPLUGGED if unplugged else CURRENT, now)
        return effects

    def _open(self, now: int) -> list[Any]:
        self._line.done(CURRENT, UNPLUGGED)
        self._asked_closed = False
        self._line.wait_on(OPENED, now)
        return [ContactorAsked(False)]

    def late(self, now: int) -> list[Any]:
        """The current has not gone down in time."""
        told = Fault(
            code="OverCurrentFailure",
            by="evse",
            text=f"{self.measured.ma} mA still flow at the time at which 5 A may",
            rule="GB/T 27930-2015 figure A.6",
        )
        return [*self._open(now), told]

    def look(self, now: int) -> list[Any]:
        """Something has been measured, or switched."""
        effects: list[Any] = []
        if abs(self.measured.ma) <= SAFE_MA and (self._line.waits(CURRENT) or self._line.waits(UNPLUGGED)):
            effects += self._open(now)
        if not self.closed and self._line.waits(OPENED) and not self._asked_closed:
            self._line.done(OPENED)
            if self.measured.mv > SAFE_MV:
                self._line.wait_on(VOLTAGE, now)
        if self.measured.mv <= SAFE_MV:
            self._line.done(VOLTAGE)
        return effects

    def stuck(self, rule_name: str) -> list[Any]:
        """The contactor was not said to be open, or the outlet stays live."""
        self.live = True
        if rule_name == OPENED.name:
            return [Fault(code="EVSEContactorFault", by="evse", text="the contactor is not said to have opened")]
        text = f"{self.measured.mv} mV are still at the outlet after {VOLTAGE.ms} ms"
        return [Fault(code="ConnectorVoltageHigh", by="evse", text=text, rule=VOLTAGE.clause)]

    @property
    def touchable(self) -> bool:
        """As far as is known."""
        return not self.closed and self.measured.mv <= SAFE_MV

    @property
    def dead(self) -> bool:
        """Nothing is waited for any more: it is off, or will not go off."""
        pending = (CURRENT, UNPLUGGED, OPENED, VOLTAGE)
        return not any(self._line.waits(rule) for rule in pending)

    def release(self) -> list[Any]:
        """The plug may be drawn, unless it is live."""
        if self.live or not self._locked_by_us:
            return []
        self._locked_by_us = self.locked = False
        self.unlocking = True
        return [LockAsked(False)]
