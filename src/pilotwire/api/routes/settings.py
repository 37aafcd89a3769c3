"""People and API keys."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Annotated, TypeVar

from litestar import delete, get, post
from litestar.params import PathParameter

from pilotwire.core.time import from_datetime
from pilotwire.domain import records

from .. import cursors, mapping, types
from ..access import access_of, digest, new_key
from ..problems import not_found, problem
from .common import Cursor, Limit, PlainRequest, body_of, context_of, principal_of, segment

R = TypeVar("R")
KeyPath = Annotated[str, PathParameter(description="Its id")]


def _paged(found: Sequence[R], key: Callable[[R], str], cursor: str | None, limit: int) -> tuple[list[R], str | None]:
    """A page of a list that is whole in memory, by its sort key."""
    ordered = sorted(found, key=key)
    start = bisect_right([key(one) for one in ordered], cursors.decode(cursor, str)) if cursor else 0
    page = ordered[start : start + limit]
    more = start + limit < len(ordered)
    return page, cursors.encode(key(page[-1])) if more and page else None


def _instant(field: str, value: datetime | None) -> int | None:
    if value is None:
        return None
    try:
        return from_datetime(value)
    except OverflowError:
        raise problem("bad-body", errors=[{"field": field, "message": "out of range"}]) from None


@get("/users", operation_id="listUsers", tags=["Access"], summary="List people")
async def list_users(request: PlainRequest, cursor: Cursor = None, limit: Limit = 50) -> types.UserPage:
    """Who may log in."""
    found = await context_of(request).store.users(principal_of(request, "users:read").tenant)
    page, after = _paged(found, lambda one: one.name, cursor, limit)
    return types.UserPage(items=[mapping.user(one) for one in page], next=after)


@post(
    "/users",
    operation_id="putUser",
    tags=["Access"],
    summary="Add a person or set a password",
    status_code=200,
    body=types.NewUser,
)
async def put_user(request: PlainRequest) -> types.User:
    """Let somebody log in; where the name exists, set a new password and role, which ends their logins."""
    data = await body_of(request, types.NewUser)
    principal, context = principal_of(request, "users:write"), context_of(request)
    known = await context.store.user(principal.tenant, data.name)
    user = records.User(
        tenant=principal.tenant,
        name=data.name,
        password=await access_of(context).hash_password(data.password),
        role=data.role,
        created_at=known.created_at if known else context.scheduler.now(),
    )
    await context.store.put_user(user)
    return mapping.user(user)


@delete("/users/{name:str}", operation_id="deleteUser", tags=["Access"], summary="Remove a person")
async def delete_user(request: PlainRequest, name: KeyPath) -> None:
    """Their logins end at once."""
    wanted = segment(name)
    tenant = principal_of(request, "users:write").tenant
    if not wanted.isprintable() or not await context_of(request).store.delete_user(tenant, wanted):
        raise not_found("user", wanted)


@get("/api-keys", operation_id="listApiKeys", tags=["Access"], summary="List API keys")
async def list_api_keys(request: PlainRequest, cursor: Cursor = None, limit: Limit = 50) -> types.ApiKeyPage:
    """Keys of programs, by the time of their making; never the secrets."""
    found = await context_of(request).store.api_keys(principal_of(request, "keys:read").tenant)
    page, after = _paged(found, lambda one: one.id, cursor, limit)
    return types.ApiKeyPage(items=[mapping.api_key(one) for one in page], next=after)


@post("/api-keys", operation_id="createApiKey", tags=["Access"], summary="Make an API key", body=types.NewApiKey)
async def create_api_key(request: PlainRequest) -> types.ApiKeyCreated:
    """A key with the role that is named, else `service`. The secret is in this answer and nowhere else."""
    data = await body_of(request, types.NewApiKey)
    principal, context = principal_of(request, "keys:write"), context_of(request)
    secret = new_key()
    record = records.ApiKey(
        tenant=principal.tenant,
        id=context.ids.new(),
        name=data.name,
        digest=digest(secret),
        role=data.role,
        created_at=context.scheduler.now(),
        expires_at=_instant("expires_at", data.expires_at),
    )
    await context.store.put_api_key(record)
    access_of(context).forget_keys()
    shown = mapping.api_key(record)
    return types.ApiKeyCreated(
        id=shown.id, name=shown.name, key=secret, created_at=shown.created_at, expires_at=shown.expires_at
    )


@delete("/api-keys/{key_id:str}", operation_id="deleteApiKey", tags=["Access"], summary="Revoke an API key")
async def delete_api_key(request: PlainRequest, key_id: KeyPath) -> None:
    """It works no longer."""
    context, wanted = context_of(request), segment(key_id)
    tenant = principal_of(request, "keys:write").tenant
    if not wanted.isprintable() or not await context.store.delete_api_key(tenant, wanted):
        raise not_found("API key", wanted)
    access_of(context).forget_keys()


HANDLERS = [
    list_users,
    put_user,
    delete_user,
    list_api_keys,
    create_api_key,
    delete_api_key,
]
