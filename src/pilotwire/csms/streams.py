"""Periodic event streams (2.1 N11 … N15): values of one that we do not know of make us ask what is open."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pilotwire.domain.blocks import StreamNotified, stream_known
from pilotwire.domain.context import Decision
from pilotwire.domain.inputs import Input

if TYPE_CHECKING:
    from .actor import StationActor


def ask_what_is_open(actor: StationActor, given: Input, decision: Decision) -> None:
    """Once for each connection: a station that does not answer would be asked with every value else."""
    connection = actor.current
    if not isinstance(given, StreamNotified) or connection is None or connection.asked_streams:
        return
    if not stream_known(actor.known(), given.stream):
        connection.asked_streams = True
        actor.outbox.ask("GetPeriodicEventStream", b"{}", urgent=False)
