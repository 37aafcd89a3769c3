"""Who takes what at each node, from what has been measured in this moment."""

from collections.abc import Mapping

import msgspec

from pilotwire.domain.energy import Moment

from .inputs import Measured, Meter, Wish
from .site import Site


class Flow(msgspec.Struct, frozen=True):
    """At one node, in mW. `power_mw` None: no meter, or it is lost; then `side_mw` is not known either.

    `cars_mw` and `batteries_mw` are what those that are heard of take; `side_mw` is all the rest, PV as a negative.
    """

    meter: Meter | None
    cars_mw: int
    batteries_mw: int

    @property
    def power_mw(self) -> int | None:
        return None if self.meter is None else self.meter.power_mw

    @property
    def side_mw(self) -> int | None:
        return None if self.meter is None else self.meter.power_mw - self.cars_mw - self.batteries_mw


class Flows(msgspec.Struct, frozen=True):
    """`nodes` by id; what each car and battery takes, None where nothing fresh says so; the wishes by EVSE."""

    nodes: Mapping[str, Flow]
    cars: Mapping[str, int | None]
    batteries: Mapping[str, int | None]
    wishes: Mapping[str, Wish]


def flows(site: Site, wishes: Mapping[str, Wish], measured: Measured, now: Moment) -> Flows:
    """Only what is fresh counts, and nothing from the future."""
    stale = site.config.stale_ms

    def fresh(at_ms: int) -> bool:
        return 0 <= now.tick_ms - at_ms <= stale

    cars: dict[str, int | None] = {}
    for id in site.evses:
        car = measured.cars.get(id)
        cars[id] = car.power_mw if car is not None and fresh(car.at_ms) else None
    batteries: dict[str, int | None] = {}
    for id in site.batteries:
        cell = measured.batteries.get(id)
        batteries[id] = cell.power_mw if cell is not None and fresh(cell.at_ms) else None
    nodes: dict[str, Flow] = {}
    for id in site.path:
        meter = measured.meters.get(id)
        nodes[id] = Flow(
            meter if meter is not None and fresh(meter.at_ms) else None,
            sum(cars[each] or 0 for each in site.evses_below[id]),
            sum(batteries[each] or 0 for each in site.batteries_below[id]),
        )
    return Flows(nodes, cars, batteries, wishes)
