"""The record of what telecontrol did: from when to when, on whose word, and what it changed."""

from collections.abc import Iterable, Mapping

import msgspec

from pilotwire.domain.energy import Moment

from .state import Intervention
from .telecontrol import Order

SETTLE_MS = 30_000
"""So long devices may take to follow; what they draw later counts as not followed."""


def note(
    orders: Iterable[Order], old: Mapping[str, Intervention], now: Moment
) -> tuple[dict[str, Intervention], tuple[Intervention, ...]]:
    """(those that go on, those that ended now). An order that changes its figure ends and begins anew."""
    going: dict[str, Intervention] = {}
    ended: list[Intervention] = []
    for order in orders:
        id, power = order.control.id, order.subject_mw
        known = old.get(id)
        if known is not None and (known.limit_mw, known.source) != (order.limit_mw, order.control.source):
            ended.append(msgspec.structs.replace(known, until_ms=now.utc_ms))
            known = None
        if known is None:
            going[id] = Intervention(
                id=id, source=order.control.source, kind=order.control.kind, node=order.control.node,
                limit_mw=order.limit_mw, from_ms=now.utc_ms, until_ms=None, before_mw=power,
            )  # fmt: skip
        elif power is None:
            going[id] = known
        else:
            highest = known.highest_mw
            if now.utc_ms - known.from_ms >= SETTLE_MS:
                highest = power if highest is None else max(highest, power)
            going[id] = msgspec.structs.replace(known, after_mw=power, highest_mw=highest)
    over = [msgspec.structs.replace(each, until_ms=now.utc_ms) for id, each in sorted(old.items()) if id not in going]
    return going, (*ended, *over)
