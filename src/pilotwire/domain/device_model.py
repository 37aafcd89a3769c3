"""The device model: variables that are reported, events that are notified."""

from __future__ import annotations

from . import inputs
from .boot import DONE
from .context import Context, Decision
from .facts import AnyFact, EventNotified, VariablesReported
from .state import StationState
from .status import changed


def report(state: StationState, given: inputs.Report, ctx: Context) -> Decision:
    """NotifyReport, or the answer to GetConfiguration / GetVariables. Parts stand alone: none waits for another."""
    fact = VariablesReported(
        event_time=ctx.now if given.time is None else given.time,
        variables=given.variables,
        request_id=given.request_id,
        seq_no=given.seq_no,
        more=given.more,
    )
    return Decision((fact,), (), DONE)


def device_event(state: StationState, given: inputs.DeviceEvent, ctx: Context) -> Decision:
    """NotifyEvent. A Connector's AvailabilityState is its status as well: 2.1 stations need not send another (G01)."""
    facts: list[AnyFact] = []
    for event in given.events:
        facts.append(
            EventNotified(
                event_time=event.time,
                event_id=event.event_id,
                component=event.component,
                variable=event.variable,
                trigger=event.trigger,
                actual_value=event.actual_value,
                cleared=event.cleared,
                evse=event.evse,
                connector=event.connector,
                severity=event.severity,
                tech_code=event.tech_code,
                tech_info=event.tech_info,
                component_instance=event.component_instance,
                variable_instance=event.variable_instance,
                kind=event.kind,
                cause=event.cause,
                transaction=event.transaction,
                monitor=event.monitor,
            )
        )
        if event.variable == "AvailabilityState" and event.component == "Connector" and event.evse and event.connector:
            told = inputs.Status(evse=event.evse, connector=event.connector, status=event.actual_value, time=event.time)
            status = changed(state, told, ctx.now)
            if status is not None:
                facts.append(status)
    return Decision(tuple(facts), (), DONE)
