"""A connection to an MQTT broker that is made anew whenever it is lost, for what is said now and not later.

    link = MqttLink(MqttConfig("mqtts://site:secret@broker.example:8883"), will=..., online=..., heard=...)
    link.start()
    link.publish("pilotwire/site/status", b"online", retain=True)
    await link.stop([Message("pilotwire/site/status", b"offline", retain=True)])

MQTT 3.1.1, which every broker speaks (NATS speaks nothing newer). Nothing is queued for a broker that is away: who
comes back says all that stands, in `online`. What a broker that is there but does not read has not taken is bounded.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal
from urllib.parse import unquote, urlsplit

import msgspec

from pilotwire.core.errors import ConfigError

Qos = Literal[0, 1]
_EARLY = 10_000
_DENIED = 0x80
STEADY_S = 10
"""A connection that does not hold so long is tried again after longer and longer pauses."""


class Message(msgspec.Struct, frozen=True):
    """What is published, or what has come. A `retain` that has come says that the broker had kept it."""

    topic: str
    payload: bytes
    qos: Qos = 0
    retain: bool = False


class MqttConfig(msgspec.Struct, frozen=True, kw_only=True):
    """`url` is mqtt://[user[:password]@]host[:1883] or mqtts://…[:8883]; passwords with reserved characters are
    percent-encoded. `ca`, `certificate`, `key` are PEM files; without `ca` the system's authorities count."""

    url: str
    client_id: str
    keepalive_s: int = 30
    ca: Path | None = None
    certificate: Path | None = None
    key: Path | None = None
    connect_s: int = 10
    first_pause_ms: int = 1_000
    most_pause_ms: int = 60_000
    glance_s: int = 10
    unsent_bytes: int = 1_048_576
    """More than this waiting to be sent, and what is published is shed until there is less."""


class MqttCounts(msgspec.Struct):
    """Since the start."""

    attempts: int = 0
    connected: int = 0
    refused: int = 0
    """Attempts that failed, whether nobody was there or it did not let us in."""
    lost: int = 0
    published: int = 0
    shed: int = 0
    """Not published: no connection, or too much unsent."""
    heard: int = 0
    failed: int = 0
    """Messages on which whoever hears them raised what it must not."""


class _Place(msgspec.Struct, frozen=True):
    host: str
    port: int
    tls: bool
    user: str
    password: str


class MqttLink:
    """One broker. All callbacks come on the loop's thread.

    `will` is asked before each attempt. `online` is told when the subscriptions stand; what it publishes comes before
    anything else. `offline` is told why, each time that there is no connection any more or yet. `glances` are heard for
    `glance_s` of each connection: what the broker has kept.
    """

    def __init__(
        self,
        config: MqttConfig,
        *,
        will: Callable[[], Message | None] = lambda: None,
        subscriptions: Sequence[str] = (),
        glances: Sequence[str] = (),
        online: Callable[[], None] = lambda: None,
        offline: Callable[[str], None] = lambda _: None,
        heard: Callable[[Message], None] = lambda _: None,
    ) -> None:
        self.config = config
        self.counts = MqttCounts()
        self.trouble = "not started"
        """Why there is no connection, in words; "" while there is one."""
        self.denied: tuple[str, ...] = ()
        """Subscriptions that the broker does not let us have, on this connection."""
        self._short = 0
        self._place = parse_url(config.url)
        self._tls = _context(config) if self._place.tls else None
        self._will, self._subscriptions, self._glances = will, tuple(subscriptions), tuple(glances)
        self._online, self._offline, self._heard = online, offline, heard
        self._client: Any = None
        self._early: list[Message] = []
        self._task: asyncio.Task[None] | None = None

    @property
    def online(self) -> bool:
        """Whether what is published now goes out."""
        return self._client is not None

    def start(self) -> None:
        """Connects, and goes on doing so until `stop`."""
        if self._task is None:
            self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self, last: Sequence[Message] = ()) -> None:
        """Takes leave in good order, with `last` as our last words: a broker keeps the will of whoever does so."""
        for message in last:
            self.publish(message.topic, message.payload, message.qos, retain=message.retain)
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            self._task = None

    def publish(self, topic: str, payload: bytes, qos: Qos = 0, *, retain: bool = False) -> bool:
        """Whether it is on its way. It is not kept for later."""
        client = self._client
        if client is None or _unsent(client) > self.config.unsent_bytes:
            self.counts.shed += 1
            return False
        client.publish(topic, payload, qos=qos, retain=retain)
        self.counts.published += 1
        return True

    async def _run(self) -> None:
        pause = self.config.first_pause_ms
        while True:
            self.counts.attempts += 1
            begun = asyncio.get_running_loop().time()
            try:
                connected = await self._once()
            except asyncio.CancelledError:
                raise
            except Exception as error:  # the library raises whatever the network, TLS or the broker made of it
                connected = False
                self._say(str(error) or type(error).__name__)
            steady = asyncio.get_running_loop().time() - begun >= STEADY_S
            self._short = 0 if steady else self._short + connected
            if connected and (steady or self._short == 1):
                pause = self.config.first_pause_ms
            elif not connected:
                self.counts.refused += 1
            await asyncio.sleep(pause / 1000)
            pause = min(pause * 2, self.config.most_pause_ms)

    async def _once(self) -> bool:
        """One connection, to its end. Whether there was one."""
        from gmqtt import Client, Subscription  # it takes its time to import, and few sites have a broker
        from gmqtt import Message as Will
        from gmqtt.mqtt.constants import MQTTv311

        words = self._will()
        will = None if words is None else Will(words.topic, words.payload, qos=words.qos, retain=words.retain)
        client: Any = Client(self.config.client_id, clean_session=True, will_message=will, logger=_quiet())
        client.set_config({"reconnect_retries": -2})  # not even once: each connection of ours has a will of its own
        if self._place.user:
            client.set_auth_credentials(self._place.user, self._place.password or None)
        gone, subscribed = asyncio.Event(), asyncio.Event()
        waiting: set[int] = set()
        client.on_message = self._came
        client.on_disconnect = lambda *_: gone.set()

        self.denied = ()

        def stands(_: Any, mid: int, granted: Sequence[int], *__: Any) -> None:
            if mid in waiting:
                pairs = zip(self._subscriptions, granted, strict=False)
                self.denied = tuple(topic for topic, answer in pairs if answer >= _DENIED)
            waiting.discard(mid)
            if not waiting:
                subscribed.set()

        client.on_subscribe = stands
        try:
            async with asyncio.timeout(self.config.connect_s):
                await client.connect(
                    self._place.host, self._place.port, ssl=self._tls or False,
                    keepalive=self.config.keepalive_s, version=MQTTv311,
                )  # fmt: skip
                if self._subscriptions:
                    waiting.add(client.subscribe([Subscription(topic, qos=1) for topic in self._subscriptions]))
                    await subscribed.wait()
            self._client, self.trouble = client, ""
            self.counts.connected += 1
            self._online()
            early, self._early = self._early, []
            for message in early:
                self._tell(message)
            if self._glances:
                client.subscribe([Subscription(topic, qos=0) for topic in self._glances])
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(gone.wait(), self.config.glance_s)
                if not gone.is_set():
                    client.unsubscribe(list(self._glances))
            await gone.wait()
            self.counts.lost += 1
            again = f", again and again: is another connected as {self.config.client_id}?" if self._short > 1 else ""
            self._say(f"the broker has closed the connection{again}")
            return True
        except TimeoutError:
            self._say(f"no answer within {self.config.connect_s} s")
            return False
        finally:
            self._client, self._early = None, []
            with contextlib.suppress(Exception):  # it may be gone already, in any state
                async with asyncio.timeout(2):
                    await client.disconnect()

    def _came(self, client: Any, topic: str, payload: bytes, qos: int, properties: dict[str, Any]) -> int:
        message = Message(topic, bytes(payload), 1 if qos else 0, bool(properties.get("retain")))
        if self._client is not None:
            self._tell(message)
        elif len(self._early) < _EARLY:  # before the subscriptions are confirmed: nobody could answer yet
            self._early.append(message)
        return 0

    def _tell(self, message: Message) -> None:
        self.counts.heard += 1
        try:
            self._heard(message)
        except Exception:
            # Whoever hears is to count what is bad and never raise; the connection and the others go on.
            self.counts.failed += 1

    def _say(self, why: str) -> None:
        self._client = None
        self.trouble = why
        self._offline(why)


def parse_url(url: str) -> _Place:
    """Raises ConfigError."""
    parts = urlsplit(url)
    try:
        port = parts.port
    except ValueError as error:
        raise ConfigError(f"the broker's port: {error}") from None
    if parts.scheme not in ("mqtt", "mqtts") or not parts.hostname or parts.path not in ("", "/"):
        raise ConfigError("a broker's address is mqtt://host:1883 or mqtts://host:8883, with user:password@ if needed")
    tls = parts.scheme == "mqtts"
    return _Place(
        parts.hostname,
        port or (8883 if tls else 1883),
        tls,
        unquote(parts.username or ""),
        unquote(parts.password or ""),
    )


def _context(config: MqttConfig) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=config.ca)
        if config.certificate is not None:
            context.load_cert_chain(config.certificate, config.key)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"the broker's TLS files cannot be used: {error}") from error
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def _quiet() -> logging.Logger:
    """The library writes what it lives through to the log; we say what matters of it in `trouble` and counts."""
    root = logging.getLogger("gmqtt")
    if not root.handlers:
        root.addHandler(logging.NullHandler())
        root.propagate = False
    return root


def _unsent(client: Any) -> int:
    """What the operating system has not taken yet. The library keeps its transport to itself, and has no bound."""
    return int(client._connection._transport.get_write_buffer_size())
