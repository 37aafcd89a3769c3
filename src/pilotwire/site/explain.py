"""Why an EVSE got what it got, in words: of a decision that has just been made, or of one that was made again."""

from __future__ import annotations

from .compiled import Site
from .decide import Decision, figure
from .entered import wants
from .inputs import TickInputs


def explain(site: Site, inputs: TickInputs, decision: Decision, evse: str) -> list[str]:
    """A few sentences, the answer first. Raises LookupError for an EVSE that is not in the configuration."""
    known = site.topology.evses.get(evse)
    if known is None:
        raise LookupError(f"there is no EVSE {evse}; there are {', '.join(sorted(site.topology.evses))}")
    said: list[str] = []
    point = next(point for point in decision.set_points if point.evse == evse)
    got = "it is paused" if not point.value else f"it may give {figure(point.value, known.current)}"
    if point.phases is not None:
        got += f" on {point.phases} phase" + ("s" if point.phases > 1 else "")
    if point.target != point.value:
        got += f", on the way to its share of {figure(point.target, known.current)}"
    said.append(f"{evse}: {got}")
    reason = decision.reasons.get(evse)
    if reason is not None:
        said.append(f"because {reason.words}")
    said += [f"{mark.where} {mark.words}" for mark in decision.marks if mark.where == evse]
    said += [each.words for each in decision.steered if each.subject == evse]
    seen = next((entry for entry in inputs.evses if entry.id == evse), None)
    if seen is not None and seen.status.online:
        status = seen.status
        drawn = [status.points.get(f"current_l{phase}_ma") for phase in (1, 2, 3)]
        amps = " / ".join(figure(value.value, "AC") for value in drawn if value is not None)
        what = {"A": "no car", "B": "a car that does not charge", "C": "a car that charges", "D": "a car that charges"}
        there = what.get(status.pilot or "", "it does not say whether a car is there")
        said.append(f"the charger says: {there}{', drawing ' + amps if amps else ''}")
        said += _wants(inputs, evse)
        if seen.link.open is not None:
            late = inputs.now.tick_ms - seen.link.open_ms
            said.append(f"a command of {late} ms ago is not confirmed yet")
    said += [
        f"above it, {node.id} {_flows(site, decision, node.id, inputs)}"
        for place in site.topology.above[known.node]
        if (node := site.topology.tree.nodes[place])
    ]
    said += [each.words for each in decision.steered if each.subject not in site.topology.evses]
    said += [f"{mark.where}: {mark.words}" for mark in decision.marks if mark.where not in site.topology.evses]
    return said


def _wants(inputs: TickInputs, evse: str) -> list[str]:
    """What is known of its car, and from whom."""
    car = wants(inputs)[evse]
    found: list[str] = []
    if car.departure_ms is not None:
        left = car.departure_ms - inputs.now.utc_ms
        hours = f"{abs(left) / 3_600_000:.1f} h"
        when = f"it leaves in {hours}" if left > 0 else f"it was to have left {hours} ago"
        found.append(f"{when}, {_WHO[car.departure_by]}")
    if car.energy_wh is not None:
        found.append(f"it still wants {car.energy_wh / 1_000:.1f} kWh, {_WHO[car.energy_by]}")
    return found


_WHO = {"entered": "as entered", "told by the car": "as it said"}


def _flows(site: Site, decision: Decision, node: str, inputs: TickInputs) -> str:
    index = site.topology.places[node]
    limits = [*site.topology.tree.nodes[index].limits, *decision.limits.get(node, ())]
    allowed: list[str] = []
    for limit in limits:
        if not limit.in_force(inputs.now.utc_ms):
            continue
        if limit.phases_ma is not None:
            allowed.append(f"{' / '.join(figure(ma, 'AC') for ma in limit.phases_ma)} by {limit.source}")
        if limit.power_mw is not None:
            allowed.append(f"{figure(limit.power_mw, 'DC')} by {limit.source}")
        if limit.imbalance_ma is not None:
            allowed.append(f"{figure(limit.imbalance_ma, 'AC')} of imbalance by {limit.source}")
    reading = decision.state.meters.get(node)
    carried = ""
    if reading is not None:
        age = inputs.now.tick_ms - reading.at_ms
        carried = f"carried {' / '.join(figure(ma, 'AC') for ma in reading.phases_ma)} {age} ms before; "
    return f"{carried}allowed: {', '.join(allowed) or 'no limit of its own'}"
