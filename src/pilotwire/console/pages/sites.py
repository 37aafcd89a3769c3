"""Sites: where stations stand. A map and a table of them, a form for each, and an editor of its plan."""

from __future__ import annotations

import re
from typing import Annotated, Any
from zoneinfo import available_timezones

import msgspec
from litestar import Response, get, post
from litestar.datastructures import UploadFile
from litestar.params import QueryParameter

from pilotwire.api import drawings, types
from pilotwire.api.access import Principal
from pilotwire.api.context import ApiContext
from pilotwire.api.fleet import StationQuery
from pilotwire.api.language import _
from pilotwire.api.problems import Problem, problem
from pilotwire.api.queries import Queries
from pilotwire.api.resources import controllers, sites

from .. import maps
from ..forms import Form
from .common import PlainRequest, Text, allowed, page, redirect, segment
from .editing import ETAG, again, body, unless_in_use, zone_name
from .lists import Address, Asked
from .site_frame import CONTROLLER_STATES, tabs_of

_ADDRESS = ("street", "postal_code", "city", "country")
_CONTACT = ("name", "role", "email", "phone")
_UPLOAD = drawings.MAX_BYTES + 65_536
CONTACTS = 3
"""So many rows for contacts are shown at least."""
KINDS = ("area", "building", "parking", "road", "wall", "green")


def kinds() -> list[tuple[str, str]]:
    """What can be drawn on a plan, for a choice."""
    told = {
        "area": _("area"), "building": _("building"), "parking": _("parking spaces"), "road": _("road"),
        "wall": _("wall"), "green": _("green"),
    }  # fmt: skip
    return [(kind, told[kind]) for kind in KINDS]


# -- the list ---------------------------------------------------------------------------------------------------------
@get("/sites")
async def site_list(
    request: PlainRequest, q: Annotated[str, QueryParameter(max_length=100)] = "", sort: Asked = "name"
) -> Response[Any]:
    """All of them: on a map as far as they have a position, and in a table."""
    context, principal = allowed(request, "sites:read")
    found = await sites.sites(context, principal, search=q or None)
    told = {one.site_id: one for one in await sites.summaries(context, principal)}
    keys: dict[str, Any] = {
        "name": lambda one: one.name.casefold(),
        "city": lambda one: (one.address.city.casefold(), one.name.casefold()),
        "stations": lambda one: told[one.id].stations if one.id in told else 0,
        "power_w": lambda one: told[one.id].power_w if one.id in told else 0,
    }
    key = sort.removeprefix("-")
    found.sort(key=keys.get(key, keys["name"]), reverse=sort.startswith("-"))
    return page(
        request,
        "sites/list.html",
        here="sites",
        crumbs=[(_("Sites"), None)],
        items=found,
        told=told,
        controllers={one.site_id: one for one in await controllers.controllers(context, principal)},
        controller_states=CONTROLLER_STATES,
        drawing=maps.of_sites(found, told),
        q=q,
        sort=sort,
        address=Address("/sites", q=q, sort="" if sort == "name" else sort),
        may_write=principal.may("sites:write") and principal.sites is None,
    )


# -- the form ---------------------------------------------------------------------------------------------------------
async def _form(
    request: PlainRequest, form: Form, shown: types.Site | None, etag: str, status: int = 200
) -> Response[Any]:
    context, principal = allowed(request, "sites:read")
    rows = max([CONTACTS, *(int(name[9]) + 1 for name in form.values if re.fullmatch(r"contacts\[\d\]\.\w+", name))])
    return page(
        request,
        "sites/site.html",
        here="sites",
        crumbs=[(_("Sites"), "/sites"), (shown.name if shown else _("New site"), None)],
        status=status,
        form=form,
        shown=shown,
        site_tabs=tabs_of(context, principal, shown.id) if shown else [],
        etag=etag,
        rows=rows,
        zones=sorted(available_timezones()),
        zone=zone_name(context.config.zone),
        contacts=principal.sites is not None or principal.may("drivers:read"),
        may_write=principal.may("sites:write"),
    )


def _filled(site: types.Site) -> Form:
    form = Form.of(site)
    for name in ("address", "contacts", "plan"):
        form.values.pop(name, None)
    for name in _ADDRESS:
        form.values[name] = [getattr(site.address, name)]
    for number, one in enumerate(site.contacts):
        for name in _CONTACT:
            form.values[f"contacts[{number}].{name}"] = [getattr(one, name)]
    form.values["power_limit_kw"] = [f"{site.power_limit_w / 1000:g}" if site.power_limit_w else ""]
    form.values["outline"] = [_outline_text(site)]
    return form


def _outline_text(site: types.Site) -> str:
    if not site.outline:
        return ""
    rings = [[[*ring, ring[0]]] for ring in site.outline]
    return msgspec.json.encode({"type": "MultiPolygon", "coordinates": rings}).decode()


def _decimal(form: Form, name: str) -> float | str | None:
    """A number with point or comma; what is none stays as it is, to be refused by name; None for nothing."""
    text = form.get(name)
    if not text:
        return None
    try:
        return float(text.replace(",", "."))
    except ValueError:
        return text


def _given(form: Form, *, contacts: bool) -> dict[str, Any]:
    """The body of the API's call; what only the form can be wrong about is noted in it."""
    power = _decimal(form, "power_limit_kw")
    if isinstance(power, str) or (power is not None and not 0.001 <= power <= 1_000_000):
        form.wrong("power_limit_kw", _("must be a number above 0"))
        power = None
    given: dict[str, Any] = {
        "name": form.get("name"),
        "address": {name: form.get(name).upper() if name == "country" else form.get(name) for name in _ADDRESS},
        "latitude": _decimal(form, "latitude"),
        "longitude": _decimal(form, "longitude"),
        "time_zone": form.get("time_zone"),
        "power_limit_w": round(power * 1000) if power else None,
        "current_limit_a": _decimal(form, "current_limit_a"),
        "note": form.get("note"),
    }
    try:
        text = form.get("outline")
        given["outline"] = drawings.outline_of(text.encode()) if text else []
    except Problem as refused:
        form.wrong("outline", refused.details.detail)
    if contacts:
        rows = [{name: form.get(f"contacts[{number}].{name}") for name in _CONTACT} for number in range(10)]
        given["contacts"] = [row for row in rows if any(row.values())]
    return given


def _body(kind: Any, form: Form, principal: Principal) -> Any:
    """What was typed, as `kind`. Raises Problem 422 that names every wrong field."""
    given = _given(form, contacts=principal.sites is not None or principal.may("drivers:read"))
    data = body(kind, given)
    if form.errors:
        raise problem("bad-body")
    return data


@get("/sites/new")
async def new_site(request: PlainRequest) -> Response[Any]:
    """A form for a new one."""
    allowed(request, "sites:write")
    return await _form(request, Form(), None, "")


@post("/sites/new")
async def add_site(request: PlainRequest) -> Response[Any]:
    """Add it."""
    context, principal = allowed(request, "sites:write")
    form = await Form.read(request)
    try:
        made = await sites.create(context, principal, _body(types.NewSite, form, principal))
    except Problem as refused:
        form.fail(refused)
        return await _form(request, form, None, "", 422)
    said = _("{name} is there now. Draw its plan, and say of each station where it stands.", name=made.value.name)
    return redirect(request, f"/sites/{made.value.id}", "good", said)


@get("/sites/{site_id:str}")
async def one_site(request: PlainRequest, site_id: Text) -> Response[Any]:
    """One, to be changed."""
    context, principal = allowed(request, "sites:read")
    found = await sites.site(context, principal, segment(site_id))
    return await _form(request, _filled(found.value), found.value, found.etag)


@post("/sites/{site_id:str}")
async def save_site(request: PlainRequest, site_id: Text) -> Response[Any]:
    """Change it, as far as nobody else has meanwhile."""
    context, principal = allowed(request, "sites:write")
    name = segment(site_id)
    form = await Form.read(request)
    try:
        data = _body(types.SiteChange, form, principal)
        await sites.change(context, principal, name, data, if_match=form.get(ETAG) or None)
    except Problem as refused:
        return await again(request, form, refused, _form, lambda: sites.site(context, principal, name))
    return redirect(request, f"/sites/{site_id}", "good", _("Saved."))


@post("/sites/{site_id:str}/delete")
async def delete_site(request: PlainRequest, site_id: Text) -> Response[Any]:
    """Delete one at which no station stands."""
    context, principal = allowed(request, "sites:write")
    work, stay = sites.remove(context, principal, segment(site_id)), f"/sites/{site_id}"
    return await unless_in_use(request, work, stay=stay, then="/sites", said=_("The site is deleted."))


# -- the plan ---------------------------------------------------------------------------------------------------------
async def _standing(context: ApiContext, principal: Principal, site_id: str) -> list[str]:
    """The stations of a site, by name."""
    found: list[str] = []
    queries, cursor = Queries(context, principal), None
    while len(found) < 2_000:
        some = await queries.stations(wanted=StationQuery(site=(site_id,)), cursor=cursor, limit=500)
        found += [one.id for one in some.items]
        cursor = some.next
        if cursor is None:
            break
    return found


async def _plan(
    request: PlainRequest, shown: types.Site, etag: str, plan: types.SitePlan | None = None, *,
    wrong: str = "", status: int = 200,
) -> Response[Any]:  # fmt: skip
    context, principal = allowed(request, "sites:write")
    kept = plan or shown.plan or types.SitePlan()
    placed = {one.station_id: one for one in kept.places}
    names = await _standing(context, principal, shown.id)
    return page(
        request,
        "sites/plan.html",
        here="sites",
        crumbs=[(_("Sites"), "/sites"), (shown.name, f"/sites/{shown.id}"), (_("Plan"), None)],
        status=status,
        shown=shown,
        etag=etag,
        plan=kept,
        wrong=wrong,
        unit=maps.WIDTH / kept.width,
        stations=[(name, placed.get(name)) for name in [*names, *(one for one in placed if one not in names)]],
        gone=set(placed) - set(names),
        kinds=kinds(),
    )


@get("/sites/{site_id:str}/plan")
async def edit_plan(request: PlainRequest, site_id: Text) -> Response[Any]:
    """The editor."""
    context, principal = allowed(request, "sites:write")
    found = await sites.site(context, principal, segment(site_id))
    return await _plan(request, found.value, found.etag)


def _numbers(text: str) -> list[float]:
    return [float(one) for one in re.split(r"[\s,;]+", text.strip()) if one]


def _points(text: str) -> list[tuple[float, float]]:
    """Points typed as "x,y x,y". Raises ValueError."""
    numbers = _numbers(text)
    if len(numbers) % 2:
        raise ValueError
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _drawn(form: Form, before: types.SitePlan) -> types.SitePlan:
    """The plan that was drawn. Raises Problem 422."""
    errors: list[dict[str, str]] = []

    def number(text: str, name: str) -> float:
        try:
            return float(text.replace(",", "."))
        except ValueError:
            errors.append({"field": name, "message": _("must be a number")})
            return 1.0

    width, height = (number(form.get(name), name) for name in ("width", "height"))
    kept = {one.station_id: one for one in before.places}
    places: list[dict[str, Any]] = []
    for name, x, y in zip(form.all("station"), form.all("x"), form.all("y"), strict=False):
        if x.strip() and y.strip():
            old = kept.get(name)
            place: dict[str, Any] = {"station_id": name, "x": number(x, name), "y": number(y, name)}
            if old is not None and (old.x, old.y) == (place["x"], place["y"]):
                place |= {"latitude": old.latitude, "longitude": old.longitude}
            places.append(place)
    shapes: list[dict[str, Any]] = []
    for row, (kind, label, form_of, text) in enumerate(
        zip(form.all("kind"), form.all("label"), form.all("form"), form.all("points"), strict=False)
    ):
        if not text.strip():
            continue
        try:
            points = _points(text)
        except ValueError:
            points = []
        if len(points) < 2:
            message = _("points are written 0,0 20,0 20,10; two at least")
            errors.append({"field": _("shape {n}", n=row + 1), "message": message})
            continue
        shapes.append({"kind": kind, "label": label.strip(), "closed": form_of == "closed", "points": points})
    if errors:
        raise problem("bad-body", errors=errors)
    given = {"width": width, "height": height, "shapes": shapes, "places": places}
    return body(types.SiteChange, {"plan": given}).plan  # type: ignore[return-value]


@post("/sites/{site_id:str}/plan")
async def save_plan(request: PlainRequest, site_id: Text) -> Response[Any]:
    """Keep what was drawn."""
    context, principal = allowed(request, "sites:write")
    form = await Form.read(request, limit=_UPLOAD)
    found = await sites.site(context, principal, segment(site_id))
    drawn: types.SitePlan | None = None
    try:
        drawn = _drawn(form, found.value.plan or types.SitePlan())
        change = types.SiteChange(plan=drawn)
        await sites.change(context, principal, found.value.id, change, if_match=form.get(ETAG) or None)
    except Problem as refused:
        if refused.status == 404:
            raise
        listed = "; ".join(f"{one.field}: {one.message}" for one in refused.details.errors)
        return await _plan(
            request, found.value, found.etag, drawn, wrong=listed or refused.details.detail, status=refused.status
        )
    return redirect(request, f"/sites/{site_id}/plan", "good", _("The plan is kept."))


async def _upload(request: PlainRequest) -> bytes:
    file = (await request.form()).get("file")
    data = await file.read() if isinstance(file, UploadFile) else b""
    if not data:
        raise problem("bad-file", _("Choose a file first."))
    return data


@post("/sites/{site_id:str}/plan/import", request_max_body_size=_UPLOAD)
async def import_file(request: PlainRequest, site_id: Text) -> Response[Any]:
    """A drawing to lie below the plan (SVG), or a plan (GeoJSON); which of them, the file says itself."""
    context, principal = allowed(request, "sites:write")
    name = segment(site_id)
    try:
        data = await _upload(request)
        if data.lstrip(b"\xef\xbb\xbf \t\r\n")[:1] in (b"{", b"["):
            await sites.import_plan(context, principal, name, data)
            said = _("The plan is made of the file.")
        else:
            await sites.put_background(context, principal, name, data)
            said = _("The drawing lies below the plan now.")
    except Problem as refused:
        if refused.status not in (413, 422):
            raise
        return redirect(request, f"/sites/{site_id}/plan", "bad", refused.details.detail)
    return redirect(request, f"/sites/{site_id}/plan", "good", said)


@post("/sites/{site_id:str}/plan/clear")
async def clear_background(request: PlainRequest, site_id: Text) -> Response[Any]:
    """Take the drawing below the plan away."""
    context, principal = allowed(request, "sites:write")
    await sites.remove_background(context, principal, segment(site_id))
    return redirect(request, f"/sites/{site_id}/plan", "good", _("The drawing below the plan is gone."))


HANDLERS: list[Any] = [
    site_list, new_site, add_site, one_site, save_site, delete_site, edit_plan, save_plan, import_file,
    clear_background,
]  # fmt: skip
