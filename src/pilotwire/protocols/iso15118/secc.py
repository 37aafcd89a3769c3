"""The station's end of any ISO 15118 or DIN 70121 conversation: agrees on a protocol, then steps behind its machine.

    waiting ─ supportedAppProtocolReq that fits ─→ agreed ─ anything ─→ the dialect's machine has it
        │   ─ one that does not ─→ over: Failed_NoNegotiation, and the connection is closed ([V2G-DC-940])
        └── ─ silence for V2G_SECC_Sequence_Timeout ─→ over, likewise from agreed

Frames of other payload types than 8001 are ignored until then, as unknown ones are; they do not hold the timer up.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from typing import Any, Literal

from pilotwire.core.evse_link import Ended, EvseCommand, EvseLink, Fault, Stop
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi

from . import sap
from .config import Dialect, Random, SeccConfig
from .dialects import secc_of
from .timers import SECC_SEQUENCE
from .v2gtp import SAP, Frame

State = Literal["waiting", "agreed", "handed", "over"]


class Secc:
    """An `EvseLink` for one connection. It takes `v2gtp.Frame` and sends `Send(Frame)`.

    `tls`: the connection is secured; without it no dialect of ISO 15118-20 is agreed on, and nothing offers contract
    payment. `pnc`: a `pnc.SeccPnc`. `paused`: sessions that sleep, by their id, kept by the caller for all connections
    of an outlet.
    """

    def __init__(
        self,
        config: SeccConfig,
        *,
        random: Random,
        tls: bool,
        pnc: Any = None,
        paused: MutableMapping[bytes, Any] | None = None,
    ) -> None:
        self.state: State = "waiting"
        self.dialect: Dialect | None = None
        """What was agreed on."""
        self.ignored = 0
        """Frames that were none of a conversation."""
        self.inner: EvseLink | None = None
        """The machine of the dialect."""
        self._config = config
        self._random = random
        self._tls = tls
        self._pnc = pnc
        self._paused: MutableMapping[bytes, Any] = {} if paused is None else paused
        self._commands: dict[type, EvseCommand] = {}
        self._due: int | None = None

    @property
    def deadline(self) -> int | None:
        theirs = self.inner.deadline if self.inner is not None else None
        if self._due is None or theirs is None:
            return self._due if theirs is None else theirs
        return min(self._due, theirs)

    def start(self, now: int) -> Sequence[Any]:
        """The connection is up. Without this the timer begins with the first call."""
        if self._due is None and self.state == "waiting":
            self._due = now + SECC_SEQUENCE.ms
        return ()

    def command(self, command: EvseCommand, now: int) -> Sequence[Any]:
        """Handed on; until there is somebody to hand it to, the last one of each kind is kept."""
        if self.inner is not None:
            return self.inner.command(command, now)
        self.start(now)
        if self.state == "waiting":
            if isinstance(command, Stop) and command.emergency:
                return self._end(f"stopped before a protocol was agreed on: {command.reason}", "evse")
            self._commands.pop(type(command), None)
            self._commands[type(command)] = command
        return ()

    def receive(self, data: Frame, now: int) -> Sequence[Any]:
        if self.state in ("agreed", "handed"):
            assert self.inner is not None
            self.state, self._due = "handed", None
            return self.inner.receive(data, now)
        if self.state == "over":
            return ()
        self.start(now)
        if data.type != SAP:
            self.ignored += 1
            return ()
        return self._negotiate(data.payload, now)

    def elapse(self, now: int) -> Sequence[Any]:
        if self._due is not None and now >= self._due:
            what = "supportedAppProtocolReq" if self.state == "waiting" else "request behind supportedAppProtocol"
            told = () if self.inner is None else self.inner.lost(now)
            self.inner = None
            rule = f"{SECC_SEQUENCE.name}, {SECC_SEQUENCE.clause}"
            end = self._end(f"no {what} for {SECC_SEQUENCE.ms // 1000} s", "ev", rule)
            return [*(effect for effect in told if not isinstance(effect, Ended | Close)), *end]
        return () if self.inner is None else self.inner.elapse(now)

    def lost(self, now: int) -> Sequence[Any]:
        self._due = None
        if self.inner is not None:
            return self.inner.lost(now)
        if self.state == "over":
            return ()
        self.state = "over"
        return [Ended(reason="the connection was lost before a protocol was agreed on", by="ev", ok=False)]

    # -- supportedAppProtocol -----------------------------------------------------------------------------------------
    def _negotiate(self, payload: bytes, now: int) -> Sequence[Any]:
        try:
            message = sap.read(payload)
        except exi.DecodeError as error:
            return self._refuse(f"supportedAppProtocolReq cannot be read: {error}")
        if "supportedAppProtocolReq" not in message:
            return self._refuse("supportedAppProtocolRes came, which only a station sends")
        offered = message["supportedAppProtocolReq"]["AppProtocol"]
        known = sap.usable(self._config.dialects, self._config.services, tls=self._tls)
        choice = sap.choose(offered, known)
        if choice.dialect is None:
            names = ", ".join(f"{one['ProtocolNamespace']} {one['VersionNumberMajor']}" for one in offered)
            return self._refuse(f"none of the vehicle's protocols is spoken here: {names}")
        self.dialect = choice.dialect
        self.inner = secc_of(choice.dialect)(
            self._config, choice.dialect, random=self._random, tls=self._tls, pnc=self._pnc, paused=self._paused
        )
        self.state, self._due = "agreed", now + SECC_SEQUENCE.ms
        effects: list[Any] = [Send(Frame(SAP, sap.response(choice)))]
        assert self.inner is not None
        for command in self._commands.values():
            effects += self.inner.command(command, now)
        self._commands.clear()
        return effects

    def _refuse(self, reason: str) -> Sequence[Any]:
        refusal = Send(Frame(SAP, sap.response(sap.Choice(None, "Failed_NoNegotiation"))))
        return [refusal, *self._end(reason, "ev", "supportedAppProtocol, ISO 15118-2 8.2")]

    def _end(self, reason: str, by: Literal["ev", "evse"], rule: str = "") -> Sequence[Any]:
        self.state, self._due = "over", None
        fault = [Fault(code="no-negotiation", by=by, text=reason, rule=rule)] if rule else []
        return [*fault, Ended(reason=reason, by=by, ok=False), Close(reason=reason)]
