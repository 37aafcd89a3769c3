"""Simulated stations in a process of their own, over real sockets.

    python -m tests.soak.stations_process plan.json

`plan.json` is a `Plan`. Says `ready` on stdout when every station is connected and those that charge do. Then it does
what the lines of stdin say: `truth` is answered by one line (`Truth` by station), `unplug` ends every session, `end`
ends the process.
"""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random

import msgspec
import uvloop

from pilotwire.crypto import chains
from pilotwire.crypto.certificates import Issued, make_station
from pilotwire.crypto.hash_data import serial_text
from pilotwire.station.config import Quirks, StationConfig
from pilotwire.station.keystore import CSMS_ROOT, MANUFACTURER_ROOT, Leaf
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.files import HttpFiles
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.runtime import LoopScheduler, SystemIds
from pilotwire.twin.identity import dress
from pilotwire.vehicle.car import Vehicle
from pilotwire.vehicle.catalogue import CATALOGUE

ORGANIZATION = "Netz AG"
TOKEN = "TAG"


class One(msgspec.Struct, frozen=True, kw_only=True):
    """A station."""

    identity: str
    version: str
    fault: str = ""
    """What goes wrong with an update (`Quirks.firmware_fault`)."""
    charges: bool = False


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What to run."""

    url: str
    """Of the central system, without the identity; wss: the stations come in by certificates."""
    stations: list[One]
    password: str = ""
    tls: str = ""
    """The folder with ca.pem and ca.key: whom the stations trust, and who has signed them."""
    manufacturer: str = ""
    """PEM of whose firmware is taken."""
    firmware: str = "1.0.0"
    ramp_per_s: int = 50
    step_ms: int = 2_000
    """How long the installation takes, and a restart."""
    seed: int = 1


class Charge(msgspec.Struct, frozen=True, kw_only=True):
    """A session as the meter has it."""

    token: str
    register_start: int
    energy_wh: int | None
    reason: str


class Truth(msgspec.Struct, frozen=True, kw_only=True):
    """What a station really is."""

    firmware: str
    online: bool
    serial: str
    """Of the certificate that is in use; "" for none."""
    issuer: str
    queued: int
    """Messages that wait to be delivered."""
    sessions: list[Charge]


class Stations:
    """The stations of one process."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._scheduler = LoopScheduler()
        self._ids = SystemIds()
        self._random = Random(plan.seed)
        self._files = HttpFiles()
        self._charging: list[Station] = []
        tls = Path(plan.tls)
        self._ca = tls / "ca.pem"
        self._authority = Issued(self._ca.read_text(), (tls / "ca.key").read_text()) if plan.tls else None
        self._made = [self._make(one) for one in plan.stations]

    def _make(self, one: One) -> Station:
        plan, authority = self._plan, self._authority
        dialer = LoopDialer(
            f"{plan.url}/{one.identity}",
            user=None if authority else one.identity,
            password=None if authority else plan.password.encode(),
        )
        station = Station(
            StationConfig(
                identity=one.identity,
                version=one.version,  # type: ignore[arg-type]
                firmware=plan.firmware,
                security_profile=3 if authority else 1,
                security_events=True,
                quirks=Quirks(firmware_fault=one.fault),
                reboot_ms=plan.step_ms,
                firmware_step_ms=plan.step_ms,
                settings={
                    "organization": ORGANIZATION,
                    "attempts": "1000",
                    "backoff_minimum": "1",
                    "backoff_random": "2",
                    "sample_interval": "60",
                },
            ),
            self._scheduler,
            dialer,
            self._ids,
            self._random,
            MemoryStorage(),
            on_identity=dress(dialer, ca=self._ca) if authority else None,
            files=self._files,
        )
        roots = {MANUFACTURER_ROOT: [plan.manufacturer]} if plan.manufacturer else {}
        leaf = None
        if authority is not None:
            issued = make_station(authority, one.identity, ORGANIZATION, now=datetime.now(UTC))
            leaf = Leaf(issued.certificate_pem, issued.key_pem)
            roots[CSMS_ROOT] = [authority.certificate_pem]
        station.certificates.provide(leaf, roots)
        if one.charges:
            self._charging.append(station)
        return station

    async def start(self) -> None:
        """Bring them up, and wait until they are."""
        for number, station in enumerate(self._made):
            station.power_on()
            if number % self._plan.ramp_per_s == self._plan.ramp_per_s - 1:
                await asyncio.sleep(1)
        while not all(station.online for station in self._made):
            await asyncio.sleep(0.2)
        for number, station in enumerate(self._charging):
            station.plug(1, Vehicle(CATALOGUE["compact three-phase 11 kW"], 100))
            station.tap(1, TOKEN)
            if number % self._plan.ramp_per_s == self._plan.ramp_per_s - 1:
                await asyncio.sleep(1)
        while not all(station.evses[0].meter.power_mw for station in self._charging):
            await asyncio.sleep(0.2)

    def unplug(self) -> None:
        """The cars go."""
        for station in self._charging:
            station.unplug(1)

    def truth(self) -> dict[str, Truth]:
        """As it is now."""
        return {station.config.identity: _truth(station) for station in self._made}

    async def stop(self) -> None:
        """In order."""
        for station in self._made:
            station.shut_down()
        await self._files.close()
        await asyncio.sleep(0.1)


def _truth(station: Station) -> Truth:
    leaf = station.certificates.leaf
    certificate = chains.load(leaf.ders[0]) if leaf is not None else None
    return Truth(
        firmware=station.maintenance.version,
        online=station.online,
        serial=serial_text(certificate.serial_number) if certificate else "",
        issuer=certificate.issuer.rfc4514_string() if certificate else "",
        queued=len(station.outbox),
        sessions=[
            Charge(token=one.token, register_start=one.register_start, energy_wh=one.energy_wh, reason=one.reason)
            for one in station.truth
        ],
    )


def _say(line: bytes) -> None:
    sys.stdout.buffer.write(line + b"\n")
    sys.stdout.buffer.flush()


async def main(path: str) -> None:
    plan = msgspec.json.decode(await asyncio.to_thread(Path(path).read_bytes), type=Plan)
    stations = Stations(plan)
    await stations.start()
    _say(b"ready")
    while line := await asyncio.to_thread(sys.stdin.readline):
        match line.strip():
            case "truth":
                _say(msgspec.json.encode(stations.truth()))
            case "unplug":
                stations.unplug()
            case _:
                break
    await stations.stop()


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1]))
