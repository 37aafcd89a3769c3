"""Every action that the station serves: (version, action) → handler, gathered from the blocks.

An action that no block names is answered NotSupported; one that the version does not have never comes here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pilotwire.protocols.ocpp.rpc.errors import NOT_SUPPORTED, RpcError
from pilotwire.protocols.ocpp.version import VersionName
from pilotwire.station.host import Later, Reply

from . import (
    authorization,
    availability,
    certificates,
    configuration_16,
    costs,
    customers,
    data_transfer,
    der,
    displays,
    firmware,
    logs,
    monitoring,
    networks,
    payment,
    publishing,
    remote_control,
    reports,
    reservation,
    resets,
    smart_charging,
    streams,
    swap,
    transactions,
    triggers,
    v2x,
    variables,
)
from .handling import Handler, Handlers

if TYPE_CHECKING:
    from pilotwire.station.program import Station

_BLOCKS = (
    authorization,
    availability,
    configuration_16,
    costs,
    customers,
    data_transfer,
    der,
    displays,
    firmware,
    certificates,
    logs,
    monitoring,
    networks,
    payment,
    publishing,
    remote_control,
    reports,
    reservation,
    resets,
    smart_charging,
    streams,
    swap,
    transactions,
    triggers,
    v2x,
    variables,
)


def _gathered() -> Handlers:
    rows: dict[tuple[VersionName, str], Handler] = {}
    for block in _BLOCKS:
        twice = rows.keys() & block.HANDLERS.keys()
        if twice:
            raise TypeError(f"two blocks serve {sorted(twice)}")
        rows.update(block.HANDLERS)
    return rows


HANDLERS: Handlers = _gathered()


def serve(station: Station, action: str, request: Any) -> Reply | Later:
    """Answer a CALL of the CSMS; raises RpcError to refuse it."""
    handler = HANDLERS.get((station.config.version, action))
    if handler is None:
        raise RpcError(NOT_SUPPORTED, f"this station does not serve {action}")
    return handler(station, request)
