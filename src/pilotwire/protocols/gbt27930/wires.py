"""What is on the plug beside the bus (GB/T 18487.1, annex B): two contacts that say that it is in, and a small supply.

They go the way of frames: a machine is handed them by `receive`, and sends them by `Send`.
"""

from __future__ import annotations

import msgspec


class Cc1(msgspec.Struct, frozen=True):
    """Voltage at the charger's detection point 1: 12 V with the plug's switch open, 6 V unplugged, 4 V plugged in."""

    mv: int

    @property
    def connected(self) -> bool:
        return 3_200 <= self.mv <= 4_800


class Cc2(msgspec.Struct, frozen=True):
    """Voltage at the vehicle's detection point 2: 12 V nothing is plugged in, 6 V it is."""

    mv: int

    @property
    def connected(self) -> bool:
        return 5_200 <= self.mv <= 6_800


class Supply(msgspec.Struct, frozen=True):
    """The charger's 12 V for the vehicle's BMS (A+, A-; contactors K3, K4)."""

    on: bool


PLUGGED = Cc1(4_000), Cc2(6_000)
UNPLUGGED = Cc1(6_000), Cc2(12_000)
