"""Commissioning: find out on which phases an EVSE is by letting its car draw more and less, one EVSE after the other.

    for step in plan(topology):            # who, between which set-points, how often
        ...                                # low, wait, read the meter; high, wait, read it again: a `Pulse`; repeat
        verdict = judge(topology, step, pulses, noise_ma=2_000)

The others keep still meanwhile. A car that uses three conductors shows nothing here, and need not: its EVSE counts on
each phase. To learn about cars with one conductor a car with one conductor has to be plugged in, or the EVSE switched
to one phase.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import msgspec

from .model import Phases
from .rotation import which
from .scale import thousandth
from .topology import Topology

PULSES = 3
SETTLE_MS = 15_000
"""From a set-point until it is read: a charger and a car that take their time."""


class Step(msgspec.Struct, frozen=True):
    """One EVSE to be pulsed, by the meter of `node`. `low` and `high` are set-points in mA."""

    evse: str
    node: str
    low: int
    high: int
    wait_ms: int = SETTLE_MS
    pulses: int = PULSES

    @property
    def expected_ma(self) -> int:
        """By so much each phase that it is on changes."""
        return self.high - self.low


class Pulse(msgspec.Struct, frozen=True):
    """What was read: the meter at `low` and at `high`; the EVSE's own current then, where it says it."""

    low_ma: Phases
    high_ma: Phases
    own_low_ma: int | None = None
    own_high_ma: int | None = None


class Verdict(msgspec.Struct, frozen=True):
    """`phases`: 1, 2, 3 for L1, L2, L3 of the grid; empty: nothing could be found out.

    `confidence` in per mille: how many of the pulses, of no fewer than `PULSES`, say so while none says otherwise.
    `agrees` with what is written down, if anything is.
    """

    evse: str
    outcome: Literal["found", "three_phases", "nothing_moved", "unclear"]
    phases: tuple[int, ...] = ()
    confidence: int = 0
    agrees: bool | None = None
    words: str = ""


def plan(topology: Topology, *, everybody: bool = False) -> tuple[Step, ...]:
    """EVSEs without a rotation that have a meter above; `everybody`: also those that have one, to verify it."""
    steps: list[Step] = []
    for id, evse in sorted(topology.evses.items()):
        node = topology.meter_above[id]
        if node is None or evse.current == "DC" or (evse.rotation is not None and not everybody):
            continue
        low = -(-evse.minimum // evse.step) * evse.step
        high = min(evse.maximum, 16_000) // evse.step * evse.step
        if high > low:
            steps.append(Step(id, node, low, high))
    return tuple(steps)


def judge(topology: Topology, step: Step, pulses: Sequence[Pulse], *, used: int, noise_ma: int) -> Verdict:
    """What the pulses of one EVSE say, of a car with `used` conductors; side loads may do `noise_ma` meanwhile."""
    count = topology.count(topology.evses[step.evse], used)
    found: dict[int, int] = {}
    all_three = still = 0
    for pulse in pulses:
        change = step.expected_ma
        if pulse.own_low_ma is not None and pulse.own_high_ma is not None:
            change = pulse.own_high_ma - pulse.own_low_ma
        moves = [after - before for before, after in zip(pulse.low_ma, pulse.high_ma, strict=True)]
        if abs(change) <= 2 * noise_ma or all(abs(move) <= noise_ma for move in moves):
            still += 1
        elif all(abs(move - change) <= noise_ma for move in moves):
            all_three += 1
        elif count < 3 and (at := which(change, pulse.low_ma, pulse.high_ma, count, noise_ma)) is not None:
            found[at] = found.get(at, 0) + 1
    asked = max(len(pulses), PULSES)
    if len(found) == 1 and not all_three:
        (at,) = found
        phases = (at + 1,) if count == 1 else tuple(phase + 1 for phase in range(3) if phase != at)
        return _found(topology, step, phases, count, found[at], asked)
    if all_three and not found:
        words = f"all three phases move by {thousandth(step.expected_ma)} A: the car uses three conductors"
        return Verdict(step.evse, "three_phases", (1, 2, 3), 1_000 * all_three // asked, None, words)
    if still == len(pulses):
        words = "no phase of the meter moves enough: no car draws here, or it is behind another meter"
        return Verdict(step.evse, "nothing_moved", words=words)
    words = "the pulses contradict each other, or something else moved meanwhile: do it again when the site is quiet"
    return Verdict(step.evse, "unclear", words=words)


def _found(topology: Topology, step: Step, phases: tuple[int, ...], count: int, votes: int, asked: int) -> Verdict:
    evse = topology.evses[step.evse]
    named = " and ".join(f"L{phase}" for phase in phases)
    words = f"it is on {named}: {votes} of {asked} pulses say so and none says otherwise"
    agrees = None
    if evse.rotation is not None:
        written = tuple(phase + 1 for phase in topology.phases(evse, count))
        agrees = written == phases
        if not agrees:
            words += f"; written down is {' and '.join(f'L{phase}' for phase in written)} ({evse.rotation})"
    return Verdict(step.evse, "found", phases, 1_000 * votes // asked, agrees, words)
