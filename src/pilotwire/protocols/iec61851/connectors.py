"""Types of connectors as data: what they carry, how the cable is held, and how the vehicle behind one is spoken to.

NACS (SAE J3400) is a profile, no protocol: its pilot, its 5 % and its power-line communication are those of CCS; what
differs are the pins, shared by AC and DC, and the latch.
"""

from __future__ import annotations

from typing import Final, Literal

import msgspec

Talk = Literal["pilot", "plc", "chademo", "gbt27930"]
"""How a vehicle is spoken to: by duty cycle, over power line after SLAC, over CAN."""
Interlock = Literal["proximity-code", "latch-switch", "coupler-lock", "none"]


class Connector(msgspec.Struct, frozen=True, kw_only=True):
    """One type of connector."""

    name: str
    ocpp: str
    """connectorType of OCPP 2.x."""
    standard: str
    ac_phases: int = 0
    """0: no AC."""
    ac_max_mv: int = 0
    """Between phases where there are three, else between line and neutral."""
    ac_max_ma: int = 0
    dc_max_mv: int = 0
    dc_max_ma: int = 0
    pins: tuple[str, ...]
    pilot: str | None
    """The pin of the control pilot; None: the link has signals of its own."""
    pilot_kind: Literal["iec61851", "gbt18487", "chademo"] = "iec61851"
    interlock: Interlock
    tethered: bool
    """The cable is always the EVSE's."""
    talks: tuple[Talk, ...]
    """In the order in which they are tried."""
    shared_pins: bool = False
    """AC and DC use the same two pins: never both contactors at once."""

    @property
    def ac(self) -> bool:
        return self.ac_phases > 0

    @property
    def dc(self) -> bool:
        return self.dc_max_ma > 0

    @property
    def digital(self) -> bool:
        """5 % of duty cycle calls for power-line communication here."""
        return "plc" in self.talks


TYPE1: Final = Connector(
    name="Type 1", ocpp="cType1", standard="IEC 62196-2, SAE J1772",
    ac_phases=1, ac_max_mv=250_000, ac_max_ma=80_000,
    pins=("L1", "L2/N", "PE", "CP", "PP"), pilot="CP", interlock="latch-switch", tethered=True, talks=("plc", "pilot"),
)  # fmt: skip
TYPE2: Final = Connector(
    name="Type 2", ocpp="cType2", standard="IEC 62196-2",
    ac_phases=3, ac_max_mv=480_000, ac_max_ma=63_000,
    pins=("L1", "L2", "L3", "N", "PE", "CP", "PP"), pilot="CP", interlock="proximity-code", tethered=True,
    talks=("plc", "pilot"),
)  # fmt: skip
SOCKET2: Final = Connector(
    name="Type 2 socket", ocpp="sType2", standard="IEC 62196-2",
    ac_phases=3, ac_max_mv=480_000, ac_max_ma=63_000,
    pins=("L1", "L2", "L3", "N", "PE", "CP", "PP"), pilot="CP", interlock="proximity-code", tethered=False,
    talks=("plc", "pilot"),
)  # fmt: skip
CCS1: Final = Connector(
    name="CCS1", ocpp="cCCS1", standard="IEC 62196-3 configuration EE",
    ac_phases=1, ac_max_mv=250_000, ac_max_ma=80_000, dc_max_mv=1_000_000, dc_max_ma=500_000,
    pins=("DC+", "DC-", "PE", "CP", "PP"), pilot="CP", interlock="latch-switch", tethered=True, talks=("plc",),
)  # fmt: skip
CCS2: Final = Connector(
    name="CCS2", ocpp="cCCS2", standard="IEC 62196-3 configuration FF",
    ac_phases=3, ac_max_mv=480_000, ac_max_ma=63_000, dc_max_mv=1_000_000, dc_max_ma=500_000,
    pins=("DC+", "DC-", "PE", "CP", "PP"), pilot="CP", interlock="proximity-code", tethered=True, talks=("plc",),
)  # fmt: skip
NACS_500: Final = Connector(
    name="NACS 500 V", ocpp="cNACS", standard="SAE J3400",
    ac_phases=1, ac_max_mv=277_000, ac_max_ma=80_000, dc_max_mv=500_000, dc_max_ma=650_000,
    pins=("DC+/L1", "DC-/L2/N", "PE", "CP", "PP"), pilot="CP", interlock="latch-switch", tethered=True,
    talks=("plc", "pilot"), shared_pins=True,
)  # fmt: skip
NACS: Final = msgspec.structs.replace(NACS_500, name="NACS 1000 V", dc_max_mv=1_000_000)
CHADEMO: Final = Connector(
    name="CHAdeMO", ocpp="cG105", standard="IEEE 2030.1.1, IEC 62196-3 configuration AA",
    dc_max_mv=1_000_000, dc_max_ma=400_000,
    pins=("DC+", "DC-", "FG", "SS1", "SS2", "DCP", "PP", "C-H", "C-L"), pilot=None, pilot_kind="chademo",
    interlock="coupler-lock", tethered=True, talks=("chademo",),
)  # fmt: skip
GBT_AC: Final = Connector(
    name="GB/T AC", ocpp="cGBT-AC", standard="GB/T 20234.2",
    ac_phases=3, ac_max_mv=440_000, ac_max_ma=63_000,
    pins=("L1", "L2", "L3", "N", "PE", "CP", "CC"), pilot="CP", interlock="proximity-code", tethered=True,
    talks=("pilot",),
)  # fmt: skip
GBT_DC: Final = Connector(
    name="GB/T DC", ocpp="cGBT-DC", standard="GB/T 20234.3",
    dc_max_mv=1_000_000, dc_max_ma=250_000,
    pins=("DC+", "DC-", "PE", "S+", "S-", "CC1", "CC2", "A+", "A-"), pilot=None, pilot_kind="gbt18487",
    interlock="coupler-lock", tethered=True, talks=("gbt27930",),
)  # fmt: skip

CONNECTORS: Final[dict[str, Connector]] = {
    c.name: c for c in (TYPE1, TYPE2, SOCKET2, CCS1, CCS2, NACS_500, NACS, CHADEMO, GBT_AC, GBT_DC)
}


def of_ocpp(connector_type: str) -> Connector:
    """The type behind OCPP's connectorType; of NACS the one for 1000 V. Raises LookupError."""
    found = [c for c in CONNECTORS.values() if c.ocpp == connector_type]
    if not found:
        raise LookupError(f"no connector is known as {connector_type}")
    return found[-1]
