"""A small seeded site behind the API: three stations, one of each version, one of them charging."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from litestar import Litestar

from pilotwire.api.app import create_app
from pilotwire.api.context import ApiConfig, ApiContext
from pilotwire.api.server import ApiServer
from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler
from pilotwire.domain import facts, records
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import CommandReply, CommandRequest, Event, LocalBus

NOW = 1_767_268_800_000  # 2026-01-01T12:00:00Z
MINUTE = 60_000
KEY = "pw_test-process-key"


class PlainPasswords:
    """Verifiers that cost nothing; the real ones are tested where they live."""

    def hash_human(self, password: str) -> str:
        return f"human:{password}"

    def verify_human(self, password: str, verifier: str) -> bool:
        return verifier == f"human:{password}"

    def hash_station(self, password: bytes) -> str:
        return f"station:{password.decode()}"


class World:
    """A context over a seeded store in memory and a local bus."""

    def __init__(self, **config: Any) -> None:
        self.clock = SimScheduler(NOW)
        self.store = MemoryStore()
        self.bus = LocalBus()
        self.context = ApiContext(
            store=self.store,
            bus=self.bus,
            scheduler=self.clock,
            ids=SeededIds(7, self.clock.now),
            passwords=PlainPasswords(),
            config=replace(ApiConfig(ocpp_url="ws://localhost:9000/ocpp/"), **config),
            process_key=KEY,
        )
        self.app: Litestar = create_app(self.context)

    def client(self, *, address: str = "203.0.113.9", **extra: Any) -> httpx.AsyncClient:
        transport = httpx.ASGITransport(app=self.app, client=(address, 50_000), raise_app_exceptions=True)
        return httpx.AsyncClient(transport=transport, base_url="http://localhost", **extra)

    def commit(
        self,
        station: str,
        *said: facts.AnyFact,
        touched: tuple[Any, ...] = (),
        samples: tuple[records.Sample, ...] = (),
        time: int | None = None,
    ) -> Event:
        """Journal an entry and tell the bus, as the gateway does."""
        when = self.clock.now() if time is None else time
        entry = Entry(
            tenant="default",
            station=station,
            recv_time=when,
            epoch=1,
            direction="in",
            facts=said,
            touched=touched,
            samples=samples,
        )
        self.store.append(entry)
        event = Event(
            stream=self.store.stream,
            seq=self.store._seq,
            tenant="default",
            station=station,
            recv_time=when,
            facts=said,
        )
        self.bus.publish(f"facts.default.{station}", event)
        return event


def station(name: str, version: str, *connectors: records.Connector, connected: bool = True) -> records.Station:
    return records.Station(
        tenant="default",
        id=name,
        ocpp_version=version,
        vendor="Voltwerk",
        model="Wall 22" if version == "1.6" else "Column 150",
        serial=f"S-{name}",
        firmware="1.4.2",
        boot_status="Accepted",
        booted_at=NOW - 90 * MINUTE,
        connected=connected,
        connected_at=NOW - 90 * MINUTE,
        last_seen=NOW - 5_000,
        connectors=list(connectors),
    )


def session(name: str, station_id: str, **fields: Any) -> records.Session:
    given = {
        "tenant": "default",
        "id": name,
        "station_id": station_id,
        "transaction": f"t-{name}",
        "start_key": f"k-{name}",
        "ocpp_version": "2.0.1",
        "evse": 1,
        "connector": 1,
        "token": "04A1B2C3",
        "token_type": "ISO14443",
        "started_at": NOW - 30 * MINUTE,
        "updated_at": NOW - 10_000,
        "meter_start_wh": 1_000,
        "energy_wh": 5_500,
        "power_w": 11_000,
        "soc": 455,
        "charging_state": "Charging",
        "seen": [[0, 7]],
    }
    return records.Session(**{**given, **fields})


def seed(world: World) -> None:
    """CP-A charges (2.0.1), CP-B is free (1.6), CP-C is away (2.1); CP-D has only an account."""
    a = station("CP-A", "2.0.1", records.Connector(1, 1, "Occupied", since=NOW, session_id="s-1", power_w=11_000))
    b = station("CP-B", "1.6", records.Connector(1, 1, "Available", since=NOW), records.Connector(2, 1, "Faulted"))
    c = station("CP-C", "2.1", records.Connector(1, 1, "Unavailable"), connected=False)
    running = session("s-1", "CP-A")
    ended = session(
        "s-0",
        "CP-B",
        status="ended",
        ocpp_version="1.6",
        started_at=NOW - 200 * MINUTE,
        ended_at=NOW - 100 * MINUTE,
        meter_stop_wh=8_250,
        energy_wh=7_250,
        power_w=0,
        stop_reason="EVDisconnected",
    )
    samples = tuple(
        records.Sample(
            1, 1, NOW - (30 - n) * MINUTE, "Power.Active.Import", (n * 400 + 100) * 1000, "W", session_id="s-1"
        )
        for n in range(30)
    )
    connected = facts.StationConnected(event_time=NOW - 90 * MINUTE, ocpp_version="2.0.1")
    started = facts.SessionStarted(
        event_time=NOW - 30 * MINUTE,
        session_id="s-1",
        transaction="t-s-1",
        start_key="k",
        ocpp_version="2.0.1",
        evse=1,
        connector=1,
        token="04A1B2C3",
    )
    world.commit("CP-A", connected, touched=(a,), time=NOW - 90 * MINUTE)
    world.commit("CP-A", started, touched=(running,), samples=samples, time=NOW - 30 * MINUTE)
    stopped = facts.SessionEnded(event_time=NOW - 100 * MINUTE, session_id="s-0", reason="EVDisconnected")
    world.commit("CP-B", stopped, touched=(b, ended), time=NOW - 100 * MINUTE)
    lost = facts.StationDisconnected(event_time=NOW - 20 * MINUTE, code=1006)
    variable = records.Variable(
        tenant="default", station_id="CP-C", component="OCPPCommCtrlr", variable="HeartbeatInterval", value="300"
    )
    world.commit("CP-C", lost, touched=(c, variable), time=NOW - 20 * MINUTE)


@pytest.fixture
async def world() -> World:
    made = World()
    seed(made)
    await made.store.put_account(records.StationAccount(tenant="default", id="CP-D", note="north gate"))
    await made.store.put_account(records.StationAccount(tenant="default", id="CP-A"))
    return made


@pytest.fixture
async def api(world: World) -> AsyncIterator[httpx.AsyncClient]:
    """A client with every right."""
    async with world.client(headers={"Authorization": f"Bearer {KEY}"}) as client:
        yield client


class Served:
    """The app behind a real server in a thread with a loop of its own, for clients that block."""

    def __init__(self) -> None:
        self.world = World()
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="served", daemon=True)

    def start(self) -> None:
        self._thread.start()
        self.server = ApiServer(self.world.app)
        self.run(self._prepare())
        self.url = f"http://127.0.0.1:{self.server.port}"

    async def _prepare(self) -> None:
        seed(self.world)
        await self.world.store.put_account(records.StationAccount(tenant="default", id="CP-A"))
        self.world.bus.serve("command.default.CP-A", _any_outcome)
        await self.server.start("127.0.0.1", 0)

    def run(self, coroutine: Coroutine[Any, Any, Any]) -> Any:
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result(20)

    def stop(self) -> None:
        self.run(self.server.stop())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()


async def _any_outcome(request: CommandRequest) -> CommandReply:
    """Every outcome that a gateway can bring, by the length of the action's name."""
    outcomes = ("answered", "refused", "timed-out", "expired", "undeliverable", "invalid")
    outcome = outcomes[len(request.action) % len(outcomes)]
    answer = {"code": "FormatViolation", "description": "no", "details": {"field": "type"}}
    return CommandReply(command_id="c-1", outcome=outcome, action=request.action, answer=answer)


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    made = Served()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def world_of() -> Callable[..., World]:
    """`world_of(lab=True)`: a seeded world of another configuration."""

    def make(**config: Any) -> World:
        made = World(**config)
        seed(made)
        return made

    return make
