"""Work that goes on over time, written from top to bottom, in whatever time a scheduler keeps.

A `Course` is a generator that yields how many ms it wants to wait and returns what it has found. `drive` runs one; to
cancel it closes the generator, so that its `finally` sees to it that nobody is left commanded.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, Generic, TypeVar

from pilotwire.core.time import Scheduler, Timer

T = TypeVar("T")
Course = Generator[int, None, T]


class Driven(Generic[T]):
    """A course that runs. `done` is called once: with its result and None, or with None and what it raised."""

    def __init__(
        self, course: Course[T], scheduler: Scheduler, done: Callable[[T | None, Exception | None], None]
    ) -> None:
        self._course, self._scheduler, self._done = course, scheduler, done
        self._timer: Timer | None = scheduler.call_later(0, self._step)

    def cancel(self) -> None:
        """It ends where it waits; `done` is not called."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
            self._course.close()

    def _step(self) -> None:
        self._timer = None
        result: Any
        try:
            wait = next(self._course)
        except StopIteration as end:
            result = end.value
            self._done(result, None)
        except Exception as error:  # whoever waits for it is told
            self._done(None, error)
        else:
            self._timer = self._scheduler.call_later(wait, self._step)


def drive(course: Course[T], scheduler: Scheduler, done: Callable[[T | None, Exception | None], None]) -> Driven[T]:
    """Run a course from now on."""
    return Driven(course, scheduler, done)
