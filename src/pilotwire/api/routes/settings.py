"""API keys, tenants and the login provider."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, patch, post, put
from litestar.params import PathParameter

from .. import listing, types
from ..edit import IfMatch, tagged
from ..resources import keys, oidc, tenants
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever, whole_context
from .login import base_of

KeyPath = Annotated[str, PathParameter(description="Its id")]


# -- keys of programs -------------------------------------------------------------------------------------------------
@get("/api-keys", operation_id="listApiKeys", tags=["Access"], summary="List API keys")
async def list_api_keys(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
) -> types.ApiKeyPage:
    """Keys of programs, never the secrets. Can be sorted by id (the time of making), name, role, expires_at and
    last_used_at."""
    page, after = listing.page_of(
        await keys.keys(context_of(request), whoever(request), search=text_or_400("q", q)),
        name="api-keys",
        sort=sort,
        default="id",
        keys={
            "id": lambda one: one.id,
            "name": lambda one: one.name,
            "role": lambda one: one.role,
            "expires_at": lambda one: one.expires_at,
            "last_used_at": lambda one: one.last_used_at,
        },
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"q": q},
    )
    return types.ApiKeyPage(items=page, next=after)


@get("/api-keys/{key_id:str}", operation_id="getApiKey", tags=["Access"], summary="One API key")
async def get_api_key(request: PlainRequest, key_id: KeyPath) -> Response[types.ApiKey]:
    """What a key may do and when it was last used; never the secret."""
    return tagged(*await keys.key(context_of(request), whoever(request), segment(key_id)))


@post("/api-keys", operation_id="createApiKey", tags=["Access"], summary="Make an API key", body=types.NewApiKey)
async def create_api_key(request: PlainRequest) -> types.ApiKeyCreated:
    """A key with the role that is named, else `service`; never with more than your own. The secret is in this answer
    and nowhere else."""
    data = await body_of(request, types.NewApiKey)
    return await keys.create(context_of(request), whoever(request), data)


@patch(
    "/api-keys/{key_id:str}",
    operation_id="changeApiKey",
    tags=["Access"],
    summary="Change an API key",
    body=types.ApiKeyChange,
)
async def change_api_key(request: PlainRequest, key_id: KeyPath, if_match: IfMatch = None) -> Response[types.ApiKey]:
    """Another name, or another end."""
    data = await body_of(request, types.ApiKeyChange)
    return tagged(*await keys.change(context_of(request), whoever(request), segment(key_id), data, if_match=if_match))


@post(
    "/api-keys/{key_id:str}/rotate",
    operation_id="rotateApiKey",
    tags=["Access"],
    summary="Replace a key's secret",
    status_code=200,
    body=types.KeyRotation,
)
async def rotate_api_key(request: PlainRequest, key_id: KeyPath) -> types.ApiKeyCreated:
    """The new secret is in this answer and nowhere else. The old one is taken for `overlap_s` more."""
    data = await body_of(request, types.KeyRotation)
    return await keys.rotate(context_of(request), whoever(request), segment(key_id), data)


@delete("/api-keys/{key_id:str}", operation_id="deleteApiKey", tags=["Access"], summary="Revoke an API key")
async def delete_api_key(request: PlainRequest, key_id: KeyPath, if_match: IfMatch = None) -> None:
    """It works no longer."""
    await keys.remove(context_of(request), whoever(request), segment(key_id), if_match=if_match)


# -- tenants ----------------------------------------------------------------------------------------------------------
@get("/tenants", operation_id="listTenants", tags=["Tenants"], summary="List tenants")
async def list_tenants(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    sort: listing.SortText = None,
    q: listing.Search = None,
) -> types.TenantPage:
    """The customers of this installation. Can be sorted by id and name."""
    page, after = listing.page_of(
        await tenants.tenants(whole_context(request), whoever(request), search=text_or_400("q", q)),
        name="tenants",
        sort=sort,
        default="id",
        keys={"id": lambda one: one.id, "name": lambda one: one.name},
        id_of=lambda one: one.id,
        cursor=cursor,
        limit=limit,
        filters={"q": q},
    )
    return types.TenantPage(items=page, next=after)


@get("/tenants/{tenant_id:str}", operation_id="getTenant", tags=["Tenants"], summary="One tenant")
async def get_tenant(request: PlainRequest, tenant_id: KeyPath) -> Response[types.Tenant]:
    """A customer of this installation."""
    return tagged(*await tenants.tenant(whole_context(request), whoever(request), segment(tenant_id)))


@post("/tenants", operation_id="createTenant", tags=["Tenants"], summary="Add a tenant", body=types.NewTenant)
async def create_tenant(request: PlainRequest) -> Response[types.Tenant]:
    """A customer of their own: nothing of another can be seen or changed there. A platform admin works in it with the
    header `X-Tenant`, or the parameter `tenant` where a header cannot be sent."""
    data = await body_of(request, types.NewTenant)
    return tagged(*await tenants.create(whole_context(request), whoever(request), data), status_code=201)


@patch(
    "/tenants/{tenant_id:str}",
    operation_id="changeTenant",
    tags=["Tenants"],
    summary="Change a tenant",
    body=types.TenantChange,
)
async def change_tenant(request: PlainRequest, tenant_id: KeyPath, if_match: IfMatch = None) -> Response[types.Tenant]:
    """Change what is given. While a tenant is suspended, nobody of it logs in and none of its keys is taken; its
    stations go on charging, and what they do is kept."""
    data = await body_of(request, types.TenantChange)
    changed = tenants.change(whole_context(request), whoever(request), segment(tenant_id), data, if_match=if_match)
    return tagged(*await changed)


@delete("/tenants/{tenant_id:str}", operation_id="deleteTenant", tags=["Tenants"], summary="Delete a tenant")
async def delete_tenant(request: PlainRequest, tenant_id: KeyPath, if_match: IfMatch = None) -> None:
    """Only one that has no stations, people and keys any more."""
    await tenants.remove(whole_context(request), whoever(request), segment(tenant_id), if_match=if_match)


# -- the login provider -----------------------------------------------------------------------------------------------
@get("/oidc", operation_id="getOidc", tags=["Access"], summary="The login provider")
async def get_oidc(request: PlainRequest) -> Response[types.OidcShown]:
    """The OpenID provider through which people of this tenant log in; never its secret."""
    return tagged(*await oidc.settings(context_of(request), whoever(request), base_of(request)))


@put("/oidc", operation_id="putOidc", tags=["Access"], summary="Set the login provider", body=types.OidcSettings)
async def put_oidc(request: PlainRequest, if_match: IfMatch = None) -> Response[types.OidcShown]:
    """Let people log in through an OpenID provider (authorization code with PKCE). Enter `redirect_uri` there."""
    data = await body_of(request, types.OidcSettings)
    saved = oidc.save(context_of(request), whoever(request), data, base_of(request), if_match=if_match)
    return tagged(*await saved)


@delete("/oidc", operation_id="deleteOidc", tags=["Access"], summary="Remove the login provider")
async def delete_oidc(request: PlainRequest, if_match: IfMatch = None) -> None:
    """Nobody logs in through it any more; who is in stays in."""
    await oidc.remove(context_of(request), whoever(request), if_match=if_match)


@post("/oidc/check", operation_id="checkOidc", tags=["Access"], summary="Does the login provider answer?", status_code=200)  # fmt: skip  # noqa: E501
async def check_oidc(request: PlainRequest) -> types.OidcCheck:
    """Reads what the provider says of itself."""
    return await oidc.test(context_of(request), whoever(request))


HANDLERS = [
    list_api_keys, get_api_key, create_api_key, change_api_key, rotate_api_key, delete_api_key,
    list_tenants, get_tenant, create_tenant, change_tenant, delete_tenant,
    get_oidc, put_oidc, delete_oidc, check_oidc,
]  # fmt: skip
