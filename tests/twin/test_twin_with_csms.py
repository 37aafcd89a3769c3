"""The demo world and the real central system in simulated time: what the store says is what the meters counted."""

from __future__ import annotations

from collections.abc import Coroutine
from random import Random
from typing import Any

import pytest

from pilotwire.core.ids import DEFAULT_TENANT, SeededIds, StationKey
from pilotwire.core.time import SimScheduler
from pilotwire.csms.service import CentralSystem, CsmsConfig
from pilotwire.domain.records import Session, StationAccount, Token
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus
from pilotwire.transport.memory import FINE, Fate, Flight, MemoryNetwork
from pilotwire.twin.demo import DemoWorld


def done(work: Coroutine[Any, Any, Any]) -> Any:
    """A coroutine of the memory store, which never really waits."""
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
        self.down = False

    def dial(self, tenant: str, identity: str, now: int) -> str | int:
        return "no route" if self.down else ""

    def frame(self, flight: Flight) -> Fate:
        if self.random.random() < self.rate:
            return Fate(cut=self.random.choice(["before", "after"]), notice_down_ms=self.random.choice([0, 5000]))
        return FINE


class Site:
    """Twelve stations and the central system."""

    def __init__(self, seed: int) -> None:
        self.clock = SimScheduler()
        self.trouble = Trouble(seed)
        self.network = MemoryNetwork(self.clock, latency_ms=10, faults=self.trouble)
        self.store = MemoryStore(scheduler=self.clock, delay_ms=5)
        self.ids = SeededIds(seed, self.clock.now)
        self.world = DemoWorld(
            self.clock,
            lambda identity, password: self.network.dialer(identity, user=identity, password=password.encode()),
            SeededIds(seed + 1, self.clock.now),
            seed=seed,
        )
        for account in self.world.accounts():
            done(
                self.store.put_account(
                    StationAccount(
                        tenant=DEFAULT_TENANT,
                        id=account.identity,
                        security_profile=1,
                        password=account.password,
                        created_at=self.clock.now(),
                    )
                )
            )
        for token in self.world.tokens():
            done(self.store.put_token(Token(tenant=DEFAULT_TENANT, token=token.id, created_at=self.clock.now())))
        self.csms = CentralSystem(
            store=self.store,
            bus=LocalBus(),
            scheduler=self.clock,
            ids=self.ids,
            config=CsmsConfig(),
            verify=lambda verifier, password: verifier.encode() == password,
            log=lambda event, key, **details: None,
        )
        done(self.csms.refresh())
        self.network.serve(self.csms.endpoint)

    def finish(self) -> None:
        """Nobody comes or goes for a minute, so that at most a reading is on its way; then the site closes."""
        for bay in self.world._bays:
            bay.close()
        self.clock.run_for(60_000)
        assert all(station.online and len(station.outbox) <= 1 for station in self.world.stations)
        self.world.stop()
        self.clock.run_for(5_000)

    def sessions(self, identity: str) -> list[Session]:
        rows: list[Session] = []
        cursor = None
        while True:
            page = done(self.store.sessions(DEFAULT_TENANT, station=identity, cursor=cursor, limit=200))
            rows += page.items
            cursor = page.next
            if cursor is None:
                return rows

    def quirks(self) -> set[str]:
        """What the central system took for a quirk; our own stations have none."""
        return {name for station in done(self.store.some_stations(DEFAULT_TENANT, None)) for name in station.quirks}

    def compare(self) -> int:
        """Every session is there once, with its energy to the Wh; returns how many."""
        count = 0
        for station in self.world.stations:
            rows = {row.transaction: row for row in self.sessions(station.config.identity)}
            assert len(rows) == len(self.sessions(station.config.identity)) == len(station.truth)
            for truth in station.truth:
                row = rows[truth.transaction]
                assert row.meter_start_wh == truth.register_start
                assert row.evse == truth.evse and row.token == truth.token
                if truth.register_end is None:
                    assert row.status == "active"
                else:
                    assert (row.status, row.meter_stop_wh) == ("ended", truth.register_end)
                    assert row.energy_wh == truth.energy_wh
                    count += 1
        return count


@pytest.mark.parametrize("seed", [1, 2])
def test_two_hours_on_a_good_day(seed):
    site = Site(seed)
    site.world.start()
    site.clock.run_for(7_200_000)
    assert all(station.conversation.counts.refused == 0 for station in site.world.stations)
    assert site.quirks() == set()
    site.finish()
    assert site.compare() > 150


@pytest.mark.parametrize("seed", [3, 4])
def test_an_hour_of_broken_connections_and_an_hour_without_any(seed):
    site = Site(seed)
    site.world.start()
    site.trouble.rate = 0.02
    site.clock.run_for(3_600_000)
    site.trouble.rate, site.trouble.down = 0.0, True
    for connection in list(site.network.connections.values()):
        connection.cut()
    site.clock.run_for(3_600_000)
    site.trouble.down = False
    site.clock.run_for(1_200_000)
    assert sum(station.conversation.counts.lost for station in site.world.stations) > 50
    assert site.quirks() <= {"reconnect-loop"}
    site.finish()
    assert site.compare() > 150


def test_what_the_csms_knows_of_a_station():
    site = Site(5)
    site.world.start()
    site.clock.run_for(60_000)
    station = done(site.store.station(StationKey(DEFAULT_TENANT, "DEMO-AC-01")))
    assert (station.vendor, station.model, station.firmware) == ("Pilotwire demo", "Duo 22", "1.8.2")
    site.world.stop()
