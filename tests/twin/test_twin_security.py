"""What a station makes of the servers that it meets, over real TLS: whom it trusts, as whom it comes, what it tells."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import NameOID
from tests.station.conftest import CsmsDouble

from pilotwire.crypto import chains, pem, requests
from pilotwire.crypto.certificates import Issued, make_authority, make_server, make_station
from pilotwire.station.config import StationConfig
from pilotwire.station.keystore import CSMS_ROOT, Leaf
from pilotwire.station.program import Station
from pilotwire.station.storage import MemoryStorage
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.ocpp.picows_server import PicowsServer
from pilotwire.transport.ocpp.tls import OCPP_SUITES, ServerTls
from pilotwire.transport.port import TurnedAway
from pilotwire.transport.runtime import LoopScheduler, SystemIds
from pilotwire.twin.identity import dress

VERSIONS = ("1.6", "2.0.1", "2.1")
PASSWORD = b"a-password-of-16+"
NOW = datetime.now(UTC)
WAIT_S = 20
ROOT = make_authority("Netz AG Root", now=NOW)
SERVER = make_server(ROOT, ["localhost"], now=NOW)
STATION = make_station(ROOT, "CP1", "Netz AG", now=NOW)


def leaf_of(issued: Issued) -> Leaf:
    return Leaf(pem.text(pem.blocks(issued.certificate_pem)[:1]), issued.key_pem)


def serving(folder: Path, server: Issued = SERVER, **how: Any) -> ssl.SSLContext:
    """A server's context that asks for certificates of `ROOT`. `how`: attributes of the context, and `suites`."""
    (folder / "server.pem").write_text(server.key_pem + server.certificate_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_ciphers(how.pop("suites", "ECDHE+AESGCM"))
    for name, value in how.items():
        setattr(context, name, value)
    context.load_cert_chain(folder / "server.pem")
    context.load_verify_locations(cadata=ROOT.certificate_pem)
    context.verify_mode = ssl.CERT_OPTIONAL
    return context


class Changing(ServerTls):
    """Whatever context the test wants next."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context

    def become(self, context: ssl.SSLContext) -> None:
        self._context = context


class Csms(CsmsDouble):
    """Also keeps who never came as far as the upgrade."""

    def __init__(self, *how: Any) -> None:
        super().__init__(*how)
        self.away: list[TurnedAway] = []

    def turned_away(self, attempt: TurnedAway) -> None:
        self.away.append(attempt)


class Elsewhere:
    """Another server, which writes nothing but TLS (that of asyncio fails without an alert, so a thread has to do).
    `heard` is what came through the channel, `troubles` what was wrong with those who came."""

    def __init__(self, context: ssl.SSLContext) -> None:
        self._context = context
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._socket.getsockname()[1])
        self.heard: list[bytes] = []
        self.troubles: list[str] = []
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:
                return
            with peer:
                peer.settimeout(WAIT_S)
                try:
                    with self._context.wrap_socket(peer, server_side=True) as secure:
                        data = secure.recv(1000)
                        if data:
                            self.heard.append(data)
                except ssl.SSLCertVerificationError as error:
                    self.troubles.append(error.verify_message)
                except OSError as error:
                    self.troubles.append(str(error))

    def stop(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        self._thread.join()


class Rig:
    """A listener and a station."""

    def __init__(self, version: str, profile: int, context: ssl.SSLContext | None) -> None:
        self.version, self.profile = version, profile
        self.scheduler = LoopScheduler()
        self.csms = Csms(self.scheduler, version)
        self.server = PicowsServer()
        self.tls = Changing(context or ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER))
        self.secure = context is not None

    async def start(self, *, leaf: Leaf | None = None, first: Elsewhere | None = None, **settings: str) -> None:
        """`first`: where the station goes until it is told better."""
        await self.server.start("127.0.0.1", 0, self.csms, ssl=self.tls if self.secure else None)
        self.url = f"wss://localhost:{self.server.port}/ocpp/CP1"
        place = f"//localhost:{first.port if first is not None else self.server.port}/ocpp/CP1"
        secret = (None, None) if self.profile == 3 else ("CP1", PASSWORD)
        self.dialer = LoopDialer(f"ws:{place}", user=secret[0], password=secret[1])
        self.station = Station(
            StationConfig(
                identity="CP1",
                version=self.version,  # type: ignore[arg-type]
                security_profile=self.profile,
                settings={"backoff_minimum": "0", "backoff_random": "0", "organization": "Netz AG", **settings},
            ),
            self.scheduler,
            self.dialer,
            SystemIds(),
            Random(1),
            MemoryStorage(),
            on_identity=dress(self.dialer, plain_url=f"ws:{place}", tls_url=f"wss:{place}"),
        )
        if self.profile == 3:
            leaf = leaf or leaf_of(STATION)
        self.station.certificates.provide(leaf, {CSMS_ROOT: (ROOT.certificate_pem,)})
        self.station.power_on()

    async def stop(self) -> None:
        self.station.shut_down()
        await self.server.stop()

    async def until(self, what: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not what():
                await asyncio.sleep(0.002)

    async def again(self) -> None:
        """Another connection."""
        before = len(self.csms.handshakes)
        self.station.conversation.reconnect()
        await self.until(lambda: len(self.csms.handshakes) > before and self.station.online)

    @property
    def events(self) -> list[str]:
        return [one.type for one in self.csms.heard("SecurityEventNotification")]

    @property
    def logged(self) -> list[str]:
        return [line.split()[1] for line in self.station.security.lines()]


@contextmanager
def elsewhere(context: ssl.SSLContext) -> Iterator[Elsewhere]:
    made = Elsewhere(context)
    try:
        yield made
    finally:
        made.stop()


@asynccontextmanager
async def rig(version: str, profile: int, context: ssl.SSLContext | None, **how: Any) -> AsyncIterator[Rig]:
    made = Rig(version, profile, context)
    try:
        await made.start(**how)
        yield made
    finally:
        await made.stop()


# -- as whom it comes -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("profile", [1, 2, 3])
@pytest.mark.parametrize("version", VERSIONS)
async def test_every_connection_shows_who_comes(tmp_path, version, profile) -> None:
    """A user that is the identity and the password with it, or the certificate; over TLS from profile 2 on."""
    async with rig(version, profile, serving(tmp_path) if profile > 1 else None) as one:
        await one.until(lambda: one.station.online)
        await one.again()
        assert len(one.csms.handshakes) == 2
        for shown in one.csms.handshakes:
            assert (shown.tls, shown.identity) == (profile > 1, "CP1")
            if profile == 3:
                assert (shown.user, shown.password) == (None, None)
                assert shown.certificate == pem.blocks(STATION.certificate_pem)[0]
            else:
                assert (shown.user, shown.password, shown.certificate) == (b"CP1", PASSWORD, None)
        if profile > 1:
            assert one.dialer.ssl is not None
            assert one.dialer.ssl.options & ssl.OP_NO_COMPRESSION
            assert one.dialer.ssl.minimum_version == ssl.TLSVersion.TLSv1_2
            assert one.dialer.ssl.check_hostname and one.dialer.ssl.verify_mode == ssl.CERT_REQUIRED


@pytest.mark.parametrize("suite", OCPP_SUITES[:2])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_speaks_both_suites_with_ecdsa(tmp_path, version, suite) -> None:
    context = serving(tmp_path, suites=suite, maximum_version=ssl.TLSVersion.TLSv1_2)
    async with rig(version, 2, context) as one:
        await one.until(lambda: one.station.online)
        assert one.logged == []


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_whose_certificate_has_expired_tries_all_the_same(tmp_path, version) -> None:
    """A00.FR.430: whether it is let in is the central system's to say."""
    expired = make_station(ROOT, "CP1", "Netz AG", now=NOW - timedelta(days=400))
    with elsewhere(serving(tmp_path)) as strict:
        async with rig(version, 3, None, leaf=leaf_of(expired), first=strict) as one:
            await one.until(lambda: len(strict.troubles) > 2)
        assert set(strict.troubles) == {"certificate has expired"} and strict.heard == []


# -- whom it trusts ---------------------------------------------------------------------------------------------------
def weak(folder: Path) -> ssl.SSLContext:
    return serving(folder, make_server(ROOT, ["localhost"], now=NOW, kind="rsa"), suites="AES128-SHA:@SECLEVEL=0",
        maximum_version=ssl.TLSVersion.TLSv1_2)  # fmt: skip


def old(folder: Path) -> ssl.SSLContext:
    context = serving(folder, suites="ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        context.minimum_version = ssl.TLSVersion.TLSv1
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    return context


TROUBLES: dict[str, tuple[str, Callable[[Path], ssl.SSLContext]]] = {
    "somebody else's root": (
        "InvalidCsmsCertificate",
        lambda folder: serving(folder, make_server(make_authority("Netz AG Root", now=NOW), ["localhost"], now=NOW)),
    ),
    "expired": (
        "InvalidCsmsCertificate",
        lambda folder: serving(folder, make_server(ROOT, ["localhost"], now=NOW - timedelta(days=900))),
    ),
    "another name": (
        "InvalidCsmsCertificate",
        lambda folder: serving(folder, make_server(ROOT, ["csms.example"], now=NOW)),
    ),
    "another common name": (
        "InvalidCsmsCertificate",
        lambda folder: serving(folder, make_station(ROOT, "csms.example", "Netz AG", now=NOW)),
    ),
    "signed by a station": (
        "InvalidCsmsCertificate",
        lambda folder: serving(folder, make_server(STATION, ["localhost"], now=NOW)),
    ),
    "old TLS": ("InvalidTLSVersion", old),
    "weak suite": ("InvalidTLSCipherSuite", weak),
}


@pytest.mark.parametrize("trouble", TROUBLES)
@pytest.mark.parametrize("profile", [2, 3])
@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_that_is_not_trusted_hears_nothing_and_the_right_one_all(
    tmp_path, version, profile, trouble
) -> None:
    event, make = TROUBLES[trouble]
    with elsewhere(make(tmp_path)) as wrong:
        async with rig(version, profile, serving(tmp_path), first=wrong) as one:
            await one.until(lambda: one.station.conversation.counts.dials > 3)
            assert not one.station.online
            assert one.logged == [event], "once, however often it happens"
            one.dialer.url = one.url
            await one.until(lambda: bool(one.events))
            assert one.events == [event.replace("Csms", "CentralSystem") if version == "1.6" else event]
        assert wrong.heard == [] and len(wrong.troubles) >= 3


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_server_may_be_named_by_its_common_name_alone(tmp_path, version) -> None:
    """A00.FR.511: the standard would rather have no subjectAltName."""
    async with rig(version, 2, serving(tmp_path, make_station(ROOT, "localhost", "Netz AG", now=NOW))) as one:
        await one.until(lambda: one.station.online)
        assert one.logged == []


@pytest.mark.parametrize("profile", [2, 3])
@pytest.mark.parametrize("version", VERSIONS)
async def test_without_tls_a_station_of_a_higher_profile_says_nothing(tmp_path, version, profile) -> None:
    async with rig(version, profile, None) as one:
        await one.until(lambda: one.station.conversation.counts.dials > 3)
        assert not one.station.online and one.csms.handshakes == []
        assert all(attempt.reason == "tls-on-plain-port" for attempt in one.csms.away)


# -- from one root to the next ----------------------------------------------------------------------------------------
def successor() -> Issued:
    """A root with another name, which the one before has signed."""
    (above,) = x509.load_pem_x509_certificates(ROOT.certificate_pem.encode())
    key, signer = requests.new_key(), requests.read_key(ROOT.key_pem)
    made = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Netz AG Root 2")]))
        .issuer_name(above.subject)
        .public_key(key.public_key())
        .serial_number(7)
        .not_valid_before(above.not_valid_before_utc)
        .not_valid_after(above.not_valid_after_utc)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(signer, requests.hash_for(signer))
    )
    return Issued(pem.text([chains.der(made)]), requests.key_text(key))


@pytest.mark.parametrize("version", VERSIONS)
async def test_a_station_goes_over_to_a_root_that_the_old_one_has_signed(tmp_path, version) -> None:
    new = successor()
    use = "CentralSystemRootCertificate" if version == "1.6" else CSMS_ROOT
    async with rig(version, 2, serving(tmp_path), root_check="true") as one:
        await one.until(lambda: one.station.online)
        m, kept = one.csms.messages, one.station.certificates
        request = m.InstallCertificateRequest(certificate_type=use, certificate=new.certificate_pem)
        one.csms.command("InstallCertificate", request)
        await one.until(lambda: bool(one.csms.answers))
        assert one.csms.answers[-1][1].status == "Accepted"
        await one.again()  # the server still has a certificate of the old one
        assert kept.roots() == [ROOT.certificate_pem, new.certificate_pem]
        server = make_server(new, ["localhost"], now=NOW)
        one.tls.become(
            serving(tmp_path, server._replace(certificate_pem=pem.text(pem.blocks(server.certificate_pem)[:1])))
        )
        await one.again()
        assert kept.roots() == [new.certificate_pem]
