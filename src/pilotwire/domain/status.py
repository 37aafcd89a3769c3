"""What a connector says of itself."""

from __future__ import annotations

from . import inputs
from .boot import DONE
from .context import Context, Decision
from .facts import ConnectorStatusChanged
from .state import StationState


def status(state: StationState, given: inputs.Status, ctx: Context) -> Decision:
    """StatusNotification. One that repeats what is known is no fact; in 1.6 connector 0 is the whole station."""
    fact = changed(state, given, ctx.now)
    return Decision((fact,) if fact else (), (), DONE)


def changed(state: StationState, given: inputs.Status, now: int) -> ConnectorStatusChanged | None:
    """The fact, or None where the connector already is as told."""
    known = state.connector(given.evse, given.connector)
    if (
        known is not None
        and known.status == given.status
        and known.error_code == given.error_code
        and known.info == given.info
        and not given.vendor_error_code
    ):
        return None
    return ConnectorStatusChanged(
        event_time=now if given.time is None else given.time,
        evse=given.evse,
        connector=given.connector,
        status=given.status,
        error_code=given.error_code,
        info=given.info,
        vendor_id=given.vendor_id,
        vendor_error_code=given.vendor_error_code,
    )
