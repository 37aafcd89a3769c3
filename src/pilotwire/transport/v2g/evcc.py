"""The vehicle on the network: finds a station, connects, and begins.

link = await dial_secc(EvccConfig(), opened, interface="eth1", tls=EvccTls(roots="v2g_root.pem"))
await link.done
"""

from __future__ import annotations

import asyncio
import secrets
import socket
import ssl
from collections.abc import Callable
from typing import Any, Literal

import msgspec

from pilotwire.core.errors import ConfigError, RemoteError, TransientError
from pilotwire.core.machines import Machine
from pilotwire.core.time import Scheduler
from pilotwire.protocols.iso15118.config import Dialect, EvccConfig
from pilotwire.protocols.iso15118.evcc import Evcc
from pilotwire.protocols.iso15118.sdp import Wireless
from pilotwire.protocols.iso15118.timers import SETUP
from pilotwire.transport.runtime import SteadyScheduler

from . import discovery, interfaces
from .link import Events, V2gLink
from .secc import HANDSHAKE_S, SHUTDOWN_S
from .tap import Tap
from .tls import EvccTls, evcc_context

Security = Literal["required", "preferred", "none"]


class NoStation(RemoteError):
    """Who answers is not a charging station."""


class NoConnection(TransientError):
    """The station was found, and no conversation began."""


async def dial_secc(
    config: EvccConfig,
    opened: Callable[[V2gLink], Events],
    *,
    interface: str | None = None,
    host: str | None = None,
    port: int | None = None,
    security: Security | None = None,
    tls: EvccTls | None = None,
    pnc: Any = None,
    resume: tuple[Dialect, Any] | None = None,
    wireless: Wireless | None = None,
    random: Callable[[int], bytes] = secrets.token_bytes,
    scheduler: Scheduler | None = None,
    tap: Tap | None = None,
) -> V2gLink:
    """Connect to a station and begin; `opened(link)` is called once, and returns who hears the machine's events.

    With `interface` alone the station is looked for there, with `host` and `port` it is known. `security`: with TLS
    and not without, rather with, or without; left out it is "preferred" where there are roots, else "none". TLS 1.3 is
    offered for ISO 15118-20, TLS 1.2 for the other dialects. `await link.done` for the end. Raises ConfigError,
    discovery.StationNotFound, NoConnection.
    """
    context = evcc_context(_fitting(tls, config)) if tls is not None else None
    security = security or ("none" if context is None else "preferred")
    if security != "none" and context is None:
        raise ConfigError("a vehicle that wants TLS needs the roots that it trusts")
    scheduler = scheduler or SteadyScheduler()
    begun = int(scheduler.now())
    if host is None:
        if interface is None:
            raise ConfigError("a vehicle connects over an interface, or to a host and port")
        found = await discovery.ask(interface, scheduler, tls=security, wireless=wireless, tap=tap)
        host, port, use_tls = found.address, found.port, found.tls
    else:
        use_tls = security != "none"
    if port is None:
        raise ConfigError("a host is given without its port")

    def make(link: V2gLink) -> Machine:
        if tls is not None:
            _check(link, tls.domain)
        return Evcc(
            _narrowed(config, link), random=random, tls=link.tls, pnc=pnc if link.tls else None, resume=resume,
            linked_ms=int(scheduler.now()) - begun,
        )  # fmt: skip

    link = V2gLink(make, opened, scheduler, peer_side="evse", tap=tap)
    patience = (SETUP.ms - (int(scheduler.now()) - begun)) / 1000
    await _connect(link, host, port, interface, context if use_tls else None, patience)
    return link


async def _connect(
    link: V2gLink, host: str, port: int, interface: str | None, context: ssl.SSLContext | None, patience_s: float
) -> None:
    family, address = interfaces.address_of(host, port, interface)
    zone = f"%{interface}" if interface is not None and family == socket.AF_INET6 and address[3] else ""
    options: dict[str, Any] = {}
    if context is not None:
        options = {"ssl_handshake_timeout": HANDSHAKE_S, "ssl_shutdown_timeout": SHUTDOWN_S, "server_hostname": ""}
    try:
        async with asyncio.timeout(max(0.1, patience_s)):
            await asyncio.get_running_loop().create_connection(
                lambda: link, f"{address[0]}{zone}", port, family=family, ssl=context, **options
            )
    except TimeoutError:
        raise NoConnection(f"{host} port {port}: no connection in {SETUP.ms / 1000:g} s ({SETUP.name})") from None
    except ssl.SSLError as error:
        raise NoConnection(f"{host} port {port}: the TLS handshake failed: {error.reason or error}") from error
    except OSError as error:
        raise NoConnection(f"{host} port {port}: {error}") from error
    if link.refused:
        raise NoConnection(f"{host} port {port}: {link.refused}")


def _check(link: V2gLink, domain: str) -> None:
    """Whether who is there shows the certificate of a station."""
    if link.secured is not None and domain and domain not in link.secured.domains:
        told = ", ".join(link.secured.domains) or "not told"
        raise NoStation(f"the certificate of {link.peer[0]} is of the domain {told}, not {domain}")


def _fitting(files: EvccTls, config: EvccConfig) -> EvccTls:
    """TLS 1.3 for ISO 15118-20 alone, TLS 1.2 for what was there before it."""
    newer = {dialect.startswith("iso20") for dialect in config.dialects}
    return msgspec.structs.replace(files, newest=files.newest and True in newer, oldest=files.oldest and False in newer)


def _narrowed(config: EvccConfig, link: V2gLink) -> EvccConfig:
    """ISO 15118-20 wants TLS 1.3; other dialects go without."""
    if link.secured is None or link.secured.version == "TLSv1.3":
        return config
    return msgspec.structs.replace(
        config, dialects=tuple(one for one in config.dialects if not one.startswith("iso20"))
    )
