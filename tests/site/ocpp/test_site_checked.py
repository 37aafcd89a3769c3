"""What `site check` says of `ocpp:`, and files that are renewed on the way to an upstream."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from tests.crypto.tls_kit import kept

from pilotwire.cli.site_tls import site_tls
from pilotwire.core.errors import ConfigError
from pilotwire.crypto.certificates import make_authority, make_server, make_station
from pilotwire.site.config import read
from pilotwire.site.ocpp.checked import findings
from pilotwire.site.ocpp.entries import OcppEntry
from pilotwire.site.ocpp.upstream_tls import UpstreamContexts
from pilotwire.site.redacted import redacted

NOW = datetime.now(UTC)
HEAD = "site: {id: s}\nnodes: [{id: grid, kind: connection, limits: [{source: fuse, current_a: 63}]}]\nocpp:\n"
TLS = "tls: {listen: '127.0.0.1:9443'}"
GIVEN = "tls: {listen: '127.0.0.1:9443', certificate: box.pem, key: box.key}"
UP = "upstreams: [{name: csms, url: 'wss://csms.example/ocpp'}]"
TWO = "stations: [{identity: A, security_profile: 2, password_file: a.secret}]"
HASHED = f"password_sha256: '{'0' * 64}'"


def entry(*lines: str) -> OcppEntry:
    config, wrong = read(HEAD + "".join(f"  {line}\n" for line in lines))
    assert config is not None, wrong
    return config.ocpp


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    authority = make_authority("House", now=NOW)
    kept(tmp_path, authority, "ca")
    kept(tmp_path, make_server(authority, ["localhost"], now=NOW), "box")
    kept(tmp_path, make_server(authority, ["localhost"], now=NOW - timedelta(days=90), days=30), "over")
    kept(tmp_path, make_station(authority, "A", "Us", now=NOW), "A")
    for name, text in (("a", "password\n"), ("empty", "\n"), ("open", "password")):
        (tmp_path / f"{name}.secret").write_text(text)
    for path in (*tmp_path.glob("*.key"), *tmp_path.glob("*.secret")):
        path.chmod(0o600)
    (tmp_path / "open.secret").chmod(0o644)
    return tmp_path


@pytest.mark.parametrize(
    ("lines", "where", "text", "severity"),
    [
        ((UP, TWO), "ocpp.stations[A].security_profile", "2 needs TLS", "error"),
        ((UP, GIVEN, "stations: [{identity: A, security_profile: 3, organization: O}]"),
         "ocpp.stations[A].security_profile", "needs ocpp.tls.client_ca", "error"),
        ((UP, TLS, TWO.replace("a.secret", "no.secret")), "ocpp.stations[A].password_file", "no.secret cannot be read",
         "error"),
        ((UP, TLS, TWO.replace("a.secret", "empty.secret")), "ocpp.stations[A].password_file", "is empty", "error"),
        ((UP, TLS, TWO.replace("a.secret", "open.secret")), "ocpp.stations[A].password_file", "chmod 600", "warning"),
        ((UP, TLS, "stations: [{identity: A, security_profile: 2}]"), "ocpp.stations[A]", "needs its password",
         "warning"),
        ((UP, TLS, TWO.replace("}", f", {HASHED}}}")), "ocpp.stations[A].password_file", "two passwords", "error"),
        ((UP, TLS, TWO.replace("}", ", passwords: {csms: plain}}")), "ocpp.stations[A].passwords", "password_files",
         "warning"),
        ((UP, TLS, TWO.replace("}", ", password_files: {else: a.secret}}")), "ocpp.stations[A]",
         "for else, which is no upstream", "error"),
        ((UP, GIVEN.replace("box.pem", "no.pem"), TWO), "ocpp.tls.certificate", "there is no file", "error"),
        ((UP, GIVEN.replace("box.key", "A.key"), TWO), "ocpp.tls.certificate", "cannot load", "error"),
        ((UP, GIVEN.replace("box.", "over."), TWO), "ocpp.tls.certificate", "has expired", "warning"),
        ((UP, TLS.replace("127.0.0.1:9443", "nowhere"), TWO), "ocpp.tls.listen", "is no HOST:PORT", "error"),
        ((UP, "listen: 127.0.0.1:9443", TLS, f"stations: [{{identity: A, {HASHED}}}]"), "ocpp.tls.listen",
         "is ocpp.listen too", "error"),
        ((UP.replace("wss", "ws"), TLS, TWO), "ocpp.upstreams[csms].url", "reads the stations' passwords", "warning"),
        ((UP.replace("wss", "https"), TLS, TWO), "ocpp.upstreams[csms].url", "is no address", "error"),
        ((UP.replace("csms.ex", "u:p@csms.ex"), TLS, TWO), "ocpp.upstreams[csms].url", "a user or a password", "error"),
        ((UP.replace("'}", "', ca: no.pem}"), TLS, TWO), "ocpp.upstreams[csms].ca", "there is no file", "error"),
        ((UP.replace("'}", "', certificate: '{identity}.pem', key: box.key}"), TLS, TWO),
         "ocpp.upstreams[csms].certificate", "cannot set up TLS", "error"),
        ((UP.replace("'}", "', key: A.key}"), TLS, TWO), "ocpp.upstreams[csms].key", "is of no use", "error"),
        ((UP.replace("'}", "', password: plain}"), TLS, TWO), "ocpp.upstreams[csms].password", "password_file",
         "warning"),
        ((UP.replace("'}", "', password_file: '{identity}.none'}"), TLS, TWO), "ocpp.upstreams[csms].password_file",
         "A.none cannot be read", "error"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_where_it_stands(
    folder: Path, lines: tuple[str, ...], where: str, text: str, severity: str
) -> None:
    (found,) = findings(entry(*lines), folder)
    assert (found.where, found.severity) == (where, severity) and text in found.text, found


def test_nothing_is_said_of_what_is_right(folder: Path) -> None:
    for lines in (
        (UP, TLS, TWO),
        (UP.replace("'}", "', ca: ca.pem, certificate: '{identity}.pem', key: '{identity}.key'}"), GIVEN, TWO),
        ("upstreams: [{name: csms, url: 'ws://127.0.0.1:9/ocpp'}]", f"stations: [{{identity: A, {HASHED}}}]"),
        ("upstreams: [{name: csms, url: 'ws://csms.example/x'}]", "stations: [{identity: A, security_profile: 0}]"),
    ):
        assert list(findings(entry(*lines), folder)) == []


def test_renewed_files_are_shown_to_upstreams_and_broken_ones_are_told(folder: Path) -> None:
    one = entry(UP.replace("'}", "', ca: ca.pem, certificate: '{identity}.pem', key: '{identity}.key'}"), TLS, TWO)
    said: list[str] = []
    contexts = UpstreamContexts(folder, said.append)
    upstream, station = one.upstreams[0], one.stations[0]
    first = contexts(upstream, station)
    assert first is not None and contexts(upstream, station) is first, "one for all connections"
    authority = make_authority("House", now=NOW)
    kept(folder, make_station(authority, "A", "Us", now=NOW), "A")
    second = contexts(upstream, station)
    assert second is not first
    (folder / "A.pem").write_text("broken")
    assert contexts(upstream, station) is second and contexts(upstream, station) is second
    assert len(said) == 1 and "the files before are still used" in said[0]
    with pytest.raises(ConfigError, match="cannot set up TLS"):
        UpstreamContexts(folder)(upstream, station)


def test_without_a_certificate_the_box_makes_its_own(folder: Path, tmp_path: Path) -> None:
    config, _ = read(f"{HEAD}  {UP}\n  {TLS}\n  {TWO}\n")
    assert config is not None
    made = site_tls(config, folder, tmp_path / "data", print)
    assert made is not None and made.tls.context.get_ca_certs()
    assert {each.name for each in made.tls.chains} == {"ec.pem", "rsa.pem"}
    assert (tmp_path / "data" / "tls" / "ec.key").stat().st_mode & 0o777 == 0o600


def test_a_text_without_its_secrets_can_be_read_as_before() -> None:
    text = """
ocpp:
  upstreams:
    - {name: a, url: "wss://x", password: &p secret-1}   # a comment
    - name: b
      password: |
        secret-2
      user: u
    - {name: c, password: *p}
  stations: [{identity: A, passwords: {a: 'secret-4', b: "sec\\"ret-5"}, password_file: a.secret}]
mqtt: {url: "mqtts://har:secret-6@broker.example"}
"""
    import yaml

    found = redacted(text)
    assert "secret-" not in found and "ret-5" not in found and "# a comment" in found and "a.secret" in found
    data = yaml.safe_load(found)
    assert [each["name"] for each in data["ocpp"]["upstreams"]] == ["a", "b", "c"]
    assert data["ocpp"]["upstreams"][1] == {"name": "b", "password": "***", "user": "u"}
    assert data["mqtt"]["url"] == "mqtts://har:***@broker.example"
    assert redacted("a: [") == "a: ["
