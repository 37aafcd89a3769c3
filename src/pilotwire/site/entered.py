"""What people enter for a car that is plugged in: when it leaves, and how much it still wants.

A car at a charger that speaks OCPP 1.6 or Modbus can say neither. What is entered is an order of its own that lowers
nothing: it holds for the car that is there, and is gone when that unplugs or another session begins, an hour after its
departure, or after a week. Of several people the last word counts.

What a car itself says (NotifyEVChargingNeeds of OCPP 2.x) goes on counting: of two departures the earlier one that is
still to come, of two energies what was said last. A car that has said something else since it was entered is newer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

import msgspec

from pilotwire.domain.energy import Demand
from pilotwire.domain.steering import Entered, Ordered

from .facades.orders import ExternalLimits, Order
from .inputs import EvseInput, TickInputs
from .ports import EvseStatus, trusted

AHEAD_MS = 7 * 86_400_000
"""No departure is further ahead, and nothing that was entered counts for longer."""
MARGIN_MS = 3_600_000
"""Who has not left by then, has not left in time: for so long he still comes first."""
MOST_WH = 1_000_000
"""No car takes more."""
DEPARTURE, ENERGY = "departure", "energy"
"""Channels: the same whoever enters it."""

By = Literal["", "entered", "told by the car"]


class Want(msgspec.Struct, frozen=True):
    """What counts: until when (UTC) and how much more, and who says so. None: nobody."""

    departure_ms: int | None = None
    departure_by: By = ""
    energy_wh: int | None = None
    energy_by: By = ""


def want(status: EvseStatus, entered: Entered | None, utc_ms: int) -> Want:
    """Of the car that is there."""
    departure, energy = status.departure_ms, status.target_energy_wh
    if energy is not None and (charged := trusted(status.points, "session_wh")) is not None:
        energy = max(0, energy - charged)
    told = Want(
        departure, "" if departure is None else "told by the car", energy, "" if energy is None else "told by the car"
    )
    if entered is None:
        return told
    found = told
    leaves = entered.departure_ms
    if leaves is not None and (departure is None or departure <= utc_ms or utc_ms < leaves <= departure):
        found = msgspec.structs.replace(found, departure_ms=leaves, departure_by="entered")
    newer = status.target_energy_wh is not None and status.target_energy_wh != entered.told_wh
    if entered.energy_wh is not None and not newer:
        left = max(0, entered.energy_wh - _since(entered, status))
        found = msgspec.structs.replace(found, energy_wh=left, energy_by="entered")
    return found


def wants(inputs: TickInputs) -> dict[str, Want]:
    """By EVSE, at a tick."""
    orders = inputs.external.evses
    return {
        each.id: want(each.status, None if (order := orders.get(each.id)) is None else order.entered, inputs.now.utc_ms)
        for each in inputs.evses
    }


def as_entered(
    demands: Sequence[Demand], seen: Mapping[str, EvseInput], orders: Mapping[str, Ordered], utc_ms: int
) -> list[Demand]:
    """Demands with what was entered for their cars; the others are as they were."""
    found: list[Demand] = []
    for demand in demands:
        order = orders.get(demand.evse)
        if order is not None and order.entered is not None:
            now = want(seen[demand.evse].status, order.entered, utc_ms)
            demand = msgspec.structs.replace(demand, departure_ms=now.departure_ms, energy_wh=now.energy_wh)
        found.append(demand)
    return found


def enter(
    limits: ExternalLimits, order: Order, status: EvseStatus | None, now_ms: int, utc_ms: int,
    departure_ms: int | None = None, energy_wh: int | None = None,
) -> str:  # fmt: skip
    """Puts what is entered for the car at `order.evse`; "" or why it cannot be. Of `order` who says it and, with
    `until_ms`, that it counts no longer than that."""
    if (why := refusal(departure_ms, energy_wh, utc_ms)) or (why := _nobody(order.evse, status)) or status is None:
        return why
    register, session = trusted(status.points, "energy_import_wh"), trusted(status.points, "session_wh")
    found: list[tuple[str, Entered, int]] = []
    if departure_ms is not None:
        found.append((DEPARTURE, Entered(departure_ms=departure_ms), departure_ms - utc_ms + MARGIN_MS))
    if energy_wh is not None:
        told = status.target_energy_wh
        what = Entered(energy_wh=energy_wh, register_wh=register, session_wh=session or 0, told_wh=told)
        found.append((ENERGY, what, AHEAD_MS))
    base = msgspec.structs.replace(order, session=status.session)
    for channel, what, lasts in found:
        until = now_ms + lasts if order.until_ms is None else min(order.until_ms, now_ms + lasts)
        limits.put(msgspec.structs.replace(base, channel=channel, entered=what, until_ms=until), now_ms)
    return ""


def refusal(departure_ms: int | None, energy_wh: int | None, utc_ms: int) -> str:
    """Why that cannot be of any car; "" where it can."""
    if departure_ms is not None and departure_ms <= utc_ms:
        return "the departure is in the past"
    if departure_ms is not None and departure_ms > utc_ms + AHEAD_MS:
        return "the departure is more than 7 days ahead"
    if energy_wh is not None and energy_wh < 0:
        return "the energy is negative: it is what the car still wants"
    if energy_wh is not None and energy_wh > MOST_WH:
        return f"the energy is more than a car can take: at most {MOST_WH // 1_000} kWh"
    return ""


def let_go(limits: ExternalLimits, seen: Sequence[EvseInput], now_ms: int) -> None:
    """Forgets what was entered for cars that have left. An EVSE that is not heard may still have its car."""
    statuses = {each.id: each.status for each in seen}
    for order in limits.entered():
        status = statuses.get(order.evse)
        if status is None or not status.online:
            continue
        other = bool(order.session and status.session and order.session != status.session)
        if other or status.pilot == "A" or (status.pilot is None and order.session and not status.session):
            limits.drop(order.channel, order.place)
        elif status.session and not order.session:
            limits.put(msgspec.structs.replace(order, session=status.session), now_ms)


def _nobody(evse: str, status: EvseStatus | None) -> str:
    if status is None or not status.online:
        return f"{evse} is not heard, so nobody knows which car that is for"
    drawing = status.session or (trusted(status.points, "power_mw") or 0) > 0
    if status.pilot in ("B", "C", "D") or (status.pilot is None and drawing):
        return ""
    return f"no car is plugged in at {evse}"


def _since(entered: Entered, status: EvseStatus) -> int:
    """What it has had since that was entered: by its register, or else by its session."""
    register = trusted(status.points, "energy_import_wh")
    if entered.register_wh is not None and register is not None:
        return max(0, register - entered.register_wh)
    return max(0, (trusted(status.points, "session_wh") or 0) - entered.session_wh)
