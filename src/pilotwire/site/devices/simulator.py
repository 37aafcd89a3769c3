"""A simulated device, made of its file: the register map it shows, with something inside that behaves.

simulator = Simulator(scheduler)
inside = simulator.add(device)                  # a Behaviour: inside.plugged = True
port = await simulator.listen()                 # Modbus TCP on loopback
simulator.listen_serial("/dev/pts/3")           # or RTU on a serial line
await simulator.close()
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.modbus.errors import RequestError
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.transport.modbus.carriers import SerialEndpoint
from pilotwire.transport.modbus.guard import LOOPBACK, SERIAL, Audit, Guard
from pilotwire.transport.modbus.registers import MapHandler, Table
from pilotwire.transport.modbus.server import SerialServer, Server

from .bank import DeviceBank, access_of
from .behaviour import VOLTS, Behaviour, behaviour_of
from .layout import Layout, inputs
from .schema import DeviceFile

STEP_MS = 200
_IDENTITY = {"serial": "1000001", "model": "100", "firmware": "100", "id_token": "4A2B6C1D"}
"""Digits, as some devices have them as numbers."""


class _Inside(msgspec.Struct):
    layout: Layout
    behaviour: Behaviour
    broken: set[str]
    """Points that the registers cannot say: told once."""


class _Listening(DeviceBank):
    """A bank that tells when it was read."""

    def __init__(self, asked: Callable[[int], None]) -> None:
        super().__init__()
        self._asked = asked

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        self._asked(unit)
        return super().read(unit, table, address, count)


class Simulator:
    """See the module's head. Time is the scheduler's; `moving=False` leaves everything as it is put."""

    def __init__(
        self, scheduler: Scheduler, *, moving: bool = True, audit: Callable[[Audit], None] | None = None
    ) -> None:
        self.bank = _Listening(self._read)
        self.heard: list[tuple[Layout, str, int]] = []
        """The last commands, oldest first."""
        self.unsayable: list[str] = []
        """What a device's registers could not say, in words."""
        self._scheduler = scheduler
        self._moving = moving
        self._audit = audit
        self._insides: list[_Inside] = []
        self._servers: list[Server] = []
        self._serial: list[SerialServer] = []
        self._timer: Timer | None = None

    def add(self, device: DeviceFile, *, unit: int | None = None, outlet: int = 1) -> Behaviour:
        """One more device."""
        now = int(self._scheduler.now())
        behaviour = behaviour_of(device, now)
        layout = self.bank.add(device, unit=unit, outlet=outlet, told=self._told)
        inside = _Inside(layout, behaviour, set())
        self._insides.append(inside)
        self.bank.describe(layout.unit, _objects(device))
        for name, text in _IDENTITY.items():
            self._put(inside, name, text)
        model = layout.cells.get("model")
        if model is not None and model.field.kind == "string" and not model.point.map:
            text = (device.identify.model if device.identify else "") or device.models[0]
            self._put(inside, "model", text.encode("ascii", "replace")[: 2 * model.field.length].decode())
        for point in device.points.values():
            for helper in point.product:
                if helper.startswith("_") and "volt" in helper:
                    self._put(inside, helper, sum(VOLTS))  # of a DC side: the power fits that of three phases
        self._say(inside, now)
        self._stand(inside, now)
        for name, value in device.simulate.items():
            self._put(inside, name, value)
        return behaviour

    def layout(self, behaviour: Behaviour) -> Layout:
        """Where a device's points are in the bank."""
        return next(each.layout for each in self._insides if each.behaviour is behaviour)

    async def listen(self, host: str = "127.0.0.1", port: int = 0, *, clients: tuple[str, ...] = LOOPBACK) -> int:
        """Serve Modbus TCP; returns the port. Raises ConfigError."""
        guard = Guard(MapHandler(self.bank), access_of(self.bank, clients), self._scheduler, self._audit)
        server = Server(guard, ServerConfig(units=self.bank.units), self._scheduler)
        bound = await server.listen(host, port)
        self._servers.append(server)
        self._begin()
        return bound

    def listen_serial(self, endpoint: SerialEndpoint) -> None:
        """Serve RTU on a serial line. Raises ConfigError."""
        guard = Guard(MapHandler(self.bank), access_of(self.bank, (SERIAL,)), self._scheduler, self._audit)
        config = ServerConfig(framing="rtu", units=self.bank.units)
        self._serial.append(SerialServer(guard, config, self._scheduler, endpoint))
        self._begin()

    async def close(self) -> None:
        """Stop."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for each in self._serial:
            each.close()
        for server in self._servers:
            await server.close()

    def step(self) -> None:
        """Let every device take note of the time."""
        now = int(self._scheduler.now())
        for inside in self._insides:
            self._say(inside, now)

    def _begin(self) -> None:
        if self._moving and self._timer is None:
            self._timer = self._scheduler.call_later(STEP_MS, self._step)

    def _step(self) -> None:
        self._timer = self._scheduler.call_later(STEP_MS, self._step)
        self.step()

    def _read(self, unit: int) -> None:
        now = int(self._scheduler.now())
        for inside in self._insides:
            if inside.layout.unit == unit:
                inside.behaviour.asked(now)

    def _told(self, layout: Layout, name: str, value: int) -> None:
        self.heard.append((layout, name, value))
        del self.heard[:-1000]
        inside = next(each for each in self._insides if each.layout is layout)
        inside.behaviour.told(name, value, int(self._scheduler.now()))
        # What a command is read back by says it at once, whatever the behaviour makes of it.
        verify = layout.orders[name].verify
        if verify not in (None, "self"):
            self._put(inside, verify, value)
        if self._moving:
            self._say(inside, int(self._scheduler.now()))

    def _say(self, inside: _Inside, now: int) -> None:
        for name, value in inside.behaviour.step(now).items():
            self._put(inside, name, value)

    def _stand(self, inside: _Inside, now: int) -> None:
        """What a command's register says before anybody has written it: what the device does of itself."""
        layout = inside.layout
        for name, value in inside.behaviour.step(now).items():
            if name in layout.orders and name not in layout.device.points and isinstance(value, int):
                with suppress(RequestError):  # 0 may lie outside of what can be told
                    write = next(
                        write
                        for write in layout.writes(name, value, lambda want: self.bank.peek(layout.unit, want))
                        if write.address == layout.orders[name].want.address
                    )
                    self.bank.poke(layout.unit, write.table, write.address, write.values)

    def _put(self, inside: _Inside, name: str, value: int | str) -> None:
        layout = inside.layout
        if name in inside.broken or (name not in layout.cells and name not in layout.derived):
            return
        if name in layout.derived and _follows_by_itself(layout, name):
            return
        try:
            self.bank.put(layout, name, value)
        except (RequestError, ValueError) as error:
            inside.broken.add(name)
            self.unsayable.append(f"{layout.device.id}: {name} = {value}: {error}")


def _follows_by_itself(layout: Layout, name: str) -> bool:
    """Whether a derived point is made of points that are put themselves, or of a product, which cannot be undone."""
    point = layout.device.points[name]
    helpers = [each for each in inputs(point) if each.startswith("_")]
    return (
        not helpers
        or bool(point.product)
        or any(_follows_by_itself(layout, each) for each in helpers if each in layout.derived)
    )


def _objects(device: DeviceFile) -> dict[int, bytes]:
    """Function 43/14 of a device that has it: named in its file."""
    wanted = device.identify.device_id if device.identify else {}
    return {number: text.encode("latin-1", "replace") for number, text in wanted.items()}


def endpoint_of(device: DeviceFile, path: str) -> SerialEndpoint:
    """A serial line with the settings that the device is delivered with."""
    serial = device.modbus.serial
    parity = {"none": "N", "even": "E", "odd": "O"}[serial.parity]
    if parity not in ("N", "E", "O"):
        raise ConfigError(f"{serial.parity} is no parity")
    return SerialEndpoint(path, serial.baud, parity, serial.stop_bits)
