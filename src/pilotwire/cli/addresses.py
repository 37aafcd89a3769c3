"""Addresses of listeners, and under what others reach them."""

from __future__ import annotations

import socket
from contextlib import suppress
from typing import NamedTuple

ALL_INTERFACES = frozenset({"0.0.0.0", "::"})  # noqa: S104 - what is asked about, not what is listened on


class Address(NamedTuple):
    host: str
    port: int

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def local(where: Address) -> Address:
    """The address under which this machine itself reaches a listener."""
    return Address("127.0.0.1", where.port) if where.host in ALL_INTERFACES else where


def outward(where: Address) -> Address:
    """The address under which chargers reach a listener: for all interfaces, this machine's own."""
    return Address(next(iter(own_addresses(where.host)), where.host), where.port)


def own_addresses(host: str) -> list[str]:
    """Under what stations reach a listener on `host`: that, or for all interfaces this machine's own addresses."""
    if host not in ALL_INTERFACES:
        return [host]
    found: list[str] = []
    # The address from which we would speak to the world: nothing is sent, the targets are documentation's (RFC 5737).
    for family, elsewhere in ((socket.AF_INET, "192.0.2.1"), (socket.AF_INET6, "2001:db8::1")):
        with suppress(OSError), socket.socket(family, socket.SOCK_DGRAM) as probe:
            probe.connect((elsewhere, 9))
            found.append(probe.getsockname()[0])
    return found
