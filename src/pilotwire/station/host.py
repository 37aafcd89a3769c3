"""What the conversation and the station program say to each other."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import msgspec

from pilotwire.protocols.ocpp.rpc.errors import RpcError

from .outbox import Queued

OnAnswer = Callable[[Any, RpcError | None], None]
"""(response, None), or (None, the CALLERROR), or (None, None) when nobody answered."""


class Reply(NamedTuple):
    """The answer to a CALL of the CSMS, and what to do once it has been sent."""

    response: msgspec.Struct
    then: Callable[[], None] | None = None


class Later(NamedTuple):
    """The answer to a CALL of the CSMS comes once something has been tried; `begin` is given what answers, once."""

    begin: Callable[[Callable[[msgspec.Struct], None]], None]


class BootVerdict(NamedTuple):
    """What BootNotification was answered."""

    status: str
    interval_s: int
    current_time: int
    """ms"""


class Host(Protocol):
    """What the conversation asks of the station program."""

    def boot_request(self, triggered: bool) -> msgspec.Struct: ...

    def boot_verdict(self, response: Any) -> BootVerdict: ...

    def heartbeat_answered(self, response: Any) -> None: ...

    def accepted(self, *, booted: bool) -> None:
        """The station may talk: after an accepted boot, or at a reconnection of an accepted station."""
        ...

    def offline(self) -> None:
        """The connection is gone."""
        ...

    def serve(self, action: str, request: Any) -> Reply | Later:
        """Answer a CALL; raises RpcError to refuse it."""
        ...

    def prepare(self, entry: Queued) -> msgspec.Struct:
        """The request of an outbox entry as it is to be sent now."""
        ...

    def delivered(self, entry: Queued, response: Any, changes: dict[str, bytes | None]) -> None: ...

    def given_up(self, entry: Queued, changes: dict[str, bytes | None]) -> None: ...

    def store(self, changes: dict[str, bytes | None]) -> None:
        """Add to what the next `commit` writes."""
        ...

    def commit(self) -> None:
        """Store what has changed; called before anything that tells of it is sent."""
        ...
