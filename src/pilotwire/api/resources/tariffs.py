"""Tariffs, who and what has them, and what sessions cost by them."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from pilotwire.core.time import from_rfc3339, to_datetime, to_rfc3339
from pilotwire.domain import records
from pilotwire.domain.tariffs import bill as bills
from pilotwire.domain.tariffs import checking, choice, details, model
from pilotwire.domain.tariffs.book import (
    ASSIGNMENT,
    MOST_REVISIONS,
    TARIFF,
    AssignmentRecord,
    TariffRecord,
    assignment_id,
    numbered,
)
from pilotwire.storage import documents
from pilotwire.translate.california import price_text

from .. import audit, mapping, types
from ..access import Principal
from ..commands import execute, settings_changed
from ..context import ApiContext
from ..edit import check, tag_of
from ..language import _
from ..listing import wanted
from ..problems import not_found, problem
from ..queries import Queries
from . import drivers, sites
from . import tokens as tokens_resource
from .keeping import Collection, Tagged

TARIFFS = Collection(TARIFF, TariffRecord, "tariff")
ASSIGNMENTS = Collection(ASSIGNMENT, AssignmentRecord, "assignment")
_PARTS = ("fixed", "energy", "charging_time", "idle_time", "reservation_time", "reservation_fixed")


# ── terms ────────────────────────────────────────────────────────────────────────────────────────────────────────────


def _tariff(tariff_id: str, terms: types.TariffTerms) -> model.Tariff:
    """The terms as the domain prices by them. Raises Problem 422 where they make no sense."""
    plain: dict[str, Any] = msgspec.to_builtins(terms)
    if terms.valid_from is not None:
        plain["validFrom"] = to_rfc3339(int(terms.valid_from.timestamp() * 1000))
    made = msgspec.convert({"tariffId": tariff_id, **plain}, model.Tariff, strict=False)
    faults = checking.faults(made)
    if faults:
        raise problem("bad-body", errors=[{"field": f"terms.{where}", "message": what} for where, what in faults])
    return made


def _terms(tariff: model.Tariff) -> types.TariffTerms:
    plain: dict[str, Any] = msgspec.to_builtins(tariff)
    del plain["tariffId"]
    if tariff.valid_from is not None:
        plain["validFrom"] = to_datetime(from_rfc3339(tariff.valid_from))
    return msgspec.convert(plain, types.TariffTerms, strict=False)


def _number(tariff: model.Tariff) -> int:
    return int(tariff.tariff_id.rpartition(".")[2])


def _revision(tariff: model.Tariff) -> types.TariffRevision:
    return types.TariffRevision(revision=_number(tariff), tariff_id=tariff.tariff_id, terms=_terms(tariff))


def _shown(context: ApiContext, tariff_id: str, record: TariffRecord, assignments: int) -> types.Tariff:
    newest = record.revisions[-1]
    current = choice.current(record.revisions, context.scheduler.now())
    return types.Tariff(
        id=tariff_id,
        name=record.name,
        note=record.note,
        revision=_number(newest),
        terms=_terms(newest),
        text=price_text(newest),
        in_force=None if current is None else _number(current),
        assignments=assignments,
        created_at=to_rfc3339(record.created_at),
        updated_at=to_rfc3339(record.updated_at),
    )


def _detail(context: ApiContext, tariff_id: str, record: TariffRecord, assignments: int) -> types.TariffDetail:
    shown = _shown(context, tariff_id, record, assignments)
    fields = {name: getattr(shown, name) for name in shown.__struct_fields__}
    return types.TariffDetail(**fields, revisions=[_revision(each) for each in record.revisions])


# ── tariffs ──────────────────────────────────────────────────────────────────────────────────────────────────────────


async def _counts(context: ApiContext, tenant: str) -> dict[str, int]:
    found: dict[str, int] = {}
    async for _id, kept in ASSIGNMENTS.every(context, tenant):
        found[kept.value.tariff] = found.get(kept.value.tariff, 0) + 1
    return found


async def tariffs(context: ApiContext, principal: Principal, *, search: str | None = None) -> list[types.Tariff]:
    """Every tariff by name; `search` is part of id, name or note."""
    principal.need("tariffs:read")
    counts = await _counts(context, principal.tenant)
    return [
        _shown(context, tariff_id, kept.value, counts.get(tariff_id, 0))
        async for tariff_id, kept in TARIFFS.every(context, principal.tenant)
        if wanted(search, tariff_id, kept.value.name, kept.value.note)
    ]


async def tariff(context: ApiContext, principal: Principal, tariff_id: str) -> Tagged[types.TariffDetail]:
    """One tariff. Raises Problem 404."""
    principal.need("tariffs:read")
    kept = await TARIFFS.get(context, principal.tenant, tariff_id)
    count = (await _counts(context, principal.tenant)).get(tariff_id, 0)
    return Tagged(_detail(context, tariff_id, kept.value, count), tag_of(kept.version))


async def create(context: ApiContext, principal: Principal, data: types.NewTariff) -> Tagged[types.TariffDetail]:
    """Add a tariff. Raises Problem 409, 422."""
    principal.need("tariffs:write")
    now = context.scheduler.now()
    first = _tariff(numbered(data.id, 1), data.terms)
    record = TariffRecord(name=data.name, note=data.note, revisions=[first], created_at=now, updated_at=now)
    version = await TARIFFS.add(context, principal.tenant, data.id, record, sort=data.name.casefold())
    await settings_changed(context)
    await audit.record(context, principal, "tariffs.create", f"tariff {data.id}")
    return Tagged(_detail(context, data.id, record, 0), tag_of(version))


async def change(
    context: ApiContext, principal: Principal, tariff_id: str, data: types.TariffChange, *, if_match: str | None = None
) -> Tagged[types.TariffDetail]:
    """Change what is given; other terms are a new revision. Raises Problem 404, 412, 422."""
    principal.need("tariffs:write")
    before = await TARIFFS.get(context, principal.tenant, tariff_id)
    check(if_match, tag_of(before.version))
    record = msgspec.structs.replace(before.value, updated_at=context.scheduler.now())
    given: list[str] = []
    for field in ("name", "note"):
        value = getattr(data, field)
        if value is not msgspec.UNSET:
            setattr(record, field, value)
            given.append(field)
    if isinstance(data.terms, types.TariffTerms):
        newest = record.revisions[-1]
        new = _tariff(numbered(tariff_id, _number(newest) + 1), data.terms)
        if new.currency != newest.currency:
            message = _("stays {currency}: make another tariff", currency=newest.currency)
            raise problem("bad-body", errors=[{"field": "terms.currency", "message": message}])
        if msgspec.structs.replace(new, tariff_id=newest.tariff_id) != newest:
            record.revisions = [*record.revisions, new][-MOST_REVISIONS:]
            given.append("terms")
    version = await TARIFFS.replace(
        context, principal.tenant, tariff_id, record, sort=record.name.casefold(), expected=before.version
    )
    await settings_changed(context)
    detail: dict[str, object] = {"fields": given, "revision": _number(record.revisions[-1])}
    await audit.record(context, principal, "tariffs.change", f"tariff {tariff_id}", detail=detail)
    count = (await _counts(context, principal.tenant)).get(tariff_id, 0)
    return Tagged(_detail(context, tariff_id, record, count), tag_of(version))


async def remove(context: ApiContext, principal: Principal, tariff_id: str, *, if_match: str | None = None) -> None:
    """Forget a tariff that nothing has. Raises Problem 404, 409, 412."""
    principal.need("tariffs:write")
    before = await TARIFFS.get(context, principal.tenant, tariff_id)
    check(if_match, tag_of(before.version))
    count = (await _counts(context, principal.tenant)).get(tariff_id, 0)
    if count:
        raise problem("in-use", _("{count} places or drivers have the tariff.", count=count))
    await TARIFFS.delete(context, principal.tenant, tariff_id, expected=before.version)
    await settings_changed(context)
    await audit.record(context, principal, "tariffs.delete", f"tariff {tariff_id}")


# ── who and what has them ────────────────────────────────────────────────────────────────────────────────────────────


def _assigned(assignment: str, record: AssignmentRecord) -> types.TariffAssignment:
    return types.TariffAssignment(
        id=assignment,
        tariff_id=record.tariff,
        scope=record.scope,
        target=record.target,
        evse=record.evse,
        created_at=to_rfc3339(record.created_at),
    )


async def assignments(
    context: ApiContext, principal: Principal, *, tariff_id: str | None = None
) -> list[types.TariffAssignment]:
    """Who and what has which tariff, by place."""
    principal.need("tariffs:read")
    return [
        _assigned(one, kept.value)
        async for one, kept in ASSIGNMENTS.every(context, principal.tenant)
        if tariff_id is None or kept.value.tariff == tariff_id
    ]


async def assign(
    context: ApiContext, principal: Principal, data: types.NewTariffAssignment
) -> Tagged[types.TariffAssignment]:
    """Give a tariff to a place or a driver. Raises Problem 422 where there is no such one."""
    principal.need("tariffs:write")
    await _there(context, principal, data)
    target = "" if data.scope == "all" else data.target
    evse = data.evse if data.scope == "evse" else 0
    name = assignment_id(data.scope, target, evse)
    record = AssignmentRecord(
        tariff=data.tariff_id, scope=data.scope, target=target, evse=evse, created_at=context.scheduler.now()
    )
    version = (
        await context.store.write_documents(principal.tenant, [documents.put(ASSIGNMENT, name, record, sort=name)])
    )[0]
    await settings_changed(context)
    await audit.record(context, principal, "tariffs.assign", f"tariff {data.tariff_id}", detail={"to": name})
    return Tagged(_assigned(name, record), tag_of(version))


async def _there(context: ApiContext, principal: Principal, data: types.NewTariffAssignment) -> None:
    """Raises Problem 422 for a tariff or a target that there is not."""
    tenant, target = principal.tenant, data.target

    def no(field: str, message: str) -> None:
        raise problem("bad-body", errors=[{"field": field, "message": message}])

    if await TARIFFS.find(context, tenant, data.tariff_id) is None:
        no("tariff_id", _("there is no such tariff"))
    if data.scope == "all":
        return
    found: object = target or None
    if data.scope == "site":
        found = await sites.SITES.find(context, tenant, target)
    elif data.scope in ("station", "evse"):
        queries = Queries(context, principal)
        found = next((True for one in [one async for one in queries.every_station()] if one.id == target), None)
    elif data.scope == "driver":
        found = await drivers.DRIVERS.find(context, tenant, target)
    elif data.scope == "token":
        found = await tokens_resource.find(context, tenant, target)
    if found is None:
        no("target", _("there is no such one"))
    if data.scope == "evse" and data.evse < 1:
        no("evse", _("which EVSE of the station is to be said"))


async def take(context: ApiContext, principal: Principal, assignment: str) -> None:
    """Take a tariff from a place or a driver. Raises Problem 404."""
    principal.need("tariffs:write")
    kept = await ASSIGNMENTS.get(context, principal.tenant, assignment)
    await ASSIGNMENTS.delete(context, principal.tenant, assignment, expected=kept.version)
    await settings_changed(context)
    await audit.record(context, principal, "tariffs.take", f"tariff {kept.value.tariff}", detail={"from": assignment})


# ── what sessions cost ───────────────────────────────────────────────────────────────────────────────────────────────


async def cost(context: ApiContext, principal: Principal, session_id: str) -> types.CostBreakdown:
    """The bill of a session. Raises Problem 404."""
    record = await Queries(context, principal).session_record(session_id)
    if record is None:
        raise not_found("session", session_id)
    return breakdown(record)


def breakdown(record: records.Session) -> types.CostBreakdown:
    """The bill of a session, line by line."""
    bill = record.bill
    found = None if bill is None else bills.cost(bill)
    if found is None:
        return types.CostBreakdown(
            session_id=record.id,
            cost=mapping.cost(record),
            kind=None,
            excl_tax=None,
            incl_tax=None,
            energy_wh=float(record.energy_wh),
            charging_s=0,
            idle_s=0,
            parts=[],
            periods=[],
        )
    total, usage = found.total_cost, found.total_usage
    return types.CostBreakdown(
        session_id=record.id,
        cost=mapping.cost(record),
        kind=total.type_of_cost,  # type: ignore[arg-type]
        excl_tax=None if total.total.excl_tax is None else str(total.total.excl_tax),
        incl_tax=None if total.total.incl_tax is None else str(total.total.incl_tax),
        energy_wh=float(usage.energy),
        charging_s=usage.charging_time,
        idle_s=usage.idle_time,
        parts=[
            types.CostPart(
                name=name,  # type: ignore[arg-type]
                excl_tax=_text(price.excl_tax),
                incl_tax=_text(price.incl_tax),
                taxes=details.tax_rates(price.tax_rates),
            )
            for name in _PARTS
            if (price := getattr(total, name)) is not None
        ],
        periods=[_period(period) for period in found.charging_periods],
    )


def _text(amount: Decimal | None) -> str:
    return "0" if amount is None else str(amount)


def _period(period: details.ChargingPeriod) -> types.CostPeriod:
    volumes = {dimension.type: dimension.volume for dimension in period.dimensions}
    return types.CostPeriod(
        start=to_rfc3339(period.start_period),
        tariff_id=period.tariff_id,
        energy_wh=float(volumes.get("Energy", 0)),
        charging_s=int(volumes.get("ChargingTime", 0)),
        idle_s=int(volumes.get(details.IDLE_TIME, 0)),
    )


async def change_of_session(
    context: ApiContext, principal: Principal, session_id: str, data: types.SessionTariff
) -> types.CommandAnswer:
    """Another tariff for a running session. Raises Problem 404, 409, 422, 504."""
    principal.need("tariffs:write")
    session = await Queries(context, principal).session(session_id)
    command = types.NewCommand(action="change-tariff", payload={"session": session.id, "tariff": data.tariff_id})
    return await execute(context, principal, session.station_id, command)
