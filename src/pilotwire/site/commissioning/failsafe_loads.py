"""Fail-safes of loads: set and read back, as `failsafe` does it for chargers. Nobody tells them anything meanwhile."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import msgspec

from pilotwire.domain.commissioning import FailsafeResult
from pilotwire.site.config import SiteConfig
from pilotwire.site.decide import figure
from pilotwire.site.loads import loads_of
from pilotwire.site.ports import Device, Fallible, Told

from .course import Course
from .failsafe import ANSWER_MS, COME_MS, LOOK_MS, Progress


def course(
    config: SiteConfig,
    devices: Sequence[Device],
    *,
    now: Callable[[], int],
    utc: Callable[[], int],
    progress: Progress,
    heard: Callable[[FailsafeResult], None],
) -> Course[tuple[FailsafeResult, ...]]:
    """Over devices that are started, for each load of which the draft says that it falls back."""
    known = {each.id: each for each in devices}
    wanted = [load for load in loads_of(config) if load.failsafe is not None and load.watchdog_ms is not None]
    results: list[FailsafeResult] = []
    for at, load in enumerate(wanted):
        progress(at, len(wanted), f"{load.id}: setting its fail-safe and reading it back")
        result = yield from _set(load.id, load.failsafe or 0, load.watchdog_ms or 0, known.get(load.id), now)
        results.append(msgspec.structs.replace(result, at_ms=utc()))
        heard(results[-1])
    return tuple(results)


def _set(
    id: str, value: int, watchdog_ms: int, device: Device | None, now: Callable[[], int]
) -> Course[FailsafeResult]:
    base, replace = FailsafeResult(evse=id, unit="mW", value=value, watchdog_ms=watchdog_ms), msgspec.structs.replace
    until = now() + COME_MS
    while device is None or not device.online:
        if device is None or now() >= until:
            return replace(
                base, words="is not heard: it counts with its maximum until it is",
                todo="Look after its power, network and unit, then repeat",
            )  # fmt: skip
        yield LOOK_MS
    todo = "Leave failsafe_kw and watchdog_s out in the draft, so that it counts with its maximum"
    if not isinstance(device, Fallible):
        return replace(base, outcome="refused", words="cannot be told what to fall back to", todo=todo)
    answers: list[Told] = []
    device.failsafe(value, watchdog_ms, answers.append)
    until = now() + ANSWER_MS
    while not answers and now() < until:
        yield LOOK_MS
    told = answers[0] if answers else Told(False, "no answer")
    if not told.ok:
        return replace(base, outcome="refused", words=f"does not take it: {told.error}", todo=todo)
    words = f"falls back to {figure(value, 'DC')} after {watchdog_ms / 1_000:g} s without a word; read back"
    return replace(base, outcome="confirmed", words=words)
