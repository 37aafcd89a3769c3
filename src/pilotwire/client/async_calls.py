"""Sends what `request` builds and waits for the answer.

`sync_calls.py` is made from this file by tools/generate_client.py.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import httpx

from . import request as shape
from .errors import ApiProblem, Unreachable
from .request import Kept, Operation, Request
from .retry import Retry
from .sse import SILENCE_S, Message, Parser

T = TypeVar("T")
OnBreak = Callable[[Exception, float], None]
"""Told of each break of a stream: why, and after how many seconds it is opened again."""


class AsyncCalls:
    """The connection, retries, pages, files and streams; what each operation is called stands in the subclass."""

    def __init__(
        self,
        url: str,
        key: str | None = None,
        *,
        retry: Retry | None = None,
        ca: str | Path | None = None,
        fingerprint: str | None = None,
        verify: Any = True,
        transport: httpx.AsyncBaseTransport | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        """`ca`: PEM file of who vouches for the server; `fingerprint`: SHA-256 of its certificate or public key
        (`pilotwire.crypto.trust`); `verify`: as httpx has it, where neither is given. Raises ConfigError."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if ca is not None or fingerprint is not None:
            from pilotwire.crypto.trust import server_trust

            verify = server_trust(ca=ca, fingerprint=fingerprint)
        self._http = httpx.AsyncClient(
            base_url=url.rstrip("/"), headers=headers, verify=verify, transport=transport, trust_env=transport is None
        )
        self._retry = retry or Retry()
        self._sleep = sleep

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    # -- one answer ------------------------------------------------------------------------------------------------
    async def _answer(self, operation: Operation[T], *path: str | int, **more: Any) -> T:
        return shape.answer(operation, *await self._send(shape.build(operation, path, **more)))

    async def _kept(self, operation: Operation[T], *path: str | int, **more: Any) -> Kept[T]:
        return shape.kept(operation, *await self._send(shape.build(operation, path, **more)))

    async def _nothing(self, operation: Operation[Any], *path: str | int, **more: Any) -> None:
        shape.check(*await self._send(shape.build(operation, path, **more)))

    async def _text(self, operation: Operation[Any], *path: str | int, **more: Any) -> str:
        status, headers, body = await self._send(shape.build(operation, path, accept="text/plain", **more))
        shape.check(status, headers, body)
        return body.decode()

    async def _pages(self, operation: Operation[Any], *path: str | int, query: dict[str, Any]) -> AsyncIterator[Any]:
        cursor: str | None = None
        while True:
            page = await self._answer(operation, *path, query={**query, "limit": shape.PAGE, "cursor": cursor})
            for item in page.items:
                yield item
            cursor = page.next
            if cursor is None:
                return

    async def _send(self, request: Request) -> tuple[int, httpx.Headers, bytes]:
        unsure = False
        """An attempt was lost on the way: it may have been done."""
        attempt = 0
        while True:
            asked: float | None = None
            failure: Exception
            try:
                answer = await self._http.request(
                    request.method,
                    request.path,
                    params=request.query,
                    headers=request.headers,
                    content=request.body,
                    timeout=httpx.Timeout(10.0, read=request.patience_s),
                )
                if answer.status_code < 400:
                    return answer.status_code, answer.headers, answer.content
                if unsure and request.method == "DELETE" and answer.status_code == 404:
                    return 204, answer.headers, b""  # ours was done, only its answer was lost
                problem = shape.problem_of(answer.status_code, answer.content, shape.retry_after(answer.headers))
                if not shape.again(request, problem, attempt):
                    raise problem
                failure, asked = problem, problem.retry_after_s
            except httpx.TransportError as error:
                sent = not isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout)
                failure = Unreachable(shape.unreachable(str(self._http.base_url), error))
                failure.__cause__ = error
                hopeless = isinstance(error, httpx.UnsupportedProtocol) or shape.distrusted(error)
                if hopeless or (sent and not request.repeatable):
                    raise failure from error
                unsure = unsure or sent
            if attempt + 1 >= self._retry.attempts or (asked or 0) > self._retry.patience_s:
                raise failure
            await self._sleep(self._retry.delay(attempt, random.random, asked))
            attempt += 1

    # -- files and streams -----------------------------------------------------------------------------------------
    def _download(self, operation: Operation[Any], *path: str | int, **more: Any) -> AsyncDownload:
        return AsyncDownload(self._http, shape.build(operation, path, accept="*/*", **more))

    async def _stream(
        self,
        operation: Operation[Any],
        query: dict[str, Any],
        read: Callable[[Message], T | None],
        *,
        path: Sequence[str] = (),
        last: Callable[[T], bool] | None = None,
        last_id: str = "",
        on_break: OnBreak | None = None,
    ) -> AsyncGenerator[T, None]:
        """Messages for ever, or up to the `last`; a break is mended from where it was. Raises ApiProblem for what
        waiting does not mend."""
        request = shape.build(operation, path, query=query, accept="text/event-stream")
        attempt = 0
        while True:
            parser = Parser(last_id)
            try:
                async with self._http.stream(
                    "GET",
                    request.path,
                    params=request.query,
                    headers={**request.headers, **({"Last-Event-ID": last_id} if last_id else {})},
                    timeout=httpx.Timeout(10.0, read=SILENCE_S),
                ) as answer:
                    if answer.status_code >= 300:
                        await answer.aread()
                        shape.check(answer.status_code, answer.headers, answer.content)
                    async for piece in answer.aiter_bytes():
                        attempt = 0
                        for message in parser.feed(piece):
                            last_id = message.id
                            value = read(message)
                            if value is None:
                                continue
                            yield value
                            if last is not None and last(value):
                                return
                failure: Exception = Unreachable("the server ended the stream")
                asked = parser.retry_s
            except ApiProblem as problem:
                if not shape.again(request, problem, attempt):
                    raise
                failure, asked = problem, problem.retry_after_s
            except httpx.TransportError as error:
                failure, asked = Unreachable(shape.unreachable(str(self._http.base_url), error)), parser.retry_s
                if shape.distrusted(error):
                    raise failure from error
            wait = self._retry.delay(min(attempt, 16), random.random, asked)
            attempt += 1
            if on_break is not None:
                on_break(failure, wait)
            await self._sleep(wait)


class AsyncDownload:
    """A file that comes in pieces, however large it is.

    await client.export_sessions(format="parquet").save("sessions.parquet")
    async with client.export_sessions() as file:
        async for piece in file: ...
    """

    def __init__(self, http: httpx.AsyncClient, request: Request) -> None:
        self._context = http.stream(
            request.method,
            request.path,
            params=request.query,
            headers=request.headers,
            timeout=httpx.Timeout(10.0, read=request.patience_s),
        )
        self._base = str(http.base_url)
        self._answer: httpx.Response | None = None
        self.name = ""
        """The name that the server proposes; known within `with`."""

    async def __aenter__(self) -> Self:
        try:
            self._answer = await self._context.__aenter__()
        except httpx.TransportError as error:
            raise Unreachable(shape.unreachable(self._base, error)) from error
        try:
            if self._answer.status_code >= 300:
                await self._answer.aread()
                shape.check(self._answer.status_code, self._answer.headers, self._answer.content)
        except BaseException as error:
            await self._context.__aexit__(type(error), error, error.__traceback__)
            raise
        self.name = shape.file_name(self._answer.headers)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._context.__aexit__(kind, error, trace)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The pieces. Raises Unreachable when it breaks off: what came so far is not the whole."""
        if self._answer is None:
            raise RuntimeError("open it first: async with client.export_…() as file")
        try:
            async for piece in self._answer.aiter_bytes():
                yield piece
        except httpx.TransportError as error:
            raise Unreachable(shape.unreachable(self._base, error)) from error

    async def read(self) -> bytes:
        """All of it."""
        async with self:
            return b"".join([piece async for piece in self])

    async def save(self, path: str | Path) -> None:
        """Write it to a file, which appears only when it is whole."""
        draft = Path(f"{path}.part")
        async with self:
            file = await asyncio.to_thread(draft.open, "wb")
            try:
                async for piece in self:
                    await asyncio.to_thread(file.write, piece)
            finally:
                await asyncio.to_thread(file.close)
        await asyncio.to_thread(draft.replace, path)
