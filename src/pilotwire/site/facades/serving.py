"""Servers of the maps: who may connect and write, and which unit shows what."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.protocols.modbus.server import ServerConfig
from pilotwire.site.ports import EvseDriver
from pilotwire.transport.modbus.guard import LOOPBACK, Access, Audit, Guard
from pilotwire.transport.modbus.server import Server

from .cells import FacadeHandler, Unit, writable
from .figures import SiteStatus
from .orders import ExternalLimits
from .own import OwnConfig, own_unit

__all__ = ["FacadeServer", "FacadesConfig", "MapConfig", "ServerOf", "serve_facades"]


class MapConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One map at a server."""

    map: str
    """`own`."""
    unit: int = 1
    evses: tuple[str, ...] = ()
    """The EVSEs' ids, in the order of their blocks; none: all."""
    own: OwnConfig = OwnConfig()


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


def units_of(
    config: ServerOf,
    drivers: Mapping[str, EvseDriver],
    site: Callable[[], SiteStatus],
    limits: ExternalLimits,
    started: int,
    name: str,
) -> dict[int, Unit]:
    """The units of one server. Raises ConfigError."""
    units: dict[int, Unit] = {}
    for each in config.maps:
        for evse in each.evses:
            if evse not in drivers:
                raise ConfigError(f"map {each.map}: there is no EVSE {evse!r}")
        chosen = [drivers[evse] for evse in (each.evses or drivers)]
        made = _MAPS.get(each.map)
        if made is None:
            raise ConfigError(f"there is no map {each.map!r}: there are {', '.join(sorted(_MAPS))}")
        for unit, served in made(each, chosen, site, limits, started, f"{name}/{each.map}:{each.unit}").items():
            if unit in units:
                raise ConfigError(f"unit {unit} is served twice")
            if not 0 <= unit <= 255:
                raise ConfigError(f"a unit is 0 to 255, not {unit}")
            units[unit] = served
    return units


def _own(
    config: MapConfig,
    drivers: Sequence[EvseDriver],
    site: Callable[[], SiteStatus],
    limits: ExternalLimits,
    started: int,
    channel: str,
) -> dict[int, Unit]:
    return {config.unit: own_unit(config.own, drivers, site, limits, started, channel=channel)}


_MAPS = {"own": _own}


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
                writable=tuple(rule for unit, served in units.items() for rule in writable(unit, served.cells)),
                writes_per_minute=each.writes_per_minute,
            )
            guard = Guard(FacadeHandler(units, lambda: int(scheduler.now())), access, scheduler, audit)
            server = Server(guard, ServerConfig(units=frozenset(units)), scheduler, connections=each.connections)
            opened.append((server, each.host, await server.listen(each.host, each.port)))
    except ConfigError:
        await FacadeServer(opened).close()
        raise
    return FacadeServer(opened)
