"""Which server a client of ours believes, tried on real ones by all three ways in which we connect."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop
from tests.crypto.tls_kit import showing

from pilotwire.client import AsyncClient, Client, Unreachable
from pilotwire.core.errors import ConfigError
from pilotwire.crypto import pem
from pilotwire.crypto.certificates import Issued, make_authority, make_own, make_server
from pilotwire.crypto.trust import Fingerprints, fingerprints, pinned, server_trust, written

NOW = datetime.now(UTC)
AUTHORITY = make_authority("House", now=NOW)


def waiting(url: str, trust: ssl.SSLContext) -> str:
    return httpx.get(url, verify=trust).text


async def _ask(url: str, trust: ssl.SSLContext) -> str:
    async with httpx.AsyncClient(verify=trust) as client:
        return (await client.get(url)).text


def on_asyncio(url: str, trust: ssl.SSLContext) -> str:
    return asyncio.run(_ask(url, trust))


def on_uvloop(url: str, trust: ssl.SSLContext) -> str:
    return uvloop.run(_ask(url, trust))


WAYS = (waiting, on_asyncio, on_uvloop)
Way = Callable[[str, ssl.SSLContext], str]


def prints(made: Issued) -> Fingerprints:
    return fingerprints(pem.blocks(made.certificate_pem)[0])


@pytest.mark.parametrize("way", WAYS)
def test_a_pinned_certificate_or_key_is_believed_and_no_other(way: Way, tmp_path: Path) -> None:
    made = make_own(["box.invalid"], now=NOW - timedelta(days=900))  # neither its name nor its dates are asked about
    shown = prints(made)
    with showing(tmp_path, made) as url:
        for pin in (shown.certificate, shown.public_key, written(shown.public_key), f"SHA256:{shown.certificate}"):
            assert way(url, server_trust(fingerprint=pin)) == "word", pin
        with pytest.raises(httpx.ConnectError, match=written(shown.certificate)):
            way(url, server_trust(fingerprint="0" * 64))


@pytest.mark.parametrize("way", WAYS)
def test_an_authority_vouches_for_names_and_dates(way: Way, tmp_path: Path) -> None:
    ca = tmp_path / "ca.pem"
    ca.write_text(AUTHORITY.certificate_pem)
    good = make_server(AUTHORITY, ["localhost"], now=NOW)
    with showing(tmp_path, good) as url:
        assert way(url, server_trust(ca=ca)) == "word"
        assert way(url, server_trust(ca=ca, fingerprint=prints(good).public_key)) == "word"
        with pytest.raises(httpx.ConnectError, match="not the one that was pinned"):
            way(url, server_trust(ca=ca, fingerprint="0" * 64))
        with pytest.raises(httpx.ConnectError, match="verify failed"):
            way(url, server_trust())
    old = make_server(AUTHORITY, ["localhost"], now=NOW - timedelta(days=900))
    with showing(tmp_path, old) as url:
        with pytest.raises(httpx.ConnectError, match="expired"):
            way(url, server_trust(ca=ca))
        with pytest.raises(httpx.ConnectError, match="expired"):  # both have to be right
            way(url, server_trust(ca=ca, fingerprint=prints(old).public_key))
    elsewhere = make_server(AUTHORITY, ["csms.example"], now=NOW)
    with showing(tmp_path, elsewhere) as url, pytest.raises(httpx.ConnectError, match=r"not valid for 'localhost'"):
        way(url, server_trust(ca=ca))


def test_its_own_certificate_may_be_the_authority_and_its_key_outlives_it(tmp_path: Path) -> None:
    first = make_own(["localhost", "127.0.0.1"], now=NOW)
    again = make_own(["localhost"], now=NOW, key_pem=first.key_pem)
    assert prints(first).public_key == prints(again).public_key
    assert prints(first).certificate != prints(again).certificate
    (tmp_path / "own.pem").write_text(first.certificate_pem)
    with showing(tmp_path, first) as url:
        assert waiting(url, server_trust(ca=tmp_path / "own.pem")) == "word"
        assert waiting(url.replace("localhost", "127.0.0.1"), server_trust(ca=tmp_path / "own.pem")) == "word"


def test_fingerprints_are_those_that_openssl_tells(tmp_path: Path) -> None:
    made = make_own(["localhost"], now=NOW)
    (tmp_path / "own.pem").write_text(made.certificate_pem)
    shell = ["openssl", "x509", "-in", str(tmp_path / "own.pem"), "-noout", "-fingerprint", "-sha256"]
    said = subprocess.run(shell, capture_output=True, text=True, check=True).stdout.strip()
    assert said.partition("=")[2] == written(prints(made).certificate)
    assert pinned(said.partition("=")[2]) == prints(made).certificate


@pytest.mark.parametrize("text", ["", "12:34", "0" * 63, "g" * 64, "sha1:" + "0" * 40])
def test_what_is_no_fingerprint_is_said(text: str) -> None:
    with pytest.raises(ConfigError, match="no fingerprint"):
        pinned(text)


def test_authorities_that_cannot_be_read_are_said(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"gone\.pem"):
        server_trust(ca=tmp_path / "gone.pem")


def test_the_client_takes_both_and_tries_no_second_time_whom_it_does_not_trust(tmp_path: Path) -> None:
    made = make_own(["localhost"], now=NOW)
    (tmp_path / "own.pem").write_text(made.certificate_pem)

    def slept(_: float) -> Any:
        raise AssertionError("a certificate does not become right by waiting")

    with showing(tmp_path, made) as url:
        with pytest.raises(Unreachable, match="is not trusted"), Client(url, sleep=slept) as client:
            client.get_metrics()
        with pytest.raises(Unreachable, match="pinned"), Client(url, fingerprint="0" * 64, sleep=slept) as client:
            next(iter(client.live()))
        trusts: list[dict[str, Any]] = [{"ca": tmp_path / "own.pem"}, {"fingerprint": prints(made).public_key}]
        for trust in trusts:
            with Client(url, **trust) as client:
                assert client.get_metrics() == "word"

        async def asked() -> str:
            async with AsyncClient(url, fingerprint=prints(made).certificate) as client:
                return await client.get_metrics()

        assert asyncio.run(asked()) == "word"
