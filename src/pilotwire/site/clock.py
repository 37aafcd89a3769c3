"""A clock of the day that jumps, by hand or by NTP, is marked for an hour, told and put on record. A `run.Part`.

Control itself runs on the steady clock and does not notice; windows, schedules and prices rest on the time of the day.
"""

from __future__ import annotations

from collections.abc import Callable

from pilotwire.domain.energy import Moment
from pilotwire.domain.seen import Mark

from .decide import Decision
from .inputs import TickInputs
from .loop import Loop

MARKED_MS = 3_600_000
STEP_MS = 2_000
"""What UTC may gain or lose against the steady clock from one tick to the next."""


def clock_step(before: Moment | None, now: Moment) -> str:
    """How UTC has jumped since the last tick, in words; empty: it has not."""
    if before is None:
        return ""
    step = (now.utc_ms - before.utc_ms) - (now.tick_ms - before.tick_ms)
    if abs(step) <= STEP_MS:
        return ""
    return f"the clock has been set {'forward' if step > 0 else 'back'} by {abs(step)} ms"


class ClockWatch:
    """Of one site. `note` writes it on record: (by, what, "")."""

    def __init__(self, report: Callable[[str], None], note: Callable[[str, str, str], None] | None = None) -> None:
        self._report, self._note = report, note
        self._loop: Loop | None = None
        self._before: Moment | None = None
        self._until_ms = 0

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        self._loop = loop
        loop.watchers.append(self._decided)

    async def stop(self) -> None:
        """See `run.Part`."""

    def _decided(self, inputs: TickInputs, decision: Decision) -> None:
        if self._loop is None:
            return
        found = clock_step(self._before, inputs.now)
        self._before = inputs.now
        if found:
            self._until_ms = inputs.now.tick_ms + MARKED_MS
            words = f"{found}; windows, schedules and prices go by it"
            self._loop.notices["clock"] = Mark("site", "clock_step", words)
            self._report(words)
            if self._note is not None:
                self._note("the clock", found, "")
        elif inputs.now.tick_ms >= self._until_ms:
            self._loop.notices.pop("clock", None)
