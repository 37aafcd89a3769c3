"""A controller of a simulated site that has run for a quarter of an hour, up to the API's own clock."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from tempfile import mkdtemp

from tests.api.conftest import MINUTE, NOW
from tests.site.watch_kit import Seen

from pilotwire.domain.seen import Past
from pilotwire.site.past import past


class Inline:
    """The past without a child process, which is tested where it lives."""

    def __init__(self, seen: Seen) -> None:
        self._seen = seen

    async def at(self, utc_ms: int) -> Past:
        self._seen.log.flush()
        return past(self._seen.folder / "log", utc_ms)

    async def stop(self) -> None:
        return None


@lru_cache(maxsize=1)
def site() -> Seen:
    """Made once for all tests; its `watched` is the controller. It began with a demand window that has just ended."""
    seen = Seen(Path(mkdtemp(prefix="pilotwire-controller-")), start=NOW - 15 * MINUTE)
    seen.chargers["a"].plug(32_000, 3)
    seen.run(8 * 60)
    seen.chargers["b"].plug(16_000, 1)
    seen.cellar.said |= {"power_mw": 1_500_000, "soc_permille": 555}
    seen.run(7 * 60 + 1)
    seen.watched.join(history=seen.history, record=Inline(seen))
    return seen
