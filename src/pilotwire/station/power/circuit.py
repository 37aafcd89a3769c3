"""The circuit of one output: modules with voltage and current limits, a cable with capacitance, a vehicle's battery."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Source(NamedTuple):
    """A module's regulation: it keeps `mv`, and gives up to `ma`. Its diode lets nothing in."""

    mv: int
    ma: int


class Battery(NamedTuple):
    """A vehicle behind its closed contactors."""

    mv: int
    """Without current."""
    milliohm: int = 50


def solve(sources: Sequence[Source], battery: Battery | None, mv: int, passed: int) -> tuple[int, list[int]]:
    """(voltage, current of each source) when `mv` was the voltage `passed` ms ago. Integers; the sum is exact.

    Without a battery the voltage follows the highest source, and dies away over its bleeder with 100 ms when there is
    none. With one, current flows until the voltage across the battery's resistance equals what the sources keep.
    """
    flows = [0] * len(sources)
    if battery is None:
        top = max((source.mv for source in sources if source.ma > 0), default=0)
        if top >= mv:
            # A microfarad of cable at an ampere takes less than a millisecond for a volt.
            return top, flows
        return max(top, mv - mv * min(passed, 100) // 100), flows
    order = sorted((index for index, source in enumerate(sources) if source.ma > 0), key=lambda i: -sources[i].mv)
    total = 0
    at = 0
    while at < len(order):
        level = sources[order[at]].mv
        if battery.mv + battery.milliohm * total // 1000 >= level:
            break  # the ones before hold the voltage above what the rest keeps
        same = [index for index in order[at:] if sources[index].mv == level]
        most = sum(sources[index].ma for index in same)
        if battery.mv + battery.milliohm * (total + most) // 1000 >= level:
            # These keep the voltage: they give what is missing, in proportion.
            missing = max(0, (level - battery.mv) * 1000 // max(1, battery.milliohm) - total)
            for index in same:
                flows[index] = missing * sources[index].ma // most
            total += sum(flows[index] for index in same)
            break
        for index in same:
            flows[index] = sources[index].ma
        total += most
        at += len(same)
    return battery.mv + battery.milliohm * total // 1000, flows
