"""A process with a store on disk that commits facts without end and sends them to a webhook. It is there to be killed.

    webhook_process.py DATA URL FIRST

Prints the number of each fact when it is durable.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from pilotwire.api.context import ApiConfig, ApiContext
from pilotwire.api.happenings import follow
from pilotwire.api.happenings.deliver import PURPOSE, Deliverer, vault_of
from pilotwire.api.happenings.records import WEBHOOK, WebhookRecord
from pilotwire.api.happenings.worker import Happenings
from pilotwire.api.workers import Workers
from pilotwire.domain import facts, records, webhooks
from pilotwire.storage.documents import put
from pilotwire.storage.open import open_store
from pilotwire.storage.port import Entry
from pilotwire.transport.bus import Event, LocalBus
from pilotwire.transport.runtime import LoopScheduler, SystemIds


class NoPasswords:
    """Nobody logs in here."""

    def hash_human(self, password: str) -> str:
        raise NotImplementedError

    def verify_human(self, password: str, verifier: str) -> bool:
        raise NotImplementedError

    def hash_station(self, password: bytes) -> str:
        raise NotImplementedError


async def main(data: Path, url: str, first: int) -> None:
    webhooks.FIRST_DELAY_MS = 20  # type: ignore[misc] - three days in seconds
    follow.GATHER_S = 0.01  # type: ignore[misc]
    store = open_store(data)
    await store.open()
    context = ApiContext(
        store=store,
        bus=LocalBus(),
        scheduler=LoopScheduler(),
        ids=SystemIds(),
        passwords=NoPasswords(),
        config=ApiConfig(private_targets=True),
        secret=b"the same in every life of it",
    )
    if await store.document("default", WEBHOOK, "hook") is None:
        hook = WebhookRecord(
            name="hook", url=url, events=("*",), secret=vault_of(context).lock(PURPOSE, "whsec_x"), created_at=1
        )
        await store.write_documents("default", [put(WEBHOOK, "hook", hook)])
        await store.put_account(records.StationAccount(tenant="default", id="CP-A"))
    await Workers(context, [Deliverer, Happenings]).start()
    number = first
    while True:
        number += 1
        await commit(context, number)
        print(number, flush=True)
        await asyncio.sleep(0.005)


async def commit(context: ApiContext, number: int) -> None:
    """One fact, durable, and told on the bus as the gateway tells it."""
    now = context.scheduler.now()
    said = (facts.StationBooted(event_time=now, vendor="Voltwerk", model=f"M{number}"),)
    entry = Entry(tenant="default", station="CP-A", recv_time=now, epoch=1, direction="in", facts=said)
    waiting: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def done(error: BaseException | None) -> None:
        if error is not None:
            waiting.set_exception(error)
            return
        store = context.store
        event = Event(
            stream=store.stream, seq=store.position, tenant="default", station="CP-A", recv_time=now, facts=said
        )
        context.bus.publish("facts.default.CP-A", event)
        waiting.set_result(None)

    context.store.append(entry, done)
    await waiting


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
