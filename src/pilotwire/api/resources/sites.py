"""Sites."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import defaultdict
from collections.abc import Sequence
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.storage.documents import Change, Conflict, Delete, put, unpack

from .. import audit, drawings, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..language import _
from ..live import hub_of
from ..problems import faulty, not_found, problem
from .keeping import Collection, Tagged

KIND = "site"


class SiteRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a site."""

    name: str
    address: types.Address = msgspec.field(default_factory=types.Address)
    latitude: float | None = None
    longitude: float | None = None
    time_zone: str = ""
    power_limit_w: int | None = None
    current_limit_a: float | None = None
    outline: list[list[tuple[float, float]]] = []
    plan: types.SitePlan | None = None
    background: str = ""
    """Of its drawing, the beginning of the digest; empty: it has none."""
    contacts: list[types.Contact] = []
    note: str = ""
    created_at: int = 0
    updated_at: int = 0


class BackgroundRecord(msgspec.Struct):
    """The drawing below a plan, cleaned."""

    svg: str


BACKGROUND = "site-background"
SITES = Collection(KIND, SiteRecord, "site")
_FIELDS = (
    "name", "address", "latitude", "longitude", "time_zone", "power_limit_w", "current_limit_a", "outline", "plan",
    "contacts", "note",
)  # fmt: skip


def _sort(record: SiteRecord) -> str:
    return record.name.casefold()


def _shown(principal: Principal, site_id: str, record: SiteRecord) -> types.Site:
    """Contacts are personal data: whoever may not see drivers sees them of a site of their own alone."""
    may = principal.sites is not None or principal.may("drivers:read")
    return types.Site(
        id=site_id,
        name=record.name,
        address=record.address,
        latitude=record.latitude,
        longitude=record.longitude,
        time_zone=record.time_zone,
        power_limit_w=record.power_limit_w,
        current_limit_a=record.current_limit_a,
        outline=record.outline,
        plan=record.plan,
        background=f"/api/v1/sites/{site_id}/background.svg?v={record.background}" if record.background else "",
        contacts=record.contacts if may else [],
        note=record.note,
        created_at=to_rfc3339(record.created_at),
        updated_at=to_rfc3339(record.updated_at),
    )


def _visible(principal: Principal, site_id: str) -> bool:
    return principal.sites is None or site_id in principal.sites


async def sites(context: ApiContext, principal: Principal, *, search: str | None = None) -> list[types.Site]:
    """Every site in scope by name; `search` is part of id, name, city or note."""
    principal.need("sites:read")
    needle = (search or "").casefold()
    found: list[types.Site] = []
    async for site_id, kept in SITES.every(context, principal.tenant):
        record = kept.value
        if not _visible(principal, site_id):
            continue
        if needle and needle not in f"{site_id}\n{record.name}\n{record.address.city}\n{record.note}".casefold():
            continue
        found.append(_shown(principal, site_id, record))
    return found


async def site(context: ApiContext, principal: Principal, site_id: str) -> Tagged[types.Site]:
    """One site. Raises Problem 404, also for one out of scope."""
    principal.need("sites:read")
    if not _visible(principal, site_id):
        raise not_found("site", site_id)
    kept = await SITES.get(context, principal.tenant, site_id)
    return Tagged(_shown(principal, site_id, kept.value), tag_of(kept.version))


async def create(context: ApiContext, principal: Principal, data: types.NewSite) -> Tagged[types.Site]:
    """Add a site. Raises Problem 409 where the id is taken."""
    principal.need("sites:write")
    now = context.scheduler.now()
    record = SiteRecord(created_at=now, updated_at=now, **{name: getattr(data, name) for name in _FIELDS})
    _check(record)
    site_id = data.id or await _free_id(context, principal.tenant, data.name)
    version = await SITES.add(context, principal.tenant, site_id, record, sort=_sort(record))
    await audit.record(context, principal, "sites.create", f"site {site_id}", detail={"name": record.name})
    return Tagged(_shown(principal, site_id, record), tag_of(version))


async def change(
    context: ApiContext, principal: Principal, site_id: str, data: types.SiteChange, *, if_match: str | None = None
) -> Tagged[types.Site]:
    """Change what is given. Raises Problem 404, 412."""
    principal.need("sites:write")
    before = await _own(context, principal, site_id)
    check(if_match, tag_of(before.version))
    record = before.value
    given = [name for name in _FIELDS if getattr(data, name) is not msgspec.UNSET]
    for name in given:
        setattr(record, name, getattr(data, name))
    record.updated_at = context.scheduler.now()
    _check(record)
    version = await SITES.replace(
        context, principal.tenant, site_id, record, sort=_sort(record), expected=before.version
    )
    await audit.record(context, principal, "sites.change", f"site {site_id}", detail={"fields": given})
    return Tagged(_shown(principal, site_id, record), tag_of(version))


async def remove(context: ApiContext, principal: Principal, site_id: str, *, if_match: str | None = None) -> None:
    """Delete a site at which no station stands any more. Raises Problem 404, 409, 412."""
    principal.need("sites:write")
    before = await _own(context, principal, site_id)
    check(if_match, tag_of(before.version))
    standing = [one.id for one in await context.store.accounts(principal.tenant) if one.site == site_id]
    if standing:
        raise problem(
            "in-use",
            _(
                "{n} stations stand at {site_id}, {standing} among them.",
                n=len(standing),
                site_id=site_id,
                standing=standing[0],
            ),
        )
    await SITES.delete(context, principal.tenant, site_id, expected=before.version)
    await context.store.write_documents(principal.tenant, [Delete(BACKGROUND, site_id)])
    await audit.record(context, principal, "sites.delete", f"site {site_id}", detail={"name": before.value.name})


# -- the drawing below the plan ---------------------------------------------------------------------------------------
async def background(context: ApiContext, principal: Principal, site_id: str) -> str:
    """The drawing, as SVG. Raises Problem 404 also where the site has none."""
    await site(context, principal, site_id)
    kept = await context.store.document(principal.tenant, BACKGROUND, site_id)
    if kept is None:
        raise not_found("background", site_id)
    return unpack(kept, BackgroundRecord).value.svg


async def put_background(
    context: ApiContext, principal: Principal, site_id: str, data: bytes, *, if_match: str | None = None
) -> Tagged[types.Site]:
    """Draw this SVG, cleaned, below the plan; a site without a plan gets one of its proportions, 100 m wide.

    Raises Problem 404, 412, 413, 422.
    """
    principal.need("sites:write")
    before = await _own(context, principal, site_id)
    check(if_match, tag_of(before.version))
    drawn = drawings.clean_svg(data)
    record = before.value
    record.background = hashlib.sha256(drawn.text.encode()).hexdigest()[:12]
    record.updated_at = context.scheduler.now()
    if record.plan is None:
        record.plan = types.SitePlan(width=100, height=max(1.0, round(100 * drawn.height / drawn.width, 1)))
    changes = [
        put(KIND, site_id, record, sort=_sort(record), expected=before.version),
        put(BACKGROUND, site_id, BackgroundRecord(svg=drawn.text)),
    ]
    return await _drawn(context, principal, site_id, record, changes)


async def remove_background(
    context: ApiContext, principal: Principal, site_id: str, *, if_match: str | None = None
) -> Tagged[types.Site]:
    """Draw nothing below the plan. Raises Problem 404, 412."""
    principal.need("sites:write")
    before = await _own(context, principal, site_id)
    check(if_match, tag_of(before.version))
    record = before.value
    record.background, record.updated_at = "", context.scheduler.now()
    put_site = put(KIND, site_id, record, sort=_sort(record), expected=before.version)
    return await _drawn(context, principal, site_id, record, [put_site, Delete(BACKGROUND, site_id)])


async def _drawn(
    context: ApiContext, principal: Principal, site_id: str, record: SiteRecord, changes: Sequence[Change]
) -> Tagged[types.Site]:
    try:
        versions = await context.store.write_documents(principal.tenant, changes)
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    detail: dict[str, object] = {"fields": ["background"], "digest": record.background}
    await audit.record(context, principal, "sites.change", f"site {site_id}", detail=detail)
    return Tagged(_shown(principal, site_id, record), tag_of(versions[0]))


async def import_plan(
    context: ApiContext, principal: Principal, site_id: str, data: bytes, *, if_match: str | None = None
) -> Tagged[types.Site]:
    """Make the plan of GeoJSON; stations that it does not place keep no place. Raises Problem 404, 412, 413, 422."""
    principal.need("sites:write")
    return await change(context, principal, site_id, types.SiteChange(plan=drawings.plan_of(data)), if_match=if_match)


async def geojson(context: ApiContext, principal: Principal, *, outline: bool = False) -> bytes:
    """Every site in scope as a GeoJSON FeatureCollection: where it lies, or its outline, and how it does."""
    told = {one.site_id: one for one in await summaries(context, principal)}
    found = await sites(context, principal)
    return drawings.collection_of(drawings.feature_of(one, told.get(one.id), outline=outline) for one in found)


async def names(context: ApiContext, principal: Principal) -> dict[str, str]:
    """Site id → name, of those in scope: for tables and forms."""
    principal.need("sites:read")
    return {
        site_id: kept.value.name
        async for site_id, kept in SITES.every(context, principal.tenant)
        if _visible(principal, site_id)
    }


async def check_site(context: ApiContext, tenant: str, site_id: str) -> None:
    """Raise Problem 422 unless `site_id` is "" or a site of this tenant: for whoever puts a station somewhere."""
    if site_id and await SITES.find(context, tenant, site_id) is None:
        raise problem(
            "bad-body",
            _("There is no site {site_id}.", site_id=repr(site_id)),
            errors=[{"field": "site", "message": _("there is no such site")}],
        )


async def summaries(context: ApiContext, principal: Principal) -> list[types.SiteSummary]:
    """How every site in scope does, by name; last, where there are such, the stations that stand nowhere."""
    principal.need("sites:read")
    picture = await hub_of(context, principal).picture()
    energy = picture.energy_today()
    by_site: dict[str, list[types.Station]] = defaultdict(list)
    for one in picture.stations.values():
        by_site[one.site].append(one)
    charging = {
        (one.station_id, one.evse) for one in picture.sessions.values() if one.status == "active" and one.power_w > 0
    }
    active: dict[str, int] = defaultdict(int)
    for session in picture.sessions.values():
        active[session.station_id] += session.status == "active"
    made: list[types.SiteSummary] = []
    async for site_id, kept in SITES.every(context, principal.tenant):
        if _visible(principal, site_id):
            made.append(_sum(site_id, kept.value, by_site.pop(site_id, []), charging, active, energy))
    if principal.sites is None:
        # Also those whose site is gone: nothing may fall out of the sum.
        rest = [one for stations in by_site.values() for one in stations]
        if rest:
            made.append(_sum("", None, rest, charging, active, energy))
    return made


async def summary(context: ApiContext, principal: Principal, site_id: str) -> types.SiteSummary:
    """How one site does. Raises Problem 404."""
    await site(context, principal, site_id)
    return next(one for one in await summaries(context, principal) if one.site_id == site_id)


def _sum(
    site_id: str,
    record: SiteRecord | None,
    stations: list[types.Station],
    charging: set[tuple[str, int]],
    active: dict[str, int],
    energy: dict[str, int],
) -> types.SiteSummary:
    # One pass, for there may be ten thousand stations and a page waits for this.
    online = connectors = available = faulted = power = sessions = delivered = 0
    drawing: set[tuple[str, int]] = set()
    for one in stations:
        name, connected = one.id, one.connected
        online += connected
        power += one.power_w
        sessions += active.get(name, 0)
        delivered += energy.get(name, 0)
        for connector in one.connectors:
            status, evse = connector.status, connector.evse
            available += connected and status == "Available"
            if evse:
                connectors += 1
                faulted += status == "Faulted"
                if charging and (name, evse) in charging:
                    drawing.add((name, evse))
    limit = record.power_limit_w if record else None
    return types.SiteSummary(
        site_id=site_id,
        name=record.name if record else "",
        stations=len(stations),
        stations_online=online,
        connectors=connectors,
        connectors_available=available,
        connectors_charging=len(drawing),
        connectors_faulted=faulted,
        sessions_active=sessions,
        power_w=power,
        power_limit_w=limit,
        load_percent=round(power * 100 / limit, 1) if limit else None,
        energy_today_wh=delivered,
    )


async def _own(context: ApiContext, principal: Principal, site_id: str):
    if not _visible(principal, site_id):
        raise not_found("site", site_id)
    return await SITES.get(context, principal.tenant, site_id)


def _check(record: SiteRecord) -> None:
    """What the types cannot say. Raises Problem 422."""
    errors: list[dict[str, str]] = []
    if (record.latitude is None) != (record.longitude is None):
        missing = "latitude" if record.latitude is None else "longitude"
        errors.append({"field": missing, "message": _("give both latitude and longitude, or neither")})
    if record.time_zone:
        try:
            ZoneInfo(record.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            errors.append({"field": "time_zone", "message": _("no time zone of the IANA database, e.g. Europe/Berlin")})
    if record.plan is not None:
        seen: set[str] = set()
        for number, place in enumerate(record.plan.places):
            if place.station_id in seen:
                errors.append({"field": f"plan.places[{number}].station_id", "message": _("stands there twice")})
            seen.add(place.station_id)
    if errors:
        raise faulty("bad-body", errors)


async def _free_id(context: ApiContext, tenant: str, name: str) -> str:
    """An id made of a name, with a number where that is taken."""
    letters = unicodedata.normalize("NFKD", name.replace("ß", "ss")).encode("ascii", "ignore").decode().lower()
    base = re.sub(r"[^a-z0-9]+", "-", letters).strip("-")[:40].strip("-") or "site"
    number = 1
    while await SITES.find(context, tenant, base if number == 1 else f"{base}-{number}") is not None:
        number += 1
    return base if number == 1 else f"{base}-{number}"
