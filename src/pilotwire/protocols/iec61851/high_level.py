"""The pilot beside a conversation over power line (ISO 15118-3 clause 6, ISO 15118-2 8.7): one machine for the outlet.

It is a `PilotEvse` that begins with 5 % of duty cycle. While the link talks, it alone says who is connected, what is
asked and what flows; the pilot is the safety signal beside it:

    vehicle → station                                  station → vehicle
    MatchingAsked(True)  5 % has been on for 500 ms:    PowerWanted   what the link's ContactorAsked wants
                         listen for SLAC                Step          SLAC asks for E or F (V2G3-M06-07)
    PilotState           B, C or D: the link's check    Matched       a link there is: no more fall back by E
    ContactorAsked       once C or D is really shown    NoMatch       SLAC gave up, or the vehicle never began it
    LinkOver             the link is to end now: the    LinkFailed    V2G failed; `comeback`: try again by E
                         plug is out, C was left, E, F

`NoMatch` and `LinkFailed` at an outlet with AC fall back to basic charging: over E (nobody talked, V2G3-M06-05) or
over X1 (somebody did, V2G3-M06-06); then `FellBack` is said and the machine goes on as `PilotEvse` does, with
`Connected` and all. At an outlet without AC the session ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from pilotwire.core import evse_link as link

from . import timers
from .evse import PilotEvse, PilotEvseConfig
from .levels import STATE_E, STATE_F, X1, PilotLevel


class MatchingAsked(msgspec.Struct, frozen=True):
    """Listen for SLAC, or no longer."""

    asked: bool


class PilotState(msgspec.Struct, frozen=True):
    """What the vehicle shows now: A, B, C, D or E."""

    state: str


class LinkOver(msgspec.Struct, frozen=True, kw_only=True):
    """The conversation over power line is to end now, and energy is off already."""

    reason: str
    by: link.Side
    ok: bool
    unplugged: bool = False


class FellBack(msgspec.Struct, frozen=True):
    """From here on it is basic charging."""

    reason: str


class PowerWanted(msgspec.Struct, frozen=True):
    """The link wants the contactor closed (or opened)."""

    closed: bool


class Step(msgspec.Struct, frozen=True):
    """E (or F) for T_step_EF, then 5 % again."""

    fault: bool = False


class Matched(msgspec.Struct, frozen=True):
    """The vehicle is found; a link is up."""


class NoMatch(msgspec.Struct, frozen=True):
    """There will be no link."""

    talked: bool
    """The vehicle had begun to match."""


class LinkFailed(msgspec.Struct, frozen=True):
    """The conversation failed."""

    reason: str
    comeback: bool = False


_OF_LINK = (link.Connected, link.AuthorizationAsked, link.Limits, link.Requested, link.Paused)
"""What the pilot would say and the link says instead while it has the word."""


class HighLevel:
    """The machine; its carrier is the pilot, its units are those of `PilotEvse`."""

    def __init__(self, config: PilotEvseConfig | None = None, *, ac: bool = True, fall_back: bool = True) -> None:
        self.pilot = PilotEvse(config)
        self.pilot.digital = True
        self.ac = ac
        self.fall_back = fall_back
        """Basic charging is offered where no link comes about (AC only)."""
        self.matched = False
        self.listening = False
        self._over = False
        self._listen_at: int | None = None
        self._state_at: int | None = None

    @property
    def deadline(self) -> int | None:
        dues = (
            self.pilot.deadline,
            None if self._listen_at is None else self._listen_at + timers.HLC_DELAY.ms,
            None if self._state_at is None else self._state_at + timers.CP_STATE.ms,
        )
        return min((due for due in dues if due is not None), default=None)

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        return self._with(self.pilot.seen, self.pilot.receive(data, now), now)

    def elapse(self, now: int) -> Sequence[Any]:
        before = self.pilot.seen
        out = self._with(before, self.pilot.elapse(now), now)
        if self._listen_at is not None and now >= self._listen_at + timers.HLC_DELAY.ms:
            self._listen_at = None
            if not self.listening:
                self.listening = True
                out.append(MatchingAsked(True))
        if self._state_at is not None and now >= self._state_at + timers.CP_STATE.ms:
            self._state_at = None
            fault = link.Fault(
                code="MREC10InvalidVehicleMode",
                by="ev",
                text="energy is to flow, and the vehicle shows neither C nor D",
                rule=timers.CP_STATE.clause,
            )
            out += [fault, *self._end_link("the vehicle does not show C", "ev", ok=False)]
            out += self._with(self.pilot.seen, self.pilot.elapse(now), now)
        return out

    def lost(self, now: int) -> Sequence[Any]:
        return self._with(self.pilot.seen, self.pilot.lost(now), now)

    def command(self, command: Any, now: int) -> Sequence[Any]:
        before = self.pilot.seen
        if isinstance(command, link.ContactorAsked):
            command = PowerWanted(command.closed)
        if isinstance(command, PowerWanted):
            return self._with(before, self._power(command.closed, now), now)
        if isinstance(command, Matched):
            self.matched = True
            return []
        if isinstance(command, Step):
            level = STATE_F if command.fault else STATE_E
            return self._with(before, self.pilot.toggle(level, timers.STEP_EF.ms, now), now)
        if isinstance(command, NoMatch):
            return self._give_up("no link came about", now, talked=command.talked)
        if isinstance(command, LinkFailed):
            if not command.comeback:
                return self._give_up(command.reason, now, talked=True)
            out = self._end_link(command.reason, "evse", ok=False)
            self._over = False
            return out + self._with(before, self.pilot.toggle(STATE_E, timers.STEP_EF.ms, now), now)
        return self._with(before, self.pilot.command(command, now), now)

    # ── beside the link ──────────────────────────────────────────────────────────────────────────────────────────
    def _power(self, wanted: bool, now: int) -> Sequence[Any]:
        if not self.pilot.digital or self._over:
            return ()
        self.pilot.power = wanted
        shown = self.pilot.seen in ("C", "D")
        self._state_at = now if wanted and not shown else None
        return self.pilot.elapse(now)

    def _with(self, before: str | None, effects: Sequence[Any], now: int) -> list[Any]:
        """What the pilot said, as it is meant beside a link."""
        if not self.pilot.digital:
            out = list(effects)
            if self.pilot.seen == "A" and not self.pilot.session:
                self._again()
            return out
        seen = self.pilot.seen
        out: list[Any] = []
        ended: link.Ended | None = None
        for effect in effects:
            if isinstance(effect, link.Ended):
                ended = effect
            elif not isinstance(effect, _OF_LINK):
                out.append(effect)
        self._listen(now)
        if seen != before and seen in ("A", "B", "C", "D", "E"):
            out.append(PilotState(seen))
        if seen in ("C", "D"):
            self._state_at = None
        if ended is not None:
            out += self._end_link(ended.reason, ended.by, ok=ended.ok and not self.pilot.faults, unplugged=seen == "A")
        elif self.pilot.faults and not self._over:
            text = next(iter(self.pilot.faults.values())).text
            out += self._end_link(text or next(iter(self.pilot.faults)), "evse", ok=False)
        elif seen == "E" and before != "E":
            out += self._end_link("the pilot is shorted", "ev", ok=False)
        elif self.pilot.power and before in ("C", "D") and seen == "B":
            out += self._end_link("the vehicle went to B while energy flowed", "ev", ok=False)
        if seen == "A":
            self._again()
        return out

    def _listen(self, now: int) -> None:
        """5 % is on: 500 ms later matching is listened for (there are vehicles that begin at once, and too soon)."""
        at_five = self.pilot.driver.oscillates and self.pilot.session
        if not at_five:
            self._listen_at = None
        elif not self.listening and self._listen_at is None and not self._over:
            self._listen_at = now

    def _end_link(self, reason: str, by: link.Side, *, ok: bool, unplugged: bool = False) -> list[Any]:
        self.pilot.power, self._state_at, self._listen_at = False, None, None
        told = self._over and not unplugged
        self._over = True
        out: list[Any] = []
        if self.listening:
            self.listening = False
            out.append(MatchingAsked(False))
        if not told:
            out.append(LinkOver(reason=reason, by=by, ok=ok, unplugged=unplugged))
        self.matched = False
        return out

    def _give_up(self, reason: str, now: int, *, talked: bool) -> list[Any]:
        out = self._end_link(reason, "evse", ok=False)
        if not (self.ac and self.fall_back and self.pilot.session):
            return [*out, *self._with(self.pilot.seen, self.pilot.command(link.Stop(reason), now), now)]
        self.pilot.digital = False
        level: PilotLevel = X1 if talked else STATE_E
        steps = timers.STEP_X1.ms if talked else timers.STEP_EF.ms
        out += [FellBack(reason), link.Connected(protocol="iec61851")]
        if not self.pilot.authorized:
            out.append(link.AuthorizationAsked(by="external"))
        return [*out, *self.pilot.toggle(level, steps, now)]

    def _again(self) -> None:
        """The plug is out: the next vehicle is met with 5 % again."""
        self.pilot.digital = True
        self.matched = self._over = self.listening = False
        self._listen_at = self._state_at = None
