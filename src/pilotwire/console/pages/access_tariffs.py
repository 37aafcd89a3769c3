"""Tariffs: what charging costs, and for whom."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import types
from pilotwire.api.language import N_, _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.resources import tariffs

from ..forms import Form
from .access import tabs
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, unless_in_use

SCOPES = {
    "all": N_("every station"),
    "site": N_("site"),
    "station": N_("station"),
    "evse": N_("EVSE of a station"),
    "group": N_("group of tokens"),
    "driver": N_("driver"),
    "token": N_("token"),
}


@get("/access/tariffs")
async def tariff_list(request: PlainRequest, q: Annotated[str, QueryParameter(max_length=100)] = "") -> Response[Any]:
    """What charging costs."""
    context, principal = allowed(request, "tariffs:read")
    return _list_page(request, await tariffs.tariffs(context, principal, search=q or None), q, Form())


def _list_page(
    request: PlainRequest, items: list[types.Tariff], q: str, form: Form, status: int = 200
) -> Response[Any]:
    _context, principal = allowed(request, "tariffs:read")
    return page(
        request,
        "access/tariffs.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (_("Tariffs"), None)],
        status=status,
        tabs=tabs(principal),
        tab="tariffs",
        items=items,
        q=q,
        form=form,
        may_write=principal.may("tariffs:write"),
    )


def _simple(form: Form) -> dict[str, Any]:
    """The terms of a form of few fields."""
    rates = [{"type": "VAT", "tax": form.get("tax")}] if form.get("tax") else None

    def priced(name: str, price: str, **more: Any) -> dict[str, Any] | None:
        if not form.get(price):
            return None
        found: dict[str, Any] = {"prices": [{name: form.get(price), **more}]}
        return found | {"taxRates": rates} if rates else found

    after = form.get("idle_after")
    idle = {"conditions": {"minIdleTime": int(after) * 60}} if after.isdigit() and int(after) else {}
    terms = {
        "currency": form.get("currency"),
        "energy": priced("priceKwh", "price_kwh"),
        "idleTime": priced("priceMinute", "price_idle", **idle),
        "fixedFee": priced("priceFixed", "price_fixed"),
    }
    return {name: value for name, value in terms.items() if value is not None}


_FIELDS = {
    "priceKwh": "price_kwh",
    "tax": "tax",
    "priceMinute": "price_idle",
    "priceFixed": "price_fixed",
    "energy": "price_kwh",
}
"""What the API calls it → the field of the form."""


@post("/access/tariffs")
async def add_tariff(request: PlainRequest) -> Response[Any]:
    """Make one of few fields."""
    context, principal = allowed(request, "tariffs:write")
    form = await Form.read(request)
    try:
        given = {"id": form.get("id"), "name": form.get("name") or form.get("id"), "note": form.get("note")}
        made = await tariffs.create(context, principal, body(types.NewTariff, given | {"terms": _simple(form)}))
    except Problem as refused:
        form.fail(refused)
        for one in refused.details.errors:
            field = _FIELDS.get(one.field.rpartition(".")[2])
            if field is not None:
                form.errors.setdefault(field, one.message)
        return _list_page(request, await tariffs.tariffs(context, principal), "", form, 422)
    return redirect(
        request, f"/access/tariffs/{made.value.id}", "good", _("The tariff {tariff} is made.", tariff=made.value.id)
    )


@get("/access/tariffs/{tariff_id:str}")
async def one_tariff(request: PlainRequest, tariff_id: Text) -> Response[Any]:
    """One, with what it was before and who has it."""
    context, principal = allowed(request, "tariffs:read")
    found = await tariffs.tariff(context, principal, segment(tariff_id))
    return await _one(request, _form_of(found.value), found.value, found.etag)


def _form_of(shown: types.TariffDetail) -> Form:
    form = Form.of(shown)
    form.values["terms"] = [_text(shown.terms)]
    return form


def _text(terms: types.TariffTerms) -> str:
    return msgspec.json.format(msgspec.json.encode(terms), indent=2).decode()


async def _one(
    request: PlainRequest,
    form: Form,
    shown: types.TariffDetail,
    etag: str,
    status: int = 200,
    giving: Form | None = None,
) -> Response[Any]:
    context, principal = allowed(request, "tariffs:read")
    return page(
        request,
        "access/tariff.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (_("Tariffs"), "/access/tariffs"), (shown.name, None)],
        status=status,
        form=form,
        giving=giving or Form(),
        shown=shown,
        etag=etag,
        earlier=[(one, _text(one.terms)) for one in reversed(shown.revisions[:-1])],
        given=await tariffs.assignments(context, principal, tariff_id=shown.id),
        scopes={key: _(text) for key, text in SCOPES.items()},
        may_write=principal.may("tariffs:write"),
    )


@post("/access/tariffs/{tariff_id:str}")
async def save_tariff(request: PlainRequest, tariff_id: Text) -> Response[Any]:
    """Change it; other terms are a new revision."""
    context, principal = allowed(request, "tariffs:write")
    name = segment(tariff_id)
    form = await Form.read(request)
    try:
        try:
            terms = msgspec.json.decode(form.get("terms").encode())
        except msgspec.DecodeError as error:
            raise problem("bad-body", errors=[{"field": "terms", "message": str(error)}]) from None
        data = body(types.TariffChange, {"name": form.get("name"), "note": form.get("note"), "terms": terms})
        await tariffs.change(context, principal, name, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        for one in refused.details.errors:
            if one.field.startswith("terms."):
                form.errors["terms"] = f"{one.field.removeprefix('terms.')}: {one.message}"
        return await again(request, form, refused, _one, lambda: tariffs.tariff(context, principal, name))
    return redirect(request, f"/access/tariffs/{name}", "good", _("Saved."))


@post("/access/tariffs/{tariff_id:str}/delete")
async def delete_tariff(request: PlainRequest, tariff_id: Text) -> Response[Any]:
    """Forget one that nothing has."""
    context, principal = allowed(request, "tariffs:write")
    work = tariffs.remove(context, principal, segment(tariff_id))
    return await unless_in_use(
        request,
        work,
        stay=f"/access/tariffs/{tariff_id}",
        then="/access/tariffs",
        said=_("The tariff is forgotten."),
    )


@post("/access/tariffs/{tariff_id:str}/places")
async def give(request: PlainRequest, tariff_id: Text) -> Response[Any]:
    """Give it to a place or a driver."""
    context, principal = allowed(request, "tariffs:write")
    name = segment(tariff_id)
    form = await Form.read(request)
    evse = form.get("evse")
    try:
        given = {
            "tariff_id": name,
            "scope": form.get("scope"),
            "target": form.get("target"),
            "evse": int(evse) if evse.isdigit() else 0,
        }
        await tariffs.assign(context, principal, body(types.NewTariffAssignment, given))
    except Problem as refused:
        form.fail(refused)
        found = await tariffs.tariff(context, principal, name)
        return await _one(request, _form_of(found.value), found.value, found.etag, 422, form)
    return redirect(request, f"/access/tariffs/{name}", "good", _("Saved."))


@post("/access/tariffs/{tariff_id:str}/places/delete")
async def take(request: PlainRequest, tariff_id: Text) -> Response[Any]:
    """Take it from a place or a driver."""
    context, principal = allowed(request, "tariffs:write")
    form = await Form.read(request)
    await tariffs.take(context, principal, form.get("place"))
    return redirect(request, f"/access/tariffs/{segment(tariff_id)}", "good", _("Saved."))


HANDLERS: list[Any] = [tariff_list, add_tariff, one_tariff, save_tariff, delete_tariff, give, take]
