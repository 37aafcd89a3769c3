"""UUGreenPower UR1000X0 modules: frames, driver, emulator.

29-bit identifiers: version 1 (bits 28-25), monitor 1 (24-21), module (20-14; 0: all), day of production (13-9), serial
number (8-0), the last two filled in by modules only. Data: group and kind of message (4 bits each), command, two bytes
that are reserved, a value of 32 bits, big-endian: mV, mA, thousandths of a degree.

    kinds     0 set   1 its answer   2 read   3 its answer   4 serial number   11, 12 set all
    commands  0 voltage   1 current   2 voltage to keep   3 current limit   4 DC stage off (1)   5 serial number
              8 status   30 temperature of the air   95 voltage mode to use   96 the one set   101 the one in use

Modules work in one of two voltage modes, high (1, to 1000 V) and low (2, to 500 V). They change
only while off, and want 2 s of quiet before and after. Identifiers, scaling and pauses as in EVerest's
UUGreenPower_UR1000X0 (modules/HardwareDrivers/PowerSupplies); the bits of the status and of command 101 as in
xf22001/stm32_apps, power_modules_handler_yyln.c.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from typing import Any, ClassVar

from pilotwire.protocols.can import CanFrame

from .driver import ModuleDriver, Slot
from .emulator import ModuleEmulator
from .messages import (
    COLD,
    DISCHARGE,
    DOUBLE,
    FAN,
    FAULT,
    HOT,
    INNER_LINK,
    INPUT_HIGH,
    INPUT_LOW,
    INPUT_STAGE,
    OUTPUT_HIGH,
    OUTPUT_LOW,
    PROTECTION,
    RELAY,
    Alarm,
    Family,
    Limits,
    ModuleCommand,
    Set,
    decode_alarms,
)
from .rectifier import Rating, Rectifier
from .timers import MODE_ENTER, MODE_LEAVE

VERSION, MONITOR = 1, 1
SET, SET_ANSWER, READ, READ_ANSWER, SERIAL_ANSWER = 0, 1, 2, 3, 4
VOLTS, AMPERES, KEEP_VOLTS, LIMIT, OFF, SERIAL, STATUS, AIR = 0, 1, 2, 3, 4, 5, 8, 30
MODE, MODE_SET, MODE_USED = 95, 96, 101
HIGH, LOW = 1, 2
LOW_MV = 500_000
"""Above this the high mode is needed."""

OFF_BIT = 25
ALARMS: dict[int, Alarm] = {
    0: INPUT_HIGH,
    1: INPUT_LOW,
    2: INPUT_HIGH,
    3: INPUT_STAGE,
    4: INPUT_STAGE,
    5: INPUT_STAGE,
    6: OUTPUT_HIGH,
    7: PROTECTION,
    8: OUTPUT_LOW,
    9: FAN,
    11: FAN,
    12: HOT,
    13: COLD,
    14: HOT,
    15: RELAY,
    16: HOT,
    18: INNER_LINK,
    20: INPUT_STAGE,
    21: FAULT,
    29: DOUBLE,
    31: DISCHARGE,
}


def encode_id(address: int, *, day: int = 0, serial: int = 0) -> int:
    """A 29-bit identifier of either direction."""
    return VERSION << 25 | MONITOR << 21 | (address & 127) << 14 | (day & 31) << 9 | serial & 511


def decode_address(number: int) -> int | None:
    """The module of an identifier; None: it is not of this protocol or not for (or from) us."""
    if number >> 25 & 15 != VERSION or number >> 21 & 15 not in (0, MONITOR):
        return None
    return number >> 14 & 127


def _frame(address: int, kind: int, command: int, value: int = 0) -> CanFrame:
    return CanFrame(encode_id(address), struct.pack(">BBHI", kind, command, 0, value), True)


def mode_for(mv: int) -> int:
    """The voltage mode that a voltage asks for."""
    return HIGH if mv > LOW_MV else LOW


class UUGreenDriver(ModuleDriver):
    """Our end; addresses are fixed, or found by asking all for their serial numbers."""

    family: ClassVar[Family] = "uugreen"

    def _discover(self) -> Iterable[CanFrame]:
        return (_frame(0, READ, SERIAL),) if self.discovering else ()

    def _ask(self, slot: Slot) -> Iterable[CanFrame]:
        return (_frame(slot.address, READ, VOLTS), _frame(slot.address, READ, AMPERES))

    def _ask_slowly(self, slot: Slot) -> Iterable[CanFrame]:
        frames = [_frame(slot.address, READ, STATUS), _frame(slot.address, READ, MODE_USED)]
        if slot.polls % 20 == 0:
            frames.append(_frame(slot.address, READ, AIR))
        return frames

    def _setpoint(self, slot: Slot) -> Iterable[CanFrame]:
        return (
            _frame(slot.address, SET, KEEP_VOLTS, slot.mv),
            _frame(slot.address, SET, LIMIT, slot.ma),
        )

    def _power(self, slot: Slot, on: bool) -> Iterable[CanFrame]:
        return (_frame(slot.address, SET, OFF, 0 if on else 1),)

    def command(self, command: ModuleCommand, now: int) -> Sequence[Any]:
        """As of all drivers. The mode follows the voltage: to high at once, to low only when the module is off."""
        slot = self.slots.get(command.address)
        if slot is not None and isinstance(command, Set) and command.mv:
            wanted = mode_for(command.mv)
            if wanted == HIGH or not slot.on:
                slot.mode_wanted = wanted
        return super().command(command, now)

    def elapse(self, now: int) -> Sequence[Any]:
        out = list(super().elapse(now))
        for slot in self.slots.values():
            if slot.mode_until is not None and now >= slot.mode_until:
                self._turn(slot, now, out)
        return out

    @property
    def deadline(self) -> int | None:
        """The next step, or the end of a pause."""
        due = self._due
        if due is None:
            return None
        return min([due, *(slot.mode_until for slot in self.slots.values() if slot.mode_until is not None)])

    def _ready(self, slot: Slot, now: int, out: list[Any]) -> bool:
        if slot.mode_until is not None:
            return False
        if slot.mode_wanted in (0, slot.mode):
            return True
        # 2 s off, then the mode, then 2 s more.
        self._send(out, self._power(slot, False))
        slot.mode = -slot.mode_wanted
        slot.mode_until = now + MODE_LEAVE.ms
        return False

    def _turn(self, slot: Slot, now: int, out: list[Any]) -> None:
        """A pause is over."""
        if slot.mode < 0:
            slot.mode = slot.mode_wanted
            self._send(out, (_frame(slot.address, SET, MODE, slot.mode),))
            slot.mode_until = now + MODE_ENTER.ms
            return
        slot.mode_until = None
        if slot.on and self._ready(slot, now, out):
            self._send(out, self._setpoint(slot))
            self._send(out, self._power(slot, True))

    def _hear(self, frame: CanFrame, now: int, out: list[Any]) -> None:
        address = decode_address(frame.id)
        if not frame.extended or not address:
            return
        if len(frame.data) != 8:
            self._bad(address, f"{len(frame.data)} bytes instead of 8", out)
            return
        head, command, _, value = struct.unpack(">BBHI", frame.data)
        kind = head & 15
        if kind not in (SET_ANSWER, READ_ANSWER, SERIAL_ANSWER):
            return
        slot = self._heard(address, now, out)
        if slot is None:
            return
        if kind == SERIAL_ANSWER or (kind == READ_ANSWER and command == SERIAL):
            return
        if kind != READ_ANSWER:
            if command == OFF:
                slot.obeyed = (value == 0) is slot.on
            return
        if command == VOLTS:
            self._read(slot, out, mv=value)
        elif command == AMPERES:
            self._read(slot, out, ma=value)
        elif command == STATUS:
            slot.running = not value >> OFF_BIT & 1
            self._alarm(slot, decode_alarms(value, ALARMS), out)
        elif command == AIR:
            if value > 0x7FFF_FFFF:
                value -= 1 << 32
            slot.temperature = value // 100 if -60_000 < value < 200_000 else slot.temperature
        elif command == MODE_USED and value in (HIGH, LOW):
            self._mode(slot, value, out)

    def _mode(self, slot: Slot, used: int, out: list[Any]) -> None:
        """The mode that the module is in really: its order may have been lost."""
        if slot.mode_until is not None:
            return
        if not slot.mode:
            # Whatever mode it is in: it can be put into the other one.
            out.append(
                Limits(address=slot.address, max_mv=1_000_000, min_mv=150_000, max_ma=100_000, max_mw=30_000_000)
            )
        slot.mode = used


class UUGreenEmulator(ModuleEmulator):
    """A UR100030: 30 kW, 1000 V, 100 A, in high mode when it comes out of its box."""

    family: ClassVar[Family] = "uugreen"
    rating = Rating(max_mv=1_000_000, min_mv=150_000, max_ma=100_000, max_mw=30_000_000)

    def __init__(self, address: int, rectifier: Rectifier | None = None, **options: Any) -> None:
        super().__init__(address, rectifier, **options)
        self.mode = HIGH
        self.refused = 0
        """Orders to change the mode that came while it was on, or too soon."""
        self._quiet_since = -10_000

    @staticmethod
    def destination(frame: CanFrame) -> int | None:
        address = decode_address(frame.id)
        if not frame.extended or address is None or not frame.data or frame.data[0] & 15 not in (SET, READ):
            return None
        return address or -1

    def _answer(self, frame: CanFrame, now: int) -> Iterable[CanFrame]:
        if len(frame.data) != 8:
            return ()
        head, command, _, value = struct.unpack(">BBHI", frame.data)
        if head & 15 == SET:
            self._take(command, value, now)
            return (self._reply(SET_ANSWER, command, value),)
        if command == SERIAL:
            return (self._reply(SERIAL_ANSWER, SERIAL, self.serial),)
        shown = self._show(command)
        return () if shown is None else (self._reply(READ_ANSWER, command, shown),)

    def _show(self, command: int) -> int | None:
        stage = self.rectifier
        if command == VOLTS:
            return self.shown_mv
        if command == AMPERES:
            return self.shown_ma
        if command == STATUS:
            return self.status(ALARMS) | (0 if stage.running else 1 << OFF_BIT)
        if command == AIR:
            return stage.temperature * 100 & 0xFFFF_FFFF
        if command in (MODE_SET, MODE_USED):
            return self.mode
        return {KEEP_VOLTS: stage.set_mv, LIMIT: stage.set_ma}.get(command)

    def _take(self, command: int, value: int, now: int) -> None:
        stage = self.rectifier
        if command == KEEP_VOLTS:
            stage.set(mv=value)
        elif command == LIMIT:
            stage.set(ma=value)
        elif command == OFF:
            if value and stage.on:
                self._quiet_since = now
            stage.switch(value == 0, now)
        elif command == MODE and value in (HIGH, LOW):
            if stage.on or now - self._quiet_since < 1_000:
                self.refused += 1
            else:
                self.mode = value
                stage.held = LOW_MV if value == LOW else 0

    def _reply(self, kind: int, command: int, value: int) -> CanFrame:
        identifier = encode_id(self.address, day=1, serial=self.serial)
        return CanFrame(identifier, struct.pack(">BBHI", kind, command, 0, value), True)
