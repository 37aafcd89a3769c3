"""For those who run it: health, readiness, metrics, the schema; and who is asking."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from litestar import Response, get

from .. import types
from ..context import ApiContext
from ..controller_links import Links
from ..happenings.worker import Happenings
from ..live import LiveHub
from ..openapi import schema_of
from ..problems import problem
from .common import PlainRequest, context_of


@get("/healthz", operation_id="getHealth", tags=["Operations"], summary="Does the process answer?")
async def health(request: PlainRequest) -> types.Health:
    """200 while the process answers at all."""
    return types.Health(status="ok", version=context_of(request).config.version)


def not_ready(context: ApiContext) -> str:
    """Why we are not ready; "" when we are."""
    if context.closing.is_set():
        return "The server is stopping."
    if context.ready is not None:
        said = context.ready()
        return "" if said is True else (said or "Not ready yet.")
    return "" if context.store.ready else "The store does not commit."


@get("/readyz", operation_id="getReadiness", tags=["Operations"], summary="Can it do its work?")
async def ready(request: PlainRequest) -> types.Health:
    """200 when the store commits and stations are taken; 503 with the reason when not."""
    context = context_of(request)
    if why := not_ready(context):
        raise problem("not-ready", why, headers={"Retry-After": "5"})
    return types.Health(status="ok", version=context.config.version)


def _senders(context: ApiContext) -> tuple[type[Any], ...]:
    """Who sends to addresses outside. A box has neither, and need not read them."""
    if context.config.box:
        return ()
    from ..happenings.deliver import Deliverer
    from ..happenings.mail import Mailer

    return Deliverer, Mailer


class _Collector:
    """Scraped at once, so that counting costs the hot path a plain int and nothing else."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context

    def collect(self) -> Iterator[Any]:
        from prometheus_client.core import GaugeMetricFamily

        yield from self._context.metrics()
        for worker in (Happenings, *_senders(self._context), Links):
            running = self._context.parts.get(worker)
            if running is not None:
                yield from running.metrics()
        hubs: dict[Any, LiveHub] = self._context.parts.get(LiveHub, {})
        watching = sum(hub.watching for hub in hubs.values())
        yield GaugeMetricFamily("pilotwire_live_watchers", "Open streams of the live page", value=watching)
        yield GaugeMetricFamily("pilotwire_ready", "1 when /readyz says so", value=0 if not_ready(self._context) else 1)


@get(
    "/metrics",
    operation_id="getMetrics",
    tags=["Operations"],
    summary="Prometheus metrics",
    media_type="text/plain",
)
async def metrics(request: PlainRequest) -> Response[str]:
    """Text exposition format. From loopback no login is needed, from elsewhere an API key."""
    from prometheus_client import CollectorRegistry, generate_latest
    from prometheus_client.exposition import CONTENT_TYPE_PLAIN_0_0_4

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(context_of(request)))
    return Response(
        generate_latest(registry).decode(), headers={"content-type": CONTENT_TYPE_PLAIN_0_0_4}, media_type="text/plain"
    )


@get("/openapi.json", include_in_schema=False)
async def openapi(request: PlainRequest) -> Response[dict[str, Any]]:
    """OpenAPI 3.1."""
    return Response(await asyncio.to_thread(schema_of, request.app), media_type="application/json")


HANDLERS = [health, ready, metrics, openapi]
