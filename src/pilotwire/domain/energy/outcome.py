"""What is told, and what the next tick has to know of it."""

from typing import Any, Literal

import msgspec

from .cars import Car
from .lost import lost_value, remember
from .model import Evse, Member, Unit
from .scale import infeed
from .state import EvseState


class SetPoint(msgspec.Struct, frozen=True):
    """What an EVSE, or a load, is told: `value` in its unit (AC mA per phase, DC mW at the vehicle), 0 for a pause."""

    evse: str
    value: int
    unit: Unit
    infeed_ma: int
    """What that loads each of its phases with."""
    target: int
    """Its share; `value` is on the way there."""
    phases: Literal[1, 3] | None = None
    """How many phases an EVSE that can be switched is to have; None for the others."""


def set_point(evse: Member, old: EvseState, car: Car | None, target: int) -> SetPoint:
    """What it is told now."""
    phases = None
    if isinstance(evse, Evse) and evse.switching is not None:
        phasing = old.phasing if car is None else car.phasing
        phases = phasing.to if phasing.stage == "switching" else phasing.now
    if car is None:
        return SetPoint(evse.id, 0, evse.unit, 0, 0, phases)
    return SetPoint(evse.id, car.value(car.level), evse.unit, car.infeed_ma, car.value(target), phases)


def point_of_lost(evse: Member, old: EvseState, voltage_mv: int) -> SetPoint:
    """What one that is not heard is told all the same."""
    value = lost_value(evse, old)
    phases = old.phasing.now if isinstance(evse, Evse) and evse.switching is not None else None
    return SetPoint(evse.id, value, evse.unit, infeed(evse, value, voltage_mv), value, phases)


def told(old: EvseState, value: int, infeed_ma: int, now_ms: int) -> EvseState:
    """`old` after it has been told `value`."""
    if value == old.value and infeed_ma == old.infeed_ma:
        return old
    still = max(old.infeed_ma + old.excess_ma, old.burden_ma(now_ms))
    below = infeed_ma < still
    return msgspec.structs.replace(
        old,
        value=value,
        infeed_ma=infeed_ma,
        before_ma=old.infeed_ma,
        changed_ms=now_ms,
        followed=False,
        sure=old.followed or old.settled(now_ms),
        told=remember(old, infeed_ma, now_ms),
        ceiling_ma=still if below else old.ceiling_ma,
        ceiling_until_ms=now_ms + old.settle_ms if below else old.ceiling_until_ms,
        switched_ms=old.switched_ms if bool(value) == bool(old.value) else now_ms,
    )


def next_state(old: EvseState, car: Car | None, target: int, now_ms: int, rotate_ms: int) -> EvseState:
    """What is left of this tick."""
    value, ma = (0, 0) if car is None else (car.value(car.level), car.infeed_ma)
    old = told(old, value, ma, now_ms)
    changes: dict[str, Any] = {}
    if car is not None:
        if old.used != car.on.phases:
            changes["used"] = car.on.phases
    elif old.used and old.settled(now_ms):
        changes["used"] = 0
    if car is not None and car.phasing is not old.phasing:
        changes["phasing"] = car.phasing
    elif car is None and old.phasing.count:
        changes["phasing"] = msgspec.structs.replace(old.phasing, count=0)  # of a session that is over
    if car is None:
        # The next car at this EVSE is another one; how soon the EVSE follows is its own.
        gone = {"since_ms": None, "admitted": False, "behaviour": "follows", "odd_ms": None, "excess_ma": 0}
        changes |= {name: value for name, value in gone.items() if getattr(old, name) != value}
    elif old.since_ms is None or old.admitted != (target > 0):
        changes |= {"since_ms": now_ms, "turn_ms": now_ms, "admitted": target > 0}
    elif old.admitted and now_ms - old.turn_ms >= rotate_ms:
        changes |= {"turn_ms": now_ms}
    return msgspec.structs.replace(old, **changes) if changes else old
