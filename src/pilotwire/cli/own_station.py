"""Our own simulated station as the system under test of `pilotwire check station --drive pilotwire`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

from pilotwire.check.drive import Cannot, Failed, Nobody
from pilotwire.core.errors import PilotwireError

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_CAR = "compact three-phase 11 kW"


class OwnStation(Nobody):
    """A driver whose hands are at our station: two AC outlets, cars and cards as they are asked for."""

    def __init__(self, station: Station) -> None:
        self.station = station

    @classmethod
    @asynccontextmanager
    async def at(cls, url: str, version: str, *, identity: str = "PW-STATION") -> AsyncIterator[OwnStation]:
        """The station is powered on, and shut down at the end."""
        from pilotwire.station.config import EvseConfig, StationConfig
        from pilotwire.station.program import Station
        from pilotwire.station.storage import MemoryStorage
        from pilotwire.transport.files import HttpFiles
        from pilotwire.transport.ocpp.client import LoopDialer
        from pilotwire.transport.runtime import LoopScheduler, SystemIds
        from pilotwire.twin.fleet import rekey

        files = HttpFiles()
        dialer = LoopDialer(f"{url}/{identity}", user=identity, password=b"secret-of-station")
        station = Station(
            StationConfig(
                identity=identity,
                version=version,  # type: ignore[arg-type]
                evses=(EvseConfig(), EvseConfig()),
                settings={"backoff_minimum": "1", "backoff_random": "0"},
                reboot_ms=200,
            ),
            LoopScheduler(),
            dialer,
            SystemIds(),
            Random(1),
            MemoryStorage(),
            on_password=partial(rekey, dialer, version),
            files=files,
        )
        station.power_on()
        try:
            yield cls(station)
        finally:
            station.shut_down()
            await files.close()

    async def press(self, what: str, arguments: Mapping[str, Any]) -> None:
        """See `Driver.press`."""
        evse = int(arguments.get("evse", 1))
        try:
            self._press(what, evse, arguments)
        except (PilotwireError, KeyError, IndexError) as error:
            raise Failed(f"{what} at EVSE {evse}: {error}") from error

    def _press(self, what: str, evse: int, arguments: Mapping[str, Any]) -> None:
        from pilotwire.vehicle.car import Vehicle
        from pilotwire.vehicle.catalogue import CATALOGUE

        station = self.station
        if what == "plug":
            station.plug(evse, Vehicle(CATALOGUE[_CAR], 300))
        elif what == "unplug":
            station.unplug(evse)
        elif what == "tap":
            station.tap(evse, str(arguments["token"]))
        elif what == "fault":
            station.break_down(evse)
        elif what == "repair":
            station.repair(evse)
        elif what == "power-cycle":
            station.power_off()
            station.power_on()
        else:
            raise Cannot(f"our simulated station has nobody to {what}")
