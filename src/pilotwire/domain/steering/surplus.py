"""How much surplus there is for cars: measured as if neither they nor the batteries were there, and calmed.

Surplus is what would be exported if the cars of the pool and the batteries took nothing. So it does not change when
these do, and a car that rises does not chase itself. It falls at once and rises to the least that was there during
`rise_ms`.
"""

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from pilotwire.domain.energy import Moment

from .batteries import charge_most, discharge_most, mean_soc
from .config import Surplus
from .flows import Flows
from .inputs import Measured
from .site import Site
from .state import SurplusState


class Sun(NamedTuple):
    """`free_mw` for the cars of the pool together, `raw_mw` as measured now; None: the meter is lost.

    `soc_permille` of all batteries that are heard of; `boost_mw` is what they would add for cars with battery boost.
    `phases_ma`: per phase, where the meter does not balance.
    """

    free_mw: int | None
    raw_mw: int | None
    soc_permille: int | None
    boost_mw: int
    phases_ma: tuple[int, int, int] | None
    voltage_mv: int
    curtailed: bool = False


def sun(
    site: Site, config: Surplus, flow: Flows, measured: Measured, pool: Iterable[str], curtailed: bool,
    old: SurplusState, now: Moment,
) -> tuple[Sun, SurplusState]:  # fmt: skip
    """The surplus now, and the state with its calming. `pool`: the EVSEs whose cars follow it."""
    node = flow.nodes[config.node]
    ids = [id for id in site.batteries_below[config.node] if flow.batteries[id] is not None]
    soc = mean_soc(site, ids, measured)
    boost = sum(discharge_most(site.batteries[id], measured, config.boost_permille) for id in ids)
    if node.power_mw is None:
        return Sun(None, None, soc, boost, None, site.voltage_mv), msgspec.structs.replace(old, given_mw=0, low_mw=None)
    below = set(site.evses_below[config.node])
    drawn = sum(flow.cars[id] or 0 for id in pool if id in below)
    raw = -node.power_mw + drawn + node.batteries_mw - config.residual_mw
    if soc is not None and soc < config.priority_permille:
        raw -= min(max(0, raw), sum(charge_most(site.batteries[id], measured) for id in ids))
    if curtailed:
        # Nobody knows what a throttled inverter could give: ask for a little more, and see whether it comes.
        raw += config.probe_mw
    given, low, since = old.given_mw, old.low_mw, old.low_since_ms
    low = raw if low is None else min(low, raw)
    if raw <= given:
        given, low, since = raw, raw, now.tick_ms
    elif now.tick_ms - since >= config.rise_ms:
        given, low, since = low, raw, now.tick_ms
    state = msgspec.structs.replace(old, given_mw=given, low_mw=low, low_since_ms=since)
    phases = _phases(site, config, flow, pool, raw - given) if config.balance == "phase" else None
    volts = site.voltage_mv if node.meter is None else node.meter.voltage_mv or site.voltage_mv
    return Sun(given, raw, soc, boost, phases, volts, curtailed), state


def _phases(site: Site, config: Surplus, flow: Flows, pool: Iterable[str], held_mw: int) -> tuple[int, int, int] | None:
    """What each phase exports, in mA, as if cars and batteries took nothing; None where the meter does not say."""
    node = flow.nodes[config.node]
    if node.meter is None or node.meter.phases_ma is None:
        return None
    volts = node.meter.voltage_mv or site.voltage_mv
    each = (node.batteries_mw - config.residual_mw - max(0, held_mw)) * 1_000 // (3 * volts)
    free = [-ma + each for ma in node.meter.phases_ma]
    below = set(site.evses_below[config.node])
    for id in pool:
        evse, power = site.evses[id], flow.cars.get(id)
        if power is None or id not in below:
            continue
        used = flow.wishes[id].demand.phases if id in flow.wishes else evse.phases
        on = site.topology.phases(evse, used)
        for phase in on:
            # Where the phase is not known, it may be on any: no phase is credited with more than its share of three.
            free[phase] += power * 1_000 // (volts * len(on))
    return free[0], free[1], free[2]
