"""`Idempotency-Key`: a POST that is sent twice is done once.

For a day, a POST below `/api/` with the same key by the same principal gets the first one's answer again, marked
`Idempotent-Replayed: true`. What is remembered is what was done: answers of 2xx and 3xx, and 504 (the command has gone
out). Any other answer frees the key, so that what was refused can be mended and sent again. The same key with another
request is 422 `key-reused`, one that is still being answered 409 `key-in-use`.

An answer may hold a secret that is shown this once (a new key, a password). It is therefore kept encrypted under the
credential and the key of the one who asked, neither of which the store knows; without that very credential it cannot
be shown again (409).
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from typing import Any, Literal

import msgspec
from litestar.types import ASGIApp, HTTPScope, Message, Receive, Send

from pilotwire.storage.documents import Conflict, Delete, put, sort_time, unpack

from .access import Principal
from .context import ApiContext
from .language import _
from .problems import problem

KIND = "idempotency"
DAY_MS = 86_400_000
LEASE_MS = 180_000
"""Longer than any answer takes. A request that has not ended by then ended with its process: its key is free again."""
MAX_KEY = 255
MAX_BODY = 1 << 20
"""Longer answers are not remembered; the key then stays used (409)."""
_SWEEP_EVERY = 50
_SHOWN = frozenset((b"content-type", b"location", b"etag"))


class _Remembered(msgspec.Struct, kw_only=True, omit_defaults=True):
    request: str
    """Digest of method, address and body."""
    state: Literal["running", "done"]
    began_at: int
    status: int = 0
    sealed: bytes = b""
    """Encrypted `_Answer`; empty where it was too long to keep."""


class _Answer(msgspec.Struct, array_like=True):
    headers: list[tuple[str, str]]
    body: bytes


class Idempotency:
    """Applied around the application to every POST that carries a key."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._running: set[tuple[str, str]] = set()
        self._writes = 0

    async def __call__(
        self, app: ASGIApp, scope: HTTPScope, receive: Receive, send: Send, *, key: str, credential: str
    ) -> None:
        """Answer from memory, or let the application answer and remember it. Raises Problem 400, 409, 413, 422."""
        principal: Principal = scope["state"]["principal"]
        if not (0 < len(key) <= MAX_KEY and key.isascii() and key.isprintable()):
            message = _("1 to {n} printable ASCII characters, best a random UUID", n=MAX_KEY)
            raise problem("bad-parameter", errors=[{"field": "Idempotency-Key", "message": message}])
        body = await _read(receive)
        if body is None:
            return
        name = _digest("key", principal.by, principal.name, key)
        request = _digest("request", str(scope["method"]), scope["path"], scope["query_string"], body)
        sealer = _Sealer(credential, key)
        place = (principal.tenant, name)
        if place in self._running:
            raise problem("key-in-use", headers={"Retry-After": "1"})
        self._running.add(place)
        try:
            again = await self._begin(principal.tenant, name, request, sealer)
            if again is not None:
                await _replay(again, send)
                return
            await self._let(app, scope, body, send, place, request, sealer)
        finally:
            self._running.discard(place)

    async def _begin(
        self, tenant: str, name: str, request: str, sealer: _Sealer
    ) -> tuple[int, list[tuple[str, str]], bytes] | None:
        """Claim the key, or return the answer that it stands for."""
        store, now = self._context.store, self._context.scheduler.now()
        found = await store.document(tenant, KIND, name)
        if found is not None:
            known = unpack(found, _Remembered).value
            age = now - known.began_at
            if age < DAY_MS and (known.state == "done" or age < LEASE_MS):
                if known.request != request:
                    raise problem("key-reused")
                if known.state == "running":
                    raise problem("key-in-use", headers={"Retry-After": "1"})
                answer = sealer.open(known.sealed) if known.sealed else None
                if answer is None:
                    raise problem(
                        "key-in-use",
                        _(
                            "This request was made and done, and its answer cannot be shown again: it was too long to "
                            "keep, or was given to another login or key."
                        ),
                    )
                return known.status, answer.headers, answer.body
        claim = _Remembered(request=request, state="running", began_at=now)
        expected = found.version if found else 0
        try:
            await store.write_documents(tenant, [put(KIND, name, claim, sort=sort_time(now), expected=expected)])
        except Conflict:
            raise problem("key-in-use", headers={"Retry-After": "1"}) from None
        return None

    async def _let(
        self,
        app: ASGIApp,
        scope: HTTPScope,
        body: bytes,
        send: Send,
        place: tuple[str, str],
        request: str,
        sealer: _Sealer,
    ) -> None:
        tenant, name = place
        heard = _Heard(send)
        settled = False
        try:
            await app(scope, _given(body), heard)
            settled = True
        finally:
            if not (settled and heard.worth_keeping):
                await self._context.store.write_documents(tenant, [Delete(KIND, name)])
        if heard.worth_keeping:
            now = self._context.scheduler.now()
            sealed = sealer.seal(_Answer(heard.headers, bytes(heard.body))) if heard.whole else b""
            done = _Remembered(request=request, state="done", began_at=now, status=heard.status, sealed=sealed)
            await self._context.store.write_documents(tenant, [put(KIND, name, done, sort=sort_time(now))])
            await self._sweep(tenant, now)
        await heard.release()

    async def _sweep(self, tenant: str, now: int) -> None:
        """Now and then, forget what is older than a day."""
        self._writes += 1
        if self._writes % _SWEEP_EVERY:
            return
        old = await self._context.store.documents(tenant, KIND, high=sort_time(now - DAY_MS), limit=4 * _SWEEP_EVERY)
        if old.items:
            await self._context.store.write_documents(tenant, [Delete(KIND, one.id) for one in old.items])


class _Sealer:
    """Encrypts answers under what only the client knows."""

    def __init__(self, credential: str, key: str) -> None:
        self._key = hashlib.blake2b(credential.encode(), key=hashlib.sha256(key.encode()).digest(), digest_size=32)

    def seal(self, answer: _Answer) -> bytes:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        nonce = os.urandom(12)
        return nonce + AESGCM(self._key.digest()).encrypt(nonce, msgspec.msgpack.encode(answer), None)

    def open(self, sealed: bytes) -> _Answer | None:
        """None where it was sealed for somebody else."""
        from cryptography.exceptions import InvalidTag
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        try:
            plain = AESGCM(self._key.digest()).decrypt(sealed[:12], sealed[12:], None)
        except InvalidTag:
            return None
        return msgspec.msgpack.decode(plain, type=_Answer)


class _Heard:
    """Listens to the answer while it goes out. Its last piece waits until the answer is remembered, so that a client
    that has the whole answer can count on getting it again."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._last: Message | None = None
        self.status = 0
        self.headers: list[tuple[str, str]] = []
        self.body = bytearray()
        self.whole = True

    @property
    def worth_keeping(self) -> bool:
        return 200 <= self.status < 400 or self.status == 504

    async def __call__(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = [
                (name.decode("latin-1"), value.decode("latin-1"))
                for name, value in message.get("headers", ())
                if name.lower() in _SHOWN
            ]
        elif message["type"] == "http.response.body":
            piece = message.get("body", b"")
            if len(self.body) + len(piece) > MAX_BODY:
                self.whole = False
                self.body.clear()
            elif self.whole:
                self.body += piece
            if not message.get("more_body", False):
                self._last = message
                return
        await self._send(message)

    async def release(self) -> None:
        """Send the last piece."""
        if self._last is not None:
            await self._send(self._last)


def _digest(*parts: str | bytes) -> str:
    made = hashlib.sha256()
    for part in parts:
        data = part.encode() if isinstance(part, str) else part
        made.update(len(data).to_bytes(8, "big") + data)
    return made.hexdigest()


async def _read(receive: Receive) -> bytes | None:
    """The whole body; None when the client went away in the middle of it."""
    body = bytearray()
    while True:
        message: Any = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > MAX_BODY:
            raise problem("too-large")
        if not message.get("more_body", False):
            return bytes(body)


def _given(body: bytes) -> Receive:
    """The body once; after that the client is not heard any more, for what it asked for is to be done in any case."""
    pieces: list[Any] = [{"type": "http.request", "body": body, "more_body": False}]

    async def receive() -> Any:
        if not pieces:
            await asyncio.Event().wait()
        return pieces.pop()

    return receive


async def _replay(again: tuple[int, list[tuple[str, str]], bytes], send: Send) -> None:
    status, headers, body = again
    shown: list[tuple[bytes, bytes]] = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers]
    shown += [(b"idempotent-replayed", b"true"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": shown})
    await send({"type": "http.response.body", "body": body, "more_body": False})
