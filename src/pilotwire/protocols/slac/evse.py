"""The EVSE's end of SLAC (ISO 15118-3 A.9): several vehicles at once, one of which gets the key.

    idle ─Begin→ listening ─CM_SLAC_MATCH→ joining ─link→ matched
                  │  ↑ 4 s                   │ 12 s         │ link lost
                  └─ stepping ←──────────────┴──────────────┘ (a new key)

The carrier's unit is an Ethernet frame, as bytes. What is malformed is counted (`malformed`) and ignored; what is well
formed but out of place too (`ignored`).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from pilotwire.core.machines import Send

from . import events, timers
from .keys import nid_of
from .mme import (
    FAILURE,
    GROUPS,
    LOCAL_MODEM,
    NOT_READY,
    NOT_REQUIRED,
    READY,
    SUCCESS,
    AmpMapCnf,
    AmpMapReq,
    AttenCharInd,
    AttenCharRsp,
    AttenProfileInd,
    BadMme,
    Message,
    MmeFrame,
    MnbcSoundInd,
    SlacMatchCnf,
    SlacMatchReq,
    SlacParmCnf,
    SlacParmReq,
    StartAttenCharInd,
    ValidateCnf,
    ValidateReq,
    decode,
    encode,
)
from .modem import Modem, ModemPort
from .run import Run

State = Literal["idle", "listening", "stepping", "joining", "matched", "given-up"]


class SlacEvseConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The outlet's modem and habits."""

    mac: bytes
    modem: Modem = "none"
    modem_mac: bytes = LOCAL_MODEM
    sounds: int = timers.C_EV_MATCH_MNBC
    offset_db: int = 0
    """Added to every average: what lies between the modem and the plug."""
    wire_db: int | None = None
    """Without a modem nobody measures a sound: it counts as heard with this attenuation. None: it does not count."""
    validation: bool = True
    """Vehicles may prove by toggling that they are at this very plug; else it is told as not required."""
    evse_id: bytes = bytes(17)
    steps: int = timers.C_SEQU_RETRY
    """How often E or F is asked for before it is given up."""
    amp_map: tuple[int, ...] = ()
    """Carriers that the vehicle is to send more softly; told once the link is up."""


class SlacEvse:
    """The machine. `random` gives so many random bytes: keys."""

    def __init__(self, config: SlacEvseConfig, random: Callable[[int], bytes]) -> None:
        self.config = config
        self.state: State = "idle"
        self.runs: dict[tuple[bytes, bytes], Run] = {}
        self.malformed = 0
        self.ignored = 0
        self.refused = 0
        """Vehicles that were not listened to: too many at once."""
        self.peer: bytes | None = None
        self.modem = ModemPort(config.modem, config.mac, config.modem_mac)
        self._random = random
        self._match: SlacMatchCnf | None = None
        self._due: int | None = None
        self._steps = 0
        self._talked = False
        self._failing: int | None = None
        self._amp_due: int | None = None
        self._amp_tries = 0
        self._out: list[Any] = []

    @property
    def deadline(self) -> int | None:
        dues = [self._due, self._failing, self._amp_due, self.modem.deadline, *(run.due for run in self.runs.values())]
        return min((due for due in dues if due is not None), default=None)

    # ── the machine's face ───────────────────────────────────────────────────────────────────────────────────────
    def command(self, command: Any, now: int) -> Sequence[Any]:
        if isinstance(command, events.Begin):
            self._steps, self._talked = 0, False
            if self.state == "matched":
                self._out.append(events.LinkUp(False))
            if self.state not in ("listening", "stepping"):
                self._new_key(now)
            self._listen(now)
        elif isinstance(command, events.Leave):
            self._leave(now)
        elif isinstance(command, events.Link):
            self._link(command.up, now)
        elif isinstance(command, events.Toggled):
            for run in self.runs.values():
                run.toggles += run.stage == "toggles"
        return self._take()

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        try:
            frame = decode(data)
        except BadMme:
            self.malformed += 1
            return ()
        if frame.src == self.config.mac:
            return ()
        link = self.modem.hear(frame.message)
        if link is not None:
            self._link(link, now)
        handler = self._HANDLERS.get(type(frame.message))
        if handler is not None and not handler(self, frame.message, frame.src, now):
            self.ignored += 1
        return self._take()

    def elapse(self, now: int) -> Sequence[Any]:
        self._out += [Send(data) for data in self.modem.elapse(now)]
        for run in [run for run in self.runs.values() if now >= run.due]:
            self._late(run, now)
        if self._amp_due is not None and now >= self._amp_due:
            self._ask_amp_map(now)
        if self._failing is not None and now >= self._failing and not self.runs:
            self._step("no run led to a match", now)
        elif self._failing is not None and now >= self._failing:
            self._failing = None
        if self._due is not None and now >= self._due:
            self._due = None
            if self.state == "listening":
                self._step("no vehicle began to match", now)
            elif self.state == "stepping":
                self._listen(now)
            elif self.state == "joining":
                self._lost("no link came up", now)
        return self._take()

    def lost(self, now: int) -> Sequence[Any]:
        """The interface is gone."""
        if self.state in ("joining", "matched"):
            self._out.append(events.LinkUp(False))
        if self.state != "idle":
            self._out.append(events.GivenUp(self._talked, "the interface is gone"))
        self._reset("idle")
        return self._take()

    def _take(self) -> list[Any]:
        out, self._out = self._out, []
        return out

    def _say(self, dst: bytes, message: Message) -> None:
        self._out.append(Send(encode(MmeFrame(dst, self.config.mac, message))))

    # ── states ───────────────────────────────────────────────────────────────────────────────────────────────────
    def _reset(self, state: State) -> None:
        self.state = state
        self.runs.clear()
        self.peer = self._match = self._due = self._failing = self._amp_due = None
        self.modem.watch(None)

    def _new_key(self, now: int) -> None:
        self._out += [Send(data) for data in self.modem.set_key(self._random(16), now)]

    def _listen(self, now: int) -> None:
        self._reset("listening")
        self._due = now + timers.SLAC_INIT.ms

    def _leave(self, now: int) -> None:
        if self.state == "idle":
            return
        if self.state in ("joining", "matched"):
            if self.state == "matched":
                self._out.append(events.LinkUp(False))
            self._new_key(now)
        self._reset("idle")

    def _step(self, reason: str, now: int) -> None:
        """Nothing came of it: E or F, or the end."""
        if self._steps >= self.config.steps:
            self._reset("given-up")
            self._out.append(events.GivenUp(self._talked, reason))
            return
        self._steps += 1
        self._reset("stepping")
        self._due = now + timers.EVSE_STEP.ms
        self._out.append(events.StepWanted())

    def _fail(self, run: Run, reason: str, now: int) -> None:
        self.runs.pop((run.mac, run.run_id), None)
        self._out.append(events.MatchingFailed(mac=run.mac, reason=reason))
        if self._failing is None:
            self._failing = now + timers.EVSE_REPETITION.ms

    def _lost(self, reason: str, now: int) -> None:
        """Matched, but there is no link: a new key, and all begins anew."""
        if self.state == "matched":
            self._out.append(events.LinkUp(False))
        if self.peer is not None:
            self._out.append(events.MatchingFailed(mac=self.peer, reason=reason))
        self._new_key(now)
        self._step(reason, now)

    def _link(self, up: bool, now: int) -> None:
        if self.state == "joining" and up:
            self.state, self._due = "matched", None
            self._out.append(events.LinkUp(True))
            if self.config.amp_map:
                self._amp_tries = 0
                self._ask_amp_map(now)
        elif self.state == "matched" and not up:
            self._lost("the link was lost", now)

    def _ask_amp_map(self, now: int) -> None:
        self._amp_due = None
        if self.peer is None or self._amp_tries > timers.C_EV_MATCH_RETRY:
            return
        self._amp_tries += 1
        self._amp_due = now + timers.EVSE_AMP_MAP.ms
        self._say(self.peer, AmpMapReq(amdata=self.config.amp_map))

    def _late(self, run: Run, now: int) -> None:
        """A run's time is over."""
        if run.stage == "sounds":
            self._tell(run, now)
        elif run.stage == "toggles":
            self._say(
                run.mac, ValidateCnf(result=SUCCESS if run.toggles else FAILURE, toggle_num=min(run.toggles, 255))
            )
            run.to("match", now)
        elif run.stage in ("response", "validate") and run.tries < timers.C_EV_MATCH_RETRY:
            run.tries += 1
            run.to(run.stage, now)
            self._say_again(run)
        else:
            said = {"start": "CM_START_ATTEN_CHAR", "response": "CM_ATTEN_CHAR.RSP", "validate": "CM_VALIDATE"}
            self._fail(run, f"{said.get(run.stage, 'CM_SLAC_MATCH')} did not come", now)

    def _say_again(self, run: Run) -> None:
        if run.stage == "validate":
            self._say(run.mac, ValidateCnf(result=READY))
        else:
            self._say(run.mac, self._result(run))

    def _result(self, run: Run) -> AttenCharInd:
        return AttenCharInd(
            source_address=run.mac, run_id=run.run_id, num_sounds=run.count, aag=run.profile(self.config.offset_db)
        )

    def _tell(self, run: Run, now: int) -> None:
        if not run.count:
            self._fail(run, "no sound was heard", now)
            return
        run.tries = 0
        run.to("response", now)
        self._say(run.mac, self._result(run))

    # ── messages: True when it was in place ──────────────────────────────────────────────────────────────────────
    def _parm(self, message: SlacParmReq, src: bytes, now: int) -> bool:
        if self.state != "listening" or message.application_type or message.security_type:
            return False
        key = (src, message.run_id)
        if key not in self.runs:
            for old in [run for run in self.runs.values() if run.mac == src]:
                del self.runs[(old.mac, old.run_id)]  # it has begun anew
            if len(self.runs) >= timers.C_EVSE_MATCH_PARALLEL:
                self.refused += 1
                return False
            self._out.append(events.MatchingBegun(mac=src, run_id=message.run_id))
        self.runs[key] = Run(src, message.run_id, now)
        self._talked, self._due = True, None
        self._say(src, SlacParmCnf(forwarding_sta=src, run_id=message.run_id, num_sounds=self.config.sounds))
        return True

    def _start(self, message: StartAttenCharInd, src: bytes, now: int) -> bool:
        run = self.runs.get((src, message.run_id))
        if run is None or run.stage not in ("start", "sounds"):
            return False
        if run.stage == "start":  # it is said three times
            run.wanted = message.num_sounds or self.config.sounds
            run.to("sounds", now)
        return True

    def _sound(self, message: MnbcSoundInd, src: bytes, now: int) -> bool:
        run = self.runs.get((src, message.run_id))
        if (
            run is not None
            and run.stage == "sounds"
            and self.config.modem == "none"
            and self.config.wire_db is not None
        ):
            run.sound(bytes([self.config.wire_db]) * GROUPS)
            if run.count >= run.wanted:
                self._tell(run, now)
        return run is not None

    def _profile(self, message: AttenProfileInd, src: bytes, now: int) -> bool:
        run = next((r for r in self.runs.values() if r.mac == message.pev_mac and r.stage == "sounds"), None)
        if run is None or message.num_groups != GROUPS:
            return False
        run.sound(message.aag)
        if run.count >= run.wanted:
            self._tell(run, now)
        return True

    def _response(self, message: AttenCharRsp, src: bytes, now: int) -> bool:
        run = self.runs.get((src, message.run_id))
        if run is None or run.stage != "response" or message.result:
            return False
        run.to("match", now)
        return True

    def _validate(self, message: ValidateReq, src: bytes, now: int) -> bool:
        run = next((r for r in self.runs.values() if r.mac == src and r.stage in ("match", "validate")), None)
        if run is None or message.signal_type:
            return False
        if message.result != READY:
            self._fail(run, "the vehicle broke the validation off", now)
            return True
        busy = any(r is not run and r.stage in ("validate", "toggles") for r in self.runs.values())
        if not self.config.validation:
            self._say(src, ValidateCnf(result=NOT_REQUIRED))
        elif busy:
            self._say(src, ValidateCnf(result=NOT_READY))
        elif message.timer and run.stage == "validate":
            run.toggles = 0
            run.to("toggles", now, (message.timer + 1) * 100)
        else:
            run.tries = 0
            run.to("validate", now)
            self._say(src, ValidateCnf(result=READY))
        return True

    def _match_req(self, message: SlacMatchReq, src: bytes, now: int) -> bool:
        known = self._match
        if known is not None and self.peer == src and known.run_id == message.run_id:
            self._say(src, known)  # the confirmation was lost
            return True
        run = self.runs.get((src, message.run_id))
        if run is None or run.stage not in ("match", "validate") or message.evse_mac != self.config.mac:
            return False
        nmk = self.modem.key
        confirmation = SlacMatchCnf(
            pev_id=message.pev_id,
            pev_mac=src,
            evse_id=self.config.evse_id,
            evse_mac=self.config.mac,
            run_id=message.run_id,
            nid=nid_of(nmk),
            nmk=nmk,
        )
        attenuation = sum(run.profile(self.config.offset_db)) // GROUPS if run.count else None
        self._reset("joining")
        self.peer, self._match = src, confirmation
        self._say(src, confirmation)
        self._out.append(events.Matched(mac=src, run_id=message.run_id, nid=confirmation.nid, attenuation=attenuation))
        self._due = now + timers.EVSE_JOIN.ms
        self._out += [Send(data) for data in self.modem.watch(now)]
        if self.config.modem == "none":
            self._link(True, now)
        return True

    def _amp_map(self, message: AmpMapReq, src: bytes, now: int) -> bool:
        if self.state != "matched" or src != self.peer:
            return False
        self._say(src, AmpMapCnf())
        self._out.append(events.AmpMap(message.amdata))
        return True

    def _amp_map_cnf(self, message: AmpMapCnf, src: bytes, now: int) -> bool:
        asked, self._amp_due = self._amp_due is not None, None
        return asked

    _HANDLERS: ClassVar[dict[type[Message], Callable[..., bool]]] = {
        SlacParmReq: _parm,
        StartAttenCharInd: _start,
        MnbcSoundInd: _sound,
        AttenProfileInd: _profile,
        AttenCharRsp: _response,
        ValidateReq: _validate,
        SlacMatchReq: _match_req,
        AmpMapReq: _amp_map,
        AmpMapCnf: _amp_map_cnf,
    }
