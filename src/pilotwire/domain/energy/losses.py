"""Which written state is in force when something is lost: as data, and the function that puts it in force.

    meter       its last reading counts until `meter_ms`; then `side_lost_ma` of its node is taken for the side load
    charger     what it may be drawing is kept free (see `lost`); it gets no share
    resource    what a battery or a generator drew counts until `meter_ms`; then `lost_ma`
    broker      what came over it ends by its own expiry, at the latest after `broker_ms`; then the fallback limits
    cloud       its last word counts until it ends by itself, at the latest for `cloud_ms`; then the fallback limits
    ourselves   nobody commands: each charger falls back when its watchdog fires. `failsafe.check` has made sure that
                this is not too much. When we are back all chargers are lost until each has been heard

Nothing of this waits for anybody: `substitute` is called in every tick.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Literal

import msgspec

from .demand import Lost, Moment, Reading, Signals
from .model import Limit
from .scale import thousandth
from .topology import Topology

Loss = Literal["meter", "charger", "resource", "broker", "cloud", "ourselves"]


class Written(msgspec.Struct, frozen=True):
    """The state that a loss leads to: what counts meanwhile, what is done, and how it ends."""

    counts: str
    done: str
    ends: str


STATES: Mapping[Loss, Written] = {
    "meter": Written(
        counts="side_lost_ma of its node, as a side load on each phase",
        done="set-points are lowered in the same tick to what fits beside that",
        ends="with the first reading that is not older than meter_ms",
    ),
    "charger": Written(
        counts="what it was told while that may be in force, its fail-safe value once its watchdog may have fired, its "
        "rating if it has neither",
        done="it has no share; it is told what it had, but no more than its fail-safe value",
        ends="when it is heard; until it has had time to follow, what was kept free stays so",
    ),
    "resource": Written(
        counts="lost_ma, where no meter below the limit sees it",
        done="nothing is told to it here",
        ends="with the first reading that is not older than meter_ms",
    ),
    "broker": Written(
        counts="the fallback limits of what it carries; local limits as before",
        done="limits that came over it are dropped when they expire, at the latest after broker_ms",
        ends="with the first word over it",
    ),
    "cloud": Written(
        counts="its last limits until they end by themselves or cloud_ms are over, then the fallback limits",
        done="charging goes on; local authorisation and store-and-forward take over (not here)",
        ends="with its first word",
    ),
    "ourselves": Written(
        counts="nothing: no set-point is written",
        done="each charger falls back by itself to what failsafe.check has added up",
        ends="when we run again: every charger is lost until it has been heard, every limit is as its source says anew",
    ),
}


class Deadlines(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """After how long without a word each counts as lost, in ms of the tick's clock."""

    meter_ms: int = 11_000
    charger_ms: int = 15_000
    broker_ms: int = 60_000
    cloud_ms: int = 900_000


class Remote(msgspec.Struct, frozen=True):
    """Limits from outside by node, and when their sender was heard last (of the tick's clock; None: never)."""

    over: Literal["broker", "cloud"]
    heard_ms: int | None
    limits: Mapping[str, tuple[Limit, ...]]
    fallback: Mapping[str, tuple[Limit, ...]]
    """What is in force instead while it is lost; empty: nothing, which the local limits have to bear."""


class InForce(msgspec.Struct, frozen=True):
    """A loss, of what, and since when (None: never heard)."""

    loss: Loss
    id: str
    since_ms: int | None
    words: str


class Substitution(msgspec.Struct, frozen=True):
    """`signals` for `allocate`, and which written states are in force."""

    signals: Signals
    in_force: tuple[InForce, ...]


_NOBODY: Mapping[str, int | None] = {}


def substitute(
    topology: Topology,
    signals: Signals,
    deadlines: Deadlines,
    now: Moment,
    *,
    heard: Mapping[str, int | None] = _NOBODY,
    remotes: tuple[Remote, ...] = (),
) -> Substitution:
    """Puts in force what is written for whatever is lost now. Pure.

    `heard` by EVSE: when it was last certain to have taken a command or a keep-alive (None: never; an EVSE that is not
    named is not looked at, whoever knows better has put it into `signals.lost` himself). A reading of the future is
    none: whoever took it has another clock.
    """
    found: list[InForce] = []
    meters = {id: reading for id, reading in signals.meters.items() if _fresh(reading, deadlines.meter_ms, now)}
    draws = {id: reading for id, reading in signals.draws.items() if _fresh(reading, deadlines.meter_ms, now)}
    for node in topology.tree.nodes:
        if node.metered and node.id not in meters:
            reading = signals.meters.get(node.id)
            taken = " / ".join(f"{thousandth(ma)} A" for ma in node.side_lost_ma or (0, 0, 0))
            since = None if reading is None else reading.at_ms
            found.append(InForce("meter", node.id, since, f"its meter is lost: {taken} are taken for its side load"))
    for resource in topology.tree.resources:
        if resource.id not in draws:
            reading = signals.draws.get(resource.id)
            since = None if reading is None else reading.at_ms
            found.append(InForce("resource", resource.id, since, "nothing says what it draws: lost_ma counts"))
    lost = dict(signals.lost)
    for id, at in sorted(heard.items()):
        if id not in lost and (at is None or now.tick_ms - at > deadlines.charger_ms):
            lost[id] = Lost(since_ms=at)
    for id, each in sorted(lost.items()):
        found.append(InForce("charger", id, each.since_ms, "it is not heard: what it may be drawing is kept free"))
    limits = {node: list(each) for node, each in signals.limits.items()}
    for remote in remotes:
        for node, each in _limits_of(remote, deadlines, now, found):
            limits.setdefault(node, []).extend(each)
    given = {node: tuple(each) for node, each in sorted(limits.items())}
    return Substitution(
        msgspec.structs.replace(signals, meters=meters, draws=draws, lost=lost, limits=given), tuple(found)
    )


def _fresh(reading: Reading, most_ms: int, now: Moment) -> bool:
    return 0 <= now.tick_ms - reading.at_ms <= most_ms


def _limits_of(
    remote: Remote, deadlines: Deadlines, now: Moment, found: list[InForce]
) -> Iterator[tuple[str, tuple[Limit, ...]]]:
    most = deadlines.broker_ms if remote.over == "broker" else deadlines.cloud_ms
    if remote.heard_ms is not None and now.tick_ms - remote.heard_ms <= most:
        yield from sorted(remote.limits.items())
        return
    then = "its fallback limits are in force" if remote.fallback else "it has no fallback limits: the local ones hold"
    found.append(InForce(remote.over, remote.over, remote.heard_ms, f"not a word for {most} ms: {then}"))
    yield from sorted(remote.fallback.items())
