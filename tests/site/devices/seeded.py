"""Errors put into device files on purpose, and whether anybody notices: the static checks, a read that fails, or
`plausibility` on what the wrong file makes of a right device that goes through a small day."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import SimScheduler
from pilotwire.protocols.modbus.errors import IllegalDataAddress, ModbusException, RequestError
from pilotwire.protocols.modbus.planner import Want
from pilotwire.site.devices.behaviour import BatteryBehaviour, ChargerBehaviour, InverterBehaviour, MeterBehaviour
from pilotwire.site.devices.check import check_device
from pilotwire.site.devices.layout import TABLES, Layout, Reading, resolve
from pilotwire.site.devices.plausibility import Finding, follows, follows_power, plausibility
from pilotwire.site.devices.schema import Command, DeviceFile, Point
from pilotwire.site.devices.simulator import Simulator

Error = Literal["address +1", "address -1", "word order", "scale x10", "scale /10", "sign"]
Bank = dict[str, dict[int, int]]
HOUR = 3_600_000
UNSEEN = (
    "serial", "model", "firmware", "id_token", "error", "session_s", "temperature_mc", "capacity_wh", "mode",
    "health_permille", "soc_permille", "reactive_mvar", "alive", "revert_ms", "current_n_ma",
)  # fmt: skip
"""Points that nothing physical holds against anything: a wrong one of these can only be seen where its range says so.
They are counted by themselves."""


class Seeded(msgspec.Struct, frozen=True):
    """One error."""

    error: Error
    part: Literal["points", "commands"]
    name: str
    device: DeviceFile


def seeded(device: DeviceFile) -> Iterator[Seeded]:
    """A file's every register, wrong in every way that makes a difference."""
    for name, point in device.points.items():
        if point.address is None:
            continue
        for error, wrong in _wrongs(device, point):
            points = {**device.points, name: wrong}
            yield Seeded(error, "points", name, msgspec.structs.replace(device, points=points))
    for name, command in device.commands.items():
        if command.address is None:
            continue
        for error, wrong in _wrongs(device, command):
            commands = {**device.commands, name: wrong}
            yield Seeded(error, "commands", name, msgspec.structs.replace(device, commands=commands))


def _wrongs(device: DeviceFile, item: Point | Command) -> Iterator[tuple[Error, Point | Command]]:
    replace = msgspec.structs.replace
    assert item.address is not None
    yield "address +1", replace(item, address=item.address + 1)
    if item.address:
        yield "address -1", replace(item, address=item.address - 1)
    if item.type[1:] in ("32", "64", "48"):
        order = item.word_order or device.modbus.word_order
        yield "word order", replace(item, word_order="little" if order == "big" else "big")
    if item.type in ("bit", "string") or item.map or (isinstance(item, Point) and item.mask):
        return
    yield "scale x10", replace(item, scale=item.scale * 10)
    yield "scale /10", replace(item, scale=item.scale / 10)
    yield "sign", replace(item, invert=not item.invert)


class Day:
    """A right device's small day, for a wrong file to read."""

    def __init__(self, device: DeviceFile) -> None:
        self.clock = SimScheduler()
        self.simulator = Simulator(self.clock)
        self.behaviour = self.simulator.add(device)
        self.right = self.simulator.layout(self.behaviour)
        self.device = device

        self.steps = {
            name: max(1, int(abs(device.points[name].scale)))
            for name in ("energy_import_wh", "energy_export_wh", "session_wh")
            if name in device.points
        }
        self.optional = frozenset(name for name, point in device.points.items() if point.optional)
        self.moments: list[tuple[Bank, Bank]] = []
        """What stands in the registers at the beginning and the end of each scene."""
        for scene in range(4):
            self._scene(scene)
            self._pass(20_000)
            begin = self._copy()
            self._pass(2 * HOUR)
            self.moments.append((begin, self._copy()))

    def scenes(self, layout: Layout) -> Iterator[list[Finding]]:
        """What is found odd in each."""
        for begin, end in self.moments:
            first, second = self._read(layout, begin), self._read(layout, end)
            yield plausibility(
                second,
                kind=self.device.kind,
                earlier=first,
                elapsed_ms=2 * HOUR,
                optional=self.optional,
                steps=self.steps,
            )

    def commands(self, layout: Layout) -> list[Finding]:
        """Each command told through the wrong file, and read back through it."""
        found: list[Finding] = []
        inside = self.behaviour
        if isinstance(inside, ChargerBehaviour):
            inside.plugged, inside.ready, inside.fault, inside.car_ma = True, True, 0, 30_000
        for name, order in layout.orders.items():
            command = order.command
            if command.map:
                values = list(command.map.values())[:1]
            else:
                low, high = command.range or (1000, 1000)
                values = [
                    {"limit_ma": 12_000, "failsafe_ma": 8_000, "setpoint_mw": -1_500_000}.get(name, (low + high) // 2)
                ]
            for value in values:
                try:
                    writes = layout.writes(name, value, lambda want: self.simulator.bank.peek(self.right.unit, want))
                    for write in writes:
                        self.simulator.bank.write(self.right.unit, write.table, write.address, write.values)
                    back = self._back(layout, name)
                except (ModbusException, RequestError) as error:
                    found.append(Finding("absent", (name,), str(error)))
                    continue
                step = int(abs(command.scale)) + command.tolerance
                if order.verify is not None and (not isinstance(back, int) or abs(back - value) > step):
                    found.append(Finding("follows", (name,), f"told {value}, read back {back}"))
                if name == "setpoint_mw" and isinstance(inside, BatteryBehaviour):
                    inside.discharge_limit_mw = inside.charge_limit_mw = 10**9
                    self._pass(10_000)
                    found += follows_power(self._read(self.right), value)
                if name == "limit_ma":
                    if isinstance(inside, ChargerBehaviour):
                        inside.enabled, inside.fallen = True, False
                    self._pass(10_000)
                    found += follows(self._read(self.right), value)
                    readings = self._read(layout)
                    found += follows(readings, value)
        return found

    def _back(self, layout: Layout, name: str) -> Reading:
        order = layout.orders[name]
        if order.verify is None:
            return None
        if order.verify == "self":
            function = order.want.function
            self.simulator.bank.read(self.right.unit, TABLES[function], order.want.address, order.want.count)
            return layout.told(name, lambda want: self.simulator.bank.peek(self.right.unit, want))
        return self._read(layout).get(order.verify)

    def _scene(self, number: int) -> None:
        inside = self.behaviour
        if isinstance(inside, MeterBehaviour):
            inside.loads = [
                (1_500_000, 900_000, 2_100_000), (-2_500_000, -1_900_000, -3_100_000),
                (9_500_000, 8_000_000, 7_200_000), (0, 0, 0),
            ][number]  # fmt: skip
        elif isinstance(inside, ChargerBehaviour):
            inside.plugged, inside.ready, inside.fault = number > 0, number != 1, 0
            inside.car_ma = 16_000 if number == 2 else 30_000
            inside.limit_ma, inside.enabled, inside.fallen, inside.watchdog_ms = 32_000, True, False, 0
            inside.limit_mw = None
        elif isinstance(inside, InverterBehaviour):
            inside.sun_mw = [6_000_000, 3_000_000, 0, 9_000_000][number]
        elif isinstance(inside, BatteryBehaviour):
            inside.setpoint_mw = [800_000, -700_000, 0, 600_000][number]

    def _pass(self, ms: int) -> None:
        for _ in range(4):
            self.clock.run_until(self.clock.now() + ms // 4)
            self.simulator.step()

    def _copy(self) -> Bank:
        return {table: self.simulator.bank.cells(self.right.unit, table) for table in TABLES.values()}

    def _read(self, layout: Layout, bank: Bank | None = None) -> dict[str, Reading]:
        bank = self._copy() if bank is None else bank
        found: dict[Want, Sequence[int] | PilotwireError] = {}
        for cell in layout.cells.values():
            for want in cell.wants:
                cells = bank[TABLES[want.function]]
                try:
                    found[want] = [cells[at] for at in range(want.address, want.address + want.count)]
                except KeyError:
                    found[want] = IllegalDataAddress()
        return layout.decode(found)


def caught(each: Seeded, right: DeviceFile, day: Day) -> str:
    """By what an error is noticed: "check", a rule's name, or "" where it is not."""
    if next(check_device(each.device), None) is not None:
        return "check"
    layout = resolve(each.device)
    if each.part == "points":
        findings = next((findings for findings in day.scenes(layout) if findings), None)
        if findings:
            return findings[0].rule
        verified = {command.verify or name for name, command in right.commands.items()}
        if each.name not in verified:
            return ""
    findings = Day(right).commands(layout)
    return findings[0].rule if findings else ""


__all__ = ["UNSEEN", "Day", "Seeded", "caught", "seeded"]
