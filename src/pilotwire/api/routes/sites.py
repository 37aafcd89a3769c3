"""Sites over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post, put
from litestar.params import PathParameter, QueryParameter

from .. import listing, types
from ..edit import IfMatch, tagged
from ..language import _
from ..problems import problem
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


@get(
    "/sites.geojson",
    operation_id="getSitesGeoJson",
    tags=["Sites"],
    summary="Sites as GeoJSON",
    media_type="application/geo+json",
)
async def sites_geojson(
    request: PlainRequest,
    shape: Annotated[
        Literal["position", "outline"], QueryParameter(description="What to draw of each: a point or its outline")
    ] = "position",
) -> Response[bytes]:
    """A FeatureCollection (RFC 7946) of the sites that you may see, with how each does as properties. A site without
    such a place is there too, with null as its geometry."""
    made = await sites.geojson(context_of(request), whoever(request), outline=shape == "outline")
    return Response(made, media_type="application/geo+json")


@put(
    "/sites/{site_id:str}/plan.geojson",
    operation_id="importSitePlan",
    tags=["Sites"],
    summary="A plan of GeoJSON",
    body="application/geo+json",
)
async def import_plan(request: PlainRequest, site_id: SitePath, if_match: IfMatch = None) -> Response[types.Site]:
    """Replace the plan: polygons and lines become shapes (`kind`, `name` of their properties), points with the property
    `station_id` places of stations. Metres, north up. At most 512 KiB."""
    data = await _body(request, "application/geo+json", "application/json")
    return tagged(
        *await sites.import_plan(context_of(request), whoever(request), segment(site_id), data, if_match=if_match)
    )


@get(
    "/sites/{site_id:str}/background.svg",
    operation_id="getSiteBackground",
    tags=["Sites"],
    summary="The drawing below a plan",
    media_type="image/svg+xml",
)
async def get_background(request: PlainRequest, site_id: SitePath) -> Response[bytes]:
    """SVG that holds nothing but a drawing."""
    made = await sites.background(context_of(request), whoever(request), segment(site_id))
    return Response(made.encode(), media_type="image/svg+xml")


@put(
    "/sites/{site_id:str}/background.svg",
    operation_id="putSiteBackground",
    tags=["Sites"],
    summary="Draw something below a plan",
    body="image/svg+xml",
)
async def put_background(request: PlainRequest, site_id: SitePath, if_match: IfMatch = None) -> Response[types.Site]:
    """An SVG of at most 512 KiB, stretched over the plan. What is not a drawing (scripts, styles, images, links) is
    left out. A site without a plan gets one of its proportions, 100 m wide."""
    data = await _body(request, "image/svg+xml", "application/xml", "text/xml")
    return tagged(
        *await sites.put_background(context_of(request), whoever(request), segment(site_id), data, if_match=if_match)
    )


@delete(
    "/sites/{site_id:str}/background.svg",
    operation_id="deleteSiteBackground",
    tags=["Sites"],
    summary="Draw nothing below a plan",
)
async def delete_background(request: PlainRequest, site_id: SitePath, if_match: IfMatch = None) -> None:
    """The plan itself stays."""
    await sites.remove_background(context_of(request), whoever(request), segment(site_id), if_match=if_match)


async def _body(request: PlainRequest, *kinds: str) -> bytes:
    """The body, sent as one of these kinds. Raises Problem 415."""
    given = request.headers.get("content-type", kinds[0]).partition(";")[0].strip().lower()
    if given not in kinds:
        raise problem(
            "bad-media-type",
            _("The body is sent as {given}; {wanted} is expected here.", given=repr(given[:80]), wanted=kinds[0]),
        )
    return await request.body()


HANDLERS = [
    list_sites, list_summaries, sites_geojson, get_site, get_summary, create_site, change_site, import_plan,
    delete_site, get_background, put_background, delete_background,
]  # fmt: skip
