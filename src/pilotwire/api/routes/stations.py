"""Stations, their accounts, variables and commands."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

import msgspec
from litestar import delete, get, patch, post
from litestar.params import QueryParameter

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.crypto.passwords import new_station_password
from pilotwire.domain.records import StationAccount

from .. import types
from ..commands import execute, settings_changed
from ..context import ApiContext
from ..live import hub_of
from ..mapping import _moment
from ..problems import not_found, problem
from .common import (
    Cursor,
    Limit,
    PlainRequest,
    StationPath,
    body_of,
    context_of,
    principal_of,
    queries_of,
    segment,
    text_or_400,
)

_NEEDS_PASSWORD = (1, 2)


async def _account(context: ApiContext, key: StationKey) -> StationAccount:
    account = await context.store.account(key)
    if account is None:
        raise not_found("account of a station", key.station)
    return account


async def _changed(context: ApiContext, key: StationKey) -> None:
    """The gateway knows it before we answer, so that a station may connect at once; the live page looks again."""
    await settings_changed(context)
    hub_of(context, key.tenant).touch(key.station)


@get("/stations", operation_id="listStations", tags=["Stations"], summary="List stations")
async def list_stations(
    request: PlainRequest,
    cursor: Cursor = None,
    limit: Limit = 50,
    connected: Annotated[bool | None, QueryParameter(description="Only those that are (not) connected")] = None,
    q: Annotated[str | None, QueryParameter(max_length=100, description="Part of id, vendor, model or note")] = None,
) -> types.StationPage:
    """Stations by id, with their connectors: those that ever connected and those that only have an account."""
    queries = queries_of(request, "stations:read")
    return await queries.stations(cursor=cursor, limit=limit, connected=connected, search=text_or_400("q", q))


@get("/stations/{station_id:str}", operation_id="getStation", tags=["Stations"], summary="One station")
async def get_station(request: PlainRequest, station_id: StationPath) -> types.Station:
    """A station with its connectors."""
    return await queries_of(request, "stations:read").station(segment(station_id))


@post(
    "/stations",
    operation_id="createStation",
    tags=["Stations"],
    summary="Let a station connect",
    body=types.NewStation,
)
async def create_station(request: PlainRequest) -> types.StationCreated:
    """Make the account of a station. Its password is in this answer and nowhere else."""
    data = await body_of(request, types.NewStation)
    principal, context = principal_of(request, "stations:write"), context_of(request)
    key = StationKey(principal.tenant, data.id)
    if not data.id.isprintable():
        raise problem("bad-body", errors=[{"field": "id", "message": "holds characters that cannot be printed"}])
    if await context.store.account(key) is not None:
        raise problem("exists", f"{data.id} has an account.")
    password = data.password or (new_station_password() if data.security_profile in _NEEDS_PASSWORD else None)
    account = StationAccount(
        tenant=key.tenant,
        id=data.id,
        security_profile=data.security_profile,
        password=context.passwords.hash_station(password.encode()) if password else "",
        organization=data.organization,
        serial=data.serial,
        boot=data.boot,
        note=data.note,
        created_at=context.scheduler.now(),
    )
    await context.store.put_account(account)
    await _changed(context, key)
    return types.StationCreated(
        id=data.id,
        url=station_url(context, key, data.security_profile),
        user=data.id,
        password=password,
        security_profile=data.security_profile,
        created_at=_moment(account.created_at),
    )


def station_url(context: ApiContext, key: StationKey, security_profile: int) -> str:
    """Where a station connects: the listener's URL, its tenant unless that is the default one, its identity."""
    config = context.config
    base = config.ocpps_url if security_profile >= 2 and config.ocpps_url else config.ocpp_url
    tenant = "" if key.tenant == DEFAULT_TENANT else f"{key.tenant}/"
    return base + tenant + quote(key.station, safe="")


@patch(
    "/stations/{station_id:str}",
    operation_id="changeStation",
    tags=["Stations"],
    summary="Change an account",
    body=types.StationChange,
)
async def change_station(request: PlainRequest, station_id: StationPath) -> types.Station:
    """Change what is given, keep the rest. A new password or `enabled: false` counts from the next connection on."""
    data = await body_of(request, types.StationChange)
    principal, context = principal_of(request, "stations:write"), context_of(request)
    key = StationKey(principal.tenant, (await queries_of(request, "stations:read").station(segment(station_id))).id)
    account = await _account(context, key)
    for name in ("security_profile", "organization", "serial", "enabled", "boot", "note"):
        value = getattr(data, name)
        if value is not msgspec.UNSET:
            setattr(account, name, value)
    if data.password is not msgspec.UNSET:
        account.password = context.passwords.hash_station(data.password.encode())
    await context.store.put_account(account)
    await _changed(context, key)
    return await queries_of(request, "stations:read").station(key.station)


@delete("/stations/{station_id:str}", operation_id="deleteStation", tags=["Stations"], summary="Delete an account")
async def delete_station(request: PlainRequest, station_id: StationPath) -> None:
    """The station may connect no longer. What it told and its sessions stay."""
    principal, context = principal_of(request, "stations:write"), context_of(request)
    key = StationKey(principal.tenant, segment(station_id))
    if not key.station.isprintable() or not await context.store.delete_account(key):
        raise not_found("account of a station", key.station)
    await _changed(context, key)


@get(
    "/stations/{station_id:str}/variables",
    operation_id="listVariables",
    tags=["Stations"],
    summary="Device model as reported",
)
async def list_variables(request: PlainRequest, station_id: StationPath) -> types.VariablePage:
    """Variables (2.x) or configuration keys (1.6, component "") as the station last reported them."""
    return types.VariablePage(items=await queries_of(request, "variables:read").variables(segment(station_id)))


@get("/stations/{station_id:str}/commands", operation_id="listCommands", tags=["Commands"], summary="List commands")
async def list_commands(request: PlainRequest, station_id: StationPath, limit: Limit = 50) -> types.CommandPage:
    """The newest commands to a station and what became of them."""
    return types.CommandPage(
        items=await queries_of(request, "commands:read").commands(segment(station_id), limit=limit)
    )


@post(
    "/stations/{station_id:str}/commands",
    operation_id="sendCommand",
    tags=["Commands"],
    summary="Send a command, get the station's answer",
    status_code=200,
    body=types.NewCommand,
)
async def send_command(request: PlainRequest, station_id: StationPath) -> types.CommandAnswer:
    """Send a command and wait: this answer is the station's own answer, never "queued".

    `outcome` is `answered` for a CALLRESULT and `refused` for a CALLERROR; both are 200, since the station did answer.
    A station that is not connected is 409, one that stays silent 504, a payload that its OCPP version does not allow
    422. With `expires_in_s` a command outlives the connection; look it up by its id.
    """
    data = await body_of(request, types.NewCommand)
    return await execute(context_of(request), principal_of(request, "commands:send"), segment(station_id), data)


@get("/commands/{command_id:str}", operation_id="getCommand", tags=["Commands"], summary="One command")
async def get_command(request: PlainRequest, command_id: StationPath) -> types.Command:
    """A command and what became of it."""
    return await queries_of(request, "commands:read").command(segment(command_id))


HANDLERS = [
    list_stations,
    get_station,
    create_station,
    change_station,
    delete_station,
    list_variables,
    list_commands,
    send_command,
    get_command,
]
