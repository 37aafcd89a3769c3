"""A roll-out of signed firmware to a whole fleet in simulated time, with the real station program, the real central
system, the file server's own code and the worker that does roll-outs.

    python -m tests.soak --only rollout

Every station fetches the image by its own link, verifies who has signed it, and boots with it, unless it is one of the
bad ones: those tell a failure, fall silent, come back as they were, or do not come back. The server is killed in the
middle. In the end what is kept of the roll-out is held against what every station really runs.
"""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import httpx
import msgspec
from tests.crypto.firmware_kit import Manufacturer, image
from tests.simulation.world import MINUTE, SECOND, VERSIONS, Life, drive

from pilotwire.api import types
from pilotwire.api.access import system
from pilotwire.api.app import create_app
from pilotwire.api.context import ApiContext
from pilotwire.api.firmware_worker import FirmwareWorker
from pilotwire.api.happenings import tasks
from pilotwire.api.resources import firmware, rollouts
from pilotwire.core.ids import DEFAULT_TENANT, SeededIds
from pilotwire.core.time import SimScheduler, to_datetime
from pilotwire.csms.around import silent
from pilotwire.csms.service import CentralSystem, CsmsConfig
from pilotwire.domain.records import Token
from pilotwire.domain.trust import ANCHORS, TrustAnchor
from pilotwire.station.config import Quirks, StationConfig
from pilotwire.station.keystore import MANUFACTURER_ROOT
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage import documents
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus
from pilotwire.transport.memory import MemoryNetwork
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

FAULTS = ("install", "silent", "old-version", "gone", "download")
OLD, NEW = "1.0.0", "2.0.0"
STEP_S = 5
LONGEST_S = 40 * 3600


class Report(msgspec.Struct, kw_only=True):
    """What a run came to."""

    stations: int
    bad: int
    status: str
    why: str
    stage: int
    installed: int
    failed: int
    silent: int
    pending: int
    """Stations that nobody has touched."""
    fetched: int
    """Files that were fetched over HTTP."""
    hours: float
    kills: int
    faults: list[str]


class _Files:
    """How one station gets at files: by HTTP, at the file server's own code."""

    def __init__(self, rollout: Rollout) -> None:
        self._rollout = rollout

    def fetch(self, url: str, done: Any) -> None:
        self._rollout.spawn(self._fetch(url, done))

    async def _fetch(self, url: str, done: Any) -> None:
        answer = await self._rollout.http.get(url)
        self._rollout.fetched += answer.status_code == 200
        found = answer.content if answer.status_code == 200 else None
        self._rollout.scheduler.call_later(2 * SECOND, lambda: done(found))

    def leave(self, url: str, name: str, data: bytes, done: Any) -> None:
        raise NotImplementedError("nobody asks for logs here")

    def publish(self, name: str, data: bytes) -> list[str]:
        return []

    def withdraw(self, name: str) -> bool:
        return True


class _NoPasswords:
    def hash_human(self, password: str) -> str:
        return ""

    def verify_human(self, password: str, verifier: str) -> bool:
        return False

    def hash_station(self, password: bytes) -> str:
        return ""


class Rollout:
    """See the module. `share`: how many of a hundred stations are bad."""

    def __init__(
        self,
        stations: int,
        *,
        seed: int = 1,
        share: float = 2.0,
        kill: bool = True,
        policy: types.RolloutPolicy | None = None,
    ) -> None:
        self._random = Random(seed)
        self.scheduler = SimScheduler()
        self._start = int(self.scheduler.now())
        self.network = MemoryNetwork(self.scheduler, latency_ms=30)
        self.store = MemoryStore(scheduler=self.scheduler, delay_ms=20)
        self._ids = SeededIds(seed + 2, self.scheduler.now)
        self._kill_wanted = kill
        self._policy = policy or types.RolloutPolicy(watch_s=900, silent_s=900, wait_s=7200)
        self.maker = Manufacturer(to_datetime(self._start))
        self.fetched = self.kills = 0
        self._fetches: set[asyncio.Task[None]] = set()
        drive(self.store.open())
        anchor = TrustAnchor(name="Voltwerk", use="manufacturer", certificate=self.maker.root)
        drive(self.store.write_documents(DEFAULT_TENANT, [documents.put(ANCHORS, "voltwerk", anchor)]))
        drive(self.store.put_token(Token(tenant=DEFAULT_TENANT, token="TAG")))
        bad = set(self._random.sample(range(stations), round(stations * share / 100)))
        self.bad = {f"FW-{number:04d}" for number in bad}
        self.stations = [self._add(number, number in bad) for number in range(stations)]

    def _add(self, number: int, bad: bool) -> Station:
        identity = f"FW-{number:04d}"
        fault = self._random.choice(FAULTS) if bad else ""
        station = Station(
            StationConfig(
                identity=identity,
                version=VERSIONS[number % 3],
                firmware=OLD,
                security_events=True,
                quirks=Quirks(firmware_fault=fault),
                settings={"attempts": "1000", "backoff_minimum": "5", "backoff_random": "10", "sample_interval": "900"},
            ),
            self.scheduler,
            self.network.dialer(identity),
            self._ids,
            Random(number),
            MemoryStorage(),
            files=_Files(self),
        )
        station.certificates.provide(None, {MANUFACTURER_ROOT: [self.maker.root]})
        self.scheduler.call_later(self._random.randint(0, 3 * MINUTE), station.power_on)
        if number % 10 == 0:  # busy for a while: nobody is thrown out for an update
            self.scheduler.call_later(4 * MINUTE, lambda: self._charge(station))
            self.scheduler.call_later(self._random.randint(30, 90) * MINUTE, lambda: station.unplug(1))
        return station

    def _charge(self, station: Station) -> None:
        station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 100))
        station.tap(1, "TAG")

    def spawn(self, work: Any) -> None:
        """A download that is under way."""
        task = asyncio.get_running_loop().create_task(work)
        self._fetches.add(task)
        task.add_done_callback(self._fetches.discard)

    # -- the server ---------------------------------------------------------------------------------------------------
    async def _bring_up(self, folder: Path) -> None:
        self._life, bus = Life(self.scheduler), LocalBus()
        self.csms = CentralSystem(
            store=self.store,
            bus=bus,
            scheduler=self._life,
            ids=self._ids,
            config=CsmsConfig(lab=True),
            verify=lambda verifier, password: False,
            log=silent,
        )
        self.context = ApiContext(
            store=self.store,
            bus=bus,
            scheduler=self._life,
            ids=self._ids,
            passwords=_NoPasswords(),
            files=folder,
            began_at=int(self.scheduler.now()),
        )
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(app=create_app(self.context)))
        await self.csms.start()
        self.worker = FirmwareWorker(self.context)
        await self.worker.start()
        self.network.serve(self.csms.endpoint)

    async def _kill(self, folder: Path) -> None:
        """SIGKILL: what is not committed is gone, orders that are under way are nobody's."""
        self.kills += 1
        self._life.over = True
        self.network.crash(notice_ms=self._random.choice((0, 1_000, 30_000)))
        self.store.crash()
        await tasks.end(self.worker._follower._task, *self.worker.tasks, *self.csms._tasks, *self._fetches)
        await self.http.aclose()
        drive(self.store.open())
        await self._bring_up(folder)

    # -- the run ------------------------------------------------------------------------------------------------------
    def run(self) -> Report:
        """Until the roll-out stands still, and half an hour more."""
        with tempfile.TemporaryDirectory(prefix="pilotwire-rollout-") as folder:
            return asyncio.run(self._run(Path(folder)))

    async def _pass(self, seconds: int) -> None:
        for _ in range(0, seconds, STEP_S):
            self.scheduler.run_for(STEP_S * SECOND)
            for _ in range(5):
                await asyncio.sleep(0)
            if self._fetches:
                await asyncio.gather(*self._fetches)
            await self.worker.settle()
            await asyncio.sleep(0)

    async def _run(self, folder: Path) -> Report:
        await self._bring_up(folder)
        await self._pass(600)
        principal = system(DEFAULT_TENANT)
        data = image(NEW)
        made = await firmware.create(
            self.context,
            principal,
            types.NewFirmware(version=NEW, signing_certificate=self.maker.certificate, signature=self.maker.sign(data)),
        )
        await firmware.receive(self.context, principal, made.value.id, _pieces(data))
        names = [station.config.identity for station in self.stations]
        order = types.NewRollout(
            firmware_id=made.value.id, reason="a fault in the meter", station_ids=names, policy=self._policy
        )
        id = (await rollouts.create(self.context, principal, order)).value.id
        for _ in range(LONGEST_S // 20):
            await self._pass(20)
            shown = (await rollouts.rollout(self.context, principal, id)).value
            if shown.status in ("stopped", "done"):
                break
            # While stations are being ordered, fetch, or boot: early on, and once more when it has grown.
            if self._kill_wanted and shown.under_way and self.kills < 1 + (shown.installed >= 20):
                await self._kill(folder)
        await self._pass(1800)
        report = await self._report(id)
        await self.worker.stop()
        await self.csms.stop()
        await self.http.aclose()
        return report

    async def _report(self, id: str) -> Report:
        principal, faults = system(DEFAULT_TENANT), list[str]()
        shown = (await rollouts.rollout(self.context, principal, id)).value
        states: dict[str, str] = {}
        cursor: str | None = None
        while True:
            page = await rollouts.stations(self.context, principal, id, cursor=cursor, limit=500)
            states |= {one.station_id: one.state for one in page.items}
            if (cursor := page.next) is None:
                break
        for station in self.stations:
            name, state = station.config.identity, states[station.config.identity]
            runs = station.maintenance.version
            if state == "installed" and (runs != NEW or not station.online):
                faults.append(f"{name}: said to be installed, and runs {runs}")
            if state in ("pending", "skipped") and runs != OLD:
                faults.append(f"{name}: {state}, and runs {runs}")
            if state in ("failed", "silent", "refused") and name not in self.bad:
                faults.append(f"{name}: {state} without being a bad one")
            if state in ("ordering", "updating"):
                faults.append(f"{name}: still {state}")
            if any(truth.reason not in ("", "EVDisconnected") for truth in station.truth):
                faults.append(f"{name}: a session was cut off")
        counts = Counter(states.values())
        if (shown.installed, shown.silent) != (counts["installed"], counts["silent"]):
            faults.append(f"the sums say {shown.installed} and {shown.silent}, the stations {dict(counts)}")
        if shown.failed != counts["failed"] + counts["refused"]:
            faults.append(f"the sums say {shown.failed} failed, the stations {dict(counts)}")
        return Report(
            stations=len(self.stations),
            bad=len(self.bad),
            status=shown.status,
            why=shown.why,
            stage=shown.stage,
            installed=shown.installed,
            failed=shown.failed,
            silent=shown.silent,
            pending=counts["pending"] + counts["waiting"],
            fetched=self.fetched,
            hours=(int(self.scheduler.now()) - self._start) / 3_600_000,
            kills=self.kills,
            faults=faults,
        )


async def _pieces(data: bytes) -> Any:
    yield data
