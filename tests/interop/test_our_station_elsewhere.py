"""`pilotwire station` as a process against central systems that are not ours: PyPI `ocpp`, its schema validation on."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as ChargePoint16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v21 import ChargePoint as ChargePoint21
from ocpp.v21 import call as call21
from ocpp.v21 import call_result as result21
from ocpp.v201 import ChargePoint as ChargePoint201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201

VERSIONS = ("1.6", "2.0.1", "2.1")
PASSWORD = "secret-of-station"


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Seen:
    """What the central system was told, in order."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, Any]]] = []
        self.changed = asyncio.Event()
        self.peer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self.request: Any = None

    def add(self, action: str, fields: dict[str, Any]) -> None:
        self.rows.append((action, fields))
        self.changed.set()

    def of(self, action: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.rows if name == action]

    async def until(self, condition: Any) -> Any:
        while not (value := condition()):
            self.changed.clear()
            await self.changed.wait()
        return value


def central(version: str, seen: Seen) -> type[Any]:
    """A central system as the README of `ocpp` writes one."""
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
                return result16.Authorize(id_tag_info={"status": "Accepted"})

            @on("StartTransaction")
            def begin(self, **fields: Any) -> Any:
                number = 4711 + len(seen.of("StartTransaction"))
                seen.add("StartTransaction", fields | {"transaction_id": number})
                return result16.StartTransaction(transaction_id=number, id_tag_info={"status": "Accepted"})

            @on("MeterValues")
            def meter_values(self, **fields: Any) -> Any:
                seen.add("MeterValues", fields)
                return result16.MeterValues()

            @on("StopTransaction")
            def end(self, **fields: Any) -> Any:
                seen.add("StopTransaction", fields)
                return result16.StopTransaction()

        return Csms16
    base, result = (ChargePoint201, result201) if version == "2.0.1" else (ChargePoint21, result21)

    class Csms2(base):  # type: ignore[misc,valid-type]
        @on("BootNotification")
        def boot(self, **fields: Any) -> Any:
            seen.add("BootNotification", fields)
            return result.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("Heartbeat")
        def heartbeat(self) -> Any:
            return result.Heartbeat(current_time=now())

        @on("StatusNotification")
        def status(self, **fields: Any) -> Any:
            seen.add("StatusNotification", fields)
            return result.StatusNotification()

        @on("Authorize")
        def authorize(self, **fields: Any) -> Any:
            seen.add("Authorize", fields)
            return result.Authorize(id_token_info={"status": "Accepted"})

        @on("TransactionEvent")
        def event(self, **fields: Any) -> Any:
            seen.add("TransactionEvent", fields)
            return result.TransactionEvent(
                **({"id_token_info": {"status": "Accepted"}} if "id_token" in fields else {})
            )

    return Csms2


@contextlib.asynccontextmanager
async def site(version: str) -> AsyncIterator[Seen]:
    """A foreign central system and our station at it, in a process of its own. Eight bays: a car comes at once."""
    seen = Seen()
    kind = central(version, seen)

    async def connected(connection: Any) -> None:
        seen.request = connection.request
        peer = kind("ELSEWHERE", connection)
        seen.peer.set_result(peer)
        with contextlib.suppress(websockets.ConnectionClosed):
            await peer.start()

    async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=[f"ocpp{version}"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        line = ["station", "--url", f"ws://127.0.0.1:{port}/steve/ws", "--id", "ELSEWHERE", "--version", version]
        line += ["--password", PASSWORD, "--token", "AA11BB22", "--evses", "8", "--quiet"]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pilotwire", *line)
        try:
            async with asyncio.timeout(60):
                yield seen
        finally:
            process.terminate()
            status = await process.wait()
        assert status == 0


def entrance(seen: Seen) -> None:
    """Where it knocked, with what."""
    assert seen.request.path == "/steve/ws/ELSEWHERE"
    credentials = base64.b64decode(seen.request.headers["Authorization"].split()[1]).decode()
    assert credentials == f"ELSEWHERE:{PASSWORD}"


async def test_16_boots_authorizes_charges_and_stops() -> None:
    async with site("1.6") as seen:
        csms = await seen.peer
        begun = (await seen.until(lambda: seen.of("StartTransaction")))[0]
        answer = await csms.call(call16.ChangeConfiguration(key="MeterValueSampleInterval", value="1"))
        assert answer.status == "Accepted"
        number = begun["transaction_id"]
        values = await seen.until(
            lambda: [row for row in seen.of("MeterValues") if row.get("transaction_id") == number]
        )
        assert (await csms.call(call16.RemoteStopTransaction(transaction_id=number))).status == "Accepted"
        ended = (
            await seen.until(lambda: [row for row in seen.of("StopTransaction") if row["transaction_id"] == number])
        )[0]
    entrance(seen)
    assert seen.rows[0][0] == "BootNotification"
    boot = seen.of("BootNotification")
    assert len(boot) == 1 and boot[0]["charge_point_vendor"] == "Pilotwire"
    assert {row["connector_id"] for row in seen.of("StatusNotification")} >= set(range(9))
    assert seen.of("Authorize")[0] == {"id_tag": "AA11BB22"}
    assert begun["id_tag"] == ended.get("id_tag", "AA11BB22") == "AA11BB22"
    assert ended["reason"] == "Remote"
    assert ended["meter_stop"] >= begun["meter_start"] >= 0
    assert ended["timestamp"] > begun["timestamp"]
    assert values[0]["connector_id"] == begun["connector_id"]


@pytest.mark.parametrize("version", ["2.0.1", "2.1"])
async def test_2x_boots_authorizes_charges_and_stops(version: str) -> None:
    call = call201 if version == "2.0.1" else call21
    async with site(version) as seen:
        csms = await seen.peer

        def of(transaction: str | None, kind: str) -> list[dict[str, Any]]:
            return [
                row
                for row in seen.of("TransactionEvent")
                if row["event_type"] == kind and transaction in (None, row["transaction_info"]["transaction_id"])
            ]

        begun = (await seen.until(lambda: of(None, "Started")))[0]
        number = begun["transaction_info"]["transaction_id"]
        variable = {"component": {"name": "SampledDataCtrlr"}, "variable": {"name": "TxUpdatedInterval"}}
        answer = await csms.call(call.SetVariables(set_variable_data=[variable | {"attribute_value": "1"}]))
        assert answer.set_variable_result[0]["attribute_status"] == "Accepted"
        await seen.until(
            lambda: [row for row in of(number, "Updated") if row["trigger_reason"] == "MeterValuePeriodic"]
        )
        assert (await csms.call(call.RequestStopTransaction(transaction_id=number))).status == "Accepted"
        ended = (await seen.until(lambda: of(number, "Ended")))[0]
        events = [row for row in seen.of("TransactionEvent") if row["transaction_info"]["transaction_id"] == number]
    entrance(seen)
    assert seen.rows[0][0] == "BootNotification"
    boot = seen.of("BootNotification")
    assert len(boot) == 1 and boot[0]["charging_station"]["vendor_name"] == "Pilotwire"
    assert boot[0]["reason"] == "PowerUp"
    assert {row["evse_id"] for row in seen.of("StatusNotification")} == set(range(1, 9))
    assert seen.of("Authorize")[0]["id_token"]["id_token"] == "AA11BB22"
    assert [row["seq_no"] for row in events] == list(range(len(events)))
    assert [row["event_type"] for row in events] == ["Started", *["Updated"] * (len(events) - 2), "Ended"]
    assert any(row.get("id_token", {}).get("id_token") == "AA11BB22" for row in events)
    assert (ended["trigger_reason"], ended["transaction_info"]["stopped_reason"]) == ("RemoteStop", "Remote")
    assert sorted(row["timestamp"] for row in events) == [row["timestamp"] for row in events]


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_central_system_without_this_version_is_left_alone(version: str) -> None:
    """It does not get to a WebSocket: the station says nothing, and ends with status 1."""
    other = "ocpp1.6" if version != "1.6" else "ocpp2.0.1"
    heard: list[Any] = []

    async def connected(connection: Any) -> None:
        with contextlib.suppress(websockets.ConnectionClosed):
            heard.append(await connection.recv())

    tried = asyncio.Event()

    def look(connection: Any, request: Any) -> None:
        assert request.headers["Sec-WebSocket-Protocol"] == f"ocpp{version}"
        tried.set()

    async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=[other], process_request=look) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        line = ["station", "--url", f"ws://127.0.0.1:{port}", "--version", version, "--quiet"]
        process = await asyncio.create_subprocess_exec(sys.executable, "-m", "pilotwire", *line)
        async with asyncio.timeout(30):
            await tried.wait()
            await asyncio.sleep(0.2)
            process.terminate()
            assert await process.wait() == 1
    assert not heard
