"""Outages that are over and that last, and what people exclude of them."""

from __future__ import annotations

from bisect import bisect_right
from typing import Final

import msgspec

from pilotwire.core.time import from_datetime, to_rfc3339
from pilotwire.domain.outages import Outage
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.documents import Change, Delete, Kept, put, sort_time, unpack

from .. import audit, listing, types
from ..access import Principal
from ..context import ApiContext
from ..happenings.books import every
from ..happenings.report_records import EXCLUSION, OUTAGE, ExclusionRecord, outage_id
from ..happenings.reporting import Reporting
from ..language import _
from ..problems import faulty, not_found, problem
from ..queries import Queries
from ..scope import visible_stations
from .keeping import Collection
from .report_figures import worker_of

EXCLUSIONS: Final = Collection(EXCLUSION, ExclusionRecord, "exclusion")
_EXCLUDED_AT_MOST = 1_000
_LONGEST_MS = 366 * 86_400_000


def _outage(record: Outage, now: int) -> types.Outage:
    return types.Outage(
        id=outage_id(record),
        station_id=record.station,
        site_id=record.site,
        evse=record.evse,
        cause=record.cause,
        detail=record.detail,
        began_at=to_rfc3339(record.began),
        ended_at=to_rfc3339(record.ended) if record.ended else None,
        duration_s=((record.ended or now) - record.began) // 1000,
        excluded_s=record.excluded // 1000,
    )


class _Place(msgspec.Struct, array_like=True):
    """Where a page ended: at a document, or, as long as that is empty, at an outage that lasts."""

    document: str = ""
    began: int = 0
    station: str = ""
    evse: int = 0


def _newest(one: Outage) -> tuple[int, str, int]:
    return -one.began, one.station, one.evse


async def outages(
    context: ApiContext,
    principal: Principal,
    *,
    station: str | None = None,
    site: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.OutagePage:
    """Outages of a minute and more: first those that last, then newest first. Raises Problem 403."""
    principal.need("reports:read")
    asked = listing.question("outages", "-began_at", {"station": station, "site": site})
    place = listing.place_in(cursor, asked, _Place) or _Place()
    visible = await visible_stations(context, principal)
    worker = await worker_of(context, principal.tenant)
    now = context.scheduler.now()

    def fits(one: Outage) -> bool:
        return (
            (visible is None or one.station in visible)
            and station in (None, one.station)
            and (site is None or one.site == site)
        )

    found: list[types.Outage] = []
    if not place.document and worker is not None:
        lasting = sorted(filter(fits, worker.ledger.lasting()), key=_newest)
        if place.station:
            lasting = lasting[bisect_right(lasting, (-place.began, place.station, place.evse), key=_newest) :]
        found = [_outage(one, now) for one in lasting[:limit]]
        if found:
            last = lasting[len(found) - 1]
            place = _Place("", last.began, last.station, last.evse)
        if len(lasting) > limit:
            return types.OutagePage(items=found, next=listing.cursor_after(asked, place))
    for _page in range(25):
        page = await context.store.documents(
            principal.tenant, OUTAGE, cursor=place.document or None, limit=200, newest_first=True
        )
        for document in page.items:
            if len(found) >= limit:
                return types.OutagePage(items=found, next=listing.cursor_after(asked, place))
            place = _Place(encode_cursor(document.sort, document.id))
            record = unpack(document, Outage).value
            if fits(record):
                found.append(_outage(record, now))
        if page.next is None:
            return types.OutagePage(items=found, next=None)
    return types.OutagePage(items=found, next=listing.cursor_after(asked, place))


# -- exclusions -------------------------------------------------------------------------------------------------------
def _exclusion(name: str, record: ExclusionRecord) -> types.Exclusion:
    return types.Exclusion(
        id=name,
        station_id=record.station or None,
        site_id=record.site or None,
        begin=to_rfc3339(record.begin),
        end=to_rfc3339(record.end),
        reason=record.reason,
        note=record.note,
        by=record.by,
        created_at=to_rfc3339(record.created_at),
    )


async def exclusions(context: ApiContext, principal: Principal) -> list[types.Exclusion]:
    """Every exclusion that concerns what is seen, newest first. Raises Problem 403."""
    principal.need("reports:read")
    visible = await visible_stations(context, principal)
    return [
        _exclusion(name, kept.value)
        async for name, kept in EXCLUSIONS.every(context, principal.tenant, newest_first=True)
        if visible is None or kept.value.station in visible or kept.value.site in (principal.sites or ())
    ]


async def exclude(context: ApiContext, principal: Principal, data: types.NewExclusion) -> types.Exclusion:
    """Let outages within a time not count, with a reason: those that were, and those that will be.

    Raises Problem 404, 422, 403.
    """
    principal.need("reports:read")
    principal.need("stations:write")
    begin, end = from_datetime(data.begin), from_datetime(data.end)
    errors: list[dict[str, str]] = []
    if (data.station_id is None) == (data.site_id is None):
        errors.append({"field": "station_id", "message": _("give either a station or a site")})
    if begin >= end:
        errors.append({"field": "end", "message": _("has to come after `begin`")})
    if end - begin > _LONGEST_MS:
        errors.append({"field": "end", "message": _("at most a year after `begin`")})
    if errors:
        raise faulty("bad-body", errors)
    if data.station_id is not None:
        await Queries(context, principal).station(data.station_id)
    elif await context.store.document(principal.tenant, "site", data.site_id or "") is None or (
        principal.sites is not None and data.site_id not in principal.sites
    ):
        raise not_found("site", data.site_id or "")
    if len(await every(context.store, principal.tenant, EXCLUSION)) >= _EXCLUDED_AT_MOST:
        raise problem("too-many", _("There are {n} exclusions.", n=_EXCLUDED_AT_MOST))
    record = ExclusionRecord(
        station=data.station_id or "",
        site=data.site_id or "",
        begin=begin,
        end=end,
        reason=data.reason,
        note=data.note,
        by=principal.name,
        created_at=context.scheduler.now(),
    )
    name = context.ids.new()
    await _recount(context, principal.tenant, record, [put(EXCLUSION, name, record, sort=sort_time(begin), expected=0)])
    await audit.record(
        context,
        principal,
        "reports.exclude",
        f"{'station' if record.station else 'site'} {record.station or record.site}",
        detail={"begin": to_rfc3339(begin), "end": to_rfc3339(end), "reason": data.reason},
    )
    return _exclusion(name, record)


async def remove_exclusion(context: ApiContext, principal: Principal, name: str) -> None:
    """Let the outages within it count again. Raises Problem 404, 403."""
    principal.need("reports:read")
    principal.need("stations:write")
    kept: Kept[ExclusionRecord] = await EXCLUSIONS.get(context, principal.tenant, name)
    visible = await visible_stations(context, principal)
    record = kept.value
    if visible is not None and record.station not in visible and record.site not in (principal.sites or ()):
        raise not_found("exclusion", name)
    await _recount(context, principal.tenant, record, [Delete(EXCLUSION, name, kept.version)])
    await audit.record(context, principal, "reports.include", f"exclusion {name}", detail={"reason": record.reason})


async def _recount(context: ApiContext, tenant: str, about: ExclusionRecord, changes: list[Change]) -> None:
    """Write a change of the exclusions, and with it what it means for outages that are over."""
    working: Reporting | None = context.parts.get(Reporting)
    if working is None:
        raise problem("not-ready", _("The figures of reports are not kept here."))
    await working.fresh(tenant)
    await working.recount(tenant, about, changes)
