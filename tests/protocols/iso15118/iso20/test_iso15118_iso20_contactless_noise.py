"""WPT and ACDP with one message of a session bent, cut or put on another stream: it goes on, or all is off."""

from __future__ import annotations

import random
from typing import Any

import pytest
from tests.protocols.iso15118.iso20.iso20_world import DRIVE, World

from pilotwire.core.ev_link import ContactsAsked, Parted
from pilotwire.core.evse_link import Ended
from pilotwire.protocols import exi
from pilotwire.protocols.iso15118 import v2gtp

STREAMS = (v2gtp.MAIN, v2gtp.DC, v2gtp.ACDP, v2gtp.WPT, v2gtp.ACDP_SYSTEM_STATUS)


class Noisy(World):
    """A world in which what is bent need not be readable for the one who watches."""

    def _seen(self, side: str, frame: Any) -> None:
        try:
            super()._seen(side, frame)
        except (exi.DecodeError, KeyError):
            self.frames.append((side, frame.type, "", {}))


def bent(frame: v2gtp.Frame, rng: random.Random) -> v2gtp.Frame:
    payload = bytearray(frame.payload)
    if rng.random() < 0.8:
        payload[rng.randrange(len(payload))] ^= 1 << rng.randrange(8)
    else:
        del payload[rng.randrange(len(payload)) :]
    return v2gtp.Frame(frame.type if rng.random() < 0.9 else rng.choice(STREAMS), bytes(payload))


@pytest.mark.parametrize("seed", range(20))
@pytest.mark.parametrize("service", ["WPT", "DC_ACDP", "DC_ACDP_BPT"])
def test_one_bent_message(service: Any, seed: int) -> None:
    rng = random.Random(f"{service} {seed}")
    world = Noisy(service, drive=DRIVE, dynamic=rng.random() < 0.5)
    at, sender, hearer = rng.randrange(3, 50), *rng.choice(((world.secc, world.evcc), (world.evcc, world.secc)))
    send, sent = sender._send, [0]

    def noise(frame: v2gtp.Frame) -> None:
        sent[0] += 1
        if sent[0] != at:
            send(frame)
            return
        odd = bent(frame, rng)
        world.scheduler.call_later(2, lambda: hearer.received(odd))

    sender._send = noise
    world.begin(9_000)
    if world.said(Parted, "car"):
        world.secc._do(lambda: world.evse.lost(world.secc.now))
    elif world.said(Ended):
        world.evcc._do(lambda: world.ev.lost(world.evcc.now))
    else:
        assert sent[0] >= at
        assert world.outlet.flowing.mw > 0, "it made no difference"
        return
    world.run(2_000)
    assert world.outlet.flowing.ma == 0
    assert not world.outlet.closed
    assert world.said(ContactsAsked, "car")[-1:] in ([], [ContactsAsked(False)])
