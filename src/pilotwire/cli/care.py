"""What a running node does for its store by itself: old samples go to history, a store that failed is opened again."""

from __future__ import annotations

import asyncio
import contextlib

import structlog

from pilotwire.api.resources.retention import SETTING, read
from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import Scheduler
from pilotwire.storage.port import Store

_log = structlog.get_logger("pilotwire.care")

LOOK_S = 5.0
REOPEN_AFTER = 3
"""Looks in a row at which the store did not commit before it is opened anew (PostgreSQL comes back by itself)."""
DAY_MS = 86_400_000


class Care:
    """A task beside the others, from `start` to `stop`."""

    def __init__(self, store: Store, scheduler: Scheduler) -> None:
        self._store = store
        self._scheduler = scheduler
        self._task: asyncio.Task[None] | None = None
        self._rolled_day = 0

    async def start(self) -> None:
        self._task = asyncio.get_running_loop().create_task(self._run(), name="care")

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        failed = 0
        while True:
            await asyncio.sleep(LOOK_S)
            failed = 0 if self._store.ready else failed + 1
            if failed >= REOPEN_AFTER:
                await self.reopen()
                failed = 0
            elif not failed:
                await self.roll_off()

    async def reopen(self) -> None:
        """A disk that was full and has room again: nothing that was answered depended on what failed."""
        try:
            await self._store.close()
            await self._store.open()
        except (PilotwireError, OSError) as error:
            _log.error("the store cannot be opened again", error=str(error))
        else:
            _log.warning("the store commits again")

    async def roll_off(self) -> None:
        """Once a day: samples of whole days that are over go to Parquet."""
        today = int(self._scheduler.now()) // DAY_MS
        if today == self._rolled_day:
            return
        self._rolled_day = today
        try:
            days = read(await self._store.setting(SETTING)).hot_days
            moved = await self._store.roll_off((today - days) * DAY_MS)
        except (PilotwireError, OSError) as error:
            _log.error("samples could not be moved to history; tomorrow again", error=str(error))
        else:
            if moved:
                _log.info("samples moved to history", samples=moved)
