"""Huawei R100040Gx modules: frames, driver, emulator.

29-bit identifiers: protocol 0x0D (bits 28-23), module (22-16; 0: all), message (15-8), from the charger (7), group
(6-2; 1F: none), address by software (1), more frames follow (0). Data: error (4 bits), signal (12 bits), two bytes, a
value of 32 bits, big-endian.

    messages  40 real-time data, 50 what it is, 80 control, 81 configuration, 82 query
    signals   100 voltage ×1024   10F current of one module ×1024 (byte 3: how many share)   132 off (byte 3)
              118 time until it turns off without us   14A voltage mode by itself (byte 3)
              17F temperature   183 alarms   191 status (bytes 2, 3), current, voltage (0.1 A, 0.1 V, 16 bits each)
              002 serial number   005 versions

Identifiers, scaling and the mask of real-time data as in EVerest's Huawei_R100040Gx
(modules/HardwareDrivers/PowerSupplies); the bits of 183 and 191 as in xf22001/stm32_apps,
power_modules_handler_huawei.c, which reads an older model: bit 0 is taken as the lowest of the big-endian number. The
scale of 17F (×1024) and the unit of 118 (s) are our own knowledge, by the sister products.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable
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
    INPUT_GONE,
    INPUT_HIGH,
    INPUT_LOW,
    INPUT_PHASE,
    INPUT_STAGE,
    INPUT_UNBALANCED,
    OUTPUT_CURRENT,
    OUTPUT_HIGH,
    OUTPUT_LOW,
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

PROTOCOL = 0x0D
REALTIME, INHERENT, CONTROL, CONFIGURE, QUERY = 0x40, 0x50, 0x80, 0x81, 0x82
BATCH, SERIAL, VERSIONS = 0x000, 0x002, 0x005
SET_VOLTS, SET_AMPERES, CAN_TIMEOUT, POWER, AUTO_MODE = 0x100, 0x10F, 0x118, 0x132, 0x14A
TEMPERATURE, ALARM, STATUS = 0x17F, 0x183, 0x191
MASKED = 0xAA
"""Byte 3 of a batch query: the value says which signals."""
WANT_TEMPERATURE, WANT_ALARM, WANT_STATUS = 1 << 12, 1 << 16, 1 << 22

ALARMS: dict[int, Alarm] = {
    0: OUTPUT_HIGH,
    1: HOT,
    2: FAULT,
    3: PROTECTION,
    4: FAN,
    6: OUTPUT_CURRENT,
    7: OUTPUT_LOW,
    8: COLD,
    12: HOT,
    17: INPUT_LOW,
    18: INPUT_UNBALANCED,
    19: INPUT_PHASE,
    20: SHARING,
    21: DOUBLE,
    22: INPUT_HIGH,
    23: INPUT_STAGE,
    26: INNER_LINK,
    27: SHORT,
    29: INPUT_GONE,
    30: INPUT_STAGE,
    31: INPUT_STAGE,
}
EXTRA: dict[int, Alarm] = {
    2: OUTPUT_HIGH,
    4: SILENCE,
    6: DOUBLE,
    8: DISCHARGE,
    10: SHORT,
}
"""Bits of bytes 2 and 3 of signal 183."""


def encode_id(address: int, message: int, *, from_charger: bool = True, more: bool = False) -> int:
    """A 29-bit identifier, no group, address by hardware."""
    return PROTOCOL << 23 | (address & 127) << 16 | message << 8 | from_charger << 7 | 0x1F << 2 | more


def decode_id(number: int) -> tuple[int, int, bool] | None:
    """(address, message, from the charger); None: it is not of this protocol."""
    if number >> 23 != PROTOCOL:
        return None
    return number >> 16 & 127, number >> 8 & 255, bool(number >> 7 & 1)


def _data(signal: int, value: int = 0, byte2: int = 0, byte3: int = 0, error: int = 0) -> bytes:
    return struct.pack(">HBBI", error << 12 | signal, byte2, byte3, value)


def _frame(address: int, message: int, signal: int, value: int = 0, byte3: int = 0) -> CanFrame:
    return CanFrame(encode_id(address, message), _data(signal, value, 0, byte3), True)


class HuaweiDriver(ModuleDriver):
    """Our end; addresses are fixed, or found by asking all what they are. `timeout_s`: told to every module."""

    family: ClassVar[Family] = "huawei"

    def __init__(self, addresses: Iterable[int] = (), *, timeout_s: int = 10, **options: Any) -> None:
        super().__init__(addresses, **options)
        self._timeout_s = timeout_s
        self._plated: set[int] = set()

    def _discover(self) -> Iterable[CanFrame]:
        return (_frame(0, INHERENT, BATCH),)

    def _ask(self, slot: Slot) -> Iterable[CanFrame]:
        wanted = WANT_STATUS
        if slot.polls % 4 == 0:
            wanted |= WANT_ALARM
        if slot.polls % 20 == 0:
            wanted |= WANT_TEMPERATURE
        return (_frame(slot.address, REALTIME, BATCH, wanted, MASKED),)

    def _ask_slowly(self, slot: Slot) -> Iterable[CanFrame]:
        if slot.on or slot.polls % 20:
            return ()
        return (
            _frame(slot.address, CONFIGURE, AUTO_MODE, byte3=1),
            _frame(slot.address, CONFIGURE, CAN_TIMEOUT, self._timeout_s),
        )

    def _setpoint(self, slot: Slot) -> Iterable[CanFrame]:
        # The current is that of this one module; byte 3 says how many it is shared by: we share it ourselves.
        return (
            _frame(slot.address, CONTROL, SET_VOLTS, slot.mv * 1024 // 1000),
            _frame(slot.address, CONTROL, SET_AMPERES, slot.ma * 1024 // 1000, 1),
        )

    def _power(self, slot: Slot, on: bool) -> Iterable[CanFrame]:
        return (_frame(slot.address, CONTROL, POWER, byte3=0 if on else 1),)

    def _hear(self, frame: CanFrame, now: int, out: list[Any]) -> None:
        known = decode_id(frame.id)
        if not frame.extended or known is None or known[2] or not known[0]:
            return
        address, message, _ = known
        if len(frame.data) != 8:
            self._bad(address, f"{len(frame.data)} bytes instead of 8", out)
            return
        head, byte2, byte3, value = struct.unpack(">HBBI", frame.data)
        slot = self._heard(address, now, out)
        if slot is None:
            return
        if address not in self._plated:
            self._plated.add(address)
            out.append(Limits(address=address, max_mv=1_000_000, min_mv=150_000, max_ma=133_300, max_mw=40_000_000))
        signal = head & 0xFFF
        if head >> 12:
            self._bad(address, f"error {head >> 12} to signal {signal:03X}", out)
        elif message == CONTROL and signal == POWER:
            slot.obeyed = (byte3 == 0) is slot.on
        elif message in (REALTIME, QUERY):
            self._signal(slot, signal, byte2 << 8 | byte3, value, out)

    def _signal(self, slot: Slot, signal: int, upper: int, value: int, out: list[Any]) -> None:
        if signal == STATUS:
            slot.running = not upper & 1
            self._read(slot, out, mv=(value & 0xFFFF) * 100, ma=(value >> 16) * 100)
        elif signal == ALARM:
            self._alarm(slot, decode_alarms(value, ALARMS) + decode_alarms(upper, EXTRA), out)
        elif signal == TEMPERATURE:
            if value > 0x7FFF_FFFF:
                value -= 1 << 32
            slot.temperature = value * 10 // 1024 if -60 << 10 < value < 200 << 10 else slot.temperature


class HuaweiEmulator(ModuleEmulator):
    """An R100040G1: 40 kW, 1000 V, 133 A."""

    family: ClassVar[Family] = "huawei"
    rating = Rating(max_mv=1_000_000, min_mv=150_000, max_ma=133_300, max_mw=40_000_000)

    @staticmethod
    def destination(frame: CanFrame) -> int | None:
        known = decode_id(frame.id)
        if not frame.extended or known is None or not known[2]:
            return None
        return known[0] or -1

    def _answer(self, frame: CanFrame, now: int) -> Iterable[CanFrame]:
        if len(frame.data) != 8:
            return ()
        message = frame.id >> 8 & 255
        head, byte2, byte3, value = struct.unpack(">HBBI", frame.data)
        signal = head & 0xFFF
        if message == INHERENT:
            return (
                self._reply(INHERENT, _data(SERIAL, self.serial), more=True),
                self._reply(INHERENT, _data(VERSIONS, 0x0101_0101)),
            )
        if message == REALTIME and byte3 == MASKED:
            return self._realtime(value)
        if message == QUERY:
            shown = self._show(signal)
            return (self._reply(QUERY, shown if shown is not None else _data(signal, error=2)),)
        if message in (CONTROL, CONFIGURE):
            good = self._take(signal, byte3, value, now)
            return (self._reply(message, _data(signal, value, byte2, byte3, 0 if good else 2)),)
        return ()

    def _realtime(self, mask: int) -> Iterable[CanFrame]:
        signals = ((WANT_TEMPERATURE, TEMPERATURE), (WANT_ALARM, ALARM), (WANT_STATUS, STATUS))
        wanted = [signal for bit, signal in signals if mask & bit]
        return [
            self._reply(REALTIME, self._show(signal) or b"", more=index + 1 < len(wanted))
            for index, signal in enumerate(wanted)
        ]

    def _show(self, signal: int) -> bytes | None:
        stage = self.rectifier
        if signal == STATUS:
            volts, amperes = min(0xFFFF, self.shown_mv // 100), min(0xFFFF, self.shown_ma // 100)
            return _data(STATUS, amperes << 16 | volts, 0, 0 if stage.running else 1)
        if signal == ALARM:
            bits = self.status(ALARMS)
            known = {alarm.word for alarm in ALARMS.values()}
            extra = sum(1 << bit for bit, a in EXTRA.items() if a.word in stage.faults and a.word not in known)
            return _data(ALARM, bits, extra >> 8, extra & 255)
        if signal == TEMPERATURE:
            return _data(TEMPERATURE, stage.temperature * 1024 // 10 & 0xFFFF_FFFF)
        return None

    def _take(self, signal: int, byte3: int, value: int, now: int) -> bool:
        stage = self.rectifier
        if signal == SET_VOLTS:
            stage.set(mv=-(-value * 1000 // 1024))
        elif signal == SET_AMPERES:
            stage.set(ma=-(-value * 1000 // 1024))
        elif signal == POWER:
            stage.switch(byte3 == 0, now)
        elif signal == CAN_TIMEOUT:
            self.silence_ms = max(1, min(60, value)) * 1000
        else:
            return signal == AUTO_MODE
        return True

    def _reply(self, message: int, data: bytes, *, more: bool = False) -> CanFrame:
        return CanFrame(encode_id(self.address, message, from_charger=False, more=more), data, True)
