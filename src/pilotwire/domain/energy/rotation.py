"""On which phase of the grid an EVSE is whose rotation nobody has written down: learned from what its car does.

When its current changes by much and no other member below the same meter moves, the meter above shows the same change
on the phases that it is on, and nearly none on the others. Within `noise_ma`, by which the side loads of a phase may
change meanwhile, that is never mistaken: a change counts only if it is more than twice that, and only if every phase
shows either all of it or none of it. Three such changes, `APART_MS` apart, have to agree; one that disagrees takes all
back. An EVSE whose own currents are known in the grid's order says it by itself.

The bounds: `Policy.noise_ma` for the side loads of a phase within `WINDOW_MS`, and no other member below the meter that
changes so slowly (by less than `STEADY_MA` from tick to tick) that it goes unseen and comes to more than that together.

Until then, and after, whatever is not known counts on each phase. A member below the meter that nobody measures may
move at any time: while it may draw, nothing is learned there.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from .demand import Moment, Policy, Signals
from .model import Evse, Member, Phases, Rotation
from .state import Evidence, EvseState, Moves, Seen
from .topology import Topology

AGREE = 3
APART_MS = 30_000
WINDOW_MS = 20_000
"""From before a change until it is over: a car's ramp."""
STEADY_MA = 300
"""By so little a current changes from one sample to the next when nothing changes."""
TOGETHER_MS = 1_500
ALONE_MA, NOTHING_MA = 2_000, 500
_STARTS: tuple[Rotation, ...] = ("RST", "STR", "TRS")
_ENDS: tuple[Rotation, ...] = ("STR", "TRS", "RST")
"""A rotation whose last phase is L1, L2, L3."""

Cars = Mapping[str, tuple[Member, int, EvseState]]


def wired(topology: Topology, evse: Member, used: int, evidence: Mapping[str, Evidence]) -> Member:
    """`evse` as it is known to be for a car that uses so many conductors: with a rotation that is true for these."""
    if evse.rotation is not None or not isinstance(evse, Evse) or evse.current == "DC":
        return evse
    known = evidence.get(evse.id)
    count = topology.count(evse, used)
    if known is None or count == 3:
        return evse
    at = known.learned(count)
    if at is None:
        return evse
    return topology.turned(evse, _STARTS[at] if count == 1 else _ENDS[at])


def learn(
    topology: Topology,
    policy: Policy,
    signals: Signals,
    cars: Cars,
    before: Mapping[str, EvseState],
    evidence: Mapping[str, Evidence],
    moves: Mapping[str, Moves],
    now: Moment,
) -> tuple[Mapping[str, Evidence], Mapping[str, Moves]]:
    """What the readings of this tick add. `cars` as of now, `before` their states before these readings."""
    if not topology.unknown:
        return evidence, moves
    moved = _moved(topology, cars, before, moves, now)
    found: dict[str, Evidence] = dict(evidence)
    for id in topology.unknown:
        evse, used, state = cars[id]
        old = found.get(id, _NOTHING)
        new = _own(topology, policy, signals, id, evse, used, old, now)
        if new is old:
            new = _by_meter(topology, policy, signals, id, used, state, old, moved, now)
        if new is not old:
            found[id] = new
    return found, moved


_NOTHING = Evidence()


def _moved(
    topology: Topology, cars: Cars, before: Mapping[str, EvseState], moves: Mapping[str, Moves], now: Moment
) -> dict[str, Moves]:
    """Who has moved lately below each metered node above somebody who is not known."""
    found = dict(moves)
    for id, nodes in topology.watched:
        state = cars[id][2]
        old = before.get(id)
        if state.drawn_ma is None:
            may_draw = state.infeed_ma or state.before_ma or state.lost_ma
            if not may_draw and state.settled(now.tick_ms):
                continue
        elif old is not None and old.drawn_ma is not None and abs(state.drawn_ma - old.drawn_ma) <= STEADY_MA:
            continue
        for node in nodes:
            found[node] = found.get(node, Moves()).add(id, now.tick_ms)
    return found


def _own(
    topology: Topology, policy: Policy, signals: Signals, id: str, evse: Member, used: int, old: Evidence, now: Moment
) -> Evidence:
    """Its own currents, where they are in the grid's order: one flows, or two, and the others do not."""
    reading, count = signals.draws.get(id), topology.count(evse, used)
    if reading is None or not reading.grid or count == 3 or not 0 <= now.tick_ms - reading.at_ms <= policy.stale_ms:
        return old
    on = [phase for phase, ma in enumerate(reading.phases_ma) if ma >= ALONE_MA]
    off = [phase for phase, ma in enumerate(reading.phases_ma) if ma <= NOTHING_MA]
    if len(on) != count or len(off) != 3 - count:
        return old
    return old.vote(count, on[0] if count == 1 else off[0], reading.at_ms, APART_MS, AGREE)


def _by_meter(
    topology: Topology,
    policy: Policy,
    signals: Signals,
    id: str,
    used: int,
    state: EvseState,
    old: Evidence,
    moved: Mapping[str, Moves],
    now: Moment,
) -> Evidence:
    node, count = topology.meter_above[id], topology.count(topology.members[id], used)
    reading = None if node is None else signals.meters.get(node)
    if node is None or reading is None or count == 3 or state.drawn_ma is None:
        return old if old.base is None else msgspec.structs.replace(old, base=None, last=None)
    if not 0 <= now.tick_ms - reading.at_ms <= policy.stale_ms or abs(reading.at_ms - state.drawn_ms) > TOGETHER_MS:
        return old
    here = Seen(reading.at_ms, state.drawn_ma, reading.phases_ma, count)
    last, base = old.last, old.base
    if last is not None and last.at_ms == here.at_ms:
        return old
    steady = last is not None and abs(here.ma - last.ma) <= STEADY_MA
    if not steady:
        return msgspec.structs.replace(old, last=here)
    if base is None or base.count != count or here.at_ms - base.at_ms > WINDOW_MS:
        return msgspec.structs.replace(old, last=here, base=here)
    change = here.ma - base.ma
    if abs(change) <= 2 * policy.noise_ma + STEADY_MA:
        return msgspec.structs.replace(old, last=here, base=here)
    new = msgspec.structs.replace(old, last=here, base=here)
    # The change of whoever else moved since is no noise within bounds.
    if moved.get(node, Moves()).by_others(id) >= base.at_ms:
        return new
    at = which(change, base.phases_ma, here.phases_ma, count, policy.noise_ma)
    return new if at is None else new.vote(count, at, here.at_ms, APART_MS, AGREE)


def which(change: int, before: Phases, after: Phases, count: int, noise_ma: int) -> int | None:
    """The phase that a car with one conductor is on, or the one that a car with two is not on.

    None where some phase shows neither all of the change nor none of it, or too many or too few show it.
    """
    on: list[int] = []
    off: list[int] = []
    for phase in range(3):
        seen = after[phase] - before[phase]
        if abs(seen - change) <= noise_ma:
            on.append(phase)
        elif abs(seen) <= noise_ma:
            off.append(phase)
    if len(on) != count or len(off) != 3 - count or abs(change) <= 2 * noise_ma:
        return None
    return on[0] if count == 1 else off[0]
