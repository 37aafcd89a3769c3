"""A small site in virtual time: the real loop over simulated chargers, a meter and a building."""

from __future__ import annotations

from typing import Any

from pilotwire.core.time import SimScheduler
from pilotwire.domain.energy.model import Phases
from pilotwire.site.compiled import Site, compile_site
from pilotwire.site.config import SiteConfig, read
from pilotwire.site.decide import SiteState
from pilotwire.site.loop import Loop
from pilotwire.site.simulated import SimCharger, SimMeter, SimSite

TEXT = """
site: {id: small}
nodes:
  - id: grid
    kind: connection
    meter: main
    side_lost_a: 20
    limits: [{source: fuse, current_a: 63}]
  - id: garage
    kind: feeder
    parent: grid
    limits: [{source: fuse, current_a: 40}]
devices:
  - {id: main, kind: meter, file: none, endpoint: none}
sources:
  - {id: cloud, node: grid, lost_after_s: 60, lost_limit: {source: cloud lost, current_a: 45}}
failsafe: {current_a: 6, watchdog_s: 30}
evses:
  - {id: a, node: garage, rotation: RST, maximum_a: 32, charger: {ocpp: A}}
  - {id: b, node: garage, rotation: STR, maximum_a: 32, charger: {ocpp: B}}
  - {id: c, node: garage, rotation: TRS, maximum_a: 32, phases: 1, charger: {ocpp: C}}
  - {id: d, node: grid, rotation: RST, maximum_a: 32, charger: {ocpp: D}}
"""


def config_of(text: str = TEXT) -> SiteConfig:
    config, findings = read(text)
    assert config is not None, "\n".join(map(str, findings))
    return config


class Small:
    """All of it. `over_ms` counts for how long each node has been above a limit, on its worst stretch."""

    def __init__(
        self, text: str = TEXT, *, state: SiteState | None = None, start: int = 1_800_000_000_000, **loop: Any
    ):
        self.config = config_of(text)
        self.site: Site = compile_site(self.config)
        self.time = SimScheduler(start)
        self.utc_offset = 0
        topology = self.site.topology
        self.chargers = {
            evse.id: SimCharger(evse, self.time, has_failsafe=self.site.outlets[evse.id].has_failsafe)
            for evse in topology.tree.evses
        }
        self.plant = SimSite(topology.tree, topology, self.time, self.chargers)
        self.meters: dict[str, SimMeter] = {
            device: self.plant.meter(device, node) for node, device in self.site.meters.items()
        }
        self.said: list[str] = []
        self.options = loop
        self.loop = self.begin(state)

    def begin(self, state: SiteState | None = None) -> Loop:
        """A new process with the same devices."""
        self.loop = Loop(
            self.site,
            list(self.chargers.values()),
            list(self.meters.values()),
            self.time,
            utc=lambda: int(self.time.now()) + self.utc_offset,
            state=state,
            report=self.said.append,
            **self.options,
        )
        self.loop.start()
        return self.loop

    def run(self, seconds: float) -> None:
        self.time.run_for(int(seconds * 1000))

    def side(self, node: str, phases: Phases) -> None:
        self.plant.side[node] = phases

    def set_points(self) -> dict[str, int]:
        assert self.loop.decision is not None
        return {point.evse: point.value for point in self.loop.decision.set_points}

    def drawn(self) -> dict[str, int]:
        return {id: charger.drawn for id, charger in self.chargers.items()}

    def marks(self) -> set[tuple[str, str]]:
        return {(mark.where, mark.code) for mark in self.loop.marks}
