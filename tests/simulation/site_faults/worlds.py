"""Random sites for the failure simulation: a text of configuration, as an operator would write it."""

from __future__ import annotations

import random

from pilotwire.site.compiled import findings, overloads
from pilotwire.site.config import SiteConfig, read

ROTATIONS = ("RST", "STR", "TRS", "RTS", "SRT", "TSR", None)


def text(seed: int) -> str:
    """Two levels, some feeders with a meter and side loads of their own; AC and DC, with and without fail-safe."""
    draw = random.Random(seed)
    watchdog = draw.choice((20, 30, 45, 60))
    failsafe = draw.choice((0, 6, 6, 6, 8))
    feeders = draw.randint(1, 3)
    sides = [0] * feeders
    nodes: list[str] = []
    devices = ["{id: m0, kind: meter, file: none, endpoint: none}"]
    for at in range(feeders):
        metered = draw.random() < 0.4
        sides[at] = draw.choice((5, 10, 16)) if metered else 0
        meter = f"meter: m{at + 1}, side_lost_a: {sides[at]}, " if metered else ""
        if metered:
            devices.append(f"{{id: m{at + 1}, kind: meter, file: none, endpoint: none}}")
        limits = [f"{{source: fuse, current_a: {draw.choice((25, 32, 40, 63))}}}"]
        if not metered and draw.random() < 0.3:
            limits.append(f"{{source: balance, imbalance_a: {draw.choice((16, 20, 32))}}}")
        nodes.append(f"{{id: f{at}, kind: feeder, parent: grid, {meter}limits: [{', '.join(limits)}]}}")
    grid_side = draw.choice((10, 20, 30)) + sum(sides)
    limits = [f"{{source: fuse, current_a: {draw.choice((50, 63, 80, 100))}}}"]
    if draw.random() < 0.5:
        limits.append(f"{{source: contract, power_kw: {draw.choice((30, 40, 55))}}}")
    evses: list[str] = []
    for at in range(draw.randint(3, 8)):
        node = draw.choice(["grid", *(f"f{each}" for each in range(feeders))])
        has = draw.random() < 0.93
        if draw.random() < 0.2:
            kw = draw.choice((0, 5)) if has else 0
            evses.append(
                f"{{id: e{at}, node: {node}, current: DC, maximum_kw: {draw.choice((15, 22, 30))}, minimum_kw: 5, "
                + (f"failsafe_kw: {kw}, " if has else "has_failsafe: false, ")
                + f"charger: {{ocpp: E{at}}}}}"
            )
        else:
            rotation = draw.choice(ROTATIONS)
            evses.append(
                f"{{id: e{at}, node: {node}, phases: {draw.choice((1, 3, 3))}, maximum_a: {draw.choice((16, 32))}, "
                + (f"rotation: {rotation}, " if rotation else "")
                + ("" if has else "has_failsafe: false, ")
                + f"charger: {{ocpp: E{at}}}}}"
            )
    lines = [
        "site: {id: sim}",
        "nodes:",
        f"  - {{id: grid, kind: connection, meter: m0, side_lost_a: {grid_side}, limits: [{', '.join(limits)}]}}",
        *(f"  - {node}" for node in nodes),
        "devices:",
        *(f"  - {device}" for device in devices),
        f"failsafe: {{current_a: {failsafe}, watchdog_s: {watchdog}, meter_s: {draw.choice((5, 11))}, frozen_s: 15}}",
        f"policy: {{order: {draw.choice(('equal', 'first_come', 'priority', 'earliest_departure'))}, hold_s: 30}}",
        "evses:",
        *(f"  - {evse}" for evse in evses),
        # What sources say is kept by the loop; while there is no loop, nobody keeps more than the fail-safe sum.
        "sources:",
        "  - {id: cloud, node: grid, lost_after_s: 60, "
        f"lost_limit: {{source: cloud lost, current_a: {grid_side + draw.choice((60, 80))}}}}}",
        "  - {id: broker, node: grid, lost_after_s: 20}",
    ]
    return "\n".join(lines)


def configuration(seed: int) -> tuple[SiteConfig, bool]:
    """A site, and whether the checker lets it run."""
    return written(text(seed))


def written(site: str) -> tuple[SiteConfig, bool]:
    """The site of a text, and the same."""
    config, wrong = read(site)
    assert config is not None, (site, [str(each) for each in wrong])
    faults = [each for each in findings(config) if each.severity == "error" and "fail-safe" not in each.text]
    assert not faults, (site, [str(each) for each in faults])
    return config, not overloads(config)
