"""How long we were away, for what expires: by a clock that nobody sets, as long as the machine has not been restarted.

Within one boot of the machine its own time since then counts, so that a clock that was set, or stepped by NTP, neither
prolongs nor ends anything. After a restart of the machine there is only the time of the day; if that went back, no time
has passed.
"""

from __future__ import annotations

import time
from functools import cache
from pathlib import Path

import msgspec

_BOOT = Path("/proc/sys/kernel/random/boot_id")


class Clocks(msgspec.Struct, frozen=True):
    """One moment by all clocks there are, in ms. `tick_ms`: of the process; `boot_ms`: of the machine, that runs while
    it sleeps too; `boot`: which start of the machine, "" where nobody knows."""

    tick_ms: int
    utc_ms: int
    boot_ms: int = 0
    boot: str = ""


def elapsed_ms(then: Clocks, now: Clocks) -> int:
    """From `then`, of another process, until `now`; never below 0."""
    if then.boot and then.boot == now.boot:
        return max(0, now.boot_ms - then.boot_ms)
    return max(0, now.utc_ms - then.utc_ms)


def moved_ms(then: Clocks, now: Clocks) -> int:
    """By how much times of the other process's `tick_ms` are to be moved."""
    return now.tick_ms - then.tick_ms - elapsed_ms(then, now)


def clocks(tick_ms: int, utc_ms: int) -> Clocks:
    """This moment."""
    boot = _boot()
    if not boot:
        return Clocks(tick_ms, utc_ms)
    return Clocks(tick_ms, utc_ms, time.clock_gettime_ns(time.CLOCK_BOOTTIME) // 1_000_000, boot)


@cache
def _boot() -> str:
    """Which start of the machine this is; "" on another system than Linux: the time of the day has to do there."""
    try:
        return _BOOT.read_text("ascii").strip() if hasattr(time, "CLOCK_BOOTTIME") else ""
    except (OSError, ValueError):
        return ""
