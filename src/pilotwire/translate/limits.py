"""Blocks E and F ⇄ the domain: how far a session may go (2.1 E16, F07)."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from msgspec.structs import replace

from pilotwire.domain import inputs
from pilotwire.domain.kept import SessionLimit

from .table import Read
from .wire import number_text


def limit_of(wire: Any) -> SessionLimit:
    """A TransactionLimitType as the domain has it."""
    return SessionLimit(
        max_cost="" if wire.max_cost is None else number_text(wire.max_cost),
        max_energy="" if wire.max_energy is None else number_text(wire.max_energy),
        max_time=wire.max_time,
        max_soc=wire.max_soc,
    )


def limit_wire(m: Any, limit: SessionLimit) -> Any:
    """A TransactionLimitType of the domain's."""
    return m.TransactionLimitType(
        max_cost=Decimal(limit.max_cost) if limit.max_cost else None,
        max_energy=Decimal(limit.max_energy) if limit.max_energy else None,
        max_time=limit.max_time,
        max_soc=limit.max_soc,
    )


def with_limit(read: Read) -> Read:
    """TransactionEvent of 2.1: `read` and the limit that the station tells."""

    def both(request: Any) -> inputs.Input:
        given = read(request)
        wire = request.transaction_info.transaction_limit
        return given if wire is None else replace(given, limit=limit_of(wire))

    return both
