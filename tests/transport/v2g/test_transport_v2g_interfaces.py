"""Link-local addresses: which one counts, and how long one waits for it."""

from __future__ import annotations

import asyncio
import secrets
import socket
from pathlib import Path

import pytest

from pilotwire.core.errors import ConfigError, TransientError
from pilotwire.protocols.iso15118.sdp import TCP_PORTS
from pilotwire.transport.v2g import interfaces

GOOD = "fe80000000000000020000fffe000001 02 40 20 80       lo"
OTHERS = """\
00000000000000000000000000000001 01 80 10 80       lo
20010db8000000000000000000000001 02 40 00 80       lo
fe80000000000000020000fffe000002 03 40 20 80     eth1
fe80000000000000020000fffe000003 02 40 20 c0       lo
fe80000000000000020000fffe000004 02 40 20 88       lo
"""


@pytest.fixture
def table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """What the kernel says of addresses."""
    path = tmp_path / "if_inet6"
    path.write_text(OTHERS)
    monkeypatch.setattr(interfaces, "_ADDRESSES", str(path))
    return path


def test_loopback_addresses_other_interfaces_and_tentative_ones_do_not_count(table: Path) -> None:
    with pytest.raises(TransientError, match="lo has no link-local"):
        interfaces.link_local("lo")
    table.write_text(OTHERS + GOOD + "\n")
    assert interfaces.link_local("lo") == "fe80::200:ff:fe00:1"


async def test_an_address_is_waited_for(table: Path) -> None:
    with pytest.raises(TransientError):
        await interfaces.ready("lo", patience_s=0)
    waiting = asyncio.create_task(interfaces.ready("lo", patience_s=5))
    await asyncio.sleep(0)
    table.write_text(GOOD + "\n")
    assert await waiting == "fe80::200:ff:fe00:1"


def test_what_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="nope0"):
        interfaces.link_local("nope0")
    monkeypatch.setattr(interfaces, "_ADDRESSES", "/nowhere")
    with pytest.raises(ConfigError, match="IPv6 is not there"):
        interfaces.link_local("lo")


def test_addresses_as_sockets_want_them() -> None:
    index = interfaces.index_of("lo")
    assert interfaces.address_of("fe80::1%lo", 5, None) == (socket.AF_INET6, ("fe80::1", 5, 0, index))
    assert interfaces.address_of("fe80::1", 5, "lo") == (socket.AF_INET6, ("fe80::1", 5, 0, index))
    assert interfaces.address_of("2001:db8::1", 5, "lo") == (socket.AF_INET6, ("2001:db8::1", 5, 0, 0))
    assert interfaces.address_of("127.0.0.1", 5, "lo") == (socket.AF_INET, ("127.0.0.1", 5))


def test_another_port_is_drawn_when_one_is_taken() -> None:
    low, high = TCP_PORTS
    drawn: list[int] = []

    def draw(count: int) -> int:
        assert count == high - low + 1
        drawn.append(taken - low if len(drawn) < 2 else (taken - low + len(drawn)) % count)
        return drawn[-1]

    with interfaces.tcp_listener("127.0.0.1", 0, None, secrets.randbelow) as first:
        taken = first.getsockname()[1]
        with interfaces.tcp_listener("127.0.0.1", 0, None, draw) as second:
            assert second.getsockname()[1] in {low + one for one in drawn[2:]} and len(drawn) == 32
        with pytest.raises(ConfigError, match="cannot listen"):
            interfaces.tcp_listener("127.0.0.1", taken, None, draw)
