"""Webhooks: addresses that hear of what happens, what became of every message to them, and sending one again."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import webhooks

from ..forms import Form
from ..words import word
from .common import PlainRequest, Text, allowed, fragment, page, redirect, segment
from .editing import ETAG, body, lists
from .lists import Address, Cursor
from .settings import crumbs, sites_to_give
from .settings_tabs import tabs

_PAGE = 30
STATES = ("pending", "retrying", "delivered", "failed")
COLOURS = {"good": "free", "warn": "busy", "bad": "fault", "info": "off"}


@get("/settings/webhooks")
async def hook_list(request: PlainRequest) -> Response[Any]:
    """Every webhook."""
    context, principal = allowed(request, "webhooks:read")
    return page(
        request,
        "settings/webhooks.html",
        here="settings",
        crumbs=crumbs((_("Webhooks"), None)),
        tabs=tabs(principal),
        items=await webhooks.webhooks(context, principal),
        may_write=principal.may("webhooks:write"),
    )


async def _page(
    request: PlainRequest,
    form: Form,
    shown: types.Webhook | None,
    etag: str,
    *,
    status: int = 200,
    secret: str = "",
    cursor: Cursor = None,
) -> Response[Any]:
    context, principal = allowed(request, "webhooks:read")
    only = request.query_params.get("state", "")
    only = only if only in STATES else ""
    log = None
    if shown is not None:
        log = await webhooks.deliveries(context, principal, shown.id, state=only or None, cursor=cursor, limit=_PAGE)
    return page(
        request,
        "settings/webhook.html",
        here="settings",
        crumbs=crumbs((_("Webhooks"), "/settings/webhooks"), (shown.name if shown else _("New webhook"), None)),
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        secret=secret,
        kinds=webhooks.event_types(context, principal),
        sites=await sites_to_give(context, principal),
        log=log,
        only=only,
        states=[(one, _(word("delivery", one).name)) for one in STATES],
        colours=COLOURS,
        address=Address(f"/settings/webhooks/{shown.id}" if shown else "", state=only),
        first=cursor is not None,
        may_write=principal.may("webhooks:write"),
    )


def _fields(form: Form) -> dict[str, Any]:
    return {
        "name": form.get("name"),
        "url": form.get("url"),
        "events": form.all("events") if form.get("which") == "some" else ["*"],
        "sites": form.all("sites") if form.get("reach") == "some" else [],
        "enabled": form.flag("enabled"),
    }


def _filled(shown: types.Webhook) -> Form:
    form = Form.of(shown)
    form.values["which"] = ["all" if "*" in shown.events else "some"]
    form.values["reach"] = ["some" if shown.sites else "all"]
    return form


@get("/settings/webhooks/new")
async def new_hook(request: PlainRequest) -> Response[Any]:
    """A form for a new webhook."""
    allowed(request, "webhooks:write")
    return await _page(request, Form({"which": ["all"], "reach": ["all"], "enabled": ["on"]}), None, "")


@post("/settings/webhooks/new", status_code=200)
async def add_hook(request: PlainRequest) -> Response[Any]:
    """Add it. Its secret is on the page that follows and nowhere else."""
    context, principal = allowed(request, "webhooks:write")
    form = await Form.read(request)
    try:
        made = await webhooks.create(context, principal, body(types.NewWebhook, _fields(form)))
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        _place_errors(form)
        return await _page(request, form, None, "", status=422)
    found = await webhooks.webhook(context, principal, made.webhook.id)
    return await _page(request, _filled(found.value), found.value, found.etag, secret=made.secret)


def _place_errors(form: Form) -> None:
    for name in ("events", "sites"):
        lists(form, name)


@get("/settings/webhooks/{hook_id:str}")
async def one_hook(request: PlainRequest, hook_id: Text, cursor: Cursor = None) -> Response[Any]:
    """A webhook, and the log of what was sent to it."""
    context, principal = allowed(request, "webhooks:read")
    found = await webhooks.webhook(context, principal, segment(hook_id))
    return await _page(request, _filled(found.value), found.value, found.etag, cursor=cursor)


@post("/settings/webhooks/{hook_id:str}")
async def save_hook(request: PlainRequest, hook_id: Text) -> Response[Any]:
    """Change it."""
    context, principal = allowed(request, "webhooks:write")
    which = segment(hook_id)
    form = await Form.read(request)
    try:
        data = body(types.WebhookChange, _fields(form))
        await webhooks.change(context, principal, which, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        if refused.status in (403, 404):
            raise
        form.fail(refused)
        _place_errors(form)
        now = await webhooks.webhook(context, principal, which)
        return await _page(request, form, now.value, now.etag, status=refused.status)
    return redirect(request, f"/settings/webhooks/{hook_id}", "good", _("Saved."))


@post("/settings/webhooks/{hook_id:str}/{verb:str}", status_code=200)
async def act_on_hook(request: PlainRequest, hook_id: Text, verb: Text) -> Response[Any]:
    """Delete it, or sign with another secret."""
    context, principal = allowed(request, "webhooks:write")
    which = segment(hook_id)
    match verb:
        case "delete":
            await webhooks.remove(context, principal, which)
            return redirect(request, "/settings/webhooks", "good", _("The webhook is deleted."))
        case "secret":
            secret = (await webhooks.new_secret(context, principal, which)).secret
            found = await webhooks.webhook(context, principal, which)
            return await _page(request, _filled(found.value), found.value, found.etag, secret=secret)
    raise problem("not-found")


@post("/ui/settings/webhooks/{hook_id:str}/ping", status_code=200)
async def ping(request: PlainRequest, hook_id: Text) -> Response[Any]:
    """Send a test now, and say what came of it."""
    context, principal = allowed(request, "webhooks:write")
    sent = await webhooks.ping(context, principal, segment(hook_id))
    return fragment(request, "settings/webhook_ping.html", sent=sent)


@get("/ui/settings/webhooks/{hook_id:str}/deliveries/{delivery_id:str}")
async def one_delivery(request: PlainRequest, hook_id: Text, delivery_id: Text) -> Response[Any]:
    """All of one delivery."""
    context, principal = allowed(request, "webhooks:read")
    found = await webhooks.delivery(context, principal, segment(hook_id), segment(delivery_id))
    return fragment(request, "settings/webhook_delivery.html", one=found)


@post("/ui/settings/webhooks/{hook_id:str}/deliveries/{delivery_id:str}/resend", status_code=200)
async def resend(request: PlainRequest, hook_id: Text, delivery_id: Text) -> Response[Any]:
    """Send it once more."""
    context, principal = allowed(request, "webhooks:write")
    await webhooks.resend(context, principal, segment(hook_id), segment(delivery_id))
    return redirect(request, f"/settings/webhooks/{hook_id}", "good", _("It is sent once more."))


HANDLERS: list[Any] = [
    hook_list, new_hook, add_hook, one_hook, save_hook, act_on_hook, ping, one_delivery, resend,
]  # fmt: skip
