"""Fail-safes on the real chargers: set, read back, and where that is wanted proven by leaving one alone.

No loop runs meanwhile. Everybody who answers is kept at his fail-safe value, whose sum the draft's check has found to
fit everywhere. For a proof one EVSE at a time is told something else that fits as well (nothing where its fail-safe is
more than nothing, its minimum where that fits in its place), and then nobody speaks to it until its watchdog must have
fired: what it offers, or what its car draws, says whether it did.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from decimal import Decimal

import msgspec

from pilotwire.domain.commissioning import FailsafeResult
from pilotwire.site.compiled import outlet, overloads
from pilotwire.site.config import SiteConfig
from pilotwire.site.decide import figure
from pilotwire.site.ports import EvseDriver, EvseStatus, Restful, Told, trusted

from .course import Course

LOOK_MS = 100
COME_MS = 20_000
"""So long a charger gets to be heard."""
ANSWER_MS = 15_000
RENEW_MS = 5_000
CAR_MS = 8_000
"""So long a car gets to follow."""
MARGIN_MS = 5_000
"""A watchdog may fire this much later, at the most as late again as it should."""
SEE_MS = 15_000
"""After it was left alone: until something can be read of it again."""
NEAR = 600
"""What counts as the same current, mA; in mW a fiftieth of the fail-safe."""

Progress = Callable[[int, int, str], None]


class Proving:
    """Over drivers that are started. `heard` gets each result when it is there, and again after its proof."""

    def __init__(
        self,
        config: SiteConfig,
        drivers: Sequence[EvseDriver],
        *,
        prove: bool,
        now: Callable[[], int],
        utc: Callable[[], int],
        progress: Progress,
        heard: Callable[[FailsafeResult], None],
    ) -> None:
        self._config, self._prove, self._now, self._utc = config, prove, now, utc
        self._progress, self._heard = progress, heard
        self._drivers = {each.id: each for each in drivers}
        self._outlets = {each.id: outlet(config, each) for each in config.evses}
        self._entries = {each.id: each for each in config.evses if each.in_service}
        self._given: dict[str, int] = {}
        """What everybody is kept at."""
        self._renewed_ms: int | None = None

    def course(self) -> Course[tuple[FailsafeResult, ...]]:
        """All of it; at the end, however it comes, everybody is told his fail-safe value once more."""
        results: dict[str, FailsafeResult] = {}
        try:
            for at, id in enumerate(self._entries):
                self._progress(at, len(self._entries), f"{id}: setting its fail-safe and reading it back")
                result = yield from self._set(id)
                results[id] = self._told(result)
            if self._prove:
                confirmed = [id for id, each in results.items() if each.outcome == "confirmed"]
                for at, id in enumerate(confirmed):
                    result = yield from self._alone(results[id], at, len(confirmed))
                    results[id] = self._told(result)
        finally:
            for id in self._given:
                self._offer(id, self._outlets[id].failsafe)
        return tuple(results.values())

    def _told(self, result: FailsafeResult) -> FailsafeResult:
        result = msgspec.structs.replace(result, at_ms=self._utc())
        self._heard(result)
        return result

    # --- set and read back --------------------------------------------------------------------------------------

    def _set(self, id: str) -> Course[FailsafeResult]:
        entry, out, driver = self._entries[id], self._outlets[id], self._drivers.get(id)
        base = FailsafeResult(
            evse=id, unit="mA" if entry.current == "AC" else "mW", value=out.failsafe, watchdog_ms=out.watchdog_ms
        )
        replace = msgspec.structs.replace
        until = self._now() + COME_MS
        while driver is None or not driver.status().online:
            if driver is None or self._now() >= until:
                return replace(
                    base, words="is not heard: it counts with its maximum until it is",
                    todo="Look after its power, network and unit, then repeat",
                )  # fmt: skip
            yield from self._wait(LOOK_MS)
        if not out.has_failsafe or out.watchdog_ms is None:
            return replace(
                base, outcome="none", watchdog_ms=None,
                words="has none by the draft: it keeps what it was told last, and counts with its maximum",
            )  # fmt: skip
        told = yield from self._answer(lambda done: driver.failsafe(out.failsafe, out.watchdog_ms or 0, done))
        if not told.ok:
            return replace(
                base, outcome="refused", words=f"does not take it: {told.error}",
                todo="Set it at the charger itself and say so in the draft, or say has_failsafe: false there, so that "
                "it counts with its maximum",
            )  # fmt: skip
        self._given[id] = out.failsafe
        self._offer(id, out.failsafe)
        after = f"after {out.watchdog_ms / 1_000:g} s without a word"
        return replace(
            base, outcome="confirmed", words=f"falls back to {figure(out.failsafe, entry.current)} {after}; read back"
        )

    def _answer(self, ask: Callable[[Callable[[Told], None]], None]) -> Course[Told]:
        """Wait for the answer to something that a driver is asked."""
        answers: list[Told] = []
        try:
            ask(answers.append)
        except Exception as error:  # a driver's fault is that charger's
            return Told(False, f"{type(error).__name__}: {error}")
        until = self._now() + ANSWER_MS
        while not answers:
            if self._now() >= until:
                return Told(False, "no answer")
            yield from self._wait(LOOK_MS)
        return answers[0]

    # --- leaving one alone --------------------------------------------------------------------------------------

    def _alone(self, result: FailsafeResult, at: int, of: int) -> Course[FailsafeResult]:
        id, replace = result.evse, msgspec.structs.replace
        driver, out, current = self._drivers[id], self._outlets[id], self._entries[id].current
        watchdog = out.watchdog_ms or 0
        if not isinstance(driver, Restful):
            return replace(
                result, proof="unseen", words=f"{result.words}; it cannot be left alone while it is connected",
                todo="Pull the box's network plug, and watch that the car there falls back",
            )  # fmt: skip
        value = self._other(id)
        if value is None:
            return replace(
                result, proof="no_room", words=f"{result.words}; not proven: nothing else than that fits",
            )  # fmt: skip
        self._progress(at, of, f"{id}: told {figure(value, current)}, then it is left alone")
        self._given[id] = value
        valid = max(min(watchdog // 2, 20_000), 1_000)
        told = yield from self._answer(lambda done: driver.offer(value, None, valid, done))
        if told.ok:
            yield from self._wait(min(CAR_MS, watchdog // 2))
            told = yield from self._answer(lambda done: driver.offer(value, None, valid, done))
        if not told.ok:
            self._given[id] = out.failsafe
            return replace(
                result, proof="failed", words=f"{result.words}; it did not take {figure(value, current)}: {told.error}",
                todo="Look whether somebody else commands it, then repeat",
            )  # fmt: skip
        del self._given[id]  # not a word to it
        rest = watchdog + min(MARGIN_MS, watchdog)
        driver.rest(rest)
        over = self._now() + rest
        while self._now() < over:
            seconds = (over - self._now() + 999) // 1_000
            self._progress(at, of, f"{id}: left alone for {seconds} s more; it should fall back by itself")
            yield from self._wait(min(1_000, max(LOOK_MS, over - self._now())))
        result = yield from self._look(result, value, over)
        self._given[id] = out.failsafe
        self._offer(id, out.failsafe)
        return result

    def _other(self, id: str) -> int | None:
        """Something that it is told before it is left alone: other than its fail-safe, and no danger to any limit."""
        entry, failsafe = self._entries[id], self._outlets[id].failsafe
        if failsafe:
            return 0
        able = self._drivers[id].abilities
        scale = 3 if able.unit == "mA" else 6
        changed = {("failsafe_a" if able.unit == "mA" else "failsafe_kw"): Decimal(able.minimum).scaleb(-scale)}
        evses = tuple(
            msgspec.structs.replace(each, **changed) if each.id == entry.id else each for each in self._config.evses
        )
        return None if overloads(msgspec.structs.replace(self._config, evses=evses)) else able.minimum

    def _look(self, result: FailsafeResult, told: int, since_ms: int) -> Course[FailsafeResult]:
        """The first that can be read of it again."""
        replace, driver = msgspec.structs.replace, self._drivers[result.evse]
        current = self._entries[result.evse].current
        until = self._now() + SEE_MS
        fresh: EvseStatus | None = None
        while self._now() < until:
            status = driver.status()
            if status.online and any(each.at_ms >= since_ms for each in status.points.values()):
                fresh = status
                break
            yield from self._wait(LOOK_MS)
        if fresh is None:
            return replace(
                result, proof="failed", words=f"{result.words}; after it was left alone it is not heard any more",
                todo="Look after the charger before anything else",
            )  # fmt: skip
        near = NEAR if result.unit == "mA" else max(result.value // 50, 100_000)
        points = {name: value for name, value in fresh.points.items() if value.at_ms >= since_ms}
        offered = trusted(points, "offered_ma" if result.unit == "mA" else "offered_mw")
        if offered is not None and abs(offered - result.value) <= near and abs(offered - told) > near:
            words = f"{result.words}; left alone it fell back to {figure(offered, current)}"
            return replace(result, proof="fell_back", words=words, todo="")
        drawn = _drawn(points, result.unit)
        if drawn is not None and (drawn > near) != (told > near) and drawn <= result.value + near:
            words = f"{result.words}; left alone its car went to {figure(drawn, current)}"
            return replace(result, proof="fell_back", words=words, todo="")
        if offered is not None and abs(offered - told) <= near:
            return replace(
                result, proof="kept",
                words=f"{result.words}; left alone it kept {figure(told, current)}: its watchdog did not fire",
                todo="Say has_failsafe: false in the draft, so that it counts with its maximum, or ask its maker",
            )  # fmt: skip
        return replace(
            result, proof="unseen", words=f"{result.words}; left alone nothing could be seen of it",
            todo="Plug a car in and repeat, or pull the box's network plug and watch the car",
        )  # fmt: skip

    # --- keeping everybody where he is safe ---------------------------------------------------------------------

    def _wait(self, ms: int) -> Course[None]:
        if self._renewed_ms is None or self._now() - self._renewed_ms >= RENEW_MS:
            self._renewed_ms = self._now()
            for id, value in self._given.items():
                self._offer(id, value)
        yield ms

    def _offer(self, id: str, value: int) -> None:
        watchdog = self._outlets[id].watchdog_ms or 60_000
        try:
            self._drivers[id].offer(value, None, max(watchdog // 2, 3 * RENEW_MS), _nobody_waits)
        except Exception as error:  # that charger falls back by itself: its watchdog is read back
            self._progress(0, 0, f"{id} cannot be told anything: {error}")


def _nobody_waits(told: Told) -> None:
    """It is said again anyway."""


def _drawn(points: object, unit: str) -> int | None:
    assert isinstance(points, dict)
    if unit == "mW":
        return trusted(points, "power_mw")
    found = [trusted(points, f"current_l{phase}_ma") for phase in (1, 2, 3)]
    known = [each for each in found if each is not None]
    return max(known) if known else trusted(points, "current_ma")
