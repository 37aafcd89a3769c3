"""The OCPP edge over real sockets: every test runs on both servers, those that touch the loop most on both loops."""

from __future__ import annotations

import asyncio
import base64
from typing import Any

import pytest

from pilotwire.core.errors import ConfigError, LocalError
from pilotwire.transport.ocpp.limits import EdgeLimits
from pilotwire.transport.ocpp.picows_server import PicowsServer

STRICT = {"unlimited_networks": ()}


def basic(user: bytes, password: bytes) -> str:
    return "Authorization: Basic " + base64.b64encode(user + b":" + password).decode()


# Paths and identities


@pytest.mark.parametrize(
    ("path", "tenant", "identity"),
    [
        ("/ocpp/CS1", "default", "CS1"),
        ("/ocpp/RDAM%7C123", "default", "RDAM|123"),
        ("/ocpp/acme/CS%201", "acme", "CS 1"),
        ("/ocpp/%2541", "default", "%41"),
        ("/ocpp/a%2Fb", "default", "a/b"),
        ("/ocpp/Stra%C3%9Fe", "default", "Straße"),
        ("/ocpp//CS1", "default", "CS1"),
        ("/ocpp/CS1?token=x", "default", "CS1"),
        ("ws://gateway.example/ocpp/CS1", "default", "CS1"),
    ],
)
async def test_the_path_selects_tenant_and_identity(start: Any, path: str, tenant: str, identity: str) -> None:
    edge = await start()
    await edge.station(path)
    assert (edge.desk.seen[0].tenant, edge.desk.seen[0].identity) == (tenant, identity)
    assert edge.desk.seen[0].peer.startswith("127.0.0.1:")
    assert edge.desk.seen[0].tls is False and edge.desk.seen[0].certificate is None


@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/ocpp",
        "/ocpp/",
        "/ocpp/a/b/CS1",
        "/other/CS1",
        "/ocpp/CS%3A1",
        "/ocpp/CS:1",
        "/ocpp/%zz",
        "/ocpp/%",
        "/ocpp/%ff",
        "/ocpp/%0a",
        "/ocpp/" + "x" * 49,
        "/ocpp/t%3At/CS1",
        "/ocppCS1",
    ],
)
async def test_a_path_without_a_possible_identity_is_404(start: Any, path: str) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request(path)
    status, headers, _ = await raw.response()
    assert status == 404 and headers["connection"] == "close"
    await raw.ended()
    assert edge.desk.seen == [] and edge.counters.refused == {404: 1}


async def test_the_prefix_is_configurable(start: Any) -> None:
    edge = await start(prefix="/csms/ws")
    await edge.station("/csms/ws/CS1")
    raw = await edge.raw()
    raw.request("/ocpp/CS1")
    assert (await raw.response())[0] == 404
    bare = await start(prefix="")
    await bare.station("/acme/CS1")
    assert bare.desk.seen[0].tenant == "acme"


def test_a_prefix_that_could_never_match_is_a_config_error(server_class: Any) -> None:
    for prefix in ("ocpp", "/ocpp/"):
        with pytest.raises(ConfigError):
            server_class(prefix=prefix)


# Credentials


@pytest.mark.parametrize("password", [b"", b"secret", b"with:colons::", b"\xff\x00\xfe raw", b"x" * 64])
async def test_the_password_reaches_the_endpoint_as_raw_bytes(start: Any, password: bytes) -> None:
    edge = await start()
    edge.desk.password = password
    await edge.station("/ocpp/CS1", basic(b"CS1", password))
    assert edge.desk.seen[0].user == b"CS1" and edge.desk.seen[0].password == password


async def test_no_credentials_are_told_from_empty_ones(start: Any) -> None:
    edge = await start()
    await edge.station()
    assert edge.desk.seen[0].user is None and edge.desk.seen[0].password is None


@pytest.mark.parametrize(
    "header",
    [
        basic(b"CS2", b"right"),
        basic(b"", b"right"),
        basic(b"cs1", b"right"),
        basic(b"CS1", b"wrong"),
        "Authorization: Basic !!!",
        "Authorization: Basic " + base64.b64encode(b"CS1").decode(),
        "Authorization: Bearer abc",
        "Authorization: Basic",
    ],
)
async def test_wrong_credentials_are_401_with_a_challenge(start: Any, header: str) -> None:
    edge = await start()
    edge.desk.password = b"right"
    raw = await edge.raw()
    raw.request("/ocpp/CS1", header)
    status, headers, _ = await raw.response()
    assert status == 401 and headers["www-authenticate"].startswith("Basic realm=")
    await raw.ended()
    assert edge.desk.ends == []


async def test_the_user_is_compared_with_the_decoded_identity(start: Any) -> None:
    edge = await start()
    await edge.station("/ocpp/RDAM%7C123", basic(b"RDAM|123", b"x"))
    raw = await edge.raw()
    raw.request("/ocpp/RDAM%7C123", basic(b"RDAM%7C123", b"x"))
    assert (await raw.response())[0] == 401


@pytest.mark.parametrize("status", [401, 403, 404, 409, 429, 503])
async def test_the_endpoint_refuses_before_the_upgrade(start: Any, status: int) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request(f"/ocpp/refuse-{status}")
    got, headers, body = await raw.response()
    assert got == status and "as asked" not in body
    assert ("www-authenticate" in headers) == (status == 401)
    await raw.ended()
    assert edge.counters.refused == {status: 1} and edge.counters.upgraded == 0


async def test_a_bug_in_the_endpoint_is_500_and_hurts_nobody_else(start: Any) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request("/ocpp/explode")
    status, _, body = await raw.response()
    assert status == 500 and "bug" not in body
    assert edge.counters.receiver_failures == 1
    await edge.unharmed()


# Subprotocols and the rest of the handshake


@pytest.mark.parametrize(
    ("offered", "chosen"),
    [
        ("ocpp2.1, ocpp1.6", "ocpp2.1"),
        ("ocpp1.6,ocpp2.1", "ocpp1.6"),
        ("ocpp2.0, ocpp1.5,\tocpp2.0.1", "ocpp2.0.1"),
    ],
)
async def test_the_clients_order_decides_the_subprotocol(start: Any, offered: str, chosen: str) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request("/ocpp/CS1", protocols=offered)
    status, headers, _ = await raw.response()
    assert status == 101 and headers["sec-websocket-protocol"] == chosen
    assert (
        headers["sec-websocket-accept"] == "ZP5XWoQyrg0SHd3LxlCG/R+YkiY=" or len(headers["sec-websocket-accept"]) == 28
    )
    assert edge.desk.seen[0].subprotocol == chosen


async def test_repeated_protocol_headers_are_one_list(start: Any) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request("/ocpp/CS1", "Sec-WebSocket-Protocol: ocpp1.6", protocols="ocpp9")
    assert (await raw.response())[1]["sec-websocket-protocol"] == "ocpp1.6"


@pytest.mark.parametrize("offered", ["ocpp2.0, ocpp1.5", "OCPP1.6", "", None])
async def test_without_a_common_subprotocol_it_opens_without_the_header_and_closes(
    start: Any, offered: str | None
) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request("/ocpp/CS1", protocols=offered)
    status, headers, _ = await raw.response()
    assert status == 101 and "sec-websocket-protocol" not in headers
    assert await raw.closed_with() == 1002
    assert edge.desk.seen[0].subprotocol is None
    assert edge.desk.ends[0].link is None, "the receiver is dropped unopened"
    assert edge.counters.unknown_subprotocol == 1


async def test_credentials_come_before_the_subprotocol(start: Any) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.request("/ocpp/refuse-404", protocols="ocpp1.2")
    assert (await raw.response())[0] == 404


async def test_a_browser_gets_a_helpful_426(start: Any) -> None:
    edge = await start()
    for path in ("/", "/ocpp/CS1"):
        raw = await edge.raw()
        raw.request(path, upgrade=False, protocols=None)
        status, headers, body = await raw.response()
        assert status == 426 and headers["upgrade"] == "websocket"
        assert "/ocpp/IDENTITY" in body and "ocpp2.0.1" in body
        await raw.ended()
    assert edge.counters.plain_http == 2


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (b"GET /ocpp/CS1 HTTP/1.0\r\n\r\n", 400),
        (b"GET /ocpp/CS1\r\n\r\n", 400),
        (b"POST /ocpp/CS1 HTTP/1.1\r\nHost: x\r\n\r\n", 405),
        (b"GET /ocpp/CS1 HTTP/1.1\r\nbad header\r\n\r\n", 400),
        (b"GET /ocpp/CS1 HTTP/1.1\r\nA: b\r\n folded\r\n\r\n", 400),
        (b"GET /ocpp/CS1 HTTP/1.1\r\nA: b\x00c\r\n\r\n", 400),
        (b"GET /ocpp/CS1 HTTP/1.1\r\nContent-Length: 5\r\n\r\nhello", 400),
        (b"GET /ocpp/CS1 HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 400),
        (b"GET /ocpp/\xc3\x9f HTTP/1.1\r\n\r\n", 400),
        (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
        (b"\x00\x01\x02\x03", 400),
        (b"GET /ocpp/CS1 HTTP/1.1\r\nAuthorization: Basic YQ==\r\nAuthorization: Basic Yg==\r\n\r\n", 400),
    ],
)
async def test_garbage_instead_of_http_gets_its_status(start: Any, head: bytes, status: int) -> None:
    edge = await start()
    raw = await edge.raw()
    raw.write(head)
    assert (await raw.response())[0] == status
    await raw.ended()
    assert edge.desk.seen == []
    await edge.unharmed()


@pytest.mark.parametrize(
    ("change", "status"),
    [
        (("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8"), 426),
        (("Sec-WebSocket-Version: 13\r\n", ""), 426),
        (("Upgrade: websocket\r\n", ""), 426),
        (("Connection: Upgrade", "Connection: close"), 426),
        (("Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==", "Sec-WebSocket-Key: short"), 400),
        (("Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n", ""), 400),
        (("Connection: Upgrade", "Connection: keep-alive, Upgrade"), 101),
        (("Connection: Upgrade", "connection: UPGRADE"), 101),
        (("Upgrade: websocket", "Upgrade: WebSocket"), 101),
    ],
)
async def test_the_upgrade_headers_are_judged_by_the_rfc(start: Any, change: tuple[str, str], status: int) -> None:
    edge = await start()
    head = (
        "GET /ocpp/CS1 HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        "Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Version: 13\r\n"
        "Sec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    )
    assert change[0] in head
    raw = await edge.raw()
    raw.write(head.replace(*change).encode())
    got, headers, _ = await raw.response()
    assert got == status
    if change[0].startswith("Sec-WebSocket-Version"):
        assert headers["sec-websocket-version"] == "13"


@pytest.mark.both_loops
async def test_frames_in_the_same_segment_as_the_request_are_not_lost(start: Any, encode: Any) -> None:
    edge = await start()
    raw = await edge.raw()
    request = (
        b"GET /ocpp/CS1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    )
    frames = [b"[%d,%s]" % (index, b"x" * 3000) for index in range(8)]
    raw.write(request + b"".join(encode(1, frame) for frame in frames))
    assert (await raw.response())[0] == 101
    for frame in frames:
        assert (await raw.read_frame())[:2] == (1, frame)


async def test_a_request_in_single_bytes_is_read(start: Any) -> None:
    edge = await start()
    raw = await edge.raw()
    for byte in (
        b"GET /ocpp/CS1 HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\nSec-WebSocket-Protocol: ocpp1.6\r\n\r\n"
    ):
        raw.write(bytes([byte]))
        await asyncio.sleep(0)
    assert (await raw.response())[0] == 101


# Limits on the handshake


@pytest.mark.both_loops
async def test_a_slow_header_is_closed_and_others_are_not(start: Any) -> None:
    edge = await start(limits=EdgeLimits(header_s=0.2))
    slow, silent = await edge.raw(), await edge.raw()
    slow.write(b"GET /ocpp/CS1 HTTP/1.1\r\nA: b")
    assert (await slow.response())[0] == 408
    await slow.ended()
    await silent.ended()
    assert edge.counters.header_timeouts == 2
    await edge.unharmed()


async def test_a_header_bomb_is_431(start: Any) -> None:
    edge = await start(limits=EdgeLimits(header_bytes=4096))
    for bomb in (b"GET /ocpp/CS1 HTTP/1.1\r\nA: " + b"x" * 100_000, b"G" * 100_000, b"GET /" + b"x" * 5000):
        raw = await edge.raw()
        raw.write(bomb)
        assert (await raw.response())[0] == 431
        await raw.ended()
    many = await edge.raw()
    many.write(b"GET /ocpp/CS1 HTTP/1.1\r\n" + b"A: b\r\n" * 65 + b"\r\n")
    assert (await many.response())[0] == 431
    await edge.unharmed()


async def test_unauthenticated_sockets_per_address_are_limited(start: Any) -> None:
    edge = await start(limits=EdgeLimits(unauthenticated_per_address=3, **STRICT))
    raws = [await edge.raw() for _ in range(5)]
    for raw in raws[3:]:
        await raw.ended()
    assert edge.counters.over_unauthenticated_limit == 2
    await raws[0].upgraded()
    await edge.unharmed()


async def test_connections_of_a_listener_are_limited(start: Any) -> None:
    edge = await start(limits=EdgeLimits(connections=2))
    await edge.station()
    await edge.station()
    third = await edge.raw()
    await third.ended()
    assert edge.counters.over_connection_limit == 1


async def test_failed_authentication_backs_off_and_ends(start: Any) -> None:
    now = 1000.0
    edge = await start(limits=EdgeLimits(failures_per_identity=3, failures_per_address=5, **STRICT), clock=lambda: now)
    edge.desk.password = b"right"

    async def attempt(identity: str, password: bytes) -> tuple[int, dict[str, str]]:
        raw = await edge.raw()
        raw.request(f"/ocpp/{identity}", basic(identity.encode(), password))
        status, headers, _ = await raw.response()
        return status, headers

    for _ in range(3):
        assert (await attempt("CS1", b"wrong"))[0] == 401
    status, headers = await attempt("CS1", b"right")
    assert status == 429 and 0 < int(headers["retry-after"]) <= 61
    assert len(edge.desk.seen) == 3, "refused unseen"
    assert (await attempt("CS2", b"right"))[0] == 101, "another identity is not concerned"
    for _ in range(2):
        assert (await attempt("CS3", b"wrong"))[0] == 401
    assert (await attempt("CS4", b"right"))[0] == 429, "now the address is"
    now += 61
    assert (await attempt("CS1", b"right"))[0] == 101
    assert edge.counters.blocked_after_failures == 2


# Frames


@pytest.mark.both_loops
async def test_text_is_delivered_and_answered_in_order(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    texts = [f'[2,"{index}","Grüße",{{}}]'.encode() for index in range(50)]
    for text in texts:
        raw.text(text)
    assert [(await raw.read_frame())[1] for _ in texts] == texts
    assert end.frames == texts
    assert edge.counters.messages_in == edge.counters.messages_out == 50
    assert edge.counters.bytes_in == sum(map(len, texts))


async def test_fragments_are_joined_around_control_frames(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.text('[2,"ü'.encode()[:-1], fin=False)
    raw.frame(9, b"now?")
    raw.frame(0, "ü".encode()[1:] + b'"', fin=False)
    raw.frame(0, b"", fin=False)
    raw.frame(0, b"]")
    assert (await raw.read_frame())[:2] == (10, b"now?")
    assert (await raw.read_frame())[:2] == (1, '[2,"ü"]'.encode())
    assert end.frames == ['[2,"ü"]'.encode()]
    raw.text(b"[3]")
    assert (await raw.read_frame())[1] == b"[3]"


@pytest.mark.parametrize(("protocols", "limit"), [("ocpp1.6", 65_536), ("ocpp2.0.1", 262_144), ("ocpp2.1", 262_144)])
async def test_the_message_size_is_limited_by_version(start: Any, protocols: str, limit: int) -> None:
    edge = await start()
    raw, _ = await edge.station(protocols=protocols)
    raw.text(b"x" * limit)
    assert len((await raw.read_frame())[1]) == limit
    raw.text(b"x" * (limit + 1))
    assert await raw.closed_with() == 1009
    raw, end = await edge.station(protocols=protocols)
    raw.text(b"x" * (limit // 2), fin=False)
    raw.frame(0, b"x" * (limit // 2 + 1))
    assert await raw.closed_with() == 1009
    assert end.frames == [] and end.ended[0][0] == 1009
    assert edge.counters.closed == {1009: 2}
    await edge.unharmed()


async def test_a_frame_that_only_claims_to_be_huge_is_closed_at_its_header(start: Any) -> None:
    edge = await start()
    raw, _ = await edge.station()
    raw.write(b"\x81\xff" + (1 << 40).to_bytes(8, "big") + b"abcd")
    assert await raw.closed_with() == 1009
    await edge.unharmed()


async def test_endless_fragments_are_1009(start: Any) -> None:
    edge = await start(limits=EdgeLimits(fragments=8))
    raw, end = await edge.station()
    raw.text(b"", fin=False)
    for _ in range(7):
        raw.frame(0, b"", fin=False)
    raw.frame(0, b"", fin=False)
    assert await raw.closed_with() == 1009
    assert end.ended[0][0] == 1009
    await edge.unharmed()


@pytest.mark.parametrize(
    ("name", "code"),
    [
        ("unmasked", 1002),
        ("bad UTF-8", 1007),
        ("bad UTF-8 in fragments", 1007),
        ("binary", 1003),
        ("unknown opcode", 1002),
        ("unknown control opcode", 1002),
        ("reserved bit 1", 1002),
        ("reserved bit 2", 1002),
        ("reserved bit 3", 1002),
        ("continuation of nothing", 1002),
        ("message within a message", 1002),
        ("fragmented ping", 1002),
        ("long ping", 1002),
        ("close with one byte", 1002),
        ("close with a reserved code", 1002),
        ("close with 1006", 1002),
        ("close with 0", 1002),
        ("close with 5000", 1002),
        ("close with bad UTF-8", 1007),
        ("ping with a reserved bit", 1002),
    ],
)
async def test_violations_close_with_their_code_and_hurt_nobody_else(
    start: Any, encode: Any, name: str, code: int
) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.write(
        {
            "unmasked": encode(1, b"[2]", mask=False),
            "bad UTF-8": encode(1, b"\xc3\x28"),
            "bad UTF-8 in fragments": encode(1, b"\xc3", fin=False) + encode(0, b"\x28"),
            "binary": encode(2, b"[2]"),
            "unknown opcode": encode(3, b"x"),
            "unknown control opcode": encode(11, b"x"),
            "reserved bit 1": encode(1, b"x", rsv=4),
            "reserved bit 2": encode(1, b"x", rsv=2),
            "reserved bit 3": encode(1, b"x", rsv=1),
            "continuation of nothing": encode(0, b"x"),
            "message within a message": encode(1, b"x", fin=False) + encode(1, b"y"),
            "fragmented ping": encode(9, b"x", fin=False),
            "long ping": encode(9, b"x" * 126),
            "close with one byte": encode(8, b"\x03"),
            "close with a reserved code": encode(8, (1005).to_bytes(2, "big")),
            "close with 1006": encode(8, (1006).to_bytes(2, "big")),
            "close with 0": encode(8, b"\0\0"),
            "close with 5000": encode(8, (5000).to_bytes(2, "big")),
            "close with bad UTF-8": encode(8, b"\x03\xe8\xff"),
            "ping with a reserved bit": encode(9, b"?", rsv=4),
        }[name]
        + encode(1, b"[never delivered]")
    )
    assert await raw.closed_with() == code
    await end.until(lambda end: end.ended)
    assert end.frames == [] and end.ended[0][0] == code
    assert edge.counters.closed.get(code) == 1
    await edge.unharmed()


async def test_a_length_that_is_not_minimal_is_a_violation_on_picows_only(start: Any, server_class: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.write(b"\x81\xfe\x00\x05\0\0\0\x0012345")
    if server_class is PicowsServer:
        assert await raw.closed_with() == 1002
    else:
        assert (await raw.read_frame())[1] == b"12345"
    assert end.frames == ([] if server_class is PicowsServer else [b"12345"])


@pytest.mark.both_loops
async def test_a_flood_after_a_violation_is_dropped(start: Any, encode: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.write(encode(1, b"x", mask=False) + encode(1, b"y" * 60_000) * 20)
    assert await raw.closed_with() == 1002
    await end.until(lambda end: end.ended)
    assert end.frames == []


async def test_a_receiver_with_a_bug_closes_its_own_connection_only(start: Any, make_desk: Any, make_end: Any) -> None:
    class Buggy(make_end):  # type: ignore[misc]
        def frame(self, data: bytes) -> None:
            if data == b"[bug]":
                raise RuntimeError("a bug")
            super().frame(data)

    edge = await start(desk=make_desk(Buggy))
    raw, end = await edge.station()
    raw.text(b"[bug]")
    assert await raw.closed_with() == 1011
    await end.until(lambda end: end.ended)
    assert edge.counters.receiver_failures == 1
    await edge.unharmed()


# Pings, liveness, idling


async def test_pings_of_the_client_are_answered_with_their_payload(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    for payload in (b"", b"x" * 125):
        raw.frame(9, payload)
        assert (await raw.read_frame())[:2] == (10, payload)
    assert end.frames == []


async def test_the_application_can_ping(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    end.link.ping()
    opcode, payload, _ = await raw.read_frame()
    assert opcode == 9
    raw.frame(10, payload)
    await end.until(lambda end: end.pongs)


async def test_the_server_pings_and_never_minds_a_missing_pong(start: Any) -> None:
    edge = await start(limits=EdgeLimits(ping_s=0.06))
    raw, end = await edge.station()
    for _ in range(10):
        assert (await raw.read_frame())[0] == 9
    assert end.ended == []
    raw.text(b"[still here]")
    while (frame := await raw.read_frame())[0] == 9:
        continue
    assert frame[1] == b"[still here]"


async def test_unasked_pongs_are_harmless(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.frame(10, b"heartbeat")
    raw.text(b"[2]")
    assert (await raw.read_frame())[1] == b"[2]"
    assert end.pongs == 1


async def test_idling_is_off_unless_asked_for_and_then_any_frame_counts(start: Any) -> None:
    edge = await start(limits=EdgeLimits(ping_s=0.06, idle_s=0.3))
    quiet, quiet_end = await edge.station("/ocpp/quiet")
    alive, alive_end = await edge.station("/ocpp/alive")

    async def answer() -> None:
        while True:
            opcode, payload, _ = await alive.read_frame()
            if opcode == 9:
                alive.frame(10, payload)

    answering = asyncio.create_task(answer())
    assert await quiet.closed_with() == 1001
    await quiet_end.until(lambda end: end.ended)
    await asyncio.sleep(0.3)
    assert alive_end.ended == [] and edge.counters.idle_closed == 1
    answering.cancel()
    await asyncio.gather(answering, return_exceptions=True)


@pytest.mark.both_loops
async def test_half_close_and_vanishing_are_told_to_the_receiver(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.writer.write_eof()
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1006
    raw, end = await edge.station()
    raw.writer.transport.abort()
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1006
    half = await edge.raw()
    half.write(b"GET /ocpp")
    half.writer.write_eof()
    await half.ended()
    assert edge.counters.vanished == 1
    await edge.unharmed()


# Closing


@pytest.mark.parametrize(("payload", "code"), [(b"\x03\xe8bye", 1000), (b"\x0f\xa0own", 4000), (b"", 1005)])
async def test_the_peer_closes(start: Any, server_class: Any, payload: bytes, code: int) -> None:
    edge = await start()
    raw, end = await edge.station()
    raw.text(b"[last]")
    raw.frame(8, payload)
    opcode, answer, _ = await raw.read_frame()
    assert end.frames == [b"[last]"]
    if server_class is PicowsServer:
        assert (opcode, answer) == (1, b"[last]")
        opcode, answer, _ = await raw.read_frame()
    assert opcode == 8
    if payload:
        assert answer[:2] == payload[:2]
    await raw.ended()
    await end.until(lambda end: end.ended)
    assert end.ended == [(code, payload[2:].decode())]
    end.link.send(b"after close nothing happens")
    end.link.close()
    end.link.ping()


@pytest.mark.both_loops
async def test_the_application_closes(start: Any) -> None:
    edge = await start()
    raw, end = await edge.station()
    end.link.send(b"[first]")
    end.link.close(4001, "ü" * 100)
    end.link.send(b"[not sent]")
    raw.text(b"[not delivered]")
    assert (await raw.read_frame())[1] == b"[first]"
    opcode, payload, _ = await raw.read_frame()
    assert opcode == 8 and payload[:2] == (4001).to_bytes(2, "big")
    assert payload[2:].decode() == "ü" * 61, "cut to what fits, between characters"
    raw.frame(8, payload[:2])
    await raw.ended()
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 4001 and end.frames == []


@pytest.mark.both_loops
async def test_a_peer_that_does_not_answer_a_close_is_cut(start: Any) -> None:
    edge = await start(limits=EdgeLimits(close_s=0.2))
    raw, end = await edge.station()
    end.link.close(1000)
    assert (await raw.read_frame())[0] == 8
    await raw.ended()
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1000


async def test_closing_within_opened_and_within_frame(start: Any, make_desk: Any, make_end: Any) -> None:
    class Curt(make_end):  # type: ignore[misc]
        def opened(self, link: Any) -> None:
            super().opened(link)
            link.close(1008, "go away")

    class Once(make_end):  # type: ignore[misc]
        def frame(self, data: bytes) -> None:
            super().frame(data)
            self.link.close(1000)

    edge = await start(desk=make_desk(Curt))
    raw, _ = await edge.station()
    assert await raw.closed_with() == 1008
    edge = await start(desk=make_desk(Once))
    raw, end = await edge.station()
    raw.text(b"[1]")
    raw.text(b"[2]")
    assert await raw.closed_with() == 1000
    assert end.frames == [b"[1]"]


# Back-pressure


@pytest.mark.both_loops
async def test_pause_holds_every_frame_and_resume_keeps_the_order(start: Any, make_desk: Any, make_end: Any) -> None:
    class Shy(make_end):  # type: ignore[misc]
        def opened(self, link: Any) -> None:
            super().opened(link)
            link.pause()

        def frame(self, data: bytes) -> None:
            super().frame(data)
            if data in (b"[3]", b"[7]"):
                self.link.pause()

    edge = await start(desk=make_desk(Shy))
    raw, end = await edge.station()
    for index in range(10):
        raw.text(b"[%d]" % index)
    await raw.writer.drain()
    await asyncio.sleep(0.1)
    assert end.frames == []
    end.link.resume()
    await end.until(lambda end: len(end.frames) >= 4)
    await asyncio.sleep(0.05)
    assert end.frames == [b"[%d]" % index for index in range(4)]
    end.link.resume()
    await end.until(lambda end: len(end.frames) >= 8)
    end.link.resume()
    await end.until(lambda end: len(end.frames) == 10)
    assert end.frames == [b"[%d]" % index for index in range(10)]


async def test_pause_presses_back_through_tcp(start: Any, make_desk: Any, make_end: Any) -> None:
    edge = await start(desk=make_desk(lambda: make_end(echo=False)), limits=EdgeLimits(rate_per_s=0))
    raw, end = await edge.station()
    end.link.pause()
    chunk = raw.encode(1, b"x" * 50_000)
    sent = 0
    try:
        async with asyncio.timeout(0.4):
            while sent < 2000:
                raw.write(chunk)
                await raw.writer.drain()
                sent += 1
    except TimeoutError:
        assert sent < 2000
    else:
        pytest.fail("100 MB were taken from a peer that should not be read")
    assert end.frames == []
    end.link.resume()
    await end.until(lambda end: len(end.frames) == sent + 1)


@pytest.mark.both_loops
async def test_too_many_messages_are_slowed_not_lost(start: Any) -> None:
    edge = await start(limits=EdgeLimits(rate_per_s=200, rate_burst=20))
    raw, end = await edge.station()
    for _ in range(3):
        for index in range(40):
            raw.text(b"[%d]" % index)
        for index in range(40):
            assert (await raw.read_frame())[1] == b"[%d]" % index
    assert edge.counters.throttled >= 2 and len(end.frames) == 120


async def test_a_peer_over_its_rate_is_not_read(start: Any) -> None:
    edge = await start(limits=EdgeLimits(rate_per_s=0.001, rate_burst=20))
    raw, end = await edge.station()
    for index in range(30):
        raw.text(b"[%d]" % index)
    for _ in range(20):
        await raw.read_frame()
    raw.text(b"[one more]")
    raw.frame(9, b"pings count too")
    await asyncio.sleep(0.1)
    assert b"[one more]" not in end.frames
    assert edge.counters.throttled == 1
    end.link.close(1000)
    assert await raw.closed_with() == 1000


@pytest.mark.both_loops
async def test_a_peer_that_does_not_read_is_cut_off(start: Any) -> None:
    edge = await start(limits=EdgeLimits(backlog_bytes=200_000))
    raw, end = await edge.station()
    raw.writer.transport.pause_reading()
    for _ in range(2000):
        end.link.send(b"x" * 10_000)
        if end.ended:
            break
        await asyncio.sleep(0)
    await end.until(lambda end: end.ended)
    assert end.ended == [(1006, "")]
    assert edge.counters.slow_consumers == 1
    await edge.unharmed()


async def test_the_backlog_is_visible(start: Any) -> None:
    edge = await start(limits=EdgeLimits(backlog_bytes=50_000_000))
    raw, end = await edge.station()
    assert end.link.backlog == 0
    raw.writer.transport.pause_reading()
    for _ in range(1000):
        end.link.send(b"x" * 10_000)
    assert end.link.backlog > 1_000_000
    raw.writer.transport.resume_reading()
    for _ in range(1000):
        assert len((await raw.read_frame())[1]) == 10_000
    assert end.link.backlog == 0


# Draining and the life of a server


async def test_a_server_that_was_never_started_stops_at_once(start: Any) -> None:
    edge = await start()
    async with asyncio.timeout(2):  # it would wait five seconds for connections to end
        await type(edge.server)().stop()


async def test_a_peer_that_is_gone_before_anything_is_read_has_failed_no_tls(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    edge = await start()

    async def gone(*_: Any) -> None:
        raise ConnectionResetError

    monkeypatch.setattr(edge.server, "_connect", gone)
    await (await edge.raw()).ended()
    assert (edge.counters.vanished, edge.counters.tls_failed) == (1, 0)


@pytest.mark.both_loops
async def test_drain_stops_accepting_and_closes_everybody_with_1012(start: Any) -> None:
    edge = await start()
    stations = [await edge.station(f"/ocpp/CS{index}") for index in range(12)]
    waiting = await edge.raw()
    port = edge.server.port
    draining = asyncio.create_task(edge.server.drain(0.6))
    assert await asyncio.gather(*(raw.closed_with() for raw, _ in stations)) == [1012] * 12
    await draining
    assert [end.ended for _, end in stations] == [[(1012, "service restart")]] * 12
    await waiting.ended()
    assert edge.counters.closed == {1012: 12} and edge.counters.open == 0
    with pytest.raises(OSError):
        await asyncio.open_connection("127.0.0.1", port)


async def test_drain_cuts_those_that_do_not_answer(start: Any) -> None:
    edge = await start(limits=EdgeLimits(close_s=60))
    raw, end = await edge.station()
    await edge.server.drain(0.4)
    assert end.ended == [(1012, "service restart")]
    await raw.ended()


async def test_stopping_twice_and_starting_twice(start: Any) -> None:
    edge = await start()
    with pytest.raises(LocalError):
        await edge.server.start("127.0.0.1", 0, edge.desk)
    _, end = await edge.station()
    await edge.server.stop()
    await edge.server.stop()
    assert len(end.ended) == 1
    with pytest.raises(LocalError):
        _ = edge.server.port


async def test_an_address_in_use_is_reported(start: Any, server_class: Any) -> None:
    edge = await start()
    with pytest.raises(OSError):
        await server_class().start("127.0.0.1", edge.server.port, edge.desk)


@pytest.mark.both_loops
async def test_many_stations_come_and_go(start: Any) -> None:
    edge = await start()

    async def life(index: int) -> None:
        raw, end = await (await edge.raw()).upgraded(f"/ocpp/CS{index}"), None
        raw.text(b"[%d]" % index)
        assert (await raw.read_frame())[1] == b"[%d]" % index
        if index % 2:
            raw.writer.transport.abort()
        else:
            raw.frame(8, b"\x03\xe8")
            assert await raw.closed_with() == 1000
        assert end is None

    await asyncio.gather(*(life(index) for index in range(100)))
    async with asyncio.timeout(90):
        while edge.counters.open:
            await asyncio.sleep(0.01)
    assert edge.counters.upgraded == edge.counters.accepted == 100
    assert edge.counters.closed == {1000: 50, 1006: 50}
