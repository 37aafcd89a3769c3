"""A central system over an in-memory network, a store in memory and simulated time, and stations of raw frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from pilotwire.core.ids import DEFAULT_TENANT, SeededIds, StationKey
from pilotwire.core.time import SimScheduler, to_rfc3339
from pilotwire.csms.actor import StationActor
from pilotwire.csms.service import CentralSystem, CsmsConfig
from pilotwire.domain.records import Session, Station, StationAccount, Token
from pilotwire.storage.memory import MemoryStore
from pilotwire.storage.port import Done, Entry, StoreFailed
from pilotwire.transport.bus import CommandReply, CommandRequest, LocalBus
from pilotwire.transport.memory import Faults, MemoryNetwork
from pilotwire.transport.port import DialResult, Link

SUBPROTOCOL = {"1.6": "ocpp1.6", "2.0.1": "ocpp2.0.1", "2.1": "ocpp2.1"}
PASSWORD = b"a station's password"


def now_of(work: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine of the memory store, which never really waits."""
    try:
        work.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("the memory store was expected not to wait")


class FailingStore(MemoryStore):
    """A store in memory whose next commits can be made to fail."""

    failing = 0

    def append(self, entry: Entry, done: Done | None = None) -> None:
        if self.failing:
            self.failing -= 1
            error = StoreFailed("the disk is full")

            def fail() -> None:
                if done is not None:
                    done(error)

            assert self._scheduler is not None
            self._scheduler.call_later(1, fail)
            return
        super().append(entry, done)


class World:
    """See the module. `start` is a moment in 2026."""

    def __init__(
        self,
        *,
        lab: bool = False,
        vault: bool = False,
        delay_ms: int = 5,
        faults: Faults | None = None,
        store: Any = FailingStore,
        **config: Any,
    ) -> None:
        self.clock = SimScheduler()
        self.vault = vault
        """The installation has a secret, so it has an authority of its own."""
        self.store: FailingStore = store(scheduler=self.clock, delay_ms=delay_ms)
        self.bus = LocalBus()
        self.logged: list[str] = []
        self.config = CsmsConfig(lab=lab, **config)
        self.network = MemoryNetwork(self.clock, latency_ms=10, faults=faults)
        self.ids = SeededIds(7, self.clock.now)
        self.system = self.boot()

    def boot(self) -> CentralSystem:
        """A new process over the same store."""
        system = CentralSystem(
            store=self.store,  # type: ignore[arg-type]
            bus=self.bus,
            scheduler=self.clock,
            ids=self.ids,
            config=self.config,
            verify=lambda verifier, password: verifier.encode() == b"hash of " + password,
            hash_password=lambda password: "hash of " + password.decode(),
            secret=b"the installation's secret" if self.vault else None,
            spawn=now_of,
            log=lambda event, key, **details: self.logged.append(event),
        )
        now_of(system.refresh())
        self.system = system
        self.network.serve(system.endpoint)
        return system

    def account(self, name: str = "CP1", **fields: Any) -> StationAccount:
        account = StationAccount(
            **{"tenant": DEFAULT_TENANT, "id": name, "password": "hash of " + PASSWORD.decode(), **fields}
        )
        now_of(self.store.put_account(account))
        now_of(self.system.refresh())
        return account

    def token(self, name: str = "TAG", **fields: Any) -> None:
        now_of(self.store.put_token(Token(**{"tenant": DEFAULT_TENANT, "token": name, **fields})))
        now_of(self.system.refresh())

    def station(self, name: str = "CP1", version: str = "1.6", **dial: Any) -> Client:
        """A station with an account, connected."""
        if self.system._around.accounts.get(StationKey(DEFAULT_TENANT, name)) is None:
            self.account(name)
        client = Client(self, name, version, **dial)
        client.dial()
        return client

    def run(self, ms: int = 1_000) -> None:
        self.clock.run_for(ms)

    def actor(self, name: str = "CP1") -> StationActor:
        return self.system.actor(StationKey(DEFAULT_TENANT, name))

    def command(
        self, action: str, payload: dict[str, Any], name: str = "CP1", *, expires_in: int | None = None, **more: Any
    ) -> list[CommandReply]:
        """Ask for a command; the reply appears in the list."""
        replies: list[CommandReply] = []
        asked = CommandRequest(
            tenant=DEFAULT_TENANT,
            station=name,
            action=action,
            payload=payload,
            expires_at=None if expires_in is None else self.clock.now() + expires_in,
            **more,
        )
        self.actor(name).command(asked, replies.append)
        return replies

    # -- what the store holds -----------------------------------------------------------------------------------------
    def sessions(self, name: str = "CP1") -> list[Session]:
        page = now_of(self.store.sessions(DEFAULT_TENANT, station=name))
        return list(page.items)

    def record(self, name: str = "CP1") -> Station:
        station = now_of(self.store.station(StationKey(DEFAULT_TENANT, name)))
        assert station is not None
        return station

    def facts(self, kind: type | None = None) -> list[Any]:
        return [fact for entry in self.store._entries for fact in entry.facts if kind is None or type(fact) is kind]


class Client:
    """The station's end: sends raw frames, keeps what comes, answers our calls by `on`."""

    def __init__(self, world: World, name: str, version: str, **dial: Any) -> None:
        self.world = world
        self.name = name
        self.version = version
        dial.setdefault("user", name)
        dial.setdefault("password", PASSWORD)
        self.dialer = world.network.dialer(name, **dial)
        self.offered = [SUBPROTOCOL[version]]
        self.link: Link | None = None
        self.result: DialResult | None = None
        self.frames: list[list[Any]] = []
        self.calls: list[list[Any]] = []
        """CALLs of the central system."""
        self.end: tuple[int, str] | None = None
        self.on: dict[str, Callable[[dict[str, Any]], dict[str, Any] | bytes | None]] = {}
        """Action → the payload to answer with; None: silence; bytes: sent as they are."""
        self.mute = False
        """Dead: says nothing, not even a pong."""
        self.count = 0

    def dial(self, ms: int = 100) -> Client:
        self.end = None
        self.dialer.dial(self, self.offered, self._done)
        self.world.run(ms)
        return self

    def _done(self, result: DialResult) -> None:
        self.result = result

    def opened(self, link: Link) -> None:
        self.link = link

    def frame(self, data: bytes) -> None:
        message = json.loads(data)
        if message[0] != 2:
            self.frames.append(message)
            return
        self.calls.append(message)
        answer = self.on.get(message[2], lambda payload: {"status": "Accepted"})(message[3])
        if answer is not None:
            self.raw(answer if isinstance(answer, bytes) else json.dumps([3, message[1], answer]).encode())

    def pong(self) -> None:
        """Nothing was asked."""

    def closed(self, code: int, reason: str) -> None:
        self.end = (code, reason)
        self.link = None

    def raw(self, data: bytes) -> None:
        if self.link is not None:
            self.link.send(data)

    def send(self, action: str, payload: dict[str, Any], message_id: str | None = None) -> str:
        """Send a CALL and do not wait."""
        self.count += 1
        message_id = message_id or f"{self.name}-{self.count}"
        self.raw(json.dumps([2, message_id, action, payload]).encode())
        return message_id

    def call(self, action: str, payload: dict[str, Any], message_id: str | None = None, ms: int = 100) -> Any:
        """Send a CALL, let time pass, return the payload of the CALLRESULT, or the code of the CALLERROR."""
        message_id = self.send(action, payload, message_id)
        before = len(self.frames)
        self.world.run(ms)
        found = [frame for frame in self.frames[before:] if frame[1] == message_id]
        assert len(found) == 1, f"{action}: {found}"
        return found[0][2]

    def at(self, offset_ms: int = 0) -> str:
        return to_rfc3339(self.world.clock.now() + offset_ms)

    # -- whole messages -----------------------------------------------------------------------------------------------
    def boot(self) -> Any:
        if self.version == "1.6":
            return self.call("BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"})
        body = {"reason": "PowerUp", "chargingStation": {"vendorName": "V", "model": "M"}}
        return self.call("BootNotification", body)

    def status(self, status: str = "Available") -> Any:
        if self.version == "1.6":
            return self.call("StatusNotification", {"connectorId": 1, "errorCode": "NoError", "status": status})
        body = {"timestamp": self.at(), "evseId": 1, "connectorId": 1, "connectorStatus": status}
        return self.call("StatusNotification", body)

    def start_v16(self, tag: str = "TAG", meter: int = 1000, **more: Any) -> dict[str, Any]:
        return {"connectorId": 1, "idTag": tag, "meterStart": meter, "timestamp": self.at(), **more}

    def event(self, kind: str, seq: int, wh: float | None = None, tx: str = "tx-1", **more: Any) -> dict[str, Any]:
        """A TransactionEventRequest."""
        triggers = {"Started": "CablePluggedIn", "Updated": "MeterValuePeriodic", "Ended": "EVDeparted"}
        body: dict[str, Any] = {
            "eventType": kind,
            "timestamp": self.at(),
            "triggerReason": triggers[kind],
            "seqNo": seq,
            "transactionInfo": {"transactionId": tx},
            "evse": {"id": 1, "connectorId": 1},
        }
        if wh is not None:
            body["meterValue"] = [{"timestamp": self.at(), "sampledValue": [{"value": wh}]}]
        return body | more
