"""What a seat needs of the parts around it, and lets them hear: watchers, limits, and the words of another version."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import msgspec

from pilotwire.protocols.ocpp.rpc.errors import RpcError
from pilotwire.protocols.ocpp.version import VersionName

from .frames import Frame

Told = Callable[[Frame | None], None]
"""Gets the answer to a call of ours; None: there is none."""


class Watcher(Protocol):
    """Hears what a station says, and what it answered to; the EVSE drivers, and whatever else is told of it."""

    def said(self, action: str, payload: bytes) -> None: ...

    def started(self, station_id: str, connector: int) -> None:
        """1.6: the transaction that has begun there is called so by the station."""
        ...

    def connected(self, online: bool) -> None: ...


class Limits(Protocol):
    """Takes over what upstreams ask of charging profiles; `smart.Profiles`."""

    def handles(self, action: str) -> bool: ...

    def asked(self, upstream: str, action: str, payload: bytes, reply: Callable[[bytes | RpcError], None]) -> None:
        """`reply` gets the response, or the error for what cannot be read or is not served, once."""
        ...

    def without_profile(self, upstream: str, action: str, payload: bytes) -> bytes:
        """A remote start without the profile that came with it, which is kept."""
        ...


class North(Protocol):
    """Shows a station of one version as one of another; `north.North201`."""

    version: VersionName

    def boot(self, payload: bytes) -> bytes: ...

    def up(self, action: str, payload: bytes, station_id: int | None, *, away: bool) -> list[tuple[str, bytes]]:
        """What a message of the station is upstream; the first is the one whose answer counts. []: it is not told."""
        ...

    def answer(self, action: str, payload: bytes, answer: bytes, station_id: int | None) -> bytes:
        """The station's answer out of the upstream's."""
        ...

    def down(
        self, action: str, payload: bytes, call: Callable[[str, Any, Told], None], done: Callable[..., None]
    ) -> None:
        """Serve a CALL of the upstream by calls to the station; `done(response, error)` once."""
        ...

    def kept(self) -> msgspec.Raw: ...
