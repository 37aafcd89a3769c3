"""What stations are shown: made once, renewed with its key, and taken anew when files change."""

from __future__ import annotations

import asyncio
import ssl
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.crypto.tls_kit import kept

from pilotwire.cli import ocpps, secret
from pilotwire.cli.addresses import Address
from pilotwire.cli.compose import Node, NodeOptions
from pilotwire.core.errors import ConfigError
from pilotwire.crypto.certificates import make_authority, make_server
from pilotwire.crypto.shown import Shown, shown

NOW = datetime.now(UTC)


def files(folder: Path) -> dict[str, Shown]:
    return {kind: shown((folder / "tls" / f"{kind}.pem").read_text()) for kind in ("ec", "rsa")}


def test_our_own_are_renewed_with_their_keys_before_they_end(tmp_path: Path) -> None:
    tls = secret.server_tls(tmp_path, "127.0.0.1")
    before, clock, said = files(tmp_path), [NOW], list[str]()
    one = ocpps.renewal(tls, tmp_path / "tls", "127.0.0.1", said.append, lambda: clock[0])
    one.look()
    assert files(tmp_path) == before and said == []
    clock[0] = before["ec"].until - timedelta(days=29)
    old = tls.context
    one.look()
    after = files(tmp_path)
    assert tls.context is not old and len(said) == 1 and "stations: a new certificate is shown" in said[0]
    for kind in ("ec", "rsa"):
        assert after[kind].until > before[kind].until
        assert after[kind].fingerprints.public_key == before[kind].fingerprints.public_key
        assert (tmp_path / "tls" / f"{kind}.pem").stat().st_mode & 0o777 == 0o600
    # A new address: at the next start, so that stations find the name that they have dialed.
    secret.server_tls(tmp_path, "192.0.2.7")
    assert "192.0.2.7" in files(tmp_path)["rsa"].names


def test_an_operators_are_never_written_over_and_broken_ones_are_told(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    authority, said = make_authority("House", now=NOW), list[str]()
    chain, key = kept(tmp_path / "tls", make_server(authority, ["csms.example"], now=NOW, days=5), "ec")
    given = chain.read_text()
    tls = secret.server_tls(tmp_path, "127.0.0.1")
    one = ocpps.renewal(tls, tmp_path / "tls", "127.0.0.1", said.append)
    one.look()
    assert chain.read_text() == given and len(said) == 1 and "expires in 4 days" in said[0]
    old = tls.context
    kept(tmp_path / "tls", make_server(authority, ["csms.example"], now=NOW), "ec")
    key.write_text("no key")
    one.look()
    one.look()
    assert tls.context is old and len(said) == 2 and "the certificate before it is still shown" in said[1]
    kept(tmp_path / "tls", make_server(authority, ["csms.example"], now=NOW), "ec")
    one.look()
    assert tls.context is not old and "a new certificate is shown" in said[2]


def test_a_key_that_is_locked_is_refused_and_no_terminal_is_asked(tmp_path: Path) -> None:
    from cryptography.hazmat.primitives import serialization as form

    chain, key = kept(tmp_path, make_server(make_authority("House", now=NOW), ["localhost"], now=NOW))
    loaded = form.load_pem_private_key(key.read_bytes(), None)
    lock = form.BestAvailableEncryption(b"a password")
    key.write_bytes(loaded.private_bytes(form.Encoding.PEM, form.PrivateFormat.PKCS8, lock))
    from pilotwire.transport.ocpp.tls import client_context, server_context

    with pytest.raises(ConfigError, match="cannot load the certificate of the listener"):
        server_context(ec_chain=chain, ec_key=key)
    with pytest.raises(ConfigError, match="cannot set up TLS for the station"):
        client_context(chain=chain, key=key)


async def test_ocpps_takes_renewed_files_for_the_next_connection(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotwire.cli.https._LOOK_S", 0.02)
    here = Address("127.0.0.1", 0)
    node = Node(NodeOptions(data=tmp_path, http=here, ocpp=here, ocpps=here, demo=False))
    await node.start()
    try:
        authority = make_authority("Later", now=NOW)
        trust = ssl.create_default_context(cadata=authority.certificate_pem)
        kept(tmp_path / "tls", make_server(authority, ["localhost"], now=NOW), "ec")
        async with asyncio.timeout(30):
            while True:
                try:
                    port = node.listeners[1].port
                    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust, server_hostname="localhost")
                except ssl.SSLCertVerificationError:
                    await asyncio.sleep(0.02)
                else:
                    writer.close()
                    break
    finally:
        await node.stop()
