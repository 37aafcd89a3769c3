"""An edge node: births, data, deaths and commands, as a machine (Sparkplug 3.0.0, clauses 5 and 6).

    node = EdgeNode(EdgeNodeConfig("Berlin", "site-1", metrics, host="scada"), bd_seq=last)
    will = node.will()                          before each connection: its will, with a birth/death number of its own
    for effect in node.connected(now): ...      Publish: hand it to the client; Command: somebody wants something
    node.report("evse-1", {"power": 11.0}, at_ms, now)

While there is no connection, or the primary host application is not there, what is reported is kept (as much as
`backlog` metrics, the newest) and sent as historical after the next birth. A birth carries the latest of everything.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Literal, cast

import msgspec

from pilotwire.core.errors import LocalError

from .payload import NUMBERS, BadPayload, Kind, Metric, Payload, Scalar, decode, encode
from .topics import BadTopic, MessageType, Topic, parse, part

REBIRTH = "Node Control/Rebirth"
BD_SEQ = "bdSeq"
_RANGE = 256


class MetricDefinition(msgspec.Struct, frozen=True):
    """A figure that a node or a device has. `writable`: a host application may command it."""

    name: str
    kind: Kind
    writable: bool = False


class EdgeNodeConfig(msgspec.Struct, frozen=True):
    """`host`: the primary host application's id, without which nothing is published while it is away; None: there is
    none. Two rebirths are at least `rebirth_pause_ms` apart, however often they are asked for."""

    group: str
    node: str
    metrics: tuple[MetricDefinition, ...] = ()
    host: str | None = None
    rebirth_pause_ms: int = 5_000
    backlog: int = 10_000


class Publish(msgspec.Struct, frozen=True):
    """To be handed to the MQTT client. Sparkplug's messages are never retained."""

    topic: str
    payload: bytes
    qos: Literal[0, 1] = 0


class Will(msgspec.Struct, frozen=True):
    """The will of the next connection: quality of service 1, not retained."""

    topic: str
    payload: bytes


class Command(msgspec.Struct, frozen=True):
    """A host application wants `name` of `device` (None: of the node) to be `value`; of a type that fits."""

    device: str | None
    name: str
    value: Scalar
    timestamp_ms: int | None


class Counts(msgspec.Struct):
    """What came and was not followed, and what was not kept."""

    bad_payloads: int = 0
    bad_topics: int = 0
    unknown_metrics: int = 0
    not_writable: int = 0
    wrong_types: int = 0
    rebirths_held: int = 0
    shed: int = 0


class _Part:
    """The node itself, or a device of it."""

    def __init__(self, definitions: Sequence[MetricDefinition], first_alias: int) -> None:
        self.definitions = {definition.name: definition for definition in definitions}
        if len(self.definitions) != len(definitions):
            raise LocalError("two metrics of one name")
        self.alias = {name: first_alias + at for at, name in enumerate(self.definitions)}
        self.by_alias = {alias: name for name, alias in self.alias.items()}
        self.latest: dict[str, tuple[Scalar, int]] = {}
        self.alive = True

    def birth(self, now: int) -> list[Metric]:
        """All metrics by name, type and alias; what nobody has reported yet is null."""
        metrics: list[Metric] = []
        for name, definition in self.definitions.items():
            value, at = self.latest.get(name, (None, now))
            alias = self.alias[name]
            metrics.append(Metric(name=name, alias=alias, timestamp_ms=at, kind=definition.kind, value=value))
        return metrics


class EdgeNode:
    """One edge node. Not for several threads; times are UTC in ms."""

    def __init__(self, config: EdgeNodeConfig, bd_seq: int = 255) -> None:
        part(config.group)
        part(config.node)
        self.config = config
        self.counts = Counts()
        self.bd_seq = bd_seq % _RANGE
        """Of the last will; kept by whoever restarts us, so that no number comes twice in a row."""
        self.born = False
        self._alias = 1
        self._parts: dict[str | None, _Part] = {}
        self._seq = 0
        self._linked = False
        self._host_here = config.host is None
        self._host_ms = -1
        self._rebirth_ms: int | None = None
        self._kept: deque[tuple[str | None, Metric]] = deque(maxlen=config.backlog)
        self._add(None, config.metrics)

    # ── the connection ───────────────────────────────────────────────────────────────────────────────────────────────
    @property
    def subscriptions(self) -> tuple[str, ...]:
        """To be had, with quality of service 1, before `connected` is said."""
        node, group = self.config.node, self.config.group
        commands = (str(Topic("NCMD", group, node)), str(Topic("DCMD", group, node, "+")))
        return commands if self.config.host is None else (*commands, str(Topic("STATE", "", self.config.host)))

    def will(self) -> Will:
        """For the next connection. Each has a number of its own, which its birth repeats."""
        self.bd_seq = (self.bd_seq + 1) % _RANGE
        return Will(self._topic("NDEATH"), self._death())

    def connected(self, now: int) -> list[Publish]:
        """There is a connection with that will, and the subscriptions stand."""
        self._linked = True
        return self._born(now) if self._host_here else []

    def lost(self) -> None:
        """The connection is gone; the broker has said our will."""
        self._linked = self.born = False
        self._host_here = self.config.host is None

    def leave(self) -> list[Publish]:
        """We go on purpose: the death is said by ourselves, since a broker keeps the will of whoever takes leave."""
        effects = [Publish(self._topic("NDEATH"), self._death(), 1)] if self._linked else []
        self.lost()
        return effects

    # ── what there is to say ─────────────────────────────────────────────────────────────────────────────────────────
    def device(self, name: str, metrics: Sequence[MetricDefinition], now: int) -> list[Publish]:
        """A device is there, for the first time or again."""
        if self.has(part(name), metrics):
            self._parts[name].alive = True
        else:
            self._add(name, metrics)
        return [self._device_birth(name, now)] if self.born else []

    def has(self, name: str, metrics: Sequence[MetricDefinition]) -> bool:
        """Whether that device is known with exactly these metrics."""
        known = self._parts.get(name)
        return known is not None and tuple(known.definitions.values()) == tuple(metrics)

    def device_gone(self, name: str, now: int) -> list[Publish]:
        """It answers no longer; until `device` is said again nothing is published for it."""
        known = self._parts[name]
        was, known.alive = known.alive, False
        return [self._publish("DDEATH", [], now, name)] if self.born and was else []

    def report(self, device: str | None, values: Mapping[str, Scalar], at_ms: int, now: int) -> list[Publish]:
        """Measured at `at_ms`. Only what has changed is said. Raises LocalError for names that nobody has defined."""
        known = self._parts.get(device)
        if known is None or any(name not in known.definitions for name in values):
            raise LocalError(f"{device or 'the node'} has no metrics {sorted(values)}")
        metrics: list[Metric] = []
        for name, value in values.items():
            if known.latest.get(name, (None, 0))[0] == value:
                continue
            kind = known.definitions[name].kind
            known.latest[name] = value, at_ms
            metrics.append(Metric(alias=known.alias[name], timestamp_ms=at_ms, kind=kind, value=value))
        if not metrics:
            return []
        if self.born and known.alive:
            return [self._publish("NDATA" if device is None else "DDATA", metrics, now, device)]
        for metric in metrics:
            self.counts.shed += len(self._kept) == self._kept.maxlen
            self._kept.append((device, metric))
        return []

    # ── what is heard ────────────────────────────────────────────────────────────────────────────────────────────────
    def receive(self, topic: str, data: bytes, now: int) -> list[Publish | Command]:
        """A message of a subscription. What is wrong with it is counted, never raised."""
        try:
            at = parse(topic)
        except BadTopic:
            self.counts.bad_topics += 1
            return []
        if at.type == "STATE":
            return list(self._state(at, data, now))
        if at.type not in ("NCMD", "DCMD") or (at.group, at.node) != (self.config.group, self.config.node):
            self.counts.bad_topics += 1
            return []
        try:
            payload = decode(data)
        except BadPayload:
            self.counts.bad_payloads += 1
            return []
        return self._commands(at, payload, now)

    def _commands(self, at: Topic, payload: Payload, now: int) -> list[Publish | Command]:
        effects: list[Publish | Command] = []
        known = self._parts.get(at.device)
        for metric in payload.metrics:
            name = metric.name
            if name is None and known is not None and metric.alias is not None:
                name = known.by_alias.get(metric.alias)
            if at.device is None and name == REBIRTH:
                if metric.value is True:
                    effects += self._rebirth(now)
                continue
            definition = None if known is None or name is None else known.definitions.get(name)
            if definition is None:
                self.counts.unknown_metrics += 1
            elif not definition.writable:
                self.counts.not_writable += 1
            elif not fits(definition.kind, metric.value):
                self.counts.wrong_types += 1
            else:
                at_ms = payload.timestamp_ms if metric.timestamp_ms is None else metric.timestamp_ms
                effects.append(Command(at.device, definition.name, cast(Scalar, metric.value), at_ms))
        return effects

    def _rebirth(self, now: int) -> list[Publish]:
        if not self.born:
            return []
        if self._rebirth_ms is not None and now - self._rebirth_ms < self.config.rebirth_pause_ms:
            self.counts.rebirths_held += 1
            return []
        self._rebirth_ms = now
        return self._born(now)

    def _state(self, at: Topic, data: bytes, now: int) -> list[Publish]:
        """The primary host application comes or goes; an older message than the last one known says nothing."""
        if at.node != self.config.host:
            self.counts.bad_topics += 1
            return []
        try:
            said: Any = msgspec.json.decode(data)
            online, timestamp = said["online"], said["timestamp"]
            if not isinstance(online, bool) or not isinstance(timestamp, int):
                raise TypeError(said)
        except (msgspec.DecodeError, TypeError, KeyError):
            self.counts.bad_payloads += 1
            return []
        if timestamp < self._host_ms:
            return []
        self._host_ms, self._host_here = timestamp, online
        if online and self._linked and not self.born:
            return self._born(now)
        if not online and self.born:
            self.born = False
            return [Publish(self._topic("NDEATH"), self._death(), 1)]
        return []

    # ── messages ─────────────────────────────────────────────────────────────────────────────────────────────────────
    def _add(self, name: str | None, metrics: Sequence[MetricDefinition]) -> None:
        if name is None and any(metric.name in (REBIRTH, BD_SEQ) for metric in metrics):
            raise LocalError(f"{REBIRTH} and {BD_SEQ} are Sparkplug's own")
        self._parts[name] = _Part(metrics, self._alias)
        self._alias += len(metrics)

    def _topic(self, type: MessageType, device: str | None = None) -> str:
        return str(Topic(type, self.config.group, self.config.node, device))

    def _death(self) -> bytes:
        return encode(Payload(metrics=(Metric(name=BD_SEQ, kind="Int64", value=self.bd_seq),)))

    def _publish(self, type: MessageType, metrics: Sequence[Metric], now: int, device: str | None) -> Publish:
        payload = Payload(timestamp_ms=now, metrics=tuple(metrics), seq=self._seq)
        self._seq = (self._seq + 1) % _RANGE
        return Publish(self._topic(type, device), encode(payload))

    def _device_birth(self, name: str, now: int) -> Publish:
        return self._publish("DBIRTH", self._parts[name].birth(now), now, name)

    def _born(self, now: int) -> list[Publish]:
        """All births, and then what could not be said before."""
        self.born, self._seq = True, 0
        own = [
            Metric(name=BD_SEQ, timestamp_ms=now, kind="Int64", value=self.bd_seq),
            Metric(name=REBIRTH, timestamp_ms=now, kind="Boolean", value=False),
            *self._parts[None].birth(now),
        ]
        effects = [self._publish("NBIRTH", own, now, None)]
        names = [name for name, known in self._parts.items() if name is not None and known.alive]
        effects += [self._device_birth(name, now) for name in names]
        late: dict[str | None, list[Metric]] = {}
        for device, metric in self._kept:
            known = self._parts[device]
            if known.alive and metric.alias in known.by_alias:
                late.setdefault(device, []).append(msgspec.structs.replace(metric, historical=True))
        self._kept.clear()
        for device, metrics in late.items():
            effects.append(self._publish("NDATA" if device is None else "DDATA", metrics, now, device))
        return effects


def fits(kind: Kind, value: object) -> bool:
    """Whether a commanded value is of that type and can be held by it; null never does."""
    if kind not in NUMBERS or value is None:
        return False
    try:
        encode(Payload(metrics=(Metric(kind=kind, value=cast(Scalar, value)),)))
    except (LocalError, OverflowError):
        return False
    return True
