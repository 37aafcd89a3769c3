"""One EVSE with its connector: contactor, meter, control pilot, and whatever car hangs on it.

Hardware only: it knows no protocol. Time comes in as arguments (true time, ms). What flows is piecewise constant, so
`settle` integrates exactly and `wake_in` says when something may change by itself.
"""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import TYPE_CHECKING

from pilotwire.domain.schedules.model import Limits

from .config import EvseConfig
from .sessions import Sampled, Session
from .states import Phase

if TYPE_CHECKING:
    from pilotwire.core.time import Timer

    from .ports import Car, EnergyMeter

MIN_AC_MA = 6_000
_LEAST_MA = 250
"""What is still worth closing the contactor for, where car and station talk (ISO 15118-20)."""

_PHASES = ("L1", "L2", "L3")


class Evse:
    """EVSE `id` (from 1 on) as configured."""

    __slots__ = (
        "available",
        "bay",
        "broken",
        "car",
        "config",
        "fault",
        "fault_code",
        "fault_text",
        "id",
        "jammed",
        "lock_fails",
        "locked_for",
        "meter",
        "offered_ma",
        "offered_mw",
        "pending",
        "phase",
        "reported",
        "session",
        "timer",
    )

    def __init__(self, id_: int, config: EvseConfig, meter: EnergyMeter) -> None:
        self.id = id_
        self.config = config
        self.meter = meter
        self.phase: Phase = "Idle"
        self.car: Car | None = None
        self.bay = False
        """Something stands in the parking bay."""
        self.session: Session | None = None
        self.pending: PendingStart | None = None
        """Somebody is let in, the cable is awaited."""
        self.available = True
        """Operative; what the CSMS wants takes effect when no session runs (`availability`)."""
        self.broken = False
        """The charger that the station stands for says that it cannot be used."""
        self.fault = ""
        self.fault_code = ""
        """Which one, in the words of the hardware's maker or an industry's list."""
        self.fault_text = ""
        self.jammed = False
        """The lock of the connector does not open (for tests)."""
        self.lock_fails = False
        """Nor does it hold a plug (for tests)."""
        self.locked_for = ""
        """A cable was left behind, pulled off its car; it stays locked until this token (casefold) is shown."""
        self.reported = ""
        """The status that the CSMS was told last; empty: none."""
        self.offered_ma = 0
        self.offered_mw = 0
        self.timer: Timer | None = None

    @property
    def unlocked(self) -> bool:
        """A plug cannot be held in the outlet: nothing may flow (G05.FR.01)."""
        return self.lock_fails and not self.config.fixed_cable

    @property
    def cable_left(self) -> bool:
        """A cable hangs here that no car is on, and whose owner is gone."""
        return bool(self.locked_for) and self.car is None

    @property
    def max_mw(self) -> int:
        """What the hardware can give at nominal voltage."""
        if self.config.dc:
            return self.config.max_w * 1000
        return min(self.config.max_w * 1000, self.config.max_ma * 230 * self.config.phases)

    @property
    def max_ma(self) -> int:
        return self.config.max_ma

    def settle(self, now: int) -> None:
        """Integrate what has flowed up to `now`; the car gets it, or has given it."""
        energy = self.meter.advance(now)
        if energy and self.car is not None:
            if energy > 0:
                self.car.take(energy, dc=self.config.dc)
            else:
                self.car.give(-energy, dc=self.config.dc)

    def open(self) -> None:
        """Contactor open: nothing flows. Settle first."""
        self.offered_ma = self.offered_mw = 0
        if self.config.dc:
            self.meter.load_dc(0, 0)
        else:
            self.meter.load_ac((), self.config.phases)

    def drive(self, limit: Limits, *, fine: bool = False) -> bool | None:
        """Offer what `limit` and the hardware allow, let the car draw. Settle first.

        `fine`: the two talk, so that less than the control pilot's 6 A can be offered.
        True: energy flows. False: the car draws nothing although offered. None: nothing can be offered.
        """
        return self._drive_dc(limit, fine=fine) if self.config.dc else self._drive_ac(limit, fine=fine)

    def feed(self, asked_mw: int) -> bool | None:
        """Ask the car for so much. Settle first. True: it gives. False: it does not. None: this is no such EVSE."""
        config = self.config
        asked = min(asked_mw, config.max_discharge_w * 1000)
        if asked <= 0:
            self.open()
            return None
        self.offered_ma = self.offered_mw = 0
        if config.dc:
            given = self.car.give_dc(asked, config.max_ma) if self.car is not None else None
            self.meter.load_dc(*((given[0], -given[1]) if given is not None else (0, 0)))
            return given is not None
        currents = self.car.give_ac(asked, config.phases) if self.car is not None else ()
        self.meter.load_ac(tuple(-current for current in currents), config.phases)
        if currents and -self.meter.power_mw > asked:
            # Current that is given lifts the voltage: give way, so that what is asked is the most.
            lowered = currents[0] * asked // -self.meter.power_mw
            self.meter.load_ac((-lowered,) * len(currents), config.phases)
        return bool(currents)

    def _drive_ac(self, limit: Limits, *, fine: bool) -> bool | None:
        least = _LEAST_MA if fine else MIN_AC_MA
        config = self.config
        phases = min(config.phases, limit.phases or config.phases)
        offer = config.max_ma
        if limit.ma is not None:
            offer = min(offer, limit.ma)
        if limit.mw is not None:
            # A power limit is for all phases together; the car may use fewer, which leaves it below the limit.
            used = min(phases, self.car.ac_phases) if self.car is not None else phases
            offer = min(offer, limit.mw // (230 * used))
        if offer < least:
            self.open()
            return None
        self.offered_ma = offer
        self.offered_mw = min(offer * 230 * phases, self.max_mw)
        currents = self.car.draw_ac(offer, phases, least_ma=least) if self.car is not None else ()
        self.meter.load_ac(currents, config.phases)
        if self.meter.measures:
            # A real charger holds the limit by itself; what it measures does not follow what is tried out here.
            return True if currents else None if self.meter.withheld else False
        lowered = currents[0] if currents else 0
        while currents and limit.mw is not None and self.meter.power_mw > limit.mw:
            # The grid is above nominal: give way, so that the limit is held and not merely nominally so. Less current
            # sags the line less, so it is looked at again.
            lowered = min(lowered - 1, lowered * limit.mw // self.meter.power_mw)
            if lowered < least:
                self.open()
                return None
            self.meter.load_ac((lowered,) * len(currents), config.phases)
        return bool(currents)

    def _drive_dc(self, limit: Limits, *, fine: bool) -> bool | None:
        config = self.config
        offer_mw = config.max_w * 1000
        offer_ma = config.max_ma
        if limit.mw is not None:
            offer_mw = min(offer_mw, limit.mw)
        if limit.ma is not None:
            # On DC a limit in A is a limit of the outlet's current.
            offer_ma = min(offer_ma, limit.ma)
        if offer_mw < (100_000 if fine else 1_000_000) or offer_ma < (_LEAST_MA if fine else 1_000):
            self.open()
            return None
        self.offered_mw = offer_mw
        self.offered_ma = offer_ma
        draw = self.car.draw_dc(offer_mw // 1000, offer_ma, config.max_mv) if self.car is not None else None
        if draw is None:
            self.meter.load_dc(0, 0)
            return False
        self.meter.load_dc(*draw)
        return True

    def wake_in(self) -> int | None:
        """Milliseconds until the car may draw something else by itself."""
        if self.car is None:
            return None
        return self.car.until_change(self.meter.power_mw, dc=self.config.dc)

    def measure(
        self, measurands: tuple[str, ...], interval_wh: int | None, *, soc_known: bool, mhz: int = 50_000
    ) -> tuple[Sampled, ...]:
        """The asked measurands, as far as the meter has them now. Settle first."""
        meter = self.meter
        if meter.shows == "nothing":
            return ()
        if meter.shows == "energy":
            measurands = tuple(name for name in measurands if name.startswith("Energy."))
        rows: list[Sampled] = []
        for name in measurands:
            if name == "Energy.Active.Import.Register":
                rows.append(Sampled(name, Decimal(meter.register_wh), "Wh", None, "Outlet"))
            elif name == "Energy.Active.Import.Interval":
                if interval_wh is not None:
                    rows.append(Sampled(name, Decimal(meter.register_wh - interval_wh), "Wh", None, "Outlet"))
            elif name == "Energy.Active.Export.Register":
                rows.append(Sampled(name, Decimal(meter.export_wh), "Wh", None, "Outlet"))
            elif name == "Energy.Active.Net":
                rows.append(Sampled(name, Decimal(meter.register_wh - meter.export_wh), "Wh", None, "Outlet"))
            elif name == "Power.Active.Import":
                rows.append(Sampled(name, _milli(max(0, meter.power_mw), 1), "W", None, "Outlet"))
            elif name == "Power.Active.Export":
                rows.append(Sampled(name, _milli(max(0, -meter.power_mw), 1), "W", None, "Outlet"))
            elif name == "Power.Offered":
                rows.append(Sampled(name, _milli(self.offered_mw, 1), "W"))
            elif name == "Current.Offered":
                rows.append(Sampled(name, _milli(self.offered_ma, 2), "A"))
            elif name == "Current.Import":
                rows.extend(self._by_phase(name, tuple(max(0, each) for each in meter.currents), "A", 2, ""))
            elif name == "Current.Export":
                rows.extend(self._by_phase(name, tuple(max(0, -each) for each in meter.currents), "A", 2, ""))
            elif name == "Voltage":
                rows.extend(self._by_phase(name, meter.volts, "V", 1, "-N"))
            elif name == "SoC":
                if self.car is not None and soc_known:
                    rows.append(Sampled(name, Decimal(self.car.soc // 10), "Percent", None, "EV"))
            elif name == "Frequency":
                rows.append(Sampled(name, _milli(mhz, 2), "Hz"))
            elif name == "Temperature":
                rows.append(Sampled(name, Decimal(self.celsius), "Celsius", None, "Body"))
        return tuple(rows)

    @property
    def celsius(self) -> int:
        """How warm the body is: 25 °C, and 30 K more at full power. Enough to look at, no thermal model."""
        return 25 + 30 * abs(self.meter.power_mw) // (1_000 * max(1, self.config.max_w))

    def _by_phase(self, name: str, values: tuple[int, ...], unit: str, digits: int, suffix: str) -> list[Sampled]:
        if self.config.dc:
            return [Sampled(name, _milli(values[0] if values else 0, digits), unit, None, "Outlet")]
        return [
            Sampled(name, _milli(value, digits), unit, phase + suffix, "Outlet")
            for phase, value in zip(_PHASES, values, strict=False)
        ]

    def wander(self, random: Random) -> None:
        self.meter.wander(random)


class PendingStart:
    """An authorization that waits for the cable until `deadline` (true time, ms)."""

    __slots__ = (
        "deadline",
        "group",
        "languages",
        "remote_start_id",
        "reservation",
        "reserved_since",
        "token",
        "token_type",
        "trigger",
    )

    def __init__(
        self, token: str, token_type: str, group: str, trigger: str, remote_start_id: int | None, deadline: int
    ) -> None:
        self.token = token
        self.token_type = token_type
        self.group = group
        self.trigger = trigger
        self.remote_start_id = remote_start_id
        self.deadline = deadline
        self.reservation: int | None = None
        """The reservation that is used up by this."""
        self.languages: tuple[str, ...] = ()
        """Of the driver, the preferred first."""
        self.reserved_since: int | None = None
        """When that was asked for (station clock, ms)."""


def _milli(value: int, digits: int) -> Decimal:
    """A value in thousandths as a Decimal of the base unit, rounded to `digits`."""
    step = 10 ** (3 - digits)
    return Decimal((value + step // 2) // step).scaleb(-digits)
