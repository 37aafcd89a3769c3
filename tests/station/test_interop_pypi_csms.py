"""Our station against a central system that is not ours: PyPI `ocpp` over `websockets`, on loopback sockets.

Its schema validation is on, so every message of the station is judged by an independent implementation.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
from datetime import UTC, datetime
from random import Random
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

from pilotwire.station.config import StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.runtime import LoopScheduler, SystemIds
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE


def now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


class Log:
    """What the central system has seen; tests wait on it."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, dict[str, Any]]] = []
        self._changed = asyncio.Event()
        self.errors: list[Exception] = []

    def add(self, action: str, fields: dict[str, Any]) -> None:
        self.rows.append((action, fields))
        self._changed.set()

    def of(self, action: str) -> list[dict[str, Any]]:
        return [fields for name, fields in self.rows if name == action]

    async def until(self, condition: Any, seconds: float = 20.0) -> None:
        async with asyncio.timeout(seconds):
            while not condition():
                self._changed.clear()
                await self._changed.wait()


class Csms16(ChargePoint16):
    def __init__(self, identity: str, connection: Any, log: Log) -> None:
        super().__init__(identity, connection)
        self.log = log

    @on("BootNotification")
    def boot(self, **fields: Any) -> Any:
        self.log.add("BootNotification", fields)
        return result16.BootNotification(current_time=now(), interval=300, status="Accepted")

    @on("Heartbeat")
    def heartbeat(self, **fields: Any) -> Any:
        self.log.add("Heartbeat", fields)
        return result16.Heartbeat(current_time=now())

    @on("StatusNotification")
    def status(self, **fields: Any) -> Any:
        self.log.add("StatusNotification", fields)
        return result16.StatusNotification()

    @on("Authorize")
    def authorize(self, **fields: Any) -> Any:
        self.log.add("Authorize", fields)
        return result16.Authorize(id_tag_info={"status": "Accepted"})

    @on("StartTransaction")
    def start_transaction(self, **fields: Any) -> Any:
        self.log.add("StartTransaction", fields)
        return result16.StartTransaction(transaction_id=4711, id_tag_info={"status": "Accepted"})

    @on("MeterValues")
    def meter_values(self, **fields: Any) -> Any:
        self.log.add("MeterValues", fields)
        return result16.MeterValues()

    @on("StopTransaction")
    def stop_transaction(self, **fields: Any) -> Any:
        self.log.add("StopTransaction", fields)
        return result16.StopTransaction()


def csms_2(base: Any, result: Any) -> Any:
    class Csms(base):
        def __init__(self, identity: str, connection: Any, log: Log) -> None:
            super().__init__(identity, connection)
            self.log = log

        @on("BootNotification")
        def boot(self, **fields: Any) -> Any:
            self.log.add("BootNotification", fields)
            return result.BootNotification(current_time=now(), interval=300, status="Accepted")

        @on("Heartbeat")
        def heartbeat(self, **fields: Any) -> Any:
            self.log.add("Heartbeat", fields)
            return result.Heartbeat(current_time=now())

        @on("StatusNotification")
        def status(self, **fields: Any) -> Any:
            self.log.add("StatusNotification", fields)
            return result.StatusNotification()

        @on("Authorize")
        def authorize(self, **fields: Any) -> Any:
            self.log.add("Authorize", fields)
            return result.Authorize(id_token_info={"status": "Accepted"})

        @on("TransactionEvent")
        def transaction_event(self, **fields: Any) -> Any:
            self.log.add("TransactionEvent", fields)
            info = {"id_token_info": {"status": "Accepted"}} if "id_token" in fields else {}
            return result.TransactionEvent(**info)

        @on("NotifyReport")
        def notify_report(self, **fields: Any) -> Any:
            self.log.add("NotifyReport", fields)
            return result.NotifyReport()

    return Csms


KINDS = {
    "1.6": ("ocpp1.6", Csms16, call16),
    "2.0.1": ("ocpp2.0.1", csms_2(ChargePoint201, result201), call201),
    "2.1": ("ocpp2.1", csms_2(ChargePoint21, result21), call21),
}


class Site:
    """A foreign central system and one of our stations, connected."""

    def __init__(self, station: Station, log: Log, peers: list[Any]) -> None:
        self.station = station
        self.log = log
        self.peers = peers

    @property
    def csms(self) -> Any:
        return self.peers[-1]


@contextlib.asynccontextmanager
async def site(version: str) -> Any:
    subprotocol, kind, _ = KINDS[version]
    log = Log()
    peers: list[Any] = []
    paths: list[str] = []

    async def connected(connection: Any) -> None:
        request = connection.request
        paths.append(request.path)
        user, _, password = base64.b64decode(request.headers["Authorization"].split()[1]).decode().partition(":")
        assert (user, password) == ("CS|1", "secret-of-station")
        peer = kind(user, connection, log)
        peers.append(peer)
        with contextlib.suppress(websockets.ConnectionClosed):
            await peer.start()

    async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=[subprotocol]) as server:
        port = server.sockets[0].getsockname()[1]
        dialer = LoopDialer(f"ws://127.0.0.1:{port}/ocpp/CS%7C1", user="CS|1", password=b"secret-of-station")
        station = Station(
            StationConfig(
                identity="CS|1",
                version=version,  # type: ignore[arg-type]
                settings={"sample_interval": "1", "backoff_minimum": "1", "backoff_random": "0"},
                reboot_ms=200,
            ),
            LoopScheduler(),
            dialer,
            SystemIds(),
            Random(1),
            MemoryStorage(),
        )
        station.power_on()
        try:
            yield Site(station, log, peers)
        finally:
            station.shut_down()
            await asyncio.sleep(0.05)
    assert set(paths) == {"/ocpp/CS%7C1"}


@pytest.mark.parametrize("version", list(KINDS))
async def test_boot_authorize_charge_and_stop(version: str) -> None:
    async with site(version) as here:
        station, log = here.station, here.log
        await log.until(lambda: log.of("StatusNotification"))
        station.plug(1, Vehicle(CATALOGUE["compact three-phase 22 kW"], 300))
        station.tap(1, "AA11BB22")
        await log.until(
            lambda: len(log.of("MeterValues")) >= 2 if version == "1.6" else len(log.of("TransactionEvent")) >= 4
        )
        station.tap(1, "AA11BB22")
        if version == "1.6":
            await log.until(lambda: log.of("StopTransaction"))
            stop = log.of("StopTransaction")[0]
            assert stop["transaction_id"] == 4711
            assert stop["meter_stop"] == station.truth[0].register_end > 0
            assert log.of("MeterValues")[0]["transaction_id"] == 4711
        else:
            await log.until(lambda: log.of("TransactionEvent")[-1]["event_type"] == "Ended")
            events = log.of("TransactionEvent")
            assert [e["seq_no"] for e in events] == list(range(len(events)))
            assert events[-1]["meter_value"][-1]["sampled_value"][0]["value"] == station.truth[0].register_end > 0
        station.unplug(1)
        assert log.of("Authorize")
        assert station.conversation.counts.refused == 0
        await asyncio.sleep(0.1)
        assert not len(station.outbox)


@pytest.mark.parametrize("version", list(KINDS))
async def test_remote_control_and_a_reboot(version: str) -> None:
    _, _, call = KINDS[version]
    async with site(version) as here:
        station, log = here.station, here.log
        await log.until(lambda: log.of("StatusNotification"))
        station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
        if version == "1.6":
            answer = await here.csms.call(call.RemoteStartTransaction(connector_id=1, id_tag="REMOTE"))
            await log.until(lambda: log.of("StartTransaction"))
        else:
            answer = await here.csms.call(
                call.RequestStartTransaction(
                    evse_id=1, remote_start_id=5, id_token={"id_token": "REMOTE", "type": "Central"}
                )
            )
            await log.until(lambda: log.of("TransactionEvent"))
            assert log.of("TransactionEvent")[0]["transaction_info"]["remote_start_id"] == 5
        assert answer.status == "Accepted"
        await asyncio.sleep(0.2)
        schedule = {
            "charging_rate_unit": "A",
            "charging_schedule_period": [{"start_period": 0, "limit": 8.1}],
        }
        profile: dict[str, Any] = {
            "stack_level": 1,
            "charging_profile_purpose": "TxDefaultProfile",
            "charging_profile_kind": "Relative",
        }
        if version == "1.6":
            profile |= {"charging_profile_id": 1, "charging_schedule": schedule}
            request = call.SetChargingProfile(connector_id=1, cs_charging_profiles=profile)
        else:
            profile |= {"id": 1, "charging_schedule": [{"id": 1, **schedule}]}
            request = call.SetChargingProfile(evse_id=1, charging_profile=profile)
        assert (await here.csms.call(request)).status == "Accepted"
        await asyncio.sleep(0.1)
        assert station.evses[0].meter.currents == (8_100,) * 3
        if version == "1.6":
            answer = await here.csms.call(call.GetConfiguration())
            assert len(answer.configuration_key) > 40 and not answer.unknown_key
            composite = await here.csms.call(call.GetCompositeSchedule(connector_id=1, duration=600))
            assert float(composite.charging_schedule["charging_schedule_period"][0]["limit"]) == 8.1
        else:
            answer = await here.csms.call(call.GetBaseReport(request_id=1, report_base="FullInventory"))
            await log.until(lambda: log.of("NotifyReport") and not log.of("NotifyReport")[-1].get("tbc"))
            composite = await here.csms.call(call.GetCompositeSchedule(evse_id=1, duration=600))
            assert composite.schedule["charging_schedule_period"][0]["limit"] == 8.1
        reset = await here.csms.call(call.Reset(type="Hard" if version == "1.6" else "Immediate"))
        assert reset.status == "Accepted"
        await log.until(lambda: len(log.of("BootNotification")) == 2)
        [truth] = station.truth
        if version == "1.6":
            assert log.of("StopTransaction")[0]["meter_stop"] == truth.register_end
            assert log.of("StopTransaction")[0]["reason"] == "HardReset"
        else:
            ended = log.of("TransactionEvent")[-1]
            assert ended["transaction_info"]["stopped_reason"] == "ImmediateReset"
            assert log.of("BootNotification")[1]["reason"] == "RemoteReset"


@pytest.mark.parametrize("version", list(KINDS))
async def test_a_lost_connection_comes_back_and_delivers(version: str) -> None:
    async with site(version) as here:
        station, log = here.station, here.log
        await log.until(lambda: log.of("StatusNotification"))
        station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 300))
        station.tap(1, "AA11")
        await log.until(lambda: log.of("StartTransaction") or log.of("TransactionEvent"))
        here.csms._connection.transport.abort()
        await asyncio.sleep(0.1)
        assert not station.online
        station.tap(1, "AA11")
        station.unplug(1)
        if version == "1.6":
            await log.until(lambda: log.of("StopTransaction"))
            assert log.of("StopTransaction")[0]["meter_stop"] == station.truth[0].register_end
        else:
            await log.until(lambda: log.of("TransactionEvent")[-1]["event_type"] == "Ended")
            assert log.of("TransactionEvent")[-1]["offline"] is True
        assert len(here.peers) == 2 and len(log.of("BootNotification")) == 1
