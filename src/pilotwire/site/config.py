"""The configuration of a site: one YAML file, in the units that people use. `docs/examples/site.yaml` explains it.

Figures are decimal and carry their unit in their name (`maximum_a: 16`, `power_kw: 43.5`, `watchdog_s: 60`); they
become the integers of the rest of the program in `pilotwire.site.compiled`. Nothing is guessed: a key that is not known
is a mistake, and all mistakes are told at once.
"""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast
from zoneinfo import ZoneInfo

import msgspec

from pilotwire.core.errors import ConfigError
from pilotwire.domain import steering
from pilotwire.domain.energy import Limit
from pilotwire.domain.energy.demand import Order
from pilotwire.domain.energy.model import Kind, Rotation
from pilotwire.domain.steering import Mode

from .gateway.entries import StationSection
from .link.entry import CentralEntry
from .loads import LoadEntry, ResourceEntry
from .mirror import mirror
from .ocpp.entries import OcppEntry
from .planning.entries import PlanningEntry, PricesEntry
from .sections import Id, NotNegative, Positive, Section
from .telecontrol.entries import TelecontrolSection
from .typed import Finding, typed

Phases = tuple[NotNegative, NotNegative, NotNegative] | NotNegative
"""One figure for all three phases, or three."""


class About(Section, frozen=True):
    id: Id
    name: str = ""
    time_zone: str = "UTC"
    """Of the calendar: windows, tariffs, schedules."""
    voltage_v: Positive = Decimal(230)
    """From phase to neutral."""


class LimitEntry(Section, frozen=True):
    source: str
    """Who says so, in a word or two: it stands in the reasons."""
    current_a: Phases | None = None
    power_kw: Positive | None = None
    imbalance_a: NotNegative | None = None
    from_: str | None = msgspec.field(default=None, name="from")
    until: str | None = None
    """RFC 3339 with an offset; in force from `from` until before `until`."""


class NodeEntry(Section, frozen=True):
    id: Id
    kind: Kind
    parent: Id | None = None
    limits: tuple[LimitEntry, ...] = ()
    meter: Id | None = None
    """The device that measures all that flows through this node."""
    side_lost_a: Phases | None = None
    """What to assume beside the EVSEs while that meter is lost: the most that the building ever takes."""
    feeds_a: Phases = Decimal(0)
    """The most that PV and batteries below this node can feed in: a meter that shows less than our own cars draw is
    not believed beyond that."""


class TenantEntry(Section, frozen=True):
    id: Id
    limits: tuple[LimitEntry, ...]


class ChargerEntry(Section, frozen=True):
    """How an EVSE is reached: a device file with its endpoint, or an OCPP station that connects to us."""

    file: str | None = None
    endpoint: str | None = None
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1
    connector: Annotated[int, msgspec.Meta(ge=1)] = 1
    ocpp: str | None = None
    """Identity of the station."""


class EvseEntry(Section, frozen=True):
    id: Id
    node: Id
    charger: ChargerEntry
    current: Literal["AC", "DC"] = "AC"
    phases: Literal[1, 2, 3] = 3
    rotation: Rotation | None = None
    maximum_a: Positive | None = None
    minimum_a: NotNegative | None = None
    step_a: Positive | None = None
    maximum_kw: Positive | None = None
    minimum_kw: NotNegative | None = None
    step_kw: Positive | None = None
    efficiency_percent: Annotated[Decimal, msgspec.Meta(extra={"above": 0, "most": 100})] = Decimal(95)
    tenant: Id | None = None
    priority: int = 0
    mode: Mode = "now"
    """now, min_pv, pv or off; see `domain.steering`. pv and min_pv need `steering.surplus`."""
    cheap_below_price: Decimal | None = None
    cheapest: bool = False
    boost: bool = False
    phase_switching: bool = False
    """It can go from three phases to one and back while a car is there."""
    guaranteed_a: NotNegative = Decimal(0)
    guaranteed_kw: NotNegative = Decimal(0)
    failsafe_a: NotNegative | None = None
    failsafe_kw: NotNegative | None = None
    """Instead of the site's."""
    watchdog_s: Positive | None = None
    has_failsafe: bool = True
    """Whether the charger has a fail-safe value and a watchdog; if not, it keeps what it was told last for ever."""
    in_service: bool = True
    """false: it is switched off or not there. Nothing is kept free for it, and it is told nothing but 0."""


class DeviceEntry(Section, frozen=True):
    id: Id
    kind: Literal["meter", "inverter", "battery", "load", "contacts"]
    file: str
    endpoint: str
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] = 1


class SourceEntry(Section, frozen=True):
    """Somebody outside who sets limits: a cloud, a broker, an EMS, a grid operator's box."""

    id: Id
    node: Id
    lost_after_s: Positive
    """After this long without a word it is lost."""
    lost_limit: LimitEntry | None = None
    """What counts while it is lost; nothing: its last limit just ends."""


class FailsafeEntry(Section, frozen=True):
    """What happens when somebody falls silent."""

    current_a: NotNegative = Decimal(6)
    power_kw: NotNegative = Decimal(0)
    """Of DC EVSEs."""
    watchdog_s: Positive = Decimal(60)
    command_s: Positive = Decimal(3)
    """A charger that has not confirmed a command after this long is counted with the most that it may draw."""
    meter_s: Positive = Decimal(11)
    """A meter that has not been read for this long is lost."""
    frozen_s: Positive = Decimal(60)
    """A meter that says the very same for this long, to the last digit, is not believed."""


class PolicyEntry(Section, frozen=True):
    order: Order = "equal"
    rotate_s: Positive = Decimal(900)
    hold_s: NotNegative = Decimal(120)


class LogEntry(Section, frozen=True):
    """The record of all decisions."""

    megabytes: Annotated[int, msgspec.Meta(ge=1)] = 200
    flush_s: Positive = Decimal(60)
    """How much is lost at most when the power goes; less wears small boxes' memory out."""


class HistoryEntry(Section, frozen=True):
    """What a site remembers of itself: power by the minute, what each EVSE was given, demand windows."""

    days: Annotated[int, msgspec.Meta(ge=1, le=3_660)] = 400
    minute_days: Annotated[int, msgspec.Meta(ge=1, le=3_660)] = 35
    """After these, minutes become quarter hours."""
    megabytes: Annotated[int, msgspec.Meta(ge=1)] = 100


class MapEntry(Section, frozen=True):
    """One Modbus map at a server."""

    map: str
    """own, sunspec, single, alfen-station, or a product of the device library, e.g. keba-p30."""
    unit: Annotated[int, msgspec.Meta(ge=0, le=255)] | None = None
    """The first unit; left out: the map's own."""
    evses: tuple[Id, ...] = ()
    """In the order of their blocks or units; left out: all."""
    site: bool = False
    """sunspec: the connection to the grid instead of EVSEs."""
    node: Id | None = None
    """What a command for the whole site is for; left out: the connection."""
    maximum_a: Positive = Decimal("6553.4")
    maximum_kw: Positive = Decimal(4_294_967)
    """More than this cannot be ordered: it is refused."""
    longest_s: Annotated[int, msgspec.Meta(ge=1, le=65_535)] = 3_600
    """own: the most that a command may hold."""
    validity_s: Annotated[int, msgspec.Meta(ge=1, le=65_535)] | None = None
    """How long what says nothing of it holds; left out: own 60 s, a product's as it is delivered."""
    failsafe_a: NotNegative | None = None
    """What a product's outlet, or a group, may take once an order has expired; left out: as it is delivered."""


class ModbusServerEntry(Section, frozen=True):
    """A Modbus TCP server by which others read the site, and give orders where they may."""

    listen: str = "127.0.0.1:502"
    clients: tuple[str, ...] = ("127.0.0.0/8", "::1/128")
    """Addresses and networks that may connect and read."""
    writers: tuple[str, ...] = ()
    """Those of them whose orders count; none: it can only be read."""
    writes_per_minute: Annotated[int, msgspec.Meta(ge=1)] = 600
    connections: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 16
    maps: tuple[MapEntry, ...] = (MapEntry(map="own"),)


class SparkplugEntry(Section, frozen=True):
    """The site as an edge node of Sparkplug B."""

    group: str
    node: str | None = None
    """Left out: the site's id."""
    host: str | None = None
    """The primary host application: nothing is said while it is away."""


class MqttEntry(Section, frozen=True):
    """A broker that hears the site, and brings orders."""

    url: str
    """mqtt://[user@]host[:1883] or mqtts://[user@]host[:8883]."""
    password_file: str | None = None
    """The password's file. A password in the url works too, but whoever reads this file reads it."""
    prefix: str = "pilotwire"
    client_id: str | None = None
    """Left out: pilotwire-SITE."""
    commands: bool = True
    """Whether whoever may write the site's topics can command it; otherwise it can only be looked at."""
    commands_per_minute: Annotated[int, msgspec.Meta(ge=1, le=6_000)] = 120
    home_assistant: bool = False
    home_assistant_prefix: str = "homeassistant"
    home_assistant_expires_s: Annotated[int, msgspec.Meta(ge=1, le=86_400)] = 3_600
    """How long counts what is set there."""
    sparkplug: SparkplugEntry | None = None
    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    """PEM files; without `ca` the system's authorities count."""


if TYPE_CHECKING:
    SteeringEntry = Any
else:
    SteeringEntry = mirror(steering.Config, {Limit: LimitEntry}, without=("tree", "zone", "stale_ms"))
"""`domain.steering.Config` in the units of the file: windows, contracts, schedules, rates, surplus, batteries,
inverters, feed_in, loads, steuve."""


class SiteConfig(Section, frozen=True):
    """The whole file."""

    site: About
    nodes: tuple[NodeEntry, ...]
    evses: tuple[EvseEntry, ...] = ()
    devices: tuple[DeviceEntry, ...] = ()
    loads: tuple[LoadEntry, ...] = ()
    resources: tuple[ResourceEntry, ...] = ()
    tenants: tuple[TenantEntry, ...] = ()
    sources: tuple[SourceEntry, ...] = ()
    policy: PolicyEntry = PolicyEntry()
    failsafe: FailsafeEntry = FailsafeEntry()
    log: LogEntry = LogEntry()
    history: HistoryEntry = HistoryEntry()
    ocpp: OcppEntry = OcppEntry()
    central: CentralEntry | None = None
    steering: SteeringEntry | None = None
    modbus_servers: tuple[ModbusServerEntry, ...] = ()
    mqtt: MqttEntry | None = None
    telecontrol: TelecontrolSection | None = None
    gateway: tuple[StationSection, ...] = ()
    prices: PricesEntry | None = None
    planning: PlanningEntry | None = None


def read(text: str) -> tuple[SiteConfig | None, list[Finding]]:
    """The configuration in a YAML text, or every mistake in its form; `compiled.findings` checks what it means."""
    data, findings = plain(text)
    return (None, findings) if data is None else typed(data, SiteConfig)


def plain(text: str) -> tuple[dict[str, Any] | None, list[Finding]]:
    """A YAML text as plain data: numbers are int or Decimal, times stay texts; or why it is none."""
    import yaml

    try:
        data = yaml.load(text, Loader=_loader())  # noqa: S506 - derived from the safe loader
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f"line {mark.line + 1}, column {mark.column + 1}" if mark else "the file"
        what = getattr(error, "problem", None) or "is not YAML"
        return None, [Finding(where, f"{what}; indent with blanks and put texts with `: ` or `#` into quotes")]
    except RecursionError:
        return None, [Finding("the file", "is nested too deeply")]
    if not isinstance(data, dict):
        return None, [Finding("the file", "has to be a mapping that begins with `site:`; `pilotwire site init`")]
    return cast("dict[str, Any]", data), []


def load(path: Path) -> SiteConfig:
    """Raises ConfigError that names every mistake in the form of the file."""
    config, findings = read(text_of(path))
    if config is None:
        raise ConfigError(f"{path} cannot be used:\n" + "\n".join(f"  {finding}" for finding in findings))
    return config


def text_of(path: Path) -> str:
    """Raises ConfigError where it cannot be read."""
    try:
        return path.read_text("utf-8")
    except OSError as error:
        raise ConfigError(f"cannot read {path}: {error.strerror}; `pilotwire site init {path}` makes one") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path} is not UTF-8 at byte {error.start}; save it as UTF-8") from error


def zone(config: SiteConfig) -> ZoneInfo | None:
    """None where there is no such zone."""
    try:
        return ZoneInfo(config.site.time_zone)
    except (KeyError, ValueError, OSError):
        return None


_LOADERS: list[Any] = []


def _loader() -> Any:
    """YAML without floats (0.1 stays 0.1) and without keys that are there twice."""
    if _LOADERS:
        return _LOADERS[0]
    import yaml

    class Loader(yaml.SafeLoader):
        pass

    def number(loader: Any, node: Any) -> Decimal:
        try:
            value = Decimal(node.value.replace("_", ""))
        except ArithmeticError:
            value = Decimal("NaN")
        if not value.is_finite():
            raise yaml.constructor.ConstructorError(None, None, f"{node.value} is not a number", node.start_mark)
        return value

    def mapping(loader: Any, node: Any, deep: bool = True) -> dict[Any, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value} is there twice", key.start_mark)
            seen.add(key.value)
        return yaml.SafeLoader.construct_mapping(loader, node, deep)

    Loader.add_constructor("tag:yaml.org,2002:float", number)
    Loader.add_constructor("tag:yaml.org,2002:map", mapping)
    # A time stays the text that it is: it is parsed where it is needed, with its offset.
    Loader.add_constructor("tag:yaml.org,2002:timestamp", lambda loader, node: node.value)
    _LOADERS.append(Loader)
    return Loader
