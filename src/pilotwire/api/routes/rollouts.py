"""Roll-outs over HTTP."""

from __future__ import annotations

from typing import Annotated

from litestar import Response, delete, get, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import rollouts
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, whoever

RolloutPath = Annotated[str, PathParameter(description="Id of the roll-out")]
_TAGS = ["Firmware"]


@get("/rollouts", operation_id="listRollouts", tags=_TAGS, summary="List roll-outs")
async def list_rollouts(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    only: Annotated[
        types.RolloutKind | None, QueryParameter(name="kind", description="Only those of this kind")
    ] = None,
) -> types.RolloutPage:
    """Roll-outs, newest first. A page may hold fewer than `limit` and still have a next one."""
    return await rollouts.rollouts(context_of(request), whoever(request), kind=only, cursor=cursor, limit=limit)


@post(
    "/rollouts",
    operation_id="createRollout",
    tags=_TAGS,
    summary="Bring firmware or new certificates to many stations",
    body=types.NewRollout,
)
async def create_rollout(request: PlainRequest) -> Response[types.Rollout]:
    """Order a roll-out: a few stations first, then more, then all. After each stage its stations are watched; it stops
    itself as soon as more goes wrong than the policy allows. It begins at once and goes on after a restart."""
    data = await body_of(request, types.NewRollout)
    return tagged(*await rollouts.create(context_of(request), whoever(request), data), status_code=201)


@get("/rollouts/{rollout_id:str}", operation_id="getRollout", tags=_TAGS, summary="One roll-out with its progress")
async def get_rollout(request: PlainRequest, rollout_id: RolloutPath) -> Response[types.Rollout]:
    """How far it is, stage by stage, and why it stands still."""
    return tagged(*await rollouts.rollout(context_of(request), whoever(request), segment(rollout_id)))


@get(
    "/rollouts/{rollout_id:str}/stations",
    operation_id="listRolloutStations",
    tags=_TAGS,
    summary="What became of each station",
)
async def list_stations(
    request: PlainRequest,
    rollout_id: RolloutPath,
    cursor: Cursor = None,
    limit: Limit = 50,
    only: Annotated[
        types.MemberState | None, QueryParameter(name="state", description="Only those in this state")
    ] = None,
) -> types.RolloutStationPage:
    """Its stations in their order. A page may hold fewer than `limit` and still have a next one."""
    return await rollouts.stations(
        context_of(request), whoever(request), segment(rollout_id), state=only, cursor=cursor, limit=limit
    )


@post(
    "/rollouts/{rollout_id:str}/pause",
    operation_id="pauseRollout",
    tags=_TAGS,
    summary="Pause a roll-out",
    status_code=200,
)
async def pause_rollout(request: PlainRequest, rollout_id: RolloutPath) -> Response[types.Rollout]:
    """Nobody else is begun until it is resumed; what is under way goes on."""
    return tagged(
        *await rollouts.steer(context_of(request), whoever(request), segment(rollout_id), "pause"), status_code=200
    )


@post(
    "/rollouts/{rollout_id:str}/resume",
    operation_id="resumeRollout",
    tags=_TAGS,
    summary="Resume a roll-out",
    status_code=200,
    body=types.Reason,
)
async def resume_rollout(request: PlainRequest, rollout_id: RolloutPath) -> Response[types.Rollout]:
    """Go on where it stands. What has gone wrong until now is forgiven when it had stopped; new trouble counts."""
    data = await body_of(request, types.Reason)
    return tagged(
        *await rollouts.steer(context_of(request), whoever(request), segment(rollout_id), "go", reason=data.reason),
        status_code=200,
    )


@post(
    "/rollouts/{rollout_id:str}/cancel",
    operation_id="cancelRollout",
    tags=_TAGS,
    summary="End a roll-out",
    status_code=200,
)
async def cancel_rollout(request: PlainRequest, rollout_id: RolloutPath) -> Response[types.Rollout]:
    """Nobody else is begun; what is under way at a station goes on there. It could still be resumed."""
    return tagged(
        *await rollouts.steer(context_of(request), whoever(request), segment(rollout_id), "stop"), status_code=200
    )


@delete("/rollouts/{rollout_id:str}", operation_id="deleteRollout", tags=_TAGS, summary="Forget a roll-out")
async def delete_rollout(request: PlainRequest, rollout_id: RolloutPath, if_match: IfMatch = None) -> None:
    """Only one that stands still (paused, stopped, done) can be forgotten."""
    await rollouts.remove(context_of(request), whoever(request), segment(rollout_id), if_match=if_match)


HANDLERS = [
    list_rollouts, create_rollout, get_rollout, list_stations, pause_rollout, resume_rollout, cancel_rollout,
    delete_rollout,
]  # fmt: skip
