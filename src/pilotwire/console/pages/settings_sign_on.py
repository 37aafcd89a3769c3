"""Single sign-on: the OpenID Connect provider through which people log in."""

from __future__ import annotations

import re
from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import oidc
from pilotwire.api.routes.login import base_of
from pilotwire.domain.permissions import ROLES

from ..forms import Form
from ..words import word
from .common import PlainRequest, allowed, fragment, page, redirect
from .editing import ETAG, body
from .settings import crumbs
from .settings_tabs import tabs


def _pairs(text: str) -> dict[str, str]:
    """Lines `value = role` as a mapping; a line without a sign maps to nothing and is refused by the API."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, _sign, value = line.rpartition("=")
        if line.strip():
            found[name.strip() or line.strip()] = value.strip() if name else ""
    return found


async def _oidc_page(
    request: PlainRequest, form: Form, etag: str, shown: types.OidcShown | None, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "settings:read")
    return page(
        request,
        "settings/oidc.html",
        here="settings",
        crumbs=crumbs((_("Single sign-on"), None)),
        tabs=tabs(principal),
        status=status,
        form=form,
        etag=etag,
        shown=shown,
        base=base_of(request),
        roles=[("", _("nobody: they are not let in")), *((one, _(word("role", one).name)) for one in ROLES)],
        platform=principal.tenant == context.config.tenant and principal.may("tenants:write"),
        may_write=principal.may("settings:write"),
    )


def _oidc_filled(shown: types.OidcShown) -> Form:
    form = Form.of(shown)
    form.values["scopes"] = [" ".join(shown.scopes)]
    for name in ("roles", "tenants"):
        form.values[name] = ["\n".join(f"{key} = {value}" for key, value in getattr(shown, name).items())]
    return form


async def _oidc(request: PlainRequest) -> tuple[types.OidcShown | None, str]:
    context, principal = allowed(request, "settings:read")
    try:
        found = await oidc.settings(context, principal, base_of(request))
    except Problem as refused:
        if refused.status != 404:
            raise
        return None, ""
    return found.value, found.etag


@get("/settings/sign-on")
async def sign_on(request: PlainRequest) -> Response[Any]:
    """The provider through which people log in."""
    shown, etag = await _oidc(request)
    start = {"enabled": ["on"], "scopes": ["openid profile email"], "name_claim": ["preferred_username"]}
    form = _oidc_filled(shown) if shown else Form({**start, "role_claim": ["groups"], "end_session": ["on"]})
    return await _oidc_page(request, form, etag, shown)


@post("/settings/sign-on")
async def save_sign_on(request: PlainRequest) -> Response[Any]:
    """Set it."""
    context, principal = allowed(request, "settings:write")
    form = await Form.read(request)
    names = ("issuer", "client_id", "label", "name_claim", "role_claim", "sites_claim", "tenant_claim")
    given: dict[str, Any] = {name: form.get(name) for name in names}
    given |= {name: form.flag(name) for name in ("enabled", "create_users", "link_by_email", "end_session")}
    given |= {
        "scopes": re.split(r"[\s,]+", form.get("scopes") or "openid"),
        "default_role": form.get("default_role") or None,
    }
    given |= {name: _pairs(form.get(name)) for name in ("roles", "tenants")}
    if secret := form.values.get("client_secret", [""])[0]:
        given["client_secret"] = secret
    try:
        data = body(types.OidcSettings, given)
        await oidc.save(context, principal, data, base_of(request), if_match=form.get(ETAG) or None)
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        shown, etag = await _oidc(request)
        return await _oidc_page(request, form, etag, shown, refused.status)
    return redirect(request, "/settings/sign-on", "good", _("Saved. Ask whether the provider answers."))


@post("/settings/sign-on/delete")
async def delete_sign_on(request: PlainRequest) -> Response[Any]:
    """Nobody logs in through it any more."""
    context, principal = allowed(request, "settings:write")
    await oidc.remove(context, principal)
    return redirect(request, "/settings/sign-on", "good", _("Nobody logs in through a provider any more."))


@post("/ui/settings/sign-on/test", status_code=200)
async def test_sign_on(request: PlainRequest) -> Response[Any]:
    """Whether the provider answers."""
    context, principal = allowed(request, "settings:write")
    return fragment(request, "settings/oidc_check.html", found=await oidc.test(context, principal))


HANDLERS: list[Any] = [sign_on, save_sign_on, delete_sign_on, test_sign_on]
