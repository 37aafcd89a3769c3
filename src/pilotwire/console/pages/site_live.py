"""A site as it is now: the single-line diagram, the energy flows, the running demand windows, what is wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode

from litestar import Response, get
from litestar.params import FromQuery
from litestar.response import Stream

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import speaking, spoken
from pilotwire.api.live import COMMENT, message
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import controllers
from pilotwire.api.routes.streams import stream_of

from ..diagram import Diagram, diagram, flows_of
from ..site_times import of_site
from ..view import macros
from .common import PlainRequest, Text, allowed
from .site_frame import Seen, away, not_here, show, site_of, state_of, without

QUIET_S = 5
"""After so long without a word the page says when the site was last heard."""
AGAIN_S = 3
"""How often a site that is away is tried again."""
PIECES = "controller/pieces.html"
VIEWS = ("", "list")

Fragments = dict[str, str]
"""Piece of the page by the id of its place."""


def _unfolded(text: str) -> frozenset[str]:
    return frozenset(part for part in text.split(",")[:400] if part)


def live_fragments(now: types.SiteNow, drawn: Diagram) -> Fragments:
    """Every piece of the page that moves."""
    pieces = macros(PIECES)
    found: Fragments = {
        "flows": pieces.flows(flows_of(now)),
        "marks": pieces.marks(now.marks),
        "mark-count": str(len(now.marks)) if now.marks else "",
    }
    for place in drawn.places:
        found[f"n{place.number}"] = pieces.node(place)
        found[f"ln{place.number}"] = pieces.node_line(place)
        if place.folded:
            found[f"d{place.number}"] = pieces.dots(place)
        if place.foldable:
            found[f"c{place.number}"] = pieces.counts(place)
        for one in place.evses:
            if not place.folded:
                found[f"e{one.number}"] = f'<g class="{one.state.kind}">{pieces.evse(one)}</g>'
            found[f"le{one.number}"] = pieces.evse_line(one)
    for extra in drawn.extras:
        found[f"x{extra.number}"] = pieces.beside(extra)
        found[f"lx{extra.number}"] = pieces.beside_line(extra)
    for place, window in enumerate(now.windows):
        found[f"w{place}"] = pieces.window(window)
    return {key: str(text) for key, text in found.items()}


def _shape(now: types.SiteNow) -> tuple[Any, ...]:
    """What the page's places were made of: if it changes, the pieces do not fit any more."""
    devices = [(one.id, one.node) for one in now.devices]
    return [each.id for each in now.nodes], [each.id for each in now.evses], devices, [each.id for each in now.windows]


@get("/sites/{site_id:str}/live")
async def live(
    request: PlainRequest, site_id: Text, view: FromQuery[str] = "", open: FromQuery[str] = ""
) -> Response[Any]:
    """The page; `open` are groups that are unfolded, `all` for every one of them."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)
    if site.controller is None:
        return without(request, context, principal, site, "live")
    try:
        now = await controllers.now(context, principal, site.id)
    except Problem as why:
        if not away(why):
            raise
        return not_here(request, context, principal, site, "live", why)
    drawn = diagram(now, unfolded=_unfolded(open), all_open=open == "all")
    state, heard = state_of(context, site)
    chosen = view if view in VIEWS else ""

    def unfold(place: str) -> str:
        """The address of the page with this place unfolded, or folded again."""
        left = _unfolded(open) ^ {place}
        return "?" + urlencode(
            {key: text for key, text in (("view", chosen), ("open", ",".join(sorted(left)))) if text}
        )

    return show(
        request, context, principal, site, "controller/live.html", "live",
        now=now, drawn=drawn, pieces=live_fragments(now, drawn), state=state, heard_at=heard, view=chosen, open=open,
        unfold=unfold,
    )  # fmt: skip


@get("/ui/sites/{site_id:str}/live", media_type="text/event-stream")
async def live_stream(request: PlainRequest, site_id: Text, open: FromQuery[str] = "") -> Stream:
    """Its pieces as they change."""
    context, principal = allowed(request, "sites:read")
    site = await site_of(context, principal, site_id)

    def pieces(now: types.SiteNow) -> Fragments:
        return live_fragments(now, diagram(now, unfolded=_unfolded(open), all_open=open == "all"))

    return follow(request, context, principal, site, pieces)


def follow(
    request: PlainRequest,
    context: ApiContext,
    principal: Principal,
    site: Seen,
    pieces: Callable[[types.SiteNow], Fragments],
) -> Stream:
    """Server-sent events: `patch` with the pieces that have changed since the last one, `job` when the page has to be
    drawn anew. Raises Problem 404 where there is no controller, 503 `busy` where too many look."""
    registry = controllers.Controllers.of(context)
    if site.controller is None:
        raise problem("not-found")
    if registry.watching >= controllers.WATCHERS:
        raise problem("busy", headers={"Retry-After": "10"})
    return stream_of(request, principal, _followed(context, principal, site, pieces, speaking()))


async def _followed(
    context: ApiContext,
    principal: Principal,
    site: Seen,
    pieces: Callable[[types.SiteNow], Fragments],
    language: str,
) -> AsyncIterator[bytes]:
    registry = controllers.Controllers.of(context)
    registry.watching += 1
    sent: Fragments = {}
    shape: tuple[Any, ...] | None = None
    try:
        yield b"retry: 2000\n\n"
        while not context.closing.is_set():
            async for now in _states(context, principal, site):
                with spoken(language), of_site(site.zone, context.scheduler.now()):
                    found = {"heard": _heard(context, site)} | ({} if now is None else pieces(now))
                if now is not None:
                    before, shape = shape, _shape(now)
                    if before not in (None, shape):
                        sent = {}
                        yield message("job", {"ended_at": None})
                        continue
                changed = {key: text for key, text in found.items() if sent.get(key) != text}
                sent.update(changed)
                yield message("patch", changed) if changed else COMMENT
            with spoken(language), of_site(site.zone, context.scheduler.now()):
                sent["heard"] = _heard(context, site, gone=True)
            yield message("patch", {"heard": sent["heard"]})
            if await _closes(context, AGAIN_S):
                return
    finally:
        registry.watching -= 1


def _heard(context: ApiContext, site: Seen, *, gone: bool = False) -> str:
    state, at = state_of(context, site)
    return str(macros(PIECES).heard("away" if gone else state, at))


async def _states(context: ApiContext, principal: Principal, site: Seen) -> AsyncIterator[types.SiteNow | None]:
    """Each new state; None when nothing came for a while. Ends when the site cannot be reached."""
    found = controllers.ticks(context, principal, site.id)
    waiting: asyncio.Task[types.SiteNow] | None = None
    closing = asyncio.ensure_future(context.closing.wait())
    try:
        while not context.closing.is_set():
            waiting = waiting or asyncio.ensure_future(_next(found))
            await asyncio.wait((waiting, closing), timeout=QUIET_S, return_when=asyncio.FIRST_COMPLETED)
            if not waiting.done():
                yield None
                continue
            done, waiting = waiting, None
            try:
                state = done.result()
            except (ConnectionError, Problem):
                return
            yield state
    finally:
        closing.cancel()
        if waiting is not None:
            waiting.cancel()
            await asyncio.wait((waiting,))
        close: Any = getattr(found, "aclose", None)
        if close is not None:
            await close()


async def _next(found: AsyncIterator[types.SiteNow]) -> types.SiteNow:
    try:
        return await anext(found)
    except StopAsyncIteration:
        raise ConnectionError from None  # a future cannot carry a StopIteration


async def _closes(context: ApiContext, seconds: float) -> bool:
    """Wait so long; True when the server closes meanwhile."""
    try:
        async with asyncio.timeout(seconds):
            await context.closing.wait()
    except TimeoutError:
        return False
    return True


HANDLERS: list[Any] = [live, live_stream]
