"""What the registers of a device file mean, told a second time in as few lines as it takes: `struct` and fractions,
nothing of the package's own codecs. Round trips are compared with it, so that an error in both ways is seen."""

from __future__ import annotations

import struct
from collections.abc import Callable
from fractions import Fraction

from pilotwire.site.devices.schema import Command, DeviceFile, Point

Cells = Callable[[str, int, int], list[int]]
"""Table, address, count → what stands there."""
FORMATS = {"u16": ">H", "s16": ">h", "u32": ">I", "s32": ">i", "u64": ">Q", "s64": ">q", "f32": ">f", "f64": ">d"}
SIZES = {"bit": 1, "u16": 1, "s16": 1, "f32": 2, "u32": 2, "s32": 2, "u48": 3, "u64": 4, "s64": 4, "f64": 4}


def raw_bytes(device: DeviceFile, item: Point | Command, cells: Cells, address: int) -> bytes:
    """The value's bytes, most significant first."""
    count = item.length if isinstance(item, Point) and item.type == "string" else SIZES.get(item.type, 0)
    registers = cells(item.table, address, count)
    if (item.word_order or device.modbus.word_order) == "little":
        registers = registers[::-1]
    order = "little" if (item.byte_order or device.modbus.byte_order) == "little" else "big"
    return b"".join(each.to_bytes(2, order) for each in registers)


def number(device: DeviceFile, item: Point | Command, cells: Cells, move: int = 0) -> Fraction | str | None:
    """A point's or command's value in our base unit, not rounded; None for "not there"."""
    assert item.address is not None
    data = raw_bytes(device, item, cells, item.address + move)
    if item.type == "string":
        text = data.split(b"\0")[0].decode().strip()
        found = item.map.get(text) if item.map else text or None
        return Fraction(found) if isinstance(found, int) else found
    unsigned = int.from_bytes(data, "big")
    if isinstance(item, Point) and unsigned in item.absent:
        return None
    raw: int | float = unsigned if item.type in ("bit", "u48") else struct.unpack(FORMATS[item.type], data)[0]
    if isinstance(item, Point) and item.mask:
        shift = (item.mask & -item.mask).bit_length() - 1
        raw = (int(raw) & item.mask) >> shift
    if item.map:
        found = item.map.get(int(raw))  # type: ignore[call-overload]
        return found if isinstance(found, str) or found is None else Fraction(found)
    exact = Fraction(raw) if isinstance(raw, int) else Fraction(f"{raw:.7g}" if item.type == "f32" else repr(raw))
    value = exact * Fraction(item.scale)
    if item.sf is not None:
        power = cells(item.table, item.sf + move, 1)[0]
        value *= Fraction(10) ** (power - 0x10000 if power > 0x7FFF else power)
    value += Fraction(item.offset)
    if isinstance(item, Point) and item.sign_from is not None:
        sign = item.sign_from
        there = cells(sign.table or item.table, sign.address + move, SIZES[sign.type])
        of_sign = int.from_bytes(b"".join(each.to_bytes(2, "big") for each in there), "big")
        if sign.mask:
            of_sign = (of_sign & sign.mask) >> ((sign.mask & -sign.mask).bit_length() - 1)
        if of_sign in sign.negative:
            value = -abs(value)
    return -value if item.invert else value
