"""When a plan is made, and what becomes of it. Sans-IO: a scheduler and a way to start a process are given to it.

    state      what happens                what follows
    resting    it is time, or an event     the record is made, a process started     → planning
    planning   an answer that is right     it becomes the loop's plan                → resting
    planning   a wrong answer, an end      counted; the next try waits               → resting
    planning   time is over                the process is killed, then as an end     → stopping → resting
    stopping   the process is gone         as an end                                 → resting
    any        the plan is too old         the loop has none; a mark says so

Events (somebody comes or goes, prices or limits change, much else flows than was planned, the clock is set) bring a
plan forward; they never bring two at once, nor one within `GAP_MS` of the last. Whoever fails waits longer each time.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from typing import Literal, Protocol

import msgspec

from pilotwire.core.errors import PilotwireError
from pilotwire.core.time import Scheduler, Timer
from pilotwire.domain import planning, steering

from ..decide import Decision, Mark
from ..inputs import TickInputs
from .checked import fault_of, followed
from .failures import Code, words_of
from .learned import Learned, Watch, present
from .outlook import quarters_of
from .problem import Known, record_for
from .record import Answer, Record, answer_of, digest, encoded
from .worker import Running, Spawn

LOOK_MS = 1_000
CALM_MS = 5_000
"""After an event: cars come in twos, and a car that has come says the rest a moment later."""
GAP_MS = 30_000
BACK_OFF_MS = (60_000, 120_000, 300_000, 600_000, 1_800_000)
ASTRAY_MS = 120_000
"""For so long the connection may carry something else than was planned."""
ASTRAY_MW = 10_000_000
ASTRAY_PERMILLE = 200
"""What is noticeably something else: by more than both."""

State = Literal["resting", "planning", "stopping"]


class Site(Protocol):
    """What the runner needs of the loop (`site.loop.Loop`)."""

    plan: steering.Plan | None
    notices: dict[str, Mark]

    @property
    def inputs(self) -> TickInputs | None: ...

    @property
    def decision(self) -> Decision | None: ...

    def nudge(self) -> None: ...


class Keep(Protocol):
    """Writes down what a restart needs and what plans were made of (`planning.kept`)."""

    def learned(self, learned: Learned) -> None: ...

    def made(self, record: bytes, answer: bytes) -> None: ...


class Counts(msgspec.Struct):
    """Since the start."""

    plans: int = 0
    fallbacks: int = 0
    """Plans that HiGHS did not make: by least laxity."""
    failures: int = 0
    killed: int = 0
    longest_ms: int = 0
    cpu_ms: int = 0
    """Of the last plan."""
    peak_kb: int = 0
    """Memory of the process that made it."""


class InForce(msgspec.Struct, frozen=True):
    """A plan that is followed, and what it was made of."""

    record: Record
    plan: planning.Plan
    followed: steering.Plan
    quarters: list[tuple[int, int, int, int, int]]
    """See `outlook.quarters_of`."""


class Runner:
    """One site's plans. `start`, then it looks each second until `stop`."""

    def __init__(
        self,
        known: Known,
        loop: Site,
        scheduler: Scheduler,
        *,
        utc: Callable[[], int],
        spawn: Spawn,
        keep: Keep,
        learned: Learned,
        report: Callable[[str], None],
    ) -> None:
        self.counts = Counts()
        self.state: State = "resting"
        self.in_force: InForce | None = None
        self.failure = ""
        """Why the last try gave no plan, in words of `failures`; "" after one that did."""
        self.watch = Watch(known.site, learned, known.zone)
        self._known, self._loop, self._scheduler, self._utc = known, loop, scheduler, utc
        self._spawn, self._keep, self._report = spawn, keep, report
        self._every_ms = known.entry.every_minutes * 60_000
        self._timeout_ms = known.entry.timeout_s * 1_000
        self._timer: Timer | None = None
        self._running: Running | None = None
        self._asked: tuple[Record, bytes, bytes] | None = None
        self._begun_ms: int | None = None
        self._fails = 0
        self._not_before: int | None = None
        self._event_ms: int | None = None
        self._astray_since: int | None = None
        self._world: object = None
        self._stopped = False

    def start(self) -> None:
        """The first plan is made as soon as there has been a tick."""
        self._timer = self._scheduler.call_later(LOOK_MS, self._wake)

    def stop(self) -> None:
        """No more plans. What was learned is kept; a process that is at work is killed."""
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        if self._running is not None:
            self._running.kill()
        self._write(lambda: self._keep.learned(self.watch.learned))

    # --- each second --------------------------------------------------------------------------------------------

    def _wake(self) -> None:
        if self._stopped:
            return
        self._timer = self._scheduler.call_later(LOOK_MS, self._wake)
        try:
            self.look()
        except Exception:  # the plan is a luxury, whatever goes wrong with it
            self._failed("fault", traceback.format_exc(limit=3))

    def look(self) -> None:
        """Learns from the last tick, lets an old plan go, and begins a new one where it is time."""
        inputs, decision = self._loop.inputs, self._loop.decision
        now, utc = int(self._scheduler.now()), self._utc()
        if inputs is None or decision is None:
            return
        if self.watch.look(inputs, decision):
            self._write(lambda: self._keep.learned(self.watch.learned))
        self._expire(now, utc)
        self._events(inputs, decision, now, utc)
        self._say()
        if self.state == "planning" and self._running is not None and self._running.waits:
            self._begun_ms = now  # its time begins when its turn has come
        if self.state == "planning" and self._begun_ms is not None and now - self._begun_ms >= self._timeout_ms:
            self.state = "stopping"
            self.counts.killed += 1
            if self._running is not None:
                self._running.kill()
        elif self.state == "resting" and self._is_due(now):
            self._begin(inputs, decision, now)

    def _is_due(self, now: int) -> bool:
        if self._not_before is not None and now < self._not_before:
            return False
        if self._begun_ms is None:
            return True
        since = now - self._begun_ms
        if self._event_ms is not None and now - self._event_ms >= CALM_MS and since >= GAP_MS:
            return True
        return since >= self._every_ms or self._fails > 0

    def _expire(self, now: int, utc: int) -> None:
        plan = self._loop.plan
        if plan is not None and not plan.made_ms <= utc < plan.until_ms:
            self._loop.plan = None
            self.in_force = None
            self._event_ms = now - CALM_MS  # at once, where nothing else waits
            self._loop.nudge()

    def _events(self, inputs: TickInputs, decision: Decision, now: int, utc: int) -> None:
        """What makes the plan in force doubtful."""
        world = _world(inputs, decision)
        if world != self._world:
            if self._world is not None:
                self._event_ms = now
            self._world = world
        if self._is_astray(inputs, utc):
            if self._astray_since is None:
                self._astray_since = now
            elif now - self._astray_since >= ASTRAY_MS:
                self._event_ms, self._astray_since = now, None
        else:
            self._astray_since = None

    def _is_astray(self, inputs: TickInputs, utc: int) -> bool:
        if self.in_force is None:
            return False
        plan = self.in_force.plan
        step = (utc - plan.starts_ms) // plan.step_ms
        if not 0 <= step < plan.steps:
            return False
        root = next(node.id for node in self._known.site.topology.tree.nodes if node.parent is None)
        decision = self._loop.decision
        reading = None if decision is None else decision.state.meters.get(root)
        if reading is None or inputs.now.tick_ms - reading.at_ms > self._known.site.policy.stale_ms:
            return False
        flows = sum(reading.phases_ma) * self._known.site.topology.tree.voltage_mv // 1_000
        meant = plan.grid_mw[step]
        return abs(flows - meant) > max(ASTRAY_MW, abs(meant) * ASTRAY_PERMILLE // 1_000)

    # --- a plan -------------------------------------------------------------------------------------------------

    def _begin(self, inputs: TickInputs, decision: Decision, now: int) -> None:
        self._begun_ms, self._event_ms = now, None
        previous = None if self.in_force is None else self.in_force.plan
        try:
            record = record_for(self._known, inputs, decision, self.watch.learned, previous, self.watch.recent())
        except Exception:
            self._failed("record", traceback.format_exc(limit=3))
            return
        data = encoded(record)
        self._asked = (record, data, digest(data))
        self.state = "planning"
        self._running = self._spawn(data, self._done)

    def _done(self, data: bytes | None, why: str) -> None:
        """The process is gone."""
        asked, self._asked, self._running = self._asked, None, None
        stopped, self.state = self.state == "stopping", "resting"
        if self._stopped or asked is None:
            return
        record, question, name = asked
        if stopped:
            self._failed("timeout")
            return
        if data is None:
            self._failed("process", why)
            return
        try:
            answer = answer_of(data)
            fault = fault_of(record, name, answer)
        except (ValueError, PilotwireError) as error:
            self._failed("answer", str(error))
            return
        if fault or answer.plan is None:
            self._failed("refused", fault)
            return
        self._take(record, answer.plan, answer, question, data)

    def _take(self, record: Record, plan: planning.Plan, answer: Answer, question: bytes, data: bytes) -> None:
        if plan.status == "fallback" and (self.in_force is None or self.in_force.plan.status != "fallback"):
            self._report(f"the plan is by least laxity, for the optimiser gave none: {plan.why}")
        self.in_force = InForce(record, plan, followed(record, plan), quarters_of(record, plan))
        self._loop.plan = self.in_force.followed
        self.failure, self._fails, self._not_before = "", 0, None
        self._astray_since = None
        counts, now = self.counts, int(self._scheduler.now())
        counts.plans += 1
        counts.fallbacks += plan.status == "fallback"
        counts.longest_ms = max(counts.longest_ms, now - (self._begun_ms or now))
        counts.cpu_ms, counts.peak_kb = answer.cpu_ms, answer.peak_kb
        self._write(lambda: self._keep.made(question, data))
        self._say()
        self._loop.nudge()

    def _failed(self, code: Code, detail: str = "") -> None:
        """`detail` is for the log alone: people, in their language, are told the sentence of the code."""
        self.failure = words_of(code, self._timeout_ms // 1_000)
        if self._fails == 0:
            self._report(f"no new plan: {self.failure}{': ' if detail.strip() else ''}{detail.strip()}")
        self.counts.failures += 1
        wait = BACK_OFF_MS[min(self._fails, len(BACK_OFF_MS) - 1)]
        self._fails += 1
        self._not_before = int(self._scheduler.now()) + wait
        self._say()

    def _write(self, what: Callable[[], None]) -> None:
        try:
            what()
        except Exception as error:
            self._report(f"what the plan rests on cannot be written: {error}")

    @property
    def words(self) -> str:
        """What state the plan is in."""
        if self.in_force is None:
            if self.failure:
                return f"there is no plan, the site is steered without one: {self.failure}"
            return "the first plan is being made" if self.counts.plans == 0 else "there is no plan that still counts"
        said: list[str] = []
        if self.failure:
            said.append(f"it is an older one, for the next was not made: {self.failure}")
        if self.in_force.plan.status == "fallback":
            said.append("by least laxity, for the optimiser gave none")
        said += self.in_force.record.words
        return "; ".join(said) if said else "the cheapest that gives every car what limits allow"

    def _say(self) -> None:
        """The mark that stands as long as the site is steered without a plan that was to be."""
        notices = self._loop.notices
        if self.in_force is not None or (self.counts.plans == 0 and not self.failure):
            notices.pop("plan", None)
        else:
            notices["plan"] = Mark("plan", "no_plan", self.words)


def _world(inputs: TickInputs, decision: Decision) -> object:
    """What is compared from second to second: who is there and what they said, prices, limits from outside."""
    cars = tuple(
        (
            each.id,
            present(each.status),
            each.status.session,
            each.status.ended,
            each.status.target_energy_wh,
            each.status.departure_ms,
            bool(each.status.fault),
        )
        for each in inputs.evses
        if each.status.online
    )
    limits: Mapping[str, object] = {id: word.limit for id, word in sorted(decision.state.heard.items())}
    external = inputs.external
    # Energy managers change their orders each few seconds: that there is one is news, its figure shows in what flows.
    entered = tuple((id, order.entered) for id, order in sorted(external.evses.items()) if order.entered is not None)
    return cars, entered, external.prices, external.controls, tuple(sorted(external.limits)), limits
