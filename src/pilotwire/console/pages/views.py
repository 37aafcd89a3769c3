"""Saved views of tables: kept and forgotten from the menu beside a table's heading (`views.html`)."""

from __future__ import annotations

from typing import Any

from litestar import Response, post

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import views

from ..forms import Form
from .common import PlainRequest, Text, context_of, redirect, segment, whoever
from .editing import body
from .lists import Address

PATHS = {"stations": "/stations", "sessions": "/sessions", "tokens": "/access", "alarms": "/alarms"}
"""Tables with views, and where each is."""


async def views_of(context: ApiContext, principal: Principal, table: str, address: Address) -> dict[str, Any]:
    """What `views.html` draws: the views of a table, and what is looked at now."""
    found = await views.views(context, principal, table=table)
    return {
        "items": found,
        "table": table,
        "path": PATHS[table],
        "query": address.here.partition("?")[2],
        "now": next((one for one in found if one.query and one.query == address.here.partition("?")[2]), None),
        "may_share": principal.may("stations:write"),
    }


@post("/ui/views/{table:str}", status_code=200)
async def keep(request: PlainRequest, table: Text) -> Response[Any]:
    """Keep what is looked at under a name."""
    form = await Form.read(request)
    query = form.get("query")
    back = f"{PATHS.get(table, '/')}?{query}" if query else PATHS.get(table, "/")
    try:
        given = {"table": table, "name": form.get("name"), "query": query, "shared": form.flag("shared")}
        made = await views.create(context_of(request), whoever(request), body(types.NewView, given))
    except Problem as refused:
        told = "; ".join(one.message for one in refused.details.errors) or refused.details.detail
        return redirect(request, back, "bad", _("The view was not kept: {why}", why=told))
    return redirect(request, back, "good", _("The view {name} is kept.", name=made.value.name))


@post("/ui/views/{table:str}/{view_id:str}/delete", status_code=200)
async def forget(request: PlainRequest, table: Text, view_id: Text) -> Response[Any]:
    """Forget a view."""
    await views.remove(context_of(request), whoever(request), segment(view_id))
    return redirect(request, PATHS.get(table, "/"), "good", _("The view is forgotten."))


HANDLERS: list[Any] = [keep, forget]
