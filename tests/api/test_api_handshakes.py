"""Why a station does not get in, told by the real gateway behind a real socket."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import pytest

from pilotwire.api.resources.handshakes import explain
from pilotwire.core.ids import SeededIds
from pilotwire.crypto.certificates import make_authority, make_server
from pilotwire.csms.service import CentralSystem
from pilotwire.domain.records import StationAccount
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.runtime import LoopScheduler

WAIT_S = 30


class Gate:
    """The gateway with its listener on a port of its own, over the world's store and bus."""

    def __init__(self, world: Any) -> None:
        scheduler = LoopScheduler()
        self.system = CentralSystem(
            store=world.store,
            bus=world.bus,
            scheduler=scheduler,
            ids=SeededIds(1, scheduler.now),
            verify=lambda verifier, password: verifier == f"station:{password.decode(errors='replace')}",
        )
        self.server = PicowsServer()

    async def open(self, context: ssl.SSLContext | None = None) -> None:
        await self.system.start()
        await self.server.start("127.0.0.1", 0, self.system.endpoint, ssl=context)

    async def close(self) -> None:
        await self.server.stop()
        await self.system.stop()

    async def ask(
        self,
        path: str,
        *,
        user: str | None = "CP-A",
        password: str = "right-password",
        offered: str | None = "ocpp1.6",
        upgrade: bool = True,
    ) -> int:
        """Connect like a station and return the status."""
        lines = [f"GET {path} HTTP/1.1", "Host: here"]
        if upgrade:
            lines += ["Upgrade: websocket", "Connection: Upgrade", "Sec-WebSocket-Version: 13"]
            lines.append(f"Sec-WebSocket-Key: {base64.b64encode(bytes(16)).decode()}")
        if offered is not None:
            lines.append(f"Sec-WebSocket-Protocol: {offered}")
        if user is not None:
            lines.append(f"Authorization: Basic {base64.b64encode(f'{user}:{password}'.encode()).decode()}")
        return await self.send(("\r\n".join(lines) + "\r\n\r\n").encode())

    async def send(self, data: bytes) -> int:
        async with asyncio.timeout(WAIT_S):
            reader, writer = await asyncio.open_connection("127.0.0.1", self.server.port)
            writer.write(data)
            line = await reader.readline()
            writer.close()
            return int(line.split(b" ")[1])


@pytest.fixture
async def gate(world) -> AsyncIterator[Gate]:
    await world.store.put_account(
        StationAccount(tenant="default", id="CP-A", password="station:right-password", security_profile=1)
    )
    await world.store.put_account(StationAccount(tenant="other", id="CP-O", password="station:x"))
    made = Gate(world)
    await made.open()
    yield made
    await made.close()


async def newest(api, station: str = "CP-A") -> dict[str, Any]:
    return (await api.get(f"/api/v1/stations/{station}/handshakes")).json()["items"][0]


@pytest.mark.parametrize(
    ("attempt", "status", "reason", "says"),
    [
        ({"path": "/ocpp/CP-A", "password": "wrong-password"}, 401, "wrong-credential", "password is wrong"),
        ({"path": "/ocpp/CP-A", "user": None}, 401, "no-credential", "sent no password"),
        ({"path": "/ocpp/CP-A", "user": "somebody"}, 401, "user-mismatch", "'somebody'"),
        ({"path": "/CP-A"}, 404, "wrong-path", "ws://localhost:9000/ocpp/CP-A"),
        ({"path": "/steve/websocket/CentralSystemService/CP-A?key=secret"}, 404, "wrong-path", "path"),
        ({"path": "/ocpp/CP-A", "offered": "ocpp1.5"}, 101, "no-common-subprotocol", "It offered ocpp1.5"),
        ({"path": "/ocpp/CP-A", "offered": None}, 101, "no-common-subprotocol", "It offered none"),
        ({"path": "/ocpp/CP-A", "upgrade": False}, 426, "not-websocket", "JSON instead of SOAP"),
    ],
)
async def test_what_is_wrong_is_told(gate, api, attempt: dict, status: int, reason: str, says: str) -> None:
    assert await gate.ask(**attempt) == status
    told = await newest(api)
    assert (told["reason"], told["accepted"], told["status"]) == (reason, False, status)
    assert says in f"{told['title']}: {told['advice']}"
    assert told["peer"].startswith("127.0.0.1:")
    assert "secret" not in str(told) and "password" not in told["path"]


async def test_one_that_is_let_in_is_told_too(gate, api) -> None:
    await gate.ask("/ocpp/CP-A", password="wrong-password")
    assert await gate.ask("/ocpp/CP-A", offered="ocpp2.0.1, ocpp1.6") == 101
    first, second = (await api.get("/api/v1/stations/CP-A/handshakes")).json()["items"]
    assert (first["accepted"], first["offered"], first["user"]) == (True, ["ocpp2.0.1", "ocpp1.6"], "CP-A")
    assert second["reason"] == "wrong-credential"


async def test_a_station_that_has_no_account_yet_is_seen_knocking(gate, api) -> None:
    assert await gate.ask("/ocpp/NEW-1", user="NEW-1") == 404
    told = await newest(api, "NEW-1")
    assert (told["reason"], told["path"]) == ("unknown-identity", "/ocpp/NEW-1")
    assert "Add the station" in told["advice"]


async def test_whoever_named_no_station_is_a_stranger(gate, api) -> None:
    assert await gate.send(b"\x16\x03\x01\x00\x05hello") == 400
    (told,) = (await api.get("/api/v1/handshakes")).json()["items"]
    assert told["reason"] == "tls-on-plain-port" and "wss://" in told["advice"]


async def test_handshakes_of_another_tenant_are_not_shown(gate, world, api) -> None:
    assert await gate.ask("/ocpp/other/CP-O", user="CP-O", password="y") == 401
    assert (await api.get("/api/v1/stations/CP-O/handshakes")).json()["items"] == []
    async with world.client(headers={"Authorization": "Bearer pw_test-process-key@other"}) as other:
        assert (await newest(other, "CP-O"))["reason"] == "wrong-credential"
        assert (await other.get("/api/v1/handshakes")).json()["items"] == []


async def test_without_a_gateway_there_is_nothing_to_tell(api) -> None:
    assert (await api.get("/api/v1/stations/CP-A/handshakes")).json() == {"items": [], "next": None}


async def test_tls_that_fails_says_why(world, api, tmp_path) -> None:
    now = datetime.now(UTC)
    issued = make_server(make_authority("Test authority", now=now), ["localhost"], now=now)
    for name, text in (("chain.pem", issued.certificate_pem), ("key.pem", issued.key_pem)):
        (tmp_path / name).write_text(text)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(tmp_path / "chain.pem", tmp_path / "key.pem")
    gate = Gate(world)
    await gate.open(context)
    try:
        with pytest.raises(ssl.SSLError):
            # A client that does not know our authority: it hangs up with an alert that says so.
            await asyncio.open_connection(
                "127.0.0.1", gate.server.port, ssl=ssl.create_default_context(), server_hostname="localhost"
            )
        async with asyncio.timeout(WAIT_S):
            while not (found := (await api.get("/api/v1/handshakes")).json()["items"]):
                await asyncio.sleep(0.01)
        assert (found[0]["reason"], found[0]["tls"]) == ("tls-failed", True)
        assert found[0]["detail"] and "certificate" in f"{found[0]['title']} {found[0]['advice']}"
    finally:
        await gate.close()


def test_what_tls_says_is_explained() -> None:
    said = "SSLV3_ALERT_CERTIFICATE_EXPIRED"
    assert "clock" in explain("tls-failed", said).advice
    assert "root certificate" in explain("tls-failed", "TLSV1_ALERT_UNKNOWN_CA").advice
    assert "wss://" in explain("tls-failed", "HTTP_REQUEST").advice
    assert explain("something-new").title == "Refused: something-new"
