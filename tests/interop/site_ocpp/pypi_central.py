"""A central system as the README of PyPI `ocpp` writes one. It knows nothing of local controllers.

Its schema validation is on, so every message that the box hands on or makes is judged by an independent implementation.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call_result as result16
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call_result as result201


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Seen:
    """What it was told, in order, typed and as frames."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, Any]]] = []
        self.frames: list[str] = []
        self.ids: list[str] = []
        self.changed = asyncio.Event()
        self.peers: list[Any] = []
        self.requests: list[Any] = []
        self.status = "Accepted"
        self.transactions = 4710

    def add(self, action: str, fields: dict[str, Any]) -> None:
        self.rows.append((action, fields))
        self.changed.set()

    def of(self, action: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.rows if name == action]

    @property
    def csms(self) -> Any:
        return self.peers[-1]

    async def until(self, condition: Callable[[], Any], what: str = "") -> Any:
        """Wait with the patience that a busy machine needs."""
        try:
            async with asyncio.timeout(60):
                while not (value := condition()):
                    self.changed.clear()
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(self.changed.wait(), 0.1)
                return value
        except TimeoutError:
            raise AssertionError(f"waited in vain for {what}; last heard: {self.rows[-5:]}") from None


def central(version: str, seen: Seen) -> type[Any]:
    if version == "1.6":

        class Csms16(ChargePoint16):
            @on("BootNotification")
            def boot(self, **fields: Any) -> Any:
                seen.add("BootNotification", fields)
                return result16.BootNotification(current_time=now(), interval=300, status="Accepted")

            @on("Heartbeat")
            def heartbeat(self) -> Any:
                return result16.Heartbeat(current_time=now())

            @on("StatusNotification")
            def status(self, **fields: Any) -> Any:
                seen.add("StatusNotification", fields)
                return result16.StatusNotification()

            @on("Authorize")
            def authorize(self, **fields: Any) -> Any:
                seen.add("Authorize", fields)
                return result16.Authorize(id_tag_info={"status": seen.status})

            @on("StartTransaction")
            def begin(self, **fields: Any) -> Any:
                seen.transactions += 1
                seen.add("StartTransaction", fields | {"transaction_id": seen.transactions})
                return result16.StartTransaction(transaction_id=seen.transactions, id_tag_info={"status": seen.status})

            @on("MeterValues")
            def meter_values(self, **fields: Any) -> Any:
                seen.add("MeterValues", fields)
                return result16.MeterValues()

            @on("StopTransaction")
            def end(self, **fields: Any) -> Any:
                seen.add("StopTransaction", fields)
                return result16.StopTransaction()

            @on("DiagnosticsStatusNotification")
            def diagnostics(self, **fields: Any) -> Any:
                seen.add("DiagnosticsStatusNotification", fields)
                return result16.DiagnosticsStatusNotification()

            @on("DataTransfer")
            def transfer(self, **fields: Any) -> Any:
                seen.add("DataTransfer", fields)
                return result16.DataTransfer(status="Accepted", data="ü \t 1.50")

        return Csms16

    class Csms201(ChargePoint201):
        @on("BootNotification")
        def boot(self, **fields: Any) -> Any:
            seen.add("BootNotification", fields)
            return result201.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("Heartbeat")
        def heartbeat(self, **fields: Any) -> Any:
            return result201.Heartbeat(current_time=now())

        @on("StatusNotification")
        def status(self, **fields: Any) -> Any:
            seen.add("StatusNotification", fields)
            return result201.StatusNotification()

        @on("Authorize")
        def authorize(self, **fields: Any) -> Any:
            seen.add("Authorize", fields)
            return result201.Authorize(id_token_info={"status": seen.status})

        @on("TransactionEvent")
        def event(self, **fields: Any) -> Any:
            seen.add("TransactionEvent", fields)
            info = {"id_token_info": {"status": seen.status}} if "id_token" in fields else {}
            return result201.TransactionEvent(**info)

        @on("MeterValues")
        def meter_values(self, **fields: Any) -> Any:
            seen.add("MeterValues", fields)
            return result201.MeterValues()

        @on("LogStatusNotification")
        def log(self, **fields: Any) -> Any:
            seen.add("LogStatusNotification", fields)
            return result201.LogStatusNotification()

        @on("NotifyReport")
        def report(self, **fields: Any) -> Any:
            seen.add("NotifyReport", fields)
            return result201.NotifyReport()

        @on("NotifyEvent")
        def notify(self, **fields: Any) -> Any:
            seen.add("NotifyEvent", fields)
            return result201.NotifyEvent()

        @on("SecurityEventNotification")
        def security(self, **fields: Any) -> Any:
            seen.add("SecurityEventNotification", fields)
            return result201.SecurityEventNotification()

        @on("DataTransfer")
        def transfer(self, **fields: Any) -> Any:
            seen.add("DataTransfer", fields)
            return result201.DataTransfer(status="Accepted", data={"n": 1.5})

    return Csms201


class _Taped:
    """The connection as `ocpp` reads it, with a copy of what came."""

    def __init__(self, connection: Any, seen: Seen) -> None:
        self._connection = connection
        self._seen = seen

    async def recv(self) -> Any:
        frame = await self._connection.recv()
        self._seen.frames.append(frame)
        return frame

    async def send(self, frame: str) -> None:
        await self._connection.send(frame)


@contextlib.asynccontextmanager
async def served(version: str, seen: Seen, port: int = 0) -> AsyncIterator[int]:
    """It listens; gives the port."""
    kind = central(version, seen)

    async def connected(connection: Any) -> None:
        seen.requests.append(connection.request)
        peer = kind("CS 1", _Taped(connection, seen))
        seen.peers.append(peer)
        seen.changed.set()
        with contextlib.suppress(websockets.ConnectionClosed):
            await peer.start()

    async with websockets.serve(
        connected,
        "127.0.0.1",
        port,
        subprotocols=[f"ocpp{version}"],  # type: ignore[list-item]
    ) as server:
        yield next(iter(server.sockets)).getsockname()[1]
