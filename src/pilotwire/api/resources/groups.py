"""Groups of tokens: parentIdTag in OCPP 1.6, groupIdToken in 2.x.

A group is there as soon as a token names it; a document adds what people say of it.
"""

from __future__ import annotations

from collections import Counter

import msgspec

from pilotwire.core.time import to_rfc3339

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, tag_of
from ..language import _
from ..listing import wanted
from ..problems import not_found, problem
from .keeping import Collection, Tagged
from .tokens import book


class GroupRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a group."""

    name: str = ""
    note: str = ""
    created_at: int = 0
    updated_at: int = 0


GROUPS = Collection("group", GroupRecord, "group")


def _shown(group_id: str, record: GroupRecord | None, tokens: int) -> types.Group:
    known = record or GroupRecord()
    return types.Group(
        id=group_id,
        name=known.name,
        note=known.note,
        tokens=tokens,
        created_at=to_rfc3339(known.created_at) if record else None,
        updated_at=to_rfc3339(known.updated_at) if record else None,
    )


async def _counts(context: ApiContext, tenant: str) -> Counter[str]:
    return (await book(context, tenant)).groups


async def groups(context: ApiContext, principal: Principal, *, search: str | None = None) -> list[types.Group]:
    """Every group by id, also those that tokens alone name."""
    principal.need("tokens:read")
    counts = await _counts(context, principal.tenant)
    kept = {group_id: one.value async for group_id, one in GROUPS.every(context, principal.tenant)}
    return [
        _shown(group_id, kept.get(group_id), counts[group_id])
        for group_id in sorted({*counts, *kept})
        if wanted(search, group_id, kept[group_id].name if group_id in kept else "")
    ]


async def group(context: ApiContext, principal: Principal, group_id: str) -> Tagged[types.Group]:
    """One group. Raises Problem 404."""
    principal.need("tokens:read")
    kept = await GROUPS.find(context, principal.tenant, group_id)
    count = (await _counts(context, principal.tenant))[group_id]
    if kept is None and not count:
        raise not_found("group", group_id)
    return Tagged(_shown(group_id, kept.value if kept else None, count), tag_of(kept.version if kept else 0))


async def create(context: ApiContext, principal: Principal, data: types.NewGroup) -> Tagged[types.Group]:
    """Say something of a group. Raises Problem 409 where that was done before."""
    principal.need("tokens:write")
    if not data.id.isprintable():
        raise problem("bad-body", errors=[{"field": "id", "message": _("holds characters that cannot be printed")}])
    now = context.scheduler.now()
    record = GroupRecord(name=data.name, note=data.note, created_at=now, updated_at=now)
    version = await GROUPS.add(context, principal.tenant, data.id, record, sort=data.id)
    await audit.record(context, principal, "groups.create", f"group {data.id}")
    return Tagged(_shown(data.id, record, (await _counts(context, principal.tenant))[data.id]), tag_of(version))


async def change(
    context: ApiContext, principal: Principal, group_id: str, data: types.GroupChange, *, if_match: str | None = None
) -> Tagged[types.Group]:
    """Change what is given, also of a group that tokens alone have named so far. Raises Problem 404, 412."""
    principal.need("tokens:write")
    before = await group(context, principal, group_id)
    check(if_match, before.etag)
    kept = await GROUPS.find(context, principal.tenant, group_id)
    now = context.scheduler.now()
    record = kept.value if kept else GroupRecord(created_at=now)
    record.updated_at = now
    for field in ("name", "note"):
        value = getattr(data, field)
        if value is not msgspec.UNSET:
            setattr(record, field, value)
    version = await GROUPS.replace(
        context, principal.tenant, group_id, record, sort=group_id, expected=kept.version if kept else 0
    )
    await audit.record(context, principal, "groups.change", f"group {group_id}", detail={"name": record.name})
    return Tagged(_shown(group_id, record, before.value.tokens), tag_of(version))


async def remove(context: ApiContext, principal: Principal, group_id: str, *, if_match: str | None = None) -> None:
    """Forget a group that no token is in. Raises Problem 404, 409, 412."""
    principal.need("tokens:write")
    before = await group(context, principal, group_id)
    check(if_match, before.etag)
    if before.value.tokens:
        raise problem(
            "in-use", _("{tokens} tokens are in the group {group_id}.", tokens=before.value.tokens, group_id=group_id)
        )
    kept = await GROUPS.get(context, principal.tenant, group_id)
    await GROUPS.delete(context, principal.tenant, group_id, expected=kept.version)
    await audit.record(context, principal, "groups.delete", f"group {group_id}")
