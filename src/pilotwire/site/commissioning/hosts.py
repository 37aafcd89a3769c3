"""Where to look: networks, ranges and addresses as people write them, and the networks that this machine is in."""

from __future__ import annotations

import ipaddress
import re
import socket
from collections.abc import Iterator, Sequence

from pilotwire.core.errors import ConfigError

MOST = 4_096
"""Addresses of one scan."""
_RANGE = re.compile(r"^(\d+\.\d+\.\d+\.)(\d+)-(?:(\d+\.\d+\.\d+\.)?(\d+))$")

Address = tuple[str, int]


def addresses(hosts: Sequence[str], ports: Sequence[int], *, public: bool) -> list[Address]:
    """Every (address, port) to try, each once, in order. Names become addresses here, once, and are judged by these.

    Raises ConfigError for what is no address, for public addresses without `public`, and for more than `MOST`.
    """
    found: dict[Address, None] = {}
    for text in hosts:
        host, own = _port(text.strip())
        for each in _expanded(host):
            if not public and not _private(each):
                raise ConfigError(
                    f"{text}: {each} is no private address; devices of a site are in networks of its own. "
                    "Ask for public addresses by name if one really is elsewhere"
                )
            for port in [own] if own is not None else ports:
                found[each, port] = None
            if len(found) > MOST:
                raise ConfigError(f"{text}: more than {MOST:,} addresses; look in parts, e.g. 192.168.1.0/24")
    return list(found)


def _port(text: str) -> tuple[str, int | None]:
    """`10.0.0.1:1502`, `[::1]:502`, or without a port."""
    text = text.removeprefix("tcp://").rstrip("/") if text.startswith("tcp://") else text
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        port = rest.removeprefix(":")
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    else:
        host, port = text, ""
    if port and (not port.isdigit() or not 1 <= int(port) <= 65_535):
        raise ConfigError(f"{text}: {port} is no port")
    return host, int(port) if port else None


def _expanded(host: str) -> Iterator[str]:
    if not host:
        raise ConfigError("an empty address; e.g. 192.168.1.0/24, 192.168.1.20-40 or 192.168.1.31")
    if "/" in host:
        try:
            network = ipaddress.ip_network(host, strict=False)
        except ValueError:
            raise ConfigError(f"{host} is no network; e.g. 192.168.1.0/24") from None
        if network.num_addresses > MOST + 2:
            raise ConfigError(f"{host}: {network.num_addresses:,} addresses; look in parts of at most {MOST:,}")
        yield from (str(each) for each in network.hosts())
        return
    if spread := _RANGE.match(host):
        first, last = int(spread[2]), int(spread[4])
        if spread[3] not in (None, spread[1]) or not first <= last <= 255:
            raise ConfigError(f"{host} is no range; e.g. 192.168.1.20-40")
        yield from (f"{spread[1]}{each}" for each in range(first, last + 1))
        return
    try:
        yield str(ipaddress.ip_address(host))
    except ValueError:
        try:
            rows = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ConfigError(f"{host}: there is no such name here ({error.strerror or error})") from None
        yield str(rows[0][4][0])


def _private(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_private
    except ValueError:
        return False


def own_networks() -> tuple[str, ...]:
    """The private networks that this machine speaks from, as /24: where devices are most likely. Nothing is sent."""
    found: dict[str, None] = {}
    for target in ("10.255.255.255", "192.168.255.255", "172.31.255.255", "192.0.2.1"):
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
                probe.connect((target, 9))
                own = ipaddress.ip_address(probe.getsockname()[0])
        except OSError:
            continue  # no way there
        if own.is_private and not own.is_loopback and not own.is_link_local:
            found[str(ipaddress.ip_network(f"{own}/24", strict=False))] = None
    return tuple(found)
