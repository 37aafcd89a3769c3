"""Ports for servers that have to be told theirs before they start."""

from __future__ import annotations

import os
import random
import socket
from pathlib import Path
from typing import Final

_FIRST: Final = 10_000
_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")


def _end() -> int:
    """Where the ports begin that the system gives to whoever connects: those may be gone before a server has them."""
    try:
        first = int(_RANGE.read_text().split()[0])
    except (OSError, ValueError):
        first = 32_768
    return first if first > _FIRST + 5_000 else 65_000


_order = random.Random(os.getpid()).sample(range(_FIRST, _end()), k=5_000)


def free_port() -> int:
    """A port of loopback that nobody has, and that this process has not been given before."""
    while _order:
        port = _order.pop()
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError("5,000 ports are used up")
