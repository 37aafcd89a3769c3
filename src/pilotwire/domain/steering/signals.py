"""From limits of real power to those that the allocation counts with."""

from collections.abc import Iterable, Mapping

import msgspec

from pilotwire.domain.energy import Limit

from .flows import Flows
from .levels import Level
from .site import Site

TAKING = ", a battery about to take more"
"""How the source of a limit ends that is lower by what a battery will still take."""


def counted(site: Site, flow: Flows, node: str, power_mw: int) -> int:
    """A limit of power as the allocation counts it: with currents times the nominal voltage.

    What the meter measures beside that (other volts, a power factor) is taken off, so that the power is kept and not
    what the currents make of it.
    """
    meter = flow.nodes[node].meter
    if meter is None or meter.phases_ma is None:
        return power_mw
    return power_mw - (meter.power_mw - sum(meter.phases_ma) * site.voltage_mv // 1_000)


def signalled(
    site: Site,
    flow: Flows,
    hard: Iterable[tuple[str, Limit]],
    windows: Iterable[tuple[str, Limit]],
    level: Mapping[str, Level],
    coming: Mapping[str, int],
) -> dict[str, tuple[Limit, ...]]:
    """Everything for `Signals.limits`. `coming` by battery: by how much it will still take more (or give less).

    A demand window counts energy, so a battery that has just been told to give is counted on in its limit, and no car
    is throttled for the two seconds until it does. A limit that protects something never counts on it; but what a
    battery will still take more is kept free everywhere.
    """
    found: dict[str, list[Limit]] = {}
    for node, limit in hard:
        found.setdefault(node, []).append(_counted(site, flow, node, limit, 0))
    for node, limit in windows:
        more = sum(coming.get(id, 0) for id in site.batteries_below[node])
        found.setdefault(node, []).append(_counted(site, flow, node, limit, more))
    for node, each in level.items():
        more = sum(max(0, coming.get(id, 0)) for id in site.batteries_below[node])
        if not more:
            continue
        source = f"{each.source}{TAKING}"
        if each.power_mw is not None:
            limit = Limit(source=source, power_mw=each.power_mw)
            found.setdefault(node, []).append(_counted(site, flow, node, limit, more))
        if each.phases_ma is not None:
            less = -(-more * 1_000 // (3 * site.voltage_mv))
            a, b, c = each.phases_ma
            found.setdefault(node, []).append(Limit(source=source, phases_ma=(a - less, b - less, c - less)))
    return {node: tuple(limits) for node, limits in sorted(found.items())}


def _counted(site: Site, flow: Flows, node: str, limit: Limit, more_mw: int) -> Limit:
    if limit.power_mw is None:
        return limit
    return msgspec.structs.replace(limit, power_mw=counted(site, flow, node, limit.power_mw) - more_mw)
