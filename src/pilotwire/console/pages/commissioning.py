"""Bringing a site into service, step by step: find, lay out, phases, fail-safes, dry run, live."""

from __future__ import annotations

from collections.abc import Awaitable
from decimal import Decimal, InvalidOperation
from typing import Any
from urllib.parse import quote

import msgspec
from litestar import Response, get, post
from litestar.params import FromQuery

from pilotwire.api import types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.language import _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import commissioning

from ..forms import Form
from ..site_told import told
from ..view import extend, numeral
from ..words import commissioning as words
from .common import PlainRequest, Text, allowed, fragment, redirect, segment
from .editing import body
from .site_frame import Seen, show, site_of

PERMISSION = commissioning.PERMISSION
KINDS = ("connection", "transformer", "feeder", "group")
LIVE = "live"
"""Beside the steps: the file is written, and the site starts from it."""
ROTATIONS = ("RST", "STR", "TRS", "RTS", "SRT", "TSR")


async def _site(context: ApiContext, principal: Principal, site_id: str) -> Seen:
    """Raises Problem 404 for a site that cannot be commissioned here."""
    port = commissioning.of_site(context, principal, segment(site_id))
    try:
        return await site_of(context, principal, site_id)
    except Problem as problem:
        if problem.status != 404:
            raise
        return Seen(segment(site_id), port.name, None)  # a box before its first run knows no more of it


def _address(site_id: str, step: str) -> str:
    return f"/sites/{quote(site_id, safe='')}/commissioning?step={step}"


def _live(site_id: str) -> str:
    return f"/sites/{quote(site_id, safe='')}/live"


async def _draw(
    request: PlainRequest, site_id: str, step: str, form: Form | None = None, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, PERMISSION)
    site = await _site(context, principal, site_id)
    state = await commissioning.state(context, principal, site.id)
    if step == LIVE and state.live:
        return redirect(request, _live(site.id))
    chosen = step if step in words.STEPS else state.stage if state.stage in words.STEPS else "dry_run"
    steps = [
        (key, _(text), _address(site.id, key), key in state.done, key == chosen) for key, text in words.STEPS.items()
    ]
    return show(
        request, context, principal, site, "commissioning/wizard.html", "commissioning", status=status,
        state=state, step=chosen, steps=steps, form=form or _first(state, chosen), kinds=KINDS, rotations=ROTATIONS,
        errors=[one for one in state.draft.findings if one.severity == "error"],
        warnings=[one for one in state.draft.findings if one.severity == "warning"],
        running=state.job is not None and state.job.status == "running", starts=step == LIVE,
    )  # fmt: skip


def _first(state: types.Commissioning, step: str) -> Form:
    """What the fields of a step begin with."""
    values: dict[str, list[str]] = {
        "hosts": [", ".join(state.networks)], "serial": [""], "stations_s": ["0"], "settle_s": ["15"],
        "pulses": ["3"], "hours": ["24"], "text": [state.draft.text], "site.id": [state.draft.site],
        "site.name": [state.draft.name], "site.time_zone": [state.draft.time_zone],
    }  # fmt: skip
    for at, node in enumerate(state.draft.nodes if step == "map" else []):
        for name, value in (
            ("id", node.id), ("kind", node.kind), ("parent", node.parent), ("fuse", node.fuse_a),
            ("meter", node.meter), ("side", node.side_lost_a),
        ):  # fmt: skip
            values[f"nodes[{at}].{name}"] = [value]
    for at, evse in enumerate(state.draft.evses if step == "map" else []):
        maximum = evse.maximum.removesuffix(" A").removesuffix(" kW")
        for name, value in (
            ("id", evse.id), ("node", evse.node), ("phases", str(evse.phases)), ("rotation", evse.rotation),
            ("maximum", maximum),
        ):  # fmt: skip
            values[f"evses[{at}].{name}"] = [value]
    return Form(values)


@get("/sites/{site_id:str}/commissioning")
async def wizard(request: PlainRequest, site_id: Text, step: FromQuery[str] = "") -> Response[Any]:
    """The step that is asked for, or the one that is next."""
    return await _draw(request, site_id, step)


@get("/ui/sites/{site_id:str}/commissioning")
async def progress(request: PlainRequest, site_id: Text, starts: FromQuery[bool] = False) -> Response[Any]:
    """How far it is; once it is over the page is asked for anew. `starts`: once the site is live it is shown."""
    context, principal = allowed(request, PERMISSION)
    site = await _site(context, principal, site_id)
    state = await commissioning.state(context, principal, site.id)
    if starts:
        return Response("", headers={"HX-Redirect": _live(site.id)} if state.live else {})
    if state.job is None:
        return Response("", headers={"HX-Refresh": "true"})
    response = fragment(request, "commissioning/progress.html", state=state, site=site)
    if state.job.status != "running":
        response.headers["HX-Refresh"] = "true"
    return response


@post("/sites/{site_id:str}/commissioning/{what:str}")
async def do(request: PlainRequest, site_id: Text, what: Text) -> Response[Any]:
    """A step is begun, or the draft is changed."""
    context, principal = allowed(request, PERMISSION)
    site = await _site(context, principal, site_id)
    form = await Form.read(request, limit=600_000)
    step = form.get("step")
    try:
        said = await _done(context, principal, site.id, what, form)
    except Problem as problem:
        if problem.status not in (409, 422):
            raise
        problem.details = msgspec.structs.replace(problem.details, detail=told(problem.details.detail))
        form.fail(problem)
        if step == "map" and what not in ("save", "text"):
            return redirect(request, _address(site.id, step), "bad", problem.details.detail)
        state = await commissioning.state(context, principal, site.id)
        for name, values in _first(state, step).values.items():
            form.values.setdefault(name, values)
        return await _draw(request, site_id, step, form, problem.status)
    if what == LIVE:
        return await _draw(request, site_id, LIVE)  # at once: this program ends now, and begins anew with the site
    return redirect(request, _address(site.id, step), "good", said)


async def _done(context: ApiContext, principal: Principal, site_id: str, what: str, form: Form) -> str:
    """What is said of it then."""
    match what:
        case "scan":
            asked: Awaitable[object] = commissioning.scan(context, principal, site_id, _scan(form))
            said = ""
        case "take":
            taken = {id: form.get(f"file.{id}") for id in form.all("take")}
            asked = commissioning.edit(context, principal, site_id, types.CommissioningEdit(take=taken))
            said = _("Entered. Look at what is suggested below.") if taken else ""
        case "save":
            asked = commissioning.edit(context, principal, site_id, _edit(form))
            said = _("Saved.")
        case "add":
            node: dict[str, Any] = {
                "id": form.get("new.id"),
                "kind": form.get("new.kind"),
                "parent": form.get("new.parent") or None,
            }
            asked = commissioning.edit(context, principal, site_id, types.CommissioningEdit(nodes=[node]))
            said = _("Added.")
        case "remove":
            asked = commissioning.edit(context, principal, site_id, types.CommissioningEdit(remove=form.all("id")))
            said = _("Removed.")
        case "text":
            text = form.get("text") + "\n"
            asked = commissioning.edit(context, principal, site_id, types.CommissioningEdit(text=text))
            said = _("Saved.")
        case "phases":
            ask = body(
                types.CommissioningPhases,
                {
                    "evses": form.all("evse"), "verify": form.flag("verify"),
                    "settle_s": _whole(form, "settle_s"), "pulses": _whole(form, "pulses"),
                },
            )  # fmt: skip
            asked = commissioning.phases(context, principal, site_id, ask)
            said = ""
        case "accept":
            asked = commissioning.accept(context, principal, site_id, types.CommissioningAccept(evses=form.all("evse")))
            said = _("Written into the draft.")
        case "failsafe":
            proof = types.CommissioningFailsafe(prove=form.flag("prove"))
            asked = commissioning.failsafe(context, principal, site_id, proof)
            said = ""
        case "dry_run":
            seconds = int((_amount(form.get("hours")) or Decimal(0)) * 3_600)
            asked = commissioning.dry_run(
                context, principal, site_id, body(types.CommissioningDryRun, {"seconds": seconds})
            )
            said = ""
        case "cancel":
            asked = commissioning.cancel(context, principal, site_id)
            said = _("Ended. Nobody is commanded any more.")
        case _:
            ask_live = types.CommissioningGoLive(live=what == LIVE)
            made = await commissioning.write(context, principal, site_id, ask_live)
            return _("Written: {path}", path=made.path)
    await asked
    return said


def _scan(form: Form) -> types.CommissioningScan:
    def listed(name: str) -> list[str]:
        return [part for part in form.get(name).replace(",", " ").replace(";", " ").split() if part]

    return body(
        types.CommissioningScan,
        {
            "hosts": listed("hosts"), "serial": listed("serial"), "stations_s": _whole(form, "stations_s"),
            "public": form.flag("public"),
        },
    )  # fmt: skip


def _edit(form: Form) -> types.CommissioningEdit:
    """The tables of the second step: a limit of currents is the fuse, the rest of an entry stays as it is."""
    nodes: list[dict[str, Any]] = []
    for at in range(_rows(form, "nodes")):
        node: dict[str, Any] = {"id": form.get(f"nodes[{at}].id"), "kind": form.get(f"nodes[{at}].kind")}
        node |= {name: form.get(f"nodes[{at}].{name}") or None for name in ("parent", "meter")}
        node["side_lost_a"] = _phases(form.get(f"nodes[{at}].side"))
        fuse = _phases(form.get(f"nodes[{at}].fuse"))
        if fuse != _phases(form.get(f"nodes[{at}].was")):
            node["limits"] = None if fuse is None else [{"source": "fuse", "current_a": fuse}]
        nodes.append(node)
    evses: list[dict[str, Any]] = []
    for at in range(_rows(form, "evses")):
        dc = form.get(f"evses[{at}].unit") == "kW"
        evse: dict[str, Any] = {"id": form.get(f"evses[{at}].id"), "node": form.get(f"evses[{at}].node")}
        evse["maximum_kw" if dc else "maximum_a"] = _phases(form.get(f"evses[{at}].maximum"))
        if not dc:
            evse["phases"] = int(form.get(f"evses[{at}].phases") or 3)
            evse["rotation"] = form.get(f"evses[{at}].rotation") or None
        evses.append(evse)
    about: dict[str, Any] = {name: form.get(f"site.{name}") or None for name in ("id", "name", "time_zone")}
    return types.CommissioningEdit(site=about, nodes=nodes, evses=evses)


def _rows(form: Form, name: str) -> int:
    at = 0
    while f"{name}[{at}].id" in form.values and at < 2_000:
        at += 1
    return at


def _amount(text: str) -> Decimal | None:
    try:
        found = Decimal(text.replace(",", "."))
    except InvalidOperation:
        return None
    return found if found.is_finite() else None


def _phases(text: str) -> Any:
    """One figure, or three with slashes between; what is no figure is handed on, so that the check names it."""
    parts = [part.strip() for part in text.split("/") if part.strip()]
    found = [_figure(part) for part in parts]
    return None if not found else found[0] if len(found) == 1 else found


def _figure(text: str) -> Any:
    amount = _amount(text)
    if amount is None:
        return text
    return int(amount) if amount == amount.to_integral_value() else amount


def _whole(form: Form, name: str) -> Any:
    text = form.get(name) or "0"
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else text


def _coded(table: dict[str, tuple[str, str]]) -> Any:
    def of(code: str) -> tuple[str, str]:
        text, kind = table.get(code, (code.replace("_", " "), "off"))
        return _(text), kind

    return of


def _tenths(milli: int) -> str:
    """mA as A and W as kW."""
    return numeral(milli / 1_000, 1)


def _job_name(kind: str) -> str:
    return _(words.STEPS[kind]) if kind in words.STEPS else kind


extend(
    commissioning_status=_coded(words.STATUS), phase_outcome=_coded(words.OUTCOMES),
    failsafe_outcome=_coded(words.FAILSAFES), failsafe_proof=_coded(words.PROOFS), commissioning_job=_job_name,
    tenths=_tenths,
)  # fmt: skip

HANDLERS: list[Any] = [wizard, progress, do]
