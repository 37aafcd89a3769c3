"""The vehicle's end of GB/T 27930: its BMS, which follows the charger's edition and ends safely whatever comes.

    unplugged → unpowered → handshake (BHM) → identify (BRM) → configure (BCP) → ready (BRO 00, then AA)
      → charging (BCL, BCS, BSM) → stopping (BST) → statistics (BSD) → opening → ended
    error (BEM) → identify, when the charger begins anew (CRM 00) within 30 s

It is given `CanFrame`s, `Cc2` and `Supply` (the charger's 12 V), and sends `CanFrame`s. A charger that begins with CRM,
without CHM, is one of 2011; one whose CML has 8 bytes is one of 2015 after all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pilotwire.core.ev_link import (
    Allowed,
    Contacts,
    ContactsAsked,
    Drive,
    EvCommand,
    Flowing,
    Halt,
    Linked,
    Offered,
    Rest,
)
from pilotwire.core.evse_link import Fault, Offer
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.can.frame import CanFrame

from . import timers as t
from .codec import MESSAGES, said
from .ev_config import EvConfig, Phase
from .ev_ends import SAFE_MA, EvEnds
from .wires import Cc2, Supply

__all__ = ["HEARD", "EvConfig", "GbtEv", "Phase"]

_MARGIN_MA = 10_000
"""So much more than was asked for may flow for a moment, or a tenth more."""


class GbtEv(EvEnds):
    """An `EvLink`. `receive` takes `CanFrame`, `Cc2` and `Supply`."""

    # ── Machine ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def deadline(self) -> int | None:
        return self.line.deadline

    def start(self, now: int) -> Sequence[Any]:
        self._now = now
        self._started = True
        return self._plug(now)

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        self._now = now
        if isinstance(data, Cc2):
            return self._cc2(data.connected, now)
        if isinstance(data, Supply):
            return self._supply(data.on, now)
        if not isinstance(data, CanFrame) or self.phase in ("unplugged", "opening", "ended"):
            return []
        effects, messages = self.line.receive(data, now)
        for name, values, size in messages:
            effects += self._heard(name, values, size, now)
        return effects

    def elapse(self, now: int) -> Sequence[Any]:
        self._now = now
        effects, expired = self.line.elapse(now)
        first: list[Any] = []
        for rule in expired:
            if self.phase not in ("unplugged", "ended"):
                first += self._expired(rule, now)
        return [*first, *effects, *self.line.cycle(now)]

    def lost(self, now: int) -> Sequence[Any]:
        """The bus is gone: open, and over. Nobody asks us again, so nothing is waited for."""
        self._now = now
        effects = self._abort("the CAN bus is gone", "ev", now)
        self.line.done()
        return [*effects, *self._part(now)]

    # ── the plug ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _cc2(self, connected: bool, now: int) -> list[Any]:
        self._connected = connected
        if connected:
            return self._plug(now)
        return self._abort("the plug was drawn (CC2)", "ev", now, plug_gone=True)

    def _supply(self, on: bool, now: int) -> list[Any]:
        self._powered = on
        if on:
            return self._plug(now)
        return self._abort("the charger has switched its supply off", "evse", now)

    def _plug(self, now: int) -> list[Any]:
        if not (self._started and self._connected and self._powered) or self.phase not in ("unplugged", "ended"):
            return []
        self._fresh()
        self.line.reset()
        self.line.edition = "2011" if self.config.edition == "2011" else "2015"
        self.phase = "unpowered"
        self.line.wait(t.POWER, now)
        return []

    # ── what the charger says ────────────────────────────────────────────────────────────────────────────────────────
    def _heard(self, name: str, values: dict[str, Any], size: int, now: int) -> list[Any]:
        heard = HEARD.get(name)
        if heard is None or self.phase not in heard[0]:
            self.line.counts.out_of_order += 1
            return []
        return heard[1](self, values, size, now)

    def on_chm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.config.edition == "2011":
            return []  # it does not know the message
        if self.phase == "unpowered":
            self.phase = "handshake"
            self.line.done(t.POWER)
            self.line.wait(t.CRM, now)
        return self._link() + self.line.repeat("BHM", lambda: {"max_voltage": self.drive.max_mv}, now)

    def _link(self) -> list[Any]:
        if self._linked:
            return []
        self._linked = True
        return [Linked(protocol="gbt27930-2011" if self.line.edition == "2011" else "gbt27930-2015", service="DC")]

    def on_crm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if values["recognised"] == 0xAA:
            return self._recognised(now)
        if self.phase == "identify" and "BRM" in self.line.sending:
            return []
        effects = self._open(now)  # while charging: it begins anew, and what it told of its error did not arrive
        if not self._linked:
            self.line.edition = "2011"  # no CHM came before
        self.phase = "identify"
        self.line.quiet()
        self._done_but_contacts()
        self._asked = False
        self.line.wait(t.CRM_AA, now)
        return effects + self._link() + self.line.repeat("BRM", self._brm, now)

    def _recognised(self, now: int) -> list[Any]:
        if self.phase != "identify":
            return []
        self.phase = "configure"
        self.line.done(t.CRM_AA)
        self.line.quiet("BRM")
        self.line.wait(t.CML, now)
        return self.line.repeat("BCP", self._bcp, now)

    def on_cts(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        return []  # optional, and a clock that a vehicle does not set itself by

    def on_cml(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase != "configure":
            return []
        if size >= MESSAGES["2015"]["CML"].length:
            if self.config.edition != "2011":
                self.line.edition = "2015"
        elif self.line.edition == "2015":
            self.line.edition = "2011"
        if values["max_voltage"] is None or values["max_current"] is None:
            self.line.counts.malformed += 1
            return []
        self._offer = Offer(
            max_mv=values["max_voltage"],
            min_mv=values["min_voltage"] or 0,
            max_ma=values["max_current"],
            min_ma=values.get("min_current") or 0,
        )
        if not self._offer.min_mv <= self.drive.present_mv <= values["max_voltage"]:
            text = f"the charger gives {self._offer.min_mv} to {values['max_voltage']} mV, the battery has "
            return self._cease({"voltage": 1}, f"{text}{self.drive.present_mv} mV", "evse", now, ok=False)
        self.phase = "ready"
        self.line.done(t.CML)
        self.line.wait(t.CRO, now)
        self.line.quiet("BCP")
        effects: list[Any] = [Offered(offer=self._offer)]
        effects += self.line.repeat("BRO", lambda: {"ready": 0xAA if self._is_ready else 0x00}, now)
        return effects + self._ready(now)

    @property
    def _is_ready(self) -> bool:
        return self.closed and self.drive.ready

    def _ready(self, now: int) -> list[Any]:
        """Contactors, then BRO(AA), and the charger's answer is waited for from then on."""
        if self.phase != "ready":
            return []
        if not self._is_ready:
            self.line.done(t.CRO)
            if self.drive.ready and not self._asked:
                self._asked = True
                return [ContactsAsked(True)]
            return []
        if self.line.waits(t.CRO_READY):
            return []
        self.line.wait(t.CRO, now)
        self.line.wait(t.CRO_READY, now)
        return self.line.send("BRO", {"ready": 0xAA}, now)

    def on_cro(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase != "ready":
            return []
        if self.line.waits(t.CRO):
            self.line.wait(t.CRO, now)
        if values["ready"] != 0xAA or not self._is_ready:
            return []
        self.phase = "charging"
        self.line.done(t.CRO, t.CRO_READY)
        self.line.quiet("BRO")
        self.line.wait(t.CCS_FIRST, now)
        effects: list[Any] = [Allowed()]
        effects += self.line.repeat("BCL", self._bcl, now)
        effects += self.line.repeat("BCS", self._bcs, now)
        effects += self.line.repeat("BSM", self._bsm, now)
        for name, there, values_ in (
            ("BMV", self.config.cells, {"cells": self.config.cells}),
            ("BMT", self.config.temperatures, {"temperatures": self.config.temperatures}),
            ("BSP", self.config.reserved, {"data": self.config.reserved}),
        ):
            if there:
                effects += self.line.repeat(name, _always(values_), now)
        return effects

    def on_ccs(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        voltage, current = values["voltage"], values["current"]
        if voltage is None or current is None:
            self.line.counts.malformed += 1
            return []
        self.line.done(t.CCS_FIRST)
        self.line.wait(t.CCS, now)
        if values.get("permitted") == 0:
            self.line.wait_on(t.CCS_PERMISSION, now)
        else:
            self.line.done(t.CCS_PERMISSION)
        effects: list[Any] = []
        flowing = Flowing(mv=voltage, ma=current)
        if flowing != self._flowing:
            self._flowing = flowing
            effects.append(flowing)
        if voltage > self.drive.max_mv and abs(current) > SAFE_MA:
            text = f"{voltage} mV are at the outlet, {self.drive.max_mv} mV are allowed"
            return effects + self._cease({"voltage": 1}, text, "evse", now, ok=False)
        wanted = self._bcl()["current"]
        if current > wanted + max(_MARGIN_MA, wanted // 10):
            self.line.wait_on(t.OVERCURRENT, now)
        else:
            self.line.done(t.OVERCURRENT)
        return effects

    def on_cst(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.CST)
        if self.phase == "statistics":
            return []
        effects: list[Any] = []
        if self.phase != "stopping":
            words = said("CST", values)
            good = not any(values[name] == 1 for name in _CST_FAULTS)
            told = f"the charger has stopped (CST): {words}" if words else "the charger has stopped (CST)"
            effects += self._cease({"charger_stopped": 1}, told, "evse", now, ok=good)
            self.line.done(t.CST)
        effects += self._open_when_safe(now)
        self.phase = "statistics"
        self.line.quiet("BST")
        effects += self.line.send("BST", self._bst, now)
        return effects + self.line.repeat("BSD", self._bsd, now)

    def on_csd(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.CSD)
        return self._over(now)

    def on_cem(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        words = said("CEM", values)
        if not words:
            return []
        text = f"the charger tells of an error (CEM): {words}"
        if self.phase in ("stopping", "statistics"):
            return self._over(now, (text, "evse", False))
        return self._fail(None, text, "evse", now)

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: EvCommand, now: int) -> Sequence[Any]:
        self._now = now
        match command:
            case Drive():
                self.drive = command
                if command.ready:
                    self._resting = False
                return self._ready(now)
            case Contacts():
                return self._contacts(command.closed, now)
            case Rest():
                self._resting = True  # BSM says that charging is not permitted, until `Drive` says ready again
                return []
            case Halt():
                return self._halt(command, now)
            case Fault():
                text = f"fault of the vehicle: {command.text or command.code}"
                return self._cease(_own_fault(command.code), text, "ev", now, ok=False, severe=True)
            case _:
                return []

    def _contacts(self, closed: bool, now: int) -> list[Any]:
        was, self.closed = self.closed, closed
        if closed:
            return self._ready(now)
        self.line.done(t.EV_OPENED)
        if was and self.phase in ("ready", "charging") and self._asked:
            return self._cease({"relay": 1}, "the contactors have opened by themselves", "ev", now, ok=False)
        if self.phase == "ready" and self._asked:
            return self._cease({"relay": 1}, "the contactors do not close", "ev", now, ok=False)
        return self._part(now)

    def _halt(self, command: Halt, now: int) -> list[Any]:
        full = self.drive.soc >= self.drive.target_soc
        reason = command.reason or ("the battery is full" if full else "the vehicle ends it")
        flags = {"soc_reached": 1} if full else {}
        if command.emergency:
            flags = {"other": 1}
        return self._cease(flags, reason, "ev", now, ok=not command.emergency, severe=command.emergency)

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _expired(self, rule: TimerRule, now: int) -> list[Any]:
        if rule is t.SEVERE:
            return self._open(now)
        if rule is t.EV_OPENED:
            told = Fault(code="EVContactorFault", by="ev", text="the contactors are not said to have opened")
            if self._end is not None:
                self._end = self._end[0], self._end[1], False
            return [told, *self._part(now)]
        if rule is t.POWER:
            return self._over(now, (f"the charger said nothing for {rule.ms} ms", "evse", False))
        if rule is t.AGAIN:
            reason, by, _ = self._end or ("", "evse", False)
            return self._over(now, (f"{reason}; the charger did not begin anew", by, False))
        if rule is t.OVERCURRENT:
            text = "the charger gives more current than was asked for"
            return self._cease({"over_current": 1}, text, "evse", now, ok=False, severe=True)
        if rule is t.CCS_PERMISSION:
            return self._cease({}, "the charger has not permitted charging for 10 min (CCS)", "evse", now)
        text = f"no {rule.name} came within {rule.ms} ms"
        field = _BEM[rule.name]
        if self.phase in ("stopping", "statistics"):
            bem = {signal.name: int(signal.name == field) for signal in MESSAGES["2015"]["BEM"].signals}
            effects = self._open(now)
            effects.append(Fault(code="EVCommunicationError", by="evse", text=text, rule=rule.clause))
            reason, by, _ = self._end or (text, "evse", False)
            return effects + self.line.send("BEM", bem, now) + self._over(now, (f"{reason}; {text}", by, False))
        return self._fail(field, text, "evse", now)


def _always(values: dict[str, Any]) -> Callable[[], dict[str, Any]]:
    return lambda: values


_CST_FAULTS = ("fault", "hot", "connector", "inside_hot", "no_energy", "emergency", "other", "current", "voltage")
_BEM = {
    t.CRM.name: "crm_00", t.CRM_AA.name: "crm_aa", t.CML.name: "cts_cml", t.CRO.name: "cro", t.CRO_READY.name: "cro",
    t.CCS_FIRST.name: "ccs", t.CCS.name: "ccs", t.CST.name: "cst", t.CSD.name: "csd",
}  # fmt: skip


def _own_fault(code: str) -> dict[str, int]:
    """A fault of the vehicle as BST has it."""
    field = {"HighTemperature": "battery_hot", "GroundFailure": "insulation", "EVContactorFault": "relay"}
    return {field.get(code, "other"): 1}


_Handler = Callable[[GbtEv, dict[str, Any], int, int], list[Any]]
_TALKING: tuple[Phase, ...] = ("configure", "ready", "charging")
HEARD: dict[str, tuple[tuple[Phase, ...], _Handler]] = {
    "CHM": (("unpowered", "handshake"), GbtEv.on_chm),
    "CRM": (("unpowered", "handshake", "identify", *_TALKING, "error"), GbtEv.on_crm),
    "CTS": (("configure", "ready"), GbtEv.on_cts),
    "CML": (("configure", "ready"), GbtEv.on_cml),
    "CRO": (("ready", "charging"), GbtEv.on_cro),
    "CCS": (("charging",), GbtEv.on_ccs),
    "CST": ((*_TALKING, "stopping", "statistics"), GbtEv.on_cst),
    "CSD": (("statistics",), GbtEv.on_csd),
    "CEM": (("identify", *_TALKING, "stopping", "statistics"), GbtEv.on_cem),
}
"""Which message means something in which phases, and what is done then."""
