"""Drivers: the people who carry tokens. Who they are is personal data: shown to few, exported and erased on demand.

A token has one driver at most: a document of its own says whose it is, written in the same transaction as the driver.
"""

from __future__ import annotations

from datetime import datetime

import msgspec

from pilotwire.core.time import from_datetime, to_datetime, to_rfc3339
from pilotwire.storage import documents
from pilotwire.storage.documents import Change, Conflict, Delete, Kept

from .. import audit, mapping, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..language import _
from ..listing import wanted
from ..problems import problem
from ..queries import Queries
from . import tokens as tokens_resource
from .keeping import Collection, Tagged
from .tokens import CARRIES


class ConsentRecord(msgspec.Struct, array_like=True):
    """A consent as it is kept."""

    purpose: str
    given_at: int
    withdrawn_at: int | None = None


class DriverRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a driver."""

    name: str
    email: str = ""
    phone: str = ""
    language: str = ""
    note: str = ""
    tokens: list[str] = []
    consents: list[ConsentRecord] = []
    created_at: int = 0
    updated_at: int = 0


DRIVERS = Collection("driver", DriverRecord, "driver")
_PLAIN = ("name", "email", "phone", "language", "note")


def _shown(driver_id: str, record: DriverRecord) -> types.Driver:
    return types.Driver(
        id=driver_id,
        name=record.name,
        email=record.email,
        phone=record.phone,
        language=record.language,
        note=record.note,
        tokens=list(record.tokens),
        consents=[
            types.Consent(
                purpose=one.purpose,
                given_at=to_datetime(one.given_at),
                withdrawn_at=to_datetime(one.withdrawn_at) if one.withdrawn_at is not None else None,
            )
            for one in record.consents
        ],
        created_at=to_rfc3339(record.created_at),
        updated_at=to_rfc3339(record.updated_at),
    )


async def drivers(context: ApiContext, principal: Principal, *, search: str | None = None) -> list[types.Driver]:
    """Every driver by name; `search` is part of name, e-mail, phone, note or a token."""
    principal.need("drivers:read")
    return [
        _shown(driver_id, kept.value)
        async for driver_id, kept in DRIVERS.every(context, principal.tenant)
        if wanted(search, kept.value.name, kept.value.email, kept.value.phone, kept.value.note, *kept.value.tokens)
    ]


async def driver(context: ApiContext, principal: Principal, driver_id: str) -> Tagged[types.Driver]:
    """One driver. Raises Problem 404."""
    principal.need("drivers:read")
    kept = await DRIVERS.get(context, principal.tenant, driver_id)
    return Tagged(_shown(driver_id, kept.value), tag_of(kept.version))


async def create(context: ApiContext, principal: Principal, data: types.NewDriver) -> Tagged[types.Driver]:
    """Add a driver. Raises Problem 409 where a token has a driver already, 422."""
    principal.need("drivers:write")
    now = context.scheduler.now()
    record = DriverRecord(
        created_at=now,
        updated_at=now,
        consents=_consents(data.consents),
        tokens=await _tokens(context, principal.tenant, data.tokens),
        **{name: getattr(data, name) for name in _PLAIN},
    )
    driver_id = context.ids.new()
    version = await _write(context, principal.tenant, driver_id, record, None)
    await audit.record(context, principal, "drivers.create", f"driver {driver_id}", detail={"tokens": record.tokens})
    return Tagged(_shown(driver_id, record), tag_of(version))


async def change(
    context: ApiContext, principal: Principal, driver_id: str, data: types.DriverChange, *, if_match: str | None = None
) -> Tagged[types.Driver]:
    """Change what is given. Raises Problem 404, 409, 412, 422."""
    principal.need("drivers:write")
    before = await DRIVERS.get(context, principal.tenant, driver_id)
    check(if_match, tag_of(before.version))
    record = msgspec.structs.replace(before.value, updated_at=context.scheduler.now())
    given = [name for name in _PLAIN if getattr(data, name) is not msgspec.UNSET]
    for name in given:
        setattr(record, name, getattr(data, name))
    if data.consents is not msgspec.UNSET:
        record.consents = _consents(data.consents)
        given.append("consents")
    if data.tokens is not msgspec.UNSET:
        record.tokens = await _tokens(context, principal.tenant, data.tokens)
        given.append("tokens")
    version = await _write(context, principal.tenant, driver_id, record, before)
    # Which fields, not what they hold: the audit log is never erased.
    await audit.record(context, principal, "drivers.change", f"driver {driver_id}", detail={"fields": given})
    return Tagged(_shown(driver_id, record), tag_of(version))


async def remove(context: ApiContext, principal: Principal, driver_id: str, *, if_match: str | None = None) -> None:
    """Forget a driver; the tokens stay and belong to nobody. Raises Problem 404, 412."""
    principal.need("drivers:write")
    before = await DRIVERS.get(context, principal.tenant, driver_id)
    check(if_match, tag_of(before.version))
    await _forget(context, principal.tenant, driver_id, before)
    await audit.record(context, principal, "drivers.delete", f"driver {driver_id}")


async def erase(context: ApiContext, principal: Principal, driver_id: str, order: types.ErasureOrder) -> types.Erasure:
    """Forget a person for good (GDPR article 17): who they are, what was noted of their tokens, and, as ordered, the
    tokens. Sessions stay as records of what was delivered; nothing in them names the person. Raises Problem 404."""
    principal.need("personal-data:erase")
    before = await DRIVERS.get(context, principal.tenant, driver_id)
    sessions = len(await _sessions(context, principal.tenant, before.value.tokens))
    await _forget(context, principal.tenant, driver_id, before)
    deleted = kept = 0
    for name in before.value.tokens:
        token = await tokens_resource.find(context, principal.tenant, name)
        if token is None:
            continue
        if order.delete_tokens:
            deleted += await context.store.delete_token(principal.tenant, token.token)
        else:
            kept += 1
            token.note = ""
            await context.store.put_token(token)
    await tokens_resource.changed(context, principal.tenant)
    detail: dict[str, object] = {"tokens_deleted": deleted, "tokens_kept": kept}
    await audit.record(context, principal, "drivers.erase", f"driver {driver_id}", detail=detail, reason=order.reason)
    return types.Erasure(driver_id=driver_id, tokens_deleted=deleted, tokens_kept=kept, sessions_kept=sessions)


async def export(context: ApiContext, principal: Principal, driver_id: str) -> types.DriverExport:
    """Everything that is kept of a person, to be handed to them. Raises Problem 404."""
    principal.need("drivers:read")
    principal.need("sessions:export")
    kept = await DRIVERS.get(context, principal.tenant, driver_id)
    found = [await tokens_resource.find(context, principal.tenant, name) for name in kept.value.tokens]
    sessions = await _sessions(context, principal.tenant, kept.value.tokens)
    await audit.record(context, principal, "drivers.export", f"driver {driver_id}", detail={"sessions": len(sessions)})
    return types.DriverExport(
        exported_at=to_rfc3339(context.scheduler.now()),
        driver=_shown(driver_id, kept.value),
        tokens=[msgspec.to_builtins(mapping.token(one, driver_id)) for one in found if one is not None],
        sessions=[msgspec.to_builtins(one) for one in sessions],
    )


async def _sessions(context: ApiContext, tenant: str, tokens: list[str]) -> list[types.Session]:
    """Every session that was begun with one of these tokens."""
    if not tokens:
        return []
    theirs = Principal(tenant=tenant, name="export", role="driver", by="system", tokens=frozenset(tokens))
    queries = Queries(context, theirs)
    found: list[types.Session] = []
    cursor: str | None = None
    while True:
        page = await queries.sessions(cursor=cursor, limit=500)
        found += page.items
        cursor = page.next
        if cursor is None:
            return found


def _consents(given: list[types.Consent]) -> list[ConsentRecord]:
    return [
        ConsentRecord(
            one.purpose,
            _ms(f"consents[{number}].given_at", one.given_at),
            _ms(f"consents[{number}].withdrawn_at", one.withdrawn_at) if one.withdrawn_at is not None else None,
        )
        for number, one in enumerate(given)
    ]


def _ms(field: str, moment: datetime) -> int:
    try:
        return from_datetime(moment)
    except OverflowError:
        raise problem("bad-body", errors=[{"field": field, "message": _("out of range")}]) from None


async def _tokens(context: ApiContext, tenant: str, given: list[str]) -> list[str]:
    """The tokens as they are written, each once. Raises Problem 422 for one that there is not."""
    found: list[str] = []
    errors: list[dict[str, str]] = []
    for number, name in enumerate(given):
        token = await tokens_resource.find(context, tenant, name)
        if token is None:
            errors.append({"field": f"tokens[{number}]", "message": _("there is no token {name}", name=name[:40])})
        elif token.token not in found:
            found.append(token.token)
    if errors:
        raise problem("bad-body", errors=errors)
    return found


async def _write(
    context: ApiContext, tenant: str, driver_id: str, record: DriverRecord, before: Kept[DriverRecord] | None
) -> int:
    """The driver and whose each token is, at once. Raises Problem 409, 412."""
    had = {one.casefold() for one in before.value.tokens} if before else set[str]()
    has = {one.casefold() for one in record.tokens}
    changes: list[Change] = [
        documents.put(
            DRIVERS.kind,
            driver_id,
            record,
            sort=record.name.casefold(),
            expected=before.version if before else 0,
        )
    ]
    changes += [Delete(CARRIES, name) for name in sorted(had - has)]
    changes += [documents.put(CARRIES, name, driver_id, expected=0) for name in sorted(has - had)]
    try:
        version = (await context.store.write_documents(tenant, changes))[0]
    except Conflict as conflict:
        if conflict.kind != CARRIES:
            raise of_conflict(conflict) from None
        names = [one for one in record.tokens if one.casefold() == conflict.id]
        number = record.tokens.index(names[0])
        raise problem(
            "exists",
            _("The token {names} has a driver.", names=names[0]),
            errors=[{"field": f"tokens[{number}]", "message": _("is carried by another driver")}],
        ) from None
    tokens_resource.forget_book(context, tenant)
    return version


async def _forget(context: ApiContext, tenant: str, driver_id: str, before: Kept[DriverRecord]) -> None:
    changes: list[Change] = [Delete(DRIVERS.kind, driver_id, before.version)]
    changes += [Delete(CARRIES, one.casefold()) for one in before.value.tokens]
    try:
        await context.store.write_documents(tenant, changes)
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    tokens_resource.forget_book(context, tenant)
