"""The SECC of DIN SPEC 70121 and ISO 15118-2: what is the same whatever is charged.

Each request is looked up in the table of the state (`ALLOWED`), its session is checked, and its handler answers, at
once or, where the station has to do something first, when it has done it (`_hold`). Whatever goes wrong, the output is
off before anything is said, the answer is one that the schema allows, and the connection is closed by us after five
seconds unless the vehicle has done so (ISO 15118-2 8.8.4.3 and 7.7.1, DIN SPEC 70121 9.6.2).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, MutableMapping, Sequence
from typing import Any, ClassVar, Final, Literal, cast

from pilotwire.core.evse_link import (
    AuthorizationAsked,
    Connected,
    Ended,
    Fault,
    Identified,
    LinkProtocol,
    Side,
)
from pilotwire.core.machines import Close
from pilotwire.protocols.exi.codec import Message, decode
from pilotwire.protocols.exi.errors import DecodeError, EncodeError

from .config import Random, SeccConfig
from .exchange_commands import CONTACTOR, STOPPING, Heard
from .v2gtp import SAP, Frame

SEQUENCE: Final = "V2G_SECC_Sequence_Timeout"
CLOSING: Final = "SECC_TCP_Close"
CERTIFICATE: Final = "V2G_SECC_Msg_Performance_Time_Certificate"

Handler = Callable[[Any, Message, int], None]


class Secc(Heard):
    """See the module. States are named by what is waited for."""

    protocol: ClassVar[LinkProtocol]
    title: ClassVar[str]
    ALLOWED: ClassVar[Mapping[str, tuple[str, ...]]]
    """State → the requests that may come in it, the one it waits for first."""
    HANDLERS: ClassVar[Mapping[str, Handler]]
    """Every request of the standard → what answers it."""
    CLAUSES: ClassVar[Mapping[str, str]]
    """sequence, session, timeout, parse, stop → where the standard says so."""

    def __init__(
        self, config: SeccConfig, *, random: Random, tls: bool, pnc: Any, paused: MutableMapping[bytes, Any]
    ) -> None:
        super().__init__()
        self._config = config
        self._random = random
        self._tls = tls
        self._pnc = pnc
        self._paused = paused
        self._header: Message = {}
        self._payload = b""
        self._evccid = b""
        self._late: set[str] = set()
        """What the station did not do in time."""

    # ── what comes ───────────────────────────────────────────────────────────────────────────────────────────────────
    def begin(self, now: int) -> Sequence[Any]:
        """supportedAppProtocolRes has been sent: the first request is waited for no longer than any other."""
        self._due[SEQUENCE] = now + self.LIMITS[SEQUENCE]
        return self._flush()

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        frame = cast(Frame, data)
        if self.over or frame.type != SAP:
            self.bad += 1  # a payload type that is not known is passed over (ISO 15118-2 7.8.3.2)
            return ()
        try:
            message = decode(self.schema, frame.payload)["V2G_Message"]
            ((name, body),) = message["Body"].items()
            allowed = name in self.HANDLERS
        except (DecodeError, KeyError, ValueError) as error:
            self._unreadable(str(error) or "no message of this standard", now)
            return self._flush()
        if not allowed:
            self._unreadable(f"{name} is no request", now)
            return self._flush()
        self._header, self._payload = message["Header"], frame.payload
        if name not in self.ALLOWED[self.state] or self._held is not None:
            waited = f"before {self._held} was answered" if self._held else f"where {self._waited()} was waited for"
            self._fail(name, "FAILED_SequenceError", f"{name} came {waited}", "sequence", now)
        elif self._header["SessionID"] != self.session_id and name != "SessionSetupReq":
            self._fail(name, "FAILED_UnknownSession", f"{name} names another session", "session", now)
        else:
            self._due.pop(SEQUENCE, None)
            self.HANDLERS[name](self, body, now)
        return self._flush()

    def lost(self, now: int) -> Sequence[Any]:
        if not self.over:
            self._off()
            reason = f"the connection was lost; the station waited for {self._waited()}"
            if self._stop is not None:
                reason += f" after {self._stop.reason or 'it was to stop'}"
            self._effects.append(Ended(reason=reason, by="ev", ok=False))
            self._finish()
        return self._flush()

    def _waited(self) -> str:
        return " or ".join(self.ALLOWED[self.state])

    # ── timers ───────────────────────────────────────────────────────────────────────────────────────────────────────
    def _expired(self, name: str, now: int) -> None:
        clause = self.CLAUSES["timeout"]
        if name == SEQUENCE:
            self._break_off(
                f"the vehicle sent nothing for {self.LIMITS[name] // 1000} s; {self._waited()} was waited for",
                "ev",
                code=name,
                rule=f"{self.ALLOWED[self.state][0]}: {clause}",
            )
        elif name == STOPPING:
            self._break_off(
                f"the vehicle did not stop within {self.LIMITS[name] // 1000} s after {self._why_stopping()}",
                "ev",
                code=name,
                rule=f"EVSENotification StopCharging: {self.CLAUSES['stop']}",
            )
        elif name == CONTACTOR:
            self._contactor_late(now)

    def _contactor_late(self, now: int) -> None:
        if self._held == "PowerDeliveryReq":
            self._held = None
            self._fail(
                "PowerDeliveryReq",
                self.CONTACTOR_CODE,
                f"the contactor did not close within {self.LIMITS[CONTACTOR] // 1000} s",
                "contactor",
                now,
                code="EVSEContactorFault",
                by="evse",
            )
        elif not self._asked_closed and self._contactor:
            self._effects.append(
                Fault(
                    code="EVSEContactorFault",
                    by="evse",
                    text=f"the contactor did not open within {self.LIMITS[CONTACTOR] // 1000} s",
                    rule=f"PowerDeliveryReq: {self.CLAUSES['contactor']}",
                )
            )

    CONTACTOR_CODE: ClassVar[str]

    # ── answers ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def _answer(
        self, name: str, body: Message, now: int, state: str | None = None, signature: Message | None = None
    ) -> None:
        """Send the answer and wait for what comes next, in `state` where it changes."""
        self._send(name, body, signature)
        if self.over:
            return
        if state is not None:
            self.state = state
        self._due[SEQUENCE] = now + self.LIMITS[SEQUENCE]

    def _send(self, name: str, body: Message, signature: Message | None = None, **header: Any) -> None:
        """An answer that the schema cannot express is our own fault: nothing is sent, the output is off, it is over."""
        try:
            super()._send(name, body, signature, **header)
        except EncodeError as error:
            self._break_off(f"{name} cannot be written: {error}", "evse", code="InternalError", rule=f"{name}: schema")

    def _failed_answer(self, request: str, code: str) -> Message:
        """A whole, schema-valid body of the answer to `request` that says `code`."""
        raise NotImplementedError

    def _fail(
        self,
        request: str,
        response: str,
        text: str,
        clause: str,
        now: int,
        *,
        code: str = "",
        by: Side = "ev",
        told: bool = False,
        reason: str = "",
    ) -> None:
        """Output off, the answer that says why not, and the end. `told`: the fault was told before."""
        self._held = None
        self._off()
        if request == "SessionSetupReq" and not any(self.session_id):
            self.session_id = self._new_session()
        self._send(request[:-3] + "Res", self._failed_answer(request, response))
        if self.over:
            return
        rule = f"{request}: {self.CLAUSES.get(clause, clause)}"
        if not told and clause != "stop":
            self._effects.append(Fault(code=code or response, by=by, text=text, rule=rule))
        side: Side = "evse" if clause == "stop" else by
        ok = clause == "stop" and self._fault is None and not (self._stop and self._stop.emergency)
        self._end(reason or f"{request} was answered {response}: {text}", side, ok=ok)

    def _unreadable(self, why: str, now: int) -> None:
        """What came is no message: the answer to what was waited for, with the parser's fault in its header."""
        self.bad += 1
        request = self._held or self.ALLOWED[self.state][0]
        self._held = None
        self._off()
        if not any(self.session_id):
            self.session_id = self._new_session()
        notification = {"FaultCode": "ParsingError", "FaultMsg": why[:64]}
        self._send(request[:-3] + "Res", self._failed_answer(request, "FAILED"), Notification=notification)
        if self.over:
            return
        rule = f"{request}: {self.CLAUSES['parse']}"
        self._effects.append(Fault(code="ParsingError", by="ev", text=why, rule=rule))
        self._end(f"what came for {request} could not be read: {why}", "ev", ok=False)

    def _break_off(self, text: str, by: Side, *, code: str, rule: str) -> None:
        """The end without an answer: nobody asked."""
        self._held = None
        self._off()
        if self._fault is None:
            self._effects.append(Fault(code=code, by=by, text=text, rule=rule))
        self._effects.append(Ended(reason=text, by=by, ok=False))
        self._effects.append(Close(reason=text))
        self._finish()

    def _end(self, reason: str, by: Side, *, ok: bool = True) -> None:
        self._off()
        self._effects.append(Ended(reason=reason, by=by, ok=ok))
        self._effects.append(Close(after_ms=self.LIMITS[CLOSING], reason=reason))
        self._finish()

    def _let_in(self, pair: str, by: Literal["external", "contract"], timer: str, ongoing: str, now: int) -> None:
        """The answer to AuthorizationReq (DIN: ContractAuthenticationReq): the station's, once it is there."""
        request, granted = f"{pair}Req", self._authorized
        if granted is None and timer not in self._due and timer not in self._late:
            self._due[timer] = now + self.LIMITS[timer]
            self._effects.append(AuthorizationAsked(by=by))
        if self._halting:
            self._fail(request, "FAILED", self._why_stopping(), "stop", now, told=self._fault is not None)
        elif granted is not None and granted.accepted:
            self._due.pop(timer, None)
            said: Message = {"ResponseCode": "OK", "EVSEProcessing": "Finished"}
            self._answer(f"{pair}Res", said, now, "ChargeParameterDiscovery")
        elif granted is not None:
            text = f"the vehicle is not let in: {granted.reason or 'refused'}"
            self._fail(request, "FAILED", text, "authorization", now, code="NotAuthorized", by="evse")
        elif timer in self._late:
            text = f"nobody let the vehicle in within {self.LIMITS[timer] // 1000} s"
            self._fail(request, "FAILED", text, "authorization", now, code="AuthorizationTimeout", by="evse")
        else:
            self._answer(f"{pair}Res", {"ResponseCode": "OK", "EVSEProcessing": ongoing}, now)

    # ── the session's own name ───────────────────────────────────────────────────────────────────────────────────────
    def _new_session(self) -> bytes:
        made = self._random(8)
        while not any(made) or made in self._paused:
            made = self._random(8)
        return made

    def _set_up(self, evccid: bytes, kind: type | None = None) -> Any:
        """Joins a session that was paused, else begins one. Returns what was kept of it, or None.

        `kind` is what this dialect keeps: a session that fell asleep in another is not joined in this one.
        """
        asked = cast(bytes, self._header["SessionID"])
        kept = self._paused.get(asked) if any(asked) else None
        if kind is not None and isinstance(kept, kind) and cast(Any, kept).evccid == evccid:
            del self._paused[asked]
            self.session_id = asked
        else:
            kept = None
            self.session_id = self._new_session()
        self._evccid = evccid
        name = evccid.hex().upper()
        self._effects.append(
            Connected(protocol=self.protocol, resumed=kept is not None, session_id=self.session_id.hex().upper())
        )
        self._effects.append(Identified(evccid=name, mac=name if len(evccid) == 6 else ""))
        return kept
