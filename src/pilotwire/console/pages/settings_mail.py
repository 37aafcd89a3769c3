"""The server that sends our e-mail, with a test."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import notifications

from ..forms import Form
from .common import PlainRequest, allowed, fragment, page, redirect
from .editing import ETAG, again, body
from .settings import crumbs
from .settings_tabs import tabs

SECURITY = [
    ("starttls", N_("STARTTLS, as most servers want it")),
    ("tls", N_("TLS from the first byte")),
    ("none", N_("none (only on this machine)")),
]


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


HANDLERS: list[Any] = [mail, save_mail, delete_mail, test_mail]
