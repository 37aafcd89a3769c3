"""Security profiles 1 to 3 end to end: `pilotwire csms --ocpps` with its own certificates, and stations."""

from __future__ import annotations

import base64
import json
import re
import ssl
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from tests.interop import csms_process
from tests.interop.blocking_client import Client
from websockets.exceptions import InvalidStatus, WebSocketException

from pilotwire.cli.addresses import own_addresses
from pilotwire.cli.main import main
from pilotwire.cli.secret import make_certificates
from pilotwire.crypto.certificates import Issued, make_authority, make_station

VERSIONS = ("1.6", "2.0.1", "2.1")
PASSWORD = "a-password-of-16+"
NOW = datetime.now(UTC)


class Secure:
    """The server, its wss:// address, and whoever it knows."""

    def __init__(self, csms: csms_process.Csms, port: int) -> None:
        self.csms, self.wss = csms, f"wss://127.0.0.1:{port}/ocpp"
        self.ca = csms.data / "tls" / "ca.pem"
        self.authority = Issued(self.ca.read_text(), (csms.data / "tls" / "ca.key").read_text())
        self.header: dict[str, str] = {}

    def run(self, *line: str) -> None:
        assert main([*line, "--data", str(self.csms.data)]) == 0

    def get(self, path: str) -> Any:
        return httpx.get(f"{self.csms.http}/api/v1{path}", headers=self.header).raise_for_status().json()

    def counts(self) -> dict[str, float]:
        """Every sample of /metrics."""
        rows = re.findall(r"^(\w+(?:\{[^}]*\})?) ([\d.e+]+)$", httpx.get(f"{self.csms.http}/metrics").text, re.M)
        return {name: float(value) for name, value in rows}

    def certificate(self, folder: Path, name: str, organization: str = "Org", **more: Any) -> list[Path]:
        """Files of a certificate and its key."""
        issuer = more.pop("authority", self.authority)
        issued = make_station(issuer, name, organization, now=more.pop("now", NOW), **more)
        files = [folder / f"{name}.{kind}" for kind in ("pem", "key")]
        files[0].write_text(issued.certificate_pem)
        files[1].write_text(issued.key_pem)
        return files

    def context(self, certificate: list[Path] | None = None, ciphers: str | None = None) -> ssl.SSLContext:
        made = ssl.create_default_context(cafile=self.ca)
        if certificate:
            made.load_cert_chain(*certificate)
        if ciphers:
            made.maximum_version = ssl.TLSVersion.TLSv1_2
            made.set_ciphers(ciphers)
        return made

    def connect(self, identity: str, password: str | None = None, *, tls: ssl.SSLContext | None = None) -> Client:
        """PyPI `websockets` as a station: wss:// with a context, else ws://."""
        headers, user = {}, identity.rpartition("/")[2]
        if password is not None:
            headers["Authorization"] = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
        base = self.wss if tls else self.csms.ocpp
        return Client(f"{base}/{identity}", ssl=tls, subprotocols=["ocpp1.6"], additional_headers=headers)


@pytest.fixture(scope="module")
def secure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Secure]:
    port = csms_process.free_port()
    with csms_process.running(tmp_path_factory.mktemp("secure") / "data", "--ocpps", f"127.0.0.1:{port}") as csms:
        made = Secure(csms, port)
        run = json.loads((csms.data / "run.json").read_text())
        made.header = {"Authorization": f"Bearer {run['key']}"}
        made.run("tokens", "add", "DEADBEEF")
        made.run("stations", "add", "PLAIN", "--password", PASSWORD)
        made.run("stations", "add", "TLS", "--profile", "2", "--password", PASSWORD)
        made.run("stations", "add", "CERT", "--profile", "3", "--organization", "Org")
        made.run("stations", "add", "SERIAL", "--profile", "3", "--organization", "Org", "--serial", "SN 1234")
        yield made


@contextmanager
def stations(*lines: list[object]) -> Iterator[None]:
    """`pilotwire station …` as processes, which must end well when told to."""
    with ExitStack() as stack:
        running = [
            stack.enter_context(subprocess.Popen([sys.executable, "-m", "pilotwire", "station", *map(str, line)]))
            for line in lines
        ]
        try:
            yield
        finally:
            for each in running:
                each.terminate()
    assert [each.returncode for each in running] == [0] * len(running)


def until(condition: Any, seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "not in time"
        time.sleep(0.1)


@pytest.mark.parametrize("profile", [2, 3])
def test_our_stations_charge_over_tls_in_every_version(secure: Secure, tmp_path: Path, profile: int):
    lines: list[list[object]] = []
    names = {version: f"P{profile}-{version}" for version in VERSIONS}
    for version, name in names.items():
        # Eight bays: at least one car comes at once.
        line: list[object] = ["--url", secure.wss, "--ca", secure.ca, "--id", name, "--version", version, "--quiet"]
        line += ["--evses", 8]
        if profile == 2:
            secure.run("stations", "add", name, "--profile", "2", "--password", PASSWORD)
            line += ["--password", PASSWORD]
        else:
            secure.run("stations", "add", name, "--profile", "3", "--organization", "Org")
            certificate, key = secure.certificate(tmp_path, name, kind="rsa" if version == "2.1" else "ec")
            line += ["--cert", certificate, "--key", key]
        lines.append(line)
    with stations(*lines):
        for version, name in names.items():
            until(lambda name=name: secure.get(f"/sessions?station={name}")["items"])
            session = secure.get(f"/sessions?station={name}")["items"][0]
            assert (session["ocpp_version"], session["token"]) == (version, "DEADBEEF")
            station = secure.get(f"/stations/{name}")
            assert station["connected"] and station["boot_status"] == "Accepted"
            assert station["security_profile"] == profile


def test_a_fleet_has_a_password_for_each(secure: Secure, tmp_path: Path):
    """`--passwords FILE`; without one for it, a station gets the password of all."""
    for number in (1, 2, 3):
        own = PASSWORD if number == 3 else f"{PASSWORD}{number}"
        secure.run("stations", "add", f"FLEET-{number}", "--profile", "2", "--password", own)
    (tmp_path / "passwords").write_text(f"FLEET-1 {PASSWORD}1\nFLEET-2 {PASSWORD}2\n")
    line: list[object] = ["--url", secure.wss, "--ca", secure.ca, "--id", "FLEET-{n}", "--count", 3, "--no-cars"]
    with stations([*line, "--quiet", "--password", PASSWORD, "--passwords", tmp_path / "passwords"]):
        until(lambda: all(secure.get(f"/stations/FLEET-{n}")["connected"] for n in (1, 2, 3)))


def refused(secure: Secure, status: int, reason: str, **how: Any) -> None:
    """The handshake gets this status before the upgrade, and both listeners' counters and the reason's rise by one."""
    before = secure.counts()
    with pytest.raises(InvalidStatus) as answer, secure.connect(**how):
        pass
    assert answer.value.response.status_code == status
    if status == 401:
        assert "Basic" in answer.value.response.headers["WWW-Authenticate"]
    after = secure.counts()
    for name in (
        f'pilotwire_edge_refused_total{{status="{status}"}}',
        f'pilotwire_handshakes_rejected_total{{reason="{reason}"}}',
    ):
        assert after[name] - before.get(name, 0) == 1, name
    name = "pilotwire_edge_upgraded_total"
    assert after[name] == before[name]


def test_passwords_over_tls(secure: Secure):
    tls = secure.context()
    with secure.connect("TLS", PASSWORD, tls=tls) as socket:
        assert socket.subprotocol == "ocpp1.6"
    refused(secure, 401, "wrong-credential", identity="TLS", password="another-password-16", tls=tls)
    refused(secure, 401, "no-credential", identity="TLS", tls=tls)
    refused(secure, 404, "unknown-identity", identity="NOBODY", password=PASSWORD, tls=tls)


def test_a_profile_holds_in_both_directions(secure: Secure):
    with secure.connect("PLAIN", PASSWORD):
        pass
    refused(secure, 403, "wrong-security-profile", identity="PLAIN", password=PASSWORD, tls=secure.context())
    refused(secure, 403, "wrong-security-profile", identity="TLS", password=PASSWORD)
    refused(secure, 403, "wrong-security-profile", identity="CERT", password=PASSWORD)
    # A wrong password learns nothing of the profile.
    refused(secure, 401, "wrong-credential", identity="TLS", password="another-password-16")


def test_certificates(secure: Secure, tmp_path: Path):
    def shows(identity: str, name: str, organization: str = "Org") -> dict[str, Any]:
        files = secure.certificate(tmp_path, name, organization)
        return {"identity": identity, "tls": secure.context(files)}

    for identity, name in (("CERT", "CERT"), ("SERIAL", "SN 1234")):
        with secure.connect(**shows(identity, name)) as socket:
            assert socket.subprotocol == "ocpp1.6"
    refused(secure, 403, "wrong-certificate", **shows("CERT", "SERIAL"))
    refused(secure, 403, "wrong-certificate", **shows("SERIAL", "SERIAL"))
    refused(secure, 403, "wrong-certificate", **shows("CERT", "CERT", "Other"))
    refused(secure, 403, "wrong-certificate", **shows("CERT", "CERT", ""))
    refused(secure, 403, "wrong-security-profile", identity="CERT", tls=secure.context())
    refused(secure, 403, "wrong-security-profile", identity="CERT", password=PASSWORD, tls=secure.context())
    said = [line for line in secure.csms.log.read_text().splitlines() if "wrong-certificate" in line]
    assert len(said) == 4 and all("handshake refused" in line for line in said)  # an operator sees why
    # A right certificate is no password.
    refused(secure, 401, "no-credential", **(shows("CERT", "CERT") | {"identity": "TLS"}))


def test_foreign_and_expired_certificates_do_not_get_through_tls(secure: Secure, tmp_path: Path):
    foreign = make_authority("Somebody else", now=NOW)
    for how in ({"authority": foreign}, {"now": NOW - timedelta(days=400)}, {"now": NOW + timedelta(days=2)}):
        before = secure.counts()
        with (
            pytest.raises((OSError, WebSocketException)) as told,
            secure.connect("CERT", tls=secure.context(secure.certificate(tmp_path, "CERT", **how))),
        ):
            pass
        assert not isinstance(told.value, InvalidStatus)
        until(
            lambda before=before: (
                secure.counts()["pilotwire_edge_tls_failed_total"] > before["pilotwire_edge_tls_failed_total"]
            )
        )
        assert secure.counts()["pilotwire_edge_upgraded_total"] == before["pilotwire_edge_upgraded_total"]


@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "AES256-GCM-SHA384"])
def test_a_station_that_speaks_tls_rsa_alone(secure: Secure, suite: str):
    """Many 1.6 stations know no elliptic curves (A00.FR.318: TLS_RSA_WITH_AES_*_GCM)."""
    with secure.connect("TLS", PASSWORD, tls=secure.context(ciphers=suite)) as socket:
        assert socket.cipher == suite
        boot(socket)


@pytest.mark.parametrize("suite", ["ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384"])
def test_a_station_that_speaks_ecdsa_alone(secure: Secure, suite: str):
    with secure.connect("TLS", PASSWORD, tls=secure.context(ciphers=suite)) as socket:
        assert socket.cipher == suite
        boot(socket)


def boot(socket: Client) -> None:
    socket.send(json.dumps([2, "1", "BootNotification", {"chargePointVendor": "V", "chargePointModel": "M"}]))
    assert json.loads(socket.recv())[2]["status"] == "Accepted"


def test_the_servers_certificates_name_the_addresses_under_which_stations_reach_it(tmp_path: Path):
    for host, named in (("0.0.0.0", own_addresses("0.0.0.0")), ("charge.example.org", ["charge.example.org"])):
        make_certificates(tmp_path / host, host)
        for kind in ("ec", "rsa"):
            (leaf, *_) = x509.load_pem_x509_certificates((tmp_path / host / f"{kind}.pem").read_bytes())
            names = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
            listed = {str(name.value) for name in names}
            assert {"localhost", "127.0.0.1", "::1", *named} <= listed
            assert not {"0.0.0.0", "::"} & listed


def test_weak_tls_is_not_spoken(secure: Secure):
    for weak in ("ECDHE-ECDSA-AES128-SHA", "AES128-SHA", "ECDHE-RSA-AES128-SHA256"):
        with pytest.raises((ssl.SSLError, OSError)), secure.connect("TLS", PASSWORD, tls=secure.context(ciphers=weak)):
            pass


def test_a_station_does_not_speak_to_a_server_that_it_does_not_trust(secure: Secure, tmp_path: Path):
    (tmp_path / "ca.pem").write_text(make_authority("Somebody else", now=NOW).certificate_pem)
    with pytest.raises(ssl.SSLCertVerificationError):
        secure.connect("TLS", PASSWORD, tls=ssl.create_default_context(cafile=tmp_path / "ca.pem"))


def test_tenants_over_tls(secure: Secure, tmp_path: Path):
    secure.run("stations", "add", "TLS", "--tenant", "north", "--profile", "3", "--organization", "North")
    files = secure.certificate(tmp_path, "TLS", "North")
    with secure.connect("north/TLS", tls=secure.context(files)) as socket:
        boot(socket)
    # The same certificate is nobody's in the default tenant, nor the other's password here.
    refused(secure, 401, "no-credential", identity="TLS", tls=secure.context(files))
    refused(secure, 403, "wrong-security-profile", identity="north/TLS", password=PASSWORD, tls=secure.context())
    refused(secure, 404, "unknown-identity", identity="south/TLS", password=PASSWORD, tls=secure.context())
