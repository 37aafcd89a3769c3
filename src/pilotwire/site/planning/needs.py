"""What each car that is there needs until when, and on what that rests."""

from __future__ import annotations

from datetime import tzinfo
from typing import Any

import msgspec

from pilotwire.domain.energy import Evse
from pilotwire.domain.energy.scale import infeed
from pilotwire.domain.planning import Load, Need
from pilotwire.domain.planning.habits import alike, departure, energy
from pilotwire.domain.steering import Mode, Ordered

from ..compiled import Outlet, Site
from ..decide import Decision
from ..entered import want
from ..inputs import EvseInput, TickInputs
from ..ports import trusted
from .entries import PlanningEntry
from .learned import Learned, Stay, battery_wh, wants
from .record import Basis

SOON_MS = 3_600_000
"""A car of which nobody knows when it leaves is served within this time, or in what its energy takes at least."""
MORE_WH = 5_000
"""Who has had what was assumed and still charges wants so much more."""
HEADROOM_MA = 1_000


class Found(msgspec.Struct, frozen=True):
    """Of all EVSEs. `loads`: what those may be drawing that are not heard; `taken` until when each is taken."""

    needs: tuple[Need, ...]
    basis: dict[str, Basis]
    loads: tuple[Load, ...]
    taken: dict[str, int]


def needs_of(
    site: Site, entry: PlanningEntry, inputs: TickInputs, decision: Decision, learned: Learned, zone: tzinfo,
    ends_ms: int,
) -> Found:  # fmt: skip
    """In the order of the EVSEs. Who waits for the sun alone has its pool; who is off or paused by an order none."""
    needs: list[Need] = []
    basis: dict[str, Basis] = {}
    loads: list[Load] = []
    taken: dict[str, int] = {}
    for each in inputs.evses:
        evse, out = site.topology.evses.get(each.id), site.outlets.get(each.id)
        if evse is None or out is None or not out.in_service:
            continue
        charger = decision.state.chargers.get(each.id)
        if charger is not None and charger.lost:
            if charger.may:
                loads.append(_kept_free(site, evse, charger.may))
            taken[each.id] = ends_ms
            continue
        order = inputs.external.evses.get(each.id)
        stay = learned.stays.get(each.id)
        if stay is not None:
            taken[each.id] = ends_ms
        if not wants(each.status) or mode_of(out, order) == "off" or (order is not None and order.pause):
            continue
        need, why = _need(site, entry, inputs, decision, learned, zone, each, evse, out, stay, order)
        taken[each.id] = need.departure_ms or ends_ms
        basis[each.id] = why
        needs.append(need)
    return Found(tuple(needs), basis, tuple(loads), taken)


def mode_of(out: Outlet, order: Ordered | None) -> Mode:
    """By which an EVSE charges now."""
    return out.mode if order is None or order.mode is None else order.mode


def _kept_free(site: Site, evse: Evse, may: int) -> Load:
    """On each phase that it may be on."""
    ma = infeed(evse, may, site.topology.tree.voltage_mv)
    on = range(3) if evse.current == "DC" else site.topology.phases(evse, evse.phases)
    l1, l2, l3 = (ma if phase in on else 0 for phase in range(3))
    return Load(id=f"lost {evse.id}", node=evse.node, phases_ma=((l1, l2, l3),))


def _need(
    site: Site, entry: PlanningEntry, inputs: TickInputs, decision: Decision, learned: Learned, zone: tzinfo,
    seen: EvseInput, evse: Evse, out: Outlet, stay: Stay | None, order: Ordered | None,
) -> tuple[Need, Basis]:  # fmt: skip
    now = inputs.now.utc_ms
    status = seen.status
    arrived = stay.arrived_ms if stay is not None else now
    visits = alike(learned.habits, seen.id, "" if stay is None else stay.driver, arrived, zone)
    phases: Any = 3 if evse.current == "DC" else min(status.phases or evse.phases, evse.phases)
    if evse.switching is not None:
        phases = evse.phases
    maximum = _maximum(site, decision, evse, phases, order)
    wh, why = _energy(entry, seen, stay, energy(visits))
    when, until = _departure(entry, seen, arrived, departure(visits, arrived, now), now)
    said = want(status, None if order is None else order.entered, now)
    if said.energy_by == "entered" and said.energy_wh is not None:
        wh, why = said.energy_wh, "as entered"
    if said.departure_by == "entered" and said.departure_ms is not None:
        late = said.departure_ms <= now
        when, until = (None, "it was entered that it would have left by now") if late else (
            said.departure_ms, "as entered"
        )  # fmt: skip
    if when is None:
        top = evse.maximum if maximum is None else min(evse.maximum, maximum)
        mw = top if evse.current == "DC" else top * site.topology.tree.voltage_mv * phases // 1_000
        # A tenth more than it takes at full power: rounding is not to make it late.
        when = now + max(SOON_MS, wh * 3_960_000_000 // max(1, mw))
    steering = site.steering
    pool = None
    if mode_of(out, order) == "pv" and steering is not None and steering.config.surplus is not None:
        pool = steering.config.surplus.pool
    need = Need(
        evse=seen.id,
        energy_wh=wh,
        departure_ms=when,
        phases=phases,
        maximum=maximum,
        priority=max(0, min(10, out.priority)),
        worth_micro=out.cheap_below if out.mode == "now" and not out.cheapest else None,
        pool=pool,
    )
    return need, Basis(energy=why, departure=until)


def _maximum(site: Site, decision: Decision, evse: Evse, phases: int, order: Ordered | None) -> int | None:
    """What the car takes at most, as far as its behaviour or an order says."""
    found: list[int] = []
    state = decision.state.energy.evses.get(evse.id)
    voltage = site.topology.tree.voltage_mv
    if state is not None and state.behaviour == "takes_less" and state.drawn_ma is not None:
        ma = state.drawn_ma + HEADROOM_MA
        mw = ma * 3 * voltage * evse.efficiency // 1_000_000
        found.append(max(evse.minimum, ma if evse.current == "AC" else mw))
    elif state is not None and state.behaviour == "asleep":
        found.append(evse.minimum)
    if order is not None and order.maximum_ma is not None:
        mw = order.maximum_ma * 3 * voltage * evse.efficiency // 1_000_000
        found.append(order.maximum_ma if evse.current == "AC" else mw)
    if order is not None and order.maximum_mw is not None:
        ma = order.maximum_mw * 1_000 // (voltage * phases)
        found.append(ma if evse.current == "AC" else order.maximum_mw)
    return min(found, default=None)


def _energy(entry: PlanningEntry, seen: EvseInput, stay: Stay | None, usual: int | None) -> tuple[int, str]:
    status = seen.status
    session = trusted(status.points, "session_wh")
    had = max(session or 0, 0 if stay is None else stay.energy_wh)
    if status.target_energy_wh is not None:
        return max(0, status.target_energy_wh - had), "as it said"
    soc = status.soc if status.soc is not None else trusted(status.points, "soc_permille")
    if soc is not None:
        size = None if stay is None else battery_wh(stay, soc)
        capacity = int(entry.car_kwh * 1_000) if size is None else size
        of = "a battery of the usual size" if size is None else "its battery, as it took so far"
        return max(0, 1_000 - soc) * capacity // 1_000, f"by its state of charge and {of}"
    assumed, why = int(entry.energy_kwh * 1_000), "assumed, for nobody said"
    if usual is not None:
        assumed, why = usual, "as on visits before"
    left = assumed - had
    return (left, why) if left > 0 else (MORE_WH, "more than was expected, for it still charges")


def _departure(
    entry: PlanningEntry, seen: EvseInput, arrived: int, usual: int | None, now: int
) -> tuple[int | None, str]:
    """None: nobody knows."""
    told = seen.status.departure_ms
    if told is not None and told > now:
        return told, "as it said"
    if told is not None:
        return None, "it said that it would have left by now"
    if usual is not None:
        return usual, "as on visits before"
    if entry.stay_h is not None and (stays := arrived + int(entry.stay_h * 3_600_000)) > now:
        return stays, "assumed (planning.stay_h)"
    return None, "as soon as it can, for nobody said"
