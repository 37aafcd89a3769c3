"""Looking after one station: alarms, firmware and logs, certificates and passwords, its account."""

from __future__ import annotations

from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import alarms, commands, evses, sites, stations, variables
from pilotwire.api.resources import firmware as images
from pilotwire.api.routes.common import bad_body
from pilotwire.crypto.passwords import new_station_password

from ..forms import Form
from .common import PlainRequest, Text, allowed, flash, fragment, page, redirect, segment
from .connect import PROFILES
from .firmware import of_station
from .station import frame, station_of

_FIRMWARE = (
    "update-firmware", "UpdateFirmware", "SignedUpdateFirmware", "PublishFirmware", "UnpublishFirmware",
)  # fmt: skip
_LOGS = ("get-log", "SetMonitoringLevel", "CustomerInformation", "GetDiagnostics", "GetLog")
_CERTIFICATES = (
    "InstallCertificate", "DeleteCertificate", "GetInstalledCertificateIds", "CertificateSigned",
    "ExtendedTriggerMessage",
)  # fmt: skip


# -- alarms -----------------------------------------------------------------------------------------------------------
@get("/stations/{station_id:str}/alarms")
async def alarm_list(request: PlainRequest, station_id: Text, cursor: FromQuery[str | None] = None) -> Response[Any]:
    """Its alarms, the open ones first."""
    context, principal = allowed(request, "alarms:read")
    station = await station_of(context, principal, station_id)
    found = await alarms.alarms(context, principal, station=station.id, cursor=cursor, limit=50)
    return page(request, "station/alarms.html", found=found, cursor=cursor, **frame(principal, station, "alarms"))


# -- firmware and logs ------------------------------------------------------------------------------------------------
async def _of(
    context: ApiContext, principal: Principal, station: types.Station, names: tuple[str, ...]
) -> tuple[list[types.CommandForm], list[types.Command]]:
    """The commands of these that the station takes, and those that were sent lately."""
    known = {one.action: one for one in await commands.available(context, principal, station.id)}
    said = {"get-log": ("GetLog", "GetDiagnostics"), "update-firmware": ("UpdateFirmware", "SignedUpdateFirmware")}
    twice = {action for verb, actions in said.items() if verb in names for action in actions}
    forms = [known[name] for name in names if name in known and name not in twice]
    sent = await Queries(context, principal).commands(station.id, limit=100) if principal.may("commands:read") else []
    return forms, [one for one in sent if one.action in names][:12]


@get("/stations/{station_id:str}/firmware")
async def firmware(request: PlainRequest, station_id: Text) -> Response[Any]:
    """What runs on it, updates, and its logs."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    updates, updated = await _of(context, principal, station, _FIRMWARE)
    logs, fetched = await _of(context, principal, station, _LOGS)
    return page(
        request,
        "station/firmware.html",
        details=await evses.details(context, principal, station.id),
        updates=updates,
        offers=await _offers(context, principal, station),
        logs=logs,
        **await of_station(context, principal, station),
        sent=sorted(updated + fetched, key=lambda one: one.requested_at, reverse=True),
        **frame(principal, station, "firmware"),
    )


async def _offers(context: ApiContext, principal: Principal, station: types.Station) -> list[tuple[str, str]]:
    """The images that a local controller can offer: of whatever model, they are for the stations behind it."""
    may = principal.may("firmware:read") and principal.may("commands:dangerous")
    if not may or not station.connected or station.ocpp_version == "1.6":
        return []
    found = await images.images(context, principal, limit=200)
    return [
        (one.id, " ".join(part for part in (one.vendor, one.model, one.version) if part))
        for one in found.items
        if one.status != "empty"
    ]


@post("/stations/{station_id:str}/firmware/offer", status_code=200)
async def offer(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Have this local controller offer an image to its stations, or offer it no longer."""
    context, principal = allowed(request, "commands:dangerous")
    form, path = await Form.read(request), f"/stations/{station_id}/firmware"
    image, why = form.get("offered"), form.get("why")
    withdraw = form.get("what") == "withdraw"
    try:
        if withdraw:
            wanted = types.NewFirmwareWithdrawal(firmware_id=image, reason=why)
            answer = await images.withdraw(context, principal, segment(station_id), wanted)
        else:
            asked = types.NewFirmwarePublication(firmware_id=image, reason=why)
            answer = await images.publish(context, principal, segment(station_id), asked)
    except Problem as refused:
        return redirect(request, path, "bad", refused.details.detail)
    status = str(answer.answer.get("status") or answer.answer.get("description") or answer.outcome)
    good = status == ("Unpublished" if withdraw else "Accepted")
    return redirect(request, path, "good" if good else "bad", _("The station answers: {status}", status=status))


# -- certificates and passwords ---------------------------------------------------------------------------------------
@get("/stations/{station_id:str}/security")
async def security(request: PlainRequest, station_id: Text) -> Response[Any]:
    """How it proves who it is."""
    context, principal = allowed(request, "stations:read")
    station = await station_of(context, principal, station_id)
    forms, sent = await _of(context, principal, station, _CERTIFICATES)
    details = await evses.details(context, principal, station.id)
    return page(
        request,
        "station/security.html",
        details=details,
        profile=next((one for one in PROFILES if one.number == details.security_profile), None),
        forms=forms,
        sent=sent,
        **frame(principal, station, "security"),
    )


@post("/ui/stations/{station_id:str}/password", status_code=200)
async def new_password(request: PlainRequest, station_id: Text) -> Response[Any]:
    """A new password: set at the station first, then here, so that it can come back with it."""
    context, principal = allowed(request, "stations:write")
    principal.need("variables:write")
    station = await station_of(context, principal, station_id)
    if not station.registered:
        raise problem("not-found", _("It has no account whose password could be changed."))
    secret = new_station_password()
    legacy = station.ocpp_version == "1.6"
    setting = (
        {"variable": "AuthorizationKey", "value": secret.encode().hex()}
        if legacy
        else {"component": "SecurityCtrlr", "variable": "BasicAuthPassword", "value": secret}
    )
    wanted = {"variables": [setting], "unchecked": True, "reason": "password rotation"}
    outcomes = await variables.change(context, principal, station.id, msgspec.convert(wanted, types.VariableSettings))
    outcome = outcomes.results[0]
    if outcome.accepted:
        await stations.change(context, principal, station.id, types.StationChange(password=secret))
    return fragment(request, "station/password.html", outcome=outcome)


# -- the account ------------------------------------------------------------------------------------------------------
BOOTS = [
    ("Accepted", N_("Accepted: it works")),
    ("Pending", N_("Pending: it waits to be set up")),
    ("Rejected", N_("Rejected: it does not work")),
]


async def _account(
    request: PlainRequest,
    context: ApiContext,
    principal: Principal,
    station_id: str,
    form: Form | None,
    *,
    status: int = 200,
) -> Response[Any]:
    station = await station_of(context, principal, station_id)
    details = await evses.details(context, principal, station.id)
    tag = (await stations.station(context, principal, station.id)).etag
    if form is None:
        form = Form.of(station)
        form.values["security_profile"] = ["" if details.security_profile is None else str(details.security_profile)]
        form.values["boot"] = [details.boot or "Accepted"]
        form.values["organization"] = [details.organization]
    names = await sites.names(context, principal) if principal.may("sites:read") else {}
    return page(
        request,
        "station/account.html",
        status=status,
        form=form,
        tag=tag,
        details=details,
        sites=[("", _("none")), *names.items()],
        profiles=[(one.number, f"{one.number} · {_(one.title)}") for one in sorted(PROFILES)],
        boots=BOOTS,
        **frame(principal, station, "account"),
    )


@get("/stations/{station_id:str}/account")
async def account(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Whether and how it may connect, where it stands."""
    context, principal = allowed(request, "stations:write")
    return await _account(request, context, principal, station_id, None)


@post("/stations/{station_id:str}/account", status_code=200)
async def change(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Change it; when somebody else was quicker, that is told and nothing is lost."""
    context, principal = allowed(request, "stations:write")
    form = await Form.read(request)
    wanted: dict[str, Any] = {
        "enabled": form.flag("enabled"),
        "note": form.get("note"),
        "site": form.get("site"),
        "boot": form.get("boot"),
        "security_profile": form.number("security_profile"),
        "organization": form.get("organization"),
    }
    try:
        data = msgspec.convert(wanted, types.StationChange)
        await stations.change(context, principal, segment(station_id), data, if_match=form.get("_tag") or None)
    except msgspec.ValidationError as error:
        form.fail(bad_body(error))
    except Problem as refused:
        form.fail(refused)
    else:
        return redirect(request, request.url.path, "good", _("Saved."))
    return await _account(request, context, principal, station_id, form, status=422)


@post("/stations/{station_id:str}/delete", status_code=200)
async def delete(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Take its account away; what it told and its sessions stay."""
    context, principal = allowed(request, "stations:write")
    form = await Form.read(request)
    name = segment(station_id)
    if form.get("name") != name:
        path = request.url.path.rpartition("/")[0] + "/account"
        return redirect(request, path, "bad", _("The identity typed is not {id}: nothing was deleted.", id=name))
    await stations.remove(context, principal, name)
    return flash(redirect(request, "/stations"), "good", _("The account of {id} is deleted.", id=name))


HANDLERS: list[Any] = [alarm_list, firmware, offer, security, new_password, account, change, delete]
