"""The charger's end of GB/T 27930: finds out which edition the vehicle speaks, charges, and ends safely whatever comes.

    unplugged → locking → handshake (CHM) → insulation → identify (CRM 00) → recognised (CRM AA)
      → configure (CTS, CML) → prepare (CRO 00) → ready (CRO AA) → charging (CCS)
      → stopping (CST) → statistics (CST, CSD) → closing → ended
    error (CEM) → identify, three times at most; then the plug has to be drawn

Which message means something in which phase is the table `HEARD`; what else comes is counted. A message that is not as
the standard has it counts as one that did not come (clause 8), so what waits for it runs out. On any failure the first
thing that is said is that the output is to be off.

It is given `CanFrame`s and the plug's `Cc1`, and sends `CanFrame`s and `Supply`, the vehicle's 12 V.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Literal

import msgspec

from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Authorize,
    Connected,
    Contactor,
    Ended,
    EvseCommand,
    Fault,
    Identified,
    Isolation,
    IsolationAsked,
    Limits,
    Locked,
    Measured,
    Needs,
    Offer,
    Pause,
    Resume,
    Side,
    Stop,
)
from pilotwire.core.machines import Send
from pilotwire.core.time import to_datetime
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.j1939 import Limits as TransportLimits

from . import timers as t
from .codec import MESSAGES, said
from .fields import BMS, CHARGER, MOST_MA
from .line import Line
from .messages import V1_1
from .output import Output
from .wires import Cc1, Supply

Phase = Literal[
    "unplugged", "locking", "handshake", "insulation", "identify", "recognised", "configure", "prepare", "ready",
    "charging", "stopping", "statistics", "error", "closing", "ended",
]  # fmt: skip
_NEAR_MV = 10_000
"""So near to the battery's voltage the output is when the contactor closes (GB/T 18487.1 B.3.5)."""
_TOLERANCE_MA = 1_000
_MIN_MS = 60_000


class EvseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One charger."""

    charger: int = 1
    """Its number (CRM, CSD)."""
    region: str = ""
    """Of the station, in ASCII (CRM)."""
    edition: Literal["auto", "2011", "2015"] = "auto"
    max_mv: int | None = None
    """What it can do at most (CML); None: the offer of the moment. What is offered later bounds the output all the
    same, but CML is told only once."""
    min_mv: int = 200_000
    max_ma: int | None = None
    min_ma: int = 0
    clip_current: bool = False
    """A vehicle that asks for more current than CML allows gets what is allowed; else it is an error and charging
    stops. More voltage is always one."""
    authorize_first: bool = False
    """The vehicle's supply is switched on only when charging is authorised; else the vehicle is asked for its VIN
    before, and has to be authorised within 55 s."""
    utc_offset_ms: int = 8 * 3_600_000
    """Of the local time that CTS tells."""
    transport: TransportLimits = TransportLimits()


class GbtEvse:
    """An `EvseLink`. `receive` takes `CanFrame` and `Cc1`."""

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
        self._connected = self._bhm = self._asked = self._contactor_asked = False
        self._attempts = 0
        self._battery: dict[str, Any] = {}
        self._brm: dict[str, Any] = {}
        self._told: dict[str, int] = {}
        self._demand: dict[str, Any] | None = None
        self._state: dict[str, int] = {}
        self._have_bcs = self._bro = False
        self._stop: dict[str, int] = {}
        self._end: tuple[str, Side, bool] | None = None
        self._charging_since: int | None = None
        self._stopped_at = 0
        self._energy_before = 0
        self._needs: Needs | None = None

    # ── Machine ──────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def deadline(self) -> int | None:
        return self.line.deadline

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        self._now = now
        if isinstance(data, Cc1):
            return self._cc1(data.connected, now)
        if not isinstance(data, CanFrame) or self.phase in ("unplugged", "locking", "closing", "ended"):
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
            first += self._expired(rule, now)
        return [*first, *effects, *self.line.cycle(now)]

    def lost(self, now: int) -> Sequence[Any]:
        """The bus is gone: off, and over. Nobody asks us again, so nothing is waited for."""
        self._now = now
        if self.phase in ("unplugged", "ended"):
            return []
        reason = "the CAN bus is gone"
        effects = self.output.off(now, at_once=True)
        if self.phase != "closing":
            effects.append(Fault(code="EVCommunicationError", by="evse", text=reason))
            self._end = reason, "evse", False
        self._done_but_output()
        self.line.done(*_OFF_RULES)
        self.output.live = self.output.live or not self.output.touchable
        self.phase = "closing"
        self._replugged = False
        return effects + self._closing(now)

    # ── the plug ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _cc1(self, connected: bool, now: int) -> list[Any]:
        if connected == self._plugged:
            return []
        self._plugged = connected
        if connected:
            self._needs_replug = False
            self._replugged = self.phase == "closing"
            return self._begin(now) if self.phase == "unplugged" else []
        self._authorized = None
        if self.phase in ("unplugged", "ended"):
            self.phase = "unplugged"
            return []
        if self.phase == "closing":
            return []
        return self._abort("ProximityFault", "the plug was drawn (CC1)", "ev", now, unplugged=True)

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
        self._have_bcs = self._bro = self._contactor_asked = False
        self._demand, self._state = None, {}
        self.line.wait(t.BRM, now)
        return self.line.repeat("CRM", lambda: self._crm(0x00), now)

    def _crm(self, recognised: int) -> dict[str, Any]:
        return {
            "recognised": recognised,
            "charger": self.config.charger,
            "region": self.config.region or None,
        }

    # ── what the vehicle says ────────────────────────────────────────────────────────────────────────────────────────
    def _heard(self, name: str, values: dict[str, Any], size: int, now: int) -> list[Any]:
        heard = HEARD.get(name)
        if heard is None or self.phase not in heard[0]:
            self.line.counts.out_of_order += 1
            return []
        return heard[1](self, values, size, now)

    def on_bhm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase != "handshake":
            return []
        self._bhm = True
        effects = self._connect("2015")
        if values["max_voltage"] is not None:
            effects.append(Limits(service="DC", max_mv=values["max_voltage"]))
        return effects + self._insulation(now)

    def _connect(self, edition: Literal["2011", "2015"]) -> list[Any]:
        if self._connected:
            return []
        self._connected = True
        self.line.edition = edition
        return [Connected(protocol="gbt27930-2011" if edition == "2011" else "gbt27930-2015")]

    def on_brm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase == "recognised":
            return []
        self._brm = values
        effects: list[Any] = []
        if not self._connected:
            newer = values["version"] >= V1_1 and self.config.edition != "2011"
            effects += self._connect("2015" if newer else "2011")
        if vin := values["vin"]:
            effects.append(Identified(vin=vin))
        self.phase = "recognised"
        self.line.done(t.BRM)
        self.line.wait(t.BCP, now)
        effects += self.line.repeat("CRM", lambda: self._crm(0xAA), now)
        # The one that goes out every 250 ms says AA from its next turn on; this one says it at once.
        effects += self.line.send("CRM", self._crm(0xAA), now)
        return effects + self._ask()

    def on_bcp(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if self.phase != "recognised":
            return []
        self._battery = values
        self.line.done(t.BCP)
        capacity, soc = values["capacity"], values["soc"]
        effects: list[Any] = [
            Limits(
                service="DC",
                max_mv=values["max_voltage"],
                max_ma=values["max_current"],
                capacity_wh=capacity,
            ),
            *self._need(soc=soc),
        ]
        self.line.quiet("CRM")
        offer = self.output.offer
        self._told = {
            "max_voltage": self.config.max_mv or offer.max_mv or 0,
            "min_voltage": max(self.config.min_mv, offer.min_mv),
            "max_current": min(MOST_MA, self.config.max_ma if self.config.max_ma is not None else offer.max_ma),
            "min_current": max(self.config.min_ma, offer.min_ma),
        }
        if problem := self._misfit(values):
            return effects + self._cease({"fault": 1, "other": 1}, problem, "evse", "InvalidVehicleMode", now)
        self.phase = "configure"
        self.line.wait(t.BRO, now)
        self.line.wait(t.BRO_READY, now)
        effects += self.line.repeat("CTS", self._time, now)
        return effects + self.line.repeat("CML", self._cml, now)

    def _misfit(self, battery: dict[str, Any]) -> str:
        """Why battery and charger do not go together; empty: they do."""
        highest, lowest = self._told["max_voltage"], self._told["min_voltage"]
        voltage, limit = battery["voltage"], battery["max_voltage"]
        if limit is None or limit < lowest:
            return f"the battery takes {limit} mV at most, the charger gives {lowest} mV at least"
        if voltage is not None and not lowest <= voltage <= highest:
            return f"the battery has {voltage} mV, the charger gives {lowest} to {highest} mV"
        return ""

    def _cml(self) -> dict[str, int]:
        known = {signal.name for signal in MESSAGES[self.line.edition]["CML"].signals}
        return {name: value for name, value in self._told.items() if name in known}

    def _time(self) -> dict[str, int]:
        when = to_datetime(self._now + self.config.utc_offset_ms)
        return {
            "second": when.second, "minute": when.minute, "hour": when.hour,
            "day": when.day, "month": when.month, "year": when.year,
        }  # fmt: skip

    def on_bro(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.BRO)
        if values["ready"] != 0xAA:
            if self.phase == "configure":
                self.line.wait(t.BRO, now)
            return []
        if self.phase != "configure":
            return []
        self._bro = True
        self.phase = "prepare"
        self.line.done(t.BRO_READY)
        self.line.wait(t.READY, now)
        self.line.quiet("CTS", "CML")
        effects = self.line.repeat("CRO", lambda: {"ready": 0xAA if self.phase == "ready" else 0x00}, now)
        return effects + self._prepare(now)

    def _prepare(self, now: int) -> list[Any]:
        """Authorised, then precharged, then the contactor, then CRO(AA)."""
        if self.phase != "prepare":
            return []
        if self._authorized is False:
            return self._cease({"condition_reached": 1}, "charging is not authorised", "evse", "", now)
        if self._authorized is None:
            return self._ask()
        battery_mv = self._battery.get("voltage") or 0
        if not self._contactor_asked:
            effects = self.output.ask(battery_mv, 0, precharge=True)
            if abs(self.output.measured.mv - battery_mv) > _NEAR_MV:
                return effects
            self._contactor_asked = True
            return effects + self.output.close()
        if not self.output.closed:
            return []
        self.phase = "ready"
        self.line.done(t.READY)
        self.line.wait(t.BCL_FIRST, now)
        self.line.wait(t.BCS, now)
        return self.line.send("CRO", {"ready": 0xAA}, now)

    def on_bcl(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        voltage, current = values["voltage"], values["current"]
        if voltage is None or current is None:
            self.line.counts.malformed += 1
            return []
        self.line.done(t.BCL_FIRST)
        self.line.wait(t.BCL, now)
        if problem := self._excess(voltage, current):
            flags = {"fault": 1, problem[1]: 1}
            return self._cease(flags, problem[0], "ev", problem[2], now, rule="BCL, GB/T 27930-2015 10.3.1")
        self._demand = values
        return self._go_on(now)

    def _excess(self, voltage: int, current: int) -> tuple[str, str, str] | None:
        """What the vehicle asks for beyond what was agreed: in words, as a bit of CST, as a code."""
        limit = self._battery.get("max_voltage")
        if limit is not None and voltage > limit:
            return f"the vehicle asks for {voltage} mV, its own limit is {limit} mV (BCP)", "voltage", "OverVoltage"
        if voltage > self._told["max_voltage"]:
            most = self._told["max_voltage"]
            return f"the vehicle asks for {voltage} mV, {most} mV are allowed (CML)", "voltage", "OverVoltage"
        if current < 0:
            return f"the vehicle asks to give {-current} mA back", "current", "OverCurrentFailure"
        most = self._told["max_current"]
        if current > most + _TOLERANCE_MA and not self.config.clip_current:
            text = f"the vehicle asks for {current} mA, {most} mA are allowed (CML)"
            return text, "current", "OverCurrentFailure"
        return None

    def on_bcs(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        if values["voltage"] is None or values["current"] is None:
            self.line.counts.malformed += 1
            return []
        self._have_bcs = True
        self.line.wait(t.BCS, now)
        return [*self._need(soc=values["soc"], remaining_ms=values["remaining"]), *self._go_on(now)]

    def _need(self, *, soc: int | None, remaining_ms: int | None = None) -> list[Any]:
        needs = Needs(soc=soc, remaining_ms=remaining_ms)
        if needs == self._needs or soc is None:
            return []
        self._needs = needs
        return [needs]

    def _go_on(self, now: int) -> list[Any]:
        """The output follows the demand; from the first demand and status on CCS is told."""
        if self.phase == "ready":
            if self._demand is None or not self._have_bcs:
                return []
            self.phase = "charging"
            self._charging_since = now
            self._energy_before = self.output.measured.energy_wh
            self.line.quiet("CRO")
            return [*self._output(), *self.line.repeat("CCS", self._ccs, now)]
        return self._output() if self.phase == "charging" else []

    def _output(self) -> list[Any]:
        demand = self._demand
        if demand is None or self._paused or self._state.get("permitted") == 0:
            return self.output.rest()
        return self.output.ask(demand["voltage"], min(demand["current"], self._told["max_current"]))

    def _ccs(self) -> dict[str, Any]:
        measured, since = self.output.measured, self._charging_since
        values: dict[str, Any] = {
            "voltage": measured.mv,
            "current": measured.ma,
            "time": min(600, (self._now - since) // _MIN_MS) * _MIN_MS if since is not None else 0,
        }
        if self.line.edition == "2015":
            values["permitted"] = 0 if self._paused else 1
        return values

    def on_bsm(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        # Untrusted (10): what was said before still holds (annex C.3); too low (10 of the first two) is said.
        for name in _STATES:
            value = values[name]
            if value is not None and (value != 2 or name in ("cell_voltage", "soc")):
                self._state[name] = value
        if words := said("BSM", {name: self._state.get(name, 0) for name in _STATES if name != "permitted"}):
            code = next(code for name, code in _BSM_CODES.items() if self._state.get(name))
            text = f"the vehicle's battery is not as it should be: {words}"
            return self._cease({"fault": 1, "other": 1}, text, "ev", code, now, rule="BSM, GB/T 27930-2015 10.3.4")
        if self._state.get("permitted") == 0:
            self.line.wait_on(t.PERMISSION, now)
        else:
            self.line.done(t.PERMISSION)
        return self._go_on(now)

    def on_bmv(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.cells = tuple(values["cells"])
        return []

    def on_bmt(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.temperatures = tuple(values["temperatures"])
        return []

    def on_bst(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.BST)
        if self.phase == "statistics":
            return []
        if self.phase == "stopping":
            self.phase = "statistics"
            return []
        words = said("BST", values)
        good = not any(values[name] == 1 for name in _BST_FAULTS)
        told = f"the vehicle has stopped (BST): {words}" if words else "the vehicle has stopped (BST)"
        code = "" if good else "EVContactorFault" if values["relay"] == 1 else "EVChargingFault"
        effects = self._cease({"bms_stopped": 1}, told, "ev", code, now, ok=good, rule="BST, GB/T 27930-2015 10.3.8")
        self.line.done(t.BST)
        self.phase = "statistics"
        return effects

    def on_bsd(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        self.line.done(t.BSD, t.BST)
        self.phase = "statistics"
        self.line.quiet("CST")
        self.line.wait(t.LINGER, now)
        return [*self._need(soc=values["soc"]), *self.line.repeat("CSD", self._csd, now)]

    def _csd(self) -> dict[str, Any]:
        since = self._charging_since
        ended = self._stopped_at if since is not None else 0
        return {
            "time": min(600, (ended - (since or 0)) // _MIN_MS) * _MIN_MS,
            "energy": max(0, self.output.measured.energy_wh - self._energy_before),
            "charger": self.config.charger,
        }

    def on_bem(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        words = said("BEM", values)
        if not words:
            return []
        if self.phase in ("stopping", "statistics"):
            return self._close(now, ok=False)
        return self._fail(None, f"the vehicle tells of an error (BEM): {words}", "ev", now)

    def on_diagnostics(self, values: dict[str, Any], size: int, now: int) -> list[Any]:
        codes = ", ".join(f"SPN {code['spn']} mode {code['mode']}" for code in values["codes"])
        return [Fault(code="EVDiagnostics", by="ev", text=codes, rule="DM1, GB/T 27930-2015 annex B")] if codes else []

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: EvseCommand, now: int) -> Sequence[Any]:
        self._now = now
        match command:
            case Offer():
                self.output.offer = command
                return self._output() if self.phase == "charging" else self._prepare(now)
            case Measured():
                self.output.measured = command
                return [*self.output.look(now), *self._prepare(now), *self._closing(now)]
            case Contactor():
                return self._contactor(command.closed, now)
            case Locked():
                return self._lock_is(command.locked, now)
            case Isolation():
                return self._isolation(command.status, now)
            case Authorize():
                return self._authorize(command, now)
            case Pause() | Resume():
                self._paused = isinstance(command, Pause)
                return self._output() if self.phase == "charging" else []
            case Stop():
                return self._stop_asked(command, now)
            case Fault():
                text = f"fault of the charger: {command.text or command.code}"
                return self._cease(_own_fault(command.code), text, "evse", "", now, ok=False)
            case _:
                return []

    def _authorize(self, command: Authorize, now: int) -> list[Any]:
        self._authorized = command.accepted
        if command.accepted and self.phase == "ended" and self._plugged and not self._needs_replug:
            return self._begin(now)
        if self.phase == "locking" and self.config.authorize_first:
            if not command.accepted:
                return self._close(now, ("charging is not authorised", "evse", True))
            return [] if self.line.waits(t.LOCK) else self._lock(now)
        if not command.accepted and self.phase in _TALKING:
            return self._cease({"condition_reached": 1}, "charging is not authorised", "evse", "", now)
        return self._prepare(now)

    def _lock_is(self, locked: bool, now: int) -> list[Any]:
        if self.output.unlocking and not locked:
            self.output.unlocking = False  # the answer to what was asked at the end of the session before
            return []
        self.output.locked = locked
        if self.phase == "locking" and self.line.waits(t.LOCK):
            if locked:
                return self._power(now)
            return self._abort("ConnectorLockFailure", "the plug cannot be locked", "evse", now)
        if not locked and self.phase not in ("unplugged", "closing", "ended", "locking"):
            flags = {"fault": 1, "connector": 1}
            return self._cease(flags, "the lock of the plug has opened", "evse", "ConnectorLockFailure", now)
        return []

    def _isolation(self, status: str, now: int) -> list[Any]:
        if status == "fault":
            if self.phase == "insulation":
                return self._abort("CableCheckFailure", "the insulation test has failed", "evse", now)
            if self.phase in _TALKING:
                flags = {"fault": 1, "other": 1}
                return self._cease(flags, "the insulation is bad", "evse", "GroundFailure", now)
            return []
        return self._identify(now) if self.phase == "insulation" else []

    def _contactor(self, closed: bool, now: int) -> list[Any]:
        self.output.closed = closed
        if closed:
            return self._prepare(now)
        if self.phase in ("ready", "charging"):
            flags = {"fault": 1, "other": 1}
            return self._cease(flags, "the contactor has opened by itself", "evse", "EVSEContactorFault", now)
        if self.phase == "prepare" and self._contactor_asked:
            flags = {"fault": 1, "other": 1}
            return self._cease(flags, "the contactor does not close", "evse", "EVSEContactorFault", now)
        return [*self.output.look(now), *self._closing(now)]

    def _stop_asked(self, command: Stop, now: int) -> list[Any]:
        if self.phase in ("unplugged", "closing", "ended"):
            return []
        reason = command.reason or "stopped at the charger"
        if self.phase in ("stopping", "statistics"):
            return self.output.off(now, at_once=command.emergency)
        if self.phase not in _TALKING:
            return self._close(now, (reason, "evse", not command.emergency))
        flags = {"fault": 1, "emergency": 1} if command.emergency else {"by_hand": 1}
        return self._cease(flags, reason, "evse", "", now, ok=not command.emergency, at_once=command.emergency)

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
        if self.phase not in _TALKING:
            return effects + self._close(now)
        self.phase = "stopping"
        self._stopped_at = now
        self._stop = flags
        self.line.quiet()
        self._done_but_output()
        self.line.wait(t.BST, now)
        self.line.wait(t.BSD, now)
        cst = {signal.name: flags.get(signal.name, 0) for signal in MESSAGES["2015"]["CST"].signals}
        return effects + self.line.repeat("CST", lambda: cst, now)

    def _done_but_output(self) -> None:
        """Nothing is waited for any more, but for the output to go off."""
        self.line.done(*(rule for rule in t.EVSE_TIMERS if rule not in _OFF_RULES))

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

    # ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────────
    def _expired(self, rule: TimerRule, now: int) -> list[Any]:
        if rule in (t.CURRENT, t.UNPLUGGED):
            return [*self.output.late(now), *self._closing(now)]
        if rule in (t.OPENED, t.VOLTAGE):
            return [*self.output.stuck(rule.name), *self._closing(now)]
        if rule is t.BHM:
            if self.config.edition == "2015":
                return self._abort("EVCommunicationError", "no BHM came in time", "ev", now)
            self.line.quiet("CHM")
            self.line.edition = "2011"
            return self._insulation(now)
        if rule is t.SHOWN:
            return self._again(now)
        if rule is t.LINGER:
            return self._close(now)
        if rule is t.LOCK:
            return self._abort("ConnectorLockFailure", "the plug cannot be locked", "evse", now)
        if rule is t.INSULATION:
            return self._abort("CableCheckFailure", "the insulation test did not end in time", "evse", now)
        if rule is t.READY:
            if self._authorized is None:
                return self._cease({"condition_reached": 1}, "nobody has authorised charging in time", "evse",
                                   "AuthorizationTimeout", now)  # fmt: skip
            text = "the output did not reach the battery's voltage in time"
            return self._cease({"fault": 1, "voltage": 1}, text, "evse", "PreChargeFailure", now)
        if rule is t.PERMISSION:
            text = "the vehicle has not permitted charging for 10 min (BSM)"
            return self._cease({"condition_reached": 1}, text, "ev", "", now)
        field = _CEM[rule.name]
        text = f"no {rule.name} came within {rule.ms} ms"
        if self.phase in ("stopping", "statistics"):
            cem = {signal.name: int(signal.name == field) for signal in MESSAGES["2015"]["CEM"].signals}
            effects = self.output.off(now)
            effects += [Fault(code="EVCommunicationError", by="ev", text=text, rule=rule.clause)]
            return effects + self.line.send("CEM", cem, now) + self._close(now, ok=False)
        return self._fail(field, text, "ev", now)


_TALKING = ("recognised", "configure", "prepare", "ready", "charging")
_STATES = (
    "cell_voltage", "soc", "over_current", "over_temperature", "insulation", "connector", "permitted",
)  # fmt: skip
_BSM_CODES = {
    "over_current": "OverCurrentFailure",
    "over_temperature": "HighTemperature",
    "insulation": "GroundFailure",
    "connector": "EVContactorFault",
    "cell_voltage": "EVBatteryFault",
    "soc": "EVBatteryFault",
}
_BST_FAULTS = (
    "insulation", "connector_hot", "component_hot", "connector", "battery_hot", "relay", "detection_point_2", "other",
    "over_current", "voltage",
)  # fmt: skip
_CEM = {
    t.BRM.name: "brm", t.BCP.name: "bcp", t.BRO.name: "bro", t.BRO_READY.name: "bro", t.BCL_FIRST.name: "bcl",
    t.BCL.name: "bcl", t.BCS.name: "bcs", t.BST.name: "bst", t.BSD.name: "bsd",
}  # fmt: skip
_OFF_RULES = (t.CURRENT, t.UNPLUGGED, t.OPENED, t.VOLTAGE)


def _own_fault(code: str) -> dict[str, int]:
    """A fault of the charger as CST has it."""
    field = {"HighTemperature": "hot", "EmergencyStop": "emergency", "ConnectorLockFailure": "connector"}
    return {"fault": 1, field.get(code, "other"): 1}


_Handler = Callable[[GbtEvse, dict[str, Any], int, int], list[Any]]
HEARD: dict[str, tuple[tuple[Phase, ...], _Handler]] = {
    "BHM": (("handshake", "insulation", "identify"), GbtEvse.on_bhm),
    "BRM": (("identify", "recognised"), GbtEvse.on_brm),
    "BCP": (("recognised", "configure"), GbtEvse.on_bcp),
    "BRO": (("configure", "prepare", "ready"), GbtEvse.on_bro),
    "BCL": (("ready", "charging"), GbtEvse.on_bcl),
    "BCS": (("ready", "charging"), GbtEvse.on_bcs),
    "BSM": (("ready", "charging"), GbtEvse.on_bsm),
    "BMV": (("ready", "charging"), GbtEvse.on_bmv),
    "BMT": (("ready", "charging"), GbtEvse.on_bmt),
    "BST": ((*_TALKING, "stopping", "statistics"), GbtEvse.on_bst),
    "BSD": (("stopping", "statistics"), GbtEvse.on_bsd),
    "BEM": (("identify", *_TALKING, "stopping", "statistics"), GbtEvse.on_bem),
    "DM1": ((*_TALKING, "stopping", "statistics"), GbtEvse.on_diagnostics),
}
"""Which message means something in which phases, and what is done then."""
