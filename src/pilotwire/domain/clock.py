"""What a station's clock is worth.

A station's times are kept in facts as reported. Here are the two things that are derived from them: how far its clock
is off (`observe`, a robust estimate over live messages), and which times cannot be right (`regime`).

Queueing only ever makes a message look *older* than it is, never newer. So an offset ahead of the estimate is soon
believed, one behind it only when it holds while time goes by, which a queue that is being drained does not.
"""

from __future__ import annotations

from .flags import flag, has
from .records import ClockEstimate, Session

DAY_MS = 86_400_000
UNSET_MS = 5 * 365 * DAY_MS
"""A time this long before its arrival is a clock that was never set (1970, 2000, a build date)."""
SAMPLE_MS = 10_000
"""One message in this time is looked at."""
TOLERANCE_MS = 60_000
"""Offsets this close together tell of the same clock."""
KEEP = 7
STEADY_MS = 60_000
"""How long an offset that lies behind must hold before it is a clock and not a queue."""


def observe(clock: ClockEstimate, event_time: int, recv_time: int) -> int | None:
    """Take one live message into account; the skew (ms, station minus us) once three agree, else None."""
    offset = event_time - recv_time
    offsets = clock.offsets
    clock.at = recv_time
    if not offsets or abs(offset - _median(offsets)) <= TOLERANCE_MS:
        offsets.append(offset)
        del offsets[:-KEEP]
        clock.odd = []
    else:
        odd = [pair for pair in clock.odd if abs(pair[1] - offset) <= TOLERANCE_MS][-KEEP + 1 :]
        odd.append((recv_time, offset))
        ahead = offset > _median(offsets) and len(odd) >= 2
        steady = len(odd) >= 3 and recv_time - odd[0][0] >= STEADY_MS
        if ahead or steady:
            clock.offsets = offsets = [pair[1] for pair in odd]
            odd = []
        clock.odd = odd
    return _median(offsets) if len(offsets) >= 3 else None


def _median(values: list[int]) -> int:
    return sorted(values)[len(values) // 2]


def regime(time: int, recv_time: int) -> int:
    """-1: the clock was never set; 1: it is in the future by more than a day; 0: the time can be right."""
    if time < recv_time - UNSET_MS:
        return -1
    return 1 if time > recv_time + DAY_MS else 0


def settle_times(session: Session, time: int, recv_time: int, skew_ms: int) -> None:
    """Derive `started_at` and `ended_at` from what was reported. `time` is the one that came with this message.

    Times that can be right stand as reported. Impossible ones are moved by one correction for the whole session, so
    that its length stays what the station measured: by the known skew if that mends them, else so that no event lies
    after its arrival. Only a known skew of more than a day moves a time that could be right.
    """
    wrong = regime(time, recv_time)
    if wrong:
        flag(session, "clock-1970" if wrong < 0 else "clock-future")
        off = skew_ms if skew_ms and regime(time - skew_ms, recv_time) == 0 else time - recv_time
        if session.clock_ms == 0:
            session.clock_ms = off
        elif (session.clock_ms > 0) == (off > 0):
            session.clock_ms = max(session.clock_ms, off)
    elif abs(skew_ms) > DAY_MS and session.clock_ms == 0 and regime(time - skew_ms, recv_time) == 0:
        flag(session, "clock-skewed")
        session.clock_ms = skew_ms
    session.started_at = _corrected(session, session.reported_start, recv_time)
    if session.reported_stop is None:
        return
    ended = _corrected(session, session.reported_stop, recv_time)
    if ended < session.started_at:
        # The clock was set back meanwhile. A stop that came live ended when it came; of a queued one nothing is known.
        flag(session, "clock-stepped")
        live = abs(recv_time - session.reported_stop) < DAY_MS // 12
        ended = max(session.started_at, recv_time) if live else session.started_at
    session.ended_at = ended


def _corrected(session: Session, time: int, recv_time: int) -> int:
    if session.clock_ms == 0:
        return time
    moved = time - session.clock_ms
    possible = regime(moved, recv_time) == 0
    if regime(time, recv_time):
        return moved if possible else recv_time
    return moved if possible and has(session, "clock-skewed") else time
