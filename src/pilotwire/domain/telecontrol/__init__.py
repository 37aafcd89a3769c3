"""Telecontrol: what a grid operator orders by contacts, schedules and a register, decoded for `domain.steering`.

Pure and sans-IO. `contacts`: inputs without bouncing, wires that are watched. `receivers`: patterns of contacts (§ 14a
EnWG, FNN's box, ripple control). `schedule` and `plan`: files of limits. `register`: what a remote terminal unit
writes. `record`: exactly one record of each intervention. All of it ends in `steering.Control`.
"""

from .contacts import (
    Contact,
    ContactEvent,
    ContactState,
    Levels,
    Sample,
    active,
    contact_faults,
    resumed,
    step,
    sure,
)  # fmt: skip
from .plan import Planned, ScheduleRules, rules_faults, scheduled
from .receivers import (
    Figure,
    OrderEvent,
    OrderKind,
    Receiver,
    ReceiverState,
    Row,
    decode,
    dimming_contact,
    fnn_box,
    pattern,
    receiver_faults,
    resumed_receiver,
    ripple_receiver,
)  # fmt: skip
from .record import Opened, Reconciled, Record, Step, merged, reconcile
from .register import NO_LIMIT, InForce, RegisterRules, RegisterState, in_force, register_faults, written
from .schedule import Entry, Schedule, ScheduleFault, gaps, read_schedule, replaces

__all__ = [
    "NO_LIMIT",
    "Contact",
    "ContactEvent",
    "ContactState",
    "Entry",
    "Figure",
    "InForce",
    "Levels",
    "Opened",
    "OrderEvent",
    "OrderKind",
    "Planned",
    "Receiver",
    "ReceiverState",
    "Reconciled",
    "Record",
    "RegisterRules",
    "RegisterState",
    "Row",
    "Sample",
    "Schedule",
    "ScheduleFault",
    "ScheduleRules",
    "Step",
    "active",
    "contact_faults",
    "decode",
    "dimming_contact",
    "fnn_box",
    "gaps",
    "in_force",
    "merged",
    "pattern",
    "read_schedule",
    "receiver_faults",
    "reconcile",
    "register_faults",
    "replaces",
    "resumed",
    "resumed_receiver",
    "ripple_receiver",
    "rules_faults",
    "scheduled",
    "step",
    "sure",
    "written",
]
