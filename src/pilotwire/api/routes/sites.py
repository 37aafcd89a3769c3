"""Sites over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter

from .. import listing, types
from ..edit import IfMatch, tagged
from ..resources import sites
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever

SitePath = Annotated[str, PathParameter(description="Id of the site")]


@get("/sites", operation_id="listSites", tags=["Sites"], summary="List sites")
async def list_sites(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
) -> types.SitePage:
    """Sites that you may see, by name. Can be sorted by name, id, city and power_limit_w."""
    found = await sites.sites(context_of(request), whoever(request), search=text_or_400("q", q))
    page, after = listing.page_of(
        found,
        name="sites",
        sort=sort,
        default="name",
        keys={
            "name": lambda one: one.name,
            "id": lambda one: one.id,
            "city": lambda one: one.address.city,
            "power_limit_w": lambda one: one.power_limit_w,
        },
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"q": q},
    )
    return types.SitePage(items=page, next=after)


@get("/sites/summaries", operation_id="listSiteSummaries", tags=["Sites"], summary="How every site does")
async def list_summaries(request: PlainRequest) -> types.SiteSummaryPage:
    """Power now against the limit, stations, energy today: of each site, and of the stations without one."""
    return types.SiteSummaryPage(items=await sites.summaries(context_of(request), whoever(request)))


@get("/sites/{site_id:str}", operation_id="getSite", tags=["Sites"], summary="One site")
async def get_site(request: PlainRequest, site_id: SitePath) -> Response[types.Site]:
    """A site with its plan and contacts."""
    return tagged(*await sites.site(context_of(request), whoever(request), segment(site_id)))


@get("/sites/{site_id:str}/summary", operation_id="getSiteSummary", tags=["Sites"], summary="How a site does")
async def get_summary(request: PlainRequest, site_id: SitePath) -> types.SiteSummary:
    """Power now against the limit, stations, energy today."""
    return await sites.summary(context_of(request), whoever(request), segment(site_id))


@post("/sites", operation_id="createSite", tags=["Sites"], summary="Add a site", body=types.NewSite)
async def create_site(request: PlainRequest) -> Response[types.Site]:
    """Add a place where stations stand. Its id is made from the name unless you give one."""
    data = await body_of(request, types.NewSite)
    return tagged(*await sites.create(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/sites/{site_id:str}", operation_id="changeSite", tags=["Sites"], summary="Change a site", body=types.SiteChange
)
async def change_site(request: PlainRequest, site_id: SitePath, if_match: IfMatch = None) -> Response[types.Site]:
    """Change what is given, keep the rest; null takes a value away."""
    data = await body_of(request, types.SiteChange)
    return tagged(*await sites.change(context_of(request), whoever(request), segment(site_id), data, if_match=if_match))


@delete("/sites/{site_id:str}", operation_id="deleteSite", tags=["Sites"], summary="Delete a site")
async def delete_site(request: PlainRequest, site_id: SitePath, if_match: IfMatch = None) -> None:
    """Only a site at which no station stands any more can be deleted."""
    await sites.remove(context_of(request), whoever(request), segment(site_id), if_match=if_match)


HANDLERS = [list_sites, list_summaries, get_site, get_summary, create_site, change_site, delete_site]
