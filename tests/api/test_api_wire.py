"""HTTP on the wire: the short way and the long way answer alike, and nothing can be smuggled between them."""

from __future__ import annotations

import socket
from typing import Any

import pytest

from pilotwire.api.wire import plain_head

KEY = "Authorization: Bearer pw_test-process-key"


class Talk:
    """A socket to the server."""

    def __init__(self, served: Any) -> None:
        self.port = int(served.url.rpartition(":")[2])
        self.socket = socket.create_connection(("127.0.0.1", self.port), timeout=30)
        self.rest = b""

    def send(self, text: str | bytes) -> None:
        data = text.encode() if isinstance(text, str) else text
        self.socket.sendall(data.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n"))

    def get(self, path: str, *headers: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        self.send("\n".join([f"{method} {path} HTTP/1.1", "Host: localhost", KEY, *headers]) + "\n\n")
        return self.answer(method)

    def answer(self, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
        """The next answer: status, headers, body."""
        while b"\r\n\r\n" not in self.rest:
            self._more()
        head, _, self.rest = self.rest.partition(b"\r\n\r\n")
        first, *lines = head.decode().split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
        status = int(first.split()[1])
        if method == "HEAD" or status in (204, 304):
            return status, headers, b""
        if headers.get("transfer-encoding") == "chunked":
            return status, headers, self._chunks()
        if "content-length" not in headers:
            return status, headers, b""
        length = int(headers["content-length"])
        while len(self.rest) < length:
            self._more()
        body, self.rest = self.rest[:length], self.rest[length:]
        return status, headers, body

    def _chunks(self) -> bytes:
        body = b""
        while True:
            while b"\r\n" not in self.rest:
                self._more()
            size, _, self.rest = self.rest.partition(b"\r\n")
            length = int(size, 16)
            while len(self.rest) < length + 2:
                self._more()
            body, self.rest = body + self.rest[:length], self.rest[length + 2 :]
            if length == 0:
                return body

    def _more(self) -> None:
        data = self.socket.recv(65_536)
        if not data:
            raise ConnectionError("closed")
        self.rest += data

    @property
    def closed(self) -> bool:
        try:
            return self.socket.recv(1) == b""
        except ConnectionResetError:
            return True


@pytest.fixture
def talk(served) -> Any:
    made = Talk(served)
    yield made
    made.socket.close()


def long(talk: Talk, path: str, method: str = "GET") -> tuple[int, dict[str, str], bytes]:
    """The same request in two pieces: the short way does not take it."""
    talk.send(f"{method} {path} HTTP/1.1\nHost: localhost\n")
    import time

    time.sleep(0.05)  # only so that it comes in two pieces; the answer is the same if it does not
    talk.send(f"{KEY}\n\n")
    return talk.answer(method)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
@pytest.mark.parametrize(
    "path", ["/api/v1/stations", "/api/v1/stations/CP%2DA", "/api/v1/none", "/api/v1/stations?limit=0", "/openapi.json"]
)
def test_both_ways_answer_alike(talk: Talk, method: str, path: str) -> None:
    short, whole = talk.get(path, method=method), long(talk, path, method)
    assert short[0] == whole[0] and short[2] == whole[2]
    shown = {name: value for name, value in short[1].items() if name != "date"}
    assert shown == {name: value for name, value in whole[1].items() if name != "date"}
    assert short[1]["date"].endswith("GMT")


def test_many_on_one_connection_in_any_mixture(talk: Talk) -> None:
    for n in range(30):
        if n % 7 == 3:
            body = f'{{"token":"W{n}"}}'
            length = len(body)
            talk.send(
                f"POST /api/v1/tokens HTTP/1.1\nHost: localhost\n{KEY}\nContent-Type: application/json\n"
                f"Content-Length: {length}\n\n{body}"
            )
            assert talk.answer()[0] == 200
        elif n % 7 == 5:
            assert long(talk, "/api/v1/me")[0] == 200
        else:
            assert talk.get("/api/v1/me")[0] == 200


def test_requests_one_after_the_other_without_waiting(talk: Talk) -> None:
    """Pipelined: answered in order, whichever way each goes."""
    one = f"GET /api/v1/stations/CP-A HTTP/1.1\nHost: localhost\n{KEY}\n\n"
    two = f"GET /api/v1/stations/CP-B HTTP/1.1\nHost: localhost\n{KEY}\n\n"
    for _ in range(3):
        talk.send(one + two + one)
        found = [talk.answer()[2].partition(b'"id":"')[2][:4] for _ in range(3)]
        assert found == [b"CP-A", b"CP-B", b"CP-A"]
        talk.send(one)
        talk.send(two)
        assert [talk.answer()[2].partition(b'"id":"')[2][:4] for _ in range(2)] == [b"CP-A", b"CP-B"]


def test_who_wants_to_close_is_closed(talk: Talk) -> None:
    status, headers, _ = talk.get("/healthz", "Connection: close")
    assert (status, headers["connection"]) == (200, "close")
    assert talk.closed


def test_a_file_in_pieces(talk: Talk) -> None:
    status, headers, body = talk.get("/api/v1/sessions/export?format=csv")
    assert (status, headers["transfer-encoding"]) == (200, "chunked")
    assert body.startswith(b"id,station_id,") and body.count(b"\r\n") == 3
    assert talk.get("/healthz")[0] == 200, "the connection goes on"


def test_nothing_of_a_304(talk: Talk) -> None:
    tag = talk.get("/api/v1/stations")[1]["etag"]
    assert talk.get("/api/v1/stations", f"If-None-Match: {tag}")[0] == 304
    assert talk.get("/api/v1/stations/CP-A")[0] == 200


@pytest.mark.parametrize(
    "head",
    [
        b"GET / HTTP/1.0\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: h2c\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n\r\nx",
        b"GET / HTTP/1.1\nHost: a\n\n",
        b"GET  / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost : a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n folded: x\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x00b\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\x7fb\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n",
        b"GET http://a/ HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        b"POST / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"get / HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: a\r\n",
        b"",
    ],
)
def test_what_is_not_plain_goes_the_long_way(head: bytes) -> None:
    assert plain_head(head) is None


def test_what_is_plain() -> None:
    head = b"GET /a%20b?c=d HTTP/1.1\r\nHost: a\r\nX-Odd:  \t v \t\r\nEmpty:\r\nConnection: Keep-Alive\r\n\r\n"
    found = plain_head(head)
    assert found is not None
    method, target, headers = found
    assert (method, target) == (b"GET", b"/a%20b?c=d")
    assert headers == [(b"host", b"a"), (b"x-odd", b"v"), (b"empty", b""), (b"connection", b"Keep-Alive")]


@pytest.mark.parametrize(
    "bad",
    [
        "GET / HTTP/1.1\n\n",
        "GET / HTTP/1.1\nHost: a\nHost: b\n\n",
        "NONSENSE\n\n",
        "GET / HTTP/1.1\nBad Header: x\n\n",
    ],
)
def test_nonsense_is_refused_and_others_are_served(served, bad: str) -> None:
    one, other = Talk(served), Talk(served)
    one.send(bad)
    assert one.answer()[0] == 400
    assert other.get("/healthz")[0] == 200
    one.socket.close()
    other.socket.close()
