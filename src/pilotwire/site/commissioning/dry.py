"""What a loop that commands nobody would have done, second by second, and which limits were exceeded meanwhile."""

from __future__ import annotations

from collections.abc import Callable

from pilotwire.domain.commissioning import DryEvse, DryReport, Violation
from pilotwire.domain.energy.model import Phases
from pilotwire.site.compiled import Site
from pilotwire.site.decide import Decision
from pilotwire.site.inputs import EvseInput, TickInputs

from .pulses import connected, own_currents
from .silent import Silent

NEAR_MA = 1_000
"""A car draws more than it is offered from here on: chargers round, meters differ."""
_GAP_MS = 3_000
"""Longer between two ticks is not counted: nobody looked."""
_MARKS = 100


class _Evse:
    def __init__(self) -> None:
        self.car_ms = self.drew_more_ms = 0
        self.lowest: int | None = None
        self.highest: int | None = None
        self.now = 0
        self.reasons: dict[str, int] = {}
        self.words = ""


class _Over:
    def __init__(self, limit: int, at_ms: int) -> None:
        self.limit, self.first_ms, self.last_ms = limit, at_ms, at_ms
        self.highest = self.ms = 0


class Tally:
    """Fed with each decision of the loop over `Silent` drivers (`see`); `report` at any time."""

    def __init__(self, site: Site, drivers: Silent, utc: Callable[[], int]) -> None:
        self._site, self._drivers, self._utc = site, drivers, utc
        self._begun_ms = utc()
        self._last_ms: int | None = None
        self._ms = self._ticks = 0
        self._evses = {id: _Evse() for id in site.outlets}
        self._over: dict[tuple[str, str, str], _Over] = {}
        self._marks: dict[str, int] = {}
        self._flows: dict[str, Phases] = {}

    def see(self, inputs: TickInputs, decision: Decision) -> None:
        """A tick is over."""
        now = inputs.now.tick_ms
        passed = 0 if self._last_ms is None else now - self._last_ms
        self._last_ms = now
        self._ticks += 1
        if not 0 <= passed <= _GAP_MS:
            passed = 0
        self._ms += passed
        seen = {each.id: each for each in inputs.evses}
        for point in decision.set_points:
            reason = decision.reasons.get(point.evse)
            code, words = ("", "") if reason is None else (str(reason.code), reason.words)
            self._evse(point.evse, point.value, code, words, seen.get(point.evse), passed)
        for mark in decision.marks:
            text = f"{mark.where}: {mark.words}"
            if text in self._marks or len(self._marks) < _MARKS:
                self._marks[text] = self._marks.get(text, 0) + passed
        for node, reading in decision.state.meters.items():
            if now - reading.at_ms <= self._site.policy.stale_ms:
                self._node(node, reading.phases_ma, decision, inputs.now.utc_ms, passed)

    def _evse(self, id: str, value: int, code: str, words: str, seen: EvseInput | None, passed: int) -> None:
        one = self._evses[id]
        one.now, one.words = value, words
        if seen is None or not seen.status.online or not connected(seen):
            return
        one.car_ms += passed
        one.lowest = value if one.lowest is None else min(one.lowest, value)
        one.highest = value if one.highest is None else max(one.highest, value)
        one.reasons[code] = one.reasons.get(code, 0) + passed
        own = own_currents(seen, 0)
        if self._site.topology.evses[id].current == "AC" and own is not None and max(own) > value + NEAR_MA:
            one.drew_more_ms += passed

    def _node(self, node: str, flows: Phases, decision: Decision, utc_ms: int, passed: int) -> None:
        old = self._flows.get(node, flows)
        self._flows[node] = (max(old[0], flows[0]), max(old[1], flows[1]), max(old[2], flows[2]))
        tree = self._site.topology.tree
        own = tree.nodes[self._site.topology.places[node]].limits
        for limit in (*own, *decision.limits.get(node, ())):
            if not limit.in_force(utc_ms):
                continue
            if limit.phases_ma is not None:
                for phase in range(3):
                    self._compare(node, f"L{phase + 1}", limit.source, limit.phases_ma[phase], flows[phase], passed)
            if limit.power_mw is not None:
                power = sum(flows) * tree.voltage_mv // 1_000
                self._compare(node, "power", limit.source, limit.power_mw, power, passed)
            if limit.imbalance_ma is not None:
                spread = max(flows) - min(flows)
                self._compare(node, "imbalance", limit.source, limit.imbalance_ma, spread, passed)

    def _compare(self, node: str, what: str, source: str, limit: int, value: int, passed: int) -> None:
        if value <= limit:
            return
        now = self._utc()
        over = self._over.setdefault((node, what, source), _Over(limit, now))
        over.limit, over.last_ms = min(over.limit, limit), now
        over.highest, over.ms = max(over.highest, value), over.ms + passed

    def report(self, failures: int = 0) -> DryReport:
        """What there is until now."""
        silent = {each.id: each for each in self._drivers.evses}
        evses = tuple(
            DryEvse(
                evse=id, unit="mA" if self._site.topology.evses[id].current == "AC" else "mW", now=one.now,
                commands=silent[id].changes if id in silent else 0, lowest=one.lowest, highest=one.highest,
                car_s=one.car_ms // 1_000, drew_more_s=one.drew_more_ms // 1_000,
                reasons={code: ms // 1_000 for code, ms in sorted(one.reasons.items())}, words=one.words,
            )
            for id, one in self._evses.items()
        )  # fmt: skip
        violations = tuple(
            Violation(
                node=node, what=what, source=source, limit=over.limit, highest=over.highest,
                seconds=-(-over.ms // 1_000), first_ms=over.first_ms, last_ms=over.last_ms,
            )
            for (node, what, source), over in sorted(self._over.items())
        )  # fmt: skip
        devices = sum(each.changes for each in self._drivers.devices)
        return DryReport(
            begun_ms=self._begun_ms, until_ms=self._utc(), seconds=self._ms // 1_000, ticks=self._ticks,
            failures=failures, commands=sum(each.commands for each in evses) + devices, violations=violations,
            evses=evses, marks={text: ms // 1_000 for text, ms in self._marks.items()}, flows=dict(self._flows),
        )  # fmt: skip


def verdict(report: DryReport, wanted_s: int) -> tuple[str, str]:
    """(what came out, what to do next) in words."""
    seconds = report.seconds
    words = f"{seconds} s watched, {report.commands} commands not given"
    lost = sorted(text for text, s in report.marks.items() if seconds and s > seconds // 4)
    if report.failures:
        return f"{words}; {report.failures} ticks failed", "Do not go live; the log says why they failed"
    if lost:
        return f"{words}; wrong for most of the time: {lost[0]}", "Mend that first, then run dry once more"
    if report.violations:
        worst = max(report.violations, key=lambda each: each.seconds)
        words += f"; {worst.what} of {worst.node} was above {worst.source} for {worst.seconds} s"
        return words, "That happened without us; once live the loop keeps chargers below it"
    if seconds < wanted_s * 9 // 10:
        return words, "Run it for longer: a whole day shows most"
    return f"{words}; no limit was exceeded", ""
