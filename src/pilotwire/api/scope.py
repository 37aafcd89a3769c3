"""What of a tenant a principal sees: everything, the stations of some sites, the sessions of some tokens.

Where a station stands is written in its account. The books are kept in memory for two seconds, so that a list of ten
thousand stations is not read for every request; a change that is made here counts at once.
"""

from __future__ import annotations

from pilotwire.domain.records import Session

from .access import Principal
from .context import ApiContext

FRESH_MS = 2_000
"""How long a change that another process made may go unseen."""


class _Book:
    """Where the stations of one tenant stand."""

    __slots__ = ("at", "sites")

    def __init__(self) -> None:
        self.at = -FRESH_MS
        self.sites: dict[str, frozenset[str]] = {}
        """Site → its stations."""


async def _book(context: ApiContext, tenant: str) -> _Book:
    books: dict[str, _Book] = context.parts.setdefault(_Book, {})
    book = books.setdefault(tenant, _Book())
    now = context.scheduler.now()
    if not 0 <= now - book.at < FRESH_MS:
        sites: dict[str, set[str]] = {}
        for account in await context.store.accounts(tenant):
            if account.site:
                sites.setdefault(account.site, set()).add(account.id)
        book.sites = {site: frozenset(stations) for site, stations in sites.items()}
        book.at = now
    return book


def forget_sites(context: ApiContext, tenant: str) -> None:
    """An account was changed: look again where its station stands."""
    books: dict[str, _Book] = context.parts.get(_Book, {})
    books.pop(tenant, None)


async def visible_stations(context: ApiContext, principal: Principal) -> frozenset[str] | None:
    """The stations that a principal sees; None: all of its tenant."""
    if principal.sites is None:
        return None
    book = await _book(context, principal.tenant)
    return frozenset[str]().union(*(book.sites.get(site, frozenset()) for site in principal.sites))


def sees_site(principal: Principal, site: str) -> bool:
    """Whether a site, or what belongs to it, is shown to a principal. What belongs to none is for those who see all."""
    return principal.sites is None or site in principal.sites


def sees_token(principal: Principal, token: str) -> bool:
    """Whether what was done with a token is shown to a principal; OCPP compares tokens without case."""
    return principal.tokens is None or token.casefold() in {one.casefold() for one in principal.tokens}


def sees_session(principal: Principal, stations: frozenset[str] | None, session: Session) -> bool:
    """Whether a session is shown: by where it took place, and by the token that it was begun with."""
    return (stations is None or session.station_id in stations) and sees_token(principal, session.token)
