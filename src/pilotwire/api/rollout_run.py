"""One roll-out as it is being done: stage by stage, by the rules of `domain.rollouts`.

What is done to each station, and how it is seen to be done, is said by the kinds of it: `rollout_firmware`,
`rollout_certificates`.
"""

from __future__ import annotations

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, NamedTuple, Self

from pilotwire.domain import rollouts
from pilotwire.domain.alarms import Place
from pilotwire.domain.records import Station
from pilotwire.domain.rollouts import Member, settle
from pilotwire.storage.documents import Change, Conflict, put, sort_time, unpack
from pilotwire.transport.bus import Event, RolloutNews

from . import audit
from .access import Principal
from .happenings.worker import Happenings
from .problems import Problem
from .resources.rollouts import MEMBER_KIND, ROLLOUTS, RolloutRecord, count, member_id

if TYPE_CHECKING:
    from .firmware_worker import Fleet

log = logging.getLogger(__name__)

LOOK_MS = 10_000
"""How often the stations of a roll-out are looked at, at most: whether they are there, free, and heard of."""
_LOOK_EACH_MS = 10
"""And this much longer for each of them: a large roll-out is looked at less often."""
_CHUNK = 500
OPEN: Final = frozenset(("ordering", "updating"))
"""States of stations that are under way."""


class Seen(NamedTuple):
    """What a look at a station showed."""

    connected: bool
    busy: bool
    firmware: str
    away_since: int
    """When it was lost; 0 while it is there."""
    heard_at: int


class Run(ABC):
    """A roll-out that is being done."""

    def __init__(self, fleet: Fleet, id: str, record: RolloutRecord, version: int, members: list[Member]) -> None:
        self._fleet = fleet
        self._context = fleet.context
        self._id = id
        self._version = version
        self.record = record
        self.asked = True
        """Somebody wants something of it."""
        self._members = members
        self._by_name = {one.station: one for one in members}
        self._changed: set[int] = set()
        self._dirty = True
        self._looked_at = 0
        self._seen: dict[str, Seen] = {}
        self._lock = asyncio.Lock()

    @classmethod
    async def load(cls, fleet: Fleet, id: str, record: RolloutRecord, version: int) -> Self:
        """From what is kept."""
        context, members = fleet.context, list[Member]()
        cursor: str | None = None
        while True:
            page = await context.store.documents(
                fleet.tenant, MEMBER_KIND, low=f"{id}/", high=f"{id}0", cursor=cursor, limit=_CHUNK
            )
            members += [unpack(one, Member).value for one in page.items]
            if (cursor := page.next) is None:
                break
        run = cls(fleet, id, record, version, members)
        for member in members:
            if member.state in OPEN:
                await run._take_up(member)
        await run._tell_alarms()
        return run

    # -- what is done to a station ------------------------------------------------------------------------------------
    @abstractmethod
    async def _take_up(self, member: Member) -> None:
        """It was under way when the process before ended."""

    @abstractmethod
    def _pass_over(self, seen: Seen) -> str:
        """Why a station needs nothing; "" where it does."""

    @abstractmethod
    async def _do(self, principal: Principal, member: Member) -> tuple[rollouts.State, str]:
        """Order it. Returns where the station stands then, and why. Raises Problem."""

    def _unanswered(self, member: Member) -> bool:
        """A station that has not answered the order may have it all the same."""
        return True

    @abstractmethod
    async def _follow(self, now: int) -> None:
        """Look what has become of those that are under way, where nobody tells it."""

    def _can_begin(self, seen: Seen) -> bool:
        return seen.connected and (not seen.busy or self.record.policy.also_busy)

    # -- what stations told -------------------------------------------------------------------------------------------
    def security_event(self, event: Event, kind: str) -> None:
        """At a station that was begun."""
        member = self._by_name.get(event.station)
        if member is None or event.seq <= self.record.seq or member.state not in (*OPEN, *rollouts.OVER):
            return
        if member.state != "skipped" and kind not in rollouts.EXPECTED_EVENTS:
            member.security_events += 1
            self._note(member, event.seq)

    def session_ended(self, event: Event, reason: str) -> None:
        """At a station that has the new firmware."""
        member = self._by_name.get(event.station)
        if member is None or event.seq <= self.record.seq or member.state != "installed" or member.session_failed:
            return
        if reason in rollouts.BAD_ENDS and event.recv_time >= member.changed_at:
            member.session_failed = True
            member.why = f"a session ended with {reason}"
            self._note(member, event.seq)

    def _note(self, member: Member, seq: int) -> None:
        self._changed.add(member.number)
        self._dirty = True
        self.record.seq = max(self.record.seq, seq)

    def _settle(self, member: Member, state: rollouts.State, why: str) -> None:
        settle(member, state, why, self._context.scheduler.now())
        self._changed.add(member.number)
        self._dirty = True

    # -- going on -----------------------------------------------------------------------------------------------------
    async def step(self) -> None:
        """Do what is due."""
        async with self._lock:
            if self.asked and not await self._hear():
                return
            record, now = self.record, self._context.scheduler.now()
            await self._follow(now)
            if record.status in ("stopped", "paused", "done"):
                if self._dirty:
                    await self._keep()
                return
            looked = await self._look(now)
            if record.status == "running":
                await self._fill(now)
                self._order(now, looked)
            found = count(record, self._members)
            target = rollouts.targets(record.total, record.policy.stages)[record.stage - 1]
            if why := rollouts.judge(record.policy, target, rollouts.forgive(found, record.forgiven)):
                await self._stop(why)
            elif record.status == "pausing" and not found.under_way:
                self._stand("paused")
            elif record.status in ("running", "watching"):
                self._advance(now)
            if self._dirty:
                await self._keep()

    async def _hear(self) -> bool:
        """Take up what a person wants; False when it has been deleted."""
        kept = await ROLLOUTS.find(self._context, self._fleet.tenant, self._id)
        if kept is None:
            self._fleet.rollouts.pop(self._id, None)
            self.record.by_itself = False
            await self._tell_alarms()
            return False
        self.asked = False
        self._version = kept.version
        record, wish = self.record, kept.value.wish
        record.wish = ""
        match wish:
            case "pause" if record.status in ("running", "watching"):
                self._stand("pausing")
            case "stop" if record.status != "done":
                self._stand("stopped", "a person has ended it")
                await self._tell_alarms()
            case "go" if record.status in ("pausing", "paused", "stopped"):
                if record.status == "stopped":
                    record.forgiven = list(count(record, self._members))
                self._stand("running")
                record.watch_since = 0
                record.ended_at = None
                await self._tell_alarms()
            case _:
                pass
        if wish:
            self._dirty = True
        return True

    def _stand(self, status: rollouts.Status, why: str = "", *, by_itself: bool = False) -> None:
        record = self.record
        record.status, record.why, record.by_itself = status, why, by_itself
        record.ended_at = self._context.scheduler.now() if status in ("stopped", "done") else None
        self._dirty = True

    async def _stop(self, why: str) -> None:
        """Something goes wrong: nobody else is begun."""
        self._stand("stopped", why, by_itself=True)
        principal = Principal(tenant=self._fleet.tenant, name="system", role="admin", by="system")
        detail: dict[str, object] = {"tally": list(count(self.record, self._members)), "stage": self.record.stage}
        await audit.record(self._context, principal, "rollouts.stop", f"rollout {self._id}", detail=detail, reason=why)
        await self._tell_alarms()

    async def _tell_alarms(self) -> None:
        happenings: Happenings | None = self._context.parts.get(Happenings)
        if happenings is not None:
            stands = self.record.status == "stopped" and self.record.by_itself
            await happenings.gauge(self._fleet.tenant, Place("", self._id), "rollout-stopped", int(stands))

    def _advance(self, now: int) -> None:
        record = self.record
        chosen = record.status == "running" and record.filled >= record.stage
        if chosen and rollouts.stage_over(self._members, record.stage):
            record.status, record.watch_since = "watching", now
            self._dirty = True
        if record.status == "watching" and now - record.watch_since >= record.policy.watch_s * 1000:
            last = record.stage >= len(record.policy.stages) or all(one.stage for one in self._members)
            if last:
                self._stand("done")
            else:
                record.stage, record.status, record.watch_since = record.stage + 1, "running", 0
                self._dirty = True
            self._looked_at = 0

    # -- the stations -------------------------------------------------------------------------------------------------
    async def _look(self, now: int) -> bool:
        """Look at the stations, unless that was done a moment ago; who is lost is noted."""
        chosen = [one for one in self._members if one.state in ("waiting", "installed")]
        if 0 <= now - self._looked_at < LOOK_MS + _LOOK_EACH_MS * len(chosen):
            return False
        self._looked_at = now
        self._seen = await self._look_at(one.station for one in chosen)
        for member in chosen:
            if member.state == "installed":
                self._judge_lost(member, now)
        return True

    async def _look_at(self, names: Iterable[str]) -> dict[str, Seen]:
        found: dict[str, Seen] = {}
        wanted = list(names)
        for begin in range(0, len(wanted), _CHUNK):
            chunk = wanted[begin : begin + _CHUNK]
            for one in await self._context.store.some_stations(self._fleet.tenant, chunk):
                found[one.id] = _seen(one, self._fleet.worker.since)
        return found

    def _judge_lost(self, member: Member, now: int) -> None:
        seen, policy = self._seen.get(member.station), self.record.policy
        if member.lost or seen is None:
            return
        away = now - max(seen.away_since, member.changed_at) if not seen.connected else 0
        if away >= policy.lost_s * 1000:
            member.why = "without a connection after it"
        elif seen.connected and now - max(seen.heard_at, member.changed_at) >= policy.quiet_s * 1000:
            member.why = "connected, and no heartbeat after it"
        else:
            return
        member.lost, member.lost_at = True, now
        self._changed.add(member.number)
        self._dirty = True

    async def _fill(self, now: int) -> None:
        """Choose who is in the present stage, once."""
        record = self.record
        if record.filled >= record.stage:
            return
        free = [one for one in self._members if not one.stage]
        seen = await self._look_at(one.station for one in free)
        ready = [name for name, one in seen.items() if self._can_begin(one)]
        stages = record.policy.stages
        target = rollouts.targets(record.total, stages)[record.stage - 1]
        last = record.stage == len(stages)
        for member in rollouts.choose(self._members, record.stage, target, ready, now, everybody=last):
            self._changed.add(member.number)
        record.filled = record.stage
        self._seen |= seen
        self._looked_at = now
        self._dirty = True

    def _order(self, now: int, looked: bool) -> None:
        """Begin as many as may be under way; skip who has it already, or was waited for too long."""
        policy = self.record.policy
        room = policy.at_once - sum(one.state in OPEN for one in self._members)
        for member in self._members:
            if member.state != "waiting":
                continue
            seen = self._seen.get(member.station)
            if seen is not None and (why := self._pass_over(seen)):
                self._settle(member, "skipped", why)
            elif room > 0 and seen is not None and self._can_begin(seen):
                room -= 1
                del self._seen[member.station]  # what a look showed is good for one attempt
                self._settle(member, "ordering", "")
                self._begin(member)
            elif looked and now - member.chosen_at >= policy.wait_s * 1000:
                self._settle(member, "skipped", "it was busy or away for too long")

    def _begin(self, member: Member) -> None:
        work = self._order_one(member)
        task = asyncio.get_running_loop().create_task(work, name=f"rollout {self._id}: {member.station}")
        known = self._fleet.worker.tasks
        known.add(task)
        task.add_done_callback(known.discard)

    async def _order_one(self, member: Member) -> None:
        record = self.record
        principal = Principal(
            tenant=self._fleet.tenant,
            name=record.by,
            role=record.role,
            by="system",
            sites=frozenset(record.sites) if record.sites is not None else None,
        )
        try:
            state, why = await self._do(principal, member)
        except Problem as error:
            self._refused(member, error)
        except Exception:  # a mistake of ours at one station: it counts against the roll-out, and the others go on
            log.exception("roll-out %s failed at %s", self._id, member.station)
            self._settle(member, "failed", "something is broken on our side")
        else:
            if member.state == "ordering":  # else its end was told before the answer came here
                self._settle(member, state, why)

    def _refused(self, member: Member, error: Problem) -> None:
        text = error.details.detail
        match error.name:
            case "station-offline":
                self._settle(member, "waiting", text)
            case "no-answer":
                self._settle(member, "updating" if self._unanswered(member) else "silent", text)
            case "not-found" | "bad-body":
                self._settle(member, "skipped", text)
            case _:
                self._settle(member, "refused", text)

    # -- keeping ------------------------------------------------------------------------------------------------------
    async def save(self) -> None:
        """Keep what has not been kept."""
        async with self._lock:
            if self._dirty:
                await self._keep()

    async def _keep(self) -> None:
        """The roll-out and the stations that changed, in one transaction."""
        record, changed = self.record, self._changed
        self._changed, self._dirty = set(), False
        count(record, self._members)
        changes: list[Change] = [
            put(MEMBER_KIND, name, self._members[number], sort=name)
            for number in sorted(changed)
            for name in (member_id(self._id, number),)
        ]
        try:
            while True:
                head = put(ROLLOUTS.kind, self._id, record, sort=sort_time(record.created_at), expected=self._version)
                try:
                    versions = await self._context.store.write_documents(self._fleet.tenant, [head, *changes])
                except Conflict:
                    # A person has asked for something meanwhile: that is the one change that is not ours.
                    kept = await ROLLOUTS.find(self._context, self._fleet.tenant, self._id)
                    if kept is None:
                        self._fleet.rollouts.pop(self._id, None)
                        return
                    record.wish, self._version, self.asked = kept.value.wish, kept.version, True
                    continue
                self._version = versions[0]
                break
        except BaseException:
            self._changed |= changed
            self._dirty = True
            raise
        subject = f"rollouts.{self._fleet.tenant}.{self._id}"
        self._context.bus.publish(subject, RolloutNews(tenant=self._fleet.tenant, rollout=self._id))
        if record.status == "done":
            self._fleet.rollouts.pop(self._id, None)


def _seen(one: Station, since: int) -> Seen:
    there = one.connected and one.connected_at >= since  # else it was connected to a process that is gone
    lost = 0 if there else max(one.disconnected_at, since if one.connected else 0)
    busy = any(connector.session_id for connector in one.connectors)
    return Seen(there, busy, one.firmware, lost, one.last_seen)
