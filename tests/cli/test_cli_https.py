"""`--https`: the certificate that was given, or one that is made, and what is told of it."""

from __future__ import annotations

import argparse
import asyncio
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from tests.cli.cli_kit import done, pilotwire
from tests.cli.test_cli_box import answers, running, site, until
from tests.crypto.tls_kit import kept

from pilotwire.api.https import Https
from pilotwire.cli import https, runfile
from pilotwire.cli.addresses import Address
from pilotwire.cli.https import HttpsOptions, Renewal
from pilotwire.client import Client
from pilotwire.core.errors import ConfigError
from pilotwire.crypto.certificates import make_authority, make_own, make_server
from pilotwire.crypto.trust import server_trust

NOW = datetime.now(UTC)
HERE = HttpsOptions(Address("127.0.0.1", 0))


def asked(*arguments: str) -> HttpsOptions | None:
    options = argparse.ArgumentParser()
    https.add(options)
    return https.chosen(options.parse_args(arguments))


def test_what_does_not_go_together_is_said() -> None:
    assert asked() is None
    whole = ["--https", "[::1]:8443", "--https-cert", "a.pem", "--https-key", "a.key"]
    made = asked(*whole)
    assert made == HttpsOptions(Address("::1", 8443), Path("a.pem"), Path("a.key"))
    assert https.again(made) == whole and https.again(None) == []
    with pytest.raises(ConfigError, match="add --https HOST:PORT"):
        asked("--https-cert", "a.pem")
    with pytest.raises(ConfigError, match="add --https-cert"):
        asked("--https", ":8443", "--https-key", "a.key")


def test_one_of_its_own_is_made_once_for_its_owner_alone(tmp_path: Path) -> None:
    first = https.prepared(HERE, tmp_path)
    assert {"localhost", "127.0.0.1", "::1", socket.gethostname()[:63]} <= first.shown.names
    for name in ("https.pem", "https.key"):
        assert (tmp_path / "tls" / name).stat().st_mode & 0o777 == 0o600
    assert https.prepared(HERE, tmp_path).shown == first.shown
    lines = "\n".join(https.told(first))
    assert first.shown.fingerprints.public_key in lines
    # A name that is new, a file that is lost: another certificate with the same key.
    there = HttpsOptions(Address("192.0.2.7", 0))
    moved = https.prepared(there, tmp_path)
    assert "192.0.2.7" in moved.shown.names
    assert moved.shown.fingerprints.public_key == first.shown.fingerprints.public_key
    (tmp_path / "tls" / "https.pem").unlink()
    assert https.prepared(HERE, tmp_path).shown.fingerprints.public_key == first.shown.fingerprints.public_key
    (tmp_path / "tls" / "https.pem").unlink()
    (tmp_path / "tls" / "https.key").write_text("no key")
    with pytest.raises(ConfigError, match=r"https\.key holds no key"):
        https.prepared(HERE, tmp_path)


def test_what_an_operator_has_put_there_is_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "tls").mkdir()
    given = make_server(make_authority("House", now=NOW), ["csms.example"], now=NOW, days=3)
    kept(tmp_path / "tls", given, "https")
    found = https.prepared(HERE, tmp_path)
    assert found.shown.names == {"csms.example"} and (tmp_path / "tls/https.pem").read_text() == given.certificate_pem
    assert https.told(found) == [] and not https.is_own(found, tmp_path)
    assert https.strict(found, None) and https.strict(found, Address("127.0.0.1", 80))
    assert not https.strict(found, Address("0.0.0.0", 80)), "what listens there could not be reached any more"
    assert not https.strict(None, None)


def test_its_own_is_renewed_with_its_key_and_trouble_is_told_once(tmp_path: Path) -> None:
    made = https.prepared(HERE, tmp_path)
    assert not https.strict(made, None), "browsers would let nobody pass"
    said: list[str] = []
    clock = [NOW]
    key = tmp_path / "tls" / "https.key"
    one = Renewal(made, said.append, lambda: https.make(made.certificate, key, "127.0.0.1"), lambda: clock[0])
    one.look()
    before = made.shown
    clock[0] = before.until - timedelta(days=29)
    one.look()
    assert made.shown.fingerprints.certificate != before.fingerprints.certificate
    assert made.shown.fingerprints.public_key == before.fingerprints.public_key
    assert len(said) == 1 and "a new certificate is shown" in said[0]
    # Somebody else's is not ours to renew.
    foreign = Https(*kept(tmp_path, make_own(["localhost"], now=NOW)))
    said.clear()
    one = Renewal(foreign, said.append, None, lambda: clock[0])
    clock[0] = foreign.shown.until - timedelta(days=3, hours=1)
    for _ in range(3):
        one.look()
    assert len(said) == 1 and "expires in 3 days" in said[0]
    foreign.certificate.write_text("broken")
    one.look()
    assert "the certificate before it is still shown" in said[1] and len(said) == 2


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_plain_http_on_loopback_needs_no_words(host: str) -> None:
    assert https.open_to_all(Address(host, 80)) == ""


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "csms.example"])
def test_plain_http_on_a_network_says_what_to_do(host: str) -> None:
    assert f"Use --https {Address(host, 80)} instead" in https.open_to_all(Address(host, 80))


def test_a_box_with_https_alone_tells_what_to_pin_and_its_commands_reach_it(tmp_path: Path) -> None:
    data = tmp_path / "demo"
    with running("site", "demo", "--https", "127.0.0.1:0", "--data", str(tmp_path), "--quiet") as box:
        url = box.until(r"Console  (https://\S+)/")
        pin = box.until(r"\n +([0-9a-f]{64})\n")
        box.until(r"admin / (\S+) ")
        run = runfile.read(data)
        assert run is not None and run.http == url
        key = done("users", "key", "export", "--role", "viewer", data=data).strip()
        with Client(url, key, fingerprint=pin) as client:
            assert client.get_controller("demo").site_id == "demo"
            assert "pilotwire_https_certificate_not_after_seconds" in client.get_metrics()
        said = box.end()
        assert box.process.returncode == 0 and "Traceback" not in said, said


def test_a_lab_is_not_open_by_https_either(tmp_path: Path) -> None:
    for command in (("site", "demo", "--quiet"), ("csms",)):
        ended = pilotwire(*command, "--https", "0.0.0.0:0", "--lab", data=tmp_path)
        assert ended.returncode == 1 and "loopback only" in ended.stderr


async def test_a_certificate_that_cannot_be_used_is_told_and_the_loop_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pilotwire.cli.box.FIRST_PAUSE_S", 0.05)
    files = tmp_path / "given.pem", tmp_path / "given.key"
    where = HttpsOptions(Address("127.0.0.1", 0), *files)
    async with site(tmp_path / "site", where) as (shown, box):
        await until(lambda: any("given.pem cannot be read for HTTPS" in each for each in shown.reports), shown.reports)
        ticks = shown.ticks
        await until(lambda: shown.ticks > ticks + 1)
        made = make_own(["localhost"], now=NOW)
        kept(tmp_path, made, "given")
        await until(lambda: any("Console  https" in each for each in shown.reports), shown.reports)
        assert await answers(box), "the plain one is there, too"
        assert box.https is not None and box.certificate is not None
        trust = server_trust(fingerprint=box.certificate.shown.fingerprints.public_key)
        async with httpx.AsyncClient(verify=trust, timeout=60) as client:
            assert (await client.get(f"https://{box.https.address}/healthz")).status_code == 200
        box._servers[1]._task.cancel()  # either of them may fail
        failures = box.failures
        await until(lambda: box.failures == failures + 1 and len(box._servers) == 2)
        await asyncio.sleep(0)
