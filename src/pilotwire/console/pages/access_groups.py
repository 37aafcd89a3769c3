"""Groups of tokens: those in one may stop one another's sessions."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import groups, tokens

from ..forms import Form
from .access import KINDS, tabs
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, unless_in_use


@get("/access/groups")
async def group_list(request: PlainRequest, q: Annotated[str, QueryParameter(max_length=100)] = "") -> Response[Any]:
    """Tokens that may stop one another's sessions."""
    context, principal = allowed(request, "tokens:read")
    return _group_page(request, await groups.groups(context, principal, search=q or None), q, Form())


def _group_page(
    request: PlainRequest, items: list[types.Group], q: str, form: Form, status: int = 200
) -> Response[Any]:
    _context, principal = allowed(request, "tokens:read")
    return page(
        request,
        "access/groups.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (_("Groups"), None)],
        status=status,
        tabs=tabs(principal),
        tab="groups",
        items=items,
        q=q,
        form=form,
        may_write=principal.may("tokens:write"),
    )


@post("/access/groups")
async def add_group(request: PlainRequest) -> Response[Any]:
    """Name a group."""
    context, principal = allowed(request, "tokens:write")
    form = await Form.read(request)
    try:
        given = {name: form.get(name) for name in ("id", "name", "note")}
        made = await groups.create(context, principal, body(types.NewGroup, given))
    except Problem as refused:
        form.fail(refused)
        return _group_page(request, await groups.groups(context, principal), "", form, 422)
    return redirect(request, "/access/groups", "good", _("The group {group} is known now.", group=made.value.id))


@get("/access/groups/{group_id:str}")
async def one_group(request: PlainRequest, group_id: Text) -> Response[Any]:
    """A group, to be named or changed."""
    context, principal = allowed(request, "tokens:read")
    found = await groups.group(context, principal, segment(group_id))
    return await _one_group(request, Form.of(found.value), found.value, found.etag)


async def _one_group(
    request: PlainRequest, form: Form, shown: types.Group, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "tokens:read")
    members = await tokens.tokens(context, principal, group=shown.id)
    return page(
        request,
        "access/group.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (_("Groups"), "/access/groups"), (shown.id, None)],
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        members=members[:200],
        more=max(0, len(members) - 200),
        kinds=KINDS,
        may_write=principal.may("tokens:write"),
    )


@post("/access/groups/{group_id:str}")
async def save_group(request: PlainRequest, group_id: Text) -> Response[Any]:
    """Change it."""
    context, principal = allowed(request, "tokens:write")
    name = segment(group_id)
    form = await Form.read(request)
    try:
        data = body(types.GroupChange, {"name": form.get("name"), "note": form.get("note")})
        await groups.change(context, principal, name, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(request, form, refused, _one_group, lambda: groups.group(context, principal, name))
    return redirect(request, "/access/groups", "good", _("Saved."))


@post("/access/groups/{group_id:str}/delete")
async def delete_group(request: PlainRequest, group_id: Text) -> Response[Any]:
    """Forget it, where no token is in it."""
    context, principal = allowed(request, "tokens:write")
    work = groups.remove(context, principal, segment(group_id))
    return await unless_in_use(
        request, work, stay=f"/access/groups/{group_id}", then="/access/groups", said=_("The group is forgotten.")
    )


HANDLERS: list[Any] = [group_list, add_group, one_group, save_group, delete_group]
