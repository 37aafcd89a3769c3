"""HTTPS of the server's own: real certificates, renewed on disk while somebody is connected."""

from __future__ import annotations

import os
import ssl
import warnings
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.api.conftest import KEY
from tests.crypto.tls_kit import kept

from pilotwire.api.https import Https
from pilotwire.api.server import ApiServer
from pilotwire.core.errors import ConfigError
from pilotwire.crypto.certificates import Issued, make_authority, make_own, make_server
from pilotwire.crypto.trust import server_trust
from pilotwire.domain.records import User

NOW = datetime.now(UTC)
AUTHORITY = make_authority("House", now=NOW)


def written(folder: Path, made: Issued) -> tuple[Path, Path]:
    """As a program that renews it does: one file after the other, each at once."""
    files = kept(folder, made, "draft")
    targets = folder / "https.pem", folder / "https.key"
    for draft, file in zip(files, targets, strict=True):
        draft.replace(file)
    return targets


@pytest.fixture
async def secure(world: Any, tmp_path: Path) -> AsyncIterator[tuple[ApiServer, Https]]:
    (tmp_path / "ca.pem").write_text(AUTHORITY.certificate_pem)
    https = Https(*written(tmp_path, make_server(AUTHORITY, ["localhost"], now=NOW)))
    server = ApiServer(world.app, https=https)
    await server.start("127.0.0.1", 0)
    yield server, https
    await server.stop()


def client(server: ApiServer, **trust: Any) -> httpx.AsyncClient:
    return httpx.AsyncClient(
        base_url=f"https://localhost:{server.port}", verify=server_trust(**trust), timeout=60,
        headers={"Authorization": f"Bearer {KEY}"},
    )  # fmt: skip


async def test_it_is_kept_alive_and_a_renewed_certificate_is_taken_without_losing_it(
    secure: tuple[ApiServer, Https], tmp_path: Path
) -> None:
    server, https = secure
    ca = tmp_path / "ca.pem"
    async with client(server, ca=ca) as first:
        answer = await first.get("/healthz")
        assert answer.status_code == 200 and answer.http_version == "HTTP/1.1"
        stream = answer.extensions["network_stream"]
        assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
        assert not https.look()
        written(tmp_path, make_own(["localhost"], now=NOW))
        assert https.look() and not https.look()
        again = await first.get("/healthz")
        assert again.status_code == 200 and again.extensions["network_stream"] is stream, "the connection was lost"
    async with client(server, ca=ca) as old:
        with pytest.raises(httpx.ConnectError, match="verify failed"):
            await old.get("/healthz")
    async with client(server, fingerprint=https.shown.fingerprints.public_key) as new:
        assert (await new.get("/healthz")).status_code == 200


async def test_half_of_a_new_pair_changes_nothing(secure: tuple[ApiServer, Https], tmp_path: Path) -> None:
    server, https = secure
    made = make_server(AUTHORITY, ["localhost"], now=NOW)
    before = https.shown
    for text, words in ((made.certificate_pem, "the key is not the certificate's"), ("no PEM", "no PEM certificate")):
        (tmp_path / "https.pem").write_text(text)
        with pytest.raises(ConfigError, match=words):
            https.look()
        assert not https.look(), "it is said once for each change"
    (tmp_path / "https.pem").unlink()
    with pytest.raises(ConfigError, match="cannot be read"):
        https.look()
    async with client(server, ca=tmp_path / "ca.pem") as still:
        assert (await still.get("/healthz")).status_code == 200 and https.shown == before
    written(tmp_path, made)
    assert https.look() and https.shown != before


async def test_older_tls_is_not_spoken(secure: tuple[ApiServer, Https], tmp_path: Path) -> None:
    server, _ = secure
    for newest, spoken in ((ssl.TLSVersion.TLSv1_2, True), (ssl.TLSVersion.TLSv1_1, False)):
        trust = server_trust(ca=tmp_path / "ca.pem")
        trust.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
        with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
            trust.maximum_version = newest
        trust.set_ciphers("ALL:@SECLEVEL=0")
        async with httpx.AsyncClient(verify=trust, timeout=60) as asking:
            if spoken:
                assert (await asking.get(f"https://localhost:{server.port}/healthz")).status_code == 200
            else:
                with pytest.raises(httpx.ConnectError):
                    await asking.get(f"https://localhost:{server.port}/healthz")


async def test_cookies_are_secure_and_browsers_come_by_https_alone_where_somebody_vouches_for_it(
    world_of: Any, tmp_path: Path
) -> None:
    https = Https(*written(tmp_path, make_own(["localhost"], now=NOW)))
    for strict in (True, False):
        world = world_of(strict_transport=strict)
        user = User(tenant="default", name="ada", password="human:a long password", role="admin")
        await world.store.put_user(user)
        servers = ApiServer(world.app), ApiServer(world.app, https=https)
        for server in servers:
            await server.start("127.0.0.1", 0)
        try:
            for server, scheme in zip(servers, ("http", "https"), strict=True):
                url = f"{scheme}://localhost:{server.port}"
                trust = server_trust(fingerprint=https.shown.fingerprints.public_key)
                async with httpx.AsyncClient(base_url=url, verify=trust, headers={"Origin": url}) as browser:
                    login = await browser.post("/login", json={"name": "ada", "password": "a long password"})
                    assert ("secure" in login.headers["set-cookie"].lower()) is (scheme == "https"), login.text
                    assert (await browser.get("/api/v1/me")).json()["name"] == "ada"
                    assert ("strict-transport-security" in login.headers) is (strict and scheme == "https")
        finally:
            for server in servers:
                await server.stop()


async def test_what_is_streamed_comes_at_once(world: Any, secure: tuple[ApiServer, Https], tmp_path: Path) -> None:
    async with (
        client(secure[0], ca=tmp_path / "ca.pem") as watching,
        watching.stream("GET", "/api/v1/live") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        said, pieces = "", answer.aiter_text()
        async for piece in pieces:
            said += piece
            if "event: snapshot" in said:
                break
        await secure[0].stop()  # streams end first, so that it takes no time
        async for _ in pieces:
            pass


async def test_who_speaks_plainly_there_gets_no_answer(secure: tuple[ApiServer, Https]) -> None:
    async with httpx.AsyncClient() as plain:
        with pytest.raises(httpx.TransportError):
            await plain.get(f"http://127.0.0.1:{secure[0].port}/healthz")


def test_one_file_may_hold_both_and_a_locked_key_is_said(tmp_path: Path) -> None:
    made = make_own(["localhost"], now=NOW)
    both = tmp_path / "both.pem"
    both.write_text(made.certificate_pem + made.key_pem)
    assert Https(both).shown.names == {"localhost"}
    locked = tmp_path / "locked.key"
    locked.write_text("-----BEGIN ENCRYPTED PRIVATE KEY-----\n")
    with pytest.raises(ConfigError, match="locked with a password"):
        Https(both, locked)


@pytest.mark.parametrize(
    ("days", "words"), [(900, "has expired at"), (820, "expires in 4 days"), (0, ""), (-2, "is the clock right")]
)
def test_its_dates_are_watched(tmp_path: Path, days: int, words: str) -> None:
    made = make_own(["localhost"], now=NOW - timedelta(days=days))
    trouble = Https(*kept(tmp_path, made)).trouble(NOW)
    assert words in trouble and bool(words) == bool(trouble)


def test_a_file_of_the_same_size_and_time_is_another_file(tmp_path: Path) -> None:
    made = make_own(["localhost"], now=NOW)
    https = Https(*written(tmp_path, made))
    stat = (tmp_path / "https.pem").stat()
    written(tmp_path, made)
    os.utime(tmp_path / "https.pem", ns=(stat.st_atime_ns, stat.st_mtime_ns))
    assert https.look()
