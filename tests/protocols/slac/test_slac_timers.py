"""Every time of SLAC, just inside and just outside of its limit."""

from __future__ import annotations

from typing import Any

from tests.protocols.slac.slac_world import ev_mac, evse_mac
from tests.timers import OUTSIDE, every_timer, just, shown

from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.slac import events, mme
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.protocols.slac.keys import nid_of
from pilotwire.protocols.slac.mme import LOCAL_MODEM, Message, MmeFrame, decode, encode
from pilotwire.protocols.slac.timers import TIMERS

EV, EVSE, RUN = ev_mac(1), evse_mac(1), b"RUN-0001"


class Bench:
    """One machine; what it says and sends since `mark`."""

    def __init__(self, side: str) -> None:
        self.time = SimScheduler(0)
        self.said: list[Any] = []
        self.me, self.peer = (EV, EVSE) if side == "ev" else (EVSE, EV)
        if side == "ev":
            self.machine: Any = SlacEv(SlacEvConfig(mac=EV, modem="plain"), lambda n: RUN.ljust(n, b"-")[:n])
        else:
            config = SlacEvseConfig(mac=EVSE, modem="plain", amp_map=(1, 2))
            self.machine = SlacEvse(config, lambda n: RUN.ljust(n, b"-")[:n])
        self.runner = Runner(self.machine, self.time, send=self._sent, event=self.said.append)

    def _sent(self, data: bytes) -> None:
        frame = decode(data)
        self.said.append(frame.message)
        if isinstance(frame.message, mme.SetKeyReq):
            self.time.call_later(0, lambda: self.hear(mme.SetKeyCnf(), LOCAL_MODEM))

    def hear(self, message: Message, src: bytes | None = None) -> None:
        self.runner.received(encode(MmeFrame(self.me, src or self.peer, message)))

    def run(self, ms: int) -> list[Any]:
        """What is said while time goes by."""
        before = len(self.said)
        self.time.run_for(ms)
        return self.said[before:]

    # the EVSE's way, step by step
    def listening(self) -> Bench:
        self.runner.command(events.Begin())
        return self

    def asked(self) -> Bench:
        self.listening().hear(mme.SlacParmReq(run_id=RUN))
        return self

    def sounding(self) -> Bench:
        self.asked().hear(mme.StartAttenCharInd(forwarding_sta=EV, run_id=RUN))
        for _ in range(7):
            self.hear(mme.AttenProfileInd(pev_mac=EV, aag=bytes([5]) * 58), LOCAL_MODEM)
        return self

    def told(self) -> Bench:
        self.sounding()
        for _ in range(3):
            self.hear(mme.AttenProfileInd(pev_mac=EV, aag=bytes([5]) * 58), LOCAL_MODEM)
        return self

    def answered(self) -> Bench:
        self.told().hear(mme.AttenCharRsp(source_address=EV, run_id=RUN))
        return self

    def joining(self) -> Bench:
        if self.me == EVSE:
            self.answered().hear(mme.SlacMatchReq(pev_mac=EV, evse_mac=EVSE, run_id=RUN))
            return self
        self.weighed(5)
        nmk = bytes(range(16))
        self.hear(mme.SlacMatchCnf(pev_mac=EV, evse_mac=EVSE, run_id=RUN, nid=nid_of(nmk), nmk=nmk))
        return self

    # the vehicle's
    def weighed(self, db: int) -> Bench:
        self.runner.start()
        self.hear(mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN))
        self.run(100 + 40 * 13)
        self.hear(mme.AttenCharInd(source_address=EV, run_id=RUN, num_sounds=10, aag=bytes([db]) * 58))
        return self


def names(said: list[Any]) -> list[str]:
    return [type(one).__name__ for one in said]


@every_timer(TIMERS)
def test_slac_timers(rule: TimerRule, edge: str):
    bench = Bench(rule.side)
    seen, expected = CASES[rule.name, rule.side](bench, just(rule, edge))
    assert (expected in seen) == (edge == OUTSIDE), (rule.name, edge, seen)
    shown(rule, edge, f"said: {', '.join(seen) or 'nothing yet'}; the machine is {bench.machine.state}")


Case = tuple[list[str], str]


def slac_init(bench: Bench, ms: int) -> Case:
    return names(bench.listening().run(ms)), "StepWanted"


def evse_sequence(bench: Bench, ms: int) -> Case:
    return names(bench.asked().run(ms)), "MatchingFailed"


def mnbc(bench: Bench, ms: int) -> Case:
    return names(bench.sounding().run(ms)), "AttenCharInd"


def evse_response(bench: Bench, ms: int) -> Case:
    return names(bench.told().run(ms)), "AttenCharInd"


def match_session(bench: Bench, ms: int) -> Case:
    return names(bench.answered().run(ms)), "MatchingFailed"


def evse_join(bench: Bench, ms: int) -> Case:
    return names(bench.joining().run(ms)), "StepWanted"


def evse_repetition(bench: Bench, ms: int) -> Case:
    bench.asked().run(400)
    return names(bench.run(ms)), "StepWanted"


def evse_step(bench: Bench, ms: int) -> Case:
    bench.listening().run(50_000)
    bench.run(ms)
    before = len(bench.said)
    bench.hear(mme.SlacParmReq(run_id=RUN))
    return names(bench.said[before:]), "SlacParmCnf"


def amp_map(bench: Bench, ms: int) -> Case:
    bench.joining().runner.command(events.Link(True))
    return names(bench.run(ms)), "AmpMapReq"


def ev_response(bench: Bench, ms: int) -> Case:
    bench.runner.start()
    return names(bench.run(ms)), "SlacParmReq"


def ev_collect(bench: Bench, ms: int) -> Case:
    bench.runner.start()
    bench.hear(mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN))
    return names(bench.run(ms)), "StartAttenCharInd"


def ev_batch(bench: Bench, ms: int) -> Case:
    bench.runner.start()
    bench.hear(mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN))
    bench.run(100)
    return names(bench.run(ms)), "StartAttenCharInd"


def ev_results(bench: Bench, ms: int) -> Case:
    bench.runner.start()
    bench.hear(mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN))
    bench.run(100)
    return names(bench.run(ms)), "MatchingFailed"


def ev_validate(bench: Bench, ms: int) -> Case:
    bench.weighed(15).hear(mme.ValidateCnf(result=mme.READY))
    return names(bench.run(ms)), "MatchingFailed"


def ev_join(bench: Bench, ms: int) -> Case:
    return names(bench.joining().run(ms)), "MatchingFailed"


def ev_rate(bench: Bench, ms: int) -> Case:
    bench.weighed(40)
    return names(bench.run(ms)), "SlacParmReq"


def ev_repetition(bench: Bench, ms: int) -> Case:
    """A run that fails at the last moment from which another one could begin in time, and one that fails later."""
    bench.runner.start()
    bench.hear(mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN))
    bench.run(8_700)  # its results never come; then nobody answers, seven times
    bench.hear(mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN))
    bench.run(ms - 400 - 8_700)
    before = len(bench.said)
    bench.hear(mme.AttenCharInd(source_address=EV, run_id=RUN, num_sounds=10, aag=bytes([40]) * 58))
    return names(bench.said[before:]), "GivenUp"


CASES = {
    ("TT_EVSE_SLAC_init", "evse"): slac_init,
    ("TT_match_sequence", "evse"): evse_sequence,
    ("TT_EVSE_match_MNBC", "evse"): mnbc,
    ("TT_match_response", "evse"): evse_response,
    ("TT_EVSE_match_session", "evse"): match_session,
    ("TT_match_join", "evse"): evse_join,
    ("TT_matching_repetition", "evse"): evse_repetition,
    ("T_step_EF before matching", "evse"): evse_step,
    ("TT_amp_map_exchange", "evse"): amp_map,
    ("TT_match_response", "ev"): ev_response,
    ("TP_match_sequence", "ev"): ev_collect,
    ("TP_EV_batch_msg_interval", "ev"): ev_batch,
    ("TT_EV_atten_results", "ev"): ev_results,
    ("TT_EVSE_vald_toggle", "ev"): ev_validate,
    ("TT_match_join", "ev"): ev_join,
    ("TT_matching_rate", "ev"): ev_rate,
    ("TT_matching_repetition", "ev"): ev_repetition,
}
