"""Puts what a station's program says of its identity where a dialer over sockets finds it: certificate, key and trust
as a TLS context, the security profile as ws:// or wss://.

Python reads private keys from files alone, so they are written for the owner alone and removed at once.
"""

from __future__ import annotations

import os
import ssl
import tempfile
from collections.abc import Callable
from pathlib import Path

from pilotwire.core.errors import ConfigError
from pilotwire.station.certificates import Identity
from pilotwire.transport.ocpp.client import LoopDialer
from pilotwire.transport.ocpp.tls import client_context


def dress(
    dialer: LoopDialer, *, ca: Path | None = None, plain_url: str = "", tls_url: str = ""
) -> Callable[[Identity], None]:
    """`on_identity` of a station with this dialer.

    `ca`: whom to trust while the station has no root of its own; None: the system's authorities. `plain_url`,
    `tls_url`: where profile 1, and 2 and 3 connect; "": where the dialer connects anyway.
    """

    def tell(identity: Identity) -> None:
        if identity.profile < 2:
            dialer.ssl = None
            dialer.url = plain_url or dialer.url
            return
        dialer.ssl = context_of(identity, ca)
        dialer.url = tls_url or dialer.url

    return tell


def context_of(identity: Identity, ca: Path | None = None) -> ssl.SSLContext:
    """A station's TLS context. Raises ConfigError."""
    if identity.roots:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        # A root that has replaced another is signed by that (AdditionalRootCertificateCheck), and stands for itself.
        context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
        try:
            context.load_verify_locations(cadata=identity.roots)
        except ssl.SSLError as error:
            raise ConfigError(f"the station's roots cannot be used: {error}") from error
    else:
        context = client_context(ca=ca)
    if identity.profile == 3 and identity.chain:
        descriptor, name = tempfile.mkstemp(prefix="pilotwire-", suffix=".pem")  # mode 0600
        try:
            with os.fdopen(descriptor, "w") as file:
                file.write(identity.key + identity.chain)
            context.load_cert_chain(name)
        except ssl.SSLError as error:
            raise ConfigError(f"the station's certificate cannot be used: {error}") from error
        finally:
            Path(name).unlink(missing_ok=True)
    return context
