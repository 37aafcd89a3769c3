"""The demo world in simulated time, against a central system that only says yes."""

from __future__ import annotations

import json
from collections import Counter
from random import Random
from typing import Any

import pytest

from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler, to_rfc3339
from pilotwire.protocols.ocpp.version import SUBPROTOCOL, load
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.memory import MemoryNetwork
from pilotwire.transport.port import Refuse
from pilotwire.twin.demo import MODELS, DemoWorld
from pilotwire.twin.fleet import Fleet, FleetConfig

START = 1_767_571_200_000


class YesMan:
    """Answers every CALL with what accepts it; knows the accounts."""

    def __init__(self, scheduler: SimScheduler, accounts: dict[str, bytes] | None = None) -> None:
        self.scheduler = scheduler
        self.accounts = accounts
        self.calls: dict[str, list[tuple[int, str, Any]]] = {}
        self.refused = 0
        self.transactions = 100

    def admit(self, handshake: Any) -> Any:
        if self.accounts is not None and self.accounts.get(handshake.identity) != handshake.password:
            self.refused += 1
            return Refuse(401, "password")
        return YesManLink(self, handshake.identity, SUBPROTOCOL[handshake.subprotocol])


class YesManLink:
    def __init__(self, csms: YesMan, identity: str, version: str) -> None:
        self.csms, self.identity, self.version = csms, identity, load(version)
        self.link: Any = None

    def opened(self, link: Any) -> None:
        self.link = link

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None:
        self.csms.calls.setdefault(self.identity, []).append((int(self.csms.scheduler.now()), "closed", code))

    def frame(self, data: bytes) -> None:
        kind, message_id, action, payload = json.loads(data)
        assert kind == 2
        # Strict: what the station sends needs no tolerance.
        self.version.actions[action].decode_request(json.dumps(payload).encode(), tolerant=False)
        self.csms.calls.setdefault(self.identity, []).append((int(self.csms.scheduler.now()), action, payload))
        now = to_rfc3339(self.csms.scheduler.now())
        answer: dict[str, Any] = {}
        if action == "BootNotification":
            answer = {"status": "Accepted", "interval": 300, "currentTime": now}
        elif action == "Heartbeat":
            answer = {"currentTime": now}
        elif self.version.name == "1.6" and action in ("Authorize", "StartTransaction"):
            answer = {"idTagInfo": {"status": "Accepted"}}
            if action == "StartTransaction":
                self.csms.transactions += 1
                answer["transactionId"] = self.csms.transactions
        elif action == "Authorize":
            answer = {"idTokenInfo": {"status": "Accepted"}}
        self.link.send(json.dumps([3, message_id, answer]).encode())


def build(seed: int = 7, **more: Any) -> tuple[SimScheduler, YesMan, DemoWorld]:
    scheduler = SimScheduler(START)
    network = MemoryNetwork(scheduler, latency_ms=2)
    world = DemoWorld(
        scheduler,
        lambda identity, password: network.dialer(identity, user=identity, password=password.encode()),
        SeededIds(seed, scheduler.now),
        seed=seed,
        **more,
    )
    csms = YesMan(scheduler, {account.identity: account.password.encode() for account in world.accounts()})
    network.serve(csms)
    return scheduler, csms, world


def test_a_dozen_stations_of_all_kinds():
    _, _, world = build()
    accounts = world.accounts()
    assert len(accounts) == 12 and len({a.identity for a in accounts}) == 12
    assert {a.version for a in accounts} == {"1.6", "2.0.1", "2.1"}
    assert accounts[0].identity == "DEMO-AC-01"
    assert sum("DC" in a.identity for a in accounts) >= 3
    assert all(16 <= len(a.password) <= 20 for a in accounts) and len({a.password for a in accounts}) == 12
    assert len({t.id for t in world.tokens()}) == len(world.tokens()) and all(len(t.id) <= 20 for t in world.tokens())
    assert {m.version for m in MODELS} == {"1.6", "2.0.1", "2.1"}


@pytest.mark.parametrize("seed", [1, 7, 42])
def test_it_is_alive_within_five_seconds(seed):
    scheduler, csms, world = build(seed)
    world.start()
    scheduler.run_for(5000)
    assert len(csms.calls) == 12 and not csms.refused
    assert all(station.online for station in world.stations)
    assert world.charging >= 5


def test_cars_come_and_go_and_every_wh_is_told():
    scheduler, csms, world = build()
    world.start()
    busy = []
    for _ in range(40):
        scheduler.run_for(60_000)
        busy.append(world.charging)
    assert min(busy[1:]) >= 3
    ended = [t for station in world.stations for t in station.truth if t.register_end is not None]
    assert len(ended) > 40
    durations = sorted((t.ended_at - t.started_at) // 1000 for t in ended)
    assert 60 < durations[len(durations) // 2] < 1200
    told: Counter[int] = Counter()
    for calls in csms.calls.values():
        for _, action, payload in calls:
            if action == "StopTransaction":
                told[payload["meterStop"]] += 1
            elif action == "TransactionEvent" and payload["eventType"] == "Ended":
                told[payload["meterValue"][-1]["sampledValue"][0]["value"]] += 1
    assert told == Counter(t.register_end for t in ended)
    for station in world.stations:
        for evse in station.evses:
            assert evse.meter.energy_uj // 3_600_000_000 >= max(
                (t.register_end or 0 for t in station.truth if t.evse == evse.id), default=0
            )


def test_the_same_seed_is_the_same_world():
    def run(seed: int) -> Any:
        scheduler, csms, world = build(seed)
        world.start()
        scheduler.run_for(600_000)
        return csms.calls

    assert run(3) == run(3) != run(4)


def test_stop_and_start_again_with_the_same_memory():
    memories: dict[str, MemoryStorage] = {}

    def storage(identity: str) -> MemoryStorage:
        return memories.setdefault(identity, MemoryStorage())

    scheduler, csms, world = build(storage=storage)
    world.start()
    scheduler.run_for(120_000)
    running = [t for s in world.stations for t in s.truth if t.register_end is None]
    assert running
    world.stop()
    scheduler.run_for(5_000)
    quiet = sum(map(len, csms.calls.values()))
    scheduler.run_for(600_000)
    assert sum(map(len, csms.calls.values())) == quiet
    assert all(calls[-1][1:] == ("closed", 1001) for calls in csms.calls.values())
    registers = {s.config.identity: [e.meter.register_wh for e in s.evses] for s in world.stations}

    network = MemoryNetwork(scheduler, latency_ms=2)
    network.serve(csms)
    again = DemoWorld(
        scheduler,
        lambda identity, password: network.dialer(identity, user=identity, password=password.encode()),
        SeededIds(8, scheduler.now),
        storage=storage,
    )
    again.start()
    scheduler.run_for(10_000)
    for station in again.stations:
        assert all(
            e.meter.register_wh >= old for e, old in zip(station.evses, registers[station.config.identity], strict=True)
        )
    ended = {t.session: t for s in again.stations for t in s.truth}
    assert all(ended[t.session].reason == "PowerLoss" for t in running)


def test_a_fleet_ramps_up_and_counts():
    scheduler = SimScheduler(START)
    network = MemoryNetwork(scheduler, latency_ms=2)
    csms = YesMan(scheduler)
    network.serve(csms)
    fleet = Fleet(
        FleetConfig(count=100, version="2.0.1", ramp_per_s=50, identity="LOAD-{n:03d}", first=5),
        scheduler,
        lambda identity: network.dialer(identity),
        SeededIds(1, scheduler.now),
        Random(1),
    )
    fleet.start()
    scheduler.run_for(1000)
    assert 40 <= fleet.totals().connected <= 60
    scheduler.run_for(120_000)
    totals = fleet.totals()
    assert totals.stations == totals.connected == totals.accepted == 100
    assert totals.charging > 30 and totals.power_w > 100_000 and totals.sessions >= totals.charging
    assert totals.queued == totals.refused == totals.timeouts == 0
    assert min(csms.calls) == "LOAD-005" and max(csms.calls) == "LOAD-104"
    fleet.stop()
    scheduler.run_for(1000)
    assert fleet.totals().connected == 0


def test_idle_stations_cost_next_to_nothing():
    """No tick: an idle hour of 200 stations is their heartbeats and little else."""
    scheduler = SimScheduler(START)
    network = MemoryNetwork(scheduler, latency_ms=2)
    network.serve(YesMan(scheduler))
    fleet = Fleet(
        FleetConfig(count=200, cars=False, ramp_per_s=1000),
        scheduler,
        lambda identity: network.dialer(identity),
        SeededIds(1, scheduler.now),
        Random(1),
    )
    fleet.start()
    scheduler.run_for(10_000)
    steps = 0
    end = scheduler.now() + 3_600_000
    while scheduler._heap and scheduler._heap[0][0] <= end:
        scheduler.step()
        steps += 1
    # 12 heartbeats an hour: two flights, a timer that fires and one that is called off, each.
    assert steps <= 200 * 12 * 5
    fleet.stop()
