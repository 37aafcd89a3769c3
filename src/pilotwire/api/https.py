"""The certificate and key that the server shows, as they lie on disk now (TLS 1.2 and 1.3)."""

from __future__ import annotations

import ssl
from datetime import datetime
from pathlib import Path
from typing import Any

from pilotwire.core.errors import ConfigError, RemoteError
from pilotwire.crypto.shown import Shown, dates, shown
from pilotwire.transport.ocpp.tls import stamps


class Https:
    """A certificate with its chain and its key, PEM files. `look` takes new ones while the server runs.

    Connections that are open keep what they have, the next handshake gets the new one, and a broken pair of files
    leaves the old one in place.
    """

    def __init__(self, certificate: Path, key: Path | None = None) -> None:
        """`key` may be in the file of the certificate. Raises ConfigError for files that cannot be used."""
        self.certificate, self.key = certificate, key
        self._seen = stamps((certificate, key))
        self._newest, self.shown = self._load()
        self.context = _Newest(ssl.PROTOCOL_TLS_SERVER)
        """For a listener: each handshake asks for the newest."""
        self.context.https = self

    def look(self) -> bool:
        """Whether there was something new, which is shown from now on. Raises ConfigError, once for each change, where
        it cannot be used."""
        now = stamps((self.certificate, self.key))
        if now == self._seen:
            return False
        self._seen = now
        self._newest, self.shown = self._load()
        return True

    def trouble(self, now: datetime) -> str:
        """What is wrong with its dates, in words; "" while nothing is."""
        return dates(self.certificate, self.shown, now)

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


class _Newest(ssl.SSLContext):
    https: Https

    def wrap_bio(self, incoming: Any, outgoing: Any, *more: Any, **named: Any) -> ssl.SSLObject:
        """See ssl.SSLContext: of the newest."""
        return self.https._newest.wrap_bio(incoming, outgoing, *more, **named)
