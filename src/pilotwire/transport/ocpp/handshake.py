"""The opening handshake (RFC 6455 section 4, OCPP-J 1.6 section 3, OCPP 2.x part 4 section 3), without any I/O.

Both servers read the request with this, because the decision needs what WebSocket libraries do not show: raw bytes of
the credentials, the path before decoding, and an answer before the upgrade.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from hashlib import sha1
from typing import NamedTuple
from urllib.parse import quote, unquote_to_bytes

from pilotwire.core.errors import ConfigError, RemoteError
from pilotwire.core.ids import DEFAULT_TENANT, BadIdentity, check_identity
from pilotwire.transport.port import SUBPROTOCOLS

from . import deflate
from .limits import EdgeLimits

HELP = (
    "This port speaks OCPP over WebSocket.\n"
    "Point a charging station at ws(s)://HOST:PORT{prefix}/IDENTITY with one of the subprotocols "
    + ", ".join(SUBPROTOCOLS)
    + ".\n"
)

_GUID = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_TOKEN = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+")
_BAD_VALUE = re.compile(rb"[\x00-\x08\x0a-\x1f\x7f]")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSOLUTE = re.compile(r"(?:wss?|https?)://[^/?#]*", re.IGNORECASE)
_PHRASES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    408: "Request Timeout",
    409: "Conflict",
    426: "Upgrade Required",
    429: "Too Many Requests",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
    503: "Service Unavailable",
}


_REASONS = {
    401: "malformed-credential",
    404: "wrong-path",
    408: "too-slow",
    426: "not-websocket",
    429: "blocked",
    503: "stopping",
}


class HttpRefusal(RemoteError):
    """The request cannot become a WebSocket: the HTTP status to answer, extra headers and a text for a human."""

    def __init__(self, status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status
        self.text = text
        self.headers = headers
        self.reason = _REASONS.get(status, "bad-request")
        """In one word, as `transport.port.TurnedAway` has it."""
        self.told = False
        """Admission has refused it, and has said so itself."""


class Request(NamedTuple):
    """A syntactically sound GET request. Header names are lower case; repeated headers are joined by a comma."""

    target: str
    headers: dict[str, bytes]


class Upgrade(NamedTuple):
    """A sound request for a WebSocket on an OCPP path."""

    tenant: str
    identity: str
    key: bytes
    """Sec-WebSocket-Key as sent."""
    subprotocol: str | None
    user: bytes | None
    password: bytes | None
    extension: deflate.Agreement | None


def parse_request(head: bytes, limits: EdgeLimits) -> Request:
    """The request line and headers, without the empty line that ends them. Raises HttpRefusal."""
    lines = head.split(b"\r\n")
    if limits.header_lines and len(lines) - 1 > limits.header_lines:
        raise HttpRefusal(431, "too many header lines")
    parts = lines[0].split(b" ")
    if len(parts) != 3 or parts[2] != b"HTTP/1.1" or not parts[1]:
        raise HttpRefusal(400, "expected an HTTP/1.1 request line")
    method, raw_target, _ = parts
    try:
        target = raw_target.decode("ascii")
    except UnicodeDecodeError:
        raise HttpRefusal(400, "the request target is not ASCII") from None
    headers: dict[str, bytes] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not colon or not _TOKEN.fullmatch(name):
            raise HttpRefusal(400, "malformed header line")
        value = value.strip(b" \t")
        if _BAD_VALUE.search(value):
            raise HttpRefusal(400, "control characters in a header")
        key = name.decode("ascii").lower()
        if key in headers:
            if key in ("authorization", "content-length", "host", "sec-websocket-key", "sec-websocket-version"):
                raise HttpRefusal(400, f"repeated header {key}")
            value = headers[key] + b", " + value
        headers[key] = value
    if method != b"GET":
        raise HttpRefusal(405, "only GET is served here", (("Allow", "GET"),))
    if "transfer-encoding" in headers or headers.get("content-length", b"0").strip(b"0"):
        raise HttpRefusal(400, "a request body is not expected here")
    return Request(target, headers)


def read_upgrade(request: Request, *, prefix: str, limits: EdgeLimits) -> Upgrade:
    """What the request asks for. Raises HttpRefusal: 426 where it is no WebSocket, 404 for a path without identity."""
    headers = request.headers
    if "websocket" not in _tokens(headers.get("upgrade")) or "upgrade" not in _tokens(headers.get("connection")):
        text = HELP.format(prefix=prefix)
        raise HttpRefusal(426, text, (("Upgrade", "websocket"), ("Connection", "Upgrade")))
    if headers.get("sec-websocket-version") != b"13":
        raise HttpRefusal(426, "WebSocket version 13 is spoken here", (("Sec-WebSocket-Version", "13"),))
    key = headers.get("sec-websocket-key", b"")
    try:
        nonce = base64.b64decode(key, validate=True)
    except (binascii.Error, ValueError):
        nonce = b""
    if len(nonce) != 16:
        raise HttpRefusal(400, "Sec-WebSocket-Key must be 16 bytes in base64")
    tenant, identity = parse_path(request.target, prefix)
    user, password = parse_basic(headers.get("authorization"))
    return Upgrade(
        tenant,
        identity,
        key,
        choose_subprotocol(headers.get("sec-websocket-protocol")),
        user,
        password,
        deflate.negotiate(headers.get("sec-websocket-extensions")) if limits.deflate else None,
    )


def check_prefix(prefix: str) -> str:
    """`/ocpp`, `/a/ocpp` or the empty prefix. Raises ConfigError."""
    if prefix and (not prefix.startswith("/") or prefix.endswith("/") or not prefix.isascii()):
        raise ConfigError(f"the path prefix must begin with / and not end with it, e.g. /ocpp, not {prefix!r}")
    return prefix


def parse_path(target: str, prefix: str) -> tuple[str, str]:
    """(tenant, identity) of `{prefix}/{identity}` or `{prefix}/{tenant}/{identity}`, each percent-decoded once.

    Doubled slashes before the identity are forgiven, since many stations join URL and identity with one too many. A
    version in the path would be a tenant: the path never decides the version. Raises HttpRefusal(404).
    """
    path = _ABSOLUTE.sub("", target, count=1) if not target.startswith("/") else target
    path = path.partition("?")[0].partition("#")[0]
    if not path.startswith(f"{prefix}/"):
        raise HttpRefusal(404, "no station path")
    *before, last = path[len(prefix) + 1 :].split("/")
    before = [segment for segment in before if segment]
    if len(before) > 1:
        raise HttpRefusal(404, "no station path")
    return (_segment(before[0]) if before else DEFAULT_TENANT), _segment(last)


def shown_path(target: str) -> str:
    """The path of a request's target as people may see it: without host, user, query and fragment, cut to a length."""
    path = target if target.startswith("/") else _ABSOLUTE.sub("", target, count=1)
    return path.partition("?")[0].partition("#")[0][:200]


def _segment(text: str) -> str:
    if _BAD_ESCAPE.search(text):
        raise HttpRefusal(404, "malformed percent-encoding")
    try:
        return check_identity(unquote_to_bytes(text).decode("utf-8"))
    except (BadIdentity, UnicodeDecodeError):
        raise HttpRefusal(404, "not a station identity") from None


def station_url(base: str, identity: str, tenant: str = DEFAULT_TENANT) -> str:
    """`base` (such as `ws://host:9000/ocpp`) with the tenant, where it is not the default, and the identity."""
    middle = "" if tenant == DEFAULT_TENANT else quote(tenant, safe="") + "/"
    return f"{base.rstrip('/')}/{middle}{quote(identity, safe='')}"


def parse_basic(value: bytes | None) -> tuple[bytes | None, bytes | None]:
    """(user, password) of a Basic Authorization header as raw bytes, split at the first colon (RFC 7617).

    The password of 1.6 is raw bytes (security whitepaper, AuthorizationKey), so nothing is decoded. (None, None)
    without a header; raises HttpRefusal(401) for anything that is there but cannot be read.
    """
    if value is None:
        return None, None
    scheme, _, encoded = value.partition(b" ")
    try:
        if scheme.lower() != b"basic":
            raise ValueError
        user, colon, password = base64.b64decode(encoded.strip(b" "), validate=True).partition(b":")
        if not colon:
            raise ValueError
    except (binascii.Error, ValueError):
        raise unauthorized() from None
    return user, password


def basic_header(user: str, password: bytes) -> str:
    """The value of the Authorization header."""
    return "Basic " + base64.b64encode(user.encode() + b":" + password).decode("ascii")


def unauthorized() -> HttpRefusal:
    """401 with the challenge that RFC 7235 asks for."""
    return HttpRefusal(401, "wrong credentials", (("WWW-Authenticate", 'Basic realm="OCPP", charset="UTF-8"'),))


def refusal(status: int) -> HttpRefusal:
    """The answer to an application's `Refuse`: the status alone, no reason."""
    return unauthorized() if status == 401 else HttpRefusal(status, _PHRASES.get(status, "refused").lower())


def choose_subprotocol(value: bytes | None) -> str | None:
    """The first that we speak, in the client's order; None when none is common or the header is missing."""
    if value is None:
        return None
    for item in value.split(b","):
        name = item.strip(b" \t").decode("latin-1")
        if name in SUBPROTOCOLS:
            return name
    return None


def offered_subprotocols(value: bytes | None, most: int = 10) -> tuple[str, ...]:
    """What a client offers, as it wrote it; of each name and of all of them only the beginning."""
    if value is None:
        return ()
    return tuple(item.strip(b" \t").decode("latin-1")[:40] for item in value.split(b",")[:most])


def accept_key(key: bytes) -> str:
    """Sec-WebSocket-Accept (RFC 6455 4.2.2)."""
    return base64.b64encode(sha1(key + _GUID, usedforsecurity=False).digest()).decode("ascii")


def response(status: int, text: str, headers: Sequence[tuple[str, str]] = ()) -> bytes:
    """A closing HTTP response with a plain text."""
    body = text.encode()
    lines = [f"HTTP/1.1 {status} {_PHRASES.get(status, 'Refused')}"]
    lines += [f"{name}: {value}" for name, value in headers]
    if not any(name == "Connection" for name, _ in headers):
        lines.append("Connection: close")
    lines += ["Content-Type: text/plain; charset=utf-8", f"Content-Length: {len(body)}", "Cache-Control: no-store"]
    return "\r\n".join([*lines, "", ""]).encode("ascii") + body


def _tokens(value: bytes | None) -> list[str]:
    return [item.strip(b" \t").decode("latin-1").lower() for item in value.split(b",")] if value else []
