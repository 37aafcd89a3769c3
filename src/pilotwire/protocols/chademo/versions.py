"""What the protocol number of 102.0 and 109.0 means. Public sources disagree, so it is data.

Field recordings and the text of IEEE 2030.1.1-2015 as implementers cite it: 0 before 0.9, 1 for 0.9.x, 2 for 1.0 to
1.2, 3 for 2.0. Another reading (EVerest's library) is 1 for 1.x and 2 for 2.0; a vehicle of 2018 (Nissan Leaf ZE1)
sends 2 and does not know 110. So the number alone never switches a feature on: what a vehicle can do is taken from
the frames that it sends (110: dynamic control and high current; 200 and the flag 102.5.7: discharging).
"""

from __future__ import annotations

from typing import Final

import msgspec


class Meaning(msgspec.Struct, frozen=True):
    """One reading of one protocol number."""

    number: int
    version: str
    source: str


MEANINGS: Final = (
    Meaning(0, "before 0.9", "IEEE 2030.1.1"),
    Meaning(1, "0.9", "IEEE 2030.1.1"),
    Meaning(2, "1.0 to 1.2", "IEEE 2030.1.1"),
    Meaning(3, "2.0", "IEEE 2030.1.1"),
    Meaning(1, "1.x", "EVerest ieee2030_1_1"),
    Meaning(2, "2.0", "EVerest ieee2030_1_1"),
)
CHADEMO_1: Final = 2
CHADEMO_2: Final = 3
"""What our own ends send."""


def meanings_of(number: int) -> tuple[Meaning, ...]:
    """Every reading of a number; none: nobody has published one."""
    return tuple(meaning for meaning in MEANINGS if meaning.number == number)


def words_of(number: int) -> str:
    """For people: `2 (1.0 to 1.2 by IEEE 2030.1.1; 2.0 by EVerest ieee2030_1_1)`."""
    read = "; ".join(f"{meaning.version} by {meaning.source}" for meaning in meanings_of(number))
    return f"{number} ({read or 'no published meaning'})"
