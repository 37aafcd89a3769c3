"""A world in simulated time: one station, a scripted central system, cars."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from random import Random
from typing import Any

import pytest

from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler, to_datetime
from pilotwire.protocols.ocpp import version as ocpp
from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.rpc.machine import (
    CallReceived,
    ErrorReceived,
    Repeated,
    ResultReceived,
    Rpc,
)
from pilotwire.station.config import StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.memory import MemoryNetwork
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)  # a Monday

Script = Callable[[Any], Any]


class Said:
    """One CALL that the station made."""

    def __init__(self, time: int, action: str, request: Any, message_id: str) -> None:
        self.time = time
        self.action = action
        self.request = request
        self.message_id = message_id

    def __repr__(self) -> str:
        return f"{(self.time - START) / 1000:.3f} {self.action} {self.request}"


class CsmsDouble:
    """Answers by a table that tests change; keeps everything it was told."""

    def __init__(self, scheduler: SimScheduler, version: str) -> None:
        self.scheduler = scheduler
        self.version = ocpp.load(version)
        self.messages = __import__(
            f"pilotwire.protocols.ocpp.{ {'1.6': 'v16', '2.0.1': 'v201', '2.1': 'v21'}[version] }.messages",
            fromlist=["x"],
        )
        self.said: list[Said] = []
        self.answers: list[tuple[str, Any]] = []
        self.boot_status = "Accepted"
        self.interval = 300
        self.token_status = "Accepted"
        self.group: str | None = None
        self.clock_error_ms = 0
        self.next_transaction = 7001
        self.silent: set[str] = set()
        self.refuse: dict[str, int] = {}
        """action: how many times to answer CALLERROR."""
        self.scripts: dict[str, Script] = {}
        self.link: Any = None
        self.rpc: Rpc | None = None
        self.closes: list[tuple[int, str]] = []
        self.handshakes: list[Any] = []
        self._started: dict[tuple[Any, ...], int] = {}
        self._count = 0
        self._queue: list[tuple[str, Any]] = []

    # Endpoint
    def admit(self, handshake: Any) -> Any:
        self.handshakes.append(handshake)
        return self

    # Receiver
    def opened(self, link: Any) -> None:
        self.link = link
        self.rpc = Rpc(self.version)

    def frame(self, data: bytes) -> None:
        assert self.rpc is not None
        event = self.rpc.receive(data, int(self.scheduler.now()))
        if isinstance(event, CallReceived):
            self._on_call(event)
        elif isinstance(event, ResultReceived):
            self.answers.append((event.call.action.name, event.response))
            self._send_next()
        elif isinstance(event, ErrorReceived):
            self.answers.append((event.call.action.name, event.error))
            self._send_next()
        elif isinstance(event, Repeated):
            if event.reply:
                self.link.send(event.reply)
        else:
            raise AssertionError(f"the station sent {data!r}: {event}")

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None:
        self.closes.append((code, reason))

    def _on_call(self, event: CallReceived) -> None:
        assert self.rpc is not None
        action = event.action.name
        assert not event.deviations
        self.said.append(Said(int(self.scheduler.now()), action, event.request, event.message_id))
        if self.refuse.get(action, 0) > 0:
            self.refuse[action] -= 1
            self.link.send(self.rpc.refuse(event.message_id, RpcError("InternalError", "scripted")))
        elif action not in self.silent:
            script = self.scripts.get(action)
            response = script(event.request) if script else self.answer(action, event.request)
            self.link.send(self.rpc.answer(event.message_id, response))

    def _now(self) -> datetime:
        return to_datetime(int(self.scheduler.now()) + self.clock_error_ms)

    def answer(self, action: str, request: Any) -> Any:
        m = self.messages
        v16 = self.version.name == "1.6"
        if action == "BootNotification":
            return m.BootNotificationResponse(status=self.boot_status, current_time=self._now(), interval=self.interval)
        if action == "Heartbeat":
            return m.HeartbeatResponse(current_time=self._now())
        if v16:
            info = m.IdTagInfo(status=self.token_status, parent_id_tag=self.group)
            if action == "Authorize":
                return m.AuthorizeResponse(id_tag_info=info)
            if action == "StartTransaction":
                key = (request.connector_id, request.id_tag, request.timestamp, request.meter_start)
                if key not in self._started:
                    self._started[key] = self.next_transaction
                    self.next_transaction += 1
                return m.StartTransactionResponse(id_tag_info=info, transaction_id=self._started[key])
        else:
            group = m.IdTokenType(id_token=self.group, type="Central") if self.group else None
            info = m.IdTokenInfoType(status=self.token_status, group_id_token=group)
            if action == "Authorize":
                return m.AuthorizeResponse(id_token_info=info)
            if action == "TransactionEvent":
                return m.TransactionEventResponse(id_token_info=info if request.id_token else None)
        if action in ("DataTransfer", "SignCertificate"):
            return self.version.actions[action].response_type(status="Accepted")
        return self.version.actions[action].response_type()

    # tests
    def command(self, action: str, request: Any) -> None:
        """Send, after whatever is outstanding."""
        self._queue.append((action, request))
        if self.rpc is not None and self.rpc.outstanding is None:
            self._send_next()

    def _send_next(self) -> None:
        if self._queue:
            action, request = self._queue.pop(0)
            self._count += 1
            assert self.rpc is not None
            self.link.send(self.rpc.call(f"c{self._count}", action, request, int(self.scheduler.now())))

    def heard(self, action: str) -> list[Any]:
        return [said.request for said in self.said if said.action == action]

    def times(self, action: str) -> list[float]:
        """Seconds since the world began."""
        return [(said.time - START) / 1000 for said in self.said if said.action == action]


class World:
    """`world.station`, `world.csms`, `world.network`, `world.run(seconds)`."""

    def __init__(self, config: StationConfig, seed: int = 1) -> None:
        self.scheduler = SimScheduler(START)
        self.network = MemoryNetwork(self.scheduler, latency_ms=10)
        self.csms = CsmsDouble(self.scheduler, config.version)
        self.network.serve(self.csms)
        self.storage = MemoryStorage()
        self.ids = SeededIds(seed, self.scheduler.now)
        self.random = Random(seed)
        self.passwords: list[str] = []
        self.config = config
        self.station = self.build()

    def build(self, config: StationConfig | None = None) -> Station:
        config = config or self.config
        return Station(
            config,
            self.scheduler,
            self.network.dialer(config.identity, user=config.identity, password=b"secret"),
            self.ids,
            self.random,
            self.storage,
            on_password=self.passwords.append,
        )

    def run(self, seconds: float) -> None:
        self.scheduler.run_for(int(seconds * 1000))

    def car(self, kind: str = "compact three-phase 11 kW", soc: int = 300, **more: Any) -> Vehicle:
        return Vehicle(CATALOGUE[kind], soc, **more)

    def offline(self) -> None:
        """Nobody answers any more; the station notices at once."""
        self.network.serve(None)
        for connection in list(self.network.connections.values()):
            connection.cut()

    def online(self) -> None:
        self.network.serve(self.csms)


@pytest.fixture
def make_world() -> Callable[..., World]:
    def make(version: str = "1.6", *, seed: int = 1, **more: Any) -> World:
        return World(StationConfig(identity="CS-1", version=version, **more), seed)  # type: ignore[arg-type]

    return make
