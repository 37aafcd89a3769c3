"""`run_site` in real time over simulated chargers, with its Modbus servers and a broker: orders come in and expire."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pysparkplug
import pytest
from pymodbus.client import AsyncModbusTcpClient
from tests.brokers import mosquitto
from tests.site.site_kit import TEXT, config_of

from pilotwire.core.errors import ConfigError
from pilotwire.core.time import Scheduler
from pilotwire.site import parts
from pilotwire.site.compiled import compile_site, findings
from pilotwire.site.config import SiteConfig, read
from pilotwire.site.loop import Loop
from pilotwire.site.mqtt.part import link_config
from pilotwire.site.outside import Outside, address
from pilotwire.site.replay import Step, replay
from pilotwire.site.run import run_site
from pilotwire.site.simulated import SimCharger, SimMeter, SimSite
from pilotwire.transport.mqtt import Message, MqttConfig, MqttLink

PATIENCE_S = 60
SERVER = "modbus_servers: [{listen: '127.0.0.1:0', writers: [127.0.0.1]}]\n"


class Plant:
    """`run.Drivers` of a site that is not there."""

    def __init__(self, config: SiteConfig, scheduler: Scheduler) -> None:
        site = compile_site(config)
        topology = site.topology
        self.chargers = {
            evse.id: SimCharger(evse, scheduler, latency_ms=10, lag_ms=50, poll_ms=100) for evse in topology.tree.evses
        }
        plant = SimSite(topology.tree, topology, scheduler, self.chargers)
        self.meters: list[SimMeter] = [plant.meter(device, node) for node, device in site.meters.items()]
        self.evses, self.devices = list(self.chargers.values()), self.meters

    async def start(self) -> None:
        for each in self.evses:
            each.plug(32_000)

    async def stop(self) -> None: ...


class Site:
    """What a test may look at."""

    def __init__(self, outside: Outside) -> None:
        self.outside = outside
        self.loop: Loop | None = None
        self.plant: Plant | None = None
        self.said: list[str] = []

    def given(self) -> dict[str, int]:
        if self.loop is None or self.loop.decision is None:
            return {}
        return {point.evse: point.value for point in self.loop.decision.set_points}

    def reason(self, evse: str) -> str:
        made = self.outside.shown.last
        assert made is not None
        return next(each.reason for each in made.evses if each.id == evse)

    async def until(self, wanted: Callable[[], Any]) -> Any:
        try:
            async with asyncio.timeout(PATIENCE_S):
                while not (found := wanted()):
                    await asyncio.sleep(0.02)
                return found
        except TimeoutError:
            marks = self.loop.marks if self.loop is not None else ()
            raise AssertionError(f"given {self.given()}, said {self.said}, marks {marks}") from None


@contextlib.asynccontextmanager
async def running(text: str, folder: Path) -> AsyncIterator[Site]:
    config, stop = config_of(text), asyncio.Event()
    said: list[str] = []
    site = Site(Outside(config, folder, said.append))
    site.said = said

    class Keep:
        async def start(self, loop: Loop) -> None:
            site.loop = loop

        async def stop(self) -> None: ...

    def make(scheduler: Scheduler) -> Plant:
        site.plant = Plant(config, scheduler)
        return site.plant

    task = asyncio.create_task(
        run_site(
            config, text, folder / "data", make, stop=stop, parts=[Keep(), *site.outside.parts], report=said.append
        )
    )
    try:
        await site.until(lambda: task.done() or (sum(site.given().values()) >= 40_000))
        yield site
    finally:
        stop.set()
        await task


async def test_a_modbus_client_lowers_the_site_and_its_order_expires(tmp_path: Path):
    async with running(TEXT + SERVER, tmp_path) as site:
        assert site.outside.servers is not None
        (_, port) = site.outside.servers.addresses[0]
        free = site.given()
        client = AsyncModbusTcpClient("127.0.0.1", port=port, timeout=30)
        assert await client.connect()
        try:
            head = await client.read_holding_registers(0, count=8, device_id=1)
            assert head.registers[:7] == [0x504C, 0x5752, 1, 2, 4, 1000, 100]
            # 24 A on each phase for two seconds, by the whole command block
            none = 0xFFFF
            answer = await client.write_registers(200, [none, none, 240, 240, 240, 2, none, 9], device_id=1)
            assert not answer.isError()
            below = {id: value for id, value in free.items() if id != "c"}
            await site.until(lambda: sum(site.given()[id] for id in below) <= 24_000)
            assert "modbus 127.0.0.1" in site.reason("a")
            shown = await client.read_holding_registers(220, count=1, device_id=1)
            assert shown.registers == [9]
            await site.until(lambda: sum(site.given()[id] for id in below) > 24_000)
            assert not (await client.read_holding_registers(221, count=1, device_id=1)).registers[0]
            # one EVSE: no more than 8 A, then a pause; what is written last stands
            await client.write_register(1080, 80, device_id=1)
            await site.until(lambda: site.given()["a"] == 8_000)
            await client.write_registers(1081, [0], device_id=1)
            await site.until(lambda: site.given()["a"] == 0)
            assert site.reason("a") == "paused by order of modbus 127.0.0.1"
            await client.write_registers(1080, [none, 1, 0, 1], device_id=1)  # no limit, enabled, for a second
            await site.until(lambda: site.given()["a"] >= 6_000)
            # its car leaves in an hour and wants 20 kWh
            assert not (await client.write_registers(1086, [0, 3_600, 0, 20_000], device_id=1)).isError()
            said = (await client.read_holding_registers(1086, count=4, device_id=1)).registers
            assert said[0] == said[2] == 0 and 3_500 <= said[1] <= 3_600 and 19_000 <= said[3] <= 20_000
            assert site.loop is not None
            loop = site.loop
            await site.until(lambda: (order := loop.external.evses.get("a")) is not None and order.entered is not None)
        finally:
            client.close()
    # What was ordered is in the log: each decision can be made again.
    steps = [each for each in replay(tmp_path / "data" / "log") if isinstance(each, Step)]
    assert steps and all(not each.difference for each in steps)
    assert any(each.inputs.external.limits for each in steps)
    assert any(each.inputs.external.evses for each in steps)


async def test_a_broker_hears_the_site_and_its_orders_expire(tmp_path: Path):
    heard: list[Message] = []
    with mosquitto(tmp_path) as broker:
        text = TEXT + f"mqtt: {{url: '{broker.url}', home_assistant: true, sparkplug: {{group: Depot}}}}\n"
        async with running(text, tmp_path) as site:
            topics = ("pilotwire/#", "homeassistant/#", "spBv1.0/#")
            other = MqttLink(MqttConfig(url=broker.url, client_id="other"), subscriptions=topics, heard=heard.append)
            other.start()
            await site.until(lambda: other.online)

            def of(topic: str) -> list[Any]:
                return [json.loads(one.payload) for one in heard if one.topic == topic]

            def tell(topic: str, **what: Any) -> None:
                other.publish(f"pilotwire/small/{topic}/set", json.dumps(what).encode(), 1)

            try:
                state = "pilotwire/small/evse/a/state"
                await site.until(lambda: of(state))
                tell("evse/a", id="1", limit_a=7, expires_s=2)
                await site.until(lambda: site.given()["a"] == 7_000)
                await site.until(lambda: of("pilotwire/small/result"))
                assert of("pilotwire/small/result")[-1]["accepted"]
                await site.until(lambda: site.given()["a"] > 7_000)
                tell("node/garage", id="2", limit_a=8, expires_s=60)
                await site.until(lambda: sum(site.given()[id] for id in ("a", "b")) <= 8_000)
                assert any("mqtt broker" in site.reason(id) for id in ("a", "b"))
                assert site.given()["d"] >= 8_000, "the other node is free"
                tell("evse/d", id="3", enable=False, expires_s=60)
                await site.until(lambda: site.given()["d"] == 0)
                await site.until(lambda: of("pilotwire/small/evse/d/state")[-1]["reason"].startswith("paused by order"))
                tell("evse/d", id="4", enable=True, expires_s=1)
                await site.until(lambda: site.given()["d"] >= 6_000)
                tell("evse/d", id="5", phases=1, expires_s=60)
                await site.until(lambda: len(of("pilotwire/small/result")) == 5)
                assert "cannot change its phases" in of("pilotwire/small/result")[-1]["error"]
                tell("evse/b", id="6", mode="pv", expires_s=60)
                await site.until(lambda: len(of("pilotwire/small/result")) == 6)
                assert "this site has none" in of("pilotwire/small/result")[-1]["error"]
                tell("evse/b", id="7", mode="off", limit_a=9, expires_s=60)
                await site.until(lambda: site.given()["b"] == 0)
                await site.until(lambda: (said := of("pilotwire/small/evse/b/state")[-1])["mode"] == "off"
                                 and (said["enabled"], said["maximum_a"]) == (True, 9))  # fmt: skip
                tell("evse/b", id="8", mode="now", expires_s=1)
                await site.until(lambda: of("pilotwire/small/evse/b/state")[-1]["mode"] == "now")
                tell("evse/b", id="9", departure=3_600, energy_kwh=20)
                await site.until(lambda: (said := of("pilotwire/small/evse/b/state")[-1])["departure_by"] == "entered"
                                 and said["needs_by"] == "entered" and 19 < said["needs_kwh"] <= 20)  # fmt: skip
                # Sparkplug's command comes over its own connection
                now = int(site.outside.orders.now)
                dcmd = pysparkplug.DCmd(
                    timestamp=now,
                    metrics=(pysparkplug.Metric(timestamp=now, name="Command/Limit", value=9.0,
                                                datatype=pysparkplug.DataType.DOUBLE),),
                )  # fmt: skip
                assert site.outside.broker is not None
                second = site.outside.broker.links[1]
                await site.until(lambda: second.counts.published > 5)
                other.publish("spBv1.0/Depot/DCMD/small/d", dcmd.encode(), 1)
                await site.until(lambda: site.given()["d"] == 9_000)
                # a broker that is gone is said, waited for, and told everything again
                broker.kill()
                await site.until(lambda: any("no broker at" in each for each in site.said))
                ticks = site.loop.counts.ticks if site.loop is not None else 0
                broker.start()
                heard.clear()
                await site.until(lambda: any("the broker is there" in each for each in site.said))
                await site.until(lambda: other.online and of(state))
                assert site.loop is not None and site.loop.counts.ticks > ticks and not site.loop.counts.failures
            finally:
                await other.stop()


async def test_whoever_may_not_write_changes_nothing(tmp_path: Path):
    async with running(TEXT + "modbus_servers: [{listen: '127.0.0.1:0'}]\n", tmp_path) as site:
        assert site.outside.servers is not None
        client = AsyncModbusTcpClient("127.0.0.1", port=site.outside.servers.addresses[0][1], timeout=30)
        assert await client.connect()
        try:
            assert (await client.write_register(1080, 80, device_id=1)).isError()
            assert (await client.read_holding_registers(1044, count=1, device_id=1)).registers == [320]
        finally:
            client.close()
        assert site.outside.orders.limits.at(site.outside.orders.now).evses == {}


async def test_a_port_that_is_taken_ends_the_program_in_words(tmp_path: Path):
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    text = TEXT + SERVER.replace(":0", f":{port}")
    config = config_of(text)
    with pytest.raises(ConfigError, match=str(port)):
        await run_site(
            config, text, tmp_path, lambda scheduler: Plant(config, scheduler), stop=asyncio.Event(),
            parts=Outside(config, tmp_path, print).parts,
        )  # fmt: skip
    server.close()


@pytest.mark.parametrize(
    ("section", "where", "what"),
    [
        ("modbus_servers: [{listen: here}]", "modbus_servers[1].listen", "HOST:PORT"),
        ("modbus_servers: [{}, {}]", "modbus_servers[2].listen", "listens there already"),
        ("modbus_servers: [{writers: [10.0.0.1/8]}]", "modbus_servers[1].writers", "host bits"),
        ("modbus_servers: [{maps: [{map: own, node: attic}]}]", "modbus_servers[1].maps[1].node", "no node attic"),
        ("modbus_servers: [{maps: [{map: own, evses: [z]}]}]", "modbus_servers[1].maps[1].evses", "no EVSE z"),
        ("modbus_servers: [{maps: [{map: kebab}]}]", "modbus_servers[1].maps", "no map 'kebab'"),
        ("modbus_servers: [{maps: [{map: own}, {map: own}]}]", "modbus_servers[1].maps", "served twice"),
        ("mqtt: {url: 'http://broker'}", "mqtt.url", "mqtt://host:1883"),
        ("mqtt: {url: 'mqtt://a:b@broker'}", "mqtt.url", "password_file"),
        ("mqtt: {url: 'mqtt://broker', password_file: secret}", "mqtt.password_file", "needs a user"),
        ("mqtt: {url: 'mqtts://broker', ca: gone.pem}", "mqtt.ca", "there is no file"),
        ("mqtt: {url: 'mqtts://broker', certificate: /dev/null}", "mqtt.key", "give both"),
        ("mqtt: {url: 'mqtt://broker', prefix: 'a/#'}", "mqtt.prefix", "cannot begin topics"),
        ("mqtt: {url: 'mqtt://broker', sparkplug: {group: a/b}}", "mqtt.sparkplug.group", "'/'"),
        ("mqtt: {url: 'mqtt://broker', topic: x}", "mqtt.topic", "there is no such setting"),
    ],
)
def test_every_mistake_has_its_place(section: str, where: str, what: str, tmp_path: Path):
    config, found = read(TEXT.replace("file: none, endpoint: none", SOMETHING) + section)
    if config is not None:
        found = [*findings(config), *parts.findings(config, tmp_path)]
    assert any(each.where == where and what in each.text for each in found), found


SOMETHING = "file: eastron-sdm630, endpoint: 'tcp://127.0.0.1:1'"


def test_a_password_is_read_from_its_file(tmp_path: Path):
    (tmp_path / "secret").write_text("a:b@c\n")
    config = config_of(TEXT + "mqtt: {url: 'mqtt://me@broker:1884', password_file: secret}\n")
    assert config.mqtt is not None
    assert link_config(config.mqtt, "x", tmp_path).url == "mqtt://me:a%3Ab%40c@broker:1884"
    assert address("[::1]:502") == ("::1", 502)
