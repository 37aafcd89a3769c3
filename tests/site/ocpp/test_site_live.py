"""In whose name the box knocks at its upstreams."""

from __future__ import annotations

import asyncio
import base64
from types import SimpleNamespace
from typing import Any

import pytest
import websockets

from pilotwire.site.ocpp.config import ControllerConfig, KnownStation, Upstream
from pilotwire.site.ocpp.live import UpstreamDialer, no_tls


class _Deaf:
    def opened(self, link: Any) -> None:
        link.close(1000, "")

    def frame(self, data: bytes) -> None: ...

    def pong(self) -> None: ...

    def closed(self, code: int, reason: str) -> None: ...


@pytest.mark.parametrize(
    ("known", "credential", "moved", "expected"),
    [
        ({}, None, False, None),
        ({}, ("CS 1", b"\xff\x00raw"), False, b"CS 1:\xff\x00raw"),
        ({"passwords": {"main": "ours"}}, None, False, b"CS 1:ours"),
        ({"passwords": {"main": "ours"}}, ("CS 1", b"new"), False, b"CS 1:ours"),
        ({"passwords": {"main": "ours"}}, ("CS 1", b"new"), True, b"CS 1:new"),
        ({"security_profile": 0}, None, False, b""),
    ],
)
async def test_whose_password(known: Any, credential: Any, moved: bool, expected: bytes | None) -> None:
    seen: list[Any] = []

    async def connected(connection: Any) -> None:
        seen.append(connection.request)
        await connection.wait_closed()

    async with websockets.serve(connected, "127.0.0.1", 0, subprotocols=["ocpp1.6"]) as server:  # type: ignore[list-item]
        port = next(iter(server.sockets)).getsockname()[1]
        upstream = Upstream(name="main", url=f"ws://127.0.0.1:{port}/steve")
        station = KnownStation(identity="CS 1", tenant="depot", **known)
        config = ControllerConfig(upstreams=(upstream,), stations=(station,))
        seat: Any = SimpleNamespace(
            known=station,
            credential=credential,
            notes=SimpleNamespace(moved=moved),
            around=SimpleNamespace(config=config),
        )
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        UpstreamDialer(upstream, seat, no_tls, compress=False).dial(_Deaf(), ("ocpp1.6",), done.set_result)
        result = await done
    if expected is None:
        assert not result.opened
        assert seen == []
        return
    assert result.opened
    assert seen[0].path == "/steve/depot/CS%201"
    given = seen[0].headers.get("Authorization")
    assert (base64.b64decode(given.split()[1]) if given else b"") == expected


async def test_managed_stations_are_made_before_anybody_is_let_in(tmp_path: Any) -> None:
    from pilotwire.site.ocpp.evse import ManagedStation
    from pilotwire.site.ocpp.live import LiveController
    from pilotwire.site.ports import Abilities

    units: list[ManagedStation] = []
    station = KnownStation(identity="CS1", security_profile=0, managed=True)
    config = ControllerConfig(upstreams=(Upstream(name="main", url="ws://127.0.0.1:1/x"),), stations=(station,))
    live = LiveController(
        config,
        tmp_path / "f.sqlite",
        prepare=lambda controller: units.append(ManagedStation(controller.seat("CS1"), {1: Abilities()})),
    )
    await live.start("127.0.0.1", 0)
    assert live.controller.status().stations[0].managed
    assert not units[0].drivers[1].status().online
    await live.stop(0.1)
