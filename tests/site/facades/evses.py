"""EVSEs that say what a test tells them to, and a server of their maps."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

import msgspec

from pilotwire.site.facades.figures import SiteStatus
from pilotwire.site.facades.orders import ExternalLimits, Fight
from pilotwire.site.facades.serving import FacadesConfig, MapConfig, ServerOf, serve_facades
from pilotwire.site.ports import Abilities, EvseStatus, Told, Value
from pilotwire.transport.modbus.guard import Audit
from pilotwire.transport.runtime import SteadyScheduler


class FakeEvse:
    """An `EvseDriver` of which a test says what it knows; it notes what it is told."""

    def __init__(self, name: str = "bay-1", abilities: Abilities | None = None) -> None:
        self.id = name
        self.abilities = abilities or Abilities()
        self.now = EvseStatus(online=True, pilot="A")
        self.offers: list[int] = []

    def status(self) -> EvseStatus:
        return self.now

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        self.offers.append(value)
        done(Told(True))

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        done(Told(True))

    def charges(self, at: int = 0, **more: Any) -> None:
        """16 A on three phases."""
        points = {
            "power_mw": 11_040_000, "energy_import_wh": 1_234_567, "session_wh": 4_321, "session_s": 1800,
            **{f"current_l{n}_ma": 15_900 + 100 * n for n in (1, 2, 3)},
            **{f"voltage_l{n}_mv": 229_000 + 500 * n for n in (1, 2, 3)},
        }  # fmt: skip
        self.now = msgspec.structs.replace(
            EvseStatus(online=True, pilot="C", phases=3, session="s1", id_token="04AB", offered=16_000, soc=456),
            points={name: Value(value, at) for name, value in points.items()}, **more,
        )  # fmt: skip


class Served:
    """What a test may look at beside the wire."""

    def __init__(self, evses: list[FakeEvse], site: SiteStatus) -> None:
        self.evses = evses
        self.site = site
        self.fights: list[Fight] = []
        self.audits: list[Audit] = []
        self.limits = ExternalLimits(self.fights.append)
        self.scheduler = SteadyScheduler()
        self.ports: list[int] = []

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def now(self) -> int:
        return int(self.scheduler.now())


SITE = SiteStatus(
    power_mw=-3_500_000, phases_ma=(16_000, -5_250, 0), limit_ma=(63_000, 63_000, 50_000), limit_mw=40_000_000,
    limiting="feeder-1", reason="the feeder is full on L1", nodes=3,
)  # fmt: skip


@asynccontextmanager
async def serving(*maps: MapConfig, evses: list[FakeEvse] | None = None, **more: Any) -> AsyncIterator[Served]:
    """A server of these maps on a free port, which 127.0.0.1 may write to."""
    served = Served(evses if evses is not None else [FakeEvse()], SITE)
    settings = {"writers": ("127.0.0.1",), **more}
    config = FacadesConfig(servers=(ServerOf(port=0, maps=maps or (MapConfig(map="own"),), **settings),))
    drivers: dict[str, Any] = {each.id: each for each in served.evses}
    server = await serve_facades(
        config, drivers, lambda: served.site, served.limits, served.scheduler, served.audits.append
    )
    served.ports = [port for _, port in server.addresses]
    try:
        yield served
    finally:
        await server.close()
