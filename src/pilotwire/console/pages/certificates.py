"""Certificates: of one station, and of the installation: what ends when, whom we trust, who signs."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import certificate_ends, certificates, rollouts, sites
from pilotwire.api.resources.keeping import Tagged
from pilotwire.api.routes.common import principal_of, whole_context

from ..forms import Form
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, words_of
from .firmware import STATUSES, begin_one
from .settings import crumbs
from .settings_tabs import tabs
from .station import frame, station_of
from .stations import query_of

USES = {
    "csms": N_("This central system"),
    "v2g": N_("ISO 15118: charging stations (V2G)"),
    "mo": N_("ISO 15118: contracts (mobility operator)"),
    "oem": N_("ISO 15118: cars (OEM)"),
    "manufacturer": N_("The station's manufacturer: firmware"),
    "station": N_("Stations that connect here"),
    "other": N_("Something else"),
}
"""What an authority is trusted for, in words."""
STATES = {
    "signing": (N_("being signed"), "busy"),
    "delivering": (N_("on its way"), "busy"),
    "delivered": (N_("delivered"), "free"),
    "refused": (N_("refused by the station"), "fault"),
    "failed": (N_("failed"), "fault"),
    "superseded": (N_("superseded"), "off"),
}
SOURCES = {
    "built-in": N_("This installation's own authority"),
    "est": N_("An external authority (EST)"),
    "none": N_("Nobody: requests are refused"),
}
_SHOWN = 15
_EST = ("url", "label", "user", "password", "trust")


def words() -> dict[str, Any]:
    """What the templates need of the tables above, in the language of who asks."""
    return {
        "uses": {key: _(text) for key, text in USES.items()},
        "states": {key: (_(text), colour) for key, (text, colour) in STATES.items()},
    }


# -- of one station ---------------------------------------------------------------------------------------------------
async def _station_page(request: PlainRequest, station_id: str, form: Form, status: int = 200) -> Response[Any]:
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    takes = ("csms", "manufacturer") if station.ocpp_version == "1.6" else ("csms", "manufacturer", "v2g", "mo", "oem")
    known = await certificates.anchors(context, principal) if principal.may("settings:read") else []
    return page(
        request,
        "station/certificates.html",
        status=status,
        found=await certificates.of_station(context, principal, station.id),
        anchors=[(one.id, one.name) for one in known],
        takes=[(use, _(USES[use])) for use in takes if not (use == "oem" and station.ocpp_version == "2.0.1")],
        form=form,
        **words(),
        **frame(principal, station, "certificates"),
    )


@get("/stations/{station_id:str}/certificates")
async def of_station(request: PlainRequest, station_id: Text) -> Response[Any]:
    """What it comes in with, what it trusts, what it has asked for."""
    return await _station_page(request, station_id, Form())


@post("/stations/{station_id:str}/certificates", status_code=200)
async def act(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Ask what is installed, have the certificate renewed, install or delete a root."""
    context, principal = allowed(request, "commands:send")
    form, which = await Form.read(request), segment(station_id)
    done = form.get("do")
    path = request.url.path
    try:
        if done == "list":
            await certificates.refresh(context, principal, which)
            return redirect(request, path, "good", _("The station has listed its certificates."))
        if done == "renew":
            answer = await certificates.renew(context, principal, which, body(types.Reason, _reason(form)))
        elif done == "install":
            values = {**_reason(form), "use": form.get("use"), "anchor_id": form.get("anchor_id")}
            if form.get("certificate"):
                values["certificate"] = form.get("certificate")
            answer = await certificates.install(context, principal, which, body(types.CertificateInstallation, values))
        elif done == "delete":
            names = ("hash_algorithm", "issuer_name_hash", "issuer_key_hash", "serial_number")
            values = {**_reason(form), "hash_data": {name: form.get(name) for name in names}}
            answer = await certificates.delete(context, principal, which, body(types.CertificateDeletion, values))
        else:
            raise problem("bad-parameter")
    except Problem as refused:
        if refused.status in (403, 404):
            raise
        if refused.details.errors and done == "install":
            form.fail(refused)
            return await _station_page(request, station_id, form, 422)
        return redirect(request, path, "bad", refused.details.detail)
    return _said(request, path, answer)


def _reason(form: Form) -> dict[str, Any]:
    return {"reason": form.get("reason")}


def _said(request: PlainRequest, path: str, answer: types.CommandAnswer) -> Response[Any]:
    status = answer.answer.get("status", "")
    if answer.outcome == "answered" and status == "Accepted":
        return redirect(request, path, "good", _("The station has accepted it."))
    info = answer.answer.get("statusInfo") or {}
    why = info.get("additionalInfo") or info.get("reasonCode") or answer.answer.get("description") or status
    return redirect(request, path, "warn", _("The station has refused it: {why}", why=str(why)))


# -- of the installation ----------------------------------------------------------------------------------------------
async def _page(
    request: PlainRequest,
    form: Form,
    shown: types.CertificateAuthority,
    etag: str,
    status: int = 200,
    *,
    adding: Form | None = None,
) -> Response[Any]:
    context, principal = allowed(request, "settings:read")
    return page(
        request,
        "settings/certificates.html",
        here="settings",
        crumbs=crumbs((_("Certificates"), None)),
        tabs=tabs(principal),
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        adding=adding or Form(),
        anchors=await certificates.anchors(context, principal),
        requests=await certificates.requests(context, principal, limit=_SHOWN),
        ends=await certificate_ends.sums(context, principal),
        soonest=(await certificate_ends.every(context, principal, before=None, cursor=None, limit=_SHOWN)).items,
        sources=[(key, _(text)) for key, text in SOURCES.items()],
        rolled=await _rolled(context, principal),
        statuses=STATUSES,
        may_roll=principal.may("rollouts:write") and principal.may("commands:dangerous"),
        may_trust=principal.may("settings:write"),
        may_change=principal.may("tenants:write"),
        **words(),
    )


async def _rolled(context: ApiContext, principal: Principal) -> types.RolloutPage | None:
    if not principal.may("rollouts:read"):
        return None
    return await rollouts.rollouts(context, principal, kind="certificates", limit=20)


def _filled(shown: types.CertificateAuthority) -> Form:
    form = Form.of(msgspec.structs.replace(shown, est=None, est_v2g=None))
    form.values["ocsp_hosts"] = [", ".join(shown.ocsp_hosts)]
    if shown.est is not None:
        for name in ("url", "label", "user", "trust"):
            form.values[f"est_{name}"] = [getattr(shown.est, name)]
    return form


async def _now(request: PlainRequest) -> Tagged[types.CertificateAuthority]:
    return await certificates.authority(whole_context(request), principal_of(request, "settings:read"))


@get("/settings/certificates")
async def overview(request: PlainRequest) -> Response[Any]:
    """What ends when, who has asked for certificates, whom we trust, who signs."""
    found = await _now(request)
    return await _page(request, _filled(found.value), found.value, found.etag)


@post("/settings/certificates/authority", status_code=200)
async def change_authority(request: PlainRequest) -> Response[Any]:
    """Change who signs."""
    whole, principal = whole_context(request), principal_of(request, "tenants:write")
    form = await Form.read(request)
    days = form.number("days")
    values: dict[str, Any] = {
        "source": form.get("source"),
        "organization": form.get("organization"),
        "days": days if days is not None else form.get("days"),
        "ocsp_hosts": words_of(form.get("ocsp_hosts")),
    }
    if form.get("est_url"):
        values["est"] = {name: form.get(f"est_{name}") for name in _EST}
    try:
        data = body(types.CertificateAuthorityChange, values)
        await certificates.change_authority(whole, principal, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(request, form, refused, _page, lambda: _now(request), passing=(403,), listed=("ocsp_hosts",))
    return redirect(request, "/settings/certificates", "good", _("Saved."))


@post("/settings/certificates/renew", status_code=200)
async def renew_authority(request: PlainRequest) -> Response[Any]:
    """A new sub-authority."""
    whole, principal = whole_context(request), principal_of(request, "tenants:write")
    form = await Form.read(request)
    try:
        await certificates.renew_authority(whole, principal, body(types.Reason, _reason(form)))
    except Problem as refused:
        return redirect(request, "/settings/certificates", "bad", refused.details.detail)
    return redirect(request, "/settings/certificates", "good", _("A new sub-authority signs from now on."))


# -- for many stations ------------------------------------------------------------------------------------------------
def _wanted(form: Form) -> dict[str, Any]:
    asked = {name: form.get(name) for name in ("site", "q") if form.get(name)}
    return {"kind": "certificates", "filter": msgspec.to_builtins(query_of(asked))}


async def _rollover(
    request: PlainRequest, context: ApiContext, principal: Principal, form: Form, status: int = 200
) -> Response[Any]:
    try:
        order = msgspec.convert({**_wanted(form), "reason": ""}, types.NewRollout)
        names = await rollouts.chosen(context, principal, order)
    except (Problem, msgspec.ValidationError):
        names = []  # nobody fits
    return page(
        request,
        "firmware/rollover_new.html",
        here="settings",
        crumbs=crumbs((_("Certificates"), "/settings/certificates"), (_("Roll over"), None)),
        status=status,
        form=form,
        number=len(names),
        some=names[:8],
        sites=[("", _("every site")), *(await sites.names(context, principal)).items()],
    )


@get("/settings/certificates/rollover")
async def ask_rollover(request: PlainRequest) -> Response[Any]:
    """Whose certificates are renewed, and how carefully."""
    context, principal = allowed(request, "rollouts:write")
    form = Form({name: [request.query_params.get(name, "")] for name in ("site", "q")})
    return await _rollover(request, context, principal, form)


@post("/settings/certificates/rollover", status_code=200)
async def begin_rollover(request: PlainRequest) -> Response[Any]:
    """Order it."""
    context, principal = allowed(request, "rollouts:write")
    form = await Form.read(request)
    if not form.flag("look"):
        made = await begin_one(context, principal, form, _wanted(form))
        if made is not None:
            return redirect(request, f"/rollouts/{made.id}")
    return await _rollover(request, context, principal, form, 422 if form.bad else 200)


@post("/settings/certificates/trust", status_code=200)
async def trust(request: PlainRequest) -> Response[Any]:
    """Trust an authority."""
    context, principal = allowed(request, "settings:write")
    form = await Form.read(request)
    values = {name: form.get(name) for name in ("name", "use", "certificate", "reason")}
    try:
        await certificates.add_anchor(context, principal, body(types.NewTrustAnchor, values))
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        found = await _now(request)
        return await _page(request, _filled(found.value), found.value, found.etag, refused.status, adding=form)
    return redirect(request, "/settings/certificates", "good", _("{name} is trusted.", name=values["name"]))


@post("/settings/certificates/trust/{anchor_id:str}/delete", status_code=200)
async def distrust(request: PlainRequest, anchor_id: Text) -> Response[Any]:
    """Trust it no longer."""
    context, principal = allowed(request, "settings:write")
    await certificates.remove_anchor(context, principal, segment(anchor_id))
    return redirect(request, "/settings/certificates", "good", _("It is trusted no longer."))


HANDLERS: list[Any] = [
    of_station, act, overview, change_authority, renew_authority, ask_rollover, begin_rollover, trust, distrust,
]  # fmt: skip
