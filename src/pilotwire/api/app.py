"""The API as an ASGI application."""

from __future__ import annotations

from collections.abc import Sequence

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from . import openapi
from .context import ApiContext
from .guard import Guard
from .problems import HANDLERS
from .routes import login, operations, sessions, settings, stations, streams

MAX_BODY = 1 << 20


class Api(Litestar):
    """Litestar behind the guard, which also sees what no route matches."""

    __slots__ = ("_guard",)

    def __init__(self, context: ApiContext, handlers: Sequence[ControllerRouterHandler]) -> None:
        super().__init__(
            route_handlers=handlers,
            exception_handlers=HANDLERS,
            openapi_config=_openapi_config(context),
            request_max_body_size=MAX_BODY,
            state=State({"context": context}),
            logging_config=None,
        )
        self._guard = Guard(context)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # type: ignore[override]
        await self._guard(super().__call__, scope, receive, send)  # type: ignore[arg-type]


def _openapi_config(context: ApiContext) -> OpenAPIConfig:
    made = openapi.config(context.config.version)

    def hide() -> None:
        raise NotFoundException

    made.openapi_router = Router(
        path=made.path or "/", route_handlers=[], include_in_schema=False, before_request=lambda request: hide()
    )
    return made


def create_app(context: ApiContext, extra: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The API under `/api/v1`, the operations' addresses beside it, and `extra` handlers (the console's)."""
    versioned = Router(
        path="/api/v1",
        route_handlers=[*stations.HANDLERS, *sessions.HANDLERS, *settings.HANDLERS, *streams.HANDLERS],
    )
    return Api(context, [versioned, *operations.HANDLERS, *login.HANDLERS, *extra])
