"""What one tariff has priced of a transaction: volumes, no money yet."""

from __future__ import annotations

import msgspec

from .model import Tariff


class Share(msgspec.Struct, omit_defaults=True, gc=False):
    """What one tariff has priced: volumes by the place of the price in its list (mWh, ms, times)."""

    tariff: Tariff
    energy: list[int] = []
    charging: list[int] = []
    idle: list[int] = []
    fixed: int = -1
    """Place of the fixed price that applied at the start; -1: none."""
    reservation_fixed: int = -1
    reservation_time: int = -1

    def copy(self) -> Share:
        return Share(
            self.tariff,
            self.energy[:],
            self.charging[:],
            self.idle[:],
            self.fixed,
            self.reservation_fixed,
            self.reservation_time,
        )
