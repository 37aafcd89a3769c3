"""A site at real brokers, mosquitto and NATS: what others hear, what they can ask, and what happens when it dies."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pysparkplug
import pytest
from tests.brokers import KINDS, Kind, broker
from tests.site.mqtt.mqtt_kit import Pictured, mqtt

from pilotwire.protocols.sparkplug import EdgeNodeConfig
from pilotwire.site.mqtt.commands import Ask
from pilotwire.site.mqtt.publisher import HomeAssistant
from pilotwire.site.mqtt.sparkplug import SiteSparkplug
from pilotwire.transport.mqtt import Message, MqttConfig, MqttLink

PATIENCE_S = 60


async def until(wanted: Callable[[], Any]) -> Any:
    async with asyncio.timeout(PATIENCE_S):
        while not (found := wanted()):
            await asyncio.sleep(0.02)
        return found


class Other:
    """Somebody else at the broker."""

    def __init__(self, url: str, name: str, *topics: str) -> None:
        self.heard: list[Message] = []
        self.link = MqttLink(MqttConfig(url=url, client_id=name), subscriptions=topics, heard=self.heard.append)

    def of(self, topic: str) -> list[Any]:
        return [json.loads(one.payload) for one in self.heard if one.topic == topic]


@contextlib.asynccontextmanager
async def all_online(*links: MqttLink) -> AsyncIterator[None]:
    for link in links:
        link.start()
    try:
        for link in links:
            await until(lambda: link.online)  # noqa: B023
        yield
    finally:
        for link in links:
            await link.stop()


@pytest.mark.parametrize("kind", KINDS)
async def test_a_site_at_a_broker(kind: Kind, tmp_path: Path):
    site = Pictured()
    site.chargers["a"].plug(32_000)
    asked: list[Ask] = []

    def order(ask: Ask) -> str:
        asked.append(ask)
        return ""

    with broker(kind, tmp_path) as running:
        ears = Other(running.url, "ears", "pilotwire/#", "homeassistant/#")
        scada = Other(running.url, "scada", "spBv1.0/#")
        link: Any = None
        one = mqtt(site, lambda *a, **k: link.publish(*a, **k), order, HomeAssistant())
        link = MqttLink(
            MqttConfig(url=running.url, client_id="site", first_pause_ms=50, most_pause_ms=200),
            will=lambda: one.will, subscriptions=one.subscriptions, glances=one.glances, online=one.online,
            heard=one.heard,
        )  # fmt: skip
        second: Any = None
        plug = SiteSparkplug(
            EdgeNodeConfig("Depot", "small"), lambda *a, **k: second.publish(*a, **k), order, utc=site.utc
        )
        site.shown.append(plug.show)
        second = MqttLink(MqttConfig(url=running.url, client_id="site-sparkplug", first_pause_ms=50, most_pause_ms=200),
                          will=lambda: plug.will, subscriptions=plug.subscriptions, online=plug.online,
                          offline=plug.offline, heard=plug.heard)  # fmt: skip
        # what an EVSE has left that has another name now; another site's stays
        left = [f"pilotwire/{at}/evse/old/state" for at in ("small", "other")]
        left += [f"homeassistant/sensor/pilotwire_{at}/evse_old_power_w/config" for at in ("small", "other")]
        async with all_online(ears.link, scada.link):
            for topic in left:
                ears.link.publish(topic, b"{}", 1, retain=True)
            await until(lambda: len(ears.heard) == len(left))
            ears.heard.clear()
        async with all_online(ears.link, scada.link, link, second):
            site.run(30)
            gone = [each for each in left if "small" in each]
            await until(lambda: {each.topic for each in ears.heard if not each.payload}.issuperset(gone))
            assert {each.topic for each in ears.heard if not each.payload} == {*gone}
            assert one.counts.taken_back == 2
            ears.heard[:] = [each for each in ears.heard if each.topic not in left]
            state = "pilotwire/small/evse/a/state"
            await until(lambda: ears.of(state) and ears.of(state)[-1]["charging"])
            assert ears.of(state)[-1]["limit_a"] == site.set_points()["a"] / 1000
            await until(lambda: any(one.topic.startswith("homeassistant/number/") for one in ears.heard))

            # a command, its answer, and one that the broker kept and that is not followed
            ears.link.publish("pilotwire/small/evse/a/set", b'{"id": "9", "limit_a": 8, "expires_s": 60}', 1)
            await until(lambda: ears.of("pilotwire/small/result"))
            assert ears.of("pilotwire/small/result")[-1]["accepted"]
            assert [(ask.evse, ask.phases_ma) for ask in asked] == [("a", (8_000,) * 3)]
            ears.link.publish(
                "pilotwire/small/evse/b/set", b'{"id": "old", "limit_a": 32, "expires_s": 60}', 1, retain=True
            )
            await until(lambda: len(ears.of("pilotwire/small/result")) == 2)

            # Sparkplug: births are read by pysparkplug, and its command is heard
            births = await until(lambda: [one for one in scada.heard if one.topic == "spBv1.0/Depot/DBIRTH/small/a"])
            names = {metric.name for metric in pysparkplug.DBirth.decode(births[0].payload).metrics}
            assert {"power_w", "limit_a", "Command/Limit"} <= names
            dcmd = pysparkplug.DCmd(
                timestamp=site.utc(),
                metrics=(pysparkplug.Metric(timestamp=site.utc(), name="Command/Limit", value=7.0,
                                            datatype=pysparkplug.DataType.DOUBLE),),
            )  # fmt: skip
            scada.link.publish("spBv1.0/Depot/DCMD/small/a", dcmd.encode(), 1)
            await until(lambda: [ask for ask in asked if ask.phases_ma == (7_000,) * 3])

            # the wire is cut: the broker says our wills, and everything is said again when we are back
            before = len(ears.heard)
            for each in (link, second):
                each._client._connection._transport.abort()
            gone = await until(lambda: [one for one in ears.heard[before:] if one.topic == "pilotwire/small/status"])
            assert gone[0].payload == b"offline"
            await until(lambda: any(one.topic == "spBv1.0/Depot/NDEATH/small" for one in scada.heard))
            await until(lambda: link.counts.connected == 2 and second.counts.connected == 2)
            site.run(2)
            await until(lambda: gone[-1:] and any(
                one.topic == "pilotwire/small/status" and one.payload == b"online" for one in ears.heard[before:]
            ))  # fmt: skip
            # what stands retained is told to whoever comes late; what had been retained as a command is refused
            late = Other(running.url, "late", "pilotwire/small/#")
            async with all_online(late.link):
                await until(lambda: late.of(state))
                assert late.heard[0].retain and not [each for each in late.heard if "/old/" in each.topic]
            results = await until(
                lambda: len(ears.of("pilotwire/small/result")) >= 3 and ears.of("pilotwire/small/result")
            )
            assert (results[-1]["accepted"], "not retained" in results[-1]["error"]) == (False, True)
        assert {ask.evse for ask in asked} == {"a", "b"}
