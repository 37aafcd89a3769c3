"""Joins a site to a broker: what has changed goes out, commands come in and get an answer.

    mqtt = SiteMqtt("depot", speak, order, utc=..., evses=..., nodes=...)
    link = MqttLink(config, will=lambda: mqtt.will, subscriptions=mqtt.subscriptions, glances=mqtt.glances,
                    online=mqtt.online, heard=mqtt.heard)
    loop = Loop(..., on_decision=lambda inputs, decision: mqtt.show(picture(site, kinds, inputs, decision)))

A topic is published when what it says has changed, and no more often than `interval_ms`; whatever stood is said again
when a connection is made and every `refresh_ms`, so that a broker without a memory knows it too. What the broker has
kept of this site and what is not there any more, such as an EVSE that was renamed, is taken back.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal, Protocol

import msgspec

from pilotwire.transport.mqtt import Message

from ..picture import SitePicture
from .commands import NOBODY, Ask, Commands, Pace, Refused, Repeated
from .homeassistant import HomeAssistant, discovery, found
from .topics import OFFLINE, ONLINE, Names, Standing, states, written

__all__ = ["Audited", "HomeAssistant", "SiteMqtt", "SiteMqttCounts", "Speak"]

_LEFT = 50_000


class Speak(Protocol):
    """`MqttLink.publish`."""

    def __call__(self, topic: str, payload: bytes, qos: Literal[0, 1] = 0, *, retain: bool = False) -> bool: ...


Audited = Callable[[str, str, str], None]
"""(by whom, what, why it was refused or ""): of each command that has come."""
_WORDS_PER_MINUTE = 60
"""Of each source, beside all commands: who floods the site does not silence those who have to be heard."""


class SiteMqttCounts(msgspec.Struct):
    """Since the start."""

    published: int = 0
    accepted: int = 0
    refused: int = 0
    repeated: int = 0
    taken_back: int = 0
    """Topics that the broker had kept of what is not there any more."""


class SiteMqtt:
    """One site at one broker. `order` is given what is asked and says "" or why it cannot be followed; `standing` says
    what has been ordered; `sources`: who else speaks here, and after how many ms of silence each is lost. `commands`
    False: nothing is heard, it can only be looked at."""

    def __init__(
        self,
        site: str,
        speak: Speak,
        order: Callable[[Ask], str],
        *,
        utc: Callable[[], int],
        evses: frozenset[str],
        nodes: frozenset[str],
        sources: Mapping[str, int] = NOBODY,
        prefix: str = "pilotwire",
        home_assistant: HomeAssistant | None = None,
        standing: Callable[[], Mapping[str, Standing]] = dict[str, Standing],
        commands: bool = True,
        pace: Pace | None = None,
        interval_ms: int = 1_000,
        refresh_ms: int = 300_000,
        audit: Audited | None = None,
    ) -> None:
        self._audit = audit
        self.names = Names(site, prefix)
        self.counts = SiteMqttCounts()
        self._speak, self._order, self._utc = speak, order, utc
        self._commands = Commands(self.names, evses, nodes, sources)
        self._standing, self._pace = standing, pace or Pace(120)
        self._paces = {self.names.set("source", id): Pace(_WORDS_PER_MINUTE) for id in sources}
        kinds = ("evse", "node", *(("source",) if sources else ()))
        self._listens = tuple(self.names.set(kind, "+") for kind in kinds) if commands else ()
        self._home, self._interval_ms, self._refresh_ms = home_assistant, interval_ms, refresh_ms
        self._picture: SitePicture | None = None
        self._said: dict[str, tuple[dict[str, Any], int]] = {}
        """What each topic said last, and when."""
        self._entities: dict[str, bytes] = {}
        """What Home Assistant is to be shown, of the devices in `_known`."""
        self._known: object = None
        self._shown: set[str] = set()
        """What it has been shown on this connection."""
        self._left: list[str] = []
        """What the broker has kept, while nobody knows yet what there is."""

    @property
    def will(self) -> Message:
        """What the broker says of us when we are gone without a word."""
        return Message(self.names.status, OFFLINE, 1, True)

    @property
    def subscriptions(self) -> tuple[str, ...]:
        own = self._listens
        return own if self._home is None or not self._home.on else (*own, f"{self._home.prefix}/status")

    @property
    def glances(self) -> tuple[str, ...]:
        """To be heard for a while: what the broker has kept of us."""
        own = (self.names.of("+", "+"),)
        return own if self._home is None else (*own, found(self.names, self._home.prefix))

    @property
    def last_words(self) -> tuple[Message, ...]:
        """For whoever takes leave in good order."""
        return (self.will,)

    def online(self) -> None:
        """There is a connection, and nobody knows anything yet."""
        self._speak(self.names.status, ONLINE, 1, retain=True)
        self._said.clear()
        self._shown.clear()
        if self._picture is not None:
            self.show(self._picture)

    def show(self, picture: SitePicture) -> None:
        """The site as it is now."""
        self._picture = picture
        self._introduce(picture)
        self._take_back(picture)
        now = picture.at_ms
        for topic, state in states(self.names, picture, self._standing()).items():
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
        if message.topic.endswith(("/state", "/config")):
            self._kept(message)
            return
        if self._home is not None and message.topic == f"{self._home.prefix}/status":
            if message.payload == ONLINE and self._picture is not None:
                self._shown.clear()  # it has been started anew, and has forgotten us
                self._introduce(self._picture)
            return
        error, id = "", ""
        topic = message.topic.removeprefix(self.names.root + "/")
        what = f"{topic}: {message.payload[:300].decode(errors='replace')}"
        try:
            try:
                self._paces.get(message.topic, self._pace).check(self._utc())
            except Refused:
                what = "commands"  # one line for all of them: nobody washes the record away
                raise
            ask = self._commands.read(message.topic, message.payload, message.retain, self._utc())
            id, error = ask.id, self._order(ask)
        except Repeated:
            self.counts.repeated += 1
            return
        except Refused as refused:
            id, error = refused.id, str(refused)
        if error:
            self.counts.refused += 1
        else:
            self.counts.accepted += 1
        if self._audit is not None:
            self._audit("mqtt broker", what, error)
        result = {"id": id, "topic": message.topic, "accepted": not error, "error": error}
        self._speak(self.names.result, msgspec.json.encode(result), 1)

    def _introduce(self, picture: SitePicture) -> None:
        """What Home Assistant does not know yet, as much as the connection takes."""
        if self._home is None:
            return
        points = self._home.points
        said = [(each.id, () if each.id in points else tuple(each.points)) for each in picture.devices]
        known = [each.id for each in picture.evses], said
        if known != self._known:
            self._known, self._entities = known, discovery(self.names, picture, self._home)
            self._shown.clear()
        if len(self._shown) == len(self._entities):
            return
        for topic, payload in self._entities.items():
            if topic not in self._shown:
                if not self._speak(topic, payload, 1, retain=True):
                    break
                self._shown.add(topic)

    def _kept(self, message: Message) -> None:
        """Something that stands retained at the broker, of ours or of what we once were."""
        if message.retain and message.payload and len(self._left) < _LEFT:
            self._left.append(message.topic)
        if self._picture is not None:
            self._take_back(self._picture)

    def _take_back(self, picture: SitePicture) -> None:
        left, self._left = self._left, []
        if not left:
            return
        there = states(self.names, picture).keys() | self._entities.keys()
        for topic in left:
            if topic not in there and self._speak(topic, b"", 1, retain=True):
                self.counts.taken_back += 1
