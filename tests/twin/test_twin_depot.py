"""The demo's depot: what its meters show is what its stations really draw, on the phases that they are wired to."""

from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler
from pilotwire.site.compiled import findings
from pilotwire.site.config import SiteConfig, read
from pilotwire.station.config import StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.memory import MemoryNetwork
from pilotwire.twin.depot import MODELS, Crew, Depot


def crew_of(scheduler: SimScheduler) -> Crew:
    return Crew(
        scheduler, SeededIds(1, scheduler.now), tokens=["CARD"], seed=1, password=lambda identity: f"pw-{identity}"
    )


def config_of(crew: Crew) -> SiteConfig:
    config, wrong = read(crew.text("ws://127.0.0.1:9/ocpp"))
    assert config is not None, wrong
    return config


def test_its_file_may_run_and_names_every_outlet_of_every_station() -> None:
    config = config_of(crew_of(SimScheduler()))
    assert [each for each in findings(config) if each.severity == "error"] == []
    wired = {(each.charger.ocpp, each.charger.connector) for each in config.evses}
    assert wired == {(identity, evse) for identity, model in MODELS.items() for evse in range(1, len(model.evses) + 1)}
    for entry in config.evses:
        built = MODELS[entry.charger.ocpp or ""].evses[entry.charger.connector - 1]
        assert (entry.current == "DC") == built.dc
        if not built.dc:
            assert entry.phases == built.phases
            assert entry.maximum_a is not None and entry.maximum_a * 1_000 == built.max_ma
    assert {each.identity for each in config.ocpp.stations} == set(MODELS)


async def test_its_meters_show_what_the_stations_draw(tmp_path: Path) -> None:
    scheduler = SimScheduler(1_767_268_800_000)
    crew = crew_of(scheduler)
    config = config_of(crew)
    depot = Depot(config, tmp_path, scheduler, crew)
    network = MemoryNetwork(scheduler)
    try:
        for identity, model in MODELS.items():
            crew.stations[identity] = Station(
                StationConfig(identity=identity, version=model.version, evses=model.evses),
                scheduler, network.dialer(identity), SeededIds(2, scheduler.now), Random(1), MemoryStorage(),
            )  # fmt: skip
        beside = depot.flows("grid")
        assert depot.flows("yard") == (0, 0, 0)
        assert depot.flows("hall") == pytest.approx((1_000, 1_000, 1_000), abs=3_000), "lights, and nothing else"
        lights = depot.flows("hall")

        def draws(identity: str, connector: int, currents: tuple[int, ...], phases: int = 3) -> None:
            evse = crew.evse(identity, connector)
            assert evse is not None
            evse.meter.load_ac(currents, phases)

        draws("DEPOT-AC-01", 2, (10_000,))  # STR: its L1 is the grid's L2
        draws("DEPOT-AC-04", 1, (7_000,), 1)  # TRS: its L1 is the grid's L3
        draws("DEPOT-AC-02", 1, (1_000, 2_000, 4_000))  # TRS
        draws("DEPOT-AC-05", 1, (500, 500, 500))  # in the yard, RST
        hall = tuple(now - before for now, before in zip(depot.flows("hall"), lights, strict=True))
        assert hall == (2_000, 10_000 + 4_000, 7_000 + 1_000)
        assert depot.flows("yard") == (500, 500, 500)
        grid = tuple(now - before for now, before in zip(depot.flows("grid"), beside, strict=True))
        assert grid == tuple(ma + 500 for ma in hall)
        rapid = crew.evse("DEPOT-DC-01", 1)
        assert rapid is not None
        rapid.meter.load_dc(400_000, 65_550)  # 26.22 kW: 27.6 kW of the grid, 40 A on each phase
        assert depot.flows("yard") == (40_500, 40_500, 40_500)
    finally:
        await depot.stop()
