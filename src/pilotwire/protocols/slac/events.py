"""What the machines of SLAC say and are told beside their frames.

SlacEvse says                               SlacEvse is told (`command`)
MatchingBegun  a vehicle asked              Begin    the pilot is at 5 % with a vehicle: listen
Matched        the vehicle has the key      Leave    the pilot went to A, E or F: leave the network
LinkUp         the modems see each other    Toggled  the vehicle went from B to C (while it validates)
MatchingFailed a run failed; more may come  Link     the modem's word on the link, where it is not asked
StepWanted     E or F for T_step_EF
GivenUp        there will be no link

SlacEv says                                 SlacEv is told
Matched, LinkUp, MatchingFailed, GivenUp    start() begins; Leave, Link as above
TogglesWanted  show C and B so often
"""

from __future__ import annotations

import msgspec


class MatchingBegun(msgspec.Struct, frozen=True, kw_only=True):
    """A vehicle asks who is there."""

    mac: bytes
    run_id: bytes


class Matched(msgspec.Struct, frozen=True, kw_only=True):
    """The two have found each other. The key is not shown where the event is printed."""

    mac: bytes
    """The peer's."""
    run_id: bytes
    nid: bytes
    attenuation: int | None = None
    """dB, the average over all groups."""


class LinkUp(msgspec.Struct, frozen=True):
    """Frames of others than SLAC get through now. False: no longer."""

    up: bool


class MatchingFailed(msgspec.Struct, frozen=True, kw_only=True):
    """A run failed."""

    mac: bytes
    reason: str


class StepWanted(msgspec.Struct, frozen=True):
    """The pilot is to go to E or F for T_step_EF, and to 5 % again (V2G3-M06-07)."""


class GivenUp(msgspec.Struct, frozen=True):
    """There will be no link; `talked`: somebody had begun."""

    talked: bool
    reason: str


class AmpMap(msgspec.Struct, frozen=True):
    """The peer wants these carriers softer."""

    amdata: tuple[int, ...]


class TogglesWanted(msgspec.Struct, frozen=True):
    """Go from B to C and back `count` times, each state for `state_ms`."""

    count: int
    state_ms: int


class Begin(msgspec.Struct, frozen=True):
    """A vehicle is there, and 5 % has been on long enough."""


class Leave(msgspec.Struct, frozen=True):
    """It is over: leave the network within a second (TP_match_leave)."""


class Toggled(msgspec.Struct, frozen=True):
    """The pilot went from B to C."""


class Link(msgspec.Struct, frozen=True):
    """The link is up, or down, as somebody else knows."""

    up: bool
