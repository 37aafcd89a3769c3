"""A certificate roll-over of a whole fleet in simulated time: every station charges, every certificate is a month from
its end, the sub-authority is exchanged meanwhile, the network fails now and then and the central system is killed.

    python -m tests.soak --only certificates

The stations notice by themselves that it is time (A03), so nothing pushes them. At the door every certificate is
verified: after the change only the new sub-authority's count, so a station that still had an old one would stay out. In
the end every session is held against the meters.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from random import Random
from typing import Any

import msgspec
from tests.simulation.world import HOUR, MINUTE, VERSIONS, Life, Weather, drive, match

from pilotwire.core.ids import DEFAULT_TENANT, SeededIds
from pilotwire.core.time import SimScheduler, to_datetime
from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.authority import Authority
from pilotwire.csms.around import silent
from pilotwire.csms.service import CentralSystem
from pilotwire.domain.records import Session, StationAccount, Token
from pilotwire.domain.trust import AUTHORITY_KEY, ENROLLMENTS, Enrollment
from pilotwire.station.certificates import Identity
from pilotwire.station.config import StationConfig
from pilotwire.station.keystore import CSMS_ROOT, Leaf
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.storage.documents import unpack
from pilotwire.storage.memory import MemoryStore
from pilotwire.transport.bus import LocalBus
from pilotwire.transport.memory import MemoryDialer, MemoryNetwork
from pilotwire.transport.port import Handshake, Receiver, Refuse, TurnedAway
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

SECRET = b"the installation's secret"
ORGANIZATION = "Netz AG"


class Report(msgspec.Struct, kw_only=True):
    """What a run came to."""

    stations: int
    renewed: int
    """Stations that ended with a certificate of the new sub-authority, and connected by it."""
    sessions: int
    energy_wh: int
    enrollments: dict[str, int]
    """By how they ended."""
    events: int
    """Security events that stations told: something had gone wrong with a certificate."""
    hours: float
    weather: dict[str, int]
    faults: list[str]


class Door:
    """What TLS does before the central system is asked: the certificate leads to an authority that counts."""

    def __init__(self, rollover: Rollover) -> None:
        self._rollover = rollover

    def admit(self, handshake: Handshake) -> Receiver | Refuse:
        rollover = self._rollover
        now = to_datetime(rollover.scheduler.now())
        try:
            assert handshake.certificate is not None
            chains.verify(chains.load(handshake.certificate), [], rollover.trusted, now)
        except chains.ChainError:
            rollover.turned_away += 1
            return Refuse(403, "certificate")
        return rollover.csms.endpoint.admit(handshake)

    def turned_away(self, attempt: TurnedAway) -> None:
        """Nobody in memory."""


class Rollover:
    """See the module."""

    def __init__(self, stations: int, *, seed: int = 1, trouble: float = 0.1) -> None:
        self._random = Random(seed)
        self.scheduler = SimScheduler()
        self._start = int(self.scheduler.now())
        self.weather = Weather(Random(seed + 1), trouble)
        self.network = MemoryNetwork(self.scheduler, latency_ms=30, faults=self.weather)
        self.store = MemoryStore(scheduler=self.scheduler, delay_ms=20)
        self._ids = SeededIds(seed + 2, self.scheduler.now)
        drive(self.store.open())
        now = to_datetime(self._start)
        self.old = Authority.new(ORGANIZATION, now=now - timedelta(days=365))
        self.trusted = [self.old.issuing]
        self.turned_away = 0
        self.kills = 0
        self.csms: CentralSystem
        self.stations: list[Station] = []
        self._root = pem.text([chains.der(self.old.root)])
        self._keep(self.old)
        drive(self.store.put_token(Token(tenant=DEFAULT_TENANT, token="TAG")))
        for number in range(stations):
            self._add(number)

    def _keep(self, authority: Authority) -> None:
        from pilotwire.crypto.vault import Vault

        locked = Vault(SECRET).lock(AUTHORITY_KEY, authority.keep())
        drive(self.store.put_setting(AUTHORITY_KEY, locked))

    def _add(self, number: int) -> None:
        identity = f"ROLL-{number:04d}"
        drive(
            self.store.put_account(
                StationAccount(
                    tenant=DEFAULT_TENANT, id=identity, security_profile=3, organization=ORGANIZATION, password=""
                )
            )
        )
        key = requests.new_key()
        request = requests.read(requests.make(key, identity, ORGANIZATION))
        # From half an hour to two hours from now it will be a month from its end.
        end = to_datetime(self._start + self._random.randint(HOUR // 2, 2 * HOUR)) + timedelta(days=30)
        begin = to_datetime(self._start) - timedelta(days=300)
        days = (end - begin) / timedelta(days=1)
        chain = self.old.sign(request, identity, ORGANIZATION, now=begin, days=days)
        leaf = Leaf(pem.text(chain), requests.key_text(key))
        dialer = self.network.dialer(identity, tls=True)
        station = Station(
            StationConfig(
                identity=identity,
                version=VERSIONS[number % 3],
                security_profile=3,
                settings={
                    "organization": ORGANIZATION,
                    "attempts": "1000",
                    "attempt_interval": "10",
                    "backoff_minimum": "5",
                    "backoff_random": "10",
                    "sample_interval": "600",
                    "sign_wait": "300",
                },
            ),
            self.scheduler,
            dialer,
            self._ids,
            Random(number),
            MemoryStorage(),
            on_identity=lambda told: _dress(dialer, told),
        )
        station.certificates.provide(leaf, {CSMS_ROOT: [self._root]})
        self.stations.append(station)
        self.scheduler.call_later(self._random.randint(0, 3 * MINUTE), station.power_on)
        self.scheduler.call_later(self._random.randint(4 * MINUTE, 20 * MINUTE), lambda: self._charge(station))

    def _charge(self, station: Station) -> None:
        if station.evses[0].car is None:
            station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 100))
        if not station.truth:
            station.tap(1, "TAG")
            self.scheduler.call_later(2 * MINUTE, lambda: self._charge(station))  # the network may have failed

    def _bring_up(self) -> None:
        self._life = Life(self.scheduler)
        self.csms = CentralSystem(
            store=self.store,
            bus=LocalBus(),
            scheduler=self._life,
            ids=self._ids,
            verify=lambda verifier, password: False,
            secret=SECRET,
            spawn=lambda work: drive(work),
            log=silent,
        )
        drive(self.csms.start())
        self.network.serve(Door(self))

    def _kill(self) -> None:
        self.kills += 1
        self._life.over = True
        self.network.crash(notice_ms=self._random.choice((0, 1_000, 30_000)))
        self.store.crash()
        for task in self.csms._tasks:
            task.cancel()
        drive(self.store.open())
        self._bring_up()

    # -- the run ------------------------------------------------------------------------------------------------------
    def run(self) -> Report:
        """Five hours, in which all of it happens."""
        return asyncio.run(self._run())

    async def _pass(self, duration_ms: int) -> None:
        self.scheduler.run_for(duration_ms)
        for _ in range(3):
            await asyncio.sleep(0)

    async def _run(self) -> Report:
        self._bring_up()
        await self._pass(25 * MINUTE)
        new = self.old.renewed(now=to_datetime(self.scheduler.now()))
        self._keep(new)
        await self.csms.refresh()
        self.trusted = [self.old.issuing, new.issuing]
        for _ in range(12):
            await self._pass(10 * MINUTE)
            if self._random.random() < 0.25:
                self._kill()
        self.weather.calm = True
        await self._pass(40 * MINUTE)
        # The old sub-authority counts no longer: who has not changed over stays out from now on.
        self.trusted = [new.issuing]
        for connection in list(self.network.connections.values()):
            connection.cut()
        await self._pass(20 * MINUTE)
        online = sum(station.online for station in self.stations)
        for station in self.stations:
            station.unplug(1)
        await self._pass(30 * MINUTE)
        return self._report(new, online)

    def _report(self, new: Authority, online: int) -> Report:
        faults: list[str] = []
        kept = self._sessions()
        renewed = 0
        for station in self.stations:
            identity, leaf = station.config.identity, station.certificates.leaf
            assert leaf is not None
            own = chains.load(leaf.ders[0])
            if own.issuer == new.issuing.subject and _signed_by(own, new):
                renewed += 1
            else:
                faults.append(f"{identity}: its certificate is of the old authority")
            if not station.online:
                faults.append(f"{identity}: not connected")
            if len(station.outbox):
                faults.append(f"{identity}: {len(station.outbox)} messages could not be delivered")
            if len(station.truth) != 1:
                faults.append(f"{identity}: {len(station.truth)} sessions instead of one")
            faults += [f"{identity}: {fault}" for fault in match(station.truth, kept.get(identity, []))]
        ends: dict[str, int] = {}
        for one in self._enrollments():
            ends[one.status] = ends.get(one.status, 0) + 1
        if online != len(self.stations):
            faults.append(f"{len(self.stations) - online} stations were not back when the old authority had gone")
        truths = [truth for station in self.stations for truth in station.truth]
        events = sum("Certificate" in line for station in self.stations for line in station.security.lines())
        return Report(
            stations=len(self.stations),
            renewed=renewed,
            sessions=len(truths),
            energy_wh=sum(truth.energy_wh or 0 for truth in truths),
            enrollments=ends,
            events=events,
            hours=(int(self.scheduler.now()) - self._start) / HOUR,
            weather=self.weather.counts | {"kills": self.kills, "turned away": self.turned_away},
            faults=faults,
        )

    def _sessions(self) -> dict[str, list[Session]]:
        kept: dict[str, list[Session]] = {}
        cursor: str | None = None
        while True:
            page = drive(self.store.sessions(DEFAULT_TENANT, cursor=cursor, limit=500))
            for session in page.items:
                kept.setdefault(session.station_id, []).append(session)
            if (cursor := page.next) is None:
                return kept

    def _enrollments(self) -> list[Enrollment]:
        found: list[Enrollment] = []
        cursor: str | None = None
        while True:
            page = drive(self.store.documents(DEFAULT_TENANT, ENROLLMENTS, cursor=cursor, limit=500))
            found += [unpack(one, Enrollment).value for one in page.items]
            if (cursor := page.next) is None:
                return found


def _signed_by(certificate: Any, authority: Authority) -> bool:
    try:
        certificate.verify_directly_issued_by(authority.issuing)
    except Exception:
        return False
    return True


def _dress(dialer: MemoryDialer, told: Identity) -> None:
    dialer.certificate = pem.blocks(told.chain)[0] if told.chain else None
    dialer.tls = told.profile >= 2
