"""The API as an ASGI application."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from functools import lru_cache, partial

from litestar import Litestar, Router
from litestar.datastructures import State
from litestar.exceptions import NotFoundException
from litestar.openapi.config import OpenAPIConfig
from litestar.types import ControllerRouterHandler, Receive, Scope, Send

from . import openapi
from .context import ApiContext
from .controller_links import Links as ControllerLinks
from .controller_links import is_link
from .conventions import Conventions
from .files.links import Links
from .files.server import FileServer
from .fleet import warm_fleet
from .guard import Guard
from .live import hub_of
from .problems import HANDLERS
from .resources import logs
from .routes import login, operations

MAX_BODY = 1 << 20


class Api(Litestar):
    """Litestar behind the guard and the conventions, which also see what no route matches; the files of stations beside
    it, where the link itself is the credential."""

    __slots__ = ("_conventions", "_files", "_guard", "_inner", "_links")

    def __init__(self, version: str, handlers: Sequence[ControllerRouterHandler]) -> None:
        super().__init__(
            route_handlers=handlers,
            exception_handlers=HANDLERS,
            openapi_config=_openapi_config(version),
            request_max_body_size=MAX_BODY,
            logging_config=None,
        )

    def over(self, context: ApiContext) -> Api:
        """The same routes over a context: to register them all takes a third of a second, to copy them nothing."""
        app = copy(self)
        app.state = State({"context": context})
        context.parts[Links] = Links(context)
        app._files = FileServer(context, logs.received)
        app._guard = Guard(context)
        app._links = ControllerLinks.of(context)
        app._conventions = Conventions(context)
        app._inner = super(Api, app).__call__
        return app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket" and is_link(scope["path"]):
            await self._links(scope, receive, send)
        elif self._files.serves(scope):
            await self._files(scope, receive, send)
        else:
            await self._guard(self._known, scope, receive, send)

    async def _known(self, scope: Scope, receive: Receive, send: Send) -> None:
        """The guard has let it in."""
        await self._conventions(self._inner, scope, receive, send)


def _openapi_config(version: str) -> OpenAPIConfig:
    made = openapi.config(version)

    def hide() -> None:
        raise NotFoundException

    made.openapi_router = Router(
        path=made.path or "/", route_handlers=[], include_in_schema=False, before_request=lambda request: hide()
    )
    return made


@lru_cache(maxsize=4)
def _routes(version: str, box: bool, extra: tuple[ControllerRouterHandler, ...]) -> Api:
    if box:  # what a small machine does not serve is not read by it either
        from .routes.of_a_box import AREAS
    else:
        from .routes.of_a_centre import AREAS
    versioned = Router(path="/api/v1", route_handlers=[handler for area in AREAS for handler in area.HANDLERS])
    return Api(version, [versioned, *operations.HANDLERS, *login.HANDLERS, *extra])


def create_app(context: ApiContext, extra: Sequence[ControllerRouterHandler] = ()) -> Litestar:
    """The API under `/api/v1`, the operations' addresses beside it, and `extra` handlers (the console's)."""
    box = bool(context.config.box)
    app = _routes(context.config.version, box, tuple(extra)).over(context)

    async def large_fleet() -> None:
        if await warm_fleet(context, context.config.tenant):
            await hub_of(context, context.config.tenant).picture()

    app.state["first"] = [] if box else [large_fleet]
    app.state["warm"] = [partial(openapi.schema_of, app)]
    return app
