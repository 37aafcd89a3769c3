"""Our own map, as a table: the server, its page in the guide and the tests are all made of it."""

from __future__ import annotations

from decimal import Decimal

from pilotwire.protocols.modbus.values import Field, Kind

from .cells import Cell, text, u16

__all__ = [
    "COMMAND", "COMMAND_END", "EVSE", "EVSE_CELLS", "HEADER_CELLS", "LAYOUT", "MAGIC", "MOST_EVSES", "SITE_CELLS",
    "STRIDE", "command_cells", "evse_cells",
]  # fmt: skip

MAGIC = 0x504C_5752
"""`PLWR`."""
LAYOUT = 1
"""Grows when a register changes its meaning; what is added where registers read 0 so far does not count."""
HEADER, SITE, COMMAND, COMMAND_END, EVSE, STRIDE = 0, 100, 200, 300, 1000, 100
MOST_EVSES = (65_536 - EVSE) // STRIDE
NONE_16, NONE_32 = 0xFFFF, 0xFFFF_FFFF
_ABSENT: dict[str, int] = {"u16": NONE_16, "u32": NONE_32, "s32": 0x8000_0000, "u64": 0xFFFF_FFFF_FFFF_FFFF}


def _field(kind: Kind, factor: int = 1) -> Field:
    return Field(kind=kind, factor=Decimal(factor), absent=(_ABSENT[kind],))


def _plain(kind: Kind = "u16") -> Field:
    return Field(kind=kind)


def _at(address: int, name: str, field: Field, unit: str, text: str) -> Cell:
    return Cell(address=address, name=name, field=field, unit=unit, text=text)


_AMP = u16(100)
_WATT = _field("s32", 1000)

HEADER_CELLS: tuple[Cell, ...] = (
    _at(0, "magic", _plain("u32"), "", "0x504C5752, the letters PLWR: this map is served here."),
    _at(2, "layout", _plain(), "", "Version of the layout: 1."),
    _at(3, "nodes", _plain(), "", "Nodes of the site's tree."),
    _at(4, "evses", _plain(), "", "EVSE blocks that follow."),
    _at(5, "first", _plain(), "", "Address of the first EVSE block: 1000."),
    _at(6, "stride", _plain(), "", "Registers from one EVSE block to the next: 100."),
    _at(7, "heartbeat", _plain(), "s", "Counts seconds, from 65535 to 0. One that stands still: we are not alive."),
)
SITE_CELLS: tuple[Cell, ...] = (
    _at(100, "power", _WATT, "W", "Power at the connection."),
    _at(102, "current_l1", _field("s32"), "mA", "Current of L1."),
    _at(104, "current_l2", _field("s32"), "mA", "Current of L2."),
    _at(106, "current_l3", _field("s32"), "mA", "Current of L3."),
    _at(108, "limit_l1", _AMP, "0.1 A", "Limit of L1 that is in force."),
    _at(109, "limit_l2", _AMP, "0.1 A", "Limit of L2 that is in force."),
    _at(110, "limit_l3", _AMP, "0.1 A", "Limit of L3 that is in force."),
    _at(111, "limit_power", _field("u32", 1000), "W", "Limit of the power that is in force."),
    _at(113, "trouble", _plain(), "", "1: something is wrong with the site."),
    _at(120, "limiting", text(16), "", "Node that limits most."),
    _at(136, "reason", text(32), "", "Why it does."),
    _at(168, "trouble_text", text(16), "", "What is wrong."),
)
_ECHO_CELLS: tuple[Cell, ...] = (
    _at(220, "accepted", _plain(), "", "Sequence of the last command that was taken; 0: none was."),
    _at(221, "remaining", _plain(), "s", "How long it holds; 0: it has expired."),
    _at(222, "applied", _plain(), "", "0: no command, 1: the command, 2: its fallback."),
    _at(223, "applied_power", _field("u32", 1000), "W", "Power limit that follows from it now."),
    _at(225, "applied_l1", _AMP, "0.1 A", "Limit of L1 that follows from it now."),
    _at(226, "applied_l2", _AMP, "0.1 A", "Limit of L2 that follows from it now."),
    _at(227, "applied_l3", _AMP, "0.1 A", "Limit of L3 that follows from it now."),
    _at(228, "conflict", _plain(), "", "1: another client has commanded something else within the last two minutes."),
)


def command_cells(most_ma: int, most_mw: int, longest_s: int) -> tuple[Cell, ...]:
    """The command block and its echo; `most_ma` and `most_mw` are the hard limits that nothing written may exceed."""

    def told(address: int, name: str, field: Field, unit: str, text: str, high: int, low: int = 0) -> Cell:
        return Cell(
            address=address, name=name, field=field, unit=unit, text=text, write=True, low=low, high=high,
        )  # fmt: skip

    none = "65535: no limit."
    return (
        told(200, "set_power", _field("u32", 1000), "W", "Most that is to be drawn; 4294967295: no limit.", most_mw),
        told(202, "set_l1", _AMP, "0.1 A", f"Most current of L1; {none}", most_ma),
        told(203, "set_l2", _AMP, "0.1 A", f"Most current of L2; {none}", most_ma),
        told(204, "set_l3", _AMP, "0.1 A", f"Most current of L3; {none}", most_ma),
        told(205, "validity", _plain(), "s", "How long the command holds.", longest_s, 1),
        told(
            206, "fallback", _AMP, "0.1 A",
            "Limit of each phase once it has expired, until the next command; 65535: none but our own.", most_ma,
        ),
        told(207, "sequence", _plain(), "", "Writing it takes the command; a number of your own, not 0.", 65_535, 1),
        *_ECHO_CELLS,
    )  # fmt: skip


SET_NAMES = ("set_power", "set_l1", "set_l2", "set_l3", "validity", "fallback", "sequence")


def evse_cells(most_ma: int, most_mw: int, longest_s: int) -> tuple[Cell, ...]:
    """One EVSE's block, at offsets from its first register; limits as for `command_cells`."""

    def told(address: int, name: str, field: Field, unit: str, text: str, high: int, low: int = 0) -> Cell:
        return Cell(
            address=address, name=name, field=field, unit=unit, text=text, write=True, low=low, high=high,
        )  # fmt: skip

    return (
        *EVSE_CELLS,
        told(80, "set_max", _AMP, "0.1 A", "Most current per phase; 65535: no limit, 0: a pause.", most_ma),
        told(81, "set_enable", _plain(), "", "1: it may charge, 0: it is to pause.", 1),
        told(82, "set_priority", _plain(), "", "Above others with a lower one, where the site goes by priority.", 1000),
        told(83, "set_validity", _plain(), "s", "How long what is written to this block holds.", longest_s, 1),
        told(84, "set_power", _field("u32", 1000), "W", "Most power; 4294967295: no limit.", most_mw),
        told(
            86,
            "set_departure",
            _field("u32"),
            "s",
            "When the car that is there leaves, from now; 4294967295: nobody has said it.",
            NONE_32 - 1,
        ),
        told(
            88,
            "set_energy",
            _field("u32"),
            "Wh",
            "What that car still wants; 4294967295: nobody has said it.",
            NONE_32 - 1,
        ),
        _at(90, "applied", _plain(), "", "1: what was written holds, 0: nothing was, or it has expired."),
        _at(91, "remaining", _plain(), "s", "How long it holds."),
        _at(
            92, "conflict", _plain(), "", "1: another client has commanded something else within the last two minutes."
        ),
    )


EVSE_CELLS: tuple[Cell, ...] = (
    _at(0, "number", _plain(), "", "Counts from 1."),
    _at(1, "online", _plain(), "", "1: the charger answers. Otherwise all below is what it said last."),
    _at(2, "state", _plain(), "", "IEC 61851-1: 0 not known, 1 to 6: A to F."),
    _at(
        3, "ocpp_status", _plain(), "",
        "0 not known, 1 Available, 2 Preparing, 3 Charging, 4 SuspendedEVSE, 5 SuspendedEV, 6 Finishing, 7 Reserved, "
        "8 Unavailable, 9 Faulted.",
    ),
    _at(4, "phases", _plain(), "", "Conductors that are connected; 0: not known."),
    _at(5, "offered", _AMP, "0.1 A", "What the charger confirms that it offers, per phase."),
    _at(6, "current_l1", _field("s32"), "mA", "Current of the outlet's L1."),
    _at(8, "current_l2", _field("s32"), "mA", "Current of the outlet's L2."),
    _at(10, "current_l3", _field("s32"), "mA", "Current of the outlet's L3."),
    _at(12, "power", _WATT, "W", "Power into the car."),
    _at(14, "energy", _field("u64"), "Wh", "The charger's meter register."),
    _at(18, "session_energy", _field("u32"), "Wh", "Of this session."),
    _at(20, "session_time", _field("u32"), "s", "Of this session."),
    _at(22, "soc", u16(), "0.1 %", "State of charge, where the car says it."),
    _at(23, "error", _plain(), "", "1: it does not charge because of a fault."),
    _at(24, "error_text", text(16), "", "The fault in the charger's words."),
    _at(40, "voltage_l1", u16(100), "0.1 V", "Voltage of L1."),
    _at(41, "voltage_l2", u16(100), "0.1 V", "Voltage of L2."),
    _at(42, "voltage_l3", u16(100), "0.1 V", "Voltage of L3."),
    _at(43, "minimum", _AMP, "0.1 A", "Least current that it can offer; below it, it pauses."),
    _at(44, "maximum", _AMP, "0.1 A", "Most current that it can offer."),
    _at(45, "age", u16(1000), "s", "Of what is measured."),
    _at(46, "offered_power", _field("u32", 1000), "W", "What it offers, where it is steered by power."),
    _at(48, "unit", _plain(), "", "0: it is steered by current, 1: by power."),
    _at(50, "id", text(16), "", "What the EVSE is called at this site."),
)  # fmt: skip
