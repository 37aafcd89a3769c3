"""What a charger may be drawing that nobody hears, or that does not answer.

It has either what it confirmed last or what has been sent since, whichever is more; when it has heard nothing for as
long as its watchdog lasts, it has fallen back to its fail-safe value. That much is kept free for it at every node
above it. What it is believed to have is written down before it is told, so that a restart knows it too.
"""

from __future__ import annotations

import msgspec

from pilotwire.domain.energy import Evse

from .compiled import Outlet
from .inputs import EvseInput

MARGIN_MS = 5_000
"""A watchdog of which we know when it was fed last may fire this much later: a charger's clock, and its own pace."""


class Charger(msgspec.Struct, frozen=True):
    """What is known of an EVSE's obedience. Values are in its unit."""

    base: int | None = None
    """What it may have been told; None: nothing is known, it may be its maximum."""
    heard_ms: int | None = None
    """When it last answered."""
    verified: bool = False
    """Its fail-safe registers have been read back once: what it falls back to is certain."""
    may: int = 0
    """What it may be doing now."""
    lost: bool = True
    """It is not heard, or does not answer."""
    why: str = ""


def follow(old: Charger, seen: EvseInput | None, evse: Evse, out: Outlet, now_ms: int, command_ms: int) -> Charger:
    """`old` after what has been seen of it up to now."""
    link = None if seen is None else seen.link
    online = seen is not None and seen.status.online
    base, heard, verified = old.base, old.heard_ms, old.verified
    unanswered = False
    if link is not None:
        if link.confirmed is not None:
            base = max(link.confirmed, link.open or 0)
            heard = max(heard or link.confirmed_ms, link.confirmed_ms)
        elif base is not None:
            base = max(base, link.open or 0)
        unanswered = link.open is not None and now_ms - link.open_ms >= command_ms
        verified = verified or link.failsafe
    if online and seen is not None:
        heard = max([heard or 0, *(value.at_ms for value in seen.status.points.values() if value.at_ms <= now_ms)])
    may = _may(base, heard, verified, evse, out, now_ms)
    # Who comes back may have been without power: it is known again when it has confirmed what it was told.
    never = link is None or (link.confirmed is None and (base is None or old.lost))
    if online and never:
        may = max(may, out.failsafe if verified or not out.has_failsafe else evse.maximum)
    why = "offline" if not online else "unanswered" if unanswered else "unknown" if never else ""
    if not out.in_service:
        return Charger(base=base, heard_ms=heard, verified=verified, may=0, lost=False)
    return Charger(base=base, heard_ms=heard, verified=verified, may=may, lost=bool(why), why=why)


def _may(base: int | None, heard: int | None, verified: bool, evse: Evse, out: Outlet, now_ms: int) -> int:
    told = evse.maximum if base is None else base
    if out.watchdog_ms is None or heard is None:
        return told if out.watchdog_ms is None else evse.maximum if not verified else max(told, out.failsafe)
    silent = now_ms - heard
    if silent < out.watchdog_ms // 2:
        return told
    fallback = out.failsafe if verified else evse.maximum
    return fallback if silent >= out.watchdog_ms + MARGIN_MS else max(told, fallback)


def safe(charger: Charger, out: Outlet) -> int:
    """What an EVSE is told while nothing else is certain: its fail-safe value, never more than it has."""
    if not out.in_service:
        return 0
    return out.failsafe if charger.base is None else min(charger.base, out.failsafe)
