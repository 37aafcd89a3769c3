"""What the API does by itself, beside answering requests: one place that starts and stops it.

A worker is an object with `start` and `stop`, made of the context alone. It begins again where the last process stopped
(its state lies in documents), so that several lives of a process do the work of one. A worker that cannot start is
logged and left out: the others and the API itself go on.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import Protocol

from .context import ApiContext

log = logging.getLogger(__name__)


class Worker(Protocol):
    """Work beside the requests."""

    async def start(self) -> None:
        """Begin; returns when it is under way."""
        ...

    async def stop(self) -> None:
        """End what is under way and keep what is not done. Safe without `start`."""
        ...


Make = Callable[[ApiContext], Worker]


def workers() -> list[Make]:
    """How every worker is made, in the order of their starting. Imported when asked for: the command line's help and
    the API without a server need none of them."""
    from .firmware_worker import FirmwareWorker
    from .happenings.deliver import Deliverer
    from .happenings.mail import Mailer
    from .happenings.reporting import Reporting
    from .happenings.worker import Happenings
    from .job_runner import JobRunner

    return [JobRunner, Deliverer, Mailer, Happenings, FirmwareWorker, Reporting]


class Workers:
    """All workers of this process, from `start` to `stop`."""

    def __init__(self, context: ApiContext, makers: Sequence[Make] | None = None) -> None:
        """`makers` None: all of `workers()`."""
        self._context = context
        self._makers = makers
        self.running: list[Worker] = []

    async def start(self) -> None:
        """Start them one after the other."""
        for make in workers() if self._makers is None else self._makers:
            worker = make(self._context)
            try:
                await worker.start()
            except Exception:  # whatever is wrong with one, the others and the API go on
                log.exception("a worker could not be started: %s", type(worker).__name__)
                await worker.stop()
            else:
                self.running.append(worker)

    async def stop(self) -> None:
        """Stop them, last first. Safe to call twice."""
        while self.running:
            worker = self.running.pop()
            try:
                await worker.stop()
            except Exception:  # the others are to be stopped too
                log.exception("a worker did not stop cleanly: %s", type(worker).__name__)
