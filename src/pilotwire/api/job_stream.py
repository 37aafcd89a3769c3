"""How far a job is, as it goes on: server-sent events, one `job` (Job) at most four times a second, until its end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pilotwire.transport.bus import JobNews, Subscription

from .access import Principal
from .context import ApiContext
from .events import next_of
from .live import COMMENT, message
from .problems import Problem
from .resources import jobs

APART_S = 0.25


async def stream(context: ApiContext, principal: Principal, job_id: str) -> AsyncIterator[bytes]:
    """See the module. Of a job that has ended it tells once. Raises Problem 403, 404 before anything is sent."""
    subscription = context.bus.subscribe(f"jobs.{principal.tenant}.{job_id}", limit=64)
    queue: asyncio.Queue[JobNews] = asyncio.Queue(maxsize=1)
    pump = asyncio.get_running_loop().create_task(_pump(subscription, queue), name=f"job stream {job_id}")
    first = True
    try:
        while not context.closing.is_set():
            news = None if first else await next_of(context, queue)
            if news is None and not first:
                yield COMMENT
                continue
            try:
                job = (await jobs.job(context, principal, job_id)).value
            except Problem:
                if first:
                    raise
                return  # it was forgotten meanwhile
            yield (b"retry: 2000\n\n" if first else b"") + message("job", job)
            first = False
            if job.ended_at is not None:
                return
            await asyncio.sleep(APART_S)
    finally:
        pump.cancel()
        subscription.close()


async def _pump(subscription: Subscription, queue: asyncio.Queue[JobNews]) -> None:
    """News beyond the one that waits tells nothing more: the job is read when it is looked at."""
    async for _, news in subscription:
        if isinstance(news, JobNews) and not queue.full():
            queue.put_nowait(news)
