"""Joins a site to a broker: what has changed goes out, commands come in and get an answer.

    mqtt = SiteMqtt("depot", speak, order, utc=..., evses=..., nodes=...)
    link = MqttLink(config, will=lambda: mqtt.will, subscriptions=mqtt.subscriptions,
                    online=mqtt.online, heard=mqtt.heard)
    loop = Loop(..., on_decision=lambda inputs, decision: mqtt.show(picture(site, kinds, inputs, decision)))

A topic is published when what it says has changed, and no more often than `interval_ms`; whatever stood is said again
when a connection is made and every `refresh_ms`, so that a broker without a memory knows it too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from pilotwire.transport.mqtt import Message

from ..picture import SitePicture
from .commands import Ask, Commands, Refused, Repeated
from .homeassistant import discovery
from .topics import OFFLINE, ONLINE, Names, states, written


class Speak(Protocol):
    """`MqttLink.publish`."""

    def __call__(self, topic: str, payload: bytes, qos: Literal[0, 1] = 0, *, retain: bool = False) -> bool: ...


Audited = Callable[[str, str, str], None]
"""(by whom, what, why it was refused or ""): of each command that has come."""


class HomeAssistant(msgspec.Struct, frozen=True, kw_only=True):
    """Its discovery: below which prefix, and the lowest and highest limit of each EVSE in mA (or mW)."""

    prefix: str = "homeassistant"
    version: str = ""
    limits: Mapping[str, tuple[int, int]] = msgspec.field(default_factory=dict[str, tuple[int, int]])


class SiteMqttCounts(msgspec.Struct):
    """Since the start."""

    published: int = 0
    accepted: int = 0
    refused: int = 0
    repeated: int = 0


class SiteMqtt:
    """One site at one broker. `order` is given what is asked and says "" or why it cannot be followed."""

    def __init__(
        self,
        site: str,
        speak: Speak,
        order: Callable[[Ask], str],
        *,
        utc: Callable[[], int],
        evses: frozenset[str],
        nodes: frozenset[str],
        prefix: str = "pilotwire",
        home_assistant: HomeAssistant | None = None,
        interval_ms: int = 1_000,
        refresh_ms: int = 300_000,
        audit: Audited | None = None,
    ) -> None:
        self._audit = audit
        self.names = Names(site, prefix)
        self.counts = SiteMqttCounts()
        self._speak, self._order, self._utc = speak, order, utc
        self._commands = Commands(self.names, evses, nodes)
        self._home, self._interval_ms, self._refresh_ms = home_assistant, interval_ms, refresh_ms
        self._picture: SitePicture | None = None
        self._said: dict[str, tuple[dict[str, Any], int]] = {}
        """What each topic said last, and when."""
        self._shown: frozenset[str] = frozenset()
        """The entities that Home Assistant has been shown on this connection."""

    @property
    def will(self) -> Message:
        """What the broker says of us when we are gone without a word."""
        return Message(self.names.status, OFFLINE, 1, True)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        own = (self.names.set("evse", "+"), self.names.set("node", "+"))
        return own if self._home is None else (*own, f"{self._home.prefix}/status")

    @property
    def last_words(self) -> tuple[Message, ...]:
        """For whoever takes leave in good order."""
        return (self.will,)

    def online(self) -> None:
        """There is a connection, and nobody knows anything yet."""
        self._speak(self.names.status, ONLINE, 1, retain=True)
        self._said.clear()
        self._shown = frozenset()
        if self._picture is not None:
            self.show(self._picture)

    def show(self, picture: SitePicture) -> None:
        """The site as it is now."""
        self._picture = picture
        self._introduce(picture)
        now = picture.at_ms
        for topic, state in states(self.names, picture).items():
            before, at = self._said.get(topic, (None, 0))
            age = now - at
            if before == state and 0 <= age < self._refresh_ms:
                continue
            if before is not None and 0 <= age < self._interval_ms:
                continue
            if self._speak(topic, written(state, now), retain=True):
                self._said[topic] = state, now
                self.counts.published += 1

    def heard(self, message: Message) -> None:
        """A message of a subscription. Never raises."""
        if self._home is not None and message.topic == f"{self._home.prefix}/status":
            if message.payload == ONLINE and self._picture is not None:
                self._shown = frozenset()  # it has been started anew, and has forgotten us
                self._introduce(self._picture)
            return
        error, id = "", ""
        try:
            ask = self._commands.read(message.topic, message.payload, message.retain, self._utc())
            id, error = ask.id, self._order(ask)
        except Repeated:
            self.counts.repeated += 1
            return
        except Refused as refused:
            error = str(refused)
        if error:
            self.counts.refused += 1
        else:
            self.counts.accepted += 1
        if self._audit is not None:
            topic = message.topic.removeprefix(self.names.root + "/")
            self._audit("mqtt broker", f"{topic}: {message.payload[:300].decode(errors='replace')}", error)
        result = {"id": id, "topic": message.topic, "accepted": not error, "error": error}
        self._speak(self.names.result, msgspec.json.encode(result), 1)

    def _introduce(self, picture: SitePicture) -> None:
        if self._home is None:
            return
        known = frozenset(evse.id for evse in picture.evses) | frozenset(device.id for device in picture.devices)
        if known == self._shown:
            return
        home = self._home
        found = discovery(self.names, picture, home.limits, prefix=home.prefix, version=home.version)
        if all([self._speak(topic, payload, 1, retain=True) for topic, payload in found.items()]):
            self._shown = known
