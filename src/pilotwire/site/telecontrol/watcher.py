"""Watches one schedule file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from pilotwire.domain.telecontrol import Planned, Schedule, read_schedule, replaces, rules_faults, scheduled

from .config import ScheduleEntry

__all__ = ["ScheduleWatcher", "read_file"]

Reader = Callable[[str], bytes | None]
_FAULTS_SAID = 5


def read_file(path: str) -> bytes | None:
    """The bytes of a file; None where there is none. Raises OSError."""
    try:
        return Path(path).read_bytes()
    except FileNotFoundError:
        return None


class ScheduleWatcher:
    """The newest schedule of a file that can be used. A new content counts when two looks in a row have found the same,
    so that one that is being overwritten is never read half old and half new; at a start with nothing remembered, the
    first look counts."""

    def __init__(self, entry: ScheduleEntry, read: Reader, report: Callable[[str], None], kept: bytes = b"") -> None:
        """`kept`: the file as `data` had it before a restart."""
        self.schedule: Schedule | None = read_schedule(kept).schedule if kept else None
        self.data = kept if self.schedule is not None else b""
        """What `schedule` was read from."""
        self.trouble = ""
        """What is wrong with the file that is there now; "" while all is well."""
        self._entry, self._read, self._report = entry, read, report
        self._pending: bytes | None = None
        self._refused: bytes | None = None

    def poll(self) -> None:
        """One look at the file. Raises nothing."""
        try:
            data = self._read(self._entry.path)
        except OSError as error:
            self._say(f"cannot be read: {error.strerror or error}")
            return
        if data is None:
            self._pending = self._refused = None
            if self.schedule is not None and self._entry.gone == "missing":
                self.schedule, self.data = None, b""
            self._say("is not there")
            return
        if data == self.data:
            self._pending = self._refused = None
            self._say("")
            return
        if data == self._refused:
            return
        if self.schedule is not None and data != self._pending:
            self._pending = data
            return
        self._pending = None
        schedule, faults = read_schedule(data)
        said = [str(each) for each in faults]
        if schedule is not None:
            said += rules_faults(self._entry.rules, schedule)
            said += [why] if (why := replaces(self.schedule, schedule)) else []
        if schedule is None or said:
            self._refused = data
            more = f"; and {len(said) - _FAULTS_SAID} more" if len(said) > _FAULTS_SAID else ""
            self._say("is not taken: " + "; ".join(said[:_FAULTS_SAID]) + more)
            return
        self.schedule, self.data, self._refused = schedule, data, None
        self._say("")

    def at(self, utc_ms: int) -> Planned:
        """What is ordered now."""
        return scheduled(self._entry.rules, self.schedule, utc_ms)

    def _say(self, trouble: str) -> None:
        if trouble and trouble != self.trouble:
            self._report(f"schedule {self._entry.rules.id}: {self._entry.path} {trouble}")
        self.trouble = trouble
