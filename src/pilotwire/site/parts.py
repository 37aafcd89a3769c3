"""The drivers of a configuration: Modbus devices and chargers by their files, OCPP chargers by the local controller."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Literal

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.transport.modbus.carriers import EndpointDialer, SerialEndpoint, parse_endpoint
from pilotwire.transport.modbus.link import Link
from pilotwire.transport.ocpp.tls import ServerTls

from .addresses import address
from .compiled import evse as evse_of
from .compiled import findings as meant
from .compiled import outlet, steering_config
from .config import EvseEntry, SiteConfig
from .devices.driver import DeviceDriver, Pace, client_config
from .devices.evse import ModbusEvse
from .devices.fallback import LoadDriver, lacks
from .devices.load import find_device
from .devices.schema import DeviceFile
from .gateway.entries import gateway_findings
from .loads import device_findings
from .ocpp.checked import findings as ocpp_findings
from .ocpp.config import ControllerConfig
from .ocpp.controller import LocalController
from .ocpp.entries import given_tls, stations_of
from .ocpp.evse import ManagedStation, OcppEvse
from .ocpp.live import LiveController
from .ocpp.upstream_tls import UpstreamContexts
from .planning import prices
from .ports import Abilities, Device, EvseDriver, EvseStatus, Told
from .telecontrol.filed import telecontrol_findings
from .typed import Finding

PACE = Pace()
METERED = Pace(slow_ms=PACE.fast_ms)
"""Of chargers that are shown to a central system: a session ends with what the register says then."""


class Named:
    """An OCPP charger under the site's name for it, its values on the loop's clock; an `EvseDriver`."""

    def __init__(self, id: str, driver: OcppEvse, scheduler: Scheduler, wall: Callable[[], int]) -> None:
        self.id = id
        self.driver = driver
        self._scheduler, self._wall = scheduler, wall

    @property
    def abilities(self) -> Abilities:
        return self.driver.abilities

    def status(self) -> EvseStatus:
        status = self.driver.status()
        late = int(self._scheduler.now()) - self._wall()
        if not late:
            return status
        points = {
            name: msgspec.structs.replace(value, at_ms=value.at_ms + late) for name, value in status.points.items()
        }
        return msgspec.structs.replace(status, points=points)

    def offer(self, value: int, phases: Literal[1, 3] | None, valid_ms: int, done: Callable[[Told], None]) -> None:
        self.driver.offer(value, phases, valid_ms, done)

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        self.driver.failsafe(value, watchdog_ms, done)

    def rest(self, ms: int) -> None:
        """See `Restful`."""
        self.driver.rest(ms)


class Built:
    """`run.Drivers`. Raises ConfigError where a device file, an endpoint, or a file with a secret is wrong.

    `folder`: of the site's data. `silent`: they are looked at alone, and nobody is told anything of ours.
    `paths`: what paths of the configuration begin at. `tls`: what stations that come by wss:// are shown; without it
    the file has to name a certificate.
    """

    def __init__(
        self, config: SiteConfig, folder: Path, scheduler: Scheduler, *, silent: bool = False, paths: Path = Path(),
        tls: ServerTls | None = None, report: Callable[[str], None] = lambda text: None,
    ) -> None:  # fmt: skip
        self._config, self._scheduler, self._silent = config, scheduler, silent
        self._paths, self._tls, self._report = paths, tls, report
        self._links: dict[str, Link] = {}
        self._modbus: list[ModbusEvse] = []
        self._devices: list[DeviceDriver] = []
        self._ocpp: LiveController | None = None
        self._named: list[EvseDriver] = []
        files = dict(_files(config))
        behind: dict[str, list[DeviceFile]] = {}
        for entry in (*config.devices, *(each.charger for each in config.evses)):
            if entry.file is not None and entry.endpoint is not None:
                behind.setdefault(entry.endpoint, []).append(files[entry.file])
        for text, devices in behind.items():
            endpoint = parse_endpoint(text)
            framing = "rtu" if isinstance(endpoint, SerialEndpoint) else endpoint.framing
            self._links[text] = Link(EndpointDialer(endpoint), scheduler, client_config(devices, framing))
        for entry in config.devices:
            link = self._links[entry.endpoint]
            made = LoadDriver if entry.kind == "load" else DeviceDriver
            self._devices.append(made(entry.id, files[entry.file], link, scheduler, unit=entry.unit))
        shown = {id for section in config.gateway for id in section.evses}
        for entry in config.evses:
            charger = entry.charger
            if charger.file is not None and charger.endpoint is not None:
                self._modbus.append(
                    ModbusEvse(
                        entry.id,
                        files[charger.file],
                        self._links[charger.endpoint],
                        scheduler,
                        unit=charger.unit,
                        outlet=charger.connector,
                        abilities=abilities(config, entry),
                        pace=METERED if entry.id in shown else PACE,
                    )
                )
        if any(entry.charger.ocpp is not None for entry in config.evses):
            self._ocpp = self._controller(folder)

    def _controller(self, folder: Path) -> LiveController:
        config = self._config
        wanted: dict[str, list[EvseEntry]] = {}
        for entry in config.evses:
            if entry.charger.ocpp is not None:
                wanted.setdefault(entry.charger.ocpp, []).append(entry)
        stations = tuple(
            msgspec.structs.replace(station, managed=station.managed or station.identity in wanted)
            for station in stations_of(config.ocpp, self._paths)
        )
        if self._tls is None and config.ocpp.tls is not None:
            self._tls = given_tls(config.ocpp.tls, self._paths)
        known = {station.identity: station for station in stations}
        watchdogs = [outlet(config, each).watchdog_ms or 0 for entries in wanted.values() for each in entries]

        def prepare(controller: LocalController) -> None:
            for identity, entries in wanted.items():
                if identity not in known:
                    continue  # `findings` has said so; its EVSEs are marked as never heard
                unit = ManagedStation(
                    controller.seat(identity, known[identity].tenant),
                    {each.charger.connector: abilities(config, each) for each in entries},
                    sample_s=None if self._silent else 5,
                    silent=self._silent,
                )
                for each in entries:
                    driver = unit.drivers[each.charger.connector]
                    self._named.append(Named(each.id, driver, self._scheduler, controller.around.now))

        made = LiveController(
            ControllerConfig(
                upstreams=config.ocpp.upstreams,
                stations=stations,
                unknown_tokens=config.ocpp.unknown_tokens,
                tokens=config.ocpp.tokens,
                authorize_first=config.ocpp.authorize_first,
                failsafe_s=max(max(watchdogs, default=60_000) // 1_000, 1),
            ),
            folder / "ocpp.db",
            prepare=prepare,
            upstream_ssl=UpstreamContexts(self._paths, self._report),
            report=self._report,
        )
        made.make_ready()  # the loop wants the drivers before anybody is let in
        return made

    @property
    def evses(self) -> Sequence[EvseDriver]:
        return [*self._modbus, *self._named]

    @property
    def devices(self) -> Sequence[Device]:
        return self._devices

    @property
    def ocpp_port(self) -> int:
        """Where stations connect, once started: `ocpp.listen` may leave it open. 0: nobody listens for them."""
        return 0 if self._ocpp is None or not self._config.ocpp.plain else self._ocpp.port

    @property
    def ocpps_port(self) -> int:
        """The same by wss://."""
        return 0 if self._ocpp is None or self._config.ocpp.tls is None else self._ocpp.secure.port

    async def start(self) -> None:
        """Links dial, drivers ask, stations may come. Raises ConfigError where the port is taken."""
        for link in self._links.values():
            link.start()
        for driver in (*self._devices, *self._modbus):
            driver.start()
        if self._ocpp is not None:
            await self._listen(self._ocpp)

    async def _listen(self, live: LiveController) -> None:
        entry = self._config.ocpp
        where = f"ocpp.listen {entry.listen}"
        try:
            if entry.plain:
                await live.start(*address(entry.listen))
            if entry.tls is not None:
                where = f"ocpp.tls.listen {entry.tls.listen}"
                if self._tls is None:
                    raise ConfigError("there is no certificate; name one")
                await live.start_tls(*address(entry.tls.listen), self._tls)
        except (OSError, ConfigError) as error:
            raise ConfigError(f"{where}: cannot listen there: {error}") from error

    async def stop(self) -> None:
        """Nobody is spoken to any more."""
        for driver in (*self._devices, *self._modbus):
            driver.stop()
        for link in self._links.values():
            link.close()
        if self._ocpp is not None:
            await self._ocpp.stop()


def _files(config: SiteConfig) -> Iterator[tuple[str, DeviceFile]]:
    """Each file that is named, once. Raises ConfigError."""
    names = {entry.file for entry in config.devices}
    names |= {entry.charger.file for entry in config.evses if entry.charger.file is not None}
    for name in sorted(names):
        yield name, find_device(name)


def abilities(config: SiteConfig, entry: EvseEntry) -> Abilities:
    """What an EVSE can be told, by the configuration."""
    made, out = evse_of(entry), outlet(config, entry)
    return Abilities(
        unit=made.unit,
        minimum=made.minimum,
        maximum=made.maximum,
        step=made.step,
        phases=made.phases,
        phase_switching=made.switching is not None,
        failsafe=out.failsafe if out.has_failsafe else None,
        watchdog_ms=out.watchdog_ms,
    )


def findings(config: SiteConfig, folder: Path = Path()) -> list[Finding]:
    """What is wrong with the device files, the endpoints, the stations, servers and the broker of a configuration.

    `folder`: what paths in it begin at.
    """
    from . import outside  # its register maps are 6 MB, which whoever only drives need not have

    found: list[Finding] = []
    named = [(f"devices[{each.id}]", each.file, each.endpoint) for each in config.devices]
    named += [(f"evses[{each.id}].charger", each.charger.file, each.charger.endpoint) for each in config.evses]
    for where, file, endpoint in named:
        try:
            if file is not None:
                find_device(file)
        except ConfigError as error:
            found.append(Finding(f"{where}.file", str(error)))
        try:
            if endpoint is not None:
                parse_endpoint(endpoint)
        except ConfigError as error:
            found.append(Finding(f"{where}.endpoint", str(error)))
    if found:
        return [*found, *outside.findings(config, folder), *prices.findings(config, folder)]
    files = dict(_files(config))
    known = {station.identity for station in config.ocpp.stations}
    if not config.ocpp.upstreams and any(each.charger.ocpp is not None for each in config.evses):
        text = "OCPP stations belong to a central system, which lets drivers in and keeps their sessions: enter one"
        found.append(Finding("ocpp.upstreams", text))
    for each in config.evses:
        charger = each.charger
        if charger.ocpp is not None and charger.ocpp not in known:
            text = f"station {charger.ocpp} may not connect: enter it below ocpp.stations"
            found.append(Finding(f"evses[{each.id}].charger.ocpp", text))
        if charger.file is None:
            continue
        able = files[charger.file].abilities
        if each.phase_switching and (able is None or not able.phase_switching):
            text = f"{charger.file} cannot be told how many phases to connect; leave it out"
            found.append(Finding(f"evses[{each.id}].phase_switching", text))
        out = outlet(config, each)
        name = "failsafe_mw" if each.current == "DC" else "failsafe_ma"
        text = lacks(files[charger.file], name, out.failsafe, out.watchdog_ms or 0)
        if each.has_failsafe and text:
            text = f"{charger.file} {text}; say has_failsafe: false, so that it counts with its maximum"
            found.append(Finding(f"evses[{each.id}]", text))
    found += ocpp_findings(config.ocpp, folder)
    found += prices.findings(config, folder)
    found += device_findings(config, files)
    chargers = {each.id: each.charger.file is not None for each in config.evses}
    found += gateway_findings(config.gateway, chargers, folder)
    return [*found, *outside.findings(config, folder), *_telecontrol(config, files)]


def _telecontrol(config: SiteConfig, files: Mapping[str, DeviceFile]) -> list[Finding]:
    if config.telecontrol is None:
        return []
    listens: dict[tuple[str, int], str] = {}
    for number, server in enumerate(config.modbus_servers, 1):
        with suppress(ConfigError):  # it is said where it stands
            listens[address(server.listen)] = f"modbus_servers[{number}]"
    return telecontrol_findings(
        config.telecontrol,
        {each.id: files[each.file].points.keys() for each in config.devices},
        {node.id for node in config.nodes},
        None if any(each.severity == "error" for each in meant(config)) else steering_config(config),
        listens,
        [each.id for each in config.evses if not each.in_service],
    )
