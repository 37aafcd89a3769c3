"""From `telecontrol:` of a site's file to what runs, and everything that is wrong with it."""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterator, Mapping
from pathlib import Path

from pilotwire.core.errors import ConfigError
from pilotwire.domain import steering
from pilotwire.domain.energy import Evse
from pilotwire.domain.energy.scale import infeed
from pilotwire.domain.steering.grid14a import left
from pilotwire.domain.telecontrol import (
    Contact,
    Figure,
    Levels,
    OrderKind,
    Receiver,
    RegisterRules,
    Row,
    ScheduleRules,
    dimming_contact,
    fnn_box,
)
from pilotwire.site.addresses import address
from pilotwire.site.sections import micro, milli
from pilotwire.site.typed import Finding

from .config import InputEntry, RegisterEntry, ScheduleEntry, TelecontrolConfig, telecontrol_faults
from .entries import (
    ContactSection,
    FigureSection,
    Limits,
    ReceiverSection,
    RegisterSection,
    RowSection,
    ScheduleSection,
    TelecontrolSection,
)

__all__ = ["from_file", "telecontrol_findings"]

_KINDS: Mapping[Limits, OrderKind] = {"import": "import_limit", "steuve": "steuve_limit", "feed_in": "export_limit"}


def from_file(section: TelecontrolSection, folder: Path) -> TelecontrolConfig:
    """`folder`: what paths in the file begin at. Raises ConfigError for an address that is none."""
    return TelecontrolConfig(
        inputs=tuple(_input(each) for each in section.contacts),
        receivers=tuple(_receiver(each) for each in section.receivers),
        schedules=tuple(_schedule(each, folder) for each in section.schedules),
        registers=tuple(_register(each) for each in section.registers),
        look_ms=milli(section.look_s),
    )


def telecontrol_findings(
    section: TelecontrolSection,
    devices: Mapping[str, Collection[str]],
    nodes: Collection[str],
    steered: steering.Config | None,
    listens: Mapping[tuple[str, int], str],
    idle: Collection[str] = (),
) -> list[Finding]:
    """`devices`: the points of each by its file. `steered`: None while something else in the file is wrong. `listens`:
    who else serves which address. `idle`: EVSEs that are out of service."""
    found = list(_meanings(section))
    found += _points(section, devices)
    found += _served(section, listens)
    if not any(each.severity == "error" for each in found):
        made = from_file(section, Path())
        found += [Finding("telecontrol", text) for text in telecontrol_faults(made, devices.keys(), nodes)]
        if steered is not None:
            found += _carried_out(made, steered)
            found += _falls_back(made, steered, idle)
    return found


def _falls_back(made: TelecontrolConfig, steered: steering.Config, idle: Collection[str]) -> Iterator[Finding]:
    """Whether chargers whose box has died while they were dimmed take more than they were left."""
    dimmed = {
        node
        for node, kinds in (
            *((each.node, {row.kind for row in each.rows}) for each in made.receivers),
            *((each.rules.node, {each.rules.kind}) for each in (*made.schedules, *made.registers)),
        )
        if "steuve_limit" in kinds
    }
    tree = steered.tree
    for each in steered.steuve:
        if each.node not in dimmed:
            continue
        falls = [
            _fallback_mw(evse, tree.voltage_mv)
            for evse in tree.evses
            if evse.id in each.devices and evse.id not in idle
        ]
        floor = left(each, steered.loads).together
        if sum(falls) > floor:
            text = (
                f"if the box dies while they are dimmed, the chargers fall back to {sum(falls) / 1e6:.1f} kW together, "
                f"more than the {floor / 1e6:.1f} kW that a dimming leaves them at least: lower failsafe_a"
            )
            yield Finding(f"steering.steuve[{each.node}]", text, "warning")


def _fallback_mw(evse: Evse, voltage_mv: int) -> int:
    value = evse.maximum if evse.failsafe is None else evse.failsafe
    phases = 3 if evse.current == "DC" else evse.phases
    return infeed(evse, value, voltage_mv) * voltage_mv * phases // 1_000


# --- what the file says ----------------------------------------------------------------------------------------------


def _input(entry: ContactSection) -> InputEntry:
    on = milli(entry.debounce_s)
    levels = entry.levels
    contact = Contact(
        id=entry.id,
        inverted=entry.inverted,
        debounce_on_ms=on,
        debounce_off_ms=on if entry.release_s is None else milli(entry.release_s),
        fault_ms=milli(entry.fault_s),
        stale_ms=milli(entry.stale_s),
        levels=None if levels is None else Levels(open=levels.open, closed=levels.closed),
        changeover=entry.other is not None,
        broken=entry.broken,
        lost=entry.lost,
    )
    return InputEntry(contact=contact, device=entry.device, point=entry.point, other=entry.other)


def _receiver(entry: ReceiverSection) -> Receiver:
    release, minimum = milli(entry.release_s), milli(entry.minimum_s)
    if entry.fnn is not None:
        fnn = entry.fnn
        made = fnn_box(entry.id, entry.node, w3=fnn.w3, s2=fnn.s2, s1=fnn.s1, w4=fnn.w4, source=entry.source)
    elif entry.dims is not None:
        made = dimming_contact(entry.id, entry.node, entry.dims, source=entry.source)
    else:
        made = Receiver(
            id=entry.id, source=entry.source, node=entry.node, rows=tuple(_row(each) for each in entry.rows)
        )
    coding = "coded" if entry.coded else "each"
    return Receiver(
        id=made.id, source=made.source, node=made.node, rows=made.rows, coding=coding, minimum_ms=minimum,
        release_ms=release,
    )  # fmt: skip


def _row(entry: RowSection) -> Row:
    figure = None if entry.free else _figure(FigureSection(kw=entry.kw, percent=entry.percent))
    return Row(contacts=entry.contacts, kind=_KINDS[entry.limits], figure=figure)


def _figure(entry: FigureSection) -> Figure:
    return Figure(
        value_mw=None if entry.kw is None else micro(entry.kw),
        permille=None if entry.percent is None else int(entry.percent * 10),
    )


def _schedule(entry: ScheduleSection, folder: Path) -> ScheduleEntry:
    rules = ScheduleRules(
        id=entry.id,
        source=entry.source,
        node=entry.node,
        kind=_KINDS[entry.limits],
        reference_mw=None if entry.reference_kw is None else micro(entry.reference_kw),
        gap=None if entry.gap is None else _figure(entry.gap),
        stale=None if entry.stale is None else _figure(entry.stale),
        missing=None if entry.missing is None else _figure(entry.missing),
    )
    return ScheduleEntry(rules=rules, path=str(folder / entry.file), poll_ms=milli(entry.poll_s), gone=entry.gone)


def _register(entry: RegisterSection) -> RegisterEntry:
    host, port = address(entry.listen)
    lost = entry.lost
    rules = RegisterRules(
        id=entry.id,
        source=entry.source,
        node=entry.node,
        kind=_KINDS[entry.limits],
        meaning=entry.meaning,
        maximum=entry.maximum,
        reference_mw=None if entry.reference_kw is None else micro(entry.reference_kw),
        watchdog_ms=None if entry.watchdog_s is None else milli(entry.watchdog_s),
        lost="hold" if lost == "hold" else "figure",
        lost_figure=_figure(lost) if isinstance(lost, FigureSection) else None,
    )
    return RegisterEntry(
        rules=rules, host=host, port=port, unit=entry.unit, address=entry.address, clients=entry.clients,
        writers=entry.writers, writes_per_minute=entry.writes_per_minute,
    )  # fmt: skip


# --- what is wrong with it -------------------------------------------------------------------------------------------


def _meanings(section: TelecontrolSection) -> Iterator[Finding]:
    for receiver in section.receivers:
        where = f"telecontrol.receivers[{receiver.id}]"
        given = [name for name in ("dims", "fnn", "rows") if getattr(receiver, name)]
        if len(given) != 1:
            text = "needs exactly one of dims, fnn and rows, to say what its contacts mean"
            yield Finding(where, f"{text}; it has {' and '.join(given) or 'none'}")
        if receiver.coded and not receiver.rows:
            yield Finding(f"{where}.coded", "is for rows")
        for at, row in enumerate(receiver.rows, 1):
            if row.free and (row.kw is not None or row.percent is not None):
                yield Finding(f"{where}.rows[{at}].free", "says that nothing is limited, beside a limit; drop one")
    for register in section.registers:
        if register.lost != "hold" and register.watchdog_s is None:
            text = "needs watchdog_s: without it nobody knows that the unit is lost"
            yield Finding(f"telecontrol.registers[{register.id}].lost", text)


def _points(section: TelecontrolSection, devices: Mapping[str, Collection[str]]) -> Iterator[Finding]:
    for contact in section.contacts:
        where = f"telecontrol.contacts[{contact.id}]"
        points = devices.get(contact.device)
        if points is None:
            yield Finding(f"{where}.device", f"there is no device {contact.device}; enter it below `devices:`")
            continue
        for name, point in (("point", contact.point), ("other", contact.other)):
            if point is not None and point not in points:
                known = ", ".join(sorted(each for each in points if each.startswith("input_"))) or "no inputs"
                yield Finding(f"{where}.{name}", f"device {contact.device} has no {point}; its file has {known}")


def _served(section: TelecontrolSection, listens: Mapping[tuple[str, int], str]) -> Iterator[Finding]:
    taken = dict(listens)
    for register in section.registers:
        where = f"telecontrol.registers[{register.id}]"
        try:
            place = address(register.listen)
        except ConfigError as error:
            yield Finding(f"{where}.listen", str(error))
            continue
        if place[1] and place in taken:
            yield Finding(f"{where}.listen", f"{taken[place]} listens there already; give it a port of its own")
        taken.setdefault(place, where)
        for name in ("clients", "writers"):
            for each in getattr(register, name):
                try:
                    ipaddress.ip_network(each)
                except ValueError as error:
                    yield Finding(f"{where}.{name}", f"{error}; e.g. 192.168.10.7 or 192.168.10.0/24")
        if not register.writers:
            yield Finding(f"{where}.writers", "is empty: nobody may write it; enter the unit's address", "warning")


def _carried_out(made: TelecontrolConfig, steered: steering.Config) -> Iterator[Finding]:
    """Orders that nothing at the site could follow."""
    kinds: list[tuple[str, str, OrderKind, bool]] = []
    for receiver in made.receivers:
        for row in receiver.rows:
            share = row.figure is not None and row.figure.permille is not None
            kinds.append((f"telecontrol.receivers[{receiver.id}]", receiver.node, row.kind, share))
    for schedule in made.schedules:
        rules = schedule.rules
        kinds.append((f"telecontrol.schedules[{rules.id}]", rules.node, rules.kind, rules.reference_mw is None))
    for register in made.registers:
        each = register.rules
        kinds.append((f"telecontrol.registers[{each.id}]", each.node, each.kind, each.meaning == "percent"))
    steuve = {each.node for each in steered.steuve}
    for where, node, kind, share in dict.fromkeys(kinds):
        if kind == "steuve_limit" and node not in steuve:
            text = f"dims devices of § 14a EnWG at {node}: enter them in steering.steuve, with node: {node}"
            yield Finding(where, text)
        if kind == "export_limit" and share and not steered.inverters:
            text = "is a share of the installed generation: enter what there is in steering.inverters"
            yield Finding(where, text)
        elif kind == "export_limit" and not any(inverter.controllable for inverter in steered.inverters):
            text = "limits the feed-in, and no inverter of steering.inverters can be told anything: cars and batteries"
            yield Finding(where, f"{text} take what they can, the rest is fed in", "warning")
