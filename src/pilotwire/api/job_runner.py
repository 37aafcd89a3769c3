"""Does what jobs order: wave after wave of stations, each wave written down before it begins and when it is over.

So a restart knows which stations were under way: an order that can be given twice without harm is given again, a
command is not, since the station may have had it (`unknown`). Of two processes that take up the same job the one whose
write comes first goes on; the other sees by the version that it is not alone, and leaves it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from typing import Any

import msgspec

from pilotwire.core.ids import DEFAULT_TENANT
from pilotwire.storage import documents
from pilotwire.storage.documents import Change, Conflict, sort_time
from pilotwire.transport.bus import JobNews

from . import types
from .access import TENANT_KIND, Principal
from .commands import execute
from .context import ApiContext
from .language import DEFAULT, spoken
from .problems import Problem
from .resources import stations, variables
from .resources.jobs import ENDED, JOBS, OUTCOME_KIND, STATIONS_KIND, JobRecord, OutcomeRecord, outcome_id
from .tenancy import PLATFORM, bound

log = logging.getLogger(__name__)

AT_ONCE = 4
"""Jobs that are done at the same time; others wait their turn."""
_HARMLESS_TWICE = ("set-variables", "refresh-variables", "change", "delete")
_GOOD = frozenset(("Accepted", "RebootRequired", "Scheduled", "Unlocked", "AcceptedCanceled", "Success"))
"""Statuses in a station's answer that say yes; an answer without a status says so too."""
_PAGE = 500
_AGAIN_S = 5.0


class _Running:
    """A job that is being done."""

    def __init__(self, record: JobRecord) -> None:
        self.record = record
        self.cancel = False


class JobRunner:
    """See the module; `pilotwire.api.workers.Worker`."""

    def __init__(self, context: ApiContext) -> None:
        self._context = context
        self._tasks: dict[tuple[str, str], asyncio.Task[None]] = {}
        self.running: dict[tuple[str, str], _Running] = {}
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def start(self) -> None:
        """Take up what the last process left."""
        self._context.parts[JobRunner] = self
        for tenant in await self._tenants():
            context = bound(self._context, tenant)
            async for job_id, kept in JOBS.every(context, tenant):
                if kept.value.status not in ENDED:
                    self.wake(tenant, job_id)

    async def stop(self) -> None:
        """Leave everything as it is kept; the next process goes on."""
        self._context.parts.pop(JobRunner, None)
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def wake(self, tenant: str, job_id: str) -> None:
        """Do this job."""
        key = (tenant, job_id)
        if key in self._tasks:
            return
        with spoken(DEFAULT):  # what is kept is kept in English, whoever orders it
            task = asyncio.get_running_loop().create_task(self._do(tenant, job_id), name=f"job {job_id}")
        self._tasks[key] = task
        task.add_done_callback(lambda _: self._tasks.pop(key, None))

    async def _tenants(self) -> set[str]:
        found = {DEFAULT_TENANT, *(one.tenant for one in await self._context.store.accounts())}
        cursor: str | None = None
        while True:
            page = await self._context.store.documents(PLATFORM, TENANT_KIND, cursor=cursor, limit=_PAGE)
            found.update(one.id for one in page.items)
            cursor = page.next
            if cursor is None:
                return found

    async def _do(self, tenant: str, job_id: str) -> None:
        async with self._turns:
            while True:
                try:
                    await _Work(self, bound(self._context, tenant), tenant, job_id).do()
                    return
                except Exception:  # the store was away: what is kept is true, go on from there
                    log.exception("job %s could not go on", job_id)
                    await asyncio.sleep(_AGAIN_S)
                finally:
                    self.running.pop((tenant, job_id), None)


class _Left(Exception):
    """Somebody else does this job, or it is gone."""


class _Work:
    """One job from where it stands to its end."""

    def __init__(self, runner: JobRunner, context: ApiContext, tenant: str, job_id: str) -> None:
        self._runner = runner
        self._context = context
        self._tenant = tenant
        self._id = job_id
        self._version = 0

    async def do(self) -> None:
        kept = await JOBS.find(self._context, self._tenant, self._id)
        if kept is None or kept.value.status in ENDED:
            return
        record, self._version = kept.value, kept.version
        running = self._runner.running[self._tenant, self._id] = _Running(record)
        running.cancel = record.status == "cancelling"
        document = await self._context.store.document(self._tenant, STATIONS_KIND, self._id)
        names = documents.unpack(document, list[str]).value if document is not None else []
        with contextlib.suppress(_Left):
            await self._go_on(running, names)

    async def _go_on(self, running: _Running, names: list[str]) -> None:
        record = running.record
        have = await self._outcomes()
        record.succeeded = sum(one.ok for one in have.values())
        record.failed = len(have) - record.succeeded
        if not running.cancel:
            record.status = "running"
        record.started_at = record.started_at or self._context.scheduler.now()
        cut_off = [] if record.kind in _HARMLESS_TWICE else [one for one in record.under_way if one not in have]
        numbers = {name: number for number, name in enumerate(names)}
        changes: list[Change] = []
        for name in cut_off:
            text = "The server was stopped while this was under way; it was not done again."
            lost = OutcomeRecord(station=name, ok=False, outcome="unknown", text=text, at=self._context.scheduler.now())
            have[name] = lost
            record.failed += 1
            changes.append(self._put(numbers[name], lost))
        todo = [name for name in names if name not in have]
        size = max(20, record.concurrency * 5)
        stopped = False
        while todo and not running.cancel and not stopped:
            wave, todo = todo[:size], todo[size:]
            record.under_way = wave
            await self._save(running, changes)
            changes, untried = await self._wave(running, wave, numbers)
            todo = [*untried, *todo]
            stopped = not record.continue_on_error and record.failed > 0
        record.under_way = []
        record.skipped = len(todo)
        record.status = "cancelled" if running.cancel else "failed" if stopped and todo else "done"
        record.ended_at = self._context.scheduler.now()
        await self._save(running, changes)

    async def _wave(
        self, running: _Running, wave: list[str], numbers: dict[str, int]
    ) -> tuple[list[Change], list[str]]:
        """Do these, some at a time. Returns what to write and the stations that were not begun."""
        record = running.record
        principal = Principal(
            tenant=self._tenant,
            name=record.by,
            role=record.role,
            by="system",
            sites=frozenset(record.sites) if record.sites is not None else None,
            tokens=frozenset(record.tokens) if record.tokens is not None else None,
        )
        changes: list[Change] = []
        waiting = list(reversed(wave))
        begun: set[str] = set()

        async def work() -> None:
            while waiting and not running.cancel and (record.continue_on_error or not record.failed):
                name = waiting.pop()
                begun.add(name)
                outcome = await self._one(principal, record, name)
                begun.discard(name)
                record.succeeded += outcome.ok
                record.failed += not outcome.ok
                changes.append(self._put(numbers[name], outcome))
                self._tell()

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(record.concurrency, len(wave))):
                    group.create_task(work())
        except asyncio.CancelledError:
            # The server stops: what is done is written down, and only what was really under way is uncertain.
            record.under_way = [name for name in wave if name in begun]
            with contextlib.suppress(_Left):
                await self._save(running, changes)
            raise
        return changes, list(reversed(waiting))

    async def _one(self, principal: Principal, record: JobRecord, station: str) -> OutcomeRecord:
        """Do it to one station; whatever goes wrong is its outcome."""
        try:
            made = await _ORDERS[record.kind](self._context, principal, record, station)
        except Problem as refused:
            made = OutcomeRecord(
                station=station,
                ok=False,
                outcome="failed",
                text=refused.details.detail,
                problem=refused.details.type.partition("#problem-")[2],
                command_id=refused.details.command_id or "",
            )
        except Exception:  # a mistake of ours at one station; the others go on
            log.exception("job %s failed at %s", self._id, station)
            made = OutcomeRecord(
                station=station, ok=False, outcome="failed", text="Something is broken on our side.", problem="broken"
            )
        made.at = self._context.scheduler.now()
        return made

    def _put(self, number: int, outcome: OutcomeRecord) -> Change:
        name = outcome_id(self._id, number)
        return documents.put(OUTCOME_KIND, name, outcome, sort=name)

    async def _outcomes(self) -> dict[str, OutcomeRecord]:
        found: dict[str, OutcomeRecord] = {}
        cursor: str | None = None
        while True:
            page = await self._context.store.documents(
                self._tenant, OUTCOME_KIND, low=f"{self._id}/", high=f"{self._id}0", cursor=cursor, limit=_PAGE
            )
            for one in page.items:
                outcome = documents.unpack(one, OutcomeRecord).value
                found[outcome.station] = outcome
            cursor = page.next
            if cursor is None:
                return found

    def _tell(self) -> None:
        """Whoever follows the job looks at it again."""
        self._context.bus.publish(f"jobs.{self._tenant}.{self._id}", JobNews(tenant=self._tenant, job=self._id))

    async def _save(self, running: _Running, outcomes: list[Change]) -> None:
        """Progress and outcomes in one transaction. Raises _Left when the job is somebody else's, or gone."""
        record = running.record
        while True:
            put = documents.put(JOBS.kind, self._id, record, sort=sort_time(record.created_at), expected=self._version)
            try:
                self._version = (await self._context.store.write_documents(self._tenant, [put, *outcomes]))[0]
                self._tell()
                return
            except Conflict:
                kept = await JOBS.find(self._context, self._tenant, self._id)
                if kept is None or kept.value.status != "cancelling":
                    raise _Left from None
                # A person has asked for the end meanwhile: that is the one change that is not ours.
                self._version = kept.version
                running.cancel = True
                if record.status not in ENDED:
                    record.status = "cancelling"


# -- orders -----------------------------------------------------------------------------------------------------------
async def _command(context: ApiContext, principal: Principal, record: JobRecord, station: str) -> OutcomeRecord:
    given = msgspec.convert(record.payload, types.NewCommand)
    given.reason = given.reason or record.reason
    answer = await execute(context, principal, station, given)
    return _answered(station, answer)


def _answered(station: str, answer: types.CommandAnswer) -> OutcomeRecord:
    said: dict[str, Any] = answer.answer
    status = str(said.get("status", ""))
    ok = answer.outcome == "answered" and (not status or status in _GOOD)
    if answer.outcome == "refused":
        text = f"{said.get('code', 'Error')}: {said.get('description') or 'refused'}"
    else:
        text = f"The station answered {status}." if status else "The station answered."
    return OutcomeRecord(
        station=station,
        ok=ok,
        outcome="done" if ok else "refused",
        text=text,
        command_id=answer.command_id,
        answer=said,
    )


async def _set(context: ApiContext, principal: Principal, record: JobRecord, station: str) -> OutcomeRecord:
    given = msgspec.convert(record.payload, types.VariableSettings)
    told = await variables.change(context, principal, station, given)
    ok = told.accepted == len(told.results)
    text = " ".join(f"{one.variable}: {one.message}" for one in told.results)
    return OutcomeRecord(
        station=station,
        ok=ok,
        outcome="done" if ok else "refused",
        text=text[:1000],
        command_id=told.results[-1].command_id,
        answer=[{"variable": one.variable, "status": one.status} for one in told.results],
    )


async def _refresh(context: ApiContext, principal: Principal, record: JobRecord, station: str) -> OutcomeRecord:
    given = msgspec.convert(record.payload, types.VariableRefresh)
    told = await variables.refresh(context, principal, station, given)
    made = _answered(station, told.answer)
    made.answer = {"status": told.answer.answer.get("status", "")}
    return made


async def _change(context: ApiContext, principal: Principal, record: JobRecord, station: str) -> OutcomeRecord:
    given = msgspec.convert(record.payload, types.StationChange)
    await stations.change(context, principal, station, given)
    return OutcomeRecord(station=station, ok=True, outcome="done", text="Changed.")


async def _delete(context: ApiContext, principal: Principal, record: JobRecord, station: str) -> OutcomeRecord:
    await stations.remove(context, principal, station)
    return OutcomeRecord(station=station, ok=True, outcome="done", text="Its account is deleted.")


_ORDERS = {
    "command": _command,
    "set-variables": _set,
    "refresh-variables": _refresh,
    "change": _change,
    "delete": _delete,
}


# -- for the resource -------------------------------------------------------------------------------------------------
def wake(context: ApiContext, tenant: str, job_id: str) -> None:
    """Let the runner of this process, where there is one, do this job; else the next that starts does."""
    runner: JobRunner | None = context.parts.get(JobRunner)
    if runner is not None:
        runner.wake(tenant, job_id)


def running(context: ApiContext, tenant: str, job_id: str) -> JobRecord | None:
    """The record that is being worked on in this process."""
    runner: JobRunner | None = context.parts.get(JobRunner)
    found = runner.running.get((tenant, job_id)) if runner is not None else None
    return found.record if found is not None else None


def cancelled(context: ApiContext, tenant: str, job_id: str) -> None:
    """Begin no further station of this job."""
    runner: JobRunner | None = context.parts.get(JobRunner)
    if runner is None:
        return
    found = runner.running.get((tenant, job_id))
    if found is not None:
        found.cancel = True
        found.record.status = "cancelling"
    else:
        runner.wake(tenant, job_id)
