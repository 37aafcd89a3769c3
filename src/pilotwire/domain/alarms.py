"""Alarms: the engine that folds facts, readings and time into alarms raised and cleared, by rules that are data.

Pure and deterministic: the same facts, readings and times give the same alarms with the same ids, however often
`advance` is called in between. All that the engine knows of a rule at one place is a `Cell`, which can be kept and
handed to the engine of the next process: nothing is raised twice and nothing that was open is forgotten.

How an alarm lives: a rule *matches* (a fact, or a gauge beyond its limit, or a session without progress); when it has
matched `count` times within `within_s` and has then held for `for_s`, the alarm is raised. What ends the condition does
not clear it at once: it must stay away for `hold_s`, doubled for each time that it came back while the alarm was open
(up to `MAX_HOLD_MS`), so that what flaps is one alarm and one message. Rules whose condition has no end (a security
event) clear themselves `clear_after_s` after the last match.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterable
from fnmatch import fnmatchcase
from hashlib import blake2b
from typing import Any, Final, Literal, NamedTuple

import msgspec

from pilotwire.core.ids import encode_id

from .alarms_matching import Check, any_of
from .alarms_progress import Charging, Progress
from .alarms_rules import FACTS, Cause, FactCondition, GaugeCondition, Rule, StalledCondition
from .facts import Fact

MAX_HOLD_MS: Final = 1_800_000
AGAIN_MS: Final = 60_000
"""An open alarm that goes on matching is told again at most this often."""
_MAX_HITS: Final = 1_000


# -- what comes out ---------------------------------------------------------------------------------------------------
class Place(NamedTuple):
    """Where a rule looks: a station ("" for what belongs to none) and a part of it or of the house."""

    station: str
    part: str = ""


class Cell(msgspec.Struct, omit_defaults=True):
    """What the engine remembers of one rule at one place. Times are ms."""

    rule: str
    station: str
    part: str = ""
    hits: list[int] = []
    """Matches within the window, while it is not full."""
    since: int = 0
    """Since when the condition holds."""
    due: int = 0
    """When the alarm will be raised (not open) or cleared (open); 0: not by time."""
    alarm: str = ""
    """Id of the open alarm."""
    raised_at: int = 0
    last_at: int = 0
    told_at: int = 0
    count: int = 0
    returns: int = 0
    """How often it came back while it was about to be cleared."""
    leaving: bool = False
    """The condition has ended; `due` is when that will count."""
    value: int = 0
    cause: Cause | None = None
    seq: int = 0
    """Journal seq of the cause."""


class Change(NamedTuple):
    """What became of an alarm at a time. The cell is as it is after the change."""

    what: Literal["raised", "again", "cleared"]
    at: int
    rule: Rule
    cell: Cell
    why: str = ""
    """Of "cleared": over, timed-out, rule-gone, station-gone."""


def alarm_id(tenant: str, rule: str, place: Place, raised_at: int) -> str:
    """The same alarm has the same id in every replay; ids sort by the time of raising."""
    digest = blake2b("\0".join((tenant, rule, *place)).encode(), digest_size=10).digest()
    return encode_id(raised_at, int.from_bytes(digest, "big"))


# -- the engine -------------------------------------------------------------------------------------------------------
Key = tuple[str, str, str]


class _Handler(NamedTuple):
    """What to do with a fact of one type for one rule."""

    rule: Rule
    condition: FactCondition
    raises: Check | None
    clears: Check | None


class Engine:
    """The alarms of one tenant."""

    def __init__(
        self, tenant: str, rules: Iterable[Rule] = (), site_of: Callable[[str], str] = lambda station: ""
    ) -> None:
        """`site_of(station)` names the site where a station stands, "" where it stands at none."""
        self.tenant = tenant
        self.now = 0
        self.cells: dict[Key, Cell] = {}
        self.dirty: dict[Key, None] = {}
        """Cells that were made, changed or dropped since somebody last emptied this."""
        self._site_of = site_of
        self._rules: dict[str, Rule] = {}
        self._by_fact: dict[type, list[_Handler]] = {}
        self._by_gauge: dict[str, list[tuple[Rule, GaugeCondition]]] = {}
        self._progress = Progress(self)
        self._heap: list[tuple[int, int, Key | str]] = []
        self._pushed = 0
        self._changes: list[Change] = []
        self.set_rules(rules, 0)

    # -- rules and state ----------------------------------------------------------------------------------------------
    @property
    def rules(self) -> dict[str, Rule]:
        return self._rules

    def set_rules(self, rules: Iterable[Rule], at: int) -> list[Change]:
        """Work with these from now on. Alarms of rules that are gone, disabled or look elsewhere now are cleared."""
        before, self._rules = self._rules, {rule.id: rule for rule in rules if rule.enabled}
        if self._rules != before:
            self._index()
        changes = self._begin(at)
        for key, cell in list(self.cells.items()):
            rule, old = self._rules.get(key[0]), before.get(key[0])
            if rule is None or (old is not None and old.condition != rule.condition) or not self._looks_at(rule, key):
                self._drop(key, cell, old or rule, "rule-gone")
        self._progress.set_rules(
            [(rule, rule.condition) for rule in self._rules.values() if isinstance(rule.condition, StalledCondition)]
        )
        return changes

    def _index(self) -> None:
        """Which rules a fact or a gauge concerns."""
        self._by_fact, self._by_gauge = {}, {}
        for rule in self._rules.values():
            match rule.condition:
                case FactCondition() as condition:
                    names = {one.fact for one in (*condition.when, *condition.clear)}
                    for name in sorted(names):
                        handler = _Handler(rule, condition, any_of(name, condition.when), any_of(name, condition.clear))
                        self._by_fact.setdefault(FACTS[name], []).append(handler)
                case GaugeCondition() as condition:
                    self._by_gauge.setdefault(condition.gauge, []).append((rule, condition))
                case StalledCondition():
                    """Sessions are looked at by `Progress`."""

    def restore(self, cells: Iterable[Cell]) -> None:
        """Take over what an earlier engine knew; before the first fact."""
        for cell in cells:
            key = (cell.rule, cell.station, cell.part)
            self.cells[key] = cell
            if cell.due:
                self.push(cell.due, key)

    def restore_session(self, session_id: str, station: str, evse: int, wh: int, since: int, charging: bool) -> None:
        """A session that was running when this engine began."""
        self._progress.restore(session_id, Charging(station, evse, wh, since, charging))

    def forget_station(self, station: str, at: int) -> list[Change]:
        """The station is no longer ours to watch: its alarms are over."""
        changes = self._begin(at)
        for key, cell in [(key, cell) for key, cell in self.cells.items() if key[1] == station]:
            self._drop(key, cell, self._rules.get(key[0]), "station-gone")
        self._progress.forget_station(station)
        return changes

    # -- what goes in -------------------------------------------------------------------------------------------------
    def fact(self, at: int, station: str, fact: Fact, seq: int = 0) -> list[Change]:
        """A fact that arrived at `at` (ms, our clock). Times that go back count as the newest one seen."""
        if self._heap and self._heap[0][0] <= at:
            changes = self._begin(at)
        else:
            changes = self._changes = []
            self.now = max(self.now, at)
        for handler in self._by_fact.get(type(fact), ()):
            rule, condition, raises, clears = handler
            if (rule.sites or rule.stations) and not self.wanted(rule, station):
                continue
            if raises is not None and raises(fact):
                self._hit(rule, condition, (rule.id, station, _part(fact, condition.per)), fact, seq)
            elif clears is not None and self.cells and clears(fact):
                self.ended((rule.id, station, _part(fact, condition.per)), rule)
        if self._progress.rules:
            self._progress.fact(station, fact)
        return changes

    def gauge(self, at: int, place: Place, gauge: str, value: int) -> list[Change]:
        """A measured value (see `GAUGES`)."""
        changes = self._begin(at)
        for rule, condition in self._by_gauge.get(gauge, ()):
            key = (rule.id, place.station, place.part)
            if not self._looks_at(rule, key):
                continue
            if value > condition.over:
                self.hold(rule, key, condition.for_s * 1000, None, 0, value)
            elif value <= (condition.over if condition.back is None else condition.back) or not self._is_open(key):
                self.ended(key, rule)
        return changes

    def _is_open(self, key: Key) -> bool:
        cell = self.cells.get(key)
        return cell is not None and bool(cell.alarm)

    def advance(self, at: int, limit: int | None = None) -> list[Change]:
        """Time has come to `at`: raise and clear what is due, in the order in which it is due.

        `limit`: look at so many timers at most; while `next_due` is not after `at`, there is more to do.
        """
        return self._begin(at, limit)

    @property
    def next_due(self) -> int | None:
        """When `advance` may have something to do next."""
        return self._heap[0][0] if self._heap else None

    # -- cells --------------------------------------------------------------------------------------------------------
    def _begin(self, at: int, limit: int | None = None) -> list[Change]:
        changes = self._changes = []
        at = max(at, self.now)
        heap = self._heap
        while heap and heap[0][0] <= at:
            if limit is not None:
                if limit <= 0:
                    return changes
                limit -= 1
            due, _, key = heapq.heappop(heap)
            self.now = max(self.now, due)
            if isinstance(key, str):
                self._progress.look_at(key, due)
                continue
            cell = self.cells.get(key)
            if cell is not None and cell.due == due:
                self._due(key, cell)
        self.now = at
        return changes

    def push(self, due: int, key: Key | str) -> None:
        """Look at a cell, or at a session, when it is due."""
        self._pushed += 1
        heapq.heappush(self._heap, (due, self._pushed, key))

    def _set_due(self, key: Key, cell: Cell, due: int) -> None:
        if cell.due != due:
            cell.due = due
            if due:
                self.push(due, key)

    def _due(self, key: Key, cell: Cell) -> None:
        rule = self._rules.get(key[0])
        if rule is None:
            self._drop(key, cell, None, "rule-gone")
        elif cell.alarm:
            self._clear(key, cell, rule, "over" if cell.leaving else "timed-out")
        elif cell.since:
            self._raise(key, cell, rule)
        else:  # a window that did not fill
            window = rule.condition.within_s * 1000 if isinstance(rule.condition, FactCondition) else 0
            cell.hits = [hit for hit in cell.hits if hit > self.now - window]
            self.dirty[key] = None
            if cell.hits:
                self._set_due(key, cell, cell.hits[0] + window)
            else:
                del self.cells[key]

    def _hit(self, rule: Rule, condition: FactCondition, key: Key, fact: Any, seq: int) -> None:
        """A fact that raises."""
        cell = self.cells.get(key)
        if condition.count > 1 and (cell is None or not cell.since):
            if cell is None:
                cell = self.cells[key] = Cell(rule=key[0], station=key[1], part=key[2])
            window = condition.within_s * 1000
            cell.hits = [*(hit for hit in cell.hits if hit > self.now - window), self.now][-_MAX_HITS:]
            self.dirty[key] = None
            if len(cell.hits) < condition.count:
                self._set_due(key, cell, cell.hits[0] + window)
                return
            cell.count = len(cell.hits) - 1
            cell.hits = []
        self.hold(rule, key, condition.for_s * 1000, fact, seq, 0, condition.clear_after_s * 1000)

    def hold(
        self, rule: Rule, key: Key, for_ms: int, cause: Any, seq: int, value: int, clear_after_ms: int = 0
    ) -> None:
        """The condition holds now."""
        cell = self.cells.get(key)
        if cell is None:
            cell = self.cells[key] = Cell(rule=key[0], station=key[1], part=key[2])
        if cell.alarm:
            self._again(rule, key, cell, cause, seq, value, clear_after_ms)
            return
        cell.last_at = self.now
        cell.count += 1
        if not cell.since:
            cell.since = self.now
            cell.cause, cell.seq, cell.value = cause, seq, value
            self.dirty[key] = None
            if for_ms <= 0:
                self._raise(key, cell, rule)
            else:
                self._set_due(key, cell, self.now + for_ms)

    def _again(self, rule: Rule, key: Key, cell: Cell, cause: Any, seq: int, value: int, clear_after_ms: int) -> None:
        """It holds, and the alarm is open already."""
        came_back = cell.leaving
        if came_back:
            cell.leaving = False
            cell.returns += 1
        if cause is None and not came_back and value <= cell.value:
            return  # a gauge that stays where it is tells nothing
        cell.last_at = self.now
        cell.count += 1
        cell.value = max(cell.value, value)
        if cause is not None:
            cell.cause, cell.seq = cause, seq
        self._set_due(key, cell, self.now + clear_after_ms if clear_after_ms else 0)
        self.dirty[key] = None
        if self.now - cell.told_at >= AGAIN_MS:
            cell.told_at = self.now
            self._changes.append(Change("again", self.now, rule, cell))

    def ended(self, key: Key, rule: Rule) -> None:
        """The condition holds no longer."""
        cell = self.cells.get(key)
        if cell is None:
            return
        if not cell.alarm:
            del self.cells[key]
            self.dirty[key] = None
        elif not cell.leaving:
            hold = min(rule.hold_s * 1000 << min(cell.returns, 10), max(MAX_HOLD_MS, rule.hold_s * 1000))
            cell.leaving = True
            self.dirty[key] = None
            if hold <= 0:
                self._clear(key, cell, rule, "over")
            else:
                self._set_due(key, cell, self.now + hold)

    def _raise(self, key: Key, cell: Cell, rule: Rule) -> None:
        cell.raised_at = cell.told_at = self.now
        cell.alarm = alarm_id(self.tenant, key[0], Place(key[1], key[2]), self.now)
        condition = rule.condition
        after = condition.clear_after_s * 1000 if isinstance(condition, FactCondition) else 0
        self._set_due(key, cell, self.now + after if after else 0)
        self.dirty[key] = None
        self._changes.append(Change("raised", self.now, rule, cell))

    def _clear(self, key: Key, cell: Cell, rule: Rule, why: str) -> None:
        del self.cells[key]
        self.dirty[key] = None
        self._changes.append(Change("cleared", self.now, rule, cell, why))

    def _drop(self, key: Key, cell: Cell, rule: Rule | None, why: str) -> None:
        del self.cells[key]
        self.dirty[key] = None
        if cell.alarm:
            gone = rule or Rule(id=key[0], name=key[0], severity="warning", condition=StalledCondition())
            self._changes.append(Change("cleared", self.now, gone, cell, why))

    # -- where a rule looks -------------------------------------------------------------------------------------------
    def wanted(self, rule: Rule, station: str) -> bool:
        """Whether a rule looks at a station."""
        if rule.stations and not any(fnmatchcase(station, pattern) for pattern in rule.stations):
            return False
        return not rule.sites or self._site_of(station) in rule.sites

    def _looks_at(self, rule: Rule, key: Key) -> bool:
        if key[1]:
            return self.wanted(rule, key[1])
        return not rule.stations and (not rule.sites or key[2] in rule.sites)


def _part(fact: Fact, per: tuple[str, ...]) -> str:
    """EVSE and connector as 1/1, other fields by their values."""
    if not per:
        return ""
    return "/".join(str(value) for name in per if (value := getattr(fact, name)) not in (None, ""))[:200]
