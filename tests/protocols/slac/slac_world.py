"""EVSEs and vehicles on a simulated power line, under simulated time."""

from __future__ import annotations

import random
from typing import Any

from pilotwire.core.runner import Runner
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.slac.ev import SlacEv, SlacEvConfig
from pilotwire.protocols.slac.events import Toggled, TogglesWanted
from pilotwire.protocols.slac.evse import SlacEvse, SlacEvseConfig
from pilotwire.protocols.slac.mme import decode
from pilotwire.transport.slac.powerline import Powerline, Station


def evse_mac(n: int) -> bytes:
    return bytes([2, 0, 0, 0, 0xE5, n])


def ev_mac(n: int) -> bytes:
    return bytes([2, 0, 0, 0, 0xE0, n])


class Host:
    """A machine, its runner and its place on the line; `said` are its events, `sent` its frames."""

    def __init__(self, world: SlacWorld, machine: Any) -> None:
        self.machine = machine
        self.said: list[tuple[int, Any]] = []
        self.sent: list[tuple[int, bytes]] = []
        self.plug: Host | None = None
        """What it is plugged into: its toggles are seen there."""
        self._world = world
        self.station: Station = world.line.station(machine.config.mac, lambda frame: self.runner.received(frame))
        self.runner = Runner(machine, world.time, send=self._send, event=self._event)

    def _send(self, frame: bytes) -> None:
        self.sent.append((self._world.now, frame))
        self.station.send(frame)

    def _event(self, event: Any) -> None:
        self.said.append((self._world.now, event))
        if isinstance(event, TogglesWanted) and self.plug:
            seen = self.plug.runner
            for n in range(event.count):
                self._world.time.call_later((2 * n + 1) * event.state_ms, lambda: seen.command(Toggled()))

    def events(self, kind: type) -> list[Any]:
        return [event for _, event in self.said if type(event) is kind]

    def frames(self, kind: type) -> list[Any]:
        return [m for m in (decode(frame).message for _, frame in self.sent) if type(m) is kind]


class SlacWorld:
    """`evses` and `evs`; `plug` says who is at whose cable."""

    def __init__(
        self, evses: int = 1, evs: int = 1, *, seed: int = 1, loss: int = 0, modem: Any = "qualcomm", **kw: Any
    ) -> None:
        self.time = SimScheduler(0)
        self.line = Powerline(self.time, seed=seed, loss=loss)
        chance = random.Random(seed)
        self.evses = [
            Host(self, SlacEvse(SlacEvseConfig(mac=evse_mac(n), modem=modem, **kw), chance.randbytes))
            for n in range(evses)
        ]
        self.evs = [Host(self, SlacEv(SlacEvConfig(mac=ev_mac(n), modem=modem), chance.randbytes)) for n in range(evs)]

    @property
    def now(self) -> int:
        return int(self.time.now())

    def plug(self, ev: int, evse: int, db: int = 5) -> None:
        self.line.attenuate(ev_mac(ev), evse_mac(evse), db)
        self.evs[ev].plug = self.evses[evse]

    def run(self, ms: int) -> None:
        self.time.run_for(ms)
