"""How a job of a commissioning runs: one at a time, cancelled or interrupted in good order, its progress told."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.domain.commissioning import Found, Job, JobKind, JobStatus, Refused, Verdict
from pilotwire.site.config import SiteConfig

from .course import Course, drive
from .record import Record

T = TypeVar("T")
_TODO: Mapping[JobKind, str] = {
    "scan": "Correct what is said there and look again",
    "phases": "Mend what is said there, then repeat for the EVSEs that are left",
    "failsafe": "Mend what is said there, then repeat",
    "dry_run": "Mend what is said there, then run dry again",
}


class Running(Record):
    """One job at a time, over what is known."""

    def found(self, one: Found) -> None:
        """See `scan.Watcher`."""
        self._found[one.id] = one
        self._save()

    def progress(self, done: int, total: int, words: str) -> None:
        """See `scan.Watcher`."""
        if self._job is not None and self._job.status == "running":
            self._job = msgspec.structs.replace(self._job, done=done, total=total or self._job.total, words=words)

    def _heard(self, verdict: Verdict) -> None:
        self._verdicts[verdict.evse] = verdict
        self._save()

    def _ready(self) -> SiteConfig:
        """The configuration for something that speaks to chargers. Raises Refused."""
        if self._live():
            raise Refused("the site is live and commands its chargers: stop it first, then commission it")
        self._idle()
        return self._draft.config

    def _idle(self) -> None:
        if self._closing:
            raise Refused("the program is ending")
        if self._busy():
            raise Refused("something is under way already: wait until it is over, or cancel it")

    def _begin(self, kind: JobKind, go: Callable[[], Coroutine[Any, Any, tuple[str, str]]], total: int = 0) -> None:
        self._idle()
        self._job = Job(kind=kind, status="running", begun_ms=self._utc(), total=total, words="beginning")
        self._save()
        self._task = asyncio.get_running_loop().create_task(self._run(kind, go))

    async def _run(self, kind: JobKind, go: Callable[[], Coroutine[Any, Any, tuple[str, str]]]) -> None:
        status: JobStatus = "done"
        try:
            words, todo = await go()
        except asyncio.CancelledError:
            status = "interrupted" if self._closing else "cancelled"
            words = "the program ended while it ran" if self._closing else "cancelled; nobody is commanded any more"
            todo = "Begin it again: what it had found until then is kept"
        except Exception as error:
            status, words, todo = "failed", _said(error), _TODO[kind]
        assert self._job is not None
        self._job = msgspec.structs.replace(
            self._job, status=status, ended_ms=self._utc(), words=words, todo=todo,
            done=self._job.total if status == "done" else self._job.done,
        )  # fmt: skip
        self._save()

    async def _driven(self, course: Course[T]) -> T:
        """A course, awaited; cancelled with whoever awaits it."""
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def done(result: T | None, error: Exception | None) -> None:
            if future.done():
                return
            if error is not None:
                future.set_exception(error)
            else:
                future.set_result(result)  # type: ignore[arg-type]

        driven = drive(course, self._scheduler, done)
        try:
            return await future
        finally:
            driven.cancel()

    # --- how it ends ----------------------------------------------------------------------------------------------

    async def cancel(self) -> None:
        """See `Commissioning.cancel`."""
        task = self._task
        if task is None or task.done():
            raise Refused("nothing is under way")
        task.cancel()
        await asyncio.wait([task])
        self._never_begun("cancelled")

    def _never_begun(self, status: JobStatus) -> None:
        """A task that was cancelled before its first step has said nothing."""
        if self._busy() and self._job is not None:
            words = "cancelled before anything was begun"
            self._job = msgspec.structs.replace(self._job, status=status, ended_ms=self._utc(), words=words)
            self._save()

    async def close(self) -> None:
        """What is under way ends, everybody is safe; it shows as interrupted when it is opened again."""
        self._closing = True
        if self._task is not None and not self._task.done():
            self._task.cancel()
            await asyncio.wait([self._task])
            self._never_begun("interrupted")
        self._save()


def _said(error: Exception) -> str:
    if isinstance(error, ExceptionGroup):
        return "; ".join(dict.fromkeys(_said(each) for each in error.exceptions))
    return str(error) if isinstance(error, PilotwireError | Refused) else f"{type(error).__name__}: {error}"
