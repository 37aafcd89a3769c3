"""`pilotwire site run` as a process that is killed: its Modbus chargers at a CSMS, and orders from outside."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets
from bench.ports import free_port
from ocpp.v16 import call as call16
from ocpp.v201 import call as call201
from pymodbus.client import AsyncModbusTcpClient
from tests.interop import csms_process
from tests.station.test_interop_pypi_csms import KINDS, Log

from pilotwire.cli.main import main
from pilotwire.core.time import Timer
from pilotwire.site.devices.behaviour import ChargerBehaviour, ContactsBehaviour
from pilotwire.site.devices.load import find_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.runtime import SteadyScheduler

PATIENCE = 90.0
ROOT = Path(__file__).resolve().parents[2]
ENVIRONMENT = os.environ | {"PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}"}
CHARGER = "phoenix-charx-sec"
BETWEEN_WH = 14
"""What 22 kW are in the two seconds that state and register may be read apart."""


class Plant:
    """Simulated devices behind Modbus TCP, in this process."""

    def __init__(self) -> None:
        self._simulators: list[Simulator] = []
        self.ports: list[int] = []
        self.inside: list[Any] = []
        self._timer: Timer | None = None

    async def add(self, *devices: str) -> None:
        scheduler = SteadyScheduler()
        for name in devices:
            simulator = Simulator(scheduler)
            self.inside.append(simulator.add(find_device(name)))
            self._simulators.append(simulator)
            self.ports.append(await simulator.listen())
        meter, chargers = self.inside[0], [each for each in self.inside if isinstance(each, ChargerBehaviour)]

        def flow() -> None:
            """The meter shows what the cars draw, and 2 A of a building."""
            now = int(scheduler.now())
            ma = sum(int(each.step(now).get("current_l1_ma", 0)) for each in chargers) + 2_000 + now % 7
            meter.loads = (ma * 230, ma * 230, ma * 230)
            self._timer = scheduler.call_later(200, flow)

        flow()

    def register(self, at: int) -> int:
        simulator, inside = self._simulators[at], self.inside[at]
        shown = simulator.bank.get(simulator.layout(inside), "energy_import_wh")
        assert isinstance(shown, int)
        return shown

    async def close(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        for each in self._simulators:
            await each.close()


@contextlib.asynccontextmanager
async def plant(*devices: str) -> AsyncIterator[Plant]:
    made = Plant()
    try:
        await made.add(*devices)
        yield made
    finally:
        await made.close()


class Run:
    """The process, and the newest line that it printed."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._process: asyncio.subprocess.Process | None = None
        self._task: asyncio.Task[None] | None = None
        self.line: dict[str, Any] = {}
        self.said: list[str] = []

    async def start(self) -> None:
        self.line = {}
        self._process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "pilotwire", "site", "run", str(self._file), "--data", str(self._file.parent),
            "--json", cwd=ROOT, env=ENVIRONMENT, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
            limit=1 << 20,
        )  # fmt: skip
        self._task = asyncio.create_task(self._read(self._process))

    async def _read(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        async for line in process.stdout:
            if line.startswith(b"{"):
                self.line = json.loads(line)
            elif line.strip():
                self.said.append(line.decode().strip())

    def value(self, evse: str) -> int:
        return self.line.get("evses", {}).get(evse, {}).get("value", -1)

    async def until(self, wanted: Callable[[], Any]) -> None:
        try:
            async with asyncio.timeout(PATIENCE):
                while not wanted():
                    assert self._process is not None
                    assert self._process.returncode is None, "\n".join(self.said[-20:])
                    await asyncio.sleep(0.05)
        except TimeoutError:
            raise AssertionError(f"{self.line}\n" + "\n".join(self.said[-20:])) from None

    async def kill(self) -> None:
        """SIGKILL."""
        await self._over(signal.SIGKILL)

    async def end(self) -> None:
        if self._process is not None and self._process.returncode is None:
            await self._over(signal.SIGTERM)
            assert self._process.returncode == 0, "\n".join(self.said[-20:])

    async def _over(self, how: signal.Signals) -> None:
        assert self._process is not None and self._task is not None
        self._process.send_signal(how)
        await asyncio.wait_for(self._process.wait(), PATIENCE)
        await self._task


class Foreign:
    """A CSMS on PyPI `ocpp`."""

    def __init__(self, log: Log) -> None:
        self.log = log
        self.url = ""
        self.peers: list[Any] = []


@contextlib.asynccontextmanager
async def foreign(version: str) -> AsyncIterator[Foreign]:
    subprotocol, kind, _ = KINDS[version]
    here = Foreign(Log())

    async def connected(connection: Any) -> None:
        credentials = connection.request.headers["Authorization"].split()[1]
        user, _, secret = base64.b64decode(credentials).decode().partition(":")
        assert secret == f"secret of {user}!" and connection.request.path == f"/ocpp/{user}"
        peer = kind(user, connection, here.log)
        here.peers.append(peer)
        with contextlib.suppress(websockets.ConnectionClosed):
            await peer.start()

    async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=[subprotocol]) as server:
        here.url = f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ocpp"
        yield here


def meter(log: Log, version: str, kind: str) -> list[int]:
    """The registers in the begins or ends that were heard."""
    if version == "1.6":
        name, field = ("StartTransaction", "meter_start") if kind == "Started" else ("StopTransaction", "meter_stop")
        return [row[field] for row in log.of(name)]
    found: list[int] = []
    for row in log.of("TransactionEvent"):
        if row["event_type"] == kind:
            values = [v for each in row["meter_value"] for v in each["sampled_value"]]
            found.append([int(v["value"]) for v in values if "Register" in v.get("measurand", "Register")][-1])
    return found


def limited(version: str) -> Any:
    """No more than 9 A, by the central system."""
    if version == "1.6":
        return call16.SetChargingProfile(
            connector_id=1,
            cs_charging_profiles={
                "chargingProfileId": 7, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
                "chargingProfileKind": "Relative",
                "chargingSchedule": {
                    "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}],
                },
            },
        )  # fmt: skip
    return call201.SetChargingProfile(
        evse_id=1,
        charging_profile={  # type: ignore[arg-type]
            "id": 7, "stackLevel": 0, "chargingProfilePurpose": "TxDefaultProfile",
            "chargingProfileKind": "Relative",
            "chargingSchedule": [{
                "id": 1, "chargingRateUnit": "A", "chargingSchedulePeriod": [{"startPeriod": 0, "limit": 9.0}],
            }],
        },
    )  # fmt: skip


def site_file(folder: Path, here: Plant, gateway: str) -> Path:
    """One meter, then chargers at one node."""
    file = folder / "site.yaml"
    evses = "".join(
        f"  - {{id: bay-{at}, node: grid, rotation: RST, maximum_a: 32, "
        f"charger: {{file: {CHARGER}, endpoint: 'tcp://127.0.0.1:{port}'}}}}\n"
        for at, port in enumerate(here.ports[1:], 1)
    )
    file.write_text(
        "site: {id: joined}\n"
        "nodes: [{id: grid, kind: connection, meter: main, side_lost_a: 10, "
        "limits: [{source: fuse, current_a: 63}]}]\n"
        f"devices:\n  - {{id: main, kind: meter, file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:{here.ports[0]}'}}\n"
        f"log: {{flush_s: 1}}\nevses:\n{evses}{gateway}"
    )
    return file


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_modbus_chargers_are_stations_of_a_foreign_csms_over_a_sigkill(version: str, tmp_path: Path) -> None:
    async with plant("eastron-sdm630", CHARGER, CHARGER) as here, foreign(version) as csms:
        first, second = here.inside[1:]
        assert isinstance(first, ChargerBehaviour) and isinstance(second, ChargerBehaviour)
        first.car_ma = second.car_ma = 32_000
        (tmp_path / "pw.txt").write_text("secret of PW-1!\n")
        run = Run(
            site_file(
                tmp_path, here,
                f"gateway: [{{identity: PW-1, url: '{csms.url}', version: {version}, evses: [bay-1], "
                "password_file: pw.txt}]\n",
            )
        )  # fmt: skip
        log = csms.log
        await run.start()
        try:
            await log.until(lambda: log.of("BootNotification") and log.of("StatusNotification"), PATIENCE)
            began = here.register(1)
            second.plugged = True
            await run.until(lambda: run.value("bay-2") > 6_000)
            assert run.value("bay-1") == 0, "who has a station waits for a session"
            first.plugged = True
            await log.until(lambda: meter(log, version, "Started"), PATIENCE)
            await run.until(lambda: run.value("bay-1") > 9_000)
            answer = await csms.peers[-1].call(limited(version))
            assert answer.status == "Accepted"
            await run.until(lambda: run.value("bay-1") == 9_000)
            assert "PW-1" in run.line["evses"]["bay-1"]["reason"]
            assert run.value("bay-2") > 9_000, "the other one may have more"
            register = here.register(1)
            await run.until(lambda: here.register(1) > register)
            await run.kill()
            killed = here.register(1)
            while here.register(1) < killed + 3:
                await asyncio.sleep(0.05)  # the charger goes on
            await run.start()
            await run.until(lambda: run.value("bay-1") >= 0)
            assert run.value("bay-1") <= 9_000, "what the central system allows is known from the first tick on"
            await run.until(lambda: run.value("bay-1") == 9_000)
            await log.until(lambda: len(log.of("BootNotification")) == 2, PATIENCE)
            first.plugged = False
            await log.until(lambda: meter(log, version, "Ended"), PATIENCE)
        finally:
            await run.end()
        assert meter(log, version, "Started") == [began]
        (over,) = meter(log, version, "Ended")
        assert 0 <= here.register(1) - over <= BETWEEN_WH
        assert over >= killed, "what flowed while nobody looked is in the session"


async def test_our_csms_has_the_sessions_of_both_versions(tmp_path: Path) -> None:
    with csms_process.running(tmp_path / "csms", "--lab", "--no-demo") as csms:
        async with plant("eastron-sdm630", CHARGER, CHARGER) as here:
            rows = "".join(
                f"  - {{identity: PW-{at}, url: '{csms.ocpp}', version: {version}, evses: [bay-{at}]}}\n"
                for at, version in ((1, "1.6"), (2, "2.0.1"))
            )
            run = Run(site_file(tmp_path, here, f"gateway:\n{rows}"))

            async def ended(station: str) -> dict[str, Any] | None:
                answer: Any = await asyncio.to_thread(csms.get, "/sessions")
                found = [each for each in answer["items"] if each["station_id"] == station]
                return next((each for each in found if each["status"] == "ended"), None)

            await run.start()
            try:
                await run.until(lambda: run.line and run.value("bay-1") == run.value("bay-2") == 0)
                began = [here.register(at) for at in (1, 2)]
                for each in here.inside[1:]:
                    each.car_ma, each.plugged = 32_000, True
                await run.until(lambda: all(here.register(at) >= began[at - 1] + 3 for at in (1, 2)))
                for each in here.inside[1:]:
                    each.plugged = False
                async with asyncio.timeout(PATIENCE):
                    while not (await ended("PW-1") and await ended("PW-2")):
                        await asyncio.sleep(0.3)
            finally:
                await run.end()
            for at in (1, 2):
                found = await ended(f"PW-{at}")
                assert found is not None
                assert found["meter_start_wh"] == began[at - 1]
                assert 0 <= here.register(at) - found["meter_stop_wh"] <= BETWEEN_WH


GRID = """
steering: {{steuve: [{{node: grid, devices: [bay-1, bay-2]}}]}}
modbus_servers: [{{listen: "127.0.0.1:{port}", writers: [127.0.0.1]}}]
telecontrol:
  contacts: [{{id: w4, device: io, point: input_1}}]
  receivers: [{{id: box, source: grid operator, node: grid, dims: w4}}]
  registers:
    - {{id: rtu, source: control room, node: grid, limits: import, meaning: kw, maximum: 500, unit: 9,
       listen: "127.0.0.1:{rtu}", writers: [127.0.0.1], watchdog_s: 600}}
"""


async def test_orders_outlive_a_sigkill_and_are_on_record(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with plant("eastron-sdm630", CHARGER, CHARGER, "moxa-iologik-e1210") as here:
        contacts = here.inside.pop()
        io = here.ports.pop()
        assert isinstance(contacts, ContactsBehaviour)
        port, rtu = free_port(), free_port()
        file = site_file(tmp_path, here, GRID.format(port=port, rtu=rtu))
        device = f"  - {{id: io, kind: contacts, file: moxa-iologik-e1210, endpoint: 'tcp://127.0.0.1:{io}'}}\n"
        file.write_text(file.read_text().replace("devices:\n", f"devices:\n{device}"))
        for each in here.inside[1:]:
            each.plugged, each.car_ma = True, 32_000
        run = Run(file)

        async def write(where: int, address: int, values: list[int], unit: int) -> bool:
            client = AsyncModbusTcpClient("127.0.0.1", port=where, timeout=30)
            assert await client.connect()
            try:
                return not (await client.write_registers(address, values, device_id=unit)).isError()
            finally:
                client.close()

        def both() -> int:
            return run.value("bay-1") + run.value("bay-2")

        await run.start()
        try:
            await run.until(lambda: both() > 40_000)
            none = 0xFFFF
            assert await write(port, 200, [none, none, 160, 160, 160, 600, none, 1], 1), "16 A in all, for ten minutes"
            assert not await write(port, 1080, [70_000 & 0xFFFF, 9], 1), "no such value"
            await run.until(lambda: 0 < both() <= 16_000)
            contacts.closed = {1}
            await run.until(lambda: "grid operator" in json.dumps(run.line) or both() <= 12_000)
            await run.kill()
            await run.start()
            await run.until(lambda: both() >= 0)
            assert both() <= 16_000, "from the first tick on"
            contacts.closed = set()
            await run.until(lambda: 12_000 < both() <= 16_000)
            assert await write(port, 200, [none, none, none, none, none, 1, none, 2], 1), "no limit any more"
            await run.until(lambda: both() > 40_000)
            assert await write(rtu, 0, [6], 9)
            await run.until(lambda: both() * 690 <= 6_000_000)
        finally:
            await run.end()
    folder = tmp_path / "joined"
    capsys.readouterr()
    assert main(["site", "audit", str(folder)]) == 0
    said = capsys.readouterr().out
    assert "modbus 127.0.0.1  unit 1: registers 200 to 207 = 65535, 65535, 160, 160, 160, 600, 65535, 1" in said
    assert "unit 9: registers 0 to 0 = 6" in said
    assert main(["site", "audit", str(folder), "--refused", "--json"]) == 0
    (refused,) = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert refused["by"] == "modbus 127.0.0.1" and refused["refused"]
    assert main(["site", "interventions", str(folder)]) == 0
    said = capsys.readouterr().out
    assert said.count("steuve limit") == 1 and said.count("import limit") == 1, said
    assert "grid operator" in said and "control room" in said
