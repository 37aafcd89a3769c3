"""Which server a client of ours believes: one that an authority vouches for, or one whose fingerprint was pinned.

A fingerprint is the SHA-256 of the certificate, which browsers and `openssl x509 -fingerprint -sha256` show, or of its
public key (SubjectPublicKeyInfo), which stays the same when the certificate is renewed with the same key. Nothing but
the standard library is needed here, since the client of the API needs it too.
"""

from __future__ import annotations

import hashlib
import hmac
import re
import ssl
from pathlib import Path
from typing import Any, NamedTuple

from pilotwire.core.errors import ConfigError

from .der import parts

_DIGITS = 64


class Fingerprints(NamedTuple):
    """SHA-256, 64 hexadecimal digits in lower case."""

    certificate: str
    public_key: str


def fingerprints(certificate: bytes) -> Fingerprints:
    """Of a certificate (DER). Raises ValueError for what is none."""
    return Fingerprints(
        hashlib.sha256(certificate).hexdigest(), hashlib.sha256(parts(certificate).key_info).hexdigest()
    )


def written(fingerprint: str) -> str:
    """`AB:CD:…`, as browsers write it."""
    return ":".join(re.findall("..", fingerprint.upper()))


def pinned(text: str) -> str:
    """A fingerprint as somebody has written it, with or without colons. Raises ConfigError for what is none."""
    digits = re.sub(r"^sha-?256[:= ]*|[:\s]", "", text.strip().lower())
    if len(digits) != _DIGITS or not re.fullmatch("[0-9a-f]+", digits):
        raise ConfigError(f"{text!r} is no fingerprint: write the {_DIGITS} hexadecimal digits of a SHA-256")
    return digits


def server_trust(*, ca: str | Path | None = None, fingerprint: str | None = None) -> ssl.SSLContext:
    """A client's context. Raises ConfigError.

    `ca`: a PEM file with the authorities that count, or with the server's own certificate; without it those of the
    system. `fingerprint` alone: the certificate that has it is believed, whatever its name, signer and dates. Both:
    both have to be right.
    """
    context = _Context(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if fingerprint is not None:
        context.pin = pinned(fingerprint)
    if ca is None and fingerprint is not None:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif ca is None:
        context.load_default_certs()
    else:
        try:
            context.load_verify_locations(ca)
        except (OSError, ssl.SSLError) as error:
            raise ConfigError(f"cannot use the authorities in {ca}: {error}") from error
    return context


class _Context(ssl.SSLContext):
    """Ends a handshake with a certificate that has not the fingerprint: before anything is said on the connection."""

    pin: str = ""

    def check(self, certificate: bytes | None) -> None:
        """Raises SSLCertVerificationError."""
        if not self.pin:
            return
        try:
            shown = fingerprints(certificate or b"")
        except ValueError:
            shown = Fingerprints("", "")
        if not any(hmac.compare_digest(one, self.pin) for one in shown):
            words = f"it is not the one that was pinned: its fingerprint is {written(shown.certificate) or 'none'}"
            error = ssl.SSLCertVerificationError(1, words)
            error.verify_code, error.verify_message = 0, words
            raise error


class _Socket(ssl.SSLSocket):
    def do_handshake(self, block: bool = False) -> None:
        super().do_handshake(block)
        _judge(self)


class _Object(ssl.SSLObject):
    def do_handshake(self) -> None:
        super().do_handshake()
        _judge(self)


def _judge(connection: Any) -> None:
    connection.context.check(connection.getpeercert(binary_form=True))


_Context.sslsocket_class = _Socket
_Context.sslobject_class = _Object
