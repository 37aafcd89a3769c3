"""Servers of the maps: who may connect and write, and which unit shows what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.site.devices.load import LIBRARY, load_device
from pilotwire.site.devices.schema import DeviceFile
from pilotwire.site.ports import EvseDriver
from pilotwire.transport.modbus.guard import LOOPBACK, Access, Audit, Guard
from pilotwire.transport.modbus.server import Server

from .cells import FacadeHandler, Served
from .figures import SiteStatus
from .group import GroupConfig, alfen_station_unit, single_register_unit
from .orders import ExternalLimits
from .own import OwnConfig, own_unit
from .product import ProductConfig, product_units
from .sunspec import SunSpecUnit, of_evse, of_site

__all__ = ["FacadeServer", "FacadesConfig", "MapConfig", "ServerOf", "serve_facades"]


class MapConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One map at a server."""

    map: str
    """`own`; `sunspec`; `single` (one register for a group); `alfen-station` (unit 200); or a product of the device
    library by its id (`keba-p30`) or by a short name: keba, alfen, charx, heidelberg, sdm630."""
    unit: int | None = None
    """The first unit; None: the map's own."""
    evses: tuple[str, ...] = ()
    """The EVSEs' ids, in the order of their blocks or units; none: all."""
    site: bool = False
    """`sunspec`: the connection to the grid instead of EVSEs."""
    models: tuple[Literal[103, 203], ...] = (203,)
    """`sunspec`: the models behind model 1."""
    own: OwnConfig = OwnConfig()
    product: ProductConfig = ProductConfig()
    group: GroupConfig = GroupConfig()


class ServerOf(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Modbus TCP server."""

    host: str = "127.0.0.1"
    port: int = 502
    """0: a free one."""
    clients: tuple[str, ...] = LOOPBACK
    """Addresses and networks that may connect and read."""
    writers: tuple[str, ...] = ()
    """Those of them that may write. None: it can only be read."""
    writes_per_minute: int = 600
    connections: int = 16
    maps: tuple[MapConfig, ...] = (MapConfig(map="own"),)


class FacadesConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All servers of a site."""

    servers: tuple[ServerOf, ...] = ()


class FacadeServer:
    """The servers at work."""

    def __init__(self, servers: Sequence[tuple[Server, str, int]]) -> None:
        self._servers = tuple(servers)
        self.addresses: tuple[tuple[str, int], ...] = tuple((host, port) for _, host, port in servers)
        """Where each of them listens, in the order of the configuration."""

    async def close(self) -> None:
        """Hang up on everybody."""
        for server, _, _ in self._servers:
            await server.close()


class _Made(msgspec.Struct, frozen=True):
    """All that the units of a map are made of."""

    config: MapConfig
    drivers: tuple[EvseDriver, ...]
    site: Callable[[], SiteStatus]
    limits: ExternalLimits
    started: int
    channel: str

    def first(self, default: int) -> int:
        return default if self.config.unit is None else self.config.unit


def units_of(
    config: ServerOf,
    drivers: Mapping[str, EvseDriver],
    site: Callable[[], SiteStatus],
    limits: ExternalLimits,
    started: int,
    name: str,
) -> dict[int, Served]:
    """The units of one server. Raises ConfigError."""
    units: dict[int, Served] = {}
    for number, each in enumerate(config.maps, 1):
        for evse in each.evses:
            if evse not in drivers:
                raise ConfigError(f"map {each.map}: there is no EVSE {evse!r}")
        chosen = tuple(drivers[evse] for evse in (each.evses or drivers))
        made = _Made(each, chosen, site, limits, started, f"{name}, map {number} ({each.map})")
        for unit, served in _MAPS.get(each.map, _product)(made).items():
            if unit in units:
                raise ConfigError(f"unit {unit} is served twice")
            if not 0 <= unit <= 255:
                raise ConfigError(f"a unit is 0 to 255, not {unit}")
            units[unit] = served
    return units


def _own(made: _Made) -> Mapping[int, Served]:
    unit = own_unit(made.config.own, made.drivers, made.site, made.limits, made.started, channel=made.channel)
    return {made.first(1): unit}


def _sunspec(made: _Made) -> Mapping[int, Served]:
    first, models = made.first(1), made.config.models
    if made.config.site:
        return {first: SunSpecUnit(of_site(made.site), "site", first, models)}
    return {
        first + at: SunSpecUnit(of_evse(driver), driver.id, first + at, models)
        for at, driver in enumerate(made.drivers)
    }


def _single(made: _Made) -> Mapping[int, Served]:
    return {made.first(255): single_register_unit(made.config.group, made.limits, channel=made.channel)}


def _alfen_station(made: _Made) -> Mapping[int, Served]:
    unit = alfen_station_unit(
        made.config.group, len(made.drivers), made.site, made.limits, made.started, channel=made.channel
    )
    return {made.first(200): unit}


@cache
def _device(path: Path) -> DeviceFile:
    return load_device(path)


def _product(made: _Made) -> Mapping[int, Served]:
    wanted = _SHORT.get(made.config.map, made.config.map)
    found = (
        next((path for path in LIBRARY.glob(f"*/{wanted}.yaml")), None) if wanted.replace("-", "").isalnum() else None
    )
    if found is None:
        raise ConfigError(f"there is no map {wanted!r}: there are {', '.join((*_MAPS, *_SHORT))} and all devices")
    device = _device(found)
    if device.sunspec is not None:
        raise ConfigError(f"{wanted} is walked by SunSpec models: serve the map sunspec")
    return product_units(device, made.config.unit, made.drivers, made.limits, made.channel, made.config.product)


_MAPS: Mapping[str, Callable[[_Made], Mapping[int, Served]]] = {
    "own": _own,
    "sunspec": _sunspec,
    "single": _single,
    "alfen-station": _alfen_station,
}
_SHORT = {
    "keba": "keba-p30",
    "alfen": "alfen-ng9xx",
    "charx": "phoenix-charx-sec",
    "heidelberg": "heidelberg-energy-control",
    "sdm630": "eastron-sdm630",
}


async def serve_facades(
    config: FacadesConfig,
    drivers: Mapping[str, EvseDriver],
    site: Callable[[], SiteStatus],
    limits: ExternalLimits,
    scheduler: Scheduler,
    audit: Callable[[Audit], None] | None = None,
) -> FacadeServer:
    """Serve all that is configured until `close`. `drivers` by EVSE id, `site` is asked for each request, `limits`
    takes what clients command, `audit` is told of every attempt to write.

    `scheduler` has the steady clock that the drivers' values and the control loop use. Raises ConfigError; nothing is
    left open then.
    """
    opened: list[tuple[Server, str, int]] = []
    try:
        for number, each in enumerate(config.servers, 1):
            units = units_of(each, drivers, site, limits, int(scheduler.now()), f"server {number}")
            access = Access(
                clients=each.clients,
                writers=each.writers,
                writable=tuple(rule for unit, served in units.items() for rule in served.rules(unit)),
                writes_per_minute=each.writes_per_minute,
            )
            guard = Guard(FacadeHandler(units, lambda: int(scheduler.now())), access, scheduler, audit)
            server = Server(guard, ServerConfig(units=frozenset(units)), scheduler, connections=each.connections)
            opened.append((server, each.host, await server.listen(each.host, each.port)))
    except ConfigError:
        await FacadeServer(opened).close()
        raise
    return FacadeServer(opened)
