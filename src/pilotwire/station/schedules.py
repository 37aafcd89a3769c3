"""Limits between the units of a charging schedule and ours."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal

from .evse import Evse
from .profiles import Limit

_NOMINAL_V = 230


def from_limit(limit: Limit, unit: str, evse: Evse | None) -> int | None:
    """`limit` as mA (unit A) or mW (unit W), whichever of its parts binds; None: not limited.

    A and W are converted over the phases in use at 230 V; on DC, where the voltage is the car's, over 400 V.
    """
    volts = 400 if evse is not None and evse.config.dc else _NOMINAL_V
    phases = 1 if evse is not None and evse.config.dc else (evse.config.phases if evse is not None else 3)
    phases = min(phases, limit.phases or phases)
    if unit == "A":
        converted = None if limit.mw is None else limit.mw // (volts * phases)
        own = limit.ma
    else:
        converted = None if limit.ma is None else limit.ma * volts * phases
        own = limit.mw
    return min((value for value in (own, converted) if value is not None), default=None)


def to_wire(value: int) -> Decimal:
    """Thousandths as a Decimal with at most one digit, rounded down: a limit is never stated too high."""
    tenths = Decimal(value // 100).scaleb(-1)
    return tenths.to_integral_value() if tenths == tenths.to_integral_value() else tenths


def most(evses: Iterable[Evse], unit: str) -> int:
    """What the hardware of `evses` together can give, in thousandths of `unit`."""
    return sum(evse.max_ma if unit == "A" else evse.max_mw for evse in evses)
