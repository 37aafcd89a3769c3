"""Ending tasks for sure."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any


async def end(*tasks: asyncio.Task[Any] | None) -> None:
    """Cancel tasks and wait until they are done. A cancellation that a library took for its own is said again."""
    waiting: Iterable[asyncio.Task[Any]] = [task for task in tasks if task is not None and not task.done()]
    while waiting:
        for task in waiting:
            task.cancel()
        _, waiting = await asyncio.wait(waiting, timeout=1.0)
