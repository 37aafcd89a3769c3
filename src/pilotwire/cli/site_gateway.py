"""The gateway of a running site: its Modbus chargers as OCPP stations, joined to their central systems.

Apps never import one another, so this is where the site's loop, the station program and the dialer meet. What the
stations have to remember (sessions, messages that wait, the energy register as it was last) is `gateway.db` in the
site's folder.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path
from random import SystemRandom
from ssl import SSLContext
from urllib.parse import quote

from pilotwire.core.errors import ConfigError
from pilotwire.site.facades.orders import ExternalLimits
from pilotwire.site.gateway.entries import StationSection, station_config
from pilotwire.site.gateway.gateway import to_limits
from pilotwire.site.loop import Loop
from pilotwire.station.storage import SqliteShelf
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.ocpp.tls import client_context
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler, SystemIds
from pilotwire.twin.fleet import rekey
from pilotwire.twin.gateway import GatewayStation, gateway_station

SHELF = "gateway.db"


class GatewayPart:
    """All stations of `gateway:`; a `run.Part`, started after `Orders`."""

    def __init__(
        self,
        sections: tuple[StationSection, ...],
        limits: ExternalLimits,
        paths: Path,
        data: Path,
        report: Callable[[str], None],
    ) -> None:
        """`limits`: where the central systems' limits go. `paths`: what paths in the file begin at. `data`: the site's
        folder."""
        self.stations: list[GatewayStation] = []
        self._sections, self._limits, self._paths, self._data = sections, limits, paths, data
        self._report = report
        self._shelf: SqliteShelf | None = None

    async def start(self, loop: Loop) -> None:
        """See `run.Part`. Raises ConfigError for files that cannot be used; a central system that is away is waited
        for."""
        drivers = {driver.id: driver for driver in loop.evses}
        self._shelf = self._opened()
        steady, wall, ids, random = SteadyScheduler(), LoopScheduler(), SystemIds(), SystemRandom()
        for section in self._sections:
            config = station_config(section, self._paths)
            dialer = self._dialer(section, config.password)
            made = gateway_station(
                config,
                drivers,
                wall,
                dialer,
                ids,
                random,
                self._shelf.open(section.identity),
                tell=to_limits(drivers, self._limits, steady, csms=section.identity),
                told=partial(self._told, section.identity),
                on_password=partial(rekey, dialer, config.version),
            )
            self.stations.append(made)
            made.start()

    async def stop(self) -> None:
        """See `run.Part`. Sessions go on, and are taken up by the next start."""
        for station in self.stations:
            station.stop()
        if self._shelf is not None:
            self._shelf.close()

    def _dialer(self, section: StationSection, password: str) -> LoopDialer:
        secret = password.encode() if password else None
        return LoopDialer(
            f"{section.url.rstrip('/')}/{quote(section.identity, safe='')}",
            user=None if secret is None else section.identity,
            password=secret,
            ssl=self._tls(section) if section.url.startswith("wss:") else None,
        )

    def _tls(self, section: StationSection) -> SSLContext:
        ca, chain, key = (
            None if text is None else self._paths / text for text in (section.ca, section.certificate, section.key)
        )
        return client_context(ca=ca, chain=chain, key=key)

    def _opened(self) -> SqliteShelf:
        path = self._data / SHELF
        try:
            return SqliteShelf(path, durable=True)
        except sqlite3.DatabaseError as error:
            if not path.exists() or isinstance(error, sqlite3.OperationalError):
                raise ConfigError(f"cannot use {path} for the gateway's stations: {error}") from error
            path.replace(path.with_name(f"{SHELF}.damaged"))
            for ending in ("-wal", "-shm"):
                path.with_name(SHELF + ending).unlink(missing_ok=True)
            self._report(f"{path} is damaged ({error}) and was put aside: sessions of before are not known any more")
            return SqliteShelf(path, durable=True)

    def _told(self, identity: str, text: str) -> None:
        self._report(f"{identity}: {text}")
