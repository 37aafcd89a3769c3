"""Tenants: the customers of an installation. Kept in documents of the installation, which platform admins alone reach.

These functions take the whole context, unlike all others of this folder: what they look at has no tenant.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.storage.documents import Conflict, Delete, Kept, put, unpack

from .. import audit, types
from ..access import TENANT_KIND, Principal, TenantRecord, access_of
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..language import _
from ..problems import not_found, problem
from ..tenancy import PLATFORM, tenant_name
from .keeping import Tagged


def _shown(name: str, record: TenantRecord) -> types.Tenant:
    return types.Tenant(
        id=name,
        name=record.name or name,
        suspended=record.suspended,
        note=record.note,
        created_at=to_rfc3339(record.created_at) if record.created_at else None,
    )


async def _find(whole: ApiContext, name: str) -> Kept[TenantRecord] | None:
    found = await whole.store.document(PLATFORM, TENANT_KIND, name) if tenant_name(name) else None
    if found is not None:
        return unpack(found, TenantRecord)
    return Kept(0, TenantRecord(name="")) if name == whole.config.tenant else None


async def _get(whole: ApiContext, name: str) -> Kept[TenantRecord]:
    found = await _find(whole, name)
    if found is None:
        raise not_found("tenant", name)
    return found


async def _every(whole: ApiContext) -> AsyncIterator[tuple[str, TenantRecord]]:
    cursor: str | None = None
    known = False
    while True:
        page = await whole.store.documents(PLATFORM, TENANT_KIND, cursor=cursor, limit=500)
        for one in page.items:
            known = known or one.id == whole.config.tenant
            yield one.id, unpack(one, TenantRecord).value
        cursor = page.next
        if cursor is None:
            break
    if not known:
        yield whole.config.tenant, TenantRecord()


async def tenants(whole: ApiContext, principal: Principal, *, search: str | None = None) -> list[types.Tenant]:
    """Every tenant by id."""
    principal.need("tenants:read")
    needle = (search or "").casefold()
    found = [_shown(name, record) async for name, record in _every(whole)]
    return sorted(
        (one for one in found if needle in f"{one.id}\n{one.name}\n{one.note}".casefold()), key=lambda one: one.id
    )


async def several(whole: ApiContext) -> bool:
    """Whether there is more than one: whoever logs in is then asked which is theirs."""
    page = await whole.store.documents(PLATFORM, TENANT_KIND, limit=2)
    return any(one.id != whole.config.tenant for one in page.items)


async def tenant(whole: ApiContext, principal: Principal, name: str) -> Tagged[types.Tenant]:
    """One tenant. Raises Problem 404."""
    principal.need("tenants:read")
    kept = await _get(whole, name)
    return Tagged(_shown(name, kept.value), tag_of(kept.version))


async def create(whole: ApiContext, principal: Principal, data: types.NewTenant) -> Tagged[types.Tenant]:
    """Add a tenant. Raises Problem 409 where the id is taken."""
    principal.need("tenants:write")
    if not tenant_name(data.id):
        message = _("lower-case letters, digits, - and _, at most 40")
        raise problem("bad-body", errors=[{"field": "id", "message": message}])
    if data.id == whole.config.tenant:
        raise problem("exists", _("The tenant {id} exists.", id=data.id))
    record = TenantRecord(name=data.name, note=data.note, created_at=whole.scheduler.now())
    try:
        (version,) = await whole.store.write_documents(PLATFORM, [put(TENANT_KIND, data.id, record, expected=0)])
    except Conflict:
        raise problem("exists", _("The tenant {id} exists.", id=data.id)) from None
    access_of(whole).forget_tenants()
    await audit.record(whole, principal, "tenants.create", f"tenant {data.id}", detail={"name": data.name})
    return Tagged(_shown(data.id, record), tag_of(version))


async def change(
    whole: ApiContext, principal: Principal, name: str, data: types.TenantChange, *, if_match: str | None = None
) -> Tagged[types.Tenant]:
    """Change what is given. A suspended tenant's people and keys are refused; its stations go on charging."""
    principal.need("tenants:write")
    kept = await _get(whole, name)
    check(if_match, tag_of(kept.version))
    record = kept.value
    if data.suspended is True and name == whole.config.tenant:
        raise problem(
            "bad-body",
            errors=[{"field": "suspended", "message": _("the installation's own tenant cannot be suspended")}],
        )
    given = {one: getattr(data, one) for one in data.__struct_fields__ if getattr(data, one) is not msgspec.UNSET}
    for field, value in given.items():
        setattr(record, field, value)
    try:
        (version,) = await whole.store.write_documents(
            PLATFORM, [put(TENANT_KIND, name, record, expected=kept.version)]
        )
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    access_of(whole).forget_tenants()
    await audit.record(whole, principal, "tenants.change", f"tenant {name}", detail=given)
    return Tagged(_shown(name, record), tag_of(version))


async def remove(whole: ApiContext, principal: Principal, name: str, *, if_match: str | None = None) -> None:
    """Delete a tenant that nobody and nothing belongs to any more. Raises Problem 404, 409, 412."""
    principal.need("tenants:write")
    kept = await _get(whole, name)
    check(if_match, tag_of(kept.version))
    if name == whole.config.tenant:
        raise problem("in-use", _("The installation's own tenant stays."))
    stations, people = len(await whole.store.accounts(name)), len(await whole.store.users(name))
    if stations or people or await whole.store.api_keys(name):
        raise problem(
            "in-use",
            _(
                "{stations} stations and {people} people belong to {name}; suspend it instead.",
                stations=stations,
                people=people,
                name=name,
            ),
        )
    try:
        await whole.store.write_documents(PLATFORM, [Delete(TENANT_KIND, name, kept.version)])
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    access_of(whole).forget_tenants()
    await audit.record(whole, principal, "tenants.delete", f"tenant {name}")
