"""What every part of a controller is handed."""

from __future__ import annotations

from random import Random

import msgspec

from pilotwire.core.ids import Ids
from pilotwire.core.time import Scheduler
from pilotwire.storage.forwarding import Forwarding

from .config import ControllerConfig
from .counters import Counters

OWN = "pw-"
"""Our message ids begin so; what follows is random, so no peer's id is the same."""


class Around(msgspec.Struct):
    """Time, chance, names, storage and the counters; all injected."""

    config: ControllerConfig
    scheduler: Scheduler
    ids: Ids
    random: Random
    store: Forwarding
    counters: Counters

    def now(self) -> int:
        return int(self.scheduler.now())

    def own_id(self) -> str:
        """A messageId of ours: at most 36 characters."""
        return (OWN + self.ids.message_id())[:36]
