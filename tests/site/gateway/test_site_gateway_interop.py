"""A simulated charger behind Modbus TCP, the gateway as a process that is killed, and central systems: one on PyPI
`ocpp` that knows nothing of it, and ours."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import itertools
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import websockets
from tests.interop import csms_process
from tests.site.gateway.box import DEVICE, PASSWORD
from tests.station.test_interop_pypi_csms import KINDS, Log

from pilotwire.site.devices.behaviour import ChargerBehaviour
from pilotwire.site.devices.load import load_device
from pilotwire.site.devices.simulator import Simulator
from pilotwire.transport.runtime import SteadyScheduler

PATIENCE = 60.0
BOX = Path(__file__).parent / "box.py"


class Box:
    """The process."""

    def __init__(self, *line: str) -> None:
        self._line = line
        self._process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        self._process = await asyncio.create_subprocess_exec(sys.executable, str(BOX), *self._line)

    def kill(self) -> None:
        """SIGKILL."""
        assert self._process is not None
        self._process.kill()

    async def dead(self) -> None:
        assert self._process is not None
        await self._process.wait()

    async def end(self) -> None:
        assert self._process is not None
        if self._process.returncode is None:
            self._process.terminate()
            assert await asyncio.wait_for(self._process.wait(), PATIENCE) == 0


class Fatal(Log):
    """What the CSMS heard. It can kill whoever says something, before the answer is on its way."""

    def __init__(self) -> None:
        super().__init__()
        self._action, self._kill = "", lambda: None
        self.died_of: dict[str, Any] | None = None

    def kill_at(self, action: str, kill: Callable[[], None]) -> None:
        """As soon as the next of these is heard."""
        self._action, self._kill = action, kill

    def add(self, action: str, fields: dict[str, Any]) -> None:
        if action == self._action:
            self._action, self.died_of = "", fields
            self._kill()
        super().add(action, fields)


@contextlib.asynccontextmanager
async def charger() -> AsyncIterator[tuple[int, ChargerBehaviour, Callable[[], int]]]:
    """Its port, what is inside, and what its energy register shows."""
    simulator = Simulator(SteadyScheduler())
    inside = simulator.add(load_device(DEVICE))
    assert isinstance(inside, ChargerBehaviour)
    inside.car_ma = 32_000
    port = await simulator.listen()

    def register() -> int:
        shown = simulator.bank.get(simulator.layout(inside), "energy_import_wh")
        assert isinstance(shown, int)
        return shown

    try:
        yield port, inside, register
    finally:
        await simulator.close()


@contextlib.asynccontextmanager
async def foreign(version: str) -> AsyncIterator[tuple[str, Fatal]]:
    """A CSMS on PyPI `ocpp`: its address, and what it has heard."""
    subprotocol, kind, _ = KINDS[version]
    log = Fatal()

    async def connected(connection: Any) -> None:
        credentials = connection.request.headers["Authorization"].split()[1]
        assert base64.b64decode(credentials).partition(b":")[::2] == (b"GW-1", PASSWORD)
        with contextlib.suppress(websockets.ConnectionClosed):
            await kind("GW-1", connection, log).start()

    async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=[subprotocol]) as server:
        yield f"ws://127.0.0.1:{next(iter(server.sockets)).getsockname()[1]}/ocpp", log


async def held_back(inside: ChargerBehaviour) -> None:
    """As it is delivered, it lets everybody charge, until the box has told it not to."""
    async with asyncio.timeout(PATIENCE):
        while inside.offered_ma:
            await asyncio.sleep(0.02)


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


@pytest.mark.parametrize("version", ["1.6", "2.0.1"])
async def test_a_whole_session_over_a_sigkill_at_a_foreign_csms(version: str, tmp_path: Path):
    """It is killed while an answer is on its way, so it must say that again, and nothing else."""
    said = "MeterValues" if version == "1.6" else "TransactionEvent"
    async with charger() as (port, inside, register), foreign(version) as (url, log):
        box = Box(str(port), url, version, str(tmp_path / "box.db"))
        await box.start()
        try:
            await log.until(lambda: log.of("StatusNotification"), PATIENCE)
            await held_back(inside)
            began = register()
            inside.plugged = True
            await log.until(lambda: meter(log, version, "Started"), PATIENCE)
            while register() < began + 3:
                await asyncio.sleep(0.05)
            log.kill_at(said, box.kill)
            await log.until(lambda: log.died_of, PATIENCE)
            await box.dead()
            killed = register()
            while register() < killed + 6:
                await asyncio.sleep(0.05)
            assert register() > killed, "the charger goes on"
            await box.start()
            await log.until(lambda: len(log.of("BootNotification")) == 2, PATIENCE)
            values = len(log.rows)
            await log.until(lambda: len(log.rows) >= values + 2, PATIENCE)
            inside.plugged = False
            await log.until(lambda: meter(log, version, "Ended"), PATIENCE)
        finally:
            await box.end()
        assert meter(log, version, "Started") == [began] and meter(log, version, "Ended") == [register()]
        heard = log.of(said)
        again = [next_ for one, next_ in itertools.pairwise(heard) if one == next_]
        assert again == [log.died_of] and heard.count(log.died_of) == 2
        if version == "1.6":
            (begin,), (end,) = log.of("StartTransaction"), log.of("StopTransaction")
            assert begin["id_tag"] == "4A2B6C1D" and end["transaction_id"] == 4711
        else:
            numbers = [each["seq_no"] for each in heard if each is not log.died_of]
            assert numbers == list(range(len(numbers)))
            assert len({each["transaction_info"]["transaction_id"] for each in heard}) == 1


async def test_our_csms_has_the_sessions(tmp_path: Path):
    """Both versions at the same time, each with a charger of its own."""

    async def session(version: str) -> tuple[int, int]:
        async with charger() as (port, inside, register):
            box = Box(str(port), csms.ocpp, version, str(tmp_path / f"{version}.db"), f"GW-{version}")
            await box.start()
            try:
                await held_back(inside)
                began = register()
                inside.plugged = True
                async with asyncio.timeout(PATIENCE):
                    while register() < began + 4:
                        await asyncio.sleep(0.05)
                    inside.plugged = False
                    while not await ended(f"GW-{version}"):
                        await asyncio.sleep(0.2)
            finally:
                await box.end()
            return began, register()

    async def ended(station: str) -> dict[str, Any] | None:
        answer: Any = await asyncio.to_thread(csms.get, "/sessions")
        return next((x for x in answer["items"] if x["station_id"] == station and x["status"] == "ended"), None)

    with csms_process.running(tmp_path / "csms", "--lab", "--no-demo") as csms:
        registers = await asyncio.gather(session("1.6"), session("2.0.1"))
        for version, (began, over) in zip(("1.6", "2.0.1"), registers, strict=True):
            found = await ended(f"GW-{version}")
            assert found is not None and found["token"] == "4A2B6C1D" and found["evse"] == 1
            assert (found["meter_start_wh"], found["meter_stop_wh"]) == (began, over)
            assert found["energy_wh"] == over - began >= 4
