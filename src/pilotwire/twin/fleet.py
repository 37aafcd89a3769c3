"""Many stations in one process, for `pilotwire station [--count N]` and for load.

fleet = Fleet(FleetConfig(count=1000, version="2.0.1"), scheduler, dialer, ids, random)
fleet.start()          ramps up
fleet.totals()         what has become of them
fleet.stop()
"""

from __future__ import annotations

import asyncio
import ssl as ssl_module
from collections.abc import Awaitable, Callable
from functools import partial
from random import Random
from secrets import randbits
from urllib.parse import quote

import msgspec

from pilotwire.core.ids import Ids, check_identity
from pilotwire.core.time import Scheduler, Timer
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.station.config import EvseConfig, Quirks, StationConfig
from pilotwire.station.ports import Files
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage, StationStorage
from pilotwire.transport.port import Dialer

from .bays import Bay, Traffic


class FleetConfig(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet is made of."""

    count: int = 1
    identity: str = "CS-{n:05d}"
    """`{n}` is the number of the station, from `first` on; without it only one station is possible."""
    first: int = 1
    version: VersionName = "1.6"
    evses: tuple[EvseConfig, ...] = (EvseConfig(),)
    vendor: str = "Pilotwire"
    model: str = "Simulated"
    security_profile: int = 1
    ramp_per_s: int = 50
    """New connections a second."""
    cars: bool = True
    """Drivers come and go; without them the stations are idle."""
    tokens: tuple[str, ...] = ("DEADBEEF",)
    traffic: Traffic = Traffic()
    settings: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    plug_and_charge: bool = False
    autocharge: bool = False
    quirks: Quirks = Quirks()

    def identities(self) -> list[str]:
        """Raises BadIdentity."""
        return [check_identity(self.identity.format(n=self.first + number)) for number in range(self.count)]


class Totals(msgspec.Struct, frozen=True, kw_only=True):
    """How a fleet fares."""

    stations: int
    connected: int
    accepted: int
    charging: int
    power_w: int
    sessions: int
    queued: int
    sent: int
    answered: int
    refused: int
    timeouts: int
    lost: int


class Fleet:
    """See the head of this file."""

    def __init__(
        self,
        config: FleetConfig,
        scheduler: Scheduler,
        dialer: Callable[[str], Dialer],
        ids: Ids,
        random: Random,
        storage: Callable[[str], StationStorage] | None = None,
        files: Files | None = None,
    ) -> None:
        """`dialer(identity)` makes a station's dialer; `files`: their way to firmware and for their logs."""
        self._scheduler = scheduler
        self._timer: Timer | None = None
        self._config = config
        self.stations: list[Station] = []
        self._bays: list[Bay] = []
        self._bays_of: list[list[Bay]] = []
        self._started = 0
        for identity in config.identities():
            own = dialer(identity)
            station = Station(
                StationConfig(
                    identity=identity,
                    version=config.version,
                    evses=config.evses,
                    vendor=config.vendor,
                    model=config.model,
                    security_profile=config.security_profile,
                    settings=config.settings,
                    plug_and_charge=config.plug_and_charge,
                    autocharge=config.autocharge,
                    quirks=config.quirks,
                ),
                scheduler,
                own,
                ids,
                random,
                storage(identity) if storage is not None else MemoryStorage(),
                on_password=partial(rekey, own, config.version),
                files=files,
                truth_limit=100,
            )
            self.stations.append(station)
            bays = [
                Bay(station, evse, scheduler, random, config.tokens, config.traffic)
                for evse in range(1, len(config.evses) + 1)
                if config.cars
            ]
            self._bays_of.append(bays)

    def start(self) -> None:
        """Power the stations on, `ramp_per_s` a second."""
        self._started = 0
        self._more()

    def _more(self) -> None:
        self._timer = None
        per_tick = max(1, self._config.ramp_per_s // 10)
        for number in range(self._started, min(self._started + per_tick, len(self.stations))):
            self.stations[number].power_on()
            for bay in self._bays_of[number]:
                bay.open()
        self._started += per_tick
        if self._started < len(self.stations):
            wait = max(100, 1000 * per_tick // max(1, self._config.ramp_per_s))
            self._timer = self._scheduler.call_later(wait, self._more)

    def stop(self) -> None:
        """Close every connection in order."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        for bays in self._bays_of:
            for bay in bays:
                bay.close()
        for station in self.stations:
            station.shut_down()

    def totals(self) -> Totals:
        """A walk over all stations."""
        counts = [station.conversation.counts for station in self.stations]
        powers = [evse.meter.power_mw for station in self.stations for evse in station.evses]
        return Totals(
            stations=len(self.stations),
            connected=sum(station.conversation.connected for station in self.stations),
            accepted=sum(station.online for station in self.stations),
            charging=sum(power > 0 for power in powers),
            power_w=sum(powers) // 1000,
            sessions=sum(len(station.truth) for station in self.stations),
            queued=sum(len(station.outbox) for station in self.stations),
            sent=sum(c.sent for c in counts),
            answered=sum(c.answered for c in counts),
            refused=sum(c.refused for c in counts),
            timeouts=sum(c.timeouts for c in counts),
            lost=sum(c.lost for c in counts),
        )


def rekey(dialer: Dialer, version: str, password: str) -> None:
    """Give a dialer the password that the CSMS has set: 1.6 as hexadecimal bytes, 2.x as text."""
    if hasattr(dialer, "password"):
        dialer.password = bytes.fromhex(password) if version == "1.6" else password.encode()  # type: ignore[attr-defined]


async def run_fleet(
    config: FleetConfig,
    url: str,
    *,
    password: Callable[[str], str | None] = lambda identity: None,
    ssl: ssl_module.SSLContext | None = None,
    storage: Callable[[str], StationStorage] | None = None,
    seed: int | None = None,
    report: Callable[[Totals], None] | None = None,
    every_s: float = 2.0,
    stop: asyncio.Event | None = None,
    started: Callable[[Fleet, Scheduler], Awaitable[Callable[[], Awaitable[None]]]] | None = None,
) -> Totals:
    """Run a fleet against `url` (`ws://host:port/ocpp`, the identity is appended) until `stop` is set or cancelled.

    `password(identity)`: Basic auth; None: none. `report` gets the totals every `every_s` seconds. `started` is called
    once the stations are on their way up, and returns what is to be called at the end.
    """
    from pilotwire.transport.files import HttpFiles
    from pilotwire.transport.ocpp.client import LoopDialer
    from pilotwire.transport.runtime import LoopScheduler, SystemIds

    base = url.rstrip("/")

    def dialer(identity: str) -> Dialer:
        secret = password(identity)
        return LoopDialer(
            f"{base}/{quote(identity, safe='')}",
            user=identity if secret is not None else None,
            password=secret.encode() if secret is not None else None,
            ssl=ssl,
        )

    random = Random(randbits(64) if seed is None else seed)
    files = HttpFiles()
    scheduler = LoopScheduler()
    fleet = Fleet(config, scheduler, dialer, SystemIds(), random, storage, files)
    ended = stop or asyncio.Event()
    fleet.start()
    close: Callable[[], Awaitable[None]] | None = None
    try:
        close = await started(fleet, scheduler) if started is not None else None
        while not ended.is_set():
            try:
                async with asyncio.timeout(every_s):
                    await ended.wait()
            except TimeoutError:
                if report is not None:
                    report(fleet.totals())
        return fleet.totals()
    finally:
        if close is not None:
            await close()
        fleet.stop()
        await files.close()
        # One turn of the loop for the close frames to leave.
        await asyncio.sleep(0.05)


async def run_station(identity: str, url: str, **options: object) -> Totals:
    """One station: `run_fleet` with a count of one and this very identity."""
    config = options.pop("config", None)
    fleet = config if isinstance(config, FleetConfig) else FleetConfig()
    one = msgspec.structs.replace(fleet, count=1, identity=identity.replace("{", "{{").replace("}", "}}"))
    return await run_fleet(one, url, **options)  # type: ignore[arg-type]
