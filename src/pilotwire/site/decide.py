"""One decision: what has been measured, heard and answered in, what everybody is told out. Pure, deterministic.

    decide(site, inputs, state) -> Decision

In order: who can be heard, and what those who cannot may be drawing (`lost`); which readings count; who wants to
charge; whose limits are in force; then `domain.energy.allocate`, which is always last and knows no exception.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from pilotwire.domain import steering
from pilotwire.domain.energy import (
    Demand,
    Evse,
    EvseState,
    Limit,
    Lost,
    Moment,
    Reading,
    Reason,
    Signals,
    State,
    allocate,
    quality,
)
from pilotwire.domain.energy.scale import infeed
from pilotwire.domain.seen import Code as Code
from pilotwire.domain.seen import Mark as Mark

from .compiled import Site
from .entered import as_entered
from .inputs import EvseInput, Heard, TickInputs
from .loaded import commands as told
from .loaded import wanted
from .lost import Charger, follow, safe
from .metered import believed, drawn_by
from .metered import figure as figure
from .ports import EvseStatus, trusted
from .steered import commands as orders
from .steered import measured


class SetPoint(msgspec.Struct, frozen=True):
    """What an EVSE is told: 0 for a pause. `target` is its share, `value` is on the way there."""

    evse: str
    value: int
    unit: Literal["mA", "mW"]
    target: int
    phases: Literal[1, 3] | None = None


class Command(msgspec.Struct, frozen=True):
    """What a device is told, by the name of a point."""

    device: str
    name: str
    value: int


class SiteState(msgspec.Struct, frozen=True):
    """What a decision leaves to the next. Empty at the very first start."""

    energy: State = State()
    chargers: Mapping[str, Charger] = msgspec.field(default_factory=dict[str, Charger])
    meters: Mapping[str, Reading] = msgspec.field(default_factory=dict[str, Reading])
    """By node: the last reading that was good."""
    quality: Mapping[str, quality.Memory] = msgspec.field(default_factory=dict[str, quality.Memory])
    """By node: what is remembered of its meter."""
    heard: Mapping[str, Heard] = msgspec.field(default_factory=dict[str, Heard])
    """By source: its last word, so that a restart forgets no limit."""
    steering: steering.SteeringState = steering.SteeringState()
    seq: int = 0


class Decision(msgspec.Struct, frozen=True):
    """`set_points` of all EVSEs, by id in order, and why; what devices are told; what is wrong; and the next state."""

    seq: int
    set_points: tuple[SetPoint, ...]
    commands: tuple[Command, ...]
    reasons: Mapping[str, Reason]
    marks: tuple[Mark, ...]
    limits: Mapping[str, tuple[Limit, ...]]
    """From outside and by steering, by node."""
    steered: tuple[steering.Reason, ...]
    """Why contracts, sun, batteries, prices and orders say what they say."""
    windows: tuple[steering.WindowView, ...]
    closed: tuple[steering.WindowSummary, ...]
    """Demand windows that have ended with this tick."""
    ended: tuple[steering.Intervention, ...]
    """Orders of telecontrol that have."""
    state: SiteState


def decide(site: Site, inputs: TickInputs, state: SiteState) -> Decision:
    """See the module. Raises nothing for what is measured or heard, however wrong; LocalError for a fault of ours."""
    now = inputs.now
    seen = {entry.id: entry for entry in inputs.evses}
    topology = site.topology
    chargers = {
        id: follow(
            state.chargers.get(id, Charger()), seen.get(id), evse, site.outlets[id], now.tick_ms, site.command_ms
        )
        for id, evse in sorted(topology.evses.items())
    }
    marks: list[Mark] = [mark for id, each in chargers.items() for mark in _charger_marks(site, id, each)]
    meters, memories = believed(site, inputs, state.meters, state.quality, marks)
    limits, heard = _limits(site, inputs, state, marks)
    energy, draws = _believed(site, chargers, seen, state, now.tick_ms)
    demands = [
        demand
        for id, charger in chargers.items()
        if not charger.lost and (demand := _demand(site, topology.evses[id], seen[id].status)) is not None
    ]
    demands = as_entered(demands, seen, inputs.external.evses, now.utc_ms)
    steered = _steer(site, demands, meters, draws, inputs, state)
    pools: Mapping[str, tuple[Limit, ...]] = {}
    commands: tuple[Command, ...] = ()
    if steered is not None and site.steering is not None:
        prefers = steered.phases
        demands = [msgspec.structs.replace(each, prefers=prefers.get(each.evse)) for each in steered.demands]
        limits = _joined(limits, steered.limits)
        pools = steered.pools
        commands = tuple(Command(*each) for each in orders(site.steering, steered) if each[0] not in site.loads)
    lost = {id: Lost(since_ms=each.heard_ms, possible=each.may) for id, each in chargers.items() if each.lost}
    if site.topology.loads or site.topology.tree.resources:
        others = wanted(site, inputs, steered)
        demands += others.demands
        draws = {**draws, **others.draws}
        lost |= others.lost
        marks += others.marks
    signals = Signals(meters=meters, draws=draws, limits=limits, pools=pools, lost=lost)
    said = allocate(topology, site.policy, demands, signals, energy, now)
    commands += tuple(Command(*each) for each in told(site, said.loads))
    points = tuple(
        SetPoint(evse=point.evse, value=point.value, unit=point.unit, target=point.target, phases=point.phases)
        for point in said.set_points
    )
    return Decision(
        seq=inputs.seq,
        set_points=points,
        commands=commands,
        reasons=said.reasons,
        marks=tuple(sorted(marks, key=lambda mark: (mark.where, mark.code))),
        limits=limits,
        steered=() if steered is None else steered.reasons,
        windows=() if steered is None else steered.windows,
        closed=() if steered is None else steered.closed,
        ended=() if steered is None else steered.ended,
        state=SiteState(
            energy=said.state,
            chargers=chargers,
            meters=meters,
            quality=memories,
            heard=heard,
            steering=state.steering if steered is None else steered.state,
            seq=inputs.seq,
        ),
    )


def _steer(
    site: Site,
    demands: list[Demand],
    meters: Mapping[str, Reading],
    draws: Mapping[str, Reading],
    inputs: TickInputs,
    state: SiteState,
) -> steering.Steering | None:
    """None where nothing is to be steered: the fuses alone count."""
    if site.steering is None:
        return None
    wishes: list[steering.Wish] = []
    for demand in demands:
        out = site.outlets[demand.evse]
        wishes.append(
            steering.Wish(
                demand=demand,
                mode=out.mode,
                cheap_below=out.cheap_below,
                cheapest=out.cheapest,
                boost=out.boost,
                switchable=site.topology.evses[demand.evse].switching is not None,
            )
        )
    found = measured(site.steering, site.meters, meters, draws, _offered(site, inputs), inputs)
    return steering.steer(site.steering, wishes, found, inputs.external, inputs.plan, state.steering, inputs.now)


def _offered(site: Site, inputs: TickInputs) -> dict[str, int]:
    """By EVSE: mW on the grid's side of what it has confirmed, where nothing is on the way to it."""
    voltage = site.topology.tree.voltage_mv
    found: dict[str, int] = {}
    for entry in inputs.evses:
        evse = site.topology.evses.get(entry.id)
        if evse is None or entry.link.confirmed is None or entry.link.open is not None:
            continue
        used = 3 if evse.current == "DC" else min(entry.status.phases or evse.phases, evse.phases)
        ma = infeed(evse, entry.link.confirmed, voltage)
        found[entry.id] = ma * voltage * site.topology.count(evse, used) // 1_000
    return found


def _joined(
    one: Mapping[str, tuple[Limit, ...]], other: Mapping[str, tuple[Limit, ...]]
) -> dict[str, tuple[Limit, ...]]:
    return {node: (*one.get(node, ()), *other.get(node, ())) for node in sorted({*one, *other})}


def _charger_marks(site: Site, id: str, charger: Charger) -> list[Mark]:
    out = site.outlets[id]
    unit = site.topology.evses[id].current
    if not out.in_service:
        return [Mark(id, "out_of_service", "is out of service by the configuration: nothing is kept free for it")]
    found: list[Mark] = []
    kept = f"{figure(charger.may, unit)} are kept free for it"
    if charger.why == "offline":
        text = "has never been heard" if charger.heard_ms is None else "is not heard"
        found.append(Mark(id, "offline", f"{text}: {kept}"))
    elif charger.why == "unanswered":
        found.append(Mark(id, "unanswered", f"does not confirm what it is told: {kept}"))
    elif charger.why == "unknown":
        found.append(Mark(id, "unknown", f"has not confirmed anything yet: {kept}"))
    if out.has_failsafe and not charger.verified:
        found.append(Mark(id, "unverified", "its fail-safe registers have not been read back: it may keep its maximum"))
    return found


def _limits(
    site: Site, inputs: TickInputs, state: SiteState, marks: list[Mark]
) -> tuple[dict[str, tuple[Limit, ...]], dict[str, Heard]]:
    """From outside, by node; and the last word of each source."""
    words = {**state.heard, **{heard.source: heard for heard in inputs.heard}}
    found: dict[str, list[Limit]] = {}
    kept: dict[str, Heard] = {}
    for id, source in sorted(site.sources.items()):
        word = words.get(id)
        if word is not None:
            kept[id] = word
        if word is None or inputs.now.tick_ms - word.at_ms >= source.lost_after_ms:
            limit = source.lost_limit
            then = "its last limit has ended" if limit is None else "the limit for its loss is in force"
            marks.append(Mark(id, "source_lost", f"has said nothing for too long: {then}"))
        else:
            limit = word.limit
        if limit is not None:
            found.setdefault(source.node, []).append(limit)
    return {node: tuple(limits) for node, limits in sorted(found.items())}, kept


def _believed(
    site: Site, chargers: Mapping[str, Charger], seen: Mapping[str, EvseInput], state: SiteState, now_ms: int
) -> tuple[State, dict[str, Reading]]:
    """The allocation's memory, and what is drawn by those who are heard.

    An EVSE of which nothing is known, not even from before a restart, is told its fail-safe value until it has said
    something: that much fits, whatever the others do.
    """
    evses = dict(state.energy.evses)
    draws: dict[str, Reading] = {}
    voltage = site.topology.tree.voltage_mv
    for id, charger in chargers.items():
        evse = site.topology.evses[id]
        if charger.lost:
            if id not in evses:
                value = safe(charger, site.outlets[id])
                ma = infeed(evse, value, voltage)
                evses[id] = EvseState(value=value, infeed_ma=ma, before_ma=ma, changed_ms=now_ms)
        elif (reading := drawn_by(evse, seen[id].status, voltage) if id in seen else None) is not None:
            draws[id] = reading
    return msgspec.structs.replace(state.energy, evses=evses), draws


def untouched(site: Site, now: Moment) -> SiteState:
    """The state of a simulated site that begins: nothing has flowed through it before `now`."""
    return SiteState() if site.steering is None else SiteState(steering=steering.untouched(site.steering, now))


def resumed(site: Site, state: SiteState, now: Moment) -> SiteState:
    """A stored state as a new process begins with it: what each was told last is younger than the rest."""
    evses = dict(state.energy.evses)
    voltage = site.topology.tree.voltage_mv
    for id, charger in state.chargers.items():
        evse, old = site.topology.evses.get(id), evses.get(id)
        if evse is None or old is None or charger.base is None or charger.base == old.value:
            continue
        ma = infeed(evse, charger.base, voltage)
        high = max(ma, old.infeed_ma)
        evses[id] = msgspec.structs.replace(
            old, value=charger.base, infeed_ma=ma, before_ma=high, ceiling_ma=high, followed=False, sure=False
        )
    evses = {id: each for id, each in evses.items() if id in site.topology.members}
    chargers = {id: each for id, each in state.chargers.items() if id in site.topology.evses}
    steered = state.steering if site.steering is None else steering.resumed(site.steering, state.steering, now)
    # What was learned of rotations stays; what was seen last says nothing of a change that we have not seen.
    rotations = {
        id: msgspec.structs.replace(each, base=None, last=None)
        for id, each in state.energy.rotations.items()
        if id in site.topology.evses
    }
    energy = msgspec.structs.replace(state.energy, evses=evses, rotations=rotations, moves={})
    return msgspec.structs.replace(state, energy=energy, chargers=chargers, steering=steered)


def _demand(site: Site, evse: Evse, status: EvseStatus) -> Demand | None:
    """What the car there wants; None where there is none, or nothing to be had."""
    out = site.outlets[evse.id]
    if not out.in_service or not _wants(status):
        return None
    phases: Any = min(status.phases or evse.phases, evse.phases)
    if evse.switching is not None:
        phases = evse.phases  # what it uses on three; `connected` says how many the EVSE gives it now
    energy = status.target_energy_wh
    if energy is not None and (charged := trusted(status.points, "session_wh")) is not None:
        energy = max(0, energy - charged)
    return Demand(
        evse=evse.id,
        phases=3 if evse.current == "DC" else phases,
        guaranteed=out.guaranteed,
        priority=out.priority,
        arrived_ms=status.arrived_ms or 0,
        soc=status.soc,
        energy_wh=energy,
        departure_ms=status.departure_ms,
        connected=status.phases if evse.switching is not None else None,
    )


def _wants(status: EvseStatus) -> bool:
    if status.ended or status.fault:
        return False
    if status.pilot is not None:
        return status.pilot in ("B", "C", "D")
    return bool(status.session) or (trusted(status.points, "power_mw") or 0) > 0
