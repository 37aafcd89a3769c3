"""What happened at an outlet while nobody looked: from what was known last and what is seen now.

`reconstruct` is pure. Energy is what the register says; of times, only those are told that the charger vouches for or
that the energy itself does:

- a session that was running and whose car is gone ended when its energy can have been through at the power that it had
  last, and not before it was seen last;
- a session that began meanwhile began when the charger's own clock of the session says so, else as late as its energy
  allows;
- energy of which nobody knows the session is a session of its own in the time of the absence;
- a card that the charger showed before already may be left from an earlier session: it names nobody's new one.
"""

from __future__ import annotations

import msgspec

__all__ = ["Begun", "Ended", "Last", "Rules", "Seen", "Step", "Whole", "reconstruct"]

_UJ_PER_WH = 3_600_000_000
_SLACK_MS = 60_000
"""Two clocks of a session may differ by that."""


class Last(msgspec.Struct, frozen=True, kw_only=True):
    """What was known last. Times are UTC, ms; energy is of the register, Wh."""

    at_ms: int
    register_wh: int
    plugged: bool = False
    running: bool = False
    """A session ran that the CSMS has been told of, or is to be told of."""
    session: str = ""
    """The charger's own name for it."""
    session_wh: int | None = None
    token: str = ""
    power_mw: int = 0


class Seen(msgspec.Struct, frozen=True, kw_only=True):
    """What is seen now."""

    at_ms: int
    register_wh: int
    plugged: bool
    session: str = ""
    session_wh: int | None = None
    """Of the running session, or of the last one."""
    session_s: int | None = None
    token: str = ""


class Rules(msgspec.Struct, frozen=True, kw_only=True):
    """`free`: sessions need nobody's card. `least_wh`: what is less is no session."""

    free: bool = False
    least_wh: int = 20
    max_power_mw: int = 22_080_000


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """The session that was running is over."""

    at_ms: int
    register_wh: int


class Whole(msgspec.Struct, frozen=True, kw_only=True):
    """A session began and ended."""

    begin_ms: int
    begin_wh: int
    end_ms: int
    end_wh: int
    token: str


class Begun(msgspec.Struct, frozen=True, kw_only=True):
    """A session began that still runs."""

    at_ms: int
    register_wh: int
    token: str


Step = Ended | Whole | Begun


def reconstruct(last: Last, seen: Seen, rules: Rules) -> tuple[Step, ...]:
    """What has to be told, oldest first. A session that simply went on needs no step."""
    moved = max(0, seen.register_wh - last.register_wh)
    if last.running and seen.plugged and _same(last, seen, rules):
        return ()
    if last.running:
        return _after_one(last, seen, rules, moved)
    if seen.plugged:
        return _into_one(last, seen, rules, last.at_ms, last.register_wh)
    if moved >= rules.least_wh:
        return (_whole(last.at_ms, last.register_wh, seen.at_ms, seen.register_wh, last, seen, rules),)
    return ()


def _same(last: Last, seen: Seen, rules: Rules) -> bool:
    """The session of then is the one of now. Where the charger says nothing that tells them apart, it is."""
    if last.session and seen.session:
        return last.session == seen.session
    if seen.session_s is not None and seen.at_ms - 1000 * seen.session_s > last.at_ms + _SLACK_MS:
        return False
    if last.token and seen.token and last.token != seen.token:
        return False
    if last.session_wh is not None and seen.session_wh is not None:
        moved = seen.register_wh - last.register_wh
        slack = max(rules.least_wh, moved // 50)
        return abs(seen.session_wh - last.session_wh - moved) <= slack
    return True


def _after_one(last: Last, seen: Seen, rules: Rules, moved: int) -> tuple[Step, ...]:
    """A session ran that runs no more."""
    if seen.plugged:
        # What is not of the new session was of the old one.
        new = min(moved, seen.session_wh) if seen.session_wh is not None else 0
        border = seen.register_wh - new
        begun = _begin_ms(seen, last.at_ms, new, rules)
        ended = Ended(at_ms=_end_ms(last, border, begun, rules), register_wh=border)
        return (ended, *_into_one(last, seen, rules, ended.at_ms, border))
    other = bool(last.session and seen.session and last.session != seen.session)
    if other and seen.session_wh is not None and rules.least_wh <= seen.session_wh <= moved:
        border = seen.register_wh - seen.session_wh
        ended = Ended(at_ms=_end_ms(last, border, seen.at_ms, rules), register_wh=border)
        return ended, _whole(ended.at_ms, border, seen.at_ms, seen.register_wh, last, seen, rules)
    return (Ended(at_ms=_end_ms(last, seen.register_wh, seen.at_ms, rules), register_wh=seen.register_wh),)


def _into_one(last: Last, seen: Seen, rules: Rules, since_ms: int, since_wh: int) -> tuple[Step, ...]:
    """A car is there now, and nothing ran before that is not told of."""
    moved = max(0, seen.register_wh - since_wh)
    new = min(moved, seen.session_wh) if seen.session_wh is not None else moved
    at_ms = _begin_ms(seen, since_ms, new, rules)
    steps: list[Step] = []
    if moved - new >= rules.least_wh:
        steps.append(_whole(since_ms, since_wh, at_ms, seen.register_wh - new, last, seen, rules, known=False))
    if rules.free or new >= rules.least_wh:
        # Who has energy in a session, or needs nobody's leave for it, has one.
        steps.append(Begun(at_ms=at_ms, register_wh=seen.register_wh - new, token=_card(last, seen)))
    return tuple(steps)


def _whole(
    begin_ms: int, begin_wh: int, end_ms: int, end_wh: int, last: Last, seen: Seen, rules: Rules, *, known: bool = True
) -> Whole:
    lasted = end_ms - begin_ms
    token = ""
    if known:  # what the charger says of its last session is about this one
        token = _card(last, seen)
        if seen.session_s is not None:
            least = _takes_ms(end_wh - begin_wh, rules.max_power_mw)
            lasted = min(lasted, max(least, 1000 * seen.session_s))
    return Whole(begin_ms=begin_ms, begin_wh=begin_wh, end_ms=begin_ms + lasted, end_wh=end_wh, token=token)


def _card(last: Last, seen: Seen) -> str:
    """Who the session of now can be told of."""
    return seen.token if seen.token != last.token else ""


def _begin_ms(seen: Seen, since_ms: int, wh: int, rules: Rules) -> int:
    """When the session of now began, not before `since_ms`."""
    if seen.session_s is not None:
        return max(since_ms, seen.at_ms - 1000 * seen.session_s)
    return max(since_ms, seen.at_ms - _takes_ms(wh, rules.max_power_mw))


def _end_ms(last: Last, register_wh: int, before_ms: int, rules: Rules) -> int:
    """When the session of then was over, not after `before_ms`."""
    power = last.power_mw if last.power_mw > 100_000 else rules.max_power_mw
    return max(last.at_ms, min(before_ms, last.at_ms + _takes_ms(register_wh - last.register_wh, power)))


def _takes_ms(wh: int, power_mw: int) -> int:
    return -(-max(0, wh) * _UJ_PER_WH // max(1, power_mw))
