"""Who is told of alarms: the mail server, subscriptions, and what became of every message."""

from __future__ import annotations

from typing import Any

import msgspec

from pilotwire.core.time import to_rfc3339
from pilotwire.crypto.vault import NotOurs
from pilotwire.domain.alarms_digest import Digest
from pilotwire.storage.codec import encode_cursor
from pilotwire.storage.documents import Change, Conflict, Delete, Kept, put, unpack

from .. import audit, listing, types
from ..access import Principal
from ..context import ApiContext
from ..edit import check, of_conflict, tag_of
from ..happenings import tell
from ..happenings.books import every_of
from ..happenings.deliver import Deliverer, vault_of
from ..happenings.mail import PURPOSE, Mailer, MailFailed
from ..happenings.records import (
    DIGEST,
    MAIL_SERVER,
    MAIL_SERVER_ID,
    NOTIFICATION,
    SUBSCRIPTION,
    WEBHOOK,
    DeliveryRecord,
    MailServerRecord,
    NotificationRecord,
    SubscriptionRecord,
    WebhookRecord,
)
from ..happenings.worker import Happenings
from ..language import _
from ..problems import faulty, problem
from .keeping import Collection, Tagged

SUBSCRIPTIONS = Collection(SUBSCRIPTION, SubscriptionRecord, "subscription")
SUBSCRIPTIONS_AT_MOST = 200
_TEST_SUBJECT = "Test of Pilotwire's notifications"
_TEST_TEXT = "This is a test. When you can read it, alarms reach you here.\n"


def _whole(principal: Principal) -> None:
    if principal.sites is not None:
        raise problem("not-allowed", _("This concerns every site, and you see some of them."))


# -- mail server ------------------------------------------------------------------------------------------------------
def _server(record: MailServerRecord | None) -> types.MailServer:
    known = record or MailServerRecord(host="", sender="")
    return types.MailServer(
        host=known.host,
        port=known.port,
        security=known.security,
        username=known.username,
        password_set=bool(known.password),
        sender=known.sender,
        sender_name=known.sender_name,
    )


async def _kept_server(context: ApiContext, tenant: str) -> Kept[MailServerRecord | None]:
    found = await context.store.document(tenant, MAIL_SERVER, MAIL_SERVER_ID)
    if found is None:
        return Kept(0, None)
    return Kept(found.version, unpack(found, MailServerRecord).value)


async def mail_server(context: ApiContext, principal: Principal) -> Tagged[types.MailServer]:
    """How e-mail is sent; `host` is empty where nothing is set up. Raises Problem 403."""
    principal.need("settings:read")
    kept = await _kept_server(context, principal.tenant)
    return Tagged(_server(kept.value), tag_of(kept.version))


async def set_mail_server(
    context: ApiContext, principal: Principal, data: types.NewMailServer, *, if_match: str | None = None
) -> Tagged[types.MailServer]:
    """Set it up. A password is kept only for the same host and user: it is shown to no other server.

    Raises Problem 412, 422, 403.
    """
    principal.need("settings:write")
    _whole(principal)
    kept = await _kept_server(context, principal.tenant)
    check(if_match, tag_of(kept.version))
    before = kept.value
    password = ""
    if data.password is not msgspec.UNSET:
        password = vault_of(context).lock(PURPOSE, data.password) if data.password else ""
    elif before is not None and (before.host, before.username) == (data.host, data.username):
        password = before.password
    if data.username and not password:
        message = _("needed, since host or user name are new")
        raise problem("bad-body", errors=[{"field": "password", "message": message}])
    if password and data.security == "none":
        message = _("a password is never sent without TLS: choose starttls or tls")
        raise problem("bad-body", errors=[{"field": "security", "message": message}])
    record = MailServerRecord(
        host=data.host,
        port=data.port,
        security=data.security,
        username=data.username,
        password=password,
        sender=data.sender,
        sender_name=data.sender_name,
    )
    try:
        change = put(MAIL_SERVER, MAIL_SERVER_ID, record, expected=kept.version)
        (version,) = await context.store.write_documents(principal.tenant, [change])
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    await audit.record(
        context,
        principal,
        "mail-server.set",
        "mail server",
        detail={"host": data.host, "port": data.port, "username": data.username, "sender": data.sender},
    )
    _wake(context)
    return Tagged(_server(record), tag_of(version))


async def remove_mail_server(context: ApiContext, principal: Principal, *, if_match: str | None = None) -> None:
    """Send no e-mail any more. Raises Problem 412, 403."""
    principal.need("settings:write")
    _whole(principal)
    kept = await _kept_server(context, principal.tenant)
    check(if_match, tag_of(kept.version))
    if kept.version:
        await context.store.write_documents(principal.tenant, [Delete(MAIL_SERVER, MAIL_SERVER_ID)])
        await audit.record(context, principal, "mail-server.remove", "mail server")


async def test_mail_server(context: ApiContext, principal: Principal, to: str) -> types.NotificationResult:
    """Send a test now and wait for what the server says. Raises Problem 403, 503 (no mailer runs)."""
    principal.need("settings:write")
    _whole(principal)
    result = await _mail(context, principal.tenant, (to,))
    await audit.record(context, principal, "mail-server.test", "mail server", detail={"to": to, "ok": result.ok})
    return result


async def _mail(context: ApiContext, tenant: str, to: tuple[str, ...]) -> types.NotificationResult:
    mailer: Mailer | None = context.parts.get(Mailer)
    if mailer is None:
        raise problem("not-ready", _("No mailer runs here."))
    try:
        await mailer.send(tenant, to, _TEST_SUBJECT, _TEST_TEXT, id=context.ids.new())
    except MailFailed as failed:
        return types.NotificationResult(ok=False, error=str(failed))
    except NotOurs as error:
        return types.NotificationResult(ok=False, error=str(error))
    return types.NotificationResult(ok=True, error="")


def _wake(context: ApiContext) -> None:
    mailer: Mailer | None = context.parts.get(Mailer)
    if mailer is not None:
        mailer.wake()


# -- subscriptions ----------------------------------------------------------------------------------------------------
def _shown(name: str, record: SubscriptionRecord, digests: dict[str, Digest]) -> types.Subscription:
    digest = digests.get(name)
    return types.Subscription(
        id=name,
        name=record.name,
        channel=record.channel,
        to=list(record.to),
        webhook_id=record.webhook or None,
        min_severity=record.min_severity,
        sites=list(record.sites),
        rules=list(record.rules),
        cleared=record.cleared,
        digest_min=record.digest_min,
        enabled=record.enabled,
        waiting=len(digest.lines) + digest.more if digest is not None else 0,
    )


async def subscriptions(context: ApiContext, principal: Principal) -> list[types.Subscription]:
    """Every subscription by name. Raises Problem 403."""
    principal.need("settings:read")
    _whole(principal)
    digests = await every_of(context.store, principal.tenant, DIGEST, Digest)
    return [_shown(name, kept.value, digests) async for name, kept in SUBSCRIPTIONS.every(context, principal.tenant)]


async def subscription(context: ApiContext, principal: Principal, name: str) -> Tagged[types.Subscription]:
    """One subscription. Raises Problem 404, 403."""
    principal.need("settings:read")
    _whole(principal)
    kept = await SUBSCRIPTIONS.get(context, principal.tenant, name)
    found = await context.store.document(principal.tenant, DIGEST, name)
    digests = {name: unpack(found, Digest).value} if found is not None else {}
    shown = _shown(name, kept.value, digests)
    return Tagged(shown, tag_of(kept.version, shown))


async def _check(context: ApiContext, tenant: str, record: SubscriptionRecord) -> None:
    errors: list[dict[str, str]] = []
    if record.channel == "email":
        if not record.to:
            errors.append({"field": "to", "message": _("at least one address is needed")})
        if record.webhook:
            errors.append({"field": "webhook_id", "message": _("not for channel email")})
    else:
        if record.to:
            errors.append({"field": "to", "message": _("not for channel webhook")})
        if not record.webhook or await context.store.document(tenant, WEBHOOK, record.webhook) is None:
            errors.append({"field": "webhook_id", "message": _("there is no such webhook")})
    for place, site in enumerate(record.sites):
        if await context.store.document(tenant, "site", site) is None:
            errors.append({"field": f"sites[{place}]", "message": _("there is no such site")})
    if errors:
        raise faulty("bad-body", errors)


async def create(context: ApiContext, principal: Principal, data: types.NewSubscription) -> Tagged[types.Subscription]:
    """Tell somebody of alarms from now on. Raises Problem 409, 422, 403."""
    principal.need("alarms:write")
    principal.need("settings:read")
    _whole(principal)
    record = SubscriptionRecord(
        name=data.name,
        channel=data.channel,
        to=tuple(data.to),
        webhook=data.webhook_id or "",
        min_severity=data.min_severity,
        sites=tuple(data.sites),
        rules=tuple(data.rules),
        cleared=data.cleared,
        digest_min=data.digest_min,
        enabled=data.enabled,
        created_at=context.scheduler.now(),
    )
    await _check(context, principal.tenant, record)
    if len(await every_of(context.store, principal.tenant, SUBSCRIPTION, SubscriptionRecord)) >= SUBSCRIPTIONS_AT_MOST:
        raise problem("too-many", _("There are {n} subscriptions already.", n=SUBSCRIPTIONS_AT_MOST))
    name = context.ids.new()
    version = await SUBSCRIPTIONS.add(context, principal.tenant, name, record, sort=data.name.casefold())
    _changed(context, principal.tenant)
    await audit.record(
        context, principal, "subscriptions.create", f"subscription {name}", detail={"name": data.name, "to": data.to}
    )
    shown = _shown(name, record, {})
    return Tagged(shown, tag_of(version, shown))


async def change(
    context: ApiContext,
    principal: Principal,
    name: str,
    data: types.SubscriptionChange,
    *,
    if_match: str | None = None,
) -> Tagged[types.Subscription]:
    """Change what is given. Raises Problem 404, 412, 422, 403."""
    principal.need("alarms:write")
    principal.need("settings:read")
    _whole(principal)
    kept = await SUBSCRIPTIONS.get(context, principal.tenant, name)
    check(if_match, tag_of(kept.version))
    given: dict[str, Any] = msgspec.to_builtins(data)
    fields = {key: tuple(value) if isinstance(value, list) else value for key, value in given.items()}
    if "webhook_id" in fields:
        fields["webhook"] = fields.pop("webhook_id")
    record = msgspec.structs.replace(kept.value, **fields)
    await _check(context, principal.tenant, record)
    version = await SUBSCRIPTIONS.replace(
        context, principal.tenant, name, record, sort=record.name.casefold(), expected=kept.version
    )
    _changed(context, principal.tenant)
    await audit.record(
        context, principal, "subscriptions.change", f"subscription {name}", detail={"fields": sorted(given)}
    )
    shown = _shown(name, record, {})
    return Tagged(shown, tag_of(version, shown))


async def remove(context: ApiContext, principal: Principal, name: str, *, if_match: str | None = None) -> None:
    """Tell these people nothing any more, not even what was gathered for them. Raises Problem 404, 412, 403."""
    principal.need("alarms:write")
    principal.need("settings:read")
    _whole(principal)
    kept = await SUBSCRIPTIONS.get(context, principal.tenant, name)
    check(if_match, tag_of(kept.version))
    changes: list[Change] = [Delete(SUBSCRIPTION, name, kept.version), Delete(DIGEST, name)]
    try:
        await context.store.write_documents(principal.tenant, changes)
    except Conflict as conflict:
        raise of_conflict(conflict) from None
    _changed(context, principal.tenant)
    await audit.record(
        context, principal, "subscriptions.delete", f"subscription {name}", detail={"name": kept.value.name}
    )


async def send_test(context: ApiContext, principal: Principal, name: str) -> types.NotificationResult:
    """Send a test by this subscription now and wait for what comes of it. Raises Problem 404, 403, 503."""
    principal.need("alarms:write")
    principal.need("settings:read")
    _whole(principal)
    record = (await SUBSCRIPTIONS.get(context, principal.tenant, name)).value
    if record.channel == "email":
        result = await _mail(context, principal.tenant, record.to)
    else:
        result = await _ping(context, principal, record)
    await audit.record(context, principal, "subscriptions.test", f"subscription {name}", detail={"ok": result.ok})
    return result


async def _ping(context: ApiContext, principal: Principal, record: SubscriptionRecord) -> types.NotificationResult:
    deliverer: Deliverer | None = context.parts.get(Deliverer)
    if deliverer is None:
        raise problem("not-ready", _("No sender of webhooks runs here."))
    found = await context.store.document(principal.tenant, WEBHOOK, record.webhook)
    if found is None:
        return types.NotificationResult(ok=False, error="the webhook is gone")
    now = context.scheduler.now()
    event = f"notification-test-{context.ids.new()}"
    data = {"subject": _TEST_SUBJECT, "subscription": record.name, "alarms": [], "more": 0}
    body = tell.event_body(event, "notification", 1, now, principal.tenant, data)
    made = DeliveryRecord(webhook=record.webhook, event=event, type="notification", body=body, created_at=now)
    verdict = await deliverer.attempt(unpack(found, WebhookRecord).value, made)
    return types.NotificationResult(ok=verdict == "delivered", error=made.error)


def _changed(context: ApiContext, tenant: str) -> None:
    happenings: Happenings | None = context.parts.get(Happenings)
    if happenings is not None:
        happenings.changed(tenant)


# -- messages ---------------------------------------------------------------------------------------------------------
def _notification(name: str, record: NotificationRecord) -> types.Notification:
    return types.Notification(
        id=name,
        subscription_id=record.subscription,
        subscription_name=record.name,
        channel=record.channel,
        to=list(record.to),
        subject=record.subject,
        alarms=list(dict.fromkeys(line.alarm for line in record.lines)),
        state=record.state,
        attempts=record.attempts,
        created_at=to_rfc3339(record.created_at),
        next_attempt_at=tell.time_or_none(record.next_at),
        finished_at=tell.time_or_none(record.finished_at),
        error=record.error,
    )


async def notifications(
    context: ApiContext,
    principal: Principal,
    *,
    subscription: str | None = None,
    state: str | None = None,
    cursor: str | None = None,
    limit: int = 50,
) -> types.NotificationPage:
    """What waits, then what is done, newest first; done ones are kept for thirty days. Raises Problem 403."""
    principal.need("settings:read")
    _whole(principal)
    asked = listing.question("notifications", "-created_at", {"subscription": subscription, "state": state})
    place = listing.stored_cursor(cursor, asked)
    low, high = {"pending": ("p", "q"), "sent": ("d", "e"), "failed": ("d", "e")}.get(state or "", ("", None))
    found: list[types.Notification] = []
    for _page in range(20):
        page = await context.store.documents(
            principal.tenant, NOTIFICATION, low=low, high=high, cursor=place, limit=200, newest_first=True
        )
        for document in page.items:
            place = encode_cursor(document.sort, document.id)
            record = unpack(document, NotificationRecord).value
            if (state is None or record.state == state) and (subscription in (None, record.subscription)):
                found.append(_notification(document.id, record))
            if len(found) == limit:
                last = page.next is None and document is page.items[-1]
                return types.NotificationPage(items=found, next=None if last else listing.next_of(place, asked))
        if page.next is None:
            return types.NotificationPage(items=found, next=None)
    return types.NotificationPage(items=found, next=listing.next_of(place, asked))
