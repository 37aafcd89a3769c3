"""Jobs: bulk operations with progress. Made here, done by `pilotwire.api.job_runner`."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain.permissions import CONFIGURES, DANGEROUS
from pilotwire.storage import documents
from pilotwire.storage.documents import Conflict, Delete, sort_time
from pilotwire.transport.bus import JobNews

from .. import audit, explain, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..fleet_query import StationQuery
from ..language import _
from ..listing import next_of, question, stored_cursor
from ..problems import not_found, problem
from ..queries import Queries
from .keeping import Collection, Tagged

MAX_STATIONS = 20_000
STATIONS_KIND = "job-stations"
OUTCOME_KIND = "job-outcome"
ENDED = ("done", "failed", "cancelled")


class JobRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a job; its stations and outcomes are documents of their own."""

    kind: types.JobKind
    title: str = ""
    payload: dict[str, Any] = {}
    reason: str = ""
    concurrency: int = 10
    continue_on_error: bool = True
    status: types.JobStatus = "queued"
    by: str
    role: str
    sites: list[str] | None = None
    tokens: list[str] | None = None
    created_at: int
    started_at: int | None = None
    ended_at: int | None = None
    total: int
    succeeded: int = 0
    failed: int = 0
    skipped: int = 0
    under_way: list[str] = []
    """Stations of the present wave: those without an outcome when a process begins were cut off."""


class OutcomeRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What became of one station."""

    station: str
    ok: bool
    outcome: str
    text: str = ""
    problem: str = ""
    command_id: str = ""
    answer: Any = None
    at: int = 0


JOBS = Collection("job", JobRecord, "job")


def outcome_id(job_id: str, number: int) -> str:
    """Id and sort key of the outcome of a job's n-th station."""
    return f"{job_id}/{number:06d}"


def shown(job_id: str, record: JobRecord) -> types.Job:
    """A job as the API shows it."""
    tried = record.succeeded + record.failed + record.skipped
    return types.Job(
        id=job_id,
        kind=record.kind,
        title=record.title,
        status=record.status,
        payload=record.payload,
        reason=record.reason,
        concurrency=record.concurrency,
        continue_on_error=record.continue_on_error,
        created_by=record.by,
        created_at=to_rfc3339(record.created_at),
        started_at=to_rfc3339(record.started_at) if record.started_at is not None else None,
        ended_at=to_rfc3339(record.ended_at) if record.ended_at is not None else None,
        total=record.total,
        succeeded=record.succeeded,
        failed=record.failed,
        skipped=record.skipped,
        waiting=record.total - tried,
        percent=round(100 * tried / record.total, 1) if record.total else 100.0,
    )


def _visible(principal: Principal, record: JobRecord) -> bool:
    """Whoever sees some sites sees the jobs that were ordered for no more than these."""
    if principal.sites is None:
        return True
    return record.sites is not None and set(record.sites) <= principal.sites


# -- making -----------------------------------------------------------------------------------------------------------
async def create(context: ApiContext, principal: Principal, data: types.NewJob) -> Tagged[types.Job]:
    """Order a job; it begins at once. Raises Problem 403, 422."""
    principal.need("jobs:write")
    payload = _payload(principal, data)
    stations = await chosen_stations(context, principal, data)
    now = context.scheduler.now()
    job_id = context.ids.new()
    record = JobRecord(
        kind=data.kind,
        title=data.title or _title(data.kind, payload),
        payload=payload,
        reason=data.reason.strip(),
        concurrency=data.concurrency,
        continue_on_error=data.continue_on_error,
        by=principal.actor,
        role=principal.role,
        sites=sorted(principal.sites) if principal.sites is not None else None,
        tokens=sorted(principal.tokens) if principal.tokens is not None else None,
        created_at=now,
        total=len(stations),
    )
    versions = await context.store.write_documents(
        principal.tenant,
        [
            documents.put(JOBS.kind, job_id, record, sort=sort_time(now), expected=0),
            documents.put(STATIONS_KIND, job_id, stations, expected=0),
        ],
    )
    detail: dict[str, object] = {"kind": data.kind, "stations": len(stations), "title": record.title}
    await audit.record(context, principal, "jobs.create", f"job {job_id}", detail=detail, reason=record.reason)
    from ..job_runner import wake

    wake(context, principal.tenant, job_id)
    return Tagged(shown(job_id, record), tag_of(versions[0], shown(job_id, record)))


def _payload(principal: Principal, data: types.NewJob) -> dict[str, Any]:
    """The payload, as the request for one station would have it. Raises Problem 403, 422."""
    kinds: dict[str, Any] = {
        "command": types.NewCommand,
        "set-variables": types.VariableSettings,
        "refresh-variables": types.VariableRefresh,
        "change": types.StationChange,
    }
    try:
        if data.kind == "delete":
            principal.need("stations:write")
            if data.payload:
                raise msgspec.ValidationError("Object contains unknown field `" + next(iter(data.payload)) + "`")
            return {}
        given = msgspec.convert(data.payload, kinds[data.kind])
    except msgspec.ValidationError as error:
        text = str(error).partition(" - at ")[0]
        raise problem("bad-body", f"{text}.", errors=[{"field": "payload", "message": text}]) from None
    if data.kind == "command":
        principal.need("commands:send")
        if given.action in CONFIGURES:
            principal.need("variables:write")
        if given.action in DANGEROUS:
            principal.need("commands:dangerous")
            if not (data.reason.strip() or given.reason.strip()):
                message = _("say why {action} is needed", action=given.action)
                raise problem("reason-needed", errors=[{"field": "reason", "message": message}])
    else:
        principal.need({"set-variables": "variables:write", "refresh-variables": "variables:read"}.get(
            data.kind, "stations:write"))  # fmt: skip
    if data.kind == "refresh-variables":
        principal.need("commands:send")
    kept = msgspec.to_builtins(given)
    if (isinstance(given, types.StationChange) and given.password is not msgspec.UNSET) or _secret(kept):
        raise problem(
            "bad-body",
            _("A job is kept, and a secret never is: give each station its own."),
            errors=[{"field": "payload", "message": _("holds a secret")}],
        )
    return kept


def _secret(payload: Any) -> bool:
    if explain.hide(payload, tokens=True, codes=True) != payload:
        return True
    variables = payload.get("variables") if isinstance(payload, dict) else None
    return any(one.get("variable") in explain.SECRETS for one in variables or () if isinstance(one, dict))


async def chosen_stations(
    context: ApiContext, principal: Principal, data: types.NewJob | types.NewRollout
) -> list[str]:
    """The ids of the stations, in scope, each once, in order. Raises Problem 422."""
    if (data.station_ids is None) == (data.filter is None):
        message = _("give station_ids or filter, one of them")
        raise problem("bad-body", errors=[{"field": "station_ids", "message": message}])
    known = Queries(context, principal)
    if data.station_ids is not None:
        names = list(dict.fromkeys(data.station_ids))
        missing = [name for name in names if await known.find_station(name) is None]
        if missing:
            text = f"there is no station {missing[0]}" + (f", nor {len(missing) - 1} others" if missing[1:] else "")
            raise problem("bad-body", errors=[{"field": "station_ids", "message": text}])
    else:
        assert data.filter is not None
        wanted = msgspec.convert(data.filter, StationQuery, from_attributes=True)
        names = []
        cursor: str | None = None
        while True:
            page = await known.stations(wanted=wanted, cursor=cursor, limit=500)
            names += [one.id for one in page.items]
            cursor = page.next
            if cursor is None or len(names) > MAX_STATIONS:
                break
    if not names:
        raise problem("bad-body", errors=[{"field": "filter", "message": _("no station fits")}])
    if len(names) > MAX_STATIONS:
        raise problem(
            "bad-body", errors=[{"field": "filter", "message": _("more than {n} stations fit", n=f"{MAX_STATIONS:,}")}]
        )
    return names


def _title(kind: str, payload: dict[str, Any]) -> str:
    return {
        "command": f"Command {payload.get('action', '')}",
        "set-variables": "Set " + ", ".join(str(one.get("variable")) for one in payload.get("variables", ()))[:150],
        "refresh-variables": "Read variables anew",
        "change": "Change " + ", ".join(sorted(payload)),
        "delete": "Delete accounts",
    }[kind]


# -- looking ----------------------------------------------------------------------------------------------------------
async def jobs(
    context: ApiContext, principal: Principal, *, status: str | None = None, cursor: str | None = None, limit: int = 50
) -> types.JobPage:
    """Jobs, newest first. A page may hold fewer than `limit` and still have a next."""
    principal.need("jobs:read")
    asked = question("jobs", "newest", {"status": status})
    page = await context.store.documents(
        principal.tenant, JOBS.kind, cursor=stored_cursor(cursor, asked), limit=limit, newest_first=True
    )
    found = [(one.id, _present(context, principal.tenant, one.id, documents.unpack(one, JobRecord).value))
             for one in page.items]  # fmt: skip
    return types.JobPage(
        items=[
            shown(job_id, record)
            for job_id, record in found
            if _visible(principal, record) and (status is None or record.status == status)
        ],
        next=next_of(page.next, asked),
    )


async def job(context: ApiContext, principal: Principal, job_id: str) -> Tagged[types.Job]:
    """One job with its progress. Raises Problem 404."""
    principal.need("jobs:read")
    kept = await JOBS.get(context, principal.tenant, job_id)
    if not _visible(principal, kept.value):
        raise not_found("job", job_id)
    told = shown(job_id, _present(context, principal.tenant, job_id, kept.value))
    return Tagged(told, tag_of(kept.version, told))


def _present(context: ApiContext, tenant: str, job_id: str, kept: JobRecord) -> JobRecord:
    """The record that the runner of this process works on, else what is kept."""
    from ..job_runner import running

    return running(context, tenant, job_id) or kept


async def outcomes(
    context: ApiContext,
    principal: Principal,
    job_id: str,
    *,
    ok: bool | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.JobOutcomePage:
    """What became of each station, in the job's order. Raises Problem 404."""
    await job(context, principal, job_id)
    asked = question(f"outcomes {job_id}", "order", {"ok": ok})
    page = await context.store.documents(
        principal.tenant,
        OUTCOME_KIND,
        low=f"{job_id}/",
        high=f"{job_id}0",
        cursor=stored_cursor(cursor, asked),
        limit=limit,
    )
    found = [documents.unpack(one, OutcomeRecord).value for one in page.items]
    return types.JobOutcomePage(
        items=[_outcome(one) for one in found if ok is None or one.ok is ok], next=next_of(page.next, asked)
    )


def _outcome(one: OutcomeRecord) -> types.JobOutcome:
    return types.JobOutcome(
        station_id=one.station,
        ok=one.ok,
        outcome=one.outcome,
        text=one.text,
        problem=one.problem,
        command_id=one.command_id or None,
        answer=one.answer,
        ended_at=to_rfc3339(one.at),
    )


# -- ending -----------------------------------------------------------------------------------------------------------
async def cancel(context: ApiContext, principal: Principal, job_id: str) -> Tagged[types.Job]:
    """Begin no further station; what is under way is waited for. Of one that has ended nothing changes.

    Raises Problem 404.
    """
    from ..job_runner import cancelled

    principal.need("jobs:write")
    while True:
        kept = await JOBS.get(context, principal.tenant, job_id)
        if not _visible(principal, kept.value):
            raise not_found("job", job_id)
        record = kept.value
        if record.status in (*ENDED, "cancelling"):
            return await job(context, principal, job_id)
        record.status = "cancelling"
        put = documents.put(JOBS.kind, job_id, record, sort=sort_time(record.created_at), expected=kept.version)
        try:
            await context.store.write_documents(principal.tenant, [put])
        except Conflict:
            continue  # the runner wrote its progress meanwhile
        break
    cancelled(context, principal.tenant, job_id)
    context.bus.publish(f"jobs.{principal.tenant}.{job_id}", JobNews(tenant=principal.tenant, job=job_id))
    await audit.record(context, principal, "jobs.cancel", f"job {job_id}")
    return await job(context, principal, job_id)


async def remove(context: ApiContext, principal: Principal, job_id: str, *, if_match: str | None = None) -> None:
    """Forget a job that has ended. Raises Problem 404, 409, 412."""
    principal.need("jobs:write")
    kept = await JOBS.get(context, principal.tenant, job_id)
    if not _visible(principal, kept.value):
        raise not_found("job", job_id)
    check(if_match, tag_of(kept.version))
    if kept.value.status not in ENDED:
        raise problem("in-use", _("The job has not ended: cancel it first."))
    changes: list[documents.Change] = [Delete(JOBS.kind, job_id, kept.version), Delete(STATIONS_KIND, job_id)]
    changes += [Delete(OUTCOME_KIND, outcome_id(job_id, number)) for number in range(kept.value.total)]
    try:
        await context.store.write_documents(principal.tenant, changes)
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    await audit.record(context, principal, "jobs.delete", f"job {job_id}")
