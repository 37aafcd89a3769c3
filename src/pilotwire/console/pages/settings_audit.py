"""The audit log: who did what, when, to what and why, and whether the chain is sound."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api.language import _
from pilotwire.api.resources import audit
from pilotwire.core.time import from_datetime

from .common import PlainRequest, allowed, fragment, page
from .lists import Address, Cursor
from .settings import crumbs
from .settings_tabs import tabs

_PAGE = 50
Short = Annotated[str, QueryParameter(max_length=200)]


def _day(text: str, context: Any, *, after: int = 0) -> int | None:
    """A day typed in a filter, as the ms of its midnight by the server's zone; None for none."""
    try:
        midnight = datetime.fromisoformat(text).replace(tzinfo=context.config.zone) if text else None
        return from_datetime(midnight + timedelta(days=after)) if midnight else None
    except (ValueError, OverflowError):
        return None


@get("/settings/audit")
async def audit_log(
    request: PlainRequest,
    actor: Short = "",
    action: Short = "",
    target: Short = "",
    since: Short = "",
    until: Short = "",
    cursor: Cursor = None,
) -> Response[Any]:
    """Rows, the newest first."""
    context, principal = allowed(request, "audit:read")
    wanted = audit.Wanted(
        actor=actor.strip() or None,
        action=action.strip() or None,
        target=target.strip() or None,
        since=_day(since, context),
        until=_day(until, context, after=1),
    )
    found = await audit.page(context, principal, wanted, cursor=cursor, limit=_PAGE)
    address = Address("/settings/audit", actor=actor, action=action, target=target, since=since, until=until)
    return page(
        request,
        "settings/audit.html",
        here="settings",
        crumbs=crumbs((_("Audit log"), None)),
        tabs=tabs(principal),
        items=found.items,
        next=found.next,
        first=cursor is not None,
        address=address,
        asked={"actor": actor, "action": action, "target": target, "since": since, "until": until},
        may_export=principal.may("audit:read"),
    )


@post("/ui/settings/audit/verify", status_code=200)
async def verify(request: PlainRequest) -> Response[Any]:
    """Look at the whole chain."""
    context, principal = allowed(request, "audit:read")
    return fragment(request, "settings/audit_verdict.html", verdict=await audit.verdict(context, principal))


HANDLERS: list[Any] = [audit_log, verify]
