"""A small site with a battery and PV whose pictures are said over MQTT."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from tests.site.site_kit import TEXT, Small

from pilotwire.site.mqtt.commands import Ask
from pilotwire.site.mqtt.publisher import HomeAssistant, SiteMqtt
from pilotwire.site.picture import DeviceKind, SitePicture, picture

KINDS: dict[str, DeviceKind] = {"main": "meter"}


class Pictured(Small):
    """Each decision becomes a picture, which is shown to whoever looks."""

    def __init__(self, text: str = TEXT) -> None:
        self.shown: list[Callable[[SitePicture], None]] = []
        self.last: SitePicture | None = None
        super().__init__(text, on_decision=self._show)

    def _show(self, inputs: Any, decision: Any) -> None:
        self.last = picture(self.site, KINDS, inputs, decision)
        for one in self.shown:
            one(self.last)

    def utc(self) -> int:
        return int(self.time.now())


class Spoken:
    """Takes the place of a link: what was said, by topic."""

    def __init__(self) -> None:
        self.online = True
        self.messages: list[tuple[str, bytes, int, bool]] = []

    def __call__(self, topic: str, payload: bytes, qos: Literal[0, 1] = 0, *, retain: bool = False) -> bool:
        if self.online:
            self.messages.append((topic, payload, qos, retain))
        return self.online

    def of(self, topic: str) -> list[Any]:
        """What was said under it, as JSON."""
        return [msgspec.json.decode(payload) for told, payload, _, _ in self.messages if told == topic]


def mqtt(
    site: Pictured, speak: Any, order: Callable[[Ask], str], home: HomeAssistant | None = None, **more: Any
) -> SiteMqtt:
    made = SiteMqtt(
        site.site.id, speak, order, utc=site.utc, evses=frozenset(site.site.outlets),
        nodes=frozenset(node.id for node in site.site.topology.tree.nodes), home_assistant=home, **more,
    )  # fmt: skip
    site.shown.append(made.show)
    return made
