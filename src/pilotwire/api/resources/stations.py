"""Accounts of stations: who may connect as which station, and where it stands."""

from __future__ import annotations

from urllib.parse import quote

import msgspec

from pilotwire.core.ids import DEFAULT_TENANT, StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.crypto.passwords import new_station_password
from pilotwire.domain.records import StationAccount

from .. import audit, types
from ..access import Principal
from ..commands import settings_changed
from ..context import ApiContext
from ..edit import check, tag_of
from ..language import _
from ..live import touch
from ..problems import not_found, problem
from ..queries import Queries
from .keeping import Tagged
from .sites import check_site

_NEEDS_PASSWORD = (1, 2)
_PLAIN = ("security_profile", "organization", "serial", "enabled", "boot", "note", "site")


def account_tag(account: StationAccount | None, shown: object = None) -> str:
    """The ETag of a station: of its account, which is what can be edited; then of what else it shows."""
    return tag_of(account if account is not None else "no account", shown)


async def station(context: ApiContext, principal: Principal, station_id: str) -> Tagged[types.Station]:
    """One station in scope. Raises Problem 404."""
    principal.need("stations:read")
    found = await Queries(context, principal).station(station_id)
    account = await context.store.account(StationKey(principal.tenant, station_id))
    return Tagged(found, account_tag(account, found))


async def create(context: ApiContext, principal: Principal, data: types.NewStation) -> types.StationCreated:
    """Make an account; its password is in the answer and nowhere else. Raises Problem 409, 422."""
    principal.need("stations:write")
    key = StationKey(principal.tenant, data.id)
    if not data.id.isprintable():
        raise problem("bad-body", errors=[{"field": "id", "message": _("holds characters that cannot be printed")}])
    if await context.store.account(key) is not None:
        raise problem("exists", _("{id} has an account.", id=data.id))
    _in_scope(principal, data.site)
    await check_site(context, principal.tenant, data.site)
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
        site=data.site,
        created_at=context.scheduler.now(),
    )
    await context.store.put_account(account)
    await changed(context, key)
    detail: dict[str, object] = {"security_profile": data.security_profile, "site": data.site}
    await audit.record(context, principal, "stations.create", f"station {data.id}", detail=detail)
    return types.StationCreated(
        id=data.id,
        url=station_url(context, key, data.security_profile),
        user=data.id,
        password=password,
        security_profile=data.security_profile,
        created_at=to_rfc3339(account.created_at),
    )


async def change(
    context: ApiContext,
    principal: Principal,
    station_id: str,
    data: types.StationChange,
    *,
    if_match: str | None = None,
) -> Tagged[types.Station]:
    """Change what is given. A station that came in the lab, or told something, but has no account: Problem 404."""
    principal.need("stations:write")
    key = StationKey(principal.tenant, (await Queries(context, principal).station(station_id)).id)
    account = await context.store.account(key)
    if account is None:
        raise not_found("account of a station", key.station)
    check(if_match, account_tag(account))
    if data.site is not msgspec.UNSET:
        _in_scope(principal, data.site)
        await check_site(context, principal.tenant, data.site)
    given = [name for name in _PLAIN if getattr(data, name) is not msgspec.UNSET]
    for name in given:
        setattr(account, name, getattr(data, name))
    if data.password is not msgspec.UNSET:
        account.password = context.passwords.hash_station(data.password.encode())
    await context.store.put_account(account)
    await changed(context, key)
    detail: dict[str, object] = {name: getattr(data, name) for name in given}
    if data.password is not msgspec.UNSET:
        detail["new_credential"] = True
    await audit.record(context, principal, "stations.change", f"station {key.station}", detail=detail)
    found = await Queries(context, principal).station(key.station)
    return Tagged(found, account_tag(account, found))


async def remove(context: ApiContext, principal: Principal, station_id: str, *, if_match: str | None = None) -> None:
    """Delete the account; what the station told and its sessions stay. Raises Problem 404, 412."""
    principal.need("stations:write")
    key = StationKey(principal.tenant, station_id)
    account = await context.store.account(key) if station_id and station_id.isprintable() else None
    if account is None or (principal.sites is not None and account.site not in principal.sites):
        raise not_found("account of a station", station_id)
    check(if_match, account_tag(account))
    await context.store.delete_account(key)
    await changed(context, key)
    await audit.record(context, principal, "stations.delete", f"station {station_id}", detail={"note": account.note})


async def changed(context: ApiContext, key: StationKey) -> None:
    """The gateway knows it before we answer, so that a station may connect at once; the live page looks again."""
    await settings_changed(context)
    touch(context, key.tenant, key.station)


def station_url(context: ApiContext, key: StationKey, security_profile: int) -> str:
    """Where a station connects: the listener's URL, its tenant unless that is the default one, its identity."""
    config = context.config
    base = config.ocpps_url if security_profile >= 2 and config.ocpps_url else config.ocpp_url
    tenant = "" if key.tenant == DEFAULT_TENANT else f"{quote(key.tenant, safe='')}/"
    return base + tenant + quote(key.station, safe="")


def _in_scope(principal: Principal, site: str) -> None:
    """Whoever sees some sites may put stations there alone. Raises Problem 403."""
    if principal.sites is not None and site not in principal.sites:
        raise problem("not-allowed", _("You may not put a station at {site}.", site=site or _("no site")))
