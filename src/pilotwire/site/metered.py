"""Which readings of meters count, and what EVSEs draw by their own.

`domain.energy.quality` says what can be believed of a meter. What cannot is as good as not read: the last good reading
counts until its deadline, then what is written for the loss of the meter.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import msgspec

from pilotwire.domain.energy import Evse, Reading, quality
from pilotwire.domain.energy.scale import infeed
from pilotwire.domain.seen import Mark

from .compiled import Site
from .inputs import DeviceInput, TickInputs
from .ports import EvseStatus

TOGETHER_MS = 1_500
"""Readings of a meter and of chargers no further apart show the same moment."""


def figure(value: int, current: Literal["AC", "DC"]) -> str:
    """For people: `16 A`, `43.5 kW`."""
    if value < 0:
        return f"-{figure(-value, current)}"
    scale, unit = (1_000, "A") if current == "AC" else (1_000_000, "kW")
    whole, rest = divmod(value, scale)
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0") if rest else ""
    return f"{whole}{'.' + digits if digits else ''} {unit}"


def believed(
    site: Site,
    inputs: TickInputs,
    before: Mapping[str, Reading],
    remembered: Mapping[str, quality.Memory],
    marks: list[Mark],
) -> tuple[dict[str, Reading], dict[str, quality.Memory]]:
    """The last reading of each node that can be believed, whatever its age, and what is remembered of the meters.

    `domain.energy.quality` says what can be believed. What cannot is as good as not read: the last good one counts
    until its deadline, then what is written for the loss of the meter.
    """
    devices = {device.id: device for device in inputs.devices}
    good = {node: reading for node, reading in before.items() if node in site.meters}
    memories = {node: memory for node, memory in remembered.items() if node in site.meters}
    now = inputs.now.tick_ms
    for node, device in sorted(site.meters.items()):
        sample = _sample(devices.get(device))
        memory = memories.get(node, quality.Memory())
        if sample is not None and (memory.last is None or sample.at_ms != memory.last.at_ms):
            judged = quality.judge(sample, site.bounds[node], memory, inputs.now)
            memories[node] = judged.memory
            less = "" if judged.currents is None else _less_than_cars(site, inputs, node, judged.currents, sample.at_ms)
            if less:
                memories[node] = msgspec.structs.replace(judged.memory, good=memory.good)
                marks.append(Mark(node, "meter_suspect", f"meter {device} is not believed: {less}"))
            elif judged.currents is not None:
                good[node] = Reading(phases_ma=judged.currents, at_ms=min(sample.at_ms, now))
            else:
                words = "; ".join(dict.fromkeys(mark.words for mark in judged.marks))
                marks.append(Mark(node, "meter_suspect", f"meter {device} is not believed: {words or 'no currents'}"))
        elif sample is not None and memory.good is not None and memory.last != memory.good:
            marks.append(Mark(node, "meter_suspect", f"meter {device} is not believed"))
        last = good.get(node)
        if last is None or now - last.at_ms > site.policy.stale_ms:
            place = site.topology.places[node]
            side = site.topology.tree.nodes[place].side_lost_ma or (0, 0, 0)
            amps = " / ".join(figure(ma, "AC") for ma in side)
            marks.append(Mark(node, "meter_lost", f"meter {device} is lost: {amps} are assumed beside the EVSEs"))
    return good, memories


def _less_than_cars(site: Site, inputs: TickInputs, node: str, shown: tuple[int, int, int], at_ms: int) -> str:
    """Whether a meter shows less than what our own cars draw below it at the same moment, and nothing feeds in."""
    own = [0, 0, 0]
    place = site.topology.places[node]
    for entry in inputs.evses:
        evse = site.topology.evses.get(entry.id)
        if evse is None or place not in site.topology.above[evse.node] or not entry.status.online:
            continue
        drawn = drawn_by(evse, entry.status, site.topology.tree.voltage_mv)
        if drawn is None or abs(drawn.at_ms - at_ms) > TOGETHER_MS:
            continue
        used = sum(ma > 0 for ma in drawn.phases_ma)
        if not used or (evse.rotation is None and used < 3):
            continue  # nobody knows on which phase it is
        for phase in site.topology.phases(evse, used):
            own[phase] += max(drawn.phases_ma)
    for phase, feeds in enumerate(site.feeds[node]):
        # Two meters never agree wholly, and cars move between two readings.
        if shown[phase] + feeds < own[phase] * 85 // 100 - 2_000:
            return (
                f"L{phase + 1} shows {figure(shown[phase], 'AC')} while our cars draw {figure(own[phase], 'AC')} "
                "there; if PV or a battery feeds in below it, say so with feeds_a"
            )
    return ""


def _sample(device: DeviceInput | None) -> quality.Sample | None:
    """All that a meter says that its driver believes, as of the currents' time; None without all three of them."""
    if device is None:
        return None
    at: list[int] = []
    for name in quality.CURRENTS:
        value = device.points.get(name)
        if value is None or value.quality != "good":
            return None
        at.append(value.at_ms)
    points = {name: value.value for name, value in device.points.items() if value.quality == "good"}
    energy = device.points.get("energy_import_wh")
    return quality.Sample(points=points, at_ms=min(at), energy_at_ms=None if energy is None else energy.at_ms)


def drawn_by(evse: Evse, status: EvseStatus, voltage_mv: int) -> Reading | None:
    """What it draws from the grid, of what is good among its measured values."""
    points = status.points
    if evse.current == "DC":
        power = points.get("power_mw")
        if power is None or power.quality != "good":
            return None
        ma = infeed(evse, max(0, power.value), voltage_mv)
        return Reading((ma, ma, ma), power.at_ms)
    found = [value for phase in (1, 2, 3) if (value := points.get(f"current_l{phase}_ma")) is not None]
    if found and all(value.quality == "good" for value in found):
        ma = [max(0, value.value) for value in found] + [0, 0]
        return Reading((ma[0], ma[1], ma[2]), min(value.at_ms for value in found))
    value = points.get("current_ma")
    if not found and value is not None and value.quality == "good":
        drawn = max(0, value.value)
        return Reading((drawn, drawn, drawn), value.at_ms)
    return None
