"""Modules of the "0x060" family (Winline, UXR; and DPM1000 with its own function codes): frames, driver, emulator.

29-bit identifiers: 0x060 (bits 28-20), point to point (19), destination (18-11; FF: all, FE: a group), source (10-3;
F0: we), group (2-0). Data: function, error, register (16 bits), value (32 bits), big-endian.

    functions  03 set   10 read (DPM1000: 01)   answers: 41 a float, 42 an integer, 43 (DPM1000) done; error F0: none
    read       0001 V   0002 I   0004 °C of the DC board   0011 power (W)   0012 rated current   0040 alarms
               0043 group (upper half) and address
    set        0021 voltage (float)   001B current (integer, ×1024)   0022 limit point (float, part of rated current)
               0030 off (0x00010000) or on (0)   0017 altitude (m)   0046 AC or DC input

Registers and scaling as in the code of EVerest's Winline and DPM1000 modules (modules/HardwareDrivers/PowerSupplies;
lib/everest/can_dpm1000): the README of the first has another layout, which is that of InfyPower.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
from typing import Any, ClassVar

import msgspec

from pilotwire.protocols.can import CanFrame

from .driver import ModuleDriver, Slot
from .emulator import ModuleEmulator
from .infy import to_milli
from .messages import (
    DERATED,
    FAN,
    FAULT,
    HOT,
    INNER_LINK,
    INPUT_HIGH,
    INPUT_LOW,
    INPUT_STAGE,
    LIMITED,
    MODE,
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

PROTOCOL = 0x060
CONTROLLER, ALL, ALL_OF_GROUP = 0xF0, 0xFF, 0xFE
NO_ERROR, BAD_ADDRESS, BAD_COMMAND, BAD_DATA = 0xF0, 0xF1, 0xF2, 0xF3
FLOAT, INTEGER, DONE = 0x41, 0x42, 0x43
SET = 0x03
VOLTS, AMPERES, BOARD_TEMPERATURE, RATED_POWER, RATED_CURRENT = 0x0001, 0x0002, 0x0004, 0x0011, 0x0012
ALTITUDE, SET_AMPERES, SET_VOLTS, LIMIT_POINT, POWER = 0x0017, 0x001B, 0x0021, 0x0022, 0x0030
STATUS, GROUP_INFO = 0x0040, 0x0043
OFF_VALUE = 0x0001_0000

OFF_BIT = 22
ALARMS: dict[int, Alarm] = {
    0: FAULT,
    1: PROTECTION,
    3: INNER_LINK,
    4: MODE,
    5: MODE,
    7: OUTPUT_HIGH,
    8: INPUT_STAGE,
    9: INPUT_HIGH,
    14: INPUT_LOW,
    16: SILENCE,
    17: SHARING,
    23: LIMITED,
    24: DERATED,
    25: LIMITED,
    27: FAN,
    28: SHORT,
    30: HOT,
    31: OUTPUT_HIGH,
}


class Dialect(msgspec.Struct, frozen=True, kw_only=True):
    """What differs between the makers."""

    read: int
    """Function code of a read."""
    in_parts: bool = False
    """The current is set as a part of the rated one (register 0022), not in 1/1024 A (001B)."""
    low_bits: int = 0
    """What stands in the last three bits when there is no group."""


WINLINE = Dialect(read=0x10)
DPM1000 = Dialect(read=0x01, in_parts=True, low_bits=3)


def encode_id(destination: int, source: int = CONTROLLER, *, group: int = 0) -> int:
    """A 29-bit identifier; broadcasts are not point to point."""
    one = destination not in (ALL, ALL_OF_GROUP)
    return PROTOCOL << 20 | one << 19 | destination << 11 | source << 3 | group


def decode_id(number: int) -> tuple[int, int] | None:
    """(destination, source); None: it is not of this protocol."""
    return (number >> 11 & 255, number >> 3 & 255) if number >> 20 == PROTOCOL else None


class WinlineDriver(ModuleDriver):
    """Our end. Without `addresses` the modules of `group` are discovered. `altitude_m`: 1000 to 5000."""

    family: ClassVar[Family] = "winline"
    dialect = WINLINE

    def __init__(
        self, addresses: Iterable[int] = (), *, group: int = 0, altitude_m: int = 1000, **options: Any
    ) -> None:
        super().__init__(addresses, **options)
        if not 1000 <= altitude_m <= 5000:
            raise ValueError(f"altitude must be 1000 to 5000 m, not {altitude_m}")
        self._group = group
        self._altitude_m = altitude_m
        self._rated: dict[int, dict[int, int]] = {}

    def _read_frame(self, address: int, register: int) -> CanFrame:
        return self._frame(address, self.dialect.read, register, bytes(4))

    def _frame(self, address: int, function: int, register: int, value: bytes) -> CanFrame:
        identifier = encode_id(address, group=self._group or self.dialect.low_bits)
        # DPM1000 writes "no error" into requests as well; Winline leaves it zero.
        error = NO_ERROR if self.dialect.in_parts else 0
        return CanFrame(identifier, struct.pack(">BBH", function, error, register) + value, True)

    def _discover(self) -> Iterable[CanFrame]:
        return (self._read_frame(ALL_OF_GROUP, GROUP_INFO),) if self.discovering else ()

    def _ask(self, slot: Slot) -> Iterable[CanFrame]:
        return (self._read_frame(slot.address, VOLTS), self._read_frame(slot.address, AMPERES))

    def _ask_slowly(self, slot: Slot) -> Iterable[CanFrame]:
        frames = [self._read_frame(slot.address, STATUS)]
        if slot.polls % 20 == 0:
            frames += [self._read_frame(slot.address, r) for r in (BOARD_TEMPERATURE, RATED_POWER, RATED_CURRENT)]
            frames.append(self._frame(slot.address, SET, ALTITUDE, struct.pack(">I", self._altitude_m)))
            if not self.dialect.in_parts:
                frames.append(self._frame(slot.address, SET, LIMIT_POINT, struct.pack(">f", 1.0)))
        return frames

    def _setpoint(self, slot: Slot) -> Iterable[CanFrame]:
        volts = self._frame(slot.address, SET, SET_VOLTS, struct.pack(">f", slot.mv / 1000))
        if self.dialect.in_parts:
            rated = self._rated.get(slot.address, {}).get(RATED_CURRENT, 100_000)
            return (volts, self._frame(slot.address, SET, LIMIT_POINT, struct.pack(">f", slot.ma / rated)))
        return (volts, self._frame(slot.address, SET, SET_AMPERES, struct.pack(">I", slot.ma * 1024 // 1000)))

    def _power(self, slot: Slot, on: bool) -> Iterable[CanFrame]:
        return (self._frame(slot.address, SET, POWER, struct.pack(">I", 0 if on else OFF_VALUE)),)

    def _hear(self, frame: CanFrame, now: int, out: list[Any]) -> None:
        ends = decode_id(frame.id)
        if not frame.extended or ends is None or ends[0] != CONTROLLER:
            return
        source = ends[1]
        if len(frame.data) != 8:
            self._bad(source, f"{len(frame.data)} bytes instead of 8", out)
            return
        function, error, register = struct.unpack(">BBH", frame.data[:4])
        slot = self._heard(source, now, out)
        if slot is None:
            return
        if error != NO_ERROR:
            self._bad(source, f"error {error:02X} to register {register:04X}", out)
        elif register == POWER:
            slot.obeyed = (frame.data[4:] == bytes(4)) is slot.on
        elif function == FLOAT:
            value = to_milli(struct.unpack(">f", frame.data[4:])[0])
            if value is None:
                self._bad(source, f"register {register:04X} is no number", out)
            else:
                self._float(slot, register, value, out)
        elif function == INTEGER and register == STATUS:
            bits = int.from_bytes(frame.data[4:], "big")
            slot.running = not bits >> OFF_BIT & 1
            self._alarm(slot, decode_alarms(bits, ALARMS), out)

    def _float(self, slot: Slot, register: int, value: int, out: list[Any]) -> None:
        if register == VOLTS:
            self._read(slot, out, mv=value)
        elif register == AMPERES:
            self._read(slot, out, ma=value)
        elif register == BOARD_TEMPERATURE:
            slot.temperature = value // 100
        elif register in (RATED_POWER, RATED_CURRENT):
            known = self._rated.setdefault(slot.address, {})
            if value <= 0 or known.get(register) == value:
                return
            known[register] = value
            if len(known) == 2:
                self._limits(
                    Limits(
                        address=slot.address,
                        max_mv=1_000_000,
                        min_mv=150_000,
                        max_ma=known[RATED_CURRENT],
                        max_mw=known[RATED_POWER],
                    ),
                    out,
                )


class DpmDriver(WinlineDriver):
    """Our end towards DPM1000."""

    family: ClassVar[Family] = "dpm1000"
    dialect = DPM1000


class WinlineEmulator(ModuleEmulator):
    """An NXR100030: 30 kW, 1000 V, 100 A."""

    family: ClassVar[Family] = "winline"
    dialect = WINLINE
    rating = Rating(max_mv=1_000_000, min_mv=150_000, max_ma=100_000, max_mw=30_000_000)

    def __init__(self, address: int, *arguments: Any, group: int = 0, **options: Any) -> None:
        super().__init__(address, *arguments, **options)
        self.group = group
        self.altitude_m = 1000
        self.limit_point = 1.0

    @staticmethod
    def destination(frame: CanFrame) -> int | None:
        ends = decode_id(frame.id)
        if not frame.extended or ends is None or ends[1] != CONTROLLER:
            return None
        return -1 if ends[0] in (ALL, ALL_OF_GROUP) else ends[0]

    def _answer(self, frame: CanFrame, now: int) -> Iterable[CanFrame]:
        if len(frame.data) != 8:
            return ()
        function, _, register = struct.unpack(">BBH", frame.data[:4])
        raw = frame.data[4:]
        if frame.id >> 11 & 255 == ALL_OF_GROUP and (frame.id & 7) != (self.group or self.dialect.low_bits):
            return ()
        if function == SET:
            error = self._take(register, raw, now)
            return (self._reply(DONE if self.dialect.in_parts else INTEGER, error, register, raw),)
        if function != self.dialect.read:
            return (self._reply(INTEGER, BAD_COMMAND, register, bytes(4)),)
        stage = self.rectifier
        floats = {
            VOLTS: self.shown_mv / 1000,
            AMPERES: self.shown_ma / 1000,
            BOARD_TEMPERATURE: stage.temperature / 10,
            RATED_POWER: stage.rating.max_mw / 1000,
            RATED_CURRENT: stage.rating.max_ma / 1000,
        }
        if register in floats:
            return (self._reply(FLOAT, NO_ERROR, register, struct.pack(">f", floats[register])),)
        if register == STATUS:
            bits = self.status(ALARMS) | (0 if stage.running else 1 << OFF_BIT)
            return (self._reply(INTEGER, NO_ERROR, register, bits.to_bytes(4, "big")),)
        if register == GROUP_INFO:
            return (self._reply(INTEGER, NO_ERROR, register, (self.group << 16 | self.address).to_bytes(4, "big")),)
        return (self._reply(INTEGER, BAD_COMMAND, register, bytes(4)),)

    def _take(self, register: int, raw: bytes, now: int) -> int:
        stage = self.rectifier
        number = int.from_bytes(raw, "big")
        value = to_milli(struct.unpack(">f", raw)[0])
        if register in (SET_VOLTS, LIMIT_POINT) and (value is None or value < 0):
            return BAD_DATA
        if register == SET_VOLTS:
            stage.set(mv=value)
        elif register == LIMIT_POINT:
            self.limit_point = min(1000, value or 0) / 1000
            if self.dialect.in_parts:
                stage.set(ma=round(struct.unpack(">f", raw)[0] * stage.rating.max_ma))
        elif register == SET_AMPERES:
            stage.set(ma=min(round(number * 1000 / 1024), round(self.limit_point * stage.rating.max_ma)))
        elif register == POWER:
            stage.switch(number != OFF_VALUE, now)
        elif register == ALTITUDE and 1000 <= number <= 5000:
            self.altitude_m = number
        else:
            return BAD_COMMAND if register != ALTITUDE else BAD_DATA
        return NO_ERROR

    def _reply(self, function: int, error: int, register: int, value: bytes) -> CanFrame:
        identifier = encode_id(CONTROLLER, self.address, group=self.group or self.dialect.low_bits)
        return CanFrame(identifier, struct.pack(">BBH", function, error, register) + value, True)


class DpmEmulator(WinlineEmulator):
    """A DPM1000."""

    family: ClassVar[Family] = "dpm1000"
    dialect = DPM1000
