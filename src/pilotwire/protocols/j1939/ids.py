"""The 29-bit identifier of SAE J1939-21, 5.2: priority, parameter group number, addresses."""

from __future__ import annotations

from typing import NamedTuple

GLOBAL = 0xFF
"""The address of everybody."""


class Id(NamedTuple):
    """An identifier taken apart. `pgn` has 18 bits; of a PDU1 its lowest byte is 0 and `da` says for whom it is."""

    priority: int
    pgn: int
    da: int
    sa: int


def parse(can_id: int) -> Id:
    """Takes an extended identifier apart. What PDU2 says is for everybody."""
    pf, ps = can_id >> 16 & 0xFF, can_id >> 8 & 0xFF
    page = can_id >> 8 & 0x30000
    if pf < 240:
        return Id(can_id >> 26 & 7, page | pf << 8, ps, can_id & 0xFF)
    return Id(can_id >> 26 & 7, page | pf << 8 | ps, GLOBAL, can_id & 0xFF)


def build(priority: int, pgn: int, da: int, sa: int) -> int:
    """The identifier; `da` counts for PDU1 alone."""
    low = da if pgn >> 8 & 0xFF < 240 else pgn & 0xFF
    return (priority & 7) << 26 | (pgn & 0x3FF00) << 8 | (low & 0xFF) << 8 | sa & 0xFF
