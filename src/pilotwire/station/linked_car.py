"""A car as its link knows it: what the station feels of a vehicle that talks by pilot, ISO 15118, CHAdeMO or GB/T.

It fits `ports.Car`: the meter asks what it draws, and gets what flows at the outlet because the vehicle asked for it.
"""

from __future__ import annotations

from pilotwire.core.evse_link import Connected, Identified, Limits, Needs

from .outlet import Outlet
from .ports import Car

PROTOCOLS = {
    "din70121": "urn:din:70121:2012:MsgDef,2,0",
    "iso15118-2": "urn:iso:15118:2:2013:MsgDef,2,0",
    "iso15118-20": "urn:iso:std:iso:15118:-20:{current},1,0",
    "chademo1": "CHAdeMO,1",
    "chademo2": "CHAdeMO,2",
    "gbt27930-2011": "GB/T 27930,2011",
    "gbt27930-2015": "GB/T 27930,2015",
}
"""Names as OCPP's ConnectedEV.ProtocolAgreed has them: uri, major, minor."""

_DOCUMENTS = {"WPT": "WPT", "DC_ACDP": "ACDP", "DC_ACDP_BPT": "ACDP"}
"""Service → the part of ISO 15118-20's namespace, where it is neither AC nor DC."""


class LinkedCar:
    """What has been heard of one vehicle. `physical`: the car itself, where both ends are in one process."""

    __slots__ = ("connected", "dc", "identity", "limits", "needs", "outlet", "physical")

    def __init__(self, outlet: Outlet, *, dc: bool, physical: Car | None = None) -> None:
        self.outlet = outlet
        self.dc = dc
        self.physical = physical
        self.connected: Connected | None = None
        self.identity = Identified()
        self.limits: Limits | None = None
        self.needs = Needs()

    # ── who it is ────────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def evccid(self) -> str:
        """By ISO 15118-20 alone; see `ports.Car`."""
        newest = self.connected is not None and self.connected.protocol == "iso15118-20"
        return self.identity.evccid if newest else ""

    @property
    def protocol(self) -> str:
        """What was agreed to be spoken; empty: nothing yet, or the pilot alone."""
        if self.connected is None:
            return ""
        service = "" if self.limits is None else self.limits.service
        current = _DOCUMENTS.get(service, "DC" if self.dc else "AC")
        return PROTOCOLS.get(self.connected.protocol, "").format(current=current)

    @property
    def name(self) -> str:
        """The vehicle's own name: EVCCID, VIN or MAC."""
        identity = self.identity
        return identity.evccid or identity.vin or identity.mac

    @property
    def told(self) -> bool:
        """It has said what it can take and give."""
        return self.limits is not None

    # ── what it needs ────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def soc_known(self) -> bool:
        """It has told its state of charge."""
        return self.needs.soc is not None

    @property
    def soc(self) -> int:
        """0.1 %; 0 where it is not known."""
        return self.needs.soc or 0

    # ── what flows ───────────────────────────────────────────────────────────────────────────────────────────────

    @property
    def ac_phases(self) -> int:
        if self.physical is not None:
            return self.physical.ac_phases
        return (self.limits.phases if self.limits is not None else None) or 3

    def draw_ac(self, offered_ma: int, phases: int, *, least_ma: int = 6_000) -> tuple[int, ...]:
        """What the onboard charger takes once the contactor is closed and the car has asked for something."""
        flowing = min(self.outlet.ma, offered_ma)
        if not self.outlet.closed or flowing < least_ma:
            return ()
        if self.limits is not None and self.limits.service == "WPT":
            return (flowing,) * phases  # past its onboard charger; it has asked for what its battery takes
        if self.physical is not None:
            return self.physical.draw_ac(flowing, phases, least_ma=least_ma)
        most = self.limits.max_ma if self.limits is not None else None
        return (flowing if most is None else min(flowing, most),) * min(phases, self.ac_phases)

    def draw_dc(self, max_w: int, max_ma: int, max_mv: int) -> tuple[int, int] | None:
        outlet = self.outlet
        if outlet.ma <= 0 or not outlet.closed or outlet.mv > max_mv or not outlet.mv:
            return None
        return outlet.mv, min(outlet.ma, max_ma, max_w * 1_000_000 // outlet.mv)

    @property
    def gives_by_chademo(self) -> bool:
        """It is no car of ISO 15118-20, and yet it can give energy back when the station wants it."""
        return self.connected is not None and self.connected.protocol == "chademo2" and self.most_given(dc=True) > 0

    @property
    def can_give(self) -> bool:
        return self.most_given(dc=self.dc) > 0 and (self.physical is None or self.physical.can_give)

    def most_given(self, *, dc: bool) -> int:
        limits = self.limits
        if limits is None or dc != self.dc:
            return 0
        if limits.max_discharge_mw is None and limits.max_mv is not None:
            return (limits.max_discharge_ma or 0) * limits.max_mv // 1000  # CHAdeMO tells a current alone
        return limits.max_discharge_mw or 0

    def give_ac(self, asked_mw: int, phases: int) -> tuple[int, ...]:
        outlet = self.outlet
        if outlet.ma >= 0 or not outlet.closed:
            return ()
        used = min(phases, self.ac_phases)
        return (min(-outlet.ma, asked_mw * 1000 // (used * outlet.offer.nominal_mv)),) * used

    def give_dc(self, asked_mw: int, max_ma: int) -> tuple[int, int] | None:
        outlet = self.outlet
        if outlet.ma >= 0 or not outlet.closed or not outlet.mv:
            return None
        return outlet.mv, min(-outlet.ma, max_ma, asked_mw * 1000 // outlet.mv)

    def take(self, energy_uj: int, *, dc: bool) -> None:
        """It is in the battery, which tells of it by the link."""
        if self.physical is not None:
            self.physical.take(energy_uj, dc=dc)

    def give(self, energy_uj: int, *, dc: bool) -> None:
        if self.physical is not None:
            self.physical.give(energy_uj, dc=dc)

    def until_change(self, power_mw: int, *, dc: bool) -> int | None:
        """On AC nobody says when the onboard charger will take less; on DC the link does."""
        if self.physical is None or dc:
            return None
        return self.physical.until_change(power_mw, dc=dc)
