"""Alarms: what is wrong now and was before; acknowledged with a note, or muted for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import alarms, sites
from pilotwire.core.time import to_datetime

from ..forms import Form
from ..words import word
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import body
from .lists import Address, Cursor
from .views import views_of

_PAGE = 50
SEVERITIES = ("critical", "major", "minor", "warning")
COLOURS = {"critical": "fault", "major": "fault", "minor": "busy", "warning": "off"}
LASTING = {
    "1": N_("one hour"),
    "8": N_("eight hours"),
    "24": N_("one day"),
    "168": N_("one week"),
    "": N_("until somebody ends it"),
}
"""Hours to be silent for."""
Short = Annotated[str, QueryParameter(max_length=100)]


def tabs(principal: Principal) -> list[tuple[str, str, str]]:
    """The parts of Alarms that this person may open."""
    found = [("alarms", _("Alarms"), "/alarms"), ("mutes", _("Muted"), "/alarms/mutes")]
    found.append(("rules", _("Rules"), "/alarms/rules"))
    if principal.may("settings:read") and principal.sites is None:
        found.append(("notifications", _("Notifications"), "/alarms/notifications"))
    return found


async def site_names(context: ApiContext, principal: Principal) -> dict[str, str]:
    """Site → name, as far as this person sees them."""
    return await sites.names(context, principal) if principal.may("sites:read") else {}


@get("/alarms")
async def alarm_list(
    request: PlainRequest,
    show: Short = "open",
    severity: Short = "",
    station: Short = "",
    site: Short = "",
    cursor: Cursor = None,
) -> Response[Any]:
    """Open alarms, newest first; with `show=cleared` those that are over."""
    context, principal = allowed(request, "alarms:read")
    kind = show if show in ("open", "new", "cleared") else "open"
    worst = severity if severity in SEVERITIES else ""
    found = await alarms.alarms(
        context,
        principal,
        state="cleared" if kind == "cleared" else "open",
        severity=worst or None,
        station=station or None,
        site=site or None,
        acknowledged=False if kind == "new" else None,
        cursor=cursor,
        limit=_PAGE,
    )
    address = Address("/alarms", show="" if kind == "open" else kind, severity=worst, station=station, site=site)
    return page(
        request,
        "alarms/list.html",
        here="alarms",
        crumbs=[(_("Alarms"), None)],
        tabs=tabs(principal),
        items=found.items,
        next=found.next,
        first=cursor is not None,
        counts=await alarms.counts(context, principal),
        asked={"show": kind, "severity": worst, "station": station, "site": site},
        address=address,
        saved=await views_of(context, principal, "alarms", address),
        sites=await site_names(context, principal),
        colours=COLOURS,
        severities=SEVERITIES,
        may_write=principal.may("alarms:write"),
        live=principal.may("events:read"),
    )


async def _one(request: PlainRequest, shown: types.Alarm, form: Form, status: int = 200) -> Response[Any]:
    context, principal = allowed(request, "alarms:read")
    named = await site_names(context, principal)
    mutes = await alarms.mutes(context, principal)
    about = {("alarm", shown.id), ("rule", shown.rule_id), ("station", shown.station_id), ("site", shown.site)}
    targets = [("alarm", _("only this alarm"))]
    if shown.station_id:
        targets.append(("station", _("every alarm of {station}", station=shown.station_id)))
    if principal.sites is None:
        targets.append(("rule", _("every alarm of the rule {rule}", rule=shown.rule_name)))
    if shown.site:
        targets.append(("site", _("every alarm at {site}", site=named.get(shown.site, shown.site))))
    return page(
        request,
        "alarms/one.html",
        here="alarms",
        crumbs=[(_("Alarms"), "/alarms"), (_(shown.rule_name), None)],
        status=status,
        shown=shown,
        severity=word("severity", shown.severity),
        colours=COLOURS,
        site=named.get(shown.site or "", shown.site),
        mutes=[one for one in mutes if (one.target, one.value) in about],
        targets=targets,
        lasting=[(hours, _(text)) for hours, text in LASTING.items()],
        form=form,
        may_write=principal.may("alarms:write"),
    )


@get("/alarms/{alarm_id:str}")
async def one_alarm(request: PlainRequest, alarm_id: Text) -> Response[Any]:
    """One alarm."""
    context, principal = allowed(request, "alarms:read")
    found = await alarms.alarm(context, principal, segment(alarm_id))
    return await _one(request, found.value, Form({"note": [found.value.note], "target": ["alarm"], "hours": ["8"]}))


@post("/alarms/{alarm_id:str}/acknowledge")
async def acknowledge(request: PlainRequest, alarm_id: Text) -> Response[Any]:
    """Somebody has seen it."""
    context, principal = allowed(request, "alarms:write")
    which = segment(alarm_id)
    form = await Form.read(request)
    try:
        given = body(types.Acknowledgement, {"note": form.get("note")})
        await alarms.acknowledge(context, principal, which, given.note)
    except Problem as refused:
        if refused.status in (403, 404):
            raise
        form.fail(refused)
        return await _one(request, (await alarms.alarm(context, principal, which)).value, form, refused.status)
    return redirect(request, _back(form), "good", _("Acknowledged."))


@post("/alarms/{alarm_id:str}/mute")
async def mute(request: PlainRequest, alarm_id: Text) -> Response[Any]:
    """Notify nobody of it for a while."""
    context, principal = allowed(request, "alarms:write")
    which = segment(alarm_id)
    form = await Form.read(request)
    shown = (await alarms.alarm(context, principal, which)).value
    target = form.get("target", "alarm")
    value = {"rule": shown.rule_id, "station": shown.station_id, "site": shown.site}.get(target, shown.id)
    hours = form.number("hours")
    until = to_datetime(context.scheduler.now()) + timedelta(hours=min(hours, 8760)) if hours and hours > 0 else None
    try:
        given = {"target": target, "value": value or "", "until": until, "note": form.get("mute_note")}
        await alarms.mute(context, principal, body(types.NewAlarmMute, given))
    except Problem as refused:
        if refused.status in (403, 404):
            raise
        form.fail(refused)
        return await _one(request, shown, form, refused.status)
    return redirect(request, f"/alarms/{alarm_id}", "good", _("Muted: nobody is notified of it."))


@post("/ui/alarms", status_code=200)
async def bulk(request: PlainRequest) -> Response[Any]:
    """Acknowledge the chosen alarms."""
    context, principal = allowed(request, "alarms:write")
    form = await Form.read(request)
    note = body(types.Acknowledgement, {"note": form.get("note")}).note
    for one in form.all("id")[:500]:
        try:
            await alarms.acknowledge(context, principal, one, note)
        except Problem as refused:
            if refused.status != 404:
                raise
    return redirect(request, _back(form), "good", _("Acknowledged."))


def _back(form: Form) -> str:
    return form.get("next") if form.get("next").startswith("/alarms") else "/alarms"


@get("/alarms/mutes")
async def mute_list(request: PlainRequest) -> Response[Any]:
    """What nobody is notified of."""
    context, principal = allowed(request, "alarms:read")
    return page(
        request,
        "alarms/mutes.html",
        here="alarms",
        crumbs=[(_("Alarms"), "/alarms"), (_("Muted"), None)],
        tabs=tabs(principal),
        items=await alarms.mutes(context, principal),
        sites=await site_names(context, principal),
        may_write=principal.may("alarms:write"),
    )


@post("/alarms/mutes/{mute_id:str}/end")
async def end_mute(request: PlainRequest, mute_id: Text) -> Response[Any]:
    """Notify again."""
    context, principal = allowed(request, "alarms:write")
    await alarms.unmute(context, principal, segment(mute_id))
    form = await Form.read(request)
    return redirect(request, _back(form), "good", _("People are notified again."))


HANDLERS: list[Any] = [alarm_list, one_alarm, acknowledge, mute, bulk, mute_list, end_mute]
