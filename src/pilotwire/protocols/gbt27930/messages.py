"""The messages of GB/T 27930-2015 (clauses 9 and 10) and where those of the 2011 edition differ.

Where the text of 2015 contradicts itself, and what is done here:

* BRM has 41 bytes in table 3 and 49 in its list of fields (table 11); 41 is what it had in 2011, without the version of
  the BMS software. 49 is what is seen on the wire and what is sent; whatever has at least the 8 that are mandatory is
  read.
* CCS has 8 bytes in table 5, its fields end in the seventh; chargers are seen to send 7. 8 are sent, the rest as ones,
  6 (as in 2011) are enough to be read.
* Bits 7 and 8 of the last byte of BSM and 3 to 8 of byte 7 of CCS are not said to be anything: ones.
* CSD counts the charger's number from 1, CRM from 0: the same number is sent in both, as it stands.
* DM4 has PGN 8906 in table B.2 and 8960 in the text; 8960 is 002300h, which the same row says: 2300h it is.
* The transport protocol has no PGN or priority there; those of J1939-21 are meant (7, EC00h and EB00h).

Edition 2011 has no CHM and BHM, one byte for the charger's number (CRM, CSD), 6 bytes in CML and CCS, 5 in CSD.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

from pilotwire.protocols.can.signals import Message, Signal, bcd, choice, message, number, octets, text
from pilotwire.protocols.j1939 import build

from .fields import (
    BMS,
    CHARGER,
    amperes,
    cell_volts,
    celsius,
    kilowatt_hours,
    minutes,
    pair,
    percent,
    readiness,
    volts,
)

Edition = Literal["2011", "2015"]
V1_0, V1_1 = 0x000100, 0x000101
"""Versions of the protocol as they stand in CHM and BRM: editions 2011 and 2015."""
BATTERIES = {
    1: "lead-acid",
    2: "nickel-metal hydride",
    3: "lithium iron phosphate",
    4: "lithium manganese oxide",
    5: "lithium cobalt oxide",
    6: "ternary",
    7: "lithium polymer",
    8: "lithium titanate",
    0xFF: "other",
}


def _c(
    name: str, pgn: int, priority: int, length: int, period: int | None, fields: Iterable[Signal], least: int = -1
) -> Message:
    return _message(name, pgn, priority, length, period, fields, least, "evse", BMS, CHARGER)


def _b(
    name: str, pgn: int, priority: int, length: int, period: int | None, fields: Iterable[Signal], least: int = -1
) -> Message:
    return _message(name, pgn, priority, length, period, fields, least, "ev", CHARGER, BMS)


def _message(
    name: str,
    pgn: int,
    priority: int,
    length: int,
    period: int | None,
    fields: Iterable[Signal],
    least: int,
    sender: str,
    da: int,
    sa: int,
) -> Message:
    return message(
        build(priority, pgn, da, sa),
        name,
        length,
        signals=fields,
        extended=True,
        period_ms=period,
        sender=sender,
        least=None if least < 0 else least,
        fill=True,
    )


_VERSION = number("version", 0, 24, about="V1.1 is 000101h, V1.0 is 000100h")
_RECOGNISED = choice("recognised", 0, 8, {0x00: "no", 0xAA: "yes"}, about="SPN 2560")
_BRM = (
    _VERSION,
    choice("battery", 24, 8, BATTERIES, about="SPN 2566"),
    number("capacity", 32, 16, unit="mAh", factor=100, missing=0xFFFF, about="SPN 2567"),
    volts("rated_voltage", 6, "SPN 2568"),
    text("maker", 8, 4, about="SPN 2569"),
    octets("pack_number", 12, 4, about="SPN 2570"),
    number("made_year", 128, 8, offset=1985, missing=0xFF, about="SPN 2571"),
    number("made_month", 136, 8, missing=0xFF, low=1, high=12),
    number("made_day", 144, 8, missing=0xFF, low=1, high=31),
    number("cycles", 152, 24, missing=0xFFFFFF, about="SPN 2572"),
    choice("owned", 176, 8, {0: "rented", 1: "owned by the vehicle's owner"}, missing=0xFF, about="SPN 2573"),
    text("vin", 24, 17, about="SPN 2575"),
)
_CML = (
    volts("max_voltage", 0, "SPN 2824"),
    volts("min_voltage", 2, "SPN 2825"),
    amperes("max_current", 4, "SPN 2826"),
)
_CCS = (volts("voltage", 0, "SPN 3081"), amperes("current", 2, "SPN 3082"), minutes("time", 4, "SPN 3083"))
_CSD = (minutes("time", 0, "SPN 3611"), kilowatt_hours("energy", 2, "SPN 3612"))

_SAME = (
    _b(
        "BCP",
        0x0600,
        7,
        13,
        500,
        (
            cell_volts("max_cell_voltage", 0, "SPN 2816"),
            amperes("max_current", 2, "SPN 2817"),
            kilowatt_hours("capacity", 4, "SPN 2818"),
            volts("max_voltage", 6, "SPN 2819"),
            celsius("max_temperature", 8, "SPN 2820"),
            number("soc", 72, 16, unit="0.1 %", missing=0xFFFF, low=0, high=1000, about="SPN 2821"),
            volts("voltage", 11, "SPN 2822"),
        ),
    ),
    _c(
        "CTS",
        0x0700,
        6,
        7,
        500,
        (bcd("second", 0), bcd("minute", 1), bcd("hour", 2), bcd("day", 3), bcd("month", 4), bcd("year", 5, 2)),
    ),
    _b("BRO", 0x0900, 4, 1, 250, (readiness("ready", "SPN 2829"),)),
    _c("CRO", 0x0A00, 4, 1, 250, (readiness("ready", "SPN 2830"),)),
    _b(
        "BCL",
        0x1000,
        6,
        5,
        50,
        (
            volts("voltage", 0, "SPN 3072"),
            amperes("current", 2, "SPN 3073"),
            choice("mode", 32, 8, {1: "constant voltage", 2: "constant current"}, about="SPN 3074"),
        ),
    ),
    _b(
        "BCS",
        0x1100,
        7,
        9,
        250,
        (
            volts("voltage", 0, "SPN 3075"),
            amperes("current", 2, "SPN 3076"),
            cell_volts("max_cell_voltage", 4, "SPN 3077", bits=12),
            number("max_cell_group", 44, 4, about="SPN 3077"),
            percent("soc", 6, "SPN 3078"),
            minutes("remaining", 7, "SPN 3079"),
        ),
    ),
    _b(
        "BSM",
        0x1300,
        6,
        7,
        250,
        (
            number("max_cell", 0, 8, offset=1, about="SPN 3085"),
            celsius("max_temperature", 1, "SPN 3086"),
            number("max_temperature_point", 16, 8, offset=1, missing=0xFF, about="SPN 3087"),
            celsius("min_temperature", 3, "SPN 3088"),
            number("min_temperature_point", 32, 8, offset=1, missing=0xFF, about="SPN 3089"),
            pair("cell_voltage", 5, 1, "a cell's voltage is too high", two="too low"),
            pair("soc", 5, 3, "the state of charge is too high", two="too low"),
            pair("over_current", 5, 5, "the charging current is too high"),
            pair("over_temperature", 5, 7, "the battery is too hot"),
            pair("insulation", 6, 1, "the battery's insulation is bad"),
            pair("connector", 6, 3, "the battery's output connector is not connected"),
            pair("permitted", 6, 5, "charging is permitted"),
        ),
    ),
    _b(
        "BST",
        0x1900,
        4,
        4,
        10,
        (
            pair("soc_reached", 0, 1, "the wanted state of charge is reached"),
            pair("voltage_reached", 0, 3, "the total voltage that was set is reached"),
            pair("cell_voltage_reached", 0, 5, "the cell voltage that was set is reached"),
            pair("charger_stopped", 0, 7, "the charger has stopped"),
            pair("insulation", 1, 1, "insulation fault"),
            pair("connector_hot", 1, 3, "the output connector is too hot"),
            pair("component_hot", 1, 5, "the BMS or its output connector is too hot"),
            pair("connector", 1, 7, "fault of the charging connector"),
            pair("battery_hot", 2, 1, "the battery is too hot"),
            pair("relay", 2, 3, "fault of the high-voltage relay"),
            pair("detection_point_2", 2, 5, "the voltage at detection point 2 is wrong"),
            pair("other", 2, 7, "another fault"),
            pair("over_current", 3, 1, "more current than was asked for"),
            pair("voltage", 3, 3, "the voltage is not normal"),
        ),
    ),
    _c(
        "CST",
        0x1A00,
        4,
        4,
        10,
        (
            pair("condition_reached", 0, 1, "what was set at the charger is reached"),
            pair("by_hand", 0, 3, "stopped by hand"),
            pair("fault", 0, 5, "stopped by a fault"),
            pair("bms_stopped", 0, 7, "the BMS has stopped"),
            pair("hot", 1, 1, "the charger is too hot"),
            pair("connector", 1, 3, "fault of the charging connector"),
            pair("inside_hot", 1, 5, "the charger is too hot inside"),
            pair("no_energy", 1, 7, "the wanted energy cannot be delivered"),
            pair("emergency", 2, 1, "emergency stop"),
            pair("other", 2, 3, "another fault"),
            pair("current", 3, 1, "the current does not match"),
            pair("voltage", 3, 3, "the voltage is not normal"),
        ),
    ),
    _b(
        "BSD",
        0x1C00,
        6,
        7,
        250,
        (
            percent("soc", 0, "SPN 3601"),
            cell_volts("min_cell_voltage", 1, "SPN 3602"),
            cell_volts("max_cell_voltage", 3, "SPN 3603"),
            celsius("min_temperature", 5, "SPN 3604"),
            celsius("max_temperature", 6, "SPN 3605"),
        ),
    ),
    _b(
        "BEM",
        0x1E00,
        2,
        4,
        250,
        (
            pair("crm_00", 0, 1, "no CRM with 00 came in time"),
            pair("crm_aa", 0, 3, "no CRM with AA came in time"),
            pair("cts_cml", 1, 1, "no CTS and CML came in time"),
            pair("cro", 1, 3, "no CRO with AA came in time"),
            pair("ccs", 2, 1, "no CCS came in time"),
            pair("cst", 2, 3, "no CST came in time"),
            pair("csd", 3, 1, "no CSD came in time"),
        ),
    ),
    _c(
        "CEM",
        0x1F00,
        2,
        4,
        250,
        (
            pair("brm", 0, 1, "no BRM came in time"),
            pair("bcp", 1, 1, "no BCP came in time"),
            pair("bro", 1, 3, "no BRO with AA came in time"),
            pair("bcs", 2, 1, "no BCS came in time"),
            pair("bcl", 2, 3, "no BCL came in time"),
            pair("bst", 2, 5, "no BST came in time"),
            pair("bsd", 3, 1, "no BSD came in time"),
        ),
    ),
)

EDITION_2015: tuple[Message, ...] = (
    _c("CHM", 0x2600, 6, 3, 250, (_VERSION,)),
    _b("BHM", 0x2700, 6, 2, 250, (volts("max_voltage", 0, "SPN 2601"),)),
    _c(
        "CRM",
        0x0100,
        6,
        8,
        250,
        (_RECOGNISED, number("charger", 8, 32, about="SPN 2561"), text("region", 5, 3, about="SPN 2562")),
        5,
    ),
    _b("BRM", 0x0200, 7, 49, 250, (*_BRM, octets("software", 41, 8, about="SPN 2576")), 8),
    _c("CML", 0x0800, 6, 8, 250, (*_CML, amperes("min_current", 6, "SPN 2827")), 6),
    _c(
        "CCS",
        0x1200,
        6,
        8,
        50,
        (*_CCS, choice("permitted", 48, 2, {0: "paused", 1: "permitted"}, missing=3, about="SPN 3929")),
        6,
    ),
    _c("CSD", 0x1D00, 6, 8, 250, (*_CSD, number("charger", 32, 32, about="SPN 3613")), 5),
    *_SAME,
)
EDITION_2011: tuple[Message, ...] = (
    _c(
        "CRM",
        0x0100,
        6,
        8,
        250,
        (_RECOGNISED, number("charger", 8, 8, about="SPN 2561"), text("region", 2, 6, about="SPN 2562")),
        2,
    ),
    _b("BRM", 0x0200, 7, 41, 250, _BRM, 8),
    _c("CML", 0x0800, 6, 6, 250, _CML),
    _c("CCS", 0x1200, 6, 6, 50, _CCS),
    _c("CSD", 0x1D00, 6, 5, 250, (*_CSD, number("charger", 32, 8, about="SPN 3613"))),
    *_SAME,
)
