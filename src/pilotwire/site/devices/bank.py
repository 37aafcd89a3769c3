"""A device file as a server: the register map that a device of that kind shows. Simulators and facades stand on it.

    bank = DeviceBank()
    layout = bank.add(device, told=lambda layout, name, value: ...)     # commands that clients write, in base units
    bank.put(layout, "power_mw", 4200_000)
    server = Server(Guard(MapHandler(bank), access_of(bank)), ServerConfig(units=bank.units), scheduler)

A bank answers as the device would: addresses that the file does not name are not there (but for the gaps it allows),
and more registers at once than it allows are refused.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise

from pilotwire.core.errors import PilotwireError
from pilotwire.protocols.modbus.errors import IllegalDataAddress, IllegalDataValue
from pilotwire.protocols.modbus.planner import Want
from pilotwire.protocols.sunspec.chain import Built, ModelValues, build_chain
from pilotwire.protocols.sunspec.models import GroupDef, PointDef, model
from pilotwire.transport.modbus.guard import LOOPBACK, SERIAL, Access, Writable
from pilotwire.transport.modbus.registers import Table

from .identify import mark_registers
from .layout import TABLES, Layout, Reading, resolve
from .schema import DeviceFile, Point

Heard = Callable[[Layout, str, int], None]
_POWERS = {"A": -2, "V": -1, "Hz": -2, "Pct": -1, "C": -1, "cos()": -3, "deg": -1}
_SF_POWERS = {"voltage": -1, "current": -2, "frequency": -2, "power_factor": -1, "soc": -1, "health": -1, "temp": -1}


class DeviceBank:
    """The units of one server, each a device. A `RegisterMap`."""

    def __init__(self) -> None:
        self._cells: dict[tuple[int, Table], dict[int, int]] = {}
        self._layouts: dict[int, list[tuple[Layout, Heard | None]]] = {}
        self._most: dict[int, int] = {}
        self._objects: dict[int, dict[int, bytes]] = {}

    @property
    def units(self) -> frozenset[int]:
        """The units that there are."""
        return frozenset(self._layouts)

    @property
    def layouts(self) -> list[Layout]:
        """All devices, each outlet by itself."""
        return [layout for found in self._layouts.values() for layout, _ in found]

    def add(
        self,
        device: DeviceFile,
        *,
        unit: int | None = None,
        outlet: int = 1,
        told: Heard | None = None,
        models: Sequence[ModelValues] | None = None,
    ) -> Layout:
        """One more device, or one more outlet of one. `models` are those of a SunSpec device, where what the file
        names should not be served empty. `told` is called with what clients write. Raises ConfigError."""
        built = None
        if device.sunspec:
            built = build_chain(models or models_of(device), device.sunspec.base[0])
        layout = resolve(device, outlet=outlet, unit=unit, chain=built.chain if built else None)
        self._layouts.setdefault(layout.unit, []).append((layout, told))
        self._most[layout.unit] = device.modbus.max_registers
        self._fill(layout, built)
        return layout

    def describe(self, unit: int, objects: Mapping[int, bytes]) -> None:
        """The unit's identification (function 43/14)."""
        self._objects[unit] = dict(objects)

    def put(self, layout: Layout, name: str, value: int | str) -> None:
        """Let a point say this, as near as its registers can. Raises RequestError, KeyError."""
        for table, address, registers in layout.encode(name, value, lambda want: self.peek(layout.unit, want)):
            self.poke(layout.unit, table, address, registers)

    def get(self, layout: Layout, name: str) -> Reading:
        """What a client would make of a point."""
        return self._decoded(layout).get(name)

    def told(self, layout: Layout, name: str) -> Reading:
        """What stands in a command's registers."""
        return layout.told(name, lambda want: self.peek(layout.unit, want))

    def peek(self, unit: int, want: Want) -> list[int]:
        """Registers; 0 where there are none."""
        cells = self._cells.get((unit, TABLES[want.function]), {})
        return [cells.get(at, 0) for at in range(want.address, want.address + want.count)]

    def poke(self, unit: int, table: Table, address: int, registers: Sequence[int]) -> None:
        """Set registers, and make their addresses be there."""
        cells = self._cells.setdefault((unit, table), {})
        cells.update(zip(range(address, address + len(registers)), registers, strict=True))

    def cells(self, unit: int, table: Table) -> dict[int, int]:
        """A copy of all that a table has."""
        return dict(self._cells.get((unit, table), {}))

    def read(self, unit: int, table: Table, address: int, count: int) -> Sequence[int]:
        if table in ("holding", "input") and count > self._most.get(unit, 125):
            raise IllegalDataValue()
        try:
            cells = self._cells[unit, table]
            return [cells[at] for at in range(address, address + count)]
        except KeyError:
            raise IllegalDataAddress() from None

    def write(self, unit: int, table: Table, address: int, values: Sequence[int]) -> None:
        self.read(unit, table, address, len(values))
        self.poke(unit, table, address, values)
        stop = address + len(values)
        for layout, heard in self._layouts.get(unit, ()):
            for name, order in layout.orders.items():
                want = order.want
                touched = TABLES[want.function] == table and want.address < stop and address < want.address + want.count
                value = self.told(layout, name) if touched and heard is not None else None
                if isinstance(value, int) and heard is not None:
                    heard(layout, name, value)

    def identification(self, unit: int) -> Mapping[int, bytes]:
        return self._objects.get(unit, {})

    def _decoded(self, layout: Layout) -> dict[str, Reading]:
        found: dict[Want, Sequence[int] | PilotwireError] = {
            want: self.peek(layout.unit, want) for cell in layout.cells.values() for want in cell.wants
        }
        return layout.decode(found)

    def _fill(self, layout: Layout, built: Built | None) -> None:
        """Every address of the file is there, at 0 or with what means "not there"; scale factors are as they suit."""
        unit = layout.unit
        if built is not None:
            self.poke(unit, "holding", built.base, built.registers)
        for name, cell in layout.cells.items():
            if built is None:
                for want in cell.wants:
                    self._touch(unit, want)
                if cell.sf is not None:
                    power = next((power for word, power in _SF_POWERS.items() if name.startswith(word)), 0)
                    self.poke(unit, TABLES[cell.sf.function], cell.sf.address, [power & 0xFFFF])
        for order in layout.orders.values():
            self._touch(unit, order.want)
            for side in (*order.before, *order.after):
                self._touch(unit, side.want)
        for table in ("holding", "input"):
            cells = self._cells.get((unit, table), {})
            there = sorted(cells)
            for here, following in pairwise(there):
                gap = range(here + 1, following)
                if len(gap) <= layout.device.modbus.gap:
                    cells.update(dict.fromkeys(filter(layout.may_touch, gap), 0))
        for mark in layout.device.identify.registers if layout.device.identify else ():
            want, registers = mark_registers(mark, layout.device)
            self.poke(unit, TABLES[want.function], want.address, registers)

    def _touch(self, unit: int, want: Want) -> None:
        cells = self._cells.setdefault((unit, TABLES[want.function]), {})
        for at in range(want.address, want.address + want.count):
            cells.setdefault(at, 0)


def models_of(device: DeviceFile) -> list[ModelValues]:
    """The models that a SunSpec file names, with what its points need to be there: scale factors, names, blocks."""
    assert device.sunspec is not None
    used: dict[int, set[str]] = {}
    items: list[Point | object] = [*device.points.values(), *device.commands.values()]
    for item in items:
        paths: str | tuple[str, ...] = getattr(item, "sunspec", ())
        for path in (paths,) if isinstance(paths, str) else paths:
            number, _, name = path.partition(".")
            used.setdefault(int(number), set()).add(name)
    found: list[ModelValues] = []
    for number in (*([] if 1 in device.sunspec.models else [1]), *device.sunspec.models):
        definition = model(number)
        counts = {group.name: device.sunspec.counts.get(number, 1) for group in definition.groups if group.count != 1}
        values: dict[str, int | str] = {}
        if number == 1:
            identify = device.identify
            values |= {"Mn": (identify and identify.manufacturer) or device.vendor, "DA": 1}
            values |= {"Md": ((identify and identify.model) or device.models[0])[:32], "SN": "SIM00001", "Vr": "1.0"}
        for point in _points(definition):
            if isinstance(point.sf, str) and point.sf in definition.points:
                values[point.sf] = _POWERS.get(point.units, 0)
        found.append(ModelValues(number, values, counts))
    return found


def _points(group: GroupDef) -> Iterator[PointDef]:
    yield from group.points.values()
    for inner in group.groups:
        yield from _points(inner)


def access_of(bank: DeviceBank, clients: tuple[str, ...] = (*LOOPBACK, SERIAL)) -> Access:
    """Whoever is among the clients may write what the bank's commands write, and nothing else."""
    writable: dict[tuple[int, int, str], Writable] = {}
    for layout in bank.layouts:
        for order in layout.orders.values():
            for want in (order.want, *(side.want for side in (*order.before, *order.after))):
                table = "coils" if want.function == 1 else "holding"
                for at in range(want.address, want.address + want.count):
                    writable[layout.unit, at, table] = Writable(address=at, table=table, unit=layout.unit)
    return Access(clients=clients, writers=clients, writable=tuple(writable.values()), writes_per_minute=1_000_000)


__all__ = ["DeviceBank", "access_of", "models_of"]
