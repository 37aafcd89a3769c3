"""The vehicle's end of SLAC (ISO 15118-3 A.9).

    asking ─answers→ sounding ─results→ weighing ─found→ matching ─key→ joining ─link→ matched
      │200 ms ×3        │1.2 s             └ may be → validating ─┘ 200 ms ×3   │12 s
      └─────────────────┴───────────────────────┴── pausing (400 ms) ───────────┘ → anew, for 10 s in all

An EVSE is found up to 10 dB of average attenuation, may be the one up to 20 dB (then it is asked to count the pilot's
toggles), and is not the one above that; of several the nearest comes first.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, ClassVar, Literal

import msgspec

from pilotwire.core.machines import Send

from . import events, timers
from .keys import nid_of
from .mme import (
    BROADCAST,
    GROUPS,
    LOCAL_MODEM,
    NOT_REQUIRED,
    READY,
    SUCCESS,
    AmpMapCnf,
    AmpMapReq,
    AttenCharInd,
    AttenCharRsp,
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

State = Literal[
    "idle",
    "asking",
    "sounding",
    "results",
    "validating",
    "toggling",
    "matching",
    "joining",
    "matched",
    "pausing",
    "given-up",
]


class SlacEvConfig(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle's modem and habits."""

    mac: bytes
    modem: Modem = "none"
    modem_mac: bytes = LOCAL_MODEM
    direct_db: int = timers.C_EV_MATCH_SIGNALATTN_DIRECT
    indirect_db: int = timers.C_EV_MATCH_SIGNALATTN_INDIRECT
    toggles: int = timers.C_EV_VALD_NB_TOGGLES
    pev_id: bytes = bytes(17)
    always_validate: bool = False
    """Also an EVSE that is found is validated."""


class Candidate(msgspec.Struct):
    """An EVSE that answered."""

    mac: bytes
    sounds: int = timers.C_EV_MATCH_MNBC
    attenuation: int | None = None
    """dB × GROUPS, summed; None: it has not told."""


class SlacEv:
    """The machine. `random` gives so many random bytes: run ids and the content of sounds."""

    def __init__(self, config: SlacEvConfig, random: Callable[[int], bytes]) -> None:
        self.config = config
        self.state: State = "idle"
        self.run_id = b""
        self.candidates: dict[bytes, Candidate] = {}
        self.malformed = 0
        self.ignored = 0
        self.runs = 0
        """Runs begun since `start`."""
        self.chosen: Candidate | None = None
        self.modem = ModemPort(config.modem, config.mac, config.modem_mac)
        self._random = random
        self._queue: list[Candidate] = []
        self._due: int | None = None
        self._results_due: int | None = None
        self._until = 0
        self._tries = 0
        self._sent = 0
        self._sounds = timers.C_EV_MATCH_MNBC
        self._out: list[Any] = []

    @property
    def deadline(self) -> int | None:
        dues = (self._due, self._results_due, self.modem.deadline)
        return min((due for due in dues if due is not None), default=None)

    # ── the machine's face ───────────────────────────────────────────────────────────────────────────────────────
    def start(self, now: int) -> Sequence[Any]:
        """5 % is on the pilot: find out where we are."""
        self.runs = 0
        self._until = now + timers.EV_REPETITION.ms
        self._begin(now)
        return self._take()

    def command(self, command: Any, now: int) -> Sequence[Any]:
        if isinstance(command, events.Leave):
            if self.state == "matched":
                self._out.append(events.LinkUp(False))
            if self.state in ("joining", "matched"):
                self._out += [Send(data) for data in self.modem.set_key(self._random(16), now)]
            self._reset("idle")
        elif isinstance(command, events.Link):
            self._link(command.up, now)
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
        if self._results_due is not None and now >= self._results_due:
            self._results_due = None
            self._weigh(now)
        if self._due is not None and now >= self._due:
            self._due = None
            self._late(now)
        return self._take()

    def lost(self, now: int) -> Sequence[Any]:
        """The interface is gone, or the plug is out."""
        if self.state == "matched":
            self._out.append(events.LinkUp(False))
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
        self._due = self._results_due = None
        self.chosen = None
        self._queue = []
        self.modem.watch(None)

    def _begin(self, now: int) -> None:
        self._reset("asking")
        self.candidates = {}
        self.run_id = self._random(8)
        self.runs += 1
        self._tries = 0
        self._ask(now)

    def _ask(self, now: int) -> None:
        self._tries += 1
        self._due = now + timers.EV_RESPONSE.ms
        message: Message
        if self.state == "asking":
            self._say(BROADCAST, SlacParmReq(run_id=self.run_id))
            return
        assert self.chosen is not None
        if self.state == "validating":
            message = ValidateReq()
        else:
            message = SlacMatchReq(
                pev_id=self.config.pev_id, pev_mac=self.config.mac, evse_mac=self.chosen.mac, run_id=self.run_id
            )
        self._say(self.chosen.mac, message)

    def _fail(self, reason: str, now: int) -> None:
        mac = self.chosen.mac if self.chosen is not None else BROADCAST
        self._out.append(events.MatchingFailed(mac=mac, reason=reason))
        if now + timers.EV_RATE.ms > self._until:
            self._reset("given-up")
            self._out.append(events.GivenUp(bool(self.candidates), reason))
            return
        self._reset("pausing")
        self._due = now + timers.EV_RATE.ms

    def _late(self, now: int) -> None:
        if self.state == "sounding":
            self._sound(now)
        elif self.state == "asking" and self.candidates:
            self._sound_first(now)
        elif self.state in ("asking", "validating", "matching"):
            if self._tries <= timers.C_EV_MATCH_RETRY:
                self._ask(now)
            elif self.state == "validating":
                self._next("CM_VALIDATE was not answered", now)
            else:
                self._fail(f"{'CM_SLAC_PARM' if self.state == 'asking' else 'CM_SLAC_MATCH'} was not answered", now)
        elif self.state == "toggling":
            self._next("the toggles were not counted", now)
        elif self.state == "joining":
            self._fail("no link came up", now)
        elif self.state == "pausing":
            self._begin(now)

    def _sound_first(self, now: int) -> None:
        self.state, self._sent = "sounding", 0
        self._sounds = max(candidate.sounds for candidate in self.candidates.values())
        self._results_due = now + timers.EV_RESULTS.ms
        self._sound(now)

    def _sound(self, now: int) -> None:
        """Three times what is to come, then the sounds."""
        left = timers.C_EV_START_ATTEN_CHAR_INDS + self._sounds - self._sent
        if left <= 0:
            self.state = "results"
            self._heard_all(now)
            return
        self._sent += 1
        self._due = now + timers.EV_BATCH.ms
        if left > self._sounds:
            self._say(
                BROADCAST,
                StartAttenCharInd(
                    num_sounds=self._sounds,
                    time_out=timers.MNBC.ms // 100,
                    forwarding_sta=self.config.mac,
                    run_id=self.run_id,
                ),
            )
        else:
            self._say(BROADCAST, MnbcSoundInd(cnt=left - 1, run_id=self.run_id, rnd=self._random(16)))

    def _heard_all(self, now: int) -> None:
        if self.state == "results" and all(c.attenuation is not None for c in self.candidates.values()):
            self._results_due = None
            self._weigh(now)

    def _weigh(self, now: int) -> None:
        """Found, potentially found, not found."""
        self._due = None
        told = [c for c in self.candidates.values() if c.attenuation is not None]
        if not told:
            self._fail("no EVSE told how it heard us", now)
            return
        near = [c for c in told if (c.attenuation or 0) <= self.config.indirect_db * GROUPS]
        self._queue = sorted(near, key=lambda c: c.attenuation or 0)
        self._next("no EVSE is near enough", now)

    def _next(self, reason: str, now: int) -> None:
        """The nearest of those that are left."""
        if not self._queue:
            self._fail(reason, now)
            return
        self.chosen = self._queue.pop(0)
        found = (self.chosen.attenuation or 0) <= self.config.direct_db * GROUPS
        self.state = "matching" if found and not self.config.always_validate else "validating"
        self._tries = 0
        self._ask(now)

    def _link(self, up: bool, now: int) -> None:
        if self.state == "joining" and up:
            self.state, self._due = "matched", None
            self._out.append(events.LinkUp(True))
        elif self.state == "matched" and not up:
            self._out.append(events.LinkUp(False))
            self._until = now + timers.EV_REPETITION.ms
            self._fail("the link was lost", now)

    # ── messages: True when it was in place ──────────────────────────────────────────────────────────────────────
    def _parm(self, message: SlacParmCnf, src: bytes, now: int) -> bool:
        if self.state != "asking" or message.run_id != self.run_id or message.application_type or message.security_type:
            return False
        if not self.candidates:
            self._due = now + timers.EV_COLLECT.ms
        self.candidates.setdefault(src, Candidate(mac=src, sounds=max(1, message.num_sounds)))
        return True

    def _result(self, message: AttenCharInd, src: bytes, now: int) -> bool:
        mine = message.run_id == self.run_id and message.source_address == self.config.mac
        candidate = self.candidates.get(src)
        if not mine or candidate is None or self.state in ("idle", "asking", "pausing", "given-up"):
            return False
        if message.num_groups != GROUPS or not message.num_sounds:
            return False
        self._say(src, AttenCharRsp(source_address=self.config.mac, run_id=self.run_id))
        if self.state in ("sounding", "results"):
            candidate.attenuation = sum(message.aag)
            self._heard_all(now)
        return True

    def _proven(self, message: ValidateCnf) -> bool:
        if self.state == "validating":
            return message.result == NOT_REQUIRED
        return self.state == "toggling" and message.result == SUCCESS and message.toggle_num == self.config.toggles

    def _validated(self, message: ValidateCnf, src: bytes, now: int) -> bool:
        if self.chosen is None or src != self.chosen.mac:
            return False
        if self.state == "validating" and message.result == READY:
            count, state_ms = self.config.toggles, timers.STATE_DURATION
            window = min((2 * count + 1) * state_ms, timers.EV_VALIDATE.ms)
            self._say(src, ValidateReq(timer=window // 100 - 1))
            self._out.append(events.TogglesWanted(count, state_ms))
            self.state, self._due = "toggling", now + timers.EV_VALIDATE.ms
        elif self._proven(message):
            self.state, self._tries = "matching", 0
            self._ask(now)
        elif self.state == "toggling" and message.result == READY:
            return True  # the first answer, said again
        elif self.state in ("validating", "toggling"):
            self._next("the EVSE is not the one", now)
        else:
            return False
        return True

    def _matched(self, message: SlacMatchCnf, src: bytes, now: int) -> bool:
        if self.state != "matching" or self.chosen is None or src != self.chosen.mac or message.run_id != self.run_id:
            return False
        if message.nid != nid_of(message.nmk):
            return False
        self.state = "joining"
        self._out += [Send(data) for data in self.modem.set_key(message.nmk, now)]
        attenuation = None if self.chosen.attenuation is None else self.chosen.attenuation // GROUPS
        self._out.append(events.Matched(mac=src, run_id=self.run_id, nid=message.nid, attenuation=attenuation))
        self._due = now + timers.EV_JOIN.ms
        self._out += [Send(data) for data in self.modem.watch(now)]
        if self.config.modem == "none":
            self._link(True, now)
        return True

    def _amp_map(self, message: AmpMapReq, src: bytes, now: int) -> bool:
        if self.state != "matched" or self.chosen is None or src != self.chosen.mac:
            return False
        self._say(src, AmpMapCnf())
        self._out.append(events.AmpMap(message.amdata))
        return True

    _HANDLERS: ClassVar[dict[type[Message], Callable[..., bool]]] = {
        SlacParmCnf: _parm,
        AttenCharInd: _result,
        ValidateCnf: _validated,
        SlacMatchCnf: _matched,
        AmpMapReq: _amp_map,
    }
