"""Pulses through a running loop: one EVSE after the other gets less and more, all others pause, and meters are read.

What is ordered goes in as `External` orders, which can lower what allocation gives and nothing else: a pulse never
exceeds a limit, however wrong the draft is. The loop that this runs in counts each EVSE on each phase (`bench`), so
that a rotation that is written down wrongly does no harm while it is being found out. Whoever stops in the middle, or
is stopped, takes all orders back; the bench then tells everybody his fail-safe value.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import msgspec

from pilotwire.domain.commissioning import Verdict
from pilotwire.domain.energy import Reading
from pilotwire.domain.energy.model import Phases, Rotation
from pilotwire.domain.energy.pulse import Pulse, Step, judge
from pilotwire.domain.energy.pulse import Verdict as Judged
from pilotwire.domain.energy.scale import thousandth
from pilotwire.domain.energy.topology import Topology
from pilotwire.domain.steering import Ordered
from pilotwire.site.inputs import EvseInput
from pilotwire.site.loop import Loop
from pilotwire.site.ports import trusted

from .course import Course

LOOK_MS = 200
READINGS = 3
"""Of a meter at each level; the middle one of each phase counts."""
FOLLOW_MS = 60_000
"""From an order until the charger has confirmed it: pauses, ramps, other limits."""
CAR_MS = 20_000
"""More than its time to settle that a car gets to do what it was told."""
SOURCE = "commissioning"
_STARTS: Mapping[int, Rotation] = {1: "RST", 2: "STR", 3: "TRS"}
_MISSES: Mapping[int, Rotation] = {1: "STR", 2: "TRS", 3: "RST"}
"""A rotation whose last conductor is on L1, L2, L3."""

Give = Callable[[Mapping[str, Ordered]], None]
Progress = Callable[[int, int, str], None]


def by_external(loop: Loop) -> Give:
    """Orders into the next tick of a loop that is ours alone."""

    def give(orders: Mapping[str, Ordered]) -> None:
        loop.external = msgspec.structs.replace(loop.external, evses=dict(orders))
        loop.nudge()

    return give


class Broken(Exception):
    """It cannot go on with this EVSE."""

    def __init__(self, outcome: str, words: str, todo: str) -> None:
        super().__init__(words)
        self.outcome, self.words, self.todo = outcome, words, todo


class Level(msgspec.Struct, frozen=True):
    """What stood still at one set-point."""

    value: int
    meters: Mapping[str, Phases]
    own: Phases | None


class Detection:
    """Over one loop. `written`: the rotations of the draft, by EVSE."""

    def __init__(
        self,
        loop: Loop,
        give: Give,
        steps: Sequence[Step],
        written: Mapping[str, Rotation],
        *,
        now: Callable[[], int],
        utc: Callable[[], int],
        progress: Progress,
        heard: Callable[[Verdict], None],
    ) -> None:
        self._loop, self._give, self._steps, self._written = loop, give, steps, written
        self._now, self._utc, self._progress, self._heard = now, utc, progress, heard
        self._topology: Topology = loop.site.topology

    def course(self) -> Course[tuple[Verdict, ...]]:
        """All steps in turn; each verdict is told as it is there. All orders are taken back at the end, however it
        comes."""
        found: list[Verdict] = []
        try:
            for at, step in enumerate(self._steps):
                verdict = yield from self._one(step, at)
                found.append(msgspec.structs.replace(verdict, at_ms=self._utc()))
                self._heard(found[-1])
        finally:
            self._give({})
        return tuple(found)

    # --- one EVSE -----------------------------------------------------------------------------------------------

    def _one(self, step: Step, at: int) -> Course[Verdict]:
        levels: list[Level] = []
        try:
            yield from self._ready(step, at)
            for number in range(step.pulses):
                for name, value in (("less", step.low), ("more", step.high)):
                    words = f"{step.evse}: pulse {number + 1} of {step.pulses}, {name} ({thousandth(value)} A)"
                    self._progress(at, len(self._steps), words)
                    levels.append((yield from self._level(step, value)))
        except Broken as broken:
            return _broken(step.evse, broken)
        finally:
            self._give({})
        return self._verdict(step, levels)

    def _ready(self, step: Step, at: int) -> Course[None]:
        """The loop has begun, the charger is there with a car, and its meter is read."""
        self._progress(at, len(self._steps), f"{step.evse}: is a car there, and is the meter read?")
        until, broken = self._now() + 30_000, None
        while self._now() < until:
            try:
                self._check(step)
                return
            except Broken as error:
                broken = error
            yield LOOK_MS
        assert broken is not None
        raise broken

    def _check(self, step: Step) -> EvseInput:
        """Raises Broken as soon as something that a pulse rests on is gone."""
        inputs = self._loop.inputs
        seen = next((each for each in inputs.evses if each.id == step.evse), None) if inputs is not None else None
        if seen is None or not seen.status.online:
            raise Broken("offline", "the charger is not heard", "Look after its power, network and unit, then repeat")
        if not connected(seen):
            raise Broken("no_car", "no car is plugged in", "Plug a car in that may charge, then repeat")
        if self._reading(step.node) is None:
            raise Broken("meter_lost", f"the meter of {step.node} is not read", "Look after that meter, then repeat")
        return seen

    def _reading(self, node: str) -> Reading | None:
        decision = self._loop.decision
        reading = None if decision is None else decision.state.meters.get(node)
        if reading is None or self._now() - reading.at_ms > self._loop.site.policy.stale_ms:
            return None
        return reading

    def _level(self, step: Step, value: int) -> Course[Level]:
        """Bring it there, wait until the car has followed, read."""
        self._give(self._orders(step, value))
        try:
            given = yield from self._confirmed(step, value)
            yield from self._settled(step, given)
            return (yield from self._read(step, given))
        except Broken as broken:
            if broken.outcome == "no_car":
                raise Broken(
                    "car_left", "the car was unplugged, or ended charging, during a pulse",
                    "Plug a car in that stays, then repeat",
                ) from None  # fmt: skip
            raise

    def _orders(self, step: Step, value: int) -> dict[str, Ordered]:
        evse = self._topology.evses[step.evse]
        one: Literal[1] | None = 1 if evse.switching is not None else None
        orders = {id: Ordered(source=SOURCE, pause=True) for id in self._topology.evses if id != step.evse}
        orders[step.evse] = Ordered(source=SOURCE, maximum_ma=value, phases=one)
        return orders

    def _confirmed(self, step: Step, value: int) -> Course[int]:
        """Until it has confirmed `value`, or the less that its limits leave and that does not change any more."""
        begun = same = self._now()
        last: int | None = None
        while True:
            seen = self._check(step)
            decision = self._loop.decision
            assert decision is not None
            point = next(each for each in decision.set_points if each.evse == step.evse)
            stands = seen.link.confirmed == point.value and seen.link.open is None
            if stands and point.value == value:
                return value
            if point.value != last or not stands:
                last, same = point.value, self._now()
            waited, still = self._now() - begun, self._now() - same
            steady = stands and still >= step.wait_ms and point.value == point.target
            if steady and point.value - step.low > 2 * self._loop.site.policy.noise_ma:
                return point.value
            if waited >= FOLLOW_MS and point.value < value and seen.link.confirmed_ms > begun:
                reason = decision.reasons.get(step.evse)
                why = "" if reason is None else f": {reason.words}"
                raise Broken(
                    "no_room",
                    f"it gets {thousandth(point.value)} A, too little for a pulse{why}",
                    "Repeat when the building takes less, or look at the limits above it",
                )
            if waited >= FOLLOW_MS:
                raise Broken(
                    "not_following",
                    f"the charger does not confirm {thousandth(point.value)} A",
                    "Look whether somebody else commands it, and whether the device file is its own",
                )
            yield LOOK_MS

    def _settled(self, step: Step, value: int) -> Course[None]:
        begun = self._now()
        while True:
            seen = self._check(step)
            waited = self._now() - begun
            own = own_currents(seen, begun)
            above = own is not None and max(own) > value + self._loop.site.policy.noise_ma
            if waited >= step.wait_ms and not above:
                return
            if waited >= step.wait_ms + CAR_MS:
                assert own is not None
                raise Broken(
                    "not_following",
                    f"it draws {thousandth(max(own))} A though it was told {thousandth(value)} A",
                    "Look whether somebody else commands it, and whether the device file is its own",
                )
            yield LOOK_MS

    def _read(self, step: Step, value: int) -> Course[Level]:
        """Some readings of every meter that there is, from now on; the middle one of each phase."""
        begun = self._now()
        rows: dict[str, dict[int, Phases]] = {node: {} for node in self._loop.site.meters}
        own: Phases | None = None
        patience = self._loop.site.policy.stale_ms + READINGS * 2_000
        while len(rows[step.node]) < READINGS:
            seen = self._check(step)
            own = own_currents(seen, begun) or own
            for node, found in rows.items():
                reading = self._reading(node)
                if reading is not None and reading.at_ms >= begun:
                    found[reading.at_ms] = reading.phases_ma
            if self._now() - begun > patience:
                raise Broken(
                    "meter_lost", f"the meter of {step.node} says nothing new", "Look after that meter, then repeat"
                )
            yield LOOK_MS
        return Level(value, {node: _middle(list(found.values())) for node, found in rows.items() if found}, own)

    # --- what it means ------------------------------------------------------------------------------------------

    def _verdict(self, step: Step, levels: Sequence[Level]) -> Verdict:
        pairs = list(zip(levels[::2], levels[1::2], strict=True))
        nodes = {node for level in levels for node in level.meters if all(node in each.meters for each in levels)}
        judged = {node: self._judge(step, node, pairs) for node in sorted(nodes)}
        here = judged.get(step.node, Judged(step.evse, "nothing_moved"))
        moved = [node for node, one in judged.items() if one.outcome in ("found", "three_phases")]
        lowest = max(moved, key=lambda node: (len(self._topology.above[node]), node == step.node), default="")
        verdict = judged[lowest] if lowest else here
        elsewhere = bool(lowest) and lowest != step.node
        shown = Verdict(
            evse=step.evse, outcome=verdict.outcome, phases=verdict.phases, confidence=verdict.confidence,
            node=lowest, elsewhere=elsewhere, words=verdict.words,
        )  # fmt: skip
        shown = self._compared(shown)
        if elsewhere:
            return msgspec.structs.replace(
                shown,
                words=f"{shown.words}; its pulses show at the meter of {lowest}, and in the draft it is below "
                f"{step.node}",
                todo=f"Put {step.evse} below {lowest} in the draft, or look which meter is where; then repeat",
            )
        if shown.outcome == "nothing_moved":
            return msgspec.structs.replace(
                shown, todo="Look whether a car draws there, and whether the meter above it is the right one"
            )
        if shown.outcome == "three_phases":
            return msgspec.structs.replace(
                shown,
                todo="To learn its rotation plug a car in that charges on one phase; until then it counts on each",
            )
        if shown.outcome == "unclear":
            return msgspec.structs.replace(shown, todo="Repeat it when the building is quiet")
        return shown

    def _judge(self, step: Step, node: str, pairs: Sequence[tuple[Level, Level]]) -> Judged:
        """By the meter of one node, for the number of conductors that the car seems to use."""
        pulses: list[Pulse] = []
        used: set[int] = set()
        for low, high in pairs:
            own_low = own_high = None
            if low.own is not None and high.own is not None:
                own_low, own_high = max(low.own), max(high.own)
                used.add(sum(ma > 1_000 for ma in high.own))
            pulses.append(Pulse(low.meters[node], high.meters[node], own_low, own_high))
        given = msgspec.structs.replace(
            step, node=node, low=max(low.value for low, _ in pairs), high=min(high.value for _, high in pairs)
        )
        noise = self._loop.site.policy.noise_ma
        counts = sorted(used - {0}) if len(used) == 1 and used != {0} else [1, 2]
        said = [judge(self._topology, given, pulses, used=count, noise_ma=noise) for count in counts]
        return next((one for one in said if one.outcome == "found"), said[0])

    def _compared(self, verdict: Verdict) -> Verdict:
        if verdict.outcome != "found":
            return verdict
        missing = ({1, 2, 3} - set(verdict.phases)).pop() if len(verdict.phases) == 2 else 0
        rotation = _MISSES[missing] if missing else _STARTS[verdict.phases[0]]
        written = self._written.get(verdict.evse)
        if written is None:
            return msgspec.structs.replace(verdict, rotation=rotation)
        turned = self._topology.turned(self._topology.evses[verdict.evse], written)
        there = tuple(phase + 1 for phase in self._topology.phases(turned, len(verdict.phases)))
        if there == verdict.phases:
            return msgspec.structs.replace(verdict, rotation=written, agrees=True)
        named = " and ".join(f"L{phase}" for phase in there)
        return msgspec.structs.replace(
            verdict,
            rotation=rotation,
            agrees=False,
            words=f"{verdict.words}; written down is {named} ({written})",
            todo=f"Accept {rotation}, or look at the wiring: what is written down is not what is there",
        )


def _broken(evse: str, broken: Broken) -> Verdict:
    return msgspec.convert(
        {"evse": evse, "outcome": broken.outcome, "words": broken.words, "todo": broken.todo}, Verdict
    )


def connected(seen: EvseInput) -> bool:
    """Whether a car is there that may charge."""
    status = seen.status
    if status.ended:
        return False
    if status.pilot is not None:
        return status.pilot in ("B", "C", "D")
    return bool(status.session) or (trusted(status.points, "power_mw") or 0) > 0


def own_currents(seen: EvseInput, since_ms: int) -> Phases | None:
    """What the EVSE itself says of its three conductors, if it was said since then."""
    found = [seen.status.points.get(f"current_l{phase}_ma") for phase in (1, 2, 3)]
    good = [value.value for value in found if value is not None and value.quality == "good" and value.at_ms >= since_ms]
    return (good[0], good[1], good[2]) if len(good) == 3 else None


def _middle(rows: Sequence[Phases]) -> Phases:
    l1, l2, l3 = (sorted(row[phase] for row in rows)[len(rows) // 2] for phase in range(3))
    return l1, l2, l3
