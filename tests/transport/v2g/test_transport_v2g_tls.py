"""TLS of both editions over real sockets, and the table in `transport.v2g.tls`, tried."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import secrets
import ssl
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from tests.transport.v2g.stand_in import STOP

from pilotwire.core.errors import ConfigError
from pilotwire.protocols.iso15118.config import EvccConfig, SeccConfig
from pilotwire.transport.v2g import EvccTls, NoConnection, SeccChain, SeccTls, V2gLink, dial_secc, interfaces, run_secc
from pilotwire.transport.v2g import tls as tls_module
from pilotwire.transport.v2g.hello import Hello

ALL = ("iso20-dc", "iso2", "din")


def station_files(pki: Any, **other: Any) -> SeccTls:
    made = {"chain": pki["p256"].station, "key": pki["p256"].station, "vehicle_roots": pki["p521"].root} | other
    return SeccTls(**made)


def roots(pki: Any, folder: Path) -> Path:
    path = folder / "roots.pem"
    path.write_text("".join(files.root.read_text().partition("-----BEGIN PRIVATE")[0] for files in pki.values()))
    return path


async def talk(station: SeccTls, vehicle: EvccTls, dialects: Any = ALL) -> tuple[V2gLink, V2gLink]:
    """One conversation by TLS; both ends' links, with what was agreed on."""
    here: list[V2gLink] = []

    def opened(link: V2gLink) -> Any:
        here.append(link)
        return lambda event: None

    def driving(link: V2gLink) -> Any:
        return lambda event: link.command(STOP) if event == b"hello" else None

    config = SeccConfig(dialects=ALL, services=("DC",))
    async with await run_secc(config, opened, host="127.0.0.1", tls=station, tcp_port=None) as server:
        link = await dial_secc(
            EvccConfig(dialects=dialects), driving, host="127.0.0.1", port=server.tls_port, tls=vehicle
        )
        assert await asyncio.wait_for(link.done, 90) == "all was said"
        await asyncio.wait_for(here[0].done, 90)
    return here[0], link


@pytest.mark.parametrize("kind", ["p256", "p521", "ed448"])
async def test_tls_1_3_both_ways_speaks_iso_20(stand_in: None, pki: Any, kind: str, tmp_path: Path) -> None:
    station = station_files(pki, chain20=pki[kind].station, key20=pki[kind].station, vehicle_roots=pki[kind].root)
    vehicle = EvccTls(roots=roots(pki, tmp_path), chain=pki[kind].vehicle, key=pki[kind].vehicle)
    here, there = await talk(station, vehicle)
    assert here.machine.dialect == there.machine.dialect == "iso20-dc"
    assert here.secured and there.secured
    assert here.secured.version == "TLSv1.3"
    assert here.secured.suite in ("TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256")
    shown = ssl.PEM_cert_to_DER_cert(pki[kind].vehicle.read_text().partition("-----BEGIN PRIVATE")[0])
    assert here.secured.certificate == shown and here.secured.chain[0] == shown
    leaf = ssl.PEM_cert_to_DER_cert(pki[kind].station.read_text().partition("-----BEGIN PRIVATE")[0])
    assert there.secured.certificate == leaf, "the chain of TLS 1.3 is shown"


async def test_tls_1_2_shows_the_other_chain_and_speaks_no_iso_20(stand_in: None, pki: Any, tmp_path: Path) -> None:
    station = station_files(pki, chain20=pki["p521"].station, key20=pki["p521"].station)
    vehicle = EvccTls(roots=pki["p256"].root, newest=False)
    here, there = await talk(station, vehicle)
    assert here.secured and here.secured.version == "TLSv1.2" and here.secured.suite == tls_module.SUITES[0]
    assert not here.secured.certificate
    assert here.machine.dialect == there.machine.dialect == "iso2"


async def test_iso_20_wants_the_vehicles_certificate(stand_in: None, pki: Any, tmp_path: Path) -> None:
    vehicle = EvccTls(roots=roots(pki, tmp_path))
    here, _ = await talk(station_files(pki), vehicle)
    assert here.secured and here.secured.version == "TLSv1.3" and here.machine.dialect == "iso2"
    here, _ = await talk(station_files(pki, demand_vehicle=False), vehicle)
    assert here.machine.dialect == "iso20-dc", "unless the station does without"


@pytest.mark.parametrize(("dialects", "version"), [(("iso2", "din"), "TLSv1.2"), (("iso20-dc",), "TLSv1.3")])
async def test_the_version_follows_from_the_dialects(stand_in: None, pki: Any, dialects: Any, version: str) -> None:
    vehicle = EvccTls(roots=pki["p256"].root, chain=pki["p521"].vehicle, key=pki["p521"].vehicle)
    here, _ = await talk(station_files(pki), vehicle, dialects=dialects)
    assert here.secured and here.secured.version == version


async def test_a_vehicle_of_iso_20_alone_needs_tls_1_3(pki: Any) -> None:
    older = EvccTls(roots=pki["p256"].root, newest=False)
    config = EvccConfig(dialects=("iso20-dc",))
    with pytest.raises(ConfigError, match="oldest or newest"):
        await dial_secc(config, lambda link: print, host="127.0.0.1", port=1, tls=older)


def test_the_chain_follows_from_the_roots_that_a_vehicle_trusts(pki: Any) -> None:
    other, newest = pki["ed448"], pki["p521"]
    files = station_files(
        pki,
        others=(
            SeccChain(chain=newest.station, key=newest.station, root=newest.root),
            SeccChain(chain=other.station, key=other.station, root=other.root, newer=True),
        ),
    )
    contexts = tls_module.secc_contexts(files)
    root = x509.load_pem_x509_certificate(newest.root.read_bytes())
    point = root.public_key().public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    marks = (
        b"k" + hashlib.sha1(point).digest(),
        b"n" + root.subject.public_bytes(),
        b"c" + hashlib.sha1(root.public_bytes(Encoding.DER)).digest(),
    )
    (_, _, first), (_, _, second) = contexts.others
    for mark in marks:
        assert contexts.fitting(Hello((0x0303,), frozenset((b"nother", mark)))) is first
        assert contexts.fitting(Hello((0x0304,), frozenset((mark,)))) is contexts.newer, "it is for TLS 1.2"
    name = b"n" + x509.load_pem_x509_certificate(other.root.read_bytes()).subject.public_bytes()
    assert contexts.fitting(Hello((0x0303, 0x0304), frozenset((name,)))) is second
    assert contexts.fitting(Hello((0x0303,), frozenset((b"nother",)))) is contexts.older
    with pytest.raises(ConfigError, match="cannot load the root"):
        tls_module.secc_contexts(
            station_files(pki, others=(SeccChain(chain=other.station, key=other.station, root="no"),))
        )


async def test_who_shows_another_certificate_of_the_same_root_is_no_station(stand_in: None, pki: Any) -> None:
    """A vehicle's certificate, a provisioning service's: below the same root, but no station's."""
    files = station_files(pki, chain=pki["p256"].vehicle, key=pki["p256"].vehicle)
    with pytest.raises(NoConnection, match="of the domain OEM, not CPO"):
        await talk(files, EvccTls(roots=pki["p256"].root, newest=False))
    here, there = await talk(files, EvccTls(roots=pki["p256"].root, newest=False, domain=""))
    assert there.secured and there.secured.domains == ("OEM",) and here.machine.dialect == "iso2"


async def test_a_station_of_another_root_is_not_talked_to(stand_in: None, pki: Any) -> None:
    with pytest.raises(NoConnection, match=r"(?i)certificate"):
        await talk(station_files(pki), EvccTls(roots=pki["p521"].root))


async def test_a_vehicle_of_another_root_is_not_let_in(stand_in: None, pki: Any, tmp_path: Path) -> None:
    heard: list[Any] = []
    config = SeccConfig(dialects=ALL)
    async with await run_secc(
        config, lambda link: heard.append, host="127.0.0.1", tls=station_files(pki), tcp_port=None
    ) as server:
        vehicle = EvccTls(roots=pki["p256"].root, chain=pki["p256"].vehicle, key=pki["p256"].vehicle)
        told: list[Any] = []
        try:
            link = await dial_secc(
                EvccConfig(dialects=ALL), lambda link: told.append, host="127.0.0.1", port=server.tls_port, tls=vehicle
            )
            # In TLS 1.3 the vehicle is done before the station has seen its certificate.
            await asyncio.wait_for(link.done, 90)
        except NoConnection:
            pass
        assert not heard and not server.links


async def test_a_plain_word_on_the_secured_port_ends_only_itself(stand_in: None, pki: Any) -> None:
    async with await run_secc(
        SeccConfig(), lambda link: lambda event: None, host="127.0.0.1", tls=station_files(pki), tcp_port=None
    ) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.tls_port)
        writer.write(b"\x01\xfe\x80\x01\x00\x00\x00\x04\x80\x00\x00\x00")
        with pytest.raises(ConnectionResetError):
            await asyncio.wait_for(reader.read(), 5)
        writer.close()
        assert (server.refused, server.links) == (1, set())
    await talk(station_files(pki), EvccTls(roots=pki["p256"].root, newest=False))


async def test_secrets_are_written_on_request_only(
    stand_in: None, pki: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "environment"))
    vehicle = EvccTls(roots=pki["p256"].root)
    await talk(station_files(pki), vehicle)
    assert not (tmp_path / "environment").exists()
    await talk(station_files(pki, keylog=tmp_path / "asked"), vehicle)
    assert "CLIENT_TRAFFIC_SECRET_0" in (tmp_path / "asked").read_text()


@pytest.mark.parametrize("wrong", ["nothing.pem", "root"])
def test_files_that_do_not_fit_are_named(pki: Any, wrong: str) -> None:
    key = pki["p521"].station if wrong == "root" else wrong
    with pytest.raises(ConfigError, match=r"cannot load the certificate .*p256-station"):
        tls_module.secc_contexts(station_files(pki, key=key))
    with pytest.raises(ConfigError, match="cannot load the roots"):
        tls_module.evcc_context(EvccTls(roots="nothing.pem"))
    with pytest.raises(ConfigError, match="oldest or newest"):
        tls_module.evcc_context(EvccTls(roots=pki["p256"].root, oldest=False, newest=False))


# ── the table of what the library can and cannot ─────────────────────────────────────────────────────────────────────
def test_what_the_library_can(pki: Any) -> None:
    context = tls_module.secc_contexts(station_files(pki)).newer
    names = [suite["name"] for suite in context.get_ciphers()]
    assert {"TLS_AES_256_GCM_SHA384", "TLS_CHACHA20_POLY1305_SHA256", *tls_module.SUITES} <= set(names)
    for curve in ("secp521r1", "X448"):
        context.set_ecdh_curve(curve)


def test_what_the_library_cannot() -> None:
    """If one of these fails, the table in `transport.v2g.tls` has become better than it says."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    with pytest.raises(ssl.SSLError):
        context.set_ciphers("ECDH-ECDSA-AES128-SHA256")
    context.set_ciphers("ECDHE-ECDSA-AES128-SHA256")
    assert len([one for one in context.get_ciphers() if one["name"].startswith("TLS_")]) == 3
    said = " ".join(dir(ssl.SSLContext)).lower()
    for word in ("ocsp", "stapl", "status_request", "trusted_ca", "fragment"):
        assert word not in said


async def test_a_station_that_stops_has_let_go_of_its_port(pki: Any) -> None:
    server = await run_secc(SeccConfig(), lambda link: print, host="127.0.0.1", tls=station_files(pki), tcp_port=None)
    assert server.tls_port is not None
    with pytest.raises(ConfigError, match="cannot listen"):
        interfaces.tcp_listener("127.0.0.1", server.tls_port, None, secrets.randbelow)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.tls_port)  # and says nothing
    await asyncio.sleep(0.02)
    await server.close()
    with contextlib.suppress(ConnectionResetError):
        assert await asyncio.wait_for(reader.read(), 5) == b""
    writer.close()
    interfaces.tcp_listener("127.0.0.1", server.tls_port, None, secrets.randbelow).close()
