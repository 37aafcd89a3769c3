"""Saved views: one's own, and those that are shared with the tenant."""

from __future__ import annotations

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.storage.documents import Kept

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, tag_of
from ..language import _
from ..problems import not_found, problem
from .keeping import Collection, Tagged

AT_MOST = 200
"""Views of one person."""


class ViewRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a view."""

    table: types.ViewTable
    name: str
    query: str = ""
    columns: list[str] = []
    shared: bool = False
    owner: str
    created_at: int = 0
    updated_at: int = 0


VIEWS = Collection("view", ViewRecord, "view")
_FIELDS = ("name", "query", "columns", "shared")


def _shown(principal: Principal, view_id: str, record: ViewRecord) -> types.View:
    return types.View(
        id=view_id,
        table=record.table,
        name=record.name,
        query=record.query,
        columns=record.columns,
        shared=record.shared,
        owner=record.owner,
        mine=record.owner == principal.actor,
        created_at=to_rfc3339(record.created_at),
        updated_at=to_rfc3339(record.updated_at),
    )


def _may_share(principal: Principal) -> None:
    """Whoever sees a part of the tenant alone keeps views to themselves. Raises Problem 403."""
    principal.need("stations:write")


async def views(context: ApiContext, principal: Principal, *, table: str | None = None) -> list[types.View]:
    """One's own and the shared ones, by name."""
    return [
        _shown(principal, view_id, kept.value)
        async for view_id, kept in VIEWS.every(context, principal.tenant)
        if _visible(principal, kept.value) and (table is None or kept.value.table == table)
    ]


def _visible(principal: Principal, record: ViewRecord) -> bool:
    return record.owner == principal.actor or (record.shared and principal.may("stations:read"))


async def view(context: ApiContext, principal: Principal, view_id: str) -> Tagged[types.View]:
    """One view. Raises Problem 404."""
    kept = await _get(context, principal, view_id)
    return Tagged(_shown(principal, view_id, kept.value), tag_of(kept.version))


async def _get(context: ApiContext, principal: Principal, view_id: str) -> Kept[ViewRecord]:
    kept = await VIEWS.get(context, principal.tenant, view_id)
    if not _visible(principal, kept.value):
        raise not_found("view", view_id)
    return kept


async def create(context: ApiContext, principal: Principal, data: types.NewView) -> Tagged[types.View]:
    """Save a view. Raises Problem 403 (sharing), 409 (too many)."""
    if data.shared:
        _may_share(principal)
    mine = [one async for one in VIEWS.every(context, principal.tenant) if one[1].value.owner == principal.actor]
    if len(mine) >= AT_MOST:
        raise problem("in-use", _("You have {n} views, which is as many as are kept: delete one.", n=AT_MOST))
    now = context.scheduler.now()
    view_id = context.ids.new()
    record = ViewRecord(
        table=data.table,
        name=data.name,
        query=data.query,
        columns=data.columns,
        shared=data.shared,
        owner=principal.actor,
        created_at=now,
        updated_at=now,
    )
    version = await VIEWS.add(context, principal.tenant, view_id, record, sort=data.name.casefold())
    if data.shared:
        await audit.record(context, principal, "views.create", f"view {view_id}", detail={"name": data.name})
    return Tagged(_shown(principal, view_id, record), tag_of(version))


async def change(
    context: ApiContext, principal: Principal, view_id: str, data: types.ViewChange, *, if_match: str | None = None
) -> Tagged[types.View]:
    """Change what is given of one's own view; an admin also of shared ones. Raises Problem 403, 404, 412."""
    kept = await _own(context, principal, view_id)
    check(if_match, tag_of(kept.version))
    record = kept.value
    was_shared = record.shared
    for name in _FIELDS:
        value = getattr(data, name)
        if value is not msgspec.UNSET:
            setattr(record, name, value)
    if record.shared:
        _may_share(principal)
    record.updated_at = context.scheduler.now()
    version = await VIEWS.replace(
        context, principal.tenant, view_id, record, sort=record.name.casefold(), expected=kept.version
    )
    if record.shared or was_shared:
        await audit.record(context, principal, "views.change", f"view {view_id}", detail={"name": record.name})
    return Tagged(_shown(principal, view_id, record), tag_of(version))


async def remove(context: ApiContext, principal: Principal, view_id: str, *, if_match: str | None = None) -> None:
    """Forget one's own view; an admin also shared ones. Raises Problem 403, 404, 412."""
    kept = await _own(context, principal, view_id)
    check(if_match, tag_of(kept.version))
    await VIEWS.delete(context, principal.tenant, view_id, expected=kept.version)
    if kept.value.shared:
        await audit.record(context, principal, "views.delete", f"view {view_id}", detail={"name": kept.value.name})


async def _own(context: ApiContext, principal: Principal, view_id: str) -> Kept[ViewRecord]:
    kept = await _get(context, principal, view_id)
    if kept.value.owner != principal.actor and not principal.may("users:write"):
        raise problem("not-allowed", _("The view belongs to {owner}; save one of your own.", owner=kept.value.owner))
    return kept
