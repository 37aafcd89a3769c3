"""What others see of a site and may ask of it, as parts that `run_site` starts: Modbus servers and an MQTT broker.

    outside = Outside(config, folder_of_the_file)
    await run_site(..., parts=outside.parts)

All orders meet in one `ExternalLimits`, each until it expires, and go into each tick by `Loop.external`: they lower
limits of nodes and what EVSEs get, and never raise anything. Where there is a folder for it they outlive the process
(`order_store`), and who ordered what is recorded (`audit`).
"""

from __future__ import annotations

import ipaddress
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler, Timer
from pilotwire.domain.steering import Ordered
from pilotwire.transport.modbus.guard import Audit
from pilotwire.transport.runtime import LoopScheduler, SteadyScheduler

from .addresses import address
from .audit import AuditFile
from .config import MapEntry, ModbusServerEntry, SiteConfig
from .elapsed import Clocks, clocks
from .entered import let_go
from .facades.figures import SiteStatus
from .facades.group import GroupConfig
from .facades.orders import ExternalLimits, Fight, Order
from .facades.own import OwnConfig
from .facades.product import ProductConfig
from .facades.serving import FacadesConfig, FacadeServer, MapConfig, ServerOf, serve_facades, units_of
from .link.entry import findings as central_findings
from .loop import Loop
from .mqtt.part import Broker
from .mqtt.part import findings as mqtt_findings
from .order_store import OrderStore, fingerprint
from .picture import DeviceKind, SitePicture, picture
from .ports import Abilities, EvseDriver, EvseStatus, Told
from .typed import Finding

LOOK_MS = 100
"""How often orders are taken over, and new decisions shown."""


class Orders:
    """The orders of all channels, taken over into the loop's inputs; a `run.Part`. `keep` opens where they are kept."""

    def __init__(
        self,
        report: Callable[[str], None],
        keep: Callable[[Callable[[], Clocks]], OrderStore] | None = None,
        audit: AuditFile | None = None,
    ) -> None:
        self.limits = ExternalLimits(self._fought)
        self._report, self._keep, self._audit = report, keep, audit
        self._store: OrderStore | None = None
        self._trouble = ""
        self._scheduler: Scheduler | None = None
        self._timer: Timer | None = None

    @property
    def now(self) -> int:
        """Of the clock by which orders expire."""
        assert self._scheduler is not None, "not started"
        return int(self._scheduler.now())

    async def start(self, loop: Loop) -> None:
        """See `run.Part`. What was ordered before a restart counts from the first tick on."""
        scheduler = self._scheduler = SteadyScheduler()
        wall = LoopScheduler()
        if self._keep is not None:
            store = self._store = self._keep(lambda: clocks(int(scheduler.now()), int(wall.now())))
            self.limits.restore(store.load(), self.now)
            for trouble in store.troubles:
                self._report(trouble)
            self.limits.keeper = _Kept(store, self._kept)

        def look() -> None:
            self._timer = scheduler.call_later(LOOK_MS, look)
            self.take_over(loop)

        look()

    async def stop(self) -> None:
        """See `run.Part`."""
        if self._timer is not None:
            self._timer.cancel()
        self.limits.keeper = None
        if self._store is not None:
            self._store.close()

    def _kept(self, error: sqlite3.Error | None) -> None:
        """An order counts though it cannot be kept: a full disk stops nobody from lowering a limit."""
        trouble = "" if error is None else f"orders cannot be kept over a restart: {error}"
        if trouble and not self._trouble:
            self._report(trouble)
        self._trouble = trouble

    def put(self, order: Order) -> None:
        """An order has come."""
        self.limits.put(order, self.now)

    def take_over(self, loop: Loop) -> None:
        """What is in force now goes into the next tick; what has changed makes it come at once."""
        if loop.inputs is not None:
            let_go(self.limits, loop.inputs.evses, self.now)
        found = self.limits.at(self.now)
        evses = {
            id: Ordered(
                source=each.source, maximum_ma=each.maximum_ma, maximum_mw=each.maximum_mw, pause=not each.enable,
                priority=each.priority, phases=each.phases, mode=each.mode, entered=each.entered,
            )
            for id, each in sorted(found.evses.items())
        }  # fmt: skip
        limits = dict(sorted(found.limits.items()))
        if evses != loop.external.evses or limits != loop.external.limits:
            loop.external = msgspec.structs.replace(loop.external, limits=limits, evses=evses)
            loop.nudge()

    def _fought(self, fight: Fight) -> None:
        self._report(f"orders contradict each other: {fight.text}")
        if self._audit is not None:
            self._audit.note(" and ".join(fight.clients), f"contradict each other: {fight.text}")


class _Kept:
    """A `Keeper` whose failures are told, and stop nobody."""

    def __init__(self, store: OrderStore, done: Callable[[sqlite3.Error | None], None]) -> None:
        self._store, self._done = store, done

    def put(self, order: Order) -> None:
        self._try(lambda: self._store.put(order))

    def drop(self, channel: str, place: str) -> None:
        self._try(lambda: self._store.drop(channel, place))

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except sqlite3.Error as error:
            self._done(error)
        else:
            self._done(None)


class Shown:
    """The last decision as a picture, made once for all who look; `show` is told of each new one. A `run.Part`."""

    def __init__(self, config: SiteConfig) -> None:
        self._kinds: Mapping[str, DeviceKind] = {device.id: device.kind for device in config.devices}
        self.watchers: list[Callable[[SitePicture], None]] = []
        self._loop: Loop | None = None
        self._made: SitePicture | None = None
        self._timer: Timer | None = None

    @property
    def last(self) -> SitePicture | None:
        """None before the first decision."""
        loop = self._loop
        if loop is None or loop.inputs is None or loop.decision is None:
            return None
        if self._made is None or self._made.seq != loop.decision.seq:
            self._made = picture(loop.site, self._kinds, loop.inputs, loop.decision)
        return self._made

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        self._loop = loop
        scheduler = LoopScheduler()
        seen = -1

        def look() -> None:
            nonlocal seen
            self._timer = scheduler.call_later(LOOK_MS, look)
            if not self.watchers or loop.decision is None or loop.decision.seq == seen:
                return
            seen = loop.decision.seq
            if (made := self.last) is not None:
                for watcher in self.watchers:
                    watcher(made)

        look()

    async def stop(self) -> None:
        """See `run.Part`."""
        if self._timer is not None:
            self._timer.cancel()


class ModbusServers:
    """The site's maps, served; a `run.Part`."""

    def __init__(self, config: SiteConfig, orders: Orders, shown: Shown, audit: Callable[[Audit], None] | None) -> None:
        self.config = config
        self.addresses: tuple[tuple[str, int], ...] = ()
        """Where each server listens, once started."""
        self._orders, self._shown, self._audit = orders, shown, audit
        self._server: FacadeServer | None = None

    async def start(self, loop: Loop) -> None:
        """See `run.Part`. Raises ConfigError where a port cannot be had."""
        drivers: dict[str, EvseDriver] = {entry.id: _of(entry.id, loop.evses) for entry in self.config.evses}
        self._server = await serve_facades(
            facades(self.config), drivers, lambda: status(self._shown.last), self._orders.limits, SteadyScheduler(),
            self._audit,
        )  # fmt: skip
        self.addresses = self._server.addresses

    async def stop(self) -> None:
        """See `run.Part`."""
        if self._server is not None:
            await self._server.close()


def _of(id: str, drivers: Sequence[EvseDriver]) -> EvseDriver:
    return next((each for each in drivers if each.id == id), _Absent(id))


class _Absent:
    """Stands for an EVSE that has no driver, so that the places of the others do not change."""

    def __init__(self, id: str, abilities: Abilities | None = None) -> None:
        self.id, self.abilities = id, abilities or Abilities()

    def status(self) -> EvseStatus:
        return EvseStatus()

    def offer(self, value: int, phases: object, valid_ms: int, done: Callable[[Told], None]) -> None:
        done(Told(False, "it is not there"))

    def failsafe(self, value: int, watchdog_ms: int, done: Callable[[Told], None]) -> None:
        done(Told(False, "it is not there"))


class Outside:
    """All parts of a configuration that others see. `folder`: what paths in it begin at."""

    def __init__(
        self, config: SiteConfig, folder: Path, report: Callable[[str], None],
        audit: AuditFile | None = None, data: Path | None = None,
    ) -> None:  # fmt: skip
        """`data`: the site's folder, where orders are kept; None: they do not outlive the process."""
        keep = None if data is None else lambda now: OrderStore(data / ORDERS, now, sections(config))
        self.orders, self.shown = Orders(report, keep, audit), Shown(config)
        self.servers: ModbusServers | None = None
        self.broker: Broker | None = None
        self.parts: list[Orders | Shown | ModbusServers | Broker] = []
        if config.modbus_servers or config.mqtt is not None or config.gateway:
            self.parts += [self.orders, self.shown]
        if config.modbus_servers:
            self.servers = ModbusServers(config, self.orders, self.shown, None if audit is None else audit.modbus)
            self.parts.append(self.servers)
        if config.mqtt is not None:
            note = None if audit is None else audit.note
            self.broker = Broker(config, config.mqtt, folder, self.orders, self.shown, report, note, data)
            self.parts.append(self.broker)


ORDERS = "orders.db"


def sections(config: SiteConfig) -> dict[str, str]:
    """`Order.via` to a fingerprint of the part of the file that it came by."""
    found: dict[str, str] = {}
    if config.modbus_servers:
        found["modbus"] = fingerprint(config.modbus_servers, tuple(each.id for each in config.evses))
    if config.mqtt is not None:
        found["mqtt"] = fingerprint(config.mqtt.url, config.mqtt.prefix, config.mqtt.sparkplug)
    if config.gateway:
        found["ocpp"] = fingerprint(config.gateway)
    return found


def status(made: SitePicture | None) -> SiteStatus:
    """A picture as registers show it."""
    if made is None:
        return SiteStatus(trouble="starting")
    root = next(node for node in made.nodes if node.parent is None)
    limits = {limit.what: limit.value for limit in root.limits}
    l1, l2, l3 = limits.get("L1"), limits.get("L2"), limits.get("L3")
    held = next((each for each in made.evses if each.code in ("limit", "waiting", "under_way")), None)
    return SiteStatus(
        power_mw=root.power_mw, phases_ma=root.phases_ma,
        limit_ma=None if l1 is None or l2 is None or l3 is None else (l1, l2, l3), limit_mw=limits.get("power"),
        limiting="" if held is None else held.node, reason="" if held is None else held.reason, nodes=len(made.nodes),
        trouble=f"{made.marks[0].where}: {made.marks[0].words}" if made.marks else "",
        utc_ms=made.at_ms,
    )  # fmt: skip


# --- from the file --------------------------------------------------------------------------------------------------


def facades(config: SiteConfig) -> FacadesConfig:
    """Raises ConfigError for an address that is none."""
    root = next(node.id for node in config.nodes if node.parent is None)
    return FacadesConfig(servers=tuple(_server(each, root) for each in config.modbus_servers))


def _server(entry: ModbusServerEntry, root: str) -> ServerOf:
    host, port = address(entry.listen)
    return ServerOf(
        host=host, port=port, clients=entry.clients, writers=entry.writers,
        writes_per_minute=entry.writes_per_minute, connections=entry.connections,
        maps=tuple(_map(each, root) for each in entry.maps),
    )  # fmt: skip


def _map(entry: MapEntry, root: str) -> MapConfig:
    node = entry.node or root
    most = int(entry.maximum_a * 1_000)
    safe = None if entry.failsafe_a is None else int(entry.failsafe_a * 1_000)
    return MapConfig(
        map=entry.map, unit=entry.unit, evses=entry.evses, site=entry.site,
        own=OwnConfig(
            node=node, maximum_ma=most, maximum_mw=int(entry.maximum_kw * 1_000_000), longest_s=entry.longest_s,
            default_s=entry.validity_s or 60,
        ),
        product=ProductConfig(
            node=node, failsafe_ma=safe, watchdog_ms=None if entry.validity_s is None else entry.validity_s * 1_000
        ),
        group=GroupConfig(node=node, maximum_ma=most, validity_s=entry.validity_s, safe_ma=safe),
    )  # fmt: skip


def findings(config: SiteConfig, folder: Path) -> Iterator[Finding]:
    """What is wrong with `modbus_servers:`, `mqtt:`, `central:`, and who of `sources:` cannot speak. The tree itself
    has been found right."""
    seen: dict[tuple[str, int], int] = {}
    for number, server in enumerate(config.modbus_servers, 1):
        yield from _server_findings(config, server, f"modbus_servers[{number}]", number, seen)
    if config.mqtt is not None:
        yield from mqtt_findings(config, config.mqtt, folder)
    if config.mqtt is None or not config.mqtt.commands:
        text = "can never speak: sources are heard by MQTT. Enter `mqtt:` with commands, or leave the source out"
        yield from (Finding(f"sources[{source.id}]", text, "warning") for source in config.sources)
    yield from central_findings(config.central, config.site.id, folder)


def _server_findings(
    config: SiteConfig, entry: ModbusServerEntry, where: str, number: int, seen: dict[tuple[str, int], int]
) -> Iterator[Finding]:
    try:
        place = address(entry.listen)
    except ConfigError as error:
        yield Finding(f"{where}.listen", str(error))
        return
    if place[1] and place in seen:
        text = f"server {seen[place]} listens there already: put all maps of one address into one server"
        yield Finding(f"{where}.listen", text)
    seen[place] = number
    for name in ("clients", "writers"):
        for each in getattr(entry, name):
            try:
                ipaddress.ip_network(each)
            except ValueError as error:
                yield Finding(f"{where}.{name}", f"{error}; e.g. 192.168.10.7 or 192.168.10.0/24")
    nodes = {node.id for node in config.nodes}
    known = {evse.id for evse in config.evses}
    wrong = False
    for at, each in enumerate(entry.maps, 1):
        if each.node is not None and each.node not in nodes:
            wrong = True
            yield Finding(f"{where}.maps[{at}].node", f"there is no node {each.node}")
        for evse in each.evses:
            if evse not in known:
                wrong = True
                yield Finding(f"{where}.maps[{at}].evses", f"there is no EVSE {evse}")
    root = next((node.id for node in config.nodes if node.parent is None), "")
    if wrong or any(each.current == "DC" and each.maximum_kw is None for each in config.evses):
        return
    from .parts import abilities

    drivers = {each.id: _Absent(each.id, abilities(config, each)) for each in config.evses}
    try:
        units_of(_server(entry, root), drivers, SiteStatus, ExternalLimits(), 0, where)
    except ConfigError as error:
        yield Finding(f"{where}.maps", str(error))
