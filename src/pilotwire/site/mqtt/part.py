"""`mqtt:` of a site's file: the site at a broker, and as an edge node of Sparkplug where that is wanted.

broker = Broker(config, config.mqtt, folder_of_the_file, orders, shown, report)
await broker.start(loop)
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol
from urllib.parse import quote

import msgspec

from pilotwire import __version__
from pilotwire.core.errors import ConfigError
from pilotwire.domain.energy import Limit
from pilotwire.domain.steering import Mode
from pilotwire.protocols.sparkplug import EdgeNodeConfig
from pilotwire.protocols.sparkplug.topics import part
from pilotwire.transport.mqtt import Message, MqttConfig, MqttLink, parse_url
from pilotwire.transport.runtime import LoopScheduler

from ..config import MqttEntry, SiteConfig
from ..devices.load import find_device
from ..entered import DEPARTURE, ENERGY, Want, enter, wants
from ..facades.orders import ExternalLimits, Order
from ..loop import Loop
from ..picture import SitePicture
from ..typed import Finding
from .commands import Ask, Pace
from .homeassistant import HomeAssistant
from .publisher import Audited, SiteMqtt
from .sparkplug import SiteSparkplug
from .topics import Standing

SEQUENCE = "sparkplug.bdseq"
"""In the site's folder: the birth/death number of the last connection, so that none comes twice in a row."""
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


class Orders(Protocol):
    """`outside.Orders`."""

    limits: ExternalLimits

    @property
    def now(self) -> int: ...

    def put(self, order: Order) -> None: ...


class Shown(Protocol):
    """`outside.Shown`."""

    watchers: list[Callable[[SitePicture], None]]


class Broker:
    """A `run.Part`."""

    def __init__(
        self, config: SiteConfig, entry: MqttEntry, folder: Path, orders: Orders, shown: Shown,
        report: Callable[[str], None], audit: Audited | None = None, data: Path | None = None,
    ) -> None:  # fmt: skip
        """`folder`: what paths in the configuration begin at. `data`: the site's folder."""
        self._audit, self._data = audit, data
        self.config, self.entry, self._folder = config, entry, folder
        self._orders, self._shown, self._report = orders, shown, report
        self.links: list[MqttLink] = []
        self.mqtt: SiteMqtt | None = None
        self._leave: list[Callable[[], Sequence[Message]]] = []
        self._said: dict[str, str] = {}

    async def start(self, loop: Loop) -> None:
        """See `run.Part`. Raises ConfigError for files that cannot be used; a broker that is away is waited for."""
        config, entry, wall = self.config, self.entry, LoopScheduler()
        client = entry.client_id or f"pilotwire-{config.site.id}"
        pace = Pace(entry.commands_per_minute)

        def utc() -> int:
            return int(wall.now())

        def standing() -> Mapping[str, Standing]:
            return self._standing(loop)

        mqtt = SiteMqtt(
            config.site.id, lambda *a, **k: plain.publish(*a, **k), lambda ask: self.order(ask, "broker", loop),
            utc=utc, evses=frozenset(loop.site.topology.evses), nodes=frozenset(node.id for node in config.nodes),
            sources={id: each.lost_after_ms for id, each in loop.site.sources.items()}, prefix=entry.prefix,
            home_assistant=self._home(loop), standing=standing, commands=entry.commands, pace=pace, audit=self._audit,
        )  # fmt: skip
        plain = MqttLink(
            link_config(entry, client, self._folder), will=lambda: mqtt.will, subscriptions=mqtt.subscriptions,
            glances=mqtt.glances, online=lambda: (self._online(plain), mqtt.online())[1],
            offline=lambda why: self._offline("the broker", why), heard=mqtt.heard,
        )  # fmt: skip
        self.mqtt = mqtt
        self._join(plain, mqtt.show, lambda: mqtt.last_words)
        if entry.sparkplug is not None:
            wanted = entry.sparkplug
            node = SiteSparkplug(
                EdgeNodeConfig(group=wanted.group, node=wanted.node or config.site.id, host=wanted.host),
                lambda *a, **k: second.publish(*a, **k), lambda ask: self.order(ask, "sparkplug", loop), utc=utc,
                bd_seq=self._number(), audit=self._audit, standing=standing, commands=entry.commands, pace=pace,
            )  # fmt: skip
            second = MqttLink(
                link_config(entry, f"{client}-sparkplug", self._folder), will=lambda: node.will,
                subscriptions=node.subscriptions,
                online=lambda: (self._online(second), self._keep(node.node.bd_seq), node.online())[2],
                offline=lambda why: (self._offline("Sparkplug's broker", why), node.offline(why))[1], heard=node.heard,
            )  # fmt: skip
            self._join(second, node.show, lambda: node.last_words)
        for link in self.links:
            link.start()

    def _home(self, loop: Loop) -> HomeAssistant:
        points: dict[str, frozenset[str]] = {}
        for device in self.config.devices:
            with contextlib.suppress(ConfigError):  # of a simulated one: what it says is all there is
                points[device.id] = frozenset(find_device(device.file).points)
        steering = loop.site.steering
        sunny = steering is not None and steering.config.surplus is not None
        modes: tuple[Mode, ...] = ("now", "min_pv", "pv", "off") if sunny else ("now", "off")
        return HomeAssistant(
            prefix=self.entry.home_assistant_prefix, on=self.entry.home_assistant, version=__version__,
            limits={id: (evse.minimum, evse.maximum) for id, evse in loop.site.topology.evses.items()},
            points=points, modes=modes, commands=self.entry.commands, expires_s=self.entry.home_assistant_expires_s,
        )  # fmt: skip

    def _standing(self, loop: Loop) -> Mapping[str, Standing]:
        """Of each EVSE, of all who order."""
        found = self._orders.limits.at(self._orders.now).evses
        made: dict[str, Standing] = {}
        cars = {} if loop.inputs is None else wants(loop.inputs)
        for id, evse in loop.site.topology.evses.items():
            order, out = found.get(id), loop.site.outlets[id]
            mode, enabled, limit = out.mode, True, None
            if order is not None:
                mode, enabled = order.mode or out.mode, order.enable
                limit = order.maximum_ma if evse.current == "AC" else order.maximum_mw
            made[id] = Standing(
                mode=mode, enabled=enabled, maximum=evse.maximum if limit is None else min(limit, evse.maximum),
                car=cars.get(id, Want()),
            )  # fmt: skip
        return made

    def _join(
        self, link: MqttLink, show: Callable[[SitePicture], None], leave: Callable[[], Sequence[Message]]
    ) -> None:
        self.links.append(link)
        self._leave.append(leave)
        self._shown.watchers.append(show)

    async def stop(self) -> None:
        """See `run.Part`."""
        self._shown.watchers.clear()
        for link, leave in zip(self.links, self._leave, strict=True):
            await link.stop(leave() if link.online else ())

    def order(self, ask: Ask, client: str, loop: Loop) -> str:
        """A command becomes orders, one for each thing it asks, or what a source has said; "" or why it cannot be
        followed."""
        if ask.source:
            limited = ask.phases_ma is not None or ask.power_mw is not None
            limit = Limit(ask.source, phases_ma=ask.phases_ma, power_mw=ask.power_mw) if limited else None
            loop.hear(ask.source, limit)
            return ""
        evse = loop.site.topology.evses.get(ask.evse)
        if ask.phases is not None and (evse is None or evse.switching is None):
            return f"{ask.evse} cannot change its phases; if it can, say so with phase_switching"
        steering = loop.site.steering
        if ask.mode in ("pv", "min_pv") and (steering is None or steering.config.surplus is None):
            return f"mode {ask.mode} follows the surplus, and this site has none: enter steering.surplus"
        base = Order(
            channel="", client=client, via="mqtt", evse=ask.evse, node=ask.node,
            until_ms=None if ask.valid_ms is None else self._orders.now + ask.valid_ms,
        )  # fmt: skip
        if why := self._entered(ask, base, loop):
            return why
        put = self._orders.put
        replace = msgspec.structs.replace
        if ask.phases_ma is not None or ask.power_mw is not None:
            put(replace(base, channel=f"{client} limit", phases_ma=ask.phases_ma, power_mw=ask.power_mw))
        if ask.enable is not None:
            put(replace(base, channel=f"{client} enable", enable=ask.enable))
        if ask.priority is not None:
            put(replace(base, channel=f"{client} priority", priority=ask.priority))
        if ask.phases is not None:
            put(replace(base, channel=f"{client} phases", phases=ask.phases))
        if ask.mode is not None:
            put(replace(base, channel=f"{client} mode", mode=ask.mode))
        return ""

    def _entered(self, ask: Ask, base: Order, loop: Loop) -> str:
        """What is said of the car that is there; "" or why it cannot be."""
        for name, channel in (("departure", DEPARTURE), ("energy_kwh", ENERGY)):
            if name in ask.forget:
                self._orders.limits.drop(channel, base.place)
        if ask.departure_ms is None and ask.energy_wh is None:
            return ""
        inputs = loop.inputs
        if inputs is None:
            return "the site is starting: nobody knows yet which cars are there"
        status = next((each.status for each in inputs.evses if each.id == ask.evse), None)
        limits, now = self._orders.limits, self._orders.now
        return enter(limits, base, status, now, inputs.now.utc_ms, ask.departure_ms, ask.energy_wh)

    def _online(self, link: MqttLink) -> None:
        if self._said:
            self._report(f"the broker is there: {_without_password(self.entry.url)}")
        self._said.clear()
        if link.denied:
            topics = ", ".join(link.denied)
            self._report(f"the broker does not let us hear {topics}: no command comes from there; see its access list")

    def _offline(self, which: str, why: str) -> None:
        if why not in self._said.values():
            self._report(f"no broker at {_without_password(self.entry.url)}: {why}; it is tried again")
        self._said[which] = why

    def _number(self) -> int:
        if self._data is None:
            return 255
        with contextlib.suppress(OSError, ValueError):
            return int((self._data / SEQUENCE).read_text("ascii"))
        return 255

    def _keep(self, number: int) -> None:
        if self._data is not None:
            with contextlib.suppress(OSError):  # a full disk stops nobody from being seen
                (self._data / SEQUENCE).write_text(f"{number}\n", "ascii")


def link_config(entry: MqttEntry, client: str, folder: Path) -> MqttConfig:
    """Raises ConfigError for a password's file that cannot be read."""
    url = entry.url
    if entry.password_file is not None:
        path = folder / entry.password_file
        try:
            password = path.read_text("utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigError(f"mqtt.password_file {path} cannot be read: {error}") from error
        scheme, _, rest = url.partition("://")
        user, _, host = rest.rpartition("@")
        url = f"{scheme}://{user.partition(':')[0]}:{quote(password, safe='')}@{host}"
    files = {
        name: folder / text for name in ("ca", "certificate", "key") if (text := getattr(entry, name)) is not None
    }  # fmt: skip
    return MqttConfig(url=url, client_id=client, **files)


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"


def findings(config: SiteConfig, entry: MqttEntry, folder: Path) -> Iterator[Finding]:
    """What is wrong with `mqtt:`."""
    try:
        place = parse_url(entry.url)
    except ConfigError as error:
        yield Finding("mqtt.url", str(error))
        return
    if place.password:
        text = "has a password, which all who read this file read; name a file with it by password_file"
        yield Finding("mqtt.url", text, "warning")
    if entry.commands and not place.user and entry.certificate is None and place.host not in _LOOPBACK:
        text = (
            "names no user: whoever reaches this broker can command the chargers. Give the site a user and let the "
            "broker's access list say who may write its topics, or write commands: false"
        )
        yield Finding("mqtt.url", text, "warning")
    if entry.password_file is not None and not place.user:
        yield Finding("mqtt.password_file", "needs a user in the url: mqtts://USER@host")
    for name in ("password_file", "ca", "certificate", "key"):
        text = getattr(entry, name)
        if text is not None and not (folder / text).is_file():
            yield Finding(f"mqtt.{name}", f"there is no file {folder / text}")
    if not place.tls and (entry.ca or entry.certificate):
        yield Finding("mqtt.url", "has TLS files but is not encrypted: begin it with mqtts://")
    if (entry.certificate is None) != (entry.key is None):
        yield Finding("mqtt.key", "certificate and key go together: give both")
    for name in ("prefix", "home_assistant_prefix"):
        text = getattr(entry, name)
        if not text or any(sign in text for sign in "+#\0") or text.startswith(("/", "$")) or text.endswith("/"):
            yield Finding(f"mqtt.{name}", f"{text!r} cannot begin topics: letters, digits, - and _, e.g. pilotwire")
    if entry.sparkplug is not None:
        names = {"group": entry.sparkplug.group, "node": entry.sparkplug.node or config.site.id}
        for name, text in names.items():
            try:
                part(text)
            except ConfigError as error:
                yield Finding(f"mqtt.sparkplug.{name}", str(error))
