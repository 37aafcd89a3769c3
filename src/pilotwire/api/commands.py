"""Commands to stations. The answer is the station's answer, never "queued"."""

from __future__ import annotations

from pilotwire.core.errors import TransientError
from pilotwire.domain.permissions import CONFIGURES, DANGEROUS
from pilotwire.transport.bus import CommandReply, CommandRequest, NoResponder

from . import audit, types
from .access import Principal
from .context import ApiContext
from .language import _
from .problems import Problem, not_found, problem
from .queries import Queries
from .scope import sees_token

_SLACK_MS = 3_000
"""The bus waits this much longer than the station is given, so that its own verdict comes first."""

_SETTINGS_CHANGED = "settings.changed"
"""Served by every gateway that keeps accounts and tokens in memory."""
_CHANGED = "changed.settings"
"""For whoever else keeps accounts in memory (alarms, reports)."""


async def settings_changed(context: ApiContext) -> None:
    """Accounts or tokens were changed: wait until the gateway has read them anew. No gateway is no harm."""
    try:
        await context.bus.request(_SETTINGS_CHANGED, None, timeout_ms=5_000)
    except TransientError:
        context.bus.publish(_SETTINGS_CHANGED, None)
    context.bus.publish(_CHANGED, None)


async def execute(
    context: ApiContext, principal: Principal, station_id: str, command: types.NewCommand
) -> types.CommandAnswer:
    """Send it and wait for the station's answer.

    A CALLERROR is an answer too: outcome "refused". Raises Problem 403, 404 (no such station), 409 (not connected), 422
    (its OCPP version does not allow this, or a reason is needed), 504 (no answer in time; the command goes on and can
    be looked up).
    """
    principal.need("commands:send")
    queries = Queries(context, principal)
    await queries.station(station_id)
    await _allowed(queries, principal, command)
    # Before it goes out: whatever becomes of it, who asked for it and why is kept. Payloads may hold secrets.
    detail: dict[str, object] = {"expires_in_s": command.expires_in_s} if command.expires_in_s else {}
    what = f"commands.{command.action}"
    await audit.record(context, principal, what, f"station {station_id}", detail=detail, reason=command.reason.strip())
    now = context.scheduler.now()
    timeout_ms = round(command.timeout_s * 1000)
    request = CommandRequest(
        tenant=principal.tenant,
        station=station_id,
        action=command.action,
        payload=command.payload,
        by=principal.actor,
        timeout_ms=timeout_ms,
        expires_at=None if command.expires_in_s is None else now + round(command.expires_in_s * 1000),
    )
    subject = f"command.{principal.tenant}.{station_id}"
    try:
        reply = await context.bus.request(subject, request, timeout_ms=timeout_ms + _SLACK_MS)
    except NoResponder:
        raise offline(station_id) from None
    except TransientError:
        raise problem(
            "no-answer",
            _(
                "{station_id} has not answered {action} within {timeout_s} s; the newest of "
                "/api/v1/stations/{station_id}/commands says what becomes of it.",
                station_id=station_id,
                action=command.action,
                timeout_s=f"{command.timeout_s:g}",
            ),
        ) from None
    return judge(station_id, reply)


async def _allowed(queries: Queries, principal: Principal, command: types.NewCommand) -> None:
    """Raises Problem 403 or 422 for what this person may not ask for, or not without saying why."""
    action = command.action
    if action in CONFIGURES:
        principal.need("variables:write")
    if action in DANGEROUS:
        principal.need("commands:dangerous")
        if not command.reason.strip():
            raise problem(
                "reason-needed",
                _("{action} can cut the station off, take it out of service or change whom it trusts.", action=action),
                errors=[{"field": "reason", "message": _("say why {action} is needed", action=action)}],
            )
    if principal.tokens is None:
        return
    # A driver starts with a token of their own and stops what was started with one.
    if action == "start":
        if not sees_token(principal, str(command.payload.get("token", ""))):
            raise problem("not-allowed", _("You can start with your own tokens only."))
    elif action == "stop":
        session = str(command.payload.get("session", ""))
        if await queries.find_session(session) is None:
            raise not_found("session", session)
    else:
        raise problem("not-allowed", _("A driver can start and stop sessions."))


def judge(station_id: str, reply: CommandReply) -> types.CommandAnswer:
    """A reply of the bus as an answer, or the Problem that it is."""
    match reply.outcome:
        case "answered" | "refused" as outcome:
            return types.CommandAnswer(
                command_id=reply.command_id,
                station_id=station_id,
                action=reply.action,
                outcome=outcome,
                answer=reply.answer,
            )
        case "undeliverable":
            raise offline(station_id, reply.command_id)
        case "invalid":
            raise invalid(reply)
        case _:
            why = "expired before it could be sent" if reply.outcome == "expired" else "was not answered in time"
            raise problem(
                "no-answer",
                _(
                    "{action} to {station_id} {why}; see /api/v1/commands/{command_id}.",
                    action=reply.action,
                    station_id=station_id,
                    why=why,
                    command_id=reply.command_id,
                ),
                command_id=reply.command_id or None,
                answer=reply.answer or None,
            )


def offline(station_id: str, command_id: str = "") -> Problem:
    return problem(
        "station-offline", _("{station_id} is not connected.", station_id=station_id), command_id=command_id or None
    )


def invalid(reply: CommandReply) -> Problem:
    """422 with the field, as far as the gateway names one (`field`, or `details.field`)."""
    answer = reply.answer
    details = answer.get("details")
    field = answer.get("field") or (details.get("field") if isinstance(details, dict) else None) or "payload"
    text = str(answer.get("description") or answer.get("message") or "this payload is not allowed")
    return problem(
        "bad-command",
        f"{reply.action}: {text}.",
        errors=[{"field": str(field), "message": text}],
        command_id=reply.command_id or None,
    )
