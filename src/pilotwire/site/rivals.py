"""Two controllers at one charger: somebody else writes its set-point, beside us. A `run.Part`.

A driver that reads back what it wrote notices another value; it counts that and writes its own again. Here it is told
to people: three times within ten minutes is no accident.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol, runtime_checkable

from .decide import Decision
from .inputs import TickInputs
from .loop import Loop

FIGHTS = 3
WITHIN_MS = 600_000
SAID_AGAIN_MS = 3_600_000


@runtime_checkable
class Contested(Protocol):
    """A driver that knows how often somebody else's value was found in its charger."""

    @property
    def id(self) -> str: ...

    @property
    def contested(self) -> int: ...


class Rivals:
    """Of all EVSEs of a site. `note` writes it on record: (by, what, "")."""

    def __init__(self, report: Callable[[str], None], note: Callable[[str, str, str], None] | None = None) -> None:
        self._report, self._note = report, note
        self._drivers: list[Contested] = []
        self._counts: dict[str, int] = {}
        self._found: dict[str, tuple[int, ...]] = {}
        self._said: dict[str, int] = {}

    async def start(self, loop: Loop) -> None:
        """See `run.Part`."""
        self._drivers = [driver for driver in loop.evses if isinstance(driver, Contested)]
        self._counts = {driver.id: driver.contested for driver in self._drivers}
        loop.watchers.append(self._decided)

    async def stop(self) -> None:
        """See `run.Part`."""

    def _decided(self, inputs: TickInputs, decision: Decision) -> None:
        now = inputs.now.tick_ms
        for driver in self._drivers:
            id, count = driver.id, driver.contested
            if count == self._counts[id]:
                continue
            self._counts[id] = count
            recent = tuple(at for at in self._found.get(id, ()) if now - at < WITHIN_MS)
            recent = self._found[id] = (*recent, now)[-FIGHTS:]
            said = self._said.get(id)
            if len(recent) < FIGHTS or (said is not None and now - said < SAID_AGAIN_MS):
                continue
            self._said[id] = now
            seconds = (recent[-1] - recent[0]) // 1_000
            text = (
                f"somebody else writes the set-point of {id}, or it falls back by itself: {FIGHTS} times in {seconds} s"
            )
            self._report(f"{text}; we write ours again. Let one alone command it, or look at its watchdog")
            if self._note is not None:
                self._note(f"somebody at {id}", text, "")
