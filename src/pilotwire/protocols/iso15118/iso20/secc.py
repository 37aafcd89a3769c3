"""The station's end of ISO 15118-20: streams, timers, commands. What the messages mean is in `secc_*` and `modes`.

    frame → Iso20Secc.receive → table of states → handler → `answer` or `refuse`

Whatever goes wrong, the output is off before anything else is said, the vehicle gets a schema-valid answer with the
code that fits, and the connection is closed when the vehicle has had time to do so itself ([V2G20-1633]).
"""

from __future__ import annotations

from collections.abc import Callable, MutableMapping, Sequence
from typing import Any

from pilotwire.core import evse_link as link
from pilotwire.core.evse_link import Authorize, Ended, EvseCommand, Fault, Measured, Offer, Schedule, Side
from pilotwire.core.machines import Close, Send
from pilotwire.protocols.exi import EncodeError

from .. import v2gtp
from ..config import Dialect, Random, SeccConfig
from ..pnc import SeccPnc
from ..timers import CLOSE_WAIT
from . import timers, wire
from .alarms import Alarms
from .before_secc import Before
from .modes import EMPTY, SeccMode
from .output import Output
from .secc_access import Access
from .secc_commands import Commands, Notice
from .secc_power import Power
from .secc_services import Services
from .secc_sides import Sides
from .session import Session
from .states import COMMON, requests
from .wire import Came

Message = dict[str, Any]


class Iso20Secc:
    """An `EvseLink` behind supportedAppProtocol. It takes `v2gtp.Frame` and sends `Send(Frame)`.

    `paused` keeps what sleeps, by session id, for all connections of an outlet.
    """

    def __init__(
        self,
        config: SeccConfig,
        dialect: Dialect,
        *,
        random: Random,
        tls: bool,
        pnc: SeccPnc | None = None,
        paused: MutableMapping[bytes, Any],
    ) -> None:
        self.config = config
        self.dialect: Dialect = dialect
        self.random = random
        self.tls = tls
        self.pnc = pnc
        self.paused = paused
        self.state = "SessionSetup"
        self.session = Session(id=b"")
        self.mode: SeccMode | None = None
        self.offer: Offer | None = None
        self.measured = Measured()
        self.position = link.Positioned(in_place=True)
        self.schedules: dict[int, Schedule] = {}
        self.authorize: Authorize | None = None
        self.notices: set[Notice] = set()
        self.ignored = 0
        """Frames of payload types that are not of this standard."""
        self.refused = 0
        """Requests answered FAILED."""
        self.alarms = Alarms()
        self.output = Output(self.emit)
        self.now = 0
        self._loop_ms = timers.SEQUENCE_LOOP.ms if config.loop_ms is None else config.loop_ms
        self._out: list[Any] = []
        self._open: dict[int, Came] = {}
        """Requests that have no answer yet, by stream."""
        self._rearm = False
        self._doom: tuple[str, str, Side, str] | None = None
        self.access = Access(self)
        self.before = Before(self)
        self.services = Services(self)
        self.power = Power(self)
        self.sides = Sides(self)
        self._handlers: dict[str, Callable[[Came], None]] = (
            self.access.handlers | self.before.handlers | self.services.handlers | self.power.handlers
        )
        self.commands = Commands(self)

    # ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def deadline(self) -> int | None:
        return self.alarms.next

    def start(self, now: int) -> Sequence[Any]:
        """supportedAppProtocol is agreed upon: the vehicle has V2G_SECC_Sequence_Timeout for SessionSetupReq."""
        self.alarms.begin("sequence", now + timers.SEQUENCE.ms)
        return ()

    def receive(self, data: v2gtp.Frame, now: int) -> Sequence[Any]:
        return self._step(now, lambda: self._received(data))

    def command(self, command: EvseCommand, now: int) -> Sequence[Any]:
        known = self.commands.handlers.get(type(command))
        return () if known is None else self._step(now, lambda: known(command))

    def elapse(self, now: int) -> Sequence[Any]:
        def all_due() -> None:
            while self.state != "Over" and (name := self.alarms.expired(now)) is not None:
                self._expired(name)

        return self._step(now, all_due)

    def lost(self, now: int) -> Sequence[Any]:
        def gone() -> None:
            self.output.off()
            self._over("the connection was lost", "ev", ok=False, close=False)

        return self._step(now, gone)

    def _step(self, now: int, what: Callable[[], None]) -> Sequence[Any]:
        if self.state == "Over":
            return ()
        self.now = now
        what()
        if self._rearm and self.state != "Over":
            self._rearm = False
            ms = self._loop_ms if self.in_loop else timers.SEQUENCE.ms
            self.alarms.set("sequence", now + ms)
        out, self._out = self._out, []
        return out

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def allowed(self) -> frozenset[str]:
        """The requests that may come on the main stream now."""
        if self.state == "Resumed":
            assert self.mode is not None
            return COMMON["AuthorizationSetup"] | self.mode.states[self.mode.discovery]
        own = COMMON.get(self.state)
        if own is None:
            assert self.mode is not None
            own = self.mode.states[self.state]
        if self.mode is not None and self.state == self.mode.loop:
            own |= requests("PowerDeliveryReq")
        return own

    @property
    def in_loop(self) -> bool:
        """Energy flows, or may, or stands by."""
        return self.mode is not None and self.state == self.mode.loop

    def _received(self, frame: v2gtp.Frame) -> None:
        if frame.type not in wire.SCHEMAS:
            self.ignored += 1
            return
        try:
            came = wire.read(frame)
            if wire.response_to(came.name) not in EMPTY or not came.name.endswith("Req"):
                raise wire.Unreadable(f"{came.name} is nothing that a vehicle says", "")
        except wire.Unreadable as error:
            self._unreadable(frame, error)
            return
        twice = came.stream in self._open
        self._open[came.stream] = came
        if came.stream == wire.MAIN_STREAM:
            self.alarms.drop("sequence")
        open_here = self.allowed if came.stream == wire.MAIN_STREAM else self.sides.allowed(came.stream)
        if twice or came.name not in open_here:
            wanted = " or ".join(sorted(open_here)) or "nothing"
            text = "the one before it has no answer yet" if twice else f"{wanted} is what may come in {self.state}"
            self.refuse(came, "FAILED_SequenceError", text, "[V2G20-459]")
        elif came.name != "SessionSetupReq" and came.body["Header"]["SessionID"] != self.session.id:
            self.refuse(came, "FAILED_UnknownSession", "it names a session that is not this one", "[V2G20-460]")
        elif self._doom is not None and came.name != "SessionStopReq":
            code, text, by, fault = self._doom
            self.refuse(came, code, text, "", by=by, fault=fault)
        elif came.stream != wire.MAIN_STREAM:
            self.sides.handle(came)
        else:
            handler = self._handlers.get(came.name)
            if handler is None:
                assert self.mode is not None
                handler = self.mode.handlers[came.name]
            handler(came)

    def _unreadable(self, frame: v2gtp.Frame, error: wire.Unreadable) -> None:
        """Its sender is answered what it asked, if that can be read, else what it was to ask.

        The standard lets such a message be ignored ([V2G20-445]), which leaves the output on until a timer runs out;
        an answer that fails ends it at once, for both ends."""
        name, type_ = error.name, frame.type
        if not name.endswith("Req") or wire.response_to(name) not in EMPTY:
            name = min(self.allowed - {"SessionStopReq"}, default="SessionStopReq")
            type_ = wire.payload_of(name)
        came = Came(type_, wire.stream_of(type_), name, {}, frame.payload)
        self.refuse(came, "FAILED", f"it cannot be read: {error}", "[V2G20-445]")

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def answer(self, came: Came, code: str = "OK", /, signature: Message | None = None, **fields: Any) -> None:
        """The answer to a request, on its stream. What `fields` leave out is not sent."""
        self._open.pop(came.stream, None)
        body: Message = {"Header": wire.header(self.session.id or bytes(8), self.now, signature), "ResponseCode": code}
        body |= fields
        try:
            frame = wire.write(came.type, wire.response_to(came.name), body)
        except EncodeError as error:
            # What we were told cannot be said: then we are wrong, and the session must not go on in silence.
            self.refuse(came, "FAILED", f"the answer cannot be written: {error}", "", by="evse", fault="Internal")
            return
        self.emit(Send(frame))
        if came.stream == wire.MAIN_STREAM:
            self._rearm = True

    def warn(self, came: Came, code: str, **fields: Any) -> None:
        """As `answer`, with what the schema wants beside a code that says no."""
        self.answer(came, code, **(EMPTY[wire.response_to(came.name)] | fields))

    def refuse(self, came: Came, code: str, text: str, clause: str, *, by: Side = "ev", fault: str = "") -> None:
        """FAILED: the output goes off, then the vehicle hears of it, then the session is over."""
        self.refused += 1
        self.output.off()
        self.answer(came, code, **EMPTY[wire.response_to(came.name)])
        rule = f"{came.name}, {clause}" if clause else came.name
        self.emit(Fault(code=fault or code, by=by, text=text, rule=rule))
        self._over(f"{came.name} was answered {code}: {text}", by, ok=False)

    def emit(self, effect: Any) -> None:
        self._out.append(effect)

    def go(self, state: str) -> None:
        """The next state."""
        self.state = state

    def finish(self, reason: str, by: Side = "ev") -> None:
        """The session ends in order."""
        self.output.off()
        self.output.unlock()
        self._over(reason, by, ok=True)

    def sleep(self, by: Side) -> None:
        """The session is put aside; the connection goes."""
        self.output.off()
        self.paused[self.session.id] = self.session
        self.emit(link.Paused(by=by))
        self.state = "Over"
        self.alarms.clear()
        self.emit(Close(after_ms=CLOSE_WAIT.ms, reason="the session sleeps"))

    def _over(self, reason: str, by: Side, *, ok: bool, close: bool = True) -> None:
        self.state = "Over"
        self.alarms.clear()
        self.paused.pop(self.session.id, None)
        if self.mode is not None:
            self.mode.over()
        self.emit(Ended(reason=reason, by=by, ok=ok))
        if close:
            self.emit(Close(after_ms=CLOSE_WAIT.ms, reason=reason))

    def doom(self, text: str, by: Side = "evse", fault: str = "", code: str = "FAILED") -> None:
        """The session cannot go on: the output is off now, the vehicle hears of it in its next answer."""
        self.output.off()
        if self._doom is None:
            self._doom = (code, text, by, fault)
        waiting = self._open.get(wire.MAIN_STREAM)
        if waiting is not None:
            code, text, by, fault = self._doom
            self.refuse(waiting, code, text, "", by=by, fault=fault)

    # ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def _expired(self, name: str) -> None:
        if name == "sequence":
            rule = timers.SEQUENCE_LOOP if self.in_loop else timers.SEQUENCE
            text = f"no request in {self.state} for {(self._loop_ms if self.in_loop else rule.ms) / 1000:g} s"
            self.output.off()
            self.emit(Fault(code=rule.name, by="ev", text=text, rule=f"{rule.name}, {rule.clause}"))
            self._over(text, "ev", ok=False)
        elif name == "contactor":
            rule = timers.CONTACTOR
            self.doom("the contactor has not closed", "evse", "ContactorError", "FAILED_ContactorError")
        elif name == "obey":
            text = f"the vehicle goes on {timers.OBEY.ms // 1000} s after it was told to end"
            self.doom(text, "ev", timers.OBEY.name)
        elif name == "violation":
            text = f"the vehicle draws more than its profile for {timers.VIOLATION.ms // 1000} s"
            self.doom(text, "ev", timers.VIOLATION.name, "FAILED_EVPowerProfileViolation")
        elif name in ("authorization", "ongoing"):
            self.doom("what was Ongoing has not finished in time", "evse", timers.PERFORMANCE.name)

    def status(self) -> Message | None:
        """EVSEStatus: what the vehicle is to do; None: go on."""
        return self.commands.status()
