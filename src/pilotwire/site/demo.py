"""A site that is not there, for a first look: a small building, five bays, cars that come and go."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pilotwire.core.time import Scheduler

from .compiled import compile_site
from .config import SiteConfig
from .ports import Device, EvseDriver
from .simulated import SimCharger, SimSite

TEXT = """\
# The site of `pilotwire site demo`: nothing of it is real.
site: {id: demo, name: A small car park, time_zone: Europe/Berlin}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 20
    limits:
      - {source: fuse, current_a: 63}
  - id: garage
    kind: feeder
    parent: grid
    limits:
      - {source: fuse, current_a: 40}
devices:
  - {id: main, kind: meter, file: simulated, endpoint: simulated}
failsafe: {current_a: 6, watchdog_s: 30}
policy: {order: first_come}
evses:
  - {id: bay-1, node: garage, rotation: RST, maximum_a: 32, charger: {ocpp: bay-1}}
  - {id: bay-2, node: garage, rotation: STR, maximum_a: 32, charger: {ocpp: bay-2}}
  - {id: bay-3, node: garage, rotation: TRS, maximum_a: 16, phases: 1, charger: {ocpp: bay-3}}
  - {id: bay-4, node: grid, rotation: RST, maximum_a: 32, charger: {ocpp: bay-4}}
  - {id: bay-5, node: grid, rotation: STR, maximum_a: 16, charger: {ocpp: bay-5}}
"""


class Demo:
    """`run.Drivers` of a simulated site in the time of its scheduler."""

    def __init__(self, config: SiteConfig, scheduler: Scheduler, seed: int = 1, *, every_ms: int = 6_000) -> None:
        site = compile_site(config)
        self._draw, self._every_ms = random.Random(seed), every_ms
        self._scheduler = scheduler
        tree = site.topology.tree
        self.chargers = {
            evse.id: SimCharger(evse, scheduler, has_failsafe=site.outlets[evse.id].has_failsafe) for evse in tree.evses
        }
        self.plant = SimSite(tree, site.topology, scheduler, self.chargers)
        self._meters = [self.plant.meter(device, node) for node, device in site.meters.items()]
        self._metered = [node for node in tree.nodes if node.metered]
        self._running = False

    @property
    def evses(self) -> Sequence[EvseDriver]:
        return list(self.chargers.values())

    @property
    def devices(self) -> Sequence[Device]:
        return self._meters

    async def start(self) -> None:
        """Half of the bays are taken from the beginning."""
        self._running = True
        for charger in list(self.chargers.values())[::2]:
            charger.plug(charger.evse.maximum, self._draw.choice((1, 3)))
        self._live()

    async def stop(self) -> None:
        self._running = False

    def _live(self) -> None:
        if not self._running:
            return
        draw = self._draw
        self._scheduler.call_later(draw.randint(self._every_ms // 2, self._every_ms * 2), self._live)
        if draw.random() < 0.5 and self._metered:
            node = draw.choice(self._metered)
            most = node.side_lost_ma or (0, 0, 0)
            l1, l2, l3 = (draw.randint(ma // 10, ma) if ma else 0 for ma in most)
            self.plant.side[node.id] = (l1, l2, l3)
            return
        charger = draw.choice(list(self.chargers.values()))
        if charger.arrived_ms is None:
            charger.plug(draw.choice((charger.evse.maximum, charger.evse.maximum // 2)), draw.choice((1, 3, 3)))
        elif draw.random() < 0.3:
            charger.unplug()
