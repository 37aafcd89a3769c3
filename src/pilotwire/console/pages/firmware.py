"""Firmware: images, and how they, or new certificates, are brought to many stations stage by stage."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery
from multipart import MultipartError

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.files.server import Broken, file_of_form
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import firmware, logs, rollouts, sites
from pilotwire.api.routes.common import bad_body

from ..forms import Form
from .common import Crumb, PlainRequest, Text, allowed, fragment, page, redirect, segment
from .settings import crumbs as crumbs_of_settings
from .stations import query_of

STATES = {
    "pending": (N_("not yet"), "off"),
    "waiting": (N_("busy or away"), "busy"),
    "ordering": (N_("being ordered"), "charging"),
    "updating": (N_("under way"), "charging"),
    "installed": (N_("installed"), "free"),
    "failed": (N_("failed"), "fault"),
    "silent": (N_("fell silent"), "fault"),
    "refused": (N_("refused"), "fault"),
    "skipped": (N_("skipped"), "off"),
}
"""State of a station in a roll-out → its word, the badge's kind."""
STATUSES = {
    "running": (N_("under way"), "charging"),
    "watching": (N_("watching"), "busy"),
    "pausing": (N_("being paused"), "busy"),
    "paused": (N_("paused"), "busy"),
    "stopped": (N_("stopped"), "fault"),
    "done": (N_("done"), "free"),
}
IMAGES = {
    "empty": (N_("no file yet"), "off"),
    "ready": (N_("ready"), "free"),
    "rejected": (N_("signature is wrong"), "fault"),
}
OUTCOMES = {
    "running": (N_("under way"), "charging"),
    "installed": (N_("installed"), "free"),
    "failed": (N_("failed"), "fault"),
    "silent": (N_("fell silent"), "fault"),
    "refused": (N_("refused"), "fault"),
    "cancelled": (N_("cancelled"), "off"),
}
LOGS = {
    "waiting": (N_("waiting"), "busy"),
    "received": (N_("here"), "free"),
    "failed": (N_("failed"), "fault"),
    "expired": (N_("did not come"), "off"),
}
SHOWN = [("", N_("All")), ("installed", N_("Installed")), ("failed", N_("Failed")), ("waiting", N_("Waiting"))]
_RENEWED = {"installed": (N_("renewed"), "free")}
_SHOWN_RENEWED = [(key, N_("Renewed") if key == "installed" else text) for key, text in SHOWN]
_HOME: Crumb = (N_("Firmware"), "/firmware")
_FIELDS = ("version", "vendor", "model", "note", "signing_certificate", "signature")


def _crumbs(*more: Crumb) -> list[Crumb]:
    return [(_(_HOME[0]), _HOME[1]), *more]


@get("/firmware")
async def overview(request: PlainRequest, cursor: FromQuery[str | None] = None) -> Response[Any]:
    """Images and roll-outs, newest first."""
    context, principal = allowed(request, "firmware:read")
    rolled = (
        await rollouts.rollouts(context, principal, kind="firmware", limit=20)
        if principal.may("rollouts:read")
        else None
    )
    return page(
        request,
        "firmware/list.html",
        here="firmware",
        found=await firmware.images(context, principal, cursor=cursor, limit=50),
        rolled=rolled,
        cursor=cursor,
        images=IMAGES,
        statuses=STATUSES,
        may_write=principal.may("firmware:write"),
    )


# -- images -----------------------------------------------------------------------------------------------------------
def _new(request: PlainRequest, form: Form, *, status: int = 200) -> Response[Any]:
    crumbs = _crumbs((_("Add an image"), None))
    return page(request, "firmware/new.html", here="firmware", crumbs=crumbs, status=status, form=form)


@get("/firmware/new")
async def new(request: PlainRequest) -> Response[Any]:
    """What the image is; its file comes afterwards."""
    allowed(request, "firmware:write")
    return _new(request, Form())


@post("/firmware/new", status_code=200)
async def add(request: PlainRequest) -> Response[Any]:
    """Add it."""
    context, principal = allowed(request, "firmware:write")
    form = await Form.read(request)
    try:
        data = msgspec.convert({name: form.get(name) for name in _FIELDS}, types.NewFirmware)
        made = await firmware.create(context, principal, data)
    except msgspec.ValidationError as error:
        form.fail(bad_body(error))
    except Problem as refused:
        form.fail(refused)
    else:
        return redirect(request, f"/firmware/{made.value.id}", "info", _("Now send its file."))
    return _new(request, form, status=422)


@get("/firmware/{firmware_id:str}")
async def image(request: PlainRequest, firmware_id: Text) -> Response[Any]:
    """One image: what it is, whether it can be sent."""
    context, principal = allowed(request, "firmware:read")
    shown = (await firmware.image(context, principal, segment(firmware_id))).value
    return page(
        request,
        "firmware/image.html",
        here="firmware",
        crumbs=_crumbs((shown.version, None)),
        image=shown,
        images=IMAGES,
        limit_mib=context.config.firmware_limit >> 20,
        may_write=principal.may("firmware:write"),
        may_roll=principal.may("rollouts:write") and principal.may("commands:dangerous"),
    )


@post("/firmware/{firmware_id:str}/file", status_code=200, request_max_body_size=None)
async def send_file(request: PlainRequest, firmware_id: Text) -> Response[Any]:
    """Take the file of an image, while it comes."""
    context, principal = allowed(request, "firmware:write")
    path = f"/firmware/{firmware_id}"

    async def pieces() -> AsyncIterator[bytes]:
        kind = request.headers.get("content-type", "")
        try:
            async for piece in file_of_form(kind, request.stream(), []):
                yield piece
        except (Broken, MultipartError):
            raise problem("bad-file", _("The file did not arrive whole.")) from None

    try:
        shown = (await firmware.receive(context, principal, segment(firmware_id), pieces())).value
    except Problem as refused:
        return redirect(request, path, "bad", refused.details.detail)
    if shown.fault:
        return redirect(request, path, "bad", shown.fault)
    return redirect(request, path, "good", _("The file is here and whole."))


@post("/firmware/{firmware_id:str}/delete", status_code=200)
async def delete(request: PlainRequest, firmware_id: Text) -> Response[Any]:
    """Delete an image and its file."""
    context, principal = allowed(request, "firmware:write")
    try:
        await firmware.remove(context, principal, segment(firmware_id))
    except Problem as refused:
        return redirect(request, f"/firmware/{firmware_id}", "bad", refused.details.detail)
    return redirect(request, "/firmware", "good", _("The image is deleted."))


# -- roll-outs --------------------------------------------------------------------------------------------------------
async def _asked(
    request: PlainRequest, context: ApiContext, principal: Principal, id: str, form: Form, *, status: int = 200
) -> Response[Any]:
    shown = (await firmware.image(context, principal, id)).value
    found = await Queries(context, principal).stations(wanted=query_of(_filter(shown, form)), limit=8, count=True)
    return page(
        request,
        "firmware/rollout_new.html",
        here="firmware",
        crumbs=_crumbs((shown.version, f"/firmware/{shown.id}"), (_("Roll it out"), None)),
        status=status,
        image=shown,
        form=form,
        number=int(found.total or 0),
        some=[one.id for one in found.items],
        sites=[("", _("every site")), *(await sites.names(context, principal)).items()],
    )


def _filter(shown: types.Firmware, form: Form) -> dict[str, Any]:
    wanted = {"vendor": shown.vendor, "model": shown.model, "site": form.get("site"), "q": form.get("q")}
    return {name: value for name, value in wanted.items() if value}


async def begin_one(
    context: ApiContext, principal: Principal, form: Form, wanted: dict[str, Any]
) -> types.Rollout | None:
    """Order what `wanted` says, as carefully as the form says; None where something in the form is wrong."""
    policy = _policy(form)
    if not form.get("reason"):
        form.wrong("reason", _("Say why: it is kept with the command."))
    if form.bad:
        return None
    order = {**wanted, "reason": form.get("reason"), "policy": policy}
    try:
        return (await rollouts.create(context, principal, msgspec.convert(order, types.NewRollout))).value
    except msgspec.ValidationError as error:
        form.fail(bad_body(error))
    except Problem as refused:
        form.fail(refused)
        if "filter" in form.errors:
            form.wrong("q", form.errors["filter"])
    return None


def _policy(form: Form) -> dict[str, Any]:
    stages = form.get("stages").replace(",", " ").replace("%", " ").split()
    if not stages or not all(one.isascii() and one.isdigit() and len(one) < 4 for one in stages):
        form.wrong("stages", _("Percentages with a space between, as in 1 10 100."))
        stages = []
    made: dict[str, Any] = {"stages": [int(one) for one in stages]}
    for name, key, factor in (
        ("watch_min", "watch_s", 60),
        ("max_failed_percent", "max_failed_percent", 1),
        ("at_once", "at_once", 1),
        ("wait_h", "wait_s", 3600),
        ("silent_min", "silent_s", 60),
    ):
        number = form.number(name)
        if number is None or number < 0:
            form.wrong(name, _("A whole number is needed."))
        else:
            made[key] = number * factor
    return made


@get("/firmware/{firmware_id:str}/rollout")
async def ask(request: PlainRequest, firmware_id: Text) -> Response[Any]:
    """To whom, and how carefully."""
    context, principal = allowed(request, "rollouts:write")
    form = Form({name: [request.query_params.get(name, "")] for name in ("site", "q")})
    return await _asked(request, context, principal, segment(firmware_id), form)


@post("/firmware/{firmware_id:str}/rollout", status_code=200)
async def begin(request: PlainRequest, firmware_id: Text) -> Response[Any]:
    """Order it."""
    context, principal = allowed(request, "rollouts:write")
    form, id = await Form.read(request), segment(firmware_id)
    if form.flag("look"):
        return await _asked(request, context, principal, id, form)
    shown = (await firmware.image(context, principal, id)).value
    filtered = msgspec.to_builtins(query_of(_filter(shown, form)))
    made = await begin_one(context, principal, form, {"firmware_id": id, "filter": filtered})
    if made is not None:
        return redirect(request, f"/rollouts/{made.id}")
    return await _asked(request, context, principal, id, form, status=422)


async def _rollout(context: ApiContext, principal: Principal, id: str, show: str, cursor: str | None) -> dict[str, Any]:
    one = (await rollouts.rollout(context, principal, segment(id))).value
    state = show if show in STATES else None
    return {
        "one": one,
        "members": await rollouts.stations(context, principal, one.id, state=state, cursor=cursor, limit=100),
        "show": show,
        "shown": _SHOWN_RENEWED if one.kind == "certificates" else SHOWN,
        "cursor": cursor,
        "states": STATES | _RENEWED if one.kind == "certificates" else STATES,
        "statuses": STATUSES,
        "moving": one.status in ("running", "watching", "pausing"),
        "may_write": principal.may("rollouts:write"),
    }


@get("/rollouts/{rollout_id:str}")
async def rollout(
    request: PlainRequest, rollout_id: Text, show: FromQuery[str] = "", cursor: FromQuery[str | None] = None
) -> Response[Any]:
    """How far it is, stage by stage, and what became of each station."""
    context, principal = allowed(request, "rollouts:read")
    values = await _rollout(context, principal, rollout_id, show, cursor)
    one = values["one"]
    if one.kind == "certificates":
        crumbs = crumbs_of_settings((_("Certificates"), "/settings/certificates"), (one.title, None))
        return page(request, "firmware/rollout.html", here="settings", crumbs=crumbs, **values)
    return page(request, "firmware/rollout.html", here="firmware", crumbs=_crumbs((one.title, None)), **values)


@get("/ui/rollouts/{rollout_id:str}")
async def progress(request: PlainRequest, rollout_id: Text, show: FromQuery[str] = "") -> Response[Any]:
    """The same, drawn anew while it goes on."""
    context, principal = allowed(request, "rollouts:read")
    return fragment(request, "firmware/progress.html", **await _rollout(context, principal, rollout_id, show, None))


@post("/rollouts/{rollout_id:str}/{wish:str}", status_code=200)
async def steer(request: PlainRequest, rollout_id: Text, wish: Text) -> Response[Any]:
    """Pause, resume, end or forget it."""
    context, principal = allowed(request, "rollouts:write")
    id, path = segment(rollout_id), f"/rollouts/{rollout_id}"
    try:
        match wish:
            case "pause":
                await rollouts.steer(context, principal, id, "pause")
                return redirect(request, path, "info", _("Nobody else is begun until it is resumed."))
            case "resume":
                reason = (await Form.read(request)).get("reason")
                await rollouts.steer(context, principal, id, "go", reason=reason)
                return redirect(request, path, "good", _("It goes on."))
            case "cancel":
                await rollouts.steer(context, principal, id, "stop")
                return redirect(request, path, "info", _("Nobody else is begun."))
            case "delete":
                kind = (await rollouts.rollout(context, principal, id)).value.kind
                await rollouts.remove(context, principal, id)
                back = "/settings/certificates" if kind == "certificates" else "/firmware"
                return redirect(request, back, "good", _("The roll-out is forgotten."))
            case _:
                raise problem("not-found", _("There is no such page."))
    except Problem as refused:
        if refused.name == "not-found":
            raise
        return redirect(request, path, "bad", refused.details.detail)


# -- one station ------------------------------------------------------------------------------------------------------
async def of_station(context: ApiContext, principal: Principal, station: types.Station) -> dict[str, Any]:
    """What its tab shows: the newest update, the images that fit, its logs."""
    update: types.FirmwareUpdate | None = None
    try:
        update = await firmware.update(context, principal, station.id)
    except Problem as missing:
        if missing.name != "not-found":
            raise
    fits: list[tuple[str, str]] = []
    if principal.may("firmware:read") and principal.may("commands:dangerous"):
        found = await firmware.images(context, principal, limit=200)
        fits = [
            (one.id, " ".join(part for part in (one.vendor, one.model, one.version) if part))
            for one in found.items
            if one.status == "ready" and one.vendor in ("", station.vendor) and one.model in ("", station.model)
        ]
    kept = await logs.logs(context, principal, station.id, limit=10) if principal.may("logs:read") else None
    return {"update": update, "fits": fits, "kept_logs": kept, "outcomes": OUTCOMES, "log_states": LOGS}


@post("/stations/{station_id:str}/firmware/update", status_code=200)
async def update_one(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Have this station update itself."""
    context, principal = allowed(request, "commands:dangerous")
    form, path = await Form.read(request), f"/stations/{station_id}/firmware"
    try:
        data = types.NewFirmwareUpdate(firmware_id=form.get("firmware_id"), reason=form.get("reason"))
        made = await firmware.order(context, principal, segment(station_id), data)
    except Problem as refused:
        return redirect(request, path, "bad", refused.details.detail)
    if made.outcome == "refused":
        return redirect(request, path, "bad", made.text)
    return redirect(request, path, "good", _("It fetches the image and installs it when it can."))


@post("/stations/{station_id:str}/logs", status_code=200)
async def ask_log(request: PlainRequest, station_id: Text) -> Response[Any]:
    """Have this station leave a log here."""
    context, principal = allowed(request, "logs:write")
    form, path = await Form.read(request), f"/stations/{station_id}/firmware"
    try:
        data = types.NewLog(type="security" if form.get("type") == "security" else "diagnostics")
        made = await logs.ask(context, principal, segment(station_id), data)
    except Problem as refused:
        return redirect(request, path, "bad", refused.details.detail)
    if made.status == "failed":
        return redirect(request, path, "bad", made.text)
    return redirect(request, path, "info", _("It leaves the log here; look again in a moment."))


HANDLERS: list[Any] = [
    overview, new, add, image, send_file, delete, ask, begin, rollout, progress, steer, update_one, ask_log,
]  # fmt: skip
