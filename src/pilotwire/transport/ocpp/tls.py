"""TLS as the OCPP security profiles 2 and 3 demand it (OCPP 2.1 part 2, A00.FR.3xx-4xx; 1.6 security whitepaper)."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterable
from pathlib import Path

from pilotwire.core.errors import ConfigError

OCPP_SUITES = (
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "AES128-GCM-SHA256",
    "AES256-GCM-SHA384",
)
"""OpenSSL's names of the four TLS 1.2 suites that a CSMS shall support (A00.FR.318). The last two lack forward
secrecy; leave them out of `suites` where every station speaks better."""


_LOCKED = ""
"""For keys that are locked with a password: they cannot be loaded, instead of a question at the terminal."""

Stamps = tuple[tuple[int, ...], ...]
"""Of files: they differ when one of them has been written, replaced or lost."""


def stamps(files: Iterable[Path | None]) -> Stamps:
    """What tells whether files have changed; of one that cannot be looked at it is empty."""
    found: list[tuple[int, ...]] = []
    for file in files:
        try:
            stat = None if file is None else file.stat()
        except OSError:
            stat = None  # a reason to look again when it is there
        found.append(() if stat is None else (stat.st_ino, stat.st_size, stat.st_mtime_ns))
    return tuple(found)


def server_context(
    *,
    ec_chain: str | Path | None = None,
    ec_key: str | Path | None = None,
    rsa_chain: str | Path | None = None,
    rsa_key: str | Path | None = None,
    client_ca: str | Path | None = None,
    client_pem: str = "",
    suites: tuple[str, ...] = OCPP_SUITES,
) -> ssl.SSLContext:
    """A context for PEM files, with both kinds of server certificate at once so that all four suites can be used.

    With `client_ca` (a file) or `client_pem` (certificates themselves), whose authorities both count, a client
    certificate is asked for and verified but not demanded: profiles 2 and 3 share the port, and whether this station
    must show one is the endpoint's to say. Raises ConfigError.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
    loaded = False
    for chain, key in ((ec_chain, ec_key), (rsa_chain, rsa_key)):
        if chain is None:
            continue
        try:
            context.load_cert_chain(chain, key, password=_LOCKED)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot load the certificate of the listener from {chain}: {error}") from error
        loaded = True
    if not loaded:
        raise ConfigError("a TLS listener needs a server certificate: give ec_chain and ec_key, rsa_chain and rsa_key")
    try:
        context.set_ciphers(":".join(suites))
    except ssl.SSLError as error:
        raise ConfigError(f"no usable TLS suite among {', '.join(suites)}") from error
    if client_ca is not None:
        try:
            context.load_verify_locations(client_ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(
                f"cannot load the authorities of client certificates from {client_ca}: {error}"
            ) from error
    if client_pem.strip():
        try:
            context.load_verify_locations(cadata=client_pem)
        except ssl.SSLError as error:
            raise ConfigError(f"cannot take the trusted authorities of client certificates: {error}") from error
    if client_ca is not None or client_pem.strip():
        context.verify_mode = ssl.CERT_OPTIONAL
        # A sub-authority may be the anchor: operators often pin the one that issues their stations' certificates.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


class ServerTls:
    """A server context made from files, and made again by `reload` when they have changed.

    Connections that are open keep what they have; the next handshake gets the new one. A broken set of files leaves the
    old context in place.
    """

    def __init__(
        self,
        *,
        ec_chain: str | Path | None = None,
        ec_key: str | Path | None = None,
        rsa_chain: str | Path | None = None,
        rsa_key: str | Path | None = None,
        client_ca: str | Path | None = None,
        client_pem: Callable[[], str] | None = None,
        suites: tuple[str, ...] = OCPP_SUITES,
    ) -> None:
        """`client_pem` is asked whenever the context is made."""
        self._client_pem = client_pem
        self._ec = (ec_chain, ec_key)
        self._rsa = (rsa_chain, rsa_key)
        self._client_ca, self._suites = client_ca, suites
        self.chains = tuple(Path(each) for each in (ec_chain, rsa_chain) if each is not None)
        """The files of what is shown."""
        named = (ec_chain, ec_key, rsa_chain, rsa_key, client_ca)
        self._files = tuple(Path(each) for each in named if each is not None)
        self._seen = stamps(self._files)
        self._context = self._make()

    @property
    def context(self) -> ssl.SSLContext:
        """For the next handshake."""
        return self._context

    def reload(self) -> None:
        """Read the files again. Raises ConfigError and changes nothing when they are not sound."""
        self._context = self._make()

    def look(self) -> bool:
        """Read the files again if they have changed, and say whether they had. Raises ConfigError, once for each
        change, and changes nothing when they are not sound."""
        now = stamps(self._files)
        if now == self._seen:
            return False
        self._seen = now
        self._context = self._make()
        return True

    def _make(self) -> ssl.SSLContext:
        return server_context(
            ec_chain=self._ec[0],
            ec_key=self._ec[1],
            rsa_chain=self._rsa[0],
            rsa_key=self._rsa[1],
            client_ca=self._client_ca,
            client_pem=self._client_pem() if self._client_pem is not None else "",
            suites=self._suites,
        )


def client_context(
    *,
    ca: str | Path | None = None,
    chain: str | Path | None = None,
    key: str | Path | None = None,
    suites: tuple[str, ...] | None = None,
) -> ssl.SSLContext:
    """A station's context: verifies the server against `ca` (PEM file; else the system's) and shows `chain` if given.

    `suites` limits TLS 1.2 to them. Raises ConfigError.
    """
    try:
        context = ssl.create_default_context(cafile=ca)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if suites is not None:
            context.set_ciphers(":".join(suites))
        if chain is not None:
            context.load_cert_chain(chain, key, password=_LOCKED)
    except (OSError, ssl.SSLError) as error:
        raise ConfigError(f"cannot set up TLS for the station: {error}") from error
    return context
