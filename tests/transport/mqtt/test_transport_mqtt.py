"""The MQTT link at real brokers: what is retained, wills, brokers that die and come back, passwords and TLS."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import subprocess
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.brokers import KINDS, Broker, Kind, broker, mosquitto, nats

from pilotwire.core.errors import ConfigError
from pilotwire.transport.mqtt import Message, MqttConfig, MqttLink, parse_url

PATIENCE_S = 60


class Ear:
    """A link that keeps what it hears, and events of what becomes of it."""

    def __init__(self, url: str, name: str, *topics: str, will: Message | None = None, **more: Any) -> None:
        self.heard: list[Message] = []
        self.troubles: list[str] = []
        self._changed = asyncio.Event()
        self.link = MqttLink(
            MqttConfig(url=url, client_id=name, first_pause_ms=50, most_pause_ms=200, **more),
            will=lambda: will, subscriptions=topics, online=self._changed.set, offline=self._trouble, heard=self._came,
        )  # fmt: skip

    def _came(self, message: Message) -> None:
        self.heard.append(message)
        self._changed.set()

    def _trouble(self, why: str) -> None:
        self.troubles.append(why)
        self._changed.set()

    async def until(self, wanted: Any) -> None:
        """`wanted()` becomes true."""
        async with asyncio.timeout(PATIENCE_S):
            while not wanted():
                self._changed.clear()
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._changed.wait(), 0.2)


@contextlib.asynccontextmanager
async def ears(*them: Ear) -> AsyncIterator[None]:
    for one in them:
        one.link.start()
    try:
        for one in them:
            await one.until(lambda: one.link.online)  # noqa: B023
        yield
    finally:
        for one in them:
            await one.link.stop()


@pytest.fixture(scope="module", params=KINDS)
def place(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broker]:
    kind: Kind = request.param
    with broker(kind, tmp_path_factory.mktemp(kind)) as running:
        yield running


async def test_what_is_said_is_heard_and_what_is_retained_is_heard_later(place: Broker):
    speaker, ear = Ear(place.url, "speaker"), Ear(place.url, "ear", "house/#")
    async with ears(speaker, ear):
        assert speaker.link.publish("house/now", b"1", qos=1)
        assert speaker.link.publish("house/kept", b"2", retain=True)
        assert speaker.link.publish("garden/now", b"3")
        await ear.until(lambda: len(ear.heard) == 2)
    assert {(one.topic, one.payload, one.retain) for one in ear.heard} == {
        ("house/now", b"1", False), ("house/kept", b"2", False)
    }  # fmt: skip
    late = Ear(place.url, "late", "house/#")
    async with ears(late):
        await late.until(lambda: late.heard)
    assert late.heard == [Message("house/kept", b"2", 0, True)]
    assert (speaker.link.counts.published, speaker.link.counts.shed, late.link.counts.heard) == (3, 0, 1)


async def test_the_will_is_said_for_who_is_torn_away_and_not_for_who_takes_leave(place: Broker):
    ear = Ear(place.url, "witness", "wills/#")
    async with ears(ear):
        leaving = Ear(place.url, "leaving", will=Message("wills/leaving", b"torn"))
        leaving.link.start()
        await leaving.until(lambda: leaving.link.online)
        await leaving.link.stop([Message("wills/leaving", b"goodbye", 1)])
        await ear.until(lambda: ear.heard)
        assert not leaving.link.publish("wills/leaving", b"too late") and leaving.link.counts.shed == 1
        torn = Ear(place.url, "torn", will=Message("wills/torn", b"torn"))
        async with ears(torn):
            torn.link._client._connection._transport.abort()
            await ear.until(lambda: len(ear.heard) == 2)
            await torn.until(lambda: torn.link.counts.connected == 2)
    assert [(one.topic, one.payload) for one in ear.heard] == [("wills/leaving", b"goodbye"), ("wills/torn", b"torn")]


async def test_a_broker_that_dies_and_comes_back(tmp_path: Path):
    with mosquitto(tmp_path) as running:
        asked: list[int] = []
        said: list[bool] = []

        def will() -> Message:
            asked.append(1)
            return Message("will", str(len(asked)).encode())

        link = MqttLink(
            MqttConfig(url=running.url, client_id="one", first_pause_ms=20, most_pause_ms=100),
            will=will, subscriptions=("a/#",), online=lambda: said.append(link.publish("a/all", b"x", retain=True)),
        )  # fmt: skip
        link.start()
        async with asyncio.timeout(PATIENCE_S):
            while link.counts.connected < 1:
                await asyncio.sleep(0.01)
            running.kill()
            while link.online:
                await asyncio.sleep(0.01)
            assert link.trouble and not link.publish("a/lost", b"")
            while link.counts.refused < 2:
                await asyncio.sleep(0.01)
            running.start()
            while link.counts.connected < 2:
                await asyncio.sleep(0.01)
        assert said == [True, True] and link.trouble == "" and link.counts.lost == 1
        assert len(asked) == link.counts.attempts  # a will of its own for each
        await link.stop()


async def test_who_is_not_let_in_says_so_and_goes_on_trying(tmp_path: Path):
    passwords = tmp_path / "passwords"
    subprocess.run(["mosquitto_passwd", "-b", "-c", str(passwords), "site", "s/ecret"], check=True, capture_output=True)
    passwords.chmod(0o600)
    with mosquitto(tmp_path, more=f"allow_anonymous false\npassword_file {passwords}\n") as running:
        wrong = Ear(running.url.replace("//", "//site:other@"), "wrong")
        right = Ear(running.url.replace("//", "//site:s%2Fecret@"), "right")
        wrong.link.start()
        async with ears(right):
            await wrong.until(lambda: wrong.link.counts.refused >= 2)
        await wrong.link.stop()
    assert "uthori" in wrong.troubles[0] or "password" in wrong.troubles[0].lower(), wrong.troubles
    assert "other" not in " ".join(wrong.troubles) and wrong.link.counts.connected == 0


async def test_a_subscription_that_is_denied_is_known(tmp_path: Path):
    may = '{publish: ">", subscribe: {deny: ["house.secret"]}}'
    with nats(tmp_path, more=f"authorization: {{users: [{{user: site, password: x, permissions: {may}}}]}}\n") as place:
        one = Ear(place.url.replace("//", "//site:x@"), "one", "house/open", "house/secret")
        async with ears(one):
            assert one.link.denied == ("house/secret",)
            one.link.publish("house/open", b"1", qos=1)
            await one.until(lambda: one.heard)


async def test_two_under_one_name_are_told(tmp_path: Path):
    with mosquitto(tmp_path) as place:
        first, second = Ear(place.url, "same"), Ear(place.url, "same")
        for one in (first, second):
            one.link.start()
        told = "again and again: is another connected as same?"
        await first.until(lambda: any(told in each for one in (first, second) for each in one.troubles))
        for one in (first, second):
            await one.link.stop()


async def test_a_glance_ends_and_what_is_subscribed_is_heard_on(place: Broker):
    speaker = Ear(place.url, "speaker")
    ear = Ear(place.url, "ear", "glance/end", glance_s=0)
    ear.link._glances = ("glance/now/+",)
    async with ears(speaker):
        speaker.link.publish("glance/now/kept", b"1", qos=1, retain=True)
        async with ears(ear):
            await ear.until(lambda: ear.heard)
            assert [(each.payload, each.retain) for each in ear.heard] == [(b"1", True)]
            quiet = number = 0
            while quiet < 3:  # the glance is over when the broker says so, which it need not do at once
                number += 1
                assert number < 100, "the glance does not end"
                later, end = b"later %d" % number, b"end %d" % number
                speaker.link.publish("glance/now/later", later, qos=1)
                speaker.link.publish("glance/end", end, qos=1)
                await ear.until(lambda: end in (each.payload for each in ear.heard))  # noqa: B023
                quiet = 0 if later in (each.payload for each in ear.heard) else quiet + 1
        speaker.link.publish("glance/now/kept", b"", qos=1, retain=True)


async def test_nobody_there_and_somebody_who_is_no_broker():
    nobody = Ear("mqtt://127.0.0.1:1", "nobody")
    with socket.create_server(("127.0.0.1", 0)) as mute:  # takes the connection, and says nothing
        silent = Ear(f"mqtt://127.0.0.1:{mute.getsockname()[1]}", "silent", connect_s=1)
        for one in (nobody, silent):
            one.link.start()
        await nobody.until(lambda: nobody.link.counts.refused >= 2)
        await silent.until(lambda: silent.link.counts.refused >= 1)
        for one in (nobody, silent):
            await one.link.stop()
    assert "refused" in nobody.troubles[0].lower() and silent.troubles[0] == "no answer within 1 s"


async def test_what_is_not_read_is_bounded(tmp_path: Path):
    with mosquitto(tmp_path) as running:
        one = Ear(running.url, "one", unsent_bytes=100_000)
        async with ears(one):
            assert running._process is not None
            running._process.send_signal(19)  # it stands still
            try:
                sent = [one.link.publish("a", b"x" * 10_000) for _ in range(3_000)]
            finally:
                running._process.send_signal(18)
    assert not all(sent) and one.link.counts.shed == sent.count(False)


async def test_a_hearer_that_fails_harms_nobody(tmp_path: Path):
    with mosquitto(tmp_path) as running:
        heard: list[bytes] = []

        def came(message: Message) -> None:
            heard.append(message.payload)
            raise ValueError("a fault of the application")

        link = MqttLink(MqttConfig(url=running.url, client_id="x"), subscriptions=("a",), heard=came)
        speaker = Ear(running.url, "speaker")
        link.start()
        async with ears(speaker), asyncio.timeout(PATIENCE_S):
            while not link.online:
                await asyncio.sleep(0.01)
            for word in (b"1", b"2"):
                speaker.link.publish("a", word, qos=1)
            while len(heard) < 2:
                await asyncio.sleep(0.01)
        assert link.counts.failed == 2 and link.counts.lost == 0
        await link.stop()


async def test_tls_with_a_certificate_of_our_own(tmp_path: Path):
    def openssl(*line: str) -> None:
        subprocess.run(["openssl", *line], check=True, capture_output=True, cwd=tmp_path)

    new = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-subj", "/CN=Site CA")
    (tmp_path / "ext").write_text("subjectAltName=DNS:localhost")
    for name in ("server", "client"):
        openssl("req", *new[:-2], "-keyout", f"{name}.key", "-out", f"{name}.csr", "-subj", f"/CN={name}")
        openssl("x509", "-req", "-in", f"{name}.csr", "-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial",
                "-days", "2", "-extfile", "ext", "-out", f"{name}.pem")  # fmt: skip
    ssl = "".join(f"{key} {tmp_path / file}\n" for key, file in
                  (("cafile", "ca.pem"), ("certfile", "server.pem"), ("keyfile", "server.key")))  # fmt: skip
    with mosquitto(tmp_path, more="allow_anonymous true\n", ssl=f"{ssl}require_certificate true\n") as running:
        url = f"mqtts://localhost:{running.port}"
        own = {"certificate": tmp_path / "client.pem", "key": tmp_path / "client.key"}
        good = Ear(url, "good", ca=tmp_path / "ca.pem", **own)
        stranger = Ear(url, "stranger", **own)
        nameless = Ear(url, "nameless", ca=tmp_path / "ca.pem")
        async with ears(good):
            for one in (stranger, nameless):
                one.link.start()
                await one.until(lambda: one.link.counts.refused >= 1)  # noqa: B023
                await one.link.stop()
    assert "CERTIFICATE_VERIFY_FAILED" in stranger.troubles[0]
    with pytest.raises(ConfigError, match="TLS files"):
        MqttLink(MqttConfig(url=url, client_id="x", ca=tmp_path / "nowhere.pem"))


@pytest.mark.parametrize("url", ["", "broker", "http://broker", "mqtt://", "mqtt://broker:x", "mqtt://broker/topic"])
def test_addresses_that_are_none(url: str):
    with pytest.raises(ConfigError, match=r"mqtt://|port"):
        parse_url(url)
