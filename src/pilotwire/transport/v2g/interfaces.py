"""The link-local IPv6 address of an interface, and sockets bound to it (Linux)."""

from __future__ import annotations

import asyncio
import socket
import sys
from collections.abc import Callable
from ipaddress import IPv6Address, ip_address
from typing import Final

from pilotwire.core.errors import ConfigError, TransientError
from pilotwire.protocols.iso15118.sdp import GROUP, PORT, TCP_PORTS

_ADDRESSES: Final = "/proc/net/if_inet6"
_LINK_SCOPE: Final = 0x20
_NOT_YET: Final = 0x40 | 0x08
"""Tentative, or found to be somebody else's."""
READY_S: Final = 10.0
"""How long an interface may take to have an address: detection of duplicates takes one or two seconds."""


def index_of(interface: str) -> int:
    """Raises ConfigError."""
    try:
        return socket.if_nametoindex(interface)
    except OSError as error:
        raise ConfigError(f"there is no network interface {interface!r}") from error


def link_local(interface: str) -> str:
    """The address, without the interface's name. Raises TransientError as long as there is none, ConfigError."""
    index_of(interface)
    try:
        with open(_ADDRESSES, encoding="ascii") as file:
            rows = [line.split() for line in file]
    except OSError as error:
        raise ConfigError(f"IPv6 is not there: {error}") from error
    for digits, _, _, scope, flags, name in rows:
        if name == interface and int(scope, 16) == _LINK_SCOPE and not int(flags, 16) & _NOT_YET:
            return str(IPv6Address(bytes.fromhex(digits)))
    raise TransientError(f"{interface} has no link-local IPv6 address")


async def ready(interface: str, patience_s: float = READY_S) -> str:
    """The address, once there is one. Raises like `link_local`."""
    loop = asyncio.get_running_loop()
    until = loop.time() + patience_s
    while True:
        try:
            return link_local(interface)
        except TransientError:
            if loop.time() >= until:
                raise
            await asyncio.sleep(0.05)


def address_of(host: str, port: int, interface: str | None) -> tuple[socket.AddressFamily, tuple[str | int, ...]]:
    """Family and address as sockets want it; `host` is an IP address. Raises ConfigError."""
    plain, _, zone = host.partition("%")
    try:
        parsed = ip_address(plain)
    except ValueError as error:
        raise ConfigError(f"{host!r} is no IP address") from error
    if parsed.version == 4:
        return socket.AF_INET, (plain, port)
    name = zone or interface
    if parsed.is_link_local and not name:
        raise ConfigError(f"{host} is an address of a link: name its interface")
    scope = index_of(name) if name and parsed.is_link_local else 0
    return socket.AF_INET6, (plain, port, 0, scope)


def tcp_listener(host: str, port: int, interface: str | None, draw: Callable[[int], int]) -> socket.socket:
    """A listening socket. Port 0: one that `draw` gives of those that V2G uses. Raises ConfigError."""
    low, high = TCP_PORTS
    tried = [port] if port else [low + draw(high - low + 1) for _ in range(32)]
    last: OSError | None = None
    for one in tried:
        family, address = address_of(host, one, interface)
        listener = socket.socket(family, socket.SOCK_STREAM)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(16)
            listener.setblocking(False)
            return listener
        except OSError as error:
            listener.close()
            last = error
    raise ConfigError(f"cannot listen on {host} port {tried[-1]}: {last}") from last


def sdp_listener(interface: str) -> socket.socket:
    """The station's socket for discovery: what comes to the group over this interface and no other. ConfigError."""
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    try:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, interface.encode())
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        made.bind(("::", PORT))
        member = socket.inet_pton(socket.AF_INET6, GROUP) + index_of(interface).to_bytes(4, sys.byteorder)
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_JOIN_GROUP, member)
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ConfigError(f"cannot listen for discovery on {interface}: {error}") from error
    return made


def sdp_asker(interface: str, address: str) -> socket.socket:
    """The vehicle's socket for discovery. Raises ConfigError."""
    made = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
    index = index_of(interface)
    try:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_IF, index)
        made.bind((address, 0, 0, index))
        made.setblocking(False)
    except OSError as error:
        made.close()
        raise ConfigError(f"cannot ask for a station on {interface}: {error}") from error
    return made
