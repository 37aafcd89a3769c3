"""A site in simulated time: our station, the local controller, and a central system that knows nothing of it."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from hashlib import sha256
from random import Random
from typing import Any

import pytest

from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler, to_rfc3339
from pilotwire.site.ocpp.config import ControllerConfig, KnownStation, Upstream
from pilotwire.site.ocpp.controller import LocalController
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage.forwarding import MemoryForwarding
from pilotwire.transport.memory import MemoryNetwork
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

START = int(datetime(2026, 1, 5, tzinfo=UTC).timestamp() * 1000)
PASSWORD = b"secret-of-station"


class Central:
    """A central system on plain JSON: answers by a table, keeps every frame as it came."""

    def __init__(self, scheduler: SimScheduler, version: str) -> None:
        self.scheduler = scheduler
        self.version = version
        self.link: Any = None
        self.raw: list[bytes] = []
        self.calls: list[tuple[int, str, str, dict[str, Any]]] = []
        """(when, messageId, action, payload)"""
        self.answers: list[list[Any]] = []
        """CALLRESULTs and CALLERRORs of the station, as they came."""
        self.silent: set[str] = set()
        self.refuse: dict[str, int] = {}
        self.status = "Accepted"
        self.boot_status = "Accepted"
        self.next_transaction = 5001
        self.handshakes: list[Any] = []
        self.subprotocols: list[str] = []
        self.more: dict[str, dict[str, Any]] = {}
        self.opened_times = 0
        self.started: dict[str, int] = {}

    def admit(self, handshake: Any) -> Any:
        self.handshakes.append(handshake)
        return Line(self)

    def frame(self, line: Line, data: bytes) -> None:
        self.raw.append(data)
        parts = json.loads(data)
        if parts[0] != 2:
            self.answers.append(parts)
            return
        _, message_id, action, payload = parts
        self.calls.append((int(self.scheduler.now()), message_id, action, payload))
        if self.refuse.get(action, 0) > 0:
            self.refuse[action] -= 1
            line.link.send(json.dumps([4, message_id, "InternalError", "scripted", {}]).encode())
        elif action not in self.silent:
            answer = self.answer(action, payload) | self.more.get(action, {})
            line.link.send(json.dumps([3, message_id, answer]).encode())

    def answer(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        now = to_rfc3339(int(self.scheduler.now()))
        if action == "BootNotification":
            return {"status": self.boot_status, "currentTime": now, "interval": 300}
        if action == "Heartbeat":
            return {"currentTime": now}
        if action == "Authorize":
            return {"idTagInfo" if self.version == "1.6" else "idTokenInfo": {"status": self.status}}
        if action == "StartTransaction":
            key = json.dumps(payload)
            if key not in self.started:  # a repetition is no second transaction
                self.next_transaction += 1
                self.started[key] = self.next_transaction
            return {"transactionId": self.started[key], "idTagInfo": {"status": self.status}}
        if action == "TransactionEvent" and "idToken" in payload:
            return {"idTokenInfo": {"status": self.status}}
        if action == "DataTransfer":
            return {"status": "Accepted", "data": "back"}
        return {}

    def ask(self, action: str, payload: dict[str, Any], message_id: str = "") -> str:
        message_id = message_id or f"central-{len(self.answers)}-{len(self.calls)}-{action}"[:36]
        self.link.send(json.dumps([2, message_id, action, payload]).encode())
        return message_id

    def of(self, action: str) -> list[dict[str, Any]]:
        return [payload for _, _, name, payload in self.calls if name == action]

    def answered(self, message_id: str) -> list[Any]:
        return next(parts for parts in self.answers if parts[1] == message_id)


class Line:
    """One connection to a central system; an old one may look open to it for a while."""

    def __init__(self, central: Central) -> None:
        self.central = central
        self.link: Any = None

    def opened(self, link: Any) -> None:
        self.link = self.central.link = link
        self.central.opened_times += 1

    def frame(self, data: bytes) -> None:
        self.central.frame(self, data)

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None:
        if self.central.link is self.link:
            self.central.link = None


class Raw:
    """A station on bytes: says what a test gives it, keeps what comes."""

    def __init__(self) -> None:
        self.link: Any = None
        self.frames: list[bytes] = []
        self.reply: Callable[[list[Any]], Any] | None = None
        self.status = 0
        self.closes: list[int] = []

    def dialed(self, result: Any) -> None:
        self.status = result.status

    def opened(self, link: Any) -> None:
        self.link = link

    def frame(self, data: bytes) -> None:
        self.frames.append(data)
        parts = json.loads(data)
        if parts[0] == 2 and self.reply is not None:
            answer = self.reply(parts)
            if answer is not None:
                self.link.send(json.dumps([3, parts[1], answer]).encode())

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None:
        self.closes.append(code)
        self.link = None


class Site:
    """Station side, box and wide area network."""

    def __init__(self, version: str = "1.6", *, upstreams: tuple[Upstream, ...] = (), **options: Any) -> None:
        self.version = version
        self.scheduler = SimScheduler(START)
        self.local = MemoryNetwork(self.scheduler, latency_ms=2)
        self.upstreams = upstreams or (Upstream(name="main"),)
        self.wans = {each.name: MemoryNetwork(self.scheduler, latency_ms=30) for each in self.upstreams}
        known = options.pop("known", {})
        central_version = known.get("present_as") or version
        self.centrals = {each.name: Central(self.scheduler, central_version) for each in self.upstreams}
        for name, wan in self.wans.items():
            wan.serve(self.centrals[name])
        self.config = ControllerConfig(
            upstreams=self.upstreams,
            stations=(KnownStation(identity="CS1", password_sha256=sha256(PASSWORD).hexdigest(), **known),),
            **options,
        )
        self.store = MemoryForwarding(self.scheduler)
        self.lives = 0
        self.on_start: Callable[[LocalController], None] | None = None
        self.box: Any = None
        self.station: Any = None
        self.start_box()

    @property
    def central(self) -> Central:
        return self.centrals[self.upstreams[0].name]

    @property
    def wan(self) -> MemoryNetwork:
        return self.wans[self.upstreams[0].name]

    @property
    def seat(self) -> Any:
        return self.box.seat("CS1")

    def start_box(self) -> None:
        self.lives += 1
        ids = SeededIds(1000 + self.lives, lambda: int(self.scheduler.now()))

        def dial(upstream: Upstream, seat: Any) -> Any:
            return self.wans[upstream.name].dialer(seat.known.identity)

        self.box = LocalController(self.config, self.scheduler, ids, Random(self.lives), self.store, dial)
        if self.on_start is not None:
            self.on_start(self.box)
        self.box.start()
        self.local.serve(self.box)

    def kill_box(self) -> None:
        """SIGKILL: what is not committed is lost, every socket breaks, nothing is said."""
        self.store.crash()
        self.local.crash(notice_ms=50)
        old = self.box
        for seat in old.seats.values():
            seat._stopped = True
            for forwarder in seat.forwarders:
                forwarder._stopped = True
                forwarder.uplink._ear = None
                link, forwarder.uplink._link = forwarder.uplink._link, None
                forwarder.uplink._stop_timer()
                if link is not None:
                    link.abort()
            if seat.downlink is not None:
                seat.downlink._link = None
                seat.downlink._stop_timer()
        self.box = None

    def wan_down(self, name: str = "") -> None:
        wan = self.wans[name or self.upstreams[0].name]
        wan.serve(None)
        for connection in list(wan.connections.values()):
            connection.cut()

    def wan_up(self, name: str = "") -> None:
        name = name or self.upstreams[0].name
        self.wans[name].serve(self.centrals[name])

    def power_on(self, *, sample_s: int = 60, **options: Any) -> Any:
        config = StationConfig(
            identity="CS1",
            version=self.version,  # type: ignore[arg-type]
            evses=options.pop("evses", (EvseConfig(),)),
            settings={"sample_interval": str(sample_s), "backoff_minimum": "2", "backoff_random": "2"},
            **options,
        )
        dialer = self.local.dialer("CS1", user="CS1", password=PASSWORD)
        ids = SeededIds(7, lambda: int(self.scheduler.now()))
        self.station = Station(config, self.scheduler, dialer, ids, Random(3), MemoryStorage())
        self.station.power_on()
        return self.station

    def raw(self) -> Raw:
        raw = Raw()
        self.local.dialer("CS1", user="CS1", password=PASSWORD).dial(raw, (f"ocpp{self.version}",), raw.dialed)
        self.run(0.2)
        return raw

    def car(self) -> Vehicle:
        return Vehicle(CATALOGUE["compact three-phase 11 kW"], 300)

    def run(self, seconds: float) -> None:
        self.scheduler.run_for(int(seconds * 1000))


@pytest.fixture
def make_site() -> Callable[..., Site]:
    return Site
