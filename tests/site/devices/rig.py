"""A link to simulated devices in simulated time: no sockets, every byte through both machines."""

from __future__ import annotations

from collections.abc import Callable

from pilotwire.core.time import SimScheduler
from pilotwire.protocols.modbus.client import ClientConfig
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.site.devices.bank import access_of
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.modbus.carriers import Carrier
from pilotwire.transport.modbus.guard import Audit, Guard
from pilotwire.transport.modbus.link import Link
from pilotwire.transport.modbus.registers import MapHandler
from pilotwire.transport.modbus.server import Client, ServerTotals


class _Wire:
    """The client's side of a connection."""

    def __init__(self, rig: Rig, heard: Callable[[bytes], None], lost: Callable[[str], None]) -> None:
        self._rig = rig
        self._lost = lost
        self._open = True
        clock = rig.clock
        self._server = Client(
            "127.0.0.1", rig.guard, ServerConfig(units=rig.simulator.bank.units), clock, ServerTotals(),
            lambda data: self._later(lambda: heard(data)), self.close,
        )  # fmt: skip

    def _later(self, deliver: Callable[[], None]) -> None:
        self._rig.clock.call_later(self._rig.latency_ms, lambda: deliver() if self._open else None)

    def write(self, data: bytes) -> None:
        rig = self._rig
        if not rig.deaf and data[6] not in rig.dead_units and int.from_bytes(data[8:10], "big") not in rig.deaf_to:
            self._later(lambda: self._server.received(data))

    def close(self) -> None:
        self._open = False

    def cut(self) -> None:
        """The network goes."""
        if self._open:
            self._open = False
            self._lost("cut")


class Rig:
    """Simulated devices, and a link to them. `deaf` devices answer nothing; `dead_units` not at all."""

    def __init__(self, **config: int) -> None:
        self.clock = SimScheduler()
        self.simulator = Simulator(self.clock, audit=None)
        self.audits: list[Audit] = []
        self.deaf = False
        self.dead_units: set[int] = set()
        self.deaf_to: set[int] = set()
        """Addresses at which a request is not heard."""
        self.latency_ms = 5
        self.wires: list[_Wire] = []
        self._config = ClientConfig(**{"answer_ms": 500, **config})  # type: ignore[arg-type]

    def link(self) -> Link:
        """To be called when all devices are there."""
        self.guard = Guard(
            MapHandler(self.simulator.bank), access_of(self.simulator.bank), self.clock, self.audits.append
        )
        link = Link(self, self.clock, self._config)
        link.start()
        self.simulator._begin()
        return link

    def dial(
        self, heard: Callable[[bytes], None], lost: Callable[[str], None], done: Callable[[Carrier | str], None]
    ) -> None:
        wire = _Wire(self, heard, lost)
        self.wires.append(wire)
        self.clock.call_later(1, lambda: done(wire))

    def run(self, ms: int) -> None:
        """Let time pass."""
        self.clock.run_until(self.clock.now() + ms)

    def written(self) -> list[tuple[int, ...]]:
        """Addresses and values that were written, oldest first."""
        found: list[tuple[int, ...]] = []
        for audit in self.audits:
            request = audit.done
            address = getattr(request, "address", None)
            if address is not None:
                value = getattr(request, "value", None)
                found.append((address, int(value)) if value is not None else (address, *getattr(request, "values", ())))
        return found
