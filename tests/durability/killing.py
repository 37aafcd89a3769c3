"""Kill the central system again and again under load; count what was answered, then look for it.

Stations of 1.6 and 2.0.1 charge in short sessions. Each message is sent until it is answered, over as many connections
as that takes, with the same message id or a new one. The server is killed with SIGKILL at random moments and started
again over the same store. What each station was answered is the truth that the store is held against.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import httpx
import websockets
from tests.interop import csms_process

BEGIN = datetime(2026, 5, 1, tzinfo=UTC)
LOST = (OSError, websockets.WebSocketException, TimeoutError)


@dataclass
class Truth:
    """A session as the station knows it, in Wh."""

    meter_start: int
    meter_stop: int = 0
    stamps: list[str] = field(default_factory=list)
    """Times of the meter values that were answered."""


class Station:
    """A small station with a register; what it was answered is in `sessions`."""

    def __init__(self, name: str, url: Callable[[], str], random: Random) -> None:
        self.name = name
        self.version = "1.6" if random.random() < 0.5 else "2.0.1"
        self.sessions: list[Truth] = []
        self.answered = 0
        self.resent = 0
        self._url = url
        self._random = random
        self._socket: Any = None
        self._register = random.randrange(1_000_000)
        self._clock = BEGIN
        self._serial = 0

    async def ask(self, action: str, payload: dict[str, Any]) -> dict[str, Any]:
        """Send until answered."""
        message_id = self._next_id()
        while True:
            try:
                if self._socket is None:
                    await self._connect()
                async with asyncio.timeout(90):
                    await self._socket.send(json.dumps([2, message_id, action, payload]))
                    answer = json.loads(await self._socket.recv())
                if answer[0] == 3 and answer[1] == message_id:
                    self.answered += 1
                    return answer[2]
                if answer[0] == 4 and answer[2] != "InternalError":
                    raise AssertionError(f"{self.name}: {action} was refused: {answer}")
            except LOST:
                await self._drop()
            self.resent += 1
            if self.version == "1.6" or self._random.random() < 0.5:
                message_id = self._next_id()
            await asyncio.sleep(0.02)

    def _next_id(self) -> str:
        self._serial += 1
        return f"{self.name}-{self._serial}"

    async def _drop(self) -> None:
        socket, self._socket = self._socket, None
        if socket is not None:
            socket.transport.abort()
        await asyncio.sleep(0.05 + self._random.random() * 0.05)

    async def _connect(self) -> None:
        self._socket = await websockets.connect(
            f"{self._url()}/{self.name}", subprotocols=[f"ocpp{self.version}"], open_timeout=5, compression=None
        )
        boot: dict[str, Any] = {"chargePointVendor": "kill", "chargePointModel": "test"}
        if self.version == "2.0.1":
            boot = {"reason": "PowerUp", "chargingStation": {"vendorName": "kill", "model": "test"}}
        await self._socket.send(json.dumps([2, self._next_id(), "BootNotification", boot]))
        async with asyncio.timeout(90):
            await self._socket.recv()

    def _tick(self) -> str:
        self._clock += timedelta(seconds=self._random.randint(1, 30))
        self._register += self._random.randrange(1, 400)
        return self._clock.isoformat().replace("+00:00", "Z")

    async def session(self) -> None:
        """One session of a few meter values."""
        await (self._session_16() if self.version == "1.6" else self._session_201())

    async def _session_16(self) -> None:
        at = self._tick()
        truth = Truth(self._register)
        begin = {"connectorId": 1, "idTag": "KILL", "meterStart": self._register, "timestamp": at}
        transaction = (await self.ask("StartTransaction", begin))["transactionId"]
        self.sessions.append(truth)
        for _ in range(self._random.randint(1, 5)):
            at = self._tick()
            value = {"value": str(self._register), "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
            values = [{"timestamp": at, "sampledValue": [value]}]
            await self.ask("MeterValues", {"connectorId": 1, "transactionId": transaction, "meterValue": values})
            truth.stamps.append(at)
        at = self._tick()
        truth.meter_stop = self._register
        end = {"transactionId": transaction, "meterStop": self._register, "timestamp": at, "reason": "Local"}
        await self.ask("StopTransaction", end)

    async def _session_201(self) -> None:
        transaction = f"{self.name}-tx-{len(self.sessions)}"
        at = self._tick()
        truth = Truth(self._register)
        token = {"idToken": "KILL", "type": "ISO14443"}
        await self._event("Started", transaction, 0, at, "Authorized", idToken=token, evse={"id": 1, "connectorId": 1})
        self.sessions.append(truth)
        seq = 0
        for _ in range(self._random.randint(1, 5)):
            seq += 1
            at = self._tick()
            await self._event("Updated", transaction, seq, at, "MeterValuePeriodic")
            truth.stamps.append(at)
        at = self._tick()
        truth.meter_stop = self._register
        await self._event("Ended", transaction, seq + 1, at, "EVDeparted")

    async def _event(self, kind: str, transaction: str, seq: int, at: str, trigger: str, **more: Any) -> None:
        context = {"Started": "Transaction.Begin", "Ended": "Transaction.End"}.get(kind, "Sample.Periodic")
        value = {"value": self._register, "context": context, "measurand": "Energy.Active.Import.Register"}
        body = {"eventType": kind, "timestamp": at, "triggerReason": trigger, "seqNo": seq}
        body |= {"transactionInfo": {"transactionId": transaction}, **more}
        await self.ask("TransactionEvent", body | {"meterValue": [{"timestamp": at, "sampledValue": [value]}]})

    async def close(self) -> None:
        if self._socket is not None:
            await self._socket.close()


@dataclass
class Result:
    kills: int
    answered: int
    resent: int
    sessions: int
    samples: int
    faults: list[str]


async def kill_again_and_again(data: Path, *extra: str, kills: int, stations: int = 12, seed: int = 1) -> Result:
    """The whole experiment: `kills` SIGKILLs under load, then a quiet end and the count."""
    random = Random(seed)
    http, ocpp = csms_process.free_port(), csms_process.free_port()

    def start() -> csms_process.Csms:
        return csms_process.start(data, "--lab", "--api-rate", "0", *extra, http=http, ocpp=ocpp)

    server = await asyncio.to_thread(start)
    fleet = [Station(f"KILL-{n:02d}", lambda: server.ocpp, Random(seed * 1000 + n)) for n in range(stations)]
    enough = asyncio.Event()

    async def live(station: Station) -> None:
        while not enough.is_set():
            await station.session()

    tasks = [asyncio.create_task(live(station)) for station in fleet]
    try:
        for _ in range(kills):
            await asyncio.sleep(random.uniform(0.05, 0.6))
            await asyncio.to_thread(server.kill)
            server = await asyncio.to_thread(start)
            for task in tasks:
                if task.done():
                    task.result()
        enough.set()
        async with asyncio.timeout(60):
            await asyncio.gather(*tasks)
        faults = await compare(server, fleet)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.gather(*(station.close() for station in fleet))
        if server.process.poll() is None:
            server.process.terminate()
            await asyncio.to_thread(server.process.wait)
    return Result(
        kills,
        sum(station.answered for station in fleet),
        sum(station.resent for station in fleet),
        sum(len(station.sessions) for station in fleet),
        sum(len(truth.stamps) for station in fleet for truth in station.sessions),
        faults,
    )


async def compare(server: csms_process.Csms, fleet: list[Station]) -> list[str]:
    """Every difference between what the stations were answered and what the API tells; empty is what is wanted."""
    faults: list[str] = []
    async with httpx.AsyncClient(base_url=f"{server.http}/api/v1", timeout=30) as http:
        for station in fleet:
            kept: list[dict[str, Any]] = []
            cursor: str | None = None
            while True:
                params = {"station": station.name, "limit": 100} | ({"cursor": cursor} if cursor else {})
                page = (await http.get("/sessions", params=params)).raise_for_status().json()
                kept += page["items"]
                if (cursor := page["next"]) is None:
                    break
            kept.sort(key=lambda each: (each["started_at"], each["meter_start_wh"]))
            if len(kept) != len(station.sessions):
                faults.append(f"{station.name}: {len(station.sessions)} sessions answered, {len(kept)} kept")
                continue
            for truth, session in zip(station.sessions, kept, strict=True):
                faults += [f"{station.name} {session['id']}: {fault}" for fault in await differ(http, truth, session)]
    return faults


async def differ(http: httpx.AsyncClient, truth: Truth, session: dict[str, Any]) -> list[str]:
    faults: list[str] = []
    for field_name, wanted in (
        ("meter_start_wh", truth.meter_start),
        ("meter_stop_wh", truth.meter_stop),
        ("energy_wh", truth.meter_stop - truth.meter_start),
        ("status", "ended"),
    ):
        if session[field_name] != wanted:
            faults.append(f"{field_name} is {session[field_name]}, should be {wanted}")
    samples = (await http.get(f"/sessions/{session['id']}/samples")).raise_for_status().json()["items"]
    stamps = Counter(
        datetime.fromisoformat(each["time"]) for each in samples if each["measurand"] == "Energy.Active.Import.Register"
    )
    for stamp in truth.stamps:
        found = stamps[datetime.fromisoformat(stamp)]
        if found != 1:
            faults.append(f"the meter value of {stamp} is kept {found} times")
    return faults
