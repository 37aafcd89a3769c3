"""What a site remembers of itself: `history.db` beside `site.db`.

    history = History(site, kinds, capacities, path, bounds)
    history.add(inputs, decision)           # at each tick: counts in memory
    history.course(...), .changes(...)      # what was written, up to this moment

Flows hold from one tick to the next (5 s at most; what is longer is not known) and count into the minute in which they
flowed, by the steady clock: a clock that is set makes no energy and loses none. Once a minute all of it is written in
one transaction, so that a process that dies loses a minute at most and nothing is counted twice.

Changes of what an EVSE is given, or of why, are kept as they come, ten at once and then one a minute of each EVSE; the
newest is told as soon as there is room again. To pause and to go on has room for another twenty. A set-point that
follows the sun makes 1,440 rows a day at most, not 86,400.
"""

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TypeVar

import msgspec

from pilotwire.domain.seen import Change, Course, NotKnown, Peak
from pilotwire.domain.steering import Plan, WindowSummary
from pilotwire.domain.steering.calendar import month_of
from pilotwire.domain.steering.inputs import planned
from pilotwire.domain.steering.state import DemandState

from .compiled import Site
from .decide import Decision
from .history_file import FLOWS, MINUTE_MS, PLANNED, Batch, Bounds, HistoryFile, Minute
from .inputs import TickInputs
from .picture import DeviceKind, flows_of, why_not_more
from .ports import shown

T = TypeVar("T")
HOLD_MS = 5_000
"""So long what a tick has seen counts while there is no other."""
BURST = 10
RESERVE = 20
EACH_MS = 60_000
"""Changes of an EVSE: so many at once, so many more for pauses, and one in this time."""
WAITING = 120
"""Batches that are kept while the file cannot be written."""
PRUNE_MS = 6 * 3_600_000

Run = Callable[[Callable[[], None]], None]


class _Told(msgspec.Struct):
    """What was written last of an EVSE, and how much more may be."""

    value: int | None = None
    code: str = ""
    room: int = BURST
    at_ms: int = 0


Planned = Callable[[int], tuple[int | None, int | None, int | None] | None]
"""Of a moment (UTC): mW planned at the connection, of cars, of batteries; None: nothing is known."""


class History:
    """See the module. One thread at a time may use the file: `run` is how writing is done."""

    def __init__(
        self,
        site: Site,
        kinds: Mapping[str, DeviceKind],
        capacities: Mapping[str, int],
        path: Path,
        bounds: Bounds = Bounds(),  # noqa: B008 - a tuple
        *,
        run: Run = lambda work: work(),
        report: Callable[[str], None] = lambda text: print(text, file=sys.stderr),
    ) -> None:
        """`capacities` of batteries in Wh, which weigh their states of charge. Raises sqlite3.Error."""
        self.failures = 0
        """Writes that did not succeed."""
        self.planned_of: Planned | None = None
        """What the planner has planned of a moment, where it can say so; else what the loop follows of it counts."""
        self._site, self._kinds, self._capacities = site, kinds, capacities
        self._run, self._report = run, report
        self._root = next(node.id for node in site.topology.tree.nodes if node.parent is None)
        self._file = HistoryFile(path, bounds)
        if self._file.set_aside:
            report(f"{self._file.set_aside}; the history of the site begins anew")
        self._told = {evse: _Told(value, code) for evse, (value, code) in self._file.told().items()}
        self._before: tuple[int, int, tuple[int | None, ...]] | None = None
        """Of the tick before: steady time, UTC and flows."""
        self._minutes: dict[int, Minute] = {}
        self._minute: int | None = None
        self._changes: list[Change] = []
        self._windows: list[WindowSummary] = []
        self._peaks: list[Peak] = []
        self._months: Mapping[str, DemandState] = {}
        self._waiting: list[Batch] = []
        self._pruned_ms: int | None = None

    # --- counting ---------------------------------------------------------------------------------------------------

    def add(self, inputs: TickInputs, decision: Decision) -> None:
        """A tick. Raises nothing for what cannot be written: that is counted and reported."""
        now = inputs.now
        minute = now.utc_ms // MINUTE_MS
        if self._minute is not None and minute != self._minute:
            self.flush()
        self._minute = minute
        if self._before is not None:
            self._count(*self._before, now.tick_ms)
        found = flows_of(self._site, self._kinds, inputs)
        flows = (found.grid, found.pv, found.battery, found.cars, found.building)
        self._before = (now.tick_ms, now.utc_ms, flows)
        here = self._at(minute)
        if found.grid is not None and (here.highest is None or found.grid > here.highest):
            here.highest = found.grid
        if self._capacities and (soc := self._soc(inputs)) is not None:
            here.soc = soc
        if here.planned == _UNPLANNED and inputs.plan is not None:
            known = None if self.planned_of is None else self.planned_of(now.utc_ms)
            here.planned = _planned(inputs.plan, self._root, now.utc_ms) if known is None else known
        self._note(inputs, decision)
        if decision.closed:
            self._windows += decision.closed
        demands = decision.state.steering.demands
        if decision.closed or (demands and not self._months):
            self._peaks += _peaks(self._site, decision, self._months)
            self._months = demands
        if decision.closed:
            self.flush()  # what is billed does not wait

    def _at(self, minute: int) -> Minute:
        found = self._minutes.get(minute)
        if found is None:
            found = self._minutes[minute] = Minute(minute, [0] * len(FLOWS), [0] * len(FLOWS))
        return found

    def _count(self, tick_ms: int, utc_ms: int, flows: tuple[int | None, ...], until_ms: int) -> None:
        left = min(until_ms - tick_ms, HOLD_MS)
        while left > 0:
            minute = utc_ms // MINUTE_MS
            part = min(left, (minute + 1) * MINUTE_MS - utc_ms)
            here = self._at(minute)
            for at, mw in enumerate(flows):
                if mw is not None:
                    here.uj[at] += mw * part
                    here.ms[at] += part
            utc_ms, left = utc_ms + part, left - part

    def _soc(self, inputs: TickInputs) -> int | None:
        """Of all batteries together; of those that are heard."""
        total = weight = 0
        for device in inputs.devices:
            capacity = self._capacities.get(device.id)
            if capacity and (soc := shown(device.points, "soc_permille")) is not None:
                total, weight = total + soc * capacity, weight + capacity
        return min(1_000, max(0, total // weight)) if weight else None

    def _note(self, inputs: TickInputs, decision: Decision) -> None:
        for point in decision.set_points:
            told = self._told.get(point.evse)
            code = decision.reasons[point.evse].code
            if told is None:
                told = self._told[point.evse] = _Told()
            if told.value == point.value and told.code == code:
                continue
            now = inputs.now.tick_ms
            if told.room < BURST:
                if now < told.at_ms:  # another process's clock
                    told.at_ms = now
                more = (now - told.at_ms) // EACH_MS
                told.room, told.at_ms = min(BURST, told.room + more), told.at_ms + more * EACH_MS
            paused = told.value is None or (told.value == 0) != (point.value == 0)
            if told.room <= (-RESERVE if paused else 0):
                continue
            if told.room == BURST:
                told.at_ms = now
            told.room -= 1
            told.value, told.code = point.value, code
            self._changes.append(
                Change(
                    at_ms=inputs.now.utc_ms, evse=point.evse, unit=point.unit, value=point.value, code=code,
                    words=why_not_more(decision, point.evse)[1],
                )
            )  # fmt: skip

    # --- writing ----------------------------------------------------------------------------------------------------

    def flush(self) -> None:
        """Writes what there is. The minute that runs goes on with nothing: what is written of it adds up."""
        batch = Batch(
            minutes=list(self._minutes.values()), changes=self._changes, windows=self._windows, peaks=self._peaks
        )
        self._minutes, self._changes, self._windows, self._peaks = {}, [], [], []
        prune = False
        if self._before is not None:
            due = self._pruned_ms is None or not 0 <= self._before[0] - self._pruned_ms < PRUNE_MS
            prune, self._pruned_ms = due, self._before[0] if due else self._pruned_ms
        if any(batch):
            self._run(lambda: self._write(batch, prune))

    def _write(self, batch: Batch, prune: bool) -> None:
        """In whatever thread `run` has. What fails waits for the next time."""
        self._waiting.append(batch)
        try:
            while self._waiting:
                self._file.write(self._waiting[0])
                del self._waiting[0]
            if prune:
                self._file.prune()
        except sqlite3.Error as error:
            self.failures += 1
            del self._waiting[:-WAITING]
            if isinstance(error, sqlite3.DatabaseError) and type(error) is sqlite3.DatabaseError:
                self._anew(error)
            elif self.failures in (1, 10, 100) or self.failures % 1_000 == 0:
                self._report(f"the history of the site cannot be written ({self.failures} times): {error}")

    def _anew(self, error: sqlite3.DatabaseError) -> None:
        try:
            self._file.begin_anew(error)
        except (sqlite3.Error, OSError) as worse:
            self._report(f"the history of the site is damaged and cannot be begun anew: {worse}")
        else:
            self._report(f"{self._file.set_aside}; the history of the site begins anew")

    def close(self) -> None:
        """Writes what there is, and ends. Nobody else may use the file any more."""
        self._run = lambda work: work()
        self.flush()
        self._file.close()

    # --- reading: where `run` has a thread of its own, in that ------------------------------------------------------

    def course(self, from_ms: int, until_ms: int, step_ms: int) -> Course:
        """See `seen.Controller`. Raises ValueError for what is no course."""
        return self._file.course(from_ms, until_ms, step_ms)

    def changes(self, evse: str, from_ms: int, until_ms: int) -> tuple[Change, ...]:
        """See `seen.Controller`."""
        if evse not in self._site.topology.evses:
            known = ", ".join(sorted(self._site.topology.evses))
            raise NotKnown(f"there is no EVSE {evse!r}; there are {known}")
        return self._file.changes(evse, from_ms, until_ms)

    def windows(self, from_ms: int, until_ms: int) -> tuple[WindowSummary, ...]:
        """See `seen.Controller`."""
        return self._file.windows(from_ms, until_ms)

    def peaks(self, from_ms: int, until_ms: int) -> tuple[Peak, ...]:
        """See `seen.Controller`."""
        zones = {each.zone for each in self._contracts} or {"UTC"}
        first = min(month_of(from_ms, zone) for zone in zones)
        return self._file.peaks(first, max(month_of(max(from_ms, until_ms - 1), zone) for zone in zones))

    @property
    def _contracts(self):
        return () if self._site.steering is None else self._site.steering.config.windows


_UNPLANNED = (None,) * len(PLANNED)


def _planned(plan: Plan, root: str, utc_ms: int) -> tuple[int | None, int | None, int | None]:
    """What the plan says of a minute: at the connection (where it forecasts the rest), of cars, of batteries."""
    if not plan.made_ms <= utc_ms < plan.until_ms:
        return None, None, None
    cars = sum(planned(plan.cars, id, utc_ms) or 0 for id in plan.cars)
    batteries = sum(planned(plan.batteries, id, utc_ms) or 0 for id in plan.batteries)
    side = planned(plan.sides, root, utc_ms)
    return None if side is None else side + cars + batteries, cars, batteries if plan.batteries else None


def _peaks(site: Site, decision: Decision, before: Mapping[str, DemandState]) -> list[Peak]:
    """The months as the contracts remember them; of one that has just been raised, by which window."""
    if site.steering is None:
        return []
    found: list[Peak] = []
    for contract in site.steering.config.windows:
        known = decision.state.steering.demands.get(contract.id, DemandState())
        was = {month.key: month.peak_mw for month in before.get(contract.id, DemandState()).months}
        closed = {month_of(each.from_ms, contract.zone): each for each in decision.closed if each.id == contract.id}
        for month in known.months:
            if not month.peak_mw:
                continue  # nothing was measured yet
            window = closed.get(month.key) if month.peak_mw > was.get(month.key, 0) else None
            at = None if window is None else window.from_ms
            found.append(Peak(window=contract.id, node=contract.node, month=month.key, peak_mw=month.peak_mw, at_ms=at))
    return found
