"""What no single device can tell: clocks that jump, meters that show less than their EVSEs draw, two that fight.

Each keeps a small memory and says what is wrong in words. None of them raises a set-point: a meter in dispute counts as
lost, a fight and a clock are reported.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

import msgspec

from .behaviour import NOTICEABLE_MA
from .demand import Moment, Reading
from .model import Phases
from .scale import thousandth
from .topology import Topology

LASTS_MS = 10_000
"""So long a meter has to contradict its EVSEs: readings are not all of the same moment."""
STEP_MS = 2_000
"""What UTC may gain or lose against the steady clock from one tick to the next."""
GRACE_MS = 10_000
"""After a write, before what is read back has to be what was written."""
FIGHTS = 3
WITHIN_MS = 600_000


class Dispute(msgspec.Struct, frozen=True):
    """Something that two sources do not agree on."""

    code: Literal["clock_step", "contradicts_evses", "fight"]
    where: str
    words: str


def clock_step(before: Moment | None, now: Moment) -> Dispute | None:
    """Whether UTC has jumped since the last tick: windows and calendars that depend on it start anew."""
    if before is None:
        return None
    step = (now.utc_ms - before.utc_ms) - (now.tick_ms - before.tick_ms)
    if abs(step) <= STEP_MS:
        return None
    way = "forward" if step > 0 else "back"
    return Dispute("clock_step", "site", f"the clock has been set {way} by {abs(step)} ms")


class Contradiction(msgspec.Struct, frozen=True):
    """Of one metered node: since when it shows too little."""

    since_ms: int | None = None


class Drawn(msgspec.Struct, frozen=True):
    """A measured EVSE or load: how many conductors it uses, and the current on each."""

    member: str
    used: int
    reading: Reading


def contradicts(
    topology: Topology, node: str, reading: Reading, drawn: Iterable[Drawn], old: Contradiction
) -> tuple[Contradiction, Dispute | None]:
    """Whether a meter shows less, on some phase, than what is measured below it, beyond what can be fed in there.

    Only members count whose phases are known; each may be 5 % off, and the meter 1 A.
    """
    place = topology.places[node]
    least, off = [0, 0, 0], [NOTICEABLE_MA] * 3
    for each in drawn:
        member = topology.members[each.member]
        if place not in topology.above[member.node]:
            continue
        if member.rotation is None and topology.count(member, each.used) < 3:
            continue
        ma = max(each.reading.phases_ma)
        for phase in topology.phases(member, each.used):
            least[phase] += ma
            off[phase] += ma // 20
    feeds = _feeds(topology, place)
    for phase in range(3):
        if reading.phases_ma[phase] >= least[phase] - off[phase] - feeds[phase]:
            continue
        since = reading.at_ms if old.since_ms is None else old.since_ms
        if reading.at_ms - since < LASTS_MS:
            return Contradiction(since), None
        words = (
            f"L{phase + 1} of its meter shows {thousandth(reading.phases_ma[phase])} A, "
            f"but what is measured below draws {thousandth(least[phase])} A"
        )
        return Contradiction(since), Dispute("contradicts_evses", node, words)
    return Contradiction(), None


def _feeds(topology: Topology, place: int) -> Phases:
    total = [0, 0, 0]
    for resources in topology.resources:
        for resource in resources:
            if place in topology.above[resource.node]:
                for phase in range(3):
                    total[phase] += resource.feeds_ma[phase]
    return total[0], total[1], total[2]


class Fight(msgspec.Struct, frozen=True):
    """Of one set-point: when somebody else's value has been found in it, and which it is now."""

    found_ms: tuple[int, ...] = ()
    other: int | None = None
    written_ms: int = 0


def fights(
    where: str, written: int, written_ms: int, read: int, read_ms: int, near: int, old: Fight
) -> tuple[Fight, Dispute | None]:
    """Whether a set-point that is read back is not what was written, again and again, while nobody of ours wrote.

    `near`: what the device may round by. What is read within `GRACE_MS` of a write says nothing. A value of somebody
    else counts once until ours has been seen again or written anew.
    """
    if read_ms - written_ms < GRACE_MS:
        return old, None
    recent = tuple(at for at in old.found_ms if read_ms - at < WITHIN_MS)
    if abs(read - written) <= near:
        return Fight(recent, None, written_ms), _dispute(where, recent, old.other)
    if read != old.other or written_ms != old.written_ms:
        recent = (*recent, read_ms)[-FIGHTS:]
    return Fight(recent, read, written_ms), _dispute(where, recent, read, written)


def _dispute(where: str, found: tuple[int, ...], other: int | None, written: int | None = None) -> Dispute | None:
    if len(found) < FIGHTS:
        return None
    what = "" if other is None or written is None else f": it has {other} instead of {written}"
    words = f"somebody else writes its set-point, {len(found)} times in {found[-1] - found[0]} ms{what}"
    return Dispute("fight", where, words)
