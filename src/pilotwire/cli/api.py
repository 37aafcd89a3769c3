"""The API as other commands call it: the server of this data directory if one runs, else the same API in process."""

from __future__ import annotations

import argparse
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from pilotwire.cli import runfile
from pilotwire.cli.options import data_dir
from pilotwire.core.errors import LocalError, TransientError
from pilotwire.core.ids import DEFAULT_TENANT, check_identity

if TYPE_CHECKING:
    import httpx  # 250 ms: imported when a call is made, so that help stays instant


class ApiFailed(LocalError):
    """The API answered with a problem; the text is its detail."""


class Api:
    """JSON in, JSON out; problems become `ApiFailed`."""

    def __init__(self, client: httpx.AsyncClient, *, live: bool) -> None:
        self.http = client
        self.live = live
        """True when a running server answers; False when this process opened the store by itself."""

    async def call(self, method: str, path: str, **extra: Any) -> Any:
        import httpx

        try:
            answer = await self.http.request(method, f"/api/v1{path}", **extra)
        except httpx.TransportError as error:
            raise TransientError(f"the server does not answer: {error}") from error
        if answer.is_error:
            raise ApiFailed(problem(answer))
        return answer.json() if answer.content else None

    async def items(self, path: str, **params: Any) -> AsyncIterator[dict[str, Any]]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = await self.call(
                "GET", path, params={**params, "limit": 200} | ({"cursor": cursor} if cursor else {})
            )
            for item in page["items"]:
                yield item
            cursor = page["next"]
            if cursor is None:
                return


def path(*segments: str) -> str:
    """`/a/b%2Fc`: identities and tokens may hold any printable character."""
    return "".join("/" + quote(segment, safe="") for segment in segments)


def problem(answer: httpx.Response) -> str:
    """The words of a problem+json answer, with the fields that are wrong."""
    try:
        body = answer.json()
    except ValueError:
        return f"HTTP {answer.status_code}"
    if not isinstance(body, dict):
        return f"HTTP {answer.status_code}"
    text = str(body.get("detail") or body.get("title") or f"HTTP {answer.status_code}")
    text = re.sub(r" ?`errors` (says|names) [^.]*\.", "", text)  # they follow here
    named = [f"{one['field']}: {one['message']}" for one in body.get("errors") or ()]
    named = [one for one in named if one not in text]
    return "\n  ".join([text, *named])


def credential(key: str, options: argparse.Namespace) -> dict[str, str]:
    """The header that shows the key of this machine, for the tenant that was asked for."""
    tenant = check_identity(getattr(options, "tenant", DEFAULT_TENANT))
    return {"Authorization": f"Bearer {key}" + ("" if tenant == DEFAULT_TENANT else f"@{quote(tenant, safe='')}")}


@asynccontextmanager
async def api(options: argparse.Namespace) -> AsyncIterator[Api]:
    """Open the API for `--data` / `--database`, or `--url` with `--key` where the command has them."""
    import httpx

    if url := getattr(options, "url", None):
        headers = {"Authorization": f"Bearer {options.key}"} if getattr(options, "key", None) else {}
        async with httpx.AsyncClient(base_url=url.rstrip("/"), headers=headers, timeout=90) as client:
            yield Api(client, live=True)
        return
    run = runfile.read(data_dir(options.data))
    if run is not None:
        headers = credential(run.key, options)
        async with httpx.AsyncClient(base_url=run.http, headers=headers, timeout=90, verify=run.trust()) as client:
            yield Api(client, live=True)
        return
    from pilotwire.cli.compose import api_over_store

    async with api_over_store(options.data, options.database) as (app, key):
        transport = httpx.ASGITransport(app=app)
        headers = credential(key, options)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield Api(client, live=False)
