"""Roll-outs of firmware, and of new certificates: made and steered here, done by `pilotwire.api.firmware_worker`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import rollouts as pure
from pilotwire.domain.rollouts import Member, Policy
from pilotwire.domain.trust import SHOWN
from pilotwire.storage import documents
from pilotwire.storage.documents import Conflict, Delete, sort_time

from .. import audit, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..language import _
from ..listing import next_of, question, stored_cursor
from ..problems import not_found, problem
from .firmware import sendable
from .jobs import chosen_stations
from .keeping import Collection, Tagged

MEMBER_KIND = "rollout-station"
STANDS = ("paused", "stopped", "done")
Wish = Literal["", "go", "pause", "stop"]


class RolloutRecord(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What is kept of a roll-out; its stations are documents of their own."""

    kind: pure.Kind = "firmware"
    firmware: str = ""
    version: str = ""
    title: str = ""
    reason: str = ""
    policy: Policy = msgspec.field(default_factory=Policy)
    by: str
    role: str
    sites: list[str] | None = None
    status: pure.Status = "running"
    why: str = ""
    by_itself: bool = False
    wish: Wish = ""
    """What a person asked for and the worker has not done yet."""
    stage: int = 1
    filled: int = 0
    """Up to which stage stations were chosen."""
    watch_since: int = 0
    forgiven: list[int] = []
    """The tally when somebody resumed it after it had stopped itself."""
    tally: list[int] = []
    stages: list[list[int]] = []
    """Of each stage: stations, installed, failed, silent, skipped, under way, waiting."""
    total: int
    created_at: int
    ended_at: int | None = None
    seq: int = 0


ROLLOUTS = Collection("rollout", RolloutRecord, "roll-out")


def member_id(rollout: str, number: int) -> str:
    """Id and sort key of the n-th station."""
    return f"{rollout}/{number:06d}"


def count(record: RolloutRecord, members: Sequence[Member]) -> pure.Tally:
    """Count the stations into the record; the sums."""
    found = pure.tally(members)
    record.tally = list(found)
    record.stages = [
        [one.begun, one.installed, one.failed, one.silent, one.skipped, one.under_way, one.waiting]
        for number in range(1, len(record.policy.stages) + 1)
        for one in (pure.tally(member for member in members if member.stage == number),)
    ]
    return found


def shown(id: str, one: RolloutRecord) -> types.Rollout:
    """As the API shows it."""
    found = pure.Tally(*one.tally) if one.tally else pure.tally(())
    over = found.installed + found.failed + found.silent + found.skipped
    watch_until = one.watch_since + one.policy.watch_s * 1000 if one.status == "watching" else None
    return types.Rollout(
        id=id,
        kind=one.kind,
        title=one.title,
        firmware_id=one.firmware,
        version=one.version,
        status=one.status,
        why=one.why,
        by_itself=one.by_itself,
        policy=msgspec.convert(msgspec.to_builtins(_full(one.policy)), types.RolloutPolicy),
        reason=one.reason,
        stages=list(_stages(one)),
        stage=one.stage,
        watch_until=to_rfc3339(watch_until) if watch_until is not None else None,
        total=one.total,
        installed=found.installed,
        failed=found.failed,
        silent=found.silent,
        skipped=found.skipped,
        under_way=found.under_way,
        waiting=found.waiting,
        lost=found.lost,
        security_events=found.security_events,
        session_failures=found.session_failures,
        percent=round(100 * over / one.total, 1) if one.total else 100.0,
        created_by=one.by,
        created_at=to_rfc3339(one.created_at),
        ended_at=to_rfc3339(one.ended_at) if one.ended_at is not None else None,
    )


def _full(policy: Policy) -> dict[str, object]:
    return msgspec.structs.asdict(policy)


def _stages(one: RolloutRecord) -> Iterable[types.RolloutStage]:
    ends = pure.targets(one.total, one.policy.stages)
    for number, percent in enumerate(one.policy.stages, 1):
        counts = one.stages[number - 1] if number <= len(one.stages) else [0] * 7
        status: Literal["ahead", "running", "watching", "over"]
        if one.status == "done" or number < one.stage:
            status = "over"
        elif number > one.stage or number > one.filled:
            status = "ahead" if number > one.stage else "running"
        else:
            status = "watching" if one.status == "watching" else "running"
        planned = ends[number - 1] - (ends[number - 2] if number > 1 else 0)
        yield types.RolloutStage(
            number=number,
            percent=percent,
            stations=counts[0] or max(0, planned),
            status=status,
            installed=counts[1],
            failed=counts[2],
            silent=counts[3],
            skipped=counts[4],
            under_way=counts[5],
            waiting=counts[6],
        )


def _visible(principal: Principal, record: RolloutRecord) -> bool:
    """Whoever sees some sites sees what was ordered for no more than these."""
    return principal.sites is None or (record.sites is not None and set(record.sites) <= principal.sites)


# -- making -----------------------------------------------------------------------------------------------------------
async def create(context: ApiContext, principal: Principal, data: types.NewRollout) -> Tagged[types.Rollout]:
    """Order a roll-out; it begins at once. Raises Problem 403, 404, 422."""
    from ..firmware_worker import wake

    principal.need("rollouts:write")
    principal.need("commands:dangerous")
    if not data.reason.strip():
        words = {
            "firmware": _("say why the firmware is replaced"),
            "certificates": _("say why the certificates are renewed"),
        }
        raise problem("reason-needed", errors=[{"field": "reason", "message": words[data.kind]}])
    policy = msgspec.convert(msgspec.to_builtins(data.policy), Policy)
    if wrong := pure.check(policy):
        raise problem("bad-body", errors=[{"field": "policy.stages", "message": _(wrong)}])
    if bool(data.firmware_id) != (data.kind == "firmware"):
        wrong = _("an image is needed") if data.kind == "firmware" else _("certificates have no image")
        raise problem("bad-body", errors=[{"field": "firmware_id", "message": wrong}])
    version, title = "", "Certificate roll-over"
    if data.kind == "firmware":
        image = await sendable(context, principal.tenant, data.firmware_id)
        version, title = image.version, " ".join(part for part in (image.vendor, image.model, image.version) if part)
    stations = await chosen(context, principal, data)
    now = context.scheduler.now()
    id = context.ids.new()
    members = [Member(station=name, number=number) for number, name in enumerate(stations)]
    record = RolloutRecord(
        kind=data.kind,
        firmware=data.firmware_id,
        version=version,
        title=data.title or title,
        reason=data.reason.strip(),
        policy=policy,
        by=principal.actor,
        role=principal.role,
        sites=sorted(principal.sites) if principal.sites is not None else None,
        total=len(members),
        created_at=now,
    )
    count(record, members)
    changes: list[documents.Change] = [
        documents.put(ROLLOUTS.kind, id, record, sort=sort_time(now), expected=0),
        *(documents.put(MEMBER_KIND, key, one, sort=key) for one in members for key in (member_id(id, one.number),)),
    ]
    versions = await context.store.write_documents(principal.tenant, changes)
    detail: dict[str, object] = {"kind": data.kind, "stations": len(members)}
    if data.kind == "firmware":
        detail |= {"firmware": data.firmware_id, "version": version}
    await audit.record(context, principal, "rollouts.create", f"rollout {id}", detail=detail, reason=record.reason)
    await wake(context, principal.tenant, id)
    return Tagged(shown(id, record), tag_of(versions[0], shown(id, record)))


async def chosen(context: ApiContext, principal: Principal, data: types.NewRollout) -> list[str]:
    """Its stations. By a filter only those get a new certificate that come in by one. Raises Problem 422."""
    names = await chosen_stations(context, principal, data)
    if data.kind == "certificates" and data.filter is not None:
        known = await with_certificates(context, principal.tenant)
        names = [name for name in names if name in known]
        if not names:
            message = _("no station that fits comes in by a certificate")
            raise problem("bad-body", errors=[{"field": "filter", "message": message}])
    return names


async def with_certificates(context: ApiContext, tenant: str) -> set[str]:
    """The stations that came in by a certificate."""
    found = set[str]()
    cursor: str | None = None
    while True:
        page = await context.store.documents(tenant, SHOWN, cursor=cursor, limit=500)
        found.update(one.id for one in page.items)
        if (cursor := page.next) is None:
            return found


# -- looking ----------------------------------------------------------------------------------------------------------
async def rollouts(
    context: ApiContext,
    principal: Principal,
    *,
    kind: pure.Kind | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.RolloutPage:
    """Roll-outs, newest first. A page may hold fewer than `limit` and still have a next one."""
    principal.need("rollouts:read")
    asked = question("rollouts", "newest", {"kind": kind})
    page = await context.store.documents(
        principal.tenant, ROLLOUTS.kind, cursor=stored_cursor(cursor, asked), limit=limit, newest_first=True
    )
    found = [(one.id, documents.unpack(one, RolloutRecord).value) for one in page.items]
    return types.RolloutPage(
        items=[shown(id, one) for id, one in found if _visible(principal, one) and kind in (None, one.kind)],
        next=next_of(page.next, asked),
    )


async def rollout(context: ApiContext, principal: Principal, id: str) -> Tagged[types.Rollout]:
    """One, with how far it is. Raises Problem 404."""
    principal.need("rollouts:read")
    kept = await ROLLOUTS.get(context, principal.tenant, id)
    if not _visible(principal, kept.value):
        raise not_found("roll-out", id)
    told = shown(id, kept.value)
    return Tagged(told, tag_of(kept.version, told))


async def stations(
    context: ApiContext,
    principal: Principal,
    id: str,
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.RolloutStationPage:
    """Its stations in their order. A page may hold fewer than `limit` and still have a next one. Raises Problem 404."""
    await rollout(context, principal, id)
    asked = question(f"rollout {id}", "order", {"state": state})
    items: list[types.RolloutStation] = []
    after = stored_cursor(cursor, asked)
    while True:
        page = await context.store.documents(
            principal.tenant, MEMBER_KIND, low=f"{id}/", high=f"{id}0", cursor=after, limit=limit
        )
        found = [documents.unpack(one, Member).value for one in page.items]
        items += [_station(one) for one in found if state is None or one.state == state]
        after = page.next
        if after is None or len(items) >= limit or state is None:
            return types.RolloutStationPage(items=items, next=next_of(after, asked))


def _station(one: Member) -> types.RolloutStation:
    return types.RolloutStation(
        station_id=one.station,
        stage=one.stage,
        state=one.state,
        text=one.why,
        lost=one.lost,
        security_events=one.security_events,
        session_failed=one.session_failed,
        changed_at=to_rfc3339(one.changed_at) if one.changed_at else None,
    )


async def uses(context: ApiContext, tenant: str, firmware: str) -> str:
    """A roll-out of this image that is not over; "" for none."""
    async for id, kept in ROLLOUTS.every(context, tenant, newest_first=True):
        if kept.value.firmware == firmware and kept.value.status != "done":
            return id
    return ""


# -- steering ---------------------------------------------------------------------------------------------------------
async def steer(
    context: ApiContext, principal: Principal, id: str, wish: Literal["go", "pause", "stop"], *, reason: str = ""
) -> Tagged[types.Rollout]:
    """Pause, resume or stop it. What is under way at a station goes on there. Raises Problem 404, 409."""
    from ..firmware_worker import wake

    principal.need("rollouts:write")
    while True:
        kept = await ROLLOUTS.get(context, principal.tenant, id)
        record = kept.value
        if not _visible(principal, record):
            raise not_found("roll-out", id)
        if record.status == "done":
            raise problem("in-use", _("The roll-out is over."))
        if wish == "go" and record.kind == "firmware":
            await sendable(context, principal.tenant, record.firmware)
        record.wish = wish
        put = documents.put(ROLLOUTS.kind, id, record, sort=sort_time(record.created_at), expected=kept.version)
        try:
            await context.store.write_documents(principal.tenant, [put])
        except Conflict:
            continue  # the worker wrote its progress meanwhile
        break
    what = {"go": "resume"}.get(wish, wish)
    await audit.record(context, principal, f"rollouts.{what}", f"rollout {id}", reason=reason.strip())
    await wake(context, principal.tenant, id)
    return await rollout(context, principal, id)


async def remove(context: ApiContext, principal: Principal, id: str, *, if_match: str | None = None) -> None:
    """Forget one that stands still. Raises Problem 404, 409, 412."""
    from ..firmware_worker import wake

    principal.need("rollouts:write")
    kept = await ROLLOUTS.get(context, principal.tenant, id)
    if not _visible(principal, kept.value):
        raise not_found("roll-out", id)
    check(if_match, tag_of(kept.version))
    if kept.value.status not in STANDS:
        raise problem("in-use", _("The roll-out goes on: stop it first."))
    changes: list[documents.Change] = [Delete(ROLLOUTS.kind, id, kept.version)]
    changes += [Delete(MEMBER_KIND, member_id(id, number)) for number in range(kept.value.total)]
    try:
        await context.store.write_documents(principal.tenant, changes)
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    await audit.record(context, principal, "rollouts.delete", f"rollout {id}")
    await wake(context, principal.tenant, id)
