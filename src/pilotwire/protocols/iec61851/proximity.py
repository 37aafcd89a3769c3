"""The proximity contact: how much the cable carries, whether its latch is closed (IEC 61851-1:2017, B.2 to B.4).

Type 2 and its like code the cable's current by a resistor between proximity and earth; type 1 (and CCS1, NACS)
show the latch of the plug. Ω and mA.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

CableRange = tuple[int, int, int]


class Cable(msgspec.Struct, frozen=True):
    """What the contact says of a cable."""

    max_ma: int
    """In three phases."""
    single_ma: int
    """In one phase: 70 A where three carry 63."""


_CABLES: Final[tuple[tuple[int, int, Cable], ...]] = (
    (1_100, 2_460, Cable(13_000, 13_000)),
    (400, 936, Cable(20_000, 20_000)),
    (164, 308, Cable(32_000, 32_000)),
    (80, 140, Cable(63_000, 70_000)),
)
"""Windows of 1.5 kΩ, 680 Ω, 220 Ω and 100 Ω (table B.2); between them nothing may flow."""
OHMS: Final[dict[int, int]] = {13_000: 1_500, 20_000: 680, 32_000: 220, 63_000: 100}
"""The resistor in a cable of so many mA."""
OPEN_OHM: Final = 4_500
"""Above it there is no plug in the socket."""


class ProximitySample(msgspec.Struct, frozen=True):
    """What is measured on the proximity contact; a unit of the pilot's carrier like `PilotSample`. None: open."""

    ohm: int | None


def cable_of(ohm: int | None) -> Cable | Literal["open", "fault"]:
    """The cable behind a resistance. `fault`: out of every window."""
    if ohm is None or ohm > OPEN_OHM:
        return "open"
    for low, high, cable in _CABLES:
        if low <= ohm <= high:
            return cable
    return "fault"


Latch = Literal["open", "pressed", "closed", "fault"]
_LATCH: Final[tuple[tuple[int, int, Latch], ...]] = ((135, 165, "closed"), (430, 530, "pressed"))
"""Type 1 (SAE J1772): 150 Ω with the latch closed, 480 Ω while its button is pressed."""


def latch_of(ohm: int | None) -> Latch:
    """Where the latch of a type 1 plug is, as the vehicle's inlet sees it. `open`: nothing is plugged in."""
    if ohm is None or ohm > OPEN_OHM:
        return "open"
    for low, high, latch in _LATCH:
        if low <= ohm <= high:
            return latch
    return "fault"
