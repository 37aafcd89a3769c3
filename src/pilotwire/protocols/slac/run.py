"""One vehicle's run at an EVSE: identified by its address and its run id. What it waits for is its `stage`."""

from __future__ import annotations

from typing import Literal

from . import timers
from .mme import GROUPS

Stage = Literal["start", "sounds", "response", "match", "validate", "toggles"]
LIMITS: dict[Stage, int] = {
    "start": timers.EVSE_SEQUENCE.ms,
    "sounds": timers.MNBC.ms,
    "response": timers.EVSE_RESPONSE.ms,
    "match": timers.MATCH_SESSION.ms,
    "validate": timers.EVSE_SEQUENCE.ms,
}


class Run:
    """The sounds are summed group by group."""

    __slots__ = ("count", "due", "mac", "run_id", "stage", "sums", "toggles", "tries", "wanted")

    def __init__(self, mac: bytes, run_id: bytes, now: int) -> None:
        self.mac = mac
        self.run_id = run_id
        self.count = 0
        """Sounds heard."""
        self.wanted = timers.C_EV_MATCH_MNBC
        self.sums = [0] * GROUPS
        self.toggles = 0
        self.tries = 0
        self.stage: Stage = "start"
        self.due = now + LIMITS["start"]

    def to(self, stage: Stage, now: int, ms: int | None = None) -> None:
        self.stage = stage
        self.due = now + (LIMITS[stage] if ms is None else ms)

    def sound(self, aag: bytes) -> None:
        for group, attenuation in enumerate(aag):
            self.sums[group] += attenuation
        self.count += 1

    def profile(self, offset_db: int) -> bytes:
        """The average of each group, halves rounded up, with what the outlet's own cable adds or takes."""
        return bytes(max(0, min(255, (2 * total + self.count) // (2 * self.count) + offset_db)) for total in self.sums)
