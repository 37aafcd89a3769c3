"""Sending webhooks: one task per webhook, one event after the other, until it is taken or three days have passed.

What is to be sent lies in documents; a task reads the oldest, sends it, and writes what became of it. A process that
dies in between sends that one again: at least once. See `pilotwire.domain.webhooks` for order and delays.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pilotwire import __version__
from pilotwire.crypto.vault import NotOurs, Vault
from pilotwire.domain import webhooks
from pilotwire.domain.alarms import Place
from pilotwire.storage.documents import Change, Conflict, Delete, Document, put, sort_time, unpack

from .. import audit
from ..access import system
from ..context import ApiContext
from ..resources.retention import chosen
from ..tenancy import PLATFORM
from .outbound import Outbound, OutboundFailed
from .records import (
    DELIVERY,
    END,
    WEBHOOK,
    WEBHOOK_STATE,
    DeliveryRecord,
    WebhookRecord,
    WebhookState,
    delivery_sort,
)
from .tasks import end

if TYPE_CHECKING:
    from prometheus_client import Metric

log = logging.getLogger(__name__)

PURPOSE = "webhook secret"
IDLE_S = 5.0
SWEEP_MS = 3_600_000
DAY_MS = 86_400_000
PAGE = 50


def vault_of(context: ApiContext) -> Vault:
    """The installation's vault."""
    if Vault not in context.parts:
        context.parts[Vault] = Vault(context.secret)
    return context.parts[Vault]


async def tenants_of(context: ApiContext) -> set[str]:
    """Every tenant that may have set up something."""
    store = context.store
    found = {context.config.tenant}
    found |= {one.tenant for one in await store.accounts()} | {one.tenant for one in await store.api_keys()}
    cursor: str | None = None
    while True:
        page = await store.documents(PLATFORM, "tenant", cursor=cursor, limit=500)
        found |= {one.id for one in page.items}
        cursor = page.next
        if cursor is None:
            return found


class _Pump:
    """One webhook's task."""

    def __init__(self, owner: Deliverer, tenant: str, hook: str) -> None:
        self._owner = owner
        self._context = owner.context
        self._store = owner.context.store
        self._tenant, self._hook = tenant, hook
        self.wake = asyncio.Event()
        self._swept_at = 0
        self.task = asyncio.get_running_loop().create_task(self._run(), name=f"webhook {hook}")

    async def _run(self) -> None:
        while True:
            try:
                if not await self._round():
                    return
            except asyncio.CancelledError:
                raise
            except Exception:  # a store that is away for a moment
                log.exception("webhook %s stumbled", self._hook)
                await asyncio.sleep(2.0)

    async def _round(self) -> bool:
        """Send what can be sent, then wait. False: there is no such webhook any more."""
        self.wake.clear()
        found = await self._store.document(self._tenant, WEBHOOK, self._hook)
        if found is None:
            await self._forget()
            return False
        hook = unpack(found, WebhookRecord).value
        state = await self._state()
        now = self._context.scheduler.now()
        if not 0 <= now - self._swept_at < SWEEP_MS:
            self._swept_at = now
            await self._sweep(now)
        if hook.enabled and state.next_at <= now:
            for document in await self._due(now):
                if not await self._send(hook, state, document):
                    break
                again = await self._store.document(self._tenant, WEBHOOK, self._hook)
                if again is None or again.version != found.version:
                    return True  # somebody has changed it meanwhile
            else:
                if await self._due(self._context.scheduler.now()):
                    return True
        wait = min(IDLE_S, max(0.05, (state.next_at - now) / 1000)) if hook.enabled and state.next_at > now else IDLE_S
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(wait):
                await self.wake.wait()
        return True

    async def _state(self) -> WebhookState:
        found = await self._store.document(self._tenant, WEBHOOK_STATE, self._hook)
        return unpack(found, WebhookState).value if found else WebhookState()

    async def _due(self, now: int) -> list[Document]:
        """What can be sent now: one that was refused before and is due, then those in turn."""
        apart = await self._store.documents(
            self._tenant, DELIVERY, low=f"{self._hook} r ", high=f"{self._hook} r {sort_time(now + 1)}", limit=1
        )
        if apart.items:
            return apart.items
        page = await self._store.documents(
            self._tenant, DELIVERY, low=f"{self._hook} p ", high=f"{self._hook} p {END}", limit=PAGE
        )
        return page.items

    async def _send(self, hook: WebhookRecord, state: WebhookState, document: Document) -> bool:
        """Send one. False: the webhook takes nothing now."""
        record = unpack(document, DeliveryRecord).value
        verdict = await self._owner.attempt(hook, record)
        now = self._context.scheduler.now()
        changes: list[Change] = []
        before = (state.failures, state.failing_since)
        over = now - record.created_at >= webhooks.GIVE_UP_MS
        if verdict == "delivered":
            state.failures, state.failing_since, state.next_at, state.last_error = 0, None, 0, ""
            fresh = state.last_success_at is not None and now - state.last_success_at < 10_000
            if before == (0, None) and fresh:
                self._finish(changes, document.id, record, "delivered", now)
                await self._store.write_documents(self._tenant, changes)
                return True
            state.last_success_at = now
            self._finish(changes, document.id, record, "delivered", now)
        else:
            state.failing_since = state.failing_since or now
            state.last_error = record.error
            if over:
                self._finish(changes, document.id, record, "failed", now)
            elif verdict == "refused":
                record.state = "retrying"
                record.next_at = now + webhooks.delay_ms(record.attempts, document.id)
                sort = delivery_sort(self._hook, "retrying", record.next_at)
                changes.append(put(DELIVERY, document.id, record, sort=sort))
            else:
                changes.append(put(DELIVERY, document.id, record, sort=document.sort))
            if verdict != "refused":
                state.failures += 1
                delay = webhooks.delay_ms(state.failures, self._hook, self._owner.asked_ms(self._hook))
                state.next_at = now + delay
        changes.append(put(WEBHOOK_STATE, self._hook, state))
        await self._store.write_documents(self._tenant, changes)
        await self._tell(hook, state, before[1], now, gone=verdict == "gone")
        return verdict in ("delivered", "refused")

    def _finish(self, changes: list[Change], id: str, record: DeliveryRecord, state: str, now: int) -> None:
        record.state = "delivered" if state == "delivered" else "failed"
        record.finished_at, record.next_at = now, None
        changes.append(put(DELIVERY, id, record, sort=delivery_sort(self._hook, state, now)))
        counters = self._owner
        if state == "delivered":
            counters.delivered += 1
        else:
            counters.given_up += 1

    async def _tell(
        self, hook: WebhookRecord, state: WebhookState, before: int | None, now: int, *, gone: bool
    ) -> None:
        """The alarm about a webhook that fails; switch it off when it has failed for too long."""
        since = state.failing_since
        if since is not None or before is not None:
            await self._owner.gauge(self._tenant, self._hook, (now - since) // 60_000 if since is not None else 0)
        if gone:
            await self._switch_off("it answered 410 Gone")
        elif since is not None and now - since >= webhooks.GIVE_UP_MS:
            await self._switch_off("it has taken nothing for three days")

    async def _switch_off(self, why: str) -> None:
        for _ in range(5):
            found = await self._store.document(self._tenant, WEBHOOK, self._hook)
            if found is None:
                return
            hook = unpack(found, WebhookRecord).value
            hook.enabled, hook.disabled_why = False, why
            try:
                change = put(WEBHOOK, self._hook, hook, sort=found.sort, expected=found.version)
                await self._store.write_documents(self._tenant, [change])
            except Conflict:
                continue
            self._owner.changed(self._tenant)
            await audit.record(
                self._context,
                system(self._tenant, "webhooks"),
                "webhooks.disable",
                f"webhook {self._hook}",
                detail={"why": why},
            )
            return

    async def _sweep(self, now: int) -> None:
        """Forget what has been done for long."""
        keep = (await chosen(self._context)).delivery_days * DAY_MS
        await self._delete(f"{self._hook} d ", f"{self._hook} d {sort_time(max(0, now - keep))}")

    async def _forget(self) -> None:
        """The webhook is gone: so is what waited for it, and its log."""
        await self._delete(f"{self._hook} ", f"{self._hook} {END}")
        await self._store.write_documents(self._tenant, [Delete(WEBHOOK_STATE, self._hook)])
        await self._owner.gauge(self._tenant, self._hook, 0)

    async def _delete(self, low: str, high: str) -> None:
        while True:
            page = await self._store.documents(self._tenant, DELIVERY, low=low, high=high, limit=500)
            if not page.items:
                return
            await self._store.write_documents(self._tenant, [Delete(DELIVERY, one.id) for one in page.items])


class Deliverer:
    """The worker: a pump for every webhook."""

    def __init__(self, context: ApiContext, outbound: Outbound | None = None) -> None:
        self.context = context
        self._outbound = outbound or Outbound(private=context.config.private_targets or context.config.lab)
        self._pumps: dict[tuple[str, str], _Pump] = {}
        self._asked: dict[str, int | None] = {}
        self.delivered = 0
        self.attempts = 0
        self.failures = 0
        self.given_up = 0

    # -- life ---------------------------------------------------------------------------------------------------------
    async def start(self) -> None:
        """Go on with what waits."""
        self.context.parts[Deliverer] = self
        for tenant in sorted(await tenants_of(self.context)):
            cursor: str | None = None
            while True:
                page = await self.context.store.documents(tenant, WEBHOOK, cursor=cursor, limit=500)
                self.wake(tenant, [one.id for one in page.items])
                cursor = page.next
                if cursor is None:
                    break

    async def stop(self) -> None:
        """What is under way is broken off; it is sent again."""
        self.context.parts.pop(Deliverer, None)
        await end(*(pump.task for pump in self._pumps.values()))
        self._pumps.clear()
        await self._outbound.close()

    def wake(self, tenant: str, hooks: Iterable[str]) -> None:
        """There is something to send to these, or they were changed."""
        for hook in hooks:
            pump = self._pumps.get((tenant, hook))
            if pump is None or pump.task.done():
                pump = self._pumps[tenant, hook] = _Pump(self, tenant, hook)
            pump.wake.set()

    # -- sending ------------------------------------------------------------------------------------------------------
    async def attempt(self, hook: WebhookRecord, record: DeliveryRecord) -> webhooks.Verdict:
        """Send once; what came of it is written into the record."""
        body = record.body.encode()
        record.attempts += 1
        self.attempts += 1
        record.status, record.error, record.response, record.duration_ms = None, "", "", None
        try:
            secret = vault_of(self.context).open(PURPOSE, hook.secret)
        except NotOurs:
            record.error = "the secret was locked by another installation: make a new one"
            self.failures += 1
            return "down"
        signature = webhooks.sign(secret, self.context.scheduler.now() // 1000, body)
        headers = [
            ("Content-Type", "application/json"),
            ("User-Agent", f"Pilotwire/{__version__}"),
            (webhooks.SIGNATURE_HEADER, signature),
            (webhooks.EVENT_HEADER, record.event),
            (webhooks.TYPE_HEADER, record.type),
            (webhooks.ATTEMPT_HEADER, str(record.attempts)),
        ]
        try:
            answer = await self._outbound.post(hook.url, headers, body)
        except OutboundFailed as failed:
            record.error = str(failed)[:500]
            self._asked[record.webhook] = None
            self.failures += 1
            return "down"
        record.status, record.response, record.duration_ms = answer.status, answer.excerpt, answer.duration_ms
        self._asked[record.webhook] = answer.retry_after_ms
        verdict = webhooks.judge(answer.status)
        if verdict != "delivered":
            moved = " (redirects are not followed)" if 300 <= answer.status < 400 else ""
            record.error = f"it answered {answer.status}{moved}"
            self.failures += 1
        return verdict

    def asked_ms(self, hook: str) -> int | None:
        """For how long the webhook asked to be left alone with its newest answer."""
        return self._asked.get(hook)

    async def gauge(self, tenant: str, hook: str, minutes: int) -> None:
        """Tell the alarms for how long a webhook has failed."""
        from .worker import Happenings

        happenings: Happenings | None = self.context.parts.get(Happenings)
        if happenings is not None:
            await happenings.gauge(tenant, Place("", hook), "webhook-failing-min", minutes)

    def changed(self, tenant: str) -> None:
        """A webhook was switched off."""
        from .worker import Happenings

        happenings: Happenings | None = self.context.parts.get(Happenings)
        if happenings is not None:
            happenings.changed(tenant)

    def metrics(self) -> Iterator[Metric]:
        """Counters of this process."""
        from prometheus_client.core import CounterMetricFamily

        yield CounterMetricFamily("pilotwire_webhook_attempts", "Webhook requests sent", value=self.attempts)
        yield CounterMetricFamily("pilotwire_webhook_delivered", "Events that webhooks took", value=self.delivered)
        yield CounterMetricFamily("pilotwire_webhook_failures", "Webhook requests that failed", value=self.failures)
        yield CounterMetricFamily("pilotwire_webhook_given_up", "Events given up after 3 days", value=self.given_up)
