"""The unmodified clients of PyPI `ocpp` boot, authorize, charge and stop through `pilotwire csms`, in each version."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import websockets
from ocpp.routing import on
from ocpp.v16 import ChargePoint as Station16
from ocpp.v16 import call as call16
from ocpp.v16 import call_result as result16
from ocpp.v16.enums import RemoteStartStopStatus
from ocpp.v21 import ChargePoint as Station21
from ocpp.v21 import call as call21
from ocpp.v201 import ChargePoint as Station201
from ocpp.v201 import call as call201
from ocpp.v201 import call_result as result201
from tests.interop import csms_process

BEGIN = datetime(2026, 3, 1, 12, tzinfo=UTC)


def at(minutes: int) -> str:
    return (BEGIN + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


@pytest.fixture(scope="module")
def csms(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with csms_process.running(tmp_path_factory.mktemp("interop"), "--lab") as server:
        yield server


class Remote16(Station16):
    @on("RemoteStartTransaction")
    def on_remote_start(self, **_: object) -> result16.RemoteStartTransaction:
        return result16.RemoteStartTransaction(RemoteStartStopStatus.accepted)


class Remote201(Station201):
    @on("GetVariables")
    def on_get_variables(self, get_variable_data: list[dict[str, Any]], **_: object) -> result201.GetVariables:
        rows = [row | {"attribute_status": "Accepted", "attribute_value": "42"} for row in get_variable_data]
        return result201.GetVariables(get_variable_result=rows)


async def converse(station: Any, script: Any) -> None:
    """Run the client's own loop beside the script, as its README does."""
    loop = asyncio.create_task(station.start())
    try:
        async with asyncio.timeout(30):
            await script
    finally:
        loop.cancel()
        await asyncio.gather(loop, return_exceptions=True)


def the_session(csms: Any, station: str) -> dict[str, Any]:
    items = csms.get("/sessions", station=station)["items"]
    assert len(items) == 1
    return items[0]


async def test_16_charges(csms: Any) -> None:
    async with websockets.connect(f"{csms.ocpp}/PY-16", subprotocols=["ocpp1.6"]) as socket:
        station = Remote16("PY-16", socket)

        async def script() -> None:
            boot = await station.call(call16.BootNotification("model", "vendor"))
            assert boot.status == "Accepted"
            await station.call(call16.StatusNotification(1, "NoError", "Available"))
            assert (await station.call(call16.Authorize("TAG-16"))).id_tag_info["status"] == "Accepted"
            begun = await station.call(call16.StartTransaction(1, "TAG-16", 1000, at(0)))
            value = {"value": "1.75", "unit": "kWh", "measurand": "Energy.Active.Import.Register"}
            await station.call(
                call16.MeterValues(1, [{"timestamp": at(5), "sampledValue": [value]}], begun.transaction_id)
            )
            assert the_session(csms, "PY-16")["energy_wh"] == 750
            async with httpx.AsyncClient() as http:
                url = f"{csms.http}/api/v1/stations/PY-16/commands"
                body = {"action": "RemoteStartTransaction", "payload": {"idTag": "TAG-16"}}
                assert (await http.post(url, json=body)).json()["answer"] == {"status": "Accepted"}
            await station.call(call16.StopTransaction(3500, at(30), begun.transaction_id, reason="EVDisconnected"))

        await converse(station, script())
    session = the_session(csms, "PY-16")
    assert (session["status"], session["energy_wh"], session["ocpp_version"]) == ("ended", 2500, "1.6")
    assert (session["meter_start_wh"], session["meter_stop_wh"]) == (1000, 3500)
    assert (session["token"], session["stop_reason"]) == ("TAG-16", "EVDisconnected")


@pytest.mark.parametrize(("version", "base", "call"), [("2.0.1", Remote201, call201), ("2.1", Station21, call21)])
async def test_2x_charges(csms: Any, version: str, base: Any, call: Any) -> None:
    name = f"PY-{version}"
    async with websockets.connect(f"{csms.ocpp}/{name}", subprotocols=[f"ocpp{version}"]) as socket:
        station = base(name, socket)

        def reading(kwh: float, minutes: int, context: str) -> list[dict[str, Any]]:
            value = {"value": kwh, "context": context, "measurand": "Energy.Active.Import.Register"}
            return [{"timestamp": at(minutes), "sampledValue": [value | {"unitOfMeasure": {"unit": "kWh"}}]}]

        def event(kind: str, seq: int, minutes: int, trigger: str, **extra: Any) -> Any:
            info = {"transactionId": "tx-1", **extra.pop("info", {})}
            return call.TransactionEvent(
                event_type=kind,
                timestamp=at(minutes),
                trigger_reason=trigger,
                seq_no=seq,
                transaction_info=info,
                **extra,
            )

        async def script() -> None:
            boot = await station.call(
                call.BootNotification(charging_station={"model": "model", "vendor_name": "vendor"}, reason="PowerUp")
            )
            assert boot.status == "Accepted"
            await station.call(
                call.StatusNotification(timestamp=at(0), connector_status="Occupied", evse_id=1, connector_id=1)
            )
            token = {"idToken": "TAG-2", "type": "ISO14443"}
            assert (await station.call(call.Authorize(token))).id_token_info["status"] == "Accepted"
            evse = {"id": 1, "connectorId": 1}
            begin = reading(10.0, 0, "Transaction.Begin")
            begun = await station.call(
                event("Started", 0, 0, "Authorized", id_token=token, evse=evse, meter_value=begin)
            )
            assert begun.id_token_info["status"] == "Accepted"
            middle = reading(10.9005, 5, "Sample.Periodic")
            await station.call(event("Updated", 1, 5, "MeterValuePeriodic", meter_value=middle))
            if version == "2.0.1":
                async with httpx.AsyncClient() as http:
                    wanted = [{"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}]
                    body = {"action": "GetVariables", "payload": {"getVariableData": wanted}}
                    reply = (await http.post(f"{csms.http}/api/v1/stations/{name}/commands", json=body)).json()
                    assert reply["answer"]["getVariableResult"][0]["attributeValue"] == "42"
            end = reading(12.5, 30, "Transaction.End")
            info = {"stoppedReason": "EVDisconnected"}
            await station.call(event("Ended", 2, 30, "EVCommunicationLost", info=info, meter_value=end))

        await converse(station, script())
    session = the_session(csms, name)
    assert (session["status"], session["energy_wh"], session["ocpp_version"]) == ("ended", 2500, version)
    assert (session["meter_start_wh"], session["meter_stop_wh"]) == (10000, 12500)
    assert (session["token"], session["stop_reason"]) == ("TAG-2", "EVDisconnected")
