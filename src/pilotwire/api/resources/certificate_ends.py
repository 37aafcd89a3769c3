"""When the certificates end by which the stations of a fleet come in: the soonest first, and how many are near."""

from __future__ import annotations

from datetime import datetime

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import trust
from pilotwire.domain.trust import ShownCertificate
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.documents import sort_time, unpack

from .. import listing, types
from ..access import Principal
from ..context import ApiContext
from ..queries import Queries

DAY_MS = 86_400_000
NEAR_DAYS = (7, 30, 90)
_PAGE = 500


def shown(one: ShownCertificate, now: int) -> types.ShownCertificate:
    """As the API shows it."""
    return types.ShownCertificate(
        station_id=one.station,
        common_name=one.common_name,
        organization=one.organization,
        issuer=one.issuer,
        serial_number=one.serial,
        fingerprint=one.fingerprint,
        not_before=to_rfc3339(one.not_before),
        not_after=to_rfc3339(one.not_after),
        days_left=(one.not_after - now) // DAY_MS,
        shown_since=to_rfc3339(one.seen_at),
    )


async def of_station(context: ApiContext, tenant: str, station_id: str) -> types.ShownCertificate | None:
    """What a station came in with last; None where that was no certificate."""
    found = await context.store.document(tenant, trust.SHOWN, station_id)
    return shown(unpack(found, ShownCertificate).value, context.scheduler.now()) if found is not None else None


async def every(
    context: ApiContext, principal: Principal, *, before: datetime | None, cursor: str | None, limit: int
) -> types.ShownCertificatePage:
    """Those of the stations that one sees, by their ends. Raises Problem 400, 403."""
    principal.need("stations:read")
    end = listing.instant("before", before)
    asked = listing.question("certificates", "not_after", {"before": end})
    place = listing.stored_cursor(cursor, asked)
    visible = await Queries(context, principal).visible()
    high = sort_time(end) if end is not None else None
    found: list[types.ShownCertificate] = []
    now = context.scheduler.now()
    while True:
        page = await context.store.documents(principal.tenant, trust.SHOWN, high=high, cursor=place, limit=_PAGE)
        for document in page.items:
            if len(found) == limit:
                return types.ShownCertificatePage(items=found, next=listing.next_of(place, asked))
            place = encode_cursor(document.sort, document.id)
            if await _counts(context, principal.tenant, document.id, visible):
                found.append(shown(unpack(document, ShownCertificate).value, now))
        if page.next is None:
            return types.ShownCertificatePage(items=found, next=None)


async def _counts(context: ApiContext, tenant: str, station_id: str, visible: frozenset[str] | None) -> bool:
    """A station that was deleted leaves its certificate behind."""
    if visible is not None:
        return station_id in visible
    return await context.store.account(StationKey(tenant, station_id)) is not None


async def sums(context: ApiContext, principal: Principal) -> types.CertificateEnds:
    """How many end soon. Raises Problem 403."""
    principal.need("stations:read")
    tenant, now = principal.tenant, context.scheduler.now()
    visible = await Queries(context, principal).visible()
    if visible is None:
        visible = frozenset(account.id for account in await context.store.accounts(tenant))
    made = types.CertificateEnds(ended=0, within_7_days=0, within_30_days=0, within_90_days=0, first=None)
    high, cursor = sort_time(now + NEAR_DAYS[-1] * DAY_MS), None
    while True:
        page = await context.store.documents(tenant, trust.SHOWN, high=high, cursor=cursor, limit=_PAGE)
        for document in page.items:
            if document.id not in visible:
                continue
            end = int(document.sort)
            if made.first is None:
                made.first = to_rfc3339(end)
            if end <= now:
                made.ended += 1
            else:
                _add(made, (end - now) // DAY_MS)
        cursor = page.next
        if cursor is None:
            return made


def _add(made: types.CertificateEnds, days: int) -> None:
    made.within_7_days += days < 7
    made.within_30_days += days < 30
    made.within_90_days += 1
