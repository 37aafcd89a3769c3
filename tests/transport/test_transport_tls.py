"""Security profiles 2 and 3: suites, both kinds of certificate, client certificates, reload. On both servers."""

from __future__ import annotations

import asyncio
import datetime
import ssl as ssl_module
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from pilotwire.core.errors import ConfigError
from pilotwire.crypto.subject import read_subject
from pilotwire.transport.ocpp.limits import EdgeLimits
from pilotwire.transport.ocpp.tls import OCPP_SUITES, ServerTls, client_context, server_context

NOW = datetime.datetime.now(datetime.UTC)
DAY = datetime.timedelta(days=1)


@dataclass
class Pair:
    """A certificate and its key, also as PEM files."""

    certificate: x509.Certificate
    key: Any
    chain_file: Path
    key_file: Path

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(Encoding.DER)


class Authority:
    """A small certification authority in a folder."""

    def __init__(self, folder: Path, name: str) -> None:
        self.folder, self.name = folder, name
        self.root = self._make(name, ec.generate_private_key(ec.SECP256R1()), None, ca=True)

    def issue(self, common_name: str, kind: str = "ec", *, days: tuple[int, int] = (-1, 30), file: str = "") -> Pair:
        key = ec.generate_private_key(ec.SECP256R1()) if kind == "ec" else rsa.generate_private_key(65537, 2048)
        return self._make(common_name, key, self.root, days=days, file=file or f"{common_name}-{kind}")

    def _make(
        self,
        common_name: str,
        key: Any,
        issuer: Pair | None,
        *,
        ca: bool = False,
        days: tuple[int, int] = (-1, 30),
        file: str = "",
    ) -> Pair:
        name = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Example Charging"),
                x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            ]
        )
        signer = issuer.key if issuer else key
        builder = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(issuer.certificate.subject if issuer else name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW + days[0] * DAY)
            .not_valid_after(NOW + days[1] * DAY)
            .add_extension(x509.BasicConstraints(ca, None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
                critical=False,
            )
        )
        if not ca:
            builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        certificate = builder.sign(signer, hashes.SHA256())
        stem = self.folder / (file or common_name).replace(" ", "-")
        chain_file, key_file = stem.with_suffix(".pem"), stem.with_suffix(".key")
        chain_file.write_bytes(certificate.public_bytes(Encoding.PEM))
        key_file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
        return Pair(certificate, key, chain_file, key_file)


class Pki:
    """Everything that the tests need, made once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.servers = Authority(folder, "Server root")
        self.stations = Authority(folder, "Station root")
        self.foreign = Authority(folder, "Foreign root")
        self.ec = self.servers.issue("localhost", "ec")
        self.rsa = self.servers.issue("localhost", "rsa")
        self.station_ec = self.stations.issue("SN-1", "ec")
        self.station_rsa = self.stations.issue("SN-2", "rsa")
        self.expired = self.stations.issue("SN-3", days=(-30, -1))
        self.future = self.stations.issue("SN-4", days=(1, 30))
        self.stranger = self.foreign.issue("SN-1", file="stranger")

    @property
    def files(self) -> dict[str, Path]:
        return {
            "ec_chain": self.ec.chain_file,
            "ec_key": self.ec.key_file,
            "rsa_chain": self.rsa.chain_file,
            "rsa_key": self.rsa.key_file,
        }

    def server(self, *, mutual: bool = True, **options: Any) -> ssl_module.SSLContext:
        return server_context(**self.files, client_ca=self.stations.root.chain_file if mutual else None, **options)

    def client(self, pair: Pair | None = None, suites: tuple[str, ...] | None = None) -> ssl_module.SSLContext:
        return client_context(
            ca=self.servers.root.chain_file,
            chain=pair.chain_file if pair else None,
            key=pair.key_file if pair else None,
            suites=suites,
        )


@pytest.fixture(scope="module")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    return Pki(tmp_path_factory.mktemp("pki"))


def twelve(context: ssl_module.SSLContext) -> ssl_module.SSLContext:
    context.maximum_version = ssl_module.TLSVersion.TLSv1_2
    return context


async def talk(edge: Any, raw: Any) -> Any:
    """Upgrade and exchange a message; the handshake that the endpoint saw."""
    await raw.upgraded()
    raw.text(b"[2]")
    assert (await raw.read_frame())[1] == b"[2]"
    return edge.desk.seen[-1]


@pytest.mark.both_loops
@pytest.mark.parametrize("suite", OCPP_SUITES)
@pytest.mark.parametrize("shown", [None, "station_ec", "station_rsa"])
async def test_each_ocpp_suite_works_with_each_kind_of_client(
    start: Any, pki: Pki, suite: str, shown: str | None
) -> None:
    edge = await start(ssl=pki.server())
    pair = getattr(pki, shown) if shown else None
    raw = await edge.raw(twelve(pki.client(pair, (suite,))))
    secure = raw.writer.get_extra_info("ssl_object")
    assert secure.cipher()[0] == suite and secure.version() == "TLSv1.2" and secure.compression() is None
    served = x509.load_der_x509_certificate(secure.getpeercert(True))
    assert isinstance(served.public_key(), ec.EllipticCurvePublicKey if "ECDSA" in suite else rsa.RSAPublicKey)
    handshake = await talk(edge, raw)
    assert handshake.tls and handshake.peer.startswith("127.0.0.1:")
    assert handshake.certificate == (pair.der if pair else None)


@pytest.mark.parametrize("shown", [None, "station_ec", "station_rsa"])
async def test_tls_1_3_is_preferred(start: Any, pki: Pki, shown: str | None) -> None:
    edge = await start(ssl=pki.server())
    pair = getattr(pki, shown) if shown else None
    raw = await edge.raw(pki.client(pair))
    assert raw.writer.get_extra_info("ssl_object").version() == "TLSv1.3"
    handshake = await talk(edge, raw)
    assert handshake.certificate == (pair.der if pair else None)
    if pair:
        assert read_subject(handshake.certificate) == (f"SN-{1 if shown == 'station_ec' else 2}", "Example Charging")


async def test_without_an_authority_no_client_certificate_is_asked_for(start: Any, pki: Pki) -> None:
    edge = await start(ssl=pki.server(mutual=False))
    raw = await edge.raw(pki.client(pki.station_ec))
    assert (await talk(edge, raw)).certificate is None


@pytest.mark.parametrize("shown", ["expired", "future", "stranger"])
@pytest.mark.parametrize("tls", ["1.2", "1.3"])
async def test_a_bad_client_certificate_never_reaches_the_endpoint(start: Any, pki: Pki, shown: str, tls: str) -> None:
    edge = await start(ssl=pki.server())
    context = pki.client(getattr(pki, shown))
    if tls == "1.2":
        twelve(context)
    with pytest.raises((ssl_module.SSLError, ConnectionError, asyncio.IncompleteReadError)):
        raw = await edge.raw(context)
        raw.request("/ocpp/CS1")
        await raw.response()
    async with asyncio.timeout(90):
        while not edge.counters.tls_failed:
            await asyncio.sleep(0.01)
    assert edge.desk.seen == []
    good = await edge.raw(pki.client(pki.station_ec))
    assert (await talk(edge, good)).certificate == pki.station_ec.der


@pytest.mark.parametrize(
    "suites",
    [
        ("ECDHE-RSA-AES128-GCM-SHA256",),
        ("ECDHE-ECDSA-CHACHA20-POLY1305",),
        ("AES128-SHA256",),
        ("ECDHE-ECDSA-AES128-SHA",),
    ],
)
async def test_other_tls_1_2_suites_are_not_spoken(start: Any, pki: Pki, suites: tuple[str, ...]) -> None:
    edge = await start(ssl=pki.server())
    with pytest.raises(ssl_module.SSLError, match="ALERT_HANDSHAKE_FAILURE"):
        await edge.raw(twelve(pki.client(suites=suites)))


@pytest.mark.both_loops
async def test_old_tls_is_refused(start: Any, pki: Pki) -> None:
    edge = await start(ssl=pki.server())
    old = ssl_module.SSLContext(ssl_module.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(pki.servers.root.chain_file)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning):
        old.minimum_version = ssl_module.TLSVersion.TLSv1
        old.maximum_version = ssl_module.TLSVersion.TLSv1_1
    with pytest.raises(ssl_module.SSLError, match="ALERT_PROTOCOL_VERSION"):
        await edge.raw(old)
    assert pki.server().options & ssl_module.OP_NO_COMPRESSION


async def test_suites_can_be_switched_off(start: Any, pki: Pki) -> None:
    edge = await start(ssl=pki.server(suites=OCPP_SUITES[:2]))
    with pytest.raises((ssl_module.SSLError, ConnectionError)):
        await edge.raw(twelve(pki.client(suites=OCPP_SUITES[2:])))
    await talk(edge, await edge.raw(twelve(pki.client(suites=OCPP_SUITES[:1]))))


@pytest.mark.parametrize("bytes_sent", [b"", b"\x16\x03\x01", b"GET /ocpp/CS1 HTTP/1.1\r\n\r\n"])
async def test_a_slow_or_wrong_tls_handshake_ends_and_hurts_nobody(start: Any, pki: Pki, bytes_sent: bytes) -> None:
    edge = await start(ssl=pki.server(), limits=EdgeLimits(tls_handshake_s=0.3))
    raw = await edge.raw()
    raw.write(bytes_sent)
    await raw.ended()
    async with asyncio.timeout(90):
        while not edge.counters.tls_failed:
            await asyncio.sleep(0.01)
    assert edge.counters.vanished == 0
    await talk(edge, await edge.raw(pki.client()))


async def test_new_tls_connections_per_address_are_limited(start: Any, pki: Pki) -> None:
    now = 0.0
    limits = EdgeLimits(tls_per_address_per_s=1, tls_per_address_burst=2, unlimited_networks=())
    edge = await start(ssl=pki.server(), limits=limits, clock=lambda: now)
    for _ in range(2):
        await talk(edge, await edge.raw(pki.client()))
    with pytest.raises((ssl_module.SSLError, ConnectionError)):
        await edge.raw(pki.client())
    assert edge.counters.over_tls_rate == 1
    now = 1.0
    await talk(edge, await edge.raw(pki.client()))


async def test_unauthenticated_sockets_are_counted_before_tls(start: Any, pki: Pki) -> None:
    limits = EdgeLimits(unauthenticated_per_address=2, unlimited_networks=(), tls_handshake_s=0.5)
    edge = await start(ssl=pki.server(), limits=limits)
    silent = [await edge.raw() for _ in range(2)]
    await (await edge.raw()).ended()
    assert edge.counters.over_unauthenticated_limit == 1
    for raw in silent:
        await raw.ended()
    await talk(edge, await edge.raw(pki.client()))


async def test_violations_and_closing_over_tls(start: Any, pki: Pki) -> None:
    edge = await start(ssl=pki.server(), limits=EdgeLimits(close_s=0.5))
    raw = await edge.raw(pki.client())
    await talk(edge, raw)
    raw.text(b"x" * 300_000)
    assert await raw.closed_with() == 1009
    raw = await edge.raw(pki.client())
    await talk(edge, raw)
    end = edge.desk.ends[-1]
    end.link.close(1000, "done")
    assert await raw.closed_with() == 1000
    await end.until(lambda end: end.ended)
    raw = await edge.raw(pki.client())
    await talk(edge, raw)
    end = edge.desk.ends[-1]
    raw.writer.transport.abort()
    await end.until(lambda end: end.ended)
    assert end.ended[0][0] == 1006
    raw = await edge.raw(pki.client())
    raw.request("/ocpp/refuse-404")
    assert (await raw.response())[0] == 404
    await raw.ended()


async def test_a_slow_consumer_over_tls_is_cut_off(start: Any, pki: Pki) -> None:
    edge = await start(ssl=pki.server(), limits=EdgeLimits(backlog_bytes=200_000))
    raw = await edge.raw(pki.client())
    await talk(edge, raw)
    end = edge.desk.ends[-1]
    raw.writer.transport.pause_reading()
    for _ in range(4000):
        end.link.send(b"x" * 10_000)
        if end.ended:
            break
        await asyncio.sleep(0)
    await end.until(lambda end: end.ended)
    assert edge.counters.slow_consumers == 1


async def test_reload_serves_the_new_certificate_to_the_next_handshake(start: Any, pki: Pki, tmp_path: Path) -> None:
    def put(pair: Pair) -> None:
        (tmp_path / "server.pem").write_bytes(pair.chain_file.read_bytes())
        (tmp_path / "server.key").write_bytes(pair.key_file.read_bytes())

    def serial(raw: Any) -> int:
        return x509.load_der_x509_certificate(raw.writer.get_extra_info("ssl_object").getpeercert(True)).serial_number

    first, second = pki.servers.issue("localhost", file="first"), pki.servers.issue("localhost", file="second")
    put(first)
    tls = ServerTls(ec_chain=tmp_path / "server.pem", ec_key=tmp_path / "server.key")
    edge = await start(ssl=tls)
    old = await edge.raw(pki.client())
    await talk(edge, old)
    assert serial(old) == first.certificate.serial_number
    put(second)
    tls.reload()
    new = await edge.raw(pki.client())
    await talk(edge, new)
    assert serial(new) == second.certificate.serial_number
    old.text(b"[still open]")
    assert (await old.read_frame())[1] == b"[still open]"
    (tmp_path / "server.pem").write_text("broken")
    with pytest.raises(ConfigError):
        tls.reload()
    again = await edge.raw(pki.client())
    await talk(edge, again)
    assert serial(again) == second.certificate.serial_number


def test_wrong_settings_are_config_errors(pki: Pki, tmp_path: Path) -> None:
    attempts: list[Callable[[], object]] = [
        lambda: server_context(),
        lambda: server_context(ec_chain=tmp_path / "missing.pem"),
        lambda: server_context(ec_chain=pki.ec.chain_file, ec_key=pki.rsa.key_file),
        lambda: server_context(**pki.files, suites=("NO-SUCH-SUITE",)),
        lambda: server_context(**pki.files, client_ca=tmp_path / "missing.pem"),
        lambda: client_context(ca=tmp_path / "missing.pem"),
    ]
    for attempt in attempts:
        with pytest.raises(ConfigError):
            attempt()
