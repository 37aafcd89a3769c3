"""Quirks of the stations: of one, of all by model, and what operators say about remedies."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, Final

import msgspec

from pilotwire.core.ids import StationKey
from pilotwire.core.time import to_rfc3339
from pilotwire.domain import quirks as domain
from pilotwire.domain.facts import QuirkSeen
from pilotwire.domain.records import QuirkRecord, Station

from .. import audit, explain, types
from ..access import Principal
from ..commands import settings_changed
from ..context import ApiContext
from ..edit import check, tag_of
from ..fleet import fleet_of
from ..language import _
from ..problems import problem
from ..queries import Queries
from ..scope import visible_stations
from .keeping import Collection, Tagged

ROWS: Final = 2_000
"""Journal entries of a station that are looked through for frames."""
MODELS: Final = 100
AT_MOST: Final = 500
"""Settings of a tenant."""
_SHOWN: Final = 2_000
_RANK: Final = {"high": 0, "medium": 1, "low": 2}


class SettingRecord(domain.Setting, kw_only=True, omit_defaults=True):
    """What is kept of a setting; the central system reads the part that it needs."""

    by: str = ""
    created_at: int = 0


SETTINGS: Final = Collection("quirk-setting", SettingRecord, "setting")


# -- one station ------------------------------------------------------------------------------------------------------
async def of_station(context: ApiContext, principal: Principal, station_id: str) -> types.StationQuirks:
    """The quirks of a station with the frames that show them. Raises Problem 403, 404."""
    principal.need("stations:read")
    await Queries(context, principal).station(station_id)
    key = StationKey(principal.tenant, station_id)
    record = await context.store.station(key) or Station(tenant=key.tenant, id=station_id)
    frames = await _frames(context, principal, key, record) if principal.may("messages:read") else {}
    items = [
        _of_station(known, kept, frames.get(known.id))
        for name, kept in record.quirks.items()
        if (known := domain.quirk(name)) is not None
    ]
    items.sort(key=lambda one: (_RANK[one.severity], one.id))
    settings = [kept.value async for _id, kept in SETTINGS.every(context, principal.tenant)]
    return types.StationQuirks(station_id=station_id, items=items, remedies=_remedies(domain.active(record, settings)))


def _of_station(known: domain.Quirk, kept: QuirkRecord, frame: tuple[str, int] | None) -> types.StationQuirk:
    return types.StationQuirk(
        id=known.id,
        title=known.title,
        severity=known.severity,
        seen=known.seen,
        effect=known.effect,
        ours=known.ours,
        operator=known.operator,
        remedy=_remedy(known.remedy),
        first_seen_at=to_rfc3339(kept.first),
        last_seen_at=to_rfc3339(kept.last),
        firmware=kept.firmware,
        frame=frame[0] if frame else None,
        frame_at=to_rfc3339(frame[1]) if frame else None,
    )


async def _frames(
    context: ApiContext, principal: Principal, key: StationKey, record: Station
) -> dict[str, tuple[str, int]]:
    """Quirk → the newest frame that shows it, and when it came."""
    wanted = set(record.quirks)
    found: dict[str, tuple[str, int]] = {}
    if not wanted:
        return found
    versions = (record.ocpp_version,) if record.ocpp_version in explain.VERSIONS else explain.VERSIONS
    rows = context.store.journal(tenant=key.tenant, station=key.station, newest_first=True, limit=ROWS)
    async for row in rows:
        for fact in row.facts:
            if isinstance(fact, QuirkSeen) and fact.quirk in wanted:
                wanted.discard(fact.quirk)
                text = _shown(row.frame, versions, tokens=principal.may("tokens:read"))
                if text:
                    found[fact.quirk] = text, row.recv_time
        if not wanted:
            break
    return found


def _shown(frame: bytes, versions: Iterable[str], *, tokens: bool) -> str:
    """A frame without what may not be seen. One that cannot be read is for those who may see tokens."""
    if not frame:
        return ""
    read = explain.read(frame, tuple(versions), tokens=tokens)
    if read.kind and read.payload is not None:
        number = next(number for number, kind in explain.KINDS.items() if kind == read.kind)
        parts: list[Any] = [number, read.message_id]
        if read.kind in ("CALL", "SEND"):
            parts.append(read.action)
        elif read.code:
            parts += [read.code, read.description]
        return msgspec.json.encode([*parts, read.payload], enc_hook=float).decode()[:_SHOWN]
    return frame.decode(errors="replace")[:_SHOWN] if tokens else ""


# -- all stations -----------------------------------------------------------------------------------------------------
async def quirks(
    context: ApiContext, principal: Principal, *, seen: bool | None = None, vendor: str = "", model: str = ""
) -> list[types.Quirk]:
    """The catalogue with the stations that have each. Raises Problem 403."""
    principal.need("stations:read")
    visible = await visible_stations(context, principal)
    counts: dict[str, Counter[tuple[str, str, str]]] = {}
    times: dict[str, tuple[int, int]] = {}
    for member in await fleet_of(context, principal.tenant).members(visible):
        record = member.record
        if record is None or not record.quirks or not _is(record, vendor, model):
            continue
        for name, kept in record.quirks.items():
            counts.setdefault(name, Counter())[record.vendor, record.model, kept.firmware] += 1
            first, last = times.get(name, (kept.first, kept.last))
            times[name] = min(first, kept.first), max(last, kept.last)
    made = [_quirk(known, counts.get(known.id, Counter()), times.get(known.id)) for known in domain.quirks().values()]
    made = [one for one in made if seen is None or seen == bool(one.stations)]
    made.sort(key=lambda one: (-one.stations, _RANK[one.severity], one.id))
    return made


def _is(record: Station, vendor: str, model: str) -> bool:
    return vendor.casefold() in ("", record.vendor.casefold()) and model.casefold() in ("", record.model.casefold())


def _quirk(known: domain.Quirk, count: Counter[tuple[str, str, str]], times: tuple[int, int] | None) -> types.Quirk:
    return types.Quirk(
        id=known.id,
        title=known.title,
        versions=list(known.versions),
        severity=known.severity,
        found_by=known.found_by,
        seen=known.seen,
        effect=known.effect,
        ours=known.ours,
        operator=known.operator,
        known=[types.QuirkSource(who=one.who, url=one.source) for one in known.known],
        remedy=_remedy(known.remedy),
        frames=list(known.frames),
        stations=count.total(),
        first_seen_at=to_rfc3339(times[0]) if times else None,
        last_seen_at=to_rfc3339(times[1]) if times else None,
        models=[
            types.QuirkModel(vendor=vendor, model=model, firmware=firmware, stations=stations)
            for (vendor, model, firmware), stations in sorted(count.items(), key=lambda item: (-item[1], item[0]))[
                :MODELS
            ]
        ],
    )


# -- remedies ---------------------------------------------------------------------------------------------------------
def _remedy(id: str) -> types.RemedyId | None:
    return msgspec.convert(id, types.RemedyId) if id else None


def _remedies(ids: Iterable[str]) -> list[types.Remedy]:
    chosen = set(ids)
    return [
        types.Remedy(id=msgspec.convert(one.id, types.RemedyId), title=one.title, what=one.what)
        for one in domain.REMEDIES.values()
        if one.id in chosen
    ]


def _setting(id: str, record: SettingRecord) -> types.QuirkSetting:
    return types.QuirkSetting(
        id=id,
        remedy=msgspec.convert(record.remedy, types.RemedyId),
        on=record.on,
        vendor=record.vendor,
        model=record.model,
        firmware=record.firmware,
        note=record.note,
        by=record.by,
        created_at=to_rfc3339(record.created_at),
    )


async def settings(context: ApiContext, principal: Principal) -> types.QuirkSettingPage:
    """What operators said, and the remedies that there are. Raises Problem 403."""
    principal.need("stations:read")
    items = [
        _setting(id, kept.value)
        async for id, kept in SETTINGS.every(context, principal.tenant)
        if kept.value.remedy in domain.REMEDIES
    ]
    return types.QuirkSettingPage(items=items, remedies=_remedies(domain.REMEDIES))


async def create(context: ApiContext, principal: Principal, data: types.NewQuirkSetting) -> Tagged[types.QuirkSetting]:
    """Say something about a remedy; it counts at once. Raises Problem 403, 409 (too many)."""
    _may_set(principal)
    if len([id async for id, _kept in SETTINGS.every(context, principal.tenant)]) >= AT_MOST:
        raise problem("in-use", _("There are {n} settings, which is as many as are kept: delete one.", n=AT_MOST))
    now = context.scheduler.now()
    record = SettingRecord(**msgspec.structs.asdict(data), by=principal.actor, created_at=now)
    id = context.ids.new()
    version = await SETTINGS.add(context, principal.tenant, id, record, sort=f"{now:013d}")
    detail = {name: value for name, value in msgspec.structs.asdict(data).items() if value != ""}
    await audit.record(context, principal, "quirk-settings.create", f"quirk setting {id}", detail=detail)
    await settings_changed(context)
    return Tagged(_setting(id, record), tag_of(version))


async def remove(context: ApiContext, principal: Principal, id: str, *, if_match: str | None = None) -> None:
    """Take it back. Raises Problem 403, 404, 412."""
    _may_set(principal)
    kept = await SETTINGS.get(context, principal.tenant, id)
    check(if_match, tag_of(kept.version))
    await SETTINGS.delete(context, principal.tenant, id, expected=kept.version)
    await audit.record(context, principal, "quirk-settings.delete", f"quirk setting {id}")
    await settings_changed(context)


def _may_set(principal: Principal) -> None:
    """A setting is for all stations of a model: for those who see all of them."""
    principal.need("stations:write")
    if principal.sites is not None:
        raise problem("not-allowed", _("A setting for a model is for those who see every station."))
