"""`pilotwire bench`: what this machine can do, in a few seconds and without the repository.

The stations are in this process and there are no sockets, so the figures are of the central system's own work and of
the disk. `make bench` in the repository measures whole servers from outside, against a baseline.
"""

from __future__ import annotations

import asyncio
import json
import os
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from pilotwire.cli import table
from pilotwire.cli.options import add_data, data_dir, parser

if TYPE_CHECKING:
    from pilotwire.csms.connection import Connection
    from pilotwire.storage.port import Store

_SECONDS = 3.0
_STATIONS = {"memory": 100, "disk": 1000}
_START = datetime.now(UTC).replace(microsecond=0)
_VALUES = (
    ("Power.Active.Import", "W", "", "11040.0"),
    ("Current.Import", "A", "L1", "16.01"),
    ("Current.Import", "A", "L2", "15.98"),
    ("Current.Import", "A", "L3", "16.00"),
    ("Voltage", "V", "L1-N", "230.1"),
    ("Voltage", "V", "L2-N", "229.8"),
    ("Voltage", "V", "L3-N", "231.0"),
    ("SoC", "Percent", "", "57"),
)


class Figure(NamedTuple):
    """One line of the table."""

    what: str
    figure: str
    unit: str
    note: str


def main(name: str, arguments: Sequence[str]) -> int:
    options = parser(
        name,
        "Measure what this machine can do: messages a second with the store in memory and on the disk of --data,\n"
        "what a sync of that disk takes, password checks a second. Takes about ten seconds; keeps nothing.",
    )
    add_data(options)
    options.add_argument("--json", action="store_true", help="JSON lines instead of a table")
    options.add_argument(
        "--seconds", type=float, default=_SECONDS, metavar="S", help="of each measurement (%(default)s)"
    )
    chosen = options.parse_args(arguments)
    folder = data_dir(chosen.data)
    figures: list[Figure] = []
    parts: list[tuple[str, Callable[[], list[Figure]]]] = [
        ("messages, store in memory", lambda: [asyncio.run(_messages_in_memory(chosen.seconds))]),
        ("messages, store on disk", lambda: asyncio.run(_messages_on_disk(folder, chosen.seconds))),
        ("syncs of the disk", lambda: [_syncs(folder, chosen.seconds / 3)]),
        ("password checks", lambda: _passwords(chosen.seconds / 3)),
    ]
    for number, (what, measure) in enumerate(parts, 1):
        print(f"[{number}/{len(parts)}] {what} …", file=sys.stderr, flush=True)
        figures += measure()
    columns = {"what": "WHAT", "figure": "FIGURE", "unit": "UNIT", "note": ""}
    table.show([figure._asdict() for figure in figures], columns, as_json=chosen.json, empty="")
    return 0


class _Station:
    """One simulated connection (`Link`): it sends its next MeterValues when told to, or when the last is answered."""

    backlog = 0

    def __init__(self, name: str) -> None:
        self.name = name
        self.connection: Connection | None = None
        self.serial = 0
        self.transaction = 0
        self.answered = 0
        self.on_answer: Callable[[_Station], None] | None = None

    def send(self, frame: bytes) -> None:
        if self.transaction:
            if not frame.startswith(b"[3,"):
                raise RuntimeError(f"not an answer: {frame[:100]!r}")
            self.answered += 1
        elif frame.startswith(b"[3,"):
            self.transaction = json.loads(frame)[2].get("transactionId", 0)
        if self.on_answer is not None:
            self.on_answer(self)

    def close(self, code: int = 1000, reason: str = "") -> None:
        """Nothing to close."""

    def ping(self) -> None:
        """Nobody is asked for a pong here."""

    def pause(self) -> None:
        """One message at a time: there is nothing to hold back."""

    def resume(self) -> None:
        """See `pause`."""

    def call(self, action: str, payload: str) -> None:
        assert self.connection is not None
        self.serial += 1
        self.connection.frame(f'[2,"{self.name}-{self.serial}","{action}",{payload}]'.encode())

    def boot(self) -> None:
        self.call("BootNotification", '{"chargePointVendor":"bench","chargePointModel":"bench"}')

    def start(self) -> None:
        stamp = f"{_START:%Y-%m-%dT%H:%M:%SZ}"
        self.call("StartTransaction", f'{{"connectorId":1,"idTag":"B","meterStart":0,"timestamp":"{stamp}"}}')

    def meter(self) -> None:
        stamp = f"{_START + timedelta(seconds=10 * self.serial):%Y-%m-%dT%H:%M:%SZ}"
        register = f'{{"value":"{30 * self.serial}","measurand":"Energy.Active.Import.Register","unit":"Wh"}}'
        self.call(
            "MeterValues",
            f'{{"connectorId":1,"transactionId":{self.transaction},"meterValue":[{{"timestamp":"{stamp}",'
            f'"sampledValue":[{register},{_REST}]}}]}}',
        )


def _sampled(measurand: str, unit: str, phase: str, value: str) -> str:
    middle = f'"phase":"{phase}",' if phase else ""
    return f'{{"value":"{value}","measurand":"{measurand}",{middle}"unit":"{unit}"}}'


_REST = ",".join(_sampled(*row) for row in _VALUES)


async def in_process(store: Store, count: int) -> list[_Station]:
    """Stations with a running session each, on actors over `store`."""
    from pilotwire.core.ids import DEFAULT_TENANT, StationKey
    from pilotwire.csms.actor import StationActor
    from pilotwire.csms.around import Around, CsmsConfig
    from pilotwire.domain.records import StationAccount
    from pilotwire.transport.bus import LocalBus
    from pilotwire.transport.port import Handshake
    from pilotwire.transport.runtime import LoopScheduler, SystemIds

    around = Around(
        store=store, bus=LocalBus(), scheduler=LoopScheduler(), ids=SystemIds(), config=CsmsConfig(lab=True)
    )
    stations = [_Station(f"BENCH-{number:05d}") for number in range(count)]
    for station in stations:
        key = StationKey(DEFAULT_TENANT, station.name)
        around.accounts.put(StationAccount(tenant=key.tenant, id=key.station))
        handshake = Handshake(
            tenant=key.tenant,
            identity=key.station,
            subprotocol="ocpp1.6",
            user=None,
            password=None,
            peer="127.0.0.1:0",
            tls=False,
        )
        station.connection = StationActor(key, around).connect(handshake, around.speech("1.6"), 0)
        station.connection.opened(station)
        station.boot()
        station.start()
    while not all(station.transaction for station in stations):  # noqa: ASYNC110 - once, before anything is measured
        await asyncio.sleep(0.01)
    return stations


async def _messages_in_memory(seconds: float) -> Figure:
    from pilotwire.storage.memory import MemoryStore

    stations = await in_process(MemoryStore(limit=2_000), _STATIONS["memory"])
    spent = time.process_time()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        for station in stations:
            station.meter()
    spent = time.process_time() - spent
    count = sum(station.answered for station in stations)
    return Figure(
        "MeterValues through the handler", f"{count / spent:,.0f}", "per CPU-second", "9 values each; without sockets"
    )


async def _messages_on_disk(folder: Path, seconds: float) -> list[Figure]:
    from pilotwire.storage.sqlite import SqliteStore

    loop = asyncio.get_running_loop()
    taken: list[float] = []
    with tempfile.TemporaryDirectory(prefix="bench-", dir=folder) as here:
        store = SqliteStore(Path(here) / "bench.db")
        await store.open()
        try:
            stations = await in_process(store, _STATIONS["disk"])
            sent: dict[_Station, float] = {}
            running = True

            def next_one(station: _Station) -> None:
                if running:
                    sent[station] = time.perf_counter()
                    station.meter()

            def answered(station: _Station) -> None:
                taken.append(time.perf_counter() - sent[station])
                loop.call_soon(next_one, station)

            spent, begun = time.process_time(), time.perf_counter()
            for station in stations:
                station.on_answer = answered
                next_one(station)
            await asyncio.sleep(seconds)
            running = False
            spent, wall = time.process_time() - spent, time.perf_counter() - begun
            count = sum(station.answered for station in stations)
            # What is still under way has its answer before the store goes.
            while any(station.answered < station.serial - 2 for station in stations):  # noqa: ASYNC110 - the last
                await asyncio.sleep(0.01)
        finally:
            await store.close()
    note = f"{len(stations)} stations, each waits for its answer"
    return [
        Figure("MeterValues answered after fsync (SQLite)", f"{count / wall:,.0f}", "per second", note),
        Figure("the same", f"{count / spent:,.0f}", "per CPU-second", "all threads"),
        Figure("answer under that full load, median", f"{1000 * median(taken):,.0f}", "ms", f"the disk of {folder}"),
    ]


def _syncs(folder: Path, seconds: float) -> Figure:
    taken: list[float] = []
    with tempfile.TemporaryFile(dir=folder) as file:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            os.write(file.fileno(), bytes(4096))
            begun = time.perf_counter()
            os.fsync(file.fileno())
            taken.append(time.perf_counter() - begun)
    slowest = 1000 * sorted(taken)[int(len(taken) * 0.99)]
    note = f"p99 {slowest:.1f} ms; below 0.1 ms it hardly reaches the disk"
    return Figure("fsync of 4 KiB, median", f"{1000 * median(taken):.2f}", "ms", note)


def _passwords(seconds: float) -> list[Figure]:
    from pilotwire.crypto.passwords import Passwords

    passwords = Passwords(bytes(32))
    machine, human = passwords.hash_station(b"a station's password"), passwords.hash_human("a person's password")
    return [
        Figure(
            "passwords of stations verified",
            f"{_rate(lambda: passwords.verify_station(machine, b'a station'), seconds / 2):,.0f}",
            "per second",
            "one at each handshake",
        ),
        Figure(
            "passwords of people verified",
            f"{_rate(lambda: passwords.verify_human('a person', human), seconds):,.0f}",
            "per second",
            "argon2id, slow by intent",
        ),
    ]


def _rate(work: Callable[[], object], seconds: float) -> float:
    count, begun = 0, time.perf_counter()
    while time.perf_counter() - begun < seconds:
        work()
        count += 1
    return count / (time.perf_counter() - begun)
