"""A depot whose site controller is a real one: stations come to its box by OCPP, meters show what they really draw.

    crew = Crew(scheduler, ids, tokens=[...], seed=7, password=..., storage=..., files=...)
    for account in crew.accounts: ...           the central system has to know these
    config, _ = read(crew.text("ws://127.0.0.1:9000/ocpp"))
    await run_site(config, text, folder, lambda steady: Depot(config, folder, steady, crew), stop=stop, ...)

`Depot` is the site's drivers: the real ones of OCPP (`site.parts.Built` with its local controller on loopback, which
goes to the central system in the stations' names), and simulated meters, a roof and a battery. The stations are
switched on once the box listens and off when it stops; what flows at a node is the sum of what their own meters measure
below it, of the building, the roof and the battery.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from urllib.parse import quote

import msgspec

from pilotwire.core.ids import Ids
from pilotwire.core.time import Scheduler, Timer
from pilotwire.domain.energy.model import Phases
from pilotwire.site.compiled import compile_site
from pilotwire.site.config import SiteConfig
from pilotwire.site.demo_plant import Building, SimBattery, SimInverter
from pilotwire.site.parts import Built
from pilotwire.site.ports import Device, EvseDriver
from pilotwire.site.simulated import SimMeter
from pilotwire.station.config import StationConfig
from pilotwire.station.evse import Evse
from pilotwire.station.ports import Files
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage, StationStorage
from pilotwire.transport.ocpp.client import LoopDialer

from .bays import Bay, Traffic
from .demo import AC_7, AC_11, AC_22, DC_50, VENDOR, Account, Model
from .depot_site import site_text

MODELS: Mapping[str, Model] = {
    "DEPOT-AC-01": Model(prefix="AC", model="Duo 22", version="1.6", evses=(AC_22, AC_22), firmware="1.8.2"),
    "DEPOT-AC-02": Model(prefix="AC", model="Duo 22", version="2.0.1", evses=(AC_22, AC_22), firmware="3.1.0"),
    "DEPOT-AC-03": Model(prefix="AC", model="Post 11", version="2.0.1", evses=(AC_11,), firmware="2.4.1"),
    "DEPOT-AC-04": Model(prefix="AC", model="Wall 7", version="1.6", evses=(AC_7,), firmware="1.5.0"),
    "DEPOT-AC-05": Model(prefix="AC", model="Post 11", version="2.0.1", evses=(AC_11, AC_11), firmware="3.1.0"),
    "DEPOT-DC-01": Model(prefix="DC", model="Rapid 50", version="2.0.1", evses=(DC_50,), firmware="3.1.0"),
}
"""By identity."""

TRAFFIC = Traffic(gap_s=(30, 300), stay_s=(400, 1_500), ac_ask_wh=(1_500, 6_000), soc=(100, 600), busy_at_start=80)
_SETTINGS = {"sample_interval": "10", "backoff_minimum": "2", "backoff_random": "3", "backoff_repeats": "3"}
_DC_LOSS = 20
"""One part in so many of what a DC station takes is heat."""


class Crew:
    """The depot's stations and their drivers; there is a `Station` of each once the box listens."""

    def __init__(
        self,
        scheduler: Scheduler,
        ids: Ids,
        *,
        tokens: Sequence[str],
        seed: int,
        password: Callable[[str], str],
        storage: Callable[[str], StationStorage] = lambda identity: MemoryStorage(),
        files: Files | None = None,
        traffic: Traffic = TRAFFIC,
    ) -> None:
        """`scheduler`'s clock is UTC. `tokens`: the drivers' cards. The others are as in `DemoWorld`."""
        self._scheduler, self._ids = scheduler, ids
        self._tokens, self._storage, self._files, self._traffic = tuple(tokens), storage, files, traffic
        self._random = Random(seed)
        self.accounts = [
            Account(identity=identity, password=password(identity), version=model.version, model=model.model)
            for identity, model in MODELS.items()
        ]
        self.stations: dict[str, Station] = {}
        self._bays: list[Bay] = []
        self._starts: list[Timer] = []

    def text(self, upstream: str) -> str:
        """The site's file, for these stations and this central system."""
        return site_text(upstream, {account.identity: account.password for account in self.accounts})

    def evse(self, identity: str, connector: int) -> Evse | None:
        """None before its station is there."""
        station = self.stations.get(identity)
        return None if station is None else station.evse(connector)

    def start(self, url: str) -> None:
        """All of them come to `url` with their identity, one after another; most bays have a car already."""
        for number, account in enumerate(self.accounts):
            model = MODELS[account.identity]
            dialer = LoopDialer(
                f"{url}/{quote(account.identity, safe='')}", user=account.identity, password=account.password.encode()
            )
            station = Station(
                StationConfig(
                    identity=account.identity,
                    version=model.version,
                    evses=model.evses,
                    vendor=VENDOR,
                    model=model.model,
                    serial=f"PWD{number + 1:06d}",
                    firmware=model.firmware,
                    settings=_SETTINGS,
                    first_sample_ms=1_000,
                    queue_limit=5_000,
                ),
                self._scheduler,
                dialer,
                self._ids,
                Random(self._random.getrandbits(64)),
                self._storage(account.identity),
                files=self._files,
                # Without `on_password`, as in `DemoWorld`.
                truth_limit=100,
            )
            self.stations[account.identity] = station
            self._starts.append(self._scheduler.call_later(number * 60, station.power_on))
            for evse in range(1, len(model.evses) + 1):
                chance = Random(self._random.getrandbits(64))
                bay = Bay(station, evse, self._scheduler, chance, self._tokens, self._traffic)
                self._bays.append(bay)
                bay.open()

    def stop(self) -> None:
        """Connections are closed in order."""
        for timer in self._starts:
            timer.cancel()
        for bay in self._bays:
            bay.close()
        for station in self.stations.values():
            station.shut_down()


class Depot:
    """`site.run.Drivers`; see the module. Raises ConfigError."""

    def __init__(self, config: SiteConfig, folder: Path, scheduler: Scheduler, crew: Crew, seed: int = 1) -> None:
        site = compile_site(config)
        self.crew = crew
        self._scheduler = scheduler
        # What is simulated here needs no device files.
        self._built = Built(msgspec.structs.replace(config, devices=()), folder, scheduler)
        self._tree, self._topology = site.topology.tree, site.topology
        self._chargers = {entry.id: (entry.charger.ocpp or "", entry.charger.connector) for entry in config.evses}
        self._dc = {entry.id for entry in config.evses if entry.current == "DC"}
        steering = site.steering.config if site.steering is not None else None
        self.inverters = {
            each.id: (each.node, SimInverter(each.id, scheduler, each.nominal_mw, Random(seed + 1)))
            for each in (steering.inverters if steering else ())
        }
        self.batteries = {
            each.id: (each.node, SimBattery(each.id, scheduler, each.capacity_wh, each.charge_mw))
            for each in (steering.batteries if steering else ())
        }
        self.buildings = {
            node.id: Building(node.side_lost_ma, Random(seed + 2))
            for node in self._tree.nodes
            if node.metered and node.side_lost_ma is not None
        }
        self._meters = [SimMeter(device, scheduler, self._at(node)) for node, device in site.meters.items()]
        self._running = False

    @property
    def evses(self) -> Sequence[EvseDriver]:
        return self._built.evses

    @property
    def devices(self) -> Sequence[Device]:
        return [
            *self._meters,
            *(device for _, device in self.inverters.values()),
            *(device for _, device in self.batteries.values()),
        ]

    async def start(self) -> None:
        """The box listens, then the stations come. Raises ConfigError."""
        self._running = True
        await self._built.start()
        self._live()
        self.crew.start(f"ws://127.0.0.1:{self._built.ocpp_port}/ocpp")

    async def stop(self) -> None:
        self._running = False
        self.crew.stop()
        await self._built.stop()

    def flows(self, node: str) -> Phases:
        """What flows through a node now."""
        total = [0, 0, 0]
        voltage = self._tree.voltage_mv
        for id, (identity, connector) in self._chargers.items():
            evse = self.crew.evse(identity, connector)
            built = self._topology.evses[id]
            if evse is None or not evse.meter.power_mw or not self._below(built.node, node):
                continue
            if id in self._dc:
                taken = evse.meter.power_mw * _DC_LOSS // (_DC_LOSS - 1) * 1_000 // (3 * voltage)
                for phase in range(3):
                    total[phase] += taken
                continue
            for conductor, ma in zip(built.rotation or "RST", evse.meter.currents, strict=False):
                total["RST".index(conductor)] += ma
        for place, building in self.buildings.items():
            if self._below(place, node):
                for phase, ma in enumerate(building.phases_ma):
                    total[phase] += ma
        for place, device in (*self.inverters.values(), *self.batteries.values()):
            if self._below(place, node):
                for phase in range(3):
                    total[phase] += device.power_mw * 1_000 // (3 * voltage)
        return total[0], total[1], total[2]

    def _at(self, node: str) -> Callable[[], Phases]:
        return lambda: self.flows(node)

    def _below(self, place: str, node: str) -> bool:
        """Whether `place` is `node` or below it."""
        return any(self._tree.nodes[at].id == node for at in self._topology.above[place])

    def _live(self) -> None:
        """A second of the building's life."""
        if not self._running:
            return
        self._scheduler.call_later(1_000, self._live)
        for building in self.buildings.values():
            building.step()
