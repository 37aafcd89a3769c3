"""Fuzzes the machines of ISO 15118-20, both ends: whatever is said to them, in whatever order, and at whatever time.

    python fuzz/fuzz_iso20.py [--seconds 60] [corpus directory] [libFuzzer options]

The first byte picks the end, the service and its control mode; each further pair of bytes is a step: a good message, a
bent one, a command, or time that goes by. Nothing raises, nothing flows that must not, and what is over stays silent.
"""

from __future__ import annotations

from typing import Any

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire"]):
    from tests.protocols.iso15118.iso20.iso20_talk import Talk
    from tests.protocols.iso15118.iso20.iso20_world import AC_DRIVE, DRIVE, World, random

    from pilotwire.core.ev_link import Ask, Contacts, ContactsAsked, Drive, Halt, Parted, Rest
    from pilotwire.core.evse_link import Contactor, Ended, Measured, Offer, Pause, Paused, Requested, Resume, Stop
    from pilotwire.core.machines import Close, Send
    from pilotwire.protocols.iso15118 import v2gtp
    from pilotwire.protocols.iso15118.config import EvccConfig
    from pilotwire.protocols.iso15118.iso20.evcc import Iso20Evcc

SERVICES: tuple[Any, ...] = ("DC", "AC", "DC_BPT", "AC_BPT")
STATION = (
    Offer(max_mv=400_000, max_ma=10_000), Measured(mv=300_000, ma=5), Pause(), Resume(), Stop(), Stop(emergency=True),
    Contactor(False), Contactor(True),
)  # fmt: skip
CAR = (Drive(ready=False), Drive(target_ma=9_000), Halt(), Halt(emergency=True), Rest(), Ask(), Contacts(False))


def answers(service: Any, dynamic: bool) -> list[v2gtp.Frame]:
    """What a station says in a whole session."""
    world = World(service, dynamic=dynamic)
    frames: list[v2gtp.Frame] = []
    send = world.secc._send

    def keep(frame: v2gtp.Frame) -> None:
        frames.append(frame)
        send(frame)

    world.secc._send = keep
    world.begin(4_000)
    world.evcc.command(Halt())
    world.run(3_000)
    return frames


ANSWERS = {(service, dynamic): answers(service, dynamic) for service in SERVICES for dynamic in (False, True)}


def bent(frame: v2gtp.Frame, how: int) -> v2gtp.Frame:
    """One bit flipped, or the end cut off."""
    payload = bytearray(frame.payload)
    if how & 1:
        payload[(how >> 1) % len(payload)] ^= 1 << (how % 8)
    else:
        del payload[(how >> 1) % len(payload) :]
    return v2gtp.Frame(frame.type, bytes(payload))


def station(service: Any, dynamic: bool, steps: bytes) -> None:
    """The station's end: good requests lead on, all else is as the bytes say."""
    talk = Talk(service, dynamic=dynamic)
    way = dict(talk.way)
    for kind, how in zip(steps[::2], steps[1::2], strict=False):
        state = talk.machine.state
        if state == "Over":
            break
        name = way.get(state, "SessionStopReq")
        good = talk.frame_of("PowerDeliveryReq" if name == "stop" else name)
        if kind < 120:
            for _ in range(how % 4 + 1):
                talk.frame(good)
                talk.session = talk.machine.session.id or bytes(8)
        elif kind < 170:
            talk.frame(bent(good, how))
        elif kind < 200:
            talk.frame(v2gtp.Frame(0x8000 + how % 8, steps))
        elif kind < 230:
            talk.command(STATION[how % len(STATION)])
        else:
            talk.elapse(how * 4)
        flows = talk.machine.output.asked
        assert flows == Requested() or talk.machine.output.may_flow
    talk.elapse(200_000)
    assert talk.machine.output.asked == Requested()
    said = [type(one) for one in talk.out]
    assert said.count(Ended) + said.count(Paused) == (talk.machine.state == "Over")


def vehicle(service: Any, dynamic: bool, steps: bytes) -> None:
    """The vehicle's end: it hears what a station would say, bent where the bytes say so."""
    machine = Iso20Evcc(EvccConfig(services=(service,), dynamic=dynamic), "iso20-dc" if service.startswith("DC") else
                        "iso20-ac", random=random(2), tls=True)  # fmt: skip
    now, out = 0, []
    closed = [False]
    """The contactors in the inlet: as asked for, or fallen open by themselves, which nobody asks for again."""

    def take(effects: Any) -> None:
        for effect in effects:
            out.append(effect)
            if type(effect) is ContactsAsked:
                closed.append(effect.closed)
                take(machine.command(Contacts(effect.closed), now))

    take(machine.command(DRIVE if service.startswith("DC") else AC_DRIVE, now))
    take(machine.start(now))
    for place, frame in enumerate(ANSWERS[service, dynamic]):
        kind = steps[2 * place] if 2 * place + 1 < len(steps) else 0
        how = steps[2 * place + 1] if kind else 0
        if kind >= 200:
            said = CAR[how % len(CAR)]
            if type(said) is Contacts:
                closed.append(said.closed)
            take(machine.command(said, now))
        elif kind >= 150:
            frame = v2gtp.Frame(frame.type, steps)
        elif kind >= 100:
            frame = bent(frame, how)
        take(machine.receive(frame, now))
        if machine.alarms.running("next"):
            now = max(now, machine.deadline or now)
            take(machine.elapse(now))
        if machine.over:
            break
    now += 1_000_000
    while machine.deadline is not None:
        take(machine.elapse(now))
    kinds = [type(one) for one in out]
    assert kinds.count(Parted) == machine.over and set(kinds[kinds.index(Parted) :] if machine.over else ()) <= {
        Parted,
        Close,
    }
    assert not machine.over or not closed[-1]
    assert all(one.data.payload for one in out if type(one) is Send)


def one(raw: bytes) -> None:
    """One input."""
    if not raw:
        return
    way = vehicle if raw[0] & 1 else station
    way(SERVICES[raw[0] >> 1 & 3], bool(raw[0] & 8), raw[1:])


if __name__ == "__main__":
    run(one, "-max_len=256")
