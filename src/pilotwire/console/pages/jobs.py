"""The same thing done to many stations: chosen in the table, ordered here, followed until it is done."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qsl

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import jobs, sites
from pilotwire.api.routes.common import bad_body

from ..forms import Form
from .command import TRIGGERS, dangerous
from .common import PlainRequest, Text, allowed, fragment, page, redirect, segment
from .stations import query_of

ACTIONS: dict[str, tuple[str, str, str]] = {
    "reset": (N_("Restart"), "commands:dangerous", N_("While they restart, they cannot be reached.")),
    "availability": (N_("Take in or out of service"), "commands:send", N_("Running sessions end first.")),
    "trigger": (N_("Ask for a message"), "commands:send", N_("They send it once more, with present values.")),
    "update-firmware": (
        N_("Update the firmware"), "commands:dangerous", N_("Each fetches the file and installs it when it can."),
    ),
    "set-variables": (N_("Set a variable"), "variables:write", N_("The same value at each of them.")),
    "refresh-variables": (N_("Read the configuration anew"), "variables:read", N_("They report it by and by.")),
    "change": (N_("Change accounts"), "stations:write", N_("What is left as it is stays.")),
    "delete": (N_("Delete accounts"), "stations:write", N_("They cannot connect any more; their sessions stay.")),
}  # fmt: skip
"""Action → title, permission, what will happen."""
_PAGE = 100


def actions_of(principal: Principal) -> dict[str, tuple[str, str, str]]:
    """What this person may do to many stations."""
    if not principal.may("jobs:write"):
        return {}
    return {key: one for key, one in ACTIONS.items() if principal.may(one[1])}


def _payload(action: str, form: Form) -> tuple[str, dict[str, Any]]:
    """(kind of job, payload)."""
    match action:
        case "reset":
            command = {"action": "reset", "payload": {"type": "hard" if form.get("type") == "hard" else "soft"}}
        case "availability":
            command = {"action": "availability", "payload": {"operative": form.get("operative") == "yes"}}
        case "trigger":
            command = {"action": "trigger", "payload": {"message": form.get("message")}}
        case "update-firmware":
            command = {"action": "UpdateFirmware", "payload": _firmware(form)}
        case "set-variables":
            name = {"component": form.get("component"), "variable": form.get("variable"), "value": form.get("value")}
            if not form.get("variable"):
                form.wrong("variable", _("This is needed."))
            return "set-variables", {"variables": [name]}
        case "refresh-variables":
            return "refresh-variables", {}
        case "change":
            changes: dict[str, Any] = {
                name: form.get(name) for name in ("boot", "note") if form.get(name)
            }  # fmt: skip
            if form.get("enabled"):
                changes["enabled"] = form.get("enabled") == "yes"
            if form.get("site"):
                changes["site"] = "" if form.get("site") == "-" else form.get("site")
            if not changes:
                form.wrong("enabled", _("Choose what is to be changed."))
            return "change", changes
        case _:
            return "delete", {}
    return "command", command


def _firmware(form: Form) -> dict[str, Any]:
    """What 1.6 and 2.x call it differently; stations of another version say so in their outcome."""
    url = form.get("location")
    if not url:
        form.wrong("location", _("This is needed."))
    at = form.get("at") or "2000-01-01T00:00:00Z"
    if form.get("version") == "1.6":
        return {"location": url, "retrieveDate": at}
    return {"requestId": 1, "firmware": {"location": url, "retrieveDateTime": at}}


def _chosen(form: Form) -> dict[str, Any]:
    """The stations: those ticked, or all that the table's question fits."""
    if form.flag("matching"):
        asked: dict[str, Any] = dict(parse_qsl(form.get("query").lstrip("?")))
        return {"filter": msgspec.to_builtins(query_of(asked))}
    return {"station_ids": form.all("id")}


async def _ask(
    request: PlainRequest, context: ApiContext, principal: Principal, form: Form, *, status: int = 200
) -> Response[Any]:
    action = form.get("action")
    queries = Queries(context, principal)
    if form.flag("matching"):
        wanted = query_of(dict(parse_qsl(form.get("query").lstrip("?"))))
        found = await queries.stations(wanted=wanted, limit=8, count=True)
        number, some = int(found.total or 0), [one.id for one in found.items]
    else:
        number, some = len(form.all("id")), form.all("id")[:8]
    return page(
        request,
        "jobs/new.html",
        here="stations",
        crumbs=[(_("Stations"), "/stations"), (_(ACTIONS[action][0]), None)],
        status=status,
        form=form,
        action=action,
        told=ACTIONS[action],
        number=number,
        some=some,
        triggers=TRIGGERS,
        dangerous=dangerous(action),
        sites=await sites.names(context, principal) if principal.may("sites:read") else {},
    )


@post("/stations/bulk", status_code=200)
async def bulk(request: PlainRequest) -> Response[Any]:
    """What is to be known before it is done."""
    context, principal = allowed(request, "jobs:write")
    form = await Form.read(request, limit=4_000_000)
    action = form.get("action")
    if action not in actions_of(principal):
        return redirect(request, "/stations", "warn", _("Choose what is to be done."))
    if not form.flag("matching") and not form.all("id"):
        return redirect(request, "/stations", "warn", _("Choose stations first."))
    return await _ask(request, context, principal, form)


@post("/jobs", status_code=200)
async def order(request: PlainRequest) -> Response[Any]:
    """Order the job."""
    context, principal = allowed(request, "jobs:write")
    form = await Form.read(request, limit=4_000_000)
    action = form.get("action")
    if action not in actions_of(principal):
        return redirect(request, "/stations", "warn", _("Choose what is to be done."))
    kind, payload = _payload(action, form)
    if dangerous(action) and not form.get("reason"):
        form.wrong("reason", _("Say why: it is kept with the command."))
    if not form.bad:
        wanted = {
            "kind": kind, "title": _(ACTIONS[action][0]), "payload": payload, "reason": form.get("reason"),
            "concurrency": form.number("concurrency") or 10, "continue_on_error": not form.flag("stop"),
            **_chosen(form),
        }  # fmt: skip
        try:
            made = await jobs.create(context, principal, msgspec.convert(wanted, types.NewJob))
        except msgspec.ValidationError as error:
            form.fail(bad_body(error))
        except Problem as refused:
            form.fail(refused)
        else:
            return redirect(request, f"/jobs/{made.value.id}")
    return await _ask(request, context, principal, form, status=422)


@get("/jobs")
async def listing(request: PlainRequest, cursor: FromQuery[str | None] = None) -> Response[Any]:
    """Jobs, newest first."""
    context, principal = allowed(request, "jobs:read")
    found = await jobs.jobs(context, principal, cursor=cursor, limit=50)
    return page(
        request,
        "jobs/list.html",
        here="stations",
        crumbs=[(_("Stations"), "/stations"), (_("Jobs"), None)],
        found=found,
        cursor=cursor,
    )


async def _job(context: ApiContext, principal: Principal, job_id: str, show: str, cursor: str | None) -> dict[str, Any]:
    one = (await jobs.job(context, principal, segment(job_id))).value
    ok = {"failed": False, "done": True}.get(show)
    outcomes = await jobs.outcomes(context, principal, one.id, ok=ok, cursor=cursor, limit=_PAGE)
    return {
        "job": one,
        "outcomes": outcomes,
        "show": show,
        "cursor": cursor,
        "moving": one.status in ("queued", "running", "cancelling"),
        "may_write": principal.may("jobs:write"),
    }


@get("/jobs/{job_id:str}")
async def job(
    request: PlainRequest, job_id: Text, show: FromQuery[str] = "", cursor: FromQuery[str | None] = None
) -> Response[Any]:
    """How far it is, and what became of each station."""
    context, principal = allowed(request, "jobs:read")
    values = await _job(context, principal, job_id, show, cursor)
    crumbs = [(_("Stations"), "/stations"), (_("Jobs"), "/jobs"), (values["job"].title, None)]
    return page(request, "jobs/one.html", here="stations", crumbs=crumbs, **values)


@get("/ui/jobs/{job_id:str}")
async def progress(request: PlainRequest, job_id: Text, show: FromQuery[str] = "") -> Response[Any]:
    """The same, drawn anew while it goes on."""
    context, principal = allowed(request, "jobs:read")
    return fragment(request, "jobs/progress.html", **await _job(context, principal, job_id, show, None))


@post("/jobs/{job_id:str}/cancel", status_code=200)
async def cancel(request: PlainRequest, job_id: Text) -> Response[Any]:
    """Begin no further station."""
    context, principal = allowed(request, "jobs:write")
    await jobs.cancel(context, principal, segment(job_id))
    return redirect(request, f"/jobs/{job_id}", "info", _("No further station is begun."))


HANDLERS: list[Any] = [bulk, order, listing, job, progress, cancel]
