"""Kinds of cars, as data. Plausible classes of the market, no make's own figures."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec


class CarKind(msgspec.Struct, frozen=True, kw_only=True):
    """What a kind of car can take.

    Curves are (SoC in 0.1 %, W at the inlet), in order of SoC, linear between.
    """

    name: str
    capacity_wh: int
    ac_phases: int
    ac_max_ma: int
    """Per phase. The onboard charger needs at least 6 A (IEC 61851-1)."""
    ac_efficiency: int = 910
    """0.1 % of the energy at the inlet that becomes charge."""
    dc_curve: tuple[tuple[int, int], ...] = ()
    """Empty: no DC inlet."""
    dc_max_ma: int = 0
    dc_efficiency: int = 965
    pack_empty_mv: int = 320_000
    pack_full_mv: int = 405_000
    ac_discharge_w: int = 0
    """What it can give back over its onboard charger; 0: nothing (ISO 15118-20 AC_BPT)."""
    dc_discharge_w: int = 0
    """The same over DC (DC_BPT, CHAdeMO)."""

    @property
    def bidirectional(self) -> bool:
        """It can give energy back."""
        return self.ac_discharge_w > 0 or self.dc_discharge_w > 0


CATALOGUE: Mapping[str, CarKind] = {
    kind.name: kind
    for kind in (
        CarKind(name="city one-phase 3.7 kW", capacity_wh=17_600, ac_phases=1, ac_max_ma=16_000, ac_efficiency=880),
        CarKind(
            name="plug-in hybrid one-phase 3.7 kW", capacity_wh=13_000, ac_phases=1, ac_max_ma=16_000, ac_efficiency=890
        ),
        CarKind(
            name="plug-in hybrid one-phase 7 kW", capacity_wh=19_700, ac_phases=1, ac_max_ma=32_000, ac_efficiency=890
        ),
        CarKind(
            name="compact one-phase 7 kW",
            capacity_wh=40_000,
            ac_phases=1,
            ac_max_ma=32_000,
            ac_efficiency=895,
            dc_curve=((0, 40_000), (80, 46_000), (550, 45_000), (800, 24_000), (1000, 4_000)),
            dc_max_ma=125_000,
        ),
        CarKind(
            name="compact three-phase 11 kW",
            capacity_wh=58_000,
            ac_phases=3,
            ac_max_ma=16_000,
            dc_curve=((0, 70_000), (50, 120_000), (300, 118_000), (600, 76_000), (800, 52_000), (1000, 6_000)),
            dc_max_ma=320_000,
        ),
        CarKind(
            name="compact three-phase 22 kW",
            capacity_wh=52_000,
            ac_phases=3,
            ac_max_ma=32_000,
            ac_efficiency=900,
            dc_curve=((0, 42_000), (100, 50_000), (600, 44_000), (800, 25_000), (1000, 3_500)),
            dc_max_ma=130_000,
        ),
        CarKind(
            name="sedan three-phase 11 kW 400 V",
            capacity_wh=75_000,
            ac_phases=3,
            ac_max_ma=16_000,
            ac_efficiency=920,
            dc_curve=((0, 120_000), (50, 190_000), (250, 185_000), (500, 105_000), (800, 50_000), (1000, 5_000)),
            dc_max_ma=550_000,
        ),
        CarKind(
            name="sedan three-phase 11 kW 800 V",
            capacity_wh=77_400,
            ac_phases=3,
            ac_max_ma=16_000,
            ac_efficiency=915,
            dc_curve=((0, 130_000), (50, 228_000), (550, 226_000), (800, 118_000), (1000, 8_000)),
            dc_max_ma=350_000,
            pack_empty_mv=600_000,
            pack_full_mv=800_000,
        ),
        CarKind(
            name="sport sedan three-phase 22 kW 800 V",
            capacity_wh=97_000,
            ac_phases=3,
            ac_max_ma=32_000,
            ac_efficiency=915,
            dc_curve=((0, 150_000), (50, 268_000), (600, 262_000), (800, 120_000), (1000, 9_000)),
            dc_max_ma=400_000,
            pack_empty_mv=610_000,
            pack_full_mv=830_000,
        ),
        CarKind(
            name="sport utility three-phase 11 kW 400 V",
            capacity_wh=82_000,
            ac_phases=3,
            ac_max_ma=16_000,
            dc_curve=((0, 90_000), (50, 150_000), (350, 135_000), (600, 95_000), (800, 62_000), (1000, 6_000)),
            dc_max_ma=400_000,
        ),
        CarKind(
            name="large sport utility three-phase 11 kW 400 V",
            capacity_wh=108_000,
            ac_phases=3,
            ac_max_ma=16_000,
            dc_curve=((0, 120_000), (50, 195_000), (400, 180_000), (700, 120_000), (900, 50_000), (1000, 7_000)),
            dc_max_ma=500_000,
        ),
        CarKind(
            name="van three-phase 11 kW",
            capacity_wh=68_000,
            ac_phases=3,
            ac_max_ma=16_000,
            ac_efficiency=900,
            dc_curve=((0, 70_000), (50, 100_000), (500, 90_000), (800, 50_000), (1000, 5_000)),
            dc_max_ma=260_000,
        ),
        CarKind(
            name="truck 400 kW 800 V",
            capacity_wh=560_000,
            ac_phases=3,
            ac_max_ma=32_000,
            dc_curve=((0, 300_000), (50, 390_000), (800, 380_000), (1000, 40_000)),
            dc_max_ma=500_000,
            pack_empty_mv=640_000,
            pack_full_mv=820_000,
        ),
    )
}
"""By name."""

BIDIRECTIONAL = CarKind(
    name="compact bidirectional three-phase 11 kW",
    capacity_wh=62_000,
    ac_phases=3,
    ac_max_ma=16_000,
    dc_curve=((0, 60_000), (50, 100_000), (500, 90_000), (800, 50_000), (1000, 6_000)),
    dc_max_ma=260_000,
    ac_discharge_w=11_040,
    dc_discharge_w=20_000,
)
"""A kind that gives energy back. Not among those that come by chance: it speaks ISO 15118-20."""
