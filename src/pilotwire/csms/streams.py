"""Periodic event streams (2.1 N11 … N15): values of one that we do not know of make us ask what is open, and one that
falls behind may say more at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from pilotwire.domain.blocks import StreamNotified, stream_known
from pilotwire.domain.context import Decision
from pilotwire.domain.inputs import Input

if TYPE_CHECKING:
    from .actor import StationActor

PATIENCE = 3
"""So often in a row more values have to wait at the station than the time before."""
MOST_VALUES = 1_000
"""More at once are not asked for."""


def told(actor: StationActor, given: Input, decision: Decision) -> None:
    """Values have come, and are durable."""
    if isinstance(given, StreamNotified):
        _ask_what_is_open(actor, given)
        _keep_up(actor, given)


def _ask_what_is_open(actor: StationActor, given: StreamNotified) -> None:
    """Once for each connection: a station that does not answer would be asked with every value else."""
    connection = actor.current
    if connection is not None and not connection.asked_streams and not stream_known(actor.known(), given.stream):
        connection.asked_streams = True
        actor.outbox.ask("GetPeriodicEventStream", b"{}", urgent=False)


def _keep_up(actor: StationActor, given: StreamNotified) -> None:
    """N15.FR.05: what waits at the station grows, so a message of its stream may hold twice as many values."""
    connection, kept = actor.current, actor.known().station.kept
    stream = None if kept is None else next((one for one in kept.streams if one.id == given.stream), None)
    if connection is None or stream is None:
        return
    if connection.backlogs is None:
        connection.backlogs = {}
    last, grown = connection.backlogs.get(given.stream, (given.pending, 0))
    grown = grown + 1 if given.pending > last else 0
    if grown == PATIENCE and stream.values and stream.values < MOST_VALUES:
        grown = 0
        params = {"values": min(2 * stream.values, MOST_VALUES)}
        if stream.interval_s is not None:
            params["interval"] = stream.interval_s
        payload = msgspec.json.encode({"id": given.stream, "params": params})
        actor.outbox.ask("AdjustPeriodicEventStream", payload, urgent=False)
    connection.backlogs[given.stream] = given.pending, grown
