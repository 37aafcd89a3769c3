"""The vehicle's end of any ISO 15118 or DIN 70121 conversation: agrees on a protocol, then steps behind its machine.

It offers every dialect of its configuration that can carry one of its services on this connection, the preferred first;
if there is none, or the station takes none, the conversation is over before it has begun.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pilotwire.core.ev_link import Contacts, Drive, EvCommand, EvLink, Fault, Halt, Parted, Rest
from pilotwire.core.machines import Close, Send
from pilotwire.protocols import exi

from . import sap
from .config import Dialect, EvccConfig, Random
from .dialects import evcc_of
from .timers import SAP_RESPONSE, SETUP
from .v2gtp import SAP, Frame

State = Literal["idle", "asked", "agreed", "handed", "over"]


class Evcc:
    """An `EvLink` for one connection. It takes `v2gtp.Frame` and sends `Send(Frame)`.

    `tls`: the connection is secured; without it ISO 15118-20 is not offered. `pnc`: a `pnc.EvccPnc`. `resume`: the
    dialect of a session that was paused, and what its machine kept of it; that dialect is then preferred. `linked_ms`:
    how long before `start` the data link was up, which is when V2G_EVCC_CommunicationSetup_Timeout begins.
    """

    def __init__(
        self,
        config: EvccConfig,
        *,
        random: Random,
        tls: bool,
        pnc: Any = None,
        resume: tuple[Dialect, Any] | None = None,
        linked_ms: int = 0,
    ) -> None:
        self.state: State = "idle"
        self.dialect: Dialect | None = None
        """What was agreed on."""
        self.ignored = 0
        """Frames that were none of a conversation."""
        self.inner: EvLink | None = None
        """The machine of the dialect."""
        self._config = config
        self._random = random
        self._tls = tls
        self._pnc = pnc
        self._resume = resume
        self._linked_ms = linked_ms
        self._commands: dict[type, EvCommand] = {}
        self._offered = sap.usable(config.dialects, config.services, tls=tls)
        if resume is not None and resume[0] in self._offered:
            rest: tuple[Dialect, ...] = tuple(one for one in self._offered if one != resume[0])
            self._offered = (resume[0], *rest)
        self._answer_due: int | None = None
        self._setup_due: int | None = None

    @property
    def deadline(self) -> int | None:
        inner = self.inner.deadline if self.inner is not None else None
        return min((due for due in (self._answer_due, self._setup_due, inner) if due is not None), default=None)

    @property
    def kept(self) -> tuple[Dialect, Any] | None:
        """Of a session that sleeps: what `resume` of the next one wants."""
        kept = getattr(self.inner, "kept", None)
        return None if self.dialect is None or kept is None else (self.dialect, kept)

    def start(self, now: int) -> Sequence[Any]:
        """The connection is up."""
        if self.state != "idle":
            return ()
        if not self._offered:
            return self._end("none of the vehicle's protocols can be spoken on this connection", "ev")
        self.state = "asked"
        self._answer_due = now + SAP_RESPONSE.ms
        self._setup_due = now - self._linked_ms + SETUP.ms
        return [Send(Frame(SAP, sap.request(self._offered)))]

    def command(self, command: EvCommand, now: int) -> Sequence[Any]:
        """Handed on; until there is somebody to hand it to, the last one of each kind is kept."""
        if self.inner is not None:
            return self.inner.command(command, now)
        if self.state == "over":
            return ()
        if isinstance(command, Halt | Rest):
            reason = command.reason if isinstance(command, Halt) else ""
            return self._end(reason or "the vehicle wants no conversation any more", "ev", ok=True)
        if isinstance(command, Fault):
            return self._end(command.text or command.code, "ev")
        if isinstance(command, Drive | Contacts):
            self._commands[type(command)] = command
        return ()

    def receive(self, data: Frame, now: int) -> Sequence[Any]:
        if self.state in ("agreed", "handed"):
            assert self.inner is not None
            self.state, self._setup_due = "handed", None
            return self.inner.receive(data, now)
        if self.state != "asked":
            return ()
        if data.type != SAP:
            self.ignored += 1
            return ()
        return self._answered(data.payload, now)

    def elapse(self, now: int) -> Sequence[Any]:
        for due, rule, what in (
            (self._answer_due, SAP_RESPONSE, "no supportedAppProtocolRes"),
            (self._setup_due, SETUP, "no session was set up"),
        ):
            if due is not None and now >= due:
                told = () if self.inner is None else self.inner.lost(now)
                self.inner = None
                end = self._end(f"{what} in {rule.ms / 1000:g} s ({rule.name}, {rule.clause})", "evse")
                return [*(effect for effect in told if not isinstance(effect, Parted | Close)), *end]
        return () if self.inner is None else self.inner.elapse(now)

    def lost(self, now: int) -> Sequence[Any]:
        self._answer_due = self._setup_due = None
        if self.inner is not None:
            return self.inner.lost(now)
        if self.state == "over":
            return ()
        self.state = "over"
        return [Parted(reason="the connection was lost before a protocol was agreed on", by="evse", ok=False)]

    # -- supportedAppProtocol -----------------------------------------------------------------------------------------
    def _answered(self, payload: bytes, now: int) -> Sequence[Any]:
        try:
            message = sap.read(payload)
        except exi.DecodeError as error:
            return self._end(f"supportedAppProtocolRes cannot be read: {error}", "evse")
        if "supportedAppProtocolRes" not in message:
            return self._end("supportedAppProtocolReq came, which only a vehicle sends", "evse")
        answer = message["supportedAppProtocolRes"]
        if answer["ResponseCode"] == "Failed_NoNegotiation":
            names = ", ".join(sap.VERSIONS[dialect].namespace for dialect in self._offered)
            return self._end(f"the station speaks none of {names}", "evse")
        # Some stations leave out the number where there is nothing to choose from.
        number = answer.get("SchemaID", 1 if len(self._offered) == 1 else 0)
        if not 1 <= number <= len(self._offered):
            return self._end(f"the station chose protocol number {number}, which was not offered", "evse")
        self.dialect = dialect = self._offered[number - 1]
        resume = self._resume[1] if self._resume is not None and self._resume[0] == dialect else None
        self.inner = inner = evcc_of(dialect)(
            self._config, dialect, random=self._random, tls=self._tls, pnc=self._pnc, resume=resume
        )
        self.state, self._answer_due = "agreed", None
        effects: list[Any] = []
        assert inner is not None
        for command in self._commands.values():
            effects += inner.command(command, now)
        self._commands.clear()
        return [*effects, *inner.start(now)]

    def _end(self, reason: str, by: Literal["ev", "evse"], *, ok: bool = False) -> Sequence[Any]:
        self.state, self._answer_due, self._setup_due = "over", None, None
        return [Parted(reason=reason, by=by, ok=ok), Close(reason=reason)]
