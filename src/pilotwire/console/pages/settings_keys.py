"""API keys: what programs log in with. The secret is shown once."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import keys

from ..forms import Form
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, lists, local, moment, zone_name
from .settings import crumbs, roles_to_give, sites_to_give
from .settings_tabs import tabs


@get("/settings/keys")
async def key_list(request: PlainRequest) -> Response[Any]:
    """Keys of programs."""
    return await _keys_page(request, Form({"role": ["service"], "reach": ["all"]}))


async def _keys_page(
    request: PlainRequest, form: Form, made: types.ApiKeyCreated | None = None, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "keys:read")
    return page(
        request,
        "settings/keys.html",
        here="settings",
        crumbs=crumbs((_("API keys"), None)),
        tabs=tabs(principal),
        status=status,
        items=await keys.keys(context, principal),
        made=made,
        form=form,
        roles=[one for one in roles_to_give(context, principal) if one[0] != "driver"],
        sites=await sites_to_give(context, principal),
        zone=zone_name(context.config.zone),
        may_write=principal.may("keys:write"),
    )


@post("/settings/keys", status_code=200)
async def add_key(request: PlainRequest) -> Response[Any]:
    """Make a key. The secret is on the page that follows and nowhere else."""
    context, principal = allowed(request, "keys:write")
    form = await Form.read(request)
    try:
        until = moment(form, "expires_at", context.config.zone)
        given = {"name": form.get("name"), "role": form.get("role") or "service", "expires_at": until}
        given["sites"] = form.all("sites") if form.get("reach") == "some" else None
        data = body(types.NewApiKey, given)
        if form.errors:
            raise problem("bad-body")
        made = await keys.create(context, principal, data)
    except Problem as refused:
        form.fail(refused)
        lists(form, "sites")
        return await _keys_page(request, form, status=422)
    return await _keys_page(request, Form({"role": ["service"], "reach": ["all"]}), made)


async def _key_page(
    request: PlainRequest, form: Form, shown: types.ApiKey, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "keys:read")
    return page(
        request,
        "settings/key.html",
        here="settings",
        crumbs=crumbs((_("API keys"), "/settings/keys"), (shown.name, None)),
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        sites=dict(await sites_to_give(context, principal)),
        zone=zone_name(context.config.zone),
        may_write=principal.may("keys:write"),
    )


@get("/settings/keys/{key_id:str}")
async def one_key(request: PlainRequest, key_id: Text) -> Response[Any]:
    """A key, never its secret."""
    context, principal = allowed(request, "keys:read")
    found = await keys.key(context, principal, segment(key_id))
    form = Form.of(found.value)
    form.values["expires_at"] = [local(found.value.expires_at, context.config.zone)]
    return await _key_page(request, form, found.value, found.etag)


@post("/settings/keys/{key_id:str}")
async def save_key(request: PlainRequest, key_id: Text) -> Response[Any]:
    """Another name or end."""
    context, principal = allowed(request, "keys:write")
    which = segment(key_id)
    form = await Form.read(request)
    try:
        until = moment(form, "expires_at", context.config.zone)
        data = body(types.ApiKeyChange, {"name": form.get("name"), "expires_at": until})
        if form.errors:
            raise problem("bad-body")
        await keys.change(context, principal, which, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(request, form, refused, _key_page, lambda: keys.key(context, principal, which))
    return redirect(request, "/settings/keys", "good", _("Saved."))


@post("/settings/keys/{key_id:str}/rotate", status_code=200)
async def rotate_key(request: PlainRequest, key_id: Text) -> Response[Any]:
    """A new secret, shown this once."""
    context, principal = allowed(request, "keys:write")
    form = await Form.read(request)
    overlap = types.KeyRotation(overlap_s=min(604_800, max(0, form.number("overlap_s") or 0)))
    made = await keys.rotate(context, principal, segment(key_id), overlap)
    return await _keys_page(request, Form({"role": ["service"], "reach": ["all"]}), made)


@post("/settings/keys/{key_id:str}/delete")
async def delete_key(request: PlainRequest, key_id: Text) -> Response[Any]:
    """Revoke it."""
    context, principal = allowed(request, "keys:write")
    await keys.remove(context, principal, segment(key_id))
    return redirect(request, "/settings/keys", "good", _("The key is revoked; it works no longer."))


HANDLERS: list[Any] = [key_list, add_key, one_key, save_key, rotate_key, delete_key]
