"""Who is told of which alarms, by e-mail or webhook, with a test; and what was sent."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.language import _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import alarms, notifications, webhooks

from ..forms import Form
from ..words import word
from .alarms import SEVERITIES, site_names, tabs
from .common import PlainRequest, Text, allowed, fragment, page, redirect, segment
from .editing import ETAG, again, body, lists, words_of
from .lists import Address, Cursor

_PAGE = 30


@get("/alarms/notifications")
async def channels(
    request: PlainRequest,
    subscription: Annotated[str, QueryParameter(max_length=100)] = "",
    cursor: Cursor = None,
) -> Response[Any]:
    """Subscriptions, and the log of what was sent."""
    context, principal = allowed(request, "settings:read")
    state = request.query_params.get("state", "")
    kind = state if state in ("pending", "sent", "failed") else ""
    log = await notifications.notifications(
        context, principal, subscription=subscription or None, state=kind or None, cursor=cursor, limit=_PAGE
    )
    server = (await notifications.mail_server(context, principal)).value
    return page(
        request,
        "alarms/notifications.html",
        here="alarms",
        crumbs=[(_("Alarms"), "/alarms"), (_("Notifications"), None)],
        tabs=tabs(principal),
        items=await notifications.subscriptions(context, principal),
        hooks=await _hooks(request),
        server=server,
        log=log.items,
        next=log.next,
        first=cursor is not None,
        asked={"subscription": subscription, "state": kind},
        address=Address("/alarms/notifications", subscription=subscription, state=kind),
        may_write=principal.may("alarms:write"),
    )


async def _hooks(request: PlainRequest) -> dict[str, str]:
    context, principal = allowed(request, "settings:read")
    if not principal.may("webhooks:read"):
        return {}
    return {one.id: one.name for one in await webhooks.webhooks(context, principal)}


async def _page(
    request: PlainRequest, form: Form, shown: types.Subscription | None, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "settings:read")
    named = await site_names(context, principal)
    return page(
        request,
        "alarms/subscription.html",
        here="alarms",
        crumbs=[
            (_("Alarms"), "/alarms"),
            (_("Notifications"), "/alarms/notifications"),
            (shown.name if shown else _("New subscription"), None),
        ],
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        channels=[(one, _(word("channel", one).name)) for one in ("email", "webhook")],
        severities=[(one, _(word("severity", one).name)) for one in SEVERITIES],
        hooks=sorted((await _hooks(request)).items(), key=lambda pair: pair[1].casefold()),
        sites=sorted(named.items(), key=lambda pair: pair[1].casefold()),
        rules=[(one.id, _(one.name)) for one in await alarms.rules(context, principal)],
        server=(await notifications.mail_server(context, principal)).value,
        may_write=principal.may("alarms:write"),
    )


def _fields(form: Form) -> dict[str, Any]:
    digest = form.number("digest_min") if form.get("digest_min") else 0
    if digest is None:
        form.wrong("digest_min", _("must be a number"))
    return {
        "name": form.get("name"),
        "min_severity": form.get("min_severity") or "minor",
        "sites": form.all("sites") if form.get("reach") == "some" else [],
        "rules": form.all("rules") if form.get("which") == "some" else [],
        "cleared": form.flag("cleared"),
        "digest_min": digest or 0,
        "enabled": form.flag("enabled"),
    }


def _way(form: Form, channel: str) -> dict[str, Any]:
    if channel == "webhook":
        return {"webhook_id": form.get("webhook_id")}
    return {"to": words_of(form.get("to"))}


@get("/alarms/notifications/new")
async def new_subscription(request: PlainRequest) -> Response[Any]:
    """A form for somebody to tell."""
    allowed(request, "alarms:write")
    start = {"channel": ["email"], "min_severity": ["minor"], "cleared": ["on"], "digest_min": ["5"]}
    return await _page(request, Form({**start, "enabled": ["on"], "reach": ["all"], "which": ["all"]}), None, "")


@post("/alarms/notifications/new")
async def add_subscription(request: PlainRequest) -> Response[Any]:
    """Tell somebody from now on."""
    context, principal = allowed(request, "alarms:write")
    form = await Form.read(request)
    channel = "webhook" if form.get("channel") == "webhook" else "email"
    try:
        given = {**_fields(form), "channel": channel, **_way(form, channel)}
        data = body(types.NewSubscription, given)
        if form.errors:
            raise problem("bad-body")
        made = await notifications.create(context, principal, data)
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        for name in ("to", "sites", "rules"):
            lists(form, name)
        return await _page(request, form, None, "", 422)
    said = _("{name} is told from now on. Send a test to see that it arrives.", name=made.value.name)
    return redirect(request, f"/alarms/notifications/{made.value.id}", "good", said)


def _filled(shown: types.Subscription) -> Form:
    form = Form.of(shown)
    form.values["to"] = ["\n".join(shown.to)]
    form.values["reach"] = ["some" if shown.sites else "all"]
    form.values["which"] = ["some" if shown.rules else "all"]
    return form


@get("/alarms/notifications/{name:str}")
async def one_subscription(request: PlainRequest, name: Text) -> Response[Any]:
    """A subscription, to be changed and tested."""
    context, principal = allowed(request, "settings:read")
    found = await notifications.subscription(context, principal, segment(name))
    return await _page(request, _filled(found.value), found.value, found.etag)


@post("/alarms/notifications/{name:str}")
async def save_subscription(request: PlainRequest, name: Text) -> Response[Any]:
    """Change it."""
    context, principal = allowed(request, "alarms:write")
    which = segment(name)
    form = await Form.read(request)
    shown = (await notifications.subscription(context, principal, which)).value
    try:
        data = body(types.SubscriptionChange, {**_fields(form), **_way(form, shown.channel)})
        if form.errors:
            raise problem("bad-body")
        await notifications.change(context, principal, which, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(
            request,
            form,
            refused,
            _page,
            lambda: notifications.subscription(context, principal, which),
            passing=(403, 404),
            listed=("to", "sites", "rules"),
        )
    return redirect(request, "/alarms/notifications", "good", _("Saved."))


@post("/ui/alarms/notifications/{name:str}/test", status_code=200)
async def test_subscription(request: PlainRequest, name: Text) -> Response[Any]:
    """Send a test now, and say what came of it."""
    context, principal = allowed(request, "alarms:write")
    found = await notifications.send_test(context, principal, segment(name))
    return fragment(request, "alarms/test_result.html", result=found)


@post("/alarms/notifications/{name:str}/delete")
async def delete_subscription(request: PlainRequest, name: Text) -> Response[Any]:
    """Tell them nothing any more."""
    context, principal = allowed(request, "alarms:write")
    await notifications.remove(context, principal, segment(name))
    return redirect(request, "/alarms/notifications", "good", _("They are told nothing any more."))


HANDLERS: list[Any] = [
    channels, new_subscription, add_subscription, one_subscription, save_subscription, test_subscription,
    delete_subscription,
]  # fmt: skip
