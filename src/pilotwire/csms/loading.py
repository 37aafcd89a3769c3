"""A station's state in memory: read from the store when it is first needed, and again when it may be ahead of it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from pilotwire.core.time import Timer
from pilotwire.domain.stations import StationState
from pilotwire.storage.port import StationImage, StoreFailed

if TYPE_CHECKING:
    from .actor import StationActor

Callback = Callable[[], None]


class Loading:
    """Reads `StationActor.state`, takes it away, and calls those who wait for it."""

    __slots__ = ("_actor", "_first", "_mending", "_reading", "_ready", "_stopped", "_timer", "failures", "stale")

    def __init__(self, actor: StationActor) -> None:
        self._actor = actor
        self._reading = False
        """It is being read, or will be when `_timer` rings."""
        self._stopped = False
        self._timer: Timer | None = None
        self._mending: Timer | None = None
        self._first: list[Callback] = []
        """What the end of a connection left to do while the state was away."""
        self._ready: list[Callback] = []
        """Who else waits for the state."""
        self.failures = 0
        """Commits that failed in a row."""
        self.stale = False
        """What is in memory is ahead of the store, and a message is under way."""

    def first(self, callback: Callback) -> None:
        """Call back as soon as the state is there, before anybody else."""
        self._first.append(callback)
        self.load()

    def when_ready(self, callback: Callback) -> None:
        """Call back with the state loaded: at once if it is."""
        if self._actor.state is not None:
            callback()
            return
        self._ready.append(callback)
        self.load()

    def load(self) -> None:
        """Read it, unless that is under way."""
        if self._reading or self._stopped:
            return
        self._reading = True
        actor, around = self._actor, self._actor.around
        try:
            around.store.load_station(actor.key, self._loaded)
        except StoreFailed as error:  # the station waits, and it is asked again
            around.log("the station's state cannot be read", actor.key, error=str(error))
            self._timer = around.scheduler.call_later(around.config.retry_load_ms, self._load_again)

    def _load_again(self) -> None:
        self._timer = None
        self._reading = False
        self.load()

    def _loaded(self, image: StationImage) -> None:
        self._reading = False
        actor = self._actor
        state = StationState.from_image(actor.key, image.station, image.sessions, image.complete, image.commands)
        actor.state = state
        if self._mending is not None:
            self._mending.cancel()
        if self.failures:
            self._mending = actor.around.scheduler.call_later(actor.around.config.retry_load_ms, self._mend)
        else:
            self._mend()
        actor.outbox.restore(state.commands)
        while self._first and actor.state is state:
            self._first.pop(0)()
        while actor.state is state and actor.connections.enter_next():
            continue
        while self._ready and actor.state is state:
            self._ready.pop(0)()
        if actor.state is state:
            actor.outbox.pump()
            actor.incoming.drain()

    def _mend(self) -> None:
        """Record what the store has not heard: a process died without a word, or the commit that said it failed."""
        self._mending = None
        if self._actor.state is not None:
            self._actor.connections.agree()

    def forget(self) -> None:
        """What is in memory may be ahead of the store: read it anew before anything else is decided.

        With a pause that grows, for a store that fails does not get better by being asked all the time.
        """
        actor = self._actor
        actor.state = None
        self.stale = False
        self.failures += 1
        if not self._reading and not self._stopped:
            self._reading = True
            delay = min(actor.around.config.retry_load_ms, 10 << min(self.failures, 10))
            self._timer = actor.around.scheduler.call_later(delay, self._load_again)

    def stop(self) -> None:
        """Call off the timers and read no more."""
        self._stopped = True
        for timer in (self._timer, self._mending):
            if timer is not None:
                timer.cancel()
