"""`/frames`: raw frames as they pass, for whoever looks for the reason why a charger does not come up.

Nothing is kept: a client that is too slow loses the oldest frames and is told how many. Frames that hold a secret are
not shown by the central system in the first place.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

from pilotwire.core.time import to_rfc3339
from pilotwire.transport.bus import Frame, Subscription

from . import types
from .access import Principal
from .context import ApiContext
from .events import next_of
from .live import COMMENT, message
from .scope import visible_stations

BUFFER = 500
CHUNK = 64


async def stream(context: ApiContext, principal: Principal, station: str | None) -> AsyncIterator[bytes]:
    """Server-sent events: `frame` (FrameShown), `lagged`, and comments in silence."""
    tenant = principal.tenant
    subject = f"live.{tenant}.>" if station is None else f"live.{tenant}.{station}"
    subscription = context.bus.subscribe(subject, limit=BUFFER)
    queue: asyncio.Queue[Frame] = asyncio.Queue(maxsize=CHUNK)
    pump = asyncio.get_running_loop().create_task(_pump(subscription, queue))
    shed = 0
    try:
        yield b"retry: 2000\n: connected\n\n"
        while not context.closing.is_set():
            frame = await next_of(context, queue)
            if frame is None:
                yield COMMENT
                continue
            if subscription.shed != shed:
                yield message("lagged", {"frames": subscription.shed - shed})
                shed = subscription.shed
            visible = await visible_stations(context, principal)
            if visible is None or frame.station in visible:
                yield message("frame", shown(frame))
    finally:
        pump.cancel()
        subscription.close()


def shown(frame: Frame) -> types.FrameShown:
    """A frame as the API shows it; bytes that are not UTF-8 are shown as replacement characters."""
    return types.FrameShown(
        station_id=frame.station,
        time=to_rfc3339(frame.time),
        direction="in" if frame.direction == "in" else "out",
        text=frame.data.decode(errors="replace"),
    )


async def _pump(subscription: Subscription, queue: asyncio.Queue[Frame]) -> None:
    async for _, frame in subscription:
        await queue.put(frame)
