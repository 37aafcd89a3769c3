"""What the station may let flow now: the offer, the schedule that was agreed upon, and the vehicle's own bounds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.core.evse_link import Offer

from .. import schedules

if TYPE_CHECKING:
    from ..secc import Iso20Secc

Message = dict[str, Any]


def clip(value: int, least: int, most: int) -> int:
    return max(least, min(most, value))


def offer_of(secc: Iso20Secc) -> Offer:
    """The last offer; before the first one nothing is offered."""
    return secc.offer if secc.offer is not None else Offer()


def discharge_mw(secc: Iso20Secc) -> int:
    """The most that may be given back, positive; nothing without a bidirectional service."""
    selection = secc.session.selection
    if selection is None or not selection.bidirectional:
        return 0
    offer = offer_of(secc)
    if offer.max_discharge_mw or not offer.max_discharge_ma:
        return offer.max_discharge_mw
    mv = offer.max_mv if offer.max_mv is not None else offer.nominal_mv * offer.phases
    return offer.max_discharge_ma * mv // 1000


def scheduled_mw(secc: Iso20Secc) -> tuple[int | None, int] | None:
    """(least, most) of the chosen schedule now; None: there is none, or it binds nothing."""
    session = secc.session
    schedule = session.schedules.get(session.chosen)
    selection = session.selection
    if schedule is None or selection is None or selection.dynamic:
        return None
    return schedules.bounds(schedule.points, (secc.now - session.anchor) // 1000)


def range_mw(secc: Iso20Secc) -> tuple[int, int]:
    """(least, most) of the power into the vehicle now; the least is negative where it may give back."""
    most, least = secc.power.offered_mw(), -discharge_mw(secc)
    scheduled = scheduled_mw(secc)
    if scheduled is not None:
        most = min(most, scheduled[1])
        if scheduled[0] is not None:
            least = max(least, scheduled[0])
    return least, most


def setpoint_mw(secc: Iso20Secc) -> int:
    """Dynamic control: what is to flow; without a setpoint all that is offered."""
    offer = offer_of(secc)
    least, most = range_mw(secc)
    return most if offer.setpoint_mw is None else clip(offer.setpoint_mw, least, most)
