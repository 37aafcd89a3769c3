"""Raw frames of the stations that somebody looks at, both ways: what the journal does not keep (our answers, signs of
life, what was refused) and when it passed.

A station is listened to from the first look on and until nobody has looked for a while; nothing is listened to
otherwise, since every frame costs. Bounded in stations and frames.
"""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Sequence

from pilotwire.transport.bus import Frame, Subscription

from .context import ApiContext

FRAMES = 400
STATIONS = 100
IDLE_MS = 15 * 60_000
_CHUNK = 200


class _Tap:
    """The frames of one station."""

    def __init__(self, subscription: Subscription, now: int) -> None:
        self.subscription = subscription
        self.frames: deque[Frame] = deque(maxlen=FRAMES)
        self.since = now
        self.used = now

    def take(self) -> None:
        """What has passed since the last look. The subscription holds as many as we keep: no task is needed."""
        while got := self.subscription.drain(_CHUNK):
            self.frames.extend(frame for _, frame in got)


class Recorder:
    """Taps by (tenant, station)."""

    def __init__(self) -> None:
        self._taps: OrderedDict[tuple[str, str], _Tap] = OrderedDict()

    def frames(self, context: ApiContext, tenant: str, station: str) -> tuple[Sequence[Frame], int]:
        """The newest frames, oldest first, and since when they are complete (ms). Begins to listen with the first
        call; the caller has seen to it that this station may be looked at."""
        now = context.scheduler.now()
        self._forget(now)
        key = (tenant, station)
        tap = self._taps.get(key)
        if tap is None:
            while len(self._taps) >= STATIONS:
                self._close(next(iter(self._taps)))
            subscription = context.bus.subscribe(f"live.{tenant}.{station}", limit=FRAMES)
            tap = self._taps[key] = _Tap(subscription, now)
        self._taps.move_to_end(key)
        tap.used = now
        tap.take()
        return tap.frames, tap.since

    def close(self) -> None:
        """Listen to nobody any more."""
        for key in list(self._taps):
            self._close(key)

    def _forget(self, now: int) -> None:
        for key in [key for key, tap in self._taps.items() if now - tap.used > IDLE_MS]:
            self._close(key)

    def _close(self, key: tuple[str, str]) -> None:
        self._taps.pop(key).subscription.close()


def recorder_of(context: ApiContext) -> Recorder:
    """The one recorder of this context."""
    if Recorder not in context.parts:
        context.parts[Recorder] = Recorder()
    return context.parts[Recorder]
