"""Our local controller between our station and a central system on PyPI `ocpp` that knows nothing of it."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import sys
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

import pytest
from ocpp.v16 import call as _call16
from ocpp.v201 import call as _call201

from pilotwire.site.ocpp.config import ControllerConfig, KnownStation, Upstream
from pilotwire.site.ocpp.live import LiveController
from pilotwire.station.config import StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.runtime import LoopScheduler, SystemIds
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

sys.path.insert(0, str(Path(__file__).parent))
from pypi_central import Seen, served

call16: Any = _call16
call201: Any = _call201

PASSWORD = b"secret-of-station"
VERSIONS = ("1.6", "2.0.1")


class Here(NamedTuple):
    station: Station
    seen: Seen
    live: LiveController
    url: str


def _car() -> Vehicle:
    return Vehicle(CATALOGUE["compact three-phase 22 kW"], 300)


def _config(url: str, **known: Any) -> ControllerConfig:
    return ControllerConfig(
        upstreams=(Upstream(name="main", url=url),),
        stations=(KnownStation(identity="CS 1", password_sha256=sha256(PASSWORD).hexdigest(), **known),),
        backoff_s=1,
        backoff_random_s=0,
        backoff_repeats=0,
    )


@contextlib.asynccontextmanager
async def site(version: str, path: Path, upstream_version: str = "", **known: Any) -> AsyncIterator[Here]:
    seen = Seen()
    async with served(upstream_version or version, seen) as port:
        live = LiveController(_config(f"ws://127.0.0.1:{port}/steve/ws", **known), path / "forwarding.sqlite")
        await live.start("127.0.0.1", 0)
        url = f"ws://127.0.0.1:{live.port}/ocpp/CS%201"
        station = Station(
            StationConfig(
                identity="CS 1",
                version=version,  # type: ignore[arg-type]
                settings={"sample_interval": "1", "backoff_minimum": "1", "backoff_random": "0"},
                reboot_ms=200,
            ),
            LoopScheduler(),
            LoopDialer(url, user="CS 1", password=PASSWORD, compress=True),
            SystemIds(),
            Random(1),
            MemoryStorage(),
        )
        station.power_on()
        try:
            await seen.until(lambda: seen.of("StatusNotification"), "a station that has come up")
            yield Here(station, seen, live, url)
        finally:
            station.shut_down()
            await live.stop(0.1)


@pytest.mark.parametrize("version", VERSIONS)
async def test_sessions(version: str, tmp_path: Path) -> None:
    async with site(version, tmp_path) as (station, seen, live, _):
        station.plug(1, _car())
        station.tap(1, "AA11BB22", "ISO14443")
        begun = "StartTransaction" if version == "1.6" else "TransactionEvent"
        await seen.until(lambda: seen.of(begun), begun)
        await seen.until(lambda: len(seen.of("MeterValues" if version == "1.6" else begun)) >= 3, "readings")
        station.tap(1, "AA11BB22", "ISO14443")
        if version == "1.6":
            (stop,) = await seen.until(lambda: seen.of("StopTransaction"), "the stop")
            assert stop["transaction_id"] == 4711
            assert stop["meter_stop"] == station.truth[0].register_end
        else:
            await seen.until(lambda: seen.of(begun)[-1]["event_type"] == "Ended", "the end")
            assert [row["seq_no"] for row in seen.of(begun)] == list(range(len(seen.of(begun))))
        # The upstream sees the station's own name, path and password; nothing was answered in its place.
        assert {request.path for request in seen.requests} == {"/steve/ws/CS%201"}
        credentials = base64.b64decode(seen.requests[0].headers["Authorization"].split()[1])
        assert credentials == b"CS 1:" + PASSWORD
        assert live.controller.counters.answered_here == 0
        assert station.conversation.counts.refused == 0


@pytest.mark.parametrize("version", VERSIONS)
async def test_remote_control_smart_charging_and_diagnostics(version: str, tmp_path: Path) -> None:
    async with site(version, tmp_path) as (station, seen, _, _):
        station.plug(1, _car())
        schedule = {"charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 8.1}]}
        profile: dict[str, Any] = {
            "stack_level": 1, "charging_profile_purpose": "TxDefaultProfile", "charging_profile_kind": "Relative",
        }  # fmt: skip
        if version == "1.6":
            started = await seen.csms.call(call16.RemoteStartTransaction(connector_id=1, id_tag="REMOTE"))
            (begun,) = await seen.until(lambda: seen.of("StartTransaction"), "the start")
            profile |= {"charging_profile_id": 1, "charging_schedule": schedule}
            limited = await seen.csms.call(call16.SetChargingProfile(connector_id=1, cs_charging_profiles=profile))
            composite = await seen.csms.call(call16.GetCompositeSchedule(connector_id=1, duration=600))
            limit = composite.charging_schedule["charging_schedule_period"][0]["limit"]
            log = await seen.csms.call(call16.GetDiagnostics(location="ftp://127.0.0.1/upload"))
            assert log.file_name
            await seen.until(lambda: seen.of("DiagnosticsStatusNotification"), "the state of the upload")
            stopped = await seen.csms.call(call16.RemoteStopTransaction(transaction_id=begun["transaction_id"]))
            await seen.until(lambda: seen.of("StopTransaction"), "the stop")
        else:
            started = await seen.csms.call(
                call201.RequestStartTransaction(
                    evse_id=1, remote_start_id=5, id_token={"id_token": "REMOTE", "type": "Central"}
                )
            )
            await seen.until(lambda: seen.of("TransactionEvent"), "the start")
            begun = seen.of("TransactionEvent")[0]
            assert begun["transaction_info"]["remote_start_id"] == 5
            profile |= {"id": 1, "charging_schedule": [{"id": 1, **schedule}]}
            limited = await seen.csms.call(call201.SetChargingProfile(evse_id=1, charging_profile=profile))
            composite = await seen.csms.call(call201.GetCompositeSchedule(evse_id=1, duration=600))
            limit = composite.schedule["charging_schedule_period"][0]["limit"]
            log = await seen.csms.call(
                call201.GetLog(
                    log={"remote_location": "ftp://127.0.0.1/upload"}, log_type="DiagnosticsLog", request_id=3
                )
            )
            assert log.status == "Accepted"
            await seen.until(lambda: seen.of("LogStatusNotification"), "the state of the upload")
            await seen.csms.call(call201.GetBaseReport(request_id=1, report_base="FullInventory"))
            await seen.until(lambda: seen.of("NotifyReport") and not seen.of("NotifyReport")[-1].get("tbc"), "it all")
            stopped = await seen.csms.call(
                call201.RequestStopTransaction(transaction_id=begun["transaction_info"]["transaction_id"])
            )
            await seen.until(lambda: seen.of("TransactionEvent")[-1]["event_type"] == "Ended", "the end")
        assert (started.status, limited.status, stopped.status) == ("Accepted",) * 3
        assert float(limit) == 8.1


class _Taped:
    def __init__(self) -> None:
        self.frames: list[bytes] = []
        self.link: Any = None
        self.came = asyncio.Event()

    def opened(self, link: Any) -> None:
        self.link = link

    def frame(self, data: bytes) -> None:
        self.frames.append(bytes(data))
        self.came.set()

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None: ...


@pytest.mark.parametrize("version", VERSIONS)
async def test_custom_messages_byte_for_byte(version: str, tmp_path: Path) -> None:
    """What the station says, as the central system's socket gives it; and what that one answers, as the station's."""
    async with site(version, tmp_path) as (station, seen, _, url):
        station.power_off()
        receiver = _Taped()
        dialed: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        LoopDialer(url, user="CS 1", password=PASSWORD, compress=True).dial(
            receiver, (f"ocpp{version}",), dialed.set_result
        )
        assert (await dialed).status == 101
        await asyncio.sleep(0)
        inner = '"\\u00fc \\t 1.50"' if version == "1.6" else '{"deep":[1.50,{"x":1e3}]}'
        said = '[2,"odd-1",  "DataTransfer",{"messageId":"m" , "vendorId":"V","data":' + inner + "}]"
        before = len(seen.frames)
        receiver.link.send(said.encode())
        await seen.until(lambda: receiver.frames, "the answer")
        assert seen.frames[before:] == [said]
        # An action that PyPI `ocpp` does not know is refused by it, and that refusal comes back as it is.
        receiver.came.clear()
        receiver.link.send(b'[2,"odd-2","Invented",{"a" : 1.0}]')
        await seen.until(lambda: len(receiver.frames) == 2, "the refusal")
        assert seen.frames[-1] == '[2,"odd-2","Invented",{"a" : 1.0}]'
        assert receiver.frames[1].startswith(b'[4,"odd-2","Not')
        # Downwards: exactly what the library writes.
        tape: list[str] = []
        connection = seen.csms._connection
        send = connection.send

        async def taped(frame: str) -> None:
            tape.append(frame)
            await send(frame)

        connection.send = taped
        call = call16 if version == "1.6" else call201
        asking = asyncio.create_task(seen.csms.call(call.DataTransfer(vendor_id="Ü", message_id="m", data="1.50")))
        await seen.until(lambda: len(receiver.frames) == 3, "the question")
        assert receiver.frames[2].decode() == tape[0]
        message_id = tape[0].split('"')[1]
        answer = f'[3,  "{message_id}" ,{{"data":"\\u0041","status":"Accepted"}}]'
        receiver.link.send(answer.encode())
        assert (await asking).data == "A"
        assert seen.frames[-1] == answer


async def test_a_station_of_16_at_a_central_system_of_201(tmp_path: Path) -> None:
    """PyPI `ocpp` validates every message against the schemas of 2.0.1; the station speaks 1.6."""
    async with site("1.6", tmp_path, "2.0.1", present_as="2.0.1") as (station, seen, _, _):
        station.plug(1, _car())
        started = await seen.csms.call(
            call201.RequestStartTransaction(
                evse_id=1, remote_start_id=5, id_token={"id_token": "REMOTE", "type": "Central"}
            )
        )
        assert started.status == "Accepted"
        await seen.until(lambda: len(seen.of("TransactionEvent")) >= 4, "readings")
        begun = seen.of("TransactionEvent")[0]
        assert (begun["event_type"], begun["transaction_info"]["remote_start_id"]) == ("Started", 5)
        schedule = {"id": 1, "charging_rate_unit": "A", "charging_schedule_period": [{"start_period": 0, "limit": 8.1}]}
        profile = {
            "id": 1, "stack_level": 1, "charging_profile_purpose": "TxDefaultProfile",
            "charging_profile_kind": "Relative", "charging_schedule": [schedule],
        }  # fmt: skip
        limited = await seen.csms.call(call201.SetChargingProfile(evse_id=1, charging_profile=profile))
        assert limited.status == "Accepted"
        composite = await seen.csms.call(call201.GetCompositeSchedule(evse_id=1, duration=600))
        assert composite.schedule["charging_schedule_period"][0]["limit"] == 8.1
        variable = {"component": {"name": "OCPPCommCtrlr"}, "variable": {"name": "HeartbeatInterval"}}
        read = await seen.csms.call(call201.GetVariables(get_variable_data=[variable]))
        assert read.get_variable_result[0]["attribute_value"] == "300"
        await seen.csms.call(call201.GetBaseReport(request_id=1, report_base="FullInventory"))
        await seen.until(lambda: seen.of("NotifyReport") and not seen.of("NotifyReport")[-1].get("tbc"), "it all")
        name = begun["transaction_info"]["transaction_id"]
        stopped = await seen.csms.call(call201.RequestStopTransaction(transaction_id=name))
        assert stopped.status == "Accepted"
        await seen.until(lambda: seen.of("TransactionEvent")[-1]["event_type"] == "Ended", "the end")
        assert [row["seq_no"] for row in seen.of("TransactionEvent")] == list(range(len(seen.of("TransactionEvent"))))


@pytest.mark.parametrize("version", VERSIONS)
async def test_the_upstream_goes_and_comes_back(version: str, tmp_path: Path) -> None:
    """Not one message of the hour in between is missing, with the times at which things happened."""
    seen = Seen()
    async with served(version, seen) as port:
        pass  # so there is a port, and nobody there
    live = LiveController(_config(f"ws://127.0.0.1:{port}/steve/ws"), tmp_path / "forwarding.sqlite")
    live.controller.book.learn("AA11", "Accepted", "")
    await live.start("127.0.0.1", 0)
    station = Station(
        StationConfig(
            identity="CS 1",
            version=version,  # type: ignore[arg-type]
            settings={"sample_interval": "1", "backoff_minimum": "1", "backoff_random": "0"},
        ),
        LoopScheduler(),
        LoopDialer(f"ws://127.0.0.1:{live.port}/ocpp/CS%201", user="CS 1", password=PASSWORD),
        SystemIds(),
        Random(1),
        MemoryStorage(),
    )
    station.power_on()
    try:
        await seen.until(lambda: station.online, "the station, let in by the box")
        station.plug(1, _car())
        station.tap(1, "AA11", "ISO14443")
        await seen.until(lambda: live.controller.status().queued >= 6, "messages that wait")
        station.tap(1, "AA11", "ISO14443")
        await seen.until(lambda: not len(station.outbox), "the box to have taken everything")
        async with served(version, seen, port):
            await seen.until(lambda: seen.rows and live.controller.status().queued == 0, "the queue")
    finally:
        station.shut_down()
        await live.stop(0.1)
    assert seen.rows[0][0] == "BootNotification"
    if version == "1.6":
        (begun,), (ended,) = seen.of("StartTransaction"), seen.of("StopTransaction")
        assert ended["transaction_id"] == begun["transaction_id"] == 4711
        assert {row["transaction_id"] for row in seen.of("MeterValues")} == {4711}
        stamps = [begun["timestamp"], *(row["meter_value"][0]["timestamp"] for row in seen.of("MeterValues"))]
        assert stamps == sorted(stamps)
    else:
        events = seen.of("TransactionEvent")
        assert [row["seq_no"] for row in events] == list(range(len(events)))
        assert all(row["offline"] for row in events)


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_box_that_is_killed_again_and_again(version: str, tmp_path: Path) -> None:
    """A process of its own under SIGKILL, while the upstream is away and while the queue is told."""
    seen = Seen()
    async with served(version, seen) as port:
        pass
    store = tmp_path / "forwarding.sqlite"

    async def box(number: int) -> tuple[Any, int]:
        script = Path(__file__).with_name("box_process.py")
        process = await asyncio.create_subprocess_exec(
            sys.executable, str(script), str(store), str(number), f"ws://127.0.0.1:{port}/steve/ws",
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert process.stdout is not None
        async with asyncio.timeout(60):
            line = (await process.stdout.readline()).split()
        assert line and line[0] == b"ready", f"the box ended with {process.returncode}"
        return process, int(line[1])

    process, at = await box(0)
    station = Station(
        StationConfig(
            identity="CS 1",
            version=version,  # type: ignore[arg-type]
            settings={
                "sample_interval": "1",
                "backoff_minimum": "0",
                "backoff_random": "0",
                "aligned_interval": "0",
                "attempt_interval": "1",
            },
        ),
        LoopScheduler(),
        LoopDialer(f"ws://127.0.0.1:{at}/ocpp/CS%201", user="CS 1", password=PASSWORD),
        SystemIds(),
        Random(1),
        MemoryStorage(),
    )
    station.power_on()
    try:
        await seen.until(lambda: station.online, "the station, let in by the box")
        for number in range(3):
            station.plug(1, _car())
            station.tap(1, "AA11", "ISO14443")
            for _ in range(2):
                await asyncio.sleep(0.35 + 0.2 * number)
                process.kill()
                await process.wait()
                process, _ = await box(at)
            station.tap(1, "AA11", "ISO14443")
            station.unplug(1)
            await seen.until(lambda: not len(station.outbox), "the box to have taken everything")
        async with served(version, seen, port):
            await seen.until(lambda: seen.of("StartTransaction") or seen.of("TransactionEvent"), "the first of it")
            process.kill()
            await process.wait()
            process, _ = await box(at)
            last = "StopTransaction" if version == "1.6" else "TransactionEvent"

            def over() -> bool:
                if version == "1.6":
                    return len(seen.of(last)) >= 3
                return sum(row["event_type"] == "Ended" for row in seen.of(last)) >= 3

            await seen.until(over, "the end of the third session")
            await asyncio.sleep(0.3)
    finally:
        station.shut_down()
        if process.returncode is None:
            process.kill()
            await process.wait()
    _check(version, seen, station)


def _check(version: str, seen: Seen, station: Station) -> None:
    """Repetitions under the same messageId are what the standard knows; beyond them everything is there once."""
    import json

    once: dict[str, Any] = {}
    for text in seen.frames:
        frame = json.loads(text)
        if frame[0] == 2:
            known = once.setdefault(frame[1], frame[2:])
            assert known == frame[2:] or frame[2] == "StopTransaction" or frame[2] == "MeterValues"
    truth = station.truth
    assert len(truth) == 3
    heard = [(action, payload) for action, payload in once.values()]
    if version == "1.6":
        starts = [payload for action, payload in heard if action == "StartTransaction"]
        stops = [payload for action, payload in heard if action == "StopTransaction"]
        values = [payload["meterValue"][0]["timestamp"] for action, payload in heard if action == "MeterValues"]
        assert len(starts) == len(stops) == 3
        assert [row["meterStop"] for row in stops] == [each.register_end for each in truth]
        assert len(values) == len(set(values))
        assert values == sorted(values)
    else:
        events = [payload for action, payload in heard if action == "TransactionEvent"]
        for each in truth:
            rows = [row for row in events if row["transactionInfo"]["transactionId"] == each.transaction]
            assert [row["seqNo"] for row in rows] == list(range(len(rows)))
            assert rows[-1]["eventType"] == "Ended" or any(row["eventType"] == "Ended" for row in rows)
