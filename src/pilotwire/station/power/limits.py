"""Figures of IEC 61851-23 that the power stage keeps to, in mV, mA and ms."""

from __future__ import annotations

SAFE_MA = 5_000
"""What a contactor may still cut: IEC 61851-23:2014, CC.3 and CC.4 (normal and emergency shutdown)."""
QUIET_MA = 1_000
"""No current: below this a contactor is moved in ordinary operation."""
SAFE_MV = 60_000
"""What may be touched."""
FALL_MA_S = 100_000
"""Current falls at least so fast when less is asked for: IEC 61851-23:2014, 101.2.1."""
RISE_MA_S = 20_000
"""The least rate at which it must be able to follow upwards, and the most that CHAdeMO wants: 101.2.1."""
_RATED_MV = 1_000_000
_TABLE_103 = ((500_000, 550_000), (750_000, 825_000), (850_000, 935_000), (1_000_000, 1_100_000))


def current_tolerance(ma: int) -> int:
    """2.5 A below 50 A, 5 % from there on: IEC 61851-23:2014, 101.2.1 (current regulation)."""
    return 2_500 if ma < 50_000 else ma // 20


def voltage_tolerance(rated_mv: int = _RATED_MV) -> int:
    """2 % of the station's highest rated voltage: IEC 61851-23:2014, 101.2.1 (voltage regulation)."""
    return rated_mv // 50


def emergency_voltage(limit_mv: int) -> int:
    """Above this for 9 ms is an emergency: IEC 61851-23:2023, 6.3.1.106.2, table 103 (above 1000 V: 61851-23-3, draft).

    `limit_mv`: the lower of what vehicle and station say is the most.
    """
    for most, threshold in _TABLE_103:
        if limit_mv <= most:
            return threshold
    return 1_375_000


def cable_check_voltage(ev_mv: int, evse_mv: int) -> int:
    """The voltage of the isolation test: IEC 61851-23:2023, CC.4.1.2, formula CC.1."""
    if ev_mv <= 500_000:
        return min(500_000, ev_mv + 50_000, evse_mv)
    return min(evse_mv, ev_mv * 11 // 10)


def altitude_factor(altitude_m: int) -> int:
    """What thin air leaves of a module's current, in per mille: all to 2000 m, then 1 % less for every 100 m."""
    return max(0, 1000 - max(0, altitude_m - 2_000) // 10)
