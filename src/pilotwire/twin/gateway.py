"""A charger that knows no OCPP, as an OCPP station: the gateway of the site below the station program, joined here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from random import Random

from pilotwire.core.ids import Ids
from pilotwire.core.time import Scheduler
from pilotwire.site.gateway.config import GatewayConfig
from pilotwire.site.gateway.gateway import Gateway, to_driver
from pilotwire.site.gateway.ports import SetPoint
from pilotwire.site.ports import EvseDriver
from pilotwire.station.bridge import Bridge
from pilotwire.station.config import EvseConfig, StationConfig
from pilotwire.station.program import Station
from pilotwire.station.storage import StationStorage
from pilotwire.transport.port import Dialer

__all__ = ["GatewayStation", "gateway_station"]


class GatewayStation:
    """The station, and the gateway below it."""

    def __init__(self, station: Station, gateway: Gateway) -> None:
        self.station = station
        self.gateway = gateway

    def start(self) -> None:
        """Switch it on: it boots, connects, and finds out what happened while it was off."""
        self.gateway.attach(Bridge(self.station), self.station.power_on)

    def stop(self) -> None:
        """An orderly end; sessions go on, and are taken up by the next start."""
        self.gateway.stop()
        self.station.shut_down()

    def kill(self) -> None:
        """As if the process were gone: nothing more is stored or sent (for tests)."""
        self.gateway.stop()
        self.station.power_off()


def gateway_station(
    config: GatewayConfig,
    drivers: Mapping[str, EvseDriver],
    scheduler: Scheduler,
    dialer: Dialer,
    ids: Ids,
    random: Random,
    storage: StationStorage,
    *,
    tell: SetPoint | None = None,
    told: Callable[[str], None] = lambda text: None,
    on_password: Callable[[str], None] | None = None,
) -> GatewayStation:
    """The station for the EVSEs of `config`, not yet started.

    `scheduler`'s clock is UTC. `dialer` knows the CSMS and the password. `storage` is the station's own, and keeps what
    the gateway has to remember. `tell`: where set-points go; None: straight to the drivers. `on_password`: the CSMS has
    set another. `told`: see `Gateway`.
    Raises ConfigError.
    """
    gateway = Gateway(config, drivers, scheduler, storage, tell or to_driver(drivers, told), told=told)
    evses: list[EvseConfig] = []
    for outlet in gateway.outlets:
        abilities, fixed = outlet.driver.abilities, not outlet.attendant.unlocks
        if abilities.unit == "mW":
            evses.append(EvseConfig(dc=True, max_ma=500_000, max_w=abilities.maximum // 1000, connector_type="cCCS2",
                                    fixed_cable=fixed))  # fmt: skip
            continue
        power = abilities.maximum * 230 * abilities.phases // 1000
        evses.append(EvseConfig(phases=abilities.phases, max_ma=abilities.maximum, max_w=power, fixed_cable=fixed))
    built = StationConfig(
        identity=config.identity,
        version=config.version,
        evses=tuple(evses),
        vendor=config.vendor or "Pilotwire gateway",
        model=config.model or "Modbus charger",
        serial=config.serial,
        firmware=config.firmware or "1.0",
        settings=config.settings,
        security_profile=2 if config.url.startswith("wss:") else 1,
    )
    station = Station(built, scheduler, dialer, ids, random, storage, outlets=gateway, on_password=on_password)
    return GatewayStation(station, gateway)
