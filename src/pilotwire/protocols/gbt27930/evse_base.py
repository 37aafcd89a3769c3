"""How a charger of GB/T 27930 begins to speak, ends, and begins anew. Off comes first."""

from __future__ import annotations

from typing import Any

from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Ended,
    Fault,
    IsolationAsked,
    Needs,
    Side,
)
from pilotwire.core.machines import Send

from . import timers as t
from .codec import MESSAGES
from .evse_config import OFF_RULES, TALKING, EvseConfig, Phase
from .fields import BMS, CHARGER
from .line import Line
from .messages import V1_1
from .output import Output
from .wires import Supply


class EvseBase:
    """State, beginnings and ends."""

    def __init__(self, config: EvseConfig = EvseConfig()) -> None:  # noqa: B008 - frozen
        self.config = config
        self.phase: Phase = "unplugged"
        self.line = Line(CHARGER, BMS, "ev", "2015" if config.edition != "2011" else "2011", config.transport)
        self.output = Output(self.line)
        self.cells: tuple[tuple[int, int], ...] = ()
        """(mV, group) of every cell, if the vehicle tells (BMV)."""
        self.temperatures: tuple[int, ...] = ()
        """Degrees (BMT)."""
        self._plugged = False
        self._authorized: bool | None = None
        self._paused = False
        self._needs_replug = False
        self._replugged = False
        self._now = 0
        self._fresh()

    def _fresh(self) -> None:
        """A session begins."""
        self._connected = self._asked = self._contactor_asked = False
        self._attempts = 0
        self._battery: dict[str, Any] = {}
        self._told: dict[str, int] = {}
        self._demand: dict[str, Any] | None = None
        self._state: dict[str, int] = {}
        self._have_bcs = False
        self._end: tuple[str, Side, bool] | None = None
        self._charging_since: int | None = None
        self._stopped_at = 0
        self._energy_before = 0
        self._needs: Needs | None = None

    # ── beginnings ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _begin(self, now: int) -> list[Any]:
        self._fresh()
        self.line.reset()
        self.line.edition = "2011" if self.config.edition == "2011" else "2015"
        self.output.live = False
        self.phase = "locking"
        if self.config.authorize_first and self._authorized is not True:
            return self._ask()
        return self._lock(now)

    def _ask(self) -> list[Any]:
        if self._asked or self._authorized is not None:
            return []
        self._asked = True
        return [AuthorizationAsked(by="external")]

    def _lock(self, now: int) -> list[Any]:
        if self.output.locked:
            return self._power(now)
        self.line.wait(t.LOCK, now)
        return self.output.lock()

    def _power(self, now: int) -> list[Any]:
        """The plug is locked: wake the vehicle up and speak."""
        self.line.done(t.LOCK)
        effects: list[Any] = [Send(Supply(True))]
        if self.line.edition == "2011":
            return effects + self._insulation(now)
        self.phase = "handshake"
        self.line.wait(t.BHM, now)
        return effects + self.line.repeat("CHM", lambda: {"version": V1_1}, now)

    def _insulation(self, now: int) -> list[Any]:
        self.phase = "insulation"
        self.line.done(t.BHM)
        self.line.wait(t.INSULATION, now)
        return [IsolationAsked()]

    def _identify(self, now: int) -> list[Any]:
        """CRM(00): from the beginning, or anew after an error."""
        self.phase = "identify"
        self.line.quiet()
        self.line.done()
        self._have_bcs = self._contactor_asked = False
        self._demand, self._state = None, {}
        self.line.wait(t.BRM, now)
        return self.line.repeat("CRM", lambda: self._crm(0x00), now)

    def _crm(self, recognised: int) -> dict[str, Any]:
        return {
            "recognised": recognised,
            "charger": self.config.charger,
            "region": self.config.region or None,
        }

    # ── ends ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _cease(
        self,
        flags: dict[str, int],
        reason: str,
        by: Side,
        code: str,
        now: int,
        *,
        ok: bool | None = None,
        rule: str = "",
        at_once: bool = False,
    ) -> list[Any]:
        """Output off, then CST, in any phase in which the vehicle is spoken with; before, the end. `code`: a fault."""
        if self.phase in ("unplugged", "closing", "ended", "stopping", "statistics", "error"):
            return []
        self._end = reason, by, (not code) if ok is None else ok
        effects = self.output.off(now, at_once=at_once)
        if code:
            effects.append(Fault(code=code, by=by, text=reason, rule=rule))
        if self.phase not in TALKING:
            return effects + self._close(now)
        self.phase = "stopping"
        self._stopped_at = now
        self.line.quiet()
        self._done_but_output()
        self.line.wait(t.BST, now)
        self.line.wait(t.BSD, now)
        cst = {signal.name: flags.get(signal.name, 0) for signal in MESSAGES["2015"]["CST"].signals}
        return effects + self.line.repeat("CST", lambda: cst, now)

    def _done_but_output(self) -> None:
        """Nothing is waited for any more, but for the output to go off."""
        self.line.done(*(rule for rule in t.EVSE_TIMERS if rule not in OFF_RULES))

    def _fail(self, field: str | None, reason: str, by: Side, now: int) -> list[Any]:
        """A message did not come, or the vehicle says so: output off, CEM, then anew."""
        if self.phase in ("unplugged", "closing", "ended", "error"):
            return []
        effects = self.output.off(now)
        effects.append(Fault(code="EVCommunicationError", by=by, text=reason, rule="GB/T 27930-2015 8, 9.5"))
        self._end = reason, by, False
        self.phase = "error"
        self._stopped_at = now
        self.line.quiet()
        self._done_but_output()
        self.line.transport.drop()
        self.line.wait(t.SHOWN, now)
        if field is None:
            return effects
        cem = {signal.name: int(signal.name == field) for signal in MESSAGES["2015"]["CEM"].signals}
        return effects + self.line.repeat("CEM", lambda: cem, now)

    def _again(self, now: int) -> list[Any]:
        """CEM has been shown: begin anew, or give up."""
        ready = self.output.dead and not self.output.closed and not self.output.live
        if self._attempts >= t.RECONNECTS or not ready:
            self._needs_replug = True
            return self._close(now)
        self._attempts += 1
        return self._identify(now)

    def _abort(self, code: str, reason: str, by: Side, now: int, *, unplugged: bool = False) -> list[Any]:
        """Output off and the end, without a further word to the vehicle."""
        if self.phase == "closing":
            return []
        effects = self.output.off(now, unplugged=unplugged)
        effects.append(Fault(code=code, by=by, text=reason))
        return effects + self._close(now, (reason, by, False))

    def _close(self, now: int, end: tuple[str, Side, bool] | None = None, *, ok: bool | None = None) -> list[Any]:
        """Wait for the output to be off, then unlock and end."""
        effects = [] if self.phase == "closing" else self.output.off(now)
        if end is not None:
            self._end = end
        if ok is not None and self._end is not None:
            self._end = self._end[0], self._end[1], ok and self._end[2]
        self.phase = "closing"
        self.line.quiet()
        self._done_but_output()
        self.line.transport.drop()
        return effects + self._closing(now)

    def _closing(self, now: int) -> list[Any]:
        if self.phase != "closing" or not self.output.dead:
            return []
        effects = self.output.look(now)
        reason, by, ok = self._end or ("the session is over", "evse", True)
        self.phase = "ended" if self._plugged else "unplugged"
        effects += [*self.output.release(), Send(Supply(False))]
        effects.append(Ended(reason=reason, by=by, ok=ok and not self.output.live))
        self._authorized = None
        self._paused = False
        self.line.reset()
        if self._replugged and self._plugged:
            self._replugged = False
            effects += self._begin(now)
        return effects
