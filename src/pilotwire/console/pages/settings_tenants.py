"""The tenants of this installation, for its platform admins."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import logins, tenants
from pilotwire.api.routes.common import whole_context
from pilotwire.api.routes.people import token_of

from ..forms import Form
from .common import PlainRequest, Text, context_of, fragment, page, principal_of, redirect, segment
from .editing import ETAG, again, body, unless_in_use
from .settings import crumbs
from .settings_tabs import tabs

_SWITCH = 12
"""So many tenants are offered in the menu of the person; all of them are under Settings."""


def _whole(request: PlainRequest, permission: str) -> tuple[ApiContext, Principal]:
    return whole_context(request), principal_of(request, permission)


async def _list(request: PlainRequest, form: Form, status: int = 200) -> Response[Any]:
    context, principal = _whole(request, "tenants:read")
    return page(
        request,
        "settings/tenants.html",
        here="settings",
        crumbs=crumbs((_("Tenants"), None)),
        tabs=tabs(principal),
        status=status,
        items=await tenants.tenants(context, principal),
        home=context.config.tenant,
        now=principal.tenant,
        form=form,
        may_write=principal.may("tenants:write"),
    )


@get("/settings/tenants")
async def tenant_list(request: PlainRequest) -> Response[Any]:
    """Every tenant."""
    return await _list(request, Form())


@post("/settings/tenants")
async def add_tenant(request: PlainRequest) -> Response[Any]:
    """Add one."""
    context, principal = _whole(request, "tenants:write")
    form = await Form.read(request)
    try:
        data = body(types.NewTenant, {name: form.get(name) for name in ("id", "name", "note")})
        made = await tenants.create(context, principal, data)
    except Problem as refused:
        form.fail(refused)
        return await _list(request, form, 422)
    return redirect(request, "/settings/tenants", "good", _("The tenant {name} is there now.", name=made.value.id))


async def _one(request: PlainRequest, form: Form, shown: types.Tenant, etag: str, status: int = 200) -> Response[Any]:
    context, principal = _whole(request, "tenants:read")
    return page(
        request,
        "settings/tenant.html",
        here="settings",
        crumbs=crumbs((_("Tenants"), "/settings/tenants"), (shown.name or shown.id, None)),
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        home=context.config.tenant,
        may_write=principal.may("tenants:write"),
        may_work=principal.by == "login" and shown.id != principal.tenant and not shown.suspended,
    )


@get("/settings/tenants/{tenant_id:str}")
async def one_tenant(request: PlainRequest, tenant_id: Text) -> Response[Any]:
    """A tenant, to be changed."""
    context, principal = _whole(request, "tenants:read")
    found = await tenants.tenant(context, principal, segment(tenant_id))
    return await _one(request, Form.of(found.value), found.value, found.etag)


@post("/settings/tenants/{tenant_id:str}")
async def save_tenant(request: PlainRequest, tenant_id: Text) -> Response[Any]:
    """Change it."""
    context, principal = _whole(request, "tenants:write")
    which = segment(tenant_id)
    form = await Form.read(request)
    try:
        given = {"name": form.get("name"), "note": form.get("note"), "suspended": form.flag("suspended")}
        data = body(types.TenantChange, given)
        await tenants.change(context, principal, which, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(request, form, refused, _one, lambda: tenants.tenant(context, principal, which))
    return redirect(request, "/settings/tenants", "good", _("Saved."))


@post("/settings/tenants/{tenant_id:str}/delete")
async def delete_tenant(request: PlainRequest, tenant_id: Text) -> Response[Any]:
    """Delete one that is empty."""
    context, principal = _whole(request, "tenants:write")
    work, stay = tenants.remove(context, principal, segment(tenant_id)), f"/settings/tenants/{tenant_id}"
    return await unless_in_use(request, work, stay=stay, then="/settings/tenants", said=_("The tenant is deleted."))


@post("/settings/tenants/{tenant_id:str}/work")
async def work_in(request: PlainRequest, tenant_id: Text) -> Response[Any]:
    """From now on this login works in that tenant."""
    _context, principal = _whole(request, "tenants:read")
    there = await logins.work_in(context_of(request), principal, segment(tenant_id), token_of(request))
    return redirect(request, "/", "good", _("You work in {name} now.", name=there.tenant))


@get("/ui/tenants")
async def switch(request: PlainRequest) -> Response[Any]:
    """The tenants that one may work in, for the menu of the person: the present one first, then by name."""
    context, principal = _whole(request, "tenants:read")
    every = [one for one in await tenants.tenants(context, principal) if not one.suspended]
    every.sort(key=lambda one: (one.id != principal.tenant, (one.name or one.id).casefold()))
    return fragment(
        request,
        "shell/tenants.html",
        items=every[:_SWITCH],
        more=max(0, len(every) - _SWITCH),
        now=principal.tenant,
    )


HANDLERS: list[Any] = [tenant_list, add_tenant, one_tenant, save_tenant, delete_tenant, work_in, switch]
