"""Who is named in `sources:` speaks through a real broker: his limit counts, and in his silence that of the file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tests.brokers import KINDS, Kind, broker
from tests.site.mqtt.test_site_mqtt_brokers import Other, all_online, until
from tests.site.site_kit import TEXT, Small, config_of

from pilotwire.domain.energy import Moment
from pilotwire.site.outside import Outside, findings
from pilotwire.site.store import SiteStore

WORD = "pilotwire/small/source/cloud/set"
RESULT = "pilotwire/small/result"


@pytest.mark.parametrize("kind", KINDS)
async def test_a_source_is_heard_and_missed(kind: Kind, tmp_path: Path):
    with broker(kind, tmp_path) as running:
        small = Small(TEXT + f"mqtt: {{url: '{running.url}'}}\n", memory=SiteStore(tmp_path / "memory.db"))
        for charger in small.chargers.values():
            charger.plug(32_000)
        outside = Outside(small.config, tmp_path, small.said.append, data=tmp_path)
        assert outside.broker is not None
        await outside.orders.start(small.loop)
        await outside.broker.start(small.loop)
        cloud = Other(running.url, "cloud", RESULT)

        async def say(**word: object) -> str:
            before = len(cloud.of(RESULT))
            cloud.link.publish(WORD, json.dumps(word).encode(), 1)
            await until(lambda: len(cloud.of(RESULT)) > before)
            return cloud.of(RESULT)[-1]["error"]

        try:
            async with all_online(cloud.link):
                await until(lambda: outside.broker and outside.broker.links[0].online)
                small.run(60)
                assert ("cloud", "source_lost") in small.marks()
                assert 40_000 < max(small.plant.flows("grid")) <= 45_000, (
                    "of whom nothing was heard yet, the file says what counts"
                )
                assert await say(free=True) == ""
                small.run(50)
                assert max(small.plant.flows("grid")) > 50_000 and ("cloud", "source_lost") not in small.marks()
                assert await say(limit_a=[30, 31, 32], id="7") == ""
                small.run(20)
                flows = small.plant.flows("grid")
                assert all(20_000 < ma <= most for ma, most in zip(flows, (30_000, 31_000, 32_000), strict=True))
                assert "leave out expires_s" in await say(limit_a=60, expires_s=60)
                # It is written down before it is answered: whoever begins anew now goes by it.
                assert await say(limit_a=20, id="8") == ""
                now = Moment(int(small.time.now()), int(small.time.now()))
                state = SiteStore(tmp_path / "memory.db").load(now).state
                assert state is not None and state.heard["cloud"].limit is not None
                assert state.heard["cloud"].limit.phases_ma == (20_000, 20_000, 20_000)
                small.run(20)
                assert max(small.plant.flows("grid")) <= 20_000
                small.run(90)
                assert ("cloud", "source_lost") in small.marks()
                assert 40_000 < max(small.plant.flows("grid")) <= 45_000
        finally:
            await outside.broker.stop()
            await outside.orders.stop()


def test_a_source_that_can_never_speak_is_told(tmp_path: Path):
    def told(more: str) -> list[str]:
        return [each.text for each in findings(config_of(TEXT + more), tmp_path) if each.where == "sources[cloud]"]

    assert "can never speak" in told("")[0]
    assert "can never speak" in told("mqtt: {url: 'mqtt://127.0.0.1:1', commands: false}\n")[0]
    assert told("mqtt: {url: 'mqtt://127.0.0.1:1'}\n") == []
