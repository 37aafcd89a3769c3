"""A central system with tariffs and real stations in simulated time: what the tests of prices and cost share."""

from __future__ import annotations

from collections.abc import Coroutine
from datetime import UTC, datetime
from random import Random
from typing import Any

from pilotwire.core.ids import DEFAULT_TENANT, SeededIds, StationKey
from pilotwire.core.time import SimScheduler
from pilotwire.csms.service import CentralSystem, CsmsConfig
from pilotwire.domain.fold import fold
from pilotwire.domain.records import Session, StationAccount, Token
from pilotwire.domain.tariffs import model
from pilotwire.domain.tariffs.book import ASSIGNMENT, TARIFF, AssignmentRecord, TariffRecord, assignment_id, numbered
from pilotwire.domain.tariffs.model import Tariff
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage import documents
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import CommandReply, CommandRequest, LocalBus
from pilotwire.transport.memory import FINE, Fate, Flight, MemoryNetwork
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

START = int(datetime(2026, 3, 27, 16, 40, tzinfo=UTC).timestamp() * 1000)
DC = EvseConfig(dc=True, connector_type="cCCS2", fixed_cable=True, max_w=80_000, max_ma=200_000)
CARDS = ["AA11", "BB22", "CC33"]
ENERGY: dict[str, Any] = {
    "energy": {"prices": [{"priceKwh": 0.39}], "taxRates": [{"type": "VAT", "tax": 19}]},
    "idleTime": {"prices": [{"priceMinute": 0.07, "conditions": {"minIdleTime": 300}}]},
}


def done(work: Coroutine[Any, Any, Any]) -> Any:
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the memory store waited")


class Trouble:
    """Every so many frames the connection breaks, before the frame or before its answer."""

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.rate = 0.0

    def dial(self, tenant: str, identity: str, now: int) -> str | int:
        return ""

    def frame(self, flight: Flight) -> Fate:
        if self.random.random() < self.rate:
            return Fate(cut=self.random.choice(["before", "after"]), notice_down_ms=self.random.choice([0, 5000]))
        return FINE


class Shop:
    """A central system with tariffs, and its stations."""

    def __init__(self, seed: int = 1) -> None:
        self.seed = seed
        self.clock = SimScheduler(START)
        self.trouble = Trouble(seed)
        self.network = MemoryNetwork(self.clock, latency_ms=10, faults=self.trouble)
        self.store = MemoryStore(scheduler=self.clock, delay_ms=5)
        self.ids = SeededIds(seed, self.clock.now)
        self.stations: dict[str, Station] = {}
        for token in CARDS:
            done(self.store.put_token(Token(tenant=DEFAULT_TENANT, token=token, parent="FLEET", created_at=START)))
        self.boot()

    def boot(self) -> None:
        """A central system over what is stored."""
        self.csms = CentralSystem(
            store=self.store,
            bus=LocalBus(),
            scheduler=self.clock,
            ids=self.ids,
            config=CsmsConfig(),
            verify=lambda verifier, password: True,
            spawn=done,
            log=lambda event, key, **details: None,
        )
        done(self.csms.refresh())
        self.network.serve(self.csms.endpoint)

    def again(self) -> None:
        """The central system dies and another one takes its place."""
        for name in self.stations:
            self.csms.actor(StationKey(DEFAULT_TENANT, name)).stop()
        self.run(1)
        self.boot()

    def tariff(self, tariff_id: str, *revisions: dict[str, Any]) -> list[Tariff]:
        made = [
            model.decode(model.encode({"tariffId": numbered(tariff_id, number), "currency": "EUR", **(each or ENERGY)}))
            for number, each in enumerate(revisions or ({},), 1)
        ]
        record = TariffRecord(name=tariff_id, revisions=made, created_at=START)
        self.write(documents.put(TARIFF, tariff_id, record))
        return made

    def assign(self, tariff_id: str, scope: Any = "all", target: str = "", evse: int = 0) -> None:
        record = AssignmentRecord(tariff=tariff_id, scope=scope, target=target, evse=evse, created_at=START)
        self.write(documents.put(ASSIGNMENT, assignment_id(scope, target, evse), record))

    def write(self, *changes: documents.Change) -> None:
        done(self.store.write_documents(DEFAULT_TENANT, list(changes)))
        done(self.csms.refresh())
        self.run(2)

    def station(
        self, version: str, *evses: EvseConfig, name: str = "CS-1", built: dict[str, Any] | None = None, **settings: str
    ) -> Station:
        account = StationAccount(tenant=DEFAULT_TENANT, id=name, security_profile=1, password="pw", created_at=START)
        done(self.store.put_account(account))
        done(self.csms.refresh())
        station = Station(
            StationConfig(
                identity=name,
                version=version,  # type: ignore[arg-type]
                evses=evses or (EvseConfig(), DC),
                settings={"time_zone": "Europe/Berlin", "attempts": "1000", "attempt_interval": "5"} | settings,
                **(built or {}),
            ),
            self.clock,
            self.network.dialer(name, user=name, password=b"pw"),
            SeededIds(self.seed + len(name), self.clock.now),
            Random(self.seed),
            MemoryStorage(),
        )
        self.stations[name] = station
        station.power_on()
        self.run(10)
        return station

    def run(self, seconds: float) -> None:
        self.clock.run_for(int(seconds * 1000))

    def ask(self, action: str, payload: dict[str, Any], name: str = "CS-1") -> CommandReply:
        replies: list[CommandReply] = []
        asked = CommandRequest(tenant=DEFAULT_TENANT, station=name, action=action, payload=payload)
        self.csms.actor(StationKey(DEFAULT_TENANT, name)).command(asked, replies.append)
        self.run(5)
        [reply] = replies
        return reply

    def sessions(self, name: str = "CS-1") -> list[Session]:
        """The oldest first."""
        page = done(self.store.sessions(DEFAULT_TENANT, station=name, limit=500))
        return sorted(page.items, key=lambda one: one.started_at)

    def held(self, name: str = "CS-1") -> dict[int, list[str]]:
        """The default tariffs that the station has, as the central system knows it."""
        record = done(self.store.station(StationKey(DEFAULT_TENANT, name)))
        pricing = record.pricing
        return {} if pricing is None else {e: [t.tariff_id for t in rows] for e, rows in pricing.tariffs.items()}

    def facts(self, kind: type) -> list[Any]:
        return [fact for entry in self.store._entries for fact in entry.facts if type(fact) is kind]

    def same_after_replay(self) -> None:
        """The journal folded anew comes to the same bills."""
        folded = {one.id: one.bill for one in fold(list(self.store._entries)) if isinstance(one, Session)}
        kept = {one.id: one.bill for name in self.stations for one in self.sessions(name)}
        assert kept and kept == {key: folded[key] for key in kept}


def charge(shop: Shop, station: Station, minutes: float, *, evse: int = 1, token: str = "AA11") -> None:
    kind = "sedan three-phase 11 kW 400 V" if station.config.evses[evse - 1].dc else "compact three-phase 11 kW"
    station.plug(evse, Vehicle(CATALOGUE[kind], 300))
    station.tap(evse, token)
    shop.run(minutes * 60)


def leave(shop: Shop, station: Station, *, evse: int = 1, token: str = "AA11") -> Session:
    station.tap(evse, token)
    shop.run(20)
    station.unplug(evse)
    shop.run(20)
    return shop.sessions(station.config.identity)[-1]
