"""A staged roll-out of firmware, or of new certificates: who is next, when a stage is over, when it has to stop. All of
it pure.

The stations are taken in stages, each a share of all of them. Between two stages the updated ones are watched. What
goes wrong is counted over everything that was begun, and the roll-out stops itself as soon as there is more of it than
the stages so far may have: nobody else gets what the first ones did not survive.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Final, Literal, NamedTuple

import msgspec

Kind = Literal["firmware", "certificates"]
"""What stations are given. In the words below "updated" and "installed" stand for certificates too: a station that has
come in with its new one."""
Status = Literal["running", "watching", "pausing", "paused", "stopped", "done"]
"""running: a stage is being updated; watching: it is over and its stations are looked at; paused and stopped: nobody
else is begun (by a person, or by itself with `reason`); done."""
State = Literal["pending", "waiting", "ordering", "updating", "installed", "failed", "silent", "refused", "skipped"]
"""pending: in no stage yet; waiting: chosen, and busy or away; ordering, updating: under way; skipped: had the version
already, or could not be reached in time."""
OVER: Final = frozenset(("installed", "failed", "silent", "refused", "skipped"))
EXPECTED_EVENTS: Final = frozenset(
    (
        "FirmwareUpdated", "SettingSystemTime", "StartupOfTheDevice", "ResetOrReboot", "FailedToAuthenticateAtCsms",
        "CsmsFailedToAuthenticate", "ReconfigurationOfSecurityParameters",
    )
)  # fmt: skip
"""Security events that belong to an update and to a reconnection; every other one counts against a roll-out."""
BAD_ENDS: Final = frozenset(
    ("EmergencyStop", "GroundFault", "OvercurrentFault", "PowerLoss", "PowerQuality", "Reboot", "Other")
)  # fmt: skip
"""Reasons of sessions that ended as no driver wanted."""


class Policy(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How carefully."""

    stages: tuple[int, ...] = (1, 10, 100)
    """Percent of the stations that have been begun when each stage is over; the last is 100."""
    watch_s: int = 3600
    """How long the updated stations are watched after each stage."""
    max_failed_percent: float = 1.0
    """Of the stations that are over: told a failure, refused, came back as they were, or fell silent."""
    max_lost_percent: float = 2.0
    """Updated, and then not heard of (`lost_s`, `quiet_s`)."""
    max_security_events: int = 0
    """Critical security events at stations that were begun."""
    max_session_failures_percent: float = 5.0
    """Stations whose sessions failed after the update."""
    silent_s: int = 1800
    lost_s: int = 600
    quiet_s: int = 1200
    """A connected station that is not heard of for so long counts as lost: four heartbeats of five minutes."""
    wait_s: int = 86_400
    """How long a station that is busy or away is waited for before it is skipped."""
    at_once: int = 20
    """So many stations are updated at the same time."""
    also_busy: bool = False
    """Order the update also where a session runs."""


class Member(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One station of a roll-out."""

    station: str
    number: int
    stage: int = 0
    """From 1; 0: in none yet."""
    state: State = "pending"
    why: str = ""
    chosen_at: int = 0
    changed_at: int = 0
    ordered_at: int = 0
    """Certificates: when it was asked last."""
    serial: str = ""
    """Certificates: of the one that it was given, and is to come back with."""
    lost_at: int = 0
    """Since when it has no connection after its update; 0: it has one."""
    lost: bool = False
    """It was away for too long."""
    security_events: int = 0
    session_failed: bool = False


class Tally(NamedTuple):
    """What has become of the stations of the stages so far."""

    begun: int
    installed: int
    failed: int
    silent: int
    skipped: int
    under_way: int
    waiting: int
    lost: int
    security_events: int
    session_failures: int


def targets(total: int, stages: Sequence[int]) -> list[int]:
    """How many stations have been begun when each stage is over: at least one more in each, and all at the end."""
    found: list[int] = []
    for percent in stages:
        least = (found[-1] if found else 0) + 1
        found.append(min(total, max(least, -(-total * percent // 100))))
    if found:
        found[-1] = total
    return found


def check(policy: Policy) -> str:
    """What is wrong with its stages; "" for nothing."""
    stages = policy.stages
    if not stages or stages[-1] != 100:
        return "the last stage is 100 percent"
    if any(later <= earlier for earlier, later in pairwise(stages)) or stages[0] < 1:
        return "each stage is larger than the one before"
    return ""


def tally(members: Iterable[Member]) -> Tally:
    """Count them; who is in no stage yet does not count."""
    begun = installed = failed = silent = skipped = under_way = waiting = lost = events = sessions = 0
    for one in members:
        if not one.stage:
            continue
        begun += 1
        match one.state:
            case "installed":
                installed += 1
            case "failed" | "refused":
                failed += 1
            case "silent":
                silent += 1
            case "skipped":
                skipped += 1
            case "waiting":
                waiting += 1
            case _:
                under_way += 1
        lost += one.lost
        events += one.security_events
        sessions += one.session_failed
    return Tally(begun, installed, failed, silent, skipped, under_way, waiting, lost, events, sessions)


def forgive(found: Tally, forgiven: Sequence[int]) -> Tally:
    """Without what was known when somebody decided to go on nevertheless (`forgiven`: an earlier tally)."""
    if not forgiven:
        return found
    known = Tally(*forgiven)
    return found._replace(
        failed=max(0, found.failed - known.failed),
        silent=max(0, found.silent - known.silent),
        lost=max(0, found.lost - known.lost),
        security_events=max(0, found.security_events - known.security_events),
        session_failures=max(0, found.session_failures - known.session_failures),
    )


FEW: Final = 100
"""Shares are of so many stations at least, or of the whole stage where it is smaller: one of three is no third."""


def judge(policy: Policy, target: int, found: Tally) -> str:
    """Why it has to stop; "" where it may go on. `target`: how many stations the stages so far are."""
    over = found.installed + found.failed + found.silent
    base = min(target, max(FEW, over))
    for name, count, percent in (
        ("failed or fell silent", found.failed + found.silent, policy.max_failed_percent),
        ("were not heard of after it", found.lost, policy.max_lost_percent),
        ("had sessions that failed after it", found.session_failures, policy.max_session_failures_percent),
    ):
        if count * 100 > percent * base:
            return f"{count} of {over} stations {name}, more than {percent:g} %"
    if found.security_events > policy.max_security_events:
        return f"{found.security_events} security events, more than {policy.max_security_events}"
    return ""


def choose(
    members: Sequence[Member], stage: int, target: int, ready: Iterable[str], now: int, *, everybody: bool
) -> list[Member]:
    """Fill a stage up to `target`: those that can be updated now first. The last stage takes `everybody` that is left.

    Returns who came in.
    """
    have = sum(1 for one in members if one.stage)
    now_ready = frozenset(ready)
    free = [one for one in members if not one.stage]
    free.sort(key=lambda one: one.station not in now_ready)  # stable: else as they were given
    chosen = free if everybody else free[: max(0, target - have)]
    for one in chosen:
        one.stage, one.state, one.chosen_at, one.changed_at = stage, "waiting", now, now
    return chosen


def settle(member: Member, state: State, why: str, now: int) -> None:
    """What has become of it."""
    member.state, member.why, member.changed_at = state, why, now


def stage_over(members: Iterable[Member], stage: int) -> bool:
    """Nobody of the stages so far is under way or waited for."""
    return all(one.state in OVER for one in members if 0 < one.stage <= stage)


def state_after(outcome: str) -> State:
    """Where a member stands whose update has ended so (`domain.firmware.Outcome`)."""
    match outcome:
        case "installed" | "silent" | "refused":
            return outcome
        case _:
            return "failed"
