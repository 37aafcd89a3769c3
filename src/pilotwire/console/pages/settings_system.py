"""How e-mail is sent, how people log in elsewhere, how stations log in, what is kept how long, and what this is."""

from __future__ import annotations

import json
import platform
import re
from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.problems import Problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import notifications, oidc, retention
from pilotwire.api.routes.common import whole_context
from pilotwire.api.routes.login import base_of
from pilotwire.domain.permissions import ROLES

from ..forms import Form
from ..language import N_, _
from ..view import STATIC
from ..words import Word, word
from .common import PlainRequest, allowed, fragment, page, principal_of, redirect
from .editing import ETAG, again, body, zone_name
from .settings import crumbs
from .settings_tabs import tabs

SECURITY = [
    ("starttls", N_("STARTTLS, as most servers want it")),
    ("tls", N_("TLS from the first byte")),
    ("none", N_("none (only on this machine)")),
]


# -- e-mail -----------------------------------------------------------------------------------------------------------
async def _mail_page(request: PlainRequest, form: Form, shown: types.MailServer, etag: str, status: int = 200) -> Any:
    _context, principal = allowed(request, "settings:read")
    return page(
        request,
        "settings/mail.html",
        here="settings",
        crumbs=crumbs((_("E-mail"), None)),
        tabs=tabs(principal),
        status=status,
        form=form,
        etag=etag,
        shown=shown,
        kinds=[(key, _(text)) for key, text in SECURITY],
        may_write=principal.may("settings:write"),
    )


@get("/settings/mail")
async def mail(request: PlainRequest) -> Response[Any]:
    """The server that sends our e-mail."""
    context, principal = allowed(request, "settings:read")
    found = await notifications.mail_server(context, principal)
    return await _mail_page(request, Form.of(found.value), found.value, found.etag)


@post("/settings/mail")
async def save_mail(request: PlainRequest) -> Response[Any]:
    """Set it up."""
    context, principal = allowed(request, "settings:write")
    form = await Form.read(request)
    try:
        port = form.number("port")
        given: dict[str, Any] = {
            name: form.get(name) for name in ("host", "security", "username", "sender", "sender_name")
        }
        given["port"] = port if port is not None else form.get("port")
        if password := form.values.get("password", [""])[0]:
            given["password"] = password
        data = body(types.NewMailServer, given)
        await notifications.set_mail_server(context, principal, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(
            request, form, refused, _mail_page, lambda: notifications.mail_server(context, principal), passing=(403,)
        )
    return redirect(request, "/settings/mail", "good", _("Saved. Send a test to see that it arrives."))


@post("/settings/mail/delete")
async def delete_mail(request: PlainRequest) -> Response[Any]:
    """Send no e-mail any more."""
    context, principal = allowed(request, "settings:write")
    await notifications.remove_mail_server(context, principal)
    return redirect(request, "/settings/mail", "good", _("No e-mail is sent any more."))


@post("/ui/settings/mail/test", status_code=200)
async def test_mail(request: PlainRequest) -> Response[Any]:
    """Send a test now, and say what came of it."""
    context, principal = allowed(request, "settings:write")
    form = await Form.read(request)
    data = body(types.MailTest, {"to": form.get("to")})
    found = await notifications.test_mail_server(context, principal, data.to)
    return fragment(request, "alarms/test_result.html", result=found)


# -- single sign-on ---------------------------------------------------------------------------------------------------
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
        days = form.number("hot_days")
        data = body(types.RetentionChange, {"hot_days": days if days is not None else form.get("hot_days")})
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
    )


HANDLERS: list[Any] = [
    mail, save_mail, delete_mail, test_mail, sign_on, save_sign_on, delete_sign_on, test_sign_on, security, kept,
    save_kept, about,
]  # fmt: skip
