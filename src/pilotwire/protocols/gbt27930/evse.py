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
from typing import Any

from pilotwire.core.evse_link import (
    Authorize,
    Contactor,
    EvseCommand,
    Fault,
    Isolation,
    Locked,
    Measured,
    Offer,
    Pause,
    Resume,
    Stop,
)
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.can.frame import CanFrame

from . import timers as t
from .codec import MESSAGES
from .evse_config import OFF_RULES, TALKING, EvseConfig, Phase
from .evse_heard import EvseHears
from .wires import Cc1

__all__ = ["HEARD", "EvseConfig", "GbtEvse", "Phase"]


class GbtEvse(EvseHears):
    """An `EvseLink`. `receive` takes `CanFrame` and `Cc1`."""

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
            if self.phase not in ("unplugged", "ended"):
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
        self.line.done(*OFF_RULES)
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

    # ── what the vehicle says ────────────────────────────────────────────────────────────────────────────────────────
    def _heard(self, name: str, values: dict[str, Any], size: int, now: int) -> list[Any]:
        heard = HEARD.get(name)
        if heard is None or self.phase not in heard[0]:
            self.line.counts.out_of_order += 1
            return []
        return heard[1](self, values, size, now)

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: EvseCommand, now: int) -> Sequence[Any]:
        self._now = now
        match command:
            case Offer():
                self.output.offer = command
                return self._output() if self.phase == "charging" else self._prepare(now)
            case Measured():
                self.output.measured = command
                return [*self.output.look(now), *self._prepare(now), *self._delivered(now), *self._closing(now)]
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
        if not command.accepted and self.phase in TALKING:
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
            if self.phase in TALKING:
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
        if self.phase not in TALKING:
            return self._close(now, (reason, "evse", not command.emergency))
        flags = {"fault": 1, "emergency": 1} if command.emergency else {"by_hand": 1}
        return self._cease(flags, reason, "evse", "", now, ok=not command.emergency, at_once=command.emergency)

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


_CEM = {
    t.BRM.name: "brm", t.BCP.name: "bcp", t.BRO.name: "bro", t.BRO_READY.name: "bro", t.BCL_FIRST.name: "bcl",
    t.BCL.name: "bcl", t.BCS.name: "bcs", t.BST.name: "bst", t.BSD.name: "bsd",
}  # fmt: skip


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
    "BST": ((*TALKING, "stopping", "statistics"), GbtEvse.on_bst),
    "BSD": (("stopping", "statistics"), GbtEvse.on_bsd),
    "BEM": (("identify", *TALKING, "stopping", "statistics"), GbtEvse.on_bem),
    "DM1": ((*TALKING, "stopping", "statistics"), GbtEvse.on_diagnostics),
}
"""Which message means something in which phases, and what is done then."""
