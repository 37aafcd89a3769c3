"""What to ask for in one go: wanted ranges become as few reads as the device's limits allow.

A device may allow fewer registers at once than the standard, refuse reads that touch certain addresses, or want each of
its blocks read by itself; all three are data here. When a device refuses a joint read all the same (exception 2), ask
for its `parts`.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from .errors import RequestError
from .pdu import MAX_READ_BITS, MAX_READ_REGISTERS, ReadBits, ReadRegisters


class Want(msgspec.Struct, frozen=True, order=True):
    """A range that is wanted whole, in one answer: its halves would be of two moments."""

    function: Literal[1, 2, 3, 4]
    address: int
    count: int


class ReadLimits(msgspec.Struct, frozen=True, kw_only=True):
    """What one device allows."""

    registers: int = MAX_READ_REGISTERS
    bits: int = MAX_READ_BITS
    gap: int = 0
    """So many addresses that nobody wants may be read along to join two ranges."""
    forbidden: tuple[tuple[int, int], ...] = ()
    """First and last address of ranges that must not be read along."""
    borders: tuple[int, ...] = ()
    """Addresses before which a read has to end: where a block of the device begins."""


class Block(msgspec.Struct, frozen=True):
    """One read, and what is in it."""

    request: ReadBits | ReadRegisters
    wants: tuple[Want, ...]

    def take(self, want: Want, values: Sequence[int]) -> Sequence[int]:
        """The part of the answer's values that is `want`."""
        start = want.address - self.request.address
        return values[start : start + want.count]

    def parts(self) -> list[Block]:
        """The same, each want by itself; a block with a single range cannot be split and is its only part."""
        return [_block([want]) for want in self.wants]


def plan(wants: Iterable[Want], limits: ReadLimits) -> list[Block]:
    """The fewest reads that hold every want, in order of function and address. Raises RequestError for one that is
    longer than the device allows in one read, or that lies across a border or forbidden addresses."""
    blocks: list[Block] = []
    group: list[Want] = []
    end = 0
    for want in sorted(set(wants)):
        most = limits.bits if want.function < 3 else limits.registers
        last = want.address + want.count
        if not 1 <= want.count <= most or not 0 <= want.address <= last - 1 <= 0xFFFF:
            raise RequestError(f"{want} is more than one read of this device can hold")
        if _barred(want.address, last, limits) or any(want.address < border < last for border in limits.borders):
            raise RequestError(f"{want} lies across addresses that the device does not give in one read")
        if group and not (
            want.function == group[0].function
            and want.address - end <= limits.gap
            and max(end, last) - group[0].address <= most
            and not _barred(end, want.address, limits)
            and not any(group[0].address < border < max(end, last) for border in limits.borders)
        ):
            blocks.append(_block(group))
            group = []
        end = max(end, last) if group else last
        group.append(want)
    if group:
        blocks.append(_block(group))
    return blocks


def _barred(start: int, stop: int, limits: ReadLimits) -> bool:
    return any(first < stop and start <= last for first, last in limits.forbidden)


def _block(group: Sequence[Want]) -> Block:
    function, address = group[0].function, group[0].address
    count = max(want.address + want.count for want in group) - address
    if function == 1 or function == 2:
        return Block(ReadBits(function, address, count), tuple(group))
    return Block(ReadRegisters(function, address, count), tuple(group))
