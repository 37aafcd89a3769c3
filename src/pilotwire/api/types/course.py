"""The course of a session: what happened, and what the meter measured."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from .base import PageOf, Time

__all__ = ["MeterSeries", "SessionCurves", "SessionEvent", "SessionEventPage"]


class SessionEvent(msgspec.Struct, kw_only=True):
    """Something that happened during a session, on its EVSE or to its station as a whole."""

    time: Annotated[
        Time, Meta(description="When it happened: by the station's clock, corrected as the session's times")
    ]
    received_at: Annotated[Time, Meta(description="When it reached us")]
    type: Annotated[str, Meta(description="The fact behind it", examples=["session-started.1"])]
    code: Annotated[
        str | None,
        Meta(
            description="The standard's own word: reason, trigger, status, error code, command or kind of event",
            examples=["EVDisconnected"],
        ),
    ] = None
    charging_state: Annotated[str | None, Meta(description="OCPP 2.x chargingState from here on")] = None
    offline: Annotated[bool, Meta(description="The station told of it later, for it had no connection")] = False
    summary: Annotated[str, Meta(description="In plain words")]
    level: Literal["info", "good", "warn", "bad"]


class SessionEventPage(PageOf[SessionEvent], kw_only=True):
    """Events of a session in order of time; `next` is always null."""


class MeterSeries(msgspec.Struct, kw_only=True):
    """One measured quantity over time, thinned to what a chart can show; no peak and no dip is lost."""

    kind: Annotated[
        Literal["power", "power-offered", "energy", "soc", "current", "current-offered", "voltage"],
        Meta(description="energy: delivered since the session began; power: from the register where none is measured"),
    ]
    phase: Annotated[str, Meta(description="L1, L2 or L3; empty for the whole")]
    unit: Annotated[Literal["W", "Wh", "%", "A", "V"], Meta(description="Of `values`")]
    derived: Annotated[bool, Meta(description="Computed from the steps of the energy register")] = False
    times: Annotated[list[int], Meta(description="Milliseconds since 1970 (UTC), by the station's clock, rising")]
    values: Annotated[list[float], Meta(description="As many as `times`")]


class SessionCurves(msgspec.Struct, kw_only=True):
    """Everything that a session's meter measured and a chart can show."""

    session_id: str
    series: list[MeterSeries]
