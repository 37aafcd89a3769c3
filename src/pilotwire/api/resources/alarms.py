"""Alarms, the rules that raise them, and who does not want to hear of them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, cast

import msgspec

from pilotwire.core.time import from_datetime, to_rfc3339
from pilotwire.domain.alarms_builtin import BUILT_IN
from pilotwire.domain.alarms_rules import FACTS, GAUGES, Rule, check_rule
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.documents import Change, Conflict, Delete, Kept, put, unpack

from .. import audit, listing, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..happenings import tell
from ..happenings.books import every_of, is_muted, rules_of
from ..happenings.desk import publish_news
from ..happenings.records import (
    ALARM,
    MUTE,
    RULE,
    AlarmRecord,
    MuteRecord,
    alarm_sort,
)
from ..happenings.worker import Happenings
from ..language import _
from ..problems import Problem, faulty, not_found, problem
from ..scope import sees_site, visible_stations
from .keeping import Collection, Tagged
from .webhooks import queue_event

ALARMS = Collection(ALARM, AlarmRecord, "alarm")
MUTES = Collection(MUTE, MuteRecord, "mute")
_BUILT_IN = {rule.id: rule for rule in BUILT_IN}
_SCANNED_AT_MOST = 5_000
_COUNTED_AT_MOST = 20_000
_TRIES = 5


# -- alarms -----------------------------------------------------------------------------------------------------------
async def alarms(
    context: ApiContext,
    principal: Principal,
    *,
    state: str | None = None,
    severity: str | None = None,
    site: str | None = None,
    station: str | None = None,
    rule: str | None = None,
    acknowledged: bool | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.AlarmPage:
    """Open alarms, newest first, then those that are over. `state`: open or cleared.

    A page may hold fewer than `limit` items and still have a next one, where a filter leaves out many.
    """
    principal.need("alarms:read")
    filters = {
        "state": state,
        "severity": severity,
        "site": site,
        "station": station,
        "rule": rule,
        "acknowledged": None if acknowledged is None else str(acknowledged),
    }
    asked = listing.question("alarms", "-raised_at", filters)
    place = listing.stored_cursor(cursor, asked)
    low, high = {"open": ("o", "p"), "cleared": ("c", "d")}.get(state or "", ("", None))
    mutes = await every_of(context.store, principal.tenant, MUTE, MuteRecord)
    now = context.scheduler.now()
    found: list[types.Alarm] = []
    scanned = 0
    while True:
        page = await context.store.documents(
            principal.tenant, ALARM, low=low, high=high, cursor=place, limit=200, newest_first=True
        )
        for document in page.items:
            place = encode_cursor(document.sort, document.id)
            scanned += 1
            record = unpack(document, AlarmRecord).value
            if _sees(principal, record) and _fits(record, severity, site, station, rule, acknowledged):
                found.append(_shown(record, mutes, now))
            if len(found) == limit or scanned == _SCANNED_AT_MOST:
                last = page.next is None and document is page.items[-1]
                return types.AlarmPage(items=found, next=None if last else listing.next_of(place, asked))
        if page.next is None:
            return types.AlarmPage(items=found, next=None)


def _fits(
    record: AlarmRecord,
    severity: str | None,
    site: str | None,
    station: str | None,
    rule: str | None,
    acknowledged: bool | None,
) -> bool:
    return (
        (severity is None or record.severity == severity)
        and (site is None or record.site == site)
        and (station is None or record.station == station)
        and (rule is None or record.rule == rule)
        and (acknowledged is None or (record.acknowledged_at is not None) is acknowledged)
    )


def _sees(principal: Principal, record: AlarmRecord) -> bool:
    return sees_site(principal, record.site) and principal.tokens is None


def _shown(record: AlarmRecord, mutes: dict[str, MuteRecord], now: int) -> types.Alarm:
    muted = is_muted(mutes.values(), record.id, record.rule, record.station, record.site, now)
    return tell.shown_alarm(record, muted=muted)


async def _own(context: ApiContext, principal: Principal, alarm_id: str) -> Kept[AlarmRecord]:
    kept = await ALARMS.get(context, principal.tenant, alarm_id)
    if not _sees(principal, kept.value):
        raise not_found("alarm", alarm_id)
    return kept


async def alarm(context: ApiContext, principal: Principal, alarm_id: str) -> Tagged[types.Alarm]:
    """One alarm. Raises Problem 404, 403."""
    principal.need("alarms:read")
    kept = await _own(context, principal, alarm_id)
    mutes = await every_of(context.store, principal.tenant, MUTE, MuteRecord)
    return Tagged(_shown(kept.value, mutes, context.scheduler.now()), tag_of(kept.version))


async def acknowledge(
    context: ApiContext, principal: Principal, alarm_id: str, note: str = "", *, if_match: str | None = None
) -> Tagged[types.Alarm]:
    """Somebody has seen it; an alarm that is acknowledged already keeps who was first, and takes a new note.

    Raises Problem 404, 403, 412.
    """
    principal.need("alarms:write")
    mutes = await every_of(context.store, principal.tenant, MUTE, MuteRecord)
    for attempt in range(_TRIES):
        kept = await _own(context, principal, alarm_id)
        check(if_match, tag_of(kept.version))
        record, now = kept.value, context.scheduler.now()
        first = record.acknowledged_at is None
        if first:
            record.acknowledged_at, record.acknowledged_by = now, principal.name
        if note or not first:
            record.note = note
        shown = _shown(record, mutes, now)
        changes: list[Change] = [put(ALARM, alarm_id, record, sort=alarm_sort(record), expected=kept.version)]
        wake = None
        if first:
            name = f"alarm-acknowledged-{alarm_id}"
            data = msgspec.to_builtins(shown)
            more, wake = await queue_event(
                context, principal.tenant, name, "alarm-acknowledged", now, data, record.site
            )
            changes += more
        try:
            versions = await context.store.write_documents(principal.tenant, changes)
        except Conflict as conflict:  # it was seen again, or cleared, in this very moment
            if attempt == _TRIES - 1 or if_match is not None:
                raise of_conflict(conflict) from None
            continue
        if wake is not None:
            wake()
        publish_news(context, principal.tenant, "acknowledged", record, now)
        await audit.record(context, principal, "alarms.acknowledge", f"alarm {alarm_id}", detail={"note": note})
        return Tagged(shown, tag_of(versions[0]))
    raise AssertionError("the loop returns or raises")


async def counts(context: ApiContext, principal: Principal) -> types.AlarmCounts:
    """How many are open, of those that are seen. Of more than 20,000 the rest is left out."""
    principal.need("alarms:read")
    kept: dict[Any, tuple[int, int, types.AlarmCounts]] = context.parts.setdefault(types.AlarmCounts, {})
    key = (principal.tenant, principal.sites, principal.tokens)
    changes, now = context.store.document_changes(principal.tenant, ALARM), context.scheduler.now()
    known = kept.get(key)
    # Every page shows this. What another process did to a shared database is seen two seconds later.
    if known is not None and known[0] == changes and not (context.store.shared and now - known[1] > 2_000):
        return known[2]
    made = types.AlarmCounts(open=0, unacknowledged=0, critical=0, major=0, minor=0, warning=0)
    cursor: str | None = None
    for _page in range(_COUNTED_AT_MOST // 5_000):
        page = await context.store.documents(principal.tenant, ALARM, low="o", high="p", cursor=cursor, limit=5_000)
        for document in page.items:
            record = unpack(document, AlarmRecord).value
            if not _sees(principal, record):
                continue
            made.open += 1
            made.unacknowledged += record.acknowledged_at is None
            setattr(made, record.severity, getattr(made, record.severity) + 1)
        cursor = page.next
        if cursor is None:
            break
    if len(kept) >= 1_000:
        kept.clear()
    kept[key] = (changes, now, made)
    return made


# -- rules ------------------------------------------------------------------------------------------------------------
def _whole(principal: Principal) -> None:
    """Raise Problem 403 for somebody who sees some sites alone: rules are for the whole tenant."""
    if principal.sites is not None:
        raise problem("not-allowed", _("This concerns every site, and you see some of them."))


def _rule(rule: Rule, version: int, open_alarms: dict[str, int]) -> types.AlarmRule:
    fields = msgspec.to_builtins(rule)
    condition: Any = msgspec.convert(fields["condition"], types.AlarmCondition)
    return types.AlarmRule(
        id=rule.id,
        name=rule.name,
        description=rule.description,
        severity=rule.severity,
        enabled=rule.enabled,
        built_in=rule.id in _BUILT_IN,
        changed=rule.id in _BUILT_IN and version > 0,
        condition=condition,
        sites=list(rule.sites),
        stations=list(rule.stations),
        hold_s=rule.hold_s,
        open=open_alarms.get(rule.id, 0),
    )


async def _open_by_rule(context: ApiContext, tenant: str) -> dict[str, int]:
    happenings: Happenings | None = context.parts.get(Happenings)
    return happenings.open_alarms(tenant) if happenings is not None else {}


async def rules(context: ApiContext, principal: Principal) -> list[types.AlarmRule]:
    """Every rule by id, ours and those that were added."""
    principal.need("alarms:read")
    kept = await every_of(context.store, principal.tenant, RULE, Rule)
    counted = await _open_by_rule(context, principal.tenant)
    return [_rule(rule, int(name in kept), counted) for name, rule in sorted(rules_of(kept).items())]


async def _kept_rule(context: ApiContext, tenant: str, rule_id: str) -> Kept[Rule]:
    found = await context.store.document(tenant, RULE, rule_id) if rule_id.isprintable() and rule_id else None
    if found is not None:
        return unpack(found, Rule)
    if rule_id not in _BUILT_IN:
        raise not_found("rule", rule_id)
    return Kept(0, _BUILT_IN[rule_id])


async def rule(context: ApiContext, principal: Principal, rule_id: str) -> Tagged[types.AlarmRule]:
    """One rule. Raises Problem 404, 403."""
    principal.need("alarms:read")
    kept = await _kept_rule(context, principal.tenant, rule_id)
    counted = await _open_by_rule(context, principal.tenant)
    return Tagged(_rule(kept.value, kept.version, counted), tag_of(kept.version))


def _made(fields: dict[str, Any]) -> Rule:
    """Raises Problem 422 for what cannot be worked with."""
    made = msgspec.convert(fields, Rule)
    errors = [{"field": field, "message": why} for field, why in check_rule(made)]
    if errors:
        raise faulty("bad-body", errors)
    return made


async def _write_rule(context: ApiContext, tenant: str, change: Change) -> int:
    try:
        version = (await context.store.write_documents(tenant, [change]))[0]
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    changed(context, tenant)
    return version


async def create_rule(context: ApiContext, principal: Principal, data: types.NewAlarmRule) -> Tagged[types.AlarmRule]:
    """Add a rule; it looks at what happens from now on. Raises Problem 409, 422, 403."""
    principal.need("alarms:write")
    _whole(principal)
    made = _made(msgspec.to_builtins(data))
    if made.id in _BUILT_IN:
        raise problem("exists", _("{id} is a built-in rule.", id=made.id))
    try:
        version = await _write_rule(context, principal.tenant, put(RULE, made.id, made, sort=made.id, expected=0))
    except Problem as error:
        if error.status == 412:
            raise problem("exists", _("There is a rule {id} already.", id=made.id)) from None
        raise
    await audit.record(context, principal, "alarm-rules.create", f"rule {made.id}", detail={"name": made.name})
    return Tagged(_rule(made, version, {}), tag_of(version))


async def change_rule(
    context: ApiContext,
    principal: Principal,
    rule_id: str,
    data: types.AlarmRuleChange,
    *,
    if_match: str | None = None,
) -> Tagged[types.AlarmRule]:
    """Change what is given. Alarms whose rule is switched off or asks for something else now are cleared.

    Raises Problem 404, 412, 422, 403.
    """
    principal.need("alarms:write")
    _whole(principal)
    kept = await _kept_rule(context, principal.tenant, rule_id)
    check(if_match, tag_of(kept.version))
    given: dict[str, Any] = msgspec.to_builtins(data)
    made = _made({**msgspec.to_builtins(kept.value), **given})
    change = put(RULE, rule_id, made, sort=rule_id, expected=kept.version)
    version = await _write_rule(context, principal.tenant, change)
    await audit.record(context, principal, "alarm-rules.change", f"rule {rule_id}", detail={"fields": sorted(given)})
    counted = await _open_by_rule(context, principal.tenant)
    return Tagged(_rule(made, version, counted), tag_of(version))


async def delete_rule(context: ApiContext, principal: Principal, rule_id: str, *, if_match: str | None = None) -> None:
    """Delete a rule that was added; of a built-in one forget what was changed. Raises Problem 404, 412, 403."""
    principal.need("alarms:write")
    _whole(principal)
    kept = await _kept_rule(context, principal.tenant, rule_id)
    check(if_match, tag_of(kept.version))
    if kept.version:
        await _write_rule(context, principal.tenant, Delete(RULE, rule_id, kept.version))
        await audit.record(context, principal, "alarm-rules.delete", f"rule {rule_id}")


def vocabulary(context: ApiContext, principal: Principal) -> types.AlarmVocabulary:
    """What rules can be made of, for forms."""
    principal.need("alarms:read")
    return types.AlarmVocabulary(
        facts=[types.AlarmFact(name=name, fields=_fields(kind)) for name, kind in FACTS.items()],
        gauges=[types.AlarmGauge(name=name, description=text) for name, text in GAUGES.items()],
    )


def _fields(kind: type) -> dict[str, str]:
    words = {"str": "text", "int": "number", "bool": "boolean"}
    made: dict[str, str] = {}
    for field in msgspec.structs.fields(kind):
        text = getattr(field.type, "__name__", None) or str(field.type).replace(" | None", "")
        made[field.name] = words.get(text, "other")
    return made


# -- mutes ------------------------------------------------------------------------------------------------------------
def _mute(mute_id: str, record: MuteRecord) -> types.AlarmMute:
    return types.AlarmMute(
        id=mute_id,
        target=record.target,
        value=record.value,
        until=tell.time_or_none(record.until),
        note=record.note,
        by=record.by,
        created_at=to_rfc3339(record.created_at),
    )


async def mutes(context: ApiContext, principal: Principal) -> list[types.AlarmMute]:
    """Every mute that is not over, newest first."""
    principal.need("alarms:read")
    now = context.scheduler.now()
    found: list[types.AlarmMute] = []
    async for mute_id, kept in MUTES.every(context, principal.tenant, newest_first=True):
        record = kept.value
        if (record.until is None or record.until > now) and await _sees_mute(context, principal, record):
            found.append(_mute(mute_id, record))
    return found


async def _sees_mute(context: ApiContext, principal: Principal, record: MuteRecord) -> bool:
    if principal.sites is None:
        return True
    match record.target:
        case "site":
            return record.value in principal.sites
        case "station":
            return record.value in (await visible_stations(context, principal) or ())
        case "alarm":
            found = await ALARMS.find(context, principal.tenant, record.value)
            return found is not None and _sees(principal, found.value)
    return False


async def mute(context: ApiContext, principal: Principal, data: types.NewAlarmMute) -> types.AlarmMute:
    """Notify nobody of these alarms. Raises Problem 404 for what there is not (or is not shown), 422, 403."""
    principal.need("alarms:write")
    now = context.scheduler.now()
    until = _until(data.until)
    if until is not None and until <= now:
        raise problem("bad-body", errors=[{"field": "until", "message": _("has passed already")}])
    record = MuteRecord(
        target=data.target, value=data.value, until=until, note=data.note, by=principal.name, created_at=now
    )
    await _check_target(context, principal, record)
    mute_id = context.ids.new()
    over = [
        Delete(MUTE, name)
        for name, one in (await every_of(context.store, principal.tenant, MUTE, MuteRecord)).items()
        if (one.until is not None and one.until <= now) or (one.target, one.value) == (record.target, record.value)
    ]
    new = put(MUTE, mute_id, record, sort=f"{now:013d}", expected=0)
    await context.store.write_documents(principal.tenant, [*over, new])
    changed(context, principal.tenant)
    await audit.record(
        context, principal, "alarms.mute", f"{data.target} {data.value}", detail={"until": until, "note": data.note}
    )
    return _mute(mute_id, record)


def _until(value: datetime | None) -> int | None:
    if value is None:
        return None
    try:
        return from_datetime(value)
    except OverflowError:
        raise problem("bad-body", errors=[{"field": "until", "message": _("out of range")}]) from None


async def _check_target(context: ApiContext, principal: Principal, record: MuteRecord) -> None:
    if not await _sees_mute(context, principal, record):
        raise not_found(record.target, record.value)
    store, tenant = context.store, principal.tenant
    match record.target:
        case "alarm":
            await _own(context, principal, record.value)
        case "rule":
            await _kept_rule(context, tenant, record.value)
        case "site":
            if await store.document(tenant, "site", record.value) is None:
                raise not_found("site", record.value)
        case "station":
            from ..queries import Queries

            await Queries(context, principal).station(record.value)


async def unmute(context: ApiContext, principal: Principal, mute_id: str) -> None:
    """End a mute. Raises Problem 404, 403."""
    principal.need("alarms:write")
    kept = await MUTES.get(context, principal.tenant, mute_id)
    if not await _sees_mute(context, principal, kept.value):
        raise not_found("mute", mute_id)
    await MUTES.delete(context, principal.tenant, mute_id, expected=kept.version)
    changed(context, principal.tenant)
    await audit.record(context, principal, "alarms.unmute", f"{kept.value.target} {kept.value.value}")


def changed(context: ApiContext, tenant: str) -> None:
    """Tell the worker of this process; those of others look every ten seconds."""
    happenings: Happenings | None = context.parts.get(Happenings)
    if happenings is not None:
        happenings.changed(tenant)


def worst(items: Iterable[types.Alarm]) -> str | None:
    """The worst severity among alarms, for a badge."""
    order = ("critical", "major", "minor", "warning")
    found = {one.severity for one in items}
    return next((cast("str", one) for one in order if one in found), None)
