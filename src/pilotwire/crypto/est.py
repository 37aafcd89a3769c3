"""Enrolment over Secure Transport (RFC 7030, with the clarifications of RFC 8951): what is asked of an authority's
server and what it answers. Bytes in, bytes out; the connection is the caller's.

    cacerts         GET   …/cacerts          → certificates of the authority
    simpleenroll    POST  …/simpleenroll     a request → its certificate, or "come back later" (202)
    simplereenroll  POST  …/simplereenroll   the same, to renew

Answers are PKCS #7 containers in Base64. What is in them is put in order (leaf first, root left out) by `chains.order`.
"""

from __future__ import annotations

import base64
import binascii
import warnings
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import quote

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.serialization import pkcs7

from pilotwire.core.errors import RemoteError, TransientError

from .requests import Request, fingerprint

WELL_KNOWN = "/.well-known/est"
LONGEST = 131_072
"""Bytes of an answer that are read."""
_RETRY_AT_LEAST_S, _RETRY_AT_MOST_S = 5, 86_400
_RETRY_S = 60


class EstRefused(RemoteError):
    """The authority's server said no, or what cannot be understood."""


class EstLater(TransientError):
    """Ask again after so many seconds (202 with Retry-After, 429, or a server that is not well)."""

    def __init__(self, retry_after_s: int, text: str) -> None:
        super().__init__(text)
        self.retry_after_s = retry_after_s


class Ask(NamedTuple):
    """One HTTP request."""

    method: str
    url: str
    headers: list[tuple[str, str]]
    body: bytes


class Server(NamedTuple):
    """Where an authority is asked, and as whom."""

    url: str
    """https://host[:port]; a path is kept as it is, else /.well-known/est is meant."""
    label: str = ""
    """RFC 7030 3.2.2: which authority of several."""
    user: str = ""
    password: str = ""

    def _at(self, operation: str) -> str:
        base = self.url.rstrip("/")
        if "/" not in base.partition("://")[2]:
            base += WELL_KNOWN
        return "/".join([base, *([quote(self.label, safe="")] if self.label else []), operation])

    def _headers(self) -> list[tuple[str, str]]:
        if not self.user and not self.password:
            return []
        pair = base64.b64encode(f"{self.user}:{self.password}".encode()).decode()
        return [("authorization", f"Basic {pair}")]

    def cacerts(self) -> Ask:
        """For the authority's own certificates."""
        return Ask("GET", self._at("cacerts"), [("accept", "application/pkcs7-mime"), *self._headers()], b"")

    def enroll(self, request: Request, *, again: bool = False) -> Ask:
        """To have a request signed; `again`: to renew what the same subject has already."""
        headers = [
            ("content-type", "application/pkcs10"),
            ("content-transfer-encoding", "base64"),
            ("accept", "application/pkcs7-mime"),
            *self._headers(),
        ]
        body = base64.encodebytes(request.der)
        return Ask("POST", self._at("simplereenroll" if again else "simpleenroll"), headers, body)


def certificates(status: int, headers: Mapping[str, str], body: bytes) -> list[x509.Certificate]:
    """What an answer holds, in its order. `headers` by lower-case name. Raises EstLater, EstRefused."""
    if status in (202, 429) or status >= 500:
        raise EstLater(_wait(headers.get("retry-after", "")), f"the authority's server says {status}: later")
    if status != 200:
        detail = (
            body[:200].decode("utf-8", "replace").strip() if "text/plain" in headers.get("content-type", "") else ""
        )
        raise EstRefused(f"the authority's server says {status}{': ' + detail if detail else ''}")
    kind = headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/pkcs7-mime":
        raise EstRefused(f"the authority's server sent {kind or 'something'}, not application/pkcs7-mime")
    try:
        data = base64.b64decode(b"".join(body.split()), validate=True)
    except binascii.Error:
        data = body  # some servers leave the Base64 out
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # BER where DER belongs is what OpenSSL writes
            found = pkcs7.load_der_pkcs7_certificates(data)
    except (ValueError, UnsupportedAlgorithm, TypeError) as error:
        raise EstRefused(f"the authority's server sent no certificates: {error}") from error
    if not found:
        raise EstRefused("the authority's server sent no certificates")
    return found


def issued_for(request: Request, found: list[x509.Certificate]) -> x509.Certificate:
    """The certificate that has the request's key. Raises EstRefused: an answer to another request is none to this."""
    for one in found:
        if fingerprint(one.public_key()) == request.fingerprint:
            return one
    raise EstRefused("the authority's server sent a certificate for another key")


def _wait(text: str) -> int:
    wanted = int(text) if text.isdigit() and len(text) < 9 else _RETRY_S
    return min(max(wanted, _RETRY_AT_LEAST_S), _RETRY_AT_MOST_S)
