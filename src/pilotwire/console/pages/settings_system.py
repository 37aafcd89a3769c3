"""How stations log in, what is kept how long, and what this is."""

from __future__ import annotations

import json
import platform
from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import retention
from pilotwire.api.routes.common import whole_context
from pilotwire.crypto.trust import written

from ..forms import Form
from ..view import STATIC
from ..words import Word
from .common import PlainRequest, allowed, page, principal_of, redirect
from .editing import ETAG, again, body, zone_name
from .settings import crumbs
from .settings_tabs import tabs

# -- security profiles ------------------------------------------------------------------------------------------------
PROFILES = {
    0: Word(N_("No protection"), N_("No password and no encryption. Only for a laboratory."), "bad"),
    1: Word(
        N_("Password"),
        N_("A password, but no encryption: whoever listens on the line reads it. Use it within a VPN alone."),
        "warn",
    ),
    2: Word(N_("Password and TLS"), N_("A password over an encrypted line; the station checks who we are."), "good"),
    3: Word(N_("Certificates"), N_("Both sides show a certificate; there is no password to lose."), "good"),
}
"""OCPP security profiles (2.1 part 2, A00)."""


@get("/settings/security")
async def security(request: PlainRequest) -> Response[Any]:
    """How stations log in, and which of them less well than their account asks for."""
    context, principal = allowed(request, "settings:read")
    queries = Queries(context, principal)
    wanted: dict[int, int] = dict.fromkeys(PROFILES, 0)
    used: dict[int, int] = dict.fromkeys(PROFILES, 0)
    weak: list[types.Station] = []
    unknown = 0
    async for one in queries.every_station():
        if not one.registered:
            unknown += 1
            continue
        wanted[one.security_profile] = wanted.get(one.security_profile, 0) + 1
        if one.connected:
            used[one.security_profile] = used.get(one.security_profile, 0) + 1
        if one.security_profile < 2 and len(weak) < 200:
            weak.append(one)
    return page(
        request,
        "settings/security.html",
        here="settings",
        crumbs=crumbs((_("Security"), None)),
        tabs=tabs(principal),
        profiles=[(number, known, wanted[number], used[number]) for number, known in PROFILES.items()],
        weak=weak,
        unknown=unknown,
        lab=context.config.lab,
        tls=bool(context.config.ocpps_url),
        url=context.config.ocpp_url,
        tls_url=context.config.ocpps_url,
        secure_cookies=context.config.secure_cookies or request.url.scheme == "https",
        days=context.config.login_days,
        idle=context.config.login_idle_hours,
    )


# -- retention --------------------------------------------------------------------------------------------------------
_KEPT = ("hot_days", "delivery_days", "mail_days")


async def _retention_page(
    request: PlainRequest, form: Form, shown: types.Retention, etag: str, status: int = 200
) -> Any:
    principal = principal_of(request, "settings:read")
    return page(
        request,
        "settings/retention.html",
        here="settings",
        crumbs=crumbs((_("Retention"), None)),
        tabs=tabs(principal),
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        may_write=principal.may("tenants:write"),
    )


@get("/settings/retention")
async def kept(request: PlainRequest) -> Response[Any]:
    """What is kept how long."""
    found = await retention.retention(whole_context(request), principal_of(request, "settings:read"))
    return await _retention_page(request, Form.of(found.value), found.value, found.etag)


@post("/settings/retention")
async def save_kept(request: PlainRequest) -> Response[Any]:
    """Change it."""
    whole, principal = whole_context(request), principal_of(request, "tenants:write")
    form = await Form.read(request)
    try:
        given = {
            name: form.get(name) if (days := form.number(name)) is None else days
            for name in _KEPT
            if name in form.values
        }
        data = body(types.RetentionChange, given)
        await retention.change(whole, principal, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(
            request, form, refused, _retention_page, lambda: retention.retention(whole, principal), passing=(403,)
        )
    return redirect(request, "/settings/retention", "good", _("Saved. It counts from the next night on."))


# -- about ------------------------------------------------------------------------------------------------------------
PARTS = (
    ("htmx", "0BSD", "vendor/htmx.LICENSE.txt"),
    ("uPlot", "MIT", "vendor/uPlot.LICENSE.txt"),
)
"""Libraries that come with the console, and where their licence stands."""


def _versions() -> dict[str, str]:
    try:
        found: dict[str, Any] = json.loads((STATIC / "vendor/versions.json").read_text())
    except (OSError, ValueError):
        return {}
    return {name.removesuffix(".org").lower(): str(value) for name, value in found.items()}


@get("/settings/about")
async def about(request: PlainRequest) -> Response[Any]:
    """What this is, and what it is made of."""
    context, principal = allowed(request, "settings:read")
    return page(
        request,
        "settings/about.html",
        here="settings",
        crumbs=crumbs((_("About"), None)),
        tabs=tabs(principal),
        version=context.config.version,
        python=platform.python_version(),
        zone=zone_name(context.config.zone),
        ocpp=context.config.ocpp_url,
        parts=PARTS,
        versions=_versions(),
        certificate=None if context.https is None else context.https.shown,
        written=written,
    )


HANDLERS: list[Any] = [
    security, kept, save_kept, about,
]  # fmt: skip
