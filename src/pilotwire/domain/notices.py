"""Notices that are kept and change little: security events, data transfers, firmware and log progress."""

from __future__ import annotations

from . import inputs
from .boot import DONE
from .context import Context, Decision
from .facts import DataTransferred, FirmwareStatusChanged, LogStatusChanged, SecurityEventNotified
from .inputs import DataTransferVerdict
from .state import StationState

COST_MESSAGES = "org.openchargealliance.costmsg"
"""vendorId of the messages by which 1.6 stations in California show prices and cost."""
VENDORS = {COST_MESSAGES: frozenset(("ConnectorUnplugged",))}
"""vendorId → the messages that stations send us by it."""


def security_event(state: StationState, given: inputs.SecurityEvent, ctx: Context) -> Decision:
    """SecurityEventNotification."""
    fact = SecurityEventNotified(event_time=given.time, kind=given.kind, tech_info=given.tech_info)
    return Decision((fact,), (), DONE)


def data_transfer(state: StationState, given: inputs.DataTransfer, ctx: Context) -> Decision:
    """DataTransfer: kept, and answered by whether anybody here knows the vendor and the message."""
    known = VENDORS.get(given.vendor_id)
    status = "UnknownVendorId" if known is None else "Accepted" if given.message_id in known else "UnknownMessageId"
    fact = DataTransferred(
        event_time=ctx.now, vendor_id=given.vendor_id, message_id=given.message_id, data=given.data, verdict=status
    )
    return Decision((fact,), (), DataTransferVerdict(status=status))


def firmware_status(state: StationState, given: inputs.FirmwareStatus, ctx: Context) -> Decision:
    """(Signed)FirmwareStatusNotification."""
    fact = FirmwareStatusChanged(event_time=ctx.now, status=given.status, request_id=given.request_id)
    return Decision((fact,), (), DONE)


def log_status(state: StationState, given: inputs.LogStatus, ctx: Context) -> Decision:
    """LogStatusNotification, and 1.6 DiagnosticsStatusNotification."""
    fact = LogStatusChanged(event_time=ctx.now, status=given.status, kind=given.kind, request_id=given.request_id)
    return Decision((fact,), (), DONE)
