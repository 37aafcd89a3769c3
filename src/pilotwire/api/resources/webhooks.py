"""Webhooks: made, changed, tried, and what became of every event."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.domain import facts
from pilotwire.domain.alarms_rules import FACTS, HandshakeRefused
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.documents import Change, Conflict, Document, Kept, put, unpack

from .. import audit, listing, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..happenings import tell
from ..happenings.books import every_of
from ..happenings.deliver import PURPOSE, Deliverer, vault_of
from ..happenings.outbound import check_url
from ..happenings.records import (
    DELIVERY,
    END,
    WEBHOOK,
    WEBHOOK_STATE,
    DeliveryRecord,
    WebhookRecord,
    WebhookState,
    delivery_sort,
)
from ..happenings.worker import Happenings
from ..language import _
from ..problems import faulty, not_found, problem
from .keeping import Collection, Tagged

WEBHOOKS = Collection(WEBHOOK, WebhookRecord, "webhook")
SECRET_PREFIX = "whsec_"  # noqa: S105 - how every secret begins
WEBHOOKS_AT_MOST = 100
_COUNTED = 1_000
_EXCERPT = 500
_OWN_EVENTS = {
    "alarm-raised": "An alarm was raised; `data` is the alarm.",
    "alarm-cleared": "An alarm is over; `data` is the alarm.",
    "alarm-acknowledged": "Somebody has seen an alarm; `data` is the alarm.",
    "notification": "What a subscription of channel webhook tells; `data` has a subject and lines.",
    "ping": "A test, sent when somebody asks for it.",
}


def _whole(principal: Principal) -> None:
    if principal.sites is not None:
        raise problem("not-allowed", _("This concerns every site, and you see some of them."))


# -- what can be heard ------------------------------------------------------------------------------------------------
def event_types(context: ApiContext, principal: Principal) -> list[types.WebhookEventType]:
    """Every type of event, by name."""
    principal.need("webhooks:read")
    made = [
        types.WebhookEventType(
            type=name,
            version=int(str(kind.__struct_config__.tag).rpartition(".")[2]),
            description=_FACTS.get(kind, "A fact of the journal."),
        )
        for name, kind in FACTS.items()
        if kind is not HandshakeRefused
    ]
    made += [types.WebhookEventType(type=name, version=1, description=text) for name, text in _OWN_EVENTS.items()]
    return sorted(made, key=lambda one: one.type)


_FACTS: dict[type, str] = {
    facts.StationConnected: "A station has connected.",
    facts.StationDisconnected: "A station's connection has ended.",
    facts.StationBooted: "A station has sent BootNotification.",
    facts.ConnectorStatusChanged: "A connector has told its status.",
    facts.TokenPresented: "A token was presented, and what it was answered.",
    facts.SessionStarted: "A charging session has begun.",
    facts.SessionUpdated: "A session has told something: meter values, state, token.",
    facts.SessionEnded: "A charging session has ended.",
    facts.OrphanReceived: "A message of a transaction that is not known came.",
    facts.VariablesReported: "A station has told variables of its device model, or configuration keys.",
    facts.EventNotified: "A station has notified an event of its device model.",
    facts.SecurityEventNotified: "A station has notified a security event.",
    facts.DataTransferred: "A station has sent data of a vendor's own.",
    facts.FirmwareStatusChanged: "A firmware update goes on.",
    facts.LogStatusChanged: "An upload of logs or diagnostics goes on.",
    facts.CertificateRequested: "A station has asked for a certificate.",
    facts.CertificateIssued: "An authority has signed a station's certificate.",
    facts.CertificateSettled: "A station's request for a certificate has come to its end.",
    facts.CredentialChanged: "A station has a new password, or came up to a higher security profile.",
    facts.ChargingProfileSet: "A station has accepted a charging profile.",
    facts.ChargingProfilesCleared: "Charging profiles are not installed at a station any more.",
    facts.ChargingRatesUpdated: "A dynamic charging profile has new rates.",
    facts.ChargingProfilesReported: "A station has reported its charging profiles.",
    facts.ChargingLimitChanged: "Another system limits a station, or does so no more.",
    facts.PriorityChargingChanged: "Priority charging was switched on or off for a transaction.",
    facts.ChargingNeedsNotified: "A vehicle has told what it needs.",
    facts.VehicleScheduleNotified: "A vehicle has told how it will charge.",
    facts.CompositeScheduleDiffered: "A station's composite schedule is not what follows from its charging profiles.",
    facts.SessionTariffSet: "By which tariff a session is priced.",
    facts.SessionTariffOffered: "A station has accepted another tariff for a running session.",
    facts.SessionTariffDeclined: "A driver did not accept the tariff: the session costs nothing.",
    facts.SessionCostTold: "A station has told what a session costs.",
    facts.SessionCostDiffered: "A station's final cost is not what follows from its own messages by the same tariff.",
    facts.DefaultTariffSet: "A station has accepted a default tariff.",
    facts.TariffsCleared: "A station does not have default tariffs any more.",
    facts.CommandRequested: "A command to a station was asked for.",
    facts.CommandSettled: "A command has come to its end.",
    facts.DeviationAccepted: "A message that its schema would refuse was let pass by a named rule.",
    facts.QuirkSeen: "A station does something otherwise than the standard says, and it has a name.",
}


# -- webhooks ---------------------------------------------------------------------------------------------------------
async def _shown(context: ApiContext, tenant: str, hook_id: str, record: WebhookRecord) -> types.Webhook:
    found = await context.store.document(tenant, WEBHOOK_STATE, hook_id)
    state = unpack(found, WebhookState).value if found is not None else WebhookState()
    return types.Webhook(
        id=hook_id,
        name=record.name,
        url=record.url,
        events=list(record.events),
        sites=list(record.sites),
        enabled=record.enabled,
        disabled_why=record.disabled_why,
        secret_hint=record.hint,
        created_at=to_rfc3339(record.created_at),
        pending=await _pending(context, tenant, hook_id),
        failing_since=tell.time_or_none(state.failing_since),
        next_attempt_at=tell.time_or_none(state.next_at) if state.failing_since else None,
        last_success_at=tell.time_or_none(state.last_success_at),
        last_error=state.last_error,
    )


async def _pending(context: ApiContext, tenant: str, hook_id: str) -> int:
    """How many wait; of more than 1,000 the rest is not counted."""
    count, cursor = 0, None
    while count < _COUNTED:
        page = await context.store.documents(
            tenant, DELIVERY, low=f"{hook_id} p ", high=f"{hook_id} r {END}", cursor=cursor, limit=500
        )
        count += len(page.items)
        cursor = page.next
        if cursor is None:
            break
    return count


async def webhooks(context: ApiContext, principal: Principal) -> list[types.Webhook]:
    """Every webhook by name. Raises Problem 403."""
    principal.need("webhooks:read")
    _whole(principal)
    return [
        await _shown(context, principal.tenant, hook_id, kept.value)
        async for hook_id, kept in WEBHOOKS.every(context, principal.tenant)
    ]


async def webhook(context: ApiContext, principal: Principal, hook_id: str) -> Tagged[types.Webhook]:
    """One webhook. Raises Problem 404, 403."""
    principal.need("webhooks:read")
    _whole(principal)
    kept = await WEBHOOKS.get(context, principal.tenant, hook_id)
    shown = await _shown(context, principal.tenant, hook_id, kept.value)
    return Tagged(shown, tag_of(kept.version, shown))


def _check(context: ApiContext, record: WebhookRecord) -> None:
    """What the types cannot say. Raises Problem 422."""
    errors: list[dict[str, str]] = []
    if wrong := check_url(record.url, private=context.config.private_targets or context.config.lab):
        errors.append({"field": "url", "message": wrong})
    known = {*FACTS, *_OWN_EVENTS, "*"}
    errors += [
        {"field": f"events[{place}]", "message": _("no type of event; listWebhookEventTypes has all")}
        for place, name in enumerate(record.events)
        if name not in known
    ]
    if errors:
        raise faulty("bad-body", errors)


async def _check_sites(context: ApiContext, tenant: str, sites: tuple[str, ...]) -> None:
    for place, site in enumerate(sites):
        if await context.store.document(tenant, "site", site) is None:
            raise problem("bad-body", errors=[{"field": f"sites[{place}]", "message": _("there is no such site")}])


async def create(context: ApiContext, principal: Principal, data: types.NewWebhook) -> types.WebhookCreated:
    """Add a webhook. It hears of what happens from now on. Raises Problem 409, 422, 403."""
    principal.need("webhooks:write")
    _whole(principal)
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    record = WebhookRecord(
        name=data.name,
        url=data.url,
        events=tuple(data.events),
        sites=tuple(data.sites),
        enabled=data.enabled,
        secret=vault_of(context).lock(PURPOSE, secret),
        hint=secret[-4:],
        created_at=context.scheduler.now(),
    )
    _check(context, record)
    await _check_sites(context, principal.tenant, record.sites)
    if len(await every_of(context.store, principal.tenant, WEBHOOK, WebhookRecord)) >= WEBHOOKS_AT_MOST:
        raise problem("too-many", _("There are {n} webhooks already.", n=WEBHOOKS_AT_MOST))
    hook_id = context.ids.new()
    await WEBHOOKS.add(context, principal.tenant, hook_id, record, sort=data.name.casefold())
    _changed(context, principal.tenant, hook_id)
    await audit.record(
        context, principal, "webhooks.create", f"webhook {hook_id}", detail={"name": data.name, "url": data.url}
    )
    return types.WebhookCreated(webhook=await _shown(context, principal.tenant, hook_id, record), secret=secret)


async def change(
    context: ApiContext,
    principal: Principal,
    hook_id: str,
    data: types.WebhookChange,
    *,
    if_match: str | None = None,
) -> Tagged[types.Webhook]:
    """Change what is given; a webhook that is switched on begins anew at once. Raises Problem 404, 412, 422, 403."""
    principal.need("webhooks:write")
    _whole(principal)
    kept = await WEBHOOKS.get(context, principal.tenant, hook_id)
    check(if_match, tag_of(kept.version))
    given: dict[str, Any] = msgspec.to_builtins(data)
    record = msgspec.structs.replace(
        kept.value, **{key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    )
    if record.enabled:
        record.disabled_why = ""
    _check(context, record)
    if "sites" in given:
        await _check_sites(context, principal.tenant, record.sites)
    changes: list[Change] = [
        put(WEBHOOK, hook_id, record, sort=record.name.casefold(), expected=kept.version),
    ]
    if record.enabled and ("enabled" in given or "url" in given):
        found = await context.store.document(principal.tenant, WEBHOOK_STATE, hook_id)
        before = unpack(found, WebhookState).value if found is not None else WebhookState()
        changes.append(put(WEBHOOK_STATE, hook_id, WebhookState(last_success_at=before.last_success_at)))
    try:
        versions = await context.store.write_documents(principal.tenant, changes)
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    _changed(context, principal.tenant, hook_id)
    await audit.record(context, principal, "webhooks.change", f"webhook {hook_id}", detail={"fields": sorted(given)})
    shown = await _shown(context, principal.tenant, hook_id, record)
    return Tagged(shown, tag_of(versions[0], shown))


async def remove(context: ApiContext, principal: Principal, hook_id: str, *, if_match: str | None = None) -> None:
    """Delete a webhook and what waits for it. Raises Problem 404, 412, 403."""
    principal.need("webhooks:write")
    _whole(principal)
    kept = await WEBHOOKS.get(context, principal.tenant, hook_id)
    check(if_match, tag_of(kept.version))
    await WEBHOOKS.delete(context, principal.tenant, hook_id, expected=kept.version)
    _changed(context, principal.tenant, hook_id)
    await audit.record(context, principal, "webhooks.delete", f"webhook {hook_id}", detail={"name": kept.value.name})


async def new_secret(context: ApiContext, principal: Principal, hook_id: str) -> types.WebhookSecret:
    """Sign with another secret from now on. Raises Problem 404, 412, 403."""
    principal.need("webhooks:write")
    _whole(principal)
    kept = await WEBHOOKS.get(context, principal.tenant, hook_id)
    secret = SECRET_PREFIX + secrets.token_urlsafe(32)
    record = msgspec.structs.replace(kept.value, secret=vault_of(context).lock(PURPOSE, secret), hint=secret[-4:])
    await WEBHOOKS.replace(
        context, principal.tenant, hook_id, record, sort=record.name.casefold(), expected=kept.version
    )
    _changed(context, principal.tenant, hook_id)
    await audit.record(context, principal, "webhooks.new-secret", f"webhook {hook_id}")
    return types.WebhookSecret(secret=secret)


def _changed(context: ApiContext, tenant: str, hook_id: str) -> None:
    happenings: Happenings | None = context.parts.get(Happenings)
    if happenings is not None:
        happenings.changed(tenant)
    deliverer: Deliverer | None = context.parts.get(Deliverer)
    if deliverer is not None:
        deliverer.wake(tenant, [hook_id])


# -- deliveries -------------------------------------------------------------------------------------------------------
def _delivery(delivery_id: str, record: DeliveryRecord, *, whole: bool) -> types.WebhookDelivery:
    return types.WebhookDelivery(
        id=delivery_id,
        webhook_id=record.webhook,
        event_id=record.event,
        event_type=record.type,
        state=record.state,
        attempts=record.attempts,
        created_at=to_rfc3339(record.created_at),
        next_attempt_at=tell.time_or_none(record.next_at),
        finished_at=tell.time_or_none(record.finished_at),
        status=record.status,
        error=record.error,
        duration_ms=record.duration_ms,
        response=record.response,
        request=record.body if whole else record.body[:_EXCERPT],
    )


async def deliveries(
    context: ApiContext,
    principal: Principal,
    hook_id: str,
    *,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.WebhookDeliveryPage:
    """What waits, then what is done, newest first; done ones are kept for a week. Raises Problem 404, 403."""
    principal.need("webhooks:read")
    _whole(principal)
    await WEBHOOKS.get(context, principal.tenant, hook_id)
    asked = listing.question("deliveries", "-created_at", {"webhook": hook_id, "state": state})
    place = listing.stored_cursor(cursor, asked)
    letter = {"pending": "p", "retrying": "r", "delivered": "d", "failed": "d"}.get(state or "", "")
    low, high = (f"{hook_id} {letter} ", f"{hook_id} {letter} {END}") if letter else (f"{hook_id} ", f"{hook_id} {END}")
    found: list[types.WebhookDelivery] = []
    for _page in range(20):
        page = await context.store.documents(
            principal.tenant, DELIVERY, low=low, high=high, cursor=place, limit=200, newest_first=True
        )
        for document in page.items:
            place = encode_cursor(document.sort, document.id)
            record = unpack(document, DeliveryRecord).value
            if state is None or record.state == state:
                found.append(_delivery(document.id, record, whole=False))
            if len(found) == limit:
                last = page.next is None and document is page.items[-1]
                return types.WebhookDeliveryPage(items=found, next=None if last else listing.next_of(place, asked))
        if page.next is None:
            return types.WebhookDeliveryPage(items=found, next=None)
    return types.WebhookDeliveryPage(items=found, next=listing.next_of(place, asked))


async def _one(context: ApiContext, tenant: str, hook_id: str, delivery_id: str) -> tuple[Document, DeliveryRecord]:
    found = None
    if 0 < len(delivery_id) <= 255 and delivery_id.isprintable():
        found = await context.store.document(tenant, DELIVERY, delivery_id)
    record = unpack(found, DeliveryRecord).value if found is not None else None
    if found is None or record is None or record.webhook != hook_id:
        raise not_found("delivery", delivery_id)
    return found, record


async def delivery(context: ApiContext, principal: Principal, hook_id: str, delivery_id: str) -> types.WebhookDelivery:
    """One delivery with the whole body that is sent. Raises Problem 404, 403."""
    principal.need("webhooks:read")
    _whole(principal)
    _, record = await _one(context, principal.tenant, hook_id, delivery_id)
    return _delivery(delivery_id, record, whole=True)


async def resend(context: ApiContext, principal: Principal, hook_id: str, delivery_id: str) -> types.WebhookDelivery:
    """Send once more what was delivered or given up, after what waits; what waits apart goes into the line again.

    Raises Problem 404, 409 (it waits in line), 403.
    """
    principal.need("webhooks:write")
    _whole(principal)
    found, record = await _one(context, principal.tenant, hook_id, delivery_id)
    if record.state == "pending":
        raise problem("under-way", _("It waits in line and is sent as soon as the webhook takes anything."))
    now = context.scheduler.now()
    record.state, record.attempts, record.created_at = "pending", 0, now
    record.next_at = record.finished_at = record.status = record.duration_ms = None
    record.error = record.response = ""
    try:
        change = put(
            DELIVERY,
            delivery_id,
            record,
            sort=delivery_sort(hook_id, "pending", now, 999_999),
            expected=found.version,
        )
        await context.store.write_documents(principal.tenant, [change])
    except Conflict:
        raise problem("under-way", _("It is being sent in this moment.")) from None
    _changed(context, principal.tenant, hook_id)
    await audit.record(context, principal, "webhooks.resend", f"webhook {hook_id}", detail={"delivery": delivery_id})
    return _delivery(delivery_id, record, whole=True)


async def ping(context: ApiContext, principal: Principal, hook_id: str) -> types.WebhookDelivery:
    """Send a `ping` now, whatever waits, and wait for the answer. Raises Problem 404, 403, 503 (no sender runs)."""
    principal.need("webhooks:write")
    _whole(principal)
    kept = await WEBHOOKS.get(context, principal.tenant, hook_id)
    deliverer: Deliverer | None = context.parts.get(Deliverer)
    if deliverer is None:
        raise problem("not-ready", _("No sender of webhooks runs here."))
    now = context.scheduler.now()
    event = f"ping-{context.ids.new()}"
    body = tell.event_body(event, "ping", 1, now, principal.tenant, {"webhook_id": hook_id, "by": principal.name})
    record = DeliveryRecord(webhook=hook_id, event=event, type="ping", body=body, created_at=now)
    verdict = await deliverer.attempt(kept.value, record)
    record.state = "delivered" if verdict == "delivered" else "failed"
    record.finished_at = context.scheduler.now()
    delivery_id = f"{hook_id}.{event}"
    sort = delivery_sort(hook_id, record.state, record.finished_at)
    await context.store.write_documents(principal.tenant, [put(DELIVERY, delivery_id, record, sort=sort)])
    await audit.record(context, principal, "webhooks.ping", f"webhook {hook_id}", detail={"status": record.status})
    return _delivery(delivery_id, record, whole=True)


async def queue_event(
    context: ApiContext, tenant: str, name: str, kind: str, time: int, data: dict[str, Any], site: str
) -> tuple[list[Change], Callable[[], None]]:
    """What to write so that the webhooks that want it hear of an event, and what to call when it is written."""
    found: dict[str, Kept[WebhookRecord]] = {
        hook_id: kept
        async for hook_id, kept in WEBHOOKS.every(context, tenant)
        if kept.value.enabled
        and ("*" in kept.value.events or kind in kept.value.events)
        and (not kept.value.sites or site in kept.value.sites)
    }
    body = tell.event_body(name, kind, 1, time, tenant, data) if found else ""
    now = context.scheduler.now()
    changes: list[Change] = [
        put(
            DELIVERY,
            f"{hook_id}.{name}",
            DeliveryRecord(webhook=hook_id, event=name, type=kind, body=body, created_at=now),
            sort=delivery_sort(hook_id, "pending", now, 500_000),
        )
        for hook_id in found
    ]

    def wake() -> None:
        deliverer: Deliverer | None = context.parts.get(Deliverer)
        if deliverer is not None and found:
            deliverer.wake(tenant, found)

    return changes, wake
