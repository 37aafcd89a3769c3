"""What holds for every request of the API, applied once around the application instead of in each handler:

- a rate limit per principal (`RateLimit` headers, 429 with `Retry-After`),
- `Idempotency-Key` on every POST (`pilotwire.api.idempotency`),
- HEAD wherever there is a GET,
- `ETag` on every JSON answer to a GET, and 304 for a cache that has it already,
- `fields=a,b` on every GET: only these fields of the thing, or of each item of a list.

It runs inside the guard: who asks is known by then.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any, get_args, get_origin
from urllib.parse import parse_qsl

import msgspec
from litestar import Response
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Scope, Send

from .access import Principal
from .context import ApiContext
from .edit import digest, matches
from .idempotency import Idempotency
from .language import _
from .limiter import Allowance, RequestLimiter
from .problems import Problem, problem, send_problem

_API = "/api/"
_JSON = b"application/json"
_MAX_FIELDS = 2_000


class Conventions:
    """The layer between the guard and the application."""

    def __init__(self, context: ApiContext) -> None:
        config = context.config
        self._limiter: RequestLimiter | None = None
        if config.rate_per_s > 0:
            burst = config.rate_burst or max(1, round(4 * config.rate_per_s))
            self._limiter = RequestLimiter(context.scheduler.now, config.rate_per_s, burst)
        self._idempotency = Idempotency(context)

    async def __call__(self, app: ASGIApp, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or let the application answer. Only for HTTP."""
        if scope["type"] != "http":
            await app(scope, receive, send)
            return
        head = scope["method"] == "HEAD"
        try:
            send = self.admit(scope, send)
            if head:
                await _head(app, scope, receive, send)
            elif scope["path"].startswith(_API):
                await self._api(app, scope, receive, send)
            else:
                await app(scope, receive, send)
        except Problem as refused:
            await send_problem(refused, send, head=head)

    def admit(self, scope: HTTPScope, send: Send) -> Send:
        """Count this request; returns a `send` that tells what is left. Raises Problem 429."""
        principal: Principal | None = scope["state"].get("principal")
        if self._limiter is None or principal is None:
            return send
        left = self._limiter.take((principal.tenant, principal.by, principal.name))
        headers = self._told(left)
        if left.wait_ms:
            wait = str(-(-left.wait_ms // 1000))
            shown = {name.decode(): value.decode() for name, value in headers}
            raise problem("too-many-requests", headers={"Retry-After": wait, **shown})
        return _with(send, headers)

    def _told(self, left: Allowance) -> list[tuple[bytes, bytes]]:
        """`RateLimit` and `RateLimit-Policy` (draft-ietf-httpapi-ratelimit-headers)."""
        assert self._limiter is not None
        window = max(1, round(self._limiter.burst / self._limiter.rate_per_s))
        return [
            (b"ratelimit-policy", f'"principal";q={self._limiter.burst};w={window}'.encode()),
            (b"ratelimit", f'"principal";r={left.left};t={-(-left.full_ms // 1000)}'.encode()),
        ]

    async def _api(self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
        method = scope["method"]
        if method == "GET":
            await app(scope, receive, _Getting(scope, send))
            return
        if method == "POST" and scope["state"].get("principal") is not None:
            headers = dict(scope["headers"])
            key = headers.get(b"idempotency-key")
            if key is not None:
                credential = headers.get(b"authorization") or headers.get(b"cookie") or b""
                await self._idempotency(
                    app, scope, receive, send, key=key.decode("latin-1"), credential=credential.decode("latin-1")
                )
                return
        await app(scope, receive, send)


async def _head(app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send) -> None:
    """As GET, without the body. A stream is left as soon as its headers are known."""
    asked: Any = {**scope, "method": "GET"}
    started = asyncio.Event()

    async def gone() -> Any:
        if not started.is_set():
            message: Any = await receive()
            if message["type"] == "http.request" and not message.get("more_body", False):
                return message
        await started.wait()
        return {"type": "http.disconnect"}

    async def quiet(message: Message) -> None:
        if message["type"] == "http.response.start":
            await send(message)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            started.set()

    await app(asked, gone, _Getting(asked, quiet) if scope["path"].startswith(_API) else quiet)


def _with(send: Send, headers: Iterable[tuple[bytes, bytes]]) -> Send:
    async def wrapped(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *headers]
        await send(message)

    return wrapped


class _Getting:
    """Holds back the head of an answer until its body is there, to tag it, thin it out or leave it away.

    What comes in pieces (exports, streams) passes untouched.
    """

    __slots__ = ("_query", "_scope", "_send", "_start")

    def __init__(self, scope: HTTPScope, send: Send) -> None:
        self._scope = scope
        self._send = send
        self._start: Any = None

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            held = message["status"] == 200 and any(
                name == b"content-type" and value.startswith(_JSON) for name, value in message["headers"]
            )
            if held:
                self._start = message
                return
        elif self._start is not None and message["type"] == "http.response.body":
            start, self._start = self._start, None
            if not message.get("more_body", False):
                await self._whole(start, message["body"])
                return
            await self._send(start)
        await self._send(message)

    async def _whole(self, start: Any, body: bytes) -> None:
        query = self._scope["query_string"]
        if b"fields=" in query:
            try:
                body = thinned(body, fields_in(query), known_fields(self._scope))
            except Problem as refused:
                await send_problem(refused, self._send)
                return
        headers = [(name, value) for name, value in start["headers"] if name != b"content-length"]
        tag = next((value for name, value in headers if name.lower() == b"etag"), None)
        if tag is None:
            tag = f'W/"{digest(body)}"'.encode()
            headers.append((b"etag", tag))
        known = next((value for name, value in self._scope["headers"] if name == b"if-none-match"), None)
        if known is not None and matches(known.decode("latin-1"), tag.decode("latin-1")):
            headers = [(name, value) for name, value in headers if name != b"content-type"]
            await self._send({"type": "http.response.start", "status": 304, "headers": headers})
            await self._send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        headers.append((b"content-length", str(len(body)).encode()))
        start["headers"] = headers
        await self._send(start)
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


# -- sparse fields ----------------------------------------------------------------------------------------------------
def fields_in(query: bytes) -> list[str]:
    """The fields named in a query string. Raises Problem 400 when there is none or they are far too many."""
    named: list[str] = []
    with contextlib.suppress(ValueError):
        for name, value in parse_qsl(query.decode("latin-1"), keep_blank_values=True, max_num_fields=100):
            if name == "fields":
                named += [one.strip() for one in value[:_MAX_FIELDS].split(",") if one.strip()]
    if not named:
        message = _("names of fields with a comma between, as in fields=id,status")
        raise problem("bad-parameter", errors=[{"field": "fields", "message": message}])
    return named


def thinned(body: bytes, named: list[str], known: list[str] | None) -> bytes:
    """A JSON object with only these fields; of a page, each of its items. Raises Problem 400 for an unknown one."""
    decoded: Any = msgspec.json.decode(body)
    if not isinstance(decoded, dict):
        return body
    items = decoded.get("items")
    paged = isinstance(items, list)
    if known is not None and (unknown := [one for one in named if one not in known]):
        message = _("{unknown} is none of {names}", unknown=repr(unknown[0][:60]), names=", ".join(known))
        raise problem("bad-parameter", errors=[{"field": "fields", "message": message}])
    wanted = set(named)
    if paged:
        decoded["items"] = [_only(one, wanted) for one in items]
    else:
        decoded = _only(decoded, wanted)
    return msgspec.json.encode(decoded)


def _only(value: Any, wanted: set[str]) -> Any:
    return {key: one for key, one in value.items() if key in wanted} if isinstance(value, dict) else value


def known_fields(scope: HTTPScope) -> list[str] | None:
    """What a handler's answer (or each item of its page) may hold by its type; None where that says nothing."""
    handler: Any = scope.get("route_handler")
    signature = getattr(handler, "parsed_fn_signature", None)
    kind = signature.return_type.annotation if signature is not None else None
    return fields_of(kind)


def fields_of(kind: Any) -> list[str] | None:
    """The encoded names of a struct's fields; of a page, those of its items; looks through `Response[...]`."""
    if get_origin(kind) is not None and issubclass(get_origin(kind), Response):
        kind = get_args(kind)[0]
    if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
        return None
    fields = {one.encode_name: one.type for one in msgspec.structs.fields(kind)}
    items = fields.get("items")
    if get_origin(items) is list:
        return fields_of(get_args(items)[0])
    return list(fields)
