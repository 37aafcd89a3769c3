"""Enrolment at an authority's server, over real TLS, against a server that is not ours."""

from __future__ import annotations

import ssl
from datetime import UTC, datetime

import pytest

from pilotwire.crypto import est, requests
from pilotwire.crypto.chains import order, verify
from pilotwire.crypto.est import EstLater, EstRefused, Server
from pilotwire.transport.outward import NoAnswer, Outward

from .est_server import EstServer

REQUEST = requests.read(requests.make(requests.new_key(), "CP1", "Netz AG"))


def trust(server: EstServer, *, certificate: bool = False) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=server.ca_file)
    if certificate:
        context.load_cert_chain(*server.client)
    return context


async def ask(one: est.Ask, context: ssl.SSLContext):
    outward = Outward(private=True, trust=context)
    try:
        answer = await outward.fetch(one.method, one.url, one.headers, one.body, at_most=est.LONGEST)
    finally:
        await outward.close()
    return est.certificates(answer.status, answer.headers, answer.body)


@pytest.fixture
def server(tmp_path):
    with EstServer(tmp_path) as one:
        yield one


def us(server: EstServer, **more) -> Server:
    return Server(server.url, user="csms", password="secret", **more)


async def test_the_authorities_certificates(server) -> None:
    found = await ask(us(server).cacerts(), trust(server))
    assert {one.subject for one in found} == {server.sub.subject, server.root.subject}
    assert server.asked == [("GET", "/.well-known/est/cacerts", "")]


@pytest.mark.parametrize("bare", [False, True])
@pytest.mark.parametrize("again", [False, True])
async def test_enrolled(server, again, bare) -> None:
    server.bare = bare
    found = await ask(us(server, label="stations").enroll(REQUEST, again=again), trust(server))
    leaf = est.issued_for(REQUEST, found)
    assert order(found) == [leaf, server.sub]
    assert verify(leaf, found, [server.root], datetime.now(UTC)) == [leaf, server.sub, server.root]
    operation = "simplereenroll" if again else "simpleenroll"
    assert server.asked == [("POST", f"/.well-known/est/stations/{operation}", "application/pkcs10")]


async def test_come_back_later(server) -> None:
    server.wait = [120, 0, 999_999_999]
    waits = []
    for _ in range(3):
        with pytest.raises(EstLater) as caught:
            await ask(us(server).enroll(REQUEST), trust(server))
        waits.append(caught.value.retry_after_s)
    assert waits == [120, 5, 60]
    assert len(await ask(us(server).enroll(REQUEST), trust(server))) == 3


async def test_refused_with_its_reason(server) -> None:
    server.refuse = 400
    with pytest.raises(EstRefused, match="400: the CN is not ours"):
        await ask(us(server).enroll(REQUEST), trust(server))
    server.refuse = 503
    with pytest.raises(EstLater):
        await ask(us(server).enroll(REQUEST), trust(server))
    with pytest.raises(EstRefused, match="401"):
        await ask(Server(server.url, user="csms", password="wrong").enroll(REQUEST), trust(server))


async def test_a_certificate_for_another_key(server) -> None:
    server.wrong_key = True
    found = await ask(us(server).enroll(REQUEST), trust(server))
    with pytest.raises(EstRefused, match="another key"):
        est.issued_for(REQUEST, found)


@pytest.mark.parametrize("garbage", [b"!!!", b"MIIB", b"\x30\x00", b"A" * 1000])
async def test_garbage(server, garbage) -> None:
    server.garbage = garbage
    with pytest.raises(EstRefused):
        await ask(us(server).enroll(REQUEST), trust(server))


async def test_a_server_that_is_not_trusted(server) -> None:
    with pytest.raises(NoAnswer, match=r"CERTIFICATE_VERIFY_FAILED|certificate verify failed"):
        await ask(us(server).cacerts(), ssl.create_default_context())


async def test_as_whom_we_come_by_certificate(tmp_path) -> None:
    with EstServer(tmp_path, want_certificate=True) as server:
        assert len(await ask(us(server).cacerts(), trust(server, certificate=True))) == 2
        with pytest.raises(NoAnswer):
            await ask(us(server).cacerts(), trust(server))


@pytest.mark.parametrize(
    ("url", "label", "at"),
    [
        ("https://ca.example", "", "https://ca.example/.well-known/est/cacerts"),
        ("https://ca.example/", "a b", "https://ca.example/.well-known/est/a%20b/cacerts"),
        ("https://ca.example/own/est", "", "https://ca.example/own/est/cacerts"),
    ],
)
def test_where_it_is_asked(url, label, at) -> None:
    assert Server(url, label).cacerts().url == at


def test_another_kind_of_answer() -> None:
    with pytest.raises(EstRefused, match="text/html"):
        est.certificates(200, {"content-type": "text/html"}, b"<html>")
