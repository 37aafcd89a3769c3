"""InfyPower modules, CAN protocol V1.13: frames, driver, emulator.

29-bit identifiers, mostly 125 kbit/s, eight bytes, big-endian:

    28-26 error   25-22 device (0x0A one module, 0x0B group)   21-16 command   15-8 destination   7-0 source (0xF0: we)

    02 number of modules of a group (byte 2)      0A name plate: max V, min V (V), max I (0.1 A), power (10 W)
    03 voltage and current: two floats            0B bar code         0C V (0.1 V) behind the diode, available I (0.1 A)
    04 status: temperature (byte 4, °C), three bytes of bits (5, 6, 7)
    1A on (0) or off (1)                          1C set voltage (mV) and current (mA)

A module that hears nothing for 10 s turns off. Identifiers, scaling and times as in EVerest's InfyPower module
(modules/HardwareDrivers/PowerSupplies/InfyPower); the place of the temperature is our own knowledge.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, ClassVar, NamedTuple

from pilotwire.protocols.can import CanFrame

from .driver import ModuleDriver, Slot
from .emulator import ModuleEmulator
from .messages import (
    DERATED,
    DISCHARGE,
    DOUBLE,
    FAN,
    FAULT,
    HOT,
    INPUT_HIGH,
    INPUT_LOW,
    INPUT_PHASE,
    INPUT_UNBALANCED,
    OUTPUT_HIGH,
    PROTECTION,
    SHARING,
    SHORT,
    SILENCE,
    Alarm,
    Family,
    Limits,
    decode_alarms,
)
from .rectifier import Rating

ONE, GROUP = 0x0A, 0x0B
CONTROLLER = 0xF0
COUNT, READ, STATUS, PLATE, BARCODE, AVAILABLE, POWER, SET = 0x02, 0x03, 0x04, 0x0A, 0x0B, 0x0C, 0x1A, 0x1C
_NOTHING = bytes(8)

OFF_BIT = 8
ALARMS: dict[int, Alarm] = {
    0: SHORT,
    5: DISCHARGE,
    9: FAULT,
    10: PROTECTION,
    11: FAN,
    12: HOT,
    13: OUTPUT_HIGH,
    15: SILENCE,
    16: DERATED,
    17: DOUBLE,
    18: SHARING,
    19: INPUT_PHASE,
    20: INPUT_UNBALANCED,
    21: INPUT_LOW,
    22: INPUT_HIGH,
}
"""Bits of bytes 5, 6, 7 of the status as one number: bit 0 is bit 0 of byte 7."""


class Id(NamedTuple):
    """An identifier, taken apart."""

    error: int
    device: int
    command: int
    destination: int
    source: int


def encode_id(command: int, destination: int, source: int = CONTROLLER, *, device: int = ONE, error: int = 0) -> int:
    """A 29-bit identifier."""
    return error << 26 | device << 22 | command << 16 | destination << 8 | source


def decode_id(number: int) -> Id:
    """Any 29-bit number."""
    return Id(number >> 26 & 7, number >> 22 & 15, number >> 16 & 63, number >> 8 & 255, number & 255)


def _frame(command: int, address: int, data: bytes = _NOTHING, device: int = ONE) -> CanFrame:
    return CanFrame(encode_id(command, address, device=device), data, True)


def to_milli(value: float) -> int | None:
    """A float register in thousandths; None: not a number, or beyond all sense."""
    return round(value * 1000) if -1e6 < value < 1e6 else None


class InfyDriver(ModuleDriver):
    """Our end. With `group` modules are discovered (their addresses are 0 to n-1), else `addresses` are fixed."""

    family: ClassVar[Family] = "infy"

    def __init__(self, addresses: Iterable[int] = (), *, group: int = 0, **options: Any) -> None:
        super().__init__(addresses, **options)
        self._group = group

    def _discover(self) -> Iterable[CanFrame]:
        return (_frame(COUNT, self._group, device=GROUP),) if self.discovering else ()

    def _ask(self, slot: Slot) -> Iterable[CanFrame]:
        return (_frame(READ, slot.address),)

    def _ask_slowly(self, slot: Slot) -> Iterable[CanFrame]:
        if slot.polls % 40 == 0:
            return (_frame(STATUS, slot.address), _frame(PLATE, slot.address))
        return (_frame(STATUS, slot.address),)

    def _setpoint(self, slot: Slot) -> Iterable[CanFrame]:
        return (_frame(SET, slot.address, struct.pack(">II", slot.mv, slot.ma)),)

    def _power(self, slot: Slot, on: bool) -> Iterable[CanFrame]:
        return (_frame(POWER, slot.address, bytes((0 if on else 1, 0, 0, 0, 0, 0, 0, 0))),)

    def _hear(self, frame: CanFrame, now: int, out: list[Any]) -> None:
        error, device, command, destination, source = decode_id(frame.id)
        if not frame.extended or destination != CONTROLLER or device not in (ONE, GROUP):
            return
        data = frame.data
        if len(data) != 8:
            self._bad(source, f"{len(data)} bytes instead of 8", out)
            return
        if command == COUNT:
            if self.discovering and not error and data[2] <= 64:
                for address in range(data[2]):
                    if address not in self.slots:
                        self.slots[address] = Slot(address)
            return
        if self.discovering and source not in self.slots:
            return  # who is there, only the group's own count says
        slot = self._heard(source, now, out)
        if slot is None:
            return
        if error:
            self._bad(source, f"error {error} to command {command:02X}", out)
        elif command == POWER:
            slot.obeyed = (data[0] == 0) is slot.on
        elif command == READ:
            volts, amperes = struct.unpack(">ff", data)
            mv, ma = to_milli(volts), to_milli(amperes)
            if mv is None or ma is None:
                self._bad(source, "reading is no number", out)
            else:
                self._read(slot, out, mv=mv, ma=ma)
        elif command == STATUS:
            bits = int.from_bytes(data[5:], "big")
            slot.running = not bits >> OFF_BIT & 1
            slot.temperature = int.from_bytes(data[4:5], "big", signed=True) * 10
            self._alarm(slot, decode_alarms(bits, ALARMS), out)
        elif command == PLATE:
            high, low, amperes, power = struct.unpack(">HHHH", data)
            limits = Limits(
                address=source, max_mv=high * 1000, min_mv=low * 1000, max_ma=amperes * 100, max_mw=power * 10_000
            )
            self._limits(limits, out)


class InfyEmulator(ModuleEmulator):
    """A REG1K0100G: 30 kW, 1000 V, 100 A."""

    family: ClassVar[Family] = "infy"
    rating = Rating(max_mv=1_000_000, min_mv=150_000, max_ma=100_000, max_mw=30_000_000)

    def __init__(self, address: int, *arguments: Any, group: int = 0, count: int = 0, **options: Any) -> None:
        super().__init__(address, *arguments, **options)
        self.group = group
        self.count = count
        """How many there are in the group; the module with the lowest address says so when asked."""

    @staticmethod
    def destination(frame: CanFrame) -> int | None:
        _, device, command, destination, source = decode_id(frame.id)
        if not frame.extended or source != CONTROLLER:
            return None
        if device == GROUP:
            return -1 if command == COUNT else None
        return destination if device == ONE else None

    def _answer(self, frame: CanFrame, now: int) -> Iterable[CanFrame]:
        _, device, command, destination, _ = decode_id(frame.id)
        if device == GROUP:
            if self.count and destination == self.group:
                return (self._reply(COUNT, bytes((0, 0, self.count, 0, 0, 0, 0, 0)), GROUP),)
            return ()
        stage, data = self.rectifier, frame.data
        if len(data) != 8:
            return (self._reply(command, _NOTHING, error=3),)
        if command == READ:
            return (self._reply(READ, struct.pack(">ff", self.shown_mv / 1000, self.shown_ma / 1000)),)
        if command == STATUS:
            bits = self.status(ALARMS) | (0 if stage.running else 1 << OFF_BIT)
            if stage.temperature > stage.rating.derate_from:
                bits |= 1 << 16
            head = bytes((0, 0, self.group, 0, max(0, min(127, stage.temperature // 10))))
            return (self._reply(STATUS, head + bits.to_bytes(3, "big")),)
        if command == PLATE:
            rating = stage.rating
            plate = (rating.max_mv // 1000, rating.min_mv // 1000, rating.max_ma // 100, rating.max_mw // 10_000)
            return (self._reply(PLATE, struct.pack(">HHHH", *plate)),)
        if command == AVAILABLE:
            volts, amperes = self.shown_mv // 100, stage.capability_ma // 100
            return (self._reply(AVAILABLE, struct.pack(">HHI", volts, amperes, 0)),)
        if command == BARCODE:
            return (self._reply(BARCODE, b"V" + self.serial.to_bytes(7, "big")),)
        if command == POWER:
            stage.switch(data[0] == 0, now)
        elif command == SET:
            mv, ma = struct.unpack(">II", data)
            stage.set(mv=mv, ma=ma)
        else:
            return (self._reply(command, _NOTHING, error=2),)
        return (self._reply(command, data),)

    def _reply(self, command: int, data: bytes, device: int = ONE, error: int = 0) -> CanFrame:
        return CanFrame(encode_id(command, CONTROLLER, self.address, device=device, error=error), data, True)
