"""Quirks: what stations do otherwise than the standard says, by model, and what is done differently because of it."""

from __future__ import annotations

from typing import Any

from litestar import Response, get, post

from pilotwire.api import types
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem
from pilotwire.api.resources import quirks

from ..forms import Form
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import body

SHOWS = {"": N_("That your stations have"), "all": N_("All that have a name")}
GRAVE = {"high": ("fault", N_("grave")), "medium": ("busy", N_("notable")), "low": ("plain", N_("harmless"))}
"""Severity → badge and word."""


async def _shown(request: PlainRequest, form: Form, status: int = 200) -> Response[Any]:
    context, principal = allowed(request, "stations:read")
    show = request.query_params.get("show", "")
    model = request.query_params.get("model", "")[:255]
    found = await quirks.quirks(context, principal, seen=None if show == "all" else True, model=model)
    settings = await quirks.settings(context, principal)
    return page(
        request,
        "stations/quirks.html",
        here="stations",
        crumbs=[(_("Stations"), "/stations"), (_("Quirks"), None)],
        status=status,
        found=found,
        show=show if show in SHOWS else "",
        shows=SHOWS,
        model=model,
        grave=GRAVE,
        settings=settings,
        titles={one.id: one.title for one in settings.remedies},
        form=form,
        may_write=principal.may("stations:write") and principal.sites is None,
    )


@get("/quirks")
async def overview(request: PlainRequest) -> Response[Any]:
    """Every quirk with the stations that have it; `show=all` those that none has as well."""
    return await _shown(request, Form({"on": ["on"]}))


@post("/quirks/settings")
async def say(request: PlainRequest) -> Response[Any]:
    """Switch a remedy on or off for a model."""
    context, principal = allowed(request, "stations:write")
    form = await Form.read(request)
    given = {name: form.get(name) for name in ("remedy", "vendor", "model", "firmware", "note")}
    try:
        await quirks.create(context, principal, body(types.NewQuirkSetting, {**given, "on": form.get("on") == "on"}))
    except Problem as refused:
        if refused.status == 403:
            raise
        form.fail(refused)
        return await _shown(request, form, 422)
    return redirect(request, "/quirks", "good", _("That counts from now on."))


@post("/quirks/settings/{name:str}/delete")
async def take_back(request: PlainRequest, name: Text) -> Response[Any]:
    """Take a word back."""
    context, principal = allowed(request, "stations:write")
    await quirks.remove(context, principal, segment(name))
    return redirect(request, "/quirks", "good", _("The remedy is taken again where the quirk is seen."))


HANDLERS: list[Any] = [overview, say, take_back]
