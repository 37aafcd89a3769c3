"""Alarms: rules as data, and the engine that folds facts, readings and time into alarms raised and cleared.

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

from . import facts
from .facts import AnyFact, Fact

Severity = Literal["critical", "major", "minor", "warning"]
SEVERITIES: Final[tuple[Severity, ...]] = ("critical", "major", "minor", "warning")
"""Worst first (the words of ITU-T X.733)."""

MAX_HOLD_MS: Final = 1_800_000
AGAIN_MS: Final = 60_000
"""An open alarm that goes on matching is told again at most this often."""
_MAX_HITS: Final = 1_000


def at_least(severity: str, floor: str) -> bool:
    """Whether `severity` is as bad as `floor` or worse."""
    return SEVERITIES.index(severity) <= SEVERITIES.index(floor)  # type: ignore[arg-type]


class HandshakeRefused(Fact, frozen=True, tag="handshake-refused.1"):
    """A connection attempt that was turned away. It is no fact of the journal, which a stranger must not fill."""

    status: int
    """HTTP status that was answered."""
    reason: str
    peer: str = ""


Cause = AnyFact | HandshakeRefused
FACTS: Final[dict[str, type[Fact]]] = {
    str(kind.__struct_config__.tag).rpartition(".")[0]: kind
    for kind in sorted(Cause.__args__, key=lambda one: str(one.__struct_config__.tag))
}
"""Name without version → class; of several versions the newest."""


# -- rules ------------------------------------------------------------------------------------------------------------
Value = str | int | bool


class Test(msgspec.Struct, frozen=True, omit_defaults=True):
    """One field of a fact compared with a value, or with any of `values`."""

    __test__ = False

    field: str
    op: Literal["eq", "ne", "in", "not-in", "gt", "ge", "lt", "le", "contains", "prefix"] = "eq"
    value: Value = ""
    values: tuple[Value, ...] = ()


class Match(msgspec.Struct, frozen=True, omit_defaults=True):
    """A fact by its name (e.g. connector-status-changed), all of whose tests hold."""

    fact: str
    where: tuple[Test, ...] = ()


class FactCondition(msgspec.Struct, frozen=True, omit_defaults=True, tag="facts", tag_field="kind"):
    """Raised by any of `when`, ended by any of `clear`; apart for every combination of the fields in `per`."""

    when: tuple[Match, ...]
    clear: tuple[Match, ...] = ()
    per: tuple[str, ...] = ()
    count: int = 1
    within_s: int = 0
    for_s: int = 0
    clear_after_s: int = 0


class StalledCondition(msgspec.Struct, frozen=True, omit_defaults=True, tag="stalled", tag_field="kind"):
    """A session that should be charging and whose energy register has not moved for `for_s`."""

    for_s: int = 1800


class GaugeCondition(msgspec.Struct, frozen=True, omit_defaults=True, tag="gauge", tag_field="kind"):
    """A measured value above `over`; over again only when it has come down to `back` (default: `over`)."""

    gauge: str
    """One of `GAUGES`."""
    over: int
    back: int | None = None
    for_s: int = 0


Condition = FactCondition | StalledCondition | GaugeCondition

GAUGES: Final = {
    "clock-skew-s": "the station's clock minus ours, without its sign, s",
    "site-power-percent": "power of all sessions at a site in percent of the site's power limit",
    "webhook-failing-min": "for how long a webhook has taken nothing, min",
}


class Rule(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """When to raise an alarm. `sites` and `stations` (names, * and ? stand for anything) narrow it; empty: all."""

    id: str
    name: str
    severity: Severity
    condition: Condition
    description: str = ""
    enabled: bool = True
    sites: tuple[str, ...] = ()
    stations: tuple[str, ...] = ()
    hold_s: int = 30


def check_rule(rule: Rule) -> list[tuple[str, str]]:
    """What is wrong with a rule: (field, why). Empty when it can be worked with."""
    wrong: list[tuple[str, str]] = []
    match rule.condition:
        case FactCondition() as condition:
            if not condition.when:
                wrong.append(("condition.when", "at least one fact is needed"))
            if condition.count > 1 and condition.within_s <= 0:
                wrong.append(("condition.within_s", "needed where `count` is more than 1"))
            if not condition.clear and condition.clear_after_s <= 0:
                wrong.append(("condition.clear_after_s", "needed where no fact clears the alarm"))
            for name, matches in (("when", condition.when), ("clear", condition.clear)):
                for place, one in enumerate(matches):
                    wrong += _wrong_match(f"condition.{name}[{place}]", one, condition.per)
        case GaugeCondition() as condition:
            if condition.gauge not in GAUGES:
                wrong.append(("condition.gauge", f"one of {', '.join(GAUGES)}"))
            if condition.back is not None and condition.back > condition.over:
                wrong.append(("condition.back", "may not be above `over`"))
        case StalledCondition():
            pass
    return wrong


def _wrong_match(where: str, match: Match, per: tuple[str, ...]) -> list[tuple[str, str]]:
    kind = FACTS.get(match.fact)
    if kind is None:
        return [(f"{where}.fact", f"one of {', '.join(FACTS)}")]
    fields = {field.name: field.type for field in msgspec.structs.fields(kind)}
    wrong = [
        (f"{where}.fact", f"{match.fact} has no field {name}, which `per` asks for")
        for name in per
        if name not in fields
    ]
    for place, test in enumerate(match.where):
        if test.field not in fields:
            wrong.append((f"{where}.where[{place}].field", f"{match.fact} has {', '.join(fields)}"))
        elif test.op in ("in", "not-in") and not test.values:
            wrong.append((f"{where}.where[{place}].values", f"needed with {test.op}"))
        elif test.op in ("gt", "ge", "lt", "le") and (isinstance(test.value, bool) or not isinstance(test.value, int)):
            wrong.append((f"{where}.where[{place}].value", f"a whole number is needed with {test.op}"))
    return wrong


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
_Check = Callable[[Fact], bool]


class _Handler(NamedTuple):
    """What to do with a fact of one type for one rule."""

    rule: Rule
    condition: FactCondition
    raises: _Check | None
    clears: _Check | None


class _Progress(msgspec.Struct):
    """How a running session's energy register moves."""

    station: str
    evse: int
    wh: int
    since: int
    charging: bool
    due: int = 0
    """When a timer looks at it; 0: none does."""


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
        self._stalled: list[tuple[Rule, StalledCondition]] = []
        self._sessions: dict[str, _Progress] = {}
        self._at_evse: dict[tuple[str, int], str] = {}
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
        stalled = self._stalled
        if self._rules != before:
            self._index()
        changes = self._begin(at)
        for key, cell in list(self.cells.items()):
            rule, old = self._rules.get(key[0]), before.get(key[0])
            if rule is None or (old is not None and old.condition != rule.condition) or not self._looks_at(rule, key):
                self._drop(key, cell, old or rule, "rule-gone")
        if stalled != self._stalled:
            for session_id, progress in self._sessions.items():
                progress.due = 0
                self._watch(session_id)
        return changes

    def _index(self) -> None:
        """Which rules a fact or a gauge concerns."""
        self._by_fact, self._by_gauge, self._stalled = {}, {}, []
        for rule in self._rules.values():
            match rule.condition:
                case FactCondition() as condition:
                    names = {one.fact for one in (*condition.when, *condition.clear)}
                    for name in sorted(names):
                        handler = _Handler(
                            rule, condition, _any_of(name, condition.when), _any_of(name, condition.clear)
                        )
                        self._by_fact.setdefault(FACTS[name], []).append(handler)
                case GaugeCondition() as condition:
                    self._by_gauge.setdefault(condition.gauge, []).append((rule, condition))
                case StalledCondition() as condition:
                    self._stalled.append((rule, condition))

    def restore(self, cells: Iterable[Cell]) -> None:
        """Take over what an earlier engine knew; before the first fact."""
        for cell in cells:
            key = (cell.rule, cell.station, cell.part)
            self.cells[key] = cell
            if cell.due:
                self._push(cell.due, key)

    def restore_session(self, session_id: str, station: str, evse: int, wh: int, since: int, charging: bool) -> None:
        """A session that was running when this engine began."""
        self._sessions[session_id] = _Progress(station, evse, wh, since, charging)
        self._at_evse[station, evse] = session_id
        self._watch(session_id)

    def forget_station(self, station: str, at: int) -> list[Change]:
        """The station is no longer ours to watch: its alarms are over."""
        changes = self._begin(at)
        for key, cell in [(key, cell) for key, cell in self.cells.items() if key[1] == station]:
            self._drop(key, cell, self._rules.get(key[0]), "station-gone")
        for session_id in [name for name, one in self._sessions.items() if one.station == station]:
            del self._sessions[session_id]
        return changes

    # -- what goes in -------------------------------------------------------------------------------------------------
    def fact(self, at: int, station: str, fact: Fact, seq: int = 0) -> list[Change]:
        """A fact that arrived at `at` (ms, our clock). Times that go back count as the newest one seen."""
        if self._heap and self._heap[0][0] <= at:
            changes = self._begin(at)
        else:
            changes = self._changes = []
            self.now = max(self.now, at)
        kind = type(fact)
        for handler in self._by_fact.get(kind, ()):
            rule, condition, raises, clears = handler
            if (rule.sites or rule.stations) and not self._wanted(rule, station):
                continue
            if raises is not None and raises(fact):
                self._hit(rule, condition, (rule.id, station, _part(fact, condition.per)), fact, seq)
            elif clears is not None and self.cells and clears(fact):
                self._ended((rule.id, station, _part(fact, condition.per)), rule)
        if self._stalled:
            follow = _FOLLOW.get(kind)
            if follow is not None:
                follow(self, station, fact)
        return changes

    def gauge(self, at: int, place: Place, gauge: str, value: int) -> list[Change]:
        """A measured value (see `GAUGES`)."""
        changes = self._begin(at)
        for rule, condition in self._by_gauge.get(gauge, ()):
            key = (rule.id, place.station, place.part)
            if not self._looks_at(rule, key):
                continue
            if value > condition.over:
                self._hold(rule, key, condition.for_s * 1000, None, 0, value)
            elif value <= (condition.over if condition.back is None else condition.back) or not self._is_open(key):
                self._ended(key, rule)
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
                self._look_at_session(key, due)
                continue
            cell = self.cells.get(key)
            if cell is not None and cell.due == due:
                self._due(key, cell)
        self.now = at
        return changes

    def _push(self, due: int, key: Key | str) -> None:
        self._pushed += 1
        heapq.heappush(self._heap, (due, self._pushed, key))

    def _set_due(self, key: Key, cell: Cell, due: int) -> None:
        if cell.due != due:
            cell.due = due
            if due:
                self._push(due, key)

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
        self._hold(rule, key, condition.for_s * 1000, fact, seq, 0, condition.clear_after_s * 1000)

    def _hold(
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

    def _ended(self, key: Key, rule: Rule) -> None:
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
    def _wanted(self, rule: Rule, station: str) -> bool:
        if rule.stations and not any(fnmatchcase(station, pattern) for pattern in rule.stations):
            return False
        return not rule.sites or self._site_of(station) in rule.sites

    def _looks_at(self, rule: Rule, key: Key) -> bool:
        if key[1]:
            return self._wanted(rule, key[1])
        return not rule.stations and (not rule.sites or key[2] in rule.sites)

    # -- sessions without progress ------------------------------------------------------------------------------------
    def _watch(self, session_id: str) -> None:
        progress = self._sessions[session_id]
        if progress.charging and not progress.due and self._stalled:
            progress.due = progress.since + min(one.for_s for _, one in self._stalled) * 1000
            self._push(progress.due, session_id)

    def _look_at_session(self, session_id: str, due: int) -> None:
        """One timer per session, whatever it reports: here it is seen whether there was progress meanwhile."""
        progress = self._sessions.get(session_id)
        if progress is None or progress.due != due:
            return
        progress.due = 0
        if not progress.charging:
            return
        later: list[int] = []
        for rule, condition in self._stalled:
            due = progress.since + condition.for_s * 1000
            key = (rule.id, progress.station, _evse_part(progress.evse))
            if due > self.now:
                later.append(due)
            elif self._wanted(rule, progress.station):
                self._hold(rule, key, 0, None, 0, (self.now - progress.since) // 60_000)
        if later:
            progress.due = min(later)
            self._push(progress.due, session_id)

    def _moves(self, session_id: str, progress: _Progress, charging: bool | None, wh: int | None) -> None:
        moved = wh is not None and wh > progress.wh
        if moved:
            progress.wh = wh  # type: ignore[assignment]
        begins = charging is True and not progress.charging
        if charging is not None:
            progress.charging = charging
        if moved or begins:
            progress.since = self.now
        if (moved or not progress.charging) and self.cells:
            self._unstall(progress)
        if not progress.due:
            self._watch(session_id)

    def _unstall(self, progress: _Progress) -> None:
        for rule, _ in self._stalled:
            self._ended((rule.id, progress.station, _evse_part(progress.evse)), rule)

    def _on_started(self, station: str, fact: facts.SessionStarted) -> None:
        known = self._at_evse.get((station, fact.evse))
        if known is not None and known != fact.session_id:
            self._finish(known)
        if fact.session_id not in self._sessions:
            self._sessions[fact.session_id] = _Progress(
                station, fact.evse, fact.meter_start_wh or 0, self.now, fact.charging_state == "Charging"
            )
            self._at_evse[station, fact.evse] = fact.session_id
            self._watch(fact.session_id)

    def _on_updated(self, station: str, fact: facts.SessionUpdated) -> None:
        progress = self._sessions.get(fact.session_id)
        if progress is None:
            return  # of a session that began before anybody watched, or has ended
        charging = None
        if fact.charging_state:
            charging = fact.charging_state == "Charging"
        elif fact.power_w is not None and fact.power_w > 0:
            charging = True
        if fact.evse is not None and fact.evse != progress.evse:
            self._unstall(progress)
            progress.evse = fact.evse
            self._at_evse[station, fact.evse] = fact.session_id
        self._moves(fact.session_id, progress, charging, fact.register_wh)

    def _on_ended(self, station: str, fact: facts.SessionEnded) -> None:
        self._finish(fact.session_id)

    def _on_status(self, station: str, fact: facts.ConnectorStatusChanged) -> None:
        """OCPP 1.6 tells by the connector's status whether a session charges."""
        session_id = self._at_evse.get((station, fact.evse))
        progress = self._sessions.get(session_id) if session_id is not None else None
        if progress is None or session_id is None or fact.status not in _STATUS_CHARGES:
            return
        self._moves(session_id, progress, _STATUS_CHARGES[fact.status], None)

    def _finish(self, session_id: str) -> None:
        progress = self._sessions.pop(session_id, None)
        if progress is not None:
            if self._at_evse.get((progress.station, progress.evse)) == session_id:
                del self._at_evse[progress.station, progress.evse]
            self._unstall(progress)


_STATUS_CHARGES: Final = {
    "Charging": True,
    "SuspendedEV": False,
    "SuspendedEVSE": False,
    "Finishing": False,
    "Available": False,
}
_FOLLOW: Final[dict[type, Callable[[Engine, str, Any], None]]] = {
    facts.SessionStarted: Engine._on_started,  # pyright: ignore[reportPrivateUsage]
    facts.SessionUpdated: Engine._on_updated,  # pyright: ignore[reportPrivateUsage]
    facts.SessionEnded: Engine._on_ended,  # pyright: ignore[reportPrivateUsage]
    facts.ConnectorStatusChanged: Engine._on_status,  # pyright: ignore[reportPrivateUsage]
}


def _evse_part(evse: int) -> str:
    return str(evse) if evse else ""


def _part(fact: Fact, per: tuple[str, ...]) -> str:
    """EVSE and connector as 1/1, other fields by their values."""
    if not per:
        return ""
    return "/".join(str(value) for name in per if (value := getattr(fact, name)) not in (None, ""))[:200]


# -- comparing --------------------------------------------------------------------------------------------------------
def _any_of(name: str, matches: tuple[Match, ...]) -> _Check | None:
    """One function for all matches of a fact; None when there is none."""
    checks = [_all_of(one.where) for one in matches if one.fact == name]
    if not checks:
        return None
    return checks[0] if len(checks) == 1 else lambda fact: any(check(fact) for check in checks)


def _all_of(tests: tuple[Test, ...]) -> _Check:
    checks = [_check(test) for test in tests]
    if not checks:
        return lambda fact: True
    return checks[0] if len(checks) == 1 else lambda fact: all(check(fact) for check in checks)


def _check(test: Test) -> _Check:
    name, value, values = test.field, test.value, frozenset(test.values)
    match test.op:
        case "eq":
            return lambda fact: getattr(fact, name) == value
        case "ne":
            return lambda fact: getattr(fact, name) != value
        case "in":
            return lambda fact: getattr(fact, name) in values
        case "not-in":
            return lambda fact: getattr(fact, name) not in values
        case "contains":
            return lambda fact: str(value).casefold() in str(getattr(fact, name)).casefold()
        case "prefix":
            return lambda fact: str(getattr(fact, name)).startswith(str(value))
        case op:
            return _ordered(name, op, int(value))


def _ordered(name: str, op: str, limit: int) -> _Check:
    def check(fact: Fact) -> bool:
        given: object = getattr(fact, name)
        if not isinstance(given, int):
            return False
        match op:
            case "gt":
                return given > limit
            case "ge":
                return given >= limit
            case "lt":
                return given < limit
            case _:
                return given <= limit

    return check
