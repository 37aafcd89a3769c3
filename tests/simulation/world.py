"""A seeded world: real stations and cars, the real central system, and a network and power that fail all the time.

    python -m tests.simulation --seed 7 --sessions 500

Simulated time, one thread, no sockets: the same seed is the same run, so a seed that fails is replayed by this line.
Messages are delayed, duplicated and overtaken, connections break before and after a frame arrives, stations are cut off
for days, lose their power in mid-session or have wrong clocks, and the central system is killed again and again, losing
what it had not committed. In the end every station is given time to get rid of its queue, and then the sessions in the
store are held against what the meters really counted.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import Any

import msgspec

from pilotwire.core.ids import SeededIds
from pilotwire.core.time import SimScheduler, Timer
from pilotwire.csms.around import silent
from pilotwire.csms.service import CentralSystem, CsmsConfig
from pilotwire.domain.records import Session
from pilotwire.station.config import EvseConfig, Quirks, StationConfig
from pilotwire.station.program import Station
from pilotwire.station.sessions import Truth
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus
from pilotwire.transport.memory import FINE, Fate, Flight, MemoryNetwork
from pilotwire.twin.bays import Bay, Traffic

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000
VERSIONS = ("1.6", "2.0.1", "2.1")
TRAFFIC = Traffic(
    gap_s=(60, 1800), linger_s=(5, 300), stay_s=(300, 5400), ac_ask_wh=(300, 9000), dc_ask_wh=(1000, 30000)
)
CARDS = [f"SIM{number:04d}" for number in range(40)]


def drive(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """Run a coroutine that waits for nothing (the memory store's never do)."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value
    raise AssertionError("something waited for the real world in simulated time")


class Life:
    """The scheduler of one life of the central system: what a dead process had planned does not happen."""

    def __init__(self, scheduler: SimScheduler) -> None:
        self._scheduler = scheduler
        self.now = scheduler.now
        self.over = False

    def call_later(self, delay_ms: int, callback: Callable[[], None]) -> Timer:
        return self._scheduler.call_later(delay_ms, lambda: None if self.over else callback())


class Weather:
    """The faults of the network, from a generator of its own."""

    def __init__(self, random: Random, trouble: float) -> None:
        self._random = random
        self._trouble = trouble
        self._away: dict[str, int] = {}
        """Identity → until when it has no network."""
        self.calm = False
        self.on_transaction: Callable[[], None] | None = None
        """Called once, when the next transaction message is sent."""
        self.counts: dict[str, int] = {}

    def cut_off(self, identity: str, until: int) -> None:
        self._away[identity] = until
        self._count("days offline")

    def is_away(self, identity: str, now: int) -> bool:
        return not self.calm and now < self._away.get(identity, 0)

    def dial(self, tenant: str, identity: str, now: int) -> str | int:
        if self.is_away(identity, now):
            return "no network"
        if not self.calm and self._random.random() < 0.1 * self._trouble:
            self._count("refused dials")
            return self._random.choice(("no route", 502, 503))
        return ""

    def frame(self, flight: Flight) -> Fate:
        if self.on_transaction is not None and flight.direction == "up" and b"Transaction" in flight.data[:90]:
            told, self.on_transaction = self.on_transaction, None
            told()
        if self.is_away(flight.identity, flight.now):
            return Fate(cut="before", notice_up_ms=self._notice(), notice_down_ms=self._notice())
        if self.calm:
            return FINE
        random, dice = self._random, self._random.random() / self._trouble
        if dice < 0.010:
            self._count("frames lost" if flight.direction == "up" else "replies lost")
            return Fate(cut="before", notice_up_ms=self._notice(), notice_down_ms=self._notice())
        if dice < 0.015:
            self._count("cut after delivery")
            return Fate(cut="after", notice_up_ms=self._notice(), notice_down_ms=self._notice())
        if dice < 0.025:
            self._count("frames duplicated")
            return Fate(copies=2, delay_ms=random.randint(0, 500))
        if dice < 0.035:
            self._count("frames overtaken")
            return Fate(overtake=True, delay_ms=random.randint(100, 20 * SECOND))
        if dice < 0.10:
            self._count("frames delayed")
            return Fate(delay_ms=random.randint(10, 40 * SECOND))
        return FINE

    def _notice(self) -> int:
        return self._random.choice((0, 0, 2 * SECOND, 5 * MINUTE))

    def _count(self, what: str) -> None:
        self.counts[what] = self.counts.get(what, 0) + 1


POINTS = ("ParkingBayOccupancy", "EVConnected", "Authorized", "DataSigned", "PowerPathClosed", "EnergyTransfer")


def points(random: Random, version: str) -> dict[str, str]:
    """Where the transactions of one station begin and end, and whether they survive an interruption."""
    settings: dict[str, str] = {}
    if version != "1.6" and random.random() < 0.6:
        for name in ("start_point", "stop_point"):
            settings[name] = ",".join(random.sample(POINTS, random.choice((1, 1, 1, 2, 3))))
        settings["sign_readings"] = "true" if "DataSigned" in "".join(settings.values()) else "false"
    if version == "2.1":
        settings["resumption_timeout"] = random.choice(("0", "300", "900"))
        settings["resume_energy"] = random.choice(("true", "false"))
        settings["resume_random"] = random.choice(("0", "60"))
    return settings


def quirks(random: Random, version: str) -> Quirks:
    """What is odd about one station; half of them are sound."""
    if random.random() < 0.5:
        return Quirks()
    return Quirks(
        message_ids=random.choice(("random", "counter")),
        new_id_on_retry=random.random() < 0.5,
        duplicate_every=random.choice((0, 0, 3, 10)),
        clock_offset_ms=random.choice((0, 0, -2 * DAY, 3 * HOUR, 5 * DAY, -3650 * DAY)),
        clock_at_epoch=random.random() < 0.3,
        boot_on_reconnect=random.random() < 0.3,
        offline_transaction_minus_one=version == "1.6" and random.random() < 0.15,
    )


class Report(msgspec.Struct, kw_only=True):
    """What a run came to."""

    seed: int
    sessions: int
    energy_wh: int
    days: float
    messages: int
    weather: dict[str, int]
    kills: int
    power_cuts: int
    faults: list[str]
    """Differences between truth and store; empty is what is wanted."""


class World:
    """See the head of this file."""

    def __init__(self, seed: int, *, sessions: int, stations: int = 24, trouble: float = 1.0) -> None:
        self.seed = seed
        self._goal = sessions
        self._random = Random(seed)
        self.scheduler = SimScheduler()
        self._start = int(self.scheduler.now())
        self.weather = Weather(Random(seed + 1), trouble)
        self.network = MemoryNetwork(self.scheduler, latency_ms=30, faults=self.weather)
        # Slower than the network, so that an answer given before its commit would arrive and then be lost by a kill.
        self.store = MemoryStore(scheduler=self.scheduler, delay_ms=60)
        self._ids = SeededIds(seed + 2, self.scheduler.now)
        self.kills = self.power_cuts = 0
        self._messages = 0
        self.csms: CentralSystem | None = None
        drive(self.store.open())
        self.stations: list[Station] = []
        self._bays: list[Bay] = []
        for number in range(stations):
            self._add(number)

    # -- the central system ---------------------------------------------------------------------------------------
    def _bring_up(self) -> None:
        self._life = Life(self.scheduler)
        self.csms = CentralSystem(
            store=self.store,
            bus=LocalBus(),
            scheduler=self._life,
            ids=self._ids,
            config=CsmsConfig(lab=True),
            verify=lambda verifier, password: False,
            log=silent,
        )
        drive(self.csms.start())
        self.network.serve(self.csms.endpoint)

    def kill(self) -> None:
        """SIGKILL: what is not committed is gone, every connection breaks without a word, then it starts again."""
        if self.csms is None:
            return
        self.kills += 1
        self._life.over = True
        self.network.crash(notice_ms=self._random.choice((0, 1000, 60_000)))
        self.store.crash()
        for task in self.csms._tasks:  # what a dead process no longer does
            task.cancel()
        self.csms = None
        self.scheduler.call_later(self._random.randint(500, 30_000), self._again)

    def _kill_soon(self) -> None:
        """While the message that was just sent is on its way, being stored, or being answered."""
        self.scheduler.call_later(self._random.randint(0, 180), self.kill)

    def _again(self) -> None:
        drive(self.store.open())
        self._bring_up()

    # -- the stations ---------------------------------------------------------------------------------------------
    def _add(self, number: int) -> None:
        random = Random(self.seed * 10_007 + number)
        version = VERSIONS[number % 3]
        dc = EvseConfig(dc=True, max_ma=200_000, max_w=80_000)
        config = StationConfig(
            identity=f"SIM-{number:03d}",
            version=version,
            evses=(dc,) if random.random() < 0.3 else (EvseConfig(),) * random.choice((1, 2)),
            settings={
                # By the standard a station gives up after so many reported failures; here none may be lost.
                "attempts": "1000",
                "attempt_interval": "10",
                "offline_unknown": "true",
                "backoff_minimum": "5",
                "backoff_random": "10",
                "backoff_repeats": "3",
                **points(random, version),
            },
            signing_meter=True,
            quirks=quirks(random, version),
            queue_limit=100_000,
        )
        dialer = self.network.dialer(config.identity)
        station = Station(config, self.scheduler, dialer, self._ids, random, MemoryStorage(), truth_limit=1_000_000)
        self.stations.append(station)
        self.scheduler.call_later(random.randint(0, 5 * MINUTE), station.power_on)
        for evse in range(1, len(config.evses) + 1):
            bay = Bay(station, evse, self.scheduler, random, CARDS, TRAFFIC)
            self._bays.append(bay)
            self.scheduler.call_later(random.randint(0, 30 * MINUTE), bay.open)
        self._misfortune(station, random)

    def _misfortune(self, station: Station, random: Random) -> None:
        """From time to time: no network for hours or days, or no power for a while."""

        def strike() -> None:
            if self.weather.calm:
                return
            now = int(self.scheduler.now())
            if random.random() < 0.4:
                length = random.choice((HOUR, 6 * HOUR, DAY, 3 * DAY))
                self.weather.cut_off(station.config.identity, now + length)
                for connection in list(self.network.connections.values()):
                    if connection.identity == station.config.identity:
                        connection.cut(notice_up_ms=random.randint(0, MINUTE), notice_down_ms=random.randint(0, HOUR))
            elif station.powered:
                self.power_cuts += 1
                station.power_off()
                self.scheduler.call_later(random.randint(SECOND, 20 * MINUTE), station.power_on)
            self.scheduler.call_later(random.randint(HOUR, DAY), strike)

        self.scheduler.call_later(random.randint(10 * MINUTE, 8 * HOUR), strike)

    # -- the run --------------------------------------------------------------------------------------------------
    def run(self) -> Report:
        """Until enough sessions have ended, then calm weather until every queue is empty, then the comparison."""
        return asyncio.run(self._run())

    async def _pass(self, duration_ms: int) -> None:
        """Simulated time, then a turn of the loop for the few things that the central system does in tasks."""
        self.scheduler.run_for(duration_ms)
        for _ in range(3):
            await asyncio.sleep(0)

    async def _run(self) -> Report:
        self._bring_up()
        next_kill = self._start + self._random.randint(MINUTE, 20 * MINUTE)
        while self._ended() < self._goal:
            await self._pass(10 * MINUTE)
            if self.scheduler.now() >= next_kill:
                self.weather.on_transaction = self._kill_soon
                next_kill = int(self.scheduler.now()) + self._random.randint(MINUTE, 30 * MINUTE)
        days = (int(self.scheduler.now()) - self._start) / DAY
        for bay in self._bays:
            bay.close()
        self.weather.calm = True
        await self._pass(30 * MINUTE)
        for station in self.stations:
            for evse in station.evses:
                if evse.car is not None:
                    station.leave(evse.id)
        for _ in range(200):
            await self._pass(10 * MINUTE)
            if not any(len(station.outbox) for station in self.stations):
                break
        await self._pass(10 * MINUTE)
        faults = self.compare()
        truths = [truth for station in self.stations for truth in station.truth]
        return Report(
            seed=self.seed,
            sessions=len(truths),
            energy_wh=sum(truth.energy_wh or 0 for truth in truths),
            days=days,
            messages=sum(station.conversation.counts.sent for station in self.stations),
            weather=self.weather.counts,
            kills=self.kills,
            power_cuts=self.power_cuts,
            faults=faults,
        )

    def _ended(self) -> int:
        return sum(truth.ended_at is not None for station in self.stations for truth in station.truth)

    # -- the comparison -------------------------------------------------------------------------------------------
    def compare(self) -> list[str]:
        faults: list[str] = []
        kept: dict[str, list[Session]] = {}
        cursor: str | None = None
        while True:
            page = drive(self.store.sessions("default", cursor=cursor, limit=500))
            for session in page.items:
                kept.setdefault(session.station_id, []).append(session)
            if (cursor := page.next) is None:
                break
        for station in self.stations:
            identity = station.config.identity
            if len(station.outbox):
                faults.append(f"{identity}: {len(station.outbox)} messages could not be delivered")
            faults += [f"{identity}: {fault}" for fault in match(station.truth, kept.get(identity, []))]
        return faults


def match(truths: list[Truth], sessions: list[Session]) -> list[str]:
    """Every truth has exactly one session with its register readings, and no session is without one."""
    faults: list[str] = []
    # A register only rises, so where a session began names it, whatever clocks and ids say.
    left: dict[tuple[int, int | None], list[Session]] = {}
    for session in sessions:
        left.setdefault((session.evse, session.meter_start_wh), []).append(session)
    for truth in truths:
        found = left.get((truth.evse, truth.register_start), [])
        same = [each for each in found if each.energy_wh == truth.energy_wh and each.token == truth.token]
        best = next(iter(same or found), None)
        if best is None:
            faults.append(f"session {truth.n} from {truth.register_start} Wh on EVSE {truth.evse} is lost")
            continue
        found.remove(best)
        if best.status != "ended":
            faults.append(f"session {truth.n} ({best.id}) is still {best.status}")
        elif best.energy_wh != truth.energy_wh:
            faults.append(f"session {truth.n} ({best.id}): {best.energy_wh} Wh kept, {truth.energy_wh} Wh true")
        if "seq-gap" in best.flags:
            faults.append(f"session {truth.n} ({best.id}): an event that was answered is missing, seqNo {best.seen}")
        if best.token != truth.token:
            faults.append(f"session {truth.n} ({best.id}): token {best.token}, truly {truth.token}")
    for rest in left.values():
        faults += [f"{each.id} from {each.meter_start_wh} Wh on EVSE {each.evse} is one too many" for each in rest]
    return faults
