"""The site as an edge node of Sparkplug B: each EVSE and each device of the site is a device of the node.

What can be told an EVSE are the metrics `Command/Limit` (A, or W for DC), `Command/Enable` and `Command/Mode`. A
command counts for `command_ms` from when it was sent, and one that is older when it comes is not followed. A figure
that is not known any more is null.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from pilotwire.domain.steering import Mode
from pilotwire.protocols.sparkplug import Command, EdgeNode, EdgeNodeConfig, MetricDefinition, Publish
from pilotwire.protocols.sparkplug.payload import Scalar
from pilotwire.transport.mqtt import Message

from ..picture import SitePicture
from .commands import Ask, Pace, Refused
from .publisher import Audited, Speak
from .topics import Standing, device_state, evse_state, site_state

_LIMIT, _ENABLE, _MODE = "Command/Limit", "Command/Enable", "Command/Mode"
_MODES: tuple[Mode, ...] = ("now", "min_pv", "pv", "off")
_SITE = tuple(
    MetricDefinition(name, "Double") for name in ("grid_w", "pv_w", "battery_w", "cars_w", "building_w")
)  # fmt: skip
_TEXTS = ("pilot", "reason", "session", "departure", "departure_by", "needs_by", "fault", "mode")
_SIGNS = ("online", "plugged", "charging", "enabled")


class SiteSparkplug:
    """One site at one broker, over a connection of its own, since a connection has one will."""

    def __init__(
        self,
        config: EdgeNodeConfig,
        speak: Speak,
        order: Callable[[Ask], str],
        *,
        utc: Callable[[], int],
        command_ms: int = 300_000,
        bd_seq: int = 255,
        audit: Audited | None = None,
        standing: Callable[[], Mapping[str, Standing]] = dict[str, Standing],
        commands: bool = True,
        pace: Pace | None = None,
    ) -> None:
        self._audit, self._standing, self._listens, self._pace = audit, standing, commands, pace or Pace(120)
        self.node = EdgeNode(msgspec.structs.replace(config, metrics=_SITE), bd_seq)
        self.refused = 0
        """Commands that were too old, or that could not be followed."""
        self._speak, self._order, self._utc, self._command_ms = speak, order, utc, command_ms
        self._units: dict[str, str] = {}
        self._alive: set[str] = set()

    @property
    def will(self) -> Message:
        """Of the next connection: asked for once before each."""
        will = self.node.will()
        return Message(will.topic, will.payload, 1)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        return self.node.subscriptions

    @property
    def last_words(self) -> tuple[Message, ...]:
        return tuple(Message(one.topic, one.payload, one.qos) for one in self.node.leave())

    def online(self) -> None:
        self._do(self.node.connected(self._utc()))

    def offline(self, _: str = "") -> None:
        self.node.lost()

    def show(self, picture: SitePicture) -> None:
        """The site as it is now; who is not heard any more dies, and is born when it is heard again."""
        now, standing = picture.at_ms, self._standing()
        self._report(None, site_state(picture), _SITE, now)
        for evse in picture.evses:
            self._units[evse.id] = evse.unit
            state = evse_state(evse, standing.get(evse.id, Standing()))
            self._one(evse.id, evse.online, self._metrics(state), state, now)
        for device in picture.devices:
            state = device_state(device)
            figures = sorted(name for name in state if name != "online")
            metrics = (MetricDefinition("online", "Boolean"), *(MetricDefinition(name, "Double") for name in figures))
            self._one(device.id, device.online, metrics, state, now)

    def heard(self, message: Message) -> None:
        """A command, or the word of a primary host application. Never raises."""
        self._do(self.node.receive(message.topic, message.payload, self._utc()))

    def _one(
        self, id: str, online: bool, metrics: Sequence[MetricDefinition], state: dict[str, Any], now: int
    ) -> None:  # fmt: skip
        if online and id not in self._alive:
            self._alive.add(id)
            self._do(self.node.device(id, metrics, now))
        elif not online and id in self._alive:
            self._alive.discard(id)
            self._do(self.node.device_gone(id, now))
        if id in self._alive:
            if not self.node.has(id, metrics):  # a device that has begun to say more than before
                self._do(self.node.device(id, metrics, now))
            self._report(id, state, metrics, now)

    def _report(
        self, device: str | None, state: dict[str, Any], metrics: Sequence[MetricDefinition], now: int
    ) -> None:  # fmt: skip
        values: dict[str, Scalar] = {}
        for metric in metrics:
            if metric.name in state:
                value = state[metric.name]
                values[metric.name] = float(value) if isinstance(value, Decimal) else value
        self._do(self.node.report(device, values, now, now))

    def _do(self, effects: Sequence[Publish | Command]) -> None:
        for effect in effects:
            if isinstance(effect, Publish):
                self._speak(effect.topic, effect.payload, effect.qos)
            else:
                self._command(effect)

    def _command(self, command: Command) -> None:
        now = self._utc()
        left = self._command_ms if command.timestamp_ms is None else command.timestamp_ms + self._command_ms - now
        ask: Ask | None = None
        what, error = f"{command.device or 'node'}: {command.name} = {command.value}"[:300], ""
        try:
            self._pace.check(now)
        except Refused as refused:
            what, error = "commands", str(refused)
        if not error and command.device is not None and 0 < left <= self._command_ms + 5_000:
            where: dict[str, Any] = {"id": "", "evse": command.device, "valid_ms": min(left, self._command_ms)}
            if command.name == _MODE:
                ask = next((Ask(mode=mode, **where) for mode in _MODES if mode == command.value), None)
            elif command.name == _ENABLE:
                ask = Ask(enable=bool(command.value), **where)
            elif isinstance(command.value, int | float) and 0 <= command.value <= 1_000_000_000:
                milli = int(Decimal(repr(command.value)) * 1000)
                if self._units.get(command.device) == "mW":
                    ask = Ask(power_mw=milli, **where)
                else:
                    ask = Ask(phases_ma=(milli, milli, milli), **where)
        if not error:
            error = "it is too old, or nothing that can be told" if ask is None else self._order(ask)
        if error:
            self.refused += 1
        if self._audit is not None:
            self._audit("mqtt sparkplug", what, error)

    def _metrics(self, state: Mapping[str, Any]) -> tuple[MetricDefinition, ...]:
        """Of an EVSE."""
        made: list[MetricDefinition] = []
        for name in state:
            kind = "String" if name in _TEXTS else "Boolean" if name in _SIGNS else "Double"
            made.append(MetricDefinition(name, kind))
        if self._listens:
            made += [
                MetricDefinition(_LIMIT, "Double", True), MetricDefinition(_ENABLE, "Boolean", True),
                MetricDefinition(_MODE, "String", True),
            ]  # fmt: skip
        return tuple(made)
