"""Telling one charger what it may do: at once when it changes, again before it expires, and never waiting for it.

Commands overtake each other nowhere: a driver carries them out in order. So a confirmation confirms that command and
ends all before it; what failed or was never answered may have arrived or not, and stays open until a later one is
confirmed.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from .inputs import Link
from .ports import EvseDriver, Restful, Told

RETRY_MS = 2_000
"""After a command that failed, and after one that nobody has answered."""
FAILSAFE_RETRY_MS = 30_000
"""Registers that many chargers write into flash are not tried each second."""
REST_MARGIN_MS = 5_000
REST_MOST_MS = 600_000
SILENT_MS = 10_000
"""A command without any answer for this long has failed, whatever its driver thinks."""


class Teller:
    """The commands to one driver. All times are of the loop's steady clock, which is handed in."""

    def __init__(
        self,
        driver: EvseDriver,
        *,
        now: Callable[[], int],
        failsafe: int,
        watchdog_ms: int | None,
        valid_ms: int,
        command_ms: int = 3_000,
    ) -> None:
        self.driver = driver
        self.sent = 0
        """Commands so far; each has its number."""
        self.failed = 0
        self.error = ""
        """What the last failure said."""
        self._now = now
        self._failsafe, self._watchdog_ms = failsafe, watchdog_ms
        # No offer outlives the watchdog: drivers that go on without us let go when chargers would.
        self._valid_ms = min(valid_ms, watchdog_ms or valid_ms)
        self._command_ms = command_ms
        self.rests = 0
        """How often it had to be left alone since it last confirmed anything."""
        self._rests_until: int | None = None
        self._deaf_ms: int | None = None
        """Since when it is told things that it could hear, and confirms none. What it is told while it is away does not
        count, and after it was left alone it has as long to answer as at first."""
        self._excused = False
        """It was away since it confirmed anything, and had that time anew: once, lest coming and going be an excuse."""
        self._refresh_ms = self._valid_ms // 3
        self._confirmed: int | None = None
        self._confirmed_ms = 0
        self._open: dict[int, tuple[int, int]] = {}
        """By number: value, and when it was sent."""
        self._last: tuple[int, Literal[1, 3] | None] | None = None
        self._last_ms = 0
        self._wrong = False
        """The last command has failed: it is to be told again."""
        self._verified = False
        self._asked_ms: int | None = None
        self._was_online = False
        self._visit = 0

    @property
    def link(self) -> Link:
        """What has become of it all."""
        open_ = list(self._open.values())
        return Link(
            confirmed=self._confirmed,
            confirmed_ms=self._confirmed_ms,
            open=max((value for value, _ in open_), default=None),
            open_ms=min((at for _, at in open_), default=0),
            failsafe=self._verified,
        )

    def tell(self, value: int, phases: Literal[1, 3] | None = None, may: int = 0) -> bool:
        """What it may do now. True if that made a command necessary.

        `may`: what it may be doing by all that is known of it, also from before this process; it counts for as long as
        nothing has been confirmed here.
        """
        now = self._now()
        self._presence(now)
        if self._starved(value, now, may):
            return False
        new = self._last != (value, phases)
        waits = now - self._last_ms
        if not new:
            if self._wrong:
                due = waits >= RETRY_MS
            elif self.sent in self._open:
                due = waits >= SILENT_MS  # its answer is on the way
            else:
                due = waits >= self._refresh_ms
            if not due:
                return False
        self._send(value, phases, now)
        return True

    def _starved(self, value: int, now: int, may: int) -> bool:
        """Whether it is left alone until its watchdog fires: it has more than it should, and takes no command."""
        if self._rests_until is not None:
            if now < self._rests_until:
                return True
            self._rests_until, self._last, self._deaf_ms = None, None, None
        link = self.link
        # Deaf since before we started, or since before it was left alone: nothing here says what it has.
        has = max(may if link.confirmed is None else link.confirmed, link.open or 0)
        deaf = self._deaf_ms is not None and now - self._deaf_ms >= self._command_ms
        if not deaf or value >= has or not self._was_online:
            return False
        if self._watchdog_ms is None or not isinstance(self.driver, Restful):
            return False
        # Each time for longer: while it is spoken to it may go back to what it had.
        rest = min((self._watchdog_ms + REST_MARGIN_MS) << min(self.rests, 8), REST_MOST_MS)
        rest = max(rest, self._watchdog_ms + REST_MARGIN_MS)
        self.rests += 1
        self._rests_until = now + rest
        try:
            self.driver.rest(rest)
        except Exception as error:
            self.error = f"{type(error).__name__}: {error}"
        return True

    def _send(self, value: int, phases: Literal[1, 3] | None, now: int) -> None:
        self.sent += 1
        number = self.sent
        self._last = (value, phases)
        self._last_ms, self._wrong = now, False
        if len(self._open) >= 2:
            # Of many that nobody answers, the highest and the oldest time are all that matters.
            most, since = max(each for each, _ in self._open.values()), min(at for _, at in self._open.values())
            self._open = {max(self._open): (most, since)}
        self._open[number] = (value, now)
        if self._was_online and self._deaf_ms is None:
            self._deaf_ms = now
        answered = False

        def done(told: Told) -> None:
            nonlocal answered
            if answered:
                return
            answered = True
            if told.ok:
                self.rests, self._excused = 0, False
                if number in self._open or not self._open or number > max(self._open):
                    self._confirmed, self._confirmed_ms = value, self._now()
                self._open = {each: sent for each, sent in self._open.items() if each > number}
                self._deaf_ms = min((at for _, at in self._open.values()), default=None)
                return
            self.failed += 1
            self.error = told.error
            if number == self.sent:
                self._wrong = True

        try:
            self.driver.offer(value, phases, self._valid_ms, done)
        except Exception as error:  # a driver's fault is that charger's fault, not the site's
            done(Told(False, f"{type(error).__name__}: {error}"))

    def _presence(self, now: int) -> None:
        """Whoever comes (back) gets its fail-safe registers set and read back before they are believed."""
        try:
            online = self.driver.status().online
        except Exception as error:
            online, self.error = False, f"{type(error).__name__}: {error}"
        if online and not self._was_online:
            self._visit += 1
            self._verified, self._asked_ms = False, None
            # What it was told before it went may be forgotten: it is told anew, and believed when it confirms that.
            self._last, self._confirmed = None, None
            if not self._excused:
                self._excused, self._deaf_ms = True, None
        self._was_online = online
        if not online or self._verified or self._watchdog_ms is None:
            return
        if self._asked_ms is not None and now - self._asked_ms < FAILSAFE_RETRY_MS:
            return
        self._asked_ms = now
        visit = self._visit

        def done(told: Told) -> None:
            if visit != self._visit:
                return  # it has been away since
            self._verified = told.ok
            if not told.ok:
                self.failed += 1
                self.error = told.error

        try:
            self.driver.failsafe(self._failsafe, self._watchdog_ms, done)
        except Exception as error:
            done(Told(False, f"{type(error).__name__}: {error}"))
