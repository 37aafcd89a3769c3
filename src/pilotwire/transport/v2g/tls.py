"""TLS as ISO 15118-2 and -20 want it, by the standard library, and what that library cannot do.

ISO 15118-2 8.7.3: TLS 1.2, the station shows a P-256 chain, the vehicle shows nothing. ISO 15118-20 7.7.3: TLS 1.3 both
ways, P-521 or Ed448. One port serves both: which chain is shown follows from the version that the vehicle speaks.

Tried with Python 3.11 and OpenSSL 3.0 (`tests/transport/v2g/test_transport_v2g_tls.py` tries it again on every run):

    ECDHE-ECDSA-AES128-SHA256, ECDHE-ECDSA-AES128-GCM-SHA256 (TLS 1.2)    yes
    static ECDH-ECDSA-AES128-SHA256 (-2, its second suite)                no: OpenSSL has none since 1.1.0
    TLS_AES_256_GCM_SHA384, TLS_CHACHA20_POLY1305_SHA256                  yes
    no other suite of TLS 1.3 than these                                  no: `set_ciphers` leaves TLS 1.3 alone
    certificates on P-256, P-521, Ed448, both ends                        yes
    key exchange over P-521, X448                                         yes, `set_ecdh_curve` (one curve at a time)
    the groups and signature algorithms offered                           no: OpenSSL's own lists
    another chain for TLS 1.3 than for 1.2 on one port                    not by itself: the ClientHello is looked at
                                                                          before the library gets it (`hello`)
    a vehicle's certificate demanded from TLS 1.3 on only                 no: it is asked for in both, and what a
                                                                          vehicle of -2 does not show is not missed
    trusted_ca_keys (-2), certificate_authorities of a client (-20)       not sent; a vehicle's are read (`hello`), and
                                                                          the chain follows from them (`SeccChain`)
    status_request, status_request_v2: OCSP stapling                      no: neither sent, asked for nor checked
    max_fragment_length                                                   no
    the chain that a peer has shown, not only its leaf                    yes, by a private call up to 3.12

So a vehicle of ours cannot say which roots it trusts, and whether a station's certificate was revoked it does not learn
in the handshake.
"""

from __future__ import annotations

import ssl
from hashlib import sha1
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from pilotwire.core.errors import ConfigError

from .hello import CERTIFICATE, KEY, NAME, TLS_1_3, Hello

SUITES: Final = (
    "ECDHE-ECDSA-AES128-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-GCM-SHA384",
)  # fmt: skip
"""Of TLS 1.2: the one that ISO 15118-2 demands (the other is static), and better ones that vehicles offer as well."""


class SeccChain(msgspec.Struct, frozen=True, kw_only=True):
    """One more chain of a station, under another V2G root, for vehicles that say that they trust that one."""

    chain: str | Path
    key: str | Path
    root: str | Path
    """The root's own certificate."""
    newer: bool = False
    """For TLS 1.3; else for 1.2."""


class SeccTls(msgspec.Struct, frozen=True, kw_only=True):
    """The station's files, PEM."""

    chain: str | Path
    """For TLS 1.2: leaf first, then sub-authorities; P-256."""
    key: str | Path
    chain20: str | Path | None = None
    """For TLS 1.3, if another: P-521 or Ed448."""
    key20: str | Path | None = None
    others: tuple[SeccChain, ...] = ()
    """What is shown in place of these to vehicles that trust another root, and say so."""
    vehicle_roots: str | Path | None = None
    """Who signs vehicles' certificates. Without them no vehicle is asked for one."""
    demand_vehicle: bool = True
    """ISO 15118-20 is spoken only with vehicles that have shown a certificate."""
    password: str | None = None
    """Of both keys."""
    keylog: str | Path | None = None
    """Where the secrets of every connection are written, for Wireshark. For the laboratory, and never by default."""


class EvccTls(msgspec.Struct, frozen=True, kw_only=True):
    """The vehicle's files, PEM."""

    roots: str | Path
    """V2G roots."""
    chain: str | Path | None = None
    """The vehicle's own certificate (ISO 15118-20)."""
    key: str | Path | None = None
    password: str | None = None
    domain: str = "CPO"
    """What a station's certificate must name as its domain component, so that no other of the same root can stand in
    for it (ISO 15118-2 annex F); empty: it is not looked at."""
    newest: bool = True
    """TLS 1.3 is offered too; without it only 1.2."""
    oldest: bool = True
    """TLS 1.2 is offered too."""
    keylog: str | Path | None = None


class Secured(msgspec.Struct, frozen=True, kw_only=True):
    """What the handshake came to."""

    version: str
    """TLSv1.2, TLSv1.3"""
    suite: str
    certificate: bytes = b""
    """The peer's leaf, DER, verified; empty: it has shown none."""
    chain: tuple[bytes, ...] = ()
    """All that it has shown, leaf first."""
    domains: tuple[str, ...] = ()
    """Domain components of the leaf's subject."""


class SeccContexts(NamedTuple):
    """One for each version, and for each other root."""

    older: ssl.SSLContext
    newer: ssl.SSLContext
    others: tuple[tuple[bool, frozenset[bytes], ssl.SSLContext], ...] = ()
    """(for TLS 1.3, marks of the root, context)"""

    def fitting(self, hello: Hello) -> ssl.SSLContext:
        """For a client that has said this."""
        newest = hello.newest >= TLS_1_3
        for newer, marks, context in self.others:
            if newer == newest and not marks.isdisjoint(hello.trusts):
                return context
        return self.newer if newest else self.older


def secc_contexts(files: SeccTls) -> SeccContexts:
    """The station's contexts, for one port. Raises ConfigError."""
    older = _secc(files, files.chain, files.key)
    newer = older if files.chain20 is None else _secc(files, files.chain20, files.key20)
    others = tuple((one.newer, _marks(one.root), _secc(files, one.chain, one.key)) for one in files.others)
    return SeccContexts(older, newer, others)


def _marks(root: str | Path) -> frozenset[bytes]:
    """All by which a vehicle may name a root."""
    # Imported here: few stations have several roots, and all start faster without it.
    from cryptography import x509
    from cryptography.hazmat.primitives.asymmetric import ec, ed448
    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    try:
        certificate = x509.load_pem_x509_certificate(Path(root).read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"cannot load the root from {root}: {error}") from error
    key = certificate.public_key()
    if isinstance(key, ec.EllipticCurvePublicKey):
        public = key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
    elif isinstance(key, ed448.Ed448PublicKey):
        public = key.public_bytes_raw()
    else:
        raise ConfigError(f"the root {root} has a key that ISO 15118 does not know")
    return frozenset(
        (
            KEY + sha1(public, usedforsecurity=False).digest(),
            NAME + certificate.subject.public_bytes(),
            CERTIFICATE + sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).digest(),
        )
    )


def _secc(files: SeccTls, chain: str | Path, key: str | Path | None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = 0
    _prepare(context, chain, key, files.password, files.keylog)
    if files.vehicle_roots is not None:
        _trust(context, files.vehicle_roots)
        context.verify_mode = ssl.CERT_OPTIONAL
    return context


def evcc_context(files: EvccTls) -> ssl.SSLContext:
    """The vehicle's context. Stations are known by their chain, not by a name. Raises ConfigError."""
    if not files.newest and not files.oldest:
        raise ConfigError("a vehicle with TLS offers version 1.2, 1.3 or both: set oldest or newest")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    _prepare(context, files.chain, files.key, files.password, files.keylog)
    context.minimum_version = ssl.TLSVersion.TLSv1_2 if files.oldest else ssl.TLSVersion.TLSv1_3
    context.maximum_version = ssl.TLSVersion.TLSv1_3 if files.newest else ssl.TLSVersion.TLSv1_2
    _trust(context, files.roots)
    return context


def _prepare(
    context: ssl.SSLContext,
    chain: str | Path | None,
    key: str | Path | None,
    password: str | None,
    keylog: str | Path | None,
) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join(SUITES))
    if chain is not None:
        try:
            # An empty password rather than none: a key that wants one fails, and does not ask at the terminal.
            context.load_cert_chain(chain, key, password=password or "")
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot load the certificate {chain} with the key {key or chain}: {error}") from error
    if keylog is not None:
        context.keylog_filename = str(keylog)


def _trust(context: ssl.SSLContext, roots: str | Path) -> None:
    try:
        context.load_verify_locations(roots)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot load the roots from {roots}: {error}") from error


def secured(connection: ssl.SSLObject) -> Secured:
    """What is known of a connection after its handshake."""
    leaf = connection.getpeercert(binary_form=True) or b""
    suite = connection.cipher()
    return Secured(
        version=connection.version() or "",
        suite=suite[0] if suite else "",
        certificate=leaf,
        chain=_chain(connection),
        domains=_domains(connection),
    )


def _domains(connection: ssl.SSLObject) -> tuple[str, ...]:
    told: Any = connection.getpeercert() or {}
    return tuple(value for names in told.get("subject", ()) for name, value in names if name == "domainComponent")


def _chain(connection: Any) -> tuple[bytes, ...]:
    if not connection.getpeercert(binary_form=True):
        return ()
    if hasattr(connection, "get_unverified_chain"):
        return tuple(connection.get_unverified_chain() or ())
    shown = connection._sslobj.get_unverified_chain() or ()
    return tuple(ssl.PEM_cert_to_DER_cert(one.public_bytes()) for one in shown)
