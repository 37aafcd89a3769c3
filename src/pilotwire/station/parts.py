"""The parts of a station that remember something: what the program tells each of them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .program import Station
    from .sessions import Session


FIRMWARE_VERSION = "firmware-version"
"""Under this the version stands that the newest update has brought."""


def firmware_version(stored: Mapping[str, bytes]) -> str:
    """What an update has brought; "" before the first."""
    return stored.get(FIRMWARE_VERSION, b"").decode()


class Part:
    """One part. Every call may be left as it is here: then it means nothing to the part.

    A part keeps what must outlive a restart by `station.store` under keys of its own, as soon as it changes.
    """

    __slots__ = ("_station",)

    def __init__(self, station: Station) -> None:
        self._station = station

    def restore(self, stored: Mapping[str, bytes]) -> None:
        """Power-on: take up what the storage holds; nothing of an earlier run is left otherwise."""

    def stop(self) -> None:
        """Power-off: no timer may fire any more."""

    def accepted(self, *, booted: bool) -> None:
        """The CSMS talks with the station: after an accepted boot, or at a reconnection."""

    def offline(self) -> None:
        """The connection is lost."""

    def session_began(self, session: Session) -> None:
        """A session has started; its first message is queued."""

    def session_ended(self, session: Session) -> None:
        """A session is over; its last message is queued."""

    def clock_moved(self) -> None:
        """The station's clock was set: what waits for an instant of it waits anew."""

    def setting_changed(self, name: str) -> None:
        """A setting has a new value (`pilotwire.station.settings`)."""
