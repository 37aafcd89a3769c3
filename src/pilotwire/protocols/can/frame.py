"""A CAN 2.0 data frame (ISO 11898-1)."""

from __future__ import annotations

from typing import NamedTuple


class CanFrame(NamedTuple):
    """`id` has 11 bits, or 29 when `extended`; `data` has at most 8 bytes."""

    id: int
    data: bytes
    extended: bool = False
