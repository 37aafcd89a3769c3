"""The domain's front door: fold a station's facts, decide what its messages mean.

    state = StationState.from_image(key, image.station, image.sessions, image.complete, image.commands)
    decision = decide(state, input, ctx)            # pure but for ids; a Need asks for an older session first
    for fact in decision.facts:
        state.apply(fact, ctx.now, ctx.epoch)
    entry = Entry(..., facts=decision.facts, samples=decision.samples, touched=state.touched())

Deciding the same input again after `apply` gives the same outcome and no fact that changes a session.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from . import (
    blocks,
    boot,
    certificates,
    charging,
    costs,
    device_model,
    inputs,
    notices,
    sessions_v2,
    sessions_v16,
    status,
    tokens,
)
from .context import Authorizer, Context, Decision, Need
from .fold import Fold, fold, fold_stream
from .state import Record, StationState, UnknownSession

__all__ = [
    "Authorizer",
    "Context",
    "Decision",
    "Fold",
    "Need",
    "Record",
    "StationState",
    "UnknownSession",
    "decide",
    "fold",
    "fold_stream",
]


def _meter_values(state: StationState, given: inputs.MeterValues, ctx: Context) -> Decision | Need:
    if ctx.version == sessions_v16.VERSION:
        return sessions_v16.meter_values(state, given, ctx)
    return sessions_v2.meter_values(state, given, ctx)


ROUTES: dict[type[inputs.Input], Callable[[StationState, Any, Context], Decision | Need]] = {
    inputs.Boot: boot.boot,
    inputs.Heartbeat: boot.heartbeat,
    inputs.Status: status.status,
    inputs.Authorize: tokens.authorize,
    inputs.StartTransaction: sessions_v16.start,
    inputs.StopTransaction: sessions_v16.stop,
    inputs.MeterValues: _meter_values,
    inputs.TransactionEvent: sessions_v2.transaction_event,
    inputs.Report: device_model.report,
    inputs.DeviceEvent: device_model.device_event,
    inputs.SecurityEvent: notices.security_event,
    inputs.DataTransfer: notices.data_transfer,
    inputs.FirmwareStatus: notices.firmware_status,
    inputs.LogStatus: notices.log_status,
    certificates.SignCertificate: certificates.sign_certificate,
    certificates.StatusAsked: certificates.status,
    certificates.ChainStatusAsked: certificates.chain_status,
    certificates.EvCertificateAsked: certificates.ev_certificate,
    charging.ProfileAccepted: charging.profile_accepted,
    charging.ProfilesCleared: charging.profiles_cleared,
    charging.RatesAccepted: charging.rates_accepted,
    charging.CompositeAnswered: charging.composite_answered,
    charging.ProfilesReported: charging.profiles_reported,
    charging.LimitNotified: charging.limit_notified,
    charging.PriorityNotified: charging.priority_notified,
    charging.NeedsNotified: charging.needs_notified,
    charging.VehicleSchedule: charging.vehicle_schedule,
    charging.RatesAsked: charging.rates_asked,
    costs.DefaultAccepted: costs.default_accepted,
    costs.Cleared: costs.cleared,
    costs.Listed: costs.listed,
    costs.TariffOffered: costs.tariff_offered,
    costs.Changed: costs.changed,
    **blocks.ROUTES,
}
"""One small function per input."""


def decide(state: StationState, given: inputs.Input, ctx: Context) -> Decision | Need:
    """What `given` means for this station and what to answer. Changes nothing but the samples' `session_id`."""
    return ROUTES[type(given)](state, given, ctx)
