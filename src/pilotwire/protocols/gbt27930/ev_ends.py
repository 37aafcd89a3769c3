"""How a vehicle of GB/T 27930 ends: contactors first, and BST or BEM where the charger listens."""

from __future__ import annotations

from typing import Any, Literal

from pilotwire.core.ev_link import (
    ContactsAsked,
    Parted,
)
from pilotwire.core.evse_link import Fault

from . import timers as t
from .codec import MESSAGES
from .ev_says import EvSays

SAFE_MA = 5_000


class EvEnds(EvSays):
    """Every way out."""

    def _cease(
        self,
        flags: dict[str, int],
        reason: str,
        by: Literal["ev", "evse"],
        now: int,
        *,
        ok: bool = True,
        severe: bool = False,
    ) -> list[Any]:
        """BST, where the charger listens to it; before, the end."""
        if self.phase in ("unplugged", "opening", "ended", "stopping", "statistics"):
            return []
        if self.phase not in ("configure", "ready", "charging"):
            return self._abort(reason, by, now, ok=ok)
        effects: list[Any] = [] if ok else [Fault(code="EVChargingFault", by=by, text=reason)]
        self._end = reason, by, ok
        self.phase = "stopping"
        self.line.quiet()
        self._done_but_contacts()
        self._bst = {signal.name: flags.get(signal.name, 0) for signal in MESSAGES["2015"]["BST"].signals}
        self.line.wait(t.CST, now)
        self.line.wait(t.CSD, now)
        if severe:
            self.line.wait(t.SEVERE, now)
        bst = self._bst
        return effects + self.line.repeat("BST", lambda: bst, now)

    def _done_but_contacts(self) -> None:
        self.line.done(*(rule for rule in t.EV_TIMERS if rule not in (t.SEVERE, t.EV_OPENED)))

    def _open_when_safe(self, now: int) -> list[Any]:
        """At once when little flows, as far as the charger has said; else when it has had the time to switch off."""
        if self._flowing is not None and abs(self._flowing.ma) > SAFE_MA:
            self.line.wait_on(t.SEVERE, now)
            return []
        return self._open(now)

    def _open(self, now: int) -> list[Any]:
        self.line.done(t.SEVERE)
        if (not self.closed and not self._asked) or self.line.waits(t.EV_OPENED):
            return []
        self._asked = False
        self.line.wait(t.EV_OPENED, now)
        return [ContactsAsked(False)]

    def _fail(self, field: str | None, reason: str, by: Literal["ev", "evse"], now: int) -> list[Any]:
        """A message did not come, or the charger says so: contactors open, BEM, and the charger may begin anew."""
        if self.phase in ("unplugged", "opening", "ended", "error"):
            return []
        effects = self._open(now)
        effects.append(Fault(code="EVCommunicationError", by=by, text=reason, rule="GB/T 27930-2015 8, 9.5"))
        self._end = reason, by, False
        self.phase = "error"
        self.line.quiet()
        self._done_but_contacts()
        self.line.transport.drop()
        self.line.wait(t.AGAIN, now)
        if field is None:
            return effects
        bem = {signal.name: int(signal.name == field) for signal in MESSAGES["2015"]["BEM"].signals}
        return effects + self.line.repeat("BEM", lambda: bem, now)

    def _abort(
        self, reason: str, by: Literal["ev", "evse"], now: int, *, ok: bool = False, plug_gone: bool = False
    ) -> list[Any]:
        """The end, without a further word to the charger."""
        if self.phase in ("unplugged", "opening", "ended"):
            if plug_gone and self.phase == "ended":
                self.phase = "unplugged"
            return []
        # A supply that goes after the statistics is how a charger ends; before, it is a fault.
        ended = self._end if self._end is not None and self.phase in ("statistics", "stopping", "error") else None
        return self._over(now, ended or (reason, by, ok))

    def _over(self, now: int, end: tuple[str, Literal["ev", "evse"], bool] | None = None) -> list[Any]:
        effects = self._open(now)
        if end is not None:
            self._end = end
        self.phase = "opening"
        self.line.quiet()
        self._done_but_contacts()
        self.line.transport.drop()
        return effects + self._part(now)

    def _part(self, now: int) -> list[Any]:
        if self.phase != "opening" or self.line.waits(t.EV_OPENED):
            return []
        reason, by, ok = self._end or ("the session is over", "evse", True)
        self.phase = "ended" if self._connected else "unplugged"
        self.line.reset()
        return [Parted(reason=reason, by=by, ok=ok)]

    _bst: dict[str, int] = {}  # noqa: RUF012 - replaced, never changed
