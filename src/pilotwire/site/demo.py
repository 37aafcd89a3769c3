"""A site that is not there, for a first look: a car park with sun, a battery and a shop, cars that come and go."""

from __future__ import annotations

import random
from collections.abc import Sequence

from pilotwire.core.time import Scheduler
from pilotwire.domain.energy import Limit
from pilotwire.transport.runtime import SteadyScheduler

from .compiled import compile_site
from .config import SiteConfig
from .demo_plant import Building, CarCharger, SimBattery, SimInverter
from .loop import Loop
from .ports import Device, EvseDriver
from .simulated import SimSite

TEXT = """\
# The site of `pilotwire site demo`: nothing of it is real.
site: {id: demo, name: A car park with a shop, time_zone: Europe/Berlin}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: [24, 20, 20]
    feeds_a: 75
    limits:
      - {source: fuse, current_a: 125}
  - id: transformer
    kind: transformer
    parent: grid
    limits:
      - {source: transformer, power_kw: 69}
      - {source: grid code, imbalance_a: 45}
  - id: garage
    kind: feeder
    parent: transformer
    meter: garage-meter
    side_lost_a: 3
    limits:
      - {source: fuse, current_a: 80}
  - id: deck-1
    kind: group
    parent: garage
    limits:
      - {source: fuse, current_a: 50}
  - id: deck-2
    kind: group
    parent: garage
    limits:
      - {source: fuse, current_a: 40}
  - id: yard
    kind: feeder
    parent: transformer
    limits:
      - {source: fuse, current_a: 80}
devices:
  - {id: main, kind: meter, file: simulated, endpoint: simulated}
  - {id: garage-meter, kind: meter, file: simulated, endpoint: simulated}
  - {id: roof, kind: inverter, file: simulated, endpoint: simulated}
  - {id: cellar, kind: battery, file: simulated, endpoint: simulated}
tenants:
  - {id: shop, limits: [{source: lease of the shop, power_kw: 30}]}
  - {id: couriers, limits: [{source: lease of the couriers, power_kw: 22}]}
  - {id: flats, limits: [{source: lease of the flats, power_kw: 22}]}
failsafe: {current_a: 6, watchdog_s: 30}
policy: {order: first_come}
sources:
  - {id: grid-operator, node: transformer, lost_after_s: 900}
steering:
  windows:
    - id: quarter-hour
      node: grid
      minutes: 15
      contracted_kw: 42
      worst_kw: 80
      side_lost_kw: 14
      reserve_kw: 3
  schedules:
    - {node: yard, limit: {source: quiet hours, current_a: 20}, span: {from: "22:00", until: "06:00"}}
  rates:
    - {import_price: 0.36, export_price: 0.08, span: {from: "17:00", until: "20:00"}}
    - {import_price: 0.24, export_price: 0.08}
  surplus: {node: grid, enable_s: 20, disable_s: 40, grace_s: 20, priority_percent: 40}
  batteries:
    - {id: cellar, node: grid, capacity_kwh: 40, charge_kw: 15, discharge_kw: 15, backup_percent: 10, peak_percent: 30}
  inverters:
    - {id: roof, node: grid, nominal_kw: 30}
planning:
  hours: 12
  value_per_kwh: 5
  peaks: [{window: quarter-hour, price_per_kw: 8}]
  stay_h: 4
  energy_kwh: 20
  car_kwh: 60
  charged_at_once: [yard-dc]
evses:
  - {id: bay-1, node: deck-1, rotation: RST, maximum_a: 32, tenant: shop, charger: {ocpp: bay-1}}
  - {id: bay-2, node: deck-1, rotation: STR, maximum_a: 32, tenant: shop, charger: {ocpp: bay-2}}
  - {id: bay-3, node: deck-1, rotation: TRS, maximum_a: 16, phases: 1, tenant: flats, charger: {ocpp: bay-3}}
  - {id: bay-4, node: deck-1, rotation: RST, maximum_a: 32, tenant: flats, charger: {ocpp: bay-4}}
  - {id: bay-5, node: deck-2, rotation: STR, maximum_a: 16, mode: pv, tenant: flats, charger: {ocpp: bay-5}}
  - {id: bay-6, node: deck-2, rotation: TRS, maximum_a: 16, mode: min_pv, tenant: flats, charger: {ocpp: bay-6}}
  - {id: bay-7, node: deck-2, rotation: RST, maximum_a: 32, charger: {ocpp: bay-7}}
  - {id: bay-8, node: deck-2, rotation: STR, maximum_a: 32, phases: 1, charger: {ocpp: bay-8}}
  - {id: yard-1, node: yard, rotation: RST, maximum_a: 32, tenant: couriers, charger: {ocpp: yard-1}}
  - {id: yard-2, node: yard, rotation: TRS, maximum_a: 32, tenant: couriers, charger: {ocpp: yard-2}}
  - {id: yard-dc, node: yard, current: DC, maximum_kw: 50, minimum_kw: 5, failsafe_kw: 0, charger: {ocpp: yard-dc}}
"""


_TROUBLE_MS = 240_000
_ORDER_MS = 300_000
"""The grid operator says something about as often."""


class Demo:
    """`run.Drivers` of a simulated site in the time of its scheduler, which is taken for the time of the day."""

    def __init__(self, config: SiteConfig, scheduler: Scheduler, seed: int = 1, *, every_ms: int = 6_000) -> None:
        site = compile_site(config)
        self._draw, self._every_ms = random.Random(seed), every_ms
        self._scheduler = scheduler
        tree = site.topology.tree
        self.chargers = {
            evse.id: CarCharger(evse, scheduler, has_failsafe=site.outlets[evse.id].has_failsafe) for evse in tree.evses
        }
        self.plant = SimSite(tree, site.topology, scheduler, self.chargers)
        self._meters = [self.plant.meter(device, node) for node, device in site.meters.items()]
        self._running = False
        steering = None if site.steering is None else site.steering.config
        self.inverters = {
            each.id: (each.node, SimInverter(each.id, scheduler, each.nominal_mw, random.Random(seed + 1)))
            for each in (() if steering is None else steering.inverters)
        }
        self.batteries = {
            each.id: (each.node, SimBattery(each.id, scheduler, each.capacity_wh, each.charge_mw))
            for each in (() if steering is None else steering.batteries)
        }
        self.buildings = {
            node.id: Building(node.side_lost_ma, random.Random(seed + 2))
            for node in tree.nodes
            if node.metered and node.side_lost_ma is not None
        }

    @property
    def evses(self) -> Sequence[EvseDriver]:
        return list(self.chargers.values())

    @property
    def devices(self) -> Sequence[Device]:
        found: list[Device] = [*self._meters]
        found += [device for _, device in self.inverters.values()]
        found += [device for _, device in self.batteries.values()]
        return found

    async def start(self) -> None:
        """Most of the bays are taken from the beginning."""
        self._running = True
        for number, charger in enumerate(self.chargers.values()):
            if number % 3 != 1:
                charger.come(self._draw)
        self._live()
        self._flow()
        self._scheduler.call_later(self._draw.randint(_TROUBLE_MS // 2, _TROUBLE_MS), self._trouble)

    async def stop(self) -> None:
        self._running = False

    def _flow(self) -> None:
        """Each second: what the building, the sun and the battery put on the wires."""
        if not self._running:
            return
        self._scheduler.call_later(1_000, self._flow)
        voltage = self.plant.tree.voltage_mv
        side: dict[str, tuple[int, int, int]] = {}
        for node, building in self.buildings.items():
            building.step()
            side[node] = building.phases_ma
        for node, device in (*self.inverters.values(), *self.batteries.values()):
            l1, l2, l3 = side.get(node, (0, 0, 0))
            each = device.power_mw * 1_000 // (3 * voltage)
            side[node] = (l1 + each, l2 + each, l3 + each)
        self.plant.side = side

    def _trouble(self) -> None:
        """A charger cannot be reached for a while, as it happens."""
        if not self._running:
            return
        charger = self._draw.choice(list(self.chargers.values()))
        charger.link = False

        def mend() -> None:
            charger.link = True

        self._scheduler.call_later(40_000, mend)
        self._scheduler.call_later(self._draw.randint(_TROUBLE_MS, _TROUBLE_MS * 3), self._trouble)

    def _live(self) -> None:
        """A car comes, or leaves, now and then."""
        if not self._running:
            return
        draw = self._draw
        self._scheduler.call_later(draw.randint(self._every_ms, self._every_ms * 5), self._live)
        charger = draw.choice(list(self.chargers.values()))
        if charger.arrived_ms is None:
            charger.come(draw)
        elif draw.random() < 0.4:
            charger.unplug()


class Operator:
    """A `run.Part`: the grid operator of the demo, who wants less for a while now and then, and lets go again."""

    def __init__(self, scheduler: Scheduler | None = None, seed: int = 1, *, source: str = "grid-operator") -> None:
        self._given, self._source = scheduler, source
        self._draw = random.Random(seed)
        self._loop: Loop | None = None

    async def start(self, loop: Loop) -> None:
        self._scheduler = self._given or SteadyScheduler()
        self._loop = loop
        loop.hear(self._source, None)
        self._scheduler.call_later(_ORDER_MS // 5, self._order)

    async def stop(self) -> None:
        self._loop = None

    def _order(self) -> None:
        if self._loop is None:
            return
        self._scheduler.call_later(_ORDER_MS, self._order)
        self._scheduler.call_later(_ORDER_MS // 2, self._let_go)
        now = int(self._scheduler.now())
        self._loop.hear(
            self._source,
            Limit(
                source="order of the grid operator",
                power_mw=self._draw.choice((36_000_000, 42_000_000, 48_000_000)),
                from_ms=now,
                until_ms=now + _ORDER_MS // 2,
            ),
        )

    def _let_go(self) -> None:
        if self._loop is not None:
            self._loop.hear(self._source, None)
