"""The file server: ASGI below `/files/`, beside the API and without its logins, since the link is the credential.

    GET, HEAD /files/<link>/<name>     fetch a file; `Range` for resuming (RFC 9110 section 14)
    PUT, POST /files/<link>/<name>     leave a file: its bytes, or one part of multipart/form-data that has a file name

Stations speak HTTP as they do: a POST without a Content-Type is taken, and so are a name that was made up and a further
path below the link. Nothing is told of a link that is not valid but that there is no such file.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from litestar.types import HTTPScope, Receive, Scope, Send
from multipart import MultipartError, MultipartSegment, PushMultipartParser, parse_options_header

from ..context import ApiContext
from .folder import Folder, TooLarge
from .links import PREFIX, Link, links_of

log = logging.getLogger(__name__)

_RANGE = re.compile(r"bytes=(?:(\d{1,18})-(\d{0,18})|-(\d{1,18}))")
IDLE_S = 60.0
"""A sender that says nothing for so long is not waited for."""
AT_ONCE = 200
"""Files that are sent or taken at the same time; others are asked to come back."""
Received = Callable[[ApiContext, Link, "Upload"], Awaitable[None]]


class Upload:
    """A file that was left."""

    __slots__ = ("name", "sha256", "size")

    def __init__(self, size: int, sha256: str, name: str) -> None:
        self.size, self.sha256, self.name = size, sha256, name


class _Answer(Exception):
    """Nothing but a status."""

    def __init__(self, status: int, **headers: str) -> None:
        super().__init__(str(status))
        self.status = status
        self.headers = headers


class FileServer:
    """An ASGI application for the paths below `PREFIX`. `received` is told of every file that was left."""

    def __init__(self, context: ApiContext, received: Received) -> None:
        self._context = context
        self._received = received
        self._busy = 0

    def serves(self, scope: Scope) -> bool:
        """Whether a request is for it."""
        return scope["type"] == "http" and scope["path"].startswith(PREFIX)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"
        try:
            if self._context.files is None:
                raise _Answer(404)
            if self._busy >= AT_ONCE:
                raise _Answer(503, **{"retry-after": "30"})
            self._busy += 1
            try:
                await self._serve(scope, receive, send, Folder(self._context.files))
            finally:
                self._busy -= 1
        except _Answer as answer:
            with contextlib.suppress(OSError):
                await _say(send, answer.status, answer.headers)

    async def _serve(self, scope: HTTPScope, receive: Receive, send: Send, folder: Folder) -> None:
        method = scope["method"]
        token = scope["path"][len(PREFIX) :].partition("/")[0]
        kept = await links_of(self._context).find(token)
        if kept is None:
            raise _Answer(404)
        link = kept.value
        if link.purpose == "firmware":
            if method not in ("GET", "HEAD"):
                raise _Answer(405, allow="GET, HEAD")
            await self._give(scope, send, folder, link)
            return
        if method not in ("PUT", "POST"):
            raise _Answer(405, allow="PUT, POST")
        await self._take(scope, receive, folder, link, token, kept.version)
        await _say(send, 201, {})

    # -- fetching -----------------------------------------------------------------------------------------------------
    async def _give(self, scope: HTTPScope, send: Send, folder: Folder, link: Link) -> None:
        size = await folder.size(link.tenant, "firmware", link.file)
        if size is None:
            raise _Answer(404)
        given = _headers(scope)
        tag = f'"{link.sha256[:32]}"'
        headers = {
            "content-type": "application/octet-stream",
            "accept-ranges": "bytes",
            "etag": tag,
            "cache-control": "no-store",
            "x-content-type-options": "nosniff",
            "content-disposition": "attachment",
        }
        start, end, status = 0, size, 200
        wanted = given.get("range", "")
        if wanted and given.get("if-range", tag) == tag:
            found = _span(wanted, size)
            if found is None:
                raise _Answer(416, **{"content-range": f"bytes */{size}"})
            if found:
                (start, end), status = found, 206
                headers["content-range"] = f"bytes {start}-{end - 1}/{size}"
        headers["content-length"] = str(end - start)
        await _start(send, status, headers)
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        async for piece in folder.read(link.tenant, "firmware", link.file, start, end):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    # -- leaving ------------------------------------------------------------------------------------------------------
    async def _take(
        self, scope: HTTPScope, receive: Receive, folder: Folder, link: Link, token: str, version: int
    ) -> None:
        given = _headers(scope)
        length = given.get("content-length", "")
        if length.isdecimal() and int(length) > link.limit + 65_536:
            raise _Answer(413)
        if given.get("content-encoding", "identity").lower() not in ("", "identity"):
            raise _Answer(415)
        incoming = await asyncio.to_thread(folder.incoming, link.tenant, "logs", link.file, link.limit)
        try:
            name = await _pour(given.get("content-type", ""), _body(receive), incoming.write)
            if not await links_of(self._context).spend(token, version):
                raise _Answer(404)
            digests = await incoming.commit()
        except TooLarge:
            raise _Answer(413) from None
        except (MultipartError, Broken) as error:
            log.info("a file of %s was not left: %s", link.station, error)
            raise _Answer(400) from None
        finally:
            await asyncio.to_thread(incoming.drop)
        name = name or scope["path"][len(PREFIX) :].partition("/")[2]
        await self._received(self._context, link, Upload(digests.size, digests.sha256, name))


class Broken(Exception):
    """The sender went away, fell silent, or sent what is no file."""


async def _body(receive: Receive) -> AsyncIterator[bytes]:
    while True:
        try:
            async with asyncio.timeout(IDLE_S):
                message = await receive()
        except TimeoutError:
            raise Broken("nothing came for a minute") from None
        if message["type"] == "http.disconnect":
            raise Broken("the connection was lost")
        if message["type"] != "http.request":
            continue
        if message["body"]:
            yield message["body"]
        if not message["more_body"]:
            return


async def _pour(kind: str, body: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]) -> str:
    """Write the file that a body holds; its name where one is given. Raises Broken, MultipartError, TooLarge."""
    if not kind.lower().startswith("multipart/"):
        async for piece in body:
            await write(piece)
        return ""
    return await pour_parts(kind, body, write)


async def pour_parts(kind: str, body: AsyncIterator[bytes], write: Callable[[bytes], Awaitable[None]]) -> str:
    """Write the file of a form; its name. Raises Broken, MultipartError, TooLarge."""
    names: list[str] = []
    async for piece in file_of_form(kind, body, names):
        await write(piece)
    return names[0]


async def file_of_form(kind: str, body: AsyncIterator[bytes], names: list[str]) -> AsyncIterator[bytes]:
    """The first part of multipart/form-data that has a file name, in pieces; its name goes into `names`.

    A part without one is taken where it is called `file` or `log`, or nothing. Raises Broken, MultipartError.
    """
    boundary = parse_options_header(kind)[1].get("boundary", "")
    if not boundary:
        raise Broken("multipart without a boundary")
    within = False
    with PushMultipartParser(boundary, max_segment_size=1 << 40) as parser:
        async for piece in body:
            for event in parser.parse(piece):
                if isinstance(event, MultipartSegment):
                    within = not names and (event.filename is not None or event.name in ("file", "log", ""))
                    if within:
                        names.append(event.filename or "")
                elif event is None:
                    within = False
                elif within:
                    yield bytes(event)
    if not names:
        raise Broken("no part holds a file")


def _span(text: str, size: int) -> tuple[int, int] | tuple[()] | None:
    """`Range` as (start, before the end); () for what is ignored (several, other units); None: none of the file."""
    if "," in text or not text.startswith("bytes="):
        return ()
    found = _RANGE.fullmatch(text.replace(" ", ""))
    if found is None:
        return ()
    if found[3] is not None:
        return (max(0, size - int(found[3])), size) if int(found[3]) and size else None
    start = int(found[1])
    if found[2] and int(found[2]) < start:
        return ()
    if start >= size:
        return None
    return start, min(size, int(found[2]) + 1) if found[2] else size


def _headers(scope: Scope) -> dict[str, str]:
    return {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}


async def _start(send: Send, status: int, headers: dict[str, str]) -> None:
    raw = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _say(send: Send, status: int, headers: dict[str, Any]) -> None:
    await _start(send, status, {"content-length": "0", "cache-control": "no-store", **headers})
    await send({"type": "http.response.body", "body": b"", "more_body": False})
