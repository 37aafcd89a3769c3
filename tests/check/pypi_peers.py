"""A central system and a station that are not ours: PyPI `ocpp` over `websockets`, as its README writes them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import websockets
from ocpp.exceptions import OCPPError
from ocpp.routing import after, on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

from pilotwire.check import drive

BASE: dict[str, Any] = {"1.6": ChargePoint16, "2.0.1": ChargePoint201, "2.1": ChargePoint21}
CALL: dict[str, Any] = {"1.6": call16, "2.0.1": call201, "2.1": call21}
RESULT: dict[str, Any] = {"1.6": result16, "2.0.1": result201, "2.1": result21}


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def central(version: str) -> Any:
    """A class of central systems that know how to boot, to beat, to authorize and to take what they are told."""
    result = RESULT[version]

    class Central(BASE[version]):
        @on("BootNotification")
        def boot(self, **_: Any) -> Any:
            return result.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("Heartbeat")
        def heartbeat(self, **_: Any) -> Any:
            return result.Heartbeat(current_time=now())

        @on("StatusNotification")
        def status(self, **_: Any) -> Any:
            return result.StatusNotification()

        @on("Authorize")
        def authorize(self, **_: Any) -> Any:
            if version == "1.6":
                return result.Authorize(id_tag_info={"status": "Accepted"})
            return result.Authorize(id_token_info={"status": "Accepted"})

    return Central


class Operator(drive.Nobody):
    """Whoever operates such a central system: has it call the station that is connected."""

    def __init__(self, version: str) -> None:
        self._version = version
        self.peer: Any = None

    async def ask(self, action: str, payload: Mapping[str, Any], station: str) -> None:
        if payload:
            raise drive.Cannot(f"this operator sends no {action} with anything in it")
        with contextlib.suppress(OCPPError, TimeoutError):  # what it makes of the answer is for the frames to tell
            await self.peer.call(getattr(CALL[self._version], action)())


@asynccontextmanager
async def serving(version: str, operator: Operator) -> AsyncIterator[str]:
    """Such a central system listens; gives its address."""

    async def connected(connection: websockets.ServerConnection) -> None:
        assert connection.request is not None
        peer = central(version)(connection.request.path.rpartition("/")[2], connection, response_timeout=1)
        operator.peer = peer
        with contextlib.suppress(websockets.ConnectionClosed):
            await peer.start()

    server = websockets.serve(
        connected, "127.0.0.1", 0, subprotocols=[websockets.Subprotocol(f"ocpp{version}")], ping_interval=None
    )
    async with server as running:
        yield f"ws://127.0.0.1:{running.sockets[0].getsockname()[1]}"


def station(version: str) -> Any:
    """A class of stations that have a cache to clear, and can be told to send a Heartbeat."""
    call, result = CALL[version], RESULT[version]

    class Station(BASE[version]):
        @on("ClearCache")
        def clear_cache(self, **_: Any) -> Any:
            return result.ClearCache(status="Accepted")

        @on("TriggerMessage")
        def trigger(self, **_: Any) -> Any:
            return result.TriggerMessage(status="Accepted")

        @after("TriggerMessage")
        async def triggered(self, **_: Any) -> None:
            with contextlib.suppress(OCPPError):
                await self.call(call.Heartbeat())

    class Newer(Station):
        @on("GetTransactionStatus")
        def transaction_status(self, **_: Any) -> Any:
            return result.GetTransactionStatus(messages_in_queue=False)

    return Station if version == "1.6" else Newer


def first_words(version: str) -> list[Any]:
    """What a station says before anything else."""
    call = CALL[version]
    if version == "1.6":
        boot = call.BootNotification(charge_point_vendor="Elsewhere", charge_point_model="One")
        status = call.StatusNotification(connector_id=1, error_code="NoError", status="Available")
    else:
        boot = call.BootNotification(reason="PowerUp", charging_station={"vendor_name": "Elsewhere", "model": "One"})
        status = call.StatusNotification(timestamp=now(), connector_status="Available", evse_id=1, connector_id=1)
    return [boot, status]


@asynccontextmanager
async def connected_station(version: str, url: str) -> AsyncIterator[None]:
    """Such a station is connected to `url` and booted."""
    subprotocols = [websockets.Subprotocol(f"ocpp{version}")]
    async with websockets.connect(f"{url}/ELSEWHERE", subprotocols=subprotocols, ping_interval=None) as connection:
        peer = station(version)("ELSEWHERE", connection)
        reading = asyncio.create_task(peer.start())
        try:
            for words in first_words(version):
                await peer.call(words)
            yield
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)
