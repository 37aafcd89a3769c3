"""Every state of both SLAC machines × every message: whatever comes in whatever order, only the right one gets the key.

States are told apart by all that a machine goes by except instants; each is reached by a shortest way and given every
message, from the peer and from a stranger, every command, and its own deadline.
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Callable
from typing import Any, get_args

from tests.protocols.slac.slac_world import ev_mac, evse_mac

from pilotwire.core.machines import Send
from pilotwire.protocols.slac import events, mme, timers
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.ev import State as ev_states
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.protocols.slac.evse import State as evse_states
from pilotwire.protocols.slac.keys import nid_of
from pilotwire.protocols.slac.mme import LOCAL_MODEM, MmeFrame, decode, encode

EV, EVSE, STRANGER, RUN = ev_mac(1), evse_mac(1), ev_mac(9), bytes(8)
KEY = bytes(range(16))


def random(n: int) -> bytes:
    """As random as a state's name allows."""
    return bytes(n)


def messages(me: bytes, peer: bytes) -> dict[str, bytes]:
    """Every message from the peer; those of a run from a stranger too; those of the modem."""
    run: dict[str, mme.Message] = {
        "parm req": mme.SlacParmReq(run_id=RUN),
        "parm cnf": mme.SlacParmCnf(forwarding_sta=EV, run_id=RUN, num_sounds=1),
        "start ind": mme.StartAttenCharInd(forwarding_sta=EV, run_id=RUN, num_sounds=1),
        "sound": mme.MnbcSoundInd(cnt=0, run_id=RUN, rnd=KEY),
        "near": mme.AttenCharInd(source_address=EV, run_id=RUN, num_sounds=1, aag=bytes(58)),
        "maybe": mme.AttenCharInd(source_address=EV, run_id=RUN, num_sounds=1, aag=bytes([15]) * 58),
        "far": mme.AttenCharInd(source_address=EV, run_id=RUN, num_sounds=1, aag=bytes([40]) * 58),
        "rsp": mme.AttenCharRsp(source_address=EV, run_id=RUN),
        "validate": mme.ValidateReq(),
        "toggles": mme.ValidateReq(timer=20),
        "break off": mme.ValidateReq(result=mme.FAILURE),
        "ready": mme.ValidateCnf(result=mme.READY),
        "counted": mme.ValidateCnf(result=mme.SUCCESS, toggle_num=3),
        "miscounted": mme.ValidateCnf(result=mme.SUCCESS, toggle_num=1),
        "not required": mme.ValidateCnf(result=mme.NOT_REQUIRED),
        "match req": mme.SlacMatchReq(pev_mac=EV, evse_mac=EVSE, run_id=RUN),
        "match cnf": mme.SlacMatchCnf(pev_mac=EV, evse_mac=EVSE, run_id=RUN, nid=nid_of(KEY), nmk=KEY),
        "amp map": mme.AmpMapReq(amdata=(1,)),
        "amp map cnf": mme.AmpMapCnf(),
    }
    made = {name: encode(MmeFrame(me, peer, message)) for name, message in run.items()}
    made |= {
        f"stranger's {name}": encode(MmeFrame(me, STRANGER, run[name]))
        for name in ("parm req", "start ind", "rsp", "match req", "match cnf", "near", "counted")
    }
    modem: dict[str, mme.Message] = {
        "profile": mme.AttenProfileInd(pev_mac=EV, aag=bytes([5]) * 58),
        "key taken": mme.SetKeyCnf(),
        "link": mme.LinkStatusCnf(link_status=1),
        "no link": mme.LinkStatusCnf(link_status=0),
    }
    return made | {name: encode(MmeFrame(me, LOCAL_MODEM, message)) for name, message in modem.items()}


COMMANDS = {
    "begin": events.Begin(),
    "leave": events.Leave(),
    "toggled": events.Toggled(),
}


def explore(
    machine: Any, peer: bytes, state_of: Callable[[Any], Any], check: Callable[..., None], most: int
) -> tuple[int, set[str]]:
    """Breadth first; returns how many states there are, and which of the machine's own were seen."""
    seen: set[str] = set()
    frames = messages(machine.config.mac, peer)
    found = {state_of(machine)}
    edge: list[tuple[bytes, int, tuple[str, ...]]] = [(pickle.dumps(machine), 0, ())]
    while edge:
        after: list[tuple[bytes, int, tuple[str, ...]]] = []
        for kept, now, way in edge:
            for name in itertools.chain(frames, COMMANDS, ("start", "wait")):
                fresh = pickle.loads(kept)
                before, at = fresh.state, now + 1
                if name == "wait":
                    at = max(at, fresh.deadline or 0)
                    said = list(fresh.elapse(at))
                elif name == "start":
                    said = list(fresh.start(at)) if hasattr(fresh, "start") and before == "idle" else []
                elif name in COMMANDS:
                    said = list(fresh.command(COMMANDS[name], at))
                else:
                    said = list(fresh.receive(frames[name], at))
                for _ in range(30):
                    if fresh.deadline is None or fresh.deadline > at:
                        break
                    said += fresh.elapse(at)
                else:
                    raise AssertionError(f"it is always due: {(*way, name)}")
                check(before, fresh, said, (*way, name))
                seen.add(fresh.state)
                state = state_of(fresh)
                if state not in found:
                    found.add(state)
                    assert len(found) <= most, "more states than were thought of"
                    after.append((pickle.dumps(fresh), at, (*way, name)))
        edge = after
    return len(found), seen


def sent(said: list[Any], kind: type) -> list[MmeFrame]:
    frames = [decode(one.data) for one in said if isinstance(one, Send)]
    return [frame for frame in frames if isinstance(frame.message, kind)]


def test_every_state_and_every_message_of_the_evse():
    def state_of(evse: SlacEvse) -> Any:
        runs = [(r.mac, r.stage, r.count, r.tries, min(r.toggles, 1)) for r in evse.runs.values()]
        return (
            evse.state, tuple(sorted(runs)), evse.peer, evse._match is None, evse._steps, evse._talked,
            evse._failing is None, evse._amp_due is None, evse._amp_tries, evse.modem.settled, evse.modem._tries,
        )  # fmt: skip

    def check(before: str, evse: SlacEvse, said: list[Any], way: tuple[str, ...]) -> None:
        for frame in sent(said, mme.SlacMatchCnf):
            assert evse.peer == frame.dst and evse.state in ("joining", "matched"), way
            whose = "stranger's " if frame.dst == STRANGER else ""
            assert {f"{whose}rsp", f"{whose}match req", f"{whose}start ind"} <= set(way), way
        if evse.state == "matched" and before != "matched":
            assert before == "joining" and way[-1] == "link" and events.LinkUp(True) in said, way
        if before == "matched" and evse.state != "matched":
            assert events.LinkUp(False) in said, way
            assert sent(said, mme.SetKeyReq), "the network is left: another key"
        assert (evse.peer is not None) == (evse.state in ("joining", "matched")), way
        assert not evse.runs or evse.state == "listening", way
        assert len(evse.runs) <= timers.C_EVSE_MATCH_PARALLEL

    evse = SlacEvse(SlacEvseConfig(mac=EVSE, modem="qualcomm", steps=1), random)
    count, seen = explore(evse, EV, state_of, check, 3_000)
    assert count > 100 and seen == set(get_args(evse_states))


def test_every_state_and_every_message_of_the_vehicle():
    def state_of(ev: SlacEv) -> Any:
        candidates = [(c.mac, c.attenuation) for c in ev.candidates.values()]
        queue = [c.mac for c in ev._queue]
        chosen = None if ev.chosen is None else ev.chosen.mac
        return (
            ev.state, tuple(candidates), tuple(queue), chosen, ev._tries, ev._sent, ev.modem.settled, ev.modem._tries,
            ev._results_due is None,
        )  # fmt: skip

    def check(before: str, ev: SlacEv, said: list[Any], way: tuple[str, ...]) -> None:
        if ev.state in ("joining", "matched") and before not in ("joining", "matched"):
            assert before == "matching" and way[-1] == "match cnf" and sent(said, mme.SetKeyReq), way
        if ev.state == "matched" and before != "matched":
            assert before == "joining" and way[-1] == "link", way
        if before == "matched" and ev.state != "matched":
            assert events.LinkUp(False) in said, way
        for frame in sent(said, mme.SlacMatchReq):
            assert frame.dst == EVSE and "parm cnf" in way, way
            assert "near" in way or {"maybe", "counted"} <= set(way) or {"maybe", "not required"} <= set(way), way
        assert (ev.chosen is not None) == (ev.state in ("validating", "toggling", "matching", "joining", "matched")), (
            way
        )

    ev = SlacEv(SlacEvConfig(mac=EV, modem="qualcomm"), random)
    count, seen = explore(ev, EVSE, state_of, check, 3_000)
    # How much of its ten seconds has gone by tells no two states apart here, so that none is given up.
    assert count > 500 and seen | {"given-up"} == set(get_args(ev_states))
