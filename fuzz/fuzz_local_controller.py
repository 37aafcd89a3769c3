"""Fuzz the local controller with frames of a station and of its upstream, in all versions, shown as they are or not.

    python fuzz/fuzz_local_controller.py -max_total_time=20

The first byte chooses version, direction and a head that leads past the envelope. Whatever comes, nothing is raised,
what goes out is JSON, and afterwards the station's heartbeat is still answered.
"""

from __future__ import annotations

import json
from random import Random

import atheris
from target import run

with atheris.instrument_imports(include=["pilotwire.site.ocpp"]):
    from pilotwire.core.ids import SeededIds
    from pilotwire.core.time import SimScheduler
    from pilotwire.site.ocpp.config import ControllerConfig, KnownStation, Upstream
    from pilotwire.site.ocpp.controller import LocalController
    from pilotwire.site.ocpp.evse import ManagedStation
    from pilotwire.site.ports import Abilities
    from pilotwire.storage.forwarding import MemoryForwarding
    from pilotwire.transport.memory import MemoryNetwork
    from pilotwire.transport.port import Handshake

HEADS = [
    (b"", b""),
    *(
        (b'[2,"id","%b",' % action, b"]")
        for action in (
            b"BootNotification", b"StatusNotification", b"StartTransaction", b"StopTransaction", b"MeterValues",
            b"TransactionEvent", b"Authorize", b"SetChargingProfile", b"SetVariables", b"GetVariables",
            b"RequestStartTransaction", b"SendLocalList", b"Invented",
        )
    ),
    (b'[3,"id",', b"]"),
]  # fmt: skip


class _End:
    """Whoever is at the other side of the box: keeps to JSON."""

    def __init__(self) -> None:
        self.link = None
        self.frames: list[bytes] = []

    def admit(self, handshake: object) -> _End:
        return self

    def opened(self, link: object) -> None:
        self.link = link

    def frame(self, data: bytes) -> None:
        assert isinstance(json.loads(data), list)
        self.frames.append(data)

    def send(self, data: bytes) -> None:
        self.frame(data)

    def close(self, code: int = 1000, reason: str = "") -> None: ...

    def ping(self) -> None: ...

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None: ...


def one(raw: bytes) -> None:
    """One input."""
    if len(raw) < 2:
        return
    way, head, data = raw[0], HEADS[raw[1] % len(HEADS)], raw[2:]
    version = ("1.6", "2.0.1", "2.1", "1.6")[way & 3]
    scheduler = SimScheduler()
    station = KnownStation(identity="S", security_profile=0, present_as="2.0.1" if way & 3 == 3 else "")
    config = ControllerConfig(upstreams=(Upstream(name="u"),), stations=(station,), ping_ms=0)
    wan, upstream = MemoryNetwork(scheduler, latency_ms=1), _End()
    if way & 4:
        wan.serve(upstream)
    box = LocalController(
        config, scheduler, SeededIds(1), Random(1), MemoryForwarding(scheduler), lambda u, seat: wan.dialer("S")
    )
    box.start()
    if way & 8:
        ManagedStation(box.seat("S"), {1: Abilities()})
    here = _End()
    hand = Handshake(
        tenant="default", identity="S", subprotocol=f"ocpp{version}", user=None, password=None, peer="x", tls=False
    )
    receiver = box.admit(hand)
    receiver.opened(here)
    scheduler.run_for(20)
    frame = head[0] + data + head[1]
    if way & 16 and upstream.link is not None:
        upstream.link.send(frame)
        scheduler.run_for(20)
        for said in list(here.frames):  # the station answers with the same bytes
            receiver.frame(b'[3,"%b",%b]' % (json.loads(said)[1].encode(), data))
    else:
        receiver.frame(frame)
        receiver.frame(frame)
    scheduler.run_for(200)
    here.frames.clear()
    if upstream.link is None:
        receiver.frame(b'[2,"last","Heartbeat",{}]')
        scheduler.run_for(20)
        assert any(json.loads(said)[:2] == [3, "last"] for said in here.frames)
    box.stop()


if __name__ == "__main__":
    run(one, "-max_len=512")
