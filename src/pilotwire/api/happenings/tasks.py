"""Ending tasks for sure, and not in the middle of a write."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they are done. A cancellation that a library took for its own is said again."""
    waiting: Iterable[asyncio.Task[Any]] = [task for task in tasks if task is not None and not task.done()]
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=1.0)


async def whole(work: Coroutine[Any, Any, T]) -> T:
    """Wait until work is done, come what may; a cancellation meanwhile counts afterwards. For transactions: one that
    nobody waits for any more is committed all the same, and whoever took it for undone would do it twice."""
    task, cancelled = asyncio.get_running_loop().create_task(work), False
    while not task.done():
        try:
            await asyncio.wait([task])
        except asyncio.CancelledError:
            cancelled = True
    caller = asyncio.current_task()
    if cancelled and caller is not None:
        caller.uncancel()
        caller.cancel()
    return task.result()
