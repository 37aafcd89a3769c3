"""API keys of programs. A key never does more than whoever made it may; the secret is shown once."""

from __future__ import annotations

from datetime import datetime

import msgspec

from pilotwire.core.time import from_datetime, to_rfc3339
from pilotwire.domain import records
from pilotwire.storage.documents import Delete

from .. import audit, mapping, types
from ..access import KEY_USE_KIND, Principal, access_of, digest, key_used_at, new_key
from ..context import ApiContext
from ..edit import check, tag_of
from ..passwords import wrong
from ..problems import Problem, not_found
from .keeping import Tagged
from .sites import check_site
from .users import may_give


async def _get(context: ApiContext, tenant: str, key_id: str) -> records.ApiKey:
    found = [one for one in await context.store.api_keys(tenant) if one.id == key_id]
    if not found:
        raise not_found("API key", key_id)
    return found[0]


async def _tagged(context: ApiContext, record: records.ApiKey) -> Tagged[types.ApiKey]:
    shown = mapping.api_key(record, last_used_at=await key_used_at(context, record.tenant, record.id))
    return Tagged(shown, tag_of(record, shown))


async def keys(context: ApiContext, principal: Principal, *, search: str | None = None) -> list[types.ApiKey]:
    """Keys by the time of their making; never the secrets."""
    principal.need("keys:read")
    needle = (search or "").casefold()
    return [
        (await _tagged(context, one)).value
        for one in sorted(await context.store.api_keys(principal.tenant), key=lambda one: one.id)
        if needle in f"{one.name}\n{one.role}".casefold()
    ]


async def key(context: ApiContext, principal: Principal, key_id: str) -> Tagged[types.ApiKey]:
    """One key. Raises Problem 404."""
    principal.need("keys:read")
    return await _tagged(context, await _get(context, principal.tenant, key_id))


def _instant(context: ApiContext, value: datetime | None) -> int | None:
    if value is None:
        return None
    try:
        return from_datetime(value)
    except OverflowError:
        raise wrong("expires_at", "is out of range") from None


async def create(context: ApiContext, principal: Principal, data: types.NewApiKey) -> types.ApiKeyCreated:
    """Make a key. Raises Problem 403 for more than one may oneself, 422."""
    principal.need("keys:write")
    if data.role == "driver":
        raise wrong("role", "a driver is a person with tokens; a program has none")
    sites = sorted(set(data.sites)) if data.sites is not None else None
    if sites is None and principal.sites is not None:
        sites = sorted(principal.sites)
    for site in sites or ():
        try:
            await check_site(context, principal.tenant, site)
        except Problem:
            raise wrong("sites", f"there is no site {site!r}") from None
    may_give(context, principal, data.role, sites)
    secret = new_key()
    record = records.ApiKey(
        tenant=principal.tenant,
        id=context.ids.new(),
        name=data.name,
        digest=digest(secret),
        role=data.role,
        created_at=context.scheduler.now(),
        expires_at=_instant(context, data.expires_at),
        sites=sites,
        made_by=principal.actor,
    )
    await context.store.put_api_key(record)
    access_of(context).forget_keys()
    detail: dict[str, object] = {"name": record.name, "role": record.role, "sites": sites}
    await audit.record(context, principal, "keys.create", f"API key {record.id}", detail=detail)
    return _created(record, secret)


def _created(record: records.ApiKey, secret: str) -> types.ApiKeyCreated:
    return types.ApiKeyCreated(
        id=record.id,
        name=record.name,
        key=secret,
        created_at=to_rfc3339(record.created_at),
        expires_at=to_rfc3339(record.expires_at) if record.expires_at else None,
    )


async def change(
    context: ApiContext, principal: Principal, key_id: str, data: types.ApiKeyChange, *, if_match: str | None = None
) -> Tagged[types.ApiKey]:
    """Another name or end. Raises Problem 403, 404, 412."""
    principal.need("keys:write")
    record = await _get(context, principal.tenant, key_id)
    check(if_match, tag_of(record))
    may_give(context, principal, record.role, record.sites)
    if data.name is not msgspec.UNSET:
        record.name = data.name
    if data.expires_at is not msgspec.UNSET:
        record.expires_at = _instant(context, data.expires_at)
    await context.store.put_api_key(record)
    access_of(context).forget_keys()
    detail: dict[str, object] = {"name": record.name, "expires_at": record.expires_at}
    await audit.record(context, principal, "keys.change", f"API key {key_id}", detail=detail)
    return await _tagged(context, record)


async def rotate(
    context: ApiContext, principal: Principal, key_id: str, data: types.KeyRotation
) -> types.ApiKeyCreated:
    """A new secret; the old one is taken for `overlap_s` more. Raises Problem 403, 404."""
    principal.need("keys:write")
    record = await _get(context, principal.tenant, key_id)
    may_give(context, principal, record.role, record.sites)
    now, secret = context.scheduler.now(), new_key()
    record.old_digest, record.old_until = (record.digest, now + data.overlap_s * 1000) if data.overlap_s else ("", 0)
    record.digest, record.rotated_at = digest(secret), now
    await context.store.put_api_key(record)
    access_of(context).forget_keys()
    detail: dict[str, object] = {"overlap_s": data.overlap_s}
    await audit.record(context, principal, "keys.rotate", f"API key {key_id}", detail=detail)
    return _created(record, secret)


async def remove(context: ApiContext, principal: Principal, key_id: str, *, if_match: str | None = None) -> None:
    """Revoke a key: it works no longer. Raises Problem 403, 404, 412."""
    principal.need("keys:write")
    record = await _get(context, principal.tenant, key_id)
    check(if_match, tag_of(record))
    may_give(context, principal, record.role, record.sites)
    await context.store.delete_api_key(principal.tenant, key_id)
    await context.store.write_documents(principal.tenant, [Delete(KEY_USE_KIND, key_id)])
    access_of(context).forget_keys()
    await audit.record(context, principal, "keys.delete", f"API key {key_id}", detail={"name": record.name})
