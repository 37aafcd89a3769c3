"""What telecontrol a site has."""

from __future__ import annotations

from collections.abc import Collection
from typing import Literal

import msgspec

from pilotwire.domain.telecontrol import (
    Contact,
    Receiver,
    RegisterRules,
    ScheduleRules,
    contact_faults,
    receiver_faults,
    register_faults,
    rules_faults,
)
from pilotwire.transport.modbus.guard import LOOPBACK

__all__ = ["InputEntry", "RegisterEntry", "ScheduleEntry", "TelecontrolConfig", "telecontrol_faults"]


class InputEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A contact at a point of a device, `other` the second one of a change-over."""

    contact: Contact
    device: str
    point: str
    other: str | None = None


class ScheduleEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of limits. `gone`: what a file that has been there and is not any more leaves behind: the schedule until
    its end, or what is written for a missing one."""

    rules: ScheduleRules
    path: str
    poll_ms: int = 10_000
    gone: Literal["keep", "missing"] = "keep"


class RegisterEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A Modbus TCP server with one register to write. Nobody may write who is not among `writers`."""

    rules: RegisterRules
    host: str = "127.0.0.1"
    port: int = 502
    """0: a free one."""
    unit: int = 1
    address: int = 0
    clients: tuple[str, ...] = LOOPBACK
    writers: tuple[str, ...] = ()
    writes_per_minute: int = 60


class TelecontrolConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """All of a site. Contacts are looked at each `look_ms`, whatever the loop does."""

    inputs: tuple[InputEntry, ...] = ()
    receivers: tuple[Receiver, ...] = ()
    schedules: tuple[ScheduleEntry, ...] = ()
    registers: tuple[RegisterEntry, ...] = ()
    look_ms: int = 100


def telecontrol_faults(config: TelecontrolConfig, devices: Collection[str], nodes: Collection[str]) -> tuple[str, ...]:
    """Everything that is wrong with it, at a site with these devices and nodes."""
    found: list[str] = []
    contacts = [entry.contact.id for entry in config.inputs]
    ids = [each.id for each in config.receivers]
    ids += [each.rules.id for each in config.schedules]
    ids += [each.rules.id for each in config.registers]
    for what, names in (("contact", contacts), ("telecontrol", ids)):
        found += [f"{what} {id} is there twice" for id in sorted({id for id in names if names.count(id) > 1})]
    for entry in config.inputs:
        where = f"contact {entry.contact.id}"
        found += contact_faults(entry.contact)
        if entry.device not in devices:
            found.append(f"{where}: there is no device {entry.device!r}")
        if entry.contact.changeover is not (entry.other is not None):
            found.append(f"{where}: a change-over has an `other` input, and nothing else has")
    for receiver in config.receivers:
        found += receiver_faults(receiver, frozenset(contacts))
    for schedule in config.schedules:
        found += rules_faults(schedule.rules)
        if schedule.poll_ms <= 0:
            found.append(f"schedule {schedule.rules.id}: poll_ms is above 0")
    for register in config.registers:
        found += register_faults(register.rules)
        if not 0 <= register.address <= 65_530 or not 0 <= register.unit <= 255:
            found.append(f"register {register.rules.id}: address is 0 to 65530, unit 0 to 255")
    for id, node in (
        *((each.id, each.node) for each in config.receivers),
        *((each.rules.id, each.rules.node) for each in (*config.schedules, *config.registers)),
    ):
        if node not in nodes:
            found.append(f"{id}: there is no node {node!r}")
    if config.look_ms <= 0:
        found.append("look_ms is above 0")
    return tuple(found)
