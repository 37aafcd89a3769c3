"""Sends what `request` builds and waits for the answer. Made by tools/generate_client.py: do not edit."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Generator, Iterator, Sequence
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


class SyncCalls:
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
        transport: httpx.BaseTransport | None = None,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        """`ca`: PEM file of who vouches for the server; `fingerprint`: SHA-256 of its certificate or public key
        (`pilotwire.crypto.trust`); `verify`: as httpx has it, where neither is given. Raises ConfigError."""
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        if ca is not None or fingerprint is not None:
            from pilotwire.crypto.trust import server_trust

            verify = server_trust(ca=ca, fingerprint=fingerprint)
        self._http = httpx.Client(
            base_url=url.rstrip("/"), headers=headers, verify=verify, transport=transport, trust_env=transport is None
        )
        self._retry = retry or Retry()
        self._sleep = sleep

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # -- one answer ------------------------------------------------------------------------------------------------
    def _answer(self, operation: Operation[T], *path: str | int, **more: Any) -> T:
        return shape.answer(operation, *self._send(shape.build(operation, path, **more)))

    def _kept(self, operation: Operation[T], *path: str | int, **more: Any) -> Kept[T]:
        return shape.kept(operation, *self._send(shape.build(operation, path, **more)))

    def _nothing(self, operation: Operation[Any], *path: str | int, **more: Any) -> None:
        shape.check(*self._send(shape.build(operation, path, **more)))

    def _text(self, operation: Operation[Any], *path: str | int, **more: Any) -> str:
        status, headers, body = self._send(shape.build(operation, path, accept="text/plain", **more))
        shape.check(status, headers, body)
        return body.decode()

    def _pages(self, operation: Operation[Any], *path: str | int, query: dict[str, Any]) -> Iterator[Any]:
        cursor: str | None = None
        while True:
            page = self._answer(operation, *path, query={**query, "limit": shape.PAGE, "cursor": cursor})
            yield from page.items
            cursor = page.next
            if cursor is None:
                return

    def _send(self, request: Request) -> tuple[int, httpx.Headers, bytes]:
        unsure = False
        """An attempt was lost on the way: it may have been done."""
        attempt = 0
        while True:
            asked: float | None = None
            failure: Exception
            try:
                answer = self._http.request(
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
            self._sleep(self._retry.delay(attempt, random.random, asked))
            attempt += 1

    # -- files and streams -----------------------------------------------------------------------------------------
    def _download(self, operation: Operation[Any], *path: str | int, **more: Any) -> Download:
        return Download(self._http, shape.build(operation, path, accept="*/*", **more))

    def _stream(
        self,
        operation: Operation[Any],
        query: dict[str, Any],
        read: Callable[[Message], T | None],
        *,
        path: Sequence[str] = (),
        last: Callable[[T], bool] | None = None,
        last_id: str = "",
        on_break: OnBreak | None = None,
    ) -> Generator[T, None, None]:
        """Messages for ever, or up to the `last`; a break is mended from where it was. Raises ApiProblem for what
        waiting does not mend."""
        request = shape.build(operation, path, query=query, accept="text/event-stream")
        attempt = 0
        while True:
            parser = Parser(last_id)
            try:
                with self._http.stream(
                    "GET",
                    request.path,
                    params=request.query,
                    headers={**request.headers, **({"Last-Event-ID": last_id} if last_id else {})},
                    timeout=httpx.Timeout(10.0, read=SILENCE_S),
                ) as answer:
                    if answer.status_code >= 300:
                        answer.read()
                        shape.check(answer.status_code, answer.headers, answer.content)
                    for piece in answer.iter_bytes():
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
            self._sleep(wait)


class Download:
    """A file that comes in pieces, however large it is.

    client.export_sessions(format="parquet").save("sessions.parquet")
    with client.export_sessions() as file:
        for piece in file: ...
    """

    def __init__(self, http: httpx.Client, request: Request) -> None:
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

    def __enter__(self) -> Self:
        try:
            self._answer = self._context.__enter__()
        except httpx.TransportError as error:
            raise Unreachable(shape.unreachable(self._base, error)) from error
        try:
            if self._answer.status_code >= 300:
                self._answer.read()
                shape.check(self._answer.status_code, self._answer.headers, self._answer.content)
        except BaseException as error:
            self._context.__exit__(type(error), error, error.__traceback__)
            raise
        self.name = shape.file_name(self._answer.headers)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._context.__exit__(kind, error, trace)

    def __iter__(self) -> Iterator[bytes]:
        """The pieces. Raises Unreachable when it breaks off: what came so far is not the whole."""
        if self._answer is None:
            raise RuntimeError("open it first: with client.export_…() as file")
        try:
            yield from self._answer.iter_bytes()
        except httpx.TransportError as error:
            raise Unreachable(shape.unreachable(self._base, error)) from error

    def read(self) -> bytes:
        """All of it."""
        with self:
            return b"".join(self)

    def save(self, path: str | Path) -> None:
        """Write it to a file, which appears only when it is whole."""
        draft = Path(f"{path}.part")
        with self:
            file = draft.open("wb")
            try:
                for piece in self:
                    file.write(piece)
            finally:
                file.close()
        draft.replace(path)
