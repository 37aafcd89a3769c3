"""The certificate and key that the server shows, as they lie on disk now (TLS 1.2 and 1.3)."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

from cryptography import x509

from pilotwire.core.errors import ConfigError, RemoteError
from pilotwire.crypto import pem
from pilotwire.crypto.trust import Fingerprints, fingerprints


class Shown(NamedTuple):
    """What is told of a certificate."""

    fingerprints: Fingerprints
    names: frozenset[str]
    """Host names and addresses that it is for."""
    issuer: str
    """Who signed it; "" where nobody else did."""
    since: datetime
    until: datetime


class Https:
    """A certificate with its chain and its key, PEM files. `look` takes new ones while the server runs.

    Connections that are open keep what they have, the next handshake gets the new one, and a broken pair of files
    leaves the old one in place.
    """

    def __init__(self, certificate: Path, key: Path | None = None) -> None:
        """`key` may be in the file of the certificate. Raises ConfigError for files that cannot be used."""
        self.certificate, self.key = certificate, key
        self._seen = self._stamps()
        self._newest, self.shown = self._load()
        self.context = _Newest(ssl.PROTOCOL_TLS_SERVER)
        """For a listener: each handshake asks for the newest."""
        self.context.https = self

    def look(self) -> bool:
        """Whether there was something new, which is shown from now on. Raises ConfigError, once for each change, where
        it cannot be used."""
        stamps = self._stamps()
        if stamps == self._seen:
            return False
        self._seen = stamps
        self._newest, self.shown = self._load()
        return True

    def trouble(self, now: datetime) -> str:
        """What is wrong with its dates, in words; "" while nothing is."""
        left = self.shown.until - now
        if left.total_seconds() < 0:
            return f"the certificate {self.certificate} has expired at {self.shown.until:%Y-%m-%d}"
        if now < self.shown.since:
            since = f"{self.shown.since:%Y-%m-%d %H:%M} UTC"
            return f"the certificate {self.certificate} is not valid before {since}: is the clock right?"
        if left.days < 14:
            return f"the certificate {self.certificate} expires in {left.days} days, at {self.shown.until:%Y-%m-%d}"
        return ""

    def _stamps(self) -> tuple[tuple[int, ...], ...]:
        found: list[tuple[int, ...]] = []
        for file in (self.certificate, self.key):
            if file is not None:
                try:
                    stat = file.stat()
                    found.append((stat.st_ino, stat.st_size, stat.st_mtime_ns))
                except OSError:
                    found.append(())  # a reason to look again when it is there
        return tuple(found)

    def _load(self) -> tuple[ssl.SSLContext, Shown]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_CIPHER_SERVER_PREFERENCE
        context.set_alpn_protocols(["http/1.1"])
        for file in (self.certificate, self.key):
            try:
                text = b"" if file is None else file.read_bytes()
            except OSError as error:
                raise ConfigError(f"{file} cannot be read for HTTPS: {error.strerror}") from error
            if b"ENCRYPTED PRIVATE KEY" in text or b"Proc-Type: 4,ENCRYPTED" in text:
                raise ConfigError(f"the key in {file} is locked with a password: HTTPS needs one without, mode 0600")
        try:
            context.load_cert_chain(self.certificate, self.key)
            return context, shown(self.certificate.read_text("ascii"))
        except (OSError, ssl.SSLError, ValueError, RemoteError) as error:
            pair = f"{self.certificate} and {self.key}" if self.key else f"{self.certificate}, with the key in it,"
            raise ConfigError(f"{pair} cannot be used for HTTPS: {_why(error)}") from error


def _why(error: Exception) -> str:
    reason = getattr(error, "reason", None) or ""
    if reason == "KEY_VALUES_MISMATCH":
        return "the key is not the certificate's"
    if isinstance(error, ssl.SSLError):
        return f"they are no PEM certificate and key ({reason or error})"
    return str(error)


def shown(text: str) -> Shown:
    """What is told of the first certificate of a PEM text. Raises ValueError, RemoteError."""
    der = pem.blocks(text)[0]
    certificate = x509.load_der_x509_certificate(der)
    own = certificate.issuer == certificate.subject
    return Shown(
        fingerprints=fingerprints(der),
        names=frozenset(_names(certificate)),
        issuer="" if own else certificate.issuer.rfc4514_string(),
        since=certificate.not_valid_before_utc,
        until=certificate.not_valid_after_utc,
    )


def _names(certificate: x509.Certificate) -> list[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    addresses = [str(each) for each in names.get_values_for_type(x509.IPAddress)]
    return [*names.get_values_for_type(x509.DNSName), *addresses]


class _Newest(ssl.SSLContext):
    https: Https

    def wrap_bio(self, incoming: Any, outgoing: Any, *more: Any, **named: Any) -> ssl.SSLObject:
        """See ssl.SSLContext: of the newest."""
        return self.https._newest.wrap_bio(incoming, outgoing, *more, **named)
