"""What each node may carry, and by how much what is wanted is above it: what batteries have to give."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pilotwire.domain.energy import Limit, Moment
from pilotwire.domain.energy.model import Phases

from .flows import Flows
from .site import Site


class Level(NamedTuple):
    """The lowest of all limits at a node; None: there is none. `source` set the power, or else the current."""

    power_mw: int | None
    phases_ma: Phases | None
    source: str


def levels(site: Site, signalled: Mapping[str, Sequence[Limit]], now: Moment) -> dict[str, Level]:
    """By node, of the tree's own limits and the signalled ones."""
    found: dict[str, Level] = {}
    for node, own in site.limits.items():
        power: int | None = None
        phases: Phases | None = None
        source = ""
        for limit in (*own, *signalled.get(node, ())):
            if not limit.in_force(now.utc_ms):
                continue
            if limit.power_mw is not None and (power is None or limit.power_mw < power):
                power, source = limit.power_mw, limit.source
            if limit.phases_ma is not None:
                a, b, c = limit.phases_ma
                phases = (a, b, c) if phases is None else (min(phases[0], a), min(phases[1], b), min(phases[2], c))
                source = source or limit.source
        if power is not None or phases is not None:
            found[node] = Level(power, phases, source)
    return found


def shortage(site: Site, node: str, level: Level, wanted: Mapping[str, int], flow: Flows) -> int | None:
    """By how much (mW) what is wanted below a node, without its batteries, is above its level; negative is room.

    Of currents the worst phase counts, three times: a battery feeds all three alike. None: the node's meter is lost.
    """
    here = flow.nodes[node]
    if here.side_mw is None or here.meter is None:
        return None
    cars = sum(wanted.get(id, flow.cars[id] or 0) for id in site.evses_below[node])
    found: list[int] = []
    if level.power_mw is not None:
        found.append(here.side_mw + cars - level.power_mw)
    if level.phases_ma is not None:
        volts = here.meter.voltage_mv or site.voltage_mv
        if here.meter.phases_ma is None:
            found.append((here.side_mw + cars) - sum(level.phases_ma) * volts // 1_000)
        else:
            each = here.batteries_mw * 1_000 // (3 * volts)
            phases = [ma - each for ma in here.meter.phases_ma]
            for id in site.evses_below[node]:
                evse, drawn = site.evses[id], flow.cars[id] or 0
                more = wanted.get(id, drawn) - drawn
                if more:
                    used = flow.wishes[id].demand.phases if id in flow.wishes else evse.phases
                    on = site.topology.phases(evse, used)
                    for phase in on:
                        phases[phase] += more * 1_000 // (volts * site.topology.count(evse, used))
            over = max(ma - limit for ma, limit in zip(phases, level.phases_ma, strict=True))
            found.append(over * 3 * volts // 1_000)
    return max(found)
