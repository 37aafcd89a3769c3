"""Whom we may be sent to by what a station, a car or a certificate names."""

from __future__ import annotations

import asyncio

import pytest

from pilotwire.transport.outward import NoAnswer, NotAllowed, Outward, forbidden, judge_url


@pytest.mark.parametrize(
    "url",
    [
        "ftp://ocsp.example.com/",
        "file:///etc/passwd",
        "gopher://ocsp.example.com",
        "http://",
        "//ocsp.example.com",
        "http://user:pw@ocsp.example.com/",
        "http://ocsp.example.com@127.0.0.1/",
        "http://127.0.0.1/",
        "http://[::1]/",
        "http://[::ffff:127.0.0.1]/",
        "http://[::ffff:7f00:1]/",
        "http://[64:ff9b::7f00:1]/",
        "http://[fe80::1%25eth0]/",
        "http://10.0.0.1/",
        "http://169.254.169.254/latest/meta-data",
        "http://100.64.0.1/",
        "http://0.0.0.0/",
        "http://224.0.0.1/",
        "http://2130706433/",
        "http://0x7f.1/",
        "http://127.1/",
        "http://017700000001/",
        "http://localhost/",
        "http://localhost./",
        "http://db/",
        "http://x.internal/",
        "http://ocsp.example.com:22/",
        "http://ocsp.example.com:6379/",
        "http://ocsp.example.com:99999/",
        "http://ocsp.example.com/\r\nHost: x",
        "http://ocsp.example.com\\@127.0.0.1/",
        "http://öcsp.example.com/",
        "http://[zz/",
        "",
    ],
)
def test_refused_by_its_looks(url) -> None:
    assert judge_url(url)


@pytest.mark.parametrize(
    "url",
    ["http://ocsp.example.com/", "https://ocsp.example.com:8443/a?b", "http://8.8.8.8/x", "http://[2606:4700::1]/"],
)
def test_allowed(url) -> None:
    assert judge_url(url) == ""


def test_only_the_hosts_that_are_allowed() -> None:
    hosts = ("ocsp.example.com", ".pki.example.org")
    assert judge_url("http://ocsp.example.com/", hosts=hosts) == ""
    assert judge_url("http://a.pki.example.org/", hosts=hosts) == ""
    for url in ("http://evil.com/", "http://ocsp.example.com.evil.com/", "http://evilpki.example.org/"):
        assert "not among" in judge_url(url, hosts=hosts)
    assert judge_url("http://127.0.0.1:4000/", private=True) == ""
    assert judge_url("http://127.0.0.1:4000/", private=True, hosts=hosts)


def test_addresses() -> None:
    assert not forbidden("8.8.8.8")
    for one in ("127.0.0.1", "::1", "fe80::1%1", "192.168.1.1", "2002:7f00:1::", "x", "ff02::1", "fd00::1"):
        assert forbidden(one), one


class Server:
    """Says what it is told to, and counts who came."""

    def __init__(self, answer: bytes, *, hang: bool = False) -> None:
        self.answer, self.hang, self.came = answer, hang, 0

    async def __aenter__(self) -> Server:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.came += 1
        await reader.readuntil(b"\r\n\r\n")
        writer.write(self.answer)
        await writer.drain()
        if self.hang:
            await asyncio.sleep(5)
        writer.close()


async def test_a_name_that_leads_inside_is_never_called() -> None:
    async with Server(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi") as server:
        strict, open_one = Outward(), Outward(private=True)
        with pytest.raises(NotAllowed, match="private"):
            await strict.fetch("GET", f"http://localhost:{server.port}/")
        assert server.came == 0
        assert (await open_one.fetch("GET", f"http://localhost:{server.port}/")).body == b"hi"
        await strict.close()
        await open_one.close()


async def test_redirects_are_not_followed() -> None:
    async with Server(b"HTTP/1.1 302 Found\r\nlocation: http://127.0.0.1/\r\ncontent-length: 0\r\n\r\n") as server:
        outward = Outward(private=True)
        assert (await outward.fetch("GET", f"http://127.0.0.1:{server.port}/")).status == 302
        await outward.close()


async def test_too_long_and_too_slow() -> None:
    long = b"HTTP/1.1 200 OK\r\n\r\n" + b"x" * 200_000
    async with Server(long) as server, Server(b"HTTP/1.1 200", hang=True) as slow:
        outward = Outward(private=True, total_s=0.3)
        with pytest.raises(NoAnswer, match="longer"):
            await outward.fetch("GET", f"http://127.0.0.1:{server.port}/")
        with pytest.raises(NoAnswer):
            await outward.fetch("GET", f"http://127.0.0.1:{slow.port}/")
        await outward.close()
