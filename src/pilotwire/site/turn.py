"""One child process of a site at a time: a plan and a moment of the past together are too much for a small box.

async with turn():
    ...                     # start a process, and wait until it is gone
"""

from __future__ import annotations

import asyncio
from weakref import WeakKeyDictionary

_TURNS: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


def turn() -> asyncio.Lock:
    """That of the running event loop, whatever sites it runs. Who waits longest is next."""
    return _TURNS.setdefault(asyncio.get_running_loop(), asyncio.Lock())
