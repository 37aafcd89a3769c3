"""Jobs over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import jobs
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, whoever

JobPath = Annotated[str, PathParameter(description="Id of the job")]


@get("/jobs", operation_id="listJobs", tags=["Jobs"], summary="List jobs")
async def list_jobs(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    status: Annotated[types.JobStatus | None, QueryParameter(description="Only those of this status")] = None,
) -> types.JobPage:
    """Bulk operations, newest first. A page may hold fewer than `limit` and still have a next one."""
    return await jobs.jobs(context_of(request), whoever(request), status=status, cursor=cursor, limit=limit)


@post("/jobs", operation_id="createJob", tags=["Jobs"], summary="Do something to many stations", body=types.NewJob)
async def create_job(request: PlainRequest) -> Response[types.Job]:
    """Order a job: a command, variables, changes of accounts, for stations by id or by filter. It begins at once, goes
    on after a restart, and tells its progress under its id (poll it with If-None-Match)."""
    data = await body_of(request, types.NewJob)
    return tagged(*await jobs.create(context_of(request), whoever(request), data), status_code=201)


@get("/jobs/{job_id:str}", operation_id="getJob", tags=["Jobs"], summary="One job with its progress")
async def get_job(request: PlainRequest, job_id: JobPath) -> Response[types.Job]:
    """How far a job is."""
    return tagged(*await jobs.job(context_of(request), whoever(request), segment(job_id)))


@get("/jobs/{job_id:str}/outcomes", operation_id="listJobOutcomes", tags=["Jobs"], summary="What became of each")
async def list_outcomes(
    request: PlainRequest,
    job_id: JobPath,
    cursor: Cursor = None,
    limit: Limit = 50,
    ok: Annotated[bool | None, QueryParameter(description="Only those that went well, or did not")] = None,
) -> types.JobOutcomePage:
    """What became of each station, in the job's order; written wave by wave."""
    return await jobs.outcomes(
        context_of(request), whoever(request), segment(job_id), ok=ok, cursor=cursor, limit=limit
    )


@post("/jobs/{job_id:str}/cancel", operation_id="cancelJob", tags=["Jobs"], summary="End a job", status_code=200)
async def cancel_job(request: PlainRequest, job_id: JobPath) -> Response[types.Job]:
    """No further station is begun; what is under way is waited for. A job that has ended stays as it is."""
    return tagged(*await jobs.cancel(context_of(request), whoever(request), segment(job_id)), status_code=200)


@delete("/jobs/{job_id:str}", operation_id="deleteJob", tags=["Jobs"], summary="Forget a job")
async def delete_job(request: PlainRequest, job_id: JobPath, if_match: IfMatch = None) -> None:
    """Only a job that has ended can be forgotten."""
    await jobs.remove(context_of(request), whoever(request), segment(job_id), if_match=if_match)


HANDLERS = [list_jobs, create_job, get_job, list_outcomes, cancel_job, delete_job]
