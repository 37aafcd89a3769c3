"""From samples to states: a state counts once it has stayed for `t_debounce`."""

from __future__ import annotations

from typing import Literal

from . import timers
from .levels import PilotSample, State, diode_missing, state_of

Seen = State | Literal["diode", "range"]
"""`diode`: it is missing; `range`: a voltage that no state has."""


class PilotReader:
    """What is on the pilot, as the EVSE sees it while it drives +12 V or an oscillation."""

    __slots__ = ("_next", "_raw", "_since", "seen", "since")

    def __init__(self) -> None:
        self.seen: Seen | None = None
        """The state that counts. None: not known yet."""
        self.since = 0
        """When the sample came that began it."""
        self._raw: State | None = None
        self._next: Seen | None = None
        self._since = 0

    @property
    def coming(self) -> Seen | None:
        """What is shown, and has not been shown for long enough yet."""
        return self._next

    @property
    def deadline(self) -> int | None:
        return None if self._next is None else self._since + timers.DEBOUNCE.ms

    def sample(self, sample: PilotSample, now: int) -> bool:
        """A sample came. True: a new state counts."""
        state = state_of(sample.high_mv, self._raw)
        self._raw = state
        now_seen: Seen
        if state is None or state == "F":
            now_seen = "range"
        elif state != "E" and diode_missing(sample):
            now_seen = "diode"
        else:
            now_seen = state
        if now_seen == self.seen:
            self._next = None
        elif now_seen != self._next:
            self._next, self._since = now_seen, now
        return self.elapse(now)

    def elapse(self, now: int) -> bool:
        """Time has gone by. True: a new state counts."""
        if self._next is None or now < self._since + timers.DEBOUNCE.ms:
            return False
        self.seen, self.since, self._next = self._next, self._since, None
        return True

    def forget(self) -> None:
        """The pilot is driven to E or F, or comes back from there: nothing is known of the vehicle."""
        self.seen = self._next = self._raw = None
