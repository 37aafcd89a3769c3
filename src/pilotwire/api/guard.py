"""What every request passes before any handler: Host and Origin, who is asking, and the headers of every answer.

- In the lab there is no login on loopback, so a web page elsewhere must not be able to reach us through the visitor's
  browser: Host has to be a loopback name (DNS rebinding) and Origin, where sent, our own.
- A cookie is worth nothing for a write that comes from another site: the request has to say that it comes from us, by
  Origin or Sec-Fetch-Site, which browsers set themselves and pages cannot forge; one that says neither is refused. It
  is what a token in each form would prove, for every request alike, and nobody can forget it. Beside it, SameSite=Lax
  keeps the cookie away from what other sites send in the first place.
- A request by API key is not a browser's, so neither applies.
- A platform's admin may name the tenant to work in: header `X-Tenant`, or the parameter `tenant` where no header can
  be sent (server-sent events). For anybody else another tenant's name is refused.
- Texts are said in the language that the console's cookie or Accept-Language asks for, where we speak it.
"""

from __future__ import annotations

import ipaddress
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from . import cookies, language
from .access import Access, Principal, access_of
from .context import ApiContext
from .language import _
from .problems import MEDIA_TYPE, Problem, problem

SLASH = "\uf8ff"
"""Stands for a "/" inside one segment of a path (%2F): a private character that no identifier of ours may hold."""

_PUBLIC = frozenset({"/healthz", "/readyz", "/login", "/openapi.json", "/api", "/favicon.ico"})
_PUBLIC_BELOW = ("/static/", "/login/")
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_CSP = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_HEADERS = (
    (b"content-security-policy", _CSP.encode()),
    (b"x-content-type-options", b"nosniff"),
    (b"referrer-policy", b"same-origin"),
    (b"x-frame-options", b"DENY"),
    (b"cross-origin-opener-policy", b"same-origin"),
    (b"cross-origin-resource-policy", b"same-origin"),
    (b"permissions-policy", b"geolocation=(), camera=(), microphone=()"),
)
_STRICT = (b"strict-transport-security", b"max-age=2592000")
"""For 30 days, this host alone: what else runs on it stays as it is."""


def host_name(netloc: str) -> str:
    """`netloc` without its port, lower case, without brackets; "" when it is no host."""
    try:
        parts = urlsplit(f"//{netloc}")
        if parts.path or parts.query or parts.fragment or parts.username is not None:
            return ""
        _ = parts.port  # raises ValueError for a port that is none
        return (parts.hostname or "").rstrip(".")
    except ValueError:
        return ""


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address.partition("%")[0]).is_loopback
    except ValueError:
        return False


def unslash(segment: str) -> str:
    """A path segment as the client meant it."""
    return segment.replace(SLASH, "/")


def slashed(path: str, raw: bytes) -> str:
    """The decoded path in which a %2F within a segment stays apart from the slashes between segments."""
    if b"%2f" not in raw.lower():
        return path
    return "/".join(unquote(part).replace("/", SLASH) for part in raw.decode("ascii", "replace").split("/"))


class Guard:
    """The outermost ASGI layer. Puts a `Principal` (or None, on public paths) into `scope["state"]["principal"]`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._access: Access = access_of(context)
        self._headers = _headers_for(context.config.map_tiles)
        self._secure = (*self._headers, _STRICT) if context.config.strict_transport else self._headers

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1000, "reason": ""})
                return
            await app(scope, receive, send)
            return
        headers = _headers(scope)
        with language.spoken(_language_of(headers)):
            await self._serve(app, scope, receive, send, headers)

    async def _serve(
        self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send, headers: dict[str, str]
    ) -> None:
        path = scope["path"]
        scope["path"] = slashed(path, scope.get("raw_path") or b"")
        extra: list[tuple[bytes, bytes]] = []
        always = self._secure if scope.get("scheme") == "https" else self._headers
        send = _with_headers(send, path, always, extra)
        try:
            principal = await self._admit(scope, path, headers, extra)
        except Problem as refused:
            await _refuse(refused, scope, path, send)
            return
        scope.setdefault("state", {})["principal"] = principal
        await app(scope, receive, send)

    async def _admit(
        self, scope: HTTPScope, path: str, headers: dict[str, str], extra: list[tuple[bytes, bytes]]
    ) -> Principal | None:
        """Who asks; None on public paths. `extra` takes headers for the answer. Raises Problem."""
        method = str(scope["method"])
        host = headers.get("host", "")
        config = self._context.config
        name = host_name(host)
        if config.lab and name not in _LOOPBACK and name not in config.allowed_hosts:
            raise problem("bad-host", _("Host {host} is not one of this machine's own names.", host=repr(host[:80])))
        if config.allowed_hosts and name not in _LOOPBACK and name not in config.allowed_hosts:
            raise problem("bad-host", _("Host {host} is not served here.", host=repr(host[:80])))
        public = path in _PUBLIC or path.startswith(_PUBLIC_BELOW)
        authorization = headers.get("authorization", "")
        if authorization:
            scheme, _sep, key = authorization.partition(" ")
            principal = await self._access.by_key(key.strip()) if scheme.lower() == "bearer" else None
            if principal is None:
                if public:
                    return None
                raise problem("bad-key", headers={"WWW-Authenticate": 'Bearer realm="pilotwire"'})
            return await self._in_tenant(principal, scope, headers)
        if (config.lab or method not in _SAFE) and not _own_origin(headers, host, navigable=method in _SAFE):
            raise problem("bad-origin")
        principal = await self._by_cookie(scope, headers, public, extra)
        if principal is not None:
            if method not in _SAFE and not _own_origin(headers, host, must_say=True):
                raise problem("bad-origin")
            return await self._in_tenant(principal, scope, headers)
        client = scope.get("client")
        local = client is not None and is_loopback(client[0])
        if config.lab and local:
            return await self._in_tenant(self._access.lab(), scope, headers)
        if public or (path == "/metrics" and local and name in _LOOPBACK):
            return None
        raise problem("login-needed", headers={"WWW-Authenticate": 'Bearer realm="pilotwire"'})

    async def admit_program(self, scope: Scope, headers: dict[str, str]) -> Principal:
        """Whoever shows an API key, and nobody else: for what no browser opens. Raises Problem."""
        asked: Any = {**scope, "method": "GET"}
        principal = await self._admit(asked, scope["path"], headers, []) if headers.get("authorization") else None
        if principal is None:
            raise problem("login-needed", headers={"WWW-Authenticate": 'Bearer realm="pilotwire"'})
        return principal

    async def _by_cookie(
        self, scope: HTTPScope, headers: dict[str, str], public: bool, extra: list[tuple[bytes, bytes]]
    ) -> Principal | None:
        config = self._context.config
        secure = cookies.is_secure(config, scope.get("scheme", "http"))
        token = cookies.read(headers.get("cookie", ""), cookies.login_name(secure))
        if not token:
            return None
        try:
            let = await self._access.by_login(token)
        except Problem:
            if public:  # the login page of somebody whose tenant was suspended
                return None
            raise
        if let is None:
            return None
        if let.token:
            cookie = cookies.login(let.token, days=config.login_days, secure=secure)
            extra.append((b"set-cookie", cookie.to_header(header="").encode()))
        return let.principal

    async def _in_tenant(self, principal: Principal, scope: HTTPScope, headers: dict[str, str]) -> Principal:
        named = headers.get("x-tenant", "")
        if not named and b"tenant=" in scope.get("query_string", b"") and scope["path"].startswith("/api/"):
            named = parse_qs(scope["query_string"].decode("latin-1")).get("tenant", [""])[0]
        return await self._access.work_in(principal, named) if named else principal


def _own_origin(headers: dict[str, str], host: str, *, navigable: bool = False, must_say: bool = False) -> bool:
    """Whether the request comes from a page of ours, or (unless it `must_say`) does not say where it comes from."""
    site = headers.get("sec-fetch-site")
    if site is not None and site not in ("same-origin", "none"):
        # A link from elsewhere may open a page; it may not do anything or read data into that other page.
        navigates = headers.get("sec-fetch-mode") == "navigate" and headers.get("sec-fetch-dest") == "document"
        if not (navigates and navigable and "origin" not in headers):
            return False
    origin = headers.get("origin")
    if origin is None:
        return not must_say or site in ("same-origin", "none")
    return origin.partition("://")[2].lower() == host.lower()


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


def _language_of(headers: dict[str, str]) -> str:
    """What was chosen in the console, else what Accept-Language prefers."""
    cookie = headers.get("cookie", "")
    chosen = cookies.read(cookie, language.COOKIE) if language.COOKIE in cookie else ""
    return language.choose(chosen, headers.get("accept-language", ""))


def _headers_for(tiles: str) -> tuple[tuple[bytes, bytes], ...]:
    """The headers of every answer; pictures may come from the configured server of map tiles too."""
    if not tiles:
        return _HEADERS
    parts = urlsplit(tiles)
    policy = _CSP.replace("img-src 'self'", f"img-src 'self' {parts.scheme}://{parts.netloc}")
    return ((b"content-security-policy", policy.encode()), *_HEADERS[1:])


def _with_headers(
    send: Send, path: str, always: tuple[tuple[bytes, bytes], ...], extra: list[tuple[bytes, bytes]]
) -> Send:
    cacheable = path.startswith("/static/")

    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers: list[Any] = [*message.get("headers", ()), *always]
            # A handler that sets the cookie itself (a new password, logging out) has the last word.
            if extra and not any(name.lower() == b"set-cookie" and b"_login=" in value for name, value in headers):
                headers += extra
            if not cacheable and not any(name.lower() == b"cache-control" for name, _ in headers):
                headers.append((b"cache-control", b"no-store"))
            message["headers"] = headers
        await send(message)

    return wrapped


async def _refuse(refused: Problem, scope: HTTPScope, path: str, send: Send) -> None:
    """A problem, or for a person who opens a page without a login the way to the login page."""
    given = _headers(scope)
    if refused.status == 401 and not path.startswith("/api/") and (target := _way_to_login(scope, given, path)):
        if "hx-request" in given:  # a piece of a page: the page itself has to go
            headers = [(b"hx-redirect", target.encode()), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        headers = [(b"location", target.encode()), (b"content-length", b"0")]
        await send({"type": "http.response.start", "status": 303, "headers": headers})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
        return
    body = refused.encode()
    headers = [(b"content-type", MEDIA_TYPE.encode()), (b"content-length", str(len(body)).encode())]
    headers += [(name.lower().encode(), value.encode()) for name, value in refused.headers.items()]
    await send({"type": "http.response.start", "status": refused.status, "headers": headers})
    await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else body, "more_body": False})


def _way_to_login(scope: HTTPScope, headers: dict[str, str], path: str) -> str:
    """The address of the login page that leads back to where the person was; "" for whoever is not a person."""
    query = scope.get("query_string", b"").decode("latin-1")
    back = path + (f"?{query}" if query else "")
    if "hx-request" in headers:
        back = _own_page(headers.get("hx-current-url", ""), headers)
    elif "text/html" not in headers.get("accept", ""):
        return ""
    elif scope["method"] not in ("GET", "HEAD"):
        # What was to be done cannot be done after the login by itself; the page that it came from can be shown.
        back = _own_page(headers.get("referer", ""), headers)
    return "/login?next=" + quote(back, safe="")


def _own_page(url: str, headers: dict[str, str]) -> str:
    """The path of a page of ours; "/" where it is none."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "/"
    if not parts.path.startswith("/") or parts.netloc.lower() != headers.get("host", "").lower():
        return "/"
    return parts.path + (f"?{parts.query}" if parts.query else "")
