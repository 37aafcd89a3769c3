"""What the sections of a site's file are made of."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

import msgspec

Id = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.:-]{0,63}$")]
"""Letters, digits and `_.:-`: it stands in file names, topics and addresses."""
Positive = Annotated[Decimal, msgspec.Meta(extra={"above": 0})]
NotNegative = Annotated[Decimal, msgspec.Meta(extra={"least": 0})]
Percent = Annotated[Decimal, msgspec.Meta(extra={"least": 0, "most": 100})]


class Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A mapping of the file: a key that is not known is a mistake."""


def milli(value: Decimal) -> int:
    """Seconds to ms, A to mA, per cent to 0.001 %."""
    return int(value * 1_000)


def micro(value: Decimal) -> int:
    """kW to mW."""
    return int(value * 1_000_000)
