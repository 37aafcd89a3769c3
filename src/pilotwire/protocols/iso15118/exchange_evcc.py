"""The EVCC of DIN SPEC 70121 and ISO 15118-2: what is the same whatever is charged.

It asks, waits for the one answer that fits no longer than the standard lets it, and goes on. What the inside of the
vehicle wants meanwhile (`Halt`, `Rest`, `Ask`) is done with the next request. Whatever goes wrong, the contacts are
asked to open before anything is told, and the connection is closed by the vehicle.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, cast

from pilotwire.core.ev_link import (
    Ask,
    Contacts,
    ContactsAsked,
    Drive,
    EvCommand,
    Halt,
    Linked,
    Parted,
    Rest,
)
from pilotwire.core.evse_link import Fault, LinkProtocol
from pilotwire.core.machines import Close
from pilotwire.protocols.exi.codec import Message, decode
from pilotwire.protocols.exi.errors import DecodeError, EncodeError

from .config import EvccConfig, Random
from .exchange import Exchange
from .v2gtp import SAP, Frame

MESSAGE: Final = "message"
NEXT: Final = "next"
ONGOING: Final = "V2G_EVCC_Ongoing_Timeout"
INSIDE: Final = "V2G_EVCC_Sequence_Performance_Time"

Goal = Literal["charge", "halt", "rest", "ask"]
Side = Literal["ev", "evse"]


class Evcc(Exchange):
    """See the module. `asked` is the pair of messages that is under way, without Req or Res."""

    protocol: ClassVar[LinkProtocol]
    MESSAGES: ClassVar[Mapping[str, int]]
    """Every pair of messages → how long its answer is waited for, ms."""
    LIMITS: ClassVar[Mapping[str, int]]
    PACE: ClassVar[Mapping[str, int]]
    ANSWERS: ClassVar[Mapping[str, Callable[[Any, Message, int], None]]]
    """Pair of messages → what its answer leads to."""
    CLAUSES: ClassVar[Mapping[str, str]]

    def __init__(self, config: EvccConfig, *, random: Random, tls: bool, pnc: Any) -> None:
        super().__init__()
        self.asked = ""
        self._config = config
        self._random = random
        self._tls = tls
        self._pnc = pnc
        self._drive: Drive | None = None
        self._goal: Goal = "charge"
        self._halt: Halt | None = None
        self._why = ""
        """Why it stops, in words."""
        self._by: Side = "ev"
        self._failed = False
        self._next: Callable[[int], None] | None = None
        self._closed = False
        """The contacts were asked to close."""
        self._contacts = False
        self._charging = False
        """Between PowerDelivery Start and Stop."""
        self._looped = False
        """At least one request of the loop was answered: before that no other may be sent."""
        self._ending = False
        """PowerDelivery Stop or SessionStop has been asked for."""
        self._header: Message = {}

    # ── asking ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def start(self, now: int) -> Sequence[Any]:
        self._begin(now)
        return self._flush()

    def _begin(self, now: int) -> None:
        raise NotImplementedError

    def _request(self, pair: str, body: Message, now: int, signature: Message | None = None) -> None:
        self.asked = pair
        self._next = None
        self._due.pop(NEXT, None)
        self._due.pop(INSIDE, None)
        self._due[MESSAGE] = now + self.MESSAGES[pair]
        try:
            self._send(f"{pair}Req", body, signature)
        except EncodeError as error:  # what the inside told is more than the schema can express
            self._give_up(f"{pair}Req cannot be written: {error}", "ev", "InternalError", "parse")

    def _later(self, what: Callable[[int], None], pair: str, now: int) -> None:
        """The same request again, after the pace of its kind."""
        self._next = what
        self._due[NEXT] = now + self.PACE[pair]

    def _when_inside(self, what: Callable[[int], None], now: int) -> None:
        """As soon as the inside of the vehicle has done its part; it has `INSIDE` ms."""
        self._next = what
        self._due[INSIDE] = now + self.LIMITS[INSIDE]

    def _driven(self, what: Callable[[int], None], now: int) -> None:
        """At once where the inside has told what it wants, else as soon as it has."""
        if self._drive is None:
            self._when_inside(what, now)
        else:
            what(now)

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def receive(self, data: Any, now: int) -> Sequence[Any]:
        frame = cast(Frame, data)
        if self.over or frame.type != SAP:
            self.bad += 1
            return ()
        try:
            message = decode(self.schema, frame.payload)["V2G_Message"]
            ((name, body),) = message["Body"].items()
            code = cast(str, body["ResponseCode"])
        except (DecodeError, KeyError, ValueError, TypeError) as error:
            self.bad += 1
            self._give_up(f"what came for {self.asked}Req could not be read: {error}", "evse", "ParsingError", "parse")
            return self._flush()
        if name != f"{self.asked}Res":
            self.bad += 1
            waited = f"{self.asked}Res was waited for" if self.asked else "nothing was asked"
            self._give_up(f"{name} came where {waited}", "evse", "UnexpectedMessage", "sequence")
        elif not code.startswith("OK"):
            self._give_up(f"{name} says {code}", "evse", code, "refused")
        elif message["Header"]["SessionID"] != self.session_id and name != "SessionSetupRes":
            self._give_up(f"{name} names another session", "evse", "UnknownSession", "session")
        else:
            del self._due[MESSAGE]
            pair, self.asked = self.asked, ""
            self._header = message["Header"]
            self.ANSWERS[pair](self, body, now)
        return self._flush()

    def lost(self, now: int) -> Sequence[Any]:
        if not self.over:
            self._open()
            self._effects.append(
                Parted(reason=f"the connection was lost; {self.asked or 'nothing'} was asked", by="evse", ok=False)
            )
            self._finish()
        return self._flush()

    # ── the inside ───────────────────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: EvCommand, now: int) -> Sequence[Any]:
        if self.over:
            return ()
        if type(command) is Drive:
            self._drive = command
            self._go_on(now, waits=not self._contacts_pending)
        elif type(command) is Contacts:
            pending = self._contacts_pending
            self._contacts = command.closed
            if pending and not self._contacts_pending:
                self._go_on(now)
            elif self._charging and self._closed and not command.closed:
                self._stop_because("the vehicle's contacts opened while energy flowed", "ev", failed=True)
                self._hurry(now)
        elif type(command) is Halt:
            self._halt = command
            self._goal = "halt"
            self._why = self._why or command.reason or ("emergency" if command.emergency else "the vehicle stops")
            if command.emergency:
                self._failed = True
                self._open()
            self._hurry(now)
        elif type(command) is Rest:
            if self._goal != "halt":
                self._goal, self._why = "rest", "the vehicle pauses"
                self._hurry(now)
        elif type(command) is Ask:
            if self._goal == "charge" and self._charging and not command.service:
                self._goal = "ask"
                self._hurry(now)
        elif type(command) is Fault:
            self._failed = True
            self._stop_because(command.text or command.code, "ev", failed=True)
            self._open()
            self._hurry(now)
        return self._flush()

    @property
    def _contacts_pending(self) -> bool:
        return self._contacts != self._closed

    def _go_on(self, now: int, *, waits: bool = True) -> None:
        """The inside has done its part."""
        if waits and self._next is not None and INSIDE in self._due:
            what, self._next = self._next, None
            del self._due[INSIDE]
            what(now)

    def _hurry(self, now: int) -> None:
        """What is wanted now does not wait for the pace of what was wanted before."""
        if self.asked or self._next is None or self._ending:
            return
        if NEXT in self._due or self._goal != "ask":
            what, self._next = self._next, None
            self._due.pop(NEXT, None)
            self._due.pop(INSIDE, None)
            if not self._turned(now):
                what(now)

    def _turned(self, now: int) -> bool:
        """Asks for the end (or for a new schedule) where that is what is wanted now. Whether it has."""
        if self._goal == "charge" or self._ending or (self._charging and not self._looped):
            return False
        if self._goal == "ask":
            self._goal = "charge"
            if not self._charging:
                return False
            self._ask_renegotiation(now)
        elif self._charging:
            self._ask_end(now)
        else:
            self._ask_stop(now)
        return True

    def _ask_renegotiation(self, now: int) -> None:
        """Goes on charging where the dialect knows no other way."""
        raise NotImplementedError

    def _ask_end(self, now: int) -> None:
        """PowerDeliveryReq, Stop."""
        raise NotImplementedError

    def _ask_stop(self, now: int) -> None:
        """SessionStopReq."""
        raise NotImplementedError

    def _stop_because(self, why: str, by: Side, *, failed: bool = False) -> None:
        if self._goal != "halt":
            self._goal, self._why, self._by = "halt", why, by
        self._failed = self._failed or failed

    # ── contacts ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            self._effects.append(ContactsAsked(True))

    def _open(self) -> None:
        if self._closed:
            self._closed = False
            self._effects.append(ContactsAsked(False))

    # ── the end ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _linked(self, evse_id: str, *, resumed: bool, service: Any = None) -> None:
        self._effects.append(Linked(protocol=self.protocol, evse_id=evse_id, resumed=resumed, service=service))

    def _give_up(self, text: str, by: Side, code: str, clause: str) -> None:
        """The session cannot go on: contacts open, told, closed."""
        self._open()
        rule = f"{self.asked or 'no'}Res: {self.CLAUSES[clause]}"
        self._effects.append(Fault(code=code, by=by, text=text, rule=rule))
        self._effects.append(Parted(reason=text, by=by, ok=False))
        self._effects.append(Close(reason=text))
        self._finish()

    def _part(self, *, paused: bool = False) -> None:
        self._open()
        reason = self._why or "the vehicle has what it wanted"
        self._effects.append(Parted(reason=reason, by=self._by, ok=not self._failed, paused=paused))
        self._effects.append(Close(reason=reason))
        self._finish()

    def _expired(self, name: str, now: int) -> None:
        if name == NEXT:
            what, self._next = self._next, None
            if what is not None and not self._turned(now):
                what(now)
        elif name == INSIDE:
            self._next = None
            self._stop_because("the inside of the vehicle did not do its part in time", "ev", failed=True)
            self._open()
            if not self._turned(now):
                self._ask_stop(now)
        elif name == MESSAGE:
            limit = f"V2G_EVCC_Msg_Timeout_{self.asked}"
            text = f"no {self.asked}Res within {self.MESSAGES[self.asked]} ms"
            self._give_up(text, "evse", limit, "timeout")
        else:
            self._give_up(f"{name} ran out after {self.LIMITS[name] // 1000} s", "evse", name, "timeout")
