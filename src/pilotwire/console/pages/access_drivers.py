"""Drivers: the people who carry tokens, with what they agreed to; exported and forgotten when they ask for it."""

from __future__ import annotations

from typing import Annotated, Any

from litestar import Response, get, post
from litestar.params import QueryParameter

from pilotwire.api import listing, types
from pilotwire.api.language import _, languages, several
from pilotwire.api.problems import Problem
from pilotwire.api.resources import drivers
from pilotwire.core.time import to_datetime

from ..forms import Form
from .access import tabs
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, lists, words_of
from .lists import Address, Asked, Cursor
from .sessions_find import newest_with

_PAGE = 50
_KEYS: dict[str, Any] = {"name": lambda one: one.name, "created_at": lambda one: one.created_at}


@get("/access/drivers")
async def driver_list(
    request: PlainRequest,
    q: Annotated[str, QueryParameter(max_length=100)] = "",
    sort: Asked = "name",
    cursor: Cursor = None,
) -> Response[Any]:
    """Who carries tokens."""
    context, principal = allowed(request, "drivers:read")
    found = await drivers.drivers(context, principal, search=q or None)
    items, after = listing.page_of(
        found, name="drivers", sort=sort, default="name", keys=_KEYS, id_of=lambda one: one.id, cursor=cursor,
        limit=_PAGE, filters={"search": q},
    )  # fmt: skip
    return page(
        request,
        "access/drivers.html",
        here="access",
        crumbs=[(_("Access"), "/access"), (_("Drivers"), None)],
        tabs=tabs(principal),
        tab="drivers",
        items=items,
        total=len(found),
        q=q,
        sort=sort,
        address=Address("/access/drivers", q=q, sort=sort),
        next=after,
        first=cursor is not None,
        may_write=principal.may("drivers:write"),
    )


async def _driver_page(
    request: PlainRequest, form: Form, shown: types.Driver | None, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "drivers:read")
    return page(
        request,
        "access/driver.html",
        here="access",
        crumbs=[
            (_("Access"), "/access"),
            (_("Drivers"), "/access/drivers"),
            (shown.name if shown else _("New driver"), None),
        ],
        status=status,
        form=form,
        shown=shown,
        etag=etag,
        tongues=[("", _("not known")), *languages().items()],
        may_write=principal.may("drivers:write"),
        may_erase=principal.may("personal-data:erase"),
        may_export=principal.may("sessions:export"),
        recent=await newest_with(context, principal, shown.tokens) if shown else [],
    )


def _driver_body(form: Form) -> dict[str, Any]:
    given: dict[str, Any] = {name: form.get(name) for name in ("name", "email", "phone", "language", "note")}
    return {**given, "tokens": words_of(form.get("tokens"))}


def _filled(driver: types.Driver) -> Form:
    form = Form.of(driver)
    form.values["tokens"] = ["\n".join(driver.tokens)]
    form.values.pop("consents", None)
    return form


@get("/access/drivers/new")
async def new_driver(request: PlainRequest, token: Asked = "") -> Response[Any]:
    """A form for somebody new."""
    allowed(request, "drivers:write")
    return await _driver_page(request, Form({"tokens": [token[:255]]}), None, "")


@post("/access/drivers/new")
async def add_driver(request: PlainRequest) -> Response[Any]:
    """Add a person."""
    context, principal = allowed(request, "drivers:write")
    form = await Form.read(request)
    try:
        made = await drivers.create(context, principal, body(types.NewDriver, _driver_body(form)))
    except Problem as refused:
        form.fail(refused)
        lists(form, "tokens")
        return await _driver_page(request, form, None, "", 422)
    said = _("{name} is known now.", name=made.value.name)
    return redirect(request, f"/access/drivers/{made.value.id}", "good", said)


@get("/access/drivers/{driver_id:str}")
async def one_driver(request: PlainRequest, driver_id: Text) -> Response[Any]:
    """A person, to be changed."""
    context, principal = allowed(request, "drivers:read")
    found = await drivers.driver(context, principal, segment(driver_id))
    return await _driver_page(request, _filled(found.value), found.value, found.etag)


@post("/access/drivers/{driver_id:str}")
async def save_driver(request: PlainRequest, driver_id: Text) -> Response[Any]:
    """Change it, as far as nobody else has meanwhile."""
    context, principal = allowed(request, "drivers:write")
    name = segment(driver_id)
    form = await Form.read(request)
    try:
        data = body(types.DriverChange, _driver_body(form))
        await drivers.change(context, principal, name, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(
            request, form, refused, _driver_page, lambda: drivers.driver(context, principal, name), listed=("tokens",)
        )
    return redirect(request, f"/access/drivers/{driver_id}", "good", _("Saved."))


@post("/access/drivers/{driver_id:str}/consents")
async def consents(request: PlainRequest, driver_id: Text) -> Response[Any]:
    """Note that somebody agreed to something, or no longer does."""
    context, principal = allowed(request, "drivers:write")
    form = await Form.read(request)
    found = await drivers.driver(context, principal, segment(driver_id))
    now = to_datetime(context.scheduler.now())
    kept = list(found.value.consents)
    withdrawn = form.number("withdraw")
    try:
        if withdrawn is not None and 0 <= withdrawn < len(kept):
            kept[withdrawn].withdrawn_at = now
        else:
            kept.append(body(types.Consent, {"purpose": form.get("purpose"), "given_at": now}))
        data = types.DriverChange(consents=kept)
        await drivers.change(context, principal, found.value.id, data, if_match=found.etag)
    except Problem as refused:
        if refused.status == 404:
            raise
        filled = _filled(found.value)
        filled.values["purpose"] = form.values.get("purpose", [])
        filled.fail(refused)
        return await _driver_page(request, filled, found.value, found.etag, refused.status)
    return redirect(request, f"/access/drivers/{driver_id}", "good", _("Saved."))


@post("/access/drivers/{driver_id:str}/delete")
async def delete_driver(request: PlainRequest, driver_id: Text) -> Response[Any]:
    """Take the person away; the tokens stay and are nobody's."""
    context, principal = allowed(request, "drivers:write")
    await drivers.remove(context, principal, segment(driver_id))
    return redirect(request, "/access/drivers", "good", _("The driver is gone; the tokens stay and are nobody's."))


@post("/access/drivers/{driver_id:str}/erase")
async def erase_driver(request: PlainRequest, driver_id: Text) -> Response[Any]:
    """Forget the person for good."""
    context, principal = allowed(request, "personal-data:erase")
    name = segment(driver_id)
    form = await Form.read(request)
    found = await drivers.driver(context, principal, name)
    try:
        order = body(types.ErasureOrder, {"reason": form.get("reason"), "delete_tokens": form.flag("delete_tokens")})
        done = await drivers.erase(context, principal, name, order)
    except Problem as refused:
        if refused.status == 404:
            raise
        filled = _filled(found.value)
        filled.values["reason"] = form.values.get("reason", [])
        filled.values["delete_tokens"] = form.values.get("delete_tokens", [])
        filled.fail(refused)
        return await _driver_page(request, filled, found.value, found.etag, refused.status)
    said = several(
        done.sessions_kept,
        "The person is forgotten. {n} session stays as a record, without a name.",
        "The person is forgotten. {n} sessions stay as records, without a name.",
    )
    return redirect(request, "/access/drivers", "good", said)


HANDLERS: list[Any] = [
    driver_list, new_driver, add_driver, one_driver, save_driver, consents, delete_driver, erase_driver,
]  # fmt: skip
