"""Tokens and groups over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter
from litestar.response import Stream

from .. import listing, types
from ..edit import IfMatch, tagged
from ..language import _
from ..problems import problem
from ..resources import groups, token_import, tokens
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever

TokenPath = Annotated[str, PathParameter(description="The token, in any case")]
GroupPath = Annotated[str, PathParameter(description="Id of the group")]


@get("/tokens", operation_id="listTokens", tags=["Tokens"], summary="List tokens")
async def list_tokens(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
    status: Annotated[types.TokenStatus | None, QueryParameter(description="Only those of this status")] = None,
    parent: Annotated[str | None, QueryParameter(description="Only those of this group", max_length=255)] = None,
    type: Annotated[str | None, QueryParameter(description="Only those of this type", max_length=20)] = None,
) -> types.TokenPage:
    """IdTokens (idTags) that are known here. Can be sorted by token, type, status, parent, created_at, expires_at."""
    found = await tokens.tokens(
        context_of(request),
        whoever(request),
        search=text_or_400("q", q),
        status=status,
        group=text_or_400("parent", parent),
        type=text_or_400("type", type),
    )
    page, after = listing.page_of(
        found,
        name="tokens",
        sort=sort,
        default="token",
        keys={
            "token": lambda one: one.token,
            "type": lambda one: one.type,
            "status": lambda one: one.status,
            "parent": lambda one: one.parent or None,
            "created_at": lambda one: one.created_at,
            "expires_at": lambda one: one.expires_at,
        },
        id_of=lambda one: one.token,
        cursor=cursor,
        limit=limit,
        filters={"q": q, "status": status, "parent": parent, "type": type},
    )
    return types.TokenPage(items=page, next=after)


@get("/tokens/{token:str}", operation_id="getToken", tags=["Tokens"], summary="One token")
async def get_token(request: PlainRequest, token: TokenPath) -> Response[types.Token]:
    """What a token may do."""
    return tagged(*await tokens.token(context_of(request), whoever(request), segment(token)))


@post(
    "/tokens",
    operation_id="putToken",
    tags=["Tokens"],
    summary="Add or replace a token",
    status_code=200,
    body=types.NewToken,
)
async def put_token(request: PlainRequest) -> Response[types.Token]:
    """Let a token charge, or change what it may. It counts from the next Authorize on."""
    return tagged(
        *await tokens.put(context_of(request), whoever(request), await body_of(request, types.NewToken)),
        status_code=200,
    )


@patch(
    "/tokens/{token:str}",
    operation_id="changeToken",
    tags=["Tokens"],
    summary="Change a token",
    body=types.TokenChange,
)
async def change_token(request: PlainRequest, token: TokenPath, if_match: IfMatch = None) -> Response[types.Token]:
    """Change what is given, keep the rest. It counts from the next Authorize on."""
    data = await body_of(request, types.TokenChange)
    return tagged(*await tokens.change(context_of(request), whoever(request), segment(token), data, if_match=if_match))


@delete("/tokens/{token:str}", operation_id="deleteToken", tags=["Tokens"], summary="Forget a token")
async def delete_token(request: PlainRequest, token: TokenPath, if_match: IfMatch = None) -> None:
    """It is then unknown, and refused."""
    await tokens.remove(context_of(request), whoever(request), segment(token), if_match=if_match)


@post(
    "/tokens/import",
    operation_id="importTokens",
    tags=["Tokens"],
    summary="Tokens from a CSV file",
    status_code=200,
    request_max_body_size=token_import.MAX_BYTES,
    body="text/csv",
)
async def import_tokens(
    request: PlainRequest,
    dry_run: Annotated[bool, QueryParameter(description="Only say what would be done")] = True,
    on_error: Annotated[
        Literal["nothing", "good-rows"],
        QueryParameter(description="What to write when a row is bad: nothing at all, or the other rows"),
    ] = "nothing",
) -> types.TokenImport:
    """Read tokens from CSV (`Content-Type: text/csv`, at most 50,000 rows) with a heading: `token` is needed; `type`,
    `status`, `group`, `expires_at` and `note` may be there. Comma, semicolon, tab or bar; UTF-8, UTF-16 or
    Windows-1252. Begin with `dry_run=true` (as it is when left out) to see each row's errors and what would change."""
    given = request.headers.get("content-type", "text/csv").partition(";")[0].strip().lower()
    if given not in ("text/csv", "text/plain", "application/csv", "application/vnd.ms-excel"):
        raise problem(
            "bad-media-type", _("The body is sent as {given}; a CSV file is expected here.", given=repr(given[:80]))
        )
    return await token_import.import_tokens(
        context_of(request), whoever(request), await request.body(), dry_run=dry_run, on_error=on_error
    )


@get(
    "/tokens/export",
    operation_id="exportTokens",
    tags=["Tokens"],
    summary="All tokens as CSV",
    media_type="text/csv",
)
async def export_tokens(request: PlainRequest) -> Stream:
    """Every token, as the import reads it again; with a byte order mark, as spreadsheets want it."""
    made = await tokens.export(context_of(request), whoever(request))
    return Stream(
        made,
        media_type="text/csv; charset=utf-8",
        headers={"content-disposition": 'attachment; filename="tokens.csv"', "cache-control": "no-store"},
    )


@get("/groups", operation_id="listGroups", tags=["Tokens"], summary="List groups of tokens")
async def list_groups(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
) -> types.GroupPage:
    """Groups, also those that only tokens name. Can be sorted by id, name and tokens."""
    page, after = listing.page_of(
        await groups.groups(context_of(request), whoever(request), search=text_or_400("q", q)),
        name="groups",
        sort=sort,
        default="id",
        keys={"id": lambda one: one.id, "name": lambda one: one.name, "tokens": lambda one: one.tokens},
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"q": q},
    )
    return types.GroupPage(items=page, next=after)


@get("/groups/{group_id:str}", operation_id="getGroup", tags=["Tokens"], summary="One group")
async def get_group(request: PlainRequest, group_id: GroupPath) -> Response[types.Group]:
    """A group of tokens."""
    return tagged(*await groups.group(context_of(request), whoever(request), segment(group_id)))


@post("/groups", operation_id="createGroup", tags=["Tokens"], summary="Name a group", body=types.NewGroup)
async def create_group(request: PlainRequest) -> Response[types.Group]:
    """Give a group a name, before or after tokens are put into it."""
    data = await body_of(request, types.NewGroup)
    return tagged(*await groups.create(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/groups/{group_id:str}",
    operation_id="changeGroup",
    tags=["Tokens"],
    summary="Change a group",
    body=types.GroupChange,
)
async def change_group(request: PlainRequest, group_id: GroupPath, if_match: IfMatch = None) -> Response[types.Group]:
    """Change what is given, keep the rest."""
    data = await body_of(request, types.GroupChange)
    return tagged(
        *await groups.change(context_of(request), whoever(request), segment(group_id), data, if_match=if_match)
    )


@delete("/groups/{group_id:str}", operation_id="deleteGroup", tags=["Tokens"], summary="Forget a group")
async def delete_group(request: PlainRequest, group_id: GroupPath, if_match: IfMatch = None) -> None:
    """Only a group that no token is in can be forgotten."""
    await groups.remove(context_of(request), whoever(request), segment(group_id), if_match=if_match)


HANDLERS = [
    list_tokens,
    import_tokens,
    export_tokens,
    get_token,
    put_token,
    change_token,
    delete_token,
    list_groups,
    get_group,
    create_group,
    change_group,
    delete_group,
]
