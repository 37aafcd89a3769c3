"""What every CAN bus offers to those on it: `transport.can.CanBus` on a real one, `transport.can_sim.SimCanPort`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from pilotwire.core.time import Timer
from pilotwire.protocols.can.frame import CanFrame

Listener = Callable[[CanFrame], None]


class CanCounts(msgspec.Struct):
    """What has gone over a port since it was opened."""

    received: int = 0
    sent: int = 0
    dropped: int = 0
    """Frames that came while the queue was full."""
    send_errors: int = 0
    """Frames that the driver did not take."""
    error_frames: int = 0
    """Frames by which a controller told of an error on the bus."""
    bus_off: int = 0
    """How often the controller has left the bus, or reading it failed."""
    skipped: int = 0
    """Turns of cyclic messages that were let go because they were overdue by a whole period."""


class CanPort(Protocol):
    """One participant's way onto a bus. Its own frames do not come back to it."""

    counts: CanCounts

    def send(self, frame: CanFrame) -> None:
        """Never raises: what cannot be sent is counted."""
        ...

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Every frame that comes, from now on. Returns what ends it."""
        ...

    def every(self, period_ms: int, make: Callable[[], CanFrame | None]) -> Timer:
        """Send what `make` returns at once and every `period_ms`, without drift: each turn is reckoned from the first.

        None: nothing this time. Turns overdue by a whole period are left out and counted.
        """
        ...

    def close(self) -> None: ...
