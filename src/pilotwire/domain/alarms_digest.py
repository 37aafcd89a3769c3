"""Quiet notification: the first alarm is told at once, what follows soon after goes out together. Pure."""

from __future__ import annotations

from typing import Final, Literal

import msgspec

from .alarms_rules import SEVERITIES, Severity

GATHER_MS: Final = 5_000
"""A message waits so long for what happens with it: a site that loses its power is one message, not fifty."""
MAX_LINES: Final = 500
"""Of more than this in one message the rest is counted."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """One alarm that was raised or cleared."""

    alarm: str
    what: Literal["raised", "cleared"]
    at: int
    severity: Severity
    station: str
    site: str
    text: str


class Digest(msgspec.Struct, frozen=True, omit_defaults=True, kw_only=True):
    """What a subscription waits to tell. Times in ms."""

    lines: tuple[Line, ...] = ()
    more: int = 0
    """Lines beyond `MAX_LINES`."""
    due: int = 0
    """When it goes out; 0 while there is nothing to tell."""
    sent_at: int = 0
    """When the last message went out; 0: never."""


def gather(digest: Digest, line: Line, now: int, quiet_ms: int) -> Digest:
    """Take in a line. What was raised and cleared while it waited stays in both lines: it did happen."""
    due = digest.due or max(now + GATHER_MS, digest.sent_at + quiet_ms if digest.sent_at else 0)
    if line.severity == "critical":
        due = min(due, now + GATHER_MS)  # what is critical does not wait for the quiet time to pass
    if any(one.alarm == line.alarm and one.what == line.what for one in digest.lines):
        return msgspec.structs.replace(digest, due=due)
    if len(digest.lines) >= MAX_LINES:
        return msgspec.structs.replace(digest, more=digest.more + 1, due=due)
    return msgspec.structs.replace(digest, lines=(*digest.lines, line), due=due)


def take(digest: Digest, now: int) -> tuple[Digest, tuple[Line, ...], int]:
    """What goes out now, worst first, and how many more there were; empty while it is not due."""
    if not digest.due or now < digest.due:
        return digest, (), 0
    lines = sorted(digest.lines, key=lambda one: (one.what != "raised", SEVERITIES.index(one.severity), one.at))
    return Digest(sent_at=now), tuple(lines), digest.more


def subject(lines: tuple[Line, ...], more: int) -> str:
    """One line for the head of a message."""
    raised = [one for one in lines if one.what == "raised"]
    if len(lines) == 1 and not more:
        (one,) = lines
        where = one.station or one.site
        text = f"{where}: {one.text}" if where else one.text
        return f"[{one.severity if one.what == 'raised' else 'cleared'}] {text}"[:200]
    parts = [
        f"{count} {severity}"
        for severity in SEVERITIES
        if (count := sum(1 for one in raised if one.severity == severity))
    ]
    if cleared := len(lines) - len(raised):
        parts.append(f"{cleared} cleared")
    if more:
        parts.append(f"{more} more")
    return f"Alarms: {', '.join(parts)}"


def body(lines: tuple[Line, ...], more: int, when: dict[int, str]) -> str:
    """The message as plain text. `when` gives each line's time (ms) as people read it."""
    out: list[str] = []
    for what, title in (("raised", "Raised"), ("cleared", "Over")):
        chosen = [one for one in lines if one.what == what]
        if not chosen:
            continue
        out.append(f"{title}:")
        for one in chosen:
            where = one.station + (f" ({one.site})" if one.site and one.station else one.site)
            out.append(f"  {when[one.at]}  {one.severity:<8}  {where}{': ' if where else ''}{one.text}")
        out.append("")
    if more:
        out += [f"And {more} more that are not listed here.", ""]
    return "\n".join(out)
