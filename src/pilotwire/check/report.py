"""What became of the cases, for people (text), for programs (JSON) and for build servers (JUnit XML)."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from xml.sax.saxutils import escape, quoteattr

import msgspec

from .player import FAILED, NOT_RUN, PASSED, Outcome

_MARK = {PASSED: "ok  ", FAILED: "FAIL", NOT_RUN: "--  "}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")


def line(outcome: Outcome) -> str:
    """One case in one line, and below it what was wrong."""
    rows = [f"{_MARK[outcome.status]} {outcome.id:<22} {outcome.title}"]
    if outcome.status == NOT_RUN:
        rows.append(f"       not run: {outcome.reason}")
    if outcome.status == FAILED:
        if outcome.step:
            rows.append(f"       step {outcome.number}: {outcome.step}")
        rows.append(f"       {outcome.reason}")
        rows += [f"       invalid: {fault}" for fault in outcome.faults]
        rows += [
            f"         {'->' if frame.ours else '<-'} {frame.text[:1000]}"
            + (f"   !! {frame.fault}" if frame.fault else "")
            for frame in outcome.frames[-20:]
        ]
    return "\n".join(rows)


def summary(outcomes: Sequence[Outcome]) -> str:
    """Counts by profile and in all."""
    rows = ["", f"{'profile':<20} {'passed':>7} {'failed':>7} {'not run':>8}"]
    profiles = dict.fromkeys(outcome.profile for outcome in outcomes)
    rows += [_row(profile, [each for each in outcomes if each.profile == profile]) for profile in profiles]
    return "\n".join([*rows, _row("all", outcomes)])


def _row(name: str, outcomes: Iterable[Outcome]) -> str:
    count = Counter(outcome.status for outcome in outcomes)
    return f"{name:<20} {count[PASSED]:>7} {count[FAILED]:>7} {count[NOT_RUN]:>8}"


def as_json(outcomes: Sequence[Outcome]) -> bytes:
    """An object with `counts` and `cases`."""
    counts = Counter(outcome.status for outcome in outcomes)
    whole = {
        "counts": {status: counts[status] for status in (PASSED, FAILED, NOT_RUN)},
        "cases": outcomes,
    }
    return msgspec.json.format(msgspec.json.encode(whole), indent=1)


def as_junit(outcomes: Sequence[Outcome]) -> str:
    """One testsuite; a case that was not run is skipped."""
    counts = Counter(outcome.status for outcome in outcomes)
    seconds = sum(outcome.seconds for outcome in outcomes)
    rows = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        f'<testsuite name="pilotwire check" tests="{len(outcomes)}" failures="{counts[FAILED]}" errors="0" '
        f'skipped="{counts[NOT_RUN]}" time="{seconds:.3f}">',
    ]
    for outcome in outcomes:
        name = quoteattr(_CONTROL.sub("", f"{outcome.id} {outcome.title}"))
        head = f'<testcase classname="{outcome.version}.{outcome.side}.{outcome.profile}" name={name}'
        head += f' time="{outcome.seconds:.3f}"'
        if outcome.status == PASSED:
            rows.append(f"{head}/>")
        elif outcome.status == NOT_RUN:
            rows.append(f"{head}><skipped message={quoteattr(_CONTROL.sub('', outcome.reason))}/></testcase>")
        else:
            text = _CONTROL.sub("", line(outcome))
            message = quoteattr(_CONTROL.sub("", outcome.reason))
            rows.append(f"{head}><failure message={message}>{escape(text)}</failure></testcase>")
    rows.append("</testsuite>")
    return "\n".join(rows) + "\n"
