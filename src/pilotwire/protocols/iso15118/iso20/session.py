"""What a session is to the station: who, what was chosen, what was agreed. Kept over a pause."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from pilotwire.core.evse_link import Schedule

from .services import Selection

Message = dict[str, Any]

Ending = Literal["", "Terminate", "Pause", "ServiceRenegotiation"]
"""How a vehicle is to end a session: ChargingSession of SessionStopReq; empty: not at all."""


class Session(msgspec.Struct, kw_only=True):
    """One session, from SessionSetup to its end, pauses in between."""

    id: bytes
    evccid: str = ""
    by: Literal["", "external", "contract"] = ""
    """How it was authorised; empty: it is not."""
    emaid: str = ""
    contract: tuple[bytes, ...] = ()
    selection: Selection | None = None
    internet: bool = False
    parking: bool = False
    anchor: int = 0
    """TimeAnchor of the schedules below, ms since the epoch."""
    schedules: dict[int, Schedule] = msgspec.field(default_factory=dict[int, Schedule])
    """As the vehicle was told, by ScheduleTupleID."""
    chosen: int = 0
    """The ScheduleTupleID that it follows."""
    exchanged: bool = False
    """Schedules, or dynamic control, were agreed upon."""
    profile: tuple[tuple[int, int], ...] = ()
    """How it will draw: (start in ms since the epoch, mW)."""


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What a vehicle keeps of a session that sleeps: `resume` of its next machine."""

    session: bytes
    selection: Selection
    contract: bool = False
    """It was authorised by contract."""
