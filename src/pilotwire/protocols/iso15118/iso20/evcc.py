"""The vehicle's end of ISO 15118-20: streams, timers, commands. What is said when is in `evcc_*` and `modes`.

    frame → Iso20Evcc.receive → handler of the response → `send` of the next request, at once or `after` a while

Whatever goes wrong, the inlet's contactors are asked to open before anything else is said.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pilotwire.core import ev_link as link
from pilotwire.core.ev_link import ContactsAsked, Drive, EvCommand, Parted
from pilotwire.core.evse_link import Fault, Service, Side
from pilotwire.core.machines import Close, Send
from pilotwire.protocols.exi import EncodeError

from .. import v2gtp
from ..config import Dialect, EvccConfig, Random
from ..pnc import EvccPnc
from . import timers, wire
from .alarms import Alarms
from .before_evcc import STATUS, Before
from .evcc_begin import Begin
from .evcc_power import Power
from .modes import EvccMode
from .services import OF_DIALECT
from .session import Ending, Kept
from .wire import Came

Message = dict[str, Any]


class Iso20Evcc:
    """An `EvLink` behind supportedAppProtocol. It takes `v2gtp.Frame` and sends `Send(Frame)`.

    `resume` is the `kept` of a machine whose session sleeps.
    """

    def __init__(
        self,
        config: EvccConfig,
        dialect: Dialect,
        *,
        random: Random,
        tls: bool,
        pnc: EvccPnc | None = None,
        resume: Any = None,
    ) -> None:
        self.config = config
        self.dialect: Dialect = dialect
        self.random = random
        self.tls = tls
        self.pnc = pnc
        self.resume: Kept | None = resume if isinstance(resume, Kept) else None
        self.kept: Kept | None = None
        """After a pause: for the next machine."""
        self.drive = Drive()
        self.session = bytes(8)
        self.mode: EvccMode | None = None
        self.contract = False
        """Authorised by contract."""
        self.contacts = False
        """Where the inlet's contactors are."""
        self.ending: Ending = ""
        """The session is to end, in this way, as soon as it may."""
        self.why: tuple[str, str] = ("", "")
        """EVTerminationCode and EVTerminationExplanation."""
        self.over = False
        self.ignored = 0
        self.alarms = Alarms()
        self.now = 0
        self._out: list[Any] = []
        self._open: dict[int, str] = {}
        """The request of each stream that has no answer yet."""
        self._next: Callable[[], None] | None = None
        self._contacts_wanted = False
        self.begin = Begin(self)
        self.before = Before(self)
        self.power = Power(self)
        self._handlers: dict[str, Callable[[Came], None]] = (
            self.begin.handlers | self.before.handlers | self.power.handlers
        )
        self._commands: dict[type, Callable[[Any], None]] = {
            link.Drive: self._driven,
            link.Contacts: self._contacts,
            link.Halt: self._halt,
            link.Rest: lambda _: self._end_by("Pause"),
            link.Ask: self._ask,
            Fault: lambda fault: self._fail(fault.text or fault.code),
        }

    # ── the machine ──────────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def deadline(self) -> int | None:
        return self.alarms.next

    @property
    def services(self) -> tuple[Service, ...]:
        """The energy services that it takes and the agreed protocol carries, the preferred first."""
        carried = OF_DIALECT.get(self.dialect, ())
        return tuple(one for one in self.config.services if one in carried)

    def start(self, now: int) -> Sequence[Any]:
        def begin() -> None:
            self.alarms.set("setup", now + timers.SETUP.ms)
            self.begin.session_setup()

        return self._step(now, begin)

    def receive(self, data: v2gtp.Frame, now: int) -> Sequence[Any]:
        return self._step(now, lambda: self._received(data))

    def command(self, command: EvCommand, now: int) -> Sequence[Any]:
        known = self._commands.get(type(command))
        return () if known is None else self._step(now, lambda: known(command))

    def elapse(self, now: int) -> Sequence[Any]:
        def all_due() -> None:
            while not self.over and (name := self.alarms.expired(now)) is not None:
                self._expired(name)

        return self._step(now, all_due)

    def lost(self, now: int) -> Sequence[Any]:
        return self._step(now, lambda: self.part("the connection was lost", "evse", ok=False, close=False))

    def _step(self, now: int, what: Callable[[], None]) -> Sequence[Any]:
        if self.over:
            return ()
        self.now = now
        what()
        out, self._out = self._out, []
        return out

    # ── requests ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def send(self, payload_type: int, name: str, signature: Message | None = None, **fields: Any) -> None:
        """The next request of a stream. Where the session is to end and may, SessionStopReq goes in its place."""
        stream = wire.stream_of(payload_type)
        if stream == wire.MAIN_STREAM and name != "SessionStopReq" and self.power.divert(name):
            return
        body: Message = {"Header": wire.header(self.session, self.now, signature)} | fields
        try:
            frame = wire.write(payload_type, name, body)
        except EncodeError as error:
            # What we were told cannot be said: then we are wrong, and must not go on in silence.
            self.contact(False)
            self.emit(Fault(code="Internal", by="ev", text=f"{name} cannot be written: {error}", rule=name))
            self.part(f"{name} cannot be written: {error}", "ev", ok=False)
            return
        self._open[stream] = name
        self.alarms.set(f"answer {stream}", self.now + timers.wait_ms(name))
        self.emit(Send(frame))

    def common(self, name: str, signature: Message | None = None, **fields: Any) -> None:
        """As `send`, of the common messages on the main stream."""
        self.send(v2gtp.MAIN, name, signature, **fields)

    def waits(self, stream: int) -> bool:
        """A request of the stream has no answer yet."""
        return stream in self._open

    def after(self, ms: int, step: Callable[[], None]) -> None:
        """The next step of the main stream, a while from now."""
        self._next = step
        self.alarms.set("next", self.now + ms)

    def poll(self, step: Callable[[], None], rule: Any = timers.ONGOING) -> None:
        """Ask again what was Ongoing; all of it has the time of `rule`."""
        self.alarms.begin("ongoing", self.now + rule.ms)
        self.after(timers.POLL_MS, step)

    def hurry(self) -> None:
        """What was to be done in a while is done now."""
        step, self._next = self._next, None
        if step is not None:
            self.alarms.drop("next")
            step()

    def _received(self, frame: v2gtp.Frame) -> None:
        if frame.type not in wire.SCHEMAS:
            self.ignored += 1
            return
        try:
            came = wire.read(frame)
        except wire.Unreadable as error:
            self.wrong(f"the answer cannot be read: {error}", "[V2G20-440]", "MessageUnreadable")
            return
        asked = self._open.pop(came.stream, None)
        if asked is None or came.name != wire.response_to(asked):
            waited = "nothing was asked" if asked is None else f"{wire.response_to(asked)} was waited for"
            self.wrong(f"{came.name} came, and {waited}", "[V2G20-437]", "SequenceError")
            return
        self.alarms.drop(f"answer {came.stream}")
        if asked != "SessionSetupReq" and came.body["Header"]["SessionID"] != self.session:
            self.wrong(f"{came.name} is of another session", "[V2G20-460]", "UnknownSession")
            return
        code = came.body["ResponseCode"]
        if code.startswith("FAILED"):
            self.wrong(f"the EVSE answered {asked} with {code}", came.name, code)
            return
        handler = self._handlers.get(came.name)
        if handler is None:
            assert self.mode is not None
            handler = self.mode.handlers[came.name]
        handler(came)

    # ── events and ends ──────────────────────────────────────────────────────────────────────────────────────────────
    def emit(self, effect: Any) -> None:
        self._out.append(effect)

    def contact(self, closed: bool) -> None:
        """Close or open the inlet's contactors; the mode hears when they are there."""
        if closed != self._contacts_wanted:
            self._contacts_wanted = closed
            self.emit(ContactsAsked(closed))

    def wrong(self, text: str, clause: str, code: str) -> None:
        """The EVSE does what it must not: open, and go."""
        self.contact(False)
        self.emit(Fault(code=code, by="evse", text=text, rule=clause))
        self.part(text, "evse", ok=False)

    def part(self, reason: str, by: Side, *, ok: bool, paused: bool = False, close: bool = True) -> None:
        """The conversation is over, once."""
        if self.over:
            return
        self.contact(False)
        self.over = True
        self.alarms.clear()
        self.emit(Parted(reason=reason, by=by, ok=ok, paused=paused))
        if close:
            self.emit(Close(reason=reason))

    def _expired(self, name: str) -> None:
        if name == "next":
            self.hurry()
        elif name == "setup":
            self.wrong(f"no SessionSetupRes in {timers.SETUP.ms // 1000} s", timers.SETUP.clause, timers.SETUP.name)
        elif name == "ongoing":
            rule = self.power.ongoing_rule
            self.wrong(f"{self.power.doing} is not done in {rule.ms // 1000} s", rule.clause, rule.name)
        elif name.startswith("answer "):
            asked = self._open[int(name.removeprefix("answer "))]
            text = f"no answer to {asked} in {timers.wait_ms(asked) / 1000:g} s"
            self.wrong(text, "[V2G20-438]", timers.MESSAGE + asked)
        elif name == "side":
            self.power.ask_schedules()
        elif name == STATUS:
            self.before.tell_status()
        elif self.mode is not None:
            self.mode.elapse(name)

    # ── commands ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _driven(self, drive: Drive) -> None:
        self.drive = drive

    def _contacts(self, contacts: link.Contacts) -> None:
        self.contacts = contacts.closed
        if self._contacts_wanted and not contacts.closed:
            self._contacts_wanted = False
            self._fail("the inlet's contactors do not close")
        if self.mode is not None:
            self.mode.contacts(contacts.closed)

    def _halt(self, halt: link.Halt) -> None:
        self.why = ("", halt.reason)
        self._end_by("Terminate", emergency=halt.emergency)

    def _fail(self, text: str) -> None:
        self.why = ("EVFault", text)
        self._end_by("Terminate", emergency=True)

    def _end_by(self, ending: Ending, *, emergency: bool = False) -> None:
        self.ending = ending
        self.power.hurried |= emergency
        if self.session == bytes(8):
            self.part(self.why[1] or "the vehicle wants no session any more", "ev", ok=not self.why[0])
        else:
            self.power.ended_by()

    def _ask(self, ask: link.Ask) -> None:
        if ask.service:
            if self.begin.may_renegotiate and self.power.flows:
                self._end_by("ServiceRenegotiation")
        elif self.power.flows and self.mode is not None and not self.mode.selection.dynamic:
            self.power.ask_schedules()
