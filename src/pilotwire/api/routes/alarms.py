"""Alarms over HTTP."""

from __future__ import annotations

from typing import Annotated, Literal

from litestar import Response, delete, get, patch, post
from litestar.params import PathParameter, QueryParameter

from .. import types
from ..edit import IfMatch, tagged
from ..resources import alarms
from .common import Cursor, Limit, PlainRequest, body_of, context_of, segment, text_or_400, whoever

AlarmPath = Annotated[str, PathParameter(description="Id of the alarm")]
RulePath = Annotated[str, PathParameter(description="Id of the rule")]
MutePath = Annotated[str, PathParameter(description="Id of the mute")]


@get("/alarms", operation_id="listAlarms", tags=["Alarms"], summary="List alarms")
async def list_alarms(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    in_state: Annotated[
        Literal["open", "cleared"] | None, QueryParameter(name="state", description="Only such")
    ] = None,
    severity: Annotated[
        Literal["critical", "major", "minor", "warning"] | None, QueryParameter(description="Only of this severity")
    ] = None,
    site: Annotated[str | None, QueryParameter(max_length=64, description="At this site")] = None,
    station: Annotated[str | None, QueryParameter(max_length=64, description="Of this station")] = None,
    rule: Annotated[str | None, QueryParameter(max_length=64, description="Of this rule")] = None,
    acknowledged: Annotated[bool | None, QueryParameter(description="Whether somebody has seen it")] = None,
) -> types.AlarmPage:
    """Open alarms first, then those that are over, each newest first.

    A page may hold fewer items than `limit` and still have a next one.
    """
    return await alarms.alarms(
        context_of(request),
        whoever(request),
        state=in_state,
        severity=severity,
        site=text_or_400("site", site),
        station=text_or_400("station", station),
        rule=text_or_400("rule", rule),
        acknowledged=acknowledged,
        cursor=cursor,
        limit=limit,
    )


@get("/alarms/counts", operation_id="countAlarms", tags=["Alarms"], summary="How many alarms are open")
async def count_alarms(request: PlainRequest) -> types.AlarmCounts:
    """Of those that you may see, by severity."""
    return await alarms.counts(context_of(request), whoever(request))


@get("/alarms/{alarm_id:str}", operation_id="getAlarm", tags=["Alarms"], summary="One alarm")
async def get_alarm(request: PlainRequest, alarm_id: AlarmPath) -> Response[types.Alarm]:
    """An alarm, open or over."""
    return tagged(*await alarms.alarm(context_of(request), whoever(request), segment(alarm_id)))


@post(
    "/alarms/{alarm_id:str}/acknowledge",
    operation_id="acknowledgeAlarm",
    tags=["Alarms"],
    summary="Acknowledge an alarm",
    status_code=200,
    body=types.Acknowledgement,
)
async def acknowledge(request: PlainRequest, alarm_id: AlarmPath, if_match: IfMatch = None) -> Response[types.Alarm]:
    """Say that you have seen it. Who was first is kept; a later note replaces the one before."""
    data = await body_of(request, types.Acknowledgement)
    return tagged(
        *await alarms.acknowledge(
            context_of(request), whoever(request), segment(alarm_id), data.note, if_match=if_match
        )
    )


@get("/alarm-rules", operation_id="listAlarmRules", tags=["Alarms"], summary="List alarm rules")
async def list_rules(request: PlainRequest) -> types.AlarmRulePage:
    """Built-in rules and those that were added, by id."""
    return types.AlarmRulePage(items=await alarms.rules(context_of(request), whoever(request)))


@get(
    "/alarm-rules/vocabulary",
    operation_id="getAlarmVocabulary",
    tags=["Alarms"],
    summary="What rules can be made of",
)
async def get_vocabulary(request: PlainRequest) -> types.AlarmVocabulary:
    """Facts with their fields, and measured values."""
    return alarms.vocabulary(context_of(request), whoever(request))


@get("/alarm-rules/{rule_id:str}", operation_id="getAlarmRule", tags=["Alarms"], summary="One alarm rule")
async def get_rule(request: PlainRequest, rule_id: RulePath) -> Response[types.AlarmRule]:
    """A rule and how many of its alarms are open."""
    return tagged(*await alarms.rule(context_of(request), whoever(request), segment(rule_id)))


@post("/alarm-rules", operation_id="createAlarmRule", tags=["Alarms"], summary="Add a rule", body=types.NewAlarmRule)
async def create_rule(request: PlainRequest) -> Response[types.AlarmRule]:
    """Raise alarms for what happens from now on."""
    data = await body_of(request, types.NewAlarmRule)
    return tagged(*await alarms.create_rule(context_of(request), whoever(request), data), status_code=201)


@patch(
    "/alarm-rules/{rule_id:str}",
    operation_id="changeAlarmRule",
    tags=["Alarms"],
    summary="Change a rule",
    body=types.AlarmRuleChange,
)
async def change_rule(request: PlainRequest, rule_id: RulePath, if_match: IfMatch = None) -> Response[types.AlarmRule]:
    """Change what is given. Alarms that the rule would not raise any more are cleared."""
    data = await body_of(request, types.AlarmRuleChange)
    return tagged(
        *await alarms.change_rule(context_of(request), whoever(request), segment(rule_id), data, if_match=if_match)
    )


@delete("/alarm-rules/{rule_id:str}", operation_id="deleteAlarmRule", tags=["Alarms"], summary="Delete a rule")
async def delete_rule(request: PlainRequest, rule_id: RulePath, if_match: IfMatch = None) -> None:
    """Of a built-in rule: forget what was changed of it."""
    await alarms.delete_rule(context_of(request), whoever(request), segment(rule_id), if_match=if_match)


@get("/alarm-mutes", operation_id="listAlarmMutes", tags=["Alarms"], summary="List mutes")
async def list_mutes(request: PlainRequest) -> types.AlarmMutePage:
    """What nobody is notified of now, newest first."""
    return types.AlarmMutePage(items=await alarms.mutes(context_of(request), whoever(request)))


@post("/alarm-mutes", operation_id="muteAlarms", tags=["Alarms"], summary="Mute alarms", body=types.NewAlarmMute)
async def mute(request: PlainRequest) -> types.AlarmMute:
    """Notify nobody of an alarm, or of those of a rule, station or site. They are raised and shown all the same."""
    data = await body_of(request, types.NewAlarmMute)
    return await alarms.mute(context_of(request), whoever(request), data)


@delete("/alarm-mutes/{mute_id:str}", operation_id="unmuteAlarms", tags=["Alarms"], summary="End a mute")
async def unmute(request: PlainRequest, mute_id: MutePath) -> None:
    """Notify of these alarms again."""
    await alarms.unmute(context_of(request), whoever(request), segment(mute_id))


HANDLERS = [
    list_alarms,
    count_alarms,
    get_alarm,
    acknowledge,
    list_rules,
    get_vocabulary,
    get_rule,
    create_rule,
    change_rule,
    delete_rule,
    list_mutes,
    mute,
    unmute,
]
