"""What both ends have: messages over J1939 both ways, those that go out again and again, what is waited for."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from pilotwire.core.machines import Send
from pilotwire.core.timers import TimerRule
from pilotwire.protocols.can.frame import CanFrame
from pilotwire.protocols.can.signals import SignalError
from pilotwire.protocols.j1939 import Aborted, Limits, Packet, Transport

from .codec import MESSAGES, decode, encode, faults, group
from .messages import Edition
from .variable import BY_NAME

Values = Mapping[str, Any]


class LineCounts(msgspec.Struct):
    """What came that was not as it should be."""

    unknown: int = 0
    """Groups that the standard does not have, or of somebody else."""
    malformed: int = 0
    """Too short, or with values that the standard does not allow: as if they had not come (clause 8)."""
    out_of_order: int = 0
    """Messages that mean nothing in the phase that it was."""
    aborted: int = 0
    """Long messages that did not arrive."""


class _Cycle(msgspec.Struct):
    name: str
    period: int
    due: int
    make: Callable[[], Values]


class Line:
    """One end's way to the other. `own` and `peer` are addresses, `theirs` says who sends what is for us."""

    __slots__ = ("_cycles", "_due", "_own", "_peer", "_theirs", "counts", "edition", "transport")

    def __init__(self, own: int, peer: int, theirs: str, edition: Edition, limits: Limits) -> None:
        self.edition: Edition = edition
        self.counts = LineCounts()
        self.transport = Transport(own, limits)
        self._own, self._peer, self._theirs = own, peer, theirs
        self._cycles: dict[str, _Cycle] = {}
        self._due: dict[str, tuple[int, TimerRule]] = {}

    # ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────────
    def send(self, name: str, values: Values, now: int) -> list[Any]:
        pgn, priority = group(name, self.edition)
        return self.transport.send(pgn, self._peer, encode(name, values, self.edition), priority, now)

    def repeat(self, name: str, make: Callable[[], Values], now: int) -> list[Any]:
        """Send at once, and at the message's period from then on, without drift. What already goes on goes on."""
        if name in self._cycles:
            self._cycles[name].make = make
            return []
        variable = BY_NAME.get(name)
        period = variable.period_ms if variable else MESSAGES[self.edition][name].period_ms
        self._cycles[name] = _Cycle(name, period or 250, now + (period or 250), make)
        return self.send(name, make(), now)

    def quiet(self, *names: str) -> None:
        """Send these no longer; without names: nothing."""
        for name in names or tuple(self._cycles):
            self._cycles.pop(name, None)

    @property
    def sending(self) -> tuple[str, ...]:
        return tuple(self._cycles)

    # ── in ───────────────────────────────────────────────────────────────────────────────────────────────────────────
    def receive(self, frame: CanFrame, now: int) -> tuple[list[Any], list[tuple[str, dict[str, Any], int]]]:
        """Answers of the transport, and messages for us: name, values, bytes."""
        effects: list[Any] = []
        messages: list[tuple[str, dict[str, Any], int]] = []
        for effect in self.transport.receive(frame, now):
            if type(effect) is Send:
                effects.append(effect)
            elif type(effect) is Packet:
                message = self._read(effect)
                if message is not None:
                    messages.append(message)
            elif type(effect) is Aborted:
                self.counts.aborted += 1
        return effects, messages

    def _read(self, packet: Packet) -> tuple[str, dict[str, Any], int] | None:
        if packet.sa != self._peer:
            self.counts.unknown += 1
            return None
        try:
            found = decode(packet.pgn, packet.data, self.edition)
            if found is None and self.edition == "2011":
                found = decode(packet.pgn, packet.data, "2015")  # CHM and BHM, of one that we took for older
        except SignalError:
            self.counts.malformed += 1
            return None
        if found is None:
            self.counts.unknown += 1
            return None
        name, values = found
        fixed = MESSAGES["2015"].get(name)
        if fixed is not None and fixed.sender != self._theirs:
            self.counts.unknown += 1
            return None
        if fixed is not None and faults(name, values, self.edition if name in MESSAGES[self.edition] else "2015"):
            self.counts.malformed += 1
            return None
        return name, values, len(packet.data)

    # ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────────
    def wait(self, rule: TimerRule, now: int) -> None:
        """From now on `rule` runs; anew, if it already did."""
        self._due[rule.name] = now + rule.ms, rule

    def wait_on(self, rule: TimerRule, now: int) -> None:
        """As `wait`, unless it already runs."""
        if rule.name not in self._due:
            self.wait(rule, now)

    def done(self, *rules: TimerRule) -> None:
        """These no longer run; without rules: none."""
        for name in [rule.name for rule in rules] or list(self._due):
            self._due.pop(name, None)

    def waits(self, rule: TimerRule) -> bool:
        return rule.name in self._due

    @property
    def deadline(self) -> int | None:
        dues = [due for due, _ in self._due.values()] + [each.due for each in self._cycles.values()]
        if (transport := self.transport.deadline) is not None:
            dues.append(transport)
        return min(dues, default=None)

    def elapse(self, now: int) -> tuple[list[Any], list[TimerRule]]:
        """What goes out now, and the rules that have run out; the machine may stop what goes out by handling those
        first."""
        expired = [rule for due, rule in sorted(self._due.values(), key=lambda each: each[0]) if due <= now]
        for rule in expired:
            del self._due[rule.name]
        effects: list[Any] = []
        for effect in self.transport.elapse(now):
            if type(effect) is Send:
                effects.append(effect)
            elif type(effect) is Aborted:
                self.counts.aborted += 1
        return effects, expired

    def cycle(self, now: int) -> list[Any]:
        """What is due to go out again."""
        effects: list[Any] = []
        for each in list(self._cycles.values()):
            if each.due <= now:
                effects += self.send(each.name, each.make(), now)
                each.due += each.period * (1 + (now - each.due) // each.period)
        return effects

    def reset(self) -> None:
        """Nothing goes out, nothing is waited for."""
        self._cycles.clear()
        self._due.clear()
        self.transport.drop()
