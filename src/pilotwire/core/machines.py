"""The shape of every conversation that is not carried by OCPP: a machine without sockets, clocks or tasks.

A machine is told what came and what time it is, and returns what is to be done, in order. It keeps its own timers and
says only when it must be woken: `deadline`. One runner with a clock and a carrier drives any of them; under
`SimScheduler` an hour of waiting takes no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import msgspec


class Send(msgspec.Struct, frozen=True):
    """Hand `data` to the carrier as one unit: a V2GTP frame, a CAN frame, an Ethernet frame.

    What a unit is, the protocol's own carrier says; `data` is its typed frame or its bytes.
    """

    data: Any


class Close(msgspec.Struct, frozen=True):
    """The carrier is to be closed `after_ms` from now, by us, unless the peer has done so before."""

    after_ms: int = 0
    reason: str = ""


class Machine(Protocol):
    """One end of a conversation. `now` is the scheduler's: ms since the epoch, UTC; it never goes back."""

    @property
    def deadline(self) -> int | None:
        """When `elapse` is to be called at the latest; None: it waits for nothing. Looked at after every call."""
        ...

    def receive(self, data: Any, now: int) -> Sequence[Any]:
        """One unit of the carrier has come. Returns effects (`Send`, `Close`, events). Never raises for bad input."""
        ...

    def elapse(self, now: int) -> Sequence[Any]:
        """Time has gone by. May be called early, then nothing happens."""
        ...

    def lost(self, now: int) -> Sequence[Any]:
        """The carrier is gone."""
        ...
